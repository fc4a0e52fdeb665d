"""Raw text becomes words, as tagged corpora cut it.

Claim    No character is lost: every character but white space is in exactly one word, and a word
         ends at white space or beside a sign or an ideograph, nowhere else.
Differs  Each ideograph is a word, as BERT cuts them. Other scripts without blanks (kana, Thai) stay
         whole up to the next sign or ideograph, as they do in BERT.
Proof    tests/data/test_words.py
"""

import re
import unicodedata
from collections.abc import Sequence

from minift.errors import MiniftError

# Over shapes: a sign with its accents (and emoji joined to it), or a run of the same, an ideograph,
# or a word from its first to its last letter. To Python's \w, vowel signs of Hindi are punctuation.
_WORD = re.compile("([^ cjmw]m*(?:j[^ cjmw]m*)*)(?:\\1(?!m|j[^ cjmw]))*|cm*|[wmj](?:[^ c]*w)?[mj]*")
# The blocks that BERT calls Chinese, in bert/tokenization.py of google-research.
_IDEOGRAPH = re.compile(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf"
    "\U0002f800-\U0002fa1f]"
)


def split_words(text: str) -> list[tuple[str, int, int]]:
    """Cut raw text into words as tagged corpora do, with (start, end) of each in the text.

    Words end at white space; punctuation and symbols around a word become words of their own
    (a run of one sign, such as "...", is one); everything inside a word stays: hyphens,
    apostrophes, the points of "3.14".
    """
    shape = "".join(_shape(character) for character in text)
    places = [match.span() for match in _WORD.finditer(shape)]
    return [(text[start:end], start, end) for start, end in places]


def as_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return words as a tuple; raises MiniftError for a text, whose letters are no words."""
    if isinstance(words, str):
        expected = "a list of words (predict cuts texts into words itself)"
        raise MiniftError(f"got the text {words!r:.50}; expected {expected}")
    return tuple(words)


def counted(n: int, one: str, many: str = "") -> str:
    """Return "1 text", "2 texts"; `many` where an s at the end does not make the plural."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def _shape(character: str) -> str:
    """Return " " (white space), "m" (accent), "j" (joiner), "c" (ideograph), "w", or a sign."""
    if character.isspace():
        return " "
    if character == "\u200d":
        return "j"
    if character > "\u33ff" and _IDEOGRAPH.match(character):
        return "c"
    return {"P": character, "S": character, "M": "m"}.get(unicodedata.category(character)[0], "w")
