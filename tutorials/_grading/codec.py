"""Values as bytes and back, for the channel between a student's process and the grader.

Claim    Decoding runs no code and makes nothing but None, bool, int, float, str, list, tuple, dict
         and tensors, whatever bytes arrive: a student's process can send a wrong value and
         nothing worse. (Unpickling what it sends would hand it the grader.)
Differs  A value of another type is an error in words, not a guess: a set or an array of NumPy is
         to be turned into one of these by who returns it.
Proof    tests/tutorials/test_grading_codec.py

A frame is two lengths of 8 bytes, a tree in JSON, and the numbers of all tensors, one behind the
other. Each node of the tree is [kind, content].
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import torch
from torch import Tensor

LIMIT_TREE = 4 * 2**20  # bytes of JSON; a longer answer is a mistake or an attack
# Bytes of all tensors of a frame, three times what any right answer has. A check that goes through
# a tensor makes an object of a kilobyte of each number, so that 64 MB would be all of a machine's.
LIMIT_NUMBERS = 2**19
DEEPEST = 40
LARGEST_INT = 1000  # bits; beyond them float() fails
HEAD = struct.Struct("<QQ")

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    )
}
_HINTS = {
    "set": "return a sorted list",
    "ndarray": "return a tensor (torch.from_numpy) or a list",
    "generator": "return a list",
    "dict_keys": "return a list",
    "dict_values": "return a list",
    "Parameter": "return a tensor",
    **dict.fromkeys(("int32", "int64", "float32", "bool_"), "return its .item(), a plain number"),
}


class CodecError(ValueError):
    """A value that cannot be sent, or bytes that are not a frame; the message says which."""


def encode(value: Any) -> bytes:
    """Return one frame.

    Raises:
        CodecError: if the value, or one within it, is of another type, or too large.
    """
    blobs: list[bytes] = []
    tree = json.dumps(_node(value, blobs, "the value", 0)).encode()
    numbers = b"".join(blobs)
    _within_limits(len(tree), len(numbers))
    return HEAD.pack(len(tree), len(numbers)) + tree + numbers


def lengths(head: bytes) -> tuple[int, int]:
    """Return the bytes of the tree and of the numbers that follow a frame's head.

    Raises:
        CodecError: if they are beyond the limits: whatever it is, it is not read then.
    """
    tree, numbers = HEAD.unpack(head)
    _within_limits(tree, numbers)
    return tree, numbers


def decode(tree: bytes, numbers: bytes) -> Any:
    """Return the value of a frame.

    Raises:
        CodecError: if the bytes are not what `encode` makes.
    """
    try:
        nodes = json.loads(tree.decode())
        left = memoryview(numbers)
        value, left = _value(nodes, left, 0)
    except CodecError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, RuntimeError, OverflowError) as error:
        raise CodecError(f"not a frame: {type(error).__name__}") from None
    if len(left):
        raise CodecError(f"not a frame: {len(left)} bytes too many")
    return value


def _within_limits(tree: int, numbers: int) -> None:
    if tree > LIMIT_TREE or numbers > LIMIT_NUMBERS:
        raise CodecError(
            f"too large to be an answer: {max(tree, numbers):,} bytes (at most {LIMIT_TREE:,} of "
            f"text and {LIMIT_NUMBERS:,} of tensors)"
        )


def _node(value: Any, blobs: list[bytes], where: str, depth: int) -> list:
    if depth > DEEPEST:
        raise CodecError(f"{where} is nested more than {DEEPEST} deep")
    if value is None or isinstance(value, bool):
        return ["plain", value]
    if isinstance(value, int):
        if value.bit_length() > LARGEST_INT:
            raise CodecError(f"{where} is an int of {value.bit_length()} bits")
        return ["int", hex(value)]
    if isinstance(value, float):
        return ["float", float(value).hex() if math.isfinite(value) else str(float(value))]
    if isinstance(value, str):
        return ["str", str(value)]
    if isinstance(value, Tensor):
        return ["tensor", _tensor_node(value, blobs, where)]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        items = [_node(v, blobs, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
        return [kind, items]
    if isinstance(value, dict):
        pairs = []
        for key, item in value.items():
            pairs.append(_node(key, blobs, f"a key of {where}", depth + 1))
            pairs.append(_node(item, blobs, f"{where}[{key!r:.40}]", depth + 1))
        return ["dict", pairs]
    kind = type(value).__name__
    hint = _HINTS.get(kind, "return numbers, text, lists, dicts or tensors")
    raise CodecError(f"{where} is of the type {kind}; {hint}")


def _tensor_node(tensor: Tensor, blobs: list[bytes], where: str) -> list:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype not in _DTYPES:
        raise CodecError(f"{where} is a tensor of {dtype}; known are {', '.join(_DTYPES)}")
    if tensor.layout != torch.strided:
        raise CodecError(f"{where} is a sparse tensor; return tensor.to_dense()")
    if tensor.device.type == "meta":
        raise CodecError(f"{where} is a tensor on the meta device: it has a shape and no numbers")
    _within_limits(0, tensor.numel() * tensor.element_size() + sum(map(len, blobs)))
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    blobs.append(flat.view(torch.uint8).numpy().tobytes() if len(flat) else b"")
    return [dtype, list(tensor.shape)]


def _value(node: Any, numbers: memoryview, depth: int) -> tuple[Any, memoryview]:
    if depth > DEEPEST:
        raise CodecError("not a frame: nested too deep")
    kind, content = node
    if kind == "plain" and (content is None or isinstance(content, bool)):
        return content, numbers
    if kind == "int" and isinstance(content, str) and len(content) < LARGEST_INT / 4 + 4:
        return int(content, 16), numbers
    if kind == "float" and isinstance(content, str):
        return (float.fromhex(content), numbers)
    if kind == "str" and isinstance(content, str):
        return content, numbers
    if kind == "tensor":
        return _tensor(content, numbers)
    if kind in ("list", "tuple", "dict") and isinstance(content, list):
        items = []
        for child in content:
            item, numbers = _value(child, numbers, depth + 1)
            items.append(item)
        if kind == "dict":
            return dict(zip(items[::2], items[1::2], strict=True)), numbers
        return (items if kind == "list" else tuple(items)), numbers
    raise CodecError("not a frame: unknown kind of value")


def _tensor(content: Any, numbers: memoryview) -> tuple[Tensor, memoryview]:
    name, shape = content
    known = len(shape) <= DEEPEST and all(type(size) is int for size in shape)
    if not known or not all(0 <= size <= LIMIT_NUMBERS for size in shape):
        raise CodecError("not a frame: a shape that is none")
    dtype = _DTYPES[name]
    size = math.prod(shape) * dtype.itemsize
    if size > len(numbers):
        raise CodecError("not a frame: a tensor without its numbers")
    if size == 0:
        return torch.empty(shape, dtype=dtype), numbers
    raw = bytearray(numbers[:size])
    if dtype == torch.bool:  # any other byte would be a bool that is neither
        return torch.frombuffer(raw, dtype=torch.uint8).ne(0).reshape(shape), numbers[size:]
    return torch.frombuffer(raw, dtype=dtype).reshape(shape), numbers[size:]
