"""`minift check`: which labels should somebody look at again? (tests/cli/test_check.py)"""

from __future__ import annotations

import csv
import io
import shutil
from bisect import bisect
from itertools import accumulate
from pathlib import Path
from unicodedata import east_asian_width

from minift.cli import options
from minift.data.examples import Dataset, has_pairs, texts_of
from minift.data.tags import types_of
from minift.files import atomic_write, claim_file
from minift.runs.check import Checked, check

SHOWN = 10
COLUMNS = ("label", "suggested", "probability", "reason")
OURS = rb"(\xef\xbb\xbf)?id,text,(text_b,)?" + ",".join(COLUMNS).encode()


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "find labels that may be wrong"
    parser, add = options.command(commands, "check", run, help)
    add("--data", metavar="NAME", help="a named set, e.g. sst2 (instead of --train)")
    add("--train", type=Path, metavar="FILE", help="labelled examples: those that are checked")
    options.add_model(parser)
    add("--folds", type=int, default=5, metavar="K", help="parts, each judged by what the rest say")
    add("--seed", type=int, default=0, help=options.SEED)
    help = "the doubtful labels, worst first: a table that minift active start --pool reads, too"
    add("--out", type=Path, default=Path("doubtful.csv"), metavar="FILE", help=help)
    options.add_device(parser, learns=True)
    options.add_reading(parser, *options.READING)
    parser.set_defaults(method="head", dev=None, test=None)


def run(arguments: options.Arguments) -> None:
    """Check, write the table, and show the worst."""
    claim_file(arguments.out, "--out", arguments.train, ours=OURS)
    dataset = options.data(arguments)
    options.say(dataset.notes)
    found = check(
        dataset,
        arguments.encoder,
        options.method(arguments),
        folds=arguments.folds,
        seed=arguments.seed,
        head=arguments.head,
        device=options.device(arguments),
        progress=True,
    )
    options.say(found.notes)
    pairs, file = has_pairs(dataset), io.StringIO()
    table = csv.writer(file)
    table.writerow(["id", "text", *["text_b"] * pairs, *COLUMNS])
    for doubt in (*found.doubts, *found.hard):
        e, p = doubt.example, f"{doubt.probability:.3f}"
        table.writerow([e.id, *texts_of(e), doubt.label, doubt.suggested, p, doubt.reason])
    atomic_write(arguments.out, "\ufeff" + file.getvalue())  # the mark tells Excel that it is UTF-8
    print(text(dataset, found, shutil.get_terminal_size().columns))
    print(f"doubtful labels, worst first: {arguments.out}")
    if found.doubts or found.hard:
        tagging = dataset.task == "tagging"
        names = ",".join(types_of(dataset.labels) if tagging else dataset.labels)
        how = ["--labels", names, *["--task", "tagging"] * tagging, "--out", "again"]
        start = options.suggested("active", "start", "--pool", arguments.out, *how)
        print(f"go through them in a spreadsheet, or: {start}")


def text(dataset: Dataset, found: Checked, width: int) -> str:
    """Say what was found, and the worst, in lines of at most `width` characters where it is cut."""
    from minift.label.terminal import printable

    lines = [f"the models that judge: {found.estimate}"]
    lines += [f"{dataset.name}: {len(found.doubts):,} of {len(dataset.train):,} are doubtful"]
    if found.share is not None:
        lines[-1] += f"; about {found.share:.0%} of all labels may be wrong"
    for doubt in found.doubts[:SHOWN]:
        what = f"  {doubt.label} -> {doubt.suggested} {doubt.probability:.2f}  {doubt.example.id}:"
        line = printable(" ".join([what, *" | ".join(texts_of(doubt.example)).split()]))
        ends = [*accumulate(1 + (east_asian_width(letter) in "WF") for letter in line)]
        lines.append(line if ends[-1] <= width else line[: bisect(ends, width - 3)] + "...")
    return "\n".join(lines)
