"""File readers, proven on every trap that real files were seen to hold.

claim                                                       oracle
a text comes out exactly as it went in, in every format     hypothesis; a writer here
any bytes give examples or a MiniftError, nothing else      hypothesis, bytes and near-files
encodings, line ends and odd characters cut no row          files by hand; str.splitlines fails here
CSV follows quotes, TSV does not                            files by hand; csv's default fails here
a table is read whatever separates it, whoever wrote it     bytes as Excel, Calc and pandas write
quotes between TABs are told apart, or the file refused     csv.writer, as in pandas; hypothesis
columns are found by name, and what is missing is named     files by hand
bytes that are not UTF-8 get the command that is right      iconv itself
a .txt is what its content is, in every command             files by hand
tags almost IOB are refused by name, never taken for types  files by hand
rows in a list of JSON, fastText's labels, HF's tokens      json.dumps; datasets' own column names
JSON over lines, by columns, by row names                   json.dumps with indents; pandas' to_json
a table of another kind gets one sentence                   files by hand
labels stay strings; regression takes finite numbers only   files by hand
token files of all kinds give the same sentences            files by hand
faults are named by line, all of one file in one error      the message
the data set's labels, task and notes                       worked by hand
"""

import csv
import io
import json
import re
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from minift.data.examples import TaggedExample, TextExample
from minift.data.files.lines import stream_text
from minift.data.files.readers import read_dataset, read_examples
from minift.errors import MiniftError

FRESH = settings(
    max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


@pytest.fixture
def read(tmp_path):
    """read(name, content, **options): the examples of a small file."""
    return lambda name, content, **options: read_examples(write(tmp_path, name, content), **options)


def pairs(examples):
    return [(example.text, example.label) for example in examples]


def sentences(examples):
    return [(" ".join(example.words), " ".join(example.tags)) for example in examples]


# --- exact, whatever the text -------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
texts = texts.filter(str.strip)
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\t \ufeff"), min_size=1
).filter(lambda word: word not in ("-DOCSTART-", "#", "1"))


@FRESH
@given(rows=st.lists(st.tuples(texts, texts, texts), min_size=1))
def test_csv_and_jsonl_round_trip_any_text_pair_and_label(rows, tmp_path):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([("text", "text_b", "label"), *rows])
    expected = tuple(
        TextExample(str(number), text, label, text_b)
        for number, (text, text_b, label) in enumerate(rows, start=1)
    )
    assert read_examples(write(tmp_path, "a.csv", buffer.getvalue())) == expected
    lines = [
        json.dumps({"text": a, "text_b": b, "label": c}, ensure_ascii=False) for a, b, c in rows
    ]
    assert read_examples(write(tmp_path, "a.jsonl", "\n".join(lines))) == expected


@FRESH
@given(
    rows=st.lists(
        st.tuples(*[texts.filter(lambda text: not set(text) & set("\t\n\r"))] * 2), min_size=1
    )
)
def test_tsv_round_trips_any_text_without_tab_and_newline(rows, tmp_path):
    content = "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows])
    assume(not any(re.match('"[^"]*""', cell) for row in rows for cell in row))
    assert pairs(read_examples(write(tmp_path, "a.tsv", content), format="tsv")) == rows
    try:  # unless it is named, it may also be refused
        assert pairs(read_examples(tmp_path / "a.tsv")) == rows
    except MiniftError as error:
        assert 'pass format="tsv"' in str(error)


@FRESH
@given(  # the writer leaves a lone carriage return without quotes, and no reader can tell
    rows=st.lists(st.tuples(*[texts.filter(lambda text: "\r" not in text)] * 2), min_size=1),
    name=st.sampled_from(["tsv", "csv"]),
)
def test_a_table_that_pandas_writes_with_tabs_is_read_as_it_was_or_refused(rows, name, tmp_path):
    buffer = io.StringIO(newline="")  # as DataFrame.to_csv(sep="\t", index=False) does
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerows([("text", "label"), *rows])
    path = write(tmp_path, f"a.{name}", buffer.getvalue())
    assert pairs(read_examples(path, format="csv")) == rows
    try:
        assert pairs(read_examples(path)) == rows
    except MiniftError as error:
        assert 'format="csv" if they enclose' in str(error)


@FRESH
@given(
    file=st.lists(
        st.lists(st.tuples(words, st.sampled_from(["O", "B-a-b", "I-a-b", "B-X"])), min_size=1),
        min_size=1,
    ),
    gap=st.sampled_from(["\n", "\r\n", "\t\n", " \n\n"]),
    separator=st.sampled_from(["\t", " ", " \t "]),
)
def test_token_files_round_trip_any_words(file, gap, separator, tmp_path):
    end = "\r\n" if "\r" in gap else "\n"
    lines = [[f"{word}{separator}{tag}{end}" for word, tag in sentence] for sentence in file]
    path = write(tmp_path, "a.conll", gap.join("".join(sentence) for sentence in lines))
    if all(tag == "O" or tag[0] == "B" for s in file for _, tag in s):
        got = read_examples(path)  # valid IOB2, whose scheme is found
    else:
        got = read_examples(path, scheme="iob2")
    assert [e.words for e in got] == [tuple(word for word, _ in sentence) for sentence in file]
    for found, sentence in zip(got, file):
        for tag, (_, written) in zip(found.tags, sentence):  # a stray I- begins an entity
            assert tag == written or (tag[0], written[0]) == ("B", "I")


@FRESH
@given(
    content=st.one_of(
        st.binary(),
        st.text("\"',;\t\n\r #0OBI-XPER{}[]:1.5\u0085\u2028\u00a0").map(str.encode),
        st.text("\"',\t\n\r O").map(lambda text: f"text,label\n{text}".encode()),
        st.text('"{}[],:\\ntext1labeldu8-e').map(lambda t: f'{{"text": {t}}}\n{{{t}}}'.encode()),
    ),
    format=st.sampled_from(["csv", "tsv", "table", "jsonl", "conll", "fasttext"]),
    task=st.sampled_from([None, "regression"]),
    require_labels=st.booleans(),
)
@example(content=b"[" * 100_000, format="jsonl", task=None, require_labels=True)
@example(content=b'{"label": ' + b"9" * 5000 + b"}", format="jsonl", task=None, require_labels=True)
@example(
    content=b'{"label": 1e999, "text": "x"}', format="jsonl", task="regression", require_labels=True
)
@example(content=b'{"words": [], "tags": []}', format="jsonl", task=None, require_labels=True)
@example(content=b'{"words": ["a"], "tags": [""]}', format="jsonl", task=None, require_labels=True)
def test_any_bytes_give_examples_or_a_minift_error(content, format, task, require_labels, tmp_path):
    path = write(tmp_path, "any.file", content)
    try:
        examples = read_examples(path, format=format, task=task, require_labels=require_labels)
    except MiniftError as error:
        assert str(path) in str(error)
    else:
        assert examples


# --- bytes, lines and odd characters -------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_mark_line_ends_and_a_missing_last_newline_change_nothing(read, end, bom, last):
    def encoded(lines):
        return bom + (end.join(lines) + (end if last else "")).encode()

    assert pairs(read("a.csv", encoded(["text,label", "a b,x"]))) == [("a b", "x")]
    assert pairs(read("a.tsv", encoded(["text\tlabel", "a b\tx"]))) == [("a b", "x")]
    assert pairs(read("a.jsonl", encoded(['{"text": "a b", "label": "x"}']))) == [("a b", "x")]
    assert sentences(read("a.conll", encoded(["a B-X", "", "b O"]))) == [("a", "B-X"), ("b", "O")]


@pytest.mark.parametrize("odd", ["\u0085", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\u00a0"])
def test_characters_that_splitlines_takes_for_line_ends_cut_no_row(read, odd):
    text = f"one{odd}two"
    if odd != "\u00a0":
        assert len(text.splitlines()) == 2  # the trap
    assert pairs(read("a.csv", f"text,label\n{text},x\n")) == [(text, "x")]
    assert pairs(read("a.tsv", f"text\tlabel\n{text}\tx\n")) == [(text, "x")]
    line = json.dumps({"text": text, "label": "x"}, ensure_ascii=False)
    assert pairs(read("a.jsonl", line)) == [(text, "x")]
    assert read("a.conll", f"{text} O\nb B-X\n")[0].words == (text, "b")


def test_stream_text_numbers_lines_as_an_editor_does(tmp_path):
    path = write(tmp_path, "a.txt", "\ufeffa\r\n\r\nb\u2028c\nd\re")
    assert list(stream_text(path)) == [(1, "a"), (2, ""), (3, "b\u2028c"), (4, "d\re")]


LINES = "text,label\ncaf\u00e9 \u201cit\u2019s\u201d \u20ac 5,x\n"


@pytest.mark.skipif(shutil.which("iconv") is None, reason="needs iconv")
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16le", "utf-16be"])
def test_bytes_that_are_not_utf_8_get_the_command_that_is_right(encoding, tmp_path):
    path = write(tmp_path, "it's.csv", LINES.encode(encoding))
    with pytest.raises(MiniftError, match=r"line [12]: .*convert it with iconv") as caught:
        read_examples(path)
    (command,) = re.findall(r"iconv -f [^;]*utf8-[^ ;]*", str(caught.value))
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert pairs(read_examples(tmp_path / "utf8-it's.csv")) == [(LINES[11:-3], "x")]


def test_a_byte_that_is_not_utf_8_is_named_with_what_it_would_be_in_windows_1252(read):
    with pytest.raises(MiniftError) as caught:
        read("a.csv", b"text,label\nit\x92s caf\xe9,x\n")
    assert "line 2: byte 0x92 at offset 13 is not UTF-8; as Windows" in str(caught.value)
    assert "-1252 it reads 'it\u2019s caf\u00e9,x': if that is right, convert" in str(caught.value)


def test_a_line_in_another_encoding_than_the_others_is_not_converted_with_them(read):
    with pytest.raises(MiniftError, match="other lines are UTF-8, so correct such lines") as caught:
        read("a.csv", "text,label\ncaf\u00e9,x\n".encode() + b"caf\xe9,x\n")
    assert "iconv" not in str(caught.value)  # which would spoil line 2
    with pytest.raises(MiniftError, match="nor Windows-1252: save it as UTF-8") as caught:
        read("a.csv", b"text,label\n\x81\xe9,x\n")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.xlsx", b"PK\3\4", 'save the sheet as "CSV UTF-8"'),
        ("a.csv", b"PK\3\4\xff", 'save the sheet as "CSV UTF-8"'),
        ("a.xls", b"", 'save the sheet as "CSV UTF-8"'),
        ("a.parquet", b"PAR1", "with pandas, read_parquet"),
        ("a.jsonl.gz", b"", "unpack it with gunzip"),
        ("a.jsonl", b"\x1f\x8b\x08\n", "unpack it with gunzip"),
    ],
)
def test_files_of_other_programs_are_named_with_the_remedy(read, name, content, words):
    with pytest.raises(MiniftError, match=words):
        read(name, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"text,label\na,x\nb\0,y\n", "line 3: a NUL byte"),
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\n\n", "the file is empty"),
        (b"text,label\ra,x\r", "lone carriage return"),
        (b"text,label\n", "there are no examples in it"),
    ],
)
def test_files_without_readable_rows_are_refused(read, content, words):
    with pytest.raises(MiniftError, match=words):
        read("a.csv", content)


def test_a_file_that_is_not_there_gets_the_nearest_name_in_its_folder(tmp_path):
    write(tmp_path, "train.csv", "x")
    with pytest.raises(MiniftError, match=r'no such file; did you mean "train.csv"'):
        read_examples(tmp_path / "trian.csv")
    with pytest.raises(MiniftError, match=r"there is no folder .*absent"):
        read_examples(tmp_path / "absent" / "train.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(MiniftError, match="is a folder"):
        read_examples(tmp_path / "folder.csv")


# --- rows and columns ----------------------------------------------------------------------


def test_csv_fields_over_several_lines_stay_whole_and_later_faults_get_the_files_line(read):
    content = 'text,label\n"one\ntwo, ""2""\r\nthree",x\nfour,y\n'
    assert pairs(read("a.csv", content)) == [('one\ntwo, "2"\r\nthree', "x"), ("four", "y")]
    with pytest.raises(MiniftError, match="line 6: 1 column, expected 2"):
        read("a.csv", content + "five\n")


def test_csv_fields_longer_than_the_modules_limit_are_read(read):
    long = "a" * (csv.field_size_limit(131_072) and 131_073)
    assert pairs(read("a.csv", f"text,label\n{long},x\n")) == [(long, "x")]


@pytest.mark.parametrize("row", ['"never closed,x\nnext,y\n', '"Hello" he said,x\n', "a\rb,x\n"])
def test_csv_quotes_that_would_swallow_or_change_text_are_refused_by_line(read, row):
    with pytest.raises(MiniftError, match=r"line 3: not valid CSV"):
        read("a.csv", f"text,label\nfine,x\n{row}")


def test_raw_quotes_in_tsv_are_characters_where_the_csv_module_would_lose_a_row(read):
    content = 'text\tlabel\n"never closed\tx\nit is 5" wide\ty\n"\tx\n'
    assert len(list(csv.reader(content.split("\n"), delimiter="\t"))) < 4  # the trap
    expected = [('"never closed', "x"), ('it is 5" wide', "y"), ('"', "x")]
    assert pairs(read("a.tsv", content)) == expected


# As Excel (German; "sep=", "Text (Tab delimited)", "Unicode Text" in UTF-8), LibreOffice, R's
# write.table and pandas write the same two rows.
QUOTES = [('good, "fine"\nfilm;\t6', "pos"), ("dull, so poor", "neg")]
WRITTEN = {
    "excel.csv": '\ufefftext;label\r\n"good, ""fine""\nfilm;\t6";pos\r\ndull, so poor;neg\r\n',
    "sep.csv": 'sep=;\r\ntext;label\r\n"good, ""fine""\nfilm;\t6";pos\r\ndull, so poor;neg\r\n',
    "excel.txt": 'text\tlabel\r\n"good, ""fine""\nfilm;\t6"\tpos\r\n"dull, so poor"\tneg\r\n',
    "calc.csv": 'text,label\n"good, ""fine""\nfilm;\t6",pos\n"dull, so poor",neg\n',
    "calc_all.tsv": '"text"\t"label"\n"good, ""fine""\nfilm;\t6"\t"pos"\n"dull, so poor"\t"neg"\n',
    "pandas.tsv": 'text\tlabel\n"good, ""fine""\nfilm;\t6"\tpos\ndull, so poor\tneg\n',
    "pandas.csv": 'text\tlabel\n"good, ""fine""\nfilm;\t6"\tpos\ndull, so poor\tneg\n',
    "pandas_bar.csv": 'text|label\n"good, ""fine""\nfilm;\t6"|pos\ndull, so poor|neg\n',
    "commas.tsv": 'text,label\n"good, ""fine""\nfilm;\t6",pos\n"dull, so poor",neg\n',
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_table_is_read_whatever_separates_its_columns_and_whoever_wrote_it(read, name):
    assert pairs(read(name, WRITTEN[name])) == QUOTES


def test_the_line_of_a_fault_is_that_of_the_file_below_a_line_that_names_the_separator(read):
    with pytest.raises(MiniftError, match="line 4: 3 columns, expected 2"):
        read("a.csv", "sep=|\ntext|label\na|x\nb|c|x\n")


def test_a_column_with_the_other_separator_in_its_name_or_texts_does_not_split_it(read):
    assert pairs(read("a.csv", 'text,"label; 1 is good"\na;b;c,1\n', label="label; 1 is good")) == [
        ("a;b;c", "1")
    ]
    assert pairs(read("a.csv", "text;label, if any\na, b;1\n", label="label, if any")) == [
        ("a, b", "1")
    ]
    assert pairs(read("a.tsv", "text\nd, e; f\n", require_labels=False)) == [("d, e; f", None)]
    assert pairs(read("a.csv", "review;stars\nd, e;5\n", text="review", label="stars")) == [
        ("d, e", "5")
    ]


@pytest.mark.parametrize(
    ("content", "plain", "enclosed"),
    [
        ('text\tlabel\n"All of it."\tx\n', '"All of it."', "All of it."),
        ('text\tlabel\n"one\tx\ntwo"\tx\n', '"one', "one\tx\ntwo"),
        ('text\tlabel\n"one\rtwo"\tx\n', '"one\rtwo"', "one\rtwo"),
    ],
)
def test_quotes_that_may_be_text_or_not_are_refused_until_somebody_says(
    read, content, plain, enclosed
):
    for name in ("a.tsv", "a.csv"):
        with pytest.raises(MiniftError, match=r'line 2: .*format="tsv" if .*format="csv" if'):
            read(name, content)
        assert read(name, content, format="tsv")[0].text == plain
        assert read(name, content, format="csv")[0].text == enclosed


def test_a_text_of_two_lines_and_tabs_is_not_taken_for_rows_that_a_quote_has_swallowed(read):
    with pytest.raises(MiniftError, match=r'line 2: .*format="tsv"'):
        read("a.tsv", 'text\tlabel\n"Great\tpos\nlost its tab\nbar"\tneg\n')
    assert pairs(read("a.tsv", 'text\tlabel\n"one\ntwo"\tx\nb\ty\n')) == [
        ("one\ntwo", "x"), ("b", "y"),
    ]  # fmt: skip


def test_an_unnamed_index_column_and_columns_nobody_asked_for_are_left_out(read):
    assert pairs(read("a.csv", ",text,source,label\n0,a,web,x\n")) == [("a", "x")]
    assert pairs(read("a.csv", "Unnamed: 0,text,label\n0,a,x\n")) == [("a", "x")]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text\ttext_b\tlabel", ("1", "2", "3")),
        ("sentence1\tsentence2\tscore", ("1", "2", "3")),
        ("question\tsentence\tlabel", ("1", "2", "3")),
        ("label\tpremise\thypothesis", ("2", "3", "1")),
        ("label\tsentence\tsource", ("2", None, "1")),
        ("text_a\ttext_b\tlabel", ("1", "2", "3")),
        ("label\ttext1\ttext2", ("2", "3", "1")),
        ("sentence_A\tsentence_B\tlabel", ("1", "2", "3")),
        ("question1\tquestion2\tlabel", ("1", "2", "3")),
        (" text \tother\tlabel", ("1", None, "3")),
    ],
)
def test_columns_are_found_by_their_usual_names(read, header, expected):
    (got,) = read("a.tsv", f"{header}\n1\t2\t3\n")
    assert (got.text, got.text_b, got.label) == expected


def test_columns_given_by_name_go_before_the_usual_names(read):
    content = "text,title,body,label,stars\na,b,c,d,e\n"
    (got,) = read("a.csv", content, text="title", text_b="body", label="stars")
    assert (got.text, got.text_b, got.label) == ("b", "c", "e")
    (got,) = read("a.csv", content, text="body")
    assert (got.text, got.text_b) == ("c", None)


def test_a_missing_column_is_an_error_that_lists_those_found_and_the_nearest(read):
    words = r'no column "text" \(found: "Texts", "Label"\); did you mean "Texts"\?; pass text="COL'
    with pytest.raises(MiniftError, match=words):
        read("a.csv", "Texts,Label\na,x\n")
    with pytest.raises(MiniftError, match=r'no column "text" \(found: "Text", "TEXT", "label"\)'):
        read("a.csv", "Text,TEXT,label\na,b,x\n")  # which of them?
    with pytest.raises(MiniftError, match=r'no column "lable" .*did you mean "label"'):
        read("a.csv", "text,label\na,x\n", label="lable")
    with pytest.raises(MiniftError, match=r'two columns are named "text"'):
        read("a.csv", "text,text,label\na,b,x\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("query,passage,label\na,b,x\n", r'; pass text="COLUMN", and text_b="COLUMN" for pairs$'),
        ("text^label\na^x\n", 'csv: expected columns apart by .*bars, got "text.label"$'),
        ('"text:label"\na:x\n', 'csv: expected columns apart by .*bars, got "text:label"$'),
        (
            "Sentence #,Word,POS,Tag\n1,Ada,N,O\n",
            'csv: the column "Word" is for tagging, which need',
        ),
        ("sentence_id,words,labels\n1,Ada,O\n", 'csv: the column "words" is for tagging'),
    ],
)
def test_tables_of_other_kinds_get_one_sentence_with_the_remedy(read, content, words):
    with pytest.raises(MiniftError, match=words) as error:
        read("a.csv", content)
    assert "did you mean" not in str(error.value)
    (got,) = read("b.csv", "word,label\na,x\n", text="word")  # where it is named, it is meant
    assert got.text == "a"


def test_names_of_columns_may_differ_by_capitals_which_is_noted(read):
    notes = []
    content = "ID,TEXT,Sentence,Label,label_2\nq7,a,b,x,y\n"
    assert read("a.csv", content, notes=notes) == (TextExample("q7", "a", "x"),)
    assert notes == [
        f'a.csv: the column "{there}" is read as "{name}"'
        for there, name in (("TEXT", "text"), ("Label", "label"), ("ID", "id"))
    ]
    assert read("a.csv", content, text="sentence", notes=notes)[0].text == "b"
    assert notes[3] == 'a.csv: the column "Sentence" is read as "sentence"'
    rows = '{"Tokens": ["a"], "NER_tags": ["B-X"]}'
    assert sentences(read("a.jsonl", rows)) == [("a", "B-X")]
    assert pairs(read("a.csv", "Text,text,label\na,b,x\n", notes=(exact := []))) == [("b", "x")]
    assert exact == []


def test_a_token_file_that_is_called_tsv_is_recognised_in_the_error(read):
    with pytest.raises(MiniftError, match='pass format="conll" if this is a token file'):
        read("train.tsv", "Identification\tO\nof\tO\n")


@pytest.mark.parametrize("name", ["data.pdf", "stsa.binary.train"])
def test_an_unknown_suffix_asks_for_the_format(read, name):
    with pytest.raises(MiniftError, match="does not tell the format; name it with format=, one of"):
        read(name, "text,label\na,x\n")
    assert pairs(read(name, "text,label\na,x\n", format="csv")) == [("a", "x")]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("format", "cvs", 'unknown format "cvs"; .*did you mean "csv"'),
        ("task", "ner", 'unknown task "ner"; known: classification'),
        ("scheme", "bio", 'unknown scheme "bio"; known: iob1, iob2, bioes, io'),
    ],
)
def test_an_unknown_option_gets_the_known_ones(read, option, value, words):
    with pytest.raises(MiniftError, match=words):
        read("a.csv", "text,label\na,x\n", **{option: value})


# --- labels, ids and faults ----------------------------------------------------------------


def test_labels_stay_strings_as_they_stand(read):
    content = "text,label\na,0.0\nb,1.0\nc, x \n"
    assert [label for _, label in pairs(read("a.csv", content))] == ["0.0", "1.0", " x "]


def test_json_labels_become_strings(read):
    rows = "\n".join(f'{{"text": "a", "label": {v}}}' for v in ("1", "true", "0.5", '"x"'))
    assert [label for _, label in pairs(read("a.jsonl", rows))] == ["1", "True", "0.5", "x"]


def test_regression_labels_become_numbers(read):
    assert pairs(read("a.csv", "text,score\na,2.75\nb,5\n", task="regression")) == [
        ("a", 2.75),
        ("b", 5.0),
    ]
    assert pairs(read("a.jsonl", '{"text": "a", "label": 0.1}', task="regression")) == [("a", 0.1)]


@pytest.mark.parametrize("label", ["nan", "inf", "-Infinity", "high", "1,234", "1.0,5"])
def test_a_regression_label_that_is_no_finite_number_is_refused_by_line(read, label):
    point = ", with a point before decimals" if "," in label else ""
    with pytest.raises(
        MiniftError, match=f"line 3: the label must be a finite number{point}, got '{label}"
    ):
        read("a.tsv", f"text\tlabel\na\t1\nb\t{label}\n", task="regression")


def test_a_decimal_comma_is_read_where_it_can_be_nothing_else(read, tmp_path):
    rows = [("a", "0,5"), ("b", "-12,75"), ("c", "3"), ("d", ",125"), ("e", "0,125")]
    expected = [("a", 0.5), ("b", -12.75), ("c", 3.0), ("d", 0.125), ("e", 0.125)]
    for mark, quote in ((";", ""), ("\t", ""), (",", '"')):
        lines = [f"{text}{mark}{quote}{number}{quote}" for text, number in rows]
        content = "\n".join([f"text{mark}score", *lines]) + "\n"
        assert pairs(read("a.csv", content, task="regression")) == expected
        with pytest.raises(MiniftError, match="labels such as 0,5 may be amounts"):
            read_dataset(tmp_path / "a.csv")


def test_empty_labels_beside_several_in_one_cell_ask_for_the_task(read):
    content = "text,label\na,x|y\nb,\nc,x\n"
    with pytest.raises(
        MiniftError, match=r'"x.y" may be several: .* pass task="multilabel"; line 3'
    ):
        read("a.csv", content)
    assert [label for _, label in pairs(read("a.csv", content, task="multilabel"))][1] == ()
    with pytest.raises(MiniftError) as caught:
        read("a.csv", content.replace("x|y", "y"))
    assert "several" not in str(caught.value)


@pytest.mark.parametrize("task", [None, "regression"])
def test_an_empty_label_is_a_fault_unless_labels_are_not_required(read, task):
    content = "text,label\na,1\nb,\n"
    with pytest.raises(MiniftError, match="line 3: the label is empty"):
        read("a.csv", content, task=task)
    assert read("a.csv", content, task=task, require_labels=False)[1].label is None
    assert read("a.jsonl", '{"text": "a", "label": NaN}', require_labels=False)[0].label is None


def test_a_file_without_a_label_column_is_read_when_labels_are_not_required(read):
    assert pairs(read("a.tsv", "index\tsentence\n0\ta\n", require_labels=False)) == [("a", None)]
    with pytest.raises(MiniftError, match=r'no column "label" \(found: "index", "sentence"\)'):
        read("a.tsv", "index\tsentence\n0\ta\n")


def test_ids_come_from_the_file_or_count_the_rows(read):
    assert [e.id for e in read("a.csv", "id,text,label\nq7,a,x\nq3,b,y\n")] == ["q7", "q3"]
    assert [e.id for e in read("a.csv", "text,label\na,x\nb,y\n")] == ["1", "2"]
    assert read("a.jsonl", '{"id": 5, "text": "a", "label": "x"}')[0].id == "5"


def test_an_id_used_twice_is_refused_with_both_lines(read):
    with pytest.raises(MiniftError, match='line 4: the id "q7" is already on line 2'):
        read("a.csv", "id,text,label\nq7,a,x\nq3,b,y\nq7,c,x\n")


def test_all_faults_of_a_file_come_in_one_error_the_first_five_by_line(read, tmp_path):
    rows = ["a,x", ",x", "b,", "c", "d,x,y", "   ,x", ",x", ",x", ",x"]
    with pytest.raises(MiniftError) as caught:
        read("a.csv", "\n".join(["text,label", *rows]))
    message = str(caught.value)
    for fault in (
        'line 3: "text" is empty; ',
        "line 4: the label is empty; ",
        "line 5: 1 column, expected 2 as in the header; ",
        "line 6: 3 columns, expected 2 as in the header; ",
        'line 7: "text" is empty; and 3 more faults',
    ):
        assert fault in message
    assert "\n" not in message
    assert message.startswith(f"{tmp_path / 'a.csv'}: line 3: ")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{text: 1}", "not JSON"),
        ('["a", "x"]', "must be a JSON object, got"),
        ('{"text": 7, "label": "x"}', '"text" must be a string, got 7'),
        ('{"label": "x"}', '"text" is missing'),
        ('{"text": "a", "label": ["x"]}', "label must be a string or a number"),
        ('{"text": "\\ud800", "label": "x"}', "half of a surrogate pair"),
        ('{"text": "a", "label": "\\uDC00x"}', "half of a surrogate pair"),
        ('{"id": "\\ud83d", "text": "a", "label": "x"}', "half of a surrogate pair"),
        ('{"text": "a", "label": "x", "more": {"\\ud83d": 1}}', "half of a surrogate pair"),
        *(
            (f'{{"id": {id_}, "text": "a", "label": "x"}}', "the id must be .*or rename the column")
            for id_ in ("null", "NaN", "7.0", '""', "[1]")
        ),
    ],
)
def test_faulty_json_lines_are_named(read, row, words):
    fine = (
        '{"id": 1, "text": "a", "label": "x"}\n' if "id" in row else '{"text": "a", "label": 1}\n'
    )
    with pytest.raises(MiniftError, match=f"line 3: .*{words}"):
        read("a.jsonl", f"{fine}\n{row}\n")


def test_escaped_characters_that_are_whole_are_read(read):
    rows = '{"text": "\\ud83d\\ude00 \\\\ud83d", "label": "\\u00e9"}'
    assert pairs(read("a.jsonl", rows)) == [("\U0001f600 \\ud83d", "\u00e9")]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_list_of_json_is_read_as_the_rows_that_it_holds(read, name, indent):
    rows = [{"text": "one\n\ntwo", "label": "x"}, {"text": "[b]", "label": 1}]
    whole = read(name, json.dumps(rows, indent=indent))
    assert whole == read("b.json", "\n".join(map(json.dumps, rows))) and len(whole) == 2
    with pytest.raises(MiniftError, match=r'3: "text" is missing; .*4: a row must be a JSON'):
        read(name, json.dumps([*rows, {"label": "x"}, 5], indent=indent))
    with pytest.raises(MiniftError, match=r"(line|record) 1: not JSON: "):
        read(name, json.dumps(rows, indent=indent)[:-1])
    with pytest.raises(MiniftError, match="there are no examples in it"):
        read(name, "[]")


FRAME = [{"text": "one\n\ntwo", "label": "x"}, {"text": "[b]", "label": "y"}]


def _shapes():
    """The same two rows as pandas, `datasets`, jq and others write them."""
    columns = {name: [row[name] for row in FRAME] for name in FRAME[0]}
    keyed = {name: dict(enumerate(column)) for name, column in columns.items()}
    filtered = {name: dict(zip((3, 17), column)) for name, column in columns.items()}
    named = {name: dict(zip(("q1", "q2"), column)) for name, column in columns.items()}
    index = dict(enumerate(FRAME))
    for value in (columns, keyed, filtered, named, index, {"data": FRAME}, {"train": FRAME}, FRAME):
        yield from (json.dumps(value, indent=indent) for indent in (None, 0, 2, "\t"))
    for indent in (None, 0, 2):
        for end in ("\n", "\r\n", "\n\n", " "):
            yield end.join(json.dumps(row, indent=indent) for row in FRAME) + end


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_is_read_whatever_its_lines_and_its_shape_are(read, name):
    for content in _shapes():
        assert pairs(read(name, content)) == [(row["text"], row["label"]) for row in FRAME], content
    one = json.dumps(FRAME[0], indent=2)
    assert pairs(read(name, one)) == [("one\n\ntwo", "x")]
    assert pairs(read(name, f"\n{one}\n" + json.dumps(FRAME[1]))) == pairs(read(name, FRAME_LINES))


FRAME_LINES = "\n".join(map(json.dumps, FRAME))


def test_what_pandas_writes_is_read_and_a_row_of_words_is_no_table(read):
    written = (  # by DataFrame(FRAME).to_json(orient=...): columns (the default), index, records
        r'{"text":{"0":"one\n\ntwo","1":"[b]"},"label":{"0":"x","1":"y"}}',
        r'{"0":{"text":"one\n\ntwo","label":"x"},"1":{"text":"[b]","label":"y"}}',
        r'[{"text":"one\n\ntwo","label":"x"},{"text":"[b]","label":"y"}]',
    )
    for content in written:
        assert pairs(read("p.json", content)) == pairs(read("a.jsonl", FRAME_LINES))
    row = {"Tokens": ["Ann", "sings"], "tags": ["B-PER", "O"]}  # as long as a table of two rows
    assert sentences(read("a.jsonl", json.dumps(row))) == [("Ann sings", "B-PER O")]
    two = {"tokens": [["Ann", "sings"], ["so"]], "tags": [["B-PER", "O"], ["O"]]}
    assert sentences(read("a.json", json.dumps(two))) == [("Ann sings", "B-PER O"), ("so", "O")]


def test_a_fault_in_json_over_several_lines_is_told_by_the_line_where_the_object_begins(read):
    rows = [json.dumps(row, indent=2) for row in (*FRAME, {"label": "x"})]
    with pytest.raises(MiniftError, match=r'line 9: "text" is missing$'):
        read("a.jsonl", "\n".join(rows))
    with pytest.raises(MiniftError, match=r"line 5: not JSON: .*line 6 column 11"):
        read("a.jsonl", "\n".join([rows[0], '{\n  "text": a\n}']))
    faults = r'line 1: not JSON: [^;]*; line 3: "text" is missing$'  # one object per line, it seems
    with pytest.raises(MiniftError, match=faults):
        read("a.jsonl", '{"text": "a", "label": "x"\n{"text": "a", "label": 1}\n{"label": "x"}')


def test_labels_of_fasttext_are_read_one_per_text(read):
    content = "__label__pos a good film , really\n\ndull __label__neg\n__label__a-b\tx\u00a0y\n"
    expected = [("a good film , really", "pos"), ("dull", "neg"), ("x\u00a0y", "a-b")]
    for name, options in (("a.txt", {}), ("a.ft", {}), ("a.train", {"format": "fasttext"})):
        assert pairs(read(name, content, **options)) == expected
    with pytest.raises(MiniftError, match=r"line 1: .*got \['a', 'b'\]; line 2: the label is"):
        read("a.txt", "__label__a __label__b two\nnone\n")


@pytest.mark.parametrize(
    "content",
    ["text,label\na b,x\n", "text;label\na b;x\n", '{"text": "a b", "label": "x"}\n',
     '[{"text": "a b", "label": "x"}]', '{\n "text": "a b", "label": "x"\n}\n',
     '{"text": {"0": "a b"}, "label": {"0": "x"}}'],
)  # fmt: skip
def test_a_txt_is_what_its_content_is(read, content):
    assert pairs(read("a.txt", content)) == [("a b", "x")]
    with pytest.raises(MiniftError, match="texts without labels, one per line"):
        read("a.txt", "a text, with a comma\nanother\n")


def test_what_stands_twice_in_a_json_object_is_a_fault(read):
    with pytest.raises(MiniftError, match='line 2: not JSON: an object has "text" twice'):
        read("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "a", "text": "b", "label": "x"}\n')


def test_labels_that_a_model_does_not_know_are_refused_by_line(read):
    content = "text,label\na,x\nb,y\nc,\n"
    options = {"require_labels": False}
    assert len(read("a.csv", content, labels=("x", "y"), **options)) == 3
    with pytest.raises(MiniftError, match=r'line 3: the label "y" is not one of \[.x.\]$'):
        read("a.csv", content, labels=("x",), **options)


# --- token files ---------------------------------------------------------------------------

PLAIN = [("Ann Bob left", "B-PER B-PER O"), ("Rome", "B-LOC")]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("Ann\tB-PER\nBob\tB-PER\nleft\tO\n\nRome\tB-LOC\n", {}),
        ("Ann B-PER\nBob\t B-PER\nleft   O\n\n\n\nRome\tB-LOC", {}),
        ("Ann\tB-PER\nBob\tB-PER\nleft\tO\n\t\nRome\tB-LOC\n \t \n", {}),
        ("Ann\tB-PER\r\nBob\tB-PER\r\nleft\tO\r\n\r\nRome\tB-LOC\r\n", {}),
        ("Ann N B-NP B-PER\nBob N B-NP B-PER\nleft V B-VP O\n\nRome N B-NP B-LOC\n", {}),
        ("-DOCSTART- -X- O O\n\nAnn N x I-PER\nBob N x B-PER\nleft V x O\n\nRome N x I-LOC\n", {}),
        ("-DOCSTART- -X- -X- O\nAnn N I-PER\nBob N B-PER\nleft V O\n-DOCSTART- -X- -X- O\n"
         "Rome N I-LOC\n", {}),
        ("B-PER\tAnn\nB-PER\tBob\nO\tleft\n\nB-LOC\tRome\n", {"text": "2", "label": "1"}),
        ("Ann\tB-PER\nBob\tB-PER\nleft\t0\n\nRome\tB-LOC\n", {}),
        ("Ann S-PER\nBob U-PER\nleft O\n\nRome S-LOC\n", {}),
        ("# id = 1\nAnn B-PER\nBob B-PER\nleft O\n\n#\tsource\t[date]\nRome B-LOC\n", {}),
        ("1\tAnn\tB-PER\tO\n2\tBob\tB-PER\tO\n3\tleft\tO\tO\n\n1\tRome\tB-LOC\tB-X\n",
         {"text": "2", "label": "3"}),
    ],
    ids=["tab", "mixed", "tab_line", "crlf", "four", "doc4", "doc3", "tag_first", "zero",
         "bioes", "comments", "nested"],
)  # fmt: skip
def test_token_files_of_all_kinds_give_the_same_two_sentences(read, content, options):
    assert sentences(read("a.conll", content, **options)) == PLAIN


def test_tags_without_letters_merge_what_touches(read):
    assert sentences(read("a.conll", "Ann PER\nBob PER\nleft O\n\nRome LOC\n")) == [
        ("Ann Bob left", "B-PER I-PER O"),
        ("Rome", "B-LOC"),
    ]


def test_a_no_break_space_does_not_split_a_word(read):
    assert read("a.conll", "New\u00a0York B-LOC\nis O\n")[0].words == ("New\u00a0York", "is")


def test_a_hash_with_a_tag_and_hashtags_are_words(read):
    content = "# O\n#now O\n1 O\n\n#rome B-LOC\n"
    assert [e.words for e in read("a.conll", content)] == [("#", "#now", "1"), ("#rome",)]


def test_a_comment_inside_a_sentence_or_a_lone_hashtag_is_a_fault(read):
    with pytest.raises(MiniftError, match="line 2: 3 columns, expected 2 as on most lines"):
        read("a.conll", "a O\n# a comment\nb B-X\n")
    with pytest.raises(MiniftError, match="line 1: 1 column, expected 2"):
        read("a.conll", "#rome\na O\nb B-X\n")


def test_long_words_and_long_sentences_are_read_whole(read):
    content = "x" * 195 + " O\n" + "word B-X\n" * 1237
    (got,) = read("a.conll", content)
    assert len(got.words) == 1238
    assert len(got.words[0]) == 195


def test_words_alone_are_unlabelled_sentences(read):
    got = read("a.bio", "Ann\nleft\n\nRome\n", require_labels=False)
    assert got == (TaggedExample("1", ("Ann", "left")), TaggedExample("2", ("Rome",)))
    with pytest.raises(MiniftError, match="words without tags"):
        read("a.bio", "Ann\nleft\n\nRome\n")


def test_a_text_file_is_what_its_content_is(read):
    for content in (
        "Ann B-PER\nleft O\n",
        "Ann N B-PER\nleft V O\n",
        "# id = 1\nAnn PER\nleft O\n",
    ):
        assert sentences(read("a.txt", content)) == [("Ann left", "B-PER O")]
    assert pairs(read("a.txt", "id\ttext\tlabel\n1\ta, b\tx\n")) == [("a, b", "x")]
    for texts in (
        "a good film .\nso bad !\n",
        "Ann\nleft\n",
        "GOOD FILM\nBAD FILM\n",
        "Plan B-2\n",
    ):
        with pytest.raises(MiniftError, match="texts without labels, one per line; if it is not"):
            read("a.txt", texts)
    with pytest.raises(MiniftError, match="no such file"):
        read_examples("absent.txt")
    words = "line 3: 1 column, expected 2"  # one fault does not make it another kind of file
    with pytest.raises(MiniftError, match=words):
        read("a.txt", "Ann B-PER\nleft O\nfor\nRome B-LOC\n")


def test_words_with_blanks_stay_whole_between_tabs(read):
    content = "# id\t5 6\tx\n5 000\tB-MONEY\neuros\tI-MONEY\n\nAnn\tB-PER\n \t \nsings \t O\n"
    assert [(e.words, e.tags) for e in read("a.conll", content)] == [
        (("5 000", "euros"), ("B-MONEY", "I-MONEY")),
        (("Ann",), ("B-PER",)),
        (("sings",), ("O",)),
    ]
    with pytest.raises(MiniftError, match="line 2: 1 column, expected 2"):
        read("a.conll", "New York\tB-LOC\nNew York\nis\tO\n")  # York is not the tag of New
    with pytest.raises(MiniftError, match="blanks and TABs both separate"):
        read("a.conll", "Ann N\tB-PER\nsings V\tO\n")


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ("b-per i-per o", "b-per, i-per, o are almost those of IOB"),
        ("B_PER I_PER O", "B_PER, I_PER are almost"),
        ("B:PER I:PER O", "B:PER, I:PER are almost"),
        ("PER-B PER-I O", "PER-B, PER-I are almost"),
        ("PER_S LOC_S O", "LOC_S, PER_S are almost"),
        ("BPER IPER O", "BPER are almost"),
        ("PER PER o", "o are almost"),
        ("PER PER _", "_ are almost"),
        ("B-PER I-PER o", r"some tags have B- or I- .*\(o\)"),
        ("B-PER I_PER O", r"some tags have B- or I- .*\(I_PER\)"),
        ("NNP NNP VBZ", "NNP, VBZ are parts of speech"),
    ],
)
def test_tags_that_are_almost_iob_are_refused_by_name(read, tags, words):
    lines = "".join(f"w{n}\t{tag}\n" for n, tag in enumerate(tags.split()))
    row = json.dumps({"tokens": ["a", "b", "c"], "ner_tags": tags.split()})
    for name, content in (("a.conll", lines), ("a.jsonl", row)):
        with pytest.raises(MiniftError, match=words):
            read(name, content)


def test_types_that_look_like_letters_stay_types_among_others_or_where_the_scheme_is_named(read):
    assert sentences(read("a.conll", "a hepatitis-B\nb PER\nc O\n"))[0][1] == (
        "B-hepatitis-B B-PER O"
    )
    assert sentences(read("a.conll", "a b_cell\nb O\n", scheme="io"))[0][1] == "B-b_cell O"


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("a O\nb\nc B-X d\n\ne O\n", {}, "line 2: 1 column, expected 2 .*; line 3: 3 columns"),
        ("\tO\na O\nb B-X\n", {}, "line 1: 1 column, expected 2"),
        ("O\twhat\nB-X\tfilm\n", {}, "look like tags .*try text=.2., label=.1."),
        ("O what\nPER ann\nO did\nO do\n", {}, "look like tags .*try text=.2., label=.1."),
        (
            "what\tO\nfilm\tB-X\n",
            {"text": "2", "label": "1"},
            "try text=.1., label=.2.",
        ),
        ("1 Ann B-PER O\n2 left O O\n", {}, "only counts the words; .*text=.2., label=.3."),
        ("1 Ann a b c O\n2 b a b c O\n", {}, "6 columns, expected 1 to 4"),
        (
            "# text = Ann\n1\tAnn" + "\t_" * 8 + "\n",
            {},
            "10 columns as of CoNLL-U[^;]*; say[^;]*$",
        ),
        ("a O\nb B-X\n", {"label": "3"}, "column 3 is asked for, but its lines have 2"),
        ("a O\nb B-X\n", {"label": "tag"}, "label=.tag.: columns of a token file are numbers"),
        ("a O\nb B-X\n\nc O\nd E-X\n", {"scheme": "iob2"}, 'line 5: "E-X" is not a tag'),
        ("a O\nb B-X\nc PER\n", {}, r"some tags have B- or I- \(B-X\) and some do not \(PER\)"),
        ("a O\nb B-X\n", {"task": "classification"}, "is for tagging, not for classification"),
        ("-DOCSTART- -X- O O\n\n", {}, "there are no examples in it"),
    ],
)
def test_token_files_that_are_not_what_they_seem_are_refused(read, content, options, words):
    with pytest.raises(MiniftError, match=words):
        read("a.conll", content, **options)


def test_json_words_and_tags_are_read_in_any_scheme(read):
    rows = [
        {"id": "s1", "words": ["Ann", "Bob", "left"], "tags": ["I-PER", "B-PER", "O"]},
        {"id": "s2", "words": ["New York"], "tags": ["I-LOC"]},
    ]
    got = read("a.jsonl", "\n".join(map(json.dumps, rows)))
    assert got == (
        TaggedExample("s1", ("Ann", "Bob", "left"), ("B-PER", "B-PER", "O")),
        TaggedExample("s2", ("New York",), ("B-LOC",)),
    )


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"words": "Ann left", "tags": ["O"]}', '"words" must be a list of words, none empty'),
        ('{"words": ["a", " "], "tags": ["O", "O"]}', '"words" must be a list of words'),
        (
            '{"words": ["a", "b"], "tags": ["O"]}',
            "must be a list of strings, one per word \\(2\\)",
        ),
        (
            '{"words": ["a"], "tags": [0]}',
            r'"tags" must .*, got numbers; .*features\["tags"\]',
        ),
        ('{"words": ["a"]}', '"tags" is missing'),
        ('{"words": ["a"], "tags": ["X-Y"]}', "some tags have B- or I-"),
        ('{"words": ["\\udfff"], "tags": ["O"]}', "half of a surrogate pair"),
    ],
)
def test_faulty_json_sentences_are_named(read, row, words):
    with pytest.raises(MiniftError, match=words):
        read("a.jsonl", f'{{"words": ["a"], "tags": ["B-Y"]}}\n{row}\n')


@pytest.mark.parametrize("words", ["words", "tokens"])
@pytest.mark.parametrize("tags", ["tags", "ner_tags"])
def test_tokens_and_tags_are_found_by_the_names_of_hugging_face_sets(read, words, tags):
    row = {"id": "0", words: ["Ann", "sings"], "pos_tags": [22, 42], tags: ["B-PER", "O"]}
    (got,) = read("a.jsonl", json.dumps(row))
    assert got == TaggedExample("0", ("Ann", "sings"), ("B-PER", "O"))
    with pytest.raises(MiniftError, match=r'no column "tags" \(found: .*; pass label="COLUMN"'):
        read("a.jsonl", json.dumps({words: ["Ann"], "named": ["O"]}))
    assert read("a.jsonl", json.dumps({words: ["Ann"], "named": ["B-X"]}), label="named")[0].tags


def test_tokens_beside_a_text_and_its_class_are_left_out_unless_the_task_is_tagging(read):
    row = json.dumps({"text": "Ann sings", "label": "x", "tokens": ["Ann", "sings"]})
    assert pairs(read("a.jsonl", row)) == [("Ann sings", "x")]
    got = read("a.jsonl", row, task="tagging", require_labels=False)
    assert got == (TaggedExample("1", ("Ann", "sings")),)


def test_text_files_are_not_for_tagging(read):
    with pytest.raises(MiniftError, match='tagging needs a token file, or JSONL with "words"'):
        read("a.csv", "text,label\na,x\n", task="tagging")


# --- data sets -----------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path):
    """dataset(train, dev, test, suffix, **options): small files read as one data set."""

    def build(*contents, suffix=".csv", **options):
        names = ("train", "dev", "test")
        paths = [
            None if content is None else write(tmp_path, name + suffix, content)
            for name, content in zip(names, contents)
        ]
        return read_dataset(*paths, **options)

    return build


def test_classes_are_those_of_training_sorted_and_integers_by_value(dataset):
    got = dataset("text,label\na,pos\nb,neg\nc,pos\n", name="films")
    assert (got.name, got.task, got.labels, got.metric) == (
        "films", "classification", ("neg", "pos"), "accuracy",
    )  # fmt: skip
    assert (got.dev, got.test) == ((), ())
    assert dataset("text,label\na,10\nb,9\nc,-1\n").labels == ("-1", "9", "10")
    assert dataset("text,label\na,0.0\nb,1.0\nc,1.0\n").labels == ("0.0", "1.0")
    assert dataset("text,label\na,10\nb,9\nc,x\n").labels == ("10", "9", "x")
    assert dataset("text,label\na,10\nb,9\n").name == "train"


def test_tags_are_o_and_both_letters_of_each_type_sorted(dataset):
    got = dataset("a B-Y\nb O\nc B-X\n", "a O\nb I-Y\n", suffix=".bio")  # read as conlleval would
    assert (got.task, got.metric) == ("tagging", "entity_f1")
    assert got.labels == ("O", "B-X", "I-X", "B-Y", "I-Y")
    assert got.dev[0].tags == ("O", "B-Y")
    assert got.notes == (
        "dev.bio: 1 entity breaks the scheme iob2 and is read as an entity of its own "
        '(first: line 2, "I-Y" of word 2 continues no Y entity)',
    )


def test_regression_has_numbers_and_no_classes(dataset):
    got = dataset("text,label\na,1\nb,2.5\n", "text,label\nc,7\n", task="regression")
    assert (got.labels, got.metric) == ((), "pearson_spearman")
    assert [e.label for e in got.train + got.dev] == [1.0, 2.5, 7.0]


def test_labels_with_fractions_are_never_guessed_to_be_amounts_or_classes(dataset):
    content = "text,label\na,3.8\nb,5.000\nc,3.8\n"
    with pytest.raises(
        MiniftError, match=r"such as 3.8 may be amounts: pass task=.regression., or"
    ):
        dataset(content)
    assert dataset(content, task="classification").labels == ("3.8", "5.000")
    assert dataset(content, task="regression").train[0].label == 3.8


def test_many_integers_are_classes_with_a_note(dataset):
    rows = "".join(f"text {n},{n % 21}\n" for n in range(42))
    assert dataset(f"text,label\n{rows}").notes == (
        "21 classes, all integers: if they are amounts, the task is regression",
    )
    rows = "".join(f"text {n},{n % 20}\n" for n in range(40))
    assert dataset(f"text,label\n{rows}").notes == ()


def test_a_label_that_training_lacks_is_refused_with_file_line_and_nearest(dataset):
    train = "text,label\na,positive\nb,negative\n"
    words = r'dev.csv: line 3: the label "postive" is not one of .*; did you mean "positive"'
    with pytest.raises(MiniftError, match=words):
        dataset(train, "text,label\nc,negative\nd,postive\n")
    with pytest.raises(MiniftError, match=r'test.conll: line 4: the label "B-Y" is not one of'):
        dataset("a O\nb B-X\n", None, "a O\n\nb O\nc B-Y\n", suffix=".conll")


def test_one_class_or_no_entity_in_training_is_refused(dataset):
    with pytest.raises(MiniftError, match=r"train.csv: every label is 'x'; expected two or more"):
        dataset("text,label\na,x\nb,x\n")
    with pytest.raises(MiniftError, match=r"every label is 'O'"):
        dataset("a O\nb O\n", suffix=".conll")


def test_notes_count_repeated_texts_single_classes_zeros_and_schemes(dataset):
    train = "text,label\na,x\nb,y\na,x\na,y\nc,x\nd,z\n"
    got = dataset(train, "text,label\na,x\nd,x\nd,y\n", "text,label\nc,x\ne,x\n")
    assert got.notes == (
        "train.csv: 1 text has two different labels (lines 2 and 5: x, y)",
        "dev.csv: 1 text has two different labels (lines 3 and 4: x, y)",
        'class "z" has only one training example',
        "2 duplicate texts in train",
        "2 texts of train occur in dev",
        "1 text of train occurs in test",
    )
    got = dataset("a I-X\nb B-X\n\nc 0\n", "c 0\n", suffix=".conll")
    assert got.notes == (
        'train.conll: 1 tag "0" is read as "O"',
        "train.conll: tags are in the scheme iob1 and are read as iob2",
        'dev.conll: 1 tag "0" is read as "O"',
        "dev.conll: tags are in the scheme iob1 and are read as iob2",
        "1 text of train occurs in dev",
    )


def test_pairs_that_share_one_text_are_no_duplicates(dataset):
    assert dataset("question,sentence,label\nq,a,x\nq,b,y\nr,a,y\ns,a,x\n").notes == ()


def test_a_test_file_may_lack_labels_but_a_dev_file_may_not(dataset):
    train, bare = "text,label\na,x\nb,y\nc,x\nd,y\n", "text\ne\nf\n"
    got = dataset(train, None, bare)
    assert [e.label for e in got.test] == [None, None]
    assert got.notes == ("test.csv: examples without a label: 2 of 2",)
    with pytest.raises(MiniftError, match=r'dev.csv: no column "label"'):
        dataset(train, bare)
    got = dataset("a B-X\nb O\n", None, "c\nd\n", suffix=".conll")
    assert got.test[0].tags is None


def test_pairs_on_one_side_only_are_refused(dataset):
    pair, single = "text,text_b,label\na,b,x\nc,d,y\n", "text,label\na,x\n"
    with pytest.raises(
        MiniftError,
        match=r"dev.csv: train.csv has pairs .*column with text_b=$",
    ):
        dataset(pair, single)
    with pytest.raises(MiniftError, match=r"dev.csv: train.csv has single texts.*with text=$"):
        dataset(single + "c,y\n", pair)


@pytest.mark.parametrize("text", ["label", "text"])
def test_one_column_is_never_read_as_two_things(dataset, text):
    """The label as the text would give an accuracy of 1.0."""
    content, both = "text,label\na,x\nb,y\n", {"label": "label"} if text == "label" else {}
    twice = {"text": text, **both} if text == "label" else {"text": text, "text_b": "text"}
    with pytest.raises(MiniftError, match=rf'the column "{text}" is read both as text= and as '):
        dataset(content, **twice)


def test_files_of_two_tasks_do_not_mix(tmp_path):
    train = write(tmp_path, "train.conll", "a O\nb B-X\n")
    dev = write(tmp_path, "dev.csv", "text,label\na,x\nb,y\n")
    with pytest.raises(MiniftError, match=r"dev.csv: .*tagging needs a token file"):
        read_dataset(train, dev)
    with pytest.raises(MiniftError, match=r"train.conll: a token file is for tagging"):
        read_dataset(dev, train)
