"""Heads: what turns hidden states into answers, each a few lines on top of `Bert`.

Claim    Each head computes what Hugging Face's class of the same name computes, from the same
         tensors: BertForSequenceClassification and BertForTokenClassification.
Paper    Devlin et al. (2019), https://arxiv.org/abs/1810.04805, sections 3.1 and 4.
Differs  A head is asked about some tokens only: [CLS] of each sequence, the first piece of each
         word. The reference computes every token and throws the rest away.
Proof    tests/bert/test_parity.py
"""

from torch import Tensor, nn

from minift.bert.config import BertConfig
from minift.bert.dropout import Dropout
from minift.bert.encoder import Bert
from minift.bert.packing import Packed, Selection


class Classifier(nn.Module):
    """What all heads have in common: vectors, dropout, and a layer that answers."""

    hugging_face_class: str  # of transformers, or a name of our own that it does not know
    reads_every_token = False  # of the last layer's output, or only what is asked for
    has_pooler = False
    classifier: nn.Module

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config  # its `labels` name the classes; () with regression gives one output
        self.bert = Bert(config, self.has_pooler)
        self.dropout = Dropout(config.head_dropout)
        self.classifier = nn.Linear(config.hidden_size, max(1, len(config.labels)))

    def vectors(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return what `classifier` answers from: (asked, width), one row per answer."""
        return self.bert(packed, wanted)

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return logits (asked, labels)."""
        return self.classifier(self.dropout(self.vectors(packed, wanted)))


class SequenceClassifier(Classifier):
    """One row of logits per sequence (or pair): classification, or regression with one output."""

    hugging_face_class = "BertForSequenceClassification"
    has_pooler = True

    def vectors(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return the pooler's output; `wanted` is always [CLS] and need not be given."""
        assert self.bert.pooler is not None, "Bert(config) has one"
        return self.bert.pooler(self.bert(packed, wanted or packed.first_tokens()))


class TokenClassifier(Classifier):
    """One row of logits per wanted token (per word if they are first pieces): tagging."""

    hugging_face_class = "BertForTokenClassification"
