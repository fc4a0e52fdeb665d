"""Doubtful labels: which texts of a training file should somebody look at again?

Claim    Each label is judged by models that have seen neither the text nor an equal one. Where
         models cannot learn the labels, nothing is said of any of them.
Paper    Confident learning and near copies: see minift/data/doubt.py.
Differs  - Labels count as learned if they correlate with the answers (Matthews) by more than two
           standard errors, 2 / sqrt(n): unlike accuracy, that is seen where one class is rare.
         - A class of a single text is left out, because no model that is asked has learned it.
         - A sentence is as doubtful as its most doubtful word, as in cleanlab.
         - If all labels of a class are wrong in the same way, they are learned, and not doubtful.
Proof    tests/runs/test_check.py
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from minift.data.doubt import confident_joint, doubtful, near_copies
from minift.data.examples import Dataset, Example, TaggedExample, label_of, texts_of
from minift.data.metrics import matthews
from minift.errors import MiniftError
from minift.runs.folds import FOLDS, Estimate, cross_validate, groups_of
from minift.runs.tuned import Head
from minift.training.loop import Recipe

NEVER = "another label is likelier, whenever it is asked"


@dataclass(frozen=True)
class Doubt:
    """A label that somebody should look at again."""

    example: Example
    label: str  # as it was given; in a sentence, with its word: "Oslo: B-PER"
    suggested: str  # the same, as the models or a near copy have it
    probability: float  # of what is suggested
    reason: str


@dataclass(frozen=True)
class Checked:
    """What `check` found."""

    doubts: tuple[Doubt, ...]  # one per text, worst first
    hard: tuple[Doubt, ...]  # other texts whose label no round of models has given
    share: float | None  # estimate of the labels that are wrong; None: they cannot be learned
    estimate: Estimate  # of the models that judged
    notes: tuple[str, ...]


def check(
    dataset: Dataset,
    encoder: str | Path = "minilm",
    method: Recipe | str = "head",
    *,
    folds: int = FOLDS,
    repeats: int | None = None,
    seed: int = 0,
    head: Head | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Checked:
    """Judge each training label by cross-validation; arguments as in `cross_validate`.

    Raises:
        MiniftError: if texts have numbers or several labels, or no two labels have two texts each.
    """
    if dataset.task not in ("classification", "tagging"):
        raise MiniftError(
            f"{dataset.name} is for {dataset.task}: what is checked is one class per text, or "
            "entities, for which another label can be likelier"
        )
    examples, holders = dataset.train, Counter[str]()
    for group in groups_of(examples):
        holders.update({label for i in group for label in _labels(examples[i])})
    known = [k for k, label in enumerate(dataset.labels) if holders[label] > 1]
    if len(known) < 2:
        raise MiniftError(
            f"{dataset.name}: a label is judged by what the other texts teach, so two labels or "
            f"more need two different texts each; got {len(known)} of them"
        )
    estimate, answers = cross_validate(
        dataset, encoder, method, folds=folds, repeats=repeats, seed=seed, head=head,
        device=device, progress=progress,
    )  # fmt: skip
    rounds = defaultdict[tuple[int, int], list[np.ndarray]](list)  # of each text, or its words
    for i, logits in answers:
        for word, row in enumerate(logits.double().softmax(-1).numpy()):
            rounds[i, word].append(row)
    places, notes, share = sorted(rounds), [*estimate.notes], None
    p = np.stack([np.mean(rounds[place], axis=0) for place in places])
    guess, own = p.argmax(1), [_labels(examples[i])[word] for i, word in places]
    given = np.array([*map(dataset.labels.index, own)])
    judged = np.flatnonzero(np.isin(given, known))
    reasons = defaultdict[int, list[str]](list)
    if matthews(own, [dataset.labels[k] for k in guess]) * len(p) ** 0.5 > 2:
        joint = confident_joint(p[judged], given[judged], calibrate=True)
        share = float(1 - joint.trace() / joint.sum())
        for row in judged[doubtful(p[judged], given[judged])]:
            reasons[row].append("another label is much likelier")
        for row in set(judged.tolist()) - reasons.keys():
            if all(answer.argmax() != given[row] for answer in rounds[places[row]]):
                reasons[row].append(NEVER)
    else:
        notes.append("these labels cannot be learned from these texts, so none can be judged")
    suggested = {row: guess[row] for row in reasons}
    if dataset.task == "classification":  # so a row is a text
        for pair in near_copies([texts_of(examples[i]) for i, _ in places]):
            for row, other in (pair, pair[::-1]) if own[pair[0]] != own[pair[1]] else ():
                where = examples[places[other][0]].id
                reasons[row].append(f'nearly the same text, {where}, is labelled "{own[other]}"')
                suggested.setdefault(row, given[other])
    found: dict[int, Doubt] = {}  # of each text, or of the worst word of a sentence
    for row in sorted(suggested, key=lambda row: (reasons[row] == [NEVER], p[row, given[row]])):
        (i, word), new, e = places[row], suggested[row], examples[places[row][0]]
        before = f"{e.words[word]}: " if isinstance(e, TaggedExample) else ""
        label, other = before + own[row], before + dataset.labels[new]
        why = "; ".join(reasons[row])
        found.setdefault(i, Doubt(e, label, other, float(p[row, new]), why))
    doubts, hard = ([d for d in found.values() if (d.reason == NEVER) == x] for x in (False, True))
    return Checked(tuple(doubts), tuple(hard), share, estimate, tuple(notes))


def _labels(example: Example) -> Sequence[str]:
    """Return the tag of each word, or the label of the text alone."""
    tagged = isinstance(example, TaggedExample) and example.tags
    return tagged if tagged else [str(label_of(example))]
