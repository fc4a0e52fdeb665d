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

from torch import nn

from minift.bert.counts import number_of_layers
from minift.bert.names import part_of
from minift.errors import require


def layerwise_scales(model: nn.Module, decay: float) -> dict[str, float]:
    """Return decay**depth for each parameter, by name, whether or not it trains.

    `decay` lies in (0, 1]; 1 is ordinary fine-tuning.
    """
    require(0 < decay <= 1, "decay", decay, "in (0, 1], where 1 means no decay")
    scales, layers = {}, number_of_layers(model)
    for name, _ in model.named_parameters():
        part = part_of(name)
        below = layers - part if isinstance(part, int) else 0  # the head, for head and pooler
        scales[name] = decay ** (layers + 1 if part == "embeddings" else below)
    return scales
