"""The edges of the command line: where output goes, what fails outside minift, absurd numbers.

claim                                                        oracle
no command writes over an input or what it has not written   every byte of the folder, before, after
the same command may write again what it has written         exit codes, the new content
whatever of the system fails is one line                     /dev/full, closed streams, a stub
Ctrl-C during imports is one line, for the command alone     a stub of torch that interrupts
a pipe is answered line by line, before it ends              answers read while it is open
no number of any option gives a traceback or fills memory    the parsers
two scorings of one file exclude each other                  a lock held by the test
a scoring that fails leaves nothing behind                   the folder
no error names a keyword of Python                           the strings of minift
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minift
from minift.cli import main as cli
from minift.cli.options import READING
from minift.errors import MiniftError, nearest
from minift.files import claim_folder, locked
from tests.cli.test_options import COMMANDS
from tests.tiny import checkpoint, news, reviews

PACKAGE = Path(minift.__file__).parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PACKAGE.parent)}
TRAIN = "train --train texts.csv --encoder encoder --epochs 1 --out"
SIMULATE = (
    "active simulate --train texts.csv --test texts.csv --encoder encoder --steps 1 --rounds 0 "
    "--seeds 1 --out"
)
COMPARE = "compare --train texts.csv --test texts.csv --encoder encoder --epochs 1 --methods head "
COMPARE += "--seeds 1 --out"
DISTILL = "distill --teacher tagger --unlabelled sentences.txt --train tags.conll --steps 1"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with files, an encoder, a run and a tagger."""
    folder = tmp_path_factory.mktemp("made")
    checkpoint(folder / "encoder")
    rows = [f"{e.text},{e.label}" for e in reviews(32).train]
    (folder / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "texts.txt").write_text("\n".join(f"{e.text} zebra" for e in reviews(32).test) + "\n")
    sentences = news(32).train
    lines = ("\n".join(f"{w}\t{t}" for w, t in zip(e.words, e.tags)) for e in sentences)
    (folder / "tags.conll").write_text("\n\n".join(lines) + "\n")
    (folder / "sentences.txt").write_text("\n".join(" ".join(e.words) for e in sentences) + "\n")
    here = Path.cwd()
    os.chdir(folder)
    try:
        assert cli.main(f"{TRAIN} run".split()) == 0
        tagged = TRAIN.replace("texts.csv", "tags.conll")
        assert cli.main(f"{tagged} tagger".split()) == 0
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def world(made, tmp_path, monkeypatch):
    """The same as links into a new folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for path in made.iterdir():
        if path.is_dir():
            Path(path.name).mkdir()
            for file in path.iterdir():
                (Path(path.name) / file.name).write_bytes(file.read_bytes())
        else:
            Path(path.name).write_bytes(path.read_bytes())
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(capsys, line: str) -> str:
    capsys.readouterr()
    assert cli.main(line.split()) == 1
    said = capsys.readouterr().err.splitlines(keepends=True)
    error = "".join(line for line in said if not line.startswith("note: "))  # of the data
    assert error.startswith("minift: ") and error.count("\n") == 1, error
    return error


# Outputs

FILES = {  # command -> a file that it reads
    "predict run texts.txt --out": "texts.txt",
    "evaluate tagger --data tags.conll --errors": "tags.conll",
    "active score run texts.txt --strategy entropy --out": "texts.txt",
}


@pytest.mark.parametrize("command", FILES, ids=lambda c: c.split()[0])
def test_no_file_is_written_over_an_input_or_over_what_is_not_ours(world, capsys, command):
    source = Path(FILES[command])
    Path("linked").symlink_to(source)
    Path("hard").hardlink_to(source)
    Path("mine.jsonl").write_text('{"text": "good", "label": "positive", "entities": []}\n')
    before = content(world)
    for name in (source, "linked", "hard", "./encoder/../" + source.name):
        assert "is the file that is read" in refused(capsys, f"{command} {name}")
    for name in ("mine.jsonl", "texts.csv", "run/model.safetensors", "encoder/config.json"):
        assert name in refused(capsys, f"{command} {name}")
    for name in ("run", os.devnull):
        assert "is not a file that can be replaced" in refused(capsys, f"{command} {name}")
    assert "cannot write" in refused(capsys, f"{command} texts.csv/answers")
    assert content(world) == before
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("command", FILES, ids=lambda c: c.split()[0])
def test_the_same_command_may_write_again_and_over_an_empty_file(world, capsys, command):
    Path("new").touch()
    assert cli.main(f"{command} new".split()) == 0
    first = Path("new").read_bytes()
    if "student" in command:
        assert "already holds a finished run" in refused(capsys, f"{command} new")
        command = command.replace("student", "other")
    assert cli.main(f"{command} new".split()) == 0
    assert Path("new").read_bytes() == first != b""
    assert not Path("new.lock").exists()


FOLDERS = [TRAIN, SIMULATE, COMPARE, f"{DISTILL} --out"]
FOLDERS += ["pretrain encoder --text texts.txt --batch-size 4 --epochs 1 --out"]
FOLDERS += ["expand encoder --text texts.txt --size 9 --out"]
FOLDERS += ["active start --pool texts.txt --labels a,b --encoder encoder --out"]


@pytest.mark.parametrize("command", FOLDERS, ids=lambda c: " ".join(c.split()[:2]))
def test_no_command_writes_into_a_folder_of_something_else(world, capsys, command):
    for name in ("papers", "other"):
        Path(name).mkdir()
    Path("papers/notes.txt").write_text("mine")
    Path("other/run.json").write_text('{"my own": "format"}')
    Path("other/distill.json").write_text('{"my own": "format"}')
    (world / "run" / "result.json").unlink()  # as if it had been killed
    for lock in world.rglob("*.lock"):
        lock.unlink()
    before = content(world)
    for name in ("papers", "other", "encoder", ".", "texts.csv", "texts.csv/below"):
        refused(capsys, f"{command} {name}")
    if command != TRAIN:
        refused(capsys, f"{command} run")
    after = {name: data for name, data in content(world).items() if not name.endswith(".lock")}
    assert after == before


def test_a_folder_is_ours_by_its_marker_and_locks_are_nothing(tmp_path):
    claim_folder(tmp_path / "new", "run.json")
    (tmp_path / "run.lock").touch()
    (tmp_path / ".hidden").touch()
    claim_folder(tmp_path, "run.json")
    (tmp_path / "x").touch()
    with pytest.raises(MiniftError, match=r"holds something else \(x\); choose another --out"):
        claim_folder(tmp_path, "run.json")
    (tmp_path / "run.json").touch()
    claim_folder(tmp_path, "run.json")


# Failures of the system


def shell(line: str, **more) -> subprocess.CompletedProcess:
    environment = {**ENVIRONMENT, **more}
    command = line.replace("minift", f'"{sys.executable}" -m minift')
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("minift info --methods > /dev/full", "No space left on device"),
        ("minift train --help > /dev/full", "No space left on device"),
        ("PYTHONUNBUFFERED=1 minift --version > /dev/full", "No space left on device"),
        ("minift predict run texts.txt > /dev/full", "No space left on device"),
        ("minift info --methods >&-", "standard output: closed"),
        ("minift predict run - <&-", "standard input is closed"),
        ("ulimit -f 0; minift predict run texts.txt --out answers", "File too large"),
        ("ulimit -f 0; minift active score run texts.txt --out scores", "File too large"),
        ("minift info --methods 2>&-", ""),
        ("minift predict run texts.txt 2>&- | head -n 1", ""),
    ],
)
def test_a_failure_of_a_stream_or_of_the_disk_is_one_line(world, line, said):
    done = shell(line)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
    if said:
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert done.stderr.startswith("minift: ") and said in done.stderr
    else:
        assert done.returncode == 0 and done.stdout, done
    assert not list(world.glob("answers*")) and not list(world.glob("scores*"))


def test_a_disk_that_cannot_be_written_is_one_line_in_every_command_that_writes(
    world, capsys, monkeypatch
):
    plain = Path.mkdir

    def read_only(path, *args, **named):
        if "new" in str(path):
            raise OSError(30, os.strerror(30), str(path))
        return plain(path, *args, **named)

    monkeypatch.setattr(Path, "mkdir", read_only)
    for command in (*FOLDERS, *(c.replace("student", "s") for c in FILES)):
        assert "Read-only file system" in refused(capsys, f"{command} new/out")


def test_memory_that_is_full_is_one_line_and_a_fault_of_ours_is_not_hidden(
    world, capsys, monkeypatch
):
    for error in (MemoryError(), RuntimeError("can't allocate memory")):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr("minift.runs.describe.describe", fail)
        assert "the memory is full" in refused(capsys, "info encoder")

    def wrong(*_):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr("minift.runs.describe.describe", wrong)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli.main(["info", "encoder"])


def test_ctrl_c_during_imports_is_one_line_for_the_command_and_not_for_other_programs(tmp_path):
    stub = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    (tmp_path / "torch.py").write_text(stub)
    path = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{PACKAGE.parent}"}
    done = shell("minift --version", **path)
    assert (done.returncode, done.stderr) == (130, "minift: interrupted\n")
    command = [sys.executable, "-c", "import minift"]
    environment = {**os.environ, **path}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "KeyboardInterrupt" in done.stderr
    ignored = shell("trap '' INT; minift --version", **path)  # as nohup does
    assert "interrupted" not in ignored.stderr


def test_after_the_imports_ctrl_c_is_pythons_own_again():
    assert cli.main(["info", "--methods"]) == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_pipe_is_answered_before_it_ends(world):
    process = subprocess.Popen(
        [sys.executable, "-m", "minift", "predict", "run", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=ENVIRONMENT,
    )  # fmt: skip

    def answered(text: str) -> bool:
        there = select.select([process.stdout], [], [], 60)[0]  # rather than wait forever
        return bool(there) and json.loads(process.stdout.readline())["text"] == text

    try:
        for typed in (b"good film\n\n", b"bad book\nbad plot\n"):
            process.stdin.write(typed)
            assert all(answered(text) for text in typed.decode().split("\n") if text)
        process.stdin.write(b"no end")
        process.stdin.close()
        assert answered("no end")
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# Numbers

NUMBERS = [
    (words, action)
    for words, parser in COMMANDS.items()
    for action in parser._actions
    if action.type in (int, float) or "seeds" in action.dest or action.metavar in ("N", "X")
]


@pytest.mark.parametrize("value", ["x", "9" * 20, "nan", "1e400", "", "1,,2"])
def test_what_is_no_number_of_a_sane_size_is_refused_by_every_option(value, capsys):
    seen = 0
    for words, action in NUMBERS:
        if action.dest == "test":
            continue
        option = action.option_strings[-1]
        with pytest.raises(SystemExit) as stop:
            parser = argparse.ArgumentParser.parse_known_args
            parser(COMMANDS[words], [option, value])
        error = capsys.readouterr().err
        assert stop.value.code == 2 and f"argument {option}" in error, error
        assert "expected" in error, error
        seen += 1
    assert seen > 25


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("active score run texts.txt --out s --seed -1", "--seed must be an integer in"),
        ("active status project --budget -1", "--budget must be a number from 1 up"),
        ("active next project -n 0", "-n of texts must be at least 1"),
        ("active next project --passes 0", "--passes must be at least 1"),
        ("demo --seeds 0", "--seeds must be a number from 1 to 10000"),
        (f"{DISTILL.replace('--steps 1', '--steps -1')} --out s", "--steps must be a whole number"),
        ("active score run texts.txt --out s --passes 99999", "--passes must be at most 10000"),
    ],
)
def test_a_number_out_of_range_is_named_with_its_option(world, capsys, line, said):
    if "project" in line:
        start = "active start --pool texts.txt --labels a,b --encoder encoder --out project"
        assert cli.main(start.split()) == 0
    assert said in refused(capsys, line)
    assert not Path("s").exists()


def test_too_many_seeds_are_refused_at_once(capsys):
    for line in ("compare --seeds 99999999", "active simulate --seeds 10001", "compare --seeds -3"):
        with pytest.raises(SystemExit):
            cli.main(line.split())
        assert "expected 1 to 10000 seeds" in capsys.readouterr().err


# Scores


def test_two_scorings_of_one_file_exclude_each_other(world, capsys):
    with locked(Path("scores")):
        error = refused(capsys, "active score run texts.txt --passes 1 --out scores")
        assert f"in use by process {os.getpid()}" in error
    assert not Path("scores").exists()


@pytest.mark.parametrize("more", ["--layers 9", "--strategy random"])
def test_a_scoring_that_fails_leaves_nothing_behind(world, capsys, more):
    before = sorted(world.rglob("*"))
    refused(capsys, f"active score run texts.txt --passes 1 {more} --out scores")
    assert sorted(world.rglob("*")) == before


# Words


def test_a_name_that_was_typed_is_not_suggested(tmp_path, capsys):
    assert nearest("text", ["text"]) == ""
    assert nearest("text", ["text", "texts"]) == '; did you mean "texts"?'
    (tmp_path / "train.csv").symlink_to("gone.csv")
    error = refused(capsys, f"train --train {tmp_path}/train.csv")
    assert "no such file" in error and "did you mean" not in error


def test_no_error_names_a_keyword_of_python():
    """But for what `_in_options` turns into options, and for words of other programs."""
    import re

    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            calls = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require"
            if isinstance(node, ast.Raise) or calls:
                for part in ast.walk(node):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        found.update(re.findall(r"\b([a-z_]{3,})=", part.value))
    assert found <= {
        "keep",
        "with_responses",
        "flatten",
        "batch_size",
        "positive",
        *READING,
    }
