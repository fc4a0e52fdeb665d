"""Active learning on a data set whose labels are known: does asking pay?

Claim    Each strategy starts from the same texts of a seed and the same first model, so curves
         are compared in pairs. The protocol of the paper (10, 110, ..., 910 labels) is
         `Plan(rounds=9, query=100, initial=10)`. A kill at any moment loses at most one round.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, section 4.
Differs  The random baseline draws from the same pool as the others, and the seed decides its
         draws; the test split is scored after each round and steers nothing.
Proof    tests/active/test_simulate.py

    simulation.jsonl   the setup, then one line per round: texts, scores, test score
    report.html, .md   curves, differences to random, labels saved, cost (see curves.py)
"""

import functools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minift.active.curves import page
from minift.active.loop import Asking, Learner, choose, class_counts, fixed_steps, seed_of
from minift.active.mc_dropout import Layers, lowest_depth
from minift.active.study import study
from minift.checkpoints.weights import weights_digest
from minift.compare.page import write_page
from minift.compare.runlog import data_digest
from minift.data.examples import Dataset, is_labelled
from minift.data.metrics import headline
from minift.errors import MiniftError, require
from minift.files import claim_folder
from minift.journal import Journal, open_journal
from minift.runs.train import subset
from minift.speed.prefix import PrefixCache
from minift.training.loop import Seeds
from minift.version import __version__


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    strategies: tuple[str, ...] = ("random", "bald")  # names of `loop.STRATEGIES`
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)  # each gives one curve per strategy
    rounds: int = 9  # how often labels are asked for; a curve has one point more
    query: int = 100  # texts of one round
    initial: int = 10  # texts of the first training set
    passes: int = 10  # see `loop.Asking`
    layers: Layers = "trained"
    steps: int | None = None  # of each training, see `fixed_steps`; None: the method's epochs

    def __post_init__(self) -> None:
        for name, least in (("rounds", 0), ("query", 1), ("initial", 1), ("steps", 1)):
            value = getattr(self, name)
            require(value is None or value >= least, name, value, f"at least {least}")
        for name in ("strategies", "seeds"):
            values = getattr(self, name)
            good = len(values) == len(set(values)) > 0
            require(good, name, values, "one or more, all different")
        for strategy in self.strategies:
            self.asking(strategy)

    def asking(self, strategy: str) -> Asking:
        """Return how `strategy` asks."""
        return Asking(strategy, self.passes, self.layers)


def simulate(learner: Learner, plan: Plan, out: str | Path) -> list[dict[str, Any]]:
    """Run every strategy for every seed; return a record per round, as in simulation.jsonl.

    The pool is the training split of the learner's data set; its test split is scored. A second
    call with the same setup and folder `out` resumes where the first stopped. MiniftError if the
    data cannot be simulated on, or `out` holds another simulation.
    """
    _require_fit(learner.dataset, plan)
    settings, out = fixed_steps(learner.recipe.settings, plan.steps), Path(out)
    learner = replace(learner, recipe=replace(learner.recipe, settings=settings))
    claim_folder(out, "simulation.jsonl")
    setup, states = _setup(learner, plan), functools.cache(learner.states)
    with open_journal(out / "simulation.jsonl") as journal:
        if not journal.events:
            journal.append(setup)
        there = journal.events[0]
        for key in setup:
            if key != "encoder" and there.get(key) != setup[key]:  # the weights may lie elsewhere
                raise MiniftError(
                    f"{journal.path} is a simulation with another setup: {key} was "
                    f"{there.get(key)} and is now {setup[key]}. Choose another folder, or the "
                    "setup as it was"
                )
        total = len(plan.strategies) * len(plan.seeds) * (plan.rounds + 1)
        try:
            with tqdm(total=total, unit="round", disable=None) as bar:
                for mine in product(plan.seeds, plan.strategies):
                    bar.set_postfix_str("seed {}, {}".format(*mine))
                    done = [r for r in _rounds(journal) if (r["seed"], r["strategy"]) == mine]
                    for number, record in enumerate(curve(learner, plan, *mine, done, states)):
                        if number >= len(done):
                            journal.append({"event": "round", **record})
                        bar.update()
        finally:  # whoever interrupts wants to see what there is
            if rounds := _rounds(journal):
                write_page(out, page(study(rounds, setup)))
        return rounds


def curve(
    learner: Learner,
    plan: Plan,
    seed: int,
    strategy: str,
    done: Sequence[dict[str, Any]],
    states: Callable[[], PrefixCache | None],
) -> Iterator[dict[str, Any]]:
    """Yield the rounds of one strategy with one seed, first those that are done."""
    pool = {example.id: example for example in learner.dataset.train}
    first = subset(learner.dataset.train, plan.initial, seed)
    labelled = [pool.pop(example.id) for example in first]
    for number in range(plan.rounds + 1):
        if number < len(done):
            record = done[number]
        else:
            began = time.perf_counter()
            tuned = learner.fit(labelled, Seeds.all(seed), states())
            trained = time.perf_counter()
            test = headline(learner.dataset.metric, tuned.evaluate(learner.dataset.test).scores)
            counts = class_counts(labelled, learner.dataset.labels)
            asked = time.perf_counter()
            rest = [*pool.values()] if number < plan.rounds else []
            choice = choose(plan.asking(strategy), tuned, rest, plan.query, seed_of(seed, number))
            record = {
                "strategy": strategy,
                "seed": seed,
                "labelled": len(labelled),
                "test": test,
                "round": number,
                "imbalance": max(counts.values()) - min(counts.values()),
                "train_seconds": round(trained - began, 3),
                "score_seconds": round(time.perf_counter() - asked, 3),
                "query": list(choice.ids),
                "scores": list(choice.scores),
            }
        yield record
        if not record["query"]:
            return
        labelled += [pool.pop(id) for id in record["query"]]


def _rounds(journal: Journal) -> list[dict[str, Any]]:
    rounds = (event for event in journal.events if event["event"] == "round")
    return [{k: v for k, v in event.items() if k not in ("n", "event")} for event in rounds]


def _require_fit(dataset: Dataset, plan: Plan) -> None:
    """Refuse what cannot be simulated, before anything is trained."""
    if dataset.task == "regression":
        raise MiniftError("active learning asks for classes or tags; this data set has numbers")
    for strategy in plan.strategies:
        plan.asking(strategy).require_for(dataset.task)
    for split in ("train", "test"):
        if not is_labelled(getattr(dataset, split)):
            raise MiniftError(f"a simulation needs a {split} split with all its labels")
    ids = [example.id for example in dataset.train]
    if len(set(ids)) < len(ids):
        raise MiniftError("two training examples have the same id; ids must differ")
    if plan.initial > len(ids):
        raise MiniftError(f"initial must be 1 to {len(ids)}, the size of the pool")


def _setup(learner: Learner, plan: Plan) -> dict[str, Any]:
    """Return everything that rounds of one folder must share."""
    dataset, model = learner.dataset, learner.build(Seeds.all(0)).model
    if plan.layers != "trained":
        lowest_depth(plan.layers, len(model.bert.layers))  # refuses layers that are not there
    setup = {
        "event": "setup",
        "minift_version": __version__,
        "data": dataset.name,
        "metric": dataset.metric,
        "test_examples": len(dataset.test),
        "labels": list(dataset.labels),
        "data_digest": data_digest(dataset),
        "encoder": str(learner.encoder),
        "encoder_digest": weights_digest(model),
        "method": learner.recipe.name,
        "head": learner.head,
        "settings": asdict(learner.recipe.settings),
        **{k: v for k, v in asdict(plan).items() if k not in ("strategies", "seeds")},
    }
    return json.loads(json.dumps(setup))  # as it will be read
