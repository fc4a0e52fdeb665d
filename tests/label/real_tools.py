"""The whole way through real labelling servers: batch file in, people's answers, each export back.

Not part of pytest, since it needs the servers, each best in an environment of its own:

    python -m venv ls && ls/bin/pip install label-studio==1.23.2
    python -m venv doc && doc/bin/pip install doccano==1.8.4 "marshmallow<4" "numpy<2"
    python -m tests.label.real_tools --label-studio ls/bin/label-studio --doccano doc/bin/doccano

Each server runs on loopback only, with a data folder that is gone afterwards. For every export
format it prints "as answered", or what differs, or the sentence with which minift refuses it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

from minift.errors import MiniftError
from minift.label.answers import import_answers
from minift.label.project import load_project, read_state, start
from minift.label.rounds import ask
from tests.label.exports import characters, entities, units
from tests.tiny import checkpoint

TEXTS = ["a good film", "two\nlines, 😀 bad", '=1+1 "quoted"', "<b>bold</b> & so", "skip", "last"]
CLASSES = ["good", "bad", "bad", None, "good"]  # the last text is left open
SENTENCES = [
    "Ada met 😀 Bo Li in Bonn",
    "it rains",
    "New York , New York",
    "set this aside",
    "open",
]
TAGS = ["B-PER O O B-PER I-PER O B-LOC", "O O", "B-LOC I-LOC O B-LOC I-LOC", None]


class Server:
    """A server at loopback that remembers who logged in."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.base, self.headers, self.cookies = f"http://127.0.0.1:{port}", headers, CookieJar()
        handler = urllib.request.HTTPCookieProcessor(self.cookies)
        self.open = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler).open

    def ask(self, method: str, path: str, json_body=None, file: tuple[str, bytes] | None = None):
        """Return the body of the answer: bytes, or what its JSON says."""
        headers, data = dict(self.headers), None
        for cookie in self.cookies:
            if cookie.name == "csrftoken":
                headers["X-CSRFToken"] = cookie.value or ""
        if file is not None:
            mark, (name, content) = uuid.uuid4().hex, file
            field = "filepond" if "/fp/" in path else "file"
            head = (
                f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            )
            data = f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content
            data += f"\r\n--{mark}--\r\n".encode()
            headers["Content-Type"] = f"multipart/form-data; boundary={mark}"
        elif json_body is not None:
            data, headers["Content-Type"] = json.dumps(json_body).encode(), "application/json"
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with self.open(request, timeout=120) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error} {error.read()[:500]!r}") from None
        return json.loads(body) if body[:1] in (b"{", b"[") else body

    def wait(self, path: str, seconds: int = 300) -> None:
        """Wait until the server answers."""
        for _ in range(seconds):
            try:
                self.open(self.base + path, timeout=5).read()
                return
            except urllib.error.HTTPError:
                return  # it refuses the request, so it is there
            except OSError:
                time.sleep(1)
        raise SystemExit(f"{self.base}{path} does not answer")


@contextmanager
def running(*commands: list[str], env: dict[str, str], folder: Path):
    """Run commands until the block ends; what they print is in `folder`."""
    started = []
    with (folder / "log.txt").open("wb") as log:
        try:
            for command in commands:
                started.append(
                    subprocess.Popen(
                        command,
                        cwd=folder,
                        env={**os.environ, **env},
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
            yield
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)  # nothing of theirs is kept
                process.wait(30)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def project(folder: Path, task: str, format: str):
    """Begin a project, and return it with its batch file and the answers by id."""
    lines = TEXTS if task == "classification" else SENTENCES
    rows = "".join(json.dumps({"text": text}) + "\n" for text in lines)
    (folder / "pool.jsonl").write_text(rows)
    labels = ["good", "bad"] if task == "classification" else ["PER", "LOC"]
    out = folder / "proj"
    start(folder / "pool.jsonl", labels, checkpoint(folder / "encoder"), out, task=task)
    asked = ask(out, 10, format=format)
    print(f"\n{format}, {task}: {asked.how.splitlines()[0]}")
    ids = load_project(out).ids
    given = CLASSES if task == "classification" else [t and t.split() for t in TAGS]
    return out, asked.path, dict(zip(ids, given))


def compare(out: Path, file: Path, answers: dict, skips: bool) -> None:
    """Import an export into a copy of the project, and print how it went."""
    copy = out.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(out, copy)
    try:
        done = import_answers(copy, file, by="ada")
    except MiniftError as error:
        print(f"  {file.name}: refused: {str(error).removeprefix(f'{file}: ')}")
        return
    got = {d.id: d.label for d in read_state(load_project(copy))[0].standing.values()}
    want = {id: label for id, label in answers.items() if label is not None or skips}
    people = {d.source for d in read_state(load_project(copy))[0].standing.values()}
    how = "as answered" if got == want else f"DIFFERS: {got} but expected {want}"
    print(f"  {file.name}: {how}, by {', '.join(sorted(people))} {list(done.problems) or ''}")


def spans_of(words: list[str], tags: list[str], utf16: bool):
    """Yield (start, end, type, text) as the tool's page would mark the entities."""
    text = " ".join(words)
    for first, end, type_ in entities(tags):
        a, b = characters(words, first, end)
        yield (*((units(text, a), units(text, b)) if utf16 else (a, b)), type_, text[a:b])


def label_studio(binary: str, folder: Path) -> None:
    """Import, annotate, skip, export in every format."""
    port, token = free_port(), uuid.uuid4().hex + uuid.uuid4().hex[:8]
    env = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
    }
    command = [binary, "start", "--no-browser", "--port", str(port), "--internal-host", "127.0.0.1"]
    command += ["--username", "ada@example.org", "--password", "only-for-a-test"]
    with running([*command, "--user-token", token], env=env, folder=folder):
        server = Server(port, {"Authorization": f"Token {token}"})
        server.wait("/health")
        for task in ("classification", "tagging"):
            place = folder / task
            place.mkdir()
            out, batch, answers = project(place, task, "labelstudio")
            interface = (batch.parent / "labelstudio.xml").read_text()
            made = {"title": task, "label_config": interface}
            id_ = server.ask("POST", "/api/projects", made)["id"]
            server.ask("POST", f"/api/projects/{id_}/import", json.loads(batch.read_bytes()))
            for item in server.ask("GET", f"/api/tasks?project={id_}&page_size=100")["tasks"]:
                ours = item["data"]["minift_id"]
                if ours not in answers:
                    continue
                label, base = answers[ours], {"from_name": "label", "to_name": "text"}
                regions = [{**base, "type": "choices", "value": {"choices": [label]}}]
                if isinstance(label, list):
                    words = item["data"]["text"].split(" ")
                    regions = [
                        {**base, "type": "labels", "id": str(start), "value": {
                            "start": start, "end": end, "text": text, "labels": [type_]}}
                        for start, end, type_, text in spans_of(words, label, False)
                    ]  # fmt: skip
                body = {"result": regions if label is not None else [], "lead_time": 1}
                body["was_cancelled"] = label is None
                server.ask("POST", f"/api/tasks/{item['id']}/annotations/", body)
            for kind, suffix in (
                ("JSON", "json"), ("JSON_MIN", "json"), ("CSV", "csv"), ("TSV", "tsv"),
                *([("CONLL2003", "conll")] if task == "tagging" else []),
            ):  # fmt: skip
                got = server.ask("GET", f"/api/projects/{id_}/export?exportType={kind}")
                if isinstance(got, bytes) and got[:2] == b"PK":
                    with zipfile.ZipFile(io.BytesIO(got)) as archive:
                        got = archive.read(next(n for n in archive.namelist() if "conll" in n))
                file = place / f"{kind}.{suffix}"
                file.write_bytes(got if isinstance(got, bytes) else json.dumps(got).encode())
                compare(out, file, answers, skips=kind == "JSON")


def doccano(binary: str, folder: Path) -> None:
    """Upload, annotate, comment, export in every format; also a project with relations."""
    port, name, password = free_port(), "ada", "only-for-a-test"
    env = {"HOME": str(folder), "DOCCANO_HOME": str(folder / "home"), "DEBUG": "True"}
    for arguments in (["init"], ["createuser", "--username", name, "--password", password]):
        subprocess.run(
            [binary, *arguments], cwd=folder, env={**os.environ, **env}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    web, worker = [binary, "webserver", "--port", str(port)], [binary, "task"]
    with running(web, worker, env=env, folder=folder):
        server = Server(port, {})
        server.wait("/v1/auth/login/")
        server.ask("POST", "/v1/auth/login/", {"username": name, "password": password})
        kinds = (
            ("classification", "DocumentClassification", {}),
            ("tagging", "SequenceLabeling", {}),
        )
        for task, kind, more in (*kinds, ("tagging", "SequenceLabeling", {"use_relation": True})):
            place = folder / (task + "".join(more))
            place.mkdir()
            out, batch, answers = project(place, task, "doccano")
            made = {
                "name": task, "description": task, "project_type": kind, "guideline": "",
                "resourcetype": {"classification": "TextClassificationProject",
                                 "tagging": "SequenceLabelingProject"}[task],
                "single_class_classification": True, "random_order": False,
                "collaborative_annotation": False, "tags": [], **more,
            }  # fmt: skip
            id_ = server.ask("POST", "/v1/projects", made)["id"]
            types, labels = ("category-types", ["good", "bad"])
            if task == "tagging":
                types, labels = "span-types", ["PER", "LOC", "O"]
            numbers = {}
            for label in labels:
                body = {"text": label, "background_color": "#ffffff"}
                numbers[label] = server.ask("POST", f"/v1/projects/{id_}/{types}", body)["id"]
            upload = server.ask("POST", "/v1/fp/process/", file=(batch.name, batch.read_bytes()))
            server.ask("POST", f"/v1/projects/{id_}/upload", {
                "format": "JSONL", "uploadIds": [upload.decode()], "column_data": "text",
                "column_label": "label", "task": kind,
            } | ({"use_relation": True} if more else {}))  # fmt: skip
            examples: list[dict] = []
            for _ in range(120):
                examples = server.ask("GET", f"/v1/projects/{id_}/examples?limit=100")["results"]
                if len(examples) == len(TEXTS if task == "classification" else SENTENCES):
                    break
                time.sleep(1)
            for example in examples:
                ours, at = example["meta"]["minift_id"], f"/v1/projects/{id_}"
                at, label = f"{at}/examples/{example['id']}", answers.get(ours, "open")
                if label is None:
                    body = {"text": "skip"}
                    server.ask("POST", f"/v1/projects/{id_}/comments?example={example['id']}", body)
                elif isinstance(label, list):
                    words = example["text"].split(" ")
                    found = [*spans_of(words, label, True)] or [(0, len(words[0]), "O", "")]
                    for start_, end, type_, _ in found:
                        body = {"start_offset": start_, "end_offset": end, "label": numbers[type_]}
                        server.ask("POST", f"{at}/spans", body)
                elif label != "open":
                    server.ask("POST", f"{at}/categories", {"label": numbers[label]})
            formats = {"JSONL": "jsonl"}
            if task == "classification":
                formats |= {"JSON": "json", "CSV": "csv", "fastText": "txt"}
            for format, suffix in formats.items():
                body = {"format": format, "exportApproved": False}
                job = server.ask("POST", f"/v1/projects/{id_}/download", body)["task_id"]
                for _ in range(60):
                    if server.ask("GET", f"/v1/tasks/status/{job}")["ready"]:
                        break
                    time.sleep(1)
                got = server.ask("GET", f"/v1/projects/{id_}/download?taskId={job}")
                with zipfile.ZipFile(io.BytesIO(got)) as archive:
                    content = archive.read(f"{name}.{suffix}")
                file = place / f"{format}.{suffix}"
                file.write_bytes(content)
                compare(out, file, answers, skips=True)


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end too
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--label-studio", help="its program")
    parser.add_argument("--doccano", help="its program")
    arguments = parser.parse_args()
    for binary, way in ((arguments.label_studio, label_studio), (arguments.doccano, doccano)):
        if binary:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    way(str(Path(binary).absolute()), Path(folder))
                except BaseException:
                    print((Path(folder) / "log.txt").read_text(errors="replace")[-3000:])
                    raise


if __name__ == "__main__":
    main()
