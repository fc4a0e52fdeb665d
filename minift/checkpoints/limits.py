"""What a checkpoint from a stranger may cost at most, known before memory is spent on it.

Claim    Sizes are read and judged before anything of that size is made, so a file of a few bytes
         cannot ask for gigabytes. Real checkpoints stay far below every number here, and below
         those of `BertConfig`.
Proof    tests/safety/test_configs.py, tests/safety/test_tensor_files.py
"""

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from minift.errors import MiniftError

LARGEST_JSON = 2**24  # bytes of config.json and its like; those of BERT have some hundred
LARGEST_TOKENIZER = 2**26  # bytes; those of 500,000 pieces have 10 to 20 million
LARGEST_HEADER = 2**24  # bytes of a safetensors header; BERT-large's has 45,000
MOST_DIMENSIONS = 8  # of a tensor
MOST_PIECES = 2**22  # of a vocabulary; the largest of a BERT has 500,000
LONGEST_WORD = 1000  # letters that are looked up; the time grows with their square


def refuse_pointer(path: Path) -> None:
    """Refuse what git leaves in the place of a large file that git-lfs has not fetched."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(26) == b"version https://git-lfs.gi":
            raise MiniftError(f"{path} is a pointer of git-lfs; fetch the file: git lfs pull")


def read_limited(path: Path, largest: int) -> str:
    """Return the text of a file that has no reason to be large, with newlines as line ends.

    Raises a MiniftError if it has more than `largest` bytes, or only points to the file; an OSError
    or a UnicodeDecodeError if it cannot be read.
    """
    refuse_pointer(path)
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise MiniftError(f"{path} has more than {largest:,} bytes: damaged, or not what it says")
    return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of pairs, for JSON's `object_pairs_hook`; ValueError: a name is twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f'an object has "{twice}" twice')
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file."""
    try:
        values = json.loads(read_limited(path, LARGEST_JSON))
    except MiniftError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # ValueError: encoding, syntax
        raise MiniftError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise MiniftError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values
