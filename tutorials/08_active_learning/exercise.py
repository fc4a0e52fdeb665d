"""Assignment 08: active learning. Fill in what raises NotImplementedError; assignment.md says more.

Check it as often as you like:  python tutorials/grade.py 08
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# --- Task 1: two kinds of doubt -----------------------------------------------------------------


def doubts(passes: Tensor) -> dict[str, Tensor]:
    """Split the doubt about each text in two. In nats.

    Args:
        passes: (passes, texts, classes) probabilities, float64; some may be exactly 0.

    Returns:
        "total": (texts,) the entropy of the mean prediction.
        "aleatoric": (texts,) the doubt that each pass has for itself, in the mean.
        "epistemic": (texts,) BALD, what the passes disagree about.
    """
    raise NotImplementedError("task 1, doubts: begin with -sum p log p over the last dimension")


# --- Task 2: which texts to ask for? ------------------------------------------------------------


def least_confidence(mean: Tensor) -> Tensor:
    """Score texts by how improbable their most likely class is. Higher is asked first.

    Args:
        mean: (texts, classes) probabilities.

    Returns:
        (texts,) in [0, 1]; 0 where the model is certain.
    """
    raise NotImplementedError("task 2, least_confidence: begin with the largest of each row")


def margin(mean: Tensor) -> Tensor:
    """Score texts by how close the two most likely classes are. Higher is asked first.

    Args:
        mean: (texts, classes) probabilities.

    Returns:
        (texts,) in [0, 1]; 1 where the two are equally likely.
    """
    raise NotImplementedError("task 2, margin: begin with the two largest of each row")


def choose(scores: dict[str, float], count: int, seed: int) -> list[str]:
    """Return the ids with the highest scores, the highest first.

    Args:
        scores: of each text, by its id.
        count: how many; if there are fewer texts, all are returned.
        seed: decides between texts whose scores are equal, however they stand in `scores`. The
            same seed makes the same choice.
    """
    raise NotImplementedError("task 2, choose: begin with sorted(scores, key=...)")


# --- Task 3: find the bug -----------------------------------------------------------------------


def label_rounds(
    ids: list[str],
    score: Callable[[list[str], list[str]], list[float]],
    initial: int,
    rounds: int,
    query: int,
) -> list[list[str]]:
    """Run active learning, and return the ids that were labelled: to begin with, then each round.

    This is complete, and wrong. Find out when, and fix it.

    Args:
        ids: of all texts. The first `initial` are labelled before the first round.
        score: score(pool, labelled) gives a number for each id of `pool`, in its order, from a
            model trained on `labelled`; so the numbers are others in each round.
        rounds: in each, the `query` highest scores of the pool are labelled; what is left, if
            it is less.
    """
    pool, labelled = ids[initial:], ids[:initial]
    history = [list(labelled)]
    for _ in range(rounds):
        scores = score(pool, labelled)
        order = sorted(range(len(pool)), key=lambda i: scores[i], reverse=True)
        asked = []
        for position in order[:query]:
            asked.append(pool.pop(position))
        labelled = labelled + asked
        history.append(asked)
    return history


# --- Task 4: write the test ---------------------------------------------------------------------


def test_bald(candidate: Callable[..., list[float]]) -> None:
    """Fail (with `assert`) if `candidate` does not compute BALD.

    A right candidate: `candidate(passes)` takes nested lists, passes x texts x classes, of
    probabilities, and returns one number per text. For instance, two passes over one text that say
    (.9, .1) and (.1, .9) give 0.3681: [[[0.9, 0.1]], [[0.1, 0.9]]] -> [0.3681].

    You will be given two right candidates, which must pass, and six wrong ones, each of which
    has one mistake that people make. Compare within 1e-4.
    """
    raise NotImplementedError("task 4, test_bald: begin with the example in its docstring")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {
    "labels": [
        (0.5, 1), (0.25, 0), (0.375, 1), (0.3, 0), (1.1, 1), (1.2, 0),
        (1.2, 1), (1.1, 0), (0.35, 1), (0.45, 1), (0.2, 0), (1.2, 0),
    ],
    "line": 0.36,
    "coin": 1.2,
    "passes": [0.5, 0.9, 0.1, 0.5],
}  # fmt: skip
ANSWERS: dict[str, float | None] = {
    # The line of assignment.md. At x = `line` and at x = `coin`, in nats: the epistemic doubt
    # (BALD) and the aleatoric doubt, before any label and after all twelve.
    "epistemic_line_before": None,
    "epistemic_line_after": None,
    "aleatoric_line_before": None,
    "aleatoric_line_after": None,
    "epistemic_coin_before": None,
    "epistemic_coin_after": None,
    "aleatoric_coin_before": None,
    "aleatoric_coin_after": None,
    # The passes of assignment.md: the mean BALD from two passes, divided by BALD from all four.
    "two_passes": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
