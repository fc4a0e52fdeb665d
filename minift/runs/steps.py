"""The loop of distillation and pretraining, which counts steps where fine-tuning counts epochs.

Claim    The batch, the dropout masks and the rate of step s are functions of the seeds and of s
         alone. So a run that was killed resumes from its checkpoint, which holds weights, Adam's
         moments and what was seen so far, and ends with the same bits.
Differs  training/loop.py counts passes over few labels. Distillation draws from two streams of
         different lengths, pretraining from a text that it may never finish; what both need
         instead is a look at held-out figures every N steps.
Proof    tests/runs/test_steps.py
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from minift.bert.dropout import set_dropout_generator
from minift.data.words import counted
from minift.errors import MiniftError, require
from minift.runs.resume import Checkpoints
from minift.training.loop import Diverged

Record = dict[str, Any]


@dataclass(frozen=True)
class Steps:
    """How long to train, how fast, and when to look."""

    steps: int  # of the optimizer; may be changed between a stop and the next start
    rate: Callable[[int], float]  # learning rate of step 0, 1, ...
    evaluate_every: int  # steps from one look to the next
    clip: float  # largest norm of the whole gradient; 0 switches clipping off
    score: str | None = None  # held-out figure whose highest value is kept; None keeps the last

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("evaluate_every", 1)):
            value = getattr(self, name)
            good = type(value) is int and value >= least
            require(good, name, value, f"a whole number from {least} up")
        require(0 <= self.clip < math.inf, "clip", self.clip, "a number from 0 up")


class StepTraining:
    """A training under way; `state()` is its checkpoint.

    Args:
        losses: returns the named parts of a step's loss, whose sum is minimised; a function of
            the step (and the weights) alone.
        checkpoints: of the run. If there is one already, the training resumes from it; a
            MiniftError says if that is of another model.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        losses: Callable[[int], Mapping[str, Tensor]],
        steps: Steps,
        seed: int,
        checkpoints: Checkpoints | None = None,
    ):
        self.model, self.optimizer, self.losses, self.steps = model, optimizer, losses, steps
        self.seed, self.checkpoints = seed, checkpoints
        self.dropout = torch.Generator(next(model.parameters()).device)
        set_dropout_generator(model, self.dropout)
        self.step, self.records, self.seconds = 0, list[Record](), 0.0  # a record per look
        self.sums, self.since = dict[str, float](), 0  # parts of the loss since the last look
        self.kept, self.kept_step = dict[str, Tensor](), 0
        self.best: float | None = None  # score of the kept step
        if checkpoints is None or (state := checkpoints.load()) is None:
            return
        try:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            for name in self._SEEN:
                setattr(self, name, state["seen"][name])
        except (RuntimeError, ValueError, KeyError) as error:
            raise MiniftError(
                f"{checkpoints.folder} holds a checkpoint of another model or another version of "
                f"minift: {str(error)[:300]}; choose another folder, or delete it to start again"
            ) from error

    _SEEN = ("step", "records", "seconds", "sums", "since", "kept", "kept_step", "best")

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        seen = {name: getattr(self, name) for name in self._SEEN}
        weights, moments = self.model.state_dict(), self.optimizer.state_dict()
        return {"model": weights, "optimizer": moments, "seen": seen}

    def looks(
        self, look: Callable[[], Mapping[str, float]] | None = None, progress: bool = False
    ) -> Iterator[Record]:
        """Train to the end, and yield each look's record; the model ends with the kept weights.

        While a record is yielded the model is in evaluation mode and has the weights of that
        moment. The checkpoint that knows of the record is written afterwards.

        `look` returns the held-out figures. Diverged is raised if the loss is not finite; the
        weights are then those of the step before.
        """
        length, began = self.steps.steps, time.perf_counter() - self.seconds
        hidden = None if progress else True
        with tqdm(total=length, initial=self.step, unit="step", disable=hidden) as bar:
            while self.step < length:
                self.model.train()
                self._take_step()
                bar.update()
                self.seconds = time.perf_counter() - began
                if self.step == length or self.step % self.steps.evaluate_every == 0:
                    self.model.eval()
                    record = self._record(look() if look else {})
                    bar.set_postfix(record)
                    yield record
                if self.checkpoints and (self.step == length or self.checkpoints.due):
                    self.checkpoints.save(self.step, self.state())
        self.stopped = f"all {counted(length, 'step')} done"
        if self.kept:
            self.model.load_state_dict(self.kept)
        self.model.eval()

    def _take_step(self) -> None:
        self.dropout.manual_seed(stream(self.seed, self.step))
        for group in self.optimizer.param_groups:
            group["lr"] = self.steps.rate(self.step)
        parts = self.losses(self.step)
        total = torch.stack(list(parts.values())).sum()
        if not total.isfinite():  # before the weights are spoilt
            raise Diverged(
                f"the loss became {total.item()} at step {self.step + 1}; lower the learning rate"
            )
        self.optimizer.zero_grad()
        total.backward()
        if self.steps.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.steps.clip)
        self.optimizer.step()
        self.step += 1
        for name, part in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(part.detach())

    def _record(self, figures: Mapping[str, float]) -> Record:
        means = {name: total / (self.step - self.since) for name, total in self.sums.items()}
        rate = self.steps.rate(self.step - 1)
        record = {"step": self.step, "seconds": self.seconds, "rate": rate, **means, **figures}
        if self.steps.score is None:
            self.kept_step = self.step
        else:
            score = figures[self.steps.score]
            better = record["best"] = self.best is None or score > self.best
            if better:
                self.best, self.kept_step = score, self.step
                self.kept = {n: t.clone() for n, t in self.model.state_dict().items()}
        self.records.append(record)
        self.sums, self.since = {}, self.step
        return record


def stream(seed: int, step: int) -> int:
    """Return a seed for each step of a run; no two are the same."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0]) >> 1


def rows_of(step: int, count: int, size: int, seed: int) -> list[int]:
    """Return which of `count` rows a step (0, 1, ...) reads: pass after pass, each in its order.

    A step reads `size` rows, the last of a pass those that are left.
    """
    per_pass = -(-count // size)
    order = np.random.default_rng((seed, step // per_pass)).permutation(count)
    at = step % per_pass * size
    rows: list[int] = order[at : at + size].tolist()
    return rows
