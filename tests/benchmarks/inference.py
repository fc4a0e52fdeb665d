"""Row: predictions for 10,000 texts, in the order of the input.

The plain loop takes batches of 16 in that order, as a DataLoader gives them. minift sorts by
length, fills batches of 2,048 tokens, and puts the answers back.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import torch

from minift.runs.evaluate import TOKENS_PER_BATCH, predict_logits
from minift.training.batches import make_batch
from minift.training.items import by_length
from tests.benchmarks.common import Result, faster, in_turn, same, seconds
from tests.benchmarks.world import BATCH, World, bound_rate, products_of


def rows(world: World) -> Iterator[Result]:
    """Compare, then time."""
    count = world.size(10_000, 40)
    items = world.items(count)
    encoded = [
        {name: ids for name, ids in row.items() if name != "labels"} for row in world.encoded(count)
    ]
    own, reference = world.own(), world.reference()

    def theirs(many: int = count) -> torch.Tensor:
        loader = torch.utils.data.DataLoader(
            encoded[:many], batch_size=BATCH, collate_fn=world.collate
        )
        with torch.inference_mode():
            return torch.cat([reference(**batch).logits for batch in loader])

    same("logits in the order of the input", torch.cat(predict_logits(own, items[:40])), theirs(40))
    groups = [[items[i] for i in group] for group in by_length(items, TOKENS_PER_BATCH)]
    products = products_of(own, [make_batch(group) for group in groups], None)
    tokens = sum(len(item.input_ids) for item in items) // len(groups)
    mine, plain, rates = in_turn(
        [
            lambda: seconds(lambda: predict_logits(own, items)),
            lambda: seconds(theirs),
            lambda: bound_rate(own, tokens, backward=False, quick=world.quick),
        ],
        world.rounds,
    )
    share = statistics.median(products / rate / s for rate, s in zip(rates, mine))
    yield Result(
        "inference",
        f"inference over {count:,} texts, input order",
        2.0,
        fraction_of_bound=share,
        fraction_goal=0.70,
        note=f"bound: products at {statistics.median(rates) / 1e9:.0f} GFLOP/s",
        **faster(mine, plain, count, "texts"),
    )
