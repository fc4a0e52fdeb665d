"""Folders of sentence-transformers: what an encoder says of its own vectors, and one of ours.

Claim    An encoder that states its pooling in modules.json is read by it or refused. A model with
         the mean head is written as Transformer, Pooling and Dense: `encode` of
         sentence-transformers gives its logits, `AutoModel` loads the folder of its encoder, and
         no class of transformers finds weights beside config.json, to add a random head to them.
Source   File layout of sentence-transformers, versions 2 to 6.
Differs  A head for pairs reads two texts, so it is not among the modules: `encode` gives the
         vector of one text.
Proof    tests/checkpoints/test_modules.py
"""

import json
from pathlib import Path
from typing import Any

from minift.checkpoints.limits import read_json, read_limited
from minift.errors import MiniftError

ENCODER, POOLING, DENSE = "0_Transformer", "1_Pooling", "2_Dense"
_OLD_KEYS = {  # of 1_Pooling/config.json, before there was "pooling_mode"
    f"pooling_mode_{key}": mode
    for key, mode in {
        "cls_token": "cls", "mean_tokens": "mean", "max_tokens": "max",
        "mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "weightedmean_tokens": "weightedmean", "lasttoken": "lasttoken",
    }.items()
}  # fmt: skip


def encoder_folder(folder: Path) -> Path:
    """Return where the encoder's weights and tokenizer lie: there, or in 0_Transformer."""
    at_top = (folder / "model.safetensors").exists()
    return folder / ENCODER if (folder / ENCODER).is_dir() and not at_top else folder


def stated_pooling(folder: Path) -> str | None:
    """Return how a checkpoint's makers make a text's vector, "mean" or "cls"; None if unstated.

    A MiniftError says if it is made in another way, or the files cannot be read.
    """
    if not (file := folder / "modules.json").is_file():
        return None
    try:
        modules = json.loads(read_limited(file, 2**16))
        paths = [module["path"] for module in modules if module["type"].endswith(".Pooling")]
        if len(paths) != 1 or Path(paths[0]).name != paths[0]:
            raise ValueError(f"expected one module of pooling in a folder here, got {paths}")
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise MiniftError(f"{file}: cannot be read as a list of modules: {error!r}") from error
    values = read_json(folder / paths[0] / "config.json")
    mode = values.get("pooling_mode") or [m for key, m in _OLD_KEYS.items() if values.get(key)]
    modes = mode if isinstance(mode, list) else [mode]
    if modes not in (["mean"], ["cls"]):
        raise MiniftError(
            f"{folder / paths[0] / 'config.json'}: the vector of a text is made by "
            f"{' and '.join(map(str, modes)) or 'nothing'}, which minift cannot do; it reads the "
            "mean of the tokens (--head mean) or [CLS] (--head linear): choose one"
        )
    return str(modes[0])


def description(width: int, dense: tuple[int, int] | None, length: int) -> dict[str, Any]:
    """Return the files {path: content} that make a folder one of sentence-transformers.

    Args:
        width, length: of the encoder, and the most pieces that are read.
        dense: inputs and outputs of a linear layer on the mean; None: the encoder lies at the top.
    """
    inner = f"{ENCODER}/" if dense else ""
    kinds = {"Transformer": inner.rstrip("/"), "Pooling": POOLING}
    files: dict[str, Any] = {
        f"{inner}sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
        f"{POOLING}/config.json": {
            "word_embedding_dimension": width,
            **{key: mode == "mean" for key, mode in _OLD_KEYS.items()},
        },
    }
    if dense:
        identity = "torch.nn.modules.linear.Identity"
        sizes = {"in_features": dense[0], "out_features": dense[1], "bias": True}
        files[f"{DENSE}/config.json"] = {**sizes, "activation_function": identity}
        if dense[0] == width:  # else it reads a pair
            kinds["Dense"] = DENSE
    files["modules.json"] = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (kind, path) in enumerate(kinds.items())
    ]
    return files
