"""The cells that readers fill in.

claim                                                 oracle
every solution on a page is praised by its check      the code between the page's own folds, run
every stub is told kindly that nothing is written     the page's own cells
every mistake is met by its own sentence and place    the mistakes beside each page, run
no turn asks for what an assignment grades            the names of the functions of exercise.py
a check raises nothing and tells what came            functions that fail in every way, by hand
what passed is there on another page, and no other    files written and spoilt
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import torch

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
sys.path.append(str(TUTORIALS))  # the builder is a script beside its tutorials, not a package

import turns  # noqa: E402

from _build import cells, reading  # noqa: E402
from _grading.checks import Wrong  # noqa: E402
from _grading.diagnose import expect  # noqa: E402
from minift.errors import MiniftError  # noqa: E402

PAGES = {tutorial.name[:2]: tutorial for tutorial in cells.find(TUTORIALS, [])}
TURNS = [f"{number}.{name}" for number in PAGES for name in turns.of_page(number)]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Nothing that a person wrote is read, and nothing of theirs is written over."""
    monkeypatch.setenv("MINIFT_YOURS", str(tmp_path / "yours"))
    monkeypatch.setattr(turns, "_passed", {})


def said(name, function, capsys):
    """What the check says; one line."""
    capsys.readouterr()
    turns.check(name, function)
    text = capsys.readouterr().out
    assert text.startswith(f"{name}: ") and text.count("\n") == 1
    return text.strip().removeprefix(f"{name}: ")


def namespace(page, name):
    """What stands above a turn on its page: imports, constants, and the turns before it."""
    scope = {}
    for cell in PAGES[page].cells():
        named = [turn for turn, _ in reading.checked(cell)]
        if name in named:
            return scope
        for turn, function in reading.checked(cell):
            scope[function] = turns.find(turn).right
        if cell.kind == "code":
            for node in ast.parse(cell.source).body:
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    exec(compile(ast.Module([node], []), "imports", "exec"), scope)
    raise AssertionError(f"no cell checks {name}")


def function_of(name):
    """The name of the function that a page hands to the check."""
    page = PAGES[name[:2]].cells()
    return next(f for cell in page for turn, f in reading.checked(cell) if turn == name)


# ---------------------------------------------------------------- the pages' own


@pytest.mark.parametrize("name", TURNS)
def test_the_solution_on_the_page_is_praised(name, capsys):
    scope = namespace(name[:2], name)
    exec(reading.solutions(PAGES[name[:2]].cells())[name], scope)
    assert said(name, scope[function_of(name)], capsys).startswith("right. ")
    assert turns.find(name).praise


@pytest.mark.parametrize("name", TURNS)
def test_the_stub_on_the_page_is_told_that_nothing_is_written_yet(name, capsys):
    page = PAGES[name[:2]].cells()
    source = next(c.source for c in page if name in [turn for turn, _ in reading.checked(c)])
    function = next(
        n for n in ast.parse(source).body if getattr(n, "name", "") == function_of(name)
    )
    scope = namespace(name[:2], name)
    exec(ast.unparse(function), scope)
    assert "nothing is written yet" in said(name, scope[function_of(name)], capsys)


MISTAKES = [(name, sentence) for name in TURNS for sentence in turns.find(name).mistakes]


@pytest.mark.parametrize("name, sentence", MISTAKES)
def test_each_mistake_is_met_by_its_own_sentence_where_it_shows(name, sentence, capsys):
    told = said(name, turns.find(name).mistakes[sentence], capsys)
    assert told.startswith("not yet. ") and told.endswith(sentence)
    assert re.search(r"expected|raised|missing|too many", told)
    others = {other for turn, other in MISTAKES if turn == name} - {sentence}
    assert not [other for other in others if other in told]


def test_every_turn_knows_a_mistake():
    assert [name for name in TURNS if not turns.find(name).mistakes] == []


def test_no_turn_asks_for_a_function_that_the_assignment_of_its_page_grades():
    for name in TURNS:
        exercise = PAGES[name[:2]].folder / "exercise.py"
        if exercise.is_file():
            graded = re.findall(r"^def (\w+)", exercise.read_text(encoding="utf-8"), re.MULTILINE)
            assert function_of(name) not in graded, name


# ---------------------------------------------------------------- the check itself


def double(numbers):
    return [2 * number for number in numbers]


MADE_UP = turns.Turn(
    double,
    [([1],), ([2, 3],)],
    {"numbers are squared, not doubled": lambda numbers: [number**2 for number in numbers]},
    "Twice two is four.",
)


@pytest.fixture
def made_up(monkeypatch):
    """A page 99 with one turn."""
    monkeypatch.setattr(
        turns, "of_page", lambda number: {"double": MADE_UP} if number == "99" else {}
    )


def stub(numbers):
    """Return twice each number."""


def stub_that_raises(numbers):
    """Return twice each number."""
    raise NotImplementedError


def in_place(numbers):
    for place, number in enumerate(numbers):
        numbers[place] = 2 * number
    return numbers


def none(numbers):
    [2 * number for number in numbers]


def wrong_type(numbers):
    return "twice"


def breaks(numbers):
    return numbers["first"]


def exits(numbers):
    raise ValueError("no\nthanks")


def too_few(numbers):
    return [2 * number for number in numbers][:1]


def squared(numbers):
    return [number * number for number in numbers]


def no_arguments():
    return []


@pytest.mark.parametrize(
    "function, words",
    [
        (stub, r"nothing is written yet\. Replace the \.\.\."),
        (stub_that_raises, r"nothing is written yet"),
        (double, r"right\. Twice two is four\."),
        (in_place, r"right\. Twice two is four\."),
        (lambda numbers: tuple(2.0 * n for n in numbers), r"right\."),
        (none, r"none\(\[1\]\) gives None, expected a list of 1 \(is there a return\?\)\."),
        (wrong_type, r"wrong_type\(\[1\]\) is 'twice', expected a list of 1\."),
        (breaks, r"breaks\(\[1\]\) raised TypeError in line 2 of the cell: list indices must"),
        (exits, r"exits\(\[1\]\) raised ValueError in line \d+ of the cell: no thanks\."),
        (too_few, r"too_few\(\[2, 3\]\) has 1 entries, expected 2\."),
        (squared, r"squared\(\[1\]\)\[0\] is 1, expected 2: numbers are squared, not doubled"),
        (lambda numbers: [0], r"\[0\] is 0, expected 2\."),
        (no_arguments, r"raised TypeError: no_arguments\(\) takes 0 positional"),
        (lambda numbers: 3, r"\) is 3, expected a list of 1\."),
        (len, r"len\(\[1\]\) is 1, expected a list of 1\."),
    ],
)
def test_the_check_says_in_one_true_sentence_what_came_and_raises_nothing(
    made_up, function, words, capsys
):
    if function is breaks:
        words = words.replace("line 2", rf"line {breaks.__code__.co_firstlineno + 1}")
    assert re.search(words, said("99.double", function, capsys))


def test_a_loop_that_never_ends_is_stopped_and_told(made_up, monkeypatch, capsys):
    monkeypatch.setattr(turns, "SECONDS", 0.2)

    def endless(numbers):
        while True:
            pass

    assert "did not come back within 0 seconds; is there a loop" in said(
        "99.double", endless, capsys
    )


def test_a_property_is_judged_by_an_oracle_of_its_own(monkeypatch, capsys):
    def judge(function):
        expect(sum(function(3)), 1.0, what="the sum of `shares(3)`")

    turn = turns.Turn(lambda n: [1 / n] * n, judge=judge, praise="They add up.")
    monkeypatch.setattr(turns, "of_page", lambda number: {"shares": turn})
    assert said("99.shares", lambda n: [0.5, 0.5, 0.0], capsys) == "right. They add up."
    wrong = said("99.shares", lambda n: [0.5] * n, capsys)
    assert wrong == "not yet. the sum of `shares(3)` is 1.5, expected 1"


def test_long_arguments_are_told_by_their_shape_and_the_name_of_the_case(monkeypatch, capsys):
    case = {"a zero first": (torch.zeros(3, 4), torch.ones(2), [0.1 + 0.2])}
    turn = turns.Turn(lambda a, b, c: a.sum(), case)
    monkeypatch.setattr(turns, "of_page", lambda number: {"total": turn})

    def total(a, b, c):
        return a.sum() + 1

    assert "total(a tensor of shape (3, 4), [1, 1], [0.3]) (a zero first)" in said(
        "99.total", total, capsys
    )


def test_a_turn_that_does_not_exist_is_answered_with_the_nearest(made_up):
    with pytest.raises(MiniftError, match=r'no turn "99.duble"; did you mean "?99.double'):
        turns.check("99.duble", double)
    with pytest.raises(MiniftError, match=r'no turn "98.double"'):
        turns.check("98.double", double)


def test_a_judge_that_runs_too_long_is_stopped(monkeypatch, capsys):
    monkeypatch.setattr(turns, "SECONDS", 0.2)

    def judge(function):
        while True:
            function()

    monkeypatch.setattr(turns, "of_page", lambda number: {"x": turns.Turn(abs, judge=judge)})
    assert "had not come to an end" in said("99.x", lambda: 1, capsys)
    assert issubclass(Wrong, Exception)


# ---------------------------------------------------------------- what is kept


def test_what_passed_is_handed_out_here_and_on_another_page(made_up, capsys, monkeypatch):
    assert turns.yours("99.double") is double  # nothing passed yet: the solution
    turns.check("99.double", squared)
    assert turns.yours("99.double") is double
    turns.check("99.double", in_place)
    assert turns.yours("99.double") is in_place
    monkeypatch.setattr(turns, "_passed", {})  # another notebook
    again = turns.yours("99.double")
    assert again.__name__ == "in_place" and again is not in_place and again([4]) == [8]


@pytest.mark.parametrize(
    "spoilt", ["", "def in_place(", "def f(x):\n    return x\n", "import nothing"]
)
def test_a_kept_function_that_is_spoilt_gives_way_to_the_solution(made_up, spoilt, monkeypatch):
    turns.check("99.double", in_place)
    monkeypatch.setattr(turns, "_passed", {})
    (turns._folder() / "99.double.py").write_text(spoilt)
    assert turns.yours("99.double") is double


def test_a_page_is_built_without_what_somebody_once_wrote(made_up, monkeypatch, capsys):
    import os

    monkeypatch.setenv("MINIFT_YOURS", os.devnull)  # as _build/execute.py sets it
    assert said("99.double", in_place, capsys).startswith("right")
    monkeypatch.setattr(turns, "_passed", {})
    assert turns.yours("99.double") is double
