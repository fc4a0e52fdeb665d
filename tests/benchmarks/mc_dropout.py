"""Rows: scoring a pool with MC dropout, ten passes: against transformers alone, and against baal.

`mc_plain` is the shortest loop: a model in training mode, asked ten times about each batch.

Same checkpoint, same sentences, same number of passes. baal wraps transformers' own model: every
pass goes through the whole encoder, whatever samples, and the dropout of attention probabilities
does not sample, since baal replaces modules and attention has none: that saves it work. Here all
sites sample, and what lies below the lowest of them runs once. `mc_all` is baal as its users
find it; in `mc_all_both` its attention is made to sample, too, so that both do the same work.
Needs baal: pip install baal torchmetrics lightning-utilities structlog
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence

import torch

from minift.active.mc_dropout import Layers, mc_logits
from minift.speed.prefix import PrefixCache
from tests.benchmarks.common import NotTheSame, Program, Result, faster, in_turn, same, seconds
from tests.benchmarks.world import BATCH, Encoded, World, quiet_transformers

KEPT = "mc_head_kept"
BOTH = "mc_all_both"
# name, work, what samples in both, goal
ROWS: tuple[tuple[str, str, Layers, float | None], ...] = (
    ("mc_all", "MC dropout, all sites, T = 10, against baal", "all", 3.0),
    (BOTH, "the same, where attention samples in baal, too", "all", 3.0),
    ("mc_last", "MC dropout in the last layer and the head, T = 10", 1, 10.0),
    ("mc_head", "MC dropout in the head, T = 10", "head", 40.0),
    (KEPT, "the same, states kept from the round before", "head", None),
)


def rows(world: World) -> Iterator[Result]:
    """Compare, then time; say so where baal is not there."""
    count, passes = world.size(200, 12), world.size(10, 3)
    items, own, reference = world.items(count), world.own(), world.reference()
    encoded = [
        {name: ids for name, ids in row.items() if name != "labels"} for row in world.encoded(count)
    ]
    with torch.inference_mode():
        plain = reference(**world.collate(encoded[:8])).logits
    same(
        "logits without sampling",
        torch.cat([x[0] for x in mc_logits(own, items[:8], 1, "none")]),
        plain,
    )
    work = "MC dropout, all sites, T = 10, against a plain loop"
    programs: list[Program] = [
        lambda: seconds(lambda: mc_logits(own, items, passes)),
        lambda: seconds(lambda: asked_again(reference, encoded, passes, world.collate)),
    ]
    mine, theirs = in_turn(programs, world.rounds)
    yield Result("mc_plain", work, None, **faster(mine, theirs, count, "texts"))
    reference.eval()
    try:
        import structlog
        from baal.bayesian.dropout import patch_module
        from baal.transformers_trainer_wrapper import BaalTransformersTrainer
    except ImportError:
        for name, work, _, goal in ROWS:
            yield Result(name, work, goal, note="not measured: baal is not installed")
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    transformers = quiet_transformers()

    def patched(layers: Layers) -> torch.nn.Module:
        """Let baal replace the dropouts that are to sample."""
        model = copy.deepcopy(reference)
        if layers == "all":
            return patch_module(model)
        if isinstance(layers, int):
            for layer in model.bert.encoder.layer[-layers:]:
                patch_module(layer)
        holder = torch.nn.ModuleDict({"dropout": model.dropout})
        model.dropout = patch_module(holder)["dropout"]
        return model

    attending = attention_sampling(copy.deepcopy(reference))
    attending.eval()  # as baal does before each prediction
    with torch.inference_mode():
        pair = [attending(**world.collate(encoded[:8])).logits for _ in range(2)]
    if torch.equal(*pair):
        raise NotTheSame(f"{BOTH}: transformers' attention does not sample")

    with tempfile.TemporaryDirectory() as scratch:
        options = transformers.TrainingArguments(
            scratch, per_device_eval_batch_size=BATCH, report_to=[], disable_tqdm=True,
            use_cpu=world.device == "cpu", dataloader_pin_memory=False,
        )  # fmt: skip
        for name, work, layers, goal in ROWS:
            model = patched(layers)
            model = attention_sampling(model) if name == BOTH else model
            trainer = BaalTransformersTrainer(model, options, data_collator=world.collate)
            drawn = trainer.predict_on_dataset(encoded[:4], 3)
            if drawn.shape[-1] != 3 or drawn.std(-1).min() == 0:
                raise NotTheSame(f"{name}: baal's passes do not differ; it does not sample")

            # As in `active simulate`: a frozen encoder's states serve all rounds.
            cache = PrefixCache(own, len(own.bert.layers), items) if name == KEPT else None

            def ours(layers: Layers = layers, cache: PrefixCache | None = cache) -> float:
                return seconds(lambda: mc_logits(own, items, passes, layers, cache=cache))

            def baal(trainer: BaalTransformersTrainer = trainer) -> float:
                return seconds(lambda: trainer.predict_on_dataset(encoded, passes))

            mine, theirs = in_turn([ours, baal], world.rounds)
            yield Result(name, work, goal, **faster(mine, theirs, count, "texts"))


def asked_again(
    model: torch.nn.Module, encoded: Sequence[Encoded], passes: int, collate: Callable
) -> torch.Tensor:
    """Leave dropout on and ask about each batch again and again: (texts, passes, labels)."""
    model.train()
    loader = torch.utils.data.DataLoader(encoded, batch_size=BATCH, collate_fn=collate)
    with torch.inference_mode():
        drawn = [
            torch.stack([model(**batch).logits for _ in range(passes)], 1).cpu() for batch in loader
        ]
    return torch.cat(drawn)


def attention_sampling(model: torch.nn.Module) -> torch.nn.Module:
    """Let transformers' attention drop probabilities out, whoever calls `eval()`."""
    for module in model.modules():
        if type(module).__name__ == "BertSelfAttention":
            module.train()
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign]
    return model
