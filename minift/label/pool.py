"""Texts nobody has labelled yet: read, numbered by their line, and cleared of what is no text.

Claim    Every row of a file is in the pool, or named with its line and why it is not.
Differs  - Texts alike but for white space are one text: the first is kept, the others are named.
           Texts alike but for case or punctuation are kept and counted.
         - An id is the one of the column `id`, or the line; so it stays when others are left out.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.data.examples import Example, TaggedExample, Task, TextExample
from minift.data.files.lines import Problems, read_text, refuse
from minift.data.files.readers import SUFFIXES
from minift.data.files.tables import (
    LABEL_COLUMNS,
    TABLES,
    TEXT_COLUMNS,
    json_sentences,
    read_table,
    text_examples,
)
from minift.data.files.tokens import parse_sentences
from minift.data.tags import TAG
from minift.data.words import split_words

Numbered = tuple[int, Example | None]  # (line, text; None if there is none in it)


def read_pool(
    path: str | Path,
    task: Task,
    format: str | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label_first: bool = False,
) -> tuple[list[Numbered], bool]:
    """Read unlabelled texts.

    Args:
        path: .txt with one text a line; CSV, TSV or JSONL; for tagging also token files.
        task: for tagging, texts are cut into words by `split_words`.
        format: "text" or one of `read_examples`; None goes by the suffix.
        text, text_b, label_first: as for `read_examples`.

    Returns:
        (line, text) of every row, with ids from the column `id` or else the line; and whether
        the file has labels, which are not read.

    Raises:
        MiniftError: one error for all the faults of the file. An empty text is none.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if format is None:
        named = (f for f, known in SUFFIXES.items() if suffix in known)
        format = "text" if suffix in ("", ".txt") else next(named, None)
    problems: Problems = []
    if format == "text":
        found, had_labels = _read_lines(path, task), False
    elif format == "conll":
        if task != "tagging":
            refuse(path, [(0, "a token file is for --task tagging; --format text reads lines")])
        column = int(text) if text and text.isdecimal() else None
        sentences = parse_sentences(
            read_text(path), problems, word_column=column, label_first=label_first,
            require_labels=False,
        )  # fmt: skip
        found = [(s.lines[0], TaggedExample(str(s.lines[0]), s.words)) for s in sentences]
        had_labels = any(s.tags for s in sentences)
    elif format in TABLES:
        found, had_labels = _read_table(path, task, format, text, text_b, problems)
    else:
        known = ", ".join(["text", *SUFFIXES])
        refuse(path, [(0, f'"{format or suffix}" is no format of texts; --format: {known}')])
    lines: dict[str, int] = {}
    for line, example in found:
        if example is not None and example.id in lines:
            first = lines[example.id]
            problems.append((line, f'the id "{example.id}" is already on line {first}'))
        elif example is not None:
            lines[example.id] = line
    refuse(path, problems)
    return found, had_labels


def stream_pool(
    path: str | Path,
    task: Task,
    format: str | None = None,
    text: str | None = None,
    text_b: str | None = None,
    label_first: bool = False,
) -> Iterator[Example]:
    """Yield the texts of a file: of .txt one line at a time, other formats are read whole.

    Arguments and errors as of `read_pool`; a line without a word has no text and is passed over.
    """
    path = Path(path)
    if format == "text" or (format is None and path.suffix.lower() in ("", ".txt")):
        if not path.is_file():
            read_text(path)  # says what is wrong
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            try:
                for number, line in enumerate(file, 1):
                    text = line.removesuffix("\n").removesuffix("\r")
                    if (example := _cut(TextExample(str(number), text), task)) is not None:
                        yield example
            except UnicodeDecodeError:
                read_text(path)  # names the line
                raise
    else:
        found, _ = read_pool(path, task, format, text, text_b, label_first)
        yield from (example for _, example in found if example is not None)


def _read_lines(path: Path, task: Task) -> list[Numbered]:
    lines = read_text(path)
    cells = [line.split() for _, line in lines if line.strip()]
    if task == "tagging" and all(len(row) == 2 and TAG.fullmatch(row[1]) for row in cells):
        refuse(path, [(0, "one word and its tag a line: a token file; name it .conll")])
    return [(number, _cut(TextExample(str(number), line), task)) for number, line in lines]


def _read_table(
    path: Path, task: Task, format: str, text: str | None, text_b: str | None, problems: Problems
) -> tuple[list[Numbered], bool]:
    """Read a table; its labels go before anybody can complain about them."""
    columns, rows = read_table(path, format, problems)
    had_labels = any(column in (*LABEL_COLUMNS, "tags") for column in columns)
    blank: set[int] = set()
    examples: Sequence[Example]
    if task == "tagging" and "words" in columns and text is None:
        rows = [(line, {**row, "tags": None}) for line, row in rows]
        sentences = json_sentences(columns, rows, problems, require_labels=False)
        examples = [TaggedExample(s.id, s.words) for s in sentences]
        lines = [line for line, _ in rows]
    else:
        names = next((n for n in TEXT_COLUMNS if set(n) <= set(columns)), ("text",))
        used = {*((text,) if text else names), *((text_b,) if text_b else ())}
        others = {name for name in LABEL_COLUMNS if name not in used}  # nobody reads them
        rows = [(line, {k: v for k, v in row.items() if k not in others}) for line, row in rows]
        if used <= set(columns):
            blank = {line for line, row in rows if _is_blank(row, used)}
        full = [(line, row) for line, row in rows if line not in blank]
        examples = text_examples(
            columns, full, problems, text=text, text_b=text_b, require_labels=False
        )
        lines = [line for line, _ in full]
    if "id" not in columns:
        examples = [replace(e, id=str(line)) for e, line in zip(examples, lines)]
    found = [(line, _cut(example, task)) for line, example in zip(lines, examples)]
    found += [(line, None) for line in blank]
    return sorted(found, key=lambda pair: pair[0]), had_labels


def _is_blank(row: dict[str, Any], names: set[str]) -> bool:
    values = [row.get(name) for name in names]
    return any(value is None or (isinstance(value, str) and not value.strip()) for value in values)


def _cut(example: Example, task: Task) -> Example | None:
    """Cut a text into words if the task is tagging; None if a model would see nothing in it."""
    if isinstance(example, TaggedExample):
        return example
    if all(unicodedata.category(character)[0] in "CZ" for character in example.text):
        return None  # blanks, and what no tokenizer keeps
    if task != "tagging":
        return example
    return TaggedExample(example.id, tuple(word for word, _, _ in split_words(example.text)))


def distinct(found: list[Numbered]) -> tuple[list[tuple[int, Example]], list[dict[str, Any]], int]:
    """Return the texts kept, what is left out and why, and the number of near-duplicates."""
    kept, left_out = [], []
    exact: dict[tuple[str, ...], int] = {}
    alike: set[tuple[str, ...]] = set()
    near = 0
    for line, example in found:
        if example is None:
            left_out.append({"line": line, "why": "empty"})
            continue
        texts = texts_in(example)
        key = tuple(" ".join(text.split()) for text in texts)
        if key in exact:
            why = f"same text as line {exact[key]}"
            left_out.append({"line": line, "why": why, "id": example.id, "text": texts})
            continue
        exact[key] = line
        rough = tuple(re.sub(r"[\W_]+", " ", text).strip().casefold() for text in key)
        near += rough in alike
        alike.add(rough)
        kept.append((line, example))
    return kept, left_out, near


def texts_in(example: Example) -> list[str]:
    """Return the text, or both of a pair; of a sentence its words with blanks."""
    if isinstance(example, TaggedExample):
        return [" ".join(example.words)]
    return [example.text] if example.text_b is None else [example.text, example.text_b]
