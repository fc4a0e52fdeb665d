"""`minift compare`: which method for *my* data? All methods on the same seeds, and a report.

Claim    Two methods differ in nothing but what they put into the loop's slots: run s of each has
         the same training examples, new head, order of batches and stream of dropout. Nothing
         is chosen on the examples that are reported on. What is finished survives a kill.
Paper    Fair play that the papers' own experiments lack: a warm-up and the same floor of steps
         for all, and the control of Child-Tuning F (see lineup.py).
Differs  A method of fixed length never sees the development split; one that chooses (adaptive,
         early stopping) does, and the report says how many labelled examples
         that takes.
Proof    tests/compare/test_grid.py
"""

import math
import operator
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, groupby, product
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minift.checkpoints.hub import encoder_digest, resolve
from minift.compare.lineup import (
    default_methods,
    rehearse_all,
    shown,
    split_methods,
    split_roles,
    with_controls,
)
from minift.compare.report import Comparison, write
from minift.compare.runlog import data_digest, open_log
from minift.compare.workers import Job, Plan, run_once
from minift.data.examples import Dataset
from minift.data.notes import missing_notes
from minift.errors import MiniftError, require
from minift.methods.recipes import recipe
from minift.runs.dealing import deal
from minift.runs.folds import FOLDS, part, possible_folds, possible_repeats
from minift.runs.train import require_two_classes, subset
from minift.runs.tuned import build, head_of
from minift.speed.precision import require_precision
from minift.training.loop import Precision, Seeds, Settings
from minift.version import __version__


@dataclass(frozen=True)
class Terms:
    """What is the same for all methods, and decides how they score."""

    epochs: int | None = None  # for all methods, instead of their own length
    batch_size: int | None = None  # for all methods instead of their own
    rate_factor: float = 1.0  # by which every method's own rate is multiplied
    selection: int | None = None  # how many of the selection split a run may see, by its seed
    precision: Precision = "float32"  # of matrix products (see minift.speed.precision)
    device: str = "cpu"  # where to train
    folds: int = FOLDS  # in a repeat; without dev and test, seed s is fold s (runs/folds.py)

    def __post_init__(self) -> None:
        require(self.rate_factor > 0, "rate_factor", self.rate_factor, "a positive number")
        require_precision(self.precision, torch.device(self.device))
        self.settings_of(Settings())  # judges the others

    def settings_of(self, own: Settings) -> Settings:
        """Return the settings of a method, given its own."""
        return replace(
            own,
            epochs=own.epochs if self.epochs is None else self.epochs,
            batch_size=own.batch_size if self.batch_size is None else self.batch_size,
            learning_rate=own.learning_rate * self.rate_factor,
            precision=self.precision,
        )


@dataclass(frozen=True)
class Work:
    """How the runs are done, which changes no score."""

    processes: int = 1  # how many runs are done at a time
    budget_minutes: float | None = None  # no seed is begun that would not fit, by the slowest
    keep_weights: bool = False  # of each run, in the folder "weights" of the comparison
    progress: bool = False  # show a bar on standard error, and say what is done if interrupted
    command: str = ""  # what the user typed, for the report

    def __post_init__(self) -> None:
        good = type(self.processes) is int and self.processes >= 1
        require(good, "processes", self.processes, "a whole number from 1 up")
        budget = self.budget_minutes
        require(budget is None or budget > 0, "budget_minutes", budget, "a positive number")


def compare(
    dataset: Dataset,
    encoder: str | Path,
    methods: str | Sequence[str] | None = None,
    labels: int | Sequence[int] | None = None,
    seeds: int | Sequence[int] | None = None,
    out: str | Path = "runs/compare",
    terms: Terms | None = None,
    work: Work | None = None,
) -> Comparison:
    """Run every method with every seed and write the report. Finished runs are not repeated.

    Args:
        dataset, encoder: see `split_roles`, and `load_encoder`.
        methods: names as `recipe` takes them, or one text with commas; None takes
            `default_methods`. The control of each child-f:p is added.
        labels: number(s) of training examples; None for all.
        seeds: a number of seeds (5 means 0 to 4), or the seeds themselves; None: 5, or where they
            are folds, those of one repeat, or of `REPEATS` if there is a budget of time.
        out: folder of the comparison; methods, sizes and seeds may be added to it later.

    Returns all finished runs of the folder, as in its report. A MiniftError says, before any run,
    what does not fit: a method, a size, a split, a folder of something else.
    """
    began, out, terms, work = time.monotonic(), Path(out), terms or Terms(), work or Work()
    checkpoint = resolve(encoder)
    if isinstance(methods, str):
        methods = split_methods(methods)
    methods = default_methods(dataset, checkpoint) if methods is None else methods
    names, notes = with_controls(methods)
    folds = None if dataset.dev or dataset.test else terms.folds
    if folds:
        folds, fewer = possible_folds(dataset, folds)
        notes += fewer
    data, reporting, choosing = split_roles(dataset, folds)
    if seeds is None:
        again = possible_repeats(data, folds) if folds and work.budget_minutes else 1
        seeds = again * (folds or 5)
    if not isinstance(seeds, Iterable):
        require(0 < (seeds := operator.index(seeds)) <= 10000, "seeds", seeds, "from 1 to 10000")
        seeds = range(seeds)
    seeds = _distinct("seeds", seeds, least=0)
    parts = {seed: part(data, folds, seed) for seed in seeds}
    most, *_, largest = sorted(len(one.train) for one in (*parts.values(), *parts.values()))
    if labels is None and largest > most + 1:
        notes.append(f"each fold learns from {most} labels, which is what the smallest leaves")
    sizes = _distinct("labels", [most] if labels is None else labels, least=1)
    draws = {(n, seed): subset(parts[seed].train, n, seed) for n, seed in product(sizes, seeds)}
    for (size, seed), draw in draws.items():
        require_two_classes(draw, data)
        notes += missing_notes(f"the draw of {size} labels by seed {seed}", draw, data.labels)
    plan, columns = _plan(data, checkpoint, names, terms, draws)
    plan = replace(plan, weights=out / "weights" if work.keep_weights else None, folds=folds)
    setup = {
        "minift_version": __version__,
        "data": data.name,
        "data_digest": data_digest(data),
        "encoder": str(encoder),
        "encoder_digest": encoder_digest(checkpoint),
        "selection": terms.selection,
        "folds": folds,
        "device": terms.device,
        "methods": {n: {"settings": asdict(plan.settings[n]), "shown": columns[n]} for n in names},
    }
    of = f' of "{data.positive or data.labels[-1]}"' if data.metric == "f1" else ""
    about = Comparison(
        data=data.name, metric=data.metric + of, encoder=str(encoder), reporting=reporting,
        selection=choosing + f"; a run sees {terms.selection} of them" * bool(terms.selection),
        examples=len(data.train if folds else data.test), folds=folds, notes=dataset.notes,
        methods=tuple(names), command=work.command,
    )  # fmt: skip
    tuned = build(data, checkpoint, Seeds.all(0))
    drawn = tuple(dict.fromkeys(chain(*draws.values())))
    for split, examples in (("train", drawn), ("dev", data.dev), ("test", data.test)):
        notes += [f"{split}: {note}" for note in tuned.notes(tuned.items(examples))]
        notes += missing_notes(split, examples, data.labels)
    del tuned  # it would stay in memory
    about = replace(about, notes=(*notes, *about.notes))
    jobs = [Job(method, size, seed) for seed in seeds for size in sizes for method in names]
    with open_log(out, setup) as log:
        pending = [job for job in jobs if job not in log.done]
        initial, hidden = len(jobs) - len(pending), None if work.progress else True
        rounds, budget, longest = [pending], math.inf, 0.0  # in seconds
        if work.budget_minutes is not None:
            rounds = [[*seed] for _, seed in groupby(pending, key=lambda job: job.seed)]
            budget = 60 * work.budget_minutes
        try:
            with tqdm(total=len(jobs), initial=initial, unit="run", disable=hidden) as bar:
                for batch in rounds:
                    left = budget - (start := time.monotonic()) + began
                    if longest > left:
                        late = (
                            f"stopped before {about.unit} {batch[0].seed}: one took up to "
                            f"{longest / 60:.1f} minutes, and {max(0, left) / 60:.1f} of the "
                            f"budget of {budget / 60:g} were left; the same command resumes"
                        )
                        about = replace(about, notes=(late, *about.notes))
                        break
                    for _, run in deal(partial(run_once, plan), batch, work.processes):
                        log.add(run)
                        bar.update()
                        bar.set_postfix_str(f"{run.method}: {100 * run.test:.1f}")
                    longest = max(longest, time.monotonic() - start)
                    if work.progress and batch is rounds[0] and len(rounds) > 1:
                        more, took = len(rounds) - 1, f"one {about.unit} took {longest:.0f} s"
                        room = min(more, int(max(0, left - longest) / longest))
                        print(f"{took}; {room} of the other {more} fit", file=sys.stderr)
        except KeyboardInterrupt:
            if work.progress:
                print(
                    f"\nfinished runs: {sum(job in log.done for job in jobs)} of {len(jobs)}, "
                    f"reported in {out}/report.md; the same command resumes with the others",
                    file=sys.stderr,
                )
            raise
        finally:
            about = log.complete(about, jobs)
            if log.done:
                write(out, about)
    return about


def _plan(
    data: Dataset, checkpoint: Path, names: Sequence[str], terms: Terms, draws: dict[Any, Any]
) -> tuple[Plan, dict[str, dict[str, Any]]]:
    """Set up every method once; return the plan, and each method's columns in the report."""
    found = {name: recipe(name, checkpoint) for name in names}
    settings = {name: terms.settings_of(method.settings) for name, method in found.items()}
    found = {name: replace(method, settings=settings[name]) for name, method in found.items()}
    choosing = frozenset(n for n in found if found[n].schedule().needs_dev_loss)
    if choosing and not data.dev:
        raise MiniftError(
            f"{', '.join(m for m in names if m in choosing)}: the run would choose by a "
            "development split, and there is none; give one (--dev)"
        )
    if terms.selection is not None and not 1 <= terms.selection <= len(data.dev):
        raise MiniftError(
            f"--selection {terms.selection}: there are {len(data.dev)} examples to choose by"
        )
    counts = rehearse_all(data, checkpoint, found, draws)
    trained = {name: count["all"].learning for name, count in counts.items()}
    seen = terms.selection or len(data.dev)
    columns = {
        name: {"chooses by": f"{seen * (name in choosing):,}"}
        | shown(method, counts[name], head_of(checkpoint, data))
        for name, method in found.items()
    }
    how = terms.selection, terms.device
    return Plan(data, checkpoint, settings, choosing, trained, *how), columns


def _distinct(name: str, numbers: int | Sequence[int], least: int) -> list[int]:
    several = numbers if isinstance(numbers, Iterable) else [numbers]
    numbers = list(dict.fromkeys(map(operator.index, several)))  # numpy's are no JSON
    if not numbers or min(numbers) < least:
        raise MiniftError(f"{name} must be whole numbers from {least} up, got {numbers}")
    return numbers
