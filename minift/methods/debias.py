"""Upstream bias mitigation: two losses after which an encoder hangs less on who is spoken of.

Claim    `Occlusion` penalises what each word of a list changes in the logits: the mean square, with
         [MASK] for all its pieces. `Adversary` turns round the gradient of a small network that
         tells an attribute from what the head reads. Strength 0 is ordinary fine-tuning.
Paper    Jin et al. (2021), section 3, https://arxiv.org/abs/2010.12864; the reversal is that of
         Ganin & Lempitsky (2015), https://arxiv.org/abs/1409.7495.
Differs  - All logits count, not that of one class; squared, which is an option of their code. It
           masks the first piece only. Here a word ends where the tokenizer ends it: "women" is in
           "women's", not in "womenfolk"; "Women" is it as well if the encoder is uncased.
         - Texts with and without the word are read without dropout, whose masks would differ, too.
           The gradient goes through both.
         - The adversary learns at 100 times the rate of full, as there, whatever the method's; the
           norm that is clipped is without it. Its strength is constant, it does not know the class
           (their equal odds), and after training it is gone.
Proof    tests/methods/test_debias.py
Tutorial tutorials/13_neighbours
"""

import contextlib
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.heads import TokenClassifier
from minift.bert.masked_lm import initialise
from minift.bert.packing import to_device
from minift.data.examples import Example, gold_classes, is_labelled
from minift.data.files.lines import stream_text
from minift.data.files.readers import read_examples
from minift.data.named import EMBEDDED_SETS, SETS
from minift.errors import MiniftError
from minift.methods.mean_head import PairClassifier
from minift.training.batches import UNLABELLED, Batch, Item, make_batch
from minift.training.items import make_items
from minift.training.loop import ADVERSARY, Recipe, Seeds, everything, usual_objective

RATE = 5e-3  # of the adversary


@dataclass(frozen=True)
class Occlusion:
    """Fill the `objective` slot with the usual loss and a penalty for the words of a list."""

    words: tuple[str, ...]
    strength: float
    pairs: Mapping[int, list[tuple[Item, Item]]] = field(default_factory=dict)  # by example:
    # the text, and the text without one of the words; `prepare` makes them

    def __call__(self, model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
        """Return the loss of each target, plus the mean penalty of the texts."""
        losses = usual_objective(model)(model, batch, step, steps)
        pairs = [pair for example in batch.examples for pair in self.pairs.get(example, ())]
        if not pairs:
            return losses
        modes = [(module, module.training) for module in model.modules()]
        both = to_device(make_batch([item for side in zip(*pairs) for item in side]), losses.device)
        whole, without = model.eval()(both.packed, both.wanted).chunk(2)
        for module, training in modes:
            module.training = training
        changes = (whole - without).square().mean(1)  # by each word of each text
        return losses + self.strength * changes.sum() / len(batch.examples)

    def prepare(self, recipe: Recipe, tuned: Any, items: Sequence[Item], _: Seeds) -> Recipe:
        """Return the recipe with each text without each of its words.

        A MiniftError says if none stands in a training text, for tags, and for a head alone.
        """
        _judge(recipe, tuned.model)
        unknown, mask = tuned.tokenizer.unk_id, tuned.tokenizer.mask_id
        spelled = {tuple(e.input_ids[1:-1]) for e in tuned.tokenizer.encode(self.words)}
        words = sorted((word for word in spelled if unknown not in word), key=len, reverse=True)
        inside = {index for index, piece in tuned.tokenizer.vocabulary() if piece[:2] == "##"}
        pairs = {
            item.example: [(item, replace(item, input_ids=ids)) for ids in others]
            for item in items
            if (others := [*occluded(item.input_ids, words, inside, mask)])
        }
        if not pairs:
            what = f"none of the words to occlude ({', '.join(self.words[:3])}, ...) stands in the"
            where = f"{len(items)} training texts, as the encoder's vocabulary spells it"
            raise MiniftError(f"{what} {where}; give others")
        return replace(recipe, objective=replace(self, pairs=pairs))


def occluded(
    ids: list[int], words: Sequence[tuple[int, ...]], inside: Container[int], mask: int
) -> Iterator[list[int]]:
    """Yield `ids`, which end in [SEP], once per word in them, with `mask` for all its pieces.

    `words` are pieces, of which the first that fits is taken; no word ends before one of `inside`.
    """
    at = 0
    while at < len(ids):
        ends = (at + len(word) for word in words if tuple(ids[at : at + len(word)]) == word)
        end = next((end for end in ends if ids[end] not in inside), at)
        if end > at:
            yield [*ids[:at], *[mask] * (end - at), *ids[end:]]
        at = max(end, at + 1)


def reverse(values: Tensor, strength: float) -> Tensor:
    """Return `values`, whose gradient is multiplied by -strength on its way back."""
    turned = values.view_as(values)
    if turned.requires_grad:
        turned.register_hook(lambda gradient: -strength * gradient)
    return turned


@dataclass(frozen=True)
class Adversary:
    """Fill the `objective` slot with the usual loss and that of an adversary in the model."""

    examples: tuple[Example, ...]  # their labels are the attributes
    strength: float
    attributes: Mapping[int, int] = field(default_factory=dict)  # of each example: `prepare`
    reads_items: ClassVar[bool] = True

    def __call__(self, model: Any, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
        """Return the loss of each target, plus the adversary's mean loss."""
        vectors = model.vectors(batch.packed, batch.wanted)  # (texts, width)
        logits = model.classifier(model.dropout(vectors))
        losses = usual_objective(model)(cast(nn.Module, lambda *_: logits), batch, step, steps)
        told = model.get_submodule(ADVERSARY)(reverse(vectors, self.strength))
        known = torch.tensor([self.attributes[e] for e in batch.examples], device=told.device)
        wrong = F.cross_entropy(told, known, ignore_index=UNLABELLED, reduction="sum")
        return losses + wrong / len(batch.examples)

    def prepare(self, recipe: Recipe, tuned: Any, items: Sequence[Item], seeds: Seeds) -> Recipe:
        """Give the model an adversary; return the recipe with its rate, and the attributes.

        A MiniftError says if these texts have fewer than two attributes; and as `Occlusion` does.
        """
        _judge(recipe, tuned.model)
        values = sorted(set(gold_classes(self.examples)))
        apart = isinstance(tuned.model, PairClassifier)
        rows = make_items(self.examples, tuned.tokenizer, "classification", values, apart)
        known: dict[Any, Any] = {(*r.input_ids, None, *r.segment_ids): r.targets[0] for r in rows}
        read = {item.example: (*item.input_ids, None, *item.segment_ids) for item in items}
        attributes = {example: known.get(key, UNLABELLED) for example, key in read.items()}
        if len(met := {*attributes.values()} - {UNLABELLED}) < 2:
            what = "an adversary tells two attributes or more apart, and the file says of the"
            found = (
                f"{len(items)} training texts {''.join(values[one] for one in met) or 'nothing'}"
            )
            raise MiniftError(f"{what} {found}; give it those of these texts, or draw more")
        weight = next(tuned.model.parameters())
        first = to_device(make_batch(items[:1]), weight.device)
        width = tuned.model.vectors(first.packed, first.wanted).shape[1]
        network = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, len(values)))
        initialise(network, width**-0.5, torch.Generator().manual_seed(seeds.head))
        tuned.model.add_module(ADVERSARY, network.to(weight))

        def scales(model: nn.Module) -> dict[str, float]:
            found = recipe.scales(model) if recipe.scales else dict.fromkeys(everything(model), 1.0)
            own = RATE / recipe.settings.learning_rate
            return {n: own if n.startswith(ADVERSARY) else scale for n, scale in found.items()}

        return replace(recipe, objective=replace(self, attributes=attributes), scales=scales)


def debiased(word: str, argument: str) -> Occlusion | Adversary:
    """Return the objective for FILE,STRENGTH; FILE may be the name of a set that ships.

    For "occlusion" it has a word per line, for "adversary" columns of `read_examples` and one named
    attribute (the last row of a text counts). A MiniftError says if file or strength is faulty.
    """
    name, _, number = argument.rpartition(",")
    strength = math.nan
    with contextlib.suppress(ValueError):
        strength = float(number)
    if not name or not 0 <= strength < math.inf:
        expected = f"expected a file and a number from 0 up, e.g. {word}:FILE,0.1"
        raise MiniftError(f'"{word}:{argument}": {expected}')
    ours = f"{name}_words.txt" if word == "occlusion" else f"{name}_train.jsonl"
    path = SETS / ours if name in EMBEDDED_SETS else Path(name)
    if word == "occlusion":
        return Occlusion(tuple(line for _, line in stream_text(path) if line.strip()), strength)
    rows = read_examples(path, label="attribute", require_labels=False)
    if not (known := tuple(row for row in rows if is_labelled([row]))):
        raise MiniftError(f'{path}: no row has an attribute; the column for it is "attribute"')
    return Adversary(known, strength)


def _judge(recipe: Recipe, model: nn.Module) -> None:
    if isinstance(model, TokenClassifier) or recipe.solve == "after":
        why = "a head that is solved leaves them" if recipe.solve else "words are tagged here"
        raise MiniftError(f'"{recipe.name}" changes the vectors of texts, and {why}')
