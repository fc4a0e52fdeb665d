"""Scores of a pool of any size: streamed to a file, which the next run completes.

Claim    One chunk of texts is in memory at a time. Scores are used again only if they were made by
         the same model, seed and strategy of the same texts, so a file that was cut at any byte
         ends up as if nothing had happened. Several processes share the scoring, the first writes.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minift.active import streaming
from minift.active.loop import Asking, score_chunks
from minift.active.streaming import mc_stream
from minift.data.examples import Example
from minift.errors import MiniftError
from minift.journal import append_log, cut_log, read_log
from minift.runs.processes import from_first, rank
from minift.runs.tuned import FineTuned


def score_file(
    tuned: FineTuned,
    examples: Iterable[Example],
    total: int,
    asking: Asking,
    seed: int,
    path: str | Path,
    key: Mapping[str, Any],
    progress: bool = False,
) -> None:
    """Score texts into a file, a chunk at a time, from where an earlier call stopped.

    Args:
        tuned: the model.
        examples: the texts; each is held for one chunk only.
        total: how many there are.
        asking: strategy (not random) and MC dropout.
        seed: of the masks.
        path: JSONL: the key, then {"id", "score"} per text; for batch_bald the score is the
            probabilities (passes, classes).
        key: all that the scores depend on, the texts included.
        progress: show a bar on standard error.

    Raises:
        MiniftError: if the file holds scores of another key.
    """
    path, first = Path(path), rank() == 0
    done = from_first(_done(path, {"scores": dict(key)}, total) if first else 0)
    with tqdm(
        total=total, initial=done, unit="text", desc="scoring", leave=False,
        disable=None if progress and first else True,
    ) as bar:  # fmt: skip
        for chunk, values in _values(tuned, islice(examples, done, None), asking, seed):
            rows = [{"id": text.id, "score": value} for text, value in zip(chunk, values)]
            if first:
                append_log(path, *rows)
            bar.update(len(chunk))


def _done(path: Path, head: dict[str, Any], total: int) -> int:
    """Begin a score file, or return how many texts have their scores in it already."""
    line = (json.dumps(head) + "\n").encode()
    begins = b""
    if path.is_file():
        with path.open("rb") as file:
            begins = file.read(len(line))
    if not line.startswith(begins):
        raise MiniftError(
            f"{path} does not hold scores of these texts by this model, strategy, seed and "
            f"precision; it begins with {begins[:200].decode('utf-8', 'replace').strip()!r}. "
            "Choose another --out, or delete it"
        )
    if begins != line:  # new, or killed at once
        path.parent.mkdir(parents=True, exist_ok=True)
        append_log(path, head)
    done = -1  # for the first line
    with contextlib.suppress(MiniftError):  # what comes after a damaged line is scored again
        for _ in read_log(path):
            done += 1
    if done < total:  # whole chunks only: other batches would round other last digits
        done -= done % streaming.CHUNK
        cut_log(path, 1 + done)
    return done


def _values(
    tuned: FineTuned, examples: Iterator[Example], asking: Asking, seed: int
) -> Iterator[tuple[list[Example], list[Any]]]:
    """Score chunk by chunk; for batch_bald, which weighs texts together, keep probabilities."""
    if asking.strategy == "batch_bald":
        for chunk, rows in mc_stream(tuned, examples, asking.passes, asking.layers, seed, True):
            yield chunk, [row[:, 0].tolist() for row in rows]
        return
    for chunk, scores in score_chunks(asking, tuned, examples, seed):
        yield chunk, scores.tolist()


def read_scores(path: Path) -> tuple[list[str], list[Any]]:
    """Return the ids and scores of a whole score file."""
    rows = list(islice(read_log(path), 1, None))
    return [row["id"] for row in rows], [row["score"] for row in rows]
