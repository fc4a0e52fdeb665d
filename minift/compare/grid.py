"""`minift compare`: which method for *my* data? All methods on the same seeds, and a report.

Claim    Two methods differ in nothing but what they put into the loop's slots: run s of each has
         the same training examples, new head, order of batches and stream of dropout. Nothing
         is chosen on the examples that are reported on. What is finished survives a kill.
Paper    Fair play that the papers' own experiments lack: a warm-up for all (Child-Tuning's runs
         lose theirs), the same floor of steps for all (`Settings.min_steps`), and full
         fine-tuning at rate * sqrt(p) beside Child-Tuning F at p, because Adam cancels its 1/p
         (minift/methods/child_tuning.py).
Differs  A method of fixed length never sees the development split; one that chooses (adaptive,
         early stopping, keep="best", a grid of rates) does, and the report says how many
         labelled examples that takes.
         Under torchrun each run is one process's, from beginning to end; kept weights stay on the
         machine that made them.
Proof    tests/compare/test_grid.py, tests/runs/test_processes.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm

from minift.checkpoints.hub import resolve
from minift.compare.lineup import (
    default_methods,
    rehearse,
    shown,
    split_methods,
    split_roles,
    with_controls,
)
from minift.compare.report import Comparison, write
from minift.compare.runlog import RunLog, data_digest, encoder_digest, open_log
from minift.compare.workers import Job, Plan, run_all, send_home, work
from minift.data.examples import Dataset
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.processes import from_first, rank, require_same, world_size
from minift.runs.train import require_two_classes, subset
from minift.speed.precision import require_precision
from minift.training.loop import Precision, Seeds
from minift.version import __version__


def compare(
    dataset: Dataset,
    encoder: str | Path,
    methods: str | Sequence[str] | None = None,
    labels: int | Sequence[int] | None = None,
    seeds: int | Sequence[int] = 5,
    out: str | Path = "runs/compare",
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    rate_factor: float = 1.0,
    keep: Literal["last", "best"] = "last",
    grid: bool = False,
    selection: int | None = None,
    budget_minutes: float | None = None,
    processes: int = 1,
    keep_weights: bool = False,
    device: str = "cpu",
    precision: Precision = "float32",
    progress: bool = False,
    command: str = "",
) -> Comparison:
    """Run every method with every seed and write the report. Finished runs are not repeated.

    Args:
        dataset: what to learn and to be scored on; see `split_roles`.
        encoder: anything `load_encoder` takes.
        methods: names as `recipe` takes them, or one text with commas; None takes
            `default_methods`. The control of each child-f:p is added.
        labels: number(s) of training examples; None for all.
        seeds: a number of seeds (5 means 0 to 4), or the seeds themselves.
        out: folder of the comparison; methods, sizes and seeds may be added to it later.
        epochs: for all methods instead of their own, which also lifts their floor of steps.
        batch_size: for all methods instead of their own.
        rate_factor: on the learning rate of every method. They are set for MiniLM; the embedded
            encoder `tiny` wants about 6.
        keep: "last" weights, or the "best" epoch's by the selection split.
        grid: choose each run's rate among the method's own, a third of it and three times it, by
            the selection split.
        selection: examples of the selection split that a run may see, drawn with its seed.
        budget_minutes: runs are done seed by seed, and no seed is begun that would not fit.
        processes: how many runs are done at a time; with 2 or more each in a fresh process.
            Where torchrun has started several, each of them does runs instead.
        keep_weights: keep the weights of each run, in `out`/weights.
        device: where to train.
        precision: of matrix products, for all methods (see minift.speed.precision).
        progress: show a bar on standard error, and what is done if interrupted.
        command: how the user started this, for the report.

    Returns:
        All finished runs of the folder, as in its report.

    Raises:
        MiniftError: before any run: a method, size or split that does not fit, a method that
            would train nothing, a folder of something else. Later: a run that cannot go on.
    """
    started = time.monotonic()
    checkpoint = resolve(encoder)
    if isinstance(methods, str):
        methods = split_methods(methods)
    names, notes = with_controls(default_methods(checkpoint) if methods is None else methods)
    data, reporting, choosing_split = split_roles(dataset)
    sizes = _distinct("labels", [len(data.train)] if labels is None else labels, least=1)
    if isinstance(seeds, int) and seeds < 1:
        raise MiniftError(f"seeds must be at least 1, got {seeds}")
    seeds = _distinct("seeds", range(seeds) if isinstance(seeds, int) else seeds, least=0)
    positive = {"processes": processes, "budget_minutes": budget_minutes}
    for name, value in {**positive, "rate_factor": rate_factor}.items():
        if value is not None and not value > 0:
            raise MiniftError(f"{name} must be more than 0, got {value}")
    if processes > 1 and world_size() > 1:
        raise MiniftError("--processes is for one process; torchrun has started several already")
    require_precision(precision, torch.device(device))
    own: dict[str, Any] = {} if epochs is None else {"epochs": epochs, "min_steps": 0}
    own |= {} if batch_size is None else {"batch_size": batch_size}
    found = {name: recipe(name) for name in names}
    rates = {n: m.settings.learning_rate * rate_factor for n, m in found.items()}
    own |= {"keep": keep, "precision": precision}
    settings = {n: replace(m.settings, learning_rate=rates[n], **own) for n, m in found.items()}
    choosing = frozenset(
        n for n, m in found.items() if grid or keep == "best" or m.schedule().needs_dev_loss
    )
    if choosing and not data.dev:
        raise MiniftError(
            f"{', '.join(m for m in names if m in choosing)}: the run would choose by a "
            "development split, and there is none; give one (--dev)"
        )
    if selection is not None and not 1 <= selection <= len(data.dev):
        raise MiniftError(
            f"--selection {selection}: there are {len(data.dev)} examples to choose by"
        )
    for size in sizes:
        for seed in seeds:
            require_two_classes(subset(data.train, size, seed), data)
    counts = rehearse(data, checkpoint, found, settings, Seeds.all(seeds[0]))

    setup = {
        "minift_version": __version__,
        "data": data.name,
        "data_digest": data_digest(data),
        "encoder": str(encoder),
        "encoder_digest": encoder_digest(checkpoint),
        "selection": selection,
        "grid": grid,
        "device": device,
        "methods": {
            n: {
                "settings": asdict(settings[n]),
                "shown": {"chooses by": f"{(selection or len(data.dev)) * (n in choosing):,}"}
                | shown(m, settings[n], counts[n], grid),
            }
            for n, m in found.items()
        },
    }
    trained = {name: count["all"].learning for name, count in counts.items()}
    weights = Path(out) / "weights" if keep_weights else None
    plan = Plan(data, checkpoint, settings, choosing, selection, grid, trained, device, weights)
    jobs = [Job(method, size, seed) for seed in seeds for size in sizes for method in names]
    about = Comparison(
        data=data.name,
        metric=data.metric,
        encoder=str(encoder),
        reporting=reporting,
        selection=choosing_split + (f"; a run sees {selection} of them" if selection else ""),
        examples=len(data.test),
        methods=tuple(names),
        notes=(*notes, *dataset.notes),
        command=command,
    )
    require_same({key: setup[key] for key in ("data_digest", "encoder_digest")})
    if rank() > 0:
        work(plan)
        return from_first(about)
    with open_log(Path(out), setup) as log:
        try:
            at_once = max(processes, world_size())
            late = _run_rounds(plan, jobs, log, at_once, budget_minutes, started, progress)
            about = replace(about, notes=(*late, *about.notes))
        except KeyboardInterrupt:
            if progress:
                done = sum(job in log.done for job in jobs)
                print(
                    f"\n{done} of {len(jobs)} runs are finished and reported in {out}/report.md; "
                    "the same command goes on with the others",
                    file=sys.stderr,
                )
            raise
        finally:
            about = log.complete(about, jobs)
            if log.done:
                write(Path(out), about)
    send_home()
    return from_first(about)


def _distinct(name: str, numbers: int | Sequence[int], least: int) -> list[int]:
    numbers = [numbers] if isinstance(numbers, int) else list(dict.fromkeys(numbers))
    if not numbers or min(numbers) < least:
        raise MiniftError(f"{name} must be whole numbers from {least} up, got {numbers}")
    return numbers


def _run_rounds(
    plan: Plan,
    jobs: Sequence[Job],
    log: RunLog,
    processes: int,
    budget_minutes: float | None,
    started: float,
    progress: bool,
) -> list[str]:
    """Do what is not done yet; with a budget seed by seed. Return a note if time ran out."""
    pending = [job for job in jobs if job not in log.done]
    rounds = [pending] if budget_minutes is None else _by_seed(pending)
    with tqdm(
        total=len(jobs),
        initial=len(jobs) - len(pending),
        unit="run",
        disable=None if progress else True,
    ) as bar:
        for batch in rounds:
            if budget_minutes is not None:
                walls = {(r.method, r.labels): r.wall_seconds for r in log.done.values()}
                needed = sum(walls.get((j.method, j.labels), 0.0) for j in batch) / processes / 60
                left = budget_minutes - (time.monotonic() - started) / 60
                if needed > left:
                    return [
                        f"stopped before seed {batch[0].seed}: its runs would take about "
                        f"{needed:.1f} minutes, and {max(0.0, left):.1f} of the budget of "
                        f"{budget_minutes:g} were left; the same command goes on"
                    ]
            for run in run_all(plan, batch, processes, lambda job: bar.set_postfix_str(str(job))):
                log.add(run)
                bar.update()
                bar.set_postfix_str(f"{run.method}: {100 * run.test:.1f}")
    return []


def _by_seed(jobs: Sequence[Job]) -> list[list[Job]]:
    return [list(batch) for _, batch in groupby(jobs, key=lambda job: job.seed)]
