"""The right answers of examples, in the one type that the task at hand works with.

Claim    A data set holds texts or tagged sentences, labelled or not. Whoever needs one kind
         asks here once: what comes back is of that kind throughout, or a `MiniftError` names
         the first example that is not.
Differs  Class names are strings and the numbers of a regression are floats, also where an
         example was made by hand with a number for a class or a string for a number.
Proof    tests/data/test_gold.py
"""

from __future__ import annotations

from collections.abc import Iterable

from minift.data.examples import Example, TaggedExample, TextExample
from minift.errors import MiniftError


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
