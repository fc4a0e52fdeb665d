"""A program of the author's own, asked as a student's is, in this process: quick, and no room.

Claim    What a check sees of it is what it would see of the same program handed in: values go
         through the same bytes, and failures have the same sentences.
Differs  For the author's solutions and mistakes only: whatever is run here has the grader's rights.
Proof    tests/tutorials/test_grading_public.py
"""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch

from _grading import child, codec
from _grading.student import Failure, Student, _failure, _ran, _students_functions


class Rehearsal(Student):
    """Answers as `Student` does.

    Args:
        exercise: text of an exercise.py.
        harness: text of the assignment's harness.py, if it has one.
        changed: functions that return something else: name -> what is called in its place.
    """

    def __init__(
        self, exercise: str, harness: str | None, changed: Mapping[str, Callable] | None = None
    ):
        random.seed(0)
        torch.manual_seed(0)
        self._modules = []
        self._shown = _students_functions(harness or "")
        self.asked, self.output = "exercise.py", ""
        before = {name: sys.modules.get(name) for name in ("exercise", "harness")}
        for name, source in (("exercise", exercise), ("harness", harness)):
            if source is None:
                continue
            module = types.ModuleType(name)
            sys.modules[name] = module
            if name == "harness":
                module.Wrong = child.Wrong
            exec(compile(source, f"{name}.py", "exec"), module.__dict__)
            if name == "exercise":
                vars(module).update(changed or {})
            self._modules.insert(0, module)
        for name, module in before.items():
            sys.modules.pop(name, None)
            sys.modules.update({name: module} if module else {})

    def restart(self) -> None:
        """Do nothing: there is no process to end."""

    close = restart

    def _ask(self, name: str, args: list | None, candidate: Callable | None) -> Any | Failure:
        self.asked = f"`{self._shown.get(name, name)}`"
        owner = next((m for m in self._modules if hasattr(m, name)), None)
        if owner is None:
            return _failure({"kind": "missing"}, self.asked)
        if args is None:
            return _sent(getattr(owner, name))
        given = [_sent(arg) for arg in args]
        if candidate is not None:
            given.insert(0, _called_back(candidate))
        reply = child._outcome(lambda: getattr(owner, name)(*given), "exercise.py")
        try:
            reply = _sent(reply)
        except codec.CodecError as error:
            reply = {"kind": "type", "message": str(error)}
        return reply["value"] if reply["kind"] == "value" else _failure(reply, self.asked)


def _sent(value: Any) -> Any:
    frame = codec.encode(value)
    tree, _ = codec.lengths(frame[: codec.HEAD.size])
    cut = codec.HEAD.size + tree
    return codec.decode(frame[codec.HEAD.size : cut], frame[cut:])


def _called_back(candidate: Callable) -> Callable:
    def called(*args: Any) -> Any:
        answer = _ran(candidate, _sent(list(args)))
        if "raised" in answer:
            raise getattr(child.builtins, answer["raised"], RuntimeError)(answer["message"])
        return answer["value"]

    return called
