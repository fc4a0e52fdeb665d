"""Where a project stands, and whether more labels may pay.

Claim    Looking writes nothing, and works while somebody labels. A budget counts the labels there
         are today, and advice says what it cannot know because no model was trained.
Proof    tests/label/test_project.py
"""

import json
from dataclasses import dataclass
from pathlib import Path

from minift.active.advice import Advice, Look, advise
from minift.active.forecast import forecast_labels
from minift.active.loop import class_counts
from minift.data.agreement import agreement
from minift.data.examples import joined
from minift.errors import MiniftError, require
from minift.label.ledger import State
from minift.label.project import Project, load_project, read_state
from minift.label.rounds import lacking


@dataclass(frozen=True)
class Status:
    """Where a project stands: what `State` tells, and what follows from it."""

    project: Project
    state: State
    counts: dict[str, int]  # labelled texts by class, or entities by type
    # number, strategy (of round 0 the file that had the labels), texts, texts that wait
    rounds: tuple[tuple[int, str, int, int], ...]
    notes: tuple[str, ...]
    advice: Advice
    forecast: str | None
    agreement: tuple[str, ...]  # of each two people, in sentences


def status(
    folder: str | Path, forecast: bool = False, budget: int | None = None, device: str = "cpu"
) -> Status:
    """Look at a project; writes nothing, and works while somebody labels.

    The budget is how many labels there may be; a forecast trains several small models.
    """
    require(budget is None or budget > 0, "budget", budget, "a number from 1 up")
    project = load_project(folder)
    state, events, notes = read_state(project)
    waiting = set(state.waiting)
    file = next((e["source"] for e in events if e["event"] == "label"), "a file")
    queries = [(e["round"], e["strategy"], e["ids"]) for e in events if e["event"] == "query"]
    rounds = tuple(
        (n, how if n else file, len(ids), len(waiting & {*ids})) for n, how, ids in queries
    )
    notes += state.notes
    labelled = project.labelled(state)
    counts = class_counts(labelled, project.labels)
    looks = []  # oldest first
    for path in sorted((project.folder / "models").glob("[0-9]*.json"), key=lambda p: int(p.stem)):
        row = json.loads(path.read_text(encoding="utf-8"))
        looks.append(Look(row["labelled"], row["uncertainty"], tuple(row["predictions"])))
    advice = advise(looks, budget, len(labelled))
    sentence = None
    if forecast:
        if why := lacking(project, labelled):
            raise MiniftError(f"no forecast: {why}; label more first")
        sentence = forecast_labels(project.learner(device), labelled, project.seed).sentence
    said = [(d.id, d.source, d.label) for d in state.standing.values() if d.label]
    if project.task == "multilabel":  # of which the whole set is compared
        said = [(id, who, joined(sorted(label))) for id, who, label in said]
    more = advice, sentence, tuple(agreement(said))
    return Status(project, state, counts, rounds, tuple(notes), *more)
