"""Scores of a pool of any size: streamed to a file, which a killed run goes on with.

Claim    One chunk of texts is in memory at a time. A line is used again only if it was made by
         the same model, seed and strategy for the same text, so a file that was cut at any byte
         ends up as if nothing had happened. Several processes share the scoring, the first writes.
Proof    tests/label/test_project.py
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from minift.active import streaming
from minift.active.loop import Asking, score_chunks
from minift.active.streaming import mc_stream
from minift.data.examples import Example
from minift.errors import MiniftError
from minift.label.pool import texts_in
from minift.runs.processes import from_first, rank
from minift.runs.tuned import FineTuned


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
    """Score texts into a file, a chunk at a time, and go on where an earlier call stopped.

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
    path, head = Path(path), json.dumps({"scores": dict(key)}) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        done, left = _scored(file, path, head, iter(examples))
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
                file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
                file.flush()
                done += len(chunk)
                bar.update(len(chunk))
    return done


def _scored(
    file: BinaryIO, path: Path, head: str, examples: Iterator[Example]
) -> tuple[int, Iterator[Example]]:
    """Compare what a score file has with the texts; return how many, and the texts left."""
    file.seek(0)
    first = file.readline()
    if not first.endswith(b"\n") and head.encode().startswith(first):  # new, or killed at once
        file.truncate(0)
        file.write(head.encode())
        file.flush()
        return 0, examples
    if first != head.encode():
        raise MiniftError(
            f"{path} is no score file of this model, strategy, seed and precision; it begins with "
            f"{first[:200].decode('utf-8', 'backslashreplace').strip()!r}. Choose another --out, "
            "or delete it"
        )
    done, at = 0, file.tell()  # whole chunks only: other batches would round other last digits
    chunk: list[Example] = []
    size = 0
    for line in file:
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            row = None
        if row is None:  # cut off while it was written
            break
        example = next(examples, None)
        if example is None or (row["id"], row["text"]) != (example.id, _checksum(example)):
            number = done + len(chunk) + 1
            raise MiniftError(
                f"{path}: line {number + 1} is the score of another text than number {number}; "
                "choose another --out, or delete it"
            )
        chunk.append(example)
        size += len(line)
        if len(chunk) == streaming.CHUNK:
            done, at, chunk, size = done + len(chunk), at + size, [], 0
    else:
        rest = list(islice(examples, 1))
        if not rest:  # all are there
            return done + len(chunk), iter(())
        examples = chain(rest, examples)
    file.truncate(at)
    file.seek(0, os.SEEK_END)
    return done, chain(chunk, examples)


def _checksum(example: Example) -> int:
    return zlib.crc32("\0".join(texts_in(example)).encode())


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
    with path.open(encoding="utf-8") as file:
        next(file)
        rows = [json.loads(line) for line in file]
    return [row["id"] for row in rows], [row["score"] for row in rows]
