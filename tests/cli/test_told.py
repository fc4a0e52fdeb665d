"""What every command tells, and how answers are joined to the table they belong to.

claim                                                         oracle
texts that are cut are told by each command that reads them   the count of long texts in the file
a class that a draw or a split lacks is told                  the labels that were drawn
f1 is of the class that was chosen, also after training       scikit-learn on the answers
answers keep ids and columns, in JSON, CSV and TSV            csv and the rows that were written
a column or suffix that cannot be had is refused              the message
pairs and single texts are not taken for each other           the message
"""

from __future__ import annotations

import csv
import json
import re

import pytest
import sklearn.metrics

from minift.cli.main import main
from minift.compare.grid import compare
from minift.data.files.readers import read_dataset
from minift.methods.recipes import recipe
from minift.runs.train import subset, train
from minift.training.loop import Seeds, Settings
from tests.tiny import checkpoint

LONG = "the film was good and " * 13  # 65 pieces, of which the encoder reads 62
CUT = "texts longer than the encoder reads (64 pieces), which were cut: 3 of 30"
ODD = ['=1+1, "quoted"\tand a tab', "two\r\nlines", "ünï 東京", "'"]
LABELS = ["pos", "neg", "neg"]


def write_csv(path, rows, header=("id", "text", "label", "when")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A table, a table of pairs, and a run on each."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    texts = [f"{'good' if n % 3 == 0 else 'bad'} film {'it ' * (n % 7)}{n}" for n in range(30)]
    texts[4:7] = [LONG + text for text in texts[4:7]]
    rows = [(f"A{n}", text, LABELS[n % 3], ODD[n % 4]) for n, text in enumerate(texts)]
    write_csv(folder / "t.csv", rows)
    pairs = [(f"A{n}", text, "good", LABELS[n % 3]) for n, text in enumerate(texts)]
    write_csv(folder / "pairs.csv", pairs, ("id", "text", "text_b", "label"))
    (folder / "t.txt").write_text("good film\n")
    for name, file in (("run", "t.csv"), ("pairs", "pairs.csv")):
        command = ["train", f"--train={folder / file}", f"--test={folder / file}", "--epochs=2"]
        command += [f"--encoder={folder / 'encoder'}", f"--out={folder / name}"]
        assert main([*command, "--learning-rate=1e-3", "--positive=neg"]) == 0
    return folder


def run(capsys, *arguments):
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    return (code, *capsys.readouterr())


def test_texts_that_are_cut_are_told_by_each_command(world, capsys, tmp_path):
    notes = json.loads((world / "run" / "result.json").read_text())["notes"]
    assert [f"test: {CUT}", f"train: {CUT}"] == [note for note in notes if "cut" in note]
    table, encoder = world / "t.csv", ("--encoder", world / "encoder")
    assert CUT in run(capsys, "evaluate", world / "run", "--data", table)[2]
    assert f"note: {CUT}\n" in run(capsys, "predict", world / "run", table)[2]
    out = ("--out", tmp_path / "scores.jsonl")
    told = run(capsys, "active", "score", world / "run", table, *out, "--strategy=entropy")
    assert told[0] == 0 and f"note: {CUT}\n" in told[2]
    start = ("active", "start", "--pool", table, "--labels", "pos,neg,Pos", *encoder)
    told = run(capsys, *start, "--out", tmp_path / "p")
    assert told[0] == 0 and CUT in told[1]
    assert 'classes "pos" and "Pos" differ by case or blanks only' in told[1]
    simulated = ("active", "simulate", "--train", table, "--test", table, "--rounds=0", "--seeds=1")
    how = ("--steps=1", "--strategies=random", "--out", tmp_path / "s", *encoder)
    told = run(capsys, *simulated, *how)
    assert told[0] == 0 and "which were cut: 6 of 60" in told[2]
    short = write_csv(tmp_path / "short.csv", [("1", "good", "pos", "")])
    assert "longer" not in run(capsys, "evaluate", world / "run", "--data", short)[2]


def test_what_a_draw_lacks_is_told_by_train_and_compare(world, tmp_path):
    rows = [(n, f"good {n}", "xxxxyyyyyz"[n % 10], "") for n in range(20)]
    file = write_csv(tmp_path / "three.csv", rows)
    test = write_csv(tmp_path / "two.csv", rows[:9])
    data, settings = read_dataset(file, None, test), Settings(epochs=1, batch_size=8)
    draws = (({e.label for e in subset(data.train, 6, seed)}, seed) for seed in range(99))
    seed = next(seed for drawn, seed in draws if drawn == {"x", "y"})
    lacking = {"labels": 6, "seeds": Seeds.all(seed), "settings": settings}
    _, result = train(data, world / "encoder", recipe("head"), **lacking)
    assert 'train has no example of class "z"' in result["notes"]
    assert 'test has no example of class "z"' in result["notes"]
    _, whole = train(data, world / "encoder", recipe("head"), seeds=Seeds.all(0), settings=settings)
    assert not any(note.startswith("train has no") for note in whole["notes"])
    found = compare(data, world / "encoder", ["head"], 6, [seed], tmp_path / "out")
    assert f'the draw of 6 labels by seed {seed} has no example of class "z"' in found.notes
    assert 'test has no example of class "z"' in found.notes


def test_f1_is_of_the_chosen_class_and_the_run_remembers_it(world, capsys, tmp_path):
    table, encoder = world / "t.csv", ("--encoder", world / "encoder")
    result = json.loads((world / "run" / "result.json").read_text())
    assert (result["metric"], result["test_scores"]["f1_of"]) == ("f1", "neg")
    assert result["test"] == result["test_scores"]["f1"]
    # The best constant answer is judged by the same score: always "neg" finds all of 20 in 30.
    assert result["test_majority"] == pytest.approx(2 * 20 / (20 + 30))
    _, out, _ = run(capsys, "predict", world / "run", table)
    predicted = [json.loads(line)["label"] for line in out.splitlines()]
    gold = [LABELS[n % 3] for n in range(30)]
    for option, of in ((), "neg"), (("--positive=pos",), "pos"):
        code, out, _ = run(capsys, "evaluate", world / "run", "--data", table, *option)
        scores = json.loads(out)
        expected = sklearn.metrics.f1_score(gold, predicted, pos_label=of, zero_division=0)
        assert (code, scores["f1_of"], scores["f1"]) == (0, of, pytest.approx(expected))
    compared = ("compare", "--train", table, "--test", table, "--positive=pos", "--methods=head")
    how = ("--seeds=1", "--epochs=1", "--out", tmp_path / "c", *encoder)
    code, out, error = run(capsys, *compared, *how)
    assert code == 0 and 'f1 of "pos" in points' in out, error
    assert f"note: train: {CUT}" in out
    wrong = ("train", "--positive=poss", "--train", table, "--out", tmp_path / "r", *encoder)
    code, _, error = run(capsys, *wrong)
    assert code == 1 and 'did you mean "pos"' in error
    code, _, error = run(capsys, "evaluate", world / "run", "--data", table, "--positive=poss")
    assert code == 1 and "'poss' is not one of" in error


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_answers_are_joined_to_the_table_they_belong_to(world, suffix, capsys, tmp_path):
    out = tmp_path / f"x{suffix}"
    kept = ("--keep", "label", "when", "--keep", "id")
    code, said, error = run(capsys, "predict", world / "run", world / "t.csv", "--out", out, *kept)
    assert (code, said) == (0, ""), error
    with (world / "t.csv").open(newline="", encoding="utf-8") as file:
        given = list(csv.DictReader(file))
    scores = ["scores"] if suffix == ".jsonl" else ["score_neg", "score_pos"]
    with out.open(newline="", encoding="utf-8") as file:
        rows = (
            [json.loads(line) for line in file]
            if suffix == ".jsonl"
            else list(csv.DictReader(file, delimiter="," if suffix == ".csv" else "\t"))
        )
    assert list(rows[0]) == ["id", "text", "label", *scores, "given_label", "when"]
    _, lines, _ = run(capsys, "predict", world / "run", world / "t.csv")
    for row, source, line in zip(rows, given, lines.splitlines(), strict=True):
        for name in ("id", "text", "when"):
            assert row[name] == source[name]
        assert row["given_label"] == source["label"]
        answer = json.loads(line)
        assert list(answer) == ["id", "text", "label", "scores"]
        assert answer["label"] == row["label"]
        found = row.get("scores") or {n: float(row[f"score_{n}"]) for n in ("neg", "pos")}
        assert found == answer["scores"]  # every digit


def test_json_columns_are_kept_as_they_stand_also_from_a_pipe(world, capsys, tmp_path, monkeypatch):
    rows = [{"text": "good", "n": 7, "tags": ["é"]}, {"text": "bad", "n": None}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(lines, encoding="utf-8")
    with (tmp_path / "t.jsonl").open(encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        keep = ("--format=jsonl", "--keep", "n", "tags")
        code, out, error = run(capsys, "predict", world / "run", "-", *keep)
    assert code == 0, error
    answers = [json.loads(line) for line in out.splitlines()]
    assert [(a["n"], a["tags"]) for a in answers] == [(7, ["é"]), (None, None)]
    tables = ("--out", tmp_path / "x.csv", "--keep", "tags")
    assert run(capsys, "predict", world / "run", tmp_path / "t.jsonl", *tables)[0] == 0
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as table:
        assert [row["tags"] for row in csv.DictReader(table)] == ['["é"]', ""]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["t.csv", "--keep", "wen"], r'unknown column of t.csv "wen"; .* did you mean "when"'),
        (["t.txt", "--keep", "when"], r'unknown column of t.txt "when"'),
        (["t.csv", "--out", "x.xlsx"], r"--out x.xlsx: answers are written as .jsonl, .csv or"),
        (["t.csv", "--out", "x.json"], r"--out x.json: answers are written as"),
        (["t.csv", "--text", "text", "--text-b", "text"], r'the column "text" is read both as'),
        (["t.csv", "--text", "label"], r'"label" is read both as --text and as --label'),
        (["pairs.csv"], r"the model has single texts, and these are pairs of texts; .* --text$"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(world, arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(world)
    code, out, error = run(capsys, "predict", world / "run", *arguments)
    assert (code, out, error.count("\n")) == (1, "", 1)
    assert re.search(words, error.strip()), error
    assert not list(world.glob("x.*"))


def test_single_texts_are_refused_by_a_run_on_pairs_in_every_command(world, capsys, tmp_path):
    words = "these are single texts; in a table, name the second column with --text-b"
    table = world / "t.csv"
    for arguments in (
        ("predict", world / "pairs", table),
        ("evaluate", world / "pairs", "--data", table),
        ("active", "score", world / "pairs", table, "--out", tmp_path / "s"),
    ):
        code, _, error = run(capsys, *arguments)
        assert code == 1 and words in error, arguments
    assert not (tmp_path / "s").exists()
    code, out, error = run(capsys, "predict", world / "pairs", world / "pairs.csv")
    assert code == 0 and json.loads(out.splitlines()[0])["text_b"] == "good", error
    # That is said before the labels are judged, which are another task's.
    other = write_csv(
        tmp_path / "other.csv", [("1", "a", "b", "x")], ("id", "text", "text_b", "label")
    )
    train = ("train", "--train", table, "--encoder", world / "encoder", "--out", tmp_path / "r")
    for arguments in (("evaluate", world / "run", "--data", other), (*train, "--test", other)):
        code, _, error = run(capsys, *arguments)
        assert code == 1 and "has single texts, and these are pairs of texts" in error, error
    # One column of a table of pairs may be read: these are single texts.
    assert run(capsys, "predict", world / "run", world / "pairs.csv", "--text", "text")[0] == 0
