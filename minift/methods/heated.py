"""Heated-up softmax: the temperature of the loss rises from phase to phase.

Claim    The loss is cross-entropy of softmax(alpha * logits), with the gradient alpha * (p - y): a
         large alpha teaches by texts on the border or its wrong side, a small one by all alike.
         alpha is that of the phase; 1 is the plain loss, bit for bit.
Paper    Zhang et al. (2018), "Heated-Up Softmax Embedding", https://arxiv.org/abs/1809.04157;
         Chen et al. (2021), https://arxiv.org/abs/2101.05509, with alpha 4, 1, 0.5.
Differs  - Phases (10 epochs each in Chen et al.) are equal parts of the steps that a run may take:
           they begin with an epoch where their number divides that of epochs. Optimizer and rates
           continue. A schedule that ends a run early (adaptive) leaves out later phases.
         - A last layer may undo alpha by its own scale. "normalised" divides the logits of each
           text by their norm, so that it cannot. Zhang et al. normalise what the last layer reads
           and its rows, which predictions would have to do as well; this keeps the likeliest class.
         - Answers are softmax(logits): the same classes, but probabilities sharper than trained
           after an alpha below 1. The temperature that `train` finds on folds puts that right.
Proof    tests/methods/test_heated.py
Tutorial tutorials/13_neighbours
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from minift.errors import MiniftError, require
from minift.training.batches import Batch, Item, labelled


@dataclass(frozen=True)
class Heated:
    """Fill the `objective` slot with a cross-entropy whose temperature is 1 / alpha."""

    alphas: tuple[float, ...] = (4.0, 1.0, 0.5)  # one per phase
    normalised: bool = False  # the logits of each answer have norm 1 before alpha
    reads_items: ClassVar[bool] = True

    def __post_init__(self) -> None:
        good = bool(self.alphas) and all(0 < alpha < math.inf for alpha in self.alphas)
        require(good, "alphas", self.alphas, "positive numbers, one per phase")

    def __call__(self, model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
        """Return -log softmax(alpha * logits) of each labelled target."""
        alpha = self.alphas[step * len(self.alphas) // steps]
        logits, known = model(batch.packed, batch.wanted), labelled(batch.targets)
        logits = F.normalize(logits, dim=-1) if self.normalised else logits
        return F.cross_entropy(alpha * logits[known], batch.targets[known], reduction="none")

    def ready(self, model: nn.Module, items: Sequence[Item], labels: Sequence[str]) -> Heated:
        """Return it; a MiniftError says if targets are numbers, or any number of labels."""
        if any(type(target) is not int for item in items for target in item.targets):
            what = "heated has a softmax, for one class per text or word, and the labels here are"
            raise MiniftError(f"{what} numbers or any number per text; take full")
        return self
