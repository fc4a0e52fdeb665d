"""`minift demo`: what a pretrained encoder buys, on a small set of our own, with no network.

Claim    In about a minute, on a laptop, a reader sees the same few labels used in several ways,
         several times over, beside what one gets for nothing and without pretraining.
Proof    tests/cli/test_demo.py
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from minift.checkpoints.hub import resolve
from minift.checkpoints.weights import without_pretraining
from minift.cli import options
from minift.data.embedded import load_embedded
from minift.data.examples import Dataset, as_texts, gold_classes
from minift.data.metrics import accuracy, majority_baseline
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.methods.recipes import recipe
from minift.runs.train import subset, train
from minift.training.loop import Seeds

LABELS = 100
EPOCHS = 12
# The shipped encoder is small and learns best in larger steps than MiniLM (its card says how
# that was found); a method's own rate is multiplied by this.
RATE_OF_TINY = 6.0
METHODS = ("head", "bitfit", "freeze:1", "child-f:0.3", "adaptive", "full")
NOTHING, WORDS, WITHOUT = "always one label", "bag of words", "full, random weights"


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "see what a pretrained encoder is worth, in about a minute"
    parser = options.command(commands, "demo", run, help)
    add = parser.add_argument
    add("--encoder", default="tiny", help=options.ENCODER)
    add("--seeds", type=int, default=3, metavar="N", help="train each method N times")
    add("--out", type=Path, default=Path("runs/demo"), help="folder of the picture")


def run(arguments: options.Arguments) -> None:
    """Run the demo."""
    demo(arguments.encoder, arguments.seeds, arguments.out)


@dataclass(frozen=True)
class Row:
    """One line of the table: test accuracy of each seed, and seconds of all of them."""

    method: str
    parameters: int
    test: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean accuracy over the seeds."""
        return statistics.fmean(self.test)

    @property
    def sd(self) -> float | None:
        """Standard deviation over the seeds, where there are several."""
        return statistics.stdev(self.test) if len(self.test) > 1 else None


def train_row(dataset: Dataset, method: str, encoder: str, seeds: int, bar: tqdm) -> Row:
    """Train `method` once per seed."""
    bar.set_postfix_str(method)
    chosen = recipe("full" if method == WITHOUT else method)
    rate = chosen.settings.learning_rate
    if resolve(encoder) == resolve("tiny") or method == WITHOUT:
        rate = min(rate * RATE_OF_TINY, 1e-2)
    settings = replace(chosen.settings, learning_rate=rate)
    if not chosen.schedule().needs_dev_loss:  # the others say themselves how long they take
        settings = replace(settings, epochs=EPOCHS)
    began, scores, parameters = time.perf_counter(), [], 0
    for seed in range(seeds):
        _, result = train(
            dataset, encoder, chosen, labels=LABELS, seeds=Seeds.all(seed), settings=settings
        )
        scores.append(result["test"])
        parameters = result["trainable_parameters"]
        bar.update()
    return Row(method, parameters, tuple(scores), time.perf_counter() - began)


def demo(encoder: str = "tiny", seeds: int = 3, out: str | Path = "runs/demo") -> list[Row]:
    """Fine-tune on 100 embedded reviews with several methods; print and return the table.

    Args:
        encoder: anything `load_encoder` takes.
        seeds: runs of each method; each draws other labels, another head and another order.
        out: folder of the picture, demo.svg.
    """
    if seeds < 1:
        raise MiniftError(f"--seeds must be at least 1, got {seeds}")
    dataset = examples()
    print(
        f"{LABELS} labelled reviews to learn from, {len(dataset.test)} others to be judged on "
        f"(themes the model has not seen).\nEncoder: {encoder}, {seeds} seeds. Only adaptive sees "
        f"{len(dataset.dev)} more labels: it chooses its length by them.\n"
    )
    with (
        tempfile.TemporaryDirectory() as scratch,
        tqdm(total=seeds * (len(METHODS) + 1), unit="run", disable=None, leave=False) as bar,
    ):
        rows = [_nothing(dataset), _bag_of_words(dataset, seeds)]
        control = str(without_pretraining(encoder, Path(scratch)))
        rows.append(train_row(dataset, WITHOUT, control, seeds, bar))
        rows += [train_row(dataset, method, encoder, seeds, bar) for method in METHODS]
    print(table(rows))
    print(
        "\nThe bar is the mean; sd is over the seeds, so smaller differences mean nothing.\n"
        f"{_plot(rows, Path(out))}\nNext:"
        f"\n  {options.suggested('info', encoder)}"
        f"\n  {options.suggested('train', '--data', 'reviews', '--encoder', encoder)} "
        f"--learning-rate 3e-4 --labels {LABELS} --out runs/first"
        '\n  echo "Not once did it let me down." | minift predict runs/first -'
    )
    return rows


def examples() -> Dataset:
    """Return the embedded reviews, with as many for development as for training."""
    reviews = load_embedded("reviews")
    return replace(reviews, dev=subset(reviews.dev, LABELS, 0))


def _nothing(dataset: Dataset) -> Row:
    gold = gold_classes(dataset.test)
    answers = majority_baseline(gold_classes(dataset.train), gold, dataset.labels)
    return Row(NOTHING, 0, (accuracy(gold, answers),), 0.0)


def _bag_of_words(dataset: Dataset, seeds: int) -> Row:
    from minift.compare.bag_of_words import fit_bag_of_words

    began, weights, scores = time.perf_counter(), 0, []
    for seed in range(seeds):
        fitted = fit_bag_of_words(as_texts(subset(dataset.train, LABELS, seed)), dataset.labels)
        weights = fitted.weights.numel() + fitted.bias.numel()
        scores.append(fitted.accuracy(as_texts(dataset.test)))
    return Row(WORDS, weights, tuple(scores), time.perf_counter() - began)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text, with a bar for the mean from 0.4 to 1."""
    full, half = ("█", "▌") if (sys.stdout.encoding or "").lower().startswith("utf") else ("#", "")
    lines = [f"{'':<22}{'trained':>12}{'accuracy':>10}{'sd':>8}{'seconds':>9}"]
    for row in rows:
        halves = round(max(0.0, row.mean - 0.4) * 80)
        bar = full * (halves // 2) + half * (halves % 2)
        spread = "-" if row.sd is None else f"{row.sd:.3f}"
        lines.append(
            f"{row.method:<22}{row.parameters:>12,}{row.mean:>10.3f}{spread:>8}"
            f"{row.seconds:>9.1f}  {bar}"
        )
    return "\n".join(lines)


def _plot(rows: Sequence[Row], folder: Path) -> str:
    """Draw demo.svg, a row per line of the table; return a sentence for the terminal."""
    from minift.plots import Plot, Strip, standing_alone

    strips = tuple(
        Strip(row.method, row.test, (False,) * len(row.test), row.mean, None, f"{row.mean:.3f}")
        for row in rows
        if row.method != NOTHING
    )
    caption = f"Test accuracy with {LABELS} labels: a dot per seed, a bar for their mean."
    nothing = next((row.mean for row in rows if row.method == NOTHING), None)
    picture = Plot(caption, strips, nothing, NOTHING)
    atomic_write(folder / "demo.svg", standing_alone(picture.svg()))
    return f"The same as a picture: {folder / 'demo.svg'}"
