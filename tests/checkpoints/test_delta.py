"""A delta file is what fine-tuning changed, and restores it on a fresh copy of the encoder.

claim                                                         oracle
the fine-tuned model comes back, bit for bit                  bit equality
the file holds what changed and the head, nothing else        the tensors before and after
its names are transformers'                                   transformers, which loads it
another encoder, head, labels or file is refused              the words; the bits stay
"""

from __future__ import annotations

import copy
import math

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

from minift.bert.config import BertConfig
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.delta import load_delta, save_delta
from minift.checkpoints.weights import hf_name
from minift.errors import MiniftError
from tests.bert.reference import copy_weights, hf_config, inputs, own_config, randomise

CLASSIFIER = {"classifier.weight", "classifier.bias"}


def classifier(**changes) -> SequenceClassifier:
    """Our classifier, wide-drawn, float64."""
    return randomise(SequenceClassifier(own_config(**changes)), 0).double().eval()


def tune(model, learns=lambda name: name.endswith("bias") or name.startswith("classifier.")):
    """Move the chosen parameters (BitFit's by default), as training would."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if learns(name):
                parameter += 0.1 * torch.randn(parameter.shape, generator=draw).to(parameter)


@pytest.fixture
def tuned() -> tuple[SequenceClassifier, SequenceClassifier]:
    """A fine-tuned model, and the pretrained one with another head."""
    model = classifier()
    fresh = copy.deepcopy(model)
    randomise(fresh.classifier, seed=9)
    tune(model)
    return model, fresh


def differing(one, other) -> set[str]:
    """The parameters, by our names, that do not have the same bits in both."""
    pairs = zip(one.named_parameters(), other.parameters(), strict=True)
    return {n for (n, p), q in pairs if not torch.equal(p.view(torch.uint8), q.view(torch.uint8))}


def test_a_delta_restores_the_exact_logits_on_a_fresh_encoder(tuned, tmp_path):
    model, fresh = tuned
    save_delta(model, fresh, tmp_path / "bitfit.safetensors", "tiny")
    packed = inputs(0)[0]
    assert not torch.equal(fresh(packed), model(packed))
    load_delta(tmp_path / "bitfit.safetensors", fresh)
    assert torch.equal(fresh(packed), model(packed))
    assert differing(model, fresh) == set()


def test_a_delta_holds_what_changed_and_the_head_and_nothing_else(tuned, tmp_path):
    model, fresh = tuned
    save_delta(model, fresh, tmp_path / "bitfit.safetensors")
    with safe_open(tmp_path / "bitfit.safetensors", "pt") as file:
        names = set(file.keys())
    assert names == {hf_name(name) for name in differing(model, fresh)} | CLASSIFIER
    assert len(names) == 8 * 3 + 2 + 2  # biases of the layers; LayerNorm and pooler; the head
    size = (tmp_path / "bitfit.safetensors").stat().st_size
    numbers = sum(p.numel() for n, p in model.named_parameters() if hf_name(n) in names)
    assert numbers * 8 < size < numbers * 8 + 12_000  # the header, with one line a base tensor


def test_transformers_reads_the_delta_by_its_names(tmp_path):
    reference = randomise(transformers.BertForSequenceClassification(hf_config()), 0).double()
    own = copy_weights(reference.eval(), SequenceClassifier(own_config())).eval()
    fresh = copy.deepcopy(own)
    tune(own)
    save_delta(own, fresh, tmp_path / "d.safetensors")
    with safe_open(tmp_path / "d.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _, unexpected = reference.load_state_dict(tensors, strict=False)
    packed, padded = inputs(0)
    assert unexpected == []
    torch.testing.assert_close(own(packed), reference(**padded).logits, rtol=0, atol=1e-9)


def test_a_delta_compares_bits_so_that_minus_zero_comes_back(tmp_path):
    model = classifier()
    fresh = copy.deepcopy(model)
    with torch.no_grad():
        fresh.bert.pooler.dense.bias[0] = 0.0
        model.bert.pooler.dense.bias[0] = -0.0
    save_delta(model, fresh, tmp_path / "d.safetensors")
    load_delta(tmp_path / "d.safetensors", fresh)
    assert math.copysign(1, fresh.bert.pooler.dense.bias[0].item()) == -1


def test_full_fine_tuning_fits_a_delta_too(tmp_path):
    model = classifier()
    fresh = copy.deepcopy(model)
    tune(model, lambda name: True)
    save_delta(model, fresh, tmp_path / "d.safetensors")
    load_delta(tmp_path / "d.safetensors", fresh)
    assert differing(model, fresh) == set()


def test_the_base_may_be_a_bare_encoder_and_a_pooler_it_lacks_counts_as_head(tuned, tmp_path):
    model, fresh = tuned
    bare = copy.deepcopy(fresh.bert)
    bare.pooler = None
    save_delta(model, bare, tmp_path / "d.safetensors")
    randomise(fresh.bert.pooler, seed=5)  # drawn anew, as for a checkpoint without a pooler
    load_delta(tmp_path / "d.safetensors", fresh)
    assert differing(model, fresh) == set()


def test_a_delta_is_refused_by_another_base_which_stays_as_it_was(tuned, tmp_path):
    model, fresh = tuned
    path = tmp_path / "d.safetensors"
    save_delta(model, fresh, path, base_name="tiny-uncased")
    other = copy.deepcopy(fresh)
    with torch.no_grad():
        other.bert.layers[1].output.weight[0, 0] += 1e-12
    before = copy.deepcopy(other)
    expected = r'"tiny-uncased".* 1 of 55 tensors, first bert\.encoder\.layer\.1\.output\.dense'
    with pytest.raises(MiniftError, match=expected):
        load_delta(path, other)
    assert differing(before, other) == set()
    with pytest.raises(MiniftError, match=r"float32 .*, expected float64"):
        load_delta(path, copy.deepcopy(fresh).float())
    tagger = TokenClassifier(own_config()).double()
    tagger.bert.load_state_dict(fresh.bert.state_dict(), strict=False)
    with pytest.raises(MiniftError, match=r"2 of 55 .* bert\.pooler\.dense\.weight \(absent"):
        load_delta(path, tagger)


def test_a_delta_is_refused_where_head_or_labels_do_not_fit(tuned, tmp_path):
    model, fresh = tuned
    path = tmp_path / "d.safetensors"
    save_delta(model, fresh, path)
    swapped = SequenceClassifier(BertConfig(**{**vars(fresh.config), "labels": ("L1", "L0", "L2")}))
    swapped.double().load_state_dict(fresh.state_dict())
    with pytest.raises(
        MiniftError, match=r"labels are L0, L1, L2, in this order, the model's L1, L0, L2"
    ):
        load_delta(path, swapped)

    tagger = randomise(TokenClassifier(own_config()), 0).double()
    save_delta(tagger, copy.deepcopy(tagger.bert), path)
    masked_lm = MaskedLM(own_config()).double()
    masked_lm.bert.load_state_dict(tagger.bert.state_dict())
    with pytest.raises(MiniftError, match=r"classifier\.weight is not in this model.* is missing"):
        load_delta(path, masked_lm)
    wide = TokenClassifier(own_config()).double()
    wide.bert.load_state_dict(tagger.bert.state_dict())
    wide.classifier = torch.nn.Linear(24, 5).double()
    with pytest.raises(MiniftError, match=r"\(3, 24\) in the file and \(5, 24\) in the model"):
        load_delta(path, wide)


def test_files_that_are_no_delta_are_refused(tuned, tmp_path):
    model, fresh = tuned
    save_delta(model, fresh, tmp_path / "d.safetensors")
    whole = (tmp_path / "d.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    for name in ("half.safetensors", "absent.safetensors"):
        with pytest.raises(MiniftError, match=rf"{name}: damaged, or not a safetensors"):
            load_delta(tmp_path / name, fresh)
    save_file(fresh.state_dict(), tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(MiniftError, match="not a delta file: it does not say which encoder"):
        load_delta(tmp_path / "model.safetensors", fresh)


def test_the_tuned_model_itself_or_another_size_cannot_be_the_base(tuned, tmp_path):
    model, _ = tuned
    with pytest.raises(MiniftError, match="load the encoder once more"):
        save_delta(model, model.bert, tmp_path / "d.safetensors")
    with pytest.raises(MiniftError, match=r"\(61, 24\) in the model and \(62, 24\) in base"):
        save_delta(model, classifier(vocab_size=62), tmp_path / "d.safetensors")
    assert list(tmp_path.iterdir()) == []
