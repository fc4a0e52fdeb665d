"""Where a project stands, and whether more labels may pay.

Claim    Looking writes nothing, and works while somebody labels. A budget counts the labels there
         are today, and advice says what it cannot know because no model was trained.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minift.active.advice import Advice, Look, advise
from minift.active.loop import class_counts
from minift.data.examples import Example
from minift.errors import MiniftError
from minift.label.ledger import State
from minift.label.project import Project, load_project, read_state
from minift.label.rounds import lacking
from minift.methods.recipes import recipe


@dataclass(frozen=True)
class Status:
    """Where a project stands: what `State` tells, and what follows from it.

    Args:
        counts: labelled texts by class, or entities by type.
        rounds: (number, strategy, texts, texts that wait) of each query.
        looks: how many rounds had a model.
    """

    project: Project
    state: State
    counts: dict[str, int]
    rounds: tuple[tuple[int, str, int, int], ...]
    notes: tuple[str, ...]
    looks: int
    advice: Advice
    forecast: str | None


def status(
    folder: str | Path,
    forecast: bool = False,
    budget: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> Status:
    """Look at a project; writes nothing, and works while somebody labels.

    Args:
        folder: the project.
        forecast: say what the next 100 labels may bring (trains several small models).
        budget: how many labels there may be, for the advice.
        device, progress: of the forecast.
    """
    project = load_project(folder)
    state, events, notes = read_state(project)
    waiting = set(state.waiting)
    rounds = tuple(
        (e["round"], e["strategy"], len(e["ids"]), sum(id in waiting for id in e["ids"]))
        for e in events
        if e["event"] == "query"
    )
    notes += state.notes
    labelled = project.labelled(state)
    counts = class_counts(labelled, project.labels)
    looks = _looks(project)
    advice = advise(looks, budget, len(labelled))
    sentence = _forecast(project, labelled, device, progress) if forecast else None
    return Status(project, state, counts, rounds, tuple(notes), len(looks), advice, sentence)


def _looks(project: Project) -> list[Look]:
    """Read what the models of the rounds said, oldest first."""
    found = []
    for path in sorted((project.folder / "models").glob("[0-9]*.json"), key=lambda p: int(p.stem)):
        row = json.loads(path.read_text(encoding="utf-8"))
        found.append(Look(row["labelled"], row["uncertainty"], tuple(row["predictions"])))
    return found


def _forecast(project: Project, labelled: Sequence[Example], device: str, progress: bool) -> str:
    from minift.active.forecast import forecast_labels

    if why := lacking(project, labelled):
        raise MiniftError(f"no forecast: {why}; label more first")
    return forecast_labels(
        project.dataset(), labelled, project.encoder, recipe(project.method), project.settings,
        project.seed, progress=progress, head=project.head, device=device,
    ).sentence  # fmt: skip
