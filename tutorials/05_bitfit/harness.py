"""What runs around the student's functions, in the student's process: it builds the models."""

from __future__ import annotations

import exercise

import minift
from minift.methods.cnn_head import ConvClassifier

HEADS = {
    "sequence": minift.SequenceClassifier,
    "token": minift.TokenClassifier,
    "conv": ConvClassifier,
}


def build(head: str, layers: int, hidden: int):
    """Return a small model."""
    config = minift.BertConfig(
        vocab_size=50,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=3 * hidden,
        max_position_embeddings=20,
        labels=("a", "b", "c"),
    )
    return HEADS[head](config)


def chosen(head: str, layers: int, hidden: int):
    """Return what the student's bitfit_names says of such a model."""
    return exercise.bitfit_names(build(head, layers, hidden))


def learning_after_freeze(
    head: str, layers: int, hidden: int, names: list[str], frozen_before: list[str]
):
    """Return the names that learn after the student's freeze."""
    model = build(head, layers, hidden)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen_before)
    exercise.freeze(model, names)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def counted(head: str, layers: int, hidden: int, names: list[str]):
    """Return what the student's count_scalars says of such a model."""
    return exercise.count_scalars(build(head, layers, hidden), names)
