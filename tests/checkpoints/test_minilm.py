"""The real MiniLM, on real sentences, computes what transformers computes.

claim                                                        oracle
hidden states of every layer equal to 1e-4, float32          transformers.AutoModel, padded
so does the pooled sentence vector                           transformers.AutoModel, padded
the whole file is used                                       names of its tensors
a sentence alone gets the numbers it gets in its batch       the sentence alone
"""

from __future__ import annotations

import pytest
import torch
import transformers

from minift.bert.encoder import Bert
from minift.bert.packing import pack
from minift.checkpoints.weights import load_encoder, load_model, read_tensors


@pytest.fixture(scope="module")
def sentences(real_data) -> list[str]:
    """The first 100 sentences of SST-2's development part."""
    lines = (real_data / "sst2" / "stsa.binary.dev").read_text(encoding="utf-8").split("\n")
    texts = [line.split(" ", 1)[1] for line in lines[:100]]
    assert len({len(text.split()) for text in texts}) > 20  # ragged
    return texts


@pytest.fixture(scope="module")
def ours(minilm):
    return load_encoder(minilm)


@pytest.fixture(scope="module")
def padded(minilm, sentences) -> dict[str, torch.Tensor]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    return dict(tokenizer(sentences, padding=True, return_tensors="pt"))


@pytest.fixture(scope="module")
def theirs(minilm, padded):
    model = transformers.AutoModel.from_pretrained(minilm).eval()
    with torch.no_grad():
        return model(**padded, output_hidden_states=True)


def packed(tokenizer, texts: list[str]):
    encodings = tokenizer.encode(texts)
    return pack([e.input_ids for e in encodings], [e.segment_ids for e in encodings])


def test_hidden_states_of_100_real_sentences_equal_transformers_to_1e_4(
    ours, theirs, padded, sentences
):
    encoder, tokenizer = ours
    batch, real = packed(tokenizer, sentences), padded["attention_mask"].bool()
    assert torch.equal(batch.input_ids, padded["input_ids"][real])
    assert not real.all()  # padded there, packed here
    with torch.no_grad():
        states = encoder.hidden_states(batch)
        pooled = encoder.pooler(encoder(batch, batch.first_tokens()))
    assert len(states) == len(theirs.hidden_states) == 7
    for own, expected in zip(states, theirs.hidden_states):
        assert own.dtype == torch.float32
        torch.testing.assert_close(own, expected[real], rtol=0, atol=1e-4)
    torch.testing.assert_close(pooled, theirs.pooler_output, rtol=0, atol=1e-4)


def test_every_tensor_of_the_file_is_used_and_none_is_drawn(minilm):
    encoder, report = load_model(Bert, minilm)
    assert encoder.config.num_hidden_layers == 6
    assert encoder.config.hidden_size == 384
    assert report.initialised == ()
    assert set(report.loaded) | set(report.ignored) == set(read_tensors(minilm))
    assert set(report.ignored) <= {"embeddings.position_ids"}
    for name, parameter in encoder.named_parameters():
        assert parameter.isfinite().all(), name


def test_a_real_sentence_alone_gets_the_numbers_it_gets_in_a_batch_of_100(ours, sentences):
    encoder, tokenizer = ours
    batch = packed(tokenizer, sentences)
    with torch.no_grad():
        together = encoder(batch, batch.first_tokens())
        for row in (0, 17, 99):
            alone = packed(tokenizer, [sentences[row]])
            torch.testing.assert_close(
                encoder(alone)[:1], together[row : row + 1], rtol=0, atol=1e-4
            )
