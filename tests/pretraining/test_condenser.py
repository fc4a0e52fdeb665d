"""Condenser, proven: each point of the list in the project's study of the paper.

claim                                                        oracle
1  the head reads [CLS] of the last layer, and all others    transformers' hidden states
   as they left the early one
   both losses are those of the paper's picture              transformers' BertLayer and cls, each
                                                             sequence alone
2  an idle head on all layers gives the plain loss           masked_lm_loss
3  the head reaches the late layers through [CLS] alone      gradients with [CLS] held still
4  the losses add up; places without a target count for      gradients of the parts; arithmetic;
   nothing, and a batch of them is no NaN                    a batch without any
5  the masked LM's own head guesses, in the same storage     pointers; the list of parameters
6  without the head it is plain BERT                         transformers' own two models
7  ids and targets of long texts are cut alike; whole        the text put together again; the rest
   words, 15 %, no special token                             in tests/pretraining/test_masking.py
8  layers count from 1, and others are refused               transformers' hidden states; words
9  80/10/10                                                  tests/pretraining/test_masking.py
10 early layers learn from both parts                        gradients of each part alone
"""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional as F

from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.weights import hf_name, save_pretrained
from minift.errors import MiniftError
from minift.pretraining.condenser import Condenser
from minift.pretraining.corpus import Corpus, MaskedText
from minift.pretraining.pretrain import masked_lm_loss
from minift.training.batches import Batch
from tests.bert.reference import copy_weights, hf_config, inputs, own_config, randomise
from tests.pretraining.test_expand import cased
from tests.tiny import WORDS

LAYERS = 3  # of the encoder


def models(early: int | None = 2, seed: int = 0) -> tuple[transformers.BertForMaskedLM, Condenser]:
    """The same masked LM for transformers and with a wide random head for us, in float64."""
    reference = randomise(transformers.BertForMaskedLM(hf_config()), seed).double().eval()
    condenser = Condenser(copy_weights(reference, MaskedLM(own_config())), early).double()
    randomise(condenser.head, seed + 1)
    return reference, condenser.eval()


def batch(seed: int = 0, lengths: tuple[int, ...] = (7, 2, 12, 5)) -> tuple[Batch, dict]:
    """Two hidden places per sequence; the same padded for transformers."""
    packed, padded = inputs(seed, lengths)
    wanted = packed.select([[0, n - 1] for n in lengths])
    targets = torch.randint(1, 61, (2 * len(lengths),), generator=torch.Generator().manual_seed(9))
    return Batch(packed, wanted, targets), padded


def gradients(loss: torch.Tensor, module: nn.Module) -> list[torch.Tensor]:
    found = torch.autograd.grad(loss, [*module.parameters()], retain_graph=True, allow_unused=True)
    return [torch.zeros(1) if g is None else g for g in found]


def moved(found: list[torch.Tensor]) -> bool:
    return any(bool(g.abs().sum() > 0) for g in found)


class Idle(nn.Module):
    """A layer that changes nothing."""

    def forward(self, hidden, layout, wanted=None):
        return hidden if wanted is None else wanted.of(hidden)


@pytest.mark.parametrize("early", [1, 2, 3])
def test_1_the_head_reads_cls_of_the_last_layer_and_the_rest_of_the_early_one(early):
    reference, condenser = models(early)
    made, padded = batch()
    seen = []
    condenser.head[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    condenser.losses(made)
    states = reference.bert(**padded, output_hidden_states=True).hidden_states  # 0: embeddings
    expected = states[early].clone()
    expected[:, 0] = states[LAYERS][:, 0]
    rows = expected[padded["attention_mask"].bool()]
    torch.testing.assert_close(seen[0], rows, rtol=0, atol=1e-9)
    bert = condenser.model.bert
    ours = bert.hidden_states(made.packed)
    exact, firsts = ours[early].clone(), made.packed.cu_seqlens[:-1]
    exact[firsts] = ours[LAYERS][firsts]
    assert torch.equal(seen[0], exact)


@pytest.mark.parametrize("seed", [0, 1])
def test_both_losses_are_those_of_the_picture(seed):
    """By transformers' own layers, one sequence at a time, so that nothing is padded."""
    reference, condenser = models(2, seed)
    made, padded = batch(seed)
    head = [transformers.models.bert.modeling_bert.BertLayer(hf_config()) for _ in range(2)]
    for theirs, ours in zip(head, condenser.head):
        names = {hf_name(f"layers.0.{n}").removeprefix("encoder.layer.0."): p
                 for n, p in ours.named_parameters()}  # fmt: skip
        theirs.double().eval().load_state_dict(names)
    late_logits, head_logits = [], []
    for row, length in enumerate(made.packed.lengths):
        one = {name: value[row : row + 1, :length] for name, value in padded.items()}
        states = reference.bert(**one, output_hidden_states=True).hidden_states
        hidden = torch.cat([states[LAYERS][:, :1], states[2][:, 1:]], dim=1)
        for layer in head:
            found = layer(hidden)
            hidden = found[0] if isinstance(found, tuple) else found
        for logits, found in ((late_logits, states[LAYERS]), (head_logits, hidden)):
            logits.append(reference.cls(found)[0][[0, length - 1]])
    parts = condenser.losses(made)
    for name, logits in (("masked_lm", late_logits), ("condenser", head_logits)):
        expected = F.cross_entropy(torch.cat(logits), made.targets)
        torch.testing.assert_close(parts[name].double(), expected, rtol=1e-5, atol=0)
    assert [*parts] == ["masked_lm", "condenser"]


def test_2_an_idle_head_that_skips_nothing_gives_the_plain_loss():
    _, condenser = models(LAYERS)
    condenser.head = nn.ModuleList([Idle(), Idle()])
    parts, plain = condenser.losses(batch()[0]), masked_lm_loss(condenser.model, batch()[0])
    for part in parts.values():
        torch.testing.assert_close(part, plain, rtol=1e-6, atol=0)
    _, early = models(1)  # the negative control
    early.head = nn.ModuleList([Idle(), Idle()])
    other = early.losses(batch()[0])["condenser"]
    assert abs(float((other - plain).detach())) > 1e-3


def test_3_the_head_reaches_the_late_layers_through_cls_alone(monkeypatch):
    _, condenser = models(2)
    late, early = condenser.model.bert.layers[2], condenser.model.bert.layers[:2]
    loss = condenser.losses(batch()[0])["condenser"]
    assert moved(gradients(loss, late)) and moved(gradients(loss, early))
    plain = Condenser.condense
    held = lambda self, early, late, packed: plain(self, early, late.detach(), packed)  # noqa: E731
    monkeypatch.setattr(Condenser, "condense", held)
    parts = condenser.losses(batch()[0])
    assert not moved(gradients(parts["condenser"], late))
    assert moved(gradients(parts["condenser"], early))
    assert moved(gradients(parts["masked_lm"], late))  # whose own loss is kept


def test_4_the_losses_add_up_and_places_without_a_target_count_for_nothing():
    _, condenser = models()
    made, _ = batch()
    parts = condenser.losses(made)
    both = [a + b for a, b in zip(*(gradients(p, condenser.model) for p in parts.values()))]
    for expected, found in zip(both, gradients(sum(parts.values()), condenser.model)):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    targets = made.targets.clone()
    targets[::2] = -100
    known = Batch(made.packed, made.packed.select([[n - 1] for n in made.packed.lengths]),
                  made.targets[1::2])  # fmt: skip
    for found, expected in zip(
        condenser.losses(Batch(made.packed, made.wanted, targets)).values(),
        condenser.losses(known).values(),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    nothing = condenser.losses(Batch(made.packed, made.wanted, torch.full_like(targets, -100)))
    assert [float(part.detach()) for part in nothing.values()] == [0.0, 0.0]
    sum(nothing.values()).backward()
    assert all(p.grad is None or not p.grad.isnan().any() for p in condenser.parameters())


def test_5_the_masked_lms_own_head_guesses_for_both():
    _, condenser = models()
    own = {name for name, _ in condenser.model.named_parameters()}
    names = {name for name, _ in condenser.named_parameters()}
    assert {n.removeprefix("model.") for n in names if n.startswith("model.")} == own
    assert all(name.startswith(("model.", "head.0.", "head.1.")) for name in names)
    word = condenser.model.bert.embeddings.word.weight
    assert [p.data_ptr() for p in condenser.parameters()].count(word.data_ptr()) == 1
    with torch.no_grad():
        condenser.model.bias[7] += 5.0  # both losses see it
    before, after = models()[1].losses(batch()[0]), condenser.losses(batch()[0])
    assert all(float(before[name]) != float(after[name]) for name in before)


def test_6_without_the_head_it_is_plain_bert(tmp_path):
    _, condenser = models()
    condenser.float()
    made, padded = batch()
    save_pretrained(condenser.model, None, tmp_path)
    masked, report = transformers.BertForMaskedLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    plain = transformers.AutoModel.from_pretrained(tmp_path).eval()
    real = padded["attention_mask"].bool()
    states, logits = plain(**padded).last_hidden_state[real], masked.eval()(**padded).logits[real]
    torch.testing.assert_close(condenser.model.bert(made.packed), states, rtol=0, atol=2e-4)
    torch.testing.assert_close(condenser.model(made.packed), logits, rtol=1e-4, atol=2e-3)


def test_7_ids_and_targets_of_long_texts_are_cut_alike():
    tokenizer = cased()
    texts = [" ".join(WORDS * 9), "a b c"] * 20
    corpus = Corpus.of(texts, tokenizer)
    source = MaskedText(corpus, tokenizer, 5, 32, pairs=0.0)
    whole = " ".join(map(str, corpus.ids.tolist()))
    for step in range(20):
        made = source.batch(step)
        ids = made.packed.input_ids.clone()
        ids[made.wanted.indices] = made.targets
        for sequence in ids.split(list(made.packed.lengths)):
            assert " ".join(map(str, sequence[1:-1].tolist())) in whole
        assert made.packed.segment_ids.sum() == 0


@pytest.mark.parametrize("early", [0, -1, LAYERS + 1, 1.5])
def test_8_a_layer_that_is_not_there_is_refused(early):
    with pytest.raises(MiniftError, match="skip_from must be from 1 to 3, got"):
        Condenser(MaskedLM(own_config()), early)


def test_8_early_is_half_of_the_layers_rounded_down_and_at_least_one():
    for depth, early in ((12, 6), (6, 3), (3, 1), (1, 1)):
        assert Condenser(MaskedLM(own_config(num_hidden_layers=depth))).early == early


def test_10_early_layers_learn_from_both_parts_and_the_head_from_its_own():
    _, condenser = models(2)
    parts = condenser.losses(batch()[0])
    early, late = condenser.model.bert.layers[:2], condenser.model.bert.layers[2]
    for part in parts.values():
        assert moved(gradients(part, early)) and moved(gradients(part, late))
    assert moved(gradients(parts["condenser"], condenser.head))
    assert not moved(gradients(parts["masked_lm"], condenser.head))


def test_the_head_is_drawn_by_its_seed_as_bert_draws():
    heads = [Condenser(MaskedLM(own_config()), seed=seed).head for seed in (0, 0, 1)]
    one, same, other = (torch.cat([p.flatten() for p in h.parameters()]) for h in heads)
    assert torch.equal(one, same) and not torch.equal(one, other)
    tensors = dict(heads[0].named_parameters())
    assert all(not p.any() for n, p in tensors.items() if n.endswith("bias"))
    assert float(tensors["1.intermediate.weight"].std().detach()) == pytest.approx(0.02, rel=0.1)
