"""A mask belongs to (seed, pass, text, site, row, column) and to nothing else.

claim                                                        oracle
the numbers are those of splitmix64                          plain Python integers; published values
the share of zeros is p, in each of the four lanes           binomial distribution, 4 sigma
masks of neighbouring keys and columns are independent       correlation, 4 sigma
a longer row begins like a shorter one                       bit equality
a key knows seed, tokens and segments, and nothing else      equality and difference of keys
a consistent key knows the seed alone                        equality and difference of keys
"""

from __future__ import annotations

import math

import pytest
import torch

from minift.active.masks import GAMMA, derive, keyed_mask, text_keys
from minift.training.batches import Item

WORD = 2**64
SIGMAS = 4


def splitmix64(state: int, n: int) -> int:
    """The n-th number (from 1) of the generator, as its authors' reference code has it."""
    z = (state + n * 0x9E3779B97F4A7C15) % WORD
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def item(ids, segments=None, targets=(0,)) -> Item:
    return Item(0, list(ids), segments or [0] * len(ids), [0], list(targets))


def test_derive_is_splitmix64():
    assert splitmix64(1234567, 1) == 6457827717110365317  # widely published for this seed
    keys = torch.tensor([0, 1, -1, 1234567, 2**63 - 1, -(2**63), GAMMA])
    for n in (0, 1, 2, 77):
        expected = [splitmix64(key % WORD, n + 1) for key in keys.tolist()]
        assert [x % WORD for x in derive(keys, n).tolist()] == expected


def test_a_mask_row_is_the_stream_of_its_key_cut_into_four_lanes_each():
    key, columns, p = 987654321, 10, 0.3
    lanes = []
    for n in range(1, 4):
        number = splitmix64(key, n)
        lanes += [(number >> shift) & 0xFFFF for shift in (0, 16, 32, 48)]
    signed = [lane - 2**16 if lane >= 2**15 else lane for lane in lanes[:columns]]
    dropped = round(p * 2**16)
    expected = [0.0 if s < dropped - 2**15 else 2**16 / (2**16 - dropped) for s in signed]
    assert keyed_mask(torch.tensor([key]), columns, p, torch.float64)[0].tolist() == expected
    assert 0.0 in expected and len(set(expected)) == 2


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_p_in_each_of_the_four_lanes(probability, device):
    rows = derive(torch.zeros((), dtype=torch.int64, device=device), torch.arange(4000))
    mask = keyed_mask(rows, 400, probability, torch.float32)
    p = round(probability * 2**16) / 2**16
    for lane in range(4):
        share = (mask[:, lane::4] == 0).double().mean().item()
        assert abs(share - p) < SIGMAS * math.sqrt(p * (1 - p) / (4000 * 100))
    assert mask.unique().tolist() == [0.0, pytest.approx(1 / (1 - p))]


def test_masks_of_neighbouring_rows_columns_and_children_are_uncorrelated():
    rows = torch.arange(2000)  # the worst keys there are: 0, 1, 2, ...
    mask = keyed_mask(rows, 200, 0.5, torch.float64) - 1  # -1 or 1

    def correlation(a, b):
        return abs((a * b).mean().item()) * math.sqrt(a.numel())

    assert correlation(mask[:-1], mask[1:]) < SIGMAS
    for distance in (1, 2, 3, 4, 8):
        assert correlation(mask[:, :-distance], mask[:, distance:]) < SIGMAS
    child = keyed_mask(derive(rows, 0), 200, 0.5, torch.float64) - 1
    sibling = keyed_mask(derive(rows, 1), 200, 0.5, torch.float64) - 1
    assert correlation(mask, child) < SIGMAS
    assert correlation(child, sibling) < SIGMAS
    assert correlation(mask, mask) > SIGMAS  # negative control


def test_a_longer_row_begins_like_a_shorter_one_so_padding_changes_nothing():
    rows = derive(torch.tensor(5), torch.arange(9))
    long = keyed_mask(rows, 33, 0.4, torch.float32)
    for columns in (1, 4, 6, 32):
        assert torch.equal(keyed_mask(rows, columns, 0.4, torch.float32), long[:, :columns])


def test_a_key_knows_the_seed_the_tokens_and_the_segments_and_nothing_else():
    base = text_keys([item([1, 2, 3])], 0)
    assert torch.equal(text_keys([item([9]), item([1, 2, 3], targets=[1])], 0)[1:], base)
    for other, seed in (
        (item([1, 2, 3]), 1),
        (item([1, 3, 2]), 0),
        (item([1, 2]), 0),
        (item([1, 2, 3], [0, 0, 1]), 0),
    ):
        assert text_keys([other], seed) != base
    many = text_keys([item([a, b]) for a in range(60) for b in range(60)], 0)
    assert len(set(many.tolist())) == 3600


def test_a_consistent_key_knows_the_seed_alone():
    keys = text_keys([item([1, 2]), item([3])], 0, consistent=True)
    assert keys[0] == keys[1]
    assert text_keys([item([1, 2])], 1, consistent=True) != keys[0]
