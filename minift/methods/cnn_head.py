"""The CNN head: filters slid over all tokens of a text, in place of one vector read at [CLS].

Claim    Each filter answers as on the text alone, and no window reads the next text.
Paper    Griesshaber et al. (2020), https://arxiv.org/abs/2012.02462, section 3; its shape:
         Kim (2014), https://arxiv.org/abs/1408.5882, section 2.
Differs  Griesshaber et al. do not state the CNN's sizes; here they are Kim's: 100 filters of
         each of the widths 3, 4 and 5, ReLU, the maximum over the text, dropout, one linear
         layer. In Kim a text shorter than a filter has no window; here a window begins at each
         token and reads zeros past the text's end.
Proof    tests/methods/test_cnn_head.py
"""

import torch
from torch import Tensor, nn

from minift.bert.config import BertConfig
from minift.bert.heads import Classifier
from minift.bert.packing import Packed, Selection


class Convolutions(nn.Module):
    """Filters slid over each text, the largest answer of each, and a linear layer on those."""

    WIDTHS = (3, 4, 5)  # tokens that a filter reads
    FILTERS = 100  # of each width

    def __init__(self, hidden_size: int, outputs: int):
        super().__init__()
        self.filters = nn.ModuleList(
            nn.Conv1d(hidden_size, self.FILTERS, width) for width in self.WIDTHS
        )
        self.output = nn.Linear(self.FILTERS * len(self.WIDTHS), outputs)

    def forward(self, maxima: Tensor) -> Tensor:
        """(sequences, filters) -> (sequences, outputs)"""
        return self.output(maxima)

    def maxima(self, hidden: Tensor, packed: Packed) -> Tensor:
        """(tokens, hidden) -> (sequences, filters)"""
        lengths, found = torch.tensor(packed.lengths, device=hidden.device), list[Tensor]()
        left = lengths.repeat_interleave(lengths) - packed.position_ids  # to the end of the text
        for width, conv in zip(self.WIDTHS, self.filters):
            weight = conv.get_parameter("weight").permute(2, 0, 1).flatten(0, 1)  # (.., hidden)
            total, *parts = nn.functional.linear(hidden, weight).chunk(width, dim=1)
            for ahead, part in enumerate(parts, 1):
                outside = (left <= ahead).unsqueeze(1)
                total = total + part.roll(-ahead, 0).masked_fill(outside, 0.0)
            found.append(total + conv.get_parameter("bias"))  # of each place
        windows = torch.cat(found, dim=1).relu()
        return packed.layout.pad(windows).amax(1)  # ReLU >= 0, so the padding never wins


class ConvClassifier(Classifier):
    """One row of logits per sequence, read from all its tokens by a small CNN."""

    hugging_face_class = "MiniftConvForSequenceClassification"  # not a class of transformers
    reads_every_token = True

    classifier: Convolutions

    def __init__(self, config: BertConfig):
        super().__init__(config)
        self.classifier = Convolutions(config.hidden_size, max(1, len(config.labels)))

    def vectors(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return the maxima (sequences, filters), whatever one token of each is `wanted`."""
        return self.classifier.maxima(self.bert(packed), packed)
