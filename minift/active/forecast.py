"""Is it worth labelling more? What the next labels would bring, and how sure that is.

Claim    From the labelled texts alone: the score at growing sizes by cross-validation, a power
         law limit - height * size^-exponent through those, and an interval that holds what the
         folds disagree about and how badly the law fits. Where that says nothing, the answer is
         "nothing can be said", with the reason.
Source   Inverse power laws: Cortes et al. (1993), "Learning Curves: Asymptotic Values and Rate of
         Convergence"; for annotation: Figueroa et al. (2012),
         https://doi.org/10.1186/1472-6947-12-8. Nested draws and weights as here are ours.
Limits   - It forecasts more labels *of the same kind*, with the same method. Actively chosen ones
           are harder than the population: read the gain, not the level.
         - Folds share training texts, so the interval is approximate; its coverage is measured
           in the tests on independent binomial scores.
Proof    tests/active/test_forecast.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from minift.active.loop import Learner
from minift.data.examples import Example
from minift.data.metrics import headline
from minift.errors import require
from minift.runs.evaluate import constant_score
from minift.runs.folds import part
from minift.training.loop import Seeds

FEWEST = 40  # labelled texts; a fold of fewer than 10 says nothing
FOLDS = 4
SHARES = (0.25, 0.4, 0.63, 1.0)  # of a fold's training texts
EXPONENTS = np.linspace(0.1, 1.5, 29)  # of the law; with others a curve is nearly a line, or a step
DRAWS = 2000
WIDEST = 0.15  # of the interval; a wider one does not answer the question
NOTHING = "next {more} labels: nothing can be said, because {why}"
FALL = 0.02  # a curve that falls by more, and by more than it rises, follows no such law


@dataclass(frozen=True)
class Forecast:
    """What more labels would bring."""

    sentence: str  # the answer in words
    sizes: tuple[int, ...] = ()  # numbers of training texts
    scores: tuple[float, ...] = ()  # cross-validated score at each size, the mean over the folds
    gain: float | None = None  # expected rise of the score; None if nothing can be said
    low: float | None = None  # its 95% interval
    high: float | None = None


def forecast_labels(
    learner: Learner, labelled: Sequence[Example], seed: int = 0, *, more: int = 100
) -> Forecast:
    """Forecast what `more` labels would bring; trains `FOLDS` times `len(SHARES)` models.

    The splits of the learner's data set are not read. MiniftError if `more` is less than 1.
    """
    require(more >= 1, "more", more, "at least 1 label")
    if len(labelled) < FEWEST:
        why = f"it takes {FEWEST} labels, and there are {len(labelled)}"
        return Forecast(NOTHING.format(more=more, why=why))
    dataset = learner.dataset
    known = replace(dataset, train=tuple(labelled))
    folds = [part(known, FOLDS, seed * FOLDS + number) for number in range(FOLDS)]
    smallest = min(len(fold.train) for fold in folds)
    sizes = tuple(round(share * smallest) for share in SHARES)
    scores = np.zeros((FOLDS, len(sizes)))
    with tqdm(total=scores.size, unit="training", disable=None) as bar:
        for number, fold in enumerate(folds):
            order = np.random.default_rng((seed, number)).permutation(len(fold.train))
            for column, size in enumerate(sizes):  # a smaller draw is part of a larger one
                tuned = learner.fit([fold.train[i] for i in order[:size]], Seeds.all(seed))
                found = tuned.evaluate(fold.test)
                scores[number, column] = headline(dataset.metric, found.scores)
                bar.update()
    constant = constant_score(dataset, labelled, labelled)
    return judge(sizes, scores, len(labelled), more, seed, constant)


def judge(
    sizes: Sequence[int],
    scores: np.ndarray,
    now: int,
    more: int,
    seed: int = 0,
    constant: float = 0.0,
) -> Forecast:
    """Extrapolate, and say what came out; `constant` is the score of the most frequent answer."""
    means = scores.mean(0)
    steps = np.diff(means)
    rises, falls = steps[steps > 0].sum(), -steps[steps < 0].sum()
    gain, low, high = extrapolate(sizes, scores, more, now, seed)
    why = ""
    if means.max() <= constant + 0.01:
        why = (
            "no model scored clearly above always giving the most frequent answer "
            f"({100 * constant:.1f} points), so there is no curve to extend yet"
        )
    elif falls > max(rises, FALL):
        why = (
            f"from {sizes[0]} to {sizes[-1]} labels the cross-validated score falls "
            f"({100 * means[0]:.1f} to {100 * means[-1]:.1f} points), which no learning curve "
            "should; the folds are too small or the training is not stable"
        )
    elif high - low > WIDEST:
        why = (
            f"the interval is {100 * low:+.0f} to {100 * high:+.0f} points; "
            "the folds disagree too much"
        )
    known = tuple(sizes), tuple(means.tolist())
    if why:
        return Forecast(NOTHING.format(more=more, why=why), *known)
    half = max(gain - low, high - gain)
    sentence = (
        f"next {more} labels: about {100 * gain:+.1f} ± {100 * half:.1f} points "
        f"(95% interval {100 * low:+.1f} to {100 * high:+.1f}; from {len(scores)}-fold "
        f"cross-validation on {sizes[0]} to {sizes[-1]} of {now} labels)"
    )
    if low < 0.001:
        sentence += "; it may well be nothing"
    return Forecast(sentence, *known, gain, low, high)


def extrapolate(
    sizes: Sequence[int], scores: np.ndarray, more: int, now: int, seed: int = 0
) -> tuple[float, float, float]:
    """Return the expected gain from `more` labels to the `now` there are, and its 95% interval.

    At least three sizes, ascending, and scores (folds, sizes), at most 1, of three folds.
    """
    at, folds, mean = np.array(sizes, dtype=np.float64), len(scores), scores.mean(0)
    law = fit_laws(at, mean[None])
    misfit = mean - law.at(at)[0]
    generator = np.random.default_rng(seed)
    # Each draw is a mean of folds that might have been: normal weights on the folds' deviations,
    # widened to Student's t for so few folds; plus what the law could not follow.
    weights = generator.normal(size=(DRAWS, folds)) / math.sqrt(folds * (folds - 1))
    heavy = np.sqrt((folds - 1) / generator.chisquare(folds - 1, size=(DRAWS, 1)))
    drawn = mean + heavy * (weights @ (scores - mean))
    spread = math.sqrt(float((misfit**2).sum()) / max(1, len(at) - 2))
    drawn = drawn + spread * generator.normal(size=drawn.shape)
    ends = np.array([now, now + more], dtype=np.float64)
    (gain,) = np.diff(law.at(ends))[0]
    low, high = np.quantile(np.diff(fit_laws(at, drawn).at(ends)), [0.025, 0.975])
    return float(gain), float(min(low, gain)), float(max(high, gain))


class Laws(NamedTuple):
    """Scores as laws of the size: limit - height * size^-exponent; each (laws,)."""

    limit: np.ndarray
    height: np.ndarray
    exponent: np.ndarray

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Return the scores (laws, sizes)."""
        return np.transpose(self.limit - self.height * sizes[:, None] ** -self.exponent)


def fit_laws(sizes: np.ndarray, scores: np.ndarray) -> Laws:
    """Fit a law to each row of `scores` (laws, sizes) by least squares, on a grid of exponents.

    The best limit and height are those of a straight line in size^-exponent; height < 0 and limit >
    1 are moved to the bound, where the other has a closed form again.
    """
    best = np.full(len(scores), math.inf)
    found = np.zeros((3, len(scores)))
    for exponent in EXPONENTS:
        falls = sizes**-exponent
        centred = falls - falls.mean()
        height = np.maximum(-(scores @ centred) / (centred @ centred), 0.0)
        limit = scores.mean(1) + height * falls.mean()
        over = limit > 1
        at_bound = np.maximum(((1 - scores) @ falls) / (falls @ falls), 0.0)
        height = np.where(over, at_bound, height)
        limit = np.where(over, 1.0, limit)
        error = ((scores - limit[:, None] + height[:, None] * falls) ** 2).sum(1)
        better = error < best
        best = np.where(better, error, best)
        found = np.where(better, [limit, height, np.full(len(scores), exponent)], found)
    return Laws(*found)
