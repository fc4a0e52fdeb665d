"""What runs around the student's functions, in the student's process: models and loops."""

from __future__ import annotations

from collections import defaultdict

import exercise
import torch
from torch import nn

import minift


def encoder(seed: int, layers: int, hidden: int):
    """Return a small encoder with large weights and dropout."""
    config = minift.BertConfig(
        vocab_size=50,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=20,
        hidden_dropout_prob=0.2,
        attention_probs_dropout_prob=0.2,
    )
    model = minift.Bert(config, pooler=False).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return model


class AdamW:
    """What torch.optim.AdamW does and offers; making one of those imports a compiler, a second."""

    def __init__(self, groups: list[dict], lr: float, weight_decay: float):
        own = {"lr": lr, "weight_decay": weight_decay, "betas": (0.9, 0.999), "eps": 1e-8}
        self.param_groups = [{**own, **group} for group in groups]
        self.state: dict = defaultdict(dict)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if parameter.grad is not None:
                parameter.grad = None if set_to_none else torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, self.state[parameter], group)

    def _update(self, parameter: nn.Parameter, state: dict, group: dict) -> None:
        (beta1, beta2), gradient = group["betas"], parameter.grad
        if not state:
            state |= {"step": 0, "exp_avg": 0 * parameter, "exp_avg_sq": 0 * parameter}
        state["step"] += 1
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        root = (state["exp_avg_sq"] / (1 - beta2 ** state["step"])).sqrt() + group["eps"]
        parameter.sub_(group["lr"] / (1 - beta1 ** state["step"]) * state["exp_avg"] / root)


def frozen_midway(start: dict, gradients: list, names: list, since: int, settings: dict):
    """Train, let the student freeze before step `since`, train on; return what became of it."""
    parameters = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    half = len(parameters) // 2
    listed = list(parameters.values())
    groups = [{"params": listed[:half]}, {"params": listed[half:]}]
    optimizer = AdamW(groups, **settings)
    before = {}
    for number, step in enumerate(gradients):
        if number == since:
            before = {name: p.detach().clone() for name, p in parameters.items()}
            exercise.freeze(optimizer, parameters, list(names))
        optimizer.zero_grad(set_to_none=False)
        asking = [name for name, p in parameters.items() if p.requires_grad]
        if asking:
            sum((parameters[name] * step[name]).sum() for name in asking).backward()
        optimizer.step()
    after = {name: p.detach().clone() for name, p in parameters.items()}
    asks = [name for name, p in parameters.items() if p.requires_grad]
    return {"before": before, "after": after, "asks": asks}


def prefixed(seed: int, depth: int, hidden: int, layers: int, batches: list, training: bool):
    """Return the student's prefix_states of each batch, the modes after it, and tokens computed."""
    model = encoder(seed, depth, hidden).train(training)
    tokens = []
    model.embeddings.register_forward_hook(lambda *call: tokens.append(len(call[2])))
    cache: dict = {}
    states: list = []
    for batch in batches:
        try:
            states.append(exercise.prefix_states(model, layers, dict(batch), cache))
        except KeyError as error:
            states.append(f"KeyError: {error}")
    modes = [module.training == training for module in model.modules()]
    return {"states": states, "modes kept": all(modes), "tokens": sum(tokens)}
