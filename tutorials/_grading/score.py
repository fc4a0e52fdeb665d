"""From a submission to a report: every check is run, and the report is true whatever happens.

Claim    Points are given in this process only, by checks that returned. If the grader itself fails
         the report says so and has no mark in it. Points by hand are listed and never given.
Proof    tests/test_graders.py
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from _grading.checks import PUBLIC, Assignment, Check, Wrong
from _grading.process import GraderError, Launcher
from _grading.student import Limits, Student

UNFINISHED = "the grader did not finish: this is not your mark"


@dataclass(frozen=True)
class Result:
    """What came of one check.

    Args:
        check, task, points: as the assignment has them.
        given: points given.
        sentence: what is wrong; "" if nothing is.
    """

    check: str
    task: int
    points: int
    given: float
    sentence: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.sentence


@dataclass(frozen=True)
class Report:
    """What is known about one submission.

    Args:
        assignment: what was graded.
        results: one a check, in order; fewer if the grader did not finish.
        salted: whether checks drew from a term's salt and not from the public one.
        trouble: why the grader did not finish; "" if it did.
        output: what the submission printed, cut.
        notes: about the grading, for the teacher.
    """

    assignment: Assignment
    results: tuple[Result, ...]
    salted: bool = False
    trouble: str = ""
    output: str = ""
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether this is a mark at all."""
        return not self.trouble

    @property
    def given(self) -> float:
        """Points that the machine gave."""
        return round(sum(result.given for result in self.results), 2)

    @property
    def next_step(self) -> str:
        """The sentence of the first check that was not passed: where to continue."""
        return next((r.sentence for r in self.results if not r.passed), "")


def grade(
    assignment: Assignment,
    exercise: str,
    launcher: Launcher,
    salt: str = PUBLIC,
    limits: Limits | None = None,
    only: str | None = None,
) -> Report:
    """Grade one submission.

    Args:
        assignment: from `checks.load`.
        exercise: text of the submitted exercise.py.
        launcher: where the student's processes come from; may serve many submissions.
        salt: of the term.
        limits: of each question to the submission.
        only: name of the one check to run; None means all.
    """
    student = Student(launcher, exercise, assignment.harness, limits)
    forbidden = _forbidden_import(exercise, assignment.without)
    results, trouble = [], ""
    try:
        for check in assignment.checks:
            if only in (None, check.name):
                results.append(_result(check, assignment, student, salt, forbidden))
    except GraderError as error:
        trouble = str(error)
    except Exception as error:  # a check that does not hold is not the student's mistake
        trouble = f"{check.name}: {type(error).__name__}: {error}"
    finally:
        student.close()
    notes = () if launcher.isolated else ("graded code ran as the grader's own user",)
    return Report(
        assignment, tuple(results), salt != PUBLIC, trouble, printable(student.output), notes
    )


def _result(
    check: Check, assignment: Assignment, student: Student, salt: str, forbidden: str
) -> Result:
    try:
        if forbidden:
            raise Wrong(forbidden)
        check.function(student, assignment.draw(check, salt))
    except Wrong as wrong:
        given = round(check.points * wrong.share, 2)
        return Result(check.name, check.task, check.points, given, printable(str(wrong)))
    return Result(check.name, check.task, check.points, float(check.points))


def _forbidden_import(exercise: str, without: tuple[str, ...]) -> str:
    """Return what to say to a submission that imports its own solution; "" if it does not.

    A reminder, not a lock: who wants to can hide an import from it.
    """
    try:
        tree = ast.parse(exercise)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # the student's process says where
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if any(name == module or name.startswith(f"{module}.") for module in without):
                return f"line {node.lineno} of exercise.py imports {name}, which you are to write"
    return ""


def printable(text: str) -> str:
    """Return text that any terminal and any file can take; a submission chose some of it."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def read_exercise(submission: Path) -> str:
    """Return the text of a submitted exercise.py, given the file or its folder.

    Raises:
        Wrong: if there is none; the sentence is the student's.
    """
    file = submission / "exercise.py" if submission.is_dir() else submission
    if not file.is_file():
        raise Wrong(f"there is no {file.name} in what was handed in")
    if file.stat().st_size > 2**20:
        raise Wrong(f"{file.name} is larger than a megabyte: that is not what the hand-out gave")
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Wrong(f"{file.name} is not a text in UTF-8; save it as that") from None


def refused(assignment: Assignment, sentence: str, salt: str = PUBLIC) -> Report:
    """Return the report on what cannot be graded at all: nothing, with the sentence everywhere."""
    results = (Result(c.name, c.task, c.points, 0.0, sentence) for c in assignment.checks)
    return Report(assignment, tuple(results), salt != PUBLIC)
