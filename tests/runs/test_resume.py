"""A run that is killed ends as if nothing had happened.

claim                                                        oracle
killed after any step and resumed, a run ends with the      the run that nobody killed
same weights, history and scores, whatever fills the slots
killed by the system at random moments, again and again:     model.safetensors and result.json of
the same bytes                                               a process that nobody killed
without the random streams the bits would differ             a checkpoint with one stream replaced
a damaged checkpoint is named and the one before is used     a flipped and a cut file
a full disk ends the run and leaves the checkpoints          an error of the system in the write
another set-up, or a second process, is refused              the words of the error
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minift.errors import MiniftError
from minift.files import locked
from minift.methods.recipes import recipe
from minift.runs import resume as module
from minift.runs import train as runs
from minift.runs.resume import Checkpoints
from minift.runs.train import train
from minift.training.loop import Seeds
from minift.version import __version__
from tests.tiny import checkpoint, news, reviews

FILES = Path(__file__).with_name("files")
METHODS = [
    "full",
    "gradual",
    "bitfit+child-f:0.5+adaptive",
    "freeze:1+early-stopping:1",
    "child-d:0.5",
    "ulmfit",
    "heated:4,1,0.5",
    "fgm:0.5",
    f"occlusion:{FILES / 'words.txt'},1",
    f"adversary:{FILES / 'attributes.csv'},1",
]
TIMES = ("seconds", "examples_per_second")


class Killed(BaseException):
    """Stands for the end of a process: nothing catches it."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def run(encoder, out: Path, method: str = "full", dataset=None, keep: str = "best", **more):
    chosen = recipe(method)
    settings = replace(
        chosen.settings, epochs=4, batch_size=8, accumulate=2, keep=keep,
    )  # fmt: skip
    dataset = dataset or replace(reviews(), train=reviews().train[:20])
    return train(dataset, encoder, chosen, seeds=Seeds.all(1), settings=settings, out=out, **more)


def outcome(folder: Path) -> tuple[bytes, dict, list[dict]]:
    """Return what must not depend on whether a run was killed."""
    result = json.loads((folder / "result.json").read_text())
    epochs = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for row in (result, *epochs):
        for name in TIMES:
            row.pop(name, None)
    return (folder / "model.safetensors").read_bytes(), result, epochs


def kill_after(monkeypatch, step: int) -> None:
    """End the process when the checkpoint of `step` is on the disk."""
    save = Checkpoints.save

    def dying(self, at, state):
        save(self, at, state)
        if at == step:
            raise Killed

    monkeypatch.setattr(Checkpoints, "save", dying)


@pytest.mark.parametrize("method", METHODS, ids=lambda name: name.partition(",")[0].split("/")[0])
def test_killed_after_any_step_a_run_ends_as_if_nothing_had_happened(
    method, encoder, tmp_path, monkeypatch
):
    run(encoder, tmp_path / "whole", method)
    expected = outcome(tmp_path / "whole")
    steps = expected[2][-1]["step"]
    assert steps >= 6
    for step in (1, 2, 3, 4, steps - 1, steps):  # 3 steps an epoch: its middle, its end
        folder = tmp_path / f"killed-{step}"
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_after(patch, step)
            run(encoder, folder, method, save_every=0)
        run(encoder, folder, method, save_every=0)
        assert outcome(folder) == expected, f"killed after step {step}"
        assert not (folder / "checkpoints").exists()


def test_a_tagging_run_is_resumed_too(encoder, tmp_path, monkeypatch):
    run(encoder, tmp_path / "whole", dataset=news())
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(encoder, tmp_path / "killed", dataset=news(), save_every=0)
    run(encoder, tmp_path / "killed", dataset=news())
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


@pytest.mark.parametrize("stream", ["order", "dropout", "masks"])
def test_a_checkpoint_without_one_of_its_streams_would_end_elsewhere(
    stream, encoder, tmp_path, monkeypatch
):
    """The negative control: what is stored is needed."""
    method = "child-f:0.5"
    run(encoder, tmp_path / "whole", method)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 2)
        run(encoder, tmp_path / "killed", method, save_every=0)
    load = Checkpoints.load

    def forgetful(self):
        state = load(self)
        assert state[stream].dtype == torch.uint8
        state[stream] = torch.Generator().manual_seed(9).get_state()
        return state

    monkeypatch.setattr(Checkpoints, "load", forgetful)
    run(encoder, tmp_path / "killed", method)
    assert outcome(tmp_path / "killed")[0] != outcome(tmp_path / "whole")[0]


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    damage, encoder, tmp_path, monkeypatch
):
    run(encoder, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 5)
        run(encoder, tmp_path / "killed", save_every=0)
    before, newest = sorted((tmp_path / "killed" / "checkpoints").iterdir())
    assert before.name.startswith("step-00000004") and newest.name.startswith("step-00000005")
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    newest.write_bytes(content if damage == "flip" else content[:-100])
    with pytest.warns(UserWarning, match=f"{newest.name} is damaged and passed over"):
        run(encoder, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_with_no_whole_checkpoint_a_run_begins_again(encoder, tmp_path, monkeypatch):
    run(encoder, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 1)
        run(encoder, tmp_path / "killed", save_every=0)
    (only,) = (tmp_path / "killed" / "checkpoints").iterdir()
    only.write_bytes(b"")
    with pytest.warns(UserWarning, match="is damaged"):
        run(encoder, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_a_full_disk_ends_the_run_and_leaves_the_last_good_checkpoints(
    encoder, tmp_path, monkeypatch
):
    save, calls = torch.save, []

    def full(state, file):
        calls.append(1)
        if len(calls) == 4:
            file.write(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(state, file)

    with monkeypatch.context() as patch, pytest.raises(MiniftError, match="No space left"):
        patch.setattr(module.torch, "save", full)
        run(encoder, tmp_path / "run", save_every=0)
    names = sorted(path.name[:13] for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-00000002", "step-00000003"]
    run(encoder, tmp_path / "run")
    run(encoder, tmp_path / "whole")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_an_unfinished_run_of_another_set_up_is_refused(encoder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 2)
        run(encoder, tmp_path / "run", save_every=0)
    with pytest.raises(MiniftError, match="another method and learning rate"):
        run(encoder, tmp_path / "run", "bitfit")
    fewer = replace(reviews(), train=reviews().train[:19])
    with pytest.raises(MiniftError, match="unfinished run with another content of the data"):
        run(encoder, tmp_path / "run", dataset=fewer)
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 2


def killed(encoder, folder: Path, monkeypatch, after: int = 2, **more) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, after)
        run(encoder, folder, save_every=0, **more)


def test_an_unfinished_run_is_not_validated_from_some_epoch_on(encoder, tmp_path, monkeypatch):
    """history.jsonl would tell some scores, which no run that nobody killed does."""
    killed(encoder, tmp_path / "run", monkeypatch, keep="last")
    with pytest.raises(
        MiniftError, match="unfinished run with another choice of --validate-each-epoch"
    ):
        run(encoder, tmp_path / "run", keep="last", validate_each_epoch=True)


def test_an_unfinished_run_of_an_encoder_whose_weights_have_changed_is_refused(
    tmp_path, monkeypatch
):
    encoder = checkpoint(tmp_path / "encoder")
    killed(encoder, tmp_path / "run", monkeypatch)
    checkpoint(tmp_path / "encoder", seed=1)  # the same name, other numbers
    with pytest.raises(MiniftError, match="with another content of the encoder; give"):
        run(encoder, tmp_path / "run")
    checkpoint(tmp_path / "encoder", seed=0)
    run(encoder, tmp_path / "run")


def test_an_unfinished_run_of_another_version_is_refused_by_the_names_of_both(
    encoder, tmp_path, monkeypatch
):
    killed(encoder, tmp_path / "run", monkeypatch)
    monkeypatch.setattr(runs, "__version__", "9.9.9")
    words = rf"another version of minift \({re.escape(__version__)} then, 9\.9\.9 now\)"
    with pytest.raises(MiniftError, match=words) as refused:
        run(encoder, tmp_path / "run")
    assert "\n" not in str(refused.value)
    spec = json.loads((tmp_path / "run" / "run.json").read_text())
    assert spec["minift_version"] == __version__  # it is still the old one's


def test_a_second_process_is_refused_with_the_name_of_the_first(encoder, tmp_path):
    (tmp_path / "run").mkdir()
    whose = f"process {os.getpid()} on {socket.gethostname()}"
    with locked(tmp_path / "run" / "run"), pytest.raises(MiniftError, match=whose):
        run(encoder, tmp_path / "run")
    run(encoder, tmp_path / "run")


PROGRAM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.runs.test_resume import run
run(sys.argv[1], Path(sys.argv[2]), sys.argv[3], save_every=0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "bitfit+child-f:0.5+adaptive"])
def test_killed_by_the_system_at_random_moments_a_run_ends_with_the_same_bytes(
    method, encoder, tmp_path, record_property
):
    def start(folder: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", PROGRAM, str(encoder), str(folder), method]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def newest(folder: Path) -> int:
        steps = [int(path.name[5:13]) for path in folder.glob("checkpoints/step-*.pt")]
        return max(steps, default=0)

    assert start(tmp_path / "whole").wait() == 0
    source, kills, folder = random.Random(0), 0, tmp_path / "killed"
    while True:
        process, goal = start(folder), newest(folder) + source.randint(1, 3)
        while process.poll() is None and newest(folder) < goal:
            time.sleep(0.002)
        time.sleep(source.uniform(0.0, 0.03))  # into the next step, or the next checkpoint
        process.send_signal(signal.SIGKILL)
        assert process.wait() in (0, -signal.SIGKILL)
        kills += process.returncode != 0
        if (folder / "result.json").exists():  # all that could still be killed is the tidying up
            break
    record_property("measured", f"{method}: killed {kills} times, the same bytes")
    assert kills >= 3
    assert outcome(folder) == outcome(tmp_path / "whole")
