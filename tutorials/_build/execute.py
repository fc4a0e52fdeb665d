"""tutorial.py -> tutorial.ipynb: every cell run in a fresh kernel, nothing kept that varies.

Claim    Two builds on one machine give the same bytes: no timestamps, no random ids, no
         versions in pictures. A cell that fails is named by its line of tutorial.py, and the
         notebook that was there before stays.
Proof    tests/tutorials/test_build.py
"""

from __future__ import annotations

import base64
import os
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from _build.cells import Cell, Tutorial, TutorialError
from _build.rules import published, renewed
from minift.files import atomic_write

LIMIT = 120  # seconds
REPOSITORY = Path(__file__).resolve().parents[2]
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r"(?:Cell In\[\d+\], line |line )(\d+)")
_PICTURE_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class Built:
    """What a build cost, and whether the notebook is another than before."""

    processor_seconds: float
    seconds: float
    changed: bool


def build(tutorial: Tutorial, limit: float | None = LIMIT) -> Built:
    """Execute a tutorial and write its notebook.

    Args:
        tutorial: what to build.
        limit: most seconds; passed if both the clock and the kernel's processor time are above
            it, since on a busy machine only the second counts. None means no limit.

    Raises:
        TutorialError: if a cell fails, writes to standard error or names a folder of this
            machine, or the limit is passed. The notebook is not touched then.
    """
    cells = tutorial.cells()
    notebook = _new_notebook(cells)
    began, before = time.perf_counter(), os.times()
    _execute(notebook, cells, tutorial, limit)
    seconds, after = time.perf_counter() - began, os.times()
    processor = sum(after[2:4]) - sum(before[2:4]) or seconds  # Windows does not tell
    notebook.metadata = _new_notebook([]).metadata  # the kernel wrote its version there
    _clean(notebook, cells, tutorial)
    if limit is not None and min(seconds, processor) > limit:
        raise TutorialError(
            f"{tutorial.name}: took {seconds:.0f} s, {processor:.0f} of processor time, more than "
            f"{limit:g}; use fewer seeds or labels (or --no-limit). The notebook was not written"
        )
    return Built(processor, seconds, _finish(notebook, tutorial))


def renew_text(tutorial: Tutorial) -> Built:
    """Take the texts from tutorial.py and the outputs from the notebook there is.

    Raises:
        TutorialError: if the code is not the code that made these outputs.
    """
    cells = tutorial.cells()
    notebook = _new_notebook(cells)
    ran = [cell for cell in tutorial.built().cells if cell.cell_type == "code"]
    new = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [(c.source, c.metadata.get("tags")) for c in ran] != [
        (c.source, c.metadata.get("tags")) for c in new
    ]:
        raise TutorialError(f"{tutorial.name}: its code has changed; run it without --text")
    for old, cell in zip(ran, new):
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    _clean(notebook, cells, tutorial)
    return Built(0.0, 0.0, _finish(notebook, tutorial))


def _finish(notebook: NotebookNode, tutorial: Tutorial) -> bool:
    """Write the measured numbers into the text, where it has bands for them, and the notebook."""
    before = tutorial.source.read_text(encoding="utf-8")
    if (after := renewed(before, published(notebook))) != before:
        atomic_write(tutorial.source, after)
        texts = _new_notebook(tutorial.cells()).cells
        for number, cell in enumerate(texts):
            if cell.cell_type == "markdown":
                notebook.cells[number] = cell
    return _write(notebook, tutorial)


def _write(notebook: NotebookNode, tutorial: Tutorial) -> bool:
    """Write a notebook whole or not at all; say whether it is another than before."""
    nbformat.validate(notebook)
    content = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    old = tutorial.notebook.read_text(encoding="utf-8") if tutorial.notebook.is_file() else None
    atomic_write(tutorial.notebook, content)
    return content != old


def _new_notebook(cells: list[Cell]) -> NotebookNode:
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.v4.new_notebook(cells=[_new_cell(cell) for cell in cells], metadata=metadata)


def _new_cell(cell: Cell) -> NotebookNode:
    if cell.kind == "code":
        return nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata=cell.metadata)
    return nbformat.v4.new_markdown_cell(cell.source, id=cell.id, metadata=cell.metadata)


def _execute(notebook: NotebookNode, cells: list[Cell], tutorial: Tutorial, limit) -> None:
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),  # this checkout's minift
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting is not work: processor seconds mean something
        "HF_HUB_OFFLINE": "1",
        "MINIFT_YOURS": os.devnull,  # what somebody wrote in a cell to fill in is not the page's
        "PYTHONWARNINGS": "ignore:IProgress not found",  # no progress bars are wanted
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=None if limit is None else 10 * limit,  # of a cell; a busy machine is slow
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # of the kernel, not of what runs in it
        coalesce_streams=True,
        resources={"metadata": {"path": str(tutorial.folder)}},
    )
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        raise TutorialError(_failure(notebook, cells, tutorial, error)) from None
    except (CellTimeoutError, DeadKernelError) as error:
        reason = str(error).strip().splitlines()[0]
        raise TutorialError(f"{tutorial.name}: {reason}") from None


def _failure(notebook, cells: list[Cell], tutorial: Tutorial, error: CellExecutionError) -> str:
    """Name the line of tutorial.py that raised."""
    line = 0
    for cell, done in zip(cells, notebook.cells):
        for output in done.get("outputs", ()):
            if output.output_type == "error":
                traceback = _ANSI.sub("", "\n".join(output.traceback))
                found = _LINE.search(traceback)  # the outermost frame is the cell's own
                line = cell.line + (int(found[1]) - 1 if found else 0)
    return f"{tutorial.name}, line {line} of tutorial.py: {error.ename}: {error.evalue}"


def _clean(notebook: NotebookNode, cells: list[Cell], tutorial: Tutorial) -> None:
    """Take out of the outputs what differs from machine to machine, or refuse it."""
    for cell, done in zip(cells, notebook.cells):
        where = f"{tutorial.name}, cell at line {cell.line} of tutorial.py"
        for output in done.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                raise TutorialError(
                    f"{where}: wrote to standard error: {output.text.strip().splitlines()[0]!r}; "
                    "a reader would take it for a fault"
                )
            for folder in {str(REPOSITORY), str(Path.home())} - {"/"}:
                if folder in str(output.get("text", "")) + str(output.get("data", "")):
                    raise TutorialError(f"{where}: its output names a folder here, {folder}")
            data = output.get("data", {})
            if "image/png" in data:
                picture = base64.b64decode(data["image/png"])
                data["image/png"] = base64.b64encode(bare_png(picture)).decode()
                if alt := cell.metadata.get("alt"):
                    data["text/plain"] = alt
                    output.metadata = {"image/png": {"alt": alt}}


def bare_png(picture: bytes) -> bytes:
    """Return a PNG with its pixels and resolution and without its comments."""
    kept, at = picture[:8], 8
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        chunk = picture[at : at + 12 + length]  # length, kind, content, checksum
        kept += chunk if chunk[4:8] in _PICTURE_CHUNKS else b""
        at += 12 + length
    return kept
