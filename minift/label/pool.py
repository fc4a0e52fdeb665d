"""Texts nobody has labelled yet: read, numbered by their line, and cleared of empty ones.

Claim    Every row of a file is in the pool, or named with its line and why it is not.
Differs  - Texts that differ only in white space are one text: the first is kept, the others are
           named.
         - An id is that of the column `id`, or the line; so it stays when others are left out.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.data.examples import Example, TaggedExample, Task, texts_of
from minift.data.files.lines import Problems
from minift.data.files.texts import Numbered, Texts, read_texts
from minift.data.words import split_words


def open_pool(
    path: str | Path,
    task: Task,
    format: str | None = None,
    text: str | None = None,
    text_b: str | None = None,
) -> Texts:
    """Check a file of texts and return what is in it, one text in memory at a time.

    It is as for `read_texts`; for tagging, texts are cut into words by `split_words`. One error
    names all the faults of the file; a text in which a model would see nothing is a blank one.
    """
    texts = read_texts(path, task=task, format=format, text=text, text_b=text_b, allow_blank=True)

    def read(problems: Problems) -> Iterator[Numbered]:
        return ((line, text and _cut(text, task)) for line, text in texts.read(problems))

    return replace(texts, read=read)


def _cut(example: Example, task: Task) -> Example | None:
    """Cut a text into words if the task is tagging; None if a model would see nothing in it."""
    if isinstance(example, TaggedExample):
        return example
    if all(unicodedata.category(character)[0] in "CZ" for character in example.text):
        return None  # blanks, and what no tokenizer keeps
    if task != "tagging":
        return example
    return TaggedExample(example.id, tuple(word for word, _, _ in split_words(example.text)))


def distinct(found: list[Numbered]) -> tuple[list[tuple[int, Example]], list[dict[str, Any]]]:
    """Return the texts kept, and what is left out and why."""
    kept, left_out = [], []
    exact: dict[tuple[str, ...], int] = {}
    for line, example in found:
        if example is None:
            left_out.append({"line": line, "why": "empty"})
            continue
        texts = texts_of(example)
        key = tuple(" ".join(text.split()) for text in texts)
        if key in exact:
            why = f"same text as line {exact[key]}"
            left_out.append({"line": line, "why": why, "id": example.id, "text": texts})
            continue
        exact[key] = line
        kept.append((line, example))
    return kept, left_out
