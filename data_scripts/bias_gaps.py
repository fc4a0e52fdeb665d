"""Say how much more often a method calls a harmless text toxic where an identity is named.

    python data_scripts/bias_gaps.py --labels 240 --epochs 5 --seeds 3 \\
        full occlusion:identity,10 adversary:identity,0.1

One line per method and seed: accuracy on the test part of `identity`, the share of false positives
among its 100 harmless texts with an identity, and how much that is above the share among the 100
without, with a 95 % interval. The encoder is `mini`.

Proof    tests/data_scripts/test_bias_gaps.py
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from minift.data.examples import gold_classes
from minift.data.metrics import group_gaps
from minift.data.named import SETS, load_dataset
from minift.methods.recipes import recipe
from minift.runs.train import train


def measure(method: str, seed: int, labels: int, epochs: int, encoder: str = "mini") -> str:
    """Train once, and return the line."""
    dataset, chosen = load_dataset("identity"), recipe(method, encoder)
    settings = replace(chosen.settings, epochs=epochs, min_steps=0)
    tuned, _ = train(dataset, encoder, chosen, seeds=seed, labels=labels, settings=settings)
    found, gold = tuned.evaluate(dataset.test), gold_classes(dataset.test)
    lines = (SETS / "identity_test.jsonl").read_text(encoding="utf-8").splitlines()
    groups = [json.loads(line)["attribute"] for line in lines]
    gap = group_gaps(gold, found.predicted, groups, "toxic")["identity"]
    return (
        f"{method} seed {seed}: accuracy {found.scores['accuracy']:.3f}, called toxic with an "
        f"identity {gap.rate:.3f}, gap {gap.gap:+.3f} ({gap.interval[0]:+.3f} to "
        f"{gap.interval[1]:+.3f})"
    )


def main() -> None:
    """Measure each method with each seed."""
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("methods", nargs="+")
    for name, usual in (("labels", 240), ("epochs", 5), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    for seed in range(asked.seeds):
        for method in asked.methods:
            print(measure(method, seed, asked.labels, asked.epochs), flush=True)


if __name__ == "__main__":
    main()
