"""Formulas on the site: TeX between lines of $$, as Jupyter and GitHub read it, becomes MathML.

Claim    A formula is typeset by the browser itself, without a script or a font from elsewhere; where
         latex2mathml is not installed, its TeX is shown.
Proof    tests/tutorials/test_build.py
"""

from __future__ import annotations

import re
from html import escape

_FORMULA = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)


def set_aside(text: str) -> tuple[str, list[str]]:
    """Return a text with a mark in the place of each formula, and the formulas.

    Markdown would take their underscores for emphasis.
    """
    formulas: list[str] = []

    def mark(found: re.Match) -> str:
        formulas.append(found[1])
        return f"formula-{len(formulas) - 1}-set-aside"

    return _FORMULA.sub(mark, text), formulas


def typeset(html: str, formulas: list[str]) -> str:
    """Put the formulas back in the place of their marks."""
    for number, formula in enumerate(formulas):
        html = html.replace(f"<p>formula-{number}-set-aside</p>", _mathml(formula), 1)
    return html


def _mathml(formula: str) -> str:
    try:
        from latex2mathml.converter import convert
    except ModuleNotFoundError:
        return f'<pre tabindex="0" role="region" aria-label="Formula">{escape(formula)}</pre>'
    label = escape(" ".join(formula.split()))
    math = convert(formula, display="block")
    return f'<div class="wide" tabindex="0" role="region" aria-label="Formula: {label}">{math}</div>'
