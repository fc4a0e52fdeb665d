"""The encoder in the package: small, whole, honest, and the same in transformers.

claim                                                        oracle
it needs no network and no download folder                   offline tests, an empty home
transformers loads it and gives the same masked-LM logits    transformers.BertForMaskedLM
it stays small                                               bytes on the disk
its card says what it was trained on, and by whom taught     the words
"""

from __future__ import annotations

import torch
import transformers

from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import pack
from minift.checkpoints.hub import resolve
from minift.checkpoints.weights import load_encoder, load_model, load_tokenizer


def test_it_resolves_with_an_empty_home_and_loads(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIFT_HOME", str(tmp_path))
    bert, tokenizer = load_encoder("tiny")
    assert tokenizer.vocab_size == bert.config.vocab_size
    assert not tokenizer.lowercase
    assert list(tmp_path.iterdir()) == []


def test_transformers_gives_the_same_ids_and_masked_lm_logits():
    folder = resolve("tiny")
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


def test_it_stays_small():
    assert sum(file.stat().st_size for file in resolve("tiny").iterdir()) < 20e6


def test_its_card_names_text_licence_teacher_and_limits():
    card = (resolve("tiny") / "README.md").read_text(encoding="utf-8")
    for words in ("cc-by-sa-3.0", "all-MiniLM-L6-v2", "random weights", "perplexity", "not know"):
        assert words in card
