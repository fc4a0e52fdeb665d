"""JSON batch files: written so that any program can read them, read so that any fault is named.

Claim    What is written is plain ASCII, so no tool, locale or line splitter can change a text.
         What is read is a list of records, each with its place in the file, or one error that
         says at which line and column it stops being JSON and which format it looks like.
Differs  In a file with an object a line, a broken line is a problem of that line alone.
Proof    tests/label/test_exchange.py
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from reprlib import repr as short
from typing import Any

from minift.data.files.lines import decode
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.label.formats.rows import Reading

Record = tuple[str, dict[str, Any]]  # (where in the file, what is there)


def write_list(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write a JSON list, a record a line."""
    body = ",\n".join(json.dumps(record) for record in records)
    atomic_write(path, f"[\n{body}\n]\n" if body else "[]\n")


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write a JSON object a line."""
    atomic_write(path, "".join(json.dumps(record) + "\n" for record in records))


def number(value: float | None) -> float | None:
    """Return a score that JSON can write: None for nan and infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def read_records(path: Path, reading: Reading, format: str, lines: bool = False) -> list[Record]:
    """Return the records of a JSON list; elements that are no object go to `reading`.

    Args:
        path: the file.
        reading: gets the problems.
        format: which is expected, for errors.
        lines: a file with an object a line is right too.

    Raises:
        MiniftError: if it is no such file, or plainly one of another format.
    """
    text = decode(path)
    other = looks_like(text)
    if other not in (None, format):
        raise MiniftError(f'{path}: this is no {format} file; it looks like format "{other}"')
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not lines or text.lstrip().startswith("["):
            raise MiniftError(f"{path}: not JSON: {error}; export it again") from None
        value = {}
    if isinstance(value, list):
        found = [(f"record {place}", item) for place, item in enumerate(value, start=1)]
    elif lines:
        found = _lines(text, reading)
    else:
        kind = type(value).__name__
        raise MiniftError(f"{path}: expected a JSON list of records, got one {kind} at the top")
    for where, item in found:
        if not isinstance(item, dict):
            reading.fault(where, f"expected an object in braces, got {short(item)}")
    records = [(where, item) for where, item in found if isinstance(item, dict)]
    if (found and not records) or (lines and not found):
        raise MiniftError(f"{path}: no record in it is a JSON object; is it a {format} file?")
    return records


def _lines(text: str, reading: Reading) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for place, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                found.append((f"line {place}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            reading.fault(f"line {place}", f"not JSON: {error}; this line is left out")
    return found


def looks_like(text: str) -> str | None:
    """Return the format a file is probably in, or None."""
    if text.lstrip()[:1] not in ("[", "{"):
        return _plain_text_format(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = []
        for line in text.split("\n", maxsplit=50)[:50]:
            try:
                value.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    rows = value if isinstance(value, list) else [value]
    return next(filter(None, map(_kind, rows)), None)


def _kind(row: object) -> str | None:
    if not isinstance(row, dict):
        return None
    if "fields" in row or "_server_id" in row:
        return "argilla"
    if "data" in row or "annotations" in row or "annotation_id" in row:
        return "labelstudio"
    return "doccano" if "text" in row else None


def _plain_text_format(text: str) -> str | None:
    lines = text.split("\n", maxsplit=50)[:50]
    header = {cell.strip(' "\r').lower() for cell in re.split("[,;\t]", lines[0])}
    if {"id", "text"} <= header:
        return "csv"
    tagged = ("\tO", "\t?", "\tB-")
    if any(line.startswith("# id = ") or line.rstrip().endswith(tagged) for line in lines):
        return "conll"
    return None
