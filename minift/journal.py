"""Lines that survive: append-only files of JSON objects, each on the disk before it counts.

Claim    Killed at any byte, a file gives back every line whose append returned. A last line that
         was cut off does not count, and the next append replaces it. Of a journal, a line that
         was damaged or changed is named and refused, and two processes never write to it.
Differs  Each line of a journal carries its number and a checksum, so that a changed, lost or
         repeated line is seen; that is against accidents and editors, not against forgery. A
         log's lines are what its writer wrote, so other programs can write and cut them.
Proof    tests/test_journal.py

    a journal   {"n": 1, "event": "label", "id": "7", "label": "pos", "check": "5d41402a"}
    a log       {"epoch": 1, "train_loss": 0.69}
"""

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from minift.errors import MiniftError
from minift.files import locked, sync_folder

_CHECK = ', "check": "'
LOST = "lost"  # event of a line that a person put in the place of a damaged one


def append_log(path: str | Path, *records: Mapping[str, Any]) -> None:
    """Append a line per record to a log, in one write; a last line that was cut off goes first.

    Raises MiniftError if it cannot be written; the log then holds the lines that it held before.
    """
    path = Path(path)
    try:
        cut_log(path)
        with path.open("ab", buffering=0) as file:
            _append(file, "".join(json.dumps(record) + "\n" for record in records).encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            if path.is_file() and not path.stat().st_size:  # new, and nothing in it
                path.unlink()
        raise MiniftError(f"cannot write to {path}: {error}") from error


def read_log(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a log, none if there is no file; a last line without an end is none.

    Raises MiniftError with the number of a line that is not a JSON object.
    """
    path = Path(path)
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                record = decode(line, checked=False)
            except ValueError as error:
                how = "put it back from a backup, or remove it"
                raise MiniftError(f"{path}, line {number} is damaged: {error}; {how}") from error
            yield record


def cut_log(path: Path) -> None:
    """Cut off the last line of a log if it has no end."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        if file.read(1) not in (b"\n", b""):
            file.seek(0)
            file.truncate(sum(len(line) for line in file if line.endswith(b"\n")))


def _append(file: BinaryIO, lines: bytes) -> None:
    size = os.fstat(file.fileno()).st_size
    try:
        if file.write(lines) < len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), size)
        raise


@dataclass
class Journal:
    """An open journal: what it holds, and `append`. Get one from `open_journal`."""

    path: Path
    file: BinaryIO  # the same, open for appending without a buffer
    events: list[dict[str, Any]]  # what it holds, in order
    notes: list[str]  # what a user should know about how it was found

    def __post_init__(self) -> None:
        self.size = os.fstat(self.file.fileno()).st_size

    def append(self, event: dict[str, Any]) -> dict[str, Any]:
        """Write an event to the disk, then remember and return it, with its number "n".

        Raises MiniftError, and changes nothing, if it cannot or somebody else changed the file.
        """
        mine = os.fstat(self.file.fileno())
        there = self.path.stat() if self.path.exists() else None
        if there is None or (there.st_ino, there.st_size) != (mine.st_ino, self.size):
            what = "was changed by another program while it was in use here; nothing was written"
            how = "Close the other program, look at the file, and start again"
            raise MiniftError(f"{self.path} {what}. {how}")
        event = {"n": len(self.events) + 1, **event}
        try:
            _append(self.file, encode(event))
        except OSError as error:
            lost = f"this {event.get('event', 'line')} is not saved, all earlier ones are"
            raise MiniftError(f"cannot write to {self.path}: {error}; {lost}") from error
        self.size = os.fstat(self.file.fileno()).st_size
        self.events.append(event)
        return event


def encode(event: dict[str, Any]) -> bytes:
    """Return the line of an event, with its checksum."""
    body = json.dumps(event, ensure_ascii=False)[:-1]
    return f'{body}{_CHECK}{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def decode(line: bytes, checked: bool = True) -> dict[str, Any]:
    """Return the object of a line; raises ValueError if it is none, or `checked` and changed."""
    text = line.decode("utf-8")
    event = json.loads(text)
    if not isinstance(event, dict):
        raise ValueError("it is not a JSON object")
    if not checked or event.get("event") == LOST:
        return event
    body, _, check = text.rpartition(_CHECK)
    if check != f'{zlib.crc32(body.encode()):08x}"}}':
        raise ValueError("it was changed: its checksum does not fit")
    del event["check"]
    return event


def parse(content: bytes, where: str = "journal") -> tuple[list[dict[str, Any]], bytes]:
    """Return the events of a journal's bytes, and the rest of a last line that was cut off.

    Raises MiniftError if any other line is damaged, changed, repeated or missing.
    """
    *lines, rest = content.split(b"\n")
    if rest:
        with contextlib.suppress(ValueError):  # whole but for the end of line: it counts
            decode(rest)
            lines, rest = [*lines, rest], b""
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            event = decode(line)
            if event.get("n") != number:
                raise ValueError(f'its "n" is {event.get("n")}; a line is missing or repeated')
        except ValueError as error:
            raise MiniftError(
                f"{where}, line {number} is damaged: {error}. Nothing was changed. Put the line "
                "back from a backup; if there is none, write "
                f'{{"n": {number}, "event": "{LOST}"}} in its place: all other lines still count'
            ) from error
        events.append(event)
    return events, rest


@contextlib.contextmanager
def open_journal(path: str | Path) -> Iterator[Journal]:
    """Open a journal for this process alone; it is made if it is not there.

    Raises MiniftError if another process has it open, it is damaged, or cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise MiniftError(f"cannot write {path}: {error}") from error
    with locked(path), path.open("ab", buffering=0) as file:
        content = path.read_bytes()
        events, torn = parse(content, str(path))
        notes = []
        if torn:
            what = "the last line was cut off while it was written and does not count"
            notes.append(f"{path}: {what}: {torn.decode('utf-8', errors='backslashreplace')}")
            os.ftruncate(file.fileno(), len(content) - len(torn))
        elif content and not content.endswith(b"\n"):
            file.write(b"\n")
        os.fsync(file.fileno())
        sync_folder(path.parent)
        yield Journal(path, file, events, notes)
