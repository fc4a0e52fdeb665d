"""The pages of the project: short in front, and nothing on them leads nowhere.

claim                                                     oracle
the front page is read to its end                         its lines are counted
a link leads to a file, and to a heading of it            the files
a command in a block is one that minift takes             its parser
README's own commands and its program do what they say    they are run, on `tiny` and six texts
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from minift.cli import main
from tests.conftest import REPOSITORY

FOLDERS = (".github", "minift", "tests", "tutorials")
PAGES = [REPOSITORY / "README.md"]
PAGES += sorted(page for name in FOLDERS for page in (REPOSITORY / name).rglob("*.md"))
NAMES = [str(page.relative_to(REPOSITORY)) for page in PAGES]


def front():
    return PAGES[0].read_text(encoding="utf-8")


def blocks(text):
    return re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def anchors(text):
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w -]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_the_front_page_has_at_most_140_lines():
    assert 50 < len(front().splitlines()) <= 140


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_each_link_of_a_page_leads_to_a_file_and_to_a_heading_of_it(page):
    text, wrong = page.read_text(encoding="utf-8"), []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if re.match(r"https?:", target):
            continue
        if not there.exists() or (anchor and anchor not in anchors(there.read_text("utf-8"))):
            wrong.append(target)
    assert wrong == []


def commands(text):
    """Yield the command lines of minift in the blocks of a page."""
    for block in blocks(text):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                found = re.match(r"\s*(?:\$ |torchrun .* -m )?minift (\w.*)", part)
                if found and "..." not in found[1]:
                    yield shlex.split(found[1], comments=True)


def test_each_command_in_a_block_of_a_page_is_one_that_minift_takes():
    every = [(name, words) for name, page in zip(NAMES, PAGES) for words in commands(
        page.read_text(encoding="utf-8"))]  # fmt: skip
    assert len(every) > 10
    for name, words in every:
        try:
            main.parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{name}: minift {shlex.join(words)}")
    with pytest.raises(SystemExit):  # the control
        main.parser().parse_args(["train", "--trane", "x.csv"])


@pytest.mark.slow
def test_the_commands_and_the_program_of_the_front_page_do_what_they_say(tmp_path):
    rows = [f"I {verb} this film,{label}\n" for verb, label in [
        ("love", "pos"), ("hate", "neg"), ("adore", "pos"), ("loathe", "neg"), ("like", "pos"),
        ("detest", "neg")]]  # fmt: skip
    for name in ("mine", "train", "dev", "test", "new"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    section = front().partition("## Your own labels")[2].partition("## Four doors")[0]
    shown, program = blocks(section)
    run = {"cwd": tmp_path, "capture_output": True, "text": True}
    for line in shown.replace("minilm", "tiny").splitlines():
        words = [sys.executable, "-m", *shlex.split(line)]
        done = subprocess.run(words, **run)
        assert done.returncode == 0, done.stderr
    answers = (tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()
    assert len(answers) == 1 + len(rows) and "label" in answers[0]
    program = program.replace("minilm", "tiny").replace("labels=300", "labels=4")
    program = program.replace("runs/mine", "runs/other")
    done = subprocess.run([sys.executable, "-c", program], **run)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if "this film" in line]) == len(rows)
