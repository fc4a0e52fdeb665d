"""`.ci/gpu` loses no minute where there is a GPU: its rehearsal runs all of it without one.

claim                                                        oracle
its own steps run, tiny, and say how they ended              gpu.json; the files they leave
eight files at most, in one folder                           the folder
the tests that it names are those that pytest would pick     pytest's own collection
a step whose packages are missing is skipped, in one line    a package that nobody has
a step beyond its limit is cut short with its children, and  a step that sleeps, and its child
the next one runs
without a GPU it runs nothing                                its exit code
random weights have the sizes that are asked for             config.json, as transformers reads it
other processes are busy beside the block, and not after it  their processor time
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import transformers

from tests.benchmarks import gpu
from tests.benchmarks.common import busy
from tests.benchmarks.gpu import Step
from tests.benchmarks.world import SHAPES, World

BEATS = "import sys, time\nwhile True: open(sys.argv[1], 'a').write('x'); time.sleep(0.05)"
LONG = (
    "import subprocess, sys; print('begun', flush=True);"
    f"subprocess.run([sys.executable, '-c', {BEATS!r}, sys.argv[1]])"
)


def state(out: Path) -> dict:
    return json.loads((out / "gpu.json").read_text())


REHEARSED = ("varlen", "throughput", "nccl", "flash")  # what the others run, CI runs elsewhere


@pytest.mark.slow
def test_the_rehearsal_passes(tmp_path):
    command = [str(gpu.ROOT / ".ci" / "gpu"), str(tmp_path / "out"), "--rehearse"]
    command += ["--only", *REHEARSED]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHON": sys.executable}
    )
    assert done.returncode == 0, done.stdout
    found = state(tmp_path / "out")
    ended = {step["name"]: step["ended"] for step in found["steps"]}
    assert sorted(ended) == sorted(REHEARSED)
    flash = ended.pop("flash")
    assert flash == ("skipped" if "flash-attn" in found["missing"] else "failed")
    assert set(ended.values()) == {"passed"}
    files = list((tmp_path / "out").iterdir())
    assert len(files) <= 8 and all(file.is_file() for file in files)
    for name in ("varlen", "throughput", "nccl"):
        assert json.loads((tmp_path / "out" / f"{name}.json").read_text())["rows"], name
    assert done.stdout.startswith("missing packages: ")


@pytest.mark.slow
def test_the_tests_that_it_names_are_those_that_pytest_would_pick():
    command = [sys.executable, "-m", "pytest", "--all", "-n", "0", "--collect-only", "-q", "-m"]
    done = subprocess.run([*command, "gpu"], cwd=gpu.ROOT, capture_output=True, text=True)
    picked = {line.split("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert picked == set(gpu.gpu_tests()) and gpu.SLOW in picked


def test_what_is_missing_is_said_and_skips_its_steps_alone(tmp_path, monkeypatch, capsys):
    plan = [
        Step("lacks", ["-c", "print('ran')"], 9, ["nobody-has-this", "pytest"]),
        Step("has all", ["-c", "print('ran')"], 9, ["pytest"]),
        Step("fails", ["-c", "raise SystemExit('for a reason')"], 9),
    ]
    monkeypatch.setattr(gpu, "steps", lambda out, rehearse: plan)
    monkeypatch.setattr(gpu, "TESTS", {"pytest": "8", "Nobody_has.this": "1.2"})
    monkeypatch.setattr(gpu, "machine", lambda: iter([("torch", "2 None False")]))
    plan[0] = Step("lacks", plan[0].command, 9, ["Nobody_has.this"])
    assert gpu.main([str(tmp_path), "--rehearse"]) == 1
    assert "Nobody_has.this>=1.2" in capsys.readouterr().out.splitlines()[0]
    assert [(s["ended"], s["last"]) for s in state(tmp_path)["steps"]] == [
        ("skipped", "it needs Nobody_has.this>=1.2"), ("passed", "ran"), ("failed", "for a reason"),
    ]  # fmt: skip
    assert gpu.main([str(tmp_path)]) == 2  # no GPU
    assert "PyTorch sees no GPU here; --rehearse" in capsys.readouterr().out
    monkeypatch.setattr(gpu, "least_versions", lambda: {"not-here": "1"})  # minift itself needs it
    assert gpu.main([str(tmp_path), "--rehearse"]) == 0
    assert {s["ended"] for s in state(tmp_path)["steps"]} == {"skipped"}


def test_a_step_beyond_its_limit_is_cut_short_with_its_children(tmp_path, monkeypatch):
    beats = tmp_path / "beats"
    plan = [Step("long", ["-c", LONG, str(beats)], 2), Step("short", ["-c", "print('ran')"], 60)]
    monkeypatch.setattr(gpu, "steps", lambda out, rehearse: plan)
    monkeypatch.setattr(gpu, "machine", lambda: iter([("torch", "2 None False")]))
    assert gpu.main([str(tmp_path), "--rehearse"]) == 1
    assert [(s["ended"], s["last"]) for s in state(tmp_path)["steps"]] == [
        ("cut short", "begun"), ("passed", "ran")
    ]  # fmt: skip
    size = beats.stat().st_size
    assert size > 0
    time.sleep(0.5)
    assert beats.stat().st_size == size
    monkeypatch.setattr(gpu, "LEAST", 1e9)
    assert gpu.main([str(tmp_path), "--rehearse"]) == 0
    assert {s["last"] for s in state(tmp_path)["steps"]} == {"no time was left"}


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [
        ("2.9.1", "2.10", True),
        ("2.11.0+cu130", "2.6", False),
        ("8", "8", False),
        ("8.0", "8.0.1", True),
        ("5.17.0", "5", False),
    ],
)
def test_versions_are_compared_by_their_numbers(version, least, expected):
    assert gpu.older(version, least) == expected


def test_what_minift_needs_is_what_pyproject_says():
    least = gpu.least_versions()
    assert least["torch"] == "2.6" and "packaging" in least and "pytest" not in least
    assert all(version for _, version in gpu.packages().values() if _ in least.values())


def test_random_weights_have_the_sizes_that_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPES, "minilm", (48, 3, 6, 80))
    world = World(tmp_path, shapes="minilm")
    config = transformers.AutoConfig.from_pretrained(world.folder)
    assert (config.hidden_size, config.num_hidden_layers) == (48, 3)
    assert (config.num_attention_heads, config.intermediate_size) == (6, 80)
    assert len(world.pool) == 2160  # the embedded reviews
    reference, own = world.reference(), world.own()
    with torch.inference_mode():
        theirs = reference(**world.collate(world.encoded(3))).logits
    assert sum(p.numel() for p in own.parameters()) == sum(
        p.numel() for p in reference.parameters()
    )
    assert theirs.shape == (3, 2)


def test_other_processes_are_busy_beside_the_block_and_not_after_it():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with busy(2) as processes:
        time.sleep(2)
        assert [p.poll() for p in processes] == [None, None]
    assert None not in [p.poll() for p in processes]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before > 0.2
