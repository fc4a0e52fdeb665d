"""The student's network.

claim                                                     oracle
513,882 parameters beside the tables, at 10 labels        the published sizes, by hand
the padding of characters changes no word's feature       each word alone; a plain-loop CNN
the padding of sentences changes no word's logits         each sentence alone; torch's own LSTM
  (negative control: without a mask both change)          the same sums without the mask
a word is dropped with the rate that is named, before     the share of unknown rows that the
  the forward pass, in training only                      table is asked for
dropout is on inputs and outputs and nowhere else         logits with the LSTM's own dropout
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from minift.bert.dropout import set_dropout_generator
from minift.compact.tagger import Tagger, TaggerConfig
from minift.compact.vocabulary import PADDING, UNKNOWN_WORD, build_vocabulary
from minift.errors import MiniftError

SENTENCES = [
    ["Ada", "saw", "Oslo", "yesterday", "evening"],
    ["a"],
    ["Enzo", "banana", "a"],
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(head: str = "softmax", seed: int = 0, **sizes):
    vocabulary = build_vocabulary(SENTENCES, min_count=1)
    config = TaggerConfig(
        vocabulary.word_rows, vocabulary.character_rows, labels=3, word_size=5, character_size=4,
        filters=6, hidden=7, head=head, **sizes,
    )  # fmt: skip
    model = Tagger(config, generator(seed)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name or "crf" in name:
                parameter.normal_(generator=generator(seed + 1))
    return model.eval(), vocabulary


def torch_lstm(model: Tagger) -> nn.LSTM:
    """Return torch's own two-layer bidirectional LSTM with the model's weights."""
    lstm = nn.LSTM(11, 7, num_layers=2, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for layer in (0, 1):
            for suffix, one in (("", model.ahead[layer]), ("_reverse", model.back[layer])):
                for name, parameter in one.named_parameters():  # weight_ih_l0, ...
                    lstm.get_parameter(name[:-1] + f"{layer}{suffix}").copy_(parameter)
    return lstm


def close(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)


def test_there_are_513882_parameters_beside_the_tables_at_ten_labels():
    with torch.device("meta"):
        model = Tagger(TaggerConfig(word_rows=25_000, character_rows=100, labels=10))
    count = {name: sum(p.numel() for p in m.parameters()) for name, m in model.named_children()}
    assert count["convolution"] == 128 * 16 * 3 + 128 == 6_272
    # four gates, two directions, two biases; the second layer reads both directions
    layers = [2 * 4 * 100 * (size + 100 + 2) for size in (228, 200)]
    assert count["ahead"] + count["back"] == sum(layers) == 505_600
    assert count["dense"] == 2_010
    tables = count["word"] + count["character"]
    assert tables == 2_500_000 + 1_600
    assert sum(p.numel() for p in model.parameters()) - tables == 513_882


def test_the_spelling_of_a_word_is_a_plain_convolution_and_its_maximum_over_real_characters():
    model, vocabulary = small()
    batch = vocabulary.encode(SENTENCES)
    got = model.spell(batch.spellings)
    weight, bias = model.convolution.weight, model.convolution.bias
    zero = torch.zeros(4, dtype=torch.float64)
    flat = [word for sentence in SENTENCES for word in sentence]
    for word, row in zip(flat, batch.spelling_of.tolist()):
        rows = [zero, *(model.character.weight[c] for c in vocabulary.spell(word)), zero]
        at_each = [
            sum(weight[:, :, k] @ rows[i + k] for k in range(3)) + bias
            for i in range(len(rows) - 2)
        ]
        close(got[row], torch.stack(at_each).amax(0).relu())


def test_a_longer_neighbour_changes_no_word_and_without_the_mask_it_would():
    model, vocabulary = small()
    with torch.no_grad():
        model.convolution.bias.fill_(1.0)  # what an unmasked maximum would find in the padding
        model.convolution.weight.neg_()
    alone = vocabulary.encode([["a"]]).spellings
    beside = vocabulary.encode([["a", "yesterday"]]).spellings
    assert beside[0, 1:].eq(PADDING).all()
    close(model.spell(beside)[0], model.spell(alone)[0])
    unmasked = [
        model.convolution(model.character(spellings).transpose(1, 2)).amax(2).relu()[0]
        for spellings in (alone, beside)
    ]
    assert not torch.allclose(*unmasked)  # negative control: this is what the reference does


@pytest.mark.parametrize("head", ["softmax", "crf"])
def test_the_logits_of_a_sentence_do_not_depend_on_its_batch(head):
    model, vocabulary = small(head)
    batch = vocabulary.encode(SENTENCES)
    together = model(batch)
    parts = together.split(list(batch.layout.lengths))
    best = model.best_tags(together, batch.layout).split(list(batch.layout.lengths))
    for sentence, logits, tags in zip(SENTENCES, parts, best):
        alone = vocabulary.encode([sentence])
        close(logits, model(alone))
        assert torch.equal(tags, model.best_tags(logits, alone.layout))
    # negative control: the backward direction of an LSTM over the rectangle reads the padding
    rows = torch.randn(len(together), 11, generator=generator(), dtype=torch.float64)
    right = model._read(rows, batch.layout)
    wrong = batch.layout.unpad(torch_lstm(model)(batch.layout.pad(rows))[0])
    close(right[:5], wrong[:5])  # the longest sentence has no padding
    assert not torch.allclose(right[5:], wrong[5:])


def test_gradients_of_a_batch_are_the_sum_of_those_of_its_sentences():
    model, vocabulary = small()
    weights = torch.randn(9, 3, generator=generator(3), dtype=torch.float64)
    (model(vocabulary.encode(SENTENCES)) * weights).sum().backward()
    together = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    for sentence, part in zip(SENTENCES, weights.split([5, 1, 3])):
        (model(vocabulary.encode([sentence])) * part).sum().backward()
    for name, parameter in model.named_parameters():
        close(together[name], parameter.grad)
    assert (together["character.weight"][PADDING] == 0).all()
    moved = {name for name, gradient in together.items() if gradient.abs().sum() > 0}
    assert moved == set(together)  # every parameter takes part


def test_the_network_is_torch_put_together_by_hand():
    model, vocabulary = small()
    batch = vocabulary.encode([SENTENCES[0]])
    words = model.word.weight[batch.word_ids]
    spelled = model.spell(batch.spellings)[batch.spelling_of]
    hidden, _ = torch_lstm(model)(torch.cat([words, spelled], 1).unsqueeze(0))
    close(model(batch), hidden.squeeze(0) @ model.dense.weight.T + model.dense.bias)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.6])
def test_word_dropout_asks_the_table_for_the_unknown_word_at_its_rate_in_training_only(rate):
    model, vocabulary = small(word_dropout=rate, dropout=0.0)
    asked = []
    model.word.register_forward_hook(lambda module, inputs, output: asked.append(inputs[0]))
    batch = vocabulary.encode([["Ada", "saw", "Oslo"] * 400] * 5)  # 6,000 known words
    before = batch.word_ids.clone()
    set_dropout_generator(model, generator(5))
    model.train()
    trained = model(batch)
    model.eval()
    tested = model(batch)
    share = float((asked[0] == UNKNOWN_WORD).double().mean())
    assert abs(share - rate) < 4 * (rate * (1 - rate) / 6000) ** 0.5 + 1e-9
    kept = asked[0] != UNKNOWN_WORD
    assert torch.equal(asked[0][kept], before[kept])
    assert torch.equal(asked[1], before)
    assert torch.equal(batch.word_ids, before)  # the batch itself is not edited
    assert torch.equal(trained, tested) == (rate == 0)  # what is dropped reaches the logits


def test_a_dropped_word_learns_the_unknown_row_and_keeps_its_spelling():
    model, vocabulary = small(word_dropout=0.9999, dropout=0.0)
    set_dropout_generator(model, generator())
    model.train()
    model(vocabulary.encode([["Ada", "saw"]])).sum().backward()
    touched = model.word.weight.grad.abs().sum(1) > 0
    assert touched.nonzero().flatten().tolist() == [UNKNOWN_WORD]
    assert model.character.weight.grad.abs().sum() > 0


def test_dropout_is_on_inputs_and_outputs_with_a_stream_of_its_own_and_not_inside_the_lstm():
    model, vocabulary = small(dropout=0.5, word_dropout=0.0)
    batch = vocabulary.encode(SENTENCES)
    model.train()
    outputs = []
    for seed in (1, 1, 2):
        set_dropout_generator(model, generator(seed))
        torch.manual_seed(seed + len(outputs))  # the global stream plays no part
        outputs.append(model(batch))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    seen = {}
    sites = {"first": model.ahead[0], "second": model.ahead[1], "dense": model.dense}
    for name, module in sites.items():
        module.register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, i[0]))
    model(batch)
    real = torch.tensor([[word < n for word in range(5)] for n in (5, 1, 3)])
    zeros = {name: float((seen[name][real] == 0).double().mean()) for name in ("first", "second")}
    assert 0.3 < zeros["first"] < 0.75
    assert zeros["second"] == 0.0
    assert 0.3 < float((seen["dense"] == 0).double().mean()) < 0.7


def test_the_generator_decides_the_weights_and_the_unknown_word_starts_at_zero():
    (one, _), (same, _), (other, _) = small(seed=3), small(seed=3), small(seed=4)
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters()))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not any(torch.equal(a, c) for a, _, c in pairs)
    assert (one.word.weight[UNKNOWN_WORD] == 0).all()
    assert (one.character.weight[PADDING] == 0).all()
    assert float(one.word.weight[1:].detach().std()) == pytest.approx(5**-0.5, rel=0.3)


def test_a_head_or_a_rate_that_does_not_exist_is_refused():
    with pytest.raises(MiniftError, match='"softmax" or "crf", got \'CRF\''):
        TaggerConfig(2, 3, 4, head="CRF")
    with pytest.raises(MiniftError, match=r"word_dropout must be a number in \[0, 1\), got 1.0"):
        TaggerConfig(2, 3, 4, word_dropout=1.0)
