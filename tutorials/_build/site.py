"""The notebooks as a folder of HTML pages that needs nothing else.

Claim    The pages read well on a phone (only code and tables scroll sideways), with the keyboard
         alone, in the dark and without a network; every local link leads to a page in the folder.
         Without scripts all of it can be read; they add search, copying and open contents.
Differs  No nbconvert: a notebook here has five kinds of content, and one page of template shows
         them. Library files that a tutorial links to become pages of their own. The reference of
         the public names is made by pdoc, where that is installed.
Proof    tests/tutorials/test_build.py; looked at in Chromium, 390, 768 and 1280 pixels wide, light
         and dark

    index.html       what minift is, and the reading order
    NN_name.html     a tutorial
    api.html         every public name, from the docstrings
    source/...       files that pages link to
    pictures/        the plots; style.css, site.js, search.js (what the search looks through)
"""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import re
import shutil
from html import escape
from pathlib import Path
from urllib.parse import unquote

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from _build.cells import HIDE, MARKDOWN, Tutorial, TutorialError
from _build.formulas import set_aside, typeset
from _build.reference import reference
from _build.rules import MIME, minutes, slug, title
from minift.files import atomic_write

STATIC = Path(__file__).resolve().parent / "static"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FORMATTER = HtmlFormatter(nowrap=True)


def write_site(tutorials: list[Tutorial], root: Path, out: Path) -> Path:
    """Write the pages, in place of older ones.

    Args:
        tutorials: in reading order; all must have been run.
        root: their folder, whose README.md becomes the first page.
        out: folder to fill.

    Returns:
        The first page.

    Raises:
        TutorialError: if the folder holds something else than an older site.
    """
    if out.exists() and not (out / "index.html").is_file() and any(out.iterdir()):
        raise TutorialError(f"{out} holds something else than a site; choose an empty folder")
    site = _Site(tutorials, root)
    pages = {out / "index.html": site.index()}
    for number, tutorial in enumerate(tutorials):
        pages[out / f"{tutorial.name}.html"] = site.tutorial(number)
    while left := site.asked - site.done:  # files that pages link to, and those that these link to
        for file in sorted(left):
            site.done.add(file)
            pages[out / site.page_of(file)] = site.file(file)
    pages[out / "api.html"] = reference(site.page)
    pages[out / "search.js"] = f"window.SECTIONS = {json.dumps(site.sections, ensure_ascii=False)};\n"
    pages[out / "site.js"] = (STATIC / "site.js").read_text(encoding="utf-8")
    pages[out / "style.css"] = (STATIC / "style.css").read_text(encoding="utf-8") + _colours()
    shutil.rmtree(out, ignore_errors=True)
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    for name, picture in site.pictures.items():
        (out / "pictures").mkdir(exist_ok=True)
        (out / "pictures" / name).write_bytes(picture)
    return out / "index.html"


class _Site:
    """The pages, and the files that they ask for."""

    def __init__(self, tutorials: list[Tutorial], root: Path):
        self.tutorials, self.root = tutorials, root.resolve()
        self.repository = self.root.parent
        self.asked: set[Path] = set()
        self.done: set[Path] = set()
        self.pictures: dict[str, bytes] = {}
        self.sections: list[dict[str, str]] = []  # what the search looks through

    def index(self) -> str:
        """What minift is, as the front page says it, and the reading order."""
        front = self.repository / "README.md"
        lead = ""
        if front.is_file():
            lead = front.read_text(encoding="utf-8").partition("\n## ")[0]
            lead = self.markdown(lead, self.repository, "").replace("<p>", '<p class="lead">', 1)
        text = (self.root / "README.md").read_text(encoding="utf-8")
        text = text.partition("\n## To change them")[0]  # what follows is for who writes pages
        if lead:  # which has the page's title
            text = re.sub(r"^# ", "## ", text, count=1)
        body = lead + self.markdown(text, self.root, "")
        return self.page("minift: the tutorials", body, "", contents=_contents(text, 2))

    def tutorial(self, number: int) -> str:
        """One notebook, with its contents and links to its neighbours."""
        tutorial, parts = self.tutorials[number], []
        source = ""
        for cell in tutorial.built().cells:
            if cell.cell_type == "markdown":
                parts.append(self.markdown(cell.source, tutorial.folder, ""))
                source += f"{cell.source}\n\n"
            elif cell.source.strip():
                parts += self.code(cell)
        self.remember(tutorial, source)
        around = []
        for step, word in ((-1, "Previous"), (1, "Next")):
            if 0 <= number + step < len(self.tutorials):
                other = self.tutorials[number + step]
                around.append(
                    f'<a class="{word.lower()}" rel="{word[:4].lower()}" href="{other.name}.html">'
                    f"{word}: {_code(title(other))}</a>"
                )
        assignment = self.target("assignment.md", tutorial.folder, "")
        extra = [f'<a href="{assignment}">Assignment</a>'] if assignment else []
        read, run = minutes(tutorial)
        foot = (
            f"{read} minutes to read. To run it (about {run} min): "
            f"<code>tutorials/{tutorial.name}/tutorial.ipynb</code>"
        )
        contents = _contents(source, 2)
        return self.page(title(tutorial), "\n".join(parts), "", contents, extra, around, foot)

    def code(self, cell) -> list[str]:
        """A code cell and what came of it; a hidden one is folded, with the numbers it measured."""
        block = _pre(highlight(cell.source, PythonLexer(), _FORMATTER), "Code")
        alt = cell.metadata.get("alt", "")
        measured = [o for o in cell.outputs if MIME in o.get("data", {})]
        others = [self.output(o, alt) for o in cell.outputs if o not in measured]
        numbers = [self.output(o, alt) for o in measured]
        if HIDE in cell.metadata.get("tags", ()):
            lines = len(cell.source.splitlines())
            folded = "\n".join([block, *numbers])
            what = "Measured numbers" if numbers else f"{lines} line{'s' * (lines != 1)} of code"
            return [_fold(what, folded), *others]
        if re.search(r"^check\(", cell.source, re.MULTILINE):
            block = block.replace('class="code"', 'class="code turn"', 1)
        return [block, *others, *([_fold("Measured numbers", *numbers)] if numbers else [])]

    def output(self, output, alt: str) -> str:
        """A picture as a file of its own, which opens at its full size, or text."""
        data = output.get("data", {})
        if "image/png" in data:
            picture = base64.b64decode(data["image/png"])
            name = f"{hashlib.sha256(picture).hexdigest()[:16]}.png"
            self.pictures[name] = picture
            image = f'<img alt="{escape(alt)}" src="pictures/{name}" loading="lazy">'
            return f'<a class="picture" href="pictures/{name}">{image}</a>'
        text = output.get("text") or data.get("text/plain", "")
        if not text.strip():
            return ""
        text = escape(_ANSI.sub("", text.rstrip("\n")))
        return f'<pre class="output" tabindex="0" role="region" aria-label="Output">{text}</pre>'

    def remember(self, tutorial: Tutorial, source: str) -> None:
        """Keep a page's sections for the search."""
        heading, level = title(tutorial), ""
        place = {"page": heading, "heading": heading, "url": f"{tutorial.name}.html", "text": ""}
        found = [place]
        for token in MARKDOWN.parse(source):
            if token.type == "heading_open":
                level = token.tag
            elif token.type == "inline" and level:
                if level != "h1":
                    url = f"{tutorial.name}.html#{slug(token.content)}"
                    found.append({"page": heading, "heading": token.content, "url": url, "text": ""})
                level = ""
            elif token.type == "inline":
                words = re.sub(r"<!--.*?-->|\]\([^)]*\)|[`*\[]", "", token.content)
                found[-1]["text"] += " ".join(words.split()) + " "
        self.sections += [
            {**section, "page": _plain(section["page"]), "heading": _plain(section["heading"])}
            for section in found
        ]

    def file(self, file: Path) -> str:
        """A file that a page links to: Markdown as text, all else as code."""
        name, up = file.relative_to(self.repository), "../" * (len(Path(self.page_of(file)).parts) - 1)
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".md":
            text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
            body, contents = self.markdown(text, file.parent, up), _contents(text, 2)
            return self.page(str(name), body, up, contents, self.lesson(file, up))
        try:
            lexer = get_lexer_for_filename(file.name)
        except ClassNotFound:
            lexer = TextLexer()
        code = _pre(highlight(text, lexer, _FORMATTER), str(name))
        return self.page(str(name), f"<h1><code>{escape(str(name))}</code></h1>{code}", up)

    def lesson(self, file: Path, up: str) -> list[str]:
        """The way back from an assignment to its page."""
        if file.name != "assignment.md" or file.parent not in [t.folder for t in self.tutorials]:
            return []
        return [f'<a href="{up}{file.parent.name}.html">Its tutorial</a>']

    def page_of(self, file: Path) -> str:
        """Return the page of a file of the repository."""
        if file == self.root / "README.md":
            return "index.html"
        if file.parent.parent == self.root and file.name in ("tutorial.py", "tutorial.ipynb"):
            return f"{file.parent.name}.html"
        return f"source/{file.relative_to(self.repository).as_posix()}.html"

    def markdown(self, text: str, folder: Path, up: str) -> str:
        """Render Markdown; links to files lead to their pages."""
        text, formulas = set_aside(text)
        tokens = MARKDOWN.parse(text)
        for number, token in enumerate(tokens):
            if token.type == "heading_open":
                token.attrs["id"] = slug(tokens[number + 1].content)
            dead = False
            for child in token.children or ():
                if child.type == "link_open":
                    child.attrs["href"] = target = self.target(child.attrs["href"], folder, up)
                    if dead := not target:
                        child.type, child.tag, child.attrs = "text", "", {}
                elif child.type == "link_close" and dead:
                    child.type, child.tag, dead = "text", "", False
                elif child.type == "image":
                    child.attrs["src"] = _data_uri(folder / unquote(str(child.attrs["src"])))
        html = MARKDOWN.renderer.render(tokens, _options(), {})
        html = typeset(html, formulas)
        html = re.sub(r"<pre tabindex.*?</pre>", r'<div class="code">\g<0></div>', html, flags=re.S)
        frame = '<div class="wide" tabindex="0" role="region" aria-label="Table">'
        html = html.replace("<table>", f"{frame}<table>")
        return html.replace("</table>", "</table></div>")

    def target(self, href: str, folder: Path, up: str) -> str:
        """Return where a link leads on the site; "" where it has nothing to show."""
        if re.match(r"(https?|mailto):|#", href):
            return href
        path, hash_, anchor = unquote(href).partition("#")
        file = (folder / path).resolve()
        if file.is_dir():
            file = file / "README.md"
        if not file.is_file() or not file.is_relative_to(self.repository):
            return ""
        page = self.page_of(file)
        if page.startswith("source/"):
            self.asked.add(file)
        return up + page + hash_ + anchor

    @staticmethod
    def page(name, body, up="", contents=(), extra=(), around=(), foot="") -> str:
        """Put a body into the frame that all pages have.

        Args:
            name: of the window.
            up: way to the folder of the site, "../" for each level.
            contents: (anchor, heading) of its sections.
            extra: links below them.
            around: links to the pages before and after it.
        """
        entries = [f'<li><a href="#{anchor}">{_code(text)}</a></li>' for anchor, text in contents]
        listed = f"<details><summary>On this page</summary><ol>{''.join(entries)}</ol></details>"
        links = "".join(f'<li class="extra">{link}</li>' for link in extra)
        more = f"<ol>{links}</ol>"
        parts = [listed] * bool(entries) + [more] * bool(extra)
        toc = f'<nav class="toc" aria-label="On this page">{"".join(parts)}</nav>\n'
        links = f'<nav class="around" aria-label="Next pages">{"".join(around)}</nav>\n'
        return (
            f'<!doctype html>\n<html lang="en" data-up="{up}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(_plain(name))}</title>\n"
            f'<link rel="stylesheet" href="{up}style.css">\n'
            f'<script src="{up}site.js" defer></script>\n</head>\n<body>\n'
            '<a class="skip" href="#content">Skip to the text</a>\n'
            f'<header><div><a class="home" href="{up}index.html">minift</a>'
            f'<a href="{up}api.html">Reference</a>'
            '<div id="search" role="search" hidden><input type="search" placeholder="Search  /" '
            'aria-label="Search the tutorials" autocomplete="off" spellcheck="false">'
            '<ul id="results" aria-label="Sections found"></ul></div></div></header>\n'
            f'<div class="frame{" two" if parts else ""}">\n{toc if parts else ""}'
            f'<main id="content" tabindex="-1">\n{body}\n{links if around else ""}'
            f"<footer>{foot}</footer>\n</main>\n</div>\n</body>\n</html>\n"
        )


def _contents(source: str, level: int) -> list[tuple[str, str]]:
    """Return (anchor, heading) of the headings of one level."""
    tokens = MARKDOWN.parse(source)
    return [
        (slug(text.content), text.content)
        for token, text in zip(tokens, tokens[1:])
        if token.type == "heading_open" and token.tag == f"h{level}"
    ]


def _code(heading: str) -> str:
    """A heading as HTML: its `code`, and nothing else of Markdown."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(heading))


def _plain(heading: str) -> str:
    return heading.replace("`", "")


def _fold(summary: str, *content: str) -> str:
    inside = "\n".join(content)
    return f'<details class="machinery"><summary>{summary}</summary>\n{inside}\n</details>'


def _options():
    from markdown_it.utils import OptionsDict

    return OptionsDict({**MARKDOWN.options, "highlight": _fence, "langPrefix": "language-"})


def _fence(code: str, language: str, _: str) -> str:
    lexer = PythonLexer() if language == "python" else TextLexer()
    block = _pre(highlight(code, lexer, _FORMATTER), "Code")
    # Left as it is only if it begins with <pre; what surrounds that is put there afterwards.
    return block.removeprefix('<div class="code">').removesuffix("</div>")


def _pre(html: str, label: str) -> str:
    """A block that scrolls inside itself, by keyboard too, and to which a button may be added."""
    block = f'<pre tabindex="0" role="region" aria-label="{escape(label)}"><code>{html}</code></pre>'
    return f'<div class="code">{block}</div>'


def _data_uri(file: Path) -> str:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def _colours() -> str:
    """Syntax colours for light pages, and for dark ones."""
    light = HtmlFormatter(style="friendly").get_style_defs("pre")
    dark = HtmlFormatter(style="github-dark").get_style_defs("pre")
    plain = re.compile(r"^pre \.\w+ \{.*", re.MULTILINE)  # token colours, not the page's
    return (
        "\n".join(plain.findall(light))
        + "\n@media (prefers-color-scheme: dark) {\n"
        + "\n".join(plain.findall(dark))
        + "\n}\n"
    )
