"""What is said of data, and what is not.

claim                                                          oracle
labels that differ in how they are written are named together  spellings of one class, by hand
labels that merely look alike are not                          spellings of several classes
conflicts are named with the lines where they stand            the lines of the file
what a split lacks is named, of many classes the first         the labels, by hand
data without a fault gets no note                              an empty list
a number and its word agree                                    the sentences, by hand
"""

from __future__ import annotations

import re

import pytest

from minift.data.examples import TaggedExample, TextExample
from minift.data.files.readers import read_dataset, read_examples
from minift.data.notes import alike_notes, class_notes, conflict_notes, cut_notes, missing_notes


@pytest.mark.parametrize(
    "names",
    [
        ("pos", "Pos", "pos "),
        ("TRUE", "True"),
        ("not  good", "not good"),
        ("STRASSE", "straße"),
        ("caf\u00e9", "cafe\u0301"),  # composed or not: they look the same
        ("new\u00a0york", "new york"),
        ("pos\u200b", "pos", "\ufeffpos", "p\u00ados"),  # they look the same, so escapes show them
        ("\u2764\ufe0f", "\u2764"),
    ],
)
def test_labels_that_differ_by_case_or_blanks_are_named_together(names):
    (note,) = alike_notes(["other", *names])
    assert note.startswith("classes ") and note.endswith(" differ by case or blanks only")
    shown = (c if c.isprintable() else ascii(c)[1:-1] for name in names for c in f'"{name}",')
    assert {*"".join(shown).split(",")} <= {*re.split(" and |, |classes | differ", note), ""}
    assert "other" not in note and note.isprintable()


@pytest.mark.parametrize("names", [("1", "1.0"), ("0", "0.0", "-0"), ("01", "1"), ("1.", "1.00")])
def test_labels_that_are_one_number_are_named_together(names):
    (note,) = alike_notes([*names, "7"])
    assert note.endswith(" are the same number") and all(f'"{name}"' in note for name in names)


def test_labels_that_are_several_are_not_named():
    assert alike_notes(["pos", "pos.", "neg", "1", "10", "1_0", "1e0", "inf", "infinity"]) == []
    ids = ["12345678901234567890", "12345678901234567891"]  # equal as floats
    assert alike_notes(ids) == []
    assert alike_notes(["B-cell", "T-cell"]) == []


def test_types_of_entities_and_classes_of_a_file_are_compared(tmp_path):
    (tmp_path / "t.conll").write_text("a B-PER\nb B-per\nc O\n")
    assert read_dataset(tmp_path / "t.conll").notes == (
        'classes "PER" and "per" differ by case or blanks only',
    )
    (tmp_path / "t.csv").write_text("text,label\na,pos\nb,Pos\nc,pos\nd,Pos\n")
    assert read_dataset(tmp_path / "t.csv").notes == (
        'classes "Pos" and "pos" differ by case or blanks only',
    )


def test_many_single_classes_are_one_note():
    train = [TextExample(str(n), f"text {n}", f"c{n % 8}") for n in range(9)]
    (note,) = class_notes(train)
    assert note == 'classes "c1", "c2", "c3", "c4" and 3 more have only one training example'
    (note,) = class_notes(train[:8])
    assert note == "every text has a label of its own: is that the column of the labels?"


def test_a_text_with_two_labels_is_named_with_its_lines(tmp_path):
    rows = [
        "good film,pos",
        "good film,neg",
        "dull,neg",
        "good  film ,pos",
        '"a\nb",pos',
        "fine,pos",
    ]
    (tmp_path / "t.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    notes = list[str]()
    read_examples(tmp_path / "t.csv", notes=notes)
    assert notes == ["t.csv: 1 text has two different labels (lines 2 and 3: pos, neg)"]
    (tmp_path / "t.conll").write_text("a B-X\nb O\n\na O\nb O\n")
    notes = []
    read_examples(tmp_path / "t.conll", notes=notes)
    assert notes == ["t.conll: 1 text has two different labels (lines 1 and 4)"]


def test_many_conflicts_are_counted_and_the_first_shown():
    texts = [TextExample("", f"text {n % 6}", label) for n in range(6) for label in ("x", "y")]
    (note,) = conflict_notes(texts, range(2, 99))
    assert note == (
        "6 texts have different labels (lines 2 and 3: x, y; lines 4 and 5: x, y; "
        "lines 6 and 7: x, y; lines 8 and 9: x, y; and 2 more)"
    )
    three = [TextExample("", "a", label) for label in (1.0, 2.5, None, 3.0, 1.0)]
    assert conflict_notes(three, range(5)) == [
        "1 text has different labels (lines 0, 1 and 3: 1.0, 2.5, 3.0)"
    ]
    other = [TextExample("", "a", "x", "b"), TextExample("", "a", "y", "c")]  # other pairs
    assert conflict_notes(other, range(2)) == []


def test_what_a_split_lacks_is_named():
    texts = [TextExample("", "a", "B-cell"), TextExample("", "b", "x")]
    assert missing_notes("dev", texts, ["B-cell", "x"]) == []
    assert missing_notes("dev", texts, ["B-cell", "x", "y"]) == ['dev has no example of class "y"']
    (note,) = missing_notes("dev", texts, ["x", *"abcdefg"])
    assert note == 'dev has no example of class "a", "b", "c", "d" and 3 more'
    sentences = [TaggedExample("", ("a", "b"), ("B-X", "I-X"))]
    labels = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    assert missing_notes("test", sentences, labels) == ['test has no example of class "Y"']
    assert missing_notes("dev", (), ["x"]) == []
    assert missing_notes("dev", [TextExample("", "a", 2.5)], ()) == []  # numbers are no classes
    assert missing_notes("dev", [*texts, TextExample("", "unlabelled")], ["q"]) == []


def test_texts_that_fit_are_not_told():
    assert cut_notes([False, False], 512) == cut_notes([], 512) == []
    assert cut_notes([True, False, True], 512) == [
        "texts longer than the encoder reads (512 pieces), which were cut: 2 of 3"
    ]


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (1, ["1 text has two", "1 duplicate text in train", "1 text of train occurs in dev"]),
        (
            2,
            [
                "2 texts have different",
                "2 duplicate texts in train",
                "2 texts of train occur in dev",
            ],
        ),
    ],
)
def test_a_number_and_its_word_agree(n, said, tmp_path):
    rows = [f"{text},{label}\n" for text in "ab"[:n] for label in ("x", "y")]
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(rows) + "c,x\nd,y\n")
    (tmp_path / "d.csv").write_text("text,label\n" + "".join(rows[::2]))
    notes = read_dataset(tmp_path / "t.csv", tmp_path / "d.csv").notes
    assert len(notes) == 3 and all(map(str.__contains__, notes, said))
