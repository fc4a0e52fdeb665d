"""doccano: what it imports, and what it exports.

claim                                                       oracle
a line has the text, no label, and our id as metadata       by hand
spans count UTF-16 units                                    the example of doccano's issue 2290
label, labels, entities; flat and nested metadata; the      hand-written exports of several
objects of relation projects; a JSON list                   versions
without our id the text tells, if it is the only one        by hand
no span is unanswered, "O" is no entity, "skip" sets aside  by hand
each fault is named by line, a broken line costs itself     by hand
"""

from __future__ import annotations

import json
import re

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.label.formats.exchange import read_answers
from minift.label.formats.rows import Question
from tests.label.exports import write_questions

TAGS = ("O", "B-PER", "I-PER", "B-THING")
FIRE = "👨🏻‍🚒 firemen drive firetrucks"
SENTENCES = {
    "s1": TaggedExample("s1", tuple(FIRE.split())),
    "s2": TaggedExample("s2", ("Ada", "sings")),
    "s3": TaggedExample("s3", ("twin",)),
    "s4": TaggedExample("s4", ("twin",)),
}
TEXTS = {
    "a": TextExample("a", "one"),
    "b": TextExample("b", "two", text_b="three"),
    "c": TextExample("c", "twin"),
    "d": TextExample("d", "twin"),
}


def read(tmp_path, *rows, examples=SENTENCES, labels=TAGS):
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (tmp_path / "b.jsonl").write_text("\n".join(lines))
    task = "tagging" if examples is SENTENCES else "classification"
    return read_answers(tmp_path / "b.jsonl", None, examples, labels, task)


def said(imported):
    return [(answer.id, answer.label) for answer in imported.answers]


def test_a_line_holds_the_text_our_id_and_the_guess_as_metadata_but_no_label(tmp_path):
    questions = [Question(TEXTS["b"], 0.5, "pos", 0.75)]
    write_questions(tmp_path / "b", "doccano", questions, "classification")
    assert json.loads((tmp_path / "b").read_text()) == {
        "text": "two\nthree", "label": [], "minift_id": "b",
        "guess": "pos", "confidence": 0.75, "score": 0.5,
    }  # fmt: skip
    tags = ("B-PER", "O", "O", "B-THING")
    write_questions(tmp_path / "b", "doccano", [Question(SENTENCES["s1"], guess=tags)], "tagging")
    (line,) = (tmp_path / "b").read_bytes().splitlines()
    row = json.loads(line)
    assert row["label"] == [] and row["guess"] == "B-PER O O B-THING" and line.isascii()


def test_spans_count_utf16_units_as_doccano_does(tmp_path):
    """Issue 2290 of doccano: in this text it puts "firetrucks" at 22 to 32, Python at 19 to 29."""
    assert FIRE[19:29] == "firetrucks"
    at = len(FIRE[: FIRE.index("firetrucks")].encode("utf-16-le")) // 2
    assert at == 22
    row = {"id": 1, "minift_id": "s1", "text": FIRE, "label": [[at, at + 10, "THING"]]}
    assert said(read(tmp_path, row)) == [("s1", ["O", "O", "O", "B-THING"])]
    row["label"] = [[19, 29, "THING"]]
    imported = read(tmp_path, row)
    assert imported.answers == () and "does not begin and end with a word" in imported.problems[0]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 9, "text": "Ada sings", "minift_id": "s2", "label": [[0, 3, "PER"]], "Comments": []},
        {"id": 9, "text": "Ada sings", "meta": {"minift_id": "s2"}, "annotation_approver": None,
         "labels": [[0, 3, "PER"]]},
        {"id": 9, "text": "Ada sings", "minift_id": "s2", "relations": [], "Comments": [],
         "entities": [{"id": 3, "label": "PER", "start_offset": 0, "end_offset": 3}]},
        {"id": "s1", "text": "Ada sings", "label": [[0, 3, "PER"]]},
    ],
)  # fmt: skip
def test_the_exports_of_several_versions_say_the_same(row, tmp_path):
    imported = read(tmp_path, row)
    assert said(imported) == [("s2", ["B-PER", "O"])] and imported.problems == ()
    (tmp_path / "list.json").write_text(json.dumps([row], indent=1))
    imported = read_answers(tmp_path / "list.json", None, SENTENCES, TAGS, "tagging")
    assert said(imported) == [("s2", ["B-PER", "O"])]


def test_without_our_id_the_text_tells_only_if_it_is_the_only_one_of_its_kind(tmp_path):
    rows = [
        {"id": i, "text": text, "label": ["pos"]}
        for i, text in enumerate(["one", "two\nthree", "twin"])
    ]
    imported = read(tmp_path, *rows, examples=TEXTS, labels=("neg", "pos"))
    assert said(imported) == [("a", "pos"), ("b", "pos")]
    (problem,) = imported.problems
    assert problem.startswith("b.jsonl: line 3: it has no id, and 2 texts of it read the same")


def test_no_span_is_unanswered_an_o_is_no_entity_and_a_comment_sets_aside(tmp_path):
    rows = [
        {"text": FIRE, "minift_id": "s1", "label": []},
        {"text": "Ada sings", "minift_id": "s2", "label": [[4, 9, "O"]]},
        {"text": "twin", "minift_id": "s3", "label": [], "Comments": ["why?", " Skip "]},
        {
            "text": "twin",
            "minift_id": "s4",
            "entities": [],
            "Comments": [{"id": 1, "comment": "Skip"}],
        },
    ]
    imported = read(tmp_path, *rows)
    assert said(imported) == [("s2", ["O", "O"]), ("s3", None), ("s4", None)]
    assert imported.unanswered == ("s1",)
    (problem,) = imported.problems
    assert "sentences without a span: 1." in problem and 'mark a word as "O"' in problem
    rows = [{"text": "one", "minift_id": "a", "label": []}]
    imported = read(tmp_path, *rows, examples=TEXTS, labels=("neg", "pos"))
    assert imported.unanswered == ("a",) and imported.problems == ()


@pytest.mark.parametrize(
    "row,words",
    [
        ('{"text": "one", ', "line 2: not JSON: "),
        ('"text"', "line 2: a row must be a JSON object, got 'text'"),
        (
            {"text": "one", "minift_id": "a", "label": ["neg", "pos"]},
            "line 2: text 'a': it has several cla",
        ),
        (
            {"text": "one", "minift_id": "a", "label": {"pos": 1}},
            "line 2: text 'a': expected a list of labels",
        ),
        (
            {"text": "one", "minift_id": "a", "label": ["poss"]},
            r"not a label; .*did you mean \"pos\"\?",
        ),
        (
            {"text": "one", "minift_id": "a", "label": [[0, 3, "pos"]]},
            r"\[0, 3, 'pos'\] is not a label",
        ),
        ({"minift_id": "a", "label": ["pos"]}, r"line 2: the text is missing, got \[None\]"),
        (
            {"text": "One", "minift_id": "a", "label": ["pos"]},
            "line 2: the text of 'a' was changed",
        ),
    ],
)
def test_each_fault_is_named_by_its_line_and_costs_one_answer(row, words, tmp_path):
    good = {"text": "two\nthree", "minift_id": "b", "label": ["neg"]}
    imported = read(tmp_path, good, row, good, examples=TEXTS, labels=("neg", "pos"))
    assert said(imported) == [("b", "neg")]
    assert re.search("b.jsonl: .*" + words, imported.problems[0])


@pytest.mark.parametrize("span", [["PER", 0, 3], [0, 3], "PER", {"start": 0}, [0, 3, "PER", 1], 5])
def test_a_span_of_another_shape_is_named(span, tmp_path):
    imported = read(tmp_path, {"text": "Ada sings", "minift_id": "s2", "label": [span]})
    assert imported.answers == imported.unanswered == ()
    fault = "it needs one type" if span == [0, 3] else "lies outside"
    assert "text 's2': span" in imported.problems[0] and fault in imported.problems[0]
