"""What people would take instead of minift, as each package's own pages show it.

    PYTHON tests/benchmarks/few_peers.py DRAW.json ANSWER.json

It is a program of its own, which imports nothing of minift, so that PYTHON may be that of another
environment (setfit wants packages that minift does not). tests/benchmarks/few_labels.py writes the
draw and reads the answer:

    DRAW     {"what", "encoder": folder, "classes": [name], "train": [[text, name]],
              "test": [[text, name]], "seed", "threads"}
    ANSWER   {"accuracy", "seconds", "processor_seconds", "scoring_seconds", "threads", "versions"}

Seconds are those from the files of the encoder to a model that can answer: imports (each program
loads the encoder once before the clock starts) and the test part are not in them.

logistic    LogisticRegression(max_iter=1000) of scikit-learn on what sentence-transformers'
            `encode` gives: the mean over tokens, not normalised
trainer     AutoModelForSequenceClassification and Trainer of transformers: 200 steps of 16 texts,
            all else as it comes
setfit      SetFitModel and Trainer of the package setfit, all as it comes: one epoch of every pair,
            so the steps grow with the square of the labels
setfit:20   the same with num_iterations=20, which was the default before setfit 1.0 and is R of
            its paper: 40 pairs per text
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is here

import torch

Predict = Callable[[list], list]  # texts -> names of classes
PACKAGES = ("torch", "transformers", "sentence-transformers", "scikit-learn", "setfit")


def sentence_encoder(folder: str):
    """Return the encoder with the mean over tokens, in float32."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    if (Path(folder) / "modules.json").is_file():
        return SentenceTransformer(folder, device="cpu").float()
    transformer = Transformer(folder)
    width = transformer.auto_model.config.hidden_size
    modules = [transformer, Pooling(width, pooling_mode="mean")]
    return SentenceTransformer(modules=modules, device="cpu").float()


def logistic(draw: dict, scratch: str) -> Callable[[], Predict]:
    """Prepare logistic regression on the mean vectors of the frozen encoder."""
    from sklearn.linear_model import LogisticRegression

    sentence_encoder(draw["encoder"])
    texts, names = zip(*draw["train"])

    def train() -> Predict:
        encode = sentence_encoder(draw["encoder"]).encode
        model = LogisticRegression(max_iter=1000).fit(encode(list(texts)), names)
        return lambda asked: model.predict(encode(asked)).tolist()

    return train


def trainer(draw: dict, scratch: str) -> Callable[[], Predict]:
    """Prepare full fine-tuning of [CLS] and pooler with transformers' Trainer."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    classes = draw["classes"]
    texts, names = zip(*draw["train"])

    def load():
        set_seed(draw["seed"])  # draws the head
        tokenizer = AutoTokenizer.from_pretrained(draw["encoder"])
        model = AutoModelForSequenceClassification.from_pretrained(
            draw["encoder"], num_labels=len(classes), dtype=torch.float32
        )
        return tokenizer, model

    load()

    def train() -> Predict:
        tokenizer, model = load()
        arguments = TrainingArguments(
            output_dir=scratch,
            max_steps=200,
            per_device_train_batch_size=16,
            seed=draw["seed"],
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )

        def rows(asked) -> list[dict]:
            encoded = tokenizer(list(asked), truncation=True)
            return [{name: encoded[name][n] for name in encoded} for n in range(len(asked))]

        items = [{**row, "labels": classes.index(name)} for row, name in zip(rows(texts), names)]
        collate = DataCollatorWithPadding(tokenizer)
        loop = Trainer(model, arguments, data_collator=collate, train_dataset=items)
        loop.train()

        def predict(asked: list) -> list:
            found = loop.predict(rows(asked)).predictions.argmax(1)
            return [classes[n] for n in found]

        return predict

    return train


def setfit(draw: dict, scratch: str, **settings) -> Callable[[], Predict]:
    """Prepare the package setfit: pairs first, then logistic regression."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    folder = str(Path(scratch) / "encoder")  # a folder that says that the mean is to be read
    sentence_encoder(draw["encoder"]).save(folder)
    SetFitModel.from_pretrained(folder)
    texts, names = zip(*draw["train"])

    def train() -> Predict:
        model = SetFitModel.from_pretrained(folder)
        arguments = TrainingArguments(
            output_dir=scratch,
            seed=draw["seed"],
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            show_progress_bar=False,
            **settings,
        )
        rows = Dataset.from_dict({"text": list(texts), "label": list(names)})
        Trainer(model=model, args=arguments, train_dataset=rows).train()
        return lambda asked: [str(name) for name in model.predict(asked)]

    return train


PEERS = {
    "logistic": logistic,
    "trainer": trainer,
    "setfit": setfit,
    "setfit:20": lambda draw, scratch: setfit(draw, scratch, num_iterations=20),
}


def main() -> None:
    """Read the draw, train, answer."""
    draw = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(draw["threads"])
    asked, gold = zip(*draw["test"])
    with tempfile.TemporaryDirectory() as scratch:
        train = PEERS[draw["what"]](draw, scratch)
        began, worked = time.perf_counter(), time.process_time()
        predict = train()
        taken, working = time.perf_counter() - began, time.process_time() - worked
        began = time.perf_counter()
        right = sum(name == answer for name, answer in zip(gold, predict(list(asked))))
        scoring = time.perf_counter() - began
    there = {found.metadata["Name"].lower() for found in importlib.metadata.distributions()}
    versions = {name: importlib.metadata.version(name) for name in PACKAGES if name in there}
    answer = {
        "accuracy": right / len(gold),
        "seconds": taken,
        "processor_seconds": working,
        "scoring_seconds": scoring,
        "threads": torch.get_num_threads(),
        "versions": versions,
    }
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main()
