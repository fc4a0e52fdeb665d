"""A solution by names."""

from __future__ import annotations

from torch import nn


def bitfit_names(model: nn.Module) -> list[str]:
    names = []
    for name, _ in model.named_parameters():
        head = not name.startswith("bert.")
        if head or name.endswith("bias"):
            names.append(name)
    return names


def freeze(model: nn.Module, names: list[str]) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)


def count_scalars(model: nn.Module, names: list[str]) -> dict[str, int]:
    counts = {"encoder learns": 0, "encoder": 0, "head": 0}
    for name, parameter in model.named_parameters():
        if not name.startswith("bert."):
            counts["head"] += parameter.numel()
            continue
        counts["encoder"] += parameter.numel()
        if name in names:
            counts["encoder learns"] += parameter.numel()
    return counts


TERMS = {
    "query": "attention.query.bias",
    "key": "attention.key.bias",
    "value": "attention.value.bias",
    "attention_output": "attention.output.bias",
    "attention_norm": "attention_norm.bias",
    "intermediate": "intermediate.bias",
    "output": "output.bias",
    "output_norm": "output_norm.bias",
}


def subset_names(names: list[str], terms: list[str]) -> list[str]:
    suffixes = {TERMS[term] for term in terms}
    chosen = []
    for name in names:
        _, _, rest = name.partition("layers.")
        _, _, suffix = rest.partition(".")  # without the layer's number
        if suffix in suffixes:
            chosen.append(name)
    return chosen


def test_moved(candidate) -> None:
    query = "attention.query.bias"
    before = {f"bert.layers.0.{query}": [0.0, 0.0], f"bert.layers.1.{query}": [1.0, 1.0]}
    after = {f"bert.layers.0.{query}": [1.0, -3.0], f"bert.layers.1.{query}": [1.0, 7.0]}
    assert abs(candidate(before, after, query) - 2.5) < 1e-6

    before = {"bert.layers.0.output.bias": [2.0], "bert.layers.0.attention.output.bias": [0.0]}
    after = {"bert.layers.0.output.bias": [3.0], "bert.layers.0.attention.output.bias": [9.0]}
    assert abs(candidate(before, after, "output.bias") - 1.0) < 1e-6


ANSWERS = {"bias_percent": 0.0940, "key_shift": 0.0, "query_shift": 0.0257}
EXPLANATION = """The same number is added to every score of a row, and softmax does not see it."""
