"""Row: the lowest 4 of 6 layers frozen, 10 epochs, hidden states below computed once a text.

The plain loop freezes the same parameters, as people do: it computes the frozen layers in every
epoch, with their dropout on. Here their dropout is off, which is what makes the cache exact.
"""

from __future__ import annotations

from collections.abc import Iterator

from minift.methods.freezing import freeze
from tests.benchmarks.common import Result
from tests.benchmarks.training import against_plain
from tests.benchmarks.world import World


def rows(world: World) -> Iterator[Result]:
    """Time it."""
    layers = world.size(4, 1)
    work = f"lowest {layers} layers frozen, 10 epochs"
    return against_plain(world, "frozen", work, 3.0, 6, epochs=10, trainable=freeze(layers))
