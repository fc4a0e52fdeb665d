"""A config.json becomes a BertConfig, or is refused with the keys that do not fit.

Claim    The file either describes exactly the model that `minift.bert.encoder` computes, or is
         refused, with all keys that say otherwise: nothing is ignored that would change a logit.
Source   Key names as in Hugging Face's `BertConfig`, and those that published files have beside.
Differs  A key that nobody knows is ignored with a warning, as transformers ignores it; it is
         refused where its name speaks of a part of the encoder, or is almost that of a known key.
         Class names are read from `id2label`, in the order of the logits.
Proof    tests/checkpoints/test_strict.py, tests/safety/test_configs.py
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeVar

from torch import nn

from minift.bert.config import ACTIVATIONS, BertConfig
from minift.bert.encoder import Bert
from minift.bert.heads import Classifier
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.limits import read_json
from minift.errors import MiniftError

Head = TypeVar("Head", bound=Classifier)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a character, no file can hold it

_SIZES = {
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
}  # fmt: skip
# Keys that would change what is computed: accepted only with a value that BERT has.
_REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ACTIVATIONS,
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
    "auto_map": ({}, None),  # code of its own
}
# Keys that other libraries write and that do not change a logit.
_HARMLESS = frozenset(
    """
    _attn_implementation architectures attn_implementation bad_words_ids begin_suppress_tokens
    bos_token_id cell chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id
    directionality diversity_penalty do_sample dtype early_stopping emb_size
    encoder_no_repeat_ngram_size eos_token_id eos_token_ids exponential_decay_length_penalty
    finetuning_task forced_bos_token_id forced_eos_token_id gradient_checkpointing id2label label2id
    language length_penalty max_length min_length model_max_length model_type name
    no_repeat_ngram_size num_beam_groups num_beams num_labels num_return_sequences
    output_attentions output_hidden_states output_past output_scores pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type pre_trained
    prefix remove_invalid_values repetition_penalty return_dict return_dict_in_generate
    sbert_ce_default_activation_function sentence_transformers sep_token_id structure
    suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder
    tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript training
    transformers_version type typical_p use_bfloat16 use_cache
    """.split()  # noqa: SIM905
)
# A key that nobody knows may change a logit if its name speaks of what is computed.
_COMPUTES = re.compile(
    "act|adapt|alibi|attention|attn|bias|conv|decod|emb|expert|ffn|feed_forward|gate|head|hidden"
    "|layer|lora|norm|posit|prun|quant|resid|rope|rotary|scal|share|sparse|vocab|window"
)


def config_from_json(path: str | Path, use: type[nn.Module] = Classifier) -> BertConfig:
    """Read a config.json. Raises MiniftError where it is not JSON or does not fit.

    Args:
        use: what is to be built. Faults of the class names matter to a classifier only, and
            whether the decoder is tied to a masked LM only.
    """
    return config_from_dict(read_json(Path(path)), str(path), use)


def config_from_dict(
    values: dict[str, Any], where: str, use: type[nn.Module] = Classifier
) -> BertConfig:
    """Build a config from the content of a config.json, which errors call `where`."""
    classes, own = values.get("architectures"), {f.name for f in fields(BertConfig)} - {"labels"}
    if values.get("model_type", "bert") != "bert":  # the family says it all
        named = short(values["model_type"])
        raise MiniftError(f"{where}: model_type is {named}; minift reads BERT only ('bert')")
    # The oldest files name their class instead, and Google's small BERTs only their sizes: then
    # the names of the tensors must be BERT's.
    if "model_type" not in values and not (
        str(classes).startswith("['Bert") or (not classes and values.keys() >= _SIZES)
    ):
        raise MiniftError(
            f'{where}: no "model_type", and architectures is {classes!r}; '
            'minift reads BERT checkpoints only: if it is one, add "model_type": "bert"'
        )
    if not isinstance(classes, list | None) or not all(isinstance(c, str) for c in classes or ()):
        raise MiniftError(f"{where}: architectures must be a list of names, got {classes!r}")
    required = _REQUIRED_VALUES | ({"tie_word_embeddings": (True, None)} if use is MaskedLM else {})
    faults, ignored, known = [], [], own | required.keys()
    for key, value in values.items():
        if key in required and value not in required[key]:
            expected = " or ".join(repr(one) for one in required[key] if one or one is False)
            faults.append(f"{key} is {short(value)} (expected {expected or 'no such key'})")
        # Hand-written notes start with an underscore in several published checkpoints.
        if key in known | _HARMLESS or key.startswith("_") or value in (None, False, {}, [], ""):
            continue
        close = get_close_matches(key, known, n=1, cutoff=0.8)
        if close or _COMPUTES.search(key):
            hint = f'; did you mean "{close[0]}"?' if close else ""
            faults.append(f"unknown key {key!r} = {short(value)}{hint}")
        else:
            ignored.append(key)
    if faults:
        raise MiniftError(
            f"{where}: {'; '.join(faults)}. minift computes BERT with absolute positions, encoder "
            "only; delete an unknown key if it does not change what the model computes"
        )
    if ignored:
        what = "unknown, and ignored as transformers ignores them"
        warnings.warn(f"{where}: {', '.join(ignored)}: {what}", stacklevel=1)
    sizes = {key: values[key] for key in own if key in values}
    try:
        try:
            return BertConfig(**sizes, labels=_labels(values.get("id2label")))
        except MiniftError:
            if issubclass(use, Classifier):
                raise
            return BertConfig(**sizes)  # nobody asks for its classes
    except MiniftError as error:
        raise MiniftError(f"{where}: {str(error).removeprefix('config: ')}") from error


def class_of(folder: Path, known: Sequence[type[Head]]) -> type[Head] | None:
    """Return which of these heads the config.json in `folder` means by "architectures", if any."""
    values = read_json(folder / "config.json")
    config_from_dict(values, str(folder / "config.json"), Bert)  # refuses what is not a BERT's
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


def _labels(id2label: Any) -> tuple[str, ...]:
    """Return class names in index order from the file's {"0": name} table."""
    if not id2label:
        return ()
    try:
        by_index = {int(index): str(name) for index, name in id2label.items()}
    except (AttributeError, ValueError, TypeError) as error:
        raise MiniftError(f"id2label must map indices to names, got {id2label!r}") from error
    if half := next((name for name in by_index.values() if _SURROGATE.search(name)), None):
        raise MiniftError(f"id2label: {half!r} contains half a character; rename the class")
    if sorted(by_index) != list(range(len(by_index))):
        expected = f"0 to {len(by_index) - 1} without a gap, got {sorted(by_index)}"
        raise MiniftError(f"id2label must number the classes {expected}")
    return tuple(by_index[index] for index in range(len(by_index)))
