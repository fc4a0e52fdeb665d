"""The CRF against a sum over every sequence of tags.

claim                                                     oracle
log Z, its gradient, marginals, Viterbi                   all labels^words sequences, one by one
-log p is >= 0 and the probabilities add up to 1          the same sum
a word that is open may have any label                    the sum over the sequences that agree
temperature is p ** (1 / T), normalised                   the same sum, scores divided by T
what stands behind the end is never read                  each sentence alone; nan behind the end
without transitions it is softmax, word by word           log_softmax, argmax
a tag that may not follow another never does              a forbidden transition (a hand case)
"""

from __future__ import annotations

import itertools

import pytest
import torch

from minift.compact.crf import Crf
from minift.training.batches import UNLABELLED

SIZES = [(words, labels) for words in (1, 2, 3, 4) for labels in (1, 2, 3)]


def random_crf(labels: int, seed: int = 0) -> Crf:
    source = torch.Generator().manual_seed(seed)
    crf = Crf(labels).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_(generator=source)
    return crf


def random_emissions(*shape: int, seed: int = 1) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def every_score(crf: Crf, emissions: torch.Tensor, temperature: float = 1.0):
    """All sequences of one sentence (words, labels), and the score of each, in plain loops."""
    words, labels = emissions.shape
    sequences = list(itertools.product(range(labels), repeat=words))
    scores = []
    for tags in sequences:
        score = crf.start[tags[0]] + crf.end[tags[-1]]
        for word, tag in enumerate(tags):
            score = score + emissions[word, tag]
        for before, after in itertools.pairwise(tags):
            score = score + crf.transitions[before, after]
        scores.append(score / temperature)
    return sequences, torch.stack(scores)


def full(words: int) -> torch.Tensor:
    return torch.ones(1, words, dtype=torch.bool)


def close(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("words,labels", SIZES)
def test_the_partition_function_and_its_gradients_are_those_of_the_sum_over_all_sequences(
    words, labels
):
    crf = random_crf(labels)
    emissions = random_emissions(words, labels).requires_grad_()
    inputs = [emissions, *crf.parameters()]
    wanted = every_score(crf, emissions)[1].logsumexp(0)
    wanted_gradients = torch.autograd.grad(wanted, inputs, allow_unused=True)
    got = crf.log_partition(emissions.unsqueeze(0), full(words))
    close(got, wanted.unsqueeze(0))
    got_gradients = torch.autograd.grad(got.sum(), inputs, allow_unused=True)
    for mine, theirs in zip(got_gradients, wanted_gradients):
        assert (mine is None) == (theirs is None)  # one word has no transition
        if theirs is not None:
            close(mine, theirs)


@pytest.mark.parametrize("words,labels", SIZES)
def test_viterbi_finds_the_sequence_with_the_highest_score_of_all(words, labels):
    for seed in range(5):
        crf = random_crf(labels, seed)
        emissions = random_emissions(words, labels, seed=seed + 100)
        sequences, scores = every_score(crf, emissions)
        best = crf.best(emissions.unsqueeze(0), full(words))[0].tolist()
        assert tuple(best) == sequences[int(scores.argmax())]


@pytest.mark.parametrize("words,labels", SIZES)
def test_negative_log_likelihood_is_that_of_the_sum_and_probabilities_add_up_to_one(words, labels):
    crf, emissions = random_crf(labels), random_emissions(words, labels)
    sequences, scores = every_score(crf, emissions)
    many = emissions.expand(len(sequences), -1, -1)
    mask = full(words).expand(len(sequences), -1)
    got = crf.negative_log_likelihood(many, torch.tensor(sequences), mask)
    close(got, scores.logsumexp(0) - scores)
    assert (got >= -1e-12).all()
    close((-got).exp().sum(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("words,labels", [(3, 3), (4, 2)])
def test_gradients_of_the_likelihood_are_those_of_the_sum(words, labels):
    crf = random_crf(labels)
    emissions = random_emissions(words, labels).requires_grad_()
    inputs = [emissions, *crf.parameters()]
    sequences, scores = every_score(crf, emissions)
    for chosen in (0, 5):
        wanted = torch.autograd.grad(
            scores.logsumexp(0) - scores[chosen], inputs, retain_graph=True
        )
        targets = torch.tensor([sequences[chosen]])
        loss = crf.negative_log_likelihood(emissions.unsqueeze(0), targets, full(words)).sum()
        for mine, theirs in zip(torch.autograd.grad(loss, inputs), wanted):
            close(mine, theirs)


def test_an_open_word_may_have_any_label():
    crf = random_crf(3)
    emissions = random_emissions(4, 3).requires_grad_()
    targets = [2, UNLABELLED, 0, UNLABELLED]
    sequences, scores = every_score(crf, emissions)
    agree = torch.tensor([tags[0] == 2 and tags[2] == 0 for tags in sequences])
    assert int(agree.sum()) == 9
    wanted = scores.logsumexp(0) - scores[agree].logsumexp(0)
    got = crf.negative_log_likelihood(emissions.unsqueeze(0), torch.tensor([targets]), full(4))[0]
    close(got, wanted)
    inputs = [emissions, *crf.parameters()]
    wanted_gradients = torch.autograd.grad(wanted, inputs)
    for mine, theirs in zip(torch.autograd.grad(got, inputs), wanted_gradients):
        close(mine, theirs)
    nothing = torch.full((1, 4), UNLABELLED)
    close(crf.negative_log_likelihood(emissions.unsqueeze(0), nothing, full(4)), 0 * wanted[None])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_marginals_are_sums_of_sequence_probabilities_at_the_temperature(temperature):
    crf = random_crf(3)
    emissions = random_emissions(4, 3).requires_grad_()
    sequences, scores = every_score(crf, emissions, temperature)
    probabilities = scores.softmax(0)
    wanted = torch.stack(
        [
            torch.stack(
                [sum(p for s, p in zip(sequences, probabilities) if s[w] == k) for k in range(3)]
            )
            for w in range(4)
        ]
    )
    got = crf.log_marginals(emissions.unsqueeze(0), full(4), temperature)[0]
    close(got.exp(), wanted)
    inputs = [emissions, *crf.parameters()]
    weights = random_emissions(4, 3, seed=9)
    wanted_gradients = torch.autograd.grad((wanted.log() * weights).sum(), inputs)
    for mine, theirs in zip(torch.autograd.grad((got * weights).sum(), inputs), wanted_gradients):
        close(mine, theirs)


@pytest.mark.parametrize("behind", [0.0, 1e6, float("nan"), float("inf")])
def test_what_stands_behind_the_end_of_a_sentence_is_never_read(behind):
    crf, lengths = random_crf(3), [3, 1, 4]
    alone = [random_emissions(n, 3, seed=n) for n in lengths]
    rectangle = torch.full((3, 4, 3), behind, dtype=torch.float64)
    mask = torch.zeros(3, 4, dtype=torch.bool)
    targets = torch.full((3, 4), 1)
    for row, (n, emissions) in enumerate(zip(lengths, alone)):
        rectangle[row, :n], mask[row, :n] = emissions, True
    targets[~mask] = 77
    rectangle.requires_grad_()
    losses = crf.negative_log_likelihood(rectangle, targets, mask)
    best, marginals = crf.best(rectangle, mask), crf.log_marginals(rectangle, mask)
    for row, (n, emissions) in enumerate(zip(lengths, alone)):
        one = emissions.unsqueeze(0)
        close(losses[row], crf.negative_log_likelihood(one, targets[row : row + 1, :n], full(n))[0])
        assert best[row, :n].tolist() == crf.best(one, full(n))[0].tolist()
        close(marginals[row, :n], crf.log_marginals(one, full(n))[0])
    gradient = torch.autograd.grad(losses.sum() + marginals.sum(), [rectangle, *crf.parameters()])
    assert all(g.isfinite().all() for g in gradient)
    assert (gradient[0][~mask] == 0).all()
    assert (best[~mask] == 0).all()


def test_without_transitions_it_is_softmax_word_by_word():
    crf, emissions = Crf(3).double(), random_emissions(2, 4, 3)
    mask = torch.ones(2, 4, dtype=torch.bool)
    for temperature in (1.0, 2.5):
        close(
            crf.log_marginals(emissions, mask, temperature),
            (emissions / temperature).log_softmax(2),
        )
    assert torch.equal(crf.best(emissions, mask), emissions.argmax(2))
    targets = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    wanted = -emissions.log_softmax(2).gather(2, targets.unsqueeze(2)).squeeze(2).sum(1)
    close(crf.negative_log_likelihood(emissions, targets, mask), wanted)


def test_a_forbidden_transition_turns_the_second_choice_into_the_best():
    crf = Crf(2).double()
    emissions = torch.tensor([[[1.0, 0.0], [0.0, 0.6]]], dtype=torch.float64)
    assert crf.best(emissions, full(2)).tolist() == [[0, 1]]  # 1.6
    with torch.no_grad():
        crf.transitions[0, 1] = -5.0
    assert crf.best(emissions, full(2)).tolist() == [[0, 0]]  # 1.0 beats 0.6 of (1, 1)
