"""A report as files and as text: our results.json, Gradescope's, and a table to read.

Claim    A results file is there from the first moment on and never says more than is known: before
         the end it says that the grader did not finish. It is replaced whole or not at all.
Source   Gradescope: https://gradescope-autograders.readthedocs.io/en/latest/specs/ (results.json).
Differs  Not run against the real service. A grader that did not finish gives Gradescope no score
         and no test, which that page calls incomplete: a mark of 0 would be a lie.
Proof    tests/test_graders.py
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from _grading.checks import Assignment
from _grading.score import UNFINISHED, Report, Result, printable
from minift.errors import MiniftError


def as_json(report: Report) -> dict[str, Any]:
    """Return our results.json; `score` is null where there is no mark."""
    assignment = report.assignment
    return {
        "assignment": assignment.name,
        "status": "finished" if report.finished else UNFINISHED,
        "trouble": report.trouble or None,
        "checks": "hidden" if report.salted else "public",
        "score": report.given if report.finished else None,
        "max_score": assignment.points,
        "sandbox": not report.unsafe,
        "later": report.later,
        "by_hand": [
            {"task": n, "title": task.title, "max_score": task.hand, "score": None}
            for n, task in assignment.tasks.items()
            if task.hand
        ],
        "tests": [
            {
                "name": result.check,
                "task": result.task,
                "score": result.given,
                "max_score": result.points,
                "passed": result.passed,
                "later": result.later,
                "output": result.sentence,
            }
            for result in report.results
        ],
        "printed": report.output,
        "notes": [*_unsafe(report), *report.notes],
    }


def _unsafe(report: Report) -> list[str]:
    """Return the first line of every report of code that ran in no room of its own."""
    if not report.unsafe:
        return []
    return [
        f"UNSAFE: graded without a sandbox ({report.unsafe}); the code could read and change what "
        "the user that ran it may"
    ]


def as_gradescope(report: Report, visibility: str = "visible") -> dict[str, Any]:
    """Return Gradescope's results.json.

    Args:
        report: what is known.
        visibility: of the tests: "visible", "after_due_date", "after_published" or "hidden".
    """
    if not report.finished:
        return {"output": f"{UNFINISHED}. Tell your teacher: {report.trouble}"}
    assignment = report.assignment
    lines = [*_unsafe(report), f"{report.given:g} of {assignment.points} points by machine."]
    if assignment.hand_points:
        lines.append(f"{assignment.hand_points} more are given by hand.")
    if report.next_step:
        lines.append(f"Begin here: {report.next_step}")
    return {
        "score": report.given,
        "output": "\n".join(lines),
        "stdout_visibility": "hidden",
        "tests": [
            {
                "name": f"Task {r.task}: {title(r.check)}",
                "number": f"{r.task}.{_place(report, r)}",
                "score": r.given,
                "max_score": r.points,
                "status": "passed" if r.passed else "failed",
                "output": r.sentence or "right",
                "visibility": visibility,
            }
            for r in report.results
        ],
    }


def _place(report: Report, result: Result) -> int:
    """Return the number of a result within its task, from 1 on."""
    return [r for r in report.results if r.task == result.task].index(result) + 1


def unfinished(assignment: Assignment, trouble: str = "it was stopped") -> Report:
    """Return the report to begin with: that there is none yet."""
    return Report(assignment, (), trouble=printable(trouble))


def write(path: Path, content: dict[str, Any] | str) -> None:
    """Write a results file whole or not at all: into a file of our own, and then in its place.

    Raises:
        MiniftError: if it cannot be written.
    """
    if not isinstance(content, str):
        content = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".results-")  # O_EXCL
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(made).chmod(0o644)
            Path(made).replace(path)  # a link that stands there is replaced, not followed
        except BaseException:
            with contextlib.suppress(OSError):
                Path(made).unlink()
            raise
    except OSError as error:
        raise MiniftError(f"cannot write {path}: {error.strerror}") from None


_COLUMNS = ("student", "file", "assignment", "points", "of", "status")


def as_csv(rows: Sequence[dict[str, Any]], tasks: int) -> str:
    """Return a table of marks, a line a hand-in, for a spreadsheet.

    No cell is a formula, whatever a student called a file or wrote: a spreadsheet would run it.
    Not even if it is one that takes each line, or what stands behind a semicolon, for a cell.
    """
    columns = [*_COLUMNS, *(f"task {n}" for n in range(1, tasks + 1)), "begin here", "notes"]
    made = io.StringIO()
    writer = csv.DictWriter(made, [*columns, "explanation"], restval="", extrasaction="raise")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return made.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub(r"(^|[;,\n])([\s'\"]*[=+\-@])", r"\1'\2", printable(value))


def row(name: str, file: str, report: Report, explanation: str) -> dict[str, Any]:
    """Return the line of a hand-in."""
    found = {
        "student": name,
        "file": file,
        "assignment": report.assignment.name,
        "points": report.given if report.finished else "",
        "of": report.assignment.points,
        "status": "graded" if report.finished else f"{UNFINISHED}: {report.trouble}",
        "begin here": report.next_step,
        "notes": "; ".join([*_unsafe(report), *report.notes]),
        "explanation": explanation,
    }
    if report.finished:
        for number in report.assignment.tasks:
            given = sum(r.given for r in report.results if r.task == number)
            found[f"task {number}"] = round(given, 2)
    return found


def title(check: str) -> str:
    """check_bias_names -> bias names"""
    return check.removeprefix("check_").replace("_", " ")


def as_text(report: Report) -> str:
    """Return the table for the terminal; it begins with what to do next."""
    assignment = report.assignment
    lines = [*_unsafe(report), f"{assignment.name}: {assignment.title}", ""]
    if not report.finished:
        return "\n".join([*lines, f"{UNFINISHED}.", f"Trouble: {report.trouble}"])
    if report.next_step:
        lines += [fill(f"Begin here: {report.next_step}", 96, subsequent_indent="  "), ""]
    for number, task in assignment.tasks.items():
        lines.append(f"Task {number}. {task.title}")
        for result in report.results:
            if result.task == number:
                mark = "ok" if result.passed else ".." if result.later else "--"
                points = f"{'?' if result.later else f'{result.given:g}'}/{result.points}"
                lines.append(f"  {mark} {points:>6}  {title(result.check)}")
                if result.sentence:
                    indent = " " * 13
                    text = fill(
                        result.sentence, 96, initial_indent=indent, subsequent_indent=indent
                    )
                    lines.append(text)
        if task.hand:
            lines.append(f"     ../{task.hand}  by hand")
    kind = "hidden" if report.salted else "public"
    total = f"{report.given:g} of {assignment.points} points by machine ({kind} checks)"
    total += f"; {report.later} judged after handing in" * bool(report.later)
    lines += ["", total + (f"; {assignment.hand_points} by hand" * bool(assignment.hand_points))]
    lines += [f"Note: {note}" for note in report.notes]
    if report.output.strip():
        printed = report.output.strip().splitlines()
        more = [f"  [{len(printed) - 20} lines more]"] if len(printed) > 20 else []
        lines += ["", "It printed:", *(f"  {line[:200]}" for line in printed[:20]), *more]
    return "\n".join(lines)
