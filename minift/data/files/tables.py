"""Table files: CSV, TSV and JSONL, one example per row.

Claim    A row is exactly what stands in the file: multi-line CSV fields, raw quotes in TSV and
         labels such as "0.0" come out as they went in, or the row is named with its fault.
Differs  CSV is read strictly: text after a closing quote, or a quote that is never closed, is
         a fault, where Python's default would swallow the rest of the file. In TSV a quote
         is a character like any other. Columns that nobody asked for are left out.
         Without a column `id` the id of an example is its number in the file, from 1.
         Rows come one at a time, so that a file need not fit in memory.
Proof    tests/data/test_readers.py
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from reprlib import repr as short
from typing import TypeGuard

from minift.data.examples import TextExample
from minift.data.files.lines import Problems, raw_lines, stream_text
from minift.data.files.tokens import Sentence
from minift.data.tags import TAG
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
_HALF = "has half of a surrogate pair, which is not a character"


# ---------------------------------------------------------------- files to rows


def csv_rows(path: Path, problems: Problems) -> Iterator[Row]:
    """Yield the rows of a comma-separated file with a header; faults go to `problems`."""
    return _with_header(csv_cells(raw_lines(path), problems), problems)


def csv_cells(
    lines: Iterable[str], problems: Problems, delimiter: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line where it begins, cells) of each row, the header too; faults go to `problems`."""
    csv.field_size_limit(2**31 - 1)  # the default refuses texts over 131,072 characters
    reader, begin = csv.reader(lines, delimiter=delimiter, strict=True), 1
    try:
        for cells in reader:
            if cells:
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:  # rows after this one cannot be told apart any more
        problems.append((begin, f"not valid CSV ({error}); a quote inside quotes is doubled"))


def tsv_rows(path: Path, problems: Problems) -> Iterator[Row]:
    """Yield the rows of a tab-separated file with a header; faults go to `problems`."""
    cells = ((number, line.split("\t")) for number, line in stream_text(path) if line)
    return _with_header(cells, problems)


def _with_header(table: Iterator[tuple[int, list[str]]], problems: Problems) -> Iterator[Row]:
    """Take the first row as column names; rows of another width are faults."""
    header_line, header = next(table, (0, []))
    names = [name.strip() for name in header]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.append((header_line, f'two columns are named "{name}"'))
    for line, cells in table:
        if len(cells) == len(names):
            yield line, dict(zip(names, cells))
        else:
            problems.append((line, f"{len(cells)} columns, expected {len(names)} as in the header"))


def json_rows(path: Path, problems: Problems) -> Iterator[Row]:
    """Yield the rows of a file with one JSON object per line; faults go to `problems`."""
    for number, line in stream_text(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append((number, f"not JSON: {error}"))
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            problems.append((number, f"each line must be a JSON object, got {short(value)}"))


TABLES = {"csv": csv_rows, "tsv": tsv_rows, "jsonl": json_rows}


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return the columns that rows have, in order of appearance."""
    return list(dict.fromkeys(column for _, row in rows for column in row))


# ---------------------------------------------------------------- rows to examples


def choose_columns(
    found: list[str], problems: Problems, text: str | None, text_b: str | None, label: str | None
) -> tuple[str, ...]:
    """Return the columns of the text or of both, as named or else as in `TEXT_COLUMNS`.

    One that is not among those `found` is a problem, and so is a missing `label` unless that is
    None.
    """
    usual = next((names for names in TEXT_COLUMNS if set(names) <= set(found)), ("text",))
    texts = (text,) if text else usual
    texts = (texts[0], text_b) if text_b else texts
    listed = ", ".join(f'"{column}"' for column in found)
    roles = [*zip(("text", "text-b"), texts), *([("label", label)] if label else [])]
    for (role, name), (other, same) in combinations(roles, 2):
        if name == same:
            what = f'the column "{name}" is read both as --{role} and as --{other}'
            problems.append((0, f"{what}; name another one"))
    for role, name in roles:
        if found and name not in found:
            token_file = any(map(TAG.fullmatch, found))
            remedy = "--format conll if this is a token file" if token_file else f"--{role} COLUMN"
            hint = nearest(name, found)
            problems.append((0, f'no column "{name}" (found: {listed}){hint}; pass {remedy}'))
    return texts


def text_examples(
    rows: Iterable[Row],
    columns: list[str],
    problems: Problems,
    texts: tuple[str, ...],
    label: str | None = None,
    required: bool = False,
    numeric: bool = False,
    by_line: bool = False,
    allow_blank: bool = False,
) -> Iterator[tuple[int, TextExample | None]]:
    """Yield (line, example) of each row; of no use once `problems` has grown.

    Args:
        columns, texts: all columns of the file, and those of the text or of both.
        label: column of the label; None does not look at labels.
        required: a missing label is a fault; otherwise the label is None.
        numeric: labels become finite floats; otherwise strings.
        by_line: without a column `id` the id is the line, rather than the number of the row.
        allow_blank: a row without a text gives None; otherwise it is a fault.
    """
    for number, (line, row) in enumerate(rows, start=1):
        values = [row.get(name) for name in texts]
        if allow_blank and any(value is None or not str(value).strip() for value in values):
            yield line, None
            continue
        faults: list[str] = []
        one, *second = [_text(value, name, faults) for value, name in zip(values, texts)]
        given = _label(row.get(label), required, numeric, faults) if label else None
        id_ = _id(columns, row, line if by_line else number, faults)
        problems += [(line, fault) for fault in faults]
        yield line, TextExample(id_, one, given, *second)


def json_sentences(
    rows: Iterable[Row],
    columns: list[str],
    problems: Problems,
    label: str | None = None,
    required: bool = False,
    by_line: bool = False,
) -> Iterator[Sentence]:
    """Yield a sentence of each JSON row with `words`, and with the tags in `label`; as above."""
    for number, (line, row) in enumerate(rows, start=1):
        faults: list[str] = []
        words, tags = row.get("words"), row.get(label) if label else None
        if not _are_strings(words) or not all(word.strip(" \t\r\n") for word in words):
            faults.append(f'"words" must be a list of words, none empty, got {short(words)}')
            words = ["?"]
        elif any(map(_SURROGATE.search, words)):
            faults.append(f'"words" {_HALF}')
        elif tags is None and required:
            faults.append(f'"{label}" is missing')
        elif tags is not None and not (_are_strings(tags) and len(tags) == len(words)):
            faults.append(f'"{label}" must be a list of {len(words)} strings, got {short(tags)}')
        kept = tuple(tags) if _are_strings(tags) and not faults else None
        id_ = _id(columns, row, line if by_line else number, faults)
        problems += [(line, fault) for fault in faults]
        yield Sentence(id_, tuple(words), kept, (line,) * len(words))


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


def _label(value: object, required: bool, numeric: bool, faults: list[str]) -> str | float | None:
    if value is None or value != value or not str(value).strip():  # NaN is what pandas writes
        if required:
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
