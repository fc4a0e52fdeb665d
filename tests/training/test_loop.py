"""The loop is plain fine-tuning, and each promise it makes holds.

claim                                                        oracle
50 steps give the same weights as transformers + AdamW       transformers padded, torch.optim.AdamW
accumulated steps equal whole ones, weighted by targets      the whole batch
the loss of a step is the mean over labelled words           torch's own mean cross-entropy
regression learns from squared errors                        arithmetic by hand
what does not train does not move, decay and momentum on     bit equality
biases and LayerNorm do not decay                            groups by a list written here
best weights are the best epoch's; without a score the last  the scores the test hands out
the five streams are separate, and five sequences            the same draws under another seed
the loss that is told is the mean over the epoch's targets   a loop over words, step by step
each value is judged, and each default is as written         the error words; a table
an objective is told each step                               the numbers; a loss that is halved
what does not learn in an epoch keeps weights and moments    bit equality, decay and momentum on
a training continues from its state to the same bits         the training that went through
dropout rests below what learns in this epoch                the mode of each module
"""

from __future__ import annotations

import copy
import math
import re
from dataclasses import asdict, astuple, replace
from itertools import pairwise

import pytest
import torch
import transformers
from torch.nn import functional as F

from minift.bert.dropout import Dropout, dropout_mask
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.names import part_of
from minift.errors import MiniftError
from minift.methods.adaptive import Adaptive
from minift.training.batches import UNLABELLED, Item, make_batch
from minift.training.loop import (
    EPOCHS,
    Recipe,
    Seeds,
    Settings,
    Training,
    adamw,
    cross_entropy,
    everything,
    fine_tune,
    select,
    squared_error,
)
from minift.training.schedules import Linear
from minift.training.trapezoids import Constant
from tests.bert.reference import copy_weights, hf_config, own_config, randomise


def make_items(count: int, seed: int = 0, labels: int = 3) -> list[Item]:
    generator = torch.Generator().manual_seed(seed)
    items = []
    for number in range(count):
        length = int(torch.randint(2, 14, (1,), generator=generator))
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        target = int(torch.randint(labels, (1,), generator=generator))
        items.append(Item(number, ids, [0] * length, [0], [target]))
    return items


def model(seed: int = 0, dropout: float = 0.0) -> SequenceClassifier:
    own = SequenceClassifier(
        own_config(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    )
    return randomise(own, seed, std=0.2).double()


def backward(own, items, accumulate: int = 1, trainable=everything) -> tuple[float, int]:
    """The gradient of one step; the sum of the losses, and the number of targets."""
    recipe = Recipe(trainable=trainable, settings=Settings(accumulate=accumulate))
    return Training(own, items, recipe, Seeds.all(0)).backward(items)


def weights(own: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in own.named_parameters()}


def test_fifty_steps_equal_transformers_with_torch_adamw_to_1e_9():
    reference = transformers.BertForSequenceClassification(hf_config(3))
    randomise(reference, 0, std=0.2).double()
    own = copy_weights(reference, SequenceClassifier(own_config(3)))
    items = make_items(80)
    settings = Settings(epochs=10, batch_size=16, learning_rate=1e-3, clip=1.0)

    # The reference: padded batches in the same order, the authors' usual parameter groups.
    decay = [p for n, p in reference.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    plain = [p for n, p in reference.named_parameters() if "bias" in n or "LayerNorm" in n]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=1e-3,
        fused=False,
        foreach=False,
    )
    rates = transformers.get_linear_schedule_with_warmup(optimizer, 5, 50)
    order = torch.Generator().manual_seed(7)
    reference.train()  # all dropout probabilities are 0
    for _ in range(10):
        shuffled = torch.randperm(80, generator=order).tolist()
        for start in range(0, 80, 16):
            batch = [items[i] for i in shuffled[start : start + 16]]
            longest = max(len(item.input_ids) for item in batch)
            ids = torch.tensor([i.input_ids + [0] * (longest - len(i.input_ids)) for i in batch])
            loss = F.cross_entropy(
                reference(input_ids=ids, attention_mask=(ids > 0).long()).logits,
                torch.tensor([i.targets[0] for i in batch]),
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reference.parameters(), 1.0)
            optimizer.step()
            rates.step()

    seeds = Seeds(subset=0, head=0, order=7, dropout=0, masks=0)
    history = fine_tune(
        own, items, Recipe(schedule=lambda *_: Linear(0.1), settings=settings), seeds
    )
    assert history.epochs[-1].step == 50
    expected = weights(copy_weights(reference, SequenceClassifier(own_config(3))))
    start = weights(
        copy_weights(randomise(reference, 0, std=0.2), SequenceClassifier(own_config(3)))
    )
    for name, value in weights(own).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-9)
        if "key.bias" not in name:  # which never learns: softmax ignores it
            assert (value - start[name]).abs().max() > 1e-4, f"{name} was never trained"


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_gradient_accumulated_over_parts_equals_that_of_the_whole_batch(parts):
    # Words per sentence differ, so a mean of batch means would weigh them unequally.
    generator = torch.Generator().manual_seed(1)
    items = []
    for number in range(7):
        length = int(torch.randint(3, 12, (1,), generator=generator))
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        targets = torch.randint(3, (length,), generator=generator).tolist()
        targets[0] = UNLABELLED
        items.append(Item(number, ids, [0] * length, list(range(length)), targets))
    own = randomise(TokenClassifier(own_config()), 0, std=0.3).double()
    whole = backward(own, items)
    expected = {name: p.grad.clone() for name, p in own.named_parameters()}
    own.zero_grad()
    parted = backward(own, items, parts)
    assert parted == pytest.approx(whole, abs=1e-9)
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=1e-12)


def test_the_loss_of_a_step_is_the_mean_over_words_not_over_sentences():
    items = [
        Item(0, [5, 6, 7, 8], [0] * 4, [0, 1, 2, 3], [2, 0, UNLABELLED, 1]),
        Item(1, [9], [0], [0], [1]),
    ]
    own = randomise(TokenClassifier(own_config()), 0, std=0.3).double()
    batch = make_batch(items)
    F.cross_entropy(own(batch.packed, batch.wanted), batch.targets, ignore_index=-100).backward()
    expected = {name: p.grad.clone() for name, p in own.named_parameters()}
    own.zero_grad()
    _, count = backward(own, items)
    assert count == 4
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=1e-12)


def test_an_unlabelled_word_has_no_loss_and_is_not_counted():
    own = randomise(TokenClassifier(own_config()), 0).double()
    labelled = Item(0, [5, 6, 7], [0, 0, 0], [1], [2])
    with_gap = Item(0, [5, 6, 7], [0, 0, 0], [0, 1, 2], [UNLABELLED, 2, UNLABELLED])
    alone = backward(own, [labelled])
    assert backward(own, [with_gap]) == pytest.approx(alone, abs=1e-12)
    assert alone[1] == 1


def test_the_objective_of_regression_is_the_squared_error_of_each_labelled_text():
    own = randomise(SequenceClassifier(own_config(0)), 0).double().eval()
    targets = [0.5, float("nan"), -2.0]
    items = [replace(item, targets=[target]) for item, target in zip(make_items(3), targets)]
    batch = make_batch(items)
    predicted = own(batch.packed).squeeze(-1).tolist()
    expected = [(predicted[0] - 0.5) ** 2, (predicted[2] + 2.0) ** 2]
    assert squared_error(own, batch).tolist() == pytest.approx(expected, abs=1e-12)


def test_parameters_that_are_not_selected_stay_bit_identical_under_decay_and_momentum():
    own = model()
    before = weights(own)
    chosen = {"classifier.weight", "bert.layers.1.output.weight"}
    settings = Settings(epochs=3, batch_size=4, learning_rate=1e-2, weight_decay=0.5)
    fine_tune(
        own,
        make_items(12),
        Recipe(trainable=lambda m, epoch=1: sorted(chosen), settings=settings),
        Seeds.all(0),
    )
    for name, value in weights(own).items():
        assert torch.equal(value, before[name]) == (name not in chosen), name


def test_only_matrices_decay():
    own = model()
    names = {id(p): name for name, p in own.named_parameters()}
    groups = adamw(select(own, everything), Settings(weight_decay=0.3)).param_groups
    decaying = {names[id(p)] for g in groups if g["weight_decay"] for p in g["params"]}
    parts = ["attention." + part for part in ("query", "key", "value", "output")]
    expected = {
        f"bert.layers.{layer}.{part}.weight"
        for layer in range(3)
        for part in (*parts, "intermediate", "output")
    }
    expected |= {f"bert.embeddings.{table}.weight" for table in ("word", "position", "segment")}
    expected |= {"bert.pooler.dense.weight", "classifier.weight"}
    assert decaying == expected
    assert sum(len(g["params"]) for g in groups) == len(names)


def test_optimizer_keeps_state_for_trained_parameters_only():
    own = model()
    parameters = select(own, lambda m, epoch=1: ["classifier.bias"])
    optimizer = adamw(parameters, Settings())
    backward(own, make_items(4), trainable=lambda m, epoch=1: ["classifier.bias"])
    optimizer.step()
    assert list(optimizer.state) == [own.classifier.bias]


def test_gradient_is_clipped_to_the_norm_asked_for_and_not_when_switched_off():
    norms = {}

    class Watch:
        def before_step(self, parameters):
            norms[clip] = torch.stack([p.grad.norm() for p in parameters.values()]).norm()

        def after_step(self, parameters):
            pass

    for clip in (0.01, 0.0):
        settings = Settings(epochs=1, batch_size=8, clip=clip)
        fine_tune(
            model(),
            make_items(8),
            Recipe(gradients=lambda *_: Watch(), settings=settings),
            Seeds.all(0),
        )
    assert float(norms[0.01]) == pytest.approx(0.01, rel=1e-3)
    assert float(norms[0.0]) > 0.1


def test_the_learning_rate_of_each_step_is_the_schedules():
    seen = []

    class Steps(Constant):
        def factor(self, step):
            seen.append(step)
            return 0.0

    own = model()
    before = weights(own)
    fine_tune(
        own,
        make_items(10),
        Recipe(schedule=lambda *_: Steps(), settings=Settings(epochs=2, batch_size=4)),
        Seeds.all(0),
    )
    assert seen == list(range(6))
    for name, value in weights(own).items():
        assert torch.equal(value, before[name])  # a rate of 0 moves nothing, decay included


@pytest.mark.parametrize("keep,expected", [("best", 2), ("last", 4)])
def test_kept_weights_are_those_of_the_epoch_that_was_asked_for(keep, expected):
    scores = iter([0.1, 0.9, 0.3, 0.9])  # epoch 4 only ties with the best, epoch 2
    snapshots = []

    def validate(own):
        snapshots.append(weights(own))
        return 1.0, next(scores)

    own = model()
    settings = Settings(epochs=4, batch_size=4, learning_rate=1e-3, keep=keep)
    history = fine_tune(
        own, make_items(8), Recipe(settings=settings), Seeds.all(0), validate=validate
    )
    assert history.kept_epoch == expected
    assert history.best_epoch == 2
    for kept, epoch in (("best", 2), ("last", 4)):  # both are there, whichever is in the model
        for name, value in history.weights[kept].items():
            assert torch.equal(value, snapshots[epoch - 1][name]), (kept, name)
    for name, value in weights(own).items():
        assert torch.equal(value, snapshots[expected - 1][name]), name


def test_a_schedule_can_stop_the_run_and_its_sentence_is_kept():
    class Stop(Constant):
        def after_epoch(self, dev_loss):
            return "enough" if dev_loss == 2.0 else None

    losses = iter([1.0, 2.0, 3.0])
    settings = Settings(epochs=3, batch_size=4)
    recipe = Recipe(schedule=Stop, settings=settings)
    history = fine_tune(
        model(), make_items(8), recipe, Seeds.all(0), validate=lambda own: (next(losses), 0.0)
    )
    assert history.stopped == "enough"
    assert len(history.epochs) == 2


def test_few_labels_get_at_least_the_floor_of_steps():
    def last(**lengths) -> int:
        recipe = Recipe(settings=Settings(batch_size=16, **lengths))
        return fine_tune(model(), make_items(20), recipe, Seeds.all(0)).epochs[-1].step

    assert last() == 2 * EPOCHS
    assert last(min_steps=30) == 30  # 15 epochs of 2 steps
    assert last(min_steps=5) == 2 * EPOCHS  # a floor, not a length
    assert last(steps=5) == 6  # whole epochs


def test_a_number_of_epochs_is_exact_whatever_floor_was_set_before():
    recipe = Recipe(settings=Settings(min_steps=200, steps=100))
    short = replace(recipe, settings=replace(recipe.settings, epochs=3))
    assert len(fine_tune(model(), make_items(20), short, Seeds.all(0)).epochs) == 3


def run(seeds: Seeds, dropout: float = 0.1) -> dict[str, torch.Tensor]:
    own = model(dropout=dropout)
    fine_tune(
        own,
        make_items(12),
        Recipe(settings=Settings(epochs=2, batch_size=4, learning_rate=1e-3)),
        seeds,
    )
    return weights(own)


def same(a: dict, b: dict) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_seeds_give_the_same_bits_and_each_stream_matters_by_itself():
    base = Seeds(1, 2, 3, 4, 5)
    reference = run(base)
    assert same(run(base), reference)
    assert not same(run(Seeds(1, 2, 9, 4, 5)), reference)
    assert not same(run(Seeds(1, 2, 3, 9, 5)), reference)
    # Negative controls: streams that this run does not draw from.
    assert same(run(Seeds(9, 2, 3, 4, 9)), reference)
    assert same(run(Seeds(1, 2, 3, 9, 5), dropout=0.0), run(base, dropout=0.0))


def test_training_leaves_torchs_global_stream_where_it_was():
    own = model(dropout=0.1)
    before = torch.get_rng_state()
    fine_tune(own, make_items(12), Recipe(settings=Settings(epochs=2, batch_size=4)), Seeds.all(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_acts_in_training_and_the_model_is_left_in_evaluation_mode():
    own = model(dropout=0.1)
    modes = []
    site = next(m for m in own.modules() if isinstance(m, Dropout))
    site.register_forward_hook(lambda module, *_: modes.append(module.training))
    fine_tune(own, make_items(4), Recipe(settings=Settings(epochs=1)), Seeds.all(0))
    assert modes == [True]
    assert not any(module.training for module in own.modules())


def test_learning_happens_and_shuffled_labels_teach_nothing_that_carries_over():
    # The label is whether token 7 or token 8 opens the text: learnable in a few steps.
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        items = []
        for number in range(count):
            target = int(torch.randint(2, (1,), generator=generator))
            rest = torch.randint(10, 61, (6,), generator=generator).tolist()
            items.append(Item(number, [7 + target, *rest], [0] * 7, [0], [target]))
        return items

    def accuracy(items):
        own = SequenceClassifier(own_config(2)).float()
        randomise(own, 0, std=0.05)
        with torch.no_grad():
            for name, p in own.named_parameters():
                if name.endswith("norm.weight"):
                    p.fill_(1.0)
        fine_tune(
            own, items, Recipe(settings=Settings(epochs=15, learning_rate=2e-3)), Seeds.all(0)
        )
        from minift.training.batches import make_batch

        batch = make_batch(test)
        predicted = own(batch.packed, batch.wanted).argmax(-1)
        return float((predicted == batch.targets).float().mean())

    train, test = draw(96), draw(200)
    flipped = [
        Item(i.example, i.input_ids, i.segment_ids, i.positions, [int(coin)])
        for i, coin in zip(train, torch.randint(2, (96,), generator=generator))
    ]
    assert accuracy(train) > 0.95
    assert accuracy(flipped) < 0.75


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step():
    own = model()
    with torch.no_grad():
        own.classifier.bias[0] = float("nan")
    with pytest.raises(MiniftError, match=r"the loss became nan at step 0 \(epoch 1\)"):
        fine_tune(own, make_items(4), Recipe(settings=Settings(epochs=1)), Seeds.all(0))


def test_bad_requests_are_refused_with_a_reason():
    for seed in (-1, 2**32, 1.0, True):
        with pytest.raises(MiniftError, match="seed must be an integer in"):
            Seeds.all(seed)
    with pytest.raises(MiniftError, match="nothing would train"):
        select(model(), lambda m, epoch=1: [])
    with pytest.raises(MiniftError, match="nothing would train"):
        select(model(), lambda m, epoch=1: ["classifier.bias"] if epoch == 2 else [], epochs=2)
    with pytest.raises(MiniftError, match=r"no such parameter: bert\.nowhere"):
        select(model(), lambda m, epoch=1: ["bert.nowhere"])
    with pytest.raises(MiniftError, match="no training examples"):
        fine_tune(model(), [], Recipe(settings=Settings()), Seeds.all(0))
    with pytest.raises(MiniftError, match="this schedule decides by the development split"):
        fine_tune(
            model(),
            make_items(2),
            Recipe(schedule=Adaptive, settings=Settings()),
            Seeds.all(0),
        )
    with pytest.raises(MiniftError, match=r'keep="best" decides by the development split'):
        fine_tune(model(), make_items(2), Recipe(settings=Settings(keep="best")), Seeds.all(0))
    with pytest.raises(MiniftError, match="epochs must be a whole number from 1 up, got 0"):
        Settings(epochs=0)
    with pytest.raises(MiniftError, match="learning_rate must be a positive number, got -1"):
        Settings(learning_rate=-1)


# --- what a run is told, and what it tells ----------------------------------------------------

DEFAULTS = {
    "epochs": None, "steps": None, "min_steps": 0, "batch_size": 16, "accumulate": 1,
    "learning_rate": 5e-5, "weight_decay": 0.01, "betas": (0.9, 0.999), "epsilon": 1e-8,
    "clip": 1.0, "prefix_dropout": False, "keep": "last", "precision": "float32",
}  # fmt: skip


def test_the_defaults_are_those_written_here():
    assert asdict(Settings()) == DEFAULTS
    assert EPOCHS == 8
    plain = Recipe()
    assert (plain.trainable, plain.schedule, plain.settings) == (everything, Linear, Settings())
    assert plain.gradients is plain.scales is plain.objective is None
    assert Linear().warmup == 0.1


@pytest.mark.parametrize(
    ("name", "bad", "expected"),
    [
        ("epochs", 2.5, "a whole number from 1 up"),
        ("epochs", 0, "a whole number from 1 up"),
        ("epochs", True, "a whole number from 1 up"),
        ("steps", 0, "a whole number from 1 up"),
        ("min_steps", -1, "a whole number from 0 up"),
        ("min_steps", None, "a whole number from 0 up"),
        ("batch_size", 0, "a whole number from 1 up"),
        ("accumulate", 1.5, "a whole number from 1 up"),
        ("learning_rate", -1, "a positive number"),
        ("learning_rate", 0, "a positive number"),
        ("learning_rate", math.nan, "a positive number"),
        ("learning_rate", math.inf, "a positive number"),
        ("epsilon", 0, "a positive number"),
        ("weight_decay", -1, "a number from 0 up"),
        ("weight_decay", math.nan, "a number from 0 up"),
        ("clip", -1, "a number from 0 up"),
        ("clip", math.inf, "a number from 0 up"),
        ("betas", (2, 3), r"two numbers in \[0, 1\)"),
        ("betas", (0.9, 1.0), r"two numbers in \[0, 1\)"),
        ("betas", (0.9,), r"two numbers in \[0, 1\)"),
        ("keep", "middle", '"last" or "best"'),
        ("precision", "fp16", '"float32" or "bf16"'),
    ],
)
def test_each_value_of_settings_is_judged_when_they_are_built(name, bad, expected):
    with pytest.raises(MiniftError, match=f"{name} must be {expected}, got {re.escape(repr(bad))}"):
        Settings(**{name: bad})
    with pytest.raises(MiniftError, match=f"{name} must be "):
        replace(Settings(), **{name: bad})
    zero = Settings(min_steps=0, weight_decay=0, clip=0.0, betas=(0.0, 0.0))  # these are good
    assert (zero.clip, zero.weight_decay) == (0, 0)


def test_the_five_streams_of_a_seed_are_five_sequences():
    seeds = [value for seed in range(20) for value in astuple(Seeds.all(seed))]
    assert len(set(seeds)) == 100
    assert all(Seeds.all(seed).subset == seed for seed in range(20))
    assert Seeds.all(7) == Seeds.all(7)
    streams = [torch.Generator().manual_seed(seed) for seed in astuple(Seeds.all(0))]
    draws = {tuple(torch.rand(4, generator=stream).tolist()) for stream in streams}
    assert len(draws) == 5
    # The mask of dropout and that of a gradient, as the loop and Child-Tuning F draw them.
    own = model(dropout=0.5)
    training = Training(own, make_items(4), Recipe(), Seeds.all(0))
    ones = torch.ones(1000)
    masks = [
        dropout_mask(ones, 0.5, generator)
        for generator in (training.dropout, torch.Generator().manual_seed(Seeds.all(0).masks))
    ]
    assert 350 < int((masks[0] == masks[1]).sum()) < 650


def test_the_loss_of_an_epoch_is_the_mean_over_its_targets():
    """Of each step with the weights that it began with; written as a loop over words."""
    items = make_items(7)
    places = [range(1, len(item.input_ids)) for item in items]
    items = [
        replace(i, positions=list(p), targets=[UNLABELLED if x % 4 == 1 else x % 3 for x in p])
        for i, p in zip(items, places)
    ]
    own, twin = (randomise(TokenClassifier(own_config()), 0, std=0.3).double() for _ in range(2))
    before, seeds = [weights(own)], Seeds.all(0)

    def watch(training):
        for record in training:
            if record is None:
                before.append(weights(own))
            yield record

    settings = Settings(epochs=2, batch_size=3, learning_rate=1e-2)
    history = fine_tune(own, items, Recipe(settings=settings), seeds, watch=watch)
    order, step = torch.Generator().manual_seed(seeds.order), 0
    for epoch in history.epochs:
        losses, drawn = [], torch.randperm(7, generator=order).tolist()
        for at in (0, 3, 6):
            twin.load_state_dict(before[step])
            step += 1
            for i in drawn[at : at + 3]:
                batch = make_batch([items[i]])
                for row, target in zip(twin(batch.packed, batch.wanted).tolist(), items[i].targets):
                    if target != UNLABELLED:
                        losses.append(math.log(sum(map(math.exp, row))) - row[target])
        assert epoch.train_loss == pytest.approx(sum(losses) / len(losses), abs=1e-9)
        assert epoch.step == step
    assert history.epochs[1].train_loss < history.epochs[0].train_loss - 0.01


def test_an_objective_is_told_each_step_and_their_number_and_it_alone_is_the_loss():
    told = []

    def half(own, batch, step, steps):
        told.append((step, steps))
        return 0.5 * cross_entropy(own, batch)

    ours, usual = model(), model()
    settings = Settings(epochs=2, batch_size=4, learning_rate=1e-3)
    recipe = Recipe(objective=half, settings=settings)
    history = fine_tune(ours, make_items(10), recipe, Seeds.all(0))
    assert told == [(step, 6) for step in range(6)]
    plain = fine_tune(usual, make_items(10), Recipe(settings=settings), Seeds.all(0))
    assert history.epochs[0].train_loss < 0.75 * plain.epochs[0].train_loss
    assert not same(weights(ours), weights(usual))


@pytest.mark.parametrize(
    ("scores", "kept", "says"),
    [([math.nan] * 3, 3, True), ([math.nan, 0.2, math.nan], 2, False)],
)
def test_a_best_epoch_that_no_score_names_is_the_last_and_the_run_says_so(scores, kept, says):
    found, snapshots = iter(scores), []

    def validate(own):
        snapshots.append(weights(own))
        return 1.0, next(found)

    own, settings = model(), Settings(epochs=3, batch_size=4, learning_rate=1e-3, keep="best")
    recipe = Recipe(settings=settings)
    history = fine_tune(own, make_items(8), recipe, Seeds.all(0), validate=validate)
    assert history.kept_epoch == kept
    assert same(weights(own), snapshots[kept - 1])
    assert (
        "no epoch's score was a number, so the last weights are kept" in history.stopped
    ) is says


# --- what learns may depend on the epoch ------------------------------------------------------


def in_turn(own, epoch: int = 1) -> list[str]:
    """The head always; layer 1 in odd epochs and layer 2 in even ones; the rest never."""
    layer = f"bert.layers.{1 + (epoch + 1) % 2}."
    return [n for n, _ in own.named_parameters() if n.startswith(("classifier.", layer))]


def gradual(own, epoch: int = 1) -> list[str]:
    """The head; then one layer more per epoch, from the top; at last the embeddings too."""
    parts = ["head", "pooler", 2, 1, 0, "embeddings"][: epoch + 1]
    return [n for n, _ in own.named_parameters() if part_of(n) in parts]


def test_a_site_that_had_dropout_in_any_epoch_is_not_called_quiet():
    """MC dropout samples from the lowest site that had dropout in training."""

    def back(own, epoch: int = 1) -> list[str]:
        return gradual(own, 5 - epoch)  # layers 2, 1 and 0; then 2 and 1; then 2

    own, modes = model(dropout=0.1), []

    def watch(training):
        for record in training:
            modes.append([m.training for m in (own.bert.embeddings, *own.bert.layers)])
            yield record

    settings = Settings(epochs=3, batch_size=4, learning_rate=1e-3)
    recipe = Recipe(trainable=back, settings=settings)
    history = fine_tune(own, make_items(4), recipe, Seeds.all(0), watch=watch)
    assert modes[0] == [False, True, True, True] and modes[4] == [False, False, False, True]
    assert history.quiet == 1


TURNS = Settings(epochs=5, batch_size=4, learning_rate=1e-2, weight_decay=0.5)


def test_in_an_epoch_in_which_a_parameter_does_not_learn_nothing_of_it_changes():
    """Neither its weights, which decay and momentum would move, nor its moments."""
    own, ends = model(dropout=0.1), []

    def moments(training):
        names = {id(p): n for n, p in training.parameters.items()}
        states = training.optimizer.state.items()
        return {names[id(p)]: {k: v.clone() for k, v in s.items()} for p, s in states}

    def watch(training):
        ends.append((weights(own), moments(training)))
        for record in training:
            if record is not None:
                ends.append((weights(own), moments(training)))
            yield record

    recipe = Recipe(trainable=in_turn, settings=TURNS)
    history = fine_tune(own, make_items(12), recipe, Seeds.all(0), watch=watch)
    assert set(history.trained) == {*in_turn(own, 1), *in_turn(own, 2)}
    assert [epoch.step for epoch in history.epochs] == [3, 6, 9, 12, 15]
    for epoch, ((before, kept), (after, now)) in enumerate(pairwise(ends), 1):
        learning = in_turn(own, epoch)
        for name, value in after.items():
            if "key.bias" not in name:  # which never learns: softmax ignores it
                assert torch.equal(value, before[name]) is (name not in learning), (epoch, name)
        assert set(now) == set(history.trained if epoch > 1 else learning)
        for name in set(kept) - set(learning):
            assert kept[name]["exp_avg"].any()
            for part, value in kept[name].items():
                assert torch.equal(value, now[name][part]), (epoch, name, part)
        for name in learning:  # they are continued, not begun anew
            assert int(now[name]["step"]) == int(kept[name]["step"] if name in kept else 0) + 3


@pytest.mark.parametrize("trainable", [in_turn, gradual])
def test_a_training_continued_from_its_state_after_any_step_ends_with_the_same_bits(trainable):
    recipe = Recipe(trainable=trainable, settings=replace(TURNS, keep="best"))
    scores = [0.2, 0.8, 0.1, 0.5, 0.6]

    def begun(epochs_done: int = 0) -> Training:
        left = iter(scores[epochs_done:])
        own = model(dropout=0.1)
        return Training(own, make_items(12), recipe, Seeds.all(0), lambda _: (1.0, next(left)))

    whole, states = begun(), []
    for record in whole:
        if record is None:
            states.append(copy.deepcopy(whole.state()))
    expected = whole.finish()
    assert len(states) == 15 and expected.kept_epoch == 2
    for state in states[::2] + states[-1:]:
        again = begun(len(state["epochs"]))
        again.load(state)
        for _ in again:
            pass
        history = again.finish()
        assert same(weights(again.model), weights(whole.model))
        assert same(history.weights["last"], expected.weights["last"])
        ours, theirs = (
            [replace(e, seconds=0.0) for e in found.epochs] for found in (history, expected)
        )
        assert ours == theirs and history.stopped == expected.stopped


def test_dropout_rests_below_what_learns_in_each_epoch():
    own, modes = model(dropout=0.1), []
    modules = [own.bert.embeddings, *own.bert.layers]

    def watch(training):
        for record in training:
            modes.append(tuple(module.training for module in modules))
            yield record

    recipe = Recipe(trainable=gradual, settings=replace(TURNS, batch_size=12))
    history = fine_tune(own, make_items(12), recipe, Seeds.all(0), watch=watch)
    steps = modes[::2]  # the others are after an epoch, in evaluation mode
    assert [mode.count(False) for mode in steps] == [4, 3, 2, 1, 0]
    assert all(mode == tuple(sorted(mode)) for mode in steps)  # the lowest rest
    assert history.quiet == 0
