"""Data files, spoilt by the thousand: an error with file and line, or what stands in the file.

claim                                                        oracle
3,500 CSV, TSV, JSONL and token files: MiniftError with      a second reader here, of a few lines
the file, and the line unless it is about the whole file;
or the texts, words and labels that stand there
2,700 exports of labelling tools: the same, and nothing      ids and labels of the project
foreign is let in
no file takes gigabytes, or seconds                          the peak of memory; CPU time a file
questions written are read back, whatever the texts          hypothesis, in every format
deep, endless and giant values are named or read             files by hand
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minift.data.examples import TaggedExample, TextExample
from minift.data.files.readers import read_examples
from minift.errors import MiniftError
from minift.label.formats.exchange import FORMATS, read_answers
from minift.label.formats.rows import Question
from tests.label.exports import write_questions
from tests.label.test_exchange_fuzz import _only_what_is_known, seeds
from tests.safety.spoil import as_json, cheap, spoil, spoil_json

TABLE = [("a good film", "pos"), ('he said "no"', "neg"), ("caf\u00e9, \U0001f600", "pos"),
         ("two\nlines", "neg"), ("last", "pos")]  # fmt: skip
SENTENCES = [(["Ada", "saw", "Oslo"], ["B-PER", "O", "B-LOC"]),
             (["New", "York"], ["B-LOC", "I-LOC"]), (["in", "#now"], ["O", "O"])]  # fmt: skip


def lines(rows) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def good_files() -> dict[str, bytes]:
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("text", "label"), *TABLE])
    return {
        "a.csv": table.getvalue().replace("\r\n", "\n").encode(),
        "a.tsv": "".join(f"{t}\t{label}\n".replace("two\n", "two ")
                         for t, label in [("text", "label"), *TABLE]).encode(),
        "a.jsonl": lines({"text": text, "label": label} for text, label in TABLE),
        "b.jsonl": lines({"words": words, "tags": tags} for words, tags in SENTENCES),
        "a.conll": "\n".join(
            "".join(f"{w}\t{t}\n" for w, t in zip(*s)) for s in SENTENCES
        ).encode(),
    }  # fmt: skip


def by_hand(name: str, content: bytes):
    """What stands in a file that was read: (texts, labels), or None where that is a long story."""
    text = content.decode().removeprefix("\ufeff")
    if "\r" in text:
        return None
    if name == "b.jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        return [tuple(row["words"]) for row in rows], [len(row["tags"]) for row in rows]
    if name == "a.conll":
        rows = [re.split("[ \t]+", line.strip(" \t")) for line in text.split("\n")]
        comments = [row for row in rows if row[0][:1] == "#" and row[0] != "#now"]
        if comments or any("-DOCSTART-" in row for row in rows):
            return None
        return [row[0] for row in rows if row != [""]], None
    if name == "a.jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    else:
        if name == "a.csv":
            table = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
        else:
            table = [line.split("\t") for line in text.split("\n") if line]
        rows = [dict(zip([cell.strip() for cell in table[0]], row)) for row in table[1:]]
    if not all("text" in row and "label" in row for row in rows):
        return None  # another column was taken
    return [row["text"] for row in rows], [str(row["label"]) for row in rows]


WHOLE_FILE = (  # no line is to blame
    "the file is empty", "no examples", "no column", "columns, expected 1 to", "look like tags",
    "lone carriage return", "without tags", "needs a token file", "some tags have",
    "counts the words", "almost those of IOB", "parts of speech",
)  # fmt: skip


@pytest.mark.parametrize("name", good_files())
def test_700_spoilt_files_are_refused_by_line_or_read_as_they_stand(
    tmp_path, name, record_property
):
    content, path = good_files()[name], tmp_path / name
    assert by_hand(name, content) is not None
    draw, read, compared = random.Random(name), 0, 0
    scraps = (b"\n\n", b"\ttext", b"text,label\n", b'""', b"O\n", b"I-PER", b'{"text": "x"}\n',
              b"# x\n")  # fmt: skip
    with cheap() as steps:
        for _ in range(700):
            spoilt = spoil(content, draw, scraps)
            if name.endswith("jsonl") and draw.random() < 0.5:
                lines = content.split(b"\n")
                at = draw.randrange(len(lines))
                lines[at] = as_json(spoil_json(json.loads(lines[at]), draw))
                spoilt = b"\n".join(lines)
            path.write_bytes(spoilt)
            try:
                examples = read_examples(path)
            except MiniftError as error:
                said = str(error)
                assert said.startswith(f"{path}: ") and "\n" not in said, said
                assert re.search(r"line \d+", said) or any(w in said for w in WHOLE_FILE), said
                said.encode("utf-8", "backslashreplace")
            else:
                read += 1
                if (expected := by_hand(name, spoilt)) is not None:
                    compared += 1
                    assert _found(name, examples) == expected
            steps.append(time.process_time())
    record_property("measured", f"700 {name}: {700 - read} refused, {read} read")
    assert read > 30 and compared > 20 and read < 690


def _found(name: str, examples):
    if name == "b.jsonl":
        return [e.words for e in examples], [len(e.tags) for e in examples]
    if name == "a.conll":
        return [word for e in examples for word in e.words], None
    return [e.text for e in examples], [e.label for e in examples]


@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_1350_spoilt_exports_let_in_nothing_foreign(task):
    examples, labels, good = seeds(task)
    draw = random.Random(task)
    odd = ("pos", "B-PER", "PER", "submitted", "skip", *examples, [0, 3, "PER"],
           {"start": 0, "end": 3})  # fmt: skip
    with cheap() as steps:
        for number in range(1350):
            format, content = good[number % len(good)]
            text = content.decode("utf-8-sig")
            if text.startswith("[") and draw.random() < 0.6:
                content = as_json(spoil_json(json.loads(text), draw, odd))
            elif text.startswith("{") and draw.random() < 0.6:
                rows = [json.loads(line) for line in text.split("\n") if line]
                changed = spoil_json(rows, draw, odd)
                content = b"\n".join(map(as_json, changed)) if isinstance(changed, list) else b"{}"
            else:
                content = spoil(content, draw, (b"pos", b"I-PER", b"?", b"# id = 1\n", b"skip"))
            _only_what_is_known(format, content, examples, labels, task)
            steps.append(time.process_time())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"[" * 10**6, r"line 1: not JSON"),
        ("a.jsonl", b'{"text": ' * 10**5, r"line 1: not JSON"),
        ("a.jsonl", b'{"text": "a", "label": ' + b"9" * 10**5 + b"}", r"line 1: not JSON"),
        ("a.jsonl", b'{"text": ' + b"[" * 500 + b"]" * 500 + b', "label": 1}', r"line 1: .*string"),
        ("a.csv", b'text,label\n"' + b"a\n" * 10**5, r"line 2: not valid CSV"),
        ("a.csv", b"text,label\n" + b"," * 10**6, r"line 2: 1000001 columns"),
        ("a.tsv", b"\t" * 10**6, r"the file is empty|no examples|no column"),
        ("a.conll", b"a " * 10**6, r"columns"),
    ],
)
def test_deep_endless_and_giant_values_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with cheap(megabytes=400, seconds=5) as steps:
        with pytest.raises(MiniftError, match=words) as caught:
            read_examples(tmp_path / name)
        steps.append(time.process_time())
    assert len(str(caught.value)) < 2000


def test_an_export_nested_without_end_is_an_error(tmp_path):
    examples = {"1": TextExample("1", "x")}
    for format in ("labelstudio", "argilla", "doccano"):
        for content in (b"[" * 10**6, b'[{"data": ' * 10**5, b'{"text": ' * 10**5):
            (tmp_path / "b.json").write_bytes(content)
            with pytest.raises(MiniftError, match=r"b\.json"):
                read_answers(tmp_path / "b.json", format, examples, ("a", "b"), "classification")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1)
texts = texts.filter(str.strip)


@settings(
    max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(texts, min_size=1, max_size=5, unique=True), st.sampled_from(list(FORMATS)))
def test_questions_come_back_for_the_same_texts_whatever_is_in_them(tmp_path, rows, format):
    """A batch file nobody has filled in: every text is found again, and none is answered."""
    tagging = format == "conll"
    if tagging:
        made = [TaggedExample(str(n), tuple(text.split())) for n, text in enumerate(rows)]
    else:
        made = [TextExample(str(n), text) for n, text in enumerate(rows)]
    task, labels = ("tagging", ("O", "B-X", "I-X")) if tagging else ("classification", ("n", "p"))
    path = tmp_path / "batch"
    write_questions(path, format, [Question(example) for example in made], task)
    back = read_answers(path, format, {e.id: e for e in made}, labels, task)
    assert back.problems == () and back.answers == ()
    assert list(back.unanswered) == [example.id for example in made]
