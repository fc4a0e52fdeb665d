"""What an encoder is made of, and what each method would train in it (`minift info`).

Claim    Counts are sums over the checkpoint's own tensors, with the head that the checkpoint has,
         not figures from a paper.
Proof    tests/runs/test_describe.py
"""

from dataclasses import replace
from pathlib import Path

from torch import nn

from minift.bert.counts import what_learns
from minift.bert.heads import TokenClassifier
from minift.bert.names import part_of
from minift.checkpoints.hub import resolve
from minift.checkpoints.strict import KINDS, class_of, config_from_json
from minift.checkpoints.weights import load_tokenizer, without_weights
from minift.data.examples import Dataset
from minift.methods.recipes import rates_of, recipe
from minift.runs.tuned import HEADS, head_of

SHOWN_METHODS = ("full", "head", "bitfit", "bitfit:query,intermediate")


def describe(encoder: str | Path) -> str:
    """Describe a checkpoint or a run folder in plain text, and what methods would train in it."""
    folder = resolve(encoder)
    head, rates = class_of(folder, tuple(HEADS)), rates_of(folder)
    config = config_from_json(folder / "config.json", head is not None)
    tokenizer = load_tokenizer(encoder)
    case = "lower-cased" if tokenizer.lowercase else "cased"
    lines = [
        f"{encoder}: BERT with {config.num_hidden_layers} layers, hidden size "
        f"{config.hidden_size}, {config.num_attention_heads} heads, {config.hidden_act}",
        f"folder: {folder}",
        f"vocabulary: {config.vocab_size:,} pieces, {case}; "
        f"at most {tokenizer.max_length} pieces per text",
        f"learning rates: {', '.join(f'{kind} {rate:g}' for kind, rate in rates.items())}",
    ]
    if head is None:
        new = head_of(encoder, Dataset("", "classification", ("a", "b"), ()))
        lines.append(f"head: none; the figures below are for a new one ({new}) with two classes")
    elif config.problem_type == "regression":
        lines.append(f"head: {head.__name__}, which answers with a number")
    else:
        asked = "word" if head is TokenClassifier else "text"
        number = "any number" if config.problem_type == KINDS[1] else "one"
        lines.append(f"head: {head.__name__}, which chooses {number} of these labels per {asked}")
        lines.append(f"labels: {', '.join(config.labels)}")
    if not config.labels:
        config = replace(config, labels=("LABEL_0", "LABEL_1"))
    new_head = next(kind for kind, name in HEADS.items() if name == new) if head is None else head
    model = without_weights(new_head, config)
    rows = what_learns(model, (), division=_part)
    total = rows["all"].elements
    lines += ["", f"{'part':<12}{'parameters':>14}"]
    lines += [f"{part:<12}{row.elements:>14,}" for part, row in rows.items() if part != "all"]
    lines += [f"{'total':<12}{total:>14,}", "", f"{'method':<28}{'trains':>14}{'share':>10}"]
    for method in SHOWN_METHODS:
        trained = what_learns(model, set(recipe(method).trainable(model, 1)))["all"].learning
        lines.append(f"{method:<28}{trained:>14,}{trained / total:>10.3%}")
    return "\n".join(lines)


def _part(name: str, _: nn.Parameter) -> str:
    part = part_of(name)
    return "layers" if isinstance(part, int) else part
