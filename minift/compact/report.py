"""What compression costs and buys: the sizes and speeds of teacher and student, side by side.

Claim    "36 times smaller" depends on what is counted. So parameters are counted with and without
         embedding tables, and the speed of both is measured in one run, alternating, from words
         to tags. Bytes, scores and machine stand beside them in data_scripts/entity_runs.py.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294, compares 110 million
         with "about 3 million" parameters; most of the 3 million are word vectors.
Proof    tests/compact/test_report.py
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import nn

from minift.bert.config import BertConfig
from minift.bert.heads import TokenClassifier
from minift.checkpoints.weights import without_weights


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
