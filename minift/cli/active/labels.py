"""`minift active next`, `import`, `label`: texts out to people, their answers in."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import sys
from pathlib import Path

from minift.cli import options
from minift.data.words import counted
from minift.errors import MiniftError


def add(commands: options.Commands) -> None:
    """Give the three commands their parsers."""
    help = "choose the next texts and write them to a file"
    parser, add = options.command(commands, "next", run_next, help)
    add("project", type=Path, help=options.PROJECT)
    add("-n", type=int, default=20, metavar="N", help="how many texts to choose")
    help = "csv, labelstudio, doccano, argilla or conll (default: csv; for tagging conll)"
    add("--format", help=help)
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument("--again", action="store_true", help="write out again what waits")
    waiting.add_argument("--more", action="store_true", help="choose N more although some wait")
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

    help = "label in the terminal, one key per text"
    parser, add = options.command(commands, "label", run_label, help)
    add("project", type=Path, help=options.PROJECT)
    _add_person(parser)


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
        again=arguments.again, more=arguments.more, guess=arguments.guesses,
        device=options.device(arguments),
    )  # fmt: skip
    for note in asked.notes:
        print(f"note: {note}")
    print(f"{counted(len(asked.ids), 'text')} to label, round {asked.round}: {asked.path}")
    print(f"next: {asked.how}\nthen give the answers to:")
    print(f"  {options.suggested('active', 'import', arguments.project, asked.answers)}")
    print(f"or here in the terminal: {options.suggested('active', 'label', arguments.project)}")


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


def _what_next(project: Path, waiting: int) -> None:
    if waiting:
        print(f"texts that still wait: {waiting}; {options.suggested('active', 'label', project)}")
    else:
        print(f"no text waits; next: {options.suggested('active', 'next', project, '-n', 20)}")
