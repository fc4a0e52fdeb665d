"""Run every command once in a fresh process; tests/safety/test_determinism.py compares two of them.

python -m tests.safety.every_command FOLDER SEED ORDER
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch

from minift.cli import demo
from minift.cli.main import main
from tests.tiny import checkpoint, news, reviews

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"


def files(folder: Path) -> None:
    """Write what the commands read: the same for each seed."""
    made = reviews(64)
    for split in ("train", "dev", "test"):
        rows = [{"text": e.text, "label": e.label} for e in getattr(made, split)]
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "texts.txt").write_text("\n".join(e.text for e in made.test) + "\n")
    tagged = news(48)
    for split in ("train", "dev"):
        rows = [{"words": e.words, "tags": e.tags} for e in getattr(tagged, split)]
        (folder / f"{split}-tags.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "sentences.txt").write_text("\n".join(" ".join(e.words) for e in tagged.test) + "\n")
    strange = ("zebra", "quokka", "yak")
    texts = (f"{e.text} {strange[n % 3]}" for n, e in enumerate(made.train))
    (folder / "strange.txt").write_text("\n".join(texts) + "\n")
    (folder / "raw.txt").write_text("\n\n".join(e.text * 40 for e in made.train) + "\n")


def commands(seed: str) -> dict[str, list[str]]:
    """Each command by name; a name before the others is what it needs."""
    splits = ["--train", "train.jsonl", "--dev", "dev.jsonl", "--test", "test.jsonl"]
    tags = ["--train", "train-tags.jsonl", "--dev", "dev-tags.jsonl"]
    small = ["--encoder", "encoder", "--seed", seed, "--epochs", "2"]
    return {
        "train": ["train", *splits, *small, "--method", "child-f:0.3", "--labels", "24", "--out",
                  "run"],
        "train deterministic": ["train", *splits, *small, "--method", "child-f:0.3", "--labels",
                                "24", "--out", "run-d", "--deterministic"],
        "train tagger": ["train", *tags, *small, "--out", "tagger"],
        "predict": ["predict", "run", "texts.txt", "--out", "answers.jsonl"],
        "evaluate": ["evaluate", "run", "--data", "test.jsonl"],
        "check": ["check", "--train", "train.jsonl", "--encoder", "encoder", "--folds", "2",
                  "--seed", seed],
        "compare": ["compare", *splits, "--encoder", "encoder", "--methods", "full,child-d:0.3",
                    "--labels", "16", "--seeds", f"{seed},{int(seed) + 1}", "--epochs", "1",
                    "--out", "comparison", "--keep-weights"],
        "distill": ["distill", "--teacher", "tagger", "--unlabelled", "sentences.txt", *tags,
                    "--steps", "20", "--seed", seed, "--out", "student"],
        "score": ["active", "score", "run", "texts.txt", "--strategy", "bald", "--passes", "3",
                  "--seed", seed, "--out", "scores.jsonl"],
        "simulate": ["active", "simulate", "--train", "train.jsonl", "--test", "test.jsonl",
                     "--encoder", "encoder", "--strategies", "random,bald", "--rounds", "1",
                     "--query", "5", "--initial", "5", "--seeds", f"{seed},{int(seed) + 1}",
                     "--passes", "3", "--steps", "10", "--out", "simulation"],
        "expand": ["expand", "encoder", "--text", "strange.txt", "--size", "2", "--out", "wide"],
        "further": ["pretrain", "wide", "--text", "strange.txt", "--objective", "condenser",
                    "--epochs", "1", "--batch-size", "8", "--seed", seed, "--out", "further"],
        "pretrain": ["all", "--work", "pretraining", "--text", "raw.txt", "--out", "own",
                     "--vocabulary", "80", "--steps", "6", "--layers", "1", "--hidden", "32",
                     "--length", "32", "--sequences", "4", "--seed", seed],
    }  # fmt: skip


def run(name: str, arguments: list[str]) -> None:
    """Run a command, its output into a file."""
    with Path(f"{name}.out").open("w", encoding="utf-8") as out, redirect_stdout(out):
        if name == "pretrain":
            sys.path.insert(0, str(SCRIPTS))
            importlib.import_module("pretrain").main(arguments)
        else:
            assert main(arguments) == 0, name


if __name__ == "__main__":
    import os

    folder, seed, order = Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    folder.mkdir()
    os.chdir(folder)
    torch.set_num_threads(1)
    checkpoint(Path("encoder"))
    files(Path())
    todo = commands(seed)
    if order == "backwards":  # what they need of each other stays before them
        last = ("predict", "evaluate", "distill", "score", "further")
        names = [*reversed([n for n in todo if n not in last]), *reversed(last)]
        todo = {name: todo[name] for name in names}
        random.seed(7), np.random.seed(7), torch.manual_seed(7)  # the global streams are not used
    for name, arguments in todo.items():
        run(name, arguments)
    demo.EPOCHS, demo.METHODS = 1, ("head", "child-f:0.3")
    with Path("demo.out").open("w", encoding="utf-8") as out, redirect_stdout(out):
        demo.demo("encoder", 1)
