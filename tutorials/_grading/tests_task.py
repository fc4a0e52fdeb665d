"""The kind of task "write the test": graded by the wrong versions that the student's test finds.

Claim    The candidates live in the grader's process; the student's process sees what they return
         and nothing else, neither names nor lines of them. So a test can find a wrong version only
         by calling it. Each meets a fresh process: a test cannot compare one with the one before.
         A test that fails a right version gets no point, however many wrong ones it fails; each
         right one is tried twice, so that a test that throws dice fails one.
Proof    tests/tutorials/test_grading_checks.py

In exercise.py:

    def test_softmax(candidate):
        assert candidate([0.0, 0.0]) == [0.5, 0.5]

In check_exercise.py:

    @check(task=3, points=6)
    def check_your_test(student, draw):
        grade_test(student, draw, "test_softmax", [softmax, other_softmax], {
            "does not divide by the sum": undivided,
        })
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from _grading.checks import Draw, Wrong, at_most
from _grading.student import Failure, Student

CANDIDATE_SECONDS = 3.0


def grade_test(
    student: Student,
    draw: Draw,
    test: str,
    right: Sequence[Callable],
    wrong: Mapping[str, Callable],
    args: Sequence[Any] = (),
) -> None:
    """Give points by the share of wrong candidates on which the student's test fails.

    Args:
        student: the submission.
        draw: the order of the candidates is drawn, so a test cannot count them off.
        test: name of the student's function `test(candidate, *args)`.
        right: at least two right candidates, written differently: what a test must accept.
        wrong: what a candidate does wrong, as the end of "one that ...", -> the candidate.
        args: what the test gets beside the candidate.

    Raises:
        Wrong: with the share of wrong candidates found, unless all were.
    """
    kinds = [("", candidate) for candidate in right] * 2 + list(wrong.items())
    draw.random.shuffle(kinds)
    refused, survivors = None, []
    for sentence, candidate in kinds:
        student.restart()
        outcome = student.try_test(test, _in_time(candidate), *args)
        if isinstance(outcome, Failure) and outcome.kind in ("load", "missing", "not done"):
            raise Wrong(outcome.sentence)
        if isinstance(outcome, Failure) and outcome.kind != "raised":
            refused = refused or outcome.sentence  # it loops or dies: that is not a verdict
        elif not sentence and outcome is not None:
            refused = f"`{test}` fails a version that is right: {outcome.sentence}"
        elif sentence and outcome is None:
            survivors.append(sentence)
    if refused:
        raise Wrong(refused)
    if survivors:
        # The one named is the first in the author's order, whatever order they were run in.
        first = next(sentence for sentence in wrong if sentence in survivors)
        raise Wrong(
            f"`{test}` finds {len(wrong) - len(survivors)} of {len(wrong)} wrong versions; "
            f"it passes one that {first}",
            share=1 - len(survivors) / len(wrong),
        )


def _in_time(candidate: Callable) -> Callable:
    """Return the candidate with a limit of time: what it is called with is the student's choice."""

    @functools.wraps(candidate)
    def limited(*args: Any) -> Any:
        said = "the candidate took too long on this input; test a smaller one"
        with at_most(CANDIDATE_SECONDS, ValueError(said)):
            return candidate(*args)

    return limited
