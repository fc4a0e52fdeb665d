"""`minift evaluate`: score a run, or a student, on labelled data (tests/cli/test_main.py)."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.cli import options
from minift.data.calibration import class_report, class_report_text
from minift.data.entities import side_by_side, side_by_side_text, write_errors
from minift.data.examples import as_sentences, gold_classes, gold_tags
from minift.data.files.readers import read_examples
from minift.data.notes import missing_notes
from minift.data.tags import scheme_of
from minift.errors import MiniftError
from minift.files import claim_file
from minift.runs.processes import rank
from minift.runs.tuned import FineTuned


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    help = "score a run on labelled data"
    parser, add = options.command(commands, "evaluate", run, help, ranks=True)
    options.add_run(parser)
    add("--data", required=True, metavar="FILE|NAME", help="a labelled file, or a named set")
    help = "class that f1 is of (default: as in training, or else the second of two)"
    add("--positive", metavar="CLASS", help=help)
    add("--split", choices=["dev", "test"], help="split of a named set (default: test)")
    help = "tagging: write each wrong entity with its sentence, one JSON object per line"
    add("--errors", type=Path, metavar="FILE", help=help)
    options.add_reading(parser, "format", "text", "text_b", "label", "scheme")


def run(arguments: options.Arguments) -> None:
    """Print all scores as JSON; tables and notes go to standard error."""
    if arguments.errors and rank() == 0:
        claim_file(arguments.errors, "--errors", arguments.data, ours=rb'\{"kind": "')
    tuned, notes = options.answering(arguments), list[str]()
    if arguments.errors and tuned.task != "tagging":
        raise MiniftError(f"--errors lists entities; {arguments.run} is for {tuned.task}")
    if Path(arguments.data).suffix or Path(arguments.data).is_file():
        if arguments.split:
            raise MiniftError(f"--split is for named sets, and {arguments.data} is a file")
        how, known = options.reading(arguments), tuned.labels or None
        if tuned.task == "tagging":
            _, known = scheme_of(tuned.labels)
        how["pairs"] = tuned.pairs if isinstance(tuned, FineTuned) else None
        examples = read_examples(arguments.data, task=tuned.task, labels=known, notes=notes, **how)
    else:
        split = arguments.split or "test"
        dataset = options.named(arguments)
        if dataset.task != tuned.task:
            raise MiniftError(f"{arguments.data} is for {dataset.task}, the run for {tuned.task}")
        if not (examples := getattr(dataset, split)):
            raise MiniftError(f"{arguments.data} has no labelled {split} split")
    if arguments.positive is not None:
        if tuned.task != "classification" or not isinstance(tuned, FineTuned):
            raise MiniftError(f"--positive is for classes; {arguments.run} is for {tuned.task}")
        tuned = replace(tuned, positive=arguments.positive)
    found = tuned.evaluate(examples, progress=True)
    notes += [*missing_notes(arguments.data, examples, tuned.labels), *found.notes]
    answer: dict[str, Any] = {"examples": len(examples), "loss": found.loss, **found.scores}
    if tuned.task == "tagging":
        answer["entities"] = side_by_side(gold_tags(examples), found.predicted)
        print(side_by_side_text(answer["entities"]), file=sys.stderr)
    elif tuned.task == "classification":
        gold = gold_classes(examples)
        report = class_report(gold, found.predicted, found.probabilities, tuned.labels)
        print(class_report_text(report), file=sys.stderr)
        answer |= {"classes": report["classes"], "confusion": report["confusion"]}
        answer["calibration_error"] = report["calibration"]["error"]
    options.say(notes)
    print(json.dumps(answer, indent=2))
    if arguments.errors and rank() == 0:
        write_errors(arguments.errors, as_sentences(examples), found.predicted)
        print(f"errors: {arguments.errors}", file=sys.stderr)
