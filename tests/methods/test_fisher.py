"""Fisher scores are mean squared gradients of single examples, one by one or a batch at a time.

claim                                                        oracle
scores equal squared gradients of single sentences           transformers, one sentence per pass
so they do for tagging, regression, masked LM                autograd, one item per pass
the fast scores are those of the definition                  the definition, float64
batch size and order do not matter                           other batch sizes, reversed items
logistic regression: mean (p - y)^2 x^2                      closed form
opposite labels cancel in a batch and not in the Fisher      worked by hand
dropout is off; the model is left exactly as found           bit equality, also after an error
the cost is a pass per batch, less than two epochs in all    passes counted; processor time
a team that shares the examples gets the same scores         two shares, summed by hand
the authors' batch estimate, its defaults                    their rule as a plain loop
"""

from __future__ import annotations

import math
import time

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional as F

from minift.bert.dropout import Dropout, set_dropout_generator
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import to_device
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.methods.fast_fisher import fast_fisher
from minift.methods.fisher import batch_fisher, fisher
from minift.training.batches import UNLABELLED, Item, make_batch
from minift.training.loop import Settings, Team, cross_entropy, squared_error
from tests.bert.reference import copy_weights, hf_config, own_config, randomise
from tests.methods.tuning import tune


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


def both(model, items, objective=cross_entropy, batch_size: int = 4) -> list[dict]:
    """The definition, and the fast scores."""
    fast = fast_fisher(model, items, objective, batch_size=batch_size)
    return [fisher(model, items, objective), fast]


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
    for actual in both(own, items):
        assert len(actual) == len(expected) == 3 * 16 + 5 + 2 + 2
        assert_same({hf_name(n): s for n, s in actual.items()}, expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_squared_gradient_of_a_sentence_is_taken_after_summing_over_its_words(seed):
    model = randomise(TokenClassifier(own_config(3)), seed).double()
    items = make_items(9, seed, asked="words")
    assert max(len(item.positions) for item in items) > 1
    for actual in both(model, items, batch_size=5):
        assert_same(actual, one_by_one(model, items))


def test_regression_scores_are_those_of_the_squared_error():
    model = randomise(SequenceClassifier(own_config(1)), 0).double()
    items = [
        Item(i.example, i.input_ids, i.segment_ids, [0], [float(i.targets[0])])
        for i in make_items(7, 1)
    ]
    for actual in both(model, items, squared_error):
        assert_same(actual, one_by_one(model, items, squared_error))


def test_a_word_table_that_the_decoder_reads_too_is_scored_exactly():
    model = randomise(MaskedLM(own_config(3)), 0, std=0.2).double()
    items = make_items(7, 2, labels=61, asked="words")
    for actual in both(model, items):
        assert_same(actual, one_by_one(model, items))
        assert bool((actual["bert.embeddings.word.weight"] > 0).all())  # the decoder's share


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_batch_size_and_order_do_not_change_the_scores(batch_size):
    model, items = classifier(), make_items(11)
    expected = fisher(model, items)
    assert_same(fast_fisher(model, items, batch_size=batch_size), expected)
    assert_same(fast_fisher(model, items[::-1], batch_size=batch_size), expected)


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
        scores = fast_fisher(model, items, batch_size=2, team=half)
    assert_same(scores, fisher(model, items))
    sums.clear()
    idle = fast_fisher(model, items[:1], team=half)  # no example is left for this one
    assert not any(score.any() for score in idle.values())


def test_scores_of_some_tensors_are_those_of_all():
    model, items = classifier(), make_items(6)
    everything = fisher(model, items)
    for name, score in everything.items():
        torch.testing.assert_close(fast_fisher(model, items, names=[name])[name], score)
    torch.testing.assert_close(fisher(model, items, names=[name]), {name: score})


def test_float32_scores_agree_with_float64_to_float32_precision():
    model, items = classifier(), make_items(8)
    exact = fisher(model, items)
    scores = fast_fisher(model.float(), items)
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
    for scores in both(model, points(targets.tolist()), batch_size=7):
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-14)


def test_opposite_labels_cancel_in_a_batch_and_not_in_the_fisher():
    model = Logistic(torch.ones(2, 1, dtype=torch.float64))
    nn.init.zeros_(model.output.weight)
    nn.init.zeros_(model.output.bias)
    items = points([0, 1])  # the same text with both labels; p = 1/2, so the error is 1/2
    assert fisher(model, items)["output.weight"].tolist() == [[0.25], [0.25]]
    assert batch_fisher(model, items)["output.weight"].tolist() == [[0.0], [0.0]]


def test_items_without_a_label_do_not_count():
    model, items = classifier(), make_items(6)
    silent = [Item(9, [3, 4, 5], [0, 0, 0], [0], [UNLABELLED])]
    for with_silent, without in zip(both(model, silent + items), both(model, items)):
        assert_same(with_silent, without)
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
    fast_fisher(model, items, names=names)
    assert_as_found(model, before)
    batch_fisher(model, items, names=names, dropout=torch.Generator().manual_seed(0))
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
        fast_fisher(model, make_items(5), failing, batch_size=2)
    assert_as_found(model, before)
    calls.clear()
    with pytest.raises(RuntimeError, match="out of memory"):
        fisher(model, make_items(5), failing)
    assert_as_found(model, before)


def test_dropout_is_off_even_in_a_model_in_training_mode():
    noisy, quiet = classifier(dropout=0.5).train(), classifier(dropout=0.0)
    items = make_items(6)
    for loud, silent in zip(both(noisy, items), both(quiet, items)):
        assert_same(loud, silent, tolerance=1e-14)


# What it costs


def test_the_cost_is_one_pass_a_batch_and_no_weight_gradient():
    model, items, passes = classifier(), make_items(10), []

    def counting(model, batch, step, steps):
        passes.append([p.requires_grad for p in model.parameters()])
        return cross_entropy(model, batch)

    fast_fisher(model, items, counting, batch_size=4)
    assert len(passes) == 3
    assert not any(map(any, passes))  # autograd itself computes no gradient of a weight


@pytest.mark.slow
def test_fast_fisher_costs_less_than_two_training_epochs():
    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 4}
    model = SequenceClassifier(own_config(2, max_position_embeddings=32, **sizes))
    generator = torch.Generator().manual_seed(0)
    items = []
    for number in range(48):
        length = int(torch.randint(8, 32, (1,), generator=generator))
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        items.append(Item(number, ids, [0] * length, [0], [number % 2]))
    names = [name for name, _ in model.named_parameters() if ".layers." in name]
    ratios = []
    for _ in range(5):  # alternating, in processor time: a busy machine does not matter
        began = time.process_time()
        fast_fisher(model, items, names=names)
        seconds = time.process_time() - began
        began = time.process_time()
        tune(model, items, Settings(epochs=1))
        ratios.append(seconds / (time.process_time() - began))
    assert sorted(ratios)[2] < 2, ratios


# The authors' estimate


def by_the_authors(model, items, size: int, clip: float) -> tuple[dict, int]:
    """Their rule, and how many gradients were clipped."""
    expected = {n: torch.zeros_like(p) for n, p in model.named_parameters()}
    clipped, batches = 0, [items[at : at + size] for at in range(0, len(items), size)]
    for batch in batches:
        targets = torch.tensor([item.targets[0] for item in batch])
        loss = F.cross_entropy(model(make_batch(batch).packed), targets)
        model.zero_grad()
        loss.backward()
        for name, parameter in model.named_parameters():
            if clip:
                clipped += float(nn.utils.clip_grad_norm_([parameter], clip)) > clip
            expected[name] += parameter.grad**2 / len(batches)
    return expected, clipped


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_the_batch_estimate_is_the_authors_rule(clip):
    model, items = classifier().eval(), make_items(10)
    expected, clipped = by_the_authors(model, items, 4, clip)
    assert clipped > 50 or not clip
    assert_same(batch_fisher(model, items, batch_size=4, clip=clip), expected)


def test_by_default_the_batch_estimate_has_batches_of_16_clipped_at_1_and_no_dropout():
    model, items = classifier(dropout=0.3).eval(), make_items(20)  # 16 and 4
    with torch.no_grad():
        model.classifier.weight.mul_(8)
    expected, clipped = by_the_authors(model, items, 16, 1.0)
    assert clipped > 5
    assert_same(batch_fisher(model.train(), items), expected)


def test_the_batch_estimate_of_single_examples_without_clipping_is_the_fisher():
    model, items = classifier(), make_items(7)
    assert_same(batch_fisher(model, items, batch_size=1, clip=0), fisher(model, items))


def test_the_batch_estimate_can_have_dropout_on_from_the_stream_it_is_given():
    model, items = classifier(dropout=0.3), make_items(7)

    def scores(seed: int | None) -> torch.Tensor:
        stream = None if seed is None else torch.Generator().manual_seed(seed)
        return batch_fisher(model, items, dropout=stream)["classifier.weight"]

    assert torch.equal(scores(1), scores(1))
    assert not torch.equal(scores(1), scores(2))
    assert not torch.equal(scores(1), scores(None))
    assert torch.equal(scores(None), scores(None))


# What is refused


def test_an_unknown_name_is_refused_with_the_nearest_known_one():
    with pytest.raises(MiniftError, match=r"did you mean .bert\.layers\.0\.output\.weight"):
        fisher(classifier(), make_items(2), names=["bert.layers.0.outputs.weight"])


def test_an_objective_that_runs_the_model_twice_is_refused():
    def twice(model, batch, step, steps):
        return cross_entropy(model, batch) + cross_entropy(model, batch)

    with pytest.raises(MiniftError, match=r"runs the module of bert.embeddings.word.weight twice"):
        fast_fisher(classifier(), make_items(2), twice)


def test_rows_that_belong_to_no_example_are_refused_and_single_examples_still_work():
    class Doubling(Logistic):
        def forward(self, packed, wanted):
            rows = self.features[packed.input_ids].repeat_interleave(2, dim=0)
            return self.output(rows)[::2]

    features = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).double()
    model, items = Doubling(features), points([0, 1, 1])
    with pytest.raises(MiniftError, match=r"read 6 rows.*batch_size=1"):
        fast_fisher(model, items)
    assert_same(fast_fisher(model, items, batch_size=1), fisher(model, items))
