"""The folder of a comparison: what was asked for, and each run as soon as it is finished.

Claim    A kill at any moment loses at most the runs in progress. Runs of another data set,
         encoder or setting never end up in the same table.
Proof    tests/compare/test_grid.py
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from minift.checkpoints.limits import read_json
from minift.compare.lineup import control_pairs
from minift.compare.report import Comparison, Run
from minift.compare.workers import Job
from minift.data.examples import Dataset
from minift.errors import MiniftError
from minift.files import atomic_write, claim_folder, digest, locked
from minift.journal import append_log, read_log

FIXED = ("minift_version", "data_digest", "encoder_digest", "selection", "folds", "device")


@dataclass
class RunLog:
    """The folder of a comparison, open for writing: compare.json and runs.jsonl."""

    file: Path
    setup: dict[str, Any]
    done: dict[Job, Run]

    def add(self, run: Run, there: bool = False) -> None:
        """Keep a finished run: on the disk, if it is not there yet, then in memory."""
        if not there:
            append_log(self.file, asdict(run))
        self.done[Job(run.method, run.labels, run.seed)] = run

    def complete(self, about: Comparison, asked: Sequence[Job]) -> Comparison:
        """Return the comparison with all finished runs, those of earlier calls included."""
        finished = {job.method for job in self.done}
        order = dict.fromkeys((*about.methods, *self.setup["methods"]))
        methods = tuple(name for name in order if name in finished)
        return replace(
            about,
            methods=methods,
            settings={name: self.setup["methods"][name]["shown"] for name in methods},
            controls=tuple(control_pairs(methods)),
            runs=tuple(self.done.values()),
            planned=len({*asked, *self.done}),
        )


@contextlib.contextmanager
def open_log(folder: Path, setup: dict[str, Any]) -> Iterator[RunLog]:
    """Open a new folder, or one that was made with the same setup, to add runs to it.

    A MiniftError says if it is in use or holds something else, or the setup has changed.
    """
    setup_file, runs = folder / "compare.json", folder / "runs.jsonl"
    setup = json.loads(json.dumps(setup))  # as it will be read
    claim_folder(folder, setup_file.name)
    _merged(folder, setup_file, setup)  # refused before a lock is left in it
    folder.mkdir(parents=True, exist_ok=True)
    with locked(setup_file):
        setup = _merged(folder, setup_file, setup)
        atomic_write(setup_file, json.dumps(setup, indent=2) + "\n")
        log = RunLog(runs, setup, {})
        for number, record in enumerate(read_log(runs), 1):
            try:
                log.add(Run(**record), there=True)
            except TypeError as error:
                raise MiniftError(
                    f"{runs}, line {number}: not a run of this version ({error}); remove the line, "
                    "and the run will be done again"
                ) from error
        yield log


def _merged(folder: Path, setup_file: Path, new: dict[str, Any]) -> dict[str, Any]:
    """Return the setup with the methods of both, or refuse what would mix different runs."""
    if not setup_file.is_file():
        return new
    old = read_json(setup_file)
    both = new["methods"].keys() & old.get("methods", {}).keys()
    before, now = _facts(old, both), _facts(new, both)
    was = ((fact, before.get(fact), now.get(fact)) for fact in before | now)
    if changed := [f"{fact} was {a} and is now {b}" for fact, a, b in was if a != b]:
        raise MiniftError(
            f"{folder} holds a comparison with another setup: {'; '.join(changed)}. Choose "
            "another --out, or give the setup as it was"
        )
    return {**new, "methods": {**old["methods"], **new["methods"]}}


def _facts(setup: dict[str, Any], methods: Iterable[str]) -> dict[str, Any]:
    """Return what must stay as it is, by the name that an error gives it."""
    facts = {key.replace("_", " "): setup.get(key) for key in FIXED}
    for name in methods:
        own = setup["methods"][name]["settings"].items()
        facts |= {f"{key} of {name}": value for key, value in own}
    return facts


def data_digest(data: Dataset) -> str:
    """Return a digest of the examples, their roles, the labels and the metric."""
    return digest(repr(replace(data, notes=())))[:16]
