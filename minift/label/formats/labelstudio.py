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
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from reprlib import repr as short
from typing import Any
from xml.sax.saxutils import quoteattr

from minift.data.examples import Example, TaggedExample
from minift.data.tags import types_of
from minift.errors import MiniftError
from minift.label.formats.json_files import Record, number, read_records, write_list
from minift.label.formats.rows import Question, Reading, texts_of
from minift.label.formats.spans import Mark, marks_of

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def labelling_config(labels: Sequence[str], task: str, pairs: bool = False) -> str:
    """Return the XML of the labelling interface that the files of this module fit.

    Args:
        labels: classes, or IOB2 tags.
        task: "classification" or "tagging".
        pairs: each example is a pair of texts.

    Raises:
        MiniftError: if a label has a character that XML cannot hold.
    """
    names = types_of(labels) if task == "tagging" else labels
    if bad := next((name for name in names if _NO_XML.search(name)), None):
        raise MiniftError(f"the label {bad!r} has a character that no XML file can hold; rename it")
    control, item = ("Labels", "Label") if task == "tagging" else ("Choices", "Choice")
    more = "" if task == "tagging" else ' choice="single" required="true" showInline="true"'
    grain = ' granularity="word"' if task == "tagging" else ""
    shown = ("text", "text_b") if pairs else ("text",)
    return "\n".join(
        [
            "<View>",
            "  <Style>.htx-text { white-space: pre-wrap; }</Style>",
            f'  <{control} name="label" toName="text"{more}>',
            *(f"    <{item} value={quoteattr(name)}/>" for name in names),
            f"  </{control}>",
            *(f'  <Text name="{n}" value="${n}" valueType="text"{grain}/>' for n in shown),
            "</View>\n",
        ]
    )


def write_labelstudio(path: Path, questions: Sequence[Question]) -> None:
    """Write tasks to import, with the guesses as predictions."""
    write_list(path, (_task(question) for question in questions))


def _task(question: Question) -> dict[str, Any]:
    example = question.example
    data: dict[str, Any] = {
        "minift_id": example.id,
        **dict(zip(("text", "text_b"), texts_of(example))),
    }
    if question.score is not None:
        data["score"] = number(question.score)
    task: dict[str, Any] = {"data": data}
    if question.guess is not None:
        result = [
            {"id": f"guess-{place}", "from_name": "label", "to_name": "text", **region}
            for place, region in enumerate(_regions(example, question.guess))
        ]
        prediction: dict[str, Any] = {"model_version": "minift", "result": result}
        if (confidence := number(question.confidence)) is not None:
            prediction["score"] = confidence
        task["predictions"] = [prediction]
    return task


def _regions(example: Example, guess: str | tuple[str, ...]) -> list[dict[str, Any]]:
    if not isinstance(example, TaggedExample):
        return [{"type": "choices", "value": {"choices": [guess]}}]
    return [
        {
            "type": "labels",
            "value": {
                "start": mark.start,
                "end": mark.end,
                "text": mark.text,
                "labels": [mark.type],
            },
        }
        for mark in marks_of(example.words, guess, utf16=False)
    ]


def read_labelstudio(path: Path, reading: Reading) -> None:
    """Tell `reading` what an export says."""
    records = read_records(path, reading, "labelstudio")
    for _, same in groupby(records, key=lambda record: repr(_data(record[1]).get("minift_id"))):
        for where, row in _oldest_first(same):
            data = _data(row)
            texts = [
                data.get("text"),
                *([data["text_b"]] if data.get("text_b") is not None else []),
            ]
            example = reading.find(where, data.get("minift_id"), texts)
            if example is None:
                continue
            if "data" in row:
                _read_task(reading, where, example, row)
            else:
                _read_min(reading, where, example, row)


def _data(row: dict[str, Any]) -> dict[str, Any]:
    data = row.get("data", row)
    return data if isinstance(data, dict) else {}


def _oldest_first(records: Iterable[Record]) -> list[Record]:
    return sorted(
        records, key=lambda r: str(r[1].get("updated_at") or r[1].get("created_at") or "")
    )


def _read_task(reading: Reading, where: str, example: Example, row: dict[str, Any]) -> None:
    annotations = row.get("annotations") or []
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        reading.fault(where, f'"annotations" must be a list of objects, got {short(annotations)}')
        return
    if not annotations:
        reading.leave_open(example)
    named = [
        (where if len(annotations) == 1 else f"{where}, annotation {place}", annotation)
        for place, annotation in enumerate(annotations, start=1)
    ]
    for place, annotation in _oldest_first(named):
        regions = annotation.get("result") or []
        if annotation.get("was_cancelled"):
            reading.skip(place, example)
        elif not isinstance(regions, list) or not all(isinstance(r, dict) for r in regions):
            reading.fault(place, f'"result" must be a list of objects, got {short(regions)}')
        elif isinstance(example, TaggedExample):
            marked = [r.get("value") for r in regions if r.get("type") == "labels"]
            _mark(reading, place, example, marked)
        else:
            chosen = [
                _only(r.get("value"), "choices") for r in regions if r.get("type") == "choices"
            ]
            _choose(reading, place, example, chosen)


def _read_min(reading: Reading, where: str, example: Example, row: dict[str, Any]) -> None:
    label = row.get("label")
    if row.get("annotation_id") is None:
        reading.leave_open(example)
    elif isinstance(example, TaggedExample):
        if label is None:  # no span: or is it named otherwise?
            lists = [v for v in row.values() if isinstance(v, list)]
            label = [v for values in lists for v in values if _only(v, "labels") is not None]
        _mark(reading, where, example, label if isinstance(label, list) else [label])
    elif label is None:
        reading.fault(
            where, f'text {example.id!r}: there is no "label"; give the choices that name'
        )
    else:
        several = label["choices"] if isinstance(label, dict) and "choices" in label else [label]
        _choose(reading, where, example, several if isinstance(several, list) else [several])


def _choose(reading: Reading, where: str, example: Example, chosen: list[Any]) -> None:
    if not chosen:
        reading.leave_open(example)
    elif len(chosen) > 1:
        reading.fault(where, f"text {example.id!r} has several classes, {short(chosen)}; keep one")
    else:
        reading.choose(where, example, chosen[0])


def _mark(reading: Reading, where: str, example: TaggedExample, values: list[Any]) -> None:
    marks = []
    for value in values:
        if not isinstance(value, dict):
            value = {}
        type_ = _only(value, "labels")
        marks.append(Mark(value.get("start"), value.get("end"), type_, value.get("text")))
    reading.mark(where, example, marks, utf16=False)


def _only(value: object, key: str) -> object:
    """Return the one element of value[key]; all of it if there is not exactly one."""
    given = value.get(key) if isinstance(value, dict) else None
    return given[0] if isinstance(given, list) and len(given) == 1 else given
