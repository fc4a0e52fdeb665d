"""Assignment 09: entities. Fill in what raises NotImplementedError; assignment.md says more.

Check it as often as you like:  python tutorials/grade.py 09
(in the folder that your teacher handed out:  python grade.py)
"""

from __future__ import annotations

from collections.abc import Callable

Span = tuple[str, int, int]  # type, first word, word behind the last; words count from 0

# --- Task 1: from tags to entities --------------------------------------------------------------


def spans(tags: list[str], strict: bool) -> list[Span]:
    """Return the entities of a sentence, from left to right.

    Args:
        tags: IOB2, a tag a word: "O", "B-type" or "I-type". A type may contain hyphens:
            "B-GPE-city" is of the type "GPE-city".
        strict: what becomes of an I- that continues no entity of its own type. True: it is in no
            entity, nor are the I- that follow it. False, as the script conlleval does: it begins
            an entity, as B- would.

    Returns:
        For instance [("PER", 0, 2)] for ["B-PER", "I-PER", "O"], either way.
    """
    raise NotImplementedError("task 1, spans: begin with a loop over the tags and what is open")


# --- Task 2: schemes and pieces -----------------------------------------------------------------


def iob1_to_iob2(tags: list[str]) -> list[str]:
    """Return IOB1 tags in IOB2: each entity begins with B-, and nothing else does.

    Args:
        tags: IOB1; entities begin with I-, and with B- where they touch one of their own type.
    """
    raise NotImplementedError("task 2, iob1_to_iob2: begin with each tag and the one before it")


def iob2_to_bioes(tags: list[str]) -> list[str]:
    """Return valid IOB2 tags in BIOES: the last word of an entity has E-, a single one S-."""
    raise NotImplementedError("task 2, iob2_to_bioes: begin with each tag and the one behind it")


def word_tags(piece_words: list[int | None], piece_tags: list[str], words: int) -> list[str]:
    """Return a tag for each word of a sentence: that of its first piece.

    Args:
        piece_words: for each piece the number of its word; None for [CLS] and [SEP].
        piece_tags: what the model says of each piece.
        words: of the sentence. The last ones have no piece if the sentence was cut off; they count
            as "O".
    """
    raise NotImplementedError("task 2, word_tags: begin with a list of words times O")


# --- Task 3: find the bugs ----------------------------------------------------------------------


def scores(gold: list[list[Span]], predicted: list[list[Span]]) -> dict[str, float]:
    """Return "precision", "recall" and "f1" of entities: micro, exact match.

    This is complete, and wrong in two ways. Find out when, and fix it. A score of nothing out of
    nothing is 0.

    Args:
        gold: the entities of each sentence.
        predicted: likewise, of the same sentences in the same order.
    """
    true = {span for sentence in gold for span in sentence}
    guessed = {span for sentence in predicted for span in sentence}
    correct = len(true & guessed)
    precision = correct / len(guessed)
    recall = correct / len(true)
    f1 = 2 * precision * recall / (precision + recall)
    return {"precision": precision, "recall": recall, "f1": f1}


# --- Task 4: write the test ---------------------------------------------------------------------


def test_f1(candidate: Callable[..., float]) -> None:
    """Fail (with `assert`) if `candidate` does not compute entity F1.

    A right candidate: `candidate(gold, predicted)` takes IOB2 tags, a list a sentence, and returns
    the micro F1 of entities by exact match, 0 if there are none. For instance, gold
    [["B-PER", "I-PER", "O", "B-LOC"]] and predicted [["B-PER", "I-PER", "O", "O"]] give 2/3.

    You will be given two right candidates, which must pass, and six wrong ones, each of which
    has one mistake that people make. They may read a stray I- either way, so use valid IOB2.
    """
    raise NotImplementedError("task 4, test_f1: begin with the example in its docstring")


# --- Task 5: measure and explain ----------------------------------------------------------------

QUESTION = {"first": 0, "tired": 5}
ANSWERS: dict[str, float | None] = {
    # The four taggers of assignment.md on the test split of "news". Accuracy: share of words with
    # the right tag. F1: of entities, micro.
    "sleeper_accuracy": None,
    "short_sighted_accuracy": None,
    "short_sighted_f1": None,
    "silent_accuracy": None,
    "silent_f1": None,
    # The same tags of the blurred tagger, read in the two ways.
    "blurred_f1_conlleval": None,
    "blurred_f1_strict": None,
}
EXPLANATION = """
(Four to six sentences; a person reads them. assignment.md has the question.)
"""
