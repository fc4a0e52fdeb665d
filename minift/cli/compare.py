"""`minift compare`: which method for my data? (proof: tests/compare/test_grid.py)"""

import sys
from pathlib import Path

from minift.cli import options


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "which method for my data? all methods on the same seeds"
    parser, add = options.command(commands, "compare", run, help)
    options.add_data(parser)
    add("--positive", metavar="CLASS", help=options.POSITIVE)
    add("--encoder", default="minilm", help=options.ENCODER)
    help = "e.g. full,bitfit:query,intermediate,freeze:3+adaptive (default: what to choose among)"
    add("--methods", metavar="A,B", help=help)
    help = "number of training examples, or several numbers: 100,300 (default: all)"
    add("--labels", type=options.numbers, metavar="N", help=help)
    options.add_seeds(parser, None, " (default: 5; of folds a repeat, or in a budget five of them)")
    help = "without --dev and --test, seeds are folds of what is learned, K per repeat (default: 5)"
    add("--folds", type=int, default=5, metavar="K", help=help)
    add("--epochs", type=int, metavar="N", help="exactly N epochs (default: each method's own)")
    help = "multiply each method's learning rate by X"
    add("--rate-factor", type=float, default=1.0, metavar="X", help=help)
    help = "examples of the development split that a method may choose by (default: all)"
    add("--selection", type=int, metavar="N", help=help)
    help = "begin no seed that would not end within M minutes, by the slowest so far"
    add("--budget-minutes", type=float, metavar="M", help=help)
    add("--processes", type=int, default=1, metavar="N", help="do N runs at a time")
    add("--keep-weights", action="store_true", help="keep each run's weights, in OUT/weights")
    add("--out", type=Path, help="folder of the report; an unfinished comparison is resumed there")
    options.add_precision(parser)
    options.add_device(parser, learns=True)
    options.add_reading(parser, *options.READING)


def run(arguments: options.Arguments) -> None:
    """Compare, and print the tables."""
    from minift.compare.grid import Terms, Work, compare
    from minift.compare.report import short_text

    dataset = options.data(arguments)
    out = arguments.out or Path("runs") / f"compare-{dataset.name}"
    command = options.suggested(*sys.argv[1:])
    terms = options.filled(Terms, arguments, {"device": options.device(arguments)})
    work = options.filled(Work, arguments, {"progress": True, "command": command})
    asked = arguments.methods, arguments.labels, arguments.seeds
    comparison = compare(dataset, arguments.encoder, *asked, out, terms, work)
    print(short_text(comparison))
    print("\n".join(f"note: {note}" for note in comparison.notes))
    print(f"report: {out / 'report.html'} (also report.md and results.csv)")
