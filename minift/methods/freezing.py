"""Freezing: some layers of the encoder stay as pretraining left them.

Claim    A layer is frozen when it gets no gradient, no optimizer state and no weight decay: its
         bits do not change. Layers next to the input are cheap to freeze (the backward pass
         stops above them), layers next to the output are not (it must pass through them).
Paper    Griesshaber, Maucher & Vu (2020), "Fine-tuning BERT for Low-Resource Natural Language
         Understanding via Active Learning", https://arxiv.org/abs/2012.02462: F = k > 0 freezes
         the k layers next to the input, F = -k the k next to the output, F = 0 none.
Differs  - The paper does not say whether the embeddings freeze with F > 0. Here they do unless
           told otherwise, since a layer above moving inputs would not see what it was trained
           on; with F <= 0 they learn. Pooler and head learn for every F.
         - Dropout in the frozen prefix is off (minift/speed/prefix.py): below the lowest parameter
           that learns it would only add noise to fixed features. The gradient is that of the
           same model with dropout probability 0 there. In layers that are frozen next to the
           output dropout stays on: what learns below them is trained through their noise.
Proof    tests/methods/test_freezing.py
Tutorial tutorials/04_freezing
"""

from torch import nn

from minift.bert.counts import number_of_layers
from minift.bert.names import part_of
from minift.errors import MiniftError
from minift.training.loop import Trainable


def freeze(layers: int = 0, embeddings: bool | None = None) -> Trainable:
    """Return the `trainable` slot of layer freezing.

    Args:
        layers: F; k > 0 freezes the k layers next to the input, -k those next to the output.
        embeddings: whether the embeddings freeze too; None means where `layers` > 0.
    """

    def trainable(model: nn.Module, epoch: int = 1) -> list[str]:
        depth = number_of_layers(model)
        if abs(layers) > depth:
            side = "input" if layers > 0 else "output"
            raise MiniftError(
                f"cannot freeze {abs(layers)} layers next to the {side}: the encoder has {depth}"
            )
        frozen: set[int | str] = set(range(layers) if layers > 0 else range(depth + layers, depth))
        if embeddings or (embeddings is None and layers > 0):
            frozen.add("embeddings")
        names = [name for name, _ in model.named_parameters() if part_of(name) not in frozen]
        if not names:
            raise MiniftError("everything would be frozen and nothing could learn; freeze less")
        return names

    return trainable


def head_only() -> Trainable:
    """Return the `trainable` slot of BitFit's "frozen" baseline: only the head learns."""

    def trainable(model: nn.Module, epoch: int = 1) -> list[str]:
        head = [name for name, _ in model.named_parameters() if part_of(name) == "head"]
        if not head:
            raise MiniftError("the model has no head: nothing but an encoder, which stays frozen")
        return head

    return trainable
