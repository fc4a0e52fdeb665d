"""Where a run stands, on disk: a run that was killed resumes as if nothing had happened.

Claim    A checkpoint holds all that the rest of a run depends on, taken between two optimizer
         steps: weights, Adam's moments, every random stream, the place in the epoch. A file's
         name ends with the digest of its content, so one that was cut off or flipped is known,
         named, and passed over for the one before.
Differs  A schedule is not stored: it is a function of the steps and of the validation losses, and
         is given those again. What never changes (the frozen weights, the masks of Child-Tuning D)
         is made anew from the same seeds.
Proof    tests/runs/test_resume.py
"""

import re
import shutil
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from minift.files import atomic_directory_write, file_digest
from minift.runs.processes import from_all, from_first, rank
from minift.training.loop import Epoch, Training

KEPT = 2  # the last one, and the one before in case the last is damaged
_NAME = re.compile(r"step-(\d+)-([0-9a-f]{16})\.pt")


class Checkpoints:
    """The checkpoints of one run, in a folder that is made when the first is written."""

    def __init__(self, folder: Path, every: float = 60.0):
        self.folder = folder
        self.every = every  # seconds between two of them; 0 writes one after each step
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write one."""
        return from_first(time.monotonic() - self._written >= self.every)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` optimizer steps, then drop all but the last `KEPT`."""
        if rank() > 0:
            return

        def write(folder: Path) -> None:
            with (folder / "new").open("wb") as file:  # torch's own writer hides a full disk
                torch.save(state, file)
            name = f"step-{step:08d}-{file_digest(folder / 'new')[:16]}.pt"
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
            if name is not None and file_digest(path)[:16] == name[2]:
                return torch.load(path, map_location="cpu", weights_only=True)
            warnings.warn(f"{path} is damaged and passed over", stacklevel=2)
        return None

    def delete(self) -> None:
        """Remove them all: the run has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """The newest first."""
        found = [path for path in self.folder.glob("*") if _NAME.fullmatch(path.name)]
        return sorted(found, reverse=True)


def resumed(training: Training, checkpoints: Checkpoints) -> Iterator[Epoch | None]:
    """Iterate over a training from its newest checkpoint, and write one whenever it is due.

    The records of the epochs before come first. Each process has its own stream of dropout, and
    the first writes them all.
    """
    if (state := checkpoints.load()) is not None:
        size = training.dropout.get_state().numel()
        own = state["dropout"].view(-1, size)[rank()].clone()  # torch 2.13 crashes on a part
        training.load({**state, "dropout": own})
        yield from training.history.epochs
    for record in training:
        yield record
        if record is None and checkpoints.due:
            state = training.state()
            dropout = torch.stack(from_all(state["dropout"]))
            checkpoints.save(training.step, {**state, "dropout": dropout})
