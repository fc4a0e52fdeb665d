"""Fisher scores are mean squared gradients of single examples.

claim                                                        oracle
scores equal squared gradients of single sentences           transformers, one sentence per pass
so they do for tagging, regression, masked LM                autograd, one item per pass
their order does not matter                                  reversed items
logistic regression: mean (p - y)^2 x^2                      closed form
opposite labels cancel in a batch and not in the Fisher      worked by hand
dropout is off; the model is left exactly as found           bit equality, also after an error
a team that shares the examples gets the same scores         two shares, summed by hand
"""

from __future__ import annotations

import math

import pytest
import torch
import transformers
from torch import nn

from minift.bert.dropout import Dropout, set_dropout_generator
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import to_device
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.methods.fisher import fisher
from minift.training.batches import UNLABELLED, Item, make_batch
from minift.training.loop import Team, cross_entropy, squared_error
from tests.bert.reference import copy_weights, hf_config, own_config, randomise


def make_items(count: int, seed: int = 0, labels: int = 3, asked: str = "cls") -> list[Item]:
    """Ragged two-segment items; `asked` "cls" has one target, "words" has 1 to 4 of them."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int, size: int = 1) -> list[int]:
        return torch.randint(low, high, (size,), generator=generator).tolist()

    items = []
    for number in range(count):
        length = draw(1, 14)[0]
        segments = [0] * (length - length // 2) + [1] * (length // 2)
        places = [0]
        if asked == "words":
            places = sorted(torch.randperm(length, generator=generator)[: draw(1, 5)[0]].tolist())
        targets = draw(0, labels, len(places))
        items.append(Item(number, draw(1, 61, length), segments, places, targets))
    return items


def classifier(seed: int = 0, dropout: float = 0.0) -> SequenceClassifier:
    config = own_config(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    return randomise(SequenceClassifier(config), seed).double()


def one_by_one(model, items, objective=cross_entropy) -> dict[str, torch.Tensor]:
    """Plain loop: autograd on every parameter, one item per pass."""
    model.eval()
    parameters = dict(model.named_parameters())
    scores = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for item in items:
        loss = objective(model, to_device(make_batch([item]), parameters_device(model))).sum()
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for name, gradient in zip(parameters, gradients):
            if gradient is not None:
                scores[name] += gradient**2 / len(items)
    return scores


def parameters_device(model) -> torch.device:
    return next(model.parameters()).device


def assert_same(actual, expected, tolerance: float = 1e-10) -> None:
    """Equal to `tolerance`, relative to the largest score of the tensor."""
    assert list(actual) == list(expected)
    for name, score in actual.items():
        scale = max(1e-3, float(expected[name].abs().max()))
        torch.testing.assert_close(
            score / scale,
            expected[name] / scale,
            rtol=0,
            atol=tolerance,
            msg=lambda m, n=name: n + m,
        )


# What is computed


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_squared_gradients_of_single_sentences_in_transformers(seed, device):
    reference = randomise(transformers.BertForSequenceClassification(hf_config(3)), seed)
    reference = reference.double().to(device).eval()
    own = copy_weights(reference, SequenceClassifier(own_config(3)).to(device))
    items = make_items(9, seed)
    expected = {n: torch.zeros_like(p) for n, p in reference.named_parameters()}
    for item in items:
        reference.zero_grad()
        ids = torch.tensor([item.input_ids], device=device)
        segments = torch.tensor([item.segment_ids], device=device)
        logits = reference(input_ids=ids, token_type_ids=segments).logits
        (-logits.log_softmax(-1)[0, item.targets[0]]).backward()
        for name, parameter in reference.named_parameters():
            expected[name] += parameter.grad**2 / len(items)
    actual = fisher(own, items)
    assert len(actual) == len(expected) == 3 * 16 + 5 + 2 + 2
    assert_same({hf_name(n): s for n, s in actual.items()}, expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_squared_gradient_of_a_sentence_is_taken_after_summing_over_its_words(seed):
    model = randomise(TokenClassifier(own_config(3)), seed).double()
    items = make_items(9, seed, asked="words")
    assert max(len(item.positions) for item in items) > 1
    assert_same(fisher(model, items), one_by_one(model, items))


def test_regression_scores_are_those_of_the_squared_error():
    model = randomise(SequenceClassifier(own_config(1)), 0).double()
    items = [
        Item(i.example, i.input_ids, i.segment_ids, [0], [float(i.targets[0])])
        for i in make_items(7, 1)
    ]
    scores = fisher(model, items, squared_error)
    assert_same(scores, one_by_one(model, items, squared_error))


def test_a_word_table_that_the_decoder_reads_too_is_scored_exactly():
    model = randomise(MaskedLM(own_config(3)), 0, std=0.2).double()
    items = make_items(7, 2, labels=61, asked="words")
    scores = fisher(model, items)
    assert_same(scores, one_by_one(model, items))
    assert bool((scores["bert.embeddings.word.weight"] > 0).all())  # the decoder's share


def test_the_order_of_the_examples_does_not_change_the_scores():
    model, items = classifier(), make_items(11)
    assert_same(fisher(model, items[::-1]), fisher(model, items))


def test_a_team_that_shares_the_examples_gets_the_scores_of_one_process():
    model, items = randomise(MaskedLM(own_config(3)), 0, std=0.2).double(), make_items(5, labels=61)
    sums = []

    def add(tensors) -> None:
        tensors = list(tensors)
        sums.append([tensor.clone() for tensor in tensors])
        for tensor, *parts in zip(tensors, *sums):
            tensor.copy_(sum(parts))

    for first in (0, 1):
        half = Team(share=lambda items, first=first: items[first::2], sum_tensors=add)
        scores = fisher(model, items, team=half)
    assert_same(scores, fisher(model, items))
    sums.clear()
    idle = fisher(model, items[:1], team=half)  # no example is left for this one
    assert not any(score.any() for score in idle.values())


def test_scores_of_some_tensors_are_those_of_all():
    model, items = classifier(), make_items(6)
    everything = fisher(model, items)
    for name, score in everything.items():
        torch.testing.assert_close(fisher(model, items, names=[name]), {name: score})


def test_float32_scores_agree_with_float64_to_float32_precision():
    model, items = classifier(), make_items(8)
    exact = fisher(model, items)
    scores = fisher(model.float(), items)
    assert {s.dtype for s in scores.values()} == {torch.float32}
    single = {n: s.double() for n, s in scores.items()}
    for name, score in single.items():
        error = (score - exact[name]).abs().max() / exact[name].abs().max().clamp_min(1e-6)
        assert error < 1e-3, name


class Logistic(nn.Module):
    """log p(y|x) of a linear classifier; the text's only token is the row of `features`."""

    def __init__(self, features: torch.Tensor, labels: int = 2):
        super().__init__()
        self.register_buffer("features", features)
        self.output = nn.Linear(features.shape[1], labels).double()

    def forward(self, packed, wanted):
        return self.output(self.features[packed.input_ids])


def points(labels: list[int]) -> list[Item]:
    return [Item(row, [row], [0], [0], [label]) for row, label in enumerate(labels)]


def test_logistic_regression_has_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    model = Logistic(features)
    targets = torch.randint(2, (20,), generator=generator)
    probability = model(make_batch(points(targets.tolist())).packed, None).softmax(-1)[:, 1]
    error = (probability - targets).detach()
    expected = {
        "output.weight": (error.square().unsqueeze(1) * features.square()).mean(0).expand(2, 5),
        "output.bias": error.square().mean().expand(2),
    }
    scores = fisher(model, points(targets.tolist()))
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-14)


def test_opposite_labels_cancel_in_a_batch_and_not_in_the_fisher():
    model = Logistic(torch.ones(2, 1, dtype=torch.float64))
    nn.init.zeros_(model.output.weight)
    nn.init.zeros_(model.output.bias)
    items = points([0, 1])  # the same text with both labels; p = 1/2, so the error is 1/2
    assert fisher(model, items)["output.weight"].tolist() == [[0.25], [0.25]]
    cross_entropy(model, make_batch(items)).mean().backward()
    assert model.output.weight.grad.tolist() == [[0.0], [0.0]]  # and so is its square


def test_items_without_a_label_do_not_count():
    model, items = classifier(), make_items(6)
    silent = [Item(9, [3, 4, 5], [0, 0, 0], [0], [UNLABELLED])]
    assert_same(fisher(model, silent + items), fisher(model, items))
    with pytest.raises(MiniftError, match="none of 1 has a label"):
        fisher(model, silent)
    number = [Item(0, [3, 4], [0, 0], [0], [math.nan])]
    with pytest.raises(MiniftError, match="none of 1 has a label"):
        fisher(model, number, squared_error)


# What is left alone


def fingerprint(model: nn.Module) -> dict:
    return {
        "weights": {n: p.detach().clone() for n, p in model.named_parameters()},
        "grads": {
            n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()
        },
        "learns": [p.requires_grad for p in model.parameters()],
        "modes": [m.training for m in model.modules()],
        "hooks": [len(m._forward_hooks) for m in model.modules()],
        "streams": [m.generator for m in model.modules() if isinstance(m, Dropout)],
        "stream": model.dropout.generator.get_state(),
        "global": torch.get_rng_state(),
    }


def assert_as_found(model: nn.Module, before: dict) -> None:
    after = fingerprint(model)
    for key in ("learns", "modes", "hooks", "streams"):
        assert after[key] == before[key], key
    for key in ("stream", "global"):
        assert torch.equal(after[key], before[key]), key
    for key in ("weights", "grads"):
        for name, value in before[key].items():
            same = (
                after[key][name] is None if value is None else torch.equal(value, after[key][name])
            )
            assert same, f"{key} of {name}"


def used_model() -> SequenceClassifier:
    """In training mode with one silent layer, some gradients, some frozen tensors, dropout."""
    model = classifier(dropout=0.3)
    set_dropout_generator(model, torch.Generator().manual_seed(5))
    model.train()
    model.bert.layers[0].eval()
    model.bert.embeddings.requires_grad_(False)
    cross_entropy(model, make_batch(make_items(3))).sum().backward()
    model.classifier.weight.grad = None
    return model


@pytest.mark.parametrize("names", [None, ["bert.layers.1.output.weight"]])
def test_the_model_is_left_exactly_as_found(names):
    model, items = used_model(), make_items(5)
    before = fingerprint(model)
    fisher(model, items, names=names)
    assert_as_found(model, before)


def test_the_model_is_left_as_found_when_the_objective_fails_midway():
    model, calls = used_model(), []

    def failing(model, batch, step, steps):
        loss = cross_entropy(model, batch)
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return loss

    before = fingerprint(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        fisher(model, make_items(5), failing)
    assert_as_found(model, before)


def test_dropout_is_off_even_in_a_model_in_training_mode():
    noisy, quiet = classifier(dropout=0.5).train(), classifier(dropout=0.0)
    items = make_items(6)
    assert_same(fisher(noisy, items), fisher(quiet, items), tolerance=1e-14)


# What is refused


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    with pytest.raises(MiniftError, match=r"did you mean .bert\.layers\.0\.output\.weight"):
        fisher(classifier(), make_items(2), names=["bert.layers.0.outputs.weight"])
