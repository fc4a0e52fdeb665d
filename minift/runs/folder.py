"""A run folder: a checkpoint with a memory of how it was made.

Claim    A run folder *is* a Hugging Face checkpoint (config.json, model.safetensors, tokenizer),
         or with the mean head a folder of sentence-transformers (checkpoints/modules.py), with
         four more files: run.json says how it was made, history.jsonl what happened,
         result.json what came out, README.md both for people (and its encoder's rates.json, if that
         has one; and, chosen on folds, decision.json: how it answers). One process at
         a time works in it, and only the same command takes up an unfinished run.
Proof    tests/runs/test_train.py
"""

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch

from minift.bert.heads import Classifier, TokenClassifier
from minift.checkpoints.hub import refusal
from minift.checkpoints.limits import read_json
from minift.checkpoints.strict import class_of
from minift.checkpoints.weights import load_model, load_tokenizer
from minift.data.examples import Task
from minift.data.tags import NO_TAG, scheme_of
from minift.errors import MiniftError
from minift.files import atomic_write, claim_folder, locked
from minift.runs.decide import read_decision
from minift.runs.processes import rank
from minift.runs.resume import Checkpoints
from minift.runs.tuned import HEADS, PROBLEM_TYPES, FineTuned, not_finite
from minift.speed.precision import compute_in
from minift.training.loop import Precision


@contextlib.contextmanager
def open_run(
    folder: Path | None,
    what: str,
    spec: dict[str, Any],
    save_every: float = 60.0,
    progress: bool = False,
) -> Iterator[Checkpoints | None]:
    """Hold a folder for this process alone; write `what`.json, and yield the checkpoints.

    `spec` is all that decides what the run comes to; without a folder, None is yielded. With
    `progress` it is said if an unfinished run is there.
    """
    if folder is None:
        yield None
        return
    if rank() > 0:  # the first holds the folder for all
        yield Checkpoints(folder / "checkpoints", save_every)
        return
    spec = json.loads(json.dumps(spec))  # as it will be read
    file = folder / f"{what}.json"
    if not (folder / "result.json").exists():
        claim_folder(folder, file.name)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / what):
        checkpoints = Checkpoints(folder / "checkpoints", save_every)
        if (folder / "result.json").exists():
            checkpoints.delete()  # the run may have been killed before it could
            raise MiniftError(
                f"{folder} already holds a finished run; choose another --out or delete the folder"
            )
        there = read_json(file) if file.is_file() else {}
        if there and "minift_version" not in there:
            raise MiniftError(f"{file} was not written by minift; choose another --out")
        if checkpoints.folder.is_dir() and there:
            if other := _differences(there, spec):
                raise MiniftError(
                    f"{folder} holds an unfinished run with another {' and '.join(other)}; give "
                    "the same command as then, choose another --out, or delete the folder"
                )
            if progress:
                print(f"resuming the unfinished run in {folder}", file=sys.stderr)
        atomic_write(file, json.dumps(spec, indent=2) + "\n")
        yield checkpoints


_WORDS = {
    "minift_version": "version of minift ({was} then, {now} now)",
    "processes": "number of processes ({was} then, {now} now)",
    "data_digest": "content of the data",
    "weights": "content of the encoder",
    "validated_each_epoch": "choice of --validate-each-epoch",
}


def _differences(there: dict[str, Any], spec: dict[str, Any]) -> list[str]:
    """Name what differs in words that a user knows: "data", "epochs"."""
    found: list[str] = []
    for name, now in spec.items():
        was = there.get(name)
        if isinstance(now, dict) and isinstance(was, dict):
            found += [key.replace("_", " ") for key in now if was.get(key) != now[key]]
        elif name != "command" and was != now:  # which may be typed in another way
            found.append(_WORDS.get(name, name.replace("_", " ")).format(was=was, now=now))
    return found


def load_run(
    folder: str | Path, device: torch.device | str = "cpu", precision: Precision | None = None
) -> FineTuned:
    """Load a run folder, or any Hugging Face checkpoint with a classification head.

    `precision` None takes that of the run, "float32" where nothing is known of it.
    """
    folder = Path(folder)
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise refusal(folder, "run")
    head = class_of(folder, tuple(HEADS))
    if head is None:
        raise MiniftError(
            f"{config_file}: architectures is {read_json(config_file).get('architectures')}, so "
            "this is an encoder without a classifier: train one (minift train); or, if it has one, "
            f"name that: {' or '.join(known.hugging_face_class for known in HEADS)}"
        )
    model, report = load_model(head, folder)
    if drawn := report.initialised:  # a pooler, a classifier, or both
        part = "classifier" if drawn[-1].startswith("classifier.") else "pooler"
        raise MiniftError(f"{folder}: the checkpoint has no {part}; train one: minift train")
    if broken := not_finite(model):
        what = "holds numbers that are not finite, so its training went wrong"
        raise MiniftError(f"{folder}: {broken} {what}; train again, at a lower rate")
    task: Task = "classification"
    if head is TokenClassifier:
        task = "tagging"
        _judge_tags(model, str(config_file))
    elif model.config.problem_type in PROBLEM_TYPES.values():
        task = "regression" if model.config.problem_type == "regression" else "multilabel"
    made, came_out = (
        read_json(file) if (file := folder / name).is_file() else {}
        for name in ("run.json", "result.json")
    )
    settings = made.get("settings")  # of a run of ours; a stranger's file may hold anything
    kept = settings.get("precision") if isinstance(settings, dict) else None
    compute_in(model.to(device), precision or kept or "float32")
    labels = () if task == "regression" else model.config.labels
    pairs, positive = made.get("pairs"), made.get("positive")
    return FineTuned(
        model,
        load_tokenizer(folder),
        task,
        labels,
        quiet=came_out.get("quiet", 0),
        pairs=pairs if isinstance(pairs, bool) else None,
        positive=positive if positive in labels else None,
        decision=read_decision(folder, labels),
    )


def _judge_tags(model: Classifier, where: str) -> None:
    """Refuse labels that are not tags of entities; [PAD] and its like are never answered."""
    labels = model.config.labels
    try:
        scheme, _ = scheme_of(labels)
    except MiniftError as error:
        what = f"{where}: {short(labels)} are not the tags of a tagger of entities: {error}"
        raise MiniftError(f"{what}. If they mean such tags, rename them in id2label") from error
    if scheme in ("bioes", "io"):
        warnings.warn(f"{where}: tags are in the scheme {scheme}, read as iob2", stacklevel=1)
    with torch.no_grad():
        never = [number for number, label in enumerate(labels) if NO_TAG.fullmatch(label)]
        model.classifier.get_parameter("bias")[never] = -1e4
