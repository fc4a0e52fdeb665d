"""The ledger keeps every label, and knows where each text stands.

claim                                                        oracle
any interleaving keeps the four places disjoint, complete    a plain model of sets (hypothesis)
cut at any byte it replays to an earlier state               every length of the file
no label is ever rubbed out                                  the bytes of the file are a prefix
the latest of several labels counts, all are reported        by hand
undo takes back the latest decision, one after another       by hand, and the plain model
what does not fit is refused and changes nothing             bytes before and after
a ledger of another pool or other labels is refused          error words
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.errors import MiniftError
from minift.journal import encode, parse
from minift.label.ledger import open_ledger, replay

IDS = [f"t{i}" for i in range(8)]
LABELS = ("neg", "pos")


@pytest.fixture
def no_sync(monkeypatch):
    """For loops over every byte, where the disk would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def frozen(monkeypatch):
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    monkeypatch.setattr("minift.label.ledger.now", lambda: time)


def opened(path):
    return open_ledger(path, IDS, LABELS)


def places(state):
    return state.pool, state.waiting, state.skipped, state.labelled


def story(ledger):
    """A day's work."""
    ledger.query(["t3", "t1", "t5"], [0.5, 0.4, 0.3], "bald", seed=7, round=1)
    ledger.label("t3", "pos", "ada")
    ledger.skip("t1", "ada")
    ledger.label("t5", "neg", "ada")
    ledger.undo("ada")
    ledger.label("t3", "neg", "ben")
    ledger.query(["t0"], [0.1], "bald", seed=8, round=2)
    ledger.label("t1", "pos", "ben")


def test_the_story_leaves_each_text_where_it_should_be(tmp_path):
    with opened(tmp_path / "l") as ledger:
        story(ledger)
        assert places(ledger.state) == (
            ["t2", "t4", "t6", "t7"],
            ["t5", "t0"],
            [],
            {"t3": "neg", "t1": "pos"},
        )
        before = ledger.state
    with opened(tmp_path / "l") as ledger:
        assert ledger.state == before
        query = ledger.journal.events[1]
    assert query["strategy"] == "bald" and query["seed"] == 7 and query["round"] == 1
    assert query["scores"] == [0.5, 0.4, 0.3]
    assert query["time"] == "2026-01-02T03:04:05+00:00"


def test_several_labels_are_all_kept_the_latest_counts_and_they_are_reported(tmp_path):
    with opened(tmp_path / "l") as ledger:
        story(ledger)
        ledger.label("t1", "pos", "ada")  # the same label again is no conflict
        assert list(ledger.state.conflicts) == ["t3"]
        note = 'text \'t3\' has several labels: "pos" (ada), "neg" (ben); the last one counts'
        assert ledger.state.notes == [note]
        assert ledger.state.labelled["t3"] == "neg"
        said = [e["label"] for e in ledger.journal.events if e.get("id") == "t3" and "label" in e]
        assert said == ["pos", "neg"]


def test_cut_at_any_byte_it_replays_to_a_state_it_was_in(tmp_path, no_sync):
    with opened(tmp_path / "l") as ledger:
        story(ledger)
        events = list(ledger.journal.events)
    content = (tmp_path / "l").read_bytes()
    earlier = [places(replay(IDS, LABELS, events[:n], tmp_path)) for n in range(len(events) + 1)]
    path = tmp_path / "cut"
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        whole = len(parse(content[:cut])[0])
        with opened(path) as ledger:
            assert places(ledger.state) == earlier[whole]
            assert len(ledger.journal.events) == max(1, whole)  # an empty one is begun anew


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("query"), st.lists(st.sampled_from(IDS), max_size=3, unique=True)),
        st.tuples(st.just("label"), st.sampled_from(IDS), st.sampled_from(LABELS)),
        st.tuples(st.just("skip"), st.sampled_from(IDS)),
        st.tuples(st.just("undo")),
        st.tuples(st.just("reopen")),
    ),
    max_size=30,
)


class Plain:
    """What a ledger means, with nothing clever: the whole history, read again each time."""

    def __init__(self):
        self.queried, self.stack = [], []

    def do(self, kind, *rest) -> bool:
        latest = dict(self.stack)
        if kind == "query":
            if any(id in self.queried for id in rest[0]):
                return False
            self.queried += rest[0]
        elif kind == "label":
            if rest[0] not in self.queried:
                return False
            self.stack.append((rest[0], rest[1]))
        elif kind == "skip":
            if rest[0] not in self.queried or latest.get(rest[0]) is not None:
                return False
            self.stack.append((rest[0], None))
        elif kind == "undo":
            if not self.stack:
                return False
            self.stack.pop()
        return True

    def places(self):
        latest = dict(self.stack)
        return (
            {id for id in IDS if id not in self.queried},
            {id for id in self.queried if id not in latest},
            {id for id in latest if latest[id] is None},
            {id: label for id, label in latest.items() if label is not None},
        )


@settings(max_examples=80, deadline=None)
@given(OPERATIONS)
def test_any_interleaving_keeps_pool_waiting_skipped_and_labelled_disjoint_and_complete(operations):
    with tempfile.TemporaryDirectory() as folder:
        path, plain, content = Path(folder) / "l", Plain(), b""
        remaining = list(operations)
        while True:  # each turn is one process
            with opened(path) as ledger:
                while remaining and remaining[0][0] != "reopen":
                    _step(ledger, plain, remaining.pop(0))
                    now = path.read_bytes()
                    assert now.startswith(content)  # nothing is ever rubbed out
                    content = now
            if not remaining:
                break
            remaining.pop(0)
        with opened(path) as ledger:
            _compare(ledger.state, plain)


def _step(ledger, plain, operation):
    kind, *rest = operation
    act = {
        "query": lambda ids: ledger.query(ids, [0.0] * len(ids), "random", 0, 1),
        "label": lambda id, label: ledger.label(id, label, "me"),
        "skip": lambda id: ledger.skip(id, "me"),
        "undo": lambda: ledger.undo("me"),
    }[kind]
    before = ledger.journal.path.read_bytes()
    if plain.do(kind, *rest):
        act(*rest)
    else:
        with pytest.raises(MiniftError):
            act(*rest)
        assert ledger.journal.path.read_bytes() == before
    _compare(ledger.state, plain)


def _compare(state, plain):
    pool, waiting, skipped, labelled = places(state)
    found = [*pool, *waiting, *skipped, *labelled]
    assert sorted(found) == sorted(IDS)  # disjoint and complete
    assert (set(pool), set(waiting), set(skipped), labelled) == plain.places()


def test_undo_takes_back_one_decision_after_another_down_to_none(tmp_path):
    with opened(tmp_path / "l") as ledger:
        ledger.query(["t0", "t1"], [0, 0], "random", 0, 1)
        ledger.skip("t0", "me")
        ledger.label("t0", "pos", "me")
        ledger.label("t0", "neg", "me")
        assert ledger.undo("me").label == "neg"
        assert ledger.state.labelled == {"t0": "pos"}
        assert ledger.undo("me").label == "pos"
        assert ledger.state.skipped == ["t0"]
        assert ledger.undo("me").label is None
        assert ledger.state.waiting == ["t0", "t1"]
        with pytest.raises(MiniftError, match="nothing to undo"):
            ledger.undo("me")
        assert b'"neg"' in (tmp_path / "l").read_bytes()  # said once, kept for ever


@pytest.mark.parametrize(
    "act,words",
    [
        (lambda x: x.label("t9", "pos", "me"), r"text 't9' is not in the pool of 8 texts"),
        (lambda x: x.label("t2", "pos", "me"), r"text 't2' was never asked for"),
        (
            lambda x: x.label("t0", "poss", "me"),
            r"label of text 't0': \"poss\"; .*did you mean \"pos\"\?",
        ),
        (lambda x: x.label("t0", [], "me"), r"\[\] is not a label"),
        (lambda x: x.label("t0", ["pos", "B"], "me"), r"unknown label of text 't0': \"B\""),
        (lambda x: x.label("t0", None, "me"), r"None is not a label"),
        (lambda x: x.skip("t1", "me"), r"text 't1' is labelled 'pos'; undo that to skip it"),
        (lambda x: x.query(["t0"], [0], "bald", 0, 1), r"'t0' was already asked for, in round 4"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path, act, words):
    with opened(tmp_path / "l") as ledger:
        ledger.query(["t0", "t1"], [0, 0], "random", 0, round=4)
        ledger.label("t1", "pos", "me")
        before, state = (tmp_path / "l").read_bytes(), places(ledger.state)
        with pytest.raises(MiniftError, match=words):
            act(ledger)
        assert (tmp_path / "l").read_bytes() == before
        assert places(ledger.state) == state


def test_a_sentence_is_labelled_with_a_tag_for_each_word(tmp_path):
    with opened(tmp_path / "l") as ledger:
        ledger.query(["t0"], [0], "random", 0, 1)
        ledger.label("t0", ["neg", "pos"], "me")
    with opened(tmp_path / "l") as ledger:
        assert ledger.state.labelled == {"t0": ["neg", "pos"]}


@pytest.mark.parametrize(
    "ids,labels,words",
    [
        (IDS, ("neg", "positive"), "its labels is"),
        (IDS[1:], LABELS, "its texts is 8, here it is 7"),
        ([*IDS[:-1], "t8"], LABELS, "its pool is"),
        (IDS[::-1], LABELS, "its pool is"),
    ],
)
def test_a_ledger_of_another_pool_is_refused(tmp_path, ids, labels, words):
    with opened(tmp_path / "l"):
        pass
    before = (tmp_path / "l").read_bytes()
    with pytest.raises(MiniftError, match=words), open_ledger(tmp_path / "l", ids, labels):
        pass
    assert (tmp_path / "l").read_bytes() == before


def test_an_event_that_does_not_fit_its_ledger_is_named(tmp_path):
    with opened(tmp_path / "l") as ledger:
        story(ledger)
    with (tmp_path / "l").open("ab") as file:
        file.write(encode({"n": 10, "event": "label", "id": "t7", "label": "pos", "source": "x"}))
    with pytest.raises(MiniftError, match="event 10 does not fit: text 't7' was never asked for"):
        opened(tmp_path / "l").__enter__()


def test_with_a_line_given_up_as_lost_the_labels_after_it_still_stand(tmp_path):
    with opened(tmp_path / "l") as ledger:
        story(ledger)
    lines = (tmp_path / "l").read_bytes().splitlines(keepends=True)
    lines[1] = b'{"n": 2, "event": "lost"}\n'  # the first query
    (tmp_path / "l").write_bytes(b"".join(lines))
    with opened(tmp_path / "l") as ledger:
        assert ledger.state.labelled == {"t3": "neg", "t1": "pos"}
        assert sorted([*ledger.state.pool, *ledger.state.waiting]) == [
            "t0", "t2", "t4", "t5", "t6", "t7",
        ]  # fmt: skip
