"""A page of text, tables, dot plots and curves, as Markdown and as one HTML file.

Claim    The HTML file stands alone (no script, no font, no request), reads on a phone and on a
         dark screen, and shows every text as it is, whatever characters are in it.
Proof    tests/compare/test_report.py
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Heading:
    """A heading; the page's title has level 1."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Code:
    """A command to be copied."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of plain texts."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts: the first column names the row, the others are numbers."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Strip:
    """One row of a plot.

    Args:
        name: stands above the row.
        dots: values, one a seed.
        crossed: for each dot, whether it is drawn as a cross.
        mean: drawn as a bar.
        interval: drawn as a line, or None.
        text: stands at the right end of the name's line.
    """

    name: str
    dots: tuple[float, ...]
    crossed: tuple[bool, ...]
    mean: float
    interval: tuple[float, float] | None
    text: str


@dataclass(frozen=True)
class Plot:
    """Rows of dots over one axis; a dashed line at `mark` if that is near them."""

    caption: str
    strips: tuple[Strip, ...]
    mark: float
    mark_name: str


@dataclass(frozen=True)
class Plots:
    """Plots beside one another where there is room."""

    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Line:
    """One curve, with its name at its right end.

    Args:
        name: what it is.
        points: (x, y) from left to right.
        band: (low, high) at each point, or () for none.
        reference: the curve that the others are compared with; drawn dashed and grey.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float], ...] = ()
    reference: bool = False


@dataclass(frozen=True)
class Curves:
    """Curves over one pair of axes; they differ in colour and in their dashes."""

    caption: str
    lines: tuple[Line, ...]
    x_name: str


Block = Heading | Paragraph | Code | Bullets | Table | Plots | Curves


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
            rows = [
                tuple(map(_md, block.header)),
                rule,
                *(tuple(map(_md, row)) for row in block.rows),
            ]
            parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    return "\n\n".join(parts) + "\n"


def _md(text: str) -> str:
    return re.sub(r"([\\`*<>|\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5c6670; --line: #d5dae0;
  --back: #ffffff; --band: #f4f6f8; --dot: #2563c9; --bad: #c4331d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #a0a9b3; --line: #3a424b;
  --back: #14181c; --band: #1d2329; --dot: #7fb0ff; --bad: #ff8a75; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 70rem; background: var(--back);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1rem 0; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, ul { max-width: 44rem; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; }
pre { white-space: pre-wrap; background: var(--band); padding: .6rem .8rem; font-size: .9rem; }
.scroll { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0;
  background: var(--back); padding-left: 0; }
tbody tr:hover td { background: var(--band); }
@media (max-width: 40rem) { th:first-child, td:first-child { white-space: normal;
  min-width: 7.5rem; max-width: 7.5rem; } th, td { padding: .35rem .5rem; } }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; }
figure { flex: 1 1 20rem; max-width: 30rem; margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .9rem; margin-bottom: .5rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 15px system-ui, sans-serif; paint-order: stroke;
  stroke: var(--back); stroke-width: 5px; stroke-linejoin: round; }
svg .axis { fill: var(--soft); font-size: 13px; }
svg .grid { stroke: var(--line); }
svg .mark { stroke: var(--soft); stroke-dasharray: 5 4; }
svg .dot { fill: var(--dot); fill-opacity: .45; }
svg .cross { stroke: var(--bad); stroke-width: 2; }
svg .interval { stroke: var(--dot); stroke-width: 3; stroke-opacity: .7; }
svg .mean { stroke: var(--ink); stroke-width: 3; }
figure.wide { max-width: 46rem; }
:root { --c0: #0063a6; --c1: #b94a00; --c2: #00795c; --c3: #9c3f7a; --c4: #7a5c00; }
@media (prefers-color-scheme: dark) { :root { --c0: #6cb6f0; --c1: #ff9a52; --c2: #3fc9a1;
  --c3: #ee9acb; --c4: #e0bc4a; } }
svg .line { fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linejoin: round; }
svg .band { fill: currentColor; fill-opacity: .13; }
svg .name { fill: currentColor; font-weight: 600; }
"""


def html(blocks: Sequence[Block]) -> str:
    """Return the blocks as one HTML document; the first heading is its title."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    parts: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"<h{block.level}>{escape(block.text)}</h{block.level}>")
        elif isinstance(block, Paragraph):
            parts.append(f"<p>{escape(block.text)}</p>")
        elif isinstance(block, Code):
            parts.append(f"<pre>{escape(block.text)}</pre>")
        elif isinstance(block, Bullets):
            items = "".join(f"<li>{escape(item)}</li>" for item in block.items)
            parts.append(f"<ul>{items}</ul>")
        elif isinstance(block, Table):
            parts.append(_html_table(block))
        elif isinstance(block, Curves):
            parts.append(_curves(block))
        else:
            figures = "".join(map(_figure, block.plots))
            parts.append(f'<div class="plots">{figures}</div>')
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _html_table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>"
    )


WIDTH, SIDE, ROW = 420, 12, 46  # in pixels at full size; names stand above their rows


def _figure(plot: Plot) -> str:
    values = [v for s in plot.strips for v in (*s.dots, s.mean, *(s.interval or ()))]
    low, high = min(values), max(values)
    room = (high - low) or 1.0
    caption = plot.caption
    if marked := low - room <= plot.mark <= high + room:
        low, high = min(low, plot.mark), max(high, plot.mark)
        caption += f" Dashed: {plot.mark_name}."
    drawing = _strips(plot, low - 0.03 * room, high + 0.03 * room, marked)
    label = f'role="img" aria-label="{escape(caption)}"'
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption><svg {label} {drawing}</svg></figure>"
    )


def _strips(plot: Plot, low: float, high: float, marked: bool) -> str:
    """Return the inside of an SVG element: a row of dots for each strip, over one axis."""

    def x(value: float) -> str:
        return f"{SIDE + (value - low) / (high - low) * (WIDTH - 2 * SIDE):.1f}"

    bottom = ROW * len(plot.strips) + 6
    parts = []
    for tick in ticks(low, high):
        at = x(tick)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="4" y2="{bottom}"/>')
        parts.append(
            f'<text class="axis" text-anchor="middle" x="{at}" y="{bottom + 16}">{tick:g}</text>'
        )
    if marked:
        at = x(plot.mark)
        parts.append(f'<line class="mark" x1="{at}" x2="{at}" y1="4" y2="{bottom}"/>')
    for number, strip in enumerate(plot.strips):
        top = number * ROW
        y = top + 34
        parts.append(f'<text x="{SIDE}" y="{top + 19}">{escape(strip.name)}</text>')
        parts.append(
            f'<text text-anchor="end" x="{WIDTH - SIDE}" y="{top + 19}">{escape(strip.text)}</text>'
        )
        if strip.interval:
            ends = f'x1="{x(strip.interval[0])}" x2="{x(strip.interval[1])}"'
            parts.append(f'<line class="interval" {ends} y1="{y}" y2="{y}"/>')
        for dot, crossed in zip(strip.dots, strip.crossed):
            if crossed:
                path = f"M{float(x(dot)) - 5:.1f} {y - 5}l10 10m0 -10l-10 10"
                parts.append(f'<path class="cross" d="{path}"/>')
            else:
                parts.append(f'<circle class="dot" cx="{x(dot)}" cy="{y}" r="5"/>')
        at = x(strip.mean)
        parts.append(f'<line class="mean" x1="{at}" x2="{at}" y1="{y - 8}" y2="{y + 8}"/>')
    return f'viewBox="0 0 {WIDTH} {bottom + 24}">{"".join(parts)}'


HEIGHT = 330
COLOURS = 5
DASHES = ("none", "10 4", "2 4", "12 4 2 4", "6 3")  # five by five: 25 curves that differ


def _curves(block: Curves) -> str:
    """Return a figure: bands below, then lines, then names at the right, none over another."""
    ends = [y for line in block.lines for _, y in line.points]
    ends += [end for line in block.lines for pair in line.band for end in pair]
    across = [x for line in block.lines for x, _ in line.points]
    left, right = min(across), max(across)
    low, high = min(ends), max(ends)
    room = (high - low) or 1.0
    low, high = low - 0.04 * room, high + 0.04 * room
    margin = 16 + 11 * max(len(line.name) for line in block.lines)
    width = 400 + margin

    def x(value: float) -> float:
        return 38 + (value - left) / ((right - left) or 1.0) * (width - margin - 38)

    def y(value: float) -> float:
        return 8 + (high - value) / (high - low) * (HEIGHT - 8)

    parts = []
    for tick in ticks(low, high, 6):
        at = f"{y(tick):.1f}"
        parts.append(f'<line class="grid" x1="38" x2="{width - margin}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="axis" text-anchor="end" x="32" y="{y(tick) + 4:.1f}">{tick:g}')
        parts.append("</text>")
    for tick in ticks(left, right, 6) if right > left else [left]:
        at = f"{x(tick):.1f}"
        parts.append(f'<text class="axis" text-anchor="middle" x="{at}" y="{HEIGHT + 18}">')
        parts.append(f"{tick:g}</text>")
    parts.append(f'<text class="axis" x="{width - margin + 12}" y="{HEIGHT + 18}">')
    parts.append(f"{escape(block.x_name)}</text>")
    groups: list[list[str]] = [[], [], []]
    numbers = itertools.count()
    places = _apart([y(line.points[-1][1]) for line in block.lines], 18, 8, HEIGHT)
    for line, place in zip(block.lines, places):
        if line.reference:
            colour, dash = "var(--soft)", "5 4"
        else:
            number = next(numbers)
            dash = DASHES[(number + number // COLOURS) % COLOURS]
            colour = f"var(--c{number % COLOURS})"
        style = f'style="color: {colour}"'
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in line.points)
        if line.band:
            upper = [f"{x(a):.1f} {y(b):.1f}" for (a, _), (_, b) in zip(line.points, line.band)]
            lower = [f"{x(a):.1f} {y(b):.1f}" for (a, _), (b, _) in zip(line.points, line.band)]
            area = "L".join(upper + lower[::-1])
            groups[0].append(f'<path class="band" {style} d="M{area}Z"/>')
        if len(line.points) == 1:
            at = f'cx="{x(line.points[0][0]):.1f}" cy="{y(line.points[0][1]):.1f}"'
            groups[1].append(f'<circle class="band" {style} {at} r="5"/>')
        groups[1].append(f'<path class="line" {style} stroke-dasharray="{dash}" d="M{path}"/>')
        end = f'x="{x(line.points[-1][0]) + 8:.1f}" y="{place + 5:.1f}"'
        groups[2].append(f'<text class="name" {style} {end}>{escape(line.name)}</text>')
    drawing = "".join(parts + groups[0] + groups[1] + groups[2])
    caption = escape(block.caption)
    return (
        f'<figure class="wide"><figcaption>{caption}</figcaption><svg role="img" '
        f'aria-label="{caption}" viewBox="0 0 {width} {HEIGHT + 26}">{drawing}</svg></figure>'
    )


def _apart(places: Sequence[float], least: float, top: float, bottom: float) -> list[float]:
    """Move places apart until neighbours are `least` from each other, and keep their order."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved, lowest = list(places), top
    for i in order:
        lowest = moved[i] = max(places[i], lowest)
        lowest += least
    highest = bottom
    for i in reversed(order):
        highest = moved[i] = min(moved[i], highest)
        highest -= least
    return moved


def ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Return round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]
