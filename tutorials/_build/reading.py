"""What `check` asks of a page for its readers' sake; todo.py lists the pages that still lack it.

Claim    Each section that asks something of the reader has all four parts: a cell to fill in, a
         check, a hint and a solution; each page ends with what to remember; no cell that readers
         see is longer than a screen or full of machinery; the minutes to read are counted.
Proof    tests/tutorials/test_build.py: each rule with an offence that it must find
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from markdown_it.token import Token
from turns import FILE, load

from _build.cells import MARKDOWN, Cell, Tutorial
from _build.todo import TODO

LINES = 25  # of a code cell in sight
IMPORTS = 5
WORDS_PER_MINUTE, LINES_PER_MINUTE = 200, 8
LONGEST, LEEWAY = 60, 5  # minutes
SUMMARY, QUESTIONS = "Summary", "Questions"

_SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)


def reading(tutorial: Tutorial, cells: list[Cell], *_) -> Iterator[str]:
    """Every rule of this file, for the pages that are not on its list."""
    rules = {
        "turns": turns,
        "ending": ending,
        "cells": in_sight,
        "numbers": bands_in_sight,
        "minutes": time_to_read,
    }
    for name, rule in rules.items():
        found = list(rule(tutorial, cells))
        if tutorial.name[:2] not in TODO.get(name, ()):
            yield from found
        elif not found:
            yield (
                f"{tutorial.name}: nothing is left to do under {name!r}; take it off that list in "
                "tutorials/_build/todo.py"
            )


def _at(tutorial: Tutorial, cell: Cell, line: int = 0) -> str:
    return f"{tutorial.name}, line {cell.line + line} of tutorial.py"


# ---------------------------------------------------------------- your turn


def turns(tutorial: Tutorial, cells: list[Cell]) -> Iterator[str]:
    """A cell to fill in is announced, checked, and followed by a hint and a solution."""
    number, named = tutorial.name[:2], set()
    for place, cell in enumerate(cells):
        before = cells[place - 1].source if place else ""
        after = cells[place + 1].source if place + 1 < len(cells) else ""
        where = _at(tutorial, cell)
        for name, function in checked(cell):
            named.add(name)
            for part, there in {
                "**Your turn.** in the text before it": "**Your turn.**" in before,
                f"its stub: def {function}(...) with a docstring and ...": stub(cell, function),
                "a folded hint after it, <details><summary>Hint</summary>": folded(after, "Hint"),
                "a folded solution in python after it, <details><summary>Solution</summary>": (
                    _SOLUTION.search(after)
                ),
                f"its cases in {FILE}": name in {f"{number}.{t}" for t in load(tutorial.folder)},
                "a cell in sight": not cell.hidden,
            }.items():
                if not there:
                    yield f"{where}: the turn {name} lacks {part}"
        if cell.kind == "markdown" and "**Your turn.**" in cell.source:
            following = cells[place + 1] if place + 1 < len(cells) else cell
            if not checked(following):
                yield f'{where}: **Your turn.** is not followed by a cell with check("{number}...")'
    for name in load(tutorial.folder):
        if f"{number}.{name}" not in named:
            yield f"{tutorial.name}: {FILE} has {name}, which no cell checks"
    if not named:
        yield f'{tutorial.name}: asks nothing of the reader; see "Your turn" in README.md'


def checked(cell: Cell) -> list[tuple[str, str]]:
    """Return (name of the turn, name of the function) of each check in a code cell."""
    if cell.kind != "code":
        return []
    return [
        (node.args[0].value, ast.unparse(node.args[1]))
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "check"
        and len(node.args) == 2
        and isinstance(node.args[0], ast.Constant)
    ]


def stub(cell: Cell, function: str) -> bool:
    """Whether a cell defines a function whose body is a docstring and ..."""
    for node in ast.parse(cell.source).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return bool(ast.get_docstring(node)) and ast.unparse(node.body[1:]) == "..."
    return False


def folded(source: str, title: str) -> bool:
    """Whether a text has a fold with that title, closed again."""
    return bool(re.search(rf"<details><summary>{title}</summary>\n\n.*?\n\n</details>", source, re.S))


def solutions(cells: list[Cell]) -> dict[str, str]:
    """Return the code of the folded solution after each turn."""
    return {
        name: found[1]
        for cell, after in zip(cells, cells[1:])
        for name, _ in checked(cell)
        if (found := _SOLUTION.search(after.source))
    }


# ---------------------------------------------------------------- the ending


def ending(tutorial: Tutorial, cells: list[Cell]) -> Iterator[str]:
    """A page ends with a summary of four lines and three questions with folded answers."""
    sections = _sections(cells)
    if SUMMARY not in sections:
        yield f"{tutorial.name}: has no section {SUMMARY}, of four lines: what is to be remembered?"
    elif (lines := sum(t.type == "list_item_open" for t in sections[SUMMARY])) != 4:
        yield f"{tutorial.name}: its {SUMMARY} must be a list of four lines, not {lines}"
    if QUESTIONS not in sections:
        yield f"{tutorial.name}: has no section {QUESTIONS}, three with folded answers"
        return
    text = "".join(t.content for t in sections[QUESTIONS] if t.type == "html_block")
    answers = text.count("<details><summary>Answer</summary>")
    if (answers, text.count("</details>")) != (3, 3):
        yield (
            f"{tutorial.name}: its {QUESTIONS} must be three, each with a "
            f"<details><summary>Answer</summary> that is closed again, not {answers}"
        )


def _sections(cells: list[Cell]) -> dict[str, list[Token]]:
    """Return the blocks of text under each heading of the second level."""
    found: dict[str, list[Token]] = {"": []}
    name = ""
    for cell in cells:
        tokens = MARKDOWN.parse(cell.source) if cell.kind == "markdown" else []
        for token, following in zip(tokens, [*tokens[1:], None]):
            if token.type == "heading_open" and token.tag == "h2":
                name = following.content
                found[name] = []
            found[name].append(token)
    return found


# ---------------------------------------------------------------- code in sight


def in_sight(tutorial: Tutorial, cells: list[Cell]) -> Iterator[str]:
    """Code cells that readers see fit on a screen, and are about the page's subject."""
    for cell in cells:
        if cell.kind != "code" or cell.hidden:
            continue
        where, lines = _at(tutorial, cell), cell.source.splitlines()
        if len(lines) > LINES:
            yield f"{where}: {len(lines)} lines of code in one cell; {LINES} are the most"
        nodes = list(ast.walk(ast.parse(cell.source)))
        imports = sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in nodes)
        if imports > IMPORTS:
            yield f"{where}: {imports} imports; put all but {IMPORTS} into a cell tags=[\"hide\"]"
        called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
        for machinery in sorted(called & {"measured", "sys.path.append"}):
            yield f'{where}: {machinery}(...) is machinery; put it into a cell tags=["hide"]'


_BAND = re.compile(r"\d\s+to\s+[-−]?[\d.,]+(?:\s*%|\s+points?)?\s*<!--\s*measured:\s*(\w+)\s*-->")


def bands_in_sight(tutorial: Tutorial, cells: list[Cell]) -> Iterator[str]:
    """The text shows the number that was measured; its band stands in the comment."""
    for cell in cells:
        if cell.kind == "markdown":
            for found in _BAND.finditer(cell.source):
                line = cell.source.count("\n", 0, found.start())
                yield (
                    f"{_at(tutorial, cell, line)}: shows a band for {found[1]}; show the number, and "
                    f"put the band into the comment: NUMBER<!-- measured: {found[1]} LOW to HIGH -->"
                )


# ---------------------------------------------------------------- time


def counted(cells: list[Cell]) -> tuple[int, int]:
    """Return the words, and the lines of code, that a reader reads; no hidden or folded ones."""
    words = lines = 0
    for cell in cells:
        if cell.kind == "code":
            lines += 0 if cell.hidden else _full_lines(cell.source)
            continue
        fold = False
        for token in MARKDOWN.parse(cell.source):
            if token.type == "html_block":
                fold = (fold or "<details" in token.content) and "</details" not in token.content
            elif not fold and token.type == "fence":
                lines += _full_lines(token.content)
            elif not fold and token.type == "inline":
                text = re.sub(r"<!--.*?-->|\]\([^)]*\)", " ", token.content)
                words += len(re.findall(r"\w[\w'’.,-]*", text))
    return words, lines


def _full_lines(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


def time_to_read(tutorial: Tutorial, cells: list[Cell]) -> Iterator[str]:
    """The stated minutes are those that its words and its lines of code take."""
    from _build.rules import minutes

    words, lines = counted(cells)
    takes, stated = words / WORDS_PER_MINUTE + lines / LINES_PER_MINUTE, minutes(tutorial)[0]
    if abs(stated - takes) > LEEWAY:
        yield (
            f"{tutorial.name}: {words} words and {lines} lines of code take {takes:.0f} minutes to "
            f"read, not {stated} (say {max(5, 5 * round(takes / 5))})"
        )
    if takes > LONGEST:
        yield f"{tutorial.name}: takes {takes:.0f} minutes to read; split what takes over an hour"
