"""The tutorial builder.

claim                                                 oracle
building twice gives the same bytes, ids included     two builds of one source
a failing cell is named by its line                   tracebacks made on purpose; line counted
a failed build leaves the notebook as it was          bytes before and after
`check` finds each kind of offence, and only it       one offence a test; the clean tutorial passes
a page with something left to do is on its list only  a page with each lack, listed and not
a number with a band becomes the one measured         numbers by hand: digits, signs, units
an excerpt is a run of the library's lines            a made-up library, changed under the excerpt
a number is tied to what a cell measured              bands by hand: inside, outside, rounded
a PNG keeps its pixels and loses its comments         matplotlib's own reader; a comment put in
pages need nothing from elsewhere                     every src and href of the HTML
a hidden cell is folded, what it shows is not         the page's own folds
the search knows every section, where it stands       the headings; their anchors in the pages
the reference has every public name and no other      the names that minift/__init__.py imports `as`
the repository's tutorials pass                       `check` itself, whose rules fail above
the table of the heart in tutorial 00 is still true   lines counted in the source
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
sys.path.append(str(TUTORIALS))  # the builder is a script beside its tutorials, not a package

from _build import cells, execute, reading, rules, site  # noqa: E402
from tests.test_heart import heart  # noqa: E402

spec = importlib.util.spec_from_file_location("tutorials_build", TUTORIALS / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

LIBRARY = '''"""A library."""

RATES = {"full": 5e-5}


class Loop:
    """A loop."""

    def step(self, x):
        """Take a step."""
        y = x + 1
        z = y * 2
        return z
'''

SOURCE = """# %% [markdown]
# # A made-up tutorial
#
# **Claim.** Adding works.
#
# **Paper.** Nobody (2020).
#
# **Time.** 5 minutes to read, 1 minute to run on two cores.
#
# **Before this.** Nothing. See [the end](#limits) and [the library](../../library/loop.py).

# %% tags=["hide"]
from shared import measured

measured(gain=0.12345)

# %% [markdown]
# The gain is 0.12<!-- measured: gain 0.10 to 0.15 -->.
#
# ```python library/loop.py:Loop.step
#     y = x + 1
# ...
#     return z
# ```

# %% alt="a line that rises"
1 + 1

# %% [markdown]
# **Your turn.** Add.


# %%
def add(a, b):
    'Return the sum.'
    ...


check("01.add", add)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Use +.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def add(a, b):
#     return a + b
# ```
#
# </details>
#
# ## Limits
# ## Where this differs from the paper
# ## Summary
#
# - One.
# - Two.
# - Three.
# - Four.
#
# ## Questions
#
# 1. Why?
#
# <details><summary>Answer</summary>
#
# Because.
#
# </details>
#
# 2. Why not?
#
# <details><summary>Answer</summary>
#
# Because.
#
# </details>
#
# 3. When?
#
# <details><summary>Answer</summary>
#
# Now.
#
# </details>
#
# ## Further reading
"""

CASES = """from turns import Turn


def add(a, b):
    return a + b


TURNS = {"add": Turn(add, [(1, 2)])}
"""


class World:
    """A repository in `tmp_path` with one tutorial; its notebook is made without a kernel."""

    def __init__(self, root: Path, name: str = "01_first"):
        self.root, self.tutorials = root, root / "tutorials"
        self.tutorial = cells.Tutorial(self.tutorials / name)
        (root / "library").mkdir()
        (root / "library" / "loop.py").write_text(LIBRARY)
        self.tutorial.folder.mkdir(parents=True)
        (self.tutorial.folder / "your_turn.py").write_text(CASES)
        self.readme(f"| [First]({name}/tutorial.ipynb) | 5 | 1 | nothing |")
        self.write(SOURCE)

    def readme(self, *rows: str) -> None:
        head = "| tutorial | read | run | before |\n|---|---|---|---|\n"
        (self.tutorials / "README.md").write_text("# Tutorials\n\n" + head + "\n".join(rows) + "\n")

    def write(self, source: str, **outputs) -> None:
        """Write tutorial.py and the notebook that running it would give."""
        self.tutorial.source.write_text(source)
        notebook = nbformat.v4.new_notebook()
        count = 0
        for cell in self.tutorial.cells():
            made = execute._new_cell(cell)
            if cell.kind == "code":
                count += 1
                made.execution_count = count
                values = re.search(r"measured\((\w+)=([\d.]+)\)", cell.source)
                data = {rules.MIME: {values[1]: float(values[2])}} if values else {}
                data |= outputs.get(f"cell_{count}", {})
                if data:
                    made.outputs = [nbformat.v4.new_output("display_data", data)]
            notebook.cells.append(made)
        self.save(notebook)

    def replace(self, old: str, new: str) -> None:
        """Write the tutorial with one thing changed."""
        assert SOURCE.count(old) == 1
        self.write(SOURCE.replace(old, new))

    def save(self, notebook) -> None:
        nbformat.write(notebook, self.tutorial.notebook)

    def line(self, text: str) -> int:
        """Line of tutorial.py that holds `text`."""
        lines = self.tutorial.source.read_text().splitlines()
        return next(n for n, line in enumerate(lines, start=1) if text in line)

    def complaints(self) -> list[str]:
        return rules.check(self.tutorial, self.root)

    def only_complaint(self) -> str:
        found = self.complaints()
        assert len(found) == 1, found
        return found[0]


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    monkeypatch.setattr(reading, "TODO", {})
    return World(tmp_path)


# ---------------------------------------------------------------- check: sources and notebooks


def test_a_tutorial_without_offence_passes(world, capsys):
    assert world.complaints() == []
    assert build.main(["check"], world.tutorials) == 0
    assert "1 tutorials checked: nothing to fix" in capsys.readouterr().out


def test_the_first_cell_that_was_edited_in_the_notebook_is_named_by_its_line(world):
    notebook = world.tutorial.built()
    notebook.cells[2].source = "The gain is enormous."
    notebook.cells[3].source = "1 + 2"
    world.save(notebook)
    complaint = world.only_complaint()
    assert f"line {world.line('The gain is')} of tutorial.py: cell 3" in complaint
    assert "run 01_first" in complaint


@pytest.mark.parametrize("change", ["source", "alt", "fewer cells", "id"])
def test_any_difference_between_source_and_notebook_is_found(world, change):
    notebook = world.tutorial.built()
    if change == "source":
        world.tutorial.source.write_text(SOURCE.replace("Adding works", "Adding fails"))
    elif change == "alt":
        notebook.cells[3].metadata["alt"] = "another text"
    elif change == "fewer cells":
        notebook.cells.pop()
    else:
        notebook.cells[0]["id"] = "0" * 12
    world.save(notebook)
    assert "is another one in" in world.only_complaint() or "has 7 cells" in world.only_complaint()


def test_a_notebook_that_is_missing_or_damaged_is_said_so_with_the_command(world):
    world.tutorial.notebook.write_text("{")
    with pytest.raises(cells.TutorialError, match=r"cannot be read .*build\.py run 01_first"):
        world.complaints()
    world.tutorial.notebook.unlink()
    with pytest.raises(cells.TutorialError, match=r"no tutorial\.ipynb.*build\.py run 01_first"):
        world.complaints()


def test_a_cell_that_was_not_run_is_found(world):
    notebook = world.tutorial.built()
    notebook.cells[3].execution_count = None
    world.save(notebook)
    assert re.search(rf"line {world.line('1 + 1')} .* was not run", world.only_complaint())


def test_error_outputs_and_standard_error_are_found(world):
    notebook = world.tutorial.built()
    notebook.cells[3].outputs = [
        nbformat.v4.new_output("error", ename="KeyError", evalue="'x'", traceback=[])
    ]
    world.save(notebook)
    assert "ended in KeyError: 'x'" in world.only_complaint()
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", name="stderr", text="oh")]
    world.save(notebook)
    assert "standard error" in world.only_complaint()


def test_a_memory_address_is_refused_unless_the_cell_is_tagged(world):
    address = {"text/plain": "<object at 0x7f12ab34cd>"}
    world.write(SOURCE, cell_2=address)
    assert "memory address, 0x7f12ab34cd" in world.only_complaint()
    world.write(SOURCE.replace('alt="a', 'tags=["varies"] alt="a'), cell_2=address)
    assert world.complaints() == []


# ---------------------------------------------------------------- check: numbers


@pytest.mark.parametrize(
    "prose",
    [
        "0.10 to 0.15<!-- measured: gain -->",
        "10 to 15 %<!-- measured: gain -->",
        "-1 to 0.12345<!-- measured: gain -->",
        "0.123<!-- measured: gain -->",
        "0.12<!--measured: gain-->",
        "12 %<!-- measured: gain -->",
        "12.3 %<!-- measured: gain -->",
        "0.12<!-- measured: gain 0.10 to 0.15 -->",
        "12 %<!-- measured: gain 10 to 15 -->",
        "12.3 points<!-- measured: gain −1 to 15 -->",
        "0.9<!-- given -->",
        "`0.9`, section 5 of [a paper 1.2](https://example.org), 3,000 words",
    ],
)
def test_numbers_that_are_measured_rounded_or_given_pass(world, prose, monkeypatch):
    monkeypatch.setattr(reading, "bands_in_sight", lambda *_: ())  # pages still have them
    world.replace("0.12<!-- measured: gain 0.10 to 0.15 -->", prose)
    assert world.complaints() == []


@pytest.mark.parametrize(
    "prose, words",
    [
        ("0.12<!-- measured: gain 0.13 to 0.15 -->", "band 0.13 to 0.15 .* measured 0.12345"),
        ("0.13<!-- measured: gain 0.10 to 0.15 -->", "says 0.13 for gain.* measured 0.12345"),
        ("13 %<!-- measured: gain 10 to 15 -->", "says 13 % for gain.* measured 12.345 %"),
        ("12.4 points<!-- measured: gain 10 to 15 -->", "says 12.4 points .* 12.345 points"),
        ("0.13 to 0.15<!-- measured: gain -->", "says 0.13 to 0.15 for gain.* measured 0.12345"),
        ("13 to 20 %<!-- measured: gain -->", "says 13 to 20 % for gain.* measured 12.345 %"),
        ("−0.15 to −0.10<!-- measured: gain -->", "measured 0.12345"),
        ("0.13<!-- measured: gain -->", "says 0.13 for gain"),
        ("0.1235<!-- measured: gain -->", None),
        ("0.1234<!-- measured: gain -->", None),
        ("0.1236<!-- measured: gain -->", "says 0.1236 for gain"),
        ("0.1 to 0.2<!-- measured: grain -->", r"grain, which no cell measures \(gain\)"),
        ("0.12", "0.12 is not tied to anything"),
        ("12 %", "12 % is not tied to anything"),
        ("large<!-- measured: gain -->", "is not tied to anything"),
    ],
)
def test_numbers_outside_their_band_or_without_a_source_are_found(world, prose, words, monkeypatch):
    monkeypatch.setattr(reading, "bands_in_sight", lambda *_: ())  # pages still have them
    world.replace("0.12<!-- measured: gain 0.10 to 0.15 -->", prose)
    if words is None:  # half a unit of the last digit shown, either way
        assert world.complaints() == []
        return
    complaint = world.only_complaint()
    assert re.search(words, complaint)
    assert f"line {world.line('The gain is')} of" in complaint


@pytest.mark.parametrize(
    "text, after",
    [
        ("9 %<!-- measured: gain 10 to 15 -->", "12 %"),
        ("0.90<!-- measured: gain 0.1 to 0.15 -->", "0.12"),
        ("1.0 points<!-- measured: gain 1 to 15 -->", "12.3 points"),
        ("0.5<!-- measured: loss −1 to 0 -->", "−0.2"),
        ("5<!-- measured: loss −1 to 0 -->", "0"),
        ("7<!-- measured: count 1,000 to 3,000 -->", "2958"),
        ("1,000<!-- measured: count 1,000 to 3,000 -->", "2,958"),
        ("0.90<!-- measured: gain -->", "0.90"),  # no band: it must not vary
        ("0.90<!-- measured: gain 0.8 to 1 -->", "0.90"),  # outside: a person decides
        ("0.90<!-- measured: grain 0.1 to 0.15 -->", "0.90"),
    ],
)
def test_a_number_with_a_band_becomes_the_one_measured_to_as_many_digits(text, after):
    values = {"gain": {0.12345}, "loss": {-0.2345}, "count": {2957.7}}
    assert rules.renewed(f"It is {text}.", values) == f"It is {after}{text[text.index('<!') :]}."


def test_a_build_writes_the_measured_number_into_source_and_notebook(world):
    built = world.tutorial.built()
    world.tutorial.source.write_text(SOURCE.replace("0.12<!--", "0.14<!--"))
    execute.renew_text(world.tutorial)
    assert world.tutorial.source.read_text() == SOURCE
    assert world.tutorial.built().cells == built.cells and world.complaints() == []


def test_one_name_for_two_measurements_is_found(world):
    world.replace("1 + 1", "measured(gain=0.13)")
    assert any("gain is measured twice" in complaint for complaint in world.complaints())


def test_the_helper_publishes_what_the_check_reads_and_shows_it_to_the_reader(monkeypatch):
    import shared

    shown = []
    monkeypatch.setattr(shared, "display", lambda data, raw: shown.append(data))
    shared.measured(gain=0.123456789, count=2957954)
    cell = SimpleNamespace(get=lambda key, default: [{"data": shown[0]}])
    assert rules.published(SimpleNamespace(cells=[cell])) == {
        "gain": {0.123457},
        "count": {2957954},
    }
    assert shown[0]["text/plain"] == "measured: gain = 0.1235, count = 2,957,954"


# ---------------------------------------------------------------- check: excerpts


def test_a_changed_library_breaks_the_excerpt_and_the_line_is_named(world):
    library = world.root / "library" / "loop.py"
    library.write_text(LIBRARY.replace("y = x + 1", "y = x + 2"))
    complaint = world.only_complaint()
    assert "the excerpt of library/loop.py:Loop.step is not what the library says" in complaint
    assert "'y = x + 1'" in complaint


@pytest.mark.parametrize(
    "target, lines, words",
    [
        ("library/loop.py:RATES", ['RATES = {"full": 5e-5}'], None),
        ("library/loop.py", ["class Loop:", "..."], None),
        ("library/loop.py:Loop", ["def step(self, x):", '    """Take a step."""'], None),
        ("library/loop.py:Loop.step", ["return z", "...", "y = x + 1"], "'y = x + 1'"),
        ("library/loop.py:Loop.step", ["y = x + 1", "return z"], "'return z'"),
        ("library/loop.py:Loop.step", ["class Loop:"], "'class Loop:'"),
        ("library/loop.py:Loop.jump", ["y = x + 1"], "defines no Loop.jump"),
        ("library/leap.py:Loop", ["y = x + 1"], "there is no file library/leap.py"),
    ],
)
def test_an_excerpt_is_lines_of_the_named_thing_in_their_order(world, target, lines, words):
    fence = "\n".join(f"# {line}" for line in [f"```python {target}", *lines, "```"])
    start, end = SOURCE.index("# ```python"), SOURCE.index("# ```\n") + len("# ```")
    world.write(SOURCE[:start] + fence + SOURCE[end:])
    if words is None:
        assert world.complaints() == []
    else:
        assert words in world.only_complaint()


def test_a_fence_that_names_no_file_is_the_authors_own(world):
    world.replace("```python library/loop.py:Loop.step", "```python")
    assert world.complaints() == []


# ---------------------------------------------------------------- check: links, pictures, form


@pytest.mark.parametrize(
    "link, words",
    [
        ("[x](../02_later/tutorial.ipynb)", "link to ../02_later/tutorial.ipynb leads nowhere"),
        ("[x](#nowhere)", "no heading #nowhere"),
        ("![](plot.png)", "link to plot.png leads nowhere"),
        ("![](../../library/loop.py)", "needs words"),
        ('<img src="x.png">', "not <img>"),
    ],
)
def test_dead_links_and_pictures_without_words_are_found(world, link, words):
    world.replace("The gain is", f"{link} The gain is")
    assert any(words in complaint for complaint in world.complaints())


def test_a_plot_needs_an_alt_text(world):
    plot = {"image/png": "aaaa", "text/plain": "<Figure>"}
    world.write(SOURCE, cell_2=plot)
    assert world.complaints() == []
    world.write(SOURCE.replace(' alt="a line that rises"', ""), cell_2=plot)
    assert 'its header needs alt="' in world.only_complaint()


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("# # A made-up tutorial", "# A made-up tutorial", "lacks a title"),
        ("**Claim.**", "Claim:", r"lacks \*\*Claim"),
        ("5 minutes to read", "five minutes to read", r"lacks \*\*Time"),
        ("**Before this.**", "", r"lacks \*\*Before"),
        ("# ## Where this differs from the paper\n", "", "must be Limits, Where"),
        ("# ## Further reading\n", "", "must be Limits, Where .*, Summary, Questions, Further r"),
    ],
)
def test_the_head_and_the_end_that_every_tutorial_has_are_asked_for(world, old, new, words):
    world.replace(old, new)
    assert any(re.search(words, complaint) for complaint in world.complaints())


def test_a_tutorial_with_an_assignment_beside_it_must_end_with_a_link_there(world):
    (world.tutorial.folder / "assignment.md").touch()
    assert "must link to its assignment" in world.only_complaint()
    world.write(f"{SOURCE.rstrip()}\n#\n# **Assignment.** [Made up](assignment.md)\n")
    assert world.complaints() == []


def test_a_tutorial_without_a_paper_need_not_differ_from_it(world):
    source = SOURCE.replace("# **Paper.** Nobody (2020).\n", "")
    world.write(source.replace("# ## Where this differs from the paper\n", ""))
    assert world.complaints() == []


# ---------------------------------------------------------------- check: what readers need


FOLD = "# <details><summary>"
LONG = "".join(f"x = {n}\n" for n in range(26))


@pytest.mark.parametrize(
    "rule, old, new, words",
    [
        ("turns", "**Your turn.** Add", "Add", r"lacks \*\*Your turn"),
        ("turns", 'check("01.add", add)', "1", r"is not followed by a cell with check"),
        ("turns", 'check("01.add", add)', "1", "your_turn.py has add, which no cell checks"),
        ("turns", 'check("01.add", add)', "1", "asks nothing of the reader"),
        ("turns", '"01.add"', '"01.sum"', "the turn 01.sum lacks its cases in your_turn.py"),
        ("turns", "    ...\n", "    return a + b\n", "lacks its stub"),
        ("turns", f"{FOLD}Hint", f"{FOLD}Help", "lacks a folded hint"),
        ("turns", f"{FOLD}Solution", f"{FOLD}Answer", "lacks a folded solution"),
        ("turns", "# ```python\n# def add", "# ```\n# def add", "lacks a folded solution"),
        ("ending", "# - Four.\n", "", "must be a list of four lines, not 3"),
        ("ending", "# ## Summary\n", "# ### Summary\n", "has no section Summary"),
        ("ending", "# ## Questions\n", "# ### Questions\n", "has no section Questions"),
        ("ending", "# Now.\n#\n# </details>", "# Now.", "must be three"),
        ("cells", "1 + 1\n", LONG, "26 lines of code in one cell"),
        ("cells", "1 + 1\n", "import os, sys\n" * 6, "6 imports"),
        ("cells", ' tags=["hide"]', "", r"measured\(...\) is machinery"),
        ("cells", "1 + 1\n", 'import sys\nsys.path.append("..")\n', "sys.path.append"),
        ("numbers", "0.12<!-- measured: gain 0.10 to 0.15", "0.1 to 0.2<!-- measured: gain",
         "shows a band for gain; .*put the band into the comment"),
        ("minutes", "5 minutes to read", "15 minutes to read", "take 2 minutes to read, not 15"),
        ("minutes", "Adding works.", "Adding works. " * 7000, "over an hour"),
    ],
)  # fmt: skip
def test_what_a_page_lacks_is_found_and_excused_only_while_it_is_on_its_list(
    world, monkeypatch, rule, old, new, words
):
    world.replace(old, new)
    assert any(re.search(words, complaint) for complaint in world.complaints())
    monkeypatch.setattr(reading, "TODO", {rule: ("01",)})
    assert not any(re.search(words, complaint) for complaint in world.complaints())
    world.write(SOURCE)
    assert f"nothing is left to do under '{rule}'; take it off" in world.only_complaint()


def test_the_longest_cell_that_may_be_and_five_imports_pass(world):
    world.replace("1 + 1\n", LONG.removeprefix("x = 0\n"))
    assert world.complaints() == []
    world.replace("1 + 1\n", "import os, sys\n" * 5)
    assert world.complaints() == []


def test_words_and_lines_are_counted_where_a_reader_reads_them(world):
    words, lines = reading.counted(world.tutorial.cells())
    more = SOURCE.replace("Adding works", "Adding works [very well](http://example.org/a/b) indeed")
    more = more.replace("# Because.\n", "# Because nobody asked.\n")  # folded: not read by all
    more = more.replace("measured(gain=0.12345)", "a = 1\nmeasured(gain=0.12345)")  # hidden
    more = more.replace("1 + 1", "1 + 1\n\n2 + 2")
    world.tutorial.source.write_text(more)
    assert reading.counted(world.tutorial.cells()) == (words + 3, lines + 1)


def test_a_hidden_cell_is_collapsed_in_jupyter_but_not_what_it_shows(world):
    hidden = world.tutorial.built().cells[1].metadata
    assert hidden == {
        "tags": ["hide"],
        "jupyter": {"source_hidden": True, "outputs_hidden": True},
    }
    world.replace('# %% alt="a line', '# %% tags=["hide"] alt="a line')
    assert world.tutorial.built().cells[3].metadata["jupyter"] == {"source_hidden": True}
    world.replace('# %% alt="a line that rises"\n', '# %% tags=["hide"]\nprint(1)\n')
    assert world.tutorial.built().cells[3].metadata["jupyter"] == {"source_hidden": True}
    notebook = world.tutorial.built()
    del notebook.cells[3].metadata["jupyter"]
    world.save(notebook)
    assert "cell 4" in world.only_complaint()


def test_the_readme_lists_what_there_is_with_the_minutes_it_states(world):
    assert rules.check_readme(world.tutorials, [world.tutorial]) == []
    world.readme("| [First](01_first/tutorial.ipynb) | 6 | 1 | nothing |")
    (found,) = rules.check_readme(world.tutorials, [world.tutorial])
    assert "01_first takes 6 and 1 minutes, its own first cell says 5 and 1" in found
    world.readme("| [Second](02_later/tutorial.ipynb) | 5 | 1 | nothing |")
    found = rules.check_readme(world.tutorials, [world.tutorial])
    assert "leads nowhere" in found[0] and "lists 02_later; there are 01_first" in found[1]


# ---------------------------------------------------------------- sources and names


def test_header_keys_that_mean_nothing_are_refused(world):
    with pytest.raises(cells.TutorialError, match=r"line \d+ .*a cell has no alternative"):
        world.replace('alt="a', 'alternative="a')


def test_text_before_the_first_cell_is_refused(world):
    with pytest.raises(cells.TutorialError, match="the file must begin with one"):
        world.write("import os\n" + SOURCE)


def test_equal_cells_get_different_ids_that_depend_on_content_only(world):
    world.tutorial.source.write_text("# %%\n1\n\n# %%\n1\n\n# %%\n2\n")
    first = [cell.id for cell in world.tutorial.cells()]
    world.tutorial.source.write_text("# %%\n2\n\n# %%\n1\n\n# %%\n1\n")
    assert len(set(first)) == 3
    assert {cell.id for cell in world.tutorial.cells()} == set(first)


def test_a_name_that_fits_no_tutorial_is_answered_with_the_nearest(world, capsys):
    assert build.main(["check", "01_frist"], world.tutorials) == 1
    assert 'no tutorial "01_frist"; did you mean' in capsys.readouterr().err
    assert [t.name for t in cells.find(world.tutorials, ["01"])] == ["01_first"]


# ---------------------------------------------------------------- run


def test_a_build_is_executed_and_repeats_to_the_byte(world, capsys):
    source = (
        "# %% [markdown]\n# # Two cells\n\n# %%\nimport os, minift\nx = 6\nprint(os.getcwd()[-8:])"
        '\nprint(os.environ["OMP_NUM_THREADS"])\n\n# %% alt="a rising line"\n'
        "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1)).gca().plot([0, x])\nx * 7\n"
    )
    world.tutorial.source.write_text(source)
    assert build.main(["run", "01"], world.tutorials) == 0
    assert "changed" in capsys.readouterr().out
    before = world.tutorial.notebook.read_bytes()
    assert not execute.build(world.tutorial).changed
    assert world.tutorial.notebook.read_bytes() == before
    notebook = world.tutorial.built()
    printed, result, plot = notebook.cells[1].outputs + notebook.cells[2].outputs
    assert printed.text == "01_first\n2\n"
    assert result.data["text/plain"] == "42"
    assert plot.data["text/plain"] == plot.metadata["image/png"]["alt"] == "a rising line"
    assert b"timestamp" not in before and b"Software" not in before
    assert notebook.metadata.language_info == {"name": "python"}  # and not its version


def test_new_texts_keep_the_outputs_of_the_same_code_and_of_no_other(world, capsys):
    outputs = world.tutorial.built().cells[1].outputs
    world.tutorial.source.write_text(SOURCE.replace("Adding works", "Adding still works"))
    assert build.main(["run", "--text"], world.tutorials) == 0
    assert world.complaints() == []
    assert world.tutorial.built().cells[1].outputs == outputs
    before = world.tutorial.notebook.read_bytes()
    world.tutorial.source.write_text(SOURCE.replace("gain=0.12345", "gain=0.12346"))
    assert build.main(["run", "--text"], world.tutorials) == 1
    assert "its code has changed; run it without --text" in capsys.readouterr().err
    assert world.tutorial.notebook.read_bytes() == before


def test_a_failing_cell_is_named_by_its_line_and_the_old_notebook_stays(world, capsys):
    before = world.tutorial.notebook.read_bytes()
    world.tutorial.source.write_text("# %%\ndef f(x):\n    return {}[x]\n\n# %%\na = 1\nb = f(a)\n")
    assert build.main(["run"], world.tutorials) == 1
    assert "error: 01_first, line 7 of tutorial.py: KeyError: 1" in capsys.readouterr().err
    assert world.tutorial.notebook.read_bytes() == before


def test_a_notebook_that_takes_too_long_is_refused_unless_the_flag_lifts_it(world, monkeypatch):
    monkeypatch.setattr(execute, "_execute", lambda *_: None)
    clock = iter(range(0, 1000, 130))
    monkeypatch.setattr(execute.time, "perf_counter", lambda: next(clock))
    work = iter(range(0, 1000, 125))
    monkeypatch.setattr(os, "times", lambda: (0, 0, next(work), 0, 0))
    with pytest.raises(cells.TutorialError, match="took 130 s, 125 of processor time, more than 1"):
        execute.build(world.tutorial, 120)
    assert (
        execute.build(world.tutorial, 126).processor_seconds == 125
    )  # the clock of a busy machine
    assert execute.build(world.tutorial, None).seconds == 130


@pytest.mark.parametrize(
    "output, words",
    [
        (nbformat.v4.new_output("stream", name="stderr", text="a warning\n"), "'a warning'"),
        (
            nbformat.v4.new_output("stream", text=f"in {execute.REPOSITORY}/minift"),
            "names a folder here",
        ),
    ],
)
def test_what_only_this_machine_says_is_refused(world, output, words):
    notebook = world.tutorial.built()
    notebook.cells[1].outputs = [output]
    with pytest.raises(cells.TutorialError, match=f"cell at line 13 .*{words}"):
        execute._clean(notebook, world.tutorial.cells(), world.tutorial)


def test_a_bare_png_has_the_same_pixels_and_no_comment():
    import matplotlib.image
    from matplotlib.figure import Figure

    figure, file = Figure(figsize=(1, 1)), io.BytesIO()
    figure.subplots().plot([0, 1])
    figure.savefig(file, format="png", metadata={"Comment": "made on a Tuesday"})
    bare = execute.bare_png(file.getvalue())
    assert b"Tuesday" in file.getvalue() and b"Tuesday" not in bare and b"matplotlib" not in bare
    pixels = [matplotlib.image.imread(io.BytesIO(p)) for p in (file.getvalue(), bare)]
    assert np.array_equal(*pixels) and pixels[0].std() > 0


# ---------------------------------------------------------------- site


class Page(HTMLParser):
    """Everything a page points to, and its elements."""

    def __init__(self, file: Path):
        super().__init__()
        self.targets, self.tags = [], []
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.targets += [(tag, attrs[name]) for name in ("src", "href") if attrs.get(name)]


def test_the_site_needs_nothing_from_elsewhere_and_every_link_leads_somewhere(world):
    plot = {"image/png": "aaaa", "text/plain": "a line that rises"}
    world.write(SOURCE, cell_2=plot)
    assert build.main(["site"], world.tutorials) == 0
    pages = sorted((world.tutorials / "site").rglob("*.html"))
    names = [page.name for page in pages]
    assert names == ["01_first.html", "api.html", "index.html", "loop.py.html"]
    for file in pages:
        if file.name == "api.html":  # pdoc's, if it is installed
            continue
        page = Page(file)
        assert not {tag for tag, _ in page.tags} & {"iframe", "object"}
        for tag, target in page.targets:
            if tag != "a":
                assert not re.match(r"(https?:)?//", target), target
            if not re.match(r"https?:|data:", target):
                path, _, anchor = target.partition("#")
                other = (file.parent / path).resolve() if path else file
                assert other.is_file(), target
                there = Page(other) if anchor else None
                assert not anchor or anchor in [attrs.get("id") for _, attrs in there.tags], target
    script = (world.tutorials / "site" / "site.js").read_text()
    assert "//" not in re.sub(r"^\s*//.*|  // .*", "", script, flags=re.MULTILINE)  # no address
    assert not re.search(r"fetch\(|XMLHttp|import\(|eval\(|innerHTML", script)
    style = (world.tutorials / "site" / "style.css").read_text()
    assert "url(" not in style and "@import" not in style


def test_a_page_can_be_used_with_the_keyboard_and_read_aloud(world):
    world.write(SOURCE, cell_2={"image/png": "aaaa", "text/plain": "x"})
    site.write_site([world.tutorial], world.tutorials, world.tutorials / "site")
    page = Page(world.tutorials / "site" / "01_first.html")
    assert page.tags[0] == ("html", {"lang": "en", "data-up": ""})
    first_link = next(attrs for tag, attrs in page.tags if tag == "a")
    assert first_link == {"class": "skip", "href": "#content"}
    assert all(attrs.get("tabindex") == "0" for tag, attrs in page.tags if tag == "pre")
    (picture,) = [attrs for tag, attrs in page.tags if tag == "img"]
    assert picture["alt"] == "a line that rises"


def test_a_hidden_cell_and_its_numbers_are_folded_and_a_picture_is_not(world):
    source = SOURCE.replace('# %% alt="a line', '# %% tags=["hide"] alt="a line')
    numbers = {"text/plain": "measured: gain = 0.1235"}
    world.write(source, cell_1=numbers, cell_2={"image/png": "aaaa", "text/plain": "x"})
    site.write_site([world.tutorial], world.tutorials, world.tutorials / "site")
    text = (world.tutorials / "site" / "01_first.html").read_text()
    folds = re.findall(r"<details class=.machinery.>(.*?)</details>", text, re.DOTALL)
    assert len(folds) == 2
    assert "measured: gain = " in folds[0] and text.count("measured: gain = ") == 1
    assert "Measured numbers" in folds[0] and "measured</span>" in folds[0]
    assert "<summary>1 line of code</summary>" in folds[1] and "<img" not in folds[1]
    assert text.count("<img") == 1 and 'class="code turn"' in text
    (picture,) = (world.tutorials / "site" / "pictures").iterdir()
    assert picture.read_bytes() == base64.b64decode("aaaa") and picture.name in text


def test_the_search_knows_every_section_by_its_anchor_and_shows_no_markup(world):
    world.replace("# ## Limits\n", "# ## Limits of `this`\n#\n# A [word](x.md) <!-- given -->.\n")
    site.write_site([world.tutorial], world.tutorials, world.tutorials / "site")
    text = (world.tutorials / "site" / "search.js").read_text()
    sections = json.loads(text.removeprefix("window.SECTIONS = ").rstrip(";\n"))
    level_2 = [text for level, text in rules.headings(world.tutorial.cells()) if level == 2]
    assert [s["heading"] for s in sections] == [
        "A made-up tutorial",
        *(text.replace("`", "") for text in level_2),
    ]
    limits = next(s for s in sections if s["heading"] == "Limits of this")
    assert limits["text"].strip() == "A word ." and limits["url"] == "01_first.html#limits-of-this"
    page = Page(world.tutorials / "site" / "01_first.html")
    assert "limits-of-this" in [attrs.get("id") for _, attrs in page.tags]
    assert ("a", "#limits-of-this") in page.targets  # in the contents, too


def test_a_page_leads_to_its_assignment_and_back_and_to_its_neighbours(world):
    (world.tutorial.folder / "assignment.md").write_text("# Made up\n")
    second = cells.Tutorial(world.tutorials / "02_second")
    shutil.copytree(world.tutorial.folder, second.folder)
    out = world.tutorials / "site"
    site.write_site([world.tutorial, second], world.tutorials, out)
    first = Page(out / "01_first.html")
    assert ("a", "source/tutorials/01_first/assignment.md.html") in first.targets
    assert ("a", "02_second.html") in first.targets
    back = Page(out / "source" / "tutorials" / "01_first" / "assignment.md.html")
    assert ("a", "../../../01_first.html") in back.targets


def test_the_reference_has_every_public_name_or_says_how_to_get_it(monkeypatch):
    import minift
    from _build import reference

    names = reference.public_names()
    assert {"BertConfig", "train", "recipe", "fine_tune"} <= set(names)
    assert all(hasattr(minift, name) for name in names)
    asked = {}

    class Module:
        def __init__(self, module):
            asked["names"] = list(module.__all__)

    doc = SimpleNamespace(Module=Module)
    page = '<nav class="pdoc"></nav></body>'
    render = SimpleNamespace(configure=lambda **_: None, html_module=lambda *_, **__: page)
    pdoc = SimpleNamespace(doc=doc, render=render)
    for name, module in (("pdoc", pdoc), ("pdoc.doc", doc), ("pdoc.render", render)):
        monkeypatch.setitem(sys.modules, name, module)
    html = reference.reference(site._Site.page)
    assert asked["names"] == names and not hasattr(minift, "__all__")
    assert "index.html" in html and "prefers-color-scheme: dark" in html
    monkeypatch.setitem(sys.modules, "pdoc", None)  # not installed
    monkeypatch.setitem(sys.modules, "pdoc.doc", None)
    assert 'pip install -e ".[site]"' in reference.reference(site._Site.page)


def test_a_formula_is_typeset_or_shown_as_it_is_written(world, monkeypatch):
    world.replace(
        "# ## Limits\n", "# ## Limits\n#\n# $$\n# a_1 < b_2 \\\\ c\n# $$\n#\n# It costs 5 $.\n"
    )
    assert world.complaints() == []
    converter = SimpleNamespace(convert=lambda tex, display: f"<math>{display} {len(tex)}</math>")
    page, out = world.tutorials / "site" / "01_first.html", world.tutorials / "site"
    monkeypatch.setitem(sys.modules, "latex2mathml", SimpleNamespace(converter=converter))
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", converter)
    site.write_site([world.tutorial], world.tutorials, out)
    assert "<math>block 14</math>" in page.read_text() and "5 $." in page.read_text()
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", None)  # not installed
    site.write_site([world.tutorial], world.tutorials, out)
    assert r"a_1 &lt; b_2 \\ c</pre>" in page.read_text() and "set-aside" not in page.read_text()


def test_the_site_does_not_overwrite_a_folder_that_is_not_its_own(world):
    (world.root / "mine").mkdir()
    (world.root / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(cells.TutorialError, match="holds something else"):
        site.write_site([world.tutorial], world.tutorials, world.root / "mine")
    assert (world.root / "mine" / "thesis.txt").exists()


# ---------------------------------------------------------------- the repository's own


def test_the_tutorials_of_this_repository_pass_the_check(capsys):
    assert build.main(["check"]) == 0, capsys.readouterr().out


def test_the_table_of_the_heart_in_tutorial_00_names_its_files_and_their_lines():
    """Ten lines more or less in a file do not matter to a reader, and need no new notebook."""
    built = nbformat.read(TUTORIALS / "00_start_here" / "tutorial.ipynb", as_version=4)
    outputs = [output for cell in built.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    shown = {
        name: int(n) for n, name in re.findall(r"^ *(\d+) +\d+ +(\w+(?:/\w+)*)\.py ", text, re.M)
    }
    lines = {name.removeprefix("minift.").replace(".", "/"): n for name, n in heart().items()}
    assert shown.keys() == lines.keys()
    assert [name for name, n in lines.items() if abs(n - shown[name]) > 10] == []
