"""Words and characters to numbers.

claim                                                  oracle
words come from training and unlabelled text only      a word of the test split, looked up
the order of files and sentences does not matter       shuffled sentences (hypothesis)
padding is the number of no character, whatever it is  every character of drawn words (hypothesis)
a batch says which word stands where                   the words themselves, from the numbers
long words are cut at one place                        a hand case
a student's file keeps all of it                       equality after a round trip
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minift.compact.store import load_student, save_student
from minift.compact.student import new_student
from minift.compact.vocabulary import (
    PADDING,
    UNKNOWN_CHARACTER,
    UNKNOWN_WORD,
    build_vocabulary,
)
from minift.errors import MiniftError
from tests.tiny import news

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
sentences = st.lists(st.lists(words, min_size=1, max_size=5), min_size=1, max_size=6)


def test_words_come_from_training_and_unlabelled_text_and_test_words_are_unknown():
    training, unlabelled, test = [["Ada", "saw"]], [["Oslo", "saw"]], [["Ada", "saw", "Lima"]]
    vocabulary = build_vocabulary(training, unlabelled, min_count=1)
    assert set(vocabulary.words) == {"Ada", "saw", "Oslo"}
    assert vocabulary.encode(test).word_ids.tolist()[2] == UNKNOWN_WORD
    assert 0 not in vocabulary.encode(test).word_ids.tolist()[:2]
    # i, m were never seen; L, a ... "a" is a letter of Ada
    assert [vocabulary.spell("Lima")[i] == UNKNOWN_CHARACTER for i in range(4)] == [
        True, True, True, False,
    ]  # fmt: skip


def test_the_order_is_by_frequency_then_code_point_and_rare_words_are_unknown():
    text = [["b", "a", "b", "a", "c", "b", "d"]]
    assert build_vocabulary(text, min_count=2).words == ("b", "a")
    assert build_vocabulary(text, min_count=1).words == ("b", "a", "c", "d")
    # the characters of rare words are known all the same
    assert build_vocabulary(text, min_count=2).characters == ("a", "b", "c", "d")
    # a word of both texts is counted in both
    assert build_vocabulary([["x"]], [["x"]], min_count=2).words == ("x",)


@given(sentences, st.randoms(use_true_random=False))
def test_the_order_of_the_sentences_does_not_matter(text, source: random.Random):
    shuffled = list(text)
    source.shuffle(shuffled)
    assert build_vocabulary(text, min_count=1) == build_vocabulary(shuffled, min_count=1)


@given(sentences)
def test_no_character_has_the_number_of_the_padding_or_of_another_character(text):
    vocabulary = build_vocabulary(text, min_count=1)
    characters = {c for sentence in text for word in sentence for c in word}
    numbers = {c: vocabulary.spell(c)[0] for c in characters}
    assert PADDING not in numbers.values()
    assert UNKNOWN_CHARACTER not in numbers.values()
    assert len(set(numbers.values())) == len(characters)
    assert max(numbers.values()) < vocabulary.character_rows


def test_the_letter_a_is_not_padding():
    # In the authors' code both are 0.
    vocabulary = build_vocabulary([["a", "banana"]], min_count=1)
    assert vocabulary.spell("a") != [PADDING]
    assert vocabulary.spell("a")[0] == vocabulary.spell("banana")[1]


@given(sentences)
def test_a_batch_says_which_word_stands_where(text):
    vocabulary = build_vocabulary(text[:3], min_count=1)
    batch = vocabulary.encode(text)
    flat = [word for sentence in text for word in sentence]
    assert batch.layout.lengths == tuple(map(len, text))
    assert len(batch.spellings) == len(set(flat))
    for word, row, spelling in zip(flat, batch.word_ids.tolist(), batch.spelling_of.tolist()):
        known = word in vocabulary.words
        assert row == (vocabulary.words.index(word) + 1 if known else UNKNOWN_WORD)
        letters = [n for n in batch.spellings[spelling].tolist() if n != PADDING]
        assert letters == vocabulary.spell(word)


def test_a_long_word_is_cut_behind_the_limit_always_at_the_same_place():
    vocabulary = replace(build_vocabulary([["abc"]], min_count=1), longest_word=3)
    assert len(vocabulary.spell("abcabc")) == 3
    assert vocabulary.spell("abcabc") == vocabulary.spell("abc") == vocabulary.spell("abc" * 65)
    assert vocabulary.encode([["a" * 195, "b"]]).spellings.shape == (2, 3)
    assert build_vocabulary([["abc"]], min_count=1).longest_word == 20


def test_a_word_not_known_as_written_is_looked_up_in_lower_case_and_never_the_other_way():
    vocabulary = build_vocabulary([["oslo", "Ada", "US", "us"]], min_count=1)
    assert (
        vocabulary.word_id("Oslo") == vocabulary.word_id("OSLO") == vocabulary.word_id("oslo") > 0
    )
    assert vocabulary.word_id("US") != vocabulary.word_id("us")  # known as written
    assert vocabulary.word_id("ada") == UNKNOWN_WORD


def test_more_words_come_behind_the_counted_ones_once_each():
    vocabulary = build_vocabulary([["b", "b", "a"]], min_count=2, more_words=["c", "b", "a", "c"])
    assert vocabulary.words == ("b", "c", "a")
    assert vocabulary.characters == ("a", "b")


def test_an_empty_word_is_spelled_as_one_unknown_character():
    assert build_vocabulary([["a"]], min_count=1).spell("") == [UNKNOWN_CHARACTER]


@given(sentences, st.integers(1, 30))
def test_a_file_keeps_everything(tmp_path_factory, text, longest):
    vocabulary = replace(build_vocabulary(text, min_count=1), longest_word=longest)
    save_student(new_student(vocabulary, ["O", "B-A"]), folder := tmp_path_factory.mktemp("kept"))
    again = load_student(folder).vocabulary
    assert again == vocabulary
    assert again.word_id(vocabulary.words[-1]) == len(vocabulary.words)


def test_a_vocabulary_of_one_word_is_one_and_an_empty_one_is_refused():
    one = build_vocabulary([["x", "x", "y"]])
    assert one.words == ("x",)
    assert one.word_rows == 2
    with pytest.raises(MiniftError, match="none of 32 different words occurs 1000 times"):
        build_vocabulary([e.words for e in news(96).train], min_count=1000)
    with pytest.raises(MiniftError, match="without words"):
        one.encode([["x"], []])
