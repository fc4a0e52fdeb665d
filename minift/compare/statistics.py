"""Two methods on the same seeds: how large is the difference, and can it be told from none?

Claim    An interval from a handful of seeds covers the true mean difference at least as often as
         it says, and a sentence claims a difference only where the interval excludes 0.
Source   Student's t: minift/data/intervals.py. Holm (1979), "A Simple Sequentially Rejective
         Multiple Test Procedure".
Differs  With fewer than 3 seeds, or where all differences are the same, there is no interval.
         Scores of folds are not independent: their variance is that of Nadeau and Bengio (2003).
Proof    tests/compare/test_statistics.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from minift.data.intervals import Interval, t_quantile, t_within

FEWEST = 3  # seeds that an interval needs


@dataclass(frozen=True)
class Difference:
    """Scores of one method minus those of another, seed by seed."""

    differences: tuple[float, ...]  # one per seed, in the units of the scores
    mean: float  # their mean; nan if there is none
    interval: Interval | None = None  # 95 %, of the paired t test (see the module's docstring)
    p: float | None = None  # two-sided p-value of the same test

    @property
    def seen(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def paired_difference(
    scores: Sequence[float], others: Sequence[float], overlap: float = 0.0
) -> Difference:
    """Compare two methods whose scores stand in the same order of seeds, or of folds.

    Of folds, `overlap` is the ratio of `minift.data.intervals.of_folds`.
    """
    d = np.asarray(scores, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    n = len(d)
    mean = float(d.mean()) if n else math.nan
    # 0.9 - 0.8 is not 0.8 - 0.7 in floating point, yet all differences are the same
    if n < FEWEST or float(np.ptp(d)) < 1e-12:
        return Difference(tuple(d.tolist()), mean)
    error = float(d.std(ddof=1)) * math.sqrt(1 / n + overlap)
    half = t_quantile(0.975, n - 1) * error
    p = max(0.0, 1 - t_within(abs(mean) / error, n - 1))
    return Difference(tuple(d.tolist()), mean, (mean - half, mean + half), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: below 0.05 still means 5 % for *all* of them together."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def sentence(name: str, other: str, difference: Difference, unit: str = "seed") -> str:
    """Say in one sentence, in points (hundredths), what seeds or folds (`unit`) show."""
    n, mean = len(difference.differences), 100 * difference.mean
    if n == 0:
        return f"{name} and {other} have no {unit} in common"
    seeds = f"1 {unit}" if n == 1 else f"{n} {unit}s"
    if n < FEWEST:
        return (
            f"nothing can be said about {name} against {other} from {seeds} "
            f"(mean difference {mean:+.1f} points; an interval needs {FEWEST})"
        )
    if difference.interval is None:
        if abs(mean) < 1e-9:
            return f"{name} and {other} scored the same with each of {seeds}"
        side = "above" if mean > 0 else "below"
        return (
            f"{name} was {side} {other} by the same {abs(mean):.1f} points with each of {seeds}, "
            "so no interval can be given"
        )
    low, high = (100 * end for end in difference.interval)
    digits = 1 if min(abs(low), abs(high)) >= 0.05 else 2  # an end that is not 0 should not look it
    if not difference.seen:
        return (
            f"no difference between {name} and {other} can be seen with these {unit}s "
            f"(mean difference {mean:+.1f} points, 95% CI {low:+.{digits}f} to "
            f"{high:+.{digits}f}, {seeds})"
        )
    word, (low, high) = "better" if mean > 0 else "worse", sorted((abs(low), abs(high)))
    return (
        f"{name} is {word} than {other} by {abs(mean):.1f} points "
        f"(95% CI {low:.{digits}f} to {high:.{digits}f}, {seeds})"
    )


def points(score: float) -> str:
    """Return a score in points, that is hundredths."""
    return f"{100 * score:.1f}"


def mean_and_sd(scores: Sequence[float]) -> str:
    """Return "80.0 ± 10.0" in points; without a deviation for one score, "" for none."""
    spread = f" ± {points(stdev(scores))}" if len(scores) > 1 else ""
    return points(fmean(scores)) + spread if scores else ""


def signed(score: float) -> str:
    """Return a difference in points, with its sign."""
    return f"{100 * score:+.1f}"


def listed(items: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


DIFFERENCE_HEADER = ("difference", "95% CI", "p", "p (Holm)", "seeds")


def difference_cells(d: Difference, holm: float | None) -> tuple[str, ...]:
    """Return the cells of a table below `DIFFERENCE_HEADER`; `holm` is the corrected p."""
    interval = " to ".join(map(signed, d.interval or ()))
    ps = ["" if p is None else f"{p:.3f}" if p >= 0.0005 else "<0.001" for p in (d.p, holm)]
    mean = signed(d.mean) if d.differences else ""
    return (mean, interval, *ps, str(len(d.differences)))
