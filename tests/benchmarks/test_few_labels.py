"""The table of few labels is made of the runs it names, on draws that all programs share.

claim                                                        oracle
every program is given the same labelled and scored texts    what a stub was handed, and `subset`
a word of minift is trained as ever                          `train` with that many labels and seed
`logistic` is scikit-learn on the mean over tokens           minift's own mean vectors
the seconds are those of training alone                      a clock that the stub moves
77 intents are drawn by class; ten are the most frequent     files written by hand
the grid is that of the issue, cheap programs first          counted by hand
what is finished is not repeated, and a torn line is         a file with a score nobody measured
means, deviations and intervals                              computed by hand (t = 4.303)
where another program is better, or SetFit faster, it is     made-up logs
said; what is not known is not claimed
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.train import subset, train
from minift.training.loop import Seeds
from tests.benchmarks import few_labels as few
from tests.benchmarks import few_peers as peers
from tests.tiny import checkpoint, reviews

STUB = """
import json, pathlib, shutil, sys
draw = json.loads(pathlib.Path(sys.argv[1]).read_text())
shutil.copy(sys.argv[1], pathlib.Path(__file__).with_name("seen.json"))
answer = {"accuracy": 0.25, "seconds": 2.0, "processor_seconds": 1.5, "scoring_seconds": 9.0}
answer |= {"threads": draw["threads"], "versions": {"stub": "7"}}
pathlib.Path(sys.argv[2]).write_text(json.dumps(answer))
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A small set under the name of `reviews`, and a stub in the place of the other programs."""
    dataset = replace(reviews(), dev=())
    monkeypatch.setattr(few, "load", lambda data: dataset)
    monkeypatch.setattr(few, "SIZES", {"reviews": (16,)})
    monkeypatch.setattr(few, "PROGRAM", tmp_path / "stub.py")
    few.PROGRAM.write_text(STUB)
    log = tmp_path / "runs.jsonl"
    encoder = str(checkpoint(tmp_path / "encoder"))

    def run(*options: str) -> list[dict]:
        assert few.main(["--log", str(log), "--encoder", encoder, *options]) == 0
        return [json.loads(line) for line in log.read_text().splitlines()]

    return SimpleNamespace(dataset=dataset, log=log, encoder=encoder, run=run, folder=tmp_path)


# ---------------------------------------------------------------- runs


def test_every_program_is_given_the_same_texts(world):
    runs = world.run("--only", "setfit", "head", "--seeds", "1", "2")
    assert [(run["what"], run["seed"]) for run in runs] == [
        ("head", 1), ("head", 2), ("setfit", 1), ("setfit", 2)
    ]  # fmt: skip
    assert runs[0]["draw"] == runs[2]["draw"] != runs[1]["draw"] == runs[3]["draw"]
    seen = json.loads((world.folder / "seen.json").read_text())
    drawn = subset(world.dataset.train, 16, 2)
    assert seen["train"] == [[e.text, e.label] for e in drawn]
    assert seen["test"] == [[e.text, e.label] for e in world.dataset.test]
    assert (seen["encoder"], seen["seed"], seen["threads"]) == (world.encoder, 2, 1)
    assert seen["classes"] == ["negative", "positive"]
    assert (runs[3]["accuracy"], runs[3]["processor_seconds"]) == (0.25, 1.5)
    assert all("torch" in run["machine"] and run["tested"] == 16 for run in runs)


@pytest.mark.parametrize("word", few.WORDS)
def test_a_word_is_an_ordinary_training_run(word, world, monkeypatch):
    word = {"freeze:3": "freeze:1"}.get(word, word)  # the small encoder has two layers
    monkeypatch.setattr(few, "ORDER", (word,))
    monkeypatch.setattr(few, "SEEDS", {word: range(5)})
    (run,) = world.run("--seeds", "3")
    method = recipe(word, world.encoder)
    _, result = train(world.dataset, world.encoder, method, labels=16, seeds=Seeds.all(3))
    assert run["accuracy"] == result["test"]
    assert run["processor_seconds"] > 0 and run["threads"] == 1


def test_a_word_that_refuses_a_draw_is_kept_with_what_it_said(world, monkeypatch):
    one = (*(e for e in world.dataset.train if e.label == "positive"),)[:1]
    lonely = (*(e for e in world.dataset.train if e.label == "negative"),)[:5] + one
    monkeypatch.setattr(few, "draw", lambda *_: lonely)
    (run,) = world.run("--only", "contrastive", "--seeds", "0")
    assert run["accuracy"] is None and "two examples of each class" in run["refused"]
    assert "refused 1 of 1 draws" in few.table(few.finished(world.log))


def test_a_program_that_fails_is_named_with_what_it_said(world):
    few.PROGRAM.write_text("import sys; sys.exit('no such package')")
    with pytest.raises(MiniftError, match=r"(?s)trainer with .* ended with 1:.*no such package"):
        world.run("--only", "trainer")


def test_finished_runs_are_not_repeated_and_a_torn_line_is(world):
    lines = [json.dumps(line(what="setfit", seed=n, encoder=world.encoder)) for n in (0, 1)]
    world.log.write_text(lines[0] + "\n" + lines[1][:-9])
    runs = world.run("--only", "setfit")
    assert [run["accuracy"] for run in runs] == [0.8, 0.25, 0.25]
    assert world.run("--only", "setfit") == runs


def test_a_damaged_line_in_the_middle_is_named(world):
    world.log.write_text("{}\n" + json.dumps(line()) + "\n")
    with pytest.raises(MiniftError, match="line 1 is not a finished run: it lacks accuracy"):
        few.finished(world.log)


# ---------------------------------------------------------------- the other programs


def test_the_clock_runs_while_a_program_trains(tmp_path, monkeypatch):
    now = [0.0]

    def program(draw, scratch):
        now[0] += 1000  # imports

        def learn():
            now[0] += 7
            return lambda asked: (now.__setitem__(0, now[0] + 30), ["a", "b", "b", "b"])[1]

        return learn

    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: now[0] / 2)
    monkeypatch.setattr(peers, "time", clock)
    monkeypatch.setitem(peers.PEERS, "stub", program)
    test = [["x", "a"], ["x", "a"], ["x", "b"], ["x", "b"]]
    files = [str(tmp_path / name) for name in ("draw.json", "answer.json")]
    content = {"what": "stub", "test": test, "threads": torch.get_num_threads()}
    (tmp_path / "draw.json").write_text(json.dumps(content))
    monkeypatch.setattr(sys, "argv", ["few_peers.py", *files])
    peers.main()
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert (answer["seconds"], answer["processor_seconds"]) == (7, 3.5)
    assert (answer["scoring_seconds"], answer["accuracy"]) == (30, 0.75)
    assert answer["versions"]["torch"] == torch.__version__


@pytest.mark.slow
def test_logistic_is_scikit_learn_on_the_mean_over_tokens(world, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    from minift.runs.evaluate import predict_logits
    from minift.runs.tuned import build

    monkeypatch.setattr(few, "PROGRAM", few.Path(peers.__file__))
    (run,) = world.run("--only", "logistic", "--seeds", "0")
    tuned = build(world.dataset, world.encoder, Seeds.all(0), head="mean")
    drawn = subset(world.dataset.train, 16, 0)
    seen, asked = (
        torch.cat(predict_logits(tuned.model, tuned.items(part), vectors=True)).numpy()
        for part in (drawn, world.dataset.test)
    )
    model = LogisticRegression(max_iter=1000).fit(seen, [e.label for e in drawn])
    assert run["accuracy"] == model.score(asked, [e.label for e in world.dataset.test])
    assert "scikit-learn" in run["versions"] and run["threads"] == 1


@pytest.mark.slow
def test_transformers_trainer_answers(world, monkeypatch):
    monkeypatch.setattr(few, "PROGRAM", few.Path(peers.__file__))
    (run,) = world.run("--only", "trainer", "--seeds", "0")
    assert run["accuracy"] in [n / 16 for n in range(17)]
    assert run["processor_seconds"] > 0


# ---------------------------------------------------------------- the draws and the grid


def write(file, rows) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Files as Banking77 and AG News publish them: intents a to l of 11 to 20 texts, c and d 15."""
    monkeypatch.setenv("MINIFT_DATA", str(tmp_path))
    few.load.cache_clear()
    counts = dict(zip("abcdefghijkl", (11, 20, 15, 15, 16, 17, 18, 19, 20, 20, 20, 20)))
    rows = [(f"{name} {n}", name) for n in range(20) for name in counts if n < counts[name]]
    write(tmp_path / "banking77" / "train.csv", [("text", "category"), *rows])
    test = [(f"{name} asked", name) for name in counts]
    write(tmp_path / "banking77" / "test.csv", [("text", "category"), *test])
    write(tmp_path / "ag_news" / "test.csv", [(n % 4 + 1, f"title {n}", "") for n in range(400)])
    yield counts
    few.load.cache_clear()


def test_all_intents_are_drawn_by_class_and_by_seed(published):
    drawn = few.draw("banking77", 120, 0)
    assert Counter(e.label for e in drawn) == dict.fromkeys(published, 10)
    assert len(set(drawn)) == 120 and drawn == few.draw("banking77", 120, 0)
    assert set(drawn) != set(few.draw("banking77", 120, 1))
    with pytest.raises(MiniftError, match="130 labels; expected 10 of each class"):
        few.draw("banking77", 130, 0)


def test_the_most_frequent_intents_are_kept_by_name_where_they_tie(published, monkeypatch):
    dataset = few.load("banking10")
    kept = sorted(published, key=lambda name: (-published[name], name))[:10]
    assert dataset.labels == tuple(sorted(kept)) == tuple("bcefghijkl")  # c, not d
    assert {e.label for e in (*dataset.train, *dataset.test)} == set(kept)
    assert len(dataset.train) == sum(published[name] for name in kept)
    assert few.draw("banking10", 50, 3) == subset(dataset.train, 50, 3)


def test_the_test_part_of_ag_news_is_split_and_no_text_is_on_two_sides(published):
    dataset = few.load("ag_news")
    sides = [{e.text for e in part} for part in (dataset.train, dataset.test)]
    assert not sides[0] & sides[1] and 200 < len(sides[0]) < 280 and 50 < len(sides[1]) < 110
    assert dataset.labels == ("World", "Sports", "Business", "Sci/Tech") and dataset.dev == ()


def test_a_large_test_part_is_drawn_once(monkeypatch):
    few.load.cache_clear()
    whole = few.load("reviews").test
    assert len(whole) == 400
    monkeypatch.setattr(few, "MOST", 50)
    few.load.cache_clear()
    assert few.load("reviews").test == subset(whole, 50, 0)
    few.load.cache_clear()


def asked(*options: str) -> list[few.Key]:
    parsed = {"only": None, "data": None, "labels": None, "seeds": None, "encoder": "minilm"}
    return list(few.jobs(SimpleNamespace(**{**parsed, **dict(zip(options[::2], options[1::2]))})))


def test_the_grid_is_that_of_the_issue_cheap_programs_first():
    keys = asked()
    assert len(set(keys)) == len(keys) == 15 * 6 * 5 + 15 * 3 + 9 * 3 + 6 * 3
    assert list(dict.fromkeys(key.what for key in keys)) == [
        "logistic", "head", "contrastive", "full", "bitfit", "freeze:3",
        "trainer", "setfit", "setfit:20",
    ]  # fmt: skip
    full = [key for key in keys if key.what == "full"]
    assert [key.seed for key in full] == sorted(key.seed for key in full)
    assert [key.labels for key in full][:15] == [16, *[50] * 4, *[100] * 4, *[300] * 4, 770, 1000]
    assert {key.labels for key in keys if key.what == "setfit"} == {16, 50, 100}
    assert {key.labels for key in keys if key.what == "setfit:20"} == {300, 770, 1000}


def test_every_pair_of_many_labels_is_made_only_where_it_is_named():
    named = asked("only", ["setfit"], "labels", [300], "data", ["sst2"], "seeds", [0, 4])
    assert named == [few.Key("sst2", 300, "setfit", "minilm", 0)]


# ---------------------------------------------------------------- the table


def line(what="full", seed=0, accuracy=0.8, spent=60.0, encoder="minilm", data="reviews") -> dict:
    run = few.Key(data, 16, what, encoder, seed)._asdict()
    run |= {"accuracy": accuracy, "seconds": 2 * spent, "processor_seconds": spent, "threads": 1}
    return run | {"tested": 400, "machine": "a machine", "versions": {"torch": "2"}}


def log(monkeypatch, **programs: tuple) -> few.Log:
    """Return made-up runs: accuracies of seed 0, 1, ... and the seconds of each run."""
    monkeypatch.setattr(few, "SIZES", {"reviews": (16,)})
    runs: few.Log = {}
    for what, (spent, *accuracies) in programs.items():
        for seed, accuracy in enumerate(accuracies):
            found = line(what.replace("_", ":"), seed, accuracy, spent)
            runs[few.Key(*(found[name] for name in few.Key._fields))] = found
    return runs


HEAD = (1, 0.5, 0.5, 0.5)
FULL = (60, 0.80, 0.82, 0.84, 0.99)  # a seed that SetFit has not
LOGISTIC = (1, 0.7, 0.7, 0.7)


def test_figures_are_those_computed_by_hand(monkeypatch):
    page = few.table(log(monkeypatch, full=FULL[:4], logistic=LOGISTIC, setfit=(165, 0.86, 0.8)))
    assert "| full | 82.0 (2.0), 60 s, 3 seeds |" in page
    assert "| setfit | 83.0 (4.2), 165 s, 2 seeds |" in page
    assert "| reviews, 400 test texts | 16 labels |" in page
    assert "| bitfit |" not in page
    assert "a machine" in page and "threads: 1" in page and "torch 2" in page


def test_it_is_said_where_another_program_is_better(monkeypatch):
    setfit = (165, 0.86, 0.87, 0.91)  # differences -6, -5, -7: -6 +- 4.303 * 1 / sqrt(3)
    runs = log(monkeypatch, head=HEAD, full=FULL, logistic=LOGISTIC, setfit=setfit)
    found = few.verdict("reviews", 16, runs)
    assert (found.own, found.peer, found.met) == ("full", "setfit", False)
    assert found.difference.interval == pytest.approx(
        (-0.06 - 0.024841, -0.06 + 0.024841), abs=1e-6
    )
    page = few.table(runs)
    row = "| reviews, 16 labels | full | setfit | -6.0 (-8.5 to -3.5) | 3 | 60 | 165 | NOT MET |"
    assert row in page
    assert "met at 0 of 1 sizes." in page
    said = (
        "- NOT MET at reviews, 16 labels: full is 6.0 points below setfit (-8.5 to -3.5), 3 seeds"
    )
    assert said + "\n" in page


def test_it_is_said_where_setfit_is_faster(monkeypatch):
    page = few.table(log(monkeypatch, full=FULL, logistic=LOGISTIC, setfit=(59, 0.8, 0.8, 0.8)))
    assert "NOT MET at reviews, 16 labels: full takes 60 s, SetFit 59 s" in page


def test_the_goal_is_met_within_the_interval(monkeypatch):
    setfit = (165, 0.84, 0.80, 0.85)  # differences -4, +2, -1: the interval holds 0
    page = few.table(log(monkeypatch, full=FULL, logistic=LOGISTIC, setfit=setfit))
    assert "| -1.0 (-8.5 to +6.5) | 3 | 60 | 165 | met |" in page
    assert "met at 1 of 1 sizes." in page and "NOT MET" not in page


def test_the_faster_of_both_kinds_of_setfit_counts(monkeypatch):
    runs = log(monkeypatch, full=FULL, setfit=(165, 0.8, 0.8, 0.8), setfit_20=(61, 0.7, 0.7, 0.7))
    assert few.verdict("reviews", 16, runs).setfit == 61


def test_what_is_not_known_is_not_claimed(monkeypatch):
    runs = log(monkeypatch, full=FULL, logistic=LOGISTIC)
    assert few.verdict("reviews", 16, runs).met is None
    assert "met at 0 of 1 sizes, and not known at 1." in few.table(runs)
    assert few.verdict("reviews", 16, log(monkeypatch, full=FULL)) is None
    assert "met at 0 of 0 sizes." in few.table(log(monkeypatch, full=FULL))


def test_a_word_that_refused_a_draw_is_not_the_best(monkeypatch):
    scores = {"head": {0: 0.5, 1: 0.5}, "contrastive": {0: 0.9, 1: None}}
    assert few.best(scores, few.WORDS) == "head"
    runs = log(monkeypatch, head=HEAD, contrastive=(9, 0.9, None), logistic=LOGISTIC)
    assert few.verdict("reviews", 16, runs).own == "head"
    assert "| contrastive | 90.0, 9.0 s, 2 seeds, refused 1 of 2 draws |" in few.table(runs)


def test_the_best_is_chosen_on_seeds_that_all_of_its_side_have():
    scores = {"logistic": {0: 0.6, 1: 0.9, 2: 0.9}, "trainer": {0: 0.7}}
    assert few.best(scores, few.PEERS) == "trainer"
    assert few.best({"full": {0: 0.7}, "head": {0: 0.7}}, few.WORDS) == "head"  # the cheaper
    assert few.best({}, few.WORDS) is None


def test_runs_of_another_encoder_are_not_mixed_in(world, capsys):
    lines = (json.dumps(line(encoder=name)) for name in ("minilm", world.encoder))
    world.log.write_text("\n".join(lines) + "\n")
    world.run("--table")
    page = capsys.readouterr().out
    assert page.count("encoder: ") == 1 and world.encoder in page and "minilm" not in page
