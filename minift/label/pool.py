"""Texts nobody has labelled yet: read, numbered by their line, and cleared of empty ones.

Claim    Every row of a file is in the pool, or named with its line and why it is not.
Differs  - Texts that differ only in white space are one text: the first is kept, the others are
           named.
         - An id is that of the column `id`, or the line; so it stays when others are left out.
Proof    tests/label/test_project.py
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.data.examples import Example, TaggedExample, Task, label_of, pairs_of, texts_of
from minift.data.files.lines import Problems
from minift.data.files.texts import Numbered, Texts, read_texts
from minift.data.notes import refuse_unlike
from minift.data.words import split_words
from minift.errors import MiniftError


def open_pool(
    path: str | Path,
    task: Task,
    format: str | None = None,
    text: str | None = None,
    text_b: str | None = None,
) -> Texts:
    """Check a file of texts and return what is in it, one text in memory at a time.

    As `read_texts`; for tagging, texts are cut into words, and what a model would not see is blank.
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


def key(example: Example) -> tuple[str, ...]:
    """Return what texts have in common that differ in white space, or how they are cut in words."""
    apart = "" if isinstance(example, TaggedExample) else " "
    return tuple(apart.join(text.split()) for text in texts_of(example))


def distinct(found: list[Numbered]) -> tuple[list[tuple[int, Example]], list[dict[str, Any]]]:
    """Return the texts kept, and what is left out and why."""
    kept, left_out = [], []
    exact: dict[tuple[str, ...], int] = {}
    for line, example in found:
        if example is None:
            left_out.append({"line": line, "why": "empty"})
        elif (first := exact.setdefault(key(example), line)) != line:
            row = {"line": line, "why": f"same text as line {first}", "id": example.id}
            left_out.append({**row, "text": texts_of(example)})
        else:
            kept.append((line, example))
    return kept, left_out


def with_labelled(
    kept: list[tuple[int, Example]], given: Sequence[Example], file: Path
) -> tuple[list[tuple[int, Example]], dict[str, list[Any]]]:
    """Return the pool with the labelled texts of a file in it, and the labels of these by id."""
    refuse_unlike(pairs_of(e for _, e in kept), given, f"{file}: the pool")
    texts, labels = {key(e): (line, e) for line, e in kept}, dict[str, list[Any]]()
    for example in given:
        line, there = texts.get(key(example), (0, replace(example, id=f"{file.name}:{example.id}")))
        label, again = label_of(example), there.id in labels and isinstance(example, TaggedExample)
        if again and texts_of(there) != texts_of(example):
            what = f"sentence {example.id} was there before, cut into other words; keep one"
            raise MiniftError(f"{file}: {what}")
        texts[key(example)] = line, replace(example, id=there.id)  # the words that have tags
        labels.setdefault(there.id, []).append([*label] if isinstance(label, tuple) else label)
    return [*texts.values()], labels
