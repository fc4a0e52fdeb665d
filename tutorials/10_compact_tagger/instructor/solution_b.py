"""Another solution: torch's own losses, sums from right to left, best tails instead of pointers."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def lesson_loss(student, teacher, targets, mask, temperature, label_weight, teacher_weight):
    words = mask.to(student.dtype)
    hard = F.cross_entropy(student.flatten(0, 1), targets.flatten(), reduction="none")
    p = F.softmax(teacher / temperature, -1)
    log_q = F.log_softmax(student / temperature, -1)
    soft = F.kl_div(log_q, p, reduction="none").sum(-1) * temperature * temperature
    every = label_weight * hard.view_as(words) + teacher_weight * soft
    return (every * words).sum() / words.sum()


def log_partition(emissions, transitions, start, end):
    beta = end
    for word in range(len(emissions) - 1, 0, -1):
        ahead = emissions[word] + beta
        beta = torch.stack([torch.logsumexp(row + ahead, 0) for row in transitions])
    return torch.logsumexp(start + emissions[0] + beta, 0)


def viterbi(emissions, transitions, start, end):
    labels = range(len(start))
    tails = {tag: (float(end[tag]), []) for tag in labels}  # the best way on from each tag
    for row in reversed(emissions[1:].tolist()):
        ahead = {
            tag: max((float(transitions[tag, t]) + row[t] + tails[t][0], t) for t in labels)
            for tag in labels
        }
        tails = {tag: (score, after, tails) for tag, (score, after) in ahead.items()}
    tag = max(labels, key=lambda t: float(start[t] + emissions[0, t]) + tails[t][0])
    found = [tag]
    while len(tails[tag]) == 3:
        _, after, tails = tails[tag]
        tag = after
        found.append(tag)
    return found


def pseudo_labels(gold, teacher, confidence, pseudo_weight):
    p = torch.softmax(teacher, 1)
    p[:, 0] = -1.0  # never the best
    found = []
    for row, label in zip(p.tolist(), gold):
        guess = row.index(max(row))
        guessed = (guess, pseudo_weight * (row[guess] >= confidence))
        found.append(guessed if label is None else (label, 1))
    return found


def test_soft_loss(candidate) -> None:
    generator = torch.Generator().manual_seed(2)
    for temperature in (1.0, 2.0, 5.0):
        for labels in (2, 3, 5):
            z, y = 2 * torch.randn(2, labels, generator=generator, dtype=torch.double)
            p = torch.distributions.Categorical(logits=z / temperature)
            q = torch.distributions.Categorical(logits=y / temperature)
            wanted = float(torch.distributions.kl_divergence(p, q)) * temperature**2
            assert abs(candidate(y.tolist(), z.tolist(), temperature) - wanted) < 1e-4


def _int8():
    row = torch.tensor([0.9, -1.27, 0.004, 0.3], dtype=torch.double)
    scale = row.abs().max() / 127
    again = (row / scale).round() * scale
    return float((again - row).abs().max())


_TABLE = 25_000 * 100
_BERT = 109_482_240
ANSWERS = {
    "times_fewer": _BERT / (513_882 + _TABLE),
    "times_fewer_without_tables": (_BERT - (30522 + 512 + 2) * 768) / 513_882,
    "times_fewer_400k": _BERT / (513_882 + 16 * _TABLE),
    "int8_bytes": 25_000 * (100 + 4),
    "int8_times": 400 / 104,
    "int8_error": _int8(),
}
EXPLANATION = """A copy stays under KL and is driven to the uniform distribution under mse."""
