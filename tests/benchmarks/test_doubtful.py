"""The table of doubtful labels is made of the runs it names, on labels that were really flipped.

claim                                                        oracle
one label in ten is another class, the texts are the draw's  few_labels.draw, label by label
precision, recall and the first as many                      ids named by hand
what is finished is not repeated                             a program that would fail
means, and who is better, are said                           a log by hand
doubtful.md is the table of doubtful.jsonl                   the two files
"""

from __future__ import annotations

import json

import pytest

from minift.journal import read_log
from tests.benchmarks import doubtful
from tests.benchmarks.few_labels import draw
from tests.conftest import REPOSITORY


def test_one_label_in_ten_is_another():
    dataset, flipped = doubtful.spoilt("reviews", 100, 3)
    was = {e.id: e for e in draw("reviews", 100, 3)}
    assert [e.id for e in dataset.train] == [*was] and len(flipped) == 10
    for e in dataset.train:
        assert e.text == was[e.id].text and e.label in dataset.labels
        assert (e.label != was[e.id].label) == (e.id in flipped)
    assert doubtful.spoilt("reviews", 100, 4)[1] != flipped


def test_what_is_named_is_scored_once(monkeypatch, tmp_path):
    flipped = [*doubtful.spoilt("reviews", 300, 0)[1]]
    right = [e.id for e in draw("reviews", 300, 0) if e.id not in flipped]
    ranked = [*flipped[:6], *right[:30], *flipped[6:]]
    monkeypatch.setattr(doubtful, "named_by", lambda *_: (ranked[:12], ranked, 0.25))
    arguments = ["--log", str(tmp_path / "log.jsonl"), "--data", "reviews", "--seeds", "0"]
    assert doubtful.main(arguments) == 0
    runs = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [run["what"] for run in runs] == [*doubtful.WHAT]
    for run in runs:
        assert run["first"] == pytest.approx(6 / 30) and run["named"] == 12
        assert run["precision"] == pytest.approx(6 / 12) and run["recall"] == pytest.approx(6 / 30)
    monkeypatch.setattr(doubtful, "named_by", None)
    assert doubtful.main(arguments) == 0


def test_the_table_holds_means_and_says_who_is_better():
    def run(what, seed, first, share):
        numbers = {"first": first, "named": 40, "precision": 0.25, "recall": 0.5, "share": share}
        about = {"processor_seconds": 2.0, "machine": "a machine"}
        return {"data": "sst2", "labels": 300, "seed": seed, "what": what, **numbers, **about}

    own, peer = doubtful.WHAT[0], doubtful.PEERS[1]
    runs = [run(own, s, f, None if s else 0.2) for s, f in enumerate((0.5, 0.6, 0.7))]
    runs += [run(peer, s, f, 0.3) for s, f in enumerate((0.4, 0.52, 0.6))]
    table = doubtful.table(runs)
    assert f"| sst2, 300 | {own} | 60.0 (10.0) | 40 | 25.0 | 50.0 | 20.0 | 2.0 | 3 |" in table
    assert f"{own} is better than {peer} by 9.3 points" in table
    assert "a machine" in table and "TF-IDF" not in table


def test_the_table_that_is_kept_is_that_of_the_log_that_is_kept():
    folder = REPOSITORY / "tests" / "benchmarks"
    runs = [*read_log(folder / "doubtful.jsonl")]
    assert doubtful.table(runs) == (folder / "doubtful.md").read_text().removesuffix("\n")
