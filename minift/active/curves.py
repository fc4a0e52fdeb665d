"""What a simulation's rounds say: learning curves, and whether asking pays.

Claim    A report claims an advantage over random only where the seeds show one, and labels saved
         only where the whole curves differ, too. Beside every mean stands its spread; cost and
         class imbalance stand beside the scores.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462: figures 2 and 3, and table
         3 (the class imbalance, largest minus smallest class).
Differs  Over several strategies the p-values are corrected (Holm); the paper makes no test.
Proof    tests/active/test_curves.py
"""

from collections.abc import Callable, Sequence
from typing import Any

from minift.active.study import REFERENCE, Study, band, corrected, labels_saved, study, whole_curves
from minift.compare.page import (
    Block,
    Bullets,
    Curves,
    Heading,
    Line,
    Paragraph,
    Table,
    capital,
    text_table,
)
from minift.compare.statistics import (
    DIFFERENCE_HEADER,
    FEWEST,
    difference_cells,
    mean_and_sd,
    points,
    sentence,
)

NOTES = (
    "Strategies of a seed start from the same texts and the same first model, so curves are "
    "compared seed by seed. Bands that overlap say little about a paired difference.",
    "Whole curve: the mean height of the learning curve, one number and so one test per seed.",
    "Saved: the first count at which random's mean curve reaches the highest score that both have "
    "at their ends, minus the strategy's; claimed only if the whole curves differ, too.",
    "An interval covers what changes with the seed, not the choice of the test examples, of the "
    "data set, or of the encoder. Equal labels are not equal cost.",
)


def sentences(study: Study) -> list[str]:
    """Say what the seeds show: of each strategy the whole curve, then the labels it saves."""
    if not study.others:
        return [f"there is nothing to compare: {REFERENCE} and another strategy are needed"]
    found, differences = [], whole_curves(study)
    adjusted = corrected(differences)
    for strategy, difference in differences.items():
        stands = difference.seen and adjusted.get(strategy, 1.0) < 0.05
        text = "over the whole curve " + sentence(strategy, REFERENCE, difference)
        if difference.seen and not stands:
            text += (
                f"; but {len(adjusted)} strategies were tested, and after Holm's correction for "
                f"that p is {adjusted[strategy]:.2f}: no difference that can be relied on"
            )
        found += [text, saved_sentence(study, strategy, difference.mean if stands else 0.0)]
    return [text for text in found if text]


def saved_sentence(study: Study, strategy: str, advantage: float) -> str:
    """Say how many labels a strategy saves, if its `advantage` over the whole curve agrees."""
    saved = labels_saved(study, strategy)
    if saved is None:
        return ""
    ends = f"none, it needs {FEWEST} seeds"
    if saved.interval:
        ends = " to ".join(f"{end:+,.0f}" for end in saved.interval)
    text = f"labels saved by {strategy} at equal {study.metric}: "
    where = (
        f"{points(saved.level)} points with {saved.needs:,.0f} labels, {REFERENCE} with "
        f"{saved.random_needs:,.0f}; 95% bootstrap interval {ends}"
    )
    if not (saved.seen and saved.labels * advantage > 0):
        return text + f"none that can be seen ({where})"
    if saved.labels < 0:
        return text + f"none, it needs about {-saved.labels:,.0f} more ({where})"
    return text + f"about {saved.labels:,.0f} ({where})"


def scores_table(study: Study) -> Table:
    """Return mean ± sd in points, one row per label count."""

    def cell(scores: list[float]) -> str:
        return mean_and_sd(scores) + f" ({len(scores)})" * (len(scores) < len(study.seeds))

    return _by_count(study, "test", cell)


def _by_count(study: Study, key: str, cell: Callable[[list[float]], str]) -> Table:
    rows = []
    for number in study.rounds:
        columns = [study.column(strategy, number, key) for strategy in study.strategies]
        cells = (cell([*column.values()]) if column else "" for column in columns)
        rows.append((f"{study.place(number):,.0f}", *cells))
    return Table(("labels", *study.strategies), tuple(rows))


def cost_table(study: Study) -> Table:
    """Return the minutes that training and scoring the pool take, a mean over the curves."""
    rows = []
    for strategy, courses in study.courses.items():
        rounds = [round for course in courses.values() for round in course]
        both = (sum(r[f"{what}_seconds"] for r in rounds) / 60 for what in ("train", "score"))
        each = (f"{minutes / len(courses):.1f}" for minutes in both)
        rows.append((strategy, *each, str(len(courses))))
    return Table(("minutes per curve", "training", "scoring", "curves"), tuple(rows))


def plot(study: Study) -> Curves:
    """Return the mean learning curves with their bands."""
    lines = []
    for strategy in study.strategies:
        columns = [(study.place(n), study.column(strategy, n).values()) for n in study.rounds]
        known = [(place, [100 * score for score in scores]) for place, scores in columns if scores]
        places = tuple((place, sum(scores) / len(scores)) for place, scores in known)
        ends = [end for _, scores in known if (end := band(scores))]
        bands = tuple((low, min(high, 100.0)) for low, high in ends) * (len(ends) == len(places))
        lines.append(Line(strategy, places, bands, reference=strategy == REFERENCE))
    caption = f"{capital(study.metric)} in points: mean over the seeds"
    if any(line.band for line in lines):
        caption += "; the band is the 95% interval of the mean (t)"
    return Curves(caption + ".", tuple(lines), "labels")


def page(study: Study) -> list[Block]:
    """Return the report; curves may be unfinished."""
    setup, seeds = study.setup, len(study.seeds)
    planned = len(study.strategies) * seeds
    missing = planned - sum(len(study.finished(strategy)) for strategy in study.strategies)
    intro = (
        f"{', '.join(study.strategies)}; seeds: {seeds}; {study.place(0):,.0f} to "
        f"{study.place(study.rounds[-1]):,.0f} labels. Scores are {study.metric} in points "
        f"(hundredths) on the {setup.get('test_examples', 0):,} test examples, which steer nothing."
    )
    if missing:
        intro += f" Curves that are not finished yet: {missing} of {planned}."
    differences, heading = whole_curves(study), Heading(f"Difference to {REFERENCE}, in points")
    adjusted = corrected(differences)
    rows = ((s, *difference_cells(d, adjusted.get(s))) for s, d in differences.items())
    tested: list[Block] = [heading, Table(("strategy", *DIFFERENCE_HEADER), tuple(rows))]
    hidden = ("event", "n", "check")
    return [
        Heading(f"Does asking pay on {setup.get('data', 'these data')}?", 1),
        Paragraph(intro),
        Bullets(tuple(capital(text) + "." for text in sentences(study))),
        plot(study),
        Heading(f"{capital(study.metric)}, in points"),
        Paragraph("Mean ± standard deviation over the seeds; (n) where only n seeds are there."),
        scores_table(study),
        *(tested if study.others else []),
        Heading("Cost"),
        cost_table(study),
        Heading("Class imbalance: largest minus smallest class"),
        Paragraph("Of the labelled examples; mean over the seeds."),
        _by_count(study, "imbalance", lambda found: f"{sum(found) / len(found):.1f}"),
        Heading("How to read this"),
        Bullets(NOTES),
        Heading("Settings"),
        Bullets(tuple(f"{k}: {v}" for k, v in setup.items() if k not in hidden)),
    ]


def short_text(rounds: Sequence[dict[str, Any]], setup: dict[str, Any] | None = None) -> str:
    """Return the table of scores and the sentences, for the terminal."""
    found = study(rounds, setup or {})
    if not found.courses:
        return "no round is finished yet"
    parts = [f"{found.metric} in points, mean ± sd over the seeds", text_table(scores_table(found))]
    return "\n".join([*parts, "", *sentences(found)])
