"""Run tests on wrong versions of the library, each in a fork of this process.

    python worker.py FOLDER

FOLDER holds `whole/` (a copy of the library and its tests) and jobs.json, a list of
{"name", "file", "old", "new", "tests"}. For each job this writes FOLDER/NAME.json with what
pytest said. Importing PyTorch and transformers takes seconds, so they are imported here once;
minift itself is imported in the forks only, from the copy that the fork is about.
"""

from __future__ import annotations

import compileall
import faulthandler
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

AT_ONCE = 2
SECONDS = 420  # a fork that takes longer hangs: the most patient test may wait five times for a
# minute. It is tried once more, after all others: what made it wait may be over by then
HEAVY = [
    "hypothesis",
    "huggingface_hub",
    "numpy",
    "safetensors.torch",
    "scipy.stats",
    "seqeval.metrics",
    "seqeval.metrics.v1",
    "sklearn.dummy",
    "sklearn.metrics",
    "tokenizers",
    "torch._dynamo",  # the first optimizer imports it
    "tqdm",
    "transformers",
]


class Verdict:
    """A pytest plugin that notes how each test ended."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self.words = ""

    def pytest_runtest_logreport(self, report) -> None:
        """A failure anywhere else than in the test itself is "broken"."""
        if report.when == "call" or report.outcome != "passed":
            known = report.outcome if report.when == "call" else "broken"
            self.outcomes[report.nodeid] = known
        if report.outcome == "failed":
            self.words = str(report.longrepr)[-2000:]


def warm_up() -> None:
    """Import what the tests import, and let transformers load what it loads at first use."""
    for name in HEAVY:
        importlib.import_module(name)
    import torch
    import transformers

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    sizes = {"vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.BertConfig(**sizes, intermediate_size=4, attn_implementation="eager")
    ids = torch.ones(1, 2, dtype=torch.int64)
    for head in ("SequenceClassification", "TokenClassification", "MaskedLM"):
        with torch.no_grad():
            getattr(transformers, f"BertFor{head}")(config)(input_ids=ids, attention_mask=ids)
    assert not any(name.split(".")[0] == "minift" for name in sys.modules)
    gc.collect()
    gc.freeze()  # so that no fork walks through, and copies, what was imported here


def run_tests(folder: Path, tests: list[str]) -> dict:
    """Run tests of the copy in `folder`; called in a fork."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    verdict, started = Verdict(), time.process_time()
    options = [
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        f"--basetemp={folder}.tmp",
    ]  # not inside: others copy it
    code = pytest.main([*options, *tests], plugins=[verdict])
    return {
        "exit": int(code),
        "outcomes": verdict.outcomes,
        "words": verdict.words,
        "library": sys.modules["minift"].__file__ if "minift" in sys.modules else None,
        "cpu_seconds": round(time.process_time() - started, 2),
    }


def start(root: Path, job: dict) -> int:
    """Make the copy that a job is about and fork; return the fork's id."""
    folder = root / job["name"]
    if job["file"] is not None and not folder.exists():
        shutil.copytree(root / "whole", folder, copy_function=os.link)
        source = folder / job["file"]
        text = source.read_text(encoding="utf-8").replace(job["old"], job["new"])
        source.unlink()  # the link only
        source.write_text(text, encoding="utf-8")
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        log = os.open(root / f"{job['name']}.log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        faulthandler.dump_traceback_later(SECONDS - 20, file=log)  # where it hangs
        found = run_tests(folder, job["tests"])
        (root / f"{job['name']}.json").write_text(json.dumps(found))
    finally:
        os._exit(0)  # nothing of the parent's is to be closed or flushed a second time


def main(root: Path) -> None:
    """Do all jobs, `AT_ONCE` at a time."""
    compileall.compile_dir(root / "whole" / "minift", quiet=2)  # once, not in every fork
    warm_up()
    waiting = json.loads((root / "jobs.json").read_text(encoding="utf-8"))[::-1]
    running: dict[int, tuple[float, dict]] = {}
    tried_again: list[str] = []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            job = waiting.pop()
            running[start(root, job)] = (time.monotonic(), job)
        done, _ = os.waitpid(-1, os.WNOHANG)
        if done:
            _, job = running.pop(done)
            if not (root / f"{job['name']}.json").exists() and job["name"] not in tried_again:
                tried_again.append(job["name"])
                waiting.insert(0, job)
            continue
        for pid, (since, _) in running.items():
            if time.monotonic() - since > SECONDS:
                os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)


if __name__ == "__main__":
    del sys.path[0]  # this folder; the copies bring their own
    main(Path(sys.argv[1]).resolve())
