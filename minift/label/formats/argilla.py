"""Argilla 2: records with suggestions to load.

Claim    A labeller sees the text with the model's guess and its confidence.
Paper    https://docs.argilla.io/latest/reference/argilla/records/records/
Differs  - Argilla's page counts UTF-16 units (issue 5729), but its server counts code points and
           refuses what lies beyond: a guess over a text with such characters is not written, as it
           would be shown in the wrong place.
         - The server refuses a list of no scores, so a guess of no entity has none.
Proof    tests/label/test_argilla.py
"""

from collections.abc import Sequence
from typing import Any

from minift.data.examples import TaggedExample, texts_of
from minift.data.spans import marks_of, utf16_places
from minift.label.formats.rows import Question, as_list, named_texts

HOW = """\
in Argilla people press Submit, or Discard to set a text aside; drafts do not count. In Python:

import argilla as rg, json
client = rg.Argilla(api_url="http://localhost:6900", api_key="argilla.apikey")
settings = rg.Settings(
    fields=[{fields}],
    questions=[{question}],
    metadata=[rg.FloatMetadataProperty(name="score")],
)
dataset = rg.Dataset(name={path.stem!r}, settings=settings, client=client)
dataset.create()
dataset.records.from_json({file!r})

# when people have answered:
answers = dataset.records(with_responses=True).to_list(flatten=True)
json.dump(answers, open("answers.json", "w"))
"""


def write(questions: Sequence[Question]) -> str:
    """Return records for `records.from_json`, with the guesses as suggestions."""
    return as_list(
        {
            "id": question.example.id,
            "fields": named_texts(question.example),
            "metadata": {} if question.score is None else {"score": question.score},
            "suggestions": _suggestions(question),
            "responses": {},
            "vectors": {},
        }
        for question in questions
    )


def _suggestions(question: Question) -> dict[str, Any]:
    example, guess, confidence = question.example, question.guess, question.confidence
    value: Any = guess
    if guess is not None and isinstance(example, TaggedExample):
        text = texts_of(example)[0]
        value = [
            {"start": mark.start, "end": mark.end, "label": mark.type}
            for mark in marks_of(example.words, guess, utf16=True)
        ]
        value = None if utf16_places(text)[-1] > len(text) else value
    if value is None:
        return {}
    each = value and confidence is not None  # a score per value
    score = confidence if isinstance(value, str) else [confidence] * len(value) if each else None
    return {"label": {"value": value, "score": score, "agent": "minift"}}
