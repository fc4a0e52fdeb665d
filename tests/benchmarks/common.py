"""How programs are timed and compared: in turn, as ratios with their spread.

Machines are noisy and drift, so two programs are measured in turn (A B A B ...) in one run, and
what is reported is the ratio within each round: its median, the lowest and the highest. Before
anything is timed, `same` makes sure that both compute the same.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from minift.files import atomic_write
from minift.runs.machine import machine as described

Program = Callable[[], float]  # does its work once; returns what that cost (seconds, megabytes)


class NotTheSame(AssertionError):
    """Two programs that were to be compared do not compute the same."""


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Args:
        name: as on the command line.
        work: in words.
        goal: of `ratio`; None where there is none.
        goal_is: whether `ratio` must be at least or at most the goal.
        ratio, low, high: median and range over the rounds; None if not measured.
        ours, theirs: median costs, or rates where `unit` says so.
        unit: of `ours` and `theirs`.
        fraction_of_bound: share of what matrix products alone would allow, and its goal.
        note: what a reader must know; why, if not measured.
    """

    name: str
    work: str
    goal: float | None
    goal_is: str = "at least"
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    ours: float | None = None
    theirs: float | None = None
    unit: str = ""
    fraction_of_bound: float | None = None
    fraction_goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goals are reached; None without a goal or a measurement."""
        if self.ratio is None or self.goal is None:
            return None
        fast = self.ratio >= self.goal if self.goal_is == "at least" else self.ratio <= self.goal
        share = self.fraction_goal is None or (self.fraction_of_bound or 0) >= self.fraction_goal
        return fast and share

    def line(self) -> str:
        """Return the row as text."""
        if self.ratio is None:
            return f"{self.name:<16}{self.work:<52}{self.note}"
        words = {None: "", True: "met", False: "NOT MET"}[self.met]
        goal = "no goal" if self.goal is None else f"goal {self.goal_is} {self.goal:g} {words}"
        text = (
            f"{self.name:<16}{self.work:<52}{self.ratio:>7.2f}  [{self.low:.2f}, {self.high:.2f}]"
            f"  {goal}"
        )
        if self.ours is not None and self.theirs is not None:
            text += f"; {self.ours:.4g} / {self.theirs:.4g} {self.unit}"
        if self.fraction_of_bound is not None:
            text += f"; {self.fraction_of_bound:.0%} of the matrix-product bound"
        if self.fraction_goal is not None:
            text += f" (goal {self.fraction_goal:.0%})"
        return text + (f"; {self.note}" if self.note else "")

    def as_dict(self) -> dict:
        """Return the row for JSON."""
        return {**asdict(self), "met": self.met}


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes, until the GPU is done with it, too."""
    finish()
    began = time.perf_counter()
    work()
    finish()
    return time.perf_counter() - began


def finish() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(programs: Sequence[Program], rounds: int, warm_up: bool = True) -> list[list[float]]:
    """Run the programs in turn, after one run of each that is not counted.

    Returns:
        For each program what each round cost.
    """
    for program in programs if warm_up else ():
        program()
    gc.collect()
    gc.freeze()  # what is there stays, and no program pays for looking through it
    costs = [[program() for program in programs] for _ in range(rounds)]
    gc.unfreeze()
    return [list(column) for column in zip(*costs)]


@contextlib.contextmanager
def busy(processes: int) -> Iterator[list[subprocess.Popen]]:
    """Let so many processes compute beside the block; they end with this one, however it ends."""
    spin = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(100_000))"
    started = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(processes)]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.wait()


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """Return the median, the lowest and the highest of a ratio's rounds."""
    return {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def faster(ours: Sequence[float], theirs: Sequence[float], units: int, unit: str) -> dict:
    """Reduce costs in seconds to: how many times as fast as theirs is ours?

    Args:
        ours, theirs: seconds of each round.
        units: how much work a round was.
        unit: what of, for the reader: "texts".

    Returns:
        Fields of `Result`.
    """
    rates = {
        "ours": units / statistics.median(ours),
        "theirs": units / statistics.median(theirs),
        "unit": f"{unit} a second",
    }
    return spread([b / a for a, b in zip(ours, theirs)]) | rates


def costlier(ours: Sequence[float], theirs: Sequence[float], unit: str) -> dict:
    """Reduce costs to: what share of theirs does ours cost? The fields of `Result`."""
    medians = {"ours": statistics.median(ours), "theirs": statistics.median(theirs)}
    return spread([a / b for a, b in zip(ours, theirs)]) | medians | {"unit": unit}


def same(what: str, ours: object, theirs: object, tolerance: float = 1e-4) -> None:
    """Make sure that two programs gave the same numbers, within float32's rounding.

    Args:
        what: the numbers' name, for the error.
        ours, theirs: tensors, numbers, or lists of them, of the same shape.
        tolerance: allowed difference, as a share of the largest number.

    Raises:
        NotTheSame: if they differ, or one is not finite.
    """
    a, b = (torch.as_tensor(x, dtype=torch.float64, device="cpu") for x in (ours, theirs))
    if a.shape != b.shape:
        raise NotTheSame(f"{what}: ours has shape {tuple(a.shape)}, theirs {tuple(b.shape)}")
    apart = float((a - b).abs().max())
    allowed = tolerance * max(1e-3, float(b.abs().max()))
    if not apart <= allowed:  # also where a number is nan
        raise NotTheSame(f"{what}: ours and theirs differ by {apart:.3g}, allowed {allowed:.3g}")


def matmul_rate(
    shapes: Sequence[tuple[int, int, int]],
    enough: float = 0.5,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> float:
    """Return multiplications and additions a second of bare matrix products.

    Args:
        shapes: (m, k, n) of each product (m, k) @ (k, n); all are done equally often.
        enough: seconds to measure for.
        device, dtype: where, and of which numbers.
    """
    numbers = partial(torch.randn, device=device, dtype=dtype)
    products = [(numbers(m, k), numbers(k, n), numbers(m, n)) for m, k, n in shapes]
    often = 1 if torch.device(device).type == "cpu" else 50  # so that waiting for it is not timed
    count, began = 0, math.inf
    while True:
        for left, right, out in products * often:
            torch.matmul(left, right, out=out)
        finish()
        if began == math.inf:  # the first time through is not counted
            began = time.perf_counter()
            continue
        count += often
        taken = time.perf_counter() - began
        if taken >= enough:
            return count * sum(2 * m * k * n for m, k, n in shapes) / taken


def machine(device: str = "cpu") -> str:
    """Describe what the figures were measured on."""
    return f"{described(device)}, {torch.get_num_threads()} threads"


def write(file: Path, rows: Sequence[Result], about: dict, device: str = "cpu") -> None:
    """Write the table as JSON: {"machine", ..., "rows": [{"name", "ratio", "low", ...}]}."""
    content = {"machine": machine(device), **about, "rows": [row.as_dict() for row in rows]}
    atomic_write(file, json.dumps(content, indent=2) + "\n")
