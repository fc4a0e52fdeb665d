"""Methods by name: what each puts into the slots of the loop.

Claim    A method is a few words ("bitfit", "freeze:3", "bitfit+adaptive"); each word fills one
         slot, and two words that would fill the same slot are refused.
Differs  Learning rates are one number per kind of method (`RATES`, or rates.json in the encoder's
         folder), not tuned for each data set. Accuracy on SST-2's development split, MiniLM, 300
         labels, one seed: full .813 at 5e-5, .809 at 1e-4, .796 at 2e-4; BitFit .747 at 1e-3, .772
         at 2e-3. The head's was not searched. BitFit wants more steps than others: see
         tutorials/evidence.
Proof    tests/methods/test_recipes.py
"""

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from minift.bert.names import encoder_suffix
from minift.checkpoints.hub import resolve
from minift.checkpoints.limits import read_json
from minift.errors import MiniftError, require, require_known
from minift.methods.adaptive import Adaptive, AdaptiveSettings, early_stopping
from minift.methods.bitfit import bitfit
from minift.methods.child_tuning import ORDERS, ChildTuningF, FixedMask, candidates, select_child
from minift.methods.class_weights import weighted
from minift.methods.contrastive import Contrastive, cosine_pairs, supervised_contrastive
from minift.methods.debias import debiased
from minift.methods.fgm import Fgm
from minift.methods.fisher import fisher
from minift.methods.freezing import freeze, head_only
from minift.methods.gradual import gradual
from minift.methods.heated import Heated
from minift.methods.layerwise_decay import layerwise_scales
from minift.methods.random_masks import random_rows_columns, random_scalars
from minift.training.loop import Recipe, Settings, everything, usual_objective
from minift.training.schedules import Linear
from minift.training.trapezoids import SlantedTriangular, Trapezoid

# Few parameters need large steps. Everybody gets enough of them, however few the labels are:
# 8 epochs of 100 examples are 56 steps, and BitFit with 200 against full fine-tuning with 56
# would compare lengths, not methods.
RATES = {"full": 5e-5, "bitfit": 2e-3, "head": 1e-2}
STEP_FLOOR = 200
CONTRASTIVE_STEPS = 120  # of 16 texts and their 120 pairs; twice as many bring nothing
Fill: TypeAlias = "Callable[[Recipe, str], Recipe]"
Draw: TypeAlias = "Callable[[nn.Module, torch.Generator], dict[str, Tensor]]"  # masks
SHARE = "a number in (0, 1], e.g. {0}:0.3"
LAYERS = "a number of layers: {0}:3 next to the input, {0}:-3 the output"


class Word(NamedTuple):
    """One word of a method's name."""

    slot: str  # of the loop, which it fills; or several, with ", " between
    paper: str  # authors and year, "" for what is older than any of the papers here
    form: str | None  # of what stands after ":"; "": `fill` says what is wrong; None: nothing may
    fill: Fill  # puts it there; gets the recipe so far and what stands after ":"
    help: str  # one line
    rate: str  # the kind of learning rate that it wants, of `RATES`; "" leaves that of others


WORDS: dict[str, Word] = {}


def _word(slot: str, paper: str, form: str | None = None, rate: str = "") -> Callable[[Fill], Fill]:
    """Enter a function into the table, under its own name; its docstring is the help."""

    def enter(fill: Fill) -> Fill:
        name = fill.__name__.strip("_").replace("_", "-")
        WORDS[name] = Word(slot, paper, form, fill, (fill.__doc__ or "").rstrip("."), rate)
        return fill

    return enter


@_word("trainable", "Devlin et al. (2019)")
def _full(recipe: Recipe, _: str) -> Recipe:
    """All parameters learn: the baseline."""
    return replace(recipe, trainable=everything)


@_word("trainable", "", SHARE)
def _full_sqrt(recipe: Recipe, argument: str) -> Recipe:
    """full-sqrt:p, full at rate * sqrt(p): the control of child-f:p."""
    factor = math.sqrt(_share(argument))
    return _set(recipe, learning_rate=recipe.settings.learning_rate * factor)


@_word("trainable", "Ben Zaken et al. (2022)", rate="head")
def _head(recipe: Recipe, _: str) -> Recipe:
    """Only the classifier learns: solved, not trained (but for the cnn head)."""
    return replace(recipe, trainable=head_only(), solve="after")


@_word("trainable", "Ben Zaken et al. (2022)", "", rate="bitfit")
def _bitfit(recipe: Recipe, argument: str) -> Recipe:
    """Biases and the classifier learn; bitfit:query,intermediate for some."""
    terms = tuple(argument.split(",")) if argument else None
    # As in the paper, dropout stays on also below the lowest bias that learns.
    return replace(_set(recipe, prefix_dropout=True), trainable=bitfit(terms))


@_word("trainable", "Griesshaber et al. (2020)", LAYERS)
def _freeze(recipe: Recipe, argument: str) -> Recipe:
    """freeze:3 freezes 3 layers next to the input, freeze:-2 the output."""
    return replace(recipe, trainable=freeze(int(argument)))


@_word("trainable", "Howard & Ruder (2018)")
def _gradual(recipe: Recipe, _: str) -> Recipe:
    """The head learns first, then one layer more per epoch, from the top."""
    return replace(recipe, trainable=gradual)


@_word("trainable, scales, schedule", "Howard & Ruder (2018)")
def _ulmfit(recipe: Recipe, _: str) -> Recipe:
    """Gradual, layerwise:0.385 and slanted together."""
    return _slanted(_layerwise(_gradual(recipe, ""), "0.385"), "")


@_word("gradients", "Xu et al. (2021)", SHARE)
def _child_f(recipe: Recipe, argument: str) -> Recipe:
    """child-f:p, a random share p of gradients each step."""
    share = _share(argument)
    return replace(
        recipe,
        gradients=lambda model, items, seeds, team: ChildTuningF(
            share, torch.Generator(next(model.parameters()).device).manual_seed(seeds.masks)
        ),
    )


@_word("gradients", "Xu et al. (2021)", SHARE)
def _child_d(recipe: Recipe, argument: str) -> Recipe:
    """child-d:p, the weights with the highest Fisher scores; controls: p,random and p,lowest."""
    number, _, word = argument.partition(",")
    share, order = _share(number), word or "highest"
    require_known("order of child-d", order, ORDERS)

    def select(scores: dict[str, Tensor], seed: int) -> FixedMask:
        return FixedMask(select_child(scores, share, order, torch.Generator().manual_seed(seed)))

    return replace(
        recipe,
        gradients=lambda model, items, seeds, team: select(
            # of log p(y|x), whatever else the loss of this run may be
            fisher(model, items, usual_objective(model), names=candidates(model), team=team),
            seeds.masks,
        ),
    )


@_word("gradients", "Ben Zaken et al. (2022)", rate="bitfit")
def _random_scalars(recipe: Recipe, _: str) -> Recipe:
    """As many scalars as BitFit moves, drawn at random: a control."""

    def draw(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        parameters = dict(model.named_parameters())
        biases = [name for name in bitfit()(model, 1) if encoder_suffix(name) is not None]
        count = sum(parameters[name].numel() for name in biases)
        return random_scalars(model, count, generator)

    return _with_masks(recipe, draw)


@_word("gradients", "Ben Zaken et al. (2022)", rate="bitfit")
def _random_rows(recipe: Recipe, _: str) -> Recipe:
    """Random rows or columns of each matrix: BitFit's other control."""
    return _with_masks(recipe, random_rows_columns)


@_word("objective", "Tunstall et al. (2022)", "")
def _contrastive(recipe: Recipe, argument: str) -> Recipe:
    """Texts of one class side by side, then head's solution; contrastive:supervised."""
    losses = {"": cosine_pairs, "supervised": supervised_contrastive}
    require_known("loss of contrastive", argument, losses)
    recipe = _set(recipe, min_steps=CONTRASTIVE_STEPS)
    return replace(recipe, objective=Contrastive(losses[argument]), solve="after")


@_word("objective", "King & Zeng (2001)", "")
def _weighted(recipe: Recipe, argument: str) -> Recipe:
    """Errors on rare classes cost more; weighted:FILE, a CSV of class and weight."""
    return replace(recipe, objective=weighted(argument))


@_word("objective", "Zhang et al. (2018)", "")
def _heated(recipe: Recipe, argument: str) -> Recipe:
    """heated:4,1,0.5, a softmax of alpha * logits, by phase; 16,4,normalised for unit logits."""
    alphas = (argument or "4,1,0.5").removesuffix(unit := ",normalised")
    with contextlib.suppress(ValueError, MiniftError):
        numbers = tuple(map(float, alphas.split(",")))
        return replace(recipe, objective=Heated(numbers, argument.endswith(unit)))
    form = "a positive number per phase, e.g. heated:4,1,0.5 or heated:16,4,normalised"
    raise MiniftError(f'"heated:{argument}": expected {form}')


@_word("objective", "Miyato et al. (2017)", "")
def _fgm(recipe: Recipe, argument: str) -> Recipe:
    """fgm:0.5, also when word vectors (also frozen ones) moved by that norm per text."""
    with contextlib.suppress(ValueError, MiniftError):
        return replace(recipe, objective=Fgm(float(argument or 0.5)))
    raise MiniftError(f'"fgm:{argument}": expected a norm from 0 up, e.g. fgm:0.5')


@_word("objective", "Jin et al. (2021)", "")
def _occlusion(recipe: Recipe, argument: str) -> Recipe:
    """occlusion:FILE,0.1, answers may not hang on the words in it."""
    return replace(recipe, objective=debiased("occlusion", argument))


@_word("objective", "Jin et al. (2021)", "")
def _adversary(recipe: Recipe, argument: str) -> Recipe:
    """adversary:FILE,0.1, vectors may not tell the column attribute of a text."""
    return replace(recipe, objective=debiased("adversary", argument))


@_word("start", "Kumar et al. (2022)", "")
def _start(recipe: Recipe, argument: str) -> Recipe:
    """start:probe, from head's solution instead of a random head."""
    require_known("start", argument, ["probe"])
    return replace(recipe, solve="before")


@_word("scales", "Howard & Ruder (2018)", SHARE)
def _layerwise(recipe: Recipe, argument: str) -> Recipe:
    """layerwise:0.9, smaller steps in lower layers."""
    decay = _share(argument)
    return replace(recipe, scales=lambda model: layerwise_scales(model, decay))


@_word("schedule", "Stollenwerk (2022)")
def _adaptive(recipe: Recipe, _: str) -> Recipe:
    """The validation loss decides the number of epochs."""
    return replace(_set(recipe, epochs=AdaptiveSettings().max_epochs), schedule=Adaptive)


@_word("schedule", "Stollenwerk (2022)", "a number of epochs, e.g. {0}:20")
def _hybrid(recipe: Recipe, argument: str) -> Recipe:
    """hybrid:20, adaptive's curve over a fixed length."""
    return _with_trapezoid(recipe, int(argument or 20), 7)


@_word("schedule", "Stollenwerk (2022)")
def _original(recipe: Recipe, _: str) -> Recipe:
    """5 epochs, linear decay."""
    return _with_trapezoid(recipe, 5)


@_word("schedule", "Mosbach et al. (2021)")
def _stable(recipe: Recipe, _: str) -> Recipe:
    """20 epochs, linear decay."""
    return _with_trapezoid(recipe, 20)


@_word("schedule", "", "a number of epochs to wait, e.g. {0}:3")
def _early_stopping(recipe: Recipe, argument: str) -> Recipe:
    """early-stopping:3, stop when it stalls."""
    patience = int(argument or 3)
    return replace(recipe, schedule=lambda: early_stopping(patience, Linear()))


@_word("schedule", "Howard & Ruder (2018)")
def _slanted(recipe: Recipe, _: str) -> Recipe:
    """ULMFiT's slanted triangle."""
    return replace(recipe, schedule=SlantedTriangular)


def _set(recipe: Recipe, **settings: Any) -> Recipe:
    return replace(recipe, settings=replace(recipe.settings, **settings))


def _share(argument: str) -> float:
    if not 0 < (share := float(argument)) <= 1:
        raise ValueError
    return share


def _with_masks(recipe: Recipe, draw: Draw) -> Recipe:
    """Let what is drawn once learn, as BitFit lets biases."""
    return replace(
        _set(recipe, prefix_dropout=True),
        gradients=lambda model, items, seeds, team: FixedMask(
            draw(model, torch.Generator().manual_seed(seeds.masks))
        ),
    )


def _with_trapezoid(recipe: Recipe, epochs: int, cooldown: int | None = None) -> Recipe:
    make = partial(Trapezoid, epochs, cooldown_epochs=cooldown)
    make()  # it judges the number of epochs
    return replace(_set(recipe, epochs=epochs), schedule=make)


def rates_of(encoder: str | Path) -> dict[str, float]:
    """Return the learning rates that suit an encoder: `RATES`, or what its rates.json has instead.

    A MiniftError says if that has another key, or not a positive number.
    """
    file = resolve(encoder) / "rates.json"
    own = read_json(file) if file.is_file() else {}
    for kind, rate in own.items():
        require_known(f"rate in {file}:", kind, RATES)
        good = type(rate) in (int, float) and 0 < rate <= sys.float_info.max
        require(good, f"{file}: {kind}", rate, "a positive number")
    return {**RATES, **own}


def recipe(name: str | Recipe, encoder: str | Path | None = None) -> Recipe:
    """Return the method called `name`.

    Args:
        name: words of `WORDS` joined by "+", perhaps with an argument after ":"; or a `Recipe`.
        encoder: whose learning rates to take (see `rates_of`); None takes `RATES`.

    A MiniftError says if a word is unknown, has a wrong argument, or two fill the same slot.
    """
    if isinstance(name, Recipe):
        return name
    require(isinstance(name, str), "the method", name, 'a Recipe, or a name such as "bitfit"')
    filled: dict[str, str] = {}
    parts = [part.partition(":") for part in name.split("+")]
    for word, colon, argument in parts:
        require_known("method", word, WORDS)
        part = word + colon + argument
        if argument and WORDS[word].form is None:
            raise MiniftError(f'"{part}": {word} takes nothing after ":"')
        for slot in WORDS[word].slot.split(", "):
            if slot in filled:
                both = f'{filled[slot]} and {part} both fill the slot "{slot}"'
                raise MiniftError(f'"{name}": {both}; choose one')
            filled[slot] = part
    rates = RATES if encoder is None else rates_of(encoder)
    result = Recipe(name, settings=Settings(learning_rate=rates["full"], min_steps=STEP_FLOOR))
    solves = [word for word, *_ in parts if word in ("head", "contrastive", "start")]
    if len(solves) > 1:
        raise MiniftError(
            f'"{name}": {" and ".join(solves)} both say what becomes of the head; choose one'
        )
    if "contrastive" in solves and filled.get("trainable") in ("gradual", "ulmfit"):
        what = f'"{name}": {filled["trainable"]} begins with the head alone, and contrastive does'
        raise MiniftError(f"{what} not train it; choose one")
    # What learns sets the rate; a schedule may then set the epochs.
    order = ["trainable", "objective", "start", "gradients", "scales", "schedule"]
    first = {word: order.index(WORDS[word].slot.split(", ")[0]) for word, *_ in parts}
    for word, _, argument in sorted(parts, key=lambda part: first[part[0]]):
        if kind := WORDS[word].rate:
            result = _set(result, learning_rate=rates[kind])
        try:
            result = WORDS[word].fill(result, argument)
        except MiniftError:
            raise
        except ValueError:
            form = str(WORDS[word].form).format(word)
            raise MiniftError(f'"{word}:{argument}": expected {form}') from None
    return result
