"""How sure a classifier may say it is, and from where on it should answer a class.

Claim    Calibration error, temperature and threshold are those of their definitions; an interval
         of a share or of F1 covers the true one about as often as it says, that of the calibration
         error at least so often.
Paper    Guo et al. (2017), "On Calibration of Modern Neural Networks", sections 2 and 4.2.
Differs  - Expected calibration error: the largest probability in 15 bins of equal width, (0, 1/15]
           to (14/15, 1]; the mean of |share that is right - mean probability|, weighed by texts.
           Even of a perfect model it is above 0. With noise e_b of the share that is right, it lies
           within the mean of |e_b| of the true one: the low end. The high end is that of a
           bootstrap. The noise is drawn as binomial, from (right + 1) / (texts + 2).
         - A temperature has a best value only if some answer is wrong; else it is 1.
         - F1 = 2 J / (1 + J), where J is the share of true positives among all that are of the
           class or answered so: Wilson's interval of J, mapped, is that of F1.
Proof    tests/data/test_calibration.py
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from minift.data.intervals import wilson
from minift.errors import MiniftError

BINS, DRAWS = 15, 2000
TEMPERATURES = 0.05, 1000.0  # the lowest and the highest
GOAL = "f1, or recall or precision with the least that it may be: recall=.9"
SHOWN = 10  # classes in a table


def calibration(probabilities: np.ndarray, gold: Sequence[int]) -> dict[str, Any]:
    """Return the calibration error with its 95 % interval, and its bins; for JSON.

    Args:
        probabilities: (texts, classes).
        gold: index of each text's class.

    Returns:
        "error": [error, low, high], and "bins": for each that has a text, the number of its texts,
        their mean probability, and the share that is right.
    """
    p, n = np.asarray(probabilities, dtype=np.float64), len(gold)
    sure, right = p.max(1), p.argmax(1) == np.asarray(gold)
    places = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    count, hits, summed = (
        np.bincount(places, weights, BINS) for weights in (np.ones(n), right.astype(float), sure)
    )
    there = count > 0
    count, hits, summed = count[there], hits[there], summed[there]
    share = (hits + 1) / (count + 2)
    drawn = np.random.default_rng(0).binomial(count.astype(int), share, (DRAWS, len(count)))
    noise, gaps = drawn - count * share, hits - summed  # in texts
    error = np.abs(gaps).sum() / n
    low = error - np.quantile(np.abs(noise).sum(1), 0.975) / n
    high = np.quantile(np.abs(gaps + noise).sum(1), 0.975) / n
    bins = [[int(c), float(s / c), float(h / c)] for c, s, h in zip(count, summed, hits)]
    return {"error": [float(error), max(0.0, float(low)), float(high)], "bins": bins}


def best_temperature(logits: np.ndarray, gold: Sequence[int]) -> float:
    """Return the T in `TEMPERATURES` for which softmax(logits / T) makes `gold` likeliest."""
    z, rows = np.asarray(logits, dtype=np.float64), np.arange(len(gold))
    z = z - z.max(1, keepdims=True)
    right = z[rows, list(gold)]
    if (right == 0).all():
        return 1.0

    def slope(scale: float) -> float:  # of the loss, which is convex in 1 / T
        p = np.exp(z * scale)
        return float(((z * p).sum(1) / p.sum(1) - right).mean())

    low, high = (math.log(t) for t in TEMPERATURES)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(math.exp(-middle)) > 0 else (low, middle)
    return math.exp(middle)


def best_threshold(probabilities: np.ndarray, hits: np.ndarray, goal: str) -> float:
    """Return the least probability at which a class should be answered.

    Of the probabilities, it is the one with the best F1; or, for "recall=.9", with the highest
    precision of those whose recall is .9 or more; or the reverse, and where no precision is so
    high, the highest there is. Of equally good ones it is the largest.

    Args:
        probabilities: (texts,) of the class.
        hits: (texts,) whether a text is of it.

    Raises:
        MiniftError: if the goal is none of these.
    """
    kind, least = parse_goal(goal)
    p, hits = np.asarray(probabilities, dtype=np.float64), np.asarray(hits, dtype=bool)
    cuts = np.unique(p)[::-1]
    answered, true = (len(x) - np.searchsorted(np.sort(x), cuts) for x in (p, p[hits]))
    precision, recall = true / answered, true / max(1, hits.sum())
    if kind == "f1":
        worth = 2 * true / (answered + hits.sum())
    elif kind == "recall":
        worth = np.where(recall >= least, precision, -1)
    else:
        worth = np.where(precision >= least, recall, precision - 2)
    return float(cuts[worth.argmax()])


def parse_goal(goal: str) -> tuple[str, float]:
    """Return ("f1", 0), or ("recall", .9) of "recall=.9"; raises MiniftError for what is none."""
    kind, _, number = goal.partition("=")
    try:
        least = float(number or ("0" if kind == "f1" else "nan"))
    except ValueError:
        least = math.nan
    if kind not in ("f1", "recall", "precision") or not (0 < least <= 1 or goal == "f1"):
        raise MiniftError(f'--threshold-for "{goal}": expected {GOAL}')
    return kind, least


def class_report(
    gold: Sequence[str],
    predicted: Sequence[str],
    probabilities: Sequence[Sequence[float]],
    labels: Sequence[str],
) -> dict[str, Any]:
    """Return scores of each class with intervals, what was confused, and the calibration; for JSON.

    "classes" holds, for each class, the number of texts that are of it and that were answered so,
    and "precision", "recall" and "f1" as [score, low, high]; None where there is nothing to count.
    "confusion" holds {gold: {answer: texts}}.
    """
    confusion = {label: Counter[str]() for label in labels}
    for label, answer in zip(gold, predicted):
        confusion[label][answer] += 1
    true, said, classes = Counter(gold), Counter(predicted), {}
    for label in labels:
        hits, either = confusion[label][label], true[label] + said[label]
        both = _share(hits, either - hits)
        classes[label] = {
            "gold": true[label],
            "answered": said[label],
            "precision": _share(hits, said[label]),
            "recall": _share(hits, true[label]),
            "f1": both and [2 * j / (1 + j) for j in both],
        }
    numbers = [labels.index(label) for label in gold]
    sure = calibration(np.array(probabilities), numbers)
    return {"classes": classes, "confusion": confusion, "calibration": sure}


def _share(hits: int, n: int) -> list[float] | None:
    return [hits / n, *wilson(hits, n)] if n else None


def class_report_text(report: dict[str, Any]) -> str:
    """Lay out what `class_report` returned: a row per class, with the answers to its texts."""
    order = sorted(report["classes"], key=lambda name: -report["classes"][name]["gold"])
    shown, width = order[:SHOWN], max(len(name) for name in [*order[:SHOWN], "class"])
    parts, cells = ("precision", "recall", "f1"), range(1, len(shown) + 1)
    rows = [f"   {'class':<{width}}" + "".join(f"  {part:<19}" for part in parts)]
    rows[0] += "".join(f"{f'as {number}':>7}" for number in cells)
    for number, name in zip(cells, shown):
        scores = (report["classes"][name][part] for part in parts)
        row = "".join(
            "  " + (f"{s[0]:.3f} ({s[1]:.3f}-{s[2]:.3f})" if s else "-").ljust(19) for s in scores
        )
        row += "".join(f"{report['confusion'][name].get(other, 0):7}" for other in shown)
        rows.append(f"{number:2} {name:<{width}}{row}")
    if len(order) > SHOWN:
        rows.append(f"   and {len(order) - SHOWN} smaller classes")
    rows.insert(0, "classes (95 % interval), and how often their texts were answered as")
    return "\n".join([*rows, _said_of(report["calibration"])])


def _said_of(calibration: dict[str, Any]) -> str:
    total = sum(n for n, *_ in calibration["bins"])
    sure, right = (sum(b[0] * b[k] for b in calibration["bins"]) / total for k in (1, 2))
    error = "{:.3f} (95 % interval {:.3f} to {:.3f})".format(*calibration["error"])
    return f"says {sure:.3f} on average and is right {right:.3f}; calibration error {error}"
