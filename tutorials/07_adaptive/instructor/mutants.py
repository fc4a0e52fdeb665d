"""Wrong solutions that people write: each must lose its own check, in its own words."""

from _grading.mutants import Mutant

IMPROVED = 'loss < state["best"] - rules["min_delta"]'
TRIGGER = 'if new["wait"] == rules["patience"] + 1:'
END = 'if new["wait"] > rules["patience"] + rules["cooldown"]:'
RETURN = '        if cooling:\n            new["phase"] = "constant"\n'
RISE = 'return done / (rules["warmup"] * steps_per_epoch)'
FALL = "return 1 - (epochs * steps_per_epoch + step) / falling"
WAY = 'rules["patience"] + 1 - state["wait"] - inside'

MUTANTS = [
    # --- task 1: the best
    Mutant(
        "an equal loss is taken for a new best",
        IMPROVED,
        'loss <= state["best"] - rules["min_delta"]',
        loses="check_best",
        says="is not a new best: it must be lower by more",
    ),
    Mutant(
        "the best drifts with every lower loss",
        '        new["wait"] += 1\n',
        '        new["wait"] += 1\n'
        '        if not cooling:\n            new["best"] = min(state["best"], loss)\n',
        loses="check_best",
        says="slow progress then never adds up to an improvement",
    ),
    Mutant(
        "min_delta is not used",
        IMPROVED,
        'loss < state["best"]',
        loses="check_best",
        says="min_delta is left out",
    ),
    Mutant(
        "min_delta has the wrong sign",
        IMPROVED,
        'loss < state["best"] + rules["min_delta"]',
        loses="check_best",
        says="min_delta is added to the best",
    ),
    # --- task 1: the phases
    Mutant(
        "patience as in Keras, Lightning and transformers: the machine reacts at that number",
        TRIGGER,
        'if new["wait"] == max(1, rules["patience"]):',
        loses="check_phases",
        says="is 'cooldown', expected 'constant'",
    ),
    Mutant(
        "the cool-down begins an epoch late",
        TRIGGER,
        'if new["wait"] == rules["patience"] + 2:',
        loses="check_phases",
        says="is 'constant', expected 'cooldown'",
    ),
    Mutant(
        "the machine stops before the last epoch of the cool-down",
        END,
        'if new["wait"] >= max(1, rules["patience"] + rules["cooldown"]):',
        loses="check_phases",
        says="before all epochs of the cool-down are done",
    ),
    Mutant(
        "the cool-down is an epoch too long",
        END,
        'if new["wait"] > rules["patience"] + rules["cooldown"] + 1:',
        loses="check_phases",
        says="the cool-down is one epoch too long",
    ),
    Mutant(
        "the warm-up is thought to be guarded",
        TRIGGER,
        'if new["wait"] == rules["patience"] + 1 and new["epoch"] >= rules["warmup"]:',
        loses="check_phases",
        says="nothing is guarded there",
    ),
    Mutant(
        "the warm-up takes an epoch more",
        'new["epoch"] >= rules["warmup"]',
        'new["epoch"] > rules["warmup"]',
        loses="check_phases",
        says="the warm-up is one epoch too long",
    ),
    # --- task 1: restarts
    Mutant(
        "a new best during the cool-down is noted, and the cool-down continues",
        RETURN,
        "",
        loses="check_restart",
        says="does not lead back to the constant phase",
    ),
    Mutant(
        "restarts cannot be switched off",
        'deaf = cooling and not rules["restarts"]',
        "deaf = False",
        base="solution_b.py",
        loses="check_restart",
        says="with restarts off a lower loss during the cool-down still ends it",
    ),
    Mutant(
        "wait is not reset by a return",
        "new.update(best=loss, wait=0)",
        'new.update(best=loss, wait=new["wait"] + 1 if cooling else 0)',
        loses="check_restart",
        says="cool-down would come too soon",
    ),
    Mutant(
        "a return warms up anew",
        RETURN,
        "        if cooling:\n"
        '            young = new["epoch"] < rules["warmup"]\n'
        '            new["phase"] = "warmup" if young else "constant"\n',
        loses="check_restart",
        says="not back into the warm-up",
    ),
    # --- task 1: the other ends
    Mutant(
        "nan is compared like a number: it is never lower, and never ends a run",
        '    if not math.isfinite(loss):\n        return dict(new, phase="stop")\n',
        "",
        loses="check_stop",
        says="a loss of nan or inf is to stop the machine",
    ),
    Mutant(
        "inf is forgotten",
        "if math.isnan(loss) or math.isinf(loss):",
        "if math.isnan(loss):",
        base="solution_b.py",
        loses="check_stop",
        says="and inf is to stop it, too",
    ),
    Mutant(
        "one epoch more than the cap",
        'if new["epoch"] >= rules["max_epochs"]:',
        'if new["epoch"] > rules["max_epochs"]:',
        loses="check_stop",
        says="one epoch longer than max_epochs",
    ),
    Mutant(
        "a stopped machine wakes up",
        '    if old.phase != "stop":\n        old = _next(old, loss, rules)\n',
        "    old = _next(old, loss, rules)\n",
        base="solution_b.py",
        loses="check_stop",
        says="a machine that has stopped is to stay as it is",
    ),
    Mutant(
        "the old state is changed",
        'new = dict(state, epoch=state["epoch"] + 1)',
        'cooling = state["phase"] == "cooldown"\n    state["epoch"] += 1\n    new = state',
        loses="check_stop",
        says="advance changes the state that it was given",
    ),
    # --- task 2
    Mutant(
        "the warm-up's epochs are taken for steps",
        RISE,
        'return done / rules["warmup"]',
        loses="check_rise",
        says="it is taken for one of steps",
    ),
    Mutant(
        "the first step is not at 0",
        RISE,
        'return (done + 1) / (rules["warmup"] * steps_per_epoch)',
        loses="check_rise",
        says="the rise is one step ahead",
    ),
    Mutant(
        "each epoch of the warm-up begins at 0",
        'done = state["epoch"] * steps_per_epoch + step',
        "done = step",
        loses="check_rise",
        says="the rise begins anew in each epoch",
    ),
    Mutant(
        "the cool-down's first step is below the full rate",
        FALL,
        "return 1 - (epochs * steps_per_epoch + step + 1) / falling",
        loses="check_fall",
        says="the fall is one step ahead",
    ),
    Mutant(
        "the epoch that began the cool-down is counted in",
        'epochs = state["wait"] - rules["patience"] - 1',
        'epochs = state["wait"] - rules["patience"]',
        loses="check_fall",
        says="the epoch that began the cool-down is not part of it",
    ),
    Mutant(
        "all epochs since the best are counted in",
        WAY,
        '-state["wait"] - inside',
        base="solution_b.py",
        loses="check_fall",
        says="the fall counts all epochs since the best one",
    ),
    Mutant(
        "the rate falls in stairs",
        WAY,
        'rules["patience"] + 1 - state["wait"]',
        base="solution_b.py",
        loses="check_fall",
        says="falls from epoch to epoch only",
    ),
    Mutant(
        "hybrid turns an epoch early, since the authors' epochs count from 0",
        "return 1.0 if left > falling else left / falling",
        'left -= steps_per_epoch * (preset == "hybrid")\n'
        "    return 1.0 if left > falling else max(0.0, left / falling)",
        loses="check_presets",
        says="the fall of hybrid is one epoch early",
    ),
    Mutant(
        "the usual tenth of all steps for the warm-up",
        "total, rising = epochs * steps_per_epoch, 2 * steps_per_epoch",
        "total = epochs * steps_per_epoch\n    rising = max(1, total // 10)",
        loses="check_presets",
        says="here it is a tenth of the run",
    ),
    Mutant(
        "the last step is at 0",
        "left = total - step\n",
        "left = total - step\n    if left <= falling:\n"
        "        left, falling = left - 1, falling - 1\n",
        loses="check_presets",
        says="the fall reaches 0 at the last step; it would",
    ),
    Mutant(
        "the rate falls from the full height of the run, not of the place",
        "return 1.0 if left > falling else left / falling",
        "return 1.0 if left > falling else left / total",
        loses="check_presets",
        says="the factor jumps where the fall begins",
    ),
    # --- task 3
    Mutant(
        "the best still drifts",
        "        if loss < best - min_delta:\n            best, wait = loss, 0\n        else:\n"
        "            wait += 1\n",
        "        wait = 0 if loss < best - min_delta else wait + 1\n"
        "        best = min(best, loss)\n",
        loses="check_train",
        says="the best follows losses that were not accepted",
    ),
    Mutant(
        "an equal loss still passes",
        "if loss < best - min_delta:",
        "if loss <= best - min_delta:",
        loses="check_train",
        says="passes for a new best",
    ),
    Mutant(
        "the run still ends at patience",
        "if wait > patience:",
        "if wait >= patience:",
        loses="check_train",
        says="the run ends one epoch early",
    ),
    Mutant(
        "the warm-up is still in steps",
        "min(1.0, step / (warmup * steps_per_epoch))",
        "min(1.0, step / warmup)",
        loses="check_train",
        says="the rate rises over that many steps",
    ),
    Mutant(
        "a loss is compared with the one before",
        "            best, wait = loss, 0\n        else:\n            wait += 1\n",
        "            wait = 0\n        else:\n            wait += 1\n        best = loss\n",
        loses="check_train",
        says="a loss is compared with that of the epoch before, not with the best",
    ),
    # --- task 4
    Mutant(
        "no loss of the test is twice the same where it matters",
        "found = candidate([1.0, 1.0], 0, 4, 0.0)",
        "found = candidate([1.0, 1.5], 0, 4, 0.0)",
        loses="check_your_test",
        says="it passes one that takes an equal loss for a new best",
    ),
    Mutant(
        "the test ends in its first cool-down",
        "candidate([5.0, 6.0, 6.0, 4.0, 7.0, 7.0, 7.0], 0, 3, 0.0)\n    expected = ["
        "constant, cooldown, cooldown, constant, cooldown, cooldown, cooldown]",
        "candidate([5.0, 6.0, 6.0], 0, 3, 0.0)\n    expected = [constant, cooldown, cooldown]",
        loses="check_your_test",
        says="it passes one that does not go back",
    ),
    Mutant(
        "the test sees no second cool-down to its end",
        "candidate([5.0, 6.0, 6.0, 4.0, 7.0, 7.0, 7.0], 0, 3, 0.0)\n    expected = ["
        "constant, cooldown, cooldown, constant, cooldown, cooldown, cooldown]",
        "candidate([5.0, 6.0, 6.0, 4.0], 0, 3, 0.0)\n"
        "    expected = [constant, cooldown, cooldown, constant]",
        loses="check_your_test",
        says="it passes one that continues an earlier cool-down",
    ),
    Mutant(
        "the test has no good epoch between bad ones",
        "candidate([5.0, 6.0, 4.0, 6.0], 1, 4, 0.0)\n    assert found == [constant] * 4",
        "candidate([5.0, 4.0], 1, 4, 0.0)\n    assert found == [constant] * 2",
        loses="check_your_test",
        says="it passes one that adds up all bad epochs",
    ),
    Mutant(
        "min_delta is 0 in all of the test",
        "for min_delta in (0.0, 0.15):",
        "for min_delta in (0.0,):",
        base="solution_b.py",
        loses="check_your_test",
        says="it passes one that lets the best follow losses",
    ),
    Mutant(
        "the test takes patience for the number at which the machine reacts",
        '[constant, constant, cooldown], "patience is tolerated"',
        '[constant, cooldown, cooldown], "patience is tolerated"',
        loses="check_your_test",
        says="fails a version that is right",
    ),
    # --- task 5
    Mutant(
        "patience is taken for the number of the epoch that reacts",
        '"shortest": 11',
        '"shortest": 10',
        loses="check_shortest",
        says="this is one short",
    ),
    Mutant(
        "the first step of the warm-up is not at 0",
        '"mean_factor": 0.775',
        '"mean_factor": 0.78',
        loses="check_mean",
        says="this takes the rise one step ahead",
    ),
    Mutant(
        "the first return is missed",
        '"stops_after": 18',
        '"stops_after": 11',
        loses="check_length",
        says="here the first is missed",
    ),
    Mutant(
        "only one of two losses is thought to be off",
        '"false_alarm": 36.2',
        '"false_alarm": 30.9',
        loses="check_alarm",
        says="both losses are measured with an error",
    ),
]
