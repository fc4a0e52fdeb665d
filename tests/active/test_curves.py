"""The report of a simulation says what its rounds show, and nothing more.

claim                                                        oracle
a curve's area is its mean height                            scipy's trapezoid; by hand
each strategy is tested once, paired by seed, on finished    scipy's paired t test on those areas
curves only; several are corrected (Holm)
labels saved are where the mean curves reach the same score  curves shifted by a known number
none are claimed where none can be seen                      the same curve twice; noise
the band is the t interval                                   scipy
cost, imbalance                                              sums by hand
every point and band is drawn where its value is             read back from the SVG
hostile names are shown and not run; names do not overlap    an HTML parser; distances
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import integrate, stats

from minift.active.curves import page, plot, sentences, short_text
from minift.active.study import (
    area,
    band,
    corrected,
    first_reach,
    labels_saved,
    study,
    whole_curves,
)
from minift.compare.page import Curves, Line, html, markdown, write_page
from tests.compare.test_report import Reader

SETUP = {
    "event": "setup", "data": "sst2", "metric": "accuracy", "test_examples": 1821,
    "encoder": "minilm", "method": "freeze:3", "head": "cnn", "query": 100,
}  # fmt: skip
COUNTS = tuple(range(10, 911, 100))


def curve(count):
    return 0.9 - 0.5 * (count / 10) ** -0.4


def made(advantages=None, seeds=5, noise=0.01, points=10, own_noise=0.004, **changes):
    """Rounds in which `advantages[strategy](labels)` is added to one curve; seeds shift it."""
    advantages = advantages or {"random": lambda n: 0, "bald": lambda n: 0.03 * (n > 10)}
    source = np.random.default_rng(0)
    rounds = []
    for seed in range(seeds):
        shift = source.normal(0, noise)
        for strategy, advantage in advantages.items():
            for number, count in enumerate(COUNTS[:points]):
                wiggle = source.normal(0, own_noise) if number else 0
                rounds.append(
                    {
                        "strategy": strategy, "seed": seed, "round": number, "labelled": count,
                        "test": float(curve(count) + shift + advantage(count) + wiggle),
                        "imbalance": number + 10 * (strategy == "bald"),
                        "train_seconds": 60.0, "score_seconds": 30.0 * (strategy == "bald"),
                        "query": [] if number == points - 1 else ["x"], **changes,
                    }
                )  # fmt: skip
    return rounds


def of(rounds, **setup):
    return study(rounds, {**SETUP, **setup})


def scores(rounds, strategy, seed):
    return [r["test"] for r in rounds if (r["strategy"], r["seed"]) == (strategy, seed)]


def test_the_area_is_the_mean_height_of_the_curve():
    assert area([0, 10], [0.4, 0.6]) == pytest.approx(0.5)
    assert area([10, 20, 40], [0.5, 0.6, 0.6]) == pytest.approx((5.5 + 12) / 30)  # by hand
    heights = [curve(n) for n in COUNTS]
    assert area(COUNTS, heights) == pytest.approx(integrate.trapezoid(heights, COUNTS) / 900)
    assert area([10], [0.7]) == 0.7


def test_each_strategy_has_one_test_the_paired_t_test_of_its_areas():
    advantages = {
        "entropy": lambda n: 0.001, "random": lambda n: 0, "bald": lambda n: 0.02 * (n > 10)
    }  # fmt: skip
    rounds = made(advantages)
    found = whole_curves(of(rounds))
    assert list(found) == ["entropy", "bald"]
    ps = []
    for strategy, difference in found.items():
        mine, theirs = (
            [integrate.trapezoid(scores(rounds, name, s), COUNTS) / 900 for s in range(5)]
            for name in (strategy, "random")
        )
        expected = stats.ttest_rel(mine, theirs)
        assert difference.mean == pytest.approx(np.mean(mine) - np.mean(theirs))
        assert difference.p == pytest.approx(expected.pvalue)
        ps.append(expected.pvalue)
    small, large = sorted(ps)
    adjusted = corrected(found)
    assert sorted(adjusted.values()) == pytest.approx([min(1, 2 * small), max(2 * small, large)])


def test_only_seeds_that_both_have_finished_enter_the_whole_curve():
    rounds = [
        r for r in made() if not (r["seed"] == 4 and r["strategy"] == "bald" and r["round"] > 3)
    ]
    found = of(rounds)
    assert found.common("bald") == [0, 1, 2, 3]
    assert len(whole_curves(found)["bald"].differences) == 4
    text = "\n".join(Reader(html(page(found))).texts)
    assert "Curves that are not finished yet: 1 of 10" in text
    assert re.search(r"\d\d\.\d ± \d\.\d \(4\)", text)


# --- labels saved ----------------------------------------------------------------------------


def test_a_curve_that_is_200_labels_ahead_saves_200_labels():
    rounds = made({"random": lambda n: 0, "bald": lambda n: curve(n + 200) - curve(n)}, own_noise=0)
    at_end = labels_saved(of(rounds), "bald")
    straight = 6  # of lines between points 100 apart
    assert at_end.labels == pytest.approx(200, abs=straight) and at_end.seen
    assert at_end.random_needs == 910 and at_end.level == pytest.approx(
        np.mean([scores(rounds, "random", s)[-1] for s in range(5)])
    )
    rounds = made(
        {"random": lambda n: 0, "bald": lambda n: curve(n + 200) - curve(n)}, own_noise=1e-4
    )
    assert re.search("bald at equal accuracy: about (19|20)[0-9] ", sentences(of(rounds))[1])


def test_a_curve_that_is_behind_costs_labels_and_the_sentence_says_so():
    rounds = made(
        {"random": lambda n: curve(n + 200) - curve(n), "bald": lambda n: 0}, own_noise=1e-4
    )
    assert labels_saved(of(rounds), "bald").labels == pytest.approx(-200, abs=12)
    text = "\n".join(sentences(of(rounds)))
    assert "bald is worse than random" in text
    assert re.search("none, it needs about (19|20)[0-9] more", text)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_where_no_difference_can_be_seen_none_is_claimed(noise):
    rounds = made({"random": lambda n: 0, "bald": lambda n: 0}, own_noise=noise)
    whole, saved = sentences(of(rounds))
    assert "no difference between bald and random can be seen" in whole or (
        noise == 0 and "scored the same with each of 5 seeds" in whole
    )
    assert "labels saved by bald at equal accuracy: none that can be seen" in saved


@pytest.mark.parametrize("behind,seen", [(-0.045, False), (-0.08, True)])
def test_a_saving_is_not_claimed_where_the_whole_curves_do_not_agree(behind, seen):
    def crossing(n):  # behind at first, ahead at the end
        return behind if 10 < n < 500 else 0.04 if n > 10 else 0

    found = of(made({"random": lambda n: 0, "bald": crossing}))
    saved = labels_saved(found, "bald")
    assert saved.seen and saved.labels > 0
    difference = whole_curves(found)["bald"]
    assert difference.seen is seen and difference.mean < 0.002
    assert "none that can be seen" in sentences(found)[1]


def test_a_difference_that_holm_takes_away_is_not_to_be_relied_on():
    random = [r for r in made(own_noise=0) if r["strategy"] == "random"]

    def shifted(name, shifts):
        return [{**r, "strategy": name, "test": r["test"] + shifts[r["seed"]]} for r in random]

    shifts = (0.01, 0.02, 0.03, 0.004, 0.012)
    one = random + shifted("s0", shifts)
    p = stats.ttest_1samp(shifts, 0).pvalue
    assert whole_curves(of(one))["s0"].p == pytest.approx(p) and 0.01 < p < 0.05
    assert "s0 is better" in sentences(of(one))[0] and "Holm" not in sentences(of(one))[0]
    rounds = list(one)
    for k in range(1, 5):
        rounds += shifted(f"s{k}", [0.01 * ((seed + k) % 3 - 1) for seed in range(5)])
    text = next(t for t in sentences(of(rounds)) if "s0 is better" in t)
    assert "5 strategies were tested" in text and "no difference that can be relied on" in text


def test_too_few_seeds_say_nothing():
    whole, saved = sentences(of(made(seeds=2)))
    assert "nothing can be said about bald against random from 2 seeds" in whole
    assert "none that can be seen" in saved and "it needs 3 seeds" in saved


def test_without_random_there_is_nothing_to_compare():
    rounds = [r for r in made() if r["strategy"] == "bald"]
    assert sentences(of(rounds)) == [
        "there is nothing to compare: random and another strategy are needed"
    ]
    assert "<svg" in html(page(of(rounds)))


def test_first_reach_is_on_the_lines_between_the_points():
    counts = np.array([10.0, 110, 210])
    curves = np.array([[0.5, 0.6, 0.8], [0.5, 0.6, 0.8], [0.5, 0.7, 0.6], [0.5, 0.4, 0.3]])
    found = first_reach(counts, curves, np.array([0.7, 0.4, 0.6, 0.9]))
    assert found == pytest.approx([160, 10, 60, math.inf])


# --- band, cost, classes -----------------------------------------------------------------------


def test_the_band_is_the_t_interval():
    values = [0.5, 0.6, 0.65, 0.7]
    expected = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert band(values) == pytest.approx(expected)
    assert band(values[:2]) is None
    assert band([0.5] * 3) == (0.5, 0.5)


def test_cost_and_imbalance_are_those_of_the_rounds():
    text = markdown(page(of(made())))
    assert "| bald | 10.0 | 5.0 | 5 |" in text
    assert "| random | 10.0 | 0.0 | 5 |" in text
    assert "| 310 | 3.0 | 13.0 |" in text


def test_the_terminal_gets_the_table_and_the_sentences():
    text = short_text(made(), SETUP)
    assert text.splitlines()[0] == "accuracy in points, mean ± sd over the seeds"
    assert text.splitlines()[1].split() == ["labels", "random", "bald"]
    assert "over the whole curve bald is better than random by" in text
    assert short_text([], SETUP) == "no round is finished yet"


def test_write_leaves_two_files_that_hold_the_same_sentences(tmp_path):
    write_page(tmp_path, page(of(made())))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.md"]
    page_text, text = ((tmp_path / n).read_text("utf-8") for n in ("report.html", "report.md"))
    for sentence in sentences(of(made())):
        assert sentence[1:] in text and sentence[1:] in page_text


# --- the drawing -------------------------------------------------------------------------------


def test_every_point_and_band_is_where_its_value_is_on_the_axes():
    found = of(made())
    drawing = re.search(r"<svg.*?</svg>", html(page(found)))[0]
    up = re.findall(r'text-anchor="end" x="32" y="([\d.]+)">([-\d.]+)<', drawing)
    across = re.findall(r'text-anchor="middle" x="([\d.]+)" y="\d+">([\d.]+)<', drawing)

    def scale(pairs, offset=0.0):
        (p0, v0), (p1, v1) = ((float(p) - offset, float(v)) for p, v in (pairs[0], pairs[-1]))
        return lambda p: v0 + (float(p) - p0) / (p1 - p0) * (v1 - v0)

    x, y = scale(across), scale(up, 4)
    paths = re.findall(r'class="line"[^>]* d="M([^"]+)"', drawing)
    areas = re.findall(r'class="band"[^>]* d="M([^"]+)Z"', drawing)
    assert len(paths) == len(areas) == 2
    for line, path, surface in zip(plot(found).lines, paths, areas):
        points = [tuple(map(float, p.split())) for p in path.split("L")]
        assert [x(a) for a, _ in points] == pytest.approx([a for a, _ in line.points], abs=1)
        assert [y(b) for _, b in points] == pytest.approx([b for _, b in line.points], abs=0.03)
        edge = [y(p.split()[1]) for p in surface.split("L")]
        expected = [high for _, high in line.band] + [low for low, _ in line.band][::-1]
        assert edge == pytest.approx(expected, abs=0.03)
        for number, (_, mean) in enumerate(line.points):
            at = list(of(made()).column(line.name, number).values())
            assert mean == pytest.approx(100 * np.mean(at))


def drawn(names, ends):
    lines = [Line(n, ((0.0, 50.0), (10.0, e)), (), n == "random") for n, e in zip(names, ends)]
    return html([Curves("c", tuple(lines), "labels")])


def test_names_at_the_ends_of_lines_are_apart_in_the_order_of_the_lines():
    names = ["random", *(f"s{i}" for i in range(7))]
    text = drawn(names, [60.0, 60.1, 60.2, 60.1, 60.0, 80.0, 59.0, 60.3])
    found = {n: float(y) for y, n in re.findall(r'class="name"[^>]* y="([\d.]+)">(\w+)<', text)}
    places = sorted(found.values())
    assert min(np.diff(places)) >= 17.9 and places[0] > 0 and places[-1] < 340
    assert found["s4"] < found["s6"] < found["random"] < found["s5"]


def test_curves_differ_in_colour_and_dashes_and_stand_alone():
    names = ["random", *(f"s{i}" for i in range(12))]
    text = drawn(names, range(50, 63))
    looks = re.findall(r'class="line" style="color: ([^"]+)" stroke-dasharray="([^"]+)"', text)
    assert len(set(looks)) == len(looks) == 13
    first = looks[1:6]
    assert len({c for c, _ in first}) == len({d for _, d in first}) == 5  # colour is not needed
    assert not re.search(r"https?:|url\(|@import|src=|href=|<script", text)


def test_hostile_names_are_shown_and_not_run():
    evil = '<script>alert(1)</script>"&'
    rounds = made({"random": lambda n: 0, evil: lambda n: 0})
    reader = Reader(html(page(of(rounds, data=evil, metric=evil, encoder=evil))))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert any(evil in text for text in reader.texts)


@pytest.mark.parametrize("points", [1, 2])
def test_a_single_round_can_be_shown(points):
    text = html(page(of(made(points=points))))
    assert "<svg" in text and "nan" not in text.lower().replace("nance", "")
