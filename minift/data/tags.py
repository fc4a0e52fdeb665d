"""Tag schemes: one set of entities, written in four ways.

Claim    IOB1, IOB2 and BIOES say the same thing and convert into each other without loss;
         IO cannot tell two adjacent entities of one type from one long entity.
             words    Ann  Bob  Smith  left      (two persons side by side)
             iob2     B    B    I      O         an entity begins with B-
             iob1     I    B    I      O         B- only where two of a type touch
             bioes    S    B    E      O         S- single, E- last (BILOU: U, L; BMES: M for I)
             io       PER  PER  PER    O         the entities have merged
         One rule reads all of them: a tag continues the entity before it if it is I- or E-,
         of the same type, and that entity is still open; any other tag begins a new one.
Differs  Tags that break their scheme (I- after O in IOB2) are never repaired in silence: the
         caller chooses "error", "begin" (each begins an entity, as the CoNLL script counts
         it) or "discard", and `violations` says where they are. IOB1 with B- where I-
         would do is accepted: it can mean only one thing.
Proof    tests/data/test_tags.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from minift.errors import MiniftError, nearest

Scheme = Literal["iob1", "iob2", "bioes", "io"]
Invalid = Literal["error", "begin", "discard"]

OUTSIDE = ("O", "0")  # some files write a zero
UNTYPED = "entity"  # the type of tags that are a bare B, I, O

_BEGIN_INSIDE = {"B": "B", "I": "I"}
LETTERS: dict[str, dict[str, str]] = {
    "iob1": _BEGIN_INSIDE,
    "iob2": _BEGIN_INSIDE,
    "bioes": {**_BEGIN_INSIDE, "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"},
    "io": {},
}
_PREFIXED = re.compile(r"[BIESLUM](-.+)?", re.DOTALL)


class _Chunk(NamedTuple):
    type: str
    start: int
    end: int
    fault: str  # how it breaks the scheme, "" if it does not


def _split(tag: str, scheme: Scheme) -> tuple[str, str]:
    """Return (letter, type) of a tag, the letter being one of O, B, I, E, S."""
    if tag in OUTSIDE:
        return "O", ""
    if scheme == "io":  # the whole tag is the type: "B-cell" is no beginning of a "cell"
        letter, type_ = "I", tag.removeprefix("I-")
    else:
        prefix, hyphen, rest = tag.partition("-")  # the first hyphen: types may have their own
        letter, type_ = LETTERS[scheme].get(prefix, ""), rest if hyphen else UNTYPED
    if not letter or not type_:
        known = ", ".join([f"{prefix}-TYPE" for prefix in LETTERS[scheme]] or ["TYPE"])
        raise MiniftError(
            f'"{tag}" is not a tag of the scheme {scheme}; expected O or {known} '
            f"(schemes: {', '.join(LETTERS)})"
        )
    return letter, type_


def _chunks(tags: Sequence[str], scheme: Scheme) -> list[_Chunk]:
    """Read entities by the one rule above, noting where the scheme is broken."""
    if scheme not in LETTERS:
        known = ", ".join(LETTERS)
        raise MiniftError(
            f'unknown tag scheme "{scheme}"; known: {known}{nearest(scheme, LETTERS)}'
        )
    chunks: list[_Chunk] = []
    before, open_type, start, fault = "O", "", 0, ""
    for position, tag in enumerate([*tags, "O"]):  # the last O closes what is open
        letter, type_ = _split(tag, scheme)
        if letter in "IE" and before in "BI" and type_ == open_type:
            before = letter
            continue
        if before != "O":
            if scheme == "bioes" and before in "BI" and not fault:
                fault = f"the {open_type} entity of word {start + 1} is not closed by E- or S-"
            chunks.append(_Chunk(open_type, start, position, fault))
        orphan = letter in "IE" and scheme in ("iob2", "bioes")
        fault = f'"{tag}" of word {position + 1} continues no {type_} entity' if orphan else ""
        before, open_type, start = letter, type_, position
    return chunks


def violations(tags: Sequence[str], scheme: Scheme) -> list[tuple[int, str]]:
    """Return (its first word, from 0; what is wrong) of each entity that breaks `scheme`.

    >>> violations(["O", "I-PER"], "iob2")
    [(1, '"I-PER" of word 2 continues no PER entity')]
    """
    return [(chunk.start, chunk.fault) for chunk in _chunks(tags, scheme) if chunk.fault]


def to_iob2(tags: Sequence[str], scheme: Scheme, invalid: Invalid = "error") -> list[str]:
    """Return the tags of one sentence in IOB2.

    Args:
        tags: one tag a word, in `scheme`; "0" is read as "O", a bare "B" as "B-entity".
        scheme: "iob1", "iob2", "bioes" (BILOU and BMES letters too) or "io".
        invalid: what becomes of entities that break the scheme: "error" raises, "begin"
            keeps them as entities of their own, "discard" makes their words "O".

    Raises:
        MiniftError: a tag is not of this scheme, or breaks it and `invalid` is "error".
    """
    if invalid not in ("error", "begin", "discard"):
        raise MiniftError(f'invalid must be "error", "begin" or "discard", got "{invalid}"')
    result = ["O"] * len(tags)
    for type_, start, end, fault in _chunks(tags, scheme):
        if fault and invalid == "error":
            raise MiniftError(
                f"{fault} in the scheme {scheme}; to read it all the same, "
                'pass invalid="begin" or invalid="discard"'
            )
        if not (fault and invalid == "discard"):
            result[start:end] = [f"B-{type_}"] + [f"I-{type_}"] * (end - start - 1)
    return result


def from_iob2(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Return valid IOB2 tags in another scheme; "io" loses the border of adjacent entities.

    Raises:
        MiniftError: `tags` are not valid IOB2, or the scheme is unknown.
    """
    result = to_iob2(tags, "iob2", invalid="error")
    _chunks([], scheme)  # refuses an unknown scheme
    touched = ("", 0)  # type of the entity before, and where it ended
    for type_, start, end, _ in _chunks(tags, "iob2"):
        if scheme == "io":
            result[start:end] = [type_] * (end - start)
        elif scheme == "iob1" and touched != (type_, start):
            result[start] = f"I-{type_}"
        elif scheme == "bioes":
            result[end - 1] = f"E-{type_}" if end - start > 1 else f"S-{type_}"
        touched = (type_, end)
    return result


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """Return the scheme that the tags of a whole file are in.

    A letter of E, S, L, U, M means "bioes"; tags without letters "io"; a B- where no entity of
    its type touches "iob2"; otherwise "iob1", which also covers files of I- tags alone.
    Files without entities are called "iob2".

    Raises:
        MiniftError: some tags have a letter and some do not.
    """
    sentences = [list(sentence) for sentence in sentences]
    tags = {tag for sentence in sentences for tag in sentence} - set(OUTSIDE)
    prefixed = {tag for tag in tags if _PREFIXED.fullmatch(tag)}
    if prefixed and prefixed != tags:
        bare, lettered = ", ".join(sorted(tags - prefixed)[:5]), ", ".join(sorted(prefixed)[:5])
        raise MiniftError(
            f"some tags have B- or I- ({lettered}) and some do not ({bare}): mend the file, "
            'or pass scheme="io" if each tag is the name of a type'
        )
    if tags and not prefixed:
        return "io"
    if {tag[0] for tag in tags} & set("ESLUM"):
        return "bioes"
    for sentence in sentences:
        for previous, tag in zip(["O", *sentence], sentence):
            if tag[0] == "B" and (previous in OUTSIDE or previous[1:] != tag[1:]):
                return "iob2"
    return "iob1" if tags else "iob2"
