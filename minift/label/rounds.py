"""A round of a project: a model trained on what is labelled chooses the next texts to label.

Claim    Killed at any moment and given again, `ask` makes the same batch: a model that was
         trained is used, scores that were computed are kept, and the query goes on record last.
         No file that a person may have written in is ever written over.
Differs  - Models start from the pretrained weights in every round, and learn from the labelled
           texts in the order of the pool, so a model does not depend on who labelled first.
         - Until there is something to learn (two classes, or an entity) texts are drawn at
           random; the ledger then says so.
         - Drawing at random needs no model, so none is trained unless guesses are asked for.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from minift.active.acquisition import batch_bald, select
from minift.active.advice import Look
from minift.active.loop import WATCHED, Asking, choose, fit, take_look
from minift.active.streaming import mc_stream
from minift.checkpoints.weights import save_pretrained
from minift.data.examples import Example, TaggedExample, TextExample, gold_classes, gold_tags
from minift.data.tags import to_iob2
from minift.errors import MiniftError
from minift.files import atomic_folder, atomic_write, digest
from minift.label.formats.exchange import FORMATS, written
from minift.label.formats.labelstudio import labelling_config
from minift.label.formats.rows import Question
from minift.label.ledger import Ledger, State, open_ledger
from minift.label.pool import texts_of
from minift.label.project import Project, load_project, read_state
from minift.label.score_files import read_scores, score_file
from minift.methods.recipes import recipe
from minift.runs.folder import load_run
from minift.runs.train import subset
from minift.runs.train import train as train_run
from minift.runs.tuned import FineTuned
from minift.training.loop import Precision, Seeds
from minift.version import __version__


@dataclass(frozen=True)
class Asked:
    """The texts that people are to label now.

    Args:
        ids: the most wanted first.
        path: the batch file, if one was asked for.
        round: the number of the query.
        notes: what to know.
    """

    ids: tuple[str, ...]
    path: Path | None
    round: int
    notes: tuple[str, ...] = ()


def ask(
    folder: str | Path,
    count: int = 20,
    asking: Asking | None = None,
    *,
    format: str | None = None,
    write: bool = True,
    again: bool = False,
    more: bool = False,
    guess: bool = False,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Asked:
    """Choose the next texts to label, write them for people, and put the query on record.

    Args:
        folder: the project.
        count: how many.
        asking: strategy and MC dropout; None for BALD.
        format: of the batch file (exchange.FORMATS); None: csv, or conll for tagging.
        write: whether to write a batch file at all; `minift active label` needs none.
        again: choose nothing; write what waits out again.
        more: choose although texts wait.
        guess: train a model also for random texts, for its guesses and its advice on stopping.
        device, progress: where to train, and whether to show bars on standard error.

    Raises:
        MiniftError: if texts wait and neither `again` nor `more` is given; if none is left.
    """
    project = load_project(folder)
    asking = asking or Asking()
    if count < 1:
        raise MiniftError(f"ask for at least 1 text, got {count}")
    format = format or ("conll" if project.task == "tagging" else "csv")
    if write:  # an unknown format is refused now, not after the training
        written(format, [], project.task)
    if project.task == "tagging" and asking.strategy == "batch_bald":
        raise MiniftError("batch_bald needs one label per text; for sentences take bald")
    with open_ledger(project.ledger, project.ids, project.labels) as ledger:
        state, events = ledger.state, ledger.journal.events
        notes = list(ledger.journal.notes)
        round = max((e["round"] for e in events if e["event"] == "query"), default=0)
        if again:
            return _ask_again(project, ledger, format if write else None, round, notes, device)
        _require_free(project, state, more)
        round += 1
        if count > len(state.pool):
            notes.append(f"{count} were asked for; these are the last {len(state.pool)}")
        tuned, model = None, ""
        labelled = project.labelled(state)
        if why := lacking(project, labelled):
            if asking.strategy != "random":
                notes.append(f"{why}, so these texts are drawn at random")
            elif guess:
                notes.append(f"{why}, so there are no guesses")
            asking = Asking("random")
        elif asking.strategy != "random" or guess:
            tuned, model = _model(project, labelled, round, device, progress)
        ids, scores, said = _choose(project, state, asking, tuned, model, count, round, progress)
        notes += said
        # The file first: if this is killed in between, the same command chooses the same again.
        path = None
        if write:  # a random number is not a reason that helps anybody
            drawn = asking.strategy == "random"
            shown = {id: None if drawn else score for id, score in zip(ids, scores)}
            path, said = _write_batch(project, shown, tuned, format, f"{round:03d}")
            notes += said
        ledger.query(ids, scores, asking.strategy, _seed(project, round), round)
    return Asked(tuple(ids), path, round, tuple(notes))


def _require_free(project: Project, state: State, more: bool) -> None:
    """Refuse to choose while texts wait, unless somebody wants more, and when none is left."""
    waiting, folder = state.waiting, project.folder
    if waiting and not more:
        wait = "1 text still waits" if len(waiting) == 1 else f"{len(waiting)} texts still wait"
        rounds = sorted({state.queried[id] for id in waiting})
        where = f"round{'s' if len(rounds) > 1 else ''} " + ", ".join(map(str, rounds))
        raise MiniftError(
            f"{wait} for a label (asked in {where}). Label: minift active label {folder}. Or "
            "--again writes them out again; --more chooses others as well"
        )
    if not state.pool:
        raise MiniftError(
            f"no text is left to ask for: of {len(state.ids)}, {len(state.labelled)} are "
            f"labelled, {len(state.skipped)} skipped, {len(waiting)} waiting. Train: minift "
            f"active train {folder}"
        )


def _seed(project: Project, round: int) -> int:
    return 1_000_003 * project.seed + round  # other masks and draws in each round


def lacking(project: Project, labelled: Sequence[Example]) -> str:
    """Say why no model can be trained yet, or ''."""
    if not labelled:
        return "nothing is labelled yet"
    if project.task == "tagging":
        entity = any(tag != "O" for tags in gold_tags(labelled) for tag in tags)
        return "" if entity else "no entity is labelled yet"
    classes = gold_classes(labelled)
    return "" if len(set(classes)) > 1 else f'all labels so far are "{classes[0]}"'


def _choose(
    project: Project,
    state: State,
    asking: Asking,
    tuned: FineTuned | None,
    model: str,
    count: int,
    round: int,
    progress: bool,
) -> tuple[list[str], list[float], list[str]]:
    """Return ids, scores, and notes."""
    seed, pool = _seed(project, round), state.pool
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if tuned is None or asking.strategy == "random":
            choice = choose(asking, tuned, list(project.examples(pool)), count, seed)
            return list(choice.ids), list(choice.scores), []
        key = {"model": model, "seed": seed, **asdict(asking), "texts": _short(pool)}
        path = project.folder / "scores" / f"{round:03d}-{_short(key)}.jsonl"
        score_file(tuned, project.examples(pool), len(pool), asking, seed, path, key, progress)
        ids, values = read_scores(path)
        if asking.strategy == "batch_bald":
            draws = torch.tensor(values, dtype=torch.float64).transpose(0, 1)
            indices, scores = batch_bald(draws, count, seed)
        else:
            indices = select(torch.tensor(values, dtype=torch.float64), count, seed)
            scores = [values[i] for i in indices]
    for other in path.parent.iterdir():
        if other != path:
            other.unlink()
    said = [str(warning.message) for warning in caught if warning.category is UserWarning]
    return [ids[i] for i in indices], scores, said


def _ask_again(
    project: Project,
    ledger: Ledger,
    format: str | None,
    round: int,
    notes: list[str],
    device: torch.device | str,
) -> Asked:
    """Write the waiting texts out again, with the scores that they were chosen for."""
    ids = ledger.state.waiting
    if not ids:
        raise MiniftError(
            f"no text waits for a label; choose some: minift active next {project.folder}"
        )
    scored: dict[str, float] = {}
    for event in ledger.journal.events:
        if event["event"] == "query" and event["strategy"] != "random":
            scored |= zip(event["ids"], event["scores"])
    path = None
    if format is not None:
        shown = {id: scored.get(id) for id in ids}
        tuned = last_model(project, device)
        path, said = _write_batch(project, shown, tuned, format, f"{round:03d}-again")
        notes += said
    return Asked(tuple(ids), path, round, tuple(notes))


def _write_batch(
    project: Project,
    scores: dict[str, float | None],
    tuned: FineTuned | None,
    format: str,
    name: str,
) -> tuple[Path, list[str]]:
    """Write the questions, never over a file that a person may have written in."""
    by_id = {example.id: example for example in project.examples(scores)}
    said = guesses(tuned, [by_id[id] for id in scores]) if tuned else {}
    questions = [
        Question(by_id[id], score, *said.get(id, (None, None))) for id, score in scores.items()
    ]
    folder, suffix = project.folder / "batches", FORMATS[format].suffix
    content = written(format, questions, project.task).encode()
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    paths = (folder / (name + suffix) for name in names)
    path = next(p for p in paths if not p.exists() or p.read_bytes() == content)
    atomic_write(path, content)
    if format != "labelstudio":
        return path, []
    config = folder / "labelstudio.xml"
    pairs = any(len(texts_of(example)) > 1 for example in by_id.values())
    atomic_write(config, labelling_config(project.labels, project.task, pairs))
    return path, [f"the labelling interface for Label Studio's settings: {config}"]


def guesses(
    tuned: FineTuned, examples: Iterable[Example]
) -> dict[str, tuple[str | tuple[str, ...], float]]:
    """Return what the model would answer, and how sure it is (of words: on average)."""
    found = {}
    for chunk, rows in mc_stream(tuned, examples, passes=1, layers="none"):
        for example, row in zip(chunk, rows):
            best = row[0].max(-1)
            names = [tuned.labels[i] for i in best.indices.tolist()]
            tagged = tuned.task == "tagging"
            label = tuple(to_iob2(names, "iob2")) if tagged else names[0]
            found[example.id] = (label, float(best.values.mean()))
    return found


def _short(facts: Any) -> str:
    return digest(json.dumps(facts))[:12]


def _made_of(project: Project, labelled: Sequence[Example]) -> list[Any]:
    """Return all that a model depends on."""
    answers = [[e.id, e.tags if isinstance(e, TaggedExample) else e.label] for e in labelled]
    made_by = [__version__, project.encoder, project.method, project.head, project.seed]
    return [*made_by, asdict(project.settings), project.pool, answers]


def _model(
    project: Project,
    labelled: Sequence[Example],
    round: int,
    device: torch.device | str,
    progress: bool,
) -> tuple[FineTuned, str]:
    """Return a model of the labels there are, and its digest; train it if it is not there."""
    name = _short(_made_of(project, labelled))
    models = project.folder / "models"
    there = next(models.glob(f"*-{name}"), None)
    if there is None:
        if progress:
            what = f"{len(labelled)} labels: {project.encoder}, {project.method}"
            print(f"training on {what} ...", file=sys.stderr)
        tuned = fit(
            project.dataset(), labelled, project.encoder, recipe(project.method),
            Seeds.all(project.seed), project.settings, None, device, project.head,
        )  # fmt: skip
        there = models / f"{round:03d}-{name}"
        with atomic_folder(there) as new:
            save_pretrained(tuned.model, tuned.tokenizer, new)
    # Also after training: both ways give the same bits.
    tuned = load_run(there, device, project.settings.precision)
    look = models / f"{round:03d}.json"
    if not look.exists() or json.loads(look.read_text(encoding="utf-8"))["model"] != name:
        seen = {"model": name, **asdict(_look(project, tuned, len(labelled)))}
        atomic_write(look, json.dumps(seen) + "\n")
    for other in models.iterdir():  # also what a killed run left
        if other.is_dir() and other != there:
            shutil.rmtree(other, ignore_errors=True)
    return tuned, name


def last_model(
    project: Project, device: torch.device | str = "cpu", precision: Precision | None = None
) -> FineTuned | None:
    """Return the last model, if there is one; `precision` None takes the project's."""
    found = sorted((project.folder / "models").glob("[0-9]*-*"))
    precision = precision or project.settings.precision
    return load_run(found[-1], device, precision) if found else None


def _look(project: Project, tuned: FineTuned, labelled: int) -> Look:
    """See what a model says of texts that are the same in every round."""
    ids = [TextExample(id, "") for id in project.ids]
    watched = {e.id for e in subset(ids, min(WATCHED, len(ids)), seed=0)}
    return take_look(tuned, project.examples(watched), labelled)


def train(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> tuple[Path, dict[str, Any]]:
    """Train on all labels, into a run folder as of `minift train`.

    Args:
        folder: the project.
        out: None takes a folder in runs/ of the project, named after the number of labels.
        device, progress: as for `ask`.

    Returns:
        The run folder and the content of its result.json.

    Raises:
        MiniftError: if there is nothing to learn from yet.
    """
    project = load_project(folder)
    state, _, _ = read_state(project)
    labelled = project.labelled(state)
    if why := lacking(project, labelled):
        raise MiniftError(f"nothing to train on: {why}. Label some: minift active label {folder}")
    if out is None:
        name = _short(_made_of(project, labelled))
        out = project.folder / "runs" / f"{len(labelled):04d}-{name[:6]}"
        done = out / "result.json"
        if done.is_file():
            return out, json.loads(done.read_text(encoding="utf-8"))
    _, result = train_run(
        project.dataset(labelled), project.encoder, recipe(project.method),
        seeds=Seeds.all(project.seed), settings=project.settings, head=project.head, out=out,
        device=device, progress=progress,
    )  # fmt: skip
    return Path(out), result
