"""What distillation is for, on the sentences and the encoder that ship.

claim                                                       oracle
text without labels, tagged by a teacher, makes a student   the same student on the labels alone
better, and it is a fraction of the teacher's size          parameters counted
negative control: a teacher that learned shuffled tags      the student on the labels alone
teaches nothing
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from minift.compact.distill import Distillation
from minift.compact.run import distill
from minift.data.named import load_dataset
from minift.methods.recipes import recipe
from minift.runs.train import subset, train
from minift.training.loop import Seeds

pytestmark = pytest.mark.slow

LABELS, STEPS = 60, 600


@pytest.fixture(scope="module")
def world():
    """Few labelled sentences, and the others without their tags."""
    news = load_dataset("news")
    few = replace(news, train=subset(news.train, LABELS, 0))
    known = {example.words for example in few.train}
    return few, [e.words for e in news.train if e.words not in known]


def taught(teacher, data, unlabelled, weight: float) -> float:
    settings = Distillation(steps=STEPS, teacher_weight=weight)
    _, result = distill(teacher, data, unlabelled, settings=settings, seeds=Seeds.all(0))
    return result["test"]


def teacher_of(data):
    full = recipe("full", "mini")
    settings = replace(full.settings, epochs=30, min_steps=0, learning_rate=1e-4)
    return train(data, "mini", full, seeds=Seeds.all(0), settings=settings)


def test_text_without_labels_makes_a_small_student_better(world, record_property):
    few, unlabelled = world
    teacher, of_teacher = teacher_of(few)
    alone = taught(teacher, few, [], 0.0)
    student = taught(teacher, few, unlabelled, 1.0)
    tags = [example.tags for example in few.train]
    random.Random(0).shuffle(tags)
    nonsense = tuple(
        replace(e, tags=tuple((given * len(e.words))[: len(e.words)]))
        for e, given in zip(few.train, tags)
    )
    liar, _ = teacher_of(replace(few, train=nonsense))
    misled = taught(liar, few, unlabelled, 1.0)
    record_property(
        "measured",
        f"{LABELS} sentences of news, F1: teacher {of_teacher['test']:.3f}, student on the labels "
        f"{alone:.3f}, taught with {len(unlabelled)} sentences more {student:.3f}, by a teacher of "
        f"shuffled tags {misled:.3f}",
    )
    assert student > alone + 0.05
    assert misled < student - 0.05
