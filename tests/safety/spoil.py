"""Ways to spoil a file, and a watch over what it costs to read it."""

from __future__ import annotations

import contextlib
import json
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

SCRAPS = (
    b"", b"\0", b"\xff", b"\n", b"\r", b"\t", b" ", b'"', b"'", b",", b":", b"{", b"}", b"[", b"]",
    b"0", b"-1", b"1e999", b"NaN", b"null", b"9" * 30, b"9" * 5000, b'"\\ud800"', b"[" * 2000,
    b'{"a":' * 2000, b"\xef\xbb\xbf", b"\xff\xfe", "\u2028".encode(), "\x85".encode(),
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 2**31, 2**32, 2**40, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", " ", "0", "x" * 2000, "\ud800", "\0", "../x", "\u2028", [], {},
    [[]], [None], {"": None}, {"type": "Sequence"}, [2**40, 0], [0, 2**40], [1] * 100,
)  # fmt: skip


def spoil(content: bytes, draw: random.Random, scraps: Sequence[bytes] = ()) -> bytes:
    """Return the content with one to four accidents of bytes."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content) + 1)
        length = min(draw.choice((0, 1, 1, 2, 8, 40)), len(content) - at)
        part = content[at : at + length]
        kind = draw.randrange(6)
        if kind == 0:
            put = bytes(b ^ 1 << draw.randrange(8) for b in part)
        elif kind == 1:
            put = draw.choice((*SCRAPS, *scraps))
        elif kind == 2:
            put = part + draw.choice((*SCRAPS, *scraps))
        elif kind == 3:
            put = part * 2
        elif kind == 4:
            put = b""
        else:
            put = part
            if draw.random() < 0.2:
                content = content[:at]
        content = content[:at] + put + content[at + length :]
    return content


def spoil_json(value: Any, draw: random.Random, odd: Sequence[Any] = ()) -> Any:
    """Return the value with one to three things in it changed, moved, nested or gone."""
    value = deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return draw.choice(ODD)
        holder, key = draw.choice(places)
        kind = draw.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, where = draw.choice(places)
            with contextlib.suppress(KeyError, IndexError):  # gone, with what held it
                holder[key] = deepcopy(other[where])
        elif kind == 2:
            for _ in range(draw.choice((1, 3, 80, 300))):
                holder[key] = draw.choice(([holder[key]], {"type": "Sequence", "a": holder[key]}))
        elif kind == 3 and isinstance(holder, dict):
            holder[draw.choice(("", "a", f"{key} ", f"{key}s", "\ud800"))] = holder.pop(key)
        elif kind == 4 and isinstance(holder[key], int):
            holder[key] = holder[key] * draw.choice((-1, 2, 10, 2**20, 2**40)) + draw.randint(-1, 1)
        else:
            holder[key] = deepcopy(draw.choice((*ODD, *odd)))
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = holder if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            yield holder, key
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])


def as_json(value: Any) -> bytes:
    """Return JSON, also of what no JSON should hold."""
    limit = getattr(sys, "set_int_max_str_digits", lambda digits: None)  # not in every Python 3.10
    limit(0)
    try:
        return json.dumps(value).encode()
    finally:
        limit(4300)


@contextlib.contextmanager
def cheap(megabytes: float = 150, seconds: float = 5) -> Iterator[list[float]]:
    """Fail if the block takes more memory than it found, or a step more CPU time than allowed.

    Append `time.process_time()` to the list after each step.
    """
    before, steps = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [time.process_time()]
    yield steps
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < megabytes, f"reading took {grown:.0f} MB"
    slowest = max((b - a for a, b in pairwise(steps)), default=0)
    assert slowest < seconds, f"one file took {slowest:.1f} s"
