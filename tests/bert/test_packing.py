"""Packing loses nothing, adds nothing, and mixes no two sequences.

claim                                                        oracle
pad and unpad are inverses, for any lengths                  hypothesis; the rectangle by loops
gradients flow through pad to every row, and only once       the identity matrix, torch.autograd
the mask is -inf exactly where the rectangle has no token    the rectangle by loops
positions restart and segments stay with their sequence      lists written by hand
a selection names the tokens it was asked for                indexing sequence by sequence
bad batches are refused                                      the words
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.bert.packing import Layout, Packed, Selection, pack, to_device

proven = settings(max_examples=100, deadline=None, database=None)
LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(any)


def rows_of(lengths, width: int = 2) -> torch.Tensor:
    """Rows that differ from each other and from zero."""
    return torch.arange(1.0, 1 + sum(lengths) * width, dtype=torch.float64).view(-1, width)


# --- the rectangle -------------------------------------------------------------------------


@proven
@given(LENGTHS)
def test_padding_puts_each_sequence_into_its_row_from_the_left_and_zeros_after_it(lengths):
    layout, rows = Layout.of(lengths), rows_of(lengths)
    rectangle = layout.pad(rows)
    assert rectangle.shape == (len(lengths), max(lengths), 2)
    assert layout.longest == max(lengths)
    source = iter(rows)
    for sequence, length in enumerate(lengths):
        for place in range(max(lengths)):
            expected = next(source) if place < length else torch.zeros(2).double()
            assert torch.equal(rectangle[sequence, place], expected)


@proven
@given(LENGTHS)
def test_unpad_is_the_inverse_of_pad_and_ignores_what_stands_in_the_padding(lengths):
    layout, rows = Layout.of(lengths), rows_of(lengths)
    rectangle = layout.pad(rows)
    assert torch.equal(layout.unpad(rectangle), rows)
    spoilt = rectangle.masked_fill(rectangle == 0, float("nan"))
    assert torch.equal(layout.unpad(spoilt), rows)


@proven
@given(LENGTHS)
def test_the_mask_is_minus_infinity_exactly_where_there_is_no_token(lengths):
    like = torch.zeros(1, dtype=torch.float64)
    mask = Layout.of(lengths).mask(like)
    if min(lengths) == max(lengths):
        assert mask is None
        return
    assert mask.shape == (len(lengths), 1, 1, max(lengths))  # one row of keys for all queries
    assert mask.dtype == like.dtype
    for sequence, length in enumerate(lengths):
        expected = [0.0] * length + [float("-inf")] * (max(lengths) - length)
        assert mask[sequence, 0, 0].tolist() == expected


@pytest.mark.parametrize("lengths", [(3, 1, 2), (0, 2), (2, 2)])
def test_the_gradient_of_each_row_comes_back_through_pad_once(lengths):
    layout = Layout.of(lengths)
    rows = rows_of(lengths).requires_grad_()
    weights = torch.randn(
        len(lengths), max(lengths), 2, generator=torch.Generator().manual_seed(0)
    ).double()
    (layout.pad(rows) * weights).sum().backward()
    assert torch.equal(rows.grad, layout.unpad(weights))
    assert torch.autograd.gradcheck(layout.pad, (rows,))
    assert torch.autograd.gradcheck(layout.unpad, (weights.requires_grad_(),))


def test_sequences_of_equal_length_need_no_index_no_mask_and_no_copy():
    layout, rows = Layout.of([2, 2, 2]), rows_of([2, 2, 2])
    assert layout.slots is None
    assert layout.mask(rows) is None
    assert layout.pad(rows).data_ptr() == rows.data_ptr()
    assert layout.unpad(layout.pad(rows)).data_ptr() == rows.data_ptr()
    assert Layout.of([2, 2, 1]).slots is not None  # negative control


def test_the_layout_does_not_copy_or_wrap_the_rows_dtype_and_trailing_shape():
    layout = Layout.of([1, 2])
    for rows in (torch.ones(3), torch.ones(3, 2, 4).half(), torch.ones(3, dtype=torch.int64)):
        rectangle = layout.pad(rows)
        assert rectangle.shape == (2, 2, *rows.shape[1:])
        assert rectangle.dtype == rows.dtype
        assert torch.equal(layout.unpad(rectangle), rows)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]])
def test_nothing_cannot_be_laid_out(lengths):
    with pytest.raises(ValueError, match=r"nothing to lay out: the lengths are \["):
        Layout.of(lengths)


# --- the run of tokens ---------------------------------------------------------------------


def test_three_sequences_by_hand():
    packed = pack([[11, 12, 13], [21], [31, 32]], [[0, 0, 1], [0], [0, 1]])
    assert packed.input_ids.tolist() == [11, 12, 13, 21, 31, 32]
    assert packed.segment_ids.tolist() == [0, 0, 1, 0, 0, 1]
    assert packed.position_ids.tolist() == [0, 1, 2, 0, 0, 1]  # they restart
    assert packed.cu_seqlens.tolist() == [0, 3, 4, 6]
    assert packed.lengths == (3, 1, 2)
    assert packed.first_tokens().of(packed.input_ids).tolist() == [11, 21, 31]
    assert packed.layout.pad(packed.input_ids).tolist() == [[11, 12, 13], [21, 0, 0], [31, 32, 0]]


@proven
@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=5), min_size=1, max_size=5))
def test_every_sequence_is_found_again_with_its_positions(sequences):
    packed = pack(sequences)
    starts = packed.cu_seqlens.tolist()
    assert packed.input_ids.dtype == packed.position_ids.dtype == torch.int64
    for sequence, start, end in zip(sequences, starts, starts[1:]):
        assert packed.input_ids[start:end].tolist() == sequence
        assert packed.position_ids[start:end].tolist() == list(range(len(sequence)))
    assert starts[-1] == len(packed.input_ids) == len(packed.segment_ids)
    assert not packed.segment_ids.any()  # one text each: all of segment 0


def test_an_empty_sequence_is_refused_with_its_number():
    with pytest.raises(ValueError, match="sequence 1 is empty; it needs at least one token"):
        pack([[5], [], [6]])
    with pytest.raises(ValueError, match="nothing to lay out"):
        pack([])


def test_segments_that_do_not_fit_their_sequences_are_refused_with_both_counts():
    with pytest.raises(ValueError, match="sequence 1: 2 input ids but 3 segment ids"):
        pack([[5], [6, 7]], [[0], [0, 0, 1]])
    with pytest.raises(ValueError, match="2 sequences but segments of 1"):
        pack([[5], [6]], [[0]])  # would be broadcast over both


# --- selections ----------------------------------------------------------------------------


@st.composite
def batches_and_places(draw):
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    places = [sorted(draw(st.sets(st.integers(0, length - 1)))) for length in lengths]
    return lengths, places


@proven
@given(batches_and_places().filter(lambda drawn: any(drawn[1])))
def test_a_selection_names_the_tokens_asked_for_and_how_they_are_spread(drawn):
    lengths, places = drawn
    sequences = [
        [100 * number + place for place in range(length)] for number, length in enumerate(lengths)
    ]
    packed = pack(sequences)
    selected = packed.select(places)
    expected = [
        [sequence[place] for place in wanted] for sequence, wanted in zip(sequences, places)
    ]
    assert selected.of(packed.input_ids).tolist() == [token for row in expected for token in row]
    assert selected.layout.lengths == tuple(len(row) for row in expected)  # empty ones included
    assert selected.indices.tolist() == sorted(selected.indices.tolist())


def test_the_first_tokens_are_the_selection_of_place_0_everywhere():
    packed = pack([[1, 2], [3], [4, 5, 6]])
    first, asked = packed.first_tokens(), packed.select([[0], [0], [0]])
    assert torch.equal(first.indices, asked.indices)
    assert first.layout == asked.layout


@pytest.mark.parametrize("places", [[[0], [1], []], [[-1], [], []], [[], [], [2, 3]]])
def test_a_place_outside_its_sequence_is_refused_instead_of_reaching_into_the_next(places):
    with pytest.raises(ValueError, match=r"sequence [012] has [123] tokens, not \["):
        pack([[1, 2], [3], [4, 5, 6]]).select(places)


def test_places_for_too_few_sequences_or_for_none_are_refused():
    packed = pack([[1, 2], [3]])
    with pytest.raises(ValueError, match="got places for 1 of 2 sequences"):
        packed.select([[0]])
    with pytest.raises(ValueError, match=r"nothing to lay out: the lengths are \[0, 0\]"):
        packed.select([[], []])


def test_moving_a_batch_moves_every_tensor_and_keeps_the_offsets_on_the_cpu(device):
    packed = to_device(pack([[1, 2, 3], [4]], [[0, 1, 1], [0]]), device)
    wanted = packed.select([[0, 2], []])
    on_device = [packed.input_ids, packed.segment_ids, packed.position_ids]
    on_device += [packed.layout.slots, wanted.indices, wanted.layout.slots]
    on_device += [packed.first_tokens().indices]
    assert {tensor.device.type for tensor in on_device} == {device.type}
    assert packed.cu_seqlens.device.type == "cpu"
    assert isinstance(packed, Packed)
    assert isinstance(to_device(wanted, "cpu"), Selection)
    rows = torch.ones(4, 2, device=device)
    assert packed.layout.mask(packed.layout.pad(rows)).device.type == device.type
