"""What the cells to fill in of page 03 are judged by; see ../turns.py."""

import math
from collections import Counter
from itertools import pairwise

from turns import Turn


def bag(text):
    """Cut, pair, count."""
    words = text.lower().split()
    return dict(Counter(words) + Counter(pairwise(words)))


def useless(labels, other):
    """Go through each class by itself."""
    found = list(labels)
    for label in set(labels):
        places = [place for place, there in enumerate(labels) if there == label]
        for place in places[::2]:
            found[place] = other[label]
    return found


def together(sds):
    """As independent variances add up."""
    return math.hypot(*sds)


# ---------------------------------------------------------------- what people get wrong


def _case(text):
    words = text.split()
    return dict(Counter(words) + Counter(pairwise(words)))


def _no_pairs(text):
    return dict(Counter(text.lower().split()))


def _once(text):
    return dict.fromkeys(bag(text), 1)


def _apart(text):
    words = text.lower().split()
    return dict(Counter(words) + Counter(zip(words[::2], words[1::2])))


def _all(labels, other):
    return [other[label] for label in labels]


def _any_class(labels, other):
    return [other[label] if place % 2 == 0 else label for place, label in enumerate(labels)]


def _second(labels, other):
    flipped = useless(labels, other)
    return [other[a] if a == b else a for a, b in zip(labels, flipped)]


def _sum(sds):
    return sum(sds)


def _variance(sds):
    return sum(sd**2 for sd in sds)


def _mean(sds):
    return math.sqrt(sum(sd**2 for sd in sds) / len(sds))


_OTHER = {"negative": "positive", "positive": "negative"}
_P, _N = "positive", "negative"

TURNS = {
    "bag": Turn(
        bag,
        [("Good film",), ("not good, not good",), ("Never again never",)],
        {
            "`Good` and `good` are the same word: write all in small letters": _case,
            "the pairs of neighbours are missing": _no_pairs,
            "a word that stands there twice counts twice": _once,
            "each word is in two pairs, with the one before it and with the one behind it": _apart,
        },
        "More than this the baseline never sees: no order beyond pairs, and no meaning.",
    ),
    "useless": Turn(
        useless,
        [
            ([_P, _P], _OTHER),
            ([_P, _N, _P, _N], _OTHER),
            ([_P, _P, _N, _P, _N, _N, _P, _N], _OTHER),
        ],
        {
            "all labels are wrong now, and a model can learn that: it only has to say the opposite": _all,
            "count within each class: over both at once, more of one class may be flipped": _any_class,
            "begin with the first text of each class": _second,
        },
        "A model that does better than guessing on these has an answer from somewhere else.",
    ),
    "together": Turn(
        together,
        [([3.0, 4.0],), ([2.0],), ([1.0, 2.0, 2.0],), ([0.5, 0.0],)],
        {
            "standard deviations do not add up, their squares do": _sum,
            "that is the variance; its root has the unit of the scores": _variance,
            "independent sources add up, they do not average": _mean,
        },
        "A source half as large as another adds hardly anything to it.",
    ),
}
