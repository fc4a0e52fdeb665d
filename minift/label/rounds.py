"""A round of a project: a model trained on what is labelled chooses the next texts to label.

Claim    Killed at any moment and given again, `ask` makes the same batch: a model that was
         trained is used, and the query goes on record last.
         No file that a person may have written in is ever written over.
Differs  - Models start from the pretrained weights in every round, and learn from the labelled
           texts in the order of the pool, so a model does not depend on who labelled first.
         - Until there is something to learn (two classes, or an entity) texts are drawn at
           random; the ledger then says so.
         - Drawing at random needs no model, so none is trained unless guesses are asked for.
Proof    tests/label/test_project.py
"""

import itertools
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from minift.active.loop import WATCHED, Asking, choose, class_counts, seed_of, take_look
from minift.active.streaming import mc_stream
from minift.checkpoints.weights import save_pretrained
from minift.data.examples import NONE, Example, joined, label_of, texts_of
from minift.data.tags import to_iob2
from minift.errors import MiniftError, require
from minift.files import atomic_folder, atomic_write, digest
from minift.label.formats.exchange import FORMATS, how, written
from minift.label.formats.labelstudio import labelling_config
from minift.label.formats.rows import Question
from minift.label.ledger import open_ledger
from minift.label.project import Project, command, load_project, read_state
from minift.runs.folder import load_run
from minift.runs.train import train as train_run
from minift.runs.tuned import FineTuned
from minift.training.loop import Seeds
from minift.version import __version__


class Asked(NamedTuple):
    """The texts that people are to label now."""

    ids: tuple[str, ...]  # the most wanted first
    path: Path  # the batch file
    round: int  # the number of the query
    notes: tuple[str, ...]  # what to know
    how: str  # what people do with the batch file
    answers: str  # the file that they then have: the same, or what a tool exports


def ask(
    folder: str | Path,
    count: int = 20,
    asking: Asking | None = None,
    *,
    format: str | None = None,
    more: bool = False,
    guess: bool | None = None,
    device: torch.device | str = "cpu",
) -> Asked:
    """Choose the next texts to label, write them for people, and put the query on record.

    `format` is that of the batch file (None: csv, or conll for tagging); `more` chooses although
    texts wait. With `guess` True a model is trained also for random texts, for its guesses and its
    advice; False writes no guesses. MiniftError if texts wait, or if none is left.
    """
    project, asking = load_project(folder), asking or Asking()
    require(count >= 1, "the number -n of texts", count, "at least 1")
    format = format or ("conll" if project.task == "tagging" else "csv")
    written(format, [], project.task)  # an unknown format is refused now, not after the training
    asking.require_for(project.task)
    with open_ledger(project.ledger, project.ids, project.answers) as ledger:
        state, notes = ledger.state, list(ledger.journal.notes)
        if (waiting := state.waiting) and not more:
            rounds = ", ".join(map(str, sorted({state.queried[id] for id in waiting})))
            raise MiniftError(
                f"texts that still wait for a label: {len(waiting)} (asked in round {rounds}; see "
                f"{project.folder / 'batches'}). Label: {_here(project, folder)}. Or --more "
                "chooses others"
            )
        if not state.pool:
            raise MiniftError(
                f"no text is left to ask for: of {len(state.ids)}, {len(state.labelled)} are "
                f"labelled, {len(state.skipped)} skipped, {len(waiting)} waiting. Train: "
                f"{command('train', folder)}"
            )
        round = 1 + max((e["round"] for e in ledger.journal.events if "round" in e), default=0)
        if count > len(state.pool):
            notes.append(f"{count} were asked for; these are the last {len(state.pool)}")
        tuned, labelled, drawn = None, project.labelled(state), asking.strategy == "random"
        if why := lacking(project, labelled):
            what = "there are no guesses" if drawn else "these texts are drawn at random"
            notes += [f"{why}, so {what}"] if guess or not drawn else []
            asking, drawn = Asking("random"), True
        elif guess or not drawn:
            tuned = _model(project, labelled, round, device)
        seed = seed_of(project.seed, round)
        choice = choose(asking, tuned, [*project.examples(state.pool)], count, seed)
        by_id = {example.id: example for example in project.examples(choice.ids)}
        examples = [by_id[id] for id in choice.ids]
        said = guesses(tuned, examples) if tuned and guess is not False else {}
        questions = [  # a random number is not a reason that helps anybody
            Question(example, None if drawn else score, *said.get(example.id, ()))
            for example, score in zip(examples, choice.scores)
        ]
        # The file first: if this is killed in between, the same command chooses the same again.
        content = written(format, questions, project.task).encode()
        batches, suffix = project.folder / "batches", FORMATS[format].suffix
        numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        paths = (batches / f"{round:03d}{number}{suffix}" for number in numbers)
        path = next(p for p in paths if not p.exists() or p.read_bytes() == content)
        atomic_write(path, content)
        pairs = any(len(texts_of(example)) > 1 for example in examples)
        if format == "labelstudio":
            interface = labelling_config(project.answers, project.task, pairs)
            atomic_write(batches / "labelstudio.xml", interface)
        ledger.query(choice.ids, choice.scores, asking.strategy, seed, round)
    todo = how(format, path, project.types, project.task, pairs)
    export = FORMATS[format].export or str(path)
    return Asked(tuple(choice.ids), path, round, tuple(notes), todo, export)


def lacking(project: Project, labelled: Sequence[Example]) -> str:
    """Say why no model can be trained yet, or ''."""
    if not labelled:
        return "nothing is labelled yet"
    if project.task == "tagging":
        entities = class_counts(labelled, project.labels)
        return "" if any(entities.values()) else "no entity is labelled yet"
    given = [label_of(example) for example in labelled]
    return "" if len({*given}) > 1 else f'all labels so far are "{joined(given[0])}"'


def guesses(
    tuned: FineTuned, examples: Iterable[Example]
) -> dict[str, tuple[str | tuple[str, ...], float]]:
    """Return what the model would answer, and how sure it is (of words: on average)."""
    found = {}
    for chunk, rows in mc_stream(tuned, examples, passes=1, layers="none"):
        for example, row in zip(chunk, rows):
            best = row[0].max(-1)
            label: str | tuple[str, ...]
            if tuned.task == "multilabel":
                label = tuned.decision.applying(row[0, :, 1].tolist(), tuned.labels) or (NONE,)
            else:
                names = [tuned.labels[i] for i in best.indices.tolist()]
                label = tuple(to_iob2(names, "iob2")) if tuned.task == "tagging" else names[0]
            found[example.id] = (label, float(best.values.mean()))
    return found


def _name(project: Project, labelled: Sequence[Example]) -> str:
    """Return a digest of all that a model depends on."""
    made_by = [__version__, project.encoder, project.method, project.head, project.seed]
    answers = [[example.id, label_of(example)] for example in labelled]
    return digest(json.dumps([*made_by, asdict(project.settings), project.pool, answers]))[:12]


def _model(
    project: Project, labelled: Sequence[Example], round: int, device: torch.device | str
) -> FineTuned:
    """Return a model of the labels there are; train it if it is not there."""
    name = _name(project, labelled)
    models = project.folder / "models"
    there = next(models.glob(f"*-{name}"), None)
    if there is None:
        print(f"training on {len(labelled)} labels ...", file=sys.stderr)
        tuned = project.learner(device).fit(labelled, Seeds.all(project.seed))
        there = models / f"{round:03d}-{name}"
        with atomic_folder(there) as new:
            save_pretrained(tuned.model, tuned.tokenizer, new)
    # Also after training: both ways give the same bits.
    tuned = load_run(there, device, project.settings.precision)
    look = models / f"{round:03d}.json"
    if not look.exists() or json.loads(look.read_text(encoding="utf-8"))["model"] != name:
        order = torch.randperm(len(project.ids), generator=torch.Generator().manual_seed(0))
        watched = {project.ids[i] for i in order[:WATCHED].tolist()}
        seen = take_look(tuned, project.examples(watched), len(labelled))
        atomic_write(look, json.dumps({"model": name, **asdict(seen)}) + "\n")
    for other in models.iterdir():  # also what a killed run left
        if other.is_dir() and other != there:
            shutil.rmtree(other, ignore_errors=True)
    return tuned


def train(
    folder: str | Path, out: str | Path | None = None, device: torch.device | str = "cpu"
) -> tuple[Path, dict[str, Any]]:
    """Train on all labels; return the run folder and the content of its result.json.

    Without `out` it is one in runs/ of the project, named after the number of labels.
    """
    project = load_project(folder)
    state, _, _ = read_state(project)
    labelled = project.labelled(state)
    if why := lacking(project, labelled):
        raise MiniftError(f"nothing to train on: {why}. Label some: {_here(project, folder)}")
    if out is None:
        out = project.folder / "runs" / f"{len(labelled):04d}-{_name(project, labelled)[:6]}"
        done = out / "result.json"
        if done.is_file():
            return out, json.loads(done.read_text(encoding="utf-8"))
    learner = project.learner(device, labelled)
    _, result = train_run(
        learner.dataset, learner.encoder, learner.recipe, seeds=Seeds.all(project.seed),
        head=learner.head, out=out, device=device, progress=True,
    )  # fmt: skip
    return Path(out), result


def _here(project: Project, folder: str | Path) -> str:
    """Return the command that takes answers; the terminal asks for classes only."""
    if project.task == "tagging":
        return f"fill in the batch file, then {command('import', folder)} FILE"
    return command("label", folder)
