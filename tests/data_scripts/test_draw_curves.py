"""The picture and the table of simulations say what the simulations' own reports say.

claim                                                       oracle
a row has the difference that the report prints             the sentence of that simulation
a mean drawn is the mean of simulation.jsonl                 json and statistics
a simulation that is not finished is drawn, not tested      a journal cut short
what is no simulation, or no picture, is named              words of the error
without matplotlib the table is there                       a search that finds nothing
"""

from __future__ import annotations

import importlib.util
import json
import re
import statistics
import sys
from pathlib import Path

import pytest

from minift.active.curves import plot
from minift.active.loop import Learner
from minift.active.simulate import Plan, simulate
from minift.methods.recipes import recipe
from tests.tiny import checkpoint, reviews

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "draw_curves.py"
_spec = importlib.util.spec_from_file_location("draw_curves", SCRIPT)
script = sys.modules["draw_curves"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A simulation of two strategies and three seeds."""
    out = tmp_path_factory.mktemp("simulated")
    encoder = checkpoint(tmp_path_factory.mktemp("encoder"))
    plan = Plan(("random", "bald"), (0, 1, 2), 2, query=6, initial=4, passes=3, steps=2)
    simulate(Learner(reviews(), encoder, recipe("head")), plan, out)
    return out


def test_a_row_says_what_the_report_says(folder, capsys, tmp_path):
    assert script.main([str(folder), "--out", str(tmp_path / "new" / "curves.png")]) == 0
    printed = capsys.readouterr().out
    said = re.search(r"mean difference ([+-]\S+) points", (folder / "report.md").read_text())
    assert f"| bald {said[1]} (" in printed
    assert ", 3 seeds |" in printed
    assert "the head learns, dropout samples in the sites that had it in training" in printed
    image = pytest.importorskip("matplotlib.image")
    pixels = image.imread(tmp_path / "new" / "curves.png")[..., :3]
    colours = {tuple(round(255 * c) for c in row) for row in pixels.reshape(-1, 3).tolist()}
    for name in ("random", "bald"):
        code = script.COLOURS[name]
        assert tuple(int(code[at : at + 2], 16) for at in (1, 3, 5)) in colours, name


def test_without_matplotlib_there_is_the_table_and_a_sentence(
    folder, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert script.main([str(folder), "--out", str(tmp_path / "curves.png")]) == 1
    said = capsys.readouterr()
    assert "| bald " in said.out and "pip install matplotlib" in said.err
    assert not (tmp_path / "curves.png").exists()


def test_a_cnn_head_is_in_the_title(folder):
    found = script.read(folder)
    assert script.title(found).startswith("tiny-reviews: the head learns, ")
    found.setup["head"] = "cnn"
    assert script.title(found).startswith("tiny-reviews: the head learns under a CNN, ")


def test_a_mean_is_that_of_the_curves(folder):
    rows = [json.loads(line) for line in (folder / "simulation.jsonl").open()][1:]
    for line in plot(script.read(folder)).lines:
        for place, mean in line.points:
            scores = [
                100 * row["test"]
                for row in rows
                if row["strategy"] == line.name and row["labelled"] == place
            ]
            assert len(scores) == 3
            assert mean == pytest.approx(statistics.mean(scores))


def test_a_simulation_under_way_is_drawn_and_not_tested(folder, tmp_path, capsys):
    lines = (folder / "simulation.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "simulation.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:40])
    before = (tmp_path / "simulation.jsonl").read_bytes()
    assert script.main([str(tmp_path), "--out", str(tmp_path / "curves.png")]) == 0
    assert "seeds |" not in capsys.readouterr().out
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (tmp_path / "simulation.jsonl").read_bytes() == before


def test_only_a_png_is_drawn(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main([str(folder), "--out", str(tmp_path / "curves.xyz")])
    assert stop.value.code == 2 and "a picture is a .png" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("events,words", [(None, "no simulation.jsonl"), (1, "a round yet")])
def test_what_is_no_simulation_is_named(events, words, folder, tmp_path, capsys):
    if events:
        lines = (folder / "simulation.jsonl").read_bytes().splitlines(keepends=True)
        (tmp_path / "simulation.jsonl").write_bytes(b"".join(lines[:events]))
    assert script.main([str(folder), str(tmp_path), "--out", str(tmp_path / "x.png")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and str(tmp_path) in error and words in error
    assert not (tmp_path / "x.png").exists()
