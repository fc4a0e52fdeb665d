"""Labels that were there before a project are on record, and people are asked for others.

claim                                                       oracle
each label is in the ledger, once, with the file it is of   the file's own rows
they train the first round, as if people had given them     a twin project whose people gave them
no text of the file is asked again, however it is written   sets of texts
tags keep their words, also where the pool cuts otherwise   the file's own sentences
what conflicts, is there twice or does not fit is told      the messages; nothing is written
"""

import csv
import json

import pytest

from minift.cli.main import main
from minift.data.agreement import kappa
from minift.data.examples import TextExample
from minift.errors import MiniftError
from minift.label.answers import import_answers
from minift.label.pool import key
from minift.label.project import load_project, read_state, start
from minift.label.rounds import ask, train
from minift.label.status import status
from tests.tiny import checkpoint, news, reviews

TEXTS = {e.text: e.label for e in reviews(120).train}  # no text twice
ROWS = [*TEXTS.items()]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def table(path, rows, header=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def begin(encoder, tmp_path):
    """begin(rows of mine.csv, **options): a project whose pool has the texts from the tenth on."""
    (tmp_path / "pool.txt").write_text("\n".join([*TEXTS][10:]) + "\n", encoding="utf-8")

    def begun(rows, labels=None, out="proj", pool="pool.txt", **options):
        file = table(tmp_path / "mine.csv", rows) if rows is not None else None
        where = tmp_path / pool, labels, encoder, tmp_path / out
        return start(*where, labelled=file, method="head", **options)

    return begun


def test_labels_are_on_record_with_their_file_and_their_texts_are_not_asked(begin):
    project, notes = begin(ROWS[:20])
    state, events, _ = read_state(load_project(project.folder))
    assert project.labels == ("negative", "positive")
    assert [e["source"] for e in events if e["event"] == "label"] == ["mine.csv"] * 20
    texts = {e.id: e.text for e in project.examples()}
    assert {texts[id]: label for id, label in state.labelled.items()} == dict(ROWS[:20])
    assert sorted(texts.values()) == sorted(TEXTS)  # the pool, and the ten that it lacks
    assert [texts[id] for id in state.pool] == [text for text, _ in ROWS[20:]]
    assert "labels on record: 20, of 20 texts, 10 of which are in pool.txt as well" in notes
    assert status(project.folder).rounds == ((0, "mine.csv", 20, 0),)
    asked = ask(project.folder, 100)
    assert {texts[id] for id in asked.ids} == {text for text, _ in ROWS[20:]} and asked.round == 1


def test_they_train_the_first_round_as_if_people_had_given_them(begin, tmp_path):
    project, _ = begin(ROWS[10:30])
    twin, _ = begin(None, ("negative", "positive"), out="twin")
    asked = ask(twin.folder, 100)
    rows = [*csv.DictReader(asked.path.open(encoding="utf-8-sig"))]
    for row in rows:
        row["label"] = dict(ROWS[10:30]).get(row["text"], "")
    table(tmp_path / "filled.csv", [[*row.values()] for row in rows], [*rows[0]])
    import_answers(twin.folder, tmp_path / "filled.csv", by="mine.csv")
    runs = [train(folder)[0] for folder in (project.folder, twin.folder)]
    assert len({(run / "model.safetensors").read_bytes() for run in runs}) == 1
    first = ask(project.folder, 5)
    assert not any("at random" in note for note in first.notes)
    _, events, _ = read_state(project)
    assert [e["strategy"] for e in events if e["event"] == "query"] == ["given", "bald"]
    assert (project.folder / "models" / "001.json").is_file()


def test_one_file_may_be_pool_and_labels_and_odd_blanks_are_one_text(begin, tmp_path):
    rows = [(text, label if n % 3 == 0 else "") for n, (text, label) in enumerate(ROWS)]
    project, notes = begin(rows, pool="mine.csv")
    state, *_ = read_state(project)
    assert len(state.labelled) == 20 and len(state.pool) == 40 and len(project.ids) == 60
    assert "mine.csv: examples without a label: 40 of 60" in notes
    assert not any("ignored" in note for note in notes)
    spread = [(f"  {text.replace(' ', '  ')} ", label) for text, label in ROWS[10:20]]
    project, notes = begin(spread, out="spread")
    assert len(project.ids) == 50 and "10 of which are in pool.txt" in notes[-1]


def test_conflicts_and_repetitions_are_told_and_the_last_one_counts(begin):
    text = ROWS[30][0]
    rows = [*ROWS[:4], (text, "positive"), (text, "negative"), ROWS[0]]
    project, notes = begin(rows)
    assert (
        notes[0] == "mine.csv: 1 text has two different labels (lines 6 and 7: positive, negative)"
    )
    assert "labels on record: 7, of 5 texts, 1 of which are in pool.txt as well" in notes
    state, *_ = read_state(project)
    (id,) = [e.id for e in project.examples() if e.text == text]
    assert state.labelled[id] == "negative" and [*state.conflicts] == [id]
    told = f'text \'{id}\' has several labels: "positive" (mine.csv), "negative" (mine.csv)'
    assert any(note.startswith(told) for note in status(project.folder).notes)


def test_tagged_sentences_keep_their_words_where_the_pool_cuts_otherwise(encoder, tmp_path):
    (tmp_path / "pool.txt").write_text("Ada saw Oslo.\nBen is in Rome\n\nCleo!\n")
    sentences = (
        "Ada B-PER\nsaw O\nOslo. B-LOC\n\nDora B-PER\nsaw O\nBern B-LOC\n\nCleo B-PER\n! O\n"
    )
    (tmp_path / "mine.conll").write_text(sentences)
    project, _ = start(
        tmp_path / "pool.txt", None, encoder, tmp_path / "proj", task="tagging",
        labelled=tmp_path / "mine.conll",
    )  # fmt: skip
    assert project.types == ("LOC", "PER")
    state, *_ = read_state(load_project(project.folder))
    assert [(" ".join(e.words), " ".join(e.tags)) for e in project.labelled(state)] == [
        ("Ada saw Oslo.", "B-PER O B-LOC"),
        ("Cleo !", "B-PER O"),
        ("Dora saw Bern", "B-PER O B-LOC"),
    ]
    assert [" ".join(e.words) for e in project.examples(state.pool)] == ["Ben is in Rome"]
    twice = "Ada. B-PER\n\nAda B-PER\n. O\n"
    (tmp_path / "mine.conll").write_text(twice)
    with pytest.raises(MiniftError, match=r"mine.conll: sentence 2 was there before, cut into"):
        start(
            tmp_path / "pool.txt", ["PER"], encoder, tmp_path / "no", task="tagging",
            labelled=tmp_path / "mine.conll",
        )  # fmt: skip
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    "rows,labels,message",
    [
        ([("a", "x"), ("b", "positve")], ["positive", "negative"],
         'mine.csv: line 2: the label "x" is not one of .*; line 3: .*"positive"'),
        ([("a", "x"), ("b", "x")], None,
         "mine.csv: its labels are x: expected at least 2 classes; name all: --labels pos,neg"),
        ([("a", ""), ("b", "")], None, "mine.csv: its labels are : expected at least 2 classes"),
        ([("a", 1.5), ("b", 2)], None, "mine.csv: labels such as 1.5 may be amounts: .* name them"),
        ([("a", "2,5"), ("b", "3")], None, "mine.csv: labels such as 2,5 may be amounts"),
        ([("a", "B-PER"), ("b", "I-PER")], None, 'mine.csv: "B-PER" is a tag; name the types of'),
        (None, None, "--labels : expected at least 2 .* or give --labelled FILE"),
        ([("", "x")], None, 'mine.csv: line 2: "text" is empty'),
    ],
    ids=["unknown", "one class", "no label", "amounts", "commas", "tags", "neither", "no text"],
)  # fmt: skip
def test_what_does_not_fit_is_told_and_nothing_is_written(begin, tmp_path, rows, labels, message):
    with pytest.raises(MiniftError, match=message):
        begin(rows, labels)
    assert not (tmp_path / "proj").exists()


@pytest.mark.parametrize(
    "given,named",
    [(("-1", "0", "1"), "-1,0,1"), (("1.5", "2"), "1.5,2"), (("a, b", "c"), '"a, b",c')],
)
def test_classes_that_are_numbers_or_have_a_comma_can_be_named(given, named, encoder, tmp_path):
    rows = [(text, given[n % len(given)]) for n, text in enumerate([*TEXTS][:12])]
    file, out = table(tmp_path / "mine.csv", rows), tmp_path / "proj"
    command = ["active", "start", "--pool", file, "--labelled", file, "--encoder", encoder]
    command += ["--method", "head", "--labels", named, "--out", out]
    assert main([*map(str, command)]) == 0
    project = load_project(out)
    assert project.labels == given
    assert {*read_state(project)[0].labelled.values()} == {*given}


def test_classes_of_a_file_stay_as_they_stand_and_what_is_odd_is_told(begin):
    project, notes = begin(
        [*((text, "a|b") for text, _ in ROWS[:3]), *((t, " a") for t, _ in ROWS[3:6])]
    )
    assert project.labels == (" a", "a|b")
    assert any(
        note.startswith('labels such as "a|b" look as if they held several') for note in notes
    )


def test_pairs_and_single_texts_do_not_mix(begin, tmp_path):
    table(tmp_path / "pairs.csv", [("a", "b"), ("c", "d")], ("text", "text_b"))
    with pytest.raises(
        MiniftError, match=r"mine.csv: the pool has pairs of texts, and these are si"
    ):
        begin(ROWS[:4], pool="pairs.csv")


def test_a_key_is_the_same_for_what_differs_in_blanks_only():
    assert key(TextExample("1", " a  b ")) == key(TextExample("2", "a\tb"))
    assert key(TextExample("1", "a b")) != key(TextExample("2", "ab"))
    assert key(TextExample("1", "a", None, "b")) != key(TextExample("2", "a b"))
    one, other = news(8).train[:2]
    assert key(one) != key(other)


def test_status_says_how_far_the_file_and_a_person_agree(begin, tmp_path):
    project, _ = begin(ROWS[:20])
    flipped = {"positive": "negative", "negative": "positive"}
    answers = {
        text: flipped[label] if n < 3 else label for n, (text, label) in enumerate(ROWS[:20])
    }
    rows = [(e.id, e.text, answers[e.text]) for e in project.examples() if e.text in answers]
    import_answers(
        project.folder, table(tmp_path / "ada.csv", rows, ("id", "text", "label")), by="a"
    )
    value, error = kappa([*dict(ROWS[:20]).values()], [*answers.values()])
    (told,) = status(project.folder).agreement
    interval = f"{value - 1.96 * error:.2f} to {min(1, value + 1.96 * error):.2f}"
    assert told == f"mine.csv and a: kappa {value:.2f} (95% CI {interval}), 20 texts"


def test_several_labels_per_text_are_on_record_and_compared_as_sets(encoder, tmp_path):
    rows = [("good film", "fun|art"), ("a bad book", "art"), ("the end", ""), ("a film", "fun")]
    file = table(tmp_path / "mine.csv", rows)
    project, _ = start(file, None, encoder, tmp_path / "p", task="multilabel", labelled=file)
    state, *_ = read_state(load_project(project.folder))
    assert project.labels == ("art", "fun")
    assert state.labelled == {"2": ["art", "fun"], "3": ["art"], "5": ["fun"]}
    assert state.pool == ["4"]  # which may have no label, or none yet
    assert [e.label for e in project.labelled(state)] == [("art", "fun"), ("art",), ("fun",)]
    rows = [("2", "good film", "fun|art"), ("3", "a bad book", "fun"), ("5", "a film", "fun")]
    import_answers(project.folder, table(tmp_path / "a.csv", rows, ("id", "text", "label")), by="a")
    value, _ = kappa(["both", "art", "fun"], ["both", "fun", "fun"])
    (told,) = status(project.folder).agreement
    assert told.startswith(f"mine.csv and a: kappa {value:.2f} ") and told.endswith(", 3 texts")


def test_the_command_takes_them_and_goes_on(encoder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.txt").write_text("\n".join([*TEXTS][10:]) + "\n", encoding="utf-8")
    table(tmp_path / "mine.csv", [(label, text) for text, label in ROWS[:16]], ("klass", "text"))
    begin = f"active start --pool pool.txt --labelled mine.csv --label klass --encoder {encoder}"
    assert main([*begin.split(), "--method", "head", "--out", "proj"]) == 0
    out = capsys.readouterr().out
    assert "proj: 60 texts, classes negative, positive" in out
    assert "note: labels on record: 16, of 16 texts, 6 of which are in pool.txt as well" in out
    assert main(["active", "next", "proj", "-n", "3"]) == 0
    assert "3 texts to label, round 1" in capsys.readouterr().out
    assert main(["active", "status", "proj"]) == 0
    told = "agreement: all labels are by mine.csv; for kappa, two people label the same texts"
    assert (
        f"round 0: 16 from mine.csv\nround 1: 3 by bald, 3 waiting\n{told}"
        in capsys.readouterr().out
    )
    first = json.loads((tmp_path / "proj" / "pool.jsonl").read_text().splitlines()[-1])
    assert first["id"] == "mine.csv:10"
