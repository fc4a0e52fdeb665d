"""A delta file: what fine-tuning changed, and nothing else.

Claim    A file of the changed tensors, loaded onto a fresh copy of the encoder they were changed
         in, restores the fine-tuned model bit for bit; onto any other encoder it is refused.
         With BitFit it is a few hundred kilobytes beside hundreds of megabytes.
Source   Ben Zaken, Goldberg & Ravfogel (2022), https://arxiv.org/abs/2106.10199, section 1: many
         tasks on one encoder, each with its own biases.
Proof    tests/methods/test_bitfit.py
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from minift.bert.encoder import Bert
from minift.bert.heads import Classifier
from minift.checkpoints.tensor_files import read_safetensors
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.files import atomic_directory_write


def save_delta(
    model: Classifier, base: nn.Module, path: str | Path, base_name: str = "its base"
) -> None:
    """Write what fine-tuning changed, under Hugging Face's names, and nothing else.

    The head is written whole. Of the encoder, a tensor that differs from `base` is written
    whole, or as `NAME.indices` (flat) and `NAME.values` where that is smaller; a tensor that
    `base` lacks (a new pooler) counts as head.

    Args:
        model: the fine-tuned model, with its head.
        base: the pretrained encoder it came from, untouched; bare or with any head.
        path: the file to write; what stands there is replaced only by a complete file.
        base_name: what a later error calls the base, e.g. the name it was loaded by.

    Raises:
        MiniftError: if `base` is (part of) the model itself, or has other sizes.
    """
    path = Path(path)
    tuned, pretrained = _by_hf_name(model), _by_hf_name(base)
    tensors: dict[str, Tensor] = {}
    identity: dict[str, str] = {}
    for name, tensor in tuned.items():
        start = pretrained.get(name) if name.startswith("bert.") else None
        if start is None:
            tensors[name] = tensor.contiguous()
            continue
        if start.data_ptr() == tensor.data_ptr():
            raise MiniftError("base is the fine-tuned model itself; load the encoder once more")
        if start.shape != tensor.shape:
            raise MiniftError(
                f"{name} is {tuple(tensor.shape)} in the model and {tuple(start.shape)} in base; "
                "base must be the encoder that the model was fine-tuned from"
            )
        identity[name] = _fingerprint(start)
        changed = (_bytes(tensor) != _bytes(start)).any(1).nonzero().flatten()
        indices, values = changed.to(torch.int32), tensor.cpu().take(changed)
        if indices.nbytes + values.nbytes >= tensor.nbytes:
            tensors[name] = tensor.contiguous()
        elif len(changed):
            tensors[f"{name}.indices"], tensors[f"{name}.values"] = indices, values
    metadata = {
        "base_name": base_name,
        "base": json.dumps(identity),
        "labels": json.dumps(model.config.labels),
    }
    atomic_directory_write(
        path.parent, lambda folder: save_file(tensors, folder / path.name, metadata)
    )


def load_delta(path: str | Path, model: Classifier) -> None:
    """Turn a freshly loaded encoder with a head into the fine-tuned model, bit for bit.

    Args:
        path: a file of `save_delta`.
        model: the same encoder with the same kind of head and labels; its head's weights do
            not matter. It is untouched if anything does not fit.

    Raises:
        MiniftError: if the file is damaged or was made for another encoder, head or labels.
    """
    tensors, metadata = _read_delta(Path(path))
    identity, labels = metadata["base"], metadata["labels"]
    fresh = _by_hf_name(model)
    here = {name: _fingerprint(fresh[name]) if name in fresh else "absent" for name in identity}
    if wrong := [name for name in identity if here[name] != identity[name]]:
        raise MiniftError(
            f'{path} changes the encoder "{metadata["base_name"]}", and this one differs from it '
            f"in {len(wrong)} of {len(identity)} tensors, first {wrong[0]} ({here[wrong[0]]}, "
            f"expected {identity[wrong[0]]}); load it onto that encoder, freshly loaded"
        )
    if tuple(labels) != model.config.labels:
        raise MiniftError(
            f"{path}: its labels are {', '.join(labels)}, in this order, but the model's "
            f"{', '.join(model.config.labels)}"
        )
    targets = {re.sub(r"\.(indices|values)$", "", name) for name in tensors}
    problems = [f"{name} is in no such model" for name in sorted(targets - set(fresh))]
    for name, tensor in fresh.items():
        if name in tensors:
            stored, expected = tuple(tensors[name].shape), tuple(tensor.shape)
            if stored != expected:
                problems.append(f"{name} is {stored} in the file and {expected} in the model")
        elif name in targets:
            indices, values = tensors.get(f"{name}.indices"), tensors.get(f"{name}.values")
            if indices is None or values is None or len(indices) != len(values):
                problems.append(f"{name} has not as many indices as values")
            elif not 0 <= int(indices.min()) <= int(indices.max()) < tensor.numel():
                problems.append(f"{name} has an index outside its {tensor.numel()} elements")
        elif name not in identity:
            problems.append(f"{name} is missing")
    if problems:
        raise MiniftError(f"{path} does not fit this model: {'; '.join(problems)}")
    for name in targets:
        target = fresh[name]
        if name in tensors:
            target.copy_(tensors[name])
        else:
            indices = tensors[f"{name}.indices"].long().to(target.device)
            target.put_(indices, tensors[f"{name}.values"].to(target))


def _read_delta(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        tensors, metadata = read_safetensors(path)
    except MiniftError as error:
        raise MiniftError(f"{path}: cannot be read as a delta file ({error.__cause__})") from error
    try:
        return tensors, {
            "base_name": metadata["base_name"],
            "base": dict(json.loads(metadata["base"])),
            "labels": list(map(str, json.loads(metadata["labels"]))),
        }
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise MiniftError(
            f"{path}: a safetensors file, but no delta file: it does not say which encoder it "
            "changes (a whole checkpoint is loaded with load_model)"
        ) from error


def _by_hf_name(model: nn.Module) -> dict[str, Tensor]:
    """Parameters by Hugging Face's names, those of a bare encoder as part of a model."""
    prefix = "bert." if isinstance(model, Bert) else ""
    return {hf_name(prefix + name): p.detach() for name, p in model.named_parameters()}


def _bytes(tensor: Tensor) -> Tensor:
    """(elements, bytes of one): compared so, -0.0 is not 0.0 and nan is itself."""
    return tensor.cpu().contiguous().flatten().view(torch.uint8).view(tensor.numel(), -1)


def _fingerprint(tensor: Tensor) -> str:
    """Return type, shape and the start of the SHA-256 of the bytes."""
    digest = hashlib.sha256(_bytes(tensor).flatten().numpy().data).hexdigest()
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)} {digest[:16]}"
