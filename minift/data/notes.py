"""What a user should know of the data and need not fix: one sentence per kind, with its count.

Claim    Nothing is said of data that has nothing of the kind, and each count is one that a reader
         can check in the file. The notes come out in `Dataset.notes`, result.json and on screen.
Differs  Texts that differ in blanks only are one text where labels conflict, because an encoder
         reads them as one. Labels are alike if case, blanks, width and composition (NFKC) are all
         that differs, or if they are the same number: 1 and 1.0, but not 1 and 1e0.
Proof    tests/data/test_notes.py
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from minift.data.examples import (
    Example,
    TaggedExample,
    gold_classes,
    gold_tags,
    is_labelled,
    texts_of,
)
from minift.data.tags import types_of

MANY_CLASSES = 20  # more different integers than that may be amounts rather than classes
SHOWN = 3  # of texts, and of classes
_COUNTS = {2: "two", 3: "three"}


def cut_notes(cut: int, texts: int, length: int) -> list[str]:
    """Say how many of the texts were cut to the `length` that an encoder reads."""
    longer = f"{cut} of {texts} texts are longer than the encoder reads ({length} pieces)"
    return [f"{longer} and were cut"] if cut else []


def alike_notes(labels: Sequence[str]) -> list[str]:
    """Name the labels, or the types of tags, that are probably one and were written differently."""
    groups = defaultdict[str | Decimal, list[str]](list)
    for name in types_of(labels) or labels:
        key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        groups[Decimal(key) if re.fullmatch(r"[+-]?\d+(\.\d*)?", key) else key].append(name)
    return [
        f"classes {_listed(group, ' and ')} "
        + ("are the same number" if isinstance(key, Decimal) else "differ by case or blanks only")
        + "; give them one name if they mean the same"
        for key, group in groups.items()
        if len(group) > 1
    ]


def conflict_notes(examples: Iterable[Example], lines: Sequence[int] | None = None) -> list[str]:
    """Say which texts have different labels; `lines` are those of the examples in their file."""
    found = defaultdict[tuple[str, ...], dict[object, int]](dict)
    for number, example in enumerate(examples):
        label = example.tags if isinstance(example, TaggedExample) else example.label
        if label is not None:
            text = tuple(" ".join(text.split()) for text in texts_of(example))
            found[text].setdefault(label, lines[number] if lines else 0)
    several = [labels for labels in found.values() if len(labels) > 1]
    if not several:
        return []
    note = f"{len(several)} texts have different labels"
    if len(several) == 1:
        many = len(several[0])
        note = f"1 text has {_COUNTS.get(many, many)} different labels"
    if not lines:
        return [note]
    places = []
    for labels in several[:SHOWN]:
        *first, last = labels.values()
        names = [str(label) for label in labels if not isinstance(label, tuple)]
        what = f": {', '.join(names)}" if names else ""  # tags would be too long
        places.append(f"lines {', '.join(map(str, first))} and {last}{what}")
    more = f"; and {len(several) - SHOWN} more" if len(several) > SHOWN else ""
    return [f"{note} ({'; '.join(places)}{more})"]


def missing_notes(split: str, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
    """Name the classes, or the types of entities, of which a labelled split has no example."""
    if not labels or not is_labelled(examples):
        return []
    if types := types_of(labels):
        there = {tag[2:] for tags in gold_tags(examples) for tag in tags}
    else:
        there = set(gold_classes(examples))
    missing = [name for name in types or labels if name not in there]
    which = f"{len(missing)} of the {len(types or labels)} classes: {_listed(missing[:SHOWN])}"
    if len(missing) == 1:
        which = f"class {_listed(missing)}"
    more = ", ..." if len(missing) > SHOWN else ""
    return [f"{split} has no example of {which}{more}"] if missing else []


def class_notes(train: Sequence[Example]) -> list[str]:
    """Name classes of a single example, and ask whether many integers are amounts."""
    counts = Counter(gold_classes(train))
    notes = [
        f'class "{label}" has only one training example' for label, n in counts.items() if n == 1
    ]
    if len(counts) > MANY_CLASSES and all(re.fullmatch("[+-]?[0-9]+", label) for label in counts):
        notes.append(
            f"{len(counts)} classes, all integers: pass --task regression if they are amounts"
        )
    return notes


def overlap_notes(
    train: Sequence[Example], dev: Sequence[Example] = (), test: Sequence[Example] = ()
) -> list[str]:
    """Say how many training texts are repeated, and how many occur in dev or test again."""
    texts = {texts_of(example) for example in train}
    notes = []
    if repeated := len(train) - len(texts):
        notes.append(f"{repeated} duplicate texts in train")
    for split, examples in (("dev", dev), ("test", test)):
        if again := len(texts & {texts_of(example) for example in examples}):
            notes.append(f"{again} texts of train occur in {split}")
    return notes


def _listed(names: Sequence[str], last: str = ", ") -> str:
    """Return names in quotes: "a", "b" and "c"."""
    *first, end = [f'"{name}"' for name in names] or [""]
    return last.join(filter(None, [", ".join(first), end]))
