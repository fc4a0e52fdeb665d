"""Labelling in the terminal: one text, one line, and the answer is on the disk before the next.

Claim    Whatever ends a session (q, Ctrl-C, a closed window, a kill), the ledger has every answer
         that was given, and the next session begins with the same text. Control characters of a
         text are spelled out and do not reach the terminal.
Differs  - The model's guess is not shown: people tend to follow what they are shown.
         - Undo takes back one's own latest answer, never somebody else's.
Proof    tests/label/test_terminal.py
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from minift.data.examples import NONE, Example, TaggedExample, joined, texts_of
from minift.data.tags import entity_tags, spans_conlleval
from minift.errors import MiniftError, nearest
from minift.files import standard_input
from minift.label.ledger import Label, Ledger, open_ledger
from minift.label.project import Project, command, load_project

COMMANDS = {"u": "undo", "s": "skip", "q": "quit", "?": "help"}
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of pairs, line separators
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C}  # directions


def printable(text: str) -> str:
    r"""Return a text as it is safe to show: control characters as \x1b, line ends kept."""

    def show(character: str) -> str:
        hidden = unicodedata.category(character) in _HIDDEN or ord(character) in _TURNING
        return ascii(character)[1:-1] if hidden and character not in "\n\t" else character

    return "".join(map(show, text.replace("\r\n", "\n")))


class Tally(NamedTuple):
    """What a session did."""

    labelled: int  # answers that stand
    skipped: int
    waiting: int  # texts, for the next session


def label(
    folder: str | Path, by: str, stdin: TextIO | None = None, stdout: TextIO | None = None
) -> Tally:
    """Show each text that waits and record what is answered, line by line."""
    project = load_project(folder)
    stdin, stdout = stdin or standard_input(), stdout or sys.stdout
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors="backslashreplace")  # a narrow terminal is no reason to stop
    with contextlib.suppress(AttributeError, OSError):  # else a bad line takes those before it
        stdin.reconfigure(errors="surrogateescape")  # type: ignore[attr-defined]
    with open_ledger(project.ledger, project.ids, project.answers) as ledger:
        state = ledger.state
        if not (waiting := state.waiting):
            raise MiniftError(f"no text waits for a label; choose some: {command('next', folder)}")
        texts = {example.id: example for example in project.examples(waiting)}
        begun = set(state.standing)
        session = Session(project, ledger, by, texts, stdin, stdout)
        for note in ledger.journal.notes:
            session.say(f"note: {note}")
        with contextlib.suppress(KeyboardInterrupt):
            session.run()
        mine = [d.label for n, d in state.standing.items() if n not in begun]
        return Tally(len(mine) - mine.count(None), mine.count(None), len(state.waiting))


@dataclass
class Session:
    """One person at work."""

    project: Project
    ledger: Ledger
    by: str
    texts: dict[str, Example]
    stdin: TextIO
    stdout: TextIO

    def __post_init__(self) -> None:
        labels, self.tagging = self.project.answers, self.project.task == "tagging"
        self.several = self.project.task == "multilabel"
        self.keys = {} if self.tagging else class_keys(labels)
        own = {name: "/".join(k for k, n in self.keys.items() if n == name) for name in labels}
        self.choices = "  ".join(f"{k} {n}" if k not in ("", n) else n for n, k in own.items())
        called = set() if self.tagging else {name.lower() for name in labels}
        mark = ""  # before a command, where a class is called as one
        while called & {mark + word for command in COMMANDS.items() for word in command}:
            mark += ":"
        self.commands = {mark + key: what for key, what in COMMANDS.items()}

    def run(self) -> None:
        """Go through the texts until none waits or somebody stops."""
        self.say(self.help())
        while waiting := self.ledger.state.waiting:
            self.show(waiting[0], len(waiting))
            while (done := self.answer(waiting[0])) is None:
                pass
            if not done:
                return
        self.say("\nNo text waits any more.")

    def say(self, text: str = "", end: str = "\n") -> None:
        """Write text that is safe to show."""
        self.stdout.write(printable(text) + end)
        self.stdout.flush()

    def show(self, id: str, left: int) -> None:
        """Show a text, its words numbered where entities are asked for."""
        width = min(shutil.get_terminal_size().columns, 100) - 4
        example = self.texts[id]
        self.say(f"\n--- text {id}, {left} to go ---")
        parts = texts_of(example)
        if isinstance(example, TaggedExample):
            parts = (" ".join(f"{n}:{word}" for n, word in enumerate(example.words, 1)),)
        for part in parts:
            for line in printable(part).expandtabs(4).split("\n"):
                self.say("  | " + "\n  | ".join(textwrap.wrap(line, max(width, 20)) or [""]))

    def answer(self, id: str) -> bool | None:
        """Take one answer: True to continue, None to ask again, False to stop."""
        self.say("entities> " if self.tagging else f"{self.choices}> ", end="")
        typed = self.read()
        command = self.commands.get((typed or "").lower())
        if typed is None or command == "quit":
            self.say()
            return False
        if command == "help":
            self.say("\n" + self.help())
            return None
        if command == "undo":
            return self.undo()
        if command == "skip":
            self.ledger.skip(id, self.by)  # on the disk; then it is said
            self.say("  skipped")
            return True
        try:
            found = self.understand(typed, self.texts[id])
        except MiniftError as error:
            self.say(f"  {error}")
            return None
        self.ledger.label(id, found, self.by)
        self.say(f"  {self.name(found, self.texts[id])}")
        return True

    def undo(self) -> bool | None:
        """Take back the latest decision if it is this person's own."""
        latest = next(reversed(self.ledger.state.standing.values()), None)
        if latest is None or latest.source != self.by:
            theirs = latest and f"the latest answer is {latest.source}'s, not {self.by}'s; it stays"
            self.say(theirs or "there is nothing to undo")
            return None
        self.ledger.undo(self.by)
        self.texts |= {e.id: e for e in self.project.examples([latest.id])}
        was = "skipped" if latest.label is None else self.name(latest.label, self.texts[latest.id])
        self.say(f"taken back: text {latest.id} was {was}")
        return True

    def read(self) -> str | None:
        """Return a line; None when nothing more can come, as after Ctrl-D."""
        with contextlib.suppress(OSError):  # the terminal may have gone
            line = self.stdin.readline()
            if re.search("[\ud800-\udfff]", line):  # the next line answers the next text
                what = f"{line.strip()!a} is not {self.stdin.encoding or 'UTF-8'}"
                raise MiniftError(f"standard input: {what}; the answers before it are saved")
            return line.strip() if line else None
        return None

    def understand(self, typed: str, example: Example) -> Label:
        """Return the label that was typed."""
        if isinstance(example, TaggedExample):
            return read_entities(typed, example.words, self.project.types)
        if typed in self.project.labels and not self.several:
            return typed
        known, splits = self.keys, [[typed.lower()]]
        if self.several:  # "a|b", or keys or labels with commas or blanks between them
            known = known | {name.lower(): name for name in self.project.answers}
            splits = [re.split(mark, typed.lower()) for mark in (r"\|", ",", r"[\s,|]+")]
        parts = [[part.strip() for part in split if part.strip()] for split in splits]
        named = next((names for names in parts if {*names} <= known.keys()), [])
        found = {known[name] for name in named}
        if not found or (self.several and NONE in found and len(found) > 1):
            got, more = repr(typed) if typed else "nothing", ", several as 1 2" * self.several
            raise MiniftError(f"{got} is not an answer; {self.choices}{more}")
        return [n for n in self.project.answers if n in found] if self.several else found.pop()

    def name(self, found: Label, example: Example) -> str:
        """Say what an answer means."""
        if not isinstance(example, TaggedExample):
            return joined(found)
        spans = spans_conlleval([*found])
        marked = (f"{name} {' '.join(example.words[first:end])!r}" for name, first, end in spans)
        return ", ".join(marked) or "no entities"

    def help(self) -> str:
        """Explain the answers."""
        commands = ", ".join(f"{key} {what}" for key, what in self.commands.items())
        if "q" not in self.commands:
            commands += " (with the colon, because a class is called as a command is)"
        types = self.project.types
        how = "one or several, such as 1 2," if self.several else "a key or the class,"
        answers = f"Classes ({how} then Enter): {self.choices}"
        if self.tagging:
            answers = (
                f"Name the entities by the numbers of their words: 1-2 {types[0]}, 5 {types[-1]}. "
                f"Only Enter: no entities. Types: {', '.join(types)}. End each answer with Enter."
            )
        return (
            f"{answers}\nAlso: {commands}. Undo takes back your latest answer, then the one before "
            "it. A skipped text is not asked again. Every answer is saved at once."
        )


def class_keys(names: Sequence[str]) -> dict[str, str]:
    """Return keys: numbers, or the class itself if classes are numbers, and first letters."""
    keys = {str(number): name for number, name in enumerate(names, 1)}
    if values := [name for name in names if re.fullmatch(r"[+-]?\d+([.,]\d+)?", name)]:
        keys = {name: name for name in values}
    first = [name[0].lower() for name in names]
    for letter, name in zip(first, names):
        if first.count(letter) == 1 and letter.isalpha() and letter not in COMMANDS:
            keys[letter] = name
    return keys


def read_entities(typed: str, words: Sequence[str], types: Sequence[str]) -> list[str]:
    """Turn "1-2 PER, 5 ORG", where a type may be cut short, into IOB2 tags; "" is no entity."""
    tags = ["O"] * len(words)
    for part in filter(None, (part.strip() for part in typed.split(","))):
        match = re.fullmatch(r"(\d+)\s*(?:-\s*(\d+))?\s+(\S.*)", part)
        if match is None:
            raise MiniftError(f"{part!r}: expected words and a type, such as 1-2 {types[0]}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= len(words):
            raise MiniftError(f"{part!r}: the words are 1 to {len(words)}, the first number first")
        fitting = [name for name in types if name.lower().startswith(match[3].lower())]
        fitting = [name for name in types if name == match[3]] or fitting
        if len(fitting) != 1:
            which = f"could be {' or '.join(fitting)}" if fitting else "is none of "
            hint = "" if fitting else f"{', '.join(types)}{nearest(match[3], types)}"
            raise MiniftError(f"{part!r}: {match[3]!r} {which}{hint}")
        taken = next((n for n in range(first, last + 1) if tags[n - 1] != "O"), None)
        if taken is not None:
            raise MiniftError(f"{part!r}: word {taken} is already part of another entity")
        tags[first - 1 : last] = entity_tags(fitting[0], last - first + 1)
    return tags
