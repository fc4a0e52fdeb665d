"""`mini` is the lowest layers of a teacher, and its training keeps their states.

claim                                                       oracle
the cut gives the teacher's states of that layer            the teacher's own hidden states
the error of the states is a share of their variance        numpy; 0 for the cut itself, 1 for means
training lowers the masked-LM loss and keeps the states     the log; weight 0 as negative control
with --head-only no bit of the encoder changes              the cut's tensors
what is exported loads in transformers and says its mean    BertForMaskedLM; sentence-transformers
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import pack
from minift.checkpoints.modules import stated_pooling
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import (
    load_model,
    load_tokenizer,
    random_model,
    save_pretrained,
)
from minift.errors import MiniftError
from tests.conftest import REPOSITORY
from tests.tiny import NAMES, PLACES, SPECIAL, WORDS

SCRIPT = REPOSITORY / "data_scripts" / "mini.py"
sys.path.insert(0, str(SCRIPT.parent))  # for pretrain.py
_spec = importlib.util.spec_from_file_location("mini", SCRIPT)
script = sys.modules["mini"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A teacher of two layers, and a text."""
    folder = tmp_path_factory.mktemp("world")
    source, words = random.Random(0), [*WORDS, *NAMES, *PLACES]
    weights = [1 / (1 + rank) for rank in range(len(words))]
    pieces = list(dict.fromkeys([*SPECIAL, *words, "##s", "##ed"]))
    config = BertConfig(vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2,
                        num_attention_heads=4, intermediate_size=64, max_position_embeddings=64,
                        initializer_range=0.1)  # fmt: skip
    model = random_model(MaskedLM, config, torch.Generator().manual_seed(0))
    teacher = folder / "teacher"
    save_pretrained(model, Tokenizer.from_vocabulary(pieces, lowercase=False), teacher)
    documents = [
        [" ".join(source.choices(words, weights, k=40)) for _ in range(4)] for _ in range(260)
    ]
    text = "\n\n".join("\n".join(document) for document in documents)
    (folder / "text.txt").write_text(text, encoding="utf-8")
    return folder, teacher


def run(world, work, *more):
    folder, teacher = world
    size = ["--steps", "24", "--sequences", "8", "--length", "32", "--tokens", "256"]
    rates = ["--learning-rate", "3e-3", "--layers", "1", "--teacher", str(teacher)]
    paths = ["--work", str(work), "--text", str(folder / "text.txt"), "--out", str(work / "out")]
    script.main(["all", *paths, *size, *rates, *more])
    return json.loads((work / "run" / "log.jsonl").read_text().splitlines()[-1])


def test_the_cut_gives_the_teachers_states_of_its_last_layer(world, tmp_path):
    _, teacher = world
    script.cut(teacher, 1, tmp_path)
    whole, lowest = load_model(Bert, teacher)[0], load_model(Bert, tmp_path)[0]
    packed = pack([[5, 6, 7, 8], [9, 10]])
    assert len(lowest.layers) == 1
    assert torch.equal(lowest(packed), whole.hidden_states(packed)[1])
    with pytest.raises(MiniftError, match=r"--layers 3: .* has 2 layers"):
        script.cut(teacher, 3, tmp_path / "deep")


def test_the_error_of_the_states_is_a_share_of_their_variance(world):
    teacher = load_model(Bert, world[1])[0]
    packed = pack([[5, 6, 7, 8], [9, 10]])
    assert float(script.states_error(teacher, teacher, packed)) == 0
    states = [s.detach().double().numpy() for s in teacher.hidden_states(packed)]

    class Shifted:
        def hidden_states(self, packed):
            return [torch.tensor(s + 0.1) for s in states]

    expected = np.mean([0.01 * s.size / ((s - s.mean(0)) ** 2).sum() for s in states])
    assert float(script.states_error(Shifted(), teacher, packed)) == pytest.approx(expected, 1e-5)


def test_training_keeps_the_states_and_exports_what_others_load(world, tmp_path):
    kept, free = run(world, tmp_path / "kept"), run(world, tmp_path / "free", "--weight", "0")
    still = run(world, tmp_path / "still", "--learning-rate", "1e-9")
    for log in (kept, free):
        assert log["held_perplexity"] < 0.9 * still["held_perplexity"]
    assert kept["held_states"] < free["held_states"] / 2
    out = tmp_path / "kept" / "out"
    reference, report = transformers.BertForMaskedLM.from_pretrained(out, output_loading_info=True)
    assert not report["missing_keys"]
    assert reference.config.hidden_dropout_prob == 0.1  # dropout is off in this training alone
    assert stated_pooling(out) == "mean"
    theirs = sentence_transformers.SentenceTransformer(str(out), device="cpu")
    encoder, tokenizer = load_model(Bert, out)[0], load_tokenizer(out)
    with torch.no_grad():
        expected = encoder(pack([tokenizer.encode(["good film"])[0].input_ids])).mean(0)
    found = torch.tensor(theirs.encode(["good film"]))[0].float()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)  # it computes in float16


def test_with_head_only_no_bit_of_the_encoder_changes(world, tmp_path):
    log = run(world, tmp_path, "--head-only")
    state = script.Checkpoints(tmp_path / "run" / "checkpoints").load()["model"]
    cut = load_model(Bert, tmp_path / "cut")[0]
    for name, value in cut.named_parameters():
        assert torch.equal(state[f"bert.{name}"], value)
    assert log["held_states"] == 0 and "states" not in log
