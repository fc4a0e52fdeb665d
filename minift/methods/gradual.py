"""Gradual unfreezing: the head learns first, then one layer more per epoch, from the top.

Claim    In epoch 1 head and pooler learn, in epoch 1 + k also the k layers next to them, from epoch
         layers + 2 on the embeddings, too. What does not learn yet keeps its bits.
Paper    Howard & Ruder (2018), ULMFiT, https://arxiv.org/abs/1801.06146, section 3.3.
Differs  - The embeddings are a layer, the pooler is part of the head, as in layerwise_decay.py. A
           run that is too short is refused, but not one that a schedule ends early (adaptive).
           The authors' scripts unfreeze all that is left in epoch 3.
         - One optimizer and one curve of the schedule span all stages, so moments are kept; what
           begins to learn begins with empty ones, whose bias is corrected by its own steps.
         - Dropout is off below the lowest layer that learns in an epoch, as in all of minift.
         The word "ulmfit" adds the other two ideas of the paper, layerwise:0.385 (its 1 / 2.6) and
         slanted. Its pooling and its ensemble of two directions are of LSTMs, and not here.
Proof    tests/methods/test_gradual.py
Tutorial tutorials/13_neighbours
"""

from torch import nn

from minift.bert.counts import number_of_layers
from minift.bert.names import part_of
from minift.errors import MiniftError
from minift.training.loop import Trainable


def gradual(model: nn.Module, epoch: int = 1) -> list[str]:
    """Name what learns: of 2 layers, the head; in epoch 2 layer 1, too; then layer 0; then all."""
    depth = number_of_layers(model)
    frozen = {*range(depth + 1 - epoch), *(["embeddings"] if epoch < depth + 2 else [])}
    return [name for name, _ in model.named_parameters() if part_of(name) not in frozen]


def require_epochs(trainable: Trainable, model: nn.Module, epochs: int) -> None:
    """Raise MiniftError if `trainable` is `gradual` and the run ends before all of it learns."""
    least = number_of_layers(model) + 2
    if trainable is gradual and epochs < least:
        what = f"gradual unfreezes head, {least - 2} layers and embeddings, one per epoch, so it"
        raise MiniftError(f"{what} needs {least} epochs or more, got {epochs}; --epochs {least}")
