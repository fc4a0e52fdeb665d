"""The step-driven loop of distillation and pretraining.

claim                                                      oracle
a step is Adam's on the clipped gradient of the sum of     torch.optim and clip_grad_norm_ in a
  the parts, at the rate of that step                      plain loop
killed at any step it ends with the same bits and records  the run that nobody killed; another
                                                           seed as negative control
the highest score's weights are kept                        copies made at each look
each pass reads every row once, in an order of its own     sorted rows; the passes compared
bad lengths are refused, a loss of nan spoils nothing      words; the weights before
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from minift.bert.dropout import Dropout
from minift.errors import MiniftError
from minift.runs.resume import Checkpoints
from minift.runs.steps import Steps, StepTraining, rows_of, stream

INPUTS = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))
PLAN = Steps(steps=12, rate=lambda step: 0.01 / (1 + step), evaluate_every=4, clip=0.5)


class Killed(Exception):
    """Stands for a power cut."""


def toy() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), Dropout(0.3), nn.Linear(4, 1))


def training(plan=PLAN, seed=0, checkpoints=None, kill_at=None, learns=None) -> StepTraining:
    model = learns or toy()

    def losses(step):
        if step == kill_at:
            raise Killed
        guess = model(INPUTS[rows_of(step, 12, 5, seed)])
        return {"square": guess.square().mean(), "one": (guess - 1).abs().mean()}

    optimizer = torch.optim.Adam(model.parameters())
    return StepTraining(model, optimizer, losses, plan, seed, checkpoints)


def finish(run: StepTraining, scores=None) -> StepTraining:
    for _ in run.looks(lambda: {"dev": scores[run.step]} if scores else {}):
        pass
    return run


def seen(run: StepTraining) -> tuple:
    records = [{k: v for k, v in record.items() if k != "seconds"} for record in run.records]
    return records, run.kept_step, run.best, run.stopped


def same(run: StepTraining, other: StepTraining) -> bool:
    pairs = zip(run.model.parameters(), other.model.parameters())
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_step_is_the_optimizers_on_the_clipped_gradient_of_the_sum_of_the_parts():
    run, plain = finish(training()), toy()
    optimizer = torch.optim.Adam(plain.parameters())
    dropout = torch.Generator()
    plain[1].generator = dropout
    sums = [0.0, 0.0]
    for step in range(12):
        dropout.manual_seed(stream(0, step))
        optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
        guess = plain(INPUTS[rows_of(step, 12, 5, 0)])
        parts = guess.square().mean(), (guess - 1).abs().mean()
        if step >= 8:
            sums = [total + float(part.detach()) for total, part in zip(sums, parts)]
        optimizer.zero_grad()
        sum(parts).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
    for a, b in zip(run.model.parameters(), plain.parameters()):
        assert torch.equal(a, b)
    assert [record["step"] for record in run.records] == [4, 8, 12]
    last = run.records[-1]
    assert (last["square"], last["one"]) == pytest.approx([total / 4 for total in sums])
    assert last["rate"] == pytest.approx(0.01 / 12)


@pytest.mark.parametrize("scores", [None, {2: 0.1, 4: 0.9, 6: 0.3, 8: 0.9, 10: 0.2, 12: 0.5}])
def test_killed_at_any_step_it_ends_with_the_same_bits_and_records(tmp_path, scores):
    plan = replace(PLAN, evaluate_every=2, score="dev" if scores else None)
    whole = finish(training(plan), scores)
    for step in range(1, whole.step):
        checkpoints = Checkpoints(tmp_path / str(step), every=0)
        with pytest.raises(Killed):
            finish(training(plan, 0, checkpoints, kill_at=step), scores)
        resumed = finish(training(plan, 0, checkpoints, kill_at=step - 1), scores)
        assert same(resumed, whole) and seen(resumed) == seen(whole), step
        again = finish(training(plan, 0, checkpoints, kill_at=0), scores)  # there is nothing left
        assert same(again, whole) and seen(again) == seen(whole)
    assert not same(finish(training(plan, seed=1), scores), whole)


def test_the_weights_of_the_highest_score_are_kept():
    plan = replace(PLAN, evaluate_every=2, score="dev")
    scores = {2: 0.1, 4: 0.9, 6: 0.3, 8: 0.9, 10: 0.2, 12: 0.5}
    run, copies = training(plan), {}
    for record in run.looks(lambda: {"dev": scores[run.step]}):
        copies[record["step"]] = copy.deepcopy(run.model.state_dict())
        assert not run.model.training
    assert (run.step, run.kept_step, run.best) == (12, 4, 0.9)
    assert run.stopped == "all 12 steps done"
    for name, values in run.model.state_dict().items():
        assert torch.equal(values, copies[4][name])
    assert not torch.equal(copies[4]["0.weight"], copies[10]["0.weight"])


def test_each_pass_reads_every_row_once_in_an_order_of_its_own():
    passes = []
    for number in range(3):
        read = [rows_of(4 * number + step, 10, 3, seed=7) for step in range(4)]
        assert [len(rows) for rows in read] == [3, 3, 3, 1]
        passes.append([row for rows in read for row in rows])
        assert sorted(passes[-1]) == list(range(10))
    assert len(set(map(tuple, passes))) == 3
    assert rows_of(0, 10, 3, seed=8) != rows_of(0, 10, 3, seed=7)
    assert len({stream(seed, step) for seed in range(20) for step in range(20)}) == 400


def test_bad_lengths_and_losses_and_checkpoints_are_refused(tmp_path):
    for bad in ({"steps": 0}, {"steps": 2.5}, {"evaluate_every": 0},
                {"clip": -0.1}, {"clip": float("nan")}):  # fmt: skip
        with pytest.raises(MiniftError, match=next(iter(bad))):
            replace(PLAN, **bad)
    run = training()
    before = copy.deepcopy(run.model.state_dict())
    run.losses = lambda step: {"x": run.model[0].bias.sum() * float("nan")}
    with pytest.raises(MiniftError, match="the loss became nan at step 1; lower the learning"):
        finish(run)
    assert all(torch.equal(v, before[n]) for n, v in run.model.state_dict().items())
    checkpoints = Checkpoints(tmp_path, every=0)
    finish(training(checkpoints=checkpoints))
    with pytest.raises(MiniftError, match="a checkpoint of another model"):
        training(checkpoints=checkpoints, learns=nn.Linear(5, 1))
    checkpoints.save(99, {"weights": {}})  # as an older version wrote them
    with pytest.raises(MiniftError, match="another version of minift"):
        training(checkpoints=checkpoints)
