"""Whole commands, as a person waits for them, against the shortest scripts that do the same.

    python -m tests.benchmarks.commands [NAME ...] --json FILE [--pairs N] [--peers PYTHON]

Each side is a process of its own, from its imports to its files, and both in turn: seconds on the
clock and of the processor, its children's included. Texts are the embedded reviews and news, so
that nothing is needed but the checkout, MiniLM for its rows (`minift info minilm`), transformers
with accelerate, and for their rows baal and setfit, all of them where --peers says. The scripts are
in command_peers.py. `bert-base` has random weights of its sizes.

Both sides read and write the same: labelled texts in CSV files, a development and a test part that
are scored, a folder with model and tokenizer. minift's commands do more (a report with calibration
and intervals, a record to resume from), and that is in their time.

The goal of each row is two times its peer, or a profile that says what bounds it.
`--quick` runs every row tiny, to see that it works; its times mean nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from statistics import median

import torch

from minift.checkpoints.hub import resolve
from minift.compact.distill import Distillation
from minift.data.examples import Dataset, as_texts
from minift.data.named import load_dataset
from minift.methods.recipes import recipe
from minift.runs.train import subset
from tests import tiny
from tests.benchmarks.common import NotTheSame, Result, busy, in_turn, machine, spread, write
from tests.benchmarks.world import SHAPES, SMALL, shaped

GOAL = 2.0
LABELS = (100, 300)
ENCODERS = ("mini", "minilm", "bert-base")
METHODS = ("full", "head", "bitfit", "freeze:1", "freeze:2")
POOLS = (1000, 10_000)
ASKED = 20
SEEDS = 3
NAMES = (
    *(f"train_{labels}_{encoder}" for labels in LABELS for encoder in ENCODERS),
    *(f"contrastive_{labels}" for labels in LABELS),
    *("demo", "compare", *(f"next_{texts}" for texts in POOLS), "predict", "distill"),
)
PEERS = Path(__file__).with_name("command_peers.py")


class Absent(Exception):
    """A package that a script needs is not there."""


@dataclass(frozen=True)
class Place:
    """Where everything lies, and how large it is.

    Args:
        scratch: folder for files.
        peers: the Python that runs the scripts.
        quick: everything tiny.
        rounds: how often both sides run.
        encoder: of the rows that are measured with one.
    """

    scratch: Path
    peers: str = sys.executable
    quick: bool = False
    rounds: int = 3
    encoder: str = "minilm"

    def size(self, real: int, quick: int) -> int:
        """Return how much of something there is."""
        return quick if self.quick else real

    def new(self) -> Path:
        """Return a path that nothing has."""
        return Path(tempfile.mkdtemp(dir=self.scratch)) / "new"

    def folder(self, encoder: str) -> str:
        """Return the checkpoint of an encoder."""
        if not self.quick and encoder != "bert-base":
            return str(resolve(encoder))
        folder = self.scratch / f"encoder-{encoder}"
        if not folder.is_dir():
            shaped(folder, SMALL if self.quick else SHAPES[encoder])
        return str(folder)

    @cached_property
    def reviews(self) -> Dataset:
        """The embedded reviews."""
        return tiny.reviews(64) if self.quick else load_dataset("reviews")

    def csv(self, part: str, labels: int = 0) -> str:
        """Write a part of the reviews, or so many of its texts; return the file."""
        file = self.scratch / f"{part}{labels or ''}.csv"
        if not file.is_file():
            texts = getattr(self.reviews, part)
            texts = subset(texts, self.size(labels, 16), 0) if labels else texts
            with file.open("w", encoding="utf-8", newline="") as opened:
                rows = ((e.text, e.label) for e in as_texts(texts))
                csv.writer(opened).writerows([("text", "label"), *rows])
        return str(file)

    def pool(self, texts: int) -> str:
        """Write so many different texts without labels, a line each; return the file."""
        file = self.scratch / f"pool{texts}.txt"
        known = [e.text for e in as_texts((*self.reviews.dev, *self.reviews.test))]
        made = (f"{text} {n or ''}".strip() for n in count() for text in known)
        lines = (" ".join(text.split()) for text in made)
        file.write_text("".join(f"{line}\n" for line, _ in zip(lines, range(texts))), "utf-8")
        return str(file)

    def asked(self, encoder: str, labels: int, method: str = "full") -> dict:
        """Return what both sides train on, and how long."""
        settings = recipe(method, encoder if encoder == "minilm" else "mini").settings
        return {
            "encoder": self.folder(encoder),
            "classes": list(self.reviews.labels),
            "train": self.csv("train", labels),
            "dev": self.csv("dev"),
            "test": self.csv("test"),
            "epochs": 1 if self.quick else settings.epochs_for(labels),
            "batch": settings.batch_size,
            "rate": settings.learning_rate,
        }


# ---------------------------------------------------------------- processes


@dataclass(frozen=True)
class Cost:
    """What a process took, in seconds, and what it answered."""

    wall: float
    processor: float
    answer: dict


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Run a program to its end; return its seconds on the clock and of the processor."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.getenv("PYTHONPATH")]))
    before, began = _used(), time.perf_counter()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace"
    )
    taken, used = time.perf_counter() - began, _used() - before
    if done.returncode:
        said = done.stderr.strip().splitlines()[-15:]
        if said and "ModuleNotFoundError" in said[-1]:
            raise Absent(said[-1].partition(": ")[2])
        raise RuntimeError(
            f"{shlex.join(command)} ended with {done.returncode}:\n" + "\n".join(said)
        )
    return taken, used


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def ours(place: Place, *words: str | Path, result: Callable[[], dict] = dict) -> Cost:
    """Run a command of minift; `result` reads what it wrote."""
    wall, processor = timed([sys.executable, "-m", "minift", *map(str, words)])
    return Cost(wall, processor, result())


def theirs(place: Place, name: str, asked: dict) -> Cost:
    """Run a script of `command_peers`."""
    request, answer = place.new(), place.new()
    request.write_text(json.dumps(asked), encoding="utf-8")
    wall, processor = timed([place.peers, str(PEERS), name, str(request), str(answer)])
    return Cost(wall, processor, json.loads(answer.read_text(encoding="utf-8")))


def row(
    place: Place,
    name: str,
    work: str,
    own: Callable[[], Cost],
    peer: Callable[[], Cost] | None,
    compared: Callable[[dict, dict], str] = lambda mine, other: "",
) -> Result:
    """Time both in turn; `compared` raises `NotTheSame`, or says what both came to."""
    found: list[list[Cost]] = [[], []]

    def cost(side: int, program: Callable[[], Cost]) -> float:
        found[side].append(program())
        return found[side][-1].wall

    if peer is None:
        (walls,) = in_turn([lambda: cost(0, own)], place.rounds, warm_up=False)
        work_done = median(c.processor for c in found[0])
        note = f"the ratio is seconds; of the processor {work_done:.3g}"
        return Result(name, work, None, note=note, **spread(walls), ours=median(walls))
    try:
        mine, other = in_turn(
            [lambda: cost(1, peer), lambda: cost(0, own)], place.rounds, warm_up=False
        )[::-1]
    except Absent as lack:
        return Result(name, work, GOAL, note=f"not measured: {lack}")
    told = compared(found[0][-1].answer, found[1][-1].answer)
    working = [[c.processor for c in side] for side in found]
    used = spread([b / a for a, b in zip(*working)])
    note = (
        f"of the processor {median(working[0]):.3g} / {median(working[1]):.3g}, "
        f"{used['ratio']:.2f} [{used['low']:.2f}, {used['high']:.2f}]"
    )
    return Result(
        name, work, GOAL, note=f"{note}; {told}" if told else note,
        **spread([b / a for a, b in zip(mine, other)]),
        ours=median(mine), theirs=median(other), unit="seconds",
    )  # fmt: skip


# ---------------------------------------------------------------- the rows


def train_row(place: Place, name: str) -> Result:
    """`minift train`, all parameters, against `Trainer`; contrastive against setfit."""
    what, labels, *rest = name.split("_")
    encoder = rest[0] if rest else place.encoder
    method, script = ("full", "trainer") if what == "train" else ("contrastive", "setfit")
    asked = place.asked(encoder, int(labels))

    long = ("--epochs", str(asked["epochs"]), "--learning-rate", str(asked["rate"]))

    def own() -> Cost:
        out = place.new()
        return ours(
            place, "train", "--train", asked["train"], "--dev", asked["dev"], "--test",
            asked["test"], "--encoder", asked["encoder"], "--method", method,
            *(long if method == "full" else ()), "--out", out,
            result=lambda: json.loads((out / "result.json").read_text()),
        )  # fmt: skip

    def compared(mine: dict, other: dict) -> str:
        steps = asked["epochs"] * -(-mine["labels"] // asked["batch"])
        if script == "trainer" and other["steps"] != steps:
            raise NotTheSame(f"{name}: {steps} steps, and {other['steps']} of Trainer")
        return f"accuracy {mine['test']:.3f} / {other['test']:.3f}"

    return row(
        place, name, f"minift train, {method}, {labels} labels, {encoder}, against {script}", own,
        lambda: theirs(place, script, {**asked, "out": str(place.new())}), compared,
    )  # fmt: skip


def demo_row(place: Place, name: str) -> Result:
    """`minift demo`, which has no peer."""
    seeds = str(place.size(3, 1))
    words = ("demo", "--encoder", place.folder("mini"), "--seeds", seeds)
    return row(place, name, "minift demo", lambda: ours(place, *words), None)


def compare_row(place: Place, name: str) -> Result:
    """`minift compare` against a loop over `Trainer`."""
    asked = place.asked("mini", LABELS[0])
    methods, seeds = METHODS[: place.size(len(METHODS), 2)], place.size(SEEDS, 1)

    def own() -> Cost:
        out = place.new()
        return ours(
            place, "compare", "--train", asked["train"], "--dev", asked["dev"], "--test",
            asked["test"], "--encoder", asked["encoder"], "--methods", ",".join(methods), "--seeds",
            str(seeds), "--epochs", str(asked["epochs"]), "--out", out,
            result=lambda: {"runs": [*map(json.loads, (out / "runs.jsonl").open())]},
        )  # fmt: skip

    def compared(mine: dict, other: dict) -> str:
        ran = [run for run in mine["runs"] if run.get("method") in methods]
        if len(ran) != other["runs"]:
            raise NotTheSame(f"{name}: {len(ran)} runs, and {other['runs']} of Trainer")
        return f"{len(ran)} runs each"

    more = {"methods": methods, "seeds": seeds}
    return row(
        place, name, f"minift compare, {len(methods)} methods, {seeds} seeds, against Trainer", own,
        lambda: theirs(place, "compare", {**asked, **more, "out": str(place.new())}), compared,
    )  # fmt: skip


def next_row(place: Place, name: str) -> Result:
    """`minift active next` with BALD against `Trainer` and baal."""
    texts = int(name.partition("_")[2])
    asked = place.asked(place.encoder, LABELS[0])
    pool, project = place.pool(place.size(texts, 40)), place.new()
    ours(
        place, "active", "start", "--pool", pool, "--labelled", asked["train"], "--encoder",
        asked["encoder"], "--out", project,
        *(("--steps", "2") if place.quick else ()),
    )  # fmt: skip

    def own() -> Cost:
        there = place.new()
        shutil.copytree(project, there)
        return ours(
            place, "active", "next", there, "-n", str(ASKED),
            result=lambda: {"chosen": len(table(there / "batches" / "001.csv"))},
        )  # fmt: skip

    def compared(mine: dict, other: dict) -> str:
        if mine["chosen"] != other["chosen"]:
            raise NotTheSame(f"{name}: {mine['chosen']} texts, and {other['chosen']} of baal")
        return f"{ASKED} texts chosen each"

    more = {"pool": pool, "count": ASKED}
    return row(
        place, name, f"minift active next, {texts:,} texts, against Trainer and baal", own,
        lambda: theirs(place, "next", {**asked, **more, "out": str(place.new())}), compared,
    )  # fmt: skip


def table(file: Path) -> list[dict]:
    """Return the rows of a CSV."""
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def predict_row(place: Place, name: str) -> Result:
    """`minift predict` against transformers' pipeline, the same run folder."""
    texts, run = place.pool(place.size(1000, 40)), place.new()
    asked = place.asked(place.encoder, LABELS[0])
    ours(
        place, "train", "--train", asked["train"], "--encoder", asked["encoder"], "--method",
        "full", "--epochs", "1", "--folds", "0", "--out", run,
    )  # fmt: skip

    def own() -> Cost:
        out = place.new().with_suffix(".jsonl")
        return ours(
            place, "predict", run, texts, "--out", out,
            result=lambda: {"labels": [json.loads(line)["label"] for line in out.open()]},
        )  # fmt: skip

    def compared(mine: dict, other: dict) -> str:
        alike = sum(a == b for a, b in zip(mine["labels"], other["labels"], strict=True))
        if alike < 0.99 * len(mine["labels"]):
            raise NotTheSame(f"{name}: {alike} of {len(mine['labels'])} answers are the same")
        return f"{alike:,} of {len(mine['labels']):,} answers the same"

    script = {"run": str(run), "texts": texts}
    return row(
        place, name, "minift predict, 1,000 texts, against a pipeline", own,
        lambda: theirs(place, "predict", {**script, "out": str(place.new())}), compared,
    )  # fmt: skip


def distill_row(place: Place, name: str) -> Result:
    """`minift distill` against a loop that teaches a small BERT."""
    news = tiny.news(48) if place.quick else load_dataset("news")
    files = {part: place.scratch / f"{part}.conll" for part in ("train", "dev")}
    for part, file in files.items():
        tagged = (
            "".join(f"{w}\t{t}\n" for w, t in zip(e.words, e.tags)) for e in getattr(news, part)
        )
        file.write_text("\n".join(tagged), "utf-8")
    texts = place.scratch / "sentences.txt"
    texts.write_text("".join(f"{' '.join(e.words)}\n" for e in news.test), "utf-8")
    labelled = ("--train", files["train"], "--dev", files["dev"])
    run, settings = place.new(), Distillation(steps=place.size(3000, 10))
    ours(
        place, "train", *labelled, "--encoder", place.folder(place.encoder), "--method", "full",
        "--epochs", str(place.size(3, 1)), "--out", run,
    )  # fmt: skip

    def own() -> Cost:
        return ours(
            place, "distill", "--teacher", run, "--unlabelled", texts, *labelled, "--steps",
            str(settings.steps), "--out", place.new(),
        )  # fmt: skip

    script = {
        "run": str(run),
        "texts": str(texts),
        "steps": settings.steps,
        "batch": settings.batch_size + settings.unlabelled_batch_size,
    }
    return row(
        place, name, "minift distill, against a plain loop", own,
        lambda: theirs(place, "distill", {**script, "out": str(place.new())}),
        lambda mine, other: f"{other['steps']:,} steps each",
    )  # fmt: skip


ROWS: dict[str, Callable[[Place, str], Result]] = {
    "train": train_row,
    "contrastive": train_row,
    "demo": demo_row,
    "compare": compare_row,
    "next": next_row,
    "predict": predict_row,
    "distill": distill_row,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows, print the table, write it after each row; return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table here, too")
    parser.add_argument("--pairs", type=int, help="rounds of the two programs (default 3)")
    parser.add_argument("--quick", action="store_true", help="tiny: does every row run?")
    parser.add_argument("--encoder", default="minilm", help="where a row has one (default minilm)")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="of the scripts")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="processes beside it")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(NAMES)}")
    rounds = options.pairs or (1 if options.quick else 3)
    print(machine() + ("; quick: these times mean nothing" if options.quick else ""), flush=True)
    about = {
        "command": shlex.join(["python", "-m", "tests.benchmarks.commands", *arguments]),
        "quick": options.quick,
        "pairs": rounds,
        "busy": options.busy,
    }
    done = []
    with tempfile.TemporaryDirectory() as scratch, busy(options.busy):
        place = Place(Path(scratch), options.peers, options.quick, rounds, options.encoder)
        for name in options.names or NAMES:
            done.append(ROWS[name.partition("_")[0]](place, name))
            print(done[-1].line(), flush=True)
            if options.json:
                write(options.json, done, about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
