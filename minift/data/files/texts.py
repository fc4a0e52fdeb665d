"""Texts without labels: what is predicted, labelled, or learned from without labels.

Claim    A file of any size is read in constant memory, and yet a fault of its last line is told
         before its first text comes. Each text is known by the line on which it stands.
Differs  - A table is read three times: for its columns, for its faults, for its texts. Token
           files and what can be read only once, such as a pipe, are held in memory.
         - Standard input is read line by line, and its faults are told where they are met.
         - Labels in the file are never looked at. The id of a text is the one of the column
           `id`, or its line; two texts may have the same id.
Proof    tests/data/test_texts.py
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minift.data.examples import Example, TaggedExample, Task, TextExample
from minift.data.files import tables
from minift.data.files.lines import Problems, read_once, refuse, stream_text
from minift.data.files.readers import NAME_IT, format_of, has_words
from minift.data.files.tables import Names, Row
from minift.data.files.tokens import parse_sentences
from minift.errors import require_known

Numbered = tuple[int, Example | None]  # (line, its text; None if it is blank)


@dataclass(frozen=True)
class Texts:
    """The texts of a file; get it from `read_texts`, and iterate over it as often as you like."""

    path: Path
    total: int | None  # rows, blank ones included; None if they can be read only once
    has_labels: bool  # which are not read
    read: Callable[[Problems], Iterator[Numbered]]
    notes: tuple[str, ...] = ()  # what a user should know
    table: Callable[[], Iterable[Row]] = tuple  # its rows as they stand, if it is a table

    def __iter__(self) -> Iterator[Example]:
        return (example for _, example in self.rows() if example is not None)

    def rows(self) -> Iterator[Numbered]:
        """Yield (line, its text) of each row, None being the text of a blank one."""
        problems: Problems = []
        for row in self.read(problems):
            refuse(self.path, problems)  # somebody has changed the file meanwhile
            yield row
        refuse(self.path, problems)

    def columns(self, names: Sequence[str]) -> Iterator[dict[str, object]]:
        """Yield these columns of each row of a table, as they stand in the file."""
        for name in names:
            require_known(f"column of {self.path}", name, tables.columns_of(self.table()))
        return ({name: row.get(name) for name in names} for _, row in self.table())


def read_texts(
    path: str | Path,
    *,
    format: str | None = None,
    task: Task | None = None,
    text: str | None = None,
    text_b: str | None = None,
    allow_blank: bool = False,
) -> Texts:
    """Check a file ("-": standard input) of texts, or of sentences of words; return what is in it.

    The rest is as in `read_examples`, but the format may be "text", one text per line; words are
    for the task tagging, which takes texts as well; None takes whatever there is. If it is allowed,
    rows of a table may have no text, as lines of text always may.
    """
    path, problems = Path(path), Problems()
    format = format_of(path, format)
    once = read_once(path)
    if format == "text":
        if text or text_b:
            refuse(path, [(0, f"one text per line has no columns text= or text_b=; or {NAME_IT}")])
        texts = Texts(path, None, False, lambda _: _lines(path))
        if once:
            return texts
    elif format == "conll":
        has_words(path, format, [], task)  # refuses other tasks
        sentences = parse_sentences(stream_text(path), problems, text, None, False)
        held = [(at[0], TaggedExample(str(at[0]), e.words)) for at, e in sentences]
        texts = Texts(path, None, any(e.tags for _, e in sentences), lambda _: iter(held))
    else:
        table = list(tables.TABLES[format](path, problems)) if once else None

        def rows_of(problems: Problems) -> Iterator[Row]:
            return tables.TABLES[format](path, problems) if table is None else iter(table)

        found = tables.columns_of(rows_of([]))
        words, notes = has_words(path, format, found, task, text), list[str]()
        columns = tables.choose_columns(found, problems, Names(text, text_b), False, words, notes)
        if task == "tagging" and not words and len(columns.texts) > 1:
            problems.append((0, "taggers read no pairs; name the one column with text="))
        refuse(path, problems)

        def read(problems: Problems) -> Iterator[Numbered]:
            rows, bare = rows_of(problems), columns._replace(label=None)
            return tables.row_examples(rows, bare, problems, words, False, None, True, allow_blank)

        has_labels = columns.label is not None
        texts = Texts(path, None, has_labels, read, tuple(notes), lambda: rows_of([]))
    total = sum(1 for _ in texts.read(problems))
    refuse(path, problems)
    if not total:
        refuse(path, [(0, "there are no examples in it")])
    return replace(texts, total=total)


def _lines(path: Path) -> Iterator[Numbered]:
    for number, line in stream_text(path):
        yield number, TextExample(str(number), line) if line.strip() else None
