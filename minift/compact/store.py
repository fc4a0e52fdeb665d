"""One small file that is the whole student: weights, words, characters, labels.

Claim    The file is all that prediction needs, and it loads in a fraction of a second. Weights
         are stored in 32 or 16 bits, or in 8 bits with one scale for each row of a matrix.
Differs  - 8 bits: a row is round(row / scale), scale = max |row| / 127, so no weight is off by
           more than half a scale. Small tensors (biases, the CRF) stay in 32 bits.
         - The student computes in 32 bits, however it is stored.
         - The words are JSON in the file's header, so the same student is the same bytes.
Proof    tests/compact/test_store.py
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors.torch import save
from torch import Tensor

from minift.checkpoints.tensor_files import read_safetensors
from minift.checkpoints.weights import without_weights
from minift.compact.student import Student
from minift.compact.tagger import Tagger, TaggerConfig
from minift.compact.vocabulary import Vocabulary
from minift.errors import MiniftError, require_known
from minift.files import atomic_write

FILE = "student.safetensors"
FORMAT = "minift student 1"
Storage = Literal["float32", "float16", "int8"]
STORAGES: tuple[Storage, ...] = get_args(Storage)

_SMALL = 2048  # numbers; a smaller tensor is not worth rounding
_SCALE = ".scale"


def save_student(student: Student, path: str | Path, storage: Storage = "float32") -> Path:
    """Write a student to `path`, a folder or a name ending in .safetensors, and return the file.

    Only the storage "float32" is exact; one that is unknown is refused.
    """
    require_known("storage", storage, STORAGES)
    about = {
        "format": FORMAT,
        "storage": storage,
        "labels": student.labels,
        "config": asdict(student.model.config),
        "vocabulary": asdict(student.vocabulary),
    }
    tensors: dict[str, Tensor] = {}
    for name, parameter in student.model.named_parameters():
        tensors |= _packed(name, parameter.detach().cpu().float().contiguous(), storage)
    path = _file(path)
    text = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
    atomic_write(path, save(tensors, {"minift": text}))
    return path


def load_student(path: str | Path, device: torch.device | str = "cpu") -> Student:
    """Read a student from its file or folder, in evaluation mode and float32, or refuse it."""
    path = _file(path)
    if not path.is_file():
        raise MiniftError(f"{path}: no such file; a student is made by: minift distill")
    tensors, metadata = read_safetensors(path)
    try:
        about = json.loads(metadata.get("minift", "{}"))
        if about.get("format") != FORMAT:
            raise ValueError(f"expected {FORMAT!r}; a run is given by its folder")
        known = about["vocabulary"]
        words, characters = tuple(known["words"]), tuple(known["characters"])
        vocabulary = Vocabulary(words, characters, int(known["longest_word"]))
        model = without_weights(Tagger, TaggerConfig(**about["config"]))
        model.load_state_dict(_unpacked(tensors), assign=True)
        labels = tuple(map(str, about["labels"]))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())  # PyTorch's has several lines
        raise MiniftError(
            f"{path}: not a student of this version, or its parts do not fit together: {reason}"
        ) from None
    return Student(model.to(device).eval(), vocabulary, labels)


def _file(path: str | Path) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path / FILE


def is_student(path: str | Path) -> bool:
    """True if `path` is a student's file, or a folder with one."""
    return _file(path).is_file()


def _packed(name: str, values: Tensor, storage: Storage) -> dict[str, Tensor]:
    """Return what is stored for a tensor."""
    if storage == "float32" or values.numel() < _SMALL:
        return {name: values}
    if storage == "float16":
        return {name: values.half()}
    rows = values.flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    whole = (rows / scale.unsqueeze(1)).round().to(torch.int8)
    return {name: whole.view(values.shape), name + _SCALE: scale}


def _unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights in float32: the inverse of `_packed`, except for the rounding."""
    weights = {n: values.float() for n, values in tensors.items() if not n.endswith(_SCALE)}
    for name, values in weights.items():
        if (scale := tensors.get(name + _SCALE)) is not None:
            weights[name] = values * scale.view(-1, *[1] * (values.dim() - 1))
    return weights
