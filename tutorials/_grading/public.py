"""From an assignment's checks to those of its hand-out, which compute no right answer.

Claim    A check marked "open" is handed out as it is, with what it uses; any other as what the
         author's programs answered under the public salt (recorded.py). The programs of "write the
         test", the numbers of "measure", and every reference stay here.
Proof    tests/tutorials/test_grading_public.py
"""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

from _grading import codec
from _grading.checks import PUBLIC, Assignment, Check, Wrong
from _grading.mutants import mutants
from _grading.recorded import FILE, sealed, what_counts
from _grading.rehearsal import Rehearsal
from _grading.student import Failure

HEAD = '''"""The public checks of assignment {name}, made of the hidden ones; do not edit.

What is not here stands in {file}: questions, and the right answers as hashes.
"""

from __future__ import annotations

from pathlib import Path

from _grading.recorded import recorded
{imports}

HERE = Path(__file__).parent

'''
KEPT = ("TITLE", "TASKS", "WITH")


def files(assignment: Assignment) -> dict[str, str]:
    """Return what of the checks is handed out: check_exercise.py and recorded.json."""
    programs = _programs(assignment)
    content = {
        c.name: record(assignment, c, programs) for c in assignment.checks if c.public != "open"
    }
    return {
        "check_exercise.py": _source(assignment),
        FILE: json.dumps(content, separators=(",", ":")) + "\n",
    }


# --- what is recorded -------------------------------------------------------------------------


class _Recorder(Rehearsal):
    """A rehearsal that keeps what was asked and answered."""

    def __init__(self, exercise: str, harness: str | None):
        super().__init__(exercise, harness)
        self.asked_for: list[tuple[str, list, Any]] = []
        self.numbers: list[str] = []
        self.test = ""

    def answer(self, key: str) -> Any:
        self.numbers.append(key)
        return super().answer(key)

    def _ask(self, name: str, args: list | None, candidate: Callable | None) -> Any | Failure:
        answer = super()._ask(name, args, candidate)
        if candidate is not None:
            self.test = name
        elif args is not None:
            self.asked_for.append((name, args, answer))
        return answer


def _programs(assignment: Assignment) -> list[str]:
    """Return the right solutions first, then known mistakes, and the hand-out with its bugs."""
    folder = assignment.folder
    right = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("instructor/sol*.py"))]
    wrong = [mutant.source(folder) for mutant in mutants(folder)]
    return [*right, *wrong, (folder / "exercise.py").read_text(encoding="utf-8")]


def record(assignment: Assignment, check: Check, programs: Iterable[str]) -> dict[str, Any]:
    """Return what a hand-out has of a check."""
    found: dict[str, Any] = {"task": check.task, "points": check.points}
    asks: list[str] = []
    traces: dict[str, dict] = {}
    for program in programs:
        student = _Recorder(program, assignment.harness)
        sentence, share = "", 1.0
        try:
            check.function(student, assignment.draw(check, PUBLIC))
        except Wrong as wrong:
            sentence, share = str(wrong), wrong.share
        if student.test:
            return found | {"test": student.test}
        if student.numbers:
            return found | {"answers": student.numbers}
        trace: dict[str, Any] = {"asks": [], "answers": [], "sentence": sentence, "share": share}
        for name, args, answer in student.asked_for:
            frame = base64.b64encode(codec.encode([name, args])).decode()
            if frame not in asks:
                asks.append(frame)
            trace["asks"].append(asks.index(frame))
            counted = what_counts(_canon(check), answer)
            trace["answers"].append(sealed(counted, check.name, check.tolerance))
        traces.setdefault(json.dumps([trace["asks"], trace["answers"]]), trace)
    return found | {"asks": asks, "traces": list(traces.values())}


def _canon(check: Check) -> Callable | None:
    return check.public if callable(check.public) else None


# --- what is handed out as it is --------------------------------------------------------------


def _source(assignment: Assignment) -> str:
    """Return check_exercise.py of the hand-out."""
    text = (assignment.folder / "check_exercise.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    imports, defined = {}, {}
    for node in ast.parse(text).body:
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        source = "\n".join(lines[start - 1 : node.end_lineno])
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                name = (alias.asname or alias.name).split(".")[0]
                imports[name] = ast.unparse(_one(node, alias))
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.FunctionDef)):
            for name in _bound(node):
                defined[name] = (node, source)
    wanted, calls = {name for name in KEPT if name in defined}, []
    for check in assignment.checks:
        node, _ = defined[check.name]
        if check.public == "open":
            wanted.add(check.name)
            calls.append("")
            continue
        words = {k.arg: k.value for d in node.decorator_list for k in d.keywords}
        given = [ast.unparse(words["public"])] if "public" in words else []
        given += [f"tolerance={check.tolerance!r}"] if "tolerance" in words else []
        calls.append(f"{check.name} = recorded({', '.join(['HERE', repr(check.name), *given])})")
        wanted |= _used(words["public"]) if "public" in words else set()
    there: set[str] = set()
    while missing := wanted - there:
        there |= missing
        for name in missing & set(defined):
            wanted |= _used(defined[name][0])
    body, given_out = [], set()
    for name, (node, source) in defined.items():
        if name in there and id(node) not in given_out and name not in _names(assignment):
            given_out.add(id(node))
            body.append(source)
    for check, call in zip(assignment.checks, calls):
        body.append(call or defined[check.name][1])
    needed = sorted({line for name, line in imports.items() if name in there})
    head = HEAD.format(name=assignment.name, file=FILE, imports="\n".join(needed))
    return head + "\n\n".join(body) + "\n"


def _names(assignment: Assignment) -> set[str]:
    return {check.name for check in assignment.checks}


def _one(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    """Return an import of one name."""
    if isinstance(node, ast.Import):
        return ast.Import(names=[alias])
    return ast.ImportFrom(module=node.module, names=[alias], level=node.level)


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def _used(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
