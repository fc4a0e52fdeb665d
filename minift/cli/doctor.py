"""`minift doctor`: is everything there, and how many threads are best on this machine?

Claim    Each line says what was looked at, what was found and, where something is wrong, what to
         do. The number of threads is measured, not guessed: training steps of a small BERT with
         1, 2, 4, ... threads in turn; the fewest of those that are as fast are recommended.
Differs  Versions are compared with the ranges that pyproject.toml states and the tests ran with;
         pip checks them when it installs minift, and never again.
Proof    tests/cli/test_doctor.py
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from packaging.version import Version

from minift.bert.config import BertConfig
from minift.bert.heads import SequenceClassifier
from minift.checkpoints.hub import cached
from minift.checkpoints.weights import random_model
from minift.cli import options
from minift.data.embedded import EMBEDDED_SETS
from minift.data.named import NAMED_SETS
from minift.errors import MiniftError
from minift.files import minift_home
from minift.speed.precision import processor_flags, require_bf16
from minift.training.batches import Item, make_batch
from minift.training.loop import Settings, adamw, cross_entropy, everything, select

OLDEST_PYTHON = (3, 10)
# As in pyproject.toml: at least the first, below the second.
TESTED: dict[str, tuple[str, str | None]] = {
    "torch": ("2.6", "2.14"),
    "tokenizers": ("0.20", "0.24"),
    "numpy": ("1.24", "3"),
    "safetensors": ("0.4.3", "0.9"),
    "huggingface_hub": ("0.24", "3"),
    "filelock": ("3.30", "5"),
    "jinja2": ("3.1", "4"),
    "tqdm": ("4.60", "5"),
    "packaging": ("23", None),
}
AS_FAST = 0.95  # of the best rate: fewer threads that reach it are chosen


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "what is there, what is missing, and how many threads are fastest"
    parser = options.command(commands, "doctor", run, help)
    parser.add_argument("--encoder", default="minilm", help=options.ENCODER)
    help = "how long to measure numbers of threads; 0 leaves it out"
    parser.add_argument("--seconds", type=float, default=20.0, help=help)


def run(arguments: options.Arguments) -> None:
    """Look at everything."""
    doctor(arguments.encoder, arguments.seconds)


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's answer.

    Args:
        what: what was looked at.
        state: "fix": minift will not work; "note": it works, but somebody should know.
        says: what was found, and what to do.
    """

    what: str
    state: Literal["ok", "note", "fix"]
    says: str

    def __str__(self) -> str:
        return f"{self.state:<5}{self.what:<17}{self.says}"


def doctor(
    encoder: str = "minilm", seconds: float = 20.0, show: Callable[[object], None] = print
) -> None:
    """Look at everything, and show each finding as soon as it is known.

    Args:
        encoder: the one you mean to work with.
        seconds: how long to measure threads; 0 leaves that out.
        show: prints a line.

    Raises:
        MiniftError: at the end, if something must be fixed.
    """
    from minift.runs.machine import machine

    show(machine())
    wrong = []
    for finding in findings(encoder):
        show(finding)
        if finding.state == "fix":
            wrong.append(finding.what)
    if seconds > 0:
        show(threads_finding(measure_threads(seconds), torch.get_num_threads()))
    if wrong:
        raise MiniftError(f"please fix {', '.join(wrong)} (see above)")


def findings(encoder: str) -> Iterator[Finding]:
    """Yield what the installation has and lacks; nothing is measured or fetched."""
    yield python_finding(sys.version_info[:3])
    for name in TESTED:
        try:
            yield version_finding(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "fix", f"is not installed: pip install {name}")
    yield encoder_finding(encoder)
    yield data_finding()
    yield gpu_finding()
    yield bf16_finding(processor_flags())


def python_finding(version: tuple[int, ...]) -> Finding:
    """Say whether this Python is new enough."""
    shown, oldest = (".".join(map(str, v)) for v in (version, OLDEST_PYTHON))
    if version < OLDEST_PYTHON:
        return Finding("python", "fix", f"{shown}; minift needs {oldest} or newer")
    return Finding("python", "ok", shown)


def version_finding(name: str, version: str) -> Finding:
    """Compare an installed version with the range that was tested."""
    low, below = TESTED[name]
    tested = f"tested from {low}" + (f" up to, not including, {below}" if below else "")
    release = Version(version).release  # without 0a0, +cpu
    if release < Version(low).release:
        wanted = f"{name}>={low}" + (f",<{below}" if below else "")
        remedy = f'too old ({tested}): pip install --upgrade "{wanted}"'
        return Finding(name, "fix", f"{version} is {remedy}")
    if below and release >= Version(below).release:
        return Finding(name, "note", f"{version} is newer than what was {tested}")
    return Finding(name, "ok", f"{version} ({tested})")


def encoder_finding(name: str) -> Finding:
    """Say whether an encoder is on this machine, without asking the network."""
    folder = cached(name)
    if folder is not None:
        return Finding(f"encoder {name}", "ok", str(folder))
    return Finding(
        f"encoder {name}",
        "note",
        f'not on this machine; "minift info {name}" fetches it; "tiny" is in the package',
    )


def data_finding() -> Finding:
    """Say which named sets can be read here."""
    home = os.environ.get("MINIFT_DATA")
    roots = [*([Path(home)] if home else []), minift_home() / "data"]
    there = [
        name
        for name, spec in NAMED_SETS.items()
        if any(all((root / name / file).is_file() for file in spec.files) for root in roots)
    ]
    embedded = f"in the package: {', '.join(EMBEDDED_SETS)}"
    if home and not Path(home).is_dir():
        return Finding(
            "data", "note", f"MINIFT_DATA names {home}, which is not a folder; {embedded}"
        )
    if not there:
        looked = ", ".join(map(str, roots))
        remedy = "data_scripts/fetch_dataset.py NAME gets a public set"
        return Finding("data", "ok", f"{embedded}; no other in {looked}; {remedy}")
    return Finding("data", "ok", f"{embedded}; also here: {', '.join(there)}")


def gpu_finding() -> Finding:
    """Say whether PyTorch sees a GPU, and if not, whether one seems to be there."""
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        return Finding("GPU", "ok", f"{about.name}, {about.total_memory / 1e9:.0f} GB")
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", "ok", "none; minift computes on the processor")
    built = torch.version.cuda
    reason = (
        f"built for CUDA {built} (is the driver too old?)" if built else "a build for CPUs only"
    )
    return Finding(
        "GPU",
        "note",
        f"there seems to be one (nvidia-smi is installed), but this PyTorch sees none; it is "
        f"{reason}; see pytorch.org/get-started",
    )


def bf16_finding(flags: frozenset[str] | None) -> Finding:
    """Say whether bf16 makes sense on this processor."""
    try:
        flag = require_bf16(flags)
    except MiniftError as error:
        return Finding("bf16", "ok", str(error))
    says = f"the processor has it ({flag}): --precision bf16 is faster (see README)"
    return Finding("bf16", "ok", says)


def cores() -> int:
    """Return how many cores this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def measure_threads(seconds: float, candidates: Sequence[int] | None = None) -> dict[int, float]:
    """Measure training speed by number of threads.

    Args:
        seconds: how long to measure; each candidate gets at least two steps.
        candidates: numbers of threads; None takes 1, 2, 4, ... and the number of cores.

    Returns:
        Threads -> texts per second (the median step). torch's own number is as before.
    """
    if candidates is None:
        most = cores()
        candidates = sorted({most, *(2**n for n in range(most.bit_length()) if 2**n <= most)})
    step, texts = _training_step()
    before = torch.get_num_threads()
    taken: dict[int, list[float]] = {threads: [] for threads in candidates}
    began = time.perf_counter()
    try:
        while True:
            for threads in candidates:  # in turn: a machine's speed drifts
                torch.set_num_threads(threads)
                step()  # the threads start, and caches fill
                started = time.perf_counter()
                step()
                taken[threads].append(time.perf_counter() - started)
            rounds = len(taken[candidates[0]])
            if rounds >= 2 and time.perf_counter() - began >= seconds:
                break
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
        max_position_embeddings=64,
        labels=("no", "yes"),
    )
    model = random_model(SequenceClassifier, config, torch.Generator().manual_seed(0)).train()
    parameters = select(model, everything)
    optimizer = adamw(parameters, Settings())
    lengths = [10 + 2 * n for n in range(16)]  # 25 tokens on average, as sentences have
    ids = torch.Generator().manual_seed(0)
    batch = make_batch(
        [
            Item(n, torch.randint(5, 1000, (k,), generator=ids).tolist(), [0] * k, [0], [n % 2])
            for n, k in enumerate(lengths)
        ]
    )

    def step() -> None:
        cross_entropy(model, batch).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step, len(lengths)


def choose_threads(rates: Mapping[int, float]) -> int:
    """Return the fewest threads that reach nearly the best rate; the rest is left to others."""
    best = max(rates.values())
    return min(threads for threads, rate in rates.items() if rate >= AS_FAST * best)


def threads_finding(rates: Mapping[int, float], current: int) -> Finding:
    """Say how many threads to use, why, and how; `current`: as many as torch uses now."""
    chosen = choose_threads(rates)
    fastest = max(rates, key=lambda threads: rates[threads])
    table = ", ".join(f"{threads}: {rate:.0f}" for threads, rate in rates.items())
    if chosen == fastest:
        reason = "the fastest"
    else:
        reason = f"no more than {1 - AS_FAST:.0%} slower than {fastest}, and leaves cores to others"
    says = f"{chosen}, {reason} (threads: texts per second in training {table})"
    if chosen == current:
        return Finding("threads", "ok", f"{says}; that is what torch uses here")
    how = f"torch uses {current}; set OMP_NUM_THREADS={chosen} before you start minift"
    return Finding("threads", "note", f"{says}; {how}")
