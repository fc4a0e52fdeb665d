"""Acquisition functions: how much would a label for this text teach the model?

Claim    Each score is a formula on a tensor of probabilities (passes, texts, classes): natural
         logarithm, float64 inside, 0 log 0 = 0. A higher score asks for a label first. Equal
         scores are ordered at random by seed, never by their place in the file.
Paper    BALD: Houlsby et al. (2011), https://arxiv.org/abs/1112.5745, as in Griesshaber et al.
         (2020), https://arxiv.org/abs/2012.02462. BatchBALD: Kirsch et al. (2019),
         https://arxiv.org/abs/1906.08158. The others: Settles (2009), "Active Learning
         Literature Survey", section 3.
Differs  - BALD below 1e-12 is 0: rounding errors would otherwise rank passes that agree.
         - BatchBALD is exact while the chosen texts have at most `configurations` joint labels,
           then estimated from as many sampled ones, as in the paper.
Proof    tests/active/test_acquisition.py
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from minift.errors import MiniftError, require

Score = Callable[[Tensor], Tensor]
_NOTHING = 1e-12  # nats; above the rounding of float64, far below any difference that matters


def random(probabilities: Tensor, seed: int) -> Tensor:
    """Score each text with a number drawn uniformly from [0, 1): the baseline."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(probabilities.shape[1], generator=generator, dtype=torch.float64)


def least_confidence(probabilities: Tensor) -> Tensor:
    """1 - p(most likely class)."""
    return 1 - _mean(probabilities).amax(-1)


def margin(probabilities: Tensor) -> Tensor:
    """1 - (p(most likely class) - p(second))."""
    first, second = _mean(probabilities).topk(2, dim=-1).values.unbind(-1)
    return 1 - (first - second)


def entropy(probabilities: Tensor) -> Tensor:
    """H[p], in nats: the uncertainty of the averaged prediction, whatever its cause."""
    return entropy_of(_mean(probabilities))


def bald(probabilities: Tensor) -> Tensor:
    """H[mean p] - mean H[p], in nats: what the passes disagree about, and labels could settle.

    In [0, log classes]; few passes bias it low, so scores of other numbers of passes do not
    compare.
    """
    checked = _checked(probabilities)
    gain = entropy_of(checked.mean(0)) - entropy_of(checked).mean(0)
    return torch.where(gain < _NOTHING, 0.0, gain)


def entropy_of(probabilities: Tensor) -> Tensor:
    """(..., classes) -> (...): -sum p log p, in nats."""
    return -torch.xlogy(probabilities, probabilities).sum(-1)


def _mean(probabilities: Tensor) -> Tensor:
    return _checked(probabilities).mean(0)


def _checked(probabilities: Tensor) -> Tensor:
    """Return float64 probabilities, or say which row is not a distribution."""
    shape = tuple(probabilities.shape)
    require(len(shape) == 3, "the shape of probabilities", shape, "(passes, texts, classes)")
    probabilities = probabilities.double()
    off = (probabilities.sum(-1) - 1).abs()
    wrong = ~(off < 1e-3) | (probabilities < 0).any(-1)  # nan is wrong, too
    if wrong.any():
        which, text = wrong.nonzero()[0].tolist()
        raise MiniftError(
            f"pass {which}, text {text}: {probabilities[which, text].tolist()} are "
            "not probabilities; give softmax outputs, not logits"
        )
    return probabilities


def batch_bald(
    probabilities: Tensor, count: int, seed: int, configurations: int = 1024, chunk: int = 4096
) -> tuple[list[int], list[float]]:
    """Choose `count` texts that tell most *together*: near-duplicates are not worth two labels.

    The probabilities (passes, texts, classes) are of `mc_predict(..., consistent=True)`, the same
    networks for all texts. At most `configurations` joint labels are kept; `chunk` bounds memory.
    Returns indices in the order of choice, and for each what it added, in nats.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(probabilities.shape[1], generator=generator)  # settles ties
    draws = _checked(probabilities).transpose(0, 1)[order]  # (texts, passes, classes)
    own_entropy = entropy_of(draws).mean(1)  # (texts,)
    share = draws.new_ones(1)  # (joint,) p(labels of the chosen texts)
    posterior = draws.new_full((1, draws.shape[1]), 1 / draws.shape[1])  # (joint, passes)
    chosen: list[int] = []
    gains: list[float] = []
    while len(chosen) < min(count, len(draws)):
        predicted = (torch.einsum("js,tsc->tjc", posterior, some) for some in draws.split(chunk))
        gain = torch.cat([entropy_of(p) @ share for p in predicted]) - own_entropy
        gain = torch.where(gain < _NOTHING, 0.0, gain)  # I(label; pass | chosen)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        gains.append(float(gain[best]))
        share, posterior = _labelled(share, posterior, draws[best], configurations, generator)
    return order[chosen].tolist(), gains


def _labelled(
    share: Tensor, posterior: Tensor, draws: Tensor, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Add each label a text can get to each joint labelling, by Bayes' rule.

    share (joint,) is the probability of each labelling so far, posterior (joint, passes) p(pass |
    labelling), draws (passes, classes) the text's. Of more than `most` labellings a sample stands
    for all.
    """
    both = (posterior.unsqueeze(-1) * draws).transpose(1, 2)  # (joint, classes, passes)
    evidence = both.sum(-1)
    share = (share.unsqueeze(-1) * evidence).flatten()
    posterior = (both / evidence.unsqueeze(-1)).flatten(0, 1)
    possible = share > 0
    share, posterior = share[possible], posterior[possible]
    if len(share) > most:
        kept = torch.multinomial(share, most, replacement=True, generator=generator)
        share, posterior = share.new_full((most,), 1 / most), posterior[kept]
    return share, posterior


def select(scores: Tensor, budget: int, seed: int) -> list[int]:
    """Return the indices of at most `budget` scores (texts,), the highest first, ties by `seed`."""
    require(budget >= 1, "the budget", budget, "at least 1")
    scores = scores.detach().double().cpu()
    if not scores.isfinite().all():
        first = int((~scores.isfinite()).nonzero()[0])
        raise MiniftError(f"the score of text {first} is {float(scores[first])}; expected a number")
    if len(scores) > 1 and scores.amin() == scores.amax():
        warnings.warn(
            f"all {len(scores)} scores are {float(scores[0]):g}, so the choice is random; "
            "a model without dropout gives every text the BALD score 0",
            stacklevel=2,
        )
    shuffled = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))
    return shuffled[scores[shuffled].argsort(descending=True, stable=True)][:budget].tolist()
