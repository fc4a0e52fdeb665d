"""BitFit: train the bias vectors and the task head, freeze everything else.

Claim    A pretrained encoder can be turned to a task by moving a tenth of a percent of it: its
         bias vectors. What was learned then fits a delta file of a few hundred kilobytes.
Paper    Ben Zaken, Goldberg & Ravfogel (2022), "BitFit: Simple Parameter-efficient Fine-tuning
         for Transformer-based Masked Language-models", https://arxiv.org/abs/2106.10199
         (its "frozen" baseline is `head_only`; its random controls are in
         random_elements.py, the file of changed tensors in delta.py).
Differs  - A term is matched by its whole name. The authors' code matches substrings, so that
           "output" also trains attention_output, and "output_layernorm" attention_layernorm.
         - A subset trains the terms asked for and nothing more; the authors' code adds the
           pooler's bias, which terms=("query", "intermediate", "pooler") does here.
Proof    tests/methods/test_bitfit.py
Tutorial tutorials/05_bitfit
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import nn

from minift.errors import MiniftError, nearest
from minift.training.loop import GradientRule, Trainable


class Term(NamedTuple):
    """One bias vector: the paper's symbol, and where it stands in our names and theirs."""

    symbol: str
    suffix: str
    hf_suffix: str


TERMS = {
    # eight in each layer, after "bert.layers.{l}." or "bert.encoder.layer.{l}."
    "query": Term("b_q", "attention.query.bias", "attention.self.query.bias"),
    "key": Term("b_k", "attention.key.bias", "attention.self.key.bias"),
    "value": Term("b_v", "attention.value.bias", "attention.self.value.bias"),
    "attention_output": Term("b_m1", "attention.output.bias", "attention.output.dense.bias"),
    "attention_norm": Term("b_LN1", "attention_norm.bias", "attention.output.LayerNorm.bias"),
    "intermediate": Term("b_m2", "intermediate.bias", "intermediate.dense.bias"),
    "output": Term("b_m3", "output.bias", "output.dense.bias"),
    "output_norm": Term("b_LN2", "output_norm.bias", "output.LayerNorm.bias"),
    # one each in the model, after "bert."; the paper gives them no symbol
    "embeddings_norm": Term("", "embeddings.norm.bias", "embeddings.LayerNorm.bias"),
    "pooler": Term("", "pooler.dense.bias", "pooler.dense.bias"),
}
_ENCODER = re.compile(r"(?:bert\.)?(?:layers\.\d+\.|(?=embeddings\.|pooler\.))(.+)")


def encoder_suffix(name: str) -> str | None:
    """Return a parameter's name within its layer or the encoder; None for the head's."""
    match = _ENCODER.fullmatch(name)
    return match and match.group(1)


def bitfit(terms: Sequence[str] | None = None) -> Trainable:
    """Return the `trainable` slot of BitFit.

    Args:
        terms: names in `TERMS`; None means every bias of the encoder. The paper's small subset
            is ("query", "intermediate").

    Returns:
        A function from a model to the names of those biases and of the whole head.

    Raises:
        MiniftError: if a term is unknown; later, if the model has no such bias.
    """
    if terms is not None:
        terms = (terms,) if isinstance(terms, str) else tuple(terms)
        if not terms:
            raise MiniftError("BitFit with no term trains the head alone; say so with head_only()")
        for term in terms:
            if term not in TERMS:
                raise MiniftError(
                    f'BitFit knows no bias term "{term}"{nearest(term, TERMS)} '
                    f"(terms: {', '.join(TERMS)})"
                )

    def trainable(model: nn.Module) -> list[str]:
        suffixes = {name: encoder_suffix(name) for name, _ in model.named_parameters()}
        found = {suffix for suffix in suffixes.values() if suffix and suffix.endswith("bias")}
        if not found:
            raise MiniftError(
                "BitFit trains bias vectors and this encoder has none; "
                "train the head alone or freeze layers instead"
            )
        wanted = found if terms is None else {TERMS[term].suffix for term in terms}
        if absent := sorted(wanted - found):
            raise MiniftError(
                f"this encoder has no {', '.join(absent)}; it has {', '.join(sorted(found))}"
            )
        return [name for name, suffix in suffixes.items() if suffix is None or suffix in wanted]

    return trainable


def head_only() -> Trainable:
    """Return the `trainable` slot of the "frozen" baseline: the head learns, the encoder not."""

    def trainable(model: nn.Module) -> list[str]:
        head = [name for name, _ in model.named_parameters() if encoder_suffix(name) is None]
        if not head:
            raise MiniftError("the model has no head: nothing but an encoder, which stays frozen")
        return head

    return trainable


@dataclass(frozen=True)
class Count:
    """One line of the table of `count_trainable`."""

    part: str
    trains: int
    of: int

    def __str__(self) -> str:
        share = self.trains / self.of if self.of else 0.0
        return f"{self.part:<14}{self.trains:>13,} of {self.of:>13,}  {share:>9.4%}"


def count_trainable(
    model: nn.Module, names: Iterable[str], rule: GradientRule | None = None
) -> tuple[Count, ...]:
    """Count the scalars that learn, the head apart, because it can outweigh all biases.

    Args:
        model: any model with a head; only shapes are read, so it may be on the meta device.
        names: parameters that learn.
        rule: what fills the `gradients` slot; it may hold elements of them fixed.

    Returns:
        Lines for biases, embeddings (the three tables), other weights (matrices and gains), the
        encoder (their sum), the head, and all. `print(*lines, sep="\\n")` prints the table.
    """
    chosen = set(names)
    trains = dict.fromkeys(("biases", "embeddings", "other weights", "head"), 0)
    of = dict(trains)
    for name, parameter in model.named_parameters():
        suffix = encoder_suffix(name)
        if suffix is None:
            part = "head"
        elif suffix.endswith("bias"):
            part = "biases"
        elif suffix.startswith("embeddings.") and parameter.dim() == 2:
            part = "embeddings"
        else:
            part = "other weights"
        of[part] += parameter.numel()
        learning = rule.learning(name, parameter) if rule else parameter.numel()
        trains[part] += learning if name in chosen else 0
    head = Count("head", trains.pop("head"), of.pop("head"))
    encoder = Count("encoder", sum(trains.values()), sum(of.values()))
    everything = Count("all", encoder.trains + head.trains, encoder.of + head.of)
    return (*(Count(part, trains[part], of[part]) for part in trains), encoder, head, everything)
