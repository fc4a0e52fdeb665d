"""A solution by loops and by regular expressions."""

from __future__ import annotations

import math
import re

import torch


def attention(query, key, value, cu_seqlens, heads):
    width = query.shape[1] // heads
    out = torch.empty_like(query)
    for start, length in zip(cu_seqlens.tolist(), cu_seqlens.diff().tolist()):
        end = start + length
        for head in range(heads):
            columns = slice(head * width, (head + 1) * width)
            q, k, v = (x[start:end, columns] for x in (query, key, value))
            scores = q @ k.T / math.sqrt(width)
            scores = scores - scores.max(dim=1, keepdim=True).values
            shares = scores.exp()
            shares = shares / shares.sum(dim=1, keepdim=True)
            out[start:end, columns] = shares @ v
    return out


RENAMES = (
    (r"^(embeddings|encoder|pooler)\.", r"bert.\1."),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
    (r"encoder\.layer\.(\d+)", r"layers.\1"),
    (r"attention\.self\.", "attention."),
    (r"attention\.output\.LayerNorm", "attention_norm"),
    (r"output\.LayerNorm", "output_norm"),
    (r"(intermediate|output)\.dense", r"\1"),
    (r"(word|position)_embeddings", r"\1"),
    (r"token_type_embeddings", "segment"),
    (r"embeddings\.LayerNorm", "embeddings.norm"),
)


def our_name(name: str) -> str | None:
    if name.endswith("_ids"):
        return None
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def embed(input_ids, segment_ids, cu_seqlens, tables, eps):
    lengths = cu_seqlens.diff().tolist()
    position_ids = torch.cat([torch.arange(length) for length in lengths])
    x = tables["word"][input_ids] + tables["position"][position_ids]
    x = x + tables["segment"][segment_ids]
    x = x - x.mean(-1, keepdim=True)
    variance = x.square().mean(-1, keepdim=True)
    x = x / torch.sqrt(variance + eps)
    return x * tables["gain"] + tables["bias"]


def test_masked_softmax(candidate) -> None:
    def near(row, right):
        return all(abs(a - b) < 1e-6 for a, b in zip(row, right)) and len(row) == len(right)

    ln = [math.log(x) for x in (1.0, 2.0, 3.0)]
    scores = [[*ln, 7.0], [0.0, 0.0, 0.0, -7.0], [1000.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 3.0]]
    shares = candidate(scores, 3)
    assert near(shares[0], [1 / 6, 2 / 6, 3 / 6, 0.0])
    assert near(shares[1], [1 / 3, 1 / 3, 1 / 3, 0.0])
    assert near(shares[2], [1.0, 0.0, 0.0, 0.0])


ANSWERS = {
    "layer_parameters": 7_087_872,
    "embedding_percent": 21.8,
    "padded_over_packed": 2.29,
    "gelu_gap": 0.00047,
}
EXPLANATION = """Four fifths of the parameters are in the layers ..."""
