"""What labelling tools export can be trained on as it stands.

claim                                                       oracle
each tool's export of the same answers gives the same       exports built by hand (label/exports.py)
classes, tags and ids as the answers
unanswered, set aside, drafts are left out and counted      by hand
of answers that differ the last counts, and it is said      by hand
several classes, overlapping spans, a file that does not    by hand
tell are refused, by line or record
a text whose list of spans is empty has no entity           by hand; doccano's is left open
examples of spaCy 2 are read as those of spaCy 3            the same texts and spans
spans of spaCy and Prodigy count code points                by hand, an emoji before the span
a word is cut where a span ends in it, and it is said       by hand
names other than ours can be given                          by hand
a table that is no tool's is read as before                 by hand
"""

from __future__ import annotations

import json

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.data.files.readers import read_dataset, read_examples
from minift.errors import MiniftError
from minift.label.formats.rows import Question
from tests.label import exports
from tests.label.exports import write_questions

TOOLS = {
    "labelstudio": ("json", exports.labelstudio),
    "labelstudio_min": ("json", exports.labelstudio_min),
    "labelstudio_csv": ("csv", exports.labelstudio_csv),
    "doccano": ("jsonl", exports.doccano),
    "doccano_csv": ("csv", exports.doccano_csv),
    "argilla": ("json", exports.argilla),
    "argilla_jsonl": ("jsonl", exports.argilla_jsonl),
}
CLASSES = {"7": "neg", "3": None, "9": "pos", "2": "neg"}  # one is set aside, one unanswered
TEXTS = {"7": "a dull film", "3": "???", "5": "not yet", "9": "two\nlines, 😀", "2": '"so", so'}
WORDS = {
    "7": ["Ada", "met", "😀", "Bo", "Li", "in", "Bonn"],
    "3": ["x"],
    "5": ["y"],
    "9": ["it", "rains"],
}
TAGS = {"7": ["B-PER", "O", "O", "B-PER", "I-PER", "O", "B-LOC"], "3": None, "9": ["O", "O"]}


def exported(tmp_path, tool, examples, answers, task):
    suffix, export = TOOLS[tool]
    format = tool.split("_")[0]
    write_questions(tmp_path / "batch", format, [Question(e) for e in examples], task)
    words = {e.id: getattr(e, "words", None) for e in examples}
    written = (tmp_path / "batch").read_text(encoding="utf-8")
    path = tmp_path / f"export.{suffix}"
    path.write_text(export(written, answers, words), encoding="utf-8", newline="")
    return path


def read(tmp_path, name, content, **options):
    rows = isinstance(content, list) and name.endswith("jsonl")
    text = "\n".join(map(json.dumps, content)) if rows else content
    (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
    return read_dataset(tmp_path / name, **options)


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tools_classes_are_the_ones_that_people_gave(tool, tmp_path):
    examples = [TextExample(id, text) for id, text in TEXTS.items()]
    path = exported(tmp_path, tool, examples, CLASSES, "classification")
    data = read_dataset(path)
    expected = [(id, TEXTS[id], label) for id, label in CLASSES.items() if label]
    assert [(e.id, e.text, e.label) for e in data.train] == expected
    assert (data.task, data.labels) == ("classification", ("neg", "pos"))
    noted = " ".join(data.notes)
    assert ("texts that were set aside, which are left out: 1" in noted) == (
        not tool.startswith("labelstudio_")  # which leave skips out
    )
    assert ("texts without an answer, which are left out: 1" in noted) == (
        tool != "labelstudio_csv"  # which has answers only
    )


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool != "doccano_csv"])
def test_every_tools_spans_are_the_tags_that_people_meant(tool, tmp_path):
    examples = [TaggedExample(id, tuple(words)) for id, words in WORDS.items()]
    data = read_dataset(exported(tmp_path, tool, examples, TAGS, "tagging"))
    assert data.task == "tagging"
    assert data.labels == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    expected = [(id, tuple(WORDS[id]), tuple(TAGS[id])) for id in ("7", "9")]
    assert [(e.id, e.words, e.tags) for e in data.train] == expected


def test_of_two_peoples_answers_the_last_one_counts_and_it_is_said(tmp_path):
    def by(label, at):
        value = {"choices": [label]}
        return {"updated_at": at, "result": [{"type": "choices", "value": value}]}

    rows = [
        {"id": 1, "data": {"text": "a"}, "annotations": [by("neg", "2"), by("pos", "1")]},
        {"id": 2, "data": {"text": "b"}, "annotations": [by("pos", "1"), by("pos", "2")]},
        {"id": 3, "data": {"text": "c"}, "annotations": [], "predictions": [by("pos", "1")]},
    ]
    data = read(tmp_path, "a.json", rows)
    assert [(e.text, e.label) for e in data.train] == [("a", "neg"), ("b", "pos")]
    assert data.notes[:2] == (
        "a.json: texts without an answer, which are left out: 1 (first: record 3)",
        "a.json: texts with different answers, of which the last one counts: 1 (first: record 1)",
    )


FIRE = "😀 Ada sings"  # Ada is at 2 in code points, at 3 in UTF-16 units


@pytest.mark.parametrize(
    "row",
    [
        {"text": FIRE, "entities": [[2, 5, "PER"]]},
        {"text": FIRE, "answer": "accept", "spans": [{"start": 2, "end": 5, "label": "PER"}]},
        {"text": FIRE, "label": [[3, 6, "PER"]]},
        {"text": FIRE, "relations": [],
         "entities": [{"start_offset": 3, "end_offset": 6, "label": "PER"}]},
    ],
)  # fmt: skip
def test_each_tool_counts_characters_in_its_own_way(row, tmp_path):
    (example,) = read(tmp_path, "a.jsonl", [row]).train
    assert (example.words, example.tags) == (tuple(FIRE.split()), ("O", "B-PER", "O"))


def test_what_prodigy_rejected_is_left_out_and_what_it_accepted_without_spans_has_none(tmp_path):
    rows = [
        {"text": "Ada", "answer": "accept", "spans": [{"start": 0, "end": 3, "label": "PER"}]},
        {"text": "Bo", "answer": "reject", "spans": [{"start": 0, "end": 2, "label": "PER"}]},
        {"text": "it rains", "answer": "accept", "spans": []},
    ]
    data = read(tmp_path, "a.jsonl", rows)
    assert [e.tags for e in data.train] == [("B-PER",), ("O", "O")]
    rows = [{"text": t, "accept": [a], "answer": "accept"} for t, a in (("a", "x"), ("b", "y"))]
    assert [e.label for e in read(tmp_path, "b.jsonl", rows).train] == ["x", "y"]


@pytest.mark.parametrize(
    "key,span",
    [("spans", {"start": 0, "end": 3, "label": "PER"}), ("entities", [0, 3, "PER"]),
     ("label", [0, 3, "PER"])],
)  # fmt: skip
def test_an_empty_list_of_spans_says_that_there_is_none_but_in_doccano(key, span, tmp_path):
    rows = [{"text": "Ada sings", key: [span]}, {"text": "it rains", key: []}]
    data = read(tmp_path, "a.jsonl", rows)
    assert [e.tags for e in data.train] == [("B-PER", "O"), ("O", "O")][: 1 + (key != "label")]
    noted = " ".join(data.notes)
    assert ("left out: 1" in noted) == (key == "label") and "spaCy" not in noted
    assert ("Nothing says whether anybody looked" in noted) == (key == "label")


def test_what_was_left_out_is_told_where_too_few_classes_are_left(tmp_path):
    rows = [{"text": t, "label": "x", "answer": a} for t, a in (("a", "accept"), ("b", "reject"))]
    words = r"every label is 'x'; expected two or more; a.jsonl: texts that were set aside.*: 1 "
    with pytest.raises(MiniftError, match=words):
        read(tmp_path, "a.jsonl", rows)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_examples_of_spacy_2_are_read_one_per_line_or_in_a_list(name, tmp_path):
    spans = [(FIRE, [[2, 5, "PER"]]), ("it rains", [])]
    rows = [{"text": text, "entities": marks} for text, marks in spans]
    whole = [[text, {"entities": marks}] for text, marks in spans]
    expected = read(tmp_path, "b.jsonl", rows).train
    assert [e.tags for e in expected] == [("O", "B-PER", "O"), ("O", "O")]
    assert read(tmp_path, name, whole).train == expected
    assert read(tmp_path, name, "\n".join(map(json.dumps, whole))).train == expected
    assert read(tmp_path, name, json.dumps(whole, indent=2)).train == expected


@pytest.mark.parametrize(
    "span", [[0, 3], [0, 3, None], [0, 3, ""], {"start": 0, "end": 3}, [0, 3, ["A", "B"]]]
)
def test_a_span_without_its_one_type_is_told_so(span, tmp_path):
    with pytest.raises(MiniftError, match=r"line 1: span 0-3 .*'Ada': it needs one type, as in"):
        read(tmp_path, "a.jsonl", [{"text": "Ada sings", "entities": [span]}])
    rows = [{"text": "Ada sings", "entities": [[0, 3, "None"]]}]  # a name like any other
    assert read(tmp_path, "a.jsonl", rows).train[0].tags == ("B-None", "O")


@pytest.mark.parametrize("first", ["__label__x one", " nobody has looked"])
def test_lines_of_fasttext_without_a_label_are_told_with_what_to_export(first, tmp_path):
    content = f"{first}\nof two lines\n__label__y three\n"
    with pytest.raises(
        MiniftError, match=r"doccano's breaks texts; export JSONL .*2: the label is"
    ):
        read(tmp_path, "a.txt", content)


def test_a_word_is_cut_where_a_span_ends_in_it(tmp_path):
    data = read(tmp_path, "a.jsonl", [{"text": "New York-based.", "label": [[0, 8, "LOC"]]}])
    assert data.train[0].words == ("New", "York", "-based", ".")
    assert data.train[0].tags == ("B-LOC", "I-LOC", "O", "O")
    (note,) = (note for note in data.notes if "cuts in two" in note)
    assert note.endswith("1 (first: line 1, 'York-based')")


@pytest.mark.parametrize(
    "row,words",
    [
        ({"text": "b", "label": ["x", "y"]}, r"line 2: it has several classes, \['x', 'y'\], and"),
        ({"text": "b", "label": {"x": 1}}, "line 2: the label must be a string"),
        ({"text": "Bo", "label": [[0, 2, "A"], [0, 1, "B"]]}, "line 2: span 0-1 .* it overlaps"),
        ({"text": "Bo", "label": [[0, 9, "A"]]}, "line 2: span 0-9 .* lies outside the text of 2"),
        ({"text": None, "label": ["x"]}, 'line 2: "text" is missing'),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_line(row, words, tmp_path):
    with pytest.raises(MiniftError, match="a.jsonl: .*" + words):
        read(tmp_path, "a.jsonl", [{"text": "a", "label": ["x"]}, row])


@pytest.mark.parametrize(
    "name,content,words",
    [
        ("a.json", '[{"data": {"text": "a"}, "annotations": []}]', "nobody has answered anything"),
        ("a.json", "[1, ", "not JSON"),
        ("a.json", '[{"text": "a", "label": "x"}, 3]', "record 2: a row must be a JSON obj"),
        ("a.conll", "-DOCSTART- -X- O\nAda -X- _ B-PER\n", "Label Studio's CoNLL .* export JSON"),
    ],
)
def test_a_file_that_does_not_tell_is_refused_with_what_to_do(name, content, words, tmp_path):
    with pytest.raises(MiniftError, match=words):
        read(tmp_path, name, content)


def test_names_other_than_ours_can_be_given(tmp_path):
    value = {"choices": ["x"]}
    regions = [{"type": "choices", "from_name": n, "value": value} for n in ("mood", "topic")]
    task = {"data": {"review": "a"}, "annotations": [{"result": regions}]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    (example,) = read_examples(tmp_path / "a.json", text="review", label="mood")
    assert (example.text, example.label) == ("a", "x")
    flat = {"_server_id": "s", "review": "a", "mood.responses": ["x"], "status": "completed"}
    (tmp_path / "b.json").write_text(json.dumps([flat]))
    (example,) = read_examples(tmp_path / "b.json", text="review", label="mood")
    assert (example.text, example.label) == ("a", "x")


def test_a_table_that_is_no_tools_is_read_as_before(tmp_path):
    rows = [{"text": "a", "label": "x", "answer": "no"}, {"text": "b", "label": "y", "data": 1}]
    for name in ("a.json", "a.jsonl"):
        data = read(tmp_path, name, rows)
        assert [(e.id, e.text, e.label) for e in data.train] == [("1", "a", "x"), ("2", "b", "y")]
    with pytest.raises(MiniftError, match="line 2: the label must be a string or a number"):
        read(tmp_path, "b.jsonl", [{"text": "a", "label": "x"}, {"text": "b", "label": []}])
