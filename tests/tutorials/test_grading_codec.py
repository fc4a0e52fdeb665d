"""The channel's bytes.

claim                                        oracle
what is sent comes back, types and bits      values of every kind; torch.equal on raw bytes
another type is an error with a remedy       a set, an array, a module, each by its words
no bytes do more than fail                   random bytes and every cut of a frame
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import numpy
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "tutorials"))

from _grading import codec


def back(value):
    frame = codec.encode(value)
    tree, numbers = codec.lengths(frame[: codec.HEAD.size])
    rest = frame[codec.HEAD.size :]
    assert len(rest) == tree + numbers
    return codec.decode(rest[:tree], rest[tree:])


def test_plain_values_come_back_with_their_types():
    value = {"a": [1, -(2**70), True, None, 1.5, "é\n"], 2: (0.1, ()), (1, "x"): {}, None: []}
    found = back(value)
    assert found == value
    assert type(found["a"][2]) is bool and type(found[2]) is tuple and type(found["a"][0]) is int
    assert back([math.inf, -math.inf, -0.0]) == [math.inf, -math.inf, 0.0]
    assert math.isnan(back(math.nan)) and math.copysign(1, back(-0.0)) == -1


@pytest.mark.parametrize("dtype", sorted(codec._DTYPES))
def test_a_tensor_comes_back_with_dtype_shape_and_bits(dtype):
    kind = getattr(torch, dtype)
    for shape in ((), (0,), (3,), (2, 0, 4), (2, 3, 5)):
        value = (torch.rand(shape) * 3 - 1).to(kind)
        found, other = back([value, value.T if value.dim() == 2 else value])
        assert found.dtype == kind and found.shape == value.shape
        assert torch.equal(found, value) and torch.equal(other, value)


def test_a_parameter_and_a_slice_are_sent_by_value():
    value = torch.nn.Parameter(torch.arange(12.0).view(3, 4))
    assert torch.equal(back(value[:, ::2]), value[:, ::2].detach())
    assert back(torch.tensor([float("nan")])).isnan().all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, {2}], r"the value\[1\] is of the type set; return a sorted list"),
        ({"a": numpy.ones(2)}, r"the value\['a'\] is of the type ndarray; return a tensor"),
        (torch.nn.Linear(1, 1), "of the type Linear; return numbers, text"),
        (numpy.int64(3), "of the type int64; return its .item()"),
        (2**2000, "an int of 2001 bits"),
        (torch.ones(2).to_sparse(), "sparse"),
        (torch.ones(2, device="meta"), "has a shape and no numbers"),
        ("x" * (codec.LIMIT_TREE + 1), "too large to be an answer"),
        (torch.zeros(codec.LIMIT_NUMBERS // 4 + 1), "too large to be an answer"),
    ],
)
def test_what_cannot_be_sent_is_named(value, words):
    with pytest.raises(codec.CodecError, match=words):
        codec.encode(value)


def test_nesting_has_an_end():
    value = []
    for _ in range(60):
        value = [value]
    with pytest.raises(codec.CodecError, match="nested"):
        codec.encode(value)


def test_no_bytes_do_more_than_fail():
    draw = random.Random(0)
    frame = codec.encode({"a": torch.ones(3), "b": [1, "x", None, 2.5]})
    tree, _ = codec.lengths(frame[:16])
    text, blob = frame[16 : 16 + tree], frame[16 + tree :]
    wrong = [(text[:cut], blob) for cut in range(tree)] + [(text, blob[:-1]), (text, blob + b"x")]
    wrong += [(draw.randbytes(30), b"") for _ in range(50)]
    wrong += [
        (b"[" * 100_000, b""),
        (b'["tensor", ["float32", [-1]]]', b""),
        (b'["tensor", ["float32", [99999999999]]]', b""),
        (b'["tensor", ["object", [1]]]', b"x" * 8),
        (b'["tensor", ["bool", [' + b"67108864," * 400_000 + b"1]]]", b""),  # a minute's product
        (b'["dict", [["list", []], ["int", "0x1"]]]', b""),
        (b'["dict", [["int", "0x1"]]]', b""),
        (b'["int", "' + b"f" * 1000 + b'"]', b""),
        (b'["plain", 3]', b""),
        (b'["tensor", ["bool", [60000000, 0]]]', b""),  # each row of it would be an object
    ]
    for cut, rest in wrong:
        with pytest.raises(codec.CodecError):
            codec.decode(cut, rest)
    with pytest.raises(codec.CodecError, match="too large"):
        codec.lengths(b"\xff" * 16)
