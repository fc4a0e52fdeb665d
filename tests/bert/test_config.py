"""A BertConfig is a model that can be built: every value is judged when the config is made.

claim                                                        oracle
the defaults are transformers'                               transformers.BertConfig
what no model can have is refused by name                    the words
the number of parameters is that of the model                the model, counted
"""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields

import pytest
import transformers

from minift.bert.config import ACTIVATIONS, BertConfig
from minift.bert.encoder import Bert
from minift.checkpoints.weights import without_weights
from minift.errors import MiniftError

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096}  # fmt: skip
SIZES = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
]


def refused(words: str, **changes) -> None:
    """Check that a config with `changes` is refused in these words (a regular expression)."""
    with pytest.raises(MiniftError, match="config: " + words):
        BertConfig(**changes)


def test_defaults_equal_transformers_defaults():
    theirs = transformers.BertConfig()
    for field in fields(BertConfig):
        if field.name != "labels":
            assert field.default == getattr(theirs, field.name), field.name


def test_head_dim_is_the_width_of_one_head_and_a_config_is_frozen():
    config = BertConfig(hidden_size=24, num_attention_heads=4)
    with pytest.raises(FrozenInstanceError):
        config.hidden_size = 48


def test_the_activations_listed_are_the_ones_accepted_and_an_unknown_one_names_them():
    for name in ACTIVATIONS:
        assert BertConfig(hidden_act=name).hidden_act == name
    words = f"hidden_act must be one of {', '.join(ACTIVATIONS)}, got 'quick_gelu'"
    refused(words, hidden_act="quick_gelu")
    refused("hidden_act must be one of .*, got None", hidden_act=None)


def test_heads_that_do_not_divide_the_width_are_refused_with_both_numbers():
    refused(r"num_attention_heads \(5\) must divide hidden_size \(768\)", num_attention_heads=5)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -1, 2**24 + 1, 2**31, 10**30, 24.0, "24", None, True, [24]])
def test_an_absurd_size_is_refused_by_name(name, value):
    refused(
        f"{name} must be a whole number from 1 to .*, got {re.escape(repr(value))}", **{name: value}
    )


def test_a_million_layers_are_refused_before_any_is_built():
    refused("num_hidden_layers must be a whole number from 1 to 1024", num_hidden_layers=10**6)


@pytest.mark.parametrize(
    "name", ["hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"]
)
@pytest.mark.parametrize("value", [-0.1, 1, 1.5, float("nan"), "0.1"])
def test_a_dropout_probability_outside_0_to_1_is_refused_by_name(name, value):
    refused(rf"{name} must be a number in \[0, 1\), got {re.escape(repr(value))}", **{name: value})


def test_only_the_classifiers_dropout_may_be_left_to_the_hidden_one():
    assert BertConfig(classifier_dropout=None).classifier_dropout is None
    refused(r"hidden_dropout_prob must be a number in \[0, 1\), got None", hidden_dropout_prob=None)


@pytest.mark.parametrize("name", ["initializer_range", "layer_norm_eps"])
@pytest.mark.parametrize("value", [0, -1e-12, float("nan"), float("inf"), "1e-12", None])
def test_a_rate_that_is_no_positive_number_is_refused_by_name(name, value):
    refused(f"{name} must be a positive number, got {re.escape(repr(value))}", **{name: value})


def test_bert_large_and_ten_times_that_are_accepted():
    assert 330e6 < BertConfig(**LARGE).encoder_parameters < 340e6
    BertConfig(**{**LARGE, "vocab_size": 501_153, "num_hidden_layers": 200})


@pytest.mark.parametrize("sizes", [{}, LARGE, {"type_vocab_size": 7, "num_hidden_layers": 3}])
def test_the_number_of_parameters_is_that_of_the_model(sizes):
    config = BertConfig(**sizes)
    counted = sum(p.numel() for p in without_weights(Bert, config).parameters())
    assert config.encoder_parameters == counted


def test_more_classes_than_any_model_has_are_refused():
    with pytest.raises(MiniftError, match="more than 1,048,576 classes"):
        BertConfig(labels=tuple(map(str, range(2**20 + 1))))


def test_two_classes_of_one_name_are_refused():
    refused("two classes have the same name: yes, no, yes", labels=("yes", "no", "yes"))
