"""A solution by names, and by what PyTorch's optimizers skip."""

from __future__ import annotations

import torch

import minift


def _layer(name):
    words = name.split(".")
    return int(words[2]) if words[:2] == ["bert", "layers"] else None


def frozen_names(names, layers):
    numbers = {name: _layer(name) for name in names}
    depth = 1 + max(number for number in numbers.values() if number is not None)
    if abs(layers) > depth:
        raise ValueError(f"cannot freeze {abs(layers)} of {depth} layers")
    chosen = range(layers) if layers > 0 else range(depth + layers, depth)
    frozen = [name for name, number in numbers.items() if number in chosen]
    if layers > 0:
        frozen += [name for name in names if name.startswith("bert.embeddings.")]
    return frozen


def freeze(optimizer, parameters, names):
    for name in names:
        parameters[name].requires_grad_(False)
        parameters[name].grad = None  # the optimizer skips it; a gradient of 0 it would not skip


def prefix_states(encoder, layers, batch, cache):
    missing = [key for key in batch if key not in cache]
    if missing:
        modes = [(module, module.training) for module in encoder.modules()]
        encoder.eval()
        packed = minift.pack([batch[key] for key in missing])
        with torch.no_grad():
            hidden = encoder.hidden_states(packed, layers)[-1]
        for module, training in modes:
            module.training = training
        cache.update(zip(missing, hidden.split(packed.lengths)))
    return torch.cat([cache[key] for key in batch])


def test_freezing(candidate) -> None:
    names = ["bert.layers.0.w", "bert.layers.1.w", "bert.layers.10.w", "classifier.w"]
    start = {name: [1.0 + i, -2.0] for i, name in enumerate(names)}
    gradients = [{name: [1.0, 2.0 + step] for name in names} for step in range(5)]
    seen = [start, *candidate(start, gradients, ["bert.layers.1"], 2)]
    assert len(seen) == 6
    for step in range(5):
        for name in names:
            moved = seen[step][name] != seen[step + 1][name]
            assert moved == (name != "bert.layers.1.w" or step < 2), (step, name)


ANSWERS = {
    "learns_percent": 39.4,
    "gradients_input": 5,
    "gradients_output": 7,
    "backward_input": 6,
    "backward_output": 73,
}
EXPLANATION = """Below the lowest parameter that learns nobody waits for a gradient ..."""
