"""Examples and data sets, proven.

claim                                                  oracle
a sentence has exactly one tag per word                the message of the refusal
examples and data sets cannot be changed in place      dataclasses.FrozenInstanceError
another training split leaves all else as it was       field-by-field comparison
answers come in the order of the examples              the lists they were made of
the wrong kind of example is named and explained       the message, with the example's id
an unlabelled example is named, never counted as None  the message, with the example's id
"""

import dataclasses

import pytest

from minift.data.examples import (
    Dataset,
    TaggedExample,
    TextExample,
    as_sentences,
    as_texts,
    gold_classes,
    gold_numbers,
    gold_tags,
)
from minift.errors import MiniftError


def test_a_sentence_with_too_few_tags_is_refused_with_both_counts():
    with pytest.raises(ValueError, match="sentence 7: 2 words but 1 tags"):
        TaggedExample("7", ("a", "b"), ("O",))


def test_words_without_any_tags_are_an_unlabelled_sentence():
    assert TaggedExample("7", ("a", "b")).tags is None


def test_examples_and_data_sets_cannot_be_changed_in_place():
    example = TextExample("1", "good", "positive")
    dataset = Dataset("toy", "classification", ("positive",), (example,))
    for thing, field in ((example, "label"), (dataset, "labels")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, field, ())


def test_another_training_split_leaves_labels_and_all_other_fields_as_they_were():
    first, second = TextExample("1", "good", "yes"), TextExample("2", "bad", "no")
    dataset = Dataset("toy", "classification", ("no", "yes"), (first, second), notes=("a note",))
    smaller = dataset.with_train((first,))
    assert smaller.train == (first,)
    assert dataset.train == (first, second)
    for field in dataclasses.fields(Dataset):
        if field.name != "train":
            assert getattr(smaller, field.name) == getattr(dataset, field.name)


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
