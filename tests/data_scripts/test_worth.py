"""The table of what an encoder is worth is made of the runs it names.

claim                                                       oracle
a row's figure is that of an ordinary training run          `train` with the same seed and rate
rates are those of the encoder, and its card's for random   written by hand
random weights differ from the encoder in weights only      the two checkpoints
what is finished is not repeated, and a torn line is        a file with a score nobody measured
done again; a damaged one is named
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minift.checkpoints.weights import load_encoder
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.train import train
from minift.training.loop import Seeds
from tests.tiny import checkpoint

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data_scripts"))  # for study.py
SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "worth.py"
_spec = importlib.util.spec_from_file_location("worth", SCRIPT)
script = sys.modules["worth"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


def line(seed: int, test: float, encoder: str = "bag", rate: float = 0.0) -> str:
    values = ("reviews", 20, encoder, rate, seed)
    return json.dumps({**dict(zip(script.NAMES, values)), "test": test}) + "\n"


def test_a_run_is_an_ordinary_training_run(tmp_path, capsys):
    encoder = str(checkpoint(tmp_path / "encoder"))
    out = tmp_path / "worth.jsonl"
    asked = ["--runs", "reviews:20", "--encoders", encoder, "--seeds", "1", "--threads", "1"]
    script.main(["--out", str(out), *asked])
    full = recipe("full")
    reviews = replace(load_dataset("reviews"), dev=())
    _, result = train(reviews, encoder, full, labels=20, seeds=Seeds.all(0))
    assert json.loads(out.read_text())["test"] == result["test"]
    assert f"{result['test']:.3f}, 1 seeds" in capsys.readouterr().out


def test_an_encoder_is_tried_at_its_own_rate_and_random_weights_at_two(tmp_path):
    plain = str(checkpoint(tmp_path / "encoder"))
    assert script.rates("tiny") == (3e-4,) and script.rates(plain) == (5e-5,)
    assert script.rates("random:tiny") == script.rates(f"random:{plain}") == (3e-4, 1e-3)


def test_random_weights_keep_sizes_and_tokenizer_and_nothing_else(tmp_path):
    encoder = checkpoint(tmp_path / "encoder")
    control = script.without_pretraining(encoder, tmp_path / "control", 1)
    assert (control / "vocab.txt").read_bytes() == (encoder / "vocab.txt").read_bytes()
    (mine, _), (theirs, _) = load_encoder(control), load_encoder(encoder)
    assert mine.config == theirs.config
    weights = dict(theirs.named_parameters())
    for name, parameter in mine.named_parameters():
        if name.endswith("weight") and "norm" not in name:
            assert not torch.equal(parameter, weights[name]), name


def test_finished_runs_are_not_repeated_and_a_torn_line_is(tmp_path, capsys):
    out = tmp_path / "worth.jsonl"
    out.write_text(line(0, 0.123) + line(1, 0.456)[:-9])
    script.main(["--out", str(out), "--runs", "reviews:20", "--encoders", "bag", "--seeds", "2"])
    scores = list(script.finished(out).values())
    assert scores[0] == 0.123 and scores[1] != 0.456
    printed = capsys.readouterr().out
    assert f"{statistics.fmean(scores):.3f} ({statistics.stdev(scores):.3f}), 2 seeds" in printed


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    out = tmp_path / "worth.jsonl"
    out.write_text("{}\n" + line(0, 0.5))
    with pytest.raises(MiniftError, match="line 1 is not a finished run"):
        script.finished(out)
