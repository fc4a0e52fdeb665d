"""Metrics: how well predictions agree with gold labels, in the numbers papers report.

Claim    Each score is the textbook one, equal to scikit-learn's or SciPy's, and every run
         gets a number: one that collapsed to a single class, or diverged, scores low instead
         of crashing or dropping out of the mean over seeds.
Differs  Where a denominator is 0 the score is 0, without a warning: the F1 of a class that is
         neither predicted nor present, the Matthews coefficient of constant predictions (both
         as in scikit-learn), and Pearson and Spearman of constant or non-finite predictions,
         where SciPy returns nan. Macro F1 averages over the classes that occur in gold or
         predictions, so that perfect ones score 1 on a sample that lacks a class. A label outside
         `labels` is an error, where scikit-learn drops its row; so are "1" and 1 together.
Proof    tests/data/test_metrics.py
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from minift.data.entities import Predicted, entity_scores
from minift.data.examples import METRICS
from minift.data.intervals import Interval, difference
from minift.data.tags import Tags
from minift.errors import MiniftError, nearest, require_known

Label = str | float | tuple[str, ...]  # a class, a number, or all labels of a text
Labels = Sequence[Label] | np.ndarray
Numbers = Sequence[float] | np.ndarray

HEADLINES = tuple(metric for fitting in METRICS.values() for metric in fitting)


def accuracy(gold: Labels, predicted: Labels) -> float:
    """Return the share of predictions that equal the gold label, in [0, 1]."""
    gold, predicted = paired(gold, predicted)
    return sum(a == b for a, b in zip(gold, predicted)) / len(gold)


def f1(gold: Labels, predicted: Labels, positive: Label | None = None) -> float:
    """Return F1 = 2 TP / (2 TP + FP + FN) of `positive`, or the mean of all that occur (macro)."""
    gold, predicted = paired(gold, predicted)
    true, guessed = Counter(gold), Counter(predicted)
    classes = sorted(true | guessed) if positive is None else [positive]
    hits = Counter(a for a, b in zip(gold, predicted) if a == b)
    return sum(2 * hits[c] / max(true[c] + guessed[c], 1) for c in classes) / len(classes)


def matthews(gold: Labels, predicted: Labels) -> float:
    """Return the Matthews correlation of one-hot labels (Gorodkin 2004, R_K), in [-1, 1]."""
    gold, predicted = paired(gold, predicted)
    true, guessed = Counter(gold), Counter(predicted)
    n, hits = len(gold), sum(a == b for a, b in zip(gold, predicted))
    covariance = hits * n - sum(true[c] * guessed[c] for c in true)
    spread = [n * n - sum(count * count for count in side.values()) for side in (true, guessed)]
    return covariance / (spread[0] * spread[1]) ** 0.5 if all(spread) else 0.0


def pearson(gold: Numbers, predicted: Numbers) -> float:
    """Return the linear correlation in [-1, 1]; 0 if either is constant or predictions diverged."""
    return _correlation(*_finite(gold, predicted))


def spearman(gold: Numbers, predicted: Numbers) -> float:
    """Return the correlation of ranks, ties sharing their mean rank; else as `pearson`."""
    return _correlation(*map(_ranks, _finite(gold, predicted)))


def evaluate_classification(
    gold: Labels, predicted: Labels, labels: Labels, positive: Label | None = None
) -> dict[str, Any]:
    """Return accuracy, macro_f1, matthews; and f1, with its class: `positive`, or second of two."""
    gold, predicted = paired(gold, predicted)
    labels = _listed(labels)
    if len(set(labels)) < len(labels):
        raise MiniftError(f"labels name a class twice: {labels}")
    for side, values in (("gold", gold), ("predicted", predicted)):
        for row, label in enumerate(values, start=1):
            if label not in labels:
                hint = nearest(str(label), map(str, labels))
                raise MiniftError(f"{side} label {label!r} of row {row} is not in {labels}{hint}")
    scores: dict[str, Any] = {
        "accuracy": accuracy(gold, predicted),
        "macro_f1": f1(gold, predicted),
        "matthews": matthews(gold, predicted),
    }
    positive = labels[1] if positive is None and len(labels) == 2 else positive
    if positive is not None:
        if positive not in labels:
            raise MiniftError(f"the positive class {positive!r} is not one of {labels}")
        scores |= {"f1": f1(gold, predicted, positive), "f1_of": positive}
    return scores


def evaluate_multilabel(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], labels: Sequence[str]
) -> dict[str, Any]:
    """Return micro_f1, macro_f1, label_f1 of each, and exact_match: texts with all labels right."""
    paired([*map(str, gold)], [*map(str, predicted)])
    true, guessed, hits = (
        Counter(name for row in rows for name in set(row))
        for rows in (gold, predicted, [{*a} & {*b} for a, b in zip(gold, predicted)])
    )
    for name in true | guessed:
        require_known("label", name, labels)
    each = {n: 2 * hits[n] / both if (both := true[n] + guessed[n]) else None for n in labels}
    known = [score for score in each.values() if score is not None]
    return {
        "micro_f1": 2 * hits.total() / max(true.total() + guessed.total(), 1),
        "macro_f1": sum(known) / max(len(known), 1),
        "exact_match": sum({*a} == {*b} for a, b in zip(gold, predicted)) / len(gold),
        "label_f1": each,
    }


def evaluate_regression(gold: Numbers, predicted: Numbers) -> dict[str, float]:
    """Return pearson, spearman and rmse, in units of the labels; nan or infinite if it diverged."""
    scores = {"pearson": pearson(gold, predicted), "spearman": spearman(gold, predicted)}
    error = np.asarray(predicted, dtype=np.float64) - np.asarray(gold, dtype=np.float64)
    return {**scores, "rmse": float(np.sqrt(np.mean(error**2)))}


def evaluate_tagging(gold: Sequence[Tags], predicted: Predicted) -> dict[str, float]:
    """Return micro entity_precision, entity_recall, entity_f1, and entity_macro_f1."""
    report = entity_scores(gold, predicted)
    parts = "precision", "recall", "f1"
    micro = {f"entity_{part}": getattr(report.micro, part) for part in parts}
    return {**micro, "entity_macro_f1": report.macro.f1}


class Gap(NamedTuple):
    """How often texts of a group are given a label, and how much more often than all others."""

    texts: int  # of the group that count
    rate: float | None  # None: no text counts
    gap: float | None  # `rate` minus that of the texts outside the group
    interval: Interval | None  # of `gap`, 95 %


def group_gaps(
    gold: Labels, predicted: Labels, groups: Sequence[str | None], label: Label, hits: bool = False
) -> dict[str, Gap]:
    """Return of each group how often its texts are called `label` that are not (`hits`: that are).

    `groups` has the group of each text, or None. The gap is to all other texts; Jin et al. (2021,
    https://arxiv.org/abs/2010.12864) subtract the rate on all texts, those of the group included.
    """
    rows, gaps = zip(*paired(gold, predicted), groups, strict=True), dict[str, Gap]()
    given = [(group, said == label) for true, said, group in rows if (true == label) is hits]
    for name in sorted(group for group in {*groups} if group is not None):
        own, others = ([x for g, x in given if (g == name) is mine] for mine in (True, False))
        rate = sum(own) / len(own) if own else None
        gaps[name] = Gap(len(own), rate, None, None)
        if rate is not None and others:
            within = difference(sum(own), len(own), sum(others), len(others))
            gaps[name] = Gap(len(own), rate, rate - sum(others) / len(others), within)
    return gaps


def headline(metric: str, scores: Mapping[str, Any]) -> float:
    """Return the one number a data set is judged by, out of what `evaluate_...` returned."""
    require_known("metric", metric, HEADLINES)
    parts = metric.split("_") if metric == "pearson_spearman" else [metric]
    if not set(parts) <= set(scores):
        known = f"whose scores are {', '.join(scores)}; f1 is for two classes"
        raise MiniftError(f'metric "{metric}" does not fit this task, {known}')
    return float(sum(scores[part] for part in parts) / len(parts))


def collapsed(predicted: Labels, gold: Labels | None = None) -> Label | None:
    """Return the one class a model predicts for everything, or None if it did not collapse.

    A single prediction is not a collapse, nor is a single class if `gold` has only one as well.
    """
    predicted = _listed(predicted)
    same = len(predicted) > 1 and len(set(predicted)) == 1
    return predicted[0] if same and (gold is None or len(set(_listed(gold))) > 1) else None


def majority_baseline(train: Labels, gold: Labels, labels: Labels) -> list[Label]:
    """Predict the most frequent training label for each of `gold`; score it like a model.

    Of labels that are equally frequent the one that comes first in `labels` is taken.
    """
    counts, order = Counter(_listed(train)), _listed(labels)
    if not counts or not set(counts) <= set(order):
        got = f"got the training labels {sorted(map(str, counts))}"
        raise MiniftError(f"{got}; expected one or more of {order}")
    return [max(order, key=lambda label: counts[label])] * len(gold)


def _listed(values: Labels) -> list[Label]:
    shape = tuple(getattr(values, "shape", (len(values),)))
    if len(shape) != 1:
        what = f"expected one label per row, got an array of shape {shape}"
        raise MiniftError(f"{what}; turn logits into labels with argmax first")
    return values.tolist() if hasattr(values, "tolist") else list(values)


def paired(gold: Labels, predicted: Labels) -> tuple[list[Label], list[Label]]:
    """Return both as lists; raises MiniftError unless they are alike in length and in type."""
    gold, predicted = _listed(gold), _listed(predicted)
    if not gold or len(gold) != len(predicted):
        got = f"got {len(gold)} gold and {len(predicted)} predicted labels"
        raise MiniftError(f"{got}; expected as many of one as of the other, and at least one")
    found = {*map(type, gold)}, {*map(type, predicted)}
    if not any(all(issubclass(t, kind) for t in set.union(*found)) for kind in (str, Number)):
        mine, theirs = (" and ".join(sorted(t.__name__ for t in types)) for types in found)
        raise MiniftError(
            f"gold labels are {mine}, predicted ones are {theirs}; expected text on both sides or "
            'numbers on both ("1" never equals 1), none missing'
        )
    return gold, predicted


def _finite(gold: Numbers, predicted: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Return both in float64; predictions become constant if one of them is not finite."""
    x, y = (np.asarray(side, dtype=np.float64) for side in (gold, predicted))
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        got = f"got gold of shape {x.shape} and predictions of shape {y.shape}"
        raise MiniftError(f"{got}; expected two rows of numbers of equal length, at least one")
    if not np.isfinite(x).all():
        row = int(np.argmin(np.isfinite(x)))
        raise MiniftError(f"gold value of row {row + 1} is {x[row]}; score labelled examples only")
    return x, y if np.isfinite(y).all() else np.zeros_like(y)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if x.min() == x.max() or y.min() == y.max():
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    x, y = x / np.abs(x).max(), y / np.abs(y).max()  # squares of tiny values stay above 0
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1; equal values share the mean of the ranks they take up."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
