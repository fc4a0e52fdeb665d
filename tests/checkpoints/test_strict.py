"""A config.json describes the model that minift computes, or is refused by name.

claim                                                        oracle
every key that transformers writes is read or harmless       transformers.BertConfig.to_dict
any sizes written are read by transformers, and back         transformers.BertConfig, both ways
what would change a logit is refused, with all its keys      the words
an unknown key is ignored with a warning, or refused         transformers, which ignores all
class names matter to who asks for classes                   the same files with and without
a damaged file is refused, with its path                     cut and spoilt files
any small change of a good file is read or refused           hypothesis
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import fields

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from minift.bert.config import BertConfig
from minift.checkpoints.strict import config_from_dict, config_from_json, config_to_dict
from minift.errors import MiniftError

SMALL = {
    "model_type": "bert",
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
}


def refused(words: str, **changes) -> None:
    """Check that SMALL with `changes` is refused in these words (a regular expression)."""
    with pytest.raises(MiniftError, match=words):
        config_from_dict({**SMALL, **changes}, where="here")


# --- agreement with transformers -----------------------------------------------------------


def test_every_key_that_transformers_writes_is_accepted_at_its_default():
    complete = transformers.BertConfig().to_dict()
    saved = json.loads(transformers.BertConfig().to_json_string(use_diff=True))
    assert len(complete) > 20  # the file names many more keys than BertConfig has fields
    for values in (complete, saved):
        config = config_from_dict({"model_type": "bert", **values}, "here")
        assert config in (BertConfig(), BertConfig(labels=("LABEL_0", "LABEL_1")))


CHANGED = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0.25,
    "attention_probs_dropout_prob": 0.5,
    "classifier_dropout": 0.125,
    "max_position_embeddings": 16,
    "type_vocab_size": 3,
    "initializer_range": 0.5,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 7,
    "problem_type": "regression",
}


def test_every_field_survives_the_way_to_transformers_and_back(tmp_path):
    assert set(CHANGED) == {field.name for field in fields(BertConfig)} - {"labels"}
    ours = BertConfig(**CHANGED, labels=("no", "maybe", "yes"))
    for name in CHANGED:
        assert getattr(ours, name) != getattr(BertConfig(), name), f"{name} would prove nothing"
    written = config_to_dict(ours, "BertForSequenceClassification")
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert config_from_json(tmp_path / "config.json") == ours

    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    assert type(theirs) is transformers.BertConfig
    for name, value in CHANGED.items():
        assert getattr(theirs, name) == value, name
    assert theirs.id2label == {0: "no", 1: "maybe", 2: "yes"}
    assert theirs.label2id == {"no": 0, "maybe": 1, "yes": 2}
    theirs.save_pretrained(tmp_path / "again")
    assert config_from_json(tmp_path / "again" / "config.json") == ours


def test_a_classifier_without_class_names_has_one_output_for_transformers_too():
    written = config_to_dict(BertConfig(), "BertForSequenceClassification")
    assert transformers.BertConfig(**written).num_labels == 1
    assert (
        transformers.BertConfig(**config_to_dict(BertConfig(), "BertModel")).num_labels == 2
    )  # its own


def test_the_oldest_files_name_their_class_and_no_model_type():
    old = {key: value for key, value in SMALL.items() if key != "model_type"}
    assert config_from_dict({**old, "architectures": ["BertForMaskedLM"]}, "here").hidden_size == 24
    for architectures in (["RobertaForMaskedLM"], ["DistilBertModel"], 5):
        with pytest.raises(MiniftError, match='no "model_type"') as caught:
            config_from_dict({**old, "architectures": architectures}, "here")
        assert repr(architectures) in str(caught.value)
    # Nothing but sizes, as Google's small BERTs: whether it is one the tensors must say.
    assert config_from_dict(old, "here").hidden_size == 24
    old.pop("hidden_size")
    with pytest.raises(MiniftError, match=r'no "model_type".*BERT checkpoints only.*add "model_t'):
        config_from_dict(old, "here")


def test_class_names_come_in_the_order_of_the_logits_not_of_the_file():
    names = {"10": "k", "2": "c", "0": "a", "1": "b"} | {str(i): f"x{i}" for i in range(3, 10)}
    config = config_from_dict({**SMALL, "id2label": names}, "here")
    assert config.labels == ("a", "b", "c", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "k")
    assert config_from_dict({**SMALL, "id2label": {}}, "here").labels == ()
    assert config_from_dict({**SMALL, "id2label": None}, "here").labels == ()


def test_keys_with_an_underscore_are_notes_and_keys_of_other_libraries_are_harmless():
    extra = {"_comment": "made by hand", "gradient_checkpointing": False, "torch_dtype": "float16"}
    assert config_from_dict({**SMALL, **extra}, "here") == config_from_dict(SMALL, "here")


# --- what would change a logit -------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "roberta"),
        ("model_type", "distilbert"),
        ("model_type", None),
        ("position_embedding_type", "relative_key"),
        ("position_embedding_type", "relative_key_query"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("pruned_heads", {"0": [1, 2]}),
        ("quantization_config", {"bits": 4}),
        ("auto_map", {"AutoModel": "own.Own"}),
        ("hidden_act", "quick_gelu"),
        ("problem_type", "ranking"),
        ("pad_token_id", "0"),
        ("embedding_size", 12),
        ("rope_theta", 10000.0),
    ],
)
def test_what_minift_does_not_compute_is_refused_with_key_value_and_what_is_supported(key, value):
    refused(
        f"here: .*{key}.* (is|=) {re.escape(repr(value))}.*minift (reads|computes)", **{key: value}
    )


def test_all_that_stands_against_a_file_is_in_one_error():
    keys = {"is_decoder": True, "position_embedding_type": "relative_key", "hidden_act": "tanh"}
    keys |= {"add_cross_attention": True, "hiden_size": 48, "pruned_heads": {"0": [1]}, "rope": 1}
    with pytest.raises(MiniftError) as caught:
        config_from_dict({**SMALL, **keys, "note": "mine"}, "here")
    assert all(key in str(caught.value) for key in keys)
    assert "note" not in str(caught.value)


def test_harmless_unknown_keys_are_ignored_with_one_warning():
    unknown = {"zzz": {"a": 1}, "team": "nlp", "date": 2020}
    with pytest.warns(
        UserWarning, match="^here: unknown keys are ignored: zzz, team, date$"
    ) as told:
        assert config_from_dict({**SMALL, **unknown}, "here") == config_from_dict(SMALL, "here")
    assert len(told) == 1
    assert transformers.BertConfig(**SMALL, **unknown).hidden_size == 24  # it, too, does not ask
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config_from_dict({**SMALL, "off": None, "switched_off": False, "sep_token_id": 3}, "here")


@pytest.mark.parametrize(
    "id2label", [{"0": "a", "2": "b"}, ["a"], {"0": "a", "1": "a"}, {"x": "a"}]
)
def test_faults_of_class_names_do_not_block_an_encoder(id2label):
    values = {**SMALL, "id2label": id2label, "tie_word_embeddings": False}
    assert config_from_dict(values, "here", labelled=False) == config_from_dict(SMALL, "here")
    with pytest.raises(MiniftError, match="here: "):
        config_from_dict(values, "here")
    with pytest.raises(MiniftError, match="here: vocab_size"):  # those of sizes do
        config_from_dict({**values, "vocab_size": 0}, "here", labelled=False)


def test_a_value_that_no_model_can_have_is_refused_with_its_file():
    refused("^here: vocab_size must be a whole number", vocab_size=0)
    refused(r"^here: num_attention_heads \(5\) must divide", num_attention_heads=5)


def test_an_unknown_key_is_refused_with_the_nearest_name_and_the_remedy():
    refused(
        r"unknown key 'hiden_size' = 48; did you mean .hidden_size.\?.* delete an unknown key that "
        "changes no output$",
        hiden_size=48,
    )


@pytest.mark.parametrize(
    "known", [{"is_decoder": True}, {"hidden_act": "swiglu"}, {"pad_token_id": "a"}]
)
def test_no_unknown_key_is_spoken_of_where_all_are_known(known):
    with pytest.raises(MiniftError, match=next(iter(known))) as caught:
        config_from_dict({**SMALL, **known}, "here")
    assert "unknown" not in str(caught.value) and "delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("id2label", "words"),
    [
        ({"0": "a", "2": "b"}, r"number the classes from 0, got \[0, 2\]"),
        ({"1": "a", "2": "b"}, r"number the classes from 0, got \[1, 2\]"),
        ({"a": "0", "b": "1"}, "id2label must map indices to names, got {'a': '0', 'b': '1'}"),
        (["a", "b"], r"id2label must map indices to names, got \['a', 'b'\]"),
        (3, "id2label must map indices to names, got 3"),
        ({"0": "yes", "1": "no", "2": "yes"}, "two classes have the same name: yes, no, yes"),
    ],
)
def test_class_names_that_do_not_number_the_logits_are_refused(id2label, words):
    refused(words, id2label=id2label)


# --- damaged files -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read as JSON"),
        (b'{"model_type": "bert", "hidden', "cannot be read as JSON"),
        (b'{"model_type": "b\xffrt"}', "cannot be read as JSON.*utf-8"),
        (b"\x00\x00\x00\x00", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "cannot be read as JSON|no .model_type"),
        (b"[1, 2]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
        (b"{}", 'no "model_type"'),
    ],
)
def test_a_damaged_file_is_refused_with_its_path(tmp_path, content, words):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(MiniftError, match=words) as caught:
        config_from_json(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MiniftError, match=r"nowhere\.json: cannot be read as JSON: .*No such file"):
        config_from_json(tmp_path / "nowhere.json")


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["bert", "gelu", "", "0"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["0", "1", "x"]), st.sampled_from(["a", "b"]), max_size=2),
)
KEYS = st.sampled_from(sorted({*transformers.BertConfig().to_dict(), *CHANGED, "id2label", "new"}))


@settings(max_examples=400, deadline=None, database=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_change_of_a_good_file_gives_a_config_or_a_one_line_refusal(changes):
    try:
        config = config_from_dict({**SMALL, **changes}, "here")
    except MiniftError as error:
        assert "\n" not in str(error)
    else:
        assert config.hidden_size % config.num_attention_heads == 0
        assert config_to_dict(config, "BertModel")["model_type"] == "bert"
