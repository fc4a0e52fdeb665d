"""BertConfig: the sizes of a BERT, under Hugging Face's names.

Claim    A config is a model that can be built: what cannot be one is refused by name, before
         memory is spent on it.
Source   Devlin et al. (2019), https://arxiv.org/abs/1810.04805; `minift.checkpoints.strict` reads
         the files of Hugging Face's `BertConfig`.
Proof    tests/bert/test_config.py
"""

import math
from dataclasses import dataclass

from minift.errors import MiniftError, require

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")
MOST_PARAMETERS = 2**33  # 32 GB in float32; BERT-large has 340 million
MOST_CLASSES = 2**20
SIZES = (
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings", "type_vocab_size"),
)


@dataclass(frozen=True)
class BertConfig:
    """Sizes and rates of a BERT; the defaults are bert-base-uncased."""

    vocab_size: int = 30522  # rows of the word embedding
    hidden_size: int = 768  # width of a token's vector
    num_hidden_layers: int = 12
    num_attention_heads: int = 12  # must divide `hidden_size`
    intermediate_size: int = 3072  # width inside the feed-forward block
    hidden_act: str = "gelu"  # activation there, one of `ACTIVATIONS`
    hidden_dropout_prob: float = 0.1  # on embeddings and on each block's output
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None  # None means `hidden_dropout_prob`
    max_position_embeddings: int = 512  # longest sequence, in word pieces
    type_vocab_size: int = 2  # number of segments
    initializer_range: float = 0.02  # standard deviation of new weights
    layer_norm_eps: float = 1e-12  # epsilon inside LayerNorm
    pad_token_id: int = 0  # row of the word embedding for padding (never computed here)
    labels: tuple[str, ...] = ()  # class names in the order of the logits; () without a head
    problem_type: str | None = None  # "regression", "multi_label_classification", or None

    def __post_init__(self) -> None:
        for name in SIZES:
            value, most = getattr(self, name), 1024 if name == "num_hidden_layers" else 2**24
            good = type(value) is int and 0 < value <= most  # larger ones are damaged files
            require(good, f"config: {name}", value, f"a whole number from 1 to {most}")
        if self.encoder_parameters > MOST_PARAMETERS:
            sizes = ", ".join(f"{name}={getattr(self, name)}" for name in SIZES)
            raise MiniftError(
                f"config: {sizes} make {self.encoder_parameters:,} parameters, at most "
                f"{MOST_PARAMETERS:,} are expected; is the file damaged?"
            )
        if self.hidden_size % self.num_attention_heads:
            heads = f"({self.num_attention_heads}) must divide hidden_size ({self.hidden_size})"
            raise MiniftError(f"config: num_attention_heads {heads}")
        known = f"one of {', '.join(ACTIVATIONS)}"
        require(self.hidden_act in ACTIVATIONS, "config: hidden_act", self.hidden_act, known)
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"):
            value = getattr(self, name)
            good = isinstance(value, int | float) and 0 <= value < 1
            good = good or (name, value) == ("classifier_dropout", None)
            require(good, f"config: {name}", value, "a number in [0, 1)")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            good = isinstance(value, int | float) and 0 < value < math.inf
            require(good, f"config: {name}", value, "a positive number")
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
    def head_dropout(self) -> float:
        """Dropout before a classifier."""
        own = self.classifier_dropout
        return self.hidden_dropout_prob if own is None else own
