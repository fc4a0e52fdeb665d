"""A student that answers.

claim                                                     oracle
a sentence's tags do not depend on its company            each sentence alone, long ones among them
the loss is -log p per word, of softmax and of the CRF      cross_entropy; the CRF's own
entity scores are those of hand cases                     counts by hand
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from minift.compact.student import new_student
from minift.compact.vocabulary import build_vocabulary
from minift.data.examples import TaggedExample
from minift.errors import MiniftError
from tests.tiny import news

DATASET = news(60)


def student_of(head="softmax", seed=0):
    vocabulary = build_vocabulary([e.words for e in DATASET.train])
    source = torch.Generator().manual_seed(seed)
    student = new_student(vocabulary, DATASET.labels, source, head=head)
    with torch.no_grad():  # decided tags, and transitions that matter
        student.model.dense.weight *= 30
        student.model.word.weight *= 20
        if student.model.crf is not None:
            student.model.crf.transitions.normal_(generator=source)
    return student


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_the_tags_of_a_sentence_do_not_depend_on_its_company(head):
    student = student_of(head)
    sentences = [e.words for e in DATASET.test] + [("Ada",) * 300, ("neverseen",)]
    together = student.tag(sentences)
    assert together == [student.tag([words])[0] for words in sentences]
    assert [len(tags) for tags in together] == [len(words) for words in sentences]
    assert len({tag for tags in together for tag in tags}) > 2  # not a constant
    student.model.train()
    assert student.tag(sentences) == together  # evaluation mode, whatever it is in
    assert student.model.training


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_a_sentence_of_5000_words_gets_5000_tags(head):
    words = tuple(DATASET.train[0].words[i % 3] for i in range(5000))
    (tags,) = student_of(head).tag([words])
    assert len(tags) == 5000


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_the_loss_is_that_of_one_word_on_average(head):
    student = student_of(head)
    found = student.evaluate(DATASET.test)
    total = 0.0
    with torch.no_grad():
        for example in DATASET.test:
            batch = student.vocabulary.encode([example.words])
            logits = student.model(batch)
            gold = torch.tensor([DATASET.labels.index(tag) for tag in example.tags])
            if head == "softmax":
                total += float(F.cross_entropy(logits, gold, reduction="sum"))
            else:
                mask = torch.ones(1, len(gold), dtype=torch.bool)
                total += float(
                    student.model.crf.negative_log_likelihood(logits[None], gold[None], mask)
                )
    words = sum(len(e.words) for e in DATASET.test)
    assert found.loss == pytest.approx(total / words, rel=1e-4)
    assert found.predicted == student.tag([e.words for e in DATASET.test])


@pytest.mark.parametrize(
    "gold,said,precision,recall,f1",
    [
        ("B-PER I-PER O", "B-PER O O", 0.0, 0.0, 0.0),  # a boundary error: one FP and one FN
        ("B-PER O B-LOC", "B-PER O O", 1.0, 0.5, 2 / 3),
        ("B-PER O B-LOC", "B-PER O B-PER", 0.5, 0.5, 0.5),
        ("O B-PER I-PER", "O I-PER I-PER", 1.0, 1.0, 1.0),  # I- without B- begins: "conlleval"
        ("B-PER O O", "O O O", 0.0, 0.0, 0.0),  # nothing said: 0, and no division by it
        ("O O O", "O O O", 0.0, 0.0, 0.0),
    ],
)
def test_entity_scores_are_those_of_hand_cases(monkeypatch, gold, said, precision, recall, f1):
    student = student_of()
    labels = student.labels
    example = TaggedExample("1", ("a", "b", "c"), tuple(gold.split()))
    answer = torch.tensor([labels.index(tag) for tag in said.split()])
    monkeypatch.setattr(student.model, "best_tags", lambda logits, layout: answer)
    scores = student.evaluate([example]).scores
    assert scores["entity_precision"] == precision
    assert scores["entity_recall"] == recall
    assert scores["entity_f1"] == pytest.approx(f1)


def test_tags_it_cannot_be_scored_on_are_refused():
    student = student_of()
    with pytest.raises(MiniftError, match='unknown tag in sentence 9: "B-ORG"; known: O'):
        student.evaluate([TaggedExample("9", ("a",), ("B-ORG",))])
    with pytest.raises(MiniftError, match="without tags cannot be scored"):
        student.evaluate([TaggedExample("9", ("a",))])
