"""A teacher, some labelled and much unlabelled text in; a folder with a student out.

Claim    The folder holds the student in one file, how it was made (distill.json), what happened
         (history.jsonl), what came out (result.json) and what it cost and bought (report.json).
         The best student so far is on the disk from the first look at the development split on.
Differs  - A sentence that is labelled is not also unlabelled: its gold tags are what counts.
         - Words of dev and test are unknown unless the text has them or `transductive` is on;
           sentences of them among the unlabelled text are counted in a note.
Proof    tests/compact/test_run.py
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from minift.bert.heads import encoder_of
from minift.checkpoints.tokenizer import split_words
from minift.compact.distill import Distillation, gold_lessons, pseudo_lessons, teach
from minift.compact.report import compression_report
from minift.compact.store import FILE, Storage, check_storage, load_student, save_student
from minift.compact.student import Student, label_indices, new_student
from minift.compact.teacher import tag_labels, teacher_logits
from minift.compact.vocabulary import Vocabulary, Words, build_vocabulary
from minift.compact.word_vectors import WordVectors, start_from_teacher, whole_words
from minift.data.entity_report import side_by_side
from minift.data.examples import Dataset, TaggedExample, as_sentences, gold_tags
from minift.data.files.lines import read_text
from minift.data.files.readers import read_examples
from minift.data.files.tokens import TAG
from minift.data.metrics import headline
from minift.errors import MiniftError
from minift.files import atomic_write
from minift.runs.steps import StepTraining
from minift.runs.train import FineTuned, is_labelled, open_run
from minift.training.loop import Seeds
from minift.version import __version__


def read_sentences(path: str | Path, format: str | None = None) -> list[tuple[str, ...]]:
    """Read unlabelled text; tags, if the file has them, are ignored.

    Args:
        path: a text file (suffix .txt or none), one sentence a line, cut into words by
            `split_words`; or a token file, JSONL, CSV or TSV.
        format: "text" or one of `read_examples`; None goes by the suffix.

    Raises:
        MiniftError: if the file is missing, empty or faulty.
    """
    path = Path(path)
    if format == "text" or (format is None and path.suffix in ("", ".txt")):
        lines = [line for _, line in read_text(path) if line.strip()]
        cells = [line.split() for line in lines]
        if all(len(row) == 2 and TAG.fullmatch(row[1]) for row in cells):
            raise MiniftError(
                f"{path}: one word and its tag a line: this is a token file; name it .conll"
            )
        sentences = [tuple(word for word, _, _ in split_words(line)) for line in lines]
    else:
        examples = read_examples(path, format=format, require_labels=False)
        sentences = [
            e.words if isinstance(e, TaggedExample) else tuple(w for w, _, _ in split_words(e.text))
            for e in examples
        ]
    sentences = [words for words in sentences if words]
    if not sentences:
        raise MiniftError(f"{path}: there are no words in it")
    return sentences


def distill(
    teacher: FineTuned,
    dataset: Dataset,
    unlabelled: Sequence[Words],
    out: str | Path | None = None,
    *,
    settings: Distillation | None = None,
    seeds: Seeds | None = None,
    head: Literal["softmax", "crf"] = "softmax",
    vectors: WordVectors = "teacher",
    word_dropout: float = 0.05,
    min_count: int = 2,
    most_words: int | None = None,
    teacher_words: int = 0,
    transductive: bool = False,
    storage: Storage = "float32",
    cache: str | Path | None = None,
    teacher_files: str | Path | None = None,
    report: bool = True,
    command: str | None = None,
    save_every: float = 60.0,
    progress: bool = False,
) -> tuple[Student, dict[str, Any]]:
    """Teach a student, score it, and keep it.

    Args:
        teacher: a fine-tuned tagger; the student computes where it does.
        dataset: labelled sentences; dev chooses the weights, test is scored once.
        unlabelled: sentences without labels; none with teacher_weight 0 is plain training.
        out: folder to write; None writes nothing.
        settings: of the training; None takes the defaults.
        seeds: the random streams; None means 0.
        head: "softmax" or "crf".
        vectors: word vectors start as the "teacher" has them (see word_vectors.py), or at "random".
        word_dropout, min_count, most_words: see `TaggerConfig` and `build_vocabulary`.
        teacher_words: so many words of the teacher's own vocabulary are known, too (`whole_words`).
        transductive: let the words of dev and test into the vocabulary.
        storage: how the weights are stored; the scores are those of the stored student.
        cache: file that keeps what the teacher says.
        teacher_files: folder of the teacher's weights, to compare stored bytes.
        report: write report.json, too (sizes and speeds of both, on test, else on dev).
        command: what was typed, kept in distill.json and report.json.
        save_every: seconds between two checkpoints in `out`, from which a killed training goes on.
        progress: show bars on standard error.

    Returns:
        The student as stored, and the content of result.json.

    Raises:
        MiniftError: if the input does not fit, or `out` already holds a result.
    """
    started = time.perf_counter()
    settings, seeds = settings or Distillation(), seeds or Seeds.all(0)
    check_storage(storage)
    if vectors not in get_args(WordVectors):
        raise MiniftError(f'vectors must be "teacher" or "random", got {vectors!r}')
    labels = tag_labels(teacher)
    _refuse_unknown_tags(dataset, labels)
    folder = None if out is None else Path(out)
    train, dev, test = (as_sentences(part) for part in (dataset.train, dataset.dev, dataset.test))
    labelled = [example.words for example in train]
    gold = set(map(tuple, labelled))
    pool = [words for words in unlabelled if tuple(words) not in gold]
    notes = _notes(dataset, unlabelled, pool)
    vocabulary = build_vocabulary(
        labelled,
        pool,
        min_count=min_count,
        most_words=most_words,
        more_words=whole_words(teacher, teacher_words),
        transductive=[e.words for e in (*dev, *test)] if transductive else None,
    )
    # Without a weight for it, the text says which words there are and nothing else.
    read = pool if settings.teacher_weight or settings.pseudo_weight else []
    made = {
        "minift_version": __version__,
        "command": command,
        "data": dataset.name,
        "digest": _digest([dataset.train, dataset.dev, pool]),
        # Fine-tuning moves the classifier: it tells one teacher from another.
        "teacher": _digest([p.tolist() for p in teacher.model.classifier.parameters()]),
        "precision": encoder_of(teacher.model).precision,
        "labelled": len(labelled),
        "unlabelled": len(pool),
        "head": head,
        "vectors": vectors,
        "word_dropout": word_dropout,
        "min_count": min_count,
        "most_words": most_words,
        "teacher_words": teacher_words,
        "transductive": transductive,
        "storage": storage,
        "settings": asdict(settings),
        "seeds": asdict(seeds),
    }
    with open_run(folder, "distill", made, save_every, progress) as checkpoints:
        student = new_student(
            vocabulary,
            labels,
            torch.Generator().manual_seed(seeds.head),
            head=head,
            word_dropout=word_dropout,
        )
        if vectors == "teacher":
            start_from_teacher(student, teacher)
        student.model.to(next(teacher.model.parameters()).device)
        beliefs = None
        if settings.teacher_weight or read:
            beliefs = teacher_logits(teacher, [*labelled, *read], cache, progress)

        def on_look(taught: StepTraining) -> None:
            if folder is not None:
                lines = (json.dumps(record) + "\n" for record in taught.records)
                atomic_write(folder / "history.jsonl", "".join(lines))
                if taught.kept_step == taught.step:
                    save_student(student, folder, storage)

        def validate(student: Student) -> tuple[float, float]:
            found = student.evaluate(dev)
            return found.loss, headline("entity_f1", found.scores)

        taught = teach(
            student,
            gold_lessons(train, labels, beliefs and beliefs[: len(labelled)]),
            pseudo_lessons(read, beliefs[len(labelled) :], settings) if beliefs else [],
            settings,
            seeds,
            validate=validate if dev else None,
            on_look=on_look,
            checkpoints=checkpoints,
            progress=progress,
        )
        if folder is not None:
            device = next(student.model.parameters()).device
            student = load_student(save_student(student, folder, storage), device)
        result = {
            "data": dataset.name,
            "labelled": len(labelled),
            "unlabelled": len(pool),
            "metric": "entity_f1",
            "kept_step": taught.kept_step,
            "stopped": taught.stopped,
            "best_dev_in_training": taught.best,
            "unknown_words": _unknown_share(vocabulary, dataset),
            "notes": notes,
        }
        for split, examples in (("dev", dev), ("test", test)):
            scored = student.evaluate(examples) if examples and is_labelled(examples) else None
            result[split] = scored and headline("entity_f1", scored.scores)
            result[f"{split}_scores"] = scored and scored.scores
            result[f"{split}_entities"] = scored and side_by_side(
                gold_tags(examples), scored.predicted
            )
        result["seconds"] = round(time.perf_counter() - started, 2)
        if folder is not None:
            scorable = [part for part in (test, dev) if part and is_labelled(part)]
            if report and scorable:
                compared = compression_report(
                    teacher,
                    student,
                    scorable[0],
                    teacher_file=teacher_files,
                    student_file=folder / FILE,
                    command=command,
                )
                atomic_write(folder / "report.json", json.dumps(compared, indent=2) + "\n")
            atomic_write(folder / "result.json", json.dumps(result, indent=2) + "\n")
        if checkpoints is not None:
            checkpoints.delete()
    return student, result


def _digest(content: Any) -> str:
    return hashlib.sha256(repr(content).encode("utf-8")).hexdigest()[:16]


def _refuse_unknown_tags(dataset: Dataset, labels: Sequence[str]) -> None:
    """Refuse gold tags that the teacher has no column for."""
    if dataset.task != "tagging":
        raise MiniftError(f"{dataset.name} is for {dataset.task}; a student learns to tag words")
    if not dataset.train:
        raise MiniftError(f"{dataset.name} has no labelled training sentences")
    index = {label: number for number, label in enumerate(labels)}
    for split in ("train", "dev", "test"):
        for example in getattr(dataset, split):
            try:
                label_indices(example, index)
            except MiniftError as error:
                raise MiniftError(
                    f"{dataset.name}, {split}: {error}: the teacher was trained on other labels; "
                    "use the data it was trained on, or train a teacher on these"
                ) from None


def _notes(dataset: Dataset, given: Sequence[Words], pool: Sequence[Words]) -> list[str]:
    """Say what a user should know about the unlabelled text."""
    notes = []
    if same := len(given) - len(pool):
        notes.append(f"{same} unlabelled sentences are labelled ones; their gold tags are used")
    if given and not pool:
        notes.append("no unlabelled sentence is left; the student learns from the labelled ones")
    texts = set(map(tuple, pool))
    for split in ("dev", "test"):
        if seen := sum(example.words in texts for example in getattr(dataset, split)):
            notes.append(
                f"{seen} sentences of {split} are in the unlabelled text: the student has read "
                "them, so its score there is too good"
            )
    return [*notes, *dataset.notes]


def _unknown_share(vocabulary: Vocabulary, dataset: Dataset) -> dict[str, float]:
    """Return the share of words of each split that have no row of their own."""
    shares = {}
    for split in ("train", "dev", "test"):
        words = [word for example in getattr(dataset, split) for word in example.words]
        if words:
            shares[split] = sum(not vocabulary.word_id(word) for word in words) / len(words)
    return shares
