"""bf16 matrix products, where the processor or the GPU has instructions for them.

Claim    With precision "bf16" the encoder's matrix products read and write bfloat16 (8 bits of
         mantissa, the range of float32); weights, residual stream, normalisation, head, loss,
         gradients of weights and optimizer stay in float32. Logits are as near to the exact ones
         as those of transformers under the same autocast.
Source   Micikevicius et al. (2018), "Mixed Precision Training",
         https://arxiv.org/abs/1710.03740: a float32 copy of the weights is what learns.
         Kalamkar et al. (2019), https://arxiv.org/abs/1905.12322: bfloat16 needs no loss scale.
Differs  - Refused on processors without such instructions: there each product is emulated,
           several times slower than in float32, which nobody who asks for bf16 expects.
         - What a text is answered may depend on its batch, within the rounding of bf16 (0.7 % of
           the largest logit was seen with MiniLM), as it does in float32 within that of float32.
Proof    tests/speed/test_precision.py
"""

from __future__ import annotations

import contextlib
import platform
import re
from pathlib import Path
from typing import Literal, get_args

import torch

from minift.errors import MiniftError

Precision = Literal["float32", "bf16"]  # "float32": the dtype of the weights, whatever it is
BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")  # x86, x86, ARM; in /proc/cpuinfo


def products_in(
    precision: Precision, device: torch.device
) -> contextlib.AbstractContextManager[object]:
    """Return a context in which matrix products are computed in `precision`.

    Enter it once a forward pass: autocast keeps the bf16 copies of weights until it is left, and
    would not see what the optimizer makes of them.
    """
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def require_precision(precision: Precision, device: torch.device) -> None:
    """Refuse what the device cannot compute well.

    Raises:
        MiniftError: if there is no such precision, or the device has no instructions for it.
    """
    if precision not in get_args(Precision):
        raise MiniftError(f"precision is {' or '.join(get_args(Precision))}, not {precision!r}")
    if precision == "float32":
        return
    if device.type == "cpu":
        require_bf16(processor_flags())
    elif device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise MiniftError(
            f"bf16 on {torch.cuda.get_device_name(device)} is refused: it has no bf16 instructions "
            "(NVIDIA's have them from Ampere on); stay with float32"
        )


def processor_flags() -> frozenset[str] | None:
    """Return what the processor says it can do; None where the system does not tell (not Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(match[1].split()) if match else None


def require_bf16(flags: frozenset[str] | None) -> str:
    """Return the flag by which a processor has bf16 products.

    Args:
        flags: of `processor_flags()`.

    Raises:
        MiniftError: if it has none, or nobody can tell.
    """
    if flags is None:
        raise MiniftError(
            f"bf16 on this processor is refused: {platform.system()} does not say whether it has "
            "bf16 instructions, and without them it is far slower than float32; stay with float32"
        )
    for flag in BF16_FLAGS:
        if flag in flags:
            return flag
    raise MiniftError(
        "bf16 on this processor is refused: it has no bf16 instructions "
        f"({', '.join(BF16_FLAGS)}), so that each product would be emulated, several times slower "
        "than in float32; stay with float32, or take a GPU"
    )
