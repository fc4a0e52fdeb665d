"""A model with the mean head is a folder of sentence-transformers, and of nothing else.

claim                                                     oracle
`encode` gives the logits                                 sentence-transformers
for pairs `encode` gives the vector of one text           sentence-transformers, the model's means
the encoder's folder loads in transformers                BertModel, its states
a classifier of transformers finds no weights             its error
what sentence-transformers writes is read                 its own `save`
an encoder that says its pooling is a folder of it, too   sentence-transformers
"""

from __future__ import annotations

import json

import pytest
import sentence_transformers
import torch
import transformers

from minift.bert.packing import pack
from minift.checkpoints.modules import description, encoder_folder, stated_pooling
from minift.checkpoints.weights import load_model, load_tokenizer, save_pretrained
from minift.methods.mean_head import MeanClassifier
from minift.runs.evaluate import predict_logits
from minift.runs.folder import load_run
from minift.runs.tuned import build
from minift.training.batches import make_batch
from minift.training.loop import Seeds
from tests.bert.reference import randomise
from tests.tiny import checkpoint, reviews, similarity


@pytest.fixture
def saved(tmp_path, request):
    """A model with random weights in a folder."""
    data = request.param() if hasattr(request, "param") else reviews()
    encoder = checkpoint(tmp_path / "encoder")
    tuned = build(data, encoder, Seeds.all(0), head="mean")
    randomise(tuned.model, 0, std=0.2)
    save_pretrained(tuned.model, tuned.tokenizer, tmp_path / "run")
    return data, tuned, tmp_path / "run"


def test_encode_gives_the_logits(saved):
    data, tuned, folder = saved
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    texts = [example.text for example in data.test] + ["good " * 200]  # longer than the model
    found = torch.tensor(theirs.encode(texts))
    examples = [type(data.test[0])(str(n), text) for n, text in enumerate(texts)]
    expected = torch.cat(predict_logits(tuned.model, tuned.items(examples)))
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("saved", [similarity], indirect=True)
def test_for_pairs_encode_gives_the_vector_of_one_text(saved):
    data, tuned, folder = saved
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    found = torch.tensor(theirs.encode([example.text for example in data.test]))
    with torch.no_grad():
        vectors = tuned.model.vectors(make_batch(tuned.items(data.test)).packed)
    torch.testing.assert_close(found, vectors[:, :32], rtol=0, atol=2e-5)


def test_the_encoder_loads_in_transformers_and_no_classifier_does(saved):
    _, tuned, folder = saved
    inner = encoder_folder(folder)
    theirs = transformers.AutoModel.from_pretrained(inner).eval()
    ids = load_tokenizer(folder).encode(["good film"])[0].input_ids
    with torch.no_grad():
        states = theirs(torch.tensor([ids])).last_hidden_state[0]
        torch.testing.assert_close(states, tuned.model.bert(pack([ids])), rtol=0, atol=2e-5)
    for kind in (transformers.AutoModelForSequenceClassification, transformers.AutoModel):
        with pytest.raises(OSError, match=r"no file named .*model\.safetensors"):
            kind.from_pretrained(folder)


def test_a_folder_that_sentence_transformers_wrote_states_its_pooling(saved, tmp_path):
    _, _, folder = saved
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    theirs.save(str(tmp_path / "theirs"))
    assert stated_pooling(tmp_path / "theirs") == "mean"


def test_an_encoder_that_states_its_mean_is_one_of_sentence_transformers(tmp_path):
    folder = checkpoint(tmp_path)
    for path, content in description(32, None, 64).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(json.dumps(content))
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    model, _ = load_model(MeanClassifier, folder, labels=("a", "b"))
    ids = load_tokenizer(folder).encode(["good film"])[0].input_ids
    with torch.no_grad():
        expected = model.vectors(pack([ids]))[0]
    found = torch.tensor(theirs.encode(["good film"]))[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_a_folder_takes_a_model_with_another_head_and_back(saved, tmp_path):
    data, tuned, folder = saved
    linear = build(data, tmp_path / "encoder", Seeds.all(1), head="linear")
    for model in (linear, tuned, linear):
        save_pretrained(model.model, model.tokenizer, folder)
        loaded = load_run(folder).model
        assert type(loaded) is type(model.model)
        for (_, value), (_, expected) in zip(
            loaded.named_parameters(), model.model.named_parameters()
        ):
            assert torch.equal(value, expected)
