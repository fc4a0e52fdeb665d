"""`python -m pytest check_exercise.py`: each check is an item, with its points and its sentence.

Claim    pytest shows what grade.py shows. pytest runs in the grader's process; what a submission
         does to its own pytest, or to its own torch.allclose, is not seen here.
Proof    tests/tutorials/test_grading_bundle.py
"""

from __future__ import annotations

import pytest

from _grading.checks import load
from _grading.process import Launcher
from _grading.results import title
from _grading.score import UNFINISHED, Report, grade
from _grading.submission import read_exercise

LAUNCHER = pytest.StashKey[Launcher]()


class CheckFile(pytest.File):
    """A check_exercise.py with the exercise.py beside it."""

    def collect(self):
        """Yield an item a check."""
        self.assignment = load(self.path.parent)
        for check in self.assignment.checks:
            yield CheckItem.from_parent(self, name=check.name, check=check)


class CheckItem(pytest.Item):
    """One check; it fails with one sentence and no traceback."""

    def __init__(self, *, check, **more):
        super().__init__(**more)
        self.check = check

    def runtest(self) -> None:
        """Grade this check alone."""
        assignment = self.parent.assignment
        launcher = self.config.stash.setdefault(LAUNCHER, None) or Launcher()
        self.config.stash[LAUNCHER] = launcher
        exercise = read_exercise(assignment.folder / "exercise.py")
        report = grade(assignment, exercise, launcher, only=self.check.name)
        self.user_properties.append(("points", f"{report.given:g}/{self.check.points}"))
        if report.later:
            pytest.skip(report.results[0].sentence)
        if not report.finished or report.next_step:
            raise Lost(report)

    def repr_failure(self, excinfo, style=None) -> str:
        """Return the sentence."""
        if not isinstance(excinfo.value, Lost):
            return str(excinfo.value)
        report = excinfo.value.report
        if not report.finished:
            return f"{UNFINISHED} ({report.trouble})"
        return f"{report.given:g} of {self.check.points} points: {report.next_step}"

    def reportinfo(self):
        """Name the item by its task."""
        return self.path, None, f"task {self.check.task}: {title(self.check.name)}"


class Lost(Exception):
    """A check that was not passed."""

    def __init__(self, report: Report):
        super().__init__(report.next_step)
        self.report = report


def pytest_collect_file(file_path, parent):
    """Take check_exercise.py as a file of checks."""
    if file_path.name == "check_exercise.py":
        return CheckFile.from_parent(parent, path=file_path)
    return None


def pytest_unconfigure(config) -> None:
    """End the student's processes."""
    if launcher := config.stash.get(LAUNCHER, None):
        launcher.close()


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the points."""
    given = total = 0.0
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "points":
                    given += float(value.split("/")[0])
                    total += float(value.split("/")[1])
    if total:
        terminalreporter.write_line(f"{given:g} of {total:g} points by machine")
