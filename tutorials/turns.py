"""Your turn: the cells that a reader fills in, and the one line that checks them.

Claim    What the check says is true and in one sentence: what was called with what, what came, and
         what was expected; a mistake is named only if it alone gives all of these answers. Where
         nothing is written yet, that is said, kindly. Nothing is ever raised.
Differs  The graders' comparing and diagnosing (_grading/diagnose.py), without their process: here
         readers run their own code in their own notebook, and nothing is marked.
Proof    tests/tutorials/test_turns.py: every solution on the pages is praised, every stub is told
         that it is empty, and every mistake is met by its own sentence

On a page:       from turns import check, yours
                 check("05.names", names)        # after the stub, in the same cell
                 names = yours("05.names")       # what the reader wrote, or else the solution

Beside a page, in NN_name/your_turn.py:

                 TURNS = {"names": Turn(right, cases, mistakes, praise), ...}
"""

from __future__ import annotations

import contextlib
import copy
import dis
import importlib.util
import inspect
import math
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # for _grading, wherever this was imported from

from _grading.checks import Wrong, at_most  # noqa: E402
from _grading.diagnose import describe, diagnose, difference  # noqa: E402
from minift.errors import MiniftError, nearest  # noqa: E402

FILE = "your_turn.py"
SECONDS = 20.0  # of one call
_NOTHING = {"RESUME", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "NOP"}  # what a stub does


@dataclass(frozen=True)
class Turn:
    """What a reader is asked to write, and how it is judged.

    Args:
        right: the reference, or an independent oracle; called with each case.
        cases: the arguments of each call, the simplest first; a mapping gives each a name that the
            sentence says where the arguments are too long to be shown.
        mistakes: sentence -> the function with that mistake. The sentence is said where this
            mistake alone gives the reader's answers; it says what is wrong, not what to type.
        praise: what the reader knows now; one sentence.
        tolerance: of numbers, absolute and relative.
        judge: in place of `right` and `cases`, where a property is asked for: called with the
            reader's function, raises `Wrong` with a sentence.
    """

    right: Callable
    cases: Sequence[tuple] | Mapping[str, tuple] = ()
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    praise: str = ""
    tolerance: float = 1e-6
    judge: Callable[[Callable], None] | None = None


@dataclass(frozen=True)
class Raised:
    """What came of a call instead of an answer."""

    kind: str
    sentence: str = field(compare=False)


_passed: dict[str, Callable] = {}


def check(name: str, function: Callable) -> None:
    """Say in one sentence what is right or wrong with the reader's function; raise nothing.

    Args:
        name: page and turn, such as "05.names".
        function: what the reader wrote.
    """
    turn = find(name)
    if unwritten(function):
        print(f"{name}: nothing is written yet. Replace the ... by your code and run the cell.")
        return
    try:
        _judge(turn, function)
    except Wrong as wrong:
        print(f"{name}: not yet. {wrong}")
        return
    _passed[name] = function
    _keep(name, function)
    print(f"{name}: right. {turn.praise}".rstrip())


def yours(name: str) -> Callable:
    """Return what the reader wrote, on this page or another, if it passed; else the solution."""
    if name not in _passed and (kept := _kept(name)):
        _passed[name] = kept
    return _passed.get(name, find(name).right)


def find(name: str) -> Turn:
    """Return a turn. Raises MiniftError if there is none of this name."""
    number, _, short = name.partition(".")
    turns = of_page(number)
    if short not in turns:
        known = [f"{number}.{turn}" for turn in turns]
        there = f" (there are {', '.join(known)})" if known else ""
        raise MiniftError(f'no turn "{name}"{nearest(name, known)}{there}')
    return turns[short]


def of_page(number: str) -> dict[str, Turn]:
    """Return the turns of a page by their short names; the number is its first two digits."""
    folders = sorted(ROOT.glob(f"{number}_*")) if number.isdigit() else []
    return load(folders[0]) if folders else {}


@cache
def load(folder: Path) -> dict[str, Turn]:
    """Return the turns of the page in a folder; none where it has no your_turn.py."""
    file = folder / FILE
    if not file.is_file():
        return {}
    spec = importlib.util.spec_from_file_location(f"{FILE}_{folder.name}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module.TURNS


def unwritten(function: Callable) -> bool:
    """Whether a function is still its stub: a docstring, and ... or nothing."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    if {"NotImplementedError"} == set(code.co_names):
        return True
    does = {instruction.opname for instruction in dis.get_instructions(code)}
    return does <= _NOTHING and set(code.co_consts) <= {None, function.__doc__, Ellipsis}


def _judge(turn: Turn, function: Callable) -> None:
    """Raise `Wrong` with one true sentence, or return."""
    if turn.judge:
        with at_most(SECONDS, Wrong(f"It had not come to an end after {SECONDS:.0f} seconds.")):
            turn.judge(function)
        return
    named = isinstance(turn.cases, Mapping)
    cases: Mapping = turn.cases if named else dict(enumerate(turn.cases))
    got, right, place = [], [], None
    for key, case in cases.items():
        got.append(_answer(function, case))
        right.append(turn.right(*copy.deepcopy(case)))
        place = place or _place(got[-1], right[-1], turn, _call(function, case, key))
    if place is None:
        return
    answers = {
        sentence: [_answer(wrong, case) for case in cases.values()]
        for sentence, wrong in turn.mistakes.items()
    }
    said = diagnose(got, right, answers, tolerance=turn.tolerance)
    raise Wrong(f"{place}: {said}" if said in answers else f"{place}.")


def _place(got: Any, right: Any, turn: Turn, call: str) -> str | None:
    """Return in words where an answer differs, or None."""
    if isinstance(got, Raised):
        return f"{call} {got.sentence}"
    if got is None and right is not None:
        return f"{call} gives None, expected {describe(right)} (is there a return?)"
    return difference(got, right, turn.tolerance, call)


def _answer(function: Callable, case: tuple) -> Any:
    """Return what a function gives for its own copy of the arguments, or what it raised."""
    error = TimeoutError(f"did not come back within {SECONDS:.0f} seconds")
    try:
        with at_most(SECONDS, error):
            return function(*copy.deepcopy(case))
    except Exception as raised:
        if raised is error:
            return Raised("TimeoutError", f"{error}; is there a loop that never ends?")
        file = getattr(getattr(function, "__code__", None), "co_filename", None)
        trace = traceback.extract_tb(raised.__traceback__)
        lines = [frame.lineno for frame in trace if frame.filename == file]
        where = f" in line {lines[-1]} of the cell" if lines else ""
        kind, text = type(raised).__name__, " ".join(str(raised).split())[:200]
        return Raised(kind, f"raised {kind}{where}" + (f": {text}" if text else ""))


def _call(function: Callable, case: tuple, key: int | str) -> str:
    """Return a call in words: its arguments where they are short, and the name of the case."""
    name = getattr(function, "__name__", "it")
    on = f" ({key})" if isinstance(key, str) else ""
    return f"{name}({', '.join(map(_shown, case))}){on}"


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor) and value.numel() <= 8:
        value = value.tolist()
    if isinstance(value, torch.Tensor) or callable(value):
        return getattr(value, "__name__", describe(value))
    text = _rounded(value)
    return text if len(text) <= 60 else describe(value)


def _rounded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"[{', '.join(map(_rounded, value))}]"
    return repr(value)


def _folder() -> Path:
    return Path(os.environ.get("MINIFT_YOURS") or ROOT / "yours")


def _keep(name: str, function: Callable) -> None:
    """Write what passed into tutorials/yours, from where other pages take it."""
    with contextlib.suppress(OSError, TypeError):  # no source, or no right to write: it is a bonus
        source = inspect.getsource(function)
        _folder().mkdir(parents=True, exist_ok=True)
        (_folder() / f"{name}.py").write_text(source, encoding="utf-8")


def _kept(name: str) -> Callable | None:
    """Return what the reader once wrote, if it stands by itself and still passes."""
    spec = importlib.util.spec_from_file_location("yours", _folder() / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    vars(module).update(math=math, torch=torch, F=F)
    with contextlib.suppress(Exception):  # the reader's: no page must fail for it
        spec.loader.exec_module(module)
        function = next(v for v in reversed(vars(module).values()) if inspect.isfunction(v))
        _judge(find(name), function)
        return function
    return None
