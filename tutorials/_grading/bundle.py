"""One assignment as what somebody else's system wants: from one source, never edited by hand.

Claim    What students get has no line of a solution in it, or nothing is written, and computes no
         right answer (public.py). The salt is in the archive for Gradescope, which only the teacher
         sees, and in no other.
Source   Gradescope: https://gradescope-autograders.readthedocs.io/en/latest/specs/;
         otter: https://otter-grader.readthedocs.io/en/latest/test_files/ok_format.html
Differs  Written by those pages and by GitHub's documentation of workflows; none was run against the
         real service. run_autograder, the workflow's script and otter's test are run by our tests.
Proof    tests/tutorials/test_grading_bundle.py

    student      a folder: exercise.py, pages, public checks, `python grade.py`, minift to install
    github       the same as a repository, with a workflow that restores the checks before it runs
    gradescope   autograder.zip, to be uploaded: the hidden checks
    otter        a folder tests/ with a test a public check in otter's OK format, and what it needs
"""

from __future__ import annotations

import ast
import io
import json
import pprint
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import minift
from _grading import public
from _grading.checks import PUBLIC, Assignment
from _grading.wheel import wheel
from minift.errors import MiniftError

FRAMEWORK = Path(__file__).resolve().parent
OURS = (
    "bundle.py",
    "mutants.py",
    "public.py",
    "rehearsal.py",
    "wheel.py",
)  # what only the author needs
NEEDED = sorted(p.name for p in FRAMEWORK.glob("*.py") if p.name not in OURS)
HANDED_OUT = ("assignment.md", "exercise.py", "harness.py", "check_exercise.py")
BLOCK = 3  # lines of a solution in a row that the hand-out may not have
TELLING = 60  # characters that are a block too, in however few lines
SOURCE = "git+https://github.com/OWNER/minift"  # the teacher puts their own in
CONFTEST = '''"""So that `python -m pytest check_exercise.py` finds the checks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

pytest_plugins = ["_grading.pytest_plugin"]
'''
SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image.
set -e
apt-get update && apt-get install -y python3 python3-pip python3-venv
python3 -m venv /opt/minift
/opt/minift/bin/pip install --extra-index-url https://download.pytorch.org/whl/cpu \\
    /autograder/source/minift_source
# The student's process runs as "nobody": it may read the library, and nothing of the checks.
chmod -R a+rX /opt/minift
chmod -R go-rwx /autograder/source
"""
RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission, as root.
cd "${AUTOGRADER:=/autograder}"
chmod -R go-rwx source results
# --unsafe: a container there may make no sandbox; it holds one submission, and nobody else's.
"${PYTHON:=/opt/minift/bin/python}" source/grade.py --submission submission --unsafe \\
    --salt source/salt.txt --json results/minift.json --gradescope results/results.json
exit 0  # points that were lost are not a failure of the autograder
"""
WORKFLOW = """name: grade
on: [push, workflow_dispatch]
permissions:
  contents: read
jobs:
  grade:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v4
        with: {fetch-depth: 0}
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      # The checks of the first commit, whatever was changed since: only exercise.py counts.
      - run: git show $(git rev-list --max-parents=0 HEAD | tail -n 1):.github/restore.sh | bash
      - run: pip install --extra-index-url https://download.pytorch.org/whl/cpu "minift @ SOURCE"
      - run: python grade.py --json results.json
      - if: always()
        uses: actions/upload-artifact@v4
        with: {name: results, path: results.json}
"""
RESTORE = """#!/usr/bin/env bash
# Put everything but exercise.py back as it was handed out: the first commit of this repository.
set -e
first=$(git rev-list --max-parents=0 HEAD | tail -n 1)
git read-tree -u --reset "$first" # files that were added since are taken away
git checkout --quiet HEAD -- exercise.py
git clean -fdxq
"""
README = """# {title}

```
pip install torch --index-url https://download.pytorch.org/whl/cpu
pip install ./{wheel}
python grade.py
```

The first line gets the PyTorch without CUDA, which is enough here; the second minift, as it was
when this was handed out; the third says what is done in `exercise.py`, and what to do next. Read
[assignment.md](assignment.md) first{page}.
"""
IGNORED = """__pycache__/
.venv/
.ipynb_checkpoints/
results*.json
"""
OTTER_TEST = '''OK_FORMAT = True

test = {{
    "name": "{name}",
    "points": {points},
    "suites": [
        {{
            "cases": [{{"code": r""">>> from grade import check
>>> check("{name}")
right
""", "hidden": False, "locked": False}}],
            "scored": True,
            "setup": "",
            "teardown": "",
            "type": "doctest",
        }}
    ],
}}
'''
OTTER_CHECK = '''

def check(name: str) -> None:
    """Print "right", or what is wrong, for one check: otter's tests compare that line."""
    assignment = load(ROOT)
    with Launcher() as launcher:
        exercise = read_exercise(ROOT / "exercise.py")
        report = score.grade(assignment, exercise, launcher, only=name)
    print(report.trouble or report.next_step or "right")
'''


def student(assignment: Assignment, out: Path, salt: str = PUBLIC) -> list[Path]:
    """Write the folder that students get.

    Raises:
        MiniftError: if some line block of a solution is in it; nothing is written then.
    """
    return _write(_student_files(assignment, salt) | _to_install(assignment), out / assignment.name)


def _to_install(assignment: Assignment) -> dict[str, str | bytes]:
    """Return what makes a folder stand alone: minift, how to install it, and the tutorial."""
    name, content = _wheel()
    files: dict[str, str | bytes] = {name: content, ".gitignore": IGNORED}
    page = assignment.folder / "tutorial.ipynb"
    if page.is_file():
        files["tutorial.ipynb"] = _without_dead_links(page.read_text(encoding="utf-8"))
    shown = ", and [the tutorial](tutorial.ipynb) before it" if page.is_file() else ""
    files["README.md"] = README.format(title=assignment.title, wheel=name, page=shown)
    return files


@cache
def _wheel() -> tuple[str, bytes]:
    return wheel(_library())


def _without_dead_links(notebook: str) -> str:
    """Return a page in which what leads out of its folder is text."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"\[([^]]+)\]\(\.\./[^)]*\)", r"\1", "".join(cell["source"]))
            cell["source"] = text.splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def github(assignment: Assignment, out: Path, salt: str = PUBLIC) -> list[Path]:
    """Write the same as the first commit of a repository, with its workflow."""
    files = _student_files(assignment, salt)
    files[".github/workflows/grade.yml"] = WORKFLOW.replace("SOURCE", SOURCE)
    files[".github/restore.sh"] = RESTORE
    return _write(files, out / f"{assignment.name}_github")


def gradescope(assignment: Assignment, out: Path, salt: str = PUBLIC) -> list[Path]:
    """Write the autograder archive: checks, salt, and minift itself.

    Raises:
        MiniftError: without a salt: hidden checks that everybody can run are none.
    """
    if salt == PUBLIC:
        raise MiniftError("an autograder needs the term's salt: --salt TERM, a word of your own")
    files = _checking_files(assignment) | {"salt.txt": salt + "\n", "setup.sh": SETUP}
    files["run_autograder"] = RUN
    for path, content in _library().items():
        files[f"minift_source/{path}"] = content
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{assignment.name}_autograder.zip"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            info = zipfile.ZipInfo(path, (2000, 1, 1, 0, 0, 0))  # same source, same bytes
            mode = 0o755 if path in ("setup.sh", "run_autograder") else 0o644
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    target.write_bytes(packed.getvalue())
    return [target]


def otter(assignment: Assignment, out: Path, salt: str = PUBLIC) -> list[Path]:
    """Write a folder for otter: a test a public check, in its OK format.

    A test is all or nothing there, and what is judged after handing in is not in it.
    """
    files = _student_files(assignment, salt)
    files["grade.py"] = files["grade.py"].replace(
        "\n\nif __name__", f"{OTTER_CHECK}\n\nif __name__"
    )
    recorded = json.loads(files["recorded.json"])
    for check in assignment.checks:
        if {"test", "answers"} & set(recorded.get(check.name, ())):
            continue
        files[f"tests/{check.name}.py"] = OTTER_TEST.format(name=check.name, points=check.points)
    files["requirements.txt"] = f"minift @ {SOURCE}\n"
    return _write(files, out / f"{assignment.name}_otter")


TARGETS: dict[str, Callable[[Assignment, Path, str], Sequence[Path]]] = {
    "student": student,
    "github": github,
    "gradescope": gradescope,
    "otter": otter,
}


def _checking_files(assignment: Assignment) -> dict[str, str]:
    files = {}
    for name in HANDED_OUT:
        if (assignment.folder / name).is_file():
            files[name] = (assignment.folder / name).read_text(encoding="utf-8")
    for name in NEEDED:
        files[f"_grading/{name}"] = (FRAMEWORK / name).read_text(encoding="utf-8")
    files["grade.py"] = (FRAMEWORK.parent / "grade.py").read_text(encoding="utf-8")
    # A bundle may be unpacked under any name, and the draws are made of the assignment's.
    files["NAME"] = assignment.name + "\n"
    return files


def with_question(exercise: str, question: dict[str, Any]) -> str:
    """Return an exercise.py with another QUESTION."""
    lines = exercise.splitlines(keepends=True)
    for node in ast.parse(exercise).body:
        names = [ast.unparse(t) for t in getattr(node, "targets", [])]
        if names == ["QUESTION"]:
            shown = pprint.pformat(question, width=96, sort_dicts=False)
            if len(f"QUESTION = {shown}") > 100 or "\n" in shown:
                body = ",\n    ".join(f"{key!r}: {value!r}" for key, value in question.items())
                shown = f"{{\n    {body},\n}}"
            lines[node.lineno - 1 : node.end_lineno] = [f"QUESTION = {shown}\n"]
    return "".join(lines)


def _student_files(assignment: Assignment, salt: str) -> dict[str, str]:
    files = _checking_files(assignment) | public.files(assignment)
    if salt != PUBLIC:
        files["exercise.py"] = with_question(files["exercise.py"], assignment.question(salt))
    for name in ("assignment.md", "exercise.py"):
        files[name] = re.sub(r"python tutorials/grade\.py( \d\d)?", "python grade.py", files[name])
    files["conftest.py"] = CONFTEST
    if name := filled_function(assignment, files["exercise.py"]):
        raise MiniftError(f"exercise.py has the solution of {name} in it, so nothing was written")
    for path, content in files.items():
        if block := solution_block(assignment, content, blank=files["exercise.py"]):
            raise MiniftError(
                f"{path} has lines of a solution in it, so nothing was written: {block!r}"
            )
    return files


def solution_block(assignment: Assignment, content: str, blank: str) -> str:
    """Return the first block of lines that a text shares with a solution; "" if there is none.

    Lines that stand in the blank exercise.py are not the solution's.
    """
    handed_out = set(_lines(blank))
    blocks = set()
    for file in _solutions(assignment):
        lines = _lines(file.read_text(encoding="utf-8"))
        for is_known, run in groupby(lines, key=handed_out.__contains__):
            own = list(run)
            blocks |= {_block(own, at) for at in range(len(own)) if not is_known}
    blocks.discard(())
    lines = _lines(content)
    for at in range(len(lines)):
        if (block := _block(lines, at)) in blocks:
            return " / ".join(block)
    return ""


def filled_function(assignment: Assignment, exercise: str) -> str:
    """Return the name of a function of exercise.py that is a solution's; "" if there is none."""
    handed_out = _bodies(exercise)
    for file in _solutions(assignment):
        for name, body in _bodies(file.read_text(encoding="utf-8")).items():
            if handed_out.get(name) == body:
                return name
    return ""


def _bodies(source: str) -> dict[str, str]:
    bodies = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            bodies[node.name] = "\n".join(map(ast.dump, body))
    return bodies


def _solutions(assignment: Assignment) -> list[Path]:
    return sorted((assignment.folder / "instructor").glob("solution*.py"))


def _block(lines: list[str], at: int) -> tuple[str, ...]:
    """Return the lines from `at` on that are enough to be telling; () if the end comes first."""
    for size in range(1, BLOCK + 1):
        block = tuple(lines[at : at + size])
        if len(block) == size and (size == BLOCK or len("".join(block)) >= TELLING):
            return block
    return ()


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _library() -> dict[str, bytes]:
    """Return what is needed to install minift: its files and its pyproject.toml."""
    package = Path(minift.__file__).resolve().parent
    root = package.parent
    files = {
        str(path.relative_to(root).as_posix()): path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if not (root / name).is_file():
            raise MiniftError(f"there is no {name} beside minift/: export from a checkout of it")
        files[name] = (root / name).read_bytes()
    return files


def _write(files: dict[str, str] | dict[str, str | bytes], target: Path) -> list[Path]:
    """Write a folder whole; it must not be there yet.

    Raises:
        MiniftError: if it is: somebody's work may be in it.
    """
    if target.exists():
        raise MiniftError(f"{target} is there already; take another --out, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as temporary:
        made = Path(temporary) / target.name
        for path, content in files.items():
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            data = content if isinstance(content, bytes) else content.encode()
            file.write_bytes(data)
            file.chmod(0o755 if path.endswith(".sh") else 0o644)
        shutil.move(made, target)
    return [target]
