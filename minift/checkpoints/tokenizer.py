"""WordPiece: texts, pairs and pre-split words become ids, and every word is found again.

Claim    The ids are those of transformers' BERT tokenizer, letter for letter, and a tagger
         never loses a word: each word of a sentence, however long the sentence, has a first
         piece in exactly one window.
Paper    Devlin et al. (2019), "BERT", sections 3 and 5.3, https://arxiv.org/abs/1810.04805:
         [CLS] a [SEP] b [SEP]; a word is tagged at its first piece. The WordPiece search
         itself is the `tokenizers` library's.
Differs  A word without any piece (empty, or control characters only) becomes [UNK]; elsewhere
         it vanishes, and its tag with it.
         Padding and truncation settings stored in a tokenizer.json are switched off.
         Where tokenizer_config.json does not say whether to lower-case, tokenizer.json is
         believed; transformers 5 would lower-case.
Proof    tests/checkpoints/test_tokenizer.py
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from minift.checkpoints.limits import (
    LARGEST_JSON,
    LARGEST_TOKENIZER,
    LONGEST_WORD,
    MOST_PIECES,
    read_limited,
)
from minift.errors import MiniftError
from minift.files import atomic_directory_write

CHUNK = 1024  # texts that the tokenizer works on at a time: it keeps much more than the pieces
SPECIAL_TOKENS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


# Others could double a text at each of a hundred stages, or look for a pattern for hours.
_PARTS = {
    "normalizer": ("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Strip",
                   "StripAccents"),
    "pre_tokenizer": ("BertPreTokenizer", "CharDelimiterSplit", "Digits", "Punctuation",
                      "UnicodeScripts", "Whitespace", "WhitespaceSplit"),
}  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """One model input: a text, or a pair of texts.

    Args:
        input_ids: [CLS] a [SEP], or [CLS] a [SEP] b [SEP].
        segment_ids: as long; 0 up to and with the first [SEP], 1 after it.
    """

    input_ids: list[int]
    segment_ids: list[int]


@dataclass(frozen=True)
class WordWindow:
    """One model input cut from a sentence of words, and the words it answers for.

    Args:
        input_ids: [CLS] pieces [SEP]; all of segment 0.
        words: which words of the sentence this window owns. The windows of a sentence own
            each word once, in order.
        word_positions: for each owned word, where in `input_ids` its first piece stands.
        piece_words: for each position of `input_ids` the word it belongs to (owned, or there
            as context only), -1 for [CLS] and [SEP].
    """

    input_ids: list[int]
    words: range
    word_positions: list[int]
    piece_words: list[int]


class Tokenizer:
    """A WordPiece vocabulary with BERT's way of cleaning and cutting text.

    Attributes:
        vocab_size: one more than the largest id; an embedding table needs as many rows.
        pad_id, unk_id, cls_id, sep_id, mask_id: ids of the five special tokens.
        lowercase: whether "Word" and "word" get the same ids.
    """

    def __init__(self, backend: tokenizers.Tokenizer, where: str = "the tokenizer") -> None:
        """Take over `backend`; `where` names its source in errors. Most callers want `from_...`.

        Raises:
            MiniftError: if the model is not WordPiece or a special token is missing.
        """
        kind = type(backend.model).__name__
        if kind != "WordPiece":
            raise MiniftError(
                f"{where} holds a {kind} model, minift reads WordPiece only (BERT, MiniLM, "
                "ELECTRA and their kin); choose a checkpoint of that family"
            )
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
            pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
            special_tokens=[("[CLS]", self.cls_id), ("[SEP]", self.sep_id)],
        )
        backend.decoder = decoders.WordPiece(prefix="##")
        unknown = backend.model.unk_token
        if backend.token_to_id(unknown) is None:  # it would fail at the first unknown word
            raise MiniftError(f"{where}: unk_token {unknown!r} is not in its vocabulary")
        self._backend = backend
        self.vocab_size = 1 + max(backend.get_vocab(with_added_tokens=True).values())
        if self.vocab_size > MOST_PIECES:
            raise MiniftError(
                f"{where}: ids up to {self.vocab_size - 1:,}, at most {MOST_PIECES:,} expected"
            )
        normalizer = backend.normalizer
        self.lowercase = normalizer is not None and normalizer.normalize_str("A") == "a"

    @classmethod
    def from_directory(cls, path: str | Path) -> Tokenizer:
        """Read the tokenizer of a checkpoint folder.

        tokenizer.json is read if there is one, else vocab.txt; what tokenizer_config.json says
        of do_lower_case, strip_accents and tokenize_chinese_chars holds for both.

        Raises:
            MiniftError: if there is neither file, one of them cannot be read, the model is not
                WordPiece, or a special token is missing.
        """
        folder = Path(path)
        file = folder / "tokenizer.json"
        settings = _read_settings(folder / "tokenizer_config.json")
        if file.is_file():
            backend, content = _read_tokenizer(file)
            stored = content.get("normalizer") or {}
            if stored.get("type") == "BertNormalizer":
                backend.normalizer = _normalizer({**stored, **settings})
            return cls(backend, where=str(file))
        if (vocabulary := folder / "vocab.txt").is_file():
            return cls(_from_tokens(_read_vocabulary(vocabulary), settings), where=str(vocabulary))
        there = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        raise MiniftError(
            f"no tokenizer in {folder}: expected tokenizer.json or vocab.txt, "
            f"found {', '.join(there) or 'nothing'}"
        )

    @classmethod
    def from_vocabulary(cls, vocabulary: Sequence[str] | str | Path, lowercase: bool) -> Tokenizer:
        """Make a tokenizer of a list of tokens, or of a vocab.txt: one token a line, id = line.

        Raises:
            MiniftError: if a special token is missing.
        """
        settings = {"lowercase": lowercase}
        if isinstance(vocabulary, str | Path):
            tokens = _read_vocabulary(Path(vocabulary))
            return cls(_from_tokens(tokens, settings), where=str(vocabulary))
        return cls(_from_tokens(vocabulary, settings), where="the list of tokens")

    def save(self, directory: str | Path, max_length: int = 512) -> None:
        """Write tokenizer.json, vocab.txt, tokenizer_config.json and special_tokens_map.json.

        Beside a BERT config.json, transformers' AutoTokenizer reads them and gives the same ids.

        Args:
            directory: made if it is not there.
            max_length: most positions the model has; transformers truncates to it.

        Raises:
            MiniftError: if the folder cannot be written; what was there stays.
        """
        self._backend.no_truncation()
        serialized = self._backend.to_str(pretty=True)
        stored = json.loads(serialized).get("normalizer") or {}
        settings = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.lowercase,
            "strip_accents": stored.get("strip_accents"),
            "tokenize_chinese_chars": stored.get("handle_chinese_chars", True),
            "model_max_length": max_length,
            **SPECIAL_TOKENS,
        }
        token_of = dict(self.vocabulary())
        lines = [token_of.get(i, f"[unused-id-{i}]") for i in range(self.vocab_size)]
        contents = {
            "tokenizer.json": serialized,
            "vocab.txt": "\n".join(lines) + "\n",
            "tokenizer_config.json": json.dumps(settings, indent=2) + "\n",
            "special_tokens_map.json": json.dumps(SPECIAL_TOKENS, indent=2) + "\n",
        }

        def write(folder: Path) -> None:
            for name, content in contents.items():
                (folder / name).write_bytes(content.encode())

        atomic_directory_write(Path(directory), write)

    def encode(
        self,
        texts: Sequence[str],
        texts_b: Sequence[str | None] | None = None,
        max_length: int = 512,
    ) -> list[Encoding]:
        """Turn texts, or pairs of texts, into model inputs, without padding.

        Args:
            texts: the texts, or the first texts of the pairs.
            texts_b: the second texts, or None; a single None in it stands for "no pair here".
            max_length: most pieces of an input, specials included. Longer ones lose pieces at
                the end, pairs by "longest first": from the longer text until both are equal.

        Raises:
            MiniftError: if something is not a text, the lengths differ, or `max_length` < 3.
        """
        _check_max_length(max_length)
        _check_texts(texts, "texts")
        inputs: Sequence[str | tuple[str, str]] = texts
        if texts_b is not None:
            if len(texts) != len(texts_b):
                raise MiniftError(f"{len(texts)} texts but {len(texts_b)} second texts: pair them")
            _check_texts(texts_b, "texts_b", optional=True)
            inputs = [a if b is None else (a, b) for a, b in zip(texts, texts_b)]
        self._backend.enable_truncation(max_length, strategy="longest_first")
        parts = (inputs[at : at + CHUNK] for at in range(0, len(inputs), CHUNK))
        return [
            Encoding(encoded.ids, encoded.type_ids)
            for part in parts
            for encoded in self._backend.encode_batch_fast(part)
        ]

    def encode_words(
        self, words: Sequence[str], max_length: int = 512, overlap: int = 64
    ) -> list[WordWindow]:
        """Turn a sentence of words into one window, or overlapping windows if it is long.

        Each word is cut into pieces on its own. Windows end between words only, and a word is
        owned by the window that shows most context around it (pieces to the nearer edge; the
        earlier window at a tie). A word too long for any window is cut to its first pieces.

        Args:
            words: the words, e.g. of a `TaggedExample` or from `split_words`.
            max_length: most pieces of a window, [CLS] and [SEP] included.
            overlap: most pieces two neighbouring windows share; half a window at most.

        Returns:
            At least one window.

        Raises:
            MiniftError: if a word is not a str, `max_length` < 3 or `overlap` < 0.
        """
        _check_max_length(max_length)
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

    def vocabulary(self) -> list[tuple[int, str]]:
        """Return (id, piece) of every piece, by id; a few ids may have none."""
        pieces = self._backend.get_vocab(with_added_tokens=True)
        return sorted((index, piece) for piece, index in pieces.items())

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the piece behind each id, e.g. ["un", "##believ", "##able"].

        Raises:
            MiniftError: if an id is not in the vocabulary.
        """
        pieces = []
        for index in map(int, ids):
            piece = self._backend.id_to_token(index) if 0 <= index < self.vocab_size else None
            if piece is None:
                raise MiniftError(
                    f"id {index} has no token: ids of this vocabulary run from 0 "
                    f"to {self.vocab_size - 1}"
                )
            pieces.append(piece)
        return pieces

    def decode(self, ids: Iterable[int]) -> str:
        """Return a readable text for the ids, without special tokens (spacing is a guess)."""
        return self._backend.decode([int(i) for i in ids], skip_special_tokens=True)


def split_words(text: str) -> list[tuple[str, int, int]]:
    """Cut raw text into words as tagged corpora do, with (start, end) of each in the text.

    Words end at white space; punctuation and symbols around a word become words of their own
    (a run of one sign, such as "...", is one); everything inside a word stays: hyphens,
    apostrophes, the points of "3.14".

    >>> split_words("(Don't!)")
    [('(', 0, 1), ("Don't", 1, 6), ('!', 6, 7), (')', 7, 8)]
    """
    shape = "".join(_shape(character) for character in text)
    words: list[tuple[str, int, int]] = []
    for match in _WORD.finditer(shape):
        start, end = match.span()
        word = text[start:end]
        if shape[start] == "." and words and words[-1][2] == start:
            before, before_start, _ = words[-1]
            if not before.replace(word, ""):  # a run of the same sign
                words[-1] = (before + word, before_start, end)
                continue
        words.append((word, start, end))
    return words


# Over shapes: one sign with its accents (and emoji joined to it), or a word from its first to
# its last letter. Python's \w will not do: it takes the vowel signs of Hindi for punctuation.
_WORD = re.compile(r"\.m*(?:j\.m*)*|[wmj](?:[^ ]*w)?[mj]*")


def _shape(character: str) -> str:
    """Return " " for white space, "." for a sign, "m" for an accent, "j" for a joiner, else "w"."""
    if character.isspace():
        return " "
    if character == "\u200d":
        return "j"
    return {"P": ".", "S": ".", "M": "m"}.get(unicodedata.category(character)[0], "w")


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


def _from_tokens(tokens: Iterable[str], settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """Build the library's tokenizer; of a token that occurs twice the last id holds."""
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = _normalizer(settings)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return backend


def _read_tokenizer(file: Path) -> tuple[tokenizers.Tokenizer, dict[str, Any]]:
    """Return the tokenizer of a tokenizer.json, and the content of the file."""
    try:
        text = read_limited(file, LARGEST_TOKENIZER)
        content = json.loads(text)
        _refuse_what_grows(content)
        return tokenizers.Tokenizer.from_str(text), content
    except Exception as error:  # the library raises nothing narrower
        raise MiniftError(f"{file} is not a readable tokenizer: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a fault of the library's, in Rust
            raise
        raise MiniftError(f"{file} is not a readable tokenizer: {error}") from error


def _refuse_what_grows(content: object) -> None:
    """Raise ValueError for a tokenizer that could take any time, or make a text any longer."""
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {type(content).__name__}")
    for part, known in _PARTS.items():
        stages = [content.get(part)]
        while stages:
            stage = stages.pop()
            kind = stage.get("type") if isinstance(stage, dict) else stage
            if kind == "Sequence" and isinstance(stage, dict):
                lists = [value for value in stage.values() if isinstance(value, list)]
                stages += [inner for inside in lists for inner in inside]
            elif kind is not None and kind not in known:
                raise ValueError(f"{part} {kind!r}, expected {', '.join(known)} or Sequence")
    model = content.get("model")
    letters = model.get("max_input_chars_per_word", 0) if isinstance(model, dict) else 0
    if isinstance(letters, int) and letters > LONGEST_WORD:
        raise ValueError(f"max_input_chars_per_word is {letters}, at most {LONGEST_WORD} expected")


def _normalizer(settings: dict[str, Any]) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=settings.get("clean_text", True),
        handle_chinese_chars=settings.get("handle_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),  # None: as `lowercase`
        lowercase=settings.get("lowercase", True),
    )


def _read_settings(file: Path) -> dict[str, Any]:
    """Return what tokenizer_config.json says, under the names the library uses."""
    if not file.is_file():
        return {}
    try:
        config = json.loads(read_limited(file, LARGEST_JSON))
        if not isinstance(config, dict):
            raise ValueError(f"expected an object, got {type(config).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise MiniftError(f"{file} is not valid JSON: {error}") from error
    names = {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    }
    for name in names:
        if not isinstance(config.get(name), bool | None):
            raise MiniftError(f"{file}: {name} must be true or false, got {config[name]!r}")
    return {
        ours: config[theirs] for theirs, ours in names.items() if config.get(theirs) is not None
    }


def _read_vocabulary(file: Path) -> list[str]:
    """Return the lines; `str.splitlines` would also cut at U+2028, which is a token."""
    try:
        text = read_limited(file, LARGEST_TOKENIZER)
    except (OSError, UnicodeDecodeError) as error:
        raise MiniftError(f"cannot read the vocabulary {file}: {error}") from error
    return text.removesuffix("\n").split("\n")


def _check_max_length(max_length: int) -> None:
    if max_length < 3:  # below, the library would silently not truncate at all
        raise MiniftError(
            f"max_length must be at least 3 ([CLS], a piece, [SEP]), got {max_length}"
        )


def _check_texts(texts: Sequence[str | None], name: str, optional: bool = False) -> None:
    if isinstance(texts, str):
        raise MiniftError(
            f"{name} must be a list of str, got the str {texts[:40]!r}: put it in [ ]"
        )
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
