"""What cleanlab says of 40 small sets of probabilities, kept in cleanlab_figures.json.

    python -m tests.data.cleanlab_figures        (cleanlab 2.9.0; nothing else needs it)

Its calibrated joint is kept as it is before cleanlab rounds it to whole texts.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("cleanlab_figures.json")
CASES = range(40)


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (texts, classes) probabilities and given classes: ties, rare and absent classes."""
    source = random.Random(seed)  # the same numbers on every Python
    classes, texts = source.randint(2, 6), source.randint(4, 50)
    labelled = classes - (seed % 4 == 3 and classes > 2)  # or the last has no text
    given = np.array([source.randrange(labelled) for _ in range(texts)])
    given[:2] = 0, 1
    sharp = source.choice([0.5, 1, 3])
    p = np.array([[source.random() ** sharp for _ in range(classes)] for _ in range(texts)])
    if seed % 2:  # a model that has learned something
        p[np.arange(texts), given] += 0.7
    if seed % 3 == 0:  # ties, and rows that are alike
        p = np.round(2 * p) + 0.5
    return p / p.sum(1, keepdims=True), given


def figures() -> dict:
    """Ask cleanlab."""
    import cleanlab
    from cleanlab import count, filter

    count.round_preserving_row_totals = lambda joint: joint
    found: dict = {"cleanlab": cleanlab.__version__, "cases": []}
    for seed in CASES:
        p, given = case(seed)
        issues = filter.find_label_issues(given, p, filter_by="low_self_confidence", n_jobs=1)
        found["cases"].append(
            {
                "joint": count.compute_confident_joint(given, p, calibrate=False).tolist(),
                "calibrated": count.compute_confident_joint(given, p).tolist(),
                "issues": np.flatnonzero(issues).tolist(),
            }
        )
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(figures()) + "\n")
