"""The study of reading first: three encoders, the same draws, and a command that resumes.

claim                                                      oracle
each encoder is tuned on the same few labels, each head    the lines of runs.jsonl
the same command does nothing twice, and more seeds only   the lines; the weights' bytes
what is missing
the table pairs scores by their seeds                      worked by hand
the reading takes about as long as was asked for           a clock that the test sets
"""

from __future__ import annotations

import importlib
import json
import sys
from argparse import Namespace

import pytest

from tests.conftest import REPOSITORY
from tests.tiny import checkpoint

sys.path.insert(0, str(REPOSITORY / "data_scripts"))
script = importlib.import_module("reading")


def test_three_encoders_are_tuned_on_the_same_labels_and_nothing_twice(tmp_path, capsys):
    checkpoint(tmp_path / "encoder")
    work = tmp_path / "work"
    command = ["--work", str(work), "--encoder", str(tmp_path / "encoder"), "--data", "reviews",
               "--minutes", "0.001", "--labels", "8", "--batch-size", "400"]  # fmt: skip
    script.main([*command, "--seeds", "1"])
    lines = [json.loads(line) for line in (work / "runs.jsonl").read_text().splitlines()]
    assert {(r["encoder"], r["head"]) for r in lines} == {
        (encoder, head)
        for encoder in ("untouched", "mlm", "condenser")
        for head in ("mean", "linear")
    }
    assert {(r["data"], r["labels"], r["seed"]) for r in lines} == {("reviews", 8, 0)}
    before = {f: f.read_bytes() for f in work.rglob("*") if f.is_file()}
    assert json.loads((work / "reviews-mlm.json").read_text())["epochs"] == 1
    script.main([*command, "--seeds", "1"])
    assert {f: f.read_bytes() for f in work.rglob("*") if f.is_file()} == before
    assert "gained over untouched" in capsys.readouterr().out


def test_the_table_pairs_scores_by_their_seeds():
    key = ("sst2", 100, "mean")
    runs = {(*key, "untouched", 0): 0.5, (*key, "untouched", 1): 0.7}
    runs |= {(*key, "mlm", 0): 0.6, (*key, "mlm", 1): 0.8}
    text = script.table(runs)
    row = next(line for line in text.splitlines() if " mlm " in line)
    assert "0.700 (0.141)" in row and "+10.0" in row


def test_the_passes_are_those_that_take_the_minutes(monkeypatch):
    args = Namespace(encoder="mini", batch_size=32, minutes=2.0)

    def timed(encoder, texts, out, objective, epochs, batch_size):
        assert len(texts) == 320
        return {"last": {"seconds": 5.0, "step": 10}}

    monkeypatch.setattr(script, "pretrain_further", timed)
    texts = ["a text"] * 640  # 20 steps of half a second are 10 seconds
    assert script.passes_in(args, texts, "mlm") == 12
    args.minutes = 0.001
    assert script.passes_in(args, texts, "mlm") == pytest.approx(1)
