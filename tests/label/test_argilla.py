"""Argilla 2: the records it loads, and both of its exports.

claim                                                       oracle
a record has our id, fields, and a suggestion with score    the client's Record.from_dict, by hand
and agent; spans have a score each
a span suggestion over an emoji is not written              by hand
submitted counts, discarded skips, drafts are left open     hand-written exports, flattened
a response without a status counts only if it is the only   hand-written exports, nested
one of a completed record; else the file is refused
who answered is kept                                        by hand
the recipe that is printed runs                             the client's signatures
each fault is named by record                               by hand
"""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.errors import MiniftError
from minift.label.formats.exchange import how, read_answers
from minift.label.formats.rows import Question
from tests.label.exports import write_questions

TAGS = ("O", "B-PER", "I-PER")
SENTENCES = {
    "s1": TaggedExample("s1", ("Ada", "😀", "Bo", "Li")),
    "s2": TaggedExample("s2", ("Ada", "and", "Bo")),
}
TEXTS = {str(i): TextExample(str(i), f"text {i}") for i in range(6)}


def read(tmp_path, rows, examples=TEXTS, labels=("neg", "pos")):
    (tmp_path / "b.json").write_text(json.dumps(rows))
    task = "tagging" if examples is SENTENCES else "classification"
    return read_answers(tmp_path / "b.json", None, examples, labels, task)


def said(imported):
    return [(answer.id, answer.label) for answer in imported.answers]


def flat(number, values, states, **more):
    return {"id": str(number), "text": f"text {number}", "_server_id": "x", "status": "pending",
            "label.responses": values, "label.responses.users": ["u"] * len(values or []),
            "label.responses.status": states, "label.suggestion": "neg", **more}  # fmt: skip


def nested(number, *values, status="pending", **more):
    given = [{"value": value, "user_id": "u", **more} for value in values]
    return {"id": str(number), "fields": {"text": f"text {number}"}, "metadata": {}, "vectors": {},
            "suggestions": {"label": {"value": "neg"}}, "responses": {"label": given},
            "status": status}  # fmt: skip


def test_a_record_is_what_the_client_loads(tmp_path):
    questions = [Question(TextExample("7", "x", text_b="y"), 0.5, "pos", 0.75)]
    write_questions(tmp_path / "b", "argilla", questions, "classification")
    assert json.loads((tmp_path / "b").read_text()) == [
        {
            "id": "7",
            "fields": {"text": "x", "text_b": "y"},
            "metadata": {"score": 0.5},
            "suggestions": {"label": {"value": "pos", "score": 0.75, "agent": "minift"}},
            "responses": {},
            "vectors": {},
        }
    ]


def test_span_suggestions_have_a_score_each_and_none_is_written_over_an_emoji(tmp_path):
    questions = [
        Question(SENTENCES["s2"], guess=("B-PER", "O", "B-PER"), confidence=0.5),
        Question(SENTENCES["s1"], guess=("B-PER", "O", "B-PER", "I-PER"), confidence=0.5),
        Question(SENTENCES["s2"], guess=("O", "O", "O"), confidence=0.5),
    ]
    write_questions(tmp_path / "b", "argilla", questions, "tagging")
    first, second, third = json.loads((tmp_path / "b").read_text())
    assert first["suggestions"]["label"] == {
        "value": [{"start": 0, "end": 3, "label": "PER"}, {"start": 8, "end": 10, "label": "PER"}],
        "score": [0.5, 0.5],
        "agent": "minift",
    }
    assert second["suggestions"] == {} and second["fields"] == {"text": "Ada 😀 Bo Li"}
    assert third["suggestions"]["label"] == {"value": [], "score": None, "agent": "minift"}
    assert third["metadata"] == {}


def test_flattened_submitted_counts_discarded_skips_and_drafts_are_left_open(tmp_path):
    rows = [
        flat(0, ["pos"], ["submitted"]),
        flat(1, ["pos"], ["discarded"]),
        flat(2, ["pos"], ["draft"]),
        flat(3, None, None),
        flat(4, ["neg", "pos", "neg"], ["submitted", "submitted", "draft"]),
        flat(5, ["neg", "pos"], ["discarded", "submitted"]),
    ]
    imported = read(tmp_path, rows)
    assert said(imported) == [("0", "pos"), ("1", None), ("4", "neg"), ("4", "pos"), ("5", "pos")]
    assert imported.unanswered == ("2", "3") and imported.problems == ()


def test_the_users_of_the_responses_stay_who_they_are(tmp_path):
    two = flat(0, ["pos", "neg", "pos"], ["submitted", "submitted", "draft"])
    two["label.responses.users"] = ["u-ada", "u-bo", "u-cy"]
    one = {**nested(1), "status": "completed"}
    one["responses"] = {"label": [{"value": "pos", "user_id": "u-bo"}]}
    given = read(tmp_path, [two, one]).answers
    assert [(a.id, a.label, a.by) for a in given] == [
        ("0", "pos", "argilla:u-ada"),
        ("0", "neg", "argilla:u-bo"),
        ("1", "pos", "argilla:u-bo"),
    ]


def test_nested_the_only_response_of_a_completed_record_was_submitted(tmp_path):
    rows = [
        nested(0, "pos", status="completed"),
        nested(2),
        {**nested(4, "neg"), "responses": {"label": [{"value": "neg", "status": "submitted"}]}},
        {**nested(5, "neg"), "responses": {"label": [{"value": "neg", "status": "discarded"}]}},
    ]
    imported = read(tmp_path, rows)
    assert said(imported) == [("0", "pos"), ("4", "neg"), ("5", None)]
    assert imported.unanswered == ("2",) and imported.problems == ()


@pytest.mark.parametrize(
    "rows,words",
    [
        ([nested(1, "pos")], "does not tell what was submitted from drafts"),  # a draft or discard
        ([nested(1, "pos", "neg", status="completed")], "does not tell what was submitted"),
        ([nested(1, status="completed")], 'completed without a response to "label"'),
        ([flat(1, None, None, status="completed")], 'completed without a response to "label"'),
        ({"1": nested(1, "pos"), "2": nested(2, "neg")}, "does not tell what was submitted"),
    ],
)
def test_an_export_that_does_not_tell_is_refused_with_the_one_that_does(rows, words, tmp_path):
    good = [nested(0, "pos", status="completed")] if isinstance(rows, list) else {}
    with pytest.raises(MiniftError, match=words) as error:
        read(tmp_path, [*good, *rows] if isinstance(rows, list) else rows)
    assert "with_responses=True).to_list(flatten=True)" in str(error.value)


def test_what_to_dict_gives_is_read_as_what_to_list_gives(tmp_path):
    """`to_dict(flatten=True)` goes by columns, `to_dict(orient="index")` by ids."""
    rows = [flat(1, ["pos"], ["submitted"], status="completed"), flat(2, ["neg"], ["discarded"])]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert read(tmp_path, columns) == read(tmp_path, rows)
    rows = [nested(4, "pos", status="completed"), nested(5)]
    assert read(tmp_path, {row["id"]: row for row in rows}) == read(tmp_path, rows)
    assert len(read(tmp_path, rows).answers) == 1


def test_the_csv_of_a_data_set_is_refused_and_its_jsonl_read(tmp_path):
    """What `datasets` writes of `to_datasets()`: lists of numpy in cells; floats of 10 digits."""
    (tmp_path / "b.csv").write_text(
        "id,status,_server_id,text,label.responses,label.responses.users,label.responses.status\n"
        "1,completed,s,text 1,['pos' 'neg'],\"['u1'\n 'u2']\",['submitted' 'draft']\n"
    )
    with pytest.raises(MiniftError, match="Argilla's CSV does not keep the responses; export"):
        read_answers(tmp_path / "b.csv", None, TEXTS, ("neg", "pos"), "classification")
    (tmp_path / "b.jsonl").write_text(
        "".join(
            json.dumps(row) + "\n"
            for row in (flat(1, ["pos"], ["submitted"]), flat(2, None, None, score=0.1))
        )
    )
    imported = read_answers(tmp_path / "b.jsonl", None, TEXTS, ("neg", "pos"), "classification")
    assert said(imported) == [("1", "pos")] and imported.unanswered == ("2",)


@pytest.mark.parametrize("task,pairs", [("classification", False), ("classification", True),
                                        ("tagging", False)])  # fmt: skip
def test_the_recipe_that_is_printed_runs_as_it_is_printed(task, pairs, tmp_path, monkeypatch):
    """Against the signatures of Argilla 2.8's client, which refuse what they do not know."""
    made, client = {}, types.ModuleType("argilla")
    signatures = {
        "TextField": lambda name, title=None: made.setdefault("fields", []).append(name),
        "FloatMetadataProperty": lambda name, min=None, max=None: made.update(metadata=name),
        "LabelQuestion": lambda name, labels, title=None: made.update(question=(name, labels)),
        "SpanQuestion": lambda name, field, labels, allow_overlapping=False: made.update(
            question=(name, field, labels)
        ),
        "Settings": lambda fields=None, questions=None, metadata=None: "settings",
        "Argilla": lambda api_url=None, api_key=None: "client",
    }
    for name, made_by in signatures.items():
        setattr(client, name, made_by)

    class Records:
        def from_json(self, path):
            made.update(path=path)

        def __call__(self, with_responses=False):
            return types.SimpleNamespace(to_list=lambda flatten=False: [{"flat": flatten}])

    class Dataset:
        def __init__(self, name=None, workspace=None, settings=None, client=None):
            self.records = Records()

        def create(self):
            made.update(created=True)

    client.Dataset = Dataset
    monkeypatch.setitem(sys.modules, "argilla", client)
    monkeypatch.chdir(tmp_path)
    labels, path = ("it's", 'a "b"'), Path("batches/it's.json")
    said, program = how("argilla", path, labels, task, pairs).split("\n\n", 1)
    assert "Discard" in said
    exec(program, {})
    span = ("label", "text", list(labels))
    assert made["question"] == (span if task == "tagging" else ("label", list(labels)))
    assert made["fields"] == ["text", "text_b"][: 1 + pairs] and made["metadata"] == "score"
    assert made["path"] == str(path) and made["created"]
    assert json.loads((tmp_path / "answers.json").read_text()) == [{"flat": True}]


def test_spans_of_responses_count_utf16_units_and_none_at_all_is_no_entity(tmp_path):
    spans = [{"start": 0, "end": 3, "label": "PER"}, {"start": 7, "end": 12, "label": "PER"}]
    text = "Ada 😀 Bo Li"
    rows = [
        flat("s1", [spans], ["submitted"], text=text),
        flat("s2", [[]], ["submitted"], text="Ada and Bo"),
    ]
    imported = read(tmp_path, rows, SENTENCES, TAGS)
    assert said(imported) == [("s1", ["B-PER", "O", "B-PER", "I-PER"]), ("s2", ["O", "O", "O"])]
    spans[1].update(start=6, end=11)  # code points, as an SDK script would count
    problems = read(tmp_path, rows, SENTENCES, TAGS).problems
    assert len(problems) == 1 and "text 's1': span 6-11 ('PER')" in problems[0]


@pytest.mark.parametrize(
    "row,words",
    [
        (flat(1, ["pso"], ["submitted"]), "record 2: text '1': 'pso' is not a label"),
        (flat(1, [["pos", "neg"]], ["submitted"]), "record 2: text '1': it has several classes"),
        (flat(1, [{"a": 1}], ["submitted"]), "record 2: text '1': {'a': 1} is not a label"),
        (
            flat(1, "pos", ["submitted"]),
            "record 2: text '1': its responses are not a list of answers",
        ),
        ({**nested(1), "responses": {"label": "pos"}}, "its responses are not a list of answers"),
        (flat(1, ["pos"], ["submitted"], text="other"), "record 2: the text of '1' was changed"),
        (flat(9, ["pos"], ["submitted"]), "record 2: it has the id '9', which is not in this pro"),
    ],
)
def test_each_fault_is_named_by_its_record_and_costs_one_answer(row, words, tmp_path):
    imported = read(tmp_path, [flat(0, ["neg"], ["submitted"]), row])
    assert said(imported) == [("0", "neg")]
    assert re.search("b.json: .*" + words, imported.problems[0])


def test_spans_that_are_no_list_of_objects_are_named(tmp_path):
    for value in ("PER", [0, 3], {"start": 0}):
        rows = [flat("s2", [value], ["submitted"], text="Ada and Bo")]
        imported = read(tmp_path, rows, SENTENCES, TAGS)
        assert imported.answers == () and "expected a list of spans" in imported.problems[0]
