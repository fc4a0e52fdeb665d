"""Argilla 2: records with suggestions out; records with responses in.

Claim    What people submitted comes back as the same classes or tags; drafts and what cannot be
         told from a draft do not.
Paper    https://docs.argilla.io/latest/reference/argilla/records/records/
Differs  - `records.to_json` leaves out whether a response was submitted, discarded or a draft. Such
           a response counts only if its record is "completed"; otherwise it is left open, with a
           sentence that says how to export with `to_list(flatten=True)`, which has the status.
         - Discarded is a skip; if the labeller had filled nothing in, Argilla exports no trace.
         - Argilla's page counts UTF-16 units (issue 5729) and so do we in reading, but its server
           counts code points and refuses what lies beyond: a guess over a text with such
           characters is not written, as it would be shown in the wrong place.
Proof    tests/label/test_argilla.py

A dataset for these files (give LabelQuestion for classes, SpanQuestion for entities):

    rg.Settings(
        fields=[rg.TextField("text")],  # and rg.TextField("text_b") for pairs
        questions=[rg.LabelQuestion("label", labels)],  # rg.SpanQuestion("label", types, "text")
        metadata=[rg.FloatMetadataProperty("score")],
    )
    dataset.records.from_json(path)
    json.dump(dataset.records(with_responses=True).to_list(flatten=True), open(out, "w"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from reprlib import repr as short
from typing import Any

from minift.data.examples import TaggedExample, texts_of
from minift.label.formats.json_files import (
    as_list,
    named_texts,
    number,
    objects,
    read_records,
    texts_at,
)
from minift.label.formats.rows import Fault, Question, Row, Said
from minift.label.formats.spans import mark, marks_of, utf16_places

UNKNOWN = "unknown"


def write(questions: Sequence[Question]) -> str:
    """Return records for `records.from_json`, with the guesses as suggestions."""
    return as_list(_record(question) for question in questions)


def _record(question: Question) -> dict[str, Any]:
    suggestion, score = _suggestion(question), number(question.score)
    return {
        "id": question.example.id,
        "fields": named_texts(question.example),
        "metadata": {} if score is None else {"score": score},
        "suggestions": {} if suggestion is None else {"label": suggestion},
        "responses": {},
        "vectors": {},
    }


def _suggestion(question: Question) -> dict[str, Any] | None:
    example, guess, confidence = question.example, question.guess, number(question.confidence)
    if guess is None:
        return None
    if not isinstance(example, TaggedExample):
        return {"value": guess, "score": confidence, "agent": "minift"}
    text = texts_of(example)[0]
    if utf16_places(text)[-1] > len(text):
        return None
    value = [
        {"start": mark.start, "end": mark.end, "label": mark.type}
        for mark in marks_of(example.words, guess, utf16=True)
    ]
    score = None if confidence is None else [confidence] * len(value)
    return {"value": value, "score": score, "agent": "minift"}


def read(text: str, task: str) -> Iterator[Row | Fault]:
    """Yield what exported records say, nested or flattened."""
    records, faults = read_records(text)
    yield from faults
    untold = 0
    for where, row in records:
        fields = row["fields"] if isinstance(row.get("fields"), dict) else row
        responses = _responses(row)
        said = [Said(where, unclear="its responses are not a list of answers")]
        if responses is not None:
            untold += any(status == UNKNOWN for _, status in responses)
            said = [
                Said(where) if status == "discarded" else _submitted(where, value, task)
                for value, status in responses
                if status in ("submitted", "discarded")
            ]
        yield Row(where, row.get("id"), texts_at(fields), said)
    if untold:
        yield Fault(
            "all records",
            f"texts with responses without a status, which may be drafts: {untold}. They are left "
            "open. Export with records(with_responses=True).to_list(flatten=True)",
        )


def _responses(row: dict[str, Any]) -> list[tuple[object, str]] | None:
    """Return (value, status) of each response, or None if they cannot be understood."""
    fallback = "submitted" if row.get("status") == "completed" else UNKNOWN
    if not isinstance(row.get("responses"), dict):  # flattened
        values, states = row.get("label.responses") or [], row.get("label.responses.status") or []
        if not isinstance(values, list) or not isinstance(states, list):
            return None
        pairs = list(zip(values, [*states, *[None] * len(values)]))
    else:
        given = objects(row["responses"].get("label") or [])
        if given is None:
            return None
        pairs = [(response.get("value"), response.get("status")) for response in given]
    return [(value, status if isinstance(status, str) else fallback) for value, status in pairs]


def _submitted(where: str, value: object, task: str) -> Said:
    if task == "classification":
        return Said(where, classes=[value])
    spans = objects(value)
    if spans is None:
        return Said(where, unclear=f"expected a list of spans, got {short(value)}")
    marks = [mark(span.get("start"), span.get("end"), span.get("label")) for span in spans]
    return Said(where, marks=marks, utf16=True)
