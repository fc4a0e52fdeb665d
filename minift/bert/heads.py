"""Heads: what turns hidden states into answers, each a few lines on top of `Bert`.

Claim    Each head computes what Hugging Face's class of the same name computes, from the same
         tensors: BertForSequenceClassification, BertForTokenClassification, BertForMaskedLM.
         `ConvClassifier` has no such class; it equals torch's Conv1d on padded texts.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, sections 3.1 and 4. The CNN
         head: Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, section 3; its
         shape: Kim (2014), https://arxiv.org/abs/1408.5882, section 2.
Differs  - A head is asked about some tokens only: [CLS] of each sequence, the first piece of
           each word, the masked positions. The reference computes every token and throws the
           rest away. The CNN reads every token.
         - Griesshaber et al. do not state the CNN's sizes; here they are Kim's: 100 filters of
           each of the widths 3, 4 and 5, ReLU, the maximum over the text, dropout, one linear
           layer. In Kim a text shorter than a filter has no window; here a window begins at
           each token and reads zeros past the text's end.
Proof    tests/bert/test_parity.py, tests/methods/test_cnn_head.py
"""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import Tensor, nn

from minift.bert.config import BertConfig
from minift.bert.dropout import Dropout
from minift.bert.encoder import Bert, activation
from minift.bert.packing import Packed, Selection
from minift.errors import MiniftError


class SequenceClassifier(nn.Module):
    """One row of logits a sequence (or pair): classification, or regression with one output.

    Args:
        config: its `labels` name the classes; () with problem_type "regression" gives one
            output.
    """

    hugging_face_class = "BertForSequenceClassification"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config)
        self.dropout = Dropout(_classifier_dropout(config))
        self.classifier = nn.Linear(config.hidden_size, max(1, len(config.labels)))

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (sequences, labels); `wanted` is always [CLS] and need not be given."""
        cls = self.bert(packed, wanted or packed.first_tokens())  # (sequences, hidden)
        assert self.bert.pooler is not None, "Bert(config) has one"
        return self.classifier(self.dropout(self.bert.pooler(cls)))


class Convolutions(nn.Module):
    """Filters slid over each text, the largest answer of each, and a linear layer on those.

    Args:
        hidden_size: width of a token's vector.
        outputs: number of logits.
        dropout: probability, on the maxima.
    """

    WIDTHS = (3, 4, 5)  # tokens that a filter reads
    FILTERS = 100  # of each width

    def __init__(self, hidden_size: int, outputs: int, dropout: float):
        super().__init__()
        self.filters = nn.ModuleList(
            nn.Conv1d(hidden_size, self.FILTERS, width) for width in self.WIDTHS
        )
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(self.FILTERS * len(self.WIDTHS), outputs)

    def forward(self, hidden: Tensor, packed: Packed) -> Tensor:
        """(tokens, hidden) -> (sequences, outputs)"""
        lengths = torch.tensor(packed.lengths, device=hidden.device)
        left = lengths.repeat_interleave(lengths) - packed.position_ids  # to the end of the text
        # A ModuleList forgets the class of its modules.
        filters = (self.slide(conv, hidden, left) for conv in self.filters)  # type: ignore[arg-type]
        found = torch.cat(list(filters), dim=1)
        best = packed.layout.pad(found.relu()).amax(1)  # ReLU >= 0, so the padding never wins
        return self.output(self.dropout(best))

    def slide(self, conv: nn.Conv1d, hidden: Tensor, left: Tensor) -> Tensor:
        """Return the windows' answers (tokens, filters); no window reads the next text."""
        width = conv.kernel_size[0]
        weight = conv.weight.permute(2, 0, 1).flatten(0, 1)  # (width x filters, hidden)
        parts = nn.functional.linear(hidden, weight).chunk(width, dim=1)  # of each place
        total = parts[0] if conv.bias is None else parts[0] + conv.bias
        for ahead in range(1, width):
            outside = (left <= ahead).unsqueeze(1)
            total = total + parts[ahead].roll(-ahead, 0).masked_fill(outside, 0.0)
        return total


class ConvClassifier(nn.Module):
    """One row of logits a sequence, read from all its tokens by a small CNN.

    Args:
        config: as for `SequenceClassifier`.
    """

    hugging_face_class = "MiniftConvForSequenceClassification"  # not a class of transformers

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        outputs = max(1, len(config.labels))
        self.classifier = Convolutions(config.hidden_size, outputs, _classifier_dropout(config))

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (sequences, labels), whatever one token of each sequence is `wanted`."""
        return self.classifier(self.bert(packed), packed)


class TokenClassifier(nn.Module):
    """One row of logits a wanted token: tagging."""

    hugging_face_class = "BertForTokenClassification"

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.bert = Bert(config, pooler=False)
        self.dropout = Dropout(_classifier_dropout(config))
        self.classifier = nn.Linear(config.hidden_size, max(1, len(config.labels)))

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (wanted, labels): one row a word if `wanted` are first pieces."""
        return self.classifier(self.dropout(self.bert(packed, wanted)))


class MaskedLM(nn.Module):
    """One row of vocabulary logits a wanted token; the decoder *is* the word embedding."""

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


Classifier = SequenceClassifier | ConvClassifier | TokenClassifier
Model = Classifier | MaskedLM


def encoder_of(model: nn.Module) -> Bert:
    """Return the `Bert` that a model holds as `bert`.

    Raises:
        MiniftError: if it holds none.
    """
    encoder = getattr(model, "bert", None)
    if not isinstance(encoder, Bert):
        raise MiniftError(
            f"{type(model).__name__} holds no Bert as `bert`; give a model with a head, "
            "such as SequenceClassifier or TokenClassifier"
        )
    return encoder


def reads_every_token(model: nn.Module) -> bool:
    """Whether the head needs all of the last layer's output, not that of asked tokens only."""
    return isinstance(model, ConvClassifier)


def _classifier_dropout(config: BertConfig) -> float:
    if config.classifier_dropout is None:
        return config.hidden_dropout_prob
    return config.classifier_dropout


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
