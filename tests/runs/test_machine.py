"""The machine a timing was taken on.

claim                                              oracle
processor, cores and versions are named            the system's own words
"""

from __future__ import annotations

import os
import platform

import torch

import minift
from minift.runs.machine import machine


def test_the_machine_is_named_with_all_that_a_timing_depends_on():
    said = machine()
    assert f"{os.cpu_count()} cores" in said
    assert f"Python {platform.python_version()}" in said
    assert said.endswith(f"torch {torch.__version__}, minift {minift.__version__}")
    assert len(said.split(", ")[0]) > 2
    assert "Apple" not in said and ", Apple's GPU, " in machine("mps")
