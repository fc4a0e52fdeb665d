"""Vocabulary expansion, proven (the list of the study's pitfalls, its points 1 and 2).

claim                                                       oracle
the words are those that cost most pieces                   transformers' tokenizer, word by word
texts without new words keep their ids, thousands of them   the old tokenizer; a word added as a
                                                            piece as negative control
a new word is one id, in any case that the tokenizer reads  the ids that come after the last
old rows keep their bits, new ones are means, so is the     arithmetic on the old tensors
bias of the masked LM
adding a word twice changes nothing                         every tensor and id
what is saved gives transformers the same ids and numbers   its AutoTokenizer, its two models
numbers on old texts are those of before                    the old checkpoint in transformers
spare rows of the embedding are used first                  the table's size
text beyond the encoder's limit counts, [UNK] does not      words at the end of a long text; a kanji

Points 3 to 9 are of the other parts of that study: heated-up softmax, adversarial training and
fusion are modules of their own, and weighted F1 is a score that minift does not have.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import pytest
import tokenizers
import torch
import transformers

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import pack
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_model, load_tokenizer, random_model, save_pretrained
from minift.data.examples import texts_of
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.pretraining.expand import LEAST, expand, worst_cut
from minift.pretraining.pretrain import load_whole, save_like
from tests.conftest import REPOSITORY
from tests.tiny import checkpoint

MINI = REPOSITORY / "minift" / "encoders" / "mini"
TEXTS = ["Covid and CoViD-19, (covid) in Zürich.", "Zurich film", "naïveté of covidiots", "naivete"]


@pytest.fixture(scope="module")
def mini():
    """Mini, its tokenizer, the expanded one, its tokenizer, and the words."""
    (old, before, _), (new, _, _) = load_whole("mini"), load_whole("mini")
    words = worst_cut(real_texts(), before, 100)
    return old, before, new, expand(new, before, words), words


def real_texts() -> list[str]:
    sets = [load_dataset(name) for name in ("reviews", "news")]
    examples = [e for s in sets for split in (s.train, s.dev, s.test) for e in split]
    return [text for example in examples for text in texts_of(example)]


def ids(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.input_ids for encoding in tokenizer.encode(texts)]


def cased(*more: str) -> Tokenizer:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ü.,-"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = dict.fromkeys([*special, *letters, *(f"##{c}" for c in letters), *more])
    return Tokenizer.from_vocabulary([*pieces], lowercase=False)


# -- which words


def test_the_words_are_those_that_cost_most_pieces(mini):
    _, _, _, _, words = mini
    reference = transformers.BertTokenizer.from_pretrained(MINI)
    counts = Counter(w for text in real_texts() for w in re.findall(r"[^\W_]+", text.lower()))
    cost = {w: n * (len(reference.tokenize(w)) - 1) for w, n in counts.items() if n >= LEAST}
    cost = {w: c for w, c in cost.items() if c and not w.isdigit()}
    assert words == sorted(cost, key=lambda w: (-cost[w], w))[:100] and len(cost) > 110


def test_ties_go_by_the_alphabet_and_rare_or_numeric_words_are_left_out():
    tokenizer = cased("film")
    texts = ["zeta beta 2020 film"] * LEAST + ["rare"] * (LEAST - 1) + ["x1"] * LEAST
    assert worst_cut(texts, tokenizer, 9) == ["beta", "zeta", "x1"]
    assert worst_cut(texts, tokenizer, 1) == ["beta"]
    texts += ["longest"] * 3 + ["it"] * 10  # cost 18 and 10 pieces; beta and zeta 9 each
    assert worst_cut(texts, tokenizer, 9) == ["longest", "it", "beta", "zeta", "x1"]


def test_a_word_counts_wherever_it_stands_and_however_long_the_text():
    tokenizer = cased("word")
    texts = ["word " * 3000 + "zebra zebra zebra"]
    assert worst_cut(texts, tokenizer, 5) == ["zebra"]


def test_unknown_words_are_left_out_since_there_is_nothing_to_take_a_mean_of():
    tokenizer = cased()
    texts = ["日本 q日 " + "y" * 150 + " beta"] * 5
    assert worst_cut(texts, tokenizer, 9) == ["beta"]
    with pytest.raises(MiniftError, match="'q日' is not one word of letters that the tokenizer kn"):
        expand(Bert(BertConfig(vocab_size=tokenizer.vocab_size)), tokenizer, ["q日"])


def test_words_with_vowel_signs_are_words():
    word = "हिन्दी"
    tokenizer = Tokenizer.from_vocabulary(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(word)]
        + [f"##{c}" for c in dict.fromkeys(word)], lowercase=False,
    )  # fmt: skip
    assert worst_cut([word] * 3, tokenizer, 1) == [word]
    wider = tokenizer.with_words([word])
    assert ids(wider, [word]) == [[2, tokenizer.vocab_size, 3]]


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_size_that_is_no_number_of_words_is_refused(size):
    with pytest.raises(MiniftError, match="size must be a whole number from 1 up"):
        worst_cut(["beta"] * 3, cased(), size)


@pytest.mark.parametrize("texts", [[], ["film film film"], ["beta", "2020 2020 2020"]])
def test_where_nothing_can_be_added_it_is_said(texts):
    with pytest.raises(MiniftError, match="there is nothing to add: no word that occurs 3 times"):
        worst_cut(texts, cased("film"), 5)


# -- what changes, and what does not


def test_thousands_of_texts_without_new_words_keep_their_ids(mini, record_property):
    _, before, _, after, words = mini
    texts, source = real_texts(), random.Random(0)
    texts += [w + s for w in words for s in ("s", "ing", "9", "_x", "ü")]
    texts += [p + w for w in words for p in ("un", "1", "x_", "é")]
    pool = " ".join(texts).split()
    texts += [" ".join(source.choices(pool, k=12)) for _ in range(3000)]
    has = re.compile(r"(?<!\w)(" + "|".join(words) + r")(?!\w)")
    clean = transformers.BertTokenizer.from_pretrained(MINI).backend_tokenizer
    without = [t for t in texts if not has.search(clean.normalizer.normalize_str(t))]
    assert ids(after, without) == ids(before, without)
    having = [t for t in texts if has.search(clean.normalizer.normalize_str(t))]
    assert all(a != b for a, b in zip(ids(after, having), ids(before, having)))
    record_property("measured", f"{len(without)} texts without, {len(having)} with new words")
    assert len(without) > 3000 and len(having) > 500


def test_added_as_a_piece_a_word_would_change_others():
    """The negative control."""
    pieces = [piece for _, piece in cased().vocabulary()]
    as_piece = Tokenizer.from_vocabulary([*pieces, "covid"], lowercase=False)
    whole = cased().with_words(["covid"])
    assert ids(whole, ["covids"]) == ids(cased(), ["covids"]) != ids(as_piece, ["covids"])


def test_a_word_is_whole_beside_a_sign_that_bert_takes_for_a_letter_but_not_beside_a_letter():
    whole = cased().with_words(["covid"])
    for text, found in (("covid\u2122", True), ("covid\u00b2", True), ("covid\u00fc", False)):
        ((_, first, *_),) = ids(whole, [text])
        assert (first == cased().vocab_size) is found, text


def test_an_uncased_tokenizer_finds_a_word_in_any_case_and_a_cased_one_as_it_was_written():
    uncased = load_tokenizer("mini")
    assert worst_cut(TEXTS * 3, uncased, 9)[:2] == ["covid", "covidiots"]
    after = uncased.with_words(["covid", "naivete"])
    first = uncased.vocab_size
    for text in ("COVID", "Covid", "coViD"):
        assert ids(after, [text]) == [[101, first, 102]]
    for text in ("naïveté", "NAIVETE", "Naïvete"):
        assert ids(after, [text]) == [[101, first + 1, 102]]
    words = worst_cut(["Beta beta BETA Beta Beta"] * 3, cased(), 9)
    assert words == ["Beta", "BETA", "beta"]
    after = cased().with_words(["Beta"])
    assert ids(after, ["beta BETA"]) == ids(cased(), ["beta BETA"])


def test_a_word_given_in_another_case_is_added_as_the_tokenizer_reads_it():
    model, tokenizer, _ = load_whole("mini")
    after = expand(model, tokenizer, ["Covid", "COVID", "film", "Naïveté"])
    assert after.vocab_size == tokenizer.vocab_size + 2  # "film" is a piece already
    assert after.tokens([tokenizer.vocab_size, tokenizer.vocab_size + 1]) == ["covid", "naivete"]
    with pytest.raises(MiniftError, match="'covid test' is not one word"):
        expand(model, after, ["covid test"])
    with pytest.raises(MiniftError, match="'' is not one word"):
        expand(model, after, [""])


def test_old_rows_keep_their_bits_and_new_ones_are_the_means_of_their_pieces(mini):
    old, before, new, after, words = mini
    first, count = before.vocab_size, len(words)
    assert after.vocab_size == new.config.vocab_size == first + count
    assert new.bert.config is new.config
    tensors = dict(new.named_parameters())
    for name, tensor in old.named_parameters():
        assert torch.equal(tensors[name][: len(tensor)], tensor), name
    for word, pieces in zip(words, before.encode(words)):
        inside = pieces.input_ids[1:-1]
        (row,) = after.encode([word])[0].input_ids[1:-1]
        assert len(inside) > 1 and first <= row < first + count
        for name in ("bert.embeddings.word.weight", "bias"):
            mean = sum(tensors[name][i].double() for i in inside) / len(inside)
            torch.testing.assert_close(tensors[name][row].double(), mean, rtol=0, atol=1e-7)
    assert all(parameter.requires_grad for parameter in new.parameters())


def test_adding_words_again_is_nothing(mini):
    _, _, new, after, words = mini
    before = {name: tensor.clone() for name, tensor in new.named_parameters()}
    again = expand(new, after, words)
    assert again.vocab_size == after.vocab_size == new.config.vocab_size
    assert all(torch.equal(before[name], tensor) for name, tensor in new.named_parameters())
    assert ids(again, TEXTS) == ids(after, TEXTS)
    assert not set(worst_cut(real_texts(), after, 10**6)) & set(words)


def test_what_is_saved_gives_transformers_the_same_ids_and_numbers(mini, tmp_path):
    _, before, new, after, words = mini
    save_like("mini", new, after, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = [f"{w}! {w.upper()}s" for w in words] + real_texts()[:300] + TEXTS
    assert theirs(texts)["input_ids"] == ids(after, texts) == ids(load_tokenizer(tmp_path), texts)
    assert len(theirs) == after.vocab_size and theirs.model_max_length == 512
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()
    masked = transformers.BertForMaskedLM.from_pretrained(tmp_path).eval()
    untouched = transformers.BertForMaskedLM.from_pretrained(MINI).eval()
    assert torch.equal(masked.cls.predictions.decoder.bias, new.bias)
    loaded = load_model(MaskedLM, tmp_path)[0]
    with torch.no_grad():
        for text in (*TEXTS, words[0], "An old text."):
            encoded = theirs(text, return_tensors="pt")
            packed = pack(ids(after, [text]))
            states, logits = model(**encoded).last_hidden_state[0], masked(**encoded).logits[0]
            torch.testing.assert_close(loaded.bert(packed), states, rtol=0, atol=1e-4)
            torch.testing.assert_close(loaded(packed), logits, rtol=0, atol=1e-3)
        expected = untouched.float()(**encoded).logits[0]  # of the old text, by the old encoder
        torch.testing.assert_close(logits[:, : before.vocab_size], expected, rtol=0, atol=1e-3)


def test_the_encoder_keeps_its_pooler_its_rates_and_what_makes_a_vector(tmp_path):
    config = BertConfig(vocab_size=cased().vocab_size, hidden_size=32, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=32)  # fmt: skip
    plain = random_model(Bert, config, torch.Generator().manual_seed(0))
    save_pretrained(plain, cased(), tmp_path / "old", mean=True)
    (tmp_path / "old" / "rates.json").write_text('{"full": 3e-4}')
    model, tokenizer, has_head = load_whole(tmp_path / "old")
    assert not has_head
    after = expand(model.bert, tokenizer, ["beta"])
    save_like(tmp_path / "old", model.bert, after, tmp_path / "new")
    found = transformers.AutoModel.from_pretrained(tmp_path / "new")
    assert torch.equal(found.pooler.dense.weight, plain.pooler.dense.weight)
    assert found.embeddings.word_embeddings.num_embeddings == config.vocab_size + 1
    for name in ("rates.json", "modules.json", "1_Pooling/config.json"):
        assert (tmp_path / "new" / name).read_text() == (tmp_path / "old" / name).read_text()
    assert "decoder" not in str([*load_model(Bert, tmp_path / "new")[1].loaded])


def test_spare_rows_are_used_before_the_table_grows():
    tokenizer = cased()
    config = BertConfig(vocab_size=tokenizer.vocab_size + 1, hidden_size=8, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=8)  # fmt: skip
    model = random_model(MaskedLM, config, torch.Generator().manual_seed(0))
    old = model.bert.embeddings.word.weight.detach().clone()
    expand(model, tokenizer, ["beta"])
    rows = model.bert.embeddings.word.weight
    assert rows.shape == old.shape and model.config == replace(config)
    assert torch.equal(rows[:-1], old[:-1]) and not torch.equal(rows[-1], old[-1])
    expand(model, tokenizer, ["beta", "gamma"])
    assert len(model.bert.embeddings.word.weight) == len(model.bias) == len(old) + 1


def test_in_a_vocabulary_with_holes_no_id_is_given_twice(tmp_path):
    vocabulary = {piece: n + 3 * (n > 20) for n, piece in cased().vocabulary()}
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    old = Tokenizer(backend, 64, "here")
    new = old.with_words(["beta", "zeta"])
    assert ids(new, ["beta zeta"]) == [[2, old.vocab_size, old.vocab_size + 1, 3]]
    assert ids(new, ["betas [unused-id-21]"]) == ids(old, ["betas [unused-id-21]"])
    new.save(tmp_path)
    assert ids(Tokenizer.from_directory(tmp_path), ["beta zeta"]) == ids(new, ["beta zeta"])


def test_tagged_words_are_read_whole_too(tmp_path):
    checkpoint(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    wider = tokenizer.with_words(["covid"])
    window = wider.encode_words(["good", "covid", "film", "covids"])[0]
    assert window.input_ids[2] == tokenizer.vocab_size
    assert window.piece_words[:4] == [-1, 0, 1, 2]
