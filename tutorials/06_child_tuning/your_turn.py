"""What the cells to fill in of page 06 are judged by."""

from __future__ import annotations

import math

from turns import Turn


def _adam(gradients, rate, beta1, beta2):
    """Adam as Kingma and Ba write it, without epsilon, one number after another."""
    mean = square = place = 0.0
    for step, gradient in enumerate(gradients, start=1):
        mean += (1 - beta1) * (gradient - mean)
        square += (1 - beta2) * (gradient**2 - square)
        if square:
            place -= rate * (mean / (1 - beta1**step)) / math.sqrt(square / (1 - beta2**step))
    return place


def _uncorrected(gradients, rate, beta1, beta2):
    mean = square = place = 0.0
    for gradient in gradients:
        mean += (1 - beta1) * (gradient - mean)
        square += (1 - beta2) * (gradient**2 - square)
        place -= rate * mean / math.sqrt(square) if square else 0.0
    return place


def _no_root(gradients, rate, beta1, beta2):
    mean = square = place = 0.0
    for step, gradient in enumerate(gradients, start=1):
        mean += (1 - beta1) * (gradient - mean)
        square += (1 - beta2) * (gradient**2 - square)
        if square:
            place -= rate * (mean / (1 - beta1**step)) / (square / (1 - beta2**step))
    return place


def _sgd(gradients, rate, beta1, beta2):
    return -rate * sum(gradients)


def _moments(gradient, p):
    """Sum over the two things that can happen, with their probabilities."""
    outcomes = ((p, gradient / p), (1 - p, 0.0))
    mean = sum(chance * value for chance, value in outcomes)
    square = sum(chance * value**2 for chance, value in outcomes)
    return [mean, math.sqrt(square - mean**2), mean / math.sqrt(square)]


TURNS = {
    "moments": Turn(
        _moments,
        [(6.0, 0.5), (6.0, 0.25), (-2.0, 0.3), (1.0, 1.0)],
        {
            "kept gradients are divided by p, so the mean stays": lambda g, p: [
                p * g,
                abs(g) * math.sqrt(p * (1 - p)),
                math.copysign(math.sqrt(p), g),
            ],
            "this is the variance; its root is the standard deviation": lambda g, p: [
                g,
                g * g * (1 - p) / p,
                math.copysign(math.sqrt(p), g),
            ],
            "Adam divides by the root of the mean square, not by the mean itself": lambda g, p: [
                g,
                abs(g) * math.sqrt((1 - p) / p),
                math.copysign(1.0, g),
            ],
            "p is the share that is kept, not the one that is dropped": lambda g, p: (
                _moments(g, 1 - p) if p < 1 else _moments(g, p)
            ),
        },
        "The mean is what it was; the step that Adam makes of it is not.",
    ),
    "adam": Turn(
        _adam,
        [
            ([1.0], 0.1, 0.9, 0.99),
            ([1.0, 1.0, 1.0], 0.1, 0.9, 0.99),
            ([2.0, 0.0, 2.0, 0.0], 0.1, 0.9, 0.99),
            ([0.0, -5.0, 0.5], 0.01, 0.5, 0.9),
        ],
        {
            "both averages start at 0 and must be corrected for that": _uncorrected,
            "the average of the squares needs its root": _no_root,
            "this is gradient descent; Adam divides by the usual size of the gradient": _sgd,
        },
        "Multiply all gradients by ten: the answer stays.",
        tolerance=1e-6,
    ),
}
