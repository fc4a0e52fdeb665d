"""BERT, from tokens to hidden states, read from top to bottom.

Claim    Given the same weights, hidden states and gradients equal those of Hugging Face's
         `BertModel` on every real token, while padding is never computed.
Paper    Devlin et al. (2019), "BERT: Pre-training of Deep Bidirectional Transformers for
         Language Understanding", https://arxiv.org/abs/1810.04805, section 3; the layer is
         the encoder layer of Vaswani et al. (2017), https://arxiv.org/abs/1706.03762.
Differs  - Sequences are packed (see packing.py); only attention sees a rectangle.
         - `wanted` asks for the last layer's output at some tokens only. A classifier reads one
           token per sentence: the last layer then computes keys and values for all tokens but
           everything else for that one, which gives the same numbers for less work.
         - Dropout draws from its own stream (see dropout.py).
Proof    tests/bert/test_parity.py
Tutorial tutorials/01_bert_from_scratch
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.config import BertConfig
from minift.bert.dropout import Dropout
from minift.bert.packing import Computed, Layout, Packed, Selection
from minift.errors import MiniftError


def activation(name: str, values: Tensor) -> Tensor:
    """Apply the feed-forward activation that a config names."""
    if name.startswith("gelu"):
        return F.gelu(values, approximate="none" if name == "gelu" else "tanh")
    return F.relu(values) if name == "relu" else F.silu(values)  # BertConfig knows no others


class Embeddings(nn.Module):
    """word + position + segment, normalised: (tokens,) ids -> (tokens, hidden)."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segment = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, packed: Packed) -> Tensor:
        """Embed every token of the batch."""
        summed = (
            self.word(packed.input_ids)
            + self.position(packed.position_ids)
            + self.segment(packed.segment_ids)
        )
        return self.dropout(self.norm(summed))


class Attention(nn.Module):
    """Multi-head self-attention: softmax(Q K^T / sqrt(head_dim)) V in each head."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = Dropout(config.attention_probs_dropout_prob)

    def forward(self, hidden: Tensor, layout: Layout, wanted: Selection | None) -> Tensor:
        """(tokens, hidden) -> (wanted, hidden): each wanted token (None: all) gathers from all
        tokens of its sequence, of which `layout` knows where they stand."""
        asking = hidden if wanted is None else wanted.of(hidden)
        asking_layout = layout if wanted is None else wanted.layout
        query = self.split(self.query(asking), asking_layout)  # (batch, heads, wanted, head_dim)
        key = self.split(self.key(hidden), layout)  # (batch, heads, tokens, head_dim)
        value = self.split(self.value(hidden), layout)
        mask = layout.mask(key)
        if self.training and self.dropout.probability > 0:
            scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_dim)
            scores = scores if mask is None else scores + mask
            mixed = self.dropout(scores.softmax(dim=-1)) @ value
        else:  # the same arithmetic in one kernel, without keeping the probabilities
            mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.output(asking_layout.unpad(mixed.transpose(1, 2).flatten(2)))

    def split(self, rows: Tensor, layout: Layout) -> Tensor:
        """(rows, hidden) -> (batch, heads, longest, head_dim)"""
        return layout.pad(rows).unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)


class Layer(nn.Module):
    """Attention, then a feed-forward block; each is added to its input and normalised."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.attention = Attention(config)
        self.attention_dropout = Dropout(config.hidden_dropout_prob)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.output_dropout = Dropout(config.hidden_dropout_prob)
        self.output_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.hidden_act = config.hidden_act

    def forward(self, hidden: Tensor, layout: Layout, wanted: Selection | None = None) -> Tensor:
        """(tokens, hidden) -> (wanted, hidden); the arguments are those of `Attention`."""
        attended = self.attention(hidden, layout, wanted)
        residual = hidden if wanted is None else wanted.of(hidden)
        hidden = self.attention_norm(residual + self.attention_dropout(attended))
        inner = activation(self.hidden_act, self.intermediate(hidden))
        return self.output_norm(hidden + self.output_dropout(self.output(inner)))


class Pooler(nn.Module):
    """tanh(W h_[CLS] + b): the sentence vector that BERT was pretrained with."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, first_tokens: Tensor) -> Tensor:
        """(sequences, hidden) -> (sequences, hidden)"""
        return torch.tanh(self.dense(first_tokens))


class Bert(nn.Module):
    """The encoder: embeddings, layers and, where a head reads it, the pooler."""

    def __init__(self, config: BertConfig, pooler: bool = True):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.pooler = Pooler(config) if pooler else None  # the head that reads it computes it

    def forward(self, packed: Packed, wanted: Selection | None = None) -> Tensor:
        """Return the last layer's output (wanted, hidden); without `wanted`, (tokens, hidden)."""
        if packed.computed is not None and packed.computed.layers == len(self.layers):
            return packed.computed.hidden
        hidden = self.up_to(len(self.layers) - 1, packed)
        return self.layers[-1](hidden, packed.layout, wanted)

    def up_to(self, layers: int, packed: Packed) -> Tensor:
        """Return the output (tokens, hidden) of the lowest `layers` layers; 0: the embeddings'."""
        start = packed.computed or Computed(0, self.embeddings(packed))
        hidden = start.hidden
        for layer in self.layers[start.layers : layers]:
            hidden = layer(hidden, packed.layout)
        return hidden

    def hidden_states(self, packed: Packed, layers: int | None = None) -> list[Tensor]:
        """Return (tokens, hidden) of the embeddings and of each of the lowest layers (or all)."""
        states = [self.embeddings(packed)]
        for layer in self.layers[:layers]:
            states.append(layer(states[-1], packed.layout))
        return states


def frozen_prefix(model: nn.Module) -> list[nn.Module]:
    """Return embeddings and lowest layers of the `Bert` in a model, up to the first that learns."""
    encoder = getattr(model, "bert", None)
    modules = (encoder.embeddings, *encoder.layers) if isinstance(encoder, Bert) else ()
    learns = [any(p.requires_grad for p in module.parameters()) for module in modules]
    return list(modules[: [*learns, True].index(True)])


def encoder_of(model: nn.Module) -> Bert:
    """Return the `Bert` that a model holds as `bert`; a MiniftError says so if it holds none."""
    encoder = getattr(model, "bert", None)
    if not isinstance(encoder, Bert):
        name = type(model).__name__
        raise MiniftError(f"{name} holds no Bert as `bert`; give a model with a head on one")
    return encoder
