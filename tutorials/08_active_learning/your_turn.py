"""What the cells to fill in of page 08 are judged by; see ../turns.py."""

import math

import torch
from turns import Turn


def answers(x):
    """Multiply mask and text, weigh by ln 3, and squash; all four masks at once."""
    masks = torch.tensor([[0, 0], [2, 0], [0, 2], [2, 2]], dtype=torch.double)
    return ((masks @ torch.tensor(x, dtype=torch.double)) * math.log(3)).sigmoid().tolist()


def macro_f1(said, gold):
    """The harmonic mean of precision and recall, for each class; then their mean."""
    scores = []
    for label in sorted(set(gold)):
        both = sum(a == b == label for a, b in zip(said, gold))
        precision = both / max(said.count(label), 1)
        recall = both / gold.count(label)
        scores.append(2 * precision * recall / (precision + recall) if both else 0.0)
    return math.fsum(scores) / len(scores)


# ---------------------------------------------------------------- what people get wrong


def _sigmoid(z):
    return 1 / (1 + math.exp(-z))


def _not_doubled(x):
    return [
        _sigmoid(math.log(3) * (a * x[0] + b * x[1])) for a, b in ((0, 0), (1, 0), (0, 1), (1, 1))
    ]


def _logits(x):
    return [math.log(3) * (a * x[0] + b * x[1]) for a, b in ((0, 0), (2, 0), (0, 2), (2, 2))]


def _negative(x):
    return [1 - p for p in answers(x)]


def _no_weight(x):
    return [_sigmoid(a * x[0] + b * x[1]) for a, b in ((0, 0), (2, 0), (0, 2), (2, 2))]


def _accuracy(said, gold):
    return sum(a == b for a, b in zip(said, gold)) / len(gold)


def _each(said, gold):
    """Return the F1 of each class of gold."""
    return {label: _one(said, gold, label) for label in sorted(set(gold))}


def _one(said, gold, label):
    both = sum(a == b == label for a, b in zip(said, gold))
    return 2 * both / (said.count(label) + gold.count(label))


def _weighted(said, gold):
    return sum(f1 * gold.count(label) for label, f1 in _each(said, gold).items()) / len(gold)


def _recall(said, gold):
    labels = set(gold)
    both = {label: sum(a == b == label for a, b in zip(said, gold)) for label in labels}
    return sum(both[label] / gold.count(label) for label in labels) / len(labels)


def _said_only(said, gold):
    found = [f1 for label, f1 in _each(said, gold).items() if label in said]
    return sum(found) / max(len(found), 1)


_MANY, _FEW = "negative", "positive"
_ONE_IN_TEN = [_MANY] * 9 + [_FEW]

TURNS = {
    "answers": Turn(
        answers,
        [((0.0, 0.0),), ((1.0, 0.0),), ((1.0, -1.0),), ((0.5, 2.0),)],
        {
            "what is kept is doubled: the masks are made of 0 and 2": _not_doubled,
            "these are the logits; their sigmoid is the probability": _logits,
            "these are the probabilities of the other class, negative": _negative,
            "both weights are ln 3, not 1": _no_weight,
        },
        "Four networks with the same weights, and each may have an opinion of its own.",
    ),
    "macro_f1": Turn(
        macro_f1,
        {
            "all right": (_ONE_IN_TEN, _ONE_IN_TEN),
            "nine negative texts and a positive one, all called negative": (
                [_MANY] * 10,
                _ONE_IN_TEN,
            ),
            "six negative texts and two positive ones, of which one is found": (
                [_FEW] + [_MANY] * 6 + [_FEW],
                [_MANY] * 6 + [_FEW] * 2,
            ),
            "all called positive": ([_FEW] * 4, [_MANY] * 3 + [_FEW]),
        },
        {
            "that is accuracy, which hardly notices the rare class": _accuracy,
            "each class counts once, however many texts it has": _weighted,
            "that is the mean recall; what is called by a label wrongly must count, too": _recall,
            "a class that is never predicted has an F1 of 0, and it counts": _said_only,
        },
        "A model that never finds the rare class gets less than a half, whatever its accuracy.",
    ),
}
