"""Doubtful labels: one label in ten is flipped; how many of these does `minift check` name?

    python -m tests.benchmarks.doubtful --log doubtful.jsonl [--seeds 0 1 2] [--data sst2]
    python -m tests.benchmarks.doubtful --log doubtful.jsonl --table

Beside it stands what people do with cleanlab: its `find_label_issues`, as it comes, on the
probabilities of scikit-learn's logistic regression in five stratified folds, on TF-IDF or on the
mean vectors that `minift check` judges by. Texts are the draws of few_labels.py, the flipped
labels uniform among the others. A finished run is a line of the log and is not repeated; needs
scikit-learn and cleanlab.

doubtful.jsonl beside this file is one such log (cleanlab 2.9.0, scikit-learn 1.9.1), and
doubtful.md its table.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

import minift
from minift.compare.page import Bullets, Heading, Paragraph, Table, markdown
from minift.compare.statistics import paired_difference, points, sentence
from minift.data.examples import Dataset, as_texts, gold_classes
from minift.journal import append_log, read_log
from minift.runs.evaluate import predict_logits
from minift.runs.machine import machine
from minift.runs.tuned import build
from tests.benchmarks.few_labels import draw, load

SIZES = (("sst2", 300), ("sst2", 1000), ("reviews", 300), ("banking10", 300), ("ag_news", 300))
SHARE = 0.1
PEERS = ("cleanlab, TF-IDF", "cleanlab, minilm vectors", "cleanlab, mini vectors")
WHAT = ("minift check minilm", "minift check mini", *PEERS)
KEY = ("data", "labels", "seed", "what")


def spoilt(data: str, labels: int, seed: int) -> tuple[Dataset, set[str]]:
    """Return a draw in which one label in ten is another, and the ids of those texts."""
    dataset, source = load(data), random.Random(seed)
    train = as_texts(draw(data, labels, seed))
    flipped = set(source.sample(range(labels), round(SHARE * labels)))
    for i in flipped:
        other = source.choice([name for name in dataset.labels if name != train[i].label])
        train[i] = replace(train[i], label=other)
    found = replace(dataset, train=tuple(train), test=())
    return found, {train[i].id for i in flipped}


def named_by(what: str, dataset: Dataset) -> tuple[list[str], list[str], float | None]:
    """Return the ids of the texts that are named, of all by rank, and the share that is told."""
    ids = [e.id for e in dataset.train]
    if what not in PEERS:
        found = minift.check(dataset, what.split()[-1])
        named = [doubt.example.id for doubt in found.doubts]
        return named, named + [hard.example.id for hard in found.hard], found.share
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    given = np.array([dataset.labels.index(name) for name in gold_classes(dataset.train)])
    model, x = LogisticRegression(max_iter=1000), [e.text for e in as_texts(dataset.train)]
    if what == PEERS[0]:
        model = make_pipeline(TfidfVectorizer(), model)
    else:
        tuned = build(dataset, what.split()[1], 0, head="mean")
        rows = predict_logits(tuned.model, tuned.items(dataset.train), vectors=True)
        x = np.concatenate([row.numpy() for row in rows])
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    p = cross_val_predict(model, x, given, cv=cv, method="predict_proba")
    named = find_label_issues(given, p, return_indices_ranked_by="self_confidence", n_jobs=1)
    ranked = get_label_quality_scores(given, p).argsort(kind="stable")
    share = num_label_issues(given, p, estimation_method="off_diagonal_calibrated") / len(given)
    return [ids[i] for i in named], [ids[i] for i in ranked], float(share)


def measure(data: str, labels: int, seed: int, what: str) -> dict:
    """Return the line of the log of one run."""
    dataset, flipped = spoilt(data, labels, seed)
    worked = time.process_time()
    named, ranked, share = named_by(what, dataset)
    hits = len(flipped & {*named})
    return {
        **dict(zip(KEY, (data, labels, seed, what))),
        "first": len(flipped & {*ranked[: len(flipped)]}) / len(flipped),
        "named": len(named),
        "precision": hits / len(named) if named else 0.0,
        "recall": hits / len(flipped),
        "share": share,
        "processor_seconds": round(time.process_time() - worked, 2),
        "machine": machine(),
    }


def table(runs: Sequence[dict]) -> str:
    """Return the results as Markdown."""
    rows, said = [], []
    for data, labels in SIZES:
        firsts = {}
        for what in WHAT:
            found = {r["seed"]: r for r in runs if [r[k] for k in KEY[:2]] == [data, labels]
                     and r["what"] == what}  # fmt: skip
            if not found:
                continue
            firsts[what] = {seed: run["first"] for seed, run in found.items()}
            first = [*firsts[what].values()]
            sd = f" ({points(stdev(first))})" if len(first) > 1 else ""
            parts = [fmean(run[k] for run in found.values()) for k in ("precision", "recall")]
            shares = [run["share"] for run in found.values() if run["share"] is not None]
            rows.append(
                (
                    f"{data}, {labels:,}", what, f"{points(fmean(first))}{sd}",
                    f"{fmean(run['named'] for run in found.values()):.0f}", *map(points, parts),
                    points(fmean(shares)) if shares else "none",
                    f"{fmean(run['processor_seconds'] for run in found.values()):.1f}",
                    str(len(found)),
                )
            )  # fmt: skip
        for own, peer in ((WHAT[0], PEERS[0]), (WHAT[0], PEERS[1]), (WHAT[1], PEERS[2])):
            seeds = sorted(firsts.get(own, {}).keys() & firsts.get(peer, {}).keys())
            pair = ([firsts[name][seed] for seed in seeds] for name in (own, peer))
            if seeds:
                said.append(f"{data}, {labels:,}: {sentence(own, peer, paired_difference(*pair))}")
    header = (
        "texts", "who", "flipped among the first", "named", "precision", "recall",
        "share told", "seconds", "draws",
    )  # fmt: skip
    machines = " / ".join(sorted({run["machine"] for run in runs}))
    about = (
        "One label in ten is flipped. In points: how many of the flipped are among as many texts, "
        "the worst first (standard deviation); what is named in all, with its precision and "
        "recall; the share of wrong labels that is told: 10 and whatever was wrong before would "
        f"be right. Seconds are the processor's. {machines}. tests/benchmarks/doubtful.py "
        "measures it again."
    )
    title = Heading("Doubtful labels: what minift check finds", 1)
    return markdown([title, Paragraph(about), Table(header, tuple(rows)), Bullets(tuple(said))])


def main(argv: Sequence[str] | None = None) -> int:
    """Do the runs that are missing, or print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", type=Path, required=True, help="JSONL of finished runs")
    parser.add_argument("--table", action="store_true", help="print Markdown, run nothing")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--data", nargs="+", choices=sorted({data for data, _ in SIZES}))
    parser.add_argument("--only", nargs="+", choices=WHAT)
    arguments = parser.parse_args(argv)
    runs = [*read_log(arguments.log)]
    if arguments.table:
        print(table(runs))
        return 0
    done = {tuple(run[name] for name in KEY) for run in runs}
    for seed in arguments.seeds:
        for data, labels in SIZES:
            for what in WHAT:
                wanted = (data, arguments.data), (what, arguments.only)
                missing = (data, labels, seed, what) not in done
                if missing and all(chosen is None or value in chosen for value, chosen in wanted):
                    append_log(arguments.log, measure(data, labels, seed, what))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
