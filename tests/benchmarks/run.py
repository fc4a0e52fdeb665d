"""The speed table: each row in one run, the two programs in turn, ratios with their spread.

    python tests/benchmarks/run.py [NAME ...] --json FILE [--pairs N] [--quick]
    python -m tests.benchmarks.run ...

Needs MINIFT_DATA (SST-2, WNUT-17), the MiniLM checkpoint (minift info minilm), transformers, and
for its rows baal. Run it alone on the machine: OMP_NUM_THREADS sets the threads of both sides.
`--device cuda` measures on a GPU (written, never run on one).
`--shapes` takes random weights of an encoder's sizes and the embedded reviews, so that nothing is
needed but this checkout. `--busy 2` keeps two other processes computing: a ratio that is then
another one says which program suffers more from company.
`--quick` runs everything on a tiny random model, to see that it works; its times mean nothing.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a file: this folder gives way to the checkout
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.benchmarks import (
    bf16,
    bitfit,
    compact,
    frozen,
    full,
    head,
    inference,
    loading,
    mc_dropout,
    memory,
)
from tests.benchmarks.common import Result, busy, machine, write
from tests.benchmarks.world import SHAPES, World

Rows = Callable[[World], Iterable[Result]]
# what measures them -> the rows it yields, in the order of the table
SCRIPTS: tuple[tuple[Rows, tuple[str, ...]], ...] = (
    (full.rows, ("full", "full_plain")),
    (bitfit.rows, ("bitfit",)),
    (frozen.rows, ("frozen",)),
    (head.rows, ("head",)),
    (inference.rows, ("inference",)),
    (mc_dropout.rows, ("mc_plain", "mc_all", "mc_all_both", "mc_last", "mc_head", "mc_head_kept")),
    (bf16.rows, tuple(bf16.WORK)),
    (loading.rows, ("loading",)),
    (loading.fresh_rows, ("loading_fresh",)),
    (loading.import_rows, ("import",)),
    (compact.rows, ("compact", "compact_load")),
    (memory.full_rows, ("memory_full",)),
    (memory.bitfit_rows, ("memory_bitfit",)),
    (memory.frozen_rows, ("memory_frozen",)),
)
NAMES = tuple(name for _, names in SCRIPTS for name in names)


def measure(names: Sequence[str], world: World) -> Iterator[Result]:
    """Yield the rows asked for, each as soon as it is known; all without names."""
    for rows, known in SCRIPTS:
        if not names or set(names) & set(known):
            yield from (row for row in rows(world) if not names or row.name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows, print the table, write it after each row; return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table here, too")
    parser.add_argument("--pairs", type=int, help="rounds of the two programs (default 5)")
    parser.add_argument("--quick", action="store_true", help="tiny: does every row run?")
    parser.add_argument("--encoder", default="minilm", help="checkpoint (default minilm)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    help = "random weights of these sizes, texts that minift brings along"
    parser.add_argument("--shapes", choices=[*SHAPES], default="", help=help)
    help = "of transformers, e.g. flash_attention_2 (default: as it comes, sdpa)"
    parser.add_argument("--attention", default="", metavar="NAME", help=help)
    help = "processes that compute beside all rows (default 0)"
    parser.add_argument("--busy", type=int, default=0, metavar="N", help=help)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(NAMES)}")
    rounds = options.pairs or (1 if options.quick else 5)
    command = shlex.join(["python", "-m", "tests.benchmarks.run", *arguments])
    print(
        machine(options.device) + ("; quick: these times mean nothing" if options.quick else ""),
        flush=True,
    )
    done = []
    with tempfile.TemporaryDirectory() as scratch, busy(options.busy):
        world = World(
            Path(scratch), options.encoder, options.quick, rounds, options.device, options.shapes,
            options.attention,
        )  # fmt: skip
        for row in measure(options.names, world):
            print(row.line(), flush=True)
            done.append(row)
            if options.json:  # after each row, for a run that is cut short
                about = {"command": command, "quick": options.quick, "pairs": rounds}
                about |= {"busy": options.busy}
                write(options.json, done, about, options.device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
