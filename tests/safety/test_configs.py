"""A config.json of a stranger: sizes are refused by name before anything of that size is made.

claim                                                        oracle
sizes that are possible one by one but not together          the words; the peak of memory
2,500 spoilt files: a config or one line of ours             spoilt bytes and values
class names, classes and files that nobody needs are named   files by hand
the index of shards is read as carefully                     800 spoilt files
"""

from __future__ import annotations

import json
import random
import time

import pytest
import torch
from safetensors.torch import save_file

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.heads import SequenceClassifier
from minift.checkpoints.limits import LARGEST_JSON
from minift.checkpoints.strict import config_from_json, config_to_dict
from minift.checkpoints.weights import load_model, random_model, read_tensors
from minift.errors import MiniftError
from minift.runs.folder import load_run
from tests.safety.spoil import as_json, cheap, spoil, spoil_json


@pytest.mark.parametrize(
    "sizes",
    [
        {"vocab_size": 2**24, "hidden_size": 2**24, "num_attention_heads": 1},
        {"num_hidden_layers": 1024, "hidden_size": 2**20, "num_attention_heads": 1},
        {"num_hidden_layers": 1024, "intermediate_size": 2**24},
        {"max_position_embeddings": 2**24, "hidden_size": 2**12, "num_attention_heads": 1},
    ],
)
def test_sizes_that_are_absurd_together_are_refused_by_name_and_cost_nothing(tmp_path, sizes):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **sizes}))
    with cheap(megabytes=20) as steps:
        with pytest.raises(MiniftError, match=r"config.json: vocab_size.*parameters, at most"):
            load_model(Bert, tmp_path)
        with pytest.raises(MiniftError, match="parameters, at most"):
            random_model(Bert, BertConfig(**sizes))
        steps.append(time.process_time())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"id2label": {"0": "\ud800"}, "architectures": ["BertForTokenClassification"]},
            "contains half a character",
        ),
        ({"architectures": 5}, "architectures must be a list"),
        ({"architectures": [["BertModel"]]}, "architectures must be a list"),
        ({"architectures": {"BertForSequenceClassification": 1}}, "architectures must be a list"),
        ({"num_hidden_layers": 10**400}, "num_hidden_layers must be"),
    ],
)
def test_values_that_would_fail_later_are_named_at_once(tmp_path, changes, words):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", **changes}))
    for read in (load_run, lambda path: load_model(SequenceClassifier, path)):
        with pytest.raises(MiniftError, match=words):
            read(tmp_path)


def test_a_file_of_gigabytes_is_refused_unread(tmp_path):
    for name, read in (
        ("config.json", config_from_json),
        ("model.safetensors.index.json", lambda path: read_tensors(path.parent)),
    ):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**33)  # sparse
        room = 3 * LARGEST_JSON / 2**20
        with cheap(room), pytest.raises(MiniftError, match="more than 16,777,216 bytes"):
            read(tmp_path / name)


def test_2500_spoilt_configs_give_a_config_or_one_line(tmp_path, record_property):
    draw, path = random.Random(0), tmp_path / "config.json"
    good = BertConfig(labels=("no", "yes"), problem_type="single_label_classification")
    values = config_to_dict(good, "BertForSequenceClassification")
    read = 0
    with cheap() as steps:
        for _ in range(2500):
            content = as_json(spoil_json(values, draw))
            path.write_bytes(spoil(content, draw) if draw.random() < 0.4 else content)
            try:
                config = config_from_json(path)
            except MiniftError as error:
                assert "\n" not in str(error)[:200]
            else:
                read += 1
                assert config.encoder_parameters <= 2**33
                json.dumps(config_to_dict(config, "BertModel"), ensure_ascii=False).encode()
            with pytest.raises(MiniftError):  # there are no weights, whatever the sizes are
                load_run(tmp_path)
            steps.append(time.process_time())
    record_property("measured", f"2,500 config.json: {2500 - read:,} refused, {read:,} read")
    assert 200 < read < 2300


def test_800_spoilt_indices_of_shards_give_the_tensors_or_our_error(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "one.safetensors")
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "one.safetensors"}}
    path, draw, read = tmp_path / "model.safetensors.index.json", random.Random(0), 0
    odd = ("one.safetensors", "../one.safetensors", "/etc/passwd", "one.safetensors\0", "..", ".")
    for _ in range(800):
        content = as_json(spoil_json(index, draw, odd))
        path.write_bytes(spoil(content, draw) if draw.random() < 0.4 else content)
        try:
            found = read_tensors(tmp_path)
            assert {name: t.tolist() for name, t in found.items()} in ({"a": [1, 1]}, {})
            read += len(found)
        except MiniftError:
            pass
    assert 10 < read < 790
