"""Predictions in the order of the input, and their scores.

Claim    What a model predicts for an example does not depend on which examples share its
         batch, and every word of every sentence is predicted exactly once. Several processes
         share the batches, which changes no bit.
Proof    tests/runs/test_evaluate.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from minift.bert.packing import to_device
from minift.data import metrics
from minift.data.examples import (
    Dataset,
    Example,
    Task,
    gold_classes,
    gold_labels,
    gold_numbers,
    gold_tags,
)
from minift.data.tags import as_iob2
from minift.runs.processes import merged, my_share
from minift.training.batches import Batch, Item, make_batch
from minift.training.items import by_length

TOKENS_PER_BATCH = 2048  # larger rectangles fall out of a laptop core's cache


def predict_logits(
    model: nn.Module,
    items: Sequence[Item],
    tokens: int = TOKENS_PER_BATCH,
    progress: bool = False,
    make_batch: Callable[[Sequence[Item]], Batch] = make_batch,
    vectors: bool = False,
) -> list[Tensor]:
    """Compute the logits of every item, in the order of `items`.

    Args:
        model: a model with a head; its mode (train or eval) is left as found.
        tokens: size of a batch (see `by_length`).
        make_batch: packs items, with what is known of them already.
        vectors: return what the last layer answers from instead (`Classifier.vectors`).

    Returns:
        For each item a tensor (asked, labels) on the CPU; for vectors (asked, width).
    """
    device = next(model.parameters()).device
    was_training, answer = model.training, cast(Any, model).vectors if vectors else model
    model.eval()
    results: dict[int, Tensor] = {}
    off = None if progress else True
    try:
        with torch.inference_mode(), tqdm(total=len(items), disable=off, leave=False) as bar:
            for group in my_share(list(by_length(items, tokens))):
                chosen = [items[i] for i in group]
                batch = to_device(make_batch(chosen), device)
                logits = answer(batch.packed, batch.wanted).float().cpu()
                for i, rows in zip(group, logits.split([len(items[i].positions) for i in group])):
                    results[i] = rows
                bar.update(len(group))
    finally:
        model.train(was_training)
    return merged(results)


def mean_loss(
    logits: Sequence[Tensor], items: Sequence[Item], task: Task = "classification"
) -> float:
    """Return the mean loss over all labelled targets, each target weighing the same."""
    rows = torch.cat(list(logits))
    targets = torch.tensor([target for item in items for target in item.targets])
    if task == "regression":
        return float(F.mse_loss(rows.squeeze(-1).double(), targets.double()))
    if task == "multilabel":
        return float(F.binary_cross_entropy_with_logits(rows.double(), targets.double()))
    return float(F.cross_entropy(rows.double(), targets))


@dataclass(frozen=True)
class Evaluation:
    """Scores of one split."""

    scores: dict[str, Any]  # every metric by name
    loss: float  # mean over the labelled targets
    predicted: list[Any]  # one label (or number, or list of tags) per example
    notes: Sequence[str] = ()  # what a user should know of the examples


def evaluate(
    model: nn.Module,
    items: Sequence[Item],
    examples: Sequence[Example],
    task: Task,
    labels: Sequence[str],
    progress: bool = False,
    make_batch: Callable[[Sequence[Item]], Batch] = make_batch,
    positive: str | None = None,
    thresholds: Mapping[str, float] = MappingProxyType({}),
) -> Evaluation:
    """Score a model on labelled examples; `items` are these as `make_items` made them."""
    logits = predict_logits(model, items, progress=progress, make_batch=make_batch)
    predicted: list[Any]
    if task == "regression":
        predicted = [float(row) for row in logits]
    elif task == "tagging":
        predicted = as_iob2(tags_by_sentence(logits, items, len(examples), labels), labels)
    elif task == "multilabel":
        predicted = [applying(row[0].sigmoid(), labels, thresholds) for row in logits]
    else:
        predicted = [labels[int(row.argmax())] for row in logits]
    scores = _scores(task, examples, predicted, labels, positive)
    return Evaluation(scores, mean_loss(logits, items, task), predicted)


def _scores(
    task: Task,
    examples: Sequence[Example],
    predicted: list[Any],
    labels: Sequence[str],
    positive: str | None,
) -> dict[str, Any]:
    if task == "regression":
        return metrics.evaluate_regression(gold_numbers(examples), predicted)
    if task == "tagging":
        return metrics.evaluate_tagging(gold_tags(examples), predicted)
    if task == "multilabel":
        return metrics.evaluate_multilabel(gold_labels(examples), predicted, labels)
    return metrics.evaluate_classification(gold_classes(examples), predicted, labels, positive)


def applying(
    probabilities: Tensor, labels: Sequence[str], thresholds: Mapping[str, float]
) -> tuple[str, ...]:
    """Return those of several labels whose probability reaches its threshold, by default .5."""
    pairs = zip(labels, probabilities.tolist())
    return tuple(label for label, p in pairs if p >= thresholds.get(label, 0.5))


def tags_by_sentence(
    logits: Sequence[Tensor], items: Sequence[Item], sentences: int, labels: Sequence[str]
) -> list[list[str]]:
    """Join the windows of each sentence: the most likely tag of each word, in order."""
    tags: list[list[str]] = [[] for _ in range(sentences)]
    for item, rows in zip(items, logits):
        tags[item.example] += [labels[index] for index in rows.argmax(-1).tolist()]
    return tags


def constant_score(data: Dataset, train: Sequence[Example], examples: Sequence[Example]) -> float:
    """Score the best answer that reads no text: the most frequent class, "O", or the mean."""
    answers: list[Any]
    if data.task == "tagging":
        answers = [["O"] * len(tags) for tags in gold_tags(examples)]
    elif data.task == "regression":
        answers = [sum(gold_numbers(train)) / len(train)] * len(examples)
    else:
        given = [name for names in gold_labels(train) for name in names]
        answers = metrics.majority_baseline(given, [""] * len(examples), data.labels)
        answers = [[name] for name in answers] if data.task == "multilabel" else answers
    scores = _scores(data.task, examples, answers, data.labels, data.positive)
    return metrics.headline(data.metric, scores)
