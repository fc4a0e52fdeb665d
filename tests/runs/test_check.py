"""What `minift check` says of labels, and where it says nothing.

claim                                                        oracle
flipped labels are named with the right one, and no other    labels flipped on purpose, an encoder
                                                               that ships with minift
doubts are cleanlab's rule on the mean of all rounds         `doubtful`, answers made by hand
labels drawn at random are judged in no way                  12 random files: at most 1 is
nothing is said where every text gets one answer             answers made by hand
a near copy with another label is named, whoever is right    by hand
what no round has right, and is sure of nothing, is apart    by hand
a class of one text spoils nothing and is not judged         the same file without it
a sentence is as doubtful as its worst word                  by hand
amounts, one class and two texts are refused in a sentence   the message
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import minift
from minift import Dataset, MiniftError, TaggedExample, TextExample
from minift.data.doubt import doubtful
from minift.runs import check as module
from minift.runs.folds import Estimate
from tests.tiny import checkpoint, news, reviews, similarity

ESTIMATE = Estimate("accuracy", 0.8, None, (0.8,), 5, 10, 1.0, ("a note",))


def texts(labels, *more: str, names=("neg", "pos")) -> Dataset:
    """A data set with texts that have no word in common."""
    said = [*more, *(f"text{i}" for i in range(len(more), len(labels)))]
    train = tuple(TextExample(str(i), t, names[k]) for i, (t, k) in enumerate(zip(said, labels), 1))
    return Dataset("mine", "classification", names, train)


@pytest.fixture
def answering(monkeypatch):
    """Check a data set whose rounds answered with these probabilities, text by text."""

    def answer(dataset: Dataset, *rounds) -> module.Checked:
        given = [(i, torch.tensor(p).log().view(-1, len(dataset.labels)))
                 for ps in rounds for i, p in enumerate(ps)]  # fmt: skip
        monkeypatch.setattr(module, "cross_validate", lambda *_, **__: (ESTIMATE, given))
        return minift.check(dataset)

    return answer


def ids(found: module.Checked) -> list[str]:
    return [doubt.example.id for doubt in found.doubts]


def test_the_labels_that_were_flipped_are_named_with_what_they_were_and_no_other():
    source, train = random.Random(0), []
    for i in range(80):
        words = ("cat dog horse cow sheep duck", "bank loan cash tax price stock")[i % 2].split()
        text = f"{i}: the {source.choice(words)}, the {source.choice(words)} and the {words[i % 6]}"
        train.append(TextExample(str(i), text, ("animals", "money")[i % 2]))
    flipped = source.sample(range(80), 8)
    for i in flipped:
        train[i] = replace(train[i], label=("money", "animals")[i % 2])
    found = minift.check(
        Dataset("mine", "classification", ("animals", "money"), tuple(train)), "mini", repeats=1
    )
    assert {*ids(found)} == {*map(str, flipped)}
    for doubt in found.doubts:
        assert doubt.label == doubt.example.label
        assert doubt.suggested == ("animals", "money")[int(doubt.example.id) % 2]
        assert doubt.probability > 0.5 and doubt.reason == "another label is much likelier"
    assert found.share == pytest.approx(0.1, abs=0.02)
    other = {"animals": "money", "money": "animals"}  # what is always wrong is learned
    swapped = tuple(replace(e, label=other[e.label]) for e in train)
    dataset = Dataset("mine", "classification", ("animals", "money"), swapped)
    assert {*ids(minift.check(dataset, "mini", repeats=1))} == {*map(str, flipped)}


def test_doubts_are_those_of_the_mean_of_all_rounds(answering):
    source = np.random.default_rng(0)
    labels = source.integers(0, 2, 60)
    one, other = (0.15 + 0.7 * labels + 0.2 * source.random((2, 60)) - 0.1).clip(0.02, 0.98)
    one[:6], other[:6] = 1 - one[:6], 1 - other[:6]
    rounds = [np.stack([1 - p, p], 1) for p in (one, other)]
    found = answering(texts(labels), *(p.tolist() for p in rounds))
    mean = sum(rounds) / 2
    sure = [d for d in found.doubts if "much likelier" in d.reason]
    assert [d.example.id for d in sure] == [str(i + 1) for i in doubtful(mean, labels)]
    assert len(sure) >= 3 and {d.example.id for d in sure} <= {*map(str, range(1, 7))}
    for d in sure:
        p = mean[int(d.example.id) - 1]
        assert d.suggested == ("neg", "pos")[p.argmax()]
        assert d.probability == pytest.approx(p.max())
    assert found.notes == ("a note",) and found.estimate is ESTIMATE


@pytest.mark.slow
def test_random_labels_are_not_judged():
    whole, judged = minift.load_dataset("reviews").train, 0
    for seed in range(12):
        source = random.Random(seed)
        train = [replace(e, label=source.choice("ab")) for e in source.sample(whole, 40)]
        dataset = Dataset("random", "classification", ("a", "b"), tuple(train))
        found = minift.check(dataset, "tiny", repeats=1)
        judged += found.share is not None
        if found.share is None:
            assert not found.doubts
            assert "cannot be learned from these texts, so none can be judged" in found.notes[-1]
    assert judged <= 1


def test_one_answer_for_every_text_judges_nothing(answering):
    found = answering(texts([0] * 18 + [1] * 2), [[0.9, 0.1]] * 20)
    assert not found.doubts and found.share is None


def test_a_rare_class_that_is_learned_is_judged(answering):
    labels = [0] * 38 + [1] * 4
    p = [[0.95, 0.05]] * 37 + [[0.1, 0.9]] * 5
    found = answering(texts(labels), p)  # accuracy .976, always the most frequent .905
    assert ids(found) == ["38"] and found.doubts[0].suggested == "pos"


def test_near_copies_with_other_labels_are_named_even_where_nothing_is_learned(answering):
    same = "The film was bad, very bad.", "the film   was bad; very bad"
    found = answering(texts([0, 1, 0, 1, 0, 1], *same), [[0.6, 0.4]] * 6)
    assert found.share is None and ids(found) == ["2", "1"]  # by the given label's probability
    worst, other = found.doubts
    assert worst.reason == 'nearly the same text, 1, is labelled "neg"'
    assert (worst.label, worst.suggested) == ("pos", "neg")
    assert worst.probability == pytest.approx(0.6)
    assert (other.label, other.suggested) == ("neg", "pos")
    assert ids(answering(texts([0, 0, 0, 1, 0, 1], *same), [[0.6, 0.4]] * 6)) == []


def test_what_no_round_has_right_is_kept_apart_unless_it_once_was(answering):
    labels = [0] * 10 + [1] * 10
    good = [[0.9, 0.1]] * 9, [[0.1, 0.9]] * 10
    hard = [*good[0], [0.45, 0.55], *good[1]]  # wrong, and sure of nothing
    once = [*good[0], [0.51, 0.49], *good[1]]
    found = answering(texts(labels), hard, hard)
    assert ids(found) == [] and [d.example.id for d in found.hard] == ["10"]
    assert found.hard[0].reason == module.NEVER and found.hard[0].suggested == "pos"
    assert answering(texts(labels), hard, once).hard == ()


def test_a_class_of_one_text_is_not_judged_and_spoils_nothing(answering):
    labels = [0] * 10 + [1] * 10
    p = [[0.9, 0.1, 0]] * 9 + [[0.1, 0.9, 0]] * 11
    p = [[a - 1e-9, b, c + 1e-9] for a, b, c in p]
    names = ("neg", "pos", "rare")
    without = answering(texts(labels, names=names), p)
    found = answering(texts([*labels, 2], names=names), [*p, [0.6, 0.4 - 1e-9, 1e-9]])
    assert ids(without) == ids(found) == ["10"]
    twins = texts([*labels, 2, 2], names=names).train  # twice the same text: one fold has both
    twins = (*twins[:-1], replace(twins[-1], text=twins[-2].text))
    dataset = Dataset("mine", "classification", names, twins)
    assert ids(answering(dataset, [*p, *[[0.6, 0.4 - 1e-9, 1e-9]] * 2])) == ["10"]


def test_a_sentence_is_as_doubtful_as_its_worst_word(answering):
    names = ("O", "B-X", "I-X")
    sentences = [TaggedExample(str(i), ("a", "Oslo"), ("O", "B-X")) for i in range(1, 9)]
    sentences[3] = TaggedExample("4", ("a", "Oslo", "b"), ("O", "O", "B-X"))
    sure, other = [0.9, 0.09, 0.01], [0.09, 0.9, 0.01]
    p = [[*sure, *other] for _ in sentences]
    p[3] = [*sure, *other, *[0.95, 0.04, 0.01]]
    found = answering(Dataset("n", "tagging", names, tuple(sentences)), p)
    assert ids(found) == ["4"]
    (doubt,) = found.doubts
    assert (doubt.label, doubt.suggested) == ("b: B-X", "b: O")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (similarity(), "is for regression: what is checked is one class per text, or entities"),
        (
            Dataset("m", "multilabel", ("a", "b"), (TextExample("1", "t", ("a", "b")),)),
            "m is for multilabel: what is checked is one class per text, or entities",
        ),
        (texts([0] * 8), "two labels or more need two different texts each; got 1 of them"),
        (texts([0, 1]), "two different texts each; got 0 of them"),
        (texts([0, 0, 1, 1], "a", "b", "same", "Same"), "two different texts each; got 1 of them"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_sentence(dataset, message):
    with pytest.raises(MiniftError, match=message):
        minift.check(dataset, "tiny")


def test_entities_and_every_method_are_checked(tmp_path):
    encoder = checkpoint(tmp_path / "encoder")
    assert minift.check(news(), encoder, folds=2).estimate.metric == "entity_f1"
    small = replace(minift.recipe("full", encoder).settings, epochs=1)
    full = replace(minift.recipe("full", encoder), settings=small)
    assert minift.check(reviews(32), encoder, full, folds=2).estimate.folds == 2
