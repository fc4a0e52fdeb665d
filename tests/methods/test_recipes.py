"""A method's name says what fills which slot, and mistakes are named.

claim                                                        oracle
each word fills its slot and leaves the others alone         the empty recipe
words combine in any order                                   the same recipe both ways
three slots at once train, mask and cool down together       what moved, what was masked, rates
what a method is said to train is what moves                 elements that changed in a run
mistakes are answered with the nearest right form            the error's words
"""

from __future__ import annotations

import pytest
import torch

from minift.bert.counts import what_learns
from minift.bert.heads import SequenceClassifier
from minift.errors import MiniftError
from minift.methods.recipes import RATES, WORDS, recipe
from minift.training.loop import Seeds, Settings, Team, select
from tests.bert.reference import own_config, randomise
from tests.methods.tuning import tune
from tests.training.test_loop import make_items, weights


def model() -> SequenceClassifier:
    own = SequenceClassifier(own_config(hidden_dropout_prob=0.1))
    return randomise(own, 0, std=0.2).double()


def learning(name: str) -> set[str]:
    return set(recipe(name).trainable(model(), 1))


EXAMPLES = {
    "full": "full", "full-sqrt": "full-sqrt:0.3", "head": "head", "bitfit": "bitfit",
    "freeze": "freeze:2", "child-f": "child-f:0.3", "child-d": "child-d:0.3",
    "random-scalars": "random-scalars", "random-rows": "random-rows",
    "layerwise": "layerwise:0.9", "adaptive": "adaptive", "hybrid": "hybrid:10",
    "original": "original", "stable": "stable", "early-stopping": "early-stopping:2",
    "slanted": "slanted", "contrastive": "contrastive:supervised", "start": "start:probe",
    "weighted": "weighted:balanced", "gradual": "gradual", "ulmfit": "ulmfit",
    "heated": "heated:4,1,0.5", "fgm": "fgm:0.5",
    "occlusion": "occlusion:identity,0.1",
    "adversary": "adversary:identity,1",
}  # fmt: skip


def test_every_word_has_an_example_here_and_makes_a_recipe():
    assert set(EXAMPLES) == set(WORDS)
    for name in EXAMPLES.values():
        assert recipe(name).name == name


def test_which_parameters_each_word_lets_learn():
    everything = {name for name, _ in model().named_parameters()}
    assert learning("full") == learning("full-sqrt:0.3") == learning("child-f:0.5") == everything
    assert learning("head") == {"classifier.weight", "classifier.bias"}
    head = {"classifier.weight", "classifier.bias"}
    assert learning("bitfit") == {n for n in everything if n.endswith("bias")} | head
    subset = {n for n in everything if n.endswith(("query.bias", "intermediate.bias"))}
    assert learning("bitfit:query,intermediate") == subset | head
    low = ("bert.embeddings.", "bert.layers.0.", "bert.layers.1.")
    assert learning("freeze:2") == {n for n in everything if not n.startswith(low)}
    assert learning("freeze:-1") == {n for n in everything if not n.startswith("bert.layers.2.")}


def test_rates_and_lengths_are_those_of_the_table():
    assert recipe("full").settings.learning_rate == RATES["full"]
    assert recipe("bitfit").settings.learning_rate == RATES["bitfit"]
    assert recipe("full-sqrt:0.25").settings.learning_rate == RATES["full"] / 2
    assert recipe("adaptive").settings.epochs == 250
    assert recipe("hybrid:12").settings.epochs == 12
    assert recipe("bitfit+stable").settings.epochs == 20


def test_every_method_has_the_same_floor_of_steps_but_schedules_of_a_set_length_keep_theirs():
    """Otherwise a comparison on few labels would compare lengths: 8 epochs of 100 are 56 steps."""
    own_length = {"adaptive": 250, "hybrid": 10, "original": 5, "stable": 20, "contrastive": 18}
    for word, name in [*EXAMPLES.items(), ("stable", "bitfit+stable")]:
        epochs = recipe(name).settings.epochs_for(100)  # of 7 steps
        assert epochs == own_length.get(word, 29), name  # 29 x 7 is the first above 200
    assert recipe("bitfit+early-stopping:2").settings.epochs_for(100) == 29


@pytest.mark.parametrize("name", ["bitfit+child-f:0.5+adaptive", "adaptive+child-f:0.5+bitfit"])
def test_words_combine_in_any_order(name):
    made = recipe(name)
    assert made.settings == recipe("bitfit+adaptive").settings
    assert made.settings.learning_rate == RATES["bitfit"]
    assert made.gradients is not None
    assert type(made.schedule()) is type(recipe("adaptive").schedule())


def test_a_schedule_is_fresh_in_every_run():
    made = recipe("adaptive")
    assert made.schedule() is not made.schedule()


def test_bitfit_child_tuning_f_and_adaptive_work_together_in_one_run():
    made = recipe("bitfit+child-f:0.5+adaptive")
    own = model()
    before = weights(own)
    items = make_items(24)
    select(own, made.trainable)
    rule = made.gradients(own, items, Seeds.all(0), Team())
    shares = []

    class Watched:
        def before_step(self, parameters):
            rule.before_step(parameters)
            kept = [p.grad != 0 for n, p in parameters.items() if n.endswith("intermediate.bias")]
            shares.append(float(torch.cat(kept).double().mean()))

        def after_step(self, parameters):
            rule.after_step(parameters)

    losses = iter([1.0, 0.9, 0.8, *[0.95] * 20])
    history = tune(
        own, items, Settings(epochs=250, batch_size=8, learning_rate=1e-3),
        trainable=made.trainable, rule=Watched(), schedule=made.schedule(),
        validate=lambda _: (next(losses), 0.0),
    )  # fmt: skip
    rates = [epoch.learning_rate for epoch in history.epochs]
    # BitFit: biases and the head move, nothing else does.
    for name, value in weights(own).items():
        moved = not torch.equal(value, before[name])
        learns = name.endswith("bias") or name.startswith("classifier")
        if "key.bias" not in name:  # its gradient is rounding noise
            assert moved == learns, name
    # Child-Tuning F: about half of the gradients were kept.
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=0.05)
    # Adaptive: best at epoch 3, then one bad epoch and seven of cool-down (papers' trace rule).
    assert len(history.epochs) == 3 + 8
    assert max(rates) == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-3 / (7 * 3))
    assert "not improved" in history.stopped


@pytest.mark.parametrize(
    "name", ["full", "bitfit", "child-f:0.9", "child-d:0.3", "child-d:0.3,random",
             "random-scalars", "random-rows", "freeze:1+child-d:0.5"],
)  # fmt: skip
def test_what_a_method_is_said_to_train_is_what_moves(name):
    made, own, items = recipe(name), model(), make_items(24)
    before = weights(own)
    chosen = select(own, made.trainable)
    rule = made.gradients(own, items, Seeds.all(0), Team()) if made.gradients else None
    said = what_learns(own, chosen, rule.learning if rule else None)["all"].learning
    settings = Settings(epochs=2, batch_size=8, learning_rate=1e-2, weight_decay=0.1)
    tune(own, items, settings, trainable=made.trainable, rule=rule)
    moved = sum(int((value != before[key]).sum()) for key, value in weights(own).items())
    silent = own.bert.embeddings.segment.weight[1].numel()  # no text here has a second part
    assert said - silent <= moved <= said


def test_layerwise_rates_join_child_tuning_because_they_fill_another_slot():
    made = recipe("child-f:0.5+layerwise:0.5+slanted")
    assert made.gradients is not None
    scales = made.scales(model())
    assert scales["classifier.weight"] == 1
    assert scales["bert.layers.0.output.weight"] == 0.5**3


def test_child_tuning_d_under_freezing_selects_among_what_learns():
    made = recipe("freeze:2+child-d:0.25")
    own = model()
    select(own, made.trainable)
    rule = made.gradients(own, make_items(12), Seeds.all(0), Team())
    assert all(name.startswith("bert.layers.2.") for name in rule.masks)
    total = sum(mask.numel() for mask in rule.masks.values())
    assert sum(int(mask.sum()) for mask in rule.masks.values()) == round(0.25 * total)


def test_the_random_control_moves_as_many_scalars_of_the_encoder_as_bitfit():
    made, own = recipe("random-scalars"), model()
    select(own, made.trainable)
    rule = made.gradients(own, make_items(4), Seeds.all(0), Team())
    biases = [p for n, p in own.named_parameters() if n.startswith("bert.") and "bias" in n]
    drawn = sum(int(mask.sum()) for mask in rule.masks.values())
    assert drawn == sum(p.numel() for p in biases)
    before = weights(own)
    tune(own, make_items(8), Settings(epochs=2), rule=rule)
    moved = sum(
        int((value != before[name]).sum())
        for name, value in weights(own).items()
        if name.startswith("bert.")
    )
    assert 0 < moved <= drawn


@pytest.mark.parametrize(
    "name,message",
    [
        ("bitft", 'unknown method "bitft"; known: full, .*; did you mean "bitfit"'),
        ("child-f:3", r"child-f:3.*\(0, 1\].*child-f:0.3"),
        ("child-f", r'"child-f:": expected a number in'),
        ("child-d:0.3,lowes", 'did you mean "lowest"'),
        ("freeze:x", "freeze:x.*number of layers"),
        ("full:3", 'full takes nothing after ":"'),
        ("bitfit+head", 'bitfit and head both fill the slot "trainable"'),
        ("child-f:0.3+child-d:0.3", 'both fill the slot "gradients"'),
        ("bitfit:qery", 'did you mean "query"'),
        ("", 'unknown method ""'),
    ],
)
def test_mistakes_are_answered_with_the_right_form(name, message):
    with pytest.raises(MiniftError, match=message):
        recipe(name)


def test_more_layers_than_there_are_is_an_error_when_the_model_is_known():
    with pytest.raises(MiniftError, match="cannot freeze 7 layers"):
        learning("freeze:7")
