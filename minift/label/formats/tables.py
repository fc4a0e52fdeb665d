"""CSV for spreadsheets, and CoNLL for text editors: batch files people fill in by hand.

Claim    CSV is for classes, a row a text; CoNLL is for entities, a line a word. What is filled in
         comes back as it is; what a spreadsheet does to a file on its way is undone or named.
Differs  CSV:
         - A cell that a spreadsheet would take for a formula (it begins with = + - @, or with a
           tab or line end) gets an apostrophe in front; it is taken off again, and it does no
           harm if the spreadsheet has eaten it. Such texts are no formula, ever.
         - It is written as UTF-8 with a byte-order mark, without which Excel takes it for another
           encoding; read with or without, with commas, semicolons or tabs, any line ends, and
           with empty cells missing at the end of a row.
         - Column `label`: empty is unanswered, "skip" sets the text aside ("(skip)" where a class
           is called skip). More columns may be added; they are not read.
         CoNLL:
         - The tag of a word nobody has tagged is "?", so that unanswered differs from all "O".
           A sentence is answered if no "?" is left in it.
         - A line "# skip = yes" under "# id = ..." sets a sentence aside.
         - Tags must be IOB2: an I- that continues nothing is a fault, not a beginning.
         - A tab or line end inside a word is written as a blank.
Proof    tests/label/test_tables.py

    id,text,guess,confidence,score,label        # id = 7
    7,a fine film,pos,0.93,0.12,                # guess = B-PER O
                                                Ada     ?
                                                sings   ?
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from minift.data.examples import Example, TaggedExample, as_sentences
from minift.data.files.lines import decode, read_text
from minift.errors import MiniftError, nearest
from minift.files import atomic_write
from minift.label.formats.json_files import looks_like
from minift.label.formats.rows import Question, Reading, texts_of
from minift.label.formats.spans import match

SKIPS = ("skip", "(skip)")
UNTAGGED = "?"

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_BREAK = re.compile("[\t\r\n]")


def _guard(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _unguard(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_csv(path: Path, questions: Sequence[Question]) -> None:
    """Write a row a text, with an empty column `label` at the end."""
    pairs = any(len(texts_of(question.example)) > 1 for question in questions)
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\r\n")
    columns = ["text", "text_b"] if pairs else ["text"]
    table.writerow(["id", *columns, "guess", "confidence", "score", "label"])
    for question in questions:
        texts = [*texts_of(question.example), ""][: len(columns)]
        said = [question.example.id, *texts, str(question.guess or "")]
        numbers = [_short_number(question.confidence), _short_number(question.score)]
        table.writerow([*map(_guard, said), *numbers, ""])
    atomic_write(path, "\ufeff" + file.getvalue())


def _short_number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def read_csv(path: Path, reading: Reading) -> None:
    """Tell `reading` what a filled-in table says."""
    for line, row in _table(path, reading):
        where = f"line {line}"
        texts = [_unguard(row["text"]), *([_unguard(row["text_b"])] if row.get("text_b") else [])]
        example = reading.find(where, _unguard(row["id"]), texts)
        if example is None:
            continue
        label = _unguard(row["label"].strip())
        if not label:
            reading.leave_open(example)
        elif label.lower() in SKIPS and match(label, reading.labels) is None:
            reading.skip(where, example)
        else:
            reading.choose(where, example, label)


def _table(path: Path, reading: Reading) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, column -> cell) of each row."""
    text = decode(path)
    lines = [line + "\n" for line in text.split("\n")]
    first = lines[0].strip("\r\n")
    split = {mark: [c.strip(' "').lower() for c in first.split(mark)] for mark in ",;\t"}
    delimiter = next((mark for mark, cells in split.items() if "id" in cells), ",")
    names = split[delimiter]
    if missing := [name for name in ("id", "text", "label") if name not in names]:
        other = looks_like(text)
        hint = f'; it looks like format "{other}"' if other not in (None, "csv") else ""
        raise MiniftError(f'{path}: line 1 has no column "{missing[0]}"{hint}: {first[:80]!r}')
    limit = csv.field_size_limit(2**31 - 1)  # the default refuses texts over 131,072 characters
    begin = 1
    try:
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        for cells in rows:
            line, begin = begin, rows.line_num + 1
            if line == 1 or not any(cells):
                continue
            if any(cells[len(names) :]):
                reading.fault(
                    f"line {line}",
                    f"{len(cells)} columns, expected {len(names)} as in line 1; put a text with "
                    "the separator in it in quotes",
                )
                continue
            yield line, dict(zip(names, [*cells, *[""] * len(names)]))
    except csv.Error as error:
        reading.fault(f"line {begin}", f"not valid CSV ({error}); it and all after it are left out")
    finally:
        csv.field_size_limit(limit)


def conll_words(example: Example) -> tuple[str, ...]:
    """Return the words as lines can hold them."""
    (sentence,) = as_sentences([example])
    return tuple(_BREAK.sub(" ", word) for word in sentence.words)


def write_conll(path: Path, questions: Sequence[Question]) -> None:
    """Write a line a word, each with the tag "?"; guesses stand above, as comments."""
    lines = []
    for question in questions:
        lines.append(f"# id = {_one_line(question.example.id)}")
        if question.guess is not None:
            lines.append(f"# guess = {' '.join(question.guess)}")
        for name in ("confidence", "score"):
            if (value := getattr(question, name)) is not None:
                lines.append(f"# {name} = {value:.4g}")
        lines += [f"{word}\t{UNTAGGED}" for word in conll_words(question.example)]
        lines.append("")
    atomic_write(path, "\n".join([*lines, ""]))


def _one_line(id: str) -> str:
    plain = id.isprintable() and id == id.strip() and not id.startswith('"')
    return id if plain else json.dumps(id)


def _id(written: str) -> str:
    try:
        value = json.loads(written) if written.startswith('"') else written
    except ValueError:
        value = written
    return str(value)


def read_conll(path: Path, reading: Reading) -> None:
    """Tell `reading` what a filled-in token file says."""
    other = looks_like(decode(path))
    if other not in (None, "conll"):
        raise MiniftError(f'{path}: this is no conll file; it looks like format "{other}"')
    lines = read_text(path)
    if not any("\t" in line or " " in line.strip() for _, line in lines if line[:1] != "#"):
        raise MiniftError(f"{path}: no line has a word and its tag with a TAB between them")
    notes: dict[str, str] = {}
    words: list[tuple[int, str, str]] = []
    for number, line in [*lines, (0, "")]:
        comment = re.fullmatch(r"#\s*(\w+)\s*=\s?(.*)", line) if "\t" not in line else None
        if words and (not line.strip() or (comment and comment[1] == "id")):
            _read_sentence(reading, notes, words)
            notes, words = {}, []
        if comment:
            notes[comment[1]] = comment[2].strip()
        elif line.strip() and not (line.startswith("#") and "\t" not in line):
            word, *tag = line.rsplit("\t" if "\t" in line else None, 1)
            words.append((number, word, "".join(tag).strip()))


def _read_sentence(
    reading: Reading, notes: dict[str, str], lines: list[tuple[int, str, str]]
) -> None:
    where = f"line {lines[0][0]}"
    id_ = _id(notes["id"]) if "id" in notes else None
    example = reading.find(where, id_, [word for _, word, _ in lines])
    tags = [tag for _, _, tag in lines]
    if not isinstance(example, TaggedExample):
        return
    if notes.get("skip", "").lower() in ("yes", "true", "1"):
        reading.skip(where, example)
    elif all(tag in (UNTAGGED, "") for tag in tags):
        reading.leave_open(example)
    elif not (faults := _tag_faults(lines, example, reading)):
        found = [match(tag, reading.labels) for tag in tags]
        reading.tag(where, example, [tag for tag in found if tag is not None])
    else:
        for line, fault in faults:
            reading.fault(f"line {line}", f"text {example.id!r}: {fault}")


def _tag_faults(
    lines: list[tuple[int, str, str]], example: TaggedExample, reading: Reading
) -> list[tuple[int, str]]:
    faults, before = [], "O"
    for (line, _, written), word in zip(lines, example.words):
        tag = match(written, reading.labels)
        if written in (UNTAGGED, ""):
            faults.append((line, f"{word!r} is still to be tagged; tag all words or none"))
        elif tag is None:
            known = ", ".join(reading.labels)
            hint = nearest(written, reading.labels)
            faults.append((line, f"{written!r} is no tag; tags are {known}{hint}"))
        elif tag.startswith("I-") and before[2:] != tag[2:]:
            faults.append((line, f'{tag} continues nothing; an entity begins with "B{tag[1:]}"'))
        before = tag or f"B-{written[2:]}"
    return faults
