"""Names of parameters tell where they stand, and tables of what learns add up.

claim                                                 oracle
every parameter has one place                         the module that holds it, found by type
rows add up to the model, whatever divides it         numel, summed by hand
what a gradient rule holds fixed is not counted       a rule written here
"""

import pytest
import torch

from minift.bert.config import BertConfig
from minift.bert.counts import by_kind, by_part, number_of_layers, what_learns
from minift.bert.encoder import Embeddings, Layer, Pooler
from minift.bert.heads import SequenceClassifier
from minift.bert.names import encoder_suffix, part_of
from minift.speed.rows import WORD_TABLE


@pytest.fixture(scope="module")
def model():
    config = BertConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=12,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=7,
        labels=("no", "yes"),
    )
    with torch.device("meta"):
        return SequenceClassifier(config)


def test_every_parameter_stands_where_the_module_that_holds_it_does(model):
    expected = {name: "head" for name, _ in model.named_parameters()}
    layers = 0
    for module in model.modules():
        part = {Embeddings: "embeddings", Pooler: "pooler", Layer: layers}.get(type(module))
        layers += isinstance(module, Layer)
        own = {id(parameter) for parameter in module.parameters()} if part is not None else ()
        expected |= {name: part for name, p in model.named_parameters() if id(p) in own}
    assert {name: part_of(name) for name in expected} == expected
    assert part_of("layers.10.output.bias") == 10, "an encoder alone has no bert. before its names"
    assert number_of_layers(model) == 12
    assert WORD_TABLE in expected


def test_a_suffix_is_the_rest_of_the_name_and_the_head_has_none():
    assert encoder_suffix("bert.layers.3.attention.query.bias") == "attention.query.bias"
    assert encoder_suffix("bert.embeddings.norm.bias") == "embeddings.norm.bias"
    assert encoder_suffix("pooler.dense.weight") == "pooler.dense.weight"
    assert encoder_suffix("classifier.bias") is None
    assert encoder_suffix("transform.bias") is None


def test_rows_add_up_to_the_model_and_all_comes_last(model):
    names = {name for name, _ in model.named_parameters() if name.endswith("bias")}
    rows = what_learns(model, names)
    assert [*rows] == ["embeddings", *(f"layer {n}" for n in range(12)), "pooler", "head", "all"]
    parameters = dict(model.named_parameters())
    assert rows["all"].elements == sum(p.numel() for p in parameters.values())
    assert rows["all"].learning == sum(parameters[name].numel() for name in names)
    assert rows["all"].tensors_learning == len(names)
    for count in ("tensors_learning", "tensors", "learning", "elements"):
        parts = [getattr(row, count) for row in rows.values() if row.part != "all"]
        assert sum(parts) == getattr(rows["all"], count)
    assert rows["layer 11"].learning == 8 * 6 + 16 + 8, "q, k, v, two outputs, two norms; inner"


def test_what_a_rule_holds_fixed_is_not_counted_and_another_division_is_possible(model):
    rows = what_learns(
        model,
        ["classifier.weight", "classifier.bias"],
        learning=lambda name, parameter: 1,
        division=lambda name, parameter: name.rpartition(".")[2] + by_part(name, parameter)[:4],
    )
    assert rows["weighthead"].learning == rows["biashead"].learning == 1
    assert rows["weightlaye"].learning == 0
    assert rows["all"].learning == 2


def test_kinds_are_the_biases_the_tables_the_other_weights_and_the_head(model):
    kinds = {name: by_kind(name, parameter) for name, parameter in model.named_parameters()}
    assert kinds[WORD_TABLE] == "embeddings"
    assert kinds["bert.embeddings.norm.weight"] == "other weights"
    assert kinds["bert.embeddings.norm.bias"] == kinds["bert.pooler.dense.bias"] == "biases"
    assert kinds["bert.layers.0.output.weight"] == "other weights"
    assert kinds["classifier.bias"] == "head"
