"""Assignment 07: adaptive fine-tuning. Fill in what raises NotImplementedError.

Check it as often as you like:  python tutorials/grade.py 07
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

import math
from collections.abc import Callable

# --- Task 1: the machine ------------------------------------------------------------------------

# The rules of the paper's "adaptive". warmup, patience and cooldown are numbers of epochs.
PAPER = {
    "warmup": 2,
    "patience": 0,
    "cooldown": 7,
    "min_delta": 0.0,
    "restarts": True,
    "max_epochs": 250,
}


def advance(state: dict, loss: float, rules: dict) -> dict:
    """Return the state after one more epoch, which ended with this validation loss.

    A state is what the machine remembers between epochs:
        "phase"  of the next epoch: "warmup", "constant", "cooldown" or "stop"
        "epoch"  how many epochs are done
        "best"   the lowest loss that was accepted as best; None before the first epoch
        "wait"   how many epochs have passed since that one

    The machine:
      - A loss is a new best if it is lower than "best" by *more* than rules["min_delta"]. The
        first loss always is.
      - From "warmup" to "constant" when rules["warmup"] epochs are done.
      - rules["patience"] epochs in a row without a new best are tolerated. The next one leads to
        "cooldown" from whatever phase, the warm-up too.
      - A new best during the cool-down leads to "constant" at once, also if the warm-up was not
        over. Where rules["restarts"] is False it is not accepted as best, and the epoch counts as
        one more without.
      - "stop" when rules["cooldown"] epochs of cool-down are done (with 0 there are none, and the
        machine stops at once), when rules["max_epochs"] epochs are done, or when the loss is no
        finite number. A machine that has stopped stays as it is.

    Args:
        state: before the epoch; do not change it, return a new one.
        loss: of the validation texts after the epoch.
        rules: as `PAPER`.
    """
    raise NotImplementedError("task 1, advance: begin with whether the loss is a new best")


# --- Task 2: the rate at every step -------------------------------------------------------------


def rate_factor(state: dict, step: int, steps_per_epoch: int, rules: dict) -> float:
    """Return what the full learning rate is multiplied by at one step.

    Warm-up: 0 at the first step of the run, rising in a straight line, so that it would be 1 at
    the first step after the warm-up. Cool-down: 1 at its first step, falling in a straight line,
    so that it would be 0 at the first step after it. Constant: 1. After the end: 0.

    Args:
        state: before the epoch, as `advance` returns it.
        step: of this epoch, from 0 to steps_per_epoch - 1.
        steps_per_epoch: optimizer steps in an epoch.
        rules: as `PAPER`.
    """
    raise NotImplementedError("task 2, rate_factor: begin with the phase of the state")


def preset_factor(preset: str, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the same for the paper's schedules of fixed length.

    All three rise as above over 2 epochs. "original" (with `epochs` = 5) and "stable" (20) fall
    from there on, "hybrid" stays at 1 and falls in its last 7 epochs; both so that the factor
    would be 0 at the step after the last one.

    Args:
        preset: "original", "stable" or "hybrid".
        step: of the run, from 0 to steps_per_epoch * epochs - 1.
        steps_per_epoch: optimizer steps in an epoch.
        epochs: length of the run; at least 9 for "hybrid".
    """
    raise NotImplementedError("task 2, preset_factor: begin with the step where the fall begins")


# --- Task 3: find the bugs ----------------------------------------------------------------------


def train(
    losses: list[float], steps_per_epoch: int, warmup: int, patience: int, min_delta: float
) -> dict:
    """Drive plain early stopping (no cool-down) with a list of validation losses.

    The rate rises over the first `warmup` epochs, as in task 2, and is full from then on. A loss
    is a new best if it is lower, by more than `min_delta`, than the last loss that was accepted as
    best. `patience` epochs in a row without a new best are tolerated; the next one ends the run.

    This is complete, and wrong in four ways. Find them and fix them.

    Returns:
        {"epochs": how many epochs are run, "rates": the factor of the rate at the last step of
        each of them}
    """
    best, wait, rates = math.inf, 0, []
    for epoch, loss in enumerate(losses, start=1):
        step = epoch * steps_per_epoch - 1
        rates.append(min(1.0, step / warmup) if warmup else 1.0)
        if loss <= best - min_delta:
            wait = 0
        else:
            wait += 1
        best = min(best, loss)
        if wait >= patience:
            break
    return {"epochs": len(rates), "rates": rates}


# --- Task 4: write the test ---------------------------------------------------------------------


def test_phases(candidate: Callable[..., list[str]]) -> None:
    """Fail (with `assert`) if `candidate` is not the machine of task 1.

    A right candidate: `candidate(losses, patience, cooldown, min_delta)` returns the phase after
    each epoch, as a list that ends with the first "stop" or with the last loss. There is no
    warm-up, restarts are on, and the cap is far away. For instance, the losses [1.0, 2.0, 2.0, 2.0]
    with patience 0, cooldown 2 and min_delta 0.0 give
    ["constant", "cooldown", "cooldown", "stop"].

    You will be given two right candidates, which must pass, and seven wrong ones, each of which
    has one mistake that people make.
    """
    raise NotImplementedError("task 4, test_phases: begin with the example in its docstring")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {
    "patience": 3,
    "cooldown": 6,
    "epochs": 20,
    "steps": 10,
    "losses": [0.90, 0.70, 0.60, 0.65, 0.62, 0.58, 0.61, 0.59, 0.60, 0.57, 0.59, 0.60],
    "fall": 0.01,
    "error": 0.02,
}
ANSWERS: dict[str, float | None] = {
    # The paper's rules, but that `patience` and a cool-down of `cooldown` epochs. How many epochs
    # does the shortest possible run take, if all losses are finite?
    "shortest": None,
    # "hybrid" over `epochs` epochs of `steps` steps: the mean of the factor over all steps. To
    # three digits.
    "mean_factor": None,
    # The paper's rules, and these `losses`, the last of them for ever. After which epoch does the
    # run stop?
    "stops_after": None,
    # Training goes well: the true loss falls by `fall` an epoch. But the validation texts are few,
    # so that each measured loss is off by a normal error of its own, with a standard deviation of
    # `error`. In what percentage of runs is the second measured loss not below the first?
    "false_alarm": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
