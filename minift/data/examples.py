"""What a data set is: examples with labels as the user wrote them.

Claim    Everything above this module (readers, batches, metrics, run folders) speaks of
         examples in these three classes and of nothing else.
Differs  Labels stay strings ("0", "positive", "B-PER") until a batch is made: an index is
         an implementation detail that no file, report or error message should show.
Proof    tests/data/test_examples.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

from minift.errors import MiniftError

Task = Literal["classification", "regression", "tagging"]


@dataclass(frozen=True)
class TextExample:
    """One text, or a pair of texts, with its label.

    Args:
        id: unique within its split; readers take the file's `id` column or number the rows.
        text: the text, as it stands in the file.
        label: class name for classification, number for regression, None if unlabelled.
        text_b: second text of a pair, or None.
    """

    id: str
    text: str
    label: str | float | None = None
    text_b: str | None = None


@dataclass(frozen=True)
class TaggedExample:
    """One sentence of words, each with its tag.

    Args:
        id: unique within its split.
        words: the words, never empty.
        tags: one tag a word, in IOB2 ("O", "B-PER", "I-PER"), or None if unlabelled.
        offsets: (start, end) of each word in the text it was cut from, or None.
    """

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None = None
    offsets: tuple[tuple[int, int], ...] | None = None

    def __post_init__(self) -> None:
        if self.tags is not None and len(self.tags) != len(self.words):
            raise ValueError(
                f"sentence {self.id}: {len(self.words)} words but {len(self.tags)} tags; "
                "each word needs exactly one tag"
            )

    def joined(self) -> tuple[str, tuple[tuple[int, int], ...]]:
        """Return the words joined by blanks, and where each word stands in that text.

        >>> TaggedExample("1", ("in", "Oslo")).joined()
        ('in Oslo', ((0, 2), (3, 7)))
        """
        starts = accumulate((len(word) + 1 for word in self.words), initial=0)
        offsets = tuple((start, start + len(word)) for start, word in zip(starts, self.words))
        return " ".join(self.words), offsets


Example = TextExample | TaggedExample


@dataclass(frozen=True)
class Dataset:
    """Three splits of examples and what is to be predicted.

    Args:
        name: short name, e.g. "sst2" or the name of the training file.
        task: "classification", "regression" or "tagging".
        labels: class names or IOB2 tags in the order of the logits; empty for regression.
        train, dev, test: examples; dev and test may be empty.
        metric: name of the headline metric (see `minift.data.metrics`).
        notes: what the reader noticed and a user should know ("9 duplicate texts in train").
    """

    name: str
    task: Task
    labels: tuple[str, ...]
    train: tuple[Example, ...]
    dev: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    metric: str = "accuracy"
    notes: tuple[str, ...] = field(default=())

    def with_train(self, train: tuple[Example, ...]) -> Dataset:
        """Return the same data set with another training split (labels stay as they are)."""
        return replace(self, train=train)


def as_texts(examples: Iterable[Example]) -> list[TextExample]:
    """Return the examples as texts.

    Raises:
        MiniftError: if one is a tagged sentence.
    """
    found = []
    for example in examples:
        if not isinstance(example, TextExample):
            raise MiniftError(
                f"example {example.id} is a sentence of tagged words where a text was expected; "
                'read such data as task "tagging"'
            )
        found.append(example)
    return found


def as_sentences(examples: Iterable[Example]) -> list[TaggedExample]:
    """Return the examples as sentences of words, tagged or not.

    Raises:
        MiniftError: if one is a text.
    """
    found = []
    for example in examples:
        if not isinstance(example, TaggedExample):
            raise MiniftError(
                f"example {example.id} is a text where a sentence of words was expected; "
                'read such data as task "classification" or "regression"'
            )
        found.append(example)
    return found


def gold_classes(examples: Iterable[Example]) -> list[str]:
    """Return the class of each text.

    Raises:
        MiniftError: if one is unlabelled, or no text.
    """
    return [str(_known(example.label, example.id)) for example in as_texts(examples)]


def gold_numbers(examples: Iterable[Example]) -> list[float]:
    """Return the number of each text of a regression.

    Raises:
        MiniftError: if one is unlabelled, or no text.
    """
    return [float(_known(example.label, example.id)) for example in as_texts(examples)]


def gold_tags(examples: Iterable[Example]) -> list[tuple[str, ...]]:
    """Return the tags of each sentence.

    Raises:
        MiniftError: if one is unlabelled, or no sentence.
    """
    found = []
    for example in as_sentences(examples):
        if example.tags is None:
            raise _unlabelled(example.id)
        found.append(example.tags)
    return found


def _known(label: str | float | None, id: str) -> str | float:
    if label is None:
        raise _unlabelled(id)
    return label


def _unlabelled(id: str) -> MiniftError:
    return MiniftError(
        f"example {id} has no label; only labelled examples can be scored or counted, "
        "so label it or leave it out"
    )


def is_labelled(examples: Iterable[Example]) -> bool:
    """True if every example has a label."""
    return all((e.tags if isinstance(e, TaggedExample) else e.label) is not None for e in examples)
