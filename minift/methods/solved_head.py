"""The head alone, solved: on a frozen encoder it is a convex problem with one optimum.

Claim    Where only a linear head learns, each text is a vector that never changes, and the best
         head is logistic regression on these vectors (ridge regression for a number). It is
         found to the optimum, the same each time: no learning rate, no seed, no epochs.
Paper    Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features", section 3, linear
         probing, https://arxiv.org/abs/2202.10054; Liu & Nocedal (1989), L-BFGS,
         https://doi.org/10.1007/BF01589116.
Differs  - What is minimised is scikit-learn's LogisticRegression: |W|^2 / 2 + C * the summed loss,
           the bias free. Two classes share one weight vector there, so here |W|^2 counts double.
         - A class without a training row gets zero weights and a bias of -30. The other logits
           sum to 0, so one of them is at least 0: its probability is at most exp(-30).
         - C is cross-validated on the training rows. A held-out row whose class the other folds
           lack says nothing about C and is not scored.
         - Nothing was dropped in training, so MC dropout on a solved head draws from what was
           never trained with noise.
Proof    tests/methods/test_solved_head.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.errors import require
from minift.training.batches import labelled

STRENGTHS = tuple(10 ** (half / 2) for half in range(-4, 7))  # .01 to 1,000
FOLDS = 5
ABSENT = -30.0  # bias of a class without a training row
LOOSE, TIGHT = 1e-3, 3e-9  # largest gradient of the mean loss, in units where its curvature is 1
SCALE = 1e6  # of the loss; torch's L-BFGS ignores steps whose change is below 1e-10


@dataclass(frozen=True)
class Solved:
    """The best linear head; its logits are `vectors @ weight.T + bias`."""

    weight: Tensor  # (outputs, width) float64
    bias: Tensor  # (outputs,) float64
    strength: float  # C of LogisticRegression, 1 / alpha of Ridge; larger: weights cost less
    folds: int  # that the strength was chosen over; 0: it was given, or nothing could be held out


def solve(
    vectors: Tensor,
    targets: Tensor,
    outputs: int,
    *,
    strength: float | None = None,
    groups: Sequence[int] | None = None,
) -> Solved:
    """Return the linear head that is best on the labelled rows of `vectors`.

    Args:
        vectors: (rows, width), on any device.
        targets: (rows,) int64 class indices, or float numbers for regression.
        outputs: number of classes; 1 for regression.
        strength: C; None: the one of `STRENGTHS` whose mean loss on held-out rows is least, or 1
            where nothing can be held out.
        groups: of each row, for example the sentence that a word stands in: the rows of a group
            are held out together. None: each row is a group of its own.

    Raises:
        MiniftError: if no row is labelled, a vector is not finite or the strength is not above 0.
    """
    require(strength is None or strength > 0, "strength", strength, "above 0")
    known = labelled(targets)
    require(bool(known.any()), "targets", "none", "labels of at least one row")
    x, y = vectors.detach()[known].double().cpu(), targets[known].cpu()
    require(bool(x.isfinite().all()), "vectors", "nan or infinity", "finite numbers")
    centre, present, folds = x.mean(0), torch.zeros(1, dtype=torch.long), 0
    # The best weights lie in the span of the centred vectors: at most one direction per row. Along
    # the principal directions, moreover, the problem's curvature is nearly diagonal.
    triangle = torch.linalg.qr(x - centre, mode="r").R  # has the same directions in fewer rows
    directions = torch.linalg.svd(triangle, full_matrices=False).Vh  # (directions, width)
    rows = F.pad((x - centre) @ directions.T, (0, 1), value=1.0)  # the last column is the bias's
    if y.is_floating_point():
        y = y.double()
    else:
        present, y = y.unique(return_inverse=True)
    if strength is None:
        if groups is not None:
            groups = [groups[row] for row in known.nonzero().flatten().tolist()]
        strength, folds = _choose(rows, y, groups)
    *_, best = _path(rows, y, [*(c for c in STRENGTHS if c < strength), strength], TIGHT)
    weight = x.new_zeros(outputs, x.shape[1])
    bias = x.new_full((outputs,), ABSENT)
    weight[present] = best[:, :-1] @ directions
    bias[present] = best[:, -1] - weight[present] @ centre
    return Solved(weight, bias, strength, folds)


def last_linear(model: nn.Module) -> nn.Linear | None:
    """Return the linear layer that is the whole head of a model; None if its head has more."""
    last = getattr(model, "classifier", None)
    last = getattr(last, "linear", last)  # in the mean head it lies in a module
    return last if isinstance(last, nn.Linear) else None


def _choose(rows: Tensor, targets: Tensor, groups: Sequence[int] | None) -> tuple[float, int]:
    """Return the strength with the least loss on held-out rows, and the number of folds.

    Groups go to the folds in turn, in their order; without groups rows do, class after class.
    """
    regression = targets.is_floating_point()
    if groups is not None:
        turns = {group: turn for turn, group in enumerate(dict.fromkeys(groups))}
        turn = torch.tensor([turns[group] for group in groups])
    else:
        turn = torch.arange(len(rows)) if regression else targets.argsort(stable=True).argsort()
    folds = min(FOLDS, int(turn.max()) + 1)
    losses, scored = torch.zeros(len(STRENGTHS)), 0
    for fold in range(folds if folds > 1 else 0):
        held = turn % folds == fold
        own, x = targets[~held], rows[~held]
        if not regression:
            present, own = own.unique(return_inverse=True)
            held &= torch.isin(targets, present)
        for number, head in enumerate(_path(x, own, STRENGTHS, LOOSE)):
            outputs = rows[held] @ head.T
            if regression:
                loss = F.mse_loss(outputs[:, 0], targets[held], reduction="sum")
            else:
                asked = torch.searchsorted(present, targets[held])
                loss = F.cross_entropy(outputs, asked, reduction="sum")
            losses[number] += loss
        scored += int(held.sum())
    return (STRENGTHS[losses.tolist().index(losses.min())], folds) if scored else (1.0, 0)


def _path(
    rows: Tensor, targets: Tensor, strengths: Sequence[float], tolerance: float
) -> Iterator[Tensor]:
    """Yield the optimum (outputs, columns) at each strength, the last to the tolerance."""
    penalty = rows.new_ones(rows.shape[1])
    penalty[-1] = 0.0  # the bias is free
    if targets.is_floating_point():
        gram, moment = rows.T @ rows, rows.T @ targets
        for strength in strengths:
            yield torch.linalg.solve(gram + torch.diag(penalty / strength), moment).unsqueeze(0)
        return
    classes = int(targets.max()) + 1
    weight = rows.new_zeros(classes, rows.shape[1])
    for strength in strengths:  # each from the optimum before, which saves most of the steps
        share = penalty * (2 if classes == 2 else 1) / (strength * len(rows))
        enough = tolerance if strength == strengths[-1] else LOOSE
        weight = _descend(rows, targets, weight, share, enough)
        yield weight


def _descend(
    rows: Tensor, targets: Tensor, weight: Tensor, penalty: Tensor, tolerance: float
) -> Tensor:
    """Return the weights (classes, columns) of least mean loss plus penalty * weight^2 / 2."""
    p = (rows @ weight.T).softmax(1)
    curvature = penalty + (p * (1 - p)).T @ rows.square() / len(rows)  # diagonal of the Hessian
    unit = (SCALE * curvature.clamp(min=1e-12)).rsqrt()  # 1e-12: with one class it is 0
    scaled = (weight / unit).requires_grad_()  # the curvature along each element is 1
    optimizer = torch.optim.LBFGS(
        [scaled],
        max_iter=5000,
        tolerance_grad=SCALE**0.5 * tolerance,
        tolerance_change=0.0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        own = scaled * unit
        total = F.cross_entropy(rows @ own.T, targets) + (penalty * own.square()).sum() / 2
        (SCALE * total).backward()
        return SCALE * total

    optimizer.step(loss)
    weight = (scaled * unit).detach()
    return weight - weight.mean(0)  # that all logits sum to 0 is free
