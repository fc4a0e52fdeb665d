"""Scores of a pool of any size: streamed to a file, which the next run completes.

Claim    One chunk of texts is in memory at a time. A line is used again only if it was made by
         the same model, seed and strategy for the same text, so a file that was cut at any byte
         ends up as if nothing had happened. Several processes share the scoring, the first writes.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minift.active import streaming
from minift.active.loop import Asking, score_chunks
from minift.active.streaming import mc_stream
from minift.data.examples import Example
from minift.errors import MiniftError
from minift.journal import append_log, cut_log, read_log
from minift.label.pool import texts_of
from minift.runs.processes import from_first, rank
from minift.runs.train import FineTuned


def score_file(
    tuned: FineTuned,
    examples: Iterable[Example],
    asking: Asking,
    seed: int,
    path: str | Path,
    key: Mapping[str, Any],
    total: int | None = None,
    progress: bool = False,
) -> int:
    """Score texts into a file, a chunk at a time, from where an earlier call stopped.

    Args:
        tuned: the model.
        examples: any number; each is held for one chunk only.
        asking: strategy (not random) and MC dropout.
        seed: of the masks.
        path: JSONL: the key, then {"id", "score"} with a checksum of the text; for batch_bald
            the score is the probabilities (passes, classes).
        key: what the scores depend on besides the texts; must fit what the file begins with.
        total, progress: for a bar on standard error.

    Returns:
        The number of texts that the file has now.

    Raises:
        MiniftError: if the file holds scores of another key, or of other texts.
    """
    if rank() > 0:
        done = from_first(0)
        rest = islice(examples, done, None)
        return done + sum(len(chunk) for chunk, _ in _values(tuned, rest, asking, seed))
    done, left = _scored(Path(path), {"scores": dict(key)}, iter(examples))
    done = from_first(done)
    shown = None if progress else True
    with tqdm(
        total=total, initial=done, unit="text", desc="scoring", disable=shown, leave=False
    ) as bar:
        for chunk, values in _values(tuned, left, asking, seed):
            rows = (
                {"id": example.id, "score": value, "text": _checksum(example)}
                for example, value in zip(chunk, values)
            )
            append_log(path, *rows)
            done += len(chunk)
            bar.update(len(chunk))
    return done


def _scored(
    path: Path, head: dict[str, Any], examples: Iterator[Example]
) -> tuple[int, Iterator[Example]]:
    """Compare what a score file has with the texts; return how many, and the texts left."""
    line = (json.dumps(head) + "\n").encode()
    begins = b""
    if path.is_file():
        with path.open("rb") as file:
            begins = file.read(len(line))
    if not line.startswith(begins):
        raise MiniftError(
            f"{path} is not a score file of this model, strategy, seed and precision; it begins "
            f"with {begins[:200].decode('utf-8', 'backslashreplace').strip()!r}. Choose another "
            "--out, or delete it"
        )
    if begins != line:  # new, or killed at once
        path.parent.mkdir(parents=True, exist_ok=True)
        append_log(path, head)
        return 0, examples
    done = 0  # whole chunks only: other batches would round other last digits
    chunk: list[Example] = []
    for row in _rows(path):
        example = next(examples, None)
        if example is None or (row["id"], row["text"]) != (example.id, _checksum(example)):
            number = done + len(chunk) + 1
            raise MiniftError(
                f"{path}: line {number + 1} is the score of another text than number {number}; "
                "choose another --out, or delete it"
            )
        chunk.append(example)
        if len(chunk) == streaming.CHUNK:
            done, chunk = done + len(chunk), []
    rest = list(islice(examples, 1))
    if not rest:  # all are there
        return done + len(chunk), iter(())
    cut_log(path, 1 + done)
    return done, chain(chunk, rest, examples)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the scores, up to a damaged line: what comes after it is scored again."""
    with contextlib.suppress(MiniftError):
        yield from islice(read_log(path), 1, None)


def _checksum(example: Example) -> int:
    return zlib.crc32("\0".join(texts_of(example)).encode())


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
