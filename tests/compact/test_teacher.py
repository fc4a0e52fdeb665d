"""The teacher's answers.

claim                                                      oracle
a word has the logits of its first piece                   pieces counted by hand
a sentence longer than the teacher loses no word           the first window by hand; one row a word
the answers do not depend on batch or mode, and the        single sentences; bit equality of the
  teacher stays as it was                                  weights after a student's training
a label that is no tag is never chosen                     a teacher that always prefers [PAD]
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from minift.bert.config import BertConfig
from minift.bert.heads import TokenClassifier
from minift.bert.packing import pack
from minift.checkpoints.weights import random_model
from minift.compact.distill import Distillation, gold_lessons, pseudo_lessons, teach
from minift.compact.student import new_student
from minift.compact.teacher import tag_labels, teacher_logits, teacher_tags
from minift.compact.vocabulary import build_vocabulary
from minift.errors import MiniftError
from minift.runs.tuned import FineTuned, build
from minift.training.loop import Seeds
from tests.tiny import checkpoint, news, reviews

SENTENCES = [
    ("Ada", "unhappily", "saw", "Oslo"),  # "unhappily" falls into nine letters
    ("at",),
    ("Zanzibar", "and", "xyz", "Rome", "!"),
]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return build(news(), checkpoint(tmp_path_factory.mktemp("encoder")), Seeds.all(0))


def close(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def by_hand(teacher: FineTuned, words):
    """Logits of each word's first piece, every step spelled out."""
    tokenizer = teacher.tokenizer
    ids, firsts = [tokenizer.cls_id], []
    for word in words:
        (window,) = tokenizer.encode_words([word])
        firsts.append(len(ids))
        ids += window.input_ids[1:-1]
    with torch.no_grad():
        every = teacher.model(pack([[*ids, tokenizer.sep_id]]))  # (tokens, labels)
    return every[firsts], len(ids) + 1


def test_each_word_has_the_logits_of_its_first_piece_and_special_tokens_have_none(teacher):
    answers = teacher_logits(teacher, SENTENCES)
    assert [len(rows) for rows in answers] == [4, 1, 5]
    for words, rows in zip(SENTENCES, answers):
        wanted, tokens = by_hand(teacher, words)
        close(rows, wanted)
        assert tokens > len(words) + 2 or words == ("at",)  # there are words of several pieces
    # negative control: position n of the pieces is not word n
    wrong = teacher.model(pack([teacher.tokenizer.encode_words(SENTENCES[0])[0].input_ids]))
    assert not torch.allclose(answers[0], wrong[1:5])


def test_a_sentence_longer_than_the_teacher_has_an_answer_for_every_word(teacher):
    words = tuple(["Ada", "unhappily", "saw"] * 400)
    (answers,) = teacher_logits(teacher, [words])
    assert answers.shape == (1200, 5)
    assert answers.isfinite().all()
    _, tokens = by_hand(teacher, words[:15])  # 5 * (1 + 9 + 1) pieces, [CLS], [SEP]
    assert tokens == 57 <= teacher.model.config.max_position_embeddings
    window = teacher.tokenizer.encode_words(words, max_length=64)[0]
    at = len(window.words)
    assert 0 < at < 1200
    full, _ = by_hand(teacher, words[: max(w for w in window.piece_words) + 1])
    close(answers[:at], full[:at])


def test_the_answers_do_not_depend_on_the_batch_or_on_the_mode(teacher):
    teacher.model.train()
    try:
        together = teacher_logits(teacher, SENTENCES)
        assert teacher.model.training  # as it was found
    finally:
        teacher.model.eval()
    for words, rows in zip(SENTENCES, together):
        close(rows, teacher_logits(teacher, [words])[0])
    assert not any(rows.requires_grad or rows.is_inference() for rows in together)


def test_the_teacher_gets_no_gradient_and_is_the_same_bits_after_training(teacher):
    before = {name: p.detach().clone() for name, p in teacher.model.named_parameters()}
    dataset = news()
    vocabulary = build_vocabulary([e.words for e in dataset.train])
    student = new_student(vocabulary, teacher.labels, torch.Generator().manual_seed(0))
    settings = Distillation(steps=2, evaluate_every=2)
    answers = teacher_logits(teacher, [e.words for e in dataset.train])
    kept = [rows.clone() for rows in answers]
    teach(
        student,
        gold_lessons(dataset.train[:8], teacher.labels, answers[:8]),
        pseudo_lessons([e.words for e in dataset.train[8:]], answers[8:], settings),
        settings,
        Seeds.all(0),
    )
    for name, parameter in teacher.model.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])
    assert not teacher.model.training
    assert all(map(torch.equal, answers, kept))


def test_a_label_that_is_no_tag_has_no_column_and_is_never_chosen():
    config = BertConfig(
        vocab_size=60, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=64, labels=("[PAD]", "B-PER", "X", "O"),
    )  # fmt: skip
    model = random_model(TokenClassifier, config, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.classifier.bias[0] = 100.0
    from minift.checkpoints.tokenizer import Tokenizer
    from tests.tiny import NAMES, SPECIAL

    tokenizer = Tokenizer.from_vocabulary([*SPECIAL, *NAMES], lowercase=False)
    prefers_padding = FineTuned(model, tokenizer, "tagging", config.labels)
    assert tag_labels(prefers_padding) == ("B-PER", "O")
    (rows,) = teacher_logits(prefers_padding, [("Ada", "Ben")])
    close(rows, by_hand(prefers_padding, ("Ada", "Ben"))[0][:, [1, 3]])
    assert {tag for tags in teacher_tags(prefers_padding, [("Ada", "Ben")]) for tag in tags} <= {
        "B-PER",
        "O",
    }


def test_a_teacher_of_texts_or_without_tags_is_refused(teacher, tmp_path):
    classifier = build(reviews(), checkpoint(tmp_path), Seeds.all(0))
    with pytest.raises(MiniftError, match="trained for classification; only a tagger"):
        teacher_logits(classifier, SENTENCES)
    with pytest.raises(MiniftError, match="labels are LABEL_0, LABEL_1; expected O and B-TYPE"):
        tag_labels(replace(teacher, labels=("LABEL_0", "LABEL_1")))
