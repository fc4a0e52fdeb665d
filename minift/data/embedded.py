"""Embedded sets: two small labelled sets that this project wrote and ships.

Claim    `load_embedded("reviews")` and `load_embedded("news")` give the same examples on every
         machine, with no network and no file to fetch: the texts are part of the package.
Differs  Both are split by theme, not at random: what is learned on films and dentists has to
         hold for campsites, and no story is on two sides.
Proof    tests/data/test_embedded.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from minift.data.examples import Dataset
from minift.data.files.readers import read_dataset
from minift.errors import require_known

EMBEDDED_SETS = {"reviews": ".jsonl", "news": ".conll"}  # name -> suffix of its three files


def load_embedded(name: str) -> Dataset:
    """Return a set that ships with the package.

    Args:
        name: "reviews" (short reviews, labels negative and positive, 1,360 / 400 / 400) or
            "news" (sentences with PER, ORG, LOC and MISC in IOB2, 501 / 139 / 140).
            `sets/README.md` beside this file says how they were written.
    """
    require_known("embedded set", name, EMBEDDED_SETS)
    folder = Path(__file__).with_name("sets")
    train, dev, test = (
        folder / f"{name}_{split}{EMBEDDED_SETS[name]}" for split in ("train", "dev", "test")
    )
    dataset = read_dataset(train, dev, test, name=name)
    return replace(dataset, notes=(*dataset.notes, "licence: CC0 1.0"))
