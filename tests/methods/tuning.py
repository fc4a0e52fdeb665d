"""A short way to train, for tests that fill one slot and leave the others alone."""

from __future__ import annotations

from minift.training.loop import History, Recipe, Seeds, Settings, everything, fine_tune
from minift.training.schedules import Linear

SEEDS = Seeds.all(0)


def tune(
    model, items, settings: Settings, *, seeds=SEEDS, trainable=everything, rule=None,
    schedule=None, scales=None, validate=None,
) -> History:  # fmt: skip
    """Fine-tune with this gradient rule and this schedule, which are made already."""
    recipe = Recipe(
        trainable=trainable,
        gradients=None if rule is None else lambda *_: rule,
        schedule=Linear if schedule is None else lambda: schedule,
        scales=scales,
        settings=settings,
    )
    return fine_tune(model, items, recipe, seeds, validate=validate)
