"""JSON batch files are plain ASCII, so no tool, locale or line splitter can change a text.

Proof    tests/label/test_exchange.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from minift.data.examples import Example, texts_of


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
