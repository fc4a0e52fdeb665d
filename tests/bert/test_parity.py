"""Our BERT is Hugging Face's BERT, in float64, forward and backward.

claim                                                        oracle
hidden states of every layer are equal                       transformers.BertModel
logits and all gradients are equal, for each head            transformers' three classes
the last layer computed for some tokens only is the same     the last layer computed for all
the prediction of a sentence ignores its batch               the sentence alone
with the same masks, dropout on attention is theirs too      transformers, its dropout patched
attention for training gives the numbers of evaluation       the kernel used in evaluation
dropout in training mode acts at every one of its sites      sites switched on one at a time
"""

from __future__ import annotations

import pytest
import torch
import transformers
from torch.nn import functional as F

from minift.bert.dropout import Dropout, dropout_mask, set_dropout_generator
from minift.bert.encoder import Bert
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import to_device
from tests.bert.reference import (
    copy_weights,
    gradients,
    hf_config,
    inputs,
    own_config,
    randomise,
)

SEEDS = range(4)


def close(actual: torch.Tensor, expected: torch.Tensor, atol: float = 1e-9) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def pair(hf_class, own_class, seed: int, device, labels: int = 3, **changes):
    reference = randomise(hf_class(hf_config(labels, **changes)), seed).double().to(device).eval()
    own = copy_weights(reference, own_class(own_config(labels, **changes)).to(device)).eval()
    return reference, own


def on(device, packed, padded):
    return to_device(packed, device), {name: value.to(device) for name, value in padded.items()}


def assert_same_gradients(reference, own):
    expected, actual = gradients(reference, False), gradients(own, True)
    assert set(actual) <= set(expected)
    for name, gradient in actual.items():
        # Gradients of a few hundred are summed in another order: compare to their size.
        scale = max(1.0, float(expected[name].abs().max()))
        close(gradient / scale, expected[name] / scale)
    for name in set(expected) - set(actual):
        assert expected[name].abs().max() == 0, f"{name} learns there and does not exist here"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "hidden_act", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"]
)
def test_hidden_states_of_every_layer_equal_hugging_face(seed, hidden_act, device):
    reference, own = pair(transformers.BertModel, Bert, seed, device, hidden_act=hidden_act)
    packed, padded = on(device, *inputs(seed))
    expected = reference(**padded, output_hidden_states=True).hidden_states
    real = padded["attention_mask"].bool()
    actual = own.hidden_states(packed)
    assert len(actual) == len(expected) == 4
    for ours, theirs in zip(actual, expected):
        close(ours, theirs[real])


@pytest.mark.parametrize("seed", SEEDS)
def test_pooled_sentence_vector_equals_hugging_face(seed, device):
    reference, own = pair(transformers.BertModel, Bert, seed, device)
    packed, padded = on(device, *inputs(seed))
    close(own.pooler(own(packed, packed.first_tokens())), reference(**padded).pooler_output)


@pytest.mark.parametrize("seed", SEEDS)
def test_sequence_classification_equals_hugging_face_forward_and_backward(seed, device):
    reference, own = pair(
        transformers.BertForSequenceClassification, SequenceClassifier, seed, device
    )
    packed, padded = on(device, *inputs(seed))
    targets = torch.tensor([0, 2, 1, 1, 0], device=device)
    expected, actual = reference(**padded).logits, own(packed)
    close(actual, expected)
    F.cross_entropy(expected, targets).backward()
    F.cross_entropy(actual, targets).backward()
    assert_same_gradients(reference, own)


@pytest.mark.parametrize("seed", SEEDS)
def test_regression_equals_hugging_face_forward_and_backward(seed, device):
    reference, own = pair(
        transformers.BertForSequenceClassification, SequenceClassifier, seed, device, labels=1
    )
    packed, padded = on(device, *inputs(seed))
    targets = torch.tensor([0.5, 2.0, -1.0, 3.0, 0.0], dtype=torch.float64, device=device)
    expected, actual = reference(**padded, labels=targets), own(packed).squeeze(-1)
    close(actual, expected.logits.squeeze(-1))
    expected.loss.backward()
    F.mse_loss(actual, targets).backward()
    assert_same_gradients(reference, own)


@pytest.mark.parametrize("seed", SEEDS)
def test_token_classification_equals_hugging_face_forward_and_backward(seed, device):
    reference, own = pair(transformers.BertForTokenClassification, TokenClassifier, seed, device)
    packed, padded = on(device, *inputs(seed))
    places = [[1, 4], [], [0, 11], [3], [2]]
    flat = [(row, place) for row, row_places in enumerate(places) for place in row_places]
    targets = torch.tensor([0, 2, 1, 1, 0, 2], device=device)
    labels = torch.full_like(padded["input_ids"], -100)
    for (row, place), target in zip(flat, targets):
        labels[row, place] = target
    expected = reference(**padded, labels=labels)
    actual = own(packed, packed.select(places))
    close(actual, torch.stack([expected.logits[row, place] for row, place in flat]))
    expected.loss.backward()
    F.cross_entropy(actual, targets).backward()
    assert_same_gradients(reference, own)


@pytest.mark.parametrize("seed", SEEDS)
def test_masked_lm_with_tied_decoder_equals_hugging_face_forward_and_backward(seed, device):
    reference, own = pair(transformers.BertForMaskedLM, MaskedLM, seed, device)
    packed, padded = on(device, *inputs(seed))
    places = [[2, 3], [0], [5], [], [1]]
    flat = [(row, place) for row, row_places in enumerate(places) for place in row_places]
    targets = torch.tensor([5, 60, 1, 33, 8], device=device)
    labels = torch.full_like(padded["input_ids"], -100)
    for (row, place), target in zip(flat, targets):
        labels[row, place] = target
    expected = reference(**padded, labels=labels)
    actual = own(packed, packed.select(places))
    close(actual, torch.stack([expected.logits[row, place] for row, place in flat]))
    expected.loss.backward()
    F.cross_entropy(actual, targets).backward()
    assert_same_gradients(reference, own)


def test_logits_in_float32_stay_close_to_float64(device):
    _, own = pair(transformers.BertForSequenceClassification, SequenceClassifier, 0, device)
    packed = to_device(inputs(0)[0], device)
    expected = own(packed)
    close(own.float()(packed).double(), expected, atol=2e-4)


@pytest.mark.parametrize("seed", SEEDS)
def test_asking_the_last_layer_about_some_tokens_gives_their_rows_and_gradients(seed):
    _, own = pair(transformers.BertModel, Bert, seed, "cpu")
    packed = inputs(seed)[0]
    wanted = packed.select([[0, 6], [0], [], [5, 6, 7], [2]])
    everything = own(packed)
    some = own(packed, wanted)
    close(some, everything[wanted.indices], atol=1e-12)
    direction = torch.randn(some.shape, generator=torch.Generator().manual_seed(seed)).double()
    (everything[wanted.indices] * direction).sum().backward()
    expected = gradients(own, True)
    own.zero_grad()
    (some * direction).sum().backward()
    for name, gradient in gradients(own, True).items():
        close(gradient, expected[name])


def test_a_sentence_gets_the_same_logits_alone_and_in_any_batch():
    _, own = pair(transformers.BertForSequenceClassification, SequenceClassifier, 0, "cpu")
    together = own(inputs(3)[0])
    ids = inputs(3)[1]["input_ids"]
    segments = inputs(3)[1]["token_type_ids"]
    for row, length in enumerate((7, 1, 12, 12, 3)):
        from minift.bert.packing import pack

        alone = own(pack([ids[row, :length].tolist()], [segments[row, :length].tolist()]))
        close(alone[0], together[row], atol=1e-12)


def test_a_batch_in_another_order_gives_the_same_logits_in_that_order():
    from minift.bert.packing import pack

    _, own = pair(transformers.BertForSequenceClassification, SequenceClassifier, 1, "cpu")
    sequences = [[3, 4, 5], [6], [7, 8, 9, 10, 11]]
    order = [2, 0, 1]
    close(own(pack([sequences[i] for i in order])), own(pack(sequences))[order], atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_dropout_on_attention_probabilities_equals_hugging_face_given_the_same_masks(
    seed, device, monkeypatch
):
    # Attention sees a rectangle there and here, so masks of one stream fit both.
    masks = torch.Generator(device).manual_seed(seed)

    def dropout(values, p=0.5, training=True, inplace=False):
        return values * dropout_mask(values, p, masks) if training and p > 0 else values

    changes = {"attention_probs_dropout_prob": 0.3, "hidden_dropout_prob": 0.0}
    reference, own = pair(transformers.BertModel, Bert, seed, device, **changes)
    packed, padded = on(device, *inputs(seed))
    real = padded["attention_mask"].bool()
    clean = own(packed).detach()
    set_dropout_generator(own.train(), torch.Generator(device).manual_seed(seed))
    with monkeypatch.context() as patched:
        patched.setattr(F, "dropout", dropout)
        expected = reference.train()(**padded).last_hidden_state[real]
    actual = own(packed)
    close(actual, expected)
    assert not torch.allclose(actual, clean, atol=0.1)  # negative control: something was dropped
    direction = torch.randn(actual.shape, generator=torch.Generator().manual_seed(seed))
    (expected * direction.to(actual)).sum().backward()
    (actual * direction.to(actual)).sum().backward()
    assert_same_gradients(reference, own)


def test_attention_that_keeps_its_probabilities_for_dropout_gives_the_numbers_of_evaluation():
    own = randomise(SequenceClassifier(own_config()), 0).double()
    packed = inputs(0)[0]
    expected = own.eval()(packed)
    for layer in own.bert.layers:
        layer.attention.dropout.probability = 2**-18  # takes the path of training, drops nothing
    close(own.train()(packed), expected)


@pytest.mark.parametrize(
    "own_class,heads", [(SequenceClassifier, 1), (TokenClassifier, 1), (MaskedLM, 0)]
)
def test_each_dropout_site_changes_the_output_in_training_and_none_in_evaluation(own_class, heads):
    own = own_class(own_config(hidden_dropout_prob=0.3))
    randomise(own, 0)
    packed = inputs(0)[0]
    clean = own.eval()(packed)
    sites = [module for module in own.modules() if isinstance(module, Dropout)]
    # embeddings, three a layer (probabilities, attention output, feed-forward output), classifier
    assert len(sites) == 1 + 3 * 3 + heads
    own.train()
    for site in sites:
        site.probability = 0.0
    assert torch.equal(own(packed), own(packed))  # negative control: all sites off
    for site in sites:
        site.probability = 0.3
        assert not torch.allclose(own(packed), clean, atol=1e-3), f"{site} does nothing"
        site.probability = 0.0


@pytest.mark.parametrize("own_class", [SequenceClassifier, TokenClassifier])
@pytest.mark.parametrize("classifier_dropout,expected", [(None, 0.2), (0.4, 0.4), (0.0, 0.0)])
def test_each_site_has_the_probability_that_config_json_names_for_it(
    own_class, classifier_dropout, expected
):
    config = own_config(
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.3,
        classifier_dropout=classifier_dropout,
    )
    own = own_class(config)
    assert own.dropout.probability == expected
    assert own.bert.embeddings.dropout.probability == 0.2
    for layer in own.bert.layers:
        assert layer.attention.dropout.probability == 0.3
        assert layer.attention_dropout.probability == layer.output_dropout.probability == 0.2
