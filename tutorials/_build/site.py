"""The notebooks as one folder of HTML: no script, no font, no picture from anywhere else.

Claim    The pages read well on a phone (only code and tables scroll sideways), with the keyboard
         alone, in the dark and without a network; every local link leads to a page in the folder.
Differs  No nbconvert: a notebook here has five kinds of content, and one page of template shows
         them. Library files that a tutorial links to become pages of their own.
Proof    tests/tutorials/test_build.py; looked at in Chromium, 390 and 1280 pixels wide
"""

from __future__ import annotations

import base64
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

from _build.cells import MARKDOWN, Tutorial, TutorialError
from _build.rules import minutes, slug, title
from minift.files import atomic_write

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_FORMATTER = HtmlFormatter(nowrap=True)

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --page: #fff; --soft: #f4f4f1; --line: #d8d8d2;
  --link: #0b57a4; --quiet: #5c5c58; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4df; --page: #16181a; --soft: #202326;
  --line: #3a3e42; --link: #84bdf5; --quiet: #a2a29c; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); background: var(--page); overflow-wrap: break-word;
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main, nav, footer { max-width: 46rem; margin: 0 auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.25; margin: 2.2em 0 .6em; }
h1 { font-size: 1.9rem; margin-top: 1.2rem; }
h2 { font-size: 1.4rem; border-top: 1px solid var(--line); padding-top: 1.1em; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, pre:focus-visible, .wide:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--page); padding: .6rem 1rem; z-index: 1; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; padding-top: .8rem;
  padding-bottom: .8rem; }
nav .next { margin-left: auto; }
nav a { padding: .35rem 0; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { font-size: .9em; background: var(--soft); padding: .1em .3em; border-radius: 4px;
  overflow-wrap: anywhere; }
pre { font-size: .84rem; line-height: 1.5; background: var(--soft); border: 1px solid var(--line);
  border-radius: 6px; padding: .75rem .9rem; overflow-x: auto; margin: 1rem 0; tab-size: 4; }
pre code { background: none; padding: 0; font-size: inherit; overflow-wrap: normal; }
pre.output { background: none; border: 0; border-left: 3px solid var(--line); border-radius: 0;
  margin-top: -.4rem; color: var(--ink); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .95rem; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px;
  margin: 1rem 0; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--line); }
footer { color: var(--quiet); font-size: .9rem; padding-bottom: 3rem; }
"""


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
    shutil.rmtree(out, ignore_errors=True)
    for path, content in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content)
    atomic_write(out / "style.css", STYLE + _colours())
    return out / "index.html"


class _Site:
    """The pages, and the files that they ask for."""

    def __init__(self, tutorials: list[Tutorial], root: Path):
        self.tutorials, self.root = tutorials, root.resolve()
        self.repository = self.root.parent
        self.asked: set[Path] = set()
        self.done: set[Path] = set()

    def index(self) -> str:
        """The reading order."""
        text = (self.root / "README.md").read_text(encoding="utf-8")
        return self.page("minift: the tutorials", self.markdown(text, self.root, ""), "")

    def tutorial(self, number: int) -> str:
        """One notebook, with links to its neighbours."""
        tutorial = self.tutorials[number]
        parts = []
        for cell in tutorial.built().cells:
            if cell.cell_type == "markdown":
                parts.append(self.markdown(cell.source, tutorial.folder, ""))
            elif cell.source.strip():
                parts.append(_pre(highlight(cell.source, PythonLexer(), _FORMATTER), "Code"))
                parts += [_output(output, cell.metadata.get("alt", "")) for output in cell.outputs]
        links = ['<a href="index.html">All tutorials</a>']
        for step, word in ((-1, "Previous"), (1, "Next")):
            if 0 <= number + step < len(self.tutorials):
                other = self.tutorials[number + step]
                links.append(
                    f'<a class="{word.lower()}" rel="{word[:4].lower()}" href="{other.name}.html">'
                    f"{word}: {escape(title(other))}</a>"
                )
        read, run = minutes(tutorial)
        foot = (
            f"{read} minutes to read. To run it (about {run} min): "
            f"<code>tutorials/{tutorial.name}/tutorial.ipynb</code>"
        )
        return self.page(title(tutorial), "\n".join(parts), "", links, foot)

    def file(self, file: Path) -> str:
        """A file that a page links to: Markdown as text, all else as code."""
        name, up = file.relative_to(self.repository), "../" * (len(Path(self.page_of(file)).parts) - 1)
        text = file.read_text(encoding="utf-8", errors="replace")
        links = [f'<a href="{up}index.html">All tutorials</a>']
        if file.suffix == ".md":
            text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
            return self.page(str(name), self.markdown(text, file.parent, up), up, links)
        try:
            lexer = get_lexer_for_filename(file.name)
        except ClassNotFound:
            lexer = TextLexer()
        code = _pre(highlight(text, lexer, _FORMATTER), str(name))
        return self.page(str(name), f"<h1><code>{escape(str(name))}</code></h1>{code}", up, links)

    def page_of(self, file: Path) -> str:
        """Return the page of a file of the repository."""
        if file == self.root / "README.md":
            return "index.html"
        if file.parent.parent == self.root and file.name in ("tutorial.py", "tutorial.ipynb"):
            return f"{file.parent.name}.html"
        return f"source/{file.relative_to(self.repository).as_posix()}.html"

    def markdown(self, text: str, folder: Path, up: str) -> str:
        """Render Markdown; links to files lead to their pages."""
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

    def page(self, name: str, body: str, up: str, links: list[str] = (), foot: str = "") -> str:
        """Put a body into the frame that all pages have."""
        nav = f'<nav aria-label="Tutorials">{"".join(links)}</nav>' if links else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(name.replace('`', ''))}</title>\n"
            f'<link rel="stylesheet" href="{up}style.css">\n</head>\n<body>\n'
            f'<a class="skip" href="#content">Skip to the text</a>\n{nav}\n'
            f'<main id="content" tabindex="-1">\n{body}\n</main>\n{nav}\n'
            f"<footer>{foot}</footer>\n</body>\n</html>\n"
        )


def _options():
    from markdown_it.utils import OptionsDict

    return OptionsDict({**MARKDOWN.options, "highlight": _fence, "langPrefix": "language-"})


def _fence(code: str, language: str, _: str) -> str:
    lexer = PythonLexer() if language == "python" else TextLexer()
    return _pre(highlight(code, lexer, _FORMATTER), "Code")  # left as it is: begins with <pre


def _pre(html: str, label: str) -> str:
    """A block that scrolls inside itself, by keyboard too."""
    return f'<pre tabindex="0" role="region" aria-label="{escape(label)}"><code>{html}</code></pre>'


def _output(output, alt: str) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        picture = data["image/png"].replace("\n", "")
        return f'<img alt="{escape(alt)}" src="data:image/png;base64,{picture}">'
    text = output.get("text") or data.get("text/plain", "")
    if not text.strip():
        return ""
    text = escape(_ANSI.sub("", text.rstrip("\n")))
    return f'<pre class="output" tabindex="0" role="region" aria-label="Output">{text}</pre>'


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
