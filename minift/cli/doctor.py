"""`minift doctor`: is everything there?

Claim    Each line says what was looked at, what was found and, if it is wrong, what to do.
Differs  Versions are compared with the ranges that minift states as a package and the tests ran
         with; pip checks them when it installs minift, and never again.
Proof    tests/cli/test_doctor.py
"""

import importlib.metadata
import shutil
from collections.abc import Iterator
from typing import NamedTuple

import torch

from minift.cli import options
from minift.errors import MiniftError
from minift.speed.precision import processor_flags, require_bf16


def add(commands: options.Commands) -> None:
    """Give the command its parser."""
    options.command(commands, "doctor", run, "what is there, and what is missing")


def run(_: options.Arguments) -> None:
    """Look at everything, and show what was found."""
    from minift.runs.machine import machine

    print(machine())
    found = [*findings()]
    print(*found, sep="\n")
    if wrong := [finding.what for finding in found if finding.state == "fix"]:
        raise MiniftError(f"please fix {', '.join(wrong)} (see above)")


class Finding(NamedTuple):
    """One line of the doctor's answer."""

    what: str  # was looked at
    state: str  # "ok"; "note": somebody should know; "fix": minift will not work
    says: str  # what was found, and what to do

    def __str__(self) -> str:
        return f"{self.state:<5}{self.what:<17}{self.says}"


def findings() -> Iterator[Finding]:
    """Yield what the installation has and lacks; nothing is measured or fetched."""
    try:
        stated = importlib.metadata.requires("minift") or ()
        yield from (version_finding(needed) for needed in stated if "extra ==" not in needed)
    except importlib.metadata.PackageNotFoundError:
        yield Finding("minift", "note", "is not installed, so nothing states versions: pip install")
    yield gpu_finding()
    yield bf16_finding(processor_flags())


def version_finding(stated: str) -> Finding:
    """Compare the installed version of a package with the range that was tested."""
    from packaging.requirements import Requirement
    from packaging.version import Version

    needed = Requirement(stated)
    name, tested = needed.name, needed.specifier
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "fix", f"is not installed: pip install {name}")
    release = Version(version).base_version  # without a0, +cpu
    if release in tested:
        return Finding(name, "ok", f"{version} (tested: {tested})")
    oldest = next(Version(part.version) for part in tested if part.operator == ">=")
    if Version(release) < oldest:
        return Finding(name, "fix", f'{version} is too old: pip install --upgrade "{needed}"')
    return Finding(name, "note", f"{version} is newer than what was tested: {tested}")


def gpu_finding() -> Finding:
    """Say whether PyTorch sees a GPU, and if not, whether one seems to be there."""
    if torch.cuda.is_available():
        about = torch.cuda.get_device_properties(0)
        return Finding("GPU", "ok", f"{about.name}, {about.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        return Finding("GPU", "ok", "Apple's: --device mps takes it; minift was never run on one")
    if shutil.which("nvidia-smi") is None:
        return Finding("GPU", "ok", "none; minift computes on the processor")
    return Finding(
        "GPU",
        "note",
        "there seems to be one (nvidia-smi is installed), but this PyTorch, built for "
        f"{torch.version.cuda or 'CPUs only'}, does not see it; see pytorch.org/get-started",
    )


def bf16_finding(flags: frozenset[str] | None) -> Finding:
    """Say whether bf16 makes sense on this processor."""
    try:
        says = f"the processor has it ({require_bf16(flags)}): --precision bf16 is faster"
    except MiniftError as error:
        says = str(error)
    return Finding("bf16", "ok", says)
