"""Same seed, same machine, same threads: the same bytes, whatever else differs.

claim                                                        oracle
each command twice, in processes of their own, gives the     every file of both, byte by byte, times
same weights and the same figures                            taken out; another order of commands,
                                                             hash seed and global random state
another seed gives others                                    the same comparison
--deterministic changes no bit on a CPU                      a run without it
it is switched off again, and handed to processes            PyTorch's own switches; a child
on a GPU it gives the same bytes twice                       two runs (where there is one)
the seeds of all streams are written down                    run.json, distill.json, and others
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from minift.runs.dealing import deal
from minift.runs.determinism import deterministic
from minift.training.loop import Seeds

REPOSITORY = Path(__file__).resolve().parents[2]
# what a clock or the system says, and checksums of lines that have it
TIMES = re.compile(r"second|speedup|_mb$|peak|machine|^time|date|command|per_s$|memory|^check$")
DIGEST = re.compile(r"-[0-9a-f]{16}(?=\.pt$)")  # of a checkpoint, which holds times
WEIGHTS = (".safetensors", ".pt")
REPORTS = (".html", ".md", ".out", ".csv")  # they show seconds; their figures are elsewhere


def start(folder: Path, seed: int, order: str, hash_seed: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.safety.every_command", str(folder), str(seed), order]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1",
                   "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}  # fmt: skip
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, dict[str, object]]:
    """What the files of three runs say: one, the same again, and another seed."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    for name, seed, order, hashes in (
        ("one", 3, "forwards", "1"), ("same", 3, "backwards", "2"), ("other", 4, "forwards", "1"),
    ):  # fmt: skip
        process = start(root / "world", seed, order, hashes)  # the paths of files are on record
        _, error = process.communicate(timeout=1200)
        assert process.returncode == 0, error.decode()[-3000:]
        (root / "world").rename(root / name)
        found[name] = contents(root / name)
    return found


def contents(folder: Path) -> dict[str, object]:
    """Each file by its name: bytes, or what it says without times."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = DIGEST.sub("", path.relative_to(folder).as_posix())
        if not path.is_file() or path.suffix in (".lock", *REPORTS):
            continue
        if path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix == ".pt":
            found[name] = timeless(torch.load(path, weights_only=True))
        else:
            found[name] = path.read_bytes()
    for csv in folder.rglob("*.csv"):
        head, *rows = [line.split(",") for line in csv.read_text().splitlines()]
        kept = [n for n, column in enumerate(head) if not TIMES.search(column)]
        figures = [[row[n] for n in kept if n < len(row)] for row in rows]
        found[csv.relative_to(folder).as_posix()] = figures
    return found


def timeless(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not TIMES.search(str(k))}
    return [timeless(v) for v in value] if isinstance(value, list) else value


FILES = {  # command: a file of figures, a file of weights
    "train": ("run/result.json", "run/model.safetensors"),
    "predict": ("answers.jsonl", None),
    "compare": ("comparison/runs.jsonl", "comparison/weights"),
    "distill": ("student/result.json", "student/student.safetensors"),
    "score": ("scores.jsonl", None),
    "simulate": ("simulation/simulation.jsonl", None),
    "further": ("further/log.jsonl", "further/model.safetensors"),
    "pretrain": ("pretraining/run/log.jsonl", "own/model.safetensors"),
}


@pytest.mark.slow
def test_every_command_gives_the_same_bytes_in_another_process(runs, record_property):
    one, same = runs["one"], runs["same"]
    assert set(one) == set(same)
    assert [name for name in one if one[name] != same[name]] == []
    weights = [name for name in one if name.endswith(WEIGHTS)]
    record_property("measured", f"{len(one)} files twice, {len(weights)} of weights: no difference")
    assert len(weights) >= 8
    for files in FILES.values():
        for file in filter(None, files):
            assert any(name.startswith(file) for name in one), file


@pytest.mark.slow
@pytest.mark.parametrize("command", FILES)
def test_another_seed_gives_others(runs, command):
    for file in filter(None, FILES[command]):
        differing = [
            name for name in runs["one"]
            if name.startswith(file) and runs["one"][name] != runs["other"].get(name)
        ]  # fmt: skip
        assert differing, file


@pytest.mark.slow
def test_on_a_cpu_deterministic_algorithms_change_no_bit(runs):
    one = runs["one"]
    assert one["run-d/model.safetensors"] == one["run/model.safetensors"]
    assert one["run-d/history.jsonl"] == one["run/history.jsonl"]


@pytest.mark.slow
def test_the_seeds_of_all_streams_are_written_down(runs):
    for seed, found in ((3, runs["one"]), (4, runs["other"])):
        made = ("run/run.json", "tagger/run.json", "student/distill.json", "further/pretrain.json")
        for file in made:
            assert found[file]["seeds"] == asdict(Seeds.all(seed))
        for file in ("comparison/runs.jsonl", "simulation/simulation.jsonl"):
            assert {row["seed"] for row in found[file] if "seed" in row} == {seed, seed + 1}


def _switched_on(_: int) -> bool:
    return torch.are_deterministic_algorithms_enabled()


def test_it_is_switched_on_and_off_again_and_handed_to_processes(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # it is put back after the test
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
        assert dict(deal(_switched_on, [0, 1], 2)) == {0: False, 1: False}
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert dict(deal(_switched_on, [0, 1], 2)) == {0: True, 1: True}
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError), deterministic(True):
        raise RuntimeError
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
@pytest.mark.slow
def test_on_a_gpu_the_same_command_gives_the_same_bytes_twice(tmp_path):
    from tests.safety.every_command import files
    from tests.tiny import checkpoint

    checkpoint(tmp_path / "encoder")
    files(tmp_path)
    for out in ("one", "two"):
        command = [sys.executable, "-m", "minift", "train", "--train", "train.jsonl", "--dev",
                   "dev.jsonl", "--encoder", "encoder", "--epochs", "3", "--method", "child-f:0.3",
                   "--device", "cuda", "--deterministic", "--out", out]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
    one, two = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("one", "two"))
    assert one == two
