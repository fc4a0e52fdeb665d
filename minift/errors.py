"""The one exception a user can cause; the command line prints it as a single line."""

import difflib
from collections.abc import Iterable


class MiniftError(ValueError):
    """Bad input: the message says what was got, what was expected, where, and what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean "x"?' for the closest other name, or ''."""
    match = difflib.get_close_matches(name, [k for k in known if k != name], n=1, cutoff=0.5)
    return f'; did you mean "{match[0]}"?' if match else ""


def require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raise MiniftError with the known names, and the nearest, if `name` is none of them."""
    if name not in (known := list(known)):
        raise MiniftError(
            f'unknown {what} "{name}"; known: {", ".join(known)}{nearest(str(name), known)}'
        )


def require(good: bool, name: str, got: object, expected: str) -> None:
    """Raise "NAME must be EXPECTED, got GOT" unless `good`: how settings judge their values."""
    if not good:
        raise MiniftError(f"{name} must be {expected}, got {got!r}")
