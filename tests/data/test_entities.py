"""Entity scores, proven.

claim                                                        oracle
a stray I- begins an entity, as the CoNLL script reads it    seqeval.get_entities, 10,000 sequences
strict mode keeps only what begins with B-                   seqeval.scheme.IOB2, 10,000 sequences
scores per type, micro and macro, in both modes              seqeval on 120 batches, 6,000 sentences
counts per type                                              conlleval's rules as a table, one pass
                                                             over tag pairs that never forms a span
each difference from seqeval and conlleval                   the two, side by side with ours
a boundary error is 1 false positive and 1 false negative    by hand
the errors listed are the errors counted                     predicted - correct, support - correct
entities of WNUT-17 and NCBI disease                         the counts of the data sheet
"""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_scores
from seqeval.scheme import IOB2, Tokens

from minift.data.entities import entity_errors, entity_scores
from minift.data.tags import Span, spans_conlleval, spans_strict
from minift.errors import MiniftError

TYPES = ["PER", "LOC", "creative-work", "creative", "O", "_"]
TAGS = ["O"] * 4 + [f"{prefix}-{type_}" for prefix in "BI" for type_ in TYPES]


def sentences(seed: int, count: int, longest: int = 10, tags: list[str] = TAGS) -> list[list[str]]:
    """Random tags, most of them no valid IOB2."""
    draw = random.Random(seed)
    return [draw.choices(tags, k=draw.randint(0, longest)) for _ in range(count)]


def corrupted(gold: list[list[str]], seed: int, rate: float, tags: list[str] = TAGS):
    draw = random.Random(seed)
    return [[draw.choice(tags) if draw.random() < rate else tag for tag in s] for s in gold]


def batches(tags: list[str] = TAGS):
    """(gold, predicted) of 1 to 100 sentences, from perfect to unrelated predictions."""
    for seed in range(120):
        gold = sentences(seed, count=[1, 3, 46, 150][seed % 4], tags=tags)
        yield (
            gold,
            corrupted(gold, seed + 1000, rate=[0.0, 0.1, 0.4, 1.0][seed // 4 % 4], tags=tags),
        )


# --- spans ---------------------------------------------------------------------------------


def test_spans_of_10000_random_sequences_are_those_of_seqeval_in_its_default_mode():
    for tags in sentences(0, 10_000):
        assert spans_conlleval(tags) == [
            (t, first, last + 1) for t, first, last in get_entities(tags)
        ]


def test_strict_spans_of_10000_random_sequences_are_those_of_seqeval_under_iob2():
    for tags in sentences(1, 10_000):
        expected = [
            (entity.tag, entity.start, entity.end) for entity in Tokens(tags, IOB2).entities
        ]
        assert spans_strict(tags) == expected


@pytest.mark.parametrize(
    ("tags", "conlleval", "strict"),
    [
        (["O", "I-A", "I-A"], [("A", 1, 3)], []),
        (["I-A", "I-B"], [("A", 0, 1), ("B", 1, 2)], []),
        (["B-A", "I-B", "I-B"], [("A", 0, 1), ("B", 1, 3)], [("A", 0, 1)]),
        (["B-A", "O", "I-A"], [("A", 0, 1), ("A", 2, 3)], [("A", 0, 1)]),
    ],
)
def test_a_stray_i_tag_begins_an_entity_for_conlleval_and_is_passed_over_in_strict_mode(
    tags, conlleval, strict
):
    assert spans_conlleval(tags) == conlleval
    assert spans_strict(tags) == strict


@pytest.mark.parametrize("spans", [spans_conlleval, spans_strict])
@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-A", "B-A", "I-A", "B-B"], [("A", 0, 1), ("A", 1, 3), ("B", 3, 4)]),  # adjacent
        (["B-GPE-city", "I-GPE-city", "B-GPE"], [("GPE-city", 0, 2), ("GPE", 2, 3)]),  # hyphens
        (["B-A", "I-A"], [("A", 0, 2)]),  # up to the last word
        (["O", "O"], []),
        ([], []),
    ],
)
def test_valid_iob2_reads_the_same_in_both_modes(spans, tags, expected):
    assert spans(tags) == expected


# --- scores --------------------------------------------------------------------------------


def as_rows(report) -> list[tuple]:
    return [(s.precision, s.recall, s.f1, s.support) for s in report.per_type.values()]


@pytest.mark.parametrize("mode", ["conlleval", "strict"])
def test_precision_recall_f1_and_support_equal_seqeval_per_type_micro_and_macro(mode):
    compared = 0
    for gold, predicted in batches():
        report = entity_scores(gold, predicted, mode=mode)
        if not report.per_type:
            continue  # seqeval's division by zero has a test of its own
        for average, ours in [
            (None, as_rows(report)),
            ("micro", [(report.micro.precision, report.micro.recall, report.micro.f1)]),
            ("macro", [(report.macro.precision, report.macro.recall, report.macro.f1)]),
        ]:
            arguments = {"average": average, "zero_division": 0}
            if mode == "strict":
                theirs = strict_scores(gold, predicted, scheme=IOB2, **arguments)
            else:
                theirs = precision_recall_fscore_support(gold, predicted, **arguments)
            expected = list(zip(*theirs)) if average is None else [theirs[:3]]
            assert len(ours) == len(expected)
            for our_row, their_row in zip(ours, expected):
                assert our_row == pytest.approx(their_row, abs=1e-12)
                compared += 1
    assert compared > 600  # 120 batches really had entities


def test_the_two_modes_differ_on_stray_i_tags_and_agree_on_valid_iob2():
    gold, predicted = [["B-A", "I-A", "O"]], [["I-A", "I-A", "O"]]
    assert entity_scores(gold, predicted, "conlleval").micro.f1 == 1
    assert entity_scores(gold, predicted, "strict").micro.f1 == 0
    beginnings = ["O", "O", "B-A", "B-B"]  # without I- every sequence is valid
    for gold, predicted in batches(tags=beginnings):
        lenient, strict = (entity_scores(gold, predicted, m) for m in ("conlleval", "strict"))
        assert lenient.per_type == strict.per_type


ENDS = {"BB", "BO", "IB", "IO", "EE", "EI", "EO"}  # letters of two neighbouring words
STARTS = {"BB", "IB", "OB", "OI", "EE", "EI", "OE"}


def conlleval_counts(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, list[int]]:
    """type -> [gold, predicted, correct], by the rules of conlleval (version 2004-01-26).

    It walks over pairs of tags and remembers only whether what is open on both sides has
    been the same entity so far.
    """

    def cut(tag: str) -> tuple[str, str]:
        letter, hyphen, type_ = tag.partition("-")
        return letter, type_ if hyphen else ""

    def moves(before: tuple[str, str], now: tuple[str, str]) -> tuple[bool, bool]:
        other_type = before[1] != now[1]
        ends = before[0] + now[0] in ENDS or (before[0] != "O" and other_type)
        starts = before[0] + now[0] in STARTS or (now[0] != "O" and other_type)
        return ends, starts

    counts: dict[str, list[int]] = {}
    before, same_so_far = (("O", ""), ("O", "")), False
    pairs = [p for g, s in zip(gold, predicted) for p in [*zip(g, s), ("O", "O")]]
    for now in [(cut(a), cut(b)) for a, b in pairs]:
        (end_a, start_a), (end_b, start_b) = (moves(x, y) for x, y in zip(before, now))
        if same_so_far and end_a and end_b:
            counts[before[0][1]][2] += 1
        same_so_far &= not end_a and not end_b
        for side, starts in enumerate((start_a, start_b)):
            if starts:
                counts.setdefault(now[side][1], [0, 0, 0])[side] += 1
        same_so_far |= start_a and start_b and now[0][1] == now[1][1]
        before = now
    return counts


def our_counts(gold, predicted) -> dict[str, list[int]]:
    report = entity_scores(gold, predicted)
    return {t: [s.support, s.predicted, s.correct] for t, s in report.per_type.items()}


def test_counts_per_type_equal_the_rules_of_the_conll_script():
    for gold, predicted in batches():
        assert our_counts(gold, predicted) == conlleval_counts(gold, predicted)


def test_a_boundary_error_counts_one_false_positive_and_one_false_negative():
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    predicted = [["B-PER", "O", "O", "B-LOC"]]
    micro = entity_scores(gold, predicted).micro
    assert (micro.correct, micro.predicted - micro.correct, micro.support - micro.correct) == (
        1,
        1,
        1,
    )
    assert (micro.precision, micro.recall, micro.f1) == (0.5, 0.5, 0.5)


def test_a_type_error_counts_against_both_types():
    report = entity_scores([["B-PER", "B-PER"]], [["B-PER", "B-LOC"]])
    assert report.per_type["PER"].recall == 0.5
    assert report.per_type["LOC"].precision == 0
    assert report.per_type["LOC"].support == 0
    assert report.macro.f1 == pytest.approx((2 / 3 + 0) / 2)


def test_the_same_words_in_another_sentence_are_no_match():
    micro = entity_scores([["B-A", "O"], ["O", "O"]], [["O", "O"], ["B-A", "O"]]).micro
    assert (micro.correct, micro.f1) == (0, 0)


@pytest.mark.filterwarnings("error")
def test_a_tagger_that_finds_nothing_scores_0_without_a_division_error():
    for gold in ([["B-A", "O"]], [["O", "O"]], [[]]):
        report = entity_scores(gold, [["O"] * len(gold[0])])
        for score in (report.micro, report.macro):
            assert (score.precision, score.recall, score.f1, score.predicted) == (0, 0, 0, 0)


def test_words_that_could_not_be_scored_count_as_missed_entities():
    gold = [["B-A", "O", "B-A", "I-A"]]
    cut_off = entity_scores(gold, [["B-A", "O", None, None]])
    assert cut_off == entity_scores(gold, [["B-A", "O", "O", "O"]])
    assert (cut_off.micro.precision, cut_off.micro.recall) == (1.0, 0.5)


# --- known differences ---------------------------------------------------------------------


def test_differs_no_entity_anywhere_scores_0_where_seqeval_returns_nan():
    with pytest.warns(RuntimeWarning):
        assert math.isnan(f1_score([["O"]], [["O"]], average="macro"))
    assert entity_scores([["O"]], [["O"]]).macro.f1 == 0


def test_differs_a_type_keeps_its_last_hyphen_which_seqeval_strips_in_strict_mode():
    assert [entity.tag for entity in Tokens(["B-x-"], IOB2).entities] == ["x"]
    assert spans_strict(["B-x-"]) == spans_conlleval(["B-x-"]) == [("x-", 0, 1)]


@pytest.mark.filterwarnings("ignore:.*seems not to be NE tag")
def test_differs_tags_without_a_prefix_are_refused_where_seqeval_reads_part_of_their_name():
    assert get_entities(["PERSON", "O", "ORG"]) == [("ERSON", 0, 0)]  # and ORG as outside
    with pytest.raises(MiniftError, match="'PERSON' is not an IOB2 tag"):
        spans_conlleval(["PERSON", "O", "ORG"])


def test_differs_s_tags_are_refused_because_seqeval_counts_two_entities_and_conlleval_one():
    tags = ["S-PER", "S-PER"]
    assert len(get_entities(tags)) == 2
    assert conlleval_counts([tags], [tags]) == {"PER": [1, 1, 1]}
    with pytest.raises(MiniftError, match=r"'S-PER' is not an IOB2 tag.*to_iob2"):
        entity_scores([tags], [tags])


def test_differs_support_counts_gold_entities_where_conlleval_prints_those_it_found():
    gold, predicted = [["B-A", "B-A", "O"]], [["B-A", "O", "O"]]
    in_gold, found, _ = conlleval_counts(gold, predicted)["A"]
    score = entity_scores(gold, predicted).per_type["A"]
    assert (score.support, score.predicted) == (in_gold, found) == (2, 1)


# --- errors one by one ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ("B-A I-A O", "B-A O O", [("boundary", ("A", 0, 2), ("A", 0, 1))]),
        ("B-A I-A O", "B-B I-B O", [("type", ("A", 0, 2), ("B", 0, 2))]),
        ("B-A I-A O", "B-B O O", [("boundary+type", ("A", 0, 2), ("B", 0, 1))]),
        ("B-A O O", "O O O", [("missed", ("A", 0, 1), None)]),
        ("O O O", "O B-A O", [("spurious", None, ("A", 1, 2))]),
        ("B-A I-A O", "B-A I-A O", []),
        ("B-A O O", "O B-A O", [("missed", ("A", 0, 1), None), ("spurious", None, ("A", 1, 2))]),
    ],
)
def test_each_kind_of_error_is_named(gold, predicted, expected):
    errors = entity_errors([gold.split()], [predicted.split()])
    assert [(error.kind, error.gold, error.predicted) for error in errors] == expected


def test_a_wrong_prediction_explains_one_gold_entity_of_its_own_type_first():
    gold = [["O"], ["B-A", "I-A", "I-A", "B-B", "I-B"]]
    one_long = [["O"], ["B-B", "I-B", "I-B", "I-B", "I-B"]]  # shares more words with A
    errors = entity_errors(gold, one_long)
    assert [(error.kind, error.sentence, error.gold) for error in errors] == [
        ("missed", 1, Span("A", 0, 3)),
        ("boundary", 1, Span("B", 3, 5)),
    ]


def test_of_two_halves_the_longer_one_is_the_boundary_error_and_the_other_is_spurious():
    errors = entity_errors([["B-A", "I-A", "I-A"]], [["B-A", "B-A", "I-A"]])
    assert [(error.kind, error.predicted) for error in errors] == [
        ("spurious", ("A", 0, 1)),
        ("boundary", ("A", 1, 3)),
    ]


def test_the_errors_listed_are_exactly_the_false_positives_and_negatives_counted():
    kinds = Counter()
    for gold, predicted in batches():
        micro = entity_scores(gold, predicted).micro
        errors = entity_errors(gold, predicted)
        assert (
            sum(error.predicted is not None for error in errors) == micro.predicted - micro.correct
        )
        assert sum(error.gold is not None for error in errors) == micro.support - micro.correct
        assert len(set(errors)) == len(errors)
        kinds.update(error.kind for error in errors)
    assert set(kinds) == {"boundary", "type", "boundary+type", "missed", "spurious"}


def test_every_listed_pair_overlaps_and_its_kind_says_what_differs():
    for gold, predicted in batches():
        for error in entity_errors(gold, predicted):
            if error.gold is None or error.predicted is None:
                continue
            words = [set(range(s.start, s.end)) for s in (error.gold, error.predicted)]
            assert words[0] & words[1]
            assert ("boundary" in error.kind) == (words[0] != words[1])
            assert ("type" in error.kind) == (error.gold.type != error.predicted.type)


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "predicted", "words"),
    [
        ([], [], "got 0 gold and 0 predicted sentences"),
        ([["O"]], [["O"], ["O"]], "got 1 gold and 2 predicted sentences"),
        ([["O"], ["O", "O"]], [["O"], ["O"]], "sentence 2: 2 gold but 1 predicted.*give None"),
        (["O", "O"], ["O", "O"], "sentence 1 is a string"),
        ([["O"], ["O", "B"]], [["O"], ["O", "O"]], "gold tags, sentence 2, word 2: 'B' is not"),
        ([["O"]], [["b-PER"]], "predicted tags, sentence 1, word 1: 'b-PER' is not"),
        ([["O"]], [[3]], "predicted tags, .*3 is not an IOB2 tag.*label numbers"),
        ([[None]], [["O"]], "gold tags, .*None is not an IOB2 tag"),
        ([["B-"]], [["O"]], "'B-' is not an IOB2 tag"),
        ([["0"]], [["O"]], "'0' is not an IOB2 tag"),
    ],
)
def test_bad_tags_are_refused_with_their_place(gold, predicted, words):
    for score in (entity_scores, entity_errors):
        with pytest.raises(MiniftError, match=words):
            score(gold, predicted)


def test_an_unknown_mode_is_refused():
    with pytest.raises(MiniftError, match=r'unknown mode "strickt".*did you mean "strict"'):
        entity_scores([["O"]], [["O"]], mode="strickt")


# --- real data -----------------------------------------------------------------------------

COUNTS = {
    "wnut17": {"train": 1975, "dev": 836, "test": 1079},
    "ncbi_disease": {"train": 5134, "dev": 787, "test": 960},
}


@pytest.mark.parametrize("name", COUNTS)
def test_real_entities_are_as_many_as_the_data_sheet_says_in_both_modes(real_data, name):
    for split, expected in COUNTS[name].items():
        (path,) = (real_data / name).glob(f"*{split}*")
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")]
        tags: list[list[str]] = [[]]
        for word, *rest in rows:
            if word.strip():
                tags[-1].append(rest[-1])
            else:
                tags.append([])
        for mode in ("conlleval", "strict"):
            micro = entity_scores(tags, tags, mode).micro
            assert (micro.support, micro.correct, micro.f1) == (expected, expected, 1.0)
