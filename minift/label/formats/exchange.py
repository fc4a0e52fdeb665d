"""Batch files: the questions of a round out to a labelling tool, the answers back.

Claim    Whatever was answered in the tool comes back as the same label for the same text. What
         cannot be used is named with its place and left out; nothing else is lost by it. No text
         outside the project and no label outside the set is ever let in.
Differs  Each format's own ways stand in its own module: what is written for the tool, and how
         its export is read into rows. What rows say is matched to what was asked in rows.py.
Proof    tests/label/test_exchange.py
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from minift.data.examples import Example, texts_of
from minift.data.files.lines import raw_lines
from minift.errors import MiniftError, require_known
from minift.label.formats import argilla, conll, doccano, labelstudio, spreadsheet
from minift.label.formats.rows import Fault, Imported, Question, Row, match_rows


class Format(NamedTuple):
    """How questions are written for a tool, and how what it exports is read."""

    suffix: str  # of its files
    tasks: tuple[str, ...]  # that it is for
    write: Callable[[Sequence[Question]], str]  # returns the text of a batch file
    read: Callable[[str, str], Iterable[Row | Fault]]  # text and task -> rows of an export
    shown: Callable[[Example], tuple[str, ...]] = texts_of  # strings by which files show an example


_BOTH = _CLASSES, _ENTITIES = "classification", "tagging"
FORMATS: dict[str, Format] = {
    "csv": Format(".csv", (_CLASSES,), spreadsheet.write, spreadsheet.read),
    "labelstudio": Format(".json", _BOTH, labelstudio.write, labelstudio.read),
    "doccano": Format(".jsonl", _BOTH, doccano.write, doccano.read, doccano.shown),
    "argilla": Format(".json", _BOTH, argilla.write, argilla.read),
    "conll": Format(".conll", (_ENTITIES,), conll.write, conll.read, conll.shown),
}
KEYS = {  # one of which a record has that comes from a tool
    "argilla": {"fields", "_server_id"},
    "labelstudio": {"data", "annotations", "annotation_id"},
    "doccano": {"text"},
}


def written(format: str, questions: Sequence[Question], task: str) -> str:
    """Return the text of a batch file; raises MiniftError if the format is not for this task."""
    _check(format, task)
    return FORMATS[format].write(questions)


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
        examples, labels, task: of the project; the texts by id.

    Raises:
        MiniftError: if the file as a whole cannot be read as this format. What is wrong with a
            single row is one of the result's problems.
    """
    path = Path(path)
    if format is not None:
        _check(format, task)
    text = "".join(raw_lines(path))
    likely = looks_like(text)
    fitting = [name for name, known in FORMATS.items() if known.suffix == path.suffix.lower()]
    if format is None:
        format = fitting[0] if len(fitting) == 1 else likely or next(iter(fitting), None)
    if format is None:
        known = ", ".join(FORMATS)
        raise MiniftError(f"{path}: cannot tell what format this is; name it, one of {known}")
    _check(format, task)
    if likely not in (None, format):
        raise MiniftError(f'{path}: this is not a {format} file; it looks like format "{likely}"')
    tool = FORMATS[format]
    try:
        return match_rows(tool.read(text, task), path.name, examples, labels, tool.shown)
    except MiniftError as error:
        raise MiniftError(f"{path}: {error}") from error


def _check(format: str, task: str) -> None:
    require_known("format", format, FORMATS)
    if task not in FORMATS[format].tasks:
        known = ", ".join(name for name, other in FORMATS.items() if task in other.tasks)
        raise MiniftError(f'format "{format}" is not for {task}; these are: {known}')


def looks_like(text: str) -> str | None:
    """Return the format a file is probably in, or None."""
    lines = text.split("\n", maxsplit=50)[:50]
    if text.lstrip()[:1] not in ("[", "{"):
        header = {cell.strip(' "\r').lower() for cell in re.split("[,;\t]", lines[0])}
        if {"id", "text"} <= header:
            return "csv"
        tagged = any(line.rstrip().endswith(("\tO", "\t?")) for line in lines)
        return "conll" if tagged or any(line.startswith("# id = ") for line in lines) else None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                value.append(json.loads(line))
    for row in value if isinstance(value, list) else [value]:
        for tool, keys in KEYS.items():
            if isinstance(row, dict) and not keys.isdisjoint(row):
                return tool
    return None
