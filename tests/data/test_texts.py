"""Texts without labels, in constant memory, with every fault told first.

claim                                                       oracle
a file gives the same texts as often as it is asked         the files by hand, the file read whole
each text is known by its line or its id                    lines counted by hand
labels are never looked at                                  labels that would be refused
a fault of the last line is told before the first text      the message, before any text is asked
ten times the rows take no more memory                      tracemalloc
words are for tagging, texts for every task                 the examples, the refusals
blank rows are faults, or blank if that is allowed          rows by hand
pipes and standard input are read, once                     os.mkfifo, a file in the place of stdin
"""

import io
import json
import os
import sys
import threading
import tracemalloc
from dataclasses import replace

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.data.files.readers import read_examples
from minift.data.files.texts import read_texts
from minift.errors import MiniftError


@pytest.fixture
def write(tmp_path):
    """write(name, content): the path of a small file."""

    def writer(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer


ODD = '{"text": "a", "label": ["no label"]}\n\n{"text": "b", "score": {}, "more": 4}\n'
TAGGED = '{"words": ["a", "b"], "tags": ["B-X", "Z"]}\n{"words": ["c"]}\n'
FILES = {
    "a.csv": ('id,text,label\n7,"one\ntwo",x\n8,three,\n',
              [TextExample("7", "one\ntwo"), TextExample("8", "three")]),
    "b.csv": ('text,label\n"one\ntwo",x\nthree,\n',
              [TextExample("2", "one\ntwo"), TextExample("4", "three")]),
    "a.tsv": ("text\ttext_b\tscore\n1\t2\t0.5\n3\t4\t0.1\n",
              [TextExample("2", "1", None, "2"), TextExample("3", "3", None, "4")]),
    "a.jsonl": (ODD, [TextExample("1", "a"), TextExample("3", "b")]),
    "words.jsonl": (TAGGED, [TaggedExample("1", ("a", "b")), TaggedExample("2", ("c",))]),
    "a.conll": ("a B-X\nb O\n\nc O\n",
                [TaggedExample("1", ("a", "b")), TaggedExample("4", ("c",))]),
    "a.txt": ("one\n\n two \r\nthree",
              [TextExample("1", "one"), TextExample("3", " two "), TextExample("4", "three")]),
    "a": ("one\u2028two\n", [TextExample("1", "one\u2028two")]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_its_texts_by_line_or_id_as_often_as_it_is_asked(name, write):
    content, expected = FILES[name]
    found = read_texts(write(name, content))
    assert list(found) == list(found) == expected
    assert found.total == len(list(found.rows()))
    assert found.has_labels == (name not in ("a.txt", "a"))


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_the_texts_are_those_of_the_file_read_whole(name, write):
    path = write(name, FILES[name][0])
    whole = read_examples(path, require_labels=False)
    assert [replace(e, id="") for e in read_texts(path)] == [
        replace(e, id="", label=None) for e in whole
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"text": "fine"}\n' * 3000 + '{"text": 1}\nno json',
         r'line 3001: "text" must be .* line 3002: not JSON'),
        ("a.txt", b"fine\n" * 3000 + b"\xe9\n", "line 3001: byte 0xe9"),
        ("b.csv", "body,label\n" + "a,b\n" * 3000, r'no column "text" \(found: "body", "label"\)'),
        ("c.csv", "text,label\n", "there are no examples in it"),
        ("d.csv", "text,id\na,1\nb,\n", "line 3: the id must be"),
        ("e.conll", "a O\nb\n\nc O\n", "line 2: 1 column, expected 2"),
        ("f.conll", "-DOCSTART- O\n", "there are no examples in it"),
        ("g.txt", "\n  \n", "the file is empty"),
        ("h.data", "a\n", '".data" does not tell the format; name it with format=, one of csv'),
    ],
)  # fmt: skip
def test_a_fault_of_the_last_line_is_told_before_the_first_text_comes(name, content, words, write):
    with pytest.raises(MiniftError, match=words):
        read_texts(write(name, content))


def test_columns_of_plain_texts_are_refused_and_not_ignored(write):
    path = write("a.txt", "one\ntwo\n")
    for column in ({"text": "t"}, {"text_b": "t"}):
        with pytest.raises(MiniftError, match="one text per line has no columns text= or"):
            read_texts(path, **column)
    table = write("b.txt", "a,t\none,two\n")
    (pair,) = read_texts(table, format="csv", text="a", text_b="t")
    assert (pair.text, pair.text_b) == ("one", "two")


def test_a_file_that_is_not_there_and_an_unknown_format_get_the_nearest(write):
    path = write("train.txt", "a\n")
    with pytest.raises(MiniftError, match=r'no such file; did you mean "train.txt"'):
        read_texts(path.with_name("trian.txt"))
    with pytest.raises(MiniftError, match=r'unknown format "txt"; known: csv, .*, text'):
        read_texts(path, format="txt")


def test_a_file_that_changes_after_it_was_checked_is_refused_where_it_changed(write):
    found = read_texts(write("a.jsonl", '{"text": "a"}\n'))
    write("a.jsonl", '{"text": 1}\n')
    with pytest.raises(MiniftError, match='line 1: "text" must be a string'):
        next(iter(found))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.txt"])
def test_ten_times_the_rows_take_no_more_memory(name, write):
    def peak(rows: int) -> int:
        lines = [f"this is the text number {n}" for n in range(rows)]
        if name == "a.jsonl":
            lines = [json.dumps({"id": n, "text": text}) for n, text in enumerate(lines)]
        path = write(name, "\n".join(["text", *lines] if "sv" in name else lines))
        tracemalloc.start()
        seen = sum(1 for _ in read_texts(path))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seen == rows
        return highest

    peak(3_000)  # what the first call imports
    # Less than a byte a row: other threads of a test process allocate a few thousand meanwhile.
    assert peak(30_000) - peak(3_000) < 27_000


def test_columns_are_chosen_by_name_even_those_usual_for_labels(write):
    path = write("a.jsonl", '{"words": ["a"], "title": "t", "label": "l"}\n')
    assert list(read_texts(path)) == [TaggedExample("1", ("a",))]
    assert list(read_texts(path, text="title")) == [TextExample("1", "t")]
    assert list(read_texts(path, text="label", text_b="title")) == [
        TextExample("1", "l", None, "t")
    ]
    words = write("a.conll", "O 1 Ann\nO 2 left\n")
    assert list(read_texts(words, text="3")) == [TaggedExample("1", ("Ann", "left"))]


def test_words_are_for_tagging_and_texts_for_every_task(write):
    both = write("a.jsonl", '{"words": ["a"], "text": "t"}\n')
    assert list(read_texts(both, task="tagging")) == [TaggedExample("1", ("a",))]
    assert list(read_texts(both, task="classification")) == [TextExample("1", "t")]
    assert list(read_texts(write("a.csv", "text\nt\n"), task="tagging")) == [TextExample("2", "t")]
    with pytest.raises(MiniftError, match="a token file is for tagging, not for regression"):
        read_texts(write("a.conll", "a O\nb B-X\n"), task="regression")


def test_a_text_file_is_what_its_content_is_as_in_training(write):
    words = write("a.txt", "Ann B-PER\nleft O\n\nRome 0\n")
    assert [e.words for e in read_texts(words)] == [("Ann", "left"), ("Rome",)]
    with pytest.raises(MiniftError, match="a token file is for tagging, not for classification"):
        read_texts(words, task="classification")
    assert len(list(read_texts(words, task="classification", format="text"))) == 3
    labelled = read_texts(write("b.txt", "__label__x a film\n__label__x __label__y another\n"))
    assert [e.text for e in labelled] == ["a film", "another"] and labelled.has_labels
    table = read_texts(write("c.txt", 'Text\tlabel\n"one\ntwo"\tx\n'))
    assert [e.text for e in table] == ["one\ntwo"] and table.has_labels
    assert table.notes == ('the column "Text" is read as "text"',)


def test_columns_are_found_whatever_separates_them_and_quotes_are_not_guessed(write, monkeypatch):
    semicolons = "text;label\ngood, fine film;pos\n"
    assert [e.text for e in read_texts(write("a.csv", semicolons))] == ["good, fine film"]
    standard_input(semicolons.encode(), monkeypatch)
    assert [e.text for e in read_texts("-", format="csv")] == ["good, fine film"]
    with pytest.raises(MiniftError, match="line 2: its quotes may be part of the text or enclose"):
        read_texts(write("a.tsv", 'text\tlabel\n"All."\tx\n'))


def test_rows_without_a_text_are_faults_or_blank_if_that_is_allowed(write):
    path = write("a.csv", "text,text_b\na,b\n ,c\nd,\ne,f\n")
    with pytest.raises(MiniftError, match='line 3: "text" is empty; line 4: "text_b" is empty'):
        read_texts(path)
    found = read_texts(path, allow_blank=True)
    assert list(found.rows()) == [
        (2, TextExample("2", "a", None, "b")), (3, None), (4, None),
        (5, TextExample("5", "e", None, "f")),
    ]  # fmt: skip
    assert (found.total, [e.id for e in found]) == (4, ["2", "5"])
    lines = read_texts(write("a.txt", "a\n\nb"))
    assert [line for line, example in lines.rows() if example is None] == [2]


@pytest.mark.parametrize("name", ["pipe.jsonl", "pipe.csv", "pipe.conll", "pipe.txt"])
def test_a_pipe_is_read_although_it_can_be_read_only_once(name, tmp_path):
    path = tmp_path / name
    os.mkfifo(path)
    content = {"jsonl": '{"text": "a"}\n', "csv": "text\na\n"}.get(name.split(".")[1], "a\n")
    writer = threading.Thread(target=path.write_text, args=(content,))
    writer.start()
    (found,) = read_texts(path)
    assert found == TaggedExample("1", ("a",)) if "conll" in name else found.text == "a"
    writer.join()


def standard_input(content, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input_is_read_line_by_line_while_it_comes(monkeypatch):
    standard_input("one\r\n\n caf\u00e9".encode(), monkeypatch)
    found = read_texts("-")
    assert found.total is None
    assert list(found) == [TextExample("1", "one"), TextExample("3", " caf\u00e9")]
    standard_input(b"", monkeypatch)
    assert list(read_texts("-")) == []
    standard_input(b"", monkeypatch)
    with pytest.raises(MiniftError, match="standard input: there are no examples in it"):
        read_texts("-", format="jsonl")
    standard_input(b"text,label\na,x\n", monkeypatch)
    assert list(read_texts("-", format="csv")) == [TextExample("2", "a")]


def test_a_fault_of_standard_input_is_told_where_it_is_met(monkeypatch):
    standard_input(b"one\n\xe9\n", monkeypatch)
    rows = iter(read_texts("-"))
    assert next(rows) == TextExample("1", "one")
    with pytest.raises(MiniftError, match="standard input: line 2: byte 0xe9 at offset 4"):
        next(rows)
