"""What a user is told of the data: one sentence per kind, with its count.

Claim    Nothing is said of data that has nothing of the kind, and what is counted can be found.
Differs  Texts that differ in blanks only are one where labels conflict: an encoder reads one text.
Proof    tests/data/test_notes.py
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import product

from minift.data.examples import (
    SEPARATOR,
    Example,
    TaggedExample,
    gold_labels,
    gold_tags,
    is_labelled,
    label_of,
    pairs_of,
    texts_of,
)
from minift.data.tags import types_of
from minift.data.words import counted
from minift.errors import MiniftError

MANY_CLASSES = 20  # more different integers than that may be amounts rather than classes
SHOWN = 4  # of many texts, or classes


def cut_notes(cut: Sequence[int], length: int) -> list[str]:
    """Say how many of the texts were cut to the `length` that an encoder reads."""
    which = f"texts longer than the encoder reads ({length} pieces), which were cut"
    return [f"{which}: {sum(cut)} of {len(cut)}"] if any(cut) else []


def alike_notes(labels: Iterable[str]) -> list[str]:
    """Name classes, or types of entities, that differ in how they are written: Pos and pos."""
    alike = defaultdict[str | Decimal, list[str]](list)
    for name in labels:
        seen = "".join(c for c in name if unicodedata.category(c) != "Cf" and c != "\ufe0f")
        key = " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
        number = re.fullmatch(r"[+-]?\d+(\.\d*)?", key)
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
        alike[Decimal(key) if number else key].append(f'"{shown}"')
    return [
        f"classes {_and(names)} "
        + ("differ by case or blanks only" if isinstance(key, str) else "are the same number")
        for key, names in alike.items()
        if len(names) > 1
    ]


def conflict_notes(
    examples: Iterable[Example], places: Iterable[int], unit: str = "line"
) -> list[str]:
    """Say which texts have different labels, and on which lines; `places` are all lines."""
    found = defaultdict[tuple[str, ...], dict[object, int]](dict)
    for example, line in zip(examples, places):
        if (label := label_of(example)) is not None:
            text = tuple(" ".join(text.split()) for text in texts_of(example))
            found[text].setdefault(label, line)
    several = [labels for labels in found.values() if len(labels) > 1]
    where = []
    for labels in several[:SHOWN]:
        lines, names = _and([*map(str, labels.values())]), ", ".join([*map(str, labels)][:SHOWN])
        names += ", ..." if len(labels) > SHOWN else ""
        tags = isinstance(next(iter(labels)), tuple)  # too long to be shown
        where.append(f"{unit}s {lines}" if tags else f"{unit}s {lines}: {names}")
    more = f"; and {len(several) - SHOWN} more" if len(several) > SHOWN else ""
    many = counted(len(several), "text has", "texts have")
    two = " two" if [*map(len, several)] == [2] else ""
    return [f"{many}{two} different labels ({'; '.join(where)}{more})"] if several else []


def missing_notes(split: str, examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
    """Name the classes, or the types of entities, of which a labelled split has no example."""
    if not is_labelled(examples):
        return []
    if isinstance(examples[0], TaggedExample):
        labels, there = types_of(labels), {t[2:] for tags in gold_tags(examples) for t in tags}
    else:
        there = {name for names in gold_labels(examples) for name in names}
    missing = [f'"{name}"' for name in labels if name not in there]
    return [f"{split} has no example of class {_and(missing)}"] if missing else []


def class_notes(train: Sequence[Example]) -> list[str]:
    """Name classes of a single example; ask whether classes are amounts, or several in one.

    Several in one are "a|b" and "a;b", and "a,b" where there are also a and b.
    """
    several = any(isinstance(label_of(example), tuple) for example in train)
    counts = Counter(name for names in gold_labels(train) for name in names)
    single = [f'"{label}"' for label, n in counts.items() if n == 1]
    which = f"classes {_and(single)} have" if len(single) > 1 else f"class {''.join(single)} has"
    notes = [f"{which} only one training example"] if single else []
    if len(single) == len(train) and not several:
        notes = ["every text has a label of its own: is that the column of the labels?"]
    if len(counts) > MANY_CLASSES and all(re.fullmatch("[+-]?[0-9]+", label) for label in counts):
        what = f"{len(counts)} classes, all integers"
        notes += [f"{what}: if they are amounts, the task is regression"] * (not several)
    known, held = {name.strip() for name in counts}, dict[str, None]()
    for name, mark in product(sorted(known), f"{SEPARATOR};,"):
        parts = {part.strip() for part in name.split(mark)}
        if mark in name and "" not in parts and (mark != "," or parts <= known):
            held[f'"{name}"'] = None
    if held:
        what = f"labels such as {_and([*held])} look as if they held several; if they do, "
        what += "write" if several else "the task is multilabel, with"
        notes.append(f'{what} "{SEPARATOR}" between the labels of a text')
    return notes


def overlap_notes(
    train: Sequence[Example], dev: Sequence[Example] = (), test: Sequence[Example] = ()
) -> list[str]:
    """Say how many training texts are repeated, and how many occur in dev or test again."""
    texts = {texts_of(example) for example in train}
    notes = []
    if repeated := len(train) - len(texts):
        notes.append(f"{counted(repeated, 'duplicate text')} in train")
    for split, examples in (("dev", dev), ("test", test)):
        if again := len(texts & {texts_of(example) for example in examples}):
            said = counted(again, "text of train occurs", "texts of train occur")
            notes.append(f"{said} in {split}")
    return notes


def refuse_unlike(pairs: bool | None, examples: Iterable[Example], who: str = "the model") -> None:
    """Raise MiniftError where `pairs` are read and these are single texts, or the reverse."""
    found = pairs_of(examples)
    if None not in (pairs, found) and pairs != found:
        kinds, how = ("pairs of texts", "single texts"), "the second column with text_b="
        if found:
            kinds, how = kinds[::-1], "the one column with text="
        raise MiniftError(f"{who} has {kinds[0]}, and these are {kinds[1]}; in a table, name {how}")


def _and(words: Sequence[str]) -> str:
    """Return "a, b and c"; of many words the first."""
    if len(words) > SHOWN + 1:
        words = [*words[:SHOWN], f"{len(words) - SHOWN} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
