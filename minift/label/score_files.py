"""Scores of a pool of any size: streamed to a file, which the next run completes.

Claim    One chunk of texts is in memory at a time, however long the pool is. Scores are used again
         only if they were made by the same model, seed and strategy of the same texts, so a file
         that was cut at any byte ends up as if nothing had happened. A call that fails leaves
         nothing behind. Several processes share the scoring, the first writes.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import contextlib
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minift.active import streaming
from minift.active.loop import SCORES, Asking, score_chunks
from minift.checkpoints.weights import weights_digest
from minift.errors import MiniftError
from minift.files import claim_file, file_digest, locked
from minift.journal import append_log, cut_log, read_log
from minift.label.pool import open_pool
from minift.label.project import command, last_model, load_project
from minift.runs.folder import load_run
from minift.runs.processes import from_first, rank, require_same_weights
from minift.speed.precision import precision_of
from minift.training.loop import Precision, Seeds


def _done(path: Path, head: dict[str, Any], total: int) -> int:
    """Return how many texts have their scores in a file, which is cut back to whole chunks."""
    rows = read_log(path)
    if (first := next(rows, head)) != head:
        raise MiniftError(
            f"{path} does not hold scores of these texts by this model, strategy, seed and "
            f"precision, but of {first}; choose another --out, or delete it"
        )
    done = sum(1 for _ in rows)
    if done < total:  # other batches would round other last digits
        done -= done % streaming.CHUNK
        cut_log(path, 1 + done if done else 0)
    return done


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
    """Score the texts of a file, return their number; the same call completes a killed one.

    `model` is a run folder, or a project, whose last model is taken; the texts are those of
    `open_pool`; precision None is that of the model's training. `out` is JSONL: first all that the
    scores depend on, then {"id", "score"} per text, as by `score_chunks`. MiniftError if the
    strategy gives no scores, there is no model, or `out` holds others.
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
    key: dict[str, Any] = {"model": weights_digest(tuned.model), "strategy": asking.strategy}
    key |= {"precision": precision_of(tuned.model), "texts": file_digest(file)[:12]}
    if asking.strategy == "bald":
        key |= {"passes": asking.passes, "layers": asking.layers, "seed": seed}
    path, head, first = Path(out), {"scores": key}, rank() == 0
    if first:
        for note in tuned.notes(item for text in pool for item in tuned.items([text])):
            print(f"note: {note}", file=sys.stderr)
        claim_file(out, "--out", file, ours=rb'\{("sc|"?$)')
    total = sum(1 for _ in pool)
    with contextlib.ExitStack() as stack:
        if first:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path, leave=False))
        done = from_first(_done(path, head, total) if first else 0)
        hidden = None if first else True
        bar = tqdm(
            desc="scoring", total=total, initial=done, unit="text", leave=False, disable=hidden
        )
        stack.enter_context(bar)
        for chunk, values in score_chunks(asking, tuned, islice(pool, done, None), seed):
            scores = zip(chunk, values.tolist())
            rows = [{"id": text.id, "score": score} for text, score in scores]
            if first:
                append_log(path, *([] if done else [head]), *rows)
            done += len(chunk)
            bar.update(len(chunk))
    return total
