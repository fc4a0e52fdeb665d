"""The mean head reads what sentence encoders give, and every part of the library takes it.

claim                                                        oracle
logits and gradients are those of a masked mean              BertModel of transformers, float64
texts of a pair are read apart: u, v, |u - v|, u * v         BertModel on each text alone, float64
negative control: read as one text, a pair has other logits  the joined texts
a text gets the same logits alone and in any batch           each text alone
the frozen-prefix cache keeps one vector per text            its size; training without the cache
MC dropout from kept vectors is that of the whole model      every pass in full, same masks
the encoder's makers choose the head, `--head` overrides     files of sentence-transformers
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn

from minift.active.masks import derive, text_keys
from minift.active.mc_dropout import TextMasks, mc_logits
from minift.active.sites import dropout_sites, sampling
from minift.bert.packing import pack, to_device
from minift.checkpoints.modules import description
from minift.errors import MiniftError
from minift.methods.freezing import freeze, head_only
from minift.methods.mean_head import MeanClassifier, PairClassifier
from minift.methods.recipes import recipe
from minift.runs.fit import fit
from minift.runs.folder import load_run
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build, head_of
from minift.speed.prefix import PrefixCache
from minift.training.batches import Item, make_batch
from minift.training.loop import Recipe, Seeds, Settings, fine_tune
from tests.bert.reference import copy_weights, hf_config, own_config, randomise
from tests.tiny import checkpoint, news, reviews, similarity

FAST = Settings(epochs=3, batch_size=4, learning_rate=1e-3)
RATES = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3, "classifier_dropout": 0.4}
LENGTHS = ((4, 3), (2, 7), (6, 6), (3, 2), (5, 2))


def items(pairs: bool, lengths=LENGTHS, seed: int = 0) -> list[Item]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for number, (first, second) in enumerate(lengths):
        second = second if pairs else 0
        ids = torch.randint(1, 61, (first + second,), generator=generator).tolist()
        found.append(Item(number, ids, [0] * first + [1] * second, [0], [number % 3]))
    return found


def model(pairs: bool, seed: int = 0, **rates) -> MeanClassifier:
    kind = PairClassifier if pairs else MeanClassifier
    return randomise(kind(own_config(**rates)), seed, std=0.3).double().eval()


def means(reference: transformers.BertModel, texts: list[list[int]], device="cpu") -> torch.Tensor:
    """The mean over the real tokens of padded texts."""
    longest = max(map(len, texts))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in texts], device=device)
    mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in texts], device=device)
    hidden = reference(input_ids=ids, attention_mask=mask).last_hidden_state
    return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


def reference_of(own: MeanClassifier, seed: int) -> tuple[transformers.BertModel, nn.Linear]:
    """A BertModel and a linear layer with weights of their own, copied into ours."""
    reference = transformers.BertModel(hf_config(), add_pooling_layer=False)
    reference = randomise(reference, seed).double().eval().to(next(own.parameters()).device)
    copy_weights(reference, own.bert)
    return reference, own.classifier.linear


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
@pytest.mark.parametrize("seed", [0, 1])
def test_logits_and_gradients_are_those_of_a_masked_mean(pairs, seed, device):
    own = model(pairs, seed).to(device)
    reference, linear = reference_of(own, seed)
    batch = to_device(make_batch(items(pairs, seed=seed)), device)
    weights = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).double().to(device)

    def by_transformers() -> torch.Tensor:
        ids, cuts = [item.input_ids for item in items(pairs, seed=seed)], [a for a, _ in LENGTHS]
        if not pairs:
            return linear(means(reference, ids, device))
        u = means(reference, [text[:cut] for text, cut in zip(ids, cuts)], device)
        v = means(reference, [text[cut:] for text, cut in zip(ids, cuts)], device)
        return linear(torch.cat([u, v, torch.abs(u - v), u * v], 1))

    found = []
    for answer, encoder in ((lambda: own(batch.packed, batch.wanted), own.bert),
                            (by_transformers, reference)):  # fmt: skip
        linear.zero_grad()
        logits = answer()
        (logits * weights).sum().backward()
        word = encoder.embeddings
        word = word.word if hasattr(word, "word") else word.word_embeddings
        found.append([logits, word.weight.grad, linear.weight.grad.clone()])
    for ours, expected in zip(*found):
        assert expected.abs().max() > 0
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-9)


def test_negative_control_texts_of_a_pair_that_are_joined_have_other_logits():
    own, pairs = model(True), items(True)
    batch = make_batch(pairs)
    apart, joined = own(batch.packed), own.bert(batch.packed)
    whole = torch.stack([rows.mean(0) for rows in joined.split(list(batch.packed.lengths))])
    zero = torch.zeros_like(whole)
    wrong = own.classifier(torch.cat([whole, whole, zero, whole * whole], 1))
    assert (apart - wrong).abs().amax(1).min() > 1e-3


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_a_text_gets_the_same_logits_alone_and_in_any_batch(pairs):
    own, texts = model(pairs), items(pairs)
    with torch.no_grad():
        together = own(make_batch(texts[::-1]).packed).flip(0)
        for number, text in enumerate(texts):
            alone = own(make_batch([text]).packed)[0]
            torch.testing.assert_close(together[number], alone, rtol=0, atol=1e-12)


# --- what is applied from outside --------------------------------------------------------------


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
@pytest.mark.parametrize("method", [freeze(1), freeze(3), head_only()], ids=["1", "3", "head"])
def test_training_with_the_prefix_cache_equals_training_without_it(method, pairs):
    rates = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
    cached, plain = model(pairs, **rates), model(pairs, **rates)
    chosen = Recipe(trainable=method, settings=FAST)
    tuned = FineTuned(cached, None, "classification", ("a", "b", "c"))
    assert fit(tuned, items(pairs), chosen, Seeds.all(0)).tuned.cache is not None
    fine_tune(plain, items(pairs), chosen, Seeds.all(0))
    expected = dict(plain.named_parameters())
    for name, value in cached.named_parameters():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("pairs,width", [(False, 24), (True, 96)], ids=["texts", "pairs"])
def test_the_cache_keeps_one_vector_per_text_and_all_tokens_below_the_top(pairs, width):
    own, texts = model(pairs), items(pairs)
    assert {s.shape for s in PrefixCache(own, 3, texts).states.values()} == {(1, width)}
    tokens = sum(len(text.input_ids) for text in texts)
    below = PrefixCache(own, 2, texts).states.values()
    assert torch.cat(list(below)).shape == (tokens, 24)


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
@pytest.mark.parametrize("layers,lowest", [("all", 0), (2, 2), (1, 3), ("head", 4)])
def test_mc_dropout_equals_the_whole_model_in_every_pass(layers, lowest, pairs, device):
    own, texts = model(pairs, **RATES).to(device), items(pairs)
    read = []  # tokens that the lowest layer was given
    own.bert.layers[0].register_forward_hook(lambda _, inputs, __: read.append(len(inputs[0])))
    found = torch.stack(mc_logits(own, texts, 5, layers, seed=3), 1).squeeze(2)
    tokens = sum(len(text.input_ids) for text in texts)
    assert sum(read) == (5 if layers == "all" else 1) * tokens
    batch, keys = to_device(make_batch(texts), device), text_keys(texts, 3).to(device)
    if pairs:  # the second text has masks of its own
        keys = torch.stack([keys, derive(keys, 1)], 1).flatten()
    masks = TextMasks(own.arrange(batch.packed), batch.wanted, keys, 4)
    sites = [site for site in dropout_sites(own) if site.depth >= lowest]
    with sampling(own, sites, masks.draw), torch.no_grad():
        for number in range(5):
            masks.number = number
            torch.testing.assert_close(found[number], own(batch.packed).cpu(), rtol=0, atol=1e-12)
    assert found.std(0).amin(-1).min() > 1e-6  # every text's passes differ


def test_equal_texts_of_a_pair_do_not_share_their_masks():
    twin = Item(0, [7, 8, 9] * 2, [0] * 3 + [1] * 3, [0], [0])
    # The head has masks of its own for u and for v; it must not hide that the encoder shares them.
    own = model(True, **{**RATES, "classifier_dropout": 0.0})
    own.classifier.linear.weight.data[:] = 0
    own.classifier.linear.weight.data[0, :24] = 1  # the first logit is the sum of u,
    own.classifier.linear.weight.data[1, 24:48] = 1  # the second of v
    own.classifier.linear.bias.data[:] = 0
    (still,) = mc_logits(own, [twin], 4, "none")
    torch.testing.assert_close(still[0, 0, 0], still[0, 0, 1], rtol=0, atol=1e-12)
    (passes,) = mc_logits(own, [twin], 4, 2)
    assert (passes[:, 0, 0] - passes[:, 0, 1]).abs().min() > 1e-6


# --- which head, and what is written -----------------------------------------------------------


@pytest.fixture
def encoder(tmp_path):
    return checkpoint(tmp_path / "encoder")


def state(folder, **pooling):
    """Write what a folder of sentence-transformers says of its pooling."""
    for path, content in description(32, None, 64).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    if pooling:
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


@pytest.mark.parametrize(
    "pooling,head",
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode": "mean", "embedding_dimension": 32}, "mean"),
        ({"pooling_mode_cls_token": True}, "linear"),
        ({"pooling_mode": ["cls"]}, "linear"),
    ],
)
def test_the_makers_statement_chooses_the_head(encoder, pooling, head):
    assert head_of(encoder, reviews()) == "linear"  # nothing is stated yet
    state(encoder, **pooling)
    assert head_of(encoder, reviews()) == head
    assert head_of(encoder, news()) == "linear"
    built = build(reviews(), encoder, Seeds.all(0))
    assert isinstance(built.model, MeanClassifier) is (head == "mean")
    given = build(reviews(), encoder, Seeds.all(0), head="linear")
    assert not isinstance(given.model, MeanClassifier)


def test_pairs_are_read_apart_only_where_the_head_is_solved(encoder):
    state(encoder)
    for method, head in (("head", "mean"), ("full+start:probe", "mean"), ("full", "linear"),
                         ("bitfit", "linear")):  # fmt: skip
        assert head_of(encoder, similarity(), recipe(method)) == head
        assert head_of(encoder, reviews(), recipe(method)) == "mean"
    assert head_of(encoder, similarity()) == "linear"


@pytest.mark.parametrize(
    "pooling,named",
    [
        ({"pooling_mode_max_tokens": True}, "made by max, which"),
        ({"pooling_mode": "weightedmean"}, "made by weightedmean, which"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "cls and mean"),
        ({"pooling_mode_mean_tokens": False}, "made by nothing"),
    ],
)
def test_a_pooling_that_is_not_here_is_refused_by_name_and_head_overrides_it(
    encoder, pooling, named
):
    state(encoder, **pooling)
    with pytest.raises(MiniftError, match=f"1_Pooling/config.json.*{named}.*--head mean"):
        build(reviews(), encoder, Seeds.all(0))
    assert isinstance(build(reviews(), encoder, Seeds.all(0), head="mean").model, MeanClassifier)


@pytest.mark.parametrize("content", ["[", "{}", '[{"type": "x.Pooling"}]', "[1]", "[]",
    '[{"type": "x.Pooling", "path": "../1_Pooling"}]'])  # fmt: skip
def test_a_damaged_list_of_modules_is_refused_with_its_file(encoder, content):
    state(encoder)
    (encoder / "modules.json").write_text(content)
    with pytest.raises(MiniftError, match=r"modules\.json: cannot be read as a list of modules"):
        head_of(encoder, reviews())


def test_minilm_is_known_to_read_the_mean_though_its_wheel_does_not_say_it(monkeypatch, tmp_path):
    from minift.checkpoints import hub

    monkeypatch.setenv("MINIFT_HOME", str(tmp_path))
    folder = tmp_path / "models" / "minilm"
    checkpoint(folder)
    (folder / "extra.json").write_text("{}")
    size = (folder / "model.safetensors").stat().st_size
    source = replace(hub.SHORT_NAMES["minilm"], size=size)
    monkeypatch.setitem(hub.SHORT_NAMES, "minilm", source)
    assert head_of("minilm", reviews()) == "mean"
    assert head_of(folder, reviews()) == "mean"


@pytest.mark.parametrize("data", [reviews(), similarity()], ids=["texts", "pairs"])
def test_a_run_folder_gives_the_same_bits_and_keeps_its_head(encoder, tmp_path, data):
    out = tmp_path / "run"
    settings = replace(FAST, epochs=2)
    tuned, _ = train(
        data, encoder, recipe("full"), seeds=Seeds.all(0), settings=settings, head="mean", out=out
    )
    assert json.loads((out / "run.json").read_text())["head"] == "mean"
    loaded = load_run(out)
    assert type(loaded.model) is (PairClassifier if data.task == "regression" else MeanClassifier)
    for (name, value), (other, expected) in zip(
        loaded.model.named_parameters(), tuned.model.named_parameters()
    ):
        assert name == other and torch.equal(value, expected)
    assert loaded.evaluate(data.test).predicted == tuned.evaluate(data.test).predicted
    again = build(data, out, Seeds.all(1))  # the head that came with the encoder is kept
    assert again.kept_head and type(again.model) is type(loaded.model)
    other = build(data, out, Seeds.all(0), head="linear")  # whose layer reads other vectors
    assert not other.kept_head
    assert torch.equal(other.model.bert.layers[1].output.weight,
                       loaded.model.bert.layers[1].output.weight)  # fmt: skip


def test_a_pair_is_read_to_the_full_length_of_each_text_and_a_missing_second_is_empty(encoder):
    data = similarity()
    tuned = build(data, encoder, Seeds.all(0), head="mean")
    long, alone = replace(data.train[0], text="film " * 90, text_b="book " * 90), data.train[1]
    first, second = tuned.items([long, replace(alone, text_b=None)])
    assert first.segment_ids == [0] * 64 + [1] * 64
    cls, sep = tuned.tokenizer.cls_id, tuned.tokenizer.sep_id
    assert second.input_ids[-2:] == [cls, sep] and second.segment_ids[-2:] == [1, 1]


def test_tagging_is_refused(encoder):
    with pytest.raises(MiniftError, match="the mean head answers per text, tagging per word"):
        build(news(), encoder, Seeds.all(0), head="mean")


def test_pack_keeps_every_row_in_place_when_texts_are_read_apart():
    packed = pack([[5, 6, 7, 8, 9], [5, 6, 7]], [[0, 0, 1, 1, 1], [0, 1, 1]])
    apart = model(True).arrange(packed)
    assert apart.lengths == (2, 3, 1, 2)
    assert apart.position_ids.tolist() == [0, 1, 0, 1, 2, 0, 0, 1]
    assert torch.equal(apart.input_ids, packed.input_ids) and not apart.segment_ids.any()
