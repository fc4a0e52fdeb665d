"""How sure a classifier may say it is, and from where on it should answer a class.

Claim    Calibration error, temperature and threshold are those of their definitions; an interval
         of a share or of F1 covers the true one about as often as it says, that of the calibration
         error at least so often.
Paper    Guo et al. (2017), "On Calibration of Modern Neural Networks", sections 2 and 4.2.
Differs  - Expected calibration error: the largest probability in 15 bins of equal width, (0, 1/15]
           to (14/15, 1]; the mean of |share that is right - mean probability|, weighed by texts.
           Even of a perfect model it is above 0: with noise e_b of the share that is right, the
           true one is at most the mean of |e_b| away, which gives the low end; a bootstrap gives
           the high one. The noise is drawn as binomial, from (right + 1) / (texts + 2).
         - A temperature has a best value only if some answer is wrong; else it is 1.
         - F1 = 2 J / (1 + J), where J is the share of true positives among all that are of the
           class or answered so: Wilson's interval of J, mapped, is that of F1.
Proof    tests/data/test_calibration.py
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from minift.data.intervals import wilson
from minift.errors import MiniftError

BINS, DRAWS = 15, 2000
TEMPERATURES = 0.05, 1000.0  # beyond them the probabilities of usual logits are 0 or 1, or alike
SHOWN = 10  # classes in a table
Names = Sequence[str]


def calibration(probabilities: np.ndarray, gold: Sequence[int]) -> dict[str, Any]:
    """Return "error": [error, low, high], and "bins": those that are not empty, each as [texts,
    mean probability, share that is right], from probabilities (texts, classes) and class indices.
    """
    p, n = np.asarray(probabilities, dtype=np.float64), len(gold)
    sure, right = p.max(1), p.argmax(1) == np.asarray(gold)
    places = np.ceil(sure * BINS).astype(int)  # 1 to 15, or 16 where rounding made it more than 1
    summed = np.stack([np.bincount(places, w, BINS + 2) for w in (np.ones(n), sure, right)])
    count, sure, hits = summed[:, summed[0] > 0]
    share = (hits + 1) / (count + 2)
    drawn = np.random.default_rng(0).binomial(count.astype(int), share, (DRAWS, len(count)))
    noise, gaps = drawn - count * share, hits - sure  # in texts
    error = np.abs(gaps).sum()
    low = max(0.0, error - np.quantile(np.abs(noise).sum(1), 0.975))
    high = np.quantile(np.abs(gaps + noise).sum(1), 0.975)
    bins = np.stack([count, sure / count, hits / count], 1).tolist()
    return {"error": [float(x) / n for x in (error, low, high)], "bins": bins}


def best_temperature(logits: np.ndarray, gold: Sequence[int]) -> float:
    """Return the T in `TEMPERATURES` for which softmax(logits / T) makes `gold` likeliest."""
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(1, keepdims=True)
    right = z[np.arange(len(gold)), list(gold)]
    if (right == 0).all():
        return 1.0
    low, high = map(math.log, TEMPERATURES)
    for _ in range(60):  # the loss is convex in 1 / T: its slope has one zero
        middle = (low + high) / 2
        p = np.exp(z * math.exp(-middle))
        slope = ((z * p).sum(1) / p.sum(1) - right).mean()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return math.exp(middle)


def best_threshold(probabilities: np.ndarray, hits: np.ndarray, goal: str) -> float:
    """Return the least probability at which a class should be answered.

    Of the probabilities, it is the one with the best F1; or, for "recall=.9", with the highest
    precision of those whose recall is .9 or more; or the reverse, and where no precision is so
    high, the highest there is. Of equally good ones it is the largest. `hits` (texts,) says
    whether a text is of the class.
    """
    kind, least = parse_goal(goal)
    p, hits = np.asarray(probabilities, dtype=np.float64), np.asarray(hits, dtype=bool)
    cuts = np.unique(p)[::-1]
    answered, true = (len(x) - np.searchsorted(np.sort(x), cuts) for x in (p, p[hits]))
    precision, recall = true / answered, true / max(1, hits.sum())
    worth = {
        "f1": 2 * true / (answered + hits.sum()),
        "recall": np.where(recall >= least, precision, -1),
        "precision": np.where(precision >= least, recall, precision - 2),
    }
    return float(cuts[worth[kind].argmax()])


def parse_goal(goal: str) -> tuple[str, float]:
    """Return ("f1", 0), or ("recall", .9) of "recall=.9"; raises MiniftError for what is none."""
    if not (found := re.fullmatch(r"f1|(recall|precision)=(0?\.\d*[1-9]\d*|1\.?0*)", goal)):
        what = "f1, or recall or precision with the least that it may be: recall=.9"
        raise MiniftError(f'--threshold-for "{goal}": expected {what}')
    return found[1] or "f1", float(found[2] or 0)


def class_report(
    gold: Names, predicted: Names, probabilities: Sequence[Sequence[float]], labels: Names
) -> dict[str, Any]:
    """Return scores of each class, what was confused, and the calibration; for JSON.

    "classes" holds of each class the "precision", "recall" and "f1" as [score, low, high], None
    where there is nothing to count; "confusion" {gold: {answer: texts}}; "calibration" see above.
    """
    confusion = {label: Counter[str]() for label in labels}
    for label, answer in zip(gold, predicted):
        confusion[label][answer] += 1
    said, classes = Counter(predicted), {}
    for label, answers in confusion.items():
        hits, true = answers[label], answers.total()
        either = share_of(hits, true + said[label] - hits)
        classes[label] = {
            "precision": share_of(hits, said[label]),
            "recall": share_of(hits, true),
            "f1": either and [2 * j / (1 + j) for j in either],
        }
    sure = calibration(np.array(probabilities), [labels.index(label) for label in gold])
    return {"classes": classes, "confusion": confusion, "calibration": sure}


def share_of(hits: int, n: int) -> list[float] | None:
    """Return [share, low, high], the 95 % interval, or None of nothing."""
    return [hits / n, *wilson(hits, n)] if n else None


def within(score: list[float] | None) -> str:
    """Write a score and its interval."""
    return "{:.3f} ({:.3f}-{:.3f})".format(*score) if score else "-"


def class_report_text(report: dict[str, Any]) -> str:
    """Lay out what `class_report` returned: a row per class, with the answers to its texts."""
    confusion = report["confusion"]
    order = sorted(confusion, key=lambda name: -sum(confusion[name].values()))
    shown, more = order[:SHOWN], len(order[SHOWN:])
    parts = "".join(f"  {part:<19}" for part in ("precision", "recall", "f1"))
    width = max(map(len, ["class", *shown]))
    lines = ["all texts, 95 % intervals; answers to those of a class, by its number:"]
    lines += [f"   {'class':<{width}}{parts}" + "".join(f"{k + 1:6}" for k in range(len(shown)))]
    for number, name in enumerate(shown, 1):
        cells = "".join(f"  {within(score):<19}" for score in report["classes"][name].values())
        cells += "".join(f"{confusion[name].get(other, 0):6}" for other in shown)
        lines.append(f"{number:2} {name:<{width}}{cells}")
    n, *means = np.array(report["calibration"]["bins"]).T
    sure, right = (np.average(x, weights=n) for x in means)
    error = f"calibration error {within(report['calibration']['error'])}"
    lines += [f"   and {more} smaller classes"] * bool(more)
    return "\n".join([*lines, f"likeliest class: says {sure:.3f}, right {right:.3f}; {error}"])
