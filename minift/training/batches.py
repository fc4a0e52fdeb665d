"""From items to batches: what the model reads, which tokens are asked, what is expected.

Claim    Every task has one shape: some tokens of a packed batch are asked, and each has one
         target (items.py makes items from the examples of a task).
Proof    tests/training/test_items.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from minift.bert.packing import Packed, Selection, pack

UNLABELLED = -100  # class index without a label, as nan is a number without one: no loss, no score
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """One model input. A text is one item; a long tagged sentence is several."""

    example: int  # index of the example it comes from
    input_ids: list[int]  # as the tokenizer made them
    segment_ids: list[int]
    positions: list[int]  # tokens that are asked
    targets: Sequence[float | list[float]]  # one per position: class index, number, or see below
    cut: bool = False  # whether a part of the text is left out, for the encoder's length


@dataclass(frozen=True)
class Batch:
    """Several items as the model reads them."""

    packed: Packed
    wanted: Selection  # the asked tokens
    targets: Tensor  # (asked,) classes, int64, or numbers; (asked, labels) 1.0 where one applies
    examples: tuple[int, ...] = ()  # of each sequence, for an objective that looks it up


def labelled(targets: Tensor) -> Tensor:
    """Return True where there is a target, in the shape of `targets`."""
    return ~targets.isnan() if targets.is_floating_point() else targets != UNLABELLED


def make_batch(items: Sequence[Item]) -> Batch:
    """Pack items into one batch on the CPU."""
    packed = pack([item.input_ids for item in items], [item.segment_ids for item in items])
    wanted = packed.select([item.positions for item in items])
    targets = torch.tensor([target for item in items for target in item.targets])
    return Batch(packed, wanted, targets, tuple(item.example for item in items))


def shuffled(items: Sequence[T], size: int, generator: torch.Generator) -> list[list[T]]:
    """Split items into training batches of `size` in an order drawn from `generator`."""
    order = torch.randperm(len(items), generator=generator).tolist()
    return [[items[i] for i in order[at : at + size]] for at in range(0, len(order), size)]
