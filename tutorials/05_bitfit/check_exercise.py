"""The checks of assignment 05. The reference is a list of names and sizes, worked out here."""

from __future__ import annotations

import math
import re
from functools import cache

import torch

import minift
from _grading.checks import Task, Wrong, check
from _grading.diagnose import expect, expect_names
from _grading.measure_task import answered_number, grade_number
from _grading.recorded import names_in_any_order
from _grading.tests_task import grade_test
from minift.bert.packing import pack

TITLE = "BitFit: which numbers learn, and how few they are"
TASKS = {
    1: Task("Which parameters learn?", minutes=20),
    2: Task("Freeze, and count", minutes=20),
    3: Task("Find the bug", minutes=20),
    4: Task("Write the test", minutes=30),
    5: Task("Measure and explain", minutes=30, hand=5),
}
WITH = (
    *(f"minift.bert.{name}" for name in ("config", "dropout", "encoder", "heads", "packing")),
    "minift.methods.cnn_head",
)

NORMS = ("attention_norm", "output_norm")
TERMS = {
    "query": "attention.query.bias",
    "key": "attention.key.bias",
    "value": "attention.value.bias",
    "attention_output": "attention.output.bias",
    "attention_norm": "attention_norm.bias",
    "intermediate": "intermediate.bias",
    "output": "output.bias",
    "output_norm": "output_norm.bias",
}


def sizes(
    head: str, layers: int, hidden: int, words: int = 50, positions: int = 20, wide: int = 3
) -> dict[str, int]:
    """Return name -> scalars of a model with three labels, by default one of the harness's."""
    found = {
        "bert.embeddings.word.weight": words * hidden,
        "bert.embeddings.position.weight": positions * hidden,
        "bert.embeddings.segment.weight": 2 * hidden,
        "bert.embeddings.norm.weight": hidden,
        "bert.embeddings.norm.bias": hidden,
    }
    for layer in range(layers):
        start = f"bert.layers.{layer}."
        square = {f"attention.{name}": (1, 1) for name in ("query", "key", "value", "output")}
        linear = {**square, "intermediate": (wide, 1), "output": (1, wide)}
        for name, (outputs, inputs) in linear.items():
            found[f"{start}{name}.weight"] = outputs * inputs * hidden**2
            found[f"{start}{name}.bias"] = outputs * hidden
        for name in NORMS:
            found |= {f"{start}{name}.weight": hidden, f"{start}{name}.bias": hidden}
    if head == "sequence":
        found |= {"bert.pooler.dense.weight": hidden**2, "bert.pooler.dense.bias": hidden}
    if head == "conv":
        for index, width in enumerate((3, 4, 5)):
            found[f"classifier.filters.{index}.weight"] = 100 * width * hidden
            found[f"classifier.filters.{index}.bias"] = 100
        return found | {"classifier.output.weight": 900, "classifier.output.bias": 3}
    return found | {"classifier.weight": 3 * hidden, "classifier.bias": 3}


def in_encoder(name: str) -> bool:
    return name.startswith("bert.")


def right_names(names: list[str]) -> list[str]:
    return [n for n in names if not in_encoder(n) or n.endswith("bias")]


def chosen(student, head: str, layers: int) -> tuple[list[str], list[str]]:
    """Return what the student's bitfit_names says: names of the encoder, and of the head."""
    got = student.call("chosen", head, layers, 8)
    if not isinstance(got, (list, tuple)) or not all(isinstance(name, str) for name in got):
        raise Wrong("bitfit_names is to return a list of names (str)")
    return [n for n in got if in_encoder(n)], [n for n in got if not in_encoder(n)]


@check(task=1, points=4, public=names_in_any_order)
def check_bias_names(student, draw):
    layers = draw.integer(2, 4)
    names = [n for n in sizes("sequence", layers, 8) if in_encoder(n)]
    right = [n for n in names if n.endswith("bias")]
    expect_names(
        chosen(student, "sequence", layers)[0],
        right,
        what="the names of the encoder that learn",
        mistakes={
            "the biases of the LayerNorms are missing: they are biases too": [
                n for n in right if not n.endswith("norm.bias")
            ],
            "the gains of the LayerNorms (weight) learn too; BitFit trains their biases only": [
                *right,
                *(n for n in names if n.endswith("norm.weight")),
            ],
            "the two biases outside the layers, of embeddings and pooler, are missing": [
                n for n in right if "layers" in n
            ],
            "these are the weights; BitFit trains the biases": [
                n for n in names if n.endswith("weight")
            ],
        },
    )


@check(task=1, points=2, public=names_in_any_order)
def check_head_names(student, draw):
    layers = draw.integer(2, 4)
    got, right = [], []
    for head in ("sequence", "token", "conv"):
        got += [f"{n} ({head} model)" for n in chosen(student, head, layers)[1]]
        right += [f"{n} ({head} model)" for n in sizes(head, layers, 8) if not in_encoder(n)]
    expect_names(
        got,
        right,
        what="the names of the head that learn",
        mistakes={
            "the head's weight is missing: the head is new, so all of it must learn": [
                n for n in right if "bias" in n
            ],
            "the head is missing: nobody has trained it, so it must learn": [],
        },
    )


@check(task=2, points=3)
def check_freeze(student, draw):
    names = list(sizes("sequence", 2, 8))
    wanted = draw.random.sample(names, 9)
    others = [n for n in names if n not in wanted]
    before = wanted[:4] + draw.random.sample(others, 9)
    expect_names(
        student.call("learning_after_freeze", "sequence", 2, 8, wanted, before),
        wanted,
        what="the names with requires_grad after freeze",
        mistakes={
            "freeze switches the others off, but does not switch on what was frozen before": [
                n for n in wanted if n not in before
            ],
            "freeze switches on what is to learn, but leaves the others as they were": [
                *wanted,
                *(n for n in others if n not in before),
            ],
            "freeze does it the wrong way round: it freezes what is to learn": others,
            "freeze changes nothing": [n for n in names if n not in before],
        },
    )


@check(task=2, points=3)
def check_counts(student, draw):
    hidden, layers = 2 * draw.integer(4, 9), draw.integer(2, 4)
    size = sizes("sequence", layers, hidden)
    names = right_names(list(size))

    def counts(learn, encoder, head):
        return {"encoder learns": learn, "encoder": encoder, "head": head}

    learn = sum(size[n] for n in names if in_encoder(n))
    encoder = sum(s for n, s in size.items() if in_encoder(n))
    head = sum(s for n, s in size.items() if not in_encoder(n))
    tensors = [n for n in size if in_encoder(n)]
    expect(
        student.call("counted", "sequence", layers, hidden, names),
        counts(learn, encoder, head),
        what="count_scalars",
        mistakes={
            "it counts tensors; count the numbers in them": counts(
                len([n for n in names if in_encoder(n)]), len(tensors), len(size) - len(tensors)
            ),
            'the head is counted in "encoder learns"; it can outweigh all biases': counts(
                learn + head, encoder, head
            ),
            'the head is counted in "encoder": that is the whole model': counts(
                learn, encoder + head, head
            ),
            "the head is counted in both lines of the encoder": counts(
                learn + head, encoder + head, head
            ),
        },
    )


@check(task=3, points=4, public=names_in_any_order)
def check_subset(student, draw):
    layers = draw.integer(11, 13)  # a layer may have two digits
    names = list(sizes("sequence", layers, 8))
    others = ["query", "key", "value", "attention_norm", "intermediate", "output_norm"]
    for terms in (["output"], ["attention_output"], sorted(draw.random.sample(others, 3))):

        def of(suffixes, layers=layers):
            return [f"bert.layers.{n}.{s}" for n in range(layers) for s in suffixes]

        suffixes = [TERMS[term] for term in terms]
        mistakes = {
            "layers 10 and above are missing: their number has two digits": of(suffixes, 10),
            "pooler.dense.bias was not asked for": [*of(suffixes), "bert.pooler.dense.bias"],
        }
        if terms == ["output"]:
            also = of(["output.bias", "attention.output.bias"])
            mistakes |= {
                'asked for "output", it also returns attention.output.bias: how does one name '
                "stand in the other?": also,
                'asked for "output", it finds nothing': [],
            }
        got = student.call("subset_names", names, terms)
        expect_names(got, of(suffixes), what=f"subset_names(names, {terms})", mistakes=mistakes)


# --- task 4: the candidates. Each takes (before, after, suffix) ---


def _pairs(before, after, suffix):
    for name in before:
        if re.fullmatch(rf"bert\.layers\.\d+\.{re.escape(suffix)}", name):
            yield list(zip(before[name], after[name]))


def moved(before, after, suffix):
    changes = [abs(b - a) for pairs in _pairs(before, after, suffix) for a, b in pairs]
    return sum(changes) / len(changes)


def moved_with_tensors(before, after, suffix):
    chosen = [name for name in after if name.split(".", 3)[3:] == [suffix]]
    old, new = (torch.tensor([v for n in chosen for v in d[n]]).double() for d in (before, after))
    return (new - old).norm(p=1).item() / len(old)


def signed(before, after, suffix):
    changes = [b - a for pairs in _pairs(before, after, suffix) for a, b in pairs]
    return abs(sum(changes)) / len(changes)


def summed(before, after, suffix):
    return sum(abs(b - a) for pairs in _pairs(before, after, suffix) for a, b in pairs)


def squared(before, after, suffix):
    changes = [(b - a) ** 2 for pairs in _pairs(before, after, suffix) for a, b in pairs]
    return math.sqrt(sum(changes) / len(changes))


def first_layer(before, after, suffix):
    pairs = next(_pairs(before, after, suffix))
    return sum(abs(b - a) for a, b in pairs) / len(pairs)


def size_of_after(before, after, suffix):
    changes = [abs(b) for pairs in _pairs(before, after, suffix) for _, b in pairs]
    return sum(changes) / len(changes)


def by_substring(before, after, suffix):
    changes = [abs(b - a) for n in before if suffix in n for a, b in zip(before[n], after[n])]
    return sum(changes) / len(changes)


@check(task=4, points=6)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_moved",
        [moved, moved_with_tensors],
        {
            "lets rises and falls cancel (no absolute value)": signed,
            "adds up and does not divide": summed,
            "takes the root of the mean square": squared,
            "looks at the first layer only": first_layer,
            "forgets what the bias was before": size_of_after,
            'takes "attention.output.bias" for "output.bias"': by_substring,
        },
    )


# --- task 5 ---

QUESTION = {"layers": 12, "width": 768, "first": 100, "tokens": 10, "shift": 0.5}


def ask(draw):
    """Draw the question of a term."""
    return {
        "layers": draw.choice([4, 6, 8, 10, 16]),
        "width": 64 * draw.choice([4, 6, 8, 10, 14, 16]),
        "first": draw.integer(120, 900),
        "tokens": draw.integer(7, 14),
        "shift": draw.choice([0.8, 1.0, 1.5, 2.0]),
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    size = encoder_sizes(question)
    biases = sum(scalars for name, scalars in size.items() if name.endswith("bias"))
    return {
        "bias_percent": 100 * biases / sum(size.values()),
        "key_shift": 0.0,
        "query_shift": shift(question["first"], question["tokens"], question["shift"]),
    }


def encoder_sizes(question) -> dict[str, int]:
    """Return name -> scalars of the encoder in question."""
    found = sizes(
        "sequence", question["layers"], question["width"], words=30522, positions=512, wide=4
    )
    return {name: size for name, size in found.items() if in_encoder(name)}


@check(task=5, points=2)
def check_bias_percent(student, draw):
    encoder, width = encoder_sizes(draw.question), draw.question["width"]
    biases = sum(size for name, size in encoder.items() if name.endswith("bias"))
    inside = biases - 2 * width  # without those of the embeddings and the pooler
    total, head = sum(encoder.values()), 2 * width + 2
    grade_number(
        student,
        "bias_percent",
        100 * biases / total,
        {
            "this is the share; as a percentage it is a hundred times that": biases / total,
            "this counts the biases of the layers; embeddings and pooler have one each": (
                100 * inside / total
            ),
            "this counts a classifier too; it is not part of the encoder": (
                100 * (biases + head) / (total + head)
            ),
        },
        "add up the biases of the embeddings, of each layer and of the pooler",
        band=6e-5,
    )


@check(task=5, points=2)
def check_shifts(student, draw):
    query = answers(draw.question)["query_shift"]
    got = answered_number(student, "key_shift"), answered_number(student, "query_shift")
    if near(got[0], query) and abs(got[1]) < 1e-9:
        raise Wrong("key_shift and query_shift are the wrong way round")
    if abs(got[0]) > 1e-9:
        raise Wrong(f"key_shift is {got[0]:.2g}: is it float64, and did only a key bias change?")
    if not near(got[1], query):
        raise Wrong(f"query_shift is {got[1]:.2g}: take the mean of |change| over all numbers")


def near(got: float, right: float) -> bool:
    return abs(got - right) <= 0.03 * right


@cache
def shift(first: int, tokens: int, by: float) -> float:
    """Measure what adding to the query bias of layer 0 changes."""
    encoder, _ = minift.load_encoder("tiny")
    encoder = encoder.double().eval()
    packed = pack([list(range(first, first + tokens))])
    with torch.no_grad():
        before = encoder(packed)
        encoder.layers[0].attention.query.bias += by
        return (encoder(packed) - before).abs().mean().item()
