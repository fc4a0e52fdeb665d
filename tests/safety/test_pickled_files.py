"""A pytorch_model.bin of a stranger: nothing runs, and nothing grows beyond the file.

claim                                                        oracle
real files of both formats are read as before                torch.save, new and old
a few bytes cannot ask for gigabytes                         pickles by hand; the peak of memory
only what a table of tensors needs may be named              pickles by hand
an archive that unpacks to more than itself is refused       zip files by hand
2,000 spoilt files: an error of ours, or tensors no larger   tensors counted; CPU time a file
than the file
"""

from __future__ import annotations

import io
import pickle
import random
import time
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from minift.checkpoints.weights import read_tensors
from minift.errors import MiniftError
from tests.safety.spoil import cheap, spoil

TENSORS = {"a": torch.arange(50.0), "b": torch.ones(3, 4).half(), "c": torch.tensor(3)}


def archive(table: bytes, compress: int = zipfile.ZIP_STORED, data: bytes = bytes(16)) -> bytes:
    """A file as torch.save makes it, around a pickle by hand."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as opened:
        for name, content in (("data.pkl", table), ("byteorder", b"little"), ("data/0", data),
                              ("version", b"3\n")):  # fmt: skip
            opened.writestr(f"m/{name}", content)
    return file.getvalue()


def tensor_pickle(size: str, stride: str, numel: int) -> bytes:
    """The table {"a": a float tensor of this size and stride, on a storage of `numel`}."""

    def whole(text: str) -> bytes:
        numbers = [int(n) for n in text.split()]
        return b"(" + b"".join(pickle.dumps(n, 2)[2:-1] for n in numbers) + b"t"

    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"
    storage += pickle.dumps(numel, 2)[2:-1] + b"tQ"
    return (
        b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0"
        + whole(size) + whole(stride) + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


@pytest.mark.parametrize("new", [True, False])
def test_real_files_of_both_formats_are_read(tmp_path, new):
    types = {str(t): torch.zeros(2, dtype=t) for t in (torch.bfloat16, torch.uint8, torch.bool)}
    parameters = {"w": torch.nn.Parameter(torch.ones(2))}
    for table in (TENSORS, OrderedDict(TENSORS), parameters, types):
        torch.save(table, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=new)
        found = read_tensors(tmp_path)
        assert list(found) == list(table)
        assert all(torch.equal(found[name], table[name]) for name in table)
    tied = torch.ones(300, 10)  # one storage, two names, as a masked LM has it
    torch.save({"x": tied, "y": tied}, tmp_path / "pytorch_model.bin")
    assert torch.equal(read_tensors(tmp_path)["y"], tied)


def test_the_pickle_made_by_hand_is_a_good_one(tmp_path):
    """Or those below would be refused for another reason."""
    (tmp_path / "pytorch_model.bin").write_bytes(archive(tensor_pickle("4", "1", 4)))
    assert read_tensors(tmp_path)["a"].tolist() == [0, 0, 0, 0]


HOSTILE = [
    ("a tensor larger than its storage", tensor_pickle("60000 60000", "60000 1", 4), "damaged"),
    ("one number shown a billion times", tensor_pickle("60000 60000", "0 0", 4),
     r"14,400,000,000 bytes of tensors in a file of"),
    ("a size beyond the file", tensor_pickle("1099511627776", "0", 4), "size of 1,099,511,627,776"),
    ("a storage beyond the file", tensor_pickle("4", "1", 2**40), "size of 1,099,511,627,776"),
    ("an array of zeros", b"\x80\x02}X\x01\0\0\0ac__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85Rs.",
     "bytearray"),
    ("a counter", b"\x80\x02ccollections\nCounter\n)R.", "collections.Counter"),
    ("a sparse tensor", b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "_rebuild_sparse"),
    ("endless steps", b"\x80\x02" + b"N0" * 2**17 + b"}.", "more than 131,072 steps"),
    ("a system call", b"\x80\x02cposix\nsystem\nX\x02\0\0\0id\x85R.", "to run posix.system"),
    ("tuples in tuples", b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.", "table of tensors by name"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "words"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
def test_a_small_file_cannot_ask_for_much(tmp_path, table, words):
    (tmp_path / "pytorch_model.bin").write_bytes(archive(table))
    with cheap(megabytes=60) as steps:
        with pytest.raises(MiniftError, match=words):
            read_tensors(tmp_path)
        steps.append(time.process_time())


class Trap:
    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_pickles_of_newer_protocols_do_not_run_either(tmp_path):
    """They name things in a way that the look at the steps does not read; PyTorch refuses them."""
    table, trap = {"a": Trap(tmp_path / "trap")}, tmp_path / "trap"
    (tmp_path / "pytorch_model.bin").write_bytes(archive(pickle.dumps(table, 4)))
    with pytest.raises(MiniftError, match="never unpickles"):
        read_tensors(tmp_path)
    assert not trap.exists()
    pickle.loads(pickle.dumps(table, 4))  # negative control: the trap works
    assert trap.exists()


def test_an_old_file_is_looked_at_as_closely(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(4)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    assert whole.count(b"K\x04N") == 1  # the number of elements of the storage
    path.write_bytes(whole.replace(b"K\x04N", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"N"))
    with cheap(megabytes=60), pytest.raises(MiniftError, match=r"a size of 1,099,511,627,776"):
        read_tensors(tmp_path)


def test_an_archive_that_unpacks_to_more_than_itself_is_refused(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    good = tensor_pickle("4", "1", 4)
    path.write_bytes(archive(good, zipfile.ZIP_DEFLATED, bytes(2**28)))
    assert path.stat().st_size < 2**20
    with cheap(megabytes=60), pytest.raises(MiniftError, match="its members are compressed"):
        read_tensors(tmp_path)
    content = archive(good, data=bytes(2**20))
    path.write_bytes(content.replace((2**20).to_bytes(4, "little"), (2**30).to_bytes(4, "little")))
    with cheap(megabytes=60), pytest.raises(MiniftError, match=r"claim more than its|damaged"):
        read_tensors(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_2000_spoilt_files_give_our_error_or_no_more_than_is_there(tmp_path, record_property):
    draw, path = random.Random(0), tmp_path / "pytorch_model.bin"
    good = []
    for new in (True, False):
        torch.save(TENSORS, path, _use_new_zipfile_serialization=new)
        good.append(path.read_bytes())
    read = 0
    with cheap() as steps:
        for _ in range(2000):
            content = draw.choice(good)
            at = content.find(b"\x80\x02")  # in the pickles rather than in the padding
            near = draw.random() < 0.7
            path.write_bytes(
                content[:at] + spoil(content[at : at + 300], draw) + content[at + 300 :]
                if near
                else spoil(content, draw)
            )
            try:
                tensors = read_tensors(tmp_path)
            except MiniftError as error:
                assert str(error).startswith(str(path)) and "\n" not in str(error)
            else:
                assert sum(t.nbytes for t in tensors.values()) <= 2 * path.stat().st_size
                [t.sum().item() for t in tensors.values()]  # every element can be reached
                read += 1
            steps.append(time.process_time())
    record_property("measured", f"2,000 .bin files: {2000 - read:,} refused, {read:,} read")
    assert 50 < read < 1950
