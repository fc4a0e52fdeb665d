"""Tokenisation, proven.

claim                                                           oracle
ids of texts and pairs are transformers', letter for letter     transformers' BertTokenizer
pairs are truncated as there, at every length                   transformers' longest_first
texts go through a few at a time, which changes nothing         counting; all at once
words are cut into pieces as there                              transformers' is_split_into_words
a saved tokenizer is the same one                               transformers' AutoTokenizer
the longest input is what the model reads                       numbers by hand; transformers'
every word is owned once, by its best window                    brute force over all windows
no word vanishes                                                the count of words
"""

from __future__ import annotations

import copy
import json
import pickle
import random
import string
import time
from itertools import pairwise

import pytest
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.checkpoints import tokenizer as tokenizer_module
from minift.checkpoints.tokenizer import Encoding, Tokenizer, WordWindow
from minift.checkpoints.weights import load_tokenizer
from minift.errors import MiniftError

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
COMMON = [
    "the",
    "film",
    "is",
    "not",
    "good",
    "bad",
    "Paris",
    "The",
    "École",
    "naïve",
    "电影",
    "हिन्दी",
]
CHARACTERS = [*string.ascii_letters, *string.digits, *string.punctuation, *"éÉñüßЖжαΩ中文字日हи"]
VOCABULARY = list(
    dict.fromkeys(
        [
            *SPECIALS,
            *CHARACTERS,
            *("##" + character for character in CHARACTERS),
            *COMMON,
            *(word.lower() for word in COMMON),
            *["##ing", "##ed", "##s", "un", "##believ", "##able", "##cole", "naive"],
        ]
    )
)


def write_checkpoint(folder, vocabulary=VOCABULARY, lowercase=True, **config):
    """A folder as on the hub: config.json, vocab.txt, tokenizer_config.json."""
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    settings = {"do_lower_case": lowercase, **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def write_fast(folder, backend):
    """Put a tokenizer.json of the `tokenizers` library into the folder."""
    folder.mkdir(exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(params=["cased", "uncased", "minilm"])
def checkpoint(request, tmp_path):
    """A folder with a tokenizer: two small ones always, the real one where it is."""
    if request.param == "minilm":
        return request.getfixturevalue("minilm")
    return write_checkpoint(tmp_path / request.param, lowercase=request.param == "uncased")


def reference(folder):
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert type(theirs).__name__ == "BertTokenizer" and theirs.is_fast
    return theirs


def fuzz(count: int, seed: int) -> list[str]:
    """Texts of everything that has ever broken a tokenizer."""
    draw = random.Random(seed)
    pools = [
        string.ascii_letters + "   ",
        string.printable,
        "".join(map(chr, [*range(0x20), *range(0x7F, 0xA1), 0xAD, 0xFFFD, 0xFEFF])),
        "\u200b\u200c\u200d\u2028\u2029\u2060\u3000\ue000\U000e0041",
        "".join(map(chr, range(0x300, 0x370))) + "aeiouAEIOU",
        "😀👨\u200d👩\u200d👧❤️🏳️\u200d🌈🇸🇪👍🏽",
        "中文字日本語한국어ㄅ㐀豈𠀀カタカナｶﾅ",
        "ЖжΩωßẞİıŁłǅﬁÆæéÉñ",
        "हिन्दीதமிழ்العربيةעבריתไทย",
        "“”‘’—–…¿¡«»₤€$^`~|<>=+",
    ]
    named = [
        *SPECIALS,
        *COMMON,
        "[unused1]",
        "##ing",
        "unbelievable",
        "don't",
        "a" * 101,
        "é" * 300,
    ]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(draw.randint(0, 12)):
            if draw.random() < 0.3:
                parts.append(draw.choice(named))
            else:
                pool = draw.choice(pools)
                parts.append("".join(draw.choices(pool, k=draw.randint(1, 10))))
            parts.append(draw.choice(["", " ", " ", "\t", "\u00a0"]))
        texts.append("".join(parts))
    texts += ["", " ", "\x00", "\x00a\x00", "x" * 5000, "的" * 600, "[MASK]" * 3, "[CLS] a [SEP]"]
    return [text.encode("utf-8", "ignore").decode() for text in texts]


def assert_same(ours: list[Encoding], theirs) -> None:
    assert [e.input_ids for e in ours] == theirs["input_ids"]
    assert [e.segment_ids for e in ours] == theirs["token_type_ids"]


def sst2_texts(real_data) -> list[str]:
    lines = (real_data / "sst2" / "stsa.binary.train").read_text(encoding="utf-8").split("\n")
    return [line.split(" ", 1)[1] for line in lines[:2000]]


# ------------------------------------------------------------------ texts and pairs


def test_ids_of_2000_real_sentences_are_those_of_transformers(checkpoint, real_data):
    texts = sst2_texts(real_data)
    assert len(set(texts)) > 1900
    theirs = reference(checkpoint)(texts, truncation=True, max_length=512, padding=False)
    assert_same(Tokenizer.from_directory(checkpoint).encode(texts), theirs)


@pytest.mark.parametrize("max_length", [512, 12])
def test_ids_of_2000_fuzzed_texts_are_those_of_transformers(checkpoint, max_length):
    texts = fuzz(2000, seed=max_length)
    theirs = reference(checkpoint)(texts, truncation=True, max_length=max_length, padding=False)
    ours = Tokenizer.from_directory(checkpoint).encode(texts, max_length=max_length)
    assert_same(ours, theirs)
    lengths = [len(e.input_ids) for e in ours]
    assert max(lengths) <= max_length and len(set(lengths)) > 5  # the texts are not all alike


def test_ids_and_segments_of_fuzzed_pairs_are_those_of_transformers(checkpoint):
    first, second = fuzz(500, seed=1), fuzz(500, seed=2)
    theirs = reference(checkpoint)(first, second, truncation=True, max_length=40, padding=False)
    assert_same(Tokenizer.from_directory(checkpoint).encode(first, second, max_length=40), theirs)


def test_pairs_lose_pieces_as_in_transformers_for_all_lengths(tmp_path):
    folder = write_checkpoint(tmp_path / "c")
    ours, theirs = Tokenizer.from_directory(folder), reference(folder)
    sizes = [(a, b) for a in range(8) for b in range(8)]
    first, second = [" ".join("a" * a) for a, _ in sizes], [" ".join("b" * b) for _, b in sizes]
    for max_length in range(3, 18):
        expected = theirs(first, second, truncation="longest_first", max_length=max_length)
        assert_same(ours.encode(first, second, max_length=max_length), expected)


def test_texts_and_pairs_mix_in_one_batch(tmp_path):
    ours = Tokenizer.from_directory(write_checkpoint(tmp_path / "c"))
    mixed = ours.encode(["the film", "good"], [None, "bad"])
    assert mixed == [*ours.encode(["the film"]), *ours.encode(["good"], ["bad"])]
    assert mixed[1].segment_ids == [0, 0, 0, 1, 1]


def test_empty_text_is_cls_and_sep_and_no_text_is_no_input(tmp_path):
    ours = Tokenizer.from_directory(write_checkpoint(tmp_path / "c"))
    assert ours.encode([""]) == [Encoding([ours.cls_id, ours.sep_id], [0, 0])]
    assert ours.encode([]) == []


def test_a_text_of_50000_words_is_truncated_within_two_cpu_seconds(checkpoint):
    ours = Tokenizer.from_directory(checkpoint)
    start = time.process_time()
    (encoding,) = ours.encode(["the unbelievable, " * 25_000])
    assert time.process_time() - start < 2
    assert len(encoding.input_ids) == 512 and encoding.input_ids[-1] == ours.sep_id


def test_truncation_of_one_call_is_forgotten_by_the_next(tmp_path):
    ours = Tokenizer.from_directory(write_checkpoint(tmp_path / "c"))
    long = "the film abcdefghijkl " * 10
    before = ours.encode([long]), ours.encode_words(long.split())
    ours.encode([long], max_length=5)
    assert (ours.encode_words(long.split()), ours.encode([long])) == before[::-1]
    assert len(before[0][0].input_ids) == len(before[1][0].input_ids) == 142


# ------------------------------------------------------------------ words


def test_words_are_cut_as_in_transformers_and_only_vanished_ones_become_unk(checkpoint):
    ours, theirs = Tokenizer.from_directory(checkpoint), reference(checkpoint)
    words = [word for text in fuzz(400, seed=3) for word in text.split(" ")]
    vanished = 0
    for start in range(0, len(words), 20):
        sentence = words[start : start + 20]
        expected = theirs(sentence, is_split_into_words=True, add_special_tokens=False)
        by_word: list[list[int]] = [[] for _ in sentence]
        for word, piece in zip(expected.word_ids(), expected["input_ids"]):
            by_word[word].append(piece)
        vanished += by_word.count([])
        flat = [piece for pieces in by_word for piece in pieces or [ours.unk_id]]
        (window,) = ours.encode_words(sentence, max_length=100_000)
        assert window.input_ids == [ours.cls_id, *flat, ours.sep_id]
        assert [window.piece_words.index(w) for w in range(len(sentence))] == window.word_positions
    assert vanished > 20  # the case the claim is about did occur


def test_a_word_of_control_characters_keeps_its_place_where_transformers_drops_it(tmp_path):
    folder = write_checkpoint(tmp_path / "c")
    ours, words = Tokenizer.from_directory(folder), ["good", "\x00\x01", "", "film"]
    (window,) = ours.encode_words(words)
    pieces = ["[CLS]", "good", "[UNK]", "[UNK]", "film", "[SEP]"]
    assert ours.tokens(window.input_ids) == pieces
    assert window == WordWindow(window.input_ids, range(4), [1, 2, 3, 4], [-1, 0, 1, 2, 3, -1])
    theirs = reference(folder)(words, is_split_into_words=True)
    assert set(theirs.word_ids()) == {None, 0, 3}  # negative control


def test_a_sentence_without_words_is_one_window_that_owns_nothing(tmp_path):
    ours = Tokenizer.from_directory(write_checkpoint(tmp_path / "c"))
    empty = WordWindow([ours.cls_id, ours.sep_id], range(0), [], [-1, -1])
    assert ours.encode_words([]) == [empty]


def test_a_word_longer_than_the_window_is_cut_to_its_first_pieces(tmp_path):
    ours = Tokenizer.from_directory(write_checkpoint(tmp_path / "c"))
    windows = ours.encode_words(["a", "bcdefghijk", "a"], max_length=6, overlap=0)
    assert [ours.tokens(w.input_ids)[1:-1] for w in windows] == [
        ["a"],
        ["b", "##c", "##d", "##e"],
        ["a"],
    ]


def windows_and_pieces(ours, lengths, max_length, overlap):
    """Windows over words of the wanted numbers of pieces; '-' is one piece each."""
    words = ["-" * length for length in lengths]
    return ours.encode_words(words, max_length=max_length, overlap=overlap)


OURS = Tokenizer.from_vocabulary(VOCABULARY, lowercase=True)


@settings(max_examples=300, deadline=None, database=None)
@given(
    lengths=st.lists(st.integers(1, 9), max_size=40),
    max_length=st.integers(3, 30),
    overlap=st.integers(0, 40),
)
def test_every_word_is_owned_once_in_order_whole_and_by_its_best_window(
    lengths, max_length, overlap
):
    windows = windows_and_pieces(OURS, lengths, max_length, overlap)
    budget = max_length - 2
    assert [word for window in windows for word in window.words] == list(range(len(lengths)))
    shown_by = []
    for window in windows:
        assert len(window.input_ids) == len(window.piece_words) <= max_length
        assert (window.input_ids[0], window.input_ids[-1]) == (OURS.cls_id, OURS.sep_id)
        assert [i for i, word in enumerate(window.piece_words) if word == -1] == [
            0,
            len(window.input_ids) - 1,
        ]
        inner = window.piece_words[1:-1]
        shown = sorted(set(inner))
        assert inner == [w for w in shown for _ in range(min(lengths[w], budget))]  # whole words
        assert shown == list(range(shown[0], shown[-1] + 1)) if shown else not lengths
        assert [window.piece_words.index(word) for word in window.words] == window.word_positions
        shown_by.append(inner)
    for before, after in pairwise(shown_by):
        assert sum(word in set(after) for word in before) <= min(overlap, budget // 2)
    for word in range(len(lengths)):
        context = {}
        for index, inner in enumerate(shown_by):
            if word in inner:
                left = inner.index(word)
                context[index] = min(left, len(inner) - left - inner.count(word))
        best = max(context, key=lambda index: (context[index], -index))
        assert word in windows[best].words


def test_the_wanted_overlap_is_used_up_to_a_word(tmp_path):
    windows = windows_and_pieces(OURS, [1] * 100, max_length=34, overlap=8)
    shown = [set(window.piece_words) - {-1} for window in windows]
    assert [len(words) for words in shown] == [32, 32, 32, 28]
    assert [len(a & b) for a, b in pairwise(shown)] == [8, 8, 8]
    assert [window.words for window in windows] == [
        range(28),
        range(28, 52),
        range(52, 76),
        range(76, 100),
    ]


def test_the_longest_real_sentences_lose_no_word(minilm, real_data):
    ours = Tokenizer.from_directory(minilm)
    lines = (real_data / "wnut17" / "wnut17train.conll").read_text(encoding="utf-8").split("\n")
    words = [line.split("\t")[0] for line in lines if line.strip()][:3000]
    windows = ours.encode_words(words, max_length=128, overlap=32)
    assert [w for window in windows for w in window.words] == list(range(3000))
    assert len(windows) > 40
    for window in windows:
        alone = ours.encode([words[w] for w in window.words])
        first = [e.input_ids[1] if len(e.input_ids) > 2 else ours.unk_id for e in alone]
        assert [window.input_ids[p] for p in window.word_positions] == first


# ------------------------------------------------------------------ reading and writing


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("accents", [None, True, False])
@pytest.mark.parametrize("chinese", [True, False])
@pytest.mark.parametrize("with_json", [True, False])
def test_the_settings_of_tokenizer_config_hold_as_in_transformers(
    tmp_path, lowercase, accents, chinese, with_json
):
    folder = write_checkpoint(
        tmp_path / "c", lowercase=lowercase, strip_accents=accents, tokenize_chinese_chars=chinese
    )
    if with_json:  # which says the opposite in all three
        backend = copy.deepcopy(OURS._backend)
        backend.normalizer = tokenizers.normalizers.BertNormalizer(
            lowercase=not lowercase,
            strip_accents=None if accents is None else not accents,
            handle_chinese_chars=not chinese,
        )
        write_fast(folder, backend)
    ours = Tokenizer.from_directory(folder)
    texts = ["École naïve The É 电影 中文 e\u0301a", *fuzz(50, seed=4)]
    assert_same(ours.encode(texts), reference(folder)(texts, truncation=True, max_length=512))
    assert ours.lowercase is lowercase


def test_a_silent_tokenizer_config_leaves_tokenizer_json_its_case(tmp_path):
    cased = Tokenizer.from_vocabulary(VOCABULARY, lowercase=False)
    folder = write_fast(tmp_path / "c", cased._backend)
    assert Tokenizer.from_directory(folder).lowercase is False
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (ids,) = reference(folder)(["The"])["input_ids"]
    assert ids != cased.encode(["The"])[0].input_ids  # "Differs": transformers lower-cases


def test_stored_padding_and_truncation_are_switched_off(tmp_path):
    backend = copy.deepcopy(OURS._backend)
    backend.enable_padding(length=128)
    backend.enable_truncation(4)
    ours = Tokenizer.from_directory(write_fast(tmp_path / "c", backend))
    assert [len(e.input_ids) for e in ours.encode(["the film", "the film is not good"])] == [4, 7]
    assert len(ours.encode_words(["film"] * 50)[0].input_ids) == 52


def test_minilm_stores_128_positions_of_padding_and_none_is_applied(minilm):
    assert json.loads((minilm / "tokenizer.json").read_text())["padding"] is not None
    assert len(Tokenizer.from_directory(minilm).encode(["good"])[0].input_ids) == 3


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("keep", [None, "tokenizer.json", "vocab.txt"])
def test_a_saved_tokenizer_is_the_same_for_us_and_for_autotokenizer(tmp_path, lowercase, keep):
    ours = Tokenizer.from_vocabulary(VOCABULARY, lowercase=lowercase, max_length=77)
    ours.encode(["the film"], max_length=3)  # must not leave its truncation in the files
    ours.save(tmp_path / "saved")
    names = ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    assert sorted(file.name for file in (tmp_path / "saved").iterdir()) == names
    saved = json.loads((tmp_path / "saved" / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["truncation"] is saved["padding"] is None
    for other in {"tokenizer.json", "vocab.txt"} - {keep} if keep else ():
        (tmp_path / "saved" / other).unlink()
    (tmp_path / "saved" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    again, theirs = Tokenizer.from_directory(tmp_path / "saved"), reference(tmp_path / "saved")
    texts = fuzz(300, seed=5)
    assert ours.encode(texts) == again.encode(texts)
    assert_same(ours.encode(texts), theirs(texts, truncation=True))
    assert again.max_length == theirs.model_max_length == 77
    assert (again.lowercase, again.vocab_size) == (lowercase, len(VOCABULARY))
    assert again.vocab_size == len(theirs)


def test_a_saved_minilm_gives_autotokenizer_the_ids_of_the_original(minilm, tmp_path):
    Tokenizer.from_directory(minilm).save(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    texts = fuzz(500, seed=6)
    options = {"truncation": True, "max_length": 512, "padding": False}
    theirs = reference(tmp_path / "saved")(texts, **options)
    assert theirs["input_ids"] == reference(minilm)(texts, **options)["input_ids"]
    assert (tmp_path / "saved" / "vocab.txt").read_text() == (minilm / "vocab.txt").read_text()


@pytest.mark.parametrize(
    ("stated", "longest"),
    [(None, 16), (10, 10), (16.0, 16), (512, 16), (10**30, 16), (1e30, 16)],
)
def test_the_longest_input_is_what_the_model_reads_or_less_where_the_folder_says_so(
    tmp_path, stated, longest
):
    folder = write_checkpoint(tmp_path / "c", model_max_length=stated)
    sizes = {"max_position_embeddings": 16, "hidden_size": 8, "num_attention_heads": 1}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **sizes}))
    ours = load_tokenizer(folder)
    long = ["film"] * 50
    assert ours.max_length == longest
    assert len(ours.encode([" ".join(long)])[0].input_ids) == longest
    assert max(len(window.input_ids) for window in ours.encode_words(long)) == longest
    assert_same(
        ours.encode([" ".join(long)]),
        reference(folder)([" ".join(long)], truncation=True, max_length=longest),
    )


@pytest.mark.parametrize("stated", [0, 2, -1, "512", True, [512], float("nan")])
def test_a_longest_input_that_no_model_has_is_refused_by_name(tmp_path, stated):
    folder = write_checkpoint(tmp_path / "c", model_max_length=stated)
    with pytest.raises(MiniftError, match="json: model_max_length must be a number"):
        Tokenizer.from_directory(folder)


def test_a_vocabulary_with_crlf_odd_separators_and_doubles_is_read_as_by_transformers(tmp_path):
    odd = [*SPECIALS, "a", "\u2028", "b", "a", "\x85", "c"]
    folder = write_checkpoint(tmp_path / "c", vocabulary=odd)
    (folder / "vocab.txt").write_bytes(("\r\n".join(odd) + "\r\n").encode())
    ours = Tokenizer.from_directory(folder)
    assert_same(ours.encode(["a b c"]), reference(folder)(["a b c"]))
    assert ours.encode(["a b c"])[0].input_ids == [2, 8, 7, 10, 3]
    assert ours.vocab_size == 11  # rows an embedding table needs, though one id is never used
    ours.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "vocab.txt").read_text(encoding="utf-8").count("\n") == 11


def test_vocab_size_counts_tokens_added_after_pretraining(tmp_path):
    backend = copy.deepcopy(OURS._backend)
    backend.add_tokens(["covid"])
    ours = Tokenizer.from_directory(write_fast(tmp_path / "c", backend))
    assert ours.vocab_size == len(VOCABULARY) + 1
    assert ours.tokens(ours.encode(["covid"])[0].input_ids) == ["[CLS]", "covid", "[SEP]"]


def test_a_pickled_tokenizer_gives_the_same_ids():
    texts = fuzz(50, seed=7)
    assert pickle.loads(pickle.dumps(OURS)).encode(texts) == OURS.encode(texts)


def test_special_ids_are_those_of_the_vocabulary():
    ids = (OURS.pad_id, OURS.unk_id, OURS.cls_id, OURS.sep_id, OURS.mask_id)
    assert ids == tuple(VOCABULARY.index(token) for token in SPECIALS)


def test_ids_go_back_to_tokens():
    (encoding,) = OURS.encode(["Unbelievable film!"])
    pieces = ["[CLS]", "un", "##believ", "##able", "film", "!", "[SEP]"]
    assert OURS.tokens(encoding.input_ids) == pieces


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize("name", ["BPE", "Unigram", "WordLevel"])
def test_another_model_than_wordpiece_is_refused_by_its_name(tmp_path, name):
    model = {
        "BPE": lambda: tokenizers.models.BPE({"a": 0}, []),
        "Unigram": lambda: tokenizers.models.Unigram([("a", 0.0)]),
        "WordLevel": lambda: tokenizers.models.WordLevel({"a": 0}, "a"),
    }[name]()
    folder = write_fast(tmp_path / "c", tokenizers.Tokenizer(model))
    with pytest.raises(
        MiniftError, match=rf"tokenizer\.json holds a {name} model; .* BERT's, WordPiece"
    ):
        Tokenizer.from_directory(folder)


@pytest.mark.parametrize("missing", [["[MASK]"], ["[PAD]", "[SEP]"], SPECIALS])
def test_missing_special_tokens_are_all_named(tmp_path, missing):
    vocabulary = [token for token in VOCABULARY if token not in missing]
    with pytest.raises(MiniftError) as refusal:
        Tokenizer.from_directory(write_checkpoint(tmp_path / "c", vocabulary=vocabulary))
    named = str(refusal.value).split("lacks ")[1].split(";")[0]
    assert named == ", ".join(token for token in SPECIALS if token in missing)
    assert "vocab.txt" in str(refusal.value)


def test_a_folder_without_tokenizer_says_what_it_holds(tmp_path):
    (tmp_path / "spiece.model").write_bytes(b"")
    with pytest.raises(MiniftError, match=r"expected tokenizer.json or vocab.txt, found spiece"):
        Tokenizer.from_directory(tmp_path)
    with pytest.raises(MiniftError, match="found nothing"):
        Tokenizer.from_directory(tmp_path / "absent")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("tokenizer.json", b"{", r"tokenizer\.json is not a readable tokenizer"),
        ("tokenizer_config.json", b"{", r"tokenizer_config\.json: cannot be read as JSON"),
        (
            "tokenizer_config.json",
            b"[]",
            r"tokenizer_config\.json: expected a JSON object, got list",
        ),
        ("vocab.txt", b"\xff\xfe", r"cannot read the vocabulary .*vocab\.txt"),
    ],
)
def test_a_broken_file_is_named(tmp_path, file, content, words):
    folder = write_checkpoint(tmp_path / "c")
    (folder / file).write_bytes(content)
    with pytest.raises(MiniftError, match=words):
        Tokenizer.from_directory(folder)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: OURS.encode("abc"), r"texts must be a list of str, got 'abc'"),
        (lambda: OURS.encode(["a", None]), r"texts\[1\] must be a str, got NoneType"),
        (lambda: OURS.encode(["a", float("nan")]), r"texts\[1\] must be a str, got float: nan"),
        (lambda: OURS.encode(["a", "x\ud800"]), r"texts\[1\] holds half a character.*position 1"),
        (lambda: OURS.encode(["a"], ["b", "c"]), r"texts: 1, second texts: 2"),
        (lambda: OURS.encode(["a", "b"], [None, 3]), r"texts_b\[1\] must be a str, got int: 3"),
        (lambda: OURS.encode(["a"], max_length=2), r"max_length must be 3 or more .*got 2"),
        (lambda: OURS.encode_words(["a"], max_length=2), r"max_length must be 3 or more"),
        (lambda: OURS.encode_words("ab"), r"words must be a list of str, got 'ab'"),
        (lambda: OURS.encode_words(["a", 7]), r"words\[1\] must be a str, got int: 7"),
        (lambda: OURS.encode_words(["a"], overlap=-1), r"overlap must be 0 or more.*got -1"),
        (lambda: OURS.tokens([0, 10**12]), r"id 1000000000000 has no token; the last is \d+"),
        (lambda: OURS.tokens([-1]), r"id -1 has no token"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(MiniftError, match=words):
        call()


def test_texts_go_to_the_tokenizer_a_few_at_a_time_which_changes_no_piece(monkeypatch):
    tokenizer = load_tokenizer("tiny")
    texts = [f"text {n} " * (n % 5) for n in range(10)]
    whole = tokenizer.encode(texts, texts[::-1])
    sizes = []

    class Counting:
        def __getattr__(self, name):
            return getattr(backend, name)

        def encode_batch_fast(self, inputs):
            sizes.append(len(inputs))
            return backend.encode_batch_fast(inputs)

    backend = tokenizer._backend
    monkeypatch.setattr(tokenizer, "_backend", Counting())
    monkeypatch.setattr(tokenizer_module, "CHUNK", 4)
    assert tokenizer.encode(texts, texts[::-1]) == whole
    assert sizes == [4, 4, 2]
