"""FGM, proven.

claim                                                     oracle
r is size * g / |g| per text; two texts, a margin         numbers worked by hand
loss and gradients of all parameters, for every head and  text by text, alone, with the encoder
  task                                                      written out from the word vectors on
the loss rises by size * |g|, more than by any other      a difference quotient; random directions
  direction
size 0 is the plain gradient and, with dropout, the       full, in float64; another size
  plain run
no weight changes, nothing is left behind                 bit equality, hooks, gradients, the stream
where g is 0 nothing moves, however small numbers are     zeros, the least float32, in each text
a text moves alike alone, in any batch and in any part    the same text alone; accumulated steps
only rows that are read are trained                       the loop by itself
with frozen layers it is the words that move, and a run   text by text again; the states of frozen
  says so                                                   layers are kept and not used
bad sizes and a head that is solved are refused           the words

Resuming is proven in tests/runs/test_resume.py, every path that trains in tests/runs/test_fit.py.
Of the list of the paper that names it, vocabulary expansion and fusion have tests of their own,
and the weighted F1 is a score that minift does not have.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.dropout import set_dropout_generator
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.packing import Computed, Layout
from minift.errors import MiniftError
from minift.methods.cnn_head import ConvClassifier
from minift.methods.fgm import Fgm, perturbation
from minift.methods.freezing import freeze
from minift.methods.mean_head import MeanClassifier, PairClassifier
from minift.methods.recipes import recipe
from minift.runs.fit import fit
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build
from minift.speed.rows import UsedRows
from minift.training.batches import UNLABELLED, Item, make_batch
from minift.training.loop import (
    Recipe,
    Seeds,
    Settings,
    Training,
    cross_entropy,
    everything,
    fine_tune,
    select,
    usual_objective,
)
from tests.bert.reference import own_config, randomise
from tests.runs.test_multilabel import films
from tests.tiny import checkpoint, news, reviews, similarity
from tests.training.test_loop import make_items, model, weights

SEEDS = Seeds.all(0)
SETTINGS = Settings(epochs=3, batch_size=4, learning_rate=5e-3, weight_decay=0.1)


# --- the perturbation -------------------------------------------------------------------------


def test_a_text_of_two_tokens_and_one_of_one_worked_by_hand():
    gradient = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, -2.0]])  # norms 5 and 2
    moved = perturbation(gradient, Layout.of([2, 1]), 0.5)
    torch.testing.assert_close(moved, torch.tensor([[0.3, 0.0], [0.0, 0.4], [0.0, -0.5]]))


def test_the_margin_of_a_linear_classifier_falls_by_size_times_the_norm_of_its_weights():
    """w = (3, 4), x = (1, 0): the logit is 3; of all points at distance .5 the worst has .5."""
    w, x = torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 0.0]], requires_grad=True)
    F.softplus(-x @ w).sum().backward()  # the logistic loss of class 1
    moved = x.detach() + perturbation(x.grad, Layout.of([1]), 0.5)
    torch.testing.assert_close(moved, torch.tensor([[0.7, -0.4]]))
    assert float(moved @ w) == pytest.approx(3 - 0.5 * 5)


@pytest.mark.parametrize("size", [1e-6, 0.5, 30.0])
def test_the_norm_of_each_text_is_the_size_whatever_the_gradients(size):
    lengths = [7, 1, 12, 3]
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1e-30, 1.0, 1e20, 1e-4]).repeat_interleave(torch.tensor(lengths))
    gradient = torch.randn(23, 5, generator=generator) * scale.unsqueeze(1)
    for part in perturbation(gradient, Layout.of(lengths), size).split(lengths):
        assert float(part.double().norm()) == pytest.approx(size, rel=1e-5)


def test_where_the_gradient_is_0_nothing_moves_and_nothing_is_nan():
    gradient = torch.zeros(5, 3)
    gradient[0, 0], gradient[4, 2] = 1e-45, -2.0  # the least float32 that is not 0
    moved = perturbation(gradient, Layout.of([2, 2, 1]), 0.5)
    assert moved.isfinite().all() and not moved[1:4].any()
    assert float(moved[0, 0]) == 0.5 and float(moved[4, 2]) == -0.5


def test_no_number_is_made_float64_which_apples_gpu_has_not(monkeypatch):
    def refused(*_):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(Tensor, "double", refused)
    moved = perturbation(torch.ones(3, 4), Layout.of([1, 2]), 0.5)
    assert moved.dtype == torch.float32 and float(moved[0].norm()) == pytest.approx(0.5)


# --- the objective, text by text --------------------------------------------------------------


def from_words(own, item: Item, words: Tensor) -> Tensor:
    """The loss of one text from its word vectors on, with the encoder's parts in their order."""
    batch = make_batch([item])
    packed = own.arrange(batch.packed) if isinstance(own, PairClassifier) else batch.packed
    table = own.bert.embeddings
    hidden = words + table.position(packed.position_ids) + table.segment(packed.segment_ids)
    packed = replace(packed, computed=Computed(0, table.norm(hidden)))
    if isinstance(own, PairClassifier):  # it would arrange them again
        hidden = own.bert.up_to(len(own.bert.layers), packed)
        u, v = (part.mean(0) for part in hidden.split(packed.lengths))
        logits = own.classifier(torch.cat([u, v, (u - v).abs(), u * v])).unsqueeze(0)
    else:
        logits = own(packed, batch.wanted)
    if own.config.problem_type == "regression":
        return (logits.squeeze(-1) - batch.targets.to(logits.dtype)).square().sum()
    if own.config.problem_type == "multi_label_classification":
        gold = batch.targets.to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, gold, reduction="sum")
    return F.cross_entropy(logits, batch.targets, ignore_index=UNLABELLED, reduction="sum")


def by_hand(own, items: list[Item], size: float) -> Tensor:
    """The sum over texts of half the clean loss and half the loss at x + r."""
    total = torch.zeros((), dtype=torch.float64)
    for item in items:
        table = own.bert.embeddings.word.weight
        x = table[torch.tensor(item.input_ids)]
        (g,) = torch.autograd.grad(from_words(own, item, y := x.detach().requires_grad_()), y)
        r = size * g / g.norm() if g.any() else 0 * g
        total = total + (from_words(own, item, x) + from_words(own, item, x + r)) / 2
    return total


def case(kind: str) -> tuple[nn.Module, list[Item]]:
    heads = {
        "classes": SequenceClassifier, "numbers": SequenceClassifier,
        "several labels": SequenceClassifier, "tags": TokenClassifier, "mean": MeanClassifier,
        "pairs": PairClassifier, "cnn": ConvClassifier,
    }  # fmt: skip
    types = {"numbers": "regression", "several labels": "multi_label_classification"}
    config = own_config(problem_type=types.get(kind))
    if kind == "numbers":
        config = replace(config, labels=("score",))
    own = randomise(heads[kind](config), 0, std=0.3).double().eval()
    items = make_items(5)
    if kind == "numbers":
        items = [replace(item, targets=[0.3 * item.example]) for item in items]
    if kind == "several labels":
        items = [replace(item, targets=[[1.0, 0.0, float(item.example % 2)]]) for item in items]
    if kind == "tags":
        targets = [2, UNLABELLED]
        items = [replace(item, positions=[0, 1], targets=targets) for item in items]
        items[1] = replace(items[1], targets=[UNLABELLED, UNLABELLED])
    if kind == "pairs":
        halves = [len(item.input_ids) // 2 for item in items]
        items = [
            replace(item, segment_ids=[0] * half + [1] * (len(item.input_ids) - half))
            for item, half in zip(items, halves)
        ]
    return own, items


def gradients(own) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in own.named_parameters() if p.grad is not None}


KINDS = ["classes", "numbers", "several labels", "tags", "mean", "pairs", "cnn"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lowest", ["all", "frozen"])
def test_loss_and_gradients_are_those_of_each_text_alone_from_its_word_vectors_on(kind, lowest):
    own, items = case(kind)
    select(own, everything if lowest == "all" else freeze(2))
    ours = Fgm(0.5)(own, make_batch(items)).sum()
    ours.backward()
    found = gradients(own)
    own.zero_grad()
    expected = by_hand(own, items, 0.5)
    expected.backward()
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-9)
    assert found.keys() == gradients(own).keys()
    assert any(n.startswith("bert.embeddings") for n in found) is (lowest == "all")
    for name, value in gradients(own).items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-8)
    plain = usual_objective(own)(own, make_batch(items), 0, 1).sum()
    assert abs(float((ours - plain).detach())) > 1e-3


def test_the_loss_rises_by_size_times_the_norm_of_g_and_more_than_in_random_directions():
    own, items = case("classes")
    size, generator = 1e-5, torch.Generator().manual_seed(0)
    clean = cross_entropy(own, make_batch(items))
    both = Fgm(size)(own, make_batch(items))
    for number, item in enumerate(items):
        x = own.bert.embeddings.word.weight[torch.tensor(item.input_ids)].detach()
        (g,) = torch.autograd.grad(from_words(own, item, y := x.clone().requires_grad_()), y)
        rise = 2 * (both - clean)[number].item()  # of the adversarial loss
        assert rise / size == pytest.approx(float(g.norm()), rel=1e-3)
        for _ in range(20):
            other = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            other = x + size * other / other.norm()
            assert (from_words(own, item, other) - clean[number]).item() < rise


def test_no_weight_changes_and_nothing_is_left_behind():
    own = model(dropout=0.1).train()
    select(own, freeze(1))
    flags = [p.requires_grad for p in own.parameters()]
    before, batch = weights(own), make_batch(make_items(6))
    streams = [torch.Generator().manual_seed(3) for _ in range(2)]
    set_dropout_generator(own, streams[0])
    Fgm(0.5)(own, batch)
    assert all(torch.equal(value, before[name]) for name, value in weights(own).items())
    assert all(p.grad is None for p in own.parameters())
    assert flags == [p.requires_grad for p in own.parameters()]
    assert not any(m._forward_hooks for m in own.modules())
    set_dropout_generator(own, streams[1])
    cross_entropy(own, batch)
    assert torch.equal(streams[0].get_state(), streams[1].get_state())


# --- in training ------------------------------------------------------------------------------


def apart(one, other) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


def test_size_0_trains_as_without_it_also_with_dropout():
    found = {}
    for name in ("full", "fgm:0", "fgm:1e-9", "fgm:0.5"):
        own = model(dropout=0.1)
        fine_tune(own, make_items(12), replace(recipe(name), settings=SETTINGS), SEEDS)
        found[name] = weights(own)
    assert apart(found["full"], found["fgm:0"]) < 1e-11
    assert apart(found["full"], found["fgm:1e-9"]) < 1e-5
    assert apart(found["full"], found["fgm:0.5"]) > 1e-3


def test_a_text_without_a_gradient_is_trained_as_without_it():
    own, items = case("classes")
    nn.init.zeros_(own.classifier.weight)  # so that nothing below has a gradient
    found = Fgm(0.5)(own, make_batch(items))
    assert torch.equal(found, cross_entropy(own, make_batch(items)))
    found.sum().backward()
    assert all(p.grad.isfinite().all() for p in own.parameters() if p.grad is not None)


def test_a_text_moves_alike_alone_in_any_batch_and_in_any_part_of_a_step():
    own, items = case("classes")
    together = Fgm(0.5)(own, make_batch(items))
    backwards = Fgm(0.5)(own, make_batch(items[::-1])).flip(0)
    alone = torch.cat([Fgm(0.5)(own, make_batch([item])) for item in items])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    torch.testing.assert_close(together, backwards, rtol=0, atol=1e-10)
    found = []
    for parts in (1, 2, 5):
        chosen = Recipe(objective=Fgm(0.5), settings=Settings(accumulate=parts))
        own.zero_grad()
        Training(own, items, chosen, SEEDS).backward(items)
        found.append(own.bert.embeddings.word.weight.grad.clone())
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-10)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["fgm:0.5", "freeze:2+fgm:0.5", "bitfit+fgm:0.5"])
def test_what_makes_training_faster_changes_nothing(name):
    config = own_config(vocab_size=400, hidden_dropout_prob=0.1)  # of which 60 words are read
    ours, plain = (randomise(SequenceClassifier(config), 0, std=0.2).double() for _ in range(2))
    chosen, applied, before = replace(recipe(name), settings=SETTINGS), [], weights(ours)

    def watch(training):
        applied.append(type(ours.bert.embeddings.word))
        return iter(training)

    tuned = FineTuned(ours, None, "classification", ("a", "b", "c"))
    found = fit(tuned, make_items(14), chosen, SEEDS, watch=watch)
    fine_tune(plain, make_items(14), chosen, SEEDS)
    assert applied == [UsedRows if name == "fgm:0.5" else nn.Embedding]
    assert (found.tuned.cache is None) == ("freeze" not in name)
    assert apart(weights(ours), weights(plain)) < 1e-11
    moved = {n for n, value in weights(ours).items() if not torch.equal(value, before[n])}
    assert moved <= set(found.history.trained)
    without = randomise(SequenceClassifier(config), 0, std=0.2).double()
    fine_tune(without, make_items(14), replace(chosen, objective=None), SEEDS)
    assert apart(weights(ours), weights(without)) > 1e-4


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize(
    ("name", "says"), [("fgm:0.5", False), ("freeze:1+fgm:0.5", True), ("freeze:1", False)]
)
def test_a_run_says_what_moves_where_the_words_do_not_learn(name, says, encoder):
    settings = replace(recipe(name).settings, epochs=1)
    _, result = train(reviews(), encoder, name, seeds=0, settings=settings)
    assert any("fgm moves the word vectors" in note for note in result["notes"]) is says


@pytest.mark.parametrize("data", [reviews(), news(), similarity(), films()], ids=lambda d: d.name)
def test_every_task_is_trained_with_it(data, encoder):
    before = weights(build(data, encoder, 0).model)
    settings = replace(recipe("fgm").settings, epochs=1)
    tuned, result = train(data, encoder, "fgm", seeds=0, settings=settings)
    assert result["method"] == "fgm" and apart(weights(tuned.model), before) > 0


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["-1", "-0.5", "nan", "inf", "x", "0.5,1"])
def test_a_bad_size_is_one_sentence_with_the_right_form(bad):
    with pytest.raises(MiniftError) as caught:
        recipe(f"fgm:{bad}")
    assert str(caught.value) == f'"fgm:{bad}": expected a norm from 0 up, e.g. fgm:0.5'
    with pytest.raises(MiniftError, match="size must be a number from 0 up, got -1"):
        Fgm(-1)


def test_a_head_that_is_solved_has_no_loss_to_move(encoder):
    with pytest.raises(MiniftError, match=r"solved, not trained in steps, so it has no .* or loss"):
        train(reviews(), encoder, "head+fgm:0.5", seeds=0)
