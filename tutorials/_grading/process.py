"""Starting and ending the student's processes: a zygote that forks them, or one at a time.

Claim    A hundred submissions cost one import of torch, not a hundred; nothing of the grader (its
         environment, its command line, its open files) reaches a child; and after `end` nothing
         that a child started is running (Linux; elsewhere: nothing of its process group).
Differs  Where the kernel makes no rooms (`refused` says why) children run as the grader's own user,
         or as "nobody" where the grader is root and that user may read torch. Without fork
         (Windows) each child is a new process, and only the clock limits it.
Proof    tests/test_graders.py (hostile submissions)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import minift
from _grading import library

CHILD = Path(__file__).with_name("child.py")
OUTPUT_LIMIT = 20_000  # bytes kept of what a submission prints; the rest is read and forgotten
SCRATCH = "/scratch"  # a child's folder, as it sees it
_CHECKOUT = CHILD.parents[2] if (CHILD.parents[2] / "minift").is_dir() else CHILD.parents[1]
OURS = (_CHECKOUT, Path(minift.__file__).parent)  # the second is the first's, if not installed
START_SECONDS = 300  # for the import of torch, on a slow machine


class GraderError(RuntimeError):
    """The grader itself cannot continue: no student is to blame, and none gets a mark from it."""


@dataclass
class Child:
    """A running student's process, seen from the grader.

    Args:
        connection: the channel.
        folder: its empty working folder, removed at the end.
        pid: where there is a zygote.
        process: where there is none.
    """

    connection: socket.socket
    folder: Path
    pid: int | None = None
    process: subprocess.Popen | None = None

    def __post_init__(self) -> None:
        self._kept = bytearray()
        self._seen = 0

    def drain(self, descriptor: int) -> None:
        """Read what it prints until nobody can print there any more."""
        with contextlib.suppress(OSError):
            while part := os.read(descriptor, 2**16):
                self._seen += len(part)
                self._kept += part[: max(0, OUTPUT_LIMIT - len(self._kept))]
        os.close(descriptor)

    @property
    def output(self) -> str:
        """What it printed, cut at `OUTPUT_LIMIT`."""
        text = bytes(self._kept).decode("utf-8", "replace")
        more = self._seen - len(self._kept)
        return text + (f"\n[... {more:,} bytes more were not kept]" if more else "")


class Launcher:
    """Starts and ends children; a context manager.

    Args:
        fork: with a zygote. None means where the system can.
        room: whether children go into rooms of their own, where the system makes them.
        hidden: files and folders that no child may see, wherever they are.
    """

    def __init__(
        self, fork: bool | None = None, room: bool = True, hidden: Sequence[str | Path] = ()
    ):
        self.fork = hasattr(os, "fork") and hasattr(socket, "recv_fds") if fork is None else fork
        self.user = _unprivileged_user() if self.fork else None
        self._hidden = [str(Path(path).resolve()) for path in (*OURS, *hidden)]
        self._room = room
        self._zygote: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._refused = "" if self.fork else "there is none for this system"
        self._libraries = tempfile.TemporaryDirectory(prefix="minift-library-")
        Path(self._libraries.name).chmod(0o755)

    @property
    def refused(self) -> str:
        """Why children are in no room: what the kernel says. "" if they are in one.

        Raises:
            GraderError: if the first process does not come up.
        """
        if not self._room:
            return "it was not asked for"
        if self.fork and not self._zygote:
            try:
                self._start_zygote()
            except (OSError, ValueError) as error:
                raise GraderError(f"cannot start the first process: {error}") from None
        return self._refused

    @property
    def isolated(self) -> bool:
        """Whether a child sees, and may change, nothing of this machine but its own folder."""
        return not self.refused

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_) -> None:
        self.close()
        self._libraries.cleanup()

    def close(self) -> None:
        """End the zygote, and with it all children."""
        if self._control:
            self._control.close()
        if self._zygote:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._zygote.wait(2)
            self._zygote.kill()
            self._zygote.wait()
        self._zygote = self._control = None

    def start(self, modules: Sequence[str] = ()) -> Child:
        """Return a new child that waits for its job.

        Args:
            modules: of minift, that it has; see library.py.

        Raises:
            GraderError: if the system refuses.
        """
        folder = Path(tempfile.mkdtemp(prefix="minift-exercise-"))
        try:
            there = self._library(tuple(modules))
            return self._forked(folder, there) if self.fork else self._new_process(folder, there)
        except (OSError, ValueError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise GraderError(f"cannot start the student's process: {error}") from None

    def end(self, child: Child, grace: float = 0.0) -> int | None:
        """End a child and what it left behind.

        Args:
            child: from `start`.
            grace: seconds in which it may end by itself.

        Returns:
            Its exit status (negative: the signal), or None if it had to be ended.
        """
        child.connection.close()
        status = None
        if child.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = child.process.wait(grace)
            child.process.kill()
            child.process.wait()
        elif self._control:
            try:
                status = self._ask({"end": child.pid, "grace": grace}, seconds=grace + 30)["status"]
            except (OSError, ValueError):
                self.close()  # a submission ended the zygote; the next child gets a new one
        shutil.rmtree(child.folder, ignore_errors=True)
        return status

    def _library(self, modules: tuple[str, ...]) -> Path:
        """Return a folder with these modules of minift, made once."""
        name = hashlib.sha256("\n".join(modules).encode()).hexdigest()[:16]
        folder = Path(self._libraries.name, name)
        if not folder.is_dir():
            folder.mkdir()
            library.make(folder, modules)
        return folder

    def _forked(self, folder: Path, there: Path) -> Child:
        if self.user is not None and not self.isolated:
            os.chown(folder, self.user, -1)
        environment = _environment(Path(SCRATCH) if self.isolated else folder)
        for attempt in (1, 2):
            ours, theirs = socket.socketpair()
            reading, writing = os.pipe()
            try:
                self._start_zygote()
                wishes = {
                    "folder": str(folder),
                    "environment": environment,
                    "user": self.user,
                    "library": str(there),
                    "hidden": self._hidden if self.isolated else None,
                }
                pid = self._ask({"spawn": wishes}, [theirs.fileno(), writing])["pid"]
            except (OSError, ValueError):
                self.close()
                ours.close()
                os.close(reading)
                if attempt == 2:
                    raise
                continue
            finally:
                theirs.close()
                os.close(writing)
            child = Child(ours, folder, pid=pid)
            threading.Thread(target=child.drain, args=(reading,), daemon=True).start()
            return child
        raise AssertionError("not reached")

    def _start_zygote(self) -> None:
        if self._zygote and self._zygote.poll() is None and self._control:
            return
        self.close()
        self._control, theirs = socket.socketpair()
        self._zygote = subprocess.Popen(
            [sys.executable, str(CHILD), "zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=_environment(None),
            cwd=tempfile.gettempdir(),
        )
        theirs.close()
        self._control.settimeout(START_SECONDS)
        line = self._line()
        if not line.get("ready"):
            raise OSError("the zygote did not come up")
        self._refused = line["refused"]

    def _ask(self, request: dict, descriptors: list[int] | None = None, seconds: float = 60):
        self._control.settimeout(seconds)
        message = json.dumps(request).encode()
        socket.send_fds(self._control, [message], descriptors or [])
        return self._line()

    def _line(self) -> dict:
        line = b""
        while not line.endswith(b"\n"):
            part = self._control.recv(4096)
            if not part:
                raise OSError("the zygote has ended")
            line += part
        return json.loads(line)

    def _new_process(self, folder: Path, there: Path) -> Child:
        token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as server:
            process = subprocess.Popen(
                [sys.executable, str(CHILD), "connect", str(server.getsockname()[1])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={
                    **_environment(folder),
                    "MINIFT_TOKEN": token,
                    "MINIFT_LIBRARY": str(there),
                },
                cwd=folder,
            )
            child = Child(socket.socket(), folder, process=process)
            output = os.dup(process.stdout.fileno())
            process.stdout.close()
            threading.Thread(target=child.drain, args=(output,), daemon=True).start()
            server.settimeout(1)
            until = time.monotonic() + START_SECONDS
            while time.monotonic() < until and process.poll() is None:
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    connection.settimeout(10)
                    if _exactly(connection, len(token)) == token.encode():
                        child.connection = connection
                        return child
                    connection.close()  # another program of this machine
        process.kill()
        raise OSError(f"it did not come up: {child.output[-300:]}")


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (part := connection.recv(count - len(found))):
        found += part
    return found


def _environment(folder: Path | None) -> dict[str, str]:
    """Return what a child may know of this machine: how to find Python's packages."""
    kept = ("PATH", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")
    home = folder or os.environ.get("HOME")  # the zygote's: packages may lie under it
    packages = [
        path
        for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if path and not Path(path).resolve().is_relative_to(OURS[0])
    ]
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **({"PYTHONPATH": os.pathsep.join(packages)} if packages else {}),
        **({"HOME": str(home), "TMPDIR": str(folder or tempfile.gettempdir())} if home else {}),
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def _unprivileged_user() -> int | None:
    """Return whom a child without a room becomes; None: it stays who the grader is."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    readable = all(map(_all_may_read, (torch.__file__, os.__file__)))
    return 65534 if readable else None


def _all_may_read(file: str) -> bool:
    path = Path(file).resolve()
    folders = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    return folders and bool(path.stat().st_mode & stat.S_IROTH)
