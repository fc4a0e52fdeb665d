"""Row: Fisher scores of single examples for all weights, in training epochs on the same texts."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from minift.bert.packing import to_device
from minift.methods.fast_fisher import fast_fisher
from minift.training.batches import make_batch
from minift.training.loop import cross_entropy, everything
from tests.benchmarks.common import Result, costlier, in_turn, same, seconds
from tests.benchmarks.training import own_loop
from tests.benchmarks.world import World


def rows(world: World) -> Iterator[Result]:
    """Compare with one backward pass an example, then time."""
    count = world.size(300, 32)
    items, own = world.items(count), world.own()
    few = items[:4]
    scores = fast_fisher(own, few)
    parameters = dict(own.named_parameters())
    by_hand = {name: torch.zeros_like(p) for name, p in parameters.items()}
    for item in few:
        loss = cross_entropy(own, to_device(make_batch([item]), world.device)).sum()
        for name, gradient in zip(by_hand, torch.autograd.grad(loss, list(parameters.values()))):
            by_hand[name] += gradient.square() / len(few)
    for name, score in scores.items():
        if not name.endswith("key.bias"):  # rounding errors around 0
            same(f"Fisher score of {name}", score, by_hand[name].detach(), 1e-3)

    mine, epoch = in_turn(
        [
            lambda: seconds(lambda: fast_fisher(own, items)),
            lambda: seconds(lambda: own_loop(own, items, 1, everything)),
        ],
        world.rounds,
    )
    work = f"per-example Fisher, {count} examples, in training epochs"
    yield Result("fisher", work, 2.5, "at most", **costlier(mine, epoch, "seconds"))
