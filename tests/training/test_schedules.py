"""Linear warm-up and decay are the published ones, step for step.

claim                                                        oracle
linear warm-up and decay                                     transformers' schedule
it never stops a run, whatever the validation loss           a diverging loss
"""

from __future__ import annotations

import math

import pytest
import torch
import transformers

from minift.errors import MiniftError
from minift.training.schedules import Linear


def reference(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("steps_per_epoch,epochs", [(5, 8), (1, 3), (19, 1), (1, 1), (63, 4)])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.4])
def test_linear_equals_transformers_at_every_step(steps_per_epoch, epochs, warmup):
    total = steps_per_epoch * epochs
    schedule = Linear(warmup)
    schedule.begin(steps_per_epoch, epochs)
    expected = reference(
        lambda optimizer: transformers.get_linear_schedule_with_warmup(
            optimizer, int(warmup * total), total
        ),
        total,
    )
    assert [schedule.factor(step) for step in range(total)] == pytest.approx(expected, abs=1e-12)


def test_it_never_stops_a_run():
    schedule = Linear()
    schedule.begin(2, 3)
    assert [schedule.after_epoch(loss) for loss in (1.0, 9.0, math.nan, None)] == [None] * 4


@pytest.mark.parametrize("warmup", [-0.1, 1.0])
def test_a_warm_up_outside_its_range_is_refused(warmup):
    with pytest.raises(MiniftError, match=f"got {warmup}"):
        Linear(warmup)
