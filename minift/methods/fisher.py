"""Diagonal empirical Fisher information: which weights the labels pull at.

Claim    The score of a weight is the mean over the examples of the squared gradient of its
         log p(y|x):

    score_i = 1/N * sum over examples e of (d log p(y_e | x_e) / d w_i)^2

Paper    Xu et al. (2021), "Raise a Child in Large Language Model", section 2.2.2,
         https://arxiv.org/abs/2109.05687: true labels, at the pretrained weights.
Differs  - Their code squares the clipped gradient of each *batch*'s mean loss, with dropout on.
           The mean of a batch hides what its examples disagree about.
         - An example is one model input: each window of a long tagged sentence counts.
           Inputs without a label are left out.
         - A new head is part of the model: the scores depend on how it was drawn.
         - Always in the weights' own precision: squares of bf16 gradients would be coarse.
         - Several processes share the examples and sum; the scores are the same in all of them.
Proof    tests/methods/test_fisher.py
Tutorial tutorials/06_child_tuning
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from minift.bert.packing import to_device
from minift.errors import MiniftError, nearest
from minift.speed.precision import full_precision
from minift.training.batches import Item, labelled, make_batch
from minift.training.loop import Objective, Team, cross_entropy


def fisher(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective = cross_entropy,
    *,
    names: Iterable[str] | None = None,
    team: Team = Team(),
) -> dict[str, Tensor]:
    """Score weights by the mean squared gradient of single examples, dropout off.

    Args:
        model: an encoder with a head; it is left exactly as found.
        items: the training inputs; MiniftError: if none has a label.
        objective: -log p of each labelled target. An example's loss is the sum over its targets.
            For regression take `squared_error`.
        names: parameters to score, None means all; for each a tensor like it is returned.
        team: the processes that share the examples.
    """
    known = [item for item in items if labelled(make_batch([item]).targets).any()]
    if not known:
        raise MiniftError(f"Fisher needs labelled examples; none of {len(items)} has a label")
    weights = _chosen(model, names)
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    device = next(model.parameters()).device
    with _as_found(model, learning=weights):
        for item in team.share(known):
            batch = to_device(make_batch([item]), device)
            log_likelihood = -objective(model, batch, 0, 1).sum()  # as in step 0 of 1
            gradients = torch.autograd.grad(
                log_likelihood, [*weights.values()], materialize_grads=True
            )
            for score, gradient in zip(scores.values(), gradients):
                score.addcmul_(gradient, gradient, value=1 / len(known))  # + gradient^2 / N
    team.sum_tensors(scores.values())
    return scores


def _chosen(model: nn.Module, names: Iterable[str] | None) -> dict[str, nn.Parameter]:
    """Return the parameters called `names`; None means all."""
    parameters = dict(model.named_parameters())
    names = list(parameters if names is None else names)
    for name in names:
        if name not in parameters:
            raise MiniftError(f"the model has no parameter {name}{nearest(name, parameters)}")
    return {name: parameters[name] for name in names}


@contextmanager
def _as_found(model: nn.Module, learning: Container[str]) -> Iterator[None]:
    """Evaluate in the weights' precision, with gradients of `learning` only; then undo that."""
    before: list[tuple[Any, str, bool]] = [(m, "training", m.training) for m in model.modules()]
    before += [(p, "requires_grad", p.requires_grad) for p in model.parameters()]
    try:
        model.eval()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learning)
        with full_precision(model):
            yield
    finally:
        for thing, attribute, value in before:
            setattr(thing, attribute, value)
