"""A delta file: what fine-tuning changed, and nothing else.

Claim    A file of the changed tensors, loaded onto a fresh copy of the encoder they were changed
         in, restores the fine-tuned model bit for bit; onto any other encoder it is refused.
         With BitFit it is a few hundred kilobytes beside hundreds of megabytes.
Source   Ben Zaken, Goldberg & Ravfogel (2022), https://arxiv.org/abs/2106.10199, section 1: many
         tasks on one encoder, each with its own biases.
Proof    tests/checkpoints/test_delta.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from minift.bert.encoder import Bert
from minift.bert.heads import Classifier
from minift.checkpoints.tensor_files import read_safetensors
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.files import atomic_directory_write, digest


def save_delta(
    model: Classifier, base: nn.Module, path: str | Path, base_name: str = "its base"
) -> None:
    """Write what fine-tuning changed, under Hugging Face's names, and nothing else.

    That is the head, and each tensor of the encoder that differs from `base`, the pretrained
    encoder it came from, bare or with any head; one that `base` lacks (a new pooler) counts as
    head. A later error calls it `base_name`. A MiniftError says if `base` is (part of) the model
    itself, or has other sizes.
    """
    path = Path(path)
    pretrained = _by_hf_name(base)
    tensors: dict[str, Tensor] = {}
    identity: dict[str, str] = {}
    for name, tensor in _by_hf_name(model).items():
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
        if not torch.equal(_bytes(tensor), _bytes(start)):
            tensors[name] = tensor.contiguous()
    texts = {"base": json.dumps(identity), "labels": json.dumps(model.config.labels)}
    about = texts | {"base_name": base_name}
    atomic_directory_write(path.parent, lambda new: save_file(tensors, new / path.name, about))


def load_delta(path: str | Path, model: Classifier) -> None:
    """Turn a freshly loaded encoder with a head into the fine-tuned model, bit for bit.

    The model is untouched if anything does not fit; the weights of its head do not matter.
    """
    tensors, base_name, identity, labels = _read_delta(Path(path))
    fresh = _by_hf_name(model)
    here = {name: _fingerprint(fresh[name]) if name in fresh else "absent" for name in identity}
    if wrong := [name for name in identity if here[name] != identity[name]]:
        raise MiniftError(
            f'{path} changes the encoder "{base_name}", and this one differs from it in '
            f"{len(wrong)} of {len(identity)} tensors, first {wrong[0]} ({here[wrong[0]]}, "
            f"expected {identity[wrong[0]]}); load it onto that encoder, freshly loaded"
        )
    if labels != model.config.labels:
        theirs, ours = ", ".join(labels), ", ".join(model.config.labels)
        raise MiniftError(f"{path}: its labels are {theirs}, in this order, the model's {ours}")
    problems = [f"{name} is not in this model" for name in sorted(set(tensors) - set(fresh))]
    for name, old in fresh.items():
        if name in tensors and tensors[name].shape != old.shape:
            stored, expected = tuple(tensors[name].shape), tuple(old.shape)
            problems.append(f"{name} is {stored} in the file and {expected} in the model")
        elif name not in tensors and name not in identity:
            problems.append(f"{name} is missing")
    if problems:
        raise MiniftError(f"{path} does not fit this model: {'; '.join(problems)}")
    for name, new in tensors.items():
        fresh[name].copy_(new)


def _read_delta(path: Path) -> tuple[dict[str, Tensor], str, dict[str, str], tuple[str, ...]]:
    """Return the tensors, what the base was called, its fingerprints, and the labels."""
    tensors, about = read_safetensors(path)
    try:
        identity, labels = dict(json.loads(about["base"])), json.loads(about["labels"])
        return tensors, about["base_name"], identity, tuple(map(str, labels))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        what = "a safetensors file, but not a delta file: it does not say which encoder it changes"
        raise MiniftError(f"{path}: {what} (load_model loads a whole checkpoint)") from error


def _by_hf_name(model: nn.Module) -> dict[str, Tensor]:
    """Parameters by Hugging Face's names, those of a bare encoder as part of a model."""
    prefix = "bert." if isinstance(model, Bert) else ""
    return {hf_name(prefix + name): p.detach() for name, p in model.named_parameters()}


def _bytes(tensor: Tensor) -> Tensor:
    """Compared so, -0.0 is not 0.0 and nan is itself."""
    return tensor.cpu().contiguous().flatten().view(torch.uint8)


def _fingerprint(tensor: Tensor) -> str:
    """Return type, shape and the start of the SHA-256 of the bytes."""
    found = digest(_bytes(tensor).numpy().data)
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)} {found[:16]}"
