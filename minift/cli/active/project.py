"""`minift active start`, `next`, `import`, `label`, `status`, `train`, `score`."""

import argparse
import contextlib
import csv
import getpass
import sys
from dataclasses import replace
from pathlib import Path

import torch

from minift.cli import options
from minift.data.words import counted
from minift.errors import MiniftError
from minift.speed.precision import require_precision


def add(commands: options.Commands) -> None:
    """Give the commands their parsers."""
    help = "begin a project from unlabelled texts"
    parser, add = options.command(commands, "start", run_start, help)
    add("--pool", type=Path, required=True, metavar="FILE", help=options.POOL)
    help = "names of the classes, or types of entities; one with a comma is in quotes: '\"a, b\",c'"
    names = lambda text: next(csv.reader([text], skipinitialspace=True), [])  # noqa: E731
    add("--labels", type=names, metavar="A,B", help=help + " (default: those of --labelled)")
    help = "texts that are labelled already: they train the first round and are not asked again"
    add("--labelled", type=Path, metavar="FILE", help=help)
    help = "tagging: texts are cut into words, and --labels are types such as PER,ORG"
    help += "; multilabel: a text has any number of the --labels"
    choices = ["classification", "multilabel", "tagging"]
    add("--task", choices=choices, default="classification", help=help)
    add("--out", type=Path, required=True, metavar="FOLDER", help="the new project")
    options.add_model(parser)
    add("--steps", type=int, metavar="N", help=options.STEPS)
    add("--seed", type=int, default=0, help=options.SEED)
    options.add_reading(parser, "format", "text", "text_b", "label")

    help = "choose the next texts and write them to a file"
    parser, add = options.command(commands, "next", run_next, help)
    add("project", type=Path, help=options.PROJECT)
    add("-n", type=int, default=20, metavar="N", help="how many texts to choose")
    help = "csv, labelstudio, doccano, argilla or conll (default: csv; for tagging conll)"
    add("--format", help=help)
    add("--more", action="store_true", help="choose N more although some wait")
    help = "write no guesses; or train a model for them also with --strategy random"
    add("--guesses", action=argparse.BooleanOptionalAction, help=help)
    options.add_asking(parser)

    help = "put the answers of a file on record"
    parser, add = options.command(commands, "import", run_import, help)
    add("project", type=Path, help=options.PROJECT)
    add("file", type=Path, help="a batch file, filled in, or what a labelling tool exported")
    add("--format", help="format, where suffix and content do not tell")
    help = "take also answers that this person has given before and corrected since"
    add("--again", action="store_true", help=help)
    _add_person(parser)

    help = "label classes in the terminal, one line per text"
    parser, add = options.command(commands, "label", run_label, help)
    add("project", type=Path, help=options.PROJECT)
    _add_person(parser)

    help = "how many labels, how balanced, and whether to stop"
    parser, add = options.command(commands, "status", run_status, help)
    add("project", type=Path, help=options.PROJECT)
    add("--forecast", action="store_true", help="what 100 more labels may bring (16 trainings)")
    add("--budget", type=int, metavar="N", help="number of labels that you can afford in all")
    options.add_device(parser)

    help = "train on all labels, into a run folder"
    parser, add = options.command(commands, "train", run_train, help)
    add("project", type=Path, help=options.PROJECT)
    add("--out", type=Path, metavar="RUN", help="run folder (default: a new one in PROJECT/runs)")
    options.add_device(parser, learns=True)

    help = "score any texts with any model, in constant memory"
    parser, add = options.command(commands, "score", run_score, help, ranks=True)
    add("model", type=Path, help="a project, or a run folder")
    add("file", type=Path, help=options.POOL)
    add("--out", type=Path, required=True, metavar="FILE", help="JSONL, one line per text")
    add("--seed", type=int, default=0, help=options.SEED)
    options.add_asking(parser)
    options.add_precision(parser, learns=False)
    options.add_reading(parser, "format", "text", "text_b")


def run_start(arguments: options.Arguments) -> None:
    """Make the project."""
    from minift.active.loop import fixed_steps
    from minift.label.project import start

    here = "cuda" if torch.cuda.is_available() else "cpu"
    require_precision(arguments.precision, torch.device(here))
    method = options.method(arguments)
    settings = fixed_steps(method.settings, arguments.steps)
    project, notes = start(
        arguments.pool, arguments.labels, arguments.encoder, arguments.out,
        method=replace(method, settings=settings), head=arguments.head, seed=arguments.seed,
        labelled=arguments.labelled, **options.reading(arguments),
    )  # fmt: skip
    what = "entities" if project.task == "tagging" else "classes"
    print(
        f"{arguments.out}: {len(project.ids):,} texts, {what} {', '.join(project.types)}; "
        f"{project.encoder}, {project.method}"
    )
    for note in notes:
        print(f"note: {note}")
    print(f"next: {options.suggested('active', 'next', arguments.out, '-n', 20)}")


def run_status(arguments: options.Arguments) -> None:
    """Print where the project stands."""
    from minift.label.status import status

    device = options.device(arguments)
    found = status(arguments.project, arguments.forecast, arguments.budget, device)
    project, state = found.project, found.state
    counts = {name.removeprefix("B-"): number for name, number in found.counts.items()}
    each = ", ".join(f"{name} {number}" for name, number in counts.items())
    apart = max(counts.values()) - min(counts.values())
    unit = "entities: " if project.task == "tagging" else ""
    lines = [
        f"{project.folder}: {len(project.ids):,} texts; {project.encoder}, {project.method}",
        f"  never asked  {len(state.pool):>7,}",
        f"  waiting      {len(state.waiting):>7,}",
        f"  skipped      {len(state.skipped):>7,}",
        f"  labelled     {len(state.labelled):>7,}   {unit}{each}; imbalance {apart}",
    ]
    for number, strategy, texts, waiting in found.rounds:
        wait = f", {waiting} waiting" if waiting else ""
        lines.append(f"round {number}: {texts} {'by' if number else 'from'} {strategy}{wait}")
    lines += [f"agreement: {sentence}" for sentence in found.agreement]
    lines += [f"note: {note}" for note in found.notes]
    word = "consider stopping" if found.advice.stop else "advice"
    lines += [f"{word}: {reason}" for reason in found.advice.reasons]
    lines += [f"warning: {text}" for text in found.advice.warnings]
    if found.forecast is not None:
        lines.append(f"forecast: {found.forecast}")
    print("\n".join(lines))


def run_train(arguments: options.Arguments) -> None:
    """Train, and say what came out."""
    from minift.label.rounds import train

    folder, result = train(arguments.project, arguments.out, options.device(arguments))
    print(f"{options.summary(result)}\nrun folder: {folder}")
    print(f"next: {options.suggested('predict', folder)} FILE")
    print(f"  or: {options.suggested('evaluate', folder)} --data FILE")


def run_score(arguments: options.Arguments) -> None:
    """Write the scores."""
    from minift.label.score_files import score

    count = score(
        arguments.model, arguments.file, arguments.out, options.asking(arguments),
        seed=arguments.seed, device=options.device(arguments), precision=arguments.precision,
        **options.reading(arguments),
    )  # fmt: skip
    print(f"{count:,} texts scored by {arguments.strategy}: {arguments.out}")


def _add_person(parser: options.Parser) -> None:
    help = "name of the person who answers, where a file does not say (default: your login name)"
    parser.add_argument("--by", metavar="NAME", help=help)


def _person(arguments: options.Arguments) -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):  # a user without a name
        return str(arguments.by or getpass.getuser())
    return "me"


def run_next(arguments: options.Arguments) -> None:
    """Choose, and say where the file is."""
    from minift.label.rounds import ask

    asked = ask(
        arguments.project, arguments.n, options.asking(arguments), format=arguments.format,
        more=arguments.more, guess=arguments.guesses, device=options.device(arguments),
    )  # fmt: skip
    for note in asked.notes:
        print(f"note: {note}")
    print(f"{counted(len(asked.ids), 'text')} to label, round {asked.round}: {asked.path}")
    print(f"next: {asked.how}\nthen give the answers to:")
    print(f"  {options.suggested('active', 'import', arguments.project, asked.answers)}")
    if here := _label_here(arguments.project):
        print(f"or here in the terminal: {here}")


def run_import(arguments: options.Arguments) -> None:
    """Record what can be used, list what cannot."""
    from minift.label.answers import import_answers

    done = import_answers(
        arguments.project, arguments.file, arguments.format, _person(arguments), arguments.again
    )
    for problem in done.problems:
        print(f"problem: {problem}", file=sys.stderr)
    for note in done.changed:
        print(f"note: {note}")
    if done.unanswered:
        shown = ", ".join(done.unanswered[:10]) + (", ..." if len(done.unanswered) > 10 else "")
        print(f"without an answer in the file: {len(done.unanswered)} ({shown})")
    if not done.labelled + done.skipped + done.same:
        raise MiniftError(f"{arguments.file}: it has no usable answer; nothing was recorded")
    print(
        f"recorded: {counted(done.labelled, 'label')}, {done.skipped} skipped; "
        f"on record before: {done.same}; problems: {len(done.problems)}"
    )
    _what_next(arguments.project, done.waiting)


def run_label(arguments: options.Arguments) -> None:
    """Ask for labels in the terminal."""
    from minift.label.terminal import label

    tally = label(arguments.project, _person(arguments))
    print(f"saved: {counted(tally.labelled, 'label')}, {tally.skipped} skipped")
    _what_next(arguments.project, tally.waiting)


def _label_here(project: Path) -> str:
    """Return the command that asks for classes; "" where entities are marked in a file."""
    from minift.label.project import load_project

    tagging = load_project(project).task == "tagging"
    return "" if tagging else options.suggested("active", "label", project)


def _what_next(project: Path, waiting: int) -> None:
    if waiting:
        print("; ".join(filter(None, [f"texts that still wait: {waiting}", _label_here(project)])))
    else:
        print(f"no text waits; next: {options.suggested('active', 'next', project, '-n', 20)}")
