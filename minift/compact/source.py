"""Where a run's labelled data came from, so that a student can be given the same.

Claim    A run folder remembers its data set by name, or its files by path, reading options and
         digest. So the very sentences that the teacher was trained on are found again, or the
         reason why they cannot be is said.
Proof    tests/compact/test_source.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minift.checkpoints.limits import read_json
from minift.data.examples import Dataset
from minift.data.files.readers import read_dataset
from minift.data.named import EMBEDDED_SETS, NAMED_SETS, load_dataset
from minift.errors import MiniftError
from minift.files import file_digest
from minift.runs.train import subset

_REMEDY = "give the labelled data yourself: --train FILE (with --dev and --test), or --data NAME"


def source_of_files(
    train: str | Path,
    dev: str | Path | None,
    test: str | Path | None,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what run.json keeps under "source" for a run on files, read with these options."""
    given = {"train": train, "dev": dev, "test": test}
    files = {split: Path(file).resolve() for split, file in given.items() if file is not None}
    return {
        "files": {split: str(file) for split, file in files.items()},
        "sha256": {split: file_digest(file) for split, file in files.items()},
        "options": dict(options),
    }


def training_data(run: str | Path) -> Dataset:
    """Return the data set of a run folder, `train` being the examples that the run drew.

    A MiniftError says if the folder does not say, or what it names is gone or no longer the same.
    """
    run = Path(run)
    try:
        made, came_out = read_json(run / "run.json"), read_json(run / "result.json")
        name, seed, labels = made["data"], made["seeds"]["subset"], came_out["labels"]
    except (MiniftError, KeyError, TypeError) as error:
        raise MiniftError(
            f"{run} does not say what the teacher was trained on ({error!r}); {_REMEDY}"
        ) from None
    source = made.get("source")
    if source is None and name in {*NAMED_SETS, *EMBEDDED_SETS}:
        source = {"data": name}
    if source is None:
        raise MiniftError(f"{run} names its data only as {name!r}; {_REMEDY}")
    for split, file in source.get("files", {}).items():
        if not Path(file).is_file():
            raise MiniftError(f"{file}: the teacher's {split} file is gone; {_REMEDY}")
        if file_digest(file) != source["sha256"][split]:
            raise MiniftError(
                f"{file}: the {split} file has changed since the teacher was trained; {_REMEDY}"
            )
    if "data" in source:
        dataset = load_dataset(source["data"])
    else:
        dataset = read_dataset(**source["files"], **source["options"])
    return replace(dataset, train=subset(dataset.train, labels, seed))
