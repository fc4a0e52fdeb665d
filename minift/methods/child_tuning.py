"""Child-Tuning: the whole network answers, but only a child of it learns.

Claim    F: at every step, each gradient element is kept with probability p and divided by p, so
         its expectation stays and its variance grows. D: the weights with the highest Fisher
         scores learn, and every other weight stays what pretraining made it, bit for bit.
Paper    Xu et al. (2021), "Raise a Child in Large Language Model: Towards Effective and
         Generalizable Fine-tuning", https://arxiv.org/abs/2109.05687, section 2; p is
         `keep_fraction`, the child network C_t is the True part of the masks.
Differs  - F rounds p to a multiple of 2**-16 and divides by the rounded p (see
           minift/bert/dropout.py, which draws the masks). It draws from a stream of its own, so
           it sees the same dropout as full fine-tuning; the authors' code shares one stream.
         - D does not decay masked weights (paper); `decay_masked=True` does (authors' code).
         - Exactly round(p * N) weights are kept: ties at the threshold go to the earlier tensor,
           then the earlier element. The authors keep all ties, so zeros can select everything.
         - The authors score tensors whose name contains "layer"; here candidates are the
           parameters of the encoder's layers, which are the same in BERT. What is not a
           candidate (embeddings, pooler, head) always learns: `FixedMask.learning` counts it.
         - AdamW is torch's. The authors' adds epsilon to the root of the second moment before bias
           correction and decays after the step, not before: with their epsilon of 1e-8, weights
           after 60 steps at 4e-5 were seen to differ by 2e-4 in D and 6e-4 in F; with 1e-14, by
           6e-10 and 1e-5.
         - Warm-up is the schedule's; the authors' code loses it in Child-Tuning runs only.
         As in the authors' code the loop clips first and masks then: in F the norm that is
         applied can reach clip / p. Adam cancels the 1/p: under a steady gradient a step is
         about sqrt(p) of a full one, so compare F with full fine-tuning at rate * sqrt(p) too.
Proof    tests/methods/test_child_tuning.py
Tutorial tutorials/06_child_tuning
"""

import numpy as np
import torch
from torch import Tensor, nn

from minift.bert.dropout import dropout_mask
from minift.bert.names import part_of
from minift.errors import MiniftError, require, require_known

Masks = dict[str, Tensor]  # parameter name -> bool tensor of its shape, True where it learns
ORDERS = ("highest", "lowest", "random")


class ChildTuningF:
    """A rule for the `gradients` slot: another random child at every step.

    It applies to every parameter with a gradient. Adam's moments see the masked gradient, so a
    weight that is dropped at a step still moves by its momentum.

    Args:
        keep_fraction: p in (0, 1]; with 1 nothing is drawn and nothing changes.
        generator: source of the masks, on the device of the model (`Seeds.masks`).
    """

    def __init__(self, keep_fraction: float, generator: torch.Generator):
        _check_fraction(keep_fraction)
        require(keep_fraction > 2**-17, "keep_fraction", keep_fraction, "at least 2**-16")
        self.keep_fraction = keep_fraction
        self.generator = generator

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Multiply each gradient by its mask and 1 / p."""
        if self.keep_fraction == 1:
            return
        for parameter in parameters.values():
            if parameter.grad is not None:
                mask = dropout_mask(parameter.grad, 1 - self.keep_fraction, self.generator)
                parameter.grad.mul_(mask)

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Nothing is left to do."""

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """Return the number of all elements: each is drawn sooner or later."""
        return parameter.numel()


class FixedMask:
    """A rule for the `gradients` slot: the same elements learn at every step.

    With the masks of `select_child` it is Child-Tuning D; with those of random_masks.py, a
    control of BitFit. A tensor without a mask learns in full. The optimizer keeps its state for
    whole tensors, and a step copies every masked tensor, so this saves no memory.

    Args:
        masks: for each parameter name a bool tensor of its shape, True where it learns.
        decay_masked: let weight decay shrink the other elements, as the authors' code does; by
            default they keep their values.
    """

    generator = None  # the masks were drawn before the first step

    def __init__(self, masks: Masks, decay_masked: bool = False):
        self.masks = dict(masks)
        self.decay_masked = decay_masked
        self._before: dict[str, Tensor] = {}

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Set the gradients of masked elements to 0."""
        _check_fit(self.masks, parameters)
        for name, mask in self.masks.items():
            parameter = parameters[name]
            if mask.device != parameter.device:
                mask = self.masks[name] = mask.to(parameter.device)
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
            if not self.decay_masked:
                self._before[name] = parameter.detach().clone()

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Put masked elements back to what they were: the optimizer has decayed them."""
        with torch.no_grad():
            for name, before in self._before.items():
                parameter = parameters[name]
                torch.where(self.masks[name], parameter, before, out=parameter)
        self._before = {}

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """Return how many elements the mask lets learn; all of a tensor without a mask."""
        return int(self.masks[name].sum()) if name in self.masks else parameter.numel()


def candidates(model: nn.Module) -> list[str]:
    """Name what a child is selected from: the parameters of the encoder's layers that learn."""
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    names = [name for name in learning if isinstance(part_of(name), int)]
    if not names:
        raise MiniftError(
            "Child-Tuning D selects from the layers of the encoder that learn, and none does"
        )
    return names


def select_child(
    scores: dict[str, Tensor],
    keep_fraction: float,
    order: str = "highest",
    generator: torch.Generator | None = None,
) -> Masks:
    """Select the child: the top p of all scores, taken over all tensors together.

    Args:
        scores: for each candidate a tensor of its shape (`minift.methods.fisher`).
        keep_fraction: p in (0, 1]; exactly round(p * N) of the N elements are kept. Ties go to
            the earlier tensor, then the earlier element.
        order: "highest" scores learn (the method); "lowest" or "random" are controls.
        generator: source of the "random" order, on the CPU, where the masks are, too.

    A MiniftError says if p keeps nothing, a score is not finite, or all scores are 0.
    """
    _check_fraction(keep_fraction)
    require_known("order", order, ORDERS)
    total = sum(score.numel() for score in scores.values())
    keep = round(keep_fraction * total)
    if keep == 0:
        raise MiniftError(f"keep_fraction {keep_fraction} keeps none of {total} candidate weights")
    if order == "random":
        require(generator is not None, "generator", None, 'a torch.Generator, for order "random"')
        flat = torch.rand(total, generator=generator)
    else:
        for name, score in scores.items():
            if not score.isfinite().all():
                raise MiniftError(f"the score of {name} is not finite; check the training data")
        flat = torch.cat([score.detach().flatten().cpu() for score in scores.values()])
        if not flat.any():
            raise MiniftError(
                "all Fisher scores are 0, so there is no child to select: is the loss constant?"
            )
        if order == "lowest":
            flat.neg_()
    # not torch.kthvalue, which would hold an int64 index of twice the size as well
    threshold = float(np.partition(flat.numpy(), total - keep)[total - keep])
    chosen = flat > threshold
    tied = (flat == threshold).nonzero().flatten()
    chosen[tied[: keep - int(chosen.sum())]] = True
    pieces = chosen.split([score.numel() for score in scores.values()])
    return {name: piece.view(scores[name].shape) for name, piece in zip(scores, pieces)}


def _check_fraction(keep_fraction: float) -> None:
    good = 0 < keep_fraction <= 1
    require(good, "keep_fraction", keep_fraction, "a share in (0, 1]; 1 is full fine-tuning")


def _check_fit(masks: Masks, parameters: dict[str, nn.Parameter]) -> None:
    for name, mask in masks.items():
        here = tuple(parameters[name].shape) if name in parameters else "not among what learns"
        if here != tuple(mask.shape):
            raise MiniftError(
                f"the masks do not fit: {name} is {here} here, and its mask {tuple(mask.shape)}; "
                "make the masks from this model, after the run has chosen what learns"
            )
