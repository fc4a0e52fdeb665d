"""Grade assignments: python tutorials/grade.py 05 [--submission FOLDER_OR_FILE]

Claim    The same checks run on the student's machine and on the teacher's; a results file is there
         whatever the submission does, and says what is known. Other people's code runs in a room of
         its own, or not at all.
Proof    tests/test_graders.py

    grade.py list                       the assignments there are
    grade.py 05                         grade tutorials/05_.../exercise.py with the public checks
    grade.py 05 --submission F --salt salt.txt --json results.json
    grade.py all HANDED_IN 05 --salt salt.txt --csv marks.csv
    grade.py submission ARCHIVE 05      is this archive all right? (before handing it in)
    grade.py answers 05 --salt salt.txt the right numbers of this term's "measure" (for the teacher)
    grade.py export student|gradescope|github|otter|all 05|all --out DIR [--salt salt.txt]

A term's salt makes the hidden checks. It stands in a file, or is asked for: --salt ask.
"""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
if (ROOT.parent / "minift").is_dir():
    sys.path.insert(1, str(ROOT.parent))  # this checkout's minift, installed or not

try:
    import torch

    from _grading import results, score
    from _grading.checks import PUBLIC, Assignment, Wrong, find, load
    from _grading.process import GraderError, Launcher
    from _grading.submission import complaints, explanation, functions, is_rubbish, read_exercise
    from minift.errors import MiniftError
except ModuleNotFoundError as error:
    sys.exit(f"{error}; install minift first: pip install -e . in its folder")

SALT_HELP = "file with the word of this term, for hidden checks; ask: type it"
UNSAFE_HELP = "run other people's code even where this system makes no sandbox for it"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 (done, all points), 1 (points lost), 2 (usage), 3 (no mark)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {
        "list": _list,
        "all": _all,
        "submission": _submission,
        "answers": _answers,
        "export": _export,
    }
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
    parser.add_argument("--submission", type=Path, help="folder, file or .zip (default: yours)")
    parser.add_argument("--salt", metavar="FILE", help=SALT_HELP)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results there")
    parser.add_argument("--gradescope", type=Path, metavar="FILE", help="the same, for Gradescope")
    parser.add_argument("--unsafe", action="store_true", help=UNSAFE_HELP)
    options = parser.parse_args(words)
    salt = _salt(options.salt)
    assignment = load(find(ROOT, options.assignment)[0])
    own = options.submission is None
    submission = assignment.folder / "exercise.py" if own else options.submission
    _read_or_wrong(submission, assignment)  # a wrong path is told before anything is written
    written = [path for path in (options.json, options.gradescope) if path]

    def write(report: score.Report) -> None:
        if options.json:
            results.write(options.json, results.as_json(report))
        if options.gradescope:
            results.write(options.gradescope, results.as_gradescope(report))

    with _launcher([submission, *written, options.salt], own or options.unsafe) as launcher:
        write(results.unfinished(assignment))
        report = _report(assignment, submission, salt, launcher)
    if own:
        report = dataclasses.replace(report, unsafe="")  # on the own machine, by the own hand
    print(results.as_text(report))
    write(report)
    if not report.finished:
        return 3
    return 0 if report.given + report.later == assignment.points else 1


def _launcher(hidden: Sequence[str | Path | None], allowed: bool) -> Launcher:
    """Return what starts the students' processes.

    Raises:
        MiniftError: if they would be in no room, and that was not allowed.
    """
    launcher = Launcher(hidden=[path for path in hidden if path])
    try:
        if not allowed and launcher.refused:
            raise MiniftError(
                f"this system makes no sandbox ({launcher.refused}), so other people's code is "
                "not run; TEACHING.md says what to do, --unsafe runs it without one"
            )
    except GraderError as error:
        launcher.close()
        raise MiniftError(str(error)) from None
    except MiniftError:
        launcher.close()
        raise
    return launcher


def _read_or_wrong(submission: Path, assignment: Assignment) -> str | Wrong:
    """Return the text of what was handed in, or the sentence that says why it cannot be graded."""
    try:
        return read_exercise(submission)
    except Wrong as wrong:
        return Wrong((complaints(submission, assignment) or [str(wrong)])[0])


def _report(
    assignment: Assignment, submission: Path, salt: str, launcher: Launcher
) -> score.Report:
    exercise = _read_or_wrong(submission, assignment)
    if isinstance(exercise, Wrong):
        return score.refused(assignment, str(exercise), salt)
    try:
        return score.grade(assignment, exercise, launcher, salt)
    except Exception as error:
        return results.unfinished(assignment, f"{type(error).__name__}: {error}")


def _all(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="grade.py all")
    parser.add_argument("handed_in", type=Path, help="a folder with a file or folder a student")
    parser.add_argument("assignment", nargs="?", help="05; default: told by each hand-in")
    parser.add_argument("--csv", type=Path, required=True, metavar="FILE", help="the marks")
    parser.add_argument("--json", type=Path, metavar="DIR", help="a results file a student")
    parser.add_argument("--salt", metavar="FILE", help=SALT_HELP)
    parser.add_argument("--unsafe", action="store_true", help=UNSAFE_HELP)
    options = parser.parse_args(words)
    salt = _salt(options.salt)
    if not options.handed_in.is_dir():
        raise MiniftError(f"there is no folder {options.handed_in}")
    entries = [
        path
        for path in sorted(options.handed_in.iterdir())
        if not is_rubbish(path.name)
        and not path.name.startswith(".")
        and path not in (options.csv, options.json)  # of the last time
    ]
    if not entries:
        raise MiniftError(f"{options.handed_in} is empty: nothing was handed in there")
    known = [load(folder) for folder in find(ROOT, options.assignment)]
    rows, worst = [], 0
    tasks = max(len(assignment.tasks) for assignment in known)
    hidden = [options.handed_in, options.csv, options.json, options.salt]
    with _launcher(hidden, options.unsafe) as launcher:
        for entry in entries:
            name = student_name(entry)
            try:
                exercise = read_exercise(entry)
                assignment = _which(exercise, known)
                report = _report(assignment, entry, salt, launcher)
            except Wrong as wrong:
                assignment, exercise = known[0], ""
                report = score.refused(assignment, str(wrong), salt)
                if len(known) > 1:
                    report = results.unfinished(assignment, str(wrong))
            except MiniftError as error:  # an empty folder: nobody's mark
                assignment, exercise = known[0], ""
                report = results.unfinished(assignment, str(error))
            rows.append(results.row(name, entry.name, report, explanation(exercise)))
            print(f"{name:<40} {assignment.name:<26} {rows[-1]['points']:>5}  {report.trouble}")
            worst = max(worst, 0 if report.finished else 3)
            results.write(options.csv, results.as_csv(rows, tasks))
            if options.json:
                # By the entry's own name: two may be the same student's, or say so.
                results.write(options.json / results_name(entry.name), results.as_json(report))
    print(f"{len(rows)} hand-ins, {options.csv}")
    return worst


def student_name(entry: Path) -> str:
    """Return whose hand-in a file or folder is: its name, without what Moodle and Canvas add.

    "Ada Lovelace_12_assignsubmission_file_" and "lovelaceada_LATE_12_34_exercise-1.py" are Ada's.
    """
    name = entry.name if entry.is_dir() else entry.stem
    name = re.sub(r"_?exercise(-\d+| ?\(\d+\))?$", "", name)
    name = re.sub(r"_\d+_assignsubmission_file_?.*$", "", name)
    name = re.sub(r"(_LATE)?_\d+_\d+(_.*)?$", "", name)
    return " ".join(score.printable(name).split()) or score.printable(entry.name)


def results_name(entry: str) -> str:
    """Return the name of a hand-in's results file, which has to fit into 255 bytes."""
    packed = os.fsencode(entry)
    if len(packed) > 240:
        packed = packed[:230] + hashlib.sha256(packed).hexdigest()[:10].encode()
    return f"{os.fsdecode(packed)}.json"


def _which(exercise: str, known: Sequence[Assignment]) -> Assignment:
    """Return the assignment whose functions a hand-in has.

    Raises:
        Wrong: if it has those of none.
    """
    if len(known) == 1:
        return known[0]
    there = set(functions(exercise))

    def share(assignment: Assignment) -> float:
        asked = functions((assignment.folder / "exercise.py").read_text(encoding="utf-8"))
        return len(there & set(asked)) / len(asked)

    best = max(known, key=share)
    if share(best) < 0.5:
        raise Wrong("it has the functions of no assignment; which is it? (grade.py all DIR 05)")
    return best


def _salt(given: str | None) -> str:
    """Return the term's salt, out of a file or from the keyboard."""
    if "MINIFT_SALT" in os.environ:
        raise MiniftError(
            "MINIFT_SALT is set, and other programs can read an environment: put the salt into a "
            "file (--salt FILE), and unset MINIFT_SALT"
        )
    if given is None:
        return PUBLIC
    if given == "ask":
        salt = getpass.getpass("Salt of this term: ").strip()
    else:
        path = Path(given.removeprefix("@"))
        if not path.is_file():
            raise MiniftError(
                "--salt takes a file, since everybody may read a command line, and there is no "
                f"file {path}; --salt ask lets you type the salt"
            )
        salt = path.read_text(encoding="utf-8").strip()
    if not salt or salt == PUBLIC:
        raise MiniftError(f'the salt is to be a word of your own, not empty and not "{PUBLIC}"')
    return salt


def _submission(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="grade.py submission")
    parser.add_argument("archive", type=Path, help="a .zip, a folder, or exercise.py")
    parser.add_argument("assignment", nargs="?", help="05, or 05_bitfit")
    options = parser.parse_args(words)
    assignment = load(find(ROOT, options.assignment)[0])
    found = complaints(options.archive, assignment)
    print(*found or [f"{options.archive} can be handed in for {assignment.name}"], sep="\n")
    return 1 if found else 0


def _answers(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="grade.py answers")
    parser.add_argument("assignment", help="05, or 05_bitfit")
    parser.add_argument("--salt", metavar="FILE", help=SALT_HELP)
    options = parser.parse_args(words)
    assignment = load(find(ROOT, options.assignment)[0])
    question = assignment.question(_salt(options.salt))
    print(f"QUESTION = {question!r}")
    for key, value in assignment.answers(question).items():
        print(f"{key:<28} {value:.10g}")
    return 0


def _export(words: Sequence[str]) -> int:
    try:
        from _grading import bundle
    except ImportError:
        raise MiniftError("exports are made in a checkout of minift, not in a bundle") from None
    parser = argparse.ArgumentParser(prog="grade.py export")
    parser.add_argument("target", choices=["all", *sorted(bundle.TARGETS)])
    parser.add_argument("assignment", help="05, or 05_bitfit, or all")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--salt", metavar="FILE", help=f"{SALT_HELP}; gradescope needs one")
    options = parser.parse_args(words)
    salt = _salt(options.salt)
    name = None if options.assignment == "all" else options.assignment
    targets = sorted(bundle.TARGETS) if options.target == "all" else [options.target]
    if "gradescope" in targets and salt == PUBLIC:
        raise MiniftError("an autograder needs the term's salt: --salt FILE, a word of your own")
    for folder in find(ROOT, name):
        for target in targets:
            print(*bundle.TARGETS[target](load(folder), options.out, salt), sep="\n")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)  # all tensors are small here: threads would wait for each other
    sys.stdout.reconfigure(errors="replace")  # of a terminal that cannot write what a student can
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # of `grade.py list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 2
    sys.exit(status)
