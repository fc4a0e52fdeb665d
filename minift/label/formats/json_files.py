"""JSON batch files: written so that any program can read them, read so that any fault is named.

Claim    What is written is plain ASCII, so no tool, locale or line splitter can change a text.
         What is read is a list of records, each with its place in the file, or one error that
         says at which line and column it stops being JSON.
Differs  In a file with one object per line, a broken line is a problem of that line alone.
Proof    tests/label/test_exchange.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from reprlib import repr as short
from typing import Any

from minift.data.examples import Example, texts_of
from minift.errors import MiniftError
from minift.label.formats.rows import Fault

Record = tuple[str, dict[str, Any]]  # (where in the file, what is there)


def as_list(records: Iterable[dict[str, Any]]) -> str:
    """Return a JSON list, one record per line."""
    body = ",\n".join(json.dumps(record) for record in records)
    return f"[\n{body}\n]\n" if body else "[]\n"


def as_lines(records: Iterable[dict[str, Any]]) -> str:
    """Return one JSON object per line."""
    return "".join(json.dumps(record) + "\n" for record in records)


def number(value: float | None) -> float | None:
    """Return a score that JSON can write: None for nan and infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def named_texts(example: Example) -> dict[str, str]:
    """Return the text as "text", and the second one of a pair as "text_b"."""
    return dict(zip(("text", "text_b"), texts_of(example)))


def texts_at(fields: dict[str, Any]) -> list[object]:
    """Return what stands where `named_texts` put the texts."""
    second = fields.get("text_b")
    return [fields.get("text")] if second is None else [fields.get("text"), second]


def objects(value: object) -> list[dict[str, Any]] | None:
    """Return a list of JSON objects as it is; None if it is something else."""
    right = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return value if isinstance(value, list) and right else None


def read_records(text: str, lines: bool = False) -> tuple[list[Record], list[Fault]]:
    """Return the records of a JSON list (or, if `lines`, one per line) and what is no object."""
    faults: list[Fault] = []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not lines or text.lstrip().startswith("["):
            raise MiniftError(f"not JSON: {error}; export it again") from None
        value = {}
    found: list[tuple[str, object]] = []
    if isinstance(value, list):
        found = [(f"record {place}", item) for place, item in enumerate(value, start=1)]
    elif not lines:
        kind = type(value).__name__
        raise MiniftError(f"expected a JSON list of records, got one {kind} at the top")
    for place, line in enumerate(() if isinstance(value, list) else text.split("\n"), start=1):
        try:
            if line.strip():
                found.append((f"line {place}", json.loads(line)))
        except (ValueError, RecursionError) as error:
            faults.append(Fault(f"line {place}", f"not JSON: {error}; this line is left out"))
    faults += [
        Fault(where, f"expected an object in braces, got {short(item)}")
        for where, item in found
        if not isinstance(item, dict)
    ]
    records = [(where, item) for where, item in found if isinstance(item, dict)]
    if (found and not records) or (lines and not found):
        raise MiniftError("no record in it is a JSON object; was it exported in another format?")
    return records, faults
