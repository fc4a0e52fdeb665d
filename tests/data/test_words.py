"""Raw text is cut into words as tagged corpora cut it.

claim                                                       oracle
signs become words, everything inside a word stays          sentences cut by hand
no character is lost, and cuts are at signs only            hypothesis
ideographs are words, those of BERT                         transformers' BasicTokenizer
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.bert.tokenization_bert_legacy import BasicTokenizer

from minift.data.words import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n\u00a0", []),
        ("Don't stop.", ["Don't", "stop", "."]),
        ('(well-known) "O\'Brien",', ["(", "well-known", ")", '"', "O'Brien", '"', ","]),
        ("Wait... what?!", ["Wait", "...", "what", "?", "!"]),
        ("$3.50 or 50%", ["$", "3.50", "or", "50", "%"]),
        ("-- a-b --", ["--", "a-b", "--"]),
        (
            "great😀 👨\u200d👩\u200d👧 ❤\ufe0f!",
            ["great", "😀", "👨\u200d👩\u200d👧", "❤\ufe0f", "!"],
        ),
        ("cafe\u0301, हिन्दी।", ["cafe\u0301", ",", "हिन्दी", "।"]),
        ("中文。", ["中", "文", "。"]),
        ("谢谢!!", ["谢", "谢", "!!"]),
        ("iPhone15在北京", ["iPhone15", "在", "北", "京"]),
        ("東京に行く", ["東", "京", "に", "行", "く"]),
        ("서울에서", ["서울에서"]),
        ("\U00020000\U0002f800葛\U000e0100", ["\U00020000", "\U0002f800", "葛\U000e0100"]),
        ("a\x00 \x01", ["a\x00", "\x01"]),
    ],
)
def test_split_words_by_hand(text, words):
    assert [word for word, _, _ in split_words(text)] == words


def is_chinese(character):
    return BasicTokenizer()._is_chinese_char(ord(character))


def test_every_character_that_bert_calls_chinese_is_a_word_and_no_other_letter_is():
    tokenizer = BasicTokenizer()
    for code in range(0x3000, 0x30000):
        alone = len(split_words(f"a{chr(code)}a")) == 3
        if unicodedata.category(chr(code))[0] in "LN":
            assert alone == tokenizer._is_chinese_char(code), hex(code)


@given(
    st.text(st.characters(codec="utf-8") | st.sampled_from("ab.,-' \u0301\u200d😀"), max_size=40)
)
def test_split_words_loses_no_character_and_cuts_only_at_signs(text):
    words = split_words(text)
    covered = [i for _, start, end in words for i in range(start, end)]
    assert covered == [i for i, character in enumerate(text) if not character.isspace()]
    for word, start, end in words:
        assert word == text[start:end] and word
    for (_, _, end), (_, start, _) in pairwise(words):
        if end == start:  # cut inside a chunk: a sign on one side at least
            sides = text[:end].rstrip("".join(filter(_joins, text[:end])))[-1:] + text[start]
            assert any(unicodedata.category(side)[0] in "PS" or is_chinese(side) for side in sides)


def _joins(character: str) -> bool:
    return character == "\u200d" or unicodedata.category(character).startswith("M")
