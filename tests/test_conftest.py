"""What tests/conftest.py promises of a run of the tests.

claim                                                        oracle
a folder is tested by as many processes as it decides        the processes' own numbers
files, `-n 0` and no xdist at all are one process            the same
threads of all processes are no more than cores              what torch says in each
a skip for a reason that is not listed fails, in all these   a listed reason beside it
a run that collects nothing fails                            pytest's exit code
a test marked gpu is skipped without one; `-m gpu` picks it  pytest's own counts
on Apple's GPU a test that comes upon float64 is skipped     an error with PyTorch's words
the proofs run; with --all, or of what is named, everything  pytest's own counts
the proofs and --rest together run each test once            the names in pytest's own list
what waits for MiniLM is in both                             a test that asks for it
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from tests.conftest import CORES, NO_FLOAT64, NO_GPU, PROCESSES, REPOSITORY

TESTS = f"""
import os, time, pytest, torch

def test_where():
    with open("where", "a") as file:
        file.write(f"{{os.getpid()}} {{torch.get_num_threads()}} {{os.getppid()}}\\n")
    time.sleep(1)  # so that no process can test both files

def test_a_listed_skip():
    pytest.skip({NO_GPU!r})
"""
UNLISTED = "import pytest\n\ndef test_unlisted():\n    pytest.skip('no time')\n"
TOLD = "skipped for a reason that tests/conftest.py does not list: no time"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder of two test files, with the real conftest.py."""
    (tmp_path / "conftest.py").write_text((REPOSITORY / "tests" / "conftest.py").read_text())
    for name in ("a", "b"):
        (tmp_path / f"test_{name}.py").write_text(TESTS)
    return tmp_path


def run(suite: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run pytest in the folder, as from a shell: not as a part of this run."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("PYTEST", "OMP"))}
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *arguments]
    return subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True)


def where(suite: Path) -> list[list[int]]:
    """Return process, threads and parent of each `test_where`."""
    return [[int(n) for n in line.split()] for line in (suite / "where").read_text().splitlines()]


def test_a_folder_is_tested_by_several_processes_and_an_unlisted_skip_fails(suite):
    (suite / "test_c.py").write_text(UNLISTED)
    done = run(suite, ".")
    found = where(suite)
    processes = Counter(process for process, _, _ in found)
    assert len(found) == 2 and len(processes) == min(2, PROCESSES)
    assert all(threads * PROCESSES <= max(CORES, PROCESSES) for _, threads, _ in found)
    assert done.returncode == 1
    assert "1 failed, 2 passed, 2 skipped" in done.stdout
    assert TOLD in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["test_a.py", "test_c.py"], [".", "-n", "0"], [".", "-p", "no:xdist"]],
    ids=["files", "-n 0", "no xdist"],
)
def test_files_are_tested_in_one_process_and_so_is_all_without_xdist(suite, arguments):
    (suite / "test_b.py").unlink()
    (suite / "test_c.py").write_text(UNLISTED)
    done = run(suite, *arguments)
    assert {parent for _, _, parent in where(suite)} == {os.getpid()}  # pytest itself, no worker
    assert done.returncode == 1
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
    assert TOLD in done.stdout


def test_a_run_of_no_tests_is_a_failure(suite):
    for file in suite.glob("test_*.py"):
        file.write_text("")
    assert run(suite, ".", "-n", "1").returncode == 1


def test_each_test_is_a_proof_or_one_of_the_rest_and_what_is_named_runs_whole(suite):
    (suite / "test_a.py").write_text(
        "import pytest\n\n@pytest.mark.slow\ndef test_slow():\n    pass\n"
        "\ndef test_quick():\n    pass\n\ndef test_waits(minilm):\n    pass\n"
    )
    (suite / "test_b.py").unlink()
    (suite / "test_journal.py").write_text("def test_in_the_list():\n    pass\n")
    (suite / "safety").mkdir()
    (suite / "safety" / "test_spoilt.py").write_text("def test_spoilt():\n    pass\n")

    def ran(*arguments: str) -> list[str]:
        return sorted(set(re.findall(r"::(test_\w+)", run(suite, "-v", *arguments).stdout)))

    proofs = ["test_quick", "test_waits"]
    rest = ["test_in_the_list", "test_slow", "test_spoilt", "test_waits"]
    assert ran("-n", "0") == ran("-n", "1") == proofs
    assert ran("-n", "1", "--rest") == rest
    assert ran("-n", "1", "--all") == sorted({*proofs, *rest})
    assert ran("test_a.py") == ["test_quick", "test_slow", "test_waits"]
    assert ran("safety", "-n", "0") == ["test_spoilt"]


def test_devices_are_those_there_are_and_float64_is_skipped_on_apples(suite):
    for file in suite.glob("test_*.py"):
        file.unlink()
    conftest = suite / "conftest.py"
    start, rest = conftest.read_text().split("import torch\n", 1)
    faked = "import torch\ntorch.backends.mps.is_available = lambda: True\n"
    (suite / "test_a.py").write_text(
        "import pytest\n\ndef test_double(device):\n"
        "    if device.type == 'mps':\n"
        "        raise TypeError('the MPS framework doesn\\'t support float64. Please use')\n\n"
        "def test_single(device):\n    assert device.type != 'mps', 'wrong'\n\n"
        "@pytest.mark.gpu\ndef test_marked():\n    pass\n"
    )
    conftest.write_text(start + faked + rest)
    there = torch.cuda.is_available()
    done = run(suite, "test_a.py", "-n", "0")
    assert NO_FLOAT64 in done.stdout and done.returncode == 1
    assert f"1 failed, {5 if there else 2} passed, {1 if there else 4} skipped" in done.stdout
    done = run(suite, "test_a.py", "-n", "0", "-m", "gpu")
    assert f"3 {'passed' if there else 'skipped'}, 4 deselected" in done.stdout
