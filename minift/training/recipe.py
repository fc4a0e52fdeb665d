"""A recipe: what a method puts into the slots of the loop.

Claim    Everything that tells one method from another stands in these fields.
Proof    tests/methods/test_recipes.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from minift.training.batches import Item
from minift.training.loop import GradientRule, Seeds, Settings, Trainable, everything
from minift.training.schedules import Linear, Schedule

MakeRule = Callable[[nn.Module, Sequence[Item], Seeds], GradientRule]


@dataclass(frozen=True)
class Recipe:
    """A method: what fills the slots.

    Args:
        name: as written on the command line.
        trainable: which parameters learn.
        gradients: makes the gradient rule from the model, its training inputs and the seeds,
            just before training starts; None leaves gradients alone.
        schedule: makes a fresh schedule; a schedule has a state, so runs do not share one.
        scales: factor on the rate of each parameter, made from the model; None means 1.
        settings: defaults of the run; the user's own choices replace them.
    """

    name: str
    trainable: Trainable = everything
    gradients: MakeRule | None = None
    schedule: Callable[[], Schedule] = Linear
    scales: Callable[[nn.Module], Mapping[str, float]] | None = None
    settings: Settings = field(default_factory=Settings)
