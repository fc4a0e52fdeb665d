"""Writing files so that what was there before survives anything.

Claim    After a crash, a kill or a full disk, a file holds either its old content or its new
         content, never a mixture and never a part. Two processes do not write to one thing. What
         a killed process had begun to write is removed when its folder is next written to.
Proof    tests/test_files.py, tests/safety/test_kills.py
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from minift.errors import MiniftError

_HELD = ".held-"  # begins the name of a temporary folder that its process has locked
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Write `content` to `path`: temporary file, flush to disk, rename.

    Raises:
        MiniftError: if the disk is full or the folder cannot be written; `path` is untouched.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    atomic_directory_write(path.parent, lambda folder: _plain_write(folder / path.name, data))


def atomic_directory_write(directory: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary folder, then move its files into `directory` one by one.

    Args:
        directory: created if absent; files that `write` does not make stay as they are.
        write: gets the temporary folder, on the same file system.

    Raises:
        MiniftError: if the disk is full or `directory` cannot be written; the old files stay.
    """
    temporary = None
    held = contextlib.ExitStack()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(directory)
        temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=directory))
        held.enter_context(_alone(temporary))  # before it has the name that others look for
        temporary = temporary.rename(directory / temporary.name.replace(".writing-", _HELD))
        write(temporary)
        files = sorted(temporary.iterdir())
        for file in files:
            _sync(file)  # a full disk may show only here
        for file in files:
            file.replace(directory / file.name)
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder
            _sync(directory)
    except Exception as error:
        if not _is_disk_error(error):
            raise
        raise MiniftError(
            f"cannot write to {directory}: {error}; what was there before is unchanged"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        held.close()


def _remove_abandoned(directory: Path) -> None:
    """Remove the temporary folders of processes that were killed."""
    for found in directory.glob(_HELD + "*"):
        with _alone(found) as abandoned:
            if abandoned:
                shutil.rmtree(found, ignore_errors=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold a folder, at most as long as this process lives; yield whether that was possible."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows; or its owner has just removed it
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = True
        except OSError:  # somebody holds it, or the file system has no such locks
            held = False
        yield held
    finally:
        os.close(descriptor)


def _is_disk_error(error: Exception) -> bool:
    # safetensors reports a failed write as its own exception with the system's words.
    return isinstance(error, OSError) or any(os.strerror(c) in str(error) for c in _DISK_ERRORS)


def _plain_write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path`.lock, which says who holds it; the lock goes with its process.

    Raises:
        MiniftError: if another process holds it; names that and its machine.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    with path.with_name(path.name + ".lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise MiniftError(
                f"{path} is in use by {lock.read().strip() or 'another process'}; wait for it "
                "or end it"
            ) from None
        except OSError:  # a file system without locks; as on Windows
            pass
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield
