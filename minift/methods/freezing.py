"""Freezing: some layers of the encoder stay as pretraining left them.

Claim    A layer is frozen when it gets no gradient, no optimizer state and no weight decay: its
         bits do not change. Layers next to the input are cheap to freeze (the backward pass
         stops above them), layers next to the output are not (it must pass through them).
Paper    Griesshaber, Maucher & Vu (2020), "Fine-tuning BERT for Low-Resource Natural Language
         Understanding via Active Learning", https://arxiv.org/abs/2012.02462: F = k > 0 freezes
         the k layers next to the input, F = -k the k next to the output, F = 0 none.
Differs  - The paper does not say whether the embeddings freeze with F > 0. Here they do unless
           told otherwise, since a layer above moving inputs would not see what it was trained
           on; with F <= 0 they learn. Pooler and head learn for every F.
         - Dropout in the frozen prefix is off (minift/speed/prefix.py): below the lowest parameter
           that learns it would only add noise to fixed features. The gradient is that of the
           same model with dropout probability 0 there.
Proof    tests/methods/test_freezing.py
Tutorial tutorials/04_freezing
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from minift.errors import MiniftError
from minift.training.loop import Trainable

_PART = re.compile(r"(?:bert\.)?(?:layers\.(\d+)|(embeddings|pooler))\.")


def part_of(name: str) -> int | str:
    """Return where a parameter stands: its layer's number, "embeddings", "pooler" or "head".

    >>> part_of("bert.layers.11.attention.query.bias"), part_of("classifier.bias")
    (11, 'head')
    """
    match = _PART.match(name)
    if match is None:
        return "head"
    return match[2] or int(match[1])


def freeze(layers: int = 0, embeddings: bool | None = None) -> Trainable:
    """Return the `trainable` slot of layer freezing.

    Args:
        layers: F; k > 0 freezes the k layers next to the input, -k those next to the output.
        embeddings: whether the embeddings (tables and LayerNorm) freeze too; None means that
            they do where `layers` > 0.

    Returns:
        A function from a model to the names of all other parameters.

    Raises:
        MiniftError: by that function, if the model has fewer layers or nothing would learn.
    """

    def trainable(model: nn.Module, epoch: int = 1) -> list[str]:
        parts = {name: part_of(name) for name, _ in model.named_parameters()}
        depth = len({part for part in parts.values() if isinstance(part, int)})
        if abs(layers) > depth:
            side = "input" if layers > 0 else "output"
            raise MiniftError(
                f"cannot freeze {abs(layers)} layers next to the {side}: the encoder has {depth}"
            )
        frozen: set[int | str] = set(range(layers) if layers > 0 else range(depth + layers, depth))
        if embeddings or (embeddings is None and layers > 0):
            frozen.add("embeddings")
        return _at_least_one([name for name, part in parts.items() if part not in frozen])

    return trainable


def freeze_pattern(*patterns: str) -> Trainable:
    """Return the `trainable` slot that freezes parameters by name.

    Args:
        patterns: shell patterns over whole names, as `named_parameters` gives them:
            "bert.layers.1.*" is layer 1; "bert.layers.1*" would be layers 1, 10 and 11. A * spans
            dots: "bert.layers.*.output.bias" takes attention.output.bias too.

    Returns:
        A function from a model to the names of all other parameters.

    Raises:
        MiniftError: by that function, if a pattern matches nothing or nothing would learn.
    """

    def trainable(model: nn.Module, epoch: int = 1) -> list[str]:
        names = [name for name, _ in model.named_parameters()]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise MiniftError(
                    f'"{pattern}" matches no parameter; near it are '
                    f"{', '.join(_near(pattern, names))}"
                )
        return _at_least_one(
            [name for name in names if not any(fnmatchcase(name, p) for p in patterns)]
        )

    return trainable


def _at_least_one(names: list[str]) -> list[str]:
    if not names:
        raise MiniftError("everything would be frozen and nothing could learn; freeze less")
    return names


def _near(pattern: str, names: Iterable[str]) -> list[str]:
    """Return names, and patterns for whole modules, that read most like `pattern`."""
    known: dict[str, None] = {}
    for name in names:
        words = name.split(".")
        known |= dict.fromkeys(".".join(words[:end]) + ".*" for end in range(1, len(words)))
        known[name] = None
    return difflib.get_close_matches(pattern, known, n=3, cutoff=0)


@dataclass(frozen=True)
class Part:
    """One line of the table of `what_trains`.

    Args:
        name: "embeddings", "layer 0", ..., "pooler" or "head".
        tensors, parameters: how many there are.
        tensors_trained, parameters_trained: how many of them learn.
    """

    name: str
    tensors: int = 0
    parameters: int = 0
    tensors_trained: int = 0
    parameters_trained: int = 0

    @property
    def trains(self) -> str:
        """ "yes", "no" or "in part"."""
        if self.tensors_trained == 0:
            return "no"
        return "yes" if self.tensors_trained == self.tensors else "in part"

    def __str__(self) -> str:
        return (
            f"{self.name:<11}{self.tensors_trained:>4} of {self.tensors:>3} tensors "
            f"{self.parameters_trained:>12,} of {self.parameters:>12,} parameters  {self.trains}"
        )


def what_trains(model: nn.Module, trainable_names: Iterable[str]) -> tuple[Part, ...]:
    """Count, from the input to the output, what learns and what is frozen.

    Args:
        model: any model; only shapes are read, so it may be on the meta device.
        trainable_names: parameters that learn.

    Returns:
        A line for the embeddings, each layer, the pooler and the head, where there are any, and
        one for all. `print(*lines, sep="\\n")` prints the table.
    """
    chosen = set(trainable_names)
    rows: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        part = part_of(name)
        row = rows.setdefault(f"layer {part}" if isinstance(part, int) else part, [0, 0, 0, 0])
        learns, size = name in chosen, parameter.numel()
        row[:] = [a + b for a, b in zip(row, (1, size, int(learns), size * learns))]
    total = [sum(column) for column in zip(*rows.values())]
    return (*(Part(name, *row) for name, row in rows.items()), Part("all", *total))
