"""What the cells to fill in of page 09 are judged by; see ../turns.py."""

from turns import Turn


def write(entities, words):
    """Ask for each word in which entity it is."""
    tags = []
    for place in range(words):
        inside = [entity for entity in entities if entity[1] <= place < entity[2]]
        tags.append(f"{'IB'[inside[0][1] == place]}-{inside[0][0]}" if inside else "O")
    return tags


def kind(gold, predicted):
    """Ask what agrees."""
    if gold is None or predicted is None:
        return "spurious" if gold is None else "missed"
    same_type, same_place = gold[0] == predicted[0], gold[1:] == predicted[1:]
    return {(True, False): "boundary", (False, True): "type"}.get(
        (same_type, same_place), "boundary+type"
    )


# ---------------------------------------------------------------- what people get wrong


def _all_inside(entities, words):
    return [tag.replace("B-", "I-") for tag in write(entities, words)]


def _all_begin(entities, words):
    return [tag.replace("I-", "B-") for tag in write(entities, words)]


def _iob1(entities, words):
    tags = write(entities, words)
    return [
        tag.replace("B-", "I-") if before[2:] != tag[2:] else tag
        for before, tag in zip(["O", *tags], tags)
    ]


def _end_included(entities, words):
    tags = ["O"] * words
    for type_, start, end in entities:
        for place in range(start, min(end + 1, words)):
            tags[place] = f"{'IB'[place == start]}-{type_}"
    return tags


def _from_one(entities, words):
    return write([(type_, start - 1, end) for type_, start, end in entities], words)


def _sides(gold, predicted):
    found = kind(gold, predicted)
    return {"missed": "spurious", "spurious": "missed"}.get(found, found)


def _type_first(gold, predicted):
    found = kind(gold, predicted)
    return "type" if found == "boundary+type" else found


def _boundary_first(gold, predicted):
    found = kind(gold, predicted)
    return "boundary" if found == "boundary+type" else found


def _one_end(gold, predicted):
    if gold and predicted and gold[0] != predicted[0]:
        return "type" if gold[1] == predicted[1] else "boundary+type"
    return kind(gold, predicted)


_ADA = ("PER", 0, 2)

TURNS = {
    "write": Turn(
        write,
        [
            ([_ADA], 3),
            ([], 2),
            ([("LOC", 2, 3)], 4),
            ([("PER", 0, 1), ("PER", 1, 3)], 4),
            ([("ORG", 1, 3), ("PER", 3, 4)], 4),
        ],
        {
            "an entity begins with B-": _all_inside,
            "only the first word of an entity has B-, each further one I-": _all_begin,
            "that is IOB1; here every entity begins with B-, not only one that touches another": _iob1,
            "the last number is the place behind the entity, which is not part of it": _end_included,
            "words count from 0": _from_one,
        },
        "Any entities that do not overlap can be written so, and read again without a doubt.",
    ),
    "kind": Turn(
        kind,
        [
            (_ADA, None),
            (None, _ADA),
            (_ADA, ("PER", 0, 1)),
            (_ADA, ("LOC", 0, 2)),
            (_ADA, ("LOC", 1, 3)),
            (_ADA, ("LOC", 0, 1)),
        ],
        {
            "missed is what stands in the gold standard only, spurious what was only predicted": _sides,
            'with another type and other words it is "boundary+type"': _type_first,
            "the type differs as well as the edges": _boundary_first,
            "the same words means that both ends agree, not only the beginning": _one_end,
        },
        "The first two cost one error each, the other three cost two.",
    ),
}
