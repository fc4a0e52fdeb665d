"""`minift train`: fine-tune an encoder on labelled data (proof: tests/cli/test_main.py)."""

import re
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from minift.cli import options
from minift.data.calibration import class_report_text, parse_goal
from minift.data.examples import gold_classes, gold_labels
from minift.data.words import counted
from minift.errors import MiniftError, require
from minift.files import atomic_write
from minift.journal import read_log
from minift.runs.decide import Decision, decide, decide_labels, told
from minift.runs.fit import rehearse
from minift.runs.processes import rank, world_size
from minift.runs.train import subset, train
from minift.runs.tuned import build
from minift.training.loop import Seeds


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "fine-tune an encoder on labelled data"
    parser, add = options.command(commands, "train", run, help, ranks=True)
    options.add_data(parser)
    add("--positive", metavar="CLASS", help=options.POSITIVE)
    more = " (default: what was measured best for such data and as many labels)"
    options.add_model(parser, None, more)
    help = "balanced: rare classes count for more; or a file with the columns class and weight"
    add("--class-weights", metavar="balanced|FILE", help=help)
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
    help = (
        "of two classes, --positive or the second, or of each of several labels: answer it from "
        "the probability that is best on folds"
    )
    add("--threshold-for", metavar="f1|recall=X|precision=X", help=help)
    help = (
        "leave texts unanswered whose label is less likely; folds say how many, and what it helps"
    )
    add("--abstain-below", type=float, metavar="P", help=help)
    add("--out", type=Path, help="run folder (default: runs/DATA-METHOD-LABELS-sSEED)")
    options.add_device(parser, learns=True)
    options.add_reading(parser, *options.READING)


def run(arguments: options.Arguments) -> None:
    """Train, and say what came out."""
    from minift.compare.lineup import first_choice
    from minift.compare.page import Heading, html
    from minift.plots import reliability
    from minift.runs.folds import cross_validate, fold, possible_folds

    dataset = options.data(arguments)
    known = replace(dataset, train=subset(dataset.train, arguments.labels, arguments.seed))
    if unnamed := arguments.method is None:
        arguments.method = first_choice(known, arguments.encoder, arguments.head)
        if arguments.class_weights and arguments.method == "contrastive":
            arguments.method = "full"  # which fills the slot of the loss as they do
    method = options.method(arguments)
    labels = arguments.labels or len(dataset.train)
    head = f"-{arguments.head}" if arguments.head else ""
    name = f"{dataset.name}-{method.name}{head}-{labels}-s{arguments.seed}"
    out = arguments.out or Path("runs") / re.sub(r"[/\\]", "-", name).replace(":", "")
    where = options.device(arguments)

    goal, least, classes = arguments.threshold_for, arguments.abstain_below, dataset.labels
    asked, option = bool(goal or least), "--threshold-for" if goal else "--abstain-below"
    several = dataset.task == "multilabel" and not least
    if asked and not several and (dataset.task != "classification" or (goal and len(classes) != 2)):
        got = f"{len(classes)} classes" if dataset.task == "classification" else dataset.task
        raise MiniftError(f"{option} is for {'two ' * bool(goal)}classes; here it is {got}")
    if asked and (not arguments.folds or world_size() > 1):
        raise MiniftError(f"{option} is chosen on folds, by one process: --folds 2 or more")
    Decision(abstain_below=least or 0.0)
    parse_goal(goal or "f1")
    budget, folds = arguments.budget_minutes, arguments.folds
    require(budget is None or budget > 0, "budget_minutes", budget, "a positive number")
    seeds, alone = Seeds.all(arguments.seed), not (dataset.dev or dataset.test)
    folds *= asked or (alone and world_size() == 1)
    if folds:  # what would stop them is said before anything is written
        tuned = build(known, arguments.encoder, seeds, head=arguments.head)
        items, few = tuned.items(known.train), possible_folds(known, folds)[0]
        for held in ({*fold(known, few, number)} for number in range(few)):
            learned = [item for item in items if item.example not in held]
            rehearse(tuned, learned, method, seeds, validated=False)

    def estimate() -> dict[str, Any]:
        options.say([f"the method is {method.name}, for none is named (--method)"] * unnamed)
        if not folds:
            return {}
        why = "to choose on" if asked else "without --dev and --test (--folds 0 leaves it out)"
        print(f"cross-validation first, {why}", file=sys.stderr)
        log = out / "folds.jsonl"
        try:
            found, answers = cross_validate(
                known, arguments.encoder, method, folds=folds, seed=arguments.seed,
                head=arguments.head, new_head=arguments.new_head, budget_minutes=budget, log=log,
                device=where, progress=True,
            )  # fmt: skip
        except KeyboardInterrupt:
            done = counted(sum(1 for _ in read_log(log)), "finished fold")
            print(f"\n{done}, kept in {log}; the same command goes on from there", file=sys.stderr)
            raise
        print("\n".join([f"estimate: {found}", *(f"note: {note}" for note in found.notes)]))
        facts = {"estimate": asdict(found)}
        if dataset.task == "classification":
            gold = gold_classes(known.train)
            decision, report = decide(answers, gold, classes, dataset.positive, goal, least or 0.0)
            print(f"{told(decision)}\n{class_report_text(report)}")
            facts |= {"decision": asdict(decision), "folds_classes": report}
        elif goal:
            decision = decide_labels(answers, gold_labels(known.train), classes, goal)
            print(told(decision))
            facts["decision"] = asdict(decision)
        return facts

    _, result = train(
        dataset, arguments.encoder, method, labels=arguments.labels, seeds=seeds,
        head=arguments.head, new_head=arguments.new_head, out=out, device=where,
        validate_each_epoch=arguments.validate_each_epoch, before=estimate, progress=True,
    )  # fmt: skip
    print(f"{options.summary(result)}\nrun folder: {out}")
    reports = {s: result.get(f"{s}_classes") for s in ("folds", "dev", "test")}
    plots = [reliability(s, of["calibration"]["bins"]) for s, of in reports.items() if of]
    if plots and rank() == 0:
        title = Heading(f"{result['method']} on {result['data']}: how sure, and how often right", 1)
        atomic_write(file := out / "reliability.html", html([title, *plots]))
        print(f"reliability plot: {file}")
