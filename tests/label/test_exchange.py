"""Batch files come back with the answers that were given, and with nothing else.

claim                                                       oracle
what was answered in a tool comes back, for every format    exports built by hand (exports.py)
and task, whatever the texts are made of
a spreadsheet's locale does not matter                      the same, with ; TAB, LF, no BOM
written files hold guesses, scores and no answer            by hand
one bad row of a hundred costs one answer                   by hand, every format and task
several answers to one text follow the stated rules         by hand
a row without a usable id is known by its text              by hand
a file of another format is refused, and the right named    every pair of formats
"""

from __future__ import annotations

import functools
import random
import re

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.errors import MiniftError
from minift.label.formats.exchange import (
    FORMATS,
    read_answers,
)
from minift.label.formats.rows import Answer, Question
from tests.label import exports
from tests.label.exports import write_questions

CLASSES = ("neg", "pos", 'odd "one", <b>&', "skip")
TAGS = ("O", "B-PER", "I-PER", "B-geo-loc", "I-geo-loc")
HOSTILE = [
    "plain",
    'say "hi", she said; then\ttab',
    "two\nlines",
    "carriage\r\nreturn",
    "\u2028 line \u2029 separators \x85 \x0b \x0c",
    "👨🏻‍🚒 emoji 😀",
    "<script>alert('x')</script> &amp; <b>",
    "=1+1",
    "+49 30",
    "-3",
    "@home",
    "'quoted",
    "'=1+1",
    "''=1+1",
    "\t=1",
    "\uff1d1",
    "# id = 3",
    "\u200b",
    "\xa0",
    "שלום \u202eabc עולם",
    "e\u0301 ＵＦＦ ﬁ",
    "{}",
    "[1, 2]",
    "null",
    "a" * 140_000,
    " outer blanks ",
    "\\n \\u0041 \\",
    "skip",
    "?",
    "$text {{x}} %s",
]
WORDS = [
    ("Ada", "sings"),
    ("😀", "Ada", "👨🏻‍🚒", "Bo", "𝒳"),
    ("#", "id", "=", "3"),
    ("# id = 3", "x"),
    ("New York", "is", "a\tb", "c\nd"),
    ("\u200b", "\xa0", "e\u0301", "\u202e"),
    ("a\u2028b", "\x85"),
    ("?", "O", "B-PER"),
    ("-DOCSTART-", "x"),
    ("<b>", "&amp;", '"', "'", ","),
    ("=1+1", "-", "+", "@"),
    ("x",),
    ("שלום", "עולם"),
]
ODD_IDS = ["7", "=8", "007", "a,b;c", " 9 ", "ünï", 'q"q', "t\tab", "n\nl", "-1"]


def texts():
    made = [TextExample(f"{ODD_IDS[i % 10]}-{i}", text) for i, text in enumerate(HOSTILE)]
    pair = TextExample("pair", "premise =", text_b="=hypothesis\n'")
    return {e.id: e for e in [*made, pair]}


def sentences():
    made = [TaggedExample(f"{ODD_IDS[i % 10]}-{i}", words) for i, words in enumerate(WORDS)]
    return {e.id: e for e in made}


def random_tags(words, generator):
    tags = []
    for _ in words:
        follow = ["I" + tags[-1][1:]] if tags and tags[-1] != "O" else []
        tags.append(generator.choice(["O", "B-PER", "B-geo-loc", *follow]))
    return tags


SPREADSHEET = {
    "excel in English": {},
    "excel in German": {"delimiter": ";"},
    "tabs": {"delimiter": "\t"},
    "unix": {"bom": False, "newline": "\n"},
}
TOOLS = {
    **{
        f"csv, {name}": ("csv", functools.partial(exports.spreadsheet, **options))
        for name, options in SPREADSHEET.items()
    },
    "labelstudio JSON": ("labelstudio", exports.labelstudio),
    "labelstudio JSON-MIN": ("labelstudio", exports.labelstudio_min),
    "labelstudio CSV": ("labelstudio", exports.labelstudio_csv),
    "labelstudio TSV": ("labelstudio", functools.partial(exports.labelstudio_csv, delimiter="\t")),
    "doccano": ("doccano", exports.doccano),
    "doccano CSV": ("doccano", exports.doccano_csv),
    "doccano with relations": ("doccano", exports.doccano_relations),
    "argilla flattened": ("argilla", exports.argilla),
    "argilla JSONL": ("argilla", exports.argilla_jsonl),
    "argilla nested": ("argilla", functools.partial(exports.argilla, flat=False)),
    "editor": ("conll", exports.editor),
}
CASES = [
    (tool, task)
    for tool, (format, _) in TOOLS.items()
    for task, unsuited in (("classification", "conll"), ("tagging", "csv"))
    if format != unsuited
    and (tool, task) != ("doccano CSV", "tagging")
    and (tool, task) != ("doccano with relations", "classification")
]
PAIRS = sorted({(TOOLS[tool][0], task) for tool, task in CASES})


def world(task):
    """The texts, their labels, and answers: every fourth is skipped, every fifth unanswered."""
    generator = random.Random(task)
    examples = texts() if task == "classification" else sentences()
    labels = CLASSES if task == "classification" else TAGS
    answers = {}
    for place, example in enumerate(examples.values()):
        if place % 5 == 4:
            continue
        drawn = (
            generator.choice(labels)
            if task == "classification"
            else random_tags(example.words, generator)
        )
        answers[example.id] = None if place % 4 == 3 else drawn
    return examples, labels, answers


def guesses(task, examples):
    return [
        Question(
            example,
            score=0.25,
            guess="pos" if task == "classification" else ("B-PER",) * len(example.words),
            confidence=0.75,
        )
        for example in examples.values()
    ]


def answered(imported):
    return {answer.id: answer.label for answer in imported.answers}


def _suffix(tool):
    """Of the file that the tool exports."""
    of_table = {"CSV": ".csv", "TSV": ".tsv"}.get(tool[-3:])
    return of_table or (".jsonl" if tool.endswith("JSONL") else FORMATS[TOOLS[tool][0]].suffix)


def write_read(folder, tool, task, examples, labels, answers):
    """Ask, let the tool answer, and read what it exports."""
    format, export = TOOLS[tool]
    path = folder / f"batch{_suffix(tool)}"
    write_questions(path, format, guesses(task, examples), task)
    written = path.read_bytes().decode()
    words = {id_: getattr(example, "words", None) for id_, example in examples.items()}
    back = export(written, answers, words)
    path.write_bytes(back.encode())
    return read_answers(path, None, examples, labels, task)


@pytest.mark.parametrize("tool,task", CASES)
def test_what_was_answered_in_the_tool_comes_back_whatever_the_texts_are_made_of(
    tool, task, tmp_path
):
    examples, labels, answers = world(task)
    if tool.startswith("csv") or tool == "argilla nested":
        # In CSV "skip" is a class of this project (see the tables' tests); `to_json` of Argilla is
        # refused where something was discarded.
        answers = {id_: label for id_, label in answers.items() if label is not None}
    imported = write_read(tmp_path, tool, task, examples, labels, answers)
    small = tool in ("labelstudio JSON-MIN", "labelstudio CSV", "labelstudio TSV")
    expected = {id_: a for id_, a in answers.items() if a is not None or not small}
    assert answered(imported) == expected
    assert [a.id for a in imported.answers] == list(expected)  # in the order of the file
    only_answers = tool in ("labelstudio CSV", "labelstudio TSV")
    open_ = [id_ for id_ in examples if id_ not in answers and not only_answers]
    assert list(imported.unanswered) == open_
    assert len(imported.problems) == (tool.startswith("doccano") and task == "tagging")


@pytest.mark.parametrize("format,task", PAIRS)
def test_a_file_as_it_was_written_holds_every_question_and_not_one_answer(format, task, tmp_path):
    examples, labels, _ = world(task)
    path = tmp_path / "batch"
    write_questions(path, format, guesses(task, examples), task)
    imported = read_answers(path, format, examples, labels, task)
    assert imported.answers == ()
    assert list(imported.unanswered) == list(examples)
    questions = [Question(example) for example in examples.values()]  # nothing known
    write_questions(path, format, questions, task)
    assert list(read_answers(path, format, examples, labels, task).unanswered) == list(examples)
    write_questions(
        path,
        format,
        [Question(e, float("nan"), None, float("inf")) for e in examples.values()],
        task,
    )
    assert list(read_answers(path, format, examples, labels, task).unanswered) == list(examples)


def hundred(task):
    if task == "classification":
        return {str(i): TextExample(str(i), f"text number {i}") for i in range(100)}
    return {str(i): TaggedExample(str(i), ("number", f"w{i}", "here")) for i in range(100)}


@pytest.mark.parametrize("tool,task", CASES)
def test_one_bad_row_of_a_hundred_costs_one_answer_and_is_named(tool, task, tmp_path):
    examples = hundred(task)
    labels = ("neg", "pos") if task == "classification" else ("O", "B-PER", "I-PER")
    good = "pos" if task == "classification" else ["O", "B-PER", "I-PER"]
    bad = "pso" if task == "classification" else ["O", "B-PRE", "I-PRE"]
    answers = {id_: bad if id_ == "42" else good for id_ in examples}
    imported = write_read(tmp_path, tool, task, examples, labels, answers)
    assert answered(imported) == {id_: good for id_ in examples if id_ != "42"}
    named = "pso" if task == "classification" else "PRE"
    hint = "pos" if task == "classification" else "PER"
    said = [p for p in imported.problems if "'42'" in p]
    assert len(said) == len(imported.problems) > 0
    assert named in said[0] and f'did you mean "{hint}"?' in said[0].replace("B-PER", "PER")
    assert "line" in said[0] or "record 43" in said[0]
    assert imported.unanswered == ()


LINES = [
    ("1", "pos", "one class twice is one answer"),
    ("1", "pos", ""),
    ("2", "pos", "two classes are two answers, in order"),
    ("2", "neg", ""),
    ("3", "pos", "the last one counts, even if it was said before"),
    ("3", "neg", ""),
    ("3", "pos", ""),
    ("4", "(skip)", "a label beats a skip, before"),
    ("4", "pos", ""),
    ("5", "pos", "and after"),
    ("5", "skip", ""),
    ("6", "", "empty here, answered there"),
    ("6", "neg", ""),
    ("7", "skip", "skipped twice"),
    ("7", "skip", ""),
    ("8", "", "twice empty"),
    ("8", "", ""),
]


def test_several_answers_to_one_text_are_one_if_equal_and_all_kept_in_order_if_not(tmp_path):
    examples = {str(i): TextExample(str(i), f"t{i}") for i in range(10)}
    rows = "".join(f"{id_},t{id_},{label}\n" for id_, label, _ in LINES)
    (tmp_path / "b.csv").write_text("id,text,label\n" + rows)
    imported = read_answers(tmp_path / "b.csv", None, examples, ("neg", "pos"), "classification")
    assert [(a.id, a.label) for a in imported.answers] == [
        ("1", "pos"),
        ("2", "pos"), ("2", "neg"),
        ("3", "pos"), ("3", "neg"), ("3", "pos"),
        ("4", "pos"),
        ("5", "pos"),
        ("6", "neg"),
        ("7", None),
    ]  # fmt: skip
    assert imported.answers[1] == Answer("2", "pos", "b.csv: line 4")
    assert imported.unanswered == ("8",)
    assert imported.problems == ()  # who said what before is known only to the project


@pytest.mark.parametrize(
    "row,words",
    [
        ("9,twin,pos", r"line 2: it has the id '9', which .* and 2 texts of it read the same"),
        ("9,foreign,pos", r"line 2: it has the id '9', which is not in this project, and its text"),
        ("3,own words,pos", r"line 2: the text of '3' was changed: expected .*'own text.* 'own wo"),
        ("3,,pos", r"line 2: the text of '3' was changed"),
        ("3,own text,good", r"line 2: text '3': 'good' is not a label; labels are neg, pos"),
        ("3,own text,negg", r"not a label; labels are neg, pos; did you mean \"neg\"\?"),
    ],
)
def test_each_fault_of_a_row_is_said_with_its_place_and_what_to_do(row, words, tmp_path):
    examples = {
        "1": TextExample("1", "twin"),
        "2": TextExample("2", "twin"),
        "3": TextExample("3", "own text"),
    }
    (tmp_path / "b.csv").write_text(f"id,text,label\n{row}\n")
    imported = read_answers(tmp_path / "b.csv", "csv", examples, ("neg", "pos"), "classification")
    assert imported.answers == imported.unanswered == ()
    (problem,) = imported.problems
    assert re.search(words, problem)


def test_a_row_whose_id_was_lost_is_known_by_its_text_if_that_is_the_only_one(tmp_path):
    examples = {"007": TextExample("007", "bond"), "8": TextExample("8", "twin\r\nx")}
    (tmp_path / "b.csv").write_text('id,text,label\n7,bond,pos\n,"twin\nx",neg\n')
    imported = read_answers(tmp_path / "b.csv", None, examples, ("neg", "pos"), "classification")
    assert answered(imported) == {"007": "pos", "8": "neg"} and imported.problems == ()


def test_a_label_may_differ_in_case_and_blanks_but_only_if_one_alone_is_meant(tmp_path):
    examples = {str(i): TextExample(str(i), f"t{i}") for i in range(5)}
    said = ["TRUE", " false ", "a", "A", "à"]
    rows = "".join(f"{i},t{i},{label}\n" for i, label in enumerate(said))
    (tmp_path / "b.csv").write_text("id,text,label\n" + rows)
    labels = ("true", "false", "A", "a")
    imported = read_answers(tmp_path / "b.csv", None, examples, labels, "classification")
    assert answered(imported) == {"0": "true", "1": "false", "2": "a", "3": "A"}
    assert len(imported.problems) == 1 and "'à' is not a label" in imported.problems[0]


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("read", FORMATS)
def test_a_file_of_another_format_is_refused_and_the_right_one_named(written, read, tmp_path):
    task = "tagging" if "conll" in (written, read) else "classification"
    task_written = {"csv": "classification", "conll": "tagging"}.get(written, task)
    task_read = {"csv": "classification", "conll": "tagging"}.get(read, task)
    examples, labels, _ = world(task_written)
    write_questions(tmp_path / "b", written, guesses(task_written, examples), task_written)
    if written == read:
        assert read_answers(tmp_path / "b", read, examples, labels, task_read).unanswered
        assert read_answers(tmp_path / "b", None, examples, labels, task_read).unanswered
        return
    with pytest.raises(MiniftError, match=f'it looks like format "{written}"'):
        read_answers(tmp_path / "b", read, examples, labels, task_read)


@pytest.mark.parametrize(
    "name,content,words",
    [
        ("b.csv", b"id,text,label\n1,\xe4,pos\n", r"line 2: byte 0xe4 .* is not UTF-8; as Windows"),
        ("b.csv", b"", "the file is empty"),
        ("b.csv", b"number,text,label\n", 'line 1 has no column "id"'),
        ("b.csv", b"id,text\n1,t1\n", 'line 1 has no column "label"'),
        ("b.csv", b"id,label\n1,pos\n", 'line 1 has no column "text"'),
        (
            "b.jsonl",
            b"words\nand more\n",
            "not JSON: .*; was it exported in another format",
        ),
        ("b.jsonl", b'["a", 1]', "a row must be a JSON object, got 'a'; was it exported in"),
        ("b.json", b"hello", "not JSON: .*line 1 column 1"),
        ("b.conll", b"-DOCSTART- -X- O\nAda -X- _ B-PER\n", "Label Studio's CoNLL .*; export JSON"),
        ("b.txt", b'__label__pos one\n"two\n"', "fastText has no ids.*; export JSONL"),
        ("b.txt", b"hello", "cannot tell what format this is; name it, one of csv, labelstudio"),
        ("b.conll", b"# id = 1\nword\nword\n", "no line has a word and its tag with a TAB"),
        ("b.json", b'[{"data": {"text": "x"}},\n {"data"', r"not JSON: .*line 2 column 9"),
        ("b.json", b"[" * 100_000, "not JSON"),
        ("b.xlsx", b"PK\x03\x04\x14\x00\xff", 'unpack it, or save the sheet as "CSV UTF-8"'),
        ("none.csv", None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_is_refused_with_its_place(
    name, content, words, tmp_path
):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    task = "tagging" if name == "b.conll" else "classification"
    with pytest.raises(MiniftError, match=words):
        read_answers(tmp_path / name, None, texts(), CLASSES, task)


@pytest.mark.parametrize(
    "format,task,words",
    [
        ("conll", "classification", 'format "conll" is not for classification; these are: csv,'),
        ("csv", "tagging", r'"csv" is not for tagging; these are: labelstudio, .*conll'),
        ("docano", "tagging", r'unknown format "docano"; .*did you mean "doccano"\?'),
    ],
)
def test_what_does_not_go_together_is_refused_both_ways_and_leaves_no_file(
    format, task, words, tmp_path
):
    path = tmp_path / "b"
    with pytest.raises(MiniftError, match=words):
        write_questions(path, format, [], task)
    assert not path.exists()
    path.write_text("id,text,label\n")
    with pytest.raises(MiniftError, match=words):
        read_answers(path, format, {}, (), task)
