"""Metrics, proven.

claim                                                     oracle
accuracy, F1 (macro and binary) and Matthews are the      scikit-learn on 200 random label pairs,
  textbook numbers                                          constant, rare and absent classes too
Pearson and Spearman are, ties included                   SciPy on 600 random pairs
they are also on hand cases                               arithmetic by hand
a collapsed or diverged run scores, without a warning     defined values, warnings turned to errors
each difference from scikit-learn and SciPy               the two side by side
the baseline is the one that ignores the text             sklearn.dummy.DummyClassifier
bad input is refused in words that say what to do         the words
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sklearn
from sklearn.dummy import DummyClassifier

from minift.data.metrics import (
    HEADLINES,
    accuracy,
    collapsed,
    evaluate_classification,
    evaluate_multilabel,
    evaluate_regression,
    evaluate_tagging,
    f1,
    headline,
    majority_baseline,
    matthews,
    pearson,
    spearman,
)
from minift.errors import MiniftError

NAMES = np.array(["ham", "spam", "eggs", "a b", "0", "é"])
pytestmark = pytest.mark.filterwarnings("error")  # no metric may warn


def label_vectors():
    """200 (gold, predicted): 1 to 60 rows, 1 to 6 classes, skewed; every fifth is constant."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows, classes = rng.integers(1, 61), rng.integers(1, 7)
        share = rng.dirichlet(np.full(classes, 0.7))
        gold = rng.choice(classes, rows, p=share)
        predicted = np.where(rng.random(rows) < rng.random(), gold, rng.integers(0, classes, rows))
        if seed % 5 == 0:
            predicted = np.full(rows, rng.integers(0, classes))
        if seed % 10 == 5:
            gold = np.full(rows, gold[0])
        yield (gold, predicted) if seed % 2 else (NAMES[gold], NAMES[predicted])


def quietly(score, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score(*arguments, **options)


# --- against scikit-learn ------------------------------------------------------------------


def test_accuracy_equals_scikit_learn():
    for gold, predicted in label_vectors():
        assert accuracy(gold, predicted) == sklearn.accuracy_score(gold, predicted)


def test_macro_f1_equals_scikit_learn_over_the_classes_that_occur():
    for gold, predicted in label_vectors():
        expected = quietly(sklearn.f1_score, gold, predicted, average="macro", zero_division=0)
        assert f1(gold, predicted) == pytest.approx(expected, abs=1e-12)


def test_binary_f1_equals_scikit_learn_for_each_class_against_the_rest():
    for gold, predicted in label_vectors():
        labels = np.unique([gold, predicted])
        each = sklearn.f1_score(gold, predicted, average=None, labels=labels, zero_division=0)
        for positive, expected in zip(labels.tolist(), each):
            assert f1(gold, predicted, positive=positive) == pytest.approx(expected, abs=1e-12)


def test_matthews_equals_scikit_learn_with_two_and_with_more_classes():
    for gold, predicted in label_vectors():
        expected = quietly(sklearn.matthews_corrcoef, gold, predicted)
        assert matthews(gold, predicted) == pytest.approx(expected, abs=1e-12)


def test_matthews_of_a_million_rows_does_not_overflow():
    gold = [0, 1] * 500_000
    assert matthews(gold, gold) == 1.0


def test_labels_may_come_as_lists_arrays_or_tensors():
    gold, predicted = [0, 1, 1, 2], [0, 1, 2, 2]
    for convert in (list, tuple, np.array, torch.tensor):
        for metric in (accuracy, f1, matthews):
            assert metric(convert(gold), convert(predicted)) == metric(gold, predicted)
    assert accuracy(list(np.array(["a", "b"])), ["a", "b"]) == 1.0  # a list of numpy strings


# --- against SciPy -------------------------------------------------------------------------


def number_vectors():
    """600 (gold, predicted): 2 to 60 rows, half of them full of ties, over many scales."""
    for seed in range(600):
        rng = np.random.default_rng(seed)
        gold = rng.normal(size=rng.integers(2, 61)) * 10.0 ** rng.integers(-8, 8)
        predicted = gold * rng.normal() + rng.normal(size=gold.size) * np.abs(gold).max()
        if seed % 2:
            gold, predicted = (np.round(3 * x / np.abs(x).max()) for x in (gold, predicted))
        if np.ptp(gold) and np.ptp(predicted):
            yield gold, predicted


def test_pearson_and_spearman_equal_scipy_ties_included():
    compared = 0
    for gold, predicted in number_vectors():
        expected = quietly(stats.pearsonr, gold, predicted).statistic
        assert pearson(gold, predicted) == pytest.approx(expected, abs=1e-10)
        expected = quietly(stats.spearmanr, gold, predicted).statistic
        assert spearman(gold, predicted) == pytest.approx(expected, abs=1e-10)
        compared += 1
    assert compared > 500


def test_correlations_by_hand():
    assert pearson([1, 2, 3], [2, 4, 6]) == 1.0
    assert pearson([1, 2, 3], [3, 2, 1]) == -1.0
    assert pearson([0, 0, 1], [0, 1, 0]) == pytest.approx(-0.5)
    assert spearman([1, 2, 3], [1, 10, 1000]) == 1.0  # only the order counts
    # ranks 1.5 1.5 3 against 1 2 3: covariance 1.5, spreads 1.5 and 2
    assert spearman([5, 5, 7], [1, 2, 3]) == pytest.approx(1.5 / np.sqrt(1.5 * 2))


def test_correlation_of_tiny_differences_is_that_of_the_same_numbers_scaled_up():
    gold, predicted = np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 5.0])
    assert pearson(gold * 1e-200, predicted) == pytest.approx(pearson(gold, predicted), abs=1e-12)


# --- hand cases and defined edges ----------------------------------------------------------

GOLD, PREDICTED = ["n", "n", "n", "p", "p"], ["n", "n", "p", "p", "n"]


def test_scores_of_five_rows_by_hand():
    scores = evaluate_classification(GOLD, PREDICTED, ["n", "p"])
    assert scores == {
        "accuracy": pytest.approx(3 / 5),
        "macro_f1": pytest.approx((2 / 3 + 1 / 2) / 2),
        "matthews": pytest.approx((1 * 2 - 1 * 1) / np.sqrt(2 * 2 * 3 * 3)),
        "f1": pytest.approx(1 / 2),
        "f1_of": "p",  # the second label
    }
    assert evaluate_classification(GOLD, PREDICTED, ["p", "n"])["f1"] == pytest.approx(2 / 3)


def test_f1_is_of_the_class_that_is_named_or_of_the_second_of_two():
    gold, none = ["abuse"] + ["none"] * 19, ["none"] * 20
    scores = evaluate_classification(gold, none, ["abuse", "none"])
    assert (scores["f1_of"], scores["f1"]) == ("none", pytest.approx(2 * 19 / 39))
    scores = evaluate_classification(gold, none, ["abuse", "none"], "abuse")
    assert (scores["f1_of"], scores["f1"]) == ("abuse", 0.0)
    assert {"f1", "f1_of"}.isdisjoint(evaluate_classification(GOLD, PREDICTED, ["n", "p", "q"]))
    three = evaluate_classification(GOLD, PREDICTED, ["n", "p", "q"], "n")
    assert (three["f1_of"], three["f1"]) == ("n", pytest.approx(2 / 3))
    with pytest.raises(MiniftError, match="the positive class 'abus' is not one of"):
        evaluate_classification(gold, none, ["abuse", "none"], "abus")


def test_a_collapsed_run_scores_matthews_0_and_f1_0_for_the_class_never_predicted():
    scores = evaluate_classification(GOLD, ["n"] * 5, ["n", "p"])
    assert scores["matthews"] == 0.0
    assert scores["f1"] == 0.0
    assert scores["macro_f1"] == pytest.approx(0.75 / 2)


@pytest.mark.parametrize("metric", [pearson, spearman])
def test_differs_the_correlation_of_constant_predictions_is_0_where_scipy_returns_nan(metric):
    gold, constant = [1.0, 2.0, 3.0], [0.1, 0.1, 0.1]
    theirs = stats.pearsonr if metric is pearson else stats.spearmanr
    assert np.isnan(quietly(theirs, gold, constant).statistic)
    assert metric(gold, constant) == metric(constant, gold) == metric([1.0], [2.0]) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_differs_a_diverged_run_has_correlation_0_and_shows_in_rmse(bad):
    scores = evaluate_regression([1.0, 2.0, 3.0], [1.0, bad, 3.0])
    assert (scores["pearson"], scores["spearman"]) == (0.0, 0.0)
    assert not np.isfinite(scores["rmse"])


def test_differs_perfect_predictions_score_1_on_a_sample_that_lacks_a_class():
    labels = ["a", "b", "c"]
    scores = evaluate_classification(["a", "b"], ["a", "b"], labels)
    assert scores == {"accuracy": 1.0, "macro_f1": 1.0, "matthews": 1.0}


def test_differs_an_unknown_label_is_refused_where_scikit_learn_drops_its_row():
    gold, predicted = ["positive", "negative"], ["positive", "negativ"]
    labels = ["negative", "positive"]
    assert sklearn.confusion_matrix(gold, predicted, labels=labels).sum() == 1
    with pytest.raises(MiniftError, match=r"predicted label 'negativ' of row 2.*did you mean"):
        evaluate_classification(gold, predicted, labels)


@pytest.mark.parametrize("metric", [accuracy, f1, matthews])
def test_differs_text_and_number_labels_are_refused_instead_of_never_being_equal(metric):
    with pytest.raises(MiniftError, match="gold labels are str, predicted ones are int"):
        metric(["0", "1"], [0, 1])
    with pytest.raises(MiniftError, match="gold labels are int and str"):
        metric([0, "1"], [0, "1"])


def test_rmse_by_hand():
    assert evaluate_regression([1, 2, 3], [2, 2, 5])["rmse"] == pytest.approx(np.sqrt(5 / 3))


# --- headline, collapse, baseline ----------------------------------------------------------


def test_every_headline_is_a_number_that_one_of_the_evaluations_gives():
    classes = evaluate_classification(GOLD, PREDICTED, ["n", "p"])
    numbers = evaluate_regression([1, 2, 4], [1, 3, 2])
    entities = evaluate_tagging([["B-A", "O", "B-A"]], [["B-A", "O", "O"]])
    home = dict.fromkeys(HEADLINES, classes)
    several = evaluate_multilabel([("a", "b"), ()], [("a",), ("a",)], ["a", "b"])
    home |= {"pearson_spearman": numbers, "entity_f1": entities, "micro_f1": several}
    assert {metric: headline(metric, scores) for metric, scores in home.items()} == {
        "accuracy": classes["accuracy"],
        "macro_f1": classes["macro_f1"],
        "f1": classes["f1"],
        "matthews": classes["matthews"],
        "pearson_spearman": (numbers["pearson"] + numbers["spearman"]) / 2,
        "entity_f1": pytest.approx(2 / 3),
        "micro_f1": pytest.approx(2 / 4),
    }


def test_tagging_scores_are_micro_averages_and_the_macro_f1():
    gold, predicted = [["B-A", "B-A", "B-B"]], [["B-A", "O", "B-A"]]
    assert evaluate_tagging(gold, predicted) == {
        "entity_precision": 1 / 2,
        "entity_recall": 1 / 3,
        "entity_f1": 2 / 5,
        "entity_macro_f1": (1 / 2 + 0) / 2,
    }


def test_an_unknown_headline_and_one_of_another_task_are_refused():
    scores = evaluate_classification(["a", "b", "c"], ["a", "b", "c"], ["a", "b", "c"])
    with pytest.raises(MiniftError, match=r'unknown metric "mathews".*did you mean "matthews"'):
        headline("mathews", scores)
    with pytest.raises(MiniftError, match=r'"f1" does not fit.*accuracy, macro_f1.*two classes'):
        headline("f1", scores)


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        (["a", "a"], None, "a"),
        (["a", "a"], ["a", "b"], "a"),
        (["a", "a"], ["a", "a"], None),  # right, not collapsed
        (["a", "b"], ["a", "b"], None),
        (["a"], None, None),
        ([], None, None),
        (np.array([0, 0]), np.array([0, 1]), 0),  # class 0 is a class, not "no"
    ],
)
def test_a_run_has_collapsed_if_it_predicts_one_class_where_gold_has_several(
    predicted, gold, expected
):
    assert collapsed(predicted, gold) == expected
    assert (collapsed(predicted, gold) is None) == (expected is None)


def test_the_majority_baseline_equals_scikit_learns_dummy_ties_included():
    for train, gold in label_vectors():
        dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(train), 1)), train)
        expected = dummy.predict(np.zeros((len(gold), 1))).tolist()
        labels = sorted({*train.tolist(), *gold.tolist()})
        assert majority_baseline(train, gold, labels) == expected
        assert majority_baseline(train[::-1], gold, labels) == expected  # order does not matter


def test_of_equally_frequent_labels_the_baseline_takes_the_first_in_the_order_of_the_logits():
    train, gold = ["10", "9", "7", "9", "10"], ["7", "9"]
    assert majority_baseline(train, gold, ["7", "9", "10"]) == ["9", "9"]
    assert majority_baseline(train, gold, ["10", "9", "7"]) == ["10", "10"]


@pytest.mark.parametrize("train", [[], ["a", "c"]])
def test_a_majority_baseline_of_no_labels_or_of_unknown_ones_is_refused(train):
    with pytest.raises(MiniftError, match=r"training labels .* expected one or more of \['a', 'b"):
        majority_baseline(train, ["a"], ["a", "b"])


# --- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [accuracy, f1, matthews])
@pytest.mark.parametrize(
    ("gold", "predicted", "words"),
    [
        ([], [], "got 0 gold and 0 predicted labels"),
        (["a", "b"], ["a"], "got 2 gold and 1 predicted labels"),
        ([None, None], [None, None], "missing"),
        (["a", None], ["a", "b"], "gold labels are NoneType and str"),
        ([0, 1], [torch.tensor(0), torch.tensor(1)], "predicted ones are Tensor"),
        (np.zeros(2), np.zeros((2, 3)), r"array of shape \(2, 3\); turn logits into labels"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(metric, gold, predicted, words):
    with pytest.raises(MiniftError, match=words):
        metric(gold, predicted)


@pytest.mark.parametrize("metric", [pearson, spearman, evaluate_regression])
@pytest.mark.parametrize(
    ("gold", "predicted", "words"),
    [
        ([], [], r"shape \(0,\)"),
        ([1.0, 2.0], [1.0], r"gold of shape \(2,\) and predictions of shape \(1,\)"),
        (np.zeros(3), np.zeros((3, 1)), r"predictions of shape \(3, 1\)"),  # would broadcast
        ([1.0, None], [1.0, 2.0], "gold value of row 2 is nan; score labelled"),
        ([np.inf, 1.0], [1.0, 2.0], "gold value of row 1 is inf"),
    ],
)
def test_numbers_that_cannot_be_compared_are_refused(metric, gold, predicted, words):
    with pytest.raises(MiniftError, match=words):
        metric(gold, predicted)


def test_a_class_named_twice_is_refused():
    with pytest.raises(MiniftError, match="name a class twice"):
        evaluate_classification(["a"], ["a"], ["a", "b", "a"])
