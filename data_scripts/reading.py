"""Does it pay to read first? Mini as it is, and after so many minutes on unlabelled sentences.

  python data_scripts/reading.py --work runs/reading                    # 30 minutes each, 5 seeds
  python data_scripts/reading.py --work runs/reading --data sst2 --minutes 5 --seeds 2

For each data set mini reads the training sentences, their labels left out, for --minutes with
`minift pretrain --objective mlm`, and as long with condenser; then each of the three encoders is
fine-tuned with `full` on the same few labels. Texts are scored with the head on the mean and with
the one on [CLS], which Condenser is made for. The speed is measured once, and kept beside.

Each finished run is one line of RUN/runs.jsonl; the same command resumes where it was stopped. The
table has the test score, mean and standard deviation over seeds, and what was gained over mini on
the same draws, with its 95 % interval.

Proof    tests/data_scripts/test_reading.py
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from study import mean_sd
from tqdm import tqdm

from minift.compare.page import Table, markdown
from minift.compare.statistics import paired_difference, signed
from minift.data.examples import texts_of
from minift.data.named import load_dataset
from minift.files import atomic_write
from minift.journal import append_log, read_log
from minift.pretraining.pretrain import pretrain_further
from minift.runs.machine import machine
from minift.runs.train import train
from minift.training.loop import Seeds

UNTOUCHED, OBJECTIVES, TIMED = "untouched", ("mlm", "condenser"), 10
NAMES = ("data", "labels", "head", "encoder", "seed")
Job = tuple[str, int, str, str, int]


def sentences(data: str) -> list[str]:
    """Return the training sentences, which nobody has labelled."""
    return [text for example in load_dataset(data).train for text in texts_of(example)]


def passes_in(args: argparse.Namespace, texts: list[str], objective: str) -> int:
    """Return how many passes take about --minutes, by the time of a few steps."""
    some = texts[: TIMED * args.batch_size]
    with tempfile.TemporaryDirectory() as scratch:
        how = {"epochs": 1, "batch_size": args.batch_size}
        last = pretrain_further(args.encoder, some, scratch, objective, **how)["last"]
    per_pass = last["seconds"] / last["step"] * len(texts) / args.batch_size
    return max(1, round(60 * args.minutes / per_pass))


def read(args: argparse.Namespace, data: str, objective: str) -> Path:
    """Return the folder of the encoder that has read; what is done is not done again."""
    out, plan = args.work / f"{data}-{objective}", args.work / f"{data}-{objective}.json"
    if (out / "result.json").is_file():
        return out
    texts = sentences(data)
    if not plan.is_file():
        made = {"epochs": passes_in(args, texts, objective), "minutes": args.minutes}
        atomic_write(plan, json.dumps({**made, "machine": machine()}) + "\n")
    epochs = json.loads(plan.read_text(encoding="utf-8"))["epochs"]
    how = {"epochs": epochs, "batch_size": args.batch_size}
    pretrain_further(args.encoder, texts, out, objective, **how, progress=True)
    return out


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """Return all runs, seed by seed."""
    return [
        (data, labels, head, encoder, seed)
        for seed in range(args.seeds)
        for data in args.data
        for labels in args.labels
        for head in (("linear",) if load_dataset(data).task == "tagging" else ("mean", "linear"))
        for encoder in (UNTOUCHED, *OBJECTIVES)
    ]


def table(runs: dict[Job, float]) -> str:
    """Return Markdown: a row per data set, labels, head and encoder."""
    rows = []
    for cell in dict.fromkeys(job[:4] for job in sorted(runs)):
        scores = [score for job, score in sorted(runs.items()) if job[:4] == cell]
        plain = [s for job, s in sorted(runs.items()) if job[:4] == (*cell[:3], UNTOUCHED)]
        gained = "-"
        if cell[3] != UNTOUCHED and len(plain) == len(scores):
            found = paired_difference(scores, plain)
            between = [signed(limit) for limit in found.interval or ()]
            gained = signed(found.mean) + (f" ({' to '.join(between)})" if between else "")
        rows.append((*map(str, cell), mean_sd(scores, ".3f"), str(len(scores)), gained))
    header = ("data", "labels", "head", "encoder", "test", "seeds", "gained over untouched")
    return markdown([Table(header, tuple(rows))])


def main(argv: list[str] | None = None) -> None:
    """Read, do the runs that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--work", type=Path, required=True, help="folder of everything")
    add("--data", nargs="+", default=["sst2", "wnut17"])
    add("--encoder", default="mini")
    add("--minutes", type=float, default=30.0, help="of reading, for each objective")
    add("--labels", type=int, nargs="+", default=[100, 300])
    add("--seeds", type=int, default=5)
    add("--batch-size", type=int, default=32, help="of reading")
    add("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    folders = {(data, UNTOUCHED): args.encoder for data in args.data}
    for data in args.data:
        folders |= {(data, objective): read(args, data, objective) for objective in OBJECTIVES}
    file = args.work / "runs.jsonl"
    done = {tuple(run[name] for name in NAMES): run["test"] for run in read_log(file)}
    for job in tqdm([job for job in jobs_of(args) if job not in done], unit="run"):
        data, labels, head, encoder, seed = job
        dataset = replace(load_dataset(data), dev=())
        how = {"labels": labels, "seeds": Seeds.all(seed), "head": head}
        _, result = train(dataset, str(folders[data, encoder]), "full", **how)
        done[job] = result["test"]
        append_log(file, {**dict(zip(NAMES, job)), "test": done[job]})
    atomic_write(args.work / "table.md", table(done))
    print(table(done))


if __name__ == "__main__":
    main()
