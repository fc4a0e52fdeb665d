"""Files in, data set out: which format, which task, which labels, and what is amiss.

Claim    A file is either read exactly as it stands, or refused with its faults counted and the
         first five named by line. No row is lost, cut in two or repaired without a word: what
         a user should know but need not mend comes out in `Dataset.notes`.
Differs  Labels stay strings as they stand ("0.0", "negative"), and regression is never guessed.
         The formats themselves are in `lines`, `table_files`, `token_files` and `tags`.
Proof    tests/data/test_readers.py
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from reprlib import repr as short
from typing import get_args

from minift.data.examples import (
    Dataset,
    Example,
    TaggedExample,
    Task,
    TextExample,
    gold_classes,
    gold_tags,
)
from minift.data.files.lines import Problems, read_text, refuse, stream_text
from minift.data.files.tables import (
    LABEL_COLUMNS,
    TABLES,
    columns_of,
    json_sentences,
    read_table,
    text_examples,
)
from minift.data.files.tokens import parse_sentences, tagged_examples
from minift.data.tags import LETTERS, Invalid, Scheme, labels_of
from minift.errors import MiniftError, nearest

SUFFIXES = {
    "csv": (".csv",),
    "tsv": (".tsv",),
    "jsonl": (".jsonl", ".ndjson"),
    "conll": (".conll", ".bio", ".iob", ".txt"),  # one word a line
}
METRIC = {"classification": "accuracy", "regression": "pearson_spearman", "tagging": "entity_f1"}
ROWS = 1024  # of a table that are in memory at a time while it is streamed
MANY_CLASSES = 20  # more different integers than that may be amounts rather than classes


@dataclass(frozen=True)
class _Options:
    """How to read a file: the arguments of `read_examples`."""

    format: str | None
    task: Task | None
    text: str | None
    text_b: str | None
    label: str | None
    require_labels: bool
    label_first: bool
    scheme: Scheme | None
    invalid: Invalid

    def __post_init__(self) -> None:
        for name, known in (
            ("format", list(SUFFIXES)),
            ("task", get_args(Task)),
            ("scheme", list(LETTERS)),
            ("invalid", get_args(Invalid)),
        ):
            value = getattr(self, name)
            if value is not None and value not in known:
                hint = nearest(str(value), known)
                raise MiniftError(f'unknown {name} "{value}"; known: {", ".join(known)}{hint}')


@dataclass(frozen=True)
class _Content:
    """A file as read; `lines` has, for each example, the line of its label or of each tag."""

    path: Path
    examples: tuple[Example, ...]
    lines: tuple[tuple[int, ...], ...]
    scheme: Scheme | None
    notes: tuple[str, ...]


def read_examples(
    path: str | Path,
    *,
    format: str | None = None,
    task: Task | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label: str | None = None,
    require_labels: bool = True,
    label_first: bool = False,
    scheme: Scheme | None = None,
    invalid: Invalid = "begin",
    labels: Sequence[str] | None = None,
    notes: list[str] | None = None,
) -> tuple[Example, ...]:
    """Read one file.

    Args:
        format: "csv", "tsv", "jsonl" or "conll" (a token file); None goes by the suffix.
        task: "regression" makes labels finite floats; otherwise they stay strings.
        text, text_b, label: columns, where they are not named as in `table_files.TEXT_COLUMNS`
            and `LABEL_COLUMNS`; in a token file `text` and `label` are numbers from 1: "2".
        require_labels: a missing label is a fault; otherwise the label is None.
        label_first: in a token file the tag is the first column and the word the last.
        scheme: scheme of the tags; None detects it. Tags come out in IOB2.
        invalid: what becomes of entities whose tags break the scheme: "error" refuses the file,
            "begin" keeps each as an entity of its own, as the CoNLL script counts it, "discard"
            makes their words "O". The last two are counted in a note.
        labels: the labels a model knows; any other is a fault. None allows all.
        notes: a list that gets what was noticed and need not be mended, if given.

    Raises:
        MiniftError: one error for all the faults of the file.
    """
    options = _Options(
        format, task, text, text_b, label, require_labels, label_first, scheme, invalid
    )
    content = _read(path, options)
    if labels is not None:
        refuse(content.path, _unknown_labels(content, labels))
    if notes is not None:
        notes += [f"{content.path.name}: {note}" for note in content.notes]
    return content.examples


def stream_examples(
    path: str | Path,
    *,
    format: str | None = None,
    task: Task | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label_first: bool = False,
) -> Iterator[Example]:
    """Return the examples of a file to be answered, without labels, a few in memory at a time.

    A table is read three times: for its columns, for its faults, and for its texts, so that a
    fault on the last line is told before anything is answered. Two rows may have the same id.
    Text files are checked likewise. Token files, and what can be read only once, such as a pipe,
    are read whole.

    Args:
        format: as in `read_examples`, or "text": one text a line, blank ones passed over; so are
            files of no suffix and .txt read, unless `format` says otherwise.
        task, text, text_b, label_first: as in `read_examples`.

    Raises:
        MiniftError: one error for all the faults of the file.
    """
    path = Path(path)
    plain = format is None and path.suffix.lower() in ("", ".txt")
    if format == "text" or plain:
        if path.is_file():
            for _ in stream_text(path):
                pass
        return (TextExample(str(n), line) for n, line in stream_text(path) if line.strip())
    options = _Options(format, task, text, text_b, None, False, label_first, None, "begin")
    format = _format(path, options)
    if format not in TABLES or not path.is_file():
        whole = _read(path, options).examples
        return iter(whole)
    problems: Problems = []
    columns = columns_of(TABLES[format](path, problems))
    _check_task(path, format, columns, options, problems)
    problems.clear()  # they are found again, with those of the texts
    found = sum(len(examples) for examples in _unlabelled(path, format, columns, options, problems))
    refuse(path, problems)
    if not found:
        refuse(path, [(0, "there are no examples in it")])

    def answerable() -> Iterator[Example]:
        for examples in _unlabelled(path, format, columns, options, problems):
            refuse(path, problems)  # somebody has changed the file meanwhile
            yield from examples

    return answerable()


def _unlabelled(
    path: Path, format: str, columns: list[str], options: _Options, problems: Problems
) -> Iterator[Sequence[Example]]:
    """Yield the examples of a table, some at a time, as if it had no labels."""
    labels = {"tags", *LABEL_COLUMNS} - {options.text, options.text_b}
    kept = [column for column in columns if column not in labels]
    rows, first = TABLES[format](path, problems), 1
    while chunk := list(islice(rows, ROWS)):
        bare = [(line, {k: v for k, v in row.items() if k not in labels}) for line, row in chunk]
        if options.task in (None, "tagging") and "words" in columns:
            sentences = json_sentences(kept, bare, problems, require_labels=False, first=first)
            yield [TaggedExample(s.id, s.words) for s in sentences]
        else:
            texts = text_examples(
                kept, bare, problems, text=options.text, text_b=options.text_b,
                require_labels=False, first=first,
            )  # fmt: skip
            if any(line == 0 for line, _ in problems):  # the columns: once is enough
                return
            yield texts
        first += len(chunk)


def read_dataset(
    train: str | Path,
    dev: str | Path | None = None,
    test: str | Path | None = None,
    *,
    format: str | None = None,
    task: Task | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label: str | None = None,
    label_first: bool = False,
    scheme: Scheme | None = None,
    invalid: Invalid = "begin",
    name: str | None = None,
) -> Dataset:
    """Read up to three files as one data set; arguments as in `read_examples`.

    The labels are those of the training file, sorted (as numbers if all are integers); tags
    are "O" and a B-/I- pair for each type. Words with tags make the task "tagging", anything
    else "classification" unless `task` says otherwise. `test` may lack labels.

    Raises:
        MiniftError: a faulty file; one class only; a label that training lacks; labels such
            as 2.75 while `task` is None.
    """
    options = _Options(format, task, text, text_b, label, True, label_first, scheme, invalid)
    first = _read(train, options)
    if isinstance(first.examples[0], TaggedExample):
        task = "tagging"
    elif task is None:
        task = "classification"
        _refuse_amounts(first)
    labels = label_order(first.examples, task)
    if task != "regression" and len(labels) < 2:
        raise MiniftError(f"{first.path}: every label is {short(labels[0])}; expected two or more")

    options = replace(options, task=task, scheme=first.scheme)
    contents = {"train": first}
    if dev is not None:
        contents["dev"] = _read(dev, options)
    if test is not None:
        contents["test"] = _read(test, replace(options, require_labels=False))
    for content in contents.values():
        unknown = _unknown_labels(content, labels) if labels else []
        refuse(content.path, [*unknown, *_unlike(content, first)])

    splits = {split: content.examples for split, content in contents.items()}
    notes = [f"{content.path.name}: {n}" for content in contents.values() for n in content.notes]
    notes += _class_notes(first.examples) if task == "classification" else []
    notes += overlap_notes(**splits)
    name = name or first.path.stem
    return Dataset(name, task, labels, metric=METRIC[task], notes=tuple(notes), **splits)


def label_order(train: tuple[Example, ...], task: Task) -> tuple[str, ...]:
    """Return the labels of the training examples in the order of the logits; () for regression."""
    if task == "regression":
        return ()
    if task == "tagging":
        return labels_of(sorted({tag[2:] for tags in gold_tags(train) for tag in tags} - {""}))
    labels = sorted(set(gold_classes(train)))
    if all(re.fullmatch(r"[+-]?[0-9]{1,18}", label) for label in labels):
        labels.sort(key=int)
    return tuple(labels)


def overlap_notes(
    train: tuple[Example, ...], dev: tuple[Example, ...] = (), test: tuple[Example, ...] = ()
) -> list[str]:
    """Say how many training texts are repeated, and how many occur in dev or test again."""
    texts = {_text_of(example) for example in train}
    notes = []
    if repeated := len(train) - len(texts):
        notes.append(f"{repeated} duplicate texts in train")
    for split, examples in (("dev", dev), ("test", test)):
        if again := len(texts & {_text_of(example) for example in examples}):
            notes.append(f"{again} texts of train occur in {split}")
    return notes


def _text_of(example: Example) -> tuple[str | None, ...]:
    if isinstance(example, TaggedExample):
        return example.words
    return example.text, example.text_b


def _read(path: str | Path, options: _Options) -> _Content:
    """Read a file of any format, or raise one error with all its faults."""
    path = Path(path)
    format = _format(path, options)
    problems: Problems = []
    columns, rows = read_table(path, format, problems) if format in TABLES else ([], [])
    words = _check_task(path, format, columns, options, problems)

    examples: Sequence[Example]
    lines: list[tuple[int, ...]]
    scheme: Scheme | None = None
    notes: list[str] = []
    if words and options.task in (None, "tagging"):
        if format == "conll":
            sentences = parse_sentences(
                read_text(path),
                problems,
                word_column=_column_number("text", options.text),
                tag_column=_column_number("label", options.label),
                label_first=options.label_first,
                require_labels=options.require_labels,
            )
        else:
            required = options.require_labels
            sentences = json_sentences(columns, rows, problems, require_labels=required)
        examples, scheme, notes = tagged_examples(
            sentences, options.scheme, problems, options.invalid
        )
        lines = [sentence.lines for sentence in sentences]
    else:
        examples = text_examples(
            columns,
            rows,
            problems,
            text=options.text,
            text_b=options.text_b,
            label=options.label,
            require_labels=options.require_labels,
            numeric=options.task == "regression",
        )
        lines = [(line,) for line, _ in rows]
    _find_repeated_ids(examples, lines, problems)
    refuse(path, problems)
    if not examples:
        refuse(path, [(0, "there are no examples in it")])
    if unlabelled := sum(_labels_of(example) == (None,) for example in examples):
        notes.append(f"{unlabelled} of {len(examples)} examples have no label")
    return _Content(path, tuple(examples), tuple(lines), scheme, tuple(notes))


def _format(path: Path, options: _Options) -> str:
    """Tell the format of a file by the options, or by its suffix."""
    suffix = path.suffix.lower()
    format = options.format or next((f for f, known in SUFFIXES.items() if suffix in known), None)
    if format is None:
        known = ", ".join(f'"{format}"' for format in SUFFIXES)
        refuse(path, [(0, f'"{suffix}" does not tell the format; pass format= one of {known}')])
    assert format is not None
    return format


def _check_task(
    path: Path, format: str, columns: list[str], options: _Options, problems: Problems
) -> bool:
    """Return whether a file has words rather than texts; refuse what does not fit the task."""
    words = format == "conll" or (format == "jsonl" and "words" in columns)
    if options.task == "tagging" and not words:
        refuse(path, [*problems, (0, 'tagging needs a token file, or JSONL with "words", "tags"')])
    if format == "conll" and options.task not in (None, "tagging"):
        refuse(path, [(0, f"a token file is for tagging, not for {options.task}")])
    return words


def _column_number(role: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch("[1-9][0-9]?", value):
        raise MiniftError(f'{role}="{value}": the columns of a token file are numbers from 1')
    return int(value)


def _labels_of(example: Example) -> tuple[str | float | None, ...]:
    if isinstance(example, TaggedExample):
        return example.tags or (None,)
    return (example.label,)


def _find_repeated_ids(
    examples: Sequence[Example], lines: list[tuple[int, ...]], problems: Problems
) -> None:
    seen: dict[str, int] = {}
    for example, (line, *_) in zip(examples, lines):
        if example.id in seen:
            problems.append((line, f'the id "{example.id}" is already on line {seen[example.id]}'))
        seen.setdefault(example.id, line)


def _refuse_amounts(content: _Content) -> None:
    """Ask for the task where all labels are numbers and some have a fraction, such as 2.75."""
    try:
        numbers = {label: float(label) for label in gold_classes(content.examples)}
    except ValueError:
        return
    if fractions := [label for label, n in numbers.items() if math.isfinite(n) and n % 1]:
        raise MiniftError(
            f"{content.path}: labels such as {fractions[0]} may be amounts: pass "
            'task="regression", or task="classification" if each number is a class'
        )


def _unknown_labels(content: _Content, labels: Sequence[str]) -> Problems:
    """Name each label that is not among `labels`, with its line."""
    known = set(labels)
    return [
        (line, f'the label "{label}" is not one of training{nearest(str(label), labels)}')
        for example, lines in zip(content.examples, content.lines)
        for label, line in zip(_labels_of(example), lines)
        if label is not None and label not in known
    ]


def _unlike(content: _Content, train: _Content) -> Problems:
    """Find a file of single texts beside a training file of pairs, or the other way round."""
    pairs = [getattr(c.examples[0], "text_b", None) is not None for c in (train, content)]
    if pairs[0] == pairs[1]:
        return []
    has = "pairs of texts" if pairs[0] else "single texts"
    return [(0, f'{train.path.name} has {has}, this file has not; name the column "text_b"')]


def _class_notes(train: tuple[Example, ...]) -> list[str]:
    counts = Counter(gold_classes(train))
    notes = [
        f'class "{label}" has only one training example' for label, n in counts.items() if n == 1
    ]
    if len(counts) > MANY_CLASSES and all(re.fullmatch("[+-]?[0-9]+", label) for label in counts):
        notes.append(
            f'{len(counts)} classes, all integers: pass task="regression" if they are amounts'
        )
    return notes
