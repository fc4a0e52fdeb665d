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

from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

from minift.data.examples import Example, TaggedExample
from minift.label.formats.json_files import number, read_records, write_lines
from minift.label.formats.rows import Question, Reading, texts_of
from minift.label.formats.spans import Mark

SKIP = "skip"


def doccano_texts(example: Example) -> tuple[str, ...]:
    """Return the one string that doccano shows."""
    return ("\n".join(texts_of(example)),)


def write_doccano(path: Path, questions: Sequence[Question]) -> None:
    """Write texts to import, with what the model says as metadata."""
    write_lines(path, (_row(question) for question in questions))


def _row(question: Question) -> dict[str, Any]:
    guess = question.guess
    return {
        "text": doccano_texts(question.example)[0],
        "label": [],
        "minift_id": question.example.id,
        "guess": guess if guess is None or isinstance(guess, str) else " ".join(guess),
        "confidence": number(question.confidence),
        "score": number(question.score),
    }


def read_doccano(path: Path, reading: Reading) -> None:
    """Tell `reading` what an export says."""
    unmarked = 0
    for where, row in read_records(path, reading, "doccano", lines=True):
        meta = row.get("meta")
        id_ = row.get("minift_id", meta.get("minift_id") if isinstance(meta, dict) else None)
        example = reading.find(where, id_, [row.get("text")])
        if example is None:
            continue
        given: object = next(
            (row[key] for key in ("label", "labels", "entities") if row.get(key)), []
        )
        if _says_skip(row.get("Comments")):
            reading.skip(where, example)
        elif not isinstance(given, list):
            reading.fault(
                where, f"text {example.id!r}: expected a list of labels, got {short(given)}"
            )
        elif not given:
            reading.leave_open(example)
            unmarked += isinstance(example, TaggedExample)
        elif isinstance(example, TaggedExample):
            reading.mark(where, example, [_mark(span) for span in given], utf16=True)
        elif len(given) > 1:
            reading.fault(
                where, f"text {example.id!r} has several classes, {short(given)}; keep one"
            )
        else:
            reading.choose(where, example, given[0])
    if unmarked:
        reading.fault(
            "all lines",
            f"{unmarked} sentences have no span, and doccano does not say whether anybody looked "
            'at them: they are left open. Where there is no entity, mark a word as "O"',
        )


def _says_skip(comments: object) -> bool:
    said = comments if isinstance(comments, list) else []
    texts = [c.get("text") if isinstance(c, dict) else c for c in said]
    return any(isinstance(text, str) and text.strip().lower() == SKIP for text in texts)


def _mark(span: object) -> Mark:
    """Take [start, end, type], or the object that projects with relations export."""
    if isinstance(span, dict):
        return Mark(span.get("start_offset"), span.get("end_offset"), span.get("label"))
    if isinstance(span, list) and len(span) == 3:
        return Mark(*span)
    return Mark(None, None, short(span))
