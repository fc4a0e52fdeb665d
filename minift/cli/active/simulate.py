"""`minift active simulate`: is asking better than drawing at random, on labelled data?"""

from dataclasses import replace
from pathlib import Path

from minift.cli import options
from minift.data.examples import Dataset
from minift.errors import MiniftError
from minift.training.loop import Seeds


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "is asking better than drawing at random? on data whose labels are known"
    parser, add = options.command(commands, "simulate", run, help)
    add("--data", metavar="NAME", help="a named set, e.g. sst2 (instead of --train)")
    add("--train", type=Path, metavar="FILE", help="labelled examples: the pool")
    help = "with --train the test file; with --data the first N test examples (default: all)"
    add("--test", metavar="FILE|N", help=help)
    add("--pool", type=int, metavar="N", help="take the first N training examples (default: all)")
    add("--strategies", default="random,bald", metavar="A,B", help=f"some of {options.STRATEGIES}")
    add("--initial", type=int, default=10, metavar="N", help="texts of the first training")
    add("--rounds", type=int, default=9, metavar="N", help="how often texts are chosen")
    add("--query", type=int, default=100, metavar="N", help="texts that are chosen each time")
    options.add_seeds(parser)
    options.add_model(parser)
    add("--steps", type=int, metavar="N", help=options.STEPS)
    options.add_mc_dropout(parser)
    add("--out", type=Path, metavar="FOLDER", help="of the report; resumed there if unfinished")
    options.add_device(parser, learns=True)
    options.add_reading(parser, "format", "text", "text_b", "label", "task", "scheme")


def run(arguments: options.Arguments) -> None:
    """Simulate, and print the table."""
    from minift.active.curves import short_text
    from minift.active.loop import Learner
    from minift.active.simulate import Plan, simulate

    strategies = tuple(arguments.strategies.split(","))
    plan = options.filled(Plan, arguments, {"strategies": strategies})
    dataset = _data(arguments)
    out = arguments.out or Path("runs") / f"simulate-{dataset.name}"
    method, device = options.method(arguments), options.device(arguments)
    learner = Learner(dataset, arguments.encoder, method, arguments.head, device)
    tuned = learner.build(Seeds.all(0))
    options.say([*dataset.notes, *tuned.notes(tuned.items([*dataset.train, *dataset.test]))])
    del tuned  # its memory
    rounds = simulate(learner, plan, out)
    print(short_text(rounds))
    print(f"report: {out / 'report.html'} (rounds: simulation.jsonl)")


def _data(arguments: options.Arguments) -> Dataset:
    """Return the data set, cut to the first --pool and --test examples."""
    test = arguments.test
    cut = int(test) if test is not None and test.isdecimal() else None
    if arguments.train is not None and (test is None or cut is not None):
        raise MiniftError("--train FILE needs --test FILE, with labels, to score each round on")
    if arguments.data is not None and test is not None and cut is None:
        raise MiniftError("with --data, --test is a number: the first N examples of its test split")
    arguments.dev, arguments.test = None, None if cut is not None else test
    dataset = options.data(arguments)
    sizes = (("pool", arguments.pool, dataset.train), ("test", cut, dataset.test))
    for option, number, split in sizes:
        if number is not None and not 1 <= number <= len(split):
            raise MiniftError(f"--{option} {number}: give a number from 1 to {len(split)}")
    return replace(dataset, train=dataset.train[: arguments.pool], test=dataset.test[:cut])
