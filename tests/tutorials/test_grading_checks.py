"""Draws, diagnoses, and tests of students that are graded.

claim                                               oracle
the salt decides the draws, and nothing else        two draws; another salt, another name
a mistake is named if only its formula fits         formulas by hand
two mistakes that coincide are not named            formulas that coincide on this evidence
otherwise: the first difference, in words           values by hand
a test gets points by the wrong versions it finds   a toy with three wrong versions
no point if a right version is failed               a test that fails everything
a candidate's code cannot be seen by the test       a test that looks for it
a number is right within its band, and never told   numbers within, beyond, and of known mistakes
no answer and no test holds the grader up           the clock
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "tutorials"))

from _grading import score
from _grading.checks import Check, Draw, Wrong, load
from _grading.diagnose import diagnose, difference, expect, expect_names
from _grading.measure_task import grade_number
from _grading.process import Launcher
from _grading.student import Limits, Student, with_numbers
from _grading.tests_task import grade_test


def numbers(salt: str, name: str) -> list:
    draw = Draw(salt, name)
    return [draw.integer(0, 10**9), draw.seed(), draw.normal(2).tolist(), draw.choice(range(999))]


def test_the_salt_and_the_name_decide_the_draws_and_nothing_else():
    assert numbers("a", "x") == numbers("a", "x")
    assert numbers("a", "x") != numbers("b", "x") != numbers("b", "y")


def test_a_mistake_is_named_if_its_formula_gives_the_answer():
    mistakes = {"it is the sum": 6.0, "it is the product": lambda: 24.0}
    assert diagnose(6.0, 2.0, mistakes) == "it is the sum"
    assert diagnose(24.0, 2.0, mistakes) == "it is the product"


def test_mistakes_that_coincide_on_the_evidence_are_not_named():
    mistakes = {"it is the sum": 4.0, "it is the product": 4.0}
    said = diagnose(4.0, 2.0, mistakes, "look at the mean", "mean([2, 2])")
    assert said == "look at the mean: mean([2, 2]) is 4, expected 2"


def test_a_right_answer_is_not_diagnosed_even_if_a_mistake_gives_it_too():
    expect(2.0, 2.0 + 1e-9, mistakes={"wrong": 2.0})
    with pytest.raises(Wrong, match=r"^it is 3, expected 2$"):
        expect(3.0, 2.0, what="it", mistakes={"wrong": 2.0})


@pytest.mark.parametrize(
    ("got", "right", "said"),
    [
        ([1, 2, 4], [1, 2, 3], "it[2] is 4, expected 3"),
        ([1, 2], [1, 2, 3], "it has 2 entries, expected 3"),
        (None, 1.5, "it is None, expected 1.5"),
        (True, 1, "it is True, expected 1"),
        ("a", "b", "it is 'a', expected 'b'"),
        ({"a": 1}, {"b": 1}, "keys of it: missing b; too many a"),
        ({"a": [1.0]}, {"a": [2.0]}, "it['a'][0] is 1, expected 2"),
        (torch.zeros(2, 3), torch.zeros(3, 2), "it has the shape (2, 3), expected (3, 2)"),
        (torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 2.0]]), "it[0][1] is 1, expected 2"),
        ([1.0], torch.ones(1), "it is a list of 1, expected a tensor of shape (1,)"),
        (float("nan"), 1.0, "it is nan, expected 1"),
        (float("inf"), 1.0, "it is inf, expected 1"),
        (torch.tensor([float("nan")]), torch.ones(1), "it[0] is nan, expected 1"),
    ],
)
def test_the_first_difference_is_said_in_words(got, right, said):
    assert difference(got, right) == said


@pytest.mark.parametrize(
    ("got", "right"),
    [
        ((1, 2.0), [1.0, 2]),
        (torch.tensor([1]), torch.tensor([1.0 + 1e-8])),
        (float("nan"), float("nan")),
        (torch.tensor([float("nan"), float("-inf")]),) * 2,
        ({"a": None, "b": True}, {"b": True, "a": None}),
    ],
)
def test_what_is_the_same_is_no_difference(got, right):
    assert difference(got, right) is None


def test_a_tensor_without_dimensions_is_a_number_where_one_is_expected():
    assert with_numbers([torch.tensor(1.5), {"a": (torch.tensor(2),)}]) == [1.5, {"a": (2,)}]
    assert with_numbers(torch.tensor(1.5)).dim() == 0
    assert difference(torch.tensor(1.5), 1.5) is None and difference([1.5], [1.5]) is None
    assert difference(torch.tensor(1.5), 2.5, where="it") == "it is 1.5, expected 2.5"


def test_names_that_are_missing_and_too_many_are_listed():
    with pytest.raises(Wrong, match=r"^it: missing a; too many c, d, e and 1 more$"):
        expect_names(["b", "c", "d", "e", "f"], ["a", "b"], what="it")
    with pytest.raises(Wrong, match=r"^no a$"):
        expect_names(["b"], ["a", "b"], mistakes={"no a": ["b"], "no b": ["a"]})
    with pytest.raises(Wrong, match="more than once there are b"):
        expect_names(["b", "a", "b"], ["a", "b"])
    with pytest.raises(Wrong, match="expected a list of str, got None"):
        expect_names(None, ["a"])
    expect_names(("b", "a"), ["a", "b"])


# --- tests of students: the mean of a list ---

RIGHT = [lambda v: sum(v) / len(v), lambda v: sum(x / len(v) for x in v)]
WRONG = {
    "adds up": sum,
    "takes the middle": lambda v: sorted(v)[len(v) // 2],
    "takes the first": lambda v: v[0],
}


@pytest.fixture(scope="module")
def launcher():
    with Launcher() as found:
        yield found


def graded(launcher, body: str, salt: str = "s") -> Wrong | None:
    source = f"def test_mean(candidate):\n    {body}\n"
    student = Student(launcher, source, limits=Limits(1, 40))
    try:
        grade_test(student, Draw(salt, "x"), "test_mean", RIGHT, WRONG)
    except Wrong as wrong:
        return wrong
    finally:
        student.close()
    return None


GOOD = "assert abs(candidate([1.0, 2.0, 6.0]) - 3.0) < 1e-9"


@pytest.mark.parametrize(
    ("body", "said", "share"),
    [
        ("pass", "finds 0 of 3 wrong versions; it passes one that adds up", 0),
        ("assert candidate([2.0, 2.0]) == 2.0", "finds 1 of 3 .* one that takes the middle", 1 / 3),
        ("assert False", "fails a version that is right: `test_mean` raised AssertionError", 0),
        ("raise NotImplementedError('task 3')", "not done yet: task 3", 0),
        ("while True: pass", "never ends", 0),
        ("import os; os._exit(1)", "ended its process", 0),
        ("[candidate([1.0]) for _ in range(20_000)]", "more than 10,000 times", 0),
        ("assert candidate(len) == 1", "fails a version that is right.*CodecError", 0),
    ],
)
def test_a_students_test_gets_points_by_the_wrong_versions_it_finds(launcher, body, said, share):
    wrong = graded(launcher, body)
    assert re.search(said, str(wrong)), wrong
    assert wrong.share == pytest.approx(share)


def test_a_good_test_gets_all_points_whatever_the_order(launcher):
    assert [graded(launcher, GOOD, salt) for salt in ("a", "b", "c")] == [None] * 3


def test_a_candidates_code_cannot_be_seen_by_the_test(launcher):
    look = (
        "import gc, inspect\n"
        "    texts = [str(o.co_consts) for f in gc.get_objects() if inspect.isfunction(f)\n"
        "             for o in [f.__code__] if o.co_name == '<lambda>']\n"
        "    code = candidate.__code__\n"
        "    assert 'sum' not in code.co_names and 'sorted' not in code.co_names\n"
        "    assert not any('lambda v' in t for t in texts)\n"
        f"    {GOOD}"
    )
    assert graded(launcher, look) is None


def named_apart(values):
    raise KeyError("only this one says so")


def test_a_test_cannot_tell_candidates_by_their_names(launcher):
    ask = (
        "said = []\n"
        "    for args in ((), (1, 2), ([1.0], 2)):\n"
        "        try: candidate(*args)\n"
        "        except TypeError as error: said.append(str(error))\n"
        "    assert said == [f'the candidate does not take {n} arguments' for n in (0, 2, 2)]\n"
        f"    {GOOD}"
    )
    assert graded(launcher, ask) is None
    student = Student(launcher, "def test_x(candidate):\n    candidate([1.0])\n")
    outcome = student.try_test("test_x", named_apart)
    student.close()
    assert outcome.types[0] == "KeyError" and "only this one" not in outcome.message


def test_a_test_cannot_compare_a_candidate_with_the_one_before(launcher):
    body = f"SEEN.append(1)\n    assert len(SEEN) == 1\n    {GOOD}\n\nSEEN = []"
    assert graded(launcher, body) is None


def test_a_submission_has_a_limit_of_time_for_all_its_questions(launcher):
    source = "import time\ndef f():\n    time.sleep(0.3)\n    return 1\n"
    student = Student(launcher, source, limits=Limits(1, 5, total=0.5))
    found = [student.attempt("f") for _ in range(4)]
    student.close()
    assert found[0] == 1 and "is asked no more" in found[-1].sentence


def test_a_test_that_keeps_the_candidate_busy_ends_with_its_time(launcher):
    source = "def test_x(candidate):\n    for _ in range(200): candidate()\n"
    student = Student(launcher, source, limits=Limits(1, 2))
    started = time.monotonic()
    outcome = student.try_test("test_x", lambda: time.sleep(0.2))
    student.close()
    assert outcome.kind == "time" and time.monotonic() - started < 20


def test_a_long_answer_does_not_keep_the_grader_busy(monkeypatch):
    names = [f"bert.layers.{n}.bias" for n in range(40)]
    started = time.monotonic()
    with pytest.raises(Wrong, match="more than once there are"):
        expect_names(names * 2000, names)
    assert time.monotonic() - started < 5
    monkeypatch.setattr(score, "CHECK_SECONDS", 0.2)
    assignment = load(Path(__file__).parents[2] / "tutorials" / "05_bitfit")

    def forever(*_):
        while True:
            pass

    check = Check(forever, task=1, points=2)
    result, note = score._result(check, assignment, SimpleNamespace(asked="`f`"), "public")
    assert result.given == 0 and "judging it took too long" in note


def test_an_error_of_a_candidate_reaches_the_test_as_an_error(launcher):
    wrong = graded(launcher, f"{GOOD}\n    candidate([])")
    assert "fails a version that is right: `test_mean` raised ZeroDivisionError" in str(wrong)


def told(launcher, answer: str, **options) -> str | None:
    student = Student(launcher, f"ANSWERS = {{'n': {answer}}}\n", limits=Limits(1, 5))
    mistakes = {"it is the sum": 300.0, "it is twice": 200.0, "it is double": 200.5, "far": (9, 2)}
    try:
        grade_number(student, "n", 100.0, mistakes, "count again", **options)
    except Wrong as wrong:
        return str(wrong)
    finally:
        student.close()
    return None


@pytest.mark.parametrize(
    ("answer", "options", "said"),
    [
        ("100", {}, None),
        ("100.001", {}, r"is not 100\.001: count again"),
        ("100.9", {"band": 1.0}, None),
        ("101.1", {"band": 1.0}, "count again"),
        ("102", {"share": 0.02}, None),
        ("102.1", {"share": 0.02}, "count again"),
        ("-100", {"share": 0.02}, "count again"),
        ("305", {"share": 0.02}, r'ANSWERS\["n"\]: it is the sum$'),
        ("200", {}, "it is twice$"),
        ("200.2", {"band": 1.0}, "count again"),  # two mistakes fit
        ("10.9", {}, "far$"),
        ("11.1", {}, "count again"),
        ("float('nan')", {"band": 1.0}, "is to be a number"),
        ("True", {"band": 200.0}, "is to be a number"),
        ("'100'", {}, "is to be a number"),
        ("None", {}, "still None"),
    ],
)
def test_a_number_is_right_within_its_band_and_its_mistake_is_named(
    launcher, answer, options, said
):
    got = told(launcher, answer, **options)
    assert got is None if said is None else re.search(said, got), got
    assert got is None or "100" not in got.replace("100.001", "").replace("-100", ""), "it is told"
