"""BertConfig: the sizes of a BERT, as a checkpoint's config.json states them.

Claim    A config.json either describes exactly the model that `minift.bert.encoder` computes,
         or is refused with the key that does not fit: nothing is silently ignored that
         would change a logit.
Source   Devlin et al. (2019), https://arxiv.org/abs/1810.04805; key names as in
         Hugging Face's `BertConfig`.
Differs  Frozen; class names live here as `labels`, in the order of the logits
         (`id2label` in the file).
Proof    tests/bert/test_config.py
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from minift.checkpoints.limits import LARGEST_JSON, MOST_CLASSES, MOST_PARAMETERS, read_limited
from minift.errors import MiniftError, nearest

_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a character, no file can hold it
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")

# Keys that would change what is computed: accepted only with the value that BERT has.
_REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "model_type": ("bert",),
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "tie_word_embeddings": (True, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}
# Keys that other libraries write and that do not change a logit.
_HARMLESS = frozenset(
    """
    _attn_implementation _attn_implementation_autoset _name_or_path _num_labels architectures
    attn_implementation bos_token_id chunk_size_feed_forward cross_attention_hidden_size
    decoder_start_token_id directionality dtype eos_token_id finetuning_task
    gradient_checkpointing label2id language model_max_length name num_labels output_attentions
    output_hidden_states output_past pooler_fc_size pooler_num_attention_heads
    pooler_num_fc_layers pooler_size_per_head pooler_type prefix return_dict sep_token_id
    task_specific_params tf_legacy_loss tokenizer_class torch_dtype torchscript
    transformers_version type use_bfloat16 use_cache
    """.split()  # noqa: SIM905
)
# Larger ones come from damaged files; building them would take memory before it fails.
_LARGEST = {"num_hidden_layers": 1024}
_LARGEST_OTHERWISE = 2**24


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
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
        ):
            value = getattr(self, name)
            largest = _LARGEST.get(name, _LARGEST_OTHERWISE)
            if type(value) is not int or not 0 < value <= largest:
                raise MiniftError(
                    f"config: {name} must be a whole number from 1 to {largest}, got {value!r}"
                )
        if self.encoder_parameters > MOST_PARAMETERS:
            raise MiniftError(
                f"config: vocab_size ({self.vocab_size}), hidden_size ({self.hidden_size}), "
                f"num_hidden_layers ({self.num_hidden_layers}), intermediate_size "
                f"({self.intermediate_size}) and max_position_embeddings "
                f"({self.max_position_embeddings}) make {self.encoder_parameters:,} parameters, "
                f"at most {MOST_PARAMETERS:,} expected; is the file damaged?"
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
            if value is None and name == "classifier_dropout":
                continue
            if not isinstance(value, int | float) or not 0 <= value < 1:
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

    def with_dropout(self, probability: float) -> BertConfig:
        """Return the same sizes with one dropout probability at every site."""
        return replace(
            self,
            hidden_dropout_prob=probability,
            attention_probs_dropout_prob=probability,
            classifier_dropout=None,
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> BertConfig:
        """Build a config from the content of a config.json.

        Args:
            values: the parsed file.
            where: what to call the file in an error.

        Raises:
            MiniftError: if a key has a value that minift does not compute, or is unknown.
        """
        # The one key whose absence means something else than BERT's default; the oldest files
        # lack it and name their class instead.
        classes = values.get("architectures")
        if "model_type" not in values and not str(classes).startswith("['Bert"):
            raise MiniftError(
                f'{where}: no "model_type", and architectures is {classes!r}; '
                "minift reads BERT checkpoints only"
            )
        if not isinstance(classes, list | None) or not all(
            isinstance(c, str) for c in classes or ()
        ):
            raise MiniftError(f"{where}: architectures must be a list of names, got {classes!r}")
        for key, allowed in _REQUIRED_VALUES.items():
            if key in values and values[key] not in allowed:
                raise MiniftError(
                    f"{where}: {key} is {values[key]!r}; minift computes only "
                    f"{key} = {allowed[0]!r} (BERT with absolute positions, encoder only)"
                )
        own = {f.name for f in fields(cls)} - {"labels"}
        known = own | set(_REQUIRED_VALUES) | _HARMLESS | {"id2label"}
        for key in values:
            # Hand-written notes start with an underscore in several published checkpoints.
            if key not in known and not key.startswith("_"):
                raise MiniftError(
                    f"{where}: unknown key {key!r} = {values[key]!r}{nearest(key, known) or '.'} "
                    "If it does not change what the model computes, delete it from the file."
                )
        sizes = {key: values[key] for key in own if key in values}
        return cls(**sizes, labels=_labels(values.get("id2label"), where))

    @classmethod
    def from_json(cls, path: str | Path) -> BertConfig:
        """Read a config.json. Raises MiniftError where it is not JSON or does not fit."""
        path = Path(path)
        try:
            values = json.loads(read_limited(path, LARGEST_JSON))
        except (OSError, ValueError, RecursionError) as error:  # ValueError: encoding, syntax
            raise MiniftError(f"{path}: cannot be read as JSON: {error}") from error
        if not isinstance(values, dict):
            raise MiniftError(f"{path}: expected a JSON object, got {type(values).__name__}")
        return cls.from_dict(values, where=str(path))

    def to_dict(self, architecture: str) -> dict[str, Any]:
        """Return what config.json must say for Hugging Face's class `architecture` to load it."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        labels = values.pop("labels")
        if not labels and architecture.endswith("Classification"):
            labels = ("LABEL_0",)  # one output; transformers assumes two where none is named
        if labels:
            values["id2label"] = {str(index): label for index, label in enumerate(labels)}
            values["label2id"] = {label: index for index, label in enumerate(labels)}
        return {"architectures": [architecture], "model_type": "bert", **values}


def _labels(id2label: Any, where: str) -> tuple[str, ...]:
    """Return class names in index order from the file's {"0": name} table."""
    if not id2label:
        return ()
    try:
        by_index = {int(index): str(name) for index, name in id2label.items()}
    except (AttributeError, ValueError, TypeError) as error:
        raise MiniftError(
            f"{where}: id2label must map indices to names, got {id2label!r}"
        ) from error
    if half := next((name for name in by_index.values() if _SURROGATE.search(name)), None):
        raise MiniftError(f"{where}: id2label: {half!r} has half a character; rename the class")
    if sorted(by_index) != list(range(len(by_index))):
        raise MiniftError(
            f"{where}: id2label must number the classes 0 to {len(by_index) - 1} without a gap, "
            f"got {sorted(by_index)}"
        )
    return tuple(by_index[index] for index in range(len(by_index)))
