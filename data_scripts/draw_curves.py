"""One picture and one table of several simulations: a panel and a row a folder.

    python data_scripts/draw_curves.py runs/sst2-full runs/sst2-head ... --out curves.png

Each folder was made by `minift active simulate --out`. A panel shows the mean score of each
strategy with its 95% interval, a row the one test of each strategy: its whole curve less that of
random, seed by seed. Folders may still be growing: they are only read.

Proof    tests/data_scripts/test_draw_curves.py
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from minift.active.curves import plot
from minift.active.study import Study, study, whole_curves
from minift.errors import MiniftError
from minift.journal import parse

COLOURS = {"random": "#6b6b6b", "bald": "#0072B2", "entropy": "#E69F00"}
OTHERS = ("#009E73", "#CC79A7", "#56B4E9")


def read(folder: Path) -> Study:
    """Read what a simulation has done so far.

    Raises:
        MiniftError: if the folder holds no simulation, or one without a finished round.
    """
    file = folder / "simulation.jsonl"
    if not file.is_file():
        raise MiniftError(f"{folder}: no simulation.jsonl; give folders of minift active simulate")
    events, _ = parse(file.read_bytes(), str(file))
    rounds = [event for event in events if event["event"] == "round"]
    if not rounds:
        raise MiniftError(f"{folder}: the simulation has not finished a round yet")
    return study(rounds, events[0])


def title(found: Study) -> str:
    """Say what was simulated."""
    setup = found.setup
    learns = {"full": "everything learns", "head": "the head learns"}
    method = learns.get(setup["method"], setup["method"])
    method += " under a CNN" if setup.get("head") == "cnn" else ""
    sampled = {"trained": "the sites that had it in training", "all": "all sites"}
    sampled |= {"head": "the head", "none": "no site"}
    sites = sampled.get(setup["layers"], f"the top {setup['layers']} layers")
    return f"{setup['data']}: {method}, dropout samples in {sites}"


def row(found: Study) -> str:
    """Return a line of a Markdown table: each strategy less random over the whole curve."""
    cells = []
    for strategy, difference in whole_curves(found).items():
        ends = difference.interval
        interval = "" if ends is None else f" ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
        mean = f"{100 * difference.mean:+.1f}" if found.common(strategy) else "not finished"
        cells.append(f"{strategy} {mean}{interval}, {len(found.common(strategy))} seeds")
    return f"| {title(found)} | {'; '.join(cells)} |"


def draw(studies: Sequence[Study], file: Path) -> None:
    """Draw a panel a simulation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    across = min(3, len(studies))
    down = -(-len(studies) // across)
    figure, panels = plt.subplots(
        down, across, figsize=(4.2 * across, 3.2 * down), squeeze=False, constrained_layout=True
    )
    for unused in panels.flat[len(studies) :]:
        unused.set_axis_off()
    for axes, found in zip(panels.flat, studies):
        others = iter(OTHERS)
        for line in plot(found).lines:
            colour = COLOURS.get(line.name) or next(others, "black")
            places, scores = zip(*line.points)
            axes.plot(places, scores, "o-", markersize=3, color=colour, label=line.name)
            if line.band:
                low, high = zip(*line.band)
                axes.fill_between(places, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.set_title(f"{title(found)} ({len(found.seeds)} seeds)", fontsize=8)
        axes.set(xlabel="labels", ylabel=f"{found.metric}, points")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, print the table, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="PICTURE.png")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".png":
        parser.error(f"--out {options.out}: a picture is a .png")
    try:
        studies = [read(folder) for folder in options.folders]
    except MiniftError as error:
        print(f"draw_curves.py: {error}", file=sys.stderr)
        return 1
    for found in studies:
        print(row(found))
    if importlib.util.find_spec("matplotlib") is None:
        print("draw_curves.py: no picture: pip install matplotlib", file=sys.stderr)
        return 1
    draw(studies, options.out)
    print(f"picture: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
