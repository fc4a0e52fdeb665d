"""Adaptive fine-tuning: the validation loss decides how long to train; the end is a cool-down.

Claim    Train at the full rate while the validation loss falls; when it stops falling, let the
         rate fall to 0 over a few epochs; if the loss falls after all, return to the full rate.
         Few labels then get many epochs and many labels few, without a choice to make.

             warmup --> constant --> cooldown --> stop
                            ^____________|  loss below the best so far

Paper    Stollenwerk (2022), "Adaptive Fine-Tuning of Transformer-Based Language Models for
         Named Entity Recognition", https://arxiv.org/abs/2202.02617, and its code, version
         0.0.12; W, C, p below are warmup_epochs, cooldown_epochs, patience. Its schedules of
         fixed length are in minift/training/trapezoids.py.
Differs  - The validation loss is the mean over targets (`mean_loss`); the authors average
           batch means, which weighs the targets of a small last batch more.
         - Which weights are tested is the loop's `keep`: "last" as in the paper's version,
           "best" as in later ones (there by validation loss, here by the headline score).
         - A run that reaches the cap says that it has not converged.
         - Patience is how many bad epochs are tolerated, as in the paper; Keras, Lightning and
           transformers stop *at* that number, one epoch earlier.
         - `min_delta` counts from the last loss that was accepted as best, so slow progress
           adds up; rules that follow every small improvement stop on it.
         - Rate and clipping are the recipe's: 5e-5, clipped at norm 1. The authors train at 2e-5
           without clipping.
Proof    tests/methods/test_adaptive.py
Tutorial tutorials/07_adaptive
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from minift.errors import MiniftError, require
from minift.training.schedules import Schedule
from minift.training.trapezoids import Constant, fall, rise

Phase = Literal["warmup", "constant", "cooldown", "stop"]


@dataclass(frozen=True)
class AdaptiveSettings:
    """The rules of the state machine; the defaults are the paper's "adaptive".

    Args:
        warmup_epochs: W, epochs over which the rate rises from 0.
        patience: p, epochs in a row without improvement that are tolerated; the next one
            starts the cool-down.
        cooldown_epochs: C, epochs over which the rate falls to 0; 0 is plain early stopping.
        min_delta: an improvement must be larger than this.
        restarts: whether an improvement during the cool-down ends it.
        max_epochs: cap on the length of the run.
    """

    warmup_epochs: int = 2
    patience: int = 0
    cooldown_epochs: int = 7
    min_delta: float = 0.0
    restarts: bool = True
    max_epochs: int = 250

    def __post_init__(self) -> None:
        for name in ("warmup_epochs", "patience", "cooldown_epochs", "max_epochs"):
            value, least = getattr(self, name), int(name == "max_epochs")
            good = type(value) is int and value >= least
            require(good, name, value, f"a whole number from {least} up")
        good = 0 <= self.min_delta < math.inf
        require(good, "min_delta", self.min_delta, "a number from 0 up")


@dataclass(frozen=True)
class AdaptiveState:
    """All that the machine remembers between epochs. Epochs count from 1.

    Args:
        phase: what the next epoch is part of.
        epoch: epochs done.
        best: lowest validation loss that was accepted; None before the first.
        best_epoch: the epoch it came from.
        wait: epochs since then.
        cooldown_start: epochs done when the cool-down began; None outside of one.
        reason: why the run stops; "" while it continues.
    """

    phase: Phase = "warmup"
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    wait: int = 0
    cooldown_start: int | None = None
    reason: str = ""


def start(settings: AdaptiveSettings) -> AdaptiveState:
    """Return the state before the first epoch."""
    return AdaptiveState(phase="warmup" if settings.warmup_epochs else "constant")


def advance(state: AdaptiveState, dev_loss: float, settings: AdaptiveSettings) -> AdaptiveState:
    """Return the state after one more epoch, which ended with validation loss `dev_loss`.

    Nothing is guarded during warm-up: a bad epoch there leads to a cool-down from the full
    rate, as in the authors' code. A stopped machine stays as it is.
    """
    if state.phase == "stop":
        return state
    state = replace(state, epoch=state.epoch + 1)
    if not math.isfinite(dev_loss):
        reason = f"validation loss became {dev_loss} at epoch {state.epoch}"
        return replace(state, phase="stop", reason=reason)

    cooling = state.phase == "cooldown"
    improved = state.best is None or dev_loss < state.best - settings.min_delta
    if improved and (settings.restarts or not cooling):
        state = replace(
            state,
            phase="constant" if cooling else state.phase,
            best=dev_loss,
            best_epoch=state.epoch,
            wait=0,
            cooldown_start=None,
        )
    else:
        state = replace(state, wait=state.wait + 1)
        if state.wait == settings.patience + 1:
            state = replace(state, phase="cooldown", cooldown_start=state.epoch)
    if state.phase == "warmup" and state.epoch >= settings.warmup_epochs:
        state = replace(state, phase="constant")
    reason = _reason_to_stop(state, settings)
    return replace(state, phase="stop", reason=reason) if reason else state


def _reason_to_stop(state: AdaptiveState, settings: AdaptiveSettings) -> str:
    """Return a sentence, or "" to continue."""
    cooldown = settings.cooldown_epochs
    if state.wait >= settings.patience + cooldown + 1:
        if cooldown and not settings.restarts:
            return (
                f"the cool-down of {_epochs(cooldown)} after epoch {state.cooldown_start} "
                "finished; restarts are off"
            )
        margin = f" by more than {settings.min_delta:g}" if settings.min_delta else ""
        return (
            f"validation loss has not improved{margin} for {_epochs(state.wait)} since epoch "
            f"{state.best_epoch} ({state.best:.4g})" + ("; cool-down finished" if cooldown else "")
        )
    if state.epoch < settings.max_epochs:
        return ""
    if state.cooldown_start is not None:
        when = f"after {state.epoch - state.cooldown_start} of {_epochs(cooldown)} of cool-down"
    elif state.wait:
        when = f"{_epochs(state.wait)} after the last improvement"
    else:
        when = "while still improving"
    return f"the cap of {_epochs(settings.max_epochs)} was reached {when}: not converged"


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def replay(dev_losses: Iterable[float], settings: AdaptiveSettings) -> list[AdaptiveState]:
    """Return the state after each epoch of a run with these validation losses, until it stops.

    >>> [state.phase for state in replay([1.0, 0.8, 0.9, 0.7], AdaptiveSettings())]
    ['warmup', 'constant', 'cooldown', 'constant']
    """
    states = [start(settings)]
    for dev_loss in dev_losses:
        if states[-1].phase == "stop":
            break
        states.append(advance(states[-1], dev_loss, settings))
    return states[1:]


def rate_factor(
    state: AdaptiveState, step: int, steps_per_epoch: int, settings: AdaptiveSettings
) -> float:
    """Return what the learning rate is multiplied by at a step of the epoch after `state`.

    Args:
        state: after the last complete epoch.
        step: optimizer steps done since the start of the run.
        steps_per_epoch: S.
        settings: the rules.
    """
    if state.phase == "warmup":
        return rise(step, settings.warmup_epochs * steps_per_epoch)
    if state.phase == "cooldown" and state.cooldown_start is not None:
        steps = settings.cooldown_epochs * steps_per_epoch
        return fall(step - state.cooldown_start * steps_per_epoch, steps)
    return 1.0 if state.phase == "constant" else 0.0


@dataclass
class Adaptive:
    """The state machine in the `schedule` slot. The run needs a validation split.

    Args:
        settings: the rules. The run ends at `max_epochs` or at the loop's number of epochs,
            whichever comes first; `epochs` says what the loop should be given.
    """

    settings: AdaptiveSettings = AdaptiveSettings()
    state: AdaptiveState = field(default=AdaptiveState(), init=False)
    steps_per_epoch: int = field(default=0, init=False)
    needs_dev_loss = True

    @property
    def epochs(self) -> int:
        """How many epochs the loop should be given."""
        return self.settings.max_epochs

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Forget any run before."""
        self.steps_per_epoch = steps_per_epoch
        self.capped = replace(self.settings, max_epochs=min(epochs, self.settings.max_epochs))
        self.state = start(self.settings)

    def factor(self, step: int) -> float:
        """See `rate_factor`."""
        return rate_factor(self.state, step, self.steps_per_epoch, self.settings)

    def after_epoch(self, dev_loss: float | None) -> str | None:
        """Take one step of the machine; return the reason if it stops.

        Raises:
            MiniftError: if there is no validation loss.
        """
        if dev_loss is None:
            raise MiniftError(
                "this schedule stops by the validation loss, but the run has none; "
                "give it a validation split, or a schedule of fixed length"
            )
        self.state = advance(self.state, dev_loss, self.capped)
        return self.state.reason or None


@dataclass
class EarlyStopping:
    """Stop any other schedule when the validation loss stalls: the machine without its rates.

    Args:
        patience: epochs in a row without improvement that are tolerated.
        min_delta: an improvement must be larger than this, counted from the last loss that
            was accepted as one.
        schedule: gives the rate.
    """

    patience: int
    min_delta: float = 0.0
    schedule: Schedule = field(default_factory=Constant)
    needs_dev_loss = True

    def __post_init__(self) -> None:
        rules = AdaptiveSettings(0, self.patience, 0, self.min_delta, max_epochs=sys.maxsize)
        self.machine = Adaptive(rules)

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Forget any run before; the loop's number of epochs is the only cap."""
        self.schedule.begin(steps_per_epoch, epochs)
        self.machine.begin(steps_per_epoch, sys.maxsize)

    def factor(self, step: int) -> float:
        """Return that of the wrapped schedule."""
        return self.schedule.factor(step)

    def after_epoch(self, dev_loss: float | None) -> str | None:
        """Return the reason to stop, if there is one; see `Adaptive.after_epoch`."""
        other = self.schedule.after_epoch(dev_loss)
        return self.machine.after_epoch(dev_loss) or other
