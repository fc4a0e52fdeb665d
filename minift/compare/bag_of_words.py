"""Logistic regression on a bag of words: what the labels alone are worth, without pretraining.

Claim    The count of each word and pair of neighbours in a text, one weight each, learned in a
         second. What BERT adds to this, it brought along from its pretraining.
Differs  It is scikit-learn's `CountVectorizer(ngram_range=(1, 2))` and `LogisticRegression()`,
         restated in torch so that the demo needs neither: lower case, words of two letters or
         more, squared norm of the weights beside the summed loss, two classes share one weight.
Proof    tests/compare/test_bag_of_words.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from minift.data.examples import TextExample
from minift.errors import MiniftError

_WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True)
class BagOfWords:
    """A fitted model.

    Args:
        vocabulary: place of each known word or pair of neighbours.
        weights: (words, 1) for two classes, the second against the first; else (words, classes).
        bias: (1) or (classes).
        labels: the classes.
    """

    vocabulary: dict[str, int]
    weights: Tensor
    bias: Tensor
    labels: tuple[str, ...]

    def accuracy(self, examples: Sequence[TextExample]) -> float:
        """Return the share of texts whose class is right."""
        logits = _logits(_places(examples, self.vocabulary), self.weights, self.bias)
        classes: list[int] = logits.argmax(-1).tolist()
        return sum(self.labels[c] == e.label for c, e in zip(classes, examples)) / len(examples)


def fit_bag_of_words(examples: Sequence[TextExample], labels: Sequence[str]) -> BagOfWords:
    """Fit to convergence; there is one optimum, so no seed and nothing to choose.

    Raises:
        MiniftError: if no text has a word of two letters or more.
    """
    vocabulary: dict[str, int] = {}
    for example in examples:
        for feature in _features(example):
            vocabulary.setdefault(feature, len(vocabulary))
    if not vocabulary:
        raise MiniftError(
            "no text has a word of two letters or more; a bag of words would be empty"
        )
    classes = 1 if len(labels) == 2 else len(labels)
    places = _places(examples, vocabulary)
    target = torch.tensor([labels.index(example.label) for example in examples])
    weights = torch.zeros(len(vocabulary), classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights, bias], max_iter=1000, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = F.cross_entropy(_logits(places, weights, bias), target, reduction="sum")
        total = total + weights.square().sum() / 2
        total.backward()
        return total

    optimizer.step(loss)
    return BagOfWords(vocabulary, weights.detach(), bias.detach(), tuple(labels))


def _features(example: TextExample) -> list[str]:
    found = []
    for text in filter(None, (example.text, example.text_b)):
        words = _WORD.findall(text.lower())
        found += words + [f"{one} {two}" for one, two in pairwise(words)]
    return found


def _places(examples: Sequence[TextExample], vocabulary: dict[str, int]) -> list[Tensor]:
    known = [[vocabulary[f] for f in _features(e) if f in vocabulary] for e in examples]
    return [torch.tensor(places, dtype=torch.long) for places in known]


def _logits(places: Sequence[Tensor], weights: Tensor, bias: Tensor) -> Tensor:
    """Add up the weights of each text's words: (texts, classes)."""
    starts = torch.tensor([0, *(len(text) for text in places[:-1])]).cumsum(0)
    logits = F.embedding_bag(torch.cat(list(places)), weights, starts, mode="sum") + bias
    return logits if len(bias) > 1 else F.pad(logits, (1, 0))  # the first class has logit 0
