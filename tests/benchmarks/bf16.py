"""Rows: the work of other rows in bf16, against the same programs of transformers in bf16.

Both sides compute matrix products under autocast, and each is also timed in float32 in the same
rounds; the note says what bf16 brings to ours. Not measured where the processor has no bf16.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from minift.bert.packing import to_device
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.methods.bitfit import bitfit
from minift.runs.evaluate import predict_logits
from minift.speed.precision import compute_in, require_precision
from minift.training.batches import make_batch
from minift.training.loop import Precision, Trainable, everything, select
from tests.benchmarks.common import Program, Result, faster, in_turn, same, seconds
from tests.benchmarks.training import own_loop
from tests.benchmarks.world import BATCH, World, orders, plain_loop, settings

WORK = {
    "full_bf16": "full fine-tuning in bf16, against a plain loop in bf16",
    "bitfit_bf16": "BitFit in bf16, against the same parameters in bf16",
    "inference_bf16": "inference in bf16, input order",
}
Ours = Callable[[Precision], object]


def rows(world: World) -> Iterator[Result]:
    """Compare, then time."""
    try:
        require_precision("bf16", torch.device(world.device))
    except MiniftError:
        for name, work in WORK.items():
            yield Result(name, work, None, note="not measured: it would be emulated here")
        return
    own, reference = world.own(), in_bf16(world.reference(), world.device)
    batch = to_device(make_batch(world.items(BATCH)), world.device)
    theirs = reference(**world.collate(world.encoded(BATCH))).logits.detach()
    compute_in(own, "bf16")
    same("logits in bf16", own(batch.packed, batch.wanted).detach(), theirs.float(), 0.05)

    count = BATCH * world.size(12, 2)
    items, encoded = world.items(count), world.encoded(count)
    (order,) = orders(items, 1)

    def train(precision: Precision, trainable: Trainable) -> None:
        chosen = replace(settings(), precision=precision)
        own_loop(own, items, 1, trainable, chosen)

    for name, trainable in (("full_bf16", everything), ("bitfit_bf16", bitfit())):
        names = [hf_name(n) for n in select(own, trainable)]
        yield timed(
            world,
            name,
            lambda precision, trainable=trainable: train(precision, trainable),
            lambda names=names: plain_loop(reference, encoded, [order], world.collate, names),
            count,
        )

    many = world.size(2000, 40)
    texts = world.items(many)
    bare = [{k: v for k, v in row.items() if k != "labels"} for row in world.encoded(many)]

    def predict(precision: Precision) -> None:
        compute_in(own, precision)
        predict_logits(own, texts)

    def plain() -> None:
        reference.eval()
        loader = torch.utils.data.DataLoader(bare, batch_size=BATCH, collate_fn=world.collate)
        with torch.inference_mode():
            for batch in loader:
                reference(**batch)

    yield timed(world, "inference_bf16", predict, plain, many)


def timed(world: World, name: str, ours: Ours, theirs: Callable[[], object], count: int) -> Result:
    """Time ours in both precisions and theirs in bf16, in turn."""
    programs: list[Program] = [
        lambda: seconds(lambda: ours("bf16")),
        lambda: seconds(theirs),
        lambda: seconds(lambda: ours("float32")),
    ]
    mine, plain, full = in_turn(programs, world.rounds)
    gains = [b / a for a, b in zip(mine, full)]
    brings = f"{statistics.median(gains):.2f} [{min(gains):.2f}, {max(gains):.2f}]"
    note = f"ours is {brings} times as fast as in float32"
    return Result(name, WORK[name], None, note=note, **faster(mine, plain, count, "texts"))


def in_bf16(model: nn.Module, device: str) -> nn.Module:
    """Let transformers' model compute under autocast, as its `Trainer` does with bf16=True."""
    model.forward = torch.autocast(device, torch.bfloat16)(model.forward)
    return model
