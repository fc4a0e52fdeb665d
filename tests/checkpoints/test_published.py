"""Checkpoints as the world writes them: they load, or one line names all that stands against it.

claim                                                        oracle
encoders of twelve published shapes load, states and ids     transformers on the same folder
seven other families are refused, even if they deny it       transformers' own checkpoints
words before every name are one fact                         the logits without them
sharded .bin files are read, each as carefully               one file; a pickle that would run
where no weights are, what is there and the remedy is said   folders by hand, as encoder and run
quantised weights and pointers of git-lfs take one sentence  files as their programs write them
tokens added after pretraining get transformers' ids         AutoTokenizer
a tokenizer that is not BERT's is refused by name            files by hand
a cased vocabulary that nothing says how to case is told     the warning
an encoder with one segment reads pairs                      transformers without token_type_ids
"""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import minift
from minift.bert.heads import SequenceClassifier
from minift.bert.packing import pack
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_encoder, load_model, load_tokenizer, read_tensors
from minift.cli.main import main
from minift.errors import MiniftError
from minift.runs.folder import load_run
from tests.bert.reference import randomise
from tests.checkpoints.test_weights import Evil
from tests.tiny import SPECIAL

WORDS = [*SPECIAL, *"abcdefghijklmnopqrstuvwxyz[]<>1", *"the film was good bad plot".split()]  # noqa: SIM905
WORDS += ["##" + letter for letter in "abcdefghijklmnopqrstuvwxyz1"]
CASED = [*WORDS, "The", "Film", "A"]
TEXT = "The film was a Good one [E1] <user>"
SIZES = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40,
    "max_position_embeddings": 32, "initializer_range": 0.3,
}  # fmt: skip


def published(
    folder: Path, kind=transformers.BertModel, words=WORDS, change=None, drop=(), tokenizer=None,
    **options,
):  # fmt: skip
    """Write a small BERT with transformers; change its config.json; lay bare tokenizer files."""
    model = kind(transformers.BertConfig(vocab_size=len(words) + 3, **{**SIZES, **options}))
    randomise(model, 0, std=0.3).eval().save_pretrained(folder)
    edit(folder / "config.json", drop, **(change or {}))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder


def edit(file: Path, drop=(), **changes) -> None:
    content = {k: v for k, v in json.loads(file.read_text()).items() if k not in drop}
    file.write_text(json.dumps({**content, **changes}))


def renamed(folder: Path, name) -> None:
    """Give each tensor of a folder the name `name(of it)`."""
    tensors = load_file(folder / "model.safetensors")
    save_file({name(old): t for old, t in tensors.items()}, folder / "model.safetensors")


POOLER = {
    "directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3, "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
}  # fmt: skip
GENERATION = {
    "do_sample": False, "eos_token_ids": 0, "length_penalty": 1.0, "max_length": 20,
    "num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "temperature": 1.0,
    "top_k": 50, "top_p": 1.0, "output_past": True, "use_bfloat16": False, "pruned_heads": {},
    "is_decoder": False, "torchscript": False, "num_labels": 2, "finetuning_task": None,
}  # fmt: skip
BARE = (
    *("model_type", "architectures", "transformers_version", "pad_token_id", "layer_norm_eps"),
    *("classifier_dropout", "problem_type", "position_embedding_type", "use_cache", "dtype"),
)
LM = transformers.BertForMaskedLM
SHAPES = {  # config.json, tokenizer_config.json and classes as their makers published them
    "bert-base-uncased": {"kind": transformers.BertForPreTraining, "change": {
        "architectures": ["BertForMaskedLM"], "gradient_checkpointing": False,
        "transformers_version": "4.6.0.dev0"}, "tokenizer": {"do_lower_case": True}},
    "bert-base-cased": {"kind": LM, "words": CASED, "tokenizer": {
        "do_lower_case": False, "model_max_length": 32}},
    "bert-base-multilingual-cased": {"kind": LM, "words": CASED, "change": POOLER,
        "tokenizer": {"do_lower_case": False}},
    "bert-base-chinese": {"kind": LM, "change": POOLER, "tokenizer": {"do_lower_case": False}},
    "LaBSE": {"words": CASED, "change": {**POOLER, "_name_or_path": "x"},
        "tokenizer": {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}},
    "prajjwal1/bert-tiny": {"drop": BARE},
    "google/bert_uncased_L-2_H-128_A-2": {"kind": transformers.BertForPreTraining, "drop": (
        "architectures", *BARE[2:])},
    "all-MiniLM-L6-v2": {"tokenizer": {"do_lower_case": True, "tokenizer_class": "BertTokenizer",
        "cls_token": "[CLS]", "model_max_length": 512, "never_split": None}},
    "huawei-noah/TinyBERT": {"drop": BARE, "change": {"model_type": "bert", "cell": {},
        "emb_size": 312, "structure": [], "pre_trained": "", "training": ""}},
    "dbmdz/bert-base-german-cased": {"kind": LM, "words": CASED,
        "tokenizer": {"do_lower_case": False, "max_len": 512, "init_inputs": []}},
    "allenai/scibert": {"drop": BARE, "tokenizer": {"do_lower_case": True}},
    "transformers 2": {"change": GENERATION},
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_published_shape_loads_with_the_states_and_ids_of_transformers(tmp_path, name):
    folder = published(tmp_path, **SHAPES[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of it is worth a word
        encoder, tokenizer = load_encoder(folder)
    edit(folder / "config.json", model_type="bert")  # which transformers 5 cannot do without
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    ids = tokenizer.encode([TEXT])[0].input_ids
    assert ids == transformers.AutoTokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    with torch.no_grad():
        expected = theirs(torch.tensor([ids])).last_hidden_state[0]
        torch.testing.assert_close(encoder(pack([ids])), expected, rtol=0, atol=2e-5)


def test_a_cross_encoder_gives_its_number(tmp_path):
    """As ms-marco-MiniLM-L-6-v2: one output, named LABEL_0, and no problem_type."""
    kind = transformers.BertForSequenceClassification
    change = {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}
    folder = published(tmp_path, kind, change=change, drop=("problem_type",), num_labels=1)
    tuned = load_run(folder)
    assert (tuned.task, tuned.labels) == ("regression", ())
    (answer,) = minift.predict(tuned, [minift.TextExample("1", "the film", None, "was good")])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    pair = transformers.AutoTokenizer.from_pretrained(folder)("the film", "was good")
    expected = model(**{k: torch.tensor([v]) for k, v in pair.items()}).logits.item()
    assert answer["label"] == pytest.approx(expected, abs=1e-5) and "scores" not in answer
    # Trained further, it keeps its head, whatever the one output is called.
    _, report = load_model(SequenceClassifier, folder, ("score",), "regression")
    assert report.initialised == ()


@pytest.mark.parametrize(
    ("outputs", "kind", "words"),
    [
        (3, "regression", r"problem_type is 'regression' with 3 output"),
        (1, "single_label_classification", "with 1 output"),
    ],
)
def test_a_head_that_answers_in_another_way_is_refused_and_its_encoder_is_not(
    tmp_path, outputs, kind, words
):
    model = transformers.BertForSequenceClassification
    folder = published(tmp_path, model, change={"problem_type": kind}, num_labels=outputs)
    with pytest.raises(MiniftError, match=words):
        load_run(folder)
    assert load_encoder(folder)[0].config.hidden_size == 24


def test_a_classifier_whose_pooler_is_lost_is_refused(tmp_path):
    folder = published(tmp_path, transformers.BertForSequenceClassification)
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "pooler" not in name}
    save_file(kept, folder / "model.safetensors")
    with pytest.raises(MiniftError, match="has no pooler"):
        load_run(folder)


# --- other families ------------------------------------------------------------------------

HF = transformers
COMMON = {k: v for k, v in SIZES.items() if k != "max_position_embeddings"}
OTHERS = {
    "roberta": (HF.RobertaForMaskedLM, HF.RobertaConfig, COMMON),
    "distilbert": (HF.DistilBertModel, HF.DistilBertConfig, {"dim": 24, "n_heads": 4}),
    "electra": (HF.ElectraForMaskedLM, HF.ElectraConfig, {**COMMON, "embedding_size": 24}),
    "albert": (HF.AlbertModel, HF.AlbertConfig, {**COMMON, "embedding_size": 8}),
    "deberta-v2": (HF.DebertaV2Model, HF.DebertaV2Config, COMMON),
    "mpnet": (HF.MPNetModel, HF.MPNetConfig, COMMON),
    "modernbert": (HF.ModernBertModel, HF.ModernBertConfig, {
        **COMMON, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
        "sep_token_id": 2}),
}  # fmt: skip


@pytest.mark.parametrize("family", OTHERS)
def test_another_family_is_refused_also_where_its_config_says_bert_or_nothing(tmp_path, family):
    kind, config, sizes = OTHERS[family]
    kind(config(vocab_size=len(WORDS), **sizes)).save_pretrained(tmp_path)
    with pytest.raises(MiniftError, match=f"model_type is '{family}'"):
        load_encoder(tmp_path)
    edit(tmp_path / "config.json", ("model_type", "architectures"))
    with pytest.raises(MiniftError) as unsaid:
        load_encoder(tmp_path)
    edit(tmp_path / "config.json", model_type="bert")
    with pytest.raises(MiniftError) as denied:
        load_encoder(tmp_path)
    for caught in (unsaid, denied):
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 900


def test_a_bare_roberta_that_does_not_say_so_is_told_by_its_padding(tmp_path):
    """Its tensors have BERT's names, and its positions begin at 2."""
    HF.RobertaModel(HF.RobertaConfig(vocab_size=61, **COMMON)).save_pretrained(tmp_path)
    edit(tmp_path / "config.json", ("model_type", "architectures"))
    with pytest.raises(MiniftError, match='no "model_type"'):
        load_encoder(tmp_path)


# --- names and files -----------------------------------------------------------------------

CLASSIFIER = transformers.BertForSequenceClassification


@pytest.mark.parametrize(
    "before", ["module.", "model.", "_orig_mod.", "0.auto_model.", "_orig_mod.module.", "student."]
)
def test_what_stands_before_every_name_is_left_out(tmp_path, before):
    folder = published(tmp_path, CLASSIFIER)
    expected = dict(load_run(folder).model.named_parameters())
    renamed(folder, lambda name: before + name)
    found = dict(load_run(folder).model.named_parameters())
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_word_before_a_bare_encoder_may_be_a_wrapper_and_not_another_model(tmp_path):
    folder, tried = published(tmp_path), ["", "0.auto_model.", "encoder.", "module.model."]
    expected = load_encoder(folder)[0].embeddings.word.weight
    for old, new in pairwise(tried):
        renamed(folder, lambda name: new + name.removeprefix(old))  # noqa: B023
        assert torch.equal(load_encoder(folder)[0].embeddings.word.weight, expected)
    renamed(folder, lambda name: "roberta." + name.removeprefix("module.model."))
    with pytest.raises(MiniftError, match=r"of one BERT, found roberta\.embeddings\.word"):
        load_encoder(folder)


def test_two_encoders_in_a_file_are_named_and_not_mixed(tmp_path):
    folder = published(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    both = {f"{who}.bert.{n}": t.clone() for n, t in tensors.items() for who in ("query", "doc")}
    save_file(both, folder / "model.safetensors")
    with pytest.raises(MiniftError, match=r"found doc\.bert\..* and query\.bert\."):
        load_encoder(folder)


def test_a_list_of_hundreds_of_tensors_is_counted_and_not_told(tmp_path):
    folder = published(tmp_path)
    renamed(folder, lambda name: name.replace("layer", "block"))
    with pytest.raises(MiniftError, match=r"missing \(32\): .* unexpected \(32\)") as caught:
        load_encoder(folder)
    assert len(str(caught.value)) < 1500


def pickled(folder: Path, tensors, parts: int = 2) -> None:
    """Store a folder's weights as shards of pytorch_model.bin."""
    names, places = sorted(tensors), {}
    for part in range(parts):
        file = f"pytorch_model-{part + 1:05}-of-{parts:05}.bin"
        torch.save({name: tensors[name] for name in names[part::parts]}, folder / file)
        places |= dict.fromkeys(names[part::parts], file)
    index = json.dumps({"metadata": {}, "weight_map": places})
    (folder / "pytorch_model.bin.index.json").write_text(index)
    (folder / "model.safetensors").unlink()


def test_shards_of_a_bin_are_read_and_nothing_in_them_runs(tmp_path):
    folder = published(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    pickled(folder, tensors)
    found = read_tensors(folder)
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    trap = tmp_path / "trap"
    torch.save({"a": Evil(trap)}, folder / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(MiniftError, match="never unpickles"):
        load_encoder(folder)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("config.json", "tf_model.h5"), r"no whole weights.*from_tf=True"),
        (("config.json", "flax_model.msgpack"), r"from_flax=True"),
        (("config.json", "model.fp16.safetensors"), r"rename model\.fp16\.safetensors to model\."),
        (("config.json", "checkpoint-9/config.json"), "give the folder checkpoint-9"),
        (("config.json", "model.safetensors", "adapter_config.json"), "merge it into its base"),
        (("adapter_config.json",), r"no config\.json.*merge it into its base"),
        (("0_Transformer/config.json", "1_Pooling/config.json"), "give the folder 0_Transformer"),
        (("bert_config.json", "vocab.txt"), r"; rename bert_config\.json to config\.json"),
        (("bert_config.json", "bert_model.ckpt.index"), "convert_bert_original_tf_.*, and rename"),
        (("config.json", "bert_model.ckpt.index"), r"convert it with transformers 4 \(python -m"),
        (("model-q4.gguf",), r"; model-q4\.gguf was exported from a checkpoint"),
        (("config.json", "model.onnx"), r"; model\.onnx was exported"),
        (("config.json", "onnx/model.onnx"), r"; onnx was exported"),
        (("config.json", "model-00002-of-00002.safetensors"), r"the parts lack their \.index"),
        (("config.json", "pytorch_model-00001-of-00002.bin"), r"the parts lack their \.index"),
        (("model-00001-of-00002.gguf",), r"gguf was exported"),
        (("model.safetensors",), r"no config\.json .*; give a whole folder"),
        (("pytorch_model.bin",), r"no config\.json .*; give a whole folder"),
    ],
)
def test_where_no_weights_can_be_read_the_remedy_is_named(tmp_path, files, words):
    good = published(tmp_path / "good")
    for file in files:
        (tmp_path / "bad" / file).parent.mkdir(parents=True, exist_ok=True)
        content = (good / file).read_bytes() if (good / file).exists() else b"{}"
        (tmp_path / "bad" / file).write_bytes(content)
    with pytest.raises(MiniftError, match=words) as encoder:
        load_model(minift.Bert, tmp_path / "bad")
    if "config.json" not in files:
        with pytest.raises(MiniftError) as run:
            load_run(tmp_path / "bad")
        assert str(run.value) == str(encoder.value).replace("a checkpoint folder", "a run folder")


def test_what_is_no_run_says_what_it_is(tmp_path):
    published(tmp_path / "encoder")
    for name in ("gguf", "json"):
        (tmp_path / f"config.{name}").write_text("{}")
    for name in ("run", "project"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text("{}")
    for name, words in {
        "encodre": 'there is no run folder .*did you mean ".*encoder"',
        "config.gguf": "is a file; a run is a folder .*; config.gguf was exported",
        "config.json": r"is a file; a run is a folder with a config\.json$",
        "run": "this run is not finished",
        "project": "train a model of this project: minift active train",
        "encoder": r"\['BertModel'\], so this is an encoder without a classifier: train one",
    }.items():
        with pytest.raises(MiniftError, match=words):
            load_run(tmp_path / name)
    with pytest.raises(MiniftError, match="no run folder tiny; this is an encoder"):
        load_run("tiny")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "pytorch_model.bin", "config.json", "tokenizer.json", "vocab.txt"]
)
def test_a_pointer_of_git_lfs_is_named_whatever_file_it_stands_for(tmp_path, name):
    folder = published(tmp_path)
    if name == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    oid = "oid sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    pointer = f"version https://git-lfs.github.com/spec/v1\n{oid}\nsize 90868376\n"
    (folder / name).write_text(pointer)
    with pytest.raises(MiniftError, match=rf"{name} is a pointer of git-lfs.*git lfs pull"):
        load_encoder(folder)


def test_a_training_checkpoint_without_tokenizer_says_whose_to_copy(tmp_path):
    published(tmp_path, kind=transformers.BertForSequenceClassification)
    (tmp_path / "vocab.txt").rename(tmp_path / "trainer_state.json")
    for load in (load_encoder, load_run):
        with pytest.raises(MiniftError, match=r"no tokenizer in .*copy it.* from the encoder"):
            load(tmp_path)


def bitsandbytes(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """As `load_in_8bit` stores a matrix: its rows in 8 bits, their scales beside."""
    layer = name.removesuffix(".weight")
    scale = tensor.abs().amax(1)
    whole = (127 * tensor / scale[:, None]).round().to(torch.int8)
    form = torch.tensor(0, dtype=torch.uint8)
    return {name: whole, f"{layer}.SCB": scale, f"{layer}.weight_format": form}


def gptq(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    layer, packed = name.removesuffix(".weight"), torch.zeros(3, len(tensor), dtype=torch.int32)
    return {
        f"{layer}.qweight": packed,
        f"{layer}.qzeros": packed.clone(),
        f"{layer}.scales": tensor,
    }


@pytest.mark.parametrize(
    "quantised", [bitsandbytes, gptq, lambda n, t: {n: t.flatten()[::2, None].to(torch.uint8)}]
)
def test_quantised_weights_are_refused_in_one_short_sentence(tmp_path, quantised):
    folder = published(tmp_path)
    parts = load_file(folder / "model.safetensors")
    for name in [n for n, t in parts.items() if "layer." in n and t.dim() == 2]:
        parts |= quantised(name, parts.pop(name))
    save_file(parts, folder / "model.safetensors")
    with pytest.raises(MiniftError, match=r"are not decimal numbers .*quantized model") as caught:
        load_encoder(folder)
    assert len(str(caught.value).replace(str(folder), "")) < 250
    edit(folder / "config.json", quantization_config={"load_in_8bit": True})
    with pytest.raises(MiniftError, match="none: give the checkpoint that was quantized"):
        load_encoder(folder)


def test_the_table_within_a_training_checkpoint_is_named(tmp_path):
    state = {"epoch": 3, "model_state_dict": {"a": torch.ones(2)}}
    torch.save(state, tmp_path / "pytorch_model.bin")
    with pytest.raises(MiniftError, match="save 'model_state_dict' of it alone"):
        read_tensors(tmp_path)


# --- tokenizers ----------------------------------------------------------------------------


def added(content: str, **flags) -> dict:
    plain = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
    return {"content": content, **plain, **flags}


NEXT = len(WORDS)
ADDED = {
    "added_tokens.json": ({}, {"added_tokens.json": {"<user>": NEXT, "[E1]": NEXT + 1}}),
    "listed as special": (
        {"additional_special_tokens": ["[E1]"]},
        {"added_tokens.json": {"[E1]": NEXT, "<user>": NEXT + 1}},
    ),
    "added_tokens_decoder": (
        {"added_tokens_decoder": {
            str(NEXT): added("[E1]", special=True), str(NEXT + 1): added("<user>", lstrip=True),
            "0": added("[PAD]", special=True)}},
        {"added_tokens.json": {"[E1]": 3}},  # which is then not read
    ),
    "special_tokens_map.json": (
        {}, {"special_tokens_map.json": {"additional_special_tokens": ["[E1]", "<user>"]}},
    ),
    "tokens with names": ({"ent_token": "[E1]", "extra_special_tokens": ["<user>"]}, {}),
}  # fmt: skip


@pytest.mark.parametrize("way", ADDED)
@pytest.mark.parametrize("lowercase", [True, False])
def test_added_tokens_get_the_ids_of_transformers(tmp_path, way, lowercase):
    config, files = ADDED[way]
    folder = published(tmp_path, tokenizer={"do_lower_case": lowercase, **config})
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    ours, theirs = load_tokenizer(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for text in (TEXT, "good <user>was [E1]", "[e1] <USER> [PAD]"):
        assert ours.encode([text])[0].input_ids == theirs(text)["input_ids"]
    assert {NEXT, NEXT + 1} <= set(ours.encode([TEXT])[0].input_ids)
    ours.save(tmp_path / "again")
    again = Tokenizer.from_directory(tmp_path / "again")
    assert again.encode([TEXT]) == ours.encode([TEXT])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"added_tokens_decoder": {str(NEXT + 1): added("[E1]")}}, rf"'\[E1\]' gets the id {NEXT}"),
        ({"added_tokens_decoder": {"x": added("[E1]")}}, "added tokens cannot be read"),
        ({"added_tokens_decoder": {"7": {"content": 3}}}, "added tokens cannot be read"),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, "tokenizer_class is 'BertJapaneseT"),
        ({"tokenizer_class": "RobertaTokenizerFast"}, "tokenizer_class is 'RobertaT"),
        ({"cls_token": "<s>", "truncation_side": "left"},
         r"cls_token is '<s>', expected \[CLS\]; truncation_side is 'left', expected right"),
        ({"auto_map": {"AutoTokenizer": "own.Own"}}, "auto_map is"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_is_not_berts_is_refused_with_all_that_is_not(tmp_path, config, words):
    folder = published(tmp_path, tokenizer={"do_lower_case": True, **config})
    with pytest.raises(MiniftError, match=words):
        load_tokenizer(folder)


def test_a_class_of_tokenizer_in_config_json_counts_too(tmp_path):
    folder = published(tmp_path, change={"tokenizer_class": "BertJapaneseTokenizer"})
    with pytest.raises(MiniftError, match="tokenizer_class is 'BertJapaneseTokenizer'"):
        load_tokenizer(folder)


def test_a_cased_vocabulary_that_nothing_says_how_to_case_is_told_once(tmp_path, capsys):
    folder = published(tmp_path, words=CASED)
    with pytest.warns(UserWarning, match=r"capital letters: 3 .'The'.*do_lower_case.: false"):
        assert load_tokenizer(folder).lowercase
    for silent in ({"do_lower_case": False}, {"do_lower_case": True}):
        (folder / "tokenizer_config.json").write_text(json.dumps(silent))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert load_tokenizer(folder).lowercase == silent["do_lower_case"]
    (folder / "tokenizer_config.json").unlink()
    edit(folder / "config.json", note="mine")
    assert main(["info", str(folder)]) == 0  # reads both files more than once
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 2 and "unknown keys are ignored: note" in " ".join(notes)


# --- pairs where there is one segment ------------------------------------------------------


def test_an_encoder_with_one_segment_reads_a_pair_as_transformers_without_segments(tmp_path):
    folder = published(tmp_path, type_vocab_size=1)
    encoder, tokenizer = load_encoder(folder)
    (pair,) = tokenizer.encode(["the film"], ["was good"])
    assert set(pair.segment_ids) == {0}
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = theirs(torch.tensor([pair.input_ids])).last_hidden_state[0]
        states = encoder(pack([pair.input_ids], [pair.segment_ids]))
    torch.testing.assert_close(states, expected, rtol=0, atol=2e-5)
    two = load_tokenizer(published(tmp_path / "two"))  # negative control
    assert set(two.encode(["the film"], ["was good"])[0].segment_ids) == {0, 1}
