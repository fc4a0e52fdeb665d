"""What makes MC dropout fast: below the lowest site once per text, above it in full batches.

Claim    No number changes. The layers below the lowest site that samples run once per text, not
         once per pass. Above it, texts of one length and several of their passes share a batch,
         so nothing is padded; only where that would make many small batches are lengths mixed.
Proof    tests/active/test_mc_dropout.py
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor, nn

from minift.bert.encoder import encoder_of
from minift.bert.packing import Computed, Layout, Packed, Selection, to_device
from minift.runs.processes import my_share
from minift.speed.prefix import PrefixCache, rows_of, run_up_to
from minift.training.batches import Batch, Item, make_batch
from minift.training.items import by_length


def batches(
    model: nn.Module,
    items: Sequence[Item],
    lowest: int,
    passes: int,
    tokens: int,
    cache: PrefixCache | None = None,
) -> Iterator[tuple[list[int], Batch, int]]:
    """Yield the places of some items, their batch, and how many rows of it each pass computes.

    What lies below `lowest`, the depth of the lowest site that samples, is computed already.
    """
    device = next(model.parameters()).device
    below = min(lowest - 1, len(encoder_of(model).layers))  # layers; -1: not even the embeddings
    for group in my_share(list(by_length(items, tokens))):
        chosen = [items[i] for i in group]
        states = None if below < 0 else _states(model, chosen, below, cache)
        sizes = [len(rows) for rows in states] if states else [len(i.input_ids) for i in chosen]
        for places in _of_one_length(chosen, passes * sum(sizes), tokens):
            batch = to_device(make_batch([chosen[n] for n in places]), device)
            if states is not None:
                computed = Computed(below, torch.cat([states[n] for n in places]))
                batch = replace(batch, packed=replace(batch.packed, computed=computed))
            yield [group[n] for n in places], batch, sum(sizes[n] for n in places)


def _of_one_length(items: Sequence[Item], rows: int, tokens: int) -> list[list[int]]:
    """Split texts, sorted by length, into those of one length; not into many small batches."""
    found = groupby(range(len(items)), key=lambda n: len(items[n].input_ids))
    runs = [list(run) for _, run in found]
    return runs if rows >= len(runs) * tokens // 16 else [list(range(len(items)))]


def _states(
    model: nn.Module, items: Sequence[Item], below: int, cache: PrefixCache | None
) -> Sequence[Tensor]:
    """Run the part that does not sample; return the rows of each item."""
    batch = make_batch(items)
    if cache is not None and cache.layers <= below:
        batch = cache.add_to(batch, items)
    batch = to_device(batch, next(model.parameters()).device)
    return run_up_to(model, below, batch).split([rows_of(model, below, item) for item in items])


def repeated(batch: Batch, times: int) -> Batch:
    """Return `times` copies of a batch as one, one copy after the other."""
    packed, wanted, known = batch.packed, batch.wanted, batch.packed.computed

    def each(indices: Tensor, size: int) -> Tensor:
        starts = torch.arange(times, device=indices.device).unsqueeze(1) * size
        return (starts + indices).flatten()

    def layout(of: Layout) -> Layout:
        size = len(of.lengths) * of.longest  # of the rectangle
        return Layout(of.lengths * times, None if of.slots is None else each(of.slots, size))

    return Batch(
        Packed(
            packed.input_ids.repeat(times),
            packed.segment_ids.repeat(times),
            packed.position_ids.repeat(times),
            layout(packed.layout),
            None if known is None else Computed(known.layers, known.hidden.repeat(times, 1)),
        ),
        Selection(each(wanted.indices, len(packed.input_ids)), layout(wanted.layout)),
        torch.cat([batch.targets] * times),
    )
