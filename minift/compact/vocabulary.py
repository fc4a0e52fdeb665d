"""The words and characters a student knows, and how sentences become numbers.

Claim    A student needs no tokenizer: a word is a row of a table if it was seen, and its
         spelling is read character by character whether it was seen or not.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294.
Differs  - Words come from training and unlabelled text only. The authors' code also counts the
           words of dev and test.
         - Any character that was seen has a row of its own; theirs knows ASCII letters and six
           punctuation marks, and gives "a" the padding's row.
         - A word that is not known as it is written is looked up in lower case, as an uncased
           teacher's words are written.
         - The order is by frequency, then by code point, not by the order of the files.
Proof    tests/compact/test_vocabulary.py
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor

from minift.bert.packing import Layout
from minift.errors import MiniftError

Words = Sequence[str]

UNKNOWN_WORD = 0
PADDING, UNKNOWN_CHARACTER = 0, 1
_SPECIAL_CHARACTERS = 2


@dataclass(frozen=True)
class Spelled:
    """A batch of sentences as the student reads it. No word is padding."""

    word_ids: Tensor  # (words,) row of each word, `UNKNOWN_WORD` where it has none
    spellings: Tensor  # (distinct, longest) characters of each *distinct* word, `PADDING` behind it
    spelling_of: Tensor  # (words,) which row of `spellings` each word has
    layout: Layout  # how the words are spread over the sentences


@dataclass(frozen=True)
class Vocabulary:
    """What a student can tell apart."""

    # known words, the most frequent first; word n has row n + 1, row 0 is "unknown"
    words: tuple[str, ...]
    characters: tuple[str, ...]  # known characters; character n has row n + 2
    longest_word: int = 20  # characters that are read of a word; the rest is cut off

    @property
    def word_rows(self) -> int:
        """Rows of the word table, the unknown word included."""
        return len(self.words) + 1

    @property
    def character_rows(self) -> int:
        """Rows of the character table, padding and the unknown character included."""
        return len(self.characters) + _SPECIAL_CHARACTERS

    @cached_property
    def _word_row(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words, 1)}

    @cached_property
    def _character_row(self) -> dict[str, int]:
        return {c: row for row, c in enumerate(self.characters, _SPECIAL_CHARACTERS)}

    def word_id(self, word: str) -> int:
        """Return the row of a word, else of the word in lower case, else `UNKNOWN_WORD`."""
        row = self._word_row
        return row.get(word) or row.get(word.lower(), UNKNOWN_WORD)

    def spell(self, word: str) -> list[int]:
        """Return the rows of a word's first characters; an empty word is one unknown character."""
        rows = [self._character_row.get(c, UNKNOWN_CHARACTER) for c in word[: self.longest_word]]
        return rows or [UNKNOWN_CHARACTER]

    def encode(self, sentences: Sequence[Words]) -> Spelled:
        """Turn sentences into one batch; at least one, and none without words."""
        if not sentences or not all(sentences):
            raise MiniftError("a sentence without words cannot be tagged; leave it out")
        row_of: dict[str, int] = {}
        spelling_of = [row_of.setdefault(word, len(row_of)) for s in sentences for word in s]
        ids = torch.tensor([self.word_id(word) for word in row_of])
        spelled = [self.spell(word) for word in row_of]
        longest = max(map(len, spelled))
        spellings = [rows + [PADDING] * (longest - len(rows)) for rows in spelled]
        index = torch.tensor(spelling_of)
        layout = Layout.of([len(sentence) for sentence in sentences])
        return Spelled(ids[index], torch.tensor(spellings), index, layout)


def build_vocabulary(
    training: Iterable[Words],
    unlabelled: Iterable[Words] = (),
    min_count: int = 2,
    more_words: Iterable[str] = (),
) -> Vocabulary:
    """Count the words and characters of sentences; a MiniftError says if no word is left.

    A word that occurs less than `min_count` times is unknown, which is how the row of the unknown
    word learns; `more_words` are known though no sentence has them, and stand at the end.
    """
    counts = Counter(word for sentence in chain(training, unlabelled) for word in sentence)
    known = [word for word in counts if counts[word] >= min_count]
    known.sort(key=lambda word: (-counts[word], word))
    if not known:
        raise MiniftError(
            f"the vocabulary would be empty: none of {len(counts)} different words occurs "
            f"{min_count} times; lower min_count, or give more text"
        )
    words = dict.fromkeys([*known, *more_words])
    return Vocabulary(tuple(words), tuple(sorted(set(chain.from_iterable(counts)))))
