"""The checks of assignment 04. The reference is names made here, AdamW alone, and single texts."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import minift
from _grading.checks import Task, Wrong, check
from _grading.diagnose import equal, expect, expect_names
from _grading.measure_task import answered_number, grade_number
from _grading.recorded import names_in_any_order
from _grading.student import Failure
from _grading.tests_task import grade_test

TITLE = "Freezing: which layers, not a bit of them, and what it saves"
TASKS = {
    1: Task("Which layers freeze?", minutes=25),
    2: Task("Frozen, bit for bit", minutes=25),
    3: Task("Find the bugs", minutes=30),
    4: Task("Write the test", minutes=35),
    5: Task("Measure and explain", minutes=35, hand=5),
}
WITH = tuple(f"minift.bert.{name}" for name in ("config", "dropout", "encoder", "heads", "packing"))

# --- task 1 ---

INSIDE = ("attention.query", "attention.output", "attention_norm", "intermediate", "output")
EMBEDDINGS = [f"bert.embeddings.{end}" for end in ("word.weight", "norm.weight", "norm.bias")]
POOLER = [f"bert.pooler.dense.{end}" for end in ("weight", "bias")]
HEAD = ["classifier.weight", "classifier.bias"]


def of_layers(numbers) -> list[str]:
    return [
        f"bert.layers.{n}.{module}.{end}"
        for n in numbers
        for module in INSIDE
        for end in ("weight", "bias")
    ]


def model_names(depth: int) -> list[str]:
    return [*EMBEDDINGS, *of_layers(range(depth)), *POOLER, *HEAD]


@check(task=1, points=3, public=names_in_any_order)
def check_input_side(student, draw):
    depth, f = draw.integer(12, 14), draw.integer(2, 3)
    right = EMBEDDINGS + of_layers(range(f))
    alike = [n for n in range(depth) if any(str(n).startswith(str(k)) for k in range(f))]
    expect_names(
        student.call("frozen_names", model_names(depth), f),
        right,
        what=f"frozen_names(names, {f})",
        mistakes={
            f'layers 10 to {depth - 1} freeze too: "bert.layers.1" begins their names as well': (
                EMBEDDINGS + of_layers(alike)
            ),
            "the embeddings are missing: with F > 0 they freeze with the layers above them": (
                of_layers(range(f))
            ),
            f"with F = {f} one layer too many freezes: layers are counted from 0": (
                EMBEDDINGS + of_layers(range(f + 1))
            ),
            f"with F = {f} layer 0 does not freeze: layers are counted from 0": (
                EMBEDDINGS + of_layers(range(1, f + 1))
            ),
            "F > 0 freezes layers next to the output; it means the side of the input": (
                EMBEDDINGS + of_layers(range(depth - f, depth))
            ),
            "these are the names that learn; those that freeze are asked for": [
                n for n in model_names(depth) if n not in right
            ],
        },
    )


@check(task=1, points=2, public=names_in_any_order)
def check_output_side(student, draw):
    depth, k = draw.integer(12, 14), draw.integer(3, 4)
    names = model_names(depth)
    none = student.call("frozen_names", names, 0)
    if isinstance(none, (list, tuple)) and all(name in none for name in of_layers(range(depth))):
        raise Wrong("with F = 0 every layer freezes; numbers[-0:] is the whole list")
    expect_names(none, [], what="frozen_names(names, 0)")
    right = of_layers(range(depth - k, depth))
    expect_names(
        student.call("frozen_names", names, -k),
        right,
        what=f"frozen_names(names, {-k})",
        mistakes={
            "with F < 0 the embeddings freeze too; they are at the other end, and learn": (
                EMBEDDINGS + right
            ),
            "with F < 0 the pooler freezes too; pooler and head learn for every F": right + POOLER,
            "with F < 0 all above the layers freezes too; pooler and head learn for every F": (
                right + POOLER + HEAD
            ),
            "F < 0 freezes layers next to the input; it means the side of the output": of_layers(
                range(k)
            ),
            f"with F = {-k} one layer too few freezes; the last of {depth} is layer {depth - 1}": (
                of_layers(range(depth - k, depth - 1))
            ),
            f"with F = {-k} one layer too few freezes; the lowest of them is {depth - k}": (
                of_layers(range(depth - k + 1, depth))
            ),
            f"with F = {-k} one layer too many freezes": of_layers(range(depth - k - 1, depth)),
        },
    )


@check(task=1, points=2, public="open")
def check_refuses(student, draw):
    depth = draw.integer(3, 9)
    names = model_names(depth)
    for f in (depth, -depth):
        got = student.attempt("frozen_names", names, f)
        if isinstance(got, Failure) and "ValueError" in got.types:
            raise Wrong(f"F = {f} of {depth} layers is refused; the head still learns, so allow it")
    for f in (depth + 1, -depth - 1):
        got = student.attempt("frozen_names", names, f)
        if not isinstance(got, Failure):
            raise Wrong(f"F = {f} of {depth} layers is to raise a ValueError, and returned names")
        if got.kind != "raised" or "ValueError" not in got.types:
            raise Wrong(got.sentence)


# --- task 2 ---


def trained(start: dict, gradients: list, settings: dict, since: int = 0) -> dict[str, Tensor]:
    """Train with AdamW; with `since` > 0, by a fresh optimizer from that step on."""
    parameters = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    optimizer = torch.optim.AdamW(parameters.values(), **settings)
    for number, step in enumerate(gradients):
        if since and number == since:
            optimizer = torch.optim.AdamW(parameters.values(), **settings)
        for name, parameter in parameters.items():
            parameter.grad = step[name].clone()
        optimizer.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}


def loop(draw) -> tuple[dict, list, list, int, dict]:
    """Return start, gradients, frozen names, the step before which they freeze, and settings."""
    names = [f"bert.layers.{n}.{k}" for n in range(3) for k in ("weight", "bias")]
    names += ["classifier.weight"]
    start = {name: draw.normal(3) + 2 for name in names}
    steps, since = draw.integer(6, 8), 3
    gradients = [{name: draw.normal(3) for name in names} for _ in range(steps)]
    frozen = draw.random.sample(names, 3)
    settings = {"lr": 0.05, "weight_decay": 0.1}
    return start, gradients, frozen, since, settings


@check(task=2, points=3)
def check_frozen_bits(student, draw):
    start, gradients, frozen, since, settings = loop(draw)
    got = student.call("frozen_midway", start, gradients, frozen, since, settings)
    mine = {name: start[name] for name in frozen}
    zeros = [{name: torch.zeros(3).double() for name in frozen}] * (len(gradients) - since)

    def end(steps):
        return trained(mine, steps, settings)

    expect(
        {name: got["after"][name] for name in frozen},
        end(gradients[:since]),
        what="a frozen weight",
        mistakes={
            "what is frozen moves on, by weight decay and momentum: its gradient is 0, and only "
            "where it is None does the optimizer skip it": end(gradients[:since] + zeros),
            "what is frozen keeps learning": end(gradients),
            "what is frozen is set back to where training began": mine,
        },
        tolerance=1e-12,
    )
    if moved := [n for n in frozen if not torch.equal(got["after"][n], got["before"][n])]:
        raise Wrong(f"{moved[0]} is not the same bit for bit")
    if asking := sorted(set(frozen) & set(got["asks"])):
        raise Wrong(
            f"{asking[0]} no longer moves, but backward still computes its gradient: "
            "requires_grad is True"
        )


@check(task=2, points=2)
def check_others_learn_on(student, draw):
    start, gradients, frozen, since, settings = loop(draw)
    got = student.call("frozen_midway", start, gradients, frozen, since, settings)
    others = {name: value for name, value in start.items() if name not in frozen}
    if equal(got["after"], trained(start, gradients, settings)) and len(got["asks"]) == len(start):
        raise Wrong("freeze does nothing: all goes on learning, what is named too")
    expect(
        {name: got["after"][name] for name in others},
        trained(others, gradients, settings),
        what="a weight that learns",
        mistakes={
            "nothing learns any more; only what is named was to freeze": trained(
                others, gradients[:since], settings
            ),
            "what learns has lost its momentum: the optimizer's state of the others was thrown "
            "away": trained(others, gradients, settings, since),
            "what learns no longer decays: weight decay was switched off for all": (
                without_decay(others, gradients, settings, since)
            ),
        },
        tolerance=1e-9,
    )


def without_decay(start, gradients, settings, since) -> dict[str, Tensor]:
    """Train, with weight decay up to step `since` only."""
    parameters = {name: nn.Parameter(value.clone()) for name, value in start.items()}
    optimizer = torch.optim.AdamW(parameters.values(), **settings)
    for number, step in enumerate(gradients):
        if number == since:
            optimizer.param_groups[0]["weight_decay"] = 0.0
        for name, parameter in parameters.items():
            parameter.grad = step[name].clone()
        optimizer.step()
    return {name: parameter.detach() for name, parameter in parameters.items()}


# --- task 3 ---


def encoder(seed: int, depth: int, hidden: int) -> minift.Bert:
    """Return the harness's encoder."""
    config = minift.BertConfig(
        vocab_size=50,
        hidden_size=hidden,
        num_hidden_layers=depth,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=20,
    )
    model = minift.Bert(config, pooler=False).double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return model


ORDER = (
    "the states of one text are kept under the key of another: where the texts are sorted by "
    "length, their states come out in that order"
)
DROPOUT = "dropout is on while the states are computed, and its noise then stays in the cache"
MODES = "the encoder is left in another mode: what is trained above the prefix loses its dropout"


@check(task=3, points=4)
def check_prefix(student, draw):
    depth, hidden, seed = 3, 2 * draw.integer(3, 5), draw.seed()
    layers = draw.integer(1, 2)
    lengths = [7, 2, 5, 3, 6, 4]  # not ascending, and all different
    texts = {f"text {n}": [draw.integer(0, 49) for _ in range(k)] for n, k in enumerate(lengths)}
    keys = list(texts)
    orders = [keys[:4], [keys[0], keys[5], keys[2], keys[4]], keys[3::-1]]  # some known, all known
    batches = [{k: texts[k] for k in order} for order in orders]
    arguments = (seed, depth, hidden, layers, batches)
    calm = student.call("prefixed", *arguments, False)
    wild = student.call("prefixed", *arguments, True)
    model = encoder(seed, depth, hidden)
    with torch.no_grad():
        every = {k: model.hidden_states(minift.pack([ids])) for k, ids in texts.items()}

    def states(layer):
        return [torch.cat([every[k][layer] for k in batch]) for batch in batches]

    right, left = states(layers), []
    lost = [s for s in calm["states"] if isinstance(s, str)]
    if lost and equal(calm["states"][0], right[0]):
        left.append(
            "a batch in which some texts are known and some are new ends in a "
            f"{lost[0]}: its new states are filed under keys that are not theirs"
        )
    elif not equal(calm["states"], right):
        first = calm["states"][0]
        same_rows = isinstance(first, Tensor) and first.shape == right[0].shape
        if same_rows and equal(first.sum(0), right[0].sum(0)):
            left.append(ORDER)
        else:
            expect(
                calm["states"],
                right,
                what="states",
                mistakes={
                    "this is the output of one layer less": states(layers - 1),
                    "this is the output of one layer more": states(layers + 1),
                    "this is the output of all layers": states(-1),
                },
            )
    if not equal(wild["states"], calm["states"]):
        left.append(DROPOUT)
    elif not (wild["modes kept"] and calm["modes kept"]):
        left.append(MODES)
    if not left and calm["tokens"] > sum(lengths):
        left.append("texts are computed again although their states are in the cache")
    if left:
        raise Wrong(left[0] if len(left) == 1 else "both bugs are there", share=1 - len(left) / 2)


# --- task 4: the candidates. Each takes (start, gradients, frozen, since) ---


def job(start, gradients, frozen, since) -> None:
    """Refuse what is not a task for a candidate."""
    if not isinstance(start, dict) or not start or not isinstance(gradients, (list, tuple)):
        raise ValueError("start is to be a dict of lists of floats, gradients a list of such dicts")
    if not all(isinstance(step, dict) and set(step) == set(start) for step in gradients):
        raise ValueError("each step's gradients are to have the names of start")
    for values in (start, *gradients):
        for name, row in values.items():
            if not isinstance(row, (list, tuple)) or len(row) != len(start[name]):
                raise ValueError(f"{name}: expected a list of {len(start[name])} floats")
    if isinstance(frozen, str) or not all(isinstance(part, str) for part in frozen):
        raise ValueError("frozen is to be a list of names of modules")
    if type(since) is not int or since < 0 or len(gradients) * len(start) > 10_000:
        raise ValueError("since is to be a step's number, and the task a small one")


def within(name: str, parts, loose: bool = False) -> bool:
    return any(name.startswith(part if loose else f"{part}.") for part in parts)


def adamw(start, gradients, frozen, since, mistake=""):
    """Train with AdamW, with one mistake."""
    job(start, gradients, frozen, since)
    weights = {
        name: nn.Parameter(torch.tensor(row, dtype=torch.float64)) for name, row in start.items()
    }
    optimizer = torch.optim.AdamW(weights.values(), lr=0.1, weight_decay=0.1)
    since = 0 if mistake == "always" else since + (mistake == "late")
    seen = []
    for number, step in enumerate(gradients):
        for name, weight in weights.items():
            held = number >= since and within(name, frozen, mistake == "loose")
            held = held or (mistake == "all" and number >= since)
            weight.grad = torch.tensor(step[name], dtype=torch.float64)
            if held and mistake == "zero":
                weight.grad.zero_()
            elif held:
                weight.grad = None
                if mistake == "reset":
                    weight.data = torch.tensor(start[name], dtype=torch.float64)
        optimizer.step()
        seen.append({name: weight.tolist() for name, weight in weights.items()})
    return seen


def heavy_ball(start, gradients, frozen, since, mistake=""):
    """Train with momentum and decay, in plain floats, with one mistake."""
    job(start, gradients, frozen, since)
    weights = {name: list(map(float, row)) for name, row in start.items()}
    speed = {name: [0.0] * len(row) for name, row in start.items()}
    seen = []
    for number, step in enumerate(gradients):
        for name, row in weights.items():
            held = number >= since and within(name, frozen)
            if held and not mistake:
                continue
            for i, gradient in enumerate(step[name]):
                if held and mistake == "decay":
                    row[i] -= 0.01 * row[i]
                    continue
                speed[name][i] = 0.9 * speed[name][i] + (0.0 if held else gradient)
                row[i] -= 0.05 * speed[name][i] + (0.0 if held else 0.0005 * row[i])
        seen.append({name: list(row) for name, row in weights.items()})
    return seen


def with_mistake(loop_, mistake):
    return lambda *args: loop_(*args, mistake) if len(args) == 4 else loop_(*args)


@check(task=4, points=7)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_freezing",
        [with_mistake(adamw, ""), with_mistake(heavy_ball, "")],
        {
            "lets momentum move what is frozen": with_mistake(heavy_ball, "momentum"),
            "lets weight decay shrink what is frozen": with_mistake(heavy_ball, "decay"),
            "freezes one step too late": with_mistake(adamw, "late"),
            "freezes from the beginning, whatever `since` is": with_mistake(adamw, "always"),
            'takes "bert.layers.10" for part of "bert.layers.1"': with_mistake(adamw, "loose"),
            "sets what is frozen back to its start": with_mistake(adamw, "reset"),
            "freezes everything, not only what is named": with_mistake(adamw, "all"),
        },
    )


# --- task 5 ---

QUESTION = {
    "frozen": 6,
    "chain": 5,
    "chain_frozen": 2,
    "deep": 3,
    "deep_frozen": 2,
    "tokens": 16,
}


def ask(draw):
    """Draw the question of a term."""
    chain = draw.integer(6, 9)
    return {
        "frozen": draw.choice([2, 3, 4, 5, 7, 8, 9, 10]),
        "chain": chain,
        "chain_frozen": draw.integer(2, chain - 3),
        "deep": draw.integer(5, 9),
        "deep_frozen": draw.choice([1, 2, 3]),
        "tokens": draw.choice([12, 20, 32, 40]),
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    chain, held = question["chain"], question["chain_frozen"]
    f, deep = question["deep_frozen"], question["deep"]
    ways = [backward_operations(f, deep, question["tokens"]) for f in (0, f, -f)]
    part = of_base(question["frozen"])
    return {
        "learns_percent": 100 * part["learns"] / part["total"],
        "gradients_input": 2 * (chain - held) - 1,
        "gradients_output": chain - held + chain - 1,
        "backward_input": 100 * ways[1] / ways[0],
        "backward_output": 100 * ways[2] / ways[0],
    }


def of_base(frozen: int) -> dict[str, int]:
    """Return the scalars of BERT-base with a linear head for two classes."""
    width, inner = 768, 3072
    layer = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    found = {"embeddings": (30522 + 512 + 2 + 2) * width, "pooler": width * (width + 1)}
    above = found["pooler"] + 2 * (width + 1)
    found["learns"] = (12 - frozen) * layer + above
    found["total"] = found["embeddings"] + 12 * layer + above
    return found


@check(task=5, points=2)
def check_learns(student, draw):
    frozen = draw.question["frozen"]
    part = of_base(frozen)
    embeddings, pooler, learns, total = (
        part[name] for name in ("embeddings", "pooler", "learns", "total")
    )
    grade_number(
        student,
        "learns_percent",
        100 * learns / total,
        {
            "this is the share; as a percentage it is a hundred times that": learns / total,
            "the embeddings learn here; with F > 0 they freeze": (
                100 * (learns + embeddings) / total
            ),
            "this is what freezes; what learns was asked for": 100 * (total - learns) / total,
            "this counts layers only; a share of them is not that share of the parameters": (
                100 * (12 - frozen) / 12
            ),
            "the pooler is missing; it learns, and has a matrix of its own": (
                100 * (learns - pooler) / total
            ),
        },
        "the other layers, the pooler and the head learn; divide by everything",
        share=0.002,
    )


@check(task=5, points=2)
def check_gradients(student, draw):
    right = answers(draw.question)
    chain, learn = draw.question["chain"], draw.question["chain"] - draw.question["chain_frozen"]
    grade_number(
        student,
        "gradients_input",
        right["gradients_input"],
        {
            "the gradient for the input of the lowest layer that learns is counted: below it "
            "nothing learns": 2 * learn,
            "these are gradients of weights; those of h are computed on the way down, too": learn,
            "this is the number without freezing": 2 * chain - 1,
        },
        "count the weights that learn; which h lie between the output and the lowest of them?",
    )
    grade_number(
        student,
        "gradients_output",
        right["gradients_output"],
        {
            "the frozen layers are left out; the way down to the others passes through them": (
                2 * learn - 1
            ),
            "these are gradients of weights; those of h are computed on the way down, too": learn,
            "these are gradients of h; those of the weights that learn come on top": chain - 1,
            "x is not asked for a gradient, and y is where it begins": learn + chain,
            "this is the number without freezing": 2 * chain - 1,
        },
        "count the weights that learn; through which h does the way to the lowest of them lead?",
    )


@cache
def backward_operations(f: int, deep: int, tokens: int) -> int:
    """Count the operations of the backward pass, as the hand-out says."""
    model = classifier(deep)
    chosen = range(f) if f > 0 else range(deep + f, deep)
    starts = [f"bert.layers.{n}." for n in chosen] + ["bert.embeddings."] * (f > 0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(tuple(starts)))
    with FlopCounterMode(display=False) as counter:
        logits = model(minift.pack([list(range(100, 100 + tokens))]))
        forward = counter.get_total_flops()
        torch.nn.functional.cross_entropy(logits, torch.tensor([0])).backward()
    return counter.get_total_flops() - forward


@cache
def classifier(deep: int) -> minift.SequenceClassifier:
    """Return a model of so many layers as those of the encoder "tiny"; its numbers do not count."""
    config = minift.BertConfig(
        vocab_size=8000,
        hidden_size=192,
        num_hidden_layers=deep,
        num_attention_heads=6,
        intermediate_size=768,
        max_position_embeddings=256,
        labels=("negative", "positive"),
    )
    return minift.SequenceClassifier(config)


@check(task=5, points=2)
def check_backward(student, draw):
    got = [answered_number(student, key) for key in ("backward_input", "backward_output")]
    found = answers(draw.question)
    right = [found[key] for key in ("backward_input", "backward_output")]
    held = draw.question["deep_frozen"]
    other = answers({**draw.question, "deep_frozen": 1 if held > 1 else 2})
    one = [other[key] for key in ("backward_input", "backward_output")]

    def near(values):
        return all(abs(a - b) <= 0.6 for a, b in zip(got, values))

    if near(right):
        return
    if near(right[::-1]):
        raise Wrong("backward_input and backward_output are the wrong way round")
    if near(one):
        raise Wrong("these are the percentages of another number of frozen layers; see QUESTION")
    if near([100 - value for value in right]):
        raise Wrong("these are the operations saved; those that remain were asked for")
    if near([value / 100 for value in right]) and max(got) <= 1:
        raise Wrong("these are shares; as percentages they are a hundred times that")
    wrong = 0 if abs(got[0] - right[0]) > 0.6 else 1
    key = ("backward_input", "backward_output")[wrong]
    raise Wrong(
        f'ANSWERS["{key}"] is not {got[wrong]:.10g}: is the forward pass left out, and do exactly '
        "the right names have requires_grad?"
    )
