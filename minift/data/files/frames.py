"""Rows in memory: frames of pandas and of Hugging Face datasets, and lists of dictionaries.

Claim    They give the data set that they give in a file of JSON lines, by the same choice of
         columns and with the same faults, which are named by row, from 1. What is missing there
         (NaN, None, NA, the class -1) is missing here; classes that are numbers get their names.
Differs  Neither library is needed: a frame is known by the name of its class. Where pandas has made
         floats of whole numbers because one of them is missing, they are whole numbers again.
Proof    tests/data/test_frames.py
"""

import os
from pathlib import Path
from typing import Any, TypeAlias

from minift.data.files.lines import Problems
from minift.data.files.tables import Row
from minift.errors import MiniftError

Source: TypeAlias = str | Path | Any  # a file, or rows in memory


def path_of(source: Source, split: str) -> Path:
    """Return the path of a file, or what rows in memory are called in messages: "train.rows"."""
    return Path(source) if isinstance(source, str | os.PathLike) else Path(f"{split}.rows")


def rows_in_memory(source: Any, split: str, problems: Problems) -> list[Row]:
    """Return rows with their numbers, from 1; MiniftError if `source` is none of the three."""
    bases = {f"{base.__module__.split('.')[0]}.{base.__name__}" for base in type(source).__mro__}
    if "pandas.DataFrame" in bases:
        for name in source.columns[source.columns.duplicated()]:
            problems.append((0, f'two columns are named "{name}"'))
        columns = [column for _, column in source.items()]
        gaps = [column.dtype.kind == "f" and column.hasnans for column in columns]
        columns = [c.convert_dtypes() if gap else c for c, gap in zip(columns, gaps)]
        cells = [[None if no else v for v, no in zip(c.tolist(), c.isna())] for c in columns]
        rows = [dict(zip(source.columns, row)) for row in zip(*cells)]
    elif "datasets.Dataset" in bases:
        rows = source.to_list()
        for column, feature in source.features.items():
            if names := getattr(getattr(feature, "feature", feature), "names", None):  # or a list's
                for row in rows:
                    row[column] = _named(row[column], names)
    elif isinstance(source, list) and all(isinstance(row, dict) for row in source):
        rows = source
    else:
        several = isinstance(source, dict) and "train" in source  # a DatasetDict
        remedy = '; give each split, such as read_dataset(d["train"], test=d["test"])' * several
        expected = "a file, a pandas.DataFrame, a datasets.Dataset or a list of dictionaries"
        raise MiniftError(f"{split}: expected {expected}, got {type(source).__name__}{remedy}")
    return [
        (number, {str(k): v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()})
        for number, row in enumerate(rows, start=1)
    ]


def _named(value: Any, names: list[str]) -> object:
    """Return the name of a class, or of each in a list; -1 is how datasets writes a missing one."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return None if value is None or value < 0 else names[value]
