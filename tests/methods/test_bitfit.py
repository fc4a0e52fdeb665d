"""BitFit and its subsets, proven.

claim                                                         oracle
exactly the biases and the head train, each term by itself    HF names, written out by loops
parameter counts of BERT base and large                       the paper's arithmetic
50 steps are those of the same tensors set free in HF         transformers + torch.optim.AdamW
what is frozen keeps its bits, with decay and old momentum    bit equality
the key bias cannot matter                                    float64 gradients; a shift by 10
gradients pass through frozen layers unchanged                those of full fine-tuning
"""

from __future__ import annotations

import math

import pytest
import torch
import transformers
from torch.nn import functional as F

from minift.bert.config import BertConfig
from minift.bert.counts import by_kind, what_learns
from minift.bert.dropout import set_dropout_generator
from minift.bert.encoder import Bert
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.methods.bitfit import TERMS, bitfit
from minift.methods.freezing import head_only
from minift.training.batches import Item, make_batch
from minift.training.loop import Settings, adamw, cross_entropy, everything, select
from minift.training.schedules import Linear
from tests.bert.reference import copy_weights, hf_config, inputs, own_config, randomise
from tests.methods.tuning import SEEDS, tune


def pair(seed: int = 0) -> tuple[torch.nn.Module, SequenceClassifier]:
    """The same wide-drawn weights in transformers' classifier and in ours, float64."""
    reference = randomise(transformers.BertForSequenceClassification(hf_config()), seed).double()
    return reference.eval(), copy_weights(reference, SequenceClassifier(own_config())).eval()


def classifier(seed: int = 0, **changes) -> SequenceClassifier:
    """Our classifier, wide-drawn, float64."""
    return randomise(SequenceClassifier(own_config(**changes)), seed).double().eval()


def sentences(count: int, seed: int = 0) -> list[Item]:
    """Ragged inputs of 1 to 12 tokens in two segments, with one of 3 classes."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for number in range(count):
        length, target = (int(torch.randint(n, (), generator=generator)) for n in (12, 3))
        ids = torch.randint(1, 61, (length + 1,), generator=generator).tolist()
        segments = [0] * (length // 2) + [1] * (length + 1 - length // 2)
        found.append(Item(number, ids, segments, [0], [target]))
    return found


def train_reference(model, items: list[Item], settings: Settings, names: set[str]) -> None:
    """Plain fine-tuning of `names` with transformers and torch.optim, padded, linear schedule."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)
        if name in names:
            no_decay = name.endswith(".bias") or "LayerNorm" in name
            (others if no_decay else matrices).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
    )
    steps = settings.epochs * math.ceil(len(items) / settings.batch_size)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, int(0.1 * steps), steps)
    generator = torch.Generator().manual_seed(SEEDS.order)
    for _ in range(settings.epochs):
        order = torch.randperm(len(items), generator=generator).tolist()
        for at in range(0, len(order), settings.batch_size):
            batch = [items[i] for i in order[at : at + settings.batch_size]]
            longest = max(len(item.input_ids) for item in batch)
            padded = torch.zeros(3, len(batch), longest, dtype=torch.int64)
            for row, item in enumerate(batch):
                length = len(item.input_ids)
                padded[:, row, :length] = torch.tensor(
                    [item.input_ids, item.segment_ids, [1] * length]
                )
            logits = model(
                input_ids=padded[0], token_type_ids=padded[1], attention_mask=padded[2]
            ).logits
            targets = torch.tensor([item.targets[0] for item in batch])
            optimizer.zero_grad()
            F.cross_entropy(logits, targets).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            schedule.step()


def snapshot(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def moved(before: dict[str, torch.Tensor], model) -> set[str]:
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def hf_biases(layers: int) -> set[str]:
    """The encoder's biases by Hugging Face's names, without the pooler's."""
    found = {"bert.embeddings.LayerNorm.bias"}
    for layer in range(layers):
        for place in (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "attention.output.LayerNorm",
            "intermediate.dense",
            "output.dense",
            "output.LayerNorm",
        ):
            found.add(f"bert.encoder.layer.{layer}.{place}.bias")
    return found


CLASSIFIER = {"classifier.weight", "classifier.bias"}


# Which tensors train


@pytest.mark.parametrize("layers", [1, 3])
def test_exactly_all_biases_and_the_head_train(layers):
    model = SequenceClassifier(own_config(num_hidden_layers=layers))
    names = {hf_name(name) for name in bitfit()(model)}
    assert names == hf_biases(layers) | {"bert.pooler.dense.bias"} | CLASSIFIER
    assert len(names) == 8 * layers + 2 + 2
    assert names <= set(
        dict(
            transformers.BertForSequenceClassification(
                hf_config(num_hidden_layers=layers)
            ).named_parameters()
        )
    )


def test_a_tagger_has_no_pooler_and_trains_the_other_biases():
    names = {hf_name(name) for name in bitfit()(TokenClassifier(own_config()))}
    assert names == hf_biases(3) | CLASSIFIER


def test_a_tied_head_trains_without_the_embedding_it_is_tied_to():
    model = randomise(MaskedLM(own_config()), 0).double()
    head = {
        "cls.predictions.bias",
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
    }
    assert {hf_name(name) for name in bitfit()(model)} == hf_biases(3) | head
    assert {hf_name(name) for name in head_only()(model)} == head
    before = snapshot(model)
    tune(model, sentences(8), Settings(2, batch_size=4, weight_decay=0.5), trainable=bitfit())
    assert {hf_name(name) for name in moved(before, model)} <= hf_biases(3) | head
    assert not torch.equal(before["bias"], model.bias)


@pytest.mark.parametrize(
    ("term", "place"),
    [
        ("query", "attention.self.query"),
        ("key", "attention.self.key"),
        ("value", "attention.self.value"),
        ("attention_output", "attention.output.dense"),
        ("attention_norm", "attention.output.LayerNorm"),
        ("intermediate", "intermediate.dense"),
        ("output", "output.dense"),
        ("output_norm", "output.LayerNorm"),
    ],
)
def test_a_term_switches_on_itself_alone_and_not_terms_whose_name_contains_its_name(term, place):
    model = SequenceClassifier(own_config())
    expected = {f"bert.encoder.layer.{layer}.{place}.bias" for layer in range(3)}
    assert {hf_name(name) for name in bitfit((term,))(model)} == expected | CLASSIFIER
    by_substring = {name for name in hf_biases(3) if f"{place}.bias" in name}
    assert (by_substring != expected) == (term in ("output", "output_norm"))  # the trap is real


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("embeddings_norm", "bert.embeddings.LayerNorm.bias"),
        ("pooler", "bert.pooler.dense.bias"),
    ],
)
def test_a_term_outside_the_layers_switches_on_one_tensor(term, name):
    names = bitfit((term,))(SequenceClassifier(own_config()))
    assert {hf_name(n) for n in names} == {name} | CLASSIFIER


def test_the_small_subset_leaves_the_pooler_alone_unless_it_is_asked_for():
    model = SequenceClassifier(own_config())
    expected = {
        f"bert.encoder.layer.{layer}.{place}.dense.bias".replace("query.dense", "query")
        for layer in range(3)
        for place in ("attention.self.query", "intermediate")
    }
    small = {hf_name(name) for name in bitfit(("query", "intermediate"))(model)}
    assert small == expected | CLASSIFIER
    asked = {hf_name(name) for name in bitfit(("query", "intermediate", "pooler"))(model)}
    assert asked == small | {"bert.pooler.dense.bias"}


def test_the_table_of_terms_names_each_bias_once():
    model = SequenceClassifier(own_config(num_hidden_layers=1))
    names = [name for name, _ in model.named_parameters()]
    per_layer = [f"bert.layers.0.{suffix}" for suffix in list(TERMS.values())[:8]]
    once = [f"bert.{suffix}" for suffix in list(TERMS.values())[8:]]
    assert set(per_layer + once) <= set(names) and len(TERMS) == 10
    assert set(per_layer + once) == set(bitfit()(model)) - CLASSIFIER


def test_an_unknown_term_is_refused_with_the_nearest_one():
    with pytest.raises(MiniftError, match=r'"atention_norm".*did you mean "attention_norm"\?'):
        bitfit(("query", "atention_norm"))
    with pytest.raises(MiniftError, match=r"head_only\(\)"):
        bitfit(())
    assert bitfit("query")(classifier()) == bitfit(("query",))(classifier())


def test_an_encoder_without_biases_is_refused():
    model = classifier()
    for module in model.bert.modules():
        if getattr(module, "bias", None) is not None:
            module.register_parameter("bias", None)
    assert model(inputs(0)[0]).isfinite().all()  # it is a working model
    with pytest.raises(
        MiniftError, match="this encoder has no bias vectors; freeze layers instead"
    ):
        bitfit()(model)
    with pytest.raises(
        MiniftError, match="this encoder has no bias vectors; freeze layers instead"
    ):
        bitfit(("query",))(model)


def test_a_term_that_this_encoder_lacks_is_refused():
    with pytest.raises(MiniftError, match=r"no pooler\.dense\.bias; it has attention\.key\.bias"):
        bitfit(("query", "pooler"))(TokenClassifier(own_config()))


def test_head_only_refuses_a_bare_encoder():
    with pytest.raises(MiniftError, match="no head"):
        head_only()(Bert(own_config()))


# How many

BASE = BertConfig(labels=("a", "b"))
LARGE = BertConfig(
    hidden_size=1024,
    num_hidden_layers=24,
    num_attention_heads=16,
    intermediate_size=4096,
    labels=("a", "b"),
)


@pytest.mark.parametrize(
    ("config", "encoder", "biases", "small", "head", "code_small"),
    [
        (BASE, 109_482_240, 102_912, 46_080, 1_538, 48_386),
        (LARGE, 335_141_888, 272_384, 122_880, 2_050, 125_954),
    ],
    ids=["base", "large"],
)
def test_counts_are_those_of_the_papers_models(config, encoder, biases, small, head, code_small):
    with torch.device("meta"):
        model = SequenceClassifier(config)
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def size(names):
        return sum(math.prod(shapes[name]) for name in names)

    assert size(bitfit()(model)) == biases + head
    assert biases + head == {BASE: 104_450, LARGE: 274_434}[config]
    assert size(bitfit(("query", "intermediate"))(model)) == small + head
    assert size(bitfit(("query", "intermediate", "pooler"))(model)) == code_small
    assert size(head_only()(model)) == head

    table = what_learns(model, bitfit()(model), division=by_kind)
    assert (table["biases"].learning, table["biases"].elements) == (biases, biases)
    assert (table["head"].learning, table["head"].elements) == (head, head)
    assert (table["all"].learning, table["all"].elements) == (biases + head, encoder + head)
    tables = (30_522 + 512 + 2) * config.hidden_size
    assert (table["embeddings"].learning, table["embeddings"].elements) == (0, tables)
    assert table["other weights"].elements == encoder - biases - tables
    share = {BASE: "0.0940 %", LARGE: "0.0813 %"}[config]
    assert f"{biases / encoder:.4%}" == share.replace(" ", "")
    assert f"{biases:,} of" in str(table["biases"])

    full = what_learns(model, everything(model), division=by_kind)
    assert all(row.learning == row.elements for row in full.values())


# What training does


def test_fifty_steps_equal_transformers_with_the_same_tensors_set_free():
    settings = Settings(10, batch_size=4, learning_rate=1e-3, weight_decay=0.1, epsilon=1e-6)
    items = sentences(20)
    reference, own = pair()
    before = snapshot(own)
    history = tune(own, items, settings, trainable=bitfit())
    assert history.epochs[-1].step == 50
    names = hf_biases(3) | {"bert.pooler.dense.bias"} | CLASSIFIER
    train_reference(reference, items, settings, names)
    expected = dict(reference.named_parameters())
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter, expected[hf_name(name)], rtol=0, atol=1e-9)
    assert (own.bert.layers[0].output.bias - before["bert.layers.0.output.bias"]).abs().max() > 0.01

    wrong, _ = pair()  # negative control: the authors' substring rule, one term more
    names = {n for n in names if "output" not in n or "LayerNorm" in n or "attention" not in n}
    train_reference(wrong, items, settings, names)
    assert (wrong.classifier.weight - own.classifier.weight).abs().max() > 1e-4


def test_frozen_tensors_keep_their_bits_under_decay_and_momentum_from_earlier_training():
    model = classifier()
    settings = Settings(weight_decay=0.5, learning_rate=1e-2)
    optimizer = adamw(select(model, everything), settings)

    def step():
        cross_entropy(model, make_batch(sentences(6))).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(3):
        step()
    before = snapshot(model)
    frozen = set(before) - set(select(model, bitfit()))
    for _ in range(5):
        step()
    assert not moved(before, model) & frozen
    assert len(frozen) == 3 + 1 + 3 * 8 + 1  # tables, gain, 6 matrices and 2 gains a layer, pooler
    assert {n for n in set(before) - frozen if "key" not in n} <= moved(before, model)
    select(model, everything)
    before = snapshot(model)
    step()
    assert moved(before, model) & frozen == frozen  # negative control


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("lengths", [(7, 1, 12, 12, 3), (6, 6)])
def test_key_bias_gets_zero_gradient_because_softmax_ignores_it(lengths, dropout):
    model = classifier(hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout).train()
    select(model, bitfit())
    logits = model(inputs(0, lengths)[0])
    F.cross_entropy(logits, torch.arange(len(lengths)) % 3).backward()
    for layer in model.bert.layers:
        largest = layer.attention.query.bias.grad.abs().max()
        assert layer.attention.key.bias.grad.abs().max() < 1e-13 < 1e-6 < largest
        assert layer.attention.value.bias.grad.abs().max() > 1e-6
        assert layer.intermediate.bias.grad.abs().max() > 1e-6


def test_moving_the_key_bias_by_ten_moves_no_logit_and_moving_the_query_bias_does():
    model, packed = classifier(), inputs(0)[0]
    before = model(packed).detach()
    with torch.no_grad():
        for layer in model.bert.layers:
            layer.attention.key.bias.add_(10)
    torch.testing.assert_close(model(packed), before, rtol=0, atol=1e-11)
    with torch.no_grad():
        model.bert.layers[0].attention.query.bias.add_(10)
    assert (model(packed) - before).abs().max() > 1e-3


def test_gradients_pass_through_frozen_layers_and_equal_those_of_full_fine_tuning():
    full, some = classifier(), classifier()
    for model, method in ((full, everything), (some, bitfit())):
        select(model, method)
        cross_entropy(model, make_batch(sentences(6))).sum().backward()
    expected = {name: p.grad for name, p in full.named_parameters()}
    for name, parameter in some.named_parameters():
        if name in bitfit()(some):
            torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=1e-12)
        else:
            assert parameter.grad is None
    assert some.bert.embeddings.norm.bias.grad.abs().max() > 1e-6
    assert some.bert.layers[0].attention.query.bias.grad.abs().max() > 1e-6


def test_head_only_trains_the_head_and_leaves_the_encoders_output_bit_identical():
    model, packed = classifier(), inputs(0)[0]
    before, hidden = snapshot(model), model.bert(packed)
    pooled = model.bert.pooler(hidden)
    tune(model, sentences(8), Settings(3, batch_size=4, weight_decay=0.5), trainable=head_only())
    assert moved(before, model) == CLASSIFIER
    assert torch.equal(model.bert(packed), hidden)
    assert torch.equal(model.bert.pooler(model.bert(packed)), pooled)


def test_the_optimizer_holds_a_state_for_trained_tensors_only():
    model = classifier()
    optimizer = adamw(select(model, bitfit()), Settings())
    cross_entropy(model, make_batch(sentences(6))).sum().backward()
    optimizer.step()
    numbers = sum(state["exp_avg"].numel() for state in optimizer.state.values())
    hidden, inner, layers, labels = 24, 40, 3, 3
    biases = layers * (7 * hidden + inner) + 2 * hidden
    assert numbers == biases + labels * hidden + labels
    assert len(optimizer.state) == 8 * layers + 2 + 2


def test_a_hundred_examples_get_at_least_the_step_floor():
    model, items, schedule = classifier(num_hidden_layers=1), sentences(100), Linear()
    settings = Settings(min_steps=60)
    history = tune(model, items, settings, trainable=bitfit(), schedule=schedule)
    assert history.epochs[-1].step == 63  # nine epochs of 7 steps; eight would be 56
    assert schedule.total == 63  # the rate falls over the longer run, not over the shorter
    settings = Settings(epochs=2, min_steps=60)  # negative control: a number of epochs is exact
    assert tune(model, items, settings, trainable=bitfit()).epochs[-1].step == 14


@pytest.mark.parametrize(("keep", "epoch"), [("last", 3), ("best", 2)])
def test_which_epochs_weights_are_kept_is_chosen_and_said(keep, epoch):
    model, seen = classifier(), []

    def validate(model):
        seen.append(snapshot(model))
        return 0.0, (0.3, 0.9, 0.5)[len(seen) - 1]

    settings = Settings(3, batch_size=4, keep=keep, learning_rate=1e-2)
    history = tune(model, sentences(8), settings, trainable=bitfit(), validate=validate)
    assert history.kept_epoch == epoch
    assert moved(seen[epoch - 1], model) == set()
    assert all(moved(seen[other], model) for other in range(3) if other != epoch - 1)
    with pytest.raises(MiniftError, match="decides by the development split"):
        tune(model, sentences(8), Settings(keep="best"), trainable=bitfit())


def test_dropout_stays_active_in_frozen_layers_and_evaluation_is_deterministic():
    model, packed = classifier(hidden_dropout_prob=0.3), inputs(0)[0]
    select(model, bitfit())
    set_dropout_generator(model, torch.Generator().manual_seed(0))
    model.train()
    frozen_matrix = model.bert.layers[0].intermediate
    seen = []
    frozen_matrix.register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    model(packed), model(packed)
    assert not torch.equal(*seen)
    model.eval()
    assert torch.equal(model(packed), model(packed))
