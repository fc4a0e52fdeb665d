"""Which labels may be wrong: confident learning, and texts that are alike but labelled apart.

Claim    Labels are counted as doubtful where a model that has not seen the text is as sure of
         another class as it usually is where that is the label. Each class has its own threshold,
         so neither rare classes nor a model that is too sure of itself spoil the count.
Paper    Northcutt, Jiang & Chuang (2021), "Confident Learning", https://arxiv.org/abs/1911.00068,
         equations 1 to 3. Near copies: Bayardo et al. (2007), "Scaling Up All Pairs Similarity
         Search", https://doi.org/10.1145/1242572.1242591.
Differs  - As in the authors' cleanlab, whose counts and texts these are: of several classes that a
           model is sure of, the likeliest of all is meant, not the likeliest of those; a label as
           likely as any other is not doubtful; no diagonal count is 0.
         - So many texts are named, but those whose own label is the least likely, worst first, as
           cleanlab's "low_self_confidence" does, and only where another is likelier. On Banking77
           (ten classes, one label in ten flipped, mini) 81 % of them are wrong, of those in the
           joint off its diagonal 65 %; with two classes there is no difference.
Proof    tests/data/test_doubt.py
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

SLACK = 1e-6  # of rounding, when a probability is compared
ALIKE = 0.9  # share of the words of two texts that near copies have in common


def sure_of(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the class that a model is sure each text is of, and -1 where it is sure of none.

    `p` (texts, classes) float64 is by models that have not seen the text, `given` (texts,) the
    class that each text is labelled with.
    """
    count = np.bincount(given, minlength=p.shape[1])
    total = np.bincount(given, p[np.arange(len(p)), given], p.shape[1])
    usual = np.where(count, total / np.maximum(count, 1), np.inf)  # t_j of equation 2
    sure = p >= np.maximum(usual, 2 * SLACK) - SLACK
    guess = np.where(sure.sum(1) > 1, p.argmax(1), sure.argmax(1))
    return np.where(sure.any(1), guess, -1)


def confident_joint(p: np.ndarray, given: np.ndarray, calibrate: bool = False) -> np.ndarray:
    """Return how many texts have label i while the model is sure of class j, (classes, classes).

    Calibrated, it is an estimate for all texts: its rows sum to the labels that were given.
    """
    joint, sure = np.zeros((p.shape[1],) * 2), sure_of(p, given)
    np.add.at(joint, (given[sure >= 0], sure[sure >= 0]), 1)
    np.fill_diagonal(joint, joint.diagonal().clip(min=1))
    count = np.bincount(given, minlength=len(joint))[:, None]
    return joint / joint.sum(1, keepdims=True) * count if calibrate else joint


def doubtful(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the indices of the texts with a doubtful label, worst first."""
    sure, own = sure_of(p, given), p[np.arange(len(p)), given]
    less = own + SLACK < p.max(1)
    worst = own.argsort(kind="stable")[: np.sum((sure >= 0) & (sure != given) & less)]
    return worst[less[worst]]


def near_copies(texts: Sequence[Sequence[str]], least: float = ALIKE) -> Iterator[tuple[int, int]]:
    """Yield each two texts, or pairs of texts, that have at least this share of their words.

    Case, punctuation, and how often and in what order words stand do not count. Two sets with so
    many words in common have one in common of the rarest few of each: only those are compared.
    """
    found = [
        {(part, word) for part, text in enumerate(parts) for word in _words(text)}
        for parts in texts
    ]
    often = Counter(chain.from_iterable(found))
    holders = defaultdict[tuple[int, str], list[int]](list)
    for i, mine in enumerate(found):
        met, rarest = set[int](), sorted(mine, key=lambda word: (often[word], word))
        for word in rarest[: len(mine) - math.ceil(least * len(mine) - SLACK) + 1]:
            met.update(holders[word])
            holders[word].append(i)
        for j in sorted(met):
            if len(mine & found[j]) >= least * len(mine | found[j]) - SLACK:
                yield j, i


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()) or [text]
