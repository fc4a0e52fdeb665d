"""The demo says what is true of its runs.

claim                                                        oracle
the demo's rows are the runs they name                       the balanced test split, counts
the shipped encoder beats its sizes with random weights,     the same runs from random weights,
and a bag of words                                           scikit-learn's (test_bag_of_words.py)
the picture has a row per method and a dot per seed          the marks in the file
"""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from tqdm import tqdm

from minift.checkpoints.weights import without_pretraining
from minift.cli.demo import (
    METHODS,
    NOTHING,
    WITHOUT,
    WORDS,
    Row,
    _bag_of_words,
    _plot,
    demo,
    examples,
    train_row,
)
from minift.compare.bag_of_words import fit_bag_of_words
from minift.data.embedded import load_embedded
from minift.runs.train import subset
from tests.tiny import checkpoint


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def test_the_demo_compares_methods_with_what_one_gets_for_nothing(encoder, capsys, tmp_path):
    rows = {row.method: row for row in demo(str(encoder), seeds=2, out=tmp_path)}
    printed = capsys.readouterr().out
    assert rows[NOTHING].test == (0.5,)  # the test split is balanced
    assert set(rows) == {NOTHING, WORDS, WITHOUT, *METHODS}
    assert all(len(row.test) == 2 for name, row in rows.items() if name != NOTHING)
    reviews = load_embedded("reviews")
    for seed, accuracy in enumerate(rows[WORDS].test):
        drawn = subset(reviews.train, 100, seed)  # the labels that the other rows had, too
        assert accuracy == fit_bag_of_words(drawn, reviews.labels).accuracy(reviews.test)
    trained = {name: row.parameters for name, row in rows.items()}
    assert trained["head"] < trained["bitfit"] < trained["freeze:1"] < trained["full"]
    for name, row in rows.items():
        assert f"{row.mean:.3f}" in next(
            x for x in printed.splitlines() if x.startswith(f"{name:<22}")
        )
    assert printed.count("  minift ") + printed.count("| minift ") == 3  # what to try next


def test_the_shipped_encoder_beats_random_weights_and_a_bag_of_words_with_no_network(
    tmp_path, record_property
):
    dataset, seeds = examples(), 2
    random_weights = str(without_pretraining("tiny", tmp_path))
    with tqdm(disable=True) as bar:
        pretrained = train_row(dataset, "full", "tiny", seeds, bar)
        control = train_row(dataset, WITHOUT, random_weights, seeds, bar)
    words = _bag_of_words(dataset, seeds)
    record_property(
        "measured",
        f"100 reviews, 2 seeds: full {pretrained.mean:.3f}, random weights {control.mean:.3f}, "
        f"bag of words {words.mean:.3f}",
    )
    assert min(pretrained.test) > max(*control.test, *words.test)


ROWS = [Row(NOTHING, 0, (0.5,), 0.0), Row(WORDS, 3, (0.6, 0.7), 1.0), Row("full", 9, (0.9,), 1.0)]


def test_the_picture_has_a_row_per_method_and_a_dot_per_seed(tmp_path):
    assert f"{tmp_path / 'new' / 'demo.svg'}" in _plot(ROWS, tmp_path / "new")
    drawing = ElementTree.parse(tmp_path / "new" / "demo.svg").getroot()
    marks = {kind: [e for e in drawing.iter() if e.get("class") == kind] for kind in
             ("dot", "mean", "mark")}  # fmt: skip
    assert {kind: len(found) for kind, found in marks.items()} == {"dot": 3, "mean": 2, "mark": 1}
    places = [float(dot.get("cx")) for dot in marks["dot"]]  # 0.6, 0.7, 0.9 on one axis
    assert (places[2] - places[1]) / (places[1] - places[0]) == pytest.approx(2, abs=0.02)
    assert "bag of words" in (texts := [e.text for e in drawing.iter()]) and "0.900" in texts
