"""A project keeps every label, whatever is done to it in whatever order.

claim                                                        oracle
every row of a pool is in it, or named with its line         line numbers (hypothesis)
a project is there whole or not at all                       a start that dies at each write
the batch is what the loop chooses in memory                 `loop.choose`, the same seeds
a score file holds the loop's scores, or what it held        `loop.choose`; a kill in a chunk
killed anywhere, `ask` makes the batch it would have made    the batch of an unbroken twin
in any order of asking, importing, labelling, skipping,      a twin without the kill, and sets
undoing and dying, places are disjoint, complete, and no     of ids (hypothesis)
label is lost
an import twice changes nothing; corrections are kept        the bytes of the ledger, by hand
looking writes nothing, and works while somebody labels      bytes, a held lock
a folder that is damaged is refused by name                  error words
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minift.active import streaming
from minift.active.loop import Asking, Learner, choose, fixed_steps
from minift.data.examples import TaggedExample
from minift.data.files.texts import Texts
from minift.errors import MiniftError
from minift.label import rounds, score_files
from minift.label.answers import import_answers
from minift.label.ledger import open_ledger
from minift.label.pool import distinct, open_pool
from minift.label.project import last_model, load_project, read_state, start
from minift.label.rounds import ask, train
from minift.label.score_files import score
from minift.label.status import status
from minift.label.terminal import label
from minift.methods.recipes import recipe
from minift.runs.folder import load_run
from minift.runs.predict import predict
from tests.tiny import checkpoint, news, reviews

TEXTS = {e.text: e.label for e in reviews(120).train}  # no text twice
GOLD = {str(n): label for n, label in enumerate(TEXTS.values(), 1)}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An encoder, a pool file, a fresh project, and one with labels of both classes."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")
    (folder / "pool.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    begin(folder, folder / "fresh")
    shutil.copytree(folder / "fresh", folder / "begun")
    answer(folder / "begun", ask(folder / "begun", 12).path)
    return folder


def begin(world, out, pool="pool.txt", labels=("negative", "positive"), **options):
    method = recipe(options.pop("method", "full"), world / "encoder")
    settings = fixed_steps(method.settings, options.pop("steps", 6))
    settings = replace(settings, learning_rate=options.pop("learning_rate", 1e-3))
    method = replace(method, settings=settings)
    return start(world / pool, labels, world / "encoder", out, method=method, **options)


@pytest.fixture
def fresh(world, tmp_path):
    return Path(shutil.copytree(world / "fresh", tmp_path / "proj"))


@pytest.fixture
def begun(world, tmp_path):
    """A project in which twelve texts have their true labels."""
    return Path(shutil.copytree(world / "begun", tmp_path / "proj"))


def fill(path, labels, out=None):
    """Write labels by id into a CSV batch file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows({**row, "label": labels.get(row["id"], "")} for row in rows)
    out = out or path
    out.write_text(text.getvalue(), encoding="utf-8")
    return out


def answer(folder, path, by="ada"):
    return import_answers(folder, fill(path, GOLD, path.with_suffix(".filled.csv")), by=by)


def places(folder):
    state, events, _ = read_state(load_project(folder))
    found = (set(state.pool), set(state.waiting), set(state.skipped), dict(state.labelled))
    assert sorted([*state.pool, *state.waiting, *state.skipped, *state.labelled]) == sorted(
        state.ids
    )  # disjoint and complete
    return found, events


def timeless(events):
    return [{k: v for k, v in event.items() if k != "time"} for event in events]


# The pool


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["a b", "a  b ", "A b!", "c", "", "  ", "\u200b", "d\te"]), min_size=1)
)
def test_every_line_is_in_the_pool_or_named_with_the_reason(lines):
    if not any(line.strip() for line in lines):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        pool = open_pool(path, "classification")
        found, streamed = list(pool.rows()), [(e.id, e.text) for e in pool]
    kept, left_out = distinct(found)
    numbers = [line for line, _ in kept] + [row["line"] for row in left_out]
    assert sorted(numbers) == list(range(1, len(lines) + 1))
    assert [(e.id, e.text) for _, e in found if e is not None] == streamed
    assert not pool.has_labels
    for line, example in kept:
        assert example.id == str(line) and example.text == lines[line - 1]
    keys = [" ".join(example.text.split()) for _, example in kept]
    assert len(set(keys)) == len(keys)
    for row in left_out:
        if row["why"] != "empty":
            first = int(row["why"].removeprefix("same text as line "))
            assert first < row["line"]
            assert lines[first - 1].split() == lines[row["line"] - 1].split()


def test_what_is_left_out_and_labels_that_are_not_read_are_said(world, tmp_path):
    rows = [
        "text,label",
        "good film,positive",
        " ,negative",
        "bad,no such",
        "good  film,x",
        "Bad!,",
    ]
    (world / "odd.csv").write_text("\n".join(rows) + "\n")
    project, notes = begin(world, tmp_path / "proj", "odd.csv")
    assert notes == [
        "the labels in the file are ignored (--labelled FILE puts them on record)",
        "lines that are left out: 1 without a word, 1 with a text that is in the pool; they are in "
        f"{tmp_path / 'proj' / 'left_out.jsonl'}",
    ]
    assert project.ids == ("2", "4", "6")
    left = [
        json.loads(line) for line in (tmp_path / "proj/left_out.jsonl").read_text().splitlines()
    ]
    assert [(row["line"], row.get("text")) for row in left] == [(3, None), (5, ["good  film"])]


@pytest.mark.parametrize(
    "name,content",
    [
        ("p.conll", "Ada\tB-PER\nsaw\tO\n\nOslo\tB-LOC\n"),
        ("p.jsonl", '{"words": ["Ada", "saw"], "tags": ["x", 3]}\n{"words": ["Oslo"]}\n'),
        ("p.txt", "Ada saw\n\n\nOslo\n"),
        ("words.txt", "Ada\tB-PER\nsaw\tO\n\nOslo\tB-LOC\n"),
        ("p.csv", "text,id\nAda  saw,1\nOslo,4\n"),
    ],
)
def test_sentences_for_tagging_come_from_any_format(world, tmp_path, name, content):
    (world / name).write_text(content)
    made = begin(world, tmp_path / "proj", name, ("PER", "LOC"), task="tagging")[0]
    assert [e.words for e in made.examples()] == [("Ada", "saw"), ("Oslo",)]
    assert made.labels == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    assert made.types == ("PER", "LOC")


def test_who_marks_entities_is_sent_to_the_batch_file_and_not_to_the_terminal(world, tmp_path):
    (world / "p.csv").write_text("text,id\nAda  saw,1\nOslo,4\n")
    begin(world, tmp_path / "proj", "p.csv", ("PER",), task="tagging")
    ask(tmp_path / "proj", 1)
    for refused in (ask, train):
        with pytest.raises(MiniftError, match=r"fill in the batch file, then minift active import"):
            refused(tmp_path / "proj")


def test_a_start_that_dies_at_any_write_leaves_nothing_or_all(world, tmp_path):
    kills = 0
    for count in range(1, 50):
        with pytest.MonkeyPatch.context() as patch:
            dies(patch, count)
            try:
                begin(world, tmp_path / "proj")
                break
            except Killed:
                kills += 1
                if found := list(tmp_path.iterdir()):
                    assert found == [tmp_path / "proj"]  # it died after the name was there
                    break
    assert kills > 4
    assert load_project(tmp_path / "proj").ids == tuple(GOLD)


START = [
    ({"labels": ("pos",)}, r"at least 2 classes with commas between them, such as pos,neg"),
    ({"labels": ("pos", "")}, r"at least 2 classes"),
    ({"labels": ("pos", "neg", "pos")}, r'"pos" is there twice'),
    ({"labels": ("B-PER",), "task": "tagging"}, r'"B-PER" is a tag; name the types'),
    ({"labels": ("LOC", "O", "I-PER"), "task": "tagging"}, r'"O" is a tag; .* --labels LOC,PER$'),
    ({"labels": ("O", "B-PER", "I-PER")}, r'"O" is a tag; .*--task tagging --labels PER$'),
    ({"labels": ("S-LOC", "B-LOC", "S-PER")}, r"--task tagging --labels LOC,PER$"),
    ({"task": "regression"}, r"not for regression"),
    ({"method": "adaptive"}, r"decides by the development split, and active learning has none"),
    ({"method": "bitft"}, r'did you mean "bitfit"'),
    ({"method": "freeze:9"}, r"freeze|layers"),
    ({"head": "cnn", "task": "tagging", "labels": ("PER",)}, r"tagging per word: take linear"),
    ({"pool": "nowhere.txt"}, r"no such file"),
    ({"pool": "p.pdf"}, r'".pdf" does not tell the format'),
    ({"pool": "blank.csv"}, r"blank.csv: there is no text in it"),
    ({"pool": "twice.csv"}, r'line 4: the id "7" is already on line 2'),
    ({"pool": "tokens.conll"}, r"a token file is for tagging, not for classification"),
    ({"pool": "tokens.txt"}, r"a token file is for tagging, not for classification"),
]


@pytest.mark.parametrize("options,words", START, ids=[words for _, words in START])
def test_a_start_that_cannot_be_is_refused_and_writes_nothing(world, tmp_path, options, words):
    for name, content in (
        ("p.pdf", "a\n"),
        ("blank.csv", 'text\n" "\n\u200b\n'),
        ("twice.csv", "id,text\n7,a\n8,b\n7,c\n"),
        ("tokens.conll", "Ada\tB-PER\n"),
        ("tokens.txt", "Ada\tB-PER\nsaw\tO\n"),
    ):
        (world / name).write_text(content)
    with pytest.raises(MiniftError, match=words):
        begin(world, tmp_path / "proj", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_never_written_over(world, fresh, tmp_path):
    with pytest.raises(MiniftError, match=r"already holds a project; .* minift active status"):
        begin(world, fresh)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(MiniftError, match="is there already and is not a project"):
        begin(world, tmp_path / "other")


# Asking


def test_until_two_classes_are_known_texts_are_drawn_at_random_and_it_says_so(fresh):
    first = ask(fresh, 4)
    assert "nothing is labelled yet, so these texts are drawn at random" in first.notes
    import_answers(fresh, fill(first.path, dict.fromkeys(first.ids, "positive")), by="ada")
    second = ask(fresh, 4)
    assert 'all labels so far are "positive", so these texts are drawn at random' in second.notes
    assert not set(first.ids) & set(second.ids)
    _, events = places(fresh)
    assert [e["strategy"] for e in events if e["event"] == "query"] == ["random", "random"]
    with first.path.open(encoding="utf-8-sig") as file:
        assert (
            next(csv.DictReader(file))["score"] == ""
        )  # a random number says nothing about a text


@pytest.mark.parametrize("strategy", ["bald", "batch_bald", "entropy", "random"])
def test_the_batch_is_what_the_loop_would_choose_in_memory(begun, strategy):
    project = load_project(begun)
    pool = list(project.examples(places(begun)[0][0]))
    asking = Asking(strategy, passes=3)
    asked = ask(begun, 5, asking)
    expected = choose(asking, last_model(project), pool, 5, seed=2)
    assert asked.ids == expected.ids
    query = places(begun)[1][-1]
    assert query["scores"] == list(expected.scores)
    assert (query["strategy"], query["round"], query["seed"]) == (strategy, 2, 2)


def test_guesses_in_the_batch_file_are_the_models(begun):
    asked = ask(begun, 6, Asking("margin"))
    with asked.path.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    by_id = {e.id: e for e in load_project(begun).examples(asked.ids)}
    answers = predict(last_model(load_project(begun)), [by_id[id] for id in asked.ids])
    for row, said in zip(rows, answers, strict=True):
        assert row["guess"] == said["label"]
        assert float(row["confidence"]) == pytest.approx(max(said["scores"].values()), abs=1e-3)


def test_texts_that_wait_are_not_asked_again_unless_somebody_says_how(begun):
    first = ask(begun, 4)
    with pytest.raises(
        MiniftError, match=r"texts that still wait .*: 4 .*round 2; see .*batches.*--more"
    ):
        ask(begun, 4)
    fill(first.path, GOLD)
    filled = first.path.read_bytes()
    work = first.path.with_name("003.csv")
    work.write_text("somebody is at work here")
    more = ask(begun, 3, more=True)
    assert more.path.name == "003-2.csv" and work.read_text() == "somebody is at work here"
    assert first.path.read_bytes() == filled  # somebody has worked on it
    assert not set(more.ids) & set(first.ids)
    assert len(places(begun)[0][1]) == 7


def test_the_last_texts_are_given_and_then_it_says_that_none_is_left(fresh):
    asked = ask(fresh, 1000)
    assert len(asked.ids) == len(GOLD)
    assert f"1000 were asked for; these are the last {len(GOLD)}" in asked.notes
    answer(fresh, asked.path)
    with pytest.raises(
        MiniftError, match=rf"no text is left .* of {len(GOLD)}, {len(GOLD)} are lab"
    ):
        ask(fresh, 1)


def test_a_format_that_does_not_fit_is_refused_before_anything_is_trained(begun, monkeypatch):
    monkeypatch.setattr(Learner, "fit", None)
    for format, words in (("cvs", 'did you mean "csv"'), ("conll", "not for classification")):
        with pytest.raises(MiniftError, match=words):
            ask(begun, 2, format=format)
    with pytest.raises(MiniftError, match="texts must be at least 1, got 0"):
        ask(begun, 0)


def test_nothing_is_trained_anew_while_the_labels_stay(begun, monkeypatch):
    ask(begun, 2)
    monkeypatch.setattr(Learner, "fit", None)
    ask(begun, 2, more=True)
    label(begun, "ben", stdin=io.StringIO("1\n"), stdout=io.StringIO())
    with pytest.raises(TypeError):  # negative control: a label more, and it would train
        ask(begun, 2, more=True)


def test_a_score_file_holds_the_scores_of_the_loop_and_survives_a_kill(
    begun, tmp_path, monkeypatch
):
    ask(begun, 1)
    monkeypatch.setattr(streaming, "CHUNK", 8)
    pool, whole = begun.parent / "other.txt", tmp_path / "scores" / "whole.jsonl"
    pool.write_text("\n".join(list(TEXTS)[:20]) + "\n", encoding="utf-8")
    assert score(begun, pool, whole, Asking(passes=2)) == 20
    content = whole.read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    examples = list(open_pool(pool, "classification"))
    chosen = choose(Asking(passes=2), last_model(load_project(begun)), examples, 20, 0)
    assert sorted(zip(chosen.ids, chosen.scores)) == sorted(
        (row["id"], row["score"]) for row in rows
    )
    with pytest.raises(MiniftError, match="random gives no text a score of its own"):
        score(begun, pool, whole, Asking("random"))
    all_chunks = score_files.score_chunks

    def killed(*arguments):
        yield next(all_chunks(*arguments))
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(score_files, "score_chunks", killed)
        score(begun, pool, whole, Asking("entropy"))
    assert whole.read_bytes() == content and [*whole.parent.iterdir()] == [whole]
    score(begun, pool, whole, Asking("entropy"))
    assert whole.read_bytes() != content
    (tmp_path / "data.jsonl").write_text('{"id": "1", "text": "a"}\n', encoding="utf-8")
    with pytest.raises(MiniftError, match="is there already"):
        score(begun, pool, tmp_path / "data.jsonl", Asking("entropy"))


def test_scoring_holds_one_chunk_of_texts_at_a_time(begun, tmp_path, monkeypatch):
    ask(begun, 1)
    monkeypatch.setattr(streaming, "CHUNK", 8)
    written, ahead, read, all_chunks = [], [], Texts.__iter__, score_files.score_chunks

    def watched(self):
        for number, example in enumerate(read(self)):
            ahead.append(number - len(written))
            yield example

    def counted(*arguments):
        for chunk, values in all_chunks(*arguments):
            yield chunk, values
            written.extend(chunk)

    monkeypatch.setattr(Texts, "__iter__", watched)
    monkeypatch.setattr(score_files, "score_chunks", counted)
    (tmp_path / "pool.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    total = score(begun, tmp_path / "pool.txt", tmp_path / "scores", Asking("entropy"))
    assert total == len(GOLD) and max(ahead[-total:]) == 8 - 1
    assert max(ahead[:total]) == total - 1  # counted before, when nothing is written yet


class Killed(BaseException):
    """What a kill looks like from inside."""


def dies(monkeypatch, count):
    """Let the process die at the `count`-th time that something is synced to the disk."""
    real, calls = os.fsync, []

    def dying(descriptor):
        calls.append(descriptor)
        if len(calls) == count:
            raise Killed
        real(descriptor)

    monkeypatch.setattr(os, "fsync", dying)


def test_dead_at_any_write_ask_makes_the_batch_it_would_have_made(world, tmp_path):
    twin = Path(shutil.copytree(world / "begun", tmp_path / "twin"))
    expected = ask(twin, 5, Asking(passes=2))
    kills = 0
    for count in range(1, 30):
        folder = Path(shutil.copytree(world / "begun", tmp_path / f"dead-{count}"))
        with pytest.MonkeyPatch.context() as patch:
            dies(patch, count)
            try:
                ask(folder, 5, Asking(passes=2))
                break
            except Killed:
                kills += 1
        if not places(folder)[0][1]:  # the query is not on record: the same command again
            assert ask(folder, 5, Asking(passes=2)).ids == expected.ids
        assert timeless(places(folder)[1]) == timeless(places(twin)[1])
        batch = folder / "batches" / expected.path.name
        assert batch.read_bytes() == expected.path.read_bytes()
        assert [p.name for p in batch.parent.iterdir()] == [
            p.name for p in expected.path.parent.iterdir()
        ]
    assert kills > 5


def test_an_import_is_idempotent_and_corrections_and_conflicts_are_kept(fresh):
    asked = ask(fresh, 4)
    a, b, c, d = asked.ids
    file = fill(asked.path, {a: "positive", b: "negative"}, fresh / "one.csv")
    done = import_answers(fresh, file, by="ada")
    assert (done.labelled, done.same, done.waiting) == (2, 0, 2)
    assert set(done.unanswered) == {c, d}
    before = (fresh / "ledger.jsonl").read_bytes()
    again = import_answers(fresh, file, by="ada")
    assert (again.labelled, again.same, again.changed) == (0, 2, ())
    assert (fresh / "ledger.jsonl").read_bytes() == before

    fill(asked.path, {a: "negative", b: "negative"}, file)
    done = import_answers(fresh, file, by="ada")
    assert (done.labelled, done.same) == (1, 1)
    assert done.changed[0].endswith(
        f'text \'{a}\' was "positive" (ada) and is now "negative" (ada); both are kept, the last '
        "one counts"
    )
    done = import_answers(fresh, file, by="ben")  # another person says the same: that is news
    assert (done.labelled, done.same, done.changed) == (2, 0, ())
    fill(asked.path, {a: "positive", b: "negative"}, file)
    before = (fresh / "ledger.jsonl").read_bytes()
    done = import_answers(fresh, file, by="ada")  # the first file once more: not a correction
    assert (done.labelled, done.same) == (0, 2)
    assert done.changed[0].endswith(
        f'text \'{a}\' stays "negative" (ben): "positive" (ada) was on record before that. If the '
        "file is right, import it with --again"
    )
    assert (fresh / "ledger.jsonl").read_bytes() == before
    assert import_answers(fresh, file, by="ada", again=True).labelled == 1  # ada means it
    assert import_answers(fresh, file, by="ada", again=True).labelled == 0
    state = read_state(load_project(fresh))[0]
    assert [x.label for x in state.conflicts[a]] == ["positive", "negative", "negative", "positive"]
    assert state.labelled == {a: "positive", b: "negative"}
    assert any(f"text '{a}' has several labels" in note for note in status(fresh).notes)


def test_what_cannot_be_used_is_named_with_its_line_and_the_rest_recorded(fresh):
    asked = ask(fresh, 3)
    a, b, c = asked.ids
    other = next(id for id in GOLD if id not in asked.ids)
    texts = dict(zip(GOLD, TEXTS))
    rows = [
        f"{id},{texts[id]},{said}"
        for id, said in (
            (a, "positive"),
            (b, "postive"),
            (other, "negative"),
            (c, "negative"),
            (c, "positive"),
        )
    ]
    (fresh / "b.csv").write_text("\n".join(["id,text,label", *rows, "999,what,positive"]) + "\n")
    done = import_answers(fresh, fresh / "b.csv", by="ada")
    said = "\n".join(done.problems)
    assert "line 3" in said and "postive" in said and 'did you mean "positive"' in said
    assert f"line 4: text '{other}' was never asked for" in said
    assert "line 7" in said and "999" in said
    (conflict,) = done.changed  # said once, and not among the problems
    assert "both are kept" in conflict and "both are kept" not in said
    assert places(fresh)[0][3] == {a: "positive", c: "positive"}
    before = (fresh / "ledger.jsonl").read_bytes()
    assert not import_answers(fresh, fresh / "b.csv", by="ada").labelled  # also with two answers
    assert (fresh / "ledger.jsonl").read_bytes() == before


def test_two_annotators_stay_two_and_their_conflict_is_said_once(fresh):
    """In Label Studio two agree on one text, differ on another, and one changes her mind."""
    a, b, c = ask(fresh, 3, format="labelstudio").ids
    texts = dict(zip(GOLD, TEXTS))

    def exported(id, *said):
        choices = [
            {"completed_by": who, "updated_at": at, "was_cancelled": False, "result": [
                {"type": "choices", "value": {"choices": [label]}}]}
            for who, label, at in said
        ]  # fmt: skip
        return {"id": 9, "data": {"minift_id": id, "text": texts[id]}, "annotations": choices}

    agree = exported(a, (1, "positive", "1"), (2, "positive", "2"))
    file = fresh / "export.json"
    file.write_text(json.dumps([agree, exported(b, (2, "negative", "2"), (1, "positive", "1"))]))
    done = import_answers(fresh, file, by="me")
    assert (done.labelled, done.problems) == (4, ())
    (conflict,) = done.changed
    assert conflict.endswith(
        f'text \'{b}\' was "positive" (labelstudio:1) and is now "negative" (labelstudio:2); both '
        "are kept, the last one counts"
    )
    given = [
        (d.id, d.label, d.source) for d in read_state(load_project(fresh))[0].standing.values()
    ]
    assert given == [
        (a, "positive", "labelstudio:1"),
        (a, "positive", "labelstudio:2"),
        (b, "positive", "labelstudio:1"),
        (b, "negative", "labelstudio:2"),
    ]
    again = import_answers(fresh, file, by="someone else")
    assert (again.labelled, again.same, again.changed) == (0, 4, ())
    mind = exported(b, (2, "negative", "2"), (1, "negative", "3"))
    file.write_text(json.dumps([agree, mind, exported(c, (2, "positive", "4"))]))
    done = import_answers(fresh, file)
    assert (done.labelled, done.same, done.changed) == (2, 3, ())


@pytest.mark.parametrize("format", ["csv", "labelstudio", "doccano", "argilla"])
def test_what_people_do_with_a_batch_file_is_said_and_no_guess_is_written_if_none_is_wanted(
    begun, format
):
    ways = {"csv": "column", "labelstudio": "Skip", "doccano": "--by NAME", "argilla": "Discard"}
    files = []
    for guess in (None, False):
        asked = ask(begun, 3, Asking("entropy"), format=format, more=True, guess=guess)
        assert ways[format] in asked.how
        files.append(asked.path.read_text("utf-8-sig"))
    with_guesses, without = files
    rows = [csv.DictReader(io.StringIO(text)) for text in files] if format == "csv" else files
    if format == "csv":
        with_guesses, without = (" ".join(row["guess"] for row in table) for table in rows)
    assert re.search("positive|negative", with_guesses)
    assert not re.search("positive|negative", without)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_import_that_dies_is_completed_by_the_next(fresh, monkeypatch, count):
    asked = ask(fresh, 4)
    file = fill(asked.path, GOLD, fresh / "one.csv")
    with pytest.MonkeyPatch.context() as patch:
        dies(patch, count + 2)  # opening the ledger syncs file and folder
        with pytest.raises(Killed):
            import_answers(fresh, file, by="ada")
    assert 0 < len(places(fresh)[0][3]) < 4
    done = import_answers(fresh, file, by="ada")
    assert done.labelled + done.same == 4 and done.same >= count
    assert places(fresh)[0][3] == {id: GOLD[id] for id in asked.ids}
    assert sum(e["event"] == "label" for e in places(fresh)[1]) == 4


# Any order


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["next", "more", "import", "import", "label", "label"]),
        st.integers(1, 4),
        st.text("12sux\n", min_size=1, max_size=6),
        st.none() | st.integers(1, 6),  # dies at that write
    ),
    max_size=10,
)


def perform(folder, operation):
    """Do one thing that a person may do; errors a person sees are part of the game."""
    kind, count, keys, _ = operation
    try:
        if kind in ("next", "more"):
            ask(folder, count, Asking("random"), more=kind == "more")
        elif kind == "label":
            typed = "\n".join(keys) + "\n"
            label(folder, "ada", stdin=io.StringIO(typed), stdout=io.StringIO())
        else:
            batches = (
                sorted((folder / "batches").glob("*.csv")) if (folder / "batches").exists() else []
            )
            if batches:
                said = dict(zip(GOLD, ["positive", "negative", "nonsense"] * len(GOLD)))
                file = fill(batches[count % len(batches)], said, folder / "filled.csv")
                import_answers(folder, file, by="ben")
    except MiniftError:
        return


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_in_any_order_with_any_deaths_every_text_is_in_one_place_and_no_label_is_lost(
    world, operations
):
    with tempfile.TemporaryDirectory() as parent, pytest.MonkeyPatch.context() as quick:
        quick.setattr(rounds, "_model", lambda *_: (None, ""))  # random needs none
        quick.setattr(os, "fsync", lambda descriptor: None)
        folder = Path(shutil.copytree(world / "fresh", Path(parent) / "proj"))
        content = (folder / "ledger.jsonl").read_bytes()
        for operation in operations:
            twin = Path(shutil.copytree(folder, Path(parent) / "twin"))
            perform(twin, operation)
            if operation[3] is None:
                perform(folder, operation)
            else:
                with pytest.MonkeyPatch.context() as patch:
                    dies(patch, operation[3])
                    with contextlib.suppress(Killed):
                        perform(folder, operation)
            now = (folder / "ledger.jsonl").read_bytes()
            assert now.startswith(content)  # nothing that was said is rubbed out
            content = now
            whole, part = timeless(places(twin)[1]), timeless(places(folder)[1])
            assert whole[: len(part)] == part  # what was done is the beginning of what was asked
            if operation[3] is None:
                assert whole == part
            shutil.rmtree(twin)


# Status, training, damage


def looks(folder):
    """How many rounds had a model."""
    return len(list((folder / "models").glob("[0-9]*.json")))


def test_status_counts_advises_and_writes_nothing_while_somebody_labels(begun):
    for _ in range(2):
        answer(begun, ask(begun, 6).path)
    asked = ask(begun, 3)
    label(begun, "ada", stdin=io.StringIO("s\n"), stdout=io.StringIO())
    before = {p: p.read_bytes() for p in begun.rglob("*") if p.is_file()}
    project = load_project(begun)
    with open_ledger(project.ledger, project.ids, project.labels):
        found = status(begun, budget=20)
    assert (len(found.state.pool), len(found.state.waiting)) == (len(GOLD) - 27, 2)
    assert len(found.state.skipped) == 1 and asked.ids[0] in found.state.skipped
    assert found.rounds == (
        (1, "random", 12, 0),
        (2, "bald", 6, 0),
        (3, "bald", 6, 0),
        (4, "bald", 3, 2),
    )
    given_labels = [GOLD[id] for id in found.state.labelled]
    assert found.counts == {k: given_labels.count(k) for k in ("negative", "positive")}
    assert looks(begun) == 3
    assert found.advice.stop and "the budget of 20 labels is used up" in found.advice.reasons
    for path, content in before.items():
        if path.suffix != ".lock":
            assert path.read_bytes() == content
    with project.ledger.open("ab") as file:
        file.write(b'{"n": 99, "ev')
    assert any('does not count: {"n": 99, "ev' in note for note in status(begun).notes)
    assert project.ledger.read_bytes().endswith(b'"ev')  # only who writes cuts it away
    shutil.rmtree(begun / "models")
    assert "it takes 40" in status(begun, forecast=True).forecast


def test_random_texts_need_no_model_and_the_advice_says_what_nobody_can_know(begun, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "fit", None)  # it would be called
        asked = ask(begun, 4, Asking("random"))
    assert not (begun / "models").exists()
    (warning,) = status(begun, budget=12).advice.warnings
    assert warning.startswith("no model has been trained, so nobody can know")
    assert status(begun, budget=12).advice.reasons == ("the budget of 12 labels is used up",)
    with asked.path.open(encoding="utf-8-sig") as file:
        assert {row["guess"] for row in csv.DictReader(file)} == {""}
    asked = ask(begun, 4, Asking("random"), more=True, guess=True)
    with asked.path.open(encoding="utf-8-sig") as file:
        assert {row["guess"] for row in csv.DictReader(file)} <= {"negative", "positive"}
    found = status(begun)
    assert looks(begun) == 1 and not any("no model" in w for w in found.advice.warnings)
    assert [strategy for _, strategy, _, _ in found.rounds] == ["random"] * 3


def test_guesses_for_random_texts_are_not_possible_before_there_is_something_to_learn(fresh):
    asked = ask(fresh, 4, Asking("random"), guess=True)
    assert asked.notes == ("nothing is labelled yet, so there are no guesses",)


def test_without_new_labels_a_model_is_not_compared_with_itself(begun):
    for _ in range(4):
        ask(begun, 2, Asking("margin"), more=True)
    found = status(begun)
    assert looks(begun) == 4 and not found.advice.stop
    assert "no two models yet" in found.advice.reasons[0]


def test_a_budget_counts_the_labels_of_today(begun):
    answer(begun, ask(begun, 3).path)  # chosen by a model of 12 labels
    found = status(begun, budget=15)
    assert found.advice.reasons == ("the budget of 15 labels is used up",)
    assert "trained on 12 of 15 labels" in found.advice.warnings[-1]
    assert not status(begun, budget=16).advice.stop


def test_an_older_file_that_was_filled_in_further_does_not_undo_a_correction(fresh):
    a, b = (asked := ask(fresh, 2)).ids
    first = fill(asked.path, {a: "positive"}, fresh / "first.csv")
    import_answers(fresh, first, by="ada")
    import_answers(fresh, fill(asked.path, {a: "negative"}, fresh / "second.csv"), by="ada")
    fill(asked.path, {a: "positive", b: "positive"}, first)
    done = import_answers(fresh, first, by="ada")
    assert (done.labelled, done.same, len(done.changed)) == (1, 1, 1)
    assert places(fresh)[0][3] == {a: "negative", b: "positive"}


def test_the_final_model_is_a_run_folder_of_all_labels(begun, monkeypatch):
    folder, result = train(begun)
    assert result["labels"] == 12 and folder.parent == begun / "runs"
    (answer_,) = predict(load_run(folder), list(load_project(begun).examples(["1"])))
    assert set(answer_["scores"]) == {"negative", "positive"}
    monkeypatch.setattr(rounds, "train_run", None)
    assert train(begun) == (folder, result)  # nothing has changed
    monkeypatch.undo()
    ask(begun, 1)
    label(begun, "ben", stdin=io.StringIO("1\n"), stdout=io.StringIO())
    assert train(begun)[0] != folder


def test_nothing_is_trained_on_one_class(fresh):
    with pytest.raises(MiniftError, match=r"nothing to train on: nothing is labelled yet\. Label"):
        train(fresh)
    with pytest.raises(MiniftError, match="no forecast: nothing is labelled yet"):
        status(fresh, forecast=True)
    with pytest.raises(MiniftError, match="has no model yet; label some texts of each class"):
        score(fresh, "x.txt", fresh / "out")


def _edit(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


DAMAGE = [
    (lambda f: (f / "project.json").unlink(), r"is not a project: it has no project.json .*start"),
    (lambda f: (f / "ledger.jsonl").unlink(), r"ledger.jsonl is missing; put it back"),
    (lambda f: (f / "pool.jsonl").unlink(), r"pool.jsonl is missing; put it back"),
    (lambda f: _edit(f / "pool.jsonl", b"a", b"b"), r"pool.jsonl was changed since the start"),
    (lambda f: _edit(f / "project.json", b'"seed"', b'"sed"'), r"project.json .*seed"),
    (lambda f: _edit(f / "project.json", b"{", b"["), r"project.json is damaged"),
    (
        lambda f: _edit(f / "ledger.jsonl", b"negative", b"nogative"),
        r"ledger.jsonl, line 1 is damaged: it was changed.*Put the line back from a backup",
    ),
]


@pytest.mark.parametrize("damage,words", DAMAGE, ids=[words for _, words in DAMAGE])
def test_a_damaged_folder_is_refused_by_name_and_stays_as_it_is(begun, damage, words):
    damage(begun)
    before = {p: p.read_bytes() for p in begun.rglob("*") if p.is_file()}
    for act in (ask, status, train, lambda f: label(f, "me"), lambda f: import_answers(f, "x.csv")):
        with pytest.raises(MiniftError, match=words):
            act(begun)
    now = {p: p.read_bytes() for p in begun.rglob("*") if p.is_file() if p.suffix != ".lock"}
    assert now == {p: content for p, content in before.items() if p.suffix != ".lock"}


def test_a_second_process_is_told_who_has_the_ledger(begun):
    project = load_project(begun)
    with (
        open_ledger(project.ledger, project.ids, project.labels),
        pytest.raises(MiniftError, match=rf"in use by process {os.getpid()} on"),
    ):
        ask(begun)


def test_sentences_go_out_as_conll_and_come_back_and_make_a_tagger(world, tmp_path):
    gold = {" ".join(e.words): e for e in news(60).train}
    (world / "news.txt").write_text("\n".join(gold) + "\n", encoding="utf-8")
    labels = ("LOC", "PER")
    project = begin(world, tmp_path / "proj", "news.txt", labels, task="tagging")[0]
    for _ in range(2):
        asked = ask(project.folder, 6)
        assert asked.path.suffix == ".conll"
        answers = {}
        for example in project.examples(asked.ids):
            answers[example.id] = gold[" ".join(example.words)].tags
        content = asked.path.read_text(encoding="utf-8")
        (tmp_path / "filled.conll").write_text(_tagged(content, project, answers), encoding="utf-8")
        done = import_answers(project.folder, tmp_path / "filled.conll", by="ada")
        assert (done.labelled, done.problems) == (6, ())
    state = read_state(project)[0]
    for example in project.labelled(state):
        assert isinstance(example, TaggedExample)
        assert example.tags == gold[" ".join(example.words)].tags
    folder, _ = train(project.folder)
    assert load_run(folder).labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    with pytest.raises(MiniftError, match="batch_bald needs one label per text"):
        ask(project.folder, 2, Asking("batch_bald"))


def _tagged(content, project, answers):
    """Put the answers into a CoNLL file, whose lines stay as they are but for the tag."""
    lines, tags = [], iter(())
    for line in content.split("\n"):
        if line.startswith("# id"):
            id = next(i for i in sorted(answers, key=len, reverse=True) if line.split()[-1] == i)
            tags = iter(answers[id])
        elif line and not line.startswith("#"):
            columns = line.split("\t")
            line = "\t".join([*columns[:-1], next(tags)])
        lines.append(line)
    return "\n".join(lines)
