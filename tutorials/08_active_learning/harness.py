"""What runs around the student's functions, in the student's process."""

from __future__ import annotations

import exercise


def choices(scores: dict[str, float], count: int, seeds: list[int]):
    """Return what the student's choose says for each seed, each asked twice."""
    return [[exercise.choose(dict(scores), count, seed) for _ in range(2)] for seed in seeds]


def labelled(ids: list[str], table: dict[str, list[float]], initial: int, rounds: int, query: int):
    """Return what the student's label_rounds does if the scores of round r are column r."""

    def score(pool, done):
        column = max(0, len(done) - initial) // query
        return [table[text][min(column, rounds - 1)] for text in pool]

    return exercise.label_rounds(list(ids), score, initial, rounds, query)
