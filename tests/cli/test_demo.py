"""The demo says what is true of its runs.

claim                                                        oracle
the demo's rows are the runs they name                       the balanced test split, counts
the shipped encoder beats its sizes with random weights,     the same runs from random weights,
and a bag of words                                           scikit-learn's (test_bag_of_words.py)
"""

from __future__ import annotations

import statistics

import pytest

from minift.checkpoints.weights import without_pretraining
from minift.cli.demo import (
    METHODS,
    NOTHING,
    WITHOUT,
    WORDS,
    bag_of_words,
    demo,
    examples,
    train_row,
)
from minift.compare.bag_of_words import fit_bag_of_words
from minift.data.named import load_embedded
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
    reviews = load_embedded("reviews")
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


def test_the_shipped_encoder_beats_random_weights_and_a_bag_of_words_with_no_network(
    tmp_path, record_property
):
    dataset, seeds = examples(), 2
    random_weights = str(without_pretraining("tiny", tmp_path))
    pretrained = train_row(dataset, "full", "tiny", seeds)
    control = train_row(dataset, WITHOUT, random_weights, seeds)
    words = bag_of_words(dataset, seeds)
    full, random, counted = (statistics.fmean(row.test) for row in (pretrained, control, words))
    record_property(
        "measured",
        f"100 reviews, 2 seeds: full {full:.3f}, random weights {random:.3f}, "
        f"bag of words {counted:.3f}",
    )
    assert min(pretrained.test) > max(*control.test, *words.test)
