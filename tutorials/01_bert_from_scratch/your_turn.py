"""What the cells to fill in of page 01 are judged by; see ../turns.py."""

import math

import torch
import torch.nn.functional as F
from turns import Turn


def starts(lengths):
    """Add up, one length after the other."""
    found = [0]
    for length in lengths:
        found.append(found[-1] + length)
    return found


def attend(query, key, value, mask, dropout):
    """Do as equation 1 of Vaswani et al. does, for all heads at once."""
    scores = torch.einsum("...ix,...jx->...ij", query, key) / query.shape[-1] ** 0.5 + mask
    return torch.einsum("...ij,...jx->...ix", dropout(scores.softmax(-1)), value)


def layer(x, attention, attention_norm, widen, narrow, output_norm):
    """Add, normalise, add, normalise."""
    x = attention_norm(x + attention(x))
    return output_norm(x + narrow(F.gelu(widen(x))))


# ---------------------------------------------------------------- what people get wrong


def _without_last(lengths):
    return starts(lengths)[:-1]


def _ends(lengths):
    return starts(lengths)[1:]


def _padded(lengths):
    return [max(lengths) * number for number in range(len(lengths) + 1)]


def _no_root(query, key, value, mask, dropout):
    return dropout((query @ key.transpose(-1, -2) + mask).softmax(-1)) @ value


def _by_width(query, key, value, mask, dropout):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] + mask
    return dropout(scores.softmax(-1)) @ value


def _no_mask(query, key, value, mask, dropout):
    return attend(query, key, value, torch.zeros(()), dropout)


def _over_queries(query, key, value, mask, dropout):
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + mask
    return dropout(scores.softmax(-2)) @ value


def _no_dropout(query, key, value, mask, dropout):
    return attend(query, key, value, mask, lambda shares: shares)


def _dropped_late(query, key, value, mask, dropout):
    return dropout(attend(query, key, value, mask, lambda shares: shares))


def _no_sum(x, attention, attention_norm, widen, narrow, output_norm):
    x = attention_norm(attention(x))
    return output_norm(narrow(F.gelu(widen(x))))


def _norm_first(x, attention, attention_norm, widen, narrow, output_norm):
    x = x + attention(attention_norm(x))
    return x + narrow(F.gelu(widen(output_norm(x))))


def _straight(x, attention, attention_norm, widen, narrow, output_norm):
    x = attention_norm(x + attention(x))
    return output_norm(x + narrow(widen(x)))


def _tanh(x, attention, attention_norm, widen, narrow, output_norm):
    x = attention_norm(x + attention(x))
    return output_norm(x + narrow(F.gelu(widen(x), approximate="tanh")))


def _swapped(x, attention, attention_norm, widen, narrow, output_norm):
    return layer(x, attention, output_norm, widen, narrow, attention_norm)


def _first_input(x, attention, attention_norm, widen, narrow, output_norm):
    inner = attention_norm(x + attention(x))
    return output_norm(x + narrow(F.gelu(widen(inner))))


# ---------------------------------------------------------------- cases


def keep(shares):
    """Drop nothing."""
    return shares


def drop_first(rows):
    """Drop what stands first in each row, as a dropout might."""
    return torch.cat([torch.zeros_like(rows[..., :1]), 2 * rows[..., 1:]], -1)


def _random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


_ONE = torch.zeros(())
_LENGTHS_3_2 = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -math.inf]]).double()[:, None, None]
_PAPER = tuple(
    torch.tensor([[rows]]).double()
    for rows in (
        [[math.sqrt(2), 0.0]] * 3,
        [[math.log(1), 6.0], [math.log(2), 12.0], [math.log(3), 24.0]],
        [[6.0], [12.0], [24.0]],
    )
)
_QKV = tuple(_random(2, 2, 3, 4, seed=seed) for seed in (1, 2, 3))


def _linear(inside, out, seed):
    weight = _random(out, inside, seed=seed)

    def linear(x):
        return x @ weight.T

    return linear


def _norm(seed):
    gain = _random(4, seed=seed)

    def norm(x):
        return gain * F.layer_norm(x, (4,))

    return norm


_FUNCTIONS = (_linear(4, 4, 1), _norm(2), _linear(4, 8, 3), _linear(8, 4, 4), _norm(5))

TURNS = {
    "starts": Turn(
        starts,
        [([3, 1, 2],), ([7],), ([5, 5, 5, 5],)],
        {
            "the end is missing, which tells how long the last text is": _without_last,
            "the first text starts at 0, and that is missing": _ends,
            "nothing is padded: a text starts where the one before it ends": _padded,
        },
        "That is all that packing has to remember.",
    ),
    "attend": Turn(
        attend,
        {
            "the example on paper": (*_PAPER, _ONE, keep),
            "one text, two heads": (*(x[:1] for x in _QKV), _ONE, keep),
            "two texts, of 3 and 2 tokens": (*_QKV, _LENGTHS_3_2, keep),
            "one token asks": (_QKV[0][:, :, :1], *_QKV[1:], _LENGTHS_3_2, keep),
            "dropout that drops the first share of each row": (*_QKV, _LENGTHS_3_2, drop_first),
        },
        {
            "the scores are not divided by √d": _no_root,
            "divide the scores by √d, the root of the width, not by the width": _by_width,
            "a token gathers from padding: the mask is to be added to the scores": _no_mask,
            "the shares add up to 1 over the wrong tokens: softmax goes over those that answer": _over_queries,
            "the shares do not go through `dropout`": _no_dropout,
            "dropout belongs on the shares, before they meet the values": _dropped_late,
        },
        "That is the only step of BERT in which tokens meet.",
        tolerance=1e-9,
    ),
    "layer": Turn(
        layer,
        {"three tokens, 4 wide": (_random(3, 4, seed=9), *_FUNCTIONS)},
        {
            "what goes into a block is to be added to what comes out": _no_sum,
            "BERT normalises after the sum, not before the block": _norm_first,
            "between widening and narrowing comes the bend, GELU": _straight,
            "that is GELU by its tanh formula; BERT's is exact": _tanh,
            "the two norms are the wrong way round": _swapped,
            "the second sum adds what came into the feed-forward block, not into the layer": _first_input,
        },
        "Stack it, and you have BERT.",
        tolerance=1e-9,
    ),
}
