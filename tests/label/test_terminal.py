"""Labelling in the terminal: what was typed is in the ledger, and nothing else reaches the screen.

claim                                                        oracle
keys label, skip, undo and quit, the ledger says just that   the ledger, read anew
a session that ends in any way goes on with the same text    the ledger, a second session
through a real terminal: keys, undo, quit, come back,        a pseudo-terminal, the ledger
window closed
no control character of a text reaches the terminal          hypothesis; bytes of the terminal
entities are not asked for, and the error says what to do    error words
a class may be called as a command is                        the ledger, for each command
bytes that are no text lose no answer before them            the ledger
undo never takes back somebody else's answer                 the ledger
"""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minift.errors import MiniftError
from minift.label.ledger import open_ledger
from minift.label.project import load_project, read_state, start
from minift.label.terminal import class_keys, label, printable
from tests.tiny import checkpoint

ESCAPES = "good \x1b]0;owned\x07\x1b[2J\x1b[31m film \x9b5n \r\u202e\u2028 end"
TEXTS = [f"{word} film {number}" for number, word in enumerate(["good", "bad"] * 3)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def begin(encoder, folder, texts=TEXTS, labels=("pos", "neg"), task="classification", ask=None):
    """A project whose texts, or the first `ask`, wait in the order of the file."""
    pool = folder.with_suffix(".txt")
    pool.write_text("\n".join(texts) + "\n", encoding="utf-8", newline="\n")
    project = start(pool, labels, encoder, folder, task=task, format="text")[0]
    with open_ledger(project.ledger, project.ids, project.labels) as ledger:
        ids = project.ids[:ask]
        ledger.query(ids, [0.0] * len(ids), "random", 0, 1)
    return project


@pytest.fixture
def project(encoder, tmp_path):
    return begin(encoder, tmp_path / "proj")


def session(project, typed, by="ada"):
    """Answer with lines; return the tally and what was shown."""
    out = io.StringIO()
    tally = label(project.folder, by, stdin=io.StringIO(typed), stdout=out)
    return tally, out.getvalue()


def decisions(project):
    """All that was ever said, in order: (event, id, label, source)."""
    _, events, _ = read_state(project)
    kept = [e for e in events if e["event"] in ("label", "skip", "undo")]
    return [(e["event"], e["id"], e.get("label"), e["source"]) for e in kept]


def test_keys_label_skip_undo_and_quit_and_the_ledger_says_just_that(project):
    tally, shown = session(project, "1\n2\nn\nu\ns\nPOS\npos\nq\n1\n")
    assert decisions(project) == [
        ("label", "1", "pos", "ada"),
        ("label", "2", "neg", "ada"),
        ("label", "3", "neg", "ada"),
        ("undo", "3", None, "ada"),
        ("skip", "3", None, "ada"),
        ("label", "4", "pos", "ada"),
    ]
    assert (tally.labelled, tally.skipped, tally.waiting) == (3, 1, 2)
    assert "taken back: text 3 was neg" in shown
    assert (
        "'POS' is not an answer; 1/p pos  2/n neg" in shown
    )  # one key or the class as it is written
    assert shown.index("good film 0") < shown.index("bad film 1") < shown.index("good film 2")


def test_a_session_that_stops_goes_on_with_the_same_text_and_ends_when_none_waits(project):
    session(project, "1\n")  # the input ends
    _, shown = session(project, "2\n2\n2\n2\n2\n", by="ben")
    assert "text 1," not in shown and "--- text 2, 5 to go ---" in shown
    assert "No text waits any more." in shown
    assert load_and_read(project).labelled == {"1": "pos", **{str(n): "neg" for n in range(2, 7)}}
    with pytest.raises(MiniftError, match=r"no text waits .* minift active next "):
        session(project, "1\n")


def load_and_read(project):
    return read_state(load_project(project.folder))[0]


def test_ctrl_c_keeps_what_was_answered(project):
    class Interrupted(io.StringIO):
        def readline(self):
            if self.tell() == 4:
                raise KeyboardInterrupt
            return super().readline()

    tally = label(project.folder, "ada", stdin=Interrupted("1\n2\n1\n"), stdout=io.StringIO())
    assert tally.labelled == 2
    assert load_and_read(project).labelled == {"1": "pos", "2": "neg"}


def test_each_answer_is_on_the_disk_before_the_next_text_is_shown(project):
    class Watching(io.StringIO):
        seen: list[tuple[str, int]]

        def write(self, text):
            if text.startswith("\n--- text"):
                self.seen.append(len(read_state(project)[0].standing))
            return super().write(text)

    out = Watching()
    out.seen = []
    label(project.folder, "ada", stdin=io.StringIO("1\n2\ns\n"), stdout=out)
    assert out.seen == [0, 1, 2, 3]


def test_undo_never_takes_back_somebody_elses_answer(project):
    session(project, "1\n", by="ben")
    _, shown = session(project, "u\n2\nu\nu\nq\n", by="ada")
    assert shown.count("the latest answer is ben's, not ada's; it stays") == 2
    assert load_and_read(project).labelled == {"1": "pos"}


def test_undo_with_nothing_to_undo_says_so_and_asks_again(project):
    _, shown = session(project, "u\n1\n")
    assert "there is nothing to undo" in shown
    assert load_and_read(project).labelled == {"1": "pos"}


def test_one_can_undo_into_an_earlier_session(project):
    session(project, "1\n1\nq\n")
    _, shown = session(project, "u\nu\n2\nq\n")
    assert "taken back: text 2 was pos" in shown and "taken back: text 1 was pos" in shown
    assert load_and_read(project).labelled == {"1": "neg"}


@given(st.text(st.characters(), max_size=40))
def test_no_control_character_of_any_text_is_shown_and_no_letter_is_lost(text):
    shown = printable(text)
    for character in shown:
        assert (
            unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") or character in "\n\t"
        )
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    letters = [c for c in text if c.isalnum()]
    rest = iter(shown)
    assert all(letter in rest for letter in letters)  # in their order


def test_a_text_cannot_steer_the_terminal(encoder, tmp_path):
    project = begin(encoder, tmp_path / "proj", [ESCAPES, "bad film"])
    _, shown = session(project, "q\n")
    assert not set(shown) & set("\x1b\x07\x9b\r\u202e\u2028")
    assert r"\x1b]0;owned\x07\x1b[2J\x1b[31m film \x9b5n \r\u202e\u2028" in shown


def test_classes_get_numbers_and_the_letters_that_are_theirs_alone():
    assert class_keys(("pos", "neg")) == {"1": "pos", "2": "neg", "p": "pos", "n": "neg"}
    assert class_keys(("up", "stay", "Quit", "4ever", "neg", "neu")) == {
        "1": "up", "2": "stay", "3": "Quit", "4": "4ever", "5": "neg", "6": "neu",
    }  # fmt: skip


def test_a_number_is_no_key_of_another_class_where_classes_are_numbers(encoder, tmp_path):
    assert class_keys(("0", "1")) == {"0": "0", "1": "1"}
    assert class_keys(("2", "1", "other", "-1.5")) == {
        "2": "2", "1": "1", "-1.5": "-1.5", "o": "other",
    }  # fmt: skip
    project = begin(encoder, tmp_path / "proj", labels=("0", "1"))
    _, shown = session(project, "1\n0\n2\n1\nq\n")
    assert load_and_read(project).labelled == {"1": "1", "2": "0", "3": "1"}
    assert "0  1> " in shown and "'2' is not an answer" in shown
    words = begin(encoder, tmp_path / "more", labels=("10", "20"))
    _, shown = session(words, "20\n1\nq\n")
    assert load_and_read(words).labelled == {"1": "20"}


@pytest.mark.parametrize(
    ("labels", "mark"),
    [
        (("q", "neg"), ":"),
        (("pos", "U"), ":"),
        (("s", "?"), ":"),
        (("Skip", "keep"), ":"),
        (("q", ":s"), "::"),
        (("pos", "neg"), ""),
        (("quite", "under"), ""),
    ],
)
def test_commands_give_way_to_a_class_that_is_called_so(encoder, tmp_path, labels, mark):
    project = begin(encoder, tmp_path / "proj", labels=labels)
    one, two = labels
    _, shown = session(project, f"{one}\n{two}\n2\n{mark}u\n{mark}s\n{mark}?\n{mark}q\n1\n")
    assert decisions(project) == [
        ("label", "1", one, "ada"), ("label", "2", two, "ada"), ("label", "3", two, "ada"),
        ("undo", "3", None, "ada"), ("skip", "3", None, "ada"),
    ]  # fmt: skip
    assert shown.count(f"Also: {mark}u undo, {mark}s skip, {mark}q quit, {mark}? help") == 2
    assert ("because a class is called as a command is" in shown) == bool(mark)


@pytest.mark.parametrize("bad", [b"caf\xe9\n", "1\n".encode("utf-16")])
def test_a_line_that_is_not_utf8_ends_the_session_in_a_sentence_and_loses_nothing(project, bad):
    stdin = io.TextIOWrapper(io.BytesIO(b"1\n2\n" + bad + b"1\n1\n"), encoding="utf-8")
    with pytest.raises(MiniftError, match="is not utf-8; the answers before it are saved"):
        label(project.folder, "ada", stdin=stdin, stdout=io.StringIO())
    assert decisions(project) == [("label", "1", "pos", "ada"), ("label", "2", "neg", "ada")]


def test_more_than_nine_classes_are_answered_by_number_or_name(encoder, tmp_path):
    labels = [f"c{n}" for n in range(1, 13)]
    project = begin(encoder, tmp_path / "proj", labels=labels)
    session(project, "12\nc7\n13\n1\n")
    assert load_and_read(project).labelled == {"1": "c12", "2": "c7", "3": "c1"}


def test_entities_are_not_asked_for_here_and_the_error_says_where(encoder, tmp_path):
    project = begin(encoder, tmp_path / "proj", ["Ada saw Ben ."], ("PER", "LOC"), "tagging")
    with pytest.raises(MiniftError, match=r"mark entities .*batches, then: minift active import "):
        session(project, "\n")
    assert decisions(project) == []


class Terminal:
    """`minift active label` behind a pseudo-terminal of its own."""

    def __init__(self, folder):
        self.master, slave = pty.openpty()
        self.seen = b""
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, "-m", "minift", "active", "label", str(folder), "--by", "ada"]
        take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
        take += "os.execv(sys.argv[1], sys.argv[1:])"  # the terminal becomes its own
        self.process = subprocess.Popen(
            [sys.executable, "-c", take, *command],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)

    def expect(self, words: bytes) -> None:
        """Wait until `words` are shown, after all that was expected before."""
        until = time.monotonic() + 90
        while words not in self.seen:
            ready, _, _ = select.select([self.master], [], [], 0.1)
            if ready:
                self.seen += os.read(self.master, 4096)
            assert time.monotonic() < until, self.seen
        self.seen = self.seen.partition(words)[2]

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys + b"\n")

    def close(self) -> int:
        os.close(self.master)
        return self.process.wait(60)


def test_through_a_terminal_keys_count_once_and_a_closed_window_loses_nothing(encoder, tmp_path):
    project = begin(encoder, tmp_path / "proj", [ESCAPES, *TEXTS])
    one = Terminal(project.folder)
    one.expect(b"7 to go")
    shown = one.seen
    one.expect(b"2/n neg> ")
    assert not set(b"\x1b\x07\x9b") & set(shown)
    one.press(b"p")
    one.expect(b"6 to go")
    one.expect(b"neg> ")
    one.press(b"n")
    one.expect(b"5 to go")
    one.expect(b"neg> ")
    one.press(b"u")
    one.expect(b"taken back: text 2 was neg")
    one.expect(b"neg> ")
    one.press(b"x")
    one.expect(b"'x' is not an answer")
    one.expect(b"neg> ")
    one.press(b"1")
    one.expect(b"5 to go")
    one.expect(b"neg> ")
    one.press(b"q")
    one.expect(b"saved: 2 labels, 0 skipped")
    assert one.process.wait(60) == 0
    expected = [
        ("label", "1", "pos", "ada"),
        ("label", "2", "neg", "ada"),
        ("undo", "2", None, "ada"),
        ("label", "2", "pos", "ada"),
    ]
    assert decisions(project) == expected
    one.close()

    two = Terminal(project.folder)
    two.expect(b"5 to go")
    two.expect(b"neg> ")
    two.press(b"s")
    two.expect(b"4 to go")
    two.expect(b"neg> ")
    # The window is closed: by the signal, or, if the last words come first, they cannot be shown.
    assert two.close() in (0, 1, -signal.SIGHUP)
    assert decisions(project) == [*expected, ("skip", "3", None, "ada")]
    assert read_state(project)[2] == []
