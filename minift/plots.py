"""Plots as SVG: rows of dots over one axis, and curves with bands. No library and no script.

Claim    Every mark stands where its value is on the plot's own axis, and whatever is in a name is
         shown as text. A drawing is part of an HTML page, which gives the classes of its marks
         their looks (compare/page.html).
Proof    tests/compare/test_report.py, tests/active/test_curves.py, tests/safety/test_pages.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple
from xml.etree import ElementTree

from minift.data.intervals import wilson

DASHES = ("none", "10 4", "2 4", "12 4 2 4", "6 3")  # with five colours: 25 curves that differ
WIDTH, SIDE, ROW, HEIGHT = 420, 12, 46, 330  # pixels at full size


class Strip(NamedTuple):
    """One row of dots."""

    name: str  # stands above the row
    dots: tuple[float, ...]  # values, one per seed
    crossed: tuple[bool, ...]  # for each dot, whether it is drawn as a cross
    mean: float  # drawn as a bar
    interval: tuple[float, float] | None  # drawn as a line, or None
    text: str  # stands at the right end of the name's line


@dataclass(frozen=True)
class Plot:
    """Rows of dots over one axis, with a dashed line at `mark` if that is near them."""

    caption: str
    strips: tuple[Strip, ...]
    mark: float | None = None
    mark_name: str = ""

    def _ends(self) -> tuple[float, float, float]:
        values = [v for s in self.strips for v in (*s.dots, s.mean, *(s.interval or ()))]
        return min(values), max(values), (max(values) - min(values)) or 1.0

    @property
    def near(self) -> float | None:
        """The dashed line's value, if it is near enough to be drawn."""
        low, high, room = self._ends()
        near = self.mark is not None and low - room <= self.mark <= high + room
        return self.mark if near else None

    @property
    def text(self) -> str:
        """The caption, which names the dashed line if it is drawn."""
        return self.caption + f" Dashed: {self.mark_name}." * (self.near is not None)

    def svg(self) -> str:
        """Return the drawing."""
        low, high, room = self._ends()
        if (mark := self.near) is not None:
            low, high = min(low, mark), max(high, mark)
        low, high, bottom = low - 0.03 * room, high + 0.03 * room, ROW * len(self.strips) + 6
        drawing = _Drawing(WIDTH, bottom + 24, self.text)

        def x(value: float) -> float:
            return SIDE + (value - low) / (high - low) * (WIDTH - 2 * SIDE)

        for tick in ticks(low, high):
            drawing.add("line", "grid", x1=x(tick), x2=x(tick), y1=4, y2=bottom)
            drawing.write("axis", f"{tick:g}", x(tick), bottom + 16, "middle")
        if mark is not None:
            drawing.add("line", "mark", x1=x(mark), x2=x(mark), y1=4, y2=bottom)
        for number, strip in enumerate(self.strips):
            y = number * ROW + 34
            drawing.write("", strip.name, SIDE, y - 15)
            drawing.write("", strip.text, WIDTH - SIDE, y - 15, "end")
            if strip.interval:
                ends = map(x, strip.interval)
                drawing.add("line", "interval", x1=next(ends), x2=next(ends), y1=y, y2=y)
            for dot, crossed in zip(strip.dots, strip.crossed):
                if crossed:
                    drawing.add("path", "cross", d=f"M{x(dot) - 5:.1f} {y - 5}l10 10m0 -10l-10 10")
                else:
                    drawing.add("circle", "dot", cx=x(dot), cy=y, r=5)
            drawing.add("line", "mean", x1=x(strip.mean), x2=x(strip.mean), y1=y - 8, y2=y + 8)
        return drawing.svg()


class Line(NamedTuple):
    """One curve, with its name at its right end."""

    name: str  # what it is
    points: tuple[tuple[float, float], ...]  # (x, y) from left to right
    band: tuple[tuple[float, float], ...] = ()  # (low, high) at each point, or () for none
    reference: bool = False  # the curve that the others are compared with; drawn dashed and grey


@dataclass(frozen=True)
class Curves:
    """Curves over one pair of axes; they differ in colour and in their dashes."""

    caption: str
    lines: tuple[Line, ...]
    x_name: str

    def svg(self) -> str:
        """Return the drawing: bands below, then lines, then names, none over another."""
        values = [y for line in self.lines for pair in line.band for y in pair]
        values += [y for line in self.lines for _, y in line.points]
        across = [x for line in self.lines for x, _ in line.points]
        left, right, room = min(across), max(across), (max(values) - min(values)) or 1.0
        low, high = min(values) - 0.04 * room, max(values) + 0.04 * room
        names_width = 16 + 11 * max(len(line.name) for line in self.lines)
        drawing = _Drawing(400 + names_width, HEIGHT + 26, self.caption)

        def x(value: float) -> float:
            return 38 + (value - left) / ((right - left) or 1.0) * (400 - 38)

        def y(value: float) -> float:
            return 8 + (high - value) / (high - low) * (HEIGHT - 8)

        def path(points: Sequence[tuple[float, float]]) -> str:
            return "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)

        for tick in ticks(low, high, 6):
            drawing.add("line", "grid", x1=38, x2=400, y1=y(tick), y2=y(tick))
            drawing.write("axis", f"{tick:g}", 32, y(tick) + 4, "end")
        for tick in ticks(left, right, 6) if right > left else [left]:
            drawing.write("axis", f"{tick:g}", x(tick), HEIGHT + 18, "middle")
        drawing.write("axis", self.x_name, 412, HEIGHT + 18)
        others = ((f"color: var(--c{n % 5})", DASHES[(n + n // 5) % 5]) for n in count())
        grey = "color: var(--soft)", "5 4"
        looks = [grey if line.reference else next(others) for line in self.lines]
        for line, (colour, _) in zip(self.lines, looks):
            if line.band:
                upper = [(a, high) for (a, _), (_, high) in zip(line.points, line.band)]
                lower = [(a, low) for (a, _), (low, _) in zip(line.points, line.band)]
                drawing.add("path", "band", style=colour, d=path(upper + lower[::-1]) + "Z")
        for line, (colour, dash) in zip(self.lines, looks):
            if len(line.points) == 1:
                a, b = line.points[0]
                drawing.add("circle", "band", style=colour, cx=x(a), cy=y(b), r=5)
            drawing.add("path", "line", style=colour, stroke_dasharray=dash, d=path(line.points))
        places = _apart([y(line.points[-1][1]) for line in self.lines], 18, 8, HEIGHT)
        for line, (colour, _), place in zip(self.lines, looks, places):
            drawing.write("name", line.name, x(line.points[-1][0]) + 8, place + 5, style=colour)
        return drawing.svg()


def reliability(name: str, bins: Sequence[tuple[int, float, float]]) -> Curves:
    """Plot how often answers of a probability are right: `bins` of `calibration`, and intervals."""
    shares = tuple((p, right) for _, p, right in bins)
    ends = tuple(wilson(n * right, n) for n, _, right in bins)
    as_said = Line("as said", ((shares[0][0], shares[0][0]), (1.0, 1.0)), reference=True)
    return Curves(f"{name}: share that is right", (Line("right", shares, ends), as_said), "said")


class _Drawing:
    """An <svg> element under construction; ElementTree escapes whatever stands in it."""

    def __init__(self, width: float, height: float, label: str):
        attributes = {"role": "img", "aria-label": label, "viewBox": f"0 0 {width} {height}"}
        self.root = ElementTree.Element("svg", attributes)

    def add(self, tag: str, kind: str, text: str | None = None, **attributes: str | float) -> None:
        """Add an element of a class; coordinates are rounded to a tenth of a pixel."""
        named = {"class": kind} if kind else {}
        for name, value in attributes.items():
            shown = f"{value:.1f}" if isinstance(value, float) else str(value)
            named[name.replace("_", "-")] = shown
        ElementTree.SubElement(self.root, tag, named).text = text

    def write(
        self, kind: str, text: str, x: float, y: float, anchor: str = "", **more: str
    ) -> None:
        """Add a text that begins at x, or has its "middle" or "end" there."""
        where = {"text_anchor": anchor} if anchor else {}
        self.add("text", kind, text, **where, **more, x=x, y=y)

    def svg(self) -> str:
        """Return it as text."""
        return ElementTree.tostring(self.root, encoding="unicode")


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
