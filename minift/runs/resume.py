"""Where a run stands, on disk: a run that was killed goes on as if nothing had happened.

Claim    A checkpoint holds all that the rest of a run depends on, taken between two optimizer
         steps: weights, Adam's moments, every random stream, the place in the epoch. A file's
         name ends with the digest of its content, so one that was cut off or flipped is known,
         named, and passed over for the one before.
Differs  A schedule is not stored: it is a function of the steps and of the validation losses, and
         hears those again. What never changes (the frozen weights, the masks of Child-Tuning D)
         is made anew from the same seeds.
         Of several processes the first writes and reads; each has its own stream of dropout.
Proof    tests/runs/test_resume.py
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
from torch import Tensor, nn

from minift.files import atomic_directory_write
from minift.runs.processes import from_all, from_first, rank
from minift.training.schedules import Schedule

if TYPE_CHECKING:
    from minift.training.loop import History

KEPT = 2  # the last one, and the one before in case the last is damaged
_NAME = re.compile(r"step-(\d+)-([0-9a-f]{16})\.pt")


@dataclass
class Place:
    """Where a run stands.

    Args:
        epoch: the one under way.
        done: its steps so far.
        step: optimizer steps of the whole run so far.
        rate: learning rate of the last of them.
        loss, count: sums over the epoch.
        best_score: of all epochs so far.
        seconds, training_seconds: so far, with and without evaluation.
    """

    epoch: int = 1
    done: int = 0
    step: int = 0
    rate: float = 0.0
    loss: float = 0.0
    count: int = 0
    best_score: float = float("-inf")
    seconds: float = 0.0
    training_seconds: float = 0.0

    def add(self, loss: float, count: int, seconds: float) -> None:
        """Take in one step."""
        self.done, self.step = self.done + 1, self.step + 1
        self.loss, self.count = self.loss + loss, self.count + count
        self.training_seconds += seconds

    def begin_epoch(self, epoch: int) -> None:
        """Start the sums anew."""
        self.epoch, self.done, self.loss, self.count = epoch, 0, 0.0, 0


@dataclass
class RunState:
    """What the rest of a run depends on, beside its `Place`.

    Args:
        parameters: what learns, by name.
        optimizer, schedule, history: of the run.
        order, dropout, masks: the random streams; `masks` if the gradient rule draws from one.
    """

    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    order: torch.Generator
    dropout: torch.Generator
    masks: torch.Generator | None
    history: History

    def state(self, place: Place, epoch_order: Tensor) -> dict[str, Any]:
        """Return it for a checkpoint; `epoch_order`: what `order` was as the epoch began."""
        streams = {"order": epoch_order, "dropout": torch.stack(from_all(self.dropout.get_state()))}
        if self.masks is not None:
            streams["masks"] = self.masks.get_state()
        return {
            "place": asdict(place),
            "weights": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "streams": streams,
            "epochs": [record.as_dict() for record in self.history.epochs],
            "best_epoch": self.history.best_epoch,
            "best": self.history.weights.get("best", {}),
        }

    def restore(self, state: dict[str, Any]) -> Place:
        """Put everything back as `state` has it."""
        with torch.no_grad():
            for name, weights in state["weights"].items():
                self.parameters[name].copy_(weights)
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.set_state(state["streams"]["order"])
        size = self.dropout.get_state().numel()
        own = state["streams"]["dropout"].view(-1, size)[rank()]
        self.dropout.set_state(own.clone())  # torch 2.13 crashes on a part of a tensor
        if self.masks is not None:
            self.masks.set_state(state["streams"]["masks"])
        from minift.training.loop import Epoch

        self.history.epochs = [Epoch(**record) for record in state["epochs"]]
        self.history.best_epoch = state["best_epoch"]
        if state["best"]:
            device = next(iter(self.parameters.values())).device
            self.history.weights["best"] = {n: t.to(device) for n, t in state["best"].items()}
        for record in self.history.epochs:  # a schedule is a function of what it has heard
            self.schedule.after_epoch(record.dev_loss)
        return Place(**state["place"])


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: of their files; made when the first is written.
        every: seconds between two of them; 0 writes one after each step.
    """

    def __init__(self, folder: Path, every: float = 60.0):
        self.folder, self.every = folder, every
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write one."""
        return from_first(time.monotonic() - self._written >= self.every)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` optimizer steps, then drop all but the last `KEPT`.

        Raises:
            MiniftError: if the disk is full; the checkpoints before are still there.
        """

        if rank() > 0:
            return

        def write(folder: Path) -> None:
            with (folder / "new").open("wb") as file:
                hashing = _Hashing(file)
                torch.save(state, hashing)  # type: ignore[arg-type]  # these two methods will do
            name = f"step-{step:08d}-{hashing.digest.hexdigest()[:16]}.pt"
            (folder / "new").rename(folder / name)

        atomic_directory_write(self.folder, write)
        for old in self._files()[KEPT:]:
            old.unlink()
        self._written = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Return the newest state that is whole, or None; warn of those that are not."""
        return from_first(None if rank() > 0 else self._newest())

    def _newest(self) -> dict[str, Any] | None:
        for path in self._files():
            name = _NAME.fullmatch(path.name)
            if name is not None and _digest(path) == name[2]:
                return torch.load(path, map_location="cpu", weights_only=True)
            warnings.warn(f"{path} is damaged; the one before is used", stacklevel=2)
        return None

    def delete(self) -> None:
        """Remove them all: the run has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """The newest first."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: path.name, reverse=True)


class _Hashing:
    """A file that knows the digest of what was written to it."""

    def __init__(self, file: BinaryIO):
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()[:16]
