"""Tokenizer files of a stranger: what loads, answers; what could take for ever does not load.

claim                                                        oracle
stages that lengthen a text, or search it, are refused       files by hand; without the check they
                                                             load, and one text costs megabytes
an id beyond any vocabulary is refused                       a file by hand
stages in stages in stages are refused, not followed         1,000 levels
files of gigabytes are refused unread                        sparse files
2,500 spoilt files: our error, or every text gets its ids    spoilt bytes and values
"""

from __future__ import annotations

import json
import random
import time

import pytest
import tokenizers

from minift.checkpoints.tokenizer import Tokenizer
from minift.errors import MiniftError
from tests.safety.spoil import as_json, cheap, spoil, spoil_json

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef", "##a", "##b", "film"]
TEXTS = ["a film", "", "zzz \U0001f600 [MASK] \u0301", "a" * 300, "\n\t \0", "\ufb03" * 50]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("good")
    Tokenizer.from_vocabulary(WORDS, lowercase=True).save(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def changed(good: dict[str, bytes], folder, **parts) -> dict:
    content = {**json.loads(good["tokenizer.json"]), **parts}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return content


SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}


def in_sequence(stages: list, kind: str = "normalizers") -> dict:
    return {"type": "Sequence", kind: stages}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"normalizer": DOUBLE}, "normalizer 'Replace', expected BertNormalizer"),
        ({"normalizer": in_sequence([{"type": "NFC"}, in_sequence([DOUBLE] * 20)])}, "'Replace'"),
        ({"normalizer": {"type": "Prepend", "prepend": "a" * 10**6}}, "normalizer 'Prepend'"),
        ({"pre_tokenizer": SPLIT}, "pre_tokenizer 'Split'"),
        ({"pre_tokenizer": in_sequence([SPLIT], "pretokenizers")}, "pre_tokenizer 'Split'"),
    ],
)  # fmt: skip
def test_stages_that_grow_or_search_are_refused_by_name(good, tmp_path, parts, words):
    changed(good, tmp_path, **parts)
    with pytest.raises(MiniftError, match=words):
        Tokenizer.from_directory(tmp_path)


def test_the_library_itself_would_double_a_text_at_every_stage(good, tmp_path):
    """The negative control: 15 stages make 32,768 letters of one, and a pattern is taken."""
    changed(good, tmp_path, pre_tokenizer=in_sequence([SPLIT], "pretokenizers"))
    tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    changed(good, tmp_path, normalizer=in_sequence([DOUBLE] * 15))
    backend = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert len(backend.normalizer.normalize_str("a")) == 2**15


def test_harmless_stages_are_still_read(good, tmp_path):
    stages = [{"type": "NFKC"}, in_sequence([{"type": "Lowercase"}, {"type": "StripAccents"}])]
    changed(good, tmp_path, normalizer=in_sequence(stages), pre_tokenizer={"type": "Whitespace"})
    assert Tokenizer.from_directory(tmp_path).encode(["A Film"])[0].input_ids == [2, 5, 13, 3]


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_stages_in_stages_end(good, tmp_path, depth):
    deep = '{"type": "Sequence", "normalizers": [' * depth + "]}" * depth
    text = good["tokenizer.json"].decode()
    start, end = text.index('"normalizer":'), text.index('"pre_tokenizer":')
    (tmp_path / "tokenizer.json").write_text(f'{text[:start]}"normalizer": {deep}, {text[end:]}')
    with pytest.raises(MiniftError, match="not a readable tokenizer"):
        Tokenizer.from_directory(tmp_path)


def test_ids_and_words_beyond_any_vocabulary_are_refused(good, tmp_path):
    model = json.loads(good["tokenizer.json"])["model"]
    changed(good, tmp_path, model={**model, "vocab": {**model["vocab"], "far": 2**32 - 2}})
    with cheap(megabytes=50), pytest.raises(MiniftError, match="4,294,967,295 ids, at most"):
        Tokenizer.from_directory(tmp_path)
    changed(good, tmp_path, model={**model, "max_input_chars_per_word": 2**31})
    with pytest.raises(MiniftError, match=r"max_input_chars_per_word is 2147483648, at most 1000"):
        Tokenizer.from_directory(tmp_path)
    changed(good, tmp_path, model={**model, "unk_token": "[none]"})
    with pytest.raises(MiniftError, match=r"unk_token '\[none\]'"):
        Tokenizer.from_directory(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "tokenizer_config.json"])
def test_a_file_of_gigabytes_is_refused_unread(good, tmp_path, name):
    (tmp_path / "vocab.txt").write_bytes(good["vocab.txt"])
    with (tmp_path / name).open("wb") as file:
        file.truncate(2**34)  # sparse
    with cheap(megabytes=250), pytest.raises(MiniftError, match=r"has more than [\d,]+ bytes"):
        Tokenizer.from_directory(tmp_path)


def test_2500_spoilt_files_give_our_error_or_a_tokenizer_that_answers(
    good, tmp_path, record_property
):
    draw, read = random.Random(0), 0
    names = ("tokenizer.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
    odd = ("BPE", "WordPiece", "BertNormalizer", "Sequence", "##", "a", "[UNK]", 5, 13)
    with cheap() as steps:
        for number in range(2500):
            for file in tmp_path.iterdir():
                file.unlink()
            name = draw.choice(names)
            for other in ("tokenizer_config.json", "vocab.txt"):
                (tmp_path / other).write_bytes(good[other])
            content = good[name]
            if name.endswith("json") and draw.random() < 0.7:
                content = as_json(spoil_json(json.loads(content), draw, odd))
            else:
                content = spoil(content, draw, (b"\n[PAD]", b"\n##\n", b"[SEP]"))
            (tmp_path / name).write_bytes(content)
            try:
                tokenizer = Tokenizer.from_directory(tmp_path)
            except MiniftError:
                pass
            else:
                read += 1
                for encoding in tokenizer.encode(TEXTS, max_length=16):
                    assert 2 <= len(encoding.input_ids) <= 16
                    assert all(0 <= i < tokenizer.vocab_size for i in encoding.input_ids)
                windows = tokenizer.encode_words(["a", "", "film", "b" * 200], max_length=16)
                assert [w for window in windows for w in window.words] == [0, 1, 2, 3]
                if number % 10 == 0:
                    tokenizer.save(tmp_path / "again")
                    for file in (tmp_path / "again").iterdir():
                        file.unlink()
                    (tmp_path / "again").rmdir()
            steps.append(time.process_time())
    record_property("measured", f"2,500 tokenizers: {2500 - read:,} refused, {read:,} read")
    assert 300 < read < 2300
