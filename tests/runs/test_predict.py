"""Predictions as a person reads them.

claim                                                    oracle
one answer a text, in order, over several chunks         the texts and ids; one text at a time
texts that the encoder cannot read whole are counted     two texts that differ at their end
pairs for a model of single texts are refused, and the   the message
reverse
an entity has words and characters that cut it out       slicing the text and the words
token files are answered about their words, joined       offsets by hand
a text of blanks, or of thousands of words, is answered  the answer
"""

from __future__ import annotations

import random

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.errors import MiniftError
from minift.runs import predict as module
from minift.runs.predict import predict
from minift.runs.tuned import build
from minift.training.loop import Seeds
from tests.tiny import checkpoint, news, reviews, similarity


class Capitals:
    """A tagger whose answers are known: runs of capitalised words are entities."""

    task = "tagging"

    def tag(self, sentences):
        """Tag each word."""
        answers = []
        for words in sentences:
            tags, inside = [], False
            for word in words:
                tags.append(("I-X" if inside else "B-X") if word[0].isupper() else "O")
                inside = word[0].isupper()
            answers.append(tags)
        return answers


def test_entities_have_words_and_characters_of_the_text_as_it_was_given():
    text = "  (Ada  Lovelace)\tsaw Oslo, 東京 and\u00a0Rome.  "
    (answer,) = predict(Capitals(), [TextExample("1", text)])
    assert answer["text"] == text
    found = [(e["text"], e["start_word"], e["end_word"]) for e in answer["entities"]]
    assert found == [("Ada  Lovelace", 1, 3), ("Oslo", 5, 6), ("Rome", 10, 11)]  # 東京 is two words
    for entity in answer["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        inside = answer["words"][entity["start_word"] : entity["end_word"]]
        assert entity["text"].split() == inside
        assert entity["type"] == "X"


def test_a_sentence_of_words_is_answered_about_its_words_joined_by_blanks():
    sentence = TaggedExample("1", ("saw", "Ada", "Byron", "in", "Oslo"))
    (answer,) = predict(Capitals(), [sentence])
    assert answer["text"] == "saw Ada Byron in Oslo"
    spans = [(e["start"], e["end"], e["start_word"], e["end_word"]) for e in answer["entities"]]
    assert spans == [(4, 13, 1, 3), (17, 21, 4, 5)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


@pytest.mark.parametrize("dataset", [reviews(), news()], ids=lambda d: d.name)
def test_answers_are_in_order_whatever_the_chunk(dataset, encoder, monkeypatch):
    tuned = build(dataset, encoder, Seeds.all(0))
    texts = [e.text if isinstance(e, TextExample) else " ".join(e.words) for e in dataset.train]
    random.Random(0).shuffle(texts)
    examples = [TextExample(str(n), text) for n, text in enumerate(texts)]
    alone = [next(predict(tuned, [example])) for example in examples]
    monkeypatch.setattr(module, "CHUNK", 5)
    together = list(predict(tuned, iter(examples)))
    assert [answer["text"] for answer in together] == texts
    assert [answer["id"] for answer in together] == [example.id for example in examples]
    for a, b in zip(together, alone):
        assert a.get("tags", a.get("label")) == b.get("tags", b.get("label"))


def test_blanks_and_thousands_of_words_are_answered(encoder):
    tuned = build(news(), encoder, Seeds.all(0))
    long = "Ada and unhappily Oslo " * 700
    blanks, whole = predict(tuned, [TextExample("1", "  "), TextExample("2", long)])
    assert (blanks["words"], len(blanks["tags"])) == (["  "], 1)
    assert whole["words"] == long.split()
    assert len(whole["tags"]) == 2800
    for entity in whole["entities"]:
        assert long[entity["start"] : entity["end"]] == entity["text"]
    assert whole["entities"][-1]["end_word"] > 2000  # the end of the text has answers too


def test_texts_that_are_cut_are_counted_over_all_chunks(encoder, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    tuned, long = build(reviews(), encoder, Seeds.all(0)), "the film was good and " * 13
    texts = [long + "bad", "good", "bad", long + "good", " ".join(["film"] * 62)]  # the last fits
    examples = [TextExample(str(n), text) for n, text in enumerate(texts)]
    notes = list[str]()
    answers = list(predict(tuned, examples, notes))
    assert answers[0]["scores"] == answers[3]["scores"]  # their ends are not read
    cut = "texts longer than the encoder reads (64 pieces), which were cut: 2 of 5"
    assert notes == [cut] == list(tuned.notes(tuned.items(examples)))
    short = list[str]()
    list(predict(tuned, examples[1:3], short))
    assert short == []


def test_a_tagger_cuts_nothing(encoder):
    notes, tuned = list[str](), build(news(), encoder, Seeds.all(0))
    assert list(predict(tuned, [TextExample("1", "Ada saw Oslo " * 100)], notes)) and notes == []


def test_pairs_and_single_texts_are_not_taken_for_each_other(encoder):
    single, pair = TextExample("1", "good"), TextExample("2", "good", None, "bad")
    reader, pairs = (build(data, encoder, Seeds.all(0)) for data in (reviews(), similarity()))
    with pytest.raises(MiniftError, match=r"has single texts, and these are pairs .* with text=$"):
        list(predict(reader, [pair]))
    with pytest.raises(MiniftError, match=r"has pairs .*, and these are single .* with text_b=$"):
        list(predict(pairs, [single]))
    with pytest.raises(MiniftError, match="single texts"):
        list(predict(Capitals(), [pair]))
    assert list(predict(reader, [single])) and list(predict(pairs, [pair]))
