"""From logits to an answer: temperature, thresholds, and what is left unanswered.

Claim    A run folder with decision.json answers by it, in prediction and in evaluation; one
         without answers with the likeliest class, and the softmax of its logits, bit for bit.
         What is in it was chosen on folds: no model was asked for a text that it was trained on.
Proof    tests/runs/test_decide.py
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minift.checkpoints.limits import read_json
from minift.data import calibration as calibrate
from minift.data.metrics import evaluate_multilabel
from minift.errors import MiniftError, require, require_known

FILE = "decision.json"
FEWEST = 5  # texts of a label that has a threshold of its own


@dataclass(frozen=True)
class Decision:
    """How logits become answers; what decision.json holds."""

    temperature: float = 1.0  # that logits are divided by
    thresholds: Mapping[str, float] = field(default_factory=dict)  # label -> least probability
    abstain_below: float = 0.0  # probability of what would be answered
    on_folds: Mapping[str, Any] = field(default_factory=dict)  # what these had where chosen

    def __post_init__(self) -> None:
        good = type(self.temperature) in (int, float) and 0 < self.temperature < math.inf
        require(good, "temperature", self.temperature, "a positive number")
        good = isinstance(self.thresholds, dict) and isinstance(self.on_folds, dict)
        require(good, "thresholds and on_folds", self.thresholds, "a number for each label")
        for name, p in [("abstain_below", self.abstain_below), *self.thresholds.items()]:
            good = type(p) in (int, float) and 0 <= p <= 1
            require(good, name, p, "a probability, from 0 to 1")

    def answer(self, logits: Tensor, labels: Sequence[str]) -> tuple[str, bool, list[float]]:
        """Return the label of a text with logits (labels,), whether to give it, and the scores."""
        best, scores = int(logits.argmax()), (logits / self.temperature).softmax(-1).tolist()
        for label, least in self.thresholds.items():  # of two classes
            index = labels.index(label)
            best = index if scores[index] >= least else 1 - index
        return labels[best], scores[best] >= self.abstain_below, scores

    def applying(self, scores: Sequence[float], labels: Sequence[str]) -> tuple[str, ...]:
        """Return those of several labels whose probability reaches its threshold, else .5."""
        return tuple(n for n, p in zip(labels, scores) if p >= self.thresholds.get(n, 0.5))


PLAIN = Decision()


def read_decision(folder: Path, labels: Sequence[str]) -> Decision:
    """Return what decision.json of a run folder says, or `PLAIN` where there is none.

    A MiniftError says if it has another key, another label, or a number that makes no sense.
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
    positive: str | None = None,
    threshold_for: str | None = None,
    abstain_below: float = 0.0,
) -> tuple[Decision, dict[str, Any]]:
    """Choose on folds, and report on them (see `class_report`).

    Args:
        answers: (index of a text, its logits (1, labels)), of all repeats one after the other.
        gold: the class of each text.
        positive: the class of the threshold; None: the second of two.
        threshold_for: the goal of `best_threshold`; None chooses none.
    """
    rows, true = [row[0] for _, row in answers], [gold[index] for index, _ in answers]
    numbers = [labels.index(label) for label in true]
    found = Decision(
        calibrate.best_temperature(torch.stack(rows).numpy(), numbers), {}, abstain_below
    )
    if threshold_for:
        label = positive or labels[1]
        p = np.array([found.answer(row, labels)[2] for row in rows])[:, labels.index(label)]
        hits = np.array(true) == label
        found = replace(found, thresholds={label: calibrate.best_threshold(p, hits, threshold_for)})
    once = len({index for index, _ in answers})  # a repeat asks for the same texts again
    where = "on the folds of the first repeat" if once < len(rows) else "on folds"
    said, sure, scores = zip(*(found.answer(row, labels) for row in rows[:once]))
    plain = np.array([PLAIN.answer(row, labels)[2] for row in rows[:once]])
    report = calibrate.class_report(true[:once], said, scores, labels)
    right = [a == b for a, b, given in zip(said, true, sure) if given]
    had = {
        "where": where,
        "texts": once,
        "calibration_error": report["calibration"]["error"],
        "calibration_error_without": calibrate.calibration(plain, numbers[:once])["error"],
        "coverage": len(right) / once,
        "accuracy": calibrate.share_of(sum(right), len(right)),
        **{label: report["classes"][label] for label in found.thresholds},
    }
    return replace(found, on_folds=had), report


def decide_labels(
    answers: Sequence[tuple[int, Tensor]],
    gold: Sequence[Sequence[str]],
    labels: Sequence[str],
    goal: str,
) -> Decision:
    """Choose a threshold for each of several labels per text, by the goal of `best_threshold`.

    A label of fewer than `FEWEST` texts keeps .5. For `answers` and the rest see `decide`.
    """
    p = torch.stack([row[0] for _, row in answers]).double().sigmoid().numpy()
    thresholds = {}
    for number, label in enumerate(labels):
        hits = np.array([label in gold[index] for index, _ in answers])
        if len({index for (index, _), hit in zip(answers, hits) if hit}) >= FEWEST:
            thresholds[label] = calibrate.best_threshold(p[:, number], hits, goal)
    found, true = Decision(thresholds=thresholds), [gold[index] for index, _ in answers]
    had = {
        name: evaluate_multilabel(true, [d.applying(row, labels) for row in p.tolist()], labels)
        for name, d in (("at .5", PLAIN), ("chosen", found))
    }
    return replace(found, on_folds={name: scores["micro_f1"] for name, scores in had.items()})


def told(decision: Decision) -> str:
    """Say what was chosen, and what it had on the folds."""
    if "at .5" in decision.on_folds:
        what = f"thresholds of {len(decision.thresholds)} labels"
        had, before = decision.on_folds["chosen"], decision.on_folds["at .5"]
        return f"on folds: micro F1 {had:.3f} with {what}, chosen as the best, else {before:.3f}"
    had, least = decision.on_folds, decision.abstain_below
    error, without, right = (
        calibrate.within(had[name])
        for name in ("calibration_error", "calibration_error_without", "accuracy")
    )
    t, (low, high) = round(decision.temperature, 9), calibrate.TEMPERATURES
    said = f"on folds: calibration error {error} at temperature {float(f'{t:.3g}'):g}, else "
    said += without
    if t in (1, low, high):
        why = {1: "no answer is wrong", low: "lowest tried: hardly an answer is wrong"}
        said += f" ({why.get(t, 'highest tried: right answers do not look surer than wrong ones')})"
    elif had["calibration_error"][0] > had["calibration_error_without"][0]:
        said += "; it lowers the log-loss, which it was chosen by, but not this error"
    for label, cut in decision.thresholds.items():
        scores = (f"{part} {calibrate.within(score)}" for part, score in had[label].items())
        said += f'\non folds: "{label}" from {cut:.3f} on, chosen as the best: {", ".join(scores)}'
        said += " (as if no text were left unanswered)" if least else ""
    if least:
        said += f"\non folds: {had['coverage']:.0%} answered from {least:g} on, {right} right; "
        said += "all other scores are of all texts"
    return said.replace("on folds", had.get("where", "on folds"))
