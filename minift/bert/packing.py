"""Sequences of different lengths as one run of tokens: no padding is computed.

Claim    A batch of ragged sequences is one tensor of its real tokens plus the places where
         each sequence starts (`cu_seqlens`). Every layer but attention works on one token at a
         time; attention alone lays the tokens out as a rectangle and takes them back.
Source   The layout is the one of variable-length attention kernels (Dao et al. 2022,
         https://arxiv.org/abs/2205.14135), which name the offsets `cu_seqlens`.
Proof    tests/bert/test_packing.py

Three sequences of 3, 1 and 2 tokens:

    input_ids    a a a b c c          (tokens,)
    cu_seqlens   0     3 4   6        (sequences + 1,)
    rectangle    a a a
                 b . .                (sequences, longest)
                 c c .
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Layout:
    """Where the rows of a packed run stand in a rectangle (sequences, longest)."""

    lengths: tuple[int, ...]  # rows of each sequence
    slots: Tensor | None  # (rows,) indices into the flattened rectangle; None: the run is one

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Layout:
        """Lay out sequences of the given lengths, at least one of which must not be empty."""
        longest = max(lengths, default=0)
        if longest < 1:
            raise ValueError(f"there is nothing to lay out: the lengths are {list(lengths)}")
        if min(lengths) == longest:
            return cls(tuple(lengths), None)
        rectangle = torch.arange(len(lengths) * longest).view(len(lengths), longest)
        real = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
        return cls(tuple(lengths), rectangle[real])

    @property
    def longest(self) -> int:
        """Width of the rectangle."""
        return max(self.lengths)

    def pad(self, rows: Tensor) -> Tensor:
        """(rows, ...) -> (sequences, longest, ...), zeros where there is no token."""
        shape = (len(self.lengths), self.longest, *rows.shape[1:])
        if self.slots is None:
            return rows.view(shape)
        rectangle = rows.new_zeros(shape[0] * shape[1], *rows.shape[1:])
        return rectangle.index_copy(0, self.slots, rows).view(shape)

    def unpad(self, rectangle: Tensor) -> Tensor:
        """(sequences, longest, ...) -> (rows, ...): the inverse of `pad`."""
        rows = rectangle.flatten(0, 1)
        return rows if self.slots is None else rows.index_select(0, self.slots)

    def mask(self, like: Tensor) -> Tensor | None:
        """(sequences, 1, 1, longest): 0 for a token, -inf for padding; None without padding.

        It is added to attention scores, so it has their dtype and device (those of `like`).
        """
        if self.slots is None:
            return None
        mask = like.new_full((len(self.lengths) * self.longest,), float("-inf"))
        mask = mask.index_fill(0, self.slots, 0.0)
        return mask.view(len(self.lengths), 1, 1, self.longest)


@dataclass(frozen=True)
class Selection:
    """Some tokens of a packed batch: those whose output somebody reads."""

    indices: Tensor  # (selected,) ascending indices into the run of tokens
    layout: Layout  # how the selected tokens are spread over the sequences

    def of(self, rows: Tensor) -> Tensor:
        """(tokens, ...) -> (selected, ...)"""
        return rows.index_select(0, self.indices)


@dataclass(frozen=True)
class Computed:
    """What the lowest part of an encoder made of a batch."""

    layers: int  # that it went through; 0 means the embeddings' output
    hidden: Tensor  # (tokens, hidden); after all layers, of the tokens that the head reads


@dataclass(frozen=True)
class Packed:
    """A batch of sequences as one run of tokens."""

    input_ids: Tensor  # (tokens,) rows of the word embedding
    segment_ids: Tensor  # (tokens,) 0 for the first text of a pair, 1 for the second
    position_ids: Tensor  # (tokens,) place of each token in its own sequence
    layout: Layout  # where the tokens stand when attention lays them out as a rectangle
    computed: Computed | None = None  # known already, so that the encoder starts above it

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sequence."""
        return self.layout.lengths

    @property
    def cu_seqlens(self) -> Tensor:
        """(sequences + 1,) offsets at which the sequences start, and the end; on the CPU."""
        return torch.tensor((0, *self.lengths)).cumsum(0)

    def select(self, positions: Sequence[Sequence[int]]) -> Selection:
        """Select tokens by ascending places in their own sequences (else ValueError)."""
        if len(positions) != len(self.lengths):
            raise ValueError(f"got places for {len(positions)} of {len(self.lengths)} sequences")
        for number, (length, places) in enumerate(zip(self.lengths, positions)):
            if places and not 0 <= min(places) <= max(places) < length:
                raise ValueError(f"sequence {number} has {length} tokens, not {list(places)}")
        starts = self.cu_seqlens.tolist()
        indices = [start + place for start, places in zip(starts, positions) for place in places]
        layout = Layout.of([len(places) for places in positions])
        return to_device(Selection(torch.tensor(indices), layout), self.input_ids.device)

    def first_tokens(self) -> Selection:
        """Select each sequence's first token, which is [CLS]."""
        indices = self.cu_seqlens[:-1].to(self.input_ids.device)
        return Selection(indices, Layout((1,) * len(self.lengths), None))


def pack(
    sequences: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] | None = None
) -> Packed:
    """Pack the input ids, and as many segment ids (None: all 0), of each non-empty sequence."""
    lengths = [len(sequence) for sequence in sequences]
    if 0 in lengths:
        raise ValueError(f"sequence {lengths.index(0)} is empty; it needs at least one token")
    segments = [[0] * length for length in lengths] if segments is None else segments
    if len(sequences) != len(segments):
        raise ValueError(f"{len(sequences)} sequences but segments of {len(segments)}")
    for number, (length, segment) in enumerate(zip(lengths, segments)):
        if length != (given := len(segment)):
            raise ValueError(f"sequence {number}: {length} input ids but {given} segment ids")
    return Packed(
        layout=Layout.of(lengths),
        input_ids=torch.tensor([token for sequence in sequences for token in sequence]),
        segment_ids=torch.tensor([token for segment in segments for token in segment]),
        position_ids=torch.cat([torch.arange(length) for length in lengths]),
    )


def to_device(value: T, device: torch.device | str) -> T:
    """Return a tensor, or a dataclass of this module or of batches.py, with its tensors there."""
    moved: Any = value.to(device) if isinstance(value, Tensor) else value
    if is_dataclass(value):
        parts = {f.name: to_device(getattr(value, f.name), device) for f in fields(value)}
        moved = replace(moved, **parts)
    return moved
