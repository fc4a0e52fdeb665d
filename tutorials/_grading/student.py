"""The grader's side of the channel: ask a submission something, and get a value or a failure.

Claim    Whatever a submission does (loops, ends its process, prints without end, writes into the
         channel), `attempt` returns in bounded time, with its value or with a `Failure` whose
         sentence is true. After a death the next question goes to a fresh process.
Proof    tests/test_graders.py (hostile submissions)
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from _grading import codec
from _grading.checks import Wrong
from _grading.process import START_SECONDS, Child, GraderError, Launcher

SIGXCPU = 24


@dataclass(frozen=True)
class Limits:
    """How long one question may take.

    Args:
        processor: seconds of processor time.
        clock: seconds by the clock, for what sleeps; long, since a busy machine is not a mistake.
        total: seconds by the clock for all questions; after that nothing more is asked.
    """

    processor: int = 5
    clock: float = 40.0
    total: float = 300.0


@dataclass(frozen=True)
class Failure:
    """What came instead of a value.

    Args:
        kind: "load" (exercise.py cannot be imported), "missing", "not done", "raised", "wrong"
            (said by the harness), "type", "time" or "died".
        sentence: for the student.
        types: of "raised": names of the exception's class and of those above it.
        message: of "raised": its text.
    """

    kind: str
    sentence: str
    types: tuple[str, ...] = ()
    message: str = ""


class Student:
    """One submission.

    Args:
        launcher: where its processes come from.
        exercise: text of exercise.py.
        harness: text of the assignment's harness.py, if it has one.
        limits: of each question.
        modules: of minift, that it may use.
    """

    def __init__(
        self,
        launcher: Launcher,
        exercise: str,
        harness: str | None = None,
        limits: Limits | None = None,
        modules: Sequence[str] = (),
    ):
        self._launcher, self._limits, self._modules = launcher, limits or Limits(), modules
        self._job = {
            "exercise": exercise,
            "harness": harness,
            "path": "exercise.py",
            "seconds": self._limits.processor,
        }
        self._shown = _students_functions(harness or "")
        self._child: Child | None = None
        self._unloadable: Failure | None = None
        self._count = 0
        self._spent = 0.0
        self.output = ""
        self.asked = "exercise.py"  # the last question was about this

    def call(self, name: str, *args: Any) -> Any:
        """Return what a function of harness.py or exercise.py returns.

        Raises:
            Wrong: with the failure's sentence, if there is none.
        """
        return _value(self.attempt(name, *args))

    def get(self, name: str) -> Any:
        """Return a variable of exercise.py, such as ANSWERS.

        Raises:
            Wrong: if it is not there.
        """
        return _value(self._ask(name, None, None))

    def attempt(self, name: str, *args: Any) -> Any | Failure:
        """Return what a function returns, or a `Failure`: for checks of what must be refused."""
        return self._ask(name, list(args), None)

    def try_test(self, name: str, candidate: Callable, *args: Any) -> Failure | None:
        """Run the student's test `name(candidate, *args)`; None if it lets the candidate pass.

        The candidate runs here, with limits of its own; the child gets its answers only.
        """
        answer = self._ask(name, list(args), candidate)
        return answer if isinstance(answer, Failure) else None

    def answer(self, key: str) -> Any:
        """Return ANSWERS[key].

        Raises:
            Wrong: if it is not there, or still None.
        """
        answers = self.get("ANSWERS")
        if not isinstance(answers, dict) or key not in answers:
            raise Wrong(f'exercise.py has no ANSWERS["{key}"]; take the line from the hand-out')
        if answers[key] is None:
            raise Wrong(f'not done yet: ANSWERS["{key}"] is still None')
        return answers[key]

    def restart(self) -> None:
        """End the process, so that the next question meets a fresh one."""
        if self._child:
            self._end(grace=0.0)

    close = restart

    def _ask(self, name: str, args: list | None, candidate: Callable | None) -> Any | Failure:
        if self._spent >= self._limits.total:
            said = (
                f"it has taken {self._spent:.0f} seconds, and {self._limits.total:.0f} are allowed"
            )
            return Failure("load", f"exercise.py is asked no more: {said}")
        if failure := self._load():
            return failure
        self._count += 1
        request = {"name": name, "id": self._count, "seconds": self._limits.processor}
        if args is not None:
            request |= {"args": args, "candidate": candidate is not None}
        frame = codec.encode(request)  # too large an argument is the author's mistake: it raises
        self.asked = f"`{self._shown.get(name, name)}`"
        return self._exchange(frame, self.asked, candidate)

    def _load(self) -> Failure | None:
        if self._unloadable or self._child:
            return self._unloadable
        self._child = self._launcher.start(self._modules)
        self._await_child(self._child)
        answer = self._exchange(codec.encode(self._job), "exercise.py", None)
        if isinstance(answer, Failure):
            sentence = answer.sentence.removeprefix("exercise.py ")
            self._unloadable = Failure("load", f"exercise.py cannot be loaded: it {sentence}")
            self.restart()
        return self._unloadable

    def _await_child(self, child: Child) -> None:
        """Wait until it is where it belongs; nothing of the student's has run yet."""
        try:
            found = self._receive(child.connection, time.monotonic() + START_SECONDS)
        except (OSError, ValueError, KeyError) as error:
            found = {"kind": "lost", "message": f"{type(error).__name__}: {error}"}
        if found["kind"] != "ready":
            self.restart()
            raise GraderError(f"cannot start the student's process: {found.get('message')}")

    def _exchange(self, frame: bytes, what: str, candidate: Callable | None) -> Any | Failure:
        connection = self._child.connection
        start = time.monotonic()
        until = start + self._limits.clock
        try:
            self._send(connection, frame, until)
            while True:
                reply = self._receive(connection, until)
                if candidate is None or reply["kind"] != "call":
                    break
                self._send(connection, codec.encode(_ran(candidate, reply["args"])), until)
            if reply.get("id", self._count) != self._count:
                raise codec.CodecError("an answer to another question")
            return (
                with_numbers(reply["value"]) if reply["kind"] == "value" else _failure(reply, what)
            )
        except TimeoutError:
            self._end(grace=0.0)
            return self._too_long(what)
        except (codec.CodecError, LookupError, TypeError, AttributeError, ValueError):
            self._end(grace=0.0)
            return Failure("died", f"{what} wrote into the grader's channel; leave it alone")
        except OSError:
            return self._death(self._end(grace=1.0), what)
        finally:
            self._spent += time.monotonic() - start

    def _death(self, status: int | None, what: str) -> Failure:
        if status is not None and -status == SIGXCPU:
            return self._too_long(what)
        if status in (None, 70):  # 70 is child.py's own, when it cannot continue
            said = f"{what} closed the grader's channel, or ended what it runs in; leave both alone"
            return Failure("died", said)
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return Failure("died", f"{what} ended its process ({how}) instead of returning")

    def _too_long(self, what: str) -> Failure:
        return Failure(
            "time",
            f"{what} did not come back within {self._limits.processor} seconds of processor time; "
            "is there a loop that never ends?",
        )

    def _end(self, grace: float) -> int | None:
        child, self._child = self._child, None
        status = self._launcher.end(child, grace)
        time.sleep(0.01)  # for the last that it printed
        self.output = (self.output + child.output)[:20_200]
        return status

    @staticmethod
    def _send(connection: socket.socket, frame: bytes, until: float) -> None:
        connection.settimeout(_left(until))
        connection.sendall(frame)

    @staticmethod
    def _receive(connection: socket.socket, until: float) -> dict:
        def exactly(count: int) -> bytes:
            parts = bytearray()
            while len(parts) < count:
                connection.settimeout(_left(until))
                part = connection.recv(min(count - len(parts), 2**20))
                if not part:
                    raise OSError("closed")
                parts += part
            return bytes(parts)

        tree, numbers = codec.lengths(exactly(codec.HEAD.size))
        reply = codec.decode(exactly(tree), exactly(numbers))
        if not isinstance(reply, dict) or not isinstance(reply["kind"], str):
            raise codec.CodecError("no reply")
        return reply


def _left(until: float) -> float:
    """Return the seconds that are left, also for who answers a byte at a time.

    Raises:
        TimeoutError: if there are none.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _students_functions(harness: str) -> dict[str, str]:
    """Return for each function of a harness the one of exercise.py that it is about.

    A student knows the second and has never seen the first.
    """
    uses: dict[str, set[str]] = {}
    calls: dict[str, set[str]] = {}
    for node in ast.parse(harness).body:
        if isinstance(node, ast.FunctionDef):
            inside = list(ast.walk(node))
            calls[node.name] = {inner.id for inner in inside if isinstance(inner, ast.Name)}
            uses[node.name] = {
                inner.attr
                for inner in inside
                if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "exercise"
            }
    for _ in uses:  # as deep as functions can call each other
        for name in uses:
            uses[name] |= {used for other in calls[name] & set(uses) for used in uses[other]}
    return {name: "` or `".join(sorted(used)) for name, used in uses.items() if used}


def with_numbers(value: Any, inside: bool = False) -> Any:
    """Return an answer in which a tensor without dimensions that stands in a list is a number."""
    if isinstance(value, (list, tuple)):
        return type(value)(with_numbers(item, True) for item in value)
    if isinstance(value, dict):
        return {key: with_numbers(item) for key, item in value.items()}
    return value.item() if inside and isinstance(value, Tensor) and value.dim() == 0 else value


def _value(answer: Any) -> Any:
    if isinstance(answer, Failure):
        raise Wrong(answer.sentence)
    return answer


def _failure(reply: dict, what: str) -> Failure:
    """Put a reply that is not a value into one sentence."""
    kind, message = reply["kind"], _short(reply.get("message", ""))
    line = reply.get("line")
    where = f" (line {line} of exercise.py)" if isinstance(line, int) else ""
    if kind == "missing":
        return Failure(kind, f"exercise.py has no {what}; was it renamed, or deleted?")
    if kind == "not done":
        return Failure(kind, f"not done yet: {message or what}")
    if kind == "wrong":
        return Failure(kind, message)
    if kind == "type":
        message = message.replace("the value['value']", "the value", 1)  # that of the reply
        return Failure(kind, f"{what} returned what cannot be an answer: {message}")
    if kind != "raised":
        raise codec.CodecError("no such reply")
    types = tuple(map(_short, reply["types"]))
    if types[0] == "AttributeError" and message.startswith("module 'exercise' has no attribute"):
        return Failure("missing", f"exercise.py has no {what}; was it renamed, or deleted?")
    sentence = f"{what} raised {types[0]}{where}" + (f": {message}" if message else "")
    for known, said in (
        ("SystemExit", f"{what} calls exit(){where}: it must return instead"),
        ("EOFError", f"{what} reads from the keyboard{where}, and nobody sits there: no input()"),
        ("BlockingIOError", f"{what} starts another process{where}, which graded code may not do"),
    ):
        if types[0] == known:
            sentence = said
    if "OSError" in types:
        for number, said in (
            (27, "writes more than its folder holds"),  # or anything, where there is no sandbox
            (28, "writes more than its folder holds"),
            (30, "writes a file outside its folder"),
        ):
            if message.startswith(f"[Errno {number}]"):
                sentence = f"{what} {said}{where}, which graded code may not do"
    return Failure("raised", sentence, types, message)


def _short(text: Any) -> str:
    return " ".join(str(text).split())[:300]


def _ran(candidate: Callable, args: Any) -> dict:
    """Run a candidate on what the student's test hands it; its errors are answers too.

    They do not tell one program from another by its name or its lines: only a ValueError, by
    which all candidates refuse what is no task, keeps its words.
    """
    with contextlib.suppress(codec.CodecError):
        try:
            inspect.signature(candidate).bind(*args)
        except TypeError:
            return {
                "raised": "TypeError",
                "message": f"the candidate does not take {len(args)} arguments",
            }
        try:
            answer = {"value": candidate(*args)}
            codec.encode(answer)
            return answer
        except codec.CodecError:
            raise
        except ValueError as error:
            return {"raised": "ValueError", "message": str(error)[:300]}
        except Exception as error:
            return {"raised": type(error).__name__, "message": "the candidate raised this"}
    return {"raised": "ValueError", "message": "the result is too large to be sent"}
