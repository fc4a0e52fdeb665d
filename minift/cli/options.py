"""What commands share: options (`add_...`), what is read from them, and what is said.

Claim    An option means the same in every command that has it, and what a command accepts it reads.
Proof    tests/cli/test_options.py
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import torch

from minift.data.calibration import class_report_text
from minift.data.entities import side_by_side_text
from minift.data.examples import METRICS, Dataset
from minift.data.files.readers import read_dataset
from minift.data.named import load_dataset
from minift.errors import MiniftError, require
from minift.methods.recipes import recipe
from minift.runs.folder import load_run
from minift.runs.processes import require_same_weights
from minift.runs.tuned import FineTuned
from minift.training.loop import Recipe

if TYPE_CHECKING:
    from minift.active.loop import Asking
    from minift.compact.student import Student

Commands: TypeAlias = "argparse._SubParsersAction[Any]"
Parser = argparse.ArgumentParser
Arguments = argparse.Namespace
T = TypeVar("T")

SEED = "seed of all random streams"
ENCODER = "a checkpoint folder, a Hugging Face hub id, or a short name (minilm, tiny)"
PROJECT = "folder that minift active start has made"
STEPS = "optimizer steps of each training (default: the method's epochs)"
POOL = "texts: .txt with one per line, CSV, TSV, JSONL or a token file; labels are ignored"
POSITIVE = "class that f1 is of, which is then the headline score (default: the second of two)"
STRATEGIES = "bald, batch_bald, entropy, margin, least_confidence or random"
# How a file is read, by the keywords of `read_examples`: option, choices or metavar, help.
READING: dict[str, tuple[str, list[str] | str, str]] = {
    "format": ("--format", ["csv", "tsv", "jsonl", "conll", "fasttext", "text"],
               "default: by the suffix, and that of a .txt by its content"),
    "text": ("--text", "COLUMN", "column of the text (default: text or sentence; of a token file "
             "the first column), by name or, in a token file, by number"),
    "text_b": ("--text-b", "COLUMN", "column of a pair's second text (default: text_b)"),
    "label": ("--label", "COLUMN", "column of the label (default: label, labels or score; of a "
              "token file the last column), by name or, in a token file, by number"),
    "group": ("--group", "COLUMN", "column of what a row belongs to, such as a document, none of "
              "which is parted when the rows are dealt into folds"),
    "task": ("--task", [*METRICS],
             "what is learned (default: tagging for token files, otherwise classification); "
             "multilabel: any number of labels per text, such as a|b, none if the cell is empty"),
    "scheme": ("--scheme", ["iob1", "iob2", "bioes", "io"],
               "scheme of the tags (default: it is detected)"),
}  # fmt: skip


def command(
    commands: Commands, name: str, run: Callable[[Arguments], None], help: str, ranks: bool = False
) -> tuple[Parser, Callable[..., argparse.Action]]:
    """Begin the parser of one command; `ranks`: torchrun may start it in several processes."""
    parser: Parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run, parser=parser, ranks=ranks)
    return parser, parser.add_argument


def add_data(parser: Parser) -> None:
    """Add a named set, or the files of its splits; `data` reads them."""
    add = parser.add_argument
    add("--data", metavar="NAME", help="a named set, e.g. sst2 (instead of --train)")
    add("--train", type=Path, metavar="FILE", help="labelled examples to learn from")
    add("--dev", type=Path, metavar="FILE", help="labelled examples to watch and to choose by")
    add("--test", type=Path, metavar="FILE", help="labelled examples to report on")


def data(arguments: Arguments) -> Dataset:
    """Load the named set, or read the files."""
    splits = arguments.train, arguments.dev, arguments.test
    if (arguments.data is None) == (arguments.train is None):
        raise MiniftError("give either --data NAME or --train FILE (with --dev and --test)")
    if arguments.data is not None and any(splits):
        raise MiniftError("--dev and --test belong to --train; a named set has its own splits")
    files = arguments.data is None
    found = read_dataset(*splits, **reading(arguments)) if files else named(arguments)
    return replace(found, positive=getattr(arguments, "positive", None))


def named(arguments: Arguments) -> Dataset:
    """Load the set called `data`, which is read in its own way and no other."""
    if given := reading(arguments):
        words = " and ".join(READING[name][0] for name in given)
        remedy = '; did you mean "--labels"?' if "label" in given and "labels" in arguments else ""
        raise MiniftError(
            f"{words}: this is for files, and {arguments.data} is a named set{remedy}"
        )
    return load_dataset(arguments.data)


def add_reading(parser: Parser, *names: str) -> None:
    """Add some options of `READING`; `reading` reads them."""
    add = parser.add_argument_group("reading files").add_argument
    for name in names:
        option, values, help = READING[name]
        kind: dict[str, Any] = {"metavar" if isinstance(values, str) else "choices": values}
        add(option, dest=name, help=help, **kind)


def reading(arguments: Arguments) -> dict[str, Any]:
    """Return the options of `READING` that were given, as keywords of `read_examples`."""
    given = {name: getattr(arguments, name, None) for name in READING}
    return {name: value for name, value in given.items() if value is not None}


def add_model(parser: Parser, method: str | None = "full", more: str = "") -> None:
    """Add what is trained: encoder, head, method, learning rate, precision."""
    add = parser.add_argument
    add("--encoder", default="minilm", help=ENCODER)
    help = "classifier on the encoder (default: what the encoder's makers read, mean or linear)"
    add("--head", choices=["linear", "mean", "cnn"], help=help)
    help = "what learns, and how: see minift info --methods"
    add("--method", default=method, help=help + more)
    add("--learning-rate", type=float, metavar="X", help="highest rate (default: the method's own)")
    add_precision(parser)


def method(arguments: Arguments) -> Recipe:
    """Return the method, with what was asked for instead of its own settings."""
    name = arguments.method
    if weights := getattr(arguments, "class_weights", None):
        require("+" not in weights, "--class-weights", weights, 'a name without "+"')
        name += f"+weighted:{weights}"
    found = recipe(name, arguments.encoder)
    asked = ("epochs", "batch_size", "learning_rate", "keep", "precision")
    given = {name: value for name in asked if (value := getattr(arguments, name, None)) is not None}
    return replace(found, settings=replace(found.settings, **given))


def add_precision(parser: Parser, learns: bool = True) -> None:
    """Add the type in which matrices are multiplied."""
    help = "multiply matrices in this type; bf16 needs a processor or GPU that has it"
    parser.add_argument(
        "--precision",
        choices=["float32", "bf16"],
        default="float32" if learns else None,
        help=help if learns else f"{help} (default: as in training)",
    )


def add_device(parser: Parser, learns: bool = False) -> None:
    """Add where to compute; for training also whether a GPU must give the same bytes each time."""
    add, choices = parser.add_argument, ["auto", "cpu", "cuda", "mps"]
    help = "auto takes an NVIDIA GPU if there is one; mps, Apple's GPU, was never tested"
    add("--device", choices=choices, default="auto", help=help)
    if learns:
        add("--deterministic", action="store_true", help="on a GPU, give the same bytes each time")


def device(arguments: Arguments) -> str:
    """Return "cpu", "cuda" or "mps", which must be there if it is asked for."""
    name = str(arguments.device)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not (torch.cuda if name == "cuda" else torch.backends.mps).is_available():
        raise MiniftError(f"--device {name}: PyTorch sees no such GPU here; use --device cpu")
    return name


def add_run(parser: Parser) -> None:
    """Add a model that answers, and how it computes; `answering` reads them."""
    help = "run folder, student, or checkpoint with a classifier"
    parser.add_argument("run", type=Path, help=help)
    add_precision(parser, learns=False)
    add_device(parser)


def answering(arguments: Arguments) -> FineTuned | Student:
    """Load the run folder or the student."""
    from minift.compact.store import is_student, load_student

    if not is_student(arguments.run):
        found: FineTuned | Student = load_run(arguments.run, device(arguments), arguments.precision)
    elif arguments.precision == "bf16":
        raise MiniftError(f"{arguments.run} is a compact tagger, which computes in float32")
    else:
        found = load_student(arguments.run, device(arguments))
    require_same_weights(found.model)
    return found


def add_asking(parser: Parser) -> None:
    """Add how texts are chosen, and where; `asking` reads them."""
    worth = "; whether it is better than random on data like yours: minift active simulate"
    parser.add_argument("--strategy", default="bald", help=STRATEGIES + worth)
    add_mc_dropout(parser)
    add_device(parser)


def add_mc_dropout(parser: Parser) -> None:
    """Add how BALD and BatchBALD sample."""
    add = parser.add_argument
    add("--passes", type=int, default=10, metavar="N", help="passes of MC dropout")
    help = (
        "where dropout samples: wherever it acted in training, everywhere, in the K layers at the "
        "output, or in the head"
    )
    add("--layers", type=_layers, default="trained", metavar="trained|all|K|head", help=help)


def _layers(text: str) -> int | str:
    if text in ("trained", "all", "head") or (text.isdecimal() and 0 < int(text) < 10**10):
        return text if text.isalpha() else int(text)
    raise argparse.ArgumentTypeError(
        f'expected "trained", "all", "head" or a number of layers, got {text!r}'
    )


def asking(arguments: Arguments) -> Asking:
    """Return how texts are chosen."""
    from minift.active.loop import Asking

    return Asking(arguments.strategy, arguments.passes, arguments.layers)


def filled(kind: type[T], arguments: Arguments, more: dict[str, Any]) -> T:
    """Return settings whose fields are options of the same names, or stand in `more`."""
    names = (f.name for f in fields(kind))  # type: ignore[arg-type]
    return kind(**{name: getattr(arguments, name) for name in names if name in arguments} | more)


def add_seeds(parser: Parser, default: str | None = "5", more: str = "") -> None:
    """Add a number of seeds, or the seeds themselves."""
    help = f"how many seeds (5: from 0 to 4), or which: 0,1,2{more}"
    parser.add_argument("--seeds", type=_seeds, default=default, metavar="N", help=help)


def _seeds(text: str) -> tuple[int, ...]:
    first, *others = numbers(text)
    if not others and not 1 <= first <= 10000:
        raise argparse.ArgumentTypeError(f"expected 1 to 10000 seeds, got {text}")
    return (first, *others) if others else tuple(range(first))


def numbers(text: str) -> list[int]:
    """Read whole numbers that are separated by commas."""
    return [whole(number, ", or several such as 100,300") for number in text.split(",")]


def whole(text: str, more: str = "") -> int:
    """Read the number of every option of type int; the library judges which numbers it takes."""
    with contextlib.suppress(ValueError):
        if abs(number := int(text)) < 10**10:
            return number
    what = "a smaller number" if text.isdecimal() else f"a whole number{more}"
    raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")


def finite(text: str) -> float:
    """Read the number of every option of type float."""
    with contextlib.suppress(ValueError):
        if abs(number := float(text)) < 10**10:
            return number
    raise argparse.ArgumentTypeError(f"expected a number below 10^10, got {text!r}")


def summary(result: dict[str, Any]) -> str:
    """Say in a few lines what a run did; `result` is the content of result.json."""
    kept, speed = f"{result['kept']}, ", f"{result['examples_per_second']:.0f} examples/s"
    steps = bool(result["epochs"])  # else the head was solved
    lines = [
        f"{result['method']} on {result['labels']} labels of {result['data']}: "
        f"{result['trainable_parameters']:,} parameters learned, {result['stopped']}, "
        f"{kept * steps}{result['seconds']:.0f} s" + f" ({speed} in training)" * steps
    ]
    for split in ("dev", "test"):
        if result[split] is not None:
            of = f' of "{result[f"{split}_scores"]["f1_of"]}"' if result["metric"] == "f1" else ""
            line = f"{split:4} {result['metric']}{of} {result[split]:.3f}"
            if f"{split}_majority" in result:
                line += f"   (always the most frequent label: {result[f'{split}_majority']:.3f})"
            if of := result[f"{split}_scores"].get("scores_are_of"):
                line += f", of {of}"
            lines.append(line)
    for kind, text in (("entities", side_by_side_text), ("classes", class_report_text)):
        found = [result[f"{s}_{kind}"] for s in ("test", "dev") if result.get(f"{s}_{kind}")]
        lines += map(text, found[:1])
    return "\n".join([*lines, *(f"note: {note}" for note in result["notes"])])


def say(notes: Iterable[str]) -> None:
    """Print notes to standard error, where they are not taken for answers."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def suggested(*words: object) -> str:
    """Return a command that can be typed as it stands, whatever its folders are called."""
    return shlex.join(["minift", *map(str, words)])
