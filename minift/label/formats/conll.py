"""CoNLL for text editors: one word and its tag per line.

Claim    What is filled in comes back as it is, and unanswered differs from "no entity".
Differs  - The tag of a word nobody has tagged is "?". A sentence is answered if none is left in it.
         - A line "# skip = yes" under "# id = ..." sets a sentence aside.
         - Tags must be IOB2, or BIOES without a fault: an I- that continues nothing is one.
         - A tab or line end inside a word or id is written as a blank.
Proof    tests/label/test_tables.py

    # id = 7
    # guess = B-PER O
    Ada     ?
    sings   ?
"""

import contextlib
import re
from collections.abc import Iterator, Sequence

from minift.data.examples import Example, as_sentences
from minift.data.files.exports import Row, Said
from minift.data.tags import to_iob2, violations
from minift.errors import MiniftError
from minift.label.formats.rows import UNTAGGED, Question

_BREAK = re.compile("[\t\r\n]")


def shown(example: Example) -> tuple[str, ...]:
    """Return the words as lines can hold them."""
    (sentence,) = as_sentences([example])
    return tuple(_BREAK.sub(" ", word) for word in sentence.words)


def write(questions: Sequence[Question]) -> str:
    """Return one line per word, each with the tag "?"; guesses stand above, as comments."""
    lines = []
    for question in questions:
        lines.append(f"# id = {_BREAK.sub(' ', question.example.id)}")
        if question.guess is not None:
            lines.append(f"# guess = {' '.join(question.guess)}")
        for name in ("confidence", "score"):
            if (value := getattr(question, name)) is not None:
                lines.append(f"# {name} = {value:.4g}")
        lines += [f"{word}\t{UNTAGGED[0]}" for word in shown(question.example)]
        lines.append("")
    return "\n".join([*lines, ""])


def read(text: str, task: str) -> Iterator[Row]:
    """Yield what a filled-in token file says."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if not any("\t" in line or " " in line.strip() for line in lines if line[:1] != "#"):
        raise MiniftError("no line has a word and its tag with a TAB between them")
    notes: dict[str, str] = {}
    words: list[tuple[str, str, str]] = []  # (where, word, tag)
    for number, line in enumerate([*lines, ""], start=1):
        comment = re.fullmatch(r"#\s*(\w+)\s*=\s?(.*)", line) if "\t" not in line else None
        if words and (not line.strip() or (comment and comment[1] == "id")):
            yield _sentence(notes, words)
            notes, words = {}, []
        if comment:
            notes[comment[1]] = comment[2].strip()
        elif line.strip() and not (line.startswith("#") and "\t" not in line):
            word, *tag = line.rsplit("\t" if "\t" in line else None, 1)
            words.append((f"line {number}", word, "".join(tag).strip()))


def _sentence(notes: dict[str, str], lines: list[tuple[str, str, str]]) -> Row:
    where = lines[0][0]
    said = []
    if notes.get("skip", "").lower() in ("yes", "true", "1"):
        said = [Said(where)]
    elif not all(tag in UNTAGGED for _, _, tag in lines):
        tags = [tag for _, _, tag in lines]
        with contextlib.suppress(MiniftError):  # these are not tags of BIOES
            tags = tags if violations(tags, "bioes") else to_iob2(tags, "bioes")
        said = [Said(where, tags=[(place, tag) for (place, _, _), tag in zip(lines, tags)])]
    return Row(where, notes.get("id"), [word for _, word, _ in lines], said)
