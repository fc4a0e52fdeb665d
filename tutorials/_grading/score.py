"""From a submission to a report: every check is run, and the report is true whatever happens.

Claim    Points are given in this process only, by checks that returned. If the grader itself fails
         the report says so and has no mark in it. Points by hand are listed and never given.
Proof    tests/test_graders.py
"""

from __future__ import annotations

from dataclasses import dataclass

from _grading.checks import PUBLIC, Assignment, Check, Later, Wrong, at_most
from _grading.process import GraderError, Launcher
from _grading.student import Limits, Student
from _grading.submission import literal

DOCSTRING = "is it what the docstring says that it returns?"
ANOTHER_QUESTION = "its QUESTION is not this term's: was it handed out without this salt?"
UNFINISHED = "the grader did not finish: this is not your mark"


CHECK_SECONDS = 60.0  # of the grader's own processor time: an answer may have a million parts


class TooLong(Exception):
    """A check that the student's answer keeps busy."""


@dataclass(frozen=True)
class Result:
    """What came of one check.

    Args:
        check, task, points: as the assignment has them.
        given: points given.
        sentence: what is wrong; "" if nothing is.
        later: whether this is judged after handing in only; `sentence` then says so.
    """

    check: str
    task: int
    points: int
    given: float
    sentence: str = ""
    later: bool = False

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
        unsafe: why the code ran in no room of its own; "" if it did.
    """

    assignment: Assignment
    results: tuple[Result, ...]
    salted: bool = False
    trouble: str = ""
    output: str = ""
    notes: tuple[str, ...] = ()
    unsafe: str = ""

    @property
    def finished(self) -> bool:
        """Whether this is a mark at all."""
        return not self.trouble

    @property
    def given(self) -> float:
        """Points that the machine gave."""
        return round(sum(result.given for result in self.results), 2)

    @property
    def later(self) -> int:
        """Points that are given after handing in only."""
        return sum(result.points for result in self.results if result.later)

    @property
    def next_step(self) -> str:
        """The sentence of the first check that was not passed: where to continue."""
        return next((r.sentence for r in self.results if not r.passed and not r.later), "")


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
    student = Student(launcher, exercise, assignment.harness, limits, assignment.modules)
    results, notes, trouble = [], [], ""
    written = literal(exercise, "QUESTION")
    if written is not None and written != assignment.question(salt):
        notes.append(ANOTHER_QUESTION)
    try:
        unsafe = launcher.refused
        for check in assignment.checks:
            if only in (None, check.name):
                result, note = _result(check, assignment, student, salt)
                results.append(result)
                notes += [note] if note else []
    except GraderError as error:
        trouble, unsafe = str(error), ""
    finally:
        student.close()
    output = printable(student.output)
    salted = salt != PUBLIC
    return Report(assignment, tuple(results), salted, trouble, output, tuple(notes), unsafe)


def _result(
    check: Check, assignment: Assignment, student: Student, salt: str
) -> tuple[Result, str]:
    """Return what came of a check, and a note for the teacher where it could not be held."""
    note = ""
    try:
        with at_most(CHECK_SECONDS, TooLong("judging it took too long"), own=True):
            check.function(student, assignment.draw(check, salt))
        return Result(check.name, check.task, check.points, float(check.points)), ""
    except Later as later:
        return Result(check.name, check.task, check.points, 0.0, str(later), later=True), ""
    except Wrong as wrong:
        given, said = round(check.points * wrong.share, 2), str(wrong)
    except GraderError:
        raise
    except Exception as error:
        # An answer of a form that the author did not think of: it costs this check and no other.
        given, said = 0.0, f"{student.asked} gives what cannot be judged: {DOCSTRING}"
        note = f"{check.name} itself raised {type(error).__name__}: {printable(str(error))[:200]}"
    return Result(check.name, check.task, check.points, given, printable(said)), note


def printable(text: str) -> str:
    """Return text that any terminal and any file can take; a submission chose some of it."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else "?" for c in text)


def refused(assignment: Assignment, sentence: str, salt: str = PUBLIC) -> Report:
    """Return the report on what cannot be graded at all: nothing, with the sentence everywhere."""
    said = printable(sentence)  # it may have a file's name in it
    results = (Result(c.name, c.task, c.points, 0.0, said) for c in assignment.checks)
    return Report(assignment, tuple(results), salt != PUBLIC)
