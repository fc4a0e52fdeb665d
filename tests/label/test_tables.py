"""CSV survives spreadsheets and CoNLL survives editors, or what they did is named.

claim                                                       oracle
no cell can become a formula                                the characters OWASP lists, all cells
a formula-like text comes back as it is, apostrophe eaten   by hand
or not
a text the spreadsheet changed is named                     by hand
a broken row costs itself; broken quotes cost the rest      by hand
skip, and what it is where a class is called skip           by hand
unanswered differs from all O                               by hand
half a sentence, a foreign tag, a stray I- are named by     by hand
the line of the word
BIOES of another tool is read, if nothing in it is broken   by hand
blank lines lost, comments lost, TABs turned into blanks    by hand
"""

from __future__ import annotations

import csv
import io
import re

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.label.formats.exchange import read_answers
from minift.label.formats.rows import Question
from tests.label.exports import write_questions

LABELS = ("neg", "pos")
TAGS = ("O", "B-PER", "I-PER", "B-LOC")


def read_table(tmp_path, content, examples, labels=LABELS):
    (tmp_path / "b.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_answers(tmp_path / "b.csv", None, examples, labels, "classification")


def by_id(*examples):
    return {example.id: example for example in examples}


def said(imported):
    return [(answer.id, answer.label) for answer in imported.answers]


def test_no_cell_of_a_written_table_can_become_a_formula(tmp_path):
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "\uff1d1", "\uff0d1"]
    examples = [TextExample(text, text, text_b=text) for text in nasty]
    questions = [Question(e, score=-0.5, guess="=pos", confidence=0.5) for e in examples]
    write_questions(tmp_path / "b.csv", "csv", questions, "classification")
    written = (tmp_path / "b.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfid,text,text_b,guess,confidence,score,label\r\n")
    rows = list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))[1:]
    assert len(rows) == len(nasty)
    for row, text in zip(rows, nasty):
        for cell in row[:4]:
            assert cell[0] == "'"
        assert row[0] == row[1] == row[2] == "'" + text and row[3] == "'=pos"
        assert float(row[5]) == -0.5  # a number, no formula


@pytest.mark.parametrize("cell", ["'=1+1", "=1+1"])
@pytest.mark.parametrize("label", ["-1", "'-1"])
def test_a_formula_like_text_comes_back_whether_or_not_the_apostrophe_was_eaten(
    cell, label, tmp_path
):
    examples = by_id(TextExample("=7", "=1+1"))
    imported = read_table(tmp_path, f"id,text,label\n=7,{cell},{label}\n", examples, ("-1", "1"))
    assert said(imported) == [("=7", "-1")] and imported.problems == ()


def test_an_apostrophe_of_the_text_itself_stays(tmp_path):
    examples = by_id(TextExample("1", "'quoted'"), TextExample("2", "'=x"))
    imported = read_table(tmp_path, "id,text,label\n1,'quoted',pos\n2,''=x,neg\n", examples)
    assert said(imported) == [("1", "pos"), ("2", "neg")]


@pytest.mark.parametrize(
    "text,cell,words",
    [
        ("5.0", "5", r"expected '5\.0' at character 1, got '5'"),
        ("a" * 40 + "b", "a" * 40, r"expected 'a{10}b' at character 31, got 'a{10}'"),
        (
            "the film was fine",
            "the film is fine",
            r"'the film was fine' at character 1, got 'the film is fine'",
        ),
        ("café", "cafÃ©", "expected 'café' at character 1, got 'cafÃ©'"),
        ("a  b", "a b", "expected 'a  b'"),
        ("A", "a", "expected 'A'"),
    ],
)
def test_a_text_the_spreadsheet_changed_is_named_with_the_place(text, cell, words, tmp_path):
    examples = by_id(TextExample("1", text), TextExample("2", "good"))
    imported = read_table(tmp_path, f"id,text,label\n1,{cell},pos\n2,good,neg\n", examples)
    assert said(imported) == [("2", "neg")]
    assert re.search("b.csv: line 2: the text of '1' was changed: .*" + words, imported.problems[0])


def test_a_pair_must_have_both_its_texts_unchanged(tmp_path):
    examples = by_id(*(TextExample(str(i), "a", text_b="b") for i in range(4)))
    table = "text_b,label,text,id,mine\nb,pos,a,0,x\nc,pos,a,1,\n,pos,a,2,\na,pos,b,3,\n"
    imported = read_table(tmp_path, table, examples)
    assert said(imported) == [("0", "pos")]
    assert [problem[7:13] for problem in imported.problems] == ["line 3", "line 4", "line 5"]


def test_lines_are_counted_as_an_editor_counts_them_and_rows_may_end_early(tmp_path):
    examples = by_id(*(TextExample(str(i), "two\nlines" if i == 1 else f"t{i}") for i in range(6)))
    table = (
        'ID, "Text" ,label\r\n1,"two\nlines",pos\r\n\r\n,,\r\n2,t2\r\n3,t3,pos,,\r\n'
        "4,t4,pos,x\r\n5,t5,good\r\n"
    )
    imported = read_table(tmp_path, table.replace(' "Text" ', "Text"), examples)
    assert said(imported) == [("1", "pos"), ("3", "pos")]
    assert imported.unanswered == ("2",)
    assert imported.problems[0].startswith("b.csv: line 8: 4 columns, expected 3 as in line 1")
    assert imported.problems[1].startswith("b.csv: line 9: text '5': 'good' is not a label")


def test_a_quote_that_is_never_closed_costs_the_rest_and_says_so(tmp_path):
    examples = by_id(*(TextExample(str(i), f"t{i}") for i in range(4)))
    imported = read_table(tmp_path, 'id,text,label\n1,t1,pos\n2,"t2,pos\n3,t3,pos\n', examples)
    assert said(imported) == [("1", "pos")]
    (problem,) = imported.problems
    assert problem.startswith("b.csv: line 3: not valid CSV (")
    assert problem.endswith("it and all after it are left out")


def test_skip_sets_aside_unless_a_class_has_that_name(tmp_path):
    examples = by_id(*(TextExample(str(i), f"t{i}") for i in range(4)))
    table = "id,text,label\n0,t0,skip\n1,t1, SKIP \n2,t2,(skip)\n3,t3,\n"
    assert said(read_table(tmp_path, table, examples)) == [("0", None), ("1", None), ("2", None)]
    imported = read_table(tmp_path, table, examples, ("skip", "stay"))
    assert said(imported) == [("0", "skip"), ("1", "skip"), ("2", None)]
    assert imported.unanswered == ("3",)


ADA = by_id(
    TaggedExample("1", ("Ada", "of", "Bonn")),
    TaggedExample("2", ("a", "b")),
    TaggedExample("3", ("#", "id")),
)


def read_words(tmp_path, content, examples=ADA, labels=TAGS):
    (tmp_path / "b.conll").write_bytes(content.encode())
    return read_answers(tmp_path / "b.conll", None, examples, labels, "tagging")


def test_a_written_token_file_reads_as_it_should(tmp_path):
    questions = [Question(ADA["1"], 0.5, ("B-PER", "I-PER", "O"), 0.25), Question(ADA["3"])]
    write_questions(tmp_path / "b", "conll", questions, "tagging")
    assert (tmp_path / "b").read_text() == (
        "# id = 1\n# guess = B-PER I-PER O\n# confidence = 0.25\n# score = 0.5\n"
        "Ada\t?\nof\t?\nBonn\t?\n\n# id = 3\n#\t?\nid\t?\n\n"
    )


def test_unanswered_all_o_and_set_aside_are_three_things(tmp_path):
    imported = read_words(
        tmp_path,
        "# id = 1\nAda\t?\nof\t?\nBonn\t?\n\n# id = 2\na\tO\nb\tO\n\n"
        "# id = 3\n# skip = yes\n#\t?\nid\t?\n",
    )
    assert said(imported) == [("2", ["O", "O"]), ("3", None)]
    assert imported.unanswered == ("1",) and imported.problems == ()


@pytest.mark.parametrize(
    "tags,words",
    [
        ("O\n?\nO", "line 3: text '1': 'of' is still to be tagged; tag all words or none"),
        (
            "O\nO\nB-PRE",
            r"line 4: text '1': 'B-PRE' is not a tag; tags are O, .*did you mean \"B-PER\"\?",
        ),
        (
            "I-PER\nO\nO",
            r"line 2: text '1': I-PER continues nothing; an entity begins with \"B-PER\"",
        ),
        ("B-LOC\nI-PER\nO", "line 3: text '1': I-PER continues nothing"),
        ("O\nO\n\n", "line 2: the text of '1' was changed: expected"),
        ("O\nI-\nO", "line 3: text '1': 'I-' is not a tag"),
    ],
)
def test_a_fault_in_a_sentence_is_named_by_its_line_and_costs_that_sentence(tags, words, tmp_path):
    rows = "\n".join(
        f"{w}\t{t}" if t else "" for w, t in zip(("Ada", "of", "Bonn"), tags.split("\n"))
    )
    imported = read_words(tmp_path, f"# id = 1\n{rows}\n\n# id = 2\na\tO\nb\tB-PER\n")
    assert said(imported) == [("2", ["O", "B-PER"])] and imported.unanswered == ()
    assert re.search("b.conll: " + words, imported.problems[0])


@pytest.mark.parametrize(
    "tags",
    ["B-PER\nE-PER\nS-LOC", "B-PER\nL-PER\nU-LOC", "B-PER\nI-PER\nB-LOC", "?\n?\nS-LOC",
     "B-PER\nI-PER\nE-PER", "B-PER\nO\nS-LOC", "B-PER\nE-PER\nS-ORG"],
)  # fmt: skip
def test_tags_of_another_tool_in_bioes_are_read_and_what_breaks_it_is_named(tags, tmp_path):
    sentence = TaggedExample("1", ("Ada", "Byron", "Rome"))
    rows = [f"{word}\t{tag}" for word, tag in zip(sentence.words, tags.split("\n"))]
    imported = read_words(tmp_path, "# id = 1\n" + "\n".join(rows) + "\n", by_id(sentence))
    right = {"B-PER E-PER S-LOC", "B-PER L-PER U-LOC", "B-PER I-PER B-LOC"}
    if tags.replace("\n", " ") in right:
        assert [a.label for a in imported.answers] == [["B-PER", "I-PER", "B-LOC"]]
        assert imported.problems == ()
    elif tags.endswith("I-PER\nE-PER"):
        assert [a.label for a in imported.answers] == [["B-PER", "I-PER", "I-PER"]]
    else:  # half of it open, an entity that is not closed, a type that is not in the project
        assert imported.answers == () and len(imported.problems) >= 1


def test_what_editors_do_to_a_token_file_does_no_harm(tmp_path):
    imported = read_words(
        tmp_path,
        "\ufeff# id = 1\r\n#guess=O O O\r\nAda   B-PER  \r\nof o\r\nBonn\tb-loc\r\n"  # blanks
        "# id = 2\r\na\tO\r\nb\tI-PER\r\n"  # no blank line before it
        "\r\n\r\n# somebody's remark\r\n#\tO\r\nid\tO\r\n",  # its id line is lost
    )
    assert said(imported)[1:] == [("3", ["O", "O"])]
    assert [problem[:15] for problem in imported.problems] == ["b.conll: line 8"]
    assert said(imported)[0] == ("1", ["B-PER", "O", "B-LOC"])


def test_words_that_were_changed_joined_or_split_are_named(tmp_path):
    for rows in ("Ada\tO\nof\tO\nBerlin\tO", "Ada of\tO\nBonn\tO", "Ada\tO\nof\tO\nBonn\tO\n.\tO"):
        imported = read_words(tmp_path, f"# id = 1\n{rows}\n")
        assert imported.answers == () and len(imported.problems) == 1
        assert "the text of '1' was changed" in imported.problems[0]
