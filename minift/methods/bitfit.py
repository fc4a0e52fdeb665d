"""BitFit: train the bias vectors and the task head, freeze everything else.

Claim    A pretrained encoder can be turned to a task by moving a tenth of a percent of it: its
         bias vectors. What was learned then fits a delta file of a few hundred kilobytes.
Paper    Ben Zaken, Goldberg & Ravfogel (2022), "BitFit: Simple Parameter-efficient Fine-tuning
         for Transformer-based Masked Language-models", https://arxiv.org/abs/2106.10199
         (its "frozen" baseline: freezing.py; random controls: random_masks.py; a delta file:
         the tutorial).
Differs  - A term is matched by its whole name. The authors' code matches substrings, so that
           "output" also trains attention_output, and "output_layernorm" attention_layernorm.
         - A subset trains the terms asked for and nothing more; the authors' code adds the
           pooler's bias, which terms=("query", "intermediate", "pooler") does here.
         - The rate rises linearly and falls to 0, over at least 200 steps at 2e-3, and gradients
           are clipped. The authors keep 1e-3 constant for 16 epochs, without warm-up or decay.
Proof    tests/methods/test_bitfit.py
Tutorial tutorials/05_bitfit
"""

from collections.abc import Sequence

from torch import nn

from minift.bert.names import encoder_suffix
from minift.errors import MiniftError, require_known
from minift.training.loop import Trainable

TERMS = {
    # eight in each layer, after "bert.layers.{l}.", with the paper's symbols
    "query": "attention.query.bias",  # b_q
    "key": "attention.key.bias",  # b_k
    "value": "attention.value.bias",  # b_v
    "attention_output": "attention.output.bias",  # b_m1
    "attention_norm": "attention_norm.bias",  # b_LN1
    "intermediate": "intermediate.bias",  # b_m2
    "output": "output.bias",  # b_m3
    "output_norm": "output_norm.bias",  # b_LN2
    # one each in the model, after "bert."; the paper gives them no symbol
    "embeddings_norm": "embeddings.norm.bias",
    "pooler": "pooler.dense.bias",
}


def bitfit(terms: Sequence[str] | None = None) -> Trainable:
    """Return the `trainable` slot of BitFit: the names of these biases and of the whole head.

    Args:
        terms: names in `TERMS`; None means every bias of the encoder. The paper's small subset
            is ("query", "intermediate").
    """
    if terms is not None:
        terms = (terms,) if isinstance(terms, str) else tuple(terms)
        if not terms:
            raise MiniftError("BitFit with no term trains the head alone; say so with head_only()")
        for term in terms:
            require_known("bias term", term, TERMS)

    def trainable(model: nn.Module, epoch: int = 1) -> list[str]:
        suffixes = {name: encoder_suffix(name) for name, _ in model.named_parameters()}
        biases = {suffix for suffix in suffixes.values() if suffix and suffix.endswith("bias")}
        if not biases:
            raise MiniftError("this encoder has no bias vectors; freeze layers instead")
        wanted = biases if terms is None else {TERMS[term] for term in terms}
        if absent := sorted(wanted - biases):
            there = ", ".join(sorted(biases))
            raise MiniftError(f"this encoder has no {', '.join(absent)}; it has {there}")
        return [name for name, suffix in suffixes.items() if suffix is None or suffix in wanted]

    return trainable
