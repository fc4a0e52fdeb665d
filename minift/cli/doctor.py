"""`minift doctor`: is everything there, and how many threads are best on this machine?

Claim    Each line says what was looked at, what was found and, where something is wrong, what to
         do. The number of threads is measured, not guessed: training steps of a small BERT with
         1, 2, 4, ... threads in turn; the fewest of those that are as fast are recommended.
Differs  Versions are compared with the ranges that minift states as a package and the tests ran
         with; pip checks them when it installs minift, and never again.
Proof    tests/cli/test_doctor.py
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch

from minift.bert.config import BertConfig
from minift.bert.heads import SequenceClassifier
from minift.checkpoints.weights import random_model
from minift.cli import options
from minift.errors import MiniftError, require
from minift.speed.precision import processor_flags, require_bf16
from minift.training.batches import Item, make_batch
from minift.training.loop import Settings, adamw, cross_entropy, everything, select

AS_FAST = 0.95  # of the best rate: fewer threads that reach it are chosen


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "what is there, what is missing, and how many threads are fastest"
    _, add = options.command(commands, "doctor", run, help)
    help = "how long to measure numbers of threads; 0 leaves it out"
    add("--seconds", type=float, default=20.0, help=help)


def run(arguments: options.Arguments) -> None:
    """Look at everything, and show each finding as soon as it is known."""
    from minift.runs.machine import machine

    require(arguments.seconds >= 0, "seconds", arguments.seconds, "a number from 0 up")
    print(machine())
    wrong = []
    for finding in findings():
        print(finding)
        if finding.state == "fix":
            wrong.append(finding.what)
    if arguments.seconds > 0:
        rates = measure_threads(arguments.seconds)
        print(threads_finding(rates, torch.get_num_threads()))
    if wrong:
        raise MiniftError(f"please fix {', '.join(wrong)} (see above)")


class Finding(NamedTuple):
    """One line of the doctor's answer."""

    what: str  # was looked at
    state: str  # "ok"; "note": somebody should know; "fix": minift will not work
    says: str  # what was found, and what to do

    def __str__(self) -> str:
        return f"{self.state:<5}{self.what:<17}{self.says}"


def findings() -> Iterator[Finding]:
    """Yield what the installation has and lacks; nothing is measured or fetched."""
    try:
        stated = importlib.metadata.requires("minift") or ()
        yield from (version_finding(needed) for needed in stated if "extra ==" not in needed)
    except importlib.metadata.PackageNotFoundError:
        yield Finding("minift", "note", "is not installed, so nothing states versions: pip install")
    yield gpu_finding()
    yield bf16_finding(processor_flags())


def version_finding(stated: str) -> Finding:
    """Compare the installed version of a package with the range that was tested."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    needed = Requirement(stated)
    name, tested = needed.name, needed.specifier
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "fix", f"is not installed: pip install {name}")
    release = Version(version).base_version  # without a0, +cpu
    if release in tested:
        return Finding(name, "ok", f"{version} (tested: {tested})")
    oldest = next(Version(part.version) for part in tested if part.operator == ">=")
    if Version(release) < oldest:
        return Finding(name, "fix", f'{version} is too old: pip install --upgrade "{needed}"')
    return Finding(name, "note", f"{version} is newer than what was tested: {tested}")


def gpu_finding() -> Finding:
    """Say whether PyTorch sees a GPU, and if not, whether one seems to be there."""
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        return Finding("GPU", "ok", f"{about.name}, {about.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        return Finding("GPU", "ok", "Apple's: --device mps takes it; minift was never run on one")
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", "ok", "none; minift computes on the processor")
    return Finding(
        "GPU",
        "note",
        "there seems to be one (nvidia-smi is installed), but this PyTorch, built for "
        f"{torch.version.cuda or 'CPUs only'}, does not see it; see pytorch.org/get-started",
    )


def bf16_finding(flags: frozenset[str] | None) -> Finding:
    """Say whether bf16 makes sense on this processor."""
    try:
        says = f"the processor has it ({require_bf16(flags)}): --precision bf16 is faster"
    except MiniftError as error:
        says = str(error)
    return Finding("bf16", "ok", says)


def cores() -> int:
    """Return how many cores this process may use, which can be fewer than there are."""
    few = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return few or 1


def measure_threads(seconds: float, candidates: Sequence[int] = ()) -> dict[int, float]:
    """Return the texts per second of the median training step, by number of threads.

    Each of the `candidates` (none: 1, 2, 4, ... and all cores) gets at least two steps.
    """
    most = cores()
    candidates = candidates or sorted({most, *(2**n for n in range(most.bit_length()))})
    step, texts = _training_step()
    before = torch.get_num_threads()
    taken: dict[int, list[float]] = {threads: [] for threads in candidates}
    began = time.perf_counter()
    try:
        while len(taken[candidates[0]]) < 2 or time.perf_counter() - began < seconds:
            for threads in candidates:  # in turn: a machine's speed drifts
                torch.set_num_threads(threads)
                step()  # the threads start, and caches fill
                started = time.perf_counter()
                step()
                taken[threads].append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return {threads: texts / statistics.median(steps) for threads, steps in taken.items()}


def _training_step() -> tuple[Callable[[], None], int]:
    """Return a full training step at MiniLM's widths (two layers), and its number of texts."""
    config = BertConfig(
        vocab_size=1000,
        hidden_size=384,
        num_hidden_layers=2,
        intermediate_size=1536,
        labels=("no", "yes"),
    )
    model = random_model(SequenceClassifier, config, torch.Generator().manual_seed(0)).train()
    optimizer = adamw(select(model, everything), Settings())
    lengths = range(10, 42, 2)  # 25 tokens on average, as sentences have
    batch = make_batch([Item(n, [n] * n, [0] * n, [0], [n % 4 // 2]) for n in lengths])

    def step() -> None:
        cross_entropy(model, batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, len(lengths)


def threads_finding(rates: Mapping[int, float], current: int) -> Finding:
    """Say how many threads to use, why, and how; `current`: as many as torch uses now."""
    enough = AS_FAST * max(rates.values())  # the rest is left to others
    chosen = min(threads for threads, rate in rates.items() if rate >= enough)
    table = ", ".join(f"{threads}: {rate:.0f}" for threads, rate in rates.items())
    says = f"{chosen}, the fewest that are as fast (threads: texts per second in training {table})"
    if chosen == current:
        return Finding("threads", "ok", f"{says}; that is what torch uses here")
    how = f"torch uses {current}; set OMP_NUM_THREADS={chosen} before you start minift"
    return Finding("threads", "note", f"{says}; {how}")
