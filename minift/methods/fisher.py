"""Diagonal empirical Fisher information: which weights the labels pull at.

Claim    The score of a weight is the mean over the examples of the squared gradient of its
         log p(y|x):

    score_i = 1/N * sum over examples e of (d log p(y_e | x_e) / d w_i)^2

Paper    Xu et al. (2021), "Raise a Child in Large Language Model", section 2.2.2,
         https://arxiv.org/abs/2109.05687: true labels, at the pretrained weights.
Differs  - Their code squares the clipped gradient of each *batch*'s mean loss, with dropout on;
           that is `batch_fisher`. The mean of a batch hides what its examples disagree about.
         - An example is one model input: each window of a long tagged sentence counts.
           Inputs without a label are left out.
         - A new head is part of the model: the scores depend on how it was drawn.
         - Always in the weights' own precision: squares of bf16 gradients would be coarse.
         fast_fisher.py computes the same scores from one pass per batch.
Proof    tests/methods/test_fisher.py
Tutorial tutorials/06_child_tuning
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from minift.bert.dropout import Dropout, set_dropout_generator
from minift.bert.packing import to_device
from minift.errors import MiniftError, nearest
from minift.speed.precision import full_precision
from minift.training.batches import Item, make_batch
from minift.training.batches import labelled as known
from minift.training.loop import Objective, cross_entropy


def fisher(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective = cross_entropy,
    *,
    names: Iterable[str] | None = None,
) -> dict[str, Tensor]:
    """Score weights by the mean squared gradient of single examples, dropout off.

    Args:
        model: an encoder with a head; it is left exactly as found.
        items: the training inputs; MiniftError: if none has a label.
        objective: -log p of each labelled target. An example's loss is the sum over its targets.
            For regression take `squared_error`.
        names: parameters to score, None means all; for each a tensor like it is returned.
    """
    items, weights = labelled(items), chosen(model, names)
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    with as_found(model, learning=weights):
        for item in items:
            log_likelihood = -losses(model, [item], objective).sum()
            gradients = _gradients(log_likelihood, weights)
            for score, gradient in zip(scores.values(), gradients):
                score += gradient**2 / len(items)
    return scores


def batch_fisher(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective = cross_entropy,
    *,
    names: Iterable[str] | None = None,
    batch_size: int = 16,
    clip: float = 1.0,
    dropout: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Score weights as the authors' code does: by squared gradients of batches.

    The gradient of each batch's mean loss is clipped tensor by tensor, squared, and averaged
    over the batches. The result depends on the batch size and on the order of `items` (the
    authors shuffle them).

    Args:
        batch_size: examples of one gradient; a smaller last batch weighs as much as the others.
        clip: largest norm of each tensor's gradient; 0 switches clipping off.
        dropout: source of dropout masks (the authors leave dropout on); None means no dropout.
    """
    items, weights = labelled(items), chosen(model, names)
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    batches = [items[at : at + batch_size] for at in range(0, len(items), batch_size)]
    with as_found(model, learning=weights, dropout=dropout):
        for batch in batches:
            gradients = _gradients(losses(model, batch, objective).mean(), weights)
            for score, gradient in zip(scores.values(), gradients):
                shrink = (clip / (gradient.norm() + 1e-6)).clamp(max=1.0) if clip else 1.0
                score += (shrink * gradient) ** 2 / len(batches)
    return scores


def losses(model: nn.Module, items: Sequence[Item], objective: Objective) -> Tensor:
    """Return one loss per labelled target of `items`, read as one batch, as training begins."""
    batch = to_device(make_batch(items), next(model.parameters()).device)
    return objective(model, batch, 0, 1)  # step 0 of 1


def _gradients(value: Tensor, weights: dict[str, nn.Parameter]) -> tuple[Tensor, ...]:
    """Return the derivative by each weight; 0 where `value` does not depend on it."""
    return torch.autograd.grad(value, list(weights.values()), materialize_grads=True)


def labelled(items: Sequence[Item]) -> list[Item]:
    """Return the items that have a label."""
    kept = [item for item in items if known(make_batch([item]).targets).any()]
    if not kept:
        raise MiniftError(f"Fisher needs labelled examples; none of {len(items)} has a label")
    return kept


def chosen(model: nn.Module, names: Iterable[str] | None) -> dict[str, nn.Parameter]:
    """Return the parameters called `names`; None means all."""
    parameters = dict(model.named_parameters())
    names = list(parameters if names is None else names)
    for name in names:
        if name not in parameters:
            raise MiniftError(f"the model has no parameter {name}{nearest(name, parameters)}")
    return {name: parameters[name] for name in names}


@contextmanager
def as_found(
    model: nn.Module, learning: Iterable[str] = (), dropout: torch.Generator | None = None
) -> Iterator[None]:
    """Ask for gradients of `learning` only, in the weights' precision; put everything back after.

    Without a source of masks, `dropout` is off.
    """
    modules, parameters = list(model.modules()), dict(model.named_parameters())
    before: list[tuple[Any, str, Any]] = [
        *((module, "training", module.training) for module in modules),
        *((p, "requires_grad", p.requires_grad) for p in parameters.values()),
        *((m, "generator", m.generator) for m in modules if isinstance(m, Dropout)),
    ]
    learning = set(learning)
    try:
        model.train(dropout is not None)
        if dropout is not None:
            set_dropout_generator(model, dropout)
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in learning)
        with full_precision(model):
            yield
    finally:
        for thing, attribute, value in before:
            setattr(thing, attribute, value)
