"""Rows: a compact tagger against the BERT tagger it would be taught by, on one core; its loading.

The weights are random: they do not change the time. What is compared first is not the tags, which
differ by nature, but that both answer every word, and that a stored student answers as before.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import torch

from minift.bert.heads import TokenClassifier
from minift.checkpoints.weights import load_model, load_tokenizer
from minift.compact.store import load_student, save_student
from minift.compact.student import new_student
from minift.compact.vocabulary import build_vocabulary
from minift.data.named import load_dataset
from minift.runs.tuned import FineTuned
from tests import tiny
from tests.benchmarks.common import NotTheSame, Result, faster, in_turn, seconds, spread
from tests.benchmarks.world import World


def rows(world: World) -> Iterator[Result]:
    """Compare, then time, with one thread."""
    data = tiny.news(48) if world.quick else load_dataset("wnut17")
    training = [example.words for example in data.train]
    sentences = [example.words for example in data.test[: world.size(400, 12)]]
    model, _ = load_model(
        TokenClassifier, world.folder, data.labels, generator=torch.Generator().manual_seed(0)
    )
    teacher = FineTuned(model, load_tokenizer(world.folder), "tagging", data.labels)
    vocabulary = build_vocabulary(training)
    student = new_student(vocabulary, data.labels, torch.Generator().manual_seed(0))
    file = save_student(student, world.scratch / "student")
    expected = [len(words) for words in sentences]
    answers = student.tag(sentences)
    if [len(tags) for tags in answers] != expected:
        raise NotTheSame("the student does not answer one tag a word")
    if [len(tags) for tags in teacher.tag(sentences)] != expected:
        raise NotTheSame("the BERT tagger does not answer one tag a word")
    if load_student(file).tag(sentences) != answers:
        raise NotTheSame("a student that was stored answers otherwise than before")

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        small, large = in_turn(
            [
                lambda: seconds(lambda: student.tag(sentences)),
                lambda: seconds(lambda: teacher.tag(sentences)),
            ],
            world.rounds,
        )
        (loading,) = in_turn([lambda: seconds(lambda: load_student(file))], world.rounds)
    finally:
        torch.set_num_threads(threads)
    work = "compact tagger on one core, against the BERT tagger"
    yield Result("compact", work, 10.0, **faster(small, large, len(sentences), "sentences"))
    median = {"ours": statistics.median(loading), "unit": "seconds"}
    note = f"the ratio is seconds; {len(vocabulary.words):,} words"
    work = "compact tagger, loading"
    yield Result("compact_load", work, 0.5, "at most", note=note, **spread(loading), **median)
