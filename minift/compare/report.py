"""What a comparison's runs say: results.csv, report.md and report.html.

Claim    Whoever reads the report knows how sure it is: every mean stands beside its spread and
         its failed runs, every difference beside its interval, and what the figures do not
         cover (the choice of test examples, the number of comparisons) is said in words.
Proof    tests/compare/test_report.py
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from statistics import fmean, stdev

from minift.compare.page import (
    Block,
    Bullets,
    Code,
    Heading,
    Paragraph,
    Plots,
    Table,
    capital,
    text_table,
    write_page,
)
from minift.compare.statistics import (
    DIFFERENCE_HEADER,
    Difference,
    difference_cells,
    holm,
    listed,
    mean_and_sd,
    paired_difference,
    points,
    sentence,
)
from minift.data.intervals import LEAST, of_folds
from minift.data.words import counted
from minift.files import atomic_write
from minift.plots import Plot, Strip


@dataclass(frozen=True)
class Run:
    """One finished run: a line of runs.jsonl and a row of results.csv."""

    method: str
    seed: int
    labels: int  # number of training examples
    dev: float | None  # headline score on the selection split; None: there is none
    test: float  # and on the reporting split
    trainable_parameters: int  # of the tensors that learn
    seconds: float  # loading, training, and validation where the method needs it; not the scoring
    failed: bool  # every prediction is the same, or the loss was not finite
    epochs: int
    learning_rate: float
    stopped: str  # why training ended
    selection_examples: int  # labelled examples that the run chose by (0: it chose nothing)
    constant: float  # the score on the reporting split of the best constant answer
    threads: int  # of PyTorch
    machine: str  # processor, system and versions
    note: str = ""  # what went wrong


@dataclass(frozen=True)
class Comparison:
    """Finished runs, and what a reader must know beside them."""

    data: str  # its name, as those of metric and encoder
    metric: str
    encoder: str
    reporting: str  # a phrase that says which examples were reported on
    selection: str  # and chosen by
    examples: int  # size of the reporting split
    methods: tuple[str, ...]  # in the order of the tables
    notes: tuple[str, ...]  # about the data and the comparison
    command: str  # how to do it again, or ""
    settings: dict[str, dict[str, str]] = field(default_factory=dict)  # method -> column -> cell
    controls: tuple[tuple[str, str], ...] = ()  # (method, control) pairs that are compared, too
    runs: tuple[Run, ...] = ()  # all finished ones
    planned: int = 0  # number of runs asked for
    folds: int | None = None  # of a repeat, if seeds are folds (see minift/runs/folds.py)

    @property
    def unit(self) -> str:
        """What a score is of."""
        return "fold" if self.folds else "seed"

    def overlap(self, labels: int) -> float:
        """Texts of a fold, on average, by those that its model is trained on; of seeds 0."""
        return self.examples / self.folds / labels if self.folds else 0.0

    def interval(self, scores: Sequence[float], labels: int) -> str:
        """Return the 95 % interval of the mean over folds, "" where there is none."""
        if not self.folds:
            return ""
        answered = round(self.examples * min(1, len(scores) / self.folds))
        accuracy_of, least = answered * (self.metric == "accuracy"), LEAST.get(self.metric, 0.0)
        ends = of_folds(scores, self.overlap(labels), accuracy_of, least)
        return " to ".join(map(points, ends or ()))

    @property
    def baseline(self) -> str:
        """The method that the others are compared with: "full", else the first."""
        return "full" if "full" in self.methods else self.methods[0]

    @property
    def sizes(self) -> list[int]:
        """Numbers of training labels, ascending."""
        return sorted({run.labels for run in self.runs})

    def of(self, method: str, labels: int) -> list[Run]:
        """Return the runs of one method and size, by seed."""
        found = [r for r in self.runs if (r.method, r.labels) == (method, labels)]
        return sorted(found, key=lambda run: run.seed)

    def scores(self, method: str, labels: int) -> dict[int, float]:
        """Return what the runs of one method and size scored, by seed."""
        return {run.seed: run.test for run in self.of(method, labels)}

    def present(self, labels: int) -> list[str]:
        """Return the methods that have a run of this size, in order."""
        return [method for method in self.methods if self.of(method, labels)]


@dataclass(frozen=True)
class Against:
    """One comparison that was made: a method against another, at one size."""

    method: str
    other: str
    labels: int
    difference: Difference
    holm: float | None = None
    unit: str = "seed"

    @property
    def sentence(self) -> str:
        """What the seeds show, and whether it stands beside all that was compared."""
        said = sentence(self.method, self.other, self.difference, self.unit)
        if self.difference.seen and self.holm is not None and self.holm >= 0.05:
            said += "; with as many comparisons as were made here, chance alone does that (Holm)"
        return said


def comparisons(comparison: Comparison) -> list[Against]:
    """Compare each method with the baseline, and with its control, on their common seeds."""
    found = []
    for labels in comparison.sizes:
        present = comparison.present(labels)
        pairs = [(m, comparison.baseline) for m in present if m != comparison.baseline]
        for method, other in dict.fromkeys((*pairs, *comparison.controls)):
            if method in present and other in present:
                mine, theirs = (comparison.scores(name, labels) for name in (method, other))
                seeds = sorted(mine.keys() & theirs.keys())
                pair = [mine[s] for s in seeds], [theirs[s] for s in seeds]
                difference = paired_difference(*pair, comparison.overlap(labels))
                found.append(Against(method, other, labels, difference, unit=comparison.unit))
    tested = [p for against in found if (p := against.difference.p) is not None]
    adjusted = iter(holm(tested))
    return [a if a.difference.p is None else replace(a, holm=next(adjusted)) for a in found]


def chosen(comparison: Comparison, labels: int) -> str | None:
    """Say which method to take by the folds, and what the choice is worth; None without folds.

    The best of several is flattered by its luck. Chosen anew for each fold, by the other folds of
    its repeat, and scored on that one, it is not.
    """
    c, names, folds = comparison, comparison.present(labels), comparison.folds
    if not folds or len(names) < 2:
        return None
    scores = {name: c.scores(name, labels) for name in names}
    common = sorted(set.intersection(*map(set, scores.values())))

    def best(by: Sequence[int]) -> str:
        return max(names, key=lambda name: fmean(scores[name][seed] for seed in by))

    honest = []
    for seed in common:
        others = [s for s in common if s // folds == seed // folds and s != seed]
        honest += [scores[best(others)][seed]] if others else []
    if len(honest) < 2:
        return None
    name, interval = best(common), c.interval(honest, labels)
    return (
        f"take {name}: it has the highest mean, {points(fmean(scores[name].values()))}. As the "
        f"best of {len(names)} it is flattered; chosen anew without each fold, and scored on that "
        f"fold, the best has {points(fmean(honest))}" + f" (95% CI {interval})" * bool(interval)
    )


def write(folder: Path, comparison: Comparison) -> None:
    """Write results.csv, report.md and report.html."""
    atomic_write(folder / "results.csv", csv_text(comparison))
    write_page(folder, page(comparison))


def csv_text(comparison: Comparison) -> str:
    """Return results.csv: one row per run, by size, method and seed."""
    file = io.StringIO()
    rows = csv.DictWriter(file, [column.name for column in fields(Run)], lineterminator="\n")
    rows.writeheader()
    for labels in comparison.sizes:
        for method in comparison.present(labels):
            rows.writerows(asdict(run) for run in comparison.of(method, labels))
    return file.getvalue()


def short_text(comparison: Comparison) -> str:
    """Return tables and sentences for the terminal."""
    made, parts = comparisons(comparison), []
    for labels in comparison.sizes:
        parts.append(f"{_labels(labels)} of {comparison.data}: {comparison.metric} in points")
        parts.append(text_table(results_table(comparison, labels)))
        here = [against for against in made if against.labels == labels]
        parts.append("\n".join([*_sentences(here), *filter(None, [chosen(comparison, labels)])]))
    return "\n\n".join(part for part in (*parts, *caution(made)) if part)


def results_table(comparison: Comparison, labels: int) -> Table:
    """Return the table of one size; scores in points, that is hundredths."""
    c = comparison
    header = (
        *("method", "mean", "sd", *["95% CI"] * bool(c.folds), "min", "max", "runs", "failed"),
        *("trained", "seconds", "to store"),
    )
    rows = []
    for method in comparison.present(labels):
        runs = comparison.of(method, labels)
        tests = [run.test for run in runs]
        stored = 4 * runs[0].trainable_parameters  # bytes
        rows.append(
            (
                method,
                points(fmean(tests)),
                points(stdev(tests)) if len(tests) > 1 else "",
                *[c.interval(tests, labels)] * bool(c.folds),
                points(min(tests)),
                points(max(tests)),
                str(len(runs)),
                str(sum(run.failed for run in runs)),
                f"{runs[0].trainable_parameters:,}",
                f"{fmean(run.seconds for run in runs):.1f}",
                f"{stored / 1e6:.1f} MB" if stored >= 1e5 else f"{stored / 1e3:.1f} kB",
            )
        )
    return Table(header, tuple(rows))


def caution(made: Sequence[Against]) -> list[str]:
    """Say what it means that so many comparisons were made."""
    tested = [(against, p) for against in made if (p := against.holm) is not None]
    if len(tested) < 2:
        return []
    by_chance = 1 - 0.95 ** len(tested)
    standing = [
        f"{a.method} against {a.other} at {_labels(a.labels)}" for a, p in tested if p < 0.05
    ]
    left = f"these differences stand: {'; '.join(standing)}" if standing else "no difference stands"
    return [
        f"{len(tested)} comparisons were made. If no method differed from any other, the chance "
        f"that at least one interval excludes 0 would be up to {by_chance:.0%}. After Holm's "
        f"correction for that, {left}."
    ]


def page(comparison: Comparison) -> list[Block]:
    """Return the report."""
    c, made = comparison, comparisons(comparison)
    missing, seeds = c.planned - len(c.runs), len({run.seed for run in c.runs})
    blocks: list[Block] = [
        Heading(f"Which method for {c.data}?", 1),
        Paragraph(
            f"{counted(len(c.methods), 'method')}, {listed([f'{n:,}' for n in c.sizes])} labels, "
            f"{seeds} {c.unit}{'s' * (seeds > 1)}, encoder {c.encoder}. Scores are "
            f"{c.metric} in points (hundredths) on {c.reporting}."
            + (f" Of these folds {seeds} of {c.folds} are done." if seeds < (c.folds or 0) else "")
            + (f" Runs that are not finished yet: {missing} of {c.planned}." if missing > 0 else "")
        ),
    ]
    if len(c.sizes) > 1:
        said = f"Mean ± standard deviation over the {c.unit}s."
        blocks += [Heading("All sizes"), Paragraph(said), _overview(c)]
    for labels in c.sizes:
        blocks += _size_blocks(c, labels, [a for a in made if a.labels == labels])
    blocks += [Heading("How to read this"), Bullets(tuple(_reading(c, made)))]
    blocks += [Heading("Settings"), _settings_table(c)]
    if c.notes:
        blocks += [Heading("Notes"), Bullets(c.notes)]
    threads = listed(sorted({f"{run.threads}" for run in c.runs}))
    machines = sorted({run.machine for run in c.runs})
    blocks += [Heading("Machine"), Bullets((*machines, f"threads of PyTorch: {threads}"))]
    if c.command:
        blocks += [Heading("Command"), Code(c.command)]
    return blocks


def _size_blocks(c: Comparison, labels: int, made: Sequence[Against]) -> list[Block]:
    """Return what the report says of one number of labels."""
    blocks: list[Block] = [Heading(_labels(labels))]
    if said := [*_sentences(made), *filter(None, [chosen(c, labels)])]:
        blocks.append(Bullets(tuple(said)))
    runs = [run for run in c.runs if run.labels == labels]
    constant = points(fmean(run.constant for run in runs))
    blocks += [
        Plots(tuple(_plots(c, labels, made))),
        results_table(c, labels),
        Paragraph(f"A constant answer (no text read) scores {constant} points."),
    ]
    if made:
        rows = [(a.method, a.other, *difference_cells(a.difference, a.holm)) for a in made]
        blocks.append(Heading("Paired differences, in points", 3))
        header = "method", "against", *DIFFERENCE_HEADER[:-1], f"{c.unit}s"
        blocks.append(Table(header, tuple(rows)))
    if troubles := [f"{r.method}, {c.unit} {r.seed}: {r.note}" for r in runs if r.note]:
        blocks += [Heading("What went wrong", 3), Bullets(tuple(troubles))]
    return blocks


def _sentences(made: Sequence[Against]) -> list[str]:
    """Return what the seeds show, differences that are seen first."""
    return [a.sentence for a in sorted(made, key=lambda a: not a.difference.seen)]


def _reading(c: Comparison, made: Sequence[Against]) -> list[str]:
    """Return what a reader must know beside the figures."""
    but = "but the method to take " * bool(c.folds)
    chosen = f"Nothing {but}was chosen by looking at scores: no rate, no length, no epoch."
    if any(run.selection_examples for run in c.runs):
        chosen = (
            f"Choices are made by {c.selection}, never by the examples reported on. The column "
            '"chooses by" of the settings says how many labelled examples a method needs for that, '
            "on top of its training labels."
        )
    covers = (
        "An interval covers what changes with the seed. It does not cover the choice of the "
        f"{c.examples:,} examples reported on{_sampling(c)}."
    )
    if c.folds:
        ends = "it allows for what the folds have in common (Nadeau & Bengio 2003)"
        if len({run.seed for run in c.runs}) == 1:
            ends = "of one fold, only an accuracy has one (Wilson 1927)"
        covers = (
            "Fold s, counted from 0, is reported on by models that learned from the other folds; "
            f"every {c.folds} folds all texts are dealt anew. An interval is for new texts like "
            f"these; {ends}."
        )
    once = ", and a frozen encoder reads the texts once for all folds" if c.folds else ""
    return [
        f"{capital(c.unit)} s gives every method the same training examples, the same new head, "
        "the same order of batches and the same stream of dropout, so methods are compared "
        f"{c.unit} by {c.unit}.",
        covers,
        *caution(made),
        chosen,
        "A failed run predicts the same for every example, or its loss was not finite (it then "
        "counts with the score of a constant answer). Failed runs are part of every mean.",
        "Trained: parameters that learn, head included (see Settings); where a mask holds the "
        "others back (child-d, random-scalars, random-rows), those that it lets move.",
        "Seconds: loading, training, and validation where the method needs it, mean over the "
        f"{c.unit}s; scoring is left out{once}. To store: 4 bytes for each parameter that learns, "
        "and for a mask one bit per element; the pretrained rest is shared.",
    ]


def _overview(c: Comparison) -> Table:
    header = ("method", *map(_labels, c.sizes))
    rows = ((m, *(mean_and_sd([*c.scores(m, n).values()]) for n in c.sizes)) for m in c.methods)
    return Table(header, tuple(rows))


def _plots(c: Comparison, labels: int, made: Sequence[Against]) -> list[Plot]:
    rows, constants = [], []
    for method in c.present(labels):
        runs = c.of(method, labels)
        dots = tuple(100 * run.test for run in runs)
        mean = fmean(dots)
        failed = tuple(run.failed for run in runs)
        rows.append(Strip(method, dots, failed, mean, None, f"{mean:.1f}"))
        constants += [100 * run.constant for run in runs]
    caption = f"{capital(c.metric)} in points: each dot is a {c.unit}, the bar is the mean"
    caption += ", × a failed run." if any(any(strip.crossed) for strip in rows) else "."
    plots = [Plot(caption, tuple(rows), fmean(constants), "a constant answer")]
    rows = []
    for a in made:
        if a.difference.differences:
            dots = tuple(100 * d for d in a.difference.differences)
            ends = a.difference.interval
            interval = (100 * ends[0], 100 * ends[1]) if ends else None
            name = a.method if a.other == c.baseline else f"{a.method} − {a.other}"
            mean = 100 * a.difference.mean
            rows.append(Strip(name, dots, (False,) * len(dots), mean, interval, f"{mean:+.1f}"))
    if rows:
        caption = (
            f"Difference to {c.baseline}, in points, {c.unit} by {c.unit}; the line is the 95% CI."
        )
        plots.append(Plot(caption, tuple(rows), 0.0, "no difference"))
    return plots


def _settings_table(c: Comparison) -> Table:
    columns = list(dict.fromkeys(name for m in c.methods for name in c.settings[m]))
    rows = [(m, *(c.settings[m].get(name, "") for name in columns)) for m in c.methods]
    return Table(("method", *columns), tuple(rows))


def _sampling(c: Comparison) -> str:
    """Say how much an accuracy would vary over other test examples."""
    if c.metric != "accuracy":
        return ""
    mean = fmean(run.test for run in c.runs if run.method == c.baseline)
    error = (mean * (1 - mean) / c.examples) ** 0.5
    return (
        f": over other such examples an accuracy of {points(mean)} would vary with a standard "
        f"deviation of {points(error)} points (a difference by less, since all methods answer "
        "the same ones)"
    )


def _labels(count: int) -> str:
    return f"{count:,} labels"
