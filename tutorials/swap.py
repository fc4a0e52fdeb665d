"""Let the library's encoder compute with a reader's functions: what page 01 asks for, put to use.

Claim    With right functions the encoder gives the numbers that it gave before, in evaluation; in
         training it drops what it dropped before, where the same tokens are computed.
Differs  The library computes the last layer for the tokens that somebody reads alone; here it is
         computed for all of them, and then those are taken.
Proof    tests/tutorials/test_swap.py

    use(bert, attend=yours("01.attend"), layer=yours("01.layer"))
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from minift.bert.encoder import Attention, Bert, Layer
from minift.bert.packing import Layout, Selection


def use(bert: Bert, attend: Callable | None = None, layer: Callable | None = None) -> None:
    """Replace what the encoder's layers compute with.

    Args:
        bert: changed in place; its weights stay.
        attend: `attend(query, key, value, mask, dropout)`, as page 01 asks for it.
        layer: `layer(x, attention, attention_norm, widen, narrow, output_norm)`, likewise. Only for
            encoders that bend by the exact GELU.
    """
    for block in bert.layers:
        if attend:
            block.attention.forward = partial(_attention, block.attention, attend)
        if layer:
            block.forward = partial(_layer, block, layer)


def _attention(
    module: Attention, attend: Callable, hidden: Tensor, layout: Layout, wanted: Selection | None
) -> Tensor:
    asking = hidden if wanted is None else wanted.of(hidden)
    asking_layout = layout if wanted is None else wanted.layout
    query = module.split(module.query(asking), asking_layout)
    key = module.split(module.key(hidden), layout)
    value = module.split(module.value(hidden), layout)
    mask = layout.mask(key)
    mask = key.new_zeros(()) if mask is None else mask
    mixed = attend(query, key, value, mask, module.dropout)
    return module.output(asking_layout.unpad(mixed.transpose(1, 2).flatten(2)))


def _layer(
    module: Layer, layer: Callable, hidden: Tensor, layout: Layout, wanted: Selection | None = None
) -> Tensor:
    rows = layer(
        hidden,
        lambda x: module.attention_dropout(module.attention(x, layout, None)),
        module.attention_norm,
        module.intermediate,
        lambda x: module.output_dropout(module.output(x)),
        module.output_norm,
    )
    return rows if wanted is None else wanted.of(rows)
