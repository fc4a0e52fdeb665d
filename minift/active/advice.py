"""When to stop labelling: advice with its reasons, never a decision.

Claim    Three signs say that more labels may not pay: the budget is used up, the model is hardly
         unsure of anything, or models trained on more and more labels have stopped changing
         their predictions. None of them needs a label.
Paper    Stabilising predictions: Bloodgood & Vijay-Shanker (2009), "A Method for Stopping Active
         Learning Based on Stabilizing Predictions and the Need for User-Adjustable Stopping",
         https://aclanthology.org/W09-1107 (mean kappa of the last three pairs, .99). Overall
         uncertainty: Zhu et al. (2008), https://aclanthology.org/C08-1142.
Differs  A model that gives one class to every text has collapsed: it agrees with itself and may be
         sure, and neither is a sign. The advice then says so. (Seen on SST-2: BALD asked for
         more and more of one class until the models knew no other.)
Proof    tests/active/test_advice.py
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Look:
    """What a round's model says of a fixed set of texts, the same in every round.

    Args:
        labelled: labels it was trained on.
        uncertainty: mean entropy of its predictions as a share of the largest possible, 0 to 1.
        predictions: class index of each text (or word).
    """

    labelled: int
    uncertainty: float
    predictions: tuple[int, ...]


@dataclass(frozen=True)
class Advice:
    """Whether to stop, the reasons in sentences, and what else is wrong with the model."""

    stop: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def kappa(first: Sequence[int], second: Sequence[int]) -> float:
    """Cohen's kappa: agreement beyond chance; nan where both always say one and the same."""
    n = len(first)
    if n == 0 or n != len(second):
        raise ValueError(f"need two answers for each text, got {n} and {len(second)}")
    agree = sum(a == b for a, b in zip(first, second)) / n
    counts, others = Counter(first), Counter(second)
    chance = sum(counts[label] * others[label] for label in counts) / n**2
    return math.nan if chance == 1 else (agree - chance) / (1 - chance)


def advise(
    looks: Sequence[Look],
    budget: int | None = None,
    low: float = 0.05,
    stable: float = 0.99,
    pairs: int = 3,
) -> Advice:
    """Say whether labelling should go on.

    Args:
        looks: one a round, oldest first; at least one.
        budget: labels that may be used.
        low: share of the largest entropy under which the model counts as sure.
        stable: mean kappa of consecutive models from which on predictions count as stable.
        pairs: number of consecutive pairs of models that kappa is averaged over.
    """
    now = looks[-1]
    reasons = []
    if budget is not None and now.labelled >= budget:
        reasons.append(f"the budget of {budget} labels is used up")
    collapsed = len(set(now.predictions)) == 1 < len(now.predictions)
    if now.uncertainty < low and not collapsed:
        reasons.append(
            f"the model is sure of nearly everything: its mean entropy is {now.uncertainty:.3f} "
            f"of the largest possible, under {low}"
        )
    recent = looks[-pairs - 1 :]
    agreements = [kappa(a.predictions, b.predictions) for a, b in pairwise(recent)]
    mean = sum(agreements) / len(agreements) if agreements else math.nan
    if len(agreements) == pairs and mean >= stable:
        reasons.append(
            f"predictions no longer change: mean kappa of the last {pairs} pairs of models is "
            f"{mean:.3f}, at least {stable}"
        )
    warnings = []
    if collapsed:
        warnings.append(
            f"the model gives one class to all {len(now.predictions)} it was shown: it knows which "
            "is frequent and no more; look at the balance of the labels, draw the next at random"
        )
    if reasons:
        return Advice(True, tuple(reasons), tuple(warnings))
    known = f"kappa of the last models {mean:.3f}" if mean == mean else "no kappa yet"
    go_on = f"go on: mean entropy {now.uncertainty:.3f} of the largest, {known}"
    return Advice(False, (go_on,), tuple(warnings))
