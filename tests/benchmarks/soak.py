"""Does memory stay flat over an hour? Every kind of work, over and over, in one process.

    python -m tests.benchmarks.soak [--minutes 60] [--lines N] --out FOLDER

A cycle fine-tunes (full, head on a cached prefix, BitFit with gradient masks), scores a pool by MC
dropout, answers texts, and reads a file as a stream, each on the embedded `tiny`. After each cycle
the resident memory of the process is noted. With `--lines N` a JSONL file of N lines is first
answered by `minift predict` in a process of its own, whose memory is noted every second.

Written is FOLDER/soak.json: `cycles`, and of each series its samples in MB, the median of its
second and of its last quarter (the first is warming up), and their ratio.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from minift.active.streaming import mc_stream
from minift.data.files.texts import read_texts
from minift.data.named import load_dataset
from minift.files import atomic_write
from minift.methods.recipes import recipe
from minift.runs.machine import machine
from minift.runs.predict import predict
from minift.runs.train import train
from minift.training.loop import Seeds

ENCODER, DATA = "tiny", "reviews"
METHODS = ("full", "head", "bitfit+child-f:0.3")
TEXTS = 512  # scored and answered in a cycle
WORDS = 6  # of a line: what is watched depends on the number of lines, not on their length


def resident(pid: str = "self") -> float:
    """Return the resident memory of a process in MB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def quarters(samples: Sequence[float]) -> dict[str, float]:
    """Compare the second quarter with the last; `samples` has at least four."""
    size = len(samples) // 4
    second, last = samples[size : 2 * size], samples[-size:]
    early, late = statistics.median(second), statistics.median(last)
    return {"second_quarter": round(early, 1), "last_quarter": round(late, 1),
            "ratio": round(late / early, 4), "highest": round(max(samples), 1)}  # fmt: skip


def cycle(lines: Path, seed: int) -> None:
    """Do everything once."""
    dataset = load_dataset(DATA)
    for method in METHODS:
        chosen = recipe(method, ENCODER)
        tuned, _ = train(dataset, ENCODER, chosen, labels=100, seeds=Seeds.all(seed))
        pool = dataset.train[:TEXTS]
        for _ in mc_stream(tuned, pool, passes=5, layers="all", seed=seed):
            pass
        for _ in predict(tuned, islice(read_texts(lines), TEXTS)):
            pass


def write_lines(path: Path, lines: int) -> None:
    """Write the beginnings of the data set's texts over and over."""
    texts = [" ".join(example.text.split()[:WORDS]) for example in load_dataset(DATA).train]
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            row = {"id": number, "text": texts[number % len(texts)]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def watched(command: Sequence[str], every: float = 1.0) -> list[float]:
    """Run a command and return its resident memory, second by second."""
    samples = []
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):  # it may end just now
                samples.append(resident(str(process.pid)))
            time.sleep(every)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return samples


def answered(folder: Path, lines: int) -> dict:
    """Let `minift predict` answer a file of so many lines."""
    tuned, file, out = folder / "model", folder / "lines.jsonl", folder / "answers.jsonl"
    if not (tuned / "result.json").exists():
        train(
            load_dataset(DATA), ENCODER, recipe("head"), labels=100, seeds=Seeds.all(0), out=tuned
        )
    write_lines(file, lines)
    began = time.perf_counter()
    command = [sys.executable, "-m", "minift", "predict", str(tuned), str(file), "--out", str(out)]
    samples = watched(command)
    seconds = time.perf_counter() - began
    with out.open(encoding="utf-8") as found:
        count = sum(1 for _ in found)
    if count != lines:
        raise SystemExit(f"{count} answers to {lines} lines")
    out.unlink()
    return {"lines": lines, "seconds": round(seconds, 1), **quarters(samples), "samples": samples}


def soak(folder: Path, minutes: float, work: Callable[[Path, int], None] = cycle) -> dict:
    """Repeat `work` for so many minutes."""
    file = folder / "few-lines.jsonl"
    write_lines(file, 4 * TEXTS)
    samples: list[float] = []
    for number in _until(minutes):
        work(file, number)
        samples.append(resident())
    return {"minutes": minutes, "cycles": len(samples), **quarters(samples), "samples": samples}


def _until(minutes: float) -> Iterator[int]:
    """Count from 0 until the time is over, but to four at least."""
    began, number = time.monotonic(), 0
    with tqdm(total=round(60 * minutes), unit="s", disable=None) as bar:
        while number < 4 or time.monotonic() - began < 60 * minutes:
            yield number
            number += 1
            bar.n = min(bar.total, round(time.monotonic() - began))
            bar.refresh()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write soak.json, and say what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    found: dict = {"machine": machine()}
    if chosen.lines:
        found["predict"] = answered(chosen.out, chosen.lines)
        atomic_write(chosen.out / "soak.json", json.dumps(found, indent=1) + "\n")
    if chosen.minutes:
        found["soak"] = soak(chosen.out, chosen.minutes)
        atomic_write(chosen.out / "soak.json", json.dumps(found, indent=1) + "\n")
    for name, values in found.items():
        if isinstance(values, dict) and "samples" in values:
            shown = {key: value for key, value in values.items() if key != "samples"}
            print(name, json.dumps(shown))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
