"""What the author of an assignment writes: tasks, and checks that return or say what is wrong.

Claim    A hidden check is a public one with other draws: everything that a check varies comes
         from its `Draw`, which is made of the term's salt and the check's name.
Proof    tests/tutorials/test_grading_checks.py
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import random
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import current_thread, main_thread
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from minift.errors import MiniftError, nearest

PUBLIC = "public"  # the salt of the checks that students have


class Wrong(Exception):
    """One sentence to the student, found from evidence.

    Args:
        sentence: what is wrong, and where that shows.
        share: of the check's points that are given nevertheless, for "write the test".
    """

    def __init__(self, sentence: str, share: float = 0.0):
        super().__init__(sentence)
        self.share = share


class Later(Exception):
    """One sentence to the student: this is in order so far, and judged after handing in."""


@dataclass(frozen=True)
class Task:
    """A task as the hand-out has it.

    Args:
        title: a few words.
        minutes: expected.
        hand: points that a person gives, by instructor/rubric.md.
    """

    title: str
    minutes: int
    hand: int = 0


@dataclass(frozen=True)
class Check:
    """A function `(student, draw) -> None` with its task and points.

    Args:
        function: the check.
        task, points: as the hand-out has them.
        public: how students get it: "open", as it is, where it computes no right answer; else as
            recorded answers, of which this function, if there is one, keeps what counts.
        tolerance: of recorded numbers.
    """

    function: Callable
    task: int
    points: int
    public: str | Callable[[Any], Any] | None = None
    tolerance: float = 1e-6

    @property
    def name(self) -> str:
        """Name of the function: check_something."""
        return self.function.__name__


@contextlib.contextmanager
def at_most(seconds: float, error: Exception, own: bool = False) -> Iterator[None]:
    """Raise an error in what takes longer, where the system can.

    Args:
        seconds: by the clock.
        error: what is raised.
        own: whether it is this process's processor time that counts, and no waiting.
    """
    if not hasattr(signal, "setitimer") or current_thread() is not main_thread():
        yield
        return
    number = signal.SIGPROF if own else signal.SIGALRM
    timer = signal.ITIMER_PROF if own else signal.ITIMER_REAL

    def stop(*_: Any) -> None:
        raise error

    before = signal.signal(number, stop)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(number, before)


def check(
    task: int,
    points: int,
    public: str | Callable[[Any], Any] | None = None,
    tolerance: float = 1e-6,
) -> Callable[[Callable], Callable]:
    """Mark a function of check_exercise.py as a check of `task` worth `points`; see `Check`."""

    def mark(function: Callable) -> Callable:
        function.graded = Check(function, task, points, public, tolerance)
        return function

    return mark


class Draw:
    """Everything that varies in a check.

    Args:
        salt: of the term; the same salt gives the same draws everywhere.
        name: of the assignment and the check.

    Attributes:
        random: a `random.Random`.
        torch: a `torch.Generator`.
        question: of this term, for "measure": what stands in the hand-out as QUESTION.
    """

    def __init__(self, salt: str, name: str, question: dict[str, Any] | None = None):
        self.question = question or {}
        digest = hashlib.sha256(f"{salt}\n{name}".encode()).digest()
        self.random = random.Random(digest)
        self.torch = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))

    def integer(self, low: int, high: int) -> int:
        """Return an int from `low` to `high`, both included."""
        return self.random.randint(low, high)

    def seed(self) -> int:
        """Return a seed for a harness."""
        return self.random.randrange(2**31)

    def choice(self, options: Sequence) -> Any:
        """Return one of them."""
        return self.random.choice(options)

    def normal(self, *shape: int) -> Tensor:
        """Return a float64 tensor of that shape, mean 0 and variance 1."""
        return torch.randn(*shape, generator=self.torch, dtype=torch.float64)


@dataclass(frozen=True)
class Assignment:
    """A folder NN_name with assignment.md, exercise.py and check_exercise.py.

    Args:
        folder: where it is.
        name: NN_name, also in a bundle whose folder is called something else.
        title: of the assignment.
        tasks: by number.
        checks: by task, then in the order written.
        modules: of minift, that are there while a submission runs; no other is.
        asked: the public QUESTION of "measure".
        ask: draws that of a term.
        answers: gives the right numbers for one.
        harness: text of harness.py, if there is one.
    """

    folder: Path
    name: str
    title: str
    tasks: dict[int, Task]
    checks: tuple[Check, ...]
    modules: tuple[str, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)
    ask: Callable[[Draw], dict[str, Any]] | None = None
    answers: Callable[[dict[str, Any]], dict[str, float]] = lambda question: {}
    harness: str | None = field(default=None, repr=False)

    @property
    def points(self) -> int:
        """Points that the machine gives."""
        return sum(check.points for check in self.checks)

    @property
    def hand_points(self) -> int:
        """Points that a person gives."""
        return sum(task.hand for task in self.tasks.values())

    def draw(self, check: Check, salt: str) -> Draw:
        """Return the draws of a check in a term."""
        return Draw(salt, f"{self.name}/{check.name}", self.question(salt))

    def question(self, salt: str) -> dict[str, Any]:
        """Return the QUESTION of a term: it stands in what that term's students get."""
        if salt == PUBLIC or self.ask is None:
            return self.asked
        return self.ask(Draw(salt, f"{self.name}/question"))


def load(folder: Path) -> Assignment:
    """Read an assignment.

    Raises:
        MiniftError: if its check_exercise.py does not hold together.
    """
    module = _module(folder / "check_exercise.py", f"check_{folder.name}")
    marked = [f.graded for f in vars(module).values() if hasattr(f, "graded")]
    tasks = module.TASKS
    for check in marked:
        if check.task not in tasks:
            raise MiniftError(f"{folder.name}: {check.name} is of task {check.task}, not in TASKS")
    harness, name = folder / "harness.py", folder / "NAME"
    return Assignment(
        folder,
        name.read_text(encoding="utf-8").strip() if name.is_file() else folder.name,
        module.TITLE,
        tasks,
        tuple(sorted(marked, key=lambda check: check.task)),
        tuple(getattr(module, "WITH", ())),
        getattr(module, "QUESTION", {}),
        getattr(module, "ask", None),
        getattr(module, "answers", lambda question: {}),
        harness.read_text(encoding="utf-8") if harness.is_file() else None,
    )


def find(root: Path, name: str | None = None) -> list[Path]:
    """Return the folders of all assignments under `root`, or of the one that `name` begins.

    Raises:
        MiniftError: if there is no such assignment.
    """
    if (root / "check_exercise.py").is_file():  # a student's bundle is one assignment
        return [root]
    folders = sorted(p.parent for p in root.glob("*/check_exercise.py"))
    if name is None:
        return folders
    found = [f for f in folders if f.name == name or re.match(rf"{re.escape(name)}(_|$)", f.name)]
    if len(found) != 1:
        known = ", ".join(f.name for f in folders) or "none"
        hint = nearest(name, [f.name for f in folders])
        raise MiniftError(f'no assignment "{name}"{hint} (there are: {known})')
    return found


def _module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
