"""Scoring a pool with MC dropout against baal, alternating in one process.

    python -m tests.benchmarks.mc_dropout [--pairs 3] [--texts 200] [--passes 10]

Same checkpoint (MiniLM), same SST-2 sentences, same number of passes. baal wraps transformers'
own model: every pass goes through the whole encoder, whatever samples, and the dropout of
attention probabilities does not sample, which saves it work. Here all sites sample, and what lies
below the lowest of them runs once. Needs MINIFT_DATA (SST-2), the MiniLM checkpoint
(minift info minilm), and baal: pip install baal torchmetrics lightning-utilities structlog
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
import tempfile

import torch
import transformers

from minift.active.mc_dropout import Layers, mc_logits
from minift.bert.heads import SequenceClassifier
from minift.bert.hub import resolve
from minift.bert.weights import load_model, load_tokenizer
from minift.data.batches import make_items
from tests.benchmarks.common import alternate, compare, machine, sentences, timed

LABELS = ("negative", "positive")
# name, what samples in both, goal
ROWS: tuple[tuple[str, Layers, float], ...] = (
    ("MC dropout, all sites", "all", 3.0),
    ("MC dropout in the last layer and the head", 1, 10.0),
    ("MC dropout in the head", "head", 40.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--passes", type=int, default=10)
    arguments = parser.parse_args()
    try:
        import structlog
        from baal.bayesian.dropout import patch_module
        from baal.transformers_trainer_wrapper import BaalTransformersTrainer
    except ImportError as error:
        sys.exit(f"{error}; pip install baal torchmetrics lightning-utilities structlog")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)

    folder = resolve("minilm")
    examples = sentences(arguments.texts)
    items = make_items(examples, load_tokenizer(folder), "classification", LABELS)
    own, _ = load_model(SequenceClassifier, folder, LABELS)

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    encoded = [dict(tokenizer(example.text)) for example in examples]
    collate = transformers.DataCollatorWithPadding(tokenizer)

    def patched(layers: Layers) -> torch.nn.Module:
        """Let baal replace the dropouts that are to sample."""
        model = copy.deepcopy(reference)
        if layers == "all":
            return patch_module(model)
        if layers != "head":
            for layer in model.bert.encoder.layer[-layers:]:
                patch_module(layer)
        holder = torch.nn.ModuleDict({"dropout": model.dropout})
        model.dropout = patch_module(holder)["dropout"]
        return model

    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        options = transformers.TrainingArguments(
            scratch, per_device_eval_batch_size=16, report_to=[], disable_tqdm=True, use_cpu=True
        )
        for name, layers, goal in ROWS:
            trainer = BaalTransformersTrainer(patched(layers), options, data_collator=collate)

            def ours(layers: Layers = layers) -> float:
                return timed(lambda: len(mc_logits(own, items, arguments.passes, layers)))

            def baal(trainer: BaalTransformersTrainer = trainer) -> float:
                return timed(
                    lambda: (
                        len(trainer.predict_on_dataset(encoded, arguments.passes)) and len(items)
                    )
                )

            check(trainer.predict_on_dataset(encoded[:4], 3), name)
            mine, theirs = alternate(ours, baal, arguments.pairs)
            print(compare(name, mine, theirs, goal).line(), end="")
            middle = arguments.pairs // 2
            print(f"   {sorted(mine)[middle]:.1f} / {sorted(theirs)[middle]:.1f} texts a second")


def check(predicted, name: str) -> None:
    """Make sure that baal does sample: its passes (last axis) must differ."""
    if predicted.shape[-1] != 3 or predicted.std(-1).min() == 0:
        sys.exit(f"{name}: baal's passes do not differ; its model is not patched as intended")


if __name__ == "__main__":
    main()
