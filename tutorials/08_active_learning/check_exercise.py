"""The checks of assignment 08. Entropies are worked out here number by number, with `math`."""

from __future__ import annotations

import itertools
import math

import torch

from _grading.checks import Task, Wrong, check
from _grading.diagnose import equal, expect
from _grading.measure_task import answered_number
from _grading.recorded import only
from _grading.tests_task import grade_test

TITLE = "Active learning: the doubt that labels settle"
TASKS = {
    1: Task("Two kinds of doubt", minutes=30),
    2: Task("Which texts to ask for?", minutes=25),
    3: Task("Find the bug", minutes=20),
    4: Task("Write the test", minutes=30),
    5: Task("Measure and explain", minutes=40, hand=5),
}
KEYS = ("total", "aleatoric", "epistemic")


def entropy(row) -> float:
    return math.fsum(-p * math.log(p) for p in row if p > 0)


def mean(rows) -> list[float]:
    return [math.fsum(column) / len(column) for column in zip(*rows)]


def tensor(values) -> torch.Tensor:
    return torch.tensor(list(values), dtype=torch.float64)


def by_text(passes: torch.Tensor) -> list[list[list[float]]]:
    return passes.transpose(0, 1).tolist()


def right_doubts(passes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return total and aleatoric doubt."""
    texts = by_text(passes)
    own = (math.fsum(map(entropy, rows)) / len(rows) for rows in texts)
    return tensor(entropy(mean(rows)) for rows in texts), tensor(own)


def passes_of(draw) -> torch.Tensor:
    """Draw probabilities that are not near 0; passes, texts and classes are 5, 4 and 3, say."""
    passes, texts, classes = draw.random.sample([3, 4, 5, 6], 3)
    return (1.2 * draw.normal(passes, texts, classes)).softmax(-1)


def doubts(student, passes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what the student's doubts says, if it has the form asked for."""
    got = student.call("doubts", passes)
    texts = passes.shape[1]
    if not isinstance(got, dict) or set(got) != set(KEYS):
        raise Wrong(f"doubts is to return a dict with the keys {', '.join(KEYS)}")
    for key, value in got.items():
        if not isinstance(value, torch.Tensor) or value.shape != (texts,):
            shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise Wrong(
                f'doubts["{key}"]: expected one number per text, shape ({texts},), got {shape}'
            )
    return {key: value.double() for key, value in got.items()}


@check(task=1, points=4, public=only("total", "aleatoric"))
def check_entropies(student, draw):
    passes = passes_of(draw)
    got = doubts(student, passes)
    total, own = right_doubts(passes)
    number = len(passes)
    expect(
        {"total": got["total"], "aleatoric": got["aleatoric"]},
        {"total": total, "aleatoric": own},
        what="doubts",
        mistakes={
            sentence: {"total": a, "aleatoric": b}
            for sentence, a, b in (
                ("these are bits; take the natural logarithm", total / LN2, own / LN2),
                ("total and aleatoric are the wrong way round", own, total),
                ("aleatoric is a mean over the passes; this is their sum", total, own * number),
                ("both are the entropy of the mean; aleatoric is the mean entropy", total, total),
                ("both are the mean entropy; total is the entropy of the mean", own, own),
                ("both have the wrong sign: -sum p log p is positive", -total, -own),
                ("total is of the mean of the passes; this is of their sum", summed(passes), own),
            )
        },
        tolerance=2e-6,
    )


LN2 = math.log(2)


def summed(passes: torch.Tensor) -> torch.Tensor:
    """Return the "entropy" of the sum over passes."""
    sums = passes.sum(0).tolist()
    return tensor(math.fsum(-p * math.log(p) for p in row) for row in sums)


def told_apart(got: dict[str, torch.Tensor]) -> None:
    """Refuse doubts that have nothing to do with the texts."""
    both = torch.stack([got["total"], got["aleatoric"]])
    if not both.isfinite().all() or bool((both == both[:, :1]).all()):
        raise Wrong("doubts says the same of texts that the passes see differently")


@check(task=1, points=3, public=only("epistemic"))
def check_epistemic(student, draw):
    passes = passes_of(draw)
    got = doubts(student, passes)
    total, own = right_doubts(passes)
    told_apart(got)
    if equal(got["epistemic"], got["total"] - got["aleatoric"]):
        return  # if the two are wrong, another check says so; the third follows from them
    texts = by_text(passes)
    expect(
        got["epistemic"],
        total - own,
        what='doubts["epistemic"]',
        mistakes={
            "the entropy of the mean is not BALD yet: take off each pass's own doubt": total,
            "BALD has the wrong sign: it is never below 0": own - total,
            "this is a variance; BALD is a difference of two entropies": lambda: passes.var(0).sum(
                -1
            ),
            "this is a variance (divided by passes); BALD is a difference of entropies": (
                lambda: passes.var(0, unbiased=False).sum(-1)
            ),
            "this is the mean KL from the mean to each pass; BALD is that from each pass to the "
            "mean": lambda: tensor(
                math.fsum(
                    m * math.log(m / p)
                    for row in rows
                    for m, p in zip(mean(rows), row, strict=True)
                )
                / len(rows)
                for rows in texts
            ),
            "this counts the votes of the passes; BALD keeps their probabilities": lambda: tensor(
                votes(rows) for rows in texts
            ),
        },
        tolerance=2e-6,
    )


def votes(rows) -> float:
    """Return the entropy of the classes that the passes would choose."""
    winners = [max(range(len(row)), key=row.__getitem__) for row in rows]
    return entropy([winners.count(c) / len(winners) for c in range(len(rows[0]))])


@check(task=1, points=2, public="open")
def check_zeros(student, draw):
    passes = passes_of(draw)
    before = doubts(student, passes)
    told_apart(before)
    at = draw.integer(0, passes.shape[2])
    never = torch.zeros(*passes.shape[:2], 1, dtype=torch.float64)
    after = doubts(student, torch.cat([passes[..., :at], never, passes[..., at:]], -1))
    certain = torch.zeros(*passes.shape, dtype=torch.float64)
    certain[..., 1] = 1.0
    sure = doubts(student, certain)
    for key in KEYS:
        if not (after[key].isfinite().all() and sure[key].isfinite().all()):
            found = next(float(x) for x in (*after[key], *sure[key]) if not x.isfinite())
            raise Wrong(
                f'doubts["{key}"] is {found} where a probability is exactly 0: 0 log 0 is 0'
            )
        if (off := float((after[key] - before[key]).abs().max())) > 1e-6:
            raise Wrong(
                f'a class that never occurs (probability 0) changes doubts["{key}"] by {off:.2g}'
            )
        if 1e-10 < (off := float(sure[key].abs().max())) < 1e-3:
            raise Wrong(
                f'all passes are certain, so doubts["{key}"] is 0; got a number of size {off:.1g}: '
                "is something added inside the logarithm?"
            )


@check(task=2, points=2)
def check_direction(student, draw):
    texts, classes = draw.integer(4, 6), draw.integer(4, 5)
    rows = (1.5 * draw.normal(texts, classes)).softmax(-1)
    ordered = [sorted(row, reverse=True) for row in rows.tolist()]
    largest = tensor(row[0] for row in ordered)
    second, last = tensor(row[1] for row in ordered), tensor(row[-1] for row in ordered)
    expect(
        student.call("least_confidence", rows),
        1 - largest,
        what="least_confidence",
        mistakes={
            "least_confidence is the confidence: it asks for what the model knows best": largest,
            "least_confidence has the wrong sign: higher is asked first": -largest,
            "least_confidence looks at the least likely class": 1 - last,
        },
    )
    expect(
        student.call("margin", rows),
        1 - (largest - second),
        what="margin",
        mistakes={
            "margin is large where the two classes are far apart; that text is asked last": (
                largest - second
            ),
            "margin takes the least likely class for the second": 1 - (largest - last),
            "margin takes the first two classes, not the two most likely": (
                1 - (rows[:, 0] - rows[:, 1]).abs()
            ),
            "margin looks at the second alone": 1 - second,
        },
    )


def names(draw, count: int) -> list[str]:
    """Draw ids whose order says nothing."""
    return [f"t{number}" for number in draw.random.sample(range(100, 1000), count)]


@check(task=2, points=2)
def check_choose(student, draw):
    number, count = draw.integer(7, 9), draw.integer(3, 5)
    ids = names(draw, number)
    values = [0.1 * k - 0.3 for k in range(number)]
    draw.random.shuffle(values)
    scores = dict(zip(ids, values))
    ranked = [ids[i] for _, i in sorted((-value, i) for i, value in enumerate(values))]
    seed = draw.integer(0, 99)
    got = [student.call("choose", scores, count, seed), student.call("choose", scores, 50, seed)]
    expect(
        got,
        [ranked[:count], ranked],
        what="choose",
        mistakes={
            "choose returns the lowest scores: these are what the model doubts least": [
                ranked[::-1][:count],
                ranked[::-1],
            ],
            "choose returns positions; return ids, since positions change as the pool shrinks": [
                [ids.index(text) for text in ranked[:count]],
                [ids.index(text) for text in ranked],
            ],
            "choose takes the right texts, but the highest is to come first": [
                ranked[:count][::-1],
                ranked[::-1],
            ],
            "choose returns one text too few": [ranked[: count - 1], ranked[:49]],
            "choose returns ids in the order of `scores`": [
                [text for text in ids if text in ranked[:count]],
                ids,
            ],
        },
    )
    near = dict.fromkeys(ids, 0.25)
    near[ids[number // 2]] += 1e-9
    for again in range(12):
        first = student.call("choose", near, 1, seed + again)
        if first != [ids[number // 2]]:
            raise Wrong(
                "choose passes over a score that is higher by 1e-9: is noise added to the scores?"
            )


@check(task=2, points=3, public="open")
def check_ties(student, draw):
    ids = names(draw, 6)
    seeds = [draw.seed() for _ in range(60)]
    found = student.call("choices", dict.fromkeys(ids, draw.choice([0.0, 0.5])), 2, seeds)
    if not all(isinstance(c, (list, tuple)) and len(c) == 2 for pair in found for c in pair):
        raise Wrong("choose(scores, 2, seed) is to return a list of two ids")
    if any(list(a) != list(b) for a, b in found):
        raise Wrong("choose is asked twice with the same seed and chooses differently")
    chosen = {str(text) for pair in found for text in pair[0]}
    if len({tuple(map(str, pair[0])) for pair in found}) == 1:
        raise Wrong(
            "if all scores are equal, choose takes the same two whatever the seed: place decides"
        )
    if len(chosen) < 6:
        raise Wrong(f"of six equal texts, only {len(chosen)} are ever chosen with 60 seeds")
    starts = [str(pair[0][0]) for pair in found]
    if len(set(starts)) < 6:
        raise Wrong(f"of six equal texts, only {len(set(starts))} ever come first with 60 seeds")


# --- task 3 ---


def rounds_of(ids, table, initial, rounds, query, how="right"):
    """Return the sorted ids of each round; `how` names what goes wrong."""
    labelled = list(ids[:initial])
    pool = list(ids if how == "initial stays" else ids[initial:])
    history = [sorted(labelled)]
    for number in range(rounds):
        column = 0 if how == "stale" else min(number, rounds - 1)
        order = sorted(pool, key=lambda text: table[text][column], reverse=how != "lowest")
        if how == "pop":
            positions = [pool.index(text) for text in order[:query]]
            asked = [pool.pop(position) for position in positions]
        elif how == "whole list":
            asked = [ids[pool.index(text)] for text in order[:query]]
            pool = [t for t in pool if t not in asked]
        elif how == "stays":
            asked = order[:query]
        elif how == "rest" and len(pool) < query:
            asked = []
        else:
            asked = order[:query]
            pool = [t for t in pool if t not in asked]
        history.append(sorted(asked))
    return history


def sorted_rounds(got: list) -> list:
    """Return the ids of each round in any order."""
    return [sorted(map(str, asked)) for asked in got]


@check(task=3, points=4, public=sorted_rounds)
def check_rounds(student, draw):
    initial, rounds, query = draw.integer(2, 4), 4, 3
    while True:  # until the bug shows, and shows without an IndexError
        ids = names(draw, initial + query * (rounds - 1) + draw.integer(1, 2))
        columns = [draw.random.sample(range(len(ids)), len(ids)) for _ in range(rounds)]
        table = {text: [column[i] / 40 for column in columns] for i, text in enumerate(ids)}
        case = ids, table, initial, rounds, query
        right = rounds_of(*case)
        try:
            if rounds_of(*case, "pop")[1] != right[1]:
                break
        except IndexError:
            continue
    got = student.call("labelled", ids, table, initial, rounds, query)
    if not isinstance(got, (list, tuple)) or not all(isinstance(g, (list, tuple)) for g in got):
        raise Wrong("label_rounds is to return a list of lists of ids")
    expect(
        [sorted(map(str, asked)) for asked in got],
        right,
        what="label_rounds (ids sorted within a round)",
        mistakes={
            "label_rounds labels texts that were not among the highest: what do the other "
            "positions mean once one text has left the pool?": rounds_of(*case, "pop"),
            "label_rounds takes a position in the pool for one in `ids`": (
                rounds_of(*case, "whole list")
            ),
            "label_rounds goes by the scores of the first round; ask `score` in each": (
                rounds_of(*case, "stale")
            ),
            "label_rounds leaves labelled texts in the pool, and asks for them again": (
                rounds_of(*case, "stays")
            ),
            "label_rounds puts the first labelled texts into the pool, too": (
                lambda: rounds_of(*case, "initial stays")
            ),
            "label_rounds labels the lowest scores": rounds_of(*case, "lowest"),
            "label_rounds forgets the last texts, which are fewer than `query`": (
                rounds_of(*case, "rest")
            ),
        },
    )


# --- task 4: the candidates. Each takes nested lists, passes x texts x classes ---


def checked(passes) -> list[list[list[float]]]:
    """Return texts x passes x classes."""
    try:
        shape = {(len(texts), len(row)) for texts in passes for row in texts}
        sums = [abs(sum(row) - 1) for texts in passes for row in texts]
        low = min(p for texts in passes for row in texts for p in row)
    except (TypeError, ValueError):
        shape, sums, low = set(), [1.0], 0.0
    if len(shape) != 1 or not low >= 0 or not max(sums) < 1e-3 or len(sums) > 10_000:
        raise ValueError("passes: nested lists, passes x texts x classes, of probabilities")
    return [list(rows) for rows in zip(*passes)]


def bald(passes):
    return [
        max(0.0, entropy(mean(rows)) - sum(map(entropy, rows)) / len(rows))
        for rows in checked(passes)
    ]


def bald_as_kl(passes):
    found = []
    for rows in checked(passes):
        middle = mean(rows)
        terms = [p * math.log(p / m) for row in rows for p, m in zip(row, middle) if p > 0]
        found.append(math.fsum(terms) / len(rows))
    return found


def entropy_of_mean(passes):
    return [entropy(mean(rows)) for rows in checked(passes)]


def in_bits(passes):
    return [score / LN2 for score in bald(passes)]


def nan_at_zero(passes):
    zero = [any(p == 0 for row in rows for p in row) for rows in checked(passes)]
    return [math.nan if bad else score for bad, score in zip(zero, bald(passes))]


def of_votes(passes):
    return [votes(rows) for rows in checked(passes)]


def two_passes(passes):
    return bald(passes[:2])


def mixed_texts(passes):
    """Subtract the mean entropy of all texts."""
    texts = checked(passes)
    own = [entropy(row) for rows in texts for row in rows]
    return [entropy(mean(rows)) - sum(own) / len(own) for rows in texts]


@check(task=4, points=6)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_bald",
        [bald, bald_as_kl],
        {
            "leaves out what each pass doubts for itself": entropy_of_mean,
            "takes logarithms to the base 2": in_bits,
            "gives nan where a probability is 0": nan_at_zero,
            "counts votes instead of probabilities": of_votes,
            "looks at the first two passes only": two_passes,
            "takes the mean entropy over passes and texts": mixed_texts,
        },
    )


# --- task 5 ---

QUESTION = {
    "labels": [
        (0.5, 1), (0.25, 0), (0.375, 1), (0.3, 0), (1.1, 1), (1.2, 0),
        (1.2, 1), (1.1, 0), (0.35, 1), (0.45, 1), (0.2, 0), (1.2, 0),
    ],
    "line": 0.36,
    "coin": 1.2,
    "passes": [0.5, 0.9, 0.1, 0.5],
}  # fmt: skip


def ask(draw):
    """Draw the question of a term: a threshold, eight labels beside it, four of coins."""
    at = draw.integer(30, 70)
    near = draw.random.sample(range(2, 25), 8)
    left = [((at - by) / 100, 0) for by in near[:4]]
    right = [((at + by) / 100, 1) for by in near[4:]]
    coins = [(1.1, 1), (1.2, 0), (1.2, 1), (1.1, 0)]
    labels = left + right + coins
    draw.random.shuffle(labels)
    return {
        "labels": labels,
        "line": (at + draw.choice([-1, 1])) / 100,
        "coin": draw.choice([1.1, 1.15, 1.25]),
        "passes": draw.random.sample([0.05, 0.2, 0.3, 0.5, 0.6, 0.8, 0.95], 4),
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    return {**line(question), "two_passes": share_of_two(question["passes"])}


def class_1(x: float, theta: float) -> float:
    if x > 1:
        return 0.5
    return 0.95 if x > theta else 0.05


def line(question) -> dict[str, float]:
    """Work the line out."""
    thetas = [k / 400 for k in range(401)]
    shares = [1.0] * 401
    found = {}
    for when, labels in (("before", []), ("after", question["labels"])):
        for x, label in labels:
            for k, theta in enumerate(thetas):
                shares[k] *= class_1(x, theta) if label else 1 - class_1(x, theta)
        total = math.fsum(shares)
        for place in ("line", "coin"):
            ones = [class_1(question[place], theta) for theta in thetas]
            middle = math.fsum(s * p for s, p in zip(shares, ones)) / total
            own = math.fsum(s * entropy([p, 1 - p]) for s, p in zip(shares, ones)) / total
            found[f"aleatoric_{place}_{when}"] = own
            found[f"epistemic_{place}_{when}"] = entropy([middle, 1 - middle]) - own
    return found


@check(task=5, points=2)
def check_line(student, draw):
    right = line(draw.question)
    asked = itertools.product(("line", "coin"), ("epistemic", "aleatoric"), ("before", "after"))
    got = {
        key: answered_number(student, key)
        for key in (f"{kind}_{at}_{when}" for at, kind, when in asked)
    }

    def like(values) -> bool:
        return all(abs(got[key] - values[key]) <= 0.002 for key in right)

    if like(right):
        return
    swap = {"epistemic": "aleatoric", "aleatoric": "epistemic"}
    turn = {"before": "after", "after": "before"}
    wrong = {
        "the line: epistemic and aleatoric are the wrong way round": {
            f"{swap[kind]}_{rest}": value
            for key, value in right.items()
            for kind, _, rest in [key.partition("_")]
        },
        "the line: before and after are the wrong way round": {
            f"{rest}_{turn[when]}": value
            for key, value in right.items()
            for rest, _, when in [key.rpartition("_")]
        },
        "the line: these are bits; take natural logarithms": {k: v / LN2 for k, v in right.items()},
        "the line: epistemic is what the aleatoric part leaves of the entropy of the mean; this is "
        "the whole entropy": {
            k: v + (right[k.replace("epistemic", "aleatoric")] if k.startswith("e") else 0)
            for k, v in right.items()
        },
    }
    for sentence, values in wrong.items():
        if like(values):
            raise Wrong(sentence)
    off = [key for key in got if not abs(got[key] - right[key]) <= 0.002]
    hint = "; do the thresholds have shares by Bayes' rule?" if "after" in off[0] else ""
    raise Wrong(f'ANSWERS["{off[0]}"] is not what the line gives{hint}')


def share_of_two(passes: list[float]) -> float:
    """Work out the mean BALD of two passes, over that of all four."""
    rows = [[p, 1 - p] for p in passes]

    def of(chosen) -> float:
        return entropy(mean(chosen)) - sum(map(entropy, chosen)) / len(chosen)

    pairs = [of(pair) for pair in itertools.product(rows, repeat=2)]
    return sum(pairs) / len(pairs) / of(rows)


@check(task=5, points=2)
def check_two_passes(student, draw):
    got, right = answered_number(student, "two_passes"), share_of_two(draw.question["passes"])
    if abs(got - right) <= 0.003:
        return
    passes = draw.question["passes"]
    if abs(got - right * 4 / 3) <= 0.003:
        raise Wrong(
            "two_passes: this is without replacement; a mask can come twice, as the four pairs of "
            "equal masks do"
        )
    if abs(got - 1 / right) <= 0.006:
        raise Wrong("two_passes: this is the first divided by the second")
    rows = [[p, 1 - p] for p in passes]
    whole = entropy(mean(rows)) - sum(map(entropy, rows)) / 4
    if abs(got - right * whole) <= 0.003:
        raise Wrong("two_passes: this is the mean itself; divide it by BALD from all four passes")
    raise Wrong(f"two_passes is {got:.3g}: is it the mean over 16 pairs, each with its own BALD?")
