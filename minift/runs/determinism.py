"""Same seed, same bytes on a GPU, too: PyTorch's deterministic algorithms, for as long as wanted.

Claim    Inside `deterministic(True)` an operation either gives the same bits each time or raises
         an error that names it; on a CPU the bits are those of a run without it.
Source   https://docs.pytorch.org/docs/stable/notes/randomness.html
Differs  The processes that a command starts inherit it through the environment.
Proof    tests/safety/test_determinism.py
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

VARIABLE = "MINIFT_DETERMINISTIC"
_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # read when CUDA's matrix library starts: before any product


def inherited() -> bool:
    """Whether the process that started this one was to be deterministic."""
    return os.environ.get(VARIABLE) == "1"


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use deterministic algorithms only, if `wanted`; afterwards everything is as it was.

    On a GPU this must be entered before the first computation of the process.
    """
    if not wanted:
        yield
        return
    import torch

    before = {name: os.environ.get(name) for name in (VARIABLE, _CUBLAS)}
    was, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    os.environ[VARIABLE] = "1"
    os.environ.setdefault(_CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was)
        torch.backends.cudnn.benchmark = benchmark
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
