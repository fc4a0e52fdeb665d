"""What compression costs and buys: sizes, speeds and scores of teacher and student, side by side.

Claim    "36 times smaller" depends on what is counted. So parameters are counted with and without
         embedding tables, bytes are those of the files, and the speed of both is measured on
         the same sentences in one run, alternating, from words to tags.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294, compares 110 million
         with "about 3 million" parameters; most of the 3 million are word vectors.
Proof    tests/compact/test_report.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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


class Size(NamedTuple):
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
    every, looked_up = model.parameters(), (p for table in tables for p in table.parameters())
    return Size(sum(p.numel() for p in every), sum(p.numel() for p in looked_up))


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


class Speeds(NamedTuple):
    """Sentences per second: the median of the rounds, the slowest and the fastest."""

    median: float
    slowest: float
    fastest: float


def alternating_speeds(
    first: Callable[[], object], second: Callable[[], object], sentences: int, rounds: int = 5
) -> tuple[Speeds, Speeds]:
    """Time two jobs over all sentences in turn, after one round of each that is not counted."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for job, taken in zip((first, second), seconds):
            started = time.perf_counter()
            job()
            taken.append(time.perf_counter() - started)
    each = [sorted(sentences / t for t in taken[1:]) for taken in seconds]
    slow, fast = (Speeds(statistics.median(speeds), speeds[0], speeds[-1]) for speeds in each)
    return slow, fast


def compression_report(
    teacher: FineTuned,
    student: Student,
    examples: Sequence[TaggedExample],
    teacher_file: str | Path,
    student_file: str | Path,
    *,
    rounds: int = 5,
    command: str | None = None,
) -> dict[str, Any]:
    """Return what report.json says of a student and its teacher, which are on the same device.

    The examples are labelled sentences that neither was trained on, of which the first `TIMED` are
    timed; the files are those of the weights, or their folders. F1 is that of entities, micro, mode
    "conlleval"; agreement is the share of words that get the same tag, and the F1 of the student
    against the teacher. `command` is what was typed.
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
    large, small = sizes = size_of(teacher.model), size_of(student.model)
    stored = stored_bytes(teacher_file), stored_bytes(student_file)
    report: dict[str, Any] = {}
    for side, size, file_bytes, speed in zip(("teacher", "student"), sizes, stored, speeds):
        report |= {
            f"{side}_parameters": size.parameters,
            f"{side}_parameters_without_embeddings": size.without_embeddings,
            f"{side}_stored_bytes": file_bytes,
            f"{side}_sentences_per_second": round(speed.median, 2),
            f"{side}_sentences_per_second_range": [round(end, 2) for end in speed[1:]],
        }
    base, device = bert_base(teacher.labels), str(next(student.model.parameters()).device)
    return report | {
        "compression": large.parameters / small.parameters,
        "compression_without_embeddings": large.without_embeddings / small.without_embeddings,
        "compression_stored": stored[0] / stored[1],
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


REPORT = """\
entity F1    teacher {teacher_f1:.3f}, student {student_f1:.3f} ({agreement:.1%} of words tagged \
alike)
parameters   teacher {teacher_parameters:,}, student {student_parameters:,}: {compression:.1f} \
times fewer ({compression_without_embeddings:.1f} without embedding tables)
stored       teacher {teacher_mb:.1f} MB, student {student_mb:.1f} MB: {compression_stored:.1f} \
times smaller
speed        teacher {teacher_sentences_per_second:.0f}, student \
{student_sentences_per_second:.0f} sentences per second: {speedup:.1f} times faster \
({torch_threads} threads, {device})
of a BERT-base teacher, {bert_base_parameters_by_shapes:,} parameters by shapes, the student has \
{compression_of_bert_base_by_shapes:.1f} times fewer
machine      {machine}"""


def report_text(report: dict[str, Any]) -> str:
    """Return in a few lines what `compression_report` found."""
    sides = ("teacher", "student")
    return REPORT.format(**report, **{f"{s}_mb": report[f"{s}_stored_bytes"] / 1e6 for s in sides})
