"""What every test stands on: no network, one place for real data, a short list of skips.

    pytest              the proofs, in under three minutes on 2 cores
    pytest --rest       what the proofs left out: what is slow, what is in `REST`, what skipped for
                        want of MiniLM (CI runs the proofs, fetches MiniLM and runs the rest)
    pytest --all        everything in one run
    pytest tests/label  everything in what is named

Folders are tested by several processes, a file by each, if pytest-xdist is there; single files and
tests in one, where a debugger works (`-n 0`: always in one).
"""

from __future__ import annotations

import ast
import os
import socket
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("minift", database=None, deadline=None)
hypothesis.settings.load_profile("minift")  # writes nothing, and a slow machine is no failure

# With CI set, pytest tells every difference between two long values, which may take hours.
os.environ.pop("CI", None)

REPOSITORY = Path(__file__).resolve().parent.parent
# those that this process may use, which can be fewer than there are
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PROCESSES = min(CORES, 4)  # each takes up to 1.3 GB

if "PYTEST_XDIST_WORKER" in os.environ:  # the cores are shared, also with processes of the tests
    threads = max(1, CORES // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)

NO_GPU = "no GPU"
NO_FLOAT64 = "Apple's GPU has no float64"
NO_REAL_DATA = "real data absent (set MINIFT_DATA)"
NO_CHECKPOINT = "checkpoint not fetched (run: minift info minilm)"
NO_SANDBOX = "this kernel makes no sandbox"
NO_OTHER_USER = "no other user may run a Python here"
NO_FRAMES = "pandas absent (pip install minift[test]), or datasets (pip install datasets)"
NO_ONNX = "no ONNX (pip install onnx onnxscript onnxruntime)"
ALLOWED_SKIPS = {
    NO_GPU, NO_FLOAT64, NO_REAL_DATA, NO_CHECKPOINT, NO_SANDBOX, NO_OTHER_USER,
    NO_FRAMES, NO_ONNX,
}  # fmt: skip


# What surrounds the proofs: the application for people, kills, spoilt files, pages, graders, and
# what starts many processes.
REST = ("benchmarks", "cli", "data_scripts", "label", "mutants", "safety", "tutorials")
PART = "PYTEST_PART"  # how a worker is told
REST_FILES = (
    *("test_command.py", "test_conftest.py", "test_dealing.py", "test_graders.py", "test_grid.py"),
    *("test_hub.py", "test_journal.py", "test_processes.py", "test_run.py", "test_texts.py"),
)


def pytest_addoption(parser):
    """Add --all and --rest."""
    parser.addoption("--all", action="store_true", help="run everything, not only the proofs")
    parser.addoption("--rest", action="store_true", help="run what the proofs leave out or skip")


def pytest_ignore_collect(collection_path, config):
    """The proofs need not even import the rest."""
    return True if os.environ.get(PART) == "proofs" and surrounds(collection_path, config) else None


def surrounds(path: Path, config) -> bool:
    """Return whether a file or folder is one that the proofs leave out."""
    parts = path.relative_to(config.rootpath).parts
    return bool({*REST} & {*parts}) or path.name in REST_FILES


def pytest_collection_modifyitems(config, items):
    """Keep the proofs, unless --all is given or somebody has named what to test; or the rest."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # a file each: those that take longest are begun first
        tests = Counter(item.path for item in items)
        slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
        items.sort(key=lambda i: (not slow[i.path], -tests[i.path], i.path))
    part = os.environ.get(PART)
    if part not in ("proofs", "rest"):
        return
    kept, left = [], []
    for item in items:
        wanted = item.get_closest_marker("slow") or surrounds(item.path, config)
        if part == "proofs":
            wanted = not wanted
        elif "minilm" in f"{item.name} {item.fixturenames}":  # a parameter may ask for it, too
            wanted = True
        (kept if wanted else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Decide how many processes test, where nobody has said so by -n, -d or --pdb."""
    option, folders = config.option, all(Path(name).is_dir() for name in config.args)
    # a worker is told; a pytest that a worker's test starts decides for itself
    if not hasattr(config, "workerinput"):
        unnamed = config.args_source is not config.ArgsSource.ARGS
        proofs = unnamed and not option.all
        os.environ[PART] = "rest" if option.rest else "proofs" if proofs else "all"
    mine = "PYTEST_XDIST_WORKER" not in os.environ and not option.usepdb and folders
    if mine and getattr(option, "numprocesses", 0) is None and option.dist == "no":
        option.numprocesses, option.dist = PROCESSES, "loadfile"
        option.loadscopereorder = False  # it would begin with the files of the most tests


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn any skip whose reason is not on the list above into a failure.

    Apple's GPU has no float64: a test that comes upon that is skipped there.
    """
    report = yield
    on = getattr(item, "callspec", None) and item.callspec.params.get("device")
    if on == "mps" and report.failed and "support float64" in str(call.excinfo.value):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"Skipped: {NO_FLOAT64}")
        return report
    if report.skipped and call.excinfo is not None:
        reason = str(call.excinfo.value)
        if reason not in ALLOWED_SKIPS:
            report.outcome = "failed"
            report.longrepr = f"skipped for a reason that tests/conftest.py does not list: {reason}"
    return report


def pytest_terminal_summary(terminalreporter, config):
    """Print what has been proven: each module's claims with their oracles, and figures measured.

    A module states its claims as a table in its docstring; a test adds a measured figure with
    `record_property("measured", "...")`.
    """
    outcomes: dict[str, Counter] = {}
    figures: dict[str, list[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            path = report.nodeid.split("::")[0]
            outcomes.setdefault(path, Counter())[outcome] += 1
            properties = getattr(report, "user_properties", ())  # a failed collection has none
            values = [value for name, value in properties if name == "measured"]
            figures.setdefault(path, []).extend(values)
    if len(outcomes) < 2:
        return
    terminalreporter.section("claims and their oracles")
    for path in sorted(outcomes):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes[path].items())
        terminalreporter.write_line(f"{path} ({counts})", bold=True)
        docstring = ast.get_docstring(ast.parse((config.rootpath / path).read_text())) or ""
        _, _, table = docstring.partition("oracle\n")
        for line in table.split("\n\n")[0].splitlines():
            terminalreporter.write_line(f"  {line}")
        for figure in dict.fromkeys(figures[path]):
            terminalreporter.write_line(f"  measured: {figure}")


def pytest_sessionfinish(session, exitstatus):
    """An empty collection is a failure, not a success."""
    if session.testscollected == 0:
        session.exitstatus = 1


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}; tests run offline")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


APPLE = ["mps"] * torch.backends.mps.is_available()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu), *APPLE])
def device(request) -> torch.device:
    """Each device there is."""
    return torch.device(request.param)


def pytest_runtest_setup(item):
    """Skip what is marked `gpu` where there is none; `pytest -m gpu` runs that alone."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip(NO_GPU)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real data sets in their original formats."""
    candidates = [os.environ.get("MINIFT_DATA"), REPOSITORY.parent / "shared" / "data"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "sst2").is_dir():
            return Path(candidate)
    pytest.skip(NO_REAL_DATA)


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the real MiniLM checkpoint."""
    from minift.checkpoints.hub import resolve
    from minift.files import minift_home

    if not (minift_home() / "models" / "minilm" / "model.safetensors").is_file():
        pytest.skip(NO_CHECKPOINT)
    return resolve("minilm")
