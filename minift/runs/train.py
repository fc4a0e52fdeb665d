"""A run: one data set, one encoder, one method, one seed, and the folder that remembers it.

Claim    The same call gives the same weights and scores, also if it was killed and made again.
         What `out` then holds is described in folder.py. The development split is scored once, at
         the end, unless the method, `keep="best"` or the caller looks at it after each epoch.
Proof    tests/runs/test_train.py
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minift.checkpoints.hub import resolve
from minift.checkpoints.weights import save_pretrained, weights_digest
from minift.data.calibration import class_report
from minift.data.entities import side_by_side
from minift.data.examples import Dataset, Example, gold_labels, gold_of, is_labelled, joined
from minift.data.metrics import collapsed, headline
from minift.data.notes import missing_notes
from minift.errors import MiniftError
from minift.files import atomic_write, digest
from minift.journal import append_log
from minift.methods.fgm import Fgm
from minift.methods.recipes import recipe
from minift.runs.card import card
from minift.runs.decide import FILE, PLAIN, Decision
from minift.runs.evaluate import Evaluation, constant_score
from minift.runs.fit import Fitted, fit, rehearse
from minift.runs.folder import open_run
from minift.runs.processes import rank, require_enough, require_same, world_size
from minift.runs.resume import resumed
from minift.runs.tuned import FineTuned, Head, build, head_of, not_finite
from minift.speed.prefix import PrefixCache
from minift.speed.rows import WORD_TABLE
from minift.training.loop import Diverged, Epoch, Recipe, Seeds, Settings, Training
from minift.version import __version__

CLASSES = ("classification", "multilabel")  # tasks that choose among classes of a text


def subset(examples: Sequence[Example], labels: int | None, seed: int) -> tuple[Example, ...]:
    """Draw `labels` examples; a smaller draw of the same seed is part of a larger one."""
    if labels is None or labels == len(examples):  # in one order, however all are asked for
        return tuple(examples)
    if not 1 <= labels <= len(examples):
        raise MiniftError(
            f"--labels {labels}: the training split has {len(examples)} examples; "
            f"ask for a number from 1 to {len(examples)}"
        )
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    return tuple(examples[i] for i in order[:labels].tolist())


def train(
    dataset: Dataset,
    encoder: str | Path,
    method: Recipe | str,
    *,
    seeds: Seeds | int,
    labels: int | None = None,
    settings: Settings | None = None,
    head: Head | None = None,
    new_head: bool = False,
    out: str | Path | None = None,
    device: torch.device | str = "cpu",
    validate_each_epoch: bool = False,
    before: Callable[[], dict[str, Any]] | None = None,
    cache: PrefixCache | None = None,
    save_every: float = 60.0,
    progress: bool = False,
) -> tuple[FineTuned, dict[str, Any]]:
    """Fine-tune, score, and keep the result: return the model, and the content of result.json.

    With `out`, the same call resumes a run that was killed, and ends with the same weights
    and scores, bit for bit on the same machine with the same number of threads.

    Args:
        method: what fills the slots, or its name.
        seeds: the random streams, or one number for all.
        labels: number of training examples to use; None for all.
        settings: None takes the method's.
        head, new_head: see `build`.
        out: run folder to write, with a checkpoint each `save_every` seconds; None writes nothing.
        validate_each_epoch: score the development split after each epoch even if nothing is
            decided by it; history.jsonl then tells the scores.
        before: called once `out` is held; what it returns stands in result.json, too, and under
            "decision" how the model answers (see `Decision`).
        cache: what was made of texts before, see `frozen_states`; the model has it afterwards.
    """
    started = time.perf_counter()
    method, seeds = recipe(method, encoder), Seeds.all(seeds)
    method = replace(method, settings=settings or method.settings)
    settings = method.settings
    examples = subset(dataset.train, labels, seeds.subset)
    require_two_classes(examples, dataset)
    head = head or head_of(encoder, dataset, method)
    tuned = build(dataset, encoder, seeds, device, head, settings.precision, new_head)
    tuned = replace(tuned, cache=cache)
    looks = validate_each_epoch or settings.keep == "best" or method.schedule().needs_dev_loss
    folder = None if out is None else Path(out)
    from_file = [getattr(method.objective, name, None) for name in ("words", "examples")]
    spec = {
        "minift_version": __version__,
        "data": dataset.name,
        "data_digest": digest(repr([examples, dataset.dev, dataset.labels])),
        "task": dataset.task,
        "pairs": tuned.pairs,
        "positive": dataset.positive,
        "encoder": str(encoder),
        "weights": weights_digest(tuned.model) if folder or world_size() > 1 else None,
        "method": method.name,
        "class_weights": [*(getattr(method.objective, "weights", None) or {}).items()],
        "method_file": digest(repr(from_file)),
        "head": head,
        "seeds": asdict(seeds),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "settings": asdict(settings),
        "validated_each_epoch": looks,
        "processes": world_size(),
    }
    require_same({name: spec[name] for name in ("data_digest", "weights")})
    items, asked = tuned.items(examples), tuned.items(dataset.dev)

    def validate(tuned: FineTuned) -> tuple[float, float]:
        found = tuned.evaluate(dataset.dev)
        return found.loss, headline(dataset.metric, found.scores)

    look = validate if dataset.dev and looks else None
    if folder is not None:  # in which nothing is left by what would be refused in there
        require_enough(min(len(items), settings.batch_size))
        rehearse(tuned, items, method, seeds, look is not None)
    with open_run(folder, "run", spec, save_every, progress) as checkpoints:
        known = before() if before else {}
        decision = Decision(**known.get("decision", {}))

        def watch(training: Training) -> Iterable[Epoch | None]:
            records = resumed(training, checkpoints) if checkpoints else iter(training)
            log = folder / "history.jsonl" if folder is not None and rank() == 0 else None
            return _told(training, records, log, progress)

        fitted = fit(tuned, items, method, seeds, asked=asked, validate=look, watch=watch)
        if broken := not_finite(fitted.tuned.model):
            raise Diverged(f"{broken} became nan or infinite; lower the rate, or check the data")
        fitted = fitted._replace(tuned=replace(fitted.tuned, decision=decision))
        result = _result(fitted, replace(dataset, train=examples), method, seeds, progress)
        result["notes"] += [f"train: {note}" for note in tuned.notes(items)]
        result |= {"encoder": str(encoder), **known}
        result["seconds"] = round(time.perf_counter() - started, 2)
        if folder is not None and checkpoints is not None and rank() == 0:
            (folder / "history.jsonl").touch()  # a head that was solved has no epoch
            save_pretrained(tuned.model, tuned.tokenizer, folder)
            if (rates := resolve(encoder) / "rates.json").is_file():  # for training it further
                shutil.copyfile(rates, folder / rates.name)
            atomic_write(folder / "README.md", card(spec, result, dataset.labels))
            if decision != PLAIN:
                atomic_write(folder / FILE, json.dumps(asdict(decision), indent=2) + "\n")
            atomic_write(folder / "result.json", json.dumps(result, indent=2) + "\n")
            checkpoints.delete()
    return replace(fitted.tuned, cache=cache), result


def require_two_classes(examples: Sequence[Example], dataset: Dataset) -> None:
    """Refuse a training draw from which nothing can be learned."""
    if dataset.task in CLASSES and len(given := set(gold_labels(examples))) < 2:
        raise MiniftError(
            f"every training example ({len(examples)}) has the label {joined(*given)!r}; "
            "use more labels or another seed"
        )


def _told(
    training: Training, records: Iterable[Epoch | None], log: Path | None, progress: bool
) -> Iterator[Epoch | None]:
    """Pass records on; write them to a log, which is begun anew, and show a bar of `progress`."""
    if log is not None:
        log.write_text("", encoding="utf-8")
    with tqdm(total=training.steps, unit="step", disable=None if progress else True) as bar:
        for record in records:
            bar.update(training.step - bar.n)
            if record is not None:
                dev = "" if record.dev is None else f", dev {record.dev:.3f}"
                bar.set_postfix_str(f"loss {record.train_loss:.3f}{dev}")
                if log is not None:
                    append_log(log, asdict(record))
            yield record


def score_splits(
    evaluate: Callable[[Sequence[Example], bool], Evaluation], dataset: Dataset, progress: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return what result.json says of dev and test, and what to know of each split."""
    result: dict[str, Any] = {"collapsed": False}
    notes = missing_notes("train", dataset.train, dataset.labels)
    for split in ("dev", "test"):
        found = getattr(dataset, split)
        result[split] = result[f"{split}_scores"] = None
        if not is_labelled(found):
            continue
        scored, gold = evaluate(found, progress), gold_of(dataset.task, found)
        result[split] = headline(dataset.metric, scored.scores)
        result[f"{split}_scores"] = scored.scores
        result[f"{split}_examples"] = len(found)
        notes += [f"{split}: {note}" for note in scored.notes]
        notes += missing_notes(split, found, dataset.labels)
        if dataset.task == "tagging":
            result[f"{split}_entities"] = side_by_side(gold, scored.predicted)
        if dataset.task in CLASSES:
            if dataset.task == "classification":
                result[f"{split}_classes"] = class_report(
                    gold, scored.predicted, scored.probabilities, dataset.labels
                )
            result[f"{split}_majority"] = constant_score(dataset, dataset.train, found)
            if (only := collapsed(scored.predicted, gold_labels(found))) is not None:
                result["collapsed"] = True
                rare = "--method full+start:probe"  # from random weights, it takes many steps
                remedy = "another seed, a smaller learning rate" if only else rare
                notes.append(
                    f'collapsed: every {split} example is predicted "{joined(only)}"; '
                    f"try {remedy} or more labels"
                )
    return result, notes


def _result(
    fitted: Fitted, dataset: Dataset, method: Recipe, seeds: Seeds, progress: bool
) -> dict[str, Any]:
    """Score dev and test, and say in a sentence what happened."""
    tuned, history, learned = fitted
    result: dict[str, Any] = {
        "data": dataset.name,
        "task": dataset.task,
        "method": method.name,
        "seed": seeds.subset,
        "labels": len(dataset.train),
        "trainable_parameters": learned,
        "metric": dataset.metric,
    }
    scores, notes = score_splits(tuned.evaluate, dataset, progress)
    result |= scores
    kept = "best" if method.settings.keep == "best" and history.best_epoch else "last"
    if tuned.kept_head:
        notes.append("the head that came with the encoder was kept; --new-head draws a new one")
    if isinstance(method.objective, Fgm) and WORD_TABLE not in history.trained:
        notes.append("fgm moves the word vectors of each text, though they do not learn here")
    return result | {
        "epochs": len(history.epochs),
        "stopped": history.stopped,
        "kept": f"{kept} weights (epoch {history.kept_epoch})",
        "quiet": tuned.quiet,
        "examples_per_second": round(history.examples_per_second, 2),
        "torch_threads": torch.get_num_threads(),
        "minift_version": __version__,
        "notes": [*notes, *dataset.notes],
    }
