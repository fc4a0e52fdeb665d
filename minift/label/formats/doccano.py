"""doccano: JSONL out, its JSONL or JSON export in.

Claim    A class comes back as that class, and spans as the same tags, whatever characters come
         before them.
Paper    https://doccano.github.io/doccano/tutorial/, and the exporters of doccano 1.8
Differs  - doccano gives each text a number of its own as `id`. Ours is `minift_id`, a metadata
           column, which doccano hands back; without it the text itself tells which one it is, if
           it is the only one of its kind in the project.
         - doccano counts UTF-16 units (issue 2290): an emoji counts two, and so do we here.
         - doccano takes labels in a file for a person's. So guesses are metadata, beside the text,
           and never labels: exported unseen, they would come back as answers.
         - An export does not say which texts were looked at. A sentence without spans is
           therefore unanswered; to say that it has no entity, mark any of its words as "O".
         - doccano cannot skip. A comment "skip" on a text sets it aside.
         - A pair is shown as its two texts with a line break between them.
Proof    tests/label/test_doccano.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from reprlib import repr as short
from typing import Any

from minift.data.examples import Example, texts_of
from minift.label.formats.json_files import as_lines, number, read_records
from minift.label.formats.rows import Fault, Question, Row, Said
from minift.label.formats.spans import Mark, mark


def shown(example: Example) -> tuple[str, ...]:
    """Return the one string that doccano shows."""
    return ("\n".join(texts_of(example)),)


def write(questions: Sequence[Question]) -> str:
    """Return texts to import, with what the model says as metadata."""
    return as_lines(
        {
            "text": shown(question.example)[0],
            "label": [],
            "minift_id": question.example.id,
            "guess": " ".join(question.guess) if type(question.guess) is tuple else question.guess,
            "confidence": number(question.confidence),
            "score": number(question.score),
        }
        for question in questions
    )


def read(text: str, task: str) -> Iterator[Row | Fault]:
    """Yield what an export says."""
    records, faults = read_records(text, lines=True)
    yield from faults
    unmarked = 0
    for where, row in records:
        meta = row.get("meta")
        id_ = row.get("minift_id", meta.get("minift_id") if isinstance(meta, dict) else None)
        given: object = next(
            (row[key] for key in ("label", "labels", "entities") if row.get(key)), []
        )
        said = _said(where, row, given, task)
        unmarked += not said and task == "tagging"
        yield Row(where, id_, [row.get("text")], said)
    if unmarked:
        yield Fault(
            "all lines",
            f"sentences without a span: {unmarked}. doccano does not say whether anybody looked at "
            'them, so they are left open. Where there is no entity, mark a word as "O"',
        )


def _said(where: str, row: dict[str, Any], given: object, task: str) -> list[Said]:
    if _says_skip(row.get("Comments")):
        return [Said(where)]
    if not isinstance(given, list):
        return [Said(where, unclear=f"expected a list of labels, got {short(given)}")]
    if not given:
        return []
    if task == "tagging":
        return [Said(where, marks=[_mark(span) for span in given], utf16=True)]
    return [Said(where, classes=given)]


def _says_skip(comments: object) -> bool:
    said = comments if isinstance(comments, list) else []
    texts = [c.get("text") if isinstance(c, dict) else c for c in said]
    return any(isinstance(text, str) and text.strip().lower() == "skip" for text in texts)


def _mark(span: object) -> Mark:
    """Take [start, end, type], or the object that projects with relations export."""
    if isinstance(span, dict):
        return mark(span.get("start_offset"), span.get("end_offset"), span.get("label"))
    if isinstance(span, list) and len(span) == 3:
        return mark(*span)
    return mark(None, None, short(span))
