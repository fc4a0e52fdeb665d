"""What people answered in a file goes on record, and nothing of it is lost.

Claim    Every answer that can be used is in the ledger, every other is named with its place. The
         same file a second time changes nothing, also if the first time was cut short. A label
         that differs from one given before is kept beside it, counts, and is reported.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minift.errors import MiniftError
from minift.label.formats.exchange import read_answers
from minift.label.ledger import Decision, Label, open_ledger
from minift.label.project import load_project


@dataclass(frozen=True)
class Recorded:
    """What an import did.

    Args:
        labelled, skipped: answers that are new on record.
        same: answers that were on record already.
        changed: a sentence for each label that differs from one given before.
        problems: what could not be taken, with its line.
        unanswered: texts of the file without an answer.
        waiting: texts that still wait afterwards.
    """

    labelled: int
    skipped: int
    same: int
    changed: tuple[str, ...]
    problems: tuple[str, ...]
    unanswered: tuple[str, ...]
    waiting: int

    @property
    def usable(self) -> bool:
        """Whether there was any answer to take."""
        return self.labelled + self.skipped + self.same > 0


def import_answers(
    folder: str | Path, file: str | Path, format: str | None = None, by: str = "import"
) -> Recorded:
    """Put the answers of a file on record; a second import of the same file changes nothing.

    Args:
        folder: the project.
        file: as people left it.
        format: one of exchange.FORMATS; None goes by suffix and content.
        by: who says so.

    Raises:
        MiniftError: if the file cannot be read. What does not fit in it is no error but is
            listed in `problems`; the rest is recorded.
    """
    project = load_project(folder)
    with open_ledger(project.ledger, project.ids, project.labels) as ledger:
        examples = {example.id: example for example in project.examples()}
        found = read_answers(file, format, examples, project.labels, project.task)
        problems = list(found.problems)
        said: dict[str, list[tuple[Label | None, str]]] = {}
        for answer in found.answers:
            said.setdefault(answer.id, []).append((answer.label, answer.where))
        counts = {"labelled": 0, "skipped": 0, "same": 0}
        changed: list[str] = []
        standing: dict[str, list[Decision]] = {}
        for decision in ledger.state.standing.values():
            standing.setdefault(decision.id, []).append(decision)
        for id, answers in said.items():
            before = standing.get(id, [])
            known = _known([d.label for d in before if d.source == by], [a for a, _ in answers])
            counts["same"] += known
            now = before[-1] if before else None
            for label, where in answers[known:]:
                try:
                    if label is None:
                        ledger.skip(id, by)
                    else:
                        ledger.label(id, label, by)
                except MiniftError as error:
                    problems.append(f"{where}: {error}")
                    continue
                counts["skipped" if label is None else "labelled"] += 1
                if now is not None and now.label not in (None, label):
                    changed.append(
                        f"{where}: text {id!r} was {say(now.label)} ({now.source}) and is now "
                        f"{say(label)} ({by}); both are kept, the last one counts"
                    )
                now = next(reversed(ledger.state.standing.values()))
        waiting = len(ledger.state.waiting)
    return Recorded(
        **counts, changed=tuple(changed), problems=tuple(problems),
        unanswered=found.unanswered, waiting=waiting,
    )  # fmt: skip


def _known(before: Sequence[Label | None], answers: Sequence[Label | None]) -> int:
    """Return how many of the answers, from the first, are the last that were recorded."""
    for count in range(min(len(before), len(answers)), 0, -1):
        if before[-count:] == answers[:count]:
            return count
    return 0


def say(label: Label | None) -> str:
    """Show a label in a sentence."""
    return " ".join(label) if isinstance(label, list) else f'"{label}"'
