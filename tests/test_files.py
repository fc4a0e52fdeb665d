"""A file holds its old content or its new content, whatever happens while it is written.

claim                                                        oracle
what is written is what is read, and nothing else is left    the bytes; the folder's list of names
a writer that fails leaves every old file                    bytes before and after
a full disk leaves every old file, and says so               write and fsync that raise ENOSPC;
                                                             a real limit of the operating system
a kill in the middle of writing leaves the old file          SIGKILL to a child that writes
concurrent writers: a reader sees one of them, whole         processes that write at once
a folder is there whole or not at all                        a body that fails; the list of names
a lock says who holds it, and goes with its process          a second process, killed
a digest is the SHA-256 of all parts                         FIPS 180-2, example B.1
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import resource
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from minift import files
from minift.errors import MiniftError
from minift.files import (
    atomic_directory_write,
    atomic_folder,
    atomic_write,
    digest,
    file_digest,
    locked,
    minift_home,
)

OLD = {"a.json": "old a", "b.bin": "old b", "keep.txt": "kept"}


def contents(folder: Path) -> dict[str, str]:
    """Everything in a folder, hidden and temporary files included."""
    return {
        path.name: "a folder" if path.is_dir() else path.read_text() for path in folder.iterdir()
    }


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder that already holds something."""
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def write_both(new: Path) -> None:
    (new / "a.json").write_text("new a")
    (new / "b.bin").write_text("new b")


def no_space(*_) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- what is written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["", "zwölf Boxkämpfer\r\n\u2028 tail", b"\x00\xff\r\n", "x" * 10**6]
)
def test_text_and_bytes_arrive_unchanged_and_replace_what_was_there(tmp_path, content):
    expected = content.encode("utf-8") if isinstance(content, str) else content
    for _ in range(2):
        atomic_write(tmp_path / "deep" / "er" / "file", content)  # folders are made
        assert (tmp_path / "deep" / "er" / "file").read_bytes() == expected
        assert names(tmp_path / "deep" / "er") == ["file"]
        atomic_write(str(tmp_path / "deep" / "er" / "file"), "something else")


def test_files_that_the_writer_does_not_make_stay(folder):
    atomic_directory_write(folder, write_both)
    assert contents(folder) == {"a.json": "new a", "b.bin": "new b", "keep.txt": "kept"}


def test_a_new_file_can_be_read_by_whom_any_new_file_can_be_read(tmp_path):
    # Files from `tempfile` are private; a shared run folder must not be.
    (tmp_path / "plain").write_text("")
    atomic_write(tmp_path / "ours", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_files_are_on_the_disk_before_the_first_old_one_is_replaced(folder, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (events.append("rename"), replace(self, to))[1]
    )
    atomic_directory_write(folder, write_both)
    assert events == ["sync", "sync", "rename", "rename", "sync"]  # the folder itself last


# --- failures ------------------------------------------------------------------------------


def test_a_writer_that_fails_leaves_the_old_files_and_its_error_is_its_own(folder):
    def fail(new: Path) -> None:
        write_both(new)
        raise KeyError("a bug in the writer")

    with pytest.raises(KeyError, match="a bug in the writer"):
        atomic_directory_write(folder, fail)
    assert contents(folder) == OLD


def test_an_interrupted_writer_leaves_the_old_files_and_nothing_of_its_own(folder):
    def interrupt(new: Path) -> None:
        write_both(new)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_directory_write(folder, interrupt)
    assert contents(folder) == OLD


def test_a_disk_that_is_full_while_writing_leaves_the_old_files_and_says_so(folder):
    def fill(new: Path) -> None:
        write_both(new)
        no_space()

    with pytest.raises(MiniftError, match=r"cannot write to .*No space left.*before is unchanged"):
        atomic_directory_write(folder, fill)
    assert contents(folder) == OLD


def test_a_disk_that_turns_out_full_when_flushing_leaves_the_old_files(folder, monkeypatch):
    # Network disks and quotas accept the bytes and refuse them at the flush.
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(MiniftError, match="No space left"):
        atomic_directory_write(folder, write_both)
    with pytest.raises(MiniftError, match="No space left"):
        atomic_write(folder / "a.json", "new a")
    assert contents(folder) == OLD


def test_a_folder_that_cannot_be_flushed_is_no_failure(folder, monkeypatch):
    fsync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "cannot sync a folder")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    atomic_write(folder / "a.json", "new a")
    assert contents(folder) == {**OLD, "a.json": "new a"}


@pytest.fixture
def small_files_only():
    """Let the operating system refuse files above 100,000 bytes (it says EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def save_safetensors(new: Path) -> None:
    save_file({"weight": torch.ones(100_000)}, new / "b.bin")


def save_bytes(new: Path) -> None:
    (new / "b.bin").write_bytes(b"x" * 400_000)


@pytest.mark.parametrize("write", [save_bytes, save_safetensors])
def test_a_write_that_the_system_really_refuses_leaves_the_old_files(
    folder, write, small_files_only
):
    with pytest.raises(MiniftError, match=r"cannot write to .*(too large|os error 27).*unchanged"):
        atomic_directory_write(folder, write)
    assert contents(folder) == OLD
    atomic_directory_write(folder, write_both)  # and the folder still works
    assert contents(folder)["b.bin"] == "new b"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_library_that_reports_the_systems_words_in_its_own_exception_is_understood(folder, code):
    def fail(new: Path) -> None:
        raise RuntimeError(f"Error while serializing: {os.strerror(code)} (os error {code})")

    with pytest.raises(MiniftError, match=os.strerror(code)):
        atomic_directory_write(folder, fail)
    assert contents(folder) == OLD


def test_a_place_that_cannot_be_written_is_named(folder):
    with pytest.raises(MiniftError, match=r"cannot write to .*a\.json"):
        atomic_write(folder / "a.json" / "below-a-file", "x")
    (folder / "directory").mkdir()
    with pytest.raises(MiniftError, match="cannot write to"):
        atomic_write(folder / "directory", "x")
    (folder / "directory").rmdir()  # still empty
    assert contents(folder) == OLD


# --- kills and company ---------------------------------------------------------------------

FORK = multiprocessing.get_context("fork")  # a fresh Python would import PyTorch first


def write_and_be_killed(folder: Path) -> None:
    def write(new: Path) -> None:
        (new / "a.json").write_text("new a")
        os.kill(os.getpid(), signal.SIGKILL)

    atomic_directory_write(folder, write)


def test_a_kill_in_the_middle_of_writing_leaves_the_old_files(folder):
    child = FORK.Process(target=write_and_be_killed, args=(folder,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    left = [path for path in folder.glob(".*") if path.suffix != ".lock"]
    assert len(left) == 1  # negative control: it was killed with the new file half made
    assert (left[0] / "a.json").read_text() == "new a"
    assert {name: (folder / name).read_text() for name in OLD} == OLD
    atomic_write(folder / "a.json", "newer")  # what was left behind is in nobody's way
    assert (folder / "a.json").read_text() == "newer"


def write_often(path: Path, name: str) -> None:
    for number in range(20):
        atomic_write(path, (name + str(number % 10)) * 50_000)


def test_of_writers_at_once_a_reader_always_sees_exactly_one_whole_file(tmp_path):
    path = tmp_path / "file"
    atomic_write(path, "00" * 50_000)
    seen, writers = set(), [FORK.Process(target=write_often, args=(path, name)) for name in "ab"]
    for writer in writers:
        writer.start()
    writing = True
    while writing:
        writing = any(writer.is_alive() for writer in writers)  # and one look after the last
        text = path.read_text()
        assert text == text[:2] * 50_000, "a mixture or a part of two files"
        seen.add(text[0])
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen & {"a", "b"}
    assert names(tmp_path) == ["file"]


@pytest.mark.filterwarnings("error")  # what a thread raises is a warning to pytest
def test_threads_that_write_different_files_of_a_folder_do_not_disturb_each_other(folder):
    def write(number: int) -> None:
        for _ in range(5):
            atomic_write(folder / f"{number}.txt", str(number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert contents(folder) == OLD | {f"{number}.txt": str(number) for number in range(8)}


def test_a_new_lock_that_another_writer_takes_for_abandoned_is_not_written_under(
    folder, monkeypatch
):
    real, taken = files._hold, []

    @contextlib.contextmanager
    def hold(lock):
        with real(lock) as ours:
            taken.append(lock)
            yield ours and len(taken) > 1  # the first is another's

    def write(new: Path) -> None:
        assert taken[0] != taken[-1] and new == taken[-1].with_suffix("")
        write_both(new)

    monkeypatch.setattr(files, "_hold", hold)
    atomic_directory_write(folder, write)
    assert contents(folder)["a.json"] == "new a"


# --- folders, locks, digests ---------------------------------------------------------------


def test_a_folder_is_there_whole_or_not_at_all(folder):
    with atomic_folder(folder / "deep" / "new") as new:
        write_both(new)
        assert not (folder / "deep" / "new").exists()
    assert contents(folder / "deep" / "new") == {"a.json": "new a", "b.bin": "new b"}
    with pytest.raises(KeyError), atomic_folder(folder / "deep" / "second") as new:
        write_both(new)
        raise KeyError
    with pytest.raises(MiniftError, match="cannot write to"), atomic_folder(folder / "deep"):
        pass  # it holds something
    assert names(folder / "deep") == ["new"]
    assert contents(folder / "deep" / "new") == {"a.json": "new a", "b.bin": "new b"}


def test_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(MiniftError, match="No space left"), atomic_folder(tmp_path / "new") as new:
        write_both(new)
    assert names(tmp_path) == []


def hold_until_killed(path: Path, holds) -> None:
    with locked(path):
        holds.set()
        threading.Event().wait()


def test_a_lock_names_its_process_and_its_machine_and_goes_with_it(tmp_path):
    holds = FORK.Event()
    child = FORK.Process(target=hold_until_killed, args=(tmp_path / "run", holds))
    child.start()
    assert holds.wait(20)
    who = f"process {child.pid} on {socket.gethostname()}"
    for _ in range(2):  # asking does not wipe the name out
        message = f"run is in use by {who}; wait for it or end it"
        with pytest.raises(MiniftError, match=message), locked(tmp_path / "run"):
            pass
    child.kill()
    child.join()
    with locked(tmp_path / "run"):
        assert f"process {os.getpid()} on " in (tmp_path / "run.lock").read_text()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_on_a_file_system_without_locks_everything_is_written_all_the_same(
    tmp_path, monkeypatch, code
):
    def no_locks(*_) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with locked(tmp_path / "run"), locked(tmp_path / "run"):
        atomic_write(tmp_path / "file", "new")
    assert contents(tmp_path)["file"] == "new"
    assert set(names(tmp_path)) == {"file", "run.lock"}


def test_a_lock_that_cannot_be_taken_for_another_reason_is_refused(tmp_path):
    (tmp_path / "run.lock").mkdir()
    with pytest.raises(MiniftError, match=r"cannot write .*run\.lock"), locked(tmp_path / "run"):
        pass


def test_a_digest_is_the_sha256_of_all_parts_one_after_the_other(tmp_path):
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest("abc") == digest(b"a", memoryview(b"b"), "c") == abc
    (tmp_path / "file").write_bytes(b"abc")
    assert file_digest(tmp_path / "file") == abc
    (tmp_path / "large").write_bytes(b"a" * 10**6)  # B.3 of the same paper
    assert file_digest(tmp_path / "large").startswith("cdc76e5c9914fb9281a1c7e284d73e67")
    (tmp_path / "larger").write_bytes(b"a" * (2**20 + 1))
    assert file_digest(tmp_path / "larger") == digest("a" * (2**20 + 1))


def test_the_home_of_downloads_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIFT_HOME", "~/models")
    assert minift_home() == tmp_path / "models"
    for unset in ("", None):
        monkeypatch.setenv("MINIFT_HOME", "") if unset == "" else monkeypatch.delenv("MINIFT_HOME")
        assert minift_home() == tmp_path / ".cache" / "minift"
