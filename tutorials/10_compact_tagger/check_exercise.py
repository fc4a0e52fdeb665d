"""The checks of assignment 10. Losses are worked out word by word, sequences written down."""

from __future__ import annotations

import itertools
import math

import torch

from _grading.checks import Task, Wrong, check
from _grading.diagnose import expect
from _grading.measure_task import answered_number
from _grading.recorded import as_list
from _grading.tests_task import grade_test

TITLE = "A compact tagger: what a teacher says, and what a byte costs"
TASKS = {
    1: Task("The loss of a lesson", minutes=30),
    2: Task("A conditional random field", minutes=45),
    3: Task("Find the bug", minutes=15),
    4: Task("Write the test", minutes=30),
    5: Task("Measure and explain", minutes=30, hand=5),
}


def softmax(logits, temperature: float = 1.0) -> list[float]:
    top = max(logits)
    powers = [math.exp((z - top) / temperature) for z in logits]
    return [power / math.fsum(powers) for power in powers]


def kl(p, q) -> float:
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q))


def scalar(value, name: str) -> float:
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise Wrong(f"{name} is to return a scalar")


@check(task=1, points=5)
def check_loss(student, draw):
    sentences, words, labels = draw.random.sample([2, 3, 4], 3)
    mine = 1.5 * draw.normal(sentences, words, labels)
    theirs = 1.5 * draw.normal(sentences, words, labels)
    targets = torch.randint(labels, (sentences, words), generator=draw.torch)
    mask = torch.ones(sentences, words, dtype=torch.bool)
    t, hard, soft = draw.choice([2.5, 3.5]), draw.choice([0.5, 0.7]), draw.choice([1.5, 2.5])
    got = scalar(
        student.call("lesson_loss", mine, theirs, targets, mask, t, hard, soft), "lesson_loss"
    )
    rows = list(zip(mine.flatten(0, 1).tolist(), theirs.flatten(0, 1).tolist()))
    gold = targets.flatten().tolist()
    n = len(rows)
    entropy = [-math.log(softmax(z)[y]) for (z, _), y in zip(rows, gold)]
    cold = [-math.log(softmax(z, t)[y]) for (z, _), y in zip(rows, gold)]

    def mean(ce, term, factor=t * t, a=hard, b=soft):
        return math.fsum(a * c + b * factor * x for c, x in zip(ce, term)) / n

    forward = [kl(softmax(z, t), softmax(s, t)) for s, z in rows]
    back = [kl(softmax(s, t), softmax(z, t)) for s, z in rows]
    at_one = [kl(softmax(z), softmax(s)) for s, z in rows]
    student_at_one = [kl(softmax(z, t), softmax(s)) for s, z in rows]
    crossed = [
        -math.fsum(p * math.log(q) for p, q in zip(softmax(z, t), softmax(s, t))) for s, z in rows
    ]
    squares = [
        sum((math.log(q) - p) ** 2 for p, q in zip(softmax(z, t), softmax(s, t))) / labels
        for s, z in rows
    ]
    expect(
        got,
        mean(entropy, forward),
        what="lesson_loss",
        mistakes={
            "KL is the wrong way round: this is KL(student || teacher)": mean(entropy, back),
            "the factor T^2 is missing": mean(entropy, forward, 1.0),
            "the factor is T; it is T^2": mean(entropy, forward, t),
            "the temperature is not used in the softmax": mean(entropy, at_one),
            "only the teacher is softened; the student's logits are divided by T, too": mean(
                entropy, student_at_one
            ),
            "the label's term is at temperature T; it is at 1": mean(cold, forward),
            "this is the cross-entropy with the teacher, which is not 0 for a perfect copy": mean(
                entropy, crossed
            ),
            "this compares log-probabilities with probabilities (the authors' mse)": mean(
                entropy, squares
            ),
            "the KL is divided by the number of labels, too": mean(
                entropy, forward, t * t / labels
            ),
            "the two weights are the wrong way round": mean(entropy, forward, a=soft, b=hard),
            "this is the sum over words; divide by their number": n * mean(entropy, forward),
        },
        tolerance=3e-6,
    )


@check(task=1, points=2)
def check_padding(student, draw):
    labels = draw.integer(3, 5)
    lengths = [draw.integer(4, 6), draw.integer(1, 2), 3]
    longest = max(lengths)
    mine, theirs = (draw.normal(3, longest, labels) for _ in range(2))
    targets = torch.randint(labels, (3, longest), generator=draw.torch)
    mask = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
    settings = (2.0, 1.0, 0.5)

    def loss(a, b, y, m) -> float:
        return scalar(student.call("lesson_loss", a, b, y, m, *settings), "lesson_loss")

    together = loss(mine, theirs, targets, mask)
    junk = (~mask).unsqueeze(2) * 5.0 * draw.normal(3, longest, labels)
    if not abs(loss(mine + junk, theirs + 2 * junk.flip(2), targets, mask) - together) <= 1e-6:
        raise Wrong("what stands in the padding changes lesson_loss")
    if abs(loss(mine.flip(2), theirs, targets, mask) - together) <= 1e-6:
        raise Wrong("lesson_loss does not change with the student's logits")
    own = []
    for i, length in enumerate(lengths):
        parts = (x[i : i + 1, :length] for x in (mine, theirs, targets, mask))
        own.append(loss(*parts))
    right = sum(a * n for a, n in zip(own, lengths)) / sum(lengths)
    expect(
        together,
        right,
        what="lesson_loss of three sentences together",
        mistakes={
            "lesson_loss divides by all places, padding too; divide by the number of words": (
                right * sum(lengths) / (3 * longest)
            ),
            "lesson_loss is a mean of sentences: a word of a short one weighs more": sum(own) / 3,
            "lesson_loss divides by the number of sentences": right * sum(lengths) / 3,
        },
        otherwise="it is not the mean over the words of the three",
    )


# --- task 2 ---


def field(draw, words: int, labels: int):
    """Draw a sentence, as tensors."""
    return (
        draw.normal(words, labels),
        2 * draw.normal(labels, labels),
        2 * draw.normal(labels),
        2 * draw.normal(labels),
    )


def every(emissions, transitions, start, end, with_start=True, with_end=True):
    """Return (score, tags) of all sequences."""
    rows, steps, first, last = (x.tolist() for x in (emissions, transitions, start, end))
    found = []
    for tags in itertools.product(range(len(first)), repeat=len(rows)):
        parts = [row[tag] for row, tag in zip(rows, tags)]
        parts += [steps[a][b] for a, b in itertools.pairwise(tags)]
        parts += [first[tags[0]]] * with_start + [last[tags[-1]]] * with_end
        found.append((math.fsum(parts), list(tags)))
    return found


def log_sum(found) -> float:
    top = max(score for score, _ in found)
    return top + math.log(math.fsum(math.exp(score - top) for score, _ in found))


@check(task=2, points=4)
def check_partition(student, draw):
    cases = [field(draw, draw.integer(3, 4), 3), field(draw, 4, 2), field(draw, 1, 3)]
    large = (cases[0][0] + 900.0, *cases[0][1:])
    cases.append(large)
    got = [scalar(student.call("log_partition", *case), "log_partition") for case in cases]
    right = [log_sum(every(*case)) for case in cases]
    turned = [(e, t.T, s, f) for e, t, s, f in cases]
    expect(
        got,
        right,
        what="log_partition",
        mistakes={
            "log_partition forgets `end`": [log_sum(every(*c, with_end=False)) for c in cases],
            "log_partition forgets `start`": [log_sum(every(*c, with_start=False)) for c in cases],
            "log_partition reads transitions as [next tag, tag]": [
                log_sum(every(*case)) for case in turned
            ],
            "log_partition is the highest score: take logsumexp, not max": [
                max(every(*case))[0] for case in cases
            ],
            "log_partition overflows where emissions are large: exp(900) is inf": [
                *right[:3],
                math.inf,
            ],
            "log_partition leaves out the transitions": [
                log_sum(every(e, 0 * t, s, f)) for e, t, s, f in cases
            ],
        },
    )


def greedy(case) -> list[int]:
    emissions, transitions, start, end = case
    tags = [int((start + emissions[0]).argmax())]
    for word in range(1, len(emissions)):
        last = end if word == len(emissions) - 1 else 0 * end
        tags.append(int((transitions[tags[-1]] + emissions[word] + last).argmax()))
    return tags


@check(task=2, points=4, public=as_list)
def check_viterbi(student, draw):
    cases = [field(draw, draw.integer(4, 5), 3) for _ in range(8)] + [field(draw, 1, 3)]

    def best(**how):
        return [max(every(*case, **how))[1] for case in cases]

    got = []
    for case in cases:
        tags = student.call("viterbi", *case)
        tags = tags.tolist() if isinstance(tags, torch.Tensor) else tags
        if not isinstance(tags, (list, tuple)):
            raise Wrong("viterbi is to return a list of tags, one a word")
        got.append(list(tags))
    right = best()
    expect(
        got,
        right,
        what="viterbi",
        mistakes={
            "viterbi forgets `end`": best(with_end=False),
            "viterbi forgets `start`": best(with_start=False),
            "viterbi reads transitions as [next tag, tag]": [
                max(every(e, t.T, s, f))[1] for e, t, s, f in cases
            ],
            "viterbi returns the tags from the last word to the first": [t[::-1] for t in right],
            "viterbi takes each word alone; the neighbours count": [
                case[0].argmax(1).tolist() for case in cases
            ],
            "viterbi decides word by word from the left; keep all tags open until the end": [
                greedy(case) for case in cases
            ],
        },
        otherwise="viterbi is not the sequence with the highest score",
    )


# --- task 3 ---


@check(task=3, points=4)
def check_pseudo_labels(student, draw):
    labels, words, weight = draw.integer(4, 5), 8, draw.choice([0.25, 0.5])
    # Where: gold and a teacher that is sure of another tag; sure; unsure; padding is its best.
    best = [draw.integer(1, labels - 1) for _ in range(words)]
    gold: list[int | None] = [None] * words
    gold[0], gold[1] = best[0] % (labels - 1) + 1, best[1]
    rows = []
    for word, tag in enumerate(best):
        p = [0.3 / (labels - 1)] * labels
        p[tag] = 0.7
        if word in (2, 5):  # best, but not sure enough; in 5 not without padding's logit either
            sure = 0.4 if word == 2 else 0.3
            p = [(1 - sure) / (labels - 1)] * labels
            p[tag] = sure
        if word in (3, 6):  # padding is best; the best tag comes second, below the confidence
            p = [0.1 / (labels - 2)] * labels
            p[0], p[tag] = 0.6, 0.3
        if word == 7:  # padding is best; the best tag is sure enough
            p = [0.02 / (labels - 2)] * labels
            p[0], p[tag] = 0.51, 0.47
        rows.append(p)
    confidence = 0.45
    logits = torch.tensor(rows, dtype=torch.float64).log() + draw.normal(words, 1)
    raw = logits.tolist()

    def labelled(sure, tag=lambda w: best[w], keep=True, gold_weight=1.0):
        found = []
        for w in range(words):
            if gold[w] is not None and keep:
                found.append((gold[w], gold_weight))
            else:
                found.append((tag(w), weight if sure(w) >= confidence else 0.0))
        return found

    def share(w):
        return rows[w][best[w]]

    got = student.call("pseudo_labels", gold, logits, confidence, weight)
    if not isinstance(got, (list, tuple)) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in got
    ):
        raise Wrong("pseudo_labels is to return a (target, weight) for each word")
    tops = [max(range(labels), key=row.__getitem__) for row in rows]
    expect(
        got,
        labelled(share),
        what="pseudo_labels",
        mistakes={
            "pseudo_labels labels words as padding, where that is the teacher's best label": (
                labelled(lambda w: max(rows[w]), tag=lambda w: tops[w])
            ),
            "pseudo_labels has the right tags, but goes by the probability of padding": labelled(
                lambda w: max(rows[w])
            ),
            "pseudo_labels makes probabilities without the logit of padding": labelled(
                lambda w: softmax(raw[w][1:])[best[w] - 1]
            ),
            "pseudo_labels overwrites gold labels": labelled(share, keep=False),
            "pseudo_labels gives gold labels the weight of pseudo-labels": labelled(
                share, gold_weight=weight
            ),
            "pseudo_labels counts tags from 0 once padding is cut off; they begin at 1": labelled(
                share, tag=lambda w: best[w] - 1
            ),
            "pseudo_labels does not look at the confidence": labelled(lambda w: 1.0),
        },
    )


# --- task 4: the candidates. Each takes (student, teacher, temperature) ---


def checked(student, teacher, temperature):
    """Return both softened."""
    try:
        if len(student) != len(teacher) or not 0 < len(student) < 1000 or not temperature > 0:
            raise ValueError
        if max(map(abs, (*student, *teacher))) / temperature > 300:
            raise ValueError
        return softmax(student, temperature), softmax(teacher, temperature)
    except (TypeError, ValueError):
        raise ValueError("two lists of as many logits (not huge), and T above 0") from None


def soft_loss(student, teacher, temperature):
    q, p = checked(student, teacher, temperature)
    return temperature**2 * kl(p, q)


def soft_loss_with_torch(student, teacher, temperature):
    checked(student, teacher, temperature)
    q, p = (torch.tensor(z).double() / temperature for z in (student, teacher))
    gap = p.log_softmax(0) - q.log_softmax(0)
    return float((p.softmax(0) * gap).sum() * temperature * temperature)


def reversed_kl(student, teacher, temperature):
    return soft_loss(teacher, student, temperature)


def without_square(student, teacher, temperature):
    return soft_loss(student, teacher, temperature) / temperature**2


def once(student, teacher, temperature):
    return soft_loss(student, teacher, temperature) / temperature


def hard_student(student, teacher, temperature):
    _, p = checked(student, teacher, temperature)
    return temperature**2 * kl(p, softmax(student))


def cross_entropy(student, teacher, temperature):
    q, p = checked(student, teacher, temperature)
    return -(temperature**2) * math.fsum(a * math.log(b) for a, b in zip(p, q))


def divided(student, teacher, temperature):
    return 2 * soft_loss(student, teacher, temperature) / len(student)


@check(task=4, points=6)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_soft_loss",
        [soft_loss, soft_loss_with_torch],
        {
            "computes KL(student || teacher)": reversed_kl,
            "leaves out T^2": without_square,
            "multiplies by T instead of T^2": once,
            "does not soften the student": hard_student,
            "computes the cross-entropy with the teacher": cross_entropy,
            "divides by half the number of labels": divided,
        },
    )


# --- task 5 ---

QUESTION = {
    "student": 513_882,
    "words": 25_000,
    "width": 100,
    "more_words": 400_000,
    "row": [0.9, -1.27, 0.004, 0.3],
}
BERT, INSIDE = 109_482_240, 85_646_592


def ask(draw):
    """Draw the question of a term."""
    scale = draw.choice([0.02, 0.03, 0.05])
    largest = draw.integer(30, 45) / 100  # error of the row, in scales: not near a half, nor 0
    others = [draw.integer(20, 120) for _ in range(2)]
    signs = [draw.choice([-1, 1]) for _ in range(4)]
    row = [127 * scale, others[0] * scale, (others[1] + largest) * scale, scale * largest / 2]
    return {
        "student": draw.integer(300_000, 900_000),
        "words": 1000 * draw.integer(12, 60),
        "width": draw.choice([50, 64, 150, 200]),
        "more_words": 1000 * draw.integer(200, 600),
        "row": [round(sign * number, 6) for sign, number in zip(signs, row)],
    }


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    student, words, width = (question[key] for key in ("student", "words", "width"))
    table = words * width
    scale = max(map(abs, question["row"])) / 127
    return {
        "times_fewer": BERT / (student + table),
        "times_fewer_without_tables": INSIDE / student,
        "times_fewer_400k": BERT / (student + question["more_words"] * width),
        "int8_bytes": table + 4 * words,
        "int8_times": 4 * table / (table + 4 * words),
        "int8_error": max(abs(x - round(x / scale) * scale) for x in question["row"]),
    }


def near(got: float, right: float) -> bool:
    return abs(got - right) <= 0.01 * right


@check(task=5, points=2)
def check_times(student, draw):
    size, right = draw.question["student"], answers(draw.question)
    table = draw.question["words"] * draw.question["width"]
    more = draw.question["more_words"] * draw.question["width"]
    cases = {
        "times_fewer": (
            right["times_fewer"],
            {"the student's table is missing": BERT / size},
        ),
        "times_fewer_without_tables": (
            right["times_fewer_without_tables"],
            {
                "BERT's tables are still in it": BERT / size,
                "the student's table is still in it": INSIDE / (size + table),
                "only the table of words is taken off; positions and segments have one": (
                    (BERT - 30522 * 768) / size
                ),
            },
        ),
        "times_fewer_400k": (
            right["times_fewer_400k"],
            {"`more_words` come instead of `words`": BERT / (size + table + more)},
        ),
    }
    got = {key: answered_number(student, key) for key in cases}
    for key, (right, wrong) in cases.items():
        if abs(got[key] - right) <= 0.003 * right:
            continue
        said = [s for s, value in wrong.items() if abs(got[key] - value) <= 0.0012 * value]
        if len(said) == 1:
            raise Wrong(f'ANSWERS["{key}"]: {said[0]}')
        raise Wrong(f'ANSWERS["{key}"] is not the numbers of BERT-base over those of the student')


@check(task=5, points=2)
def check_int8(student, draw):
    got = {key: answered_number(student, key) for key in ("int8_bytes", "int8_times", "int8_error")}
    right, width = answers(draw.question), draw.question["width"]
    table, size = draw.question["words"] * width, right["int8_bytes"]
    half = max(map(abs, draw.question["row"])) / 127 / 2
    for wrong, sentence in (
        (table, "each row has a scale, too"),
        (table + 4, "there is one scale a row, not one for the table"),
        (table + 4 * width, "there is one scale a row, not one a column"),
        (8 * table, "these are bits"),
    ):
        if got["int8_bytes"] == wrong:
            raise Wrong(f"int8_bytes: {sentence}")
    if got["int8_bytes"] != size:
        raise Wrong("int8_bytes is not one byte a number and four a row")
    if near(got["int8_times"], 4.0) and not near(got["int8_times"], right["int8_times"]):
        raise Wrong("int8_times: four times would be without the scales")
    if not near(got["int8_times"], right["int8_times"]):
        raise Wrong("int8_times is not bytes in 32 bits over bytes in 8 bits")
    if abs(got["int8_error"] - half) < 1e-6:
        raise Wrong("int8_error: this is half a scale, which bounds it; the row itself errs less")
    if not abs(got["int8_error"] - right["int8_error"]) <= 1e-5:
        raise Wrong(
            "int8_error: the scale is the largest / 127; what does each number become, and go back "
            "to?"
        )
