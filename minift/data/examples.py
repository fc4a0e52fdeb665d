"""What a data set is: examples with labels as the user wrote them.

Claim    Everything above this module (readers, batches, metrics, run folders) speaks of
         examples in these three classes and of nothing else.
Differs  Labels stay strings ("0", "positive", "B-PER") until a batch is made: an index is
         an implementation detail that no file, report or error message should show.
Proof    tests/data/test_examples.py
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from minift.data.words import as_words, counted
from minift.errors import MiniftError, require_known

Task = Literal["classification", "multilabel", "regression", "tagging"]
METRICS: dict[str, tuple[str, ...]] = {  # task -> its headline metrics, the default first
    "classification": ("accuracy", "macro_f1", "f1", "matthews"),
    # the micro F1 first: of few test texts the F1 of a rare label, as much in the macro, is noise
    "multilabel": ("micro_f1", "macro_f1"),
    "regression": ("pearson_spearman",),
    "tagging": ("entity_f1",),
}
MAJORITY = 0.8  # share of the largest class from which on macro F1 is the headline score


@dataclass(frozen=True)
class TextExample:
    """One text, or a pair, with the name of its class, or its number, or None if unlabelled."""

    id: str  # unique within its split
    text: str
    label: str | float | tuple[str, ...] | None = None  # a tuple, sorted, is of several; () of none
    text_b: str | None = None
    group: str | None = None  # what it belongs to, such as a document: folds part no group

    def __post_init__(self) -> None:
        if not (isinstance(self.text, str) and isinstance(self.text_b, str | None)):
            got = f"{self.text!r:.50} and {self.text_b!r:.50}"
            raise MiniftError(f"example {self.id} has the texts {got}; expected strings")
        if isinstance(self.label, tuple | list | set | frozenset):
            object.__setattr__(self, "label", tuple(sorted(set(map(str, self.label)))))


@dataclass(frozen=True)
class TaggedExample:
    """One sentence of words with a tag for each in IOB2 ("O", "B-PER"), or None if unlabelled."""

    id: str  # unique within its split
    words: tuple[str, ...]  # never empty
    tags: tuple[str, ...] | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", as_words(self.words))
        if self.tags is not None and len(self.tags) != len(self.words):
            got = f"{counted(len(self.words), 'word')} but {counted(len(self.tags), 'tag')}"
            raise MiniftError(f"sentence {self.id}: {got}; each word needs exactly one tag")


Example = TextExample | TaggedExample
SEPARATOR, NONE = "|", "none"  # of the labels of one text; what says that it has none of them
T = TypeVar("T", TextExample, TaggedExample)


@dataclass(frozen=True)
class Dataset:
    """Three splits of examples, of which dev and test may be empty, and what is predicted."""

    name: str
    task: Task
    labels: tuple[str, ...]  # classes or IOB2 tags in the order of the logits; () for regression
    train: tuple[Example, ...]
    dev: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    metric: str = ""  # the headline score; "": the first of the task, or see `MAJORITY`
    notes: tuple[str, ...] = ()  # what a user should know: "9 duplicate texts in train"
    positive: str | None = None  # the class whose F1 is the headline score, if one is named

    def __post_init__(self) -> None:
        require_known("task", self.task, METRICS)
        object.__setattr__(self, "labels", tuple(map(str, self.labels)))
        for split in ("train", "dev", "test"):
            object.__setattr__(self, split, tuple(map(_example, getattr(self, split))))
        if self.positive is not None:
            if self.task != "classification":
                raise MiniftError(f"positive= names a class, and {self.name} is for {self.task}")
            require_known("positive class", self.positive, self.labels)
            object.__setattr__(self, "metric", "f1")
        if self.task == "classification" and not self.metric:
            for name, n in Counter(filter(None, map(label_of, self.train))).most_common(1):
                if n > MAJORITY * len(self.train):
                    most = f'{n} of {len(self.train)} training examples are "{name}"'
                    note = f"{most}: accuracy says little, macro F1 more"
                    object.__setattr__(self, "notes", (*self.notes, note))
                    object.__setattr__(self, "metric", "macro_f1")
        object.__setattr__(self, "metric", self.metric or METRICS[self.task][0])
        require_known(f"{self.task} metric", self.metric, METRICS[self.task])
        wanted = "none" if self.task == "regression" else "at least one, each once"
        if bool(self.labels) == (wanted == "none") or len(set(self.labels)) < len(self.labels):
            raise MiniftError(f"got the labels {self.labels} for {self.task}; expected {wanted}")
        wrong = [name for name in self.labels if SEPARATOR in name or name.casefold() == NONE]
        if wrong and self.task == "multilabel":
            what = f'"{SEPARATOR}" stands between labels, and "{NONE}" says that none applies'
            raise MiniftError(f'the label "{wrong[0]}": {what}; give it another name')


def _example(given: Example) -> Example:
    if not isinstance(given, TextExample | TaggedExample):
        expected = "a TextExample(id, text, label) or a TaggedExample(id, words, tags)"
        raise MiniftError(f"expected {expected}, got {given!r:.100}")
    return given


def as_texts(examples: Iterable[Example]) -> list[TextExample]:
    """Return the examples as texts; raises MiniftError if one is a sentence of words."""
    return [_as(TextExample, e) for e in examples]


def as_sentences(examples: Iterable[Example]) -> list[TaggedExample]:
    """Return the examples as sentences of words; raises MiniftError if one is a text."""
    return [_as(TaggedExample, e) for e in examples]


def _as(kind: type[T], example: Example) -> T:
    if isinstance(_example(example), kind):
        return cast(T, example)
    text, sentence = 'a text ("classification", "regression")', 'a sentence of words ("tagging")'
    got, expected = (text, sentence) if isinstance(example, TextExample) else (sentence, text)
    raise MiniftError(f"example {example.id} is {got}; expected {expected}: check the task")


def texts_of(example: Example) -> tuple[str, ...]:
    """Return what a person is shown: the text, or both of a pair, or the words with blanks."""
    if isinstance(example, TaggedExample):
        return (" ".join(example.words),)
    return (example.text,) if example.text_b is None else (example.text, example.text_b)


def has_pairs(dataset: Dataset) -> bool:
    """Return whether any training text of a data set comes with a second one."""
    return any(isinstance(e, TextExample) and e.text_b is not None for e in dataset.train)


def pairs_of(examples: Iterable[Example]) -> bool | None:
    """Return whether texts are pairs, or single; None if they are neither, or both."""
    found = {e.text_b is not None for e in examples if isinstance(e, TextExample)}
    return found.pop() if len(found) == 1 else None


def label_of(example: Example) -> str | float | tuple[str, ...] | None:
    """Return the label of a text, or the tags of a sentence."""
    return example.tags if isinstance(example, TaggedExample) else example.label


def joined(label: object) -> str:
    """Return a label, or the labels of a text in one string, as files have them."""
    return SEPARATOR.join(label) or NONE if isinstance(label, tuple | list) else str(label)


def is_labelled(examples: Iterable[Example]) -> bool:
    """Return whether there are examples, and each has a label."""
    labels = [*map(label_of, examples)]
    return bool(labels) and None not in labels


def gold_classes(examples: Iterable[Example]) -> list[str]:
    """Return the class of each text; raises MiniftError if one has none."""
    return [str(e.label) for e in _labelled(as_texts(examples))]


def gold_labels(examples: Iterable[Example]) -> list[tuple[str, ...]]:
    """Return the labels of each text, if any; raises MiniftError if one is not labelled."""
    given = (e.label for e in _labelled(as_texts(examples)))
    return [label if isinstance(label, tuple) else (str(label),) for label in given]


def gold_tags(examples: Iterable[Example]) -> list[tuple[str, ...]]:
    """Return the tags of each sentence; raises MiniftError if one has none."""
    return [e.tags for e in _labelled(as_sentences(examples)) if e.tags is not None]


def gold_of(task: Task, examples: Iterable[Example]) -> list[Any]:
    """Return for each example what a task has as its label; raises MiniftError as those above."""
    if task == "regression":
        return [*map(float, gold_classes(examples))]
    return {"tagging": gold_tags, "multilabel": gold_labels}.get(task, gold_classes)(examples)


def _labelled(examples: list[T]) -> list[T]:
    for e in examples:
        if not is_labelled([e]):
            raise MiniftError(f"example {e.id} has no label to be used; label it or leave it out")
    return examples
