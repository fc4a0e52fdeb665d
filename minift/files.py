"""Writing files so that what was there before survives anything; locks, digests, and our folder.

Claim    After a crash, a kill or a full disk, a file holds either its old content or its new
         content, never a mixture and never a part; a new folder is there whole or not at all. Two
         processes do not write to one thing. What a killed process had begun to write is removed
         when its folder is next written to. An output is never an input, nor what is not ours.
Differs  Locks are those of `filelock`; on a file system that has none, nothing is locked.
Proof    tests/test_files.py, tests/safety/test_kills.py
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from minift.errors import MiniftError

_HELD = ".held-"  # begins the names of a temporary folder and of the lock that its process holds
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


def minift_home() -> Path:
    """Return the folder for downloads and data sets: $MINIFT_HOME, or ~/.cache/minift."""
    return Path(os.environ.get("MINIFT_HOME") or "~/.cache/minift").expanduser()


def digest(*parts: str | bytes | memoryview) -> str:
    """Return the SHA-256 of all parts, one after the other, in hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode("utf-8") if isinstance(part, str) else part)
    return found.hexdigest()


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal."""
    found = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(2**20):
            found.update(block)
    return found.hexdigest()


def claim_file(
    out: str | Path, option: str, *inputs: str | Path | None, ours: bytes | None = None
) -> None:
    """Refuse to write over an input, a link to it, or what does not begin as `ours`, a pattern.

    Raises MiniftError with the `option`, before hours of work; also if nothing can be written.
    """
    out, choose = Path(out), "choose another name"
    if any(name and out.exists() and Path(name).exists() and out.samefile(name) for name in inputs):
        raise MiniftError(f"{option} {out} is the file that is read; {choose}")
    if out.exists() and not out.is_file():
        raise MiniftError(f"{option} {out} is not a file that can be replaced; {choose}")
    if ours is not None and out.exists():
        with out.open("rb") as file:
            begins = file.read(2**20)
        if begins and not re.match(ours, begins):
            there = "is there already, and not known to be of this command"
            raise MiniftError(f"{option} {out} {there}; {choose}, or delete it")
    with _disk_errors(out.parent), _temporary_folder(out.parent):
        pass


def claim_folder(out: Path, marker: str) -> None:
    """Refuse a folder that holds something, but not the file `marker`, which ours have."""
    if out.exists() and not out.is_dir():
        raise MiniftError(f"{out} is a file; --out names a folder")
    others = sorted(path.name for path in out.glob("[!.]*") if path.suffix != ".lock")
    if others and not (out / marker).is_file():
        found = ", ".join(others[:5])
        raise MiniftError(f"{out} holds something else ({found}); choose another --out")


def standard_input() -> TextIO:
    """Return standard input; raises MiniftError if it is closed."""
    if sys.stdin is None:
        raise MiniftError("standard input is closed; give a file, or open it")
    return sys.stdin


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Write `content` to `path`: temporary file, flush to disk, rename.

    Raises MiniftError if the disk is full or the folder cannot be written; `path` is untouched.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    atomic_directory_write(path.parent, lambda new: (new / path.name).write_bytes(data))


def atomic_directory_write(directory: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder, then move its files into `directory` one by one.

    Files of `directory`, which is made if absent, that `write` does not make stay as they are.
    Raises MiniftError if the disk is full or `directory` cannot be written; the old files stay.
    """
    with _disk_errors(directory), _temporary_folder(directory) as temporary:
        write(temporary)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        for file in files:
            sync(file)  # a full disk may show only here
        for file in files:
            target = directory / file.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
        sync_folder(directory)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder, which becomes `target` when all that the body wrote is on the disk.

    Raises MiniftError if the disk is full, or `target` cannot be made or holds something.
    """
    with _disk_errors(target.parent), _temporary_folder(target.parent) as temporary:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                sync(file)
        temporary.replace(target)
        sync_folder(target.parent)


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`; the next writer removes it if this process is killed."""
    parent.mkdir(parents=True, exist_ok=True)
    for lock in parent.glob(f"{_HELD}*.lock"):
        with _hold(lock) as ours:
            if ours:  # so its process was killed
                _remove(lock)
    lock = parent / f"{_HELD}{os.urandom(8).hex()}.lock"
    with _hold(lock) as ours:  # before there is a folder that others could take for abandoned
        if ours is False:  # they were faster: they remove the new lock, and it is tried again
            with _temporary_folder(parent) as folder:
                yield folder
            return
        try:
            folder = lock.with_suffix("")
            folder.mkdir()
            yield folder
        finally:
            _remove(lock)


def _remove(lock: Path) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    with contextlib.suppress(OSError):
        lock.unlink()


@contextlib.contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # safetensors reports a failed write as its own exception with the system's words.
        words = str(error)
        if not (isinstance(error, OSError) or any(os.strerror(c) in words for c in _DISK_ERRORS)):
            raise
        kept = "what was there before is unchanged"
        raise MiniftError(f"cannot write to {directory}: {error}; {kept}") from error


def sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, on file systems that can say so."""
    with contextlib.suppress(OSError):
        sync(folder)


@contextlib.contextmanager
def locked(path: Path, leave: bool = True) -> Iterator[None]:
    """Hold `path`.lock, which says who holds it; the lock goes with its process.

    Without `leave` its file is removed at the end, as suits a folder that is not ours.
    Raises MiniftError if another process holds it; names that and its machine.
    """
    lock, holder = path.with_name(path.name + ".lock"), "another process"
    with contextlib.ExitStack() as stack:
        try:
            ours = stack.enter_context(_hold(lock))
        except OSError as error:
            raise MiniftError(f"cannot write {lock}: {error}") from error
        with contextlib.suppress(OSError):  # Windows lets nobody read or write a lock that is held
            if ours is False:
                holder = lock.read_text(encoding="utf-8").strip() or holder
            else:
                lock.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", "utf-8")
        if ours is False:
            raise MiniftError(f"{path} is in use by {holder}; wait for it or end it")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                None if leave else lock.unlink()


@contextlib.contextmanager
def _hold(lock: Path) -> Iterator[bool | None]:
    """Hold a lock file in the body; yield whether it is ours, or None if there are no locks."""
    from filelock import FileLock, Timeout  # here because it loads asyncio: 30 ms

    # Without the fallback, which is a file that stays locked after a kill.
    file_lock = FileLock(lock, timeout=0, fallback_to_soft=False)
    ours: bool | None = True
    try:
        file_lock.acquire()
    except Timeout:
        ours = False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        ours = None
    try:
        yield ours
    finally:
        file_lock.release()
