"""Table files: CSV, TSV and JSONL, a row an example.

Claim    A row is exactly what stands in the file: multi-line CSV fields, raw quotes in TSV and
         labels such as "0.0" come out as they went in, or the row is named with its fault.
Differs  CSV is read strictly: text after a closing quote, or a quote that is never closed, is
         a fault, where Python's default would swallow the rest of the file. In TSV a quote
         is a character like any other. Columns that nobody asked for are left out.
         Without a column `id` the id of an example is its number in the file, from 1.
Proof    tests/data/test_readers.py
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short
from typing import TypeGuard

from minift.data.examples import TextExample
from minift.data.lines import Problems, decode, read_text
from minift.data.token_files import TAG, Sentence
from minift.errors import nearest

TEXT_COLUMNS = (  # (text, text_b): the first line whose columns are all in the file is taken
    ("text", "text_b"),
    ("text",),
    ("sentence1", "sentence2"),
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("sentence",),
)
LABEL_COLUMNS = ("label", "score")

Row = tuple[int, dict[str, object]]  # (line where the row begins, column -> value)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a character, UTF-8 cannot
_HALF = "has half of a surrogate pair, which is no character"


def csv_rows(path: Path, problems: Problems) -> tuple[list[str], list[Row]]:
    """Return (columns, rows) of a comma-separated file with a header; faults go to `problems`."""
    table: list[tuple[int, list[str]]] = []
    begin = 1
    limit = csv.field_size_limit(2**31 - 1)  # the default refuses texts over 131,072 characters
    try:
        reader = csv.reader([line + "\n" for line in decode(path).split("\n")], strict=True)
        for cells in reader:
            table.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error as error:  # rows after this one cannot be told apart any more
        problems.append((begin, f"not valid CSV ({error}); a quote inside quotes is doubled"))
    finally:
        csv.field_size_limit(limit)
    return _with_header([(line, cells) for line, cells in table if cells], problems)


def tsv_rows(path: Path, problems: Problems) -> tuple[list[str], list[Row]]:
    """Return (columns, rows) of a tab-separated file with a header; faults go to `problems`."""
    return _with_header([(n, line.split("\t")) for n, line in read_text(path) if line], problems)


def json_rows(path: Path, problems: Problems) -> tuple[list[str], list[Row]]:
    """Return (keys in order of appearance, rows) of a file with one JSON object a line."""
    rows: list[Row] = []
    for number, line in read_text(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append((number, f"not JSON: {error}"))
            continue
        if isinstance(value, dict):
            rows.append((number, value))
        else:
            problems.append((number, f"each line must be a JSON object, got {short(value)}"))
    return list(dict.fromkeys(key for _, row in rows for key in row)), rows


def _with_header(
    table: Sequence[tuple[int, list[str]]], problems: Problems
) -> tuple[list[str], list[Row]]:
    """Take the first row as column names; rows of another width are faults."""
    if not table:
        return [], []
    (header_line, header), *body = table
    names = [name.strip() for name in header]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.append((header_line, f'two columns are named "{name}"'))
    rows: list[Row] = []
    for line, cells in body:
        if len(cells) == len(names):
            rows.append((line, dict(zip(names, cells))))
        else:
            problems.append((line, f"{len(cells)} columns, expected {len(names)} as in the header"))
    return names, rows


def text_examples(
    columns: list[str],
    rows: list[Row],
    problems: Problems,
    *,
    text: str | None = None,
    text_b: str | None = None,
    label: str | None = None,
    require_labels: bool = True,
    numeric: bool = False,
) -> list[TextExample]:
    """Turn rows into examples, one a row; of no use once `problems` has grown.

    Args:
        text, text_b, label: columns, if not named as in `TEXT_COLUMNS` and `LABEL_COLUMNS`.
        require_labels: a missing label is a fault; otherwise it becomes None.
        numeric: labels become finite floats; otherwise strings.
    """
    texts = next((names for names in TEXT_COLUMNS if set(names) <= set(columns)), ("text",))
    texts = (text,) if text else texts
    texts = (texts[0], text_b) if text_b else texts
    label = label or next((name for name in LABEL_COLUMNS if name in columns), "label")
    roles = [*zip(("text", "text_b"), texts), *([("label", label)] if require_labels else [])]
    missing = [(role, name) for role, name in roles if name not in columns] if rows else []
    found = ", ".join(f'"{column}"' for column in columns)
    tokens = any(map(TAG.fullmatch, columns))
    for role, name in missing:
        remedy = 'format="conll" if this is a token file' if tokens else f'{role}="..."'
        hint = nearest(name, columns)
        problems.append((0, f'no column "{name}" (found: {found}){hint}; pass {remedy}'))
    examples = []
    for number, (line, row) in enumerate(rows if not missing else (), start=1):
        faults: list[str] = []
        first, *second = [_text(row.get(name), name, faults) for name in texts]
        value = _label(row.get(label), require_labels, numeric, faults)
        examples.append(TextExample(_id(columns, row, number, faults), first, value, *second))
        problems += [(line, fault) for fault in faults]
    return examples


def json_sentences(
    columns: list[str], rows: list[Row], problems: Problems, *, require_labels: bool = True
) -> list[Sentence]:
    """Turn JSON rows with `words` and `tags` into sentences, one a row; else as above."""
    sentences = []
    for number, (line, row) in enumerate(rows, start=1):
        faults: list[str] = []
        words, tags = row.get("words"), row.get("tags")
        if not _are_strings(words) or not all(word.strip(" \t\r\n") for word in words):
            faults.append(f'"words" must be a list of words, none empty, got {short(words)}')
            words = ["?"]
        elif any(map(_SURROGATE.search, words)):
            faults.append(f'"words" {_HALF}')
        elif tags is None and require_labels:
            faults.append('"tags" is missing')
        elif tags is not None and not (_are_strings(tags) and len(tags) == len(words)):
            faults.append(f'"tags" must be a list of {len(words)} strings, got {short(tags)}')
        kept = tuple(tags) if _are_strings(tags) and not faults else None
        id_ = _id(columns, row, number, faults)
        sentences.append(Sentence(id_, tuple(words), kept, (line,) * len(words)))
        problems += [(line, fault) for fault in faults]
    return sentences


def _text(value: object, name: str, faults: list[str]) -> str:
    if value is None:
        faults.append(f'"{name}" is missing')
    elif not isinstance(value, str):
        faults.append(f'"{name}" must be a string, got {short(value)}')
    elif not value.strip():
        faults.append(f'"{name}" is empty')
    elif _SURROGATE.search(value):
        faults.append(f'"{name}" {_HALF}')
    return str(value)


def _label(
    value: object, require_labels: bool, numeric: bool, faults: list[str]
) -> str | float | None:
    if value is None or value != value or not str(value).strip():  # NaN is what pandas writes
        if require_labels:
            faults.append("the label is empty")
        return None
    if not isinstance(value, (str, int, float)):  # a list or an object of JSON
        faults.append(f"the label must be a string or a number, got {short(value)}")
    if not numeric:
        return str(value)
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        faults.append(f"the label must be a finite number, got {short(value)}")
    return number


def _id(columns: list[str], row: dict[str, object], number: int, faults: list[str]) -> str:
    if "id" not in columns:
        return str(number)
    value = row.get("id")
    if not isinstance(value, (str, int)) or not str(value).strip():
        faults.append(f"the id must be a string or an integer, got {short(value)}")
        return f"row {number}"
    return str(value)


def _are_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and value != [] and all(isinstance(v, str) for v in value)
