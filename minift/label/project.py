"""A labelling project: one folder, which a model and people fill in turn.

Claim    Each command finds everything it needs in the folder and leaves it whole: a text is in
         the pool, waiting, skipped or labelled, and in one of these only; a label once given
         stays in the ledger. A command that was killed is simply given again, and its batch is
         the one that it would have been.
Proof    tests/label/test_project.py, which also covers pool, rounds, answers, status, score_files

    project.json     task, labels, encoder, method, settings, seed; digest of the pool
    pool.jsonl       the texts, with the ids and the lines they had
    left_out.jsonl   what of the file is not in the pool, and why (if anything)
    ledger.jsonl     every query and every label (see ledger.py); .lock: who is writing to it
    batches/         001.csv, 002.csv, ...: the texts of a round, for people
    models/          the last model; 001.json, ...: what that of each round said of 500 texts
    runs/            models of `minift active train`
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minift.active.loop import Learner
from minift.data.examples import NONE, Dataset, Example, TaggedExample, Task, TextExample, label_of
from minift.data.files.lines import refuse
from minift.data.files.readers import label_order, read_examples, refuse_amounts, repeated_ids
from minift.data.notes import alike_notes, class_notes
from minift.data.tags import OUTSIDE, TAG, labels_of, types_of
from minift.errors import MiniftError, nearest
from minift.files import atomic_folder, digest
from minift.journal import parse
from minift.label.formats.rows import named_texts
from minift.label.ledger import State, open_ledger, replay
from minift.label.pool import distinct, open_pool, with_labelled
from minift.methods.recipes import recipe
from minift.runs.folder import load_run
from minift.runs.tuned import FineTuned, Head
from minift.training.loop import Precision, Recipe, Seeds, Settings, select
from minift.version import __version__


@dataclass(frozen=True)
class Project:
    """What a project was started with."""

    folder: Path
    task: Task  # "classification", "multilabel" or "tagging"
    labels: tuple[str, ...]  # class names, or IOB2 tags
    encoder: str  # of each round's model, which is made anew
    method: str
    head: Head | None
    settings: Settings
    seed: int
    pool: str  # digest of pool.jsonl
    ids: tuple[str, ...]  # of all texts, in the order of the file

    @property
    def ledger(self) -> Path:
        """The file of all queries and labels."""
        return self.folder / "ledger.jsonl"

    @property
    def types(self) -> tuple[str, ...]:
        """What a person chooses among: classes, or types of entities."""
        return tuple(types_of(self.labels)) if self.task == "tagging" else self.answers

    @property
    def answers(self) -> tuple[str, ...]:
        """What may be on record; that no label applies is said, as silence is no answer."""
        return (*self.labels, NONE) if self.task == "multilabel" else self.labels

    def examples(self, ids: Iterable[str] | None = None) -> Iterator[Example]:
        """Read texts from the pool one by one, in its order; None reads all."""
        wanted = None if ids is None else set(ids)
        with (self.folder / "pool.jsonl").open(encoding="utf-8") as file:
            for row in map(json.loads, file):
                if wanted is not None and row["id"] not in wanted:
                    continue
                if "words" in row:
                    yield TaggedExample(row["id"], tuple(row["words"]))
                else:
                    yield TextExample(row["id"], row["text"], None, row.get("text_b"))

    def labelled(self, state: State) -> list[Example]:
        """Return the labelled texts, in the order of the pool."""
        given = state.labelled
        several = self.task == "multilabel"
        return [
            replace(e, tags=tuple(given[e.id]))
            if isinstance(e, TaggedExample)
            else replace(e, label=tuple({*given[e.id]} - {NONE}) if several else str(given[e.id]))
            for e in self.examples(given)
        ]

    def learner(self, device: torch.device | str, train: Sequence[Example] = ()) -> Learner:
        """Return how each round's model is made, with a data set of labelled texts."""
        dataset = Dataset(self.folder.resolve().name, self.task, self.labels, tuple(train))
        method = replace(recipe(self.method), settings=self.settings)
        return Learner(dataset, self.encoder, method, self.head, device)


def command(action: str, folder: str | Path) -> str:
    """Return a command of `minift active` that can be typed, whatever the folder is called."""
    return shlex.join(["minift", "active", action, str(folder)])


def start(
    pool: str | Path,
    labels: Sequence[str] | None,
    encoder: str | Path,
    out: str | Path,
    *,
    task: Task = "classification",
    method: Recipe | None = None,
    head: Head | None = None,
    seed: int = 0,
    format: str | None = None,
    text: str | None = None,
    text_b: str | None = None,
    labelled: str | Path | None = None,
    label: str | None = None,
) -> tuple[Project, list[str]]:
    """Return a new project, and notes on its pool; `out` is there whole, or not at all.

    The pool is a file of texts, read as by `open_pool`. `labels` are classes or types of entities;
    None takes those of the file `labelled`, whose texts, with the column `label`, join the pool as
    answered by the file. Encoder, method ("full") and head are what each round's model is made of.
    MiniftError if any of it does not fit; nothing is then written.
    """
    out = Path(out)
    if (out / "project.json").is_file():
        raise MiniftError(
            f"{out} already holds a project; continue it: {command('status', out)}. For a new one "
            "choose another --out"
        )
    if out.is_file() or any(out.glob("*")):
        raise MiniftError(f"{out} is there already and is not a project; choose another --out")
    given, notes = tuple[Example, ...](), list[str]()
    known = _labels(labels, task) if labels else ()
    if labelled is not None:
        rows = read_examples(
            labelled, task=task, text=text, text_b=text_b, label=label, require_labels=False,
            labels=known, notes=notes,
        )  # fmt: skip
        given = tuple(example for example in rows if label_of(example))
    if not known:
        if task == "classification" and given:
            how = "a project is for classes; if each number is one, name them with --labels"
            refuse_amounts(Path(labelled or ""), given, how)
        order = label_order(given, task)
        known = _labels(types_of(order) if task == "tagging" else order, task, labelled)
    source = open_pool(pool, task, format, text, text_b)
    found = list(source.rows())
    kept, left_out = distinct(found)
    alone, file = len(kept), Path(labelled or "")
    kept, answers = with_labelled(kept, given, file)
    refuse(Path(pool), repeated_ids([*found, *kept]))
    if not kept:
        raise MiniftError(f"{pool}: there is no text in it")
    if (Path(encoder) / "config.json").is_file():
        encoder = Path(encoder).resolve()  # the project may be used from another folder
    texts = _json_lines(
        {"id": e.id, "line": line}
        | ({"words": e.words} if isinstance(e, TaggedExample) else named_texts(e))
        for line, e in kept
    )
    dataset = Dataset("", task, known, tuple(example for _, example in kept))
    learner = Learner(dataset, encoder, method or recipe("full"), head)
    method, ids = learner.recipe, tuple(example.id for example in dataset.train)
    made_of = (str(encoder), method.name, learner.head, method.settings, seed, digest(texts)[:16])
    project = Project(out, task, known, *made_of, ids)
    tuned = learner.build(Seeds.all(seed))
    select(tuned.model, method.trainable)
    facts = {"minift_version": __version__, **asdict(project), "texts": len(ids)}
    del facts["folder"], facts["ids"]
    with atomic_folder(out) as new:
        (new / "pool.jsonl").write_bytes(texts)
        if left_out:
            (new / "left_out.jsonl").write_bytes(_json_lines(left_out))
        with open_ledger(new / "ledger.jsonl", ids, project.answers) as ledger:
            if answers:
                ledger.query([*answers], [], "given", seed, 0)
            for id, several in answers.items():
                for one in several:
                    ledger.label(id, one, file.name)
        (new / "project.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    notes += [*source.notes, *alike_notes(project.types)]
    notes += class_notes(given) if given and task != "tagging" else []
    notes += tuned.notes(item for e in dataset.train for item in tuned.items([e]))
    if labelled is not None:
        both = f"{alone + len(answers) - len(ids)} of which are in {Path(pool).name} as well"
        notes.append(f"labels on record: {len(given)}, of {len(answers)} texts, {both}")
    elif source.has_labels:
        notes.append("the labels in the file are ignored (--labelled FILE puts them on record)")
    if left_out:
        empty = sum(row["why"] == "empty" for row in left_out)
        notes.append(
            f"lines that are left out: {empty} without a word, {len(left_out) - empty} with a text "
            f"that is in the pool; they are in {out / 'left_out.jsonl'}"
        )
    return project, notes


def _json_lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _labels(names: Sequence[str], task: Task, file: str | Path | None = None) -> tuple[str, ...]:
    """Return the labels of a model for what a person chooses among, named or in a file."""
    if task == "regression":
        raise MiniftError(f"a project is for classes or for tagging, not for {task}")
    names = [name if file else name.strip() for name in names]
    kinds = {"classification": ("classes", 2), "multilabel": ("classes", 1)}
    what, least = kinds.get(task, ("types of entities", 1))
    if len(names) < least or not all(names):
        got = (f"{file}: its labels are " if file else "--labels ") + ",".join(names)
        such = "PER,ORG" if task == "tagging" else "pos,neg"
        how = (
            f" with commas between them, such as {such}, and no empty name; or give --labelled FILE"
        )
        how = f"; name all: --labels {such}" if file else f"{how}, whose labels are then taken"
        raise MiniftError(f"{got}: expected at least {least} {what}{how}")
    if twice := [name for name in names if names.count(name) > 1]:
        raise MiniftError(f'--labels: "{twice[0]}" is there twice')
    tags = [*filter(TAG.fullmatch, names)]
    types = dict.fromkeys(n[2:] if n in tags else n for n in names if n not in OUTSIDE)
    if tags and (task == "tagging" or (tags == names and len(types) < len(names))):  # not: B-a, B-b
        how = f"name the types of entities: --task tagging --labels {','.join(types)}"
        raise MiniftError(f'{file or "--labels"}: "{tags[0]}" is a tag; {how}')
    return labels_of(names) if task == "tagging" else tuple(names)


def load_project(folder: str | Path) -> Project:
    """Open a project folder; MiniftError if something in it is missing or was changed."""
    folder = Path(folder)
    file = folder / "project.json"
    if not file.is_file():
        near = nearest(folder.name, (path.name for path in folder.parent.glob("*")))
        raise MiniftError(
            f"{folder} is not a project: it has no project.json{near * (not folder.exists())} "
            "(begin one: minift active start --pool FILE --labels A,B --out FOLDER)"
        )
    for name in ("ledger.jsonl", "pool.jsonl"):  # all labels, all texts
        if not (folder / name).is_file():
            raise MiniftError(f"{folder / name} is missing; put it back from a backup")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        settings = {**facts["settings"], "betas": tuple(facts["settings"]["betas"])}
        values = {n: facts[n] for n in ("task", "encoder", "method", "head", "seed", "pool")}
        values |= {"labels": tuple(facts["labels"]), "settings": Settings(**settings)}
    except (ValueError, KeyError, TypeError) as error:
        raise MiniftError(
            f"{file} is damaged, or of another version ({error!r}); nothing was written. Put it "
            "back from a backup, or read it with that version"
        ) from error
    content = (folder / "pool.jsonl").read_bytes()
    if digest(content)[:16] != values["pool"]:
        raise MiniftError(
            f"{folder / 'pool.jsonl'} was changed since the start, and ids may now mean other "
            "texts; put it back from a backup, or start another project"
        )
    ids = tuple(json.loads(line)["id"] for line in content.splitlines())
    return Project(folder, **values, ids=ids)


def read_state(project: Project) -> tuple[State, list[dict[str, Any]], list[str]]:
    """Return where each text stands, all events, and notes on a line that was cut off.

    It is not opened for writing, so it can be read while somebody labels.
    """
    events, torn = parse(project.ledger.read_bytes(), str(project.ledger))
    state = replay(project.ids, project.answers, events, project.ledger)
    shown = torn.decode("utf-8", errors="backslashreplace")
    cut = f"{project.ledger}: the last line is cut off, or being written, and does not count: "
    return state, events, [cut + shown] if torn else []


def last_model(
    project: Project, device: torch.device | str = "cpu", precision: Precision | None = None
) -> FineTuned | None:
    """Return the last model, if there is one; `precision` None takes the project's."""
    found = sorted((project.folder / "models").glob("[0-9]*-*"))
    precision = precision or project.settings.precision
    return load_run(found[-1], device, precision) if found else None
