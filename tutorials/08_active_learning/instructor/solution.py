"""A solution in the order of the formulas."""

from __future__ import annotations

import random

import torch
from torch import Tensor


def doubts(passes: Tensor) -> dict[str, Tensor]:
    mean = passes.mean(0)
    total = -torch.xlogy(mean, mean).sum(-1)
    each = -torch.xlogy(passes, passes).sum(-1)
    aleatoric = each.mean(0)
    return {"total": total, "aleatoric": aleatoric, "epistemic": total - aleatoric}


def least_confidence(mean: Tensor) -> Tensor:
    return 1 - mean.amax(-1)


def margin(mean: Tensor) -> Tensor:
    two = mean.topk(2, dim=-1).values
    return 1 - (two[:, 0] - two[:, 1])


def choose(scores: dict[str, float], count: int, seed: int) -> list[str]:
    ids = list(scores)
    random.Random(seed).shuffle(ids)
    ranked = sorted(ids, key=scores.get, reverse=True)
    return ranked[:count]


def label_rounds(ids, score, initial, rounds, query):
    pool, labelled = ids[initial:], ids[:initial]
    history = [list(labelled)]
    for _ in range(rounds):
        scores = dict(zip(pool, score(pool, labelled)))
        asked = sorted(pool, key=scores.get, reverse=True)[:query]
        pool = [text for text in pool if text not in asked]
        labelled = labelled + asked
        history.append(asked)
    return history


def test_bald(candidate) -> None:
    torn = candidate([[[0.9, 0.1]], [[0.1, 0.9]]])
    assert abs(torn[0] - 0.3681) < 1e-4, "two passes that differ"

    # All agree that it is a coin flip; all agree that it is certain; one of four disagrees.
    flip, certain, other = [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]
    last = [flip, certain, other]
    first, second, third = candidate([[flip, certain, certain]] * 3 + [last])
    assert abs(first) < 1e-4, "no disagreement"
    assert abs(second) < 1e-4, "no doubt"
    assert abs(third - 0.5623) < 1e-4, "one pass of four disagrees: H(1/4)"


ANSWERS = {
    "epistemic_line_before": 0.4621,
    "epistemic_line_after": 0.0465,
    "aleatoric_line_before": 0.1985,
    "aleatoric_line_after": 0.1985,
    "epistemic_coin_before": 0.0,
    "epistemic_coin_after": 0.0,
    "aleatoric_coin_before": 0.6931,
    "aleatoric_coin_after": 0.6931,
    "two_passes": 0.5264,
}
EXPLANATION = """Labels settle which threshold is right, and a coin flip is none of theirs."""
