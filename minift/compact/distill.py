"""Distillation: a student learns from labels, and from how sure the teacher is of each label.

Claim    Each word of a step, whoever labelled it, adds
             label_weight * weight * -log q(label)  +  teacher_weight * T^2 * KL(p || q)
         and the sum is divided by the number of words. p is the teacher's softmax(z / T), q the
         student's at the same temperature T. The label of an unlabelled word is the teacher's
         best one (a pseudo-label); gold labels are never replaced.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294; T^2 is Hinton et
         al. (2015), https://arxiv.org/abs/1503.02531, section 2.
Differs  - The authors' documentation writes KL(student || teacher) without T^2; their code
           computes the above. Their default is "mse", the squared difference of the student's
           *log*-probabilities and the teacher's probabilities, which is not 0 where the two
           agree, and pulls the student to the uniform distribution. It is here by name.
         - Theirs averages KL over words, then over sentences, so words of short sentences weigh
           more there than in the cross-entropy.
         - With a CRF the first term is -log p(labels of the sentence), and q are its marginals at
           temperature T (see crf.py). Without transitions both are those of softmax.
         - A step takes a batch of each stream, so that 150 gold sentences are not drowned in
           thousands of others; a stream that ends is shuffled and begins again.
         - The weights that did best on the development split are kept; theirs saves the last
           ones. All parameters are clipped, the CRF's too.
         - The teacher weighs as much as the labels (1 and 1; theirs .1 and 1, earlier .5 and .5);
           3,000 steps (theirs 155 epochs); 5 % of the words are dropped (theirs: see tagger.py).
         - The rate is three times theirs: on WNUT-17 (300 labels, one seed, softmax) development
           F1 after 1,000 steps is .077 at 3e-3 and .041 at 1e-3 with random vectors, .105 (best
           look .150) at 3e-3 with the teacher's; the teacher is at .417.
Proof    tests/compact/test_distill.py
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from minift.bert.packing import to_device
from minift.compact.store import STORAGES, Storage
from minift.compact.student import Student, label_indices, label_losses
from minift.compact.tagger import Head, TaggerConfig
from minift.compact.vocabulary import Words
from minift.compact.word_vectors import WordVectors
from minift.data.examples import TaggedExample
from minift.errors import MiniftError, require, require_known
from minift.runs.resume import Checkpoints
from minift.runs.steps import Steps, StepTraining, rows_of, stream
from minift.training.loop import Seeds


@dataclass(frozen=True)
class Distillation:
    """What a student is, how it is taught, and how it is stored."""

    steps: int = 3000  # optimizer steps; the same number is the same work, whatever is labelled
    evaluate_every: int = 100  # steps between two looks at the development split
    batch_size: int = 10  # labelled sentences in a step
    unlabelled_batch_size: int = 10  # and unlabelled ones
    learning_rate: float = 3e-3  # of Adam, constant
    clip: float = 5.0  # largest norm of the whole gradient; 0 switches clipping off
    label_weight: float = 1.0  # w_s, of the labels, gold and pseudo
    teacher_weight: float = 1.0  # w_d, of what the teacher believes
    temperature: float = 1.0  # T, at which the two are compared
    loss: Literal["kl", "mse"] = "kl"  # "mse" is that of the authors' code
    pseudo_weight: float = 1.0  # of a pseudo-label beside a gold one; 0 uses none
    head: Head = "softmax"
    vectors: WordVectors = "teacher"  # where word vectors start; or "random"
    word_dropout: float = 0.05  # see `TaggerConfig`
    min_count: int = 2  # see `build_vocabulary`
    teacher_words: int = 0  # how many of the teacher's own are known, too (`whole_words`)
    storage: Storage = "float32"  # of the weights; the scores are those of the stored student

    def __post_init__(self) -> None:
        self.steps_of(None)  # judges steps, evaluate_every and clip
        TaggerConfig(1, 1, 1, head=self.head, word_dropout=self.word_dropout)  # judges these two
        require_known("storage", self.storage, STORAGES)
        require_known("vectors", self.vectors, get_args(WordVectors))
        sizes = (("batch_size", 1), ("unlabelled_batch_size", 1), ("min_count", 1))
        for name, least in (*sizes, ("teacher_words", 0)):
            value = getattr(self, name)
            good = type(value) is int and value >= least
            require(good, name, value, f"a whole number from {least} up")
        for name in ("learning_rate", "temperature"):
            value = getattr(self, name)
            require(0 < value < math.inf, name, value, "a positive number")
        for name in ("label_weight", "teacher_weight", "pseudo_weight"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "a number from 0 up")
        require(self.loss in ("kl", "mse"), "loss", self.loss, '"kl" or "mse"')
        if not self.label_weight and not self.teacher_weight:
            raise MiniftError("label_weight and teacher_weight are both 0: there is no loss")

    def steps_of(self, score: str | None) -> Steps:
        """Return what the loop is told; `score` names the figure that says what is kept."""
        return Steps(
            self.steps, lambda step: self.learning_rate, self.evaluate_every, self.clip, score
        )


@dataclass(frozen=True)
class Lesson:
    """One sentence with all that a student is told about it."""

    words: Words  # the words
    targets: Sequence[int]  # one label per word, `UNLABELLED` where there is none
    weight: float = 1.0  # of these labels; 1 for gold
    teacher: Tensor | None = None  # (words, labels) the teacher's logits, or None


def gold_lessons(
    examples: Sequence[TaggedExample],
    labels: Sequence[str],
    teacher: Sequence[Tensor] | None = None,
) -> list[Lesson]:
    """Make lessons of labelled sentences, with or without the teacher's logits.

    MiniftError if a tag is not one of `labels`, or a sentence has no tags.
    """
    beliefs = [None] * len(examples) if teacher is None else teacher
    if (bare := next((e.id for e in examples if e.tags is None), None)) is not None:
        raise MiniftError(f"sentence {bare} has no tags; give it as unlabelled text")
    return [Lesson(e.words, label_indices(e, labels), 1.0, z) for e, z in zip(examples, beliefs)]


def pseudo_lessons(
    sentences: Sequence[Words], teacher: Sequence[Tensor], settings: Distillation
) -> list[Lesson]:
    """Make lessons of unlabelled sentences, whose labels are the teacher's best ones."""
    weight = settings.pseudo_weight
    return [Lesson(s, z.argmax(1).tolist(), weight, z) for s, z in zip(sentences, teacher)]


def soft_losses(
    log_student: Tensor, teacher: Tensor, temperature: float, loss: Literal["kl", "mse"] = "kl"
) -> Tensor:
    """Compare beliefs, word by word, at one temperature, times its square.

    `log_student` (words, labels) are log-probabilities at `temperature`, `teacher` logits, which
    get no gradient. "kl" is KL(teacher || student), "mse" the mean over labels of
    (log-probability of the student - probability of the teacher)^2. The square keeps the gradient's
    size: at a high temperature it tends to (z_student - z_teacher) / labels, both centred.
    """
    log_teacher = (teacher.detach() / temperature).log_softmax(1)
    if loss == "mse":
        return temperature**2 * (log_student - log_teacher.exp()).square().mean(1)
    return temperature**2 * (log_teacher.exp() * (log_teacher - log_student)).sum(1)


def objective(student: Student, lessons: Sequence[Lesson], settings: Distillation) -> Tensor:
    """Return the loss of one step, a mean over all words of its lessons."""
    device = next(student.model.parameters()).device
    batch = to_device(student.vocabulary.encode([lesson.words for lesson in lessons]), device)
    logits = student.model(batch)
    targets = torch.tensor([t for lesson in lessons for t in lesson.targets], device=device)
    weights = torch.tensor([lesson.weight for lesson in lessons], device=device)
    hard = label_losses(student.model, logits, targets, batch.layout)
    if student.model.crf is None:  # one loss per word, not one per sentence
        weights = weights.repeat_interleave(torch.tensor(batch.layout.lengths, device=device))
    loss = settings.label_weight * (hard * weights.to(hard.dtype)).sum()
    if settings.teacher_weight:
        beliefs = [z for lesson in lessons if (z := lesson.teacher) is not None]  # `teach`: all
        believed = torch.cat(beliefs).to(logits)
        log_student = student.model.log_probabilities(logits, batch.layout, settings.temperature)
        soft = soft_losses(log_student, believed, settings.temperature, settings.loss)
        loss = loss + settings.teacher_weight * soft.sum()
    return loss / len(targets)


def teach(
    student: Student,
    labelled: Sequence[Lesson],
    unlabelled: Sequence[Lesson],
    settings: Distillation,
    seeds: Seeds,
    *,
    validate: Callable[[Student], tuple[float, float]] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: bool = False,
) -> StepTraining:
    """Train a student in place; it ends with its best weights, in evaluation mode.

    `labelled` are gold sentences, `unlabelled` pseudo-labelled ones, if any; of the seeds `order`
    and `dropout` are used. `validate` returns (loss, score) on the development split: the weights
    of the highest score, the earliest of equal ones, are kept; without it the last. From
    `checkpoints` a killed training resumes, to the same bits. Returns what happened: `records`
    (lines of history.jsonl), `kept_step`, `best`, `stopped`. MiniftError if there is no gold
    sentence, the teacher is missing, or the loss is not finite.
    """
    if not labelled:
        raise MiniftError("there are no labelled sentences; a student needs some to be judged by")
    streams = [(labelled, settings.batch_size, seeds.order)]
    if unlabelled:  # an order of its own, so that the order of gold does not depend on it
        streams.append((unlabelled, settings.unlabelled_batch_size, stream(seeds.order, 1)))
    if settings.teacher_weight and any(x.teacher is None for part, *_ in streams for x in part):
        raise MiniftError("teacher_weight is not 0, but the teacher was not asked about all words")

    def losses(step: int) -> dict[str, Tensor]:
        lessons = [x[i] for x, size, seed in streams for i in rows_of(step, len(x), size, seed)]
        return {"train_loss": objective(student, lessons, settings)}

    def look() -> dict[str, float]:
        return dict(zip(("dev_loss", "dev"), validate(student))) if validate else {}

    training = StepTraining(
        student.model,
        torch.optim.Adam(student.model.parameters()),
        losses,
        settings.steps_of("dev" if validate else None),
        seeds.dropout,
        checkpoints,
    )
    for _ in training.looks(look, progress):
        pass
    return training
