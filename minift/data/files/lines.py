"""Bytes to numbered lines, and faults to one error: what every file format shares.

Claim    A line number in an error is the one an editor shows, and a text is never cut in two.
Differs  Lines end at \\n and \\r\\n only. Python's `str.splitlines` also cuts at U+0085, U+2028
         and six more characters, which occur inside the texts of real sets.
         Only UTF-8 is read: any bytes are text in Windows-1252 too, and nobody would see a wrong
         guess. The error shows what they would be, and the command that converts the file.
Proof    tests/data/test_readers.py, tests/data/test_texts.py
"""

import os
import shlex
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from minift.data.words import counted
from minift.errors import MiniftError, nearest
from minift.files import standard_input

STANDARD_INPUT = Path("-")
FAULTS_SHOWN = 5
_arrived: deque[bytes] = deque()  # lines of standard input that were not read yet
Problems = list[tuple[int, str]]  # (line, or 0 for the whole file; what is wrong with it)
_SHEET = 'a zip archive or a spreadsheet\'s own format; unpack it, or save the sheet as "CSV UTF-8"'
_PARQUET = 'binary; with pandas, read_parquet(...).to_json("x.jsonl", orient="records", lines=True)'
FOREIGN = (  # how files that are not text begin, and how their names end; what to do
    (b"PK\3\4", (".xlsx", ".ods", ".zip"), _SHEET),
    (b"\xd0\xcf\x11\xe0", (".xls",), _SHEET),
    (b"PAR1", (".parquet",), _PARQUET),
    (b"\x1f\x8b", (".gz",), "compressed; unpack it with gunzip"),
)


def refuse(path: Path, problems: Problems) -> None:
    """Raise one MiniftError for all problems of a file, if any, the first five spelled out."""
    if problems:
        first = sorted(problems, key=lambda problem: problem[0])[:FAULTS_SHOWN]
        shown = "; ".join(f"{unit(path)} {n}: {what}" if n else what for n, what in first)
        rest = len(problems) - len(first)
        more = f"; and {counted(rest, 'more fault')}" if rest else ""
        raise MiniftError(f"{_name(path)}: {shown}{more}")


def unit(path: Path) -> str:
    """Return what is counted: the records of a JSON list, rows in memory, or else lines."""
    return {".json": "record", ".rows": "row"}.get(path.suffix.lower(), "line")


def _name(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else str(path)


def stream_text(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the (number, line) pairs of a UTF-8 file, without line ends or byte-order mark.

    Raises MiniftError where it is met: no such file, not UTF-8, a NUL byte, or empty.
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


def read_once(path: Path) -> bool:
    """Return whether this is standard input or a pipe, which can be read only once."""
    return path == STANDARD_INPUT or (path.exists() and not path.is_file())


def lines_again(path: Path) -> Callable[[], Iterable[str]]:
    """Return what gives the lines as often as it is called; those of a pipe are held in memory."""
    held = list(raw_lines(path)) if read_once(path) else None
    return lambda: raw_lines(path) if held is None else held


def _decoded(data: bytes, path: Path, number: int, offset: int) -> str:  # of its first byte
    where = f"{_name(path)}: line {number}"
    for magic, _, remedy in FOREIGN if number == 1 else ():
        if data.startswith(magic):
            raise MiniftError(f"{_name(path)}: {remedy}")
    try:
        line = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{data[error.start]:02x} at offset {offset + error.start} is not UTF-8"
        raise MiniftError(f"{where}: {byte}; {_remedy(data, error.start, path, number)}") from None
    if "\0" in line:
        what = "this is not a text file, or it is damaged"
        if data.count(0) * 3 > len(data):  # of English in UTF-16, every other byte is one
            what = _convert(path, "utf-16be" if data[:1] == b"\0" else "utf-16le")
        raise MiniftError(f"{where}: a NUL byte: {what}")
    if number > 1:
        return line
    if not line.endswith("\n") and line.strip() and "\r" in line.rstrip("\r"):
        what = "lines end in a lone carriage return; convert them to newlines"
        raise MiniftError(f"{_name(path)}: {what}")
    return line.removeprefix("\ufeff")


def _remedy(data: bytes, at: int, path: Path, number: int) -> str:
    if number == 1 and data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _convert(path, "utf-16")
    save = 'save it as UTF-8 (in Excel: "CSV UTF-8") where it was made'
    try:
        around = data.decode("cp1252")[max(0, at - 20) : at + 20].strip()
    except UnicodeDecodeError:  # five bytes mean nothing in it
        return f"nor Windows-1252: {save}"
    reads = f"as Windows-1252 it reads {around!r}"
    others = [] if read_once(path) else path.read_bytes().split(b"\n")
    if any(not o.isascii() and o.decode("utf-8", "ignore").encode() == o for o in others):
        return f"{reads}; other lines are UTF-8, so correct such lines alone"
    return f"{reads}: if that is right, {_convert(path, 'cp1252')}; if not, {save}"


def _convert(path: Path, encoding: str) -> str:
    name = shlex.quote(path.name)
    files = "" if path == STANDARD_INPUT else f" {name} > {shlex.quote('utf8-' + path.name)}"
    return f"convert it with iconv -f {encoding} -t utf-8{files}"
