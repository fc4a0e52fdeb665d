"""The compression and speed report.

claim                                                    oracle
counts are sums over the parameters, with and without    BERT-base by published counts; sums by hand
  embedding tables
36 times fewer parameters than BERT-base, as published   shapes alone
speeds are medians of rounds taken in turn               jobs that take a known time
"""

from __future__ import annotations

import time

import pytest
import torch

from minift.compact.report import alternating_speeds, bert_base, size_of
from minift.compact.tagger import Tagger, TaggerConfig


def test_sizes_of_bert_base_and_a_student_of_25000_words_give_the_papers_36():
    labels = tuple(f"L{n}" for n in range(10))
    base = bert_base(labels)
    with torch.device("meta"):
        small = size_of(Tagger(TaggerConfig(25_000, 100, 10)))
    tables = (30522 + 512 + 2) * 768
    layers = 12 * (12 * 768**2 + 13 * 768)
    assert base.embeddings == tables
    assert base.without_embeddings == 2 * 768 + layers + 768 * 10 + 10
    assert small.without_embeddings == 513_882
    assert small.embeddings == 25_000 * 100 + 100 * 16
    assert base.parameters == base.embeddings + base.without_embeddings == 108_899_338
    assert base.parameters / small.parameters == pytest.approx(36.1, abs=0.1)
    assert base.without_embeddings / small.without_embeddings == pytest.approx(165.5, abs=0.1)


def test_speeds_are_taken_in_turn_and_the_first_round_is_not_counted():
    calls = []

    def job(name, seconds):
        def run():
            calls.append(name)
            time.sleep(seconds if calls.count(name) > 1 else 0.1)  # a slow start

        return run

    slow, fast = alternating_speeds(job("slow", 0.02), job("fast", 0.004), 10, rounds=3)
    assert calls == ["slow", "fast"] * 4
    assert 100 < slow.median <= 500
    assert slow.slowest <= slow.median <= slow.fastest <= 500  # 10 sentences in 0.02 s
    assert 500 < fast.median <= 2500
