"""Rows: peak memory of training above weights and optimizer state, batch of 64.

Each side trains in a process of its own, once on two texts (libraries are loaded then, and every
page of the weights is touched) and then on three batches of 64. What is reported is the peak of
the second run minus what the process had before it, minus Adam's two moments of what learns. So
gradients, activations, batches, caches and copies count. Linux only: the system keeps the peak.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from minift.bert.heads import SequenceClassifier
from minift.checkpoints.weights import hf_name, load_model
from minift.methods.bitfit import bitfit
from minift.methods.freezing import freeze
from minift.speed.rows import used_rows
from minift.training.batches import Item
from minift.training.loop import Settings, Trainable, everything
from tests.benchmarks.common import Result, costlier, in_turn, same
from tests.benchmarks.training import own_loop
from tests.benchmarks.world import World, plain_loop, without_dropout

METHODS = ("full", "bitfit", "frozen")
CLEAR = Path("/proc/self/clear_refs")


def trainable_of(method: str, world: World) -> Trainable:
    """Return which parameters learn."""
    return {"full": everything, "bitfit": bitfit(), "frozen": freeze(world.size(4, 1))}[method]


def child(side: str, method: str, world: World, batch: int) -> dict[str, float]:
    """Train in this process; return its peak, in megabytes, and the loss without dropout."""
    trainable = trainable_of(method, world)
    own, _ = load_model(SequenceClassifier, world.folder)
    learns = tuple(trainable(own))
    names = [hf_name(name) for name in learns]
    count = 3 * batch
    if side == "ours":
        model: nn.Module = own
        data: Sequence = world.items(count)
    else:
        del own
        model, data = world.reference(), world.encoded(count)
        world.collate  # noqa: B018 - imports
    model.to(world.device)
    # As `minift train` does, ours holds the moments of those rows of the word table that are read.
    rows = used_rows(model, data, learns) if side == "ours" else contextlib.nullcontext()
    with rows:
        learning = [p for name, p in model.named_parameters() if hf_name(name) in names]
        moments = sum(2 * 4 * parameter.numel() for parameter in learning)

    def train(model: nn.Module, data: Sequence, size: int) -> float:
        if side == "ours":
            chosen = Settings(epochs=1, batch_size=size, learning_rate=1e-5)
            items: Sequence[Item] = data
            return own_loop(model, items, 1, trainable, chosen)
        order = [list(range(at, min(at + size, len(data)))) for at in range(0, len(data), size)]
        return plain_loop(model, data, [order], world.collate, names)

    loss = train(without_dropout(model), data[:2], 2)
    train(model, data[:2], 2)
    for parameter in model.parameters():
        parameter.grad = None
        parameter.sum()
    gc.collect()
    if world.device == "cpu":
        ctypes.CDLL(None).malloc_trim(0)
        before = _status("VmRSS")
        CLEAR.write_text("5")  # the peak starts again from here
        train(model, data, batch)
        peak = _status("VmHWM") - before
    else:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
        train(model, data, batch)
        peak = torch.cuda.max_memory_allocated() / 2**20 - before
    return {"peak": peak - moments / 2**20, "loss": loss}


def _status(key: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) / 1024


def measure(side: str, method: str, world: World) -> dict[str, float]:
    """Run `child` in a process of its own."""
    world.folder  # noqa: B018 - made once, by this process
    command = [sys.executable, "-m", "tests.benchmarks.memory", side, method]
    command += [str(world.scratch), "quick" if world.quick else "real"]
    command += [world.device, world.shapes, world.attention]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(method: str, world: World) -> Iterator[Result]:
    """Compare the losses, then the peaks."""
    work = f"peak memory, batch of 64, {method}, above weights and state"
    name = f"memory_{method}"
    if world.device == "cpu" and not CLEAR.exists():
        note = "not measured: needs Linux, whose /proc keeps a process's peak"
        yield Result(name, work, 0.7, "at most", note=note)
        return
    losses: dict[str, float] = {}

    def peak(side: str) -> float:
        found = measure(side, method, world)
        losses[side] = found["loss"]
        return found["peak"]

    ours, theirs = in_turn(
        [lambda: peak("ours"), lambda: peak("theirs")], world.rounds, warm_up=False
    )
    same("loss of two texts without dropout", losses["ours"], losses["theirs"])
    yield Result(name, work, 0.7, "at most", **costlier(ours, theirs, "MB"))


def full_rows(world: World) -> Iterator[Result]:
    """All parameters learn."""
    return rows_of("full", world)


def bitfit_rows(world: World) -> Iterator[Result]:
    """Biases and the head learn."""
    return rows_of("bitfit", world)


def frozen_rows(world: World) -> Iterator[Result]:
    """The lowest four layers are frozen."""
    return rows_of("frozen", world)


if __name__ == "__main__":  # as `measure` starts it
    _, side, method, scratch, kind, device, shapes, attention = sys.argv
    there = World(
        Path(scratch), quick=kind == "quick", device=device, shapes=shapes, attention=attention
    )
    there.__dict__["folder"] = Path(scratch) / "classifier"  # made by the parent
    torch.manual_seed(0)
    print(json.dumps(child(side, method, there, there.size(64, 8))))
