"""Ctrl-C while a command imports is one line, too; programs that import minift are left alone."""

import os
import signal
import sys
from pathlib import Path


def leave(*_: object) -> None:
    """End at once: nothing was begun."""
    os.write(2, b"minift: interrupted\n")
    os._exit(130)


command = Path(sys.argv[0]).name in ("-m", "minift", "minift.exe")  # -m: `python -m minift`
if command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # unlike with nohup
    signal.signal(signal.SIGINT, leave)
