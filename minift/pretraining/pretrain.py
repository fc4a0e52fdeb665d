"""Pretraining: what turns batches of masked text into an encoder, for hours and through kills.

Claim    A run that was killed resumes from its last checkpoint and ends with the same bits as one
         that never stopped, since every step is a function of the seed and of its number.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, appendix A.2.
Differs  - The rate stays constant between warm-up and decay, so that the end of a run may be
           moved while it lasts.
         - The loop counts steps, not epochs; minift/runs/steps.py says why.
Proof    tests/pretraining/test_pretrain.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.errors import require
from minift.files import atomic_write
from minift.runs.resume import Checkpoints
from minift.runs.steps import Steps, StepTraining
from minift.training.batches import Batch
from minift.training.loop import Settings as LoopSettings
from minift.training.loop import adamw


def masked_lm_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean of -log p(piece) over the hidden pieces; nothing else is computed."""
    return F.cross_entropy(model(batch.packed, batch.wanted).float(), batch.targets)


@dataclass(frozen=True)
class Settings:
    """How long and how hard to pretrain."""

    steps: int  # length of the run. It may be changed between a stop and the next start.
    learning_rate: float = 2e-3  # between warm-up and decay
    warmup: int = 300  # steps of the linear rise
    decay: float = 0.4  # share of all steps that the linear fall to 0 takes, at the end
    weight_decay: float = 0.01  # as in fine-tuning, like the next two
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    seed: int = 0  # of dropout
    bf16: bool = False  # compute matrix products in bfloat16 (weights stay float32)
    evaluate_every: int = 250  # steps from one line of the log to the next
    save_seconds: float = 180.0  # from one checkpoint to the next

    def __post_init__(self) -> None:
        self.plan()  # judges steps, evaluate_every and clip
        self.optimizer_settings()  # and the rate, the weight decay and the betas
        good = type(self.warmup) is int and self.warmup >= 0
        require(good, "warmup", self.warmup, "a whole number from 0 up")
        require(0 <= self.decay <= 1, "decay", self.decay, "a share from 0 to 1")

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied by at a step: up, constant, down to 0."""
        rising = (step + 1) / max(1, self.warmup)
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return max(0.0, min(1.0, rising, falling))

    def plan(self) -> Steps:
        """Return what the loop is told."""
        rate = lambda step: self.learning_rate * self.factor(step)  # noqa: E731
        return Steps(self.steps, rate, self.evaluate_every, self.clip)

    def optimizer_settings(self) -> LoopSettings:
        """Return what AdamW is made from."""
        return LoopSettings(
            learning_rate=self.learning_rate, weight_decay=self.weight_decay, betas=self.betas
        )


def pretrain(
    model: nn.Module,
    losses: Callable[[int], Mapping[str, Tensor]],
    settings: Settings,
    folder: str | Path,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    progress: bool = False,
) -> None:
    """Train `model` in place, from the last checkpoint in `folder` if there is one.

    Args:
        model: everything that learns, on its device.
        losses: returns the named parts of a step's loss, whose sum is minimised. It must be
            a function of the step alone (and the weights).
        folder: gets log.jsonl, one line per look, and the checkpoints, which stay when the run
            has ended, so that it can be made longer.
        evaluate: returns held-out figures for the log.
        progress: show a bar on standard error.

    A MiniftError says if the loss is not finite, or the checkpoint is of another model.
    """
    folder = Path(folder)
    device = next(model.parameters()).device

    def parts(step: int) -> Mapping[str, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
            return losses(step)

    def look() -> Mapping[str, float]:
        with torch.inference_mode():
            return evaluate() if evaluate else {}

    optimizer = adamw(dict(model.named_parameters()), settings.optimizer_settings())
    checkpoints = Checkpoints(folder / "checkpoints", settings.save_seconds)
    training = StepTraining(model, optimizer, parts, settings.plan(), settings.seed, checkpoints)
    for _ in training.looks(look, progress):
        lines = (json.dumps(record) + "\n" for record in training.records)
        atomic_write(folder / "log.jsonl", "".join(lines))
