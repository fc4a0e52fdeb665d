"""Fusion: what two encoders make of a text goes through one multilayer perceptron.

Claim    Each encoder reads a text with its own tokenizer, once, and the perceptron learns from both
         vectors side by side. Where its weights for one of them are 0, it answers from the other.
Paper    Chen et al. (2021), "Transformer-based Language Model Fine-tuning Methods for COVID-19
         Fake News Detection", section 3.4, https://arxiv.org/abs/2101.05509.
Differs  The encoders do not learn with the perceptron (the paper does not say): each is frozen as
         it is, or after it was tuned on its own. It is a function and no option of a command: a run
         folder holds one encoder, and all that reads it would have to know of two.
Proof    tests/runs/test_fusion.py
Tutorial tutorials/13_neighbours
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from minift.bert.dropout import Dropout
from minift.bert.masked_lm import initialise
from minift.data.examples import Dataset, Example, is_labelled
from minift.errors import MiniftError
from minift.runs.evaluate import predict_logits
from minift.runs.train import require_two_classes, train
from minift.runs.tuned import FineTuned, build
from minift.training.batches import Batch
from minift.training.loop import Recipe, Seeds, Settings, fine_tune, usual_objective

SETTINGS = Settings(epochs=60, learning_rate=1e-3)
HIDDEN = 128  # width of the perceptron's hidden layer


@dataclass(frozen=True)
class Fused:
    """Frozen encoders, and the perceptron that answers from their vectors."""

    parts: Sequence[FineTuned]
    perceptron: nn.Sequential

    def vectors(self, examples: Sequence[Example]) -> Tensor:
        """Return what the encoders' own heads would read, side by side: (texts, all widths)."""
        parts = [predict_logits(p.model, p.items(examples), vectors=True) for p in self.parts]
        return torch.cat([torch.cat(rows) for rows in parts], dim=1)

    def logits(self, examples: Sequence[Example]) -> Tensor:
        """Return logits (texts, labels), or numbers (texts, 1), on the CPU."""
        with torch.no_grad():
            vectors = self.vectors(examples).to(next(self.perceptron.parameters()).device)
            return cast(Tensor, self.perceptron(vectors)).cpu()


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
    says if one is not a BERT, if words are tagged, or if there is nothing to learn from.
    """
    if dataset.task == "tagging":
        raise MiniftError("fusion gives one answer per text, and here words are tagged")
    if isinstance(encoders, str) or not encoders or not is_labelled(dataset.train):
        raise MiniftError("fusion needs a list of encoders, and training texts with labels")
    require_two_classes(dataset.train, dataset)
    parts = [build(dataset, encoder, seeds, device) for encoder in encoders]
    if tune:
        parts = [train(dataset, e, "full", seeds=seeds, device=device)[0] for e in encoders]
    vectors = Fused(parts, nn.Sequential()).vectors(dataset.train).to(device)
    width, outputs = vectors.shape[1], max(1, len(dataset.labels))
    layers = nn.Linear(width, HIDDEN), nn.ReLU(), Dropout(0.1), nn.Linear(HIDDEN, outputs)
    perceptron = nn.Sequential(*layers)
    initialise(perceptron, width**-0.5, torch.Generator().manual_seed(Seeds.all(seeds).head))

    def loss(model: nn.Module, batch: Batch, step: int, steps: int) -> Tensor:
        logits = model(vectors[list(batch.examples)])  # whatever asks the model gets these
        asked = cast(nn.Module, lambda *_: logits)
        return usual_objective(parts[0].model)(asked, batch, step, steps)

    recipe = Recipe("fusion", objective=loss, settings=settings)
    fine_tune(perceptron.to(device), parts[0].items(dataset.train), recipe, Seeds.all(seeds))
    return Fused(parts, perceptron)
