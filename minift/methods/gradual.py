"""Gradual unfreezing: the head learns first, then one layer more per epoch, from the top.

Claim    In epoch 1 the head and the pooler learn, in epoch 1 + k also the k layers next to them,
         and from epoch layers + 2 on all of the model, embeddings included; what does not learn
         yet keeps its bits, and what learned before keeps its moments.
Paper    Howard & Ruder (2018), "Universal Language Model Fine-tuning for Text
         Classification", section 3.3, https://arxiv.org/abs/1801.06146.
Differs  - The embeddings count as a layer of their own below the first, and the pooler as part
           of the head, as in layerwise_decay.py. A run that is too short for that is refused;
           the authors' scripts unfreeze all that is left in the third epoch.
         - One optimizer and one curve of the schedule span all stages (as one optimizer per stage
           would wipe the moments). What begins to learn begins with empty moments, and AdamW's
           correction of their bias counts its own steps.
         - Dropout is off below the lowest layer that learns in an epoch, as everywhere here
           (minift/speed/prefix.py); BERT has no BatchNorm whose statistics could move.
         - A schedule that ends a run early (adaptive) may end it before all layers learn.
         The word "ulmfit" adds the other two ideas of the paper, layerwise:0.385 (its 1 / 2.6) and
         slanted. Not BERT's, so not here: language model tuning by the same three, pooling over
         the states of an LSTM, and the ensemble of a forward and a backward model.
Proof    tests/methods/test_gradual.py
Tutorial tutorials/13_neighbours
"""

from __future__ import annotations

from torch import nn

from minift.bert.counts import number_of_layers
from minift.bert.names import part_of
from minift.errors import MiniftError
from minift.training.loop import Trainable


def gradual(model: nn.Module, epoch: int = 1) -> list[str]:
    """Fill the `trainable` slot; of 2 layers, the lowest part that learns in each epoch:

    epoch     1           2          3          4, 5, ...
    lowest    the head    layer 1    layer 0    the embeddings
    """
    depth = number_of_layers(model)
    heights = {"embeddings": -1, "pooler": depth, "head": depth}
    parts = {name: part_of(name) for name, _ in model.named_parameters()}
    lowest = depth + 1 - epoch
    return [n for n, p in parts.items() if (heights[p] if isinstance(p, str) else p) >= lowest]


def require_epochs(trainable: Trainable, model: nn.Module, epochs: int) -> None:
    """Raise MiniftError if `trainable` is `gradual` and the run ends before all of it learns."""
    least = number_of_layers(model) + 2
    if trainable is gradual and epochs < least:
        raise MiniftError(
            f"gradual unfreezes the head, {least - 2} layers and the embeddings, one per epoch, "
            f"so it needs {least} epochs or more, got {epochs}; take --epochs {least}"
        )
