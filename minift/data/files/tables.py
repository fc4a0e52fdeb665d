"""Table files: CSV, TSV, JSON, fastText's: one example per row.

Claim    A row is exactly what stands in the file: cells over several lines, raw quotes in TSV and
         labels such as "0.0" come out as they went in, or the row is named with its fault.
Differs  Columns are apart by the comma, semicolon, TAB or bar that gives the header most of the
         usual names, or else most columns; or by what Excel's line "sep=" says. CSV is read
         strictly: a quote that is never closed is a fault, where Python's default would swallow
         the rest of the file. Between TABs, quotes are characters, or enclose cells, as pandas
         writes them; if both can be, --format has to say which. Names of columns may differ by
         capitals. Rows come one at a time, so a file need not fit in memory; JSON over lines must.
Proof    tests/data/test_readers.py
"""

import contextlib
import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, combinations, islice
from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple, TypeGuard

from minift.checkpoints.limits import each_once
from minift.data.examples import NONE, SEPARATOR, Example, TaggedExample, Task, TextExample
from minift.data.files.lines import Problems, lines_again, stream_text
from minift.data.tags import TAG
from minift.data.words import counted
from minift.errors import nearest

TEXT_COLUMNS = (  # (text, text_b): the first line whose columns are all in the file is taken
    ("text", "text_b"),
    ("text",),
    ("sentence1", "sentence2"),
    ("question", "sentence"),
    ("premise", "hypothesis"),
    ("sentence",),
    *((t + a, t + b) for t in ("text", "sentence", "question") for a, b in ("12", ("_a", "_b"))),
)
WORD_COLUMNS = (("words",), ("tokens",))
WORDS_IN = 'a token file, or JSONL with "words" or "tokens", "tags" or "ner_tags"'
LABEL_COLUMNS, TAG_COLUMNS = ("label", "labels", "score"), ("tags", "ner_tags")
USUAL = {"id", *LABEL_COLUMNS, *chain(*TEXT_COLUMNS)}
FASTTEXT = "__label__"
NO_LABEL = "the label is empty"

Notes = list[str]  # what a user should know, for functions that add to it
Row = tuple[int, dict[str, object]]  # (line where the row begins, column -> value)
_HALF = re.compile("[\ud800-\udfff]")  # JSON can spell half a character, UTF-8 cannot
_DECIMALS = re.compile(r"[+-]?(\d*,(?!\d{3}$)|0*,)\d+")
_FILLED = re.compile(r"\S")
_QUOTED = re.compile(r'(?:^|\t)"')  # a cell that begins with a quote
_DOUBLED = re.compile(r'(?:^|\t)"[^"\t]*""')  # and has two later, as nobody writes by hand
_FASTTEXT = re.compile(rf"(?<!\S){FASTTEXT}(\S+)\s*")


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


def table_cells(
    lines: Callable[[], Iterable[str]],
    problems: Problems,
    marks: str = ",;\t|",
    quotes: bool | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Yield as `csv_cells` the rows of a table, for which `lines` may be called several times.

    The likeliest of the `marks` comes first. `quotes` says whether quotes enclose cells where the
    file does not tell; None refuses it.
    """
    at, first = next(((n, line) for n, line in enumerate(lines()) if line.strip()), (0, ""))
    if stated := re.fullmatch(r'"?sep=(.)"?', first.strip("\r\n")):
        rest = ("\n" if n == at else line for n, line in enumerate(lines()))
        return csv_cells(rest, problems, stated[1])

    def worth(mark: str) -> tuple[int, int]:
        names = {name.strip('" \r\n').lower() for name in first.split(mark)}
        return len(names & USUAL), len(names)

    mark = max(marks, key=worth)
    if mark != "\t" or _enclosed(lines, problems, quotes):
        return csv_cells(lines(), problems, mark)
    plain = enumerate((line.removesuffix("\n").removesuffix("\r") for line in lines()), start=1)
    return ((number, line.split("\t")) for number, line in plain if line)


def _enclosed(lines: Callable[[], Iterable[str]], problems: Problems, quotes: bool | None) -> bool:
    """Return whether quotes enclose the cells between TABs, so that they are no part of them."""
    quoted, written, tabs = 0, False, set[int]()
    for number, line in enumerate(lines(), start=1):
        if line.strip("\r\n"):
            tabs.add(line.count("\t"))
        if _QUOTED.search(line):
            quoted = quoted or number
            written = written or number == 1 or bool(_DOUBLED.search(line))
    if not quoted:
        return False
    faults, widths, odd = Problems(), set[int](), len(tabs) == 1
    for _, cells in csv_cells(lines(), faults, "\t"):
        widths.add(len(cells))
        odd = odd or any("\t" in cell and "\n" in cell for cell in cells)  # or rows swallowed
    if faults or len(widths) > 1:
        return written and len(tabs) > 1
    if written or not odd:
        return True
    if quotes is None:
        what = 'its quotes may be part of the text or enclose it; pass format="tsv" if they are'
        problems.append((quoted, f'{what} part of it, or format="csv" if they enclose it'))
    return bool(quotes)


def table_rows(
    path: Path, problems: Problems, marks: str = "", quotes: bool | None = None
) -> Iterator[Row]:
    """Yield the rows of a table, as `table_cells`; one not as wide as the header is a fault."""
    marks = marks or (",;\t|" if path.suffix.lower() == ".csv" else "\t,;|")
    table = table_cells(lines_again(path), problems, marks, quotes)
    header_line, header = next(table, (0, []))
    names = [name.strip() for name in header]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        problems.append((header_line, f'two columns are named "{name}"'))
    for line, cells in table:
        if len(cells) == len(names):
            yield line, dict(zip(names, cells))
        else:
            got = counted(len(cells), "column")
            problems.append((line, f"{got}, expected {len(names)} as in the header"))


def json_rows(path: Path, problems: Problems) -> Iterator[Row]:
    """Yield the objects of a file, or of one list or table in it, where they count as lines."""
    values = _json_values(path, problems)
    first = [*islice(values, 2)]
    rows = _rows_in(first[0][1]) if len(first) == 1 else None
    if rows is not None:
        first = [(number, row, first[0][2]) for number, row in enumerate(rows, start=1)]
    for line, row, source in chain(first, values):
        match row:
            case [str(text), dict(more)]:  # an example of spaCy 2
                row = {"text": text, **more}
        if not isinstance(row, dict):
            problems.append((line, f"a row must be a JSON object, got {short(row)}"))
        elif "\\u" in source and _HALF.search(json.dumps(row, ensure_ascii=False)):
            problems.append((line, f"half of a surrogate pair is no character: {short(row)}"))
        else:
            yield line, row


def _json_values(path: Path, problems: Problems) -> Iterator[tuple[int, Any, str]]:
    """Yield (line where it begins, value, source) of what a file holds, in lines or over them."""
    decode = json.JSONDecoder(object_pairs_hook=each_once).raw_decode

    def begins(text: str) -> bool:
        with contextlib.suppress(ValueError, RecursionError):
            return bool(decode(text.lstrip()))
        return False

    lines = lines_again(path)
    first = next(filter(str.strip, lines()), "")
    sources: Iterable[tuple[int, str]] = enumerate(lines(), start=1)
    if not begins(first):
        whole = "".join(lines())
        sources = [(1, whole)] if first.lstrip()[:1] == "[" or begins(whole) else sources
    for line, source in sources:
        start = end = 0
        while found := _FILLED.search(source, end):
            line += source.count("\n", start, found.start())
            start = found.start()
            try:
                value, end = decode(source, start)
            except (ValueError, RecursionError) as error:
                problems.append((line, f"not JSON: {error}"))
                break
            yield line, value, source[start:end]


def _rows_in(value: Any) -> list[Any] | None:
    """Return the rows of a file that is one value: a list, or a table of pandas; None: neither."""
    if not isinstance(value, dict):
        return value if isinstance(value, list) else None
    columns = [*value.values()]
    if {*map(type, columns)} == {dict} and len({*map(tuple, columns)}) == 1:
        if not (USUAL & value.keys() or all(map(str.isdecimal, columns[0]))):
            return columns  # these are named rows
        columns = [[*column.values()] for column in columns]
    words = any(_are_strings(c) for name, c in value.items() if (name.lower(),) in WORD_COLUMNS)
    if words or {*map(type, columns)} != {list} or len({*map(len, columns)}) > 1:
        return None
    rows = len(columns) == 1 and {*map(type, columns[0])} == {dict}  # {"data": [...]}
    return columns[0] if rows else [dict(zip(value, cells)) for cells in zip(*columns)]


def objects(value: object) -> list[dict[str, Any]] | None:
    """Return a list of JSON objects as it is; None if it is something else."""
    right = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return value if isinstance(value, list) and right else None


def fasttext_rows(path: Path, problems: Problems) -> Iterator[Row]:
    """Yield the text and the label of each line; several labels are a list."""
    for number, line in stream_text(path):
        text, labels = _FASTTEXT.sub("", line).strip(), _FASTTEXT.findall(line)
        if line.strip():
            yield number, {"text": text, "label": labels[0] if len(labels) == 1 else labels or None}


TABLES: dict[str, Callable[[Path, Problems], Iterator[Row]]] = {
    "table": table_rows,
    "csv": partial(table_rows, quotes=True),
    "tsv": partial(table_rows, marks="\t", quotes=False),
    "jsonl": json_rows,
    "fasttext": fasttext_rows,
}


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return the columns that rows have, in order of appearance."""
    return list(dict.fromkeys(column for _, row in rows for column in row))


class Names(NamedTuple):
    """What columns are called, or the fields and the question of a labelling tool's project."""

    text: str | None = None  # None is the usual name, or whatever there is
    text_b: str | None = None
    label: str | None = None
    group: str | None = None


class Columns(NamedTuple):
    """The columns of a file that are read: of the text or both, or of the words; None is absent."""

    texts: tuple[str, ...]
    label: str | None
    id: str | None
    group: str | None = None


def choose_columns(
    found: list[str], problems: Problems, names: Names, required: bool, words: bool, notes: Notes
) -> Columns:
    """Return the columns that are meant, as named or else as usual; other capitals are noted.

    A text that is not among those `found` is a problem, and so is a label if it is `required`.
    For sentences of `words`, texts are lists of words and labels are lists of tags.
    """

    def there(name: str) -> str | None:
        alike = [column for column in found if column.lower() == name.lower()]
        return name if name in found else alike[0] if len(alike) == 1 else None

    usual, labels = (WORD_COLUMNS, TAG_COLUMNS) if words else (TEXT_COLUMNS, LABEL_COLUMNS)
    texts = next((both for both in usual if all(map(there, both))), usual[0][:1])
    texts = (names.text,) if names.text else texts
    texts = (texts[0], names.text_b) if names.text_b else texts
    label = names.label or next(filter(there, labels), labels[0])
    roles = [*zip(("text", "text_b"), texts), ("label", label), ("id", "id")]
    roles += [("group", names.group)] if names.group else []
    tokens = [] if words else [c for c in found if re.fullmatch("(?i)(word|token)s?", c)]
    wrong = f'the column "{tokens[0]}" is for tagging, which needs {WORDS_IN}' if tokens else ""
    if len(found) == 1 and len(USUAL.intersection(re.split(r"\W", found[0].lower()))) > 1:
        wrong = f'expected columns apart by commas, semicolons, TABs or bars, got "{found[0]}"'
    if wrong and not there(texts[0]):
        problems.append((0, wrong))
        found = []
    chosen = [there(name) for _, name in roles]
    for (role, name), column in zip(roles, chosen):
        if found and column is None and (role != "id" if required else role[:4] == "text"):
            token_file = any(map(TAG.fullmatch, found))
            remedy = f'{role}="COLUMN"' + ', and text_b="COLUMN" for pairs' * (role == "text")
            remedy = 'format="conll" if this is a token file' if token_file else remedy
            listed, hint = ", ".join(f'"{column}"' for column in found), nearest(name, found)
            problems.append((0, f'no column "{name}" (found: {listed}){hint}; pass {remedy}'))
        elif column not in (None, name):
            notes.append(f'the column "{column}" is read as "{name}"')
    judged = required or any(all(map(there, both)) for both in usual)  # else a label may be a text
    read = [*zip((role for role, _ in roles), chosen)][: None if judged else len(texts)]
    for (role, one), (other, same) in combinations(read, 2):
        if one is not None and one == same:
            what = f'the column "{one}" is read both as {role}= and as {other}='
            problems.append((0, f"{what}; name another one"))
    last = len(texts)
    return Columns(tuple(name or "" for name in chosen[:last]), *chosen[last:])


def row_examples(
    rows: Iterable[Row],
    columns: Columns,
    problems: Problems,
    words: bool = False,
    required: bool = False,
    task: Task | None = None,
    by_line: bool = False,
    allow_blank: bool = False,
) -> Iterator[tuple[int, Example | None]]:
    """Yield (line, example) of each row; of no use once `problems` has grown.

    Labels of regression become finite floats, of multilabel tuples; those of `words` are tags.
    Without a column `id` the id is the number of the row, or `by_line` its line. None is a row
    without a text, if that is allowed.
    """
    for number, (line, row) in enumerate(rows, start=1):
        values = [row.get(name) for name in columns.texts]
        if allow_blank and any(value is None or not str(value).strip() for value in values):
            yield line, None
            continue
        faults: list[str] = []
        id_ = _id(columns.id, row, line if by_line else number, faults)
        part = row.get(columns.group) if columns.group else None
        group = None if part is None or not str(part).strip() else str(part)
        given = row.get(columns.label) if columns.label else None
        if words:
            sentence = _sentence(values[0], given, columns, required, faults)
            example: Example = TaggedExample(id_, *sentence, group)
        else:
            texts = [_text(value, name, faults) for value, name in zip(values, columns.texts)]
            label = _label(given, required, task, faults) if columns.label else None
            text_b = texts[1] if len(texts) > 1 else None
            example = TextExample(id_, texts[0], label, text_b, group)
        problems += [(line, fault) for fault in faults]
        yield line, example


def _sentence(
    words: object, tags: object, columns: Columns, required: bool, faults: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    (name, *_), label, *_ = columns
    if not _are_strings(words) or not all(word.strip(" \t\r\n") for word in words):
        faults.append(f'"{name}" must be a list of words, none empty, got {short(words)}')
        return ("?",), None
    if tags is None:
        faults += [f'"{label}" is missing'] * required
    elif isinstance(tags, list) and any(isinstance(tag, int) for tag in tags):
        got = f'numbers; write their names, in datasets features["{label}"].feature.names'
        faults.append(f'"{label}" must be a list of strings, got {got}')
    elif _are_strings(tags) and len(tags) == len(words):
        return tuple(words), tuple(tags)
    else:
        each = f"strings, one per word ({len(words)})"
        faults.append(f'"{label}" must be a list of {each}, got {short(tags)}')
    return tuple(words), None


def _text(value: object, name: str, faults: list[str]) -> str:
    if value is None:
        faults.append(f'"{name}" is missing')
    elif not isinstance(value, str):
        faults.append(f'"{name}" must be a string, got {short(value)}')
    elif not value.strip():
        faults.append(f'"{name}" is empty')
    return str(value)


def _label(
    value: object, required: bool, task: Task | None, faults: list[str]
) -> str | float | tuple[str, ...] | None:
    if task == "multilabel":
        return _labels(value, faults)
    if value is None or value != value or not str(value).strip():  # or NaN, as pandas writes
        faults += [NO_LABEL] * required
        return None
    if not isinstance(value, (str, int, float)):  # a list or an object of JSON
        several = ' (for several pass task="multilabel")' if isinstance(value, list) else ""
        faults.append(f"the label must be a string or a number{several}, got {short(value)}")
    if task != "regression":
        return str(value)
    if not math.isfinite(number := as_number(value)):
        point = ", with a point before decimals" if "," in str(value) else ""
        faults.append(f"the label must be a finite number{point}, got {short(value)}")
    return number


def as_number(value: object) -> float:
    """Return a number, or nan: "0,5" is .5, and "1,234", which may be a thousand, is none."""
    text = str(value).strip()
    with contextlib.suppress(ValueError):
        return float(text.replace(",", ".") if _DECIMALS.fullmatch(text) else text)
    return math.nan


def _labels(value: object, faults: list[str]) -> tuple[str, ...]:
    """Return the labels of "a|b", or of a list of JSON; () of nothing, or of "none" alone."""
    if value is None or value != value:
        return ()
    given = value if isinstance(value, list) else str(value).split(SEPARATOR)
    names = [str(name).strip() for name in given]
    good = all(isinstance(name, str | int | float) for name in given) and type(value) is not dict
    if good and [*map(str.casefold, names)] in ([""], [NONE]):
        return ()
    if not good or "" in names or SEPARATOR in "".join(names):
        expected = f'names in a list, or with "{SEPARATOR}" between them, none empty'
        faults.append(f"the labels must be {expected}, got {short(value)}")
    return tuple(names)


def _id(column: str | None, row: dict[str, object], number: int, faults: list[str]) -> str:
    if column is None:
        return str(number)
    value = row.get(column)
    if not isinstance(value, (str, int)) or not str(value).strip():
        what = f"the id must be a string or an integer, got {short(value)}"
        faults.append(f"{what}; write one in each row, or rename the column")
        return f"row {number}"
    return str(value)


def _are_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and value != [] and all(isinstance(v, str) for v in value)
