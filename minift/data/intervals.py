"""Intervals: how far a score may lie from what it would be on other texts like these.

Claim    Each interval covers the true score about as often as it says, also for 60 texts: that of
         folds in 93 to 97 of 100 simulated files with random labels, and in more where there is
         something to learn (98 of one repeat).
Source   Student's t: Abramowitz & Stegun (1964), Handbook of Mathematical Functions, 26.7.1, with
         t = sqrt(degrees) tan(x). Cross-validation: Nadeau & Bengio (2003),
         "Inference for the Generalization Error", section 3, for repeated folds as Bouckaert &
         Frank (2004). Shares: Wilson (1927), "Probable Inference"; their difference: Newcombe
         (1998), "Interval estimation for the difference between independent proportions", 10.
Differs  Where all folds score the same, which says little, an accuracy has Wilson's interval for as
         many texts, and other scores have none.
Proof    tests/data/test_intervals.py
"""

import math
from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]  # (low, high)
LEAST = {"matthews": -1.0, "pearson_spearman": -1.0}  # metric -> lowest score, for all others 0
Z = 1.959963984540054  # below it a standard normal number lies with probability 0.975
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)  # Gauss-Legendre quadrature over (-1, 1)


def t_within(t: float, degrees: int) -> float:
    """Return the probability that Student's t lies in (-t, t).

    It is the integral of cos(x)^(degrees - 1) up to atan(t / sqrt(degrees)), over that up to pi/2.
    """
    half = math.atan(t / math.sqrt(degrees)) / 2
    inside = half * float(np.cos(half * (1 + NODES)) ** (degrees - 1) @ WEIGHTS)
    ratio = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    return inside * ratio * 2 / math.sqrt(math.pi)


def t_quantile(probability: float, degrees: int) -> float:
    """Return the t below which Student's t lies with `probability`, in [0.5, 1)."""
    low, high, t = 0.0, math.pi / 2, 0.0  # of x, as above
    for _ in range(60):  # more halvings than a float has bits
        t = math.sqrt(degrees) * math.tan((low + high) / 2)
        below = t_within(t, degrees) < 2 * probability - 1
        low, high = ((low + high) / 2, high) if below else (low, (low + high) / 2)
    return t


def wilson(hits: float, n: int) -> Interval:
    """Return the 95 % interval of a share, of which `hits` of `n` were seen."""
    centre = (hits + Z**2 / 2) / (n + Z**2)
    half = Z * math.sqrt(hits * (1 - hits / n) + Z**2 / 4) / (n + Z**2)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference(hits: int, n: int, other_hits: int, other_n: int) -> Interval:
    """Return the 95 % interval of hits / n - other_hits / other_n, of texts that are not shared."""
    p, q = hits / n, other_hits / other_n
    (low, high), (below, above) = wilson(hits, n), wilson(other_hits, other_n)
    return p - q - math.hypot(p - low, above - q), p - q + math.hypot(high - p, q - below)


def of_folds(
    scores: Sequence[float], ratio: float, accuracy_of: int = 0, least: float = 0.0
) -> Interval | None:
    """Return the 95 % interval of the mean score of folds.

    Their models were trained on overlapping texts, so the scores, one per fold of each repeat, vary
    less than new ones would. `ratio` is the texts of a fold, divided by those that its model was
    trained on; `accuracy_of`, if the scores are accuracies, the number of different texts answered;
    `least` the lowest score there is.
    """
    x, n = np.asarray(scores, dtype=np.float64), len(scores)
    mean, spread = float(x.mean()), float(x.var(ddof=1)) if n > 1 else 0.0
    if spread < 1e-24:
        return wilson(mean * accuracy_of, accuracy_of) if accuracy_of else None
    half = t_quantile(0.975, n - 1) * math.sqrt((1 / n + ratio) * spread)
    return max(least, mean - half), min(1.0, mean + half)
