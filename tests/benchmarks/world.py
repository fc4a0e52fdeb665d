"""What the rows work on: one checkpoint and the same texts for both sides, and the peers' loops.

Real figures: MiniLM with a classifier on top, sentences of SST-2 (set MINIFT_DATA). `shapes`:
random weights of an encoder's sizes and the embedded reviews, for a machine that has neither.
`quick`: a small random BERT and made-up texts, to see that every row runs; its times mean nothing.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from minift.bert.config import BertConfig
from minift.bert.dropout import Dropout
from minift.bert.heads import SequenceClassifier
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import to_device
from minift.checkpoints.weights import (
    hf_name,
    load_model,
    load_tokenizer,
    random_model,
    save_pretrained,
)
from minift.data.examples import TextExample
from minift.data.named import load_dataset
from minift.training.batches import Batch, Item, make_batch, shuffled
from minift.training.items import make_items
from minift.training.loop import Seeds, Settings, Trainable, cross_entropy, everything, select
from tests import tiny
from tests.benchmarks.common import matmul_rate, same

LABELS = ("negative", "positive")
BATCH = 16
SEEDS = Seeds.all(0)  # of both sides
Encoded = dict[str, Any]
# hidden, layers, heads and inner sizes of encoders: all that time depends on
SHAPES = {"minilm": (384, 6, 12, 1536), "bert-base": (768, 12, 12, 3072)}
SMALL = (32, 2, 4, 64)


def shaped(folder: Path, sizes: Sequence[int], words: int = 30_522) -> Path:
    """Write an encoder of random weights with `mini`'s tokenizer; return the folder."""
    hidden, layers, heads, inner = sizes
    config = BertConfig(
        vocab_size=words,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )
    model = random_model(MaskedLM, config, torch.Generator().manual_seed(0))
    save_pretrained(model, load_tokenizer("mini"), folder)
    return folder


@dataclass(frozen=True)
class World:
    """What a row is given.

    Args:
        scratch: folder for files.
        encoder: MiniLM, or another checkpoint; not read if `quick`.
        quick: everything tiny.
        rounds: how often each program is timed.
        device: where both sides compute; loading and the compact tagger stay on the processor.
        shapes: one of `SHAPES`, instead of an encoder and SST-2.
        attention: transformers' implementation; "" leaves it as it comes, which is sdpa.
    """

    scratch: Path
    encoder: str = "minilm"
    quick: bool = False
    rounds: int = 5
    device: str = "cpu"
    shapes: str = ""
    attention: str = ""

    def size(self, real: int, quick: int) -> int:
        """Return how much of something there is."""
        return quick if self.quick else real

    @cached_property
    def folder(self) -> Path:
        """A checkpoint of a classifier, which both sides load."""
        encoder: Path | str = self.encoder
        if self.shapes:
            encoder = shaped(self.scratch / "encoder", SMALL if self.quick else SHAPES[self.shapes])
        elif self.quick:
            encoder = tiny.checkpoint(self.scratch / "encoder")
        head = torch.Generator().manual_seed(0)
        model, _ = load_model(SequenceClassifier, encoder, LABELS, generator=head)
        folder = self.scratch / "classifier"
        save_pretrained(model, load_tokenizer(encoder), folder)
        return folder

    @cached_property
    def pool(self) -> list[TextExample]:
        """All texts there are, in a random order."""
        if self.quick and not self.shapes:
            return list(tiny.reviews(64).train)
        default = Path(__file__).resolve().parents[3] / "shared" / "data"
        if default.is_dir():
            os.environ.setdefault("MINIFT_DATA", str(default))
        data = load_dataset("reviews" if self.shapes else "sst2")
        found = [*data.train, *data.dev, *data.test]
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
        return [found[i] for i in order.tolist()]

    def examples(self, count: int) -> list[TextExample]:
        """Return so many texts; the pool again from its start where it is too small."""
        return [self.pool[i % len(self.pool)] for i in range(count)]

    def items(self, count: int) -> list[Item]:
        """Return texts as minift reads them."""
        tokenizer = load_tokenizer(self.folder)
        return make_items(self.examples(count), tokenizer, "classification", LABELS)

    def encoded(self, count: int) -> list[Encoded]:
        """Return the same texts as transformers reads them."""
        return [
            {**self.hf_tokenizer(e.text), "labels": LABELS.index(str(e.label))}
            for e in self.examples(count)
        ]

    @cached_property
    def hf_tokenizer(self):
        """Return transformers' tokenizer of the checkpoint."""
        return quiet_transformers().AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def collate(self) -> Callable[[Sequence[Encoded]], dict[str, torch.Tensor]]:
        """Dynamic padding, onto the device."""
        pad = quiet_transformers().DataCollatorWithPadding(self.hf_tokenizer)
        return lambda rows: pad(rows).to(self.device)

    def own(self) -> SequenceClassifier:
        """Return minift's model."""
        return load_model(SequenceClassifier, self.folder)[0].to(self.device)

    def reference(self) -> nn.Module:
        """Return transformers' model, in evaluation mode."""
        classes = quiet_transformers()
        model = classes.AutoModelForSequenceClassification.from_pretrained(
            self.folder, attn_implementation=self.attention or None
        )
        return model.eval().to(self.device)


def quiet_transformers():
    """Import transformers, which is slow and talkative; only rows that compare with it need it."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    return transformers


def settings(epochs: int = 1) -> Settings:
    """Return how both sides train."""
    return Settings(epochs=epochs, batch_size=BATCH, learning_rate=1e-5)


def orders(items: Sequence[Item], epochs: int) -> list[list[list[int]]]:
    """Return the batches (indices of `items`) of each epoch as `fine_tune` will draw them."""
    source = torch.Generator().manual_seed(SEEDS.order)
    place = {id(item): number for number, item in enumerate(items)}
    return [
        [[place[id(item)] for item in group] for group in shuffled(items, BATCH, source)]
        for _ in range(epochs)
    ]


def plain_loop(
    model: nn.Module,
    encoded: Sequence[Encoded],
    epochs: Sequence[Sequence[Sequence[int]]],
    collate: Callable,
    names: Sequence[str] | None = None,
) -> float:
    """Train as most people do it with transformers; return the mean loss.

    Args:
        model: transformers' model.
        encoded: texts.
        epochs: batches of each epoch, as indices.
        collate: pads a batch.
        names: parameters that learn, by transformers' names; None means all.
    """
    learning = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(names is None or name in names)
        if parameter.requires_grad:
            learning.append(parameter)
    optimizer = torch.optim.AdamW(learning, lr=1e-5)
    model.train()
    total = count = 0.0
    for order in epochs:
        loader = torch.utils.data.DataLoader(encoded, batch_sampler=order, collate_fn=collate)
        for batch in loader:
            optimizer.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            total += loss.item() * len(batch["labels"])
            count += len(batch["labels"])
    return total / count


def check_step(world: World, trainable: Trainable = everything) -> list[str]:
    """Make sure that both sides have the same loss, logits and gradient, dropout off.

    Returns:
        What learns, by transformers' names.
    """
    own, reference = world.own(), world.reference()
    parameters = select(own, trainable)
    names = [hf_name(name) for name in parameters]
    known = dict(reference.named_parameters())
    items, encoded = world.items(BATCH), world.encoded(BATCH)
    batch = to_device(make_batch(items), world.device)
    answer = reference(**world.collate(encoded))
    same("logits", own(batch.packed, batch.wanted).detach(), answer.logits.detach())
    loss = cross_entropy(own, batch).mean()
    same("loss", loss.item(), answer.loss.item())
    mine = torch.autograd.grad(loss, list(parameters.values()))
    theirs = torch.autograd.grad(answer.loss, [known[name] for name in names])
    for name, a, b in zip(names, mine, theirs):
        if name.endswith("key.bias"):  # exactly 0 by algebra, rounding errors in either
            continue
        same(f"gradient of {name}", a, b, 1e-2)
    return names


def without_dropout(model: nn.Module) -> nn.Module:
    """Return a copy that drops nothing, in training mode either."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.probability = 0.0
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def products_of(
    model: SequenceClassifier, batches: Sequence[Batch], trainable: Trainable | None
) -> int:
    """Count multiplications and additions in matrix products.

    Args:
        model: minift's; in evaluation mode its attention is one kernel, which is not counted.
        batches: what it reads.
        trainable: None for a forward pass; otherwise forward and backward, with this learning.
    """
    if trainable is not None:
        select(model, trainable)
    with FlopCounterMode(display=False) as counter:
        for batch in batches:
            batch = to_device(batch, next(model.parameters()).device)
            with torch.set_grad_enabled(trainable is not None):
                logits = model(batch.packed, batch.wanted)
            if trainable is not None:
                logits.sum().backward()
    return counter.get_total_flops()


def bound_rate(
    model: SequenceClassifier,
    tokens: int,
    backward: bool,
    quick: bool,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Measure bare products of a layer's sizes on a batch of `tokens`."""
    h, inner = model.config.hidden_size, model.config.intermediate_size
    linear = [(h, h)] * 4 + [(h, inner), (inner, h)]
    shapes = [(tokens, k, n) for k, n in linear]
    if backward:
        shapes += [(tokens, n, k) for k, n in linear] + [(k, tokens, n) for k, n in linear]
    device = next(model.parameters()).device
    return matmul_rate(shapes, 0.01 if quick else 0.5, device, dtype)
