"""A solution with the standard library alone."""

from __future__ import annotations

import math
import random
import statistics


def draw_labels(labels, size, seed):
    stream = random.Random(seed)
    members = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    exact = {label: size * len(found) / len(labels) for label, found in members.items()}
    counts = {label: math.floor(share) for label, share in exact.items()}
    left = size - sum(counts.values())
    for label in sorted(exact, key=lambda label: counts[label] - exact[label])[:left]:
        counts[label] += 1  # the largest remainders
    chosen = []
    for label, found in members.items():
        chosen += stream.sample(found, counts[label])
    return chosen


def majority_accuracy(train, gold):
    most = max(sorted(set(train)), key=train.count)
    return gold.count(most) / len(gold)


def collapsed(predicted, gold):
    return len(predicted) > 1 and len(set(predicted)) == 1 and len(set(gold)) > 1


T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def difference(scores, others):
    seeds = [seed for seed in scores if seed in others]
    values = [scores[seed] - others[seed] for seed in seeds]
    n = len(values)
    mean, sd = statistics.mean(values), statistics.stdev(values)
    half = T95[n - 1] * sd / math.sqrt(n)
    return {"n": n, "mean": mean, "sd": sd, "low": mean - half, "high": mean + half}


def compare(run, methods, rates, seeds, guess):
    results = {method: {} for method in methods}
    for seed in seeds:
        subset = 1000 + seed
        for method in methods:
            tried = [run(method, rate, subset, seed) for rate in rates]
            best = max(tried, key=lambda scores: scores["dev"])
            results[method][seed] = best["test"]
    return results


def test_matthews(candidate) -> None:
    gold = [1, 1, 1, 1, 0, 0]
    assert abs(candidate(gold, gold) - 1) < 1e-6
    assert abs(candidate(gold, [1 - label for label in gold]) + 1) < 1e-6
    assert candidate(gold, [1] * 6) == 0
    # TP 3, FN 1, TN 2, FP 0: (3 * 2 - 0) / sqrt(3 * 4 * 2 * 3)
    assert abs(candidate(gold, [1, 1, 1, 0, 0, 0]) - 6 / math.sqrt(72)) < 1e-6


ANSWERS = {"test_set_sd": 2.0, "seeds_needed": 27, "best_run": 1.16, "wrong_order": 38.9}
EXPLANATION = """The best of five is 1.2 standard deviations above the mean by itself ..."""
