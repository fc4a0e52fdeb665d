"""Attention over packed sequences in one kernel, where a GPU has it: no rectangle at all.

    varlen.apply(model, True)    print(model) then shows VarlenAttention in place of Attention

Claim    Each sequence attends to itself alone, given nothing but the run of tokens and the
         offsets at which sequences start; the numbers are those of the rectangle.
Source   Dao et al. (2022), "FlashAttention", https://arxiv.org/abs/2205.14135; the kernel is
         `torch.nn.attention.varlen`, https://docs.pytorch.org/docs/stable/nn.attention.varlen.html
Differs  It takes bf16 only, and no dropout of attention probabilities: with that, the rectangle
         is computed. Written without a GPU at hand: what it is given is tested with a stand-in for
         the kernel, the kernel itself where there is a GPU.
Proof    tests/speed/test_varlen.py
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from minift.bert.encoder import Attention
from minift.bert.packing import Layout, Selection


class VarlenAttention(Attention):
    """`Attention` that goes through the kernel wherever `computes` says so."""

    def forward(self, hidden: Tensor, layout: Layout, wanted: Selection | None) -> Tensor:
        """See `Attention.forward`."""
        if not computes(hidden, self.head_dim, self.training * self.dropout.probability):
            return super().forward(hidden, layout, wanted)
        asking = hidden if wanted is None else wanted.of(hidden)
        rows = self.query(asking), self.key(hidden), self.value(hidden)
        asking_layout = layout if wanted is None else wanted.layout
        return self.output(attend(*rows, self.num_heads, asking_layout, layout))


def apply(model: nn.Module, wanted: bool) -> None:
    """Let every attention of `model` try the kernel, or none."""
    for module in model.modules():
        if isinstance(module, Attention):
            module.__class__ = VarlenAttention if wanted else Attention


@functools.cache
def kernel() -> Callable[..., Any] | None:
    """Return PyTorch's kernel; None before 2.10, which has none."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def computes(hidden: Tensor, head_dim: int, dropout: float) -> bool:
    """Whether attention of `hidden` (tokens, hidden), cast as autocast says, takes the kernel."""
    halved = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return (
        hidden.is_cuda
        and torch.version.cuda is not None
        and (halved or hidden.dtype) == torch.bfloat16
        and dropout == 0
        and head_dim % 8 == 0
        and not torch.are_deterministic_algorithms_enabled()  # its gradients are sums in any order
        and kernel() is not None
    )


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, asking: Layout, layout: Layout
) -> Tensor:
    """softmax(Q K^T / sqrt(head_dim)) V in each head of each sequence.

    Args:
        query: (asking rows, hidden), spread as in `asking`, as is what is returned.
        key, value: (rows, hidden), spread as in `layout`.
    """
    run = kernel()
    assert run is not None, "`computes` said so"
    split = [rows.unflatten(-1, (heads, -1)) for rows in (query, key, value)]
    mixed: Tensor = run(
        *split,
        offsets(asking.lengths, query.device),
        offsets(layout.lengths, query.device),
        asking.longest,
        layout.longest,
    )  # it divides by sqrt(head_dim) unasked; 2.10 could not be asked
    return mixed.flatten(1)


@functools.lru_cache(maxsize=8)  # all layers of a batch ask for the same two
def offsets(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """(sequences + 1,) where each sequence starts, and the end; int32, as the kernel wants it."""
    return torch.tensor((0, *lengths)).cumsum(0).to(device, torch.int32)
