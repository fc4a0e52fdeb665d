"""The reference of minift's public names, made from their docstrings by pdoc.

Claim    Every name that minift/__init__.py makes public is on the page, and no other; where pdoc is
         not installed, the page says how to get it.
Proof    tests/tutorials/test_build.py
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import minift

INSTALL = 'pip install -e ".[site]"'
_DARK = """<style>
.pdoc-code { overflow-wrap: anywhere; }
nav.pdoc > div > a.home { display: block; padding: 1rem 0 0; color: var(--link); }
@media (prefers-color-scheme: dark) {
  :root { color-scheme: dark; }
  :root, .pdoc { --pdoc-background: #16181a; --text: #e4e4df; --muted: #a6a6a0;
    --link: #84bdf5; --link-hover: #b9dbfb; --code: #1f2225; --active: #33415a; --accent: #1f2225;
    --accent2: #3a3e42; --nav-hover: #2a2e32; --name: #84bdf5; --def: #7ee0a6;
    --annotation: #7ccfcf; }
  html, body, main { background: #16181a; color: #e4e4df; }
  .pdoc .pdoc-code span { color: #d6d6d0; }
  .pdoc .pdoc-code .name { color: #84bdf5; }
  .pdoc .pdoc-code .annotation, .pdoc .pdoc-code .annotation span { color: #7ccfcf; }
}
</style>
"""
_HOME = '<div><a class="home" href="index.html">← All tutorials</a></div>'


def public_names() -> list[str]:
    """Return what minift/__init__.py imports `as` the same name, which is what makes it public."""
    tree = ast.parse(Path(minift.__file__).read_text(encoding="utf-8"))
    return [
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]


def reference(page: Callable[..., str]) -> str:
    """Return the HTML of the reference; `page` frames the page that says that there is none."""
    try:
        import pdoc.doc
        import pdoc.render
    except ModuleNotFoundError:
        body = (
            "<h1>Reference</h1><p>The reference of minift's public names is made from their "
            "docstrings by <a href='https://pdoc.dev'>pdoc</a>, which was not installed when these "
            f"pages were written. To have it here: <code>{INSTALL}</code>, then "
            "<code>python tutorials/build.py site</code>.</p>"
        )
        return page("minift: reference", body)
    listed = getattr(minift, "__all__", None)
    minift.__all__ = public_names()  # pdoc takes no name that is imported, unless it stands there
    try:
        pdoc.render.configure(docformat="google", show_source=False, search=False)
        module = pdoc.doc.Module(minift)
        html = pdoc.render.html_module(module, all_modules={"minift": module})
    finally:
        if listed is None:
            del minift.__all__
        else:
            minift.__all__ = listed
    html = html.replace('<nav class="pdoc">', f'<nav class="pdoc">{_HOME}', 1)
    return html.replace("</body>", f"{_DARK}</body>", 1)  # behind pdoc's own styles
