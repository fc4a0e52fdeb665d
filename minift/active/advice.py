"""When to stop labelling: advice with its reasons, never a decision.

Claim    Three signs say that more labels may not pay: the budget is used up, the model is hardly
         unsure of anything, or models trained on more and more labels have stopped changing
         their predictions. None needs a label; what no model was trained for is said to be unknown.
Paper    Stabilising predictions: Bloodgood & Vijay-Shanker (2009),
         https://aclanthology.org/W09-1107 (mean kappa of the last three pairs, .99). Overall
         uncertainty: Zhu et al. (2008), https://aclanthology.org/C08-1142.
Differs  - A model that gives one class to every text has collapsed: that it agrees with itself,
           or is sure, is not a sign, and the advice says so. (Seen on SST-2 with BALD.)
         - Models of equally many labels count as one, the last.
Proof    tests/active/test_advice.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from minift.data.agreement import kappa

LOW = 0.05  # share of the largest entropy below which a model counts as sure
STABLE = 0.99  # mean kappa of consecutive models from which on predictions count as stable
PAIRS = 3  # of consecutive models, over which that mean is taken


@dataclass(frozen=True)
class Look:
    """What a round's model says of a fixed set of texts, the same in every round."""

    labelled: int  # labels it was trained on
    uncertainty: float  # mean entropy of its predictions as a share of the largest possible, 0 to 1
    predictions: tuple[int, ...]  # class index of each text (or word)


@dataclass(frozen=True)
class Advice:
    """Whether to stop, the reasons in sentences, and what a reader must know beside them."""

    stop: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def advise(looks: Sequence[Look], budget: int | None = None, labelled: int | None = None) -> Advice:
    """Say whether labelling should continue, from one look per model, if any, oldest first.

    The budget is of labels; `labelled` is how many there are today (None: those of the last look).
    """
    counts = [look.labelled for look in looks]
    models = [look for n, look in enumerate(looks, 1) if look.labelled not in counts[n:]]
    last = models[-1] if models else Look(0, math.nan, ())
    labelled = last.labelled if labelled is None else labelled
    collapsed = len(set(last.predictions)) == 1 < len(last.predictions)
    agreements = [kappa(a.predictions, b.predictions)[0] for a, b in pairwise(models[-PAIRS - 1 :])]
    agreement = sum(agreements) / len(agreements) if agreements else math.nan
    reasons, warnings = [], []
    if budget is not None and labelled >= budget:
        reasons.append(f"the budget of {budget} labels is used up")
    if last.uncertainty < LOW and not collapsed:
        reasons.append(
            f"the model is sure of nearly everything: its mean entropy is {last.uncertainty:.3f} "
            f"of the largest possible, less than {LOW}"
        )
    if len(agreements) == PAIRS and agreement >= STABLE:
        reasons.append(
            f"predictions no longer change: the mean kappa of the last {PAIRS} pairs of models is "
            f"{agreement:.3f}, at least {STABLE}"
        )
    if collapsed:
        warnings.append(
            f"the model gives one class to all {len(last.predictions)} it was shown: it knows "
            "which is frequent and no more; look at the balance of the labels, and draw the next "
            "texts at random"
        )
    if not models:
        what = "whether one would be sure, or would still change its predictions"
        warnings.append(f"no model has been trained, so nobody can know {what}")
    elif labelled > last.labelled:
        warnings.append(
            f"the last model was trained on {last.labelled} of {labelled} labels; what a model of "
            "all of them would say is not known"
        )
    if reasons:
        return Advice(True, tuple(reasons), tuple(warnings))
    alike = f"mean kappa of the last models {agreement:.3f}"
    known = alike if agreements else "and no two models yet whose predictions could be compared"
    known = f"mean entropy {last.uncertainty:.3f} of the largest possible, {known}"
    known = known if models else "nothing says that more labels would not pay"
    return Advice(False, (f"continue: {known}",), tuple(warnings))
