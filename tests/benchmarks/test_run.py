"""The benchmarks run, compare what they time, and write what they promise. No time is asserted.

claim                                                        oracle
every row of issue 8's table has a script and a goal         the goals, written here again
a row has ratio within its spread, and bounds where asked    the file that run.py wrote
programs that differ are not timed                           a perturbed copy of the reference
a ratio is the median of its rounds                          by hand
the products of the bound are those of the model             counted by hand from its sizes
time is drawn along every axis                               growth.json of a curve of known slope
"""

from __future__ import annotations

import json
import math

import pytest
import torch

from minift.speed import precision
from minift.training.batches import make_batch
from minift.training.loop import everything
from tests.benchmarks import bf16, full, growth, run
from tests.benchmarks.common import NotTheSame, Result, costlier, faster, in_turn, same
from tests.benchmarks.world import World, check_step, products_of

GOALS = {
    "full": (2.2, "at least"),
    "full_plain": (None, "at least"),
    "bitfit": (2.5, "at least"),
    "frozen": (3.0, "at least"),
    "head": (15.0, "at least"),
    "inference": (2.0, "at least"),
    "mc_plain": (None, "at least"),
    "mc_all": (3.0, "at least"),
    "mc_all_both": (3.0, "at least"),
    "mc_last": (10.0, "at least"),
    "mc_head": (40.0, "at least"),
    "mc_head_kept": (None, "at least"),
    "full_bf16": (None, "at least"),
    "bitfit_bf16": (None, "at least"),
    "inference_bf16": (None, "at least"),
    "loading": (0.5, "at most"),
    "loading_fresh": (0.5, "at most"),
    "import": (0.3, "at most"),
    "compact": (10.0, "at least"),
    "compact_load": (0.5, "at most"),
    "memory_full": (0.7, "at most"),
    "memory_bitfit": (0.7, "at most"),
    "memory_frozen": (0.7, "at most"),
}
PROCESSES = {"loading_fresh", "import", "memory_full", "memory_bitfit", "memory_frozen"}
FRACTIONS = {"full": 0.55, "inference": 0.70}


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path, quick=True, rounds=1)


def written(names, tmp_path) -> dict[str, dict]:
    file = tmp_path / "table.json"
    assert run.main([*names, "--quick", "--json", str(file)]) == 0
    content = json.loads(file.read_text())
    assert content["quick"] is True and "torch" in content["machine"]
    return {row["name"]: row for row in content["rows"]}


def check(rows: dict[str, dict]) -> None:
    for name, row in rows.items():
        assert (row["goal"], row["goal_is"]) == GOALS[name]
        if row["note"].startswith("not measured: "):
            assert name.startswith(("mc_", "memory_")) and row["ratio"] is None
            continue
        assert row["low"] <= row["ratio"] <= row["high"]
        if name not in ("import", "compact_load"):  # their ratio is seconds
            assert row["ours"] > 0 and row["theirs"] > 0 and row["unit"]
        assert (row["fraction_of_bound"] is not None) == (name in FRACTIONS)
        assert row["fraction_goal"] == FRACTIONS.get(name)


def test_every_row_of_the_table_has_its_place():
    assert set(run.NAMES) == set(GOALS)


def test_every_row_in_one_process_is_compared_measured_and_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx512_bf16"}))
    names = [name for name in run.NAMES if name not in PROCESSES]
    rows = written(names, tmp_path)
    assert list(rows) == names
    check(rows)
    said = capsys.readouterr().out
    assert "these times mean nothing" in said
    assert all(name in said for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PROCESSES - {"memory_full", "memory_frozen"}))
def test_rows_that_need_processes_of_their_own_are_written(name, tmp_path):
    rows = written([name], tmp_path)
    assert list(rows) == [name]
    check(rows)


def test_bf16_is_not_measured_where_it_is_emulated(world, monkeypatch):
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2"}))
    found = list(bf16.rows(world))
    assert [row.name for row in found] == list(bf16.WORK)
    assert all(row.ratio is None and "emulated" in row.note for row in found)


def test_an_unknown_row_is_named_with_those_there_are(capsys):
    with pytest.raises(SystemExit):
        run.main(["ful"])
    assert "no row ful; there are full, full_plain, bitfit" in capsys.readouterr().err


def test_programs_that_differ_are_not_timed(world, monkeypatch):
    assert len(check_step(world)) == len(list(world.own().named_parameters()))
    honest = World.reference

    def perturbed(self):
        model = honest(self)
        with torch.no_grad():
            model.bert.encoder.layer[0].output.dense.weight.mul_(1.1)
        return model

    monkeypatch.setattr(World, "reference", perturbed)
    with pytest.raises(NotTheSame, match="logits: ours and theirs differ by"):
        next(iter(full.rows(world)))


@pytest.mark.parametrize(
    ("theirs", "words"),
    [([1.0, 2.1], "differ by 0.1"), ([1.0], "has shape"), ([1.0, math.nan], "differ by nan")],
)
def test_numbers_that_differ_are_refused(theirs, words):
    same("x", [1.0, 2.0], [1.0, 2.00001])
    with pytest.raises(NotTheSame, match=words):
        same("x", [1.0, 2.0], theirs)


def test_a_ratio_is_the_median_over_rounds_with_its_range():
    ours, theirs = [1.0, 2.0, 4.0], [4.0, 2.0, 8.0]  # 4, 1 and 2 times as fast
    found = faster(ours, theirs, 10, "texts")
    assert (found["ratio"], found["low"], found["high"]) == (2.0, 1.0, 4.0)
    assert (found["ours"], found["theirs"]) == (5.0, 2.5)
    found = costlier(ours, theirs, "MB")
    assert (found["ratio"], found["low"], found["high"]) == (0.5, 0.25, 1.0)


def test_programs_run_in_turn_after_a_warm_up_that_does_not_count():
    heard: list[str] = []

    def program(name):
        return lambda: (heard.append(name), float(len(heard)))[1]

    assert in_turn([program("a"), program("b")], 2) == [[3.0, 5.0], [4.0, 6.0]]
    assert heard == ["a", "b"] * 3


@pytest.mark.parametrize(
    ("goal_is", "ratio", "share", "met"),
    [
        ("at least", 2.3, 0.6, True),
        ("at least", 2.1, 0.6, False),
        ("at least", 2.3, 0.5, False),
        ("at most", 2.1, 0.6, True),
        ("at most", 2.3, 0.6, False),
    ],
)
def test_a_goal_is_met_only_with_its_share_of_the_bound(goal_is, ratio, share, met):
    row = Result("x", "w", 2.2, goal_is, ratio, ratio, ratio, fraction_of_bound=share)
    assert Result(**{**row.__dict__, "fraction_goal": 0.55}).met is met


def test_the_products_of_a_forward_pass_are_those_of_its_sizes(world):
    own, items = world.own(), world.items(5)
    c = own.config
    h, inner = c.hidden_size, c.intermediate_size
    lengths = [len(item.input_ids) for item in items]
    tokens, width = sum(lengths), max(lengths)
    first = 4 * tokens * h * h + 2 * tokens * h * inner + 2 * 5 * width * width * h
    # the last layer: keys and values of every token, the rest of [CLS] alone
    last = 2 * tokens * h * h + 5 * (2 * h * h + 2 * h * inner) + 2 * 5 * width * h
    head = 5 * (h * h + h * 2)
    batch = make_batch(items)
    own.train()  # attention by two products, both of which are counted
    assert products_of(own, [batch], None) == 2 * (first + last + head)
    forward_and_backward = products_of(own, [batch], everything)
    assert 2.9 < forward_and_backward / (2 * (first + last + head)) < 3.1


def test_slope_of_a_known_power_law():
    assert math.isclose(growth.slope([(n, 0.5 * n**1.5) for n in (1, 2, 4, 8)]), 1.5)


def test_growth_is_written_and_drawn(tmp_path, capsys):
    axes = ["batch size", "passes"]
    assert growth.main([*axes, "--quick", "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "growth.json").read_text())
    assert list(content["seconds"]) == axes
    for curves in content["seconds"].values():
        assert {"transformers"} < set(curves)
        assert all(taken > 0 for curve in curves.values() for _, taken in curve)
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    assert "slope" in capsys.readouterr().out


def test_the_axes_are_those_of_the_issue():
    assert list(growth.AXES) == ["sequence length", "batch size", "labels", "pool size", "passes"]
