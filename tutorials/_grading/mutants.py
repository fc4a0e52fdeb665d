"""Wrong solutions on purpose: what the graders themselves are tested with.

Claim    A mutant is a solution with one mistake that people make. It must lose exactly one check,
         with words about that mistake.
Proof    tests/test_graders.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from _grading.checks import _module
from minift.errors import MiniftError


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Args:
        name: the mistake in a few words.
        old: text that stands exactly once in the solution.
        new: what takes its place.
        loses: the check that must find it.
        says: part of the sentence that the student must read.
        base: the solution that is changed.
        also: further checks that it loses, where it does nothing at all.
    """

    name: str
    old: str
    new: str
    loses: str
    says: str
    base: str = "solution.py"
    also: tuple[str, ...] = ()

    def source(self, folder: Path) -> str:
        """Return the wrong exercise.py.

        Raises:
            MiniftError: if `old` does not stand exactly once in the solution.
        """
        solution = (folder / "instructor" / self.base).read_text(encoding="utf-8")
        if (count := solution.count(self.old)) != 1:
            raise MiniftError(
                f'{folder.name}, mutant "{self.name}": its old text stands {count} times in '
                f"{self.base}, not once"
            )
        return solution.replace(self.old, self.new)


def mutants(folder: Path) -> list[Mutant]:
    """Return the table of an assignment's instructor/mutants.py."""
    path = folder / "instructor" / "mutants.py"
    return _module(path, f"mutants_{folder.name}").MUTANTS
