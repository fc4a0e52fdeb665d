"""`minift active`, as a newcomer uses it, wrongly too.

claim                                                        oracle
from texts to a model that answers, with the printed         each step's words, the run folder,
commands alone                                               labels of the made-up texts
every mistake ends in one line that says what to do          words, exit code, no trace
what cannot be imported is listed, what can is recorded      exit codes, standard error
a forecast, a simulation and a score file come out           their files, the library's answers
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import sys

import pytest

from minift.cli.main import main
from tests.tiny import checkpoint, reviews

DATA = reviews(160)
GOLD = {e.text: e.label for e in (*DATA.train, *DATA.test)}
SHORT = ["--steps", "6", "--learning-rate", "1e-3"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with an encoder and files."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    (folder / "pool.txt").write_text("\n".join(e.text for e in DATA.train) + "\n")
    for split in ("train", "test"):
        rows = (f"{e.text},{e.label}" for e in getattr(DATA, split))
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return folder


def run(capsys, *arguments, typed=None, monkeypatch=None) -> tuple[int, str, str]:
    if typed is not None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.fixture
def project(world, tmp_path, capsys):
    code, out, _ = run(
        capsys, "active", "start", "--pool", world / "pool.txt", "--labels", "negative,positive",
        "--encoder", world / "encoder", "--out", tmp_path / "proj", *SHORT,
    )  # fmt: skip
    assert code == 0 and "texts, classes negative, positive" in out
    return tmp_path / "proj"


def fill(path, wrong=None):
    """Answer as the texts were made; `wrong` replaces the first answer."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = GOLD[row["text"]]
    rows[0]["label"] = wrong or rows[0]["label"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def follow(capsys, out):
    """Give the command that was printed."""
    command = next(line for line in out.splitlines() if "minift active" in line)
    return run(capsys, *shlex.split(command[command.index("minift active") :])[1:])


def test_from_texts_to_a_model_that_answers_by_the_commands_that_are_printed(
    world, project, capsys, monkeypatch
):
    code, out, _ = run(capsys, "active", "next", project, "-n", 8)
    assert code == 0
    assert "note: nothing is labelled yet, so these texts are drawn at random" in out
    assert f"8 texts to label, round 1: {project / 'batches' / '001.csv'}" in out
    fill(project / "batches" / "001.csv")
    code, out, error = follow(capsys, out)
    assert (code, error) == (0, "")
    assert "recorded: 8 labels, 0 skipped; on record before: 0; problems: 0" in out
    code, out, _ = follow(capsys, out)
    assert code == 0 and "20 texts to label, round 2" in out
    code, out, _ = run(
        capsys, "active", "label", project, "--by", "ada", typed="1\n2\ns\nq\n",
        monkeypatch=monkeypatch,
    )  # fmt: skip
    assert code == 0 and "saved: 2 labels, 1 skipped\ntexts that still wait: 17" in out
    code, out, _ = run(capsys, "active", "status", project)
    assert code == 0
    for words in (
        r"waiting +17\n",
        r"skipped +1\n",
        r"labelled +10 +negative \d, positive \d; imbalance \d\n",
        r"round 2: 20 by bald, 17 waiting",
        r"advice: continue: .* no two models yet",
    ):
        assert re.search(words, out), out
    code, out, _ = run(capsys, "active", "train", project)
    assert code == 0 and "on 10 labels of proj" in out
    folder = re.search(r"run folder: (.*)", out)[1]
    code, out, _ = run(capsys, "predict", folder, world / "pool.txt")
    assert code == 0
    assert [json.loads(line)["text"] for line in out.splitlines()] == [e.text for e in DATA.train]
    code, out, _ = run(capsys, "evaluate", folder, "--data", world / "test.csv")
    assert code == 0 and json.loads(out)["examples"] == len(DATA.test)
    code, out, _ = run(
        capsys, "active", "score", project, world / "pool.txt", "--out", project / "s.jsonl",
        "--passes", 2, "--layers", "head",
    )  # fmt: skip
    assert code == 0 and f"{len(DATA.train)} texts scored by bald" in out
    assert len((project / "s.jsonl").read_text().splitlines()) == len(DATA.train)
    run_scores = run(
        capsys, "active", "score", folder, world / "pool.txt", "--out", project / "t.jsonl",
        "--strategy", "entropy",
    )  # fmt: skip
    assert run_scores[0] == 0


def test_problems_go_to_standard_error_and_only_a_useless_file_is_a_failure(project, capsys):
    run(capsys, "active", "next", project, "-n", 3)
    batch = project / "batches" / "001.csv"
    code, out, error = run(capsys, "active", "import", project, batch)
    assert code == 1 and "without an answer in the file: 3" in out
    assert "it has no usable answer; nothing was recorded" in error
    fill(batch, wrong="positiv")
    code, out, error = run(capsys, "active", "import", project, batch)
    assert code == 0 and "recorded: 2 labels" in out and "problems: 1" in out
    assert "texts that still wait: 1;" in out
    assert error.startswith("problem: ") and "line 2" in error and "positiv" in error
    code, out, _ = run(capsys, "active", "import", project, batch)
    assert code == 0 and "recorded: 0 labels, 0 skipped; on record before: 2" in out


def test_guesses_for_random_texts_and_answers_given_before_are_taken_if_asked_for(project, capsys):
    run(capsys, "active", "next", project, "-n", 8)
    batch = project / "batches" / "001.csv"
    fill(batch)
    run(capsys, "active", "import", project, batch)
    first = batch.read_bytes()
    fill(batch, wrong="negative")
    run(capsys, "active", "import", project, batch)
    fill(batch, wrong="positive")
    run(capsys, "active", "import", project, batch)
    batch.write_bytes(first)
    code, out, _ = run(capsys, "active", "import", project, batch)
    assert code == 0 and "recorded: 0 labels" in out and "import it with --again" in out
    code, out, _ = run(capsys, "active", "import", project, batch, "--again")
    assert code == 0 and "recorded: 1 label, " in out
    for options, models in ((), 0), (("--no-guesses", "--more"), 0), (("--guesses", "--more"), 1):
        run(capsys, "active", "next", project, "-n", 2, "--strategy", "random", *options)
        assert len(list((project / "models").glob("*.json"))) == models


def test_what_is_printed_imports_the_file_that_people_then_have(project, capsys):
    files = {"csv": "001.csv", "labelstudio": "EXPORT.json", "doccano": "EXPORT.jsonl"}
    for format, file in {**files, "argilla": "answers.json"}.items():
        options = "-n", 2, "--format", format, "--more"
        code, out, _ = run(capsys, "active", "next", project, *options)
        command = next(line for line in out.splitlines() if "minift active import" in line)
        words = shlex.split(command)
        assert code == 0 and words[:4] == ["minift", "active", "import", str(project)]
        answered = str(project / "batches" / file) if format == "csv" else file
        assert words[4:] == [answered] and (format == "csv" or not (project / file).exists())
    assert f'open("{file}", "w")' in out  # by Argilla's recipe


def test_a_sheet_for_a_class_that_is_called_skip_says_how_to_skip(world, capsys, tmp_path):
    start = ["active", "start", "--pool", world / "pool.txt", "--encoder", world / "encoder"]
    for labels, word in (("skip,keep", '"(skip)" sets'), ("drop,keep", '"skip" sets')):
        folder = tmp_path / labels
        assert run(capsys, *start, *SHORT, "--labels", labels, "--out", folder)[0] == 0
        assert word in run(capsys, "active", "next", folder, "-n", 2)[1]


def test_label_studio_gets_its_interface_too(project, capsys):
    code, out, _ = run(capsys, "active", "next", project, "-n", 2, "--format", "labelstudio")
    assert code == 0
    assert f"paste {project / 'batches' / 'labelstudio.xml'} into Settings > Labeling" in out
    interface = (project / "batches" / "labelstudio.xml").read_text()
    assert "positive" in interface and '"$text_b"' not in interface


def test_label_studio_shows_both_texts_of_a_pair(world, capsys, tmp_path):
    rows = "text,text_b\na film,a review\na play,an actor\n"
    (tmp_path / "pairs.csv").write_text(rows)
    start = ["active", "start", "--pool", tmp_path / "pairs.csv", "--text-b", "text_b"]
    start += [
        "--labels",
        "yes,no",
        "--encoder",
        world / "encoder",
        *SHORT,
        "--out",
        tmp_path / "pairs",
    ]
    assert run(capsys, *start)[0] == 0
    code, _, _ = run(
        capsys, "active", "next", tmp_path / "pairs", "-n", 2, "--format", "labelstudio"
    )
    interface = (tmp_path / "pairs" / "batches" / "labelstudio.xml").read_text()
    assert code == 0 and '"$text"' in interface and '"$text_b"' in interface


def test_a_simulation_writes_its_curves_and_prints_a_table(world, capsys, tmp_path):
    command = [
        "active", "simulate", "--train", world / "train.csv", "--test", world / "test.csv",
        "--encoder", world / "encoder", "--method", "freeze:1", "--steps", 1,
        "--strategies", "random,entropy", "--rounds", 1, "--query", 4, "--initial", 4,
        "--seeds", 2, "--pool", 20, "--passes", 2, "--out", tmp_path / "sim",
    ]  # fmt: skip
    code, out, error = run(capsys, *command)
    assert code == 0, error
    assert "random" in out and "entropy" in out and "report.html" in out
    lines = (tmp_path / "sim" / "simulation.jsonl").read_text().splitlines()
    setup, *rows = map(json.loads, lines)
    assert {(r["strategy"], r["seed"], r["labelled"]) for r in rows} == {
        (s, seed, n) for s in ("random", "entropy") for seed in (0, 1) for n in (4, 8)
    }
    assert setup["method"] == "freeze:1"
    before = (tmp_path / "sim" / "simulation.jsonl").read_bytes()
    assert run(capsys, *command)[0] == 0  # all rounds are there
    assert (tmp_path / "sim" / "simulation.jsonl").read_bytes() == before


BAD = [
    (["status", "{world}/nothing"], r"nothing is not a project: .*minift active start --pool"),
    (["next", "{project}", "-n", "0"], r"texts must be at least 1, got 0"),
    (["next", "{project}", "--strategy", "bold"], r'did you mean "bald"'),
    (["next", "{project}", "--format", "labelstudo"], r'did you mean "labelstudio"'),
    (["label", "{project}"], r"no text waits .*minift active next "),
    (["import", "{project}", "{world}/nothing.csv"], r"no such file"),
    (["import", "{project}", "{world}/train.xyz"], r"no such file|format"),
    (["train", "{project}"], r"nothing to train on: nothing is labelled yet"),
    (["status", "{project}", "--forecast"], r"no forecast: nothing is labelled yet"),
    (["score", "{project}", "{world}/pool.txt", "--out", "{world}/s"], r"has no model yet"),
    (["score", "{world}", "{world}/pool.txt", "--out", "{world}/s"], r"is not a run folder"),
    (
        ["start", "--pool", "{world}/pool.txt", "--labels", "pos", "--out", "{world}/p"],
        r"2 classes",
    ),
    (
        ["start", "--pool", "{world}/pol.txt", "--labels", "a,b", "--out", "{world}/p"],
        r'"pool.txt"',
    ),
    (["simulate", "--data", "ss2"], r'did you mean "sst2"'),
    (["simulate", "--train", "{world}/train.csv"], r"--train FILE needs --test FILE"),
    (["simulate", "--data", "reviews", "--test", "x.csv"], r"--test is a number"),
    (
        ["simulate", "--data", "reviews", "--pool", "99999"],
        r"--pool 99999: give a number from 1 to \d+",
    ),
    (["simulate", "--data", "reviews", "--method", "bitfit+freeze:2"], r"both fill the slot"),
]


@pytest.mark.parametrize("arguments,message", BAD, ids=[" ".join(a) for a, _ in BAD])
def test_a_mistake_ends_in_one_line_that_says_what_to_do(
    world, project, capsys, monkeypatch, arguments, message
):
    arguments = [a.format(world=world, project=project) for a in arguments]
    code, out, error = run(capsys, "active", *arguments, typed="", monkeypatch=monkeypatch)
    assert (code, out) == (1, "")
    assert error.startswith("minift: ") and error.count("\n") == 1
    assert re.search(message, error), error


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["strt"], 'did you mean "start"'),
        ([], "required: COMMAND"),
        (["simulate", "--data", "reviews", "--seeds", "0"], "expected 1 to 10000 seeds, got 0"),
        (
            ["next", "p", "--layers", "top"],
            'expected "trained", "all", "head" or a number of layers',
        ),
    ],
)
def test_bad_usage_exits_with_2_and_points_to_the_help(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["active", *arguments])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error and "--help" in error
