"""Files in, data set out: which format, which task, which labels, and what is wrong.

Claim    A file is either read exactly as it stands, or refused with its faults counted and the
         first five named by line. No row is lost, cut in two or repaired without a word: what
         a user should know but need not fix comes out in `Dataset.notes`.
Differs  Labels stay strings as they stand ("0.0", "negative"), and regression is never guessed.
         With the task multilabel a text has any number of labels: "a|b" in a cell or a list of
         JSON; an empty cell, or "none", says that it has none of them, "a|a" is "a".
Proof    tests/data/test_readers.py
"""

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from reprlib import repr as short
from typing import get_args

from minift.data.examples import (
    SEPARATOR,
    Dataset,
    Example,
    TaggedExample,
    Task,
    as_sentences,
    as_texts,
    gold_classes,
    gold_labels,
    gold_tags,
    is_labelled,
    label_of,
    pairs_of,
)
from minift.data.files import tables
from minift.data.files.exports import CONLL, NO_CONLL, NO_FASTTEXT, as_table
from minift.data.files.frames import Source, path_of, rows_in_memory
from minift.data.files.lines import FOREIGN, Problems, read_once, refuse, stream_text, unit
from minift.data.files.tables import Names
from minift.data.files.tokens import is_tagged, parse_sentences, tagged_examples
from minift.data.notes import alike_notes, class_notes, conflict_notes, overlap_notes, refuse_unlike
from minift.data.tags import Scheme, labels_of, types_of
from minift.errors import MiniftError, nearest, require_known

SUFFIXES = {
    "csv": (),  # named for quotes that enclose cells,
    "tsv": (),  # and this for quotes that are characters, where a table does not tell
    "table": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "conll": (".conll", ".bio", ".iob", ".iob2", ".conllu"),  # one word per line
    "fasttext": (".ft",),
    "text": (".txt", ""),  # one text per line, or what the first 500 look like
}
NAME_IT = "name it with format=, one of csv, tsv, jsonl, conll (a token file), fasttext"


def read_examples(
    path: Source,
    *,
    format: str | None = None,
    task: Task | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label: str | None = None,
    group: str | None = None,
    require_labels: bool = True,
    scheme: Scheme | None = None,
    labels: Sequence[str] | None = None,
    notes: list[str] | None = None,
    pairs: bool | None = None,
) -> tuple[Example, ...]:
    """Read one file, or rows in memory (see frames.py).

    Args:
        format: one of `SUFFIXES` but "text"; None goes by the suffix, and for .txt by the content.
            Exports of labelling tools are known by theirs.
        task: "regression" makes labels finite floats, "multilabel" tuples; else they stay strings.
        text, text_b, label: columns, where they are not named as in `tables.TEXT_COLUMNS` and
            `LABEL_COLUMNS`; in a token file `text` and `label` are numbers from 1: "2".
        group: column of what a row belongs to, such as a document: folds part no group.
        require_labels: a missing label is a fault; otherwise the label is None.
        scheme: of the tags, which come out in IOB2; None detects it.
        labels: the labels a model knows; any other is a fault. None allows all.
        notes: a list that gets what was noticed and need not be fixed, if given.
        pairs: whether a model reads pairs of texts; the other kind is refused. None takes both.
    """
    names = Names(text, text_b, label, group)
    return _read(path, format, names, task, scheme, require_labels, labels or (), notes, pairs)[0]


def read_dataset(
    train: Source,
    dev: Source | None = None,
    test: Source | None = None,
    *,
    format: str | None = None,
    task: Task | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label: str | None = None,
    group: str | None = None,
    scheme: Scheme | None = None,
    name: str | None = None,
) -> Dataset:
    """Read up to three files, or rows, as one data set; arguments as in `read_examples`.

    The labels are those of the training file, sorted (as numbers if all are integers); tags
    are "O" and a B-/I- pair for each type. Words with tags make the task "tagging", anything
    else "classification" unless `task` says otherwise. `test` may lack labels.

    Raises MiniftError for a faulty file, a single class, and a label that training lacks.
    """
    path, notes = path_of(train, "train"), list[str]()
    names = Names(text, text_b, label, group)
    read = partial(_read, format=format, names=names, notes=notes)
    examples, scheme = read(train, task=task, scheme=scheme, split="train")
    if isinstance(examples[0], TaggedExample):
        task = "tagging"
    elif task is None:
        task = "classification"
        how = 'pass task="regression", or task="classification" if each number is a class'
        refuse_amounts(path, examples, how)
    labels = label_order(examples, task)
    if task != "regression" and len(labels) < 1 + (task != "multilabel"):
        every = f"{path}: every label is {short(labels[0])}; expected two or more"
        raise MiniftError("; ".join([every, *notes]))

    splits: dict[str, tuple[Example, ...]] = {"dev": (), "test": ()}
    for split, other in (("dev", dev), ("test", test)):
        if other is not None:
            splits[split], _ = read(
                other, task=task, scheme=scheme, required=split == "dev", labels=labels,
                pairs=pairs_of(examples), who=f"{path_of(other, split)}: {path.name}", split=split,
            )  # fmt: skip
    notes += alike_notes(types_of(labels) if task == "tagging" else labels)
    notes += class_notes(examples) if task in ("classification", "multilabel") else []
    notes += overlap_notes(examples, **splits)
    parts = examples, splits["dev"], splits["test"]
    return Dataset(name or path.stem, task, labels, *parts, notes=tuple(notes))


def label_order(train: tuple[Example, ...], task: Task) -> tuple[str, ...]:
    """Return the labels of the training examples in the order of the logits; () for regression."""
    if task == "regression":
        return ()
    if task == "tagging":
        return labels_of(sorted({tag[2:] for tags in gold_tags(train) for tag in tags} - {""}))
    labels = sorted({name for names in gold_labels(train) for name in names})
    if all(re.fullmatch(r"[+-]?[0-9]{1,18}", label) for label in labels):
        labels.sort(key=int)
    return tuple(labels)


def _read(
    source: Source,
    format: str | None,
    names: Names,
    task: Task | None,
    scheme: Scheme | None,
    required: bool = True,
    labels: Sequence[str] = (),
    notes: list[str] | None = None,
    pairs: bool | None = None,
    who: str = "the model",
    split: str = "examples",
) -> tuple[tuple[Example, ...], Scheme | None]:
    """Read a file of any format, or rows, or raise one error with all its faults."""
    for what, value, there in (("task", task, Task), ("scheme", scheme, Scheme)):
        if value is not None:
            require_known(what, value, get_args(there))
    path, problems, noticed = path_of(source, split), Problems(), list[str]()
    counted, rows = unit(path), list[tables.Row]()
    if held := not isinstance(source, str | os.PathLike):
        rows, format = rows_in_memory(source, split, problems), "jsonl"
    format = format_of(path, format)
    if format == "text":
        refuse(path, [(0, f"texts without labels, one per line; if it is not, {NAME_IT}")])
    if format in tables.TABLES and not held:
        rows = list(tables.TABLES[format](path, problems))
    exported = as_table(path, rows, problems, task, names)
    if names.group and (exported or format == "conll"):
        what = "a labelling tool's export" if exported else "a token file"
        problems.append((0, f'group="{names.group}": {what} has no such column; take a table'))
    if exported:
        (rows, noticed), format, names = exported, "jsonl", Names()
        refuse(path, problems)
    found = tables.columns_of(rows)
    words = has_words(path, format, found, task, names.text)
    if task == "tagging" and not words:
        problems.append((0, f"tagging needs {tables.WORDS_IN}"))
        refuse(path, problems)

    examples: Sequence[Example] = ()
    if format == "conll":
        numbered = [*stream_text(path)]
        problems += [(n, NO_CONLL) for n, line in numbered[1:2] if CONLL in line]
        sentences = parse_sentences(numbered, problems, names.text, names.label, required)
    else:
        columns = tables.choose_columns(found, problems, names, required, words, noticed)
        lines: list[tuple[int, ...]] = [(line,) for line, _ in rows]
        if any(line == 0 for line, _ in problems):
            rows = []  # a column is missing
        read = tables.row_examples(rows, columns, problems, words, required, task)
        examples = [example for _, example in read if example]
        if words:
            sentences = [(line * len(e.words), e) for line, e in zip(lines, as_sentences(examples))]
        else:
            refuse_unlike(pairs, examples, who)  # before its labels are judged
            if format == "fasttext" and required and not is_labelled(examples):
                problems.append((0, NO_FASTTEXT))
            some = [name for name in map(label_of, examples) if SEPARATOR in str(name)]
            if some and any(what == tables.NO_LABEL for _, what in problems):
                what = 'may be several: for texts with any number of labels pass task="multilabel"'
                problems.append((0, f'"{some[0]}" {what}'))
            if task == "multilabel" and not any(map(label_of, examples)):
                problems += [(0, "no text in it has a label")] * required
                examples = [replace(e, label=None) for e in as_texts(examples)]
    if words:
        lines = [where for where, _ in sentences]
        examples, scheme, about_tags = tagged_examples(sentences, scheme, problems, counted)
        noticed += about_tags
    problems += repeated_ids(zip((line[0] for line in lines), examples), counted)
    if not problems and not examples:
        problems.append((0, "there are no examples in it"))
    refuse(path, problems)
    known = {None, *labels}
    given = [label if isinstance(label := label_of(e), tuple) else (label,) for e in examples]
    problems += [
        (line, f'the label "{label}" is not one of {short([*labels])}{nearest(str(label), labels)}')
        for found, places in zip(given, lines)
        for label, line in zip(found, cycle(places))
        if labels and label not in known
    ]
    refuse(path, problems)
    if unlabelled := sum(not is_labelled([example]) for example in examples):
        noticed.append(f"examples without a label: {unlabelled} of {len(examples)}")
    if without := sum(label_of(example) == () for example in examples):
        noticed.append(f"texts with none of the labels: {without} of {len(examples)}")
    noticed += conflict_notes(examples, [line[0] for line in lines], counted)
    if notes is not None:
        notes += [f"{path.name}: {note}" for note in noticed]
    return tuple(examples), scheme


def format_of(path: Path, format: str | None) -> str:
    """Return the format of a file as named, or by its suffix, or that of a .txt by its content."""
    if format is not None:
        require_known("format", format, SUFFIXES)
        return format
    if path.is_dir():
        raise MiniftError(f"{path} is a folder; name a file in it")
    suffix = path.suffix.lower()
    found = next((name for name, suffixes in SUFFIXES.items() if suffix in suffixes), None)
    if found is None:
        known = (remedy for _, suffixes, remedy in FOREIGN if suffix in suffixes)
        reason = next(known, f'"{suffix}" does not tell the format; {NAME_IT}')
        raise MiniftError(f"{path}: {reason}")
    if found != "text" or read_once(path):
        return found
    lines = [*islice(((n, line) for n, line in stream_text(path) if line.strip()), 500)]
    if any(line.startswith(tables.FASTTEXT) for _, line in lines):
        return "fasttext"
    if re.match(r'\s*(\{\s*"|\[\s*\{|[\[{]$)', first := lines[0][1]):
        return "jsonl"
    header = {cell.strip(' "').lower() for cell in re.split("[\t,;]", first)}
    if "\t" not in first and header.isdisjoint(tables.LABEL_COLUMNS):  # or a text has commas
        header = set()
    if is_tagged(lines):
        return "conll"
    return "table" if any(header.issuperset(names) for names in tables.TEXT_COLUMNS) else "text"


def has_words(
    path: Path, format: str, found: list[str], task: Task | None, text: str | None = None
) -> bool:
    """Return whether sentences of words are read from a file, rather than texts."""
    tagging = task in (None, "tagging")
    if format == "conll" and not tagging:
        refuse(path, [(0, f"a token file is for tagging, not for {task}")])
    if format != "jsonl" or not tagging:
        return format == "conll"
    names = {name.lower() for name in found}
    words = names.intersection(*zip(*tables.WORD_COLUMNS))
    if text is not None:
        return text.lower() in words
    texts = any(map(names.issuperset, tables.TEXT_COLUMNS))  # "tokens" may be beside them
    meant = task == "tagging" or not texts or not names.isdisjoint(tables.TAG_COLUMNS)
    return "words" in words or (meant and bool(words))


def repeated_ids(examples: Iterable[tuple[int, Example | None]], unit: str = "line") -> Problems:
    """Find, among (line, example or None), each id that an earlier line has."""
    seen, how = dict[str, int](), "give each row its own, or rename the column"
    return [
        (line, f'the id "{example.id}" is already on {unit} {first}; {how}')
        for line, example in examples
        if example is not None and (first := seen.setdefault(example.id, line)) != line
    ]


def refuse_amounts(path: Path, examples: Sequence[Example], how: str) -> None:
    """Say `how` to go on where all labels are numbers and some have a fraction, such as 2.75."""
    numbers = {label: tables.as_number(label) for label in gold_classes(examples)}
    fractions = [label for label, n in numbers.items() if math.isfinite(n) and n % 1]
    if fractions and not any(map(math.isnan, numbers.values())):
        raise MiniftError(f"{path}: labels such as {fractions[0]} may be amounts: {how}")
