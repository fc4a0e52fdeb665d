"""What the cells to fill in of page 00 are judged by; see ../turns.py."""

from turns import Turn


def accuracy(predicted, gold):
    """Count by position, not by pairs."""
    right = [place for place in range(len(gold)) if predicted[place] == gold[place]]
    return len(right) / len(gold)


def sure(answers, least):
    """Go through the answers' own probabilities."""
    return [a["text"] for a in answers if max(a["scores"].values()) >= least]


def mark(text, entities):
    """Cut the text at each entity, from left to right."""
    parts, at = [], 0
    for e in sorted(entities, key=lambda e: e["start"]):
        parts += [text[at : e["start"]], f"[{text[e['start'] : e['end']]} {e['type']}]"]
        at = e["end"]
    return "".join([*parts, text[at:]])


def _counted(predicted, gold):
    return sum(a == b for a, b in zip(predicted, gold))


def _surer(answers, least):
    return [a["text"] for a in answers if max(a["scores"].values()) > least]


def _positive(answers, least):
    return [a["text"] for a in answers if a["scores"]["positive"] >= least]


def _whole(answers, least):
    return [a for a in answers if max(a["scores"].values()) >= least]


def _in_order(text, entities):
    for e in entities:
        inside = text[e["start"] : e["end"]]
        text = text[: e["start"]] + f"[{inside} {e['type']}]" + text[e["end"] :]
    return text


def _first(text, entities):
    return mark(text, sorted(entities, key=lambda e: e["start"])[:1])


def _one_more(text, entities):
    return mark(text, [{**e, "end": e["end"] + 1} for e in entities])


def _answer(text, negative):
    scores = {"negative": negative, "positive": 1 - negative}
    return {"text": text, "label": max(scores, key=scores.get), "scores": scores}


def _entity(start, end, kind):
    return {"start": start, "end": end, "type": kind}


_ANSWERS = [_answer("fine", 0.125), _answer("broken", 0.75), _answer("hm", 0.5), _answer("a", 0.25)]
_MET = "Ada met Charles in London."
_FOUND = [_entity(0, 3, "PER"), _entity(8, 15, "PER"), _entity(19, 25, "LOC")]

TURNS = {
    "accuracy": Turn(
        accuracy,
        [
            (["positive", "negative"], ["positive", "positive"]),
            (["negative"] * 4, ["negative", "positive", "negative", "negative"]),
            (["positive"], ["positive"]),
        ],
        {
            "that is how many are right; divide by how many there are": _counted,
            "that is the share of wrong answers": lambda *lists: 1 - accuracy(*lists),
            "that is a percentage; a share lies between 0 and 1": lambda *lists: (
                100 * accuracy(*lists)
            ),
        },
        "Every dot on this page is such a share.",
    ),
    "sure": Turn(
        sure,
        {
            "four answers": (_ANSWERS, 0.75),
            "nothing is sure enough": (_ANSWERS, 0.9),
            "everything is": (_ANSWERS, 0.5),
        },
        {
            "a probability equal to `least` is enough": _surer,
            "these are sure to be positive; an answer can be sure of any label": _positive,
            "whole answers came; their texts were asked for": _whole,
        },
        "What falls below can be left to a person: `minift train --abstain-below 0.75` does that.",
    ),
    "mark": Turn(
        mark,
        {
            "one entity": (_MET, _FOUND[:1]),
            "three entities": (_MET, _FOUND),
            "none": (_MET, []),
            "in another order": (_MET, _FOUND[::-1]),
        },
        {
            "each bracket moves what comes after it, so the later places no longer fit": _in_order,
            "all entities of one text are to be marked, not the first alone": _first,
            "`end` is the place after the last letter, so nothing is to be added to it": _one_more,
        },
        "Now your own code shows what the model found.",
    ),
}
