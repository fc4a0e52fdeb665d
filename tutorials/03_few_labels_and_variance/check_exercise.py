"""The checks of assignment 03. The reference is arithmetic with a switch for each mistake."""

from __future__ import annotations

import math
import random
import statistics
from functools import cache
from itertools import product

import numpy
import torch

from _grading.checks import Task, Wrong, check
from _grading.diagnose import equal, expect
from _grading.measure_task import grade_number
from _grading.recorded import only
from _grading.tests_task import grade_test
from minift.data.intervals import t_quantile

TITLE = "Few labels: draws, intervals, and what flatters a method"
TASKS = {
    1: Task("Draw the labels", minutes=25),
    2: Task("What a handful of runs is worth", minutes=40),
    3: Task("Find the bugs", minutes=25),
    4: Task("Write the test", minutes=25),
    5: Task("Measure and explain", minutes=40, hand=5),
}

# --- task 1 ---


def pool(draw, sizes: list[int]) -> list[str]:
    """Return labels of classes a, b, c ... of these sizes, shuffled."""
    labels = [name for name, size in zip("abcd", sizes) for _ in range(size)]
    draw.random.shuffle(labels)
    return labels


def drawn(student, labels, size, seed, noise) -> tuple[list[int], list[float]]:
    """Return the indices that the student's draw_labels gives, and what others draw next."""
    got = student.call("drawn", labels, size, seed, noise)
    chosen = got["chosen"]
    if not isinstance(chosen, (list, tuple)) or not all(type(i) is int for i in chosen):
        raise Wrong("draw_labels is to return a list of indices (int)")
    if bad := [i for i in chosen if not 0 <= i < len(labels)]:
        raise Wrong(f"draw_labels returns the index {bad[0]} of {len(labels)} texts")
    return list(chosen), got["next"]


@check(task=1, points=3, public="open")
def check_strata(student, draw):
    whole = 20 * draw.integer(3, 5)  # of 4 * whole texts half as many are drawn: whole shares
    cases = [([whole, 2 * whole, whole], 2 * whole), ([whole + 1, 2 * whole + 3, 7], whole - 1)]
    for sizes, size in cases:
        labels = pool(draw, sizes)
        for seed in range(4):
            chosen, _ = drawn(student, labels, size, seed, 0)
            if len(set(chosen)) < len(chosen):
                raise Wrong("draw_labels draws a text twice: nobody pays for one label twice")
            for name, count in zip("abcd", sizes):
                share = size * count / len(labels)
                found = sum(labels[i] == name for i in chosen)
                if not math.floor(share) <= found <= math.ceil(share):
                    raise Wrong(
                        f"of {len(labels)} texts {count} are of class {name!r}, so {size} drawn "
                        f"are to hold {share:.4g} of it, rounded up or down; they hold {found}"
                    )
            if len(chosen) != size:
                raise Wrong(f"draw_labels returns {len(chosen)} indices; {size} were asked for")


@check(task=1, points=2, public="open")
def check_streams(student, draw):
    labels, size = pool(draw, [40, 60]), 20  # whole shares: rounding is another check's
    seed, noise = draw.integer(0, 10**6), draw.integer(0, 10**6)
    first, after = drawn(student, labels, size, seed, noise)
    again, _ = drawn(student, labels, size, seed, noise + 1)
    if sorted(first) != sorted(again):
        raise Wrong(
            "with one seed draw_labels gives different texts when other parts of the program have "
            "drawn other numbers before: it needs a stream of its own"
        )
    others = [drawn(student, labels, size, seed + k, noise)[0] for k in (1, 2, 3)]
    if all(sorted(first) == sorted(other) for other in others):
        raise Wrong("draw_labels gives the same texts with every seed")
    right = [
        random.Random(noise).random(),
        torch.rand(1, generator=torch.Generator().manual_seed(noise)).item(),
        float(numpy.random.RandomState(noise).random()),
    ]
    for name, value, expected in zip(("random", "torch", "numpy.random"), after, right):
        if value != expected:
            raise Wrong(
                f"after draw_labels the stream of `{name}` is not where it was: heads and dropout "
                "drawn from it change with the subset"
            )


# --- task 2 ---


@check(task=2, points=2)
def check_majority(student, draw):
    more, less = draw.integer(6, 9), draw.integer(2, 4)
    cases = [
        (["b"] * more + ["a"] * less, ["a"] * (more + 3) + ["b"] * less),
        (["c"] * less + ["b"] * more + ["a"] * more, ["a"] * 2 + ["b"] * 3 + ["c"] * 7),
    ]

    def share(gold, label):
        return gold.count(label) / len(gold)

    right = [share(cases[0][1], "b"), share(cases[1][1], "a")]
    expect(
        [student.call("majority_accuracy", *case) for case in cases],
        right,
        what="majority_accuracy",
        mistakes={
            "it takes the label that is most frequent in the test texts; the baseline may look at "
            "the training labels only": [share(cases[0][1], "a"), share(cases[1][1], "c")],
            "it is the share of the label among the training texts; score it on gold": [
                share(cases[0][0], "b"),
                share(cases[1][0], "a"),
            ],
            "of two labels equally frequent in training it takes the one that comes first in the "
            "list, not in the alphabet": [right[0], share(cases[1][1], "b")],
        },
    )


@check(task=2, points=2)
def check_collapsed(student, draw):
    n = 2 * draw.integer(3, 6)
    half = ["a", "b"] * (n // 2)
    other = draw.choice("ab")
    cases = {
        "all texts get one of two labels": ([other] * n, half, True),
        "all texts get the same label, and most of gold has it: it scores well, and has "
        "collapsed": (["a"] * n, ["a"] * (n - 1) + ["b"], True),
        "two labels are given, and half of the texts are right: that is guessing, no collapse": (
            ["a", "a", "b", "b"] * (n // 2),
            half * 2,
            False,
        ),
        "of three classes two are predicted: poor, but not one label for all": (
            half,
            ["a", "b", "c"] * (n // 3) + ["a"] * (n - 3 * (n // 3)),
            False,
        ),
        "gold has one class only, and all texts get it": (["b"] * n, ["b"] * n, False),
        "there is a single text": (["a"], ["b"], False),
    }
    for said, (predicted, gold, right) in cases.items():
        got = student.call("collapsed", predicted, gold)
        if not isinstance(got, bool):
            raise Wrong("collapsed is to return True or False")
        if got != right:
            raise Wrong(f"collapsed returns {got} where {said}")


KEYS = ("n", "mean", "sd", "low", "high")


def compared(student, scores, others) -> dict[str, float]:
    """Return what the student's difference says, if it has all numbers."""
    got = student.call("difference", scores, others)
    if not isinstance(got, dict) or set(got) != set(KEYS):
        raise Wrong(f"difference is to return a dict with the keys {', '.join(KEYS)}")
    for key, value in got.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Wrong(f"difference: {key!r} is to be a number")
    return got


@check(task=2, points=2, public=only("n", "mean"), tolerance=5e-5)
def check_pairing(student, draw):
    n = draw.integer(5, 7)
    scores = {seed: 0.6 + 0.1 * draw.random.random() for seed in range(n)}
    others = {seed: 0.5 + 0.1 * draw.random.random() for seed in range(n + 2)}
    lacking = draw.integer(1, n - 2)
    scores[lacking] += 0.1  # a seed that stands apart, so that dropping or keeping it shows
    others = {seed: others[seed] for seed in reversed(others) if seed != lacking}
    common = [seed for seed in scores if seed in others]

    def said(pairs):
        values = [a - b for a, b in pairs]
        return {"n": len(values), "mean": statistics.mean(values)}

    right = said([(scores[s], others[s]) for s in common])
    every = sorted(set(scores) | set(others))
    got = compared(student, scores, others)
    unpaired = statistics.mean(scores.values()) - statistics.mean(others.values())
    expect(
        {key: got[key] for key in right},
        right,
        what="difference",
        mistakes={
            "scores are paired by their place in the dicts, not by their seed": said(
                zip(scores.values(), others.values())
            ),
            "this is the difference of two means over all seeds; leave out seeds that one of the "
            "methods lacks": {"n": got["n"], "mean": unpaired},
            "a seed that one of the methods lacks is taken for a score of 0": said(
                [(scores.get(s, 0), others.get(s, 0)) for s in every]
            ),
            "the sign is the wrong way round: it is scores - others": said(
                [(others[s], scores[s]) for s in common]
            ),
        },
    )


@check(task=2, points=3, public=only("sd", "low", "high"), tolerance=5e-5)
def check_interval(student, draw):
    n = draw.integer(4, 8)
    luck = [draw.random.gauss(0, 0.05) for _ in range(n)]  # of the labelled texts, shared
    scores = {s: 0.7 + luck[s] + draw.random.gauss(0, 0.02) for s in range(n)}
    others = {s: 0.6 + luck[s] + draw.random.gauss(0, 0.02) for s in range(n)}
    values = [scores[s] - others[s] for s in range(n)]
    sd = statistics.stdev(values)
    t = t_quantile(0.975, n - 1)
    unpaired = math.sqrt(sum(statistics.variance(x.values()) for x in (scores, others)))
    got = compared(student, scores, others)

    def shown(sd, half):
        return {"sd": sd, "half the interval": half, "its middle - mean": 0.0}

    root = math.sqrt(n)
    small = statistics.pstdev(values)
    # Where the middle is, is judged against the student's mean: that is another check's.
    expect(
        {
            "sd": got["sd"],
            "half the interval": (got["high"] - got["low"]) / 2,
            "its middle - mean": (got["high"] + got["low"]) / 2 - got["mean"],
        },
        shown(sd, t * sd / root),
        what="difference",
        mistakes={
            "sd is divided by n; these differences are a sample, so divide by n - 1": shown(
                small, t * small / root
            ),
            "the interval takes 1.96 for t; that is for a known sd, or very many seeds": shown(
                sd, 1.96 * sd / root
            ),
            "the interval is that of single differences; that of their mean is narrower by the "
            "root of n": shown(sd, t * sd),
            "t is taken for n degrees of freedom; n differences have n - 1": shown(
                sd, t_quantile(0.975, n) * sd / root
            ),
            "sd / n in place of sd / sqrt(n)": shown(sd, t * sd / n),
            "the two methods' variances are added up, as if the runs were not pairs: the luck of "
            "the shared texts is still in it": shown(unpaired, t * unpaired / root),
            "sd is that of the pairs, but the interval adds up the two methods' variances: the "
            "luck of the shared texts is still in it": shown(sd, t * unpaired / root),
            "t is one-sided: it leaves 5 % on each side": shown(
                sd, t_quantile(0.95, n - 1) * sd / root
            ),
        },
        tolerance=5e-5,  # t in the table has three digits
    )


# --- task 3 ---

CHOICE = "the rate is chosen by the test set; then its score is no longer a test"
DROPPED = (
    "a run that is no better than guessing is left out: failed runs belong into the mean, or the "
    "method looks stable that is not"
)


def subsets_wrong(calls: list, methods: list[str]) -> str:
    """Return what is wrong with the seeds of the subsets; "" if nothing is."""
    seen: dict[int, set] = {}
    by_method: dict[tuple, set] = {}
    for method, _, subset, head in calls:
        seen.setdefault(head, set()).add(subset)
        by_method.setdefault((method, head), set()).add(subset)
    if any(len(subsets) > 1 for subsets in seen.values()):
        if all(len(subsets) == 1 for subsets in by_method.values()):
            return "methods are compared on different texts: their luck is in the difference"
        return "each run draws texts of its own; all runs of a seed are to share theirs"
    if len(seen) > 1 and len({min(subsets) for subsets in seen.values()}) < len(seen):
        return (
            "several seeds share one draw of texts: the spread then lacks its largest part, that "
            "of the labels"
        )
    return ""


def results_and_subsets(got: dict) -> list:
    """Return what counts of a comparison: which texts were drawn does not, but how often others."""
    return [got["results"], subsets_wrong(got["calls"], sorted({call[0] for call in got["calls"]}))]


@check(task=3, points=4, public=results_and_subsets)
def check_compare(student, draw):
    methods, rates, guess = ["plain", "frozen", "biases"], [1e-5, 3e-5, 1e-4], 0.5
    seeds = draw.random.sample(range(50), draw.integer(3, 4))
    table: dict = {}
    for method in methods:
        table[method] = {}
        for seed in seeds:
            low, middle, high = (s + draw.random.random() / 50 for s in (0.55, 0.6, 0.65))
            runs = [(high, low), (middle, high), (low, middle)]  # best by dev, worst by test
            draw.random.shuffle(runs)
            table[method][seed] = dict(zip(rates, runs))
    failed = draw.choice(methods), draw.choice(seeds)
    table[failed[0]][failed[1]] = dict(zip(rates, [(0.5, 0.5), (0.48, 0.49), (0.47, 0.48)]))
    got = student.call("compared", methods, rates, table, guess)

    def results(by_test: bool, dropped: bool):
        found: dict = {method: {} for method in methods}
        for method, seed in product(methods, seeds):
            best = max(table[method][seed].values(), key=lambda pair: pair[by_test])
            if not dropped or best[1] > guess:
                found[method][seed] = best[1]
        return found

    left = []
    for by_test, dropped in product((False, True), repeat=2):
        if equal(got["results"], results(by_test, dropped)):
            left += [CHOICE] * by_test + [DROPPED] * dropped
            break
    else:
        expect(got["results"], results(False, False), what="compare(...)")
    if wrong := subsets_wrong(got["calls"], methods):
        left.append(wrong)
    if len(left) == 1:
        raise Wrong(left[0], share=2 / 3)
    if left:
        count = f"{len(left)} of the 3 bugs are left" if len(left) < 3 else "all 3 bugs are there"
        raise Wrong(count, share=1 - len(left) / 3)


# --- task 4: the candidates. Each takes (gold, predicted) ---


def counts(gold, predicted) -> tuple[int, int, int, int]:
    """Return TP, TN, FP, FN of what a candidate takes."""
    if not (isinstance(gold, (list, tuple)) and isinstance(predicted, (list, tuple))):
        raise ValueError("gold and predicted are to be lists")
    if len(gold) != len(predicted) or not gold or not {*gold, *predicted} <= {0, 1}:
        raise ValueError("gold and predicted are to be lists of 0 and 1, equally long")
    pairs = list(zip(gold, predicted))
    return tuple(sum(pair == (g, p) for pair in pairs) for g, p in ((1, 1), (0, 0), (0, 1), (1, 0)))


def matthews(gold, predicted):
    tp, tn, fp, fn = counts(gold, predicted)
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(below) if below else 0.0


def matthews_as_correlation(gold, predicted):
    counts(gold, predicted)
    if len(set(gold)) == 1 or len(set(predicted)) == 1:
        return 0.0
    return torch.corrcoef(torch.tensor([gold, predicted], dtype=torch.float64))[0, 1].item()


def without_sign(gold, predicted):
    return abs(matthews(gold, predicted))


def twice_accuracy(gold, predicted):
    tp, tn, fp, fn = counts(gold, predicted)
    if not (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn):
        return 0.0
    return 2 * (tp + tn) / (tp + tn + fp + fn) - 1


def f1_score(gold, predicted):
    tp, tn, fp, fn = counts(gold, predicted)
    if not (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn):
        return 0.0
    return 2 * tp / (2 * tp + fp + fn)


def youden(gold, predicted):
    tp, tn, fp, fn = counts(gold, predicted)
    if not (tp + fn) * (tn + fp):
        return 0.0
    return tp / (tp + fn) + tn / (tn + fp) - 1


def without_root(gold, predicted):
    tp, tn, fp, fn = counts(gold, predicted)
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / below if below else 0.0


def breaks(gold, predicted):
    tp, tn, fp, fn = counts(gold, predicted)
    return (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))


@check(task=4, points=6)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_matthews",
        [matthews, matthews_as_correlation],
        {
            "divides by 0 where all texts get one label": breaks,
            "loses the sign": without_sign,
            "forgets the root": without_root,
            "returns the F1 of class 1": f1_score,
            "returns 2 * accuracy - 1, which is the same for equal classes only": twice_accuracy,
            "adds up the recalls of both classes and takes off 1": youden,
        },
    )


# --- task 5 ---

QUESTION = {"right": 0.8, "texts": 400, "sd": 2.5, "reach": 1.0, "runs": 5, "gain": 1.0}


def ask(draw):
    """Draw the question of a term."""
    return {
        "right": draw.choice([0.65, 0.7, 0.75, 0.85, 0.9]),
        "texts": draw.choice([150, 250, 300, 500, 600, 800]),
        "sd": draw.choice([2.0, 3.0, 3.5, 4.0]),
        "reach": draw.choice([0.8, 1.2, 1.5]),
        "runs": draw.choice([3, 4, 6, 7, 8, 10]),
        "gain": draw.choice([0.5, 0.8, 1.5, 2.0]),
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    right, sd = question["right"], question["sd"]
    behind = statistics.NormalDist().cdf(-question["gain"] / (sd * math.sqrt(2)))
    return {
        "test_set_sd": 100 * math.sqrt(right * (1 - right) / question["texts"]),
        "seeds_needed": seeds_needed(sd, question["reach"]),
        "best_run": mean_of_best(question["runs"]),
        "wrong_order": 100 * behind,
    }


@check(task=5, points=1)
def check_test_set(student, draw):
    sd = answers(draw.question)["test_set_sd"] / 100
    share = draw.question["right"]
    grade_number(
        student,
        "test_set_sd",
        100 * sd,
        {
            "in points it is a hundred times that": sd,
            "this is the variance, or its root is missing": 100 * sd**2,
            "this is the spread of a single text; the mean of all has less": (
                100 * math.sqrt(share * (1 - share))
            ),
            "this is half the width of a 95 % interval": 196 * sd,
        },
        "each text is right with that probability, and all of them are averaged",
        share=0.01,
    )


@cache
def seeds_needed(spread: float, reach: float, normal: bool = False, one_sided: bool = False) -> int:
    """Return the least n for which the interval of the mean reaches no further."""
    n = 2
    while True:
        t = t_quantile(0.95 if one_sided else 0.975, n - 1) if not normal else 1.96
        if t * spread / math.sqrt(n) <= reach:
            return n
        n += 1


@check(task=5, points=2)
def check_seeds(student, draw):
    sd, reach = draw.question["sd"], draw.question["reach"]
    grade_number(
        student,
        "seeds_needed",
        seeds_needed(sd, reach),
        {
            "this takes 1.96; t for so many seeds is still larger": seeds_needed(sd, reach, True),
            "this is the interval's whole width; so far to *either* side was asked for": (
                seeds_needed(sd, reach / 2)
            ),
            "sd is that of the differences already; it needs no root of 2": seeds_needed(
                sd * math.sqrt(2), reach
            ),
            "t is one-sided here": seeds_needed(sd, reach, one_sided=True),
        },
        "find the least n with t * sd / sqrt(n) at most reach, where t is that of n - 1 degrees",
    )


@cache
def mean_of_best(runs: int) -> float:
    """Return the mean of the largest of some standard normal numbers, by integration."""
    x = torch.linspace(-9, 9, 36_001, dtype=torch.float64)
    below = torch.special.ndtr(x)
    density = torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
    return torch.trapezoid(x * runs * density * below ** (runs - 1), x).item()


@check(task=5, points=2)
def check_best(student, draw):
    runs = draw.question["runs"]
    grade_number(
        student,
        "best_run",
        mean_of_best(runs),
        {
            "this is the best of one run less": mean_of_best(runs - 1),
            "this is the best of one run more": mean_of_best(runs + 1),
            "this is the distance from the worst to the best": 2 * mean_of_best(runs),
            "this is the median of the best; the mean was asked for": (
                statistics.NormalDist().inv_cdf(0.5 ** (1 / runs))
            ),
        },
        "draw so many normal numbers a hundred thousand times, and average the largest",
        share=0.012,
    )


@check(task=5, points=1)
def check_order(student, draw):
    below, right = statistics.NormalDist().cdf, answers(draw.question)["wrong_order"]
    ratio = draw.question["gain"] / draw.question["sd"]
    grade_number(
        student,
        "wrong_order",
        right,
        {
            "this is the share; as a percentage it is a hundred times that": right / 100,
            "both runs vary: the difference has a larger sd than one": 100 * below(-ratio),
            "this is how often A is ahead": 100 - right,
            "sds do not add up, variances do": 100 * below(-ratio / 2),
        },
        "the difference of two independent runs is normal; what is its sd?",
        share=0.02,
    )
