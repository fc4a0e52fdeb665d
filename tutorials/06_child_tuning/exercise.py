"""Assignment 06: Child-Tuning. Fill in what raises NotImplementedError; assignment.md says more.

Check it as often as you like:  python tutorials/grade.py 06
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# --- Task 1: F, another child at every step -----------------------------------------------------


def mask_gradient(gradient: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Keep each element of a gradient with probability p, and divide it by p; the rest is 0.

    Args:
        gradient: of any shape and dtype.
        p: the probability that an element is *kept*, in (0, 1].
        generator: the only source of chance. Each call draws anew, each element by itself.

    Returns:
        A tensor of the gradient's shape and dtype.
    """
    raise NotImplementedError("task 1, mask_gradient: begin with torch.rand(..., generator=...)")


# --- Task 2: D, one child by Fisher information -------------------------------------------------


def fisher(model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Score each weight by the mean over the examples of the squared gradient of log p(y | x).

    Dropout is off for the scores. The model is left as it was found: its weights, the mode of
    each module (training or not), and what stands in .grad of each parameter.

    Args:
        model: `model(inputs)` gives logits, (examples, classes). It may be in either mode, and
            gradients of an earlier step may stand in .grad.
        inputs: (examples, features).
        labels: (examples,), the true class of each.

    Returns:
        For each name of `model.named_parameters()` a tensor of that parameter's shape.
    """
    raise NotImplementedError("task 2, fisher: begin with torch.autograd.grad of one example")


def select_child(scores: dict[str, Tensor], p: float) -> dict[str, Tensor]:
    """Select the weights with the highest scores, a share p of all tensors taken together.

    Args:
        scores: name -> scores, of any shape.
        p: in (0, 1]. Exactly round(p * N) of the N weights are selected. Of weights with equal
            scores the one in the earlier tensor goes first (in the order of the dict), then the
            one earlier in the tensor (row by row).

    Returns:
        For each name a bool tensor of the same shape, True where the weight learns.
    """
    raise NotImplementedError("task 2, select_child: begin with one long vector of all scores")


# --- Task 3: find the bugs ----------------------------------------------------------------------


def child_step(
    parameters: dict[str, nn.Parameter],
    masks: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    max_norm: float,
) -> None:
    """Take one step of Child-Tuning D.

    All gradients together are clipped to `max_norm`, as in full fine-tuning; then those outside
    the child are set to 0; then the optimizer takes its step. Weights outside the child keep
    their values, bit for bit.

    This is complete, and wrong in three ways. Find them and fix them.

    Args:
        parameters: by name, each with its gradient in .grad.
        masks: for some of the names, True where a weight learns. A tensor that has no mask was
            no candidate for the child, and learns in full.
        optimizer: of all the parameters; AdamW, say. It may have taken steps before.
        max_norm: largest norm of all gradients together.
    """
    for name, parameter in parameters.items():
        mask = masks.get(name, torch.zeros_like(parameter))
        parameter.grad.mul_(mask)
    nn.utils.clip_grad_norm_(parameters.values(), max_norm)
    optimizer.step()
    optimizer.zero_grad()


# --- Task 4: write the test ---------------------------------------------------------------------


def test_fisher(candidate: Callable[..., list[float]]) -> None:
    """Fail (with `assert`) if `candidate` does not compute Fisher scores of logistic regression.

    A right candidate: `candidate(weights, rows, labels)` takes d floats, n lists of d floats, and
    n labels 0 or 1. The model says p(1 | row) = sigmoid(sum of weight * feature), without a bias.
    The candidate returns the d scores: the mean over the examples of the squared derivative of
    log p(label | row) by each weight, which is the mean of (p(1 | row) - label)² * feature².

    You will be given two right candidates, which must pass, and six wrong ones, each of which
    has one mistake that people make. Section 3 of the tutorial has an example worked by hand.
    """
    raise NotImplementedError("task 4, test_fisher: begin with the four examples of the tutorial")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {
    "keep": 0.2,
    "keep_second": 0.3,
    "rate": 0.01,
    "decay": 0.01,
    "steps": 100,
    "child": 0.3,
}
ANSWERS: dict[str, float | None] = {
    # Many weights start at 0, and each has the gradient 1 at every one of 400 steps. F with
    # p = `keep` masks it, torch.optim.Adam (its defaults, lr=1e-3) takes the steps. The mean way of
    # a weight, as a share of lr * 400; two digits are enough.
    "adam_way": None,
    # The same with p = `keep_second`. What percentage of the weights change at step 2?
    "moved_second": None,
    # D by masks on gradients alone. A weight outside the child is 1.0 and has met no gradient;
    # torch.optim.AdamW with that `rate` as lr and that `decay` as weight_decay. Its value after
    # `steps` steps, to five digits after the point.
    "decayed": None,
    # BERT-base (minift.BertConfig() on torch.device("meta"), without a head): the child is a share
    # `child` of the weights in the encoder's layers; what is outside the layers learns in full.
    # What percentage of all its weights learn? To one digit after the point.
    "learning_percent": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
