"""The kind of task "measure and explain": graded by numbers that the student worked out.

Claim    A number is right within a stated band, and no sentence tells it. A mistake is named only
         if its number is met and no other known mistake's is; otherwise a hint says where to look.
Proof    tests/tutorials/test_grading_checks.py

In exercise.py:

    ANSWERS = {"layer_parameters": None}

In check_exercise.py:

    @check(task=5, points=2)
    def check_layer_parameters(student, draw):
        grade_number(student, "layer_parameters", 7_087_872, {
            "the two LayerNorms are missing": 7_084_800,
        }, hint="count the tensors of one layer")
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from _grading.checks import Wrong
from _grading.student import Student


def answered_number(student: Student, key: str) -> float:
    """Return ANSWERS[key], which is to be a number."""
    got = student.answer(key)
    if isinstance(got, Tensor) and got.numel() == 1:
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, (int, float)) or not math.isfinite(got):
        raise Wrong(f'ANSWERS["{key}"] is to be a number')
    return got


def grade_number(
    student: Student,
    key: str,
    right: float,
    mistakes: Mapping[str, float | tuple[float, float]],
    hint: str,
    *,
    band: float = 0.0,
    share: float = 1e-9,
) -> None:
    """Compare ANSWERS[key] with a number.

    Args:
        student: the submission.
        key: of the answer.
        right: the number.
        mistakes: a sentence -> what that mistake gives, or (what it gives, its own band).
        hint: said where no mistake fits, or more than one.
        band: distance that is allowed.
        share: distance that is allowed, as a share of the number; the larger of both counts.

    Raises:
        Wrong: unless the answer is right.
    """
    got = answered_number(student, key)

    def near(value: float | tuple[float, float]) -> bool:
        value, own = value if isinstance(value, tuple) else (value, band)
        return abs(got - value) <= max(own, share * abs(value))

    if near(right):
        return
    found = [sentence for sentence, value in mistakes.items() if near(value)]
    if len(found) == 1:
        raise Wrong(f'ANSWERS["{key}"]: {found[0]}')
    raise Wrong(f'ANSWERS["{key}"] is not {got:.10g}: {hint}')
