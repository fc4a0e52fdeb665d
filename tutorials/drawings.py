"""Drawings of ideas, by code and in one style: boxes, arrows, one colour for what matters.

Claim    Every drawing is 4.8 inches wide with letters of at least 9 points, so that it can be read
         on a phone, and has a white ground of its own, so that it can be read in the dark.
Proof    tests/tutorials/test_drawings.py

A page calls one of them in a cell of its own, `# %% tags=["hide"] alt="..."`:

    layer()          an encoder layer: attention, the feed-forward block, two sums
    slots(...)       the training loop, and the five questions around it
    packed(lengths)  a batch with padding, and the same without
    child_mask()     a gradient, the child's mask, what is left
    machine()        the states of adaptive fine-tuning
    networks()       MC dropout: one text, several networks
    student()        a student taught beside its teacher
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from shared import BLUE, GREEN, GREY, ORANGE, RED

INK, PALE, WIDTH = "#1b1b1b", "#eef1f5", 4.8  # inches
TINT = {BLUE: "#d7e8f5", ORANGE: "#fcefd3", GREEN: "#d3eee5", RED: "#f9e0d1", GREY: "#e6e6e6"}
SMALL, TEXT = 9, 10  # points


def canvas(height: float) -> plt.Axes:
    """Return axes to draw on: units are tenths of an inch, y grows downwards."""
    figure = plt.figure(figsize=(WIDTH, height), facecolor="white")
    figure.set_layout_engine("none")  # the axes are the figure
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10 * WIDTH), ylim=(10 * height, 0), aspect="equal")
    axes.axis("off")
    return axes


def box(axes, x, y, width, height, text="", colour=None, size=TEXT, **style) -> None:
    """Draw a box with text in its middle; with a colour it is one that matters."""
    shape = plt.matplotlib.patches.FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.6",
        facecolor=TINT.get(colour, PALE),
        edgecolor=colour or "#9aa3ad",
        linewidth=1.8 if colour else 1.0,
        **style,
    )
    axes.add_patch(shape)
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", size=size, color=INK)


def arrow(axes, start, end, text="", colour=INK, bend=0.0, at=0.5, dx=0.0, dy=0.0, **style) -> None:
    """Draw an arrow, straight or bent, with words beside it."""
    axes.annotate(
        "",
        end,
        start,
        arrowprops={
            "arrowstyle": "-|>,head_width=0.25,head_length=0.5",
            "connectionstyle": f"arc3,rad={bend}",
            "color": colour,
            "linewidth": 1.4,
            "shrinkA": 0,
            "shrinkB": 0,
            **style,
        },
    )
    if text:
        x, y = (a + (b - a) * at for a, b in zip(start, end))
        note(axes, x + dx, y + dy, text, colour)


def note(axes, x, y, text, colour=INK, size=SMALL, **where) -> None:
    """Write words without a box."""
    place = {"ha": "center", "va": "center"} | where
    axes.text(x, y, text, size=size, color=colour, linespacing=1.25, **place)


def squares(axes, x, y, colours: Sequence[Sequence[str]], side: float, texts=None) -> None:
    """Draw rows of squares; "" leaves one out."""
    for row, line in enumerate(colours):
        for column, colour in enumerate(line):
            if not colour:
                continue
            corner = (x + column * side, y + row * side)
            size = 0.88 * side
            axes.add_patch(plt.Rectangle(corner, size, size, color=colour, linewidth=0))
            if texts:
                middle = (corner[0] + size / 2, corner[1] + size / 2)
                axes.text(*middle, texts[row][column], ha="center", va="center", size=SMALL)


# ---------------------------------------------------------------- page 01


def layer() -> None:
    """An encoder layer, from top to bottom."""
    axes = canvas(4.3)
    left, width, middle = 5, 25, 17.5
    note(axes, middle, 1.6, "x: one vector per token", size=TEXT)
    arrow(axes, (middle, 2.8), (middle, 7))
    box(axes, left, 7, width, 6, "attention\n(tokens look at each other)", BLUE)
    arrow(axes, (middle, 13), (middle, 15.3))
    box(axes, left, 15.3, width, 3.6, "add, then LayerNorm")
    arrow(axes, (middle, 18.9), (middle, 23))
    box(
        axes,
        left,
        23,
        width,
        8,
        "feed-forward\nwiden, bend (GELU), narrow\n(each token by itself)",
        ORANGE,
    )
    arrow(axes, (middle, 31), (middle, 33.3))
    box(axes, left, 33.3, width, 3.6, "add, then LayerNorm")
    arrow(axes, (middle, 36.9), (middle, 40))
    note(axes, middle, 41.3, "x for the next layer", size=TEXT)
    for top, bottom in ((4.4, 17.1), (20.8, 35.1)):
        axes.plot([middle, 36, 36], [top, top, bottom], color=GREY, lw=1.4)
        arrow(axes, (36, bottom), (left + width, bottom), colour=GREY)
        note(axes, 37, (top + bottom) / 2, "x itself,\nunchanged", GREY, ha="left")


# ---------------------------------------------------------------- page 00


def slots(filled: str = "") -> None:
    """The training loop and the five questions; `filled` names the slot that a page is about."""
    axes = canvas(3.7)
    steps = {"batch": 6, "loss": 13, "gradient": 20, "step": 27}
    for name, y in steps.items():
        box(axes, 18, y, 12, 4, name, size=TEXT)
    for upper, lower in (("batch", "loss"), ("loss", "gradient"), ("gradient", "step")):
        arrow(axes, (24, steps[upper] + 4), (24, steps[lower]))
    axes.plot([24, 24, 33.2, 33.2], [31, 33.4, 33.4, 8], color=INK, lw=1.4)
    arrow(axes, (33.2, 8), (30, 8))
    note(axes, 28.6, 34.9, "again, until it stops")
    questions = (
        ("examples", 1, 5.2, "On which\nexamples?", "left", 8),
        ("objective", 1, 12.4, "What is\nthe loss?", "left", 15),
        ("gradients", 1, 19.6, "What happens to\nthe gradient?", "left", 22),
        ("trainable", 35.5, 16, "Which para-\nmeters learn?", "right", 0),
        ("schedule", 35.5, 26.4, "How fast, and\nuntil when?", "right", 29),
    )
    for name, x, y, text, side, to in questions:
        colour = GREEN if name == filled or not filled else None
        box(axes, x, y, 14 if side == "left" else 11.8, 5.4, text, colour, SMALL)
        if side == "left":
            arrow(axes, (15, to), (18, to), colour=GREEN if colour else GREY)
        elif to:
            arrow(axes, (35.5, to), (30, to), colour=GREEN if colour else GREY)
        else:
            arrow(axes, (35.5, 19.5), (30, 21.4), colour=GREEN if colour else GREY)
            arrow(axes, (35.5, 20.5), (30, 27.8), colour=GREEN if colour else GREY)
    note(axes, 24, 2.4, "one training loop, five slots", size=TEXT)


def packed(lengths: Sequence[int]) -> tuple[int, int]:
    """A batch as a rectangle and the same end to end; return how many squares each has."""
    colours, longest = (BLUE, ORANGE, GREEN, RED), max(lengths)
    padded = [
        [colours[row % 4] if column < length else "#d0d0d0" for column in range(longest)]
        for row, length in enumerate(lengths)
    ]
    flat = [colours[row % 4] for row, length in enumerate(lengths) for _ in range(length)]
    rows = [flat[at : at + longest] for at in range(0, len(flat), longest)]
    side = 22 / longest
    axes = canvas((4.6 + side * len(lengths)) / 10)
    for x, name, grid in ((1, "padded", padded), (25, "packed", rows)):
        note(axes, x, 2, f"{name}: {sum(map(len, grid))} squares", size=TEXT, ha="left")
        squares(axes, x, 4, grid, side)
    return longest * len(lengths), sum(lengths)


# ---------------------------------------------------------------- pages 06, 07, 08, 10


def child_mask() -> None:
    """A gradient times the mask of the child network."""
    axes = canvas(1.95)
    gradient = ["+.3", "−.9", "+.1", "+.4", "−.2", "+.7", "+.5", "−.6", "−.1"]
    kept = [0, 1, 0, 1, 0, 1, 0, 1, 0]
    grids = (
        ("gradient", gradient, [1] * 9, 1.0),
        ("mask of the child", [str(k) for k in kept], kept, 17.4),
        ("what is left", [g if k else "0" for g, k in zip(gradient, kept)], kept, 33.8),
    )
    for title, texts, on, x in grids:
        colours = [TINT[BLUE] if k else TINT[GREY] for k in on]
        rows = [colours[at : at + 3] for at in (0, 3, 6)]
        squares(axes, x, 4.2, rows, 4.4, [texts[at : at + 3] for at in (0, 3, 6)])
        note(axes, x + 6.4, 2, title, size=TEXT)
    note(axes, 15.7, 10.6, "×", size=16)
    note(axes, 32.1, 10.6, "=", size=16)
    note(axes, 24, 18.4, "the grey weights rest; the blue ones, the child, learn")


def machine() -> None:
    """The states of adaptive fine-tuning."""
    axes = canvas(2.55)
    states = (
        (1, "warm-up", "the rate rises", None),
        (14, "constant", "the full rate", BLUE),
        (27, "cool-down", "the rate falls", ORANGE),
        (40, "stop", "", None),
    )
    for x, name, what, colour in states:
        width = 7 if name == "stop" else 8.4
        box(axes, x, 10, width, 5, name, colour, TEXT)
        note(axes, x + width / 2, 16.4, what)
    arrow(axes, (9.4, 12.5), (14, 12.5))
    arrow(axes, (22.4, 12.5), (27, 12.5))
    arrow(axes, (35.4, 12.5), (40, 12.5))
    note(axes, 11.7, 20.6, "after W\nepochs", va="center")
    note(axes, 24.7, 20.6, "p + 1 epochs\nwithout a new best", va="center")
    note(axes, 38.4, 20.6, "after C\nepochs", va="center")
    for x in (11.7, 24.7, 37.7):
        axes.plot([x, x], [13.2, 18.4], color=GREY, lw=0.8, ls=":")
    arrow(axes, (31.2, 10), (18.2, 10), colour=GREEN, bend=0.45)
    note(axes, 24.7, 4.6, "a new best: back to the full rate", GREEN)
    note(axes, 24, 24, "after each epoch the machine looks at the validation loss", GREY)


def networks() -> None:
    """MC dropout: one text through several networks that differ in what is dropped."""
    axes = canvas(2.9)
    answers = (0.9, 0.35, 0.8)
    dropped = ({(0, 1), (1, 2)}, {(0, 2), (1, 0)}, {(1, 1)})  # (column, place) in each network
    box(axes, 1, 11.2, 8, 5, "one text", size=TEXT)
    for number, share in enumerate(answers):
        y = 2.4 + 8.0 * number
        box(axes, 14.5, y, 15, 6.6)
        units = {}
        for column, height in enumerate((3, 3, 2)):
            for place in range(height):
                at = (17 + 5 * column, y + 3.3 + (place - (height - 1) / 2) * 2.0)
                units[column, place] = (*at, (column, place) not in dropped[number])
        for (column, _), (x, up, on) in units.items():
            for (other, _), (x2, up2, on2) in units.items():
                if other == column + 1 and on and on2:
                    axes.plot([x, x2], [up, up2], color=BLUE, lw=0.7, zorder=3)
        for x, up, on in units.values():
            style = {"facecolor": BLUE, "edgecolor": BLUE} if on else {
                "facecolor": "white", "edgecolor": GREY}  # fmt: skip
            axes.add_patch(plt.Circle((x, up), 0.7, zorder=4, **style))
        arrow(axes, (9, 13.7), (14.5, y + 3.3))
        arrow(axes, (29.5, y + 3.3), (32, y + 3.3))
        axes.add_patch(plt.Rectangle((32.6, y + 2.2), 8, 2.2, color=TINT[GREY]))
        axes.add_patch(plt.Rectangle((32.6, y + 2.2), 8 * share, 2.2, color=ORANGE))
        note(axes, 41.4, y + 3.3, f"{share:.2f}", ha="left")
    note(axes, 19, 0.9, "the same weights, other units dropped")
    note(axes, 36.6, 0.9, "“positive”")
    note(axes, 24, 27.6, "where the answers differ, labels would settle the doubt", GREY)


def student() -> None:
    """A small model learns from a large one's answers."""
    axes = canvas(2.9)
    box(axes, 1, 11.6, 9.4, 5.4, "texts, also\nwithout labels", size=SMALL)
    for number in range(5):
        box(axes, 15.4, 2.6 + 2.0 * number, 13, 1.6, colour=BLUE)
    note(axes, 21.9, 1.2, "teacher: large, frozen")
    box(axes, 18.4, 20.2, 7, 1.6, colour=ORANGE)
    box(axes, 18.4, 22.2, 7, 1.6, colour=ORANGE)
    note(axes, 21.9, 25.4, "student: small, learns")
    arrow(axes, (10.4, 13.2), (15.4, 7.4))
    arrow(axes, (10.4, 15.4), (18.4, 21.8))
    for y, shares, colour, start in (
        (4.6, (0.7, 0.2, 0.1), BLUE, 28.4),
        (19.4, (0.5, 0.3, 0.2), ORANGE, 25.4),
    ):
        arrow(axes, (start, y + 2.6), (33, y + 2.6))
        for place, share in enumerate(shares):
            height = 5 * share
            axes.add_patch(
                plt.Rectangle((34 + 2.4 * place, y + 5 - height), 1.8, height, color=colour)
            )
        axes.plot([33.6, 41.2], [y + 5, y + 5], color=INK, lw=0.8)
    note(axes, 37.4, 2.6, "its answer, in shares")
    note(axes, 37.4, 26, "and the student’s")
    box(axes, 31.4, 12.4, 12.4, 3.8, "loss: how unlike?", GREEN, SMALL)
    arrow(axes, (37.4, 10), (37.4, 12.4))
    arrow(axes, (37.4, 19.0), (37.4, 16.2))
    arrow(axes, (31.4, 15.2), (25.4, 20.2), colour=GREEN)
    note(axes, 26, 16.4, "gradient", GREEN)
