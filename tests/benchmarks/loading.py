"""Rows: from a checkpoint on the disk to the first prediction, against transformers.

Once in a process that has imported both, and once as a person waits for it: a fresh process,
imports included. The file is in the system's cache on both sides.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.benchmarks.common import Result, costlier, in_turn, same, seconds, spread
from tests.benchmarks.world import World, quiet_transformers

TEXT = "a good film and not a bad book"


def ours(folder: Path | str) -> list[float]:
    """Load with minift and answer one text."""
    from minift.bert.heads import SequenceClassifier
    from minift.checkpoints.weights import load_model, load_tokenizer
    from minift.data.examples import TextExample
    from minift.runs.evaluate import predict_logits
    from minift.training.items import make_items

    model, _ = load_model(SequenceClassifier, folder)
    texts = [TextExample("1", TEXT)]
    items = make_items(texts, load_tokenizer(folder), "classification", model.config.labels)
    return predict_logits(model, items)[0][0].tolist()


def theirs(folder: Path | str) -> list[float]:
    """Load with transformers and answer the same text."""
    transformers = quiet_transformers()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer(TEXT, return_tensors="pt")).logits[0].tolist()


def fresh(side: str, folder: Path) -> list[float]:
    """Do it in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.loading", side, str(folder)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows(world: World) -> Iterator[Result]:
    """Compare, then time in this process."""
    folder = world.folder
    same("logits of the first text", ours(folder), theirs(folder))
    mine, other = in_turn(
        [lambda: seconds(lambda: ours(folder)), lambda: seconds(lambda: theirs(folder))],
        world.rounds,
    )
    work = "loading to first prediction, imports done"
    yield Result("loading", work, 0.5, "at most", **costlier(mine, other, "seconds"))


def fresh_rows(world: World) -> Iterator[Result]:
    """Compare, then time in processes of their own."""
    folder = world.folder
    same("logits of the first text", fresh("ours", folder), fresh("theirs", folder))
    mine, other = in_turn(
        [
            lambda: seconds(lambda: fresh("ours", folder)),
            lambda: seconds(lambda: fresh("theirs", folder)),
        ],
        world.rounds,
        warm_up=False,
    )
    work = "loading to first prediction, in a fresh process"
    yield Result("loading_fresh", work, 0.5, "at most", **costlier(mine, other, "seconds"))


def import_rows(world: World) -> Iterator[Result]:
    """What `import minift` takes on top of `import torch`, in processes of their own."""

    def importing(what: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", f"import {what}"], check=True))

    with_minift, alone = in_turn(
        [lambda: importing("torch, minift"), lambda: importing("torch")], world.rounds
    )
    more = [a - b for a, b in zip(with_minift, alone)]
    yield Result(
        "import", "import minift, beyond import torch", 0.3, "at most", **spread(more),
        ours=statistics.median(more), unit="seconds", note="the ratio is seconds",
    )  # fmt: skip


if __name__ == "__main__":  # as `fresh` starts it
    print(json.dumps({"ours": ours, "theirs": theirs}[sys.argv[1]](sys.argv[2])))
