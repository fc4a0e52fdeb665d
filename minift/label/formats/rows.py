"""What a batch file says, row by row: which text is meant, and is the answer one we can use?

Claim    A row gives an answer only if its text is a text of the project, word for word, and its
         label one of the project's labels. Any other row becomes one sentence that says what is
         wrong, where, and what to do; the rows around it count all the same.
Differs  - A row is known by its id. If the id is missing or not of this project, its text says
           which one it is, if only one text of the project reads so.
         - Texts are compared with \\r\\n as \\n, which spreadsheets exchange freely.
         - A label may differ in case and outer blanks ("TRUE" is what Excel makes of "true").
         - The same label twice by one person is one answer. Where one person labels a text and
           another skips it, the label counts and the skip is dropped.
Proof    tests/label/test_exchange.py
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from reprlib import repr as short
from typing import Any, NamedTuple

from minift.data.examples import NONE, Example, TaggedExample, joined, texts_of
from minift.data.files.exports import Fault, Row, Said, several_classes
from minift.data.spans import match, tags_in
from minift.data.tags import word_places
from minift.errors import nearest
from minift.label.ledger import Label

LABELS_SHOWN = 12
UNTAGGED = ("?", "")  # what a word has that nobody has tagged yet


class Question(NamedTuple):
    """A text somebody is asked about."""

    example: Example  # its label is not looked at
    score: float | None = None  # why it was chosen
    guess: str | tuple[str, ...] | None = None  # a class, several, or an IOB2 tag for each word
    confidence: float | None = None  # probability of the guess


def shown_guess(question: Question) -> str | None:
    """Return a guess as a file shows it: a class, "a|b", or the tags of the words."""
    guess, tags = question.guess, isinstance(question.example, TaggedExample)
    return None if guess is None else " ".join(guess) if tags else joined(guess)


class Answer(NamedTuple):
    """What somebody said about a text."""

    id: str
    label: Label | None  # None if it was set aside on purpose
    where: str  # in which file and where in it, for messages
    by: str = ""  # the person, as the file calls them, if it does


class Imported(NamedTuple):
    """What a batch file holds."""

    answers: tuple[Answer, ...]  # all that can be used, in the order of the file
    problems: tuple[str, ...]  # a sentence for each thing that somebody should look at
    unanswered: tuple[str, ...]  # ids of the texts in it that nobody has answered yet


def as_list(records: Iterable[dict[str, Any]]) -> str:
    """Return a JSON list, one record per line, in ASCII, which no tool or locale can change."""
    body = ",\n".join(json.dumps(record) for record in records)
    return f"[\n{body}\n]\n" if body else "[]\n"


def named_texts(example: Example) -> dict[str, str]:
    """Return the text as "text", and the second one of a pair as "text_b"."""
    return dict(zip(("text", "text_b"), texts_of(example)))


def match_rows(
    rows: Iterable[Row | Fault],
    name: str,
    examples: Mapping[str, Example],
    labels: Sequence[str],
    shown: Callable[[Example], tuple[str, ...]] = texts_of,
    several: bool = False,
) -> Imported:
    """Match what a file says, which shows texts as `shown`; they may have `several` labels."""
    answers, faults, unanswered = list[Answer](), list[Fault](), dict[str, None]()
    by_text = defaultdict[tuple[str, ...], list[Example]](list)
    rows = list(rows)  # a file that cannot be read is refused first
    for example in examples.values():
        by_text[_comparable(shown(example))].append(example)
    for row in rows:
        if isinstance(row, Fault):
            faults.append(row)
            continue
        found = _find(row, examples, by_text, shown)
        if isinstance(found, Fault):
            faults.append(found)
            continue
        if not row.said:
            unanswered[found.id] = None
        for said in row.said:
            label, wrong = _label(said, found, labels, several)
            faults += [Fault(place, f"text {found.id!r}: {what}") for place, what in wrong]
            if not wrong:
                answers.append(Answer(found.id, label, f"{name}: {said.where}", said.by))
    kept = _once(answers)
    problems = tuple(f"{name}: {fault.where}: {fault.what}" for fault in faults)
    answered = {answer.id for answer in kept}
    return Imported(tuple(kept), problems, tuple(id for id in unanswered if id not in answered))


def _find(
    row: Row,
    examples: Mapping[str, Example],
    by_text: Mapping[tuple[str, ...], list[Example]],
    shown: Callable[[Example], tuple[str, ...]],
) -> Example | Fault:
    """Return the example that a row is about, or why there is none."""
    names = (str(row.id), str(row.id).strip()) if type(row.id) in (str, int) else ()
    example = next((examples[name] for name in names if name in examples), None)
    strings = [text for text in row.texts if isinstance(text, str)]
    given = _comparable(strings)
    if not strings or len(strings) < len(row.texts):
        what = f"the text is missing, got {short(list(row.texts))}; leave it in the file"
    elif example is not None:
        expected = _comparable(shown(example))
        if given == expected:
            return example
        what = (
            f"the text of {example.id!r} was changed: expected {_differing(expected, given)}; its "
            "answer is left out. Label it again, with the text as it was"
        )
    else:
        same = by_text.get(given, [])
        if len(same) == 1:
            return same[0]
        id = "no id" if row.id is None else f"the id {short(row.id)}, which is not in this project"
        why = f"{len(same)} texts of it read the same" if same else "its text is not in it either"
        what = f"it has {id}, and {why}; is this the file of another project?"
    return Fault(row.where, what)


def _label(
    said: Said, example: Example, labels: Sequence[str], several: bool
) -> tuple[Label | None, list[tuple[str, str]]]:
    """Return the label (None: set aside), and (place, what is wrong) of each fault."""
    label: Label | None = None
    faults = [said.unclear] if said.unclear else []
    if said.classes is not None:
        found = {match(name, labels): name for name in said.classes or [NONE]}
        unknown = found.get(None)
        if len(said.classes) > 1 and not several:
            faults = [several_classes(said.classes)]
        elif None in found and not (said.or_skip and len(found) == 1):
            shown = ", ".join(labels[:LABELS_SHOWN]) + ", ..." * (len(labels) > LABELS_SHOWN)
            hint = nearest(str(unknown), labels)
            faults = [f"{short(unknown)} is not a label; labels are {shown}{hint}"]
        elif several and NONE in found and len(found) > 1:
            faults = [f'{short(list(said.classes))}: "{NONE}" says that no other label applies']
        elif None not in found:
            names = [name for name in labels if name in found]
            label = names if several else names[0]
    elif isinstance(example, TaggedExample) and said.marks is not None:
        [text], where = texts_of(example), word_places(example.words)
        label, faults = tags_in(text, where, said.marks, labels, said.utf16)
    elif isinstance(example, TaggedExample) and said.tags is not None:
        label = [str(match(tag, labels)) for _, tag in said.tags]
        return label, list(_tag_faults(said.tags, example.words, labels))
    return label, [(said.where, fault) for fault in faults]


def _tag_faults(
    tags: Sequence[tuple[str, str]], words: Sequence[str], labels: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield (place, what is wrong) of each tag that cannot be used."""
    before = "O"
    for (place, written), word in zip(tags, words):
        tag = match(written, labels)
        if written in UNTAGGED:
            yield place, f"{word!r} is still to be tagged; tag all words or none"
        elif tag is None:
            hint = nearest(written, labels)
            yield place, f"{written!r} is not a tag; tags are {', '.join(labels)}{hint}"
        elif tag.startswith("I-") and before[2:] != tag[2:]:
            yield place, f'{tag} continues nothing; an entity begins with "B{tag[1:]}"'
        before = tag or f"B-{written[2:]}"


def _once(answers: Sequence[Answer]) -> list[Answer]:
    """Return what each person said of each text, without what is repeated."""
    labelled = {answer.id for answer in answers if answer.label is not None}
    latest: dict[tuple[str, str], Label | None] = {}
    kept: list[Answer] = []
    for answer in answers:
        who, skipped = (answer.id, answer.by), answer.label is None
        if latest.get(who, ()) != answer.label and not (skipped and answer.id in labelled):
            latest[who] = answer.label
            kept.append(answer)
    return kept


def _comparable(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text.replace("\r\n", "\n") for text in texts)


def _differing(expected: tuple[str, ...], given: tuple[str, ...]) -> str:
    """Show both texts around the first place where they differ."""
    if len(expected) != len(given):
        return f"{short(expected)}, got {short(given)}"
    one, other = next((a, b) for a, b in zip(expected, given) if a != b)
    at = next(i for i, (a, b) in enumerate(zip_longest(one, other)) if a != b)
    start = max(0, at - 10)
    return f"{one[start : at + 10]!r} at character {start + 1}, got {other[start : at + 10]!r}"
