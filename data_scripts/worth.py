"""What an encoder is worth: fine-tuned on real sets beside random weights and a larger encoder.

  python data_scripts/worth.py --out worth.jsonl
  python data_scripts/worth.py --out worth.jsonl --encoders minilm --runs wnut17:750 --seeds 5

Each finished run is one line of the file; a run that is there is not repeated, so the command may
be stopped and given again. In the end the table is printed: the test split's score, mean and
standard deviation over seeds, which change the labelled texts, the head and the order.

"head:mini" is the head alone, solved on mini's vectors; "random:mini" is mini's sizes and tokenizer
with random weights, tried at two learning rates, so that one which suits pretrained weights is not
held against it. The others learn at their own rate; `full` learns all parameters in 8 epochs, or
more for at least 200 steps.

Proof    tests/data_scripts/test_worth.py
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from study import mean_sd
from tqdm import tqdm

from minift.checkpoints.weights import without_pretraining
from minift.compare.bag_of_words import fit_bag_of_words
from minift.compare.page import Table, markdown
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.journal import append_log, read_log
from minift.methods.recipes import rates_of, recipe
from minift.runs.train import subset, train
from minift.runs.tuned import head_of
from minift.training.loop import Seeds

WITHOUT_PRETRAINING = (3e-4, 1e-3)  # learning rates
NAMES = ("data", "labels", "encoder", "learning_rate", "seed")
ENCODERS = ["bag", "head:mini", "random:mini", "tiny", "mini", "minilm"]
RUNS = ["reviews:100", "reviews:300", "news:501", "sst2:300", "sst2:1000", "wnut17:750"]
Key = tuple[str, int, str, float, int]


def main(argv: list[str] | None = None) -> None:
    """Do the runs that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="JSONL of finished runs")
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    parser.add_argument("--runs", nargs="+", default=RUNS, metavar="DATA:LABELS")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    jobs = [
        (data, int(labels), encoder, rate, seed)
        for seed in range(arguments.seeds)
        for encoder in arguments.encoders
        for data, _, labels in (run.partition(":") for run in arguments.runs)
        for rate in rates(encoder)
        if not (encoder == "bag" and load_dataset(data).task == "tagging")
    ]
    done = finished(arguments.out)
    for job in tqdm([job for job in jobs if job not in done], unit="run"):
        done[job] = measure(job)
        append_log(arguments.out, {**dict(zip(NAMES, job)), "test": done[job]})
    print(table(done))


def rates(encoder: str) -> tuple[float, ...]:
    """Return the learning rates at which an encoder is tried."""
    if encoder.startswith("random:"):
        return WITHOUT_PRETRAINING
    return (0.0 if encoder == "bag" or encoder.startswith("head:") else rates_of(encoder)["full"],)


def finished(path: Path) -> dict[Key, float]:
    """Return the runs of a file; a last line that was cut off does not count."""
    runs = {}
    for number, run in enumerate(read_log(path), 1):
        try:
            runs[tuple(run[name] for name in NAMES)] = run["test"]
        except KeyError as error:
            raise MiniftError(f"{path}: line {number} is not a finished run: {error}") from error
    return runs


def measure(job: Key) -> float:
    """Return the test score of one run."""
    data, labels, encoder, rate, seed = job
    dataset = replace(load_dataset(data), dev=())
    if encoder == "bag":
        drawn = subset(dataset.train, labels, seed)
        return fit_bag_of_words(drawn, dataset.labels).accuracy(dataset.test)
    kind, _, name = encoder.rpartition(":")
    method = recipe("head" if kind == "head" else "full")
    settings = replace(method.settings, learning_rate=rate or method.settings.learning_rate)
    head = head_of(name, dataset, method)  # for random weights, too
    with tempfile.TemporaryDirectory() as scratch:
        if kind == "random":
            name = str(without_pretraining(name, Path(scratch), seed))
        _, result = train(
            dataset,
            name,
            method,
            labels=labels,
            seeds=Seeds.all(seed),
            settings=settings,
            head=head,
        )
    return result["test"]


def table(runs: dict[Key, float]) -> str:
    """Return Markdown: a row per encoder and rate, a column per data set and number of labels."""
    columns = sorted({key[:2] for key in runs})
    rows = []
    for encoder, rate in dict.fromkeys(key[2:4] for key in runs):
        cells = [encoder + (f", rate {rate:g}" if rate else "")]
        for column in columns:
            scores = [v for k, v in runs.items() if k[:4] == (*column, encoder, rate)]
            cells.append(f"{mean_sd(scores, '.3f')}, {len(scores)} seeds" if scores else "")
        rows.append(tuple(cells))
    header = ("", *(f"{data}, {labels:,} labels" for data, labels in columns))
    return markdown([Table(header, tuple(rows))])


if __name__ == "__main__":
    main()
