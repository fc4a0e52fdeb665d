"""What the cells to fill in of page 05 are judged by."""

from __future__ import annotations

import math

import torch
from turns import Turn

_AT = torch.Generator().manual_seed(5)


def _random(*shape):
    return torch.randn(*shape, generator=_AT, dtype=torch.double).mul(10).round().div(10)


# ---------------------------------------------------------------- shares


def _shares(query, keys, query_bias, key_bias):
    scores = [
        sum((q + a) * (k + b) for q, a, k, b in zip(query, query_bias, key, key_bias))
        for key in keys.tolist()
    ]
    powers = [math.exp(score / math.sqrt(len(query))) for score in scores]
    return torch.tensor([power / sum(powers) for power in powers], dtype=torch.double)


def _scores_of(query, keys, query_bias, key_bias):
    return (keys + key_bias) @ (query + query_bias)


def _unscaled(*case):
    return _scores_of(*case).softmax(0)


def _raw(*case):
    return _scores_of(*case) / math.sqrt(len(case[0]))


def _without_query_bias(query, keys, query_bias, key_bias):
    return _shares(query, keys, torch.zeros_like(query_bias), key_bias)


def _swapped(query, keys, query_bias, key_bias):
    return _shares(query, keys, key_bias, query_bias)


_KEYS = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.double)
_ONE, _NONE = torch.tensor([1.0, 2.0], dtype=torch.double), torch.zeros(2, dtype=torch.double)

# ---------------------------------------------------------------- gradients of one linear layer


def _gradients(x, above):
    """Let autograd tell: y = x Wᵀ + b, and `above` is the gradient that reaches y."""
    weight = torch.zeros(above.shape[1], x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(above.shape[1], dtype=x.dtype, requires_grad=True)
    torch.nn.functional.linear(x, weight, bias).backward(above)
    return [weight.grad, bias.grad]


# ---------------------------------------------------------------- delta


def _delta(before, after):
    return {
        name: value
        for name, value in after.items()
        if name not in before or not bool((before[name] == value).all())
    }


_BEFORE = {
    "layer.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    "layer.bias": torch.tensor([1.0, -1.0]),
    "norm.bias": torch.tensor([0.0, 0.0]),
}
_MOVED = _BEFORE | {"layer.bias": torch.tensor([1.0, -2.0])}
_HEAD = _MOVED | {"head.weight": torch.tensor([[5.0, 6.0]])}
_HAIR = _BEFORE | {"norm.bias": torch.tensor([0.0, 1e-7])}


TURNS = {
    "shares": Turn(
        _shares,
        {
            "no bias": (_ONE, _KEYS, _NONE, _NONE),
            "a query bias": (_ONE, _KEYS, _ONE, _NONE),
            "a key bias": (_ONE, _KEYS, _NONE, _ONE * 3),
            "both": (_random(4), _random(3, 4), _random(4), _random(4)),
        },
        {
            "the scores are not divided by √d": _unscaled,
            "these are the scores; softmax turns them into shares": _raw,
            "the query's bias is left out": _without_query_bias,
            "each bias went to the other vector": _swapped,
        },
        "The key bias may be anything: compare the first case with the third.",
    ),
    "gradients": Turn(
        _gradients,
        [
            (torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])),
            (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [-2.0]])),
            (_random(5, 3), _random(5, 2)),
        ],
        {
            "the tokens are averaged, but each of them adds its own": lambda x, above: [
                above.T @ x / len(x),
                above.mean(0),
            ],
            "the gradient of W has W's shape, (out, in)": lambda x, above: [
                x.T @ above,
                above.sum(0),
            ],
            "of the bias there is one number per output, not per token": lambda x, above: [
                above.T @ x,
                above.sum(1),
            ],
        },
        "The gradient of W needs x, and a matrix product; that of b needs neither.",
    ),
    "delta": Turn(
        _delta,
        {
            "nothing moved": (_BEFORE, _BEFORE),
            "one bias moved": (_BEFORE, _MOVED),
            "a head is new": (_BEFORE, _HEAD),
            "by a hair": (_BEFORE, _HAIR),
        },
        {
            "what is new, the head, is expected, too": lambda before, after: {
                name: value for name, value in _delta(before, after).items() if name in before
            },
            "a tensor that moved by a hair is expected, too": lambda before, after: {
                name: value
                for name, value in after.items()
                if name not in before or not torch.allclose(before[name], value, atol=1e-5)
            },
            "these are the values before, but the file needs those after": lambda before, after: {
                name: before.get(name, value) for name, value in _delta(before, after).items()
            },
            "only what is new or has moved is expected": lambda before, after: dict(after),
        },
        "Whatever a method changed, this file holds it.",
    ),
}
