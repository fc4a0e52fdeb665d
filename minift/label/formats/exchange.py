"""Batch files: the questions of a round out to a labelling tool, the answers back.

Claim    Whatever was answered in the tool comes back as the same label for the same text. What
         cannot be used is named with its place and left out; nothing else is lost by it. No text
         outside the project and no label outside the set is ever let in.
Differs  What is written for a tool stands in its own module, and so does how to use it; what tools
         export is read in minift/data/files/exports.py, and matched to what was asked in rows.py.
Proof    tests/label/test_exchange.py
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from minift.data.examples import NONE, Example, texts_of
from minift.data.files import exports
from minift.data.files.exports import Fault, Row, tool_of
from minift.data.files.lines import Problems, raw_lines, unit
from minift.data.files.tables import Names, json_rows, table_rows
from minift.errors import MiniftError, require_known
from minift.label.formats import argilla, conll, doccano, labelstudio, spreadsheet
from minift.label.formats.rows import Imported, Question, match_rows


class Format(NamedTuple):
    """How questions are written for a tool, what people do there, and how answers are read."""

    suffix: str  # of its files
    tasks: tuple[str, ...]  # that it is for
    write: Callable[[Sequence[Question]], str]  # returns the text of a batch file
    how: str  # what people do with a file
    export: str = ""  # the file that they then have; "": the same one, filled in
    shown: Callable[[Example], tuple[str, ...]] = texts_of  # strings by which files show an example
    read: Callable[[str, str], Iterable[Row | Fault]] | None = None  # text, task; None: as a tool's


_CSV = 'fill in the column "label"{several}; "{skip}" sets a text aside'
_CONLL = 'write tags over the "?"; a line "# skip = yes" sets a sentence aside'
_ANY = "classification", "multilabel", "tagging"
FORMATS: dict[str, Format] = {
    "csv": Format(".csv", _ANY[:2], spreadsheet.write, _CSV, "", texts_of, spreadsheet.read),
    "labelstudio": Format(".json", _ANY, labelstudio.write, labelstudio.HOW, "EXPORT.json"),
    "doccano": Format(".jsonl", _ANY, doccano.write, doccano.HOW, "EXPORT.jsonl", doccano.shown),
    "argilla": Format(".json", _ANY, argilla.write, argilla.HOW, "answers.json"),
    "conll": Format(".conll", _ANY[2:], conll.write, _CONLL, "", conll.shown, conll.read),
}
# What only occurs in exports that do not say which text was meant.
_REFUSED = {exports.CONLL: exports.NO_CONLL, '^"?__label__': exports.NO_FASTTEXT}


def written(format: str, questions: Sequence[Question], task: str) -> str:
    """Return the text of a batch file; raises MiniftError if the format is not for this task."""
    require_known("format", format, FORMATS)
    if task not in FORMATS[format].tasks:
        known = ", ".join(name for name, other in FORMATS.items() if task in other.tasks)
        raise MiniftError(f'format "{format}" is not for {task}; these are: {known}')
    return FORMATS[format].write(questions)


def how(format: str, path: Path, names: Sequence[str], task: str, pairs: bool) -> str:
    """Say what people do with a file, who choose among the names of classes or types."""
    several = task == "multilabel"
    question = f'rg.{"Multi" * several}LabelQuestion(name="label", labels={list(names)})'
    if task == "tagging":
        question = f'rg.SpanQuestion(name="label", field="text", labels={list(names)})'
    fields = ", ".join(f'rg.TextField(name="{n}")' for n in ("text", "text_b")[: 1 + pairs])
    facts = {"labels": ", ".join(names), "fields": fields, "question": question}
    facts["single"] = "without single labels" if several else "single label"
    facts["several"] = f' with labels such as "{"|".join(names[:2])}", or "{NONE}"' * several
    facts["skip"] = "(skip)" if "skip" in map(str.lower, names) else "skip"
    return FORMATS[format].how.format(path=path, file=str(path), **facts)


def read_answers(
    path: str | Path,
    format: str | None,
    examples: Mapping[str, Example],
    labels: Sequence[str],
    task: str,
) -> Imported:
    """Read a batch file that came back, with the answers to a project's texts, here by id.

    The format None goes by the content, else by the suffix. MiniftError if the file cannot be read
    as this format; what is wrong with a single row is one of the result's problems.
    """
    path = Path(path)
    if format is not None:
        written(format, [], task)  # refuses what is not for the task
    text = "".join(raw_lines(path))
    likely = looks_like(path, text)
    fitting = [name for name, known in FORMATS.items() if known.suffix == path.suffix.lower()]
    format = format or likely or next(iter(fitting), None)
    for sign, why in _REFUSED.items():
        if likely is None and re.search(sign, text, re.MULTILINE):
            raise MiniftError(f"{path}: {why}")
    if format is None:
        known = ", ".join(FORMATS)
        raise MiniftError(f"{path}: cannot tell what format this is; name it, one of {known}")
    written(format, [], task)
    if likely not in (None, format):
        raise MiniftError(f'{path}: this is not a {format} file; it looks like format "{likely}"')
    tool = FORMATS[format]
    try:
        rows = tool.read(text, task) if tool.read else _exported(format, path, text, task)
        found = match_rows(rows, path.name, examples, labels, tool.shown, task == "multilabel")
    except MiniftError as error:
        raise MiniftError(f"{path}: {error}") from error
    named = (a._replace(by=f"{format}:{a.by}" if a.by else "") for a in found.answers)
    return found._replace(answers=tuple(named))


def _exported(tool: str, path: Path, text: str, task: str) -> list[Row | Fault]:
    """Return what the export of a tool says, in JSON or as a table; each broken row is a fault."""
    problems: Problems = []
    if text.lstrip()[:1] in ("[", "{") or looks_like(path, text) is None:
        rows = [*json_rows(path, problems)]
    else:
        rows = [*table_rows(path, problems, quotes=True)]
    faults = [Fault(f"{unit(path)} {n}" if n else "", what) for n, what in problems]
    if not rows:
        what = "; ".join(fault.what for fault in faults[:1]) or "it has no records"
        raise MiniftError(f"{what}; was it exported in another format?")
    return [*faults, *exports.READERS[tool](exports.numbered(path, rows), task, Names())]


def looks_like(path: Path, text: str) -> str | None:
    """Return the format a file is probably in, or None."""
    lines = text.split("\n", maxsplit=50)[:50]
    if text.lstrip()[:1] not in ("[", "{"):
        header = dict.fromkeys(cell.strip(' "\r') for cell in re.split("[,;\t]", lines[0]))
        if (tool := tool_of(header)) or {"id", "text"} <= {name.lower() for name in header}:
            return tool or "csv"
        tagged = any(line.rstrip().endswith(("\tO", "\t?")) for line in lines)
        return "conll" if tagged or any(line.startswith("# id = ") for line in lines) else None
    rows = (row for _, row in islice(json_rows(path, []), 50))
    found = (tool_of(row) or ("doccano" if "text" in row else None) for row in rows)
    return next(filter(None, found), None)
