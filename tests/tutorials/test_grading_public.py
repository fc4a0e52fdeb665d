"""What students get computes no right answer, and answers that say nothing earn nothing.

claim                                                    oracle
the public checks pass both solutions                    the solutions, on the hand-out's own checks
the blank loses them all, a mistake its own              exercise.py; the mutants and their words
"write the test" and numbers are judged later            no program and no number is in the hand-out
no reference, no wrong program, no answer is in it       the functions of the hidden checks, by name
constants, nothing and nan earn 0 in every check         answers of the right form with one number
no odd answer is more than a lost check                  16 odd values for each function
a sentence names no function of a harness                each function of each harness
a rehearsal sees what a process shows                    both, on every mutant of one assignment
"""

from __future__ import annotations

import ast
import copy
import json
import math
import re
import sys
import types
from functools import cache
from pathlib import Path

import pytest
import torch

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
sys.path.append(str(TUTORIALS))

from _grading import bundle, checks, mutants, recorded, score  # noqa: E402
from _grading.process import Launcher  # noqa: E402
from _grading.rehearsal import Rehearsal  # noqa: E402
from _grading.student import Failure, _students_functions  # noqa: E402
from _grading.submission import functions  # noqa: E402

FOLDERS = checks.find(TUTORIALS)
load = cache(checks.load)
each_assignment = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@cache
def hand_out(folder: Path) -> checks.Assignment:
    """Return an assignment as students get it; made once."""
    import tempfile

    out = Path(tempfile.mkdtemp(prefix="minift-hand-out-"))
    (made,) = bundle.student(load(folder), out)
    return checks.load(made)


def judged(
    assignment: checks.Assignment, exercise: str, changed: dict | None = None
) -> tuple[dict[str, str], dict[str, float], list[str]]:
    """Return what was said of lost checks, the points of all, and the teacher's notes."""
    student = Rehearsal(exercise, assignment.harness, changed)
    said, given, notes = {}, {}, []
    for check in assignment.checks:
        result, note = score._result(check, assignment, student, checks.PUBLIC)
        given[check.name] = result.given
        if not result.passed and not result.later:
            said[check.name] = result.sentence
        notes += [note] if note else []
    return said, given, notes


def later(assignment: checks.Assignment) -> set[str]:
    return {c.name for c in assignment.checks if c.task == 5 or c.name == "check_your_test"}


@each_assignment
def test_public_checks_pass_solutions_and_find_each_mistake(folder):
    public = hand_out(folder)
    assert [c.name for c in public.checks] == [c.name for c in load(folder).checks]
    assert (public.points, public.hand_points) == (
        load(folder).points,
        load(folder).hand_points,
    )
    for name in ("solution.py", "solution_b.py"):
        said, given, notes = judged(public, (folder / "instructor" / name).read_text())
        assert (said, notes) == ({}, [])
        assert {check for check, points in given.items() if not points} == later(public)
    said, given, _ = judged(public, (folder / "exercise.py").read_text())
    assert set(said) == set(given)
    for mutant in mutants.mutants(folder):
        said, _, _ = judged(public, mutant.source(folder))
        if mutant.loses not in later(public):
            assert mutant.says in said[mutant.loses], mutant.name


@each_assignment
def test_nothing_in_the_hand_out_computes_a_right_answer(folder):
    made = hand_out(folder).folder
    hidden = ast.parse((folder / "check_exercise.py").read_text())
    there = (made / "check_exercise.py").read_text()
    for node in hidden.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        if found := re.search(rf"^def {node.name}\(", there, re.M):
            source = ast.unparse(
                next(n for n in ast.parse(there[found.start() :]).body)  # the function itself
            )
            for word in ("expect_names(", "grade_number(", "grade_test(", "mistakes={'"):
                assert word not in source, node.name
    content = json.loads((made / recorded.FILE).read_text())
    for check in later(load(folder)):
        assert set(content[check]) <= {"task", "points", "test", "answers"}, check
    texts = [p for p in made.rglob("*") if p.suffix in (".py", ".md", ".json")]
    everything = "".join(p.read_text() for p in texts if p.name != "README.md")
    for node in ast.parse((folder / "instructor" / "solution.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "ANSWERS":
            for value in ast.literal_eval(node.value).values():
                if len(str(value).replace(".", "").strip("0")) > 3:
                    assert not re.search(rf"(?<![\d.]){re.escape(str(value))}(?!\d)", everything)
    assert "CANDIDATE_SECONDS" in everything  # the framework is there, its programs are not
    wrong = [n.name for n in hidden.body if isinstance(n, ast.FunctionDef)]
    public = {n.name for n in ast.parse(there).body if isinstance(n, ast.FunctionDef)}
    known_open = {c.name for c in load(folder).checks if c.public == "open"}
    assert known_open <= public and len(public) < len(wrong) / 2


def test_a_recorded_answer_is_found_again_within_its_tolerance_and_no_further():
    draw = torch.Generator().manual_seed(0)
    for scale in (1e-3, 1.0, 1e4):
        value = {"a": [scale * torch.randn(50, generator=draw).double(), True, "x"], "b": None}
        kept = recorded.sealed(value, "n", 1e-6)
        digits = recorded.base64.b64decode(kept["digits"])

        def moved(by, value=value):
            found = copy.deepcopy(value)
            found["a"][0][7] += by * max(1.0, abs(float(found["a"][0][7])))
            return found

        for by, same in ((0, True), (1e-6, True), (-1e-6, True), (1e-5, False), (-1e-4, False)):
            assert (recorded.sealed(moved(by), "n", 1e-6, digits) == kept) == same, (scale, by)
        assert recorded.sealed(value, "m", 1e-6, digits) != kept
        assert recorded.sealed({**value, "b": 0.0}, "n", 1e-6, digits) is None
    assert recorded.sealed([True], "n", 1e-6) != recorded.sealed([1], "n", 1e-6)
    assert recorded.sealed((1, 2.0), "n", 1e-6) == recorded.sealed([1.0, 2], "n", 1e-6)
    refused = Failure("raised", "no", ("ValueError",))
    assert recorded.sealed(refused, "n", 1e-6) != recorded.sealed(
        Failure("raised", "no", ("TypeError",)), "n", 1e-6
    )


# --- answers that say nothing -----------------------------------------------------------------

NAN = math.nan
ODD = {
    "None": None,
    "0": 0,
    "1": 1,
    "0.5": 0.5,
    "nan": NAN,
    "inf": math.inf,
    "True": True,
    "text": "a",
    "an empty list": [],
    "an empty dict": {},
    "a mixture": [[1, [2.0]], {"a": NAN}],
    "a tensor without dimensions": torch.tensor(0.5),
    "a tensor of nan": torch.full((3,), NAN),
    "a tensor of three dimensions": torch.zeros(2, 3, 4),
    "a list of tensors without dimensions": [torch.tensor(1.0)] * 3,
    "a tuple": ("O", 0, 1),
}


def filled(value: object, number: float) -> object:
    """Return a value of the same form in which all numbers are one, and all texts empty."""
    if isinstance(value, torch.Tensor):
        kept = value.double() if number != number else value
        return torch.full_like(kept, bool(number) if kept.dtype == torch.bool else number)
    if isinstance(value, bool):
        return bool(number) if number == number else number
    if isinstance(value, (int, float)):
        return number
    if isinstance(value, str):
        return ""
    if isinstance(value, dict):
        return {key: filled(item, number) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(item, number) for item in value]
    return value


def constants(solution: str, number: float) -> dict:
    """Return functions whose answers have the right form, and nothing in them."""
    module = types.ModuleType("solution")
    exec(solution, module.__dict__)

    def constant(name):
        def function(*args):
            try:
                return filled(vars(module)[name](*copy.deepcopy(args)), number)
            except Exception:
                return None

        return function if not name.startswith("test_") else lambda candidate: None

    return {name: constant(name) for name in functions(solution) if not name.startswith("_")}


@each_assignment
def test_answers_that_say_nothing_earn_nothing_in_any_check(folder):
    blank = (folder / "exercise.py").read_text()
    solution = (folder / "instructor" / "solution.py").read_text()
    names = functions(blank)
    for number in (0, 1, -1, 0.5, NAN):
        answers = f"\nANSWERS = dict.fromkeys(ANSWERS, float('{number}'))\n"
        chosen = {n: f for n, f in constants(solution, number).items() if n in names}
        _, given, _ = judged(load(folder), blank + answers, chosen)
        assert not any(given.values()), (number, given)
    for value in ODD.values():
        _, given, _ = judged(load(folder), blank, dict.fromkeys(names, lambda *_, v=value: v))
        assert not any(given.values()), (value, given)
    first = dict.fromkeys(names, lambda *args: args[0])
    _, given, _ = judged(load(folder), blank, first)
    assert not any(given.values()), given


@pytest.mark.slow
@each_assignment
def test_an_odd_answer_costs_its_check_with_a_sentence_and_breaks_none(folder):
    solution = (folder / "instructor" / "solution.py").read_text()
    for name in functions((folder / "exercise.py").read_text()):
        for odd, value in ODD.items():
            said, given, notes = judged(load(folder), solution, {name: lambda *_, v=value: v})
            assert notes == [], (name, odd)
            assert set(given) == {check.name for check in load(folder).checks}
            assert said, (name, odd)
            for sentence in said.values():
                assert len(sentence) > 10 and "Error:" not in sentence.replace("raised", "")


@each_assignment
def test_a_sentence_names_what_the_student_wrote_and_nothing_of_ours(folder):
    harness = load(folder).harness or ""
    written = functions((folder / "exercise.py").read_text())
    shown = _students_functions(harness)
    assert {n for n in functions(harness) if not n.startswith("_")} - {"build", "classifier"} <= {
        *shown,
        "encoder",
    }
    assert set(shown.values()) <= set(written)


def test_a_rehearsal_sees_what_a_process_shows():
    folder = TUTORIALS / "08_active_learning"
    with Launcher() as launcher:
        for mutant in mutants.mutants(folder):
            report = score.grade(load(folder), mutant.source(folder), launcher)
            said = {r.check: r.sentence for r in report.results if not r.passed}
            assert judged(load(folder), mutant.source(folder))[0] == said
