"""The machine that a timing was taken on: a speed without it means nothing.

Proof    tests/runs/test_machine.py
"""

import contextlib
import os
import platform
from pathlib import Path

import torch

from minift.version import __version__


def machine(device: str = "cpu") -> str:
    """Name what a timing depends on: processor, cores, memory, system, versions."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):  # Linux
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line for line in lines if line.startswith("model name")).split(": ")[1]
    parts = [name, f"{os.cpu_count()} cores"]
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on Windows
        gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        parts.append(f"{gigabytes:.0f} GB")
    if device.startswith("cuda"):
        parts.append(torch.cuda.get_device_name(device))
    parts += ["Apple's GPU"] * device.startswith("mps")
    parts += [f"{platform.system()} {platform.release()}", f"Python {platform.python_version()}"]
    return ", ".join([*parts, f"torch {torch.__version__}", f"minift {__version__}"])
