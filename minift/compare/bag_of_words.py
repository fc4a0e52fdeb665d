"""Logistic regression on a bag of words: what the labels alone are worth, without pretraining.

Claim    The count of each word and pair of neighbours in a text, one weight each, learned in a
         second. What BERT adds to this, it brought along from its pretraining.
Differs  It is scikit-learn's `CountVectorizer(ngram_range=(1, 2))` and `LogisticRegression()`,
         the latter solved in minift/methods/solved_head.py: lower case, words of two letters or
         more, squared norm of the weights beside the summed loss, two classes share one weight.
Proof    tests/compare/test_bag_of_words.py
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from minift.data.examples import TextExample
from minift.errors import MiniftError
from minift.methods.solved_head import solve

_WORD = re.compile(r"\b\w\w+\b")


@dataclass(frozen=True)
class BagOfWords:
    """A fitted model."""

    vocabulary: dict[str, int]  # place of each known word or pair of neighbours
    weights: Tensor  # (classes, words)
    bias: Tensor  # (classes,)
    labels: tuple[str, ...]  # the classes

    def accuracy(self, examples: Sequence[TextExample]) -> float:
        """Return the share of texts whose class is right."""
        logits = _counts(examples, self.vocabulary) @ self.weights.T + self.bias
        classes: list[int] = logits.argmax(-1).tolist()
        return sum(self.labels[c] == e.label for c, e in zip(classes, examples)) / len(examples)


def fit_bag_of_words(examples: Sequence[TextExample], labels: Sequence[str]) -> BagOfWords:
    """Fit to the one optimum; a MiniftError says if no text has a word of two letters or more."""
    found = dict.fromkeys(feature for example in examples for feature in _features(example))
    vocabulary = {feature: place for place, feature in enumerate(found)}
    if not vocabulary:
        raise MiniftError("no text has a word of two letters or more, so the bag would be empty")
    target = torch.tensor([labels.index(example.label) for example in examples])
    best = solve(_counts(examples, vocabulary), target, len(labels), strength=1.0)
    return BagOfWords(vocabulary, best.weight, best.bias, tuple(labels))


def _features(example: TextExample) -> list[str]:
    found = []
    for text in filter(None, (example.text, example.text_b)):
        words = _WORD.findall(text.lower())
        found += words + [f"{one} {two}" for one, two in pairwise(words)]
    return found


def _counts(examples: Sequence[TextExample], vocabulary: dict[str, int]) -> Tensor:
    """Count the known words of each text: (texts, words) float64."""
    counts = torch.zeros(len(examples), len(vocabulary), dtype=torch.float64)
    for row, example in enumerate(examples):
        places = [vocabulary[f] for f in _features(example) if f in vocabulary]
        counts[row] = torch.tensor(places, dtype=torch.long).bincount(minlength=len(vocabulary))
    return counts
