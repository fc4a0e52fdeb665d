"""One run of a comparison, here, in a process of its own, or in one of torchrun's.

Claim    A run is a function of its plan and its job: it comes out the same wherever and in
         whatever order it is done, and tells what it cost.
Differs  - A run whose loss is not finite is a result, not an error: it failed, and counts with
           the score of a constant answer. Left out, it would flatter its method.
         - On Linux the kernel's peak of memory is set back before each run (after the allocator
           has given back what earlier runs left). Elsewhere a process knows only the peak since
           it began, and the report says "at most"; in a process of its own it is exact.
Proof    tests/compare/test_grid.py
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import math
import multiprocessing
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from minift.checkpoints.weights import save_pretrained
from minift.compare.report import Run
from minift.data.examples import (
    Dataset,
    Example,
    TextExample,
    gold_classes,
    gold_numbers,
    gold_tags,
)
from minift.data.metrics import (
    collapsed,
    evaluate_classification,
    evaluate_regression,
    evaluate_tagging,
    headline,
    majority_baseline,
)
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.determinism import deterministic, inherited
from minift.runs.evaluate import Evaluation
from minift.runs.machine import machine
from minift.runs.processes import alone, store, world_size
from minift.runs.train import subset, train
from minift.runs.tuned import FineTuned
from minift.training.loop import Diverged, Seeds, Settings

POLL = 0.1  # seconds between two looks
GRID = (1.0, 1 / 3, 3.0)  # factors on a method's rate; of equal scores the first wins


@dataclass(frozen=True)
class Plan:
    """What all runs of a comparison share.

    Args:
        data: its `dev` is the selection split, its `test` the reporting split.
        encoder: folder of the checkpoint.
        settings: of each method.
        choosing: methods that choose something by the selection split.
        selection: how many of its examples a run may see; None for all.
        grid: try each method at several rates and choose by the selection split.
        trained: parameters that learn, for each method.
        device: where to train.
        weights: folder for the weights, or None.
    """

    data: Dataset
    encoder: Path
    settings: dict[str, Settings]
    choosing: frozenset[str]
    selection: int | None
    grid: bool
    trained: dict[str, int]
    device: str
    weights: Path | None


@dataclass(frozen=True)
class Job:
    """One run to do."""

    method: str
    labels: int
    seed: int

    def __str__(self) -> str:
        return f"{self.method}, {self.labels} labels, seed {self.seed}"


def run_all(
    plan: Plan, jobs: Sequence[Job], processes: int, on_start: Callable[[Job], None]
) -> Iterator[Run]:
    """Yield each run as soon as it is finished.

    Args:
        plan, jobs: what to do.
        processes: 1 does the runs here; more does each in a fresh process, so many at a time,
            each with its share of the threads. In the first of several ranks all of them do
            runs, see `work`.
        on_start: hears of each job.

    Raises:
        MiniftError: a run cannot go on, or its process was killed.
    """
    if world_size() > 1:
        yield from _deal(plan, jobs, on_start)
        return
    if processes == 1:
        for job in jobs:
            on_start(job)
            yield run_once(plan, job)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // processes)
    waiting = deque(jobs)
    running: dict[Connection, tuple[SpawnProcess, Job]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.popleft()
                on_start(job)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(sender, plan, job, threads))
                process.start()
                sender.close()  # the child has its own end; ours would hide its death
                running[receiver] = process, job
            ready = wait(list(running))
            for receiver in [receiver for receiver in running if receiver in ready]:
                process, job = running[receiver]
                try:
                    outcome = receiver.recv()
                except EOFError:
                    process.join()
                    raise MiniftError(
                        f"the process of {job} ended with exit code {process.exitcode} (-9 is "
                        "most often a lack of memory: take fewer --processes); finished runs "
                        "are kept, and the same command goes on"
                    ) from None
                process.join()
                del running[receiver]
                if isinstance(outcome, MiniftError):
                    raise outcome
                yield outcome
    finally:
        for process, _ in running.values():
            process.kill()


def work(plan: Plan) -> None:
    """Do runs, one after the other, until there are no more: the part of each rank.

    Each takes the next job as soon as it is free, so long runs hold nobody up. Jobs and runs are
    words in the store that all ranks can read.
    """
    words = store()
    while True:
        number = words.add("taken", 1)  # from 1
        while not words.check([f"job {number}"]):  # it may take a while, so no time limit
            time.sleep(POLL)
        if not (job := words.get(f"job {number}")):
            return
        with alone():
            run = run_once(plan, Job(**json.loads(job)))
        words.set(f"run {number}", json.dumps(asdict(run)))


def _deal(plan: Plan, jobs: Sequence[Job], on_start: Callable[[Job], None]) -> Iterator[Run]:
    """Deal jobs to all ranks, and yield each run as soon as it is finished: the part of rank 0.

    Its own runs are done by a thread, so that it hears of the others' meanwhile.
    """
    words = store()
    failed: list[BaseException] = []

    def own() -> None:
        try:
            work(plan)
        except BaseException as error:
            failed.append(error)

    first = words.add("dealt", 0) + 1  # a comparison with a budget deals round after round
    words.add("dealt", len(jobs))
    waiting = dict(enumerate(jobs, first))
    for number, job in waiting.items():
        words.set(f"job {number}", json.dumps(asdict(job)))
    if first == 1:
        threading.Thread(target=own, daemon=True).start()
    while waiting:
        for number in [n for n in waiting if words.check([f"run {n}"])]:
            on_start(waiting.pop(number))
            yield Run(**json.loads(words.get(f"run {number}")))
        if failed:
            raise failed[0]
        time.sleep(POLL)


def send_home() -> None:
    """Tell all ranks that there are no more jobs."""
    if world_size() > 1:
        dealt = store().add("dealt", 0)
        for number in range(dealt + 1, dealt + 1 + world_size()):
            store().set(f"job {number}", "")


def _child(sender: Connection, plan: Plan, job: Job, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and decides
    torch.set_num_threads(threads)
    try:
        with deterministic(inherited()):
            sender.send(run_once(plan, job, fresh=True))
    except MiniftError as error:
        sender.send(error)


def run_once(plan: Plan, job: Job, fresh: bool = False) -> Run:
    """Train, score and measure.

    Args:
        plan, job: what to do.
        fresh: this process has done no run before.
    """
    started = time.perf_counter()
    exact = _reset_peak(plan.device) or fresh
    data, base = plan.data, plan.settings[job.method]
    dev = subset(data.dev, plan.selection, job.seed) if data.dev else ()
    chooses = job.method in plan.choosing
    seen = replace(data, dev=dev if chooses else (), test=())
    best: tuple[FineTuned, dict[str, Any], float] | None = None
    notes: list[str] = []
    for factor in GRID if plan.grid else (1.0,):
        rate = base.learning_rate * factor
        try:
            tuned, result = train(
                seen,
                plan.encoder,
                recipe(job.method),
                labels=job.labels,
                seeds=Seeds.all(job.seed),
                settings=replace(base, learning_rate=rate),
                device=plan.device,
            )
        except Diverged as error:
            notes.append(str(error))
        else:
            if best is None or result["dev"] > best[1]["dev"]:
                best = tuned, result, rate
    seconds = time.perf_counter() - started

    train_labels = subset(data.train, job.labels, job.seed)
    constant = constant_score(data, train_labels, data.test)
    if best is None:
        failed, test = True, constant
        dev_score = constant_score(data, train_labels, dev) if dev else None
        result, rate = {"epochs": 0, "stopped": notes[-1]}, base.learning_rate
    else:
        tuned, result, rate = best
        found = tuned.evaluate(data.test)
        test, dev_score = headline(data.metric, found.scores), result["dev"]
        if dev and dev_score is None:
            dev_score = headline(data.metric, tuned.evaluate(dev).scores)
        if failed := gave_up(found, data.test):
            notes.append("every prediction is the same")
        if plan.weights:
            name = f"{job.method}-{job.labels}-s{job.seed}".replace(":", "").replace(",", "-")
            save_pretrained(tuned.model, tuned.tokenizer, plan.weights / name)
    trained = plan.trained[job.method]
    return Run(
        method=job.method,
        seed=job.seed,
        labels=job.labels,
        dev=dev_score,
        test=test,
        trainable_parameters=trained,
        seconds=round(seconds, 2),
        peak_mb=_peak_mb(plan.device),
        failed=failed,
        epochs=result["epochs"],
        learning_rate=rate,
        stopped=result["stopped"],
        selection_examples=len(dev) if chooses else 0,
        constant=constant,
        stored_bytes=4 * trained,
        peak_exact=exact,
        wall_seconds=round(time.perf_counter() - started, 2),
        threads=torch.get_num_threads(),
        machine=machine(plan.device),
        note="; ".join(notes),
    )


def constant_score(data: Dataset, train: Sequence[Example], examples: Sequence[Example]) -> float:
    """Score the best answer that reads no text: the commonest class, "O", or the mean."""
    if data.task == "tagging":
        tags = gold_tags(examples)
        scores = evaluate_tagging(tags, [["O"] * len(sentence) for sentence in tags])
    elif data.task == "regression":
        mean = sum(gold_numbers(train)) / len(train)
        scores = evaluate_regression(gold_numbers(examples), [mean] * len(examples))
    else:
        gold = gold_classes(examples)
        answers = majority_baseline(gold_classes(train), gold, data.labels)
        scores = evaluate_classification(gold, answers, data.labels)
    return headline(data.metric, scores)


def gave_up(found: Evaluation, examples: Sequence[Example]) -> bool:
    """Tell whether a model predicts the same for everything, or numbers that are not finite."""
    predicted = found.predicted
    gold = [e.label for e in examples if isinstance(e, TextExample) and e.label is not None]
    if not gold:
        predicted = [tag for tags in predicted for tag in tags]
        gold = [tag for tags in gold_tags(examples) for tag in tags]
    finite = all(math.isfinite(p) for p in predicted if isinstance(p, float))
    return not finite or collapsed(predicted, gold) is not None


def _reset_peak(device: str) -> bool:
    """Forget the peak of earlier runs; say whether that was possible."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return True
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries lack it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # see man 5 proc
    except OSError:
        return False
    return True


def _peak_mb(device: str) -> float | None:
    """Return the largest memory since `_reset_peak`, in 10**6 bytes; None if it is unknown."""
    if device.startswith("cuda"):
        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    with contextlib.suppress(OSError, StopIteration):
        # not ru_maxrss, which a child process has from its parent
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, else kilobytes
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
