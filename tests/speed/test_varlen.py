"""Attention without a rectangle: what the kernel is given, and where it is used.

claim                                                        oracle
with the kernel hidden states and gradients are the same     a stand-in of plain loops, float64
each sequence attends to itself alone                        the stand-in, given wrong offsets
it is for bf16 on a GPU, without dropout                     the rules, one broken at a time
it can be taken off again, and leaves no trace               the class of each attention; the calls
the kernel gives what the rectangle gives                    the rectangle (needs a GPU)
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from minift.bert.encoder import Attention, Bert
from minift.bert.packing import Layout, to_device
from minift.speed import varlen
from minift.speed.precision import compute_in
from tests.bert.reference import inputs, own_config, randomise

LENGTHS = (7, 1, 12, 12, 3)


def stand_in(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k) -> Tensor:
    """What torch.nn.attention.varlen.varlen_attn is documented to compute, head by head.

    These are the arguments that it has in 2.10, before it could be given a scale.
    """
    scale = query.shape[-1] ** -0.5
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert max_q == int(cu_seq_q.diff().max()) and max_k == int(cu_seq_k.diff().max())
    parts = []
    for number in range(len(cu_seq_q) - 1):
        asks = slice(int(cu_seq_q[number]), int(cu_seq_q[number + 1]))
        answers = slice(int(cu_seq_k[number]), int(cu_seq_k[number + 1]))
        heads = [
            ((query[asks, h] @ key[answers, h].T) * scale).softmax(-1) @ value[answers, h]
            for h in range(query.shape[1])
        ]
        parts.append(torch.stack(heads, dim=1))
    return torch.cat(parts)


def states(encoder: Bert, wanted: bool) -> tuple[Tensor, dict[str, Tensor]]:
    packed, _ = inputs(0, LENGTHS)
    hidden = encoder(packed, packed.first_tokens() if wanted else None)
    encoder.zero_grad()
    hidden.square().sum().backward()
    named = encoder.named_parameters()
    return hidden.detach(), {n: p.grad.clone() for n, p in named if p.grad is not None}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_with_a_stand_in_for_the_kernel_all_is_the_same(wanted, training, monkeypatch):
    encoder = randomise(Bert(own_config()), 0).double().train(training)  # without dropout
    expected, gradients = states(encoder, wanted)
    calls = []

    def counted(*args, **kwargs):
        calls.append(len(args[0]))
        return stand_in(*args, **kwargs)

    monkeypatch.setattr(varlen, "computes", lambda hidden, head_dim, dropout: True)
    monkeypatch.setattr(varlen, "kernel", lambda: counted)
    assert torch.equal(states(encoder, wanted)[0], expected) and not calls  # it was not applied
    varlen.apply(encoder, True)
    actual, ours = states(encoder, wanted)
    rows = sum(LENGTHS)
    assert calls == [rows, rows, len(LENGTHS) if wanted else rows]
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    assert ours.keys() == gradients.keys()
    for name, gradient in gradients.items():
        scale = max(1.0, float(gradient.abs().max()))
        torch.testing.assert_close(ours[name] / scale, gradient / scale, rtol=0, atol=1e-9)
    calls.clear()
    varlen.apply(encoder, False)
    assert torch.equal(states(encoder, wanted)[0], expected) and not calls
    kinds = [type(m) for m in encoder.modules() if isinstance(m, Attention)]
    assert kinds == [Attention] * 3


def test_offsets_are_what_keeps_sequences_apart(monkeypatch):
    encoder = randomise(Bert(own_config()), 0).double().eval()
    expected, _ = states(encoder, wanted=False)
    varlen.apply(encoder, True)
    wrong = torch.tensor((0, 8, 9, 20, 32, 35), dtype=torch.int32)  # a token of the next
    monkeypatch.setattr(varlen, "computes", lambda hidden, head_dim, dropout: True)
    monkeypatch.setattr(
        varlen,
        "kernel",
        lambda: lambda q, k, v, *_: stand_in(q, k, v, wrong, wrong, 12, 12),
    )
    actual, _ = states(encoder, wanted=False)
    assert (actual - expected).abs().max() > 1e-2
    found = varlen.offsets(LENGTHS, torch.device("cpu"))
    assert found.tolist() == [0, 7, 8, 20, 32, 35] and found.dtype == torch.int32


class OnAGpu:
    """Stands for hidden states (tokens, hidden) on a GPU."""

    is_cuda, dtype = True, torch.float32


@pytest.fixture
def gpu(monkeypatch):
    """A GPU in bf16, which autocast does not believe in where there is none."""
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    monkeypatch.setattr(torch, "get_autocast_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(varlen, "kernel", lambda: stand_in)


def test_it_is_used_for_bf16_on_a_gpu(gpu, monkeypatch):
    assert varlen.computes(OnAGpu(), 32, 0.0)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    monkeypatch.setattr(OnAGpu, "dtype", torch.bfloat16)
    assert varlen.computes(OnAGpu(), 32, 0.0)


@pytest.mark.parametrize(
    "broken", ["processor", "float32", "head of 12", "dropout", "determinism", "torch", "NVIDIA"]
)
def test_it_is_not_used_where_one_rule_is_broken(broken, gpu, monkeypatch):
    hidden, head_dim, dropout = OnAGpu(), 32, 0.0
    if broken == "processor":
        monkeypatch.setattr(OnAGpu, "is_cuda", False)
    elif broken == "float32":
        monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)
    elif broken == "head of 12":
        head_dim = 12
    elif broken == "dropout":
        dropout = 0.1
    elif broken == "determinism":
        monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    elif broken == "torch":
        monkeypatch.setattr(varlen, "kernel", lambda: None)
    else:
        monkeypatch.setattr(torch.version, "cuda", None)
    assert not varlen.computes(hidden, head_dim, dropout)


def test_the_encoder_says_with_which_dropout_it_attends(monkeypatch):
    config = own_config(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.1)
    encoder = randomise(Bert(config), 0).double()
    varlen.apply(encoder, True)
    told = []
    monkeypatch.setattr(varlen, "computes", lambda hidden, head_dim, dropout: told.append(dropout))
    packed, _ = inputs(0, LENGTHS)
    encoder.train()(packed)
    encoder.eval()(packed)
    assert told == [0.1] * 3 + [0.0] * 3  # layers


@pytest.mark.gpu
@pytest.mark.skipif(varlen.kernel() is None, reason="no GPU")
def test_the_kernel_gives_what_the_rectangle_gives():
    config = own_config(hidden_size=64)  # heads of 16
    encoder = randomise(Bert(config), 0, std=0.1).cuda().eval()
    compute_in(encoder, "bf16")
    packed, _ = inputs(0, LENGTHS)
    packed = to_device(packed, "cuda")
    with torch.inference_mode():
        packed_states = encoder(packed)
        varlen.apply(encoder, False)
        rectangle = encoder(packed)
        compute_in(encoder, "float32")
        exact = encoder(packed)
    error, allowed = ((x - exact).square().mean().sqrt() for x in (packed_states, rectangle))
    assert error <= 1.2 * allowed
    assert Layout.of(LENGTHS).slots is not None  # there was padding to leave out
