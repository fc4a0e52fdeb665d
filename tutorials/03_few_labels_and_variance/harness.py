"""What runs around the student's functions, in the student's process."""

from __future__ import annotations

import random

import exercise
import numpy
import torch


def drawn(labels: list[str], size: int, seed: int, noise: int):
    """Return what was drawn after other parts of the program drew, and what these draw next."""
    random.seed(noise)
    torch.manual_seed(noise)
    numpy.random.seed(noise)
    chosen = exercise.draw_labels(list(labels), size, seed)
    after = [random.random(), torch.rand(1).item(), float(numpy.random.random())]
    return {"chosen": chosen, "next": after}


def compared(methods: list[str], rates: list[float], table: dict, guess: float):
    """Return the student's results, and the runs that were asked for.

    `table` holds (dev, test) of each run, by method, seed and rate.
    """
    calls = []
    seeds = list(table[methods[0]])

    def run(method, rate, subset, head):
        known = method in table and head in table[method] and rate in table[method][head]
        if not known:
            raise Wrong(  # noqa: F821
                f"compare asks for run({method!r}, {rate!r}, ..., {head!r}), which is not a "
                "combination of methods, rates and seeds that it was given"
            )
        if not isinstance(subset, int):
            raise Wrong(f"the seed of the subset is to be an int, got {subset!r}")  # noqa: F821
        calls.append([method, rate, subset, head])
        dev, test = table[method][head][rate]
        return {"dev": dev, "test": test}

    results = exercise.compare(run, list(methods), list(rates), list(seeds), guess)
    return {"results": results, "calls": calls}
