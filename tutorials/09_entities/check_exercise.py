"""The checks of assignment 09. Sentences are built from entities, so what is right is known."""

from __future__ import annotations

from functools import cache

import minift
from _grading.checks import Task, Wrong, check
from _grading.diagnose import expect
from _grading.measure_task import answered_number
from _grading.tests_task import grade_test

TITLE = "Named entities: what counts, and what F1 does not say"
TASKS = {
    1: Task("From tags to entities", minutes=30),
    2: Task("Schemes and pieces", minutes=35),
    3: Task("Find the bugs", minutes=20),
    4: Task("Write the test", minutes=30),
    5: Task("Measure and explain", minutes=35, hand=5),
}

# A sentence is a list of parts: (type, words), type "O" for words between entities.
Parts = list[tuple[str, int]]


def tags_of(parts: Parts, scheme: str = "iob2") -> list[str]:
    """Write a sentence in a scheme."""
    tags, before = [], ""
    for kind, length in parts:
        if kind == "O":
            tags += ["O"] * length
        elif scheme == "iob1":
            tags += [f"{'B' if kind == before else 'I'}-{kind}"] + [f"I-{kind}"] * (length - 1)
        elif scheme == "bioes":
            middle = [f"I-{kind}"] * (length - 2)
            tags += [f"B-{kind}", *middle, f"E-{kind}"] if length > 1 else [f"S-{kind}"]
        else:
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
        before = kind
    return tags


def spans_of(parts: Parts) -> list[tuple[str, int, int]]:
    """Return the entities of a sentence."""
    found, at = [], 0
    for kind, length in parts:
        if kind != "O":
            found.append((kind, at, at + length))
        at += length
    return found


def sentence(draw, types=("PER", "LOC", "ORG")) -> Parts:
    """Draw a sentence in which all happens: neighbours alike and not, one word and more."""
    a, b, c = draw.random.sample(types, 3)
    n = draw.integer(2, 4)
    return [
        *((a, 1), ("O", draw.integer(1, 3)), (b, n), (b, 2), (b, 1), ("O", 1)),
        *((c, 3), (a, n), ("O", 2), (c, 1), (c, 2), (b, 1)),
    ]


def changed(found, how):
    """Return spans with a mistake made in each."""
    return [[how(*span) for span in case] for case in found]


def merged(found):
    """Return neighbours of one type as one entity."""
    result = []
    for kind, start, end in found:
        if result and result[-1][0] == kind and result[-1][2] == start:
            start = result.pop()[1]
        result.append((kind, start, end))
    return result


def listed(got, name: str):
    """Return spans as a list of tuples, if that is what they are."""
    if not isinstance(got, (list, tuple)) or not all(
        isinstance(s, (list, tuple)) and len(s) == 3 for s in got
    ):
        raise Wrong(f"{name} is to return a list of (type, first word, word behind the last)")
    return [tuple(span) for span in got]


@check(task=1, points=3)
def check_spans(student, draw):
    cases = [sentence(draw), sentence(draw, ("GPE-city", "PER", "GPE-state"))]
    got = []
    for strict in (True, False):
        got += [listed(student.call("spans", tags_of(case), strict), "spans") for case in cases]
    right = [spans_of(case) for case in cases] * 2
    expect(
        got,
        right,
        what="spans of valid tags",
        mistakes={
            "spans: the last entity of the sentence is missing; who closes it?": [
                case[:-1] for case in right
            ],
            "spans: neighbours of one type become one entity; a B- begins a new one": [
                merged(case) for case in right
            ],
            "spans: the end is the last word; return the word behind it": changed(
                right, lambda kind, start, end: (kind, start, end - 1)
            ),
            'spans: a type is cut at its own hyphen: "B-GPE-city" is of "GPE-city"': changed(
                right, lambda kind, start, end: (kind.split("-")[0], start, end)
            ),
            'spans: of "B-GPE-city" only "city" is left; the first hyphen ends the letter': changed(
                right, lambda kind, start, end: (kind.split("-")[-1], start, end)
            ),
            "spans: words count from 0, not from 1": changed(
                right, lambda kind, start, end: (kind, start + 1, end + 1)
            ),
        },
    )


@check(task=1, points=3)
def check_stray(student, draw):
    a, b = draw.random.sample(["PER", "LOC", "ORG"], 2)
    gap, more = draw.integer(1, 3), draw.integer(1, 3)
    cases = [
        ["O"] * gap + [f"I-{a}"] * more + ["O"],
        [f"B-{a}"] + [f"I-{b}"] * more + ["O"],
        [f"I-{a}", "O", f"B-{b}", "O"],
    ]
    loose = [{(a, gap)}, {(a, 0), (b, 1)}, {(a, 0), (b, 2)}]
    strict = [set(), {(a, 0)}, {(b, 2)}]
    blind = [{(a, gap)}, {(a, 0)}, {(a, 0), (b, 2)}]
    every = [{(a, gap + k) for k in range(more)}, {(a, 0)} | {(b, 1 + k) for k in range(more)}]
    every.append({(a, 0), (b, 2)})
    got = {}
    for name, flag in (("strict", True), ("conlleval", False)):
        found = [listed(student.call("spans", tags, flag), "spans") for tags in cases]
        got[name] = [sorted(span[:2] for span in case) for case in found]

    def both(first, second):
        return {
            "strict": [sorted(case) for case in first],
            "conlleval": [sorted(case) for case in second],
        }

    expect(
        got,
        both(strict, loose),
        what="(type, first word) of the entities in",
        mistakes={
            "spans: strict and conlleval are the wrong way round": both(loose, strict),
            "spans reads a stray I- as conlleval does, also if strict": both(loose, loose),
            "spans passes over a stray I-, also if not strict": both(strict, strict),
            "spans lets an I- continue an entity of another type": both(
                [set(), {(a, 0)}, {(b, 2)}], blind
            ),
            "spans, not strict: each stray I- begins an entity; the second continues the first": (
                both(strict, every) if more > 1 else None
            ),
        },
    )


@check(task=2, points=2)
def check_iob1(student, draw):
    cases = [sentence(draw), sentence(draw)]
    before = [tags_of(case, "iob1") for case in cases]
    right = [tags_of(case) for case in cases]

    def after_o(tags):
        """Begin an entity only after O, or where there is a B- already."""
        pairs = zip(["O", *tags], tags)
        return [f"B{tag[1:]}" if tag != "O" and last == "O" else tag for last, tag in pairs]

    expect(
        [student.call("iob1_to_iob2", tags) for tags in before],
        right,
        what="iob1_to_iob2",
        mistakes={
            "iob1_to_iob2 begins an entity after O only; one also begins where the type changes": [
                after_o(tags) for tags in before
            ],
            "iob1_to_iob2 loses the border of two neighbours of one type": [
                tags_of(joined(case)) for case in cases
            ],
            "iob1_to_iob2 makes every I- a B-": [
                [tag.replace("I-", "B-") for tag in tags] for tags in before
            ],
            "iob1_to_iob2 changes nothing": before,
        },
    )


def joined(parts: Parts) -> Parts:
    """Return a sentence with neighbours of one type as one."""
    result: Parts = []
    for kind, length in parts:
        if result and result[-1][0] == kind:
            length += result.pop()[1]
        result.append((kind, length))
    return result


@check(task=2, points=2)
def check_bioes(student, draw):
    cases = [sentence(draw), sentence(draw)]
    right = [tags_of(case, "bioes") for case in cases]
    iob2 = [tags_of(case) for case in cases]

    def before_o(tags):
        """Close entities before O and at the end only."""
        close = {"B": "S", "I": "E"}
        ahead = zip(tags, [*tags[1:], "O"])
        return [close[t[0]] + t[1:] if t != "O" and n == "O" else t for t, n in ahead]

    expect(
        [student.call("iob2_to_bioes", tags) for tags in iob2],
        right,
        what="iob2_to_bioes",
        mistakes={
            "iob2_to_bioes closes an entity before O only; a B- behind it closes it, too": [
                before_o(tags) for tags in iob2
            ],
            "iob2_to_bioes leaves B- where an entity is one word: that is S-": [
                [tag.replace("S-", "B-") for tag in tags] for tags in right
            ],
            "iob2_to_bioes has E- for an entity of one word: that is S-": [
                [tag.replace("S-", "E-") for tag in tags] for tags in right
            ],
            "iob2_to_bioes leaves an entity open at the end of the sentence": [
                [*tags[:-1], iob2[i][-1]] for i, tags in enumerate(right)
            ],
        },
    )


@check(task=2, points=3)
def check_pieces(student, draw):
    words, cut = draw.integer(7, 9), draw.integer(2, 3)
    lengths = [draw.integer(1, 3) for _ in range(words - cut)]
    lengths[1], lengths[2] = 3, 2
    kinds = [f"{'BI'[draw.integer(0, 1)]}-{k}" for k in range(99)]  # each piece its own tag
    owners = [w for w, length in enumerate(lengths) for _ in range(length)]
    piece_words = [None, *owners, None]
    piece_tags = ["B-CLS", *kinds[: len(owners)], "B-SEP"]
    places = [[p for p, w in enumerate(piece_words) if w == word] for word in range(len(lengths))]
    first = [piece_tags[own[0]] for own in places]
    rest = ["O"] * cut
    expect(
        student.call("word_tags", piece_words, piece_tags, words),
        first + rest,
        what="word_tags",
        mistakes={
            "word_tags takes the last piece of a word; the first is the one that was trained": [
                piece_tags[own[-1]] for own in places
            ]
            + rest,
            "word_tags leaves out the words that were cut off; then every score is of less": first,
            "word_tags forgets that [CLS] is a piece: all is one place too far left": [
                piece_tags[own[0] - 1] for own in places
            ]
            + rest,
            "word_tags returns a tag for each piece": [
                tag for tag, word in zip(piece_tags, piece_words) if word is not None
            ],
            'word_tags gives words that were cut off another answer than "O"': [
                *first,
                *[None] * cut,
            ],
        },
    )


# --- task 3 ---


def of_counts(correct: int, predicted: int, support: int) -> dict[str, float]:
    """Return the three scores."""
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / support if support else 0.0,
        "f1": 2 * correct / (predicted + support) if predicted + support else 0.0,
    }


@check(task=3, points=3)
def check_scores(student, draw):
    kinds, n = ["PER", "LOC", "ORG"], draw.integer(3, 5)
    draw.random.shuffle(kinds)
    a, b, _ = kinds
    gold = [
        *([(a, 0, 2), (b, 4, 5)] for _ in range(n)),  # the same places again and again
        [(a, 1, 3), (b, 3, 4), (a, 6, 7)],
        [(b, 0, 1)],
        [(a, 0, 1), (b, 2, 3)],
    ]
    predicted = [
        *([(a, 0, 2)] for _ in range(n)),
        [(a, 1, 2), (a, 3, 4), (a, 6, 7), (a, 0, 2)],  # boundary, type, right, another sentence's
        [(b, 4, 5), (b, 0, 1)],
        [(b, 0, 1), (b, 2, 3)],
    ]
    support, found = sum(map(len, gold)), sum(map(len, predicted))
    pairs = list(zip(gold, predicted))
    correct = sum(len(set(g) & set(p)) for g, p in pairs)
    places = sum(len({s[1:] for s in g} & {s[1:] for s in p}) for g, p in pairs)
    starts = sum(len({s[:2] for s in g} & {s[:2] for s in p}) for g, p in pairs)
    each = [of_counts(len(set(g) & set(p)), len(p), len(g)) for g, p in pairs]
    all_gold, all_found = ({s for case in side for s in case} for side in (gold, predicted))
    anywhere = sum(s in all_gold for case in predicted for s in case)
    means = {key: sum(score[key] for score in each) / len(each) for key in each[0]}
    expect(
        student.call("scores", gold, predicted),
        of_counts(correct, found, support),
        what="scores",
        mistakes={
            "scores goes wrong where two sentences have an entity of one type at the same place: "
            "how many are counted, and which are right?": of_counts(
                len(all_gold & all_found), len(all_found), len(all_gold)
            ),
            "scores takes an entity for right that stands in another sentence": of_counts(
                anywhere, found, support
            ),
            "scores does not look at the type": of_counts(places, found, support),
            "scores does not look at where an entity ends": of_counts(starts, found, support),
            "scores is a mean over sentences; micro counts all entities together": means,
            "scores has precision and recall the wrong way round": of_counts(
                correct, support, found
            ),
        },
    )


@check(task=3, points=1)
def check_nothing(student, draw):
    some = [[("PER", 0, draw.integer(1, 3))]]
    if student.call("scores", some, some) == dict.fromkeys(("precision", "recall", "f1"), 0):
        raise Wrong("if all is right, precision, recall and f1 are 1; scores returns 0 for each")
    for gold, predicted, words in (
        (some, [[]], "nothing is predicted"),
        ([[]], some, "there is no entity in the gold standard"),
        ([[]], [[]], "there is no entity on either side"),
        (some, [[("LOC", 5, 6)]], "nothing is right"),
    ):
        got = student.call("scores", gold, predicted)
        if got != dict.fromkeys(("precision", "recall", "f1"), 0):
            raise Wrong(f"if {words}, precision, recall and f1 are 0; scores returns {got}")


# --- task 4: the candidates. Each takes (gold, predicted), lists of lists of tags ---


def checked(gold, predicted):
    """Yield the pairs of sentences."""
    if not isinstance(gold, list) or not isinstance(predicted, list) or len(gold) != len(predicted):
        raise ValueError("gold and predicted: lists of as many sentences")
    for one, other in zip(gold, predicted):
        ok = isinstance(one, (list, tuple)) and isinstance(other, (list, tuple))
        if not ok or len(one) != len(other) or len(one) > 1000:
            raise ValueError("a sentence: a list of as many tags in gold and predicted")
        if not all(
            isinstance(t, str) and (t == "O" or t[:2] in ("B-", "I-")) for t in (*one, *other)
        ):
            raise ValueError('a tag: "O", "B-type" or "I-type"')
        yield list(one), list(other)


def read(tags) -> set:
    found, start = set(), None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and not (tag[0] == "I" and tag[2:] == tags[start][2:]):
            found.add((tags[start][2:], start, i))
            start = None
        if start is None and tag != "O":
            start = i
    return found


def read_by_beginnings(tags) -> set:
    found = set()
    for start, tag in enumerate(tags):
        if tag[0] == "B":
            end = start + 1
            while end < len(tags) and tags[end] == f"I-{tag[2:]}":
                end += 1
            found.add((tag[2:], start, end))
    return found


def f1_by(reader):
    """Return a candidate that reads entities with `reader`."""

    def candidate(gold, predicted):
        pairs = [(reader(one), reader(other)) for one, other in checked(gold, predicted)]
        correct = sum(len(one & other) for one, other in pairs)
        return 2 * correct / max(sum(len(one) + len(other) for one, other in pairs), 1)

    return candidate


def words_with_tags(tags):
    return {(tag, i) for i, tag in enumerate(tags) if tag != "O"}


def without_types(tags):
    return {span[1:] for span in read(tags)}


def neighbours_merged(tags):
    return set(merged(sorted(read(tags), key=lambda span: span[1])))


def end_forgotten(tags):
    return {span for span in read(tags) if span[2] < len(tags)}


def accuracy(gold, predicted):
    pairs = [pair for one, other in checked(gold, predicted) for pair in zip(one, other)]
    return sum(a == b for a, b in pairs) / max(len(pairs), 1)


def mean_of_sentences(gold, predicted):
    every = [f1_by(read)([one], [other]) for one, other in checked(gold, predicted)]
    return sum(every) / max(len(every), 1)


@check(task=4, points=6)
def check_your_test(student, draw):
    grade_test(
        student,
        draw,
        "test_f1",
        [f1_by(read), f1_by(read_by_beginnings)],
        {
            "counts words instead of entities": f1_by(words_with_tags),
            "counts O for O as right (word accuracy)": accuracy,
            "does not look at the type": f1_by(without_types),
            "makes one entity of two neighbours": f1_by(neighbours_merged),
            "loses an entity that ends with the sentence": f1_by(end_forgotten),
            "takes the mean of the sentences": mean_of_sentences,
        },
    )


# --- task 5 ---


QUESTION = {"first": 0, "tired": 5}


def ask(draw):
    """Draw the question of a term: which sentences, and how often the last tagger sleeps."""
    return {"first": draw.integer(20, 80), "tired": draw.choice([3, 4, 6, 7])}


def answers(question) -> dict[str, float]:
    """Return the right numbers."""
    return news(question["first"], question["tired"])


@cache
def news(first: int, tired: int) -> dict[str, float]:
    """Measure the four taggers."""
    gold = [list(example.tags) for example in minift.load_dataset("news").test][first:]

    def written(found, length):
        tags = ["O"] * length
        for kind, start, end in found:
            tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
        return tags

    short, silent = [], []
    for tags in gold:
        found = read(tags)
        short.append(written({(k, a, b - (b - a > 1)) for k, a, b in found}, len(tags)))
        silent.append(written({span for span in found if span[2] - span[1] == 1}, len(tags)))
    blurred = [
        ["O"] * len(tags) if number % tired == 0 else [t.replace("B-", "I-", 1) for t in tags]
        for number, tags in enumerate(gold, start=1)
    ]
    entity_f1 = f1_by(read)
    return {
        "sleeper_accuracy": accuracy(gold, [["O"] * len(tags) for tags in gold]),
        "short_sighted_accuracy": accuracy(gold, short),
        "short_sighted_f1": entity_f1(gold, short),
        "silent_accuracy": accuracy(gold, silent),
        "silent_f1": entity_f1(gold, silent),
        "blurred_f1_conlleval": entity_f1(gold, blurred),
        "blurred_f1_strict": 0.0,
    }


def numbers(student, keys) -> dict[str, float]:
    """Return the student's answers to these."""
    got = {key: answered_number(student, key) for key in keys}
    for key, value in got.items():
        if value > 1:
            raise Wrong(f'ANSWERS["{key}"] is a share between 0 and 1, not a percentage')
    return got


def near(got: float, right: float) -> bool:
    return abs(got - right) <= 0.0015


@check(task=5, points=2)
def check_two_taggers(student, draw):
    right = answers(draw.question)
    keys = [key for key in right if not key.startswith("blurred")]
    got = numbers(student, keys)
    off = [key for key in keys if not near(got[key], right[key])]
    if not off:
        return
    pairs = (("short_sighted", "silent"), ("silent", "short_sighted"))
    if all(near(got[f"{a}_{s}"], right[f"{b}_{s}"]) for a, b in pairs for s in ("accuracy", "f1")):
        raise Wrong("the short-sighted and the silent tagger are the wrong way round")
    if near(got[off[0]], 1 - right[off[0]]):
        raise Wrong(f'ANSWERS["{off[0]}"] is the share that is wrong')
    hint = {
        "sleeper_accuracy": "count words, O among them, over all sentences together",
        "short_sighted_accuracy": "only the last word of each longer entity is wrong",
        "short_sighted_f1": "a shortened entity is a false positive and a false negative",
        "silent_accuracy": "all words of each longer entity are wrong",
        "silent_f1": "a missing entity is a false negative, and nothing else",
    }[off[0]]
    raise Wrong(f'ANSWERS["{off[0]}"] is not what this tagger gets: {hint}')


@check(task=5, points=2)
def check_blurred(student, draw):
    right = answers(draw.question)
    loose, strict = right["blurred_f1_conlleval"], right["blurred_f1_strict"]
    got = numbers(student, ("blurred_f1_conlleval", "blurred_f1_strict"))
    a, b = got["blurred_f1_conlleval"], got["blurred_f1_strict"]
    if near(a, loose) and near(b, strict):
        return
    if near(a, strict) and near(b, loose):
        raise Wrong("blurred: the two readings are the wrong way round")
    if near(b, loose):
        raise Wrong("blurred_f1_strict is that of conlleval: how many B- does this tagger say?")
    if not near(b, strict):
        raise Wrong("blurred_f1_strict: strictly an entity begins with B-; how many are there?")
    raise Wrong(
        "blurred_f1_conlleval is not what conlleval finds: an I- that continues nothing begins an "
        "entity, and one behind an I- of its own type continues it"
    )
