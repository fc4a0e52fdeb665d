"""The demo says what is true of its runs.

claim                                                        oracle
the demo's rows are the runs they name                       the balanced test split, counts
what a method gains is a paired difference, with interval     scipy's t interval
the best method is 8 points and more above random weights     the same runs from random weights,
and a bag of words                                           scikit-learn's (test_bag_of_words.py)
"""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from minift.checkpoints.weights import without_pretraining
from minift.cli.demo import (
    METHODS,
    NOTHING,
    WITHOUT,
    WORDS,
    Row,
    bag_of_words,
    demo,
    gains,
    train_row,
)
from minift.compare.bag_of_words import fit_bag_of_words
from minift.compare.statistics import paired_difference
from minift.data.named import load_dataset
from minift.runs.train import subset
from tests.tiny import checkpoint


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def test_the_demo_compares_methods_with_what_one_gets_for_nothing(encoder, capsys):
    rows = {row.method: row for row in demo(str(encoder), seeds=2)}
    printed = capsys.readouterr().out
    assert rows[NOTHING].test == [0.5]  # the test split is balanced
    assert set(rows) == {NOTHING, WORDS, WITHOUT, *METHODS}
    assert all(len(row.test) == 2 for name, row in rows.items() if name != NOTHING)
    reviews = load_dataset("reviews")
    for seed, accuracy in enumerate(rows[WORDS].test):
        drawn = subset(reviews.train, 100, seed)  # the labels that the other rows had, too
        assert accuracy == fit_bag_of_words(drawn, reviews.labels).accuracy(reviews.test)
    trained = {name: row.parameters for name, row in rows.items()}
    assert trained["head"] < trained["bitfit"] < trained["freeze:1"] < trained["full"]
    for name, row in rows.items():
        assert f"{statistics.fmean(row.test):.3f}" in next(
            x for x in printed.splitlines() if x.startswith(f"{name:<22}")
        )
    assert printed.count("  minift ") + printed.count("| minift ") == 3  # what to try next


def test_gains_are_paired_differences_with_the_t_interval():
    scores = {WORDS: [0.5, 0.6, 0.55], WITHOUT: [0.5, 0.5, 0.5]}
    for place, name in enumerate(METHODS):
        scores[name] = [0.6 + place / 100, 0.72 + place / 100, 0.69 + place / 100]
    lines = gains([Row(name, 0, test, 0.0) for name, test in scores.items()]).splitlines()
    for line, other in zip(lines, (WORDS, WITHOUT), strict=True):
        assert line.startswith(f"  over {other}: ")
        d = np.subtract(scores["head"], scores[other])
        low, high = stats.t.interval(0.95, 2, d.mean(), stats.sem(d))
        assert f"head {100 * d.mean():+.1f} ({100 * low:+.1f} to {100 * high:+.1f})" in line
    one = gains([Row(name, 0, test[:1], 0.0) for name, test in scores.items()])
    assert "(" not in one and "head +10.0" in one  # one seed has no interval


@pytest.mark.slow
def test_the_best_method_is_8_points_above_random_weights_and_a_bag_of_words_with_no_network(
    tmp_path, record_property
):
    dataset, seeds = replace(load_dataset("reviews"), dev=()), 3
    random_weights = str(without_pretraining("mini", tmp_path))
    pretrained = train_row(dataset, "head", "mini", seeds)
    control = train_row(dataset, WITHOUT, random_weights, seeds, "mean")
    words = bag_of_words(dataset, seeds)
    full, random, counted = (statistics.fmean(row.test) for row in (pretrained, control, words))
    record_property(
        "measured",
        f"100 reviews, 3 seeds: head {full:.3f}, random weights {random:.3f}, "
        f"bag of words {counted:.3f}",
    )
    assert full > max(random, counted) + 0.08
    for other in (control, words):
        assert paired_difference(pretrained.test, other.test).interval[0] > 0
