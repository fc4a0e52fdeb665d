"""Gradual unfreezing and ULMFiT's three ideas together, proven.

claim                                                     oracle
who learns in which epoch, for every head                 names written by hand
what does not learn yet keeps its bits, what does moves   bit equality, decay and momentum on
moments of those that learned before are kept             torch.optim.AdamW, which is given one
  and new ones begin empty                                  more group of parameters per epoch
ulmfit is its three words together                        the same, with rates and the printed
                                                            formula of the triangle by hand
rates of layers keep their ratios at every step           the optimizer's groups while it trains
dropout rests below the lowest layer that learns          the mode of each module
a run that is too short is one sentence, in every         its words; a run of just the length
  command, before anything is trained
what cannot go together is refused                        the words

Of the list in the paper's section of what tests must prove: the triangle alone is proven in
tests/training/test_trapezoids.py, groups of rates and the plain run that a factor of 1 gives in
test_layerwise_decay.py, resuming in tests/runs/test_resume.py. BERT has no BatchNorm. Pooling over
an LSTM's states and the ensemble of two directions are not here: BERT has neither.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.cli.main import main
from minift.compare.lineup import rehearse_all
from minift.errors import MiniftError
from minift.methods.gradual import gradual, require_epochs
from minift.methods.mean_head import MeanClassifier
from minift.methods.recipes import recipe
from minift.runs.fit import fit
from minift.runs.tuned import FineTuned
from minift.training.batches import make_batch
from minift.training.loop import Recipe, Seeds, Settings, everything, fine_tune
from minift.training.trapezoids import Constant
from tests.bert.reference import own_config, randomise
from tests.tiny import checkpoint, reviews
from tests.training.test_loop import make_items, model, weights

STAGES = ["head", "layers.2.", "layers.1.", "layers.0.", "embeddings."]  # of the model below
SETTINGS = Settings(epochs=7, batch_size=4, learning_rate=5e-3, weight_decay=0.1, clip=0.0)
SEEDS = Seeds.all(0)


def stage_of(name: str) -> int:
    """The number of the stage in which a parameter begins to learn, from 0."""
    for number, part in enumerate(STAGES):
        if name.startswith("bert." + part):
            return number
    return 0


def ended(name: str, own=None, trainable=None) -> dict[str, torch.Tensor]:
    """The weights after a method of the table, with the settings above."""
    own, chosen = own or model(), replace(recipe(name), settings=SETTINGS)
    fine_tune(own, make_items(12), replace(chosen, trainable=trainable or chosen.trainable), SEEDS)
    return weights(own)


# --- what learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("head", [SequenceClassifier, TokenClassifier, MeanClassifier, MaskedLM])
def test_the_head_learns_first_and_then_one_layer_more_from_the_top_and_at_last_all(head):
    own = head(own_config())
    names = [name for name, _ in own.named_parameters()]
    for epoch in range(1, 9):
        expected = {name for name in names if stage_of(name) < epoch}
        assert set(gradual(own, epoch)) == expected, epoch
    assert set(gradual(own, 5)) == set(names) != set(gradual(own, 4))
    assert "bert.pooler.dense.bias" in gradual(own, 1) or head is not SequenceClassifier


def test_at_each_stage_exactly_the_head_and_the_top_layers_move_and_others_keep_their_bits():
    own, ends = model(dropout=0.1), []

    def watch(training):
        ends.append(weights(own))
        for record in training:
            if record is not None:
                ends.append(weights(own))
            yield record

    chosen = replace(recipe("gradual"), settings=replace(SETTINGS, weight_decay=0.5))
    history = fine_tune(own, make_items(12), chosen, SEEDS, watch=watch)
    assert set(history.trained) == set(ends[0]) and len(ends) == 8
    for epoch, (before, after) in enumerate(pairwise(ends), 1):
        for name, value in after.items():
            if "key.bias" not in name:  # which never learns: softmax ignores it
                assert torch.equal(value, before[name]) is (stage_of(name) >= epoch), (epoch, name)


def test_dropout_rests_below_the_lowest_layer_that_learns():
    own, modes = model(dropout=0.1), []

    def watch(training):
        for record in training:
            modes.append([m.training for m in (own.bert.embeddings, *own.bert.layers)])
            yield record

    chosen = replace(recipe("gradual"), settings=replace(SETTINGS, batch_size=12))
    fine_tune(own, make_items(12), chosen, SEEDS, watch=watch)
    resting = [mode.count(False) for mode in modes[::2]]  # the others are in evaluation mode
    assert resting == [4, 3, 2, 1, 0, 0, 0]
    assert all(mode == sorted(mode) for mode in modes[::2])  # the lowest rest


# --- the same as one optimizer of torch that is given more to do ------------------------------


def by_hand(decay: float, factor: Callable[[int], float], forget: bool = False):
    """Seven epochs of three steps; a new group of parameters per stage, at decay**depth."""
    own, items = model(), make_items(12)
    own.train()
    order, step = torch.Generator().manual_seed(SEEDS.order), 0
    named = dict(own.named_parameters())
    optimizer = None
    for epoch in range(7):
        if forget or optimizer is None:
            optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.0)
        new = range(epoch + 1) if forget else [epoch]
        for stage in new:
            for name, parameter in named.items():
                parameter.requires_grad_(stage_of(name) <= epoch)
                if stage_of(name) == stage:
                    group = {"params": [parameter], "lr": 0.0, "depth": stage}
                    group["weight_decay"] = 0.1 if parameter.ndim == 2 else 0.0
                    optimizer.add_param_group(group)
        shuffled = torch.randperm(len(items), generator=order).tolist()
        for at in range(0, len(items), 4):
            for group in optimizer.param_groups[1:]:
                group["lr"] = 5e-3 * decay ** group["depth"] * factor(step)
            batch = make_batch([items[i] for i in shuffled[at : at + 4]])
            optimizer.zero_grad()
            F.cross_entropy(own(batch.packed), batch.targets).backward()
            optimizer.step()
            step += 1
    return weights(own)


def triangle(step: int, total: int = 21) -> float:
    """ULMFiT's, with a fall of just the steps that are left."""
    cut = total // 10
    p = step / cut if step < cut else 1 - (step - cut) / (total - cut)
    return (1 + p * (32 - 1)) / 32


def apart(one, other) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


def test_gradual_is_torchs_adamw_that_is_given_one_more_layer_per_epoch_and_forgets_nothing():
    own = model()
    chosen = Recipe(trainable=gradual, schedule=Constant, settings=SETTINGS)
    fine_tune(own, make_items(12), chosen, SEEDS)
    assert apart(weights(own), by_hand(1.0, lambda step: 1.0)) < 1e-11
    # Negative controls: an optimizer made anew per stage, and all layers from the first epoch.
    assert apart(weights(own), by_hand(1.0, lambda step: 1.0, forget=True)) > 1e-3
    every = model()
    fine_tune(every, make_items(12), replace(chosen, trainable=everything), SEEDS)
    assert apart(weights(own), weights(every)) > 1e-3


def test_ulmfit_is_unfreezing_with_rates_that_fall_by_layer_under_the_slanted_triangle():
    assert apart(ended("ulmfit"), by_hand(0.385, triangle)) < 1e-11
    assert abs(0.385 * 2.6 - 1) < 2e-3  # the paper's factor


def test_ulmfit_is_its_three_words_together_and_none_of_them_is_idle():
    found = ended("ulmfit")
    assert apart(found, ended("slanted+gradual+layerwise:0.385")) == 0
    for fewer in ("slanted+gradual", "gradual+layerwise:0.385", "slanted+layerwise:0.385"):
        assert apart(found, ended(fewer)) > 1e-4, fewer


def test_the_rates_of_layers_keep_their_ratios_at_every_step():
    seen = set()

    def watch(training):
        for record in training:
            rates = sorted({group["lr"] for group in training.optimizer.param_groups})
            seen.update(round(low / high, 12) for low, high in pairwise(rates))
            yield record

    chosen = replace(recipe("ulmfit"), settings=SETTINGS)
    fine_tune(model(), make_items(12), chosen, SEEDS, watch=watch)
    assert seen == {0.385}


# --- what is refused --------------------------------------------------------------------------


def test_a_run_of_just_the_length_is_taken_and_one_epoch_less_refused():
    own = randomise(SequenceClassifier(own_config()), 0)
    tuned = FineTuned(own, None, "classification", ("a", "b", "c"))
    before = weights(own)
    for name in ("gradual", "ulmfit"):
        short = replace(recipe(name), settings=Settings(epochs=4, batch_size=4))
        with pytest.raises(MiniftError, match=r"3 layers and embeddings.* needs 5 epochs.* got 4;"):
            fit(tuned, make_items(4), short, SEEDS)
        assert apart(weights(own), before) == 0
        enough = replace(short, settings=Settings(epochs=5, batch_size=4))
        assert len(fit(tuned, make_items(4), enough, SEEDS).history.epochs) == 5
        before = weights(own)
    require_epochs(everything, own, 1)  # other methods may be as short as they like


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "encoder")  # of two layers
    for split in ("train", "test"):
        with (folder / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = [(e.text, e.label) for e in getattr(reviews(120), split)]
            csv.writer(file).writerows([("text", "label"), *rows])
    return folder


def command(world, *words) -> list[str]:
    files = ["--train", world / "train.csv", "--test", world / "test.csv"]
    return [*words, *map(str, [*files, "--encoder", world / "encoder"])]


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--method", "gradual", "--epochs", "3"],
        ["train", "--method", "ulmfit+child-f:0.5", "--epochs", "3"],
        ["compare", "--methods", "full,ulmfit", "--epochs", "3", "--seeds", "1"],
        ["active", "simulate", "--method", "gradual", "--steps", "3", "--rounds", "1"],
    ],
)
def test_a_command_refuses_a_run_that_is_too_short_in_one_line(words, world, tmp_path, capsys):
    assert main([*command(world, *words), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.strip()
    assert "it needs 4 epochs or more" in said and said.endswith("--epochs 4")
    assert "\n" not in said.replace("\r", "")
    assert not [*(tmp_path / "out").glob("results.csv")]


def test_a_comparison_judges_the_length_by_the_labels_that_are_asked_for(world):
    """60 texts are four steps per epoch, and 16 of them one: the fewer labels, the more epochs."""
    found = {"ulmfit": replace(recipe("ulmfit"), settings=Settings(steps=12))}
    data = reviews(120)
    for labels in (16, 60):
        with pytest.raises(MiniftError) if labels == 60 else nullcontext() as refused:
            rehearse_all(data, world / "encoder", found, {(labels, 0): data.train[:labels]})
    assert 'method "ulmfit": gradual unfreezes' in str(refused.value)
    assert "got 3; --epochs 4" in str(refused.value)


REFUSED = {
    "gradual+freeze:1": 'gradual and freeze:1 both fill the slot "trainable"',
    "ulmfit+bitfit": 'ulmfit and bitfit both fill the slot "trainable"',
    "layerwise:0.9+ulmfit": 'layerwise:0.9 and ulmfit both fill the slot "scales"',
    "ulmfit+adaptive": 'ulmfit and adaptive both fill the slot "schedule"',
    "ulmfit:2.6": 'ulmfit takes nothing after ":"',
    "gradual+contrastive": "gradual begins with the head alone, and contrastive does not",
    "contrastive+ulmfit": "ulmfit begins with the head alone, and contrastive does not",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_go_together_is_refused(name):
    with pytest.raises(MiniftError) as caught:
        recipe(name)
    assert REFUSED[name] in str(caught.value) and "\n" not in str(caught.value)
