"""What an encoder is worth: fine-tuned on real sets beside random weights and a larger encoder.

  python data_scripts/worth.py --out worth.jsonl
  python data_scripts/worth.py --out worth.jsonl --encoders minilm --runs wnut17:750 --seeds 5

Each finished run is one line of the file; a run that is there is not repeated, so the command may
be stopped and given again. In the end the table is printed: the test split's score, mean and
standard deviation over seeds, which change the labelled texts, the head and the order.

"random:tiny" is tiny's sizes and tokenizer with random weights. It is tried at two learning rates,
so that a rate which suits pretrained weights is not held against it; `full` learns all parameters
in 8 epochs, or more for at least 200 steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from minift.checkpoints.weights import without_pretraining
from minift.compare.bag_of_words import fit_bag_of_words
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.methods.recipes import RATES, recipe
from minift.runs.train import subset, train
from minift.training.loop import Seeds

TINY = 3e-4
Key = tuple[str, int, str, float, int]  # data, labels, encoder, learning rate, seed


def main(argv: list[str] | None = None) -> None:
    """Do the runs that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSONL of finished runs")
    parser.add_argument("--encoders", nargs="+", default=["bag", "random:tiny", "tiny", "minilm"])
    parser.add_argument(
        "--runs", nargs="+", default=["sst2:300", "sst2:1000", "wnut17:750"], metavar="DATA:LABELS"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    pairs = [run.partition(":") for run in arguments.runs]
    asked = [(data, int(labels)) for data, _, labels in pairs]
    jobs = [
        (data, labels, encoder, rate, seed)
        for seed in range(arguments.seeds)
        for encoder in arguments.encoders
        for data, labels in asked
        for rate in rates(encoder)
        if not (encoder == "bag" and load_dataset(data).task == "tagging")
    ]
    done = finished(arguments.out)
    for job in tqdm([job for job in jobs if job not in done], unit="run"):
        done[job] = measure(job)
        lines = (json.dumps({**dict(zip(NAMES, key)), "test": v}) + "\n" for key, v in done.items())
        atomic_write(arguments.out, "".join(lines))
    print(table(done))


NAMES = ("data", "labels", "encoder", "learning_rate", "seed")


def rates(encoder: str) -> tuple[float, ...]:
    """Return the learning rates at which an encoder is tried."""
    own = {"bag": (0.0,), "tiny": (TINY,), "random:tiny": (TINY, 1e-3)}
    return own.get(encoder, (RATES["full"],))


def finished(path: Path) -> dict[Key, float]:
    """Return the runs of a file; a last line that was cut off is left out."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    runs = {}
    for number, line in enumerate(lines, start=1):
        try:
            run = json.loads(line)
            runs[tuple(run[name] for name in NAMES)] = run["test"]
        except (json.JSONDecodeError, KeyError) as error:
            if number == len(lines):
                break
            raise MiniftError(f"{path}: line {number} is no finished run: {error}") from error
    return runs


def measure(job: Key) -> float:
    """Return the test score of one run."""
    data, labels, encoder, rate, seed = job
    dataset = replace(load_dataset(data), dev=())
    if encoder == "bag":
        drawn = subset(dataset.train, labels, seed)
        return fit_bag_of_words(drawn, dataset.labels).accuracy(dataset.test)
    method = recipe("full")
    settings = replace(method.settings, learning_rate=rate)
    with tempfile.TemporaryDirectory() as scratch:
        if encoder.startswith("random:"):
            encoder = str(without_pretraining(encoder.removeprefix("random:"), Path(scratch), seed))
        _, result = train(
            dataset, encoder, method, labels=labels, seeds=Seeds.all(seed), settings=settings
        )
    return result["test"]


def table(runs: dict[Key, float]) -> str:
    """Return Markdown: a row an encoder and rate, a column a data set and number of labels."""
    columns = sorted({(key[0], key[1]) for key in runs})
    rows = dict.fromkeys((key[2], key[3]) for key in runs)
    lines = ["| | " + " | ".join(f"{data}, {labels:,} labels" for data, labels in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for encoder, rate in rows:
        cells = []
        for column in columns:
            scores = [v for k, v in runs.items() if (k[:2], k[2:4]) == (column, (encoder, rate))]
            cells.append(cell(scores))
        lines.append(f"| {encoder}{f', rate {rate:g}' if rate else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(scores: list[float]) -> str:
    """Return "mean (sd), n seeds"."""
    if not scores:
        return ""
    sd = f" ({statistics.stdev(scores):.3f})" if len(scores) > 1 else ""
    return f"{statistics.fmean(scores):.3f}{sd}, {len(scores)} seeds"


if __name__ == "__main__":
    main()
