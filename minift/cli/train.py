"""`minift train`: fine-tune an encoder on labelled data (proof: tests/cli/test_main.py)."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from minift.cli import options
from minift.runs.processes import world_size
from minift.runs.train import subset, train
from minift.training.loop import Seeds


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "fine-tune an encoder on labelled data"
    parser, add = options.command(commands, "train", run, help, ranks=True)
    options.add_data(parser)
    add("--positive", metavar="CLASS", help=options.POSITIVE)
    more = " (default: what was measured best for such data and as many labels)"
    options.add_model(parser, None, more)
    add("--labels", type=int, metavar="N", help="train on N random examples (default: all)")
    add("--seed", type=int, default=0, help=options.SEED)
    add("--epochs", type=int, metavar="N", help="exactly N epochs (default: the method's own)")
    add("--batch-size", type=int, metavar="N", help="examples per step (default: the method's own)")
    help = "keep the last weights (default), or those of the epoch with the best development score"
    add("--keep", choices=["last", "best"], help=help)
    help = (
        "score the development split after every epoch, not only where the schedule or --keep best "
        "needs it"
    )
    add("--validate-each-epoch", action="store_true", help=help)
    help = "draw a new head even where the encoder is a run folder whose head fits the labels"
    add("--new-head", action="store_true", help=help)
    help = "without --dev and --test: estimate by so many folds, 0: not at all (default: 5)"
    add("--folds", type=int, default=5, metavar="K", help=help)
    help = "deal the folds up to five times, but begin none that would not end within M minutes"
    add("--budget-minutes", type=float, metavar="M", help=help)
    add("--out", type=Path, help="run folder (default: runs/DATA-METHOD-LABELS-sSEED)")
    options.add_device(parser, learns=True)
    options.add_reading(parser, *options.READING)


def run(arguments: options.Arguments) -> None:
    """Train, and say what came out."""
    from minift.compact.source import source_of_files
    from minift.compare.lineup import first_choice
    from minift.runs.folds import cross_validate

    dataset = options.data(arguments)
    known = replace(dataset, train=subset(dataset.train, arguments.labels, arguments.seed))
    if arguments.method is None:
        arguments.method = first_choice(known, arguments.encoder, arguments.head)
        options.say([f"the method is {arguments.method}, for none is named (--method)"])
    method = options.method(arguments)
    labels = arguments.labels or len(dataset.train)
    head = f"-{arguments.head}" if arguments.head else ""
    name = f"{dataset.name}-{method.name}{head}-{labels}-s{arguments.seed}".replace(":", "")
    out = arguments.out or Path("runs") / name
    files = arguments.train, arguments.dev, arguments.test
    where = options.device(arguments)

    def estimate() -> dict[str, Any]:
        what = f"no --dev and no --test: {arguments.folds} folds first, each about as long as"
        print(f"{what} the training itself (--folds 0 leaves them out)", file=sys.stderr)
        found, _ = cross_validate(
            known,
            arguments.encoder,
            method,
            folds=arguments.folds,
            seed=arguments.seed,
            head=arguments.head,
            new_head=arguments.new_head,
            budget_minutes=arguments.budget_minutes,
            log=out / "folds.jsonl",
            device=where,
            progress=True,
        )
        print("\n".join([f"estimate: {found}", *(f"note: {note}" for note in found.notes)]))
        return {"estimate": asdict(found)}

    alone = not (dataset.dev or dataset.test)
    _, result = train(
        dataset,
        arguments.encoder,
        method,
        labels=arguments.labels,
        seeds=Seeds.all(arguments.seed),
        head=arguments.head,
        new_head=arguments.new_head,
        out=out,
        source={"data": arguments.data}
        if arguments.data
        else source_of_files(*files, options.reading(arguments)),
        device=where,
        validate_each_epoch=arguments.validate_each_epoch,
        before=estimate if alone and arguments.folds and world_size() == 1 else None,
        progress=True,
    )
    print(f"{options.summary(result)}\nrun folder: {out}")
