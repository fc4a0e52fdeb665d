"""A checkpoint fills the model exactly, or is refused with the name of every tensor that is wrong.

claim                                                        oracle
what we save, transformers loads with the same logits        transformers' Auto classes, each head
what transformers saves, we load with the same logits        one file, shards, .bin; both prefixes
old and other files are read: gamma/beta, buffers, halves    the same tensors under today's names
a head is taken from the file, or drawn as a whole           names listed here; the generator
one error lists all that is missing, unexpected, misshapen   names listed here
nothing in a .bin ever runs                                  a pickle that would create a file
damaged files are refused and never half read                each cut; 300 random flips of bytes
a save that fails leaves the checkpoint that was there       the operating system's file size limit
"""

from __future__ import annotations

import json
import pickle
import random
import re
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from minift.bert.config import BertConfig
from minift.bert.encoder import Bert
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.bert.packing import pack
from minift.checkpoints.strict import config_to_dict
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import (
    hf_name,
    load_encoder,
    load_model,
    load_tokenizer,
    random_model,
    read_tensors,
    save_pretrained,
)
from minift.errors import MiniftError
from tests.bert.reference import hf_config, inputs, own_config, randomise
from tests.conftest import REPOSITORY
from tests.tiny import checkpoint

PAIRS = {
    Bert: (transformers.BertModel, transformers.AutoModel),
    SequenceClassifier: (
        transformers.BertForSequenceClassification,
        transformers.AutoModelForSequenceClassification,
    ),
    TokenClassifier: (
        transformers.BertForTokenClassification,
        transformers.AutoModelForTokenClassification,
    ),
    MaskedLM: (transformers.BertForMaskedLM, transformers.AutoModelForMaskedLM),
}
each_class = pytest.mark.parametrize("own_class", PAIRS)
HALF_WIDTH = 0.1  # logits of a few units, so that float32 agrees to 1e-6


def output(model: torch.nn.Module) -> torch.Tensor:
    """What a model of ours or of theirs computes for the real tokens (or sentences)."""
    packed, padded = inputs(0)
    with torch.no_grad():
        if type(model) in PAIRS:
            return model(packed)
        found = model.eval()(**padded)
    rows = found.last_hidden_state if "last_hidden_state" in found else found.logits
    return rows if rows.dim() == 2 else rows[padded["attention_mask"].bool()]


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    atol = 1e-9 if expected.dtype == torch.float64 else 1e-6
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def own_model(own_class, labels: int = 3, seed: int = 0):
    return randomise(own_class(own_config(labels)), seed, std=HALF_WIDTH).eval()


def hf_model(own_class, labels: int = 3, seed: int = 0, **changes):
    return randomise(PAIRS[own_class][0](hf_config(labels, **changes)), seed, std=HALF_WIDTH).eval()


def hf_checkpoint(folder: Path, own_class=Bert, **options) -> torch.nn.Module:
    reference = hf_model(own_class)
    reference.save_pretrained(folder, **options)
    return reference


def rewrite(folder: Path, change) -> dict[str, torch.Tensor]:
    """Let `change` edit the table of tensors of a checkpoint in place."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return tensors


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- both ways with transformers -----------------------------------------------------------


@each_class
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_we_save_transformers_loads_whole_and_with_the_same_logits(tmp_path, own_class, dtype):
    own = own_model(own_class).to(dtype)
    save_pretrained(own, None, tmp_path)
    auto = PAIRS[own_class][1]
    theirs, info = auto.from_pretrained(tmp_path, dtype=dtype, output_loading_info=True)
    assert type(theirs) is PAIRS[own_class][0]
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    close(output(theirs), output(own))
    tensors = dict(theirs.named_parameters())
    for name, parameter in own.named_parameters():
        assert torch.equal(parameter, tensors[hf_name(name)]), name


@each_class
def test_what_transformers_saves_we_load_whole_and_with_the_same_logits(tmp_path, own_class):
    reference = hf_checkpoint(tmp_path, own_class)
    own, report = load_model(own_class, tmp_path)
    close(output(own), output(reference))
    close(output(own.double()), output(reference.double()))
    assert set(report.loaded) == {name for name, _ in reference.named_parameters()}
    assert report.initialised == report.ignored == ()
    assert not own.training


def test_every_parameter_has_the_name_that_transformers_gives_it():
    for own_class, (hf_class, _) in PAIRS.items():
        ours = {hf_name(name): p.shape for name, p in own_class(own_config()).named_parameters()}
        theirs = {name: p.shape for name, p in hf_class(hf_config()).named_parameters()}
        assert ours == theirs


def test_a_classifier_with_one_unnamed_output_comes_back_as_one_from_transformers_and_from_us(
    tmp_path,
):
    own = own_model(SequenceClassifier, labels=0)
    save_pretrained(own, None, tmp_path)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    close(output(theirs), output(own))
    again, _ = load_model(SequenceClassifier, tmp_path)
    assert torch.equal(output(again), output(own))
    assert output(own).shape == (5, 1)


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_classes_that_transformers_left_unnamed_get_its_default_names(tmp_path, classes):
    hf_model(SequenceClassifier, labels=classes).save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert ("id2label" in written) == (classes != 2)  # transformers leaves two out
    edit_config(tmp_path, id2label=None)
    own, report = load_model(SequenceClassifier, tmp_path)
    assert own.config.labels == tuple(f"LABEL_{i}" for i in range(classes))
    assert report.initialised == ()


def test_class_names_and_problem_type_survive_saving(tmp_path):
    config = replace(
        own_config(), labels=("no", "yes", "so"), problem_type="single_label_classification"
    )
    save_pretrained(random_model(SequenceClassifier, config), None, tmp_path)
    theirs = transformers.AutoConfig.from_pretrained(tmp_path)
    assert theirs.id2label == {0: "no", 1: "yes", 2: "so"}
    assert load_model(SequenceClassifier, tmp_path)[0].config == config


def test_the_tokenizer_is_saved_beside_the_model_and_both_come_back(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "##s"]
    tokenizer = Tokenizer.from_vocabulary(words, lowercase=True)
    save_pretrained(own_model(Bert), tokenizer, tmp_path)
    own, again = load_encoder(tmp_path)
    assert again.encode(["Good films"])[0].input_ids == [2, 5, 7, 8, 3]
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("Good films")["input_ids"] == [2, 5, 7, 8, 3]
    assert torch.equal(output(own), output(own_model(Bert)))


@pytest.mark.parametrize("own_class", [SequenceClassifier, TokenClassifier])
def test_a_pipeline_of_transformers_cuts_a_long_text_where_our_model_ends(tmp_path, own_class):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "##s"]
    own, text = own_model(own_class), "good bad film " * 50
    # 512 pieces by default, and the model has 16 positions
    save_pretrained(own, Tokenizer.from_vocabulary(words, lowercase=True), tmp_path)
    (ours,) = load_encoder(tmp_path)[1].encode([text])
    packed = pack([ours.input_ids])
    if own_class is SequenceClassifier:
        pipeline = transformers.pipeline("text-classification", str(tmp_path), dtype="float32")
        found = pipeline(text, truncation=True, top_k=None)
        expected = own(packed)[0]
    else:
        pipeline = transformers.pipeline("token-classification", str(tmp_path), dtype="float32")
        found = pipeline(text)
        expected = own(packed, packed.select([range(1, 15)]))
        assert len(found) == 14
        found, expected = [found[-1]], expected[-1]
    probabilities = dict(zip(own.config.labels, expected.softmax(0).tolist()))
    for answer in found:
        name = answer.get("label") or answer["entity"]
        assert answer["score"] == pytest.approx(probabilities[name], abs=1e-5)


def test_weights_saved_in_half_precision_are_half_the_size_and_equal_to_rounding(tmp_path):
    own = own_model(SequenceClassifier)
    save_pretrained(own, None, tmp_path / "full")
    save_pretrained(own, None, tmp_path / "half", dtype=torch.float16)
    assert {t.dtype for t in read_tensors(tmp_path / "half").values()} == {torch.float16}
    again, _ = load_model(SequenceClassifier, tmp_path / "half")
    for (name, p), (_, q) in zip(own.named_parameters(), again.named_parameters()):
        assert q.dtype == torch.float32
        assert torch.equal(q, p.half().float()), name  # exactly: nothing is rounded twice


# --- the many shapes of a checkpoint -------------------------------------------------------


def to_bin(folder: Path, _: torch.nn.Module) -> None:
    tensors = load_file(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def to_old_bin(folder: Path, reference: torch.nn.Module) -> None:
    """As PyTorch before 1.6 wrote it, with the decoder stored twice as state_dict gives it."""
    torch.save(
        reference.state_dict(),
        folder / "pytorch_model.bin",
        _use_new_zipfile_serialization=False,
    )
    (folder / "model.safetensors").unlink()


def to_shards(folder: Path, reference: torch.nn.Module) -> None:
    (folder / "model.safetensors").unlink()
    reference.save_pretrained(folder, max_shard_size="10KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2


def to_gamma_and_beta(folder: Path, _: torch.nn.Module) -> None:
    def change(tensors):
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            old = old.replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[old] = tensors.pop(name)

    assert sum("gamma" in name for name in rewrite(folder, change)) >= 7


def with_buffers(folder: Path, _: torch.nn.Module) -> None:
    def change(tensors):
        prefix = "" if "embeddings.word_embeddings.weight" in tensors else "bert."
        tensors[prefix + "embeddings.position_ids"] = torch.arange(16).unsqueeze(0)
        tensors[prefix + "embeddings.token_type_ids"] = torch.zeros(1, 16, dtype=torch.int64)

    rewrite(folder, change)


def as_stored(folder: Path, _: torch.nn.Module) -> None:
    pass


@each_class
@pytest.mark.parametrize(
    "store", [to_bin, to_old_bin, to_shards, to_gamma_and_beta, with_buffers, as_stored]
)
def test_each_way_to_store_a_checkpoint_gives_the_same_logits(tmp_path, own_class, store):
    reference = hf_checkpoint(tmp_path, own_class)
    store(tmp_path, reference)
    own, report = load_model(own_class, tmp_path)
    close(output(own), output(reference))
    assert set(report.loaded) == {name for name, _ in reference.named_parameters()}
    assert report.initialised == ()
    if store is with_buffers:
        assert [name.split(".")[-1] for name in report.ignored] == [
            "position_ids",
            "token_type_ids",
        ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_loads_as_float32_holding_exactly_the_same_numbers(tmp_path, dtype):
    hf_checkpoint(tmp_path)

    def change(tensors):
        tensors.update({name: tensor.to(dtype) for name, tensor in tensors.items()})

    stored = rewrite(tmp_path, change)
    own, _ = load_model(Bert, tmp_path)
    for name, parameter in own.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, stored[hf_name(name)].to(torch.float32)), name


def test_weights_that_are_no_decimal_numbers_are_refused_by_name(tmp_path):
    hf_checkpoint(tmp_path)
    name = "encoder.layer.1.output.dense.weight"
    rewrite(tmp_path, lambda t: t.update({name: t[name].to(torch.int8)}))
    with pytest.raises(MiniftError, match=rf"{re.escape(name)} holds torch\.int8"):
        load_model(Bert, tmp_path)


@pytest.mark.parametrize("own_class", [SequenceClassifier, TokenClassifier, MaskedLM])
def test_an_encoder_without_prefix_loads_under_a_head_and_one_with_prefix_loads_without(
    tmp_path, own_class
):
    bare = hf_checkpoint(tmp_path / "bare", Bert)
    under_head, report = load_model(own_class, tmp_path / "bare", labels=["a", "b"])
    tensors = dict(bare.named_parameters())
    for name, parameter in under_head.bert.named_parameters():
        assert torch.equal(parameter, tensors[hf_name(name)]) or name.startswith("pooler"), name
    assert all(name.startswith(("classifier.", "cls.")) for name in report.initialised)
    assert report.initialised

    with_head = hf_checkpoint(tmp_path / "headed", own_class)
    encoder, report = load_model(Bert, tmp_path / "headed")
    for name, parameter in encoder.named_parameters():
        assert torch.equal(parameter, dict(with_head.bert.named_parameters())[hf_name(name)])
    assert all(name.startswith(("classifier.", "cls.")) for name in report.ignored)
    assert report.ignored


# --- heads ---------------------------------------------------------------------------------


def test_a_head_for_the_same_labels_is_kept_and_one_for_other_labels_is_drawn_anew(tmp_path):
    save_pretrained(saved := own_model(SequenceClassifier), None, tmp_path)
    for labels in (None, ["L0", "L1", "L2"]):
        own, report = load_model(SequenceClassifier, tmp_path, labels=labels)
        assert torch.equal(own.classifier.weight, saved.classifier.weight)
        assert report.initialised == ()
    for labels in (
        ["L0", "L2", "L1"],
        ["a", "b"],
        ["a", "b", "c"],
    ):  # another order is another head
        own, report = load_model(SequenceClassifier, tmp_path, labels=labels)
        assert own.config.labels == tuple(labels)
        assert own.classifier.weight.shape == (len(labels), 24)
        assert report.initialised == ("classifier.weight", "classifier.bias")
        assert not torch.equal(own.classifier.weight[0], saved.classifier.weight[0])
        assert torch.equal(own.bert.pooler.dense.weight, saved.bert.pooler.dense.weight)


def test_a_new_head_is_a_function_of_its_generator_and_of_nothing_else(tmp_path):
    save_pretrained(own_model(Bert), None, tmp_path)
    config = own_config(labels=2)

    def head(seed: int, global_seed: int) -> torch.Tensor:
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        own, _ = load_model(
            SequenceClassifier,
            tmp_path,
            labels=config.labels,
            generator=torch.Generator().manual_seed(seed),
        )
        assert torch.equal(torch.get_rng_state(), before)
        assert not own.classifier.bias.any()
        return own.classifier.weight

    assert torch.equal(head(0, 0), head(0, 1))
    assert not torch.equal(head(0, 0), head(1, 0))
    expected = torch.empty(2, 24).normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
    assert torch.equal(head(0, 0), expected)


def test_without_a_pooler_in_the_file_an_encoder_has_none_and_a_classifier_draws_one(tmp_path):
    save_pretrained(own_model(TokenClassifier), None, tmp_path)
    encoder, report = load_model(Bert, tmp_path)
    assert encoder.pooler is None
    assert report.initialised == ()
    classifier, report = load_model(SequenceClassifier, tmp_path)
    assert set(report.initialised) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert 0.01 < classifier.bert.pooler.dense.weight.std() < 0.03  # initializer_range
    assert torch.equal(classifier.classifier.weight, own_model(TokenClassifier).classifier.weight)


def test_heads_of_other_tasks_are_left_out_and_named(tmp_path):
    reference = randomise(transformers.BertForPreTraining(hf_config()), 0, std=HALF_WIDTH).eval()
    reference.save_pretrained(tmp_path)
    own, report = load_model(MaskedLM, tmp_path)
    packed, padded = inputs(0)
    expected = reference(**padded).prediction_logits[padded["attention_mask"].bool()]
    close(own(packed), expected)
    assert report.ignored == (
        "bert.pooler.dense.bias",
        "bert.pooler.dense.weight",
        "cls.seq_relationship.bias",
        "cls.seq_relationship.weight",
    )
    (tmp_path / "qa").mkdir()
    transformers.BertForQuestionAnswering(hf_config()).save_pretrained(tmp_path / "qa")
    _, report = load_model(SequenceClassifier, tmp_path / "qa", labels=["a", "b"])
    assert report.ignored == ("qa_outputs.bias", "qa_outputs.weight")


def test_half_a_head_is_a_damaged_file_and_not_a_reason_to_draw_the_other_half(tmp_path):
    save_pretrained(own_model(SequenceClassifier), None, tmp_path)
    rewrite(tmp_path, lambda t: t.pop("classifier.bias"))
    with pytest.raises(MiniftError, match=r"missing \(1\): classifier\.bias$"):
        load_model(SequenceClassifier, tmp_path)
    load_model(SequenceClassifier, tmp_path, labels=["other"])  # drawn whole: nobody needs it
    rewrite(tmp_path, lambda t: t.pop("bert.pooler.dense.weight"))
    with pytest.raises(MiniftError, match=r"missing \(1\): pooler\.dense\.weight$"):
        load_model(Bert, tmp_path)
    load_model(TokenClassifier, tmp_path, labels=["a", "b"])  # has no pooler


def test_a_stranger_inside_a_head_that_is_used_is_unexpected(tmp_path):
    save_pretrained(own_model(SequenceClassifier), None, tmp_path)
    rewrite(tmp_path, lambda t: t.update({"classifier.weight_g": torch.ones(3, 1)}))
    with pytest.raises(MiniftError, match=r"unexpected \(1\): classifier\.weight_g$"):
        load_model(SequenceClassifier, tmp_path)
    assert "classifier.weight_g" in load_model(Bert, tmp_path)[1].ignored


def test_a_head_of_yes_or_no_questions_is_kept_for_such_and_drawn_anew_for_classes(tmp_path):
    hf_model(SequenceClassifier).save_pretrained(tmp_path)
    kind = "multi_label_classification"
    edit_config(tmp_path, problem_type=kind)
    model, report = load_model(SequenceClassifier, tmp_path)
    assert model.config.problem_type == kind and not report.initialised
    for asked, new in ((kind, False), (None, True)):
        _, report = load_model(SequenceClassifier, tmp_path, model.config.labels, asked)
        assert ("classifier.weight" in report.initialised) == new


# --- the tied decoder ----------------------------------------------------------------------

DECODER = "cls.predictions.decoder.weight"
WORDS = "bert.embeddings.word_embeddings.weight"


def test_the_decoder_is_the_word_embedding_after_loading_too(tmp_path):
    save_pretrained(own_model(MaskedLM), None, tmp_path)
    own, _ = load_model(MaskedLM, tmp_path)
    unseen = next(token for token in range(61) if token not in inputs(0)[0].input_ids)
    before = output(own)
    with torch.no_grad():
        own.bert.embeddings.word.weight[unseen] += 10.0
    changed = (output(own) != before).any(0)
    assert changed.nonzero().flatten().tolist() == [unseen]  # its logits, through the decoder
    assert DECODER not in read_tensors(tmp_path)
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert theirs.cls.predictions.decoder.weight is theirs.bert.embeddings.word_embeddings.weight


def test_a_decoder_stored_a_second_time_is_read_if_it_is_the_same_and_refused_if_not(tmp_path):
    reference = hf_checkpoint(tmp_path, MaskedLM)
    rewrite(
        tmp_path,
        lambda t: t.update(
            {
                DECODER: t[WORDS].clone(),
                "cls.predictions.decoder.bias": t["cls.predictions.bias"] + 0,
            }
        ),
    )
    own, report = load_model(MaskedLM, tmp_path)
    close(output(own), output(reference))
    assert report.ignored == ("cls.predictions.decoder.bias", DECODER)

    rewrite(tmp_path, lambda t: t[DECODER].add_(1))
    with pytest.raises(
        MiniftError, match=rf"untied \(1\): {re.escape(DECODER)} differs from {re.escape(WORDS)}"
    ):
        load_model(MaskedLM, tmp_path)
    load_model(Bert, tmp_path)  # which has no decoder to be wrong


def test_where_only_the_copy_is_stored_it_stands_for_the_original(tmp_path):
    reference = hf_checkpoint(tmp_path, MaskedLM)

    def change(tensors):
        tensors[DECODER] = tensors.pop(WORDS)
        tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")

    rewrite(tmp_path, change)
    own, report = load_model(MaskedLM, tmp_path)
    close(output(own), output(reference))
    assert report.initialised == ()


def test_a_decoder_of_its_own_is_refused_and_does_not_block_the_encoder(tmp_path):
    hf_model(MaskedLM, tie_word_embeddings=False).save_pretrained(tmp_path)
    with pytest.raises(MiniftError, match=r"untied \(\d\): cls\.predictions\.decoder"):
        load_model(MaskedLM, tmp_path)
    assert load_model(Bert, tmp_path)[1].initialised == ()


# --- tensors that do not fit ---------------------------------------------------------------


def test_one_error_lists_all_that_is_missing_unexpected_and_misshapen(tmp_path):
    hf_checkpoint(tmp_path, SequenceClassifier)
    missing = [
        "bert.embeddings.LayerNorm.weight",
        "bert.encoder.layer.0.attention.self.query.bias",
        "bert.encoder.layer.2.output.dense.weight",
    ]
    unexpected = ["bert.encoder.layer.3.output.dense.bias", "lm_head.weight", "step"]
    misshapen = {
        "bert.embeddings.word_embeddings.weight": ((60, 24), (61, 24)),
        "bert.encoder.layer.1.intermediate.dense.bias": ((24,), (40,)),
        "classifier.weight": ((2, 24), (3, 24)),
    }

    def change(tensors):
        for name in missing:
            del tensors[name]
        tensors.update({name: torch.ones(2) for name in unexpected})
        tensors.update({name: torch.ones(shape) for name, (shape, _) in misshapen.items()})

    rewrite(tmp_path, change)
    with pytest.raises(MiniftError) as caught:
        load_model(SequenceClassifier, tmp_path)
    listed = "; ".join(
        [
            f"missing (3): {', '.join(missing)}",
            f"unexpected (3): {', '.join(unexpected)}",
            "misshapen (3): "
            + ", ".join(
                f"{name} is {found} in the file and {wanted} according to config.json"
                for name, (found, wanted) in misshapen.items()
            ),
        ]
    )
    assert str(caught.value) == f"{tmp_path}: weights and config.json disagree. {listed}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_hidden_layers": 4}, r"missing \(16\): encoder\.layer\.3\."),
        ({"num_hidden_layers": 2}, r"unexpected \(16\): encoder\.layer\.2\."),
        ({"hidden_size": 32}, r"misshapen \(\d+\): .*word_embeddings\.weight is \(61, 24\)"),
        (
            {"intermediate_size": 41},
            r"misshapen \(9\): .*\(40,\) in the file and \(41,\) according",
        ),
        ({"vocab_size": 2**24}, r"misshapen \(1\): embeddings\.word_embeddings\.weight"),
        ({"max_position_embeddings": 512}, r"position_embeddings\.weight is \(16, 24\)"),
        ({"type_vocab_size": 1}, r"token_type_embeddings\.weight is \(2, 24\) .* \(1, 24\)"),
    ],
)
def test_a_config_that_disagrees_with_the_weights_is_refused_with_the_tensors(
    tmp_path, changes, words
):
    hf_checkpoint(tmp_path)
    edit_config(tmp_path, **changes)
    with pytest.raises(MiniftError, match=words):
        load_model(Bert, tmp_path)


def test_fewer_class_names_than_rows_are_refused_with_both_shapes(tmp_path):
    save_pretrained(own_model(SequenceClassifier), None, tmp_path)
    edit_config(tmp_path, id2label={"0": "a", "1": "b"})
    with pytest.raises(
        MiniftError, match=r"classifier\.weight is \(3, 24\) in the file and \(2, 24\)"
    ):
        load_model(SequenceClassifier, tmp_path)


def test_a_tensor_stored_under_two_names_is_refused_with_both(tmp_path):
    hf_checkpoint(tmp_path)
    rewrite(
        tmp_path,
        lambda t: t.update({"bert.embeddings.LayerNorm.gamma": torch.ones(24)}),
    )
    with pytest.raises(MiniftError, match=r"stored twice \(1\): .*LayerNorm") as caught:
        load_model(Bert, tmp_path)
    for name in ("bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"):
        assert name in str(caught.value)


def test_a_tokenizer_with_more_pieces_than_the_embedding_has_rows_is_refused(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{i}" for i in range(57))]
    save_pretrained(own_model(Bert), Tokenizer.from_vocabulary(words, lowercase=True), tmp_path)
    for load in (load_tokenizer, load_encoder):
        with pytest.raises(MiniftError, match=r"tokenizer has 62 pieces, .* only 61 rows"):
            load(tmp_path)


def test_another_family_is_refused_by_name_before_its_weights_are_read(tmp_path):
    config = transformers.RobertaConfig(
        vocab_size=61, hidden_size=24, num_hidden_layers=1, num_attention_heads=4
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(MiniftError, match="model_type is 'roberta'"):
        load_model(Bert, tmp_path)


# --- files that lie ------------------------------------------------------------------------


class Evil:
    """Unpickling it creates a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def torch_pickle(content, path: Path) -> None:
    torch.save(content, path)


def plain_pickle(content, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("store", [torch_pickle, plain_pickle])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, store):
    hf_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    trap, file = tmp_path / "trap", tmp_path / "pytorch_model.bin"
    store({"embeddings.word_embeddings.weight": Evil(trap)}, file)
    with pytest.raises(MiniftError, match=r"pytorch_model\.bin: .*never unpickles") as caught:
        load_model(Bert, tmp_path)
    assert not trap.exists()
    assert "\n" not in str(caught.value)
    assert "weights_only=False" not in str(caught.value)  # PyTorch's own advice would run it
    # Negative control: the trap works.
    torch.load(file, weights_only=False) if store is torch_pickle else pickle.loads(
        file.read_bytes()
    )
    assert trap.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.ones(2)], "expected a table of tensors by name"),
        ({"state_dict": {"a": torch.ones(2)}}, "expected a table of tensors by name"),
        ({3: torch.ones(2)}, "expected a table of tensors by name"),
        (torch.ones(2), "expected a table of tensors by name"),
    ],
)
def test_a_bin_that_is_no_table_of_tensors_is_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(MiniftError, match=words):
        read_tensors(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, name):
    tensors = {"a": torch.arange(50.0), "b": torch.ones(3, 4)}
    path = tmp_path / name
    save_file(tensors, path) if name.endswith("safetensors") else torch.save(tensors, path)
    whole = path.read_bytes()
    assert set(read_tensors(tmp_path)) == {"a", "b"}
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(MiniftError, match=re.escape(str(path))) as caught:
            read_tensors(tmp_path)
        assert "\n" not in str(caught.value)


def test_flipped_bytes_of_a_header_are_refused_or_change_no_shape_silently(tmp_path):
    """Of 300 spoilt headers each is refused, or read as tables of other names or types."""
    save_file({"a": torch.arange(50.0), "b": torch.ones(3, 4)}, tmp_path / "model.safetensors")
    path, draw = tmp_path / "model.safetensors", random.Random(0)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = 0
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[draw.randrange(header)] ^= 1 << draw.randrange(8)
        path.write_bytes(spoilt)
        try:
            tensors = read_tensors(tmp_path)
        except MiniftError as error:
            assert str(error).startswith(f"{path}: damaged, or not a safetensors file")
            refused += 1
        else:
            assert sum(t.numel() * t.element_size() for t in tensors.values()) == 62 * 4
    assert refused > 200


def test_a_folder_without_weights_is_refused_with_the_names_looked_for(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config_to_dict(BertConfig(), "BertModel")))
    with pytest.raises(
        MiniftError,
        match=r"no whole weights; expected model\.safetensors, .*index\.json, pytorch_model",
    ):
        load_model(Bert, tmp_path)


# --- shards --------------------------------------------------------------------------------


def shards(folder: Path) -> tuple[Path, dict]:
    hf_checkpoint(folder, max_shard_size="10KB")
    index = folder / "model.safetensors.index.json"
    return index, json.loads(index.read_text())


def test_a_missing_shard_is_named(tmp_path):
    index, content = shards(tmp_path)
    lost = sorted(set(content["weight_map"].values()))[1]
    (tmp_path / lost).unlink()
    with pytest.raises(MiniftError, match=rf"{re.escape(str(index))}: shard {lost} is missing"):
        load_model(Bert, tmp_path)


@pytest.mark.parametrize(
    "target", ["../outside.safetensors", "/{folder}/outside.safetensors", ".."]
)
def test_an_index_that_points_outside_the_folder_is_refused_even_if_the_file_is_there(
    tmp_path, target
):
    inside = tmp_path / "inside"
    index, content = shards(inside)
    first = sorted(content["weight_map"])[0]
    save_file({first: torch.ones(1)}, tmp_path / "outside.safetensors")
    content["weight_map"][first] = target.format(folder=str(tmp_path).lstrip("/"))
    index.write_text(json.dumps(content))
    with pytest.raises(MiniftError, match=r"shard .* (points outside the folder|is missing)"):
        load_model(Bert, inside)


def test_a_tensor_that_is_in_no_shard_is_named(tmp_path):
    index, content = shards(tmp_path)
    shard = next(iter(content["weight_map"].values()))
    content["weight_map"] |= {"promised": shard, "and.another": shard}
    index.write_text(json.dumps(content))
    with pytest.raises(MiniftError, match=r"tensors in no shard: and\.another, promised"):
        load_model(Bert, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"weight_map": 3}',
        b'{"weight_map": ["a"]}',
        b'{"weight_map": {"a": 3}}',
        b'{"weight_map": {"a": ["b"]}}',
        b'{"weight_map": {"a": null, "b": "c"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_an_index_that_is_no_index_is_refused(tmp_path, content):
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(content)
    words = r'index\.json: (expected \{"weight_map": \{tensor: file|.*JSON)'
    with pytest.raises(MiniftError, match=words):
        read_tensors(tmp_path)


# --- saving --------------------------------------------------------------------------------


def test_saving_replaces_a_checkpoint_and_leaves_nothing_else_behind(tmp_path):
    for seed in (0, 1):
        save_pretrained(own_model(Bert, seed=seed), None, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(output(load_model(Bert, tmp_path)[0]), output(own_model(Bert, seed=1)))


def test_a_disk_without_space_leaves_the_checkpoint_that_was_there(tmp_path):
    save_pretrained(own_model(Bert), None, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # the weights take 50,000
    try:
        with pytest.raises(MiniftError, match=r"cannot write to .*before is unchanged"):
            save_pretrained(own_model(SequenceClassifier, seed=1), None, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_saving_changes_neither_the_model_nor_its_dtype_nor_its_mode(tmp_path):
    own = own_model(SequenceClassifier).double().train()
    before = {name: p.detach().clone() for name, p in own.named_parameters()}
    save_pretrained(own, None, tmp_path, dtype=torch.float32)
    assert own.training
    for name, parameter in own.named_parameters():
        assert parameter.dtype == torch.float64
        assert torch.equal(parameter, before[name])
    assert next(iter(read_tensors(tmp_path).values())).dtype == torch.float32


# --- models without a checkpoint -----------------------------------------------------------


def test_a_random_model_is_a_function_of_its_generator_drawn_as_bert_draws():
    config = own_config(initializer_range=0.05)
    models = [
        random_model(SequenceClassifier, config, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    for (name, a), (_, b), (_, c) in zip(*(model.named_parameters() for model in models)):
        assert torch.equal(a, b)
        if name.endswith("bias"):
            assert not a.any(), name
        elif name.endswith("norm.weight"):
            assert (a == 1).all(), name
        else:
            assert not torch.equal(a, c), name
            assert abs(a.std() - 0.05) < 0.05 * 4 / (2 * a.numel()) ** 0.5, name
    assert not models[0].training


def test_loading_a_checkpoint_does_not_import_torchs_compiler(tmp_path):
    # torch's own initialisation on the meta device imports it, which takes a second.
    checkpoint(tmp_path)
    code = (
        "import sys; from minift.bert.masked_lm import MaskedLM; "
        "from minift.checkpoints.weights import load_model; "
        f"load_model(MaskedLM, {str(tmp_path)!r}); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
