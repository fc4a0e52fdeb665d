"""MC dropout samples at every site, belongs to the text, and leaves no trace.

claim                                                        oracle
logits are those of BERT under exactly these masks           Hugging Face, its dropout replaced
every site, attention included, contributes variance         that site alone; the same site at p = 0
scores do not depend on batch, order or padding              each text alone, float64
the prefix runs once, and changes no number                  tokens each layer is given; the full
                                                             model
what samples is never padded, and fills its batches          layouts and rows that a layer is given
states kept from before change no number, and are not read   scores without them; call counts
where dropout samples below them
modes and torch's random state are as before                 comparison, also after an exception
passes differ, seeds differ, the same seed is the same       equality of tensors
consistent: one network per pass for all texts               equality of the masks drawn
a repeated batch is that of its items given so often         the batch made so often; hypothesis
without dropout all passes agree                             equality; BALD is 0
where training had no dropout, none samples by default       the explicit choice, bit for bit; "all"
a pool streams; a chunk at a time                            what was taken from the iterator
long sentences keep one row per word                          the sentence's length
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.active import streaming
from minift.active.acquisition import bald, select
from minift.active.loop import Asking
from minift.active.masks import text_keys
from minift.active.mc_dropout import TextMasks, lowest_depth, mc_logits
from minift.active.passes import repeated
from minift.active.simulate import Plan
from minift.active.sites import dropout_sites, sampling
from minift.active.streaming import mc_predict, mc_stream
from minift.bert.dropout import Dropout
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.packing import Computed
from minift.checkpoints.weights import load_tokenizer
from minift.data.examples import TaggedExample, TextExample
from minift.errors import MiniftError
from minift.runs.tuned import build
from minift.speed.prefix import PrefixCache
from minift.training.batches import Item, make_batch
from minift.training.loop import Seeds
from tests.bert.reference import copy_weights, hf_config, own_config, randomise
from tests.tiny import news, reviews, similarity

RATES = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3, "classifier_dropout": 0.4}


def items(lengths=(5, 1, 9, 9, 3), asked=None, seed=0) -> list[Item]:
    source = random.Random(seed)
    found = []
    for number, n in enumerate(lengths):
        positions = [0] if asked is None else sorted(source.sample(range(n), min(n, asked)))
        ids = [source.randrange(1, 61) for _ in range(n)]
        segments = [0] * (n - n // 2) + [1] * (n // 2)
        found.append(Item(number, ids, segments, positions, [0] * len(positions)))
    return found


def pair(seed=0, head=SequenceClassifier, **rates):
    """A Hugging Face model and ours with the same wide weights, in float64."""
    rates = {**RATES, **rates}
    cls = getattr(transformers, head.hugging_face_class)
    reference = randomise(cls(hf_config(**rates)), seed, std=0.3).double().eval()
    return reference, copy_weights(reference, head(own_config(**rates))).eval()


def own(seed=0, head=SequenceClassifier, **rates):
    return pair(seed, head, **rates)[1]


class Replacement:
    """Stands in for torch's dropout inside Hugging Face's model, one text at a time.

    The sites are met in the order of computation: embeddings; attention, attention_dropout and
    output_dropout of each layer; head.
    """

    def __init__(self, model, item, number, seed, lowest):
        all_tokens = replace(item, positions=list(range(len(item.input_ids))))
        every, asked = make_batch([all_tokens]), make_batch([item])
        self.masks = TextMasks(every.packed, every.wanted, text_keys([item], seed), 3)
        self.cls = TextMasks(asked.packed, asked.wanted, text_keys([item], seed), 3)
        self.masks.number = self.cls.number = number
        self.order = sorted(dropout_sites(model), key=lambda site: site.depth)  # stable
        self.met, self.lowest = 0, lowest

    def __call__(self, values, p=0.5, training=True, inplace=False):
        site = self.order[self.met]
        self.met += 1
        assert p == site.dropout.probability  # the site is the one we believe it is
        if site.depth < self.lowest:
            return values
        flat = values if values.dim() == 4 else values.flatten(0, -2)
        masks = self.cls if site.depth == 4 else self.masks
        return values * masks.draw(site, flat).view(values.shape)


@pytest.mark.parametrize("layers,lowest", [("all", 0), (3, 1), (2, 2), (1, 3), ("head", 4)])
@pytest.mark.parametrize("head", [SequenceClassifier, TokenClassifier], ids=["text", "tokens"])
def test_logits_equal_hugging_face_under_the_same_masks(head, layers, lowest, monkeypatch):
    reference, model = pair(head=head)
    texts = items(asked=None if head is SequenceClassifier else 4)
    found = mc_logits(model, texts, passes=2, layers=layers, seed=5)
    reference.train()
    for text, logits in zip(texts, found):
        for number in (0, 1):
            at = text.positions if head is TokenClassifier else [0]
            whole = text if head is SequenceClassifier else replace(
                text, positions=list(range(len(text.input_ids)))
            )  # fmt: skip
            stand_in = Replacement(model, whole, number, 5, lowest)
            monkeypatch.setattr(torch.nn.functional, "dropout", stand_in)
            expected = reference(
                input_ids=torch.tensor([text.input_ids]),
                token_type_ids=torch.tensor([text.segment_ids]),
            ).logits
            assert stand_in.met == 1 + 3 * 3 + 1
            expected = expected[0, at] if head is TokenClassifier else expected
            torch.testing.assert_close(logits[number], expected, rtol=0, atol=1e-9)
    assert (found[0][0] - found[0][1]).abs().max() > 1e-3  # the masks do something


def test_every_dropout_site_contributes_variance_and_none_where_its_rate_is_0():
    model, texts = own(), items()
    batch = make_batch(texts)
    sites = dropout_sites(model)
    per_layer = ("attention.dropout", "attention_dropout", "output_dropout")
    assert {site.name for site in sites} == {
        "bert.embeddings.dropout",
        "dropout",
        *(f"bert.layers.{layer}.{name}" for layer in range(3) for name in per_layer),
    }
    assert sum(isinstance(module, Dropout) for module in model.modules()) == len(sites) == 11
    assert sum(site.attention is not None for site in sites) == 3
    for site in sites:
        for rate, varies in ((site.dropout.probability, True), (0.0, False)):
            before, site.dropout.probability = site.dropout.probability, rate
            masks = TextMasks(batch.packed, batch.wanted, text_keys(texts, 0), 3)
            draws = []
            with sampling(model, [site], masks.draw), torch.no_grad():
                for number in range(8):
                    masks.number = number
                    draws.append(model(batch.packed, batch.wanted))
            site.dropout.probability = before
            spread = torch.stack(draws).var(0).amax(-1)  # (texts,)
            assert (spread > 1e-8).all() if varies else (spread < 1e-20).all(), site.name


@pytest.mark.parametrize("head", [SequenceClassifier, TokenClassifier], ids=["text", "tokens"])
@pytest.mark.parametrize("layers", ["all", 2, "head"])
def test_scores_do_not_depend_on_batch_order_or_padding(head, layers):
    model = own(head=head)
    texts = items((7, 1, 12, 12, 3, 5, 16), asked=3 if head is TokenClassifier else None)
    alone = [mc_logits(model, [text], 4, layers, seed=2)[0] for text in texts]
    shuffled = random.Random(0).sample(range(len(texts)), len(texts))
    for tokens in (1, 20, 2048):
        together = mc_logits(model, [texts[i] for i in shuffled], 4, layers, 2, tokens=tokens)
        for i, logits in zip(shuffled, together):
            torch.testing.assert_close(logits, alone[i], rtol=0, atol=1e-12)


def test_negative_control_torch_streams_do_depend_on_the_batch():
    model, texts = own(), items()
    model.train()
    torch.manual_seed(0)
    with torch.no_grad():
        together = model(make_batch(texts).packed)[1]
        torch.manual_seed(0)
        alone = model(make_batch(texts[1:2]).packed)[0]
    assert (together - alone).abs().max() > 1e-3


@pytest.mark.parametrize("layers,lowest", [(3, 1), (2, 2), (1, 3), ("head", 4), ("none", 5)])
def test_the_cached_prefix_changes_no_number_and_runs_once_for_all_passes(layers, lowest):
    model, texts = own(), items()
    batch = make_batch(texts)
    read = [0] * 3  # tokens that each layer was given
    for number, layer in enumerate(model.bert.layers):

        def count(_, inputs, __, number=number):
            read[number] += len(inputs[0])

        layer.register_forward_hook(count)
    cached = torch.stack(mc_logits(model, texts, 6, layers, seed=1), 1).squeeze(2)
    tokens = sum(len(text.input_ids) for text in texts)
    assert read == [tokens if number + 1 < lowest else 6 * tokens for number in range(3)]
    masks = TextMasks(batch.packed, batch.wanted, text_keys(texts, 1), 3)
    sites = [site for site in dropout_sites(model) if site.depth >= lowest]
    with sampling(model, sites, masks.draw), torch.no_grad():
        for number in range(6):
            masks.number = number
            full = model(batch.packed, batch.wanted)  # no prefix: everything is computed
            torch.testing.assert_close(cached[number], full, rtol=0, atol=1e-12)
    if layers == "none":
        with torch.no_grad():
            torch.testing.assert_close(cached[0], model.eval()(batch.packed), rtol=0, atol=1e-12)


@pytest.mark.parametrize("layers", ["all", 1])
def test_what_samples_is_never_padded_and_several_passes_share_a_batch_of_its_size(layers):
    model, texts = own(), items((5, 1, 9, 9, 3, 9))
    seen = []

    def look(_, inputs):
        hidden, layout, *_ = inputs
        seen.append((len(hidden), layout.longest, layout.slots is None))

    model.bert.layers[2].register_forward_pre_hook(look)
    mc_logits(model, texts, 7, layers, tokens=60)
    assert all(without_padding for _, _, without_padding in seen)
    assert all(rows <= 60 for rows, _, _ in seen)
    # Nine tokens: 2 passes of 3 texts fill 54 of 60 rows; five: 7 passes of 1 text are 35.
    assert [rows for rows, longest, _ in seen if longest == 9] == [54, 54, 54, 27]
    assert [rows for rows, longest, _ in seen if longest == 5] == [35]


def test_many_lengths_and_few_passes_stay_in_one_batch():
    model, texts = own(), items((5, 1, 9, 4, 3, 8))  # 30 tokens, 6 lengths
    seen = []
    model.bert.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    found = mc_logits(model, texts, 2, tokens=480)  # 60 rows are fewer than 6 batches of 30
    assert seen == [60]
    for text, logits in zip(texts, found):
        torch.testing.assert_close(logits, mc_logits(model, [text], 2)[0], rtol=0, atol=1e-12)


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.data())
def test_a_repeated_batch_is_that_of_its_items_given_so_often(lengths, times, data):
    texts = [
        replace(text, positions=sorted(data.draw(st.sets(st.integers(0, size - 1)))))
        for text, size in zip(items(lengths), lengths)
    ]
    texts[0] = replace(texts[0], positions=[0])  # at least one token is asked
    texts = [replace(t, targets=[n + p for p in t.positions]) for n, t in enumerate(texts)]
    batch, expected = make_batch(texts), make_batch(texts * times)
    states = torch.arange(3.0 * sum(lengths)).view(-1, 3)
    found = repeated(
        replace(batch, packed=replace(batch.packed, computed=Computed(2, states))), times
    )
    for name in ("input_ids", "segment_ids", "position_ids"):
        assert torch.equal(getattr(found.packed, name), getattr(expected.packed, name))
    assert torch.equal(found.targets, expected.targets)
    assert torch.equal(found.wanted.indices, expected.wanted.indices)
    assert found.packed.computed.layers == 2
    assert torch.equal(found.packed.computed.hidden, torch.cat([states] * times))
    for ours, theirs in (
        (found.packed.layout, expected.packed.layout),
        (found.wanted.layout, expected.wanted.layout),
    ):
        assert ours.lengths == theirs.lengths
        assert (ours.slots is None) is (theirs.slots is None)
        assert ours.slots is None or torch.equal(ours.slots, theirs.slots)


def _mixed_modes(model):
    model.train()
    model.bert.layers[1].eval()
    model.bert.layers[2].attention.eval()
    return [module.training for module in model.modules()]


def test_modes_hooks_and_torchs_random_state_are_left_as_found():
    model = own()
    modes, state = _mixed_modes(model), torch.get_rng_state()
    mc_logits(model, items(), 3)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in model.modules())


def test_modes_and_hooks_are_left_as_found_also_after_an_exception(monkeypatch):
    model = own()
    modes, state = _mixed_modes(model), torch.get_rng_state()
    monkeypatch.setattr(TextMasks, "draw", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mc_logits(model, items(), 3)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_same_seed_gives_the_same_scores_another_seed_does_not_and_passes_differ():
    model, texts = own(), items()
    first = torch.stack(mc_logits(model, texts, 4, seed=0))
    torch.manual_seed(99)
    torch.rand(7)  # torch's own stream has no part in it
    assert torch.equal(torch.stack(mc_logits(model, texts, 4, seed=0)), first)
    assert (torch.stack(mc_logits(model, texts, 4, seed=1)) - first).abs().amin(0).max() > 1e-3
    for a in range(4):
        for b in range(a):
            assert (first[:, a] - first[:, b]).abs().max() > 1e-3
    longer = torch.stack(mc_logits(model, texts, 6, seed=0))
    # More passes only add passes; how many of them share a product may change how it rounds.
    torch.testing.assert_close(longer[:, :4], first, rtol=0, atol=1e-12)


def _masks_of_a_pass(model, texts, batch, consistent, number):
    masks = TextMasks(batch.packed, batch.wanted, text_keys(texts, 0, consistent), 3)
    masks.number = number
    seen = []

    def draw(site, values):
        seen.append(masks.draw(site, values))
        return seen[-1]

    with sampling(model, dropout_sites(model), draw), torch.no_grad():
        model(batch.packed, batch.wanted)
    return seen


def test_consistent_masks_are_one_network_per_pass_and_others_are_not():
    model, texts = own(), items((6, 6, 4))
    batch = make_batch(texts)
    for consistent in (True, False):
        drawn = [_masks_of_a_pass(model, texts, batch, consistent, number) for number in (0, 1)]
        for mask, other in zip(*drawn):
            assert not torch.equal(mask, other)  # passes differ
        embeddings, attention = drawn[0][0], drawn[0][1]
        assert torch.equal(embeddings[:6], embeddings[6:12]) is consistent
        assert torch.equal(embeddings[:4], embeddings[12:]) is consistent
        assert torch.equal(attention[0], attention[1]) is consistent
        assert torch.equal(drawn[0][-1][0], drawn[0][-1][2]) is consistent
        assert not torch.equal(attention[0, 0], attention[0, 1])  # heads differ
        assert not torch.equal(embeddings[0], embeddings[1])  # tokens differ


def test_without_dropout_all_passes_agree_bald_is_0_and_the_choice_is_random_by_seed():
    model = own(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0)
    texts = items([5] * 12)
    probabilities = torch.cat([x.softmax(-1) for x in mc_logits(model, texts, 5)], 1)
    scores = bald(probabilities)
    assert scores.tolist() == [0.0] * 12
    choices = []
    for seed in (0, 0, 1):
        with pytest.warns(UserWarning, match="all 12 scores are 0, so the choice is random"):
            choices.append(select(scores, 4, seed))
    assert choices[0] == choices[1] != choices[2]
    assert choices[0] != [0, 1, 2, 3]


def test_a_site_that_is_torchs_own_dropout_is_refused_rather_than_missed():
    model = own()
    model.dropout = torch.nn.Dropout(0.1)
    with pytest.raises(MiniftError, match=r"dropout is torch\.nn\.Dropout"):
        mc_logits(model, items(), 2)


@pytest.mark.parametrize("layers", [0, 4, -1, "top", None, 1.5])
def test_layers_out_of_range_are_refused_with_what_is_possible(layers):
    with pytest.raises(MiniftError, match=r"top layers that sample, 1 to 3; got"):
        mc_logits(own(), items(), 2, layers)


def test_no_passes_are_refused():
    with pytest.raises(MiniftError, match="passes must be at least 1, got 0"):
        mc_logits(own(), items(), 0)


def test_on_each_device_the_masks_are_the_same(device):
    model, texts = own(), items()
    expected = mc_logits(model, texts, 3)
    found = mc_logits(model.to(device), texts, 3)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


# --- texts ---------------------------------------------------------------------------------


def test_mc_predict_gives_probabilities_of_passes_texts_classes(encoder):
    data = reviews()
    tuned = build(data, encoder, Seeds.all(0))
    found = mc_predict(tuned, data.test, 5, seed=3)
    assert found.shape == (5, len(data.test), 2)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.sum(-1), torch.ones(5, len(data.test)).double())
    bare = [replace(e, label=None) for e in data.test]
    assert torch.equal(mc_predict(tuned, bare, 5, seed=3), found)  # labels are not read


def test_no_texts_give_no_rows_in_the_dtype_of_all_others(encoder):
    tuned = build(reviews(), encoder, Seeds.all(0))
    none, some = mc_predict(tuned, [], 5), mc_predict(tuned, reviews().test[:1], 5)
    assert none.shape == (5, 0, 2)
    assert none.dtype == some.dtype == torch.float64


@pytest.mark.parametrize("quiet,layers", [(0, "all"), (1, 2), (2, 1), (3, "head")])
def test_by_default_dropout_samples_from_the_lowest_site_that_had_it_in_training(
    encoder, quiet, layers
):
    """`quiet` of (embeddings, layer 0, layer 1) were frozen, and trained without dropout."""
    data = reviews()
    tuned = replace(build(data, encoder, Seeds.all(0)), quiet=quiet)
    found = mc_predict(tuned, data.test, 4)
    assert torch.equal(found, mc_predict(tuned, data.test, 4, layers))
    everywhere = mc_predict(tuned, data.test, 4, "all")
    assert torch.equal(found, everywhere) is (quiet == 0)  # the one that is wrong is another one
    (rows,) = next(mc_stream(tuned, data.test[:1], 4))[1]
    torch.testing.assert_close(rows, found[:, :1], rtol=0, atol=1e-6)


def test_ten_passes_from_the_trained_sites_upwards_are_asked_unless_told_otherwise():
    for default in (Asking(), Plan()):
        assert (default.passes, default.layers) == (10, "trained")
    with pytest.raises(MiniftError, match="passes must be at least 1, got 0"):
        Asking(passes=0)
    with pytest.raises(MiniftError, match=r'"trained" needs a FineTuned; call mc_stream'):
        mc_logits(own(), items(), 2, "trained")


def test_a_pool_streams_a_chunk_at_a_time_and_resumes_where_it_stopped(encoder, monkeypatch):
    data = reviews()
    tuned = build(data, encoder, Seeds.all(0))
    whole = mc_predict(tuned, data.train, 3)
    monkeypatch.setattr(streaming, "CHUNK", 10)
    taken = []
    pool = (taken.append(e) or e for e in data.train)
    stream = mc_stream(tuned, pool, 3)
    assert taken == []
    examples, first = next(stream)
    assert len(taken) == len(examples) == 10
    rest = [row for _, rows in mc_stream(tuned, data.train[10:], 3) for row in rows]
    torch.testing.assert_close(torch.cat([*first, *rest], 1), whole, rtol=0, atol=1e-6)


def test_a_sentence_has_one_row_per_word_also_if_it_is_longer_than_the_model(encoder):
    data = news()
    tuned = build(data, encoder, Seeds.all(0))
    long = TaggedExample("long", ("good", "Oslo", "abcd") * 50)
    longest = tuned.model.config.max_position_embeddings
    assert len(long.words) > longest
    for example, (rows,) in (
        (e, next(mc_stream(tuned, [e], 2))[1]) for e in (long, *data.test[:3])
    ):
        assert rows.shape == (2, len(example.words), len(data.labels))
    with pytest.raises(MiniftError, match="use mc_stream"):
        mc_predict(tuned, data.test, 2)


def test_a_regression_model_is_refused(encoder):
    data = similarity()
    with pytest.raises(MiniftError, match="this model predicts a number"):
        mc_predict(build(data, encoder, Seeds.all(0)), data.test, 2)


def test_pairs_are_scored_as_pairs(encoder):
    tuned = replace(build(reviews(), encoder, Seeds.all(0)), pairs=True)
    texts = [TextExample("0", "good", None, "bad"), TextExample("1", "good", None, "film")]
    found = mc_predict(tuned, texts, 2)
    assert (found[:, 0] - found[:, 1]).abs().max() > 1e-6
    assert load_tokenizer(encoder).encode(["good"], ["bad"])[0].segment_ids.count(1) > 0


@pytest.mark.parametrize("head", [SequenceClassifier, TokenClassifier])
@pytest.mark.parametrize("kept", [0, 2, 3])
@pytest.mark.parametrize("layers", ["all", 1, 3, "head", "none"])
def test_states_kept_from_before_change_no_score(head, kept, layers):
    model = own(head=head)
    asked = items(asked=None if head is SequenceClassifier else 3)
    cache = PrefixCache(model, kept, asked)
    calls = []
    model.bert.embeddings.register_forward_hook(lambda *_: calls.append(1))
    given = mc_logits(model, asked, 3, layers, cache=cache)
    read = not calls
    plain = mc_logits(model, asked, 3, layers)
    for ours, theirs in zip(given, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert read is (layers != "all" and kept < lowest_depth(layers, 3))
