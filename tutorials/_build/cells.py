"""A tutorial as cells: read from tutorial.py, which people edit, and from tutorial.ipynb.

Claim    Every cell knows its line in tutorial.py, so that every complaint can name it; and a
         cell's id is made of its content, so that building twice gives the same notebook.
Proof    tests/tutorials/test_build.py
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from markdown_it import MarkdownIt
from nbformat import NotebookNode

from minift.errors import MiniftError, nearest

# alt: what the cell's plot shows, in words. tags: "varies" for outputs that differ from run to run;
# "hide" for machinery, whose code the site folds and Jupyter collapses.
METADATA = ("alt", "tags")
HIDE = "hide"
_JUPYTEXT = {"lines_to_next_cell", "lines_to_end_of_cell_marker"}  # its notes on blank lines
_HEADER = re.compile(r"^# %%", re.MULTILINE)
_NAME = re.compile(r"\d\d_\w+")
MARKDOWN = MarkdownIt("commonmark").enable("table")


class TutorialError(MiniftError):
    """Something that the author of a tutorial can fix; its message says where."""


@dataclass(frozen=True)
class Cell:
    """One cell of tutorial.py.

    Args:
        kind: "code" or "markdown".
        source: its text, without comment marks if it is markdown.
        line: line of tutorial.py on which the text begins.
        metadata: what stands in its header, of `METADATA`, and what Jupyter needs to collapse it.
        id: made of kind and source.
    """

    kind: str
    source: str
    line: int
    metadata: dict
    id: str

    @property
    def hidden(self) -> bool:
        """Whether readers are spared it until they ask."""
        return HIDE in self.metadata.get("tags", ())


@dataclass(frozen=True)
class Tutorial:
    """A folder NN_name with tutorial.py and, once it has been run, tutorial.ipynb."""

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def source(self) -> Path:
        """The file that people edit."""
        return self.folder / "tutorial.py"

    @property
    def notebook(self) -> Path:
        """The file that `run` makes of it."""
        return self.folder / "tutorial.ipynb"

    def cells(self) -> list[Cell]:
        """Read tutorial.py. Raises TutorialError where it is not in percent format."""
        text = self.source.read_text(encoding="utf-8")
        lines = [text.count("\n", 0, found.start()) + 2 for found in _HEADER.finditer(text)]
        read = jupytext.reads(text, fmt="py:percent").cells
        if len(read) != len(lines):
            raise TutorialError(
                f"{self.name}: tutorial.py has {len(lines)} lines that begin with # %% but "
                f"{len(read)} cells; the file must begin with one, and no text may hold another"
            )
        cells, seen = [], {}
        for line, cell in zip(lines, read):
            digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
            seen[digest] = seen.get(digest, 0) + 1
            identity = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
            metadata = _metadata(cell) | collapsed(cell.metadata, cell.source)
            if unknown := set(cell.metadata) - set(METADATA) - _JUPYTEXT:
                raise TutorialError(
                    f"{self.name}, line {line - 1} of tutorial.py: a cell has no "
                    f"{', '.join(sorted(unknown))}; a header may hold {', '.join(METADATA)}"
                )
            cells.append(Cell(cell.cell_type, cell.source, line, metadata, identity))
        return cells

    def built(self) -> NotebookNode:
        """Read tutorial.ipynb. Raises TutorialError if it is missing or damaged."""
        if not self.notebook.is_file():
            raise TutorialError(f"{self.name}: no tutorial.ipynb; make it: {command(self.name)}")
        try:
            return nbformat.read(self.notebook, as_version=4)
        except Exception as error:  # nbformat raises its own kinds, and json's
            raise TutorialError(
                f"{self.name}: tutorial.ipynb cannot be read ({error}); "
                f"make it anew: {command(self.name)}"
            ) from error


def command(name: str) -> str:
    """Return the command that builds a tutorial."""
    return f"python tutorials/build.py run {name}"


def _metadata(cell: NotebookNode) -> dict:
    return {key: cell.metadata[key] for key in (*METADATA, "jupyter") if key in cell.metadata}


def collapsed(header: dict, source: str) -> dict:
    """Return what makes Jupyter collapse a hidden cell; what it draws or prints stays in sight."""
    if HIDE not in header.get("tags", ()):
        return {}
    hidden = {"source_hidden": True}
    shows = header.get("alt") or "print(" in source
    return {"jupyter": hidden if shows else hidden | {"outputs_hidden": True}}


def as_pairs(cells: list[NotebookNode]) -> list[tuple]:
    """Return of notebook cells what tutorial.py decides."""
    return [(c.cell_type, c.source, _metadata(c), c.get("id")) for c in cells]


def find(root: Path, names: list[str]) -> list[Tutorial]:
    """Return the tutorials below `root`, all or those that `names` begin.

    Args:
        root: the folder of tutorials.
        names: whole names ("03_few_labels"), or their numbers ("03").

    Raises:
        TutorialError: if a name fits none, or there is none at all.
    """
    folders = sorted(path.parent for path in root.glob("*/tutorial.py"))
    there = [Tutorial(folder) for folder in folders if _NAME.fullmatch(folder.name)]
    if not there:
        raise TutorialError(f"{root} has no folder NN_name with a tutorial.py")
    for name in names:
        if not any(fits(tutorial.name, name) for tutorial in there):
            known = [tutorial.name for tutorial in there]
            raise TutorialError(
                f'no tutorial "{name}"{nearest(name, known)} (there are {", ".join(known)})'
            )
    return [t for t in there if not names or any(fits(t.name, name) for name in names)]


def fits(folder: str, name: str) -> bool:
    """Say whether `name` means the tutorial in `folder`: its number, or its whole name."""
    return Path(name).name == folder or name == folder[:2]
