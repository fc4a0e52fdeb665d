"""Fusion: what two encoders make of a text goes through one multilayer perceptron.

Claim    Each encoder reads a text with its own tokenizer, once, and the perceptron learns from both
         vectors side by side. Where its weights for one of them are 0, it answers from the other.
Paper    Chen et al. (2021), "Transformer-based Language Model Fine-tuning Methods for COVID-19
         Fake News Detection", section 3.4, https://arxiv.org/abs/2101.05509.
Differs  The encoders do not learn with the perceptron (the paper does not say): each is frozen as
         it is, or after it was tuned on its own. It is a function and no option of a command: a run
         folder holds one encoder, and all that reads it would have to know of two.
Proof    tests/runs/test_fusion.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from minift.bert.dropout import Dropout
from minift.bert.masked_lm import initialise
from minift.bert.packing import Computed
from minift.data.examples import Dataset, Example
from minift.errors import MiniftError
from minift.runs.evaluate import Evaluation, predict_logits
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build
from minift.training.batches import Batch, Item, make_batch
from minift.training.loop import Recipe, Seeds, Settings, fine_tune

SETTINGS = Settings(epochs=60, learning_rate=1e-3)
HIDDEN = 128  # width of the perceptron's hidden layer


class Perceptron(nn.Sequential):
    """Layers over the vectors that a batch comes with."""

    def forward(self, packed: Any, wanted: Any = None) -> Tensor:
        """Return logits (texts, outputs)."""
        return super().forward(packed.computed.hidden)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Fused:
    """Frozen encoders, and the perceptron that answers from their vectors."""

    parts: Sequence[FineTuned]
    perceptron: Any

    def vectors(self, examples: Sequence[Example]) -> Tensor:
        """Return what the encoders' own heads would read, side by side: (texts, all widths)."""
        parts = [predict_logits(p.model, p.items(examples), vectors=True) for p in self.parts]
        return torch.cat([torch.cat(rows) for rows in parts], dim=1)

    def evaluate(self, examples: Sequence[Example]) -> Evaluation:
        """Score labelled examples."""
        cache: Any = SimpleNamespace(make_batch=with_vectors(self.vectors(examples)))
        return replace(self.parts[0], model=self.perceptron, cache=cache).evaluate(examples)


def with_vectors(vectors: Tensor) -> Callable[[Sequence[Item]], Batch]:
    """Return what packs items, each with the row of its example in `vectors`."""

    def pack(items: Sequence[Item]) -> Batch:
        batch = make_batch(items)
        known = Computed(0, vectors[list(batch.examples)])
        return replace(batch, packed=replace(batch.packed, computed=known))

    return pack


def fuse(
    dataset: Dataset,
    encoders: Sequence[str | Path],
    *,
    seeds: Seeds | int,
    tune: bool = False,
    settings: Settings = SETTINGS,
    device: torch.device | str = "cpu",
) -> Fused:
    """Learn from the vectors of two encoders or more, which may be run folders.

    With `tune`, each is first fine-tuned on the data set on its own (method "full"). A MiniftError
    says if one is not a BERT, or if words are tagged.
    """
    if dataset.task == "tagging":
        raise MiniftError("fusion gives one answer per text, and here words are tagged")
    parts = [build(dataset, encoder, seeds, device) for encoder in encoders]
    if tune:
        parts = [train(dataset, e, "full", seeds=seeds, device=device)[0] for e in encoders]
    fused, seeds = Fused(parts, Perceptron()), Seeds.all(seeds)
    vectors, items = fused.vectors(dataset.train), parts[0].items(dataset.train)
    width, outputs = vectors.shape[1], max(1, len(dataset.labels))
    ends = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, outputs)
    fused.perceptron.extend([ends[0], nn.ReLU(), Dropout(0.1), ends[1]])
    fused.perceptron.config = parts[0].model.config  # whose problem_type decides the loss
    initialise(fused.perceptron, width**-0.5, torch.Generator().manual_seed(seeds.head))
    model, recipe = fused.perceptron.to(device), Recipe("fusion", settings=settings)
    fine_tune(model, items, recipe, seeds, make_batch=with_vectors(vectors))
    model.eval()
    return fused
