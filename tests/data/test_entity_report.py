"""Entity scores and errors for a person.

claim                                                      oracle
both modes stand side by side, with their scheme           entity_scores; a case where they differ
the table shows the numbers of the report                  the numbers, read back from the text
each error stands in its sentence, words and characters    slicing the text; words by hand
the file holds each error as a line of JSON                error_list, read back
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import asdict

import pytest

from minift.data.entities import (
    entity_errors,
    entity_scores,
    error_list,
    side_by_side,
    side_by_side_text,
    write_errors,
)
from minift.data.examples import TaggedExample
from minift.errors import MiniftError

GOLD = TaggedExample(
    "s7", ("Ada", "Lovelace", "saw", "Oslo", "and", "Rome", "."),
    ("B-PER", "I-PER", "O", "B-LOC", "O", "B-LOC", "O"),
)  # fmt: skip
SAID = ["B-PER", "O", "O", "I-LOC", "B-PER", "O", "O"]  # a stray I-, a boundary, one lost, one new


def drawn(seed: int, count: int = 40):
    source = random.Random(seed)
    tags = ["O", "O", "O", "B-A", "I-A", "B-creative-work", "I-creative-work"]
    draw = [source.choices(tags, k=source.randint(1, 9)) for _ in range(2 * count)]
    gold = draw[:count]
    said = [source.choices(tags, k=len(sentence)) for sentence in gold]
    names = ["a", "bcd", "東京", "e f", "'"]
    return [
        TaggedExample(f"id{n}", tuple(source.choices(names, k=len(tags))), tuple(tags))
        for n, tags in enumerate(gold)
    ], said


@pytest.mark.parametrize("seed", range(5))
def test_the_report_is_that_of_each_mode_alone_and_is_ready_for_json(seed):
    examples, said = drawn(seed)
    gold = [example.tags for example in examples]
    report = side_by_side(gold, said)
    assert set(report) == {"scheme", "conlleval", "strict"}
    for mode in ("conlleval", "strict"):
        alone = asdict(entity_scores(gold, said, mode))
        assert report[mode] == alone
    assert report["scheme"] == "iob2"
    assert json.loads(json.dumps(report)) == report


def test_a_stray_i_tag_is_right_on_one_side_and_a_miss_on_the_other():
    report = side_by_side([GOLD.tags], [SAID])
    # conlleval: PER 0-1, LOC 3-4, PER 4-5 of three gold ones, one of them right
    assert report["conlleval"]["micro"]["f1"] == pytest.approx(2 * 1 / (3 + 3))
    assert report["strict"]["micro"]["f1"] == 0.0
    assert report["conlleval"]["per_type"]["LOC"]["correct"] == 1
    assert report["strict"]["per_type"]["LOC"]["correct"] == 0


def test_the_table_says_scheme_and_modes_and_has_the_reports_numbers_in_its_columns():
    examples, said = drawn(7)
    report = side_by_side([example.tags for example in examples], said)
    lines = side_by_side_text(report).splitlines()
    assert lines[0] == "entities, scheme iob2"
    assert lines[1].split() == ["conlleval", "strict"]
    assert lines[1].index("strict") > lines[2].rindex("precision") > lines[1].index("conlleval")
    rows = {re.split("  +", line)[0]: re.split("  +", line)[1:] for line in lines[3:]}
    assert list(rows) == ["A", "creative-work", "micro average", "macro average"]
    for name, cells in rows.items():
        for at, mode in ((0, "conlleval"), (5, "strict")):
            part = report[mode]
            score = part["per_type"].get(name) or part[name.split(" ")[0]]
            values = [f"{score[k]:.4f}" for k in ("precision", "recall", "f1")]
            counts = [str(score["support"]), str(score["predicted"])]
            assert cells[at : at + 5] == [*values, *counts]


def test_a_type_that_one_mode_does_not_see_has_zeros_there():
    text = side_by_side_text(side_by_side([["O"]], [["I-X"]]))
    (row,) = [line for line in text.splitlines() if line.startswith("X")]
    assert row.split()[1:] == [*["0.0000"] * 3, "0", "1", *["0.0000"] * 3, "0", "0"]


def test_each_error_is_told_with_its_sentence_its_words_and_its_characters():
    boundary, missed, spurious = sorted(error_list([GOLD], [SAID]), key=lambda e: e["kind"])
    text = "Ada Lovelace saw Oslo and Rome ."
    assert boundary == {
        "kind": "boundary", "sentence": "s7", "text": text,
        "gold": {"type": "PER", "text": "Ada Lovelace", "start_word": 0, "end_word": 2,
                 "start": 0, "end": 12},
        "predicted": {"type": "PER", "text": "Ada", "start_word": 0, "end_word": 1,
                      "start": 0, "end": 3},
    }  # fmt: skip
    assert (missed["kind"], missed["gold"]["text"], missed["predicted"]) == ("missed", "Rome", None)
    assert (spurious["kind"], spurious["predicted"]["text"]) == ("spurious", "and")


@pytest.mark.parametrize("seed", range(5))
def test_offsets_cut_each_entity_out_and_no_error_is_lost(seed):
    examples, said = drawn(seed)
    errors = list(error_list(examples, said))
    expected = entity_errors([example.tags for example in examples], said)
    assert [e["kind"] for e in errors] == [e.kind for e in expected]
    words = {example.id: example.words for example in examples}
    for error in errors:
        for side in ("gold", "predicted"):
            if entity := error[side]:
                assert error["text"][entity["start"] : entity["end"]] == entity["text"]
                inside = words[error["sentence"]][entity["start_word"] : entity["end_word"]]
                assert " ".join(inside) == entity["text"]


def test_the_file_holds_the_errors_as_json_lines(tmp_path):
    examples, said = drawn(3)
    write_errors(tmp_path / "errors.txt", examples, said)
    lines = (tmp_path / "errors.txt").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == list(error_list(examples, said))
    assert "東京" in "".join(lines)


def test_words_that_could_not_be_scored_are_listed_as_missed():
    cut_off = [*GOLD.tags[:3], *[None] * 4]
    assert [(e["kind"], e["gold"]["text"]) for e in error_list([GOLD], [cut_off])] == [
        ("missed", "Oslo"),
        ("missed", "Rome"),
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(MiniftError, match="cannot write to"):
        write_errors(tmp_path / "file" / "errors.txt", [GOLD], [SAID])
    assert (tmp_path / "file").read_text() == "kept"
