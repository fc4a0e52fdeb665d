"""The right answers of examples, proven.

claim                                                  oracle
answers come in the order of the examples              the lists they were made of
the wrong kind of example is named and explained       the message, with the example's id
an unlabelled example is named, never counted as None  the message, with the example's id
"""

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.data.gold import as_sentences, as_texts, gold_classes, gold_numbers, gold_tags
from minift.errors import MiniftError

TEXT = TextExample("t7", "fine", "good")
SENTENCE = TaggedExample("s9", ("in", "Oslo"), ("O", "B-LOC"))


def test_answers_come_in_the_order_of_the_examples():
    assert gold_classes([TEXT, TextExample("2", "x", "bad")]) == ["good", "bad"]
    assert gold_numbers([TextExample("1", "x", 0.5), TextExample("2", "y", 4.0)]) == [0.5, 4.0]
    assert gold_tags([SENTENCE, TaggedExample("2", ("a",), ("O",))]) == [("O", "B-LOC"), ("O",)]
    assert as_texts(iter([TEXT, TEXT])) == [TEXT, TEXT]
    assert as_sentences(iter([SENTENCE])) == [SENTENCE]


def test_a_class_is_a_string_and_a_number_a_float_however_the_example_was_made():
    assert gold_classes([TextExample("1", "x", 1)]) == ["1"]
    assert gold_numbers([TextExample("1", "x", "2.5")]) == [2.5]


@pytest.mark.parametrize("ask", [as_texts, gold_classes, gold_numbers])
def test_a_sentence_where_a_text_was_expected_is_named(ask):
    with pytest.raises(MiniftError, match=r'example s9 is a sentence .* read .* "tagging"'):
        ask([TEXT if ask is not gold_numbers else TextExample("1", "x", 1.0), SENTENCE])


@pytest.mark.parametrize("ask", [as_sentences, gold_tags])
def test_a_text_where_a_sentence_was_expected_is_named(ask):
    with pytest.raises(MiniftError, match=r'example t7 is a text .* "classification"'):
        ask([SENTENCE, TEXT])


@pytest.mark.parametrize(
    ("ask", "example"),
    [
        (gold_classes, TextExample("u3", "x")),
        (gold_numbers, TextExample("u3", "x")),
        (gold_tags, TaggedExample("u3", ("x",))),
    ],
)
def test_an_unlabelled_example_is_named_and_never_counted_as_none(ask, example):
    with pytest.raises(MiniftError, match=r"example u3 has no label; .* label it or leave it out"):
        ask([example])
