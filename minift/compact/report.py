"""What compression costs and buys: sizes, speeds and scores of teacher and student, side by side.

Claim    "36 times smaller" depends on what is counted. So parameters are counted with and without
         embedding tables, bytes are those of the files, and the speed of both is measured on
         the same sentences in one run, alternating, from words to tags; machine and command
         stand beside it. BERT-base, which the paper's teacher was, is counted by its shapes.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294, compares 110 million
         with "about 3 million" parameters; most of the 3 million are word vectors.
Proof    tests/compact/test_report.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from minift.bert.config import BertConfig
from minift.bert.heads import TokenClassifier
from minift.checkpoints.weights import without_weights
from minift.compact.student import Student
from minift.compact.teacher import teacher_tags
from minift.compact.vocabulary import Words
from minift.data.entities import entity_scores
from minift.data.examples import TaggedExample, gold_tags
from minift.errors import MiniftError
from minift.runs.machine import machine
from minift.runs.tuned import FineTuned

TIMED = 200  # sentences, the first ones, that speed is measured on


@dataclass(frozen=True)
class Size:
    """How large a model is."""

    parameters: int  # all numbers that were learned
    embeddings: int  # those in tables from which rows are looked up

    @property
    def without_embeddings(self) -> int:
        """Parameters outside the tables."""
        return self.parameters - self.embeddings


def size_of(model: nn.Module) -> Size:
    """Count the parameters of a model; tables are its `nn.Embedding`s."""
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    return Size(
        sum(parameter.numel() for parameter in model.parameters()),
        sum(parameter.numel() for table in tables for parameter in table.parameters()),
    )


def bert_base(labels: Sequence[str]) -> Size:
    """Count the parameters of BERT-base (uncased) with a tagging head; no weight is made."""
    return size_of(without_weights(TokenClassifier, BertConfig(labels=tuple(labels))))


def stored_bytes(path: str | Path) -> int:
    """Return the bytes of a weight file, or of all weight files of a folder."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    if not files:
        raise MiniftError(f"{path}: no .safetensors file to measure")
    return sum(file.stat().st_size for file in files)


@dataclass(frozen=True)
class Speeds:
    """Sentences per second: the median of the rounds, the slowest and the fastest."""

    median: float
    slowest: float
    fastest: float


def alternating_speeds(
    first: Callable[[], object], second: Callable[[], object], sentences: int, rounds: int = 5
) -> tuple[Speeds, Speeds]:
    """Time two jobs over all sentences in turn, after one round of each that is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for job, taken in zip((first, second), seconds):
            started = time.perf_counter()
            job()
            if number:
                taken.append(time.perf_counter() - started)
    slow, fast = (
        Speeds(sentences / statistics.median(t), sentences / max(t), sentences / min(t))
        for t in seconds
    )
    return slow, fast


def compression_report(
    teacher: FineTuned,
    student: Student,
    examples: Sequence[TaggedExample],
    teacher_file: str | Path | None = None,
    student_file: str | Path | None = None,
    *,
    rounds: int = 5,
    command: str | None = None,
) -> dict[str, Any]:
    """Return what report.json says of a student and its teacher, which are on the same device.

    F1 is that of entities, micro, mode "conlleval"; agreement is the share of words that get the
    same tag, and the F1 of the student against the teacher.

    Args:
        examples: labelled sentences that neither was trained on.
        teacher_file, student_file: weight files or their folders, for the stored bytes.
        rounds: timed rounds over the first `TIMED` sentences.
        command: what was typed.
    """
    if not examples or any(example.tags is None for example in examples):
        raise MiniftError("the report needs labelled sentences to score teacher and student on")
    sentences: list[Words] = [example.words for example in examples]
    gold = gold_tags(examples)
    says_teacher, says_student = teacher_tags(teacher, sentences), student.tag(sentences)
    pairs = [(a, b) for x, y in zip(says_teacher, says_student) for a, b in zip(x, y)]
    some = sentences[:TIMED]
    speeds = alternating_speeds(
        lambda: teacher_tags(teacher, some), lambda: student.tag(some), len(some), rounds
    )
    models, files = (teacher.model, student.model), (teacher_file, student_file)
    large, small = sizes = tuple(map(size_of, models))
    stored = [None if file is None else stored_bytes(file) for file in files]
    report: dict[str, Any] = {}
    for side, size, bytes_, speed in zip(("teacher", "student"), sizes, stored, speeds):
        report |= {
            f"{side}_parameters": size.parameters,
            f"{side}_parameters_without_embeddings": size.without_embeddings,
            f"{side}_float32_bytes": 4 * size.parameters,
            f"{side}_stored_bytes": bytes_,
            f"{side}_sentences_per_second": round(speed.median, 2),
            f"{side}_sentences_per_second_range": [
                round(end, 2) for end in (speed.slowest, speed.fastest)
            ],
        }
    base, device = bert_base(teacher.labels), str(next(student.model.parameters()).device)
    return report | {
        "compression": large.parameters / small.parameters,
        "compression_without_embeddings": large.without_embeddings / small.without_embeddings,
        "compression_stored": stored[0] / stored[1] if stored[0] and stored[1] else None,
        "bert_base_parameters_by_shapes": base.parameters,
        "compression_of_bert_base_by_shapes": base.parameters / small.parameters,
        "speedup": speeds[1].median / speeds[0].median,
        "teacher_f1": entity_scores(gold, says_teacher).micro.f1,
        "student_f1": entity_scores(gold, says_student).micro.f1,
        "agreement": sum(a == b for a, b in pairs) / len(pairs),
        "agreement_f1": entity_scores(says_teacher, says_student).micro.f1,
        "scored_sentences": len(sentences),
        "timed_sentences": len(some),
        "torch_threads": torch.get_num_threads(),
        "device": device,
        "machine": machine(device),
        "command": command,
    }


def report_text(report: dict[str, Any]) -> str:
    """Return in a few lines what `compression_report` found."""

    def megabytes(side: str) -> str:
        stored = report[f"{side}_stored_bytes"] or report[f"{side}_float32_bytes"]
        return f"{stored / 1e6:.1f} MB"

    ratio = report["compression_stored"]
    return "\n".join(
        [
            f"entity F1    teacher {report['teacher_f1']:.3f}, student {report['student_f1']:.3f} "
            f"({report['agreement']:.1%} of words tagged alike)",
            f"parameters   teacher {report['teacher_parameters']:,}, student "
            f"{report['student_parameters']:,}: {report['compression']:.1f} times fewer "
            f"({report['compression_without_embeddings']:.1f} without embedding tables)",
            f"stored       teacher {megabytes('teacher')}, student {megabytes('student')}"
            + (f": {ratio:.1f} times smaller" if ratio else ""),
            f"speed        teacher {report['teacher_sentences_per_second']:.0f}, student "
            f"{report['student_sentences_per_second']:.0f} sentences per second: "
            f"{report['speedup']:.1f} times faster "
            f"({report['torch_threads']} threads, {report['device']})",
            f"of a BERT-base teacher, {report['bert_base_parameters_by_shapes']:,} parameters by "
            f"shapes, the student has {report['compression_of_bert_base_by_shapes']:.1f} times "
            "fewer",
            f"machine      {report['machine']}",
        ]
    )
