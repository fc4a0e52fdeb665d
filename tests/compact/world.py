"""A small teacher that has learned its data, made once for all tests of a module."""

from __future__ import annotations

from pathlib import Path

from minift.methods.recipes import recipe
from minift.runs.train import train
from minift.runs.tuned import FineTuned
from minift.training.loop import Seeds, Settings
from tests.tiny import checkpoint, news

LEARNED = Settings(epochs=15, batch_size=8, learning_rate=3e-3)


def tiny_teacher(folder: Path) -> FineTuned:
    """Train a tagger on 80 sentences of news; `folder` gets "encoder" and the run "teacher"."""
    tuned, result = train(
        news(160),
        checkpoint(folder / "encoder"),
        recipe("full"),
        seeds=Seeds.all(0),
        settings=LEARNED,
        out=folder / "teacher",
    )
    assert result["test"] > 0.9, result["test"]  # it has something to teach
    return tuned
