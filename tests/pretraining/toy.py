"""Documents of a toy language, for the tests of this folder and the mutants of what they test."""

from __future__ import annotations

import numpy as np

SUBJECTS = ["cats", "dogs", "birds", "horses", "mice"]
VERBS = {"cats": "purr", "dogs": "bark", "birds": "sing", "horses": "neigh", "mice": "squeak"}


def toy_text(documents: int, seed: int = 0) -> list[str]:
    """Return documents in which the subject decides the verb, and nothing else is certain."""
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(documents):
        said = [SUBJECTS[i] for i in rng.integers(0, 5, 12)]
        texts.append(" ".join(f"the {s} {VERBS[s]} ." for s in said))
    return texts
