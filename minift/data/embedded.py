"""Embedded sets: two small labelled sets that this project wrote and ships.

Claim    `load_embedded("reviews")` and `load_embedded("news")` give the same examples on every
         machine, with no network and no file to fetch: the texts are part of the package.
Differs  Both are split by theme, not at random: what is learned on films and dentists has to
         hold for campsites, and no story is on two sides.
Proof    tests/data/test_embedded.py
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import as_file, files

from minift.data.examples import Dataset
from minift.data.files.readers import read_dataset
from minift.errors import require_known

EMBEDDED_SETS = {"reviews": ".jsonl", "news": ".conll"}  # name -> suffix of its three files
LICENCE = "CC0 1.0"
_SPLITS = ("train", "dev", "test")
_SETS = files("minift.data") / "sets"


def load_embedded(name: str) -> Dataset:
    """Return a set that ships with the package.

    Args:
        name: "reviews" (short reviews, labels negative and positive, 1,360 / 400 / 400) or
            "news" (sentences with PER, ORG, LOC and MISC in IOB2, 501 / 139 / 140).
            `sets/README.md` beside this file says how they were written.

    Raises:
        MiniftError: unknown name.
    """
    require_known("embedded set", name, EMBEDDED_SETS)
    with ExitStack() as stack:  # a package inside a zip file has no paths: they are made here
        paths = [
            stack.enter_context(as_file(_SETS / f"{name}_{split}{EMBEDDED_SETS[name]}"))
            for split in _SPLITS
        ]
        dataset = read_dataset(*paths, name=name)
    return replace(dataset, notes=(*dataset.notes, f"licence: {LICENCE}"))
