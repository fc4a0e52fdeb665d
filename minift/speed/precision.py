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

import contextlib
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from minift.bert.encoder import Bert
from minift.bert.packing import Packed, Selection
from minift.errors import MiniftError, require_known
from minift.speed import varlen
from minift.training.loop import Precision

BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")  # x86, x86, ARM; in /proc/cpuinfo


class Bf16Bert(Bert):
    """A `Bert` whose matrix products are computed in bfloat16; `print(model)` shows its name.

    Each forward pass enters autocast once: autocast keeps the bf16 copies of weights until it is
    left, and would not see what the optimizer makes of them.
    """

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """See `Bert.forward`."""
        with self._autocast():
            return super().forward(packed, wanted)

    def up_to(self, layers: int, packed: Packed) -> Tensor:
        """See `Bert.up_to`."""
        with self._autocast():
            return super().up_to(layers, packed)

    def hidden_states(self, packed: Packed, layers: int | None = None) -> list[Tensor]:
        """See `Bert.hidden_states`."""
        with self._autocast():
            return super().hidden_states(packed, layers)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.embeddings.word.weight.device.type, torch.bfloat16)


def compute_in(model: nn.Module, precision: Precision) -> None:
    """Let the encoder of `model` compute its matrix products in `precision`, from now on.

    On a GPU bf16 also brings attention without rectangles (varlen.py). Raises MiniftError if the
    device of `model` cannot, or there is no encoder that could.
    """
    require_precision(precision, next(model.parameters()).device)
    encoders = [module for module in model.modules() if isinstance(module, Bert)]
    if precision != "float32" and not encoders:
        raise MiniftError(f"{type(model).__name__} holds no Bert that could compute in {precision}")
    for encoder in encoders:
        encoder.__class__ = Bert if precision == "float32" else Bf16Bert
        varlen.apply(encoder, precision == "bf16")


def precision_of(model: nn.Module) -> Precision:
    """Return what the encoder of `model` computes in."""
    return "bf16" if any(isinstance(m, Bf16Bert) for m in model.modules()) else "float32"


@contextlib.contextmanager
def full_precision(model: nn.Module) -> Iterator[None]:
    """Let the block compute in the weights' own precision."""
    precision = precision_of(model)
    compute_in(model, "float32")
    try:
        yield
    finally:
        compute_in(model, precision)


def require_precision(precision: Precision, device: torch.device) -> None:
    """Refuse, with MiniftError, what is no precision or what the device has no instructions for."""
    require_known("precision", precision, get_args(Precision))
    if precision == "float32":
        return
    if device.type == "cpu":
        require_bf16(processor_flags())
    elif device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise MiniftError(
            f"bf16 on {torch.cuda.get_device_name(device)} is refused: it has no bf16 instructions "
            "(NVIDIA's have them from Ampere on); stay with float32"
        )
    elif device.type == "mps":  # on some PyTorch only warns, and computes in float32
        raise MiniftError("bf16 on Apple's GPU is refused: it was never tested; stay with float32")


def processor_flags() -> frozenset[str] | None:
    """Return what the processor says it can do; None where the system does not tell (not Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(match[1].split()) if match else None


def require_bf16(flags: frozenset[str] | None) -> str:
    """Return the flag by which a processor has bf16 products; MiniftError: it has none."""
    for flag in BF16_FLAGS:
        if flag in (flags or ()):
            return flag
    unknown = f"{platform.system()} does not say whether it has bf16 instructions"
    why = unknown if flags is None else f"it has no bf16 instructions ({', '.join(BF16_FLAGS)})"
    raise MiniftError(
        f"bf16 on this processor is refused: {why}, and without them each product is emulated, "
        "several times slower than in float32; stay with float32, or take a GPU"
    )
