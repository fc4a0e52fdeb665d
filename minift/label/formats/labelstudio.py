"""Label Studio: tasks with predictions, and the labelling interface for them.

Claim    A labeller sees the text with the model's guess and its confidence.
Paper    https://labelstud.io/guide/predictions and /guide/task_format
Differs  Our id is `minift_id` in the data, since JSON-MIN overwrites `id` with the task's number.
         Label Studio counts code points.
Proof    tests/label/test_labelstudio.py
"""

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from minift.data.examples import Example, TaggedExample
from minift.data.spans import marks_of
from minift.data.tags import types_of
from minift.label.formats.rows import Question, as_list, named_texts

HOW = """\
in Label Studio paste {path.parent}/labelstudio.xml into Settings > Labeling Interface > Code, and
import the file. "Skip" sets a text aside; of entities, Submit without a span says there is none.
Export as JSON (JSON-MIN, CSV and TSV leave out what was skipped; CoNLL is not read)"""


def labelling_config(labels: Sequence[str], task: str, pairs: bool = False) -> str:
    """Return the XML of the labelling interface that the files of this module fit."""
    names = types_of(labels) if task == "tagging" else labels
    control, item = ("Labels", "Label") if task == "tagging" else ("Choices", "Choice")
    number = "multiple" if task == "multilabel" else "single"
    more = f' choice="{number}" required="true" showInline="true"' * (task != "tagging")
    grain = ' granularity="word"' if task == "tagging" else ""
    shown = ("text", "text_b") if pairs else ("text",)
    lines = [
        "<View>",
        "  <Style>.htx-text { white-space: pre-wrap; }</Style>",
        f'  <{control} name="label" toName="text"{more}>',
        *(f"    <{item} value={quoteattr(name)}/>" for name in names),
        f"  </{control}>",
        *(f'  <Text name="{n}" value="${n}" valueType="text"{grain}/>' for n in shown),
        "</View>\n",
    ]
    return "\n".join(lines)


def write(questions: Sequence[Question]) -> str:
    """Return tasks to import, with the guesses as predictions."""
    return as_list(_task(question) for question in questions)


def _task(question: Question) -> dict[str, Any]:
    both = [{} if n is None else {"score": n} for n in (question.score, question.confidence)]
    data = {"minift_id": question.example.id, **named_texts(question.example), **both[0]}
    if question.guess is None:
        return {"data": data}
    result = [
        {"id": f"guess-{n}", "from_name": "label", "to_name": "text", "type": kind, "value": value}
        for n, (kind, value) in enumerate(_regions(question.example, question.guess))
    ]
    prediction = {"model_version": "minift", "result": result, **both[1]}
    return {"data": data, "predictions": [prediction]}


def _regions(
    example: Example, guess: str | tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(example, TaggedExample):
        yield "choices", {"choices": [guess] if isinstance(guess, str) else guess}
        return
    for start, end, type_, text in marks_of(example.words, guess, utf16=False):
        yield "labels", {"start": start, "end": end, "text": text, "labels": [type_]}
