"""Raw text is cut into words as tagged corpora cut it.

claim                                                       oracle
signs become words, everything inside a word stays          sentences cut by hand
no character is lost, and cuts are at signs only            hypothesis
"""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("中文。", ["中文", "。"]),
        ("a\x00 \x01", ["a\x00", "\x01"]),
    ],
)
def test_split_words_by_hand(text, words):
    assert [word for word, _, _ in split_words(text)] == words


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
            assert any(unicodedata.category(side)[0] in "PS" for side in sides)


def _joins(character: str) -> bool:
    return character == "\u200d" or unicodedata.category(character).startswith("M")
