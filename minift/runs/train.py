"""A run: one data set, one encoder, one method, one seed, and the folder that remembers it.

Claim    A run folder *is* a Hugging Face checkpoint (config.json, model.safetensors, tokenizer)
         with three more files: run.json says how it was made, history.jsonl what happened,
         result.json what came out.
Proof    tests/runs/test_train.py
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from minift.bert.config import BertConfig
from minift.bert.encoder import set_precision
from minift.bert.heads import (
    Classifier,
    ConvClassifier,
    SequenceClassifier,
    TokenClassifier,
)
from minift.checkpoints.limits import LARGEST_JSON, read_limited
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_model, load_tokenizer, save_pretrained
from minift.data.entity_report import side_by_side
from minift.data.examples import (
    Dataset,
    Example,
    TaggedExample,
    Task,
    gold_classes,
    gold_tags,
    is_labelled,
)
from minift.data.metrics import accuracy, collapsed, headline, majority_baseline
from minift.errors import MiniftError
from minift.files import atomic_write, locked
from minift.runs.evaluate import Evaluation, evaluate, predict_logits, tags_by_sentence
from minift.runs.processes import rank, require_same, require_same_weights, world_size
from minift.runs.resume import Checkpoints
from minift.speed.precision import Precision
from minift.speed.prefix import PrefixCache, prefix_cache
from minift.speed.rows import used_rows
from minift.training.batches import make_items
from minift.training.loop import (
    Epoch,
    GradientRule,
    History,
    Recipe,
    Seeds,
    Settings,
    cross_entropy,
    fine_tune,
    select,
    squared_error,
)
from minift.version import __version__

Head = Literal["linear", "cnn"]  # on [CLS] through the pooler, or on all tokens
REGRESSION_LABEL = ("score",)  # regression has one output, which config.json must name


@dataclass(frozen=True)
class FineTuned:
    """A model that answers: what a run leaves, and what a run folder holds.

    Args:
        model: in evaluation mode.
        tokenizer: its tokenizer.
        task: what it answers.
        labels: class names or tags in the order of the logits; () for regression.
        cache: output of its lowest layers for texts that it will be asked about again and again.
    """

    model: Classifier
    tokenizer: Tokenizer
    task: Task
    labels: tuple[str, ...]
    cache: PrefixCache | None = None

    def evaluate(self, examples: Sequence[Example], progress: bool = False) -> Evaluation:
        """Score labelled examples."""
        items = make_items(
            examples,
            self.tokenizer,
            self.task,
            self.labels,
            self.model.config.max_position_embeddings,
        )
        return evaluate(self.model, items, examples, self.task, self.labels, progress, self.cache)

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return one tag a word, sentence by sentence (taggers only)."""
        examples = [TaggedExample(str(n), tuple(words)) for n, words in enumerate(sentences, 1)]
        longest = self.model.config.max_position_embeddings
        items = make_items(examples, self.tokenizer, self.task, self.labels, longest)
        logits = predict_logits(self.model, items, cache=self.cache)
        return tags_by_sentence(logits, items, len(sentences), self.labels)


def subset(examples: Sequence[Example], labels: int | None, seed: int) -> tuple[Example, ...]:
    """Draw `labels` examples; a smaller draw of the same seed is part of a larger one.

    Raises:
        MiniftError: if there are fewer examples than asked for.
    """
    if labels is None:
        return tuple(examples)
    if not 1 <= labels <= len(examples):
        raise MiniftError(
            f"--labels {labels}: the training split has {len(examples)} examples; "
            f"ask for 1 to {len(examples)}"
        )
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    return tuple(examples[i] for i in order[:labels].tolist())


def build(
    dataset: Dataset,
    encoder: str | Path,
    seeds: Seeds,
    device: torch.device | str = "cpu",
    head: Head = "linear",
    precision: Precision = "float32",
) -> FineTuned:
    """Load a pretrained encoder with a head for the data set.

    Raises:
        MiniftError: if there is no such head for the task, the encoder cannot be loaded, or the
            device cannot compute in this precision.
    """
    regression = dataset.task == "regression"
    model, _ = load_model(
        _head_class(dataset.task, head),
        encoder,
        labels=REGRESSION_LABEL if regression else dataset.labels,
        problem_type="regression" if regression else None,
        generator=torch.Generator().manual_seed(seeds.head),
    )
    set_precision(model.to(device), precision)
    return FineTuned(model, load_tokenizer(encoder), dataset.task, dataset.labels)


def _head_class(task: Task, head: Head) -> type[Classifier]:
    if head not in get_args(Head):
        raise MiniftError(f'a head is "linear" or "cnn", not {head!r}')
    if task == "tagging" and head == "cnn":
        raise MiniftError(
            "the cnn head gives one answer a text, tagging needs one a word; use the linear head"
        )
    if task == "tagging":
        return TokenClassifier
    return ConvClassifier if head == "cnn" else SequenceClassifier


def train(
    dataset: Dataset,
    encoder: str | Path,
    method: Recipe,
    *,
    labels: int | None = None,
    seeds: Seeds,
    settings: Settings | None = None,
    head: Head = "linear",
    out: str | Path | None = None,
    source: dict[str, Any] | None = None,
    device: torch.device | str = "cpu",
    save_every: float = 60.0,
    progress: bool = False,
) -> tuple[FineTuned, dict[str, Any]]:
    """Fine-tune, score, and keep the result.

    With `out`, a run that was killed is taken up by the same call, and ends with the same weights
    and scores, bit for bit on the same machine with the same number of threads.

    Args:
        dataset: what to learn and to be scored on.
        encoder: anything `load_encoder` takes.
        method: what fills the slots.
        labels: number of training examples to use; None for all.
        seeds: the random streams.
        settings: None takes the method's.
        head: "linear", or for texts "cnn" (see minift.bert.heads).
        out: run folder to write; None writes nothing.
        source: where the data set came from, kept in run.json (see minift.compact.source).
        device: where to train.
        save_every: seconds between two checkpoints in `out`.
        progress: show a bar on standard error, and say if an earlier run is taken up.

    Returns:
        The fine-tuned model and the content of result.json.

    Raises:
        MiniftError: if the input does not fit; if `out` holds a result, or a part of another run,
            or is in use.
    """
    started = time.perf_counter()
    settings = settings or method.settings
    examples = subset(dataset.train, labels, seeds.subset)
    require_two_classes(examples, dataset)
    tuned = build(dataset, encoder, seeds, device, head, settings.precision)
    longest = tuned.model.config.max_position_embeddings
    items = make_items(
        examples, tuned.tokenizer, dataset.task, dataset.labels, longest, settings.other_pieces
    )
    dev_items = make_items(dataset.dev, tuned.tokenizer, dataset.task, dataset.labels, longest)

    def validate(model: nn.Module) -> tuple[float, float]:
        found = evaluate(model, dev_items, dataset.dev, dataset.task, dataset.labels, cache=cache)
        return found.loss, headline(dataset.metric, found.scores)

    folder = None if out is None else Path(out)
    spec = _spec(dataset, examples, source, encoder, method, seeds, settings, head)
    require_same({"data": spec["data_digest"]})
    require_same_weights(tuned.model)
    with open_run(folder, "run", spec, save_every, progress) as checkpoints:
        select(tuned.model, method.trainable)  # a gradient rule sees what will learn
        rule = method.gradients(tuned.model, items, seeds) if method.gradients else None
        learning = tuple(method.trainable(tuned.model))
        cache = None
        if not settings.prefix_dropout:  # validation goes through the frozen layers once, too
            cache = prefix_cache(tuned.model, learning, [*items, *dev_items], folder)
        with used_rows(tuned.model, items, learning if settings.used_rows else (), rule):
            history = fine_tune(
                tuned.model,
                items,
                settings,
                seeds,
                trainable=method.trainable,
                gradients=rule,
                schedule=method.schedule(),
                scales=method.scales,
                objective=squared_error if dataset.task == "regression" else cross_entropy,
                validate=validate if dataset.dev else None,
                on_epoch=None if folder is None or rank() > 0 else _log(folder / "history.jsonl"),
                checkpoints=checkpoints,
                cache=cache,
                progress=progress,
            )
        answering = replace(tuned, cache=cache)
        result = _result(
            answering, dataset, examples, method, seeds, settings, history, rule, progress
        )
        result["encoder"] = str(encoder)
        result["seconds"] = round(time.perf_counter() - started, 2)
        if folder is not None and checkpoints is not None and rank() == 0:
            save_pretrained(tuned.model, tuned.tokenizer, folder)
            atomic_write(folder / "result.json", json.dumps(result, indent=2) + "\n")
            checkpoints.delete()
    return tuned, result


def require_two_classes(examples: Sequence[Example], dataset: Dataset) -> None:
    """Refuse a training draw from which nothing can be learned."""
    if dataset.task == "classification" and len(set(gold_classes(examples))) < 2:
        raise MiniftError(
            f"all {len(examples)} training examples have the label {gold_classes(examples)[0]!r}; "
            "use more labels or another seed"
        )


def _spec(
    dataset: Dataset,
    examples: Sequence[Example],
    source: dict[str, Any] | None,
    encoder: str | Path,
    method: Recipe,
    seeds: Seeds,
    settings: Settings,
    head: Head,
) -> dict[str, Any]:
    """Return the content of run.json: all that decides what a run comes to."""
    texts = repr([examples, dataset.dev, dataset.labels]).encode("utf-8")
    return {
        "minift_version": __version__,
        "data": dataset.name,
        "data_digest": hashlib.sha256(texts).hexdigest()[:16],
        "source": source,
        "task": dataset.task,
        "encoder": str(encoder),
        "method": method.name,
        "head": head,
        "seeds": asdict(seeds),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "settings": asdict(settings),
        "processes": world_size(),
    }


@contextlib.contextmanager
def open_run(
    folder: Path | None,
    what: str,
    spec: dict[str, Any],
    save_every: float = 60.0,
    progress: bool = False,
) -> Iterator[Checkpoints | None]:
    """Hold a folder for this process alone; write `what`.json, and yield the checkpoints.

    Args:
        folder: of the run; None yields None.
        what: "run" or "distill".
        spec: all that decides what it comes to.
        save_every: seconds between two checkpoints.
        progress: say on standard error if an unfinished run is there.

    Raises:
        MiniftError: if the folder is in use, holds a result, or a part of another run.
    """
    if folder is None:
        yield None
        return
    if rank() > 0:  # the first holds the folder for all
        yield Checkpoints(folder / "checkpoints", save_every)
        return
    spec = json.loads(json.dumps(spec))  # as it will be read
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / what):
        checkpoints = Checkpoints(folder / "checkpoints", save_every)
        if (folder / "result.json").exists():
            checkpoints.delete()  # the run may have been killed before it could
            raise MiniftError(
                f"{folder} already holds a finished run; choose another --out or delete the folder"
            )
        file = folder / f"{what}.json"
        if checkpoints.folder.is_dir() and file.is_file():
            there = json.loads(file.read_text(encoding="utf-8"))
            if other := _differences(there, spec):
                raise MiniftError(
                    f"{folder} holds an unfinished run with another {' and '.join(other)}; give "
                    "the same command as then, choose another --out, or delete the folder"
                )
            if progress:
                print(f"going on with the unfinished run in {folder}", file=sys.stderr)
        atomic_write(file, json.dumps(spec, indent=2) + "\n")
        yield checkpoints


def _log(history: Path) -> Callable[[Epoch], None]:
    """Begin history.jsonl, and return what appends to it."""
    history.write_text("", encoding="utf-8")

    def log(record: Epoch) -> None:
        with history.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record.as_dict()) + "\n")

    return log


def _differences(there: dict[str, Any], spec: dict[str, Any]) -> list[str]:
    """Name what differs: "data", "settings.epochs"."""
    found = []
    for name, value in spec.items():
        other = there.get(name)
        if name == "command":  # may be typed in another way and mean the same
            continue
        if name == "processes":
            if (other or 1) != value:
                found.append(f"number of processes ({other or 1} then, {value} now)")
        elif isinstance(value, dict) and isinstance(other, dict):
            found += [f"{name}.{key}" for key in value if other.get(key) != value[key]]
        elif other != value:
            found.append(name)
    return found


def _result(
    tuned: FineTuned,
    dataset: Dataset,
    examples: Sequence[Example],
    method: Recipe,
    seeds: Seeds,
    settings: Settings,
    history: History,
    rule: GradientRule | None,
    progress: bool,
) -> dict[str, Any]:
    """Score dev and test, and say in a sentence what happened."""
    learning = [
        rule.learning(name, parameter) if rule else parameter.numel()
        for name, parameter in tuned.model.named_parameters()
        if name in history.trained
    ]
    result = {
        "data": dataset.name,
        "task": dataset.task,
        "method": method.name,
        "seed": seeds.order,
        "labels": len(examples),
        "trainable_parameters": sum(learning),
        "metric": dataset.metric,
    }
    sentences = []
    for split in ("dev", "test"):
        found = getattr(dataset, split)
        labelled = is_labelled(found)
        result[split] = result[f"{split}_scores"] = None
        if labelled:
            scored = tuned.evaluate(found, progress)
            result[split] = headline(dataset.metric, scored.scores)
            result[f"{split}_scores"] = scored.scores
            if dataset.task == "tagging":
                result[f"{split}_entities"] = side_by_side(gold_tags(found), scored.predicted)
            if dataset.task == "classification":
                gold = gold_classes(found)
                guess = majority_baseline(gold_classes(examples), gold, dataset.labels)
                result[f"{split}_majority"] = accuracy(gold, guess)
                if only := collapsed(scored.predicted, gold):
                    sentences.append(
                        f'collapsed: every {split} example is predicted "{only}"; '
                        "try another seed, a smaller learning rate or more labels"
                    )
    result["collapsed"] = bool(sentences)
    kept = f"{settings.keep} weights (epoch {history.kept_epoch})"
    result |= {
        "epochs": len(history.epochs),
        "stopped": history.stopped,
        "kept": kept,
        "examples_per_second": round(history.examples_per_second, 2),
        "torch_threads": torch.get_num_threads(),
        "minift_version": __version__,
        "notes": [*sentences, *dataset.notes],
    }
    return result


def load_run(
    folder: str | Path, device: torch.device | str = "cpu", precision: Precision | None = None
) -> FineTuned:
    """Load a run folder, or any Hugging Face checkpoint with a classification head.

    Args:
        folder: of the run.
        device: where it shall compute.
        precision: how; None takes that of the run, "float32" where nothing is known of it.

    Raises:
        MiniftError: if the folder has no head that minift can read, or the device cannot compute
            in this precision.
    """
    folder = Path(folder)
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise MiniftError(f"{folder} is no run folder: it has no config.json")
    config = BertConfig.from_json(config_file)
    architectures = json.loads(config_file.read_text(encoding="utf-8")).get("architectures") or []
    known = (SequenceClassifier, ConvClassifier, TokenClassifier)
    heads: dict[str, type[Classifier]] = {head.hugging_face_class: head for head in known}
    head = next((heads[name] for name in architectures if name in heads), None)
    if head is None:
        raise MiniftError(
            f"{config_file}: architectures is {architectures}; expected one of {', '.join(heads)}. "
            "Train a classifier first: minift train"
        )
    model, report = load_model(head, folder)
    if any(name.startswith("classifier.") for name in report.initialised):
        raise MiniftError(f"{folder}: the checkpoint has no classifier; train one: minift train")
    task: Task = "tagging" if head is TokenClassifier else "classification"
    if config.problem_type == "regression":
        task = "regression"
    labels = () if task == "regression" else model.config.labels
    set_precision(model.to(device), precision or _precision_of(folder))
    return FineTuned(model, load_tokenizer(folder), task, labels)


def _precision_of(run: Path) -> Precision:
    """Return what a run computed in, so that it answers as when it was scored."""
    file = run / "run.json"
    if not file.is_file():
        return "float32"
    try:
        spec = json.loads(read_limited(file, LARGEST_JSON))
    except (OSError, ValueError, RecursionError) as error:
        raise MiniftError(
            f"{file} is not valid JSON: {error}; mend it, or give the precision to compute in"
        ) from error
    settings = spec.get("settings") if isinstance(spec, dict) else None
    if not isinstance(settings, dict):  # somebody else's run.json
        return "float32"
    return settings.get("precision", "float32")
