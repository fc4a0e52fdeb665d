"""One round of active learning: train on what is labelled, score the rest, ask.

Claim    A round is `Learner.fit`, then `choose`. Each round starts from the pretrained weights and
         takes a number of steps that was fixed beforehand, so no label is used that the budget
         does not count. The score of a sentence is the mean of its words', which does not prefer
         long ones; that of a text with several labels is the mean of its labels', each a yes or no.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, sections 3 and 4.
Differs  - The paper does not state whether each round starts anew; here it does.
         - Only BALD and BatchBALD need several passes; the others read the plain prediction.
Proof    tests/active/test_loop.py
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from minift.active import acquisition
from minift.active.acquisition import Score, batch_bald
from minift.active.advice import Look
from minift.active.mc_dropout import Layers
from minift.active.streaming import mc_stream
from minift.data.examples import Dataset, Example, TaggedExample, Task, gold_labels, gold_tags
from minift.errors import MiniftError, require, require_known
from minift.methods.recipes import recipe as named_recipe
from minift.runs.fit import fit, frozen_states
from minift.runs.tuned import FineTuned, Head, build, head_of
from minift.speed.prefix import PrefixCache
from minift.training.loop import Recipe, Seeds, Settings

SCORES: dict[str, Score] = {
    "least_confidence": acquisition.least_confidence,
    "margin": acquisition.margin,
    "entropy": acquisition.entropy,
    "bald": acquisition.bald,
}
STRATEGIES = ("random", *SCORES, "batch_bald")
WATCHED = 500  # texts on which models of different rounds are compared, for the advice


@dataclass(frozen=True)
class Asking:
    """How the next texts are chosen."""

    strategy: str = "bald"  # one of `STRATEGIES`
    passes: int = 10  # of MC dropout, for BALD and BatchBALD
    layers: Layers = "trained"  # in which it samples (see `mc_stream`)

    def __post_init__(self) -> None:
        require_known("strategy", self.strategy, STRATEGIES)
        require(self.passes >= 1, "passes", self.passes, "at least 1")
        require(self.passes <= 10000, "passes", self.passes, "at most 10000")

    def require_for(self, task: Task) -> None:
        """Refuse a strategy that needs one label per text where there are several or none."""
        if task != "classification" and self.strategy == "batch_bald":
            raise MiniftError(f"batch_bald needs one label per text; for {task} take bald")


class Choice(NamedTuple):
    """The texts to be labelled next."""

    ids: tuple[str, ...]  # of the texts, the most wanted first
    scores: tuple[float, ...]  # why; for batch_bald what each added to those before it


def class_counts(examples: Sequence[Example], labels: Sequence[str]) -> dict[str, int]:
    """Count the labelled texts of each class, 0 included; of sentences the entities by type."""
    if examples and isinstance(examples[0], TaggedExample):
        counts = Counter(tag for tags in gold_tags(examples) for tag in tags)
        begin = [label for label in labels if label.startswith("B-")]
        return {label: counts[label] for label in begin or labels}
    counts = Counter(name for names in gold_labels(examples) for name in names)
    return {label: counts[label] for label in labels}


def seed_of(seed: int, round: int) -> int:
    """Return the seed of a round's masks and draws, which are others in each round."""
    return 1_000_003 * seed + round


def fixed_steps(settings: Settings, steps: int | None) -> Settings:
    """Return settings of so many steps, up to a whole epoch; None keeps the number of epochs."""
    return settings if steps is None else replace(settings, epochs=None, steps=steps)


@dataclass(frozen=True)
class Learner:
    """What the model of each round is made of; MiniftError if it takes a development split."""

    dataset: Dataset  # says what the classes are; a class without a text still has its logit
    encoder: str | Path  # pretrained weights to start from
    recipe: Recipe  # what fills the slots, and for how long
    head: Head | None = None  # None: as `head_of` chooses; "cnn" is the paper's
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        recipe = named_recipe(self.recipe, self.encoder)
        if recipe.schedule().needs_dev_loss or recipe.settings.keep == "best":
            raise MiniftError(
                f'the method "{recipe.name}" decides by the development split, and active learning '
                "has none: every label is trained on. Take one without, such as full, bitfit or "
                "freeze:3"
            )
        object.__setattr__(self, "recipe", recipe)
        object.__setattr__(self, "head", self.head or head_of(self.encoder, self.dataset, recipe))

    def build(self, seeds: Seeds) -> FineTuned:
        """Return a model that has learned nothing yet."""
        precision = self.recipe.settings.precision
        return build(self.dataset, self.encoder, seeds, self.device, self.head, precision)

    def fit(
        self, labelled: Sequence[Example], seeds: Seeds, cache: PrefixCache | None = None
    ) -> FineTuned:
        """Train on the labelled texts, without a development split; keep the cache of `states`."""
        tuned = replace(self.build(seeds), cache=cache)
        return fit(tuned, tuned.items(labelled), self.recipe, seeds).tuned

    def states(self) -> PrefixCache | None:
        """Return the `frozen_states` of training and test texts, for all rounds and seeds."""
        return frozen_states(self.dataset, self.encoder, self.recipe, self.head, self.device)


def score_chunks(
    asking: Asking, tuned: FineTuned, pool: Iterable[Example], seed: int
) -> Iterator[tuple[list[Example], Tensor]]:
    """Yield texts and their scores (texts,); for batch_bald (texts, passes, classes)."""
    asking.require_for(tuned.task)
    joint = asking.strategy == "batch_bald"
    sampled = joint or asking.strategy == "bald"
    passes, layers = (asking.passes, asking.layers) if sampled else (1, "none")
    for chunk, rows in mc_stream(tuned, pool, passes, layers, seed, joint):
        if joint:
            yield chunk, torch.cat(rows, dim=1).transpose(0, 1)
            continue
        words = SCORES[asking.strategy](torch.cat(rows, dim=1))
        each = words.split([row.shape[1] for row in rows])
        yield chunk, torch.stack([scores.mean() for scores in each])


def choose(
    asking: Asking, tuned: FineTuned | None, pool: Sequence[Example], budget: int, seed: int
) -> Choice:
    """Choose at most `budget` texts of the pool, whose labels are not read, to be labelled next.

    The seed is for masks, draws and ties. MiniftError if a model is needed and missing.
    """
    if not pool:
        return Choice((), ())
    if asking.strategy == "random":
        found = acquisition.random(torch.empty(1, len(pool), 1), seed)
    elif tuned is None:
        raise MiniftError(f"{asking.strategy} asks a model, and there is none; draw with random")
    else:
        found = torch.cat([values for _, values in score_chunks(asking, tuned, pool, seed)])
    if asking.strategy == "batch_bald":
        indices, scores = batch_bald(found.transpose(0, 1), budget, seed)
    else:
        indices = acquisition.select(found, budget, seed)
        scores = found[indices].tolist()
    return Choice(tuple(pool[i].id for i in indices), tuple(scores))


def take_look(tuned: FineTuned, watched: Iterable[Example], labelled: int) -> Look:
    """See how sure a model of so many labels is of the `WATCHED` texts, and what it says."""
    stream = mc_stream(tuned, watched, passes=1, layers="none")
    rows = torch.cat([row[0] for _, found in stream for row in found])  # (texts or words, classes)
    share = float(acquisition.entropy_of(rows).mean()) / math.log(rows.shape[-1])
    return Look(labelled, share, tuple(rows.argmax(-1).tolist()))
