"""The head that BERT is pretrained with: which piece stood at a masked position?

Claim    It computes what Hugging Face's BertForMaskedLM computes, from the same tensors, at the
         masked positions only.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, section 3.1.
Proof    tests/bert/test_parity.py
"""

from collections.abc import Container

import torch
from torch import Tensor, nn

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert, activation
from minift.bert.heads import Classifier
from minift.bert.packing import Packed, Selection


class MaskedLM(nn.Module):
    """One row of vocabulary logits per wanted token; the decoder *is* the word embedding."""

    hugging_face_class = "BertForMaskedLM"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        self.transform = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (wanted, vocab_size)."""
        hidden = self.bert(packed, wanted)
        hidden = self.norm(activation(self.config.hidden_act, self.transform(hidden)))
        return nn.functional.linear(hidden, self.bert.embeddings.word.weight, self.bias)


Model = Classifier | MaskedLM


def initialise(
    model: nn.Module,
    std: float,
    generator: torch.Generator | None = None,
    only: Container[str] | None = None,
) -> None:
    """Draw new weights as BERT does: normal weights, zero biases, LayerNorm at 1 and 0.

    Args:
        model: its parameters are overwritten, in the order of `named_parameters`.
        std: standard deviation of the weights (`config.initializer_range`).
        generator: source of the draws.
        only: names of the parameters to draw; None means all.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if only is not None and name not in only:
                continue
            if name.endswith("bias"):
                parameter.zero_()
            elif name.endswith("norm.weight"):
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, std, generator=generator)
