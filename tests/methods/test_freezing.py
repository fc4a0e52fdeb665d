"""Layer freezing, proven.

claim                                                         oracle
F freezes k layers next to the input, -F next to the output   HF names, written out by loops
each frozen layer of BERT base is 7,087,872 parameters        the paper's arithmetic
frozen tensors keep their bits, with decay and old momentum   bit equality
layers below an output-side frozen block learn all the same   gradients of full fine-tuning
50 steps are those of the same tensors frozen in HF           transformers + torch.optim.AdamW
a quiet prefix takes away noise and nothing else              dropout probability 0 there
dropout stays on in layers frozen next to the output          two passes differ
"""

from __future__ import annotations

import pytest
import torch

from minift.bert.config import BertConfig
from minift.bert.counts import what_learns
from minift.bert.dropout import Dropout, set_dropout_generator
from minift.bert.encoder import Bert, frozen_prefix
from minift.bert.heads import SequenceClassifier
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from minift.methods.bitfit import bitfit
from minift.methods.freezing import freeze, head_only
from minift.training.batches import make_batch
from minift.training.loop import Settings, adamw, cross_entropy, everything, select
from tests.bert.reference import inputs, own_config
from tests.methods.test_bitfit import (
    CLASSIFIER,
    classifier,
    moved,
    pair,
    sentences,
    snapshot,
    train_reference,
)
from tests.methods.tuning import tune

POOLER = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
EMBEDDINGS = {
    "bert.embeddings.word_embeddings.weight",
    "bert.embeddings.position_embeddings.weight",
    "bert.embeddings.token_type_embeddings.weight",
    "bert.embeddings.LayerNorm.weight",
    "bert.embeddings.LayerNorm.bias",
}


def hf_layers(*numbers: int) -> set[str]:
    """All tensors of these layers, LayerNorms included, by Hugging Face's names."""
    places = (
        "attention.self.query attention.self.key attention.self.value attention.output.dense "
        "attention.output.LayerNorm intermediate.dense output.dense output.LayerNorm"
    )
    return {
        f"bert.encoder.layer.{number}.{place}.{kind}"
        for number in numbers
        for place in places.split()
        for kind in ("weight", "bias")
    }


# What freezes


@pytest.mark.parametrize(
    ("layers", "embeddings", "learning"),
    [
        (0, None, EMBEDDINGS | hf_layers(0, 1, 2)),
        (0, True, hf_layers(0, 1, 2)),
        (1, None, hf_layers(1, 2)),
        (1, False, EMBEDDINGS | hf_layers(1, 2)),
        (2, True, hf_layers(2)),
        (3, None, set()),
        (-1, None, EMBEDDINGS | hf_layers(0, 1)),
        (-2, True, hf_layers(0)),
        (-3, None, EMBEDDINGS),
    ],
)
def test_positive_f_freezes_layers_next_to_the_input_and_negative_next_to_the_output(
    layers, embeddings, learning
):
    names = freeze(layers, embeddings)(SequenceClassifier(own_config()))
    assert {hf_name(name) for name in names} == learning | POOLER | CLASSIFIER


def test_layers_ten_and_eleven_are_not_taken_for_layer_one():
    names = {hf_name(n) for n in freeze(2)(SequenceClassifier(own_config(num_hidden_layers=12)))}
    assert names == hf_layers(*range(2, 12)) | POOLER | CLASSIFIER
    names = {hf_name(n) for n in freeze(-2)(SequenceClassifier(own_config(num_hidden_layers=12)))}
    assert names == EMBEDDINGS | hf_layers(*range(10)) | POOLER | CLASSIFIER


@pytest.mark.parametrize("layers", [0, 3, -3, 6, -6, 12, -12])
@pytest.mark.parametrize("embeddings", [True, False])
def test_each_frozen_layer_of_bert_base_is_7_087_872_parameters_fewer(layers, embeddings):
    with torch.device("meta"):
        model = SequenceClassifier(BertConfig(labels=("a", "b")))
    total, tables = 109_482_240 + 1_538, 23_837_184
    expected = total - abs(layers) * 7_087_872 - embeddings * tables
    parameters = dict(model.named_parameters())
    names = freeze(layers, embeddings)(model)
    assert sum(parameters[name].numel() for name in names) == expected

    rows = what_learns(model, names)
    assert rows["all"].learning == expected
    assert rows["layer 3"].elements == 7_087_872
    for part, frozen in (
        ("layer 0", layers > 0 or layers == -12),
        ("layer 11", layers < 0 or layers == 12),
        ("embeddings", embeddings),
    ):
        assert rows[part].learning == (0 if frozen else rows[part].elements)


@pytest.mark.parametrize(("layers", "side"), [(4, "input"), (-4, "output")])
def test_more_layers_than_there_are_is_an_error_that_names_both(layers, side):
    with pytest.raises(MiniftError, match=f"freeze 4 layers next to the {side}: .* has 3"):
        freeze(layers)(SequenceClassifier(own_config()))


def test_freezing_everything_is_an_error():
    bare = Bert(own_config(), pooler=False)
    with pytest.raises(MiniftError, match="nothing could learn"):
        freeze(3)(bare)
    assert len(freeze(3, embeddings=False)(bare)) == 5


# What training does


@pytest.mark.parametrize("layers", [2, -2])
def test_frozen_layers_keep_their_bits_under_decay_and_momentum_from_earlier_training(layers):
    model = classifier()
    optimizer = adamw(select(model, everything), Settings(weight_decay=0.5, learning_rate=1e-2))

    def step():
        cross_entropy(model, make_batch(sentences(6))).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(3):
        step()
    before = snapshot(model)
    learning = set(select(model, freeze(layers)))
    for _ in range(5):
        step()
    assert moved(before, model) <= learning
    assert {name for name in learning if "key.bias" not in name} <= moved(before, model)
    frozen = set(before) - learning
    assert len(frozen) == (2 * 16 + 5 if layers > 0 else 2 * 16)
    select(model, everything)
    before = snapshot(model)
    step()
    assert frozen - moved(before, model) <= {n for n in frozen if "key.bias" in n}  # control


@pytest.mark.parametrize("layers", [1, -2])
def test_the_loop_leaves_frozen_layers_bit_identical(layers):
    model = classifier()
    before = snapshot(model)
    settings = Settings(3, batch_size=4, weight_decay=0.5, learning_rate=1e-2)
    history = tune(model, sentences(8), settings, trainable=freeze(layers))
    assert set(history.trained) == set(freeze(layers)(model))
    assert moved(before, model) <= set(history.trained)
    assert "bert.layers.0.output.weight" in (moved(before, model) if layers < 0 else before)


def test_layers_below_a_frozen_block_get_the_gradient_of_full_fine_tuning():
    full, some = classifier(), classifier()
    for model, method in ((full, everything), (some, freeze(-2))):
        select(model, method)
        cross_entropy(model, make_batch(sentences(6))).sum().backward()
    expected = {name: p.grad for name, p in full.named_parameters()}
    for name, parameter in some.named_parameters():
        if hf_name(name) in hf_layers(1, 2):
            assert parameter.grad is None
        else:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=1e-12)
    assert some.bert.layers[0].intermediate.weight.grad.abs().max() > 1e-6
    assert some.bert.embeddings.word.weight.grad.abs().max() > 1e-6


def test_the_backward_pass_stops_above_frozen_input_layers_and_passes_output_layers():
    packed, reached = inputs(0)[0], {}
    for layers in (2, -2):
        model = classifier()
        select(model, freeze(layers))
        reached[layers] = []
        for layer in model.bert.layers:
            layer.register_forward_hook(
                lambda _, __, output, seen=reached[layers]: seen.append(output.requires_grad)
            )
        model(packed)
    assert reached == {2: [False, False, True], -2: [True, True, True]}


@pytest.mark.parametrize(
    ("layers", "learning"),
    [(1, hf_layers(1, 2)), (-1, EMBEDDINGS | hf_layers(0, 1))],
)
def test_fifty_steps_equal_transformers_with_the_same_tensors_frozen(layers, learning):
    settings = Settings(10, batch_size=4, learning_rate=1e-4, weight_decay=0.1, epsilon=1e-6)
    items = sentences(20)
    reference, own = pair()
    before = snapshot(own)
    history = tune(own, items, settings, trainable=freeze(layers))
    assert history.epochs[-1].step == 50
    train_reference(reference, items, settings, learning | POOLER | CLASSIFIER)
    expected = dict(reference.named_parameters())
    for name, parameter in own.named_parameters():
        torch.testing.assert_close(parameter, expected[hf_name(name)], rtol=0, atol=1e-9)
    moving = "bert.layers.1.intermediate.weight"
    assert (before[moving] - own.bert.layers[1].intermediate.weight).abs().max() > 1e-3


# The quiet prefix


def names_of(model, modules) -> list[str]:
    by_id = {id(module): name for name, module in model.named_modules()}
    return [by_id[id(module)] for module in modules]


EMBEDDINGS_AND_LAYERS = ["bert.embeddings", "bert.layers.0", "bert.layers.1", "bert.layers.2"]


@pytest.mark.parametrize(
    ("method", "quiet_modules"),
    [
        (everything, 0),
        (bitfit(), 0),  # the bias of the embeddings' LayerNorm learns
        (bitfit(("query",)), 1),
        (freeze(-2), 0),
        (freeze(1, embeddings=False), 0),  # what learns lies below layer 0
        (freeze(0, embeddings=True), 1),
        (freeze(2), 3),
        (lambda model, epoch: [name for name in everything(model) if "layers.1." in name], 2),
        (freeze(3), 4),
        (head_only(), 4),
    ],
)
def test_the_quiet_prefix_is_all_that_lies_below_the_lowest_parameter_that_learns(
    method, quiet_modules
):
    model = SequenceClassifier(own_config())
    select(model, method)
    assert names_of(model, frozen_prefix(model)) == EMBEDDINGS_AND_LAYERS[:quiet_modules]


def test_a_tied_embedding_that_learns_as_the_decoder_is_not_quiet():
    model = MaskedLM(own_config())
    select(model, lambda *_: [*freeze(3)(model), "bert.embeddings.word.weight"])
    assert frozen_prefix(model) == []
    select(model, freeze(3))
    assert len(frozen_prefix(model)) == 4


def test_a_model_without_an_encoder_has_no_quiet_prefix():
    assert frozen_prefix(torch.nn.Linear(2, 2).requires_grad_(False)) == []


def quieten(model) -> None:
    """What the loop does at the start of an epoch."""
    for module in frozen_prefix(model):
        module.eval()


def dropping(**changes) -> SequenceClassifier:
    return classifier(hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3, **changes)


def gradients_with_noise(model, prefix_quiet: bool) -> dict[str, torch.Tensor]:
    """Gradients of one step of freeze(2) in training mode, the noise above always the same."""
    parameters = select(model, freeze(2))
    set_dropout_generator(model, torch.Generator().manual_seed(7))
    model.train()
    if prefix_quiet:
        quieten(model)
    cross_entropy(model, make_batch(sentences(6))).sum().backward()
    return {name: p.grad.clone() for name, p in parameters.items()}


def test_a_quiet_prefix_changes_gradients_above_only_by_the_missing_noise():
    quieted = gradients_with_noise(dropping(), prefix_quiet=True)
    without = dropping()
    for module in (without.bert.embeddings, without.bert.layers[0], without.bert.layers[1]):
        for site in module.modules():
            if isinstance(site, Dropout):
                site.probability = 0.0
    expected = gradients_with_noise(without, prefix_quiet=False)
    assert set(quieted) == set(expected) == set(freeze(2)(without))
    for name in expected:
        torch.testing.assert_close(quieted[name], expected[name], rtol=0, atol=1e-12)
    noisy = gradients_with_noise(dropping(), prefix_quiet=False)  # negative control
    assert (noisy["classifier.weight"] - expected["classifier.weight"]).abs().max() > 1e-3


def test_a_quiet_prefix_gives_the_same_features_each_time_while_noise_stays_above():
    model = dropping()
    select(model, freeze(2))
    quieten(model.train())
    seen: dict[int, list[torch.Tensor]] = {1: [], 2: []}
    for number, outputs in seen.items():
        model.bert.layers[number].register_forward_hook(
            lambda _, __, output, outputs=outputs: outputs.append(output.detach())
        )
    packed = inputs(0)[0]
    model(packed), model(packed)
    assert torch.equal(*seen[1])
    assert not torch.equal(*seen[2])
    model.train()  # the next epoch of a loop that does not quiet again: noise is back
    model(packed), model(packed)
    assert not torch.equal(*seen[1][2:])


def test_layers_frozen_next_to_the_output_keep_their_dropout():
    model = dropping()
    select(model, freeze(-1))
    quieten(model.train())
    hidden = torch.randn(5, 24, generator=torch.Generator().manual_seed(0)).double()
    layer, packed = model.bert.layers[2], inputs(0, (5,))[0]
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    assert not torch.equal(layer(hidden, packed.layout), layer(hidden, packed.layout))


def test_without_dropout_a_quiet_prefix_changes_no_bit_of_a_gradient():
    quieted, plain = (gradients_with_noise(classifier(), wanted) for wanted in (True, False))
    assert all(torch.equal(quieted[name], plain[name]) for name in plain)
