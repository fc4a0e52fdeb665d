"""From a wrong answer to the one sentence that is true of it.

Claim    A mistake is named only if its formula gives this very answer and no other known mistake
         does. Otherwise the sentence says where answer and expectation first differ. A student
         never reads another mistake's sentence.
Proof    tests/tutorials/test_grading_checks.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from _grading.checks import Wrong

Mistakes = Mapping[str, Any | Callable[[], Any]]


def expect(
    got: Any,
    right: Any,
    *,
    what: str = "the answer",
    mistakes: Mistakes | None = None,
    otherwise: str = "",
    tolerance: float = 1e-6,
) -> None:
    """Raise `Wrong(diagnose(...))` unless `got` equals `right`; see `diagnose`."""
    if not equal(got, right, tolerance):
        raise Wrong(diagnose(got, right, mistakes or {}, otherwise, what, tolerance))


def diagnose(
    got: Any,
    right: Any,
    mistakes: Mistakes,
    otherwise: str = "",
    what: str = "the answer",
    tolerance: float = 1e-6,
) -> str:
    """Return one sentence about a wrong answer.

    Args:
        got, right: what came, and what was expected: numbers, text, tensors, and lists, tuples
            and dicts of them.
        mistakes: sentence -> what that mistake would give (a value, or a function without
            arguments). A mistake that gives the right answer here cannot be told, and is not.
        otherwise: said before the first difference if no mistake fits, or more than one.
        what: name of what is compared.
        tolerance: of numbers, absolute and relative.
    """
    found = []
    for sentence, wrong in mistakes.items():
        value = wrong() if callable(wrong) else wrong
        if equal(got, value, tolerance):
            found.append(sentence)
    if len(found) == 1:
        return found[0]
    place = difference(got, right, tolerance, what) or f"{what} is not what was expected"
    return f"{otherwise}: {place}" if otherwise else place


def expect_names(
    got: Any, right: Collection[str], *, what: str = "names", mistakes: Mistakes | None = None
) -> None:
    """Raise `Wrong` unless `got` has exactly these names, in any order, each once.

    The sentence is that of the one mistake that gives this set; otherwise it says which names
    are missing and which are too many.
    """
    if not isinstance(got, (list, tuple)) or not all(isinstance(name, str) for name in got):
        raise Wrong(f"{what}: expected a list of str, got {describe(got)}")
    if set(got) == set(right):
        if twice := sorted(name for name, times in Counter(got).items() if times > 1):
            raise Wrong(f"{what}: more than once there are {_some(twice)}")
        return
    found = [
        sentence
        for sentence, wrong in (mistakes or {}).items()
        if set(got) == set(wrong() if callable(wrong) else wrong)
    ]
    raise Wrong(found[0] if len(found) == 1 else names(got, right, what))


def names(got: Iterable[str], right: Iterable[str], what: str = "names") -> str:
    """Return which names are missing and which are too many."""
    got, right = set(got), set(right)
    missing, extra = sorted(right - got), sorted(got - right)
    parts = [f"missing {_some(missing)}"] if missing else []
    parts += [f"too many {_some(extra)}"] if extra else []
    return f"{what}: {'; '.join(parts)}"


def _some(listed: list[str]) -> str:
    shown = ", ".join(listed[:3])
    return shown + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def equal(got: Any, right: Any, tolerance: float = 1e-6) -> bool:
    """Whether two values are the same, numbers within the tolerance, list or tuple alike."""
    return difference(got, right, tolerance) is None


def difference(got: Any, right: Any, tolerance: float = 1e-6, where: str = "it") -> str | None:
    """Return the first place where two values differ, in words; None if they do not."""
    if isinstance(right, Tensor):
        return _tensor_difference(got, right, tolerance, where)
    if isinstance(got, Tensor) and got.dim() == 0 and isinstance(right, (bool, int, float)):
        got = got.item()
    if _is_number(right) and _is_number(got):
        if _close(float(got), float(right), tolerance):
            return None
        return f"{where} is {got:.6g}, expected {right:.6g}"
    if isinstance(right, (list, tuple)) and isinstance(got, (list, tuple)):
        for index, (a, b) in enumerate(zip(got, right)):
            if found := difference(a, b, tolerance, f"{where}[{index}]"):
                return found
        if len(got) != len(right):
            return f"{where} has {len(got)} entries, expected {len(right)}"
        return None
    if isinstance(right, dict) and isinstance(got, dict):
        if set(map(str, got)) != set(map(str, right)):
            return names(map(str, got), map(str, right), f"keys of {where}")
        for key, value in right.items():
            if found := difference(got.get(key), value, tolerance, f"{where}[{key!r}]"):
                return found
        return None
    if type(got) is type(right) and got == right:
        return None
    return f"{where} is {describe(got)}, expected {describe(right)}"


def describe(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "...")
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(got: float, right: float, tolerance: float) -> bool:
    if got != got or right != right:
        return got != got and right != right
    if got == right:
        return True
    if abs(right) == float("inf") or abs(got) == float("inf"):
        return False
    return abs(got - right) <= tolerance * max(1.0, abs(right))


def _tensor_difference(got: Any, right: Tensor, tolerance: float, where: str) -> str | None:
    if not isinstance(got, Tensor):
        return f"{where} is {describe(got)}, expected {describe(right)}"
    if got.shape != right.shape:
        return f"{where} has the shape {tuple(got.shape)}, expected {tuple(right.shape)}"
    a, b = got.to(torch.float64), right.to(torch.float64)
    same = (a == b) | (a.isnan() & b.isnan())
    near = (a - b).abs() <= tolerance * b.abs().clamp(min=1.0)
    wrong = ~(same | (near & b.isfinite()))
    if not wrong.any():
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    place = "".join(f"[{i}]" for i in index)
    return f"{where}{place} is {a[index].item():.6g}, expected {b[index].item():.6g}"
