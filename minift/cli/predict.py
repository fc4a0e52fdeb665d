"""`minift predict`: answer texts with a run, or a student.

Claim    One line of JSON per text, in the order of the input. The file of answers is there whole
         or not at all, and is never the file that is read.
Proof    tests/cli/test_main.py
"""

from __future__ import annotations

import json
from pathlib import Path

from minift.cli import options
from minift.errors import MiniftError
from minift.files import atomic_directory_write, claim_file
from minift.runs.predict import predict
from minift.runs.processes import rank, world_size

OURS = rb'.*("scores": \{|"entities": \[.*"tags": \[)'  # the first answer of a file


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "answer texts: one line of JSON per text, in the order of the texts"
    parser = options.command(commands, "predict", run, help, ranks=True)
    options.add_run(parser)
    help = "texts: .txt or - (standard input) with one per line, CSV, TSV, JSONL or a token file"
    parser.add_argument("file", help=help)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the answers to this file")
    options.add_reading(parser, "format", "text", "text_b")


def run(arguments: options.Arguments) -> None:
    """Write the answers."""
    from minift.data.files.lines import more_has_arrived
    from minift.data.files.texts import read_texts

    out: Path | None = arguments.out
    typed = arguments.file == "-"
    if typed and world_size() > 1:
        raise MiniftError("several processes cannot share standard input; give a file instead of -")
    if out is not None and rank() == 0:
        claim_file(out, "--out", arguments.file, ours=OURS)
    tuned = options.answering(arguments)
    task = None if tuned.task == "tagging" else tuned.task  # a tagger cuts texts into words itself
    texts = read_texts(arguments.file, task=task, **options.reading(arguments))
    come = more_has_arrived if typed and texts.total is None else lambda: True
    answers = predict(tuned, texts, come)
    lines = (json.dumps(answer, ensure_ascii=False) + "\n" for answer in answers)

    def write(folder: Path) -> None:
        with (folder / arguments.out.name).open("w", encoding="utf-8") as file:
            file.writelines(lines)

    if out is not None and rank() == 0:
        atomic_directory_write(out.parent, write)
    else:
        for line in lines:
            print(line, end="", flush=typed)
