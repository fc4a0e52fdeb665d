"""Predictions in the order of the input, and their scores.

Claim    What a model predicts for an example does not depend on which examples share its
         batch, and every word of every sentence is predicted exactly once. Several processes
         share the batches, which changes no bit.
Proof    tests/runs/test_evaluate.py
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from minift.bert.packing import to_device
from minift.data import metrics
from minift.data.examples import Dataset, Example, gold_of
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
    """Return the logits (asked, labels) of every item, in the order of `items`, on the CPU.

    Args:
        tokens: size of a batch (see `by_length`).
        make_batch: packs items, with what is known of them already.
        vectors: return what the last layer answers from instead, (asked, width).
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


def mean_loss(logits: Sequence[Tensor], items: Sequence[Item]) -> float:
    """Return the mean loss over all labelled targets, each target weighing the same."""
    rows = torch.cat(list(logits))
    targets = torch.tensor([target for item in items for target in item.targets])
    if targets.is_floating_point() and targets.dim() == 1:  # numbers
        return float(F.mse_loss(rows.squeeze(-1).double(), targets.double()))
    if targets.is_floating_point():  # any number of labels per text
        return float(F.binary_cross_entropy_with_logits(rows.double(), targets.double()))
    return float(F.cross_entropy(rows.double(), targets))


class Evaluation(NamedTuple):
    """Scores of one split."""

    scores: dict[str, Any]  # every metric by name
    loss: float  # mean over the labelled targets
    predicted: list[Any]  # one label (or number, or list of tags) per example
    notes: Sequence[str] = ()  # what a user should know of the examples
    probabilities: Sequence[Sequence[float]] = ()  # of each class, one row per text


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
    gold, seen = gold_of(data.task, examples), gold_of(data.task, train)
    if data.task == "tagging":
        scores = metrics.evaluate_tagging(gold, [["O"] * len(tags) for tags in gold])
    elif data.task == "regression":
        scores = metrics.evaluate_regression(gold, [sum(seen) / len(seen)] * len(gold))
    elif data.task == "multilabel":
        given = [name for names in seen for name in names]
        most = [[str(name)] for name in metrics.majority_baseline(given, gold, data.labels)]
        scores = metrics.evaluate_multilabel(gold, most, data.labels)
    else:
        answers = metrics.majority_baseline(seen, gold, data.labels)
        scores = metrics.evaluate_classification(gold, answers, data.labels, data.positive)
    return metrics.headline(data.metric, scores)
