"""Words and characters: a tag for each word, as spans over the text a labelling tool shows.

Claim    Each sentence is shown as its words with one blank between them. Tags become spans and
         come back as the same tags, whatever the words are made of; a span that does not begin
         and end with a word is named, never moved to one that does. Where the words are not yet
         known, they are those of `split_words`, cut also where a span begins or ends.
Differs  - A span may take in the blank before or after its words, as a mouse does.
         - A span of type "O" says that its words are no entity.
         - Characters are code points, or the UTF-16 units of browsers: an emoji counts two.
Proof    tests/data/test_spans.py
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from reprlib import repr as short
from typing import NamedTuple

from minift.data.tags import entity_tags, spans_conlleval, types_of, word_places
from minift.data.words import counted, split_words
from minift.errors import nearest

Places = list[tuple[int, int]]  # (start, end) of each word in a text


class Mark(NamedTuple):
    """A span of characters with a type, as a file has it: nothing is checked yet."""

    start: int | str  # place in the text, from 0; if a file has something else there, what it has
    end: int | str  # not included
    type: str | int | None  # of the entity, "PER"
    text: str | None = None  # what the tool says the span covers, if it does


def mark(start: object, end: object, kind: object, text: object = None) -> Mark:
    """Return a mark that can be compared and shown, whatever a file has in its place."""
    first, last = (place if type(place) is int else short(place) for place in (start, end))
    named = kind if isinstance(kind, str | int) and kind != "" else None  # nor two types in a list
    return Mark(first, last, named, text if isinstance(text, str | None) else short(text))


def match(label: object, known: Iterable[str]) -> str | None:
    """Return the known label that is meant, or None: case and outer blanks may differ."""
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    if not isinstance(label, str):
        return None
    known = list(known)
    for wanted in (label, label.strip()):
        if wanted in known:
            return wanted
    alike = [name for name in known if name.casefold() == label.strip().casefold()]
    return alike[0] if len(alike) == 1 else None


def utf16_places(text: str, utf16: bool = True) -> list[int]:
    """Return the place of each code point, and of the end, in UTF-16 units, or in code points."""
    return [*accumulate((2 if utf16 and ord(c) > 0xFFFF else 1 for c in text), initial=0)]


def marks_of(words: Sequence[str], tags: Sequence[str], utf16: bool) -> list[Mark]:
    """Return the entities of IOB2 tags as spans with their texts."""
    text, places = " ".join(words), word_places(words)
    units, marks = utf16_places(text, utf16), []
    for type_, first, last in spans_conlleval(tags):  # a model's tags may break IOB2
        start, end = places[first][0], places[last - 1][1]
        marks.append(Mark(units[start], units[end], type_, text[start:end]))
    return marks


def code_points(text: str, utf16: bool) -> dict[int | str, int]:
    """Return the place in code points of each place, as a tool counts it."""
    return {unit: place for place, unit in enumerate(utf16_places(text, utf16))}


def cut_words(text: str, marks: Iterable[Mark], utf16: bool) -> tuple[Places, list[str]]:
    """Return (start, end) of the words of a text, and those that only a span's border cuts."""
    places = code_points(text, utf16)
    borders = sorted({places.get(unit, 0) for mark in marks for unit in (mark.start, mark.end)})
    found, cut = Places(), list[str]()
    for word, start, end in split_words(text):
        inside = [border for border in borders if start < border < end]
        found += zip([start, *inside], [*inside, end])
        cut += [word] * bool(inside)
    return found, cut


def tags_in(
    text: str, words: Places, marks: Sequence[Mark], labels: Sequence[str], utf16: bool
) -> tuple[list[str], list[str]]:
    """Return (an IOB2 tag for each word, what is wrong); tags are of use only if nothing is.

    The words stand at these places of a text; the same span twice counts once; `labels` are the
    tags there are; places of marks may be in UTF-16 units.
    """
    places, types = code_points(text, utf16), types_of(labels)
    begins, ends, owner = {}, {}, dict[int, str]()
    for word, (left, right) in enumerate(words):
        begins[left], ends[right] = word, word + 1
        if text[left - 1 : left].isspace():
            begins.setdefault(left - 1, word)
        if text[right : right + 1].isspace():
            ends.setdefault(right + 1, word + 1)
    tags, faults = ["O"] * len(words), []
    for mark in dict.fromkeys(marks):
        start, end = places.get(mark.start), places.get(mark.end)
        named = f"span {mark.start}-{mark.end} ({short(mark.type)})"
        if start is None or end is None or start >= end:
            size = counted(int([*places][-1]), "character")
            faults.append(f"{named} lies outside the text of {size}; mark it again")
            continue
        named += f", {short(text[start:end])}"
        type_ = match(mark.type, ["O", *types])
        first, last = begins.get(start), ends.get(end)
        if mark.text is not None and _loose(mark.text) != _loose(text[start:end]):
            faults.append(f"{named}, should be {short(mark.text)}: it was moved; mark it again")
        elif mark.type is None:
            faults.append(f'{named}: it needs one type, as in [0, 3, "PER"]; mark it again')
        elif type_ is None:
            known, hint = ", ".join(types), nearest(str(mark.type), types)
            faults.append(f"{named}: there is no such type; types are {known}{hint}")
        elif first is None or last is None or first >= last:
            faults.append(f"{named}: it does not begin and end with a word; mark whole words")
        elif clash := [word for word in range(first, last) if word in owner]:
            other = owner[clash[0]]
            faults.append(f"{named}: it overlaps with {other}; a word has one type, remove one")
        elif type_ != "O" and last - first > 1 and f"I-{type_}" not in labels:
            faults.append(f'{named}: it has {last - first} words, but there is no tag "I-{type_}"')
        else:
            owner.update(dict.fromkeys(range(first, last), named))
            if type_ != "O":
                tags[first:last] = entity_tags(type_, last - first)
    return tags, faults


def _loose(text: str) -> str:
    return "".join(text.split())
