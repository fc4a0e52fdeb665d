"""From items to batches: what the model reads, which tokens are asked, what is expected.

Claim    Every task has one shape: some tokens of a packed batch are asked, and each has one
         target. (items.py makes the items of a task from its examples.)
Proof    tests/training/test_items.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from minift.bert.packing import Packed, Selection, pack

OtherPieces = Literal["ignore", "continue"]  # what tagging asks of the later pieces of a word
UNLABELLED = -100  # class index of a token that nobody labelled; it has no loss and no score
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """One model input. A text is one item; a long tagged sentence is several.

    Args:
        example: index of the example it comes from.
        input_ids, segment_ids: as the tokenizer made them.
        positions: tokens that are asked.
        targets: one per position: class index (`UNLABELLED` where there is none), or number
            (nan where there is none).
    """

    example: int
    input_ids: list[int]
    segment_ids: list[int]
    positions: list[int]
    targets: list[int] | list[float]


@dataclass(frozen=True)
class Batch:
    """Several items as the model reads them.

    Args:
        packed, wanted: the tokens; those that are asked.
        targets: (asked,) int64 class indices, or float numbers for regression.
        examples: index of the example of each sequence, for an objective that looks it up.
    """

    packed: Packed
    wanted: Selection
    targets: Tensor
    examples: tuple[int, ...] = ()


def labelled(targets: Tensor) -> Tensor:
    """(asked,) True where there is a target."""
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
