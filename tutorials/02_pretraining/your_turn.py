"""What the cells to fill in of page 02 are judged by; see ../turns.py."""

import math

import torch
from torch.nn import functional as F
from turns import Turn


def shown(piece, chance, other):
    """Ask the two bounds one after the other."""
    return piece if chance >= 0.9 else other if chance >= 0.8 else "[MASK]"


def log_p(logits, right):
    """The library's softmax."""
    return -F.cross_entropy(logits.unsqueeze(0), torch.tensor([right])).item()


# ---------------------------------------------------------------- what people get wrong


def _always(piece, chance, other):
    return "[MASK]"


def _swapped(piece, chance, other):
    return other if chance >= 0.9 else piece if chance >= 0.8 else "[MASK]"


def _twice(piece, chance, other):
    return "[MASK]" if chance < 0.8 else other


def _tenth(piece, chance, other):
    return "[MASK]" if chance < 0.8 else other if chance < 0.1 else piece


def _probability(logits, right):
    return logits.softmax(0)[right].item()


def _logit(logits, right):
    return logits[right].item()


def _turned(logits, right):
    return -log_p(logits, right)


def _bits(logits, right):
    return log_p(logits, right) / math.log(2)


def _overflow(logits, right):
    return (logits[right].exp() / logits.exp().sum()).log().item()


_FEW = torch.tensor([2.0, 0.0, 0.0])
_LARGE = torch.tensor([1000.0, 999.0])

TURNS = {
    "shown": Turn(
        shown,
        [("rain", 0.3, "seller"), ("rain", 0.85, "seller"), ("rain", 0.95, "seller")],
        {
            "from 0.8 on it is not [MASK] any more": _always,
            "between 0.8 and 0.9 another piece is shown, from 0.9 on the piece itself": _swapped,
            "in one of ten cases the piece stays as it is": _twice,
            "of those that are not masked, half become another piece: up to 0.9": _tenth,
        },
        "Whoever sees this text cannot know whether a word is the right one.",
    ),
    "log_p": Turn(
        log_p,
        {
            "three logits": (_FEW, 0),
            "the second": (_FEW, 1),
            "8,000 that are alike": (torch.zeros(8000), 17),
            "large logits": (_LARGE, 1),
        },
        {
            "that is the probability; take its logarithm": _probability,
            "a logit is not a probability yet: the softmax comes first": _logit,
            "a logarithm of a probability is below 0": _turned,
            "take the natural logarithm": _bits,
            "exp overflows: use log_softmax, or take away the largest logit first": _overflow,
        },
        "The mean of these, its sign turned, is the loss of all of pretraining.",
        tolerance=1e-5,
    ),
}
