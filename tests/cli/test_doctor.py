"""`minift doctor` tells the truth about an installation and a machine.

claim                                                        oracle
a version is too old, tested, or newer than tested           versions on both sides of each end
what is said of bf16 is what the processor has               flags of two processors
a GPU that PyTorch does not see is not passed over           a stand-in for nvidia-smi
a GPU is taken where PyTorch has it, and refused elsewhere   PyTorch's answers, replaced
Apple's GPU is named, as one that was never tested           PyTorch's answer, replaced
"""

from __future__ import annotations

import pytest
import torch

import minift.cli.doctor as module
from minift.cli import options
from minift.cli.doctor import (
    Finding,
    bf16_finding,
    findings,
    gpu_finding,
    version_finding,
)
from minift.cli.main import main, parser
from minift.errors import MiniftError

AVX2_ONLY = frozenset("fpu sse sse2 avx avx2 fma f16c".split())  # noqa: SIM905


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("2.5.1", "fix"),
        ("2.6.0", "ok"),
        ("2.6.0+cpu", "ok"),
        ("2.13.0", "ok"),
        ("2.9", "ok"),  # as a text it would be after 2.13
        ("2.14.0", "note"),
        ("2.14.0a0+git12", "note"),
        ("3", "note"),
    ],
)
def test_a_version_is_too_old_tested_or_newer(version, state, monkeypatch):
    monkeypatch.setattr(module.importlib.metadata, "version", lambda _: version)
    found = version_finding("torch<2.14,>=2.6")
    assert (found.what, found.state) == ("torch", state)
    assert version in found.says and "2.14" in found.says
    assert ('pip install --upgrade "torch<2.14,>=2.6"' in found.says) == (state == "fix")


def test_the_packages_of_this_environment_are_found_and_nothing_of_an_extra():
    found = {f.what: f for f in findings()}
    assert {"torch", "numpy", "GPU", "bf16"} <= set(found)
    assert "pytest" not in found
    assert torch.__version__.split("+")[0] in found["torch"].says
    assert all(found[name].state != "fix" for name in found)


def test_a_package_that_is_not_there_is_to_be_fixed(monkeypatch, capsys):
    needed = ["no-such-package-at-all>=1"]
    monkeypatch.setattr(module.importlib.metadata, "requires", lambda _: needed)
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    assert "please fix no-such-package-at-all" in said.err
    assert "pip install no-such-package-at-all" in said.out


def test_what_is_said_of_bf16_is_what_the_processor_has():
    assert "refused" in bf16_finding(AVX2_ONLY).says
    assert "(amx_bf16): --precision bf16" in bf16_finding(AVX2_ONLY | {"amx_bf16"}).says


def test_a_gpu_that_pytorch_does_not_see_is_not_passed_over(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert "Apple's: --device mps takes it; minift was never run on one" in str(gpu_finding())
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    assert gpu_finding() == Finding("GPU", "ok", "none; minift computes on the processor")
    monkeypatch.setattr(module.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert gpu_finding().state == "note"
    assert "built for CPUs only, does not see it" in gpu_finding().says
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    assert "built for 12.4, does not see it" in gpu_finding().says


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_gpu_is_taken_where_pytorch_has_it_and_refused_elsewhere(name, monkeypatch):
    there = {"cuda": torch.cuda, "mps": torch.backends.mps}
    for kind, backend in there.items():
        monkeypatch.setattr(backend, "is_available", lambda kind=kind: kind == name)

    def device(asked: str) -> str:
        return options.device(parser().parse_args(["predict", "run", "-", "--device", asked]))

    assert device(name) == name and device("cpu") == "cpu"
    assert device("auto") == {"cuda": "cuda", "mps": "cpu"}[name]  # Apple's must be asked for
    (other,) = there.keys() - {name}
    with pytest.raises(MiniftError, match=f"--device {other}: PyTorch sees no such GPU here"):
        device(other)
