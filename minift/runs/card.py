"""The model card of a run folder: README.md, whose head the Hugging Face hub reads.

Claim    Every figure in it is of the run itself; nothing of this machine is in it.
Source   95 % intervals: as in data/intervals.py; of the entity F1 = 2 J / (1 + J), J being the
         share of correct ones among all that are gold or predicted, as if each stood alone;
         of correlations Bonett & Wright (2000), https://doi.org/10.1007/BF02294183.
Proof    tests/runs/test_card.py
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minift.checkpoints.hub import SHORT_NAMES, Download
from minift.data.intervals import Interval, Z, wilson
from minift.runs.decide import Decision, told

LIBRARIES = {"linear": "transformers", "mean": "sentence-transformers"}  # that read such a head
LIMIT = "An interval is of other examples drawn like these, not of other seeds or other texts"


def card(run: Mapping[str, Any], result: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Return the card of what run.json and result.json say."""
    head: dict[str, Any] = {"library_name": LIBRARIES.get(run["head"], "minift")}
    kind = "token" if run["task"] == "tagging" else "text"
    head |= {"tags": ["minift"], "pipeline_tag": f"{kind}-classification"}
    base, here = SHORT_NAMES.get(run["encoder"], run["encoder"]), Path(run["encoder"]).exists()
    base = base.repo_id if isinstance(base, Download) else base
    head |= {"base_model": base} if isinstance(base, str) and not here else {}
    made = [f"{result['method']}, {run['head']} head", result["stopped"]]
    made += [result["kept"]] * bool(result["epochs"])
    lines = ["---", *(f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in head.items()), "---"]
    lines += [f"# {result['method']} on {result['data']}", "", f"- task: {run['task']}"]
    lines += [f"- labels: {', '.join(labels)}"] * bool(labels)
    lines += [f"- data: {result['labels']} training examples of {result['data']}"]
    lines += [f"- encoder: {Path(run['encoder']).name if here else run['encoder']}"]
    lines += [f"- method: {'; '.join(made)}"]
    lines += [f"- seeds: {', '.join(f'{name} {seed}' for name, seed in run['seeds'].items())}"]
    lines += [f"- made with: minift {run['minift_version']}", "", "## Scores", ""]
    rows = list[tuple[str, str, float, Sequence[float] | None]]()  # where, what, score, interval
    if found := result.get("estimate"):
        where = f"{found['folds']} folds of the training examples"
        plain = "the likeliest label" if run["task"] == "classification" else "labels from .5 on"
        chose = result.get("decision", {"abstain_below": 0, "thresholds": {}})
        where += f", answering {plain}" if chose["abstain_below"] or chose["thresholds"] else ""
        rows.append((where, found["metric"], found["mean"], found["interval"]))
    for split in (split for split in ("dev", "test") if result[split] is not None):
        n, values = result[f"{split}_examples"], {result["metric"]: result[split]}
        if run["task"] == "classification":
            values["accuracy"] = result[f"{split}_scores"]["accuracy"]
            always = f"{result['metric']} of always the most frequent label"
            values[always] = result[f"{split}_majority"]
        for name, value in values.items():
            known = interval(name, value, n, result.get(f"{split}_entities"))
            of = result[f"{split}_scores"].get("scores_are_of", f"{n} examples")
            rows.append((f"{split}, {of}", name, value, known))
    for where, name, value, ends in rows:
        sure = f" (95% interval {ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
        lines.append(f"- {where}: {name} {value:.3f}{sure}")
    if chosen := result.get("decision"):
        lines += [f"- {line}" for line in told(Decision(**chosen)).splitlines()]
    flatters = "Its weights were chosen on dev, which flatters the score there"
    limits = [LIMIT if rows else "No labelled examples were held out: its quality is not known"]
    limits += [flatters] * (run["settings"]["keep"] == "best") + result["notes"]
    return "\n".join([*lines, "", "## Limits", "", *(f"- {limit}" for limit in limits)]) + "\n"


def interval(
    metric: str, score: float, n: int, entities: Mapping[str, Any] | None = None
) -> Interval | None:
    """Return the interval of a score on n examples, of entities by their counts; None: unknown."""
    if metric == "pearson_spearman" and n > 3 and abs(score) < 1:
        half = Z * math.sqrt((1 + score**2 / 2) / (n - 3))
        return math.tanh(math.atanh(score) - half), math.tanh(math.atanh(score) + half)
    if entities:
        counts = entities["conlleval"]["micro"]
        either = counts["support"] + counts["predicted"] - counts["correct"]
        low, high = wilson(counts["correct"], either) if either else (0.0, 1.0)
        return 2 * low / (1 + low), 2 * high / (1 + high)
    return wilson(score * n, n) if metric == "accuracy" else None
