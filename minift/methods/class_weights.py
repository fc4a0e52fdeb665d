"""Class weights: where few texts are of a class, each of them counts for more.

Claim    The loss of each target is multiplied by the weight of its class. "balanced" weighs a class
         by targets / (classes * its own targets), as scikit-learn does, and a head that is solved
         is LogisticRegression(class_weight=...).
Paper    King & Zeng (2001), "Logistic Regression in Rare Events Data", section 4.2.
Differs  - Weights are scaled to a mean of 1 over the training targets ("balanced" has that), so
           that a rate, a clipped gradient and a strength C mean what they mean without weights.
           Over all of training the mean loss is that of torch.nn.CrossEntropyLoss(weight=...).
           A step divides by its number of targets, not by their weights: otherwise a step without
           a rare class would count for as much as one that has it.
Proof    tests/methods/test_class_weights.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from minift.data.files.lines import Problems, refuse
from minift.data.files.tables import as_number, table_rows
from minift.errors import MiniftError, nearest
from minift.training.batches import Batch, Item, labelled
from minift.training.loop import cross_entropy


@dataclass(frozen=True)
class Weighted:
    """Fill the `objective` slot with cross-entropy that is weighted by class."""

    weights: Mapping[str, float] | None = None  # of each class; None: balanced
    of_class: tuple[float, ...] = ()  # in the order of the logits, scaled: `ready` makes them
    file: Path = Path("class weights")  # where they stand, and on which lines, for messages
    lines: Mapping[str, int] = field(default_factory=dict)
    reads_items: ClassVar[bool] = True

    def __call__(self, model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
        """Return the weighted loss of each labelled target."""
        losses, known = cross_entropy(model, batch), labelled(batch.targets)
        return losses * losses.new_tensor(self.of_class)[batch.targets[known]]

    def ready(self, model: nn.Module, items: Sequence[Item], labels: Sequence[str]) -> Weighted:
        """Return it with the weight of each class for these training items.

        A MiniftError says if a class has no weight, a weight no class, or nothing here is a class.
        """
        targets = torch.tensor([target for item in items for target in item.targets])
        if targets.is_floating_point():  # numbers, or any number of labels per text
            raise MiniftError("class weights are for classes, one per text or word; leave them out")
        counts = targets[labelled(targets)].long().bincount(minlength=len(labels)).double()
        balanced = dict(zip(labels, (1 / counts.clamp(min=1)).tolist()))  # but for a factor
        given = balanced if self.weights is None else self.weights
        known, faults = f"is not one of {', '.join(labels)}", Problems()
        for name in [name for name in given if name not in labels]:
            what = f'the class "{name}" {known}{nearest(name, labels)}'
            faults.append((self.lines.get(name, 0), what))
        faults += [(0, f'no weight for the class "{n}"') for n in labels if n not in given]
        refuse(self.file, faults)
        weights = counts.new_tensor([given[name] for name in labels])
        scaled = weights * counts.sum() / (weights @ counts)
        return replace(self, of_class=tuple(scaled.tolist()))


def weighted(argument: str) -> Weighted:
    """Return the objective for "balanced" or a CSV of class and weight (MiniftError: faulty)."""
    if argument in ("", "balanced"):
        return Weighted()
    path, problems = Path(argument), Problems()
    weights, lines = dict[str, float](), dict[str, int]()
    if path.suffix.lower() in ("", ".json"):
        raise MiniftError(f'class weights "{argument}": expected balanced, or a .csv file')
    for line, row in table_rows(path, problems):
        name, weight = str(row.get("class")), row.get("weight")
        if not (0 < (number := as_number(weight)) < math.inf) or name in weights:
            what = f'the class "{name}" has the weight {weight!r}; expected one positive number per'
            problems.append((line, f'{what} class, in the columns "class" and "weight"'))
        weights[name], lines[name] = number, line
    refuse(path, problems)
    return Weighted(weights, file=path, lines=lines)
