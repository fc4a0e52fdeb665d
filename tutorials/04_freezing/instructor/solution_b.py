"""Another solution: by patterns, by the optimizer's groups, and one text at a time."""

from __future__ import annotations

import re
from itertools import pairwise

import torch

import minift


def frozen_names(names, layers):
    joined = "\n".join(names)
    numbers = sorted({int(n) for n in re.findall(r"^bert\.layers\.(\d+)\.", joined, re.MULTILINE)})
    if not -len(numbers) <= layers <= len(numbers):
        raise ValueError(f"F = {layers}, and {len(numbers)} layers")
    if layers == 0:
        return []
    chosen = numbers[:layers] if layers > 0 else numbers[layers:]
    starts = [f"bert.layers.{number}." for number in chosen]
    if layers > 0:
        starts.append("bert.embeddings.")
    return [name for name in names if name.startswith(tuple(starts))]


def freeze(optimizer, parameters, names):
    gone = {id(parameters[name]) for name in names}
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if id(p) not in gone]
    for name in names:
        optimizer.state.pop(parameters[name], None)
        parameters[name].requires_grad = False


def prefix_states(encoder, layers, batch, cache):
    modules = [encoder.embeddings, *encoder.layers[:layers]]
    were = [module.training for module in modules]
    for module in modules:
        module.eval()
    states = []
    for key, ids in batch.items():
        if key not in cache:
            packed = minift.pack([ids])
            with torch.no_grad():
                hidden = encoder.embeddings(packed)
                for layer in encoder.layers[:layers]:
                    hidden = layer(hidden, packed.layout)
            cache[key] = hidden
        states.append(cache[key])
    for module, training in zip(modules, were):
        module.train(training)
    return torch.cat(states)


def test_freezing(candidate) -> None:
    torch.manual_seed(2)
    parts = [f"bert.layers.{n}" for n in (1, 2, 11)] + ["bert.embeddings", "classifier"]
    names = [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    start = {name: torch.randn(3).tolist() for name in names}
    gradients = [{name: torch.randn(3).tolist() for name in names} for _ in range(4)]
    for frozen, since in ((["bert.layers.1", "bert.embeddings"], 1), (["bert.layers.2"], 3)):
        found = candidate(start, gradients, frozen, since)
        for name in names:
            states = [start[name], *(after[name] for after in found)]
            same = [old == new for old, new in pairwise(states)]
            held = any(name.startswith(part + ".") for part in frozen)
            assert same == [held and step >= since for step in range(4)], name


BASE, EMBEDDINGS, LAYER, HEAD = 109_482_240, 23_837_184, 7_087_872, 2 * 769

ANSWERS = {
    "learns_percent": 100 * (1 - (EMBEDDINGS + 6 * LAYER) / (BASE + HEAD)),
    "gradients_input": 3 + 2,
    "gradients_output": 3 + 4,
    "backward_input": 100 * 3_933_696 / 63_776_256,
    "backward_output": 100 * 46_523_904 / 63_776_256,
}
EXPLANATION = """The way down ends above a frozen prefix, but passes through a frozen top ..."""
