"""Pretraining: the loop that turns batches into an encoder, for hours and through kills.

Claim    Where a step's losses are a function of the step, a run that was killed and goes on
         from its checkpoint ends with the same bits as one that never stopped.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, appendix A.2.
Differs  The rate stays constant between warm-up and decay, so that the end of a run may be
         moved while it lasts.
Proof    tests/pretraining/test_pretrain.py
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.dropout import set_dropout_generator
from minift.errors import MiniftError
from minift.files import atomic_directory_write
from minift.pretraining.corpus import stream
from minift.training.batches import Batch
from minift.training.loop import Settings as LoopSettings
from minift.training.loop import adamw

Sums = tuple[dict[str, float], int]  # parts of the loss since the last report, and its step


def masked_lm_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean of -log p(piece) over the hidden pieces; nothing else is computed."""
    return F.cross_entropy(model(batch.packed, batch.wanted).float(), batch.targets)


@dataclass(frozen=True)
class Settings:
    """How long and how hard to pretrain.

    Args:
        steps: length of the run. It may be changed between a stop and going on.
        learning_rate: between warm-up and decay.
        warmup: steps of the linear rise.
        decay: share of all steps that the linear fall to 0 takes, at the end.
        weight_decay, clip, betas: as in fine-tuning.
        seed: of dropout.
        bf16: compute matrix products in bfloat16 (weights stay float32).
        report_every: steps from one line of the log to the next.
        evaluate_every: steps from one held-out evaluation to the next.
        save_seconds: from one checkpoint to the next.
    """

    steps: int
    learning_rate: float = 2e-3
    warmup: int = 300
    decay: float = 0.4
    weight_decay: float = 0.01
    clip: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    seed: int = 0
    bf16: bool = False
    report_every: int = 50
    evaluate_every: int = 250
    save_seconds: float = 180.0

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied by at a step: up, constant, down to 0."""
        rising = (step + 1) / max(1, self.warmup)
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return max(0.0, min(1.0, rising, falling))


def pretrain(
    model: nn.Module,
    losses: Callable[[int], Mapping[str, Tensor]],
    settings: Settings,
    folder: str | Path,
    evaluate: Callable[[], Mapping[str, float]] | None = None,
    about: Mapping[str, object] | None = None,
) -> None:
    """Train `model` in place, from the checkpoint in `folder` if there is one.

    Args:
        model: everything that learns, on its device.
        losses: returns the named parts of a step's loss, whose sum is minimised. It must be
            a function of the step alone (and the weights).
        settings: length, rates.
        folder: gets checkpoint.pt (weights, optimizer, step) and log.jsonl.
        evaluate: returns held-out figures for the log.
        about: facts of this run, written to the log each time it starts or goes on.

    Raises:
        MiniftError: if the loss is not finite, or the checkpoint is of another model.
    """
    folder = Path(folder)
    device = next(model.parameters()).device
    optimizer = adamw(
        dict(model.named_parameters()),
        LoopSettings(
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=settings.betas,
        ),
    )
    step, before, (sums, since) = _resume(folder, model, optimizer)
    _cut_torn_line(folder / "log.jsonl")
    clock = Clock(*before)
    if about and step < settings.steps:
        _log(folder, {"step": step, **clock.read(), **about})
    dropout = torch.Generator(device)
    set_dropout_generator(model, dropout)
    saved = time.perf_counter()
    model.train()
    while step < settings.steps:
        dropout.manual_seed(stream(settings.seed, step))
        rate = settings.learning_rate * settings.factor(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16, enabled=settings.bf16):
            parts = losses(step)
        total = torch.stack(list(parts.values())).sum()
        if not total.isfinite():  # before the weights are spoilt
            raise MiniftError(f"the loss became {total.item()} at step {step}; lower the rate")
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        for name, part in parts.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach())

        last = step == settings.steps
        if last or step % settings.report_every == 0:
            means = {name: value / (step - since) for name, value in sums.items()}
            _log(folder, {"step": step, **clock.read(), "rate": rate, **means})
            sums, since = {}, step
        if evaluate and (last or step % settings.evaluate_every == 0):
            model.eval()
            with torch.inference_mode():
                _log(folder, {"step": step, **clock.read(), **evaluate()})
            model.train()
        if last or time.perf_counter() - saved > settings.save_seconds:
            _save(folder, model, optimizer, step, clock, (sums, since))
            saved = time.perf_counter()
    model.eval()


class Clock:
    """Seconds on the wall, and seconds of all processors, over all parts of a run."""

    def __init__(self, seconds: float, cpu_seconds: float):
        """Go on from the seconds of earlier parts."""
        self.wall = time.perf_counter() - seconds
        self.cpu = time.process_time() - cpu_seconds

    def read(self) -> dict[str, float]:
        """Return both, rounded to a tenth."""
        return {
            "seconds": round(time.perf_counter() - self.wall, 1),
            "cpu_seconds": round(time.process_time() - self.cpu, 1),
        }


def _log(folder: Path, record: dict[str, Any]) -> None:
    rounded = {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in record.items()}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(rounded) + "\n")


def _cut_torn_line(log: Path) -> None:
    """Cut away a last line that a kill or a full disk left without its end."""
    content = log.read_bytes() if log.is_file() else b""
    if (whole := content.rfind(b"\n") + 1) < len(content):
        os.truncate(log, whole)


def _save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    clock: Clock,
    sums: Sums,
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "sums": sums,
        **clock.read(),
    }
    atomic_directory_write(folder, lambda new: torch.save(state, new / "checkpoint.pt"))


def _resume(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, tuple[float, float], Sums]:
    """Load the checkpoint, if any; return its step, seconds of wall and of processors, sums."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "checkpoint.pt"
    if not file.is_file():
        return 0, (0.0, 0.0), ({}, 0)
    state = torch.load(file, map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise MiniftError(
            f"{file} is of another model or optimizer: {str(error)[:300]}; "
            "give another folder, or delete it to start anew"
        ) from error
    sums = state.get("sums", ({}, state["step"]))  # an older file has none
    return state["step"], (state["seconds"], state["cpu_seconds"]), sums
