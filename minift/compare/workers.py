"""One run of a comparison: train, score, and measure what it cost.

Claim    A run is a function of its plan and its job: it comes out the same wherever and in
         whatever order it is done (see runs/dealing.py), and tells what it cost.
Differs  A run whose loss is not finite is a result, not an error: it failed, and counts with the
         score of a constant answer. Left out, it would flatter its method.
Proof    tests/compare/test_grid.py
"""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from minift.checkpoints.weights import save_pretrained
from minift.compare.report import Run
from minift.data.examples import Dataset, Example, TaggedExample, gold_tags, label_of
from minift.data.metrics import collapsed, headline
from minift.methods.recipes import recipe
from minift.runs.evaluate import Evaluation, constant_score
from minift.runs.fit import frozen_states
from minift.runs.folds import part
from minift.runs.machine import machine
from minift.runs.train import subset, train
from minift.runs.tuned import FineTuned
from minift.speed.prefix import PrefixCache
from minift.training.loop import Diverged, Seeds, Settings


@dataclass(frozen=True)
class Plan:
    """What all runs of a comparison share."""

    data: Dataset  # its `dev` is the selection split, its `test` the reporting split
    encoder: Path  # folder of the checkpoint
    settings: dict[str, Settings]  # of each method
    choosing: frozenset[str]  # methods that choose something by the selection split
    trained: dict[str, int]  # parameters that learn, for each method
    selection: int | None = None  # how many of its examples a run may see; None for all
    device: str = "cpu"  # where to train
    weights: Path | None = None  # folder for the weights, or None
    folds: int | None = None  # a seed is the number of a fold (see `part`); None: a seed
    # of methods that solve the head: what all folds share, made by the first run of each process
    states: dict[str, PrefixCache | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One run to do."""

    method: str
    labels: int
    seed: int


def run_once(plan: Plan, job: Job) -> Run:
    """Train, score and measure."""
    started = time.perf_counter()
    data, chooses = part(plan.data, plan.folds, job.seed), job.method in plan.choosing
    dev = subset(data.dev, plan.selection, job.seed) if data.dev else ()
    settings, note = plan.settings[job.method], ""
    method = replace(recipe(job.method), settings=settings)
    if plan.folds and method.solve == "after" and job.method not in plan.states:
        plan.states[job.method] = frozen_states(plan.data, plan.encoder, method, None, plan.device)
    tried: tuple[FineTuned, dict[str, Any]] | None = None
    try:
        tried = train(
            replace(data, dev=dev if chooses else (), test=()),
            plan.encoder,
            method,
            labels=job.labels,
            seeds=Seeds.all(job.seed),
            device=plan.device,
            cache=plan.states.get(job.method),
        )
    except Diverged as error:
        note = str(error)
    seconds = time.perf_counter() - started

    train_labels = subset(data.train, job.labels, job.seed)
    constant = constant_score(data, train_labels, data.test)
    if tried is None:
        failed, test = True, constant
        result: dict[str, Any] = {"epochs": 0, "stopped": note}
        dev_score = constant_score(data, train_labels, dev) if dev else None
    else:
        tuned, result = tried
        found = tuned.evaluate(data.test)
        test, dev_score = headline(data.metric, found.scores), result["dev"]
        if dev and dev_score is None:
            dev_score = headline(data.metric, tuned.evaluate(dev).scores)
        if failed := gave_up(found, data.test):
            note = "every prediction is the same"
        if plan.weights:
            name = f"{job.method}-{job.labels}-s{job.seed}".replace(":", "")
            name = re.sub(r"[,/\\]", "-", name)  # a method's name may hold that of a file
            save_pretrained(tuned.model, tuned.tokenizer, plan.weights / name)
    return Run(
        method=job.method, seed=job.seed, labels=job.labels, dev=dev_score, test=test,
        trainable_parameters=plan.trained[job.method], seconds=round(seconds, 2),
        failed=failed, epochs=result["epochs"], learning_rate=settings.learning_rate,
        stopped=result["stopped"],
        selection_examples=len(dev) if chooses else 0, constant=constant,
        threads=torch.get_num_threads(), machine=machine(plan.device), note=note,
    )  # fmt: skip


def gave_up(found: Evaluation, examples: Sequence[Example]) -> bool:
    """Tell whether a model predicts the same for everything, or numbers that are not finite."""
    predicted = found.predicted
    gold = [label for e in examples if (label := label_of(e)) is not None]
    if isinstance(examples[0], TaggedExample):
        predicted, gold = [*chain(*predicted)], [*chain(*gold_tags(examples))]
    finite = all(math.isfinite(p) for p in predicted if isinstance(p, float))
    return not finite or collapsed(predicted, gold) is not None
