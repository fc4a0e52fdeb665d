"""What runs around the student's functions, in the student's process: it builds the models."""

from __future__ import annotations

import exercise
import torch
from torch import nn


def masked(gradient, p: float, seed: int, noise: int, calls: int):
    """Return what comes of masking a gradient several times, and what others draw next."""
    torch.manual_seed(noise)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(calls):
        got = exercise.mask_gradient(gradient.clone(), p, generator)
        if not isinstance(got, torch.Tensor):
            raise Wrong(  # noqa: F821
                f"mask_gradient is to return a tensor, got {type(got).__name__}"
            )
        found.append(got.detach().clone())
    return {"masked": found, "next": torch.rand(1).item()}


def classifier(weights: dict, dropout: float):
    """Return a classifier of two layers with these weights."""
    hidden, features = weights["0.weight"].shape
    model = nn.Sequential(
        nn.Linear(features, hidden),
        nn.Tanh(),
        nn.Dropout(dropout),
        nn.Linear(hidden, len(weights["3.bias"])),
    ).double()
    model.load_state_dict(weights)
    return model


def scores(weights: dict, inputs, labels):
    """Return the student's Fisher scores of a model where nothing is in the way."""
    return _checked(exercise.fisher(classifier(weights, 0.0).eval(), inputs, labels), weights)


def scores_during_training(weights: dict, inputs, labels, training: bool):
    """Return three scores of one model, and the model as it was left.

    Before the second time something else was drawn; before the third there are gradients too.
    """
    model = classifier(weights, 0.5).train(training)
    found = []
    for noise, stands in ((1, False), (2, False), (2, True)):
        torch.manual_seed(noise)
        for number, parameter in enumerate(model.parameters()):
            parameter.grad = torch.full_like(parameter, 3.0 + number) if stands else None
        got = exercise.fisher(model, inputs.clone(), labels.clone())
        found.append({name: value.clone() for name, value in _checked(got, weights).items()})
    for number, parameter in enumerate(model.parameters()):
        parameter.grad = torch.full_like(parameter, 3.0 + number)
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    exercise.fisher(model, inputs.clone(), labels.clone())
    return {
        "scores": found,
        "training": [module.training for module in model.modules()],
        "grad": [
            parameter.grad is not None and torch.equal(parameter.grad, before)
            for parameter, before in zip(model.parameters(), gradients)
        ],
        "weights": {name: value.clone() for name, value in model.state_dict().items()},
    }


def _checked(got, weights: dict):
    if not isinstance(got, dict) or set(got) != set(weights):
        raise Wrong(  # noqa: F821
            "fisher is to return a dict with a tensor for each name of model.named_parameters()"
        )
    for name, value in got.items():
        if not isinstance(value, torch.Tensor) or value.shape != weights[name].shape:
            raise Wrong(f"fisher: the score of {name} is to be a tensor of its shape")  # noqa: F821
    return {name: value.detach() for name, value in got.items()}


class AdamW:
    """The arithmetic of torch.optim.AdamW, whose first step would import a compiler (seconds)."""

    def __init__(self, parameters, lr: float, weight_decay: float):
        group = {"params": list(parameters), "lr": lr, "weight_decay": weight_decay}
        self.param_groups = [group]
        self.state: dict = {}

    def step(self) -> None:
        """Take a step with each parameter that has a gradient."""
        group = self.param_groups[0]
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            n, m, v = self.state.get(parameter, (0, 0.0, 0.0))
            n, gradient = n + 1, parameter.grad.detach()
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            self.state[parameter] = n, m, v
            change = (m / (1 - 0.9**n)) / ((v / (1 - 0.999**n)).sqrt() + 1e-8)
            with torch.no_grad():
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * change)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Take the gradients away."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None if set_to_none else torch.zeros_like(parameter)


def stepped(start: dict, masks: dict, gradients: list, rates: dict):
    """Return parameters after the student's steps; before the first the optimizer took one."""
    parameters = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    optimizer = AdamW(parameters.values(), **rates)
    for number, gradient in enumerate(gradients):
        for name, parameter in parameters.items():
            parameter.grad = gradient[name].clone()
        if number:
            own = {name: mask.clone() for name, mask in masks.items()}
            exercise.child_step(parameters, own, optimizer, 1.0)
        else:
            optimizer.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}
