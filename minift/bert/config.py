"""BertConfig: the sizes of a BERT, under Hugging Face's names.

Claim    A config is a model that can be built: what cannot be one is refused by name, before
         memory is spent on it.
Source   Devlin et al. (2019), https://arxiv.org/abs/1810.04805; names as in Hugging Face's
         `BertConfig`, whose files `minift.checkpoints.strict` reads.
Differs  Frozen; class names live here as `labels`, in the order of the logits.
Proof    tests/bert/test_config.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from minift.errors import MiniftError

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")
MOST_PARAMETERS = 2**33  # 32 GB in float32; BERT-large has 340 million
MOST_CLASSES = 2**20
_LARGEST = {  # a larger one comes from a damaged file
    **dict.fromkeys(("vocab_size", "hidden_size", "num_attention_heads"), 2**24),
    **dict.fromkeys(("intermediate_size", "max_position_embeddings", "type_vocab_size"), 2**24),
    "num_hidden_layers": 1024,
}


@dataclass(frozen=True)
class BertConfig:
    """Sizes and rates of a BERT; the defaults are bert-base-uncased.

    Args:
        vocab_size: rows of the word embedding.
        hidden_size: width of a token's vector.
        num_hidden_layers: encoder layers L.
        num_attention_heads: heads; must divide `hidden_size`.
        intermediate_size: width inside the feed-forward block.
        hidden_act: activation of the feed-forward block, one of `ACTIVATIONS`.
        hidden_dropout_prob: dropout on embeddings and on each block's output.
        attention_probs_dropout_prob: dropout on attention probabilities.
        classifier_dropout: dropout before a classifier; None means `hidden_dropout_prob`.
        max_position_embeddings: longest sequence, in word pieces.
        type_vocab_size: number of segments.
        initializer_range: standard deviation of new weights.
        layer_norm_eps: epsilon inside LayerNorm.
        pad_token_id: row of the word embedding that stands for padding (never computed here).
        labels: class names in the order of the logits; () where there is no head.
        problem_type: "single_label_classification", "regression", or None.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    labels: tuple[str, ...] = ()
    problem_type: str | None = None

    def __post_init__(self) -> None:
        for name, largest in _LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= largest:
                raise MiniftError(
                    f"config: {name} must be a whole number from 1 to {largest}, got {value!r}"
                )
        if self.encoder_parameters > MOST_PARAMETERS:
            sizes = ", ".join(f"{name}={getattr(self, name)}" for name in _LARGEST)
            raise MiniftError(
                f"config: {sizes} make {self.encoder_parameters:,} parameters, at most "
                f"{MOST_PARAMETERS:,} are expected; is the file damaged?"
            )
        if self.hidden_size % self.num_attention_heads:
            raise MiniftError(
                f"config: num_attention_heads ({self.num_attention_heads}) must divide "
                f"hidden_size ({self.hidden_size})"
            )
        if self.hidden_act not in ACTIVATIONS:
            raise MiniftError(
                f"config: activation {self.hidden_act!r} is not supported; "
                f"supported: {', '.join(ACTIVATIONS)}"
            )
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            inside = isinstance(value, int | float) and 0 <= value < 1
            if not inside and (name, value) != ("classifier_dropout", None):
                raise MiniftError(f"config: {name} must lie in [0, 1), got {value!r}")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise MiniftError(f"config: {name} must be a positive number, got {value!r}")
        if len(self.labels) > MOST_CLASSES:
            raise MiniftError(f"config: more than {MOST_CLASSES:,} classes")
        if len(set(self.labels)) < len(self.labels):
            raise MiniftError(f"config: two classes have the same name: {', '.join(self.labels)}")

    @property
    def encoder_parameters(self) -> int:
        """Number of parameters of the encoder, pooler included, heads not."""
        width, inner = self.hidden_size, self.intermediate_size
        rows = self.vocab_size + self.max_position_embeddings + self.type_vocab_size
        layer = 4 * width * (width + 1) + 2 * width * inner + inner + 5 * width
        return (rows + 2) * width + self.num_hidden_layers * layer + width * (width + 1)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def head_dropout(self) -> float:
        """Dropout before a classifier."""
        own = self.classifier_dropout
        return self.hidden_dropout_prob if own is None else own
