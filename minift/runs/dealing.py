"""Deal jobs out to processes: each takes the next one as soon as it is free.

Claim    A job's result is yielded as soon as it is there, whichever process it comes from; and a
         process that dies ends the work with a sentence that says which and why. It is the same
         for processes started here and for those of torchrun: jobs and results are entries of a
         store that all of them can read, a file on this machine or torchrun's own.
Differs  Jobs and results are JSON, so nothing that another process wrote is unpickled.
Proof    tests/runs/test_dealing.py, tests/runs/test_processes.py
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from minift.errors import MiniftError
from minift.runs.determinism import deterministic, inherited
from minift.runs.processes import alone, store, world_size

POLL = 0.05  # seconds between two looks
_OWN = "jobs of the first rank"
Json = Any  # a number, a text, or a list or dictionary of such


def deal(
    do: Callable[[Json], Json], jobs: Sequence[Json], processes: int = 1
) -> Iterator[tuple[Json, Json]]:
    """Do jobs, and yield each with its result as soon as it is finished.

    Args:
        do: with several processes a function of a module, or a `partial` of one.
        processes: 1 does the jobs here; with more each has its share of the threads. Where
            torchrun has started several processes these do the jobs, see `work`.

    MiniftError: what a job raised, or a sentence about a process that died.
    """
    if world_size() > 1:
        yield from _dealt_to_ranks(do, jobs)
    elif processes == 1:
        for job in jobs:
            yield job, do(job)
    else:
        yield from _dealt_to_children(do, jobs, processes)


def work(do: Callable[[Json], Json], entries: dist.Store | None = None, name: str = "") -> None:
    """Do jobs, one after the other, until there are no more: the part of each process.

    They are in `entries`, None for torchrun's, where the process of this name notes what it does.
    """
    entries = entries or store()
    while True:
        number = entries.add("taken", 1)  # from 1
        while not entries.check([f"job {number}"]):  # it may take a while, so no time limit
            time.sleep(POLL)
        job = json.loads(entries.get(f"job {number}"))
        if job is None:
            return
        _put(entries, f"doing {name}", job)
        try:
            with alone():
                outcome = {"result": do(job)}
        except MiniftError as error:
            outcome = {"error": str(error)}
        _put(entries, f"result {number}", outcome)


def send_home() -> None:
    """Tell all processes of torchrun that there are no more jobs."""
    if world_size() > 1:
        dealt = store().add("dealt", 0)
        for number in range(dealt + 1, dealt + 1 + world_size()):
            _put(store(), f"job {number}", None)
        for thread in threading.enumerate():
            if thread.name == _OWN:  # killed in the store's code at exit, it would abort us
                thread.join()


def _put(entries: dist.Store, name: str, value: object) -> None:
    entries.set(name, json.dumps(value))


def _collected(
    entries: dist.Store, jobs: Sequence[Json], check: Callable[[], None]
) -> Iterator[tuple[Json, Json]]:
    """Lay the jobs out, and yield the results as they come; `check` raises if none will."""
    first = entries.add("dealt", 0) + 1
    entries.add("dealt", len(jobs))
    waiting = dict(enumerate(jobs, first))
    for number, job in waiting.items():
        _put(entries, f"job {number}", job)
    while waiting:
        for number in [n for n in waiting if entries.check([f"result {n}"])]:
            outcome = json.loads(entries.get(f"result {number}"))
            if "error" in outcome:
                raise MiniftError(outcome["error"])
            yield waiting.pop(number), outcome["result"]
        check()
        time.sleep(POLL)


def _dealt_to_ranks(
    do: Callable[[Json], Json], jobs: Sequence[Json]
) -> Iterator[tuple[Json, Json]]:
    """The part of the first rank, whose own jobs are done by a thread that lives on."""
    failed: list[BaseException] = []
    entries = store()

    def own() -> None:
        try:
            work(do, entries)
        except BaseException as error:
            failed.append(error)

    def check() -> None:
        if failed:
            raise failed[0]

    if entries.add("first thread", 1) == 1:
        threading.Thread(target=own, name=_OWN, daemon=True).start()
    yield from _collected(entries, jobs, check)


def _dealt_to_children(
    do: Callable[[Json], Json], jobs: Sequence[Json], processes: int
) -> Iterator[tuple[Json, Json]]:
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // processes)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = str(Path(folder) / "entries")
        entries = dist.FileStore(file, -1)
        children: list[SpawnProcess] = []

        def check() -> None:
            for number, child in enumerate(children):
                if child.exitcode is not None:
                    doing = f"doing {number}"
                    known = entries.check([doing])
                    job = json.loads(entries.get(doing)) if known else "a job"
                    if isinstance(job, dict):
                        job = ", ".join(f"{name} {value}" for name, value in job.items())
                    raise MiniftError(
                        f"the process of {job} ended with exit code {child.exitcode} (-9 is most "
                        "often a lack of memory: take fewer --processes); finished runs are kept, "
                        "and the same command resumes"
                    )

        try:
            for number in range(min(processes, len(jobs))):
                arguments = (do, file, str(number), threads)
                children.append(context.Process(target=_child, args=arguments, daemon=True))
                children[-1].start()
            yield from _collected(entries, jobs, check)
        finally:
            for child in children:
                child.kill()
            for child in children:
                child.join()


def _child(do: Callable[[Any], Any], file: str, name: str, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and decides
    torch.set_num_threads(threads)
    with deterministic(inherited()):
        work(do, dist.FileStore(file, -1), name)
