"""Adaptive fine-tuning and early stopping, proven.

claim                                                       oracle
traces 1 and 2: rate of every step, epoch ends, last epoch  figures by hand; exact fractions;
                                                            a new torch LambdaLR per phase
any losses, any settings: same rates, same last epoch       a plain loop over sections 3.2, 3.3
hybrid of as many epochs = adaptive without restarts        one against the other
a machine told the losses so far gives the same rates       the run that was not stopped
44 steps with a restart in the real loop, every weight      AdamW by hand, moments never reset
last and best weights are those of their epochs             snapshots taken in `validate`
the loss weighs targets, not batches                        sums by hand
min_delta counts from the last accepted best                transformers' callback, which drifts
schedules of fixed length train without a development split  AdamW by hand
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.errors import MiniftError
from minift.methods.adaptive import (
    Adaptive,
    AdaptiveSettings,
    advance,
    early_stopping,
    rate_factor,
    replay,
    start,
)
from minift.methods.recipes import recipe
from minift.runs.evaluate import mean_loss, predict_logits
from minift.training import loop
from minift.training.batches import Item, make_batch
from minift.training.loop import Settings
from minift.training.schedules import Linear
from minift.training.trapezoids import Constant, SlantedTriangular, Trapezoid
from tests.bert.reference import own_config, randomise
from tests.methods.tuning import SEEDS, tune
from tests.training.test_trapezoids import drive, printed

TRACE_1 = [1, 0.8, 0.7, 0.6, 0.62, 0.61, 0.65, *[0.7] * 20]
TRACE_2 = [1, 0.8, 0.7, 0.72, 0.69, 0.66, *[0.7] * 20]
ENDS_1 = [0.5, 1, 1, 1, 1, 0.857, 0.714, 0.571, 0.429, 0.286, 0.143, 0]
ENDS_2 = [0.5, 1, 1, 1, 0.857, 1, 1, 0.857, 0.714, 0.571, 0.429, 0.286, 0.143, 0]


def plain_loop(losses, steps, rules: AdaptiveSettings) -> list[Fraction]:
    """Section 3.2 as one loop with counters, in exact fractions; nothing is shared with minift."""
    rates, done, best, bad = [], 0, math.inf, 0
    rising, left = True, None  # left: steps of the cool-down still to go
    for loss in losses[: rules.max_epochs]:
        for _ in range(steps):
            if left is not None:
                rates.append(Fraction(left, rules.cooldown_epochs * steps))
                left -= 1
            elif rising and done < rules.warmup_epochs * steps:
                rates.append(Fraction(done, rules.warmup_epochs * steps))
            else:
                rates.append(Fraction(1))
            done += 1
        if loss != loss or abs(loss) == math.inf:
            break
        ignores = left is not None and not rules.restarts
        if not ignores and (best == math.inf or loss < best - rules.min_delta):
            best, bad = loss, 0
            if left is not None:
                rising, left = False, None
        else:
            bad += 1
            if bad == rules.patience + rules.cooldown_epochs + 1:
                break
            if bad == rules.patience + 1:
                left = rules.cooldown_epochs * steps
    return rates


def lambda_lr(losses, steps, last_epoch, warmup=2, cooldown=7, rate=2e-5) -> list[float]:
    """The authors' mechanism: one optimizer, a new torch LambdaLR at each change of phase."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1, k / warmup / steps))
    applied, best, wait = [], math.inf, 0
    for loss in losses[:last_epoch]:
        for _ in range(steps):
            applied.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        wait = 0 if loss < best else wait + 1
        best = min(best, loss)
        if wait == 1:
            total = cooldown * steps
            fall = lambda k, total=total: max(0.0, (total - k) / total)  # noqa: E731
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, fall)
        elif wait == 0 and len(applied) > warmup * steps:
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1.0)
    return applied


# --- 1. the two traces ---------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 10])
@pytest.mark.parametrize(
    "losses,ends,best_epoch", [(TRACE_1, ENDS_1, 4), (TRACE_2, ENDS_2, 6)], ids=["one", "two"]
)
def test_a_trace_has_the_papers_rate_at_every_step_and_epoch_end(losses, ends, best_epoch, steps):
    machine = Adaptive()
    rates, at_ends, _ = drive(machine, losses, steps, machine.settings.max_epochs)
    assert at_ends == pytest.approx(ends, abs=5e-4)
    assert len(rates) == len(ends) * steps
    assert (machine.state.best_epoch, machine.state.epoch) == (best_epoch, best_epoch + 8)
    assert rates == pytest.approx([float(r) for r in plain_loop(losses, steps, machine.settings)])
    applied = lambda_lr(losses, steps, len(ends))
    assert [2e-5 * rate for rate in rates] == pytest.approx(applied, rel=1e-12, abs=1e-20)


def test_the_machine_passes_through_the_papers_phases_when_driven_by_a_list():
    phases = [state.phase for state in replay(TRACE_2, AdaptiveSettings())]
    expected = [
        "warmup",
        *["constant"] * 2,
        "cooldown",
        *["constant"] * 2,
        *["cooldown"] * 7,
        "stop",
    ]
    assert phases == expected
    stopped = replay(TRACE_2, AdaptiveSettings())[-1]
    assert advance(stopped, 0.0, AdaptiveSettings()) == stopped  # stop is final
    assert rate_factor(stopped, 14 * 3, 3, AdaptiveSettings()) == 0.0


LOSSES = st.lists(
    st.sampled_from([n / 8 for n in range(13)] * 3 + [math.nan, math.inf]), min_size=1, max_size=30
)
RULES = st.builds(
    AdaptiveSettings,
    warmup_epochs=st.integers(0, 4),
    patience=st.integers(0, 3),
    cooldown_epochs=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 0.125, 0.3]),
    restarts=st.booleans(),
    max_epochs=st.integers(1, 25),
)


@settings(max_examples=250, deadline=None)
@given(LOSSES, RULES, st.integers(1, 4))
def test_any_losses_give_the_rates_and_the_length_of_a_plain_loop_never_outside_0_and_1(
    losses, rules, steps
):
    rates, ends, _ = drive(Adaptive(rules), losses, steps, rules.max_epochs)
    assert rates == pytest.approx([float(r) for r in plain_loop(losses, steps, rules)], abs=1e-15)
    assert all(0.0 <= rate <= 1.0 for rate in rates + ends)


# --- 2. to 7. the rules, one by one --------------------------------------------------------


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("cooldown", [0, 1, 7])
@pytest.mark.parametrize("best", [1, 2, 6])
def test_the_last_epoch_is_best_plus_patience_plus_cooldown_plus_one(patience, cooldown, best):
    losses = [10.0 - n for n in range(best)] + [99.0] * 30
    rules = AdaptiveSettings(patience=patience, cooldown_epochs=cooldown)
    last = replay(losses, rules)[-1]
    assert last.phase == "stop"
    assert last.epoch == best + patience + cooldown + 1
    if cooldown == 0:  # plain early stopping: the rate never falls
        rates, _, _ = drive(Adaptive(rules), losses, 2, 50)
        assert set(rates[4:]) <= {1.0}


def test_rate_rises_from_0_meets_the_plateau_and_falls_from_full_to_one_part_and_then_0():
    rules, steps = AdaptiveSettings(), 10
    rates, ends, _ = drive(Adaptive(rules), TRACE_1, steps, 250)
    assert rates[:20] == [step / 20 for step in range(20)]
    assert rates[20:50] == [1.0] * 30
    assert rate_factor(start(rules), 20, steps, rules) == 1.0  # either formula, same rate
    assert rates[50] == 1.0  # the cool-down's first step
    assert rates[-1] * 2e-5 == pytest.approx(2.857e-7, rel=1e-4)  # section 3.2: 1 / (C S)
    assert ends[-1] == 0.0


@pytest.mark.parametrize("second", [1.0, 0.95, 0.9])
def test_equal_loss_and_improvement_of_no_more_than_min_delta_count_as_bad(second):
    rules = AdaptiveSettings(min_delta=0.1)
    assert advance(advance(start(rules), 1.0, rules), second, rules).wait == 1
    assert replay([1.0, 0.899], rules)[-1].wait == 0  # negative control
    assert replay([1.0, 1.0], AdaptiveSettings())[-1].phase == "cooldown"
    assert replay([1.0, math.nextafter(1.0, 0)], AdaptiveSettings())[-1].phase == "constant"


@pytest.mark.parametrize("bad,word", [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_loss_that_is_not_finite_stops_the_run_at_once(bad, word, at):
    losses = [1.0, 0.9, 0.8, 0.9, 0.9][:at] + [bad] + [0.1] * 5
    last = replay(losses, AdaptiveSettings())[-1]
    assert last.phase == "stop"
    assert last.reason == f"validation loss became {word} at epoch {at + 1}"


def test_a_restart_needs_a_loss_below_the_best_not_below_the_previous_one():
    losses = [1.0, 0.5, 0.9, 0.8, 0.7, 0.49]  # falling since epoch 3, below the best at epoch 6
    states = replay(losses, AdaptiveSettings())
    assert [s.phase for s in states[2:]] == ["cooldown"] * 3 + ["constant"]
    assert [s.wait for s in states[2:]] == [1, 2, 3, 0]
    rates, _, _ = drive(Adaptive(), [*losses, 0.6], 4, 250)
    assert rates[5 * 4 - 1] < rates[5 * 4 - 2] < 1  # still falling in epoch 5
    assert rates[6 * 4 :] == [1.0] * 4  # epoch 7: full rate at once, no warm-up


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("cooldown", [1, 7])
def test_without_restarts_the_run_ends_after_the_cooldown_though_every_loss_improves(
    patience, cooldown
):
    losses = [1.0] * (patience + 2) + [0.5 / n for n in range(1, 30)]
    rules = AdaptiveSettings(patience=patience, cooldown_epochs=cooldown, restarts=False)
    last = replay(losses, rules)[-1]
    assert last.epoch == patience + 2 + cooldown
    assert last.best == 1.0
    assert replay(losses, AdaptiveSettings(patience, cooldown))[-1].phase != "stop"  # control


def test_a_bad_epoch_during_warm_up_starts_a_cooldown_from_the_full_rate():
    machine = Adaptive(AdaptiveSettings(warmup_epochs=4))
    rates, _, _ = drive(machine, [1.0, 2.0, 2.0], 2, 250)
    assert rates == [0, 1 / 8, 2 / 8, 3 / 8, 1.0, 13 / 14]  # a jump up from 3/8, then the fall
    # An improvement then goes to the plateau, not back into the warm-up.
    rates, _, _ = drive(machine, [1.0, 2.0, 0.5, 0.4], 2, 250)
    assert rates[-2:] == [1.0, 1.0]


# --- 8. and 9. in the real loop ------------------------------------------------------------

STEPS, RATE, DECAY = 3, 2e-3, 0.1
LOOP = Settings(250, batch_size=4, learning_rate=RATE, weight_decay=DECAY, clip=0.0)


def small_model(seed: int = 0) -> SequenceClassifier:
    config = own_config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12
    )
    return randomise(SequenceClassifier(config), seed, std=0.3).double()


def small_items() -> list[Item]:
    """Eleven items: three steps an epoch, the last of them smaller."""
    generator = torch.Generator().manual_seed(1)
    items = []
    for number in range(11):
        length = 2 + number % 4
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        items.append(Item(number, ids, [0] * length, [0], [number % 3]))
    return items


def scripted(losses, seen=None):
    """A `validate` that hands out `losses`; the score of an epoch is minus its loss."""
    script = iter(losses)

    def validate(model):
        loss = next(script)
        if seen is not None:
            seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return loss, -loss

    return validate


class Watch:
    """A `gradients` rule that changes nothing and notes weights, and the optimizer's rates."""

    def __init__(self, monkeypatch):
        self.weights, self.rates, self.optimizers = [], [], []
        build = loop.adamw

        def adamw(*arguments, **named):
            self.optimizers.append(build(*arguments, **named))
            return self.optimizers[-1]

        monkeypatch.setattr(loop, "adamw", adamw)

    def before_step(self, parameters):
        self.rates.append([group["lr"] for group in self.optimizers[0].param_groups])

    def after_step(self, parameters):
        self.weights.append({name: p.detach().clone() for name, p in parameters.items()})


def adamw_by_hand(model, items, factors, forget_moments_at=()):
    """Plain AdamW, one set of moments for the whole run; yields the weights after each step."""
    order = torch.Generator().manual_seed(SEEDS.order)
    parameters = dict(model.train().named_parameters())
    first = {name: torch.zeros_like(p) for name, p in parameters.items()}
    second = {name: torch.zeros_like(p) for name, p in parameters.items()}
    batches, count = [], 0
    for step, factor in enumerate(factors):
        if not batches:
            shuffled = torch.randperm(len(items), generator=order).tolist()
            batches = [shuffled[i : i + 4] for i in range(0, len(items), 4)]
        if step in forget_moments_at:
            count = 0
            for name in parameters:
                first[name].zero_()
                second[name].zero_()
        batch = make_batch([items[i] for i in batches.pop(0)])
        loss = F.cross_entropy(model(batch.packed), batch.targets)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        count, rate = count + 1, RATE * float(factor)
        with torch.no_grad():
            for (name, p), gradient in zip(parameters.items(), gradients):
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient**2
                mean = first[name] / (1 - 0.9**count)
                scale = (second[name] / (1 - 0.999**count)).sqrt() + 1e-8
                decay = DECAY * p if p.ndim == 2 else 0.0
                p -= rate * (mean / scale + decay)
        yield {name: p.detach().clone() for name, p in parameters.items()}


def distance(a: dict, b: dict) -> float:
    return max(float((a[name] - b[name]).detach().abs().max()) for name in a)


def test_weights_follow_adamw_with_untouched_moments_through_cooldown_restart_and_cooldown(
    monkeypatch,
):
    watch = Watch(monkeypatch)
    script = scripted(TRACE_2)
    history = tune(
        small_model(), small_items(), LOOP, rule=watch, schedule=Adaptive(), validate=script
    )
    factors = plain_loop(TRACE_2, STEPS, AdaptiveSettings())
    assert len(history.epochs) == 14
    assert len(watch.weights) == len(factors) == 42
    for step, expected in enumerate(adamw_by_hand(small_model(), small_items(), factors)):
        assert distance(watch.weights[step], expected) < 1e-11, f"step {step}"

    # Negative controls: a new optimizer at each change of phase, and a missing restart.
    for wrong in (
        adamw_by_hand(small_model(), small_items(), factors, forget_moments_at=(12, 15, 21)),
        adamw_by_hand(small_model(), small_items(), factors[:15] + factors[24:27] + factors[18:]),
    ):
        assert distance(watch.weights[-1], list(wrong)[-1]) > 1e-4


@pytest.mark.parametrize(
    "schedule",
    [
        Adaptive(),
        Trapezoid(14, cooldown_epochs=7),
        SlantedTriangular(),
        early_stopping(20, Linear()),
    ],
    ids=repr,
)
def test_every_optimizer_group_gets_the_same_factor_at_every_step(monkeypatch, schedule):
    watch = Watch(monkeypatch)
    settings = Settings(14, batch_size=4, learning_rate=RATE)
    script = scripted(TRACE_2)
    tune(small_model(), small_items(), settings, rule=watch, schedule=schedule, validate=script)
    factors, _, _ = drive(schedule, TRACE_2, STEPS, 14)
    assert len(watch.optimizers[0].param_groups) == 2
    assert len(watch.rates) == len(factors) == 42
    for rates, factor in zip(watch.rates, factors):
        assert rates == pytest.approx([RATE * factor] * 2, rel=1e-15)


@pytest.mark.parametrize("keep,epoch", [("last", 14), ("best", 6)])
def test_last_and_best_weights_differ_and_the_one_asked_for_is_kept(keep, epoch):
    seen: list[dict] = []
    model = small_model()
    settings = Settings(250, batch_size=4, learning_rate=RATE, keep=keep)
    script = scripted(TRACE_2, seen)
    history = tune(model, small_items(), settings, schedule=Adaptive(), validate=script)
    assert history.kept_epoch == epoch
    assert distance(dict(model.named_parameters()), seen[epoch - 1]) == 0
    assert distance(seen[6 - 1], seen[14 - 1]) > 1e-4
    assert history.stopped == (
        "validation loss has not improved since epoch 6 (0.66); cool-down finished"
    )


RISING, FALLING = [Fraction(k, 6) for k in range(6)], [Fraction(k, 21) for k in range(21, 0, -1)]


@pytest.mark.parametrize(
    "schedule,factors",
    [
        (SlantedTriangular(), printed(30)),
        (Constant(), [1] * 30),
        (Trapezoid(10, cooldown_epochs=7), RISING + [1] * 3 + FALLING),
    ],
    ids=["slanted", "constant", "hybrid"],
)
def test_a_schedule_of_fixed_length_trains_without_a_validation_split(schedule, factors):
    model, settings = small_model(), replace(LOOP, epochs=10)
    history = tune(model, small_items(), settings, schedule=schedule)
    *_, expected = adamw_by_hand(small_model(), small_items(), factors)
    assert history.epochs[-1].step == 30
    assert distance(dict(model.named_parameters()), expected) < 1e-11


def test_a_run_without_validation_split_is_refused_with_a_remedy():
    for schedule in (Adaptive(), early_stopping(1, Linear())):
        schedule.begin(1, 9)
        with pytest.raises(MiniftError, match="give it a development split"):
            schedule.after_epoch(None)
        with pytest.raises(MiniftError, match="schedule decides by the development split"):
            tune(small_model(), small_items(), LOOP, schedule=schedule)


# --- 10. the cap, and the sentences --------------------------------------------------------


@pytest.mark.parametrize(
    "losses,rules,sentence",
    [
        (
            [1, 0.9, 0.8, 0.512, *[0.6] * 8],
            AdaptiveSettings(),
            "validation loss has not improved since epoch 4 (0.512); cool-down finished",
        ),
        (
            [1, 1],
            AdaptiveSettings(cooldown_epochs=0),
            "validation loss has not improved since epoch 1 (1)",
        ),
        (
            [1, 0.95, 0.93],
            AdaptiveSettings(patience=1, cooldown_epochs=0, min_delta=0.1),
            "validation loss has not improved by more than 0.1 since epoch 1 (1)",
        ),
        (
            [1, 2, 0.5, 0.4],
            AdaptiveSettings(cooldown_epochs=2, restarts=False),
            "the cool-down after epoch 2 finished; restarts are off",
        ),
        (
            [1 / n for n in range(1, 251)],
            AdaptiveSettings(),
            "the cap of 250 epochs was reached 0 epochs after the last improvement: not converged",
        ),
        (
            [1, 2, 2],
            AdaptiveSettings(patience=4, max_epochs=3),
            "the cap of 3 epochs was reached 2 epochs after the last improvement: not converged",
        ),
        (
            [1, 2, 2],
            AdaptiveSettings(max_epochs=3),
            "the cap of 3 epochs was reached 2 epochs after the last improvement: not converged",
        ),
        (
            [1, 2, 0.5],
            AdaptiveSettings(max_epochs=3),
            "the cap of 3 epochs was reached 0 epochs after the last improvement: not converged",
        ),
    ],
)
def test_the_reason_for_stopping_is_a_plain_true_sentence(losses, rules, sentence):
    states = replay(losses, rules)
    assert len(states) == len(losses)
    assert states[-1].reason == sentence
    assert all(state.reason == "" for state in states[:-1])


def test_the_loops_own_number_of_epochs_is_a_cap_too_and_the_run_says_not_converged():
    settings = Settings(3, batch_size=4)
    script = scripted([0.3, 0.2, 0.1])
    history = tune(small_model(), small_items(), settings, schedule=Adaptive(), validate=script)
    assert history.stopped == (
        "the cap of 3 epochs was reached 0 epochs after the last improvement: not converged"
    )
    # A cool-down that ends on the very last epoch has converged.
    assert "cool-down finished" in replay(TRACE_1, AdaptiveSettings(max_epochs=12))[-1].reason


# --- 11. the presets -----------------------------------------------------------------------


def test_the_adaptive_presets_numbers_are_the_papers():
    assert Adaptive().settings == AdaptiveSettings(2, 0, 7, 0.0, True, 250)
    assert Adaptive().settings.max_epochs == 250
    assert Trapezoid(20, cooldown_epochs=7).epochs == 20
    made = recipe("adaptive").settings  # where it differs: the authors train at 2e-5, not clipped
    assert (made.learning_rate, made.clip) == (5e-5, 1.0)


@pytest.mark.parametrize("epochs", [9, 12, 20])
@pytest.mark.parametrize("steps", [1, 4])
def test_hybrid_has_the_curve_of_adaptive_without_restarts_of_the_same_length(epochs, steps):
    # The last good epoch of a run of E epochs is E - 8; improvements during the cool-down vary.
    losses = [100.0 - n for n in range(epochs - 8)] + [200.0] + [1.0 / n for n in range(1, 9)]
    rules = AdaptiveSettings(restarts=False)
    found, ends, _ = drive(Adaptive(rules), losses, steps, 250)
    fixed, fixed_ends, _ = drive(
        Trapezoid(epochs, cooldown_epochs=7), [None] * epochs, steps, epochs
    )
    assert len(found) == epochs * steps
    assert fixed == pytest.approx(found, abs=1e-15)
    assert fixed_ends == pytest.approx(ends, abs=1e-15)


# --- 12. resuming --------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(14))
def test_a_new_machine_that_is_told_the_losses_so_far_gives_the_same_rates_and_end(cut):
    whole, _, reason = drive(Adaptive(), TRACE_2, 3, 250)
    machine = Adaptive()
    assert drive(machine, TRACE_1, 3, 250)[0] != whole  # `begin` forgets another run
    machine.begin(3, 250)
    for loss in TRACE_2[:cut]:
        machine.after_epoch(loss)
    rates, ended = [], None
    for epoch in range(cut, 14):
        rates += [machine.factor(step) for step in range(3 * epoch, 3 * epoch + 3)]
        ended = machine.after_epoch(TRACE_2[epoch])
    assert rates == whole[3 * cut :]
    assert ended == reason


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"patience": -1}, "patience must be a whole number from 0 up, got -1"),
        ({"cooldown_epochs": 1.5}, "cooldown_epochs must be a whole number from 0 up, got 1.5"),
        ({"max_epochs": 0}, "max_epochs must be a whole number from 1 up, got 0"),
        ({"min_delta": math.nan}, "min_delta must be a number from 0 up, got nan"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(arguments, message):
    with pytest.raises(MiniftError, match=message):
        AdaptiveSettings(**arguments)


# --- 13. the loss it is given --------------------------------------------------------------


def test_the_validation_loss_weighs_targets_not_batches_and_that_can_change_the_phase():
    generator = torch.Generator().manual_seed(3)
    items = []
    for number, length in enumerate((9, 9, 9, 2)):
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        targets = torch.randint(3, (length,), generator=generator).tolist()
        items.append(Item(number, ids, [0] * length, list(range(length)), targets))
    model = randomise(TokenClassifier(own_config()), 0).eval()
    logits = predict_logits(model, items, tokens=18)  # two batches of two sentences

    losses = [
        [-math.log(math.exp(row[target]) / sum(math.exp(x) for x in row)) for row, target in pairs]
        for pairs in (
            [(r.tolist(), t) for r, t in zip(ls, i.targets)] for ls, i in zip(logits, items)
        )
    ]
    batches = [losses[0] + losses[1], losses[2] + losses[3]]
    by_target = sum(sum(batch) for batch in batches) / 29
    by_batch = sum(sum(batch) / len(batch) for batch in batches) / 2
    assert mean_loss(logits, items) == pytest.approx(by_target, abs=1e-6)
    assert abs(by_batch - by_target) > 1e-3

    # Four targets improve a little while the single one of the last batch gets worse.
    epochs = [([1.0] * 4, [1.0]), ([0.9] * 4, [1.3])]
    weighted = [(sum(a) + sum(b)) / 5 for a, b in epochs]
    unweighted = [(sum(a) / 4 + sum(b)) / 2 for a, b in epochs]
    assert replay(weighted, AdaptiveSettings())[-1].phase == "constant"
    assert replay(unweighted, AdaptiveSettings())[-1].phase == "cooldown"


# --- early stopping ------------------------------------------------------------------------


def last_epoch(losses, patience, min_delta) -> int | None:
    schedule = early_stopping(patience, Linear(), min_delta)
    schedule.begin(2, len(losses))
    for epoch, loss in enumerate(losses, start=1):
        if schedule.after_epoch(loss):
            return epoch
    return None


def last_epoch_of_transformers(losses, patience, min_delta) -> int | None:
    """The order of `Trainer`: the callback gets the loss, then the best metric moves."""
    args = SimpleNamespace(
        metric_for_best_model="loss", greater_is_better=False, save_strategy="no"
    )
    trainer = SimpleNamespace(args=args, state=SimpleNamespace(best_metric=None))
    callback = transformers.EarlyStoppingCallback(patience, min_delta)
    for epoch, loss in enumerate(losses, start=1):
        control = SimpleNamespace(should_training_stop=False)
        callback.on_evaluate(args, trainer.state, control, {"eval_loss": loss})
        transformers.Trainer._determine_best_metric(trainer, {"eval_loss": loss}, None)
        if control.should_training_stop:
            return epoch
    return None


SLOW_DESCENT = [1 - 0.04 * n for n in range(21)]  # to a fifth, in steps below min_delta


def test_many_improvements_each_below_min_delta_add_up_where_a_drifting_rule_stops():
    assert last_epoch(SLOW_DESCENT, patience=3, min_delta=0.1) is None
    # The peer compares with the best so far, which follows each step: no step is large enough.
    # Its patience of 4 is ours of 3.
    assert last_epoch_of_transformers(SLOW_DESCENT, patience=4, min_delta=0.1) == 5
    # Control: without min_delta, and on a loss that truly stalls, the two agree.
    assert last_epoch_of_transformers(SLOW_DESCENT, patience=4, min_delta=0.0) is None
    stalls = [1.0, 0.5, *[0.6] * 9]
    assert last_epoch(stalls, 3, 0.1) == last_epoch_of_transformers(stalls, 4, 0.1) == 6


def test_progress_slower_than_min_delta_within_the_patience_still_stops_the_run():
    creeping = [1 - 0.01 * n for n in range(30)]
    assert last_epoch(creeping, patience=3, min_delta=0.1) == 5
    assert last_epoch(creeping, patience=3, min_delta=0.02) is None


def test_a_rule_that_compares_with_the_previous_epoch_does_not_stop_though_the_best_is_long_past():
    saw = [1.0, 0.5, *[0.9, 0.8, 0.7, 0.6] * 5]
    bad = [later >= earlier for earlier, later in itertools.pairwise(saw)]
    assert (True, True) not in itertools.pairwise(bad)  # by that rule, never two in a row
    assert last_epoch(saw, patience=1, min_delta=0.0) == 4


@settings(max_examples=100, deadline=None)
@given(LOSSES, st.integers(0, 3))
def test_early_stopping_is_the_machine_without_warm_up_and_cooldown(losses, patience):
    rules = AdaptiveSettings(0, patience, 0)
    states = replay(losses, rules)
    expected = len(states) if states[-1].phase == "stop" else None
    assert last_epoch(losses, patience, 0.0) == expected


def test_early_stopping_keeps_the_rates_of_the_schedule_it_wraps():
    wrapped = early_stopping(1, Linear(0.2))
    rates, _, reason = drive(wrapped, [1, 2, 2, 0], 5, 10)
    plain, _, _ = drive(Linear(0.2), [None] * 3, 5, 10)
    assert rates == plain and len(rates) == 15
    assert reason == "validation loss has not improved since epoch 1 (1)"
    # The loop's end is not the rule's: it leaves the sentence to the loop.
    assert drive(early_stopping(1, Linear()), [3, 2, 1], 5, 3)[2] is None
