"""Bad input through the front door: a clear line before any training, and nothing lost.

claim                                                        oracle
each kind of bad file is refused with its file and line      the words of the message
tags that break their scheme are repaired by a named policy  entities counted by hand
a sentence of 5,000 words loses none, from training on       words and entities counted
a damaged checkpoint is named, tensor by tensor              the words of the message
a full disk leaves the old checkpoint as it was              the old bytes
a very long text is answered, not fatal                      the answer
"""

from __future__ import annotations

import errno
import json
import os
import re

import pytest

from minift.checkpoints import weights as weights_module
from minift.checkpoints.weights import load_model, save_pretrained
from minift.cli.main import main
from minift.errors import MiniftError
from minift.runs.folder import load_run
from tests.tiny import checkpoint


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def train(encoder, tmp_path, capsys, *arguments) -> tuple[int, str]:
    out = tmp_path / "run"
    code = main(
        [
            "train",
            "--encoder",
            str(encoder),
            "--out",
            str(out),
            "--epochs",
            "1",
            *map(str, arguments),
        ]
    )
    error = capsys.readouterr().err
    if code:  # refused before training: no checkpoint and no result
        assert not (out / "result.json").exists()
        assert not (out / "model.safetensors").exists()
    return code, error


GOOD = "text,label\ngood film,1\nbad film,0\nvery good,1\nvery bad,0\n"
FILES = [
    ("empty", b"", r"train.csv: the file is empty"),
    ("only a header", b"text,label\n", r"no examples"),
    (
        "no label column",
        b"text,lable\ngood,1\nbad,0\n",
        r'no column.*label.*did you mean "label"|lable',
    ),
    ("NUL byte", b"text,label\ngood,1\nb\0d,0\n", r"line 3: a NUL byte"),
    ("Latin-1", "text,label\ngood,1\ncaf\u00e9,0\n".encode("latin-1"), r"line 3: byte 0xe9.*iconv"),
    ("empty label", b"text,label\ngood,1\nbad,\n", r"line 3"),
    ("empty text", b"text,label\ngood,1\n,0\n", r"line 3"),
    (
        "duplicate ids",
        b"id,text,label\n7,good,1\n7,bad,0\n",
        r'line 3: the id "7" is already on line 2',
    ),
    ("one class", b"text,label\ngood,1\nbad,1\n", r"every label is '1'"),
    ("too many columns", b"text,label\ngood,1\nbad,0,5\n", r"line 3"),
]


@pytest.mark.parametrize("content,message", [f[1:] for f in FILES], ids=[f[0] for f in FILES])
def test_a_bad_table_is_refused_with_its_line(encoder, tmp_path, capsys, content, message):
    (tmp_path / "train.csv").write_bytes(content)
    code, error = train(encoder, tmp_path, capsys, "--train", tmp_path / "train.csv")
    assert code == 1
    assert re.search(message, error), error
    assert len(error.strip().splitlines()) == 1


def test_a_regression_target_that_is_no_number_is_refused_with_its_line(encoder, tmp_path, capsys):
    (tmp_path / "train.csv").write_text("text,label\ngood,1.5\nbad,nan\nso so,x\n")
    code, error = train(
        encoder, tmp_path, capsys, "--train", tmp_path / "train.csv", "--task", "regression"
    )
    assert code == 1
    assert "line 3" in error
    assert "line 4" in error


def test_a_token_line_of_another_width_is_refused_with_its_line(encoder, tmp_path, capsys):
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nsaw\n\nOslo\tB-LOC\n")
    code, error = train(encoder, tmp_path, capsys, "--train", tmp_path / "train.conll")
    assert code == 1
    assert "line 2" in error


def sentences(*rows: tuple[str, str]) -> str:
    return "\n".join("\n".join(f"{w} {t}" for w, t in zip(a.split(), b.split())) + "\n"
                     for a, b in rows)  # fmt: skip


TAGGED = sentences(("Ada saw Oslo", "B-PER O B-LOC"), ("Ben was in Rome", "B-PER O O B-LOC"))


@pytest.fixture(scope="module")
def tagger(encoder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger")
    (folder / "train.conll").write_text(TAGGED)
    command = ["train", "--encoder", str(encoder), "--train", str(folder / "train.conll")]
    assert main([*command, "--epochs", "1", "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_unknown_tags_and_other_widths_at_evaluation_are_refused_with_their_lines(
    tagger, tmp_path, capsys
):
    (tmp_path / "odd.conll").write_text("Ada B-PER\nsaw O\n\nIBM B-ORG\n")
    assert main(["evaluate", str(tagger), "--data", str(tmp_path / "odd.conll")]) == 1
    assert 'line 4: the label "B-ORG" is not one of' in capsys.readouterr().err
    (tmp_path / "odd.conll").write_text("Ada B-PER\nsaw it O\nin O\n")
    assert main(["evaluate", str(tagger), "--data", str(tmp_path / "odd.conll")]) == 1
    assert "line 2: 3 columns, expected 2" in capsys.readouterr().err


def test_tags_that_break_their_scheme_are_read_as_conlleval_reads_them_and_counted(
    tagger, tmp_path, capsys
):
    (tmp_path / "stray.conll").write_text("Ada I-PER\nsaw O\n\nin O\nRome I-LOC\nBen B-PER\n")
    command = ["evaluate", str(tagger), "--data", str(tmp_path / "stray.conll")]
    assert main([*command, "--scheme", "iob2"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["entities"]["strict"]["micro"]["support"] == 3
    assert 'entities of their own (first: line 1, "I-PER" of word 1' in said.err


def test_a_sentence_of_5000_words_is_trained_on_scored_and_tagged_whole(encoder, tmp_path, capsys):
    words = ("Ada saw Oslo and then Ben " * 834).split()[:5000]  # "then" has four pieces
    tags = ("B-PER O B-LOC O O B-PER " * 834).split()[:5000]
    path = tmp_path / "train.conll"
    path.write_text(sentences((" ".join(words), " ".join(tags))))
    code, _ = train(encoder, tmp_path, capsys, "--train", path, "--dev", path, "--test", path)
    assert code == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    # every entity of the sentence counts, those behind the model's 64 positions too
    gold = sum(tag != "O" for tag in tags)
    assert result["test_entities"]["conlleval"]["micro"]["support"] == gold
    (tmp_path / "text.txt").write_text(" ".join(words) + "\n")
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "text.txt")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["words"] == words
    assert len(answer["tags"]) == 5000


def test_a_label_in_one_row_only_is_trained_on_and_noted(encoder, tmp_path, capsys):
    (tmp_path / "train.csv").write_text(GOOD + "odd,2\n")
    code, _ = train(encoder, tmp_path, capsys, "--train", tmp_path / "train.csv")
    assert code == 0
    notes = " ".join(json.loads((tmp_path / "run" / "result.json").read_text())["notes"])
    assert re.search(
        r"(only|once|1 (training )?example).*2|2.*(only|once|1 (training )?example)", notes
    )


def test_a_text_of_fifty_thousand_words_is_cut_and_answered(encoder, tmp_path, capsys):
    (tmp_path / "train.csv").write_text(GOOD)
    assert train(encoder, tmp_path, capsys, "--train", tmp_path / "train.csv")[0] == 0
    (tmp_path / "long.txt").write_text("good film " * 25_000 + "\nbad\n")
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "long.txt")]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [len(answer["text"].split()) for answer in answers] == [50_000, 1]


@pytest.mark.parametrize(
    "content,message",
    [(b"", r"texts\.txt: the file is empty"), (b"good\ncaf\xe9\n", r"line 2: byte 0xe9.*iconv")],
)
def test_texts_that_cannot_be_read_are_refused_at_prediction(
    encoder, tmp_path, capsys, content, message
):
    (tmp_path / "train.csv").write_text(GOOD)
    assert train(encoder, tmp_path, capsys, "--train", tmp_path / "train.csv")[0] == 0
    (tmp_path / "texts.txt").write_bytes(content)
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "texts.txt")]) == 1
    assert re.search(message, capsys.readouterr().err)


def test_a_truncated_checkpoint_is_named(encoder, tmp_path, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in encoder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    whole = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "train.csv").write_text(GOOD)
    code, error = train(broken, tmp_path, capsys, "--train", tmp_path / "train.csv")
    assert code == 1
    assert "model.safetensors: damaged" in error


def test_a_config_that_disagrees_with_the_weights_is_answered_with_the_tensors(encoder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for file in encoder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    with pytest.raises(
        MiniftError, match=r"misshapen \(6\).*layer\.0\.intermediate\.dense\.weight"
    ):
        load_model(weights_module.MaskedLM, other)


def test_a_full_disk_while_saving_leaves_the_old_checkpoint(encoder, tmp_path, monkeypatch):
    (tmp_path / "train.csv").write_text(GOOD)
    command = ["train", "--encoder", str(encoder), "--train", str(tmp_path / "train.csv")]
    assert main([*command, "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    tuned = load_run(tmp_path / "run")

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(weights_module, "save_file", full)
    with pytest.raises(MiniftError, match=r"No space left on device.*unchanged"):
        save_pretrained(tuned.model, tuned.tokenizer, tmp_path / "run")
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before
