"""Bytes to numbered lines, and faults to one error: what every file format shares.

Claim    A line number in an error is the one an editor shows, and a text is never cut in two.
Differs  Lines end at \\n and \\r\\n only. Python's `str.splitlines` also cuts at U+0085, U+2028
         and six more characters, which occur inside the texts of real sets.
Proof    tests/data/test_readers.py, tests/data/test_texts.py
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from minift.errors import MiniftError, nearest
from minift.files import standard_input

STANDARD_INPUT = Path("-")
FAULTS_SHOWN = 5
_arrived: deque[bytes] = deque()  # lines of standard input that were not read yet
Problems = list[tuple[int, str]]  # (line, or 0 for the whole file; what is wrong with it)


def refuse(path: Path, problems: Problems) -> None:
    """Raise one MiniftError for all problems of a file, if any, the first five spelled out."""
    if problems:
        first = sorted(problems, key=lambda problem: problem[0])[:FAULTS_SHOWN]
        shown = "; ".join(f"line {line}: {what}" if line else what for line, what in first)
        rest = len(problems) - len(first)
        more = f"; and {rest} more faults" if rest else ""
        raise MiniftError(f"{_name(path)}: {shown}{more}")


def _name(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else str(path)


def stream_text(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the (number, line) pairs of a UTF-8 file, without line ends or byte-order mark.

    Raises, where it is met:
        MiniftError: no such file, not UTF-8 (with line and byte offset), a NUL byte, or empty.
    """
    for number, line in enumerate(raw_lines(Path(path)), start=1):
        yield number, line.removesuffix("\n").removesuffix("\r")


def raw_lines(path: Path) -> Iterator[str]:
    """Yield the lines, with their ends, of a UTF-8 file, or of standard input, even if empty."""
    offset, empty = 0, path != STANDARD_INPUT
    try:
        with path.open("rb") if empty else nullcontext(_arriving()) as file:
            for number, data in enumerate(file, start=1):
                line = _decoded(data, path, number, offset)
                empty = empty and not line.strip()
                offset += len(data)
                yield line
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise MiniftError(f"{path}: there is no folder {path.parent}") from None
        hint = nearest(path.name, (other.name for other in path.parent.iterdir()))
        raise MiniftError(f"{path}: no such file{hint}") from None
    except OSError as error:
        raise MiniftError(f"{path}: cannot be read: {error.strerror}") from None
    if empty:
        raise MiniftError(f"{path}: the file is empty")


def _arriving() -> Iterator[bytes]:
    """Yield the lines of standard input, each as soon as it is there."""
    file, rest = standard_input().buffer, b""
    while block := file.read1(2**16):  # type: ignore[attr-defined]  # what there is, up to so much
        *lines, rest = (rest + block).split(b"\n")
        _arrived.extend(line + b"\n" for line in lines)
        while _arrived:
            yield _arrived.popleft()
    if rest:
        yield rest


def more_has_arrived() -> bool:
    """Return whether standard input is a file, or has given a text that was not read yet."""
    waits = not stat.S_ISREG(os.fstat(standard_input().fileno()).st_mode)
    return not waits or any(line.strip() for line in _arrived)


def _decoded(data: bytes, path: Path, number: int, offset: int) -> str:
    """Decode line `number`, which begins at byte `offset` of the file."""
    where = f"{_name(path)}: line {number}"
    try:
        line = data.decode("utf-8")
    except UnicodeDecodeError as error:
        wide = number == 1 and data.startswith((b"\xff\xfe", b"\xfe\xff"))
        raise MiniftError(
            f"{where}: byte 0x{data[error.start]:02x} at offset {offset + error.start} is not "
            "UTF-8; convert the file, for example with "
            f"iconv -f {'utf-16' if wide else 'latin1'} -t utf-8 {path.name} > utf8-{path.name}"
        ) from None
    if "\0" in line:
        raise MiniftError(f"{where}: a NUL byte: this is not a text file, or it is damaged")
    if number > 1:
        return line
    if not line.endswith("\n") and line.strip() and "\r" in line.rstrip("\r"):
        what = "lines end in a lone carriage return; convert them to newlines"
        raise MiniftError(f"{_name(path)}: {what}")
    return line.removeprefix("\ufeff")
