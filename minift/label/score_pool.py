"""Any pool scored by any model, however long it is.

Claim    A pool of 100,000 texts takes the memory of one chunk, and a killed run is resumed.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from minift.active.loop import SCORES, Asking
from minift.checkpoints.weights import weights_digest
from minift.errors import MiniftError
from minift.files import file_digest
from minift.label.pool import open_pool
from minift.label.project import load_project
from minift.label.rounds import last_model
from minift.label.score_files import score_file
from minift.runs.folder import load_run
from minift.runs.processes import require_same_weights
from minift.speed.precision import precision_of
from minift.training.loop import Precision


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
    progress: bool = False,
) -> int:
    """Score the texts of a file; if the call was killed, the same call completes the scores.

    Args:
        model: a run folder, or a project, whose last model is taken.
        file: the texts (see `open_pool`); if a text occurs twice, so does its score.
        out: JSONL, {"id", "score"} per text; the first line says how it was made.
        asking, seed: strategy, MC dropout, masks.
        format, text, text_b: see `open_pool`.
        device, progress: where, and whether to show a bar on standard error.
        precision: of matrix products; None takes that in which the model was trained.

    Returns:
        The number of texts in the file.

    Raises:
        MiniftError: if the strategy gives no scores, there is no model, or `out` holds others.
    """
    asking = asking or Asking()
    if asking.strategy not in SCORES:
        raise MiniftError(
            f"{asking.strategy} gives no text a score of its own; take one of {', '.join(SCORES)}"
        )
    folder = Path(model)
    if (folder / "project.json").is_file():
        tuned = last_model(load_project(folder), device, precision)
        if tuned is None:
            raise MiniftError(
                f"{folder} has no model yet; label some texts of each class, then: minift active "
                f"next {folder}"
            )
    else:
        tuned = load_run(folder, device, precision)
    require_same_weights(tuned.model)
    pool = open_pool(file, tuned.task, format, text, text_b)
    if pool.texts.total is None:
        raise MiniftError(f"{file}: it can be read only once; save the texts in a file first")
    key: dict[str, Any] = {"model": weights_digest(tuned.model), "strategy": asking.strategy}
    key |= {"precision": precision_of(tuned.model), "texts": file_digest(file)[:12]}
    if asking.strategy == "bald":
        key |= {"passes": asking.passes, "layers": asking.layers, "seed": seed}
    total = sum(1 for _ in pool)
    score_file(tuned, pool, total, asking, seed, out, key, progress)
    return total
