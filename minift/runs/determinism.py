"""Same seed, same bytes on a GPU, too: PyTorch's deterministic algorithms, for as long as wanted.

Claim    Inside `deterministic(True)` an operation either gives the same bits each time or raises
         an error that names it; on a CPU the bits are those of a run without it.
Source   https://docs.pytorch.org/docs/stable/notes/randomness.html
Proof    tests/safety/test_determinism.py
"""

import contextlib
import os
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Use deterministic algorithms only, if `wanted`; afterwards as before.

    On a GPU this must be entered before the first computation of the process.
    """
    was = torch.are_deterministic_algorithms_enabled()
    if wanted:  # CUDA's matrix library reads this when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was)
