"""What `.ci/gpu` measures beside the table: attention without padding, throughput, NCCL.

    python -m tests.benchmarks.gpu_steps varlen|throughput|nccl FILE --device cuda|cpu [--quick]

Weights are random, of an encoder's sizes (`world.SHAPES`), and texts are the embedded reviews.
Each row is written to FILE as soon as it is known.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist

from minift.active.mc_dropout import mc_logits
from minift.bert.encoder import Attention
from minift.bert.packing import to_device
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.runs import processes
from minift.runs.determinism import deterministic
from minift.runs.evaluate import predict_logits
from minift.runs.machine import machine
from minift.speed import varlen
from minift.speed.precision import compute_in, require_precision
from minift.training.batches import Item, make_batch
from minift.training.items import by_length
from minift.training.loop import Precision, Settings, everything
from tests.benchmarks.bf16 import in_bf16
from tests.benchmarks.common import NotTheSame, faster, in_turn, matmul_rate, seconds, spread
from tests.benchmarks.mc_dropout import asked_again
from tests.benchmarks.training import own_loop
from tests.benchmarks.world import SHAPES, Encoded, World, bound_rate, plain_loop, products_of

PRECISIONS = ("bf16", "tf32", "float32")  # tf32: float32 whose products are rounded, on a GPU
Rows = Iterator[dict]


def worlds(device: str, quick: bool) -> Iterator[World]:
    """Yield a world for each encoder's sizes."""
    for shapes in [*SHAPES][: 1 if quick else None]:
        with tempfile.TemporaryDirectory() as scratch:
            rounds = 1 if quick else 3
            yield World(Path(scratch), quick=quick, rounds=rounds, device=device, shapes=shapes)


# ---------------------------------------------------------------- attention without padding


def varlen_rows(device: str, quick: bool) -> Rows:
    """In bf16, the kernel for any lengths against the padded rectangle: error and time."""
    try:
        require_precision("bf16", torch.device(device))
    except MiniftError as error:
        yield {"not measured": str(error)}
        return
    for world in worlds(device, quick):
        own, items = world.own(), world.items(world.size(512, 24))
        for module in own.modules():
            if isinstance(module, Attention):
                module.dropout.probability = 0.0  # the kernel has none
        batch = to_device(make_batch(items), device)
        with torch.inference_mode():
            exact = own.bert(batch.packed)
            compute_in(own, "bf16")
            with counted() as calls:
                states = {"kernel": own.bert(batch.packed)}
            varlen.apply(own, False)
            states["rectangle"] = own.bert(batch.packed)
        error = {name: rms(found - exact) / rms(exact) for name, found in states.items()}
        if not error["kernel"] <= 1.2 * error["rectangle"]:
            raise NotTheSame(f"{world.shapes}: errors of bf16 {error}")
        yield {"shapes": world.shapes, "calls of the kernel": len(calls), "error": error}
        chosen = Settings(epochs=1, batch_size=world.size(64, 8), precision="bf16")
        size = world.size(16_384, 256)

        def predict(wanted: bool) -> float:
            varlen.apply(own, wanted)  # noqa: B023 - called in this round of the loop
            return seconds(lambda: predict_logits(own, items, size))  # noqa: B023

        def train(wanted: bool) -> float:
            applied = varlen.apply  # `compute_in`, which training calls, calls it
            varlen.apply = lambda model, _: applied(model, wanted)  # type: ignore[assignment]
            try:
                return seconds(lambda: own_loop(own, items, 1, everything, chosen))  # noqa: B023
            finally:
                varlen.apply = applied  # type: ignore[assignment]

        for work, program in (("prediction", predict), ("training", train)):
            both = [partial(program, True), partial(program, False)]
            with_it, without = in_turn(both, world.rounds)
            found = faster(with_it, without, len(items), "texts")
            yield {"shapes": world.shapes, "work": work, **found}


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count how often attention goes through the kernel inside the block."""
    calls: list[int] = []
    plain = varlen.attend

    def attend(*args: object) -> torch.Tensor:
        calls.append(1)
        return plain(*args)  # type: ignore[arg-type]

    varlen.attend = attend  # type: ignore[assignment]
    try:
        yield calls
    finally:
        varlen.attend = plain


def rms(values: torch.Tensor) -> float:
    """Return the root of the mean square."""
    return float(values.double().square().mean().sqrt())


# ---------------------------------------------------------------- tokens a second


def throughput_rows(device: str, quick: bool) -> Rows:
    """Tokens a second in each precision and batch size, ours, transformers', and the bound."""
    for world in worlds(device, quick):
        for precision in PRECISIONS:
            try:
                require_precision(
                    "bf16" if precision == "bf16" else "float32", torch.device(device)
                )
            except MiniftError as error:
                yield {"precision": precision, "not measured": str(error)}
                continue
            rough = precision == "tf32"
            torch.set_float32_matmul_precision("high" if rough else "highest")
            yield from throughput(world, precision)


def throughput(world: World, precision: str) -> Rows:
    """One encoder in one precision."""
    ours: Precision = "bf16" if precision == "bf16" else "float32"
    dtype = torch.bfloat16 if ours == "bf16" else torch.float32
    side = world.size(8192, 64)
    peak = matmul_rate([(side, side, side)], 0.01 if world.quick else 0.3, world.device, dtype)
    about = {"shapes": world.shapes, "precision": precision}
    yield {**about, "work": "one large product", "TFLOP/s": peak / 1e12}
    own, reference = world.own(), world.reference()
    if ours == "bf16":
        reference = in_bf16(reference, world.device)

    def row(work: str, batch: int, items: Sequence[Item], groups: list[list[int]],
            backward: bool, program: Callable, theirs: Callable) -> dict:  # fmt: skip
        """Time ours, theirs and bare products of the same sizes."""
        compute_in(own, "float32")
        batches = [make_batch([items[i] for i in group]) for group in groups]
        products = products_of(own, batches, everything if backward else None)
        compute_in(own, ours)
        tokens = sum(len(item.input_ids) for item in items)
        mine, plain, rates = in_turn(
            [
                lambda: seconds(program),
                lambda: seconds(theirs),
                lambda: bound_rate(own, tokens // len(groups), backward, world.quick, dtype),
            ],
            world.rounds,
        )
        share = [products / rate / s for rate, s in zip(rates, mine)]
        return {
            **about,
            "work": work,
            "texts in a batch": batch,
            **faster(mine, plain, tokens, "tokens"),
            "share of the bound": spread(share)["ratio"],
            "share of one large product": products / peak / statistics.median(mine),
        }

    for size in (16, 128):
        size = world.size(size, 8)
        count = size * world.size(8, 2)
        items, encoded = world.items(count), world.encoded(count)
        groups = [list(range(at, at + size)) for at in range(0, count, size)]
        chosen = Settings(epochs=1, batch_size=size, learning_rate=1e-5, precision=ours)
        train = partial(own_loop, own, items, 1, everything, chosen)
        loop = partial(plain_loop, reference, encoded, [groups], world.collate)
        yield row("training", size, items, groups, True, train, loop)

    def predict(encoded: Sequence[Encoded], size: int) -> None:
        reference.eval()
        loader = torch.utils.data.DataLoader(encoded, batch_size=size, collate_fn=world.collate)
        with torch.inference_mode():
            for batch in loader:
                reference(**batch).logits.cpu()

    count, some, passes = world.size(4096, 24), world.size(512, 12), world.size(10, 2)
    items = world.items(count)
    bare = [{k: v for k, v in row.items() if k != "labels"} for row in world.encoded(count)]
    length = sum(len(item.input_ids) for item in items) / count
    again = partial(asked_again, reference, bare[:some], passes, world.collate)
    for most in (2048, 16_384, 131_072):
        most = world.size(most, 128)
        size, groups = max(16, round(most / length)), list(by_length(items, most))
        own_way = partial(predict_logits, own, items, most)
        yield row("prediction", size, items, groups, False, own_way, partial(predict, bare, size))
        draw = partial(mc_logits, own, items[:some], passes, tokens=most)
        mine, theirs = in_turn([partial(seconds, draw), partial(seconds, again)], world.rounds)
        found = faster(mine, theirs, some, "texts")
        yield {**about, "work": "MC dropout, all sites", "tokens in a batch": most, **found}


# ---------------------------------------------------------------- several processes


class Several(int):
    """The number 1, which is not equal to 1: one process goes the way of several."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def nccl_rows(device: str, quick: bool) -> Rows:
    """One process trains through the messages that several would send, and comes to the same."""

    def train(world: World) -> list[torch.Tensor]:
        own = world.own()
        chosen = Settings(epochs=1, batch_size=world.size(32, 8), learning_rate=1e-4)
        own_loop(own, world.items(world.size(256, 16)), 1, everything, chosen)
        return [p.detach().cpu() for p in own.parameters()]

    with tempfile.TemporaryDirectory() as scratch, deterministic(True), ExitStack() as stack:
        world = World(Path(scratch), quick=quick, rounds=3, device=device, shapes="minilm")
        alone = train(world)
        stack.enter_context(processes.several(["gpu_steps", "nccl"], device))
        yield {"backend": dist.get_backend_config()}
        numbers = torch.ones(world.size(110_000_000, 1000), device=device)
        (taken,) = in_turn([lambda: seconds(lambda: dist.all_reduce(numbers))], world.rounds)
        yield {"summed": numbers.numel(), "seconds": statistics.median(taken)}
        with mock.patch.object(processes, "world_size", lambda: Several(1)):
            together = train(world)
        same = all(torch.equal(a, b) for a, b in zip(alone, together))
        yield {"weights are those of training without messages, bit for bit": same}
        if not same:
            raise NotTheSame("one process comes to other weights when it sends messages")


STEPS = {"varlen": varlen_rows, "throughput": throughput_rows, "nccl": nccl_rows}


def main() -> int:
    """Run a step; write its rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    done: list[dict] = []
    for row in STEPS[options.step](options.device, options.quick):
        print(json.dumps(row), flush=True)
        done.append(row)
        content = {"machine": machine(options.device), "quick": options.quick, "rows": done}
        atomic_write(options.file, json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
