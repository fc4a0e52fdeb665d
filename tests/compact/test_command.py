"""`minift distill` and `minift predict` on a student, as a newcomer uses them.

claim                                                     oracle
predict reads the student's folder, and it alone          the folder moved away from everything
a sentence of 5,000 words is taught and answered whole    tags counted
bad input ends in one line and exit code 1, never a       the words of each message
  trace, and nothing is lost
"""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from minift.cli.main import main
from minift.compact.store import FILE, load_student
from tests.tiny import checkpoint, news


def write(path, sentences):
    text = "\n\n".join("\n".join(f"{w}\t{t}" for w, t in zip(e.words, e.tags)) for e in sentences)
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a teacher trained on files, and unlabelled text."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    dataset = news(120)
    for split in ("train", "dev", "test"):
        write(folder / f"{split}.conll", getattr(dataset, split))
    files = [f"--{s}={folder / s}.conll" for s in ("train", "dev", "test")]
    arguments = ["train", *files, f"--encoder={folder / 'encoder'}", f"--out={folder / 'teacher'}"]
    arguments += ["--labels=40", "--epochs=12", "--learning-rate=3e-3", "--batch-size=8"]
    assert main(arguments) == 0
    lines = [" ".join(e.words) for e in news(200, seed=5).train]
    (folder / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def labelled(world):
    return [x for s in ("train", "dev", "test") for x in (f"--{s}", world / f"{s}.conll")]


def run(capsys, *arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_distill_and_predict_from_files_to_entities(world, tmp_path, capsys):
    out = tmp_path / "student"
    code, said, _ = run(
        capsys, "distill", "--teacher", world / "teacher", "--unlabelled", world / "text.txt",
        *labelled(world), "--labels=40", "--out", out, "--steps=20", "--head=crf",
        "--storage=int8",
    )  # fmt: skip
    assert code == 0
    assert "student of 40 labelled and 100 unlabelled sentences" in said
    assert "times fewer than its teacher" in said
    made = json.loads((out / "distill.json").read_text())
    assert (made["data"], made["labelled"], made["settings"]["head"]) == ("train", 40, "crf")

    alone = tmp_path / "elsewhere"
    alone.mkdir()
    shutil.copy(out / FILE, alone)
    text = "I saw Ada in Oslo. "
    (tmp_path / "in.txt").write_text(f"{text}\n\nAda\n", encoding="utf-8")
    code, said, _ = run(capsys, "predict", alone, tmp_path / "in.txt")
    assert code == 0
    answers = [json.loads(line) for line in said.splitlines()]
    assert [a["text"] for a in answers] == [text, "Ada"]
    words = ("I", "saw", "Ada", "in", "Oslo", ".")
    assert answers[0]["tags"] == load_student(alone).tag([words])[0]
    for entity in answers[0]["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
    code, said, _ = run(capsys, "evaluate", alone, "--data", world / "test.conll")
    assert code == 0
    assert json.loads(said)["entity_f1"] == json.loads((out / "result.json").read_text())["test"]


def test_other_labelled_data_may_be_named_and_need_not_have_every_tag(world, tmp_path, capsys):
    few = write(tmp_path / "few.conll", news(120).train[:2])
    code, said, error = run(
        capsys, "distill", "--teacher", world / "teacher", "--unlabelled", world / "text.txt",
        "--train", few, "--dev", world / "dev.conll", "--out", tmp_path / "out", "--steps=2",
    )  # fmt: skip
    assert code == 0, error
    assert "student of 2 labelled" in said


def test_a_sentence_of_5000_words_is_taught_and_answered_whole(
    world, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["/somewhere/minift", "distill", "a file"])
    long = "Ada saw Oslo and so on " * 833
    (tmp_path / "long.txt").write_text(f"{long}\nAda saw\n", encoding="utf-8")
    out = tmp_path / "student"
    code, said, error = run(
        capsys, "distill", "--teacher", world / "teacher", "--unlabelled", tmp_path / "long.txt",
        *labelled(world), "--out", out, "--steps=2",
    )  # fmt: skip
    assert code == 0, error
    assert "and 2 unlabelled" in said
    code, said, _ = run(capsys, "predict", out, tmp_path / "long.txt")
    assert code == 0
    assert [len(json.loads(line)["tags"]) for line in said.splitlines()] == [4998, 2]
    (tmp_path / "odd.conll").write_text("Ada\tB-PER\n\nIBM\tB-ORG\n")
    code, _, error = run(capsys, "evaluate", out, "--data", tmp_path / "odd.conll")
    assert code == 1
    assert 'line 3: the label "B-ORG" is not one of' in error
    code, said, _ = run(
        capsys, "evaluate", out, "--data", world / "test.conll", "--errors", tmp_path / "e.txt"
    )
    assert code == 0
    table = json.loads(said)["entities"]
    result = json.loads((out / "result.json").read_text())
    assert table == result["test_entities"]
    assert '{"kind": ' in (tmp_path / "e.txt").read_text()
    made = json.loads((out / "distill.json").read_text())
    assert made["command"] == "minift distill 'a file'"


def test_bad_input_ends_in_one_line(world, tmp_path, capsys):
    def refused(*more, unlabeled=world / "text.txt"):
        code, _, error = run(
            capsys, "distill", "--teacher", world / "teacher", "--unlabelled", unlabeled,
            "--out", tmp_path / "out", "--steps=1", *more,
        )  # fmt: skip
        assert code == 1
        assert error.count("\n") == 1, error
        assert not (tmp_path / "out" / FILE).exists()
        return error

    (tmp_path / "empty.txt").write_text("\n")
    assert "the file is empty" in refused(unlabeled=tmp_path / "empty.txt")
    (tmp_path / "other.conll").write_text("Ada\tB-PER\nsaw\tO\nIBM\tB-ORG\n")
    assert 'line 3: the label "B-ORG"' in refused("--train", tmp_path / "other.conll")
    (tmp_path / "wide.conll").write_text("Ada\tO\nsaw\tit\tO\nat\tO\n")
    assert "line 2: 3 columns, expected 2" in refused("--train", tmp_path / "wide.conll")
    assert "give either --data NAME or --train FILE" in refused("--labels=3")
    assert "--steps must be a whole number from 1 up" in refused("--steps=0")
    assert "--learning-rate must be a positive number" in refused("--learning-rate=0")
    (tmp_path / "classes.csv").write_text("text,label\ngood,1\nbad,0\n")
    assert "tagging needs a token file" in refused("--train", tmp_path / "classes.csv")
