"""A config.json becomes a BertConfig, or is refused with the keys that do not fit.

Claim    The file either describes exactly the model that `minift.bert.encoder` computes, or is
         refused, with all keys that say otherwise: nothing is ignored that would change a logit.
Source   Key names as in Hugging Face's `BertConfig`, and those that published files have beside.
Differs  Unknown keys are ignored with a warning (transformers says nothing), unless a name speaks
         of a part of the encoder or is almost a known one. Class names are read from `id2label`,
         in the order of the logits.
Proof    tests/checkpoints/test_strict.py, tests/safety/test_configs.py
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short
from typing import Any, TypeVar

from minift.bert.config import ACTIVATIONS, BertConfig
from minift.bert.heads import Classifier
from minift.checkpoints.limits import read_json
from minift.errors import MiniftError, nearest

Head = TypeVar("Head", bound=Classifier)
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell half a character, no file can hold it

KINDS = ("single_label_classification", "multi_label_classification", "regression")
# Keys that would change what is computed: accepted only with a value that BERT has.
_REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "hidden_act": ACTIVATIONS,
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
    "auto_map": (None,),  # code of its own
    "problem_type": (None, *KINDS),
}
_EXPECTED = {"quantization_config": "none: give the checkpoint that was quantized"}
# Keys that other libraries write and that do not change a logit; hand-written notes begin with _.
_HARMLESS = re.compile(
    "_.*|pooler_.*|return_dict.*|num_(beam.*|labels|return_sequences)|torch_?(dtype|script)|top_[kp]"
    "|.*(_token_ids?|_penalty|_length|ngram_size|suppress_tokens)|output_(attentions|hidden_states"
    "|past|scores)|(id2|2)?label(2id)?|tie_(word_embeddings|encoder_decoder)|use_(bfloat16|cache)"
    "|(attn_implementation|chunk_size_feed_forward|cross_attention_hidden_size|sentence_transformers"
    "|sbert_ce_default_activation_function|architectures|bad_words_ids|directionality|do_sample"
    "|dtype|early_stopping|finetuning_task|gradient_checkpointing|language|model_type|name|prefix"
    "|remove_invalid_values|task_specific_params|temperature|tf_legacy_loss|tokenizer_class"
    "|transformers_version|type|typical_p|cell|emb_size|pre_trained|structure|training)"
)
# A key that nobody knows may change a logit if its name speaks of what is computed.
_COMPUTES = re.compile(
    "act|adapt|alibi|att|bias|conv|decod|emb|expert|ffn|feed_forward|gate|head|hidden|layer|lora"
    "|norm|posit|prun|quant|resid|rope|rotary|scal|share|sparse|vocab|window"
)


def config_from_json(path: str | Path, labelled: bool = True) -> BertConfig:
    """Read a config.json; MiniftError: it is not JSON, or does not fit."""
    return config_from_dict(read_json(Path(path)), str(path), labelled)


def config_from_dict(values: dict[str, Any], where: str, labelled: bool = True) -> BertConfig:
    """Build a config from the content of a config.json, which errors call `where`.

    Without `labelled`, class names that cannot be are as good as none.
    """
    classes, own = values.get("architectures"), {f.name for f in fields(BertConfig)} - {"labels"}
    if (family := values.get("model_type", "bert")) != "bert":
        raise MiniftError(f"{where}: model_type is {short(family)}; minift reads BERT only")
    # The oldest files name their class instead, and Google's small BERTs only their sizes; a
    # RoBERTa that says no more pads with 1.
    sizes = {key: values[key] for key in own if key in values}
    bare = not classes and {"hidden_size", "num_hidden_layers", "intermediate_size"} <= sizes.keys()
    bare = bare and not values.get("pad_token_id")
    if "model_type" not in values and not bare and not str(classes).startswith("['Bert"):
        raise MiniftError(
            f'{where}: no "model_type", and architectures is {classes!r}; minift reads BERT '
            'checkpoints only: if it is one, add "model_type": "bert"'
        )
    if not isinstance(classes, list | None) or not all(isinstance(c, str) for c in classes or ()):
        raise MiniftError(f"{where}: architectures must be a list of names, got {classes!r}")
    faults, ignored, known = [], [], own | _REQUIRED_VALUES.keys() | {"id2label"}
    if not isinstance(pad := values.get("pad_token_id"), int | None):
        faults.append(f"pad_token_id is {short(pad)}, expected a whole number")
    for key, value in values.items():
        if value not in (allowed := _REQUIRED_VALUES.get(key, (value,))):
            expected = _EXPECTED.get(key) or " or ".join(map(str, allowed))
            faults.append(f"{key} is {short(value)}, expected {expected}")
        if key in known or _HARMLESS.fullmatch(key) or value in (None, False, {}, [], ""):
            continue
        close = get_close_matches(key, known, n=1, cutoff=0.8)
        if close or _COMPUTES.search(key):
            faults.append(f"unknown key {key!r} = {short(value)}{nearest(key, close)}")
        else:
            ignored.append(key)
    if faults:
        reads = "minift reads BERT with absolute positions, encoder only"
        if any(fault.startswith("unknown key") for fault in faults):
            reads += "; delete an unknown key that changes no output"
        raise MiniftError(f"{where}: {'; '.join(faults)}. {reads}")
    if ignored:
        names = ", ".join(ignored).encode(errors="replace").decode()  # JSON spells half characters
        warnings.warn(f"{where}: unknown keys are ignored: {names}", stacklevel=1)
    try:
        return BertConfig(**sizes, labels=_labels(values.get("id2label")))
    except MiniftError as error:
        if not labelled and values.get("id2label"):
            return config_from_dict({**values, "id2label": None}, where)
        raise MiniftError(f"{where}: {str(error).removeprefix('config: ')}") from error


def class_of(folder: Path, known: Sequence[type[Head]]) -> type[Head] | None:
    """Return which of these heads the config.json in `folder` means by "architectures", if any."""
    values = read_json(folder / "config.json")
    config_from_dict(values, str(folder / "config.json"), False)  # refuses what is not a BERT's
    named = values.get("architectures") or ()
    return next((head for head in known if head.hugging_face_class in named), None)


def config_to_dict(config: BertConfig, architecture: str) -> dict[str, Any]:
    """Return what config.json must say for Hugging Face's class `architecture` to load it."""
    values = asdict(config)
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
        raise MiniftError(f"id2label must number the classes from 0, got {sorted(by_index)}")
    return tuple(by_index[index] for index in range(len(by_index)))
