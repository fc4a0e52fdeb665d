"""What labelling tools make of a batch file: their exports, built by hand from their schemas.

Each function takes the batch file that was written, as the tool imports it, and the answers by
id (a class, tags, or None for skipped; an id that is absent is unanswered), and returns the text
of the tool's export. The functions named after tools do not use the readers and
writers under test.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

from minift.label.formats.exchange import written

SKIPPED = None


def write_questions(path, format, questions, task):
    """Write a batch file; the only thing here that calls what is under test."""
    Path(path).write_text(written(format, questions, task), encoding="utf-8", newline="")


def entities(tags):
    """(first word, end, type) of IOB2 tags, by a plain loop."""
    found = []
    for place, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append([place, place + 1, tag[2:]])
        elif tag.startswith("I-"):
            found[-1][1] = place + 1
    return found


def characters(words, first, end):
    """Place of the words in the text, in code points."""
    start = len("".join(word + " " for word in words[:first]))
    return start, start + len(" ".join(words[first:end]))


def units(text, place):
    """The same place in UTF-16 units, as a browser counts them."""
    return len(text[:place].encode("utf-16-le")) // 2


def spreadsheet(written, answers, words_of=None, delimiter=",", bom=True, newline="\r\n"):
    """Open the CSV, fill in the column, save it as another locale would."""
    limit = csv.field_size_limit(10**6)
    rows = list(csv.reader(io.StringIO(written.removeprefix("\ufeff"), newline="")))
    csv.field_size_limit(limit)
    assert rows[0][-1] == "label"
    for row in rows[1:]:
        id_ = row[0][1:] if row[0].startswith("'") else row[0]
        if id_ in answers:
            row[-1] = "skip" if answers[id_] is SKIPPED else answers[id_]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=newline).writerows(rows)
    return ("\ufeff" if bom else "") + file.getvalue()


def _regions(task, label, words_of):
    text = task["data"]["text"]
    if isinstance(label, str):
        value = {"choices": [label]}
        return [{"value": value, "id": "a1", "from_name": "label", "to_name": "text",
                 "type": "choices", "origin": "manual"}]  # fmt: skip
    words, regions = words_of[task["data"]["minift_id"]], []
    for first, end, type_ in entities(label):
        start, stop = characters(words, first, end)
        value = {"start": start, "end": stop, "text": text[start:stop], "labels": [type_]}
        regions.append({"value": value, "id": f"r{start}", "from_name": "label",
                        "to_name": "text", "type": "labels", "origin": "manual"})  # fmt: skip
    return regions


def labelstudio(written, answers, words_of=None):
    """Export "JSON" of Label Studio."""
    tasks = []
    for number, task in enumerate(json.loads(written), start=101):
        id_ = task["data"]["minift_id"]
        annotations = []
        if id_ in answers:
            skipped = answers[id_] is SKIPPED
            result = [] if skipped else _regions(task, answers[id_], words_of)
            annotations = [{
                "id": number + 1000, "completed_by": 1, "result": result,
                "was_cancelled": skipped, "ground_truth": False,
                "created_at": "2026-01-02T03:04:05.000000Z",
                "updated_at": "2026-01-02T03:04:06.000000Z",
                "lead_time": 4.2, "prediction": {}, "result_count": len(result),
                "task": number, "project": 3, "parent_prediction": None,
            }]  # fmt: skip
        tasks.append({
            "id": number, "annotations": annotations, "file_upload": "abc-batch.json",
            "drafts": [], "predictions": [7], "data": task["data"], "meta": {},
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T03:04:06Z",
            "inner_id": number - 100, "total_annotations": len(annotations),
            "cancelled_annotations": 0, "total_predictions": 1, "comment_count": 0,
            "project": 3, "updated_by": 1, "comment_authors": [],
        })  # fmt: skip
    return json.dumps(tasks, ensure_ascii=False)


def labelstudio_min(written, answers, words_of=None):
    """Export "JSON-MIN": a row an annotation, and the task's number over any `id` of ours."""
    rows = []
    for number, task in enumerate(json.loads(written), start=101):
        id_ = task["data"]["minift_id"]
        row = {**task["data"], "id": number}
        if id_ in answers and answers[id_] is SKIPPED:
            continue
        if id_ in answers:
            values = [region["value"] for region in _regions(task, answers[id_], words_of)]
            if isinstance(answers[id_], str):
                row["label"] = values[0]["choices"][0]
            elif values:
                row["label"] = values
        row |= {"annotator": 1, "annotation_id": number + 1000 if id_ in answers else None,
                "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:06Z",
                "lead_time": 4.2}  # fmt: skip
        rows.append(row)
    return json.dumps(rows, ensure_ascii=False)


def _csv(rows, columns, delimiter=","):
    """A table as pandas writes it: `None` is an empty cell."""
    file = io.StringIO()
    table = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return file.getvalue()


def labelstudio_csv(written, answers, words_of=None, delimiter=","):
    """Export "CSV" or "TSV": a row an annotation, columns sorted, spans as JSON in a cell."""
    rows = json.loads(labelstudio_min(written, answers, words_of))
    rows = [row for row in rows if row["annotation_id"] is not None]
    for row in rows:
        label = row.setdefault("label", "")
        row["label"] = label if isinstance(label, str) else json.dumps(label, separators=(",", ":"))
    return _csv(rows, sorted({key for row in rows for key in row}), delimiter)


def doccano_csv(written, answers, words_of=None):
    """Export "CSV" of a text classification: labels and comments are joined by "#"."""
    rows = [json.loads(line) for line in doccano(written, answers, words_of).split("\n")[:-1]]
    joined = ("label", "Comments")
    rows = [{**row, **{key: "#".join(row[key]) for key in joined}} for row in rows]
    return _csv(rows, list(rows[0]) if rows else ["id", "text", "minift_id", *joined])


def doccano_relations(written, answers, words_of=None):
    """Export JSONL of a sequence labelling with relations: spans and comments are objects."""
    lines = []
    for line in doccano(written, answers, words_of).split("\n")[:-1]:
        row = json.loads(line)
        row["entities"] = [
            {"id": n, "label": type_, "start_offset": start, "end_offset": end}
            for n, (start, end, type_) in enumerate(row.pop("label"))
        ]
        row["relations"] = []
        row["Comments"] = [{"id": 4, "comment": comment} for comment in row["Comments"]]
        lines.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def argilla_jsonl(written, answers, words_of=None):
    """What `datasets` writes of `to_datasets()`: flattened records, one per line."""
    rows = json.loads(argilla(written, answers, words_of))
    return "".join(json.dumps(row) + "\n" for row in rows)


def doccano(written, answers, words_of=None):
    """Export JSONL: its own ids, our columns as metadata beside the label."""
    lines = []
    for number, line in enumerate(written.splitlines(), start=501):
        row = json.loads(line)
        id_, text = row["minift_id"], row.pop("text")
        row.pop("label")
        label, comments = [], []
        if id_ in answers and answers[id_] is SKIPPED:
            comments = ["skip"]
        elif id_ in answers and isinstance(answers[id_], str):
            label = [answers[id_]]
        elif id_ in answers:
            words = words_of[id_]
            marked = entities(answers[id_]) or [[0, 1, "O"]]
            for first, end, type_ in marked:
                start, stop = characters(words, first, end)
                label.append([units(text, start), units(text, stop), type_])
        exported = {"id": number, "text": text, **row, "label": label, "Comments": comments}
        lines.append(json.dumps(exported, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def argilla(written, answers, words_of=None, flat=True):
    """`to_list(flatten=True)` in JSON, or `to_json`."""
    records = []
    for record in json.loads(written):
        id_, values, states = record["id"], [], []
        if id_ in answers:
            states = ["discarded" if answers[id_] is SKIPPED else "submitted"]
            values = [
                answers[id_] if isinstance(answers[id_], str) else _spans(record, answers, words_of)
            ]
        done = "completed" if states == ["submitted"] else "pending"
        common = {"id": id_, "status": done, "_server_id": f"server-{id_}"}
        if flat:
            flattened = {**common, **record["fields"], **record["metadata"]}
            if states:
                flattened |= {"label.responses": values, "label.responses.users": ["u1"],
                              "label.responses.status": states}  # fmt: skip
            if "label" in record["suggestions"]:
                flattened["label.suggestion"] = record["suggestions"]["label"]["value"]
            records.append(flattened)
        else:
            given = [{"value": value, "user_id": "u1"} for value in values]
            responses = {"label": given} if given else {}
            records.append({**record, **common, "responses": responses})
    keys = {key for record in records for key in record}
    return json.dumps([{key: record.get(key) for key in keys} for record in records])


def _spans(record, answers, words_of):
    tags = answers[record["id"]]
    if tags is SKIPPED:
        return []
    words, text = words_of[record["id"]], record["fields"]["text"]
    spans = []
    for first, end, type_ in entities(tags):
        start, stop = characters(words, first, end)
        spans.append({"start": units(text, start), "end": units(text, stop), "label": type_})
    return spans


def editor(written, answers, words_of=None):
    """Put tags over the question marks, in order; `# skip = yes` under the id."""
    blocks, answers = [], {re.sub("[\t\r\n]", " ", id_): a for id_, a in answers.items()}
    for block in written.rstrip("\n").split("\n\n"):
        lines = block.split("\n")
        id_ = lines[0].removeprefix("# id = ")
        head = [line for line in lines if "\t" not in line]
        rows = [line for line in lines if "\t" in line]
        assert all(row.endswith("\t?") for row in rows)
        if id_ in answers and answers[id_] is SKIPPED:
            head.append("# skip = yes")
        elif id_ in answers:
            rows = [row[:-1] + tag for row, tag in zip(rows, answers[id_])]
        blocks.append("\n".join([*head, *rows]))
    return "\n\n".join(blocks) + "\n\n"
