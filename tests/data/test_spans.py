"""Tags become spans and come back, and a span that is not on word borders is never bent to fit.

claim                                                       oracle
tags -> spans -> tags is the identity, in both countings    hypothesis, words of any characters
each span covers its words                                  slicing str, and UTF-16 bytes
a span is taken if and only if it begins and ends with a    brute force over all spans of a text
word (or the blank beside it)
each fault is named, and then nothing is taken              by hand
tags of a model that break IOB2 still make spans            by hand
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.data.spans import (
    Mark,
    mark,
    marks_of,
    match,
    tags_in,
    utf16_places,
)
from minift.data.tags import types_of, word_places

LABELS = ("O", "B-PER", "I-PER", "B-a-b", "I-a-b", "B-one")


def tags_of(words, marks, labels, utf16):
    return tags_in(" ".join(words), word_places(words), marks, labels, utf16)


words_of_anything = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4)
    | st.sampled_from(["😀", "👨🏻‍🚒", "e\u0301", "\u202e", "a b", "\u200b", "𝒳y"]),
    min_size=1,
    max_size=8,
).map(tuple)


@st.composite
def tagged(draw):
    words, tags = draw(words_of_anything), []
    for _ in words:
        follow = ["I" + tags[-1][1:]] if tags and tags[-1] not in ("O", "B-one") else []
        tags.append(draw(st.sampled_from(["O", "B-PER", "B-a-b", "B-one", *follow])))
    return words, tags


@settings(max_examples=300, deadline=None)
@given(tagged(), st.booleans())
def test_tags_become_spans_and_come_back_whatever_the_words_are_made_of(sentence, utf16):
    words, tags = sentence
    marks = marks_of(words, tags, utf16)
    assert tags_of(words, marks, LABELS, utf16) == (tags, [])
    text = " ".join(words)
    for start, end, _, covered in marks:
        if utf16:
            assert text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le") == covered
        else:
            assert text[start:end] == covered


@settings(max_examples=100, deadline=None)
@given(words_of_anything)
def test_borders_and_utf16_places_are_those_of_the_joined_text(words):
    text = " ".join(words)
    assert [text[a:b] for a, b in word_places(words)] == list(words)
    units = [len(text[:n].encode("utf-16-le")) // 2 for n in range(len(text) + 1)]
    assert utf16_places(text) == units


@pytest.mark.parametrize("utf16", [False, True])
@pytest.mark.parametrize("words", [("Ada", "sings"), ("😀", "a", "𝒳𝒳"), ("New York", "x"), ("a",)])
def test_a_span_is_taken_if_and_only_if_it_begins_and_ends_with_a_word(words, utf16):
    """All spans of a text, judged by cutting the text there and looking at what is left."""
    text = " ".join(words)
    encoded = text.encode("utf-16-le")
    size = len(encoded) // 2 if utf16 else len(text)
    for start in range(-1, size + 2):
        for end in range(-1, size + 2):
            found, faults = tags_of(words, [Mark(start, end, "PER")], LABELS, utf16)
            expected = None
            for first in range(len(words)):
                for last in range(first + 1, len(words) + 1):
                    before = " ".join(words[:first]) + " " * (first > 0)
                    inside = before + " ".join(words[first:last])
                    count = (lambda s: len(s.encode("utf-16-le")) // 2) if utf16 else len
                    starts = {count(before)} | ({count(before) - 1} if first else set())
                    ends = {count(inside)} | ({count(inside) + 1} if last < len(words) else set())
                    if start in starts and end in ends:
                        assert expected is None
                        expected = ["O"] * len(words)
                        expected[first:last] = ["B-PER"] + ["I-PER"] * (last - first - 1)
            assert (expected is None) == bool(faults)
            if expected is not None:
                assert found == expected


W = ("Ada", "met", "😀", "Bo")  # Ada 0-3, met 4-7, emoji 8-9 (UTF-16 8-10), Bo 10-12 (11-13)


@pytest.mark.parametrize(
    "marks,utf16,words",
    [
        ([Mark(1, 3, "PER")], False, r"span 1-3 \('PER'\), 'da': it does not begin and end with a"),
        ([Mark(0, 2, "PER")], False, r"'Ad': it does not begin and end with a word; mark whole"),
        ([Mark(3, 4, "PER")], False, r"it does not begin and end with a word"),
        ([Mark(0, 13, "PER")], False, r"span 0-13 .* lies outside the text of 12 characters; mark"),
        ([Mark(-3, 3, "PER")], False, "span -3-3 .* lies outside"),
        ([Mark(3, 0, "PER")], False, "lies outside"),
        ([Mark(0, 0, "PER")], False, "lies outside"),
        ([mark(None, 3, "PER")], False, "span None-3 .* lies outside"),
        ([mark(0.0, 3, "PER")], False, r"span 0\.0-3 .* lies outside"),
        ([mark(True, 3, "PER")], False, "span True-3 .* lies outside"),
        ([mark([0], {}, "PER")], False, r"span \[0\]-\{\} .* lies outside"),
        ([Mark(8, 9, "PER")], True, "lies outside"),  # half of the emoji
        ([Mark(11, 13, "PER")], False, "lies outside the text of 12"),  # UTF-16, read as points
        ([Mark(10, 12, "PER")], True, "it does not begin and end with a word"),  # the other way
        (
            [Mark(0, 3, "PRE")],
            False,
            r"no such type; types are PER, a-b, one; did you mean \"PER\"\?",
        ),
        ([mark(0, 3, None)], False, "span 0-3 .None., 'Ada': it needs one type, as in"),
        ([mark(0, 3, ["PER"])], False, "it needs one type"),
        ([mark(0, 3, "")], False, "it needs one type"),
        ([Mark(0, 3, "PER", "Bo")], False, "'Ada', should be 'Bo': it was moved; mark it again"),
        ([mark(0, 3, "PER", 3)], False, "should be '3': it was moved"),
        (
            [Mark(0, 7, "PER"), Mark(4, 7, "a-b")],
            False,
            r"'met': it overlaps with span 0-7 .*'Ada m",
        ),
        ([Mark(0, 3, "PER"), Mark(0, 3, "a-b")], False, "it overlaps with span 0-3 .'PER'., 'Ada'"),
        ([Mark(0, 3, "PER"), Mark(0, 3, "O")], False, "it overlaps"),
        ([Mark(0, 7, "one")], False, 'it has 2 words, but there is no tag "I-one"'),
    ],
)
def test_each_fault_of_a_span_is_named(marks, utf16, words):
    _, faults = tags_of(W, marks, LABELS, utf16)
    assert len(faults) == 1
    assert re.search(words, faults[0])


def test_every_bad_span_of_a_sentence_is_named_and_good_ones_are_not():
    marks = [Mark(0, 3, "PER"), Mark(5, 7, "PER"), Mark(10, 12, "PRE"), Mark(4, 99, "PER")]
    _, faults = tags_of(W, marks, LABELS, False)
    assert [fault.split(" ")[1] for fault in faults] == ["5-7", "10-12", "4-99"]


def test_blanks_around_words_a_repeated_span_and_an_o_are_no_faults():
    marks = [
        Mark(3, 8, "per"),
        Mark(10, 12, "PER", "Bo"),
        Mark(10, 12, "PER", "Bo"),
        Mark(0, 3, "O"),
    ]
    assert tags_of(W, marks, LABELS, False) == (["O", "B-PER", "O", "B-PER"], [])


def test_tags_of_a_model_that_break_iob2_still_make_spans():
    marks = marks_of(("a", "b", "c"), ("I-PER", "I-PER", "I-a-b"), False)
    assert marks == [Mark(0, 3, "PER", "a b"), Mark(4, 5, "a-b", "c")]


def test_types_and_what_is_meant_by_a_label():
    assert types_of(LABELS) == ["PER", "a-b", "one"]
    assert match(1, ["0", "1"]) == "1" and match(True, ["1", "True"]) is None
    assert match(" Pos", ["pos", "neg"]) == "pos" and match("POS", ["pos", "Pos"]) is None
    assert match(" pos", [" pos", "pos"]) == " pos" and match(None, ["None"]) is None
