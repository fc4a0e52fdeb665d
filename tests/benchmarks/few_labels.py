"""Few labels: minift's words against what people would pick instead, on the same draws.

    python -m tests.benchmarks.few_labels --log runs.jsonl [--peers PYTHON]
    python -m tests.benchmarks.few_labels --log runs.jsonl --table > few_labels.md

Accuracy on the test part, and the seconds from the files of the encoder to a model that can answer
(scoring is not in them). Programs see the same labelled texts with the same seed, so that they are
compared draw by draw. Each finished run is one line of the log; a run that is there is not
repeated, so the command may be stopped and given again, with --only, --data, --labels and --seeds
for some of the runs. What is cheap comes first. The programs that are not minift's are in
few_peers.py, and run with --peers, which needs scikit-learn, sentence-transformers, transformers
with accelerate, and for SetFit also setfit and datasets.

sst2        Kim's split
reviews     embedded in minift
ag_news     its published test part alone, split in train and test by a hash of the text
banking10   the ten intents of Banking77 with the most training texts (a tie: by name)
banking77   all of them: ten labelled texts of each intent

Of a test part with more than 2,000 texts, 2,000 are drawn once. SetFit as it comes makes every
pair: above 100 labels it runs only where --only names it, and `setfit:20` (40 pairs per text) runs
instead.

**Goal: at every size the best of minift's words is at least as good as the best of the others
within the interval, in less time than SetFit.** The best of each side is that with the highest
mean over the seeds which all of its side have, so five words choose on the test part what three
programs choose on it, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import torch
from tqdm import tqdm

from minift.checkpoints.hub import resolve
from minift.compare.page import Block, Bullets, Heading, Paragraph, Table, markdown
from minift.compare.statistics import Difference, paired_difference, points, signed
from minift.data.examples import Dataset, Example, as_texts, gold_classes
from minift.data.files.readers import read_dataset
from minift.data.metrics import headline
from minift.data.named import NAMED_SETS, TOPICS, load_dataset, split_by_question
from minift.errors import MiniftError
from minift.files import digest, minift_home
from minift.journal import append_log, read_log
from minift.methods.recipes import recipe
from minift.runs.machine import machine
from minift.runs.train import subset, train
from minift.training.loop import Seeds

WORDS = ("head", "contrastive", "full", "bitfit", "freeze:3")
PEERS = ("logistic", "trainer", "setfit", "setfit:20")
SETFIT = ("setfit", "setfit:20")
ORDER = ("logistic", *WORDS, "trainer", *SETFIT)  # cheap ones first
SEEDS = {what: range(3 if what in ("trainer", *SETFIT) else 5) for what in ORDER}
SIZES = {  # the draws of each set
    "sst2": (16, 50, 100, 300, 1000),
    "reviews": (50, 100, 300),
    "ag_news": (50, 100, 300),
    "banking10": (50, 100, 300),
    "banking77": (770,),
}
EVERY_PAIR = 100  # labels up to which `setfit` runs unasked: pairs grow with their square
OF_EACH = 10  # texts of each class, where the draw is by class
MOST = 2000  # texts of a test part
PROGRAM = Path(__file__).with_name("few_peers.py")


class Key(NamedTuple):
    """What a run is known by."""

    data: str
    labels: int
    what: str
    encoder: str
    seed: int


Log = dict[Key, dict]
Scores = dict[str, dict[int, float | None]]  # of each program, seed by seed; None: it refused


# ---------------------------------------------------------------- the draws


@cache
def load(data: str) -> Dataset:
    """Return a set with its training part, no development part and the texts that are scored."""
    if data == "ag_news":
        examples = NAMED_SETS[data].read(_file(data, "test.csv"))
        training, _, test = split_by_question(examples)
        dataset = Dataset(data, "classification", TOPICS, training, test=test)
    elif data in ("banking10", "banking77"):
        files = [_file("banking77", f"{part}.csv") for part in ("train", "test")]
        dataset = read_dataset(files[0], None, files[1], text="text", label="category", name=data)
        if data == "banking10":
            dataset = most_frequent(dataset, 10)
    else:
        dataset = load_dataset(data)
    test = subset(dataset.test, min(MOST, len(dataset.test)), 0)
    return replace(dataset, dev=(), test=test)


def _file(data: str, name: str) -> Path:
    homes = [Path(home) for home in (os.environ.get("MINIFT_DATA"),) if home]
    places = [home / data / name for home in (*homes, minift_home() / "data")]
    if found := next(filter(Path.is_file, places), None):
        return found
    raise MiniftError(f"{data}: expected {name}, as published, at {places[0]}")


def most_frequent(dataset: Dataset, classes: int) -> Dataset:
    """Return the texts of the classes with the most training texts; by name where they tie."""
    count = Counter(gold_classes(dataset.train))
    kept = sorted(sorted(count), key=lambda name: -count[name])[:classes]
    parts = ([e for e in part if e.label in kept] for part in map(as_texts, _parts(dataset)))
    training, test = map(tuple, parts)
    return replace(dataset, labels=tuple(sorted(kept)), train=training, test=test)


def _parts(dataset: Dataset) -> tuple[Sequence[Example], Sequence[Example]]:
    return dataset.train, dataset.test


def draw(data: str, labels: int, seed: int) -> tuple[Example, ...]:
    """Return the labelled texts: the same for every program."""
    dataset = load(data)
    if data != "banking77":
        return subset(dataset.train, labels, seed)
    if labels != OF_EACH * len(dataset.labels):
        raise MiniftError(f"{data}: {labels} labels; expected {OF_EACH} of each class")
    texts = as_texts(dataset.train)
    of_each = ([e for e in texts if e.label == name] for name in dataset.labels)
    return tuple(e for texts in of_each for e in subset(texts, OF_EACH, seed))


# ---------------------------------------------------------------- the runs


def jobs(arguments: argparse.Namespace) -> Iterator[Key]:
    """Yield the runs that are asked for, in their order."""
    cells = sorted(((data, n) for data, sizes in SIZES.items() for n in sizes), key=lambda c: c[1])
    for what in ORDER:
        for seed in SEEDS[what]:
            for data, labels in cells:
                unasked = {"setfit": labels > EVERY_PAIR, "setfit:20": labels <= EVERY_PAIR}
                asked = (
                    (what, arguments.only),
                    (data, arguments.data),
                    (labels, arguments.labels),
                    (seed, arguments.seeds),
                )
                if unasked.get(what) and not arguments.only:
                    continue
                if all(chosen is None or value in chosen for value, chosen in asked):
                    yield Key(data, labels, what, arguments.encoder, seed)


def measure(key: Key, peers: str) -> dict:
    """Do one run.

    Args:
        key: which.
        peers: the Python that runs programs which are not minift's.

    Returns:
        The line of the log.
    """
    drawn = draw(key.data, key.labels, key.seed)
    dataset = replace(load(key.data), train=drawn)
    found = _peer(key, dataset, peers) if key.what in PEERS else _own(key, dataset)
    texts = [(e.text, e.label) for e in as_texts(drawn)]
    about = {"machine": machine(), "tested": len(dataset.test), "draw": digest(repr(texts))[:16]}
    return {**key._asdict(), **found, **about}


def _own(key: Key, dataset: Dataset) -> dict:
    """Train with a word of minift, all as it comes; keep what it says where it refuses."""
    method = recipe(key.what, key.encoder)
    began, worked = time.perf_counter(), time.process_time()
    try:
        tuned, _ = train(replace(dataset, test=()), key.encoder, method, seeds=Seeds.all(key.seed))
    except MiniftError as error:
        return {"accuracy": None, "refused": str(error)}
    taken, working = time.perf_counter() - began, time.process_time() - worked
    began = time.perf_counter()
    accuracy = headline(dataset.metric, tuned.evaluate(dataset.test).scores)
    return {
        "accuracy": accuracy,
        "seconds": taken,
        "processor_seconds": working,
        "scoring_seconds": time.perf_counter() - began,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__},  # minift's is in `machine`
    }


def _peer(key: Key, dataset: Dataset, python: str) -> dict:
    """Have another program answer; a MiniftError tells what it said if it did not."""
    parts = [[[e.text, e.label] for e in as_texts(part)] for part in _parts(dataset)]
    threads = torch.get_num_threads()
    content = {
        "what": key.what,
        "encoder": str(resolve(key.encoder)),
        "classes": dataset.labels,
        "train": parts[0],
        "test": parts[1],
        "seed": key.seed,
        "threads": threads,
    }
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    with tempfile.TemporaryDirectory() as scratch:
        asked, answer = (Path(scratch) / name for name in ("draw.json", "answer.json"))
        asked.write_text(json.dumps(content), encoding="utf-8")
        done = subprocess.run(
            [python, str(PROGRAM), str(asked), str(answer)],
            env={**os.environ, **limits},
            cwd=scratch,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode or not answer.is_file():
            said = "\n".join(done.stderr.splitlines()[-15:])
            raise MiniftError(f"{key.what} with {python} ended with {done.returncode}:\n{said}")
        return json.loads(answer.read_text(encoding="utf-8"))


def finished(path: Path) -> Log:
    """Return the runs of a file; a last line that was cut off does not count."""
    runs = {}
    for number, run in enumerate(read_log(path), 1):
        if lacks := {*Key._fields, "accuracy"} - run.keys():
            lacking = ", ".join(sorted(lacks))
            raise MiniftError(f"{path}: line {number} is not a finished run: it lacks {lacking}")
        runs[Key(*(run[name] for name in Key._fields))] = run
    return runs


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class Verdict:
    """The best of minift's words against the best of the others, at one size."""

    data: str
    labels: int
    own: str
    peer: str
    difference: Difference  # accuracy, own minus peer, over the seeds that both have
    seconds: float  # of the processor, `own`
    setfit: float | None  # the same of SetFit (the faster, if both have run); None: it has not run

    @property
    def good(self) -> bool:
        """Whether the interval, or without one the mean, does not lie below 0."""
        _, high = self.difference.interval or (0, self.difference.mean)
        return high >= 0

    @property
    def fast(self) -> bool | None:
        """Whether it takes less time than SetFit; None if that is not known."""
        return None if self.setfit is None else self.seconds < self.setfit

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None if that is not known."""
        return False if not self.good else self.fast

    def size(self) -> str:
        """Name the size."""
        return f"{self.data}, {self.labels:,} labels"

    def why(self) -> str:
        """Say what is missing from the goal."""
        reasons = []
        if not self.good:
            ends = f" ({_interval(self.difference)})" if self.difference.interval else ""
            lost = f"{self.own} is {points(-self.difference.mean)} points below {self.peer}{ends}"
            reasons.append(f"{lost}, {_seeds(len(self.difference.differences))}")
        if self.fast is False:
            reasons.append(
                f"{self.own} takes {_spent(self.seconds)} s, SetFit {_spent(self.setfit)} s"
            )
        return f"{self.size()}: {'; '.join(reasons)}"


def best(scores: Scores, names: Sequence[str]) -> str | None:
    """Return the program with the highest mean over the seeds that all of `names` have.

    One that has not run is left out, and so is one that refused a draw; None if nothing is left.
    """
    there = {n: scores[n] for n in names if n in scores and None not in scores[n].values()}
    if not there:
        return None
    shared = set.intersection(*(set(found) for found in there.values()))
    means = {n: fmean(found[seed] for seed in shared) for n, found in there.items() if shared}
    return max(means, key=lambda n: means[n], default=None)


def verdict(data: str, labels: int, runs: Log) -> Verdict | None:
    """Compare the two sides at one size; None while no seed can be compared."""
    scores = scores_at(data, labels, runs)
    own, peer = best(scores, WORDS), best(scores, PEERS)
    if own is None or peer is None:
        return None
    common = sorted(scores[own].keys() & scores[peer].keys())
    if not common:
        return None
    pairs = ([scores[name][seed] for seed in common] for name in (own, peer))
    spent = {
        what: seconds_at(data, labels, what, runs)
        for what in (own, *SETFIT)
        if any(accuracy is not None for accuracy in scores.get(what, {}).values())
    }
    setfit = min((spent[what] for what in SETFIT if what in spent), default=None)
    return Verdict(data, labels, own, peer, paired_difference(*pairs), spent[own], setfit)


def scores_at(data: str, labels: int, runs: Log) -> Scores:
    """Return the accuracies at one size."""
    scores: Scores = {}
    for key, run in runs.items():
        if (key.data, key.labels) == (data, labels):
            scores.setdefault(key.what, {})[key.seed] = run["accuracy"]
    return scores


def seconds_at(data: str, labels: int, what: str, runs: Log) -> float:
    """Return the mean processor seconds of a program at one size, where it did not refuse."""
    at = [run for key, run in runs.items() if key[:3] == (data, labels, what)]
    return fmean(run["processor_seconds"] for run in at if run["accuracy"] is not None)


def table(runs: Log) -> str:
    """Return the page: a table per data set, the comparison, and what the goal lacks."""
    sizes = [(data, n) for data, all in SIZES.items() for n in all if scores_at(data, n, runs)]
    verdicts = [found for size in sizes if (found := verdict(*size, runs))]
    blocks: list[Block] = [
        Heading("Few labels, against what people would pick instead", 1),
        Paragraph(
            "Mean accuracy on the test part in points (standard deviation over seeds), and "
            "processor seconds from the files of the encoder to a model that can answer. "
            "tests/benchmarks/few_labels.py says how, and measures it again."
        ),
        Bullets(_about(runs)),
    ]
    for data in dict.fromkeys(data for data, _ in sizes):
        columns = [n for name, n in sizes if name == data]
        tested = {run["tested"] for key, run in runs.items() if key.data == data}
        rows = [(what, *(_cell(data, n, what, runs) for n in columns)) for what in ORDER]
        header = (f"{data}, {_listed(tested)} test texts", *(f"{n:,} labels" for n in columns))
        blocks.append(Table(header, tuple(row for row in rows if any(row[1:]))))
    header = (
        "size", "best of minift", "best of the others", "difference (95 % interval)", "seeds",
        "seconds", "SetFit's", "goal",
    )  # fmt: skip
    words = {None: "not known", True: "met", False: "NOT MET"}
    rows = [
        (
            v.size(), v.own, v.peer, f"{signed(v.difference.mean)} ({_interval(v.difference)})",
            str(len(v.difference.differences)), _spent(v.seconds),
            _spent(v.setfit), words[v.met],
        )
        for v in verdicts
    ]  # fmt: skip
    met = sum(v.met is True for v in verdicts)
    unknown = sum(v.met is None for v in verdicts)
    goal = (
        "Goal: at every size the best of minift's words is at least as good as the best of the "
        f"others within the interval, in less time than SetFit. It is met at {met} of "
        f"{len(verdicts)} sizes" + (f", and not known at {unknown}." if unknown else ".")
    )
    missed = tuple(f"NOT MET at {v.why()}" for v in verdicts if v.met is False)
    blocks += [Heading("The best of each side"), Table(header, tuple(rows)), Paragraph(goal)]
    return markdown([*blocks, *([Bullets(missed)] if missed else [])])


def _cell(data: str, labels: int, what: str, runs: Log) -> str:
    found = scores_at(data, labels, runs).get(what, {})
    scored = [accuracy for accuracy in found.values() if accuracy is not None]
    parts = []
    if scored:
        spread = f" ({points(stdev(scored))})" if len(scored) > 1 else ""
        parts.append(points(fmean(scored)) + spread)
        parts.append(f"{_spent(seconds_at(data, labels, what, runs))} s")
    if len(found) < len(SEEDS[what]) and found:
        parts.append(_seeds(len(found)))
    if refused := len(found) - len(scored):
        parts.append(f"refused {refused} of {len(found)} draws")
    return ", ".join(parts)


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _spent(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"


def _interval(difference: Difference) -> str:
    return (
        f"{signed(difference.interval[0])} to {signed(difference.interval[1])}"
        if difference.interval
        else "none"
    )


def _about(runs: Log) -> tuple[str, ...]:
    """Say what the figures were measured with."""
    ran = [run for run in runs.values() if "versions" in run]
    versions: dict[str, set[str]] = {}
    for run in ran:
        for name, version in run["versions"].items():
            versions.setdefault(name, set()).add(version)
    threads = {run["threads"] for run in ran}
    return (
        f"encoder: {_listed({key.encoder for key in runs})}",
        f"threads: {_listed(threads)}",
        *sorted({run["machine"] for run in runs.values()}),
        ", ".join(f"{name} {_listed(found)}" for name, found in sorted(versions.items())),
    )


def _listed(values: set) -> str:
    return ", ".join(f"{v:,}" if isinstance(v, int) else str(v) for v in sorted(values))


def main(argv: Sequence[str] | None = None) -> int:
    """Do the runs that are missing, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, required=True, help="JSONL of finished runs")
    parser.add_argument("--table", action="store_true", help="print Markdown, run nothing")
    parser.add_argument("--list", action="store_true", help="print the runs that are missing")
    parser.add_argument("--encoder", default="minilm", help="a name or a folder (minilm)")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="(this one)")
    parser.add_argument("--only", nargs="+", choices=ORDER)
    parser.add_argument("--data", nargs="+", choices=SIZES)
    parser.add_argument("--labels", nargs="+", type=int)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    done = finished(arguments.log)
    if arguments.table:
        print(table({key: run for key, run in done.items() if key.encoder == arguments.encoder}))
        return 0
    missing = [key for key in jobs(arguments) if key not in done]
    if arguments.list:
        print("\n".join(map(str, missing)))
        return 0
    torch.set_num_threads(arguments.threads)
    for key in (bar := tqdm(missing, unit="run")):
        bar.set_postfix_str(f"{key.what} {key.data} {key.labels} seed {key.seed}")
        append_log(arguments.log, measure(key, arguments.peers))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
