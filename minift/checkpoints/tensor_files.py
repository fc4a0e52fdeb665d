"""Tensors from files of strangers: the header is checked first, then believed.

Claim    A file gives exactly the tensors that its header names, or one MiniftError. It never runs
         code, and it never asks for memory that it does not fill itself.
Differs  - safetensors: the library checks offsets; a name that occurs twice, more dimensions than
           `MOST_DIMENSIONS` and shapes that hold nothing ([2**40, 0]) are refused here.
         - pytorch_model.bin: `weights_only=True`, and before that the instructions of the pickle
           are read as data. They may name only what a table of tensors needs, and no number
           larger than the file: no shape and no storage of a real one is. Members of the archive
           must not be packed, so that what comes out is no larger than what came in.
Proof    tests/safety/test_tensor_files.py, tests/safety/test_pickled_files.py
"""

import json
import pickletools
import re
import zipfile
from pathlib import Path
from reprlib import repr as short
from typing import IO

import torch
from safetensors import safe_open
from torch import Tensor

from minift.checkpoints.limits import LARGEST_HEADER, MOST_DIMENSIONS, each_once, refuse_pointer
from minift.errors import MiniftError

_NEEDED = re.compile(  # what the pickle of a state_dict names
    r"collections OrderedDict|torch\.nn\.parameter Parameter|torch Size"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch(\.storage)? \w+Storage"
)
_PARTS_OF_A_BYTE = ("F4", "F6_E2M3", "F6_E3M2")
_MOST_STEPS = 2**17  # of a pickle; BERT-large needs 20,000
_PARTS_OF_OLD_FILES = 5  # a magic number, the version, the system, the table, its keys


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors by name, and the metadata; the tensors lie in the file until used."""
    refuse_pointer(path)
    try:
        _check_header(path)
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except Exception as error:  # a damaged file can fail in any way
        reason = " ".join(str(error).split())[:300]  # PyTorch's may have a C++ stack behind it
        raise MiniftError(
            f"{path}: damaged, or not a safetensors file ({reason}); fetch it again"
        ) from error


def _check_header(path: Path) -> None:
    """Raise ValueError for a header that the library would take and we should not."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_HEADER:
            raise ValueError(f"a header of {length:,} bytes, at most {LARGEST_HEADER:,} expected")
        header = json.loads(file.read(length), object_pairs_hook=each_once)
    for name, entry in header.items() if isinstance(header, dict) else ():
        if not isinstance(entry, dict):
            continue
        shape = entry.get("shape")
        if isinstance(shape, list) and len(shape) > MOST_DIMENSIONS:
            raise ValueError(f"{name} has {len(shape)} dimensions")
        if isinstance(shape, list) and 0 in shape and any(size != 0 for size in shape):
            raise ValueError(f"{name} has the shape {shape}, which holds nothing")
        if entry.get("dtype") in _PARTS_OF_A_BYTE:
            raise ValueError(f"{name} is of type {entry['dtype']}, which PyTorch cannot convert")


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name of a pytorch_model.bin."""
    size = path.stat().st_size
    refuse_pointer(path)
    try:
        packed = zipfile.is_zipfile(path)
        _check_archive(path, size) if packed else _check_old_file(path, size)
        # A map of the file: no storage can be larger than the file, or grow.
        tensors = torch.load(path, map_location="cpu", mmap=packed, weights_only=True)
    except MiniftError:
        raise
    except Exception as error:  # a damaged or hostile pickle can fail in any way
        refused = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks to run {refused[1]}" if refused else type(error).__name__
        raise _refusal(path, what) from error
    parts = tensors.items() if isinstance(tensors, dict) else [(None, None)]
    if not all(isinstance(name, str) and isinstance(part, Tensor) for name, part in parts):
        inner = [short(name) for name, part in parts if isinstance(part, dict)]
        within = f"; save {' or '.join(inner)} of it alone, with torch.save" if inner else ""
        raise MiniftError(f"{path}: expected a table of tensors by name (a state_dict){within}")
    claimed = sum(tensor.nbytes for tensor in tensors.values())
    if claimed > 2 * size:  # twice: a decoder and the word embedding may be stored as one
        raise _refusal(path, f"{claimed:,} bytes of tensors in a file of {size:,}")
    return tensors


def _refusal(path: Path, what: str) -> MiniftError:
    return MiniftError(
        f"{path}: damaged, or holds more than tensors, which minift never unpickles "
        f"({what}); ask its author for model.safetensors"
    )


def _check_archive(path: Path, size: int) -> None:
    """Look at an archive of PyTorch 1.6 or later without unpacking it."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(m.compress_type != zipfile.ZIP_STORED for m in members):
            raise _refusal(path, "its members are compressed, and PyTorch never compresses them")
        if sum(m.file_size for m in members) > size:
            raise _refusal(path, f"its members claim more than its {size:,} bytes")
        for member in members:
            if member.filename.endswith("data.pkl"):
                with archive.open(member) as pickled:
                    _check_steps(path, pickled, size)


def _check_old_file(path: Path, size: int) -> None:
    """Look at the pickles that a file of PyTorch before 1.6 begins with."""
    with path.open("rb") as file:
        for part in range(_PARTS_OF_OLD_FILES):
            # the magic number is larger than any file
            _check_steps(path, file, size if part else 2**80)


def _check_steps(path: Path, pickled: IO[bytes], largest: int) -> None:
    """Read a pickle's instructions as data, up to its end."""
    for number, (step, value, _) in enumerate(pickletools.genops(pickled)):
        if number == _MOST_STEPS:
            raise _refusal(path, f"its table takes more than {_MOST_STEPS:,} steps")
        if step.name == "GLOBAL" and not _NEEDED.fullmatch(str(value)):
            raise _refusal(path, f"it asks to run {str(value).replace(' ', '.')}")
        if isinstance(value, int) and value > max(largest, 2**16):
            raise _refusal(path, f"a size of {value:,} in a file of {largest:,} bytes")
