"""Pretraining, from the vocabulary to the last bit of a resumed run.

claim                                                oracle
---------------------------------------------------  -------------------------------------------
the vocabulary is the same each time                 trained six times; the library's own trainer as
                                                     negative control
a cut corpus is whole, in order, between words       the pieces put together again
every piece is read once a pass, none across         the documents, each of its own letter
documents
only hidden places have a loss                       transformers' BertForMaskedLM, labels -100
both segments and late positions are trained         gradients of their embeddings
batch s is a function of seed and s                  asked in another order; another seed differs
killed and resumed gives the same bits               the run that was never stopped; a changed
                                                     dropout stream as negative control
the rate rises, stays, falls to 0                    worked by hand
it learns the text                                   loss below the text's unigram entropy;
                                                     shuffled text as negative control
a run that cannot go on says so and loses nothing    error words; the files, byte for byte
every stage of the script                            its own log and files; a random teacher
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from transformers import BertForMaskedLM

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_model, load_tokenizer, random_model, save_pretrained
from minift.errors import MiniftError
from minift.pretraining.corpus import Corpus, MaskedText
from minift.pretraining.masking import piece_kinds
from minift.pretraining.pretrain import Settings, masked_lm_loss, pretrain
from tests.pretraining.toy import SUBJECTS, VERBS, toy_text

SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"
sys.path.insert(0, str(SCRIPTS))
train_vocabulary = importlib.import_module("pretrain").train_vocabulary


def toy_corpus(texts: list[str], tokenizer: Tokenizer) -> Corpus:
    pieces = [e.input_ids[1:-1] for e in tokenizer.encode(texts, max_length=10_000)]
    ends = np.cumsum([len(p) for p in pieces])
    return Corpus(np.array([i for p in pieces for i in p], np.uint16), ends)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_vocabulary(toy_text(50), 120)


def config(tokenizer: Tokenizer, **changes) -> BertConfig:
    sizes = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    return replace(sizes, **changes)


def toy_model(tokenizer: Tokenizer, dropout: float = 0.0) -> MaskedLM:
    generator = torch.Generator().manual_seed(0)
    rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), dropout)
    return random_model(MaskedLM, config(tokenizer, **rates), generator)


# -- vocabulary ------------------------------------------------------------------------------


def test_the_vocabulary_is_the_same_each_time_though_the_librarys_is_not():
    words = [chr(97 + i % 26) * (1 + i % 5) + chr(97 + i % 7) for i in range(3000)]

    def raw() -> tuple[str, ...]:
        backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
        trainer = tokenizers.trainers.WordPieceTrainer(vocab_size=120, show_progress=False)
        backend.train_from_iterator(words, trainer)
        return tuple(sorted(backend.get_vocab(), key=backend.get_vocab().get))

    def ours() -> tuple[str, ...]:
        trained = train_vocabulary(iter(words), 120)
        return tuple(trained.tokens(range(trained.vocab_size)))

    assert len({raw() for _ in range(6)}) > 1  # negative control
    found = {ours() for _ in range(6)}
    assert len(found) == 1
    assert found.pop()[:7] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##a", "##b")


def test_a_cased_vocabulary_keeps_case_and_a_lower_cased_one_does_not():
    texts = ["Rose rose", "Will will Bill bill"] * 20
    cased, lowered = train_vocabulary(texts, 80), train_vocabulary(texts, 80, lowercase=True)
    assert cased.encode(["Rose"])[0] != cased.encode(["rose"])[0]
    assert lowered.encode(["Rose"])[0] == lowered.encode(["rose"])[0]


def test_frequent_words_are_one_piece_and_rare_letters_are_unknown():
    texts = ["the cat"] * 50 + ["".join(chr(0x4E00 + i) for i in range(300))]
    trained = train_vocabulary(texts, 600)
    assert trained.tokens(trained.encode(["the cat"])[0].input_ids[1:-1]) == ["the", "cat"]
    alphabet = [t for t in trained.tokens(range(trained.vocab_size)) if len(t) == 1]
    assert len(alphabet) == 250


# -- batches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 5, 17, 1000])
def test_a_cut_corpus_is_whole_in_order_and_cut_between_words(length):
    in_letters = train_vocabulary(["the cat " + "".join(SUBJECTS + list(VERBS.values()))], 20)
    corpus = toy_corpus(toy_text(7), in_letters)
    continues = piece_kinds(in_letters)[0].numpy()
    assert continues[corpus.ids].mean() > 0.4
    runs = corpus.cut(length, continues)
    assert (np.diff(runs, axis=1) <= length).all()
    assert np.concatenate([corpus.ids[a:b] for a, b in runs]).tolist() == corpus.ids.tolist()
    assert set(corpus.ends.tolist()) <= set(runs[:, 1].tolist())  # none crosses a document's end
    if length > 10:
        assert not continues[corpus.ids[runs[:, 0]]].any()


def test_a_pass_reads_every_run_once_and_a_sequence_one_document(tokenizer):
    texts = [f"the {subject} {VERBS[subject]} . " * 40 for subject in SUBJECTS]
    source = MaskedText(toy_corpus(texts, tokenizer), tokenizer, 5, 19, long_every=0)
    assert len(source.runs) % 5 == 0  # so that nothing is left over
    read: Counter[int] = Counter()
    for step in range(len(source.runs) // 5):
        batch = source.batch(step)
        ids = batch.packed.input_ids.clone()
        ids[batch.wanted.indices] = batch.targets
        read.update(ids.tolist())
        for sequence in ids.split(list(batch.packed.lengths)):
            assert len(set(tokenizer.tokens(sequence.tolist())) & set(SUBJECTS)) == 1
    del read[tokenizer.cls_id], read[tokenizer.sep_id]
    assert read == Counter(source.corpus.ids.tolist())


def test_sequences_are_built_as_bert_reads_pairs(tokenizer):
    source = MaskedText(toy_corpus(toy_text(60), tokenizer), tokenizer, sequences=8, length=32)
    pairs = 0
    for step in range(16):
        batch = source.batch(step)
        lengths = list(batch.packed.lengths)
        if step % 8 == 7:
            assert len(lengths) == 4
            assert 32 < max(lengths) <= 64
        else:
            assert len(lengths) == 8
            assert max(lengths) <= 32
        ids = batch.packed.input_ids.split(lengths)
        for sequence, segment in zip(ids, batch.packed.segment_ids.split(lengths)):
            assert sequence[0] == tokenizer.cls_id
            assert sequence[-1] == tokenizer.sep_id
            ends = (sequence == tokenizer.sep_id).nonzero()[:, 0].tolist()
            expected = [0] * (ends[0] + 1) + [1] * (len(sequence) - ends[0] - 1)
            assert segment.tolist() == expected
            pairs += len(ends) == 2
    assert 35 < pairs < 85  # half of 120, within 4.5 standard deviations


def test_the_batch_of_a_step_depends_on_seed_and_step_alone(tokenizer):
    corpus = toy_corpus(toy_text(40), tokenizer)
    first, second = (MaskedText(corpus, tokenizer, 4, 16, seed=3) for _ in range(2))
    forwards = [first.batch(step).packed.input_ids for step in range(40)]
    backwards = [second.batch(step).packed.input_ids for step in reversed(range(40))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forwards, backwards))
    assert not torch.equal(forwards[0], forwards[1])
    other = MaskedText(corpus, tokenizer, 4, 16, seed=4)
    assert not torch.equal(forwards[0], other.batch(0).packed.input_ids)


def test_too_little_text_is_said_so(tokenizer):
    with pytest.raises(MiniftError, match=r"the text gives \d+ sequences of 16 pieces.*needs 1000"):
        MaskedText(toy_corpus(toy_text(2), tokenizer), tokenizer, sequences=1000, length=16)


# -- loss ------------------------------------------------------------------------------------


def test_only_hidden_places_have_a_loss_as_in_the_reference(tokenizer, tmp_path):
    model = toy_model(tokenizer)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2, generator=generator)
    save_pretrained(model, tokenizer, tmp_path)
    reference = BertForMaskedLM.from_pretrained(tmp_path).double().eval()
    source = MaskedText(toy_corpus(toy_text(40), tokenizer), tokenizer, 5, 32, long_every=0)
    batch = source.batch(0)
    lengths = list(batch.packed.lengths)
    labels = torch.full_like(batch.packed.input_ids, -100)
    labels[batch.wanted.indices] = batch.targets
    assert 0.05 < len(batch.targets) / len(labels) < 0.25

    def padded(run: torch.Tensor, value: int) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(run.split(lengths), True, value)

    expected = reference(
        padded(batch.packed.input_ids, 0),
        attention_mask=padded(torch.ones_like(labels), 0),
        token_type_ids=padded(batch.packed.segment_ids, 0),
        labels=padded(labels, -100),
    ).loss.item()
    logits = model.double()(batch.packed, batch.wanted)
    found = torch.nn.functional.cross_entropy(logits, batch.targets).item()
    assert found == pytest.approx(expected, abs=1e-9)
    assert masked_lm_loss(model, batch).item() == pytest.approx(expected, abs=1e-5)


def test_every_position_and_both_segments_are_trained(tokenizer):
    source = MaskedText(toy_corpus(toy_text(60), tokenizer), tokenizer, sequences=8, length=32)
    model = toy_model(tokenizer)
    for step in range(8):
        masked_lm_loss(model, source.batch(step)).backward()
    embeddings = model.bert.embeddings
    assert (embeddings.segment.weight.grad.abs().sum(-1) > 0).all()
    assert (embeddings.position.weight.grad[:50].abs().sum(-1) > 0).all()


# -- the loop --------------------------------------------------------------------------------


def test_the_rate_rises_stays_and_falls():
    settings = Settings(steps=100, warmup=10, decay=0.2)
    factors = [settings.factor(step) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert set(factors[10:81]) == {1.0}
    assert factors[90] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.05)
    assert factors[100] == 0


class Killed(Exception):
    """Stands for a power cut."""


def run(tokenizer, folder, settings, kill_after=None) -> MaskedLM:
    source = MaskedText(toy_corpus(toy_text(40), tokenizer), tokenizer, 4, 16, seed=1)
    model = toy_model(tokenizer, dropout=0.2)
    torch.rand(3)  # torch's own stream must not matter

    def losses(step):
        if step == kill_after:
            raise Killed
        return {"masked_lm": masked_lm_loss(model, source.batch(step))}

    pretrain(model, losses, settings, folder)
    return model


SHORT = Settings(steps=20, warmup=5, evaluate_every=5, save_seconds=0.0)


@pytest.fixture(scope="module")
def finished(tokenizer, tmp_path_factory):
    """A run that was never stopped: (folder, model)."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run(tokenizer, folder, SHORT)


def test_killed_and_resumed_gives_the_same_bits(tokenizer, tmp_path, finished):
    for kill_after in (8, 9):
        with pytest.raises(Killed):
            run(tokenizer, tmp_path / "cut", SHORT, kill_after)
    resumed = run(tokenizer, tmp_path / "cut", SHORT)
    for (name, a), b in zip(finished[1].named_parameters(), resumed.parameters()):
        assert torch.equal(a, b), name
    lines = (tmp_path / "cut" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [5, 10, 15, 20]
    other = run(tokenizer, tmp_path / "other", replace(SHORT, seed=9))  # other dropout masks
    assert not torch.equal(finished[1].transform.weight, other.transform.weight)


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(
    tokenizer, tmp_path, monkeypatch
):
    with pytest.raises(Killed):
        run(tokenizer, tmp_path, SHORT, kill_after=3)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}

    def half(state, file):
        file.write(b"half a checkpoint")
        raise Killed

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(Killed):
        run(tokenizer, tmp_path, SHORT)
    after = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    assert after == before and len(before) == 2


def test_a_finished_run_is_left_as_it_is(tokenizer, finished):
    folder, model = finished
    written = (folder / "log.jsonl").read_bytes()
    again = run(tokenizer, folder, SHORT, kill_after=0)
    assert torch.equal(model.bias, again.bias)
    assert (folder / "log.jsonl").read_bytes() == written


def test_the_end_of_a_run_may_be_moved(tokenizer, tmp_path):
    with pytest.raises(Killed):
        run(tokenizer, tmp_path, SHORT, kill_after=10)
    run(tokenizer, tmp_path, replace(SHORT, steps=12))
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 12
    assert last["rate"] == pytest.approx(2e-3 / (0.4 * 12), rel=1e-4)


def test_a_checkpoint_of_another_model_is_refused(tokenizer, finished):
    larger = random_model(MaskedLM, config(tokenizer, intermediate_size=128))
    with pytest.raises(
        MiniftError, match=r"(?s)checkpoints holds a checkpoint of another model.*another folder"
    ):
        pretrain(larger, lambda step: {}, SHORT, finished[0])


def test_a_loss_that_is_not_finite_stops_before_it_spoils_the_weights(tokenizer, tmp_path):
    model = toy_model(tokenizer)
    before = model.bias.clone()
    with pytest.raises(MiniftError, match="the loss became nan at step 1; lower the learning"):
        pretrain(model, lambda step: {"x": model.bias.sum() * float("nan")}, SHORT, tmp_path)
    assert torch.equal(model.bias, before)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    "bad",
    [{"steps": 0}, {"steps": 2.5}, {"evaluate_every": 0}, {"clip": -1}, {"decay": 1.5},
     {"warmup": -1}, {"learning_rate": 0}],
)  # fmt: skip
def test_bad_settings_are_refused_when_they_are_made(bad):
    with pytest.raises(MiniftError, match=next(iter(bad))):
        Settings(**{"steps": 10, **bad})


def test_it_learns_what_the_context_tells_and_nothing_where_there_is_no_context(
    tokenizer, tmp_path
):
    held = toy_corpus(toy_text(30, seed=1), tokenizer)
    counts = Counter(held.ids.tolist())
    total = sum(counts.values())
    entropy = -sum(c / total * np.log(c / total) for c in counts.values())
    losses = {}
    for name in ("text", "shuffled"):
        corpora = [toy_corpus(toy_text(200), tokenizer), held]
        if name == "shuffled":  # negative control: the same pieces in no order
            rng = np.random.default_rng(0)
            corpora = [Corpus(rng.permutation(c.ids), c.ends) for c in corpora]
        source, held_source = (
            MaskedText(c, tokenizer, 8, 32, long_every=0, seed=n) for n, c in enumerate(corpora)
        )
        model = toy_model(tokenizer)
        settings = Settings(steps=120, warmup=20, learning_rate=5e-3, save_seconds=1e9)

        def step_loss(step, model=model, source=source):
            return {"masked_lm": masked_lm_loss(model, source.batch(step))}

        pretrain(model, step_loss, settings, tmp_path / name)
        with torch.inference_mode():
            each = [masked_lm_loss(model, held_source.batch(step)).item() for step in range(8)]
        losses[name] = np.mean(each)
    assert losses["text"] < 0.6 * entropy
    assert losses["shuffled"] > 0.95 * entropy


# -- the script ------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Return the script's `main`, in an empty folder."""
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.chdir(tmp_path)
    return importlib.import_module("pretrain").main


SMALL = "--vocabulary=120 --hidden=32 --layers=2 --length=16 --steps=6 --lessons=8".split()  # noqa: SIM905


def test_one_command_from_text_to_a_checkpoint_with_a_card(tmp_path, script):
    Path("a.txt").write_text("\n\n".join(toy_text(400)), encoding="utf-8")
    command = ["all", "--work=run", "--text", "a.txt", "--out=toy", *SMALL, "--text-licence=CC0"]
    script(command)
    model, report = load_model(MaskedLM, tmp_path / "toy")
    assert report.initialised == ()
    assert load_tokenizer(tmp_path / "toy").vocab_size == model.config.vocab_size
    assert model.config.hidden_dropout_prob == 0.1
    card = Path("toy/README.md").read_text(encoding="utf-8")
    for fact in ("a.txt", "CC0", "6, AdamW", "perplexity", "no teacher"):
        assert fact in card
    files = [Path("toy/model.safetensors"), Path("run/run/log.jsonl")]
    before = [file.read_bytes() for file in files]
    script(command)  # everything is skipped
    assert [file.read_bytes() for file in files] == before


def test_a_stage_that_misses_something_says_what(script):
    with pytest.raises(SystemExit, match="error: prepare needs --text FILE"):
        script(["prepare", "--work=run"])
    Path("a.txt").write_text("\n\n".join(toy_text(300)), encoding="utf-8")
    script(["prepare", "--work=run", "--text", "a.txt", *SMALL])
    toy = random_model(MaskedLM, config(train_vocabulary(toy_text(5), 120)))
    save_pretrained(toy, train_vocabulary(toy_text(5), 120), "teacher")
    with pytest.raises(SystemExit, match=r"sentences\.txt is empty: `prepare` was run without"):
        script(["teach", "--work=run", "--teacher=teacher"])


def test_a_teacher_is_learnt_from_through_every_stage(tmp_path, script):
    said = [f"The {s} {VERBS[s]} at the {t} now." for s in SUBJECTS for t in SUBJECTS] * 60
    Path("a.txt").write_text("\n\n".join(said), encoding="utf-8")
    vocabulary = train_vocabulary(said, 120, lowercase=True)
    generator = torch.Generator().manual_seed(5)
    teacher = random_model(MaskedLM, config(vocabulary, max_position_embeddings=130), generator)
    save_pretrained(teacher, vocabulary, tmp_path / "teacher")
    script(["all", "--work=run", "--text", "a.txt", "--out=toy", "--teacher=teacher", *SMALL])
    records = [json.loads(line) for line in Path("run/run/log.jsonl").read_text().splitlines()]
    assert json.loads(Path("run/run/about.json").read_text())["teacher"] == "teacher"
    assert {"masked_lm", "cls", "mean", "word"} <= set(records[0])
    assert 0 < records[-1]["held_cls"] < 1
    assert "distillation from teacher" in Path("toy/README.md").read_text(encoding="utf-8")
    encoder, report = load_model(Bert, tmp_path / "toy")
    assert encoder.pooler is not None  # a classifier reads the sentence there
    assert report.initialised == ()
