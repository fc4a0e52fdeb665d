"""People are told how far they agree beyond chance.

claim                                                       oracle
kappa is Cohen's                                            scikit-learn; a table by hand
its standard error is that of Fleiss, Cohen and Everitt     the delta method by finite differences
the interval covers the truth 95 times of 100               simulated answers
each two people are told, of entities word by word          scikit-learn on texts matched by hand
too few texts, one person, one label are said in a word     the sentences
"""

import math
import random
from itertools import chain

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from minift.data.agreement import agreement, kappa


def draw(source, n, classes, share=0.7):
    first = [source.randrange(classes) for _ in range(n)]
    return first, [x if source.random() < share else source.randrange(classes) for x in first]


@pytest.mark.parametrize("classes", [2, 3, 9])
def test_kappa_is_that_of_scikit_learn(classes):
    first, second = draw(random.Random(classes), 200, classes)
    assert kappa(first, second)[0] == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


def test_kappa_of_a_table_by_hand():
    # 20 both yes, 15 both no, 5 and 10 apart: agreement .7, by chance .5, kappa .4
    first = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert kappa(first, second)[0] == pytest.approx(0.4)
    assert kappa([0, 1], [0, 1]) == (1, 0)
    assert math.isnan(kappa([1, 1], [1, 1])[0])
    with pytest.raises(ValueError, match="shorter"):
        kappa([0, 1], [0])


def of_table(p):
    chance = p.sum(0) @ p.sum(1)
    return (np.trace(p) - chance) / (1 - chance)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_its_standard_error_is_that_of_the_delta_method(classes):
    first, second = draw(random.Random(classes), 150, classes)
    p = np.zeros((classes, classes))
    for a, b in zip(first, second):
        p[a, b] += 1 / len(first)
    slope, step = np.zeros_like(p), 1e-6
    for cell in np.ndindex(*p.shape):
        up, down = p.copy(), p.copy()
        up[cell] += step
        down[cell] -= step
        slope[cell] = (of_table(up) - of_table(down)) / (2 * step)
    variance = (np.sum(p * slope**2) - np.sum(p * slope) ** 2) / len(first)  # of a multinomial
    assert kappa(first, second)[1] == pytest.approx(math.sqrt(variance), rel=1e-6)


def test_the_interval_covers_the_truth_as_often_as_it_says(record_property):
    source, covered, draws = random.Random(0), 0, 2000
    for _ in range(draws):  # two people who agree in .7, and else answer by chance: kappa .7
        value, error = kappa(*draw(source, 100, 3))
        covered += abs(value - 0.7) <= 1.96 * error
    record_property(
        "measured", f"95 % interval of kappa, 100 texts, covers in {covered / draws:.1%}"
    )
    assert 0.92 <= covered / draws <= 0.97


def test_each_two_people_are_told_with_the_texts_that_both_answered():
    source = random.Random(1)
    first, second = draw(source, 60, 2)
    ada = [(str(n), "ada", "ab"[label]) for n, label in enumerate(first)]
    ben = [(str(n + 20), "ben", "ab"[label]) for n, label in enumerate(second[20:])]
    answers = [("30", "ada", "wrong"), *ada, *ben]  # which she corrected
    value, error = kappa(first[20:], second[20:])
    interval = f"{value - 1.96 * error:.2f} to {value + 1.96 * error:.2f}"
    assert agreement(answers) == [f"ada and ben: kappa {value:.2f} (95% CI {interval}), 40 texts"]
    assert value == pytest.approx(cohen_kappa_score(first[20:], second[20:]))
    told = agreement([*answers, ("0", "cleo", "a"), ("1", "dora", "a"), ("2", "dora", "a")])
    assert told[0].startswith("ada and ben: kappa") and told[1].startswith("ada and dora: ")
    assert told[2] == (
        "fewer than 2 texts in common: ada and cleo, ben and cleo, ben and dora, cleo and dora"
    )


def test_entities_are_compared_word_by_word_without_an_interval():
    ada = [["B-PER", "O", "O"], ["O", "B-LOC"], ["O", "O"]]
    ben = [["B-PER", "O", "B-LOC"], ["O", "B-LOC"], ["B-PER", "O"]]
    answers = [
        (str(n), who, tags) for who, all_ in (("a", ada), ("b", ben)) for n, tags in enumerate(all_)
    ]
    value = cohen_kappa_score([*chain(*ada)], [*chain(*ben)])
    assert agreement(answers) == [f"a and b: kappa {value:.2f}, 7 words of 3 texts"]


def test_what_has_no_kappa_is_said_in_a_sentence():
    assert agreement([]) == []
    assert agreement([("1", "ada", "x"), ("2", "ada", "y")]) == [
        "all labels are by ada; for kappa, two people label the same texts"
    ]
    both = [(text, who, "x") for who in ("ada", "ben") for text in "12"]
    assert agreement(both) == ["ada and ben: no kappa, as only one label occurs, 2 texts"]
    assert agreement([*both, ("3", "ada", "y"), ("3", "ben", "y")]) == [
        "ada and ben: kappa 1.00, 3 texts"  # without an interval, which would have no width
    ]
    assert agreement([("1", "ada", "x"), ("2", "ben", "x")]) == [
        "fewer than 2 texts in common: ada and ben"
    ]
