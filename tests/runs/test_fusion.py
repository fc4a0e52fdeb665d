"""Fusion of two encoders, proven.

claim (papers.md, 8.5.8)                                  oracle
the perceptron reads the vectors of both, each by its     each encoder's own model, text by text;
  own tokenizer, in the order of the texts                  numpy
with zero weights for one it answers from the other       torch, over the other's vectors
the encoders stay as they are, or are tuned first         the files; `train` on its own
a run folder is an encoder, too                           its tensors
it learns; with shuffled labels it does not               accuracy beside chance
what it answers survives pickling                         the same scores
what is no BERT, and what is tagged, is refused           the sentence

Items 1 to 7 of that list are other methods: vocabulary expansion, heated softmax and FGM have their
own modules. Item 9, weighted F1, is a score that minift does not have.
"""

from __future__ import annotations

import pickle
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_model, save_pretrained
from minift.errors import MiniftError
from minift.runs.fusion import HIDDEN, fuse
from minift.runs.train import train
from minift.runs.tuned import build
from minift.training.batches import make_batch
from minift.training.loop import Settings
from tests.tiny import SPECIAL, checkpoint, news, reviews, similarity
from tests.training.test_loop import weights

QUICK = Settings(epochs=8, learning_rate=3e-3)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Two random encoders whose tokenizers cut the same text differently."""
    one, other = (tmp_path_factory.mktemp(name) for name in ("one", "other"))
    checkpoint(one, seed=0)
    checkpoint(other, seed=1)
    model, _ = load_model(MaskedLM, other)
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*SPECIAL, *letters, *("##" + letter for letter in letters)]  # no words at all
    save_pretrained(model, Tokenizer.from_vocabulary(pieces, lowercase=True), other)
    return one, other


@pytest.fixture(scope="module")
def fused(encoders):
    return fuse(reviews(), encoders, seeds=0, settings=QUICK)


def alone(tuned, example) -> torch.Tensor:
    (item,) = tuned.items([example])
    batch = make_batch([item])
    with torch.no_grad():
        return tuned.model.vectors(batch.packed, batch.wanted)


def test_the_vectors_are_those_of_each_encoder_text_by_text(encoders, fused):
    data = reviews()
    parts = [build(data, encoder, 0) for encoder in encoders]
    lengths = [[len(i.input_ids) for i in p.items(data.test)] for p in parts]
    assert lengths[0] != lengths[1]  # each has its own tokenizer
    ours = fused.vectors(data.test)
    assert ours.shape == (len(data.test), 64)
    for row, example in zip(ours, data.test):
        expected = torch.cat([alone(part, example) for part in parts], dim=1)[0]
        torch.testing.assert_close(row, expected, rtol=0, atol=1e-5)


def test_its_logits_are_those_of_a_perceptron_in_numpy(fused):
    data = reviews()
    first, last = fused.perceptron[0], fused.perceptron[3]
    assert (first.in_features, first.out_features, last.out_features) == (64, HIDDEN, 2)
    w, b, v, c = (p.detach().numpy() for layer in (first, last) for p in layer.parameters())
    hidden = np.maximum(fused.vectors(data.test).numpy() @ w.T + b, 0)
    ours = fused.logits(data.test).numpy()
    np.testing.assert_allclose(ours, hidden @ v.T + c, rtol=0, atol=1e-5)
    assert np.ptp(ours[:, 0]) > 0.05  # it does not say the same of every text


@pytest.mark.parametrize("dropped", [0, 1])
def test_with_zero_weights_for_one_it_answers_from_the_other_alone(encoders, fused, dropped):
    own = pickle.loads(pickle.dumps(fused))
    half = slice(32 * dropped, 32 * dropped + 32)
    rest = slice(32 * (1 - dropped), 32 * (1 - dropped) + 32)
    with torch.no_grad():
        own.perceptron[0].weight[:, half] = 0
    data = reviews()
    vectors = torch.cat([alone(own.parts[1 - dropped], e) for e in data.test])
    first, last = own.perceptron[0], own.perceptron[3]
    hidden = (vectors @ first.weight[:, rest].T + first.bias).relu()
    expected = (hidden @ last.weight.T + last.bias).detach()
    torch.testing.assert_close(own.logits(data.test), expected, rtol=0, atol=1e-5)
    with torch.no_grad():  # the encoder that is not read may be any
        for parameter in own.parts[dropped].model.parameters():
            parameter.normal_()
    torch.testing.assert_close(own.logits(data.test), expected, rtol=0, atol=1e-5)
    assert (fused.logits(data.test) - expected).abs().max() > 0.01


def test_encoders_stay_as_they_are_or_are_those_that_train_makes(encoders, fused):
    data = reviews()
    for part, encoder in zip(fused.parts, encoders):
        before = weights(build(data, encoder, 0).model)
        assert all(torch.equal(v, before[n]) for n, v in weights(part.model).items())
    tuned = fuse(data, encoders, seeds=0, tune=True, settings=QUICK)
    for part, encoder, frozen in zip(tuned.parts, encoders, fused.parts):
        expected = weights(train(data, encoder, "full", seeds=0)[0].model)
        assert all(torch.equal(v, expected[n]) for n, v in weights(part.model).items())
        name = "bert.layers.0.output.weight"
        assert not torch.equal(expected[name], weights(frozen.model)[name])


def test_a_run_folder_is_an_encoder_and_gives_its_own_vectors(encoders, tmp_path):
    data, run = reviews(), tmp_path / "run"
    tuned, _ = train(data, encoders[0], "full", seeds=4, out=run, settings=Settings(epochs=2))
    both = fuse(data, (run, encoders[1]), seeds=0, settings=QUICK)
    expected = torch.cat([alone(tuned, e) for e in data.test])
    torch.testing.assert_close(both.vectors(data.test)[:, :32], expected, rtol=0, atol=1e-5)


def test_it_learns_and_with_shuffled_labels_it_learns_nothing(encoders):
    data = reviews(400)

    def accuracy(fused):
        said = fused.logits(data.test).argmax(1).tolist()
        return sum(data.labels[k] == e.label for k, e in zip(said, data.test)) / len(said)

    assert accuracy(fuse(data, encoders, seeds=0)) > 0.8
    labels = [e.label for e in data.train]
    random.Random(0).shuffle(labels)
    noise = replace(data, train=tuple(replace(e, label=x) for e, x in zip(data.train, labels)))
    assert abs(accuracy(fuse(noise, encoders, seeds=0)) - 0.5) < 0.2


def test_the_same_seed_gives_the_same_bits_and_it_survives_pickling(encoders, fused):
    again = fuse(reviews(), encoders, seeds=0, settings=QUICK)
    other = fuse(reviews(), encoders, seeds=1, settings=QUICK)
    kept = pickle.loads(pickle.dumps(fused))
    for model, alike in ((again, True), (kept, True), (other, False)):
        pairs = zip(fused.perceptron.parameters(), model.perceptron.parameters())
        assert all(torch.equal(one, own) for one, own in pairs) is alike


def test_numbers_are_learned_by_squared_error(encoders):
    data = similarity()
    long = Settings(epochs=200, learning_rate=3e-3)
    said = fuse(data, encoders, seeds=0, settings=long).logits(data.train)
    gold = torch.tensor([[e.label] for e in data.train])
    assert said.shape == gold.shape
    assert (said - gold).square().mean() < (gold.mean() - gold).square().mean() / 2


def test_what_is_no_bert_and_what_is_tagged_is_refused(encoders, tmp_path):
    config = transformers.RobertaConfig(
        vocab_size=40, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    with pytest.raises(MiniftError, match="minift reads BERT only") as caught:
        fuse(reviews(), (encoders[0], tmp_path), seeds=0)
    assert "\n" not in str(caught.value)
    with pytest.raises(MiniftError, match="words are tagged"):
        fuse(news(), encoders, seeds=0)


def test_nothing_to_fuse_and_nothing_to_learn_from_is_refused(encoders):
    data, needs = reviews(), "fusion needs a list of encoders, and training texts with labels"
    bare = replace(data, train=tuple(replace(e, label=None) for e in data.train))
    for asked, given in (
        (data, []), (data, "mini"), (replace(data, train=()), encoders), (bare, encoders)
    ):  # fmt: skip
        with pytest.raises(MiniftError, match=needs):
            fuse(asked, given, seeds=0)
    one = replace(data, train=tuple(e for e in data.train if e.label == data.train[0].label))
    with pytest.raises(MiniftError, match="every training example"):
        fuse(one, encoders, seeds=0)
