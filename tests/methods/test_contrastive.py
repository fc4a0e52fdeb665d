"""Contrastive objectives, proven.

claim                                                        oracle
both losses and their gradients are those of the papers      double loops over texts, torch's
                                                               cosine_similarity, float64
the two kinds of pairs weigh the same                        torch's mse_loss on repeated pairs
an anchor's loss is the cross-entropy to its positives       torch's cross_entropy, even targets
the values are those of three texts                          numbers worked by hand
gradients                                                    finite differences
only directions count, not order, turning or class names     invariance; what changes the loss
one kind of pairs, no pair, a vector of zeros                the same loops; finite numbers
unlabelled texts change nothing                              the batch without them
accumulated parts see their own pairs, weighed by texts      the losses of the parts
the encoder learns and the head does not                     bit equality after steps with decay
what has no pairs is refused                                 the sentence
"""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.packing import to_device
from minift.errors import MiniftError
from minift.methods.contrastive import (
    Contrastive,
    cosine_pairs,
    require_classes,
    supervised_contrastive,
)
from minift.training.batches import UNLABELLED, Item, make_batch
from minift.training.loop import Recipe, Settings, Training, fine_tune
from tests.bert.reference import own_config, randomise
from tests.methods.tuning import SEEDS

BOTH = pytest.mark.parametrize("loss", [cosine_pairs, supervised_contrastive])
CLASSES = [0, 2, 0, 1, 2, 2, 0, 3]  # 3 stands alone


def drawn(seed: int, classes=CLASSES, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(len(classes), width, generator=generator, dtype=torch.float64)
    return vectors.requires_grad_(), torch.tensor(classes)


def pairs_by_hand(vectors: Tensor, classes: Tensor) -> Tensor:
    positive, negative = [], []
    for i in range(len(vectors)):
        for j in range(i + 1, len(vectors)):
            found = F.cosine_similarity(vectors[i], vectors[j], dim=0)
            if classes[i] == classes[j]:
                positive.append((found - 1) ** 2)
            else:
                negative.append(found**2)
    means = [sum(kind) / len(kind) for kind in (positive, negative) if kind]
    return sum(means) / len(means)


def supervised_by_hand(vectors: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    losses = []
    for i in range(len(vectors)):
        others = [a for a in range(len(vectors)) if a != i]
        positives = [p for p in others if classes[p] == classes[i]]
        cosines = {a: F.cosine_similarity(vectors[i], vectors[a], dim=0) for a in others}
        shares = {a: (cosines[a] / temperature).exp() for a in others}
        total = sum(shares.values())
        if positives:
            losses.append(-sum((shares[p] / total).log() for p in positives) / len(positives))
    return sum(losses) / len(losses)


SPECS = {cosine_pairs: pairs_by_hand, supervised_contrastive: supervised_by_hand}


def same(ours: Tensor, expected: Tensor, *vectors: Tensor) -> None:
    """Values and gradients are equal, and the expected ones are numbers other than 0."""
    gradients = [torch.autograd.grad(value, vectors) for value in (ours, expected)]
    for own, other in zip((ours, *gradients[0]), (expected, *gradients[1])):
        assert other.isfinite().all() and other.abs().max() > 0
        torch.testing.assert_close(own, other, rtol=0, atol=1e-12)


# --- values and gradients --------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_loss_and_gradient_equal_a_double_loop_over_the_texts(loss, seed, device):
    vectors, classes = drawn(seed)
    there = to_device(vectors, device), to_device(classes, device)
    same(loss(*there).cpu(), SPECS[loss](vectors, classes), vectors)


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0, 7.0])
def test_supervised_loss_equals_a_double_loop_at_every_temperature(temperature):
    vectors, classes = drawn(9)
    ours = supervised_contrastive(vectors, classes, temperature)
    same(ours, supervised_by_hand(vectors, classes, temperature), vectors)
    assert abs(ours - supervised_contrastive(vectors, classes, 2 * temperature)) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_pairs_weigh_as_when_setfit_repeats_the_rarer_kind(seed):
    vectors, classes = drawn(seed)
    one, other = torch.tensor([(i, j) for i in range(8) for j in range(i + 1, 8)]).T
    targets = (classes[one] == classes[other]).double()
    repeats = torch.where(targets == 1, (1 - targets).sum(), targets.sum()).long()
    one, other, targets = (row.repeat_interleave(repeats) for row in (one, other, targets))
    expected = F.mse_loss(F.cosine_similarity(vectors[one], vectors[other]), targets)
    same(cosine_pairs(vectors, classes), expected, vectors)


@pytest.mark.parametrize("seed", range(3))
def test_an_anchors_loss_is_torchs_cross_entropy_to_an_even_share_of_its_positives(seed):
    vectors, classes = drawn(seed, [0, 1, 1, 0, 1, 0])
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    others = ~torch.eye(6, dtype=torch.bool)
    scores = ((unit @ unit.T) / 0.1)[others].view(6, 5)
    targets = (classes.unsqueeze(1) == classes)[others].view(6, 5) / 2  # two positives for each
    same(supervised_contrastive(vectors, classes), F.cross_entropy(scores, targets), vectors)


def test_three_texts_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]], dtype=torch.float64)
    classes = torch.tensor([1, 1, 0])  # cosines: 0.6 of one class; 0 and 0.8 of two
    assert float(cosine_pairs(vectors, classes)) == pytest.approx((0.16 + (0 + 0.64) / 2) / 2)
    # at this temperature exp(cosine / temperature) = 32^cosine: 8, 1 and 16
    found = supervised_contrastive(vectors, classes, 1 / math.log(32))
    assert float(found) == pytest.approx(-(math.log(8 / 9) + math.log(8 / 24)) / 2)


@BOTH
def test_gradients_equal_finite_differences(loss):
    vectors, classes = drawn(3)
    assert torch.autograd.gradcheck(lambda rows: loss(rows, classes), (vectors,))


# --- invariances -----------------------------------------------------------------------------


@BOTH
def test_length_turning_order_and_the_names_of_classes_do_not_matter(loss):
    vectors, classes = drawn(4)
    expected = loss(vectors, classes)
    lengths = torch.tensor([[0.1], [1], [2], [3], [50], [0.7], [9], [4]], dtype=torch.float64)
    turn = torch.linalg.qr(drawn(5, [0] * 5)[0].detach()).Q
    order = torch.tensor([3, 0, 7, 1, 6, 2, 5, 4])
    names = torch.tensor([40, 7, 0, 3])[classes]
    for rows, named in [
        (vectors * lengths, classes),
        (vectors @ turn, classes),
        (vectors[order], classes[order]),
        (vectors, names),
    ]:
        torch.testing.assert_close(loss(rows, named), expected, rtol=0, atol=1e-12)


@BOTH
def test_negative_control_other_classes_a_shift_or_a_negative_length_give_another_loss(loss):
    vectors, classes = drawn(4)
    expected = loss(vectors, classes)
    shuffle = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    flip = torch.tensor([[-1.0]] + 7 * [[1.0]], dtype=torch.float64)
    for rows, named in [
        (vectors, classes[shuffle]),
        (vectors + 1, classes),
        (vectors * flip, classes),
    ]:
        assert abs(loss(rows, named) - expected) > 1e-3


def test_pairs_where_they_belong_cost_nothing_and_the_opposite_all():
    rows = torch.eye(3, dtype=torch.float64)[[0, 1, 0, 2, 1]]
    assert float(cosine_pairs(rows, torch.tensor([4, 5, 4, 6, 5]))) == 0
    assert float(cosine_pairs(rows, torch.tensor([4, 4, 5, 6, 7]))) == pytest.approx(
        (1 + 2 / 9) / 2
    )


# --- batches that lack something -------------------------------------------------------------


@BOTH
def test_a_batch_of_one_class_has_only_pairs_of_one_kind(loss):
    vectors, classes = drawn(6, [2] * 5)
    same(loss(vectors, classes), SPECS[loss](vectors, classes), vectors)


def test_a_batch_without_two_of_a_class_has_only_the_other_kind():
    vectors, classes = drawn(6, [0, 1, 2, 3])
    same(cosine_pairs(vectors, classes), pairs_by_hand(vectors, classes), vectors)


@pytest.mark.parametrize(
    ("loss", "classes"),
    [
        (cosine_pairs, [1]),
        (cosine_pairs, []),
        (supervised_contrastive, [1]),
        (supervised_contrastive, []),
        (supervised_contrastive, [0, 1, 2]),
    ],
)
def test_without_a_pair_the_loss_is_zero_and_so_is_its_gradient(loss, classes):
    vectors, named = drawn(0, classes)
    found = loss(vectors, named.long())
    found.backward()
    assert found.shape == () and found.item() == 0
    assert torch.equal(vectors.grad, torch.zeros(len(classes), 5).double())


@BOTH
def test_a_vector_of_zeros_has_cosine_0_and_finite_gradients(loss):
    vectors, classes = drawn(7)
    with torch.no_grad():
        vectors[1] = 0
        vectors[4, :] = 1e-12  # shorter than the epsilon of torch.cosine_similarity
    found = loss(vectors, classes)
    found.backward()
    assert vectors.grad.isfinite().all()
    torch.testing.assert_close(found, SPECS[loss](vectors, classes), rtol=0, atol=1e-12)


# --- in the slot -----------------------------------------------------------------------------


class Reading(SequenceClassifier):
    """What the head reads, as a method."""

    def vectors(self, packed, wanted=None):
        return self.bert.pooler(self.bert(packed, wanted or packed.first_tokens()))


def model(seed: int = 0) -> Reading:
    return randomise(Reading(own_config()), seed, std=0.3).double()


def items(classes=CLASSES) -> list[Item]:
    """Texts whose first words tell their class, more or less."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for number, target in enumerate(classes):
        rest = torch.randint(20, 61, (2 + number % 4,), generator=generator).tolist()
        ids = [1, 5 + target % 10, *rest]
        found.append(Item(number, ids, [0] * len(ids), [0], [target]))
    return found


def losses(own: nn.Module, texts: list[Item], loss=cosine_pairs) -> Tensor:
    batch = make_batch(texts)
    return Contrastive(loss)(own, batch, 0, 1)


@BOTH
def test_the_objective_is_the_loss_of_what_the_head_reads_once_per_text(loss):
    own, batch = model(), make_batch(items())
    found = losses(own, items(), loss)
    expected = SPECS[loss](own.vectors(batch.packed), batch.targets)
    assert found.shape == (8,) and torch.equal(found, found[0].expand(8))
    inside = [p for name, p in own.named_parameters() if not name.startswith("classifier.")]
    gradients = [torch.autograd.grad(value, inside) for value in (found.mean(), expected)]
    torch.testing.assert_close(found.mean(), expected, rtol=0, atol=1e-10)
    for ours, other in zip(*gradients):
        torch.testing.assert_close(ours, other, rtol=0, atol=1e-10)
    assert max(float(g.abs().max()) for g in gradients[1]) > 1e-3


def test_cosines_of_pairs_are_the_default_and_a_temperature_can_be_given():
    own, batch = model(), make_batch(items())
    vectors = own.vectors(batch.packed)
    assert torch.equal(Contrastive()(own, batch, 0, 1)[0], cosine_pairs(vectors, batch.targets))
    warm = Contrastive(partial(supervised_contrastive, temperature=0.5))(own, batch, 0, 1)
    assert torch.equal(warm[0], supervised_contrastive(vectors, batch.targets, 0.5))


@BOTH
def test_unlabelled_texts_change_nothing(loss):
    own, texts = model(), items()
    texts[2].targets[0] = texts[5].targets[0] = UNLABELLED
    found = losses(own, texts, loss)
    expected = losses(own, [t for t in texts if t.targets != [UNLABELLED]], loss)
    assert found.shape == (6,)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert losses(own, [texts[2], texts[5]], loss).shape == (0,)


def training(own: nn.Module, texts: list[Item], **settings) -> Training:
    return Training(
        own, texts, Recipe(objective=Contrastive(), settings=Settings(**settings)), SEEDS
    )


@pytest.mark.parametrize(("parts", "sizes"), [(1, [5]), (2, [3, 2]), (3, [2, 2, 1])])
def test_accumulated_parts_see_their_own_pairs_and_weigh_by_their_texts(parts, sizes):
    own, texts = model(), items([0, 1, 0, 1, 1])
    summed, targets = training(own, texts, accumulate=parts).backward(texts)
    weight = own.bert.layers[0].output.weight
    found, starts = weight.grad, [sum(sizes[:number]) for number in range(len(sizes))]
    split = [texts[at : at + size] for at, size in zip(starts, sizes)]
    expected = sum(losses(own, part)[0] * len(part) for part in split)
    assert targets == 5 and summed == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(expected / 5, weight)
    torch.testing.assert_close(found, gradient, rtol=0, atol=1e-12)
    assert gradient.abs().max() > 1e-6


def test_a_last_batch_of_one_text_moves_nothing_and_stops_nothing():
    own, texts = model(), items()[:1]
    assert training(own, texts).backward(texts) == (0.0, 1)
    assert all(p.grad is None or not p.grad.any() for p in own.parameters())


def test_the_encoder_learns_to_tell_classes_apart_and_the_head_keeps_its_bits():
    texts = items([number % 3 for number in range(25)])  # each epoch ends with a batch of one
    settings = Settings(epochs=20, batch_size=8, learning_rate=3e-3, weight_decay=0.1)
    for objective in (Contrastive(), None):  # negative control: cross-entropy moves the head
        own = model().eval()
        before = {name: p.detach().clone() for name, p in own.named_parameters()}
        first = losses(own, texts)[0].item()
        fine_tune(own, texts, Recipe(objective=objective, settings=settings), SEEDS)
        assert (losses(own.eval(), texts)[0].item() < first / 3) == bool(objective)
        for name, parameter in own.named_parameters():
            stays = bool(objective) and name.startswith("classifier.")
            assert torch.equal(parameter, before[name]) == stays, name


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "got"),
    [
        (TokenClassifier(own_config()), "a tag per word"),
        (SequenceClassifier(own_config(labels=0, problem_type="regression")), "numbers"),
    ],
    ids=["tags", "numbers"],
)
def test_tags_and_numbers_are_refused_before_anything_is_computed(other, got):
    sentence = f"contrastive needs one class per text, and here the labels are {got}; take full"
    for refuse in (require_classes, lambda model: losses(model, items())):
        with pytest.raises(MiniftError, match=sentence):
            refuse(other)
    require_classes(model())


def test_one_example_of_a_class_is_refused_with_its_name_and_none_or_two_are_not():
    names = ["bad", "good", "odd", "none"]
    Contrastive().ready(model(), items([0, 1, 1, 0, UNLABELLED]), names)
    with pytest.raises(MiniftError, match='there is one of "odd"; draw more labels, or take head'):
        Contrastive().ready(model(), items([0, 1, 1, 0, 2]), names)
    with pytest.raises(MiniftError, match='one of "bad", "odd";'):
        Contrastive().ready(model(), items([0, 1, 1, 2, UNLABELLED]), names)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_above_0_is_refused(temperature):
    with pytest.raises(MiniftError, match="temperature must be a number above 0"):
        supervised_contrastive(*drawn(0), temperature)
