"""The `minift` command: every subcommand is one public function away.

Claim    Whatever a newcomer types, the answer is a result or one line that says what to do.
Proof    tests/cli/test_main.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import minift
from minift.errors import MiniftError, nearest
from minift.runs.determinism import deterministic

if TYPE_CHECKING:  # modules that load much are imported where they are used
    from minift.compact.student import Student
    from minift.data.examples import Dataset, Example
    from minift.runs.tuned import FineTuned

Run = Callable[[argparse.Namespace], None]

EPILOG = """\
a first session:
  minift demo                                   everything once, on a small set, in a minute
  minift info minilm                            what an encoder is, and what each method trains
  minift train --train my.csv --encoder minilm --method bitfit --out runs/mine
  minift predict runs/mine texts.txt            one JSON line a text
  minift distill --teacher runs/tagger --unlabeled texts.txt     a tagger many times smaller

files:
  CSV or TSV with a header (text, label; text_b for pairs), JSONL with the same keys, or token
  files for entities (word TAB tag, an empty line between sentences). The suffix decides.
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Every default is told, unless the help says what happens without the option."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text, value = action.help or "", action.default
        untold = value is None or value is False or value is argparse.SUPPRESS
        if untold or not action.option_strings or "default" in text:
            return text
        shown = ",".join(map(str, value)) if isinstance(value, list) else value
        return f"{text} (default: {shown})".lstrip()


class _Parser(argparse.ArgumentParser):
    """argparse, with the nearest word for a typing mistake and no usage dump before it."""

    def __init__(self, **options: Any):
        super().__init__(**{"formatter_class": _Help, **options})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse unknown options here, where the command's own are known, not one level above."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            typed = unknown[0].split("=")[0]
            close = nearest(typed, self._option_string_actions) if typed.startswith("--") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{close}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        if "invalid choice: " in message:
            typed = message.split("invalid choice: ")[1].split(" ")[0].strip("'\"")
            known = (a.choices for a in self._actions if a.choices and typed not in a.choices)
            message += nearest(typed, next(known, ()))
        self.exit(2, f"{self.prog}: {message}\nsee {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (0 done, 1 bad input, 2 bad usage)."""
    arguments = _parser().parse_args(argv)
    try:
        wanted = getattr(arguments, "deterministic", False)
        with deterministic(wanted), _all_ranks(arguments, argv):
            arguments.command(arguments)
    except MiniftError as error:
        print(f"minift: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output (head, less) has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("minift: interrupted", file=sys.stderr)
        return 130
    return 0


def _all_ranks(
    arguments: argparse.Namespace, argv: Sequence[str] | None
) -> contextlib.AbstractContextManager[None]:
    """Join the processes of torchrun, where it has started several."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return contextlib.nullcontext()
    if arguments.command not in (_train, _evaluate, _predict, _compare) and not hasattr(
        arguments, "ranks"
    ):
        raise MiniftError(
            "torchrun is for minift train, evaluate, predict, compare and active score; start "
            "this command without it"
        )
    from minift.runs.processes import several

    return several(sys.argv[1:] if argv is None else argv, arguments.device)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="minift",
        description="Fine-tune BERT when labels are few.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"minift {minift.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Run | None, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(command=run)
        return sub

    train = command("train", _train, "fine-tune an encoder on labelled data")
    _data_options(train)
    _file_options(train)
    train.add_argument("--encoder", default="minilm", help=_ENCODER_HELP)
    train.add_argument("--method", default="full", help="what learns; see: minift info ENCODER")
    train.add_argument("--head", choices=["linear", "cnn"], default="linear", help="on the encoder")
    train.add_argument(
        "--labels",
        type=int,
        metavar="N",
        help="train on N examples drawn with --seed (default: all)",
    )
    train.add_argument("--seed", type=int, default=0, help="seed of every random stream")
    train.add_argument(
        "--out", type=Path, help="run folder (default: runs/DATA-METHOD-LABELS-sSEED)"
    )
    train.add_argument(
        "--epochs", type=int, help="passes over the examples (default: the method's own)"
    )
    train.add_argument(
        "--batch-size", type=int, help="examples of one optimizer step (default: the method's own)"
    )
    train.add_argument("--learning-rate", type=float, help="default: the method's own")
    train.add_argument(
        "--keep",
        choices=["last", "best"],
        help="weights to keep: the last (default), or of the best epoch on the development split",
    )
    train.add_argument(
        "--other-pieces",
        choices=["ignore", "continue"],
        help="tagging: pieces of a word behind its first: no loss (default), or continue its tag",
    )
    _precision_option(train)
    _device_option(train)

    evaluate = command("evaluate", _evaluate, "score a run on labelled data")
    evaluate.add_argument("run", type=Path, help="run folder, or a checkpoint with a classifier")
    evaluate.add_argument("--data", required=True, help="a labelled file, or a named set")
    evaluate.add_argument(
        "--split", choices=["dev", "test"], default="test", help="split of a named set"
    )
    evaluate.add_argument(
        "--errors", type=Path, metavar="FILE",
        help="tagging: write each wrong entity in its sentence, as text or .jsonl",
    )  # fmt: skip
    _file_options(evaluate)
    _precision_option(evaluate, learns=False)
    _device_option(evaluate)

    predict = command("predict", _predict, "answer texts: one JSON line each, in their order")
    predict.add_argument("run", type=Path, help="run folder, or a checkpoint with a classifier")
    predict.add_argument(
        "file", help="texts, one a line (.txt or - for standard input), or CSV, TSV, JSONL, CoNLL"
    )
    predict.add_argument("--out", type=Path, help="write here instead of standard output")
    _file_options(predict)
    _precision_option(predict, learns=False)
    _device_option(predict)

    distill = command("distill", _distill, "teach a compact tagger what a fine-tuned one knows")
    distill.add_argument("--teacher", type=Path, required=True, metavar="RUN", help="run folder")
    distill.add_argument(
        "--unlabeled", type=Path, required=True, metavar="FILE",
        help="text: .txt has a sentence a line; token files and JSONL will do, tags are ignored",
    )  # fmt: skip
    _data_options(distill)  # by default the teacher's own
    _file_options(distill)
    distill.add_argument(
        "--labels",
        type=int,
        metavar="N",
        help="of --data or --train, N drawn with --seed (default: all)",
    )
    distill.add_argument("--seed", type=int, default=0, help="seed of every random stream")
    distill.add_argument(
        "--out", type=Path, help="folder of the student (default: runs/DATA-student-LABELS-sSEED)"
    )
    distill.add_argument(
        "--head", choices=["softmax", "crf"], default="softmax", help="what gives the tags"
    )
    distill.add_argument(
        "--word-vectors", choices=["teacher", "random"], default="teacher",
        help="what they start from: the teacher's table, or random numbers",
    )  # fmt: skip
    for name, kind, help in _DISTILLATION:
        distill.add_argument(name, type=kind, help=help)
    distill.add_argument(
        "--loss", choices=["kl", "mse"], help="kl (default), or mse as in the authors' code"
    )
    distill.add_argument("--min-count", type=int, default=2, help="a rarer word is an unknown one")
    distill.add_argument(
        "--most-words", type=int, metavar="N", help="size of the vocabulary (default: no limit)"
    )
    distill.add_argument(
        "--teacher-words", type=int, default=0, metavar="N",
        help="words of the teacher's vocabulary that the student knows too",
    )  # fmt: skip
    distill.add_argument(
        "--transductive", action="store_true", help="let words of dev and test into it, too"
    )
    distill.add_argument(
        "--storage", choices=["float32", "float16", "int8"], default="float32",
        help="of the file's numbers",
    )  # fmt: skip
    distill.add_argument("--cache", type=Path, metavar="FILE", help="keeps what the teacher says")
    _precision_option(distill, learns=False)
    _device_option(distill)

    compare = command("compare", _compare, "which method for my data? all on the same seeds")
    _data_options(compare)
    _file_options(compare)
    compare.add_argument("--encoder", default="minilm", help=_ENCODER_HELP)
    compare.add_argument(
        "--methods",
        metavar="A,B",
        help="e.g. full,bitfit:query,intermediate,freeze:3+adaptive (default: one of each kind)",
    )
    compare.add_argument(
        "--labels",
        type=_numbers,
        metavar="N",
        help="training examples, or several: 100,300 (default: all)",
    )
    compare.add_argument(
        "--seeds", type=_numbers, default=[5], metavar="N", help="how many, or which: 0,1,2"
    )
    compare.add_argument(
        "--out", type=Path, help="folder of results and report; goes on where it stopped"
    )
    compare.add_argument("--epochs", type=int, help="of all methods, instead of their own")
    compare.add_argument(
        "--batch-size", type=int, help="examples of one optimizer step (default: the methods' own)"
    )
    compare.add_argument(
        "--rate-factor", type=float, default=1.0, metavar="X",
        help="times every method's learning rate (--encoder tiny wants about 6)",
    )  # fmt: skip
    compare.add_argument(
        "--keep", choices=["last", "best"], default="last", help="best: by the development split"
    )
    compare.add_argument(
        "--grid", action="store_true", help="choose among three rates by the development split"
    )
    compare.add_argument(
        "--selection",
        type=int,
        metavar="N",
        help="examples of it that a run may choose by (default: all)",
    )
    compare.add_argument(
        "--budget-minutes", type=float, metavar="M", help="begin no seed that would not fit"
    )
    compare.add_argument("--processes", type=int, default=1, metavar="N", help="runs at a time")
    compare.add_argument("--keep-weights", action="store_true", help="in OUT/weights")
    _precision_option(compare)
    _device_option(compare)

    info = command("info", _info, "sizes of an encoder or run, and what each method would train")
    info.add_argument("encoder", help=_ENCODER_HELP)

    doctor = command("doctor", _doctor, "what is there, what is missing, and how many threads")
    doctor.add_argument("--encoder", default="minilm", help=_ENCODER_HELP)
    doctor.add_argument(
        "--seconds", type=float, default=20.0, help="to measure threads for; 0: not"
    )

    demo = command("demo", _demo, "see what a pretrained encoder buys, in about a minute")
    demo.add_argument("--encoder", default="tiny", help=_ENCODER_HELP)
    demo.add_argument("--seeds", type=int, default=3, help="runs of each method")

    from minift.cli.active import add_commands

    add_commands(command("active", None, "label with a model that says what to label next"))
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the plot")
    return parser


_ENCODER_HELP = "a checkpoint folder, a Hugging Face hub id, or a short name (minilm, tiny)"


_DISTILLATION = (
    ("--steps", int, "optimizer steps (default: 3000)"),
    ("--learning-rate", float, "of Adam, constant (default: 0.003)"),
    ("--batch-size", int, "labelled sentences of a step (default: 10)"),
    ("--unlabelled-batch-size", int, "sentences without labels of a step (default: 10)"),
    ("--temperature", float, "at which beliefs are compared (default: 1.0)"),
    ("--label-weight", float, "of gold and pseudo-labels (default: 1.0)"),
    ("--teacher-weight", float, "of the teacher's beliefs; 0: labels alone (default: 1.0)"),
    ("--pseudo-weight", float, "of a pseudo-label beside a gold one; 0: none (default: 1.0)"),
    ("--confidence", float, "least probability of a pseudo-label (default: 0.0)"),
    ("--patience", int, "looks without a better score before training stops (default: 0)"),
)


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="a named set, e.g. sst2 (instead of --train)")
    parser.add_argument("--train", type=Path, metavar="FILE", help="labelled examples")
    parser.add_argument("--dev", type=Path, metavar="FILE", help="to watch and to choose by")
    parser.add_argument("--test", type=Path, metavar="FILE", help="to report on, once")


def _text_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format", choices=["csv", "tsv", "jsonl", "conll", "text"],
        help="default: by the file's suffix",
    )  # fmt: skip
    group.add_argument(
        "--text", metavar="COLUMN", help="column of the text (default: text, or sentence)"
    )
    group.add_argument(
        "--text-b", metavar="COLUMN", help="of the second text of a pair (default: text_b)"
    )


def _file_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading files")
    _text_options(group)
    group.add_argument(
        "--label", metavar="COLUMN", help="column of the label (default: label, or score)"
    )
    group.add_argument(
        "--task", choices=["classification", "regression", "tagging"],
        help="default: tagging for token files, otherwise classification",
    )  # fmt: skip
    group.add_argument("--label-first", action="store_true", help="token files: TAG WORD")
    group.add_argument(
        "--scheme", choices=["iob1", "iob2", "bioes", "io"], help="of the tags (default: detected)"
    )
    group.add_argument(
        "--invalid-tags", choices=["begin", "discard", "error"], default="begin", dest="invalid",
        help="entities that break the scheme: of their own (as conlleval; default), none, refused",
    )  # fmt: skip


def _device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="auto: a GPU if there is one",
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same bytes each time on a GPU, too"
    )


def _precision_option(parser: argparse.ArgumentParser, learns: bool = True) -> None:
    parser.add_argument(
        "--precision",
        choices=["float32", "bf16"],
        default="float32" if learns else None,
        help="of matrix products; bf16 is for machines that have it"
        + ("" if learns else " (default: as the model was trained)"),
    )


def _read_options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("format", "text", "text_b", "label", "task", "label_first", "scheme", "invalid")
    return {name: getattr(arguments, name) for name in names}


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise MiniftError("--device cuda: PyTorch sees no GPU here; use --device cpu")
    return name


def _dataset(arguments: argparse.Namespace) -> Dataset:
    from minift.data.files.readers import read_dataset
    from minift.data.named import load_dataset

    if (arguments.data is None) == (arguments.train is None):
        raise MiniftError("give either --data NAME or --train FILE (with --dev and --test)")
    if arguments.data is not None:
        if arguments.dev or arguments.test:
            raise MiniftError("--dev and --test go with --train; a named set has its own")
        return load_dataset(arguments.data)
    return read_dataset(arguments.train, arguments.dev, arguments.test, **_read_options(arguments))


def _train(arguments: argparse.Namespace) -> None:
    from minift.compact.source import source_of_files, source_of_name
    from minift.methods.recipes import recipe
    from minift.runs.train import train
    from minift.training.loop import Seeds

    method = recipe(arguments.method)
    dataset = _dataset(arguments)
    chosen = {
        name: getattr(arguments, name)
        for name in ("epochs", "batch_size", "learning_rate", "keep", "other_pieces", "precision")
        if getattr(arguments, name) is not None
    }
    if "epochs" in chosen:
        chosen["min_steps"] = 0  # who names the epochs means them
    labels = arguments.labels or len(dataset.train)
    cnn = "-cnn" if arguments.head == "cnn" else ""
    name = f"{dataset.name}-{method.name}{cnn}-{labels}-s{arguments.seed}".replace(":", "")
    out = arguments.out or Path("runs") / name
    if arguments.data is not None:
        source = source_of_name(arguments.data)
    else:
        files = arguments.train, arguments.dev, arguments.test
        source = source_of_files(*files, _read_options(arguments))
    try:
        _, result = train(
            dataset,
            arguments.encoder,
            method,
            labels=arguments.labels,
            seeds=Seeds.all(arguments.seed),
            settings=replace(method.settings, **chosen),
            head=arguments.head,
            out=out,
            source=source,
            device=_device(arguments.device),
            progress=True,
        )
    except KeyboardInterrupt:
        if (out / "checkpoints").is_dir():
            print(
                f"\nthe last checkpoint is in {out}; the same command goes on from there",
                file=sys.stderr,
            )
        raise
    print(summary(result))
    print(f"run folder: {out}")


def summary(result: dict[str, Any]) -> str:
    """Say in a few lines what a run did; `result` is the content of result.json."""
    from minift.data.entity_report import side_by_side_text

    lines = [
        f"{result['method']} on {result['labels']} labels of {result['data']}: "
        f"{result['trainable_parameters']:,} parameters learned, {result['stopped']}, "
        f"{result['kept']}, {result['seconds']:.0f} s "
        f"({result['examples_per_second']:.0f} examples/s in training)"
    ]
    for split in ("dev", "test"):
        if result[split] is not None:
            line = f"{split:4} {result['metric']} {result[split]:.3f}"
            if f"{split}_majority" in result:
                line += f"   (always the most frequent label: {result[f'{split}_majority']:.3f})"
            lines.append(line)
    tables = [result[f"{s}_entities"] for s in ("test", "dev") if result.get(f"{s}_entities")]
    lines += [side_by_side_text(table) for table in tables[:1]]
    return "\n".join([*lines, *(f"note: {note}" for note in result["notes"])])


def _distill(arguments: argparse.Namespace) -> None:
    from minift.compact.distill import Distillation
    from minift.compact.report import report_text
    from minift.compact.run import StudentSettings, distill, read_sentences
    from minift.runs.folder import load_run
    from minift.training.loop import Seeds

    chosen = {
        name: getattr(arguments, name)
        for name in ("loss", *(flag[2:].replace("-", "_") for flag, *_ in _DISTILLATION))
        if getattr(arguments, name) is not None
    }
    settings = Distillation(**chosen)
    unlabelled = read_sentences(arguments.unlabeled)
    teacher = load_run(arguments.teacher, _device(arguments.device), arguments.precision)
    dataset = _labelled(arguments, teacher)
    name = f"{dataset.name}-student-{len(dataset.train)}-s{arguments.seed}"
    out = arguments.out or Path("runs") / name
    _, result = distill(
        teacher,
        dataset,
        unlabelled,
        out,
        settings=settings,
        seeds=Seeds.all(arguments.seed),
        student=StudentSettings(
            head=arguments.head,
            vectors=arguments.word_vectors,
            min_count=arguments.min_count,
            most_words=arguments.most_words,
            teacher_words=arguments.teacher_words,
            transductive=arguments.transductive,
            storage=arguments.storage,
        ),
        cache=arguments.cache,
        teacher_folder=arguments.teacher,
        command=shlex.join(["minift", *sys.argv[1:]]),
        progress=True,
    )
    print(
        f"student of {result['labelled']} labelled and {result['unlabelled']} unlabelled "
        f"sentences: {result['stopped']}, kept step {result['kept_step']}, "
        f"{result['seconds']:.0f} s"
    )
    for split in ("dev", "test"):
        if result[split] is not None:
            print(f"{split:4} entity_f1 {result[split]:.3f}")
    report = out / "report.json"
    if report.is_file():
        print(report_text(json.loads(report.read_text(encoding="utf-8"))))
    for note in result["notes"]:
        print(f"note: {note}")
    print(f"student: {out}")


def _labelled(arguments: argparse.Namespace, teacher: FineTuned) -> Dataset:
    """Return the labelled data: what the teacher was trained on, or what is named instead."""
    from minift.compact.source import training_data
    from minift.compact.teacher import tag_labels
    from minift.data.examples import Dataset
    from minift.data.files.readers import read_examples
    from minift.runs.train import subset

    labels = tag_labels(teacher)
    if arguments.data is None and arguments.train is None:
        if arguments.labels or arguments.dev or arguments.test:
            raise MiniftError("--labels, --dev and --test go with --train or --data")
        return training_data(arguments.teacher)
    if arguments.data is not None:
        dataset = _dataset(arguments)
    else:  # the tags are the teacher's: few sentences need not have them all
        options = {**_read_options(arguments), "task": "tagging"}
        splits: dict[str, Any] = {
            split: read_examples(
                getattr(arguments, split), labels=labels, require_labels=split != "test", **options
            )
            for split in ("train", "dev", "test")
            if getattr(arguments, split) is not None
        }
        name = arguments.train.stem
        dataset = Dataset(name, "tagging", labels, metric="entity_f1", **splits)
    return replace(dataset, train=subset(dataset.train, arguments.labels, arguments.seed))


def _load(arguments: argparse.Namespace) -> FineTuned | Student:
    """Load a run folder or a student."""
    from minift.compact.store import is_student, load_student
    from minift.runs.folder import load_run
    from minift.runs.processes import require_same_weights

    device, precision = _device(arguments.device), arguments.precision
    if not is_student(arguments.run):
        found: FineTuned | Student = load_run(arguments.run, device, precision)
    elif precision == "bf16":
        raise MiniftError(f"{arguments.run} is a compact tagger, which computes in float32")
    else:
        found = load_student(arguments.run, device)
    require_same_weights(found.model)
    return found


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a whole number, or several such as 100,300, got {text!r}"
        ) from None


def _compare(arguments: argparse.Namespace) -> None:
    from minift.compare.grid import compare
    from minift.compare.report import short_text

    dataset = _dataset(arguments)
    out = arguments.out or Path("runs") / f"compare-{dataset.name}"
    seeds = arguments.seeds
    comparison = compare(
        dataset,
        arguments.encoder,
        arguments.methods,
        arguments.labels,
        seeds[0] if len(seeds) == 1 else seeds,
        out,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        rate_factor=arguments.rate_factor,
        keep=arguments.keep,
        grid=arguments.grid,
        selection=arguments.selection,
        budget_minutes=arguments.budget_minutes,
        processes=arguments.processes,
        keep_weights=arguments.keep_weights,
        device=_device(arguments.device),
        precision=arguments.precision,
        progress=True,
        command=shlex.join(["minift", *sys.argv[1:]]),
    )
    print(short_text(comparison))
    print("\n".join(f"note: {note}" for note in comparison.notes))
    print(f"report: {out / 'report.html'} (also report.md and results.csv)")


def _evaluate(arguments: argparse.Namespace) -> None:
    from minift.data.entity_report import side_by_side, side_by_side_text, write_errors
    from minift.data.examples import as_sentences, gold_tags
    from minift.data.files.readers import read_examples
    from minift.data.named import load_dataset
    from minift.runs.processes import rank

    tuned = _load(arguments)
    if arguments.errors and tuned.task != "tagging":
        raise MiniftError(f"--errors lists entities; {arguments.run} is for {tuned.task}")
    notes: list[str] = []
    if Path(arguments.data).suffix:
        options = _read_options(arguments)
        options["task"] = options["task"] or tuned.task
        known = tuned.labels or None
        examples = read_examples(arguments.data, labels=known, notes=notes, **options)
    else:
        examples = getattr(load_dataset(arguments.data), arguments.split)
        if not examples:
            raise MiniftError(f"{arguments.data} has no labelled {arguments.split} split")
    found = tuned.evaluate(examples, progress=True)
    answer: dict[str, Any] = {"examples": len(examples), "loss": found.loss, **found.scores}
    if tuned.task == "tagging":
        answer["entities"] = side_by_side(gold_tags(examples), found.predicted)
        print(side_by_side_text(answer["entities"]), file=sys.stderr)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(json.dumps(answer, indent=2))
    if arguments.errors and rank() == 0:
        write_errors(arguments.errors, as_sentences(examples), found.predicted)
        print(f"errors: {arguments.errors}", file=sys.stderr)


def _predict(arguments: argparse.Namespace) -> None:
    from minift.data.examples import TextExample
    from minift.data.files.readers import stream_examples
    from minift.runs.predict import predict
    from minift.runs.processes import rank, world_size

    if arguments.file == "-" and world_size() > 1:
        raise MiniftError("several processes cannot share standard input; give a file instead of -")
    tuned = _load(arguments)
    examples: Iterable[Example]
    if arguments.file == "-":
        lines = (line.rstrip("\r\n") for line in sys.stdin)
        examples = (TextExample(str(n), line) for n, line in enumerate(lines, 1) if line.strip())
    else:
        names = ("format", "task", "text", "text_b", "label_first")
        options = {name: getattr(arguments, name) for name in names}
        options["task"] = None if tuned.task == "regression" else options["task"]
        examples = stream_examples(arguments.file, **options)
    answers = (json.dumps(answer, ensure_ascii=False) for answer in predict(tuned, examples))
    if arguments.out is None or rank() > 0:
        for answer in answers:
            print(answer)
        return
    with arguments.out.open("w", encoding="utf-8") as file:
        for answer in answers:
            file.write(answer + "\n")


def _info(arguments: argparse.Namespace) -> None:
    from minift.runs.describe import describe

    print(describe(arguments.encoder))


def _doctor(arguments: argparse.Namespace) -> None:
    from minift.cli.doctor import doctor

    doctor(arguments.encoder, arguments.seconds)


def _demo(arguments: argparse.Namespace) -> None:
    from minift.cli.demo import demo

    demo(arguments.encoder, arguments.seeds, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
