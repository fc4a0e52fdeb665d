"""`minift expand` and `minift pretrain`, as a person types them.

claim                                                      oracle
one command widens an encoder, the next reads on           the folders, loaded again
texts come from every kind of file that commands read      the same words in each
an interrupted run names what resumes it                   the printed line, exit code 130
what cannot be done is said in one line                    words, exit code, the folder
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minift.bert.encoder import Bert
from minift.checkpoints.weights import load_encoder, load_model, save_pretrained
from minift.cli.main import main
from minift.pretraining.corpus import MaskedText
from tests.tiny import checkpoint

TEXTS = [f"the zebra saw a {word} film" for word in ("good", "bad", "quokka", "quokka")] * 3
PRETRAIN = "pretrain encoder --text texts.txt --epochs 1 --batch-size 4 --out read"


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("encoder"))
    Path("texts.txt").write_text("\n".join(TEXTS) + "\n")
    Path("my.csv").write_text("\n".join(["review,label", *(f"{t},x" for t in TEXTS)]) + "\n")
    Path("texts.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in TEXTS))
    words = ["\n".join(f"{word}\tO" for word in text.split()) for text in TEXTS]
    Path("my.conll").write_text("\n\n".join(words) + "\n")
    pairs = ["text,text_b", *(f"{a},{b}" for a, b in zip(TEXTS[::2], TEXTS[1::2]))]
    Path("pairs.csv").write_text("\n".join(pairs) + "\n")
    return tmp_path


def said(capsys, line: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(line.split()) == code
    out, error = capsys.readouterr()
    if code == 1:
        assert error.startswith("minift: ") and error.count("\n") == 1 and not out, error
    return out + error


def test_one_command_widens_an_encoder_and_the_next_reads_on_from_it(world, capsys):
    out = said(capsys, "expand encoder --text texts.txt --size 9 --out wide")
    assert "words added: 2, the first zebra, quokka" in out  # 12 x 4 pieces saved, and 6 x 5
    assert "pieces of the text: 150 before, 72 now" in out
    out = said(capsys, PRETRAIN.replace("encoder", "wide"))
    assert "3 steps, 1 passes over 12 texts; loss on hidden words" in out
    assert "next: minift train --train my.csv --encoder read" in out
    (model, tokenizer), (_, old) = load_encoder("read"), load_encoder("encoder")
    assert tokenizer.vocab_size == model.config.vocab_size == old.vocab_size + 2
    assert len(tokenizer.encode(["zebra"])[0].input_ids) == 3
    result = json.loads(Path("read/result.json").read_text())
    assert result["texts"] == 12 and not result["new_head"]
    condenser = PRETRAIN.replace("read", "deep") + " --objective condenser"
    assert "3 steps" in said(capsys, condenser)
    assert "condenser" in json.loads(Path("deep/result.json").read_text())["last"]


@pytest.mark.parametrize(
    "file", ["texts.txt", "texts.jsonl", "my.csv --column review", "my.conll", "pairs.csv"]
)
def test_texts_come_from_every_kind_of_file(world, capsys, file):
    out = said(capsys, f"expand encoder --text {file} --size 9 --out wide")
    assert "zebra, quokka" in out and "150 before" in out
    assert "12 texts" in said(capsys, PRETRAIN.replace("texts.txt", file))


def test_interrupted_it_says_that_the_same_command_resumes(world, capsys, monkeypatch):
    def interrupted(self, step):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MaskedText, "batch", interrupted)
        assert "interrupted; the same command resumes" in said(capsys, PRETRAIN, 130)
    assert "3 steps" in said(capsys, PRETRAIN)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("expand encoder --text empty.txt --size 9 --out new", "empty.txt: the file is empty"),
        ("expand encoder --text none.txt --size 9 --out new", "none.txt"),
        ("expand encoder --text texts.txt --size 0 --out new",
         "--size must be a whole number from 1 up, got 0"),
        ("expand encoder --text known.txt --size 9 --out new", "there is nothing to add: no word"),
        ("expand encoder --text texts.txt --size 9 --out encoder",
         "encoder is there already; choose another --out, or delete it"),
        ("expand nowhere/x --text texts.txt --size 9 --out new", "nowhere/x"),
        ("expand encoder --text my.csv --size 9 --out new", "--column"),
        ("pretrain encoder --text empty.txt --out new", "empty.txt: the file is empty"),
        ("pretrain encoder --text known.txt --out new", "ask for smaller batches"),
        ("pretrain encoder --text texts.txt --epochs 0 --out new", "--epochs must be a whole"),
        ("pretrain encoder --text texts.txt --batch-size 0 --out new", "--batch-size must be"),
        ("pretrain encoder --text texts.txt --batch-size 4 --learning-rate 0 --out new",
         "--learning-rate must be a positive number"),
        ("pretrain encoder --text texts.txt --batch-size 4 --out encoder", "holds something else"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(world, capsys, line, words):
    Path("empty.txt").write_text("\n \n")
    Path("known.txt").write_text("good film\n" * 5)
    before = sorted(Path("encoder").iterdir())
    assert words in said(capsys, line, 1)
    assert not Path("new").exists() and sorted(Path("encoder").iterdir()) == before


def test_a_head_that_is_new_is_told(world, capsys):
    save_pretrained(load_model(Bert, "encoder")[0], load_encoder("encoder")[1], "bare")
    out = said(capsys, PRETRAIN.replace("encoder", "bare"))
    assert "note: the encoder had no masked-LM head, so a new one was drawn" in out
    said(capsys, "expand bare --text texts.txt --size 1 --out wide")
    assert json.loads(Path("wide/config.json").read_text())["architectures"] == ["BertModel"]
