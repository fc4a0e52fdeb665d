"""Contrastive objectives: texts of one class side by side, texts of other classes apart.

Claim    `cosine_pairs` moves the cosine of each two texts of a batch to 1 (same class) or 0 (other
         class), `supervised_contrastive` makes a text's own class likely among its neighbours; both
         are what a double loop computes, and their gradient never reaches the last linear layer.
Paper    Tunstall et al. (2022), SetFit, https://arxiv.org/abs/2209.11055, section 3; Khosla et al.
         (2020), https://arxiv.org/abs/2004.11362, equation 2 (L_out).
Differs  - SetFit draws pairs, as many of one class as of two. Here a step sees each pair of its
           batch once (a text with itself is no pair), and the two kinds weigh the same.
         - Khosla et al. compare two views per image, through a small network that they then drop.
           Here there is one view, and what the head reads is compared. A text without another of
           its class in the batch is no anchor. Nothing is multiplied by temperature / 0.07, which
           their code does and their paper does not.
         - The head is solved afterwards, on the vectors of the trained encoder (solved_head.py).
         - The loss of a batch stands once per labelled text, as the loop divides by those of the
           step. With `accumulate`, or several processes, only the pairs within a part are seen,
           and a part with one text teaches nothing.
Proof    tests/methods/test_contrastive.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.heads import Classifier, TokenClassifier
from minift.errors import MiniftError, require
from minift.methods.mean_head import PairClassifier
from minift.training.batches import Batch, Item, labelled

Loss = Callable[[Tensor, Tensor], Tensor]  # vectors (texts, width), classes (texts,) -> scalar


def cosine_pairs(vectors: Tensor, classes: Tensor) -> Tensor:
    """Return (cosine - [same class])^2: the mean of its means over pairs of one class and of two.

    `vectors` (texts, width), `classes` (texts,). Without any pair the loss is 0.
    """
    one, other = torch.triu_indices(len(vectors), len(vectors), 1, device=vectors.device)
    same = classes[one] == classes[other]  # (pairs,)
    errors = (cosines(vectors)[one, other] - same.to(vectors.dtype)).square()
    means = [errors[kind].mean() for kind in (same, ~same) if kind.any()]
    return torch.stack(means).mean() if means else 0 * vectors.sum()


def supervised_contrastive(vectors: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    """Return -log p(positive | anchor), p a softmax of cosine / temperature over all other texts.

    It is the mean over the positives of an anchor, the other texts of its class, then over the
    anchors that have one; 0 if none has. A MiniftError says if `temperature` is not above 0.
    """
    require(temperature > 0, "temperature", temperature, "a number above 0")
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    positive = (classes.unsqueeze(1) == classes) & ~itself  # (anchors, texts)
    if not positive.any():
        return 0 * vectors.sum()
    scores = (cosines(vectors) / temperature).masked_fill(itself, -torch.inf)
    summed = scores.log_softmax(1).masked_fill(~positive, 0).sum(1)  # (anchors,)
    anchors = positive.any(1)
    return -(summed[anchors] / positive.sum(1)[anchors]).mean()


def cosines(vectors: Tensor) -> Tensor:
    """Return the cosine of each two rows, (texts, texts); 0 for a row of zeros."""
    unit = F.normalize(vectors, eps=1e-8)  # that of torch.cosine_similarity
    return unit @ unit.T


@dataclass(frozen=True)
class Contrastive:
    """Fill the `objective` slot with `loss`, over what the head of the model would read.

    It reads the batch as it is, so `fit` may hand it states of a frozen prefix.
    """

    loss: Loss = cosine_pairs
    reads_items: ClassVar[bool] = True

    def __call__(self, model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
        """Return the loss of the batch, once per labelled text."""
        require_classes(model)
        known = labelled(batch.targets)
        read = cast(Classifier, model).vectors(batch.packed, batch.wanted)
        vectors = read[known]  # (texts, width)
        return self.loss(vectors, batch.targets[known]).expand(len(vectors))

    def ready(self, model: nn.Module, items: Sequence[Item], labels: Sequence[str]) -> Contrastive:
        """Return it; MiniftError: as `require_classes`, or a class has one item, in no pair."""
        require_classes(model)
        count = Counter(target for item in items for target in item.targets)
        if alone := [f'"{label}"' for number, label in enumerate(labels) if count[number] == 1]:
            raise MiniftError(
                "contrastive needs two examples of each class or more, and there is one of "
                f"{', '.join(alone)}; draw more labels, or take head or full"
            )
        return self


def require_classes(model: nn.Module) -> None:
    """Raise MiniftError if `model` answers with anything but a class, or for pairs read apart."""
    kind = getattr(getattr(model, "config", None), "problem_type", None)
    others = {"regression": "numbers", "multi_label_classification": "any number per text"}
    if kind in others or isinstance(model, TokenClassifier | PairClassifier):
        got = "a tag per word" if isinstance(model, TokenClassifier) else "those of pairs"
        got = others.get(str(kind), got)
        raise MiniftError(
            f"contrastive needs one class per text, and here the labels are {got}; "
            "take full, bitfit or head"
        )
