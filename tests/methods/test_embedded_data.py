"""Do the methods do what they are for? On the reviews and the encoder that ship, a hundred labels.

claim                                                        oracle
BitFit, freezing and Child-Tuning F learn to judge themes    a bag of words on the same labels
they never saw
BitFit comes to what full fine-tuning comes to, by moving    full on the same draws; every other
a thousandth of the encoder                                  tensor, bit for bit
freezing the lowest layer comes to it while each text        full on the same draws; tokens that
passes that layer once, not once per epoch                   the layer read
the head alone is solved from one pass over the texts        tokens that the lowest layer read
labels that say nothing teach nothing                        400 coin tosses
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest
import torch

from minift.checkpoints.weights import load_encoder
from minift.cli.demo import LABELS, bag_of_words
from minift.data.named import load_dataset
from minift.methods.recipes import recipe
from minift.runs import train as runs
from minift.runs.train import subset, train
from minift.training.loop import Seeds
from tests.tiny import tokens_seen

pytestmark = pytest.mark.slow

SEEDS, EPOCHS = 3, 12
CHANCE = 0.5  # the test split is balanced


@pytest.fixture(scope="module")
def reviews():
    return replace(load_dataset("reviews"), dev=())


@pytest.fixture(scope="module")
def learned(reviews):
    """Accuracies by method, the last model, and how many tokens its lowest layer read."""
    found = {}

    def measure(method: str, data=reviews):
        chosen = recipe(method, "mini")
        settings = replace(chosen.settings, epochs=EPOCHS, min_steps=0)
        scores = []
        with pytest.MonkeyPatch.context() as patch:
            seen = tokens_seen(patch, runs)
            for seed in range(SEEDS):
                seen.clear()
                tuned, result = train(
                    data, "mini", chosen, labels=LABELS, seeds=Seeds.all(seed), settings=settings,
                )  # fmt: skip
                scores.append(result["test"])
        return scores, tuned, sum(seen)

    def cached(method: str):
        if method not in found:
            found[method] = measure(method)
        return found[method]

    return cached, measure


def error(*samples: list[float]) -> float:
    """Three standard errors of a difference of means, of test texts and of seeds."""
    tosses = 2 * CHANCE * (1 - CHANCE) / 400
    return 3 * math.sqrt(tosses + sum(statistics.variance(s) / len(s) for s in samples))


@pytest.mark.parametrize("method", ["head", "bitfit", "freeze:1", "child-f:0.3", "full"])
def test_a_method_learns_more_than_words_from_a_hundred_reviews(
    method, learned, reviews, record_property
):
    scores, _, _ = learned[0](method)
    words = bag_of_words(reviews, SEEDS).test
    mean = statistics.fmean(scores)
    record_property(
        "measured",
        f"{method}, 100 reviews, {SEEDS} seeds: {mean:.3f}; bag of words "
        f"{statistics.fmean(words):.3f}",
    )
    assert mean > statistics.fmean(words) + 0.04


def test_bitfit_comes_to_full_by_moving_a_thousandth_of_the_encoder(learned):
    full, _, _ = learned[0]("full")
    scores, tuned, _ = learned[0]("bitfit")
    assert statistics.fmean(scores) > statistics.fmean(full) - error(scores, full)
    pretrained = dict(load_encoder("mini")[0].named_parameters())
    moved = 0
    for name, parameter in tuned.model.bert.named_parameters():
        moved += int((parameter != pretrained[name]).sum())
        assert name.endswith("bias") or torch.equal(parameter, pretrained[name]), name
    assert 0 < moved < 0.001 * sum(p.numel() for p in pretrained.values())


def test_freezing_comes_to_full_and_reads_each_text_once(learned, reviews):
    full, _, all_tokens = learned[0]("full")
    scores, tuned, tokens = learned[0]("freeze:1")
    assert statistics.fmean(scores) > statistics.fmean(full) - error(scores, full)
    once = sum(len(i.input_ids) for i in tuned.items(subset(reviews.train, LABELS, SEEDS - 1)))
    scored = sum(len(i.input_ids) for i in tuned.items(reviews.test))
    assert tokens == once + scored
    assert all_tokens == EPOCHS * once + scored


def test_the_head_is_solved_from_one_pass(learned, reviews):
    _, tuned, tokens = learned[0]("head")
    texts = [*subset(reviews.train, LABELS, SEEDS - 1), *reviews.test]
    assert tokens == sum(len(item.input_ids) for item in tuned.items(texts))


@pytest.mark.parametrize("method", ["head", "bitfit"])
def test_labels_that_say_nothing_teach_nothing(method, learned, reviews):
    labels = [example.label for example in reviews.train]
    random.Random(0).shuffle(labels)
    shuffled = tuple(replace(e, label=label) for e, label in zip(reviews.train, labels))
    scores, _, _ = learned[1](method, replace(reviews, train=shuffled))
    assert abs(statistics.fmean(scores) - CHANCE) < error(scores)
