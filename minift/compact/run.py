"""A teacher, some labelled and much unlabelled text in; a folder with a student out.

Claim    The folder holds the student in one file, how it was made (distill.json), what happened
         (history.jsonl) and what came out (result.json). A killed training is resumed.
Differs  A sentence that is labelled is not also unlabelled: its gold tags are what counts.
         Sentences of dev and test among the unlabelled text are counted in a note.
Proof    tests/compact/test_run.py
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from minift.checkpoints.weights import weights_digest
from minift.compact.distill import Distillation, Lesson, gold_lessons, pseudo_lessons, teach
from minift.compact.report import size_of
from minift.compact.store import load_student, save_student
from minift.compact.student import Student, label_indices, new_student
from minift.compact.teacher import tag_labels, teacher_logits
from minift.compact.vocabulary import Words, build_vocabulary
from minift.compact.word_vectors import start_from_teacher, whole_words
from minift.data.examples import Dataset, TaggedExample, as_sentences
from minift.data.files.texts import read_texts
from minift.data.metrics import headline
from minift.data.words import split_words
from minift.errors import MiniftError
from minift.files import atomic_write, digest
from minift.runs.folder import open_run
from minift.runs.train import score_splits
from minift.runs.tuned import FineTuned
from minift.speed.precision import precision_of
from minift.training.loop import Seeds
from minift.version import __version__


def read_sentences(path: str | Path) -> list[tuple[str, ...]]:
    """Read unlabelled text, cut into words. MiniftError if it is faulty, or has no words."""
    sentences = [
        e.words if isinstance(e, TaggedExample) else tuple(w for w, _, _ in split_words(e.text))
        for e in read_texts(path, task="tagging")
    ]
    if not (sentences := [*filter(None, sentences)]):
        raise MiniftError(f"{path}: it contains no words")
    return sentences


def distill(
    teacher: FineTuned,
    dataset: Dataset,
    unlabelled: Sequence[Words],
    out: str | Path | None = None,
    *,
    settings: Distillation | None = None,
    seeds: Seeds | int = 0,
    command: str | None = None,
    save_every: float = 60.0,
    progress: bool = False,
) -> tuple[Student, dict[str, Any]]:
    """Teach a student; return it as it is stored, and the content of result.json.

    The student computes where its teacher does. Of the labelled sentences in `dataset`, dev chooses
    the weights and test is scored once. Nothing `unlabelled` and teacher_weight 0 is plain
    training. The folder `out` (None writes nothing) gets a checkpoint each `save_every` seconds,
    from which a killed training resumes. `command` is what was typed. MiniftError if the input does
    not fit, or `out` already holds a result.
    """
    started = time.perf_counter()
    settings, seeds = settings or Distillation(), Seeds.all(seeds)
    _refuse_unknown_tags(dataset, tag_labels(teacher))
    gold = {tuple(example.words) for example in as_sentences(dataset.train)}
    pool = [words for words in unlabelled if tuple(words) not in gold]
    folder = None if out is None else Path(out)
    made = {  # all that decides how the student ends
        "minift_version": __version__,
        "command": command,
        "data": dataset.name,
        "digest": digest(repr([dataset.train, dataset.dev, pool]))[:16],
        "teacher": weights_digest(teacher.model),
        "precision": precision_of(teacher.model),
        "labelled": len(dataset.train),
        "unlabelled": len(pool),
        "settings": asdict(settings),
        "seeds": asdict(seeds),
    }

    def validate(student: Student) -> tuple[float, float]:
        found = student.evaluate(dataset.dev)
        return found.loss, headline("entity_f1", found.scores)

    with open_run(folder, "distill", made, save_every, progress) as checkpoints:
        pupil = _untaught(teacher, dataset, pool, settings, seeds)
        taught = teach(
            pupil,
            *_lessons(teacher, dataset, pool, settings, progress),
            settings,
            seeds,
            validate=validate if dataset.dev else None,
            checkpoints=checkpoints,
            progress=progress,
        )
        if folder is not None:
            lines = (json.dumps(record) + "\n" for record in taught.records)
            atomic_write(folder / "history.jsonl", "".join(lines))
            device = next(pupil.model.parameters()).device
            pupil = load_student(save_student(pupil, folder, settings.storage), device)
        scores, said = score_splits(pupil.evaluate, dataset, False)
        models = {"teacher": teacher.model, "student": pupil.model}
        result = {
            **{key: made[key] for key in ("data", "labelled", "unlabelled")},
            "metric": "entity_f1",
            **{f"{s}_parameters": size_of(m).parameters for s, m in models.items()},
            "kept_step": taught.kept_step,
            "stopped": taught.stopped,
            "best_dev_in_training": taught.best,
            "notes": [*_notes(dataset, unlabelled, pool), *said],
            **scores,
            "seconds": round(time.perf_counter() - started, 2),
        }
        if folder is not None and checkpoints is not None:
            atomic_write(folder / "result.json", json.dumps(result, indent=2) + "\n")
            checkpoints.delete()
    return pupil, result


def _untaught(
    teacher: FineTuned, dataset: Dataset, pool: Sequence[Words], how: Distillation, seeds: Seeds
) -> Student:
    """Return the student that training starts from, on the teacher's device."""
    train, more = as_sentences(dataset.train), whole_words(teacher, how.teacher_words)
    vocabulary = build_vocabulary([e.words for e in train], pool, how.min_count, more)
    source = torch.Generator().manual_seed(seeds.head)
    student = new_student(vocabulary, tag_labels(teacher), source, how.head, how.word_dropout)
    if how.vectors == "teacher":
        start_from_teacher(student, teacher)
    student.model.to(next(teacher.model.parameters()).device)
    return student


def _lessons(
    teacher: FineTuned,
    dataset: Dataset,
    pool: Sequence[Words],
    settings: Distillation,
    progress: bool,
) -> tuple[list[Lesson], list[Lesson]]:
    """Ask the teacher, and return what is learned from the labelled and the unlabelled text."""
    train, labels = as_sentences(dataset.train), tag_labels(teacher)
    # Without a weight for it, the text says which words there are and nothing else.
    read = pool if settings.teacher_weight or settings.pseudo_weight else []
    if not (settings.teacher_weight or read):
        return gold_lessons(train, labels), []
    beliefs = teacher_logits(teacher, [*(e.words for e in train), *read], progress)
    gold = gold_lessons(train, labels, beliefs[: len(train)])
    return gold, pseudo_lessons(read, beliefs[len(train) :], settings)


def _refuse_unknown_tags(dataset: Dataset, labels: Sequence[str]) -> None:
    """Refuse gold tags that the teacher has no column for."""
    if dataset.task != "tagging":
        raise MiniftError(f"{dataset.name} is for {dataset.task}; a student learns to tag words")
    if not dataset.train:
        raise MiniftError(f"{dataset.name} has no labelled training sentences")
    for split in ("train", "dev", "test"):
        try:
            for example in getattr(dataset, split):
                label_indices(example, labels)
        except MiniftError as error:
            raise MiniftError(
                f"{dataset.name}, {split}: {error}: the teacher was trained on other labels; "
                "use the data it was trained on, or train a teacher on these"
            ) from None


def _notes(dataset: Dataset, given: Sequence[Words], pool: Sequence[Words]) -> list[str]:
    """Say what a user should know about the unlabelled text."""
    notes = []
    if same := len(given) - len(pool):
        notes.append(f"unlabelled sentences that are labelled: {same}; their gold tags are used")
    if given and not pool:
        notes.append("no unlabelled sentence is left; the student learns from the labelled ones")
    texts = set(map(tuple, pool))
    for split in ("dev", "test"):
        if seen := sum(example.words in texts for example in getattr(dataset, split)):
            notes.append(
                f"sentences of {split} in the unlabelled text: {seen}; the student has read them, "
                "so its score there is too good"
            )
    return [*notes, *dataset.notes]
