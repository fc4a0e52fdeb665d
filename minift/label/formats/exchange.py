"""Batch files: the questions of a round out to a labelling tool, the answers back.

Claim    Whatever was answered in the tool comes back as the same label for the same text. What
         cannot be used is named with its place and left out; nothing else is lost by it. No text
         outside the project and no label outside the set is ever let in.
Differs  What each format does in its own way stands in its own module.
Proof    tests/label/test_exchange.py

    csv          exchange_tables        classes: a spreadsheet
    conll        exchange_tables        entities: a text editor
    labelstudio  exchange_labelstudio   classes and entities
    doccano      exchange_doccano       classes and entities
    argilla      exchange_argilla       classes and entities
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minift.data.examples import Example, TaggedExample
from minift.data.files.lines import decode
from minift.errors import MiniftError, nearest
from minift.label.formats.argilla import read_argilla, write_argilla
from minift.label.formats.doccano import doccano_texts, read_doccano, write_doccano
from minift.label.formats.json_files import looks_like
from minift.label.formats.labelstudio import labelling_config, read_labelstudio, write_labelstudio
from minift.label.formats.rows import Answer, Imported, Question, Reading, texts_of
from minift.label.formats.tables import conll_words, read_conll, read_csv, write_conll, write_csv

__all__ = [
    "FORMATS", "SUFFIXES", "Answer", "Imported", "Question",
    "labelling_config", "read_answers", "write_questions",
]  # fmt: skip

FORMATS: tuple[str, ...] = ("csv", "labelstudio", "doccano", "argilla", "conll")
SUFFIXES: dict[str, str] = {
    "csv": ".csv",
    "labelstudio": ".json",
    "doccano": ".jsonl",
    "argilla": ".json",
    "conll": ".conll",
}
_SUITED = {
    "classification": ("csv", "labelstudio", "doccano", "argilla"),
    "tagging": ("labelstudio", "doccano", "argilla", "conll"),
}
_WRITE: dict[str, Callable[[Path, Sequence[Question]], None]] = {
    "csv": write_csv,
    "labelstudio": write_labelstudio,
    "doccano": write_doccano,
    "argilla": write_argilla,
    "conll": write_conll,
}
_READ: dict[str, Callable[[Path, Reading], None]] = {
    "csv": read_csv,
    "labelstudio": read_labelstudio,
    "doccano": read_doccano,
    "argilla": read_argilla,
    "conll": read_conll,
}
_SHOWN = {"doccano": doccano_texts, "conll": conll_words}


def write_questions(
    path: str | Path, format: str, questions: Sequence[Question], labels: Sequence[str], task: str
) -> None:
    """Write a batch file for people to label; an existing file is replaced at once or not at all.

    Args:
        path: where to.
        format: one of `FORMATS`.
        questions: what to ask, in this order.
        labels: classes, or IOB2 tags.
        task: "classification" or "tagging".

    Raises:
        MiniftError: if the format is unknown or not for this task, a guess is no label, or the
            file cannot be written.
    """
    _check(format, task)
    for question in questions:
        _check_guess(question, labels)
    _WRITE[format](Path(path), questions)


def read_answers(
    path: str | Path,
    format: str | None,
    examples: Mapping[str, Example],
    labels: Sequence[str],
    task: str,
) -> Imported:
    """Read a batch file that came back.

    Args:
        path: the file.
        format: one of `FORMATS`; None goes by the suffix, and for .json by the content.
        examples: the texts of the project by id.
        labels: classes, or IOB2 tags.
        task: "classification" or "tagging".

    Raises:
        MiniftError: if the file as a whole cannot be read as this format. What is wrong with a
            single row is one of the result's problems.
    """
    path = Path(path)
    _refuse_archive(path)
    format = _format_of(path) if format is None else format
    _check(format, task)
    reading = Reading(path.name, examples, labels, _SHOWN.get(format, texts_of))
    _READ[format](path, reading)
    return reading.result()


def _refuse_archive(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(4) == b"PK\3\4":
            raise MiniftError(
                f"{path}: a zip archive or a spreadsheet's own format; unpack it, or save the "
                'sheet as "CSV UTF-8"'
            )


def _format_of(path: Path) -> str:
    fitting = [format for format, suffix in SUFFIXES.items() if suffix == path.suffix.lower()]
    if len(fitting) == 1:
        return fitting[0]
    found = looks_like(decode(path)) or next(iter(fitting), None)
    if found is None:
        known = ", ".join(FORMATS)
        raise MiniftError(f"{path}: cannot tell what format this is; name it, one of {known}")
    return found


def _check(format: str, task: str) -> None:
    if task not in _SUITED:
        raise MiniftError(f'unknown task "{task}"; known: {", ".join(_SUITED)}')
    if format not in FORMATS:
        known = ", ".join(FORMATS)
        raise MiniftError(f'unknown format "{format}"; known: {known}{nearest(format, FORMATS)}')
    if format not in _SUITED[task]:
        known = ", ".join(_SUITED[task])
        raise MiniftError(f'format "{format}" is not for {task}; these are: {known}')


def _check_guess(question: Question, labels: Sequence[str]) -> None:
    example, guess = question.example, question.guess
    if guess is None:
        return
    said: list[Any] = list(guess) if isinstance(example, TaggedExample) else [guess]
    if isinstance(example, TaggedExample) and len(said) != len(example.words):
        count = len(example.words)
        raise MiniftError(f"text {example.id!r} has {count} words but a guess of {len(said)} tags")
    if unknown := [label for label in said if label not in labels]:
        raise MiniftError(f"text {example.id!r}: the guess {unknown[0]!r} is none of the labels")
