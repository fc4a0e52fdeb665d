"""Tag schemes, proven.

claim                                                    oracle
IOB1, IOB2 and BIOES give back any entities              a plain-loop writer here; hypothesis
two adjacent entities of a type survive IOB1             worked by hand; the naive rule fails here
IO merges adjacent entities, and only those              entities that do not touch come back
broken tags are kept as the CoNLL script counts them     seqeval, default mode
what a strict reader leaves out is named                 seqeval, strict mode
detection names the scheme a file was written in         the writer
bad tags are refused in words                            the message
"""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from minift.data.tags import (
    detect_scheme,
    entity_tags,
    labels_of,
    to_iob2,
    types_of,
    violations,
    word_places,
)
from minift.data.tags import spans_conlleval as spans
from minift.errors import MiniftError

TYPES = ["PER", "creative-work", "LOC"]


@st.composite
def sentences(draw, gap=0):
    """(entities, length): entities in order, at least `gap` words apart."""
    entities, position = [], draw(st.integers(0, 2))
    for _ in range(draw(st.integers(0, 6))):
        end = position + draw(st.integers(1, 4))
        entities.append((draw(st.sampled_from(TYPES)), position, end))
        position = end + gap + draw(st.integers(0, 2))
    return entities, position


def write(entities, length, scheme):
    """The specification: each scheme as its definition says, word by word."""
    tags = ["O"] * length
    for number, (type_, start, end) in enumerate(entities):
        for word in range(start, end):
            first, last = word == start, word == end - 1
            before = entities[number - 1] if number else (None, None, None)
            touches = before[0] == type_ and before[2] == start
            letter = {
                "iob2": "B" if first else "I",
                "iob1": "B" if first and touches else "I",
                "bioes": "S" if first and last else "B" if first else "E" if last else "I",
                "bilou": "U" if first and last else "B" if first else "L" if last else "I",
                "bmes": "S" if first and last else "B" if first else "E" if last else "M",
            }.get(scheme)
            tags[word] = f"{letter}-{type_}" if letter else type_
    return tags


@pytest.mark.parametrize("written", ["iob1", "iob2", "bioes", "bilou", "bmes"])
@given(sentence=sentences())
def test_every_lossless_scheme_gives_back_any_entities(written, sentence):
    entities, length = sentence
    scheme = written if written in ("iob1", "iob2") else "bioes"
    iob2 = to_iob2(write(entities, length, written), scheme)
    assert iob2 == write(entities, length, "iob2")
    assert spans(iob2) == entities
    assert violations(write(entities, length, written), scheme) == []


def test_two_adjacent_entities_of_one_type_survive_iob1():
    iob1 = ["I-PER", "I-PER", "B-PER", "I-LOC", "I-PER"]
    expected = ["B-PER", "I-PER", "B-PER", "B-LOC", "B-PER"]
    assert to_iob2(iob1, "iob1") == expected


def test_the_naive_rule_that_begins_only_after_o_would_merge_what_iob1_keeps_apart():
    iob1 = ["I-PER", "B-PER", "I-LOC"]
    naive = [
        "B-" + tag[2:] if before == "O" else "I-" + tag[2:]
        for before, tag in zip(["O", *iob1], iob1)
    ]
    assert len([tag for tag in naive if tag.startswith("B-")]) == 1
    assert spans(to_iob2(iob1, "iob1")) == [("PER", 0, 1), ("PER", 1, 2), ("LOC", 2, 3)]


@given(sentence=sentences(gap=1))
def test_io_gives_back_entities_that_do_not_touch(sentence):
    entities, length = sentence
    io = write(entities, length, "io")
    assert spans(to_iob2(io, "io")) == entities


def test_io_merges_two_adjacent_entities_of_one_type_but_not_of_two_types():
    assert write([("PER", 0, 1), ("PER", 1, 2)], 2, "io") == ["PER", "PER"]
    assert to_iob2(["PER", "PER", "LOC"], "io") == ["B-PER", "I-PER", "B-LOC"]


def test_io_reads_i_tags_too_and_takes_any_other_hyphen_as_part_of_the_type():
    assert to_iob2(["I-PER", "I-PER", "B-cell"], "io") == ["B-PER", "I-PER", "B-B-cell"]


@pytest.mark.parametrize("seed", range(20))
def test_broken_tags_are_kept_exactly_as_the_conll_script_counts_them(seed):
    draw = random.Random(seed)
    for _ in range(100):
        tags = draw.choices(["O", "B-X", "I-X", "B-Y-Z", "I-Y-Z"], k=draw.randint(1, 9))
        expected = [(t, start, end + 1) for t, start, end in get_entities(tags)]
        assert spans(to_iob2(tags, "iob2")) == expected
        starts = {word for word, _ in violations(tags, "iob2")}
        assert starts == {start for _, start, _ in expected if tags[start].startswith("I")}


@pytest.mark.parametrize(
    ("scheme", "oracle", "letters"), [("iob2", IOB2, "BI"), ("bioes", IOBES, "BIES")]
)
def test_violations_are_exactly_what_a_strict_reader_leaves_out(scheme, oracle, letters):
    draw = random.Random(0)
    known = ["O"] + [f"{letter}-{type_}" for letter in letters for type_ in "XY"]
    for _ in range(2000):
        tags = draw.choices(known, k=draw.randint(1, 7))
        strict = [(e.tag, e.start, e.end) for e in Entities([tags], oracle).entities[0]]
        broken = {word for word, _ in violations(tags, scheme)}
        assert [s for s in spans(to_iob2(tags, scheme)) if s.start not in broken] == strict


@pytest.mark.parametrize(
    ("tags", "scheme", "words"),
    [
        (["E-PER"], "iob2", '"E-PER" is not a tag of the scheme iob2; expected O or B-TYPE, I-T'),
        (["PER"], "iob2", '"PER" is not a tag of the scheme iob2'),
        (["B-"], "iob2", '"B-" is not a tag'),
        ([""], "io", '"" is not a tag of the scheme io; expected O or TYPE'),
        (["O"], "iob", 'unknown tag scheme "iob"; .*did you mean "iob2"'),
    ],
)
def test_a_tag_of_another_scheme_is_an_error_that_names_those_expected(tags, scheme, words):
    with pytest.raises(MiniftError, match=words):
        to_iob2(tags, scheme)


@pytest.mark.parametrize(
    ("tags", "scheme", "words"),
    [
        (["O", "I-PER"], "iob2", '"I-PER" of word 2 continues no PER entity'),
        (["B-PER", "I-LOC"], "iob2", '"I-LOC" of word 2 continues no LOC entity'),
        (["B-PER", "O"], "bioes", "the PER entity of word 1 is not closed by E- or S-"),
        (["E-PER"], "bioes", '"E-PER" of word 1 continues no PER entity'),
    ],
)
def test_where_tags_break_their_scheme_the_word_and_the_reason_are_named(tags, scheme, words):
    assert [fault for _, fault in violations(tags, scheme)] == [words]


def test_zero_is_read_as_o_and_bare_letters_as_one_type():
    assert to_iob2(["0", "B", "I", "O"], "iob2") == ["O", "B-entity", "I-entity", "O"]


@given(sentence=sentences())
def test_detection_finds_iob2_and_bioes_and_reads_iob1_without_loss(sentence):
    entities, length = sentence
    for written in ("iob1", "iob2", "bioes", "bilou", "bmes"):
        tags = write(entities, length, written)
        found = detect_scheme([tags])
        assert spans(to_iob2(tags, found)) == entities
        if entities:
            assert found == (written if written in ("iob1", "iob2") else "bioes")


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "0"], "iob2"),
        (["I-PER", "B-PER"], "iob1"),
        (["I-PER", "I-LOC", "O"], "iob1"),
        (["B", "I", "O"], "iob2"),
        (["PER", "O"], "io"),
        (["B-PER", "I-LOC", "I-LOC"], "iob2"),
    ],
)
def test_detection_by_hand(tags, scheme):
    assert detect_scheme([["O"], tags]) == scheme


def test_tags_with_and_without_letters_in_one_file_are_refused_with_examples_of_both():
    with pytest.raises(MiniftError, match=r"do not \(PER\): fix the file, or choose the scheme io"):
        detect_scheme([["B-LOC", "O"], ["PER"]])


def test_labels_are_made_of_types_and_types_of_labels_and_entities_are_written_with_both():
    labels = labels_of(["PER", "a-b"])
    assert labels == ("O", "B-PER", "I-PER", "B-a-b", "I-a-b")
    assert types_of(labels) == ["PER", "a-b"]
    assert entity_tags("a-b", 1) + entity_tags("PER", 3) == ["B-a-b", "B-PER", "I-PER", "I-PER"]


@given(words=st.lists(st.text(min_size=1), min_size=1))
def test_the_places_of_words_cut_them_out_of_the_words_joined_by_blanks(words):
    text = " ".join(words)
    assert [text[start:end] for start, end in word_places(words)] == words
