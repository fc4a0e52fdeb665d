"""The graders themselves, on every assignment there is.

claim                                                 oracle
two different solutions get all points                the solutions, with three salts
the blank gets none, and is told where to begin       exercise.py as handed out
a mistake loses its own check, in its own words       a table of mutants, each with both
no student reads another mistake's sentence           the words of all other mutants
every check finds something                           each loses at least one mutant
there are at least 60 mutants, 7 an assignment        their number
a hostile submission leaves a true results file       the file; the points of what it did not break
nothing that it started is left running               the process table
no salt, no environment of the grader reaches it      what it can read of them
a grader that is killed or wrong gives no mark        the file it leaves
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
sys.path.append(str(TUTORIALS))  # the framework stands beside the assignments, no package

from _grading import checks, mutants, results, score  # noqa: E402
from _grading.process import Launcher  # noqa: E402
from _grading.student import Limits, Student  # noqa: E402

SALTS = (checks.PUBLIC, "autumn", "spring")
FOLDERS = checks.find(TUTORIALS)
MUTANTS = [(folder, mutant) for folder in FOLDERS for mutant in mutants.mutants(folder)]
load = cache(checks.load)


def named(folder: Path, *more: str) -> str:
    return "-".join([folder.name, *more]).replace(" ", "_")


each_assignment = pytest.mark.parametrize("folder", FOLDERS, ids=named)
each_mutant = pytest.mark.parametrize(
    ("folder", "mutant"), MUTANTS, ids=[named(f, m.name) for f, m in MUTANTS]
)


@pytest.fixture(scope="session")
def launcher():
    with Launcher() as found:
        yield found


def lost(report: score.Report) -> dict[str, str]:
    """Return the checks that were not passed, with what was said."""
    assert report.finished, report.trouble
    return {result.check: result.sentence for result in report.results if not result.passed}


@each_assignment
@pytest.mark.parametrize("solution", ["solution.py", "solution_b.py"])
@pytest.mark.parametrize("salt", SALTS)
def test_a_solution_gets_all_points_whatever_the_salt(folder, solution, salt, launcher):
    assignment = load(folder)
    source = (folder / "instructor" / solution).read_text()
    report = score.grade(assignment, source, launcher, salt)
    assert lost(report) == {}
    assert report.given == assignment.points


@each_assignment
@pytest.mark.parametrize("salt", SALTS)
def test_the_blank_gets_no_point_and_is_told_where_to_begin(folder, salt, launcher):
    assignment = load(folder)
    report = score.grade(assignment, (folder / "exercise.py").read_text(), launcher, salt)
    assert report.given == 0
    assert set(lost(report)) == {check.name for check in assignment.checks}
    assert "not done yet: " in report.next_step or "line" in report.next_step
    for sentence in lost(report).values():
        assert "cannot be loaded" not in sentence


@each_mutant
@pytest.mark.parametrize(
    "salt", [SALTS[0], *(pytest.param(salt, marks=pytest.mark.slow) for salt in SALTS[1:])]
)
def test_a_mistake_loses_exactly_its_own_check_in_its_own_words(folder, mutant, salt, launcher):
    assignment = load(folder)
    found = lost(score.grade(assignment, mutant.source(folder), launcher, salt))
    assert list(found) == [mutant.loses], found
    said = found[mutant.loses]
    assert mutant.says in said
    for other in mutants.mutants(folder):
        if other.says not in mutant.says:
            assert other.says not in said, other.name


@each_assignment
def test_every_check_finds_at_least_one_mistake_and_seven_are_there(folder):
    found = mutants.mutants(folder)
    assert {mutant.loses for mutant in found} == {check.name for check in load(folder).checks}
    assert len(found) >= 7
    assert len({mutant.name for mutant in found}) == len(found)


def test_there_are_sixty_mutants_over_all_assignments():
    assert len(MUTANTS) >= 60


@each_assignment
def test_an_assignment_is_whole(folder):
    """Three to five tasks, points as contracted, and a hand-out that names both."""
    assignment = load(folder)
    text = (folder / "assignment.md").read_text()
    rubric = (folder / "instructor" / "rubric.md").read_text()
    assert 3 <= len(assignment.tasks) <= 5
    assert 20 <= assignment.points <= 30
    assert {check.task for check in assignment.checks} == set(assignment.tasks)
    for number, task in assignment.tasks.items():
        points = sum(check.points for check in assignment.checks if check.task == number)
        by_hand = f" + {task.hand} by hand" if task.hand else ""
        row = f"| {number} | {task.title} | {points}{by_hand} | {task.minutes} |"
        assert row in text, f"assignment.md lacks the row: {row}"
        assert f"Task {number}" in rubric
    assert f"python tutorials/grade.py {folder.name[:2]}" in text


# --- hostile submissions -----------------------------------------------------------------------

HEAD = "import os, sys, signal, socket, time\n"
FREEZE = "def freeze(model: nn.Module, names: list[str]) -> None:\n"
FORGED = '{"score": 26, "status": "finished", "tests": []}'
EVERYWHERE = (
    "def everywhere(text):\n"
    "    for descriptor in range(3, 64):\n"
    "        try: os.write(descriptor, text)\n"
    "        except OSError: pass\n"
)
# what: (before the solution, first lines of freeze, points lost, said of freeze)
HOSTILE = {
    "endless loop at import": ("while True: pass\n", "", 26, "is there a loop that never ends"),
    "endless loop in a call": ("", "while True: pass", 3, "is there a loop that never ends"),
    "loop that swallows signals": (
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n",
        "while True:\n        try:\n            while 1: pass\n        except BaseException: pass",
        3,
        "is there a loop that never ends",
    ),
    "sleep without end": ("", "time.sleep(1000)", 3, "did not come back"),
    "stops itself": ("", "os.kill(os.getpid(), signal.SIGSTOP)", 3, "did not come back"),
    "sys.exit at import": ("sys.exit(0)\n", "", 26, "calls exit()"),
    "sys.exit in a call": ("", "sys.exit(0)", 3, "calls exit() (line "),
    "os._exit at import": ("os._exit(0)\n", "", 26, "ended its process (exit status 0)"),
    "os._exit in a call": ("", "os._exit(0)", 3, "ended its process (exit status 0)"),
    "crash": ("", "os.kill(os.getpid(), signal.SIGSEGV)", 3, "(signal 11)"),
    "syntax error": ("def f(:\n", "", 26, "SyntaxError (line 2 of exercise.py)"),
    "200 MB of output": ("", "print('x' * 200_000_000)", 0, ""),
    "200 MB of output to the descriptor": (
        "",
        "for _ in range(3200): os.write(1, b'x' * 65536)",
        0,
        "",
    ),
    "input": ("", "input()", 3, "reads from the keyboard (line "),
    "reading stdin": ("", "assert sys.stdin.read() == ''", 0, ""),
    "forged results in a call": (
        "",
        f"import pathlib; pathlib.Path('results.json').write_text('{FORGED}')",
        3,
        "writes a file (line ",
    ),
    "forged results at exit": (
        f"import atexit\natexit.register(lambda: open('results.json', 'w').write('{FORGED}'))\n",
        "",
        0,
        "",
    ),
    "pytest patched": (
        "import types\nsys.modules['pytest'] = types.ModuleType('pytest')\n"
        "sys.modules['_grading'] = sys.modules['pytest']\n",
        "return None",
        3,
        "freeze changes nothing",
    ),
    "torch.allclose and friends patched": (
        "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = lambda *a: torch.tensor(True)\n",
        "return None",
        3,
        "freeze changes nothing",
    ),
    "harness patched": (
        "import types\nsys.modules['harness'] = types.SimpleNamespace(Wrong=Exception)\n",
        "return None",
        3,
        "freeze changes nothing",
    ),
    "closes the channel": ("", "os.closerange(3, 64)", 3, "closed the grader's channel"),
    "writes into every descriptor": (
        EVERYWHERE,
        "everywhere(b'garbage' * 10)",
        3,
        "wrote into the grader's channel",
    ),
    "claims a frame of a terabyte": (
        EVERYWHERE,
        "everywhere(bytes([255] * 16))",
        3,
        "wrote into the grader's channel",
    ),
    "answers before it is asked": (
        "",
        "child = sys.modules['__main__']\n"
        "    send = child.Channel(socket.socket(fileno=os.dup(3))).send\n"
        "    for i in range(99): send({'kind': 'value', 'value': names, 'id': i})",
        3,
        "wrote into the grader's channel",
    ),
    "kills the process above it": ("", "os.kill(os.getppid(), 9); time.sleep(9)", 3, "`freeze`"),
    "deletes what is in its folder": (
        "import shutil\n",
        "shutil.rmtree(os.getcwd(), ignore_errors=True)",
        0,
        "",
    ),
    "asks for 64 GB": ("", "bytearray(64 * 2**30)", 3, "raised MemoryError"),
    "text that no file can hold": ("", "raise ValueError(chr(0xD800) + chr(27))", 3, "ValueError"),
    "an exception that cannot be shown": (
        "class E(Exception):\n    def __str__(self): raise RuntimeError\n",
        "raise E",
        3,
        "raised E",
    ),
}


def hostile(before: str, inside: str) -> str:
    """Return solution 05 with something hostile in it."""
    solution = (TUTORIALS / "05_bitfit" / "instructor" / "solution.py").read_text()
    solution = solution.replace("from __future__ import annotations\n", "")
    assert solution.count(FREEZE) == 1
    body = f"{FREEZE}    {inside}\n" if inside else FREEZE
    return HEAD + before + solution.replace(FREEZE, body)


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE, ids=[w.replace(" ", "_") for w in HOSTILE])
def test_a_hostile_submission_leaves_a_true_results_file(what, launcher, tmp_path):
    before, inside, points, said = HOSTILE[what]
    assignment = load(TUTORIALS / "05_bitfit")
    limits = Limits(processor=1, clock=4)
    report = score.grade(assignment, hostile(before, inside), launcher, limits=limits)
    results.write(tmp_path / "results.json", results.as_json(report))
    results.write(tmp_path / "gradescope.json", results.as_gradescope(report))
    assert results.as_text(report).encode()
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["status"] == "finished"
    assert found["score"] == sum(test["score"] for test in found["tests"])
    assert json.loads((tmp_path / "gradescope.json").read_text())["score"] == found["score"]
    assert len(found["printed"]) < 21_000
    assert found["score"] == assignment.points - points, found["tests"]
    failed = {test["name"]: test["output"] for test in found["tests"] if not test["passed"]}
    assert set(failed) in ({"check_freeze"}, set(), {c.name for c in assignment.checks})
    assert all(said in sentence for sentence in failed.values())
    assert not said or failed


def test_nothing_that_a_submission_started_is_left_running(launcher):
    inside = (
        "pid = os.fork()\n"
        "    if pid == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0: time.sleep(1000)\n"
        "        time.sleep(1000)\n"
        "    print('started', pid)"
    )
    report = score.grade(load(TUTORIALS / "05_bitfit"), hostile("", inside), launcher)
    if "started" not in report.output:  # not root: it may start none at all
        assert "starts another process" in lost(report)["check_freeze"]
        return
    pid = int(report.output.split("started ")[1].split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert report.given == report.assignment.points


def test_a_childs_process_knows_neither_the_salt_nor_the_graders_environment(launcher, monkeypatch):
    monkeypatch.setenv("MINIFT_SALT", "s3cret")
    monkeypatch.setenv("SOME_TOKEN", "s3cret")
    look = (
        "print(dict(os.environ), sys.argv, sys.path)\n"
        "    print(sorted(m for m in sys.modules if 'check' in m or '_grading' in m))\n"
        "    print(open('/proc/self/cmdline').read()) if sys.platform == 'linux' else None"
    )
    assignment = load(TUTORIALS / "05_bitfit")
    report = score.grade(assignment, hostile("", look), launcher, salt="s3cret")
    assert report.given == assignment.points
    assert "HOME" in report.output and "s3cret" not in report.output
    assert "_grading.checks" not in report.output and "check_exercise" not in report.output


def test_as_root_the_child_is_somebody_else_and_cannot_come_back(monkeypatch):
    with Launcher() as launcher:
        if not launcher.fork or os.geteuid() != 0:
            assert launcher.user is None
            return
        launcher.user = 65534
        look = (
            "print('user', os.getuid(), os.geteuid(), os.getgroups())\n"
            "    try: os.setuid(0)\n"
            "    except PermissionError: print('not back')\n"
            "    try: os.fork()\n"
            "    except OSError: print('no fork')"
        )
        student = Student(launcher, HEAD + f"def f():\n    {look}\n")
        assert student.attempt("f") is None
        student.close()
        assert "user 65534 65534 []" in student.output
        assert "not back" in student.output and "no fork" in student.output


@pytest.mark.slow
def test_without_fork_the_same_marks_come_out():
    assignment = load(TUTORIALS / "05_bitfit")
    with Launcher(fork=False) as launcher:
        report = score.grade(assignment, hostile("", "sys.exit(0)"), launcher)
    assert report.given == assignment.points - 3
    assert "calls exit()" in lost(report)["check_freeze"]


def run_grader(*words: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, str(TUTORIALS / "grade.py"), *words]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_grader_that_is_killed_leaves_a_results_file_that_says_it_is_no_mark(tmp_path):
    (tmp_path / "exercise.py").write_text(HEAD + "while True: time.sleep(1)\n")
    file, other = tmp_path / "out" / "results.json", tmp_path / "out" / "gradescope.json"
    words = ["--json", str(file), "--gradescope", str(other)]
    process = run_grader("05", "--submission", str(tmp_path), *words)
    while not other.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()
    found = json.loads(file.read_text())
    assert found["status"] == score.UNFINISHED and found["score"] is None
    assert "score" not in json.loads(other.read_text())


def test_a_missing_file_is_a_mark_of_nothing_with_the_reason(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "Exercise5.py").write_text("")
    file = tmp_path / "results.json"
    process = run_grader("05", "--submission", str(tmp_path / "sub"), "--json", str(file))
    out, _ = process.communicate()
    found = json.loads(file.read_text())
    assert process.returncode == 1 and found["score"] == 0 and found["status"] == "finished"
    assert "rename it to exercise.py" in out and "rename it" in found["tests"][0]["output"]


def test_an_error_of_a_check_is_no_mark(launcher, tmp_path):
    folder = tmp_path / "98_broken"
    folder.mkdir()
    (folder / "exercise.py").write_text("def f(): return 1\n")
    (folder / "check_exercise.py").write_text(
        "from _grading.checks import Task, check\nTITLE = 'x'\nTASKS = {1: Task('a', 1)}\n"
        "@check(task=1, points=2)\ndef check_a(student, draw):\n    student.call('f')\n"
        "@check(task=1, points=2)\ndef check_b(student, draw):\n    1 / 0\n"
    )
    report = score.grade(checks.load(folder), "def f(): return 1\n", launcher)
    assert not report.finished and "check_b: ZeroDivisionError" in report.trouble
    assert results.as_json(report)["score"] is None
    assert "not your mark" in results.as_text(report)
    assert "score" not in results.as_gradescope(report)


@pytest.mark.slow
def test_the_salt_on_the_command_line_is_gone_before_anything_of_the_student_runs(tmp_path):
    (tmp_path / "exercise.py").write_text(
        HEAD + "print(open(f'/proc/{sys.argv and os.getppid()}/cmdline').read())\n"
        "for pid in os.listdir('/proc'):\n"
        "    try: print(open(f'/proc/{pid}/cmdline').read().replace(chr(0), ' '))\n"
        "    except OSError: pass\n"
    )
    if not Path("/proc/self/cmdline").exists():
        return
    process = run_grader("05", "--submission", str(tmp_path), "--salt", "s3cret-of-a-term")
    out, _ = process.communicate()
    assert "hidden checks" in out and "child.py" in out
    assert "s3cret-of-a-term" not in out
