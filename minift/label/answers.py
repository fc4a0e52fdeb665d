"""What people answered in a file goes on record, and nothing of it is lost.

Claim    Every answer that can be used is in the ledger, every other is named with its place. The
         same file a second time changes nothing, also if the first time was cut short. A label
         that differs from one given before is kept beside it, counts, and is reported. An older
         file does not undo a correction.
Differs  What a person has said before and corrected since is not news: it is reported, and taken
         only with `again`.
Proof    tests/label/test_project.py
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from minift.errors import MiniftError
from minift.label.formats.exchange import read_answers
from minift.label.formats.rows import Answer
from minift.label.ledger import Decision, Label, open_ledger, say
from minift.label.project import load_project


@dataclass(frozen=True)
class Recorded:
    """What an import did."""

    labelled: int  # answers that are new on record
    skipped: int
    same: int  # answers that were on record already
    changed: tuple[str, ...]  # a sentence for each label that differs from one given before
    problems: tuple[str, ...]  # what could not be taken, with its line
    unanswered: tuple[str, ...]  # texts of the file without an answer
    waiting: int  # texts that still wait afterwards


def import_answers(
    folder: str | Path,
    file: str | Path,
    format: str | None = None,
    by: str = "import",
    again: bool = False,
) -> Recorded:
    """Put the answers of a file on record; a second import of the same file changes nothing.

    `format` is one of exchange.FORMATS; None goes by content and suffix. `by` answers where the
    file names no person; others are called as in the tool ("labelstudio:2"). `again` takes answers
    also where this person gave them before and corrected them since. MiniftError if the file cannot
    be read; what does not fit in it is in `problems`.
    """
    project = load_project(folder)
    taken: list[Label | None] = []
    said, standing = defaultdict[str, list[Answer]](list), defaultdict[str, list[Decision]](list)
    with open_ledger(project.ledger, project.ids, project.answers) as ledger:
        examples = {example.id: example for example in project.examples()}
        found = read_answers(file, format, examples, project.answers, project.task)
        problems, changed, same = list(found.problems), [], 0
        for answer in found.answers:
            said[answer.id].append(answer._replace(by=answer.by or by))
        for decision in ledger.state.standing.values():
            standing[decision.id].append(decision)
        for id, answers in said.items():
            before = standing[id]
            latest = {decision.source: decision for decision in before}
            known = [(d.source, d.label) for d in (latest.values() if again else before)]
            new = [answer for answer in answers if (answer.by, answer.label) not in known]
            same += len(answers) - len(new)
            now, last = before[-1] if before else None, answers[-1]
            if not new and now and now.label != last.label:
                changed.append(
                    f"{last.where}: text {id!r} stays {say(now.label)} ({now.source}): "
                    f"{say(last.label)} ({last.by}) was on record before that. If the file is "
                    "right, import it with --again"
                )
            for answer in new:
                try:
                    if answer.label is None:
                        ledger.skip(id, answer.by)
                    else:
                        ledger.label(id, answer.label, answer.by)
                except MiniftError as error:
                    problems.append(f"{answer.where}: {error}")
                    continue
                taken.append(answer.label)
                if now is not None and now.label not in (None, answer.label):
                    changed.append(
                        f"{answer.where}: text {id!r} was {say(now.label)} ({now.source}) and is "
                        f"now {say(answer.label)} ({answer.by}); both are kept, the last one counts"
                    )
                now = next(reversed(ledger.state.standing.values()))
        waiting = len(ledger.state.waiting)
    counts = len(taken) - taken.count(None), taken.count(None), same
    return Recorded(*counts, tuple(changed), tuple(problems), found.unanswered, waiting)
