"""What the cells to fill in of page 13 are judged by; see ../turns.py."""

import torch
from turns import Turn


def unfrozen(layers, epoch):
    """Ask of each part from which epoch on it learns."""
    since = {"head": 1} | {layer: 1 + layers - layer for layer in reversed(range(layers))}
    return [part for part, first in (since | {"embeddings": layers + 2}).items() if first <= epoch]


def worst_step(gradient, size):
    """Divide all words by the one length of the text."""
    return size * gradient / gradient.square().sum().sqrt().clamp_min(1e-30)


def false_alarm_gap(gold, called, groups):
    """Count both kinds of neutral text."""
    false, neutral = {True: 0, False: 0}, {True: 0, False: 0}
    for true, said, group in zip(gold, called, groups):
        if true == "neutral":
            neutral[group is not None] += 1
            false[group is not None] += said == "toxic"
    return false[True] / neutral[True] - false[False] / neutral[False]


# ---------------------------------------------------------------- what people get wrong


def _order(layers):
    return ["head", *reversed(range(layers)), "embeddings"]


def _from_below(layers, epoch):
    return ["head", *range(layers), "embeddings"][:epoch]


def _newest(layers, epoch):
    return _order(layers)[min(epoch, layers + 2) - 1 : epoch]


def _too_soon(layers, epoch):
    return _order(layers)[: epoch + 1]


def _no_embeddings(layers, epoch):
    return _order(layers)[:-1][:epoch]


def _each_word(gradient, size):
    return size * gradient / gradient.norm(dim=1, keepdim=True).clamp_min(1e-30)


def _any_length(gradient, size):
    return size * gradient


def _downhill(gradient, size):
    return -worst_step(gradient, size)


def _nowhere(gradient, size):
    return size * gradient / gradient.norm()


def _share(gold, called, groups, counts):
    said = [c == "toxic" for g, c, group in zip(gold, called, groups) if counts(g, group)]
    return sum(said) / len(said)


def _toxic_too(gold, called, groups):
    beside = _share(gold, called, groups, lambda g, group: group is not None)
    return beside - _share(gold, called, groups, lambda g, group: group is None)


def _one_side(gold, called, groups):
    return _share(gold, called, groups, lambda g, group: g == "neutral" and group is not None)


def _turned(gold, called, groups):
    return -false_alarm_gap(gold, called, groups)


def _to_all(gold, called, groups):
    all_of_them = _share(gold, called, groups, lambda g, group: g == "neutral")
    return _one_side(gold, called, groups) - all_of_them


_N, _T, _I = "neutral", "toxic", "identity"

TURNS = {
    "unfrozen": Turn(
        unfrozen,
        [(3, 1), (3, 2), (3, 4), (3, 5), (2, 9)],
        {
            "the layers begin to learn from the top, not from the bottom": _from_below,
            "what has begun to learn goes on learning": _newest,
            "in the first epoch the head learns alone": _too_soon,
            "after the last layer come the embeddings": _no_embeddings,
        },
        "The library's `gradual` is no longer, and the loop asks it anew in each epoch.",
    ),
    "worst_step": Turn(
        worst_step,
        {
            "two words": (torch.tensor([[3.0, 0.0], [0.0, 4.0]]), 0.5),
            "one word": (torch.tensor([[1.0, -2.0, 2.0]]), 3.0),
            "a gradient of zero": (torch.zeros(2, 2), 0.5),
        },
        {
            "the length is that of all words together: a word that matters more moves further": (
                _each_word
            ),
            "the step has the length `size`, however long the gradient is": _any_length,
            "that step makes the loss smaller": _downhill,
            "where the gradient is 0, there is no worst direction, and the words stay": _nowhere,
        },
        "To first order, no other step of this length raises the loss more.",
    ),
    "false_alarm_gap": Turn(
        false_alarm_gap,
        [
            ([_N] * 4, [_T, _N, _N, _N], [_I, _I, None, None]),
            ([_N, _N, _T, _N, _T], [_T, _N, _T, _N, _N], [_I, _I, _I, None, None]),
            ([_N] * 5 + [_T], [_T, _T, _N, _T, _N, _T], [_I, _I, _I, None, None, None]),
        ],
        {
            "only texts that are neutral can be a false alarm": _toxic_too,
            "a rate is no gap: take away that of the texts without an identity": _one_side,
            "take the rate without an identity from the rate with one, not the other way": _turned,
            "compare with the texts without an identity, not with all": _to_all,
        },
        "A model can be right on average, and unjust to one group.",
    ),
}
