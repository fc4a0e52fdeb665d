"""Label Studio: tasks with predictions out; its exports JSON and JSON-MIN in.

Claim    A labeller sees the text with the model's guess and its confidence, and what is exported
         comes back as the same classes or tags: several annotators, skips, corrections.
Paper    https://labelstud.io/guide/predictions, /guide/task_format and /guide/export
Differs  - Our id is `minift_id` in the data: JSON-MIN overwrites `id` with the task's number.
         - Label Studio counts code points (its editor has tests for that); `text` of each span is
           compared with the text, so an export of a version before 1.5, which counted UTF-16
           units, is noticed.
         - Several annotations of one text are taken oldest first, by `updated_at`, since JSON-MIN
           lists the newest first. A cancelled one is a skip; JSON-MIN leaves those out.
         - An annotation without spans says that there is no entity. One without a choice says
           nothing: the text is still to be answered.
         - Predictions are never taken for answers.
Proof    tests/label/test_labelstudio.py

Use `labelling_config` as the project's labelling interface: `label` and `text` are its names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from reprlib import repr as short
from typing import Any
from xml.sax.saxutils import quoteattr

from minift.data.examples import Example, TaggedExample
from minift.data.tags import types_of
from minift.errors import MiniftError
from minift.label.formats.json_files import (
    Record,
    as_list,
    named_texts,
    number,
    objects,
    read_records,
    texts_at,
)
from minift.label.formats.rows import Fault, Question, Row, Said
from minift.label.formats.spans import Mark, mark, marks_of

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def labelling_config(labels: Sequence[str], task: str, pairs: bool = False) -> str:
    """Return the XML of the labelling interface that the files of this module fit."""
    names = types_of(labels) if task == "tagging" else labels
    if bad := next((name for name in names if _NO_XML.search(name)), None):
        raise MiniftError(f"the label {bad!r} has a character that XML cannot hold; rename it")
    control, item = ("Labels", "Label") if task == "tagging" else ("Choices", "Choice")
    more = "" if task == "tagging" else ' choice="single" required="true" showInline="true"'
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
    data: dict[str, Any] = {"minift_id": question.example.id, **named_texts(question.example)}
    if question.score is not None:
        data["score"] = number(question.score)
    if question.guess is None:
        return {"data": data}
    result = [
        {"id": f"guess-{place}", "from_name": "label", "to_name": "text", **region}
        for place, region in enumerate(_regions(question.example, question.guess))
    ]
    prediction: dict[str, Any] = {"model_version": "minift", "result": result}
    if (confidence := number(question.confidence)) is not None:
        prediction["score"] = confidence
    return {"data": data, "predictions": [prediction]}


def _regions(example: Example, guess: str | tuple[str, ...]) -> list[dict[str, Any]]:
    if not isinstance(example, TaggedExample):
        return [{"type": "choices", "value": {"choices": [guess]}}]
    found = []
    for start, end, type_, text in marks_of(example.words, guess, utf16=False):
        value = {"start": start, "end": end, "text": text, "labels": [type_]}
        found.append({"type": "labels", "value": value})
    return found


def read(text: str, task: str) -> Iterator[Row | Fault]:
    """Yield what an export says."""
    records, faults = read_records(text)
    yield from faults
    for _, same in groupby(records, key=lambda record: repr(_data(record[1]).get("minift_id"))):
        for where, row in _oldest_first(same):
            data = _data(row)
            said = _annotated(where, row, task) if "data" in row else _minimal(where, row, task)
            yield Row(where, data.get("minift_id"), texts_at(data), said)


def _data(row: dict[str, Any]) -> dict[str, Any]:
    data = row.get("data", row)
    return data if isinstance(data, dict) else {}


def _oldest_first(records: Iterable[Record]) -> list[Record]:
    return sorted(
        records, key=lambda r: str(r[1].get("updated_at") or r[1].get("created_at") or "")
    )


def _annotated(where: str, row: dict[str, Any], task: str) -> list[Said]:
    """Return what the annotations of a task say, in an export as JSON."""
    annotations = objects(row.get("annotations") or [])
    if annotations is None:
        got = short(row["annotations"])
        return [Said(where, unclear=f'"annotations" must be a list of objects, got {got}')]
    named = [
        (where if len(annotations) == 1 else f"{where}, annotation {place}", annotation)
        for place, annotation in enumerate(annotations, start=1)
    ]
    said: list[Said] = []
    for place, annotation in _oldest_first(named):
        regions = objects(annotation.get("result") or [])
        if annotation.get("was_cancelled"):
            said.append(Said(place))
        elif regions is None:
            got = short(annotation["result"])
            said.append(Said(place, unclear=f'"result" must be a list of objects, got {got}'))
        elif task == "tagging":
            marked = [r.get("value") for r in regions if r.get("type") == "labels"]
            said.append(Said(place, marks=_marks(marked)))
        elif chosen := [
            _only(r.get("value"), "choices") for r in regions if r.get("type") == "choices"
        ]:
            said.append(Said(place, classes=chosen))
    return said


def _minimal(where: str, row: dict[str, Any], task: str) -> list[Said]:
    """Return what a row of an export as JSON-MIN says."""
    label = row.get("label")
    if row.get("annotation_id") is None:
        return []
    if task == "tagging":
        if label is None:  # no span: or is it named otherwise?
            lists = [v for v in row.values() if isinstance(v, list)]
            label = [v for values in lists for v in values if _only(v, "labels") is not None]
        return [Said(where, marks=_marks(label if isinstance(label, list) else [label]))]
    if label is None:
        return [Said(where, unclear='it has no "label"; give the choices that name')]
    chosen = label["choices"] if isinstance(label, dict) and "choices" in label else [label]
    several = chosen if isinstance(chosen, list) else [chosen]
    return [Said(where, classes=several)] if several else []


def _marks(values: Iterable[object]) -> list[Mark]:
    found = []
    for value in values:
        fields = value if isinstance(value, dict) else {}
        type_ = _only(value, "labels")
        found.append(mark(fields.get("start"), fields.get("end"), type_, fields.get("text")))
    return found


def _only(value: object, key: str) -> object:
    """Return the one element of value[key]; all of it if there is not exactly one."""
    given = value.get(key) if isinstance(value, dict) else None
    return given[0] if isinstance(given, list) and len(given) == 1 else given
