"""A frozen prefix that is computed once gives the training run that computes it every time.

claim                                                        oracle
`fit` gives the same weights to 1e-12, every depth and head  the loop without a cache
the same predictions to 1e-12 for every depth and head       predictions without a cache
each text goes through the prefix once, validation as well   counting tokens; the loop by itself
states that would fill the memory are not kept               a limit of some bytes
states are another's if one weight of the prefix differs     every parameter changed, one by one
an equal text is found, another one is computed              examples of other numbers; a new text
a cache of other weights, or one that reaches above what is  error words
frozen and without dropout, is refused
dropout in the prefix is on where that is asked for          noise in its output, in `fit` too
nothing is cached where the embeddings learn                 the cache itself
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.errors import MiniftError
from minift.methods.bitfit import bitfit
from minift.methods.freezing import freeze, head_only
from minift.methods.recipes import recipe
from minift.runs import train as runs
from minift.runs.evaluate import predict_logits
from minift.runs.fit import Fitted, fit
from minift.runs.train import train
from minift.runs.tuned import FineTuned
from minift.speed import prefix
from minift.speed.prefix import PrefixCache, prefix_cache
from minift.training.batches import Item, make_batch
from minift.training.loop import Recipe, Seeds, Settings, everything, fine_tune, select
from tests.bert.reference import own_config, randomise
from tests.tiny import checkpoint, reviews, tokens_seen
from tests.training.test_loop import make_items, weights

SETTINGS = Settings(epochs=3, batch_size=4, learning_rate=1e-3)


def model(head=SequenceClassifier) -> torch.nn.Module:
    config = own_config(hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.2)
    return randomise(head(config), 0, std=0.2).double()


def word_items(count: int) -> list[Item]:
    items = []
    for item in make_items(count):
        places = list(range(0, len(item.input_ids), 2))
        targets = [place % 3 for place in places]
        items.append(Item(item.example, item.input_ids, item.segment_ids, places, targets))
    return items


def fitted(own, items, trainable, settings=SETTINGS, cache=None, **more) -> Fitted:
    """Train as every command does."""
    tuned = FineTuned(own, None, "classification", ("a", "b", "c"), cache=cache)
    return fit(tuned, items, Recipe(trainable=trainable, settings=settings), Seeds.all(0), **more)


@pytest.mark.parametrize("method", [freeze(1), freeze(2), freeze(3), head_only()])
@pytest.mark.parametrize("head", [SequenceClassifier, TokenClassifier])
def test_training_with_the_cache_equals_training_without_it(method, head):
    items = make_items(14) if head is SequenceClassifier else word_items(14)
    cached, plain = model(head), model(head)
    start = weights(plain)
    assert fitted(cached, items, method).tuned.cache is not None
    fine_tune(plain, items, Recipe(trainable=method, settings=SETTINGS), Seeds.all(0))
    for name, value in weights(cached).items():
        torch.testing.assert_close(value, weights(plain)[name], rtol=0, atol=1e-12)
    assert any(not torch.equal(value, start[name]) for name, value in weights(plain).items())


def test_each_text_goes_through_the_prefix_once_however_many_epochs():
    own, items, asked = model(), make_items(10), make_items(4, seed=5)
    tokens = []
    own.bert.layers[0].register_forward_hook(lambda _, args, __: tokens.append(len(args[0])))

    def validate(tuned: FineTuned) -> tuple[float, float]:
        predict_logits(tuned.model, asked, make_batch=tuned.make_batch)
        return 0.0, 0.0

    fitted(own, items, freeze(2), asked=asked, validate=validate)
    expected = sum(len(item.input_ids) for item in (*items, *asked))
    assert sum(tokens) == expected
    tokens.clear()
    fine_tune(own, items, Recipe(trainable=freeze(2), settings=SETTINGS), Seeds.all(0))
    assert sum(tokens) == 3 * sum(len(item.input_ids) for item in items)  # the loop by itself


@pytest.mark.parametrize("by_itself", [True, False])
def test_prefix_dropout_is_noise_in_the_prefix_where_it_is_asked_for(by_itself):
    outputs = []
    own, items = model(), make_items(1)
    own.bert.layers[0].register_forward_hook(lambda *args: outputs.append(args[-1].detach()))
    for noisy in (True, False):
        outputs.clear()
        settings = replace(SETTINGS, epochs=2, prefix_dropout=noisy)
        if by_itself:
            recipe_ = Recipe(trainable=freeze(2), settings=settings)
            history = fine_tune(own, items, recipe_, Seeds.all(0))
        else:
            tuned, history, _ = fitted(own, items, freeze(2), settings)
            assert (tuned.cache is None) == noisy
            assert tuned.quiet == history.quiet
        assert history.quiet == (0 if noisy else 3)
        assert len(outputs) == (2 if noisy or by_itself else 1)
        assert torch.equal(outputs[0], outputs[-1]) is not noisy


@pytest.mark.parametrize("method", [everything, bitfit(), freeze(-1), freeze(2, embeddings=False)])
def test_nothing_is_cached_where_the_embeddings_learn(method):
    own = model()
    select(own, method)
    assert prefix_cache(own, make_items(3)) is None


def test_a_cache_leaves_the_modes_of_the_model_as_found():
    own = model().train()
    own.bert.layers[1].eval()
    select(own, freeze(2))
    assert prefix_cache(own, make_items(3)).layers == 2
    assert own.training
    assert own.bert.layers[0].training
    assert not own.bert.layers[1].training


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("head", [SequenceClassifier, TokenClassifier])
def test_predictions_with_the_cache_equal_those_without_it(layers, head):
    own, items = model(head), (make_items(9) if head is SequenceClassifier else word_items(9))
    cache = PrefixCache(own, layers, items)
    calls = []
    own.bert.embeddings.register_forward_hook(lambda *_: calls.append(1))
    cached = predict_logits(own, items, make_batch=cache.make_batch)
    assert not calls
    plain = predict_logits(own, items)
    assert calls
    for ours, theirs in zip(cached, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)  # logits are float32


@pytest.mark.parametrize("method", ["head", "freeze:1"])
def test_validation_goes_through_the_prefix_once_too(method, tmp_path, monkeypatch):
    data = replace(reviews(24), test=())
    chosen = recipe(method)
    settings = replace(chosen.settings, epochs=3, batch_size=8)
    seen = tokens_seen(monkeypatch, runs)
    tuned, _ = train(
        data, checkpoint(tmp_path), chosen, seeds=Seeds.all(0), settings=settings,
        validate_each_epoch=True,
    )  # fmt: skip
    texts = {example.text for example in (*data.train, *data.dev)}
    assert data.dev
    encoded = tuned.tokenizer.encode(sorted(texts))
    assert sum(seen) == sum(len(one.input_ids) for one in encoded)


def test_states_that_would_fill_the_memory_are_not_kept(monkeypatch):
    own, items = model(), make_items(3)
    select(own, freeze(2))
    cache = prefix_cache(own, items)
    size = sum(states.nbytes for states in cache.states.values())
    monkeypatch.setattr(prefix, "LARGEST", size)
    assert prefix_cache(own, items) is not None
    monkeypatch.setattr(prefix, "LARGEST", size - 1)
    assert prefix_cache(own, items) is None


def test_states_belong_to_the_weights_that_made_them():
    own = model()
    cache = PrefixCache(own, 2, make_items(3))
    for name, parameter in own.named_parameters():
        below = name.startswith(("bert.embeddings.", "bert.layers.0.", "bert.layers.1."))
        with torch.no_grad():
            kept = parameter.view(-1)[-1].clone()
            parameter.view(-1)[-1] += 1e-9
            assert cache.fits(own) is not below, name
            parameter.view(-1)[-1] = kept
        assert cache.fits(own)
    assert PrefixCache(own, 1, make_items(3)).digest != cache.digest


def test_an_equal_text_is_found_and_any_other_is_computed():
    own, items = model(), make_items(6)
    cache = PrefixCache(own, 3, items)
    again = replace(items[2], example=77, targets=[0])
    assert cache.add_to(make_batch([again]), [again]).packed.computed is not None
    for field in ("input_ids", "segment_ids", "positions"):
        other = replace(items[2], **{field: [1 - getattr(items[2], field)[0]]})
        if field != "positions":
            other = replace(other, **{field: [*getattr(other, field), *items[2].input_ids[1:]]})
            other = replace(other, segment_ids=other.segment_ids[: len(other.input_ids)])
        batch = make_batch([items[0], other])
        assert cache.add_to(batch, [items[0], other]) is batch, field
    twice = PrefixCache(own, 3, [*items, again])
    assert twice.states.keys() == cache.states.keys()
    assert all(torch.equal(states, cache.states[key]) for key, states in twice.states.items())


def test_a_cache_of_other_weights_or_one_that_reaches_above_what_is_frozen_is_refused():
    own, items = model(), make_items(3)
    cache, before = PrefixCache(own, 2, items), weights(own)
    with pytest.raises(MiniftError, match=r"states of 2 layers .* dropout \(1 are\)"):
        fitted(own, items, freeze(1), cache=cache)
    noisy = replace(SETTINGS, prefix_dropout=True)
    with pytest.raises(MiniftError, match=r"states of 2 layers .* dropout \(0 are\)"):
        fitted(own, items, freeze(2), noisy, cache=cache)
    with torch.no_grad():
        own.bert.layers[1].output.bias[0] += 1e-9
    with pytest.raises(MiniftError, match=r"computed with other weights, .* compute them anew"):
        fitted(own, items, freeze(2), cache=cache)
    with torch.no_grad():
        own.bert.layers[1].output.bias[0] = before["bert.layers.1.output.bias"][0]
    assert all(torch.equal(value, before[name]) for name, value in weights(own).items())
    assert fitted(own, items, freeze(2), cache=cache).tuned.cache is cache
