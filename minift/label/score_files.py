"""Scores of a pool of any size, streamed to a file.

Claim    One chunk of texts is in memory at a time, however long the pool is. A call that fails or
         is killed leaves the file as it was, and two calls never write the same file. Several
         processes share the scoring, and the first writes.
Proof    tests/label/test_project.py
"""

import json
import os
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from minift.active.loop import SCORES, Asking, score_chunks
from minift.errors import MiniftError
from minift.files import atomic_directory_write, claim_file, locked
from minift.label.pool import open_pool
from minift.label.project import command, last_model, load_project
from minift.runs.folder import load_run
from minift.runs.processes import rank, require_same_weights
from minift.training.loop import Precision, Seeds


def score(
    model: str | Path,
    file: str | Path,
    out: str | Path,
    asking: Asking | None = None,
    *,
    seed: int = 0,
    format: str | None = None,
    text: str | None = None,
    text_b: str | None = None,
    device: torch.device | str = "cpu",
    precision: Precision | None = None,
) -> int:
    """Score the texts of a file, and return their number.

    `model` is a run folder, or a project, whose last model is taken; the texts are those of
    `open_pool`; precision None is that of the model's training. `out` is JSONL, {"id", "score"} per
    text, as by `score_chunks`. MiniftError if the strategy gives no scores, there is no model, or
    `out` is there and does not hold scores.
    """
    asking, seed = asking or Asking(), Seeds.all(seed).subset
    if asking.strategy not in SCORES:
        what = f"{asking.strategy} gives no text a score of its own"
        raise MiniftError(f"{what}; take one of {', '.join(SCORES)}")
    if (Path(model) / "project.json").is_file():
        tuned = last_model(load_project(model), device, precision)
    else:
        tuned = load_run(model, device, precision)
    if tuned is None:
        what = f"{model} has no model yet; label some texts of each class, then: "
        raise MiniftError(what + command("next", model))
    require_same_weights(tuned.model)
    pool = open_pool(file, tuned.task, format, text, text_b)
    if pool.total is None:
        raise MiniftError(f"{file}: it can be read only once; save the texts in a file first")
    path, first = Path(out), rank() == 0
    if first:
        for note in tuned.notes(item for text in pool for item in tuned.items([text])):
            print(f"note: {note}", file=sys.stderr)
        claim_file(out, "--out", file, ours=rb'\{"id": .*, "score": ')
    total = sum(1 for _ in pool)

    def write(folder: Path) -> None:
        hidden, file = None if first else True, folder / path.name if first else Path(os.devnull)
        bar = tqdm(desc="scoring", total=total, unit="text", leave=False, disable=hidden)
        with bar, file.open("w", encoding="utf-8") as lines:
            for chunk, values in score_chunks(asking, tuned, pool, seed):
                for text, score in zip(chunk, values.tolist()):
                    lines.write(json.dumps({"id": text.id, "score": score}) + "\n")
                bar.update(len(chunk))

    if not first:
        write(path)
        return total
    with locked(path, leave=False):
        atomic_directory_write(path.parent, write)
    return total
