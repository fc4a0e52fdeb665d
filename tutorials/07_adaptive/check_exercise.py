"""The checks of assignment 07. The reference is one machine with a switch for each mistake."""

from __future__ import annotations

import math
from itertools import product
from statistics import NormalDist

from _grading.checks import Task, Wrong, check
from _grading.diagnose import difference, equal, expect
from _grading.measure_task import grade_number
from _grading.tests_task import grade_test
from minift.methods.adaptive import AdaptiveSettings, replay

TITLE = "Adaptive fine-tuning: a machine that decides how long to train"
TASKS = {
    1: Task("The machine", minutes=40),
    2: Task("The rate at every step", minutes=30),
    3: Task("Find the bugs", minutes=25),
    4: Task("Write the test", minutes=30),
    5: Task("Measure and explain", minutes=30, hand=5),
}


def rules_of(**changes) -> dict:
    rules = {"warmup": 0, "patience": 0, "cooldown": 7, "min_delta": 0.0, "restarts": True}
    return {**rules, "max_epochs": 1000, **changes}


def state_of(phase: str, epoch: int, best: float | None, wait: int) -> dict:
    return {"phase": phase, "epoch": epoch, "best": best, "wait": wait}


def machine(state: dict, loss: float, rules: dict, mistake: str = "") -> dict:
    """Return the next state; `mistake` makes it wrong in one way."""
    phase, epoch, best, wait = (state[key] for key in ("phase", "epoch", "best", "wait"))
    if phase == "stop" and mistake != "goes on":
        return dict(state)
    epoch += 1
    if not math.isfinite(loss) and not (
        mistake == "goes on if not finite" or (mistake == "nan only" and loss == math.inf)
    ):
        return state_of("stop", epoch, best, wait)
    cooling = phase == "cooldown"
    margin = {"no delta": 0.0, "wrong sign": -rules["min_delta"]}.get(mistake, rules["min_delta"])
    limit = math.inf if best is None else best - margin
    improved = loss <= limit if mistake == "ties" else loss < limit
    restarts = rules["restarts"] or mistake == "always restarts"
    if improved and (restarts or not cooling or mistake == "best moves"):
        best = loss
        if cooling and not restarts:
            wait += 1
        else:
            if mistake == "wait stays" and cooling:
                wait += 1
            else:
                wait = 0
            if cooling and mistake != "no return":
                phase = "constant"
                if mistake == "warm-up again" and epoch < rules["warmup"]:
                    phase = "warmup"
    else:
        wait += 1
        if mistake == "drift":
            best = min(best, loss)
    patience = rules["patience"] + {"early": -1, "late": 1}.get(mistake, 0)
    cooldown = rules["cooldown"] + {"short": -1, "long": 1}.get(mistake, 0)
    guarded = mistake == "guard" and epoch < rules["warmup"]
    if wait == patience + 1 and not guarded:
        phase = "cooldown"
    if phase == "warmup" and epoch >= rules["warmup"] + (mistake == "warm"):
        phase = "constant"
    if wait >= patience + cooldown + 1:
        phase = "stop"
    if epoch >= rules["max_epochs"] + (mistake == "cap") and mistake != "no cap":
        phase = "stop"
    return state_of(phase, epoch, best, wait)


def shown(states: list, keys: tuple) -> list:
    return [{key: state[key] for key in keys} for state in states]


# --- task 1 ---


@check(task=1, points=2)
def check_best(student, draw):
    """Judge "best" and "wait" outside of the cool-down."""
    best, delta = draw.integer(8, 15) / 8, 0.25  # exact in binary: the edges are exact, too
    rules = [rules_of(patience=9), rules_of(patience=9, min_delta=delta)]
    state = state_of("constant", 5, best, draw.integer(1, 3))
    singles = [
        (state_of("constant", 0, None, 0), best, rules[1]),
        (state, best - 0.125, rules[0]),
        (state, best, rules[0]),
        (state, best + 0.125, rules[0]),
        (state, best - 0.125, rules[1]),
        (state, best - delta, rules[1]),
        (state, best - 2 * delta, rules[1]),
        (state, best + 0.125, rules[1]),
    ]
    slow = [best + 2 - 0.125 * k for k in range(8)]  # three steps are more than min_delta
    run = (state_of("constant", 0, None, 0), slow, rules[1])
    keys = ("best", "wait")

    def reference(mistake=""):
        found = [machine(*case, mistake) for case in singles]
        state = run[0]
        for loss in slow:
            state = machine(state, loss, rules[1], mistake)
            found.append(state)
        return shown(found, keys)

    said = {
        "ties": "a loss that is lower by exactly min_delta, or equal with min_delta 0, is not a "
        "new best: it must be lower by more",
        "drift": '"best" follows every lower loss, also one that is not lower by more than '
        "min_delta: slow progress then never adds up to an improvement",
        "no delta": "min_delta is left out: any lower loss is taken for a new best",
        "wrong sign": "min_delta is added to the best; a new best must be lower than best - "
        "min_delta",
    }
    got = student.call("after", singles) + student.call("driven", [run])[0]
    expect(
        shown(got, keys),
        reference(),
        what="states",
        mistakes={sentence: reference(mistake) for mistake, sentence in said.items()},
        otherwise='"best" and "wait" after single epochs',
    )


@check(task=1, points=3)
def check_phases(student, draw):
    """Judge the phases of runs where no loss is near the best and none improves while cooling."""
    cool, fall = draw.integer(3, 5), draw.integer(3, 5)
    patience = draw.integer(1, 3)
    start, warm = state_of("constant", 0, None, 0), state_of("warmup", 0, None, 0)
    falling = [9.0 - k for k in range(fall)]
    worse = [20.0 + k for k in range(15)]
    runs = [
        (start, falling + worse, rules_of(patience=0, cooldown=cool)),
        (start, falling + worse, rules_of(patience=patience, cooldown=cool)),
        (start, falling + worse, rules_of(patience=patience, cooldown=0)),
        (warm, falling + worse, rules_of(warmup=2, patience=patience, cooldown=cool)),
        (warm, falling[:1] + worse, rules_of(warmup=4, patience=0, cooldown=cool + 3)),
    ]

    def reference(mistake=""):
        found = []
        for state, losses, rules in runs:
            states = []
            for loss in losses:
                state = machine(state, loss, rules, mistake)
                states.append(state)
            found.append(states)
        return found

    right = reference()
    ends = [next(n for n, s in enumerate(run, 1) if s["phase"] == "stop") for run in right]

    def cut(found):  # what a stopped machine does is another check's
        return [[state["phase"] for state in run[:end]] for run, end in zip(found, ends)]

    said = {
        "early": "the cool-down begins one epoch early: `patience` bad epochs are tolerated, and "
        "the next one begins it",
        "late": "the cool-down begins one epoch late: after patience + 1 bad epochs in a row",
        "short": "the machine stops before all epochs of the cool-down are done",
        "long": "the cool-down is one epoch too long",
        "guard": "a bad epoch during the warm-up leads to the cool-down like any other; nothing is "
        "guarded there",
        "warm": "the warm-up is one epoch too long: its epochs are done when epoch == warmup",
    }
    got = student.call("driven", runs)
    mistakes = {sentence: cut(reference(mistake)) for mistake, sentence in said.items()}
    for number, (a, b) in enumerate(zip(cut(got), cut(right))):
        if not equal(a, b):
            _, losses, rules = runs[number]
            use = {key: rules[key] for key in ("warmup", "patience", "cooldown")}
            where = f"with {use}, losses {losses[0]}, {losses[1]}, ...: the phase after epoch"
            at = next(n for n, (x, y) in enumerate(zip(a, b), 1) if x != y)
            for sentence, wrong in mistakes.items():
                if equal(cut(got), wrong):
                    raise Wrong(sentence)
            raise Wrong(f"{where} {at} is {a[at - 1]!r}, expected {b[at - 1]!r}")
    counts = [[state["epoch"] for state in run[:end]] for run, end in zip(got, ends)]
    if not equal(counts, [list(range(1, end + 1)) for end in ends]):
        raise Wrong('"epoch" is to count the epochs done: 1 after the first')


@check(task=1, points=2)
def check_restart(student, draw):
    """Judge what a cool-down makes of a loss; no loss is near an edge."""
    patience, best = draw.integer(0, 2), draw.integer(3, 6) / 4
    rules = rules_of(patience=patience, cooldown=6)
    off = rules_of(patience=patience, cooldown=6, restarts=False)
    state = state_of("cooldown", 12, best, patience + 3)
    young = state_of("cooldown", 2, best, patience + 1)
    cases = [
        (state, best - 0.5, rules),
        (state, best + 0.25, rules),
        (state, best - 0.5, off),
        (young, best - 0.5, {**rules, "warmup": 6}),
    ]
    keys = ("phase", "best", "wait")

    def reference(mistake=""):
        return shown([machine(*case, mistake) for case in cases], keys)

    said = {
        "no return": "a new best during the cool-down does not lead back to the constant phase",
        "wait stays": 'a new best during the cool-down does not set "wait" to 0: the next '
        "cool-down would come too soon",
        "always restarts": "with restarts off a lower loss during the cool-down still ends it",
        "best moves": "with restarts off a lower loss during the cool-down is not accepted, so "
        '"best" stays',
        "warm-up again": "a new best during the cool-down leads to the constant phase, not back "
        "into the warm-up",
    }
    expect(
        shown(student.call("after", cases), keys),
        reference(),
        what="states",
        mistakes={sentence: reference(mistake) for mistake, sentence in said.items()},
        otherwise="one epoch of a cool-down",
    )


@check(task=1, points=2)
def check_stop(student, draw):
    """Judge ends that have nothing to do with patience, and purity."""
    cap, best = draw.integer(20, 40), 2.0
    rules = rules_of(patience=9, cooldown=5, max_epochs=cap)
    stopped = state_of("stop", 9, best, 3)
    cases = [
        (state_of("constant", cap - 1, best, 0), 1.0, rules),
        (state_of("constant", cap - 2, best, 0), 1.0, rules),
        (state_of("cooldown", cap - 1, best, 12), 3.0, rules),
        (state_of("constant", 5, best, 0), math.nan, rules),
        (state_of("constant", 5, best, 0), math.inf, rules),
        (stopped, 1.0, rules),
    ]

    def judged(states):
        return [state["phase"] for state in states[:-1]] + [states[-1]]

    def reference(mistake=""):
        return judged([machine(*case, mistake) for case in cases])

    said = {
        "cap": "the machine runs one epoch longer than max_epochs",
        "no cap": "the machine does not stop at max_epochs",
        "goes on if not finite": "a loss of nan or inf is to stop the machine",
        "nan only": "nan stops the machine, and inf is to stop it, too",
        "goes on": "a machine that has stopped is to stay as it is",
    }
    got = judged(student.call("after", cases))
    mistakes = {sentence: reference(mistake) for mistake, sentence in said.items()}
    for sentence, wrong in mistakes.items():
        if equal(got, wrong):
            raise Wrong(sentence)
    if equal(got[:-1], reference()[:-1]) and not equal(got[-1], stopped):
        raise Wrong(said["goes on"])
    if not equal(got, reference()):
        what = (
            "at max_epochs, in the constant phase, the phase",
            "one epoch before max_epochs the phase",
            "at max_epochs, in the cool-down, the phase",
            "after a loss of nan the phase",
            "after a loss of inf the phase",
        )
        found = (difference(a, b, where=w) for a, b, w in zip(got, reference(), what))
        raise Wrong(next(said for said in found if said))
    for case in (cases[1], (state_of("constant", 5, best, 0), 3.0, rules)):
        if not equal(student.call("kept", *case), case[0]):
            raise Wrong("advance changes the state that it was given; return a new one")


# --- task 2 ---


def factors(student, cases: list, right: list) -> list:
    """Return the student's factors; if they are wrong, cut to [0, 1] as those of mistakes are."""
    got = student.call("rates", cases)
    numbers = all(isinstance(value, (int, float)) for epoch in got for value in epoch)
    if not numbers or equal(got, right):
        return got
    cut = [[min(1.0, max(0.0, value)) for value in epoch] for epoch in got]
    return got if equal(cut, right) else cut


@check(task=2, points=2)
def check_rise(student, draw):
    steps, warm = draw.integer(4, 7), draw.integer(2, 3)
    rules = rules_of(warmup=warm, patience=draw.integer(0, 2))
    cases = [(state_of("warmup", n, 1.0, 0), steps, rules) for n in range(warm)]
    cases.append((state_of("constant", warm + 3, 1.0, 0), steps, rules))
    total = warm * steps

    def curve(place):
        found = [place(n * steps + step, n, step) for n in range(warm) for step in range(steps)]
        found = [min(1.0, max(0.0, value)) for value in found]
        return [found[n * steps : (n + 1) * steps] for n in range(warm)] + [[1.0] * steps]

    expect(
        factors(student, cases, curve(lambda at, n, step: at / total)),
        curve(lambda at, n, step: at / total),
        what="factor",
        mistakes={
            'rules["warmup"] is a number of epochs; it is taken for one of steps': curve(
                lambda at, n, step: at / warm
            ),
            "the rise is one step ahead: the first step of the run is to have the factor 0": curve(
                lambda at, n, step: (at + 1) / total
            ),
            "the rise begins anew in each epoch; the epochs that are done count": curve(
                lambda at, n, step: step / total
            ),
            "the factor changes from epoch to epoch only; it is to rise with each step": curve(
                lambda at, n, step: n / warm
            ),
            "the rise reaches 1 at its last step; it is to reach it at the first step after": (
                curve(lambda at, n, step: at / (total - 1))
            ),
        },
        otherwise="a list of epochs, each a list of steps",
    )


@check(task=2, points=2)
def check_fall(student, draw):
    steps, cool, patience = draw.integer(4, 7), draw.integer(3, 5), draw.integer(2, 3)
    rules = rules_of(warmup=2, patience=patience, cooldown=cool)
    cases = [
        (state_of("cooldown", 15 + n, 1.0, patience + 1 + n), steps, rules) for n in range(cool)
    ]
    cases.append((state_of("stop", 15 + cool, 1.0, patience + 1 + cool), steps, rules))
    total = cool * steps

    def curve(place):
        found = [place(n * steps + step, n, step) for n in range(cool) for step in range(steps)]
        found = [min(1.0, max(0.0, value)) for value in found]
        return [found[n * steps : (n + 1) * steps] for n in range(cool)] + [[0.0] * steps]

    expect(
        factors(student, cases, curve(lambda at, n, step: 1 - at / total)),
        curve(lambda at, n, step: 1 - at / total),
        what="factor",
        mistakes={
            "the fall is one step ahead: the cool-down is to begin with the factor 1": curve(
                lambda at, n, step: 1 - (at + 1) / total
            ),
            "the fall is ahead by `patience` epochs: those that were tolerated are not part of the "
            "cool-down": curve(lambda at, n, step: 1 - (at + patience * steps) / total),
            "the fall is one epoch ahead: the epoch that began the cool-down is not part of it": (
                curve(lambda at, n, step: 1 - (at + steps) / total)
            ),
            "the fall counts all epochs since the best one": curve(
                lambda at, n, step: 1 - (at + (patience + 1) * steps) / total
            ),
            "the fall begins anew in each epoch": curve(lambda at, n, step: 1 - step / total),
            "the factor falls from epoch to epoch only; it is to fall with each step": curve(
                lambda at, n, step: 1 - n / cool
            ),
            'rules["cooldown"] is a number of epochs; it is taken for one of steps': curve(
                lambda at, n, step: 1 - at / cool
            ),
            "the fall reaches 0 at its last step; it would be 0 at the step after": curve(
                lambda at, n, step: 1 - at / (total - 1)
            ),
        },
        otherwise="a list of epochs, each a list of steps",
    )


@check(task=2, points=2)
def check_presets(student, draw):
    steps = draw.integer(5, 9)
    cases = [("original", steps, 5), ("stable", steps, 20)]
    cases.append(("hybrid", steps, draw.integer(11, 15)))

    def curves(mistake=""):
        found = []
        for name, _, epochs in cases:
            total, rise = steps * epochs, 2 * steps
            if mistake == "share":
                rise = max(1, total // 10)
            fall = total - (7 * steps if name == "hybrid" and mistake != "no hybrid" else total)
            fall = max(fall - steps * (mistake == "early" and name == "hybrid"), rise)
            length = total - fall
            length -= mistake == "last"
            length -= steps * (mistake == "early" and name == "hybrid")
            if mistake == "jump":
                length = total
            found.append(
                [
                    min(step / rise, 1.0, max(0.0, (fall + length - step) / length))
                    if step >= fall and mistake != "jump"
                    else (total - step) / total
                    if step >= fall
                    else min(1.0, step / rise)
                    for step in range(total)
                ]
            )
        return found

    said = {
        "share": "all three rise over 2 epochs; here it is a tenth of the run",
        "no hybrid": "hybrid stays at 1 until its last 7 epochs",
        "early": "the fall of hybrid is one epoch early: it is to be 0 after the last step, not an "
        "epoch before",
        "last": "the fall reaches 0 at the last step; it would be 0 at the step after",
        "jump": "the factor jumps where the fall begins: it falls from 1, in a straight line",
    }
    got = student.call("curves", cases)
    expect(
        dict(zip(("original", "stable", "hybrid"), got)),
        dict(zip(("original", "stable", "hybrid"), curves())),
        what="factor",
        mistakes={
            sentence: dict(zip(("original", "stable", "hybrid"), curves(mistake)))
            for mistake, sentence in said.items()
        },
    )


# --- task 3 ---

BUGS = {
    "in_steps": "`warmup` is a number of epochs; the rate rises over that many steps",
    "ties": "a loss that is lower by exactly min_delta, or equal with min_delta 0, passes for a "
    "new best",
    "drift": "the best follows losses that were not accepted as best, so slow progress is never "
    "enough",
    "early": "the run ends one epoch early: `patience` bad epochs are tolerated, the next one ends "
    "it",
}


def stopped(losses, steps, warmup, patience, min_delta, **bug) -> list:
    """Return [epochs, rates] of plain early stopping; each bug is a switch."""
    best, wait, rates = math.inf, 0, []
    for epoch, loss in enumerate(losses, start=1):
        rise = warmup * (1 if bug.get("in_steps") else steps)
        at = epoch * steps - (not bug.get("ahead"))
        rates.append(min(1.0, at / rise) if rise else 1.0)
        limit = best - min_delta
        improved = loss < limit or (loss == limit and bug.get("ties", False))
        wait = 0 if improved else wait + 1
        if improved or bug.get("previous") or (bug.get("drift") and loss < best):
            best = loss
        if wait > patience - bug.get("early", False):
            break
    return [len(rates), rates]


@check(task=3, points=4)
def check_train(student, draw):
    patience, steps = draw.integer(1, 3), draw.integer(5, 9)
    down = [4.0 - 0.5 * k for k in range(draw.integer(3, 5))]
    cases = [
        (down + [5.0 + k for k in range(6)], steps, 2, patience, 0.0),
        (down + [down[-1]] * 7, steps, 0, patience, 0.0),
        (down + [down[-1] - 0.25] * 7, steps, 3, patience, 0.25),
        ([2 - 0.004 * k for k in range(25)], steps, 2, 3, 0.01),
        ([*down, 5.0, 4.75, 4.5, 4.25, 4.0, 3.9], steps, 3, patience, 0.0),
    ]
    got = student.call("trained", cases)

    def like(**switches):
        return [stopped(*case, **switches) for case in cases]

    for switches in sorted(product((False, True), repeat=4), key=sum):
        left = [name for name, there in zip(BUGS, switches) if there]
        if equal(got, like(**dict.fromkeys(left, True))):
            break
    else:
        expect(
            [{"epochs": epochs, "rates": rates} for epochs, rates in got],
            [{"epochs": epochs, "rates": rates} for epochs, rates in like()],
            what="train(...) of five runs",
            mistakes={
                sentence: [{"epochs": e, "rates": r} for e, r in like(**{switch: True})]
                for switch, sentence in {
                    "previous": "a loss is compared with that of the epoch before, not with the "
                    "best",
                    "ahead": "the rates are those of the step after the last one of each epoch",
                }.items()
            },
        )
    if len(left) == 1:
        raise Wrong(BUGS[left[0]], share=3 / 4)
    if left:
        count = f"{len(left)} of the 4 bugs are left" if len(left) < 4 else "all 4 bugs are there"
        raise Wrong(count, share=1 - len(left) / 4)


# --- task 4: the candidates. Each takes (losses, patience, cooldown, min_delta) ---


def _take(losses, patience, cooldown, min_delta) -> None:
    """Refuse what no right version takes."""
    numbers = (int, float)
    if not isinstance(losses, (list, tuple)) or len(losses) > 1000:
        raise ValueError("losses are to be a list of at most 1000 numbers")
    if any(isinstance(x, bool) or not isinstance(x, numbers) for x in (*losses, min_delta)):
        raise ValueError("losses and min_delta are to be numbers")
    if not all(type(n) is int and 0 <= n <= 1000 for n in (patience, cooldown)):
        raise ValueError("patience and cooldown are to be whole numbers from 0 up")
    if not all(map(math.isfinite, (*losses, min_delta))) or min_delta < 0:
        raise ValueError("losses are to be finite, and min_delta a number from 0 up")


def phases(losses, patience, cooldown, min_delta, mistake=""):
    _take(losses, patience, cooldown, min_delta)
    found, phase, best, before, bad, cooled = [], "constant", math.inf, math.inf, 0, 0
    for loss in losses:
        limit = (before if mistake == "previous" else best) - min_delta
        improved = loss <= limit if mistake == "ties" else loss < limit
        before = loss
        if improved or (mistake == "drift" and loss < best):
            best = loss
        if phase == "cooldown" and not (improved and mistake != "no return"):
            cooled += 1
        elif improved:
            phase = "constant"
            bad = bad if mistake == "total" else 0
        else:
            bad += 1
            if bad > patience - (mistake == "early"):
                phase = "cooldown"
                cooled = cooled if mistake == "resumes" else 0
        if phase == "cooldown" and cooled >= cooldown:
            found.append("stop")
            break
        found.append(phase)
    return found


def by_library(losses, patience, cooldown, min_delta):
    _take(losses, patience, cooldown, min_delta)
    settings = AdaptiveSettings(
        warmup_epochs=0,
        patience=patience,
        cooldown_epochs=cooldown,
        min_delta=float(min_delta),
        max_epochs=10**6,
    )
    return [state.phase for state in replay(losses, settings)]


def wrong(mistake: str):
    def candidate(losses, patience, cooldown, min_delta):
        return phases(losses, patience, cooldown, min_delta, mistake)

    return candidate


def right(losses, patience, cooldown, min_delta):
    return phases(losses, patience, cooldown, min_delta)


@check(task=4, points=7)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_phases",
        [right, by_library],
        {
            "begins the cool-down one epoch early": wrong("early"),
            "takes an equal loss for a new best": wrong("ties"),
            "compares with the loss of the epoch before, not with the best": wrong("previous"),
            "does not go back when a new best comes during the cool-down": wrong("no return"),
            "lets the best follow losses that are lower by less than min_delta": wrong("drift"),
            "adds up all bad epochs, also those before a new best": wrong("total"),
            "continues an earlier cool-down where it was left, after a return": (wrong("resumes")),
        },
    )


# --- task 5 ---

QUESTION = {
    "patience": 3,
    "cooldown": 6,
    "epochs": 20,
    "steps": 10,
    "losses": [0.90, 0.70, 0.60, 0.65, 0.62, 0.58, 0.61, 0.59, 0.60, 0.57, 0.59, 0.60],
    "fall": 0.01,
    "error": 0.02,
}


def ask(draw):
    """Draw the question of a term: losses with two new bests during cool-downs."""
    best, losses = 90, [0.9]
    for number in range(draw.integer(4, 5)):
        worse = draw.integer(2, 4) if number in (2, 3) else 0
        losses += [(best + draw.integer(1, 6)) / 100 for _ in range(worse)]
        best -= draw.integer(2, 7)
        losses.append(best / 100)
    losses += [(best + 2) / 100, (best + 3) / 100]
    return {
        "patience": draw.integer(1, 5),
        "cooldown": draw.choice([4, 5, 8, 9]),
        "epochs": draw.choice([14, 16, 18, 24, 30]),
        "steps": draw.choice([8, 12, 15, 20]),
        "losses": losses,
        "fall": draw.choice([0.008, 0.012, 0.015]),
        "error": draw.choice([0.016, 0.025, 0.03]),
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    ratio = question["fall"] / (question["error"] * math.sqrt(2))
    factors = hybrid(question)
    return {
        "shortest": 1 + question["patience"] + 1 + question["cooldown"],
        "mean_factor": sum(factors) / len(factors),
        "stops_after": len(by_library(for_ever(question), 0, 7, 0.0)),
        "false_alarm": 100 * NormalDist().cdf(-ratio),
    }


def for_ever(question) -> list[float]:
    return question["losses"] + [question["losses"][-1]] * 90


def hybrid(question, ahead: int = 0, rise: bool = True) -> list[float]:
    """Return the factor at each step of "hybrid"."""
    steps = question["steps"]
    total = question["epochs"] * steps
    found = [min(1.0, (total - step) / (7 * steps)) for step in range(total)]
    if not rise:
        return found
    return [min(f, (step + ahead) / (2 * steps)) for step, f in enumerate(found)]


@check(task=5, points=1)
def check_shortest(student, draw):
    right = answers(draw.question)["shortest"]
    grade_number(
        student,
        "shortest",
        right,
        {
            "this is one short: patience is how many bad epochs are tolerated, and the next one "
            "begins the cool-down; the first epoch is always a best": right - 1,
            "this is the length under the paper's own patience and cool-down": 9,
        },
        "drive the machine with a loss that never falls",
        band=0.1,
    )


@check(task=5, points=1)
def check_mean(student, draw):
    question = draw.question
    factors, ahead = hybrid(question), hybrid(question, 1)
    level = hybrid(question, rise=False)
    grade_number(
        student,
        "mean_factor",
        answers(question)["mean_factor"],
        {
            "this takes the rise one step ahead; the first step is to have the factor 0": (
                sum(ahead) / len(ahead)
            ),
            "this leaves the warm-up out": sum(level) / len(level),
            "this is the sum over epochs of the factor, or of the steps; take the mean": (
                sum(factors)
            ),
        },
        "add up the factor of preset_factor over all steps",
        band=6e-4,
    )


@check(task=5, points=1)
def check_length(student, draw):
    losses, right = for_ever(draw.question), answers(draw.question)["stops_after"]
    best = losses.index(min(losses)) + 1
    before = losses.index(min(losses[: best - 1])) + 1
    grade_number(
        student,
        "stops_after",
        right,
        {
            "a new best during a cool-down takes the machine back; this run has two of them, and "
            "here the first is missed": len(phases(losses, 0, 7, 0.0, "no return")),
            "a new best during a cool-down takes the machine back; here the second is missed": (
                before + 8
            ),
            "this compares with the epoch before; compare with the best so far": len(
                phases(losses, 0, 7, 0.0, "previous")
            ),
            "this is one epoch short: one bad epoch begins the cool-down, and 7 more follow": (
                right - 1
            ),
            "this is the best epoch, not the last one": best,
        },
        "write the phases down, epoch by epoch",
        band=0.1,
    )


@check(task=5, points=1)
def check_alarm(student, draw):
    below, right = NormalDist().cdf, answers(draw.question)["false_alarm"]
    ratio = draw.question["fall"] / draw.question["error"]
    grade_number(
        student,
        "false_alarm",
        right,
        {
            "both losses are measured with an error, so their difference has a larger one": (
                100 * below(-ratio)
            ),
            "standard deviations do not add up, variances do": 100 * below(-ratio / 2),
            "this is how often the second loss is below the first": 100 - right,
            "half of the runs would be right if the true loss stayed as it is": 50.0,
        },
        "the difference of the two is normal with mean -fall; draw it, or work its spread out",
        band=0.6,
    )
