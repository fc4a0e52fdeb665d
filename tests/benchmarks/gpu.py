"""All that wants a GPU, in ten minutes of one: tests first, then figures.

    .ci/gpu FOLDER               one NVIDIA GPU, PyTorch with its transformers; no network, no data
    .ci/gpu FOLDER --rehearse    the same, tiny, on the processor: does every step run?

Each step is a process with a limit of seconds, and writes what it finds as soon as it is known, so
that a run that is cut short keeps the rest. What is most worth knowing comes first. FOLDER then
holds gpu.json (machine, packages, how each step ended), gpu.log (all that they said), and a JSON
file for each step that measures: eight files at most, none in a folder below.

This file imports nothing but Python, so that it can say what is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 9.5  # of the ten; the rest is for bringing FOLDER home
LEAST = 10.0  # seconds: with less than that left no step is begun
# package -> the least version, beyond those that pyproject.toml names for minift itself
TESTS = {"pytest": "8", "hypothesis": "6.100", "transformers": "5"}
PEERS = {"transformers": "5", "accelerate": "1"}
# what is measured only where it is there -> what is lost without it
BETTER = {
    "baal": "the rows of MC dropout against baal",
    "structlog": "the same rows",
    "flash-attn": "the step flash",
}
ROWS = ("full", "full_plain", "bitfit", "frozen", "head", "inference", "full_bf16", "bitfit_bf16")
MC_ROWS = ("inference_bf16", "mc_plain", "mc_all", "mc_all_both", "mc_last", "mc_head")
WANTS_GPU = re.compile(r"^def test_\w+\([^)]*\bdevice\b|^@pytest\.mark\.gpu\b", re.MULTILINE)
SLOW = "tests/safety/test_determinism.py"


@dataclass(frozen=True)
class Step:
    """One process.

    Args:
        name: of the step.
        command: words after `python`.
        limit: seconds.
        needs: packages without which it is skipped.
    """

    name: str
    command: Sequence[str]
    limit: float
    needs: Sequence[str] = ()


def gpu_tests() -> list[str]:
    """Return the files of the tests that `pytest -m gpu` picks, without importing any."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    found = [file for file in files if WANTS_GPU.search(file.read_text(encoding="utf-8"))]
    return [file.relative_to(ROOT).as_posix() for file in found if file.parent.name != "benchmarks"]


def steps(out: Path, rehearse: bool) -> list[Step]:
    """Return what is done, the most valuable first."""
    device = ["--device", "cpu" if rehearse else "cuda", *["--quick"] * rehearse]
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu"]
    files = [file for file in gpu_tests() if file != SLOW]

    def measured(name: str, limit: float, needs: Sequence[str] = tuple(PEERS)) -> Step:
        words = ["-m", "tests.benchmarks.gpu_steps", name, str(out / f"{name}.json"), *device]
        return Step(name, words, limit, needs)

    def table(name: str, limit: float, rows: Sequence[str], *options: str) -> Step:
        words = ["-m", "tests.benchmarks.run", *rows, *options, *device, "--pairs"]
        words += ["1" if rehearse else "3", "--json", str(out / f"{name}.json")]
        return Step(name, words, limit, [*PEERS, *["flash-attn"] * (name == "flash")])

    flash = ("--shapes", "bert-base", "--attention", "flash_attention_2")
    nccl = measured("nccl", 60, [])
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "1", *nccl.command]
    return [
        Step("tests", [*pytest, *files], 150, tuple(TESTS)),
        measured("varlen", 60),
        Step("determinism", [*pytest, SLOW], 75, tuple(TESTS)),
        table("table_minilm", 110, [*ROWS, *MC_ROWS], "--shapes", "minilm"),
        measured("throughput", 150),
        table("table_bert_base", 140, [*ROWS, *MC_ROWS], "--shapes", "bert-base"),
        Step(nccl.name, torchrun, nccl.limit),
        table("flash", 60, [name for name in (*ROWS, *MC_ROWS) if name.endswith("bf16")], *flash),
    ]


def least_versions() -> dict[str, str]:
    """Return what minift itself needs: pyproject.toml's dependencies."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    stated = text.partition("\ndependencies = [")[2].partition("]")[0]
    return dict(re.findall(r'"([\w-]+)>=([\d.]+)', stated))


def packages() -> dict[str, tuple[str, str | None]]:
    """Return the least version of each package and the one that is here (None: it is missing)."""
    there = {}
    for found in importlib.metadata.distributions():
        there.setdefault(_plain(found.metadata["Name"] or ""), found.version)
    wanted = least_versions() | TESTS | PEERS | dict.fromkeys(BETTER, "")
    return {name: (least, there.get(_plain(name))) for name, least in wanted.items()}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def older(version: str, least: str) -> bool:
    """Whether a version is below the least one; what follows its numbers does not count."""
    one, other = ([int(n) for n in re.findall(r"\d+", v.split("+")[0])] for v in (version, least))
    return one[: len(other)] < other


def lacking(found: dict[str, tuple[str, str | None]]) -> dict[str, str]:
    """Return the packages that are missing or too old, each in words."""
    return {
        name: name + f">={least}" * bool(least) + ("" if version is None else f" (not {version})")
        for name, (least, version) in found.items()
        if version is None or older(version, least)
    }


def run(step: Step, limit: float, log: Path) -> tuple[str, str]:
    """Run a step; return how it ended ("passed", "failed", "cut short") and its last line."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    with log.open("ab") as file:
        file.write(f"\n== {step.name}: python {' '.join(step.command)}\n".encode())
        file.flush()
        began = file.tell()
        process = subprocess.Popen(
            [sys.executable, *step.command], cwd=ROOT, env=environment, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            ended = "failed" if process.wait(limit) else "passed"
        except subprocess.TimeoutExpired:
            ended = "cut short"
        finally:  # its children, too, also where this program is interrupted
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with log.open("rb") as file:
        file.seek(began)
        said = file.read().decode(errors="replace").strip().splitlines() or [""]
    return ended, said[-1][:200]


def machine() -> Iterator[tuple[str, str]]:
    """Yield what PyTorch and the driver say of the machine; it is also what loads PyTorch first."""
    ask = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
    for name, command in (
        ("torch, its CUDA, whether there is a GPU", [sys.executable, "-c", ask]),
        ("nvidia-smi", ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,clocks.max.sm",
                        "--format=csv,noheader"]),
    ):  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=90)
            yield name, (done.stdout.strip() or done.stderr.strip().splitlines()[-1:] or [""])[:300]
        except (OSError, subprocess.TimeoutExpired) as error:
            yield name, f"not known: {error}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, then run step after step; return 0 unless one failed or was cut short."""
    parser = argparse.ArgumentParser(
        prog=".ci/gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where files are written")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the processor")
    help = f"default {MINUTES:g}; a rehearsal has six times as long, and so has each step"
    parser.add_argument("--minutes", type=float, default=MINUTES, help=help)
    parser.add_argument("--only", nargs="+", metavar="STEP", help="these steps only")
    options = parser.parse_args(arguments)
    slower = 6 if options.rehearse else 1  # a busy processor is no failure
    deadline = time.monotonic() + 60 * options.minutes * slower
    out = options.folder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    plan = steps(out, options.rehearse)
    if unknown := sorted({*(options.only or ())} - {step.name for step in plan}):
        parser.error(f"no step {', '.join(unknown)}; there are {', '.join(s.name for s in plan)}")
    found = packages()
    missing = lacking(found)
    told = [f"{words}{f': {BETTER[n]}' if n in BETTER else ''}" for n, words in missing.items()]
    print(f"missing packages: {'; '.join(told) or 'none'}", flush=True)
    own = {*least_versions()} & missing.keys()
    about = dict(machine())
    print(*about.values(), sep="\n", flush=True)
    state: dict = {
        "rehearsal": options.rehearse,
        "machine": about,
        "packages": {name: version for name, (_, version) in found.items()},
        "missing": missing,
        "steps": [],
    }
    if not options.rehearse and not str(next(iter(about.values()))).endswith("True"):
        print("PyTorch sees no GPU here; --rehearse runs everything on the processor, tiny")
        return 2

    for step in plan:
        if options.only and step.name not in options.only:
            continue
        lacks = sorted(own | ({*step.needs} & missing.keys()))
        left, began = deadline - time.monotonic(), time.monotonic()
        if lacks:
            ended, last = "skipped", f"it needs {', '.join(missing[name] for name in lacks)}"
        elif left < LEAST:
            ended, last = "skipped", "no time was left"
        else:
            ended, last = run(step, min(step.limit * slower, left), out / "gpu.log")
        taken = round(time.monotonic() - began, 1)
        state["steps"].append({"name": step.name, "ended": ended, "seconds": taken, "last": last})
        (out / "gpu.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        print(f"{step.name:<16}{ended:<11}{taken:>6.1f} s  {last}", flush=True)
    return int(any(step["ended"] in ("failed", "cut short") for step in state["steps"]))


if __name__ == "__main__":
    sys.exit(main())
