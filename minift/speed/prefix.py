"""The frozen prefix: below the lowest parameter that learns, everything is computed once.

Claim    Where the embeddings and the lowest layers are frozen, their output for a text is the
         same in every epoch, and for every model with the same weights there. It is computed
         once and kept; what is learned and predicted is the same as if it were computed each time.
Differs  For that, dropout in the prefix must be off, as the loop has it; where
         `Settings.prefix_dropout` switches it on, or memory is too small, there is no cache.
Proof    tests/speed/test_prefix.py
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

import torch
from torch import Tensor, nn

from minift.bert.encoder import encoder_of, frozen_prefix
from minift.bert.packing import Computed, Packed, to_device
from minift.checkpoints.weights import weights_digest
from minift.files import digest
from minift.methods.mean_head import MeanClassifier
from minift.speed.precision import precision_of
from minift.training.batches import Batch, Item, make_batch
from minift.training.items import by_length

LARGEST = 4 * 2**30  # bytes of hidden states that are kept; more are computed each time
TOKENS = 2048  # of a batch while the states are computed

# What the lowest layers see of a text, and the tokens that are kept of it.
Key = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def reads_every_token(model: nn.Module) -> bool:
    """Whether the head needs all of the last layer's output, not that of asked tokens only."""
    return getattr(model, "reads_every_token", False)


def pools(model: nn.Module, layers: int) -> TypeGuard[MeanClassifier]:
    """Whether the head takes one vector per text of the output of so many layers."""
    return isinstance(model, MeanClassifier) and layers == len(model.bert.layers)


def arranged(model: nn.Module, packed: Packed) -> Packed:
    """Return a batch as the encoder reads it: the texts of a pair may be sequences of their own."""
    return model.arrange(packed) if isinstance(model, MeanClassifier) else packed


def run_up_to(model: nn.Module, layers: int, batch: Batch) -> Tensor:
    """Return what the lowest layers leave: all tokens, and above the last what the head takes."""
    encoder = encoder_of(model)
    if pools(model, layers):
        return model.vectors(batch.packed)
    if layers == len(encoder.layers) and not reads_every_token(model):
        return encoder(batch.packed, batch.wanted)
    return encoder.up_to(layers, arranged(model, batch.packed))


def rows_of(model: nn.Module, layers: int, item: Item) -> int:
    """Return how many rows of `run_up_to` are of an item."""
    if pools(model, layers):
        return 1
    asked = layers == len(encoder_of(model).layers) and not reads_every_token(model)
    return len(item.positions if asked else item.input_ids)


class PrefixCache:
    """The output of a frozen prefix for each text, kept on the CPU.

    An objective that changes the input ids of a batch must drop its `computed` states; `fit` keeps
    no cache where a recipe brings its own objective. A text is known by its tokens, so an equal one
    is found whatever example it stands in, and the prefix by a digest of its weights (see `fits`).
    `layers` are those of the prefix above the embeddings.
    """

    def __init__(self, model: nn.Module, layers: int, items: Sequence[Item]):
        encoder = encoder_of(model)
        # Above the last layer only what the head takes is kept.
        self.whole = layers == len(encoder.layers) and not reads_every_token(model)
        self.layers = layers
        self.digest = self._digest(model)
        self.states: dict[Key, Tensor] = {}  # (rows of the text, width)
        needed = list({self._key(item): item for item in items}.values())
        device = next(encoder.parameters()).device
        modes = [(module, module.training) for module in encoder.modules()]
        encoder.eval()
        with torch.no_grad():
            for group in by_length(needed, TOKENS):
                chosen = [needed[i] for i in group]
                hidden = run_up_to(model, layers, to_device(make_batch(chosen), device)).cpu()
                parts = hidden.split([rows_of(model, layers, item) for item in chosen])
                self.states |= zip(map(self._key, chosen), parts)
        for module, training in modes:
            module.training = training

    def fits(self, model: nn.Module) -> bool:
        """Whether the states are those of this model: the same weights, read by the same head."""
        return self.digest == self._digest(model)

    def make_batch(self, items: Sequence[Item]) -> Batch:
        """Pack items into one batch on the CPU, with their states if all of them are kept."""
        return self.add_to(make_batch(items), items)

    def add_to(self, batch: Batch, items: Sequence[Item]) -> Batch:
        """Return the batch of `items` with its states, or as it is if one of them is not kept."""
        keys = [self._key(item) for item in items]
        if not all(key in self.states for key in keys):
            return batch
        hidden = torch.cat([self.states[key] for key in keys])
        return replace(batch, packed=replace(batch.packed, computed=Computed(self.layers, hidden)))

    def _key(self, item: Item) -> Key:
        asked = tuple(item.positions) if self.whole else ()
        return tuple(item.input_ids), tuple(item.segment_ids), asked

    def _digest(self, model: nn.Module) -> str:
        """Tell one prefix from another by all that its output depends on."""
        encoder, read = encoder_of(model), (type(model).__name__, self.layers)
        modules = (encoder.embeddings, *encoder.layers[: self.layers])
        about = repr((encoder.config, precision_of(model), *read))
        return digest(about, *(weights_digest(module) for module in modules))


def prefix_cache(model: nn.Module, items: Sequence[Item]) -> PrefixCache | None:
    """Return a cache for the frozen prefix of a model (see `select`), if there is one, and room."""
    layers = len(frozen_prefix(model)) - 1
    if layers < 0:
        return None
    rows = sum(rows_of(model, layers, item) for item in items)
    width = encoder_of(model).config.hidden_size * (model.parts if pools(model, layers) else 1)
    size = next(model.parameters()).element_size() * rows * width
    return PrefixCache(model, layers, items) if size <= LARGEST else None
