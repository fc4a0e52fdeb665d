"""Checkpoints: read and write Hugging Face's layout, and name every tensor that does not fit.

Claim    A checkpoint either fills the model exactly or is refused with one error that counts
         all missing, unexpected and misshapen tensors. What is written loads in
         `transformers` and gives the same logits; a head that it does not have is refused there.
Source   File layout of `transformers`: config.json beside model.safetensors or pytorch_model.bin,
         or their shards with an index.
Differs  - pytorch_model.bin is read with `weights_only=True` only, so nothing in it can run.
         - A head that the checkpoint lacks, or has for other labels, is drawn anew, and
           `LoadReport.initialised` says so; a missing encoder tensor is always an error.
         - "module." of DataParallel and its like, before every name, are left out.
Proof    tests/checkpoints/test_weights.py
"""

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from minift.bert.config import MOST_CLASSES, BertConfig
from minift.bert.encoder import Bert
from minift.bert.heads import Classifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM, Model, initialise
from minift.checkpoints.hub import remedy, resolve
from minift.checkpoints.limits import read_json
from minift.checkpoints.modules import DENSE, ENCODER, description, encoder_folder
from minift.checkpoints.strict import KINDS, config_from_json, config_to_dict
from minift.checkpoints.tensor_files import read_pickled, read_safetensors
from minift.checkpoints.tokenizer import Tokenizer
from minift.errors import MiniftError
from minift.files import atomic_directory_write, digest

# ours -> Hugging Face's, applied in this order to names such as "bert.layers.0.output.bias".
_RENAMES = [
    (r"(^|\.)layers\.(\d+)\.", r"\1encoder.layer.\2."),
    (r"\.attention\.(query|key|value)\.", r".attention.self.\1."),
    (r"\.attention\.output\.", r".attention.output.dense."),
    (r"\.attention_norm\.", r".attention.output.LayerNorm."),
    (r"\.intermediate\.", r".intermediate.dense."),
    (r"(layer\.\d+)\.output\.", r"\1.output.dense."),
    (r"\.output_norm\.", r".output.LayerNorm."),
    (r"embeddings\.(word|position)\.", r"embeddings.\1_embeddings."),
    (r"embeddings\.segment\.", r"embeddings.token_type_embeddings."),
    (r"embeddings\.norm\.", r"embeddings.LayerNorm."),
    (r"^transform\.", r"cls.predictions.transform.dense."),
    (r"^norm\.", r"cls.predictions.transform.LayerNorm."),
    (r"^bias$", r"cls.predictions.bias"),
]
_BUFFER = re.compile(r"(bert\.)?embeddings\.(position_ids|token_type_ids)")  # computed, not learned
_HEAD = re.compile(r"(?:bert\.)?(classifier|cls\.\w+|qa_outputs|pooler)\.")
# A file may store these a second time; the masked LM uses the original for both.
_TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
_CLASSIFIER = "classifier."  # stands before the names of a head that lies in a file of its own
_SHOWN = 5  # names per list of an error
# Anything may stand before "bert.", but only these before a bare encoder: "roberta." is another.
_WRAPPERS = r"((?:\w+\.)*?(?=bert\.)|(?:(?:module|\w*model|_orig_mod|encoder|net|\d+)\.)*)"
_WRAPPED = re.compile(_WRAPPERS + r"(?:bert\.)?embeddings\.word_embeddings\.weight")


@dataclass(frozen=True)
class LoadReport:
    """What happened to each tensor, by Hugging Face's names."""

    loaded: tuple[str, ...]  # taken from the file
    initialised: tuple[str, ...]  # drawn: the file has no such head, or one for other labels
    ignored: tuple[str, ...]  # in the file and not needed: buffers, and heads of other tasks


M = TypeVar("M", bound=Bert | Model)
Built = TypeVar("Built", bound=nn.Module)
Sizes = TypeVar("Sizes")


@functools.cache
def hf_name(name: str) -> str:
    """Return the name that Hugging Face gives to our parameter `name`.

    >>> hf_name("bert.layers.3.attention.query.bias")
    'bert.encoder.layer.3.attention.self.query.bias'
    >>> hf_name("bert.layers.3.output.weight")
    'bert.encoder.layer.3.output.dense.weight'
    """
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def load_encoder(name_or_path: str | Path) -> tuple[Bert, Tokenizer]:
    """Load a pretrained encoder and its tokenizer: a folder, a short name or a hub id.

    A MiniftError says if it cannot be found, is not a BERT, or has a tensor that does not fit.
    """
    model, _ = load_model(Bert, name_or_path)
    return model, load_tokenizer(name_or_path)


def load_tokenizer(name_or_path: str | Path) -> Tokenizer:
    """Load the tokenizer of a checkpoint; raises as `load_encoder`, and if it does not fit."""
    directory = resolve(name_or_path)
    config = config_from_json(directory / "config.json", labelled=False)
    sizes = config.max_position_embeddings, config.type_vocab_size
    tokenizer = Tokenizer.from_directory(encoder_folder(directory), *sizes)
    if tokenizer.vocab_size > config.vocab_size:
        raise MiniftError(
            f"{directory}: the tokenizer has {tokenizer.vocab_size} pieces, the word embedding "
            f"only {config.vocab_size} rows; they do not belong together"
        )
    return tokenizer


class _NothingDrawn(TorchFunctionMode):
    """Skip torch.nn.init: on the meta device it would import torch's compiler, for a second."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kw: Any = None) -> Any:
        if getattr(function, "__module__", None) == "torch.nn.init":
            return args[0] if args else kw["tensor"]
        return function(*args, **(kw or {}))


def without_weights(model_class: Callable[[Sizes], Built], config: Sizes) -> Built:
    """Build a model on the meta device: shapes and names, no memory and no time."""
    with torch.device("meta"), _NothingDrawn():
        return model_class(config)


def load_model(
    model_class: type[M],
    name_or_path: str | Path,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    generator: torch.Generator | None = None,
) -> tuple[M, LoadReport]:
    """Load a checkpoint into an encoder with the head `model_class`.

    Args:
        model_class: Bert, a classifier or MaskedLM.
        labels: classes of the head, in the order of the logits; None takes the checkpoint's.
        problem_type: "regression" for one number, "multi_label_classification" for any labels.
        generator: source of the weights of a head that the checkpoint lacks.

    Returns the model in evaluation mode and float32, and what happened to each tensor.
    """
    directory = resolve(name_or_path)
    labelled = labels is None and issubclass(model_class, Classifier)
    config = config_from_json(directory / "config.json", labelled)
    tensors = _unwrapped(read_tensors(directory), directory)
    output = tensors.get("classifier.weight")
    if not config.labels and output is not None and output.dim() == 2:
        # transformers does not write the names LABEL_0, LABEL_1, ... of unnamed classes
        rows = range(min(len(output), MOST_CLASSES + 1))  # one too many is refused by `replace`
        config = replace(config, labels=tuple(f"LABEL_{row}" for row in rows))
    one_number = len(config.labels) == 1 and problem_type == "regression"
    alike = (config.problem_type == KINDS[1]) == (problem_type == KINDS[1])  # softmax, or sigmoid
    same_labels = labels is None or (tuple(labels) == config.labels and alike) or one_number
    if labels is not None:
        config = replace(config, labels=tuple(labels), problem_type=problem_type)
    elif labelled and model_class is not TokenClassifier:
        config = _one_answer(config, directory)
    model = without_weights(model_class, config)
    report = _assign(model, tensors, same_labels, generator, directory)
    if isinstance(model, Bert) and report.initialised:
        # the checkpoint has no pooler, and nobody asked for a random one
        model.pooler, report = None, replace(report, initialised=())
    model.eval()
    return model, report


def _one_answer(config: BertConfig, directory: Path) -> BertConfig:
    """Refuse a head of one class, or of several numbers; one output is a number, if unsaid."""
    kind, outputs = config.problem_type, len(config.labels)
    kind = "regression" if outputs == 1 and kind is None else kind
    if outputs and kind != KINDS[1] and (kind == "regression") != (outputs == 1):
        raise MiniftError(
            f"{directory}: problem_type is {kind!r} with {outputs} output(s); minift chooses among "
            "classes or gives one number. To use the encoder only, name your own labels"
        )
    return replace(config, problem_type=kind)


def read_tensors(directory: Path) -> dict[str, Tensor]:
    """Read all tensors of a checkpoint folder, by the names in the file."""
    stems = "model.safetensors", "pytorch_model.bin"
    names = [stem + index for stem in stems for index in ("", ".index.json")]
    if (inner := encoder_folder(directory)) != directory:  # a head that transformers does not have
        head = read_safetensors(directory / DENSE / "model.safetensors")[0]
        return read_tensors(inner) | {f"{_CLASSIFIER}{name}": t for name, t in head.items()}
    there = [directory / name for name in names if (directory / name).is_file()]
    if there and not (directory / "adapter_config.json").exists():
        return (_read_shards if there[0].suffix == ".json" else _read_file)(there[0])
    expected = ", ".join(names)
    raise MiniftError(f"{directory}: no whole weights; expected {expected}{remedy(directory)}")


def _read_file(file: Path) -> dict[str, Tensor]:
    return read_pickled(file) if file.suffix == ".bin" else read_safetensors(file)[0]


def _read_shards(index: Path) -> dict[str, Tensor]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        raise MiniftError(f'{index}: expected {{"weight_map": {{tensor: file}}}}')
    tensors: dict[str, Tensor] = {}
    for shard in sorted(map(Path, set(weight_map.values()))):
        if shard != Path(shard.name):  # a shard lies beside its index, nowhere else
            raise MiniftError(f"{index}: shard {shard} points outside the folder")
        if not shard.name.isprintable() or len(shard.name.encode()) > 255:
            raise MiniftError(f"{index}: {shard.name[:80]!r} is not the name of a file")
        if not (file := index.parent / shard).is_file():
            raise MiniftError(f"{index}: shard {shard} is missing; fetch the checkpoint again")
        tensors |= _read_file(file)
    if lost := sorted(set(weight_map) - set(tensors)):
        raise MiniftError(f"{index}: tensors in no shard: {', '.join(lost)}")
    return tensors


def _unwrapped(tensors: dict[str, Tensor], directory: Path) -> dict[str, Tensor]:
    """Return the tensors without what stands before all names of the encoder."""
    words = [name for name in tensors if name.endswith("embeddings.word_embeddings.weight")]
    found = [match and match[1] for match in map(_WRAPPED.fullmatch, words)]
    if None in found or len(set(found)) > 1:
        raise MiniftError(
            f"{directory}: expected the tensors of one BERT, found {' and '.join(words)}; store "
            'its tensors alone, as "bert.embeddings..." or "embeddings..."'
        )
    return {name.removeprefix((found or [""])[0] or ""): t for name, t in tensors.items()}


def _assign(
    model: Bert | Model,
    tensors: dict[str, Tensor],
    same_labels: bool,
    generator: torch.Generator | None,
    directory: Path,
) -> LoadReport:
    """Put each tensor into its parameter; draw heads anew where the checkpoint has none."""
    in_file, twice = _canonical_names(tensors, "" if isinstance(model, Bert) else "bert.")
    untied = _tie(in_file, tensors) if isinstance(model, MaskedLM) else []
    parameters = {hf_name(ours): p for ours, p in model.named_parameters()}
    # A head comes from the file as a whole or not at all: half of one is a damaged file.
    heads = {_head(name) for name in in_file if name in parameters} | {None}
    if not same_labels:
        heads.discard("classifier")
    wanted = [name for name in parameters if _head(name) in heads]
    loaded = [name for name in wanted if name in in_file]
    misfits = [
        f"{name} is {tuple(t.shape)} in the file and {tuple(p.shape)} according to config.json"
        for name in loaded
        if (t := tensors[in_file[name]]).shape != (p := parameters[name]).shape
    ]
    others = sorted(set(in_file) - set(parameters))
    foreign = [name for name in others if not _BUFFER.fullmatch(name) and name not in _TIED]
    unexpected = [name for name in foreign if _head(name) in heads]
    types = {name: tensors[in_file[name]].dtype for name in (*loaded, *unexpected)}
    if whole := [f"{name} holds {t}" for name, t in types.items() if not t.is_floating_point]:
        raise MiniftError(
            f"{directory}: {len(whole)} of its tensors are not decimal numbers ({whole[0]}), as in "
            "a quantized model; give the checkpoint that it was made from"
        )
    faults = {
        "missing": [name for name in wanted if name not in in_file],
        "unexpected": unexpected,
        "misshapen": misfits,
        "stored twice": twice,
        "untied": untied,
    }
    listed = [f"{k} ({len(n)}): {', '.join(sorted(n)[:_SHOWN])}" for k, n in faults.items() if n]
    if listed:
        raise MiniftError(f"{directory}: weights and config.json disagree. {'; '.join(listed)}")

    model.to_empty(device="cpu")
    empty = {hf_name(ours): (ours, p) for ours, p in model.named_parameters()}
    drawn = [name for name in empty if name not in loaded]
    only = {empty[name][0] for name in drawn}
    initialise(model, model.config.initializer_range, generator, only)
    with torch.no_grad():
        for name in loaded:
            empty[name][1].copy_(tensors[in_file[name]])
    ignored = [name for name in others if name not in unexpected]
    return LoadReport(tuple(loaded), tuple(drawn), tuple(ignored))


def _canonical_names(tensors: dict[str, Tensor], prefix: str) -> tuple[dict[str, str], list[str]]:
    """Return {today's name: name in the file}, and the names that are there a second time."""
    names, twice = dict[str, str](), list[str]()
    for name in tensors:
        today = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
        today = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", today).removeprefix("bert.")
        today = re.sub(r"^(?=(embeddings|encoder|pooler)\.)", prefix, today)
        if today in names:
            twice.append(f"{name} and {names[today]}")
        names[today] = name
    return names, twice


def _tie(in_file: dict[str, str], tensors: dict[str, Tensor]) -> list[str]:
    """Let a copy stand in for an original that is not there; name copies that differ."""
    untied = []
    for copy, original in _TIED.items():
        if copy in in_file:
            a = tensors[in_file[copy]]
            b = tensors[in_file.setdefault(original, in_file[copy])]
            if not torch.equal(a.float(), b.float()):
                untied.append(f"{copy} differs from {original}, which minift uses for both")
    return untied


def _head(name: str) -> str | None:
    """Return the head that a tensor belongs to; None for the encoder's."""
    match = _HEAD.match(name)
    return match and match[1]


def save_pretrained(
    model: Bert | Model,
    tokenizer: Tokenizer | None,
    directory: str | Path,
    dtype: torch.dtype | None = None,
    mean: bool = False,
) -> None:
    """Write a checkpoint that `transformers` loads with identical logits; with the mean head one
    that `sentence_transformers` does, and with any other that `transformers` refuses (modules.py).

    All files are complete before the first replaces an older one. A `dtype` of None keeps the
    model's; a tokenizer of None is left out. An encoder says that it is made for the `mean`.
    """
    architecture = getattr(model, "hugging_face_class", "BertModel")
    tensors = {
        hf_name(name): parameter.detach().to("cpu", dtype).contiguous()
        for name, parameter in model.named_parameters()
    }
    config = config_to_dict(model.config, architecture)
    positions = model.config.max_position_embeddings
    # Where transformers does not have the head there are no weights beside config.json, or it would
    # draw a random one of its own. With the mean head it is a folder of sentence-transformers.
    inner, files, head = "", {"config.json": config}, dict[str, Tensor]()
    length = min(tokenizer.max_length, positions) if tokenizer else positions
    files |= description(model.config.hidden_size, None, length) if mean else {}
    if not architecture.startswith("Bert"):
        head, tensors = (
            {n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)}
            for part in (_CLASSIFIER, "bert.")
        )
        inner = ENCODER
        if "linear.weight" in head:
            outputs, width = head["linear.weight"].shape
            files |= description(model.config.hidden_size, (width, outputs), length)
        files[f"{inner}/config.json"] = config | {"architectures": ["BertModel"]}

    def write(folder: Path) -> None:
        for path, content in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        if head:
            (folder / DENSE).mkdir(exist_ok=True)
            save_file(head, folder / DENSE / "model.safetensors", metadata={"format": "pt"})
        save_file(tensors, folder / inner / "model.safetensors", metadata={"format": "pt"})
        if tokenizer is not None:
            tokenizer.save(folder / inner, positions)

    atomic_directory_write(Path(directory), write)
    if head:  # the weights of a model with another head, which was kept here before
        (Path(directory) / "model.safetensors").unlink(missing_ok=True)


def random_model(
    model_class: type[M], config: BertConfig, generator: torch.Generator | None = None
) -> M:
    """Build a model with freshly drawn weights (the negative control of pretraining)."""
    model = model_class(config)
    model.eval()
    initialise(model, config.initializer_range, generator)
    return model


def without_pretraining(name_or_path: str | Path, folder: Path, seed: int = 0) -> Path:
    """Write a checkpoint of the same sizes and tokenizer with random weights into `folder`."""
    pretrained, _ = load_model(MaskedLM, name_or_path)
    control = random_model(MaskedLM, pretrained.config, torch.Generator().manual_seed(seed))
    save_pretrained(control, load_tokenizer(name_or_path), folder)
    return folder


def weights_digest(model: nn.Module) -> str:
    """Return a digest of all parameters and their names: models with the same one are the same."""
    parts: list[str | memoryview] = []
    for name, parameter in model.named_parameters():
        parts += [name, parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data]
    return digest(*parts)
