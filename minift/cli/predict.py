"""`minift predict`: answer texts with a run, or a student.

Claim    One answer per text, in the order of the input, with the id of its row and the columns that
         are asked for, so that answers can be joined to the table. The file of answers is there
         whole or not at all, and is never the file that is read.
Differs  In CSV and TSV the probability of a class stands in its own column, `score_CLASS`, and
         lists are cells of JSON. A column of the input that is called like a part of the answer,
         such as `label`, becomes `given_label`.
Proof    tests/cli/test_main.py
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from minift.cli import options
from minift.errors import MiniftError
from minift.files import atomic_directory_write
from minift.runs.predict import predict
from minift.runs.processes import rank, world_size

DELIMITERS = {".csv": ",", ".tsv": "\t"}  # by the suffix of --out
JSON_LINES = (".jsonl", ".ndjson", ".txt", "")


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "answer texts: one line of JSON per text, in the order of the texts"
    parser = options.command(commands, "predict", run, help, ranks=True)
    options.add_run(parser)
    help = "texts: .txt or - (standard input) with one per line, CSV, TSV, JSONL or a token file"
    parser.add_argument("file", help=help)
    help = "write the answers to this file: .jsonl, or a table with a header: .csv or .tsv"
    parser.add_argument("--out", type=Path, metavar="FILE", help=help)
    help = "columns of the input that each answer repeats; one called label becomes given_label"
    parser.add_argument("--keep", nargs="+", action="extend", metavar="COLUMN", help=help)
    options.add_reading(parser, "format", "text", "text_b")


def run(arguments: options.Arguments) -> None:
    """Write the answers."""
    from minift.data.files.texts import read_texts

    out: Path | None = arguments.out
    typed = arguments.file == "-"
    suffix = out.suffix.lower() if out is not None else ""
    if suffix not in (*DELIMITERS, *JSON_LINES):
        raise MiniftError(f"--out {out}: answers are written as .jsonl, .csv or .tsv")
    if typed and world_size() > 1:
        raise MiniftError("several processes cannot share standard input; give a file instead of -")
    if out is not None and not typed and out.exists() and out.samefile(arguments.file):
        raise MiniftError(f"--out {out} is the file that is read; choose another name")
    tuned = options.answering(arguments)
    task = None if tuned.task == "tagging" else tuned.task  # a tagger cuts texts into words itself
    texts = read_texts(arguments.file, task=task, **options.reading(arguments))
    kept, notes = texts.columns(arguments.keep) if arguments.keep else repeat({}), list[str]()
    answers, delimiter = predict(tuned, texts, notes), DELIMITERS.get(suffix)
    rows = (joined(flat(a) if delimiter else a, k) for a, k in zip(answers, kept))
    lines = table(rows, delimiter) if delimiter else json_lines(rows)

    def write(folder: Path) -> None:
        with (folder / arguments.out.name).open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)

    if out is not None and rank() == 0:
        atomic_directory_write(out.parent, write)
    else:
        sys.stdout.writelines(lines)
    options.say(notes)


def joined(answer: dict[str, Any], kept: dict[str, object]) -> dict[str, Any]:
    """Return an answer with columns of its row, none of which takes the place of another."""
    answer = dict(answer)
    for name, value in kept.items():
        while name in answer and name != "id":  # which it has from the row
            name = f"given_{name}"
        answer[name] = value
    return answer


def flat(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose probabilities have columns of their own."""
    scores = {f"score_{label}": score for label, score in answer.get("scores", {}).items()}
    return {name: value for name, value in answer.items() if name != "scores"} | scores


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield a line per row."""
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: Iterable[dict[str, Any]], delimiter: str) -> Iterator[str]:
    """Yield a header and a line per row."""
    line = io.StringIO()
    writer = csv.writer(line, delimiter=delimiter)  # lines end as in RFC 4180

    def written(cells: Iterable[Any]) -> str:
        line.seek(line.truncate(0))
        writer.writerow(
            json.dumps(c, ensure_ascii=False) if isinstance(c, list | dict) else c for c in cells
        )
        return line.getvalue()

    for number, row in enumerate(rows):
        if not number:
            yield written(row)
        yield written(row.values())
