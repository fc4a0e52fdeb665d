"""Active learning on a data set whose labels are known: does asking pay?

Claim    Each strategy starts from the same texts of a seed and the same first model, so curves
         are compared in pairs. The protocol of the paper (10, 110, ..., 910 labels) is
         `Plan(rounds=9, query=100, initial=10)`. A kill at any moment loses at most one round.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, section 4.
Differs  The random baseline draws from the same pool as the others, and the seed decides its
         draws; the test split is scored after each round and steers nothing.
Proof    tests/active/test_simulate.py

    simulation.jsonl   the setup, then one line a round: texts, scores, test score, advice
    curves.csv         strategy, seed, labelled, test, and more columns
    report.html, .md   curves, differences to random, labels saved, cost (see curves.py)
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from minift.active.acquisition import Aggregate
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
    words_in,
)
from minift.active.mc_dropout import Layers, layers_below
from minift.data.examples import (
    Dataset,
    Example,
    TaggedExample,
    gold_classes,
    gold_tags,
    is_labelled,
)
from minift.data.metrics import headline
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.journal import Journal, open_journal
from minift.label.ledger import Label, State, replay
from minift.runs.train import subset
from minift.runs.tuned import FineTuned, Head, build
from minift.speed.prefix import PrefixCache
from minift.training.loop import Recipe, Seeds, Settings
from minift.version import __version__

COLUMNS = (
    *("strategy", "seed", "labelled", "test", "round", "words", "imbalance", "uncertainty"),
    *("kappa", "stop", "train_seconds", "score_seconds"),
)


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Args:
        strategies: names of `loop.STRATEGIES`.
        seeds: each gives one curve a strategy.
        rounds: how often labels are asked for; a curve has one point more.
        query: texts (or words) of one round.
        initial: texts of the first training set.
        passes, layers, aggregate, unit: see `loop.Asking`.
        steps: optimizer steps of each training, rounded up to whole epochs; None takes the
            method's epochs.
        warm: go on from the last round's weights instead of the pretrained ones.
        balanced: draw the first set with equal classes.
        head: on the encoder; the paper's is "cnn".
    """

    strategies: tuple[str, ...] = ("random", "bald")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    rounds: int = 9
    query: int = 100
    initial: int = 10
    passes: int = 10
    layers: Layers = "all"
    aggregate: Aggregate = "mean"
    unit: Literal["texts", "words"] = "texts"
    steps: int | None = None
    warm: bool = False
    balanced: bool = False
    head: Head = "linear"

    def __post_init__(self) -> None:
        for name, least in (("rounds", 0), ("query", 1), ("initial", 1), ("passes", 1)):
            if getattr(self, name) < least:
                raise MiniftError(f"{name} must be at least {least}, got {getattr(self, name)}")

    def asking(self, strategy: str) -> Asking:
        """Return how `strategy` asks."""
        return Asking(strategy, self.passes, self.layers, self.aggregate, self.unit)


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
        out: folder; a second call with the same setup goes on where the first stopped.
        settings: None takes the method's.
        device: where to train and score.
        progress: show a bar on standard error.

    Returns:
        One record a round (see `COLUMNS` and simulation.jsonl).

    Raises:
        MiniftError: if the data cannot be simulated on, or `out` holds another simulation.
    """
    _require_fit(dataset, plan)
    settings = fixed_steps(settings or method.settings, plan.steps)

    @functools.cache  # when a round first needs them: there may be none to do
    def states() -> PrefixCache | None:
        return frozen_states(dataset, encoder, method, settings, plan.head, device, out)

    setup = _setup(dataset, encoder, method, plan, settings)
    out = Path(out)
    with open_journal(out / "simulation.jsonl") as journal:
        _begin(journal, setup)
        total = len(plan.strategies) * len(plan.seeds) * (plan.rounds + 1)
        try:
            with tqdm(total=total, unit="round", disable=None if progress else True) as bar:
                for seed in plan.seeds:
                    for strategy in plan.strategies:
                        bar.set_postfix_str(f"{strategy}, seed {seed}")
                        curve = Curve(
                            dataset, encoder, method, plan, settings, strategy, seed, device, states
                        )
                        curve.run(journal, out / "curves.csv", bar)
        finally:  # who interrupts wants to see what there is
            if rounds := _rounds(journal):
                write_report(out, rounds, setup)
        return rounds


class Curve:
    """One strategy with one seed; the arguments are those of `simulate` and `fit`."""

    def __init__(
        self,
        dataset: Dataset,
        encoder: str | Path,
        method: Recipe,
        plan: Plan,
        settings: Settings,
        strategy: str,
        seed: int,
        device: torch.device | str,
        states: Callable[[], PrefixCache | None],
    ):
        self.dataset, self.encoder, self.method, self.plan = dataset, encoder, method, plan
        self.settings, self.strategy, self.seed, self.device = settings, strategy, seed, device
        self.states = states
        self.by_id = {example.id: example for example in dataset.train}
        self.watched = subset(dataset.train, min(WATCHED, len(dataset.train)), seed=0)

    def run(self, journal: Journal, curves: Path, bar: tqdm) -> None:
        """Do the rounds that the journal does not have yet."""
        mine = (self.strategy, self.seed)
        done = [r for r in _rounds(journal) if (r["strategy"], r["seed"]) == mine]
        finished = bool(done) and not done[-1]["query"]
        state = replay(self.by_id, self.dataset.labels, [])
        _answer(
            state,
            initial_set(self.dataset.train, self.plan.initial, self.seed, self.plan.balanced),
            self.by_id,
        )
        looks: list[Look] = []
        tuned = None
        for number in range(self.plan.rounds + 1):
            if number < len(done):
                record = done[number]
                if self.plan.warm and not finished:
                    tuned = self.train(state, tuned)  # the weights that the next round needs
                looks.append(_look(record))
            else:
                record, tuned = self.round(state, tuned, looks, number)
                journal.append({"event": "round", **record})
                _write_curves(curves, _rounds(journal))
            bar.update()
            if not record["query"]:
                break
            _answer(state, record["query"], self.by_id)
        _write_curves(curves, _rounds(journal))

    def train(self, state: State, before: FineTuned | None) -> FineTuned:
        """Train on what is labelled."""
        labelled = [self.by_id[id] for id in state.labelled]
        warm = before if self.plan.warm else None
        seeds = Seeds.all(self.seed)
        return fit(
            self.dataset, labelled, self.encoder, self.method, seeds, self.settings, warm,
            self.device, self.plan.head, self.states(),
        )  # fmt: skip

    def round(
        self, state: State, before: FineTuned | None, looks: list[Look], number: int
    ) -> tuple[dict[str, Any], FineTuned]:
        """Train, test, take a look, ask."""
        labelled = [self.by_id[id] for id in state.labelled]
        counts = class_counts(labelled, self.dataset.labels)
        began = time.perf_counter()
        tuned = self.train(state, before)
        trained = time.perf_counter()
        test = tuned.evaluate(self.dataset.test)
        look = take_look(tuned, self.watched, len(labelled))
        looks.append(look)
        # Labels that the plan has left; in units other than texts the plan has no such number.
        most = self.plan.initial + self.plan.rounds * self.plan.query
        advice = advise(looks, budget=most if self.plan.unit == "texts" else None)
        asked = time.perf_counter()
        choice = Choice((), ())
        if number < self.plan.rounds:
            pool = [self.by_id[id] for id in state.pool]
            seed = 1_000_003 * self.seed + number  # other masks and draws in each round
            choice = choose(self.plan.asking(self.strategy), tuned, pool, self.plan.query, seed)
        agreement = kappa(looks[-2].predictions, look.predictions) if len(looks) > 1 else math.nan
        record = {
            "strategy": self.strategy,
            "seed": self.seed,
            "labelled": len(labelled),
            "test": headline(self.dataset.metric, test.scores),
            "round": number,
            "words": sum(words_in(example) for example in labelled),
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


def _answer(state: State, ids: Sequence[str], by_id: dict[str, Example]) -> None:
    """Ask for the texts and give each its gold label."""
    state.apply({"event": "query", "ids": list(ids), "round": 0})
    for id in ids:
        n = len(state.standing) + 1
        event = {"event": "label", "n": n, "id": id, "label": _gold(by_id[id]), "source": "gold"}
        state.apply(event)


def _gold(example: Example) -> Label:
    tagged = isinstance(example, TaggedExample)
    return list(gold_tags([example])[0]) if tagged else gold_classes([example])[0]


def _look(record: dict[str, Any]) -> Look:
    return Look(record["labelled"], record["uncertainty"], tuple(record["predictions"]))


def _rounds(journal: Journal) -> list[dict[str, Any]]:
    rounds = (event for event in journal.events if event["event"] == "round")
    return [{k: v for k, v in event.items() if k not in ("n", "event")} for event in rounds]


def _require_fit(dataset: Dataset, plan: Plan) -> None:
    """Refuse what cannot be simulated, before anything is trained."""
    for strategy in plan.strategies:
        plan.asking(strategy)
    if dataset.task == "regression":
        raise MiniftError("active learning asks for classes or tags; this data set has numbers")
    if dataset.task == "tagging" and "batch_bald" in plan.strategies:
        raise MiniftError("batch_bald needs one label a text; for sentences take bald")
    for split in ("train", "test"):
        examples = getattr(dataset, split)
        if not is_labelled(examples):
            raise MiniftError(f"a simulation needs a {split} split with all its labels")
    ids = [example.id for example in dataset.train]
    if len(set(ids)) < len(ids):
        raise MiniftError("two training examples have the same id; ids must differ")
    if not 1 <= plan.initial <= len(ids):
        raise MiniftError(f"initial must be 1 to {len(ids)}, the size of the pool")


def _setup(
    dataset: Dataset, encoder: str | Path, method: Recipe, plan: Plan, settings: Settings
) -> dict[str, Any]:
    """Return everything that rounds of one folder must share."""
    fixed = {k: v for k, v in asdict(plan).items() if k not in ("strategies", "seeds")}
    model = build(dataset, encoder, Seeds.all(0), head=plan.head).model
    layers_below(plan.layers, len(model.bert.layers))  # refuses layers that are not there
    weights = hashlib.sha256()
    for name, parameter in model.named_parameters():
        weights.update(name.encode() + parameter.detach().contiguous().numpy().tobytes())
    examples = repr(replace(dataset, notes=())).encode()
    setup = {
        "event": "setup",
        "minift_version": __version__,
        "data": dataset.name,
        "metric": dataset.metric,
        "test_examples": len(dataset.test),
        "labels": list(dataset.labels),
        "data_digest": hashlib.sha256(examples).hexdigest()[:16],
        "encoder": str(encoder),
        "encoder_digest": weights.hexdigest()[:16],
        "method": method.name,
        "settings": asdict(settings),
        **fixed,
    }
    return json.loads(json.dumps(setup))  # as it will be read


def _begin(journal: Journal, setup: dict[str, Any]) -> None:
    """Write the setup, or compare it with that of the rounds that are there."""
    if not journal.events:
        journal.append(setup)
    # What older folders do not say: there was one head, and the rest follows from the data.
    newer = {"head": "linear", **{k: setup[k] for k in ("metric", "test_examples", "labels")}}
    there = {**newer, **journal.events[0]}
    for key in setup.keys() - {"encoder"}:  # the same weights may lie in another folder
        if there.get(key) != setup[key]:
            raise MiniftError(
                f"{journal.path} is a simulation with another setup: {key} was {there.get(key)} "
                f"and is now {setup[key]}. Choose another folder, or the setup as it was"
            )


def _write_curves(path: Path, rounds: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rounds, key=lambda r: (r["strategy"], r["seed"], r["round"])))
    atomic_write(path, text.getvalue())
