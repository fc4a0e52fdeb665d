"""Training rows: minift's loop against a hand-written transformers loop and its `Trainer`.

Both sides train from the same checkpoint on the same batches in the same order, AdamW, clipping,
dropout on. Before that they are compared: logits, loss and every gradient of one batch, and the
mean loss of an epoch without dropout.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from torch import nn

from minift.bert.heads import SequenceClassifier
from minift.runs.fit import fit
from minift.runs.tuned import FineTuned
from minift.speed.precision import compute_in
from minift.training.batches import Item
from minift.training.loop import Recipe, Settings, Trainable, everything
from tests.benchmarks.common import Program, Result, faster, in_turn, same, seconds
from tests.benchmarks.world import (
    BATCH,
    SEEDS,
    Encoded,
    World,
    check_step,
    orders,
    plain_loop,
    quiet_transformers,
    settings,
    without_dropout,
)


def own_loop(
    model: SequenceClassifier,
    items: Sequence[Item],
    epochs: int,
    trainable: Trainable = everything,
    chosen: Settings | None = None,
) -> float:
    """Train as `minift train` does; return the mean loss of the last epoch."""
    chosen = settings(epochs) if chosen is None else chosen
    compute_in(model, chosen.precision)
    tuned = FineTuned(model, None, "classification", model.config.labels)
    recipe = Recipe(trainable=trainable, settings=chosen)
    return fit(tuned, items, recipe, SEEDS).history.epochs[-1].train_loss


def trainer_loop(
    model: nn.Module, encoded: Sequence[Encoded], order: Sequence[Sequence[int]], collate: Callable
) -> tuple[float, float]:
    """Train an epoch with transformers' `Trainer`, in the given order.

    Returns:
        The mean loss, and the seconds of `train()`; building the `Trainer` is not counted.
    """
    transformers = quiet_transformers()
    device = next(model.parameters()).device

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *_):
            return [index for batch in order for index in batch]

    with tempfile.TemporaryDirectory() as scratch:
        options = transformers.TrainingArguments(
            scratch, per_device_train_batch_size=BATCH, num_train_epochs=1, learning_rate=1e-5,
            report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
            use_cpu=device.type == "cpu", dataloader_pin_memory=False,
        )  # fmt: skip
        run = InOrder(model, options, train_dataset=list(encoded), data_collator=collate)
        run.remove_callback(transformers.PrinterCallback)
        began = time.perf_counter()
        loss = run.train().training_loss
        return loss, time.perf_counter() - began


def against_plain(
    world: World,
    name: str,
    work: str,
    goal: float,
    batches: int,
    epochs: int = 1,
    trainable: Trainable = everything,
    note: str = "",
) -> Iterator[Result]:
    """Compare with a plain loop over the same parameters.

    Args:
        world: what to train.
        name, work, goal, note: of the row.
        batches: of 16, in an epoch.
        epochs: of a run.
        trainable: which parameters learn, on both sides.
    """
    count = BATCH * world.size(batches, 2)
    epochs = world.size(epochs, min(epochs, 2))
    names = check_step(world, trainable)
    items, encoded = world.items(count), world.encoded(count)
    order = orders(items, epochs)
    own, reference = world.own(), world.reference()
    check_epoch(world, own, reference, items, encoded, trainable, names)
    programs: list[Program] = [
        lambda: seconds(lambda: own_loop(own, items, epochs, trainable)),
        lambda: seconds(lambda: plain_loop(reference, encoded, order, world.collate, names)),
    ]
    ours, theirs = in_turn(programs, world.rounds)
    yield Result(name, work, goal, note=note, **faster(ours, theirs, count * epochs, "texts"))


def check_epoch(
    world: World,
    own: SequenceClassifier,
    reference: nn.Module,
    items: Sequence[Item],
    encoded: Sequence[Encoded],
    trainable: Trainable,
    names: Sequence[str],
) -> None:
    """Make sure that an epoch without dropout has the same mean loss on both sides."""
    some = items[: 2 * BATCH]
    mine = own_loop(without_dropout(own), some, 1, trainable)
    quiet = without_dropout(reference)
    theirs = plain_loop(quiet, encoded[: 2 * BATCH], orders(some, 1), world.collate, names)
    same("mean loss of an epoch without dropout", mine, theirs, 1e-2)
