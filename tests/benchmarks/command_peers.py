"""The shortest scripts of other packages that do what one command of minift does, whole.

    PYTHON tests/benchmarks/command_peers.py NAME REQUEST.json ANSWER.json

They import nothing of minift, so that PYTHON may be that of another environment; imports are inside
the functions, as each script would have only its own. Files in, files out: a model with its
tokenizer, or a table of answers. tests/benchmarks/commands.py writes the request and times the
process from outside.

trainer     transformers' Trainer: train, score two files, save
setfit      the same with the package setfit, 40 pairs per text
compare     transformers' Trainer for each set of parameters and seed
next        transformers' Trainer on what is labelled, then baal: ten passes over the pool, BALD
predict     transformers' pipeline over a file of texts
distill     a BERT of two layers of 128, which a plain loop teaches a tagger's probabilities
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is here


def table(file: str) -> tuple[list[str], list[str]]:
    """Return texts and labels of a CSV."""
    with open(file, encoding="utf-8", newline="") as opened:  # noqa: PTH123
        rows = list(csv.DictReader(opened))
    return [row["text"] for row in rows], [row["label"] for row in rows]


class Fine:
    """A classifier of transformers: its texts, its `Trainer`, its answers."""

    def __init__(self, asked: dict, seed: int):
        from transformers import (
            AutoModelForSequenceClassification,
            AutoTokenizer,
            DataCollatorWithPadding,
            set_seed,
        )

        set_seed(seed)
        self.asked, self.seed, self.classes = asked, seed, asked["classes"]
        self.tokenizer = AutoTokenizer.from_pretrained(asked["encoder"])
        self.model = AutoModelForSequenceClassification.from_pretrained(
            asked["encoder"], num_labels=len(self.classes), id2label=dict(enumerate(self.classes))
        )
        self.collate = DataCollatorWithPadding(self.tokenizer)

    def rows(self, texts: list[str], labels: list[str] | None = None) -> list[dict]:
        """Encode texts."""
        encoded = self.tokenizer(texts, truncation=True)
        rows = [{name: encoded[name][n] for name in encoded} for n in range(len(texts))]
        for row, label in zip(rows, labels or ()):
            row["labels"] = self.classes.index(label)
        return rows

    def train(self, scratch: str) -> int:
        """Train as asked; return the number of steps."""
        from transformers import Trainer, TrainingArguments

        arguments = TrainingArguments(
            output_dir=scratch, num_train_epochs=self.asked["epochs"], report_to="none",
            per_device_train_batch_size=self.asked["batch"], learning_rate=self.asked["rate"],
            seed=self.seed, use_cpu=True, save_strategy="no", logging_strategy="no",
            disable_tqdm=True,
        )  # fmt: skip
        self.trainer = Trainer(
            self.model, arguments, data_collator=self.collate,
            train_dataset=self.rows(*table(self.asked["train"])),
        )  # fmt: skip
        return self.trainer.train().global_step

    def accuracy(self, file: str) -> float:
        """Score a file."""
        texts, gold = table(file)
        found = self.trainer.predict(self.rows(texts)).predictions.argmax(1)
        return sum(self.classes[n] == label for n, label in zip(found, gold)) / len(gold)


def trainer(asked: dict) -> dict:
    """Train, score, save."""
    with tempfile.TemporaryDirectory() as scratch:
        fine = Fine(asked, 0)
        steps = fine.train(scratch)
        scores = {name: fine.accuracy(asked[name]) for name in ("dev", "test")}
        fine.trainer.save_model(asked["out"])
        fine.tokenizer.save_pretrained(asked["out"])
    return {"steps": steps, **scores}


def setfit(asked: dict) -> dict:
    """Train on pairs, score, save."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from setfit import SetFitModel, Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as scratch:
        folder = asked["encoder"]
        if not (
            Path(folder) / "modules.json"
        ).is_file():  # nothing says that the mean is to be read
            words = Transformer(folder)
            width = words.auto_model.config.hidden_size
            folder = str(Path(scratch) / "encoder")
            SentenceTransformer(modules=[words, Pooling(width, pooling_mode="mean")]).save(folder)
        model = SetFitModel.from_pretrained(folder)
        texts, labels = table(asked["train"])
        arguments = TrainingArguments(
            output_dir=scratch, num_iterations=20, seed=0, report_to="none",
            logging_strategy="no", save_strategy="no", show_progress_bar=False,
        )  # fmt: skip
        rows = Dataset.from_dict({"text": texts, "label": labels})
        Trainer(model=model, args=arguments, train_dataset=rows).train()
        scores = {}
        for name in ("dev", "test"):
            texts, gold = table(asked[name])
            found = [str(label) for label in model.predict(texts)]
            scores[name] = sum(a == b for a, b in zip(found, gold)) / len(gold)
        model.save_pretrained(asked["out"])
    return scores


def compare(asked: dict) -> dict:
    """Train each set of parameters with each seed; score one file."""
    found = {}
    for method in asked["methods"]:
        for seed in range(asked["seeds"]):
            fine = Fine(asked, seed)
            lowest = int(method.partition(":")[2] or 0) if method.startswith("freeze") else 0
            for name, parameter in fine.model.named_parameters():
                head = not name.startswith("bert.") or "pooler" in name
                frozen = "embeddings" in name or any(f"layer.{n}." in name for n in range(lowest))
                parameter.requires_grad_(
                    {"full": True, "head": head, "bitfit": head or name.endswith("bias")}.get(
                        method, not frozen
                    )
                )
            with tempfile.TemporaryDirectory() as scratch:
                fine.train(scratch)
                found[f"{method} {seed}"] = fine.accuracy(asked["test"])
    Path(asked["out"]).write_text(json.dumps(found))
    return {"runs": len(found), "test": sum(found.values()) / len(found)}


def next(asked: dict) -> dict:
    """Train on what is labelled, ask ten times about each text of the pool, choose."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    from baal.active.heuristics import BALD
    from baal.bayesian.dropout import patch_module
    from baal.transformers_trainer_wrapper import BaalTransformersTrainer

    with tempfile.TemporaryDirectory() as scratch:
        fine = Fine(asked, 0)
        steps = fine.train(scratch)
        texts = Path(asked["pool"]).read_text(encoding="utf-8").splitlines()
        asker = BaalTransformersTrainer(
            patch_module(fine.model), fine.trainer.args, data_collator=fine.collate
        )
        drawn = asker.predict_on_dataset(fine.rows(texts), iterations=10)
    chosen = BALD()(drawn)[: asked["count"]]
    with open(asked["out"], "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        csv.writer(file).writerows([texts[n]] for n in chosen)
    return {"steps": steps, "chosen": len(chosen), "pool": len(texts)}


def predict(asked: dict) -> dict:
    """Answer each line of a file."""
    from transformers import pipeline

    texts = Path(asked["texts"]).read_text(encoding="utf-8").splitlines()
    answer = pipeline("text-classification", asked["run"], device="cpu", batch_size=16)
    found = [row["label"] for row in answer(texts, truncation=True)]
    lines = (json.dumps({"text": t, "label": label}) for t, label in zip(texts, found))
    Path(asked["out"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"labels": found}


def distill(asked: dict) -> dict:
    """Teach a small BERT what a tagger believes about each word piece."""
    import torch
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        BertConfig,
        BertForTokenClassification,
    )

    tokenizer = AutoTokenizer.from_pretrained(asked["run"])
    teacher = AutoModelForTokenClassification.from_pretrained(asked["run"]).eval()
    sentences = Path(asked["texts"]).read_text(encoding="utf-8").splitlines()
    torch.manual_seed(0)
    student = BertForTokenClassification(
        BertConfig(
            vocab_size=teacher.config.vocab_size, hidden_size=128, num_hidden_layers=2,
            num_attention_heads=4, intermediate_size=512, num_labels=teacher.config.num_labels,
        )
    ).train()  # fmt: skip
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    for _ in range(asked["steps"]):
        some = torch.randint(len(sentences), (asked["batch"],)).tolist()
        batch = tokenizer(
            [sentences[n] for n in some], padding=True, truncation=True, return_tensors="pt"
        )
        real = batch["attention_mask"].bool()
        with torch.inference_mode():
            believed = teacher(**batch).logits[real].log_softmax(-1)
        told = student(**batch).logits[real].log_softmax(-1)
        loss = torch.nn.functional.kl_div(
            told, believed.clone(), reduction="batchmean", log_target=True
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    student.save_pretrained(asked["out"])
    tokenizer.save_pretrained(asked["out"])
    return {"steps": asked["steps"]}


SCRIPTS = (trainer, setfit, compare, next, predict, distill)

if __name__ == "__main__":
    script = {script.__name__: script for script in SCRIPTS}[sys.argv[1]]
    answer = script(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    Path(sys.argv[3]).write_text(json.dumps(answer), encoding="utf-8")
