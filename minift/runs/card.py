"""The model card of a run folder: README.md, whose head the Hugging Face hub reads.

Claim    Every figure in it is of the run itself; nothing of this machine is in it. An interval is
         of other examples drawn in the same way, at 95 %.
Source   Wilson (1927) for accuracy, and for the entity F1, which is 2 J / (1 + J) where J is the
         share of correct ones among all that are gold or predicted, as if each stood alone.
         Bonett & Wright (2000), https://doi.org/10.1007/BF02294183, for correlations.
Proof    tests/runs/test_card.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minift.checkpoints.hub import SHORT_NAMES, Download

Z = 1.959964  # standard deviations that hold 95 %


def card(run: Mapping[str, Any], result: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Return the card of what run.json and result.json say."""
    encoder, kept = run["encoder"], f"; {result['kept']}" * bool(result["epochs"])
    source = None if Path(encoder).exists() else SHORT_NAMES.get(encoder, encoder)
    base = source.repo_id if isinstance(source, Download) else source
    library = {"linear": "transformers", "mean": "sentence-transformers"}
    tagging = run["task"] == "tagging"
    head = {
        "library_name": library.get(run["head"], "minift"),
        "pipeline_tag": "token-classification" if tagging else "text-classification",
        **({"base_model": base} if isinstance(base, str) else {}),
        "tags": ["minift"],
    }
    seeds = ", ".join(f"{name} {seed}" for name, seed in run["seeds"].items())
    lines = ["---", *(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in head.items()), "---"]
    lines += [f"# {result['method']} on {result['data']}", "", f"- task: {run['task']}"]
    lines += [f"- labels: {', '.join(labels)}"] if labels else []
    lines += [
        f"- data: {result['labels']} training examples of {result['data']}",
        f"- encoder: {Path(encoder).name if Path(encoder).exists() else encoder}",
        f"- method: {result['method']}, {run['head']} head; {result['stopped']}{kept}",
        f"- seeds: {seeds}", f"- made with: minift {run['minift_version']}", "", "## Scores", "",
    ]  # fmt: skip
    scored = [split for split in ("dev", "test") if result[split] is not None]
    for split in scored:
        names = dict.fromkeys([result["metric"], *(["accuracy"] if labels and not tagging else [])])
        for name in names:
            scores, n = result[f"{split}_scores"], result[f"{split}_examples"]
            value = result[split] if name == result["metric"] else scores[name]
            ends = interval(name, value, n, result.get(f"{split}_entities"))
            known = f" (95% interval {ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
            lines.append(f"- {split}, {n} examples: {name} {value:.3f}{known}")
        if (majority := result.get(f"{split}_majority")) is not None:
            lines.append(f"- {split}, always the most frequent label: {majority:.3f}")
    limits = [
        "An interval is of other examples drawn like these, not of other seeds or other texts"
    ]
    limits = (
        limits if scored else ["No labelled examples were held out: how good it is is not known"]
    )
    limits += ["Its weights were chosen on dev, which flatters the score there"] * (
        run["settings"]["keep"] == "best"
    )
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in [*limits, *result["notes"]])]
    return "\n".join(lines) + "\n"


def interval(
    metric: str, score: float, n: int, entities: Mapping[str, Any] | None = None
) -> tuple[float, float] | None:
    """Return the interval of a score on n examples, of entities by their counts; None: unknown."""
    if metric == "pearson_spearman" and n > 3 and abs(score) < 1:
        half = Z * math.sqrt((1 + score**2 / 2) / (n - 3))
        return math.tanh(math.atanh(score) - half), math.tanh(math.atanh(score) + half)
    if entities:
        counts = entities["conlleval"]["micro"]
        n = counts["support"] + counts["predicted"] - counts["correct"]
        low, high = wilson(counts["correct"], n)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    return wilson(score * n, n) if metric == "accuracy" else None


def wilson(hits: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    middle, spread = hits + Z**2 / 2, Z * math.sqrt(hits * (n - hits) / max(n, 1) + Z**2 / 4)
    return (middle - spread) / (n + Z**2), (middle + spread) / (n + Z**2)
