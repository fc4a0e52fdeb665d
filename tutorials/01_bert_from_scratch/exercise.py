"""Assignment 01: BERT from scratch. Fill in what raises NotImplementedError; see assignment.md.

Check it as often as you like:  python tutorials/grade.py 01
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# --- Task 1: attention over packed sequences ----------------------------------------------------


def attention(query: Tensor, key: Tensor, value: Tensor, cu_seqlens: Tensor, heads: int) -> Tensor:
    """Let each token gather from all tokens of its own sequence, in each head by itself.

    In a head of width d, token i takes home the sum over j of p_ij v_j, where p_i is the softmax
    over j of (q_i . k_j) / sqrt(d).

    Args:
        query, key, value: (tokens, hidden); hidden = heads * d, and the first d numbers of a row
            are head 0, the next d are head 1, and so on.
        cu_seqlens: (sequences + 1,) where each sequence starts, and the end: 0, 3, 4, 6 are
            sequences of 3, 1 and 2 tokens.
        heads: how many.

    Returns:
        (tokens, hidden), the heads side by side as in `query`. Scores may be as large as 100,000.
    """
    raise NotImplementedError("task 1, attention: begin with one sequence and one head")


# --- Task 2: weights by another name ------------------------------------------------------------


def our_name(name: str) -> str | None:
    """Translate the name of a tensor in a checkpoint of Hugging Face into minift's name.

    Args:
        name: such as "bert.encoder.layer.3.attention.self.query.bias"; assignment.md lists all.

    Returns:
        Such as "bert.layers.3.attention.query.bias"; None for a tensor that is not a parameter.
        Names of the head ("classifier.weight") stay as they are.
    """
    raise NotImplementedError("task 2, our_name: begin with one layer's names on paper")


# --- Task 3: find the bugs ----------------------------------------------------------------------


def embed(
    input_ids: Tensor,
    segment_ids: Tensor,
    cu_seqlens: Tensor,
    tables: dict[str, Tensor],
    eps: float,
) -> Tensor:
    """Add up three rows per token, then LayerNorm, as BERT does it.

    LayerNorm subtracts the mean of a row, divides by sqrt(variance + eps), multiplies by the gain
    and adds the bias; the variance is the mean of the squared deviations.

    This is complete, and wrong in three ways. Find them and fix them.

    Args:
        input_ids, segment_ids: (tokens,) of packed sequences.
        cu_seqlens: (sequences + 1,) as in task 1.
        tables: "word", "position" and "segment", (rows, hidden); "gain" and "bias", (hidden,).
        eps: of LayerNorm.

    Returns:
        (tokens, hidden)
    """
    places = torch.arange(len(input_ids))
    x = tables["word"][input_ids] + tables["position"][places] + tables["segment"][segment_ids]
    centred = x - x.mean(-1, keepdim=True)
    return tables["gain"] * centred / (x.std(-1, keepdim=True) + eps) + tables["bias"]


# --- Task 4: write the test ---------------------------------------------------------------------


def test_masked_softmax(candidate: Callable[..., list[list[float]]]) -> None:
    """Fail (with `assert`) if `candidate` does not compute the softmax of a padded sequence.

    A right candidate: `candidate(scores, length)` takes a square list of rows of floats,
    scores[i][j] of query i and key j, of a sequence that has `length` real tokens and is filled
    up with padding. It returns the shares, of the same shape: in row i, the softmax over the
    first `length` keys, and 0 for the keys that are padding. For instance, [[0.0, 0.0], [0.0, 0.0]]
    with length 2 gives [[0.5, 0.5], [0.5, 0.5]]. What stands in rows of *queries* that are padding
    is nobody's business: a right candidate may return anything there.

    You will be given two right candidates, which must pass, and seven wrong ones, each of which
    has one mistake that people make.
    """
    raise NotImplementedError("task 4, test_masked_softmax: begin with the example above")


# --- Task 5: measure and explain ----------------------------------------------------------------

# An encoder (here it is BERT-base): its sizes, lengths of four texts, and how far x goes.
QUESTION = {
    "words": 30522,
    "width": 768,
    "heads": 12,
    "layers": 12,
    "lengths": [8, 24, 56, 128],
    "reach": 8.0,
}
ANSWERS: dict[str, float | None] = {
    # Scalars of one layer, by hand, with all weights and biases.
    "layer_parameters": None,
    # All of the embeddings (their LayerNorm too), in percent of the encoder with its pooler; to one
    # digit after the point.
    "embedding_percent": None,
    # One layer on texts of these lengths: products with padding divided by products without; to two
    # digits after the point. assignment.md says what counts.
    "padded_over_packed": None,
    # The largest |exact GELU - its tanh formula| for x from -reach to reach; to two significant
    # digits.
    "gelu_gap": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
