"""The `minift` command: parser, errors, exit codes. Each command is a file beside this one.

Claim    Whatever a newcomer types, the answer is a result or one line that says what to do.
Proof    tests/cli/test_main.py
"""

import argparse
import contextlib
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import minift.cli.raw as raw
from minift.cli import active, check, compare, demo, distill, doctor, evaluate, info, predict, train
from minift.cli.options import READING, finite, whole
from minift.errors import MiniftError, nearest
from minift.interrupts import leave
from minift.runs.determinism import deterministic
from minift.version import __version__

EPILOG = """\
a first session:
  minift demo                   compare methods on a small set, in a minute
  minift info minilm            what an encoder is, and what each method trains
  minift compare --train my.csv                  which method, and how good is it on new texts?
  minift train --train my.csv --method head --out runs/mine
  minift predict runs/mine texts.txt                          one line of JSON per text
  minift distill --teacher runs/tagger --unlabelled texts.txt --train my.conll   a smaller tagger

files:
  CSV or TSV with a header (text, label; text_b for pairs), JSONL with the same keys, or token
  files for entities (word TAB tag, an empty line between sentences). The suffix decides.
"""
COMMANDS = (train, evaluate, predict, compare, check, active, distill, raw, info, doctor, demo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: 0 done, 1 bad input or system failure, 2 bad usage, 130 interrupted."""
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115  (it may be closed)
    try:
        if signal.getsignal(signal.SIGINT) is leave:  # the imports are over
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if sys.stdout is None:
            raise OSError(0, "closed; send it to a file, or to /dev/null", "standard output")
        try:
            return execute(parser().parse_args(argv), argv)
        finally:  # what cannot be written must fail here, not when the interpreter ends
            _flush()
    except BrokenPipeError:  # the reader of our output (head, less) has enough
        return 0
    except UnicodeError as error:  # of the terminal: files are read and written as UTF-8
        return _failed(f"{error}; set PYTHONIOENCODING=utf-8")
    except OSError as error:  # no space, no permission, no such folder
        return _failed(f"{error.filename or 'input or output'}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return _failed(f"the memory is full; take less at a time ({error!r})")
    except KeyboardInterrupt:
        return _failed("interrupted; the same command resumes an unfinished run", 130)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # it is not tried again
        raise


def _failed(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError):
        print("minift:", " ".join(message.splitlines()), file=sys.stderr)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = _Parser(prog="minift", description="Fine-tune BERT when labels are few.", epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"minift {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return top


def execute(arguments: argparse.Namespace, argv: Sequence[str] | None) -> int:
    """Run a parsed command and return its exit code."""
    try:
        wanted = getattr(arguments, "deterministic", False)
        with warnings.catch_warnings(), deterministic(wanted), _all_ranks(arguments, argv):
            warnings.simplefilter("once", UserWarning)
            warnings.showwarning = _note  # type: ignore[assignment]
            arguments.command(arguments)
    except MiniftError as error:
        return _failed(_in_options(str(error), arguments.parser))
    return 0


def _note(message: Warning | str, *_: Any) -> None:
    print("note:", " ".join(str(message).split()), file=sys.stderr)


def _in_options(message: str, parser: argparse.ArgumentParser) -> str:
    """Say in options what the library says in keywords: `keep="best"` is `--keep best`."""
    options = {name: option for name, (option, *_) in READING.items()}
    options |= {a.dest: a.option_strings[-1] for a in parser._actions if a.option_strings}
    message = re.sub(r"^(\w+)(?= must )", lambda found: options.get(found[1], found[1]), message)

    def typed(found: re.Match[str]) -> str:
        name, quoted, plain = found.groups()
        value = f" {quoted or plain}" if quoted or plain else ""
        return options[name] + value if name in options else found[0]

    return re.sub(r'\b([a-z_]+)=(?:"([^" ]*)"|([\w.]*))', typed, message)


def _all_ranks(
    arguments: argparse.Namespace, argv: Sequence[str] | None
) -> contextlib.AbstractContextManager[None]:
    """Join the processes of torchrun, where it has started several."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return contextlib.nullcontext()
    if not arguments.ranks:
        raise MiniftError(
            "torchrun is for minift train, evaluate, predict and active score; start this command "
            "without it (minift compare has --processes)"
        )
    from minift.runs.processes import several

    return several(sys.argv[1:] if argv is None else argv, arguments.device)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Every default is told, unless the help says what happens without the option."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, value = action.help or "", action.default
        untold = value is None or value is False or value is argparse.SUPPRESS
        if untold or not action.option_strings or "default" in text:
            return text
        return f"{text} (default: {value})"


class _Parser(argparse.ArgumentParser):
    """argparse, with the nearest word for a typing mistake and no usage dump before it."""

    def __init__(self, **options: Any):
        super().__init__(**{"formatter_class": _Help, "allow_abbrev": False, **options})
        self._negative_number_matcher = re.compile(r"-[\d.]")  # as are classes -1,0,1
        self.register("type", int, whole)
        self.register("type", float, finite)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse unknown options here, where the command's own are known, not one level above."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            typed = unknown[0].split("=")[0]
            close = nearest(typed, (o for o in self._option_string_actions if o[:3] == typed[:3]))
            self.error(f"unrecognized arguments: {' '.join(unknown)}{close}")
        return found, unknown

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # which argparse lets fail in silence

    def error(self, message: str) -> NoReturn:
        if "invalid choice: " in message:
            typed = message.split("invalid choice: ")[1].split(" ")[0].strip("'\"")
            known = (a.choices for a in self._actions if a.choices and typed not in a.choices)
            message += nearest(typed, next(known, ()))
        self.exit(2, f"{self.prog}: {message}\nsee {self.prog} --help\n")
