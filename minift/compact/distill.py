"""Distillation: a student learns from labels, and from how sure the teacher is of each label.

Claim    Each word of a step, whoever labelled it, adds
             label_weight * weight * -log q(label)  +  teacher_weight * T^2 * KL(p || q)
         and the sum is divided by the number of words. p is the teacher's softmax(z / T), q the
         student's at the same temperature T. The label of an unlabelled word is the teacher's
         best one (a pseudo-label); gold labels are never replaced.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294; T^2 is Hinton et
         al. (2015), https://arxiv.org/abs/1503.02531, section 2.
Differs  - The authors' documentation writes KL(student || teacher) without T^2; their code
           computes the above, and so do we. Their default is "mse", the squared difference of
           the student's *log*-probabilities and the teacher's probabilities. It is not 0 where
           the two agree, and pulls the student to the uniform distribution. It is here by name.
         - The sum is divided by all words of the step. Theirs averages KL over words, then over
           sentences, so words of short sentences weigh more there than in the cross-entropy.
         - With a CRF the first term is -log p(labels of the sentence), and q are its marginals at
           temperature T (see crf.py): what the student believes of *this* word, as p is what the
           teacher believes. Without transitions both are those of softmax.
         - A step takes a batch of each stream, so that 150 gold sentences are not drowned in
           thousands of others; a stream that ends is shuffled and begins again.
         - The weights that did best on the development split are the ones kept. Theirs saves the
           last ones in the folder "best_dev". All parameters are clipped, the CRF's too.
         - The rate is three times theirs. Measured on WNUT-17, teacher of 300 labels, one seed,
           softmax, development F1 (on half of it; at 1e-3 on all) after 1,000 steps with random
           word vectors: .077 at 3e-3, .041 at 1e-3 (.042 after 1,500). With the teacher's
           vectors .105 (best look: .150). All were still rising, the teacher is at .417; more
           steps and other rates: not measured.
Proof    tests/compact/test_distill.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

from minift.bert.dropout import set_dropout_generator
from minift.compact.student import Student, label_indices, label_losses
from minift.compact.vocabulary import Words
from minift.data.examples import TaggedExample
from minift.errors import MiniftError
from minift.runs.resume import Checkpoints
from minift.training.batches import UNLABELLED, shuffled
from minift.training.loop import Seeds, copy_of


@dataclass(frozen=True)
class Distillation:
    """How a student is taught.

    Args:
        steps: optimizer steps; the same number is the same work, whatever is labelled.
        evaluate_every: steps between two looks at the development split.
        patience: looks without a better score after which training stops; 0 never stops.
        batch_size, unlabelled_batch_size: sentences of each stream in a step.
        learning_rate: of Adam, constant.
        clip: largest norm of the whole gradient; 0 switches clipping off.
        label_weight: w_s, of the labels, gold and pseudo.
        teacher_weight: w_d, of what the teacher believes.
        temperature: T, at which the two are compared.
        loss: "kl", or "mse" as in the authors' code.
        pseudo_weight: of a pseudo-label beside a gold one; 0 uses none.
        confidence: a pseudo-label counts if the teacher gives it at least this probability.
    """

    steps: int = 3000
    evaluate_every: int = 100
    patience: int = 0
    batch_size: int = 10
    unlabelled_batch_size: int = 10
    learning_rate: float = 3e-3
    clip: float = 5.0
    label_weight: float = 1.0
    teacher_weight: float = 1.0
    temperature: float = 1.0
    loss: Literal["kl", "mse"] = "kl"
    pseudo_weight: float = 1.0
    confidence: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "evaluate_every", "batch_size", "unlabelled_batch_size"):
            if getattr(self, name) < 1:
                raise MiniftError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise MiniftError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("patience", "clip", "label_weight", "teacher_weight", "pseudo_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise MiniftError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.confidence <= 1:
            raise MiniftError(f"confidence is a probability, got {self.confidence}")
        if self.loss not in ("kl", "mse"):
            raise MiniftError(f'loss must be "kl" or "mse", got {self.loss!r}')
        if not self.label_weight and not self.teacher_weight:
            raise MiniftError("label_weight and teacher_weight are both 0: there is no loss")


@dataclass(frozen=True)
class Lesson:
    """One sentence with all that a student is told about it.

    Args:
        words: the words.
        targets: one label a word, `UNLABELLED` where there is none.
        weight: of these labels; 1 for gold.
        teacher: (words, labels) the teacher's logits, or None.
    """

    words: Words
    targets: Sequence[int]
    weight: float = 1.0
    teacher: Tensor | None = None


def gold_lessons(
    examples: Sequence[TaggedExample],
    labels: Sequence[str],
    teacher: Sequence[Tensor] | None = None,
) -> list[Lesson]:
    """Make lessons of labelled sentences, with or without the teacher's logits.

    Raises:
        MiniftError: if a tag is not one of `labels`, or a sentence has no tags.
    """
    index = {label: number for number, label in enumerate(labels)}
    beliefs = [None] * len(examples) if teacher is None else teacher
    for example in examples:
        if example.tags is None:
            raise MiniftError(f"sentence {example.id} has no tags; give it as unlabelled text")
    return [Lesson(e.words, label_indices(e, index), 1.0, z) for e, z in zip(examples, beliefs)]


def pseudo_lessons(
    sentences: Sequence[Words], teacher: Sequence[Tensor], settings: Distillation
) -> list[Lesson]:
    """Make lessons of unlabelled sentences: the teacher's best label where it is sure enough."""
    lessons = []
    for words, logits in zip(sentences, teacher):
        sureness, best = logits.softmax(1).max(1)
        targets = best.masked_fill(sureness < settings.confidence, UNLABELLED).tolist()
        lessons.append(Lesson(words, targets, settings.pseudo_weight, logits))
    return lessons


def soft_losses(
    log_student: Tensor, teacher: Tensor, temperature: float, loss: Literal["kl", "mse"] = "kl"
) -> Tensor:
    """Compare beliefs, word by word, at one temperature, times its square.

    The square keeps the gradient's size: at a high temperature that of a word tends to
    (z_student - z_teacher) / labels, both centred.

    Args:
        log_student: (words, labels) log-probabilities at `temperature`.
        teacher: (words, labels) logits; they get no gradient.
        temperature: T.
        loss: "kl" is KL(teacher || student); "mse" the mean over labels of
            (log-probability of the student - probability of the teacher)^2.

    Returns:
        (words,)
    """
    log_teacher = (teacher.detach() / temperature).log_softmax(1)
    if loss == "mse":
        return temperature**2 * (log_student - log_teacher.exp()).square().mean(1)
    return temperature**2 * (log_teacher.exp() * (log_teacher - log_student)).sum(1)


def objective(student: Student, lessons: Sequence[Lesson], settings: Distillation) -> Tensor:
    """Return the loss of one step, a mean over all words of its lessons."""
    device = next(student.model.parameters()).device
    batch = student.vocabulary.encode([lesson.words for lesson in lessons]).to(device)
    logits = student.model(batch)
    targets = torch.tensor([t for lesson in lessons for t in lesson.targets], device=device)
    weights = torch.tensor([lesson.weight for lesson in lessons], device=device)
    hard = label_losses(student.model, logits, targets, batch.layout)
    if student.model.crf is None:  # one loss a word, not one a sentence
        weights = weights.repeat_interleave(torch.tensor(batch.layout.lengths, device=device))
    loss = settings.label_weight * (hard * weights.to(hard.dtype)).sum()
    if settings.teacher_weight:
        beliefs = [z for lesson in lessons if (z := lesson.teacher) is not None]  # `teach`: all
        believed = torch.cat(beliefs).to(logits)
        log_student = student.model.log_probabilities(logits, batch.layout, settings.temperature)
        soft = soft_losses(log_student, believed, settings.temperature, settings.loss)
        loss = loss + settings.teacher_weight * soft.sum()
    return loss / len(targets)


@dataclass(frozen=True)
class Check:
    """One line of history.jsonl: a look at the development split.

    Args:
        step: optimizer steps so far.
        train_loss: mean of the steps since the last look.
        seconds: since the start of training.
        dev_loss, dev: loss and headline score on the development split, if there is one.
        best: this is the best score so far.
    """

    step: int
    train_loss: float
    seconds: float
    dev_loss: float | None = None
    dev: float | None = None
    best: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


@dataclass
class Taught:
    """What happened.

    Args:
        checks: the looks at the development split.
        kept_step: the step whose weights the student now has.
        best: the development score there; None without a development split.
        stopped: a sentence that says why training ended.
    """

    checks: list[Check] = field(default_factory=list)
    kept_step: int = 0
    best: float | None = None
    stopped: str = ""


def teach(
    student: Student,
    labelled: Sequence[Lesson],
    unlabelled: Sequence[Lesson],
    settings: Distillation,
    seeds: Seeds,
    *,
    validate: Callable[[Student], tuple[float, float]] | None = None,
    on_check: Callable[[Taught], None] | None = None,
    checkpoints: Checkpoints | None = None,
    progress: bool = False,
) -> Taught:
    """Train a student in place; it ends with its best weights, in evaluation mode.

    Args:
        student: to be trained.
        labelled: gold sentences.
        unlabelled: pseudo-labelled sentences, or none: ordinary training.
        settings: lengths, rates and weights.
        seeds: the random streams; this function uses `order` and `dropout`.
        validate: returns (loss, score) on the development split; the highest score is kept, the
            earliest if several are equal. Without it the last weights are kept.
        on_check: hears of each look, the last of `checks`; the student then has the weights of
            that moment.
        checkpoints: where a killed training is taken up, to the same bits; written after looks.
        progress: show a bar on standard error.

    Raises:
        MiniftError: if there is no gold sentence, the teacher is missing, or the loss is not
            finite.
    """
    if not labelled:
        raise MiniftError("there are no labelled sentences; a student needs some to be judged by")
    lessons = [*labelled, *unlabelled]
    if settings.teacher_weight and any(lesson.teacher is None for lesson in lessons):
        raise MiniftError("teacher_weight is not 0, but the teacher was not asked about all words")
    model = student.model
    parameters = dict(model.named_parameters())
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(parameters.values(), lr=settings.learning_rate)
    dropout = torch.Generator(device).manual_seed(seeds.dropout)
    set_dropout_generator(model, dropout)
    streams = [_endless(labelled, settings.batch_size, seeds.order)]
    if unlabelled:
        streams.append(_endless(unlabelled, settings.unlabelled_batch_size, seeds.order))

    taught, kept, without_better, done = Taught(), copy_of(parameters), 0, 0
    started, total, since = time.perf_counter(), 0.0, 0
    if checkpoints is not None and (state := checkpoints.load()) is not None:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(state["weights"][name])
                kept[name].copy_(state["kept"][name])
        optimizer.load_state_dict(state["optimizer"])
        dropout.set_state(state["dropout"])
        checks = [Check(**check) for check in state["checks"]]
        taught = Taught(checks, state["kept_step"], state["best"])
        without_better, done = state["without_better"], checks[-1].step
        started -= checks[-1].seconds
        for stream in streams:  # what these batches held is learned; only their turn must pass
            next(islice(stream, done - 1, done))
    bar = tqdm(total=settings.steps, initial=done, unit="step", disable=None if progress else True)
    model.train()
    for step in range(done + 1, settings.steps + 1):
        loss = objective(student, [x for stream in streams for x in next(stream)], settings)
        value = float(loss.detach())
        if not value < float("inf"):
            raise MiniftError(f"the loss became {value} at step {step}; lower the learning rate")
        optimizer.zero_grad()
        loss.backward()
        if settings.clip:
            nn.utils.clip_grad_norm_(parameters.values(), settings.clip)
        optimizer.step()
        bar.update()
        total, since = total + value, since + 1
        if step % settings.evaluate_every and step < settings.steps:
            continue

        model.eval()
        dev_loss, dev = validate(student) if validate else (None, None)
        better = dev is None or taught.best is None or dev > taught.best
        if better:
            kept, taught.kept_step, taught.best = copy_of(parameters), step, dev
        without_better = 0 if better else without_better + 1
        seconds = time.perf_counter() - started
        check = Check(step, total / since, seconds, dev_loss, dev, better)
        taught.checks.append(check)
        total, since = 0.0, 0
        shown = f"loss {check.train_loss:.3f}" + ("" if dev is None else f", dev {dev:.3f}")
        bar.set_postfix_str(shown)
        if on_check:
            on_check(taught)
        if settings.patience and without_better >= settings.patience:
            taught.stopped = f"no better score in {without_better} looks"
            break
        if checkpoints is not None and checkpoints.due:
            state = {
                "weights": copy_of(parameters),
                "kept": kept,
                "kept_step": taught.kept_step,
                "best": taught.best,
                "without_better": without_better,
                "optimizer": optimizer.state_dict(),
                "dropout": dropout.get_state(),
                "checks": [check.as_dict() for check in taught.checks],
            }
            checkpoints.save(step, state)
        model.train()
    bar.close()
    model.eval()
    with torch.no_grad():
        for name, weights in kept.items():
            parameters[name].copy_(weights)
    taught.stopped = taught.stopped or f"all {settings.steps} steps done"
    return taught


def _endless(lessons: Sequence[Lesson], size: int, seed: int) -> Iterator[list[Lesson]]:
    """Yield batches, pass after pass, each in a new order."""
    order = torch.Generator().manual_seed(seed)
    while True:
        yield from shuffled(lessons, size, order)
