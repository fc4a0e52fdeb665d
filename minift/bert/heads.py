"""Heads: what turns hidden states into answers, each a few lines on top of `Bert`.

Claim    Each head computes what Hugging Face's class of the same name computes, from the same
         tensors: BertForSequenceClassification, BertForTokenClassification, BertForMaskedLM.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, sections 3.1 and 4.
Differs  A head is asked about some tokens only: [CLS] of each sequence, the first piece of each
         word, the masked positions. The reference computes every token and throws the rest away.
Proof    tests/bert/test_parity.py
"""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import Tensor, nn

from minift.bert.config import BertConfig
from minift.bert.dropout import Dropout
from minift.bert.encoder import Bert, activation
from minift.bert.packing import Packed, Selection


class Classifier(nn.Module):
    """What all heads with classes (or one number) have in common."""

    hugging_face_class: str  # of transformers, or a name of our own that it does not know
    reads_every_token = False  # of the last layer's output, or only what is asked for
    config: BertConfig  # its `labels` name the classes; () with regression gives one output
    bert: Bert
    classifier: nn.Module


class SequenceClassifier(Classifier):
    """One row of logits per sequence (or pair): classification, or regression with one output."""

    hugging_face_class = "BertForSequenceClassification"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.dropout = Dropout(config.head_dropout)
        self.classifier = nn.Linear(config.hidden_size, max(1, len(config.labels)))

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (sequences, labels); `wanted` is always [CLS] and need not be given."""
        cls = self.bert(packed, wanted or packed.first_tokens())  # (sequences, hidden)
        assert self.bert.pooler is not None, "Bert(config) has one"
        return self.classifier(self.dropout(self.bert.pooler(cls)))


class TokenClassifier(Classifier):
    """One row of logits per wanted token: tagging."""

    hugging_face_class = "BertForTokenClassification"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        self.dropout = Dropout(config.head_dropout)
        self.classifier = nn.Linear(config.hidden_size, max(1, len(config.labels)))

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (wanted, labels): one row a word if `wanted` are first pieces."""
        return self.classifier(self.dropout(self.bert(packed, wanted)))


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
