"""Do the methods learn? On the reviews and the encoder that ship, with a hundred labels.

claim                                                        oracle
BitFit, freezing and Child-Tuning F learn to judge themes    chance, by three standard errors of
they never saw                                               400 coin tosses
labels that say nothing teach nothing                        the same bound from the other side
BitFit learned it by moving biases and the head alone        every other tensor, bit for bit
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest
import torch

from minift.checkpoints.weights import load_encoder
from minift.cli.demo import EPOCHS, LABELS, examples
from minift.methods.recipes import recipe
from minift.runs.train import train
from minift.training.loop import Seeds

pytestmark = pytest.mark.slow

SEEDS = 2
CHANCE = 0.5  # the test split is balanced


@pytest.fixture(scope="module")
def reviews():
    return replace(examples(), dev=())


def bound(count: int) -> float:
    """Three standard errors of the accuracy of coin tosses."""
    return 3 * math.sqrt(CHANCE * (1 - CHANCE) / count)


def accuracies(dataset, method: str):
    chosen = recipe(method, "tiny")
    settings = replace(chosen.settings, epochs=EPOCHS, min_steps=0)
    runs = [
        train(dataset, "tiny", chosen, labels=LABELS, seeds=Seeds.all(seed), settings=settings)
        for seed in range(SEEDS)
    ]
    return [result["test"] for _, result in runs], runs[0][0].model


@pytest.mark.parametrize("method", ["bitfit", "freeze:1", "child-f:0.3"])
def test_a_method_learns_from_a_hundred_reviews(method, reviews, record_property):
    scores, model = accuracies(reviews, method)
    mean = statistics.fmean(scores)
    record_property("measured", f"{method}, 100 reviews, {SEEDS} seeds: {mean:.3f}")
    assert mean > CHANCE + bound(len(reviews.test))
    if method == "bitfit":
        pretrained = dict(load_encoder("tiny")[0].named_parameters())
        for name, parameter in model.bert.named_parameters():
            if name in pretrained and not name.endswith("bias"):
                assert torch.equal(parameter, pretrained[name]), name


def test_bitfit_learns_nothing_from_labels_that_say_nothing(reviews):
    labels = [example.label for example in reviews.train]
    random.Random(0).shuffle(labels)
    shuffled = tuple(replace(e, label=label) for e, label in zip(reviews.train, labels))
    scores, _ = accuracies(replace(reviews, train=shuffled), "bitfit")
    assert abs(statistics.fmean(scores) - CHANCE) < bound(len(reviews.test))
