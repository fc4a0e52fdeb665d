"""The head alone, solved: on a frozen encoder it is a convex problem with one optimum.

Claim    Where only a linear head learns, each text is a vector that never changes, and the best
         head is logistic regression on these vectors (ridge regression for a number). It is
         found to the optimum, the same each time: no learning rate, no seed, no epochs.
Paper    Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features and Underperform
         Out-of-Distribution", https://arxiv.org/abs/2202.10054, where it is linear probing;
         Liu & Nocedal (1989), L-BFGS, https://doi.org/10.1007/BF01589116.
Differs  - What is minimised is scikit-learn's LogisticRegression: |W|^2 / 2 + C * the summed loss,
           the bias free. Two classes share one weight vector there, so here |W|^2 counts double.
           Classes may have weights, which the losses on held-out rows then have as well.
         - Of several labels per text each has its own logistic regression, as in scikit-learn's
           OneVsRestClassifier. One that all rows have, or none, gets a bias of 30, or -30.
         - A class without a training row gets zero weights and a bias of -30. The other logits
           sum to 0, so one of them is at least 0: its probability is at most exp(-30).
         - C is cross-validated, upwards from .01 until the held-out loss has risen three times in
           a row. Of those whose loss is within a standard error of the least, it is the one
           nearest to 1 (SST-2, MiniLM, 16 texts, 10 draws: accuracy .604; with the least alone
           .589; with 300 and 1,000 texts the same). Groups go to the folds in turn; without
           groups rows do, in the order of their targets. A held-out row whose class the other
           folds lack is not scored.
         - Nothing was dropped in training, so MC dropout on a solved head draws from what was
           never trained with noise.
Proof    tests/methods/test_solved_head.py
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.errors import require
from minift.training.batches import labelled

STRENGTHS = tuple(10 ** (half / 2) for half in range(-4, 7))  # .01 to 1,000
FOLDS = 5
RISES = 3  # of the held-out loss in a row, after which no larger strength is tried
ABSENT = -30.0  # bias of a class without a training row; -ABSENT of a label that all have
LOOSE, TIGHT = 3e-4, 3e-10  # largest gradient, in units where the curvature of the mean loss is 1
SCALE = 1e8  # of the loss: torch's L-BFGS learns nothing from steps of less than 1e-10


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
    weights: Tensor | None = None,
) -> Solved:
    """Return the linear head that is best on the labelled rows of `vectors`.

    Args:
        vectors: (rows, width).
        targets: (rows,) int64 class indices, or float numbers for regression; (rows, labels) 1.0
            where a row has a label and 0.0 where not.
        outputs: number of classes; 1 for regression.
        strength: C; None: chosen among `STRENGTHS` by the loss on held-out rows (see above), or 1
            where no row can be held out.
        groups: of each row, for example the sentence that a word stands in: rows of one group
            are held out together. None: each row is a group of its own.
        weights: (outputs,) of the loss of each class (see class_weights.py); None: 1.

    A MiniftError says if no row is labelled, or a vector or the strength is not as it must be.
    """
    given = strength is None or 0 < strength < torch.inf
    require(given, "strength", strength, "a finite number above 0")
    known = labelled(targets).cpu().view(len(targets), -1).all(1)
    require(bool(known.any()), "targets", "none", "labels of one row or more")
    x, y = vectors.detach().cpu().double()[known], targets.cpu()[known]
    require(bool(x.isfinite().all()), "vectors", "nan or infinity", "finite numbers")
    kinds = y if y.dim() == 1 else y.unique(dim=0, return_inverse=True)[1]
    order = kinds.argsort(stable=True).argsort() if groups is None else torch.tensor(groups)[known]
    by = x.new_ones(len(x)) if weights is None else weights.double()[y]  # of each row
    bias = x.new_full((outputs,), ABSENT)
    if y.dim() == 2:
        y, present = y.bool(), _mixed(y).nonzero().flatten()
        bias[y.all(0)] = -ABSENT
        y = y[:, present]
    elif y.is_floating_point():
        y, present = y.double().unsqueeze(1), torch.zeros(1, dtype=torch.long)
    else:
        present, y = y.unique(return_inverse=True)
    # The best weights lie in the span of the centred vectors: at most one direction per row. Along
    # the principal directions, moreover, the problem's curvature is nearly diagonal.
    centre = x.mean(0)
    triangle = torch.linalg.qr(x - centre, mode="r").R  # the same directions in fewer rows
    directions = torch.linalg.svd(triangle, full_matrices=False).Vh  # (directions, width)
    rows = F.pad((x - centre) @ directions.T, (0, 1), value=1.0)  # the last column is the bias's
    folds = 0
    if strength is None:
        strength, folds = _choose(rows, y, by, order.unique(return_inverse=True)[1])
    *_, best = _path(rows, y, by, [*(c for c in STRENGTHS if c < strength), strength], TIGHT)
    weight = x.new_zeros(outputs, x.shape[1])
    weight[present] = best[:, :-1] @ directions
    bias[present] = best[:, -1] - weight[present] @ centre
    return Solved(weight, bias, strength, folds)


def last_linear(model: nn.Module) -> nn.Linear | None:
    """Return the linear layer that is the whole head of a model; None if its head has more."""
    last = getattr(model, "classifier", None)
    last = getattr(last, "linear", last)  # in the mean head it lies in a module
    return last if isinstance(last, nn.Linear) else None


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each row for its class, its number (rows, 1) or labels (rows, outputs)."""
    if targets.dim() == 1:
        return F.cross_entropy(logits, targets, reduction="none")
    if targets.dtype != torch.bool:
        return (logits - targets).square().sum(1)
    gold = targets.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, gold, reduction="none").sum(1)


def _mixed(given: Tensor) -> Tensor:
    """(rows, labels) -> (labels,) True for a label that some rows have, and not all."""
    return given.bool().any(0) & ~given.bool().all(0)


def _choose(rows: Tensor, targets: Tensor, by: Tensor, turn: Tensor) -> tuple[float, int]:
    """Return the strength nearest to 1 of the best on held-out rows, and folds; `turn`: groups."""
    folds = min(FOLDS, int(turn.max()) + 1)
    parts = []
    for fold in range(folds):
        held = turn % folds == fold
        own, x, y, w, group = targets[~held], rows[held], targets[held], by[held], turn[held]
        if y.dtype == torch.bool:
            own, y = own[:, _mixed(own)], y[:, _mixed(own)]
        elif not y.is_floating_point():
            present, own = own.unique(return_inverse=True)
            known = torch.isin(y, present)
            y = torch.searchsorted(present, y[known])
            x, w, group = x[known], w[known], group[known]
        if own.numel() and len(y):
            path = _path(rows[~held], own, by[~held], STRENGTHS, LOOSE)
            parts.append((path, x, y, w, group))
    if not parts:
        return 1.0, 0
    losses: list[Tensor] = []  # at each strength, (groups,)
    sums: list[float] = []
    while len(losses) < len(STRENGTHS):
        losses.append(rows.new_zeros(int(turn.max()) + 1))
        for path, x, y, w, group in parts:
            losses[-1].index_add_(0, group, w * _losses(x @ next(path).T, y))
        sums.append(float(losses[-1].sum()))
        if len(sums) > RISES and sums[-RISES - 1 :] == sorted(sums[-RISES - 1 :]):
            break  # the largest strengths would take most of the time
    least = losses[sums.index(min(sums))]
    more = [each - least for each in losses]  # paired: most of a group's loss is its own
    near = [float(d.sum()) <= float(d.std()) * len(d) ** 0.5 for d in more]
    alike = [strength for strength, good in zip(STRENGTHS, near) if good]
    return min(alike, key=lambda strength: abs(math.log(strength))), folds


def _path(
    rows: Tensor, targets: Tensor, by: Tensor, strengths: Sequence[float], tolerance: float
) -> Iterator[Tensor]:
    """Yield the best weights (outputs, columns) at each strength, at the last to the tolerance."""
    costs = rows.new_ones(rows.shape[1])
    costs[-1] = 0.0  # the bias is free
    if targets.is_floating_point():
        gram, moment = rows.T @ rows, rows.T @ targets
        for strength in strengths:
            yield torch.linalg.solve(gram + torch.diag(costs / strength), moment).T
        return
    classes = targets.shape[1] if targets.dim() == 2 else int(targets.max()) + 1
    weight = rows.new_zeros(classes, rows.shape[1])
    for strength in strengths:  # each starts from the one before: a fraction of the steps
        cost = costs * (1 + (classes == 2 and targets.dim() == 1)) / (strength * by.sum())
        enough = tolerance if strength == strengths[-1] else LOOSE
        weight = _descend(rows, targets, by / by.sum(), weight, cost, enough)
        yield weight


def _descend(
    rows: Tensor, targets: Tensor, share: Tensor, start: Tensor, cost: Tensor, enough: float
) -> Tensor:
    """Return the weights (classes, columns) of least loss, share @ losses + cost * weight^2 / 2."""
    if not start.numel():  # no label is in doubt
        return start
    p = (rows @ start.T).sigmoid() if targets.dim() == 2 else (rows @ start.T).softmax(1)
    curvature = cost + (p * (1 - p)).T @ (share.unsqueeze(1) * rows.square())  # Hessian's diagonal
    unit = (SCALE * curvature.clamp(min=1e-12)).rsqrt()  # with one class the bias has none
    scaled = (start / unit).requires_grad_()  # the curvature along each element is now 1
    optimizer = torch.optim.LBFGS(
        [scaled],
        max_iter=5000,
        tolerance_grad=SCALE**0.5 * enough,
        tolerance_change=1e-12,  # rounding
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        weight = scaled * unit
        mean = share @ _losses(rows @ weight.T, targets) + (cost * weight.square()).sum() / 2
        (SCALE * mean).backward()
        return SCALE * mean

    optimizer.step(loss)
    weight = (scaled * unit).detach()
    # Of classes, logits that sum to 0 give the same probabilities.
    return weight if targets.dim() == 2 else weight - weight.mean(0)
