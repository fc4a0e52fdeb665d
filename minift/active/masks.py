"""Dropout masks that belong to a text, not to a batch.

Claim    Whether an element is dropped is a function of (seed, pass, text, site, row, column) and
         of nothing else: the same text gets the same masks in any batch, at any place in it,
         under any padding, and also where only some of its tokens are computed.
Source   splitmix64: Steele, Lea & Flood (2014), "Fast Splittable Pseudorandom Number
         Generators", https://doi.org/10.1145/2660193.2660195; here the constants of its usual
         64-bit finaliser. Its n-th number needs no n - 1 before it: mix(key + n * GAMMA).
Differs  As in bert/dropout.py, one 64-bit number decides four elements, p is rounded to a
         multiple of 2**-16, and what is kept is scaled by the rounded p.
Proof    tests/active/test_masks.py
"""

import hashlib
from array import array
from collections.abc import Sequence

import torch
from torch import Tensor

from minift.bert.dropout import thinned
from minift.training.batches import Item

# The odd constants of splitmix64 as int64 holds them; products wrap around, as they must.
GAMMA = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def text_keys(items: Sequence[Item], seed: int, consistent: bool = False) -> Tensor:
    """Return a key (items,) for each input: a hash of the seed and of what the model reads.

    `consistent` hashes the seed alone: within a pass all texts see one and the same thinned
    network.
    """
    keys = []
    for item in items:
        read = array("q", [] if consistent else [*item.input_ids, -1, *item.segment_ids])
        digest = hashlib.blake2b(f"{seed}:".encode() + read.tobytes(), digest_size=8)
        keys.append(int.from_bytes(digest.digest(), "little", signed=True))
    return torch.tensor(keys, dtype=torch.int64)


def derive(keys: Tensor, numbers: Tensor | int) -> Tensor:
    """Return the keys of the children `numbers` (0, 1, ...) of `keys`; both broadcast."""
    numbers = torch.as_tensor(numbers, device=keys.device)
    mixed = keys + (numbers + 1) * GAMMA
    for places, factor in ((30, _FIRST), (27, _SECOND)):
        mixed ^= _shifted(mixed, places)
        mixed *= factor
    mixed ^= _shifted(mixed, 31)
    return mixed


def _shifted(numbers: Tensor, places: int) -> Tensor:
    """Shift to the right and bring in zeros; `>>` alone would bring in the sign."""
    return (numbers >> places).bitwise_and_(2 ** (64 - places) - 1)


def keyed_mask(row_keys: Tensor, columns: int, probability: float, dtype: torch.dtype) -> Tensor:
    """Return (..., columns), 0 with this probability or 1 / (1 - probability), from row_keys (...).

    Each row is the beginning of its key's own stream.
    """
    fours = torch.arange((columns + 3) // 4, device=row_keys.device)
    numbers = derive(row_keys.unsqueeze(-1), fours)  # (..., columns / 4)
    return thinned(numbers.view(torch.int16)[..., :columns], probability, dtype)
