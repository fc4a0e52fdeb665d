"""A config.json becomes a BertConfig, or is refused with the key that does not fit.

Claim    The file either describes exactly the model that `minift.bert.encoder` computes, or is
         refused: nothing is silently ignored that would change a logit.
Source   Key names as in Hugging Face's `BertConfig`.
Differs  An unknown key is an error; class names are read from `id2label`, in the order of the
         logits.
Proof    tests/checkpoints/test_strict.py, tests/safety/test_configs.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from minift.bert.config import BertConfig
from minift.bert.heads import Classifier
from minift.checkpoints.limits import read_json
from minift.errors import MiniftError, nearest

Head = TypeVar("Head", bound=Classifier)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a character, no file can hold it

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


def config_from_json(path: str | Path) -> BertConfig:
    """Read a config.json. Raises MiniftError where it is not JSON or does not fit."""
    return config_from_dict(read_json(Path(path)), where=str(path))


def config_from_dict(values: dict[str, Any], where: str) -> BertConfig:
    """Build a config from the content of a config.json, which errors call `where`."""
    # The one key whose absence means something else than BERT's default; the oldest files
    # lack it and name their class instead.
    classes = values.get("architectures")
    if "model_type" not in values and not str(classes).startswith("['Bert"):
        raise MiniftError(
            f'{where}: no "model_type", and architectures is {classes!r}; '
            "minift reads BERT checkpoints only"
        )
    if not isinstance(classes, list | None) or not all(isinstance(c, str) for c in classes or ()):
        raise MiniftError(f"{where}: architectures must be a list of names, got {classes!r}")
    for key, allowed in _REQUIRED_VALUES.items():
        if key in values and values[key] not in allowed:
            raise MiniftError(
                f"{where}: {key} is {values[key]!r}; minift computes only "
                f"{key} = {allowed[0]!r} (BERT with absolute positions, encoder only)"
            )
    own = {f.name for f in fields(BertConfig)} - {"labels"}
    known = own | set(_REQUIRED_VALUES) | _HARMLESS | {"id2label"}
    for key in values:
        # Hand-written notes start with an underscore in several published checkpoints.
        if key not in known and not key.startswith("_"):
            raise MiniftError(
                f"{where}: unknown key {key!r} = {values[key]!r}{nearest(key, known) or '.'} "
                "If it does not change what the model computes, delete it from the file."
            )
    sizes = {key: values[key] for key in own if key in values}
    labels = _labels(values.get("id2label"), where)
    try:
        return BertConfig(**sizes, labels=labels)
    except MiniftError as error:
        raise MiniftError(f"{where}: {str(error).removeprefix('config: ')}") from error


def class_of(folder: Path, known: Sequence[type[Head]]) -> type[Head] | None:
    """Return which of these heads the config.json in `folder` means by "architectures", if any."""
    values = read_json(folder / "config.json")
    config_from_dict(values, str(folder / "config.json"))  # refuses what is not a BERT's
    named = values.get("architectures") or ()
    return next((head for head in known if head.hugging_face_class in named), None)


def config_to_dict(config: BertConfig, architecture: str) -> dict[str, Any]:
    """Return what config.json must say for Hugging Face's class `architecture` to load it."""
    values = {f.name: getattr(config, f.name) for f in fields(config)}
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
    where = f"{where}: id2label"
    try:
        by_index = {int(index): str(name) for index, name in id2label.items()}
    except (AttributeError, ValueError, TypeError) as error:
        raise MiniftError(f"{where} must map indices to names, got {id2label!r}") from error
    if half := next((name for name in by_index.values() if _SURROGATE.search(name)), None):
        raise MiniftError(f"{where}: {half!r} contains half a character; rename the class")
    if sorted(by_index) != list(range(len(by_index))):
        expected = f"0 to {len(by_index) - 1} without a gap, got {sorted(by_index)}"
        raise MiniftError(f"{where} must number the classes {expected}")
    return tuple(by_index[index] for index in range(len(by_index)))
