"""What labelling tools export: who said what about which text.

Claim    An answer is one that a person gave: drafts, predictions and texts that nobody looked at
         are none. Who gave it is kept; what cannot be told is named, and never guessed.
Paper    https://labelstud.io/guide/export, the exporters of doccano 1.8, Argilla's `Record`
Differs  What each tool cannot say, and what follows, stands in minift/label/README.md. The id is
         that in `minift_id`, where there is one: their own `id` is another number. Label Studio,
         spaCy and Prodigy count code points; doccano (issue 2290) and Argilla count UTF-16 units,
         so that an emoji counts two.
Proof    tests/label/test_labelstudio.py, test_doccano.py, test_argilla.py, test_exports.py
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple

from minift.data.examples import Task
from minift.data.files.lines import Problems, unit
from minift.data.files.tables import Names, objects
from minift.data.spans import Mark, cut_words, mark, tags_in
from minift.data.tags import labels_of
from minift.errors import MiniftError

Line = tuple[int, dict[str, Any]]  # (line, or record of a JSON list, from 1; what is there)
Record = tuple[str, dict[str, Any]]  # (where in the file, for messages; what is there)
CONLL = " -X- _ "  # between word and tag in Label Studio's CoNLL, and in no other
NO_FASTTEXT = "fastText has no ids, and doccano's breaks texts; export JSONL instead"
NO_CONLL = "Label Studio's CoNLL tells neither texts nor answers apart; export JSON instead"
AS_LIST = "export it with dataset.records(with_responses=True).to_list(flatten=True)"


class Said(NamedTuple):
    """What one person said about a text: one of the following, or that it is to be set aside."""

    where: str  # place in the file, for messages
    classes: Sequence[object] | None = None  # what was chosen: one, or with multilabel any number
    marks: Sequence[Mark] | None = None  # entities as spans of characters
    utf16: bool = False  # how these are counted
    tags: Sequence[tuple[str, str]] | None = None  # (place, tag) of each word
    unclear: str = ""  # why nobody can tell what was said
    or_skip: bool = False  # a class that is not in the project sets the text aside
    by: str = ""  # the person, as the tool calls them, if the file says so


class Row(NamedTuple):
    """What a file says about one text; nothing of it is checked yet."""

    where: str
    id: object  # of the text, or whatever stands in its place
    texts: Sequence[object]  # as the file shows it: itself, both of a pair, or the words
    said: Sequence[Said] = ()  # by each person, oldest first; nothing if nobody has answered


class Fault(NamedTuple):
    """Something in a file that is not a row, or that somebody should look at."""

    where: str
    what: str


def _texts(fields: dict[str, Any], names: Names) -> list[object]:
    first, second = (fields.get(name) for name in (names.text or "text", names.text_b or "text_b"))
    return [first] if second in (None, "") else [first, second]


def tool_of(row: dict[str, Any]) -> str | None:
    """Return the tool that a record comes from; None if it is a row like any other."""
    nested, lists = ({k for k in row if isinstance(row[k], kind)} for kind in (dict, list))
    if "fields" in nested or any("_server_id" in one for one in (row, *(row[k] for k in nested))):
        return "argilla"
    if "data" in nested or "annotations" in lists or "annotation_id" in row:
        return "labelstudio"
    theirs = {"minift_id"}, {"id", "label", "Comments"}
    spans = lists & {"label", "labels", "entities", "spans", "accept"}
    judged = row.get("answer") in ("accept", "reject", "ignore")
    if "text" in row and (spans or judged or any(keys <= row.keys() for keys in theirs)):
        return "doccano"
    return None


def numbered(path: Path, rows: Iterable[Line]) -> list[Record]:
    """Return the rows of a file with the names of their places in it."""
    return [(f"{unit(path)} {number}", row) for number, row in rows]


def several_classes(classes: Sequence[object]) -> str:
    """Say that a text of one class cannot have several, and what to do."""
    got = f"it has several classes, {short(list(classes))}"
    known = 'minift knows one per text unless task="multilabel" is given'
    return f"{got}, and {known}; keep one, and export again"


def _who(value: object) -> str:
    """Return how a tool calls a person, from a number, a name or an object; "" if it does not."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return str(value).encode(errors="replace").decode() if isinstance(value, str | int) else ""


def _labelstudio(records: list[Record], task: str, names: Names) -> Iterator[Row | Fault]:
    kind = "labels" if task == "tagging" else "choices"
    name = names.label or "label"
    flat = [row for _, row in records if row.get("annotation_id") not in (None, "")]
    if kind == "choices" and flat and not any(name in row for row in flat):
        raise MiniftError(f'nothing in it is called "{name}"; give the choices that name')
    tasks: dict[str, list[Record]] = {}
    for where, row in records:
        same = _data(row).get("minift_id", row.get("id", where))
        tasks.setdefault(repr(same), []).append((where, row))
    for rows in tasks.values():
        said, data = list[Said](), _data(rows[0][1])
        annotations = [one for where, row in rows for one in _annotations(where, row, kind, names)]
        for where, given in sorted(  # JSON-MIN lists the newest first
            annotations, key=lambda a: str(a[1].get("updated_at") or a[1].get("created_at") or "")
        ):
            regions = objects(given.get("result") or [])
            one = Said(where, by=_who(given.get("completed_by")))
            mine = [r for r in regions or () if names.label in (None, r.get("from_name"))]
            values = [region.get("value") for region in mine if region.get("type") == kind]
            if given.get("was_cancelled"):
                said.append(one)
            elif regions is None or (kind == "labels" and mine and not values):
                got = short(given["result"])
                said.append(one._replace(unclear=f'expected regions of type "{kind}", got {got}'))
            elif kind == "labels":
                said.append(one._replace(marks=[_mark(value or {}) for value in values]))
            elif values or task == "multilabel":
                parts = [_only(value, "choices") for value in values]
                each = [c for p in parts for c in (p if isinstance(p, list) and p else [p])]
                chosen = [c for c in each if c or task != "multilabel"]
                said.append(one._replace(classes=chosen))
        yield Row(rows[0][0], data.get("minift_id"), _texts(data, names), said)


def _data(row: dict[str, Any]) -> dict[str, Any]:
    data = row.get("data", row)
    return data if isinstance(data, dict) else {}


def _annotations(where: str, row: dict[str, Any], kind: str, names: Names) -> list[Record]:
    """Return the annotations of a task; a row of JSON-MIN, CSV or TSV is one of them."""
    if "data" in row:
        given = row.get("annotations") or []
        found = [{"result": given}] if objects(given) is None else given
        several = [f", annotation {n}" * (len(found) > 1) for n in range(1, len(found) + 1)]
        return [(where + place, one) for place, one in zip(several, found)]
    if row.get("annotation_id") in (None, ""):
        return []
    cell = row.get(names.label or "label")
    if isinstance(cell, str) and cell[:2] in ("[{", '{"'):  # JSON in a cell of CSV
        with contextlib.suppress(ValueError, RecursionError):
            cell = json.loads(cell)
    if not cell:  # no span: or is it named otherwise?
        lists = [value for value in row.values() if isinstance(value, list)]
        cell = [v for values in lists for v in values if _only(v, "labels") is not None]
    if objects(cell) is None:
        chosen = cell.get("choices") if isinstance(cell, dict) else cell
        cell = [{"choices": one} for one in (chosen if isinstance(chosen, list) else [chosen])]
    result = [{"type": kind, "value": value, "from_name": names.label} for value in cell]
    return [(where, {**row, "completed_by": row.get("annotator"), "result": result})]


def _only(value: object, key: str) -> object:
    """Return the one element of value[key]; all of it if there is not exactly one."""
    given = value.get(key) if isinstance(value, dict) else None
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def _doccano(records: list[Record], task: str, names: Names) -> Iterator[Row | Fault]:
    unmarked = 0
    for where, row in records:
        meta = row.get("meta")
        id_ = row.get("minift_id", meta.get("minift_id") if isinstance(meta, dict) else None)
        said = _labels(where, row, task, names.label)
        unmarked += not said and task == "tagging"
        yield Row(where, id_, _texts(row, names), said)
    if unmarked:
        left = "Nothing says whether anybody looked at them, so they are left open"
        what = f"sentences without a span: {unmarked}. {left}. Where there is no entity"
        yield Fault("all lines", f'{what}, mark a word as "O"')


def _labels(where: str, row: dict[str, Any], task: str, name: str | None) -> list[Said]:
    keys = (name or "label", "label", "labels", "entities", "spans", "accept")
    key = next((key for key in keys if row.get(key)), "")
    given, notes = row.get(key) or [], row.get("Comments")  # in CSV a string
    notes = notes.split("#") if isinstance(notes, str) else notes
    texts = [  # of relation projects they are objects
        one.get("comment", one.get("text")) if isinstance(one, dict) else one
        for one in (notes if isinstance(notes, list) else [])
    ]
    skip = "skip" in [str(text).strip().lower() for text in texts]
    if skip or row.get("answer") in ("reject", "ignore"):
        return [Said(where)]
    if isinstance(given, str):  # a cell of CSV: classes are joined by "#"
        parts = given.split("#") if "Comments" in row else [given]
        given = parts if all(parts) else [given]
    if not isinstance(given, list):
        return [Said(where, unclear=f"expected a list of labels, got {short(given)}")]
    # spaCy writes lists, and relation projects of doccano objects, under the same name.
    spacy = key == "spans" or (key == "entities" and not objects(given))
    looked = "answer" in row or "spans" in row or ("entities" in row and "relations" not in row)
    if task == "tagging" and (given or looked):
        return [Said(where, marks=[*map(_mark, given)], utf16=not spacy)]
    return [Said(where, classes=given)] if given or (looked and task == "multilabel") else []


def _mark(span: object) -> Mark:
    """Take [start, end, type], or the objects of Label Studio, Prodigy, Argilla and relations."""
    if isinstance(span, dict):
        start, end = (span.get(f"{key}_offset", span.get(key)) for key in ("start", "end"))
        text = span.get("text") if "labels" in span else None
        return mark(start, end, _only(span, "labels") or span.get("label"), text)
    if isinstance(span, list) and len(span) in (2, 3):
        return mark(*[*span, None][:3])
    return mark(short(span), None, None)


def _argilla(records: list[Record], task: str, names: Names) -> Iterator[Row | Fault]:
    name = names.label or "label"
    for where, row in records:
        fields = row["fields"] if isinstance(row.get("fields"), dict) else row
        nested, done, said = row.get("responses"), row.get("status") == "completed", list[Said]()
        given = objects(nested.get(name) or []) if isinstance(nested, dict) else _flat(row, name)
        if given is None:
            said = [Said(where, unclear="its responses are not a list of answers")]
        elif done and not given:
            raise MiniftError(f'records are completed without a response to "{name}"; {AS_LIST}')
        for response in given or ():
            status, value = response.get("status"), response.get("value")
            if status is None and not (done and len(given or ()) == 1):
                raise MiniftError(f"it does not tell what was submitted from drafts; {AS_LIST}")
            one, spans = Said(where, by=_who(response.get("user_id"))), objects(value)
            if status in ("submitted", None) and task != "tagging":
                some = isinstance(value, list) and (value or task == "multilabel")
                one = one._replace(classes=value if some else [value])
            elif status in ("submitted", None) and spans is None:
                one = one._replace(unclear=f"expected a list of spans, got {short(value)}")
            elif status in ("submitted", None):
                one = one._replace(marks=[*map(_mark, spans or ())], utf16=True)
            said += [one] * (status in ("submitted", "discarded", None))
        yield Row(where, row.get("id"), _texts(fields, names), said)


def _flat(row: dict[str, Any], name: str) -> list[dict[str, Any]] | None:
    """Return the responses of a flattened record; None if they are not lists."""
    lists = [row.get(f"{name}.responses{more}") or [] for more in ("", ".users", ".status")]
    if str(lists[0]).startswith(("['", "[array(")) and isinstance(lists[0], str):
        raise MiniftError(f"Argilla's CSV does not keep the responses; {AS_LIST}")
    if not all(isinstance(given, list) for given in lists):
        return None
    keys = "value", "user_id", "status"
    return [dict(zip(keys, one)) for one in zip_longest(*lists)][: len(lists[0])]


# tool -> its records, for a task -> what they say; raises MiniftError if the file leaves that open
READERS: dict[str, Callable[[list[Record], str, Names], Iterator[Row | Fault]]]
READERS = {"labelstudio": _labelstudio, "doccano": _doccano, "argilla": _argilla}


def as_table(
    path: Path, rows: list[Line], problems: Problems, task: Task | None, names: Names
) -> tuple[list[Line], list[str]] | None:
    """Return the answers in a tool's export as rows of a table with our own columns, and notes.

    None if not every row is that of a tool. Spans make it tagging, unless there is a `task`.
    """
    tool, *others = {tool_of(row) for _, row in rows} or {None}
    if tool is None or others:
        return None
    exported = any({"minift_id", "Comments", "answer"} & row.keys() for _, row in rows)
    if task == "multilabel" and tool == "doccano" and not exported:
        return None  # lists of labels that nobody's tool wrote; in doccano's, [] is no answer
    records, found, notes = numbered(path, rows), list[Row](), list[str]()
    line_of = {where: line for (where, _), (line, _) in zip(records, rows)}
    try:
        for kind in ("tagging", "multilabel" if task == "multilabel" else "classification"):
            all_said = [*READERS[tool](records, kind, names)]
            found = [row for row in all_said if isinstance(row, Row)]
            notes = [fault.what for fault in all_said if isinstance(fault, Fault)]
            marks = [mark for row in found for said in row.said for mark in said.marks or ()]
            if task == "tagging" or (not task and any(type(mark.start) is int for mark in marks)):
                break
    except MiniftError as error:
        problems.append((0, str(error)))
        return [], []
    labels = labels_of(sorted({str(m.type) for m in marks if m.type is not None} - {"O"}))
    named = all(isinstance(row.id, str | int) for row in found)
    table: list[Line] = []
    unanswered, set_aside, differing, cut = [list[str]() for _ in range(4)]
    for row in found:
        texts, answers = dict(zip(("text", "text_b"), row.texts)), list[dict[str, object]]()
        for said in row.said:
            faults = [said.unclear] if said.unclear else []
            if said.classes is not None:
                several = task == "multilabel"
                answers.append({**texts, "label": said.classes if several else said.classes[0]})
                faults += [several_classes(said.classes)] * (len(said.classes) > 1 and not several)
            elif said.marks is not None and isinstance(text := texts["text"], str):
                words, halved = cut_words(text, said.marks, said.utf16)
                tags, faults = tags_in(text, words, said.marks, labels, said.utf16)
                answers.append({"words": [text[a:b] for a, b in words], "tags": tags})
                cut += [f"{said.where}, {word!r}" for word in halved]
            if said.marks is not None and [*map(type, row.texts)] != [str]:
                faults = [f"spans need one text, got {short(texts)}"]
            problems += [(line_of[row.where], fault) for fault in faults]
        if answers:
            table.append((line_of[row.where], {**({"id": row.id} if named else {}), **answers[-1]}))
            differing += [row.where] * any(answer != answers[0] for answer in answers)
        else:
            (set_aside if row.said else unanswered).append(row.where)
    if not table:
        problems.append((0, "nobody has answered anything in it"))
    counted = {
        "texts without an answer, which are left out": unanswered,
        "texts that were set aside, which are left out": set_aside,
        "texts with different answers, of which the last one counts": differing,
        "words that the border of a span cuts in two": cut,
    }
    notes += [f"{what}: {len(at)} (first: {at[0]})" for what, at in counted.items() if at]
    return table, notes
