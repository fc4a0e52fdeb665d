"""Gaps between groups, proven.

claim                                                    oracle
rates and gaps are those of a table of counts            a table by hand
the interval is Newcombe's method 10                     the figures of his paper (1998), table II
it covers the true difference as often as it says        simulated counts
what no text counts for is None                          by hand
gaps in recall give the root mean square of Jin et al.   by hand
"""

from __future__ import annotations

import numpy as np
import pytest

from minift.data.intervals import difference
from minift.data.metrics import Gap, group_gaps
from minift.errors import MiniftError

# group -> (neutral texts, of which called toxic; toxic texts, of which called toxic)
COUNTS = {"a": (10, 4, 5, 5), "b": (20, 2, 10, 8), None: (30, 3, 15, 9)}


def table():
    gold, said, groups = [], [], []
    for name, (neutral, wrong, toxic, right) in COUNTS.items():
        gold += ["neutral"] * neutral + ["toxic"] * toxic
        said += ["toxic"] * wrong + ["neutral"] * (neutral - wrong)
        said += ["toxic"] * right + ["neutral"] * (toxic - right)
        groups += [name] * (neutral + toxic)
    return gold, said, groups


def test_false_positives_are_those_of_a_table_by_hand():
    gaps = group_gaps(*table(), "toxic")
    assert list(gaps) == ["a", "b"]
    assert gaps["a"][:3] == (10, 0.4, pytest.approx(0.4 - 5 / 50))
    assert gaps["b"][:3] == (20, 0.1, pytest.approx(0.1 - 7 / 40))
    assert gaps["a"].interval == difference(4, 10, 5, 50)
    # the paper's gap, to all texts, is that to the others times their share
    assert pytest.approx(gaps["a"].gap * 50 / 60) == 0.4 - 9 / 60


def test_recall_is_that_of_the_texts_that_are_so_and_gives_the_root_mean_square_over_classes():
    gold, said, groups = table()
    toxic = group_gaps(gold, said, groups, "toxic", hits=True)["a"]
    neutral = group_gaps(gold, said, groups, "neutral", hits=True)["a"]
    assert toxic[:3] == (5, 1.0, pytest.approx(1 - 17 / 25))
    assert neutral[:3] == (10, 0.6, pytest.approx(0.6 - 45 / 50))
    mean = (toxic.gap**2 + neutral.gap**2) / 2
    assert mean**0.5 == pytest.approx(((0.32**2 + 0.3**2) / 2) ** 0.5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
    ],
)
def test_the_interval_has_the_figures_of_newcombes_paper(counts, low, high):
    assert difference(*counts) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("p", "q", "n", "m"), [(0.3, 0.1, 40, 80), (0.05, 0.05, 100, 100)])
def test_it_covers_the_true_difference_as_often_as_it_says(p, q, n, m):
    source, draws = np.random.default_rng(0), 2000
    inside = 0
    for hits, others in zip(source.binomial(n, p, draws), source.binomial(m, q, draws)):
        low, high = difference(int(hits), n, int(others), m)
        inside += low <= p - q <= high
    assert 0.93 < inside / draws < 0.99


def test_what_no_text_counts_for_is_none():
    gold, said = ["toxic", "neutral", "neutral"], ["toxic", "toxic", "neutral"]
    gaps = group_gaps(gold, said, ["a", "b", "b"], "toxic")
    assert gaps["a"] == Gap(0, None, None, None)  # all of its texts are toxic
    assert gaps["b"] == Gap(2, 0.5, None, None)  # nobody else has a text that counts
    assert group_gaps(gold, said, [None] * 3, "toxic") == {}


def test_negative_control_a_model_that_does_not_look_at_the_group_has_no_gap():
    source = np.random.default_rng(1)
    gold, said = (source.choice(["neutral", "toxic"], 4000).tolist() for _ in range(2))
    groups = source.choice(["a", "b"], 4000).tolist()
    low, high = group_gaps(gold, said, groups, "toxic")["a"].interval
    assert low < 0 < high and high - low < 0.1


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(MiniftError, match="as many of one as of the other"):
        group_gaps(["a"], ["a", "b"], ["x"], "a")
    with pytest.raises(ValueError, match="zip"):
        group_gaps(["a", "b"], ["a", "b"], ["x"], "a")
