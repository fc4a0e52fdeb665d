"""WordPiece: texts, pairs and pre-split words become ids, and every word is found again.

Claim    The ids are those of transformers' BERT tokenizer, letter for letter, and a tagger
         never loses a word: each word of a sentence, however long the sentence, has a first
         piece in exactly one window.
Paper    Devlin et al. (2019), "BERT", sections 3 and 5.3, https://arxiv.org/abs/1810.04805:
         [CLS] a [SEP] b [SEP]; a word is tagged at its first piece. The WordPiece search
         itself is the `tokenizers` library's.
Differs  A word without any piece (empty, or control characters only) becomes [UNK]; elsewhere
         it vanishes, and its tag with it.
         Padding and truncation settings stored in a tokenizer.json are switched off: an input
         is cut to `max_length` pieces, which is what the model reads.
Proof    tests/checkpoints/test_tokenizer.py
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from itertools import accumulate, groupby
from pathlib import Path
from typing import NamedTuple

import tokenizers
from tokenizers import AddedToken, decoders, processors

from minift.checkpoints.limits import MOST_PIECES
from minift.checkpoints.tokenizer_files import SPECIAL_TOKENS, backend_of, read_backend
from minift.errors import MiniftError
from minift.files import atomic_directory_write

UNUSED = "[unused-id-{}]"  # stands in a list of pieces where an id has none
BERT_LENGTH = 512  # pieces that BERT reads at most
CHUNK = 1024  # texts that the tokenizer works on at a time: it keeps much more than the pieces


class Encoding(NamedTuple):
    """One model input: a text, or a pair of texts."""

    input_ids: list[int]  # [CLS] a [SEP], or [CLS] a [SEP] b [SEP]
    segment_ids: list[int]  # as long; 0 up to the first [SEP], 1 after it (if there are two)
    cut: bool = False  # whether the text had more pieces


class WordWindow(NamedTuple):
    """One model input cut from a sentence of words, and the words it answers for."""

    input_ids: list[int]  # [CLS] pieces [SEP]; all of segment 0
    words: range  # those it owns; the windows of a sentence own each word once, in order
    word_positions: list[int]  # for each owned word, where in `input_ids` its first piece stands
    piece_words: list[int]  # for each of `input_ids` its word, owned or not; -1: [CLS] and [SEP]


class Tokenizer:
    """A WordPiece vocabulary with BERT's way of cleaning and cutting text."""

    vocab_size: int  # one more than the largest id; an embedding table needs as many rows
    max_length: int  # most pieces of an input, [CLS] and [SEP] included
    lowercase: bool  # whether "Word" and "word" get the same ids

    def __init__(
        self, backend: tokenizers.Tokenizer, max_length: int, where: str, segments: int = 2
    ) -> None:
        """Take over `backend`; `where` names its source in errors. Most callers want `from_...`."""
        _check_max_length(max_length)
        self.max_length = max_length
        kind = type(backend.model).__name__
        if kind != "WordPiece":
            raise MiniftError(f"{where} holds a {kind} model; minift reads only BERT's, WordPiece")
        found = {token: backend.token_to_id(token) for token in SPECIAL_TOKENS.values()}
        ids = {token: index for token, index in found.items() if index is not None}
        if missing := [token for token in found if token not in ids]:
            raise MiniftError(
                f"{where}: the vocabulary of {backend.get_vocab_size()} tokens lacks "
                f"{', '.join(missing)}; BERT needs {', '.join(found)}, each on a line of its own"
            )
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = ids.values()
        backend.add_special_tokens(list(ids))  # "[MASK]" in a text is one token, not "[", "mask"...
        backend.no_padding()
        backend.no_truncation()
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS]:0 $A:0 [SEP]:0",
            pair="[CLS]:0 $A:0 [SEP]:0 $B:{0} [SEP]:{0}".format(min(segments, 2) - 1),
            special_tokens=[("[CLS]", self.cls_id), ("[SEP]", self.sep_id)],
        )
        backend.decoder = decoders.WordPiece(prefix="##")  # for readers of the saved files
        unknown = backend.model.unk_token
        if backend.model.token_to_id(unknown) is None:  # it would fail at the first unknown word
            raise MiniftError(f"{where}: unk_token {unknown!r} is not in its vocabulary")
        self._backend = backend
        self.vocab_size = 1 + max(backend.get_vocab(with_added_tokens=True).values())
        if self.vocab_size > MOST_PIECES:
            raise MiniftError(f"{where}: {self.vocab_size:,} ids, at most {MOST_PIECES:,} expected")
        normalizer = backend.normalizer
        self.lowercase = normalizer is not None and normalizer.normalize_str("A") == "a"

    @classmethod
    def from_directory(
        cls, path: str | Path, max_length: int = BERT_LENGTH, segments: int = 2
    ) -> "Tokenizer":
        """Read the tokenizer of a checkpoint folder (see `read_backend` for the files).

        Of `max_length`, the model's positions, and the tokenizer's own limit the smaller one holds.
        Where the model has one of `segments`, only [SEP] parts the texts of a pair.
        """
        backend, file, stated = read_backend(Path(path))
        return cls(backend, min(max_length, stated or max_length), str(file), segments)

    @classmethod
    def from_vocabulary(
        cls, vocabulary: Sequence[str], lowercase: bool, max_length: int = BERT_LENGTH
    ) -> "Tokenizer":
        """Make a tokenizer of a list of tokens, in the order of their ids."""
        backend = backend_of(vocabulary, {"lowercase": lowercase})
        return cls(backend, max_length, "the list of tokens")

    def save(self, directory: str | Path, positions: int | None = None) -> None:
        """Write the files that transformers' AutoTokenizer reads, to give the same ids, or none.

        It cuts texts to `max_length`, or to the `positions` of the model that is saved beside it
        where they are fewer.
        """
        self._backend.no_truncation()
        serialized = self._backend.to_str(pretty=True)
        stored = json.loads(serialized).get("normalizer") or {}
        settings = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.lowercase,
            "strip_accents": stored.get("strip_accents"),
            "tokenize_chinese_chars": stored.get("handle_chinese_chars", True),
            "model_max_length": min(self.max_length, positions or self.max_length),
            **SPECIAL_TOKENS,
        }
        token_of = dict(self.vocabulary())
        lines = [token_of.get(i, UNUSED.format(i)) for i in range(self.vocab_size)]

        files = {
            "tokenizer.json": serialized,
            "vocab.txt": "\n".join(lines) + "\n",
            "tokenizer_config.json": json.dumps(settings, indent=2) + "\n",
            "special_tokens_map.json": json.dumps(SPECIAL_TOKENS, indent=2) + "\n",
        }

        def write(folder: Path) -> None:
            for name, content in files.items():
                (folder / name).write_bytes(content.encode())

        atomic_directory_write(Path(directory), write)

    def encode(
        self,
        texts: Sequence[str],
        texts_b: Sequence[str | None] | None = None,
        max_length: int | None = None,
    ) -> list[Encoding]:
        """Turn texts, or pairs of texts, into model inputs, without padding.

        Args:
            texts_b: the second texts, or None; a single None in it stands for "no pair here".
            max_length: most pieces, specials included; None means the tokenizer's. Longer inputs
                lose pieces at the end, pairs from the longer text until both are equal.
        """
        max_length = _check_max_length(self.max_length if max_length is None else max_length)
        _check_texts(texts, "texts")
        inputs: Sequence[str | tuple[str, str]] = texts
        if texts_b is not None:
            if len(texts) != len(texts_b):
                raise MiniftError(f"texts: {len(texts)}, second texts: {len(texts_b)}; pair them")
            _check_texts(texts_b, "texts_b", optional=True)
            inputs = [a if b is None else (a, b) for a, b in zip(texts, texts_b)]
        self._backend.enable_truncation(max_length, strategy="longest_first")
        parts = (inputs[at : at + CHUNK] for at in range(0, len(inputs), CHUNK))
        return [
            Encoding(encoded.ids, encoded.type_ids, bool(encoded.overflowing))
            for part in parts
            for encoded in self._backend.encode_batch_fast(part)
        ]

    def encode_words(
        self, words: Sequence[str], max_length: int | None = None, overlap: int = 64
    ) -> list[WordWindow]:
        """Turn a sentence of words into one window, or overlapping windows if it is long.

        Each word is cut into pieces on its own. Windows end between words only, and a word is
        owned by the window that shows most context around it (pieces to the nearer edge; the
        earlier window at a tie). A word too long for any window is cut to its first pieces.

        Args:
            max_length: most pieces of a window, as in `encode`.
            overlap: most pieces two neighbouring windows share; half a window at most.
        """
        max_length = _check_max_length(self.max_length if max_length is None else max_length)
        _check_texts(words, "words")
        if overlap < 0:
            raise MiniftError(f"overlap must be 0 or more pieces, got {overlap}")
        budget = max_length - 2
        self._backend.no_truncation()
        encodings = self._backend.encode_batch_fast(words, add_special_tokens=False)
        pieces = [encoding.ids[:budget] or [self.unk_id] for encoding in encodings]
        windows = []
        for shown, owned in _windows([len(p) for p in pieces], budget, min(overlap, budget // 2)):
            input_ids, piece_words, position_of = [self.cls_id], [-1], {}
            for word in shown:
                position_of[word] = len(input_ids)
                input_ids += pieces[word]
                piece_words += [word] * len(pieces[word])
            positions = [position_of[word] for word in owned]
            windows.append(
                WordWindow([*input_ids, self.sep_id], owned, positions, [*piece_words, -1])
            )
        return windows

    def words(self, texts: Sequence[str]) -> Iterator[tuple[int, ...]]:
        """Yield the ids of each word of texts, which may be longer than any input."""
        self._backend.no_truncation()
        for at in range(0, len(texts), CHUNK):
            for text in self._backend.encode_batch(
                texts[at : at + CHUNK], add_special_tokens=False
            ):
                for _, pieces in groupby(zip(text.word_ids, text.ids), lambda pair: pair[0]):
                    yield tuple(index for _, index in pieces)

    def with_words(self, words: Sequence[str]) -> "Tokenizer":
        """Return a tokenizer that reads these words, cleaned as its texts, as one piece each.

        They get the next ids, in order. Other words keep their pieces.
        """
        stored, there = json.loads(self._backend.to_str()), dict(self.vocabulary())
        holes = [index for index in range(self.vocab_size) if index not in there]
        stored["model"]["vocab"] |= {UNUSED.format(index): index for index in holes}
        more = copy(self)
        more._backend = tokenizers.Tokenizer.from_str(json.dumps(stored))
        more._backend.add_tokens([AddedToken(word, single_word=True) for word in words])
        more.vocab_size += len(words)
        return more

    def vocabulary(self) -> list[tuple[int, str]]:
        """Return (id, piece) of every piece, by id; a few ids may have none."""
        pieces = self._backend.get_vocab(with_added_tokens=True)
        return sorted((index, piece) for piece, index in pieces.items())

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the piece behind each id, e.g. ["un", "##believ", "##able"]."""
        pieces = []
        for index in map(int, ids):
            piece = self._backend.id_to_token(index) if 0 <= index < self.vocab_size else None
            if piece is None:
                raise MiniftError(f"id {index} has no token; the last is {self.vocab_size - 1}")
            pieces.append(piece)
        return pieces


def _windows(lengths: Sequence[int], budget: int, overlap: int) -> Iterator[tuple[range, range]]:
    """Yield (words shown, words owned) of each window over words of `lengths` pieces."""
    edges = [0, *accumulate(lengths)]  # word w has the pieces edges[w] to edges[w + 1]
    first, owned_from, count = 0, 0, len(lengths)
    while True:
        stop = bisect_right(edges, edges[first] + budget) - 1
        if stop == count:
            yield range(first, stop), range(owned_from, stop)
            return
        # The next window shares what it may and still has room for the first word not shown yet.
        shared = min(overlap, budget - lengths[stop])
        following = bisect_left(edges, edges[stop] - shared)
        # The nearer edge is farther away in the next window, exactly where the middle of a word
        # lies beyond the middle of what both windows show.
        middle = edges[following] + edges[stop]
        owned_to = bisect_right(range(count), middle, key=lambda w: edges[w] + edges[w + 1])
        yield range(first, stop), range(owned_from, owned_to)
        first, owned_from = following, owned_to


def _check_max_length(max_length: int) -> int:
    if max_length < 3:  # below, the library would silently not truncate at all
        raise MiniftError(f"max_length must be 3 or more ([CLS], a piece, [SEP]), got {max_length}")
    return max_length


def _check_texts(texts: Sequence[str | None], name: str, optional: bool = False) -> None:
    if isinstance(texts, str):
        raise MiniftError(f"{name} must be a list of str, got {texts[:40]!r}: put it in [ ]")
    for index, text in enumerate(texts):
        if text is None and optional:
            continue
        if not isinstance(text, str):
            raise MiniftError(f"{name}[{index}] must be a str, got {type(text).__name__}: {text!r}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise MiniftError(
                f"{name}[{index}] holds half a character (a lone surrogate at position "
                f"{error.start}); read its file with the right encoding"
            ) from error
