"""A journal gives back what it was given, whatever happens to its process or its file.

claim                                                        oracle
cut at any byte it gives back a prefix of its events         every length of the file, one by one
an event is on the disk before `append` returns              fsync, and the bytes at its time
a cut last line is cut away, reported, and written over      the bytes of the file
any other damaged line is named, and nothing is changed      every byte flipped, one by one
a line of the kind "lost" stands in for a damaged one        the other events
a second process is refused by name                          a second process
what another program writes is never written over            bytes before and after
a full disk leaves the file as it was                        a file that stops taking bytes
a killed writer loses no event it had acknowledged           kill -9 of a writing process
a log cut at any byte gives back its whole lines             every length of the file, one by one
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from minift.errors import MiniftError
from minift.journal import append_log, decode, encode, open_journal, parse, read_log

EVENTS = [
    {"event": "start", "labels": ["a", "ö"]},
    {"event": "query", "ids": ["1", 'two "quoted"', "line\nbreak"], "scores": [0.5, 1e-300, 0.1]},
    {"event": "label", "id": "\u2028", "label": 'x", "check": "'},
]


def write(path, events=EVENTS):
    with open_journal(path) as journal:
        for event in events:
            journal.append(event)
    return path.read_bytes()


def numbered(events):
    return [{"n": n, **event} for n, event in enumerate(events, 1)]


def open_and_close(path):
    with open_journal(path):
        pass


@pytest.fixture
def no_sync(monkeypatch):
    """For loops over every byte, where the disk would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_every_event_comes_back_as_it_was(tmp_path):
    content = write(tmp_path / "j")
    assert content.count(b"\n") == len(EVENTS)
    for line in content.splitlines():
        assert json.loads(line)["n"] > 0  # anybody can read it
    with open_journal(tmp_path / "j") as journal:
        assert journal.events == numbered(EVENTS)
        assert journal.notes == []


def test_cut_at_any_byte_it_gives_back_a_prefix_and_can_be_written_on(tmp_path, no_sync):
    content, events = write(tmp_path / "whole"), numbered(EVENTS)
    path = tmp_path / "cut"
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        complete = sum(end - 1 <= cut for end in ends)  # the end of line itself may be missing
        torn = cut not in (0, *ends) and cut + 1 not in ends
        with open_journal(path) as journal:
            assert journal.events == events[:complete]
            assert len(journal.notes) == torn
            if torn:
                start = max([0, *(end for end in ends if end <= cut)])
                shown = content[start:cut].decode(errors="backslashreplace")
                assert journal.notes[0].endswith(f"does not count: {shown}")
            journal.append({"event": "next"})
        with open_journal(path) as journal:
            assert journal.events[:-1] == events[:complete]
            assert journal.events[-1]["event"] == "next"
            assert journal.notes == []


def test_a_flipped_byte_in_any_line_is_named_and_nothing_is_changed(tmp_path, no_sync):
    content = write(tmp_path / "whole")
    path = tmp_path / "damaged"
    line = 1
    for at, byte in enumerate(content[:-1]):
        damaged = content[:at] + bytes([byte ^ 1]) + content[at + 1 :]
        path.write_bytes(damaged)
        last = content.find(b"\n", at) == len(content) - 1
        if byte == 10 and last:
            continue
        with pytest.raises(MiniftError, match=rf"line {line} is damaged: .* from a backup"):
            open_and_close(path)
        assert path.read_bytes() == damaged
        line += byte == 10


@pytest.mark.parametrize("change", ["repeat", "remove", "swap"])
def test_a_repeated_missing_or_moved_line_is_named(tmp_path, change):
    events = [{"event": "label", "id": str(i)} for i in range(4)]
    lines = write(tmp_path / "j", events).splitlines(keepends=True)
    changed = {
        "repeat": [*lines[:2], lines[1], *lines[2:]],
        "remove": [lines[0], *lines[2:]],
        "swap": [lines[0], lines[2], lines[1], lines[3]],
    }[change]
    (tmp_path / "j").write_bytes(b"".join(changed))
    number = {"repeat": 3, "remove": 2, "swap": 2}[change]
    with pytest.raises(MiniftError, match=rf'line {number} is damaged: its "n" is \d; a line is'):
        open_and_close(tmp_path / "j")


def test_a_line_marked_as_lost_lets_all_others_count_as_the_message_says(tmp_path):
    events = [{"event": "label", "id": str(i)} for i in range(4)]
    lines = write(tmp_path / "j", events).splitlines(keepends=True)
    lines[1] = b"\0\0 garbage\n"
    (tmp_path / "j").write_bytes(b"".join(lines))
    with pytest.raises(MiniftError, match=r'write \{"n": 2, "event": "lost"\} in its place'):
        open_and_close(tmp_path / "j")
    lines[1] = b'{"n": 2, "event": "lost"}\n'
    (tmp_path / "j").write_bytes(b"".join(lines))
    with open_journal(tmp_path / "j") as journal:
        assert [e.get("id") for e in journal.events] == ["0", None, "2", "3"]


def test_zeros_after_a_power_cut_are_a_torn_line(tmp_path):
    content = write(tmp_path / "j", EVENTS[:1])
    (tmp_path / "j").write_bytes(content + b"\0" * 40)
    with open_journal(tmp_path / "j") as journal:
        assert len(journal.events) == 1
        assert "was cut off" in journal.notes[0]
    assert (tmp_path / "j").read_bytes() == content


def test_encode_and_decode_are_inverse_and_decode_refuses_what_is_not_an_event():
    assert decode(encode({"n": 1, "id": "ä"})[:-1]) == {"n": 1, "id": "ä"}
    for line in (b"", b"[]", b"3", b'{"n": 1}', b'{"n": 1, "check": "00000000"}', b"\xff"):
        with pytest.raises(ValueError):
            decode(line)
    assert parse(b"") == ([], b"")


def test_an_event_is_on_the_disk_before_append_returns(tmp_path, monkeypatch):
    synced = []
    path = tmp_path / "j"
    with open_journal(path) as journal:
        monkeypatch.setattr(
            os, "fsync", lambda d: synced.append((d == journal.file.fileno(), path.read_bytes()))
        )
        journal.append({"event": "start"})
        assert synced == [(True, encode({"n": 1, "event": "start"}))]  # written, then synced


HOLDER = """
import sys, time
from minift.journal import open_journal
with open_journal(sys.argv[1]) as journal:
    print("open", flush=True)
    n = 0
    while True:
        if sys.argv[2] == "write":
            n += 1
            journal.append({"event": "label", "id": str(n)})
            print(n, flush=True)
        else:
            time.sleep(60)
"""


def holder(path, what):
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), what], stdout=subprocess.PIPE, text=True
    )


def test_a_second_process_is_refused_by_name_until_the_first_is_gone(tmp_path):
    process = holder(tmp_path / "j", "wait")
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(MiniftError, match=rf"is in use by process {process.pid} on \S+; wait"):
            open_and_close(tmp_path / "j")
    finally:
        process.kill()
        process.communicate()
    with open_journal(tmp_path / "j") as journal:  # its lock went with it
        journal.append({"event": "start"})


def test_the_same_process_cannot_open_it_twice_either(tmp_path):
    opened, again = open_journal(tmp_path / "j"), open_journal(tmp_path / "j")
    with opened, pytest.raises(MiniftError, match=f"in use by process {os.getpid()}"):
        again.__enter__()


def test_a_writer_killed_at_any_moment_loses_nothing_it_had_acknowledged(tmp_path):
    for lines in (1, 20, 57):
        acknowledged = 0
        process = holder(tmp_path / f"j{lines}", "write")
        for line in process.stdout:
            if line.strip().isdigit():
                acknowledged = int(line)
            if acknowledged >= lines:
                break
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        acknowledged = int(rest[-1]) if rest and rest[-1].isdigit() else acknowledged
        with open_journal(tmp_path / f"j{lines}") as journal:
            ids = [event["id"] for event in journal.events]
        assert ids == [str(i + 1) for i in range(len(ids))]
        assert len(ids) >= acknowledged - 1  # the last number itself may have been cut


@pytest.mark.parametrize("how", ["append", "replace", "remove"])
def test_what_another_program_wrote_meanwhile_is_not_written_over(tmp_path, how):
    path = tmp_path / "j"
    with open_journal(path) as journal:
        journal.append({"event": "start"})
        if how == "append":
            path.write_bytes(path.read_bytes() + b"something\n")
        elif how == "replace":
            (tmp_path / "new").write_bytes(path.read_bytes())
            (tmp_path / "new").replace(path)
        else:
            path.unlink()
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(MiniftError, match="changed by another program"):
            journal.append({"event": "label"})
        assert (path.read_bytes() if path.exists() else None) == before
        assert len(journal.events) == 1


def test_a_journal_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "file" / "j"):
        with pytest.raises(MiniftError, match=f"cannot write {path}: "):
            open_and_close(path)


class Full:
    """A file on a disk that has room for a few more bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        written = self.file.write(data[: self.room])
        self.room -= written
        return written

    def fileno(self):
        return self.file.fileno()


def test_a_full_disk_leaves_the_file_as_it_was_and_says_what_is_not_saved(tmp_path):
    with open_journal(tmp_path / "j") as journal:
        journal.append({"event": "start"})
        before = (tmp_path / "j").read_bytes()
        real, journal.file = journal.file, Full(journal.file, 11)
        with pytest.raises(MiniftError, match=r"No space left.*this label is not saved"):
            journal.append({"event": "label", "id": "1"})
        assert (tmp_path / "j").read_bytes() == before
        journal.file = real  # somebody made room
        assert journal.append({"event": "label", "id": "1"})["n"] == 2
    with open_journal(tmp_path / "j") as journal:
        assert [event["n"] for event in journal.events] == [1, 2]
        assert journal.notes == []


# --- logs: plain lines ---------------------------------------------------------------------

RECORDS = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "note": "ö\n"}, {"epoch": 3}]


def test_a_log_cut_at_any_byte_gives_its_whole_lines_and_can_be_written_on(tmp_path, no_sync):
    path = tmp_path / "log"
    assert list(read_log(path)) == []
    append_log(path, *RECORDS[:1])
    append_log(path, *RECORDS[1:])
    content = path.read_bytes()
    assert [json.loads(line) for line in content.splitlines()] == RECORDS  # nothing added
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        whole = RECORDS[: content[:cut].count(b"\n")]
        assert list(read_log(path)) == whole
        assert path.read_bytes() == content[:cut]  # reading changes nothing
        append_log(path, {"epoch": 9})
        assert list(read_log(path)) == [*whole, {"epoch": 9}]


@pytest.mark.parametrize("line", [b"{,}\n", b"[1]\n", b"\xff\n", b"\n"])
def test_a_damaged_line_of_a_log_is_named(tmp_path, line):
    append_log(tmp_path / "log", *RECORDS)
    with (tmp_path / "log").open("ab") as file:
        file.write(line)
    rows = read_log(tmp_path / "log")
    assert [next(rows) for _ in RECORDS] == RECORDS
    with pytest.raises(MiniftError, match=r"log, line 4 is damaged: .*; put it back from a backup"):
        next(rows)


def test_a_log_that_cannot_be_written_keeps_the_lines_it_had(tmp_path, monkeypatch):
    append_log(tmp_path / "log", *RECORDS)
    before = (tmp_path / "log").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MiniftError, match=r"cannot write to .*log: .*No space left"):
        append_log(tmp_path / "log", {"epoch": 4})
    assert (tmp_path / "log").read_bytes() == before
    with pytest.raises(MiniftError, match=r"cannot write to .*below"):
        append_log(tmp_path / "log" / "below", {"epoch": 4})
