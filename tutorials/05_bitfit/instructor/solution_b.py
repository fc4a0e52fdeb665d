"""Another solution: by modules instead of names, and with sets instead of conditions."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

import torch
from torch import nn


def _biases(model: nn.Module) -> set[int]:
    return {id(m.bias) for m in model.modules() if isinstance(m, (nn.Linear, nn.LayerNorm))}


def bitfit_names(model: nn.Module) -> list[str]:
    encoder = {id(parameter) for parameter in model.bert.parameters()}
    chosen = _biases(model.bert)
    pairs = [(n, id(p)) for n, p in model.named_parameters()]
    return sorted({n for n, i in pairs if i in chosen} | {n for n, i in pairs if i not in encoder})


def freeze(model: nn.Module, names: list[str]) -> None:
    model.requires_grad_(False)
    for name in names:
        model.get_parameter(name).requires_grad_(True)


def count_scalars(model: nn.Module, names: list[str]) -> dict[str, int]:
    total = sum(map(torch.numel, model.parameters()))
    encoder = sum(map(torch.numel, model.bert.parameters()))
    learn = [model.get_parameter(name).numel() for name in names if name.startswith("bert.")]
    return {"encoder": encoder, "head": total - encoder, "encoder learns": sum(learn)}


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
    wanted = "|".join(re.escape(TERMS[term]) for term in terms)
    return [name for name in names if re.fullmatch(rf"bert\.layers\.\d+\.({wanted})", name)]


def test_moved(candidate) -> None:
    torch.manual_seed(3)
    terms = ("output.bias", "attention.output.bias", "intermediate.bias")
    names = [f"bert.layers.{layer}.{term}" for layer in range(3) for term in terms]
    before = {name: torch.randn(4).tolist() for name in names}
    after = {name: torch.randn(4).tolist() for name in names}
    for term in terms:
        layers = [f"bert.layers.{layer}.{term}" for layer in range(3)]
        old = chain.from_iterable(before[name] for name in layers)
        new = chain.from_iterable(after[name] for name in layers)
        changes = Counter({i: abs(b - a) for i, (a, b) in enumerate(zip(old, new))})
        assert abs(candidate(before, after, term) - changes.total() / 12) < 1e-5, term


ANSWERS = {
    "bias_percent": 100 * 102_912 / 109_482_240,
    "key_shift": 3e-16,
    "query_shift": 0.025684,
}
EXPLANATION = """q(k + b) = qk + qb: qb is the same for all keys, and cancels in the softmax."""
