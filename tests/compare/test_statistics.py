"""Paired differences, proven.

claim                                                   oracle
Student's t: probability and quantile                   scipy.stats.t
paired t interval and p-value                           scipy.stats.ttest_rel
the interval covers at least 95 %                       simulation; a percentile bootstrap does not
Holm's adjusted p-values                                closed testing, by brute force
a difference is claimed only where it is seen           sentences, word for word
fewer than 3 seeds, or equal differences: no interval   the sentence says why
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from minift.compare.statistics import (
    Difference,
    holm,
    mean_and_sd,
    paired_difference,
    sentence,
    t_quantile,
    t_within,
)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 9, 19, 30, 101])
def test_students_t_agrees_with_scipy(degrees):
    for t in (0.0, 0.01, 0.5, 1.3, 2.0, 12.7, 300.0):
        expected = stats.t.cdf(t, degrees) - stats.t.cdf(-t, degrees)
        assert t_within(t, degrees) == pytest.approx(expected, abs=1e-13)
    for probability in (0.5, 0.6, 0.9, 0.975, 0.9995):
        expected = stats.t.ppf(probability, degrees)
        assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_t_interval_and_p_value_are_those_of_scipys_paired_test(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.85, 0.02, n), rng.normal(0.84, 0.03, n)
    found = paired_difference(a, b)
    expected = stats.ttest_rel(a, b)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=1e-12)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-12)
    assert found.mean == pytest.approx(float(np.mean(a - b)), abs=1e-15)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_covers_the_truth_where_the_percentiles_of_resamples_do_not(n):
    rng = np.random.default_rng(2024)
    trials, believed, bootstrap = 1000, 0, 0
    for _ in range(trials):
        drawn = rng.normal(0.3, 1.0, n)
        low, high = paired_difference(drawn, np.zeros(n)).interval
        believed += low <= 0.3 <= high
        means = drawn[rng.integers(n, size=(400, n))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        bootstrap += low <= 0.3 <= high
    # a true 95 % would fall below 93.5 % in about 2 of 100 such simulations
    assert believed / trials >= 0.935
    assert bootstrap / trials < {3: 0.80, 5: 0.87, 10: 0.93}[n]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_closed_testing_with_bonferroni(p_values):
    indices = range(len(p_values))
    subsets = [s for size in indices for s in combinations(indices, size + 1)]
    expected = [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets if i in s)
        for i in indices
    ]
    assert holm(p_values) == pytest.approx(expected, abs=1e-12)


def test_holm_by_hand():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize("ends,seen", [((0.1, 2.0), True), ((-2.0, -0.1), True), ((0.0, 2), False)])
def test_a_difference_is_seen_only_if_the_interval_excludes_zero(ends, seen):
    assert Difference((1.0,), 1.0, ends).seen is seen


def test_a_difference_that_is_seen_is_given_as_a_positive_number_either_way():
    ends, mirrored = (0.003, 0.021), (-0.021, -0.003)
    better = Difference((0.0,) * 5, 0.012, ends)
    worse = Difference((0.0,) * 5, -0.012, mirrored)
    assert sentence("bitfit", "full", better) == (
        "bitfit is better than full by 1.2 points (95% CI 0.3 to 2.1, 5 seeds)"
    )
    assert sentence("head", "full", worse) == (
        "head is worse than full by 1.2 points (95% CI 0.3 to 2.1, 5 seeds)"
    )


def test_no_difference_is_said_plainly_and_an_end_near_zero_is_not_rounded_to_it():
    ends = (-0.0002, 0.021)
    found = Difference((0.0,) * 5, 0.0104, ends)
    assert sentence("bitfit", "full", found) == (
        "no difference between bitfit and full can be seen with these seeds "
        "(mean difference +1.0 points, 95% CI -0.02 to +2.10, 5 seeds)"
    )


@pytest.mark.parametrize("n", [1, 2])
def test_with_fewer_than_three_seeds_nothing_is_claimed(n):
    found = paired_difference([0.99, 0.9][:n], [0.1, 0.2][:n])
    assert (found.interval, found.p, found.seen) == (None, None, False)
    assert "nothing can be said about a against b from" in sentence("a", "b", found)
    assert ("1 seed (" if n == 1 else "2 seeds (") in sentence("a", "b", found)


def test_equal_differences_give_no_interval_of_width_zero():
    # in floating point 0.9 - 0.8, 0.8 - 0.7 and 0.7 - 0.6 are three different numbers
    found = paired_difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])
    assert found.interval is None
    assert sentence("a", "b", found) == (
        "a was above b by the same 10.0 points with each of 3 seeds, so no interval can be given"
    )
    same = paired_difference([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert sentence("a", "b", same) == "a and b scored the same with each of 3 seeds"


def test_without_a_common_seed_the_sentence_says_so():
    found = paired_difference([], [])
    assert math.isnan(found.mean)
    assert sentence("a", "b", found) == "a and b have no seed in common"


def test_mean_and_standard_deviation_by_hand():
    assert mean_and_sd([0.7, 0.9, 0.8]) == "80.0 ± 10.0"
    assert mean_and_sd([0.5]) == "50.0"
    assert mean_and_sd([]) == ""
