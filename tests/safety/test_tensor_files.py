"""A safetensors file of a stranger gives what its header says, or one error.

claim                                                        oracle
12,000 spoilt files: an error of ours, or tensors equal      a second reader here: json, struct
to what the header says; no other exception, no gigabytes    the peak of memory; CPU time a file
a size that the file does not fill is refused                headers by hand
a header larger than any real one is not even read           a sparse file
a name that stands twice is refused                          a header by hand; the library takes it
students are read by the same reader                         the same headers
"""

from __future__ import annotations

import json
import random
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from minift.checkpoints.limits import LARGEST_HEADER
from minift.checkpoints.tensor_files import read_safetensors
from minift.checkpoints.weights import read_tensors
from minift.compact.store import load_student
from minift.errors import MiniftError
from tests.safety.spoil import as_json, cheap, spoil, spoil_json

FILES = 12_000
WIDTH = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
         "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
         "C64": 8}  # fmt: skip
ODD = (*WIDTH, "F4", "F128", [2, 3], [3, 2], [6], [1, 0], [4, 8], [0, 4], [0, 24], [24, 0], [8, 4])


def file_of(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def whole() -> tuple[dict, bytes]:
    """A header and the data of four tensors."""
    header, data, draw = {"__metadata__": {"format": "pt"}}, b"", random.Random(3)
    for name, dtype, shape, count in (
        ("a", "F32", [2, 3], 6), ("b.weight", "F16", [4], 4), ("c", "I64", [], 1),
        ("d", "BF16", [1, 2, 2], 4),
    ):  # fmt: skip
        end = len(data) + count * WIDTH[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), end]}
        data += draw.randbytes(end - len(data))
    return header, data


def read_by_hand(content: bytes) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Shape and bytes of each tensor, as the header has them; nothing is checked."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    return {
        name: (tuple(entry["shape"]), data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def spoilt(draw: random.Random) -> bytes:
    header, data = whole()
    content = as_json(header)
    kind = draw.randrange(5)
    if kind == 0:
        return spoil(file_of(content, data), draw)
    if kind == 1:
        length = draw.choice(
            (0, 1, 2**24, 2**31, 2**63, 2**64 - 1, len(content) + draw.randint(-9, 9))
        )
        return file_of(content, data, length)
    if kind == 2:
        return file_of(spoil(content, draw), data)
    changed = as_json(spoil_json(header, draw, ODD))
    if kind == 4:
        data = spoil(data, draw)
    return file_of(changed, data)


def test_12000_spoilt_files_give_our_error_or_what_their_header_says(tmp_path, record_property):
    draw, path = random.Random(0), tmp_path / "model.safetensors"
    read = refused = 0
    with cheap() as steps:
        for _ in range(FILES):
            content = spoilt(draw)
            path.write_bytes(content)
            try:
                tensors = read_tensors(tmp_path)
            except MiniftError as error:
                assert str(error).startswith(str(path)) and "\n" not in str(error)
                refused += 1
            else:
                expected = read_by_hand(content)
                found = {
                    name: (
                        tuple(t.shape),
                        t.contiguous().flatten().view(torch.uint8).numpy().tobytes(),
                    )
                    for name, t in tensors.items()
                }
                assert found == expected
                read += 1
            steps.append(time.process_time())
    record_property("measured", f"{FILES:,} safetensors files: {refused:,} refused, {read:,} read")
    assert read > 300 and refused > 3000  # both happen, or nothing was tried


@pytest.mark.parametrize(
    ("entry", "data", "words"),
    [
        ({"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}, 0, "holds nothing"),
        ({"dtype": "F32", "shape": [2**63, 0], "data_offsets": [0, 0]}, 0, "holds nothing"),
        ({"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]}, 4, "a: damaged|damaged"),
        ({"dtype": "F32", "shape": [2**33, 2**33], "data_offsets": [0, 4]}, 4, "overflow|damaged"),
        ({"dtype": "F32", "shape": [1] * 9, "data_offsets": [0, 4]}, 4, "9 dimensions"),
        ({"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}, 2, "damaged"),
    ],
)
def test_sizes_that_the_file_does_not_fill_are_refused(tmp_path, entry, data, words):
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_of(json.dumps({"a": entry}).encode(), bytes(data)))
    with cheap(megabytes=20), pytest.raises(MiniftError, match=words):
        read_tensors(tmp_path)


def test_a_header_larger_than_any_real_one_is_refused_unread(tmp_path):
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write((LARGEST_HEADER + 1).to_bytes(8, "little"))
        file.truncate(8 + LARGEST_HEADER + 1)  # sparse: costs no disk
    with cheap(megabytes=8), pytest.raises(MiniftError, match=r"a header of 16,777,217 bytes"):
        read_safetensors(path)


def test_a_name_that_stands_twice_is_refused_where_the_library_takes_the_last(tmp_path):
    one = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_of(b"{" + one + b"," + one.replace(b"F32", b"I32") + b"}", bytes(4)))
    with pytest.raises(MiniftError, match='has "a" twice'):
        read_tensors(tmp_path)
    with safe_open(path, "pt") as file:  # negative control
        assert file.get_tensor("a").dtype == torch.int32


def test_a_head_of_countless_rows_costs_nothing(tmp_path):
    """Its rows would have become as many class names."""
    from minift.bert.config import BertConfig
    from minift.bert.heads import SequenceClassifier
    from minift.checkpoints.weights import load_model, random_model, save_pretrained

    sizes = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = random_model(SequenceClassifier, BertConfig(**sizes, intermediate_size=4))
    save_pretrained(model, None, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop("id2label", None), config.pop("label2id", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    tensors = dict(read_tensors(tmp_path))
    for shape in ((), (3,), (2**21, 1)):
        changed = {**tensors, "classifier.weight": torch.zeros(shape, dtype=torch.uint8)}
        save_file(changed, tmp_path / "model.safetensors")
        with cheap(megabytes=200, seconds=5) as steps:
            with pytest.raises(MiniftError, match=r"classes|classifier\.weight holds torch.uint8"):
                load_model(SequenceClassifier, tmp_path)
            steps.append(time.process_time())


def test_students_are_read_as_carefully(tmp_path):
    path = tmp_path / "student.safetensors"
    for header in (
        {"a": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}},
        {"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}},
        {"__metadata__": {"minift": "[" * 100_000}},
        {"__metadata__": {"minift": '{"format": "x"}'}},
    ):
        path.write_bytes(
            file_of(json.dumps(header).encode(), bytes(2) if "F4" in str(header) else b"")
        )
        with pytest.raises(MiniftError, match="student"):
            load_student(path)
