"""What the cells to fill in of page 04 are judged by."""

from __future__ import annotations

import torch
from turns import Turn


def _needed(depth, frozen):
    """Let autograd tell which gradients it computes in a chain of layers of one number."""
    states = [torch.tensor(1.0)]
    weights = [
        torch.tensor(2.0, requires_grad=layer not in frozen) for layer in range(1, depth + 1)
    ]
    for weight in weights:
        states.append(weight * states[-1])
        if states[-1].requires_grad:
            states[-1].retain_grad()
    if not states[-1].requires_grad:
        return 0
    states[-1].backward()
    return sum(value.requires_grad for value in (*weights, *states[1:-1]))


def _learning(depth, frozen):
    return depth - len(set(frozen))


def _top_counted(depth, frozen):
    return _needed(depth, frozen) + bool(_learning(depth, frozen))


def _rates(rate, depth, decay):
    found = [rate]
    for _ in range(depth + 1):
        found.append(found[-1] * decay)
    return found


TURNS = {
    "needed": Turn(
        _needed,
        [
            (3, []),
            (3, [1]),
            (3, [3]),
            (3, [2]),
            (4, [1, 2]),
            (4, [3, 4]),
            (4, [2, 4]),
            (3, [1, 2, 3]),
            (12, [1, 2, 3]),
        ],
        {
            "the way down ends above the lowest layer that learns": lambda depth, frozen: (
                _learning(depth, frozen) + depth - 1
            ),
            "a frozen layer still passes its gradient on to those below it": lambda depth, frozen: (
                _learning(depth, frozen) + max(0, _learning(depth, frozen) - 1)
            ),
            "these are the weights; the states between the layers have gradients, too": _learning,
            "the gradient of y for itself is 1 and need not be computed": _top_counted,
        },
        "All that matters for the way down is the lowest layer that learns.",
    ),
    "rates": Turn(
        _rates,
        [(1.0, 3, 0.5), (2.0, 3, 0.5), (0.01, 12, 0.9), (1.0, 2, 1.0)],
        {
            "the top layer is one below the head, so its rate is smaller": lambda r, n, d: (
                [r] + [r * d**i for i in range(n + 1)]
            ),
            "the head comes first, with the full rate, and the embeddings last": lambda r, n, d: (
                _rates(r, n, d)[::-1]
            ),
            "the embeddings are one more step below the lowest layer": lambda r, n, d: _rates(
                r, n, d
            )[:-1],
        },
        "With a decay of 0 this is freezing, and with 1 it is full fine-tuning.",
    ),
}
