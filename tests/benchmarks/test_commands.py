"""Whole commands and the scripts they are compared with do the same work. No time is asserted.

claim                                                        oracle
each command ran, and so did its script                      what both wrote: steps, answers, runs
a row names clock and processor, and its goal                the file that it wrote
sides that do other work are not compared                    a script that answers otherwise
a package that is not there is said, others are measured     a script that imports it
"""

from __future__ import annotations

import json
import sys

import pytest

from tests.benchmarks import commands
from tests.benchmarks.commands import Cost, Place, row
from tests.benchmarks.common import NotTheSame


@pytest.mark.slow
def test_each_row_is_measured_and_written_or_says_what_is_missing(tmp_path):
    file = tmp_path / "table.json"
    names = ["train_100_bert-base", "compare", "next_1000", "predict", "distill"]
    assert commands.main(["--quick", "--json", str(file), *names]) == 0
    content = json.loads(file.read_text())
    assert content["quick"] is True
    rows = {row["name"]: row for row in content["rows"]}
    assert list(rows) == names
    for name, found in rows.items():
        if found["note"].startswith("not measured: No module named"):
            assert name == "next_1000"  # it wants baal
            continue
        assert found["goal"] == 2.0 and found["unit"] == "seconds"
        assert found["ratio"] == pytest.approx(found["theirs"] / found["ours"])
        assert found["note"].startswith("of the processor ")
    told = {name: found["note"].split("; ")[-1] for name, found in rows.items()}
    assert told["predict"] == "40 of 40 answers the same"
    assert told["compare"] == "2 runs each"
    assert told["train_100_bert-base"].startswith("accuracy ")


def place(tmp_path, **changes) -> Place:
    return Place(tmp_path, quick=True, **{"rounds": 1, **changes})


def costs(*walls: float):
    """A program that takes these seconds, one after the other."""
    left = [Cost(wall, wall / 2, {"n": wall}) for wall in walls]
    return lambda: left.pop(0)


def test_a_row_is_the_ratio_within_rounds(tmp_path):
    found = row(place(tmp_path, rounds=3), "x", "w", costs(1, 2, 4), costs(4, 2, 8))
    assert (found.ratio, found.low, found.high) == (2, 1, 4)
    assert (found.ours, found.theirs, found.met) == (2, 4, True)
    assert found.note == "of the processor 1 / 2, 2.00 [1.00, 4.00]"
    alone = row(place(tmp_path), "x", "w", costs(3), None)
    assert (alone.ratio, alone.goal, alone.met) == (3, None, None)


def test_sides_that_do_other_work_are_not_compared(tmp_path, monkeypatch):
    answers = iter([{"labels": ["a"] * 40}, {"labels": ["b"] * 40}])
    monkeypatch.setattr(commands, "ours", lambda *_, **__: Cost(1, 1, {"labels": ["a"] * 40}))
    monkeypatch.setattr(commands, "theirs", lambda *_: Cost(1, 1, next(answers)))
    told = commands.predict_row(place(tmp_path), "predict").note
    assert told.endswith("40 of 40 answers the same")
    with pytest.raises(NotTheSame, match="0 of 40 answers are the same"):
        commands.predict_row(place(tmp_path), "predict")


def test_a_package_that_is_not_there_is_said_and_other_errors_are_raised(tmp_path):
    def peer(code: str):
        return lambda: Cost(*commands.timed([sys.executable, "-c", code]), {})

    lacks = row(place(tmp_path), "x", "w", costs(1), peer("import no_such_package"))
    assert lacks.ratio is None and lacks.note == "not measured: No module named 'no_such_package'"
    with pytest.raises(RuntimeError, match="a reason"):
        row(place(tmp_path), "x", "w", costs(1), peer("raise SystemExit('a reason')"))


def test_the_pool_has_as_many_different_texts_as_it_says(tmp_path):
    lines = open(place(tmp_path).pool(100), encoding="utf-8").read().splitlines()  # noqa: PTH123, SIM115
    assert len(lines) == len(set(lines)) == 100


def test_an_unknown_row_is_named_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        commands.main(["trian"])
    assert "no row trian; there are train_100_mini" in capsys.readouterr().err
