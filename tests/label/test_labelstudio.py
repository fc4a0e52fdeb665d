"""Label Studio: what it imports, and both of its exports.

claim                                                       oracle
a task has our id, the text, the guess and its confidence   the documented schema, by hand
the labelling configuration is valid XML with the labels,   xml.etree, hostile labels
and shows texts as text, not as HTML
JSON: several annotators, skips, corrections, drafts        a hand-written export
JSON-MIN: newest first, own ids over ours, skips left out   a hand-written export
an emoji before a span                                      code points, and UTF-16 refused
each fault is named by record                               by hand
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.errors import MiniftError
from minift.label.formats.exchange import read_answers
from minift.label.formats.labelstudio import labelling_config
from minift.label.formats.rows import Question
from tests.label.exports import write_questions

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
TEXT = "Ada 😀 met Bo Li in Bonn"
SENTENCES = {
    "s1": TaggedExample("s1", tuple(TEXT.split())),
    "s2": TaggedExample("s2", ("plain", "words")),
}
TEXTS = {str(i): TextExample(str(i), f"<b>text {i}</b>") for i in range(6)}
ANSWER = ["B-PER", "O", "O", "B-PER", "I-PER", "O", "B-LOC"]
SPANS = [(0, 3, "Ada", "PER"), (10, 15, "Bo Li", "PER"), (19, 23, "Bonn", "LOC")]


def read(tmp_path, rows, examples=SENTENCES, labels=TAGS):
    (tmp_path / "b.json").write_text(json.dumps(rows))
    task = "tagging" if examples is SENTENCES else "classification"
    return read_answers(tmp_path / "b.json", None, examples, labels, task)


def said(imported):
    return [(answer.id, answer.label) for answer in imported.answers]


def region(start, end, text, label, **more):
    value = {"start": start, "end": end, "text": text, "labels": [label], **more}
    return {"value": value, "id": "x", "from_name": "label", "to_name": "text", "type": "labels"}


def task(*annotations, id="s1", text=TEXT, **more):
    return {"id": 900, "data": {"minift_id": id, "text": text}, "annotations": annotations, **more}


def annotation(*regions, skipped=False, at="2026-01-01T00:00:00Z"):
    return {"id": 1, "completed_by": 2, "result": list(regions), "was_cancelled": skipped,
            "updated_at": at, "ground_truth": False}  # fmt: skip


def choice(*classes):
    value = {"choices": list(classes)}
    return {"value": value, "from_name": "label", "to_name": "text", "type": "choices"}


def test_a_task_is_written_as_the_documentation_says(tmp_path):
    example = TextExample("7", "<b>x</b>", text_b="y")
    questions = [
        Question(example, 0.5, "pos", 0.75),
        Question(SENTENCES["s1"], 0.25, tuple(ANSWER), 0.5),
    ]
    write_questions(tmp_path / "a", "labelstudio", questions[:1], "classification")
    write_questions(tmp_path / "b", "labelstudio", questions[1:], "tagging")
    assert json.loads((tmp_path / "a").read_text()) == [
        {
            "data": {"minift_id": "7", "text": "<b>x</b>", "text_b": "y", "score": 0.5},
            "predictions": [
                {
                    "model_version": "minift",
                    "score": 0.75,
                    "result": [
                        {"id": "guess-0", "from_name": "label", "to_name": "text",
                         "type": "choices", "value": {"choices": ["pos"]}}
                    ],
                }
            ],
        }
    ]  # fmt: skip
    (written,) = json.loads((tmp_path / "b").read_text())
    values = [r["value"] for r in written["predictions"][0]["result"]]
    assert values == [
        {"start": start, "end": end, "text": text, "labels": [label]}
        for start, end, text, label in SPANS
    ]
    assert {r["type"] for r in written["predictions"][0]["result"]} == {"labels"}
    assert (tmp_path / "b").read_bytes().isascii()


@pytest.mark.parametrize("task_name", ["classification", "tagging"])
def test_the_configuration_is_valid_xml_that_holds_every_label_and_shows_no_html(task_name):
    names = ["a&b\"<>'", "neu\ntral", "😀", "&amp;", "</View>", "<b>x</b>", " blank "]
    labels = names if task_name == "classification" else ["O", *(f"B-{name}" for name in names)]
    root = ET.fromstring(labelling_config(labels, task_name, pairs=task_name == "classification"))
    control, item = {"classification": ("Choices", "Choice"), "tagging": ("Labels", "Label")}[
        task_name
    ]
    (box,) = root.findall(control)
    assert [child.get("value") for child in box.findall(item)] == names
    assert box.get("name") == "label" and box.get("toName") == "text"
    shown = [(text.get("name"), text.get("value")) for text in root.findall("Text")]
    assert (
        shown
        == [("text", "$text"), ("text_b", "$text_b")][: 2 if task_name == "classification" else 1]
    )
    assert {node.tag for node in root} == {"Style", control, "Text"}  # no HyperText


def test_a_json_export_gives_every_annotators_answer_and_no_prediction(tmp_path):
    spans = annotation(*[region(*span) for span in SPANS], at="2026-01-03")
    late, early = (
        annotation(choice("pos"), at="2026-01-02"),
        annotation(choice("neg"), at="2026-01-01"),
    )
    guess = [{"model_version": "minift", "result": [choice("neg")]}]
    note = {"type": "textarea", "value": {"text": ["note"]}}
    imported = read(tmp_path, [task(spans), task(annotation(), id="s2", text="plain words")])
    assert said(imported) == [("s1", ANSWER), ("s2", ["O", "O"])] and imported.problems == ()
    spans = annotation({"type": "hypertextlabels", "value": {}})  # not what was asked for
    (problem,) = read(tmp_path, [task(spans)]).problems
    assert 'expected regions of type "labels", got' in problem
    imported = read(
        tmp_path,
        [
            task(late, early, id="0", text="<b>text 0</b>"),
            task(annotation(skipped=True), id="1", text="<b>text 1</b>"),
            task(annotation(skipped=True), late, id="2", text="<b>text 2</b>"),
            task(id="3", text="<b>text 3</b>", predictions=guess, drafts=[{}]),
            task(annotation(), id="4", text="<b>text 4</b>"),
            task(annotation(note, choice("neg")), id="5", text="<b>text 5</b>"),
        ],
        TEXTS,
        ("neg", "pos"),
    )
    assert said(imported) == [("0", "neg"), ("0", "pos"), ("1", None), ("2", "pos"), ("5", "neg")]
    assert imported.unanswered == ("3", "4") and imported.problems == ()
    assert [answer.where for answer in imported.answers[:2]] == [
        "b.json: record 1, annotation 2",
        "b.json: record 1, annotation 1",
    ]


def test_two_annotators_stay_two_and_one_who_says_it_twice_is_one(tmp_path):
    def by(who, label, at):
        return {**annotation(choice(label), at=at), "completed_by": who}

    rows = [
        task(by(1, "pos", "1"), by(2, "pos", "2"), by(1, "pos", "3"), id="0", text="<b>text 0</b>"),
        task(by({"id": 7, "email": "ada@x"}, "neg", "1"), id="1", text="<b>text 1</b>"),
    ]
    given = read(tmp_path, rows, TEXTS, ("neg", "pos")).answers
    assert [(a.id, a.label, a.by) for a in given] == [
        ("0", "pos", "labelstudio:1"),
        ("0", "pos", "labelstudio:2"),
        ("1", "neg", "labelstudio:ada@x"),
    ]


def test_a_json_min_export_is_read_oldest_first_with_its_own_ids_ignored(tmp_path):
    def row(number, at, annotation_id=1, **more):
        about = {"minift_id": str(number), "text": f"<b>text {number}</b>", "id": 0}
        return {**about, "annotation_id": annotation_id, "updated_at": at, "annotator": 1, **more}

    rows = [
        row(1, "2026-01-03", label="pos"),
        row(1, "2026-01-02", label="neg"),
        row(2, None, annotation_id=None),
        row(3, "2026-01-02", label={"choices": ["neg"]}),
        row(4, "2026-01-02", label={"choices": ["neg", "pos"]}),
    ]
    imported = read(tmp_path, rows, TEXTS, ("neg", "pos"))
    assert said(imported) == [("1", "neg"), ("1", "pos"), ("3", "neg")]
    assert imported.unanswered == ("2",)
    (two,) = imported.problems
    assert two.startswith(
        "b.json: record 5: text '4': it has several classes, ['neg', 'pos'], and minift knows one"
    )
    with pytest.raises(MiniftError, match='nothing in it is called "label"; give the choices that'):
        read(tmp_path, [row(5, "2026-01-02", sentiment="pos")], TEXTS, ("neg", "pos"))
    values = [region(*span)["value"] for span in SPANS]
    base = {"minift_id": "s1", "text": TEXT, "annotation_id": 1}
    for name in ("label", "entities"):
        assert said(read(tmp_path, [{**base, name: values}])) == [("s1", ANSWER)]
    assert said(read(tmp_path, [base])) == [("s1", ["O"] * 7)]


@pytest.mark.parametrize(
    "row,words",
    [
        (
            task(annotation(region(11, 16, "Bo Li", "PER"))),
            r"'o Li ', should be 'Bo Li': it was moved",
        ),
        (
            task(annotation(region(10, 15, "Bo L", "PER"))),
            "should be 'Bo L': it was moved; mark it",
        ),
        (task(annotation(region(10, 14, "Bo L", "PER"))), "does not begin and end with a word"),
        (task(annotation(region(0, 3, "Ada", "PRE"))), r'no such type; .*did you mean "PER"\?'),
        (
            task(annotation(region(0, 3, "Ada", "PER", labels=["PER", "LOC"]))),
            "it needs one type",
        ),
        (
            task(annotation(region(0, 3, "Ada", "PER"), region(0, 5, "Ada 😀", "LOC"))),
            "it overlaps",
        ),
        (task(annotation({"type": "labels"})), "span None-None .* lies outside the text of 23"),
        (task(annotation(), text=TEXT + "!"), "the text of 's1' was changed"),
        (task(annotation(), id="x", text="foreign"), "the id 'x', which is not in this project"),
        (task(annotation(), text=None), r"the text is missing, got \[None\]; leave it in"),
        (task("x"), "expected regions of type \"labels\", got \\['x'\\]"),
        (task({"result": 3}), 'expected regions of type "labels", got 3'),
        ("text", "a row must be a JSON object, got 'text'"),
    ],
)
def test_each_fault_of_an_export_is_named_by_its_record_and_costs_one_answer(row, words, tmp_path):
    good = task(annotation(), id="s2", text="plain words")
    imported = read(tmp_path, [good, row])
    assert said(imported) == [("s2", ["O", "O"])]
    assert re.search("b.json: record 2: .*" + words, imported.problems[0])


def test_every_lost_span_is_listed(tmp_path):
    moved = [region(s + 1, e + 1, t, label) for s, e, t, label in SPANS]
    problems = read(tmp_path, [task(annotation(*moved))]).problems
    assert len(problems) == 3
    assert [re.search(r"span (\d+)-", problem)[1] for problem in problems] == ["1", "11", "20"]
    assert "'o Li ', should be 'Bo Li': it was moved" in problems[1]


def test_offsets_of_an_old_version_in_utf16_units_are_noticed_not_taken(tmp_path):
    old = annotation(region(11, 16, "Bo Li", "PER"))  # one more, for the emoji before it
    imported = read(tmp_path, [task(old)])
    assert imported.answers == () and "should be 'Bo Li'" in imported.problems[0]
