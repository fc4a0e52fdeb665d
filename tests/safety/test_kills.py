"""Killed at any moment, and given again, each command ends as if nothing had happened.

claim                                                        oracle
train, compare, distill, pretrain (script and command),      every file of a process that nobody
active simulate: killed at random moments, at least 50       killed, byte by byte, times taken out
times in all, each ends with the same weights and figures
a kill hits a living process, a third of them one that had   the status that the system reports; the
done work to go on from                                      folder as the kill left it
a resumed run with another random stream is seen             the same comparison, a stream replaced
nothing is left of the writes that kills interrupted, and    the folder's list of names; two writers
what others write at the moment is left alone                in one folder
killed while it tidies up, a run is finished                 SIGKILL inside the tidying
a log's last line that was cut off is cut away               half a line; the exit code
"""

from __future__ import annotations

import functools
import gc
import importlib
import multiprocessing
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, make_dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch

from minift.files import atomic_directory_write, atomic_write
from tests.safety.every_command import files
from tests.safety.test_determinism import contents
from tests.tiny import checkpoint

# As in tests/runs/test_processes.py: nothing of minift, for tests/mutants runs copies of it.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch", "tokenizers", "safetensors.torch", "tqdm"])
LATER = ["torch._dynamo", "tqdm.auto"]  # imported at the first step of an optimizer, or so
SCRIPTS = Path(__file__).resolve().parents[2] / "data_scripts"
KILLS = 10  # of each command, at least
STARTS = 120  # of each command, at most
SECONDS = 120  # that a command may take
REFUSED = "already holds a finished run"  # what a command says where nothing is left to do


def command_lines(world: Path) -> dict[str, list[str]]:
    """What is typed, in a folder of its own; the inputs lie in `world`.

    The weights are the last ones: the best may be of a step before the kill.
    """

    def data(*splits: str, kind: str = "") -> list[str]:
        return [x for s in splits for x in (f"--{s}", str(world / f"{s}{kind}.jsonl"))]

    encoder = ["--encoder", str(world / "encoder")]
    return {
        "train": ["train", *data("train", "dev", "test"), *encoder, "--method", "child-f:0.3",
                  "--epochs", "3", "--batch-size", "8", "--labels", "24", "--out", "out"],
        "compare": ["compare", *data("train", "dev", "test"), *encoder, "--methods",
                    "full,child-d:0.3", "--labels", "8", "--seeds", "3", "--epochs", "1", "--out",
                    "out", "--keep-weights"],
        "distill": ["distill", "--teacher", str(world / "teacher"), "--unlabelled",
                    str(world / "sentences.txt"), *data("train", kind="-tags"), "--test",
                    str(world / "dev-tags.jsonl"), "--steps", "10", "--out", "out"],
        "simulate": ["active", "simulate", *data("train", "test"), *encoder, "--pool", "16",
                     "--strategies", "random,bald", "--rounds", "2", "--query", "2", "--initial",
                     "4", "--seeds", "2", "--passes", "2", "--steps", "2", "--out", "out"],
        "further": ["pretrain", str(world / "encoder"), "--text", str(world / "strange.txt"),
                    "--objective", "condenser", "--epochs", "2", "--batch-size", "8", "--out",
                    "out"],
        "pretrain": ["all", "--work", "out", "--out", "out/bert", "--text", str(world / "raw.txt"),
                     "--vocabulary", "80", "--steps", "10", "--layers", "1", "--hidden", "32",
                     "--length", "32", "--sequences", "4", "--dropout", "0.1"],
    }  # fmt: skip


COMMANDS = tuple(command_lines(Path()))


# What happens in the processes


def often() -> None:
    """Have everything written after each step, which a user's commands do once in minutes."""
    from minift.compact import distill, run
    from minift.pretraining import pretrain
    from minift.runs import train as runs

    runs.train.__kwdefaults__["save_every"] = 0.0
    pretrain.pretrain_further.__kwdefaults__["save_every"] = 0.0
    run.distill.__kwdefaults__["save_every"] = 0.0
    often, base = [("evaluate_every", int, 2)], (distill.Distillation,)
    distill.Distillation = make_dataclass("Distillation", often, bases=base, frozen=True)


def other_dropout() -> None:
    """Resume with a stream of dropout that is not the one that was stored."""
    from minift.training.loop import Training

    load = Training.load

    def forgetful(self: Training, state: dict[str, Any]) -> None:
        load(self, state)
        self.dropout.manual_seed(9)

    Training.load = forgetful


def dies_while_it_tidies_up() -> None:
    """End as soon as the first checkpoint of a finished run is to be removed."""
    from minift.runs.resume import Checkpoints

    Checkpoints.delete = lambda self: os.kill(os.getpid(), signal.SIGKILL)


def dies_after_its_third_checkpoint() -> None:
    """End in the middle of the training."""
    from minift.runs.resume import Checkpoints

    save = Checkpoints.save

    def dying(self: Checkpoints, step: int, state: dict[str, Any]) -> None:
        save(self, step, state)
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.save = dying


def dies_with_its_weights_half_written() -> None:
    """End when the weights are written, and have not got their name."""
    from minift import files

    sync = files.sync

    def dying(path: Path) -> None:
        if path.name == "model.safetensors":
            os.kill(os.getpid(), signal.SIGKILL)
        sync(path)

    files.sync = dying


def command(arguments: Sequence[str], folder: Path, patch: Callable[[], None] | None) -> int:
    """Run one command to its end, in `folder`; return its exit code."""
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    log = os.open("said.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1), os.dup2(log, 2)
    often()
    if patch is not None:
        patch()
    if arguments[0] == "all":
        sys.path.insert(0, str(SCRIPTS))
        import pretrain

        steps = {"save_seconds": 0.0, "evaluate_every": 3}
        pretrain.Settings = functools.partial(pretrain.Settings, **steps)
        pretrain.main(arguments)
        return 0
    from minift.cli.main import main

    return main(arguments)


def fork(*job: Any) -> int:
    """Start `command` in a process of its own; return its number."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = command(*job)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def nursery(pipe: Connection) -> None:
    """Import what the commands need, then do what is asked: start a process, wait or kill it."""
    import minift.active.simulate
    import minift.cli.active
    import minift.cli.main
    import minift.compact.run
    import minift.compare.grid
    import minift.pretraining.pretrain  # noqa: F401

    for name in LATER:
        importlib.import_module(name)
    torch.set_num_threads(1)
    gc.collect(), gc.freeze()  # what was imported is not to be walked through in each process
    while (job := pipe.recv()) is not None:
        moment, *rest = job
        began, killed = time.monotonic(), False
        pid = fork(*rest)
        while not (found := os.waitpid(pid, os.WNOHANG))[0]:
            if not killed and time.monotonic() - began >= moment:
                os.kill(pid, signal.SIGKILL)
                killed = True
            time.sleep(0.001)
        pipe.send((os.waitstatus_to_exitcode(found[1]), time.monotonic() - began))


# What is asked of them


@dataclass
class World:
    """Inputs, and a process that starts processes."""

    folder: Path
    pipe: Connection

    def run(
        self, name: str, folder: Path, moment: float = SECONDS, patch: Callable | None = None
    ) -> tuple[int, float]:
        """Give a command; return its exit code, negative for a signal, and its seconds."""
        self.pipe.send((moment, command_lines(self.folder)[name], folder, patch))
        return self.pipe.recv()


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("world")
    files(folder)
    checkpoint(folder / "encoder")
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=nursery, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    made = World(folder, ours)
    tags = ["--train", str(folder / "train-tags.jsonl"), "--encoder", str(folder / "encoder")]
    arguments = ["train", *tags, "--epochs", "1", "--out", str(folder / "teacher")]
    ours.send((SECONDS, arguments, folder, None))
    assert ours.recv()[0] == 0, (folder / "said.out").read_text()
    yield made
    ours.send(None)
    process.join()


def done(name: str, folder: Path) -> int:
    """Count what a killed command need not do again: steps, runs or rounds."""
    out = folder / "out"
    if name in ("train", "distill", "further"):
        finished = (out / "result.json").exists()
        return 0 if finished else len(list(out.glob("checkpoints/step-*.pt")))
    if name == "pretrain":
        finished = (out / "bert" / "README.md").exists()
        return 0 if finished else len(list(out.glob("run/checkpoints/step-*.pt")))
    log = out / ("runs.jsonl" if name == "compare" else "simulation.jsonl")
    lines = log.read_bytes().count(b"\n") if log.exists() else 0
    header, total = (0, 6) if name == "compare" else (1, 12)
    return 0 if lines >= header + total else max(0, lines - header)


def outcome(folder: Path) -> dict[str, object]:
    """Everything a command leaves, times taken out."""
    found = contents(folder / "out")
    *older, _ = ["", *(name for name in found if "checkpoints/step-" in name)]
    return {name: value for name, value in found.items() if name not in older}  # a kill may leave 3


def differences(one: dict[str, object], other: dict[str, object]) -> set[str]:
    """Name the files that are not the same."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


@dataclass
class Campaign:
    """What the kills of one command came to."""

    kills: int = 0
    resumable: int = 0
    starts: int = 0
    trials: int = 0
    differing: set[str] = field(default_factory=set)


def kill_again_and_again(name: str, world: World, folder: Path) -> Campaign:
    """Kill a command at random moments and give it again until it ends; do so anew."""
    folder.mkdir()
    code, seconds = world.run(name, folder / "whole")
    assert code == 0, (folder / "whole" / "said.out").read_text()
    expected, campaign, source = outcome(folder / "whole"), Campaign(), random.Random(name)
    assert name == "simulate" or any(file.endswith(".safetensors") for file in expected)
    while campaign.kills < KILLS or 3 * campaign.resumable < campaign.kills:
        trial = folder / f"{campaign.trials}"
        campaign.trials += 1
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            campaign.starts += 1
            assert campaign.starts <= STARTS, campaign
            finished = (trial / "out" / "result.json").exists()
            code, _ = world.run(name, trial, source.uniform(0, seconds))
            if code == -signal.SIGKILL:
                campaign.kills += 1
                campaign.resumable += done(name, trial) > 0
        said = (trial / "said.out").read_text()
        assert code == 0 or (finished and REFUSED in said), said
        campaign.differing |= differences(expected, outcome(trial))
    return campaign


@pytest.fixture(scope="module")
def campaign(world, tmp_path_factory) -> Callable[[str], Campaign]:
    root = tmp_path_factory.mktemp("campaigns")
    return functools.cache(lambda name: kill_again_and_again(name, world, root / name))


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random_moments_a_command_ends_with_the_same_bytes(name, campaign):
    found = campaign(name)
    assert found.differing == set()
    assert found.kills >= KILLS


@pytest.mark.slow
def test_fifty_kills_hit_and_a_third_of_them_cost_a_part_of_the_work(campaign, record_property):
    found = {name: campaign(name) for name in COMMANDS}
    kills, resumable = (sum(getattr(c, x) for c in found.values()) for x in ("kills", "resumable"))
    assert kills >= 50
    assert all(3 * c.resumable >= c.kills for c in found.values())
    said = ", ".join(f"{name} {c.kills} ({c.resumable})" for name, c in found.items())
    record_property("measured", f"{kills} kills, {resumable} with work to go on from: {said}")


def test_a_run_that_resumes_with_another_stream_of_dropout_is_seen(world, tmp_path):
    """The negative control of the comparison."""
    assert world.run("train", tmp_path / "whole")[0] == 0
    code, _ = world.run("train", tmp_path / "killed", patch=dies_after_its_third_checkpoint)
    assert code == -signal.SIGKILL and done("train", tmp_path / "killed")
    assert world.run("train", tmp_path / "killed", patch=other_dropout)[0] == 0
    whole, killed = outcome(tmp_path / "whole"), outcome(tmp_path / "killed")
    assert differences(whole, killed) >= {"model.safetensors"}
    assert "run.json" not in differences(whole, killed)


@pytest.mark.parametrize("name", ["train", "distill", "further"])
def test_killed_while_it_tidies_up_a_run_is_finished_and_tidied_up_by_the_next(
    name, world, tmp_path
):
    assert world.run(name, tmp_path, patch=dies_while_it_tidies_up)[0] == -signal.SIGKILL
    weights = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.safetensors")}
    assert weights and (tmp_path / "out" / "checkpoints").exists()
    assert world.run(name, tmp_path)[0] == 1
    assert REFUSED in (tmp_path / "said.out").read_text()
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert weights == {path: path.read_bytes() for path in weights}


def test_what_a_kill_leaves_of_a_write_is_gone_after_the_next(world, tmp_path):
    def hidden() -> list[str]:
        return [path.name for path in (tmp_path / "out").glob(".*") if path.suffix != ".lock"]

    for _ in range(3):
        code, _ = world.run("train", tmp_path, patch=dies_with_its_weights_half_written)
        assert code == -signal.SIGKILL
        assert len(hidden()) == 1, "they pile up"
    assert world.run("train", tmp_path)[0] == 0
    assert hidden() == []


def test_a_line_of_pretraining_that_was_cut_off_does_not_stop_what_comes_after(world, tmp_path):
    assert world.run("pretrain", tmp_path)[0] == 0
    with (tmp_path / "out" / "run" / "log.jsonl").open("ab") as log:
        log.write(b'{"step": 10, "sec')  # the disk was full
    assert world.run("pretrain", tmp_path)[0] == 0, (tmp_path / "said.out").read_text()


def test_what_another_process_writes_at_the_moment_is_left_to_it(tmp_path):
    def write(new: Path) -> None:
        atomic_write(tmp_path / "another", "by another process")  # to the same folder
        (new / "ours").write_text("ours")

    atomic_directory_write(tmp_path, write)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "ours"]
