"""Ctrl-C while a command still imports is one line, too; other programs that import minift keep it.

Proof    tests/cli/test_main.py
"""

import os
import signal
import sys
from pathlib import Path


def leave(*_: object) -> None:
    """End at once: nothing was begun."""
    os.write(2, b"minift: interrupted\n")
    os._exit(130)


def exchange(old: object, new: object) -> None:
    """Let another handler answer Ctrl-C, if `old` is the one that does."""
    if signal.getsignal(signal.SIGINT) is old:
        signal.signal(signal.SIGINT, new)  # type: ignore[arg-type]


if Path(sys.argv[0]).name in ("-m", "minift", "minift.exe"):  # -m: `python -m minift` imports
    exchange(signal.default_int_handler, leave)
