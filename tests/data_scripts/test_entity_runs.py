"""The driver of the compact taggers' runs, on a small world.

claim                                                       oracle
a finished run is a line, and is never done again           runs.jsonl; the dates of the folders
what a kill cut off is cut away, and that run alone redone  half a line
students read the labelled sentences; one reads the rest    distill.json
the table holds the mean and sd of the lines                statistics by hand
several processes give the same lines                       one process
runs of another plan are refused                            the words of the error
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import checkpoint, news

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "entity_runs.py"
SETTINGS = ["--epochs=4", "--learning-rate=3e-3", "--steps=20", "--evaluate-every=10",
            "--student-learning-rate=5e-3", "--dev=10", "--labels=10,30"]  # fmt: skip
FILES = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(SCRIPT.parent))  # for study.py
    spec = importlib.util.spec_from_file_location("entity_runs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["entity_runs"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPT.parent))
    del sys.modules["entity_runs"]


@pytest.fixture(scope="module")
def world(script, tmp_path_factory):
    """A set under the name of a real one, and the runs of two sizes and two seeds on it."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    (folder / "data" / "wnut17").mkdir(parents=True)
    for split, name in FILES.items():
        sentences = (
            "\n".join(f"{w}\t{t}" for w, t in zip(e.words, e.tags))
            for e in getattr(news(160), split)
        )
        (folder / "data" / "wnut17" / name).write_text("\n\n".join(sentences) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFT_DATA", str(folder / "data"))
        script.main(arguments(folder, folder / "out"))
    return folder


def arguments(folder, out, seeds="0,1", *more) -> list[str]:
    return ["--data=wnut17", f"--out={out}", f"--encoder={folder / 'encoder'}",
            f"--seeds={seeds}", *SETTINGS, *more]  # fmt: skip


def lines(out) -> list[dict]:
    return [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]


def key(record) -> tuple:
    return record["labels"], record["seed"], record["system"]


def without_time(records) -> list[dict]:
    return sorted(({**r, "seconds": 0} for r in records), key=key)


def test_each_run_is_a_line_and_the_table_is_their_mean_and_sd(world):
    found = {key(record): record for record in lines(world / "out")}
    systems = ("teacher", "labels", "distilled", "distilled+pseudo")
    assert set(found) == {(n, s, system) for n in (10, 30) for s in (0, 1) for system in systems}
    text = (world / "out" / "table.md").read_text()
    for labels in (10, 30):
        cells = []
        for system in systems:
            points = [100 * found[labels, seed, system]["test"] for seed in (0, 1)]
            cells.append(f"{statistics.mean(points):.1f} ({statistics.stdev(points):.1f})")
        assert f"| {labels} | 2 | {' | '.join(cells)} |" in text
    teacher = found[30, 0, "teacher"]
    for name in ("float32", "float16", "int8"):
        ratios = [
            found[n, s, "teacher"]["stored"]["float32"]["bytes"]
            / found[n, s, "distilled+pseudo"]["stored"][name]["bytes"]
            for n in (10, 30)
            for s in (0, 1)
        ]
        assert re.search(rf"\| {name} \| [0-9.]+ \| {statistics.mean(ratios):.1f} \|", text)
    report = json.loads((world / "out/wnut17/30-s0/report.json").read_text())
    assert report["teacher_parameters"] == teacher["parameters"]
    assert report["student_f1"] == found[30, 0, "distilled+pseudo"]["test"]
    assert report["teacher_f1"] == teacher["test"]
    assert f"{report['compression']:.1f} times fewer" in text
    assert "--seeds=0,1" in text


def test_students_see_the_same_labels_and_only_one_reads_the_rest(world):
    for system, unlabelled, weights in (
        ("labels", 0, (0.0, 0.0)),
        ("distilled", 0, (1.0, 0.0)),
        ("distilled+pseudo", None, (1.0, 1.0)),
    ):
        made = json.loads((world / "out/wnut17/30-s1" / system / "distill.json").read_text())
        assert made["labelled"] == 30
        settings = made["settings"]
        assert (settings["teacher_weight"], settings["pseudo_weight"]) == weights
        if unlabelled is None:
            texts = [e.words for e in news(160).train]
            assert 0 < made["unlabelled"] <= len(texts) - 30
        else:
            assert made["unlabelled"] == unlabelled


def test_what_is_done_is_not_done_again_and_half_a_line_is(world, script, monkeypatch, tmp_path):
    monkeypatch.setenv("MINIFT_DATA", str(world / "data"))
    out = world / "out"
    before = (out / "runs.jsonl").read_bytes()
    weights = {p: p.stat().st_mtime_ns for p in out.rglob("*.safetensors")}
    whole = before.splitlines(keepends=True)
    (out / "runs.jsonl").write_bytes(b"".join(whole[:-1]) + whole[-1][:30])  # killed here
    monkeypatch.setattr(script, "train", None)  # would fail if it was called
    monkeypatch.setattr(script, "distill", None)
    script.main(arguments(world, out))
    assert without_time(lines(out)) == without_time(map(json.loads, whole))
    changed = [p for p, when in weights.items() if p.stat().st_mtime_ns != when]
    assert {p.parent.name for p in changed} <= {"float16", "int8"}  # of the redone line
    monkeypatch.undo()
    with pytest.raises(SystemExit, match=r"runs of another plan \(student\); choose another"):
        script.main(arguments(world, out, "0,1", "--steps=21"))
    with pytest.raises(SystemExit, match="--labels 4000: the training split has"):
        monkeypatch.setenv("MINIFT_DATA", str(world / "data"))
        script.main(arguments(world, tmp_path / "new", "0", "--labels=4000"))


def test_two_processes_give_the_lines_of_one(world, tmp_path):
    command = [sys.executable, str(SCRIPT), *arguments(world, tmp_path, "0", "--processes=2")]
    environment = {**os.environ, "MINIFT_DATA": str(world / "data"), "OMP_NUM_THREADS": "1",
                   "PYTHONPATH": str(SCRIPT.parents[1])}  # fmt: skip
    subprocess.run(command, check=True, env=environment, capture_output=True)
    expected = [record for record in lines(world / "out") if record["seed"] == 0]
    found = lines(tmp_path)
    assert len(found) == 8
    same = [{k: r[k] for k in ("labels", "system", "test", "parameters")} for r in
            without_time(expected)]  # fmt: skip
    assert same == [
        {k: r[k] for k in ("labels", "system", "test", "parameters")} for r in without_time(found)
    ]
