"""Another solution: a drawn mask as dropout, Fisher by hooks in one pass, a threshold, a copy."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def mask_gradient(gradient: Tensor, p: float, generator: torch.Generator) -> Tensor:
    share = torch.full_like(gradient, p)
    return gradient * torch.bernoulli(share, generator=generator) / p


def fisher(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    switches = [m for m in model.modules() if m.training]
    names = {module: name for name, module in model.named_modules()}
    scores, read = {}, {}

    def keep(module, given, output):
        read[module] = given[0].detach()

        def square(pulled):
            squares = pulled.square()
            scores[f"{names[module]}.weight"] = squares.T @ read[module].square() / len(labels)
            scores[f"{names[module]}.bias"] = squares.mean(0)

        output.register_hook(square)

    hooks = [m.register_forward_hook(keep) for m in names if isinstance(m, nn.Linear)]
    for module in switches:
        module.training = False
    log_p = model(inputs).log_softmax(-1).gather(1, labels[:, None]).sum()
    torch.autograd.grad(log_p, list(model.parameters()))
    for module in switches:
        module.training = True
    for hook in hooks:
        hook.remove()
    return scores


def select_child(scores: dict[str, Tensor], p: float) -> dict[str, Tensor]:
    values = sorted((v for s in scores.values() for v in s.flatten().tolist()), reverse=True)
    keep = round(p * len(values))
    if not keep:
        return {name: torch.zeros_like(score, dtype=torch.bool) for name, score in scores.items()}
    threshold = values[keep - 1]
    left = keep - sum(v > threshold for v in values)  # how many of those that tie
    masks = {}
    for name, score in scores.items():
        tied = (score == threshold).flatten()
        first = tied & (tied.cumsum(0) <= left)
        left -= int(first.sum())
        masks[name] = (score > threshold) | first.view(score.shape)
    return masks


def child_step(parameters, masks, optimizer, max_norm) -> None:
    squares = sum(float(p.grad.square().sum()) for p in parameters.values())
    shrink = min(1.0, max_norm / (squares**0.5 + 1e-6))
    old = {name: parameters[name].data[~masks[name]] for name in masks}
    for name, parameter in parameters.items():
        parameter.grad *= shrink
        if name in masks:
            parameter.grad[~masks[name]] = 0
    optimizer.step()
    for name in old:
        parameters[name].data[~masks[name]] = old[name]
    optimizer.zero_grad()


def test_fisher(candidate) -> None:
    torch.manual_seed(5)
    x, weights = torch.randn(12, 3).double(), torch.tensor([0.5, -1.0, 2.0]).double()
    labels = torch.arange(12) % 2
    each = []
    for row, label in zip(x, labels):
        w = weights.clone().requires_grad_()
        sign = 2 * label - 1
        nn.functional.logsigmoid(sign * (row @ w)).backward()
        each.append(w.grad**2)
    right = torch.stack(each).mean(0)
    got = torch.tensor(candidate(weights.tolist(), x.tolist(), labels.tolist())).double()
    assert torch.allclose(got, right, rtol=0, atol=1e-5)


ANSWERS = {
    "adam_way": 0.442,
    "moved_second": 100 * (1 - 0.7**2),
    "decayed": 0.9999**100,
    "learning_percent": 45.62,
}
EXPLANATION = """The fair opponent is full fine-tuning at the rate times the root of p."""
