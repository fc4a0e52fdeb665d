"""The heart stays small enough to be read in an hour, and the house stands in storeys.

claim                                                       oracle
loop and BitFit need at most 12 files and 1,225 lines,      imports read from the source
  with the heads 1,250
a room imports from its own storey or a lower one           the list of storeys in this file
no circle of imports                                        depth-first search over the source
no package bears the name of a public function              minift/__init__.py
deleting what is applied from outside leaves the heart      imports read from the source
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import minift
from tests.conftest import REPOSITORY

ROOT = REPOSITORY / "minift"
ROOTS = ("minift.training.loop", "minift.bert.heads", "minift.methods.bitfit")
MOST_FILES, MOST_LINES = 12, 1250
STOREYS = (
    ("errors", "version", "interrupts"),
    ("files",),
    ("journal",),
    ("bert",),
    ("data", "checkpoints"),
    ("training",),
    ("methods", "speed"),
    ("runs",),
    ("pretraining", "compact", "compare", "plots"),
    ("active",),
    ("label",),
    ("cli",),
    ("__main__", "__init__"),
)
STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(path: Path, inside_functions: bool = True) -> set[str]:
    """Modules of minift that a file imports; those for type checkers only do not count."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if not inside_functions and isinstance(node, ast.FunctionDef):
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minift"):
            whole = {f"{node.module}.{name.name}" for name in node.names} & MODULES.keys()
            found.update(whole or {node.module})
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names if name.name.startswith("minift"))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def heart(roots: tuple[str, ...] = ROOTS) -> dict[str, int]:
    """Lines of each file that the roots need, transitively."""
    found: dict[str, int] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        path = MODULES[module]
        if module in found or path.name == "__init__.py":
            continue
        found[module] = len(path.read_text(encoding="utf-8").splitlines())
        waiting += imports(path)
    return found


def test_the_heart_is_at_most_twelve_files_and_1250_lines():
    files = heart()
    assert len(files) <= MOST_FILES, sorted(files)
    assert sum(files.values()) <= MOST_LINES, sum(files.values())
    alone = heart(("minift.training.loop", "minift.methods.bitfit"))
    assert sum(alone.values()) <= MOST_LINES - 25, sum(alone.values())


def test_what_is_applied_from_outside_is_not_needed_by_the_heart():
    rooms = {module.split(".")[1] for module in heart()}
    assert rooms == {"errors", "bert", "training", "methods"}


def test_a_room_imports_from_its_own_storey_or_a_lower_one():
    upwards = []
    for module, path in MODULES.items():
        room = module.split(".")[1] if "." in module else "__init__"
        for other in imports(path):
            own = "__init__" if other == "minift" else other.split(".")[1]
            if STOREY[own] > STOREY[room]:
                upwards.append(f"{module} -> {other}")
    assert upwards == []


def test_no_module_imports_itself_through_others():
    needs = {module: imports(path, inside_functions=False) for module, path in MODULES.items()}
    done: set[str] = set()

    def search(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done and module in needs:
            for other in needs[module]:
                search(other, (*trail, module))
            done.add(module)

    for module in MODULES:
        if module != "minift":
            search(module, ())


def test_no_package_bears_the_name_of_a_public_function():
    packages = {path.parent.name for path in ROOT.rglob("__init__.py")} - {"minift"}
    public = re.findall(r" as (\w+)$", Path(minift.__file__).read_text(), re.MULTILINE)
    assert "fine_tune" in public and packages & set(public) == set()


ORDER = (  # of reading
    *("errors", "bert.config", "bert.packing", "bert.dropout", "bert.encoder", "bert.heads"),
    *("bert.names", "training.batches", "training.schedules", "training.loop", "methods.bitfit"),
)


def table() -> str:
    """The table of the heart in minift/README.md, as the source says it."""
    files = heart()
    rows = ["| file | lines | minutes |", "|---|---|---|"]
    for name in ORDER:
        path, lines = f"{name.replace('.', '/')}.py", files[f"minift.{name}"]
        rows.append(f"| [`minift/{path}`]({path}) | {lines} | {max(1, round(lines / 20))} |")
    total = sum(files.values())
    return "\n".join([*rows, f"| together | {total:,} | {round(total / 20)} |"])


def test_a_page_names_the_files_of_the_heart_with_their_lines_and_minutes():
    assert {f"minift.{name}" for name in ORDER} == heart().keys()
    readme = (REPOSITORY / "minift/README.md").read_text(encoding="utf-8")
    printed = re.search(r"<!-- heart -->\n(.*?)\n<!-- end -->", readme, re.DOTALL)
    assert printed is not None and printed[1] == table()
    front = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert f"the heart is {len(ORDER)} files and an hour" in front
