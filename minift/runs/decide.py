"""From logits to an answer: temperature, thresholds, and what is left unanswered.

Claim    A run folder with decision.json answers by it, in prediction and in evaluation; one
         without answers with the likeliest class, and the softmax of its logits, bit for bit.
         What is in it was chosen on folds: no model was asked for a text that it was trained on.
Differs  A text is left unanswered if the probability of what would be answered, which a threshold
         may make the less likely of two classes, is below `abstain_below`.
Proof    tests/runs/test_decide.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from minift.checkpoints.limits import read_json
from minift.data.calibration import best_temperature, best_threshold, class_report
from minift.data.intervals import wilson
from minift.errors import MiniftError, require, require_known

FILE = "decision.json"


class Answer(NamedTuple):
    """What is said of one text."""

    label: str
    sure: bool  # or the text is left unanswered
    scores: list[float]  # probability of each class


@dataclass(frozen=True)
class Decision:
    """How logits become answers; what decision.json holds."""

    temperature: float = 1.0  # that logits are divided by
    thresholds: Mapping[str, float] = field(default_factory=dict)  # label -> least probability
    abstain_below: float = 0.0  # probability of an answer that is not given
    on_folds: Mapping[str, Any] = field(default_factory=dict)  # what these had where chosen

    def __post_init__(self) -> None:
        good = type(self.temperature) in (int, float) and 0 < self.temperature < math.inf
        require(good, "temperature", self.temperature, "a positive number")
        good = isinstance(self.thresholds, dict) and isinstance(self.on_folds, dict)
        require(good, "thresholds and on_folds", self.thresholds, "a number for each label")
        for name, p in [("abstain_below", self.abstain_below), *self.thresholds.items()]:
            good = type(p) in (int, float) and 0 <= p <= 1
            require(good, name, p, "a probability, from 0 to 1")

    def answer(self, logits: Tensor, labels: Sequence[str]) -> Answer:
        """Answer one text from its logits (labels,)."""
        best = int(logits.argmax())
        scores = (logits / self.temperature).softmax(-1).tolist()
        for label, least in self.thresholds.items():  # of two classes
            index = labels.index(label)
            best = index if scores[index] >= least else 1 - index
        return Answer(labels[best], scores[best] >= self.abstain_below, scores)


PLAIN = Decision()


def read_decision(folder: Path, labels: Sequence[str]) -> Decision:
    """Return what decision.json of a run folder says, or `PLAIN` where there is none.

    Raises:
        MiniftError: if it has another key, another label, or a number that makes no sense.
    """
    if not (file := folder / FILE).is_file():
        return PLAIN
    values = read_json(file)
    try:
        for key in values:
            require_known("key", key, [f.name for f in fields(Decision)])
        found = Decision(**values)
        for label in found.thresholds:
            require_known("label", label, labels)
    except MiniftError as error:
        raise MiniftError(f"{file}: {error}") from error
    return found


def decide(
    answers: Sequence[tuple[int, Tensor]],
    gold: Sequence[str],
    labels: Sequence[str],
    *,
    positive: str | None = None,
    threshold_for: str | None = None,
    abstain_below: float = 0.0,
) -> tuple[Decision, dict[str, Any]]:
    """Choose on folds, and report on them (see `class_report`).

    Args:
        answers: (index of a text, its logits (1, labels)), of all repeats one after the other.
        gold: the class of each text.
        labels: in the order of the logits.
        positive: the class of the threshold; None: the second of two.
        threshold_for: see `best_threshold`; None chooses none.
        abstain_below: see `Decision`.
    """
    rows = [row[0] for _, row in answers]
    true = [gold[index] for index, _ in answers]
    numbers = [labels.index(label) for label in true]
    found = Decision(best_temperature(torch.stack(rows).numpy(), numbers))
    if threshold_for:
        label = positive or labels[1]
        p = [found.answer(row, labels).scores[labels.index(label)] for row in rows]
        hits = np.array([other == label for other in true])
        found = replace(found, thresholds={label: best_threshold(np.array(p), hits, threshold_for)})
    found = replace(found, abstain_below=abstain_below)
    once = len({index for index, _ in answers})  # a repeat asks for the same texts again
    said, true = [found.answer(row, labels) for row in rows[:once]], true[:once]
    plain = [PLAIN.answer(row, labels) for row in rows[:once]]
    reports = [
        class_report(true, [a.label for a in given], [a.scores for a in given], labels)
        for given in (plain, said)
    ]
    right = [a.label == label for a, label in zip(said, true) if a.sure]
    accuracy = [sum(right) / len(right), *wilson(sum(right), len(right))] if right else None
    had = {
        "texts": once,
        "calibration_error_before": reports[0]["calibration"]["error"],
        "calibration_error": reports[1]["calibration"]["error"],
        "coverage": len(right) / once,
        "accuracy": accuracy,
        "classes": {label: reports[1]["classes"][label] for label in found.thresholds},
    }
    return replace(found, on_folds=had), reports[1]


def told(decision: Decision) -> list[str]:
    """Say what was chosen, and what it had on the folds."""
    had, lines = decision.on_folds, list[str]()
    before, after = (
        "{:.3f} ({:.3f}-{:.3f})".format(*had[f"calibration_error{when}"])
        for when in ("_before", "")
    )
    lines.append(
        f"temperature {decision.temperature:.3g}: calibration error {after}, without it {before}"
    )
    for label, least in decision.thresholds.items():
        scores = had["classes"][label]
        parts = (f"{part} {scores[part][0]:.3f}" for part in ("precision", "recall", "f1"))
        lines.append(f'"{label}" from {least:.3f} on: {", ".join(parts)} (where it was chosen)')
    if decision.abstain_below:
        share = f"{had['coverage']:.0%} of texts are answered from {decision.abstain_below:g} on"
        right = ", and right {:.3f} ({:.3f}-{:.3f})".format(*had["accuracy"] or [0, 0, 0])
        lines.append(share + right * bool(had["accuracy"]))
    return [f"on folds: {line}" for line in lines]
