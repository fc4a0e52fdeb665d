"""Intervals: how far a score may lie from what it would be on other texts like these.

Claim    Each interval covers the true score about as often as it says, also for 60 texts: that of
         folds in 93 to 97 of 100 simulated files with random labels, and in more where there is
         something to learn (98 of one repeat).
Source   Student's t: Abramowitz & Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and
         26.7.4 (whole degrees of freedom, closed form). Cross-validation: Nadeau & Bengio (2003),
         "Inference for the Generalization Error", section 3, for repeated folds as Bouckaert &
         Frank (2004). Shares: Wilson (1927), "Probable Inference".
Differs  Where all folds score the same, which says little, an accuracy has Wilson's interval for as
         many texts, and other scores have none.
Proof    tests/data/test_intervals.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]  # (low, high)
Z = 1.959963984540054  # below it a standard normal number lies with probability 0.975


def t_within(t: float, degrees: int) -> float:
    """Return the probability that Student's t lies in (-t, t).

    With theta = atan(t / sqrt(degrees)) it is a finite series in powers of cos(theta).
    """
    theta = math.atan(t / math.sqrt(degrees))
    odd = degrees % 2
    total, term = 0.0, math.cos(theta) if odd else 1.0
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= math.cos(theta) ** 2 * (power + 1) / (power + 2)
    if odd:
        return 2 / math.pi * (theta + math.sin(theta) * total)
    return math.sin(theta) * total


def t_quantile(probability: float, degrees: int) -> float:
    """Return the t below which Student's t lies with `probability`, in [0.5, 1)."""
    low, high = 0.0, 1.0
    while t_within(high, degrees) < 2 * probability - 1:
        low, high = high, 2 * high
    for _ in range(100):  # more halvings than a float has bits
        middle = (low + high) / 2
        below = t_within(middle, degrees) < 2 * probability - 1
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2


def wilson(hits: float, n: int) -> Interval:
    """Return the 95 % interval of a share, of which `hits` of `n` were seen."""
    centre = (hits + Z**2 / 2) / (n + Z**2)
    half = Z * math.sqrt(hits * (1 - hits / n) + Z**2 / 4) / (n + Z**2)
    return max(0.0, centre - half), min(1.0, centre + half)


def of_folds(scores: Sequence[float], ratio: float, accuracy_of: int = 0) -> Interval | None:
    """Return the 95 % interval of the mean score of folds.

    Their models were trained on overlapping texts, so the scores vary less than new ones would.

    Args:
        scores: one per fold, of one repeat or several.
        ratio: texts of a fold, divided by those that its model was trained on.
        accuracy_of: if the scores are accuracies, the number of different texts answered.
    """
    x, n = np.asarray(scores, dtype=np.float64), len(scores)
    mean, spread = float(x.mean()), float(x.var(ddof=1)) if n > 1 else 0.0
    if spread < 1e-24:
        return wilson(mean * accuracy_of, accuracy_of) if accuracy_of else None
    half = t_quantile(0.975, n - 1) * math.sqrt((1 / n + ratio) * spread)
    return mean - half, min(1.0, mean + half)
