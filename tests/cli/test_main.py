"""The command line, as a newcomer uses it, wrongly too.

claim                                                        oracle
train, evaluate, predict work from files                     the numbers agree with one another
both conventions of entity scores stand side by side         result.json; counts of the error list
predictions are in input order, one line per text            the texts themselves
entity offsets point at the entity in the text               slicing the text
bad input ends in one line and exit code 1, never a trace    the words of each message
bad usage names the nearest word and exits with 2            typing mistakes
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys

import pytest

from minift.cli.main import main
from minift.methods.recipes import WORDS
from tests.tiny import checkpoint, news, reviews, similarity


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with an encoder, data files and two finished runs."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    dataset = reviews(80)
    for split in ("train", "dev", "test"):
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            rows.writerows((e.text, e.label) for e in getattr(dataset, split))
        sentences = (
            "\n".join(f"{w}\t{t}" for w, t in zip(e.words, e.tags)) for e in getattr(news(), split)
        )
        (folder / f"{split}.conll").write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
        with (folder / f"pairs-{split}.jsonl").open("w", encoding="utf-8") as file:
            for e in getattr(similarity(), split):
                row = {"text": e.text, "text_b": e.text_b, "label": e.label}
                file.write(json.dumps(row) + "\n")
    for name, suffix, extra in (
        ("reviews", ".csv", ["--epochs", "10"]),
        ("news", ".conll", ["--epochs", "20"]),
    ):
        files = [f"--{s}={folder / s}{suffix}" for s in ("train", "dev", "test")]
        command = ["train", *files, "--encoder", str(folder / "encoder")]
        command += ["--out", str(folder / name), "--learning-rate", "3e-3", *extra]
        assert main(command) == 0
    return folder


def run(capsys, *arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_training_prints_a_plain_summary_and_writes_the_run_folder(world, capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "--train", world / "train.csv", "--test", world / "test.csv",
        "--encoder", world / "encoder", "--method", "bitfit", "--labels", 16, "--epochs", 1,
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0
    assert "bitfit on 16 labels of train" in out
    assert "parameters learned" in out
    assert "epoch 1 of 1 done" in out
    assert "always the most frequent label" in out
    names = {file.name for file in (tmp_path / "run").iterdir()}
    assert names >= {
        "config.json", "model.safetensors", "tokenizer.json", "result.json", "history.jsonl",
        "run.json",
    }  # fmt: skip


def test_evaluate_gives_the_score_that_training_reported(world, capsys):
    code, out, _ = run(capsys, "evaluate", world / "reviews", "--data", world / "test.csv")
    result = json.loads((world / "reviews" / "result.json").read_text())
    assert code == 0
    assert json.loads(out)["accuracy"] == result["test"] > result["test_majority"]


def test_predict_answers_each_line_in_order_with_probabilities(world, capsys, tmp_path):
    texts = [e.text for e in reviews(80).test] * 3
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    code, out, _ = run(capsys, "predict", world / "reviews", tmp_path / "texts.txt")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [answer["text"] for answer in answers] == texts
    for answer in answers:
        assert sum(answer["scores"].values()) == pytest.approx(1.0, abs=1e-6)
        assert answer["label"] == max(answer["scores"], key=answer["scores"].get)
    hits = sum(a["label"] == e.label for a, e in zip(answers, reviews(80).test))
    assert hits / 20 == json.loads((world / "reviews" / "result.json").read_text())["test"]


def test_predict_reads_standard_input_and_csv_alike(world, capsys, tmp_path, monkeypatch):
    code, from_csv, _ = run(capsys, "predict", world / "reviews", world / "test.csv")
    texts = [json.loads(line)["text"] for line in from_csv.splitlines()]
    assert code == 0
    with (tmp_path / "in").open("w", encoding="utf-8") as file:
        file.write("\n".join(texts))
    with (tmp_path / "in").open(encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        lines = run(capsys, "predict", world / "reviews", "-")[1].splitlines()
    answers = [{**json.loads(line), "id": ""} for line in lines]  # which is the line of the text
    assert answers == [{**json.loads(line), "id": ""} for line in from_csv.splitlines()]
    assert [json.loads(line)["id"] for line in from_csv.splitlines()][:2] == ["2", "3"]


def test_predicted_entities_have_offsets_that_cut_them_out_of_the_text(world, capsys, tmp_path):
    text = "  Ada saw Ben in Oslo the film was good."
    (tmp_path / "texts.txt").write_text(text + "\n", encoding="utf-8")
    code, out, _ = run(capsys, "predict", world / "news", tmp_path / "texts.txt")
    answer = json.loads(out)
    assert code == 0
    assert answer["text"] == text
    assert len(answer["tags"]) == len(answer["words"])
    found = {(text[e["start"] : e["end"]], e["type"]) for e in answer["entities"]}
    assert found == {(e["text"], e["type"]) for e in answer["entities"]}
    assert {("Ada", "PER"), ("Oslo", "LOC")} <= found
    for entity in answer["entities"]:
        words = answer["words"][entity["start_word"] : entity["end_word"]]
        assert " ".join(words) == entity["text"]


def test_both_conventions_stand_side_by_side_in_what_is_printed_and_kept(world, capsys, tmp_path):
    result = json.loads((world / "news" / "result.json").read_text())
    code, out, said = run(
        capsys, "evaluate", world / "news", "--data", world / "test.conll", "--errors",
        tmp_path / "errors.jsonl",
    )  # fmt: skip
    assert code == 0
    answer = json.loads(out)
    assert answer["entities"] == result["test_entities"]
    assert answer["entities"]["scheme"] == "iob2"
    for mode in ("conlleval", "strict"):
        for score in (*answer["entities"][mode]["per_type"].values(),
                      answer["entities"][mode]["micro"]):  # fmt: skip
            assert {"precision", "recall", "f1", "support"} <= set(score)
        assert set(answer["entities"][mode]["per_type"]) == {"LOC", "PER"}
    micro = answer["entities"]["conlleval"]["micro"]
    assert micro["f1"] == answer["entity_f1"] == result["test"]
    assert "entities, scheme iob2" in said
    assert re.search(r"conlleval +strict", said)
    listed = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines()]
    wrong = micro["predicted"] + micro["support"] - 2 * micro["correct"]
    assert sum((e["gold"] is not None) + (e["predicted"] is not None) for e in listed) == wrong
    code, _, error = run(
        capsys, "evaluate", world / "reviews", "--data", world / "test.csv", "--errors", "e.txt"
    )
    assert code == 1
    assert "--errors lists entities" in error


def test_pairs_and_regression_work_from_jsonl(world, capsys, tmp_path):
    files = [f"--{s}={world}/pairs-{s}.jsonl" for s in ("train", "dev", "test")]
    code, out, _ = run(
        capsys, "train", *files, "--task", "regression", "--encoder", world / "encoder",
        "--epochs", 1, "--out", tmp_path / "run",
    )  # fmt: skip
    assert code == 0
    assert "pearson_spearman" in out
    code, out, _ = run(capsys, "predict", tmp_path / "run", world / "pairs-test.jsonl")
    first = json.loads(out.splitlines()[0])
    assert code == 0
    assert isinstance(first["label"], float)
    assert first["text_b"] == similarity().test[0].text_b


def test_info_counts_what_each_method_trains(world, capsys):
    code, out, _ = run(capsys, "info", world / "encoder")
    assert code == 0
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    # 2 layers of width 32: 7 biases of 32 and one of 64 each; embeddings.norm, pooler; head
    assert lines["bitfit"][0] == f"{2 * (7 * 32 + 64) + 64 + 66:,}"
    assert lines["head"][0] == "66"
    assert lines["full"][0] == lines["total"][0]
    code, out, _ = run(capsys, "info", world / "reviews")
    assert code == 0
    assert "labels: negative, positive" in out


def test_info_lists_every_word_of_the_method_table_with_its_slot_and_paper(capsys):
    code, out, _ = run(capsys, "info", "--methods")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and set(WORDS) <= set(lines)
    for name, word in WORDS.items():
        cells = re.split(" {2,}", lines[name])
        assert cells == [name, word.slot, word.paper or "-", word.help]
    assert "Xu et al. (2021)" in lines["child-d"] and "Ben Zaken" in lines["bitfit"]
    code, _, error = run(capsys, "info")
    assert code == 1 and "name an encoder or a run folder" in error


def test_answers_go_to_a_file_whole_and_never_over_the_texts(world, capsys, tmp_path):
    texts = tmp_path / "texts.txt"
    texts.write_text("good film\nbad film\n", encoding="utf-8")
    code, printed, _ = run(capsys, "predict", world / "reviews", texts)
    code, out, _ = run(capsys, "predict", world / "reviews", texts, "--out", tmp_path / "a" / "b")
    assert (code, out) == (0, "")
    assert (tmp_path / "a" / "b").read_text(encoding="utf-8") == printed
    code, _, error = run(capsys, "predict", world / "reviews", texts, "--out", texts)
    assert code == 1 and "is the file that is read; choose another name" in error
    assert texts.read_text(encoding="utf-8") == "good film\nbad film\n"


def test_a_model_of_texts_says_that_a_token_file_is_not_for_it(world, capsys):
    code, _, error = run(capsys, "predict", world / "reviews", world / "test.conll")
    assert code == 1 and "a token file is for tagging" in error


def test_a_failure_of_the_system_is_one_line(world, capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, error = run(
        capsys, "evaluate", world / "news", "--data", world / "test.conll", "--errors",
        tmp_path / "file" / "errors.txt",
    )  # fmt: skip
    assert code == 1 and error.splitlines()[-1].startswith("minift: ")
    assert "Traceback" not in error
    (tmp_path / "texts.txt").write_text("caf\u00e9\n", encoding="utf-8")
    for file, given in ((tmp_path / "texts.txt", b""), ("-", "caf\u00e9\n".encode())):
        done = subprocess.run(
            [sys.executable, "-m", "minift", "predict", str(world / "reviews"), str(file)],
            input=given,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1, done.stderr
        assert b"set PYTHONIOENCODING=utf-8" in done.stderr


BAD = [
    (["train", "--train", "{world}/nowhere.csv"], r"no such file"),
    (["train", "--train", "{world}/trian.csv"], r'did you mean "train.csv"'),
    (["train"], r"give either --data NAME or --train FILE"),
    (["train", "--data", "ss2"], r'did you mean "sst2"'),
    (["train", "--train", "{world}/train.csv", "--method", "bitft"], r'did you mean "bitfit"'),
    (["train", "--train", "{world}/train.csv", "--method", "full+head"], r"both fill the slot"),
    (["train", "--train", "{world}/train.csv", "--labels", "4000"], r"has 40 examples"),
    (["train", "--train", "{world}/train.csv", "--encoder", "{world}/encodr"], r"encoder"),
    (["train", "--train", "{world}/train.csv", "--text", "txt"], r'did you mean "text"'),
    (["train", "--train", "{world}/train.csv", "--out", "{world}/reviews"], r"already holds"),
    (
        ["train", "--train", "{world}/train.csv", "--epochs", "0"],
        r"--epochs must be a whole number from 1 up",
    ),
    (["train", "--data", "reviews", "--label", "5"], r'--label: .* named set; did .* "--labels"'),
    (["train", "--data", "reviews", "--task", "regression"], r"--task: .* reviews is a named set"),
    (["evaluate", "{world}/reviews", "--data", "reviews", "--text", "x"], r"--text: .* named set"),
    (["evaluate", "{world}/reviews", "--data", "x.csv", "--split", "dev"], r"--split is for named"),
    (["evaluate", "{world}/reviews", "--data", "{world}/test.conll"], r"classification"),
    (["evaluate", "{world}/reviews", "--data", "news"], r"news is for tagging, the run for class"),
    (["evaluate", "{world}/nothing", "--data", "{world}/test.csv"], r"there is no run folder"),
    (["predict", "{world}/reviews", "{world}/nothing.txt"], r"no such file"),
    (["predict", "{world}/encoder", "{world}/train.csv"], r"BertForMaskedLM"),
    (["info", "{world}"], r"not a checkpoint|no config.json"),
]


@pytest.mark.parametrize("arguments,message", BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_ends_in_one_line_that_says_what_to_do(world, capsys, arguments, message):
    arguments = [a.format(world=world) for a in arguments]
    if arguments[0] == "train" and "--encoder" not in arguments:
        arguments += ["--encoder", str(world / "encoder")]
    code, out, error = run(capsys, *arguments)
    assert code == 1
    assert out == ""
    assert re.search(message, error), error
    assert error.startswith("minift: ")
    assert "Traceback" not in error


def test_an_unknown_label_at_evaluation_is_named_with_its_line(world, capsys, tmp_path):
    (tmp_path / "odd.csv").write_text("text,label\ngood film,positive\nbad,negatve\n")
    code, _, error = run(capsys, "evaluate", world / "reviews", "--data", tmp_path / "odd.csv")
    assert code == 1
    assert "odd.csv" in error
    assert "line 3" in error
    assert 'did you mean "negative"' in error


@pytest.mark.parametrize(
    "arguments,message,whose",
    [
        (["trian"], 'did you mean "train"', "minift"),
        (["train", "--device", "gpu"], "cuda", "minift train"),
        (["train", "--metod=full"], 'did you mean "--method"', "minift train"),
        (
            ["active", "next", "p", "--formt", "csv"],
            'did you mean "--format"',
            "minift active next",
        ),
        (["predict", "run", "t", "--label", "x"], "arguments: --label x\n", "minift predict"),
        (["predict", "run", "texts", "more"], "unrecognized arguments: more\n", "minift predict"),
    ],
)
def test_bad_usage_exits_with_2_and_points_to_the_help(arguments, message, whose, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert message in error
    assert error.endswith(f"\nsee {whose} --help\n")


def test_a_reader_that_stops_early_gets_no_traceback(world):
    command = f'"{sys.executable}" -m minift predict "{world}/reviews" - | head -n 1'
    done = subprocess.run(
        ["bash", "-c", f"yes 'good film' | head -n 5000 | {command}"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""
