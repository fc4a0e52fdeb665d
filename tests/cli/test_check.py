"""`minift check` on the command line, and what is done with its table.

claim                                                        oracle
what is printed is what was found, the worst ten, no line    `minift.check`, the terminal's width
  of a text wider than the terminal
the table has all of it, worst first, and any text as it is  `minift.check`, csv
a labelling project starts from the table, and asks for      the command that is printed, the ledger
  these texts by their ids
pairs and sentences go the same way                          the project's pool
people whom the file names are compared; one alone is not    scikit-learn's kappa
class names with commas, quotes and signs are printed so     the command that is printed
  that they can be pasted
a file that is not ours is not written over                  its bytes
nothing doubtful is a table without a row                    by hand
amounts are refused in a line                                the message
"""

from __future__ import annotations

import csv
import io
import json
import shlex

import pytest
import torch
from sklearn.metrics import cohen_kappa_score

import minift
from minift.cli.main import main
from minift.label.project import load_project, read_state
from minift.runs import check as module
from minift.runs.folds import Estimate
from tests.tiny import checkpoint

HOSTILE = ("=1+1\x1b[2J", "two\nlines, \"quoted\"; 'и ü'", "中" * 5 + " x" * 200)
LABELS = [0] * 12 + [1] * 12
WRONG = (1, 2, 20)  # these the models are sure are of the other class


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with an encoder, in which models are sure of what LABELS says, but for WRONG."""
    found = Estimate("accuracy", 0.8, (0.7, 0.9), (0.8,), 5, 19, 1.0, ())

    def answers(dataset, *_, **__):
        p = [[0.9, 0.1] if (k == 0) != (i in WRONG) else [0.1, 0.9] for i, k in enumerate(LABELS)]
        words = [len(getattr(e, "words", "1")) for e in dataset.train]
        zero = [0.0] * (len(dataset.labels) - 2)
        rows = [torch.tensor([[*row, *zero]] * n).log() for row, n in zip(p, words)]
        return found, list(enumerate(rows[: len(words)]))

    monkeypatch.setattr(module, "cross_validate", answers)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    checkpoint(tmp_path / "encoder")
    return tmp_path


def write(folder, texts, **more):
    rows = [
        {"text": text, "label": ("neg", "pos")[k], **{name: v[i] for name, v in more.items()}}
        for i, (text, k) in enumerate(zip(texts, LABELS))
    ]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["check", "--train", "mine.jsonl", "--encoder", "encoder"]


def texts():
    found = [f"text{i} word{i}" for i in range(24)]
    found[1], found[2], found[20] = HOSTILE
    return found


def table(folder, name="doubtful.csv"):
    raw = (folder / name).read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(raw, newline="")))


def test_what_is_found_is_printed_and_written_worst_first(world, capsys):
    assert main(write(world, texts())) == 0
    lines = capsys.readouterr().out.splitlines()
    found = minift.check(minift.read_dataset("mine.jsonl"), "encoder")
    assert len(found.doubts) == 3
    assert lines[1] == "3 of 24 labels are doubtful"
    assert lines[2].startswith("perhaps 12% of all are wrong, fewer where the models err")
    shown = [line for line in lines if " -> " in line]
    assert [line.split("| ")[1].split(":")[0] for line in shown] == [
        d.example.id for d in found.doubts
    ]
    assert shown[0] == "  neg -> pos 0.90 | 2: =1+1\\x1b[2J"
    assert shown[2].startswith("  pos -> neg 0.90 | 21: 中中") and shown[2].endswith("...")
    assert len(shown[2]) == 60 and "\x1b" not in "".join(lines)
    rows = table(world)
    assert [*rows[0]] == ["id", "text", "label", "suggested", "probability", "reason"]
    for row, doubt in zip(rows, found.doubts, strict=True):
        assert (row["id"], row["text"]) == (doubt.example.id, doubt.example.text)
        assert (row["label"], row["suggested"]) == (doubt.label, doubt.suggested)
        assert float(row["probability"]) == pytest.approx(doubt.probability, abs=5e-4)
        assert row["reason"] == doubt.reason


def test_a_project_starts_from_the_table_with_the_command_that_is_printed(world, capsys):
    assert main(write(world, texts())) == 0
    start = capsys.readouterr().out.splitlines()[-1].split("again: minift ")[1]
    assert main(shlex.split(start)) == 0
    project = load_project("again")
    assert [e.id for e in project.examples()] == ["2", "3", "21"]
    assert [e.text for e in project.examples()] == list(HOSTILE)
    assert main(["active", "next", "again", "-n", "3", "--strategy", "random"]) == 0
    batch = world / "again" / "batches" / "001.csv"
    answered = [line for line in csv.reader(io.StringIO(batch.read_text("utf-8-sig"), newline=""))]
    for row in answered[1:]:
        row[-1] = "pos"
    with batch.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(answered)
    assert main(["active", "import", "again", str(batch), "--by", "ada"]) == 0
    assert read_state(project)[0].labelled == {"2": "pos", "3": "pos", "21": "pos"}


@pytest.mark.parametrize("names", [("a, b", "c"), ("-1", "+1"), ("it's $HOME", 'say "x", or')])
def test_the_command_that_is_printed_keeps_odd_names_of_classes(world, capsys, names):
    arguments = write(world, texts())
    rows = [json.loads(line) for line in (world / "mine.jsonl").read_text().splitlines()]
    named = dict(zip(("neg", "pos"), names))
    lines = [json.dumps({**row, "label": named[row["label"]]}) for row in rows]
    (world / "mine.jsonl").write_text("\n".join(lines) + "\n")
    assert main(arguments) == 0
    start = capsys.readouterr().out.split("again: minift ")[1]
    assert main(shlex.split(start)) == 0
    assert {*load_project("again").labels} == {*names}


ADA, BO = (
    ("pos" if n % 2 else "neg" for n in range(12)),
    ("pos" if n % 3 else "neg" for n in range(12)),
)
PEOPLE = [[*ADA], [*BO]]


def by_two(kind):
    """Twelve texts that two people have labelled: rows of a table, or an export."""
    if kind == "table":
        return [
            {"text": f"text{n} word{n}", "label": label, "annotator": who}
            for who, labels in zip(("ada", "bo"), PEOPLE)
            for n, label in enumerate(labels)
        ]
    said = lambda who, label: {  # noqa: E731
        "completed_by": who,
        "result": [{"type": "choices", "from_name": "label", "value": {"choices": [label]}}],
    }
    return [
        {"data": {"text": f"text{n} word{n}"}, "annotations": [said("ada", a), said("bo", b)]}
        for n, (a, b) in enumerate(zip(*PEOPLE))
    ]


@pytest.mark.parametrize("kind", ["table", "export"])
def test_two_people_in_the_file_are_compared(world, capsys, kind):
    command = write(world, texts())
    (world / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in by_two(kind)))
    assert main(command) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "agreement" in line]
    expected = f"agreement: ada and bo: kappa {cohen_kappa_score(*PEOPLE):.2f} ("
    assert told.startswith(expected) and told.endswith(", 12 texts")
    alone = [{**row, "annotator": "ada"} for row in by_two("table")]
    (world / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in alone))
    assert main(command) == 0 and "agreement" not in capsys.readouterr().out


def test_pairs_go_the_same_way(world, capsys):
    assert main(write(world, texts(), text_b=[f"other{i}" for i in range(24)])) == 0
    assert [row["text_b"] for row in table(world)] == ["other1", "other2", "other20"]
    start = capsys.readouterr().out.splitlines()[-1].split("again: minift ")[1]
    assert main(shlex.split(start)) == 0
    assert {e.text_b for e in load_project("again").examples()} == {"other1", "other2", "other20"}


def test_sentences_go_the_same_way(world, capsys):
    words = "".join(f"w{i} {('O', 'B-X')[k]}\n\n" for i, k in enumerate(LABELS))
    (world / "mine.conll").write_text(words)
    assert main(["check", "--train", "mine.conll", "--encoder", "encoder"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [row["id"] for row in table(world)] == ["2", "3", "21"]
    assert "  w20: B-X -> w20: O 0.90 | 21: w20" in lines
    assert main(shlex.split(lines[-1].split("again: minift ")[1])) == 0
    assert load_project("again").types == ("X",)


def test_a_table_of_another_kind_is_not_written_over_and_ours_is(world, capsys):
    arguments = write(world, texts())
    other = "id,text,label\n1,my labels,pos\n"
    (world / "doubtful.csv").write_text(other)
    assert main(arguments) == 1
    assert "is there already, and not known to be of this command" in capsys.readouterr().err
    assert (world / "doubtful.csv").read_text() == other
    assert main([*arguments, "--out", "mine.jsonl"]) == 1
    assert "is the file that is read" in capsys.readouterr().err
    (world / "doubtful.csv").unlink()
    assert main(arguments) == main(arguments) == 0


def test_nothing_doubtful_is_a_table_without_a_row(world, capsys, monkeypatch):
    monkeypatch.setattr("tests.cli.test_check.WRONG", ())
    assert main(write(world, [f"text{i}" for i in range(24)])) == 0
    assert "\n0 of 24 labels are doubtful\nperhaps 0% of all are wrong" in capsys.readouterr().out
    assert table(world) == [] and (world / "doubtful.csv").stat().st_size > 40


def test_amounts_are_refused_in_a_line(world, capsys):
    (world / "mine.csv").write_text("text,label\na,1.5\nb,2\n")
    arguments = ["check", "--train", "mine.csv", "--task", "regression"]
    assert main(arguments) == 1
    assert "mine is for regression: what is checked is one class" in capsys.readouterr().err
    assert not (world / "doubtful.csv").exists()
