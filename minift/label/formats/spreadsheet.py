"""CSV for spreadsheets: one text and its class per row.

Claim    What is filled in comes back as it is; what a spreadsheet does to a file on its way is
         undone or named.
Differs  - A cell that a spreadsheet would take for a formula (it begins with = + - @, or with a
           tab or line end) gets an apostrophe in front; it is taken off again if it is still there.
         - It is written as UTF-8 with a byte-order mark, without which Excel takes it for another
           encoding; read as any table, and with empty cells missing at the end of a row.
         - Column `label`: a class, or any number as "a|b", or "none"; empty is unanswered, "skip"
           sets the text aside ("(skip)" where a class is called skip).
Proof    tests/label/test_tables.py

    id,text,guess,confidence,score,label
    7,a fine film,pos,0.93,0.12,
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from reprlib import repr as short

from minift.data.examples import SEPARATOR, texts_of
from minift.data.files.exports import Fault, Row, Said
from minift.data.files.lines import Problems
from minift.data.files.tables import table_cells
from minift.data.words import counted
from minift.errors import MiniftError
from minift.label.formats.rows import Question, shown_guess

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def _unguard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write(questions: Sequence[Question]) -> str:
    """Return one row per text, with an empty column `label` at the end."""
    pairs = any(len(texts_of(question.example)) > 1 for question in questions)
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\r\n")
    columns = ["text", "text_b"] if pairs else ["text"]
    table.writerow(["id", *columns, "guess", "confidence", "score", "label"])
    for question in questions:
        texts = [*texts_of(question.example), ""][: len(columns)]
        cells = [question.example.id, *texts, shown_guess(question) or ""]
        both = question.confidence, question.score
        numbers = ["" if number is None else f"{number:.4g}" for number in both]
        guarded = [f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells]
        table.writerow([*guarded, *numbers, ""])
    return "\ufeff" + file.getvalue()


def read(text: str, task: str) -> Iterator[Row | Fault]:
    """Yield what a filled-in table says."""
    lines, problems = [line + "\n" for line in text.split("\n")], Problems()
    rows = table_cells(lambda: lines, problems, quotes=True)
    header, first = next(rows, (1, [""]))
    names = [name.strip(' "').lower() for name in first]
    if missing := [name for name in ("id", "text", "label") if name not in names]:
        raise MiniftError(f'line {header} has no column "{missing[0]}": {short(first)}')
    for line, cells in rows:
        if any(cells[len(names) :]):
            got = f"{counted(len(cells), 'column')}, expected {len(names)} as in line {header}"
            yield Fault(f"line {line}", f"{got}; put a text with the separator in it in quotes")
        elif any(cells):
            row = dict(zip(names, [*cells, *[""] * len(names)]))
            texts = [_unguard(row[n]) for n in ("text", "text_b") if n == "text" or row.get(n)]
            label, where = _unguard(row["label"].strip()), f"line {line}"
            classes = label.split(SEPARATOR) if task == "multilabel" else [label]
            said = Said(where, classes=classes, or_skip=label.lower() in ("skip", "(skip)"))
            yield Row(where, _unguard(row["id"]), texts, [said] if label else [])
    for line, what in problems:
        yield Fault(f"line {line}", f"{what}; it and all after it are left out")
