"""Condenser: masked-LM pretraining that makes the late layers pour a text into [CLS].

Claim    A throw-away head guesses hidden words from [CLS] of the last layer and all other tokens of
         an early one. So the late layers reach it through [CLS] alone, and must put there what it
         lacks about the whole text. Without the head the encoder is plain BERT.
Paper    Gao & Callan (2021), "Condenser: a Pre-training Architecture for Dense Retrieval",
         https://arxiv.org/abs/2104.08253, and its code, https://github.com/luyug/Condenser.
Differs  - The late layers' own masked-LM loss is always added (in the code an option, which the
           published command sets): without it a small encoder forgets words.
         - Early is half of the layers, rounded down (6 of 12 there). The head starts as BERT does.
         - masking.py hides words; the code cuts long texts at other places for ids and targets.
Proof    tests/pretraining/test_condenser.py
Tutorial tutorials/13_neighbours
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.encoder import Layer
from minift.bert.masked_lm import MaskedLM, initialise
from minift.bert.packing import Computed, Packed
from minift.errors import require
from minift.training.batches import Batch, labelled


class Condenser(nn.Module):
    """A masked LM, which remains, with a head of two layers.

    `skip_from` is the layer, from 1 up, of which all tokens but [CLS] are read; None is half of
    all. A MiniftError says if there is no such layer. `seed` draws the head.
    """

    def __init__(self, model: MaskedLM, skip_from: int | None = None, seed: int = 0):
        super().__init__()
        depth = model.config.num_hidden_layers
        self.early = max(1, depth // 2) if skip_from is None else skip_from
        require(self.early in range(1, depth + 1), "skip_from", skip_from, f"from 1 to {depth}")
        self.model = model
        self.head = nn.ModuleList(Layer(model.config) for _ in range(2))
        generator = torch.Generator().manual_seed(seed)
        initialise(self.head, model.config.initializer_range, generator)

    def condense(self, early: Tensor, late: Tensor, packed: Packed) -> Tensor:
        """Return what the head reads (tokens, hidden): [CLS] of `late`, all others of `early`."""
        first = packed.first_tokens()
        return early.index_copy(0, first.indices, first.of(late))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the parts of the loss: that of the last layer, and that of the head."""
        packed, bert, wanted = batch.packed, self.model.bert, batch.wanted
        early = bert.up_to(self.early, packed)
        halfway = replace(packed, computed=Computed(self.early, early))
        late = bert.up_to(len(bert.layers), halfway)
        hidden = self.head[0](self.condense(early, late, packed), packed.layout)
        hidden = self.head[1](hidden, packed.layout, wanted)
        found = {"masked_lm": wanted.of(late), "condenser": hidden}
        return {name: self._loss(states, batch) for name, states in found.items()}

    def _loss(self, hidden: Tensor, batch: Batch) -> Tensor:
        """Return the mean of -log p(piece) where there is a target, 0 where there is none."""
        top = Computed(len(self.model.bert.layers), hidden)  # only the masked LM's head is computed
        logits = self.model(replace(batch.packed, computed=top), batch.wanted).float()
        total = F.cross_entropy(logits, batch.targets, reduction="sum")
        return total / labelled(batch.targets).sum().clamp(min=1)
