"""The checks of assignment 01. The reference is plain arithmetic with a switch for each mistake."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from _grading.checks import Task, Wrong, check
from _grading.diagnose import equal, expect
from _grading.measure_task import grade_number
from _grading.tests_task import grade_test

TITLE = "BERT from scratch: attention, names, and where the numbers are"
TASKS = {
    1: Task("Attention over packed sequences", minutes=40),
    2: Task("Weights by another name", minutes=25),
    3: Task("Find the bugs", minutes=25),
    4: Task("Write the test", minutes=30),
    5: Task("Measure and explain", minutes=40, hand=5),
}

# --- task 1 ---


def attend(q, k, v, lengths, heads, mistake=""):
    """Return attention, sequence by sequence and head by head, with one mistake."""
    hidden = q.shape[1]
    if mistake == "one head":
        heads = 1
    if mistake == "no sequences":
        lengths = [sum(lengths)]
    width = hidden // heads
    root = {"no root": 1.0, "root of hidden": math.sqrt(hidden), "width": float(width)}
    divisor = root.get(mistake, math.sqrt(width))
    out, start = [], 0
    for length in lengths:
        rows = slice(start, start + length)
        columns = [torch.arange(h * width, (h + 1) * width) for h in range(heads)]
        if mistake.startswith("dealt"):
            columns = [torch.arange(h, hidden, heads) for h in range(heads)]
        mixed = []
        for chosen in columns:
            scores = q[rows][:, chosen] @ k[rows][:, chosen].T / divisor
            if mistake == "causal":
                scores = scores + torch.full_like(scores, -math.inf).triu(1)
            if mistake == "overflow":
                shares = scores.exp() / scores.exp().sum(-1, keepdim=True)
            else:
                shares = scores.softmax(0 if mistake == "axis" else 1)
            mixed.append(shares @ v[rows][:, chosen])
        result = torch.cat(mixed, 1)
        if mistake == "dealt back":
            result = torch.stack(mixed, -1).flatten(1)
        if mistake == "not merged by text":
            result = torch.stack(mixed).reshape(length, hidden)
        out.append(result)
        start += length
    result = torch.cat(out)
    if mistake == "not merged":
        return result.unflatten(1, (heads, width)).transpose(0, 1).reshape(q.shape)
    return result


@check(task=1, points=6)
def check_attention(student, draw):
    heads, width = draw.integer(2, 3), draw.integer(4, 5)
    lengths = draw.random.sample([2, 3, 4, 5], 3)
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0)
    q, k, v = (draw.normal(sum(lengths), heads * width) for _ in range(3))
    cases = [(q, k, v), (10_000 * q, k, v)]  # the second overflows where exp is taken of scores
    got = [student.call("attention", *case, cu_seqlens, heads) for case in cases]

    def with_(mistake=""):
        return [attend(*case, lengths, heads, mistake) for case in cases]

    if equal(got[0], with_()[0]) and not equal(got[1], with_()[1]):
        got_large = got[1]
        if isinstance(got_large, Tensor) and not got_large.isfinite().all():
            raise Wrong(
                "with scores beyond 710 the result is not finite: exp overflows; subtract the "
                "largest score of a row first, which changes no share"
            )
    expect(
        got,
        with_(),
        what="attention",
        mistakes={
            "the scores are not divided by the root of a head's width": with_("no root"),
            "the scores are divided by the root of the hidden size; a product over one head adds "
            "up as many terms as the head is wide": with_("root of hidden"),
            "the scores are divided by the head's width, not by its root": with_("width"),
            "tokens gather from other sequences too: cu_seqlens is not heeded": with_(
                "no sequences"
            ),
            "the softmax runs over the queries; the shares of one query, over all keys, are to "
            "add up to 1": with_("axis"),
            "head h gets every heads-th number of a row; it is to get a run of them, from h * "
            "width on": with_("dealt"),
            "head h gets every heads-th number of a row, and puts it back there; it is to get a "
            "run of them, from h * width on": with_("dealt back"),
            "the heads are put together in the wrong order: each token's heads belong side by "
            "side (is a transpose missing?)": with_("not merged"),
            "the heads are put together in the wrong order: each token's heads belong side by "
            "side (is a transpose missing, in each sequence?)": with_("not merged by text"),
            "there is one head for the whole row: `heads` is not heeded": with_("one head"),
            "a token gathers from earlier tokens only; in BERT it sees both sides": with_("causal"),
        },
    )


# --- task 2 ---

LAYER = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
    "output.LayerNorm": "output_norm",
}
OUTSIDE = {
    "bert.embeddings.LayerNorm": "bert.embeddings.norm",
    "bert.pooler.dense": "bert.pooler.dense",
    "classifier": "classifier",
}
TABLES = {"word": "word", "position": "position", "token_type": "segment"}


def names(layers: int) -> dict[str, str]:
    """Return Hugging Face's name -> ours, of a classifier."""
    found = {
        f"bert.embeddings.{there}_embeddings.weight": f"bert.embeddings.{here}.weight"
        for there, here in TABLES.items()
    }
    modules = dict(OUTSIDE)
    for n in range(layers):
        modules |= {f"bert.encoder.layer.{n}.{a}": f"bert.layers.{n}.{b}" for a, b in LAYER.items()}
    for end in ("weight", "bias"):
        found |= {f"{there}.{end}": f"{here}.{end}" for there, here in modules.items()}
    return found


def translated(student, asked: list[str]) -> dict[str, str | None]:
    """Return what the student's our_name says of each."""
    found = student.call("named", asked)
    for name, ours in zip(asked, found):
        if ours is not None and not isinstance(ours, str):
            raise Wrong(f"our_name({name!r}) is to return a str, or None")
    return dict(zip(asked, found))


@check(task=2, points=3)
def check_names(student, draw):
    right = names(draw.integer(11, 13))  # a layer may have two digits
    expect(translated(student, list(right)), right, what="our_name")


@check(task=2, points=2)
def check_old_names(student, draw):
    # Judged against what the student makes of today's names: those are another check's.
    layer = draw.integer(0, 5)
    norms = [
        "bert.embeddings.LayerNorm",
        f"bert.encoder.layer.{layer}.attention.output.LayerNorm",
        f"bert.encoder.layer.{layer}.output.LayerNorm",
    ]
    bare = [
        "bert.pooler.dense.bias",
        "bert.embeddings.word_embeddings.weight",
        f"bert.encoder.layer.{layer}.intermediate.dense.weight",
    ]
    old = {f"{n}.gamma": f"{n}.weight" for n in norms} | {f"{n}.beta": f"{n}.bias" for n in norms}
    old |= {n.removeprefix("bert."): n for n in bare}
    today = translated(student, list(old.values()))
    if len(set(today.values())) < len(today):
        raise Wrong("our_name gives two tensors of today's names the same name")
    got = translated(student, list(old))
    for name, new in old.items():
        if got[name] != today[new] or got[name] is None or not got[name].endswith(new[-4:]):
            raise Wrong(
                f"our_name({name!r}) is {got[name]!r}; it is an old name of {new!r}, for which "
                f"our_name says {today[new]!r}"
            )
    buffers = ["bert.embeddings.position_ids", "embeddings.token_type_ids"]
    for name, ours in translated(student, buffers).items():
        if ours is not None:
            raise Wrong(f"our_name({name!r}) is {ours!r}; nobody trained that tensor: return None")


# --- task 3 ---

BUGS = {
    "positions": "positions run on from one sequence to the next; each sequence starts at place 0",
    "unbiased": "the variance is divided by hidden - 1; LayerNorm takes the mean of the squares",
    "outside": "eps is added to the standard deviation; it belongs under the root",
}
OTHERS = {
    "no segment": "the segment's row is missing, or segment_ids are not heeded",
    "whole batch": "mean and variance are taken over all tokens; each token is normalised alone",
    "no gain": "the gain or the bias of LayerNorm is missing",
}


def embedded(ids, segments, lengths, tables, eps, wrong=()):
    """Return the embeddings, with the named mistakes."""
    places = [p for length in lengths for p in range(length)]
    if "positions" in wrong:
        places = list(range(len(ids)))
    out = tables["word"][ids] + tables["position"][places]
    if "no segment" not in wrong:
        out = out + tables["segment"][segments]
    rows = [out] if "whole batch" in wrong else list(out)
    done = []
    for row in rows:
        centred = row - row.mean()
        count = row.numel() - ("unbiased" in wrong)
        variance = centred.square().sum() / count
        root = variance.sqrt() + eps if "outside" in wrong else (variance + eps).sqrt()
        done.append(centred / root)
    out = done[0] if "whole batch" in wrong else torch.stack(done)
    return out if "no gain" in wrong else out * tables["gain"] + tables["bias"]


@check(task=3, points=4)
def check_embed(student, draw):
    hidden, eps = draw.integer(4, 6), draw.integer(3, 9) / 10
    lengths = draw.random.sample([2, 3, 4, 5], 3)
    tokens = sum(lengths)
    tables = {name: draw.normal(20, hidden) for name in ("word", "position", "segment")}
    tables |= {name: draw.normal(hidden) for name in ("gain", "bias")}
    ids = torch.tensor([draw.integer(0, 19) for _ in range(tokens)])
    segments = torch.tensor([n % 2 for n in range(tokens)])
    cu_seqlens = torch.tensor([0, *lengths]).cumsum(0)
    got = student.call("embed", ids, segments, cu_seqlens, tables, eps)

    def with_(*wrong):
        return embedded(ids, segments, lengths, tables, eps, wrong)

    if equal(got, with_()):
        return
    for left in (3, 2):
        for bugs in combinations(BUGS, left):
            if equal(got, with_(*bugs)):
                count = "all 3 bugs are there" if left == 3 else "2 of the 3 bugs are left"
                raise Wrong(count, share=1 - left / 3)
    share = 2 / 3 if any(equal(got, with_(bug)) for bug in BUGS) else 0.0
    try:
        singles = {**BUGS, **OTHERS}
        mistakes = {said: with_(bug) for bug, said in singles.items()}
        expect(got, with_(), what="embed", mistakes=mistakes)
    except Wrong as wrong:
        raise Wrong(str(wrong), share=share) from None


# --- task 4: the candidates. Each takes (scores, length) ---


def square(scores, length) -> Tensor:
    """Return the scores as a tensor, if they are what a candidate takes."""
    try:
        found = torch.tensor(scores, dtype=torch.float64)
    except (TypeError, ValueError) as error:
        raise ValueError("scores is to be a list of rows of floats") from error
    if found.dim() != 2 or found.shape[0] != found.shape[1] or found.shape[0] > 500:
        raise ValueError(f"scores is to be a square list of rows, got {tuple(found.shape)}")
    if type(length) is not int or not 1 <= length <= len(found):
        raise ValueError(f"length is to be a whole number from 1 to {len(found)}")
    return found


def softmax_with_mask(scores, length):
    x = square(scores, length)
    x[:, length:] = -math.inf
    return x.softmax(-1).tolist()


def softmax_of_the_real(scores, length):
    rows = square(scores, length).tolist()
    out = [[0.0] * len(rows) for _ in rows]  # a row of padding stays 0
    for i, row in enumerate(rows[:length]):
        top = max(row[:length])
        total = math.fsum(math.exp(x - top) for x in row[:length])
        out[i][:length] = [math.exp(x - top) / total for x in row[:length]]
    return out


def unmasked(scores, length):
    return square(scores, length).softmax(-1).tolist()


def zero_for_infinity(scores, length):
    x = square(scores, length)
    x[:, length:] = 0.0
    return x.softmax(-1).tolist()


def masked_afterwards(scores, length):
    shares = square(scores, length).softmax(-1)
    shares[:, length:] = 0.0
    return shares.tolist()


def masks_queries(scores, length):
    x = square(scores, length)
    x[length:] = -1e9
    return x.softmax(-1).tolist()


def over_queries(scores, length):
    x = square(scores, length)
    x[length:] = -math.inf
    shares = x.softmax(0)
    shares[:, length:] = 0.0
    return shares.tolist()


def overflows(scores, length):
    shares = square(scores, length).exp()
    shares[:, length:] = 0.0
    return (shares / shares.sum(-1, keepdim=True)).tolist()


def one_more(scores, length):
    return softmax_with_mask(scores, min(length + 1, len(scores)))


@check(task=4, points=7)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_masked_softmax",
        [softmax_with_mask, softmax_of_the_real],
        {
            "lets padding take a share": unmasked,
            "puts 0 for a masked score, of which exp is 1": zero_for_infinity,
            "masks after the softmax, so that a row adds up to less than 1": masked_afterwards,
            "masks the rows of queries in place of the columns of keys": masks_queries,
            "takes the softmax over the queries": over_queries,
            "overflows where a score is 1000": overflows,
            "takes one token of padding for a real one": one_more,
        },
    )


# --- task 5 ---

QUESTION = {
    "words": 30522,
    "width": 768,
    "heads": 12,
    "layers": 12,
    "lengths": [8, 24, 56, 128],
    "reach": 8.0,
}


def ask(draw):
    """Draw the question of a term."""
    heads = draw.choice([6, 8, 10, 14, 16, 18])
    return {
        "words": 1000 * draw.integer(12, 60),
        "width": 64 * heads,
        "heads": heads,
        "layers": draw.choice([4, 6, 8, 10, 16, 18]),
        "lengths": [*sorted(draw.random.sample(range(6, 128, 2), 3)), 128],
        "reach": draw.choice([0.5, 0.8, 1.2, 1.5, 1.8]),
    }


def parts(question) -> dict[str, int]:
    """Return the scalars of a layer and of the encoder, part by part."""
    width, inner = question["width"], 4 * question["width"]
    found = {"squares": 4 * width**2, "narrow": 2 * width * inner}
    found |= {"biases": 5 * width + inner, "norms": 4 * width}
    found["layer"] = sum(found.values())
    found["embeddings"] = (question["words"] + 512 + 2 + 2) * width
    found["layers"] = question["layers"] * found["layer"]
    found["encoder"] = found["embeddings"] + found["layers"] + width * (width + 1)
    return found


def products(question, linear: int, attention: int) -> float:
    """Return products with padding over products without."""
    tokens = [4 * 128, sum(question["lengths"])]
    padded, real = (count * linear + attention for count in tokens)
    return padded / real


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    part = parts(question)
    return {
        "layer_parameters": part["layer"],
        "embedding_percent": 100 * part["embeddings"] / part["encoder"],
        "padded_over_packed": products(
            question, part["squares"] + part["narrow"], 2 * 4 * 128**2 * question["width"]
        ),
        "gelu_gap": gelu_gaps(question["reach"])["largest"],
    }


@check(task=5, points=2)
def check_layer_parameters(student, draw):
    part, heads = parts(draw.question), draw.question["heads"]
    right, width = part["layer"], draw.question["width"]
    grade_number(
        student,
        "layer_parameters",
        right,
        {
            "the biases of the linear maps are missing": right - part["biases"],
            "the two LayerNorms are missing": right - part["norms"],
            "biases and LayerNorms are missing": part["squares"] + part["narrow"],
            "a LayerNorm has a gain and a bias; one of them is missing": right - 2 * width,
            "attention has four square maps; its output is missing": right - width * (width + 1),
            "each head has maps of its own only in the drawing: together they are one square": (
                right + 3 * (heads - 1) * width * (width + 1)
            ),
            "that is all layers": part["layers"],
        },
        "list the eight modules of a layer with their shapes, and add up",
    )


@check(task=5, points=1)
def check_embedding_percent(student, draw):
    part = parts(draw.question)
    words = draw.question["words"] * draw.question["width"]
    right = answers(draw.question)["embedding_percent"]
    grade_number(
        student,
        "embedding_percent",
        right,
        {
            "this is the share; as a percentage it is a hundred times that": right / 100,
            "this is the word table alone; places, segments and LayerNorm belong to it": (
                100 * words / part["encoder"]
            ),
            "this is a percentage of the layers, not of the whole encoder": (
                100 * part["embeddings"] / part["layers"]
            ),
        },
        "add up embeddings, all layers and pooler",
        share=0.0025,
    )


@check(task=5, points=2)
def check_padding(student, draw):
    question, part = draw.question, parts(draw.question)
    linear, width = part["squares"] + part["narrow"], question["width"]
    padded, real = 4 * 128, sum(question["lengths"])
    rectangle = 2 * 4 * 128**2 * width
    squares = 2 * sum(n**2 for n in question["lengths"]) * width
    right = answers(question)["padded_over_packed"]
    grade_number(
        student,
        "padded_over_packed",
        right,
        {
            "this is the ratio of the tokens; attention costs the same in both": padded / real,
            "here attention without padding is cut to each text; it still has its rectangle": (
                (padded * linear + rectangle) / (real * linear + squares)
            ),
            "attention has two products, the scores and the mixture; one is missing": (
                products(question, linear, rectangle // 2)
            ),
            "the four maps of attention (query, key, value, output) are missing": (
                products(question, part["narrow"], rectangle)
            ),
            "it is the wrong way round: divide the products with padding by those without": (
                1 / right
            ),
        },
        "count the linear maps per token, and the two products of attention per rectangle",
        share=0.0035,
    )


@cache
def gelu_gaps(reach: float) -> dict[str, float]:
    """Return differences of formulas of GELU between -reach and reach."""
    x = torch.linspace(-reach, reach, 160_001, dtype=torch.float64)
    exact = x / 2 * torch.erfc(-x / math.sqrt(2))
    formula = x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    gap, sigmoid = (exact - formula).abs(), (exact - x * torch.sigmoid(1.702 * x)).abs()
    found = {"largest": gap.max(), "mean": gap.mean(), "sigmoid": sigmoid.max()}
    return {name: value.item() for name, value in found.items()}


@check(task=5, points=1)
def check_gelu(student, draw):
    gap = gelu_gaps(draw.question["reach"])
    grade_number(
        student,
        "gelu_gap",
        gap["largest"],
        {
            "this is a mean; the largest difference is asked for": gap["mean"],
            "this is the formula with a sigmoid; the one with tanh is nearer": gap["sigmoid"],
        },
        'compare torch.nn.functional.gelu with approximate="none" and "tanh", in double '
        "precision, on a fine grid",
        share=0.02,
    )
