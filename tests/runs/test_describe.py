"""What `minift info` says of a checkpoint is what stands in its files.

claim                                                    oracle
counts are those of the checkpoint, whatever its head    the tensors of its file
an encoder without a head gets one of two classes        2 x hidden size + 2
texts are as long as the model reads                     config.json
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.checkpoints.strict import config_from_json
from minift.checkpoints.weights import (
    load_tokenizer,
    random_model,
    read_tensors,
    save_pretrained,
)
from minift.methods.cnn_head import ConvClassifier
from minift.runs.describe import describe
from tests.tiny import checkpoint


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def parts(text: str) -> dict[str, str]:
    """The table of the parts and their parameters, total included."""
    rows = text.split("parameters\n")[1].split("\n\n")[0].splitlines()
    return dict(row.split() for row in rows)


def counted(folder, start: str) -> str:
    tensors = read_tensors(folder)
    if not (folder / "model.safetensors").exists():  # the encoder's lie in a folder of their own
        tensors = {n if n.startswith("classifier.") else f"bert.{n}": t for n, t in tensors.items()}
    return f"{sum(t.numel() for name, t in tensors.items() if name.startswith(start)):,}"


@pytest.mark.parametrize(
    ("head", "labels", "said"),
    [
        (SequenceClassifier, ("no", "maybe", "yes"), "one of these labels per text"),
        (SequenceClassifier, ("score",), "answers with a number"),
        (TokenClassifier, ("O", "B-X", "I-X"), "one of these labels per word"),
        (ConvClassifier, ("no", "yes"), "one of these labels per text"),
    ],
)
def test_the_counts_are_those_of_the_checkpoint_whatever_its_head(
    encoder, tmp_path, head, labels, said
):
    config = replace(config_from_json(encoder / "config.json"), labels=labels)
    if labels == ("score",):
        config = replace(config, problem_type="regression")
    model = random_model(head, config, torch.Generator().manual_seed(0))
    save_pretrained(model, load_tokenizer(encoder), tmp_path)
    text = describe(tmp_path)
    assert f"head: {head.__name__}, " in text and said in text
    assert ("labels: " + ", ".join(labels) in text) == (labels != ("score",))
    starts = {"embeddings": "bert.embeddings.", "layers": "bert.encoder.", "total": ""}
    starts |= {"pooler": "bert.pooler."} if head is SequenceClassifier else {}
    starts |= {"head": "classifier."}
    assert parts(text) == {part: counted(tmp_path, start) for part, start in starts.items()}
    assert f"full {counted(tmp_path, '')}" in " ".join(text.split())


def test_an_encoder_without_a_head_is_counted_with_two_classes(encoder):
    text = describe(encoder)
    assert "BERT with 2 layers, hidden size 32" in text
    assert "cased; at most 64 pieces per text" in text
    assert "head: none" in text
    assert parts(text)["head"] == str(2 * 32 + 2)
