"""Calibration, temperature, threshold and scores per class are those of their definitions.

claim                                                        oracle
the calibration error and its bins                           loops over texts and bins, by hand
its interval covers the true error, of a perfect model and   1,000 simulated files
  of one whose labels are random, too
the temperature is the likeliest                             a grid; SciPy, by scikit-learn's loss
it is finite where all is right, all wrong, or all alike     counting
a temperature undoes what logits were multiplied by          known factors
the threshold is the best of all that there are              every cut point, by loops
ties go to the largest threshold; a precision that nothing   by hand
  reaches to the highest there is
precision, recall, F1 and what was confused                  scikit-learn
the interval of F1 covers the true F1                        1,000 simulated files
a table shows at most ten classes                            its lines
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from minift.data.calibration import (
    best_temperature,
    best_threshold,
    calibration,
    class_report,
    class_report_text,
    parse_goal,
)
from minift.errors import MiniftError


def softmax(logits):
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def drawn(n, classes, true_temperature=1.0, seed=0):
    """Logits, the probabilities that are true of each text, and classes drawn from these."""
    source = np.random.default_rng(seed)
    logits = 2 * source.normal(size=(n, classes))
    true = softmax(logits / true_temperature)
    return logits, true, (true.cumsum(1) > source.random((n, 1))).argmax(1).tolist()


def by_loops(probabilities, right):
    """Texts, mean probability and share of each bin, and the error; `right` may be a chance."""
    bins = []
    for k in range(15):
        there = [i for i, p in enumerate(probabilities) if k / 15 < max(p) <= (k + 1) / 15]
        if there:
            sure = sum(max(probabilities[i]) for i in there) / len(there)
            bins.append([len(there), sure, sum(right[i] for i in there) / len(there)])
    return bins, sum(n * abs(sure - share) for n, sure, share in bins) / len(probabilities)


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("n", [1, 7, 300])
def test_calibration_error_is_that_of_its_definition(n, classes):
    logits, _, gold = drawn(n, classes, 2.0, seed=n)
    p = softmax(logits)
    bins, error = by_loops(p, [int(row.argmax()) == g for row, g in zip(p, gold)])
    found = calibration(p, gold)
    np.testing.assert_allclose(found["bins"], bins, rtol=1e-12)
    assert found["error"][0] == pytest.approx(error, abs=1e-12)
    assert 0 <= found["error"][1] <= error


def test_calibration_error_by_hand_at_the_edges_of_bins():
    # .6 = 9/15 is in the ninth bin, as .56 is, and 1 in the last, as .94 is.
    p = [[0.6, 0.4], [0.56, 0.44], [1.0, 0.0], [0.06, 0.94]]
    found = calibration(np.array(p), [0, 1, 0, 0])
    np.testing.assert_allclose(found["bins"], [[2, 0.58, 0.5], [2, 0.97, 0.5]])
    assert found["error"][0] == pytest.approx((2 * 0.08 + 2 * 0.47) / 4)


@pytest.mark.parametrize("true_temperature", [1.0, 2.5, 0.4, math.inf])
@pytest.mark.parametrize(("n", "classes"), [(60, 2), (300, 3), (300, 6)])
def test_the_interval_covers_the_true_calibration_error(n, classes, true_temperature):
    """Also of a model that is calibrated, and where labels have nothing to do with the logits."""
    covered = 0
    for seed in range(80):  # 12 kinds, some 1,000 files
        logits, true, gold = drawn(n, classes, true_temperature, seed)
        p = softmax(logits)
        gap = true[np.arange(n), p.argmax(1)] - p.max(1)  # summed over each bin, it is the error
        error = np.abs(np.bincount(np.ceil(p.max(1) * 15).astype(int), gap)).sum() / n
        _, low, high = calibration(p, gold)["error"]
        covered += low <= error <= high
    assert covered / 80 > 0.93


def loss(logits, gold, temperature):
    return -np.log(softmax(logits / temperature)[np.arange(len(gold)), gold]).mean()


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_is_the_likeliest(true_temperature, classes):
    logits, _, gold = drawn(200, classes, true_temperature, seed=3)
    ours = best_temperature(logits, gold)
    theirs = log_loss(gold, softmax(logits / ours), labels=range(classes))
    assert loss(logits, gold, ours) == pytest.approx(theirs, abs=1e-12)
    grid = np.geomspace(0.05, 20, 4000)
    best = grid[np.argmin([loss(logits, gold, t) for t in grid])]
    assert ours == pytest.approx(best, rel=2e-3)  # half a step of the grid is .75e-3
    exact = minimize_scalar(
        lambda t: loss(logits, gold, math.exp(t)), bounds=(-3, 3), options={"xatol": 1e-9}
    )
    assert ours == pytest.approx(math.exp(exact.x), abs=1e-3)
    assert 0.6 < ours / true_temperature < 1.6


@pytest.mark.parametrize("factor", [0.2, 3.0, 50.0])
def test_logits_that_are_multiplied_have_a_temperature_that_undoes_it(factor):
    logits, _, gold = drawn(100, 3, 1.3)
    assert best_temperature(factor * logits, gold) == pytest.approx(
        factor * best_temperature(logits, gold), rel=1e-9
    )


def test_a_temperature_is_finite_whatever_is_right():
    logits, _, _ = drawn(20, 3)
    assert best_temperature(logits, logits.argmax(1).tolist()) == 1.0
    assert best_temperature(logits, logits.argmin(1).tolist()) == pytest.approx(1000)
    assert best_temperature(np.zeros((4, 3)), [0, 1, 2, 0]) == 1.0
    one_wrong = logits.argmax(1)
    one_wrong[0] = logits[0].argmin()
    assert 0.05 <= best_temperature(1e-4 * logits, one_wrong.tolist()) < 0.0501
    assert math.isfinite(best_temperature(1e6 * logits, one_wrong.tolist()))


def scores_at(p, hits, cut):
    true = sum(h and x >= cut for x, h in zip(p, hits))
    answered = sum(x >= cut for x in p)
    return true / answered, true / sum(hits), 2 * true / (answered + sum(hits))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("goal", ["f1", "recall=.9", "recall=1.0", "precision=.8", "precision=1"])
def test_the_threshold_is_the_best_of_all_cut_points(goal, seed):
    source = np.random.default_rng(seed)
    p = source.random(40)
    if seed % 2:
        p = p.round(1)  # with ties
    hits = source.random(40) < (0.2 if seed % 3 else p)  # of noise, or of what p says
    hits[0] = True
    kind, least = parse_goal(goal)
    every = {float(cut): scores_at(p, hits, cut) for cut in p}
    if kind == "f1":
        worth = {cut: f1 for cut, (_, _, f1) in every.items()}
    elif kind == "recall":
        worth = {cut: precision for cut, (precision, recall, _) in every.items() if recall >= least}
    else:
        worth = {cut: recall for cut, (precision, recall, _) in every.items() if precision >= least}
        worth = worth or {cut: precision for cut, (precision, _, _) in every.items()}
    best = max(worth.values())
    expected = max(cut for cut, value in worth.items() if value == best)
    assert best_threshold(p, hits, goal) == expected


def test_ties_go_to_the_largest_threshold_by_hand():
    p, hits = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, False, True])
    assert best_threshold(p, hits, "f1") == 0.9  # 2/3 there and at .6
    assert best_threshold(p, hits, "recall=.5") == 0.9
    assert best_threshold(p, hits, "recall=.6") == 0.6
    assert best_threshold(p, ~hits, "precision=.9") == 0.7  # 2 of 3 are right: the highest


@pytest.mark.parametrize("goal", ["f2", "recall", "recall=0", "recall=2", "f1=.5", "", "recall=x"])
def test_an_unknown_goal_is_one_sentence(goal):
    with pytest.raises(MiniftError, match=r"--threshold-for .*: expected f1, or recall or prec"):
        best_threshold(np.array([0.5]), np.array([True]), goal)


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_of_classes_are_scikit_learns(classes):
    logits, _, numbers = drawn(120, classes, 1.5)
    labels = [f"class {k}" for k in range(classes)]
    gold = [labels[k] for k in numbers]
    predicted = [labels[k] for k in logits.argmax(1)]
    report = class_report(gold, predicted, softmax(logits), labels)
    expected = precision_recall_fscore_support(gold, predicted, labels=labels)
    for part, values in zip(("precision", "recall", "f1"), expected):
        ours = [report["classes"][label][part] for label in labels]
        np.testing.assert_allclose([score for score, *_ in ours], values, rtol=1e-12)
        assert all(0 <= low <= score <= high <= 1 for score, low, high in ours)
    matrix = [[report["confusion"][a].get(b, 0) for b in labels] for a in labels]
    np.testing.assert_array_equal(matrix, confusion_matrix(gold, predicted, labels=labels))


def test_a_class_that_never_occurs_has_no_score():
    report = class_report(["a", "b"], ["a", "a"], [[1, 0, 0]] * 2, ["a", "b", "c"])
    assert report["classes"]["c"]["f1"] is None and report["classes"]["b"]["precision"] is None
    assert report["classes"]["b"]["recall"][0] == 0
    assert " -  " in class_report_text(report)


@pytest.mark.parametrize(("n", "share"), [(60, 0.1), (60, 0.4), (200, 0.5), (400, 0.05)])
def test_the_interval_of_f1_covers_the_true_f1(n, share):
    source, covered, scored = np.random.default_rng(0), 0, 0
    true = 2 * 0.7 * share / (share + 0.7 * share + 0.08 * (1 - share))
    for _ in range(250):
        gold = source.random(n) < share
        said = source.random(n) < np.where(gold, 0.7, 0.08)
        names = [["no", "yes"][k] for k in gold.astype(int)]
        answers = [["no", "yes"][k] for k in said.astype(int)]
        found = class_report(names, answers, [[1, 0]] * n, ["no", "yes"])["classes"]["yes"]["f1"]
        if found is not None:
            scored, covered = scored + 1, covered + (found[1] <= true <= found[2])
    assert 0.91 < covered / scored < 0.985


def test_a_table_shows_ten_classes_and_says_how_many_more():
    labels = [f"class {k}" for k in range(13)]
    gold = [labels[k] for k in range(13) for _ in range(k + 1)]
    p = np.full((len(gold), 13), 1 / 13)
    lines = class_report_text(class_report(gold, gold, p, labels)).splitlines()
    assert [line.split("  ")[0].strip() for line in lines[2:4]] == ["1 class 12", "2 class 11"]
    assert len(lines) == 2 + 10 + 2 and lines[-2].strip() == "and 3 smaller classes"
    assert lines[-1].startswith("likeliest class: says 0.077, right 0.011")  # the first of equals
