"""Child-Tuning: the whole network answers, but only a child of it learns.

Claim    F: every step, each gradient element is kept with probability p and divided by p, so
         its expectation stays and its variance grows. D: the weights with the highest Fisher
         scores learn, and every other weight stays what pretraining made it, bit for bit.
Paper    Xu et al. (2021), "Raise a Child in Large Language Model: Towards Effective and
         Generalizable Fine-tuning", https://arxiv.org/abs/2109.05687, section 2; p is
         `keep_fraction`, the child network C_t is the True part of the masks.
Differs  - F rounds p to a multiple of 2**-16 and divides by the rounded p (see
           minift/bert/dropout.py, which draws the masks). It draws from a stream of its own, so
           it sees the same dropout as full fine-tuning; the authors' code shares one stream.
         - D does not decay masked weights (paper); `decay_masked=True` does (authors' code).
         - Exactly round(p * N) weights are kept: ties at the threshold go to the earlier tensor,
           then the earlier element. The authors keep all ties, so zeros can select everything.
         - The authors score tensors whose name contains "layer"; here candidates are the
           parameters of the encoder layers, by type, which are the same in BERT. What is no
           candidate (embeddings, pooler, head) always learns: see `trainable_fraction`.
         - Warm-up is the schedule's; the authors' code loses it in Child-Tuning runs only.
         As in the authors' code the loop clips first and masks then: in F the norm that is
         applied can reach clip / p. Adam cancels the 1/p: under a steady gradient a step is
         about sqrt(p) of a full one, so compare F with full fine-tuning at rate * sqrt(p) too.
Proof    tests/methods/test_child_tuning.py
Tutorial tutorials/06_child_tuning
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors.numpy
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from minift.bert.dropout import dropout_mask
from minift.bert.encoder import Embeddings, Layer, Pooler
from minift.errors import MiniftError, nearest
from minift.files import atomic_write

Masks = dict[str, Tensor]  # parameter name -> bool tensor of its shape, True where it learns
Shape = tuple[int, ...]
Part = Literal["layers", "embeddings", "pooler", "head"]
Order = Literal["highest", "lowest", "random"]


class ChildTuningF:
    """A rule for the `gradients` slot: another random child at every step.

    It applies to every parameter with a gradient. Adam's moments see the masked gradient, so a
    weight that is dropped at a step still moves by its momentum.

    Args:
        keep_fraction: p, the probability that an element's gradient is kept, in (0, 1]. With 1
            nothing is drawn and nothing changes.
        generator: source of the masks, on the device of the model (`Seeds.masks`).

    Raises:
        MiniftError: if `keep_fraction` is outside (0, 1] or rounds to 0.
    """

    def __init__(self, keep_fraction: float, generator: torch.Generator):
        _check_fraction(keep_fraction)
        if keep_fraction <= 2**-17:
            raise MiniftError(f"keep_fraction {keep_fraction} is too small: at least 2**-16")
        self.keep_fraction = keep_fraction
        self.generator = generator

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Multiply each gradient by its mask and 1 / p."""
        if self.keep_fraction == 1:
            return
        for parameter in parameters.values():
            if parameter.grad is not None:
                mask = dropout_mask(parameter.grad, 1 - self.keep_fraction, self.generator)
                parameter.grad.mul_(mask)

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Nothing is left to do."""

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """All elements: each is drawn sooner or later."""
        return parameter.numel()


class ChildTuningD:
    """A rule for the `gradients` slot: the same child at every step.

    Tensors without a mask learn in full. Memory: a byte a candidate for the masks and, during a
    step, a copy of the candidate tensors (85 MB and 340 MB for BERT-base in float32).

    Args:
        masks: see `select_child`.
        decay_masked: let weight decay shrink masked weights, as the authors' code does; by
            default they keep their values.
    """

    generator = None  # the masks were drawn before the first step

    def __init__(self, masks: Masks, decay_masked: bool = False):
        self.masks = dict(masks)
        self.decay_masked = decay_masked
        self._before: dict[str, Tensor] = {}

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Set the gradients of masked elements to 0.

        Raises:
            MiniftError: if a mask's tensor does not learn, or has another shape.
        """
        _check_fit(
            self.masks,
            parameters,
            "the masks do not fit what learns in this run (select the child among "
            "`candidates(model, trainable=...)`); mask against parameter",
        )
        for name, mask in self.masks.items():
            parameter = parameters[name]
            if mask.device != parameter.device:
                mask = self.masks[name] = mask.to(parameter.device)
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
            if not self.decay_masked:
                self._before[name] = parameter.detach().clone()

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Put masked elements back to what they were: the optimizer has decayed them."""
        with torch.no_grad():
            for name, before in self._before.items():
                parameter = parameters[name]
                torch.where(self.masks[name], parameter, before, out=parameter)
        self._before = {}

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """The child's elements; all of a tensor without a mask."""
        return int(self.masks[name].sum()) if name in self.masks else parameter.numel()


def candidates(
    model: nn.Module, include: Sequence[Part] = (), trainable: Iterable[str] | None = None
) -> list[str]:
    """Name the parameters that a child is selected from: weights and biases of encoder layers.

    Args:
        model: a `Bert`, alone or with a head.
        include: further parts: "embeddings" (with their LayerNorm), "pooler", "head".
        trainable: what the run's `trainable` slot lets learn; None means the parameters that
            require gradients. A frozen tensor is no candidate, or p would mean something else.

    Raises:
        MiniftError: if a part is unknown or there is no candidate.
    """
    for part in include:
        _check_known("part", part, ("layers", "embeddings", "pooler", "head"))
    parts, learns = _parts(model), _learning(model, trainable)
    wanted = {"layers", *include}
    if not (names := [name for name in parts if name in learns and parts[name] in wanted]):
        raise MiniftError(
            "there is nothing to select a child from: no parameter of "
            f"{', '.join(sorted(wanted))} learns"
        )
    return names


def select_child(
    scores: dict[str, Tensor],
    keep_fraction: float,
    order: Order = "highest",
    generator: torch.Generator | None = None,
) -> Masks:
    """Select the child: the top p of all scores, taken over all tensors together.

    Args:
        scores: for each candidate a tensor of its shape (`minift.methods.fisher`).
        keep_fraction: p in (0, 1]; exactly round(p * N) of the N elements are kept.
        order: "highest" scores learn (the method); "lowest" or "random" are controls.
        generator: source of the "random" order, on the CPU.

    Returns:
        One mask a tensor, on the CPU. Ties go to the earlier tensor, then the earlier element.

    Raises:
        MiniftError: if p is outside (0, 1] or keeps nothing, a score is not finite, all scores
            are 0, the order is unknown, or "random" has no generator.
    """
    _check_fraction(keep_fraction)
    _check_known("order", order, ("highest", "lowest", "random"))
    total = sum(score.numel() for score in scores.values())
    keep = round(keep_fraction * total)
    if keep == 0:
        raise MiniftError(f"keep_fraction {keep_fraction} keeps none of {total} candidate weights")
    if order == "random":
        if generator is None:
            raise MiniftError('order "random" needs a generator')
        flat = torch.rand(total, generator=generator)
    else:
        for name, score in scores.items():
            if not score.isfinite().all():
                raise MiniftError(f"the score of {name} is not finite; check the training data")
        flat = torch.cat([score.detach().flatten().cpu() for score in scores.values()])
        if not flat.any():
            raise MiniftError(
                "all Fisher scores are 0: no label pulls at any candidate weight, so there is "
                "no child to select (is the loss constant, or the encoder cut off?)"
            )
        if order == "lowest":
            flat.neg_()
    # not torch.kthvalue, which would hold an int64 index of twice the size as well
    threshold = float(np.partition(flat.numpy(), total - keep)[total - keep])
    chosen = flat > threshold
    tied = (flat == threshold).nonzero().flatten()
    chosen[tied[: keep - int(chosen.sum())]] = True
    pieces = chosen.split([score.numel() for score in scores.values()])
    return {name: piece.view(scores[name].shape) for name, piece in zip(scores, pieces)}


def trainable_fraction(
    model: nn.Module, masks: Masks, trainable: Iterable[str] | None = None
) -> float:
    """Return the share of *all* the model's weights that learn under `masks`.

    It exceeds p: what is no candidate learns in full. With BERT-base and p = .3 it is .46.

    Args:
        model: the model.
        masks: those of `ChildTuningD`.
        trainable: as in `candidates`.
    """
    learns, learning, total = _learning(model, trainable), 0, 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if name in learns:
            learning += int(masks[name].sum()) if name in masks else parameter.numel()
    return learning / total


def prune(model: nn.Module, masks: Masks) -> None:
    """Set every weight outside the child to 0: the control that destroys pretraining."""
    parameters = dict(model.named_parameters())
    _check_fit(masks, parameters, "the masks do not fit the model; mask against parameter")
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask.to(parameters[name].device))


def save_masks(path: str | Path, masks: Masks, model: nn.Module) -> None:
    """Write masks, eight elements a byte, beside the shapes of the encoder they are for.

    Args:
        path: a file, by custom `child.safetensors` in the run's folder.
        masks: those of `ChildTuningD`.
        model: the model they were made for.

    Raises:
        MiniftError: if the masks do not fit `model`, or the file cannot be written.
    """
    parameters = dict(model.named_parameters())
    _check_fit(masks, parameters, "the masks do not fit the model; mask against parameter")
    kept = sum(int(mask.sum()) for mask in masks.values())
    metadata = {
        "format": "minift child mask",
        "keep_fraction": str(kept / sum(mask.numel() for mask in masks.values())),
        "masks": json.dumps({name: list(mask.shape) for name, mask in masks.items()}),
        "encoder": json.dumps(_encoder_shapes(model)),
    }
    packed = {name: np.packbits(mask.cpu().numpy()) for name, mask in masks.items()}
    atomic_write(path, safetensors.numpy.save(packed, metadata))


def load_masks(path: str | Path, model: nn.Module) -> Masks:
    """Read masks for `model`, on the CPU.

    Raises:
        MiniftError: if the file is no mask file or was made for another encoder.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            packed = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        encoder = {name: tuple(shape) for name, shape in json.loads(metadata["encoder"]).items()}
        masks = {}
        for name, shape in json.loads(metadata["masks"]).items():
            if math.prod(shape) > 8 * packed[name].size:  # NumPy would add zeros
                raise ValueError(f"{name} is too short for {shape}")
            bits = np.unpackbits(packed[name], count=int(np.prod(shape)))
            masks[name] = torch.from_numpy(bits.astype(bool)).view(shape)
    except (
        SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError,
    ) as error:  # fmt: skip
        raise MiniftError(f"{path}: not a mask file that minift wrote ({error})") from error
    problem = f"{path} was made for another encoder or head; file against model"
    _compare({**encoder, **_encoder_shapes(model)}, encoder, _encoder_shapes(model), problem)
    _check_fit(masks, dict(model.named_parameters()), problem)
    return masks


def _check_fraction(keep_fraction: float) -> None:
    if not 0 < keep_fraction <= 1:
        raise MiniftError(
            f"keep_fraction must lie in (0, 1], got {keep_fraction}; it is the share of weights "
            "that learn, and 1 is full fine-tuning"
        )


def _parts(model: nn.Module) -> dict[str, Part]:
    """Say of each parameter which part of the model it belongs to."""
    parts: dict[str, Part] = {name: "head" for name, _ in model.named_parameters()}
    by_type: dict[type[nn.Module], Part] = {
        Embeddings: "embeddings",
        Layer: "layers",
        Pooler: "pooler",
    }
    for prefix, module in model.named_modules():
        if part := by_type.get(type(module)):
            parts |= {name: part for name, _ in module.named_parameters(prefix)}
    return parts


def _learning(model: nn.Module, trainable: Iterable[str] | None) -> set[str]:
    if trainable is not None:
        return set(trainable)
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def _encoder_shapes(model: nn.Module) -> dict[str, Shape]:
    parts = _parts(model)  # without pooler and head, which differ from task to task
    return {
        name: tuple(parameter.shape)
        for name, parameter in model.named_parameters()
        if parts[name] in ("layers", "embeddings")
    }


def _check_known(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        listed = ", ".join(known)
        raise MiniftError(f"unknown {what} {value!r}{nearest(str(value), known)} (known: {listed})")


def _check_fit(masks: Masks, parameters: dict[str, nn.Parameter], problem: str) -> None:
    there = {name: tuple(mask.shape) for name, mask in masks.items()}
    here = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    _compare(masks, there, here, problem)


def _compare(
    names: Iterable[str], there: dict[str, Shape], here: dict[str, Shape], problem: str
) -> None:
    """Refuse if one of `names` has not the same shape there and here."""
    wrong = [
        f"{name}: {there.get(name, 'none')} against {here.get(name, 'none')}"
        for name in names
        if there.get(name) != here.get(name)
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise MiniftError(f"{problem}: {'; '.join(wrong[:5])}{more}")
