"""What `check` holds the tutorials to, without running anything.

Claim    A notebook that passes is the source executed; its excerpts are the library's lines; the
         numbers that its prose names were measured by its cells; its links and pictures can be
         followed and read. Each complaint names tutorial and line.
Proof    tests/tutorials/test_build.py: each rule with an offence that it must find

Conventions, in the markdown cells of tutorial.py:

    ```python minift/methods/bitfit.py:bitfit     an excerpt: lines of that function; a line
    73 %<!-- measured: share 71 to 75 -->         that is ... stands for lines left out
    0.67<!-- measured: full_mean 0.64 to 0.70 --> a value, right to the digits shown, and the band
    2,957,954<!-- measured: parameters -->        in which other machines' values lie, if they vary
    2.4 points<!-- measured: gain 1 to 4 -->      a difference of shares: measured(gain=0.024)
    71 to 75 %<!-- measured: share -->            a band that is itself what the text says
    0.1<!-- given -->                             from a paper, or a setting
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote

from markdown_it.token import Token
from nbformat import NotebookNode

from _build.cells import MARKDOWN, Cell, Tutorial, as_pairs, command
from _build.reading import QUESTIONS, SUMMARY, reading

MIME = "application/vnd.minift.measured+json"  # as in ../shared.py
_NUMBER = r"[-−]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_RANGE = rf"({_NUMBER})\s+to\s+({_NUMBER})"
_MARKED = re.compile(
    rf"({_NUMBER})(?:\s+to\s+({_NUMBER}))?(\s*%|\s+points?)?\s*"
    rf"<!--\s*(?:(given)|measured:\s*(\w+)(?:\s+{_RANGE})?)\s*-->"
)
_UNMARKED = re.compile(r"\d*\.\d+|\d+\s*%|<!--\s*(?:measured|given).*?-->")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")
_TIME = re.compile(r"\*\*Time\.\*\*\s+(\d+) minutes? to read, (\d+) minutes? to run")


def check(tutorial: Tutorial, repository: Path) -> list[str]:
    """Return every complaint about one tutorial."""
    cells, notebook = tutorial.cells(), tutorial.built()
    if different := list(same_cells(tutorial, cells, notebook)):
        return different  # what follows would complain about an old notebook
    rules: list[Callable] = [executed, numbers, excerpts, links, pictures, form, reading]
    return [found for rule in rules for found in rule(tutorial, cells, notebook, repository)]


def _at(tutorial: Tutorial, line: int) -> str:
    return f"{tutorial.name}, line {line} of tutorial.py"


def same_cells(tutorial: Tutorial, cells: list[Cell], notebook: NotebookNode) -> Iterator[str]:
    """The notebook's cells are the source's, one by one."""
    ours = [(c.kind, c.source, c.metadata, c.id) for c in cells]
    theirs = as_pairs(notebook.cells)
    remedy = f"edit tutorial.py only, then: {command(tutorial.name)}"
    for number, (cell, own, built) in enumerate(zip(cells, ours, theirs), start=1):
        if own != built:
            first = next((t for t in cell.source.splitlines() if t.strip()), "")[:60]
            yield (
                f"{_at(tutorial, cell.line)}: cell {number} ({first!r}) is another one in "
                f"tutorial.ipynb; {remedy}"
            )
            return
    if len(ours) != len(theirs):
        yield (
            f"{tutorial.name}: tutorial.py has {len(ours)} cells, tutorial.ipynb {len(theirs)}; "
            f"{remedy}"
        )


def executed(tutorial, cells: list[Cell], notebook: NotebookNode, _: Path) -> Iterator[str]:
    """Every code cell ran, once and in order, and left no error and nothing that varies."""
    count = 0
    for cell, done in zip(cells, notebook.cells):
        if cell.kind != "code" or not cell.source.strip():
            continue
        count, where = count + 1, _at(tutorial, cell.line)
        if done.execution_count != count:
            yield f"{where}: was not run in its turn; {command(tutorial.name)}"
        for output in done.outputs:
            if output.output_type == "error":
                yield f"{where}: ended in {output.ename}: {output.evalue}"
            if output.output_type == "stream" and output.name == "stderr":
                yield f"{where}: its output has a line of standard error"
            text = str(output.get("text", output.get("data", {}).get("text/plain", "")))
            if "varies" not in cell.metadata.get("tags", ()) and _ADDRESS.search(text):
                yield (
                    f"{where}: its output has a memory address, {_ADDRESS.search(text)[0]}, which "
                    'is another one each time; print something else, or tag the cell "varies"'
                )


def published(notebook: NotebookNode) -> dict[str, set[float]]:
    """Return the values that code cells published, by name."""
    values: dict[str, set[float]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            for name, value in output.get("data", {}).get(MIME, {}).items():
                values.setdefault(name, set()).add(value)
    return values


def numbers(tutorial, cells: list[Cell], notebook: NotebookNode, _: Path) -> Iterator[str]:
    """Decimals and percentages in prose are marked, and measured ones lie in their band."""
    values = published(notebook)
    for name, found in values.items():
        if len(found) > 1:
            yield f"{tutorial.name}: {name} is measured twice, as {sorted(found)}; use two names"
    for line, text in prose(cells):
        where = _at(tutorial, line)
        for mark in _MARKED.finditer(text):
            low, high, unit, given, name, *band = mark.groups()
            stated = text[mark.start() : mark.end()].partition("<!--")[0].strip()
            if given:
                continue
            if name not in values:
                known = ", ".join(sorted(values)) or "none"
                yield f"{where}: {stated} is said to be {name}, which no cell measures ({known})"
                continue
            value = min(values[name]) * (100 if unit else 1)
            is_ = f"the notebook measured {value:.6g}{' ' + unit.strip() if unit else ''}"
            if band[0] and not _lies_in(value, *band):
                yield f"{where}: the band {band[0]} to {band[1]} is stated for {name}, {is_}"
            elif not _lies_in(value, low, high):
                yield f"{where}: the text says {stated} for {name}, {is_}"
        for left in _UNMARKED.finditer(_MARKED.sub("", text)):
            yield (
                f"{where}: {left[0].strip()} is not tied to anything; write NUMBER<!-- measured: "
                "NAME --> for what a cell measures, NUMBER<!-- given --> for a setting or a paper's"
            )


def _lies_in(value: float, low: str, high: str | None) -> bool:
    ends = [float(end.replace(",", "").replace("−", "-")) for end in (low, high) if end]
    if len(ends) == 2:
        return ends[0] <= value <= ends[1]
    digits = len(low.partition(".")[2])
    return abs(value - ends[0]) <= 0.5 * 10**-digits * (1 + 1e-9)


def renewed(text: str, values: dict[str, set[float]]) -> str:
    """Return a text in which each number that has a band is the measured one, to as many digits.

    A number outside its band is left alone: `numbers` complains about it, and a person decides.
    """

    def renew(mark: re.Match) -> str:
        number, _, unit, _, name, *band = mark.groups()
        if not band[0] or len(values.get(name, ())) != 1:
            return mark[0]
        value = min(values[name]) * (100 if unit else 1)
        if not _lies_in(value, *band):
            return mark[0]
        comma, digits = "," if "," in number else "", len(number.partition(".")[2])
        shown = f"{value:{comma}.{digits}f}"
        if not float(shown.replace(",", "")):
            shown = shown.removeprefix("-")
        return mark[0].replace(number, shown.replace("-", "−"), 1)

    return _MARKED.sub(renew, text)


def prose(cells: list[Cell]) -> Iterator[tuple[int, str]]:
    """Yield the text of markdown cells by paragraph, with its line; no code, no link texts."""
    for line, token in _tokens(cells):
        if token.type != "inline":
            continue
        parts, inside_link = [], 0
        for child in token.children:
            inside_link += child.nesting if child.type.startswith("link_") else 0
            if child.type in ("softbreak", "hardbreak"):
                parts.append(" ")
            elif child.type in ("text", "html_inline") and not inside_link:
                parts.append(child.content)
        yield line, "".join(parts)


def _tokens(cells: list[Cell]) -> Iterator[tuple[int, Token]]:
    """Yield the blocks of all markdown cells, each with its line in tutorial.py."""
    for cell in cells:
        if cell.kind == "markdown":
            line = cell.line
            for token in MARKDOWN.parse(cell.source):
                line = cell.line + token.map[0] if token.map else line
                yield line, token


def excerpts(tutorial, cells: list[Cell], _: NotebookNode, repository: Path) -> Iterator[str]:
    """A fence that names a file of the library holds lines of that file."""
    for line, token in _tokens(cells):
        if token.type != "fence" or len(words := token.info.split()) < 2:
            continue
        where = f"{_at(tutorial, line)}: the excerpt of {words[1]}"
        file, _, name = words[1].partition(":")
        if not (repository / file).is_file():
            yield f"{where}: there is no file {file}"
            continue
        source = source_of((repository / file).read_text(encoding="utf-8"), name)
        if source is None:
            yield f"{where}: {file} defines no {name}"
        elif (missing := first_line_not_in(token.content, source)) is not None:
            yield f"{where} is not what the library says: it has no such line as {missing!r} there"


def source_of(text: str, name: str) -> list[str] | None:
    """Return the lines that define `name` ("f", "Class.method", "TABLE"; "" is everything)."""
    lines, scope = text.splitlines(), ast.parse(text)
    if not name:
        return lines
    for part in name.split("."):
        scope = next((node for node in getattr(scope, "body", ()) if part in _names(node)), None)
        if scope is None:
            return None
    first = min([scope.lineno, *(d.lineno for d in getattr(scope, "decorator_list", ()))])
    return lines[first - 1 : scope.end_lineno]


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Assign):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign):
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    return {getattr(node, "name", "")}


def first_line_not_in(excerpt: str, source: list[str]) -> str | None:
    """Return the first line of an excerpt that does not follow in the source, or None."""
    at = 0
    for chunk in re.split(r"^[ \t]*\.\.\.[ \t]*\n", excerpt, flags=re.MULTILINE):
        wanted = dedent(chunk).strip("\n").splitlines()
        if not wanted:
            continue
        best, end = 0, None
        for start in range(at, len(source)):
            window = dedent("\n".join(source[start : start + len(wanted)])).splitlines()
            same = next(
                (n for n, (a, b) in enumerate(zip(wanted, window)) if a.rstrip() != b.rstrip()),
                min(len(wanted), len(window)),
            )
            best = max(best, same)
            if same == len(wanted):
                end = start + same
                break
        if end is None:
            return wanted[best]
        at = end
    return None


def links(tutorial, cells: list[Cell], _: NotebookNode, __: Path) -> Iterator[str]:
    """Local links lead to files, and links within the page to headings."""
    anchors = {slug(text) for _, text in headings(cells)}
    for line, token in _tokens(cells):
        for complaint in broken_links(token, tutorial.folder, anchors):
            yield f"{_at(tutorial, line)}: {complaint}"


def broken_links(token: Token, folder: Path, anchors: set[str]) -> Iterator[str]:
    """Yield complaints about the links of one paragraph."""
    for child in token.children or ():
        target = child.attrs.get("href" if child.type == "link_open" else "src")
        if target is None or re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        if path and not (folder / path).exists():
            yield f"the link to {path} leads nowhere"
        if not path and anchor not in anchors:
            yield f"the page has no heading #{anchor}"


def headings(cells: list[Cell]) -> list[tuple[int, str]]:
    """Return (level, text) of every heading."""
    found, level = [], 0
    for _, token in _tokens(cells):
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "inline" and level:
            found.append((level, token.content))
            level = 0
    return found


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")


def pictures(tutorial, cells: list[Cell], notebook: NotebookNode, _: Path) -> Iterator[str]:
    """Every picture says in words what it shows."""
    for line, token in _tokens(cells):
        for child in token.children or ():
            if child.type == "image" and not child.content.strip():
                yield f"{_at(tutorial, line)}: ![] needs words: what does the picture show?"
        if "<img" in "".join(c.content for c in [token, *(token.children or ())] if "html" in c.type):
            yield f"{_at(tutorial, line)}: write ![words](file) for a picture, not <img>"
    for cell, done in zip(cells, notebook.cells):
        drawn = any("image/png" in output.get("data", {}) for output in done.get("outputs", ()))
        if drawn and not cell.metadata.get("alt", "").strip():
            yield (
                f'{_at(tutorial, cell.line)}: this cell draws a plot; its header needs alt="what '
                'the plot shows, in words"'
            )


def form(tutorial, cells: list[Cell], _: NotebookNode, __: Path) -> Iterator[str]:
    """A tutorial begins with claim, time and what to read before; it ends with its limits.

    If there is an assignment beside it, its last words lead there.
    """
    head = cells[0].source if cells and cells[0].kind == "markdown" else ""
    wanted = {
        "a title, # ...": head.startswith("# "),
        "**Claim.**": "**Claim.**" in head,
        "**Time.** N minutes to read, M minutes to run": _TIME.search(head),
        "**Before this.**": "**Before this.**" in head,
    }
    for what, there in wanted.items():
        if not there:
            yield f"{tutorial.name}: its first cell lacks {what}"
    ends = ["Limits", "Further reading"]
    if "**Paper.**" in head:
        ends.insert(1, "Where this differs from the paper")
    titles = [text for level, text in headings(cells) if level == 2]
    if SUMMARY in titles or QUESTIONS in titles:  # reading.py asks for them
        ends[-1:-1] = [SUMMARY, QUESTIONS]
    last = titles[-len(ends) :]
    if last != ends:
        yield f"{tutorial.name}: its last sections must be {', '.join(ends)}, not {', '.join(last)}"
    if (tutorial.folder / "assignment.md").is_file() and "](assignment.md)" not in cells[-1].source:
        yield f"{tutorial.name}: its last cell must link to its assignment, [title](assignment.md)"


def minutes(tutorial: Tutorial) -> tuple[int, int]:
    """Return the minutes to read and to run that a tutorial states; (0, 0) if it does not."""
    found = _TIME.search(tutorial.cells()[0].source)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def title(tutorial: Tutorial) -> str:
    """Return a tutorial's first heading."""
    return next((text for _, text in headings(tutorial.cells())), tutorial.name)


def check_readme(root: Path, tutorials: list[Tutorial]) -> list[str]:
    """Return complaints about README.md: it lists what there is, in order, with its minutes."""
    readme = root / "README.md"
    if not readme.is_file():
        return [f"{root.name}/README.md is missing: it is the reading order"]
    text = readme.read_text(encoding="utf-8")
    complaints = []
    for token in MARKDOWN.parse(text):
        complaints += [f"README.md: {c}" for c in broken_links(token, root, set())]
    rows = re.findall(r"^\| *\[[^\]]+\]\((\w+)/tutorial\.ipynb\) *\|([^|]*)\|([^|]*)\|", text, re.M)
    listed, there = [row[0] for row in rows], [tutorial.name for tutorial in tutorials]
    if listed != there:
        complaints.append(
            f"README.md: its table lists {', '.join(listed) or 'nothing'}; there are "
            f"{', '.join(there)}, in this order (| [title](NAME/tutorial.ipynb) | read | run | ...)"
        )
    by_name = {tutorial.name: tutorial for tutorial in tutorials}
    for name, read, run in rows:
        if name in by_name and (stated := minutes(by_name[name])) != (int(read), int(run)):
            complaints.append(
                f"README.md: {name} takes {read.strip()} and {run.strip()} minutes, its own first "
                f"cell says {stated[0]} and {stated[1]}"
            )
    return complaints
