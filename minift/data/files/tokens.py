"""Token files: one word per line with its tag, an empty line between sentences.

Claim    The CoNLL family of files, as they are found: 1 to 4 columns apart by TABs or blanks,
         tags in any scheme, come out as sentences in IOB2, or with every faulty line named.
Differs  What is decided here, since no standard does:
         - columns are split at blank and TAB only, so a no-break space stays in its word; at TABs
           alone if blanks stand between two of them, so that "5 000" is one word;
         - the number of columns of a file is the one most of its lines have;
         - the word is the first column and the tag the last, unless given by number, from 1;
         - outside sentences "# " begins a comment, on a line that has not the file's number of
           columns: "# O" is a word and its tag, and so is the hashtag "#now O";
         - lines with "-DOCSTART-" end a sentence and are left out; "0" is read as "O";
         - columns that are plainly the wrong ones are refused: words that are all tags, or
           that only count; tags that are almost IOB ("o", "B_PER"), or parts of speech.
Proof    tests/data/test_readers.py
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from minift.data.examples import TaggedExample
from minift.data.files.lines import Problems
from minift.data.tags import OUTSIDE, SPOILT, TAG, Scheme, detect_scheme, to_iob2, violations
from minift.data.words import counted
from minift.errors import MiniftError

MOST_COLUMNS = 4

_SAY_WHICH = 'say which column is the word and which the tag, such as text="2", label="3"'
_BLANKS, _TABS = re.compile(r"[ \t]+"), re.compile(r" *\t[ \t]*")
_COMMENTS = ("#", "# ")  # as a comment's first column begins
_TYPE = re.compile(r"[A-Z][A-Z0-9_.-]+|[oO0]")  # as tags without letters are usually written
Lines = Iterable[tuple[int, str]]  # (line number from 1, line)
Sentence = tuple[tuple[int, ...], TaggedExample]  # (lines of its words; its tags as in the file)


def parse_sentences(
    lines: Lines, problems: Problems, text: str | None, label: str | None, required: bool
) -> list[Sentence]:
    """Cut the numbered lines of a file into sentences; what is wrong is appended to `problems`.

    `text` and `label` are the columns of word and tag from "1"; None is the first and the last.
    """
    for name, value in (("text", text), ("label", label)):
        if value is not None and not re.fullmatch("[1-9][0-9]?", value):
            problems.append((0, f'{name}="{value}": columns of a token file are numbers from 1'))
            return []
    rows = [(line, [""] if "-DOCSTART-" in row else row) for line, row in _columns(lines)]
    filled = [row for _, row in rows if row != [""]]
    if not filled:
        return []
    plain = [row for row in filled if row[0][:2] not in _COMMENTS]
    widths = Counter(map(len, plain or filled))
    width = widths.most_common(1)[0][0]
    word_at, tag_at = int(text or 1), int(label or width)
    if word_at > width or (tag_at > width and required):
        asked = f"column {max(word_at, tag_at)} is asked for"
        problems.append((0, f"{asked}, but its lines have {width}"))
        return []
    tagged = tag_at <= width and tag_at != word_at
    if required and not tagged:
        problems.append((0, "words without tags; expected a word and its tag on each line"))
    if width > MOST_COLUMNS and text is None and label is None:
        got = " as of CoNLL-U, which has parts of speech, no entities" if width == 10 else ""
        expected = f"1 to {MOST_COLUMNS} with one word per line"
        problems.append((0, f"{width} columns{got}, expected {expected}; {_SAY_WHICH}"))
        return []

    sentences, current = list[Sentence](), list[tuple[int, list[str]]]()
    for line, row in [*rows, (0, [""])]:  # the last empty line closes the last sentence
        if row == [""] and current:
            where, columns = zip(*current)
            words = tuple(row[word_at - 1] for row in columns)
            tags = tuple(row[tag_at - 1] for row in columns) if tagged else None
            sentences.append((where, TaggedExample(str(len(sentences) + 1), words, tags)))
            current = []
        elif len(row) == width and row != [""]:
            current.append((line, row))
        elif row != [""] and (row[0][:2] not in _COMMENTS or current):
            got = counted(len(row), "column")
            problems.append((line, f"{got}, expected {width} as on most lines"))
    _refuse_wrong_columns(sentences, problems, f'text="{tag_at}", label="{word_at}"')
    return sentences


def _columns(numbered: Lines) -> list[tuple[int, list[str]]]:
    """Split the lines of a file into columns, all in the same way."""
    lines = [(number, line.strip(" \t")) for number, line in numbered]
    apart = [_TABS.split(line) for _, line in lines if "\t" in line]
    blanks = any(" " in cell for row in apart if row[0][:2] not in _COMMENTS for cell in row)
    return [(number, (_TABS if blanks else _BLANKS).split(line)) for number, line in lines]


def is_tagged(lines: Lines) -> bool:
    """Return whether most lines are a word and its tag, nearly right or without letters too."""
    rows = [row for _, row in _columns(lines) if row != [""] and row[0][:2] not in _COMMENTS]
    tags = [row[-1] for row in rows if len(row) > 1]
    tagged = [tag for tag in tags if TAG.fullmatch(tag) or SPOILT.fullmatch(tag)]
    typed = [tag for tag in tags if _TYPE.fullmatch(tag)] if {"o", "O"} & {*tags} else []
    return len(rows) > 1 and 4 * max(len(tagged), len(typed)) >= 3 * len(rows)


def _refuse_wrong_columns(sentences: list[Sentence], problems: Problems, turned: str) -> None:
    words = [word for _, sentence in sentences for word in sentence.words]
    tags = [tag for _, sentence in sentences for tag in sentence.tags or ()]
    if not tags:
        return
    more_tags_than_words = "O" in words and len(set(tags)) > len(set(words))
    if not all(map(TAG.fullmatch, tags)) and (
        more_tags_than_words or all(map(TAG.fullmatch, words))
    ):
        problems.append((0, f"the words look like tags and the tags like words; try {turned}"))
    counted = [str(n + 1) for lines, _ in sentences for n in range(len(lines))]
    if len(words) > 1 and counted == words:
        problems.append((0, f"the first column only counts the words; {_SAY_WHICH}"))
    if len(words) > 1 and all(" " in word for word in words):
        problems.append((0, "blanks and TABs both separate its columns; use one of them"))


def _refuse_guesses(tags: set[str]) -> None:
    """Refuse tags without letters that are almost those of IOB, or of which none is O."""
    types = tags - set(OUTSIDE)
    nameless = {tag for tag in types if tag == "o" or not re.search(r"[^\W_]", tag)}
    paired = {tag for tag in types if tag[:1] == "B" and tag[2:] and f"I{tag[1:]}" in types}
    spoilt = {tag for tag in types if SPOILT.fullmatch(tag)} | nameless | paired
    if nameless or paired or types in (spoilt, tags):
        what = "almost those of IOB" if spoilt else "parts of speech, if none is O"
        got = f"tags such as {', '.join(sorted(spoilt or types)[:5])} are {what}"
        how = 'B-PER, I-PER and O, or pass scheme="io" if each tag is the name of a type'
        raise MiniftError(f"{got}; write entities as {how}")


def tagged_examples(
    sentences: list[Sentence], scheme: Scheme | None, problems: Problems, unit: str = "line"
) -> tuple[list[TaggedExample], Scheme | None, list[str]]:
    """Turn the tags into IOB2; return (examples, the scheme they were in, notes for the user)."""
    tagged = [(lines, e.tags) for lines, e in sentences if e.tags is not None]
    if not tagged:
        return [e for _, e in sentences], scheme, []
    try:
        if scheme is None:
            scheme = detect_scheme(tags for _, tags in tagged)
            if scheme == "io":
                _refuse_guesses({tag for _, tags in tagged for tag in tags})
    except MiniftError as error:
        problems.append((0, str(error)))
        return [], None, []
    before, notes = len(problems), list[str]()
    for tag in {tag for _, tags in tagged for tag in tags}:
        try:
            to_iob2([tag], scheme)
        except MiniftError as error:
            rows = (row for lines, tags in tagged for row in zip(lines, tags))
            problems += [(line, str(error)) for line, given in rows if given == tag]
    if len(problems) > before:
        return [], scheme, []
    found = ((lines, violations(tags, scheme)) for lines, tags in tagged)
    if broken := [(lines[word], fault) for lines, faults in found for word, fault in faults]:
        line, fault = broken[0]
        one = f"entity breaks the scheme {scheme} and is read as an entity of its own"
        many = f"entities break the scheme {scheme} and are read as entities of their own"
        notes.append(f"{counted(len(broken), one, many)} (first: {unit} {line}, {fault})")
    if zeros := sum(tags.count("0") for _, tags in tagged):
        notes.append(counted(zeros, 'tag "0" is read as "O"', 'tags "0" are read as "O"'))
    if scheme != "iob2":
        notes.append(f"tags are in the scheme {scheme} and are read as iob2")
    examples = [e for _, e in sentences]
    given = [e.tags and tuple(to_iob2(e.tags, scheme)) for e in examples]
    return [replace(e, tags=tags) for e, tags in zip(examples, given)], scheme, notes
