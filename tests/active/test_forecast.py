"""A forecast recovers the law it was drawn from, covers what it says, and knows when to be silent.

claim                                                        oracle
a law without noise is recovered, and its gain               the generating law
each fit is the best one within its bounds                   scipy.optimize, from many starts
the interval covers the true gain about as often as it says  binomial scores of known laws
more disagreement, or a worse fit, gives a wider interval    comparison on the same means
a text is never trained on in the fold that is scored by it  sets of ids and texts seen by `fit`
a smaller draw is part of a larger one                       set inclusion
silence where nothing can be said, with the reason           words of the sentence
the score to beat is the metric's of the majority            by hand
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from minift.active import forecast
from minift.active.forecast import (
    FOLDS,
    SHARES,
    extrapolate,
    fit_laws,
    forecast_labels,
    judge,
)
from minift.active.loop import Learner
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.training.loop import Settings
from tests.tiny import news, reviews

SIZES = (30, 48, 76, 120)
LAWS = [(0.9, 0.8, 0.4), (0.85, 2.0, 0.7), (0.8, 0.0, 0.5), (0.9, 5.0, 1.0)]


def law(a, b, c, sizes):
    return a - b * np.asarray(sizes, dtype=float) ** -c


@pytest.mark.parametrize("a,b,c", LAWS)
@pytest.mark.parametrize("more", [1, 100, 1000])
def test_a_law_without_noise_is_recovered_with_its_gain(a, b, c, more):
    scores = np.tile(law(a, b, c, SIZES), (4, 1))
    gain, low, high = extrapolate(SIZES, scores, more, now=160)
    expected = law(a, b, c, 160 + more) - law(a, b, c, 160)
    assert gain == pytest.approx(expected, abs=1e-9)
    assert low == pytest.approx(gain, abs=1e-9) and high == pytest.approx(gain, abs=1e-9)
    found = fit_laws(np.array(SIZES, float), scores[:1])
    assert found.limit[0] == pytest.approx(a) and found.height[0] == pytest.approx(b, abs=1e-9)


def test_the_gain_is_counted_from_the_labels_of_today_not_from_the_largest_fold():
    scores = np.tile(law(0.9, 0.8, 0.4, SIZES), (4, 1))
    today, largest = (extrapolate(SIZES, scores, 100, now)[0] for now in (160, SIZES[-1]))
    assert today < largest


def test_each_fit_is_the_best_one_within_its_bounds():
    source = np.random.default_rng(0)
    rows = [law(*LAWS[0], SIZES) + source.normal(0, 0.03, 4) for _ in range(6)]
    rows += [1.0 - source.uniform(0, 0.01, 4), np.linspace(0.9, 0.8, 4), np.linspace(0.5, 0.98, 4)]
    sizes = np.array(SIZES, float)
    found = fit_laws(sizes, np.array(rows))
    errors = ((found.at(sizes) - rows) ** 2).sum(1)
    assert (found.limit <= 1 + 1e-12).all() and (found.height >= 0).all()
    for row, error in zip(rows, errors):
        for exponent in forecast.EXPONENTS[::7]:

            def loss(x, exponent=exponent, row=row):
                return float(((x[0] - x[1] * sizes**-exponent - row) ** 2).sum())

            best = minimize(loss, (0.8, 0.5), bounds=[(None, 1), (0, None)], tol=1e-14)
            assert error <= best.fun + 1e-9


def test_the_interval_covers_the_true_gain_about_as_often_as_it_says(monkeypatch, record_property):
    monkeypatch.setattr(forecast, "DRAWS", 300)
    source, times, hits = np.random.default_rng(0), 60, {}
    for now in (60, 400):
        sizes = [round(share * 0.75 * now) for share in SHARES]
        for a, b, c in [*LAWS, (0.99, 1.0, 0.2)]:
            true = law(a, b, c, now + 100) - law(a, b, c, now)
            drawn = source.binomial(now // 4, law(a, b, c, sizes), (times, 4, 4)) / (now // 4)
            ends = [extrapolate(sizes, scores, 100, now, n)[1:] for n, scores in enumerate(drawn)]
            hits[now, a, c] = sum(low - 1e-9 <= true <= high + 1e-9 for low, high in ends)
    share = sum(hits.values()) / (times * len(hits))
    record_property("measured", f"95% intervals of the gain cover {share:.1%} of true gains")
    error = (0.95 * 0.05 / (times * len(hits))) ** 0.5
    assert 0.95 - 3 * error < share <= 1
    assert min(hits.values()) / times > 0.8  # the worst of the laws


def test_disagreeing_folds_and_a_law_that_does_not_fit_widen_the_interval():
    mean = law(*LAWS[0], SIZES)
    apart = np.array([[0.05], [-0.05], [0.02], [-0.02]])
    tilt = apart * np.linspace(1, -1, 4)
    zigzag = np.array([0.02, -0.02, 0.02, -0.02])
    width = {
        name: np.diff(extrapolate(SIZES, scores, 100, 120)[1:])[0]
        for name, scores in {
            "same": np.tile(mean, (4, 1)),
            "shifted": mean + apart,
            "tilted": mean + tilt,
            "zigzag": np.tile(mean + zigzag, (4, 1)),
        }.items()
    }
    assert width["same"] < 1e-6
    assert width["tilted"] > 2 * width["shifted"]  # a common shift tells nothing of the slope
    assert width["zigzag"] > 0.02


def test_the_same_seed_gives_the_same_interval():
    scores = law(*LAWS[0], SIZES) + np.random.default_rng(1).normal(0, 0.03, (4, 4))
    first, again, other = (extrapolate(SIZES, scores, 100, 120, seed) for seed in (3, 3, 4))
    assert first == again != other


# --- sentences -------------------------------------------------------------------------------


def test_the_sentence_holds_the_figures_and_says_if_the_gain_may_be_nothing():
    scores = law(*LAWS[0], SIZES) + np.random.default_rng(1).normal(0, 0.01, (4, 4))
    found = judge(SIZES, scores, 160, 100)
    half = max(found.gain - found.low, found.high - found.gain)
    assert (
        f"next 100 labels: about {100 * found.gain:+.1f} ± {100 * half:.1f} poi" in found.sentence
    )
    assert "on 30 to 120 of 160 labels" in found.sentence
    flat = judge(SIZES, 0.8 + np.random.default_rng(1).normal(0, 0.004, (4, 4)), 160, 50)
    assert flat.sentence.startswith("next 50 labels: about +")
    assert flat.sentence.endswith("it may well be nothing")


NOISY = np.linspace(0.35, 0.5, 4) + 0.1 * np.random.default_rng(0).normal(size=(4, 4))


@pytest.mark.parametrize(
    "scores,words",
    [
        (np.tile([0.80, 0.75, 0.72, 0.70], (4, 1)), "the cross-validated score falls"),
        (np.tile([0.60, 0.60, 0.60, 0.60], (4, 1)), "most frequent answer (60.0 points)"),
        (NOISY, "the folds disagree too much"),
    ],
    ids=["falls", "constant", "wide"],
)
def test_where_nothing_can_be_said_the_reason_is(scores, words):
    more = 1000 if "disagree" in words else 100
    found = judge(SIZES, scores, 160, more, constant=0.6 if "frequent" in words else 0.0)
    assert (found.gain, found.low, found.high) == (None, None, None)
    assert found.sentence.startswith(f"next {more} labels: nothing can be said, because ")
    assert words in found.sentence


# --- with models -----------------------------------------------------------------------------


def learner(data, encoder, head="linear", epochs=2):
    settings = Settings(epochs=epochs, batch_size=16, learning_rate=1e-3)
    return Learner(data, encoder, replace(recipe("full"), settings=settings), head)


def test_no_text_is_trained_on_in_the_fold_that_it_scores_and_draws_are_nested(
    encoder, monkeypatch
):
    data = reviews(120)
    texts = [replace(e, id=f"n{n}") for n, e in enumerate(data.train)]
    texts += [replace(texts[0], id="twin"), replace(texts[7], id="other twin")]
    trained, scored = [], []

    def fit(learner, labelled, seeds):
        assert learner.dataset is data
        trained.append([(e.id, e.text) for e in labelled])
        return Scored()

    class Scored:
        def evaluate(self, examples):
            scored.append([(e.id, e.text) for e in examples])
            return type("Found", (), {"scores": {"accuracy": 0.5}})

    monkeypatch.setattr(Learner, "fit", fit)
    found = forecast_labels(learner(data, encoder), texts)
    assert len(trained) == len(scored) == FOLDS * len(SHARES)
    assert tuple(map(len, trained[: len(SHARES)])) == found.sizes
    for known, held in zip(trained, scored):
        for part in (0, 1):  # neither by id nor, under another id, by text
            assert not {row[part] for row in known} & {row[part] for row in held}
    for at in range(0, len(trained), len(SHARES)):
        fold = list(map(set, trained[at : at + len(SHARES)]))
        assert all(small < large for small, large in pairwise(fold))
    held = [row for fold in scored[:: len(SHARES)] for row in fold]
    assert sorted(held) == sorted((e.id, e.text) for e in texts)  # each is scored once per size


@pytest.mark.parametrize(
    "metric,known,baseline",
    [("matthews", True, 0.0), ("accuracy", False, 80.0), ("macro_f1", False, 44.4)],
)
def test_a_score_is_compared_with_the_most_frequent_answer_by_the_same_metric(
    encoder, monkeypatch, metric, known, baseline
):
    """Of always "negative", which 4 of 5 are, the F1 is .889 and 0, and Matthews is 0."""
    data = replace(reviews(120), metric=metric)
    texts = [
        replace(e, label="positive" if n % 5 == 0 else "negative") for n, e in enumerate(data.train)
    ]
    value = iter(np.tile([0.25, 0.30, 0.34, 0.38], FOLDS))

    class Scored:
        def evaluate(self, examples):
            return type("Found", (), {"scores": {metric: next(value)}})

    monkeypatch.setattr(Learner, "fit", lambda *_: Scored())
    found = forecast_labels(learner(data, encoder), texts)
    assert (found.gain is not None) is known
    if not known:
        assert f"most frequent answer ({baseline} points)" in found.sentence


@pytest.mark.parametrize("head", ["linear", "cnn"])
def test_a_forecast_of_real_models_is_a_number_with_an_interval(encoder, head):
    data = reviews(120)
    found = forecast_labels(learner(data, encoder, head, epochs=4), data.train, more=20)
    assert len(found.sizes) == len(found.scores) == 4 and found.sizes[-1] == 45
    assert found.gain is None or 0 <= found.low <= found.gain <= found.high
    assert found.sentence.startswith("next 20 labels: ")


def test_sentences_with_tags_can_be_forecast(encoder):
    data = news(96)
    found = forecast_labels(learner(data, encoder), data.train)
    assert len(found.scores) == 4


def test_few_labels_are_told_without_any_training(encoder, monkeypatch):
    monkeypatch.setattr(Learner, "fit", lambda *_: 1 / 0)
    data = reviews(60)
    found = forecast_labels(learner(data, encoder), data.train)
    assert found.sentence.endswith("because it takes 40 labels, and there are 30")
    assert (found.sizes, found.scores, found.gain) == ((), (), None)
    with pytest.raises(MiniftError, match="more must be at least 1 label, got 0"):
        forecast_labels(learner(data, encoder), data.train, more=0)
