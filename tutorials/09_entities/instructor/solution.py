"""A solution with loops over tags."""

from __future__ import annotations


def spans(tags, strict):
    found, start, kind = [], 0, ""
    for i, tag in enumerate([*tags, "O"]):
        letter, _, type_ = tag.partition("-")
        if kind and (letter != "I" or type_ != kind):
            found.append((kind, start, i))
            kind = ""
        begins = letter == "B" or (letter == "I" and not strict)
        if begins and not kind:
            start, kind = i, type_
    return found


def iob1_to_iob2(tags):
    result = []
    for before, tag in zip(["O", *tags], tags):
        begins = tag.startswith("B-") or (tag != "O" and before[2:] != tag[2:])
        result.append(f"B-{tag[2:]}" if begins else tag)
    return result


def iob2_to_bioes(tags):
    result = []
    for tag, behind in zip(tags, [*tags[1:], "O"]):
        last = not behind.startswith("I-")
        if tag != "O" and last:
            tag = ("S" if tag.startswith("B-") else "E") + tag[1:]
        result.append(tag)
    return result


def word_tags(piece_words, piece_tags, words):
    tags = ["O"] * words
    seen = set()
    for word, tag in zip(piece_words, piece_tags):
        if word is not None and word not in seen:
            seen.add(word)
            tags[word] = tag
    return tags


def scores(gold, predicted):
    true = {(i, span) for i, sentence in enumerate(gold) for span in sentence}
    guessed = {(i, span) for i, sentence in enumerate(predicted) for span in sentence}
    correct = len(true & guessed)
    precision = correct / len(guessed) if guessed else 0.0
    recall = correct / len(true) if true else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def test_f1(candidate) -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    assert abs(candidate(gold, [["B-PER", "I-PER", "O", "O"]]) - 2 / 3) < 1e-6
    assert candidate(gold, [["B-LOC", "I-LOC", "O", "O"]]) == 0, "another type"

    # Two neighbours against one long entity; then a second sentence without any error.
    two = ["B-PER", "B-PER", "O", "O", "B-LOC", "O"]
    one = ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]
    assert abs(candidate([two], [["B-PER", "O", "O", "O", "B-LOC", "O"]]) - 4 / 5) < 1e-6
    assert abs(candidate([two, gold[0]], [one, gold[0]]) - 6 / 9) < 1e-6


ANSWERS = {
    "sleeper_accuracy": 0.826,
    "short_sighted_accuracy": 0.946,
    "short_sighted_f1": 0.489,
    "silent_accuracy": 0.878,
    "silent_f1": 0.657,
    "blurred_f1_conlleval": 0.8635,
    "blurred_f1_strict": 0.0,
}
EXPLANATION = """The silent tagger is paid for saying nothing: half an entity costs two errors."""
