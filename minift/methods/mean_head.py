"""The mean head: the mean over a text's tokens, which sentence encoders are trained to give.

Claim    It computes what sentence-transformers computes from the same folder: Transformer,
         Pooling (mean), Dense. Padding does not enter, for there is none.
Paper    Reimers & Gurevych (2019), https://arxiv.org/abs/1908.10084, section 3: the mean, and for
         pairs u, v and |u - v| of texts that are read apart.
Differs  For pairs u * v is read, too, as in InferSent (Conneau et al. 2017,
         https://arxiv.org/abs/1705.02364, section 3.2).
         Over two texts that are joined the mean is worse than guessing (MiniLM, frozen).
Proof    tests/methods/test_mean_head.py
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from minift.bert.config import BertConfig
from minift.bert.heads import Classifier
from minift.bert.packing import Layout, Packed, Selection, to_device


class MeanClassifier(Classifier):
    """One row of logits per text, from the mean of its tokens."""

    hugging_face_class = "MiniftMeanForSequenceClassification"  # not a class of transformers
    reads_every_token = True
    parts = 1  # vectors of the encoder's width that the last layer reads

    def __init__(self, config: BertConfig):
        super().__init__(config)
        last = nn.Linear(self.parts * config.hidden_size, max(1, len(config.labels)))
        self.classifier = nn.Sequential(OrderedDict(linear=last))  # its name in their folders

    def vectors(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return the means (texts, width), whatever one token of each text is `wanted`."""
        if (known := packed.computed) is not None and known.layers == len(self.bert.layers):
            return known.hidden
        packed = self.arrange(packed)
        sums = packed.layout.pad(self.bert(packed)).sum(1)  # (sequences, hidden)
        return self.combine(sums / sums.new_tensor(packed.lengths).unsqueeze(1))

    def arrange(self, packed: Packed) -> Packed:
        """Return the batch as the encoder reads it; each row stays where it is."""
        return packed

    def combine(self, means: Tensor) -> Tensor:
        """(sequences, hidden) -> (texts, width)"""
        return means


class PairClassifier(MeanClassifier):
    """One row of logits per pair, whose two texts are read apart: from u, v, |u - v| and u * v."""

    hugging_face_class = "MiniftMeanForPairClassification"
    parts = 4

    def arrange(self, packed: Packed) -> Packed:
        """Make a sequence of each text of each pair; the second begins where the segment is 1."""
        seconds = packed.layout.pad(packed.segment_ids).sum(1).tolist()
        counts = zip(packed.lengths, seconds)
        layout = Layout.of([n for whole, second in counts for n in (whole - second, second)])
        places = torch.cat([torch.arange(length) for length in layout.lengths])
        segments, computed = torch.zeros_like(packed.segment_ids), packed.computed
        apart = Packed(packed.input_ids, segments, places, layout, computed)
        return to_device(apart, segments.device)

    def combine(self, means: Tensor) -> Tensor:
        """(2 x pairs, hidden) -> (pairs, 4 x hidden)"""
        u, v = means[0::2], means[1::2]
        return torch.cat([u, v, (u - v).abs(), u * v], dim=1)
