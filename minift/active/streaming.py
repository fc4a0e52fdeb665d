"""MC dropout over a pool of any size, by a model that knows how it was trained.

Claim    One chunk of texts is in memory at a time. By default dropout samples from the lowest
         site upwards that had dropout in training: where layers were frozen, training ran them
         without dropout, and noise that was never trained with would swamp the disagreement that
         labels can settle.
Proof    tests/active/test_mc_dropout.py
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from minift.active.mc_dropout import Layers, mc_logits
from minift.bert.encoder import encoder_of
from minift.data.examples import Example, TaggedExample
from minift.errors import MiniftError
from minift.runs.tuned import FineTuned

CHUNK = 1024  # texts held in memory at a time


def where_trained(tuned: FineTuned) -> Layers:
    """Return the `layers` of `mc_logits` in which a model had dropout in training."""
    if tuned.quiet == 0:
        return "all"
    return len(encoder_of(tuned.model).layers) + 1 - tuned.quiet or "head"


def mc_stream(
    tuned: FineTuned,
    examples: Iterable[Example],
    passes: int,
    layers: Layers = "trained",
    seed: int = 0,
    consistent: bool = False,
) -> Iterator[tuple[list[Example], list[Tensor]]]:
    """Yield at most `CHUNK` examples at a time, and for each its probabilities in float64.

    They are (passes, 1, labels) for a text, (passes, words, labels) for a sentence, (passes,
    labels, 2) of not having and having each label where a text has any number. Arguments are as for
    `mc_logits`; labels are not read. MiniftError if the model does regression, which has no
    classes.
    """
    if tuned.task == "regression":
        raise MiniftError("MC dropout scores classes; this model predicts a number")
    layers = where_trained(tuned) if layers == "trained" else layers
    stream = iter(examples)
    while chunk := list(islice(stream, CHUNK)):
        bare = [
            replace(e, tags=None) if isinstance(e, TaggedExample) else replace(e, label=None)
            for e in chunk
        ]
        items = tuned.items(bare)
        logits = mc_logits(tuned.model, items, passes, layers, seed, consistent, cache=tuned.cache)
        parts: list[list[Tensor]] = [[] for _ in chunk]  # a long sentence has several
        for item, part in zip(items, logits):
            if tuned.task == "multilabel":  # each label is a question of its own: no, or yes
                part = torch.cat([torch.zeros_like(part), part], dim=1).transpose(1, 2)
            parts[item.example].append(part.double().softmax(-1))
        yield chunk, [torch.cat(windows, dim=1) for windows in parts]


def mc_predict(
    tuned: FineTuned,
    examples: Iterable[Example],
    passes: int,
    layers: Layers = "trained",
    seed: int = 0,
    consistent: bool = False,
) -> Tensor:
    """Return the probabilities (passes, texts, classes) of a classifier; see `mc_stream`."""
    if tuned.task in ("tagging", "multilabel"):
        raise MiniftError(f"{tuned.task} has no one class per text to be stacked; use mc_stream")
    stream = mc_stream(tuned, examples, passes, layers, seed, consistent)
    none = torch.empty(passes, 0, len(tuned.labels), dtype=torch.float64)
    return torch.cat([none, *(row for _, rows in stream for row in rows)], dim=1)
