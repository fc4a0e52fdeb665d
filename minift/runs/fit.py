"""The one path from a recipe to weights, which every command takes.

Claim    `fine_tune` with all that makes it faster applied from outside: states of a frozen prefix
         are computed once, only used rows of the word table are trained, several processes share
         a step. Nothing here changes what is learned, and no path can forget a slot. An objective
         of the recipe's own may read other tokens than the items hold, or read the word table, so
         with one the first two are left out, unless its `reads_items` says that it does not.
         Its `ready(model, items, labels)`, if it has one, returns what trains, or refuses; so does
         `prepare`, which returns the recipe and may add to the model what is there only to train.
         Where the recipe says so, the last layer is solved, not trained.
Proof    tests/runs/test_fit.py
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from minift.bert.counts import Row, by_kind, what_learns
from minift.bert.encoder import frozen_prefix
from minift.data.examples import Dataset
from minift.errors import MiniftError
from minift.methods.gradual import require_epochs
from minift.methods.solved_head import last_linear, solve
from minift.runs.evaluate import predict_logits
from minift.runs.processes import TEAM, own_seed, require_enough
from minift.runs.tuned import FineTuned, Head, build, head_of
from minift.speed.prefix import PrefixCache, prefix_cache
from minift.speed.rows import used_rows
from minift.training.batches import Item, make_batch
from minift.training.loop import ADVERSARY, History, Recipe, Seeds, Training, fine_tune, select
from minift.training.schedules import Linear


class Fitted(NamedTuple):
    """What `fit` leaves: the model that answers, what happened, and how many elements learned."""

    tuned: FineTuned
    history: History
    learned: int


def frozen_states(
    dataset: Dataset, encoder: str | Path, recipe: Recipe, head: Head | None,
    device: torch.device | str,
) -> PrefixCache | None:  # fmt: skip
    """Compute what frozen layers make of training and test texts, for all runs on some of them.

    None where no layer is frozen, the frozen ones have dropout, or memory is too small. They are
    those of a run alone but for rounding, which differs with the batches.
    """
    settings, head = recipe.settings, head or head_of(encoder, dataset, recipe)
    if settings.prefix_dropout:
        return None
    tuned = build(dataset, encoder, 0, device, head, settings.precision)
    # The fewer texts, the more epochs, in each of which other layers may learn.
    select(tuned.model, recipe.trainable, settings.epochs_for(1))
    return prefix_cache(tuned.model, tuned.items([*dataset.train, *dataset.test]))


def fit(
    tuned: FineTuned,
    items: Sequence[Item],
    recipe: Recipe,
    seeds: Seeds,
    *,
    asked: Sequence[Item] = (),
    validate: Callable[[FineTuned], tuple[float, float]] | None = None,
    watch: Callable[[Training], Iterable[object]] = iter,
) -> Fitted:
    """Train a model in place.

    Args:
        tuned: the model; its `cache`, if it has one, must be of its own weights.
        asked: items that it will be asked about repeatedly, so that frozen layers are computed
            for them, too.
        validate: returns (loss, headline score) on the development split.
    """
    model, settings = tuned.model, recipe.settings
    own = {name for name, _ in model.named_children()}
    recipe = prepared(tuned, items, recipe, seeds)
    as_given = recipe.objective is None or getattr(recipe.objective, "reads_items", False)
    if items:  # `fine_tune` refuses none
        require_enough(min(len(items), settings.batch_size))
    epochs = settings.epochs_for(len(items))
    require_epochs(recipe.trainable, model, epochs)
    learning = select(model, recipe.trainable, epochs)
    rule = recipe.gradients(model, items, seeds, TEAM) if recipe.gradients else None
    quiet = 0 if settings.prefix_dropout else len(frozen_prefix(model))
    if tuned.cache is None and quiet:
        known = [*items, *asked] if as_given else asked
        tuned = replace(tuned, cache=prefix_cache(model, known))
    elif (cache := tuned.cache) and not (cache.fits(model) and cache.layers < quiet):
        raise MiniftError(
            f"the states of {cache.layers} layers were computed with other weights, or not all of "
            f"them are frozen and without dropout ({max(0, quiet - 1)} are); compute them anew"
        )
    kept = [name for name in learning if not name.startswith(ADVERSARY)]
    learned = what_learns(model, kept, rule.learning if rule else None)["all"].learning
    last = last_linear(model) if recipe.solve else None
    if last is not None and _alone(last, learning, recipe):
        history = History(
            stopped=_solve(tuned, items, last, recipe), trained=tuple(learning), quiet=quiet
        )
        return Fitted(replace(tuned, quiet=quiet), history, learned)

    before = _solve(tuned, items, last, recipe) if last and recipe.solve == "before" else ""
    last = None if before else last

    def look(_: nn.Module) -> tuple[float, float]:
        if last is not None:
            _solve(tuned, items, last, recipe)
        assert validate is not None, "only called with one"
        return validate(tuned)

    recipe = replace(recipe, gradients=(lambda *_: rule) if rule else None)
    seeds = replace(seeds, dropout=own_seed(seeds.dropout))
    scored, batch = None if validate is None else look, tuned.make_batch if as_given else make_batch
    with used_rows(model, items, learning if as_given else (), rule):
        history = fine_tune(
            model, items, recipe, seeds, validate=scored, make_batch=batch, team=TEAM, watch=watch
        )
    _strip(model, own)
    if how := _solve(tuned, items, last, recipe) if last is not None else before:
        history.stopped += f"; {how}{' before' if before else ''}"
    return Fitted(replace(tuned, quiet=history.quiet), history, learned)


def prepared(tuned: FineTuned, items: Sequence[Item], recipe: Recipe, seeds: Seeds) -> Recipe:
    """Return the recipe with an objective that is ready for the items, or refuse these.

    What it needs to train may stand in the model afterwards.
    """
    if ready := getattr(recipe.objective, "ready", None):
        recipe = replace(recipe, objective=ready(tuned.model, items, tuned.labels))
    prepare = getattr(recipe.objective, "prepare", None)
    return prepare(recipe, tuned, items, seeds) if prepare else recipe


def _strip(model: nn.Module, own: set[str]) -> None:
    """Take away what stands in the model only to train."""
    for name in {name for name, _ in model.named_children()} - own:
        delattr(model, name)


def rehearse(
    tuned: FineTuned, items: Sequence[Item], recipe: Recipe, seeds: Seeds, validated: bool
) -> dict[str, Row]:
    """Refuse at once what `fit` would refuse, most of it by four items; count what would learn."""
    settings, model = recipe.settings, tuned.model
    settings = replace(settings, epochs=settings.epochs_for(len(items)))
    own = {name for name, _ in model.named_children()}
    recipe = replace(prepared(tuned, items, recipe, seeds), settings=settings)
    require_epochs(recipe.trainable, model, settings.epochs or 1)
    learning, rule = select(model, recipe.trainable, settings.epochs or 1), None
    last = last_linear(model) if recipe.solve else None
    if last is None or not _alone(last, learning, recipe):
        score = (lambda _: (0.0, 0.0)) if validated else None
        rule = Training(model, items[:4], recipe, seeds, score).rule
    _strip(model, own)
    return what_learns(model, learning, rule.learning if rule else None, by_kind)


def _alone(last: nn.Linear, learning: dict[str, nn.Parameter], recipe: Recipe) -> bool:
    """Return whether only the layer that is solved learns, and refuse what is for steps."""
    alone = {*map(id, learning.values())} <= {*map(id, last.parameters())}
    own = recipe.objective is not None and not hasattr(recipe.objective, "of_class")
    if alone and (own or recipe.gradients or recipe.scales or recipe.schedule is not Linear):
        raise MiniftError(
            f'"{recipe.name}": the head alone is solved, not trained in steps, so it has no '
            "gradients, rates, epochs or loss to change; take head without the other words"
        )
    return alone


def _solve(tuned: FineTuned, items: Sequence[Item], last: nn.Linear, recipe: Recipe) -> str:
    """Give the last layer its best weights for the encoder as it is; say in words how."""
    rows = predict_logits(tuned.model, items, make_batch=tuned.make_batch, vectors=True)
    asked = [(item.example, target) for item in items for target in item.targets]
    targets = torch.tensor([target for _, target in asked])
    groups = [example for example, _ in asked] if tuned.task == "tagging" else None
    of_class = getattr(recipe.objective, "of_class", None)
    weights = None if of_class is None else torch.tensor(of_class, dtype=torch.float64)
    solved = solve(torch.cat(rows), targets, len(last.bias), groups=groups, weights=weights)
    with torch.no_grad():
        last.weight.copy_(solved.weight)
        last.bias.copy_(solved.bias)
    fair = solved.folds and f"the best in {solved.folds}-fold cross-validation"
    return f"head solved with C = {solved.strength:.3g} ({fair or 'too few labels to choose it'})"
