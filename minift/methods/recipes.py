"""Methods by name: what each puts into the slots of the loop.

Claim    A method is a few words ("bitfit", "freeze:3", "bitfit+adaptive"); each word fills one
         slot, and two words that would fill the same slot are refused.
Differs  Learning rates are one number a method (`RATES`), not tuned for each data set. Accuracy
         on SST-2's development split, MiniLM, 300 labels, one seed: full .813 at 5e-5, .809 at
         1e-4, .796 at 2e-4; BitFit .747 at 1e-3, .772 at 2e-3. The head's was not searched.
         BitFit wants steps: with 1,000 labels .785 after 189 of them, .844 after 756 (SST-2's test
         split, three seeds), where full fine-tuning has .844 after 189. See README.
Proof    tests/methods/test_recipes.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from minift.bert.names import encoder_suffix
from minift.errors import MiniftError, nearest
from minift.methods.adaptive import Adaptive, EarlyStopping
from minift.methods.bitfit import bitfit
from minift.methods.child_tuning import ChildTuningF, FixedMask, Order, candidates, select_child
from minift.methods.fast_fisher import fast_fisher
from minift.methods.freezing import freeze, head_only
from minift.methods.layerwise_decay import layerwise_scales
from minift.methods.random_masks import random_rows_columns, random_scalars
from minift.training.batches import Item
from minift.training.loop import (
    GradientRule,
    Recipe,
    Seeds,
    Settings,
    Team,
    everything,
    usual_objective,
)
from minift.training.schedules import Linear, Schedule
from minift.training.trapezoids import SlantedTriangular, hybrid, original, stable

# Few parameters need large steps. Everybody gets enough of them, however few the labels are:
# 8 epochs of 100 examples are 56 steps, and BitFit with 200 against full fine-tuning with 56
# would compare lengths, not methods.
RATES = {"full": 5e-5, "bitfit": 2e-3, "head": 1e-2}
STEP_FLOOR = 200


@dataclass(frozen=True)
class Word:
    """One word of a method's name.

    Args:
        slot: the slot of the loop that it fills.
        fill: puts it there; gets the recipe so far and what stands after ":".
        help: one line.
        paper: authors and year, "" for what is older than any of the papers here.
    """

    slot: str
    fill: Callable[[Recipe, str], Recipe]
    help: str
    paper: str = ""


def _full(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("full", argument)
    return replace(recipe, trainable=everything)


def _full_sqrt(recipe: Recipe, argument: str) -> Recipe:
    share = _number("full-sqrt", argument, "a share p in (0, 1]", 0, 1)
    rate = recipe.settings.learning_rate * math.sqrt(share)
    return replace(recipe, settings=replace(recipe.settings, learning_rate=rate))


def _head(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("head", argument)
    settings = replace(recipe.settings, learning_rate=RATES["head"])
    return replace(recipe, trainable=head_only(), settings=settings)


def _bitfit(recipe: Recipe, argument: str) -> Recipe:
    terms = tuple(argument.split(",")) if argument else None
    return replace(recipe, trainable=bitfit(terms), settings=_bitfit_settings(recipe))


def _bitfit_settings(recipe: Recipe) -> Settings:
    """As in the paper, dropout stays on also below the lowest bias that learns."""
    return replace(recipe.settings, learning_rate=RATES["bitfit"], prefix_dropout=True)


def _freeze(recipe: Recipe, argument: str) -> Recipe:
    layers = _whole("freeze", argument, "a number of layers: 3 next to the input, -3 the output")
    return replace(recipe, trainable=freeze(layers))


def _child_f(recipe: Recipe, argument: str) -> Recipe:
    share = _number("child-f", argument, "the share of gradients kept, in (0, 1]", 0, 1)

    def make(model: nn.Module, items: Sequence[Item], seeds: Seeds, team: Team) -> GradientRule:
        device = next(model.parameters()).device
        return ChildTuningF(share, torch.Generator(device).manual_seed(seeds.masks))

    return replace(recipe, gradients=make)


def _child_d(recipe: Recipe, argument: str) -> Recipe:
    number, _, word = argument.partition(",")
    share = _number("child-d", number, "the share of weights that learn, in (0, 1]", 0, 1)
    orders: dict[str, Order] = {"highest": "highest", "lowest": "lowest", "random": "random"}
    order = orders.get(word or "highest")
    if order is None:
        raise MiniftError(
            f'"child-d:{argument}": the child is chosen "highest", "lowest" or "random"'
            f"{nearest(word, orders)}"
        )

    def make(model: nn.Module, items: Sequence[Item], seeds: Seeds, team: Team) -> GradientRule:
        names = candidates(model)
        # of log p(y|x), whatever else the loss of this run may be
        scores = fast_fisher(model, items, usual_objective(model), names=names, team=team)
        generator = torch.Generator().manual_seed(seeds.masks)
        return FixedMask(select_child(scores, share, order, generator))

    return replace(recipe, gradients=make)


def _random_scalars(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("random-scalars", argument)

    def make(model: nn.Module, items: Sequence[Item], seeds: Seeds, team: Team) -> GradientRule:
        parameters = dict(model.named_parameters())
        biases = [name for name in bitfit()(model, 1) if encoder_suffix(name) is not None]
        count = sum(parameters[name].numel() for name in biases)
        masks = random_scalars(model, count, torch.Generator().manual_seed(seeds.masks))
        return FixedMask(masks)

    return replace(recipe, gradients=make, settings=_bitfit_settings(recipe))


def _random_rows(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("random-rows", argument)

    def make(model: nn.Module, items: Sequence[Item], seeds: Seeds, team: Team) -> GradientRule:
        masks = random_rows_columns(model, torch.Generator().manual_seed(seeds.masks))
        return FixedMask(masks)

    return replace(recipe, gradients=make, settings=_bitfit_settings(recipe))


def _layerwise(recipe: Recipe, argument: str) -> Recipe:
    decay = _number("layerwise", argument, "the factor between neighbouring layers", 0, 1)
    return replace(recipe, scales=lambda model: layerwise_scales(model, decay))


def _with_schedule(recipe: Recipe, make: Callable[[], Schedule], epochs: int | None) -> Recipe:
    """Give the recipe a schedule, and the exact number of epochs that belongs to it, if any."""
    settings = recipe.settings
    if epochs is not None:
        settings = replace(settings, epochs=epochs)
    return replace(recipe, schedule=make, settings=settings)


def _adaptive(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("adaptive", argument)
    return _with_schedule(recipe, Adaptive, Adaptive().epochs)


def _hybrid(recipe: Recipe, argument: str) -> Recipe:
    epochs = _whole("hybrid", argument or "20", "a number of epochs")
    return _with_schedule(recipe, lambda: hybrid(epochs), hybrid(epochs).epochs)


def _original(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("original", argument)
    return _with_schedule(recipe, original, original().epochs)


def _stable(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("stable", argument)
    return _with_schedule(recipe, stable, stable().epochs)


def _early_stopping(recipe: Recipe, argument: str) -> Recipe:
    patience = _whole("early-stopping", argument or "3", "a number of epochs to wait")
    return _with_schedule(recipe, lambda: EarlyStopping(patience, schedule=Linear()), None)


def _slanted(recipe: Recipe, argument: str) -> Recipe:
    _no_argument("slanted", argument)
    return _with_schedule(recipe, SlantedTriangular, None)


WORDS = {
    "full": Word(
        "trainable", _full, "all parameters learn: the baseline", paper="Devlin et al. (2019)"
    ),
    "full-sqrt": Word(
        "trainable", _full_sqrt, "full-sqrt:p, full at rate * sqrt(p): the control of child-f:p"
    ),
    "head": Word("trainable", _head, "only the classifier learns", paper="Ben Zaken et al. (2022)"),
    "bitfit": Word(
        "trainable",
        _bitfit,
        "biases and the classifier learn; bitfit:query,intermediate for some",
        paper="Ben Zaken et al. (2022)",
    ),
    "freeze": Word(
        "trainable",
        _freeze,
        "freeze:3 freezes 3 layers next to the input, freeze:-2 the output",
        paper="Griesshaber et al. (2020)",
    ),
    "child-f": Word(
        "gradients",
        _child_f,
        "child-f:p, a random share p of gradients each step",
        paper="Xu et al. (2021)",
    ),
    "child-d": Word(
        "gradients",
        _child_d,
        "child-d:p, the share p of weights with the highest Fisher scores; child-d:p,random "
        "and child-d:p,lowest are its controls",
        paper="Xu et al. (2021)",
    ),
    "random-scalars": Word(
        "gradients",
        _random_scalars,
        "as many scalars as BitFit moves, drawn at random: a control",
        paper="Ben Zaken et al. (2022)",
    ),
    "random-rows": Word(
        "gradients",
        _random_rows,
        "random rows or columns of each matrix: BitFit's other control",
        paper="Ben Zaken et al. (2022)",
    ),
    "layerwise": Word(
        "scales",
        _layerwise,
        "layerwise:0.9, smaller steps in lower layers",
        paper="Howard & Ruder (2018)",
    ),
    "adaptive": Word(
        "schedule",
        _adaptive,
        "the validation loss decides the number of epochs",
        paper="Stollenwerk (2022)",
    ),
    "hybrid": Word(
        "schedule",
        _hybrid,
        "hybrid:20, adaptive's curve over a fixed length",
        paper="Stollenwerk (2022)",
    ),
    "original": Word("schedule", _original, "5 epochs, linear decay", paper="Stollenwerk (2022)"),
    "stable": Word("schedule", _stable, "20 epochs, linear decay", paper="Mosbach et al. (2021)"),
    "early-stopping": Word("schedule", _early_stopping, "early-stopping:3, stop when it stalls"),
    "slanted": Word(
        "schedule", _slanted, "ULMFiT's slanted triangle", paper="Howard & Ruder (2018)"
    ),
}


def recipe(name: str) -> Recipe:
    """Return the method called `name`.

    Args:
        name: words of `WORDS` joined by "+"; a word may carry an argument after ":".

    Raises:
        MiniftError: if a word is unknown, has a wrong argument, or two fill the same slot.
    """
    result = Recipe(name, settings=Settings(learning_rate=RATES["full"], min_steps=STEP_FLOOR))
    filled: dict[str, str] = {}
    parts = [part.partition(":") for part in name.split("+")]
    for word, colon, argument in parts:
        if word not in WORDS:
            raise MiniftError(
                f'unknown method "{word}"{nearest(word, WORDS)} '
                f"(methods: {', '.join(WORDS)}; join them with +)"
            )
        part, slot = word + colon + argument, WORDS[word].slot
        if slot in filled:
            raise MiniftError(
                f'"{name}": {filled[slot]} and {part} both fill the slot "{slot}"; choose one'
            )
        filled[slot] = part
    # What learns sets the rate; a schedule may then set the epochs.
    order = ["trainable", "gradients", "scales", "schedule"]
    for word, _, argument in sorted(parts, key=lambda part: order.index(WORDS[part[0]].slot)):
        result = WORDS[word].fill(result, argument)
    return result


def _no_argument(word: str, argument: str) -> None:
    if argument:
        raise MiniftError(f'"{word}:{argument}": {word} takes nothing after ":"')


def _number(word: str, argument: str, meaning: str, above: float, most: float) -> float:
    try:
        value = float(argument)
    except ValueError:
        value = math.nan
    if not above < value <= most:
        raise MiniftError(
            f'"{word}:{argument}": expected {meaning}, e.g. {word}:0.3'
            if argument
            else f'"{word}" needs {meaning}, e.g. {word}:0.3'
        )
    return value


def _whole(word: str, argument: str, meaning: str) -> int:
    try:
        return int(argument)
    except ValueError:
        raise MiniftError(f'"{word}:{argument}": expected {meaning}, e.g. {word}:3') from None
