"""The checks of assignment 06. The reference is arithmetic by hand: no autograd, no optimizer."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import torch

from _grading.checks import Task, Wrong, check
from _grading.diagnose import equal, expect
from _grading.measure_task import grade_number
from _grading.tests_task import grade_test

TITLE = "Child-Tuning: gradient masks, Fisher, and what the optimizer does behind them"
TASKS = {
    1: Task("F: another child at every step", minutes=20),
    2: Task("D: one child, by Fisher information", minutes=40),
    3: Task("Find the bugs", minutes=25),
    4: Task("Write the test", minutes=25),
    5: Task("Measure and explain", minutes=35, hand=5),
}

# --- task 1 ---


def some_gradient(draw, *shape: int):
    """Return numbers of which none is 0, so that a 0 in the answer is a mask's."""
    value = draw.normal(*shape)
    return value + 0.1 * value.sign()


def masked(student, gradient, p: float, seed: int, noise: int = 0, calls: int = 1) -> dict:
    got = student.call("masked", gradient, p, seed, noise, calls)
    for value in got["masked"]:
        shape = tuple(getattr(value, "shape", ()))  # a number in a list was a tensor without any
        if shape != tuple(gradient.shape):
            raise Wrong(
                f"mask_gradient returns the shape {shape} for a gradient of the shape "
                f"{tuple(gradient.shape)}"
            )
    return got


@check(task=1, points=3, public="open")
def check_values(student, draw):
    n = 20_000
    gradient, seed = some_gradient(draw, n), draw.seed()
    p = draw.choice([0.2, 0.3, 0.35])
    got = masked(student, gradient, p, seed)["masked"][0].double()
    kept = got != 0
    share = kept.double().mean().item()

    def near(expected):
        return abs(share - expected) < 5 * math.sqrt(p * (1 - p) / n)

    if near(1 - p):
        raise Wrong("p is the probability of being kept; here it is that of being dropped")
    if not near(p):
        raise Wrong(f"of {n} elements {share:.1%} are kept with p = {p}; expected {p:.0%}")
    factor = got[kept] / gradient[kept]
    known = {
        "what is kept is not divided by p: on average the gradient shrinks to p * g": 1.0,
        "what is kept is multiplied by p; divide by it, so that the mean stays g": p,
        "what is kept is divided by 1 - p; it is kept with probability p": 1 / (1 - p),
        "what is kept is divided by the root of p: that keeps the mean square, not the mean": (
            1 / math.sqrt(p)
        ),
        "what is kept is divided by the share that happens to be kept this time; divide by p": (
            1 / share
        ),
    }
    right = torch.full_like(factor, 1 / p)
    expect(
        factor,
        right,
        what="what comes out over what went in, where it is kept",
        mistakes={said: torch.full_like(factor, value) for said, value in known.items()},
    )
    whole = masked(student, gradient, 1.0, seed)["masked"][0]
    if not equal(whole, gradient, 1e-12):
        raise Wrong("with p = 1 all of the gradient is kept, as it is")


@check(task=1, points=2, public="open")
def check_draws(student, draw):
    gradient, p, seed = some_gradient(draw, 60, 40), 0.4, draw.seed()
    got = masked(student, gradient, p, seed, noise=1, calls=3)
    first, second, third = (value != 0 for value in got["masked"])
    again = masked(student, gradient, p, seed, noise=2, calls=3)["masked"]
    if not all(torch.equal(a, b) for a, b in zip(got["masked"], again)):
        raise Wrong(
            "with the same generator the mask is another one when the rest of the program drew "
            "other numbers before: draw from `generator` only"
        )
    if torch.equal(first, second) or torch.equal(second, third):
        raise Wrong("two calls draw the same mask: there is to be another child at every step")
    if torch.equal(first, masked(student, gradient, p, seed + 1)["masked"][0] != 0):
        raise Wrong("generators with different seeds give the same mask")
    if got["next"] != torch.rand(1, generator=torch.Generator().manual_seed(1)).item():
        raise Wrong(
            "mask_gradient draws from torch's own stream as well: dropout would see other "
            "masks than in full fine-tuning"
        )
    for what, dim in (("row", 1), ("column", 0)):
        if bool((first.all(dim) | ~first.any(dim)).all()):
            raise Wrong(f"a {what} is kept or dropped as a whole; draw for each element by itself")


# --- task 2 ---


def network(draw, features: int, hidden: int, classes: int) -> dict:
    return {
        "0.weight": draw.normal(hidden, features),
        "0.bias": draw.normal(hidden),
        "3.weight": draw.normal(classes, hidden),
        "3.bias": draw.normal(classes),
    }


def gradients(weights: dict, inputs, pull) -> dict:
    """Return each example's gradients, (examples, *shape), by the chain rule."""
    hidden = torch.tanh(inputs @ weights["0.weight"].T + weights["0.bias"])
    below = (pull @ weights["3.weight"]) * (1 - hidden**2)
    return {
        "0.weight": below[:, :, None] * inputs[:, None, :],
        "0.bias": below,
        "3.weight": pull[:, :, None] * hidden[:, None, :],
        "3.bias": pull,
    }


def probabilities(weights: dict, inputs):
    hidden = torch.tanh(inputs @ weights["0.weight"].T + weights["0.bias"])
    return torch.softmax(hidden @ weights["3.weight"].T + weights["3.bias"], 1)


@check(task=2, points=3)
def check_fisher(student, draw):
    n, features, hidden, classes = draw.integer(6, 9), draw.integer(3, 5), 4, 3
    weights, inputs = network(draw, features, hidden, classes), draw.normal(n, features)
    p = probabilities(weights, inputs)
    labels = p.argmin(1)  # so that the model's own answer is another one
    labels[0] = p[0].argmax()

    def of(labels):
        return gradients(weights, inputs, p - torch.eye(classes, dtype=p.dtype)[labels])

    own = of(labels)

    def each(function, found=own):
        return {name: function(g) for name, g in found.items()}

    def expected_over_labels():
        total = {name: torch.zeros_like(value) for name, value in weights.items()}
        for label in range(classes):
            for name, g in of(torch.full((n,), label)).items():
                shape = (-1, *[1] * (g.dim() - 1))
                total[name] += (p[:, label].reshape(shape) * g**2).mean(0)
        return total

    expect(
        student.call("scores", weights, inputs, labels),
        each(lambda g: (g**2).mean(0)),
        what="fisher(...)",
        mistakes={
            "this is the square of the batch's mean gradient: what examples disagree about "
            "cancels before it is squared": each(lambda g: g.mean(0) ** 2),
            "this is the square of the summed gradient; square first, example by example": each(
                lambda g: g.sum(0) ** 2
            ),
            "this is the sum over the examples; take the mean": each(lambda g: (g**2).sum(0)),
            "each gradient is that of a mean loss, divided by n, before it is squared: take the "
            "example's own loss": each(lambda g: (g**2).mean(0) / n**2),
            "this is the mean divided by the number of examples once more": each(
                lambda g: (g**2).mean(0) / n
            ),
            "these are mean gradients; nothing is squared": each(lambda g: g.mean(0)),
            "these are mean absolute gradients; square them": each(lambda g: g.abs().mean(0)),
            "this takes the class that the model itself finds most likely; take the true label": (
                each(lambda g: (g**2).mean(0), of(p.argmax(1)))
            ),
            "this averages over all classes as the model weighs them; the empirical Fisher "
            "information takes the true label": expected_over_labels,
            "this is the root of the mean square; leave the root out": each(
                lambda g: (g**2).mean(0).sqrt()
            ),
        },
    )


@check(task=2, points=2, public="open")
def check_as_found(student, draw):
    """Judge what the scores do not depend on and what they leave behind, not the scores."""
    weights, inputs = network(draw, 4, 6, 3), draw.normal(5, 4)
    labels = torch.tensor([draw.integer(0, 2) for _ in range(5)])
    for training in (True, False):
        got = student.call("scores_during_training", weights, inputs, labels, training)
        first, redrawn, with_gradients = got["scores"]
        numbers = torch.cat([value.double().flatten() for value in first.values()])
        if not numbers.isfinite().all() or numbers.min() == numbers.max():
            raise Wrong("fisher gives every weight the same score, or one that is no number")
        if not equal(redrawn, first):
            raise Wrong(
                "two calls on the same examples give different scores: dropout is on; the scores "
                "are to be taken without it"
            )
        if not equal(with_gradients, redrawn):
            raise Wrong("what stood in .grad before is added into the scores")
        for name, value in weights.items():
            if not torch.equal(got["weights"][name], value):
                raise Wrong(f"fisher changes the weights of the model ({name})")
        if not all(mode == training for mode in got["training"]):
            now = "eval" if training else "training"
            before = "training" if training else "eval"
            raise Wrong(
                f"a model in {before} mode is left in {now} mode; put back what was there before"
            )
        if not all(got["grad"]):
            raise Wrong(
                "fisher changes what stands in .grad of the parameters: the next step of an "
                "optimizer would use it"
            )


def top(flat: list, count: int, *, ties: str = "first") -> list:
    """Return for each place of a list whether it is among the `count` highest."""
    order = sorted(range(len(flat)), key=lambda i: (-flat[i], i if ties == "first" else -i))
    chosen = set(order[:count])
    least = flat[order[count - 1]] if count else math.inf
    if ties == "all":
        chosen = {i for i, value in enumerate(flat) if value >= least}
    if ties == "none":
        above = {i for i, value in enumerate(flat) if value > least}
        chosen = chosen if above == chosen else above
    return [i in chosen for i in range(len(flat))]


def selection(scores: dict, count: int, ties: str = "first") -> dict:
    """Return the child by one list over all tensors."""
    flat = [value for tensor in scores.values() for value in tensor.flatten().tolist()]
    chosen, at = top(flat, count, ties=ties), 0
    masks = {}
    for name, tensor in scores.items():
        masks[name] = torch.tensor(chosen[at : at + tensor.numel()]).view(tensor.shape)
        at += tensor.numel()
    return masks


def selected(student, scores: dict, p: float) -> dict:
    got = student.call("select_child", scores, p)
    if not isinstance(got, dict) or set(got) != set(scores):
        raise Wrong("select_child is to return a dict with a mask for each name in `scores`")
    for name, mask in got.items():
        if not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
            raise Wrong(f"select_child: the mask of {name} is to be a tensor of dtype bool")
        if mask.shape != scores[name].shape:
            raise Wrong(
                f"select_child: the mask of {name} has the shape {tuple(mask.shape)}, its scores "
                f"{tuple(scores[name].shape)}"
            )
    return got


@check(task=2, points=2)
def check_global(student, draw):
    rows = draw.integer(4, 6)
    sizes = {"a.weight": (rows, 5), "a.bias": (rows,), "b.weight": (3, rows)}
    total = sum(math.prod(shape) for shape in sizes.values())
    for p in (0.3, 0.31, 0.29, 0.32, 0.33, 0.34):  # no whole number, and rounded up
        if 0.55 < p * total % 1 < 0.9:
            break
    numbers = [0.01 * (i + 1) for i in range(total)]
    draw.random.shuffle(numbers)
    flat = torch.tensor(numbers, dtype=torch.float64)
    scores = {
        name: piece.view(shape) * scale
        for (name, shape), piece, scale in zip(
            sizes.items(), flat.split([math.prod(s) for s in sizes.values()]), (1.0, 7.0, 2.001)
        )
    }

    def each_by_itself():
        found = {}
        for name, tensor in scores.items():
            found |= selection({name: tensor}, round(p * tensor.numel()))
        return found

    keep = round(p * total)
    negated = {name: -tensor for name, tensor in scores.items()}
    got = selected(student, scores, p)
    count = sum(int(mask.sum()) for mask in got.values())
    expect(
        got,
        selection(scores, keep),
        what="select_child(...)",
        mistakes={
            "each tensor gives a share p of its own; the scores compete over all tensors "
            "together": each_by_itself,
            "p * N is rounded down; take round(p * N)": selection(scores, keep - 1),
            "one weight more than round(p * N) is selected": selection(scores, keep + 1),
            "these are the weights with the lowest scores": selection(negated, keep),
            "a share 1 - p is selected": selection(scores, round((1 - p) * total)),
        },
        otherwise=f"{count} of {total} weights are selected with p = {p}",
    )


@check(task=2, points=2)
def check_ties(student, draw):
    """Ties only. Each tensor gives as many as it would by itself, and p * N is whole."""
    low, mid, high = sorted(draw.random.sample(range(1, 50), 3))

    def tensor(rows):
        return torch.tensor(rows, dtype=torch.float64)

    cases = [
        {"one": tensor([[mid, high, mid], [low, mid, mid], [low, low, low], [mid, low, mid]])},
        {"one": tensor([[high, mid], [low, low]]), "two": tensor([mid, high, mid, low])},
        {"one": tensor([0, 0, high, 0, 0, 0, 0, 0])},
    ]

    def all_cases(ties):
        return [selection(scores, sum(t.numel() for t in scores.values()) // 2, ties)
                for scores in cases]  # fmt: skip

    got = [selected(student, scores, 0.5) for scores in cases]
    expect(
        got,
        all_cases("first"),
        what="select_child(...) of tied scores",
        mistakes={
            "all that tie with the last one are selected: where most scores are 0 that is "
            "everything": all_cases("all"),
            "none of those that tie with the last one is selected": all_cases("none"),
            "of equal scores the later is taken; the earlier goes first": all_cases("last"),
        },
        otherwise="of equal scores the earlier tensor goes first, then the earlier place",
    )


# --- task 3 ---

RATES = {"lr": 0.05, "weight_decay": 0.3}
BUGS = {
    "mask_first": "the gradients are masked before they are clipped: the child then gets larger "
    "gradients than in full fine-tuning",
    "moves": "weights outside the child move: a gradient of 0 stops neither weight decay nor "
    "the momentum of earlier steps",
    "no_mask_no_step": "tensors that have no mask do not learn as in full fine-tuning; they were "
    "no candidates, so nothing of them is masked",
}


def trained(start, masks, steps, mask_first=False, moves=False, no_mask_no_step=False, **other):
    """Return the weights after all steps, by arithmetic; each bug is a switch."""
    prune, by_tensor, scaled = (other.get(key) for key in ("prune", "by_tensor", "scaled"))
    momentum_only, no_clip = other.get("momentum_only"), other.get("no_clip")
    weights = {name: value.clone() for name, value in start.items()}
    m = {name: torch.zeros_like(value) for name, value in start.items()}
    v = {name: torch.zeros_like(value) for name, value in start.items()}
    masks = {name: masks.get(name, torch.ones_like(w).bool()) for name, w in start.items()}
    no_masks = {name: torch.ones_like(w).bool() for name, w in start.items()}
    own = dict(masks)
    if no_mask_no_step:
        own["head"] = torch.zeros_like(masks["head"])
    for number, gradient in enumerate(steps):
        use = own if number else no_masks
        g = {name: value.clone() for name, value in gradient.items()}
        if number:
            if mask_first:
                g = {name: value * own[name] for name, value in g.items()}
            norms = {name: value.norm() for name, value in g.items()}
            together = math.sqrt(sum(norm.item() ** 2 for norm in norms.values()))
            for name in g:
                norm = norms[name] if by_tensor else together
                if not no_clip:
                    g[name] = g[name] * min(1.0, 1.0 / (norm + 1e-6))
            g = {name: value * use[name] for name, value in g.items()}
            if scaled:
                g = {n: value * use[n].numel() / use[n].sum() for n, value in g.items()}
        for name, value in g.items():
            m[name] = 0.9 * m[name] + 0.1 * value
            v[name] = 0.999 * v[name] + 0.001 * value**2
            first, second = 1 - 0.9 ** (number + 1), 1 - 0.999 ** (number + 1)
            change = RATES["lr"] * (m[name] / first) / ((v[name] / second).sqrt() + 1e-8)
            decay = RATES["lr"] * RATES["weight_decay"] * weights[name]
            still = ~masks[name] & (number > 0)  # outside the child
            if moves:
                still = torch.zeros_like(still)
            if momentum_only:
                decay, still = decay.where(~still, 0.0), torch.zeros_like(still)
            after = weights[name] - decay - change
            weights[name] = torch.where(still, weights[name], after)
            if prune and number:
                weights[name] = weights[name] * masks[name]
    return weights


@check(task=3, points=6)
def check_step(student, draw):
    shapes = {"layers.0.weight": (4, 3), "layers.0.bias": (4,), "head": (2, 4)}
    start = {name: 1 + draw.normal(*shape).abs() for name, shape in shapes.items()}
    masks = {}
    for name in ("layers.0.weight", "layers.0.bias"):
        size = math.prod(shapes[name])
        places = [True] * (size // 2) + [False] * (size - size // 2)
        draw.random.shuffle(places)
        masks[name] = torch.tensor(places).view(shapes[name])
    steps = [
        {name: scale * draw.normal(*shape) for name, shape in shapes.items()}
        for scale in (1.0, 2.0, 9.0, 0.1, 1.0)
    ]
    got = student.call("stepped", start, masks, steps, RATES)
    if not isinstance(got, dict):
        raise Wrong("child_step does not leave the parameters")

    def like(**switches):
        return trained(start, masks, steps, **switches)

    for switches in sorted(product((False, True), repeat=3), key=sum):
        left = [name for name, there in zip(BUGS, switches) if there]
        if equal(got, like(**dict.fromkeys(left, True))):
            break
    else:
        expect(
            got,
            like(),
            what="the parameters after four steps",
            mistakes={
                "each tensor is clipped by itself; clip all gradients together": like(
                    by_tensor=True
                ),
                "the gradients are not clipped": like(no_clip=True),
                "weights outside the child are set to 0: that is pruning, and destroys what "
                "pretraining knew": like(prune=True),
                "gradients of the child are divided by its share; that is F's, D has no such "
                "factor": like(scaled=True),
                "weights outside the child do not decay, but still move by the momentum of "
                "earlier steps": like(momentum_only=True),
            },
        )
    if len(left) == 1:
        raise Wrong(BUGS[left[0]], share=2 / 3)
    if left:
        count = f"{len(left)} of the 3 bugs are left" if len(left) < 3 else "all 3 bugs are there"
        raise Wrong(count, share=1 - len(left) / 3)


# --- task 4: the candidates. Each takes (weights, rows, labels) ---


def _examples(weights, rows, labels) -> list:
    """Return (p(1 | row), row, label) of each example, if the input is one."""
    if not all(isinstance(given, (list, tuple)) for given in (weights, rows, labels)):
        raise ValueError("weights, rows and labels are to be lists")
    if not rows or len(rows) != len(labels) or not set(labels) <= {0, 1}:
        raise ValueError("there is to be a label, 0 or 1, for each row, and at least one row")
    if any(not isinstance(row, (list, tuple)) or len(row) != len(weights) for row in rows):
        raise ValueError("each row is to be a list of as many features as there are weights")
    found = []
    for row, label in zip(rows, labels):
        logit = sum(w * x for w, x in zip(weights, row))
        if abs(logit) > 500:
            raise ValueError("weights and features are too large: exp overflows")
        found.append((1 / (1 + math.exp(-logit)), row, label))
    return found


def closed_form(weights, rows, labels):
    found = _examples(weights, rows, labels)
    return [
        sum((p - label) ** 2 * row[i] ** 2 for p, row, label in found) / len(found)
        for i in range(len(weights))
    ]


def by_tensors(weights, rows, labels):
    _examples(weights, rows, labels)
    x = torch.tensor(rows, dtype=torch.float64)
    sign = 1 - 2 * torch.tensor(labels, dtype=torch.float64)
    logits = x @ torch.tensor(weights, dtype=torch.float64)
    pull = sign * torch.sigmoid(sign * logits)  # derivative of -log p(label) by the logit
    return (pull[:, None] * x).square().mean(0).tolist()


def of_batch(weights, rows, labels):
    found = _examples(weights, rows, labels)
    return [
        (sum((p - label) * row[i] for p, row, label in found) / len(found)) ** 2
        for i in range(len(weights))
    ]


def undivided(weights, rows, labels):
    return [len(rows) * score for score in closed_form(weights, rows, labels)]


def absolute(weights, rows, labels):
    found = _examples(weights, rows, labels)
    return [
        sum(abs((p - label) * row[i]) for p, row, label in found) / len(found)
        for i in range(len(weights))
    ]


def own_label(weights, rows, labels):
    found = _examples(weights, rows, labels)
    return closed_form(weights, rows, [int(p >= 0.5) for p, _, _ in found])


def over_labels(weights, rows, labels):
    found = _examples(weights, rows, labels)
    return [
        sum(p * (1 - p) * row[i] ** 2 for p, row, _ in found) / len(found)
        for i in range(len(weights))
    ]


def clipped(weights, rows, labels):
    found = _examples(weights, rows, labels)
    totals = [0.0] * len(weights)
    for p, row, label in found:
        gradient = [(p - label) * x for x in row]
        norm = math.sqrt(sum(g * g for g in gradient))
        for i, g in enumerate(gradient):
            totals[i] += (g / max(1.0, norm)) ** 2
    return [total / len(found) for total in totals]


@check(task=4, points=6)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_fisher",
        [closed_form, by_tensors],
        {
            "squares the mean gradient of the batch": of_batch,
            "adds up over the examples and does not divide": undivided,
            "takes the gradient's size and does not square it": absolute,
            "takes the label that the model itself finds likelier": own_label,
            "averages over both labels as the model weighs them: p (1 - p) x²": over_labels,
            "clips each example's gradient to the norm 1": clipped,
        },
    )


# --- task 5 ---

QUESTION = {
    "keep": 0.2,
    "keep_second": 0.3,
    "rate": 0.01,
    "decay": 0.01,
    "steps": 100,
    "child": 0.3,
}


def ask(draw):
    """Draw the question of a term."""
    return {
        "keep": draw.choice([0.1, 0.15, 0.25, 0.3, 0.4]),
        "keep_second": draw.choice([0.2, 0.25, 0.35]),
        "rate": draw.choice([0.02, 0.05]),
        "decay": draw.choice([0.01, 0.02, 0.05]),
        "steps": draw.choice([100, 150, 200, 250]),
        "child": draw.choice([0.1, 0.15, 0.2, 0.25, 0.4]),
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    keep, layers, outside = question["keep"], *of_base()
    learns = question["child"] * layers + outside
    return {
        "adam_way": adam_way(keep, 1 / keep),
        "moved_second": 100 * (1 - (1 - question["keep_second"]) ** 2),
        "decayed": (1 - question["rate"] * question["decay"]) ** question["steps"],
        "learning_percent": 100 * learns / (layers + outside),
    }


def of_base() -> tuple[int, int]:
    """Return the scalars in BERT-base's layers, and outside."""
    hidden, wide = 768, 3072
    layer = 4 * (hidden**2 + hidden) + 2 * hidden * wide + wide + hidden + 4 * hidden
    return 12 * layer, (30522 + 512 + 2) * hidden + 2 * hidden + hidden**2 + hidden


@cache
def adam_way(p: float, factor: float, steps: int = 400) -> float:
    """Measure the mean way of 20,000 weights, by Adam's arithmetic."""
    generator = torch.Generator().manual_seed(0)
    m = v = way = torch.zeros(20_000, dtype=torch.float64)
    for step in range(1, steps + 1):
        g = (torch.rand(len(m), generator=generator) < p).double() * factor
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        way = way + (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)
    return way.mean().item() / steps


@check(task=5, points=1)
def check_way(student, draw):
    p = draw.question["keep"]
    way = answers(draw.question)["adam_way"]
    grade_number(
        student,
        "adam_way",
        way,
        {
            "this is what plain gradient descent does; measure it with Adam": (1.0, 0.03),
            "this is p itself: what plain gradient descent does to a gradient that is masked and "
            "not divided": (p, 0.012),
            "this is 1 / p; Adam divides it out again": (1 / p, 0.2),
            "this is a way, not a share of lr * 400": (0.4 * way, 0.006),
        },
        "mask ones with p and divide by p, let Adam take 400 steps, and take the mean",
        band=0.012,
    )


@check(task=5, points=1)
def check_second(student, draw):
    p, right = draw.question["keep_second"], answers(draw.question)["moved_second"]
    grade_number(
        student,
        "moved_second",
        right,
        {
            "this is the share that has a gradient at step 2; what had one at step 1 has "
            "momentum": (100 * p, 1.5),
            "this is the share; as a percentage it is a hundred times that": (right / 100, 0.015),
            "this is the share that is kept at both steps": (100 * p**2, 1.0),
            "what is kept twice is counted twice": (200 * p, 1.5),
            "this is the share of those that do not move": (100 - right, 0.4),
        },
        "compare the weights before and after the second step, one by one",
        band=1.5,
    )


@check(task=5, points=1)
def check_decayed(student, draw):
    rate, decay, steps = (draw.question[key] for key in ("rate", "decay", "steps"))
    grade_number(
        student,
        "decayed",
        answers(draw.question)["decayed"],
        {
            "decay does not ask whether there is a gradient": (1.0, 1e-5),
            "each step takes a share of what is left, not of the first value": (
                1 - steps * rate * decay,
                1.5e-5,
            ),
            "the decay of a step is lr * weight_decay, not weight_decay alone": (
                (1 - decay) ** steps,
                1e-3,
            ),
        },
        "each step multiplies the weight by 1 - lr * weight_decay",
        band=1.5e-5,
    )


@check(task=5, points=1)
def check_learning(student, draw):
    (layers, outside), p = of_base(), draw.question["child"]
    total, right = layers + outside, answers(draw.question)["learning_percent"]
    grade_number(
        student,
        "learning_percent",
        right,
        {
            "p is the share of the layers; embeddings and pooler learn besides": (100 * p, 0.06),
            "this counts the child alone; embeddings and pooler learn too": (
                100 * p * layers / total,
                0.06,
            ),
            "this is the share; as a percentage it is a hundred times that": (
                right / 100,
                0.0006,
            ),
            "this is the share of all weights outside the layers; the child learns besides": (
                100 * outside / total,
                0.06,
            ),
            "this is the share that does not learn": (100 - right, 0.06),
        },
        "count the weights of model.layers, and of all the model",
        band=0.06,
    )
