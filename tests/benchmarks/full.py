"""Rows: full fine-tuning, dropout on, against `Trainer` and against a plain loop.

The bound: all matrix products of an epoch, forward and backward, at the rate of bare products of
the same sizes, measured in the same rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from minift.training.batches import make_batch
from minift.training.loop import everything
from tests.benchmarks.common import Result, faster, in_turn, same, seconds
from tests.benchmarks.training import check_epoch, own_loop, trainer_loop
from tests.benchmarks.world import (
    BATCH,
    World,
    bound_rate,
    check_step,
    orders,
    plain_loop,
    products_of,
    without_dropout,
)


def rows(world: World) -> Iterator[Result]:
    """Full fine-tuning against `Trainer` and against a plain loop, and as a share of the bound."""
    count = BATCH * world.size(12, 2)
    names = check_step(world)
    items, encoded = world.items(count), world.encoded(count)
    (order,) = orders(items, 1)
    own, reference = world.own(), world.reference()
    check_epoch(world, own, reference, items, encoded, everything, names)
    mine = own_loop(without_dropout(own), items, 1, everything)
    theirs, _ = trainer_loop(without_dropout(reference), encoded, order, world.collate)
    same("mean loss of Trainer's epoch without dropout", mine, theirs, 1e-2)

    batches = [make_batch([items[i] for i in group]) for group in order]
    products = products_of(own, batches, everything)
    tokens = sum(len(item.input_ids) for item in items) // len(batches)
    own_seconds, trainer_seconds, plain_seconds, rates = in_turn(
        [
            lambda: seconds(lambda: own_loop(own, items, 1, everything)),
            lambda: trainer_loop(reference, encoded, order, world.collate)[1],
            lambda: seconds(lambda: plain_loop(reference, encoded, [order], world.collate)),
            lambda: bound_rate(own, tokens, backward=True, quick=world.quick),
        ],
        world.rounds,
    )
    share = statistics.median(products / rate / s for rate, s in zip(rates, own_seconds))
    yield Result(
        "full",
        "full fine-tuning, dropout on, against Trainer",
        2.2,
        fraction_of_bound=share,
        fraction_goal=0.55,
        note=f"bound: products at {statistics.median(rates) / 1e9:.0f} GFLOP/s",
        **faster(own_seconds, trainer_seconds, count, "texts"),
    )
    yield Result(
        "full_plain",
        "the same against a plain loop",
        None,
        **faster(own_seconds, plain_seconds, count, "texts"),
    )
