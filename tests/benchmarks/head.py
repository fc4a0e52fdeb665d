"""Row: only the classifier learns (linear probe), 10 epochs, the encoder computed once a text."""

from __future__ import annotations

from collections.abc import Iterator

from minift.methods.freezing import head_only
from tests.benchmarks.common import Result
from tests.benchmarks.training import against_plain
from tests.benchmarks.world import World


def rows(world: World) -> Iterator[Result]:
    """Time it."""
    work = "head only (linear probe), 10 epochs"
    return against_plain(world, "head", work, 15.0, 12, epochs=10, trainable=head_only())
