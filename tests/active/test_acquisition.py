"""Acquisition scores are the formulas, in nats, whatever the input.

claim                                                        oracle
BALD of known cases                                          closed forms; two passes by hand
each score is its formula                                    plain Python loops with math.log
0 <= BALD <= log C and BALD <= H(mean)                       random inputs, exact zeros among them
order of passes and of classes does not matter               permutations
float32 input gives float64's scores within 1e-6             the same numbers in both
few passes bias BALD low                                     5 and 10 against 1000 passes
BatchBALD is the joint information, chosen greedily          joint entropy by enumeration
near-duplicates: BatchBALD takes one, BALD takes both        a pool built for it
with more labellings than kept, sampling stays close         the exact value
the highest are selected; ties are random by seed            sorting; counts over seeds
"""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch

from minift.active.acquisition import (
    bald,
    batch_bald,
    entropy,
    entropy_of,
    least_confidence,
    margin,
    random,
    select,
)
from minift.errors import MiniftError

SCORES = {f.__name__: f for f in (bald, entropy, least_confidence, margin)}


def draw(passes, texts, classes, seed=0, zeros=False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (passes, texts, classes)
    raw = torch.rand(shape, generator=generator, dtype=torch.float64) + 1e-3
    if zeros:
        raw *= torch.rand(shape, generator=generator) < 0.6
        raw[..., 0] += raw.sum(-1) == 0
    return raw / raw.sum(-1, keepdim=True)


def log_sum(row) -> float:
    return -sum(p * math.log(p) for p in row if p > 0)


def by_hand(name: str, text: list[list[float]]) -> float:
    """The scores of one text, (passes, classes), in plain Python."""
    mean = [sum(column) / len(text) for column in zip(*text)]
    ranked = sorted(mean, reverse=True)
    return {
        "least_confidence": 1 - ranked[0],
        "margin": 1 - (ranked[0] - ranked[1]),
        "entropy": log_sum(mean),
        "bald": log_sum(mean) - sum(log_sum(row) for row in text) / len(text),
    }[name]


# --- one text at a time --------------------------------------------------------------------


def test_bald_of_passes_that_agree_is_exactly_0_also_in_float32():
    for dtype in (torch.float64, torch.float32):
        same = draw(1, 50, 3).to(dtype).expand(7, 50, 3)
        assert bald(same).tolist() == [0.0] * 50


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_bald_of_one_hots_split_evenly_is_log_of_the_classes(classes):
    split = torch.eye(classes).repeat(2, 1).unsqueeze(1)  # each class in two passes
    assert bald(split).item() == pytest.approx(math.log(classes), abs=1e-12)


def test_bald_of_the_two_pass_example_worked_by_hand():
    p = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]])
    assert entropy(p).item() == pytest.approx(0.6931, abs=5e-5)
    assert entropy_of(p.double()).mean().item() == pytest.approx(0.3251, abs=5e-5)
    assert bald(p).item() == pytest.approx(0.3681, abs=5e-5)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("zeros", [False, True], ids=["dense", "zeros"])
def test_each_score_is_its_formula(name, zeros):
    for classes, seed in ((2, 0), (5, 1)):
        p = draw(6, 40, classes, seed, zeros)
        expected = [by_hand(name, p[:, i].tolist()) for i in range(40)]
        found = SCORES[name](p)
        assert found.dtype == torch.float64
        torch.testing.assert_close(
            found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("seed", range(5))
def test_bald_lies_between_0_and_both_log_classes_and_the_entropy_of_the_mean(seed):
    p = draw(8, 500, 2 + seed, seed, zeros=True)
    score = bald(p)
    assert score.isfinite().all() and (p == 0).any()
    assert (score >= 0).all()
    assert (score <= math.log(2 + seed) + 1e-12).all()
    assert (score <= entropy(p) + 1e-12).all()
    assert score.max() > 0.1


@pytest.mark.parametrize("name", SCORES)
def test_the_order_of_passes_and_classes_does_not_matter_but_that_of_texts_does(name):
    p, score = draw(6, 30, 4), SCORES[name]
    for order in (torch.tensor([3, 0, 5, 1, 4, 2]),):
        torch.testing.assert_close(score(p[order]), score(p), rtol=0, atol=1e-12)
    torch.testing.assert_close(score(p[..., [2, 0, 3, 1]]), score(p), rtol=0, atol=1e-12)
    torch.testing.assert_close(score(p.flip(1)), score(p).flip(0), rtol=0, atol=1e-12)
    # Negative control: other numbers give other scores.
    assert not torch.allclose(score(draw(6, 30, 4, seed=1)), score(p), atol=1e-3)


@pytest.mark.parametrize("name", SCORES)
def test_float32_gives_the_scores_of_float64_within_a_millionth(name):
    p = draw(10, 300, 3, zeros=True)
    single = SCORES[name](p.float())
    torch.testing.assert_close(single, SCORES[name](p), rtol=0, atol=1e-6)


def test_few_passes_bias_bald_low_by_about_one_over_the_passes():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1000, 400, 2, generator=generator, dtype=torch.float64)
    p = logits.softmax(-1)
    many = bald(p).mean()
    for passes in (5, 10):
        few = bald(p[:passes]).mean()
        assert few / many == pytest.approx(1 - 1 / passes, abs=0.04)


def test_random_is_uniform_by_seed_and_reads_no_probability():
    a, b = random(draw(2, 5000, 3), 0), random(draw(2, 5000, 3, seed=9), 0)
    assert torch.equal(a, b)
    assert not torch.equal(a, random(draw(2, 5000, 3), 1))
    assert abs(a.mean().item() - 0.5) < 4 / math.sqrt(12 * 5000)


@pytest.mark.parametrize("wrong", [[2.0, -1.0], [0.3, 0.3], [math.nan, 1.0]])
def test_what_is_not_a_probability_is_refused_with_its_place(wrong):
    p = draw(3, 4, 2)
    p[1, 2] = torch.tensor(wrong)
    with pytest.raises(MiniftError, match=r"pass 1, text 2: .* give softmax outputs, not logits"):
        bald(p)


def test_a_tensor_of_another_shape_is_refused():
    with pytest.raises(MiniftError, match=r"\(passes, texts, classes\), got \(4, 2\)"):
        entropy(draw(1, 4, 2)[0])


# --- several texts together ----------------------------------------------------------------


def joint_information(p: torch.Tensor, chosen: list[int]) -> float:
    """I(labels of the chosen; pass), by going through every joint label."""
    passes, _, classes = p.shape
    joint = []
    for labels in itertools.product(range(classes), repeat=len(chosen)):
        products = [
            math.prod(p[s, i, c].item() for i, c in zip(chosen, labels)) for s in range(passes)
        ]
        joint.append(sum(products) / passes)
    conditional = sum(log_sum(p[s, i].tolist()) for s in range(passes) for i in chosen) / passes
    return log_sum(joint) - conditional


@pytest.mark.parametrize("classes,zeros", [(2, False), (3, False), (3, True)])
def test_batch_bald_chooses_greedily_by_the_exact_joint_information(classes, zeros):
    p = draw(6, 9, classes, seed=3, zeros=zeros)
    chosen, gains = batch_bald(p, 4, seed=0)
    total = 0.0
    for n in range(4):
        tries = {i: joint_information(p, [*chosen[:n], i]) for i in range(9) if i not in chosen[:n]}
        assert tries[chosen[n]] == pytest.approx(max(tries.values()), abs=1e-9)
        total += gains[n]
        assert total == pytest.approx(tries[chosen[n]], abs=1e-9)
    assert gains[0] == pytest.approx(bald(p).max().item())


def test_a_chunk_at_a_time_chooses_the_same():
    p = draw(5, 60, 3, seed=1)
    assert batch_bald(p, 5, 0, chunk=7) == batch_bald(p, 5, 0)


def test_of_two_near_duplicates_batch_bald_takes_one_and_bald_takes_both():
    p = torch.full((4, 6, 2), 0.5, dtype=torch.float64)
    sure, unsure = torch.tensor([[0.99, 0.01], [0.2, 0.8]], dtype=torch.float64)
    p[:, 0] = torch.stack([sure, sure, sure.flip(0), sure.flip(0)])
    p[:, 1] = p[:, 0]  # the same text again
    p[:, 4] = torch.stack([unsure, unsure.flip(0), unsure, unsure.flip(0)])  # another question
    assert set(select(bald(p), 2, seed=0)) == {0, 1}
    chosen, gains = batch_bald(p, 2, seed=0)
    assert set(chosen) in ({0, 4}, {1, 4})
    assert gains[1] == pytest.approx(bald(p)[4].item(), abs=1e-9)  # it is independent of the first


def test_sampled_labellings_come_close_to_the_exact_gains():
    p = draw(5, 8, 3, seed=4)
    exact, sampled = batch_bald(p, 6, 0, configurations=3**6), batch_bald(p, 6, 0, 200)
    assert sum(sampled[1]) == pytest.approx(sum(exact[1]), rel=0.15)
    assert sampled[1][:4] == pytest.approx(exact[1][:4], abs=1e-12)  # 3**3 <= 200: still exact
    many = batch_bald(draw(6, 300, 2), 60, 0)  # 2**60 labellings
    assert len(set(many[0])) == 60
    assert all(math.isfinite(gain) and gain >= 0 for gain in many[1])
    assert batch_bald(p, 99, 0)[0] != [] and len(batch_bald(p, 99, 0)[0]) == 8


# --- selection -----------------------------------------------------------------------------


def test_the_highest_scores_are_selected_highest_first():
    scores = torch.tensor([0.1, 0.9, 0.3, 0.8, 0.2])
    for seed in range(5):
        assert select(scores, 3, seed) == [1, 3, 2]
    assert select(scores, 99, 0) == [1, 3, 2, 4, 0]  # all there are


def test_ties_are_broken_uniformly_by_seed_and_never_by_place():
    scores = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a partial tie is no cause for a warning
        runs = [select(scores, 2, seed) for seed in range(2000)]
    assert {first for first, _ in runs} == {1}
    counts = [sum(second == i for _, second in runs) for i in (0, 2, 3, 4)]
    assert all(abs(count - 500) < 4 * math.sqrt(2000 * 0.25 * 0.75) for count in counts)
    assert select(scores, 2, 7) == select(scores, 2, 7)


def test_a_score_that_is_not_a_number_and_an_empty_budget_are_refused():
    with pytest.raises(MiniftError, match="the score of text 1 is nan"):
        select(torch.tensor([0.0, math.nan]), 1, 0)
    with pytest.raises(MiniftError, match="budget must be at least 1, got 0"):
        select(torch.tensor([0.0, 1.0]), 0, 0)
