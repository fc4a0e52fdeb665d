"""Frames in memory, of pandas and of Hugging Face datasets, as the rows of a table.

Claim    A frame gives the data set that its rows give in a file of JSON lines, by the same choice
         of columns and with the same faults, which are named by row, from 1. What is missing there
         (NaN, None, NA, the class -1) is missing here; classes that are numbers get their names.
Differs  Neither library is needed: a frame is known by the name of its class. Where pandas has made
         floats of whole numbers because one of them is missing, they are whole numbers again.
Proof    tests/data/test_frames.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

from minift.data.files.lines import Problems
from minift.data.files.tables import Row
from minift.errors import MiniftError

Source: TypeAlias = "str | Path | Any"  # a file, or a frame
PANDAS, DATASETS = "pandas.DataFrame", "datasets.Dataset"


def kind_of(source: object) -> str | None:
    """Return `PANDAS` or `DATASETS`; None if a source is no frame."""
    bases = (f"{base.__module__.split('.')[0]}.{base.__name__}" for base in type(source).__mro__)
    return next((name for name in bases if name in (PANDAS, DATASETS)), None)


def path_of(source: object, split: str) -> Path:
    """Return the path of a file, or what a frame is called in messages: "train.DataFrame".

    Raises:
        MiniftError: if it is neither.
    """
    if isinstance(source, str | os.PathLike):
        return Path(source)
    if (kind := kind_of(source)) is None:
        several = isinstance(source, dict) and "train" in source  # a DatasetDict
        remedy = '; give each split, such as read_dataset(d["train"], test=d["test"])' * several
        got = "None" if source is None else f"a {type(source).__name__}"
        what = f"expected a file, a {PANDAS} or a {DATASETS}, got {got}"
        raise MiniftError(f"{split}: {what}{remedy}")
    return Path(f"{split}.{kind.split('.')[1]}")


def frame_rows(frame: Any, problems: Problems) -> list[Row]:
    """Return the rows of a frame, numbered from 1; of two columns of one name one is a fault."""
    if kind_of(frame) == DATASETS:
        rows = frame.to_list()
        for column, feature in frame.features.items():
            if names := getattr(getattr(feature, "feature", feature), "names", None):  # or a list's
                for row in rows:
                    row[column] = _named(row[column], names)
    else:
        names = [str(name) for name in frame.columns]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.append((0, f'two columns are named "{name}"'))
        columns = [_values(frame.iloc[:, number]) for number in range(len(names))]
        rows = [dict(zip(names, values)) for values in zip(*columns)]
    return [*enumerate(rows, start=1)]


def _named(value: Any, names: list[str]) -> object:
    """Return the name of a class, or of each in a list; -1 is how datasets writes a missing one."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return None if value is None or value < 0 else names[value]


def _values(column: Any) -> list[object]:
    """Return the cells of a pandas column as Python's own objects, None where one is missing."""
    if column.dtype.kind == "f" and column.hasnans:
        column = column.convert_dtypes()
    plain = (cell.tolist() if hasattr(cell, "tolist") else cell for cell in column.tolist())
    return [None if missing else cell for cell, missing in zip(plain, column.isna())]
