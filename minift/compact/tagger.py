"""The student: a character CNN, word vectors and a two-layer BiLSTM; half a million parameters.

Claim    A word's vector is its row of a table beside what a CNN reads from its spelling; two
         BiLSTM layers put it in context. Neither the padding of words nor of sentences changes
         anything: the maximum is over real characters, and the LSTM that reads backwards is
         given each sentence mirrored, so that it, too, meets the padding after the words.
Paper    Izsak, Guskin & Wasserblat (2019), https://arxiv.org/abs/1910.06294; the sizes are those
         of the authors' code (nlp-architect, CNNLSTM), which is where the details are.
Differs  - In the authors' code the padding takes part in the maximum and in the backward LSTM.
         - Word dropout drops the share it names, and a dropped word keeps its spelling. Theirs
           edits the ids after the forward pass, where it cannot matter, and keeps that share.
         - The convolution runs once per distinct word of a batch.
         - Word vectors start at random (variance 1 / size), the unknown word's at 0; theirs are
           pretrained, and so are those of `distill` (see word_vectors.py).
         - 20 characters of a word are read, not 12; sentences are never cut.
Proof    tests/compact/test_tagger.py
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn

from minift.bert.dropout import Dropout
from minift.bert.packing import Layout
from minift.compact.crf import Crf
from minift.compact.vocabulary import PADDING, UNKNOWN_WORD, Spelled
from minift.errors import require

Head = Literal["softmax", "crf"]


@dataclass(frozen=True)
class TaggerConfig:
    """Sizes of a student."""

    word_rows: int  # of the table of words (`Vocabulary` knows it)
    character_rows: int  # of the table of characters
    labels: int  # how many
    word_size: int = 100  # how many numbers represent a word
    character_size: int = 16  # and a character
    filters: int = 128  # of the convolution, which sees three characters at a time
    hidden: int = 100  # of the LSTM, in each direction and layer
    layers: int = 2  # of the LSTM
    dropout: float = 0.5  # on what goes into the LSTM and what comes out, not between its layers
    word_dropout: float = 0.05  # share of words that become unknown in training
    head: Head = "softmax"  # decides word by word, or for the whole sentence

    def __post_init__(self) -> None:
        require(self.head in ("softmax", "crf"), "head", self.head, '"softmax" or "crf"')
        for field in fields(self):
            value, largest = getattr(self, field.name), 64 if field.name == "layers" else 2**24
            good = field.type is not int or (type(value) is int and 0 < value <= largest)
            require(good, field.name, value, f"a whole number from 1 to {largest}")
        for name in ("dropout", "word_dropout"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "a number in [0, 1)")


class Tagger(nn.Module):
    """One row of logits per word; the first weights come from a generator, None is torch's."""

    def __init__(self, config: TaggerConfig, generator: torch.Generator | None = None):
        super().__init__()
        self.config = config
        self.word = nn.Embedding(config.word_rows, config.word_size)
        self.character = nn.Embedding(
            config.character_rows, config.character_size, padding_idx=PADDING
        )
        self.convolution = nn.Conv1d(config.character_size, config.filters, 3, padding=1)
        self.word_dropout = Dropout(config.word_dropout)
        self.input_dropout = Dropout(config.dropout)
        sizes = [config.word_size + config.filters] + [2 * config.hidden] * (config.layers - 1)
        self.ahead = nn.ModuleList(nn.LSTM(n, config.hidden, batch_first=True) for n in sizes)
        self.back = nn.ModuleList(nn.LSTM(n, config.hidden, batch_first=True) for n in sizes)
        self.output_dropout = Dropout(config.dropout)
        self.dense = nn.Linear(2 * config.hidden, config.labels)
        self.crf = Crf(config.labels) if config.head == "crf" else None
        self._initialise(generator)

    def _initialise(self, generator: torch.Generator | None) -> None:
        """Draw uniformly from +-bound; the bounds of LSTM, CNN and dense layer are PyTorch's."""
        fans = {
            "word": self.config.word_size / 3,
            "character": self.config.character_size / 3,
            "convolution": 3 * self.config.character_size,
            "ahead": self.config.hidden,
            "back": self.config.hidden,
            "dense": 2 * self.config.hidden,
        }
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                part = name.split(".")[0]
                if part in fans:  # the CRF starts at 0
                    bound = 1 / math.sqrt(fans[part])
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)
            nn.init.zeros_(self.word.weight[UNKNOWN_WORD])
            nn.init.zeros_(self.character.weight[PADDING])

    def forward(self, words: Spelled) -> Tensor:
        """Return logits (words, labels)."""
        real = self.word_dropout(torch.ones_like(words.word_ids, dtype=torch.float32)) > 0
        word_ids = words.word_ids.masked_fill(~real, UNKNOWN_WORD)
        spelled = self.spell(words.spellings)[words.spelling_of]  # (words, filters)
        rows = torch.cat([self.word(word_ids), spelled], 1)  # (words, word_size + filters)
        hidden = self._read(self.input_dropout(rows), words.layout)  # (words, 2 * hidden)
        return self.dense(self.output_dropout(hidden))

    def spell(self, spellings: Tensor) -> Tensor:
        """Read words character by character: (distinct, longest) -> (distinct, filters)."""
        characters = self.character(spellings).transpose(1, 2)  # (distinct, size, longest)
        features: Tensor = self.convolution(characters)  # (distinct, filters, longest)
        padding = (spellings == PADDING).unsqueeze(1)
        # ReLU is monotone: after the maximum it does the same on fewer numbers.
        return features.masked_fill(padding, float("-inf")).amax(2).relu()

    def _read(self, rows: Tensor, layout: Layout) -> Tensor:
        """Run the BiLSTM over each sentence: (words, size) -> (words, 2 * hidden)."""
        mirror = mirrored(layout).to(rows.device)
        for ahead, back in zip(self.ahead, self.back):
            left = layout.unpad(ahead(layout.pad(rows))[0])
            right = layout.unpad(back(layout.pad(rows[mirror]))[0])[mirror]
            rows = torch.cat([left, right], 1)
        return rows

    def log_probabilities(self, logits: Tensor, layout: Layout, temperature: float = 1.0) -> Tensor:
        """Return log p(tag of word), (words, labels): softmax, or the marginals of the CRF."""
        if self.crf is None:
            return (logits / temperature).log_softmax(1)
        return layout.unpad(self.crf.log_marginals(*rectangles(logits, layout), temperature))

    def best_tags(self, logits: Tensor, layout: Layout) -> Tensor:
        """Return the label of each word, (words,)."""
        if self.crf is None:
            return logits.argmax(1)
        return layout.unpad(self.crf.best(*rectangles(logits, layout)))


def rectangles(logits: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Return what a `Crf` reads: (sentences, longest, labels), and which of it are words."""
    return layout.pad(logits), layout.pad(torch.ones_like(logits[:, 0], dtype=torch.bool))


def mirrored(layout: Layout) -> Tensor:
    """(words,) where each word stands when its sentence is read from the end.

    >>> mirrored(Layout.of([3, 1, 2]))
    tensor([2, 1, 0, 3, 5, 4])
    """
    lengths = torch.tensor(layout.lengths)
    ends = lengths.cumsum(0)
    first_and_last = (2 * ends - lengths - 1).repeat_interleave(lengths)  # their sum
    return first_and_last - torch.arange(len(first_and_last))
