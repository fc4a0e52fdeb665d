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

from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short
from typing import Any

from minift.data.examples import Example, TaggedExample
from minift.label.formats.json_files import number, read_records, write_list
from minift.label.formats.rows import Question, Reading, texts_of
from minift.label.formats.spans import Mark, marks_of, utf16_places

UNKNOWN = "unknown"


def write_argilla(path: Path, questions: Sequence[Question]) -> None:
    """Write records for `records.from_json`, with the guesses as suggestions."""
    write_list(path, (_record(question) for question in questions))


def _record(question: Question) -> dict[str, Any]:
    suggestion = _suggestion(question)
    return {
        "id": question.example.id,
        "fields": dict(zip(("text", "text_b"), texts_of(question.example))),
        "metadata": {} if number(question.score) is None else {"score": number(question.score)},
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


def read_argilla(path: Path, reading: Reading) -> None:
    """Tell `reading` what exported records say, nested or flattened."""
    untold = 0
    for where, row in read_records(path, reading, "argilla"):
        fields = row["fields"] if isinstance(row.get("fields"), dict) else row
        texts = [
            fields.get("text"),
            *([fields["text_b"]] if fields.get("text_b") is not None else []),
        ]
        example = reading.find(where, row.get("id"), texts)
        if example is None:
            continue
        responses = _responses(row)
        if responses is None:
            reading.fault(where, f"text {example.id!r}: its responses are no list of answers")
            continue
        if not any(status in ("submitted", "discarded") for _, status in responses):
            reading.leave_open(example)
        untold += any(status == UNKNOWN for _, status in responses)
        for value, status in responses:
            if status == "discarded":
                reading.skip(where, example)
            elif status == "submitted":
                _take(reading, where, example, value)
    if untold:
        reading.fault(
            "all records",
            f"{untold} texts have responses without a status, which may be drafts: they are left "
            "open. Export with records(with_responses=True).to_list(flatten=True)",
        )


def _responses(row: dict[str, Any]) -> list[tuple[object, str]] | None:
    """Return (value, status) of each response, or None if they cannot be understood."""
    fallback = "submitted" if row.get("status") == "completed" else UNKNOWN
    if not isinstance(row.get("responses"), dict):  # flattened
        values, states = row.get("label.responses") or [], row.get("label.responses.status") or []
        if not isinstance(values, list) or not isinstance(states, list):
            return None
        states = [*states, *[None] * (len(values) - len(states))]
        pairs = list(zip(values, states))
    else:
        given = row["responses"].get("label") or []
        if not isinstance(given, list) or not all(isinstance(r, dict) for r in given):
            return None
        pairs = [(response.get("value"), response.get("status")) for response in given]
    return [(value, status if isinstance(status, str) else fallback) for value, status in pairs]


def _take(reading: Reading, where: str, example: Example, value: object) -> None:
    if not isinstance(example, TaggedExample):
        reading.choose(where, example, value)
    elif not isinstance(value, list) or not all(isinstance(span, dict) for span in value):
        reading.fault(where, f"text {example.id!r}: expected a list of spans, got {short(value)}")
    else:
        marks = [Mark(span.get("start"), span.get("end"), span.get("label")) for span in value]
        reading.mark(where, example, marks, utf16=True)
