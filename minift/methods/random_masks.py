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
         - Drawn scalars of matrices undergo weight decay, as matrices do here, and BitFit's biases
           do not; the authors' runs have no decay. Set `weight_decay` to 0 to compare without.
Proof    tests/methods/test_random_masks.py
"""

import random

import torch
from torch import nn

from minift.bert.names import encoder_suffix
from minift.errors import MiniftError
from minift.methods.child_tuning import Masks


def random_scalars(model: nn.Module, count: int, generator: torch.Generator) -> Masks:
    """Let `count` scalars learn, drawn uniformly from all scalars of the encoder.

    Frozen tensors are left out; the head learns in any case and is not counted. For a fair
    control `count` is as many as BitFit trains. Returns masks for `FixedMask`.
    """
    shapes = {name: mask.shape for name, mask in _closed(model).items()}
    total = sum(shape.numel() for shape in shapes.values())
    if not 1 <= count <= total:
        raise MiniftError(
            f"count must lie in 1 to {total} (the encoder's scalars that can learn), got {count}"
        )
    # torch can only permute all numbers, which for BERT-large takes 2.7 GB; this takes `count`.
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    drawn = torch.zeros(total, dtype=torch.bool)
    drawn[random.Random(seed).sample(range(total), count)] = True
    pieces = drawn.split([shape.numel() for shape in shapes.values()])
    return {name: piece.view(shapes[name]) for name, piece in zip(shapes, pieces)}


def random_rows_columns(model: nn.Module, generator: torch.Generator) -> Masks:
    """Let one random column, or a few rows, of each weight matrix learn, and all LayerNorm gains.

    Of a matrix (out, in) one column learns, or out // in rows (by a coin toss, where that is at
    least one): as many scalars as its bias has, where `in` divides `out`, as in every BERT in
    use. Embeddings, their LayerNorm included, and biases do not learn. Arguments and result are
    as for `random_scalars`.
    """

    def draw(end: int) -> int:
        return int(torch.randint(end, (), generator=generator, device=generator.device))

    masks = _closed(model)
    for name, mask in masks.items():
        suffix = str(encoder_suffix(name))
        if not suffix.endswith("weight") or suffix.startswith("embeddings."):
            continue
        if mask.dim() == 1:
            mask.fill_(True)
            continue
        rows, columns = mask.shape
        if rows < columns or draw(2):
            mask[:, draw(columns)] = True
        else:
            order = torch.randperm(rows, generator=generator, device=generator.device)
            mask[order[: rows // columns].cpu()] = True
    return masks


def _closed(model: nn.Module) -> Masks:
    """Return masks under which nothing of the encoder learns."""
    return {
        name: torch.zeros(parameter.shape, dtype=torch.bool)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and encoder_suffix(name) is not None
    }
