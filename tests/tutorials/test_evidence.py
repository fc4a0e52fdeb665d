"""What the page of claims says follows from the logs, and the queue repeats nothing.

claim                                                       oracle
a verdict is that of its interval, p-value and margin       differences written by hand
the difference is averaged over cells before it is tested   scipy's paired t test of averages
"would see" is found in 80 of 100 designs                   simulated designs
a run of the queue is an ordinary training run              `train` with the same seed and settings
what is finished is not repeated, pairs come first          the log; runs counted
one text in ten of a skewed pool is of the rare class       the texts counted
the committed page is what the committed logs give          made again
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from minift.data.examples import Dataset
from minift.data.named import load_dataset
from minift.runs.train import train
from minift.training.loop import Seeds

FOLDER = Path(__file__).resolve().parents[2] / "tutorials" / "evidence"
sys.path.insert(0, str(FOLDER))  # for claims.py
_spec = importlib.util.spec_from_file_location("evidence_make", FOLDER / "make.py")
make = sys.modules["evidence_make"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)
Arm, Claim = make.Arm, make.Claim


def claim(**fields):
    made = {"name": "c", "says": "S", "source": "P", "arm": Arm("bitfit"), "control": Arm("full")}
    return Claim(**{**made, "cells": ("reviews:20", "reviews:30"), "seeds": 3, **fields})


def judged(differences, **fields):
    found = make.paired_difference(differences, [0.0] * len(differences))
    return make.verdict(claim(**fields), found, found.p)


@pytest.mark.parametrize(
    "differences, expected, verdict",
    [
        ((0.02, 0.03, 0.04, 0.03), "higher", "holds"),
        ((0.02, 0.03, 0.04, 0.03), "lower", "does not hold"),
        ((-0.02, -0.03, -0.04, -0.03), "lower", "holds"),
        ((0.001, -0.001, 0.002, -0.002), "higher", "does not hold"),  # no gain of a point
        ((0.001, -0.001, 0.002, -0.002), "level", "holds"),
        ((0.02, 0.03, 0.04, 0.03), "level", "does not hold"),
        ((-0.02, -0.03, -0.04, -0.03), "level", "does not hold"),
        ((0.05, -0.04, 0.06, -0.03), "higher", "cannot be told"),
        ((0.05, -0.04, 0.06, -0.03), "level", "cannot be told"),
        ((0.02, 0.03), "higher", "not run"),
        ((), "higher", "not run"),
    ],
)
def test_a_verdict_is_that_of_the_interval_and_the_margin(differences, expected, verdict):
    assert judged(differences, expected=expected) == verdict


def test_a_difference_that_holm_takes_away_is_not_told():
    found = make.paired_difference((0.02, 0.03, 0.04, 0.03), (0,) * 4)
    assert make.verdict(claim(), found, 0.06) == "cannot be told"


def test_cells_are_averaged_before_the_test():
    cells = {"a": ([0.6, 0.7, 0.9], [0.5, 0.5, 0.5]), "b": ([0.2, 0.4, 0.2], [0.2, 0.1, 0.3])}
    found = make.pooled(cells)
    arm, control = np.array([0.4, 0.55, 0.55]), np.array([0.35, 0.3, 0.4])
    oracle = scipy.stats.ttest_rel(arm, control)
    assert found.differences == pytest.approx(arm - control)
    assert found.p == pytest.approx(oracle.pvalue, abs=1e-9)
    assert found.interval == pytest.approx(oracle.confidence_interval(), abs=1e-9)


def test_what_a_design_would_see_it_sees_in_80_of_100():
    random, n = np.random.default_rng(0), 10
    found = make.paired_difference(random.normal(size=n).tolist(), [0.0] * n)
    least = make.would_see(found) / np.std(found.differences, ddof=1)
    drawn = random.normal(least, 1, size=(4000, n))  # of standard deviation 1
    seen = scipy.stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    assert seen.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("what, values", [("score", (0.5, 0.7)), ("epochs", (3, 9))])
def test_scores_are_those_of_the_seeds_that_every_cell_has(tmp_path, what, values):
    mine = claim(what=what)
    for job in [*make.jobs(mine)][:9]:  # two seeds, and one run of the third
        value = values[job.method == "bitfit"]
        line = {**job._asdict(), "score": value, "epochs": value, "processor_seconds": 1.0}
        make.append_log(tmp_path / make.RUNS, line)
    arm, control = [values[1]] * 2, [values[0]] * 2
    assert make.scores(mine, tmp_path) == dict.fromkeys(mine.cells, (arm, control))


def test_spread_is_the_distance_from_the_mean_over_seeds(tmp_path):
    mine = claim(what="spread", cells=("reviews:20",))
    for job, score in zip(make.jobs(mine), (0.5, 0.6, 0.7, 0.6, 0.9, 0.9)):
        line = {**job._asdict(), "score": score, "processor_seconds": 1.0}
        make.append_log(tmp_path / make.RUNS, line)
    ((arm, control),) = make.scores(mine, tmp_path).values()
    assert control == pytest.approx([0.2, 0.0, 0.2]) and arm == pytest.approx([0.1, 0.1, 0.2])


@pytest.mark.slow
def test_a_run_is_an_ordinary_training_run_and_is_not_repeated(tmp_path, monkeypatch, capsys):
    mine = claim(cells=("reviews:20",), seeds=1, arm=Arm("head"), encoder="tiny")
    monkeypatch.setattr(make, "CLAIMS", (mine,))
    monkeypatch.setattr(make, "PRECISION", "float32")  # every processor has it
    make.main(["run"], tmp_path)
    lines = (tmp_path / make.RUNS).read_text()
    first = json.loads(lines.splitlines()[1])
    reviews = replace(load_dataset("reviews"), dev=())
    _, result = train(reviews, "tiny", "head", labels=20, seeds=Seeds.all(0))
    assert (first["method"], first["score"]) == ("head", result["test"])
    monkeypatch.setattr(make, "measure", lambda job: pytest.fail(f"{job} again"))
    make.main(["run"], tmp_path)
    assert (tmp_path / make.RUNS).read_text() == lines
    make.main(["plan"], tmp_path)
    assert "2 runs of its own,    0 missing" in capsys.readouterr().out


def test_in_a_skewed_pool_one_text_in_ten_is_rare(monkeypatch):
    texts = load_dataset("reviews")
    twice = replace(texts, train=(*texts.train, *texts.train))
    monkeypatch.setattr(make, "load_single", lambda name: twice)
    pool = make.pool("reviewsskew")
    assert isinstance(pool, Dataset) and pool.metric == "macro_f1"
    for part in (pool.train, pool.test):
        rare = [example for example in part if example.label == "positive"]
        assert len(part) == 10 * len(rare) > 0
        assert len({example.text for example in part}) == len(part)
    assert len(make.pool("reviews").train) == len({e.text for e in texts.train})


def test_an_unknown_claim_is_refused_in_one_line(tmp_path):
    command = [sys.executable, str(FOLDER / "make.py"), "plan", "ulmfitt"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("make.py: no claim ulmfitt; there are")
    assert len(done.stderr.splitlines()) == 1
    with pytest.raises(make.MiniftError, match="no claim ulmfitt; there are ulmfit"):
        make.main(["plan", "ulmfitt"], tmp_path)


def test_the_committed_page_is_what_the_committed_logs_give():
    assert make.main(["page", "--check"]) == 0
    drawn = {file.stem for file in (FOLDER / "plots").glob("*.png")}
    assert drawn == {j.claim.name for j in make.judge(FOLDER) if j.verdict != "not run"}
