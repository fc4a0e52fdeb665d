"""Labelling in the terminal: one text, one line, and the answer is on the disk before the next.

Claim    Whatever ends a session (q, Ctrl-C, a closed window, a kill), the ledger has every answer
         that was given, and the next session begins with the same text. Control characters of a
         text are spelled out and do not reach the terminal.
Differs  - The model's guess is not shown: people tend to follow what they are shown.
         - Undo takes back one's own latest answer, never somebody else's.
Proof    tests/label/test_terminal.py
"""

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

from minift.data.examples import NONE, joined, texts_of
from minift.errors import MiniftError
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
    """Show each text that waits and record what is answered, line by line.

    MiniftError if the project is about entities, or no text waits.
    """
    project = load_project(folder)
    if project.task == "tagging":
        what = f"the terminal asks for classes; mark entities in a file of {folder}/batches, then: "
        raise MiniftError(f"{what}{command('import', folder)} FILE")
    stdin, stdout = stdin or standard_input(), stdout or sys.stdout
    if hasattr(stdout, "reconfigure"):
        stdout.reconfigure(errors="backslashreplace")  # a narrow terminal is no reason to stop
    with contextlib.suppress(AttributeError, OSError):  # else a bad line takes those before it
        stdin.reconfigure(errors="surrogateescape")  # type: ignore[attr-defined]
    with open_ledger(project.ledger, project.ids, project.answers) as ledger:
        state = ledger.state
        if not state.waiting:
            raise MiniftError(f"no text waits for a label; choose some: {command('next', folder)}")
        begun = set(state.standing)
        session = Session(project, ledger, by, stdin, stdout)
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
    stdin: TextIO
    stdout: TextIO

    def __post_init__(self) -> None:
        self.texts = {example.id: texts_of(example) for example in self.project.examples()}
        labels, self.several = self.project.answers, self.project.task == "multilabel"
        self.keys = class_keys(labels)
        own = {name: "/".join(k for k, n in self.keys.items() if n == name) for name in labels}
        self.choices = "  ".join(f"{k} {n}" if k not in ("", n) else n for n, k in own.items())
        called, mark = {name.lower() for name in labels}, ""  # colons, where a class is called so
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
        """Show a text, or both of a pair."""
        width = max(min(shutil.get_terminal_size().columns, 100) - 4, 20)
        self.say(f"\n--- text {id}, {left} to go ---")
        for part in self.texts[id]:
            for line in printable(part).expandtabs(4).split("\n"):
                self.say("  | " + "\n  | ".join(textwrap.wrap(line, width) or [""]))

    def answer(self, id: str) -> bool | None:
        """Take one answer: True to continue, None to ask again, False to stop."""
        self.say(f"{self.choices}> ", end="")
        typed = self.read()
        command = self.commands.get((typed or "").lower())
        if typed is None or command == "quit":
            self.say()
            return False
        if command == "undo":
            return self.undo()
        if command == "help":
            self.say("\n" + self.help())
        elif command == "skip":
            self.ledger.skip(id, self.by)  # on the disk; then it is said
            self.say("  skipped")
        elif found := self.understand(typed):
            self.ledger.label(id, found, self.by)
            self.say(f"  {joined(found)}")
        else:
            got, more = repr(typed) if typed else "nothing", ", several as 1 2" * self.several
            self.say(f"  {got} is not an answer; {self.choices}{more}")
        return id not in self.ledger.state.waiting or None

    def undo(self) -> bool | None:
        """Take back the latest decision if it is this person's own."""
        latest = next(reversed(self.ledger.state.standing.values()), None)
        if latest is None or latest.source != self.by:
            theirs = latest and f"the latest answer is {latest.source}'s, not {self.by}'s; it stays"
            self.say(theirs or "there is nothing to undo")
            return None
        self.ledger.undo(self.by)
        was = "skipped" if latest.label is None else joined(latest.label)
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

    def understand(self, typed: str) -> Label | None:
        """Return the label that was typed: a class or its key, or several, "a|b" or "1, 2"."""
        if not self.several:
            return typed if typed in self.project.labels else self.keys.get(typed.lower())
        known = self.keys | {name.lower(): name for name in self.project.answers}
        for mark in (r"\|", ",", r"[\s,|]+"):  # names may have blanks or commas of their own
            names = {part.strip() for part in re.split(mark, typed.lower()) if part.strip()}
            if names and names <= known.keys():
                found = [n for n in self.project.answers if n in map(known.get, names)]
                return None if NONE in found and len(found) > 1 else found
        return None

    def help(self) -> str:
        """Explain the answers."""
        commands = ", ".join(f"{key} {what}" for key, what in self.commands.items())
        if "q" not in self.commands:
            commands += " (with the colon, because a class is called as a command is)"
        how = "one or several, such as 1 2," if self.several else "a key or the class,"
        return (
            f"Classes ({how} then Enter): {self.choices}\nAlso: {commands}. Undo takes back your "
            "latest answer, then the one before it. A skipped text is not asked again. Every "
            "answer is saved at once."
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
