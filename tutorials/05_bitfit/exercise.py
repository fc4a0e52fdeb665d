"""Assignment 05: BitFit. Fill in what raises NotImplementedError; assignment.md says more.

Check it as often as you like:  python tutorials/grade.py 05
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

# --- Task 1: which parameters learn? ------------------------------------------------------------


def bitfit_names(model: nn.Module) -> list[str]:
    """Return the names of the parameters that BitFit trains.

    Args:
        model: an encoder with a head. Names of the encoder's parameters begin with "bert.";
            everything else belongs to the head.

    Returns:
        Names out of `model.named_parameters()`, in any order.
    """
    raise NotImplementedError("task 1, bitfit_names: begin with a loop over named_parameters()")


# --- Task 2: freeze, and count ------------------------------------------------------------------


def freeze(model: nn.Module, names: list[str]) -> None:
    """Let exactly the parameters in `names` learn, and no other one.

    Args:
        model: some of its parameters may have been frozen before, by somebody else.
        names: of the parameters that are to learn.
    """
    raise NotImplementedError("task 2, freeze: begin with requires_grad of each parameter")


def count_scalars(model: nn.Module, names: list[str]) -> dict[str, int]:
    """Count scalars (single numbers, not tensors), the head apart from the encoder.

    Args:
        model: its shapes are read; it may be on the meta device.
        names: of the parameters that learn.

    Returns:
        {"encoder learns": ..., "encoder": ..., "head": ...}: scalars of the encoder that learn,
        all scalars of the encoder, all scalars of the head.
    """
    raise NotImplementedError("task 2, count_scalars: begin with numel() of one parameter")


# --- Task 3: find the bug -----------------------------------------------------------------------

TERMS = {
    "query": "attention.query.bias",
    "key": "attention.key.bias",
    "value": "attention.value.bias",
    "attention_output": "attention.output.bias",
    "attention_norm": "attention_norm.bias",
    "intermediate": "intermediate.bias",
    "output": "output.bias",
    "output_norm": "output_norm.bias",
}


def subset_names(names: list[str], terms: list[str]) -> list[str]:
    """Return the names of the biases of `terms`, in all layers, and nothing else.

    This is complete, and wrong for some `terms`. Find out for which, and fix it.

    Args:
        names: of all parameters of a model, such as "bert.layers.0.attention.query.bias".
        terms: keys of `TERMS`.
    """
    return [name for name in names if any(TERMS[term] in name for term in terms)]


# --- Task 4: write the test ---------------------------------------------------------------------


def test_moved(candidate: Callable[..., float]) -> None:
    """Fail (with `assert`) if `candidate` does not compute how far a bias term moved.

    A right candidate: `candidate(before, after, suffix)` takes two dicts from parameter names to
    lists of floats, and returns the mean of |after - before| over all numbers of the parameters
    "bert.layers.N." + suffix, for all layers N together. For instance, a model of one layer whose
    query bias goes from [0.0, 0.0] to [1.0, -3.0] has moved by 2.0 for "attention.query.bias".

    You will be given two right candidates, which must pass, and six wrong ones, each of which
    has one mistake that people make. Make up small dicts and work their numbers out by hand.
    """
    raise NotImplementedError("task 4, test_moved: begin with the example in its docstring")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {"layers": 12, "width": 768, "first": 100, "tokens": 10, "shift": 0.5}
ANSWERS: dict[str, float | None] = {
    # A BERT of so many `layers` and that `width`, with heads of 64 numbers, a feed-forward block
    # four times as wide, and else like minift.BertConfig() (on torch.device("meta")): its biases,
    # in percent of all scalars of the encoder; to four digits after the point.
    "bias_percent": None,
    # The encoder "tiny" in float64, on the tokens of assignment.md: the mean |change| of its last
    # hidden states when `shift` is added to every number of the key bias of layer 0, and when it
    # is added to the query bias instead. Two significant digits are enough.
    "key_shift": None,
    "query_shift": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
