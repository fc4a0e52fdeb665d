"""Row: BitFit, against a plain loop in which the same parameters learn."""

from __future__ import annotations

from collections.abc import Iterator

from minift.methods.bitfit import bitfit
from tests.benchmarks.common import Result
from tests.benchmarks.training import against_plain
from tests.benchmarks.world import World


def rows(world: World) -> Iterator[Result]:
    """Time it."""
    work = "BitFit, against the same parameters in a plain loop"
    return against_plain(world, "bitfit", work, 2.5, batches=12, trainable=bitfit())
