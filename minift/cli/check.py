"""`minift check`: which labels should somebody look at again? (tests/cli/test_check.py)"""

import csv
import io
import shutil
from pathlib import Path

from minift.cli import options
from minift.data.examples import Dataset, has_pairs, joined, label_of, texts_of
from minift.data.files.exports import READERS, Row, numbered, tool_of
from minift.data.files.lines import Problems, read_once
from minift.data.files.readers import format_of
from minift.data.files.tables import TABLES, Names
from minift.data.tags import types_of
from minift.files import atomic_write, claim_file
from minift.runs.check import check

SHOWN = 10
COLUMNS = ("label", "suggested", "probability", "reason")
OURS = rb"(\xef\xbb\xbf)?id,text,(text_b,)?" + ",".join(COLUMNS).encode()


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    parser, add = options.command(commands, "check", run, "find labels that may be wrong")
    add("--data", metavar="NAME", help="a named set, e.g. sst2 (instead of --train)")
    help = "labelled examples: those that are checked (if an export or a column annotator names "
    add("--train", type=Path, metavar="FILE", help=help + "who labelled, people are compared)")
    options.add_model(parser)
    add("--folds", type=int, default=5, metavar="K", help="parts, each judged by what the rest say")
    add("--seed", type=int, default=0, help=options.SEED)
    help = "the doubtful labels, worst first: a table that minift active start --pool reads, too"
    add("--out", type=Path, default=Path("doubtful.csv"), metavar="FILE", help=help)
    options.add_device(parser, learns=True)
    options.add_reading(parser, *options.READING)
    parser.set_defaults(method="head", dev=None, test=None)


def run(arguments: options.Arguments) -> None:
    """Check, write the table, and show the worst in lines that fit the terminal."""
    from minift.label.terminal import printable

    claim_file(arguments.out, "--out", arguments.train, ours=OURS)
    dataset = options.data(arguments)
    found = check(
        dataset, arguments.encoder, options.method(arguments), folds=arguments.folds,
        seed=arguments.seed, head=arguments.head, device=options.device(arguments), progress=True,
    )  # fmt: skip
    options.say([*dataset.notes, *found.notes])
    print(*[f"agreement: {said}\n" for said in agreed(arguments, dataset)], sep="", end="")
    table = csv.writer(file := io.StringIO())
    table.writerow(["id", "text", *["text_b"] * has_pairs(dataset), *COLUMNS])
    for d in (*found.doubts, *found.hard):
        p = f"{d.probability:.3f}"
        table.writerow([d.example.id, *texts_of(d.example), d.label, d.suggested, p, d.reason])
    atomic_write(arguments.out, "\ufeff" + file.getvalue())  # which tells Excel that it is UTF-8
    print(f"models that judge: {found.estimate}")
    print(f"{len(found.doubts):,} of {len(dataset.train):,} labels are doubtful")
    if found.share is not None:
        wrong = f"perhaps {found.share:.0%} of all are wrong"
        print(f"{wrong}, fewer where the models err on hard texts")
    width = shutil.get_terminal_size().columns
    for d in found.doubts[:SHOWN]:
        text = " | ".join(texts_of(d.example))
        said = f"{d.label} -> {d.suggested} {d.probability:.2f} | {d.example.id}: {text}"
        line = "  " + printable(" ".join(said.split()))
        print(line if len(line) <= width else line[: width - 3] + "...")
    kind = ["--task", "tagging"] if dataset.task == "tagging" else []
    csv.writer(row := io.StringIO()).writerow(types_of(dataset.labels) if kind else dataset.labels)
    names = "--labels=" + row.getvalue()[:-2]  # without the line end
    how = ["--pool", arguments.out, names, *kind, "--encoder", arguments.encoder]
    print(f"table, worst first, then {len(found.hard):,} that no model gets right: {arguments.out}")
    print(f"label them again: {options.suggested('active', 'start', *how, '--out', 'again')}")


def agreed(arguments: options.Arguments, dataset: Dataset) -> list[str]:
    """Say how far people agree on classes, where an export or a column `annotator` names them."""
    from minift.data.agreement import agreement

    file = arguments.train
    if file is None or read_once(file) or dataset.task == "tagging":
        return []
    rows = [*TABLES[format_of(file, arguments.format)](file, Problems())]
    tool, *others = {tool_of(row) for _, row in rows}
    if tool is None or others:
        answers = [
            (str(texts_of(e)), str(row["annotator"]), joined(label_of(e)))
            for (_, row), e in zip(rows, dataset.train) if row.get("annotator")
        ]  # fmt: skip
    else:
        names = Names(arguments.text, arguments.text_b, arguments.label)
        answers = [
            (row.where, said.by, joined(sorted(map(str, said.classes))))
            for row in READERS[tool](numbered(file, rows), dataset.task, names)
            if isinstance(row, Row) for said in row.said if said.by and said.classes is not None
        ]  # fmt: skip
    return agreement(answers) if len({who for _, who, _ in answers}) > 1 else []
