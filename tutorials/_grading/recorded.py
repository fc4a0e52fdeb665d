"""The public checks of a hand-out: recorded questions, and the right answers as hashes.

Claim    A recorded check computes no right answer and holds none. It asks what the check asked the
         author's programs, under the public salt, and compares hashes: with the right answer's,
         and with those of known mistakes, whose sentence is then said.
Differs  The hidden check may judge an answer by another answer of the same submission; here both
         must be the recorded ones. A number is compared within a tolerance: what lies below it, the
         last digits, stands beside the hash, so that a number near an edge is not cut there.
Proof    tests/tutorials/test_grading_public.py

bundle.py records. {"asks": [frame], "traces": [{"asks", "answers": [{"hash", "digits"}], ...}]}
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _grading import codec
from _grading.checks import Draw, Later, Wrong, check
from _grading.measure_task import answered_number
from _grading.student import Failure, Student

TOLERANCE = 1e-6
FILE = "recorded.json"
BELOW = 256  # steps in which the last digits are told


def sealed(value: Any, name: str, tolerance: float, digits: bytes | None = None) -> dict | None:
    """Return a value as {"hash", "digits"}.

    Args:
        value: what a student's function returned, or a `Failure`.
        name: of the check; the same value has another hash in another check.
        tolerance: of numbers, absolute below 1 and relative above.
        digits: of the recorded value, to compare with; None records.

    Returns:
        None if the numbers are not as many as `digits`.
    """
    numbers: list[float] = []
    tree = _tree(value, numbers)
    places = [math.asinh(number) / (8 * tolerance) for number in numbers]
    if digits is None:
        digits = bytes(int((place - math.floor(place)) * BELOW) for place in places)
    if len(digits) != len(places):
        return None
    cells = [math.floor(place - part / BELOW + 0.5) for place, part in zip(places, digits)]
    text = json.dumps([name, tree, cells])
    found = hashlib.sha256(text.encode()).hexdigest()[:32]
    return {"hash": found, "digits": base64.b64encode(digits).decode()}


def _tree(value: Any, numbers: list[float]) -> Any:
    """Return a value without its numbers, which are listed."""
    if isinstance(value, Failure):
        return ["failure", value.kind, "ValueError" in value.types]
    if isinstance(value, Tensor):
        if value.dtype == torch.bool or value.dim() == 0:
            return _tree(value.tolist(), numbers)
        return ["tensor", list(value.shape), _tree(value.flatten().tolist(), numbers)]
    if isinstance(value, (list, tuple)):
        return [_tree(item, numbers) for item in value]
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda pair: str(pair[0]))
        return {str(key): _tree(item, numbers) for key, item in ordered}
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value):
            return str(float(value))
        numbers.append(float(value))
        return "number"
    return ["plain", value]


def recorded(
    folder: Path,
    name: str,
    canon: Callable[[Any], Any] | None = None,
    tolerance: float = TOLERANCE,
) -> Callable:
    """Return a check out of the recorded.json of a hand-out.

    Args:
        folder: of the hand-out.
        name: of the check.
        canon: what of an answer counts.
        tolerance: of numbers.
    """
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))[name]

    def function(student: Student, draw: Draw) -> None:
        for key in content.get("answers", ()):
            answered_number(student, key)
        if content.get("answers"):
            raise Later("these are numbers; whether they are right is told after handing in")
        if content.get("test"):
            try_out(student, content["test"])
        _replay(student, content, canon, tolerance, name)

    function.__name__ = name
    return check(task=content["task"], points=content["points"])(function)


def question(frame: str) -> tuple[str, list]:
    """Return name and arguments of a recorded question."""
    packed = base64.b64decode(frame)
    tree, _ = codec.lengths(packed[: codec.HEAD.size])
    cut = codec.HEAD.size + tree
    name, args = codec.decode(packed[codec.HEAD.size : cut], packed[cut:])
    return name, args


def _replay(
    student: Student, content: dict, canon: Callable | None, tolerance: float, check_name: str
) -> None:
    alive, at = content["traces"], 0
    while True:
        ended = next((trace for trace in alive if len(trace["asks"]) == at), None)
        if ended is not None:  # what comes next depends on the answers only: all have ended
            if ended["sentence"]:
                raise Wrong(ended["sentence"], share=ended["share"])
            return
        name, args = question(content["asks"][alive[0]["asks"][at]])
        got = student.attempt(name, *args)
        counted = what_counts(canon, got)
        same = [
            trace for trace in alive if _is(trace["answers"][at], counted, check_name, tolerance)
        ]
        if not same and isinstance(got, Failure):
            raise Wrong(got.sentence)
        if not same:
            raise Wrong(
                f"{student.asked} gives another answer than the right one in public case {at + 1}, "
                f"and not that of a mistake that is known: {_shown(got)}"
            )
        alive, at = same, at + 1


def what_counts(canon: Callable[[Any], Any] | None, got: Any) -> Any:
    """Return what of an answer counts; all of it where `canon` cannot take it."""
    if canon is None or isinstance(got, Failure):
        return got
    try:
        return canon(got)
    except (TypeError, KeyError, ValueError, IndexError, AttributeError):
        return got


def _is(answer: dict, got: Any, name: str, tolerance: float) -> bool:
    return sealed(got, name, tolerance, base64.b64decode(answer["digits"])) == answer


def _shown(value: Any) -> str:
    """Return an answer in at most a line."""
    if isinstance(value, Tensor):
        value = value.tolist() if value.numel() < 9 else f"a tensor of shape {tuple(value.shape)}"
    shown = value if isinstance(value, str) else repr(value)
    return f"it gives {shown if len(shown) <= 90 else shown[:90] + ' ...'}"


# --- "write the test" -------------------------------------------------------------------------

_EMPTY: dict[str, Callable] = {
    "returns None": lambda *_: None,
    "returns an empty list": lambda *_: [],
    "returns 0": lambda *_: 0.0,
    "always raises an error": lambda *_: 1 / 0,
}


def try_out(student: Student, test: str) -> None:
    """Judge what can be judged without the programs that a test is to tell apart.

    Raises:
        Wrong: if it lets a program pass that does nothing, or cannot be run.
        Later: if not.
    """
    for sentence, candidate in _EMPTY.items():
        outcome = student.try_test(test, candidate)
        if outcome is None:
            raise Wrong(f"`{test}` passes a program that {sentence}")
        if outcome.kind != "raised":
            raise Wrong(outcome.sentence)
    raise Later(
        f"`{test}` fails programs that do nothing; whether it passes the right ones, and how many "
        "wrong ones it finds, is told after handing in"
    )


def names_in_any_order(got: Any) -> Any:
    """Return a list of names so that its order does not count."""
    return sorted(got) if isinstance(got, (list, tuple)) else got


def only(*keys: str) -> Callable[[dict], dict]:
    """Return a function that keeps these keys of a dict."""
    return lambda got: {key: got[key] for key in keys}


def as_list(got: Any) -> Any:
    """Return a tensor as a list."""
    return got.tolist() if isinstance(got, Tensor) else got
