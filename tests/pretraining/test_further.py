"""Pretraining that goes on from an encoder, proven.

claim                                                      oracle
it starts from the encoder's own weights, head included    a rate of almost 0 changes almost nothing
it learns the text                                         the loss on texts never read; a control
                                                           that has read others
interrupted and continued ends with the same bits          a run that nobody stopped, byte by byte
what is written is an encoder for all, with its pooler     transformers; a training from there
an encoder says the same of its rates and of its mean; a   the files
condenser no longer says mean, as it learned at [CLS]
the rate rises in a tenth of the steps, and falls to 0     worked by hand
passes become steps                                        arithmetic on the number of texts
a step is the batch of the seed: no pairs, nothing that    the batches; an encoder of one segment;
nobody could guess                                         texts of unknown letters
an id that no piece has is no random piece                 a vocabulary with holes
a new masked-LM head is told, and drawn by the seed        result.json; two runs
what does not fit is said in a sentence                    words; the folder's files
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import pack
from minift.checkpoints.weights import (
    load_encoder,
    load_model,
    load_tokenizer,
    random_model,
    save_pretrained,
)
from minift.errors import MiniftError
from minift.pretraining import pretrain as module
from minift.pretraining.condenser import Condenser
from minift.pretraining.corpus import Corpus, MaskedText
from minift.pretraining.masking import piece_kinds
from minift.pretraining.pretrain import load_whole, masked_lm_loss, pretrain_further
from minift.runs.train import train
from tests.pretraining.test_expand import cased
from tests.pretraining.toy import SUBJECTS, VERBS, toy_text
from tests.tiny import checkpoint, reviews

TEXTS = [line + "." for text in toy_text(12) for line in text.split(" . ")]
FAST = {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3}
KEPT = {**FAST, "epochs": 2, "save_every": 0.0}  # a checkpoint after each step


class Killed(Exception):
    """Stands for a power cut."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def stop_at(monkeypatch, step: int) -> None:
    """Fail when the batch of a step is asked for."""
    plain = MaskedText.batch

    def batch(self, number):
        if number == step:
            raise Killed
        return plain(self, number)

    monkeypatch.setattr(MaskedText, "batch", batch)


def loss_on(folder: Path, texts: list[str]) -> float:
    model, tokenizer, _ = load_whole(folder)
    source = MaskedText(Corpus.of(texts, tokenizer), tokenizer, 16, 32, seed=5, pairs=0.0)
    with torch.no_grad():
        return sum(float(masked_lm_loss(model, source.batch(step))) for step in range(8)) / 8


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(MaskedLM, folder)[0].named_parameters())


@pytest.mark.parametrize("objective", ["mlm", "condenser"])
def test_it_starts_from_the_weights_of_the_encoder(encoder, tmp_path, objective):
    pretrain_further(encoder, TEXTS, tmp_path, objective, **{**FAST, "learning_rate": 1e-12})
    after = tensors(tmp_path)
    for name, before in tensors(encoder).items():
        torch.testing.assert_close(after[name], before, rtol=0, atol=1e-9)


@pytest.mark.parametrize("objective", ["mlm", "condenser"])
def test_it_learns_the_text_and_nothing_of_it_from_another(encoder, tmp_path, objective):
    new = [line + "." for text in toy_text(8, seed=1) for line in text.split(" . ")]
    other = ["xyz " + " ".join(reversed(text[::-1].split())) for text in TEXTS]
    long = {**FAST, "epochs": 8, "learning_rate": 4e-3}
    result = pretrain_further(encoder, TEXTS, tmp_path / "own", objective, **long)
    pretrain_further(encoder, other, tmp_path / "other", objective, **long)
    before, own, control = (
        loss_on(f, new) for f in (encoder, tmp_path / "own", tmp_path / "other")
    )
    assert own < 0.5 * before and own < 0.8 * control
    parts = {"masked_lm", "condenser"} if objective == "condenser" else {"masked_lm"}
    for part in parts:
        assert result["last"][part] < 0.6 * result["first"][part]
    assert {"masked_lm", "condenser"} & set(result["last"]) == parts


@pytest.mark.parametrize("objective", ["mlm", "condenser"])
def test_interrupted_and_continued_it_ends_with_the_same_bits(
    encoder, tmp_path, monkeypatch, objective
):
    whole = pretrain_further(encoder, TEXTS, tmp_path / "whole", objective, **KEPT)
    for step in (3, 4, 11):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            stop_at(patch, step)
            pretrain_further(encoder, TEXTS, tmp_path / "cut", objective, **KEPT)
        assert not (tmp_path / "cut" / "config.json").exists()
        torch.rand(3)  # torch's own stream must not matter
    cut = pretrain_further(encoder, TEXTS, tmp_path / "cut", objective, **KEPT)
    one, other = ((tmp_path / f / "model.safetensors").read_bytes() for f in ("whole", "cut"))
    assert one == other
    assert {**whole, "first": 0, "last": 0} == {**cut, "first": 0, "last": 0}
    losses = [[line["masked_lm"] for line in log(tmp_path / f)] for f in ("whole", "cut")]
    assert losses[0] == losses[1] and len(losses[0]) > 8
    assert not (tmp_path / "cut" / "checkpoints").exists()
    pretrain_further(encoder, TEXTS, tmp_path / "seed", objective, **KEPT, seed=1)
    assert (tmp_path / "seed" / "model.safetensors").read_bytes() != one


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_run_with_other_settings_or_texts_does_not_continue_it(encoder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_at(patch, 4)
        pretrain_further(encoder, TEXTS, tmp_path, **KEPT)
    for change, said in (
        ({"objective": "condenser"}, "objective"),
        ({"learning_rate": 1e-3}, "learning rate"),
        ({"batch_size": 7}, "batch size"),
        ({"epochs": 4}, "steps"),
        ({"texts": TEXTS[1:]}, "text"),
    ):
        given = {"encoder": encoder, "texts": TEXTS, "out": tmp_path, **KEPT, **change}
        with pytest.raises(MiniftError, match=f"holds an unfinished run with another .*{said}"):
            pretrain_further(**given)
    pretrain_further(encoder, TEXTS, tmp_path, **KEPT)
    with pytest.raises(MiniftError, match="already holds a finished run"):
        pretrain_further(encoder, TEXTS, tmp_path, **KEPT)


@pytest.mark.parametrize("objective", ["mlm", "condenser"])
def test_what_is_written_is_an_encoder_for_all_with_its_pooler_as_it_was(tmp_path, objective):
    tokenizer = cased(*SUBJECTS, *VERBS.values(), "the")
    config = BertConfig(vocab_size=tokenizer.vocab_size, hidden_size=32, num_hidden_layers=3,
                        num_attention_heads=2, intermediate_size=32, initializer_range=0.2,
                        max_position_embeddings=40)  # fmt: skip
    plain = random_model(Bert, config, torch.Generator().manual_seed(0))
    save_pretrained(plain, tokenizer, tmp_path / "old", mean=True)
    (tmp_path / "old" / "rates.json").write_text('{"full": 3e-4}')
    result = pretrain_further(tmp_path / "old", TEXTS, tmp_path / "new", objective, **FAST)
    assert result["new_head"]
    ours, own_tokenizer = load_encoder(tmp_path / "new")
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "new").eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "new")
    encoded = their_tokenizer("the cats purr", return_tensors="pt")
    ids = own_tokenizer.encode(["the cats purr"])[0].input_ids
    assert encoded["input_ids"][0].tolist() == ids
    with torch.no_grad():
        states = theirs(**encoded).last_hidden_state[0]
        torch.testing.assert_close(ours(pack([ids])), states, rtol=0, atol=1e-5)
    for name, before in plain.named_parameters():
        same = torch.equal(dict(ours.named_parameters())[name], before)
        assert same == name.startswith("pooler."), name
    assert torch.equal(theirs.pooler.dense.weight, plain.pooler.dense.weight)
    masked, report = transformers.BertForMaskedLM.from_pretrained(
        tmp_path / "new", output_loading_info=True
    )
    assert not report["missing_keys"] and masked.config.vocab_size == tokenizer.vocab_size
    assert (tmp_path / "new" / "rates.json").read_text() == '{"full": 3e-4}'
    states_mean = (tmp_path / "new" / "modules.json").exists()
    assert states_mean == (objective == "mlm")
    _, trained = train(reviews(32), tmp_path / "new", "full", seeds=0, labels=8)
    assert trained["encoder"] == str(tmp_path / "new")


def test_the_pooler_is_the_encoders_own_and_a_new_head_is_drawn_by_the_seed(encoder, tmp_path):
    assert load_whole(encoder)[2] and load_whole(encoder)[0].bert.pooler is None
    model, _ = load_model(Bert, encoder)
    save_pretrained(model, load_tokenizer(encoder), tmp_path)
    heads = [load_whole(tmp_path, seed)[0].transform.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert not load_whole(tmp_path)[2]


def test_passes_become_steps_and_the_rate_rises_in_a_tenth_of_them(encoder, tmp_path, monkeypatch):
    seen = {}

    def note(learner, losses, settings, folder, progress=False):
        seen["settings"] = settings
        raise Killed

    monkeypatch.setattr(module, "pretrain", note)
    texts = ["the film"] * 100
    for given, steps in (
        ({"epochs": 3}, 3 * 4),  # 100 texts are 4 steps of 32
        ({"epochs": 1, "batch_size": 100}, 1),
        ({}, 2000),
        ({"batch_size": 33}, 2001 + 3),  # 4 steps again
        ({"batch_size": 7}, 15 * 134),
    ):
        with pytest.raises(Killed):
            pretrain_further(encoder, texts, tmp_path / str(steps), **given)
        assert seen["settings"].steps == {2004: 2000}.get(steps, steps)
    with pytest.raises(Killed):
        pretrain_further(encoder, texts, tmp_path / "twenty", epochs=10, batch_size=50)
    settings = seen["settings"]
    factors = [settings.factor(step) for step in range(21)]
    assert (settings.steps, settings.learning_rate) == (20, 1e-4)
    assert factors[:3] == [0.5, 1.0, 1.0] and factors[20] == 0
    for step in range(2, 20):
        assert factors[step] == pytest.approx(min(1, (20 - step) / 18))


def test_no_text_is_cut_into_a_pair_so_an_encoder_of_one_segment_can_read_on(tmp_path):
    tokenizer = cased()
    config = BertConfig(vocab_size=tokenizer.vocab_size, hidden_size=16, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=16, type_vocab_size=1,
                        max_position_embeddings=20)  # fmt: skip
    save_pretrained(random_model(MaskedLM, config), tokenizer, tmp_path / "old")
    for objective in ("mlm", "condenser"):
        result = pretrain_further(tmp_path / "old", TEXTS, tmp_path / objective, objective, **FAST)
        assert result["passes"] == 1
    with pytest.raises(IndexError):  # the negative control
        old, corpus = load_whole(tmp_path / "old")[0], Corpus.of(TEXTS, tokenizer)
        source = MaskedText(corpus, tokenizer, 8, 10)
        [masked_lm_loss(old, source.batch(step)) for step in range(9)]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_step_may_read_one_text_in_every_eighth_step_too(encoder, tmp_path, batch_size):
    how = {**FAST, "batch_size": batch_size, "epochs": 3 * batch_size}
    result = pretrain_further(encoder, [*TEXTS[:9], " ".join(TEXTS)], tmp_path, **how)
    assert result["last"]["step"] > 16


def test_a_pass_reads_each_text_once_where_none_is_longer_than_a_sequence(encoder):
    tokenizer = load_tokenizer(encoder)
    texts = [f"{letter} {other} film" for letter in "abcdefg" for other in "hijkl"]
    source = MaskedText(Corpus.of(texts, tokenizer), tokenizer, 2, 16, seed=3, pairs=0.0)
    for first in (0, 18):  # 35 texts are 18 steps
        read = []
        for step in range(first, first + 18):
            batch = source.batch(step)
            ids = batch.packed.input_ids.clone()
            ids[batch.wanted.indices] = batch.targets
            read += [tuple(one.tolist()) for one in ids.split(list(batch.packed.lengths))]
        assert sorted(read) == sorted(tuple(e.input_ids) for e in tokenizer.encode(texts))
    longer = Corpus.of([*texts, "film " * 20], tokenizer)  # the negative control
    source = MaskedText(longer, tokenizer, 2, 16, seed=3, pairs=0.0)
    assert [len(source.batch(step).packed.lengths) for step in (6, 7)] == [2, 1]


def test_texts_of_unknown_letters_are_left_out_and_the_others_are_read(encoder, tmp_path):
    """A batch of them alone has nothing to guess."""
    texts = ["日本 語", "", "film"] * 8
    tokenizer = load_tokenizer(encoder)
    source = MaskedText(Corpus.of(texts, tokenizer), tokenizer, 4, 16, pairs=0.0)
    assert len(source.runs) == len(source.long_runs) == 8
    result = pretrain_further(encoder, texts, tmp_path, **{**FAST, "batch_size": 4})
    assert result["passes"] == 1 and result["last"]["step"] == 2
    with pytest.raises(MiniftError, match=r"the text gives 0 sequences of 32 pieces.*needs 4"):
        pretrain_further(encoder, texts[:2] * 9, tmp_path / "b", **{**FAST, "batch_size": 4})
    with pytest.raises(MiniftError, match="the text gives 0 sequences"):
        pretrain_further(encoder, [], tmp_path / "c", **FAST)


def test_a_corpus_has_each_text_whole_as_a_document():
    tokenizer = cased()
    texts = ["a b", "", "c " * 900, "d"]
    corpus = Corpus.of(texts, tokenizer)
    assert corpus.ends.tolist() == [2, 2, 902, 903]
    assert tokenizer.tokens(corpus.ids[[0, 1, 2, 902]]) == ["a", "b", "c", "d"]
    paragraphs = Corpus.of(["a b\nc"], tokenizer)  # a line ends a word, and that is all
    assert tokenizer.tokens(paragraphs.ids) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"objective": "mlmm"}, 'unknown objective "mlmm"; known: mlm, condenser; did you mean'),
        ({"epochs": 0}, "epochs must be a whole number from 1 up, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1 up, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be a positive number, got -1.0"),
        ({"seed": -1}, "seed must be an integer"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(encoder, tmp_path, given, said):
    with pytest.raises(MiniftError) as stop:
        pretrain_further(encoder, TEXTS, tmp_path / "out", **{**FAST, **given})
    assert said in str(stop.value) and not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(encoder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MiniftError, match=r"holds something else \(notes.txt\)"):
        pretrain_further(encoder, TEXTS, tmp_path, **FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_condenser_in_checkpoints_has_its_head_and_the_encoder_written_has_none(
    encoder, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        stop_at(patch, 4)
        pretrain_further(encoder, TEXTS, tmp_path, "condenser", **KEPT)
    state = module.Checkpoints(tmp_path / "checkpoints").load()
    assert set(state["model"]) == set(Condenser(load_whole(encoder)[0]).state_dict())
    pretrain_further(encoder, TEXTS, tmp_path, "condenser", **KEPT)
    assert set(tensors(tmp_path)) == set(tensors(encoder))
    assert load_model(MaskedLM, tmp_path)[0].config == load_model(MaskedLM, encoder)[0].config


def test_an_id_that_no_piece_has_is_never_a_random_piece(encoder):
    tokenizer = load_tokenizer(encoder)  # "a" stands twice in its list, so one id is of nothing
    ids = {index for index, _ in tokenizer.vocabulary()}
    continues, special = piece_kinds(tokenizer)
    (hole,) = set(range(tokenizer.vocab_size)) - ids
    assert special.nonzero().flatten().tolist() == [0, 1, 2, 3, 4, hole]
    assert continues.sum() == 26
