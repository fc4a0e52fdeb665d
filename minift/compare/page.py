"""A page of text, tables, dot plots and curves, as Markdown and as one HTML file.

Claim    The HTML file stands alone (no script, no font, no request), reads on a phone and on a
         dark screen, and shows every text as it is, whatever characters are in it.
Proof    tests/compare/test_report.py, tests/safety/test_pages.py
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from minift.files import atomic_write
from minift.plots import Curves as Curves  # a block of a page like those below
from minift.plots import Line as Line
from minift.plots import Plot


class Heading(NamedTuple):
    """A heading; the page's title has level 1."""

    text: str
    level: int = 2


class Paragraph(NamedTuple):
    """A paragraph of plain text."""

    text: str


class Code(NamedTuple):
    """A command to be copied."""

    text: str


class Bullets(NamedTuple):
    """A list of plain texts."""

    items: tuple[str, ...]


class Table(NamedTuple):
    """A table of texts: the first column names the row, the others are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Plots(NamedTuple):
    """Plots beside one another where there is room."""

    plots: tuple[Plot, ...]


Block = Heading | Paragraph | Code | Bullets | Table | Plots | Curves


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def text_table(table: Table) -> str:
    """Return a table for the terminal."""
    columns = list(zip(table.header, *table.rows))
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        )
        for row in (table.header, *table.rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as Markdown; plots are left out."""
    parts = []
    for block in blocks:
        if isinstance(block, Heading):
            parts.append("#" * block.level + " " + _md(block.text))
        elif isinstance(block, Paragraph):
            parts.append(_md(block.text))
        elif isinstance(block, Code):
            parts.append("\n".join("    " + line for line in block.text.splitlines()))
        elif isinstance(block, Bullets):
            parts.append("\n".join(f"- {_md(item)}" for item in block.items))
        elif isinstance(block, Table):
            rule = ("---", *("---:" for _ in block.header[1:]))
            header, *rows = (tuple(map(_md, row)) for row in (block.header, *block.rows))
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows)))
    return "\n\n".join(parts) + "\n"


def _md(text: str) -> str:
    return re.sub(r"([\\`*<>|\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def write_page(folder: Path, blocks: Sequence[Block]) -> None:
    """Write report.md and report.html."""
    atomic_write(folder / "report.md", markdown(blocks))
    atomic_write(folder / "report.html", html(blocks))


def html(blocks: Sequence[Block]) -> str:
    """Return the blocks as one HTML document; the first heading is its title."""
    from jinja2 import Environment

    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True, keep_trailing_newline=True).from_string(source)
    named = [(type(block).__name__, block) for block in blocks]
    return page.render(title=title, blocks=named)
