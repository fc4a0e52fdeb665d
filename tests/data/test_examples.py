"""Examples and data sets, proven.

claim                                                  oracle
a sentence has exactly one tag per word                the message of the refusal
examples and data sets cannot be changed in place      dataclasses.FrozenInstanceError
task, labels and metric of a data set are judged        the message, with the nearest name
answers come in the order of the examples              the lists they were made of
the wrong kind of example is named and explained       the message, with the example's id
an unlabelled example is named, never counted as None  the message, with the example's id
"""

import dataclasses
from functools import partial

import pytest

from minift.data.examples import (
    Dataset,
    TaggedExample,
    TextExample,
    as_sentences,
    as_texts,
    gold_classes,
    gold_of,
    gold_tags,
    is_labelled,
    pairs_of,
)
from minift.errors import MiniftError


def test_a_sentence_with_too_few_tags_is_refused_with_both_counts():
    with pytest.raises(ValueError, match="sentence 7: 2 words but 1 tag;"):
        TaggedExample("7", ("a", "b"), ("O",))


def test_words_without_any_tags_are_an_unlabelled_sentence():
    assert TaggedExample("7", ("a", "b")).tags is None


def test_examples_and_data_sets_cannot_be_changed_in_place():
    example = TextExample("1", "good", "positive")
    dataset = Dataset("toy", "classification", ("positive",), (example,))
    for thing, field in ((example, "label"), (dataset, "labels")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, field, ())


@pytest.mark.parametrize(
    ("task", "labels", "metric", "words"),
    [
        ("clasification", ("a", "b"), "", r'unknown task "clasification".*mean "classification"'),
        ("classification", ("a", "b"), "acuracy", r'metric "acuracy"; .*mean "accuracy"'),
        ("tagging", ("O", "B-X"), "accuracy", r'unknown tagging metric "accuracy"; known: entity'),
        ("regression", ("1", "2"), "", r"labels \('1', '2'\) for regression; expected none"),
        ("classification", (), "", r"labels \(\) for classification; expected at least one"),
        ("classification", ("a", "b", "a"), "", "expected at least one, each once"),
    ],
)
def test_a_data_set_judges_task_labels_and_metric_when_it_is_built(task, labels, metric, words):
    with pytest.raises(MiniftError, match=words):
        Dataset("toy", task, labels, (), metric=metric)
    valid = Dataset("toy", "regression", (), ())
    with pytest.raises(MiniftError, match="unknown task"):
        dataclasses.replace(valid, task="regresion")


def test_a_positive_class_is_one_of_the_labels_and_makes_its_f1_the_headline():
    dataset = Dataset("toy", "classification", ("abuse", "none"), (), positive="abuse")
    assert (dataset.metric, dataclasses.replace(dataset, name="x").metric) == ("f1", "f1")
    with pytest.raises(MiniftError, match=r'positive class "abus"; known: .* mean "abuse"'):
        dataclasses.replace(dataset, positive="abus")


def test_texts_are_pairs_or_single_or_neither_is_known():
    pair, single = TextExample("1", "a", None, "b"), TextExample("2", "c")
    assert [pairs_of(e) for e in ([pair], [single, single], [pair, single], [], [SENTENCE])] == [
        True, False, None, None, None,
    ]  # fmt: skip


def test_the_headline_metric_is_the_first_of_the_task_unless_it_is_named():
    named = {"classification": ("a", "b"), "regression": (), "tagging": ("O", "B-X")}
    found = {task: Dataset("toy", task, labels, ()).metric for task, labels in named.items()}
    assert found == {
        "classification": "accuracy", "regression": "pearson_spearman", "tagging": "entity_f1",
    }  # fmt: skip
    assert Dataset("toy", "classification", ("a", "b"), (), metric="matthews").metric == "matthews"


gold_numbers = partial(gold_of, "regression")
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


def test_examples_are_labelled_if_there_are_some_and_each_has_a_label():
    bare = TextExample("1", "x")
    assert is_labelled([TEXT, TEXT]) and is_labelled(iter([SENTENCE]))
    assert is_labelled([TextExample("1", "x", 0.0), TextExample("2", "x", "")])  # labels, too
    assert not is_labelled([TEXT, bare]) and not is_labelled([TaggedExample("2", ("a",))])
    assert not is_labelled(())


@pytest.mark.parametrize("ask", [as_texts, gold_classes, gold_numbers])
def test_a_sentence_where_a_text_was_expected_is_named(ask):
    with pytest.raises(MiniftError, match=r"example s9 is a sentence .* expected a text"):
        ask([TEXT if ask is not gold_numbers else TextExample("1", "x", 1.0), SENTENCE])


@pytest.mark.parametrize("ask", [as_sentences, gold_tags])
def test_a_text_where_a_sentence_was_expected_is_named(ask):
    with pytest.raises(MiniftError, match=r"example t7 is a text .* expected a sentence of words"):
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
    with pytest.raises(MiniftError, match=r"example u3 has no label .* label it or leave it out"):
        ask([example])
