"""One assignment in the forms of other systems.

claim                                               oracle
a student's bundle grades itself                    its grade.py and pytest, in an empty folder
it installs by itself, and no link in it is dead    pip without an index; each link's target
it has no line of a solution                        all long lines of both; a leak on purpose
the archive for Gradescope gives the hidden mark    its run_autograder, in a made-up /autograder
the workflow grades with the checks handed out      its script, where the checks were changed
otter's test prints what it expects                 doctest on its code
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import minift

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
sys.path.append(str(TUTORIALS))

from _grading import bundle, checks, submission  # noqa: E402

FOLDERS = checks.find(TUTORIALS)
FIRST = TUTORIALS / "05_bitfit"
LIBRARY = str(Path(minift.__file__).resolve().parents[1])
ENVIRONMENT = {**os.environ, "PYTHONPATH": LIBRARY, "OMP_NUM_THREADS": "1"}


def run(*words: str | Path, folder: Path, **more: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env={**ENVIRONMENT, **more},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_nothing_that_students_get_has_lines_of_a_solution(folder, tmp_path):
    assignment = checks.load(folder)
    (made,) = bundle.student(assignment, tmp_path)
    blank = {line.strip() for line in (folder / "exercise.py").read_text().splitlines()}
    secret = set()
    for file in folder.glob("instructor/solution*.py"):
        secret |= {line.strip() for line in file.read_text().splitlines() if len(line.strip()) > 50}
    texts = [p.read_text() for p in made.rglob("*") if p.is_file() and p.suffix != ".whl"]
    lines = {line.strip() for text in texts for line in text.splitlines()}
    assert not (secret - blank) & lines
    names = {p.name for p in made.rglob("*")}
    assert "instructor" not in names and "mutants.py" not in names and "salt.txt" not in names


def test_a_students_bundle_stands_alone(tmp_path):
    (made,) = bundle.student(checks.load(FIRST), tmp_path, "autumn")
    assignment = checks.load(FIRST)
    readme = (made / "README.md").read_text()
    (wheel,) = made.glob("minift-*.whl")
    assert f"pip install ./{wheel.name}" in readme and "whl/cpu" in readme
    pages = [made / "README.md", made / "assignment.md", made / "tutorial.ipynb"]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert target.startswith("http") or (made / target).exists(), (page.name, target)
    names = {}
    exec((made / "exercise.py").read_text(), names)
    assert names["QUESTION"] == assignment.question("autumn") != assignment.question("public")
    assert "autumn" not in "".join(p.read_text() for p in made.rglob("*.*") if p.suffix != ".whl")
    target = tmp_path / "installed"
    options = ["--no-deps", "--no-index", "--quiet", "--target", target]
    done = run(sys.executable, "-m", "pip", "install", *options, wheel, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = run(
        sys.executable,
        "-c",
        "import minift; print(minift.__file__); minift.load_encoder('tiny'); "
        "print(len(minift.load_dataset('news').test))",
        folder=tmp_path,
        PYTHONPATH=str(target),
    )
    assert str(target) in shown.stdout and shown.stdout.split()[-1] == "140", shown.stderr
    assert (target / "minift" / "bert" / "encoder.py").is_file()
    assert [p.name for p in target.glob("minift-*.dist-info")]


def copy_of_first(tmp_path: Path) -> Path:
    folder = tmp_path / "05_bitfit"
    shutil.copytree(FIRST, folder, ignore=shutil.ignore_patterns("tutorial*", "__pycache__"))
    return folder


LEAK = """    wanted = "|".join(re.escape(TERMS[term]) for term in terms)
    return [name for name in names if re.fullmatch(rf"bert\\.layers\\.\\d+\\.({wanted})", name)]
"""


def test_what_a_hidden_check_has_beside_its_checks_is_not_handed_out(tmp_path):
    folder = copy_of_first(tmp_path)
    text = (folder / "check_exercise.py").read_text()
    (folder / "check_exercise.py").write_text(f"{text}\ndef f(names, terms):\n{LEAK}")
    (made,) = bundle.student(checks.load(folder), tmp_path / "out")
    assert LEAK not in (made / "check_exercise.py").read_text()


@pytest.mark.parametrize("file", ["harness.py", "assignment.md"])
def test_a_bundle_with_lines_of_a_solution_is_refused_and_not_written(file, tmp_path):
    folder = copy_of_first(tmp_path)
    assert LEAK in (folder / "instructor" / "solution_b.py").read_text()
    text = (folder / file).read_text()
    assignment = checks.load(folder)
    (folder / file).write_text(f"{text}\ndef f(names, terms):\n{LEAK}")
    with pytest.raises(minift.MiniftError, match=f"{file} has lines of a solution"):
        bundle.student(assignment, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_whose_exercise_was_done_by_the_teacher_is_refused(tmp_path):
    folder = copy_of_first(tmp_path)
    text = (folder / "exercise.py").read_text()
    bug = "    return [name for name in names if any(TERMS[term] in name for term in terms)]\n"
    assert bug in text
    (folder / "exercise.py").write_text(text.replace(bug, LEAK))
    with pytest.raises(minift.MiniftError, match="has the solution of subset_names in it"):
        bundle.student(checks.load(folder), tmp_path / "out")


@pytest.mark.slow
def test_a_students_bundle_grades_itself_in_an_empty_folder(tmp_path):
    (made,) = bundle.student(checks.load(FIRST), tmp_path / "a b")
    moved = made.rename(tmp_path / "my work")
    blank = run(sys.executable, "grade.py", "--json", "r.json", folder=moved)
    assert blank.returncode == 1, blank.stderr
    assert "Begin here: not done yet: task 1" in blank.stdout
    assert json.loads((moved / "r.json").read_text())["assignment"] == "05_bitfit"
    shutil.copy(FIRST / "instructor" / "solution.py", moved / "exercise.py")
    assert run(sys.executable, "grade.py", folder=moved).returncode == 0
    shown = run(sys.executable, "-m", "pytest", "-q", "check_exercise.py", folder=moved)
    assert "5 passed, 3 skipped" in shown.stdout, shown.stdout
    assert "16 of 16 points" in shown.stdout, shown.stdout
    (moved / "exercise.py").write_text(
        (FIRST / "exercise.py").read_text() + "\nimport pytest\npytest.fail = print\n"
    )
    shown = run(sys.executable, "-m", "pytest", "-q", "check_exercise.py", folder=moved)
    assert "8 failed" in shown.stdout and "0 of 4 points: not done yet: task 1" in shown.stdout
    assert "Traceback" not in shown.stdout


@pytest.mark.slow
def test_the_archive_for_gradescope_gives_the_hidden_mark(tmp_path):
    assignment = checks.load(FIRST)
    with pytest.raises(minift.MiniftError, match="needs the term's salt"):
        bundle.gradescope(assignment, tmp_path)
    (archive,) = bundle.gradescope(assignment, tmp_path, "autumn")
    root = tmp_path / "autograder"
    (root / "results").mkdir(parents=True)
    (root / "submission").mkdir()
    with zipfile.ZipFile(archive) as packed:
        assert {"setup.sh", "run_autograder", "minift_source/pyproject.toml"} <= set(
            packed.namelist()
        )
        assert packed.getinfo("run_autograder").external_attr >> 16 & 0o111
        assert not [n for n in packed.namelist() if "instructor" in n or "solution" in n]
        packed.extractall(root / "source")
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    environment = {"AUTOGRADER": str(root), "PYTHON": sys.executable}

    def grade() -> dict:
        done = run("bash", root / "run_autograder", folder=root, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads((root / "results" / "results.json").read_text())

    (root / "submission" / "notes.txt").write_text("I did not finish.\n")
    nothing = grade()
    assert nothing["score"] == 0 and "no exercise.py" in nothing["tests"][0]["output"]
    numbers = [test["number"] for test in nothing["tests"]]
    assert numbers == ["1.1", "1.2", "2.1", "2.2", "3.1", "4.1", "5.1", "5.2"]
    answers = assignment.answers(assignment.question("autumn"))
    solution = (FIRST / "instructor" / "solution_b.py").read_text()
    (root / "submission" / "exercise.py").write_text(f"{solution}\nANSWERS = {answers!r}\n")
    found = grade()
    assert found["score"] == 26 == sum(t["max_score"] for t in found["tests"])
    assert "5 more are given by hand" in found["output"]
    assert {"name", "score", "max_score", "output", "visibility"} <= set(found["tests"][0])
    assert json.loads((root / "results" / "minift.json").read_text())["checks"] == "hidden"


@pytest.mark.slow
def test_the_workflow_grades_with_the_checks_that_were_handed_out(tmp_path):
    (made,) = bundle.github(checks.load(FIRST), tmp_path)
    workflow = (made / ".github" / "workflows" / "grade.yml").read_text()
    assert "restore.sh | bash" in workflow and "python grade.py" in workflow
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "handed out"]):
        assert run(*git, *words, folder=made).returncode == 0
    (made / "check_exercise.py").write_text("TITLE = 'x'\nTASKS = {}\n")
    (made / "_grading" / "score.py").unlink()
    (made / "torch.py").write_text("raise SystemExit(0)\n")
    shutil.copy(FIRST / "instructor" / "solution.py", made / "exercise.py")
    for words in (["add", "-A"], ["commit", "-qm", "mine"]):
        assert run(*git, *words, folder=made).returncode == 0
    first = run("git", "rev-list", "--max-parents=0", "HEAD", folder=made).stdout.strip()
    script = f"git show {first}:.github/restore.sh | bash"
    assert run("bash", "-c", script, folder=made).returncode == 0
    assert not (made / "torch.py").exists()
    done = run(sys.executable, "grade.py", folder=made)
    assert "16 of 26 points" in done.stdout, done.stdout + done.stderr
    assert "10 judged after handing in" in done.stdout


@pytest.mark.slow
def test_otters_tests_print_what_they_expect(tmp_path, monkeypatch):
    (made,) = bundle.otter(checks.load(FIRST), tmp_path)
    shutil.copy(FIRST / "instructor" / "solution.py", made / "exercise.py")
    found = sorted((made / "tests").glob("*.py"))
    assert len(found) == 5  # the others are judged after handing in
    names = {}
    exec(found[0].read_text(), names)
    (suite,) = names["test"]["suites"]
    code = suite["cases"][0]["code"]
    assert doctest.DocTestParser().get_examples(code)[1].want == "right\n"
    program = f"import doctest; doctest.run_docstring_examples({code!r}, {{}}, name='q')"
    assert run(sys.executable, "-c", program, folder=made).stdout == ""
    shutil.copy(FIRST / "exercise.py", made / "exercise.py")
    assert "not done yet" in run(sys.executable, "-c", program, folder=made).stdout


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_exercise_of_the_repository_asks_the_public_question(folder):
    written = submission.literal((folder / "exercise.py").read_text(), "QUESTION")
    assert (written or {}) == checks.load(folder).question(checks.PUBLIC)
