"""A solution by cases, as the machine is told."""

from __future__ import annotations

import math

PAPER = {
    "warmup": 2,
    "patience": 0,
    "cooldown": 7,
    "min_delta": 0.0,
    "restarts": True,
    "max_epochs": 250,
}


def advance(state: dict, loss: float, rules: dict) -> dict:
    if state["phase"] == "stop":
        return dict(state)
    new = dict(state, epoch=state["epoch"] + 1)
    if not math.isfinite(loss):
        return dict(new, phase="stop")
    cooling = state["phase"] == "cooldown"
    improved = state["best"] is None or loss < state["best"] - rules["min_delta"]
    if improved and (rules["restarts"] or not cooling):
        new.update(best=loss, wait=0)
        if cooling:
            new["phase"] = "constant"
    else:
        new["wait"] += 1
        if new["wait"] == rules["patience"] + 1:
            new["phase"] = "cooldown"
    if new["phase"] == "warmup" and new["epoch"] >= rules["warmup"]:
        new["phase"] = "constant"
    if new["wait"] > rules["patience"] + rules["cooldown"]:
        new["phase"] = "stop"
    if new["epoch"] >= rules["max_epochs"]:
        new["phase"] = "stop"
    return new


def rate_factor(state: dict, step: int, steps_per_epoch: int, rules: dict) -> float:
    if state["phase"] == "warmup":
        done = state["epoch"] * steps_per_epoch + step
        return done / (rules["warmup"] * steps_per_epoch)
    if state["phase"] == "cooldown":
        epochs = state["wait"] - rules["patience"] - 1
        falling = rules["cooldown"] * steps_per_epoch
        return 1 - (epochs * steps_per_epoch + step) / falling
    return 1.0 if state["phase"] == "constant" else 0.0


def preset_factor(preset: str, step: int, steps_per_epoch: int, epochs: int) -> float:
    total, rising = epochs * steps_per_epoch, 2 * steps_per_epoch
    falling = 7 * steps_per_epoch if preset == "hybrid" else total - rising
    if step < rising:
        return step / rising
    left = total - step
    return 1.0 if left > falling else left / falling


def train(losses, steps_per_epoch, warmup, patience, min_delta) -> dict:
    best, wait, rates = math.inf, 0, []
    for epoch, loss in enumerate(losses, start=1):
        step = epoch * steps_per_epoch - 1
        rates.append(min(1.0, step / (warmup * steps_per_epoch)) if warmup else 1.0)
        if loss < best - min_delta:
            best, wait = loss, 0
        else:
            wait += 1
        if wait > patience:
            break
    return {"epochs": len(rates), "rates": rates}


def test_phases(candidate) -> None:
    constant, cooldown, stop = "constant", "cooldown", "stop"
    found = candidate([1.0, 2.0, 2.0, 2.0], 0, 2, 0.0)
    assert found == [constant, cooldown, cooldown, stop]

    found = candidate([1.0, 2.0, 3.0], 1, 4, 0.0)
    assert found == [constant, constant, cooldown], "patience is tolerated"

    found = candidate([1.0, 1.0], 0, 4, 0.0)
    assert found == [constant, cooldown], "an equal loss is not a new best"

    found = candidate([1.0, 3.0, 2.0], 0, 4, 0.0)
    assert found == [constant, cooldown, cooldown], "the best of all counts"

    found = candidate([5.0, 6.0, 6.0, 4.0, 7.0, 7.0, 7.0], 0, 3, 0.0)
    expected = [constant, cooldown, cooldown, constant, cooldown, cooldown, cooldown]
    assert found == expected, "back, and then a whole cool-down"

    found = candidate([1.0, 0.75, 0.5, 0.25], 2, 4, 0.3)
    assert found == [constant] * 4, "slow progress adds up"

    found = candidate([5.0, 6.0, 4.0, 6.0], 1, 4, 0.0)
    assert found == [constant] * 4, "bad epochs in a row"


ANSWERS = {"shortest": 11, "mean_factor": 0.775, "stops_after": 18, "false_alarm": 36.2}
EXPLANATION = """Nine epochs are the shortest run: the validation texts are too few."""
