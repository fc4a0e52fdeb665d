"""`minift active ...`: label with a model that says what to label next, one command a step.

Claim    Each command says what it did and what to do next; all it knows is in the project folder.
Proof    tests/cli/test_active.py
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from minift.cli import main as cli
from minift.errors import MiniftError

if TYPE_CHECKING:  # modules that load much are imported where they are used
    from minift.active.loop import Asking
    from minift.data.examples import Dataset
    from minift.label.status import Status
    from minift.label.terminal import Tally

EPILOG = """\
a first session:
  minift active start --pool texts.txt --labels pos,neg --encoder minilm --out proj
  minift active next proj -n 20        the first texts, drawn at random, in proj/batches/001.csv
  minift active label proj             label them here, or fill in the file and then:
  minift active import proj proj/batches/001.csv
  minift active next proj -n 20        from now on the texts that teach the model most
  minift active status proj            how many, how balanced, whether to go on
  minift active train proj             a run folder for `minift predict`

Everything is in the folder proj; any command can be killed and given again.
"""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `minift active` its subcommands."""
    parser.epilog = EPILOG
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: cli.Run, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=run)
        return sub

    start = command("start", _start, "begin a project from unlabelled texts")
    start.add_argument("--pool", type=Path, required=True, metavar="FILE", help=_POOL_HELP)
    start.add_argument("--labels", required=True, metavar="A,B", help="classes; or entity types")
    start.add_argument("--encoder", default="minilm", help="folder, hub id, or short name")
    start.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the new project")
    start.add_argument(
        "--task", choices=["classification", "tagging"], default="classification",
        help="tagging: texts are cut into words, and --labels are types such as PER,ORG",
    )  # fmt: skip
    _model_options(start)
    _pool_options(start)

    following = command("next", _next, "choose the next texts and write them to a file")
    _project(following)
    following.add_argument("-n", type=int, default=20, metavar="N", help="texts")
    _asking_options(following)
    following.add_argument(
        "--format",
        help="csv, labelstudio, doccano, argilla or conll (default: csv; tagging: conll)",
    )
    waiting = following.add_mutually_exclusive_group()
    waiting.add_argument("--again", action="store_true", help="write what waits out again")
    waiting.add_argument("--more", action="store_true", help="choose more although some wait")
    cli._device_option(following)

    answers = command("import", _import, "put the answers of a file on record")
    _project(answers)
    answers.add_argument("file", type=Path, help="a batch file, filled in")
    answers.add_argument("--format", help="if suffix and content do not tell")
    _by(answers)

    label = command("label", _label, "label in the terminal, a key a text")
    _project(label)
    _by(label)
    label.add_argument("-n", type=int, metavar="N", help="choose N texts first, if none waits")
    label.add_argument(
        "--show-guess", action="store_true",
        help="show the model's guess; off by default, for people tend to follow it",
    )  # fmt: skip
    _asking_options(label)
    cli._device_option(label)

    status = command("status", _status, "how many, how balanced, and whether to go on")
    _project(status)
    status.add_argument(
        "--forecast", action="store_true", help="what 100 more labels may bring (trains 16 models)"
    )
    status.add_argument("--budget", type=int, metavar="N", help="labels that may be used")
    cli._device_option(status)

    train = command("train", _train, "train on all labels, into a run folder")
    _project(train)
    train.add_argument("--out", type=Path, metavar="RUN", help="default: in PROJECT/runs")
    cli._device_option(train)

    score = command("score", _score, "score any texts by any model, in constant memory")
    score.set_defaults(ranks=True)  # torchrun may start it several times
    score.add_argument("model", type=Path, help="a project, or a run folder")
    score.add_argument("file", type=Path, help=_POOL_HELP)
    score.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSONL; goes on")
    score.add_argument("--seed", type=int, default=0, help="of the dropout masks")
    _asking_options(score)
    _pool_options(score)
    cli._precision_option(score, learns=False)
    cli._device_option(score)

    simulate = command("simulate", _simulate, "does asking pay? on data whose labels are known")
    simulate.add_argument("--data", help="a named set, e.g. sst2 (instead of --train)")
    simulate.add_argument("--train", type=Path, metavar="FILE", help="labelled examples: the pool")
    simulate.add_argument(
        "--test", metavar="N|FILE", help="the first N test examples; with --train the test file"
    )
    simulate.add_argument("--pool", type=int, metavar="N", help="the first N training examples")
    simulate.add_argument("--encoder", default="minilm", help="folder, hub id, or short name")
    _model_options(simulate, seed=False)
    simulate.add_argument(
        "--freeze", type=int, metavar="K",
        help="layers that do not learn: the word freeze:K (-2: those at the output; 0: none)",
    )  # fmt: skip
    simulate.add_argument("--strategies", default="random,bald", metavar="A,B", help=_STRATEGIES)
    simulate.add_argument("--rounds", type=int, default=9, help="queries")
    simulate.add_argument("--query", type=int, default=100, help="texts of a query")
    simulate.add_argument("--initial", type=int, default=10, help="first texts")
    simulate.add_argument(
        "--seeds", type=cli._numbers, default=[5], metavar="N", help="how many, or which: 0,1,2"
    )
    _mc_options(simulate)
    simulate.add_argument("--warm", action="store_true", help="go on from the last round's weights")
    simulate.add_argument("--balanced", action="store_true", help="first texts of each class")
    simulate.add_argument("--out", type=Path, metavar="FOLDER", help="goes on where it stopped")
    cli._file_options(simulate)
    cli._device_option(simulate)


_STRATEGIES = "bald, batch_bald, entropy, margin, least_confidence or random"
_POOL_HELP = "texts: .txt with one a line, CSV, TSV, JSONL, or token files; labels are ignored"


def _project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", type=Path, help="folder of `minift active start`")


def _by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", metavar="NAME", help="who says so (default: your login name)")


def _model_options(parser: argparse.ArgumentParser, seed: bool = True) -> None:
    parser.add_argument("--method", default="full", help="what learns; see: minift info ENCODER")
    parser.add_argument(
        "--head", choices=["linear", "cnn"], default="linear", help="on the encoder"
    )
    parser.add_argument(
        "--steps", type=int, metavar="N",
        help="optimizer steps of each training (default: the method's epochs)",
    )  # fmt: skip
    parser.add_argument("--learning-rate", type=float, help="default: the method's own")
    cli._precision_option(parser)
    if seed:
        parser.add_argument("--seed", type=int, default=0, help="seed of every random stream")


def _pool_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading the file")
    cli._text_options(group)
    group.add_argument("--label-first", action="store_true", help="token files: TAG WORD")


def _asking_options(parser: argparse.ArgumentParser) -> None:
    worth = "; README says what asking was worth so far: simulate it on data like yours"
    parser.add_argument("--strategy", default="bald", help=_STRATEGIES + worth)
    _mc_options(parser)


def _mc_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--passes", type=int, default=10, help="of MC dropout")
    parser.add_argument(
        "--layers", type=_layers, default="all", metavar="all|K|head",
        help="where dropout samples: everywhere, in the K top layers, or in the head",
    )  # fmt: skip


def _layers(text: str) -> int | str:
    if text in ("all", "head"):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'expected "all", "head" or a number, got {text!r}'
        ) from None


def _asking(arguments: argparse.Namespace) -> Asking:
    from minift.active.loop import Asking

    return Asking(arguments.strategy, arguments.passes, arguments.layers)


def _name(arguments: argparse.Namespace) -> str:
    if arguments.by is not None:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "me"


def _notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}")


def _start(arguments: argparse.Namespace) -> None:
    import torch

    from minift.label.project import start
    from minift.speed.precision import require_precision

    names = (
        *("task", "method", "head", "seed", "steps", "learning_rate", "precision"),
        *("format", "text", "text_b", "label_first"),
    )
    require_precision(arguments.precision, torch.device(cli._device("auto")))
    started = start(
        arguments.pool,
        arguments.labels.split(","),
        arguments.encoder,
        arguments.out,
        **{name: getattr(arguments, name) for name in names},
    )
    project = started.project
    what = "classes" if project.task == "classification" else "entities"
    print(
        f"{arguments.out}: {len(project.ids):,} texts, {what} {', '.join(project.types)}; "
        f"{project.encoder}, {project.method}"
    )
    _notes(started.notes)
    print(f"next: minift active next {arguments.out} -n 20")


def _next(arguments: argparse.Namespace) -> None:
    from minift.label.rounds import ask

    asked = ask(
        arguments.project,
        arguments.n,
        _asking(arguments),
        format=arguments.format,
        again=arguments.again,
        more=arguments.more,
        device=cli._device(arguments.device),
        progress=True,
    )
    _notes(asked.notes)
    texts = "1 text" if len(asked.ids) == 1 else f"{len(asked.ids)} texts"
    print(f"{texts} to label, round {asked.round}: {asked.path}")
    if asked.path is not None:
        print(f"next: {_HOW.get(asked.path.suffix, 'label it')}, then:")
        print(f"  minift active import {arguments.project} {asked.path}")
    print(f"or here in the terminal: minift active label {arguments.project}")


_HOW = {
    ".csv": 'fill in the column "label"',
    ".conll": "correct the tags",
    ".json": "label it in your tool and export JSON",
    ".jsonl": "label it in your tool and export JSONL",
}


def _import(arguments: argparse.Namespace) -> None:
    from minift.label.answers import import_answers

    done = import_answers(arguments.project, arguments.file, arguments.format, _name(arguments))
    for problem in done.problems:
        print(f"problem: {problem}", file=sys.stderr)
    _notes(done.changed)
    if done.unanswered:
        shown = ", ".join(done.unanswered[:10]) + (", ..." if len(done.unanswered) > 10 else "")
        print(f"without an answer in the file: {len(done.unanswered)} ({shown})")
    if not done.usable:
        raise MiniftError(
            f"{arguments.file}: there is no answer in it that can be used; nothing was recorded"
        )
    print(
        f"recorded: {done.labelled} labels, {done.skipped} skipped; on record before: {done.same}; "
        f"problems: {len(done.problems)}"
    )
    _what_next(arguments.project, done.waiting)


def _what_next(project: Path, waiting: int) -> None:
    if waiting:
        print(
            f"{waiting} still {'waits' if waiting == 1 else 'wait'}: minift active label {project}"
        )
    else:
        print(f"none waits; next: minift active next {project} -n 20")


def _label(arguments: argparse.Namespace) -> None:
    from minift.label.project import load_project, read_state
    from minift.label.rounds import ask
    from minift.label.terminal import label

    state, _, _ = read_state(load_project(arguments.project))
    count = arguments.n
    if not state.waiting and state.pool and count is None and sys.stdin.isatty():
        count = _ask_for_number()
    if not state.waiting and count is not None:
        device = cli._device(arguments.device)
        asked = ask(
            arguments.project, count, _asking(arguments), write=False, device=device, progress=True
        )
        _notes(asked.notes)
    _tell(arguments.project, label(arguments.project, _name(arguments), arguments.show_guess))


def _ask_for_number() -> int:
    while True:
        typed = input("No text waits. How many shall be chosen now? [20] ").strip() or "20"
        if typed.isdecimal() and int(typed) > 0:
            return int(typed)
        print(f"{typed!r} is no number of texts; type one, or press Ctrl-C to leave")


def _tell(project: Path, tally: Tally) -> None:
    print(f"saved: {tally.labelled} labels, {tally.skipped} skipped")
    _what_next(project, tally.waiting)


def _status(arguments: argparse.Namespace) -> None:
    from minift.label.status import status

    found = status(
        arguments.project,
        arguments.forecast,
        arguments.budget,
        device=cli._device(arguments.device),
        progress=True,
    )
    print(status_text(found))


def status_text(found: Status) -> str:
    """Say where a project stands, in lines of text."""
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
        f"  labelled     {len(state.labelled):>7,}   {unit}{each}; largest less smallest {apart}",
    ]
    for number, strategy, texts, waiting in found.rounds:
        wait = f", {waiting} waiting" if waiting else ""
        lines.append(f"round {number}: {texts} by {strategy}{wait}")
    lines += [f"note: {note}" for note in found.notes]
    if found.advice is None:
        lines.append(
            f"stopping: no advice yet; it compares the models of rounds, and there "
            f"{'is 1' if found.looks == 1 else f'are {found.looks}'}"
        )
    else:
        word = "consider stopping" if found.advice.stop else "advice"
        lines += [f"{word}: {reason}" for reason in found.advice.reasons]
        lines += [f"warning: {text}" for text in found.advice.warnings]
    if found.forecast is not None:
        lines.append(f"forecast: {found.forecast}")
    return "\n".join(lines)


def _train(arguments: argparse.Namespace) -> None:
    from minift.label.rounds import train

    folder, result = train(
        arguments.project, arguments.out, device=cli._device(arguments.device), progress=True
    )
    print(cli.summary(result))
    print(f"run folder: {folder}")
    print(f"next: minift predict {folder} FILE, or minift evaluate {folder} --data FILE")


def _score(arguments: argparse.Namespace) -> None:
    from minift.label.score_pool import score

    count = score(
        arguments.model,
        arguments.file,
        arguments.out,
        _asking(arguments),
        seed=arguments.seed,
        format=arguments.format,
        text=arguments.text,
        text_b=arguments.text_b,
        device=cli._device(arguments.device),
        precision=arguments.precision,
        progress=True,
    )
    print(f"{count:,} texts scored by {arguments.strategy}: {arguments.out}")


def _simulate(arguments: argparse.Namespace) -> None:
    from dataclasses import replace

    from minift.active.curves import short_text
    from minift.active.simulate import Plan, simulate
    from minift.methods.recipes import recipe

    method = recipe(_frozen(arguments.method, arguments.freeze))
    seeds = arguments.seeds
    if len(seeds) == 1 and seeds[0] < 1:
        raise MiniftError(f"--seeds {seeds[0]}: give how many seeds, at least 1, or which: 0,1,2")
    plan = Plan(
        strategies=tuple(arguments.strategies.split(",")),
        seeds=tuple(range(seeds[0])) if len(seeds) == 1 else tuple(seeds),
        rounds=arguments.rounds,
        query=arguments.query,
        initial=arguments.initial,
        passes=arguments.passes,
        layers=arguments.layers,
        steps=arguments.steps,
        warm=arguments.warm,
        balanced=arguments.balanced,
        head=arguments.head,
    )
    dataset = _simulated(arguments)
    settings = method.settings
    if arguments.learning_rate is not None:
        settings = replace(settings, learning_rate=arguments.learning_rate)
    settings = replace(settings, precision=arguments.precision)
    out = arguments.out or Path("runs") / f"simulate-{dataset.name}"
    device = cli._device(arguments.device)
    rounds = simulate(
        dataset, arguments.encoder, method, plan, out, settings, device, progress=True
    )
    print(short_text(rounds))
    print(f"report: {out / 'report.html'} (also curves.csv and simulation.jsonl)")


def _frozen(method: str, freeze: int | None) -> str:
    """Write --freeze K as a word of the method."""
    if not freeze:
        return method
    return f"freeze:{freeze}" if method == "full" else f"{method}+freeze:{freeze}"


def _simulated(arguments: argparse.Namespace) -> Dataset:
    """Return the data set, cut to the first --pool and --test examples."""
    from dataclasses import replace

    cut = int(arguments.test) if arguments.test and arguments.test.isdecimal() else None
    if arguments.train is not None and (arguments.test is None or cut is not None):
        raise MiniftError("--train FILE needs --test FILE, with labels, to score each round on")
    if arguments.data is not None and arguments.test is not None and cut is None:
        raise MiniftError("with --data, --test is a number: the first N examples of its test split")
    arguments.dev = None
    arguments.test = Path(arguments.test) if arguments.train is not None else None
    dataset = cli._dataset(arguments)
    for option, number, split in (
        ("pool", arguments.pool, dataset.train),
        ("test", cut, dataset.test),
    ):
        if number is not None and not 1 <= number <= len(split):
            raise MiniftError(f"--{option} {number}: there are {len(split)} examples; 1 to that")
    return replace(dataset, train=dataset.train[: arguments.pool], test=dataset.test[:cut])
