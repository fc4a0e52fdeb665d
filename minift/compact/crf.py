"""A linear-chain conditional random field: the best tag of a word depends on its neighbours'.

Claim    score(tags) = start[first] + sum of emissions + sum of transitions + end[last], and
         p(tags) = exp(score) / Z over all sequences of tags. Z, the probability of each tag of
         each word and the best sequence take words x labels^2 steps, not labels^words.
Paper    Lafferty, McCallum & Pereira (2001), "Conditional Random Fields", ICML.
Differs  - A word without a label (`UNLABELLED`) may have any: the likelihood is then that of all
           sequences that agree with the labels there are.
         - `temperature` divides every score, that of a transition too: p(tags) ** (1 / T),
           normalised. Without transitions this is softmax(emissions / T), word by word.
         - All scores begin at 0, so training begins at the softmax tagger.
Proof    tests/compact/test_crf.py

Sentences stand in a rectangle (sentences, longest, labels) with a mask (sentences, longest)
that is True for words. What stands where the mask is False is never read.
"""

import torch
from torch import Tensor, nn

from minift.training.batches import UNLABELLED


class Crf(nn.Module):
    """The scores of neighbouring tags, and what follows from them."""

    def __init__(self, labels: int):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(labels))
        self.transitions = nn.Parameter(torch.zeros(labels, labels))  # [tag, next tag]
        self.end = nn.Parameter(torch.zeros(labels))

    def log_partition(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return log Z, (sentences,): the log of the sum of exp(score) over all sequences."""
        emissions = emissions.masked_fill(~mask.unsqueeze(2), 0.0)
        return (self._forwards(emissions, mask)[:, -1] + self.end).logsumexp(1)

    def negative_log_likelihood(self, emissions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Return -log p(targets), (sentences,); a target may be `UNLABELLED`, which allows any."""
        labels = torch.arange(emissions.shape[2], device=emissions.device)
        allowed = (targets.unsqueeze(2) == labels) | (targets == UNLABELLED).unsqueeze(2)
        agreeing = emissions.masked_fill(~allowed, float("-inf"))
        both = self.log_partition(torch.cat([emissions, agreeing]), torch.cat([mask, mask]))
        every, some = both.chunk(2)
        return every - some

    def log_marginals(self, emissions: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
        """Return log p(tag of word), (sentences, longest, labels), 0 where there is no word."""
        emissions = emissions.masked_fill(~mask.unsqueeze(2), 0.0) / temperature
        forwards = self._forwards(emissions, mask, temperature)
        joint = forwards + self._backwards(emissions, mask, temperature)
        return joint.log_softmax(2).masked_fill(~mask.unsqueeze(2), 0.0)

    def best(self, emissions: Tensor, mask: Tensor) -> Tensor:
        """Return the most likely sequence (Viterbi), (sentences, longest), 0 where no word is."""
        emissions = emissions.masked_fill(~mask.unsqueeze(2), 0.0)
        stay = torch.arange(emissions.shape[2], device=emissions.device)
        score, came_from = self.start + emissions[:, 0], []
        for t in range(1, emissions.shape[1]):
            real = mask[:, t : t + 1]
            step, previous = (score.unsqueeze(2) + self.transitions).max(1)
            came_from.append(torch.where(real, previous, stay))  # behind the end nothing moves
            score = torch.where(real, step + emissions[:, t], score)
        tags = [(score + self.end).argmax(1)]
        for previous in reversed(came_from):
            tags.append(previous.gather(1, tags[-1].unsqueeze(1)).squeeze(1))
        return torch.stack(tags[::-1], 1).masked_fill(~mask, 0)

    def _forwards(self, emissions: Tensor, mask: Tensor, temperature: float = 1.0) -> Tensor:
        """Sum over the sequences that end in each tag of each word, that word included."""
        transitions = self.transitions / temperature
        scores = [self.start / temperature + emissions[:, 0]]
        for t in range(1, emissions.shape[1]):
            step = (scores[-1].unsqueeze(2) + transitions).logsumexp(1) + emissions[:, t]
            scores.append(torch.where(mask[:, t : t + 1], step, scores[-1]))
        return torch.stack(scores, 1)

    def _backwards(self, emissions: Tensor, mask: Tensor, temperature: float) -> Tensor:
        """Sum over what may follow each tag of each word, that word not included."""
        transitions = self.transitions / temperature
        end = (self.end / temperature).expand(emissions.shape[0], -1)
        scores = [end]
        for t in range(emissions.shape[1] - 1, 0, -1):
            step = (transitions + (emissions[:, t] + scores[-1]).unsqueeze(1)).logsumexp(2)
            scores.append(torch.where(mask[:, t : t + 1], step, end))
        return torch.stack(scores[::-1], 1)
