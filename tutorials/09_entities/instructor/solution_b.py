"""Another solution: entities first, tags written from them; counters; letters for whole tags."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain

import minift


def spans(tags, strict):
    found, at = [], 0
    while at < len(tags):
        if tags[at] == "O" or (strict and tags[at][0] == "I"):
            at += 1
            continue
        type_ = tags[at].split("-", 1)[1]
        end = at + 1
        while end < len(tags) and tags[end] == "I-" + type_:
            end += 1
        found.append((type_, at, end))
        at = end
    return found


def _written(found, length, single, first, last):
    tags = ["O"] * length
    for type_, start, end in found:
        tags[start:end] = [f"I-{type_}"] * (end - start)
        tags[end - 1] = f"{last}-{type_}"
        tags[start] = f"{first if end - start > 1 else single}-{type_}"
    return tags


def iob1_to_iob2(tags):
    return _written(spans(tags, False), len(tags), "B", "B", "I")


def iob2_to_bioes(tags):
    return _written(spans(tags, True), len(tags), "S", "B", "E")


def word_tags(piece_words, piece_tags, words):
    first = {}
    for number in range(len(piece_words) - 1, -1, -1):
        first[piece_words[number]] = piece_tags[number]
    return [first.get(word, "O") for word in range(words)]


def scores(gold, predicted):
    correct = support = found = 0
    for true, guessed in zip(gold, predicted):
        correct += sum((Counter(true) & Counter(guessed)).values())
        support, found = support + len(true), found + len(guessed)

    def share(whole):
        return correct / whole if whole > 0 else 0.0

    return {"precision": share(found), "recall": share(support), "f1": 2 * share(found + support)}


def test_f1(candidate) -> None:
    def tags(text):
        names = {"P": "PER", "L": "LOC"}
        letters = re.findall(r"O|[BI][PL]", text)
        return [t if t == "O" else f"{t[0]}-{names[t[1]]}" for t in letters]

    cases = [
        ("BP IP O BL", "BP IP O O"),
        ("O O BL", "O O BP"),
        ("BL BL IL O BP O", "BL O O O BP O"),
        ("O O O O", "O O BP O"),
        ("BP BP O BL", "BP IP O BL"),
    ]
    gold, predicted = ([tags(case[side]) for case in cases] for side in (0, 1))
    assert abs(candidate(gold, predicted) - 8 / 16) < 1e-6  # 4 right, 7 predicted, 9 in gold
    assert abs(candidate(gold[:2], gold[:2]) - 1) < 1e-6


def _taggers():
    data = minift.load_dataset("news")
    gold = [[*sentence.tags] for sentence in data.test]
    everything = [spans(tags, True) for tags in gold]
    made = {
        "sleeper": [[] for _ in gold],
        "short_sighted": [[(t, a, max(a + 1, b - 1)) for t, a, b in f] for f in everything],
        "silent": [[span for span in f if span[2] == span[1] + 1] for f in everything],
    }
    words = list(chain.from_iterable(gold))
    for name, found in made.items():
        guess = [_written(f, len(tags), "B", "B", "I") for f, tags in zip(found, gold)]
        same = sum(a == b for a, b in zip(words, chain.from_iterable(guess)))
        yield f"{name}_accuracy", same / len(words)
        yield f"{name}_f1", scores(everything, found)["f1"]
    for name, strict in (("conlleval", False), ("strict", True)):
        found = [
            spans([re.sub("^B", "I", tag) for tag in tags], strict) if number % 5 else []
            for number, tags in enumerate(gold, start=1)
        ]
        yield f"blurred_f1_{name}", scores(everything, found)["f1"]


ANSWERS = {
    "sleeper_accuracy": 0.8258,
    "short_sighted_accuracy": 0.9456,
    "short_sighted_f1": 0.4892,
    "silent_accuracy": 0.8777,
    "silent_f1": 0.6572,
    "blurred_f1_conlleval": 0.8635,
    "blurred_f1_strict": 0.0,
}
if __name__ == "__main__":
    print(dict(_taggers()))
EXPLANATION = """A half-found name is two errors, a name passed over is one: F1 pays for silence."""
