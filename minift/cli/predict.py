"""`minift predict`: answer texts with a run, or a student.

Claim    One answer per text, in the order of the input, with the id and other columns of its row.
         The file of answers is there whole or not at all, and is never the file that is read.
Differs  In CSV and TSV a class has a column `score_CLASS`, several labels of a text are "a|b", and
         other lists are cells of JSON.
Proof    tests/cli/test_main.py
"""

import csv
import json
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, TextIO

from minift.cli import options
from minift.data.examples import SEPARATOR
from minift.errors import MiniftError
from minift.files import atomic_directory_write, claim_file
from minift.runs.predict import predict
from minift.runs.processes import rank, world_size

DELIMITERS = {".csv": ",", ".tsv": "\t"}  # by the suffix of --out
JSON_LINES = (".jsonl", ".ndjson", ".txt", "")
# how a file of answers begins
OURS = rb'.*("scores": \{|"entities": \[.*"tags": \[|[,\t]score_|[,\t]tags[,\t]words[,\t]entities)'


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "answer texts: one line of JSON per text, in the order of the texts"
    parser, add = options.command(commands, "predict", run, help, ranks=True)
    options.add_run(parser)
    help = "texts: .txt or - (standard input) with one per line, CSV, TSV, JSONL or a token file"
    add("file", help=help)
    help = "write the answers to this file: .jsonl, or a table with a header: .csv or .tsv"
    add("--out", type=Path, metavar="FILE", help=help)
    help = "columns that answers repeat; one called like a part of them, label, is given_label"
    add("--keep", nargs="+", action="extend", metavar="COLUMN", help=help)
    options.add_reading(parser, "format", "text", "text_b")


def run(arguments: options.Arguments) -> None:
    """Write the answers."""
    from minift.data.files.lines import more_has_arrived
    from minift.data.files.texts import read_texts

    out: Path | None = arguments.out
    typed = arguments.file == "-"
    suffix = out.suffix.lower() if out is not None else ""
    if suffix not in (*DELIMITERS, *JSON_LINES):
        raise MiniftError(f"--out {out}: answers are written as .jsonl, .csv or .tsv")
    if typed and world_size() > 1:
        raise MiniftError("several processes cannot share standard input; give a file instead of -")
    if out is not None and rank() == 0:
        claim_file(out, "--out", arguments.file, ours=OURS)
    tuned = options.answering(arguments)
    task = None if tuned.task == "tagging" else tuned.task  # a tagger cuts texts into words itself
    texts = read_texts(arguments.file, task=task, **options.reading(arguments))
    notes = [*texts.notes]
    kept = texts.columns(arguments.keep) if arguments.keep else repeat({})
    come = more_has_arrived if typed and texts.total is None else lambda: True
    pairs = zip(predict(tuned, texts, notes, come), kept)
    rows = (joined(answer, columns, suffix in DELIMITERS) for answer, columns in pairs)

    def write(folder: Path) -> None:
        with (folder / arguments.out.name).open("w", encoding="utf-8", newline="") as file:
            write_rows(rows, file, DELIMITERS.get(suffix))

    if out is not None and rank() == 0:
        atomic_directory_write(out.parent, write)
    else:
        for row in rows:
            print(_json(row), flush=typed)
    options.say(notes)


_json = partial(json.dumps, ensure_ascii=False)


def joined(answer: dict[str, Any], kept: Mapping[str, object], flat: bool) -> dict[str, Any]:
    """Return an answer with columns of its row, none of which takes the place of another."""
    if flat:
        scores = {f"score_{label}": p for label, p in answer.get("scores", {}).items()}
        answer = {k: v for k, v in answer.items() if k != "scores"} | scores
        if isinstance(several := answer.get("label"), list):
            answer["label"] = SEPARATOR.join(several)
    for name, value in kept.items():
        while name in answer and name != "id":  # which it has from the row
            name = f"given_{name}"
        answer[name] = value
    return answer


def write_rows(rows: Iterable[dict[str, Any]], file: TextIO, delimiter: str | None) -> None:
    """Write lines of JSON, or a table with a header."""
    if delimiter is None:
        file.writelines(_json(row) + "\n" for row in rows)
        return
    table = csv.writer(file, delimiter=delimiter)
    for number, row in enumerate(rows):
        if not number:
            table.writerow(row)
        table.writerow(_json(c) if isinstance(c, list | dict) else c for c in row.values())
