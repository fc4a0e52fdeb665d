"""Grade assignments: python tutorials/grade.py 05 [--submission FOLDER_OR_FILE]

Claim    The same checks run on the student's machine and on the teacher's; a results file is there
         whatever the submission does, and says what is known.
Proof    tests/test_graders.py

    grade.py list                       the assignments there are
    grade.py 05                         grade tutorials/05_.../exercise.py with the public checks
    grade.py 05 --submission F --salt TERM --json results.json
    grade.py submission ARCHIVE 05      is this archive all right? (before handing it in)
    grade.py export student|gradescope|github|otter 05 --out DIR [--salt TERM]

A term's salt makes the hidden checks. It may also stand in the environment variable MINIFT_SALT
or in a file: --salt @FILE.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
if (ROOT.parent / "minift").is_dir():
    sys.path.insert(1, str(ROOT.parent))  # this checkout's minift, installed or not

try:
    from _grading import results, score
    from _grading.checks import PUBLIC, Assignment, Wrong, find, load
    from _grading.process import Launcher
    from _grading.submission import complaints
    from minift.errors import MiniftError
except ModuleNotFoundError as error:
    sys.exit(f"{error}; install minift first: pip install -e . in its folder")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 (done, all points), 1 (points lost), 2 (usage), 3 (no mark)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"list": _list, "submission": _submission, "export": _export}
    command = commands.get(words[0]) if words else None
    try:
        return command(words[1:]) if command else _grade(words)
    except MiniftError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _list(_: Sequence[str]) -> int:
    for folder in find(ROOT):
        assignment = load(folder)
        minutes = sum(task.minutes for task in assignment.tasks.values())
        print(
            f"{assignment.name:<28}{assignment.points:>3} points by machine, "
            f"{assignment.hand_points:>2} by hand, {minutes:>3} minutes  {assignment.title}"
        )
    return 0


def _grade(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="grade.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    alone = (ROOT / "check_exercise.py").is_file()  # in a student's bundle
    parser.add_argument("assignment", nargs="?" if alone else None, help="05, or 05_bitfit")
    parser.add_argument("--submission", type=Path, help="folder or file (default: exercise.py)")
    parser.add_argument("--salt", help="of the term, for hidden checks; @FILE reads it from there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results there")
    parser.add_argument("--gradescope", type=Path, metavar="FILE", help="the same, for Gradescope")
    options = parser.parse_args(words)
    salt = _salt(options.salt)
    assignment = load(find(ROOT, options.assignment)[0])

    def write(report: score.Report) -> None:
        if options.json:
            results.write(options.json, results.as_json(report))
        if options.gradescope:
            results.write(options.gradescope, results.as_gradescope(report))

    write(results.unfinished(assignment))
    report = _report(assignment, options.submission or assignment.folder, salt)
    write(report)
    print(results.as_text(report))
    if not report.finished:
        return 3
    return 0 if report.given == assignment.points else 1


def _report(assignment: Assignment, submission: Path, salt: str) -> score.Report:
    try:
        exercise = score.read_exercise(submission)
    except Wrong as wrong:
        found = complaints(submission, assignment) or [str(wrong)]
        return score.refused(assignment, found[0], salt)
    try:
        with Launcher() as launcher:
            return score.grade(assignment, exercise, launcher, salt)
    except Exception as error:
        return results.unfinished(assignment, f"{type(error).__name__}: {error}")


def _salt(given: str | None) -> str:
    """Return the term's salt, and take it away from where a child could look for it."""
    from_environment = os.environ.pop("MINIFT_SALT", None)
    if given is None:
        return from_environment or PUBLIC
    if given.startswith("@"):
        path = Path(given[1:])
        if not path.is_file():
            raise MiniftError(f"there is no file {path} to read the salt from")
        given = path.read_text(encoding="utf-8")
    return given.strip() or PUBLIC


def _submission(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="grade.py submission")
    parser.add_argument("archive", type=Path, help="a .zip, a folder, or exercise.py")
    parser.add_argument("assignment", nargs="?", help="05, or 05_bitfit")
    options = parser.parse_args(words)
    assignment = load(find(ROOT, options.assignment)[0])
    found = complaints(options.archive, assignment)
    print(*found or [f"{options.archive} can be handed in for {assignment.name}"], sep="\n")
    return 1 if found else 0


def _export(words: Sequence[str]) -> int:
    try:
        from _grading import bundle
    except ImportError:
        raise MiniftError("exports are made in a checkout of minift, not in a bundle") from None
    parser = argparse.ArgumentParser(prog="grade.py export")
    parser.add_argument("target", choices=sorted(bundle.TARGETS))
    parser.add_argument("assignment", help="05, or 05_bitfit")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--salt", help="of the term; gradescope needs one")
    options = parser.parse_args(words)
    assignment = load(find(ROOT, options.assignment)[0])
    made = bundle.TARGETS[options.target](assignment, options.out, _salt(options.salt))
    print(*made, sep="\n")
    return 0


def _hide_salt(words: list[str]) -> None:
    """Start again without the salt in the command line, which every process can read (POSIX)."""
    if "--salt" not in words or not hasattr(os, "fork"):
        return
    at = words.index("--salt")
    if at + 1 < len(words) and not words[at + 1].startswith("@"):
        rest = [*words[:at], *words[at + 2 :]]
        environment = {**os.environ, "MINIFT_SALT": words[at + 1]}
        os.execve(sys.executable, [sys.executable, __file__, *rest], environment)


if __name__ == "__main__":
    _hide_salt(sys.argv[1:])
    sys.exit(main())
