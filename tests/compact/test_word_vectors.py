"""The first word vectors of a student.

claim                                                      oracle
a vector is the mean over the word's pieces, turned        distances between words, from the table
  and scaled: no distance is lost if there is room
fewer numbers keep the directions that differ most         the singular values of numpy
the unknown word and what is left over stay                the student before
words of the teacher's own vocabulary can be known, too    its pieces, read from the file
a student starts from them, or at random if asked          its weights before the first step
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from minift.compact import run as module
from minift.compact.distill import Distillation
from minift.compact.run import distill
from minift.compact.student import new_student
from minift.compact.vocabulary import build_vocabulary
from minift.compact.word_vectors import start_from_teacher, whole_words, word_vectors
from minift.errors import MiniftError
from minift.runs.tuned import build
from minift.training.loop import Seeds
from tests.tiny import checkpoint, news

WORDS = ("Ada", "unhappily", "saw", "Oslo", "?#", "Zanzibar", "and")  # one, many, no known piece


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return build(news(), checkpoint(tmp_path_factory.mktemp("encoder")), Seeds.all(0))


def means(teacher) -> np.ndarray:
    """The specification: word by word, piece by piece."""
    table = teacher.model.bert.embeddings.word.weight.detach().double().numpy()
    rows = []
    for word in WORDS:
        (window,) = teacher.tokenizer.encode_words([word])
        rows.append(np.mean([table[i] for i in window.input_ids[1:-1]], axis=0))
    return np.array(rows)


def distances(rows) -> np.ndarray:
    return np.linalg.norm(rows[:, None] - rows[None], axis=2)


def test_with_room_for_all_the_distances_are_those_of_the_means_up_to_one_factor(teacher):
    ours = word_vectors(teacher, WORDS, 100).double().numpy()
    assert ours.shape == (len(WORDS), 32)  # the teacher's width
    expected = distances(means(teacher))
    apart = ~np.eye(len(WORDS), dtype=bool)
    ratios = distances(ours)[apart] / expected[apart]
    assert ratios == pytest.approx(ratios[0], rel=1e-4)
    assert np.linalg.norm(ours, axis=1).mean() == pytest.approx(1.0, rel=1e-5)


def test_fewer_numbers_keep_the_directions_in_which_the_words_differ_most(teacher):
    rows = means(teacher)
    singular = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    ours = word_vectors(teacher, WORDS, 3).double().numpy()
    kept = np.linalg.norm(ours, axis=0)
    assert kept / kept[0] == pytest.approx(singular[:3] / singular[0], rel=1e-4)


def test_the_unknown_word_and_the_columns_left_over_stay_as_they_were(teacher):
    vocabulary = build_vocabulary([WORDS], min_count=1)
    student = new_student(vocabulary, teacher.labels, torch.Generator().manual_seed(0))
    before = {n: p.detach().clone() for n, p in student.model.named_parameters()}
    start_from_teacher(student, teacher)
    for name, parameter in student.model.named_parameters():
        if name != "word.weight":
            assert torch.equal(parameter, before[name])
    after = student.model.word.weight
    assert torch.equal(after[0], torch.zeros(100))
    assert torch.equal(after[:, 32:], before["word.weight"][:, 32:])
    assert torch.equal(after[1:, :32], word_vectors(teacher, vocabulary.words, 100))


def test_words_of_the_teachers_vocabulary_are_known_though_no_sentence_has_them(teacher, tmp_path):
    folder = checkpoint(tmp_path)
    pieces = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = whole_words(teacher, 10_000)
    assert "Kyiv" in words
    assert set(words) == {p for p in pieces if p.isalpha() and len(p) > 1}
    assert whole_words(teacher, 3) == words[:3]
    dataset = replace(news(), train=news().train[:4])
    for many in (0, 10_000):
        how = Distillation(steps=1, teacher_words=many)
        student, _ = distill(teacher, dataset, [WORDS], settings=how)
        assert set(words) <= set(student.vocabulary.words) or not many
        assert student.vocabulary.word_id("Zanzibar") == 0  # once in the text, in pieces there
    (row,) = word_vectors(teacher, [*student.vocabulary.words], 32)[
        student.vocabulary.word_id("Kyiv") - 1
    ].unsqueeze(0)
    kept = student.model.word.weight[student.vocabulary.word_id("Kyiv"), :32]
    assert (row - kept).abs().max() < 0.01  # one step away from where it started


def test_a_student_starts_from_its_teacher_or_at_random_as_asked(teacher, tmp_path, monkeypatch):
    started = {}
    teach = module.teach

    def seen(student, *rest, **options):
        started[name] = student.model.word.weight.detach().clone()
        return teach(student, *rest, **options)

    monkeypatch.setattr(module, "teach", seen)
    dataset = replace(news(), train=news().train[:8])
    for name in ("teacher", "random"):
        out = tmp_path / name
        distill(teacher, dataset, [WORDS], out, settings=Distillation(steps=1, vectors=name))
        made = json.loads((out / "distill.json").read_text())
        assert made["settings"]["vectors"] == name
    assert not torch.equal(started["teacher"][1:, :32], started["random"][1:, :32])
    assert torch.equal(started["teacher"][:, 32:], started["random"][:, 32:])
    with pytest.raises(MiniftError, match='unknown vectors "glove"; known: teacher, random'):
        Distillation(vectors="glove")
