"""A solution by plain loops and one sort."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def mask_gradient(gradient: Tensor, p: float, generator: torch.Generator) -> Tensor:
    drawn = torch.rand(gradient.shape, generator=generator)
    kept = drawn < p
    return torch.where(kept, gradient / p, torch.zeros_like(gradient))


def fisher(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    parameters = dict(model.named_parameters())
    scores = {name: torch.zeros_like(p, requires_grad=False) for name, p in parameters.items()}
    for example, label in zip(inputs, labels):
        logits = model(example[None])
        loss = nn.functional.cross_entropy(logits, label[None])
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        for name, gradient in zip(parameters, gradients):
            scores[name] += gradient**2 / len(inputs)
    for module, training in modes.items():
        module.training = training
    return scores


def select_child(scores: dict[str, Tensor], p: float) -> dict[str, Tensor]:
    flat = torch.cat([score.flatten() for score in scores.values()])
    keep = round(p * len(flat))
    order = flat.argsort(descending=True, stable=True)
    chosen = torch.zeros(len(flat), dtype=torch.bool)
    chosen[order[:keep]] = True
    masks, at = {}, 0
    for name, score in scores.items():
        masks[name] = chosen[at : at + score.numel()].view(score.shape)
        at += score.numel()
    return masks


def child_step(parameters, masks, optimizer, max_norm) -> None:
    nn.utils.clip_grad_norm_(parameters.values(), max_norm)
    before = {}
    for name, mask in masks.items():
        parameters[name].grad.mul_(mask)
        before[name] = parameters[name].detach().clone()
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        for name, old in before.items():
            parameters[name].copy_(torch.where(masks[name], parameters[name], old))


def test_fisher(candidate) -> None:
    def close(got, right):
        assert len(got) == len(right)
        assert all(abs(a - b) < 1e-6 for a, b in zip(got, right)), (got, right)

    rows = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 4.0]]
    close(candidate([0.0, 0.0], rows, [1, 0, 1, 0]), [0.25, 1.0])
    # The weight log 3 makes p(1) three quarters; the label is the unlikely one.
    close(candidate([1.0986122886681098], [[1.0]], [0]), [9 / 16])


ANSWERS = {"adam_way": 0.44, "moved_second": 51.0, "decayed": 0.99005, "learning_percent": 45.6}
EXPLANATION = """Adam divides 1/p out again, so F is a cut of the rate by the root of p."""
