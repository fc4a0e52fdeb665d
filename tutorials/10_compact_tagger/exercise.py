"""Assignment 10: a compact tagger. Fill in what raises NotImplementedError; see assignment.md.

Check it as often as you like:  python tutorials/grade.py 10
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# --- Task 1: the loss of a lesson ---------------------------------------------------------------


def lesson_loss(
    student: Tensor,
    teacher: Tensor,
    targets: Tensor,
    mask: Tensor,
    temperature: float,
    label_weight: float,
    teacher_weight: float,
) -> Tensor:
    """Return the mean over words of what labels and teacher say.

    A word adds  label_weight * (-log q(target))  +  teacher_weight * T^2 * KL(teacher || student).
    The first term is at temperature 1; in the second both are softmax(logits / T).

    Args:
        student, teacher: (sentences, longest, labels) logits.
        targets: (sentences, longest) labels.
        mask: (sentences, longest), True for words; what stands elsewhere is padding.

    Returns:
        A scalar: the sum over all words of the batch, divided by their number.
    """
    raise NotImplementedError("task 1, lesson_loss: begin with log_softmax of both")


# --- Task 2: a conditional random field ---------------------------------------------------------


def log_partition(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Return log Z of one sentence: the log of the sum of exp(score) over all sequences of tags.

    score(tags) = start[first tag] + sum of emissions[word, tag]
                  + sum of transitions[tag, next tag] + end[last tag]

    Args:
        emissions: (words, labels), float64; some may be as large as 1000.
        transitions: (labels, labels) [tag, next tag].
        start, end: (labels,)
    """
    raise NotImplementedError("task 2, log_partition: begin with start + emissions[0]")


def viterbi(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor) -> list[int]:
    """Return the tags with the highest score, one a word. Arguments as for `log_partition`."""
    raise NotImplementedError("task 2, viterbi: begin with log_partition, and max for the sum")


# --- Task 3: find the bug -----------------------------------------------------------------------


def pseudo_labels(
    gold: list[int | None], teacher: Tensor, confidence: float, pseudo_weight: float
) -> list[tuple[int, float]]:
    """Return for each word its target and the weight of that target.

    A gold label is kept, with weight 1. Any other word gets the teacher's best tag; with
    `pseudo_weight` if the teacher gives that tag at least the probability `confidence`, with 0 if
    not. Label 0 is padding in this project: the teacher has a logit for it, which counts when
    probabilities are made of logits, but it is not a tag, and nothing is ever labelled so.

    This is complete, and wrong. Find out when, and fix it.

    Args:
        gold: of each word its label, 1 or more, or None.
        teacher: (words, labels) logits, label 0 among them.
    """
    sureness, best = teacher.softmax(1).max(1)
    found = []
    for label, p, guess in zip(gold, sureness.tolist(), best.tolist()):
        if label is not None:
            found.append((label, 1.0))
        else:
            found.append((guess, pseudo_weight if p >= confidence else 0.0))
    return found


# --- Task 4: write the test ---------------------------------------------------------------------


def test_soft_loss(candidate: Callable[..., float]) -> None:
    """Fail (with `assert`) if `candidate` does not compute the soft loss of a word.

    A right candidate: `candidate(student, teacher, temperature)` takes two lists of logits and T,
    and returns T^2 * KL(teacher || student), both softmax(logits / T). For instance, the student's
    [0, 0] and the teacher's [0, ln 3] at T = 1 give ln 2 - H(1/4) = 0.1308.

    You will be given two right candidates, which must pass, and six wrong ones, each of which
    has one mistake that people make. Compare within 1e-4.
    """
    raise NotImplementedError("task 4, test_soft_loss: begin with the example in its docstring")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {
    "student": 513_882,
    "words": 25_000,
    "width": 100,
    "more_words": 400_000,
    "row": [0.9, -1.27, 0.004, 0.3],
}
ANSWERS: dict[str, float | None] = {
    # How many times fewer parameters the student of assignment.md has than BERT-base: all of
    # both; without the tables of both; and all of both if the student keeps `more_words`.
    "times_fewer": None,
    "times_fewer_without_tables": None,
    "times_fewer_400k": None,
    # Its table of `words` words, stored in 8 bits as assignment.md says: bytes of it, and how many
    # times less than in 32 bits.
    "int8_bytes": None,
    "int8_times": None,
    # The `row` stored so and read again: the largest error of a number, to four digits.
    "int8_error": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
