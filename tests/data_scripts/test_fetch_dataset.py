"""Public sets come whole or not at all, proven with a server on 127.0.0.1 that misbehaves.

claim                                                       oracle
a download that breaks or stalls begins again, and ends     the server's log; the bytes
redirects lead to http(s) only, and never down to http      a server that points elsewhere
what waiting cannot change is asked for once                  the server's log
a file has its name only when it is whole and right         kill, full disk, digest, forged archive
the record has address, date, size and sha256               hashlib; later runs
terms come before the first request                         the server's log
the table fits the loaders; WNUT-17's digests are right     NAMED_SETS; the published files
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError

import pytest

from minift.data.files.readers import read_examples
from minift.data.named import NAMED_SETS, NamedSet, load_dataset
from minift.errors import MiniftError

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "fetch_dataset.py"
_spec = importlib.util.spec_from_file_location("fetch_dataset", SCRIPT)
script = sys.modules["fetch_dataset"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)

DATA = bytes(range(256)) * 1000
OTHER = DATA[::-1]
HALF = len(DATA) // 2
ROWS = b"text\tlabel\na good film\tpos\na bad film\tneg\n"


# ------------------------------------------------------------------ the server


@dataclass(frozen=True)
class Answer:
    """How the server answers one request."""

    data: bytes = DATA
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    cut: int | None = None  # closes after so many bytes
    stalls: bool = False  # waits there instead of closing
    chunked: bool = False
    length: bool = True


class Host(ThreadingHTTPServer):
    """A server whose nth answer about a path is the nth of its plan; the last one repeats."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.plans: dict[str, list[Answer]] = {}
        self.asked: list[str] = []
        self.stalled, self.go_on = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def plan(self, path: str, *answers: Answer) -> str:
        self.plans[f"/{path}"] = list(answers)
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        before = self.server.asked.count(self.path)
        self.server.asked.append(self.path)
        plan = self.server.plans.get(self.path, [Answer(status=404)])
        answer = plan[min(before, len(plan) - 1)]
        headers, data, status = dict(answer.headers), answer.data, answer.status
        self.send_response(status)
        if answer.chunked:
            headers["Transfer-Encoding"] = "chunked"
            data = b"".join(
                b"%x\r\n%s\r\n" % (len(block), block)
                for block in [*(data[i : i + 1000] for i in range(0, len(data), 1000)), b""]
            )
        elif answer.length:
            headers.setdefault("Content-Length", str(len(data)))
        else:
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: answer.cut])
        if answer.cut is not None:
            self.wfile.flush()
            self.close_connection = True
            if answer.stalls:
                self.server.stalled.set()
                self.server.go_on.wait(20)


@pytest.fixture
def host(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(script, "PAUSE", 0.001)
    with Host() as host:
        yield host
        host.go_on.set()
        host.shutdown()


@pytest.fixture
def made(host, monkeypatch, tmp_path):
    """A made set of two files, and a function that says where they come from."""
    read = partial(read_examples, format="tsv")
    tsv = NamedSet(("train.tsv", "dev.tsv"), "made up, CC0", read)
    monkeypatch.setitem(NAMED_SETS, "made", tsv)

    def come_from(*downloads):
        source = script.Source("https://example.org/made", tuple(downloads))
        monkeypatch.setitem(script.SOURCES, "made", source)
        return tmp_path / "data" / "made"

    return come_from


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def names(folder: Path) -> list[str]:
    """Names of a folder's files, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def two_files(host, made, first=None, second=None):
    """The made set as two plain files; returns its folder."""
    train = host.plan("train.tsv", first or Answer(ROWS))
    dev = host.plan("dev.tsv", second or Answer(ROWS))
    return made(
        script.Download(train, {"train.tsv": None}), script.Download(dev, {"dev.tsv": None})
    )


# ------------------------------------------------------------------ what breaks off


@pytest.mark.parametrize("broken", [{}, {"chunked": True}], ids=["by length", "chunked"])
def test_a_broken_connection_begins_again(host, broken):
    url = host.plan("f", Answer(cut=HALF, **broken), Answer(**broken))
    assert script.download(url) == DATA
    assert host.asked == ["/f", "/f"]


def test_a_stall_ends_after_the_time_out_and_begins_again(host, monkeypatch, capsys):
    monkeypatch.setattr(script, "TIMEOUT", 0.2)
    url = host.plan("f", Answer(cut=HALF, stalls=True), Answer())
    start = time.perf_counter()
    assert script.download(url) == DATA
    assert 0.2 <= time.perf_counter() - start < 5
    assert "stalled: no byte for 0.2 s; trying again" in capsys.readouterr().err


def test_tries_end_after_four_with_longer_pauses(host, monkeypatch):
    pauses = []
    monkeypatch.setattr(script.time, "sleep", pauses.append)
    monkeypatch.setattr(script, "PAUSE", 1.0)
    url = host.plan("f", Answer(cut=1000))
    words = r"/f: broke off after 1,000 of 256,000 bytes, at the last of 4 tries; run again later"
    with pytest.raises(MiniftError, match=words):
        script.download(url)
    assert pauses == [1.0, 2.0, 4.0]
    assert len(host.asked) == 4


def test_an_answer_without_a_length_is_read_to_its_end(host):
    assert script.download(host.plan("f", Answer(length=False))) == DATA


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(host, status, capsys):
    assert script.download(host.plan("f", Answer(b"", status=status), Answer())) == DATA
    assert f"the server answered {status}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(status=404), r"/f: there is nothing at this address any more \(404\)"),
        (Answer(status=403), r"/f: the server refuses access \(403 Forbidden\)"),
        (Answer(status=418), r"/f: the server answered 418"),
        (Answer(headers={"Content-Type": "text/html; charset=utf-8"}), "a web page came instead"),
        (Answer(headers={"Content-Encoding": "gzip"}), r"it came packed \(gzip\)"),
        (Answer(b"", status=204), "answered 204, expected 200"),
    ],
)
def test_what_does_not_pass_is_asked_for_once(host, answer, words):
    with pytest.raises(MiniftError, match=words):
        script.download(host.plan("f", answer))
    assert len(host.asked) == 1


@pytest.mark.parametrize("length", [True, False], ids=["said to be", "turns out"])
def test_a_file_that_is_too_large_is_refused(host, monkeypatch, length):
    monkeypatch.setattr(script, "LARGEST", 70_000)
    with pytest.raises(MiniftError, match=r"more than 70,000 bytes, which no file of a set"):
        script.download(host.plan("f", Answer(length=length)))


def test_a_host_that_is_not_there_is_named_with_the_reason(host):
    url = host.plan("f")
    host.shutdown()
    host.server_close()
    with pytest.raises(MiniftError, match=r"/f: the connection failed \(.*refused\), at the last"):
        script.download(url)


# ------------------------------------------------------------------ redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(host, status):
    url = host.plan("f", Answer(b"", {"Location": host.plan("goal", Answer())}, status=status))
    assert script.download(url) == DATA
    assert host.asked == ["/f", "/goal"]


@pytest.mark.parametrize("goal", ["file:///etc/hosts", "ftp://127.0.0.1/f", "data:text/plain,f"])
def test_redirects_to_anything_but_http_are_refused(host, goal):
    with pytest.raises(MiniftError, match=rf"/f: not followed: .*{goal[:5]}"):
        script.download(host.plan("f", Answer(b"", {"Location": goal}, status=302)))
    assert len(host.asked) == 1


def test_an_address_of_another_kind_in_the_table_is_refused_too(tmp_path):
    (tmp_path / "secret").write_text("secret")
    for url in ((tmp_path / "secret").as_uri(), "ftp://127.0.0.1/f", "data:text/plain,f"):
        with pytest.raises(MiniftError, match="only http and https are asked"):
            script.download(url)


def test_a_redirect_that_turns_in_a_circle_ends(host):
    url = host.plan("f")
    host.plan("f", Answer(b"", {"Location": url}, status=302))
    with pytest.raises(MiniftError, match=r"/f: not followed: .*infinite loop"):
        script.download(url)
    assert len(host.asked) < 15


def test_redirects_go_up_to_https_but_not_down_from_it():
    def redirected(old, new):
        request = urllib.request.Request(old)
        return script._Redirects().redirect_request(request, None, 302, "Found", {}, new)

    up = redirected("http://example.org/f", "https://example.org/f")
    assert up.full_url == "https://example.org/f"
    with pytest.raises(HTTPError, match=r"redirect from https to http://example\.org/f"):
        redirected("https://example.org/f", "http://example.org/f")


# ------------------------------------------------------------------ a set


def test_an_archive_gives_the_members_asked_for_and_writes_nothing_else(host, made, tmp_path):
    members = {"Made/train.tsv": ROWS, "Made/dev.tsv": ROWS[:-17], "Made/other.tsv": b"x"}
    evil = {"../../evil.tsv": b"x", "/evil.tsv": b"x", "train.tsv": b"x", "Made/../dev.tsv": b"x"}
    archive = zipped({**members, **evil})
    wanted = {"train.tsv": "Made/train.tsv", "dev.tsv": "Made/dev.tsv"}
    folder = made(script.Download(host.plan("Made.zip", Answer(archive)), wanted, sha(archive)))
    assert script.fetch("made", tmp_path) == folder
    assert (folder / "train.tsv").read_bytes() == ROWS
    assert (folder / "dev.tsv").read_bytes() == ROWS[:-17]
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    files = ("dev.tsv", "fetched.json", "fetched.json.lock", "train.tsv")
    assert found == ["data", "data/made", *(f"data/made/{file}" for file in files)]
    assert len(host.asked) == 1


def damaged(archive: bytes) -> bytes:
    at = archive.index(b"Made/train.tsv") + len("Made/train.tsv") + 2
    return archive[:at] + bytes([archive[at] ^ 0xFF]) + archive[at + 1 :]


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"PK no archive", "not the expected zip archive: File is not a zip file"),
        (zipped({"train.tsv": ROWS}), "the archive that came has no Made/train.tsv"),
        (damaged(zipped({"Made/train.tsv": ROWS})), "not the expected zip archive: "),
        (
            zipped({"Made/train.tsv": bytes(10**6)}),
            r"train.tsv is refused: it says it has 1000000 bytes",
        ),
    ],
    ids=["no archive", "no member", "damaged", "bomb"],
)
def test_a_bad_archive_leaves_no_file_and_says_what_to_do(
    host, made, tmp_path, monkeypatch, archive, words
):
    monkeypatch.setattr(script, "LARGEST", 10**5)
    wanted = {"train.tsv": "Made/train.tsv"}
    folder = made(script.Download(host.plan("Made.zip", Answer(archive)), wanted))
    with pytest.raises(MiniftError, match=words) as caught:
        script.fetch("made", tmp_path)
    assert f"or put train.tsv here by hand: {folder} (see https://example.org/made)" in str(
        caught.value
    )
    assert names(folder) == []


def test_a_wrong_digest_is_refused_and_the_right_one_accepted(host, made, tmp_path, capsys):
    files = {"train.tsv": None}
    url = host.plan("train.tsv", Answer(ROWS + b"!"), Answer(ROWS))
    dev = script.Download(host.plan("dev.tsv", Answer(ROWS)), {"dev.tsv": None})
    folder = made(script.Download(url, files, sha(ROWS)), dev)
    words = rf"has sha256 {sha(ROWS + b'!')}, expected {sha(ROWS)}: .* it was not kept. Run again"
    with pytest.raises(MiniftError, match=words):
        script.fetch("made", tmp_path)
    assert names(folder) == []
    script.fetch("made", tmp_path)
    ledger = json.loads((folder / "fetched.json").read_text())
    assert [ledger[file]["checked"] for file in ("train.tsv", "dev.tsv")] == [True, False]
    out = capsys.readouterr().out
    assert "train.tsv: its download has the expected sha256" in out
    assert "dev.tsv: not checked: no digest known" in out


def test_the_record_has_address_date_size_and_digest(host, made, tmp_path):
    folder = two_files(host, made)
    script.fetch("made", tmp_path)
    entry = json.loads((folder / "fetched.json").read_text())["train.tsv"]
    assert re.fullmatch(r"http://127.0.0.1:\d+/train.tsv", entry["url"])
    assert (entry["size"], entry["sha256"]) == (len(ROWS), sha(ROWS))
    age = datetime.now(timezone.utc) - datetime.fromisoformat(entry["date"])
    assert 0 <= age.total_seconds() < 60


def test_later_runs_ask_nothing_and_notice_a_changed_file(host, made, tmp_path, capsys):
    folder = two_files(host, made)
    script.fetch("made", tmp_path)
    asked = len(host.asked)
    script.fetch("made", tmp_path)
    assert len(host.asked) == asked == 2
    assert capsys.readouterr().out.count(": as it was on 2") == 2
    (folder / "dev.tsv").write_bytes(ROWS + b"mine\tpos\n")
    with pytest.raises(MiniftError, match=r"dev.tsv has changed since .*; delete the file to"):
        script.fetch("made", tmp_path)
    (folder / "dev.tsv").unlink()
    script.fetch("made", tmp_path)  # only what is missing is fetched
    assert host.asked[asked:] == ["/dev.tsv"]
    assert (folder / "dev.tsv").read_bytes() == ROWS


def test_a_file_that_is_not_what_came_before_is_refused_until_its_entry_is_deleted(
    host, made, tmp_path
):
    folder = two_files(host, made)
    script.fetch("made", tmp_path)
    (folder / "dev.tsv").unlink()
    host.plan("dev.tsv", Answer(ROWS * 2))
    with pytest.raises(MiniftError, match=r"dev.tsv from http.* is not what it was on .*; if it"):
        script.fetch("made", tmp_path)
    assert not (folder / "dev.tsv").exists()
    ledger = json.loads((folder / "fetched.json").read_text())
    del ledger["dev.tsv"]
    (folder / "fetched.json").write_text(json.dumps(ledger))
    script.fetch("made", tmp_path)
    assert (folder / "dev.tsv").read_bytes() == ROWS * 2


def test_a_file_put_there_by_hand_is_kept_recorded_and_watched(host, made, tmp_path, capsys):
    folder = two_files(host, made)
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_bytes(b"by hand")
    script.fetch("made", tmp_path)
    assert host.asked == ["/dev.tsv"]
    assert "train.tsv: put here by hand; not checked; sha256" in capsys.readouterr().out
    (folder / "train.tsv").write_bytes(b"by foot")
    with pytest.raises(MiniftError, match=rf"sha256 was {sha(b'by hand')}, is {sha(b'by foot')}"):
        script.fetch("made", tmp_path)


def test_the_record_is_written_before_the_file_has_its_name(host, made, tmp_path, monkeypatch):
    folder = two_files(host, made)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(script, "_record", killed)
        script.fetch("made", tmp_path)
    assert names(folder) == []  # with its name and no record it would pass for one put by hand
    script.fetch("made", tmp_path)
    assert names(folder) == ["dev.tsv", "fetched.json", "train.tsv"]


def test_a_damaged_record_is_named(host, made, tmp_path):
    folder = two_files(host, made)
    script.fetch("made", tmp_path)
    (folder / "fetched.json").write_text("{")
    with pytest.raises(MiniftError, match=r"fetched.json is damaged .* delete it to do without"):
        script.fetch("made", tmp_path)


def test_a_dead_address_says_where_to_put_the_file_by_hand(host, made, tmp_path):
    folder = two_files(host, made, second=Answer(status=404))
    with pytest.raises(MiniftError, match=r"nothing at this address") as caught:
        script.fetch("made", tmp_path)
    assert f"or put dev.tsv here by hand: {folder}" in str(caught.value)
    assert (folder / "train.tsv").read_bytes() == ROWS  # what came is not lost


@contextmanager
def disk_for(size: int):
    """No file may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_costs_nothing_of_what_came(host, made, tmp_path):
    folder = two_files(host, made, second=Answer(DATA))
    words = r"cannot write to .*made: .*too large.* unchanged; or put dev.tsv here by hand"
    with disk_for(200_000), pytest.raises(MiniftError, match=words):
        script.fetch("made", tmp_path)
    assert names(folder) == ["fetched.json", "train.tsv"]
    script.fetch("made", tmp_path)
    assert host.asked == ["/train.tsv", "/dev.tsv", "/dev.tsv"]
    assert (folder / "dev.tsv").read_bytes() == DATA


def test_a_folder_that_cannot_be_made_is_named(host, made, tmp_path):
    folder = two_files(host, made)
    (tmp_path / "data").write_text("a file")
    with pytest.raises(MiniftError, match=r"cannot write into .*made: .*; choose another --home"):
        script.fetch("made", tmp_path)
    assert not folder.exists() and host.asked == []


WORKER = """
import sys, types
from pathlib import Path
root, url, home = sys.argv[1:]
sys.modules["minift"] = package = types.ModuleType("minift")  # without torch, which takes seconds
package.__path__ = [root + "/minift"]
sys.path.insert(0, root + "/data_scripts")
import fetch_dataset as script
script.SOURCES["ag_news"] = script.Source("", (script.Download(url, {"train.csv": None}),))
script.fetch("ag_news", Path(home))
"""


def test_two_processes_do_not_fetch_one_set_and_a_killed_one_leaves_no_file(
    host, tmp_path, monkeypatch
):
    url = host.plan("train.csv", Answer(cut=HALF, stalls=True), Answer())
    download = script.Download(url, {"train.csv": None})
    monkeypatch.setitem(script.SOURCES, "ag_news", script.Source("", (download,)))
    command = [sys.executable, "-c", WORKER, str(SCRIPT.parents[1]), url, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as worker:
        assert host.stalled.wait(30), worker.stderr.read()
        with pytest.raises(MiniftError, match=rf"is in use by process {worker.pid} on .*; wait"):
            script.fetch("ag_news", tmp_path)
        worker.send_signal(signal.SIGKILL)
    folder = tmp_path / "data" / "ag_news"
    assert names(folder) == []
    script.fetch("ag_news", tmp_path)
    assert (folder / "train.csv").read_bytes() == DATA
    assert names(folder) == ["fetched.json", "train.csv"]


# ------------------------------------------------------------------ terms and the command


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "just enter", "end of input"])
def test_terms_that_are_not_accepted_fetch_nothing(
    host, made, tmp_path, monkeypatch, capsys, answer
):
    two_files(host, made)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    with pytest.raises(MiniftError, match="nothing was downloaded: the terms were not accepted"):
        script.fetch("made", tmp_path)
    assert host.asked == []
    out = capsys.readouterr().out
    assert "terms: made up, CC0" in out and "(no digest of it is known)" in out
    assert "Download it under these terms? [y/N]" in out


def test_terms_are_shown_and_accepted_by_yes_or_the_option_or_without_a_terminal(
    host, made, tmp_path, monkeypatch, capsys
):
    two_files(host, made)
    for number, (stdin, yes) in enumerate(
        [(Terminal("y\n"), False), (Terminal(""), True), (io.StringIO(), False)]
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        folder = script.fetch("made", tmp_path / str(number), yes)
        assert (folder / "train.tsv").read_bytes() == ROWS
        assert capsys.readouterr().out.startswith("made: https://example.org/made\n  terms: made")


def test_the_command_fetches_reads_and_counts(host, made, tmp_path, capsys):
    two_files(host, made)
    assert script.main(["made", "--yes", "--home", str(tmp_path)]) == 0
    assert "made (classification): 2 train, 2 dev, 0 test; to use it" in capsys.readouterr().out


def test_the_command_uses_minift_home_where_load_dataset_looks(host, made, tmp_path, monkeypatch):
    two_files(host, made)
    monkeypatch.delenv("MINIFT_DATA", raising=False)
    monkeypatch.setenv("MINIFT_HOME", str(tmp_path))
    assert script.main(["made", "--yes"]) == 0
    assert [example.label for example in load_dataset("made").train] == ["pos", "neg"]


def test_the_command_says_errors_in_one_line_also_of_a_file_that_cannot_be_read(
    host, made, tmp_path, capsys
):
    two_files(host, made, first=Answer(b"something\telse\n1\t2\n"))
    assert script.main(["made", "--yes", "--home", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert re.fullmatch(r'error: .*train.tsv: no column "text" .*\n', err)
    assert script.main(["mad", "--home", str(tmp_path)]) == 1
    assert 'unknown data set "mad"' in (err := capsys.readouterr().err)
    assert 'did you mean "made"' in err


def test_ctrl_c_is_one_line(host, made, tmp_path, monkeypatch, capsys):
    two_files(host, made)

    def press_ctrl_c(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "_body", press_ctrl_c)
    assert script.main(["made", "--yes", "--home", str(tmp_path)]) == 130
    assert capsys.readouterr().err.endswith("Run again for the rest\n")


def test_conll2003_is_put_there_by_hand_and_says_how(tmp_path, capsys):
    assert script.main(["conll2003", "--home", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    folder = tmp_path / "data" / "conll2003"
    assert f"put eng.train, eng.testa, eng.testb here by hand: {folder}" in err
    assert "agreement with NIST (https://trec.nist.gov/" in err
    for file in ("eng.train", "eng.testa", "eng.testb"):
        (folder / file).write_text("Ann NNP I-NP I-PER\nleft VBD I-VP O\n")
    assert script.main(["conll2003", "--home", str(tmp_path)]) == 0
    assert "conll2003 (tagging): 1 train, 1 dev, 1 test" in capsys.readouterr().out


# ------------------------------------------------------------------ the table


def test_the_table_has_every_named_set_with_just_the_files_its_loader_wants():
    assert set(script.SOURCES) == set(NAMED_SETS)
    for name, source in script.SOURCES.items():
        files = [file for item in source.downloads for file in item.files]
        assert bool(files) != bool(source.by_hand), name
        if files:
            assert files == list(NAMED_SETS[name].files), name


def test_every_address_is_https_and_every_digest_a_digest():
    for source in script.SOURCES.values():
        for item in source.downloads:
            assert item.url.startswith("https://")
            assert item.sha256 is None or re.fullmatch("[0-9a-f]{64}", item.sha256)
            for file, member in item.files.items():
                last = item.url if member is None else member
                assert last.endswith(f"/{file}")
                assert (member is not None) == item.url.endswith(".zip")


def test_the_list_shows_name_terms_and_address_of_every_set(capsys):
    assert script.main(["--list"]) == 0
    out = capsys.readouterr().out
    for name, source in script.SOURCES.items():
        assert f"{name}: {source.page}\n  terms: {NAMED_SETS[name].licence}" in out
        assert all(item.url in out for item in source.downloads)


def test_the_digests_of_wnut17_are_those_of_the_published_files(real_data):
    for item in script.SOURCES["wnut17"].downloads:
        (file,) = item.files
        assert sha((real_data / "wnut17" / file).read_bytes()) == item.sha256
