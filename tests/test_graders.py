"""The graders themselves, on every assignment there is.

claim                                                 oracle
two different solutions get all points                the solutions, with three salts
the blank gets none, and is told where to begin       exercise.py as handed out
a mistake loses its own check, in its own words       a table of mutants, each with both
no student reads another mistake's sentence           the words of all other mutants
every check finds something                           each loses at least one mutant
in its room a process finds nothing, root or not      what it can list, open, end, connect, become
what reaches around its walls is refused              the kernel's own answer to each system call
each attack of a course earns nothing, changes none   a course with all of them, graded together
no answer, name or text holds up or ends a course     the clock; the lines of the table
no report tells a number of task 5                    the numbers of three salts
there are at least 60 mutants, 7 an assignment        their number
a hostile submission leaves a true results file       the file; the points of what it did not break
nothing that it started is left running               the process table
no salt, no environment of the grader reaches it      what it can read of them
a grader that is killed or cannot go on gives no mark  the file it leaves
"""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import NO_OTHER_USER, NO_SANDBOX

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
sys.path.append(str(TUTORIALS))  # the framework stands beside the assignments, no package

import grade  # noqa: E402

from _grading import checks, codec, mutants, results, sandbox, score  # noqa: E402
from _grading.process import GraderError, Launcher  # noqa: E402
from _grading.rehearsal import Rehearsal  # noqa: E402
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


def with_answers(assignment: checks.Assignment, source: str, salt: str) -> str:
    """Return a program with the right numbers of a term; the public ones stand in it."""
    if salt == checks.PUBLIC:
        return source
    return f"{source}\nANSWERS = {assignment.answers(assignment.question(salt))!r}\n"


@each_assignment
@pytest.mark.parametrize("solution", ["solution.py", "solution_b.py"])
@pytest.mark.parametrize("salt", SALTS)
def test_a_solution_gets_all_points_whatever_the_salt(folder, solution, salt, launcher):
    assignment = load(folder)
    source = (folder / "instructor" / solution).read_text()
    report = score.grade(assignment, with_answers(assignment, source, salt), launcher, salt)
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
@pytest.mark.parametrize("salt", SALTS)
def test_a_mistake_loses_exactly_its_own_check_in_its_own_words(folder, mutant, salt):
    """In this process: what a student's would show is the same, by test_grading_public.py."""
    assignment = load(folder)
    loses = next(check for check in assignment.checks if check.name == mutant.loses)
    source = mutant.source(folder)
    if loses.task != 5:
        source = with_answers(assignment, source, salt)
    elif salt != checks.PUBLIC:
        return  # wrong numbers are wrong for the public question
    student = Rehearsal(source, assignment.harness)
    judged = [score._result(check, assignment, student, salt) for check in assignment.checks]
    assert not any(note for _, note in judged)
    found = {result.check: result.sentence for result, _ in judged if not result.passed}
    assert set(found) == {mutant.loses, *mutant.also}, found
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


@each_assignment
@pytest.mark.parametrize("salt", SALTS[1:])
def test_the_numbers_of_the_public_question_are_of_no_use_in_another_term(folder, salt, launcher):
    assignment = load(folder)
    source = (folder / "instructor" / "solution.py").read_text() + "\nQUESTION = {'old': 1}\n"
    report = score.grade(assignment, source, launcher, salt)
    assert set(lost(report)) == {check.name for check in assignment.checks if check.task == 5}
    assert score.ANOTHER_QUESTION in report.notes
    numbers = [f"{n:.4g}" for n in assignment.answers(assignment.question(salt)).values()]
    said = " ".join(lost(report).values())
    assert not [n for n in numbers if len(n) > 4 and n in said]
    assert assignment.question(salt) != assignment.question(SALTS[0])


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
TASK_5 = 4  # points of assignment 05 that a term's question decides
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
        0,
        "",
    ),
    "writes where it may not": (
        "",
        "open('/usr/lib/results.json', 'w')",
        3,
        "writes a file outside its folder (line ",
    ),
    "fills its folder": (
        "",
        "for n in range(40):\n        open(f'f{n}', 'wb').write(bytes(2**20))",
        3,
        "writes more than its folder holds (line ",
    ),
    "a file without end": (
        "",
        "with open('f', 'wb', buffering=0) as f:\n        while f.write(bytes(2**22)): pass",
        3,
        "writes more than its folder holds (line ",
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
    "raises what has no type": (
        EVERYWHERE,
        f"everywhere({codec.encode({'kind': 'raised', 'types': []})!r}); time.sleep(9)",
        3,
        "wrote into the grader's channel",
    ),
    "a tensor of 400,000 dimensions, whose product takes a minute": (
        EVERYWHERE,
        'tree = b\'["dict",[["str","kind"],["str","value"],["str","value"],["tensor",\'\n'
        "    tree += b'[\"bool\",[' + b'67108864,' * 400_000 + b'1]]]]]'\n"
        "    everywhere(len(tree).to_bytes(8, 'little') + bytes(8) + tree); time.sleep(9)",
        3,
        "wrote into the grader's channel",
    ),
    "a byte at a time": (
        "",
        "os.write(3, (2**22).to_bytes(8, 'little') + bytes(8))\n"
        "    while os.write(3, b' '): time.sleep(0.002)",
        3,
        "did not come back",
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


# Without a sandbox nothing can be written at all.
WITH_A_FOLDER = {
    "forged results in a call",
    "writes where it may not",
    "fills its folder",
    "a file without end",
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
    if what in WITH_A_FOLDER and launcher.refused:
        pytest.skip(NO_SANDBOX)
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
    monkeypatch.setenv("SOME_TOKEN", "s3cret")
    look = (
        "print(dict(os.environ), sys.argv, sys.path)\n"
        "    print(sorted(m for m in sys.modules if 'check' in m or '_grading' in m))"
    )
    assignment = load(TUTORIALS / "05_bitfit")
    report = score.grade(assignment, hostile("", look), launcher, salt="s3cret")
    assert report.given >= assignment.points - TASK_5  # whose question is another one
    assert "HOME" in report.output and "s3cret" not in report.output
    assert "_grading.checks" not in report.output and "check_exercise" not in report.output


def test_without_a_room_root_still_makes_the_child_somebody_else():
    with Launcher(room=False) as launcher:
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


def test_an_error_inside_a_check_costs_that_check_and_the_teacher_is_told(launcher, tmp_path):
    folder = tmp_path / "98_broken"
    folder.mkdir()
    (folder / "exercise.py").write_text("def f(): return 1\n")
    (folder / "check_exercise.py").write_text(
        "from _grading.checks import Task, check\nTITLE = 'x'\nTASKS = {1: Task('a', 1)}\n"
        "@check(task=1, points=2)\ndef check_a(student, draw):\n    student.call('f')\n"
        "@check(task=1, points=2)\ndef check_b(student, draw):\n    1 / student.call('f') / 0\n"
    )
    report = score.grade(checks.load(folder), "def f(): return 1\n", launcher)
    assert report.finished and report.given == 2
    assert lost(report) == {"check_b": f"`f` gives what cannot be judged: {score.DOCSTRING}"}
    assert "check_b itself raised ZeroDivisionError" in results.as_text(report)
    assert "ZeroDivisionError" in results.as_json(report)["notes"][-1]


def test_a_grader_that_cannot_go_on_gives_no_mark(launcher, monkeypatch):
    def refuse(*_):
        raise GraderError("no more processes")

    monkeypatch.setattr(launcher, "start", refuse)
    report = score.grade(load(TUTORIALS / "05_bitfit"), "x = 1\n", launcher)
    assert not report.finished and report.trouble == "no more processes"
    assert results.as_json(report)["score"] is None
    assert "not your mark" in results.as_text(report)
    assert "score" not in results.as_gradescope(report)


# --- attacks -----------------------------------------------------------------------------------
# What a student's process finds when it looks around, tried as whoever runs the tests, and as an
# ordinary user where these are root's. No attack here may hurt a machine on which a defence fails:
# what is killed is the grader alone, what is deleted lies in the test's own folder.

NAMES = "solution.py solution_b.py check_exercise.py mutants.py rubric.md salt.txt results.json"
OBSERVED = {
    "no file of the checkout, of minift or of others is there": (
        f"wanted = {{*{NAMES.split()!r}, 'bitfit.py', 'freezing.py', 'crf.py'}}\n"
        "found = [os.path.join(a, c) for a, b, cs in os.walk('/') for c in cs if c in wanted]\n"
        "return [path for path in found if '/torch/' not in path]",
        [],
    ),
    "no other process is there": (
        "def there(pid):\n"
        "    try: os.kill(pid, 0)\n"
        "    except ProcessLookupError: return False\n"
        "    except PermissionError: return True\n"
        "    return True\n"
        "return [os.path.exists('/proc'), *filter(there, range(1, 70_000))]",
        [False, 1, 2],
    ),
    "the room's first process cannot be ended": (
        "import contextlib\n"
        "if os.getpid() != 2: return 'no room'  # then it would be this machine's\n"
        "with contextlib.suppress(PermissionError): os.kill(1, 9)\n"
        "time.sleep(0.2)\n"
        "return 'alive'",
        "alive",
    ),
    "there is no network, nor a way to the host of a virtual machine": (
        "done = []\n"
        "for family in (2, 10, 16, 40):  # internet, its version 6, netlink, vsock\n"
        "    try: done.append(socket.socket(family))\n"
        "    except OSError as error: done.append(error.errno)\n"
        "return done",
        [1, 1, 1, 1],  # EPERM
    ),
    "what reaches around the walls is refused": (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = [('shmget', 0, 4096, 0o1600), ('semget', 0, 1, 0o1600), ('msgget', 0, 0o1600),\n"
        "         ('ptrace', 0, 0, 0, 0), ('setns', 0, 0), ('unshare', 0),\n"
        "         ('execve', b'/x', 0, 0), ('process_vm_readv', 2, 0, 0, 0, 0, 0),\n"
        "         *(('syscall', n, 0, 0) for n in NUMBERS)]\n"
        "done = []\n"
        "for name, *args in calls:\n"
        "    ctypes.set_errno(0)\n"
        "    if getattr(libc, name)(*args) != -1 or ctypes.get_errno() != 1: done.append(name)\n"
        "return done",
        [],
    ),
    "it is nobody, without rights, and cannot become somebody": (
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "tried = [libc.unshare(0x10000000), libc.mount(b'x', b'/scratch', b'tmpfs', 0, None),\n"
        "         libc.chroot(b'/scratch'), libc.umount2(b'/usr/lib', 2),\n"
        "         libc.ptrace(16, 1, 0, 0),\n"
        "         libc.setuid(0), libc.sethostname(b'x', 1), libc.unshare(0x20000)]\n"
        "return [os.getuid(), os.geteuid(), os.getgid(), *tried]",
        [65534] * 3 + [-1] * 8,
    ),
    "only its own folder can be written to": (
        "done = []\n"
        "for folder in ['/', '/etc', '/usr/lib', '/library', '/dev', '/tmp', '/scratch', TMP]:\n"
        "    try: open(folder + '/x', 'w').close(); done.append(folder)\n"
        "    except OSError: pass\n"
        "return done",
        ["/scratch"],
    ),
    "nothing is open but its channel and its output": (
        "def open_(n):\n"
        "    try: return bool(os.fstat(n))\n"
        "    except OSError: return False\n"
        "return list(filter(open_, range(256)))",
        [0, 1, 2, 3],
    ),
    "no terminal and no device of the machine": (
        "return [sorted(os.listdir('/dev')), os.path.exists('/dev/tty'), os.path.exists('/sys')]",
        [["full", "null", "random", "urandom", "zero"], False, False],
    ),
    "no memory without end, shared or not": (
        "import mmap\n"
        "done = []\n"
        "for flags in (0x22, 0x21):\n"
        "    try: done.append(len(mmap.mmap(-1, 6 * 2**30, flags=flags)))\n"
        "    except OSError: pass\n"
        "return done",
        [],
    ),
    "no further process": (
        "import subprocess\n"
        "done = []\n"
        "starts = os.fork, lambda: subprocess.Popen([sys.executable]), lambda: os.system('x')\n"
        "for start in starts:\n"
        "    try: done.append(start())\n"
        "    except OSError: pass\n"
        "return [status for status in done if status not in (-1, 32512)]",
        [],
    ),
    "the library's modules are neither importable nor in memory": (
        "import gc, importlib, minift\n"
        "absent = ['minift.methods.bitfit', 'minift.data.entities', 'minift.active.acquisition']\n"
        "found = [f.__module__ for f in gc.get_objects() if type(f) is type(f_)]\n"
        "found = [m for m in found if m and m.startswith('minift.')]\n"
        "for name in absent:\n"
        "    try: importlib.import_module(name).anything(); found.append(name)\n"
        "    except ImportError: pass\n"
        "return [m for m in found if m != 'minift.errors']",
        [],
    ),
}


@pytest.fixture(scope="session")
def room(launcher):
    if launcher.refused:
        pytest.skip(NO_SANDBOX)
    return launcher


def looked(launcher: Launcher, body: str, **words: object) -> object:
    """Return what a function with this body returns in a student's process."""
    given = "".join(f"{name} = {value!r}\n" for name, value in words.items())
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    student = Student(launcher, f"{HEAD}{given}def f_():\n{lines}")
    try:
        return student.attempt("f_")
    finally:
        student.close()


def observed(launcher: Launcher, folder: str) -> dict[str, object]:
    """Return what was found of each."""
    column = sandbox.MACHINES[platform.machine()][1]
    words = {"TMP": folder, "NUMBERS": [numbers[column] for numbers in sandbox.REFUSED.values()]}
    return {what: looked(launcher, body, **words) for what, (body, _) in OBSERVED.items()}


def test_a_system_call_has_the_number_that_the_kernels_headers_give():
    files = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")
    named = {"pivot_root": sandbox.PIVOT_ROOT, "socket": sandbox.SOCKET, **sandbox.REFUSED}
    for column, file in enumerate(map(Path, files)):
        if file.is_file():  # of the package linux-libc-dev
            there = dict(re.findall(r"#define __NR_(\w+) (\d+)", file.read_text()))
            assert {n: int(there[n]) for n in named} == {n: two[column] for n, two in named.items()}


def test_in_its_room_a_process_finds_nothing(room, tmp_path):
    assert observed(room, str(tmp_path)) == {what: right for what, (_, right) in OBSERVED.items()}


ORDINARY = 12345  # a user that owns nothing
AS_SOMEBODY = """
import json, os, sys
sys.path[:0] = [{tests!r}, {tutorials!r}, {checkout!r}]
import test_graders as t
with t.Launcher() as launcher:
    solution = (t.TUTORIALS / "05_bitfit" / "instructor" / "solution.py").read_text()
    report = t.score.grade(t.load(t.TUTORIALS / "05_bitfit"), solution, launcher)
    print(json.dumps([os.getuid(), launcher.refused, report.given,
                      t.observed(launcher, os.getcwd())]))
"""


def pythons() -> list[str]:
    """Return the Pythons that may be one for another user: this, and the system's of its kind."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return [sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"]


@pytest.mark.slow
def test_an_ordinary_user_has_the_same_room():
    if os.name != "posix" or os.geteuid() != 0:
        return  # the other tests of this file run as an ordinary user already
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(folder, ORDINARY, ORDINARY)
    words = {
        "tests": TUTORIALS.parent / "tests",
        "tutorials": TUTORIALS,
        "checkout": TUTORIALS.parent,
    }
    program = AS_SOMEBODY.format(**{name: str(path) for name, path in words.items()})
    packages = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    said = ""
    for python in filter(os.path.isfile, pythons()):
        try:
            done = subprocess.run(
                [python, "-c", program],
                cwd=folder,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": packages},
                user=ORDINARY,
                group=ORDINARY,
                extra_groups=[],
                capture_output=True,
                text=True,
            )
        except PermissionError:
            continue
        said = done.stderr[-300:]
        if done.returncode == 0:
            break
    else:
        print(said)
        pytest.skip(NO_OTHER_USER)
    shutil.rmtree(folder)
    user, refused, given, found = json.loads(done.stdout.splitlines()[-1])
    if refused:
        print(refused)
        pytest.skip(NO_SANDBOX)
    assert (user, given) == (ORDINARY, 26)
    assert found == {what: right for what, (_, right) in OBSERVED.items()}


# Hand-ins of a course, graded together. Each attack knows every path; PATHS is put before it.
SOLUTION_5 = (TUTORIALS / "05_bitfit" / "instructor" / "solution.py").read_text()
ATTACKS = {
    "X1 forges the results and kills the grader": (
        "import glob\n"
        "def attack():\n"
        "    for path in OWN:\n"
        "        for act in (lambda: os.chmod(os.path.dirname(path), 0o500),\n"
        "                    lambda: open(path + '~', 'w').write(FORGED),\n"
        "                    lambda: os.rename(path + '~', path),\n"
        "                    lambda: open(path, 'w').write(FORGED), lambda: os.remove(path)):\n"
        "            try: act()\n"
        "            except OSError: pass\n"
        "    for command in glob.glob('/proc/[0-9]*/cmdline'):\n"
        "        try:\n"  # the grader of this course, and nothing else of whoever tests
        "            if SALT.encode() in open(command, 'rb').read():\n"
        "                os.kill(int(command.split('/')[2]), 9)\n"
        "        except OSError: pass\n"
    ),
    "X2 deletes what others handed in": (
        "import shutil\n"
        "def attack():\n"
        "    for path in OWN: shutil.rmtree(os.path.dirname(path), ignore_errors=True)\n"
    ),
    "X5 looks for the salt": (
        "def attack():\n"
        "    for path in [f'/proc/{p}/{f}' for p in ('self', 1, os.getppid())\n"
        "                 for f in ('environ', 'cmdline', 'mem')] + PATHS:\n"
        "        try: print(open(path, errors='replace').read(9999))\n"
        "        except OSError: pass\n"
        "    print(dict(os.environ), sys.argv)\n"
    ),
    "X6 imports the solution": (
        "def attack():\n"
        "    for path in PATHS:\n"
        "        try: exec(open(path).read(), globals())\n"
        "        except Exception: pass\n"
        "attack()\n"
    ),
    "X10 calls the library": (
        "import minift\n"
        "attack = lambda: None\n"
        "def bitfit_names(model): return minift.recipe('bitfit').trainable(model)\n"
        "def freeze(model, names):\n"
        "    from minift.methods import bitfit\n"
        "    bitfit.freeze(model)\n"
        "def count_scalars(model, names):\n"
        "    return sys.modules['minift.bert.counts'].count(model)\n"
    ),
}
EMPTY = "\n".join(
    f"def {name}(*_):\n    attack()\n    return []"
    for name in ("bitfit_names", "freeze", "count_scalars", "subset_names", "test_moved")
)
LINKS = {  # how a hand-in is made; `folder` is its own, `checkout` has the solution
    "X3 link to the solution": lambda folder, to: (folder / "exercise.py").symlink_to(to[0]),
    "X3 hard link to the solution": lambda folder, to: os.link(to[0], folder / "exercise.py"),
    "X4 link to the salt": lambda folder, to: (folder / "exercise.py").symlink_to(to[1]),
    "a pipe": lambda folder, _: os.mkfifo(folder / "exercise.py"),
    "a link beside": lambda folder, to: (
        (folder / "exercise.py").write_text(SOLUTION_5),
        (folder / "more").symlink_to(to[1]),
    ),
    "a folder of that name": lambda folder, _: (
        (folder / "exercise.py").mkdir(),
        (folder / "exercise.py" / "x").touch(),
    ),
    "an endless file": lambda folder, _: (folder / "exercise.py").symlink_to("/dev/zero"),
    "a file that is too large": lambda folder, _: (
        (folder / "exercise.py").touch(),
        os.truncate(folder / "exercise.py", 2**40),
    ),
}


def link_in_archive(path: Path, target: Path) -> None:
    """Write a .zip whose exercise.py is a symbolic link."""
    info = zipfile.ZipInfo("exercise.py")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, str(target))


@pytest.mark.slow
def test_a_course_with_every_attack_in_it_gets_the_right_marks(room, tmp_path):
    handed_in, results_in = tmp_path / "handed_in", tmp_path / "results"
    salt, marks = tmp_path / "salt.txt", tmp_path / "marks.csv"
    solution = tmp_path / "solution.py"  # on the same file system: it can be linked to
    salt.write_text("s3cret-of-a-term\n")
    solution.write_text(SOLUTION_5)
    before_all, after_all = "0 honest", "Z honest"
    names = [before_all, *ATTACKS, *LINKS, after_all]
    paths = [str(results_in / f"{name}.json") for name in names]
    paths += [str(handed_in / name / "exercise.py") for name in names]
    paths += [str(marks), str(salt), str(solution), __file__]
    paths += [str(TUTORIALS / "05_bitfit" / "instructor" / "solution.py")]
    own = [path for path in paths if path.startswith(str(tmp_path))]
    head = f"{HEAD}PATHS = {paths!r}\nOWN = {own!r}\nSALT = {str(salt)!r}\nFORGED = {FORGED!r}\n"
    for name in names:
        folder = handed_in / name
        folder.mkdir(parents=True)
        if name in LINKS:
            LINKS[name](folder, (solution, salt))
            continue
        text = SOLUTION_5
        if name in ATTACKS:
            late = name.startswith(("X6", "X10"))
            text = head + (EMPTY + "\n" + ATTACKS[name] if late else ATTACKS[name] + EMPTY)
        (folder / "exercise.py").write_text(text)
    link_in_archive(handed_in / "link in archive.zip", solution)
    (handed_in / "link to a folder").symlink_to(handed_in / before_all)
    (handed_in / "empty").mkdir()
    (handed_in / "=cmd|'x'!A1_12_34_exercise-1.py").write_text(
        SOLUTION_5.replace('EXPLANATION = """', 'EXPLANATION = """=HYPERLINK("x")')
    )
    (handed_in / "Ada_7_assignsubmission_file_exercise.py").write_text(SOLUTION_5)
    (handed_in / "Ada_1_2_exercise.py").write_text("# I say that I am Ada\n")
    there = {path: path.lstat().st_mtime_ns for path in handed_in.rglob("*")}
    words = ["--salt", str(salt), "--csv", str(marks), "--json", str(results_in)]
    process = run_grader("all", str(handed_in), "05", *words)
    out, _ = process.communicate()
    assert process.returncode == 3, out  # one hand-in was empty: that is nobody's mark
    assert {path: path.lstat().st_mtime_ns for path in handed_in.rglob("*")} == there
    rows = list(csv.DictReader(marks.open(newline="")))
    (other,) = [row for row in rows if row["file"] == "Ada_1_2_exercise.py"]
    assert (other["student"], other["points"]) == ("Ada", "0.0")
    rows = {row["student"]: row for row in rows if row is not other}
    own = load(TUTORIALS / "05_bitfit").points - TASK_5
    for name in (before_all, after_all, "Ada", "'=cmd|'x'!A1"):
        assert float(rows.pop(name)["points"]) >= own, name
    assert "nothing was handed in" in rows.pop("empty")["status"]
    assert {name: row["points"] for name, row in rows.items()} == dict.fromkeys(rows, "0.0")
    assert set(rows) == {*ATTACKS, *LINKS, "link in archive", "link to a folder"}
    written = [*results_in.iterdir(), marks]
    assert len(written) == len(names) + 7
    for path in written:
        assert "s3cret" not in path.read_text() and "=HYPERLINK" not in path.read_text()[:1]
    for name in ATTACKS:
        found = json.loads((results_in / f"{name}.json").read_text())
        assert found["status"] == "finished" and found["score"] == 0 and found["sandbox"]
    for name in LINKS:
        said = json.loads((results_in / f"{name}.json").read_text())["tests"][0]["output"]
        assert re.search("link|regular|bytes|no exercise.py", said), said


def test_without_a_sandbox_other_peoples_code_is_not_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grade.Launcher, "refused", "the kernel says no")
    (tmp_path / "exercise.py").write_text("x = 1\n")
    file, marks = tmp_path / "r.json", tmp_path / "m.csv"
    one = ["05", "--submission", str(tmp_path / "exercise.py"), "--json", str(file)]
    many = ["all", str(tmp_path), "05", "--csv", str(marks)]
    for words in (one, many):
        assert grade.main(words) == 2
        said = capsys.readouterr().err
        assert "no sandbox (the kernel says no)" in said and "--unsafe" in said
    assert not file.exists() and not marks.exists()
    monkeypatch.setattr(grade.Launcher, "isolated", False)
    assert grade.main([*one, "--unsafe"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("UNSAFE: graded without a sandbox (the kernel says no)")
    found = json.loads(file.read_text())
    assert found["notes"][0].startswith("UNSAFE") and found["sandbox"] is False
    report = score.Report(load(TUTORIALS / "05_bitfit"), (), unsafe="no")
    assert results.as_gradescope(report)["output"].startswith("UNSAFE")


@pytest.mark.parametrize("salt", ["s3cret-of-a-term", "@s3cret-of-a-term"])
def test_a_salt_is_taken_from_no_command_line_and_no_environment(salt, capsys, monkeypatch):
    assert grade.main(["05", "--salt", salt]) == 2
    assert "--salt takes a file" in capsys.readouterr().err
    monkeypatch.setenv("MINIFT_SALT", "s3cret")
    assert grade.main(["05"]) == 2
    assert "MINIFT_SALT is set" in capsys.readouterr().err


def test_a_salt_is_typed_or_in_a_file_and_never_empty_or_the_public_one(tmp_path, monkeypatch):
    monkeypatch.setattr(grade.getpass, "getpass", lambda prompt: " autumn ")
    assert grade._salt("ask") == "autumn" and grade._salt(None) == checks.PUBLIC
    file = tmp_path / "salt.txt"
    for text, right in (("autumn\n", "autumn"), ("\n", None), ("public", None)):
        file.write_text(text)
        if right:
            assert grade._salt(str(file)) == grade._salt(f"@{file}") == right
        else:
            with pytest.raises(grade.MiniftError, match="a word of your own"):
                grade._salt(str(file))


def test_a_wrong_path_or_an_empty_folder_is_wrong_usage_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        words = ["05", "--submission", str(path), "--json", str(tmp_path / "r.json")]
        assert grade.main(words) == 2
        assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()


def test_a_results_file_is_made_anew_and_no_link_is_followed(tmp_path):
    victim, place = tmp_path / "victim", tmp_path / "results.json"
    victim.write_text("mine")
    place.symlink_to(victim)
    results.write(place, {"score": 1})
    assert victim.read_text() == "mine" and not place.is_symlink()
    assert json.loads(place.read_text()) == {"score": 1}
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["results.json", "victim"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(grade.MiniftError, match="cannot write"):
        results.write(tmp_path / "folder", {"score": 1})


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("Ada Lovelace_12_assignsubmission_file_", "Ada Lovelace"),
        ("Ada Lovelace_12_assignsubmission_file_exercise.py", "Ada Lovelace"),
        ("lovelaceada_12_34_exercise-1.py", "lovelaceada"),
        ("lovelaceada_LATE_12_34_exercise.py", "lovelaceada"),
        ("carol_1_2_hand in.zip", "carol"),
        ("bob", "bob"),
        ("exercise.py", "exercise.py"),
    ],
)
def test_a_students_name_is_what_moodle_or_canvas_left_of_it(entry, name, tmp_path):
    path = tmp_path / entry
    path.touch() if "." in entry else path.mkdir()
    assert grade.student_name(path) == name


def test_a_hand_in_says_by_its_functions_which_assignment_it_is():
    known = [load(folder) for folder in FOLDERS]
    for folder in FOLDERS:
        source = (folder / "instructor" / "solution_b.py").read_text()
        assert grade._which(source, known).folder == folder
    with pytest.raises(checks.Wrong, match="functions of no assignment"):
        grade._which("def f(): pass\n", known)


def test_no_name_and_no_text_of_a_student_ends_a_course_or_is_a_formula(
    tmp_path, monkeypatch, capsys
):
    """Nothing of theirs is run here: what is graded is only a name and a text."""
    assignment = load(TUTORIALS / "05_bitfit")
    monkeypatch.setattr(grade.Launcher, "refused", "")
    monkeypatch.setattr(grade.score, "grade", lambda *_: score.Report(assignment, ()))
    handed_in, marks = tmp_path / "in", tmp_path / "in" / "marks.csv"
    handed_in.mkdir()
    texts = ['"\\ud800"', "0x" + "f" * 20_000, '"x;=1+1\\n-1+1"', '"a\\tb" + str(1)', '"\\x1b[2J"']
    names = [b"caf\xe9.py", b"A" * 252 + b".py", b"new\nZoe  05_bitfit  26.0.py", b"x;=1+1.py"]
    names += [b"\x1b[2J.py"]
    for name, text in zip(names, texts, strict=True):
        with (handed_in / os.fsdecode(name)).open("w") as file:
            file.write(f'EXPLANATION = "the blank"\nEXPLANATION = {text}\n')
    (handed_in / os.fsdecode(b"l\xefnk.py")).symlink_to("/etc/passwd")
    words = ["all", str(handed_in), "05", "--csv", str(marks), "--json", str(handed_in / "results")]
    for _ in range(2):  # the second time what the first wrote lies among the hand-ins
        assert grade.main(words) == 0
        out = capsys.readouterr().out
        assert len(out.splitlines()) == len(names) + 2 and "Zoe" in out
        assert out.replace("\n", "").isprintable()
        assert len(list((handed_in / "results").iterdir())) == len(names) + 1
        rows = list(csv.DictReader(marks.open(newline="", encoding="utf-8")))
        assert len(rows) == len(names) + 1
        cells = re.split(r"[;,\n]", marks.read_text(encoding="utf-8"))
        assert not [cell for cell in cells if cell.lstrip('" \t')[:1] in tuple("=+-@")]
    said = {row["explanation"] for row in rows}
    assert said == {"?", "", "x;'=1+1\n'-1+1", "'a\\tb' + str(1)", "?[2J"}


def test_the_graders_environment_shows_a_room_no_more(room, tmp_path, monkeypatch):
    """A teacher's PYTHONPATH names a home, and a copy of minift; nobody else may read new files."""
    home, copy = tmp_path / "home", tmp_path / "site-packages"
    (home / "minift").mkdir(parents=True)
    shutil.copytree(TUTORIALS.parent / "minift" / "methods", copy / "minift" / "methods")
    monkeypatch.setenv("PYTHONPATH", f"{home}{os.pathsep}{copy}{os.pathsep}.")
    before = os.umask(0o077)
    try:
        with Launcher() as launcher:
            assert launcher.refused == ""
            look = (
                "return [os.path.exists(HOME), os.path.exists(COPY), os.listdir(f'{COPY}/minift')]"
            )
            words = {"HOME": str(home), "COPY": str(copy)}
            assert looked(launcher, look, **words) == [False, True, []]
    finally:
        os.umask(before)


def test_what_is_hidden_is_not_there_even_among_pythons_packages(room):
    package = Path(json.__file__).parent
    with Launcher(hidden=[package, csv.__file__]) as launcher:
        look = f"return [os.listdir({str(package)!r}), open({csv.__file__!r}).read()]"
        assert looked(launcher, f"try: {look}\nexcept OSError as error: return str(error)") in (
            [[], ""],
            f"[Errno 13] Permission denied: '{csv.__file__}'",
        )
    assert looked(room, f"return len(os.listdir({str(package)!r})) > 3") is True
