"""Confident learning is the paper's and cleanlab's, and near copies are all found.

claim                                                        oracle
the confident joint, calibrated or not, and the doubtful     cleanlab 2.9.0, kept figures: ties,
  texts, equal cleanlab's                                      classes without a text
the confident joint is the paper's                           equations 1 and 2, text by text
where the paper has another class, the likeliest is meant    by hand
worst first is by the probability of the given label         by hand
labels that are right are not doubtful, flipped ones are     labels flipped on purpose
near copies are all pairs above the share, no other          every pair compared, 300 random texts
case, punctuation and blanks do not count, the two texts of  by hand
  a pair are not mixed
"""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from minift.data.doubt import (
    confident_joint,
    doubtful,
    near_copies,
    sure_of,
)
from tests.data.cleanlab_figures import CASES, FILE, case

KEPT = json.loads(FILE.read_text())


def papers_joint(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Equations 1 and 2, literally: C[i][j] counts x of label i, j = argmax over p_l >= t_l."""
    classes = range(p.shape[1])
    threshold = {}
    for j in classes:
        of_class = [p[x][j] for x in range(len(p)) if given[x] == j]
        threshold[j] = sum(of_class) / len(of_class) if of_class else 2
    joint = np.zeros((len(classes),) * 2)
    for x in range(len(p)):
        over = [j for j in classes if p[x][j] >= threshold[j] - 1e-9]
        if over:
            joint[given[x]][max(over, key=lambda j: p[x][j])] += 1
    return joint


@pytest.mark.parametrize("seed", CASES)
def test_counts_and_doubtful_texts_equal_cleanlabs(seed):
    (p, given), kept = case(seed), KEPT["cases"][seed]
    assert confident_joint(p, given).tolist() == kept["joint"]
    np.testing.assert_allclose(
        confident_joint(p, given, calibrate=True), kept["calibrated"], atol=1e-9
    )
    own, theirs, less = p[np.arange(len(p)), given], kept["issues"], doubtful(p, given)
    likelier = [i for i in theirs if own[i] < p[i].max() - 1e-6]  # or nothing can be suggested
    assert own[less].tolist() == sorted(own[likelier])  # of equal ones any may be named
    if len({*own}) == len(own):
        assert sorted(less) == likelier


def test_the_kept_cases_hide_nothing():
    assert KEPT["cleanlab"] == "2.9.0" and len(KEPT["cases"]) == len(CASES)
    assert sum(len(set(given)) < p.shape[1] for p, given in map(case, CASES)) >= 5
    assert {p.shape[1] for p, _ in map(case, CASES)} == {2, 3, 4, 5, 6}
    assert sum(bool(kept["issues"]) for kept in KEPT["cases"]) > 20
    assert any(not kept["issues"] for kept in KEPT["cases"])


@pytest.mark.parametrize("seed", range(30))
def test_two_classes_are_counted_as_the_paper_says(seed):
    source = np.random.default_rng(seed)
    given, one = source.integers(0, 2, 40), source.random(40)
    p = np.stack([one, 1 - one], 1)
    joint = papers_joint(p, given)
    np.testing.assert_array_equal(confident_joint(p, given), np.maximum(joint, np.eye(2)))


def test_of_several_classes_the_likeliest_counts_where_the_paper_takes_the_likeliest_sure_one():
    p = np.array([[0.9, 0.06, 0.04], [0.3, 0.4, 0.3], [0.5, 0.38, 0.12], [0.45, 0.4, 0.15]])
    given = np.array([0, 1, 2, 1])  # thresholds: .9, .4, .12
    assert sure_of(p, given).tolist() == [0, 1, 2, 0]
    assert papers_joint(p, given).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 1]]
    assert confident_joint(p, given).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_the_worst_label_comes_first_and_rounding_is_no_doubt():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8], [0.95, 0.05]])
    given = np.array([0, 0, 0, 0, 1, 1])
    # thresholds: .525 and .425; rows 2 and 3 are labelled 0 and sure of 1, row 5 the reverse
    assert doubtful(p, given).tolist() == [5, 2, 3]
    even = np.full((4, 2), 0.5)
    assert doubtful(even, np.array([0, 1, 0, 1])).tolist() == []


def test_labels_that_were_flipped_are_found_and_others_are_not():
    source = np.random.default_rng(0)
    true = source.integers(0, 3, 300)
    p = np.full((300, 3), 0.05)
    p[np.arange(300), true] = 0.9
    given = true.copy()
    flipped = source.choice(300, 30, replace=False)
    given[flipped] = (true[flipped] + 1) % 3
    assert sorted(doubtful(p, given).tolist()) == sorted(flipped.tolist())
    joint = confident_joint(p, given, calibrate=True)
    assert joint.sum() == pytest.approx(300) and 300 - joint.trace() == pytest.approx(30)
    assert doubtful(p, true).tolist() == []


@pytest.mark.parametrize("least", [0.5, 0.8, 0.9])
def test_near_copies_are_all_pairs_above_the_share(least):
    source = random.Random(0)
    words = [f"w{min(int(source.expovariate(0.3)), 30)}" for _ in range(4000)]
    texts = [[" ".join(source.choices(words, k=source.randint(1, 12)))] for _ in range(300)]
    texts += [[text[0] + " w99"] for text in texts[:50]]
    sets = [{*text[0].split()} for text in texts]
    expected = [
        (j, i)
        for i in range(len(sets))
        for j in range(i)
        if len(sets[i] & sets[j]) >= least * len(sets[i] | sets[j]) - 1e-9
    ]
    assert len(expected) > 50
    assert sorted(near_copies(texts, least)) == sorted(expected)


def test_case_punctuation_and_blanks_do_not_count_but_sides_do():
    alike = [["Top-up  failed!"], ["top up failed"], ["TOP UP\nFAILED?"]]
    assert [*near_copies(alike)] == [(0, 1), (0, 2), (1, 2)]
    assert [*near_copies([["it failed"], ["it did not fail"]])] == []
    assert [*near_copies([["a b", "c d"], ["c d", "a b"], ["A b", "c d."]])] == [(0, 2)]
    assert [*near_copies([["?!"], ["!!"], ["?!"], ["..."]])] == [(0, 2)]  # no word: as they are
