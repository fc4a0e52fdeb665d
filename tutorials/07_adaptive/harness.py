"""What runs around the student's functions, in the student's process."""

from __future__ import annotations

import exercise

KEYS = ("phase", "epoch", "best", "wait")


def _advance(state: dict, loss: float, rules: dict) -> dict:
    got = exercise.advance(dict(state), loss, dict(rules))
    if not isinstance(got, dict) or not set(KEYS) <= set(got):
        raise Wrong(f"advance is to return a dict with the keys {', '.join(KEYS)}")  # noqa: F821
    return {key: got[key] for key in KEYS}


def after(cases: list):
    """Return the state after one epoch for each (state, loss, rules)."""
    return [_advance(*case) for case in cases]


def driven(runs: list):
    """Return the states after each epoch for each (state, losses, rules)."""
    found = []
    for state, losses, rules in runs:
        states = []
        for loss in losses:
            state = _advance(state, loss, rules)
            states.append(state)
        found.append(states)
    return found


def kept(state: dict, loss: float, rules: dict):
    """Return the state that was handed to advance, as it is afterwards."""
    exercise.advance(state, loss, rules)
    return state


def rates(cases: list):
    """Return the factors at all steps of an epoch for each (state, steps_per_epoch, rules)."""
    return [
        [exercise.rate_factor(dict(state), step, steps, dict(rules)) for step in range(steps)]
        for state, steps, rules in cases
    ]


def curves(cases: list):
    """Return the factors at all steps of a run for each (preset, steps_per_epoch, epochs)."""
    return [
        [exercise.preset_factor(name, step, steps, epochs) for step in range(steps * epochs)]
        for name, steps, epochs in cases
    ]


def trained(cases: list):
    """Return what the student's train says of each case."""
    found = []
    for case in cases:
        got = exercise.train(*case)
        if not isinstance(got, dict) or set(got) != {"epochs", "rates"}:
            raise Wrong('train is to return {"epochs": ..., "rates": ...}')  # noqa: F821
        found.append([got["epochs"], list(got["rates"])])
    return found
