"""`minift compare`, proven on a tiny encoder.

claim                                                          oracle
a run is `minift.train` with Seeds.all(s), whatever the rest   the same call, made directly
methods differ in nothing but their slot                       methods that are equal by arithmetic
nothing is chosen on the reporting split                       what `train` was given, recorded
a run that diverges or collapses is counted, not dropped       the score of a constant answer
a killed process loses the run in progress and nothing else    SIGKILL, then an untouched comparison
two processes give what one gives                              the same comparison, in one
bad input ends before the first run, by name                   the words of each message
"""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import minift.compare
from minift.checkpoints.hub import resolve
from minift.cli.main import main
from minift.compare import grid, workers
from minift.compare.grid import Terms, Work
from minift.compare.lineup import (
    control_of,
    control_pairs,
    default_methods,
    first_choice,
    split_methods,
    split_roles,
    with_controls,
)
from minift.compare.runlog import open_log
from minift.compare.workers import Job, Plan, constant_score, gave_up, run_once
from minift.data.examples import Dataset, TaggedExample, TextExample
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.evaluate import Evaluation
from minift.runs.folder import load_run
from minift.runs.train import train
from minift.training.loop import Seeds
from tests.tiny import checkpoint, news, reviews, similarity


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def data():
    return reviews(64)


@pytest.fixture
def brisk(monkeypatch):
    """Rates at which the tiny encoder learns something in a few epochs."""
    monkeypatch.setitem(minift.methods.recipes.RATES, "full", 3e-3)


def compare(*arguments, **options):
    """`grid.compare` with the fields of its two dataclasses as options."""
    terms, work = (
        kind(**{f.name: options.pop(f.name) for f in fields(kind) if f.name in options})
        for kind in (Terms, Work)
    )
    return grid.compare(*arguments, terms=terms, work=work, **options)


def plan(data, encoder, *methods, choosing=(), **changes) -> Plan:
    settings = {m: replace(recipe(m).settings, epochs=2) for m in methods}
    values = {
        "data": data, "encoder": encoder, "settings": settings, "choosing": frozenset(choosing),
        "trained": dict.fromkeys(methods, 7),
    }  # fmt: skip
    return Plan(**{**values, **changes})


def never(plan, job):
    raise AssertionError(f"{job} is done again")


def content(folder: Path) -> list[dict]:
    """The rows of results.csv without what a clock measured."""
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(file)]


# The methods of a comparison


@pytest.mark.parametrize(
    "text,methods",
    [
        ("full,head, bitfit", ["full", "head", "bitfit"]),
        ("bitfit:query,intermediate,full", ["bitfit:query,intermediate", "full"]),
        (
            "full,bitfit:query,key,value+adaptive,head",
            ["full", "bitfit:query,key,value+adaptive", "head"],
        ),
        ("child-d:0.3,random,child-d:0.3", ["child-d:0.3,random", "child-d:0.3"]),
        ("occlusion:identity,0.1,full", ["occlusion:identity,0.1", "full"]),
        (
            "bitfit:query,output+child-d:0.5,lowest,freeze:-1",
            ["bitfit:query,output+child-d:0.5,lowest", "freeze:-1"],
        ),
        ("freeze:1,full,", ["freeze:1", "full"]),
        # mistakes are left to be refused: alone if like a method, else with what they follow
        ("bitfit:query,heda", ["bitfit:query", "heda"]),
        ("bitfit:query,freze:3", ["bitfit:query", "freze:3"]),
        ("child-d:0.3,randm", ["child-d:0.3,randm"]),
        ("full,randm", ["full", "randm"]),
    ],
)
def test_commas_separate_methods_and_arguments_of_methods(text, methods):
    assert split_methods(text) == methods


def test_every_list_of_methods_without_mistakes_survives_being_joined():
    known = {"full", "head", "bitfit", "bitfit:query,intermediate", "freeze:-1", "child-f:0.3"}
    known |= {"child-d:0.2,random", "child-d:0.2", "bitfit:key+child-f:0.5", "hybrid:9", "stable"}
    draw = random.Random(0)
    for _ in range(200):
        methods = draw.sample(sorted(known), draw.randint(1, 6))
        assert split_methods(",".join(methods)) == methods


def test_child_tuning_f_never_runs_without_its_control():
    names, notes = with_controls(["full", "child-f:0.3", "full"])
    assert names == ["full", "child-f:0.3", "full-sqrt:0.3"]
    assert len(notes) == 1
    assert "full-sqrt:0.3 was added as the control of child-f:0.3" in notes[0]
    assert with_controls(["full-sqrt:0.3", "child-f:0.3"])[1] == []


@pytest.mark.parametrize(
    "method,control",
    [
        ("child-f:0.5", "full-sqrt:0.5"),
        ("child-f:0.5+adaptive", "full-sqrt:0.5+adaptive"),
        ("bitfit+child-f:0.5", None),
        ("full", None),
        ("child-d:0.5", None),
    ],
)
def test_the_control_of_child_f_takes_its_share_and_its_schedule(method, control):
    assert control_of(method) == control


def test_child_d_is_compared_with_its_own_controls():
    names = ["child-d:0.3", "child-d:0.3,lowest", "child-d:0.3,random", "child-d:0.2"]
    assert control_pairs(names) == [
        ("child-d:0.3", "child-d:0.3,random"),
        ("child-d:0.3", "child-d:0.3,lowest"),
    ]


def test_bitfit_is_compared_with_random_parts_of_the_encoder():
    assert control_pairs(["full", "random-rows", "bitfit", "random-scalars"]) == [
        ("bitfit", "random-scalars"),
        ("bitfit", "random-rows"),
    ]
    assert control_pairs(["full", "random-rows"]) == []


def test_the_default_methods_freeze_half_of_the_layers_and_hold_the_first_choice(data, encoder):
    assert default_methods(data, encoder) == ["full", "head", "bitfit", "freeze:1"]
    found = default_methods(data, resolve("mini"))  # of three layers, its makers read the mean
    assert found == ["full", "head", "bitfit", "freeze:1", "contrastive"]


# Which examples


def test_with_a_test_split_dev_is_chosen_by_and_test_reported_on(data):
    roles, reporting, selection = split_roles(data)
    assert (roles.dev, roles.test) == (data.dev, data.test)
    assert (reporting, selection) == (
        "the test split (16 examples)",
        "the development split (16 examples)",
    )


@pytest.mark.parametrize("unlabelled", [False, True])
def test_without_a_labelled_test_split_dev_is_cut_in_two_by_its_texts_alone(unlabelled):
    many = reviews(4000)
    hidden = (TextExample("1", "secret"),) if unlabelled else ()
    dev = (*many.dev, *(replace(e, id=e.id + "-again") for e in many.dev[:50]))
    roles, reporting, _ = split_roles(replace(many, dev=dev, test=hidden))
    assert sorted(e.id for e in (*roles.dev, *roles.test)) == sorted(e.id for e in dev)
    assert not {e.text for e in roles.dev} & {e.text for e in roles.test}
    assert 0.4 < len(roles.test) / len(dev) < 0.6
    assert "there is no labelled test split" in reporting
    # an independent statement of the rule: the first byte of the digest is odd
    odd = {e.text for e in dev if int(hashlib.sha256(e.text.encode()).hexdigest()[:2], 16) % 2}
    assert {e.text for e in roles.test} == odd
    shuffled = random.Random(1).sample(dev, len(dev))
    again = split_roles(replace(many, dev=tuple(shuffled), test=hidden))[0]
    assert set(again.test) == set(roles.test)


def test_sentences_are_cut_by_their_words_and_pairs_by_their_first_text():
    roles = split_roles(replace(news(80), test=()))[0]
    assert roles.dev
    assert roles.test
    pairs = tuple(TextExample(str(n), f"q{n // 3}", "a", f"answer {n}") for n in range(60))
    roles = split_roles(replace(reviews(8), dev=pairs, test=()))[0]
    assert not {e.text for e in roles.dev} & {e.text for e in roles.test}


# One run


def weights_of(folder: Path, method: str, seed: int) -> bytes:
    name = f"{method}-24-s{seed}".replace(":", "").replace(",", "-")
    return (folder / name / "model.safetensors").read_bytes()


@pytest.mark.parametrize("method", ["full", "adaptive"])
def test_a_run_is_train_with_one_seed_for_all_streams(method, data, encoder, brisk, tmp_path):
    choosing = [method] if method == "adaptive" else []
    shared = plan(data, encoder, method, choosing=choosing, weights=tmp_path)
    found = run_once(shared, Job(method, 24, 3))
    _, expected = train(
        data, encoder, recipe(method), labels=24, seeds=Seeds.all(3),
        settings=shared.settings[method], out=tmp_path / "direct",
    )  # fmt: skip
    direct = (tmp_path / "direct" / "model.safetensors").read_bytes()
    assert weights_of(tmp_path, method, 3) == direct
    assert (found.test, found.dev) == (expected["test"], expected["dev"])
    assert (found.epochs, found.stopped) == (expected["epochs"], expected["stopped"])
    assert found.selection_examples == (16 if method == "adaptive" else 0)


def test_methods_that_are_the_same_by_arithmetic_get_the_same_weights(
    data, encoder, brisk, tmp_path
):
    # freeze:0 freezes nothing, and a child that keeps every gradient is the whole network
    same, other = ("full", "freeze:0", "child-f:1", "full-sqrt:1"), "child-f:0.5"
    shared = plan(data, encoder, *same, other, weights=tmp_path)
    for name in (*same, other):
        run_once(shared, Job(name, 24, 0))
    assert len({weights_of(tmp_path, name, 0) for name in same}) == 1
    assert weights_of(tmp_path, other, 0) != weights_of(tmp_path, "full", 0)


@pytest.mark.parametrize(
    "selection,seen", [(None, {"full": 0, "adaptive": 16}), (5, {"full": 0, "adaptive": 5})]
)
def test_training_sees_the_selection_split_only_to_choose_and_the_reporting_split_never(
    selection, seen, data, encoder, tmp_path, monkeypatch
):
    given = []

    def recorded(dataset, *arguments, **options):
        given.append((arguments[1].name, dataset))
        return train(dataset, *arguments, **options)

    monkeypatch.setattr(workers, "train", recorded)
    comparison = compare(
        data, encoder, "full,adaptive", 16, 1, tmp_path / "out", epochs=1, selection=selection
    )
    assert len(given) == 2
    for method, dataset in given:
        assert dataset.test == ()
        assert len(dataset.dev) == seen[method]
        assert set(dataset.dev) <= set(data.dev)
    assert {run.method: run.selection_examples for run in comparison.runs} == seen
    assert all(run.dev is not None for run in comparison.runs)
    shown = {m: s["chooses by"] for m, s in comparison.settings.items()}
    assert shown == {m: str(count) for m, count in seen.items()}


def test_a_small_selection_split_is_drawn_anew_for_each_seed_and_alike_for_all_methods(
    data, encoder, tmp_path, monkeypatch
):
    given = []
    monkeypatch.setattr(
        workers, "train", lambda d, *a, **o: given.append(d.dev) or train(d, *a, **o)
    )
    names = "adaptive,bitfit+adaptive"
    compare(data, encoder, names, 16, 2, tmp_path / "out", epochs=1, selection=6)
    assert given[0] == given[1] != given[2] == given[3]


def test_a_rate_factor_is_on_every_methods_own_rate(data, encoder, tmp_path):
    comparison = compare(
        data, encoder, "full,bitfit,head", 16, 1, tmp_path / "out", epochs=1, rate_factor=6.0
    )
    solved = comparison.settings["head"]
    assert (solved["length"], solved["learning rate"], solved["batch"]) == ("solved", "", "")
    assert comparison.settings["full"]["length"] == "1 epoch"
    test = replace(data, dev=())
    for run in comparison.runs:
        own = recipe(run.method).settings
        changed = replace(own, epochs=1, learning_rate=6 * own.learning_rate)
        _, result = train(
            test, encoder, recipe(run.method), labels=16, seeds=Seeds.all(0), settings=changed
        )
        assert run.test == result["test"]
        shown = comparison.settings[run.method]["learning rate"] or changed.learning_rate
        assert float(shown) == pytest.approx(changed.learning_rate)
    with pytest.raises(MiniftError, match="rate_factor must be a positive number, got 0"):
        compare(data, encoder, "head", 16, 1, tmp_path / "none", rate_factor=0.0)


def test_a_run_that_diverges_failed_and_counts_as_a_constant_answer(
    data, encoder, tmp_path, monkeypatch
):
    monkeypatch.setitem(minift.methods.recipes.RATES, "full", 1e38)
    comparison = compare(data, encoder, "full,head", 24, 1, tmp_path / "out", epochs=4)
    diverged, other = comparison.runs
    assert diverged.failed
    assert diverged.note.startswith("the loss became")
    labels = [e.label for e in data.test]
    assert diverged.test == diverged.constant
    assert diverged.test in {labels.count(label) / len(labels) for label in data.labels}
    assert not other.note.startswith("the loss became")
    assert "the loss became" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_a_constant_answer_is_the_commonest_training_label_scored_on_the_reporting_split(data):
    drawn = data.train[:9]
    commonest = max(data.labels, key=[e.label for e in drawn].count)
    share = sum(e.label == commonest for e in data.test) / len(data.test)
    assert constant_score(data, drawn, data.test) == share
    assert constant_score(replace(data, metric="matthews"), drawn, data.test) == 0.0
    for other in (news(), similarity()):  # no entity at all; no correlation
        assert constant_score(other, other.train, other.test) == 0.0


def test_giving_up_is_predicting_the_same_for_everything_or_nothing_finite(data):
    def judged(predicted, examples):
        return gave_up(Evaluation({}, 0.0, predicted), examples)

    labels = [e.label for e in data.test]
    assert not judged(labels, data.test)
    assert judged(["positive"] * len(labels), data.test)
    sentences = (TaggedExample("1", ("Ada", "saw"), ("B-PER", "O")),)
    assert judged([["O", "O"]], sentences)
    assert not judged([["B-PER", "O"]], sentences)
    numbers = similarity().test
    assert judged([1.5] * len(numbers), numbers)
    assert judged([float("nan")] * len(numbers), numbers)
    assert not judged([float(n) for n in range(len(numbers))], numbers)


@pytest.mark.parametrize("dataset", [news(24), similarity(24)], ids=lambda d: d.task)
def test_tagging_and_regression_are_compared_too(dataset, encoder, tmp_path):
    methods = "head,child-d:0.5,bitfit:query,output"
    comparison = compare(dataset, encoder, methods, 8, 1, tmp_path / "out", epochs=1)
    assert comparison.methods == ("head", "child-d:0.5", "bitfit:query,output")
    assert {run.constant for run in comparison.runs} == {0.0}
    assert comparison.metric in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_weights_are_kept_only_if_asked_for_and_give_the_reported_score(data, encoder, tmp_path):
    run = run_once(
        plan(data, encoder, "bitfit:query,output", weights=tmp_path / "weights"),
        Job("bitfit:query,output", 24, 0),
    )
    (folder,) = (tmp_path / "weights").iterdir()
    assert load_run(folder).evaluate(data.test).scores["accuracy"] == run.test


# Going on


@pytest.fixture(scope="module")
def finished(data, encoder, tmp_path_factory):
    """Arguments of a comparison, and its untouched results."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    arguments = (data, encoder, "full,child-f:0.5", [16, 24], 2)
    return arguments, folder, compare(*arguments, folder, epochs=2)


def test_a_comparison_holds_every_method_size_and_seed_once(finished):
    _, folder, comparison = finished
    assert comparison.methods == ("full", "child-f:0.5", "full-sqrt:0.5")
    jobs = [(run.method, run.labels, run.seed) for run in comparison.runs]
    assert len(set(jobs)) == len(jobs) == comparison.planned == 3 * 2 * 2
    assert [run.seed for run in comparison.runs] == [0] * 6 + [1] * 6  # whole seeds first
    assert len(content(folder)) == 12
    names = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
    assert names == {"compare.json", "runs.jsonl", "results.csv", "report.md", "report.html"}


def test_the_same_command_does_nothing_again(finished, monkeypatch):
    arguments, folder, comparison = finished
    monkeypatch.setattr(grid, "run_once", never)
    before = content(folder)
    assert compare(*arguments, folder, epochs=2).runs == comparison.runs
    assert content(folder) == before


def copied(folder: Path, target: Path, lines: int) -> Path:
    """A comparison that was stopped after so many runs."""
    target.mkdir()
    (target / "compare.json").write_bytes((folder / "compare.json").read_bytes())
    rows = (folder / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (target / "runs.jsonl").write_bytes(b"".join(rows[:lines]))
    return target


def test_a_line_that_a_kill_cut_off_is_done_again(finished, tmp_path):
    arguments, folder, _ = finished
    stopped = copied(folder, tmp_path / "out", 10)
    rows = (folder / "runs.jsonl").read_bytes().splitlines()
    with (stopped / "runs.jsonl").open("ab") as file:
        file.write(rows[10][:50])
    compare(*arguments, stopped, epochs=2)
    assert content(stopped) == content(folder)
    compare(*arguments, stopped, epochs=2)  # what was written after it can be read
    assert content(stopped) == content(folder)


def test_a_damaged_line_is_named(finished, tmp_path):
    arguments, folder, _ = finished
    stopped = copied(folder, tmp_path / "out", 3)
    with (stopped / "runs.jsonl").open("ab") as file:
        file.write(b'{"method": "full"}\n')
    with pytest.raises(MiniftError, match=r"runs.jsonl, line 4: not a run of this version"):
        compare(*arguments, stopped, epochs=2)


def test_seeds_and_methods_can_be_added_and_the_report_covers_all(finished, tmp_path, monkeypatch):
    (data, encoder, _, _, _), folder, _ = finished
    stopped = copied(folder, tmp_path / "out", 12)
    done = []
    once = workers.run_once
    monkeypatch.setattr(grid, "run_once", lambda p, j: done.append(j) or once(p, j))
    comparison = compare(data, encoder, "full,freeze:1", 16, [1, 7], stopped, epochs=2)
    assert set(done) == {Job("full", 16, 7), Job("freeze:1", 16, 1), Job("freeze:1", 16, 7)}
    assert comparison.methods == ("full", "freeze:1", "child-f:0.5", "full-sqrt:0.5")
    assert len(content(stopped)) == 15


def test_a_changed_setup_in_the_same_folder_is_refused_by_name(finished, encoder, tmp_path):
    (data, *rest), folder, _ = finished
    before = content(folder)
    fewer = replace(data, test=data.test[1:])
    stranger = checkpoint(tmp_path / "encoder", seed=1)
    for changed, options, words in (
        ((data, *rest), {"epochs": 3}, r"epochs of full was 2 and is now 3"),
        ((data, *rest), {"epochs": 2, "selection": 3}, r"selection was None and is now 3"),
        ((fewer, *rest), {"epochs": 2}, r"data digest was \w+ and is now \w+"),
        ((data, stranger, *rest[1:]), {"epochs": 2}, r"encoder digest was"),
    ):
        with pytest.raises(MiniftError, match=words):
            compare(*changed, folder, **options)
    assert content(folder) == before


def test_a_comparison_of_an_older_version_is_refused_by_its_version(finished, tmp_path):
    arguments, folder, _ = finished
    stopped = copied(folder, tmp_path / "out", 3)
    setup = json.loads((stopped / "compare.json").read_text())
    (stopped / "compare.json").write_text(json.dumps({**setup, "minift_version": "0.1.0"}))
    with pytest.raises(MiniftError, match=r"minift version was 0\.1\.0 and is now"):
        compare(*arguments, stopped, epochs=2)


def test_the_same_encoder_in_another_place_goes_on(finished, tmp_path, monkeypatch):
    (data, _, *rest), folder, comparison = finished
    monkeypatch.setattr(grid, "run_once", never)
    elsewhere = checkpoint(tmp_path / "moved")
    assert compare(data, elsewhere, *rest, folder, epochs=2).runs == comparison.runs


def test_two_processes_do_not_write_to_one_folder(tmp_path):
    setup = {"methods": {}, "minift_version": "0", "selection": None, "device": ""}
    setup |= {"data": "d", "data_digest": "1", "encoder": "e", "encoder_digest": "2"}
    with (
        open_log(tmp_path / "out", setup),
        pytest.raises(MiniftError, match=rf"is in use by process {os.getpid()} on \S+; wait"),
        open_log(tmp_path / "out", setup),
    ):
        pass
    with open_log(tmp_path / "out", setup) as log:  # the lock goes with its owner
        assert log.done == {}


@pytest.fixture(scope="module")
def files(data, encoder, tmp_path_factory):
    """Options of the command line for files of the same data."""
    folder = tmp_path_factory.mktemp("files")
    for split in ("train", "dev", "test"):
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            rows.writerows((e.text, e.label) for e in getattr(data, split))
    splits = [f"--{split}={folder / split}.csv" for split in ("train", "dev", "test")]
    return [*splits, f"--encoder={encoder}"]


def test_a_killed_process_loses_only_the_run_in_progress(files, tmp_path):
    command = ["compare", *files, "--methods=full,head", "--labels=16", "--seeds=3", "--epochs=3"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen(
        [sys.executable, "-m", "minift", *command, f"--out={killed}"],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    runs = killed / "runs.jsonl"
    while process.poll() is None and not (runs.exists() and runs.read_bytes().count(b"\n") >= 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = runs.read_bytes().splitlines()
    assert 2 <= len(kept) < 6
    assert not (killed / "results.csv").exists()
    assert main([*command, f"--out={killed}"]) == 0
    assert main([*command, f"--out={whole}"]) == 0
    assert content(killed) == content(whole)
    assert runs.read_bytes().splitlines()[: len(kept)] == kept


def test_an_interrupt_reports_what_is_done_and_says_how_to_go_on(
    files, tmp_path, monkeypatch, capsys
):
    once, begun = workers.run_once, []

    def interrupted(shared, job):
        begun.append(job)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return once(shared, job)

    monkeypatch.setattr(grid, "run_once", interrupted)
    out = tmp_path / "out"
    command = ["compare", *files, "--methods=full,head", "--labels=16", "--seeds=2", "--epochs=1"]
    assert main([*command, f"--out={out}"]) == 130
    error = capsys.readouterr().err
    assert f"finished runs: 2 of 4, reported in {out}/report.md" in error
    assert "the same command resumes" in error
    assert len(content(out)) == 2
    assert "Runs that are not finished yet: 2 of 4" in (out / "report.md").read_text(
        encoding="utf-8"
    )
    monkeypatch.setattr(grid, "run_once", once)
    assert main([*command, f"--out={out}"]) == 0
    assert len(content(out)) == 4


def test_a_budget_ends_before_a_seed_that_would_not_fit(
    data, encoder, tmp_path, monkeypatch, capsys
):
    now, once, begun = [0.0], workers.run_once, []

    def slow(shared, job):
        begun.append(job)
        now[0] += 60.0
        return once(shared, job)

    monkeypatch.setattr(grid, "run_once", slow)
    monkeypatch.setattr(grid.time, "monotonic", lambda: now[0])
    arguments = (data, encoder, "full,head", 16, 3, tmp_path / "out")
    comparison = compare(*arguments, budget_minutes=3.9, epochs=1, progress=True)
    assert "one seed took 120 s; 0 of the other 2 fit" in capsys.readouterr().err
    assert begun == [Job("full", 16, 0), Job("head", 16, 0)]  # the first seed is not yet measured
    said = "stopped before seed 1: one took up to 2.0 minutes, and 1.9 of the budget of 3.9 were"
    assert comparison.notes[0].startswith(said)
    assert comparison.planned == 6 and len(comparison.runs) == 2
    comparison = compare(*arguments, budget_minutes=4, epochs=1)  # resumes, to the minute
    assert len(begun) == 6
    assert not any("stopped" in note for note in comparison.notes)


def test_two_processes_give_what_one_gives(data, encoder, tmp_path):
    arguments = (data, encoder, "full,head", 16, [3])
    alone = compare(*arguments, tmp_path / "one", epochs=2)
    both = compare(*arguments, tmp_path / "two", epochs=2, processes=2)
    # Each process has its share of the threads, which is all that may differ.
    runs = [[{**row, "threads": ""} for row in content(tmp_path / n)] for n in ("two", "one")]
    assert runs[0] == runs[1]
    assert {run.threads for run in both.runs} == {max(1, torch.get_num_threads() // 2)}
    assert len(list((tmp_path / "two").glob("*.lock"))) <= 1
    assert both.methods == alone.methods
    assert multiprocessing.active_children() == []


# The command line


def test_the_command_prints_tables_sentences_and_where_the_report_is(files, tmp_path, capsys):
    command = ["compare", *files, "--methods=full,child-f:0.3", "--labels=16", "--epochs=1"]
    assert main([*command, "--seeds=3", f"--out={tmp_path / 'out'}"]) == 0
    out = capsys.readouterr().out
    assert "16 labels of train: accuracy in points" in out
    assert "note: full-sqrt:0.3 was added as the control of child-f:0.3" in out
    assert f"report: {tmp_path / 'out' / 'report.html'}" in out
    setup = json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    assert list(setup["methods"]) == ["full", "child-f:0.3", "full-sqrt:0.3"]


BAD = [
    (["--methods=full,bitft"], r'unknown method "bitft"; known: .* did you mean "bitfit"'),
    (["--methods=full,bitfit:query,intermediat"], r'did you mean "intermediate"'),
    (["--methods=child-d:0.3,randm"], r'did you mean "random"'),
    (["--methods=full,child-f:3"], r'"child-f:3": expected a number in \(0, 1\]'),
    (["--methods=full+head"], r'both fill the slot "trainable"'),
    (["--methods=,"], r"there is no method to compare"),
    (["--methods=full,freeze:7"], r'"freeze:7": cannot freeze 7 layers .* the encoder has 2'),
    (
        ["--methods=head+child-d:0.3"],
        r'"head\+child-d:0.3": the head alone is solved',
    ),
    (["--methods=original", "--epochs=1"], r'"original": this schedule needs at least 3 epochs'),
    (["--seeds=3,-1"], r"seeds must be whole numbers from 0 up, got \[3, -1\]"),
    (["--labels=0"], r"labels must be whole numbers from 1 up"),
    (["--labels=16,4000"], r"--labels 4000: the training split has 32 examples"),
    (["--labels=1"], r"every training example .1. has the label"),
    (["--processes=0"], r"processes must be a whole number from 1 up"),
    (["--budget-minutes=-1"], r"--budget-minutes must be a positive number"),
    (["--selection=17"], r"--selection 17: there are 16 examples to choose by"),
    (["--epochs=0"], r"--epochs must be a whole number from 1 up"),
    (["--out={file}"], r"is a file; --out names a folder"),
    (["--out={other}"], r"holds something else \(notes.txt\); choose another --out"),
    (["--out={foreign}"], r"compare.json: cannot be read as JSON"),
]


@pytest.mark.parametrize("options,message", BAD, ids=[" ".join(options) for options, _ in BAD])
def test_bad_input_ends_before_the_first_run(
    options, message, files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(grid, "deal", None)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for name, inside in (("other", "notes.txt"), ("foreign", "compare.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / inside).write_text("mine", encoding="utf-8")
    places = {name: str(tmp_path / name) for name in ("file", "other", "foreign")}
    options = [option.format(**places) for option in options]
    if not any(option.startswith("--out") for option in options):
        options.append(f"--out={tmp_path / 'out'}")
    before = sorted(tmp_path.rglob("*"))
    assert main(["compare", *files, "--methods=full", "--labels=16", *options]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("minift: ")
    assert re.search(message, printed.err), printed.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_choosing_method_without_a_development_split_is_named(files, tmp_path, capsys):
    without = [option for option in files if not option.startswith("--dev")]
    command = ["compare", *without, "--labels=16", f"--out={tmp_path / 'out'}"]
    assert main([*command, "--methods=full,adaptive"]) == 1
    assert "adaptive: the run would choose by a development split" in capsys.readouterr().err
    assert main([*command, "--methods=full", "--seeds=1", "--epochs=1"]) == 0
    assert content(tmp_path / "out")[0]["dev"] == ""


def test_without_examples_to_report_on_nothing_starts(files, tmp_path, capsys):
    without = [option for option in files if not option.startswith(("--dev", "--test"))]
    one = tmp_path / "one.csv"
    one.write_text("text,label\ngood,positive\n", encoding="utf-8")
    assert main(["compare", *without, f"--dev={one}", f"--out={tmp_path / 'out'}"]) == 1
    assert "give labelled examples to report on (--test)" in capsys.readouterr().err


def test_words_for_numbers_are_bad_usage(files, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compare", *files, "--labels=some"])
    assert stop.value.code == 2
    assert "expected a whole number, or several such as 100,300" in capsys.readouterr().err


def test_who_names_no_method_gets_what_was_measured_best():
    def data(task="classification", pairs=False, of="ab", n=40):
        train = tuple(
            TextExample(str(i), f"text {i}", float(i) if task == "regression" else of[i % len(of)],
                        f"other {i}" if pairs else None)
            for i in range(n)
        )  # fmt: skip
        return Dataset("x", task, () if task == "regression" else tuple(sorted(set(of))), train)

    cases = {
        "contrastive": [data(), data(of="abcd", n=41), data(n=1000)],
        "head": [data(of="abcd", n=40), data(of="a" * 38 + "bb")],
        "full": [data(n=1001), data(pairs=True), data("regression")],
        "full+start:probe": [data("regression", pairs=True)],
    }
    for method, sets in cases.items():
        assert [first_choice(one, "mini") for one in sets] == [method] * len(sets)
    # an encoder whose makers do not say that its mean is read, or another head
    assert first_choice(data(), "tiny") == first_choice(data(), "mini", "linear") == "full"
    assert first_choice(data("regression", pairs=True), "tiny") == "full"
    sentence = TaggedExample("1", ("Ann",), ("B-PER",))
    tagging = Dataset("y", "tagging", ("O", "B-PER", "I-PER"), (sentence,))
    assert first_choice(tagging, "mini") == "full"
