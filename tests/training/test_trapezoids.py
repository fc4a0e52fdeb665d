"""Schedules whose curve is known before the run are the published ones, step for step.

claim                                                       oracle
original and stable; linear and constant as trapezoids      transformers' schedules
a fall ends with the run, however long it is                fractions by hand
slanted triangle                                            the printed formula, in fractions
none of them ever stops a run, whatever the loss            a diverging loss
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
import transformers

from minift.errors import MiniftError
from minift.training.trapezoids import (
    Constant,
    SlantedTriangular,
    Trapezoid,
)
from tests.training.test_schedules import reference


def drive(schedule, losses: Sequence[float], steps: int, epochs: int):
    """What a loop does: the factor of each step, the factor at each epoch end, the reason."""
    schedule.begin(steps, epochs)
    rates, ends, reason = [], [], None
    for epoch, loss in enumerate(losses[:epochs], start=1):
        rates += [schedule.factor(step) for step in range((epoch - 1) * steps, epoch * steps)]
        ends.append(schedule.factor(epoch * steps))
        if reason := schedule.after_epoch(loss):
            break
    return rates, ends, reason


# Trapezoids


@pytest.mark.parametrize("epochs", [5, 20])
@pytest.mark.parametrize("steps", [1, 7])
def test_original_and_stable_are_transformers_linear_schedule_with_two_epochs_of_warm_up(
    epochs, steps
):
    rates, ends, reason = drive(Trapezoid(epochs), [None] * epochs, steps, epochs)
    linear = transformers.get_linear_schedule_with_warmup
    expected = reference(lambda o: linear(o, 2 * steps, epochs * steps), epochs * steps)
    assert rates == pytest.approx(expected, abs=1e-15)
    assert (ends[-1], reason) == (0.0, None)


@pytest.mark.parametrize(
    "schedule,warmup", [(Constant(), 0), (Trapezoid(4, 0, 0), 0), (Trapezoid(4, 2, 0), 10)]
)
def test_without_a_fall_the_rate_is_transformers_constant_schedule(schedule, warmup):
    rates, ends, _ = drive(schedule, [None] * 4, 5, 4)
    constant = transformers.get_constant_schedule_with_warmup
    assert rates == pytest.approx(reference(lambda o: constant(o, warmup), 20), abs=1e-15)
    assert ends[-1] == 1.0


def test_a_fixed_schedule_in_a_longer_run_falls_to_0_at_the_end_of_that_run():
    rates, ends, _ = drive(Trapezoid(5), [None] * 8, 2, 8)
    assert rates[:5] == [0, 0.25, 0.5, 0.75, 1.0]
    assert ends[-1] == 0 and rates[-1] == pytest.approx(1 / 12)
    rates, ends, _ = drive(Trapezoid(9, cooldown_epochs=7), [None] * 30, 2, 30)
    assert rates[4:47] == [1.0] * 43 and rates[47] < 1 and ends[-1] == 0
    # A cool-down that begins during warm-up starts at the full rate, as adaptive's would.
    assert drive(Trapezoid(8, cooldown_epochs=7), [None] * 8, 1, 8)[0][:3] == [0, 1.0, 6 / 7]
    assert drive(Trapezoid(4, 0), [None] * 4, 1, 4)[0] == [1.0, 0.75, 0.5, 0.25]


def test_a_run_too_short_for_a_fixed_schedule_is_refused_with_the_length_it_needs():
    with pytest.raises(MiniftError, match="needs at least 8 epochs, got 7"):
        Trapezoid(7, cooldown_epochs=7)
    with pytest.raises(MiniftError, match="needs at least 3 epochs, got 2"):
        Trapezoid(5).begin(10, 2)


@pytest.mark.parametrize(
    "arguments,name", [((2.5,), "epochs"), ((9, -1), "warmup_epochs"), ((9, 2, -7), "cooldown")]
)
def test_epochs_that_are_not_whole_numbers_from_0_up_are_refused_by_name(arguments, name):
    with pytest.raises(
        MiniftError, match=rf"{name}.* must be a whole number .* got {arguments[-1]}"
    ):
        Trapezoid(*arguments)


@pytest.mark.parametrize("schedule", [Constant(), Trapezoid(3, 1), SlantedTriangular()], ids=repr)
def test_a_schedule_of_fixed_length_never_stops_a_run_and_needs_no_loss(schedule):
    schedule.begin(2, 3)
    assert [schedule.after_epoch(loss) for loss in (1.0, 9.0, math.nan, None)] == [None] * 4
    assert not schedule.needs_dev_loss


# The slanted triangle


def printed(total: int, ratio: int = 32) -> list[Fraction]:
    """The formula as ULMFiT prints it, cut_fraction = 1/10, in exact fractions."""
    cut, rates = total // 10, []
    for t in range(total):
        p = Fraction(t, cut) if t < cut else 1 - Fraction(t - cut, cut * (10 - 1))
        rates.append((1 + p * (ratio - 1)) / ratio)
    return rates


@pytest.mark.parametrize("total", [10, 30, 70, 100, 500, 1000])
def test_slanted_triangle_is_the_printed_formula_where_ten_divides_the_number_of_steps(total):
    rates, _, _ = drive(SlantedTriangular(), [None] * (total // 10), 10, total // 10)
    assert rates == pytest.approx([float(rate) for rate in printed(total)], abs=1e-14)


def test_slanted_triangle_rises_then_falls_between_its_bounds_for_every_length_up_to_500():
    for total in range(1, 501):
        schedule = SlantedTriangular()
        rates, ends, _ = drive(schedule, [None], total, 1)
        cut = max(1, total // 10)
        assert rates[0] == 1 / 32
        assert ends == [pytest.approx(1 / 32 if total > 1 else 1.0)]
        assert schedule.factor(cut) == 1.0
        assert all(1 / 32 <= rate <= 1 for rate in rates)
        assert rates[: cut + 1] == sorted(set(rates[: cut + 1]))
        assert rates[cut:] == sorted(set(rates[cut:]), reverse=True)


def test_the_last_step_of_a_slanted_triangle_is_one_part_of_the_fall_above_the_lowest_rate():
    rates, ends, _ = drive(SlantedTriangular(), [None], 100, 1)
    assert rates[-1] == pytest.approx((1 + 31 / 90) / 32)  # step 99 of 0..99; the fall has 90 parts
    assert ends == [1 / 32]  # step 100 would have the lowest rate: it is the first after the run


@pytest.mark.parametrize(
    "total,last,negative", [(19, -0.83, 8), (15, -0.40, None), (99, -0.064, None)]
)
def test_the_printed_formula_goes_negative_where_ours_does_not(total, last, negative):
    assert float(printed(total)[-1]) == pytest.approx(last, abs=5e-3)
    assert negative is None or sum(rate < 0 for rate in printed(total)) == negative
    assert min(drive(SlantedTriangular(), [None], total, 1)[0]) == 1 / 32


def test_slanted_triangles_cut_is_not_lost_to_rounding_and_bad_shapes_are_refused():
    schedule = SlantedTriangular(cut_fraction=0.29)
    schedule.begin(100, 1)
    assert 0.29 * 100 < 29 and schedule.cut == 29
    with pytest.raises(MiniftError, match="cut_fraction must be between 0 and 1, got 0"):
        SlantedTriangular(cut_fraction=0)
    with pytest.raises(MiniftError, match=r"ratio must be a number from 1 up, got 0\.5"):
        SlantedTriangular(ratio=0.5)
