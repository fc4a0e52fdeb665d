"""The student's process: it runs exercise.py and harness.py, and answers what it is asked.

Claim    Nothing in here can give a point: the process holds no check, no solution, no expected
         value and no salt, and every answer is only a value that the grader judges elsewhere.
         To forge a message is to return a value.
Differs  On POSIX a *zygote* imports torch once and forks a child a submission; elsewhere this file
         is started anew. On Linux a child goes into a room of its own (sandbox.py). Limits
         (processor time, memory, files, no further processes) are those that the system has;
         Windows has none of them but the clock.
Proof    tests/test_graders.py (hostile submissions)

Not imported by the grader. Started by process.py:

    child.py zygote FD                  forks on request; see `zygote`
    child.py connect PORT               one child; the token comes in the environment
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import gc
import importlib.util
import json
import linecache
import os
import random
import signal
import socket
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:] = [p for p in sys.path if not p or Path(p).resolve() != HERE]
sys.dont_write_bytecode = True

import numpy  # noqa: E402 (a child then has it already)
import torch  # noqa: E402


def _beside(name: str) -> types.ModuleType:
    """Load a file that stands beside this one; the package it is of stays unknown here."""
    spec = importlib.util.spec_from_file_location(f"minift_grading_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


codec = _beside("codec")
sandbox = _beside("sandbox")

GIB = 2**30
ADDRESS_SPACE = 64 * GIB  # of the zygote; see there
PROCESSOR_SECONDS = 300  # of a child's whole life
CALLS_BACK = 10_000  # of a candidate, in one test
NO_NEW_PRIVILEGES, DEATH_SIGNAL, SUBREAPER = 38, 1, 36  # Linux: prctl


class Wrong(Exception):
    """Raised by a harness: one sentence to the student. Nothing else may be taken for one."""


class Channel:
    """Frames over a socket."""

    def __init__(self, connection: socket.socket):
        self.connection = connection

    def send(self, value) -> None:
        self.connection.sendall(codec.encode(value))

    def receive(self):
        tree, numbers = codec.lengths(self._exactly(codec.HEAD.size))
        return codec.decode(self._exactly(tree), self._exactly(numbers))

    def _exactly(self, count: int) -> bytes:
        parts, left = [], count
        while left:
            part = self.connection.recv(min(left, 2**20))
            if not part:
                os._exit(0)  # the grader is done with us
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


def serve(channel: Channel) -> None:
    """Load what the first message brings, then answer until the channel closes."""
    channel.send({"kind": "ready"})
    job = channel.receive()
    _processor_limit(job["seconds"])
    # The same submission gets the same draws each time, even from torch's own generator.
    random.seed(0)
    torch.manual_seed(0)
    tempfile.tempdir = str(Path.cwd())  # or it would try where it may write, and may nowhere
    modules = []
    names = [("exercise", job["exercise"], job["path"]), ("harness", job["harness"], "harness.py")]
    reply = {"kind": "value", "value": None}
    for name, source, path in names:
        if source is None:
            continue
        module = types.ModuleType(name)
        module.__file__ = path
        sys.modules[name] = module
        if name == "harness":
            module.Wrong = Wrong
        linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
        reply = _outcome(lambda s=source, p=path, m=module: _execute(s, p, m), job["path"])
        if reply["kind"] != "value":
            break
        modules.insert(0, module)
    _flush()
    channel.send(reply)
    while True:
        _answer(channel, channel.receive(), modules, job["path"])


def _execute(source: str, path: str, module: types.ModuleType) -> None:
    exec(compile(source, path, "exec"), module.__dict__)


def _answer(channel: Channel, request: dict, modules: list, path: str) -> None:
    _processor_limit(request["seconds"])
    name = request["name"]
    owner = next((m for m in modules if hasattr(m, name)), None)
    if owner is None:
        reply = {"kind": "missing"}
    elif "args" not in request:
        reply = {"kind": "value", "value": getattr(owner, name)}
    else:
        args = list(request["args"])
        if request["candidate"]:
            args.insert(0, _candidate(channel))
        reply = _outcome(lambda: getattr(owner, name)(*args), path)
    _flush()
    reply["id"] = request["id"]
    try:
        channel.send(reply)
    except codec.CodecError as error:
        channel.send({"kind": "type", "message": str(error), "id": request["id"]})


def _candidate(channel: Channel):
    """Return the function under test: its code is the grader's, here are only its answers."""
    calls = 0

    def candidate(*args):
        nonlocal calls
        calls += 1
        if calls > CALLS_BACK:
            raise Wrong(f"the test calls the candidate more than {CALLS_BACK:,} times")
        channel.send({"kind": "call", "args": list(args)})
        answer = channel.receive()
        if "raised" in answer:
            kind = getattr(builtins, answer["raised"], None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            raise (kind if known else RuntimeError)(answer["message"])
        return answer["value"]

    return candidate


def _outcome(run, path: str) -> dict:
    """Run something of the student's; return what came of it as plain values."""
    try:
        return {"kind": "value", "value": run()}
    except Wrong as error:
        return {"kind": "wrong", "message": _text(error)}
    except BaseException as error:  # sys.exit and KeyboardInterrupt too: they are answers
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line = lines[-1] if lines else None
        if isinstance(error, SyntaxError) and error.filename == path:
            line = error.lineno
        kind = "not done" if isinstance(error, NotImplementedError) else "raised"
        types_of = [c.__name__ for c in type(error).__mro__]
        return {"kind": kind, "types": types_of, "message": _text(error), "line": line}


def _text(error: BaseException) -> str:
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        return " ".join(str(text).split())[:300]
    except BaseException:
        return ""


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()


def _processor_limit(seconds: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = int(time.process_time()) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (used + seconds, PROCESSOR_SECONDS))


# --- what only POSIX has ---------------------------------------------------------------------


def zygote(control: socket.socket) -> None:
    """Fork children on request until the grader hangs up.

    Requests are JSON: {"spawn": {...}} with two descriptors (channel, output) -> {"pid": ...};
    {"end": pid, "grace": seconds} -> {"status": ...}, after which nothing that the child left
    behind is running.
    """
    torch.set_num_threads(1)
    torch.ones(2, 2) @ torch.ones(2, 2)  # some things are found out about the processor only now
    torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).double().softmax(-1)
    gc.freeze()  # a child's collector then leaves our pages alone, and they stay shared
    global ADDRESS_SPACE
    ADDRESS_SPACE = _address_space()
    _prctl(SUBREAPER, 1)  # what a child leaves behind becomes ours, so that we can end it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    refused = _try_room() if sys.platform == "linux" else "there is none for this system"
    control.sendall(json.dumps({"ready": True, "refused": refused}).encode() + b"\n")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
        if not message:
            os._exit(0)
        request = json.loads(message)
        if "spawn" in request:
            pid = os.fork()
            if pid == 0:
                control.close()
                _become_child(descriptors, request["spawn"])
            for descriptor in descriptors:
                os.close(descriptor)
            answer = {"pid": pid}
        else:
            answer = {"status": _end(request["end"], request["grace"])}
        control.sendall(json.dumps(answer).encode() + b"\n")


def _try_room() -> str:
    """Return why there is no room for a student's code on this machine; "" if there is one."""
    with tempfile.TemporaryDirectory(prefix="minift-room-") as folder:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.dup2(writing, 3)
                sandbox.enter(folder, [], folder)
                os.write(3, _cannot_read().encode())
            except BaseException as error:
                os.write(writing, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(0)
        os.close(writing)
        said = b""
        while part := os.read(reading, 2**16):
            said += part
        os.close(reading)
        os.waitpid(pid, 0)
    return "" if said == b"ok" else said.decode() or "it ended without a word"


def _cannot_read() -> str:
    """Return "ok" if Python's packages can be read from here."""
    for file in (os.__file__, torch.__file__, numpy.__file__):
        try:
            with Path(file).open("rb") as opened:
                opened.read(1)
        except OSError as error:
            return f"{error.strerror}: {file} (may all read it? chmod -R a+rX its folder)"
    return "ok"


def _become_child(descriptors: list[int], wishes: dict) -> None:
    try:
        os.setsid()
        channel, output = (os.dup(d) for d in descriptors)  # so that neither is 1, 2 or 3
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(channel, 3)
        _close_all_from(4)
        os.environ.clear()
        os.environ.update(wishes["environment"])
        library = wishes["library"]
        room = wishes["hidden"] is not None
        if room:
            _first_to_go()
            sandbox.enter(wishes["folder"], wishes["hidden"], library)
            library = sandbox.LIBRARY
        else:
            os.chdir(wishes["folder"])
        sys.path.insert(0, library)
        _confine(wishes["user"], room)
        serve(Channel(socket.socket(fileno=3)))
    except OSError as error:  # of this function: what the student's code raises ends in `serve`
        Channel(socket.socket(fileno=3)).send({"kind": "refused", "message": str(error)})
    finally:
        os._exit(70)


def _first_to_go() -> None:
    """Let the kernel end this process, and not the grader, where memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _close_all_from(first: int) -> None:
    listing = Path("/dev/fd")  # Linux and macOS
    with contextlib.suppress(OSError, ValueError):
        for descriptor in [int(entry.name) for entry in listing.iterdir()]:
            if descriptor >= first:
                with contextlib.suppress(OSError):
                    os.close(descriptor)


def _confine(user: int | None, room: bool) -> None:
    """Give up rights: after this nothing can be started or regained."""
    import resource

    if user is not None and not room:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    _prctl(NO_NEW_PRIVILEGES, 1)  # no sudo
    if not room:
        _prctl(DEATH_SIGNAL, signal.SIGKILL)
    for name, limit in (
        # Without a room: a file that cannot be written cannot be a results file.
        ("RLIMIT_FSIZE", sandbox.SCRATCH_BYTES if room else 0),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", 0),
        ("RLIMIT_NOFILE", 256),
        ("RLIMIT_DATA", 4 * GIB),
        ("RLIMIT_AS", ADDRESS_SPACE + 4 * GIB),
    ):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _end(pid: int, grace: float) -> int | None:
    """Wait a little for a child's own end, then end it and all that it left behind."""
    status, until = None, time.monotonic() + grace
    while status is None:
        with contextlib.suppress(ChildProcessError):
            found, code = os.waitpid(pid, os.WNOHANG)
            if found:
                status = os.waitstatus_to_exitcode(code)
                break
        if time.monotonic() > until:
            break
        time.sleep(0.005)
    for _ in range(100):
        for orphan in {pid, *_children()} if status is None else _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(orphan, signal.SIGKILL)
        if status is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            break
        time.sleep(0.005)
    return status


def _address_space() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return ADDRESS_SPACE


def _children() -> list[int]:
    listing = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):
        return [int(pid) for pid in listing.read_text().split()]
    return []


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main() -> None:
    """Start as process.py asks."""
    if sys.argv[1] == "zygote":
        zygote(socket.socket(fileno=int(sys.argv[2])))
    torch.set_num_threads(1)
    sys.path.insert(0, os.environ.pop("MINIFT_LIBRARY"))
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    connection.sendall(os.environ.pop("MINIFT_TOKEN").encode())
    serve(Channel(connection))


if __name__ == "__main__":
    main()
