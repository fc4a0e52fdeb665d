"""Cross-validation, proven.

claim                                                    oracle
folds share no text, are even, and stratified            counts; scikit-learn's StratifiedKFold
a group, and equal texts, stay together                  connected components, by brute force
a fold's run is `train` on the others                    train, by hand: score and logits
a frozen encoder reads each text once, for all folds     tokens counted; states made anew per fold
the same figures as `minift compare`                     its runs
finished folds are not repeated, others are refused      trained folds counted; the log changed
fewer folds where classes or groups are too few, not     notes and errors, word for word
  where a rare class of several is
a budget of time is kept from the third fold on          a budget of nothing
what is dealt alike again is not counted again           two groups; the scores
random labels give chance                                the interval holds .5
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from minift.checkpoints.hub import resolve
from minift.checkpoints.weights import load_tokenizer
from minift.cli.main import main
from minift.compare.grid import Terms, compare
from minift.data.examples import Dataset, TaggedExample, TextExample
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs import fit as fitting
from minift.runs import folds as module
from minift.runs import train as training
from minift.runs.evaluate import predict_logits
from minift.runs.fit import frozen_states
from minift.runs.folds import cross_validate, fold, part, possible_folds, possible_repeats
from minift.runs.train import train
from minift.training.loop import Seeds
from tests.tiny import tokens_seen


def texts(labels, groups=None):
    rows = zip(labels, groups or [None] * len(labels))
    train = [TextExample(str(i), f"text {i}", c, None, g) for i, (c, g) in enumerate(rows)]
    return Dataset("texts", "classification", tuple(sorted(set(labels))), tuple(train))


@pytest.fixture(scope="module")
def reviews():
    found = load_dataset("reviews")
    return replace(found, train=found.train[:60], dev=(), test=())


@given(st.lists(st.sampled_from("aaab"), min_size=10, max_size=60), st.integers(2, 5))
@settings(max_examples=100, deadline=None)
def test_folds_part_the_texts_evenly_and_each_class_evenly(labels, k):
    data = texts([*labels, "a", "b"])
    for repeat in range(2):
        dealt = [fold(data, k, repeat * k + f) for f in range(k)]
        assert sorted(i for one in dealt for i in one) == [*range(len(data.train))]
        for name in "ab":  # as even as scikit-learn's StratifiedKFold: a class differs by one
            counts = [sum(data.train[i].label == name for i in one) for one in dealt]
            assert max(counts) - min(counts) <= 1
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_repeats_deal_anew_and_a_number_always_gives_the_same_fold():
    data = texts(["a", "b"] * 20)
    assert fold(data, 5, 3) == fold(data, 5, 3)
    assert fold(data, 5, 3) != fold(data, 5, 8)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=12, max_size=40))
@settings(max_examples=100, deadline=None)
def test_neither_a_group_nor_equal_texts_are_parted(rows):
    train = [
        TextExample(str(i), f" Text\n{text}".upper() if i % 2 else f"text {text} ", "ab"[i % 2],
                    None, f"g{group}" if group < 8 else None)
        for i, (text, group) in enumerate(rows)
    ]  # fmt: skip
    data = Dataset("texts", "classification", ("a", "b"), tuple(train))
    tied = {i: {i} for i in range(len(rows))}  # connected components: merge until nothing changes
    while True:
        before = {i: len(one) for i, one in tied.items()}
        for i, (text, group) in enumerate(rows):
            for j, (other, another) in enumerate(rows):
                if text == other or (group == another and group < 8):
                    tied[i] |= tied[j]
        if before == {i: len(one) for i, one in tied.items()}:
            break
    for f in range(3):
        held = {*fold(data, 3, f)}
        assert all(tied[i] <= held for i in held)


def test_regression_and_entities_are_stratified_too():
    numbers = tuple(TextExample(str(i), f"t{i}", float(i)) for i in range(50))
    data = Dataset("numbers", "regression", (), numbers)
    for f in range(5):
        assert Counter(int(data.train[i].label) // 10 for i in fold(data, 5, f)) == {
            fifth: 2 for fifth in range(5)
        }
    tags = [("B-PER",) if i % 5 == 0 else ("O",) for i in range(50)]
    sentences = tuple(TaggedExample(str(i), (f"w{i}",), t) for i, t in enumerate(tags))
    data = Dataset("entities", "tagging", ("O", "B-PER", "I-PER"), sentences)
    for f in range(5):
        assert sum(data.train[i].tags == ("B-PER",) for i in fold(data, 5, f)) == 2


def test_a_fold_is_a_run_on_the_others(reviews):
    estimate, answers = cross_validate(reviews, "tiny", "head", folds=3, repeats=1)
    logits = dict(answers)
    assert sorted(logits) == [*range(60)]
    for f in range(3):
        held = fold(reviews, 3, f)
        for cache, near in ((frozen_states(reviews, "tiny", recipe("head"), None, "cpu"), 0),
                            (None, 1e-4)):  # fmt: skip
            # Alone, it reads the texts in other batches, which round differently.
            mine = part(reviews, 3, f)
            tuned, result = train(mine, "tiny", "head", seeds=Seeds.all(f), cache=cache)
            assert estimate.scores[f] == result["test"]
            items = tuned.items([reviews.train[i] for i in held])
            own = predict_logits(tuned.model, items, make_batch=tuned.make_batch)
            for i, row in zip(held, own):
                torch.testing.assert_close(logits[i], row, rtol=0, atol=near)
    assert estimate.mean == pytest.approx(sum(estimate.scores) / 3)
    assert (estimate.folds, estimate.labels) == (3, 40)


@pytest.mark.parametrize("command", ["folds", "compare"])
def test_a_frozen_encoder_reads_each_text_once_for_all_folds(
    command, reviews, tmp_path, monkeypatch
):
    seen = [tokens_seen(monkeypatch, which) for which in (fitting, training)]
    if command == "folds":
        cross_validate(reviews, "tiny", "head", repeats=2)
    else:
        compare(reviews, "tiny", ["head"], seeds=10, out=tmp_path / "c")
    encoded = load_tokenizer("tiny").encode([example.text for example in reviews.train])
    assert [sum(one) for one in seen] == [sum(len(one.input_ids) for one in encoded), 0]


def test_states_of_other_weights_are_not_taken(reviews):
    states = frozen_states(reviews, "tiny", recipe("head"), None, "cpu")
    with pytest.raises(MiniftError, match="computed with other weights, or not all of them are fr"):
        train(part(reviews, 3, 0), "tiny", "full", seeds=0, cache=states)
    assert frozen_states(reviews, "tiny", recipe("full"), None, "cpu") is None
    assert frozen_states(reviews, "tiny", recipe("bitfit"), None, "cpu") is None  # has dropout


def test_compare_gives_the_same_figures(reviews, tmp_path):
    estimate, _ = cross_validate(reviews, "tiny", "head", repeats=1)
    once = Terms(epochs=1)
    found = compare(reviews, "tiny", ["head", "full"], out=tmp_path / "c", terms=once)
    assert tuple(run.test for run in found.of("head", 48)) == estimate.scores
    assert found.unit == "fold"
    page = (tmp_path / "c" / "report.md").read_text(encoding="utf-8")
    low, high = (100 * end for end in estimate.interval)
    assert f"{low:.1f} to {high:.1f}" in page
    assert "take " in page


def test_finished_folds_are_kept_and_other_calls_are_refused(reviews, tmp_path, monkeypatch):
    log, trained = tmp_path / "folds.jsonl", []

    def counting(*arguments, **others):
        trained.append(arguments)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(*arguments, **others)

    monkeypatch.setattr(module, "train", counting)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(reviews, "tiny", "head", folds=4, repeats=1, log=log)
    again = cross_validate(reviews, "tiny", "head", folds=4, repeats=1, log=log)
    assert len(trained) == 3 + 2
    monkeypatch.undo()
    at_once = cross_validate(reviews, "tiny", "head", folds=4, repeats=1)
    assert replace(again[0], seconds=0) == replace(at_once[0], seconds=0)
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(again[1], at_once[1]))
    with pytest.raises(MiniftError, match="holds folds of other data, or of another encoder"):
        cross_validate(reviews, "tiny", "bitfit", folds=4, repeats=1, log=log)


def test_a_budget_is_kept_after_the_second_fold(reviews):
    found, answers = cross_validate(reviews, "tiny", "head", budget_minutes=1e-9)
    assert len(found.scores) == 2
    assert len(answers) == 24
    assert found.notes == (
        "2 of 25 folds are done; the next would not have ended in 1e-09 minutes",
    )
    assert "5 folds (2 of them done)" in str(found)


def test_fewer_folds_are_said():
    assert possible_folds(texts(["a"] * 20 + ["b"] * 20)) == (5, [])
    few, notes = possible_folds(texts(["a"] * 20 + ["b"] * 3))
    assert (few, notes) == (3, ['3 folds instead of 5, as class "b" has 3 texts'])
    few, notes = possible_folds(texts(["a"] * 20 + ["b"] * 20 + ["c"]))
    assert (few, notes) == (
        5,
        ['class "c" is in one fold alone, so no model that is asked for it has learned it'],
    )
    alone = 'class "b" is in one text alone, so the fold that holds it leaves a single class'
    with pytest.raises(MiniftError, match=alone):
        possible_folds(texts(["a"] * 20 + ["b"]))
    with pytest.raises(MiniftError, match=r"is in one group alone.* label more groups of it"):
        possible_folds(texts(["a", "b"] * 10, ["x", "y"] * 10))
    # Of several classes, a rare one is missing in some folds, whether it has one text or two.
    for count in (2, 3, 4):
        data = texts(["a"] * 20 + ["b"] * 20 + ["c"] * count)
        said = 'class "c" is in fewer texts than there are folds, so not in each of the 5'
        assert possible_folds(data) == (5, [said])
        assert all(len({e.label for e in part(data, 5, f).train}) == 3 for f in range(5))
        assert possible_folds(replace(data, positive="c"))[0] == count  # f1 is of it
    few, notes = possible_folds(texts(["a"] * 20 + ["b"] * 4 + ["c"] * 2 + ["d"] * 2 + ["e"]))
    assert (few, notes[0]) == (4, '4 folds instead of 5, as class "b" has 4 texts')
    assert notes[1].startswith("2 classes are in fewer texts than there are folds")
    assert notes[2].startswith('class "e" is in one fold alone')
    few, notes = possible_folds(texts(["a", "b"] * 10, ["x", "y", "z", "z"] * 5))
    assert (few, notes) == (2, ['2 folds instead of 5, as class "a" has 2 groups'])
    few, notes = possible_folds(Dataset("n", "regression", (), texts([0.1, 0.5, 0.9]).train))
    assert (few, notes) == (3, ["3 folds instead of 5, as there are 3 texts"])  # and no class
    with pytest.raises(MiniftError, match="texts has 1 of the two or more groups"):
        possible_folds(texts(["a", "b"] * 10, ["x"] * 20))
    with pytest.raises(MiniftError, match="folds must be a whole number from 2 up, got 1"):
        possible_folds(texts(["a", "b"]), 1)


def test_groups_that_are_dealt_alike_each_time_are_dealt_once(reviews):
    two = texts(["a", "b"] * 20, ["long"] * 30 + ["short"] * 10)
    assert possible_repeats(two, 2) == 1
    assert possible_repeats(texts(["a", "b"] * 20), 5) == 5
    named = tuple(replace(e, group="ab"[i < 40]) for i, e in enumerate(reviews.train))
    estimate, _ = cross_validate(replace(reviews, train=named), "tiny", "head", folds=2)
    assert len(estimate.scores) == 2  # five times the same two would look like ten


def test_another_encoder_in_the_same_folder_is_not_taken_for_the_first(reviews, tmp_path):
    folder, log = shutil.copytree(resolve("tiny"), tmp_path / "e"), tmp_path / "folds.jsonl"
    cross_validate(reviews, folder, "head", folds=2, repeats=1, log=log)
    weights = load_file(folder / "model.safetensors")
    save_file({n: t + 1 for n, t in weights.items()}, folder / "model.safetensors")
    with pytest.raises(MiniftError, match="of another encoder"):
        cross_validate(reviews, folder, "head", folds=2, repeats=1, log=log)


def test_a_budget_that_is_none_is_refused(reviews):
    with pytest.raises(MiniftError, match="budget_minutes must be a positive number, got -1"):
        cross_validate(reviews, "tiny", "head", budget_minutes=-1)


def test_random_labels_give_chance(reviews):
    generator = torch.Generator().manual_seed(0)
    coins = torch.randint(2, (60,), generator=generator).tolist()
    shuffled = [replace(e, label=reviews.labels[c]) for e, c in zip(reviews.train, coins)]
    estimate, _ = cross_validate(replace(reviews, train=tuple(shuffled)), "tiny", "head")
    low, high = estimate.interval
    assert low < 0.5 < high
    assert len(estimate.scores) == 25  # the head alone, on few texts, is dealt five times


@pytest.fixture
def file(reviews, tmp_path):
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["text", "label", "document"])
        rows.writerows([e.text, e.label, f"d{i // 2}"] for i, e in enumerate(reviews.train))
    return path


def test_train_with_one_file_estimates_first(file, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", "--train", str(file), "--encoder", "tiny", "--method", "head"]
    assert main([*command, "--out", str(out), "--folds", "3", "--group", "document"]) == 0
    said = capsys.readouterr()
    assert "cross-validation first, without --dev and --test (--folds 0 leaves it out)" in said.err
    assert "3 folds dealt 5 times: 15 trainings before the one on all labels" in said.err
    assert re.search(r"the first took \d+ s, the others about \d+ s", said.err)
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert result["labels"] == 60
    estimate = result["estimate"]
    assert f"estimate: accuracy {estimate['mean']:.3f} on new texts (95 % interval" in said.out
    assert len(estimate["scores"]) == 15
    lines = (out / "folds.jsonl").read_text(encoding="utf-8").splitlines()
    held = [dict(json.loads(line)["logits"]) for line in lines]
    assert all({i ^ 1 for i in one} == {*one} for one in held)  # rows 2k and 2k + 1 are one group


def test_train_without_folds_estimates_nothing(file, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", "--train", str(file), "--encoder", "tiny", "--method", "head"]
    assert main([*command, "--out", str(out), "--folds", "0"]) == 0
    assert "estimate" not in capsys.readouterr().out
    assert not (out / "folds.jsonl").exists()


def test_a_group_that_is_not_there_is_told(file, tmp_path, capsys):
    command = ["train", "--train", str(file), "--encoder", "tiny", "--group", "doc"]
    assert main(command) == 1
    assert 'no column "doc"' in capsys.readouterr().err
    tokens = tmp_path / "mine.conll"
    tokens.write_text("Ann B-PER\nran O\n\nBob B-PER\n", encoding="utf-8")
    assert main(["train", "--train", str(tokens), "--encoder", "tiny", "--group", "doc"]) == 1
    assert "a token file has no such column; take a table" in capsys.readouterr().err
