"""`minift distill`: teach a compact tagger what a fine-tuned one knows."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.cli import options
from minift.data.examples import Dataset
from minift.data.files.readers import read_examples
from minift.runs.folder import load_run
from minift.runs.train import subset
from minift.training.loop import Seeds


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "teach a compact tagger what a fine-tuned one knows"
    parser, add = options.command(commands, "distill", run, help)
    add("--teacher", type=Path, required=True, metavar="RUN", help="run folder of the tagger")
    help = "text: .txt with one sentence per line, a token file or JSONL; tags are ignored"
    add("--unlabelled", type=Path, required=True, metavar="FILE", help=help)
    options.add_data(parser)
    help = "take N random labelled sentences of --train or --data (default: all)"
    add("--labels", type=int, metavar="N", help=help)
    add("--seed", type=int, default=0, help=options.SEED)
    add("--head", choices=["softmax", "crf"], default="softmax", help="what gives the tags")
    add("--steps", type=int, default=3000, metavar="N", help="optimizer steps")
    add("--learning-rate", type=float, default=0.003, metavar="X", help="constant rate of Adam")
    help = "number type in the student's file: int8 is the smallest, float32 loses nothing"
    choices = ["float32", "float16", "int8"]
    add("--storage", choices=choices, default="float32", help=help)
    add("--out", type=Path, help="folder of the student (default: runs/DATA-student-LABELS-sSEED)")
    options.add_precision(parser, learns=False)
    options.add_device(parser, learns=True)
    options.add_reading(parser, "format", "text", "label", "scheme")


def run(arguments: options.Arguments) -> None:
    """Teach the student, and say what it is worth."""
    from minift.compact.distill import Distillation
    from minift.compact.run import distill, read_sentences
    from minift.compact.teacher import tag_labels

    settings = options.filled(Distillation, arguments, {})
    unlabelled = read_sentences(arguments.unlabelled)
    teacher = load_run(arguments.teacher, options.device(arguments), arguments.precision)
    dataset = _labelled(arguments, tag_labels(teacher))
    name = f"{dataset.name}-student-{len(dataset.train)}-s{arguments.seed}"
    out = arguments.out or Path("runs") / name
    _, result = distill(
        teacher, dataset, unlabelled, out, settings=settings, seeds=Seeds.all(arguments.seed),
        command=options.suggested(*sys.argv[1:]), progress=True,
    )  # fmt: skip
    print(
        f"student of {result['labelled']} labelled and {result['unlabelled']} unlabelled "
        f"sentences: {result['stopped']}, kept step {result['kept_step']}, "
        f"{result['seconds']:.0f} s"
    )
    for split in ("dev", "test"):
        if result[split] is not None:
            print(f"{split:4} entity_f1 {result[split]:.3f}")
    teacher_size, size = result["teacher_parameters"], result["student_parameters"]
    print(f"{size:,} parameters, {teacher_size / size:.1f} times fewer than its teacher")
    print(*(f"note: {note}" for note in result["notes"]), f"student: {out}", sep="\n")


def _labelled(arguments: options.Arguments, labels: tuple[str, ...]) -> Dataset:
    """Return the labelled sentences; files need not have all tags that the teacher knows."""
    if arguments.data is not None or arguments.train is None:
        dataset = options.data(arguments)
    else:
        notes = list[str]()
        how = {**options.reading(arguments), "task": "tagging", "labels": labels, "notes": notes}
        splits: dict[str, Any] = {
            split: read_examples(file, require_labels=split != "test", **how)
            for split in ("train", "dev", "test")
            if (file := getattr(arguments, split)) is not None
        }
        name = arguments.train.stem
        dataset = Dataset(name, "tagging", labels, notes=tuple(notes), **splits)
    train = subset(dataset.train, arguments.labels, arguments.seed)
    return replace(dataset, train=train)
