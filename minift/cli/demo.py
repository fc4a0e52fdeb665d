"""`minift demo`: what a pretrained encoder buys, on a small set of our own, with no network.

Claim    In about a minute, on a laptop, a reader sees the same few labels used in several ways,
         several times over, beside what one gets for nothing and without pretraining.
Proof    tests/cli/test_demo.py
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minift.checkpoints.weights import without_pretraining
from minift.cli import options
from minift.data.examples import Dataset, as_texts, gold_classes
from minift.data.metrics import accuracy, majority_baseline
from minift.data.named import load_dataset
from minift.errors import require
from minift.methods.recipes import recipe
from minift.runs.train import subset, train
from minift.runs.tuned import Head, head_of
from minift.training.loop import Seeds

LABELS = 100
EPOCHS = 10
RATE_WITHOUT = 3e-4  # random weights want larger steps than most pretrained ones (card of `tiny`)
METHODS = ("head", "bitfit", "freeze:1", "full")
NOTHING, WORDS, WITHOUT = "always one label", "bag of words", "full, random weights"


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "see what a pretrained encoder is worth, in about a minute"
    _, add = options.command(commands, "demo", run, help)
    add("--encoder", default="mini", help=options.ENCODER)
    add("--seeds", type=int, default=3, metavar="N", help="train each method N times")


def run(arguments: options.Arguments) -> None:
    """Run the demo."""
    demo(arguments.encoder, arguments.seeds)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    parameters: int
    test: list[float]  # accuracy of each seed
    seconds: float  # of all seeds

    def __str__(self) -> str:
        """Aligned text, with a bar for the mean from 0.4 to 1."""
        utf = (sys.stdout.encoding or "").lower().startswith("utf")
        mean = statistics.fmean(self.test)
        halves = round(max(0.0, mean - 0.4) * 80)
        bar = "█" * (halves // 2) + "▌" * (halves % 2) if utf else "#" * (halves // 2)
        spread = f"{statistics.stdev(self.test):.3f}" if len(self.test) > 1 else "-"
        numbers = f"{self.parameters:>12,}{mean:>10.3f}{spread:>8}{self.seconds:>9.1f}"
        return f"{self.method:<22}{numbers}  {bar}"


def train_row(
    dataset: Dataset, method: str, encoder: str, seeds: int, head: Head | None = None
) -> Row:
    """Train `method` once per seed."""
    chosen = recipe("full" if method == WITHOUT else method, encoder)
    settings = replace(chosen.settings, epochs=EPOCHS)
    if method == WITHOUT:
        settings = replace(settings, learning_rate=RATE_WITHOUT)
    began, scores, parameters = time.perf_counter(), [], 0
    for seed in range(seeds):
        _, result = train(
            dataset, encoder, chosen, labels=LABELS, seeds=Seeds.all(seed), settings=settings,
            head=head,
        )  # fmt: skip
        scores.append(result["test"])
        parameters = result["trainable_parameters"]
    return Row(method, parameters, scores, time.perf_counter() - began)


def demo(encoder: str = "mini", seeds: int = 3) -> list[Row]:
    """Fine-tune on 100 embedded reviews with several methods; print and return the table."""
    require(0 < seeds <= 10000, "seeds", seeds, "a number from 1 to 10000")
    dataset = replace(load_dataset("reviews"), dev=())  # nothing is chosen by it
    print(
        f"{LABELS} labelled reviews to learn from, {len(dataset.test)} others to be judged on "
        f"(themes the model has not seen).\nEncoder: {encoder}, {seeds} seeds.\n"
    )
    print(f"{'':<22}{'trained':>12}{'accuracy':>10}{'sd':>8}{'seconds':>9}")
    rows = []
    for row in _rows(dataset, encoder, seeds):
        print(row, flush=True)
        rows.append(row)
    print(
        "\nThe bar is the mean, sd is over the seeds. Points gained, with 95% intervals:\n"
        f"{gains(rows)}\nNext:"
        f"\n  {options.suggested('info', encoder)}"
        f"\n  {options.suggested('train', '--data', 'reviews', '--encoder', encoder)} "
        f"--labels {LABELS} --out runs/first"
        '\n  echo "Not once did it let me down." | minift predict runs/first -'
    )
    return rows


def gains(rows: Sequence[Row]) -> str:
    """Say by how much each method beats a bag of words, and random weights, on the same labels."""
    from minift.compare.statistics import paired_difference, signed

    by_name, lines = {row.method: row.test for row in rows}, []
    for other in (WORDS, WITHOUT):
        cells = []
        for name in METHODS:
            found = paired_difference(by_name[name], by_name[other])
            mean, limits = found.mean, found.interval
            between = "" if limits is None else f" ({signed(limits[0])} to {signed(limits[1])})"
            cells.append(f"{name} {signed(mean)}{between}")
        lines.append(f"  over {other}: {', '.join(cells)}")
    return "\n".join(lines)


def _rows(dataset: Dataset, encoder: str, seeds: int) -> Iterator[Row]:
    gold = gold_classes(dataset.test)
    answers = majority_baseline(gold_classes(dataset.train), gold, dataset.labels)
    yield Row(NOTHING, 0, [accuracy(gold, answers)], 0.0)
    yield bag_of_words(dataset, seeds)
    with tempfile.TemporaryDirectory() as folder:
        control = str(without_pretraining(encoder, Path(folder)))
        yield train_row(dataset, WITHOUT, control, seeds, head_of(encoder, dataset))
    for method in METHODS:
        yield train_row(dataset, method, encoder, seeds)


def bag_of_words(dataset: Dataset, seeds: int) -> Row:
    """Fit logistic regression on the words of the same labels, once per seed."""
    from minift.compare.bag_of_words import fit_bag_of_words

    began, weights, scores = time.perf_counter(), 0, []
    for seed in range(seeds):
        fitted = fit_bag_of_words(as_texts(subset(dataset.train, LABELS, seed)), dataset.labels)
        weights = fitted.weights.numel() + fitted.bias.numel()
        scores.append(fitted.accuracy(as_texts(dataset.test)))
    return Row(WORDS, weights, scores, time.perf_counter() - began)
