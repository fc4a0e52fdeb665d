"""The rounds of a simulation as numbers: areas, paired differences, labels saved.

Claim    Each strategy is tested once: the area under its curve minus that of random, seed by
         seed. "Labels saved" compares the first label counts at which the two *mean* curves
         reach a score.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, figures 2 and 3, which show
         the mean of three seeds and claim an advantage without a test.
Differs  The interval of the labels saved resamples seeds, which with a handful of them is too
         narrow; curves.py claims no saving by it alone.
Proof    tests/active/test_curves.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minift.compare.statistics import FEWEST, Difference, holm, paired_difference
from minift.data.intervals import Interval

REFERENCE = "random"
RESAMPLES = 4000
Course = list[dict[str, Any]]  # the rounds of one strategy and seed, in order


@dataclass(frozen=True)
class Study:
    """The rounds of a simulation, put in order."""

    courses: dict[str, dict[int, Course]]  # strategy -> seed -> its rounds; random first
    setup: dict[str, Any]  # the first event of simulation.jsonl

    @property
    def strategies(self) -> list[str]:
        """Names, random first."""
        return list(self.courses)

    @property
    def others(self) -> list[str]:
        """The strategies that are compared with random, if that was simulated."""
        return [s for s in self.courses if s != REFERENCE and REFERENCE in self.courses]

    @property
    def seeds(self) -> list[int]:
        """All seeds with a round."""
        return sorted({seed for courses in self.courses.values() for seed in courses})

    @property
    def metric(self) -> str:
        """Name of the score."""
        return str(self.setup.get("metric", "score"))

    @property
    def rounds(self) -> range:
        """Numbers of the rounds that some course has."""
        return range(max(len(c) for courses in self.courses.values() for c in courses.values()))

    def column(self, strategy: str, number: int, key: str = "test") -> dict[int, float]:
        """Return seed -> what the round `number` says, of the seeds that have it."""
        courses = self.courses[strategy].items()
        return {seed: course[number][key] for seed, course in courses if number < len(course)}

    def place(self, number: int) -> float:
        """Return how many labels there are in a round, the mean over its courses."""
        columns = [self.column(strategy, number, "labelled") for strategy in self.strategies]
        return float(np.mean([count for column in columns for count in column.values()]))

    def finished(self, strategy: str) -> dict[int, Course]:
        """Return the courses that have come to their end."""
        return {s: c for s, c in self.courses[strategy].items() if not c[-1]["query"]}

    def common(self, strategy: str) -> list[int]:
        """Return the seeds whose courses are finished for `strategy` and for random."""
        return sorted(self.finished(strategy).keys() & self.finished(REFERENCE).keys())


def study(rounds: Sequence[dict[str, Any]], setup: dict[str, Any]) -> Study:
    """Put the rounds of `simulate` in order."""
    courses: dict[str, dict[int, Course]] = {}
    for record in sorted(rounds, key=lambda r: r["round"]):
        courses.setdefault(record["strategy"], {}).setdefault(record["seed"], []).append(record)
    names = dict.fromkeys(record["strategy"] for record in rounds)
    first = sorted(names, key=lambda name: name != REFERENCE)  # stable
    return Study({name: dict(sorted(courses[name].items())) for name in first}, setup)


def area(counts: Sequence[float], scores: Sequence[float]) -> float:
    """Return the area under a learning curve divided by its width: its mean height."""
    if counts[-1] == counts[0]:
        return float(scores[-1])
    steps = zip(counts, counts[1:], scores, scores[1:])
    return sum((b - a) * (u + v) / 2 for a, b, u, v in steps) / (counts[-1] - counts[0])


def whole_curves(study: Study) -> dict[str, Difference]:
    """Compare each strategy's area with that of random, over the seeds both have finished."""

    def areas(name: str, seeds: Sequence[int]) -> list[float]:
        courses = [study.courses[name][seed] for seed in seeds]
        return [area([r["labelled"] for r in c], [r["test"] for r in c]) for c in courses]

    common = {strategy: study.common(strategy) for strategy in study.others}
    return {s: paired_difference(areas(s, at), areas(REFERENCE, at)) for s, at in common.items()}


def corrected(differences: dict[str, Difference]) -> dict[str, float]:
    """Return Holm's p-values of the strategies that could be tested."""
    tested = {name: d.p for name, d in differences.items() if d.p is not None}
    return dict(zip(tested, holm(list(tested.values()))))


def band(scores: Sequence[float]) -> Interval | None:
    """Return the 95% t interval of the mean; None for fewer than 3 scores."""
    found = paired_difference(scores, [0.0] * len(scores))
    return found.interval or (
        (found.mean, found.mean) if len(scores) >= FEWEST else None
    )  # all the same


@dataclass(frozen=True)
class Saved:
    """How many labels a strategy needs less than random for the same score."""

    level: float  # the score: the highest that both have at their ends
    needs: float  # first count at which the strategy's mean curve reaches it
    random_needs: float
    interval: Interval | None  # of the difference, by resampling seeds; None for fewer than 3

    @property
    def labels(self) -> float:
        """Labels saved; negative where the strategy needs more."""
        return self.random_needs - self.needs

    @property
    def seen(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


def first_reach(counts: np.ndarray, scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return where each curve first reaches its level, inf if nowhere, on lines between its points.

    counts (points,) ascending, scores (curves, points), levels (curves,) -> counts (curves,).
    """
    reached = scores >= levels[:, None]
    first = reached.argmax(1)
    before = np.maximum(first - 1, 0)
    rows = np.arange(len(scores))
    below, above = scores[rows, before], scores[rows, first]
    rise = np.where(above > below, above - below, 1.0)
    share = np.where(first > 0, (levels - below) / rise, 0.0)
    found = counts[before] + share * (counts[first] - counts[before])
    return np.where(reached.any(1), found, math.inf)


def labels_saved(study: Study, strategy: str, seed: int = 0) -> Saved | None:
    """Compare the label counts at which a strategy and random reach the same score.

    Over the seeds that both have finished; None without one. The resampling has its `seed`.
    """
    seeds = study.common(strategy)
    if not seeds:
        return None
    courses = [[study.courses[name][s] for s in seeds] for name in (strategy, REFERENCE)]
    points = min(len(course) for some in courses for course in some)
    counts, scores = (
        np.array([[[r[key] for r in c[:points]] for c in some] for some in courses], dtype=float)
        for key in ("labelled", "test")
    )  # each (2, seeds, points)
    drawn = np.random.default_rng(seed).integers(len(seeds), size=(RESAMPLES, len(seeds)))
    # Row 0 is the sample itself, the others are resamples.
    curves = [np.vstack([x.mean(0), x[drawn].mean(1)]) for x in scores]
    levels = np.minimum(*(curve[:, -1] for curve in curves))
    needs, random_needs = (first_reach(c.mean(0), x, levels) for c, x in zip(counts, curves))
    interval = None
    if len(seeds) >= FEWEST:
        low, high = np.quantile(random_needs[1:] - needs[1:], [0.025, 0.975])
        interval = float(low), float(high)
    return Saved(float(levels[0]), float(needs[0]), float(random_needs[0]), interval)
