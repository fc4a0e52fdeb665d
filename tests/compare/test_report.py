"""The report of a comparison, proven on made-up runs.

claim                                                    oracle
results.csv: the promised columns, a row a run           csv.DictReader
means, spreads, failures and differences are right       numpy on the same scores
pairs are formed by seed, with common seeds only         differences by hand
every dot is where its score is                          the SVG's own axis, read back
the HTML file stands alone and is well formed            html.parser; a list of what it may not hold
hostile texts are shown, not run                         the same texts, read back from the page
what is missing, uncertain or failed is said             words of the page
of folds: intervals, and a choice that is not flattered  by hand; 20 guessers, 300 simulated files
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minift.compare.page import Table, html, markdown, text_table
from minift.compare.report import (
    Comparison,
    Run,
    chosen,
    comparisons,
    csv_text,
    page,
    results_table,
    short_text,
    write,
)
from minift.compare.statistics import paired_difference
from minift.data.intervals import of_folds, wilson
from minift.plots import Plot, Strip, reliability, ticks

SCORES = {
    "full": [0.80, 0.82, 0.79, 0.81, 0.805],
    "bitfit": [0.83, 0.84, 0.815, 0.835, 0.84],
    "child-f:0.3": [0.805, 0.815, 0.80, 0.80, 0.81],
    "full-sqrt:0.3": [0.80, 0.82, 0.795, 0.805, 0.80],
}


def run(method: str, seed: int, test: float, labels: int = 300, **changes) -> Run:
    values = {
        "method": method, "seed": seed, "labels": labels, "dev": test - 0.01, "test": test,
        "trainable_parameters": 22_713_986, "seconds": 12.5, "failed": False,
        "epochs": 8, "learning_rate": 1e-4, "stopped": "epoch 8 of 8 done",
        "selection_examples": 0, "constant": 0.501, "threads": 2, "machine": "a laptop",
    }  # fmt: skip
    return Run(**{**values, **changes})


def made(runs: list[Run] | None = None, **changes) -> Comparison:
    if runs is None:
        runs = [run(m, s, test) for m, scores in SCORES.items() for s, test in enumerate(scores)]
    methods = tuple(dict.fromkeys(r.method for r in runs))
    values = {
        "data": "sst2", "metric": "accuracy", "encoder": "minilm",
        "reporting": "the test split (1,821 examples)",
        "selection": "the development split (872 examples)",
        "examples": 1821, "methods": methods, "notes": ("9 duplicate texts in train",),
        "command": "minift compare --data sst2",
        "settings": {m: {"chooses by": "0", "learning rate": "0.0001"} for m in methods},
        "controls": (("child-f:0.3", "full-sqrt:0.3"),), "runs": tuple(runs),
        "planned": len(runs),
    }  # fmt: skip
    return Comparison(**{**values, **changes})


def test_the_report_speaks_of_choices_only_if_a_run_chose_something():
    assert "Nothing was chosen by looking at scores" in text_of(made())
    chose = [run("full", s, 0.8, selection_examples=872 * (s == 1)) for s in range(3)]
    said = text_of(made(chose))
    assert "Choices are made by the development split (872 examples)" in said
    assert "Nothing was chosen" not in said


def test_a_difference_that_many_comparisons_explain_is_said_to_be_one():
    scores = {"full": [0.804, 0.817, 0.806], "child-f:0.3": [0.806, 0.8185, 0.807]}
    few = [run(m, s, test) for m, values in scores.items() for s, test in enumerate(values)]
    alone = text_of(made(few))
    others = {f"freeze:{k}": [0.81, 0.79, 0.82] for k in range(1, 6)}
    more = [run(m, s, test) for m, values in others.items() for s, test in enumerate(values)]
    among = text_of(made([*few, *more]))
    claim = r"child-f:0.3 is better than full by 0.2 points \(95% CI [\d. to]+, 3 seeds\)"
    assert re.search(claim + "$", alone, re.M)
    assert re.search(claim + "; with as many comparisons .* chance alone does that", among)


def test_of_folds_the_choice_is_scored_on_the_fold_that_did_not_choose():
    scores = {"full": [0.9, 0.5, 0.5, 0.6], "head": [0.6, 0.8, 0.6, 0.6]}  # two repeats of two
    runs = [run(m, s, test) for m, of in scores.items() for s, test in enumerate(of)]
    said = chosen(made(runs, folds=2, metric="entity_f1", examples=600), 300)
    # head is best by fold 1, full by 0; head by 2; by fold 3 both are, and full comes first
    assert said.startswith("take head: it has the highest mean, 65.0. As the best of 2")
    honest = [0.6, 0.5, 0.5, 0.6]
    low, high = (100 * end for end in of_folds(honest, 1.0))
    assert said.endswith(f"the best has 55.0 (95% CI {low:.1f} to {high:.1f})")
    assert chosen(made(runs), 300) is None  # seeds: another sentence speaks of them
    for examples, ratio in ((600, 1.0), (1500, 2.5)):  # 750 of a fold by the 300 learned from
        about = made(runs, folds=2, metric="entity_f1", examples=examples)
        rows = results_table(about, 300)
        low, high = (100 * end for end in of_folds(scores["head"], ratio))
        assert dict(zip(rows.header, rows.rows[1]))["95% CI"] == f"{low:.1f} to {high:.1f}"
        (found,) = (a for a in comparisons(about) if a.other == "full")
        pair = paired_difference(scores["head"], scores["full"], overlap=ratio)
        assert found.difference == pair
    alone = results_table(made(runs[:1], folds=2, examples=40), 300)  # one fold of two: 20 texts
    low, high = (100 * end for end in wilson(18, 20))
    assert dict(zip(alone.header, alone.rows[0]))["95% CI"] == f"{low:.1f} to {high:.1f}"
    assert "no difference between head and full can be seen with these folds" in text_of(
        made(runs, folds=2)
    )


def test_the_best_of_guessers_is_flattered_and_the_reported_choice_is_not():
    draw, best, honest = np.random.default_rng(0), [], []
    for _ in range(300):
        guesses = draw.binomial(24, 0.5, size=(20, 5)) / 24
        runs = [run(f"m{m}", s, t) for m, of in enumerate(guesses) for s, t in enumerate(of)]
        said = chosen(made(runs, folds=5, methods=tuple(f"m{m}" for m in range(20))), 300)
        top, own = re.search(r"mean, ([\d.]+)\. .* the best has ([\d.]+)", said).groups()
        best.append(float(top))
        honest.append(float(own))
    assert np.mean(best) > 56
    assert np.mean(honest) == pytest.approx(50, abs=1)


def test_a_report_on_folds_speaks_of_folds():
    scores = {"full": [0.9, 0.5, 0.5, 0.6, 0.7], "head": [0.6, 0.8, 0.6, 0.6, 0.65]}
    runs = [run(m, s, test) for m, of in scores.items() for s, test in enumerate(of)]
    several = text_of(made(runs, folds=5, examples=375))
    assert "Fold s gives every method" in several and "mean over the folds" in several
    assert "allows for what the folds have in common (Nadeau & Bengio 2003)" in several
    assert "Nothing but the method to take was chosen by looking at scores" in several
    assert "seed" not in several and "are done" not in several
    one = text_of(made([r for r in runs if r.seed == 0], folds=5, examples=375))
    assert "Of these folds 1 of 5 are done" in one
    assert "of one fold, only an accuracy has one (Wilson 1927)" in one and "Nadeau" not in one
    seeds = text_of(made())
    assert "Seed s gives every method" in seeds and "fold" not in seeds


def test_a_reliability_plot_shows_the_shares_of_the_bins_and_their_intervals():
    bins = [(20, 0.55, 0.4), (10, 0.8, 0.9), (30, 0.95, 0.9)]
    found = reliability("test", bins)
    right, as_said = found.lines
    assert right.points == ((0.55, 0.4), (0.8, 0.9), (0.95, 0.9))
    assert right.band == (wilson(8, 20), wilson(9, 10), wilson(27, 30))
    assert as_said.reference and all(x == y for x, y in as_said.points)
    assert found.svg().count("<path") == 3 and "test: share that is right" in found.svg()
    ElementTree.fromstring(reliability("one bin", bins[:1]).svg())


class Reader(HTMLParser):
    """Reads a page back: its texts, its tags, and whether each tag is closed."""

    VOID = ("meta", "line", "circle", "path")

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and "style" not in self.open:
            self.texts.append(data)


def text_of(comparison: Comparison) -> str:
    return "\n".join(Reader(html(page(comparison))).texts)


def test_results_csv_has_the_promised_columns_and_a_row_a_run():
    rows = list(csv.DictReader(io.StringIO(csv_text(made()))))
    assert list(rows[0])[:8] == [
        "method", "seed", "labels", "dev", "test", "trainable_parameters", "seconds",
        "failed",
    ]  # fmt: skip
    assert len(rows) == 20
    assert [float(row["test"]) for row in rows if row["method"] == "bitfit"] == SCORES["bitfit"]
    assert {row["failed"] for row in rows} == {"False"}


def test_rows_stand_in_the_same_order_whatever_the_order_of_finishing():
    comparison = made()
    backwards = replace(comparison, runs=comparison.runs[::-1])
    assert csv_text(backwards) == csv_text(comparison)


def test_the_table_agrees_with_numpy():
    table = results_table(made(), 300)
    for row in table.rows:
        cells, scores = dict(zip(table.header, row)), 100 * np.array(SCORES[row[0]])
        for name, expected in (
            ("mean", scores.mean()), ("sd", scores.std(ddof=1)), ("min", scores.min()),
            ("max", scores.max()),
        ):  # fmt: skip
            assert float(cells[name]) == pytest.approx(expected, abs=0.0501)
        assert (cells["runs"], cells["failed"]) == ("5", "0")
        assert (cells["trained"], cells["to store"]) == ("22,713,986", "90.9 MB")


def test_each_method_is_compared_with_full_and_child_f_with_its_control():
    found = {(a.method, a.other): a for a in comparisons(made())}
    assert set(found) == {
        ("bitfit", "full"),
        ("child-f:0.3", "full"),
        ("full-sqrt:0.3", "full"),
        ("child-f:0.3", "full-sqrt:0.3"),
    }
    expected = np.array(SCORES["bitfit"]) - np.array(SCORES["full"])
    assert found["bitfit", "full"].difference.differences == pytest.approx(expected)
    assert found["bitfit", "full"].difference.seen
    assert not found["child-f:0.3", "full"].difference.seen


def test_without_full_the_first_method_is_the_baseline():
    runs = [run(m, s, SCORES[m][s]) for m in ("bitfit", "child-f:0.3") for s in range(3)]
    assert [(a.method, a.other) for a in comparisons(made(runs))] == [("child-f:0.3", "bitfit")]


def test_scores_are_paired_by_seed_and_only_on_common_seeds():
    runs = [run("full", s, t) for s, t in ((0, 0.5), (1, 0.6), (2, 0.7), (5, 0.1))]
    runs += [run("head", s, t) for s, t in ((2, 0.72), (1, 0.63), (0, 0.51), (9, 0.9))]
    (against,) = comparisons(made(runs))
    assert against.difference.differences == pytest.approx((0.01, 0.03, 0.02))


def test_sizes_are_never_mixed():
    runs = [run(m, s, t, n) for n in (100, 300) for m in SCORES for s, t in enumerate(SCORES[m])]
    found = comparisons(made(runs))
    assert len(found) == 8
    assert {len(a.difference.differences) for a in found} == {5}
    page_text = text_of(made(runs))
    assert "All sizes" in page_text
    assert "100 and 300 labels" in page_text


def test_the_number_of_comparisons_and_what_stands_after_correction_are_said():
    found = comparisons(made())
    bitfit = next(a for a in found if a.method == "bitfit")
    assert bitfit.difference.p < bitfit.holm < 0.05
    text = text_of(made())
    assert "4 comparisons were made" in text
    assert "up to 19%" in text  # 1 - 0.95 ** 4
    assert "these differences stand: bitfit against full at 300 labels." in text


def test_if_nothing_stands_after_correction_that_is_said():
    runs = [run(m, s, SCORES[m][s]) for m in SCORES for s in range(5) if m != "bitfit"]
    assert "no difference stands" in text_of(made(runs))


def test_a_failed_run_is_crossed_counted_and_part_of_the_mean():
    runs = [run("full", 0, 0.9), run("full", 1, 0.5, failed=True, note="the loss became nan")]
    comparison = made(runs)
    cells = dict(zip(results_table(comparison, 300).header, results_table(comparison, 300).rows[0]))
    assert (cells["mean"], cells["failed"]) == ("70.0", "1")
    reader = Reader(html(page(comparison)))
    kinds = [attributes.get("class") for _, attributes in reader.tags]
    assert (kinds.count("cross"), kinds.count("dot")) == (1, 1)
    assert "full, seed 1: the loss became nan" in reader.texts


def test_every_dot_mean_and_interval_is_where_its_value_is_on_the_axis():
    runs = [run(m, s, t) for m, scores in SCORES.items() for s, t in enumerate(scores)]
    drawings = re.findall(r"<svg.*?</svg>", html(page(made(runs))))
    assert len(drawings) == 2
    expected = [
        [100 * t for scores in SCORES.values() for t in scores],
        [100 * d for a in comparisons(made(runs)) for d in a.difference.differences],
    ]
    means = [
        [100 * np.mean(scores) for scores in SCORES.values()],
        [100 * a.difference.mean for a in comparisons(made(runs))],
    ]
    for drawing, dots, bars in zip(drawings, expected, means):
        axis = re.findall(r'class="axis"[^>]* x="([\d.]+)"[^>]*>([-\d.]+)<', drawing)
        (x0, v0), (x1, v1) = ((float(x), float(v)) for x, v in (axis[0], axis[-1]))

        def value(x: str, x0=x0, v0=v0, x1=x1, v1=v1) -> float:
            return v0 + (float(x) - x0) / (x1 - x0) * (v1 - v0)

        found = [value(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', drawing)]
        assert found == pytest.approx(dots, abs=0.005)
        found = [value(x) for x in re.findall(r'class="mean" x1="([\d.]+)"', drawing)]
        assert found == pytest.approx(bars, abs=0.005)
    ends = re.findall(r'class="interval" x1="([\d.]+)" x2="([\d.]+)"', drawings[1])
    intervals = [100 * np.array(a.difference.interval) for a in comparisons(made(runs))]
    found = [[value(x) for x in pair] for pair in ends]
    assert np.array(found) == pytest.approx(np.array(intervals), abs=0.005)


def test_a_drawing_is_well_formed_and_says_what_it_shows():
    strip = Strip('<b>&"', (0.1, 0.4), (False, True), 0.25, None, "25 %")
    picture = ElementTree.fromstring(Plot("a & b", (strip,)).svg())
    assert picture.tag == "svg"
    assert picture.get("aria-label") == "a & b"  # and no dashed line without a mark
    assert '<b>&"' in ["".join(element.itertext()) for element in picture]


def test_the_constant_answer_is_drawn_only_where_it_is_near_and_then_named():
    far, near = made(), made([run("full", 0, 0.52), run("full", 1, 0.55)])
    assert "Dashed: a constant answer." not in text_of(far)
    assert "Dashed: a constant answer." in text_of(near)
    assert html(page(near)).count('class="mark"') == 1


def test_scores_that_are_all_the_same_can_be_drawn():
    assert "<svg" in html(page(made([run("full", s, 0.8) for s in range(3)])))


def test_the_html_file_stands_alone_and_fits_a_phone():
    text = html(page(made()))
    tags = {tag for tag, _ in Reader(text).tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "use", "image", "base"}
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\bon\w+=|src=|href=", text)
    assert '<meta name="viewport" content="width=device-width' in text
    assert "prefers-color-scheme: dark" in text
    assert text.count("<table>") == text.count('<div class="scroll"><table>') == 3


def test_hostile_texts_are_shown_and_not_run():
    evil = '<script>alert(1)</script> & "it\'s" | a\n## b `c` [d](e)'
    runs = [run("full", 0, 0.5, note=evil, machine=evil), run(evil, 0, 0.6)]
    changes = {"data": evil, "encoder": evil, "notes": (evil,), "command": evil}
    comparison = made(runs, **changes)
    reader = Reader(html(page(comparison)))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.texts.count(evil) >= 5
    text = markdown(page(comparison))
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)[<`\[]", prose)
    rows = [line for line in prose.splitlines() if line.startswith("| ")]
    widths = {len(re.split(r"(?<!\\)\|", row)) for row in rows}
    assert widths == {12, 9, 5}  # three tables; no cell was cut in two


def test_the_markdown_report_holds_the_same_figures():
    text = markdown(page(made()))
    assert text.startswith("# Which method for sst2?\n")
    assert "| bitfit | 83.2 | 1.0 | 81.5 | 84.0 | 5 | 0 |" in text
    assert "    minift compare --data sst2\n" in text


def test_what_is_missing_or_uncertain_is_said():
    runs = [run("full", s, 0.8) for s in range(2)] + [run("head", 0, 0.7)]
    text = text_of(made(runs, planned=12))
    assert "Runs that are not finished yet: 9 of 12" in text
    assert "nothing can be said about head against full from 1 seed" in text
    assert "does not cover the choice of the 1,821 examples" in text
    assert "standard deviation of 0.9 points" in text  # sqrt(.8 * .2 / 1821)
    assert "9 duplicate texts in train" in text


def test_the_terminal_gets_the_table_and_the_sentences():
    text = short_text(made())
    assert "300 labels of sst2: accuracy in points" in text
    assert "bitfit is better than full by 2.7 points" in text
    assert text.index("bitfit is better") < text.index("no difference between child-f:0.3")


def test_terminal_tables_are_aligned():
    table = Table(("method", "mean"), (("full", "9.0"), ("a longer name", "85.0")))
    assert text_table(table).splitlines() == [
        "method         mean",
        "full            9.0",
        "a longer name  85.0",
    ]


def test_write_leaves_three_files(tmp_path):
    write(tmp_path, made())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"results.csv", "report.md", "report.html"}
    assert (tmp_path / "results.csv").read_text(encoding="utf-8") == csv_text(made())


@given(st.floats(-100, 100), st.floats(1e-3, 200))
def test_ticks_are_round_evenly_spaced_and_inside(low, width):
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 10
    assert all(low - 1e-9 <= tick <= low + width + 1e-9 for tick in found)
    step = found[1] - found[0]
    assert np.allclose(np.diff(found), step, atol=1e-9)
    assert float(f"{step:.6e}".split("e")[0]) in (1.0, 2.0, 5.0)
