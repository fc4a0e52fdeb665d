"""Where a parameter stands, told by its name.

Claim    Every parameter is of the embeddings, of one layer, of the pooler, or of the head.
Proof    tests/bert/test_names.py
"""

import re

_PLACE = re.compile(r"(?:bert\.)?(?:layers\.(\d+)|(embeddings|pooler))\.(.+)")


def part_of(name: str) -> int | str:
    """Return a layer's number, "embeddings", "pooler" or "head".

    >>> part_of("bert.layers.11.attention.query.bias"), part_of("classifier.bias")
    (11, 'head')
    """
    match = _PLACE.fullmatch(name)
    return "head" if match is None else match[2] or int(match[1])


def encoder_suffix(name: str) -> str | None:
    """Return a parameter's name within its layer, or within the encoder; None for the head's.

    >>> encoder_suffix("bert.layers.1.output.bias"), encoder_suffix("bert.pooler.dense.bias")
    ('output.bias', 'pooler.dense.bias')
    """
    match = _PLACE.fullmatch(name)
    return match and (f"{match[2]}.{match[3]}" if match[2] else match[3])
