"""How time grows: sequence length, batch size, labels, pool size, passes; minift and transformers.

    python -m tests.benchmarks.growth [AXIS ...] --out FOLDER [--pairs N] [--quick]

Along each axis everything else stays. Written are growth.json and, with matplotlib, growth.png:
both axes are logarithmic, so that time ~ size^k is a line of slope k. The slope printed is that of
the upper half of the sizes; below it fixed costs show.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from minift.active.mc_dropout import Layers, mc_logits
from minift.files import atomic_write
from minift.training.batches import Item
from tests.benchmarks.common import Program, in_turn, machine, seconds
from tests.benchmarks.training import own_loop
from tests.benchmarks.world import BATCH, Encoded, World, check_step, plain_loop, settings


@dataclass(frozen=True)
class Point:
    """The programs at one size: name -> what is timed."""

    size: int
    programs: dict[str, Program]


def _training(world: World, items: Sequence[Item], encoded: Sequence[Encoded], batch: int) -> dict:
    own, reference = world.own(), world.reference()
    chosen = replace(settings(), batch_size=batch)
    order = [list(range(at, min(at + batch, len(items)))) for at in range(0, len(items), batch)]
    return {
        "minift": lambda: seconds(lambda: own_loop(own, items, 1, chosen=chosen)),
        "transformers": lambda: seconds(
            lambda: plain_loop(reference, encoded, [order], world.collate)
        ),
    }


def sequence_length(world: World) -> Iterator[Point]:
    """A step on 16 texts of exactly so many tokens: nobody pads."""
    vocabulary = world.own().config.vocab_size
    for length in (8, 16, 32, 64, 128, 256, 512) if not world.quick else (8, 16, 32):
        source = random.Random(0)
        texts = [[source.randrange(5, vocabulary) for _ in range(length)] for _ in range(BATCH)]
        items = [Item(n, ids, [0] * length, [0], [n % 2]) for n, ids in enumerate(texts)]
        encoded = [
            {"input_ids": ids, "attention_mask": [1] * length, "labels": n % 2}
            for n, ids in enumerate(texts)
        ]
        yield Point(length, _training(world, items, encoded, BATCH))


def batch_size(world: World) -> Iterator[Point]:
    """A step on so many real texts."""
    for size in (1, 2, 4, 8, 16, 32, 64, 128) if not world.quick else (1, 4, 16):
        yield Point(size, _training(world, world.items(size), world.encoded(size), size))


def labels(world: World) -> Iterator[Point]:
    """An epoch of full fine-tuning on so many labelled texts."""
    for count in (16, 32, 64, 128, 256, 512) if not world.quick else (8, 16, 32):
        yield Point(count, _training(world, world.items(count), world.encoded(count), BATCH))


def _asking(world: World, count: int, passes: int) -> dict[str, Program]:
    items, own, reference = world.items(count), world.own(), world.reference()
    encoded = world.encoded(count)
    batches = [encoded[at : at + BATCH] for at in range(0, count, BATCH)]

    def asking(layers: Layers) -> Program:
        return lambda: seconds(lambda: mc_logits(own, items, passes, layers))

    def plain() -> None:  # dropout left on, each pass through everything
        reference.train()
        with torch.inference_mode():
            for _ in range(passes):
                for batch in batches:
                    reference(**world.collate(batch))

    return {
        "minift, all sites": asking("all"),
        "minift, last layer": asking(1),
        "minift, head": asking("head"),
        "transformers": lambda: seconds(plain),
    }


def pool_size(world: World) -> Iterator[Point]:
    """Ten passes of MC dropout over so many texts."""
    for count in (25, 50, 100, 200, 400) if not world.quick else (8, 16, 32):
        yield Point(count, _asking(world, count, world.size(10, 2)))


def passes(world: World) -> Iterator[Point]:
    """So many passes of MC dropout over 50 texts."""
    for number in (1, 2, 5, 10, 20, 50) if not world.quick else (1, 2, 4):
        yield Point(number, _asking(world, world.size(50, 8), number))


AXES: dict[str, Callable[[World], Iterator[Point]]] = {
    "sequence length": sequence_length,
    "batch size": batch_size,
    "labels": labels,
    "pool size": pool_size,
    "passes": passes,
}
Curves = dict[str, list[tuple[int, float]]]  # program -> (size, median seconds)


def measure(axis: str, world: World) -> Curves:
    """Time all programs along an axis, in turn at each size."""
    curves: Curves = {}
    for point in AXES[axis](world):
        costs = in_turn(list(point.programs.values()), world.rounds)
        for name, taken in zip(point.programs, costs):
            curves.setdefault(name, []).append((point.size, statistics.median(taken)))
    return curves


def slope(curve: Sequence[tuple[int, float]]) -> float:
    """Return k of time ~ size^k over the upper half of the sizes."""
    upper = np.log(np.array(curve[(len(curve) - 1) // 2 :]))
    return float(np.polyfit(upper[:, 0], upper[:, 1], 1)[0])


def table(axis: str, curves: Curves) -> str:
    """Return seconds by size, a line a program, with the slope."""
    sizes = [size for size, _ in next(iter(curves.values()))]
    lines = [f"{axis:<20}" + "".join(f"{size:>9}" for size in sizes) + "    slope"]
    for name, curve in curves.items():
        lines.append(
            f"  {name:<18}" + "".join(f"{s:>9.3f}" for _, s in curve) + f"{slope(curve):>9.2f}"
        )
    return "\n".join(lines)


def draw(found: dict[str, Curves], file: Path) -> None:
    """Draw a panel an axis, log-log."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"transformers": "#E69F00"}
    blues = ("#0072B2", "#009E73", "#56B4E9")
    across = min(3, len(found))
    down = -(-len(found) // across)
    figure, panels = plt.subplots(
        down, across, figsize=(3.6 * across, 3.3 * down), squeeze=False, constrained_layout=True
    )
    for unused in panels.flat[len(found) :]:
        unused.set_axis_off()
    for axes, (axis, curves) in zip(panels.flat, found.items()):
        own = iter(blues)
        for name, curve in curves.items():
            sizes, taken = zip(*curve)
            label = f"{name} (slope {slope(curve):.2f})"
            axes.plot(sizes, taken, "o-", color=colours.get(name) or next(own), label=label)
        axes.set(xscale="log", yscale="log", xlabel=axis, ylabel="seconds")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=", ".join(AXES))
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--pairs", type=int, help="rounds at each size (default 3)")
    parser.add_argument("--quick", action="store_true", help="tiny: does every axis run?")
    parser.add_argument("--encoder", default="minilm", help="checkpoint (default minilm)")
    options = parser.parse_args(arguments)
    if unknown := [axis for axis in options.axes if axis not in AXES]:
        parser.error(f"no axis {', '.join(unknown)}; there are {', '.join(AXES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    print(machine() + ("; quick: these times mean nothing" if options.quick else ""), flush=True)
    found: dict[str, Curves] = {}
    rounds = options.pairs or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory() as scratch:
        world = World(Path(scratch), options.encoder, options.quick, rounds)
        check_step(world)
        for axis in options.axes or AXES:
            found[axis] = measure(axis, world)
            print(table(axis, found[axis]), flush=True)
            content = {"machine": machine(), "quick": options.quick, "seconds": found}
            atomic_write(options.out / "growth.json", json.dumps(content, indent=2) + "\n")
    try:
        draw(found, options.out / "growth.png")
    except ModuleNotFoundError:
        print("no plot: pip install matplotlib")
    return 0


if __name__ == "__main__":
    sys.exit(main())
