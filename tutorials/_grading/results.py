"""A report as files and as text: our results.json, Gradescope's, and a table to read.

Claim    A results file is there from the first moment on and never says more than is known: before
         the end it says that the grader did not finish. It is replaced whole or not at all.
Source   Gradescope: https://gradescope-autograders.readthedocs.io/en/latest/specs/ (results.json).
Differs  Not run against the real service. A grader that did not finish gives Gradescope no score
         and no test, which that page calls incomplete: a mark of 0 would be a lie.
Proof    tests/test_graders.py
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

from _grading.checks import Assignment
from _grading.score import UNFINISHED, Report
from minift.files import atomic_write


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
                "output": result.sentence,
            }
            for result in report.results
        ],
        "printed": report.output,
        "notes": list(report.notes),
    }


def as_gradescope(report: Report, visibility: str = "visible") -> dict[str, Any]:
    """Return Gradescope's results.json.

    Args:
        report: what is known.
        visibility: of the tests: "visible", "after_due_date", "after_published" or "hidden".
    """
    if not report.finished:
        return {"output": f"{UNFINISHED}. Tell your teacher: {report.trouble}"}
    assignment = report.assignment
    lines = [f"{report.given:g} of {assignment.points} points by machine."]
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
                "number": f"{r.task}.{number}",
                "score": r.given,
                "max_score": r.points,
                "status": "passed" if r.passed else "failed",
                "output": r.sentence or "right",
                "visibility": visibility,
            }
            for number, r in enumerate(report.results, start=1)
        ],
    }


def unfinished(assignment: Assignment, trouble: str = "it was stopped") -> Report:
    """Return the report to begin with: that there is none yet."""
    return Report(assignment, (), trouble=trouble)


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a results file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def title(check: str) -> str:
    """check_bias_names -> bias names"""
    return check.removeprefix("check_").replace("_", " ")


def as_text(report: Report) -> str:
    """Return the table for the terminal; it begins with what to do next."""
    assignment = report.assignment
    lines = [f"{assignment.name}: {assignment.title}", ""]
    if not report.finished:
        return "\n".join([*lines, f"{UNFINISHED}.", f"Trouble: {report.trouble}"])
    if report.next_step:
        lines += [fill(f"Begin here: {report.next_step}", 96, subsequent_indent="  "), ""]
    for number, task in assignment.tasks.items():
        lines.append(f"Task {number}. {task.title}")
        for result in report.results:
            if result.task == number:
                mark = "ok" if result.passed else "--"
                points = f"{result.given:g}/{result.points}"
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
    lines += ["", total + (f"; {assignment.hand_points} by hand" * bool(assignment.hand_points))]
    if report.output.strip():
        printed = report.output.strip().splitlines()
        more = [f"  [{len(printed) - 20} lines more]"] if len(printed) > 20 else []
        lines += ["", "It printed:", *(f"  {line[:200]}" for line in printed[:20]), *more]
    return "\n".join(lines)
