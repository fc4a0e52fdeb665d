"""What a batch file says, row by row: which text is meant, and is the answer one we can use?

Claim    A row gives an answer only if its text is a text of the project, word for word, and its
         label one of the project's labels. Any other row becomes one sentence that says what is
         wrong, where, and what to do; the rows around it count all the same.
Differs  - A row is known by its id. If the id is missing or not of this project, its text says
           which one it is, if only one text of the project reads so.
         - Texts are compared with \\r\\n as \\n, which spreadsheets exchange freely.
         - A label may differ in case and outer blanks ("TRUE" is what Excel makes of "true").
         - The same label twice is one answer. Where one person labels a text and another skips
           it, the label counts and the skip is dropped.
Proof    tests/label/test_exchange.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from reprlib import repr as short

from minift.data.examples import Example, TaggedExample
from minift.data.tags import types_of
from minift.errors import nearest
from minift.label.formats.spans import Mark, match, tags_of

LABELS_SHOWN = 12


@dataclass(frozen=True)
class Question:
    """A text somebody is asked about.

    Args:
        example: the text; its label is not looked at.
        score: why it was chosen.
        guess: what the model says: a class, or an IOB2 tag for each word.
        confidence: probability of the guess.
    """

    example: Example
    score: float | None = None
    guess: str | tuple[str, ...] | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Answer:
    """What somebody said about a text.

    Args:
        id: the text.
        label: a class, an IOB2 tag for each word, or None if it was set aside on purpose.
        where: in which file and where in it, for messages.
    """

    id: str
    label: str | list[str] | None
    where: str


@dataclass(frozen=True)
class Imported:
    """What a batch file holds.

    Args:
        answers: all that can be used, in the order of the file.
        problems: a sentence for each thing that cannot, or that somebody should look at.
        unanswered: ids of the texts in it that nobody has answered yet.
    """

    answers: tuple[Answer, ...]
    problems: tuple[str, ...]
    unanswered: tuple[str, ...]


def texts_of(example: Example) -> tuple[str, ...]:
    """Return what a person is shown: the text, or both of a pair, or the words with blanks."""
    if isinstance(example, TaggedExample):
        return (" ".join(example.words),)
    return (example.text,) if example.text_b is None else (example.text, example.text_b)


@dataclass
class Reading:
    """A batch file being read: each reader tells it what it finds.

    Args:
        name: of the file, for messages.
        examples: the texts of the project by id.
        labels: classes, or IOB2 tags.
        shown: the strings by which the file shows an example.
    """

    name: str
    examples: Mapping[str, Example]
    labels: Sequence[str]
    shown: Callable[[Example], tuple[str, ...]] = texts_of
    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unanswered: dict[str, None] = field(default_factory=dict)
    _by_text: dict[tuple[str, ...], list[str]] | None = None

    def fault(self, where: str, what: str) -> None:
        """Note what is wrong with a row."""
        self.problems.append(f"{self.name}: {where}: {what}")

    def find(self, where: str, id: object, texts: Sequence[object]) -> Example | None:
        """Return the example a row is about, or None after saying why there is none."""
        known = isinstance(id, (str, int)) and not isinstance(id, bool)
        example = self.examples.get(str(id)) if known else None
        if example is None and known:
            example = self.examples.get(str(id).strip())
        strings = [text for text in texts if isinstance(text, str)]
        if not strings or len(strings) < len(texts):
            self.fault(where, f"the text is missing, got {short(texts)}; leave it in the file")
            return None
        given = _comparable(strings)
        if example is None:
            return self._find_by_text(where, id, given)
        expected = _comparable(self.shown(example))
        if given != expected:
            self.fault(
                where,
                f"the text of {example.id!r} was changed: expected {_differing(expected, given)}; "
                "its answer is left out. Label it again, with the text as it was",
            )
            return None
        return example

    def _find_by_text(self, where: str, id: object, given: tuple[str, ...]) -> Example | None:
        if self._by_text is None:
            self._by_text = {}
            for key, example in self.examples.items():
                self._by_text.setdefault(_comparable(self.shown(example)), []).append(key)
        same = self._by_text.get(given, [])
        if len(same) == 1:
            return self.examples[same[0]]
        named = "no id" if id is None else f"the id {short(id)}, which is not of this project"
        reason = (
            f"{len(same)} texts of it read the same" if same else "its text is not of it either"
        )
        self.fault(where, f"it has {named}, and {reason}; is this the file of another project?")
        return None

    def leave_open(self, example: Example) -> None:
        """Note that nobody has answered yet."""
        self.unanswered[example.id] = None

    def skip(self, where: str, example: Example) -> None:
        """Note that somebody set the text aside on purpose."""
        self._answer(where, example, None)

    def choose(self, where: str, example: Example, label: object) -> None:
        """Take a class as the answer."""
        found = match(label, self.labels)
        if found is None:
            shown = ", ".join(self.labels[:LABELS_SHOWN])
            shown += ", ..." if len(self.labels) > LABELS_SHOWN else ""
            self.fault(
                where,
                f"text {example.id!r}: {short(label)} is no label; labels are {shown}"
                f"{nearest(str(label), self.labels)}",
            )
        else:
            self._answer(where, example, found)

    def mark(self, where: str, example: TaggedExample, marks: Sequence[Mark], utf16: bool) -> None:
        """Take spans of characters as the answer; see `tags_of`."""
        tags, faults = tags_of(example.words, marks, self.labels, utf16)
        for fault in faults:
            self.fault(where, f"text {example.id!r}: {fault}")
        if not faults:
            self._answer(where, example, tags)

    def tag(self, where: str, example: TaggedExample, tags: list[str]) -> None:
        """Take checked tags as the answer."""
        self._answer(where, example, tags)

    def _answer(self, where: str, example: Example, label: str | list[str] | None) -> None:
        self.answers.append(Answer(example.id, label, f"{self.name}: {where}"))

    def result(self) -> Imported:
        """Return what was found, each text with its different answers once."""
        labelled = {answer.id for answer in self.answers if answer.label is not None}
        kept: list[Answer] = []
        latest: dict[str, Answer] = {}
        for answer in self.answers:
            before = latest.get(answer.id)
            if answer.label is None and answer.id in labelled:
                continue
            if before is not None and before.label == answer.label:
                continue
            if before is not None:
                self.problems.append(
                    f"{answer.where}: text {answer.id!r} is {_said(answer)} here but "
                    f"{_said(before)} at {before.where}; both are kept and the later one counts. "
                    "See which is right"
                )
            latest[answer.id] = answer
            kept.append(answer)
        still_open = tuple(id for id in self.unanswered if id not in latest)
        return Imported(tuple(kept), tuple(self.problems), still_open)


def _said(answer: Answer) -> str:
    if isinstance(answer.label, list):
        counts = Counter(types_of(answer.label))
        found = ", ".join(f"{count} {type_}" for type_, count in counts.items())
        return f"{' '.join(answer.label)} ({found or 'no entity'})"
    return str(answer.label)


def _comparable(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.replace("\r\n", "\n") for text in texts)


def _differing(expected: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Show both texts around the first place where they differ."""
    if len(expected) != len(given):
        return f"{short(expected)}, got {short(given)}"
    one, other = next((a, b) for a, b in zip(expected, given) if a != b)
    at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    start = max(0, at - 10)
    return f"{one[start : at + 10]!r} at character {start + 1}, got {other[start : at + 10]!r}"
