"""A reader's functions in the library's encoder.

claim                                                 oracle
right functions give the numbers it gave before       the untouched encoder, float64; gradients too
in training it drops what it dropped before           the same generator's masks
a wrong function is really used                       the numbers move
attention is the textbook's                           torch's own kernel
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import minift
from minift.bert.dropout import set_dropout_generator

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"
sys.path.append(str(TUTORIALS))

from swap import use  # noqa: E402
from turns import find, load, yours  # noqa: E402

PACKED = minift.pack([[5, 9, 2, 7, 1], [3], [8, 8, 4]])


@pytest.fixture
def bert(monkeypatch):
    monkeypatch.setenv("MINIFT_YOURS", "/nowhere")
    torch.manual_seed(0)
    config = minift.BertConfig(
        vocab_size=11, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=20, max_position_embeddings=8,
    )  # fmt: skip
    model = minift.Bert(config, pooler=False).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def swapped(bert):
    other = copy.deepcopy(bert)
    use(other, attend=yours("01.attend"), layer=yours("01.layer"))
    return other


@pytest.mark.parametrize("places", [None, [[0], [0], [0, 2]]])
def test_with_right_functions_the_encoder_gives_the_same_numbers_and_gradients(bert, places):
    wanted = None if places is None else PACKED.select(places)
    other = swapped(bert)
    rows, same = bert(PACKED, wanted), other(PACKED, wanted)
    torch.testing.assert_close(same, rows, atol=1e-12, rtol=0)
    for out in (rows, same):
        (out**2).sum().backward()
    for (name, p), q in zip(bert.named_parameters(), other.parameters()):
        torch.testing.assert_close(q.grad, p.grad, atol=1e-9, rtol=0, msg=name)


def test_in_training_the_same_masks_are_drawn(bert):
    other = swapped(bert)
    rows = []
    for model in (bert.train(), other.train()):
        set_dropout_generator(model, torch.Generator().manual_seed(3))
        rows.append(model(PACKED))
    torch.testing.assert_close(rows[1], rows[0], atol=1e-12, rtol=0)
    assert not torch.allclose(rows[0], bert.eval()(PACKED))


@pytest.mark.parametrize("turn", ["attend", "layer"])
def test_each_wrong_function_moves_the_numbers(bert, turn):
    for sentence, wrong in find(f"01.{turn}").mistakes.items():
        other = copy.deepcopy(bert)
        use(other, **{turn: wrong})
        if "dropout" in sentence:  # shows in training alone
            continue
        assert not torch.allclose(other(PACKED), bert(PACKED), atol=1e-4, rtol=0), sentence


def test_the_reference_of_attend_is_the_attention_of_torchs_kernel():
    turn = load(TUTORIALS / "01_bert_from_scratch")["attend"]
    for name, (query, key, value, mask, dropout) in turn.cases.items():
        if dropout.__name__ == "keep":
            rows = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.expand(
                *query.shape[:-1], key.shape[-2]))  # fmt: skip
            got = turn.right(query, key, value, mask, dropout)
            torch.testing.assert_close(got, rows.to(got), atol=1e-12, rtol=0, msg=name)
