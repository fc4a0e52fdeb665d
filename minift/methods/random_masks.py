"""Random elements learn: the controls that show whether it matters *which* scalars BitFit moves.

Claim    Exactly the scalars that were drawn learn, and the head; every other scalar of the
         encoder keeps its bits, whatever momentum and weight decay would do to it.
Paper    Ben Zaken, Goldberg & Ravfogel (2022), https://arxiv.org/abs/2106.10199, the ablations
         "rand uniform" (`random_scalars`) and "rand row/col" (`random_rows_columns`).
Differs  - `random_scalars` is uniform over all scalars of the encoder and takes exactly `count`.
           The authors' code gives each tensor its rounded-down share, drawn with replacement:
           no tensor below about 1,000 elements gets any, and fewer than announced are trained.
         - `random_rows_columns` draws rows without replacement, so it trains exactly as many
           scalars of a matrix as its bias has.
         - The controls mask the gradient after clipping (the loop's order), the authors before.
Proof    tests/methods/test_bitfit.py
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from minift.bert.names import encoder_suffix
from minift.errors import MiniftError


@dataclass
class Elements:
    """Single scalars of the encoder learn, and the head: a rule for the `gradients` slot.

    Every other scalar of the encoder keeps its bits, whatever the optimizer does to it. The
    optimizer still keeps a state for whole tensors: this is a control, it saves no memory.

    Args:
        indices: for each parameter name, indices into the flattened tensor, ascending.
    """

    indices: dict[str, Tensor]
    _before: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    generator = None  # nothing is drawn during training

    @property
    def count(self) -> int:
        """Scalars of the encoder that learn."""
        return sum(len(chosen) for chosen in self.indices.values())

    def trainable(self, model: nn.Module) -> list[str]:
        """The `trainable` slot: tensors in which something learns. (`everything` works too.)"""
        names = [name for name, _ in model.named_parameters()]
        return [name for name in names if name in self.indices or encoder_suffix(name) is None]

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Zero the gradient of all other scalars."""
        for name, parameter in parameters.items():
            if encoder_suffix(name) is not None and parameter.grad is not None:
                chosen = self._chosen(name, parameter)
                kept = parameter.grad.take(chosen)
                parameter.grad.zero_().put_(chosen, kept)
                self._before[name] = parameter.detach().clone()

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Undo what weight decay and momentum did to all other scalars."""
        with torch.no_grad():
            for name, before in self._before.items():
                chosen = self._chosen(name, parameters[name])
                learned = parameters[name].take(chosen)
                parameters[name].copy_(before).put_(chosen, learned)
        self._before.clear()

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """The drawn elements; all of the head."""
        if encoder_suffix(name) is None:
            return parameter.numel()
        return len(self.indices.get(name, ()))

    def _chosen(self, name: str, parameter: Tensor) -> Tensor:
        chosen = self.indices.get(name, torch.empty(0, dtype=torch.int64))
        return chosen.to(parameter.device)


def random_scalars(model: nn.Module, count: int, generator: torch.Generator) -> Elements:
    """Let `count` scalars learn, drawn uniformly from all scalars of the encoder.

    Args:
        model: its encoder's shapes are read; the head learns anyway and is not counted.
        count: as many as BitFit trains, for a fair control.
        generator: source of the draw.

    Raises:
        MiniftError: if the encoder has fewer scalars.
    """
    sizes = {n: p.numel() for n, p in model.named_parameters() if encoder_suffix(n) is not None}
    total = sum(sizes.values())
    if not 1 <= count <= total:
        raise MiniftError(f"count must lie in 1 to {total} (the encoder's scalars), got {count}")
    # torch can only permute all numbers, which for BERT-large takes 2.7 GB; this takes `count`.
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    drawn = torch.tensor(sorted(random.Random(seed).sample(range(total), count)))
    indices, start = {}, 0
    for name, size in sizes.items():
        inside = drawn[(drawn >= start) & (drawn < start + size)] - start
        if len(inside):
            indices[name] = inside
        start += size
    return Elements(indices)


def random_rows_columns(model: nn.Module, generator: torch.Generator) -> Elements:
    """Let one random column, or a few rows, of each weight matrix learn, and all LayerNorm gains.

    Of a matrix (out, in) one column learns, or out // in rows (by a coin toss, where that is at
    least one): as many scalars as its bias has, where `in` divides `out`, as in every BERT in
    use. Embeddings, their LayerNorm included, and biases do not learn.

    Args:
        model: its encoder's shapes are read; the head learns anyway.
        generator: source of the draws.
    """

    def draw(end: int) -> int:
        return int(torch.randint(end, (), generator=generator, device=generator.device))

    indices = {}
    for name, parameter in model.named_parameters():
        suffix = encoder_suffix(name)
        if suffix is None or not suffix.endswith("weight") or suffix.startswith("embeddings."):
            continue
        places = torch.arange(parameter.numel()).view(parameter.shape)
        if parameter.dim() == 2:
            rows, columns = parameter.shape
            if rows < columns or draw(2):
                places = places[:, draw(columns)]
            else:
                order = torch.randperm(rows, generator=generator, device=generator.device)
                places = places[order[: rows // columns].sort().values.cpu()]
        indices[name] = places.flatten()
    return Elements(indices)
