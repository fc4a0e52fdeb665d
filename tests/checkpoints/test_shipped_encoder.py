"""The encoders in the package: small, whole, honest, and the same elsewhere.

claim                                                        oracle
they need no network and no download folder                  offline tests, an empty home
transformers loads them and gives the same masked-LM logits  transformers.BertForMaskedLM
mini is the lowest layers of MiniLM, in float16              MiniLM's own tensors
mini says that its vectors are means, in the words of        sentence-transformers' vectors
sentence-transformers
they stay small                                              bytes on the disk
their cards say what they were made of, and by whom taught   the words
"""

from __future__ import annotations

import pytest
import sentence_transformers
import torch
import transformers

from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import pack
from minift.checkpoints.hub import resolve
from minift.checkpoints.weights import load_encoder, load_model, load_tokenizer
from minift.methods.mean_head import MeanClassifier


@pytest.mark.parametrize("name,lowercase", [("tiny", False), ("mini", True)])
def test_it_resolves_with_an_empty_home_and_loads(name, lowercase, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFT_HOME", str(tmp_path))
    bert, tokenizer = load_encoder(name)
    assert tokenizer.vocab_size == bert.config.vocab_size
    assert tokenizer.lowercase is lowercase
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_transformers_gives_the_same_ids_and_masked_lm_logits(name):
    folder = resolve(name)
    model, report = load_model(MaskedLM, folder)
    assert report.initialised == ()
    reference = transformers.BertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer = load_tokenizer(folder)
    texts = ["Not once did it let me down.", "Ada Marlow flew to Oslo on Monday .", "x"]
    encodings = tokenizer.encode(texts)
    padded = theirs(texts, padding=True, return_tensors="pt")
    real = padded["attention_mask"].bool()
    packed = pack([e.input_ids for e in encodings], [e.segment_ids for e in encodings])
    assert packed.input_ids.tolist() == padded["input_ids"][real].tolist()
    expected = reference(**padded).logits[real]
    torch.testing.assert_close(model(packed), expected, rtol=0, atol=1e-4)


def test_mini_is_the_lowest_layers_of_minilm_in_half_precision(minilm):
    whole, cut = dict(load_encoder(minilm)[0].named_parameters()), load_encoder("mini")[0]
    assert len(cut.layers) == 3 and cut.pooler is None
    for name, value in cut.named_parameters():
        assert torch.equal(value, whole[name].half().float()), name


def test_mini_gives_the_means_of_sentence_transformers():
    texts = ["Not once did it let me down.", "x"]
    theirs = sentence_transformers.SentenceTransformer(str(resolve("mini")), device="cpu").float()
    model, _ = load_model(MeanClassifier, "mini", labels=("a", "b"))
    encodings = load_tokenizer("mini").encode(texts)
    found = model.vectors(pack([e.input_ids for e in encodings])).detach()
    expected = torch.tensor(theirs.encode(texts))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name,most", [("tiny", 20e6), ("mini", 40e6)])
def test_it_stays_small(name, most):
    files = [file for file in resolve(name).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < most


@pytest.mark.parametrize(
    "name,said",
    [
        ("tiny", ("cc-by-sa-3.0", "all-MiniLM-L6-v2", "random weights", "perplexity", "not know")),
        ("mini", ("apache-2.0", "all-MiniLM-L6-v2", "CC BY-SA 3.0", "lowest three", "perplexity",
                  "not know")),
    ],
)  # fmt: skip
def test_its_card_names_text_licence_teacher_and_limits(name, said):
    card = (resolve(name) / "README.md").read_text(encoding="utf-8")
    for words in said:
        assert words in card


def test_mini_comes_with_the_notice_that_its_licence_asks_for():
    notice = (resolve("mini") / "NOTICE").read_text(encoding="utf-8")
    assert "sentence-transformers/all-MiniLM-L6-v2" in notice and "Apache License" in notice
    assert "changed" in notice  # section 4 (b): modified files carry a statement of it
