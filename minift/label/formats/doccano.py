"""doccano: JSONL to import.

Claim    A labeller sees the text; what the model says stands beside it, as metadata.
Paper    https://doccano.github.io/doccano/tutorial/
Differs  - doccano gives each text a number of its own as `id`. Ours is `minift_id`, a metadata
           column, which doccano hands back; without it the text itself tells which one it is, if
           it is the only one of its kind in the project.
         - doccano takes labels in a file for a person's. So guesses are metadata, beside the text,
           and never labels: exported unseen, they would come back as answers.
         - A pair is shown as its two texts with a line break between them.
Proof    tests/label/test_doccano.py
"""

import json
from collections.abc import Sequence

from minift.data.examples import Example, texts_of
from minift.label.formats.rows import Question, shown_guess

HOW = """\
in doccano make a project "Text Classification" ({single}) or "Sequence Labeling" with the
labels {labels}; of entities also O, to mark a word of each sentence that has none. Import the file
as JSONL. The comment "skip" sets a text aside. Export as JSONL, and import the file of each person
with --by NAME"""


def shown(example: Example) -> tuple[str, ...]:
    """Return the one string that doccano shows."""
    return ("\n".join(texts_of(example)),)


def write(questions: Sequence[Question]) -> str:
    """Return texts to import, with what the model says as metadata."""
    records: list[dict[str, object]] = [
        {
            "text": shown(question.example)[0],
            "label": [],
            "minift_id": question.example.id,
            "guess": shown_guess(question),
            "confidence": question.confidence,
            "score": question.score,
        }
        for question in questions
    ]
    return "".join(json.dumps(record) + "\n" for record in records)
