"""Tag schemes: one set of entities, written in four ways, cut by one rule.

Claim    IOB1, IOB2 and BIOES say the same thing and are read as IOB2 without loss; IO cannot
         tell two adjacent entities of one type from one long entity.
             words    Ann  Bob  Smith  left      (two persons side by side)
             iob2     B    B    I      O         an entity begins with B-
             iob1     I    B    I      O         B- only where two of a type touch
             bioes    S    B    E      O         S- single, E- last (BILOU: U, L; BMES: M for I)
             io       PER  PER  PER    O         the entities have merged
         One rule cuts all of them: a tag continues the entity before it if it is I- or E-,
         of the same type, and that entity is still open; any other tag begins a new one.
Differs  Where tags break their scheme (I- after O in IOB2) each begins an entity, as the CoNLL
         script counts it, and `violations` says where, so that nothing is repaired in silence.
         IOB1 with B- where I- would do is accepted: it can mean only one thing.
Proof    tests/data/test_tags.py, tests/data/test_entities.py
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from minift.errors import MiniftError, require_known

Scheme = Literal["iob1", "iob2", "bioes", "io"]
Tags = Sequence[str]

OUTSIDE = ("O", "0")  # some files write a zero
UNTYPED = "entity"  # the type of tags that are a bare B, I, O

_IOB = {"B": "B", "I": "I"}
_ALL = {**_IOB, "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
LETTERS: dict[Scheme, dict[str, str]] = {"iob1": _IOB, "iob2": _IOB, "bioes": _ALL, "io": {}}
TAG = re.compile(rf"[{''.join(OUTSIDE)}]|[{''.join(_ALL)}]-.+", re.DOTALL)  # of any scheme but IO
SPOILT = re.compile(r"(?i:[biesmlu][-_:./|–—].+|.+[-_:./|–—][biesmlu])|[oO0]")  # "B_PER", "PER-B"
# What taggers of others call the pieces that continue a word, or are none.
NO_TAG = re.compile(r"X|[\W_]*(pad|cls|sep|unk|ignored?)?[\W_]*", re.IGNORECASE)


class Span(NamedTuple):
    """An entity: its type, and its words `start` up to, not including, `end`, from 0."""

    type: str
    start: int
    end: int


def _cut(tags: Tags, scheme: Scheme) -> list[tuple[Span, str]]:
    """Cut tags into entities by the one rule above, noting where the scheme is broken."""
    require_known("tag scheme", scheme, LETTERS)
    chunks: list[tuple[Span, str]] = []  # (entity, how it breaks the scheme or "")
    before, open_type, start, fault = "O", "", 0, ""
    for position, tag in enumerate([*tags, "O"]):  # the last O closes what is open
        letter, type_ = _split(tag, scheme)
        if letter in "IE" and before in "BI" and type_ == open_type:
            before = letter
            continue
        if before != "O":
            if scheme == "bioes" and before in "BI" and not fault:
                fault = f"the {open_type} entity of word {start + 1} is not closed by E- or S-"
            chunks.append((Span(open_type, start, position), fault))
        stray = letter in "IE" and scheme in ("iob2", "bioes")
        fault = f'"{tag}" of word {position + 1} continues no {type_} entity' if stray else ""
        before, open_type, start = letter, type_, position
    return chunks


@lru_cache(maxsize=4096)
def _split(tag: str, scheme: Scheme) -> tuple[str, str]:
    """Return (letter, type) of a tag, the letter being one of O, B, I, E, S."""
    if tag in OUTSIDE:
        return "O", ""
    if scheme == "io":  # the whole tag is the type: "B-cell" does not begin a "cell"
        letter, type_ = "I", tag.removeprefix("I-")
    else:
        prefix, hyphen, rest = tag.partition("-")  # the first hyphen: types may have their own
        letter, type_ = LETTERS[scheme].get(prefix, ""), rest if hyphen else UNTYPED
    if not letter or not type_:
        known = ", ".join([f"{prefix}-TYPE" for prefix in LETTERS[scheme]] or ["TYPE"])
        what = f'"{tag}" is not a tag of the scheme {scheme}; expected O or {known}'
        raise MiniftError(f"{what} (schemes: {', '.join(LETTERS)})")
    return letter, type_


def spans_conlleval(tags: Tags) -> list[Span]:
    """Return the entities that the CoNLL script sees: an I- that continues nothing begins one."""
    return [span for span, _ in _cut(_checked(tags), "iob2")]


def spans_strict(tags: Tags) -> list[Span]:
    """Return the entities that IOB2 allows: each begins with B-, a stray I- is passed over."""
    return [span for span, fault in _cut(_checked(tags), "iob2") if not fault]


def is_iob2(tag: object) -> bool:
    """Return whether this is "O", "B-type" or "I-type"."""
    return isinstance(tag, str) and re.fullmatch("O|[BI]-.+", tag, re.DOTALL) is not None


def _checked(tags: Tags) -> Tags:
    for number, tag in enumerate(tags, start=1):
        if not is_iob2(tag):
            got = f'word {number}: {tag!r} is not an IOB2 tag; expected "O", "B-type" or "I-type"'
            how = "turn label numbers into tags, other schemes with minift.data.tags.to_iob2"
            raise MiniftError(f"{got}: {how}")
    return tags


def entity_tags(type_: str, words: int) -> list[str]:
    """Return the tags of one entity: `entity_tags("PER", 3)` is B-PER, I-PER, I-PER."""
    return [f"B-{type_}"] + [f"I-{type_}"] * (words - 1)


def types_of(labels: Iterable[str]) -> list[str]:
    """Return the entity types of IOB2 labels, in their order."""
    return [label[2:] for label in labels if label.startswith("B-")]


def labels_of(types: Iterable[str]) -> tuple[str, ...]:
    """Return the IOB2 labels of entity types: "O", and B- and I- of each."""
    return ("O", *(f"{letter}-{type_}" for type_ in types for letter in "BI"))


def word_places(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return (start, end) of each word in the words joined by blanks: in Oslo (0, 2), (3, 7)."""
    starts = accumulate((len(word) + 1 for word in words), initial=0)
    return [(start, start + len(word)) for start, word in zip(starts, words)]


def located(span: Span, text: str, places: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return an entity for JSON, with its places in characters and in words, ends not included."""
    start, end = places[span.start][0], places[span.end - 1][1]
    found = {"start": start, "end": end, "type": span.type, "text": text[start:end]}
    return {**found, "start_word": span.start, "end_word": span.end}


def violations(tags: Tags, scheme: Scheme) -> list[tuple[int, str]]:
    """Return (its first word, from 0; what is wrong) of each entity that breaks `scheme`."""
    return [(span.start, fault) for span, fault in _cut(tags, scheme) if fault]


def to_iob2(tags: Tags, scheme: Scheme) -> list[str]:
    """Return the tags of one sentence in IOB2; what `violations` names becomes entities.

    "0" is read as "O", a bare "B" as "B-entity"; bioes knows the letters of BILOU and BMES too.
    """
    result = ["O"] * len(tags)
    for (type_, start, end), _ in _cut(tags, scheme):
        result[start:end] = entity_tags(type_, end - start)
    return result


def detect_scheme(sentences: Iterable[Tags]) -> Scheme:
    """Return the scheme that the tags of a whole file are in.

    A letter of E, S, L, U, M means "bioes"; tags without letters "io"; a B- where no entity of
    its type touches "iob2"; otherwise "iob1", which also covers files of I- tags alone.
    Files without entities are called "iob2". Tags with and without letters are refused.
    """
    sentences = [list(sentence) for sentence in sentences]
    tags = {tag for sentence in sentences for tag in sentence} - set(OUTSIDE)
    lettered = {tag for tag in tags if tag in _ALL or TAG.fullmatch(tag)}
    if lettered and lettered != tags:
        without, with_ = (", ".join(sorted(found)[:5]) for found in (tags - lettered, lettered))
        what = f"some tags have B- or I- ({with_}) and some do not ({without})"
        how = "fix the file, or choose the scheme io if each tag is the name of a type"
        raise MiniftError(f"{what}: {how}")
    if tags and not lettered:
        return "io"
    if {tag[0] for tag in tags} - set(_IOB):
        return "bioes"
    for sentence in sentences:
        for previous, tag in zip(["O", *sentence], sentence):
            if tag[0] == "B" and (previous in OUTSIDE or previous[1:] != tag[1:]):
                return "iob2"
    return "iob1" if tags else "iob2"


@lru_cache(maxsize=256)
def scheme_of(labels: tuple[str, ...]) -> tuple[Scheme, tuple[str, ...]]:
    """Return the scheme of a tagger's labels, and the IOB2 labels of what it finds.

    The scheme is "iob1" where IOB2 labels are not complete. Raises MiniftError if they are not tags
    of entities (LABEL_0, NOUN, B_PER).
    """
    tags = {label for label in labels if not NO_TAG.fullmatch(label)}
    scheme = detect_scheme([tag] for tag in tags)
    found = labels_of(sorted({_split(tag, scheme)[1] for tag in tags} - {""}))
    if scheme == "io" and not tags.intersection(OUTSIDE):
        raise MiniftError("none of them is O, for words outside entities")
    spoilt = any(re.match("[BI][_.:/]", tag) for tag in tags) or all(map(SPOILT.fullmatch, tags))
    if len(found) == 1 or (scheme == "io" and spoilt):
        raise MiniftError("a tag is O, B-TYPE or I-TYPE, with a hyphen")
    return "iob1" if scheme == "iob2" and not set(found) <= tags else scheme, found


def as_iob2(sentences: Sequence[list[str]], labels: Sequence[str]) -> list[list[str]]:
    """Return in IOB2 what a tagger with these labels says of sentences."""
    scheme, _ = scheme_of(tuple(labels))
    return [tags if scheme == "iob2" else to_iob2(tags, scheme) for tags in sentences]


def from_iob2(tags: Tags, labels: Sequence[str]) -> list[str]:
    """Return the IOB2 tags of a sentence as a tagger with these labels says them."""
    result = []
    for tag, following in zip(tags, [*tags[1:], "O"]):
        last = following != f"I-{tag[2:]}"
        letters = ("SUBI" if last else "BIS") if tag[0] == "B" else ("ELIB" if last else "IMB")
        names = [f"{letter}{tag[1:]}" for letter in letters] + [tag[2:]]
        names = [*names, *letters] if tag[2:] == UNTYPED else names if tag[2:] else [*OUTSIDE]
        result.append(next((name for name in names if name in labels), tag))
    return result
