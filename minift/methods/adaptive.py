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

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from minift.data.words import counted
from minift.errors import MiniftError, require
from minift.training.schedules import Schedule
from minift.training.trapezoids import fall, rise

Phase = Literal["warmup", "constant", "cooldown", "stop"]


@dataclass(frozen=True)
class AdaptiveSettings:
    """The rules of the state machine; the defaults are the paper's "adaptive"."""

    warmup_epochs: int = 2  # W, over which the rate rises from 0
    patience: int = 0  # p, epochs in a row without improvement; the next starts the cool-down
    cooldown_epochs: int = 7  # C, over which the rate falls to 0; 0 is plain early stopping
    min_delta: float = 0.0  # an improvement must be larger than this
    restarts: bool = True  # whether an improvement during the cool-down ends it
    max_epochs: int = 250  # cap on the length of the run

    def __post_init__(self) -> None:
        for name in ("warmup_epochs", "patience", "cooldown_epochs", "max_epochs"):
            value, least = getattr(self, name), int(name == "max_epochs")
            good = type(value) is int and value >= least
            require(good, name, value, f"a whole number from {least} up")
        good = 0 <= self.min_delta < math.inf
        require(good, "min_delta", self.min_delta, "a number from 0 up")


@dataclass(frozen=True)
class AdaptiveState:
    """All that the machine remembers between epochs. Epochs count from 1."""

    phase: Phase = "warmup"  # what the next epoch is part of
    epoch: int = 0  # epochs done
    best: float | None = None  # lowest validation loss that was accepted; None before the first
    best_epoch: int = 0  # the epoch it came from
    wait: int = 0  # epochs since then
    cooldown_start: int | None = None  # epochs done when the cool-down began; None outside of one
    reason: str = ""  # why the run stops; "" while it continues


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
    if state.wait >= settings.patience + settings.cooldown_epochs + 1:
        if settings.cooldown_epochs and not settings.restarts:
            return f"the cool-down after epoch {state.cooldown_start} finished; restarts are off"
        margin = f" by more than {settings.min_delta:g}" if settings.min_delta else ""
        best = f"epoch {state.best_epoch} ({state.best:.4g})"
        ending = "; cool-down finished" if settings.cooldown_epochs else ""
        return f"validation loss has not improved{margin} since {best}{ending}"
    if state.epoch < settings.max_epochs:
        return ""
    return (
        f"the cap of {counted(settings.max_epochs, 'epoch')} was reached "
        f"{counted(state.wait, 'epoch')} after the last improvement: not converged"
    )


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
    """Return the factor of the rate at a step, counted from the run's start, after `state`."""
    if state.phase == "warmup":
        return rise(step, settings.warmup_epochs * steps_per_epoch)
    if state.phase == "cooldown" and state.cooldown_start is not None:
        steps = settings.cooldown_epochs * steps_per_epoch
        return fall(step - state.cooldown_start * steps_per_epoch, steps)
    return 1.0 if state.phase == "constant" else 0.0


@dataclass
class Adaptive:
    """The state machine in the `schedule` slot. The run needs a development split.

    It ends at `max_epochs` or at the loop's number of epochs, whichever comes first.
    """

    settings: AdaptiveSettings = AdaptiveSettings()
    rates: Schedule | None = None  # gives the rate instead, and the loop's end is the only cap
    needs_dev_loss = True

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Forget any run before."""
        self.steps_per_epoch, most = steps_per_epoch, self.settings.max_epochs
        if self.rates is not None:
            self.rates.begin(steps_per_epoch, epochs)
            epochs = most
        self.capped = replace(self.settings, max_epochs=min(epochs, most))
        self.state = start(self.settings)

    def factor(self, step: int) -> float:
        """See `rate_factor`."""
        if self.rates is not None:
            return self.rates.factor(step)
        return rate_factor(self.state, step, self.steps_per_epoch, self.settings)

    def after_epoch(self, dev_loss: float | None) -> str | None:
        """Take one step of the machine; return the reason if it stops."""
        if dev_loss is None:
            raise MiniftError(
                "this schedule stops by the validation loss, but the run has none; "
                "give it a development split, or a schedule of fixed length"
            )
        self.state = advance(self.state, dev_loss, self.capped)
        return self.state.reason or None


def early_stopping(patience: int, rates: Schedule, min_delta: float = 0.0) -> Adaptive:
    """Stop another schedule when the validation loss stalls: the machine without its rates."""
    rules = AdaptiveSettings(0, patience, 0, min_delta, max_epochs=sys.maxsize)
    return Adaptive(rules, rates)
