"""What the cells to fill in of page 10 are judged by; see ../turns.py."""

import math
from itertools import pairwise

import torch
from turns import Turn


def weight(tags, words, pairs):
    """Multiply all factors."""
    own = [word[tag] for word, tag in zip(words, tags)]
    return math.prod(own) * math.prod(pairs[a + b] for a, b in pairwise(tags))


def soften(logits, temperature):
    """Ask PyTorch."""
    return (torch.tensor(logits, dtype=torch.float64) / temperature).softmax(0).tolist()


# ---------------------------------------------------------------- what people get wrong


def _no_pairs(tags, words, pairs):
    return math.prod(word[tag] for word, tag in zip(words, tags))


def _no_words(tags, words, pairs):
    return math.prod(pairs[a + b] for a, b in pairwise(tags))


def _sum(tags, words, pairs):
    own = [word[tag] for word, tag in zip(words, tags)]
    return sum(own) + sum(pairs[a + b] for a, b in pairwise(tags))


def _backwards(tags, words, pairs):
    return weight(tags, words, {key[::-1]: value for key, value in pairs.items()})


def _apart(tags, words, pairs):
    own = [word[tag] for word, tag in zip(words, tags)]
    return math.prod(own) * math.prod(pairs[a + b] for a, b in zip(tags[::2], tags[1::2]))


def _times(logits, temperature):
    return soften([z * temperature**2 for z in logits], temperature)


def _after(logits, temperature):
    return [p / temperature for p in soften(logits, 1)]


def _ignored(logits, temperature):
    return soften(logits, 1)


def _no_shift(logits, temperature):
    powers = [math.exp(z / temperature) for z in logits]
    return [power / sum(powers) for power in powers]


def _not_one(logits, temperature):
    largest = max(logits)
    return [math.exp((z - largest) / temperature) for z in logits]


_WORDS = [{"O": 1, "I": 2}, {"O": 3, "I": 1}, {"O": 1, "I": 2}]
_PAIRS = {"OO": 2, "OI": 1, "IO": 5, "II": 3}

TURNS = {
    "weight": Turn(
        weight,
        [
            ("O", _WORDS[:1], _PAIRS),
            ("OI", _WORDS[:2], _PAIRS),
            ("IOI", _WORDS, _PAIRS),
            ("OOO", _WORDS, _PAIRS),
            ("III", _WORDS, _PAIRS),
        ],
        {
            "the neighbours have a say, too": _no_pairs,
            "each word has a factor of its own": _no_words,
            "these are factors: what is a sum of scores is a product of their exponentials": _sum,
            "`pairs` is read from left to right: the tag before, then the tag after": _backwards,
            "each word but the first and the last stands in two pairs": _apart,
        },
        "With nine tags and ten words there are three billion such products to add up.",
    ),
    "soften": Turn(
        soften,
        [
            ([0.0, 2 * math.log(3)], 2),
            ([4.0, 2.0, 0.0], 1),
            ([4.0, 2.0, 0.0], 8),
            ([1000.0, 998.0], 1),
        ],
        {
            "a high temperature makes the shares more alike, not less": _times,
            "the logits are divided, not the probabilities": _after,
            "the temperature changes nothing yet": _ignored,
            "exp of so large a number is beyond what a float can hold": _no_shift,
            "probabilities add up to 1": _not_one,
        },
        "At a high temperature all tags look alike, and their order is all that is left.",
    ),
}
