"""Active learning on a data set whose labels are known: does asking pay?

Claim    Each strategy starts from the same texts of a seed and the same first model, so curves
         are compared in pairs. The protocol of the paper (10, 110, ..., 910 labels) is
         `Plan(rounds=9, query=100, initial=10)`. A kill at any moment loses at most one round.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, section 4.
Differs  The random baseline draws from the same pool as the others, and the seed decides its
         draws; the test split is scored after each round and steers nothing.
Proof    tests/active/test_simulate.py

    simulation.jsonl   the setup, then one line per round: texts, scores, test score, advice
    curves.csv         strategy, seed, labelled, test, and more columns
    report.html, .md   curves, differences to random, labels saved, cost (see curves.py)
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minift.active.advice import Look, advise, kappa
from minift.active.curves import write_report
from minift.active.loop import (
    WATCHED,
    Asking,
    Choice,
    choose,
    class_counts,
    fit,
    fixed_steps,
    frozen_states,
    imbalance,
    initial_set,
    take_look,
)
from minift.active.mc_dropout import Layers, lowest_depth
from minift.checkpoints.weights import weights_digest
from minift.data.examples import Dataset, Example, is_labelled
from minift.data.metrics import headline
from minift.errors import MiniftError
from minift.files import atomic_write, digest
from minift.journal import Journal, open_journal
from minift.runs.train import subset
from minift.runs.tuned import FineTuned, Head, build
from minift.speed.prefix import PrefixCache
from minift.training.loop import Recipe, Seeds, Settings
from minift.version import __version__

FORMAT = 2  # of simulation.jsonl; before there were numbers, other random streams were drawn
COLUMNS = (
    *("strategy", "seed", "labelled", "test", "round", "imbalance", "uncertainty", "kappa"),
    *("stop", "train_seconds", "score_seconds"),
)


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Args:
        strategies: names of `loop.STRATEGIES`.
        seeds: each gives one curve per strategy.
        rounds: how often labels are asked for; a curve has one point more.
        query: texts of one round.
        initial: texts of the first training set.
        passes, layers: see `loop.Asking`.
        steps: optimizer steps of each training, rounded up to whole epochs; None takes the
            method's epochs.
        warm: continue from the last round's weights instead of the pretrained ones.
        balanced: draw the first set with equal classes.
        head: on the encoder; the paper's is "cnn".
    """

    strategies: tuple[str, ...] = ("random", "bald")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    rounds: int = 9
    query: int = 100
    initial: int = 10
    passes: int = 10
    layers: Layers = "trained"
    steps: int | None = None
    warm: bool = False
    balanced: bool = False
    head: Head = "linear"

    def __post_init__(self) -> None:
        for name, least in (("rounds", 0), ("query", 1), ("initial", 1), ("steps", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise MiniftError(f"{name} must be at least {least}, got {value}")
        for name in ("strategies", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise MiniftError(f"{name} must be one or more, all different; got {values}")
        for strategy in self.strategies:
            self.asking(strategy)

    def asking(self, strategy: str) -> Asking:
        """Return how `strategy` asks."""
        return Asking(strategy, self.passes, self.layers)


def simulate(
    dataset: Dataset,
    encoder: str | Path,
    method: Recipe,
    plan: Plan,
    out: str | Path,
    settings: Settings | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Run every strategy for every seed, and write each round as soon as it is done.

    Args:
        dataset: its training split is the pool, its test split is scored.
        encoder: pretrained weights, from which every round starts.
        method: what fills the slots of the training loop.
        plan: strategies, seeds, rounds.
        out: folder; a second call with the same setup resumes where the first stopped.
        settings: None takes the method's.
        device: where to train and score.
        progress: show a bar on standard error.

    Returns:
        One record per round (see `COLUMNS` and simulation.jsonl).

    Raises:
        MiniftError: if the data cannot be simulated on, or `out` holds another simulation.
    """
    _require_fit(dataset, plan)
    settings = fixed_steps(settings or method.settings, plan.steps)
    out = Path(out)
    world = World(dataset, encoder, method, plan, settings, device, out)
    setup = _setup(world)
    with open_journal(out / "simulation.jsonl") as journal:
        _begin(journal, setup)
        total = len(plan.strategies) * len(plan.seeds) * (plan.rounds + 1)
        try:
            with tqdm(total=total, unit="round", disable=None if progress else True) as bar:
                for seed in plan.seeds:
                    for strategy in plan.strategies:
                        bar.set_postfix_str(f"{strategy}, seed {seed}")
                        mine = (strategy, seed)
                        done = [r for r in _rounds(journal) if (r["strategy"], r["seed"]) == mine]
                        for number, record in enumerate(world.curve(strategy, seed, done)):
                            if number >= len(done):
                                journal.append({"event": "round", **record})
                                _write_curves(out, _rounds(journal))
                            bar.update()
        finally:  # whoever interrupts wants to see what there is
            if rounds := _rounds(journal):
                _write_curves(out, rounds)
                write_report(out, rounds, setup)
        return rounds


@dataclass(frozen=True)
class World:
    """What all curves share; see `simulate`."""

    dataset: Dataset
    encoder: str | Path
    method: Recipe
    plan: Plan
    settings: Settings
    device: torch.device | str
    folder: Path

    @functools.cached_property
    def states(self) -> PrefixCache | None:
        """What frozen layers make of the texts; computed when the first round needs it."""
        return frozen_states(
            self.dataset, self.encoder, self.method, self.settings, self.plan.head, self.device,
            self.folder,
        )  # fmt: skip

    def curve(
        self, strategy: str, seed: int, done: Sequence[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Yield the rounds of one strategy with one seed, first those that are done."""
        by_id = {example.id: example for example in self.dataset.train}
        asked = initial_set(self.dataset.train, self.plan.initial, seed, self.plan.balanced)
        looks: list[Look] = []
        tuned = None
        for number in range(self.plan.rounds + 1):
            labelled = [by_id[id] for id in asked]
            if number < len(done):
                record = done[number]
                if self.plan.warm and done[-1]["query"]:  # weights that the next round needs
                    tuned = self.train(labelled, seed, tuned)
                predictions = tuple(record["predictions"])
                looks.append(Look(record["labelled"], record["uncertainty"], predictions))
            else:
                record, tuned = self.round(strategy, seed, number, labelled, tuned, looks)
            yield record
            if not record["query"]:
                return
            asked += record["query"]

    def train(self, labelled: Sequence[Example], seed: int, before: FineTuned | None) -> FineTuned:
        """Train on what is labelled."""
        return fit(
            self.dataset, labelled, self.encoder, self.method, Seeds.all(seed), self.settings,
            before if self.plan.warm else None, self.device, self.plan.head, self.states,
        )  # fmt: skip

    def round(
        self,
        strategy: str,
        seed: int,
        number: int,
        labelled: Sequence[Example],
        before: FineTuned | None,
        looks: list[Look],
    ) -> tuple[dict[str, Any], FineTuned]:
        """Train, test, take a look (which `looks` gains), ask."""
        plan, train = self.plan, self.dataset.train
        began = time.perf_counter()
        tuned = self.train(labelled, seed, before)
        trained = time.perf_counter()
        test = tuned.evaluate(self.dataset.test)
        watched = subset(train, min(WATCHED, len(train)), seed=0)
        looks.append(look := take_look(tuned, watched, len(labelled)))
        advice = advise(looks, budget=plan.initial + plan.rounds * plan.query)
        agreement = kappa(looks[-2].predictions, look.predictions) if len(looks) > 1 else math.nan
        counts = class_counts(labelled, self.dataset.labels)
        asked = time.perf_counter()
        choice = Choice((), ())
        if number < plan.rounds:
            known = {example.id for example in labelled}
            pool = [example for example in train if example.id not in known]
            masks = 1_000_003 * seed + number  # other masks and draws in each round
            choice = choose(plan.asking(strategy), tuned, pool, plan.query, masks)
        record = {
            "strategy": strategy,
            "seed": seed,
            "labelled": len(labelled),
            "test": headline(self.dataset.metric, test.scores),
            "round": number,
            "imbalance": imbalance(counts),
            "missing": [label for label, count in counts.items() if count == 0],
            "uncertainty": look.uncertainty,
            "kappa": None if math.isnan(agreement) else agreement,
            "stop": advice.stop,
            "advice": [*advice.reasons, *advice.warnings],
            "predictions": list(look.predictions),
            "train_seconds": round(trained - began, 3),
            "score_seconds": round(time.perf_counter() - asked, 3),
            "query": list(choice.ids),
            "scores": list(choice.scores),
        }
        return record, tuned


def _rounds(journal: Journal) -> list[dict[str, Any]]:
    rounds = (event for event in journal.events if event["event"] == "round")
    return [{k: v for k, v in event.items() if k not in ("n", "event")} for event in rounds]


def _require_fit(dataset: Dataset, plan: Plan) -> None:
    """Refuse what cannot be simulated, before anything is trained."""
    if dataset.task == "regression":
        raise MiniftError("active learning asks for classes or tags; this data set has numbers")
    if dataset.task == "tagging" and "batch_bald" in plan.strategies:
        raise MiniftError("batch_bald needs one label per text; for sentences take bald")
    for split in ("train", "test"):
        examples = getattr(dataset, split)
        if not examples or not is_labelled(examples):
            raise MiniftError(f"a simulation needs a {split} split with all its labels")
    ids = [example.id for example in dataset.train]
    if len(set(ids)) < len(ids):
        raise MiniftError("two training examples have the same id; ids must differ")
    if plan.initial > len(ids):
        raise MiniftError(f"initial must be 1 to {len(ids)}, the size of the pool")


def _setup(world: World) -> dict[str, Any]:
    """Return everything that rounds of one folder must share."""
    dataset, plan = world.dataset, world.plan
    model = build(dataset, world.encoder, Seeds.all(0), head=plan.head).model
    if plan.layers != "trained":
        lowest_depth(plan.layers, len(model.bert.layers))  # refuses layers that are not there
    setup = {
        "event": "setup",
        "format": FORMAT,
        "minift_version": __version__,
        "data": dataset.name,
        "metric": dataset.metric,
        "test_examples": len(dataset.test),
        "labels": list(dataset.labels),
        "data_digest": digest(repr(replace(dataset, notes=())))[:16],
        "encoder": str(world.encoder),
        "encoder_digest": weights_digest(model),
        "method": world.method.name,
        "settings": asdict(world.settings),
        **{k: v for k, v in asdict(plan).items() if k not in ("strategies", "seeds")},
    }
    return json.loads(json.dumps(setup))  # as it will be read


def _begin(journal: Journal, setup: dict[str, Any]) -> None:
    """Write the setup, or compare it with that of the rounds that are there."""
    if not journal.events:
        journal.append(setup)
    there = journal.events[0]
    if there.get("format") != FORMAT:
        raise MiniftError(
            f"{journal.path} was begun by minift {there.get('minift_version')} in a way that this "
            "minift cannot continue, because it draws other random numbers; choose another folder"
        )
    for key in setup.keys() - {"encoder"}:  # the same weights may lie in another folder
        if there.get(key) != setup[key]:
            raise MiniftError(
                f"{journal.path} is a simulation with another setup: {key} was {there.get(key)} "
                f"and is now {setup[key]}. Choose another folder, or the setup as it was"
            )


def _write_curves(folder: Path, rounds: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rounds, key=lambda r: (r["strategy"], r["seed"], r["round"])))
    atomic_write(folder / "curves.csv", text.getvalue())
