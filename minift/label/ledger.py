"""The label ledger: what was asked, what people answered, and nothing is ever erased.

Claim    Where each text stands (pool, waiting, skipped, labelled) is a pure function of the
         events in the ledger. Whatever is asked, labelled, skipped or undone, in any order,
         every text stands in exactly one place, and every label ever given is still in the file.
Differs  A label is corrected by a new line, and undone by a line that names it. If one text got
         several labels the latest counts, and `conflicts` lists them all.
Proof    tests/label/test_ledger.py

    start   labels, and a digest of the pool's ids
    query   ids, scores, strategy, seed, round: all texts of one round in one line; round 0 is
            what was labelled before there was a project
    label   id, label (a class, a list of them, or one tag per word), source (who says so)
    skip    id, source: the text cannot be labelled
    undo    of: number of the label or skip that no longer counts
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from minift.data.examples import joined
from minift.data.tags import TAG
from minift.errors import MiniftError, require_known
from minift.files import digest
from minift.journal import LOST, Journal, open_journal

Label = str | list[str]


class Decision(NamedTuple):
    """What somebody decided about a text."""

    n: int  # number of the event
    id: str  # the text
    label: Label | None  # None if the text was skipped
    source: str  # who decided


@dataclass
class State:
    """Where each text stands after some events."""

    ids: dict[str, None]  # all texts
    labels: tuple[str, ...]  # the classes or tags there are
    queried: dict[str, int] = field(default_factory=dict)  # id -> round in which it was asked
    standing: dict[int, Decision] = field(default_factory=dict)  # not undone, by event, in order
    lost: bool = False  # whether a line is known to be lost; what it said is then not missed

    @property
    def decided(self) -> dict[str, Decision]:
        """The latest standing decision on each text."""
        return {decision.id: decision for decision in self.standing.values()}

    @property
    def pool(self) -> list[str]:
        """Texts that were never asked for, in the order of the pool."""
        return [id for id in self.ids if id not in self.queried]

    @property
    def waiting(self) -> list[str]:
        """Texts that were asked for and not yet decided, in the order of asking."""
        decided = self.decided
        return [id for id in self.queried if id not in decided]

    @property
    def skipped(self) -> list[str]:
        """Texts that somebody could not label."""
        return [id for id, decision in self.decided.items() if decision.label is None]

    @property
    def labelled(self) -> dict[str, Label]:
        """The label of each labelled text, in the order of labelling."""
        return {id: d.label for id, d in self.decided.items() if d.label is not None}

    @property
    def conflicts(self) -> dict[str, list[Decision]]:
        """Texts with several different labels that stand: the last of each list counts."""
        given = defaultdict[str, list[Decision]](list)
        for decision in self.standing.values():
            if decision.label is not None:
                given[decision.id].append(decision)
        return {id: ds for id, ds in given.items() if any(d.label != ds[0].label for d in ds)}

    @property
    def notes(self) -> list[str]:
        """What a user should know: texts with several labels, and that a line is lost."""
        notes = ["a line of the ledger is marked as lost; what it said is not counted"] * self.lost
        for id, given in self.conflicts.items():
            said = ", ".join(f"{say(d.label)} ({d.source})" for d in given)
            notes.append(f"text {id!r} has several labels: {said}; the last one counts")
        return notes

    def apply(self, event: dict[str, Any]) -> None:
        """Take in one event; raises MiniftError, before anything changes, if it does not fit."""
        self.check(event)
        kind = event["event"]
        if kind == "query":
            self.queried.update(dict.fromkeys(event["ids"], event["round"]))
        elif kind in ("label", "skip"):
            n, id = event["n"], event["id"]
            self.queried.setdefault(id, 0)  # its query was in a lost line
            self.standing[n] = Decision(n, id, event.get("label"), event["source"])
        elif kind == "undo":
            self.standing.pop(event["of"], None)
        elif kind == LOST:
            self.lost = True

    def check(self, event: dict[str, Any]) -> None:
        """Refuse an event that does not fit, saying why."""
        kind = event.get("event")
        if kind == "undo" and event["of"] not in self.standing and not self.lost:
            raise MiniftError(f"there is no standing decision {event['of']} to undo")
        if kind in ("start", "undo", LOST):
            return
        if kind not in ("query", "label", "skip"):
            raise MiniftError(f"unknown event {kind!r}; was the ledger made by a later minift?")
        for id in event["ids"] if kind == "query" else [event["id"]]:
            if id not in self.ids:
                raise MiniftError(f"text {id!r} is not in the pool of {len(self.ids)} texts")
            asked = self.queried.get(id)
            if kind == "query" and asked is not None:
                raise MiniftError(f"text {id!r} was already asked for, in round {asked}")
            if kind != "query" and asked is None and not self.lost:
                raise MiniftError(
                    f"text {id!r} was never asked for; label only texts of a query, so that the "
                    "ledger says how each was chosen"
                )
        if kind == "skip" and (label := self.labelled.get(id)):
            raise MiniftError(f"text {id!r} is labelled {label!r}; undo that to skip it")
        if kind == "label":
            given = [event["label"]] if isinstance(event["label"], str) else event["label"]
            if not isinstance(given, list) or not given:
                raise MiniftError(f"text {id!r}: {given!r} is not a label")
            for one in given:
                require_known(f"label of text {id!r}:", one, self.labels)


def say(label: Label | None) -> str:
    """Show a label in a sentence."""
    if label is None:
        return "skipped"
    tags = isinstance(label, list) and any(TAG.fullmatch(name) for name in label)
    return " ".join(label) if tags else f'"{joined(label)}"'


def replay(
    ids: Iterable[str], labels: Sequence[str], events: Iterable[dict[str, Any]], path: Path
) -> State:
    """Return where each text stands after the events of a file; one that does not fit is named."""
    state = State(dict.fromkeys(ids), tuple(labels))
    for event in events:
        try:
            state.apply(event)
        except (MiniftError, KeyError, TypeError) as error:
            n = event.get("n")
            raise MiniftError(f"{path}: event {n} does not fit: {error}") from error
    return state


@dataclass
class Ledger:
    """An open ledger: its state, and what can happen to it. Get one from `open_ledger`."""

    journal: Journal
    state: State

    def query(
        self, ids: Sequence[str], scores: Sequence[float], strategy: str, seed: int, round: int
    ) -> None:
        """Ask for labels of `ids`, which were chosen for their `scores`."""
        event = {"event": "query", "ids": list(ids), "scores": list(scores)}
        self._record({**event, "strategy": strategy, "seed": seed, "round": round})

    def label(self, id: str, label: Label, source: str) -> None:
        """Label a text that was asked for; a second label corrects the first."""
        self._record({"event": "label", "id": id, "label": label, "source": source})

    def skip(self, id: str, source: str) -> None:
        """Set a text aside that cannot be labelled; a label given later still counts."""
        self._record({"event": "skip", "id": id, "source": source})

    def undo(self, source: str) -> Decision:
        """Take back the latest label or skip, and return it."""
        if not self.state.standing:
            raise MiniftError("there is nothing to undo")
        latest = next(reversed(self.state.standing.values()))
        self._record({"event": "undo", "of": latest.n, "id": latest.id, "source": source})
        return latest

    def _record(self, event: dict[str, Any]) -> None:
        self.state.check(event)
        event["time"] = now().isoformat(timespec="seconds")
        self.state.apply(self.journal.append(event))


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc)


@contextlib.contextmanager
def open_ledger(path: str | Path, ids: Iterable[str], labels: Sequence[str]) -> Iterator[Ledger]:
    """Open the ledger of a pool, for this process alone; begin one if there is none.

    MiniftError if it is in use, damaged, or belongs to another pool: other `ids`, or another order.
    """
    ids = list(ids)
    pool = digest("\0".join(ids))[:16]
    start = {"event": "start", "labels": list(labels), "texts": len(ids), "pool": pool}
    with open_journal(path) as journal:
        if not journal.events:
            journal.append(start)
        first = journal.events[0]
        for key in ("labels", "texts", "pool"):
            if first.get("event") != LOST and first.get(key) != start[key]:
                raise MiniftError(
                    f"{path} belongs to another pool: its {key} is {first.get(key)}, here it is "
                    f"{start[key]}. Give the texts and labels it was begun with, or begin another"
                )
        yield Ledger(journal, replay(ids, labels, journal.events, Path(path)))
