"""Reports: whatever stands in names, texts and labels stays text.

claim                                                        oracle
hostile names add no element and no attribute to a report    html.parser: those of the same report
                                                             with harmless names; names read back
nothing of them runs in a browser                            Chromium, and a page that does run it
Markdown reports hold no HTML of theirs either               every "<" has a backslash before it
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser

import pytest

from minift.active.curves import page as study_page
from minift.compare.page import html, markdown
from minift.compare.report import page as comparison_page
from tests.active import test_curves
from tests.compare import test_report

RUNS = "document.documentElement.dataset.ran='yes'"
HOSTILE = [
    f"<script>{RUNS}</script>",
    f"</script><script>{RUNS}</script>",
    f"</title></style></svg><script>{RUNS}</script>",
    f'" onload="{RUNS}" x="',
    f"' onmouseover='{RUNS}'",
    f"<img src=x onerror={RUNS}>",
    f"<svg/onload={RUNS}>",
    f'<a href="javascript:{RUNS}">a</a>',
    f"--><iframe srcdoc='<script>parent.{RUNS}</script>'>",
    f"<details open ontoggle={RUNS}>",
    f"&lt;script&gt;{RUNS}&lt;/script&gt; &#60;b&#62;",
    f"{{{{constructor.constructor('{RUNS}')()}}}} ]]> <![CDATA[",
]


class Parts(HTMLParser):
    """Counts elements and attributes, and keeps what is text."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: Counter = Counter()
        self.attributes: Counter = Counter()
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements[tag] += 1
        for name, value in attributes:
            self.attributes[tag, name] += 1
            assert not name.startswith("on")
            assert name not in ("href", "src", "srcdoc", "xlink:href")
            assert "javascript" not in (value or "") or name in ("aria-label", "content")

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data):
        self.texts.append(data)


def comparison(evil: str):
    """A comparison in which a stranger named all that can be named."""
    runs = [test_report.run(m, s, 0.5 + s / 9, note=evil, machine=evil, stopped=evil)
            for m in ("full", evil) for s in (0, 1, 2)]  # fmt: skip
    made = test_report.made(runs, data=evil, encoder=evil, notes=(evil,), command=evil, metric=evil,
                            reporting=evil, selection=evil)  # fmt: skip
    return comparison_page(made)


def simulation(evil: str):
    """The same for a simulation: strategies, data, model and missing classes."""
    rounds = test_curves.made({"random": lambda n: 0, evil: lambda n: 0.01}, points=3)
    for record in rounds:
        record["missing"] = [evil] if record["round"] == 0 else []
    return study_page(test_curves.of(rounds, data=evil, encoder=evil, method=evil, head=evil))


@pytest.mark.parametrize("blocks", [comparison, simulation])
@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_names_add_no_element_and_no_attribute(blocks, evil):
    hostile, harmless = Parts(html(blocks(evil))), Parts(html(blocks("1 plain name")))
    assert hostile.elements == harmless.elements
    assert hostile.attributes == harmless.attributes
    assert "script" not in hostile.elements
    # ... and they are there to be read
    shown = sum("1 plain name" in text for text in harmless.texts)
    assert sum(evil in text for text in hostile.texts) == shown >= 3


def test_the_parser_sees_what_is_not_escaped():
    """The negative control."""
    escaped = html(comparison(HOSTILE[0]))
    page = escaped.replace("&lt;script&gt;", "<script>", 1)
    assert page != escaped
    assert Parts(page).elements["script"] == 1
    with pytest.raises(AssertionError):
        Parts('<p onclick="x">')


@pytest.mark.parametrize("blocks", [comparison, simulation])
@pytest.mark.parametrize("evil", HOSTILE)
def test_markdown_reports_hold_no_html_of_theirs(blocks, evil):
    text = markdown(blocks(evil))
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)<", prose)


@pytest.mark.slow
def test_nothing_runs_in_a_browser(tmp_path):
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium")

    def ran(page: str) -> bool:
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                   "--virtual-time-budget=2000", f"--user-data-dir={tmp_path / 'profile'}",
                   (tmp_path / "page.html").as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "</html>" in done.stdout, done.stderr[-2000:]
        return "data-ran=" in done.stdout

    bodies = [html(blocks(" ".join(HOSTILE))) for blocks in (comparison, simulation)]
    assert not any(map(ran, bodies))
    for evil in (HOSTILE[0], HOSTILE[5], HOSTILE[6]):  # negative control: it would, unescaped
        assert ran(f"<!DOCTYPE html><html><body>{evil}</body></html>")
