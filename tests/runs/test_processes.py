"""Several processes come to what one comes to, and end together.

claim                                                        oracle
gradients are those of one process, whatever the shares      one process in float64, to 1e-9:
                                                             2 and 3 processes, shares of 3 + 2,
                                                             and of none; sentences with unequal
                                                             numbers of targets; split steps
ten steps of training end with its weights: full, BitFit,    the same
freezing, Child-Tuning F and D, regression, and with a
small word table
every process ends with the same bytes                       digests of the weights
dropout masks differ between processes, and are the same     the masks of two draws
in a second run
`fit` deals out each step, and each process its own masks    tokens that each read; their seeds
logits and pool scores are those of one process              equality of every bit
a process that is killed, fails or hangs ends the others     SIGKILL, SIGSTOP and an error; exit
within seconds, and the user is told why                     codes, words, a clock
a killed run resumes to the same bytes                       a run that nobody killed
another number of processes, command, file or too many       the words of the errors
processes are refused
the commands under torchrun, on one machine and on two       what they write in one process
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from minift.active.mc_dropout import mc_logits
from minift.bert.dropout import Dropout
from minift.cli.main import main
from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs import processes
from minift.runs.evaluate import predict_logits
from minift.runs.fit import fit
from minift.runs.processes import TEAM, own_seed, rank, several
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build
from minift.speed.rows import UsedRows
from minift.training.items import make_items
from minift.training.loop import Recipe, Seeds, Settings, Training, fine_tune
from tests.tiny import checkpoint, news, reviews, similarity

# A server that has imported torch once, with what the first optimizer of a process would import
# (1.4 s); it imports nothing of minift, for tests/mutants runs these tests on copies of it.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch._dynamo", "tokenizers", "safetensors.torch", "tqdm"])
REPOSITORY = Path(__file__).resolve().parents[2]
METHODS = ["full", "bitfit", "freeze:1", "child-f:0.3", "child-d:0.3"]
VARIANTS = ["regression", "used rows"]
SECONDS = 60  # that a test waits for processes; they take a few
PROMPTLY = 20  # on a machine that does other things, too; alone it is six


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def child(function: Callable, folder: Path, number: int, size: int, port: int, more: tuple) -> None:
    """What a process does: join the others, call `function`, keep what it returns or says."""
    os.dup2(os.open(folder / f"said-{number}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    faulthandler.enable(2)
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command, processes.TIME_LIMIT = ["a command"], 60.0
    if function is another_command and number == 1:
        command = ["another command"]
    if function is hang:
        processes.TIME_LIMIT, processes.GRACE = 2.0, 0.1
    try:
        if size == 1:
            found = function(folder, *more)
        else:
            with several(command):
                found = function(folder, *more)
        torch.save(found, folder / f"found-{number}")
    except MiniftError as error:
        os.write(2, f"raised: {error}\n".encode())
        os._exit(1)


class Launch:
    """Processes under way."""

    def __init__(self, size: int, function: Callable, folder: Path, *more):
        folder.mkdir(exist_ok=True)
        self.folder, port = folder, free_port()
        self.children = [
            FORKS.Process(target=child, args=(function, folder, number, size, port, more))
            for number in range(size)
        ]
        for process in self.children:
            process.start()

    def ended(self, seconds: float = SECONDS) -> list[int]:
        """Wait for all; return the exit codes."""
        deadline = time.monotonic() + seconds
        for process in self.children:
            process.join(max(0.1, deadline - time.monotonic()))
        codes = [process.exitcode for process in self.children]
        for process in self.children:
            process.kill()
        return codes

    def said(self, number: int) -> str:
        return (self.folder / f"said-{number}").read_text()

    def found(self) -> list:
        """Wait for all, which must end well; return what each found."""
        codes = self.ended()
        assert set(codes) == {0}, [self.said(number) for number in range(len(codes))]
        return [torch.load(self.folder / f"found-{n}") for n in range(len(codes))]


def until(path: Path, holds: str | None = None) -> None:
    """Wait for a path, or for a folder that holds something of that name."""
    deadline = time.monotonic() + SECONDS
    while not (any(path.glob(holds)) if holds else path.exists()):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def model_and_items(encoder: Path, dataset, count: int):
    """A model in float64 without dropout."""
    tuned = build(dataset, encoder, Seeds.all(0))
    for module in tuned.model.modules():
        if isinstance(module, Dropout):
            module.probability = 0.0
    items = make_items(dataset.train[:count], tuned.tokenizer, dataset.task, dataset.labels)
    return tuned.model.double().train(), items


def backward(model, items, accumulate: int = 1, dropout: int = 0) -> tuple[float, int]:
    """The gradient of one step, of which this process does its part."""
    recipe = Recipe(settings=Settings(accumulate=accumulate))
    seeds = replace(Seeds.all(0), dropout=dropout)
    return Training(model.train(), items, recipe, seeds, team=TEAM).backward(items)


def add_rows(model, count: int) -> None:
    """Let the word table have `count` more rows, which no text reads."""
    table = model.bert.embeddings.word.weight.detach()
    table = torch.cat([table, table.new_ones(count, table.shape[1])])
    model.bert.embeddings.word = nn.Embedding.from_pretrained(table, freeze=False)
    model.bert.config = replace(model.bert.config, vocab_size=len(table))


def arithmetic(folder: Path, encoder: Path) -> dict:
    """All that is compared with one process."""
    found: dict = {}
    cases = {
        "five": (reviews(), 5, 1),
        "two": (reviews(), 2, 1),
        "in parts": (reviews(), 5, 2),
        "sentences": (news(), 5, 1),
    }
    for name, (dataset, count, accumulate) in cases.items():
        model, items = model_and_items(encoder, dataset, count)
        loss = backward(model, items, accumulate)
        gradients = {n: p.grad for n, p in model.named_parameters()}
        found[f"gradient of {name}"] = {"loss": torch.tensor(loss[0]), **gradients}
        found[f"targets of {name}"] = loss[1]
    model, items = model_and_items(encoder, reviews(), 5)
    model.unread = nn.Parameter(torch.ones(3).double())
    backward(model, items)
    found["gradient of unread"] = {n: p.grad for n, p in model.named_parameters()}
    for method in [*METHODS, *VARIANTS]:
        dataset = similarity() if method == "regression" else reviews()
        model, items = model_and_items(encoder, dataset, 18)
        settings = Settings(epochs=2, batch_size=4, learning_rate=1e-3, clip=0.5)
        chosen = replace(recipe("full" if method in VARIANTS else method), settings=settings)
        if method == "used rows":
            add_rows(model, 300)
            tuned = FineTuned(model, None, dataset.task, dataset.labels)

            def watch(training, model=model):
                assert isinstance(model.bert.embeddings.word, UsedRows)
                found["seed of dropout"] = training.dropout.initial_seed()
                return iter(training)

            tokens: list[int] = []
            layer = model.bert.layers[0]
            layer.register_forward_hook(lambda _, args, __, seen=tokens: seen.append(len(args[0])))
            history = fit(tuned, items, chosen, Seeds.all(3), watch=watch).history
            found["tokens read"] = sum(tokens)
        else:
            history = fine_tune(model, items, chosen, Seeds.all(3), team=TEAM)
        weights = {name: p.detach().clone() for name, p in model.named_parameters()}
        losses = torch.tensor([epoch.train_loss for epoch in history.epochs])
        found[f"weights of {method}"] = {"loss": losses, **weights}
        found[f"steps of {method}"] = history.epochs[-1].step
    return found


def streams(folder: Path, encoder: Path) -> dict:
    """Dropout, and what is shared out in batches."""
    masks = []
    for _ in range(2):
        tuned = build(reviews(), encoder, Seeds.all(0))
        items = make_items(reviews().train[:8], tuned.tokenizer, "classification", tuned.labels)
        backward(tuned.model, items, dropout=own_seed(5))
        masks.append(tuned.model.classifier.weight.grad)
    generator = torch.Generator().manual_seed(own_seed(5))
    plain = [torch.stack(predict_logits(tuned.model, items, tokens=t)) for t in (24, 2048)]
    tagger = build(news(), encoder, Seeds.all(0))
    sentences = make_items(news().train, tagger.tokenizer, "tagging", tagger.labels)
    return {
        "draw": torch.rand(4, generator=generator),
        "masks": masks,
        "logits": plain,
        "tags": predict_logits(tagger.model, sentences, tokens=24),
        "passes": mc_logits(tuned.model, items, 3, seed=1, tokens=24),
        "none": predict_logits(tuned.model, []),
    }


@pytest.fixture(scope="module")
def sums(encoder, tmp_path_factory) -> dict[int, list[dict]]:
    """What 1, 2 and 3 processes find."""
    folder = tmp_path_factory.mktemp("sums")
    return {n: Launch(n, arithmetic, folder / str(n), encoder).found() for n in (1, 2, 3)}


def equal(found: dict, alone: dict) -> None:
    assert found.keys() == alone.keys()
    for name, value in alone.items():
        if value is None:
            assert found[name] is None, name
        else:
            torch.testing.assert_close(found[name], value, atol=1e-9, rtol=0)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("case", ["five", "two", "in parts", "sentences"])
def test_gradients_of_uneven_shares_are_those_of_one_process(size, case, sums):
    """With 3 processes and two examples one has none; sentences differ in their targets."""
    [alone] = sums[1]
    for found in sums[size]:
        assert found[f"targets of {case}"] == alone[f"targets of {case}"]
        equal(found[f"gradient of {case}"], alone[f"gradient of {case}"])
    assert max(g.abs().max() for g in alone[f"gradient of {case}"].values() if g is not None) > 0.01


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("method", [*METHODS, *VARIANTS])
def test_ten_steps_of_training_end_with_the_weights_of_one_process(size, method, sums):
    [alone] = sums[1]
    assert alone[f"steps of {method}"] == sums[size][0][f"steps of {method}"] == 10
    for found in sums[size]:
        equal(found[f"weights of {method}"], alone[f"weights of {method}"])


@pytest.mark.parametrize("size", [2, 3])
def test_every_process_ends_with_the_same_bytes(size, sums):
    for method in METHODS:
        first, *others = (found[f"weights of {method}"] for found in sums[size])
        for other in others:
            assert all(torch.equal(other[name], first[name]) for name in first)


def test_fit_deals_out_each_step_and_gives_each_process_a_stream_of_dropout_of_its_own(sums):
    [alone] = sums[1]
    for size in (2, 3):
        assert sum(found["tokens read"] for found in sums[size]) == alone["tokens read"] > 0
        assert all(found["tokens read"] for found in sums[size])
        assert len({found["seed of dropout"] for found in sums[size]}) == size
    assert alone["seed of dropout"] == Seeds.all(3).dropout


def test_a_parameter_that_no_process_reads_keeps_no_gradient(sums):
    """The optimizer would decay it; with one process it leaves it alone."""
    for size in (1, 2, 3):
        for found in sums[size]:
            assert found["gradient of unread"]["unread"] is None
            assert found["gradient of unread"]["bert.embeddings.word.weight"] is not None


def test_batches_are_shared_out_and_every_bit_of_the_answers_stays(encoder, tmp_path):
    [alone] = Launch(1, streams, tmp_path / "1", encoder).found()
    several_found = Launch(3, streams, tmp_path / "3", encoder).found()
    again = Launch(3, streams, tmp_path / "again", encoder).found()
    for found in several_found:
        for name in ("logits", "tags", "passes"):
            assert len(found[name]) == len(alone[name]) > 0
            assert all(torch.equal(a, b) for a, b in zip(found[name], alone[name]))
        assert found["none"] == []
    draws = [found["draw"].tolist() for found in several_found]
    assert len({tuple(draw) for draw in draws}) == 3, "two processes draw the same masks"
    assert draws == [found["draw"].tolist() for found in again]
    for one, two in zip(several_found, again):
        assert all(torch.equal(a, b) for a, b in zip(one["masks"], two["masks"]))
    assert not torch.allclose(alone["masks"][0], several_found[0]["masks"][0])


# Processes that do not end well


def long_run(folder: Path, encoder: Path, out: Path | None = None) -> None:
    """Train until somebody ends it."""
    chosen = recipe("full")
    (folder / f"pid-{rank()}").write_text(str(os.getpid()))
    train(
        reviews(), encoder, chosen, seeds=Seeds.all(1), out=folder / "run", save_every=0,
        settings=replace(chosen.settings, epochs=3_000),
    )  # fmt: skip


def stumble(folder: Path) -> None:
    """One has an error, the others wait for it."""
    if rank() == 2:
        raise MiniftError("there is no such file here")
    processes.from_all(1)


def another_command(folder: Path) -> None:
    """Is never called."""


def hang(folder: Path) -> None:
    (folder / f"pid-{rank()}").write_text(str(os.getpid()))
    while True:
        processes.from_all(1)


@pytest.mark.parametrize("victim", [1, 0])
def test_a_killed_process_ends_the_others_within_seconds(victim, encoder, tmp_path):
    launch = Launch(3, long_run, tmp_path, encoder)
    until(tmp_path / "run" / "checkpoints")
    started = time.monotonic()
    launch.children[victim].kill()
    codes = launch.ended()
    assert time.monotonic() - started < PROMPTLY
    assert codes == [-signal.SIGKILL if n == victim else 1 for n in range(3)]
    assert "the processes lost each other" in launch.said(2)


def test_an_error_of_one_process_is_said_with_its_rank(tmp_path):
    launch = Launch(3, stumble, tmp_path)
    assert launch.ended() == [1, 1, 1]
    assert "raised: rank 2 of 3: there is no such file here" in launch.said(2)


def test_a_process_that_hangs_is_waited_for_no_longer_than_the_limit(tmp_path):
    launch = Launch(2, hang, tmp_path)
    until(tmp_path / "pid-1")
    os.kill(launch.children[1].pid, signal.SIGSTOP)
    launch.children[0].join(SECONDS)
    assert launch.children[0].exitcode == 1
    assert "or one hangs (they wait 2 s for each other)" in launch.said(0)
    launch.children[1].kill()
    launch.ended()


def test_processes_with_different_commands_are_refused(tmp_path):
    launch = Launch(2, another_command, tmp_path)
    assert launch.ended() == [1, 1]
    said = launch.said(0)
    assert "differs from rank 0 in its command: ['another command'], not ['a command']" in said


def resumable(folder: Path, encoder: Path, out: Path) -> dict:
    """A short run with everything that a checkpoint must keep."""
    chosen = recipe("child-f:0.5+early-stopping:9")
    settings = replace(chosen.settings, epochs=4, batch_size=8, keep="best")
    _, result = train(
        reviews(), encoder, chosen, seeds=Seeds.all(1), settings=settings, out=out, save_every=0
    )
    return result


def test_a_killed_run_of_two_processes_resumes_to_the_same_bytes(encoder, tmp_path):
    whole = Launch(2, resumable, tmp_path / "a", encoder, tmp_path / "whole").found()
    assert whole[0]["test"] == whole[1]["test"]
    out = tmp_path / "killed"
    launch = Launch(2, resumable, tmp_path / "b", encoder, out)
    until(out / "checkpoints", "step-*.pt")  # without one the run would begin anew
    launch.children[1].kill()
    launch.ended()
    assert not (out / "result.json").exists(), "killed too late for this test to mean something"
    refused = Launch(3, resumable, tmp_path / "c", encoder, out)
    assert refused.ended() == [1, 1, 1]
    assert "with another number of processes (2 then, 3 now)" in refused.said(0)
    Launch(2, resumable, tmp_path / "d", encoder, out).found()
    for name in ("model.safetensors", "run.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    results = [json.loads((f / "result.json").read_text()) for f in (out, tmp_path / "whole")]
    for result in results:
        del result["seconds"], result["examples_per_second"]
    assert results[0] == results[1]
    lines = [(f / "history.jsonl").read_text().splitlines() for f in (out, tmp_path / "whole")]
    assert len(lines[0]) == len(lines[1]) == 4


def test_more_processes_than_examples_are_refused(monkeypatch):
    monkeypatch.setattr(processes, "world_size", lambda: 4)
    with pytest.raises(
        MiniftError, match=r"4 processes would share 3 examples per step.*at most 3"
    ):
        processes.require_enough(3)
    processes.require_enough(4)


def test_an_environment_that_is_not_torchruns_is_explained(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert main(["predict", "run", "texts.txt"]) == 1
    said = capsys.readouterr().err
    assert "MASTER_ADDR expected, but not set; start them with torchrun" in said
    assert main(["info", "tiny"]) == 1
    assert "start this command without it" in capsys.readouterr().err


def test_alone_nothing_is_dealt_out(monkeypatch):
    assert processes.my_share(range(7)) == range(7)
    assert (rank(), processes.world_size(), own_seed(9)) == (0, 1, 9)
    monkeypatch.setattr(processes, "world_size", lambda: 3)
    monkeypatch.setattr(processes, "rank", lambda: 1)
    assert processes.my_share(range(7)) == range(1, 7, 3)
    assert own_seed(9) == 28


# The commands


def torchrun(options: list[str], *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, "-m", "minift", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two(*arguments: str) -> str:
    """Run a command in two processes; return what it printed."""
    running = torchrun(["--nproc-per-node", "2", "--master-port", str(free_port())], *arguments)
    printed, errors = running.communicate(timeout=4 * SECONDS)
    assert running.returncode == 0, errors
    return printed


@pytest.fixture(scope="module")
def world(encoder, tmp_path_factory) -> Path:
    """Files of texts, and a run folder made by one process."""
    folder = tmp_path_factory.mktemp("world")
    for split in ("train", "dev", "test"):
        rows = [f"{e.text},{e.label}" for e in getattr(reviews(), split)]
        (folder / f"{split}.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    texts = [e.text for e in reviews(2400, seed=9).train]  # more than a chunk
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    build_and_save(encoder, folder / "run")
    return folder


def build_and_save(encoder: Path, folder: Path) -> None:
    chosen = recipe("head")
    settings = replace(chosen.settings, epochs=1)
    train(reviews(), encoder, chosen, seeds=Seeds.all(0), settings=settings, out=folder)


@pytest.mark.slow
def test_minift_train_on_two_machines_writes_one_run(encoder, world, tmp_path):
    """Two launches with their own --node-rank meet at an address of their own."""
    arguments = ["train", "--train", str(world / "train.csv"), "--test", str(world / "test.csv")]
    arguments += ["--encoder", str(encoder), "--epochs", "2", "--out", str(tmp_path / "run")]
    here = ["--nnodes", "2", "--master-addr", "127.0.0.2", "--master-port", str(free_port())]
    nodes = [
        torchrun([*here, "--node-rank", number, "--nproc-per-node", "1"], *arguments)
        for number in ("0", "1")
    ]
    printed = [node.communicate(timeout=4 * SECONDS) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], printed
    assert "run folder:" in printed[0][0]
    assert printed[1][0] == ""
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(world / "test.csv")]) == 0


@pytest.mark.slow
def test_minift_predict_answers_in_the_order_of_the_input(world, capsys):
    arguments = ["predict", str(world / "run"), str(world / "texts.txt")]
    printed = two(*arguments)
    assert main(arguments) == 0
    alone = capsys.readouterr().out
    texts = (world / "texts.txt").read_text().splitlines()
    assert [json.loads(line)["text"] for line in printed.splitlines()] == texts
    answers = [[json.loads(line) for line in text.splitlines()] for text in (printed, alone)]
    assert [a["label"] for a in answers[0]] == [a["label"] for a in answers[1]]
    for ours, theirs in zip(*answers):
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-6)


@pytest.mark.slow
def test_two_processes_of_minift_active_score_write_what_one_does(world, tmp_path):
    arguments = ["active", "score", str(world / "run"), str(world / "texts.txt"), "--passes", "2"]
    assert main([*arguments, "--out", str(tmp_path / "alone")]) == 0
    two(*arguments, "--out", str(tmp_path / "two"))
    rows = [
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("alone", "two")
    ]
    assert len(rows[0]) == 1200  # more than a chunk
    assert [row["id"] for row in rows[0]] == [row["id"] for row in rows[1]]
    # Each process cuts its part into other batches, so float32 logits round in another way;
    # BALD is the small difference of two entropies near log 2, which sets the scale.
    scores = [[row["score"] for row in part] for part in rows]
    assert scores[0] == pytest.approx(scores[1], rel=0, abs=1e-7)


@pytest.mark.slow
def test_an_error_of_a_second_process_reaches_the_user_of_torchrun(world, tmp_path):
    running = torchrun(
        ["--nproc-per-node", "2", "--master-port", str(free_port())],
        "predict", str(world / "run"), str(tmp_path / "none.txt"),
    )  # fmt: skip
    _, errors = running.communicate(timeout=4 * SECONDS)
    assert running.returncode == 1
    assert "minift: " in errors
    assert "none.txt: no such file" in errors
