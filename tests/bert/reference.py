"""A Hugging Face BERT whose weights hide nothing, and the same input padded and packed.

With default initialisation (small weights, zero biases, LayerNorm at 1 and 0) several wrong
BERTs agree with the right one to many digits. Here every tensor is drawn wide, so they do not.
"""

from __future__ import annotations

import torch
import transformers

from minift.bert.config import BertConfig
from minift.bert.packing import Packed, pack
from minift.checkpoints.weights import hf_name

LENGTHS = (7, 1, 12, 12, 3)
SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 16,
    "type_vocab_size": 2,
}


def hf_config(labels: int = 3, **changes) -> transformers.BertConfig:
    """Small sizes, no dropout, eager attention; `changes` go to transformers' config."""
    values = {
        **SIZES,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "num_labels": labels,
        "attn_implementation": "eager",
        **changes,
    }
    return transformers.BertConfig(**values)


def own_config(labels: int = 3, **changes) -> BertConfig:
    """The same sizes for minift; no dropout, unless the hidden one is among the `changes`."""
    sites = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    quiet = {} if sites[0] in changes else dict.fromkeys(sites, 0.0)
    named = {"labels": tuple(f"L{i}" for i in range(labels))}
    return BertConfig(**{**SIZES, **named, **quiet, **changes})


def randomise(model: torch.nn.Module, seed: int, std: float = 0.5) -> torch.nn.Module:
    """Draw every parameter wide: weights and biases N(0, std), LayerNorm gains around 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, std, generator=generator)
            if "LayerNorm.weight" in name:
                parameter.add_(1.0)
    return model


def copy_weights(reference: torch.nn.Module, own: torch.nn.Module) -> torch.nn.Module:
    """Copy each tensor of the Hugging Face model to ours, by name, in the reference's dtype."""
    tensors = dict(reference.named_parameters())
    own.to(next(reference.parameters()).dtype)
    with torch.no_grad():
        for name, parameter in own.named_parameters():
            parameter.copy_(tensors[hf_name(name)])
    return own


def inputs(seed: int, lengths: tuple[int, ...] = LENGTHS) -> tuple[Packed, dict]:
    """The same ragged, two-segment batch packed for minift and padded for transformers."""
    generator = torch.Generator().manual_seed(seed)
    ids = [torch.randint(1, 61, (n,), generator=generator).tolist() for n in lengths]
    segments = [[0] * (n - n // 2) + [1] * (n // 2) for n in lengths]
    longest = max(lengths)
    padded = {
        "input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in ids]),
        "token_type_ids": torch.tensor([row + [0] * (longest - len(row)) for row in segments]),
        "attention_mask": torch.tensor([[1] * n + [0] * (longest - n) for n in lengths]),
    }
    return pack(ids, segments), padded


def gradients(model: torch.nn.Module, own_names: bool) -> dict[str, torch.Tensor]:
    """Gradients by Hugging Face's names; a parameter without one counts as zero."""
    return {
        hf_name(name) if own_names else name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
