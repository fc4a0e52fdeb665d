"""Each wrong version of the library is noticed by the test that is named for it.

claim                                                        oracle
each mutant of the table fails its test                      that test, run on a mutated copy
the tests that kill them pass on the library as it is        the same tests, on an unchanged copy
the table fits the source                                    each snippet occurs exactly once
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant

REPOSITORY = Path(__file__).resolve().parents[2]
UNCHANGED = "whole"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verdicts(request, tmp_path_factory) -> dict[str, dict]:
    """What pytest said about the unchanged library and about each mutant asked for."""
    root = tmp_path_factory.mktemp("mutants")
    chosen = [
        item.callspec.params["mutant"]
        for item in request.session.items
        if hasattr(item, "callspec") and isinstance(item.callspec.params.get("mutant"), Mutant)
    ]
    for part in ("minift", "tests", "pyproject.toml"):
        source, target = REPOSITORY / part, root / UNCHANGED / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("mutants"))
        else:
            shutil.copy2(source, target)
    killers = sorted({mutant.killed_by for mutant in chosen})
    jobs = [{"name": UNCHANGED, "file": None, "tests": killers}]
    jobs += [
        {"name": m.name, "file": m.file, "old": m.old, "new": m.new, "tests": [m.killed_by]}
        for m in chosen
    ]
    (root / "jobs.json").write_text(json.dumps(jobs))
    worker = [sys.executable, str(Path(__file__).with_name("worker.py")), str(root)]
    settings = {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    environment = {**os.environ, **settings}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(worker, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {}
    for job in jobs:
        file = root / f"{job['name']}.json"
        verdict = json.loads(file.read_text()) if file.exists() else {"exit": "hung or crashed"}
        verdict["right library"] = str(root / job["name"] / "minift" / "__init__.py")
        log = (root / f"{job['name']}.log").read_text()
        # of a fork that hung, where it did is said first: the calls under way, innermost first
        verdict["log"] = log if len(log) < 4000 else f"{log[:2000]}\n...\n{log[-2000:]}"
        found[job["name"]] = verdict
    return found


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_wrong_version_fails_the_test_that_is_named_for_it(mutant: Mutant, verdicts):
    verdict = verdicts[mutant.name]
    assert verdict["exit"] in (0, 1), f"the test could not be run: {verdict['log']}"
    assert verdict["library"] == verdict["right library"]
    assert verdict["exit"] == 1, f"{mutant.name} survives {mutant.killed_by}: {mutant.why}"
    last = list(verdict["outcomes"].values())[-1]
    assert last == "failed", f"something else than the test failed: {verdict['log']}"


def test_the_tests_that_kill_pass_on_the_library_as_it_is(verdicts):
    verdict = verdicts[UNCHANGED]
    assert verdict["exit"] == 0, verdict["log"]
    assert verdict["library"] == verdict["right library"]
    assert set(verdict["outcomes"].values()) == {"passed"}, "a killer was skipped"
    ran = {test.split("[")[0] for test in verdict["outcomes"]} | set(verdict["outcomes"])
    assert {m.killed_by for m in MUTANTS if m.name in verdicts} <= ran, "a killer did not run"


def test_every_snippet_occurs_once_in_its_file_and_every_mutant_differs():
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 30
    for mutant in MUTANTS:
        source = (REPOSITORY / mutant.file).read_text(encoding="utf-8")
        assert source.count(mutant.old) == 1, f"{mutant.name} no longer fits {mutant.file}"
        assert mutant.new != mutant.old
