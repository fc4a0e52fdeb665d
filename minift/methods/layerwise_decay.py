"""Layer-wise learning-rate decay: the deeper a layer, the smaller its steps.

Claim    Features near the input are general and should move least; giving the layer at depth
         d below the head the rate eta * decay**d keeps them near their pretrained values.
Paper    Howard & Ruder (2018), "Universal Language Model Fine-tuning for Text
         Classification", section 3.2, https://arxiv.org/abs/1801.06146 (there
         decay = 1 / 2.6 for a 3-layer LSTM; BERT practice uses .8 to .95).
Differs  - The embeddings count as a layer of their own below the first, and the pooler as part
           of the head; the paper has no statement on either.
         - Biases and LayerNorm keep their layer's rate and, as everywhere here, do not decay.
Proof    tests/methods/test_layerwise_decay.py
Tutorial tutorials/04_freezing
"""

from __future__ import annotations

from torch import nn

from minift.bert.counts import number_of_layers
from minift.bert.names import part_of
from minift.errors import require


def depth_of(name: str, num_layers: int) -> int:
    """Return how far below the head the parameter `name` sits: 0 for the head itself.

    >>> depth_of("classifier.weight", num_layers=2)
    0
    >>> depth_of("bert.layers.1.attention.query.weight", num_layers=2)
    1
    >>> depth_of("bert.embeddings.word.weight", num_layers=2)
    3
    """
    part = part_of(name)
    if isinstance(part, int):
        return num_layers - part
    return num_layers + 1 if part == "embeddings" else 0


def layerwise_scales(model: nn.Module, decay: float) -> dict[str, float]:
    """Return decay**depth for each parameter, by name, whether or not it trains.

    Args:
        model: any module whose parameters are named as in `minift.bert`.
        decay: factor between neighbouring layers, in (0, 1]; 1 is ordinary fine-tuning.

    Raises:
        MiniftError: if `decay` is outside (0, 1].
    """
    require(0 < decay <= 1, "decay", decay, "in (0, 1], where 1 means no decay")
    depth = number_of_layers(model)
    return {name: decay ** depth_of(name, depth) for name, _ in model.named_parameters()}
