"""Assignment 04: freezing layers. Fill in what raises NotImplementedError; assignment.md says more.

Check it as often as you like:  python tutorials/grade.py 04
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import minift

# --- Task 1: which layers freeze? ---------------------------------------------------------------


def frozen_names(names: list[str], layers: int) -> list[str]:
    """Return the names of the parameters that freeze.

    Args:
        names: of all parameters of a model, such as "bert.embeddings.word.weight",
            "bert.layers.10.output.bias", "bert.pooler.dense.weight" and "classifier.bias".
        layers: F. k > 0 freezes the k layers next to the input, and the embeddings with them;
            -k freezes the k layers next to the output, and nothing else; 0 freezes nothing.

    Returns:
        Some of `names`, in any order. Pooler and head learn for every F.

    Raises:
        ValueError: if the model has fewer layers than are to freeze.
    """
    raise NotImplementedError("task 1, frozen_names: begin with the number of a layer in its name")


# --- Task 2: frozen, bit for bit ----------------------------------------------------------------


def freeze(
    optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter], names: list[str]
) -> None:
    """Freeze some parameters in the midst of training.

    From now on no step changes a bit of them, and no gradient is computed for them. All others
    must continue exactly as if nothing had happened. The loop around you does, step by step,

        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()

    Args:
        optimizer: an AdamW with weight decay that has trained all parameters for a few steps, with
            `param_groups` (two of them), `state`, `step` and `zero_grad` as torch.optim has them.
        parameters: all of them, by name; each has a gradient from the last step.
        names: of those that are to freeze.
    """
    raise NotImplementedError("task 2, freeze: begin with what a step does where grad is zero")


# --- Task 3: find the bugs ----------------------------------------------------------------------


def prefix_states(
    encoder: minift.Bert, layers: int, batch: dict[str, list[int]], cache: dict[str, Tensor]
) -> Tensor:
    """Return what the embeddings and the lowest `layers` layers, all frozen, make of a batch.

    A text is computed once; after that its states come out of the cache. They are what the same
    layers give without dropout. The encoder is left in the modes (training or not) it came in.

    This is complete, and wrong in two ways. Find them and fix them.

    Args:
        encoder: its dropout may be on, since it is being trained above the prefix.
        layers: how many are frozen.
        batch: key -> token ids of each text.
        cache: key -> (tokens, hidden) states known already; new ones are added.

    Returns:
        (tokens, hidden): the states of all texts, one text behind the other, in batch order.
    """
    missing = sorted((key for key in batch if key not in cache), key=lambda key: len(batch[key]))
    if missing:
        packed = minift.pack([batch[key] for key in missing])
        with torch.no_grad():
            hidden = encoder.hidden_states(packed, layers)[-1]
        for key, states in zip(batch, hidden.split([len(batch[key]) for key in missing])):
            cache[key] = states
    return torch.cat([cache[key] for key in batch])


# --- Task 4: write the test ---------------------------------------------------------------------


def test_freezing(candidate: Callable[..., list[dict[str, list[float]]]]) -> None:
    """Fail (with `assert`) if `candidate` does not freeze what it is told to, when it is told to.

    A right candidate: `candidate(start, gradients, frozen, since)` trains and returns the weights
    after each step, as a list of dicts from names to lists of floats.

    - start: {name: list of floats}, the weights before the first step.
    - gradients: a list with a dict {name: list of floats} a step.
    - frozen: what freezes, as names of modules: "bert.layers.1" is every parameter whose name
      begins with "bert.layers.1." (with the dot).
    - since: number of the first step, counted from 0, in which these parameters no longer change.
      Before it everything learns; since 0 means from the beginning.

    How it trains is nobody's business, with momentum or without, with decay or without: a
    right candidate changes what learns at every step whose gradients are not 0, and does not change
    a bit of what is frozen. So make up gradients that are not 0, and compare weights with weights,
    not with numbers that you worked out.

    You will be given two right candidates, which must pass, and seven wrong ones, each of which
    has one mistake that people make.
    """
    raise NotImplementedError("task 4, test_freezing: begin with two layers and three steps")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {
    "frozen": 6,
    "chain": 5,
    "chain_frozen": 2,
    "deep": 3,
    "deep_frozen": 2,
    "tokens": 16,
}
ANSWERS: dict[str, float | None] = {
    # BERT-base with a linear head for two classes (minift.SequenceClassifier): with F = `frozen`,
    # the parameters that learn, in percent of all of them; to one digit after the point.
    "learns_percent": None,
    # `chain` layers of one number each, as in section 2 of the tutorial (which has three): how many
    # gradients are computed with the `chain_frozen` layers next to the input frozen, and with those
    # next to the output frozen. By hand.
    "gradients_input": None,
    "gradients_output": None,
    # An encoder of `deep` layers, a head for two classes, one text of `tokens` tokens from 100 on
    # (100 to 115 are 16): operations of the backward pass with F = `deep_frozen` and with F =
    # -`deep_frozen`, in percent of those with F = 0.
    # assignment.md shows how to count. To a whole percent.
    "backward_input": None,
    "backward_output": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
