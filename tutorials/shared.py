"""What the notebooks share: a way to publish a number, and the dot plot.

Claim    A number that the prose names is published by `measured`, and `build.py check` compares
         it with the band that the prose states.
Proof    tests/tutorials/test_build.py
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from IPython.display import display

MIME = "application/vnd.minift.measured+json"  # rules.py looks for it in the notebooks
# Okabe & Ito's colours, which stay apart for colour-blind readers.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"

plt.rcParams.update(
    {
        "figure.dpi": 150,
        "figure.figsize": (4.8, 2.8),  # inches; letters of 10 points can then be read on a phone
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, GREY]),
    }
)


def measured(**values: float) -> None:
    """Print values, and keep them in the notebook under their names for the check."""
    exact = {n: v if v == int(v) else float(f"{v:.6g}") for n, v in values.items()}
    shown = [f"{n} = {v:,.0f}" if v == int(v) else f"{n} = {v:.4g}" for n, v in exact.items()]
    display({"text/plain": "measured: " + ", ".join(shown), MIME: exact}, raw=True)


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation (n - 1) of several runs."""
    return statistics.fmean(values), statistics.stdev(values)


def dots(
    axes: plt.Axes,
    rows: Mapping[str, Sequence[float]],
    colours: Mapping[str, str] | None = None,
    numbers: str = "{:.2f} ± {:.2f}",
) -> None:
    """Draw a row of dots per name: one dot per seed, a bar for their mean, the sd in figures.

    Args:
        axes: where to draw.
        rows: name -> one value per seed, from top to bottom.
        colours: name -> colour; blue where nothing is said.
        numbers: how mean and sd are written at the right-hand side.
    """
    for place, (name, values) in enumerate(rows.items()):
        colour = (colours or {}).get(name, BLUE)
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.55, markersize=6)
        axes.plot([statistics.fmean(values)] * 2, [place - 0.32, place + 0.32], color=colour, lw=2)
        if len(values) > 1:
            axes.annotate(
                numbers.format(*mean_sd(values)),
                (1.01, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=9,
            )
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
