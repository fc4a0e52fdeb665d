"""Assignment 03: few labels, and why runs disagree. Fill in what raises NotImplementedError.

Check it as often as you like:  python tutorials/grade.py 03
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

import random
from collections.abc import Callable

# --- Task 1: draw the labels --------------------------------------------------------------------


def draw_labels(labels: list[str], size: int, seed: int) -> list[int]:
    """Draw the texts that will be labelled, stratified: each class keeps its share.

    Args:
        labels: the class of each text.
        size: how many texts to draw.
        seed: the same seed draws the same texts, whatever was drawn elsewhere before; another
            seed draws others. The draw must leave the streams that other parts of a program use
            (`random`, `torch`, `numpy.random`) as they were.

    Returns:
        `size` different indices into `labels`, in any order. A class with c of the n texts gets
        size * c / n of them, rounded up or down.
    """
    raise NotImplementedError("task 1, draw_labels: begin with the indices of each class")


# --- Task 2: what a handful of runs is worth ----------------------------------------------------


def majority_accuracy(train: list[str], gold: list[str]) -> float:
    """Return the accuracy, in [0, 1], of always giving the most frequent label.

    Args:
        train: labels of the training texts, which is all that a method may look at. Of labels
            equally frequent there, take the first in the alphabet.
        gold: right labels of the test texts.
    """
    raise NotImplementedError("task 2, majority_accuracy: begin with counting the labels")


def collapsed(predicted: list[str], gold: list[str]) -> bool:
    """Return whether a run failed: whether it gives all texts one label.

    Args:
        predicted: what the model says of each test text. One text alone cannot show a collapse.
        gold: right labels. If they are all of one class themselves, giving all texts that class is
            no failure.
    """
    raise NotImplementedError("task 2, collapsed: begin with how many labels were predicted")


# The t for a two-sided 95 % interval, by degrees of freedom.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def difference(scores: dict[int, float], others: dict[int, float]) -> dict[str, float]:
    """Compare two methods seed by seed.

    Args:
        scores, others: the score of each method with each seed. The seeds may stand in another
            order, and one may have seeds that the other lacks, which are then left out.

    Returns:
        Of the differences (scores - others): {"n": how many, "mean": their mean, "sd": their
        standard deviation, "low": ..., "high": ...}, the last two the ends of the 95 % t interval
        of the mean.
    """
    raise NotImplementedError("task 2, difference: begin with the seeds that both have")


# --- Task 3: find the bugs ----------------------------------------------------------------------


def compare(
    run: Callable[[str, float, int, int], dict[str, float]],
    methods: list[str],
    rates: list[float],
    seeds: list[int],
    guess: float,
) -> dict[str, dict[int, float]]:
    """Train each method with each seed, and return {method: {seed: test accuracy}}.

    For each method and seed the best of several learning rates is taken. The labelled texts are
    to be the same for all methods and rates of a seed, and others for another seed.

    This is complete, and wrong in three ways. Find them and fix them.

    Args:
        run: `run(method, rate, subset, head)` trains once; `subset` is the seed of the draw of
            the labelled texts, `head` that of the new head. It returns {"dev": accuracy on a
            development set, "test": accuracy on the test set}.
        methods, rates: what to try.
        seeds: of the heads.
        guess: accuracy of the majority baseline.
    """
    draws = random.Random(0)
    results: dict[str, dict[int, float]] = {}
    for method in methods:
        results[method] = {}
        for seed in seeds:
            tried = [run(method, rate, draws.randrange(10**6), seed) for rate in rates]
            best = max(tried, key=lambda scores: scores["test"])
            if best["test"] > guess:
                results[method][seed] = best["test"]
    return results


# --- Task 4: write the test ---------------------------------------------------------------------


def test_matthews(candidate: Callable[[list[int], list[int]], float]) -> None:
    """Fail (with `assert`) if `candidate` does not compute the Matthews coefficient.

    A right candidate: `candidate(gold, predicted)` takes two lists of 0 and 1 and returns

        (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))

    and 0 where the denominator is 0, as for a run that gives all texts one label.

    You will be given two right candidates, which must pass, and six wrong ones, each of which
    has one mistake that people make.
    """
    raise NotImplementedError("task 4, test_matthews: begin with four texts, all of them right")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {"right": 0.8, "texts": 400, "sd": 2.5, "reach": 1.0, "runs": 5, "gain": 1.0}
ANSWERS: dict[str, float | None] = {
    # A method gets a share `right` of `texts` test texts right. The standard deviation of that
    # figure over other test sets of the same size, in points (hundredths).
    "test_set_sd": None,
    # Two methods; the differences of their pairs of runs have a standard deviation of `sd` points.
    # The smallest number of seeds with which the 95 % t interval reaches at most `reach` points to
    # either side of the mean.
    "seeds_needed": None,
    # Somebody runs `runs` seeds and reports the best. How far that lies above the mean on average,
    # in standard deviations of a run (scores are normally distributed); two digits are enough.
    "best_run": None,
    # Method A is better than B by `gain` points on average; single runs of either have a standard
    # deviation of `sd` points and are independent. In what percentage of comparisons of one run
    # each is B ahead?
    "wrong_order": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
