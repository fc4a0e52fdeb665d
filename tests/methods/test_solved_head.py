"""The solved head is the optimum, at the strength that cross-validation finds.

claim                                                        oracle
probabilities of 2, 3 and 77 classes, C from .01 to 1,000,
  more rows than columns and fewer                           scikit-learn's LogisticRegression
the gradient of the stated objective is zero                 autograd on the objective written out
a number: weights, bias and predictions                      scikit-learn's Ridge
a class without a row: the others as without it, and it
  is never likely, even far from all rows                    LogisticRegression, exp(-30)
one class only: that class, for every text                   by hand
the strength is the one nearest to 1 within a standard
  error of the least held-out loss                           scikit-learn in a loop over folds
rows of a group are held out together                        copies of rows, with and without groups
fewer rows or groups than folds: fewer folds, or C = 1       counting
rows without a label change nothing                          the same rows taken out
the same bits each time, chosen or given                     bit equality
labels that say nothing get the smallest weights             random labels
"""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch.nn import functional as F

from minift.errors import MiniftError
from minift.methods.solved_head import STRENGTHS, solve
from minift.training.batches import UNLABELLED

# The reference searches until rounding stops it, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*[Ll]ine [Ss]earch")

SHAPES = [(60, 10, 2), (20, 40, 2), (90, 12, 3), (30, 64, 3), (231, 20, 77)]


def problem(rows, width, classes, seed=0, noise=1.0):
    """Vectors far from 0, as an encoder's are, and classes that overlap."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    centre = 2 * torch.randn(width, generator=generator, dtype=torch.float64)
    direction = torch.randn(width, classes, generator=generator, dtype=torch.float64)
    blur = noise * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    targets = (draw @ direction / width**0.5 + blur).argmax(1)
    targets[:classes] = torch.arange(classes)
    return draw + centre, targets


def numbers(rows, width, seed=0):
    vectors, _ = problem(rows, width, 2, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    noise = torch.randn(rows, generator=generator, dtype=torch.float64)
    return vectors, 3 + vectors[:, 0] - vectors[:, 1] / 2 + noise


def logits(head, vectors):
    return vectors.double() @ head.weight.T + head.bias


def logistic(vectors, targets, strength):
    model = LogisticRegression(C=strength, solver="newton-cg", tol=1e-11, max_iter=10_000)
    return model.fit(vectors.numpy(), targets.numpy())


def held_out_losses(vectors, targets, fold, groups=None):
    """The held-out loss of each group (or row) at each strength, by scikit-learn and loops."""
    groups = groups or list(range(len(fold)))
    table = np.zeros((len(STRENGTHS), max(groups) + 1))
    for losses, strength in zip(table, STRENGTHS):
        for number in sorted(set(fold)):
            train = [row for row, f in enumerate(fold) if f != number]
            held = [row for row, f in enumerate(fold) if f == number]
            if targets.is_floating_point():
                model = Ridge(alpha=1 / strength).fit(vectors[train], targets[train])
                for row, p in zip(held, model.predict(vectors[held])):
                    losses[groups[row]] += (float(p) - float(targets[row])) ** 2
                continue
            model = logistic(vectors[train], targets[train], strength)
            known = [int(c) for c in model.classes_]
            for row, p in zip(held, model.predict_log_proba(vectors[held].numpy())):
                if int(targets[row]) in known:
                    losses[groups[row]] -= p[known.index(int(targets[row]))]
    return table


def nearest_to_one(table):
    """The strength nearest to 1 that is not worse than the best by more than a standard error."""
    best = table[table.sum(1).argmin()]
    good = []
    for losses, strength in zip(table, STRENGTHS):
        worse = losses - best
        if worse.mean() <= worse.std(ddof=1) / len(worse) ** 0.5:
            good.append(strength)
    return min(good, key=lambda strength: max(strength, 1 / strength))


def in_turn(targets, folds=5):
    """Rows of class 0 to folds 0, 1, 2..., those of class 1 where class 0 stopped, and so on."""
    turn, fold = count(), [0] * len(targets)
    for label in sorted(set(targets.tolist())):
        for row, own in enumerate(targets.tolist()):
            if own == label:
                fold[row] = next(turn) % folds
    return fold


@pytest.mark.parametrize("strength", [0.01, 1.0, 50.0, 1000.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_probabilities_equal_logistic_regression(shape, strength):
    vectors, targets = problem(*shape)
    head = solve(vectors, targets, shape[2], strength=strength)
    unseen = vectors.roll(1, 0) / 2 + vectors / 2  # no row of the training set
    expected = logistic(vectors, targets, strength)
    for texts in (vectors, unseen):
        np.testing.assert_allclose(
            logits(head, texts).softmax(1), expected.predict_proba(texts.numpy()), atol=1e-6
        )
    assert (head.strength, head.folds) == (strength, 0)
    assert head.weight.dtype == head.bias.dtype == torch.float64


@pytest.mark.parametrize("strength", [0.01, 1000.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradient_of_the_objective_is_zero(shape, strength):
    vectors, targets = problem(*shape)
    head = solve(vectors, targets, shape[2], strength=strength)
    weight, bias = head.weight.requires_grad_(), head.bias.requires_grad_()
    norm = weight.square().sum() / (1 if shape[2] == 2 else 2)
    loss = strength * F.cross_entropy(vectors @ weight.T + bias, targets, reduction="sum")
    (norm + loss).backward()
    size = strength * len(vectors)
    assert weight.grad.abs().max() < 1e-6 * size and bias.grad.abs().max() < 1e-6 * size
    off = (weight * 1.01).detach().requires_grad_()  # the bound would notice one per cent
    norm = off.square().sum() / (1 if shape[2] == 2 else 2)
    loss = strength * F.cross_entropy(vectors @ off.T + bias, targets, reduction="sum")
    (norm + loss).backward()
    assert off.grad.abs().max() > 1e-5 * size


@pytest.mark.parametrize("strength", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("rows, width", [(80, 10), (20, 40)])
def test_a_number_is_predicted_as_by_ridge_regression(rows, width, strength):
    vectors, targets = numbers(rows, width)
    head = solve(vectors, targets, 1, strength=strength)
    expected = Ridge(alpha=1 / strength).fit(vectors, targets)
    np.testing.assert_allclose(head.weight[0], expected.coef_, atol=1e-8)
    np.testing.assert_allclose(head.bias[0], expected.intercept_, atol=1e-8)
    assert head.weight.shape == (1, width) and head.bias.shape == (1,)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_class_without_a_row_is_never_likely_and_leaves_the_others_alone(classes):
    vectors, targets = problem(60, 10, classes)
    spread = torch.tensor([1, 3, 4])[targets]  # classes 0, 2 and 5 of six have no row
    head = solve(vectors, spread, 6, strength=10.0)
    assert head.weight.shape == (6, 10) and head.bias.isfinite().all()
    got, expected = logits(head, vectors).softmax(1), logistic(vectors, targets, 10.0)
    known = [1, 3, 4][:classes]
    np.testing.assert_allclose(got[:, known], expected.predict_proba(vectors.numpy()), atol=1e-6)
    assert logits(head, vectors)[:, known].sum(1).abs().max() < 1e-9  # so one is not negative
    absent = [c for c in range(6) if c not in known]
    far = 1000 * torch.randn(500, 10, generator=torch.Generator().manual_seed(3))
    for texts in (vectors, far):
        assert logits(head, texts).softmax(1)[:, absent].max() <= np.exp(-30) * 1.000001


def test_one_class_only_is_the_answer_to_every_text():
    vectors, _ = problem(12, 5, 2)
    head = solve(vectors, torch.full((12,), 2), 3)
    assert (logits(head, 100 * vectors).softmax(1)[:, 2] > 1 - 1e-12).all()


@pytest.mark.parametrize(
    "shape, noise", [((63, 8, 2), 0.3), ((40, 60, 2), 2.0), ((62, 20, 4), 1.0), ((24, 30, 9), 0.1)]
)
def test_the_strength_is_that_of_a_loop_over_folds_of_scikit_learn(shape, noise):
    vectors, targets = problem(*shape, seed=5, noise=noise)
    losses = held_out_losses(vectors, targets, in_turn(targets))
    first, second = sorted(losses.mean(1))[:2]
    assert second - first > 1e-3, "a tie would prove nothing"
    head = solve(vectors, targets, shape[2])
    assert (head.strength, head.folds) == (nearest_to_one(losses), 5)


@pytest.mark.parametrize("rows, width", [(41, 6), (30, 50)])
def test_the_strength_of_ridge_is_that_of_a_loop_over_folds_of_scikit_learn(rows, width):
    vectors, targets = numbers(rows, width, seed=4)
    losses = held_out_losses(vectors, targets, in_turn(targets))
    head = solve(vectors, targets, 1)
    assert (head.strength, head.folds) == (nearest_to_one(losses), 5)


def test_the_strength_with_groups_is_that_of_a_loop_over_groups():
    vectors, targets = problem(70, 12, 3, seed=3, noise=0.5)
    words = [30, 4, 12, 3, 5, 8, 8]  # of each sentence: each row counts the same, not each fold
    groups = [sentence for sentence, length in enumerate(words) for _ in range(length)]
    losses = held_out_losses(vectors, targets, [group % 5 for group in groups], groups)
    head = solve(vectors, targets, 3, groups=groups)
    assert (head.strength, head.folds) == (nearest_to_one(losses), 5)


def test_copies_of_a_row_do_not_vouch_for_each_other_where_they_are_one_group():
    vectors, _ = problem(20, 30, 2, seed=1)
    targets = torch.randint(0, 2, (20,), generator=torch.Generator().manual_seed(0))
    vectors, targets = vectors.repeat_interleave(4, 0), targets.repeat_interleave(4)
    groups = [row // 4 for row in range(80)]
    assert solve(vectors, targets, 2).strength == STRENGTHS[-1]  # they were learned by heart
    assert solve(vectors, targets, 2, groups=groups).strength == STRENGTHS[0]  # random labels


@pytest.mark.parametrize("rows, folds", [(2, 0), (3, 3), (4, 4), (5, 5), (9, 5)])
def test_fewer_rows_than_folds_make_fewer_folds(rows, folds):
    vectors, _ = problem(rows, 6, 2)
    head = solve(vectors, torch.arange(rows) % 2, 2)
    assert head.folds == folds
    assert rows > 2 or head.strength == 1.0  # no held-out row's class was known


def test_one_group_or_one_row_of_each_class_has_nothing_to_hold_out():
    vectors, targets = problem(12, 6, 2)
    one = solve(vectors, targets, 2, groups=[7] * 12)
    assert (one.strength, one.folds) == (1.0, 0)
    three = solve(vectors, targets, 2, groups=[7, 7, 8, 9] * 3)
    assert three.folds == 3
    alone = solve(vectors[:5], torch.arange(5), 5)
    assert (alone.strength, alone.folds) == (1.0, 0)
    number = solve(vectors[:1], torch.tensor([2.5]), 1)
    assert (number.strength, number.folds) == (1.0, 0)
    assert float(logits(number, vectors[1:2])) == 2.5


@pytest.mark.parametrize("regression", [False, True])
def test_rows_without_a_label_change_nothing(regression):
    vectors, targets = numbers(40, 8) if regression else problem(40, 8, 2)
    groups = [row // 2 for row in range(40)]
    holes = targets.clone()
    holes[::3] = float("nan") if regression else UNLABELLED
    kept = [row for row in range(40) if row % 3]
    outputs = 1 if regression else 2
    with_holes = solve(vectors, holes, outputs, groups=groups)
    without = solve(vectors[kept], targets[kept], outputs, groups=[groups[row] for row in kept])
    assert torch.equal(with_holes.weight, without.weight)
    assert torch.equal(with_holes.bias, without.bias)
    assert (with_holes.strength, with_holes.folds) == (without.strength, without.folds)


def test_the_same_bits_each_time_whether_the_strength_is_chosen_or_given():
    vectors, targets = problem(80, 20, 3)
    torch.manual_seed(1)
    first = solve(vectors, targets, 3)
    torch.manual_seed(2)
    for again in (solve(vectors, targets, 3), solve(vectors, targets, 3, strength=first.strength)):
        assert torch.equal(first.weight, again.weight) and torch.equal(first.bias, again.bias)


def test_the_vectors_of_a_model_are_taken_as_they_are():
    vectors, targets = problem(60, 10, 2)
    single = vectors.float().requires_grad_()
    head = solve(single, targets, 2, strength=1.0)
    assert not head.weight.requires_grad and single.grad is None
    assert torch.equal(
        head.weight, solve(single.detach().double(), targets, 2, strength=1.0).weight
    )


def test_labels_that_say_nothing_get_the_smallest_weights():
    vectors, _ = problem(100, 30, 2)
    targets = torch.randint(0, 2, (100,), generator=torch.Generator().manual_seed(0))
    head = solve(vectors, targets, 2)
    assert head.strength == STRENGTHS[0]
    assert solve(*problem(100, 30, 2, noise=0.0), 2).strength >= 1


def test_bad_input_is_refused_in_one_sentence():
    vectors, targets = problem(10, 4, 2)
    with pytest.raises(MiniftError, match=r"targets must be labels of one row or more, got 'none'"):
        solve(vectors, torch.full((10,), UNLABELLED), 2)
    with pytest.raises(MiniftError, match=r"strength must be a finite number above 0, got 0"):
        solve(vectors, targets, 2, strength=0)
    vectors[3, 2] = float("nan")
    with pytest.raises(MiniftError, match=r"vectors must be finite numbers"):
        solve(vectors, targets, 2)
