"""The frozen prefix: below the lowest parameter that learns, everything is computed once.

Claim    Where the embeddings and the lowest layers are frozen, their output for a text is the
         same in every epoch. It is computed once and kept, and training gives the same weights
         as if it were computed each time.
Differs  For that, dropout in the prefix must be off. It would only add noise to features that
         cannot adapt to it; `Settings.prefix_dropout` switches it on, and the cache off.
Proof    tests/train/test_prefix.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from minift.bert.encoder import Bert
from minift.bert.heads import encoder_of, reads_every_token
from minift.bert.packing import Computed
from minift.data.batches import Batch, Item, by_length, make_batch

LARGEST = 2 * 2**30  # bytes of hidden states that may be kept in memory
TOKENS = 2048  # of a batch while the states are computed


def quiet_prefix(model: nn.Module, trainable_names: Iterable[str]) -> list[nn.Module]:
    """Return the modules wholly below the lowest parameter that learns.

    Args:
        model: a `Bert`, or a model that holds one as `bert`.
        trainable_names: parameters of `model` that learn.

    Returns:
        The embeddings and the lowest layers, as far up as nothing learns; [] if the embeddings
        learn or the model holds no `Bert`.
    """
    encoder = getattr(model, "bert", model)
    if not isinstance(encoder, Bert):
        return []
    parameters = dict(model.named_parameters())
    learning = {id(parameters[name]) for name in trainable_names}
    prefix: list[nn.Module] = []
    for module in (encoder.embeddings, *encoder.layers):
        if any(id(parameter) in learning for parameter in module.parameters()):
            break
        prefix.append(module)
    return prefix


def quiet(modules: Iterable[nn.Module]) -> None:
    """Switch off dropout in `modules`; call it after each `model.train()`."""
    for module in modules:
        module.eval()


class PrefixCache:
    """The output of a frozen prefix for each training input, kept on the CPU.

    Args:
        model: a model that holds a `Bert` as `bert`.
        layers: layers of the prefix above the embeddings.
        items: the inputs, whose states are computed here with dropout off.
    """

    def __init__(self, model: nn.Module, layers: int, items: Sequence[Item]):
        encoder = encoder_of(model)
        # Above the last layer only the tokens that the head reads are kept.
        self.whole = layers == len(encoder.layers) and not reads_every_token(model)
        self.layers = layers
        self.states: dict[int, Tensor] = {}  # id of the item -> (tokens, hidden)
        device = next(model.parameters()).device
        modes = [(module, module.training) for module in encoder.modules()]
        encoder.eval()
        with torch.no_grad():
            for group in by_length(items, TOKENS):
                chosen = [items[i] for i in group]
                batch = make_batch(chosen).to(device)
                if self.whole:
                    hidden = encoder(batch.packed, batch.wanted)
                else:
                    hidden = encoder.hidden_states(batch.packed, layers)[-1]
                rows = [self.rows(item) for item in chosen]
                for item, state in zip(chosen, hidden.cpu().split(rows)):
                    self.states[id(item)] = state
        for module, training in modes:
            module.training = training

    def rows(self, item: Item) -> int:
        """How many states are kept of an item."""
        return len(item.positions if self.whole else item.input_ids)

    def add_to(self, batch: Batch, items: Sequence[Item]) -> Batch:
        """Return the batch of `items` with its states filled in."""
        hidden = torch.cat([self.states[id(item)] for item in items])
        return replace(batch, packed=replace(batch.packed, computed=Computed(self.layers, hidden)))


def prefix_cache(
    model: nn.Module, trainable_names: Iterable[str], items: Sequence[Item]
) -> PrefixCache | None:
    """Return a cache for the frozen prefix; None if there is no prefix or it would not fit."""
    prefix = quiet_prefix(model, trainable_names)
    if not prefix or not hasattr(model, "bert"):
        return None
    tokens = sum(len(item.input_ids) for item in items)
    if tokens * encoder_of(model).config.hidden_size * 4 > LARGEST:
        return None
    return PrefixCache(model, len(prefix) - 1, items)
