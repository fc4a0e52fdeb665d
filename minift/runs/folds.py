"""Cross-validation: what a method scores on texts like those of one labelled file.

Claim    Each labelled text is answered by a model that has seen neither it, nor an equal text, nor
         one of its group. The interval is that of the mean score on new texts after training on as
         many labels as a fold leaves. What is finished survives a kill. What frozen layers make
         of the texts is computed once for all folds, and what is learned is the same.
Paper    Stratified folds: Kohavi (1995), "A Study of Cross-Validation and Bootstrap". The interval:
         Nadeau & Bengio (2003), see minift/data/intervals.py.
Differs  - Texts are dealt in random order, the largest groups first, each to the fold that has
           least of its classes. A sentence counts for each type of entity in it, and a number for
           the fifth of all numbers that it is in.
         - The model that is kept is trained on all labels, hence on more than any that was scored.
Proof    tests/runs/test_folds.py
"""

import math
import sys
import time
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from tqdm import tqdm

from minift.checkpoints.hub import encoder_digest, resolve
from minift.data.examples import Dataset, Example, TaggedExample, label_of, texts_of
from minift.data.intervals import LEAST, Interval, of_folds
from minift.data.words import counted
from minift.errors import MiniftError, require
from minift.files import digest
from minift.journal import append_log, read_log
from minift.methods.recipes import recipe
from minift.runs.evaluate import predict_logits
from minift.runs.fit import frozen_states
from minift.runs.train import train
from minift.runs.tuned import Head, head_of
from minift.training.loop import Recipe
from minift.version import __version__

FOLDS = 5
REPEATS = 5  # at most; more would hardly narrow the interval
FEW = 200  # texts


def fold(dataset: Dataset, folds: int, number: int) -> Sequence[int]:
    """Return the indices of the training texts of one fold.

    `number` 0 to `folds` - 1 are the folds of the first repeat, and so on; each repeat deals all
    texts anew.
    """
    groups = groups_of(dataset.train)
    classes = _classes(dataset)
    total = Counter(c for several in classes for c in several)
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(number // folds))
    dealt: list[list[int]] = [[] for _ in range(folds)]
    held = [Counter[str]() for _ in range(folds)]
    for group in sorted((groups[i] for i in order.tolist()), key=len, reverse=True):
        mine = Counter(c for i in group for c in classes[i])
        full = [
            (sum(n * counts[c] / total[c] for c, n in mine.items()), len(texts))
            for counts, texts in zip(held, dealt)
        ]
        to = full.index(min(full))
        dealt[to] += group
        held[to] += mine
    return sorted(dealt[number % folds])


def part(dataset: Dataset, folds: int | None, number: int) -> Dataset:
    """Return the data set that learns from all but one fold and reports on it; None: the whole."""
    if folds is None:
        return dataset
    held = fold(dataset, folds, number)
    inside = {*held}
    train = tuple(e for i, e in enumerate(dataset.train) if i not in inside)
    return replace(dataset, train=train, dev=(), test=tuple(dataset.train[i] for i in held))


def possible_folds(dataset: Dataset, folds: int = FOLDS) -> tuple[int, list[str]]:
    """Return as many folds as the classes and groups allow, and notes on what is too few for them.

    Each fold holds two classes, and the one that f1 is of. Rarer ones are not in every fold: for
    a few texts all models would learn from much less than the one that is kept. A MiniftError says
    if there are fewer than two groups, if a fold would leave a single class to learn, or if
    `folds` is below 2.
    """
    require(type(folds) is int and folds >= 2, "folds", folds, "a whole number from 2 up")
    groups, classes = groups_of(dataset.train), _classes(dataset)
    if len(groups) < 2:
        what = "groups" if any(e.group for e in dataset.train) else "different texts"
        raise MiniftError(
            f"{dataset.name} has {len(groups)} of the two or more {what} that cross-validation "
            "needs; give labelled examples to report on (--test)"
        )
    there = Counter(c for group in groups for c in {c for i in group for c in classes[i]})
    alone = [f'"{c}"' for c in sorted(there) if there[c] == 1 and c]
    kind = "group" if any(e.group for e in dataset.train) else "text"
    if dataset.task == "classification" and len(there) - bool(alone) < 2:
        raise MiniftError(
            f"class {alone[0]} is in one {kind} alone, so the fold that holds it leaves a single "
            f"class to learn; label more {kind}s of it, or give examples to report on (--test)"
        )
    fewest, rarest, notes = len(groups), "", list[str]()
    if dataset.task == "classification":
        several = sorted((n, c) for c, n in there.items() if n > 1)
        needed = [*several[-2:][:1], *(one for one in several if one[1] == dataset.positive)]
        fewest, rarest = min(needed, default=(2, ""))
    if (few := min(folds, fewest)) < folds:
        what = f'class "{rarest}" has' if rarest else "there are"
        notes.append(f"{few} folds instead of {folds}, as {what} {counted(fewest, kind)}")
    rare = [f'"{c}"' for c in sorted(there) if 1 < there[c] < few and c]
    if rare and dataset.task == "classification":
        which = f"class {rare[0]} is" if len(rare) == 1 else f"{len(rare)} classes are"
        notes.append(f"{which} in fewer {kind}s than there are folds, so not in each of the {few}")
    if alone and dataset.task == "classification":
        which = f"class {alone[0]} is" if len(alone) == 1 else f"{len(alone)} classes are"
        notes.append(f"{which} in one fold alone, so no model that is asked for it has learned it")
    return few, notes


def possible_repeats(dataset: Dataset, folds: int) -> int:
    """Return `REPEATS`, or 1 where so few groups are dealt in the same way again."""
    deals = {
        frozenset(tuple(fold(dataset, folds, folds * r + f)) for f in range(folds))
        for r in range(REPEATS)
    }
    return REPEATS if len(deals) == REPEATS else 1


def groups_of(examples: Sequence[Example]) -> list[list[int]]:
    """Return the indices of texts that must not be parted: those of a group, and equal ones."""
    first: dict[object, int] = {}
    root = [*range(len(examples))]

    def top(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    for i, e in enumerate(examples):
        text = tuple(" ".join(text.casefold().split()) for text in texts_of(e))
        for key in [text] if e.group is None else [text, e.group]:
            root[top(i)] = top(first.setdefault(key, i))
    found = defaultdict[int, list[int]](list)
    for i in range(len(examples)):
        found[top(i)].append(i)
    return [*found.values()]


def _classes(dataset: Dataset) -> list[list[str]]:
    """Return what each training text is an example of, for an even deal."""
    labels = [label_of(e) for e in dataset.train]
    if dataset.task == "regression":
        numbers = sorted(float(n) for n in labels if isinstance(n, (int, float)))
        cuts = [numbers[len(numbers) * k // 5] for k in range(1, 5)]
        return [[str(bisect(cuts, float(n)))] for n in labels if isinstance(n, (int, float))]
    if dataset.task == "tagging":
        tags = [e.tags or () for e in dataset.train if isinstance(e, TaggedExample)]
        return [sorted({tag[2:] for tag in several} - {""}) or [""] for several in tags]
    return [[*label] or [""] if isinstance(label, tuple) else [str(label)] for label in labels]


@dataclass(frozen=True)
class Estimate:
    """What cross-validation says of a method; `asdict` of it stands in result.json."""

    metric: str
    mean: float  # of the scores
    interval: Interval | None  # 95 %, of the mean score on new texts (see `of_folds`)
    scores: tuple[float, ...]  # of each finished fold
    folds: int  # of a repeat
    labels: int  # that the model of a fold learned from, on average
    seconds: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one sentence."""
        ends = self.interval and "95 % interval {:.3f} to {:.3f}".format(*self.interval)
        how = ends or "no interval"
        done, times = len(self.scores), len(self.scores) / self.folds
        rounds = f", {times:g} times" if times > 1 else f" ({done} of them done)" * (times < 1)
        return (
            f"{self.metric} {self.mean:.3f} on new texts ({how}), from {self.folds} folds{rounds}, "
            f"each after training on about {self.labels} labels"
        )


# (index of a training text, logits (words or 1, labels) of a model that has not seen it)
Answers = list[tuple[int, Tensor]]


def cross_validate(
    dataset: Dataset,
    encoder: str | Path,
    method: Recipe | str,
    *,
    folds: int = FOLDS,
    repeats: int | None = None,
    seed: int = 0,
    head: Head | None = None,
    new_head: bool = False,
    budget_minutes: float | None = None,
    log: Path | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> tuple[Estimate, Answers]:
    """Train and score once per fold of the training texts.

    Args:
        folds: at most so many, see `possible_folds`.
        repeats: how often all texts are dealt anew, the first being number `seed`; None: once, but
            up to `REPEATS` times for the head alone on few texts, or as the budget allows. Fold f
            of repeat r has the seeds `Seeds.all(folds * r + f)`, as in `minift compare`.
        budget_minutes: after the second, no fold is begun that would not end in it, by the longest.
        log: file of finished folds, which the same call does not repeat. None keeps nothing.

    Returns:
        The estimate, and the answers for each training text, one per repeat.

    MiniftError: as `possible_folds` and `train`, and if `log` is of another call.
    """
    began, method = time.perf_counter(), recipe(method, encoder)
    good = budget_minutes is None or budget_minutes > 0
    require(good, "budget_minutes", budget_minutes, "a positive number")
    folds, notes = possible_folds(dataset, folds)
    if repeats is None:
        cheap = method.name == "head" and len(dataset.train) <= FEW
        several = budget_minutes is not None or cheap
        repeats = possible_repeats(dataset, folds) if several else 1
    head = head or head_of(encoder, dataset, method)
    facts = [dataset.train, dataset.labels, dataset.metric, folds, str(encoder), head, new_head]
    facts += [getattr(method.objective, "weights", None), encoder_digest(resolve(encoder))]
    setup = digest(repr([*facts, method.name, method.settings, __version__]))[:16]
    if (resolve(encoder) / "run.json").is_file():
        notes.append("the encoder is a run: if it was trained on these texts, the folds flatter it")
    records = [*read_log(log)] if log else []
    if any(record["setup"] != setup for record in records):
        raise MiniftError(
            f"{log} holds folds of other data, or of another encoder, method or setting; give the "
            "same command as then, choose another --out, or delete it"
        )
    done = {record["fold"]: record for record in records}
    wanted, longest = range(folds * seed, folds * (seed + repeats)), 0.0
    todo = [number for number in wanted if number not in done]
    if progress:
        rounds = f" dealt {repeats} times" if repeats > 1 else ""
        before = f"{counted(len(todo), 'training')} before the one on all labels"
        print(f"{folds} folds{rounds}: {before}", file=sys.stderr)
    whole = replace(dataset, test=())
    states = frozen_states(whole, encoder, method, head, device) if todo else None
    bar = tqdm(todo, "folds", unit="fold", disable=None if progress else True)
    for number in bar:
        left = math.inf if budget_minutes is None else 60 * budget_minutes
        if longest > left - (time.perf_counter() - began) and len(done) > 1:
            bar.close()
            done_in = f"{len(done)} of {len(wanted)} folds are done"
            notes.append(f"{done_in}; the next would not have ended in {budget_minutes:g} minutes")
            break
        start, held = time.perf_counter(), fold(dataset, folds, number)
        data = part(dataset, folds, number)
        tuned, result = train(
            data, encoder, method, seeds=number, head=head, new_head=new_head, device=device,
            cache=states,
        )  # fmt: skip
        items = tuned.items(data.test)
        rows = predict_logits(tuned.model, items, make_batch=tuned.make_batch)
        joined = defaultdict[int, list[list[float]]](list)
        for item, row in zip(items, rows):
            joined[held[item.example]] += row.tolist()
        done[number] = {
            "setup": setup,
            "fold": number,
            "score": result["test"],
            "labels": len(data.train),
            "seconds": time.perf_counter() - start,
            "logits": [*joined.items()],
        }
        if log is not None:
            append_log(log, done[number])
        longest = max(longest, done[number]["seconds"])
        if progress and number == todo[0]:
            rest = longest * (len(wanted) - len(done))
            print(f"the first took {longest:.0f} s, the others about {rest:.0f} s", file=sys.stderr)
    found = [done[number] for number in wanted if number in done]
    answers = [(i, torch.tensor(rows)) for record in found for i, rows in record["logits"]]
    scores, answered = [record["score"] for record in found], len({i for i, _ in answers})
    labels = [record["labels"] for record in found]
    held_to_learned = fmean((len(dataset.train) - n) / n for n in labels)
    estimate = Estimate(
        metric=dataset.metric,
        mean=fmean(scores),
        interval=of_folds(
            scores,
            held_to_learned,
            answered * (dataset.metric == "accuracy"),
            LEAST.get(dataset.metric, 0.0),
        ),
        scores=tuple(scores),
        folds=folds,
        labels=round(fmean(labels)),
        seconds=round(sum(record["seconds"] for record in found), 1),
        notes=tuple(notes),
    )
    return estimate, answers
