"""A round trains on what is labelled and nothing else, and asks for the right texts.

claim                                                        oracle
each round starts from the pretrained weights                a model built anew
training sees no validation label                            a split that cannot be read
a number of steps is the same in every round                 the loop's own history
a missing class keeps its logit, and is reported             shape; by hand
freezing reaches the rounds: frozen layers do not move       bit equality after weight decay
freezing k layers of base leaves total - k * 7,087,872       arithmetic
the first set is nested by seed                              set inclusion
what is chosen has the highest scores of the pool, by id     scores computed here
random reads no model; ties, empty pools                      by hand
a sentence scores the mean of its words                      their scores, computed here
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from minift.active import loop
from minift.active.acquisition import bald, batch_bald, entropy
from minift.active.loop import (
    STRATEGIES,
    Asking,
    Learner,
    choose,
    class_counts,
    fixed_steps,
)
from minift.active.streaming import mc_predict, mc_stream
from minift.bert.config import BertConfig
from minift.bert.heads import SequenceClassifier
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.evaluate import predict_logits
from minift.runs.tuned import build
from minift.training.items import make_items
from minift.training.loop import Seeds, Settings
from tests.tiny import news, reviews

FAST = Settings(epochs=2, batch_size=8, learning_rate=1e-3, weight_decay=0.1)
SEEDS = Seeds.all(0)


def fit(data, labelled, encoder, method, settings=FAST):
    learner = Learner(data, encoder, replace(recipe(method), settings=settings))
    return learner.fit(labelled, SEEDS)


@pytest.fixture(scope="module")
def tuned(encoder):
    return fit(reviews(), reviews().train[:20], encoder, "full")


def weights(tuned) -> dict:
    return {name: p.detach().clone() for name, p in tuned.model.named_parameters()}


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def starts(monkeypatch):
    """The weights with which each training began, and what it left."""
    seen, real = [], loop.fit

    def spy(tuned, *rest):
        before = weights(tuned)
        seen.append((before, real(tuned, *rest)))
        return seen[-1][1]

    monkeypatch.setattr(loop, "fit", spy)
    return seen


# --- fit -----------------------------------------------------------------------------------


def test_each_round_starts_from_the_pretrained_weights(encoder, starts):
    data = reviews()
    pretrained = weights(build(data, encoder, SEEDS))
    first = fit(data, data.train[:8], encoder, "full")
    ended = weights(first)
    fit(data, data.train[:16], encoder, "full")
    assert all(same(before, pretrained) for before, _ in starts)
    assert not same(ended, pretrained)


class Unreadable(tuple):
    def __iter__(self):
        raise AssertionError("somebody read the development split")

    __getitem__ = __len__ = __iter__


def test_training_reads_no_validation_label(encoder):
    data = reviews()
    for split in ("dev", "test"):
        object.__setattr__(data, split, Unreadable())
    fit(data, data.train[:8], encoder, "full")
    with pytest.raises(MiniftError, match="decides by the development split"):
        fit(data, data.train[:8], encoder, "adaptive")
    with pytest.raises(MiniftError, match="decides by the development split"):
        fit(data, data.train[:8], encoder, "full", settings=replace(FAST, keep="best"))


def test_a_number_of_steps_is_kept_in_every_round_up_to_a_whole_epoch(encoder, starts):
    data, settings = reviews(200), fixed_steps(FAST, 20)
    for labelled in (4, 10, 50, 100):
        fit(data, data.train[:labelled], encoder, "bitfit", settings=settings)
        steps, of_an_epoch = starts[-1][1].history.epochs[-1].step, -(-labelled // 8)
        assert 20 <= steps < 20 + of_an_epoch
    # Negative control: by epochs, a round with more labels gets more steps.
    assert fixed_steps(FAST, None) is FAST


def test_a_class_without_a_text_keeps_its_logit_and_is_counted_as_0(encoder):
    data = reviews()
    positive = [e for e in data.train if e.label == "positive"][:5]
    tuned = fit(data, positive, encoder, "full")
    assert mc_predict(tuned, data.test, 1).shape[-1] == 2
    counts = class_counts(positive, data.labels)
    assert counts == {"negative": 0, "positive": 5}


@pytest.mark.parametrize("layers,frozen", [(1, {0}), (-1, {1})])
def test_frozen_layers_are_bit_identical_after_a_round_and_others_move(encoder, layers, frozen):
    data = reviews()
    before = weights(build(data, encoder, SEEDS))
    tuned = fit(data, data.train[:16], encoder, f"freeze:{layers}")
    after = weights(tuned)
    for layer in (0, 1):
        names = [name for name in before if name.startswith(f"bert.layers.{layer}.")]
        still = [torch.equal(before[name], after[name]) for name in names]
        assert all(still) if layer in frozen else not any(still), layer
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


@pytest.mark.parametrize("layers", [3, -3])
def test_freezing_three_layers_of_base_freezes_three_times_7087872(layers):
    config = BertConfig(
        vocab_size=30522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
        intermediate_size=3072, max_position_embeddings=512, labels=("a", "b"),
    )  # fmt: skip
    with torch.device("meta"):
        model = SequenceClassifier(config)
    parameters = dict(model.named_parameters())
    learns = set(recipe(f"freeze:{layers}").trainable(model))
    frozen = [name for name in parameters if name not in learns]
    of_layers = [name for name in frozen if name.startswith("bert.layers.")]
    numbers = {int(name.split(".")[2]) for name in of_layers}
    assert numbers == ({0, 1, 2} if layers > 0 else {9, 10, 11})
    assert sum(parameters[name].numel() for name in of_layers) == 3 * 7_087_872
    # The embeddings go with the layers above them, and only with those next to the input.
    others = {name.split(".")[1] for name in frozen if name not in of_layers}
    assert others == ({"embeddings"} if layers > 0 else set())


def test_entities_are_counted_by_type_for_sentences():
    data = news()
    counts = class_counts(data.train, data.labels)
    tags = [tag for e in data.train for tag in e.tags]
    assert counts == {"B-LOC": tags.count("B-LOC"), "B-PER": tags.count("B-PER")}


# --- choose --------------------------------------------------------------------------------


def plain(tuned, pool):
    items = make_items(pool, tuned.tokenizer, tuned.task, tuned.labels)
    return torch.cat(predict_logits(tuned.model, items)).double().softmax(-1).unsqueeze(0)


def test_entropy_asks_for_the_texts_with_the_highest_entropy_of_the_plain_prediction(tuned):
    pool = reviews(200, seed=5).train
    scores = entropy(plain(tuned, pool))
    expected = [pool[i].id for i in scores.argsort(descending=True)[:7].tolist()]
    choice = choose(Asking("entropy"), tuned, pool, 7, seed=1)
    assert set(choice.ids) == set(expected)
    assert list(choice.scores) == sorted(choice.scores, reverse=True)
    assert choice.scores[0] == pytest.approx(float(scores.max()), abs=1e-6)
    shuffled = choose(Asking("entropy"), tuned, pool[::-1], 7, seed=1)
    assert set(shuffled.ids) == set(expected)  # ids, not places


@pytest.mark.parametrize("layers", ["all", 1, "head"])
def test_bald_asks_for_the_highest_mutual_information_under_its_seed(tuned, layers):
    pool = reviews(120, seed=5).train
    scores = bald(mc_predict(tuned, pool, 6, layers, seed=2))
    choice = choose(Asking("bald", 6, layers), tuned, pool, 5, seed=2)
    assert set(choice.ids) == {pool[i].id for i in scores.argsort(descending=True)[:5].tolist()}
    assert choice.scores[0] > 0


def test_batch_bald_asks_one_network_per_pass_about_all_texts(tuned):
    pool = reviews(80, seed=5).train
    indices, _ = batch_bald(mc_predict(tuned, pool, 6, seed=2, consistent=True), 5, 2)
    choice = choose(Asking("batch_bald", 6), tuned, pool, 5, seed=2)
    assert choice.ids == tuple(pool[i].id for i in indices)


def test_random_reads_no_model_and_draws_by_seed():
    pool = reviews(200).train
    draws = [choose(Asking("random"), None, pool, 10, seed) for seed in (0, 0, 1)]
    assert draws[0] == draws[1]
    assert draws[0].ids != draws[2].ids
    assert len(set(draws[0].ids)) == 10


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_labels_of_the_pool_are_not_read_and_nothing_is_asked_twice(tuned, strategy):
    pool = reviews(60, seed=5).train
    bare = [replace(e, label=None) for e in pool]
    a, b = (choose(Asking(strategy, 3), tuned, p, 8, seed=0) for p in (pool, bare))
    assert a == b
    assert len(set(a.ids)) == 8


def test_a_pool_smaller_than_the_query_is_asked_whole_and_an_empty_one_not_at_all(tuned):
    pool = reviews().train[:3]
    for strategy in STRATEGIES:
        asked = choose(Asking(strategy, 2), tuned, pool, 10, seed=0).ids
        assert sorted(asked) == sorted(e.id for e in pool)
        assert choose(Asking(strategy, 2), tuned, [], 10, seed=0).ids == ()


def test_a_sentence_scores_the_mean_of_its_words_so_length_alone_earns_nothing(encoder):
    data = news()
    tagger = fit(data, data.train[:12], encoder, "full")
    rows = next(mc_stream(tagger, data.train, 4, seed=3))[1]
    words = [bald(row) for row in rows]
    asked = choose(Asking("bald", 4), tagger, data.train, 4, 3).ids

    def highest(scores):
        order = sorted(range(len(scores)), key=lambda i: -float(scores[i]))
        return {data.train[i].id for i in order[:4]}

    assert set(asked) == highest([sum(w) / len(w) for w in words])
    assert set(asked) != highest([sum(w) for w in words])  # negative control


def test_unknown_strategies_are_refused_before_anything_is_computed():
    with pytest.raises(MiniftError, match=r'unknown strategy "blad"; .*; did you mean "bald"'):
        Asking("blad")
