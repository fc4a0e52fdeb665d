"""The CNN head reads each text by itself, and every slot of the library takes it.

claim                                                        oracle
logits and gradients are those of padded convolutions        torch.nn.Conv1d, masked maxima, float64
a text shorter than a filter has logits like any other       the same; finite numbers
a text gets the same logits alone and in any batch           each text alone, float64
no window reads the next text                                gradient by the other text's tokens
freezing, head only, BitFit, the prefix cache                names; training without the cache
MC dropout in the head is that of the whole model            every pass computed in full, same masks
weights come from the head's stream                          equality by seed
a run folder says which head and gives the same bits         the model in memory, the file
transformers' classifier stays as it was                     tests/bert/test_parity.py
"""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn

from minift.active.masks import text_keys
from minift.active.mc_dropout import TextMasks, mc_logits
from minift.active.sites import dropout_sites, sampling
from minift.bert.packing import pack, to_device
from minift.errors import MiniftError
from minift.methods.bitfit import bitfit
from minift.methods.cnn_head import ConvClassifier, Convolutions
from minift.methods.freezing import freeze, head_only
from minift.methods.recipes import recipe
from minift.runs.fit import fit
from minift.runs.folder import load_run
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build
from minift.speed.prefix import reads_every_token
from minift.training.batches import Item, make_batch
from minift.training.loop import Recipe, Seeds, Settings, fine_tune
from tests.bert.reference import own_config, randomise
from tests.tiny import checkpoint, news, reviews, similarity

LENGTHS = (7, 1, 2, 12, 12, 3, 5)  # filters are 3, 4 and 5 wide
FAST = Settings(epochs=3, batch_size=4, learning_rate=1e-3)


def model(seed: int = 0, **rates) -> ConvClassifier:
    return randomise(ConvClassifier(own_config(**rates)), seed, std=0.3).double().eval()


def items(lengths=LENGTHS, seed=0) -> list[Item]:
    source = random.Random(seed)
    return [
        Item(number, [source.randrange(1, 61) for _ in range(n)], [0] * n, [0], [number % 3])
        for number, n in enumerate(lengths)
    ]


def padded_reference(head: Convolutions, texts: list[torch.Tensor], past_end: int) -> torch.Tensor:
    """Pad, convolve with torch, mask windows that begin at padding, take maxima."""
    longest = max(map(len, texts)) + past_end
    padded = torch.stack([nn.functional.pad(t, (0, 0, 0, longest - len(t))) for t in texts])
    maxima = []
    for conv in head.filters:
        answers = nn.functional.conv1d(padded.transpose(1, 2), conv.weight, conv.bias)
        for number, text in enumerate(texts):
            answers[number, :, len(text) :] = -torch.inf
        maxima.append(answers.amax(-1).clamp(min=0))
    return head.output(torch.cat(maxima, dim=1))


@pytest.mark.parametrize("lengths", [LENGTHS, (1,), (2, 1), (4, 4), (9,)])
@pytest.mark.parametrize("seed", [0, 1])
def test_logits_and_gradients_equal_padded_convolutions_of_torch(lengths, seed, device):
    generator = torch.Generator().manual_seed(seed)
    head = randomise(Convolutions(24, 3), seed).double().eval().to(device)
    packed = to_device(pack([[1] * n for n in lengths]), device)
    hidden = torch.randn(sum(lengths), 24, generator=generator, dtype=torch.float64)
    weights = torch.randn(len(lengths), 3, generator=generator, dtype=torch.float64).to(device)
    found = []
    for padded in (False, True):
        rows = hidden.to(device).clone().requires_grad_()
        head.zero_grad()
        if padded:
            logits = padded_reference(head, list(rows.split(lengths)), max(head.WIDTHS) - 1)
        else:
            logits = head(head.maxima(rows, packed))
        (logits * weights).sum().backward()
        found.append([logits, rows.grad, *(p.grad.clone() for p in head.parameters())])
    for ours, expected in zip(*found):
        assert expected.isfinite().all() and expected.abs().max() > 0
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-9)


def test_negative_control_windows_over_the_border_give_other_logits():
    head = randomise(Convolutions(24, 3), 0).double().eval()
    hidden = torch.randn(14, 24, generator=torch.Generator().manual_seed(0)).double()
    right = head(head.maxima(hidden, pack([[1] * 7, [1] * 7])))
    one_run = nn.functional.pad(hidden.T, (0, max(head.WIDTHS) - 1))
    merged = torch.cat([c(one_run)[:, :14].T for c in head.filters], 1)
    wrong = head.output(merged.relu().view(2, 7, -1).amax(1))
    assert (wrong - right)[0].abs().max() > 1e-3
    torch.testing.assert_close(wrong[1], right[1], rtol=0, atol=1e-12)  # nothing comes after it


def test_a_text_gets_the_same_logits_alone_and_in_any_batch():
    own, texts = model(), items()
    alone = [predict_logits_double(own, [text])[0] for text in texts]
    for order in (range(7), (3, 0, 6, 1, 5, 2, 4)):
        together = predict_logits_double(own, [texts[i] for i in order])
        for i, logits in zip(order, together):
            torch.testing.assert_close(logits, alone[i], rtol=0, atol=1e-12)


def predict_logits_double(own, texts):
    with torch.no_grad():
        return list(own(make_batch(texts).packed))


def test_all_tokens_of_a_text_and_none_of_another_decide_its_logits():
    own, texts = model(), items((6, 2, 5))
    batch = make_batch(texts)
    hidden = own.bert(batch.packed).detach().requires_grad_()
    for number, text in enumerate(hidden.split([6, 2, 5])):
        logits = own.classifier(own.classifier.maxima(hidden, batch.packed))
        (gradient,) = torch.autograd.grad(logits[number].sum(), hidden)
        assert int((gradient.abs().sum(1) > 0).sum()) == len(text)


# --- methods, cache, sampling ----------------------------------------------------------------


def test_the_classifier_is_the_head_for_freezing_head_only_and_bitfit():
    own = model()
    head = {name for name, _ in own.named_parameters() if name.startswith("classifier.")}
    assert len(head) == 8
    assert set(head_only()(own)) == head
    assert head < set(bitfit()(own)) and head < set(freeze(2)(own))
    assert all(name in head or name.endswith("bias") for name in bitfit()(own))
    assert not any(".layers.0." in name or "embeddings" in name for name in freeze(2)(own))


@pytest.mark.parametrize("method", [freeze(1), freeze(3), head_only()])
def test_training_with_the_prefix_cache_equals_training_without_it(method):
    rates = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
    cached, plain, start = model(**rates), model(**rates), model(**rates)
    chosen = Recipe(trainable=method, settings=FAST)
    tuned = FineTuned(cached, None, "classification", ("a", "b", "c"))
    assert fit(tuned, items(), chosen, Seeds.all(0)).tuned.cache is not None
    fine_tune(plain, items(), chosen, Seeds.all(0))
    expected, before = dict(plain.named_parameters()), dict(start.named_parameters())
    for name, value in cached.named_parameters():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12)
        learned = name in set(method(start))
        assert torch.equal(value, before[name]) is not learned, name


RATES = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3, "classifier_dropout": 0.4}


@pytest.mark.parametrize("layers,lowest", [("all", 0), (2, 2), (1, 3), ("head", 4)])
def test_mc_dropout_from_cached_states_equals_the_whole_model_in_every_pass(layers, lowest, device):
    own, texts = model(**RATES).to(device), items()
    read = []  # tokens that the lowest layer was given
    own.bert.layers[0].register_forward_hook(lambda _, inputs, __: read.append(len(inputs[0])))
    found = torch.stack(mc_logits(own, texts, 5, layers, seed=3), 1).squeeze(2)
    tokens = sum(len(text.input_ids) for text in texts)
    assert sum(read) == (5 if layers == "all" else 1) * tokens
    batch = to_device(make_batch(texts), device)
    keys = text_keys(texts, 3).to(device)
    masks = TextMasks(batch.packed, batch.wanted, keys, 3 + reads_every_token(own))
    sites = [site for site in dropout_sites(own) if site.depth >= lowest]
    assert sites[-1].name == "dropout"
    with sampling(own, sites, masks.draw), torch.no_grad():
        for number in range(5):
            masks.number = number
            expected = own(batch.packed).cpu()
            torch.testing.assert_close(found[number], expected, rtol=0, atol=1e-12)
    assert found.std(0).amin(-1).min() > 1e-6  # every text's passes differ


def test_mc_scores_do_not_depend_on_the_batch_and_without_head_dropout_passes_agree():
    own, texts = model(**RATES), items()
    for layers in ("all", 1, "head"):
        alone = [mc_logits(own, [text], 3, layers, seed=1)[0] for text in texts]
        for a, b in zip(alone, mc_logits(own, texts[::-1], 3, layers, seed=1)[::-1]):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    still = model(**{**RATES, "classifier_dropout": 0.0})
    sampled = torch.stack(mc_logits(still, texts, 3, "head"))
    assert torch.equal(sampled[:, 0], sampled[:, 1])


# --- build, save, load -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def test_the_heads_seed_alone_decides_its_first_weights(encoder):
    def first(seeds: Seeds):
        return dict(build(reviews(), encoder, seeds, head="cnn").model.named_parameters())

    one, same, other = (first(Seeds(s, h, s, s, s)) for s, h in ((0, 5), (9, 5), (0, 6)))
    for name, value in one.items():
        assert torch.equal(value, same[name])
        drawn = name.startswith("classifier.") and name.endswith("weight")
        assert torch.equal(value, other[name]) is not drawn
        if drawn:
            assert (
                0.05 < float(value.detach().std()) < 0.15
            )  # initializer_range of this encoder is 0.1


@pytest.mark.parametrize("data", [reviews(), similarity()], ids=["classes", "numbers"])
def test_a_run_folder_says_which_head_it_has_and_gives_the_same_bits(encoder, tmp_path, data):
    settings = replace(FAST, epochs=2)
    out = tmp_path / "run"
    tuned, _ = train(
        data, encoder, recipe("full"), seeds=Seeds.all(0), settings=settings, head="cnn", out=out
    )
    config = json.loads((out / "config.json").read_text())
    assert config["architectures"] == ["MiniftConvForSequenceClassification"]
    assert json.loads((out / "run.json").read_text())["head"] == "cnn"
    for theirs in (transformers.AutoModelForSequenceClassification, transformers.AutoModel):
        with pytest.raises(OSError, match=r"no file named .*model\.safetensors"):  # no random head
            theirs.from_pretrained(out)
    encoder_alone = transformers.AutoModel.from_pretrained(out / "0_Transformer")
    words = encoder_alone.embeddings.word_embeddings.weight
    assert torch.equal(words, tuned.model.bert.embeddings.word.weight)
    loaded = load_run(out)
    assert isinstance(loaded.model, ConvClassifier) and loaded.task == data.task
    for (name, value), (other, expected) in zip(
        loaded.model.named_parameters(), tuned.model.named_parameters()
    ):
        assert name == other and torch.equal(value, expected)
    assert loaded.evaluate(data.test).predicted == tuned.evaluate(data.test).predicted
    linear = build(data, out, Seeds.all(0), head="linear")  # another head over the same encoder
    assert torch.equal(
        linear.model.bert.layers[1].output.weight, loaded.model.bert.layers[1].output.weight
    )


def test_the_head_learns_what_a_single_word_decides(encoder):
    data = reviews(160)
    settings = Settings(epochs=20, batch_size=8, learning_rate=1e-3)
    arguments = {"seeds": Seeds.all(0), "settings": settings, "head": "cnn"}
    _, result = train(data, encoder, recipe("head"), **arguments)
    assert result["test"] > result["test_majority"] + 0.2


def test_tagging_and_unknown_heads_are_refused(encoder):
    with pytest.raises(MiniftError, match="the cnn head answers per text, tagging per word"):
        build(news(), encoder, Seeds.all(0), head="cnn")
    with pytest.raises(MiniftError, match='unknown head "lstm"; known: linear, mean, cnn'):
        build(reviews(), encoder, Seeds.all(0), head="lstm")
