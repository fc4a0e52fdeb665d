"""Another solution: with tensors, sorted positions in place of classes, and simulation."""

from __future__ import annotations

from collections import Counter
from statistics import NormalDist

import torch


def draw_labels(labels, size, seed):
    # Texts shuffled, then sorted by class; every (n / size)-th of them is a stratified sample.
    stream = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=stream).tolist()
    order.sort(key=lambda index: labels[index])
    return [order[(2 * k + 1) * len(labels) // (2 * size)] for k in range(size)]


def majority_accuracy(train, gold):
    counts = Counter(train)
    most = min(counts, key=lambda label: (-counts[label], label))
    return sum(label == most for label in gold) / len(gold)


def collapsed(predicted, gold):
    if len(predicted) < 2 or gold == [gold[0]] * len(gold):
        return False
    return all(label == predicted[0] for label in predicted)


T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def difference(scores, others):
    seeds = sorted(scores.keys() & others.keys())
    a, b = (torch.tensor([d[s] for s in seeds], dtype=torch.float64) for d in (scores, others))
    d = a - b
    error = d.var(correction=1).div(len(d)).sqrt()
    ends = d.mean() + torch.tensor([-1, 1]) * T95[len(d) - 1] * error
    low, high = ends.tolist()
    mean, sd = d.mean().item(), d.std().item()
    return {"low": low, "high": high, "mean": mean, "sd": sd, "n": len(d)}


def compare(run, methods, rates, seeds, guess):
    def best(method, number, seed):
        scores = {rate: run(method, rate, number, seed) for rate in rates}
        chosen = max(rates, key=lambda rate: scores[rate]["dev"])
        return scores[chosen]["test"]

    return {m: {s: best(m, number, s) for number, s in enumerate(seeds)} for m in methods}


def test_matthews(candidate) -> None:
    stream = torch.Generator().manual_seed(5)
    for size in (7, 12, 30):
        for share in (0.3, 0.6):
            gold = (torch.rand(size, generator=stream) < 0.5).tolist()
            wrong = (torch.rand(size, generator=stream) < share).tolist()
            gold[:2], wrong[:2] = [True, False], [False, False]
            predicted = [int(g ^ w) for g, w in zip(gold, wrong)]
            gold = [int(g) for g in gold]
            pair = torch.tensor([gold, predicted], dtype=torch.float64)
            right = torch.corrcoef(pair)[0, 1].item()  # Pearson's of 0 and 1
            assert abs(candidate(gold, predicted) - right) < 1e-6
            assert candidate(gold, [1] * size) == candidate(gold, [0] * size) == 0


T_QUANTILE = {25: 2.0595, 26: 2.0555, 27: 2.0518}  # from a book
BEST = torch.randn(200_000, 5, generator=torch.Generator().manual_seed(0)).amax(1)
ANSWERS = {
    "test_set_sd": 100 * (0.8 * 0.2 / 400) ** 0.5,
    "seeds_needed": min(n + 1 for n, t in T_QUANTILE.items() if t * 2.5 <= (n + 1) ** 0.5),
    "best_run": BEST.mean().item(),
    "wrong_order": 100 * NormalDist(1, 2.5 * 2**0.5).cdf(0),
}
EXPLANATION = """Same labels for both methods, choice by a development set, all runs reported ..."""
