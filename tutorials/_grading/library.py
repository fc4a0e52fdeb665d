"""The part of minift that is there while a student's code runs: what the assignment names.

Claim    What a task asks for cannot be called in place of writing it: its module is not in the
         student's process and, in the room (sandbox.py), not on its disk. An import of what is left
         out goes through, so that a file may have its measurements below its functions; to use it
         is an error that says so.
Proof    tests/test_graders.py (the library's own functions)
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Sequence
from pathlib import Path

import minift

STUB = '''"""The part of minift that is there while exercise.py is graded."""

import importlib.abc
import importlib.machinery
import sys


class Absent:
    """Something of minift that is not there."""

    def __init__(self, name):
        self.__name__ = name

    def _say(self, *_, **__):
        raise ImportError(
            f"{self.__name__} is not there while exercise.py is graded: what a task asks for is "
            "to be written, and what you measure with belongs under `if __name__ == '__main__':`"
        )

    __call__ = __iter__ = __getitem__ = __len__ = __enter__ = _say

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self._say()


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.startswith("minift."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__getattr__ = lambda name: _absent(module.__name__, name)


def _absent(module, name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent(f"{module}.{name}")


def __getattr__(name):
    return _absent("minift", name)


sys.meta_path.append(Finder())  # after all others: for what is not there
'''


def make(folder: Path, modules: Sequence[str]) -> None:
    """Write the package minift into a folder, with some of its modules only.

    Args:
        folder: gets minift/, readable by all.
        modules: such as "minift.bert.encoder"; what they import is to be among them.
    """
    source = Path(minift.__file__).resolve().parent
    there = ("minift.errors", *modules)
    for module in there:
        path = Path(*module.split("."))
        target = folder / path.with_suffix(".py")
        for parent in path.parents[:-1]:
            (folder / parent).mkdir(parents=True, exist_ok=True)
            (folder / parent / "__init__.py").touch()
        shutil.copyfile(source.parent / path.with_suffix(".py"), target)
    names = [
        ast.unparse(node)
        for node in ast.parse((source / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and node.module in there
    ]
    (folder / "minift" / "__init__.py").write_text(STUB + "\n".join([*names, ""]), encoding="utf-8")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
