"""Who takes part in a comparison, and on which examples: settled before the first run.

Claim    Whatever would stop a comparison half-way (a misspelt method, too many frozen layers,
         nothing left to train, no split to choose by) stops it here, by name.
Differs  Child-Tuning F at p never runs without full fine-tuning at rate * sqrt(p): Adam cancels
         the 1/p of its gradients, so its steps are about sqrt(p) of full ones, and the papers
         do not say what smaller steps alone would have done.
Proof    tests/compare/test_grid.py
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.bert.counts import Row
from minift.checkpoints.hub import pooling_of
from minift.checkpoints.strict import config_from_json
from minift.data.examples import Dataset, Example, gold_classes, has_pairs, is_labelled, texts_of
from minift.data.words import counted
from minift.errors import MiniftError
from minift.files import digest
from minift.methods.recipes import WORDS, recipe
from minift.runs.fit import rehearse
from minift.runs.tuned import Head, build, head_of
from minift.training.loop import EPOCHS, Recipe, Seeds

MOST_MEASURED = 1000  # labels
FEW_PER_CLASS = 10  # labels


def split_methods(text: str) -> list[str]:
    """Split "full,bitfit:query,intermediate,child-d:0.3,random" into its three methods.

    A comma also separates the arguments of a word. A piece that is no method is one more
    argument of the method before, if that takes it or knows something spelled almost so.
    """
    methods: list[str] = []
    for piece in filter(None, map(str.strip, text.split(","))):
        if methods and re.split("[:+]", piece)[0] not in WORDS and _belongs(methods[-1], piece):
            methods[-1] += f",{piece}"
        else:
            methods.append(piece)
    return methods


def _belongs(method: str, piece: str) -> bool:
    try:
        recipe(f"{method},{piece}")
    except MiniftError as error:
        return ":" in method and (piece[0] in "-.0123456789" or "did you mean" in str(error))
    return True


def first_choice(dataset: Dataset, encoder: str | Path, head: str | None = None) -> str:
    """Return the method for somebody who names none, by what was measured.

    Single texts and classes, and an encoder whose makers read the mean: `contrastive` was best, or
    level with the best, with 16 to 1,000 labels of sst2, reviews and ag_news, and the head alone
    with ten labels per class or fewer of Banking77 (tutorials/evidence). Pairs with a number, STS-B
    with 300 labels: correlation .91 from a solved head, else .84. Several labels per text, nlupp
    with 500: micro F1 .84 from a solved head, else .00. Others: `full`.
    """
    if dataset.task == "multilabel" or (dataset.task == "regression" and has_pairs(dataset)):
        return "full+start:probe" if not head and pooling_of(encoder) == "mean" else "full"
    if dataset.task != "classification" or has_pairs(dataset):
        return "full"
    if (head or head_of(encoder, dataset)) != "mean" or len(dataset.train) > MOST_MEASURED:
        return "full"
    counts = Counter(gold_classes(dataset.train))
    few = len(dataset.train) <= FEW_PER_CLASS * len(counts) and len(counts) > 2
    return "head" if few or min(counts.values()) < 3 else "contrastive"  # a fold may take one


def default_methods(dataset: Dataset, checkpoint: Path) -> list[str]:
    """Return the methods that a choice is between; half of the layers are frozen in one."""
    layers = config_from_json(checkpoint / "config.json", False).num_hidden_layers
    first = first_choice(dataset, checkpoint)
    return [*dict.fromkeys(["full", "head", "bitfit", f"freeze:{max(1, layers // 2)}", first])]


def control_of(name: str) -> str | None:
    """Return the method that a child-f must beat: all gradients at rate * sqrt(p)."""
    words = [word.partition(":") for word in name.split("+")]
    filled = any("trainable" in WORDS[word].slot for word, _, _ in words)  # full-sqrt's slot
    if filled or not any(word == "child-f" for word, _, _ in words):
        return None
    return "+".join(("full-sqrt" if w == "child-f" else w) + c + a for w, c, a in words)


def with_controls(methods: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the methods, each once, with missing controls, and a note on those; or refuse them."""
    names = list(dict.fromkeys(methods))
    if not names:
        raise MiniftError("there is no method to compare; name some, e.g. full,head,bitfit")
    for name in names:
        recipe(name)
    controls = {name: control_of(name) for name in names}
    notes = [
        f"{control} was added as the control of {name}: Adam cancels the 1/p, so that a step of "
        "Child-Tuning F is about sqrt(p) of a full one"
        for name, control in controls.items()
        if control and control not in names
    ]
    added = [control for control in controls.values() if control]
    return list(dict.fromkeys((*names, *added))), notes


def control_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return (method, control) pairs that are both among `names`."""
    pairs = [(name, control) for name in names if (control := control_of(name)) is not None]
    pairs += [(name, f"{name},{order}") for order in ("random", "lowest") for name in names]
    pairs += [("bitfit", "random-scalars"), ("bitfit", "random-rows")] * ("bitfit" in names)
    return [(name, control) for name, control in pairs if control in names]


def split_roles(dataset: Dataset, folds: int | None = None) -> tuple[Dataset, str, str]:
    """Say which examples are reported on and which may be chosen by; never the same ones.

    They are test and development split; without a labelled test split the halves of the latter,
    by a hash of each (first) text. With `folds`, the training split is reported on.
    Returns the data set with the selection split as `dev` and the reporting split as `test`, and a
    phrase for each; a MiniftError says if there is nothing to report on.
    """
    if folds:
        who = f"{folds} folds of the {len(dataset.train):,} training examples"
        return dataset, f"{who}, each by a model that has not seen them", "no examples"
    dev = dataset.dev if is_labelled(dataset.dev) else ()
    if is_labelled(dataset.test):
        chosen = f"the development split ({len(dev):,} examples)" if dev else "no examples"
        return replace(dataset, dev=dev), f"the test split ({len(dataset.test):,} examples)", chosen
    odd = [int(digest(texts_of(example)[0])[:2], 16) % 2 for example in dev]
    halves = [tuple(e for e, o in zip(dev, odd) if o == half) for half in (0, 1)]
    if not all(halves):
        raise MiniftError(
            f"{dataset.name} has {len(dataset.test)} test and {len(dev)} development examples "
            "with labels; give labelled examples to report on (--test)"
        )
    phrases = [f"{len(half):,} of {len(dev):,} development examples" for half in halves]
    data = replace(dataset, dev=halves[0], test=halves[1])
    return data, f"{phrases[1]} (there is no labelled test split)", f"the other {phrases[0]}"


def rehearse_all(
    data: Dataset,
    checkpoint: Path,
    methods: dict[str, Recipe],
    draws: dict[tuple[int, int], tuple[Example, ...]],
) -> dict[str, dict[str, Row]]:
    """Set every method up once, on a real model, and count what trains.

    It raises the MiniftError that would otherwise stop a run on one of the draws hours later.
    """
    seeds = Seeds.all(next(iter(draws))[1])
    tuned, counts = build(data, checkpoint, seeds), {}
    items = tuned.items(max(draws.values(), key=len))
    for name, method in methods.items():
        try:
            for draw in draws.values() if method.objective else ():
                rehearse(tuned, tuned.items(draw), method, seeds, bool(data.dev))
            counts[name] = rehearse(tuned, items, method, seeds, bool(data.dev))
        except MiniftError as error:
            raise MiniftError(f'method "{name}": {error}') from error
    return counts


def shown(method: Recipe, counts: dict[str, Row], head: Head) -> dict[str, Any]:
    """Return the columns of the settings table; a head that is solved has no rate and no steps."""
    settings = method.settings
    trains = {part: f"{row.learning:,}" for part, row in counts.items()}
    length = f"{EPOCHS} epochs, at least {settings.min_steps} steps"
    steps = {
        "learning rate": f"{settings.learning_rate:.2g}",
        "length": counted(settings.epochs, "epoch") if settings.epochs else length,
        "batch": f"{settings.batch_size}",
        "schedule": type(method.schedule()).__name__,
    }
    if method.solve == "after" and head != "cnn" and trains["all"] == trains["head"]:
        steps |= {**dict.fromkeys(steps, ""), "length": "solved"}
    return {
        **steps,
        **({} if settings.precision == "float32" else {"precision": settings.precision}),
        "trained": trains["all"],
        "in the head": trains["head"],
        "in embedding tables": trains["embeddings"],
    }
