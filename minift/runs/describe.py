"""What an encoder is made of, and what each method would train in it (`minift info`).

Claim    Counts are sums over the checkpoint's own tensors, not figures from a paper.
Proof    tests/test_describe.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import nn

from minift.bert.counts import what_learns
from minift.bert.heads import SequenceClassifier
from minift.bert.names import part_of
from minift.checkpoints.hub import resolve
from minift.checkpoints.strict import config_from_json
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import without_weights
from minift.methods.recipes import recipe

SHOWN_METHODS = ("full", "head", "bitfit", "bitfit:query,intermediate")


def describe(encoder: str | Path, methods: Iterable[str] = SHOWN_METHODS) -> str:
    """Describe a checkpoint in plain text.

    Args:
        encoder: anything `load_encoder` takes, or a run folder.
        methods: methods whose trainable parameters are counted (with a two-class head where
            the checkpoint has none).
    """
    directory = resolve(encoder)
    config = config_from_json(directory / "config.json")
    tokenizer = Tokenizer.from_directory(directory)
    model = without_weights(SequenceClassifier, config)
    if not config.labels:
        model.classifier = nn.Linear(config.hidden_size, 2)
    rows = what_learns(model, (), division=_division)
    total = rows["all"].elements
    case = "lower-cased" if tokenizer.lowercase else "cased"
    lines = [
        f"{encoder}: BERT with {config.num_hidden_layers} layers, hidden size "
        f"{config.hidden_size}, {config.num_attention_heads} heads, {config.hidden_act}",
        f"folder: {directory}",
        f"vocabulary: {config.vocab_size:,} pieces, {case}; "
        f"at most {config.max_position_embeddings} pieces a text",
    ]
    if config.labels:
        lines.append(f"labels: {', '.join(config.labels)}")
    lines += ["", f"{'part':<12}{'parameters':>14}"]
    lines += [f"{part:<12}{row.elements:>14,}" for part, row in rows.items() if part != "all"]
    lines += [f"{'total':<12}{total:>14,}", "", f"{'method':<28}{'trains':>14}{'share':>10}"]
    for method in methods:
        names = list(recipe(method).trainable(model, 1))
        trained = what_learns(model, names)["all"].learning
        lines.append(f"{method:<28}{trained:>14,}{trained / total:>10.3%}")
    if (result := directory / "result.json").is_file():
        lines += ["", "result.json:", *_shown(json.loads(result.read_text(encoding="utf-8")))]
    return "\n".join(lines)


def _division(name: str, parameter: nn.Parameter) -> str:
    part = part_of(name)
    return "layers" if isinstance(part, int) else part


def _shown(result: dict[str, Any]) -> list[str]:
    keys = ("data", "method", "seed", "labels", "metric", "dev", "test", "seconds")
    return [f"  {key}: {result[key]}" for key in keys if key in result]
