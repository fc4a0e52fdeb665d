"""A solution in the order of the formulas; sums go from left to right."""

from __future__ import annotations

import math


def lesson_loss(student, teacher, targets, mask, temperature, label_weight, teacher_weight):
    student, teacher, targets = student[mask], teacher[mask], targets[mask]  # words only
    log_q = student.log_softmax(-1)
    hard = -log_q.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    log_student = (student / temperature).log_softmax(-1)
    log_teacher = (teacher / temperature).log_softmax(-1)
    soft = (log_teacher.exp() * (log_teacher - log_student)).sum(-1)
    return (label_weight * hard + teacher_weight * temperature**2 * soft).mean()


def log_partition(emissions, transitions, start, end):
    alpha = start + emissions[0]
    for row in emissions[1:]:
        alpha = (alpha.unsqueeze(1) + transitions).logsumexp(0) + row
    return (alpha + end).logsumexp(0)


def viterbi(emissions, transitions, start, end):
    score, came_from = start + emissions[0], []
    for here in emissions[1:]:
        step, previous = (score.unsqueeze(1) + transitions).max(0)
        came_from.append(previous)
        score = step + here
    tags = [int((score + end).argmax())]
    for previous in reversed(came_from):
        tags.append(int(previous[tags[-1]]))
    return tags[::-1]


def pseudo_labels(gold, teacher, confidence, pseudo_weight):
    probabilities = teacher.softmax(1)[:, 1:]
    sureness, best = probabilities.max(1)
    found = []
    for label, p, guess in zip(gold, sureness.tolist(), (best + 1).tolist()):
        if label is not None:
            found.append((label, 1.0))
        else:
            found.append((guess, pseudo_weight if p >= confidence else 0.0))
    return found


def test_soft_loss(candidate) -> None:
    third = math.log(3)
    assert abs(candidate([0.0, 0.0], [0.0, third], 1.0) - 0.1308) < 1e-4
    assert abs(candidate([0.5, 2.0, 0.1], [0.5, 2.0, 0.1], 3.0)) < 1e-4, "a perfect copy"
    # At T = 2 the logits 2 ln 3 are what ln 3 is at T = 1: four times the first number.
    assert abs(candidate([0.0, 0.0], [0.0, 2 * third], 2.0) - 4 * 0.1308) < 4e-4
    # Three labels: p = (1/5, 3/5, 1/5), q = (1/3, 1/3, 1/3): ln 3 - H(p).
    assert abs(candidate([1.0, 1.0, 1.0], [0.0, third, 0.0], 1.0) - 0.1483) < 1e-4


ANSWERS = {
    "times_fewer": 36.33,
    "times_fewer_without_tables": 166.7,
    "times_fewer_400k": 2.70,
    "int8_bytes": 2_600_000,
    "int8_times": 3.85,
    "int8_error": 0.004,
}
EXPLANATION = """Most of the 3 million are a table of words, and the count says nothing of speed."""
