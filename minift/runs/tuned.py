"""A model that answers: an encoder with a head for a data set, before and after it is tuned.

Claim    Whatever is asked of it, by evaluation, prediction or active learning, it is asked about
         the same items, made by its own tokenizer and no longer than its encoder can read.
Proof    tests/runs/test_train.py
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from minift.bert.heads import Classifier, SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import initialise
from minift.checkpoints.hub import pooling_of, resolve
from minift.checkpoints.strict import KINDS, class_of
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_model, load_tokenizer
from minift.data import metrics
from minift.data.examples import Dataset, Example, TaggedExample, Task, gold_of, has_pairs, pairs_of
from minift.data.notes import cut_notes, refuse_unlike
from minift.data.tags import as_iob2, from_iob2, scheme_of
from minift.data.words import as_words
from minift.errors import MiniftError, require_known
from minift.methods.cnn_head import ConvClassifier
from minift.methods.mean_head import MeanClassifier, PairClassifier
from minift.runs.decide import PLAIN, Decision
from minift.runs.evaluate import Evaluation, mean_loss, predict_logits, tags_by_sentence
from minift.speed.precision import compute_in
from minift.speed.prefix import PrefixCache
from minift.training.batches import Batch, Item, make_batch
from minift.training.items import make_items
from minift.training.loop import Precision, Recipe, Seeds

Head = Literal["linear", "mean", "cnn"]  # reads [CLS] through the pooler, all tokens' mean, or all
HEADS: dict[type[Classifier], Head] = {
    SequenceClassifier: "linear",
    TokenClassifier: "linear",
    MeanClassifier: "mean",
    PairClassifier: "mean",
    ConvClassifier: "cnn",
}
REGRESSION_LABEL = ("score",)  # regression has one output, which config.json must name
PROBLEM_TYPES = {"regression": "regression", "multilabel": KINDS[1]}  # task -> in config.json


@dataclass(frozen=True)
class FineTuned:
    """A model that answers: what a run leaves, and what a run folder holds."""

    model: Classifier  # in evaluation mode
    tokenizer: Tokenizer
    task: Task
    labels: tuple[str, ...]  # in the order of the logits; () for regression
    cache: PrefixCache | None = None  # of texts that it will be asked about repeatedly
    quiet: int = 0  # how many of embeddings, layer 0, layer 1, ... had no dropout in training
    kept_head: bool = False  # its head came with the encoder, trained, instead of being drawn
    pairs: bool | None = None  # whether it was trained on pairs of texts; None: not known
    positive: str | None = None  # the class that f1 is of, see `evaluate_classification`
    decision: Decision = PLAIN  # how its logits become answers

    @property
    def make_batch(self) -> Callable[[Sequence[Item]], Batch]:
        """Packs items, with what is known of them already."""
        return self.cache.make_batch if self.cache else make_batch

    def items(self, examples: Sequence[Example]) -> list[Item]:
        """Return what the model reads of examples (see `make_items`)."""
        refuse_unlike(self.pairs, examples)
        apart = isinstance(self.model, PairClassifier)
        if self.task == "tagging" and scheme_of(self.labels)[0] != "iob2":
            examples = [
                replace(e, tags=e.tags and tuple(from_iob2(e.tags, self.labels)))
                if isinstance(e, TaggedExample) else e
                for e in examples
            ]  # fmt: skip
        return make_items(examples, self.tokenizer, self.task, self.labels, apart)

    def evaluate(self, examples: Sequence[Example], progress: bool = False) -> Evaluation:
        """Score labelled examples."""
        items, decision, labels = self.items(examples), self.decision, self.labels
        logits = predict_logits(self.model, items, progress=progress, make_batch=self.make_batch)
        loss = mean_loss([row / decision.temperature for row in logits], items)
        gold, found, scores = gold_of(self.task, examples), list[Any](), dict[str, Any]()
        probabilities = list[list[float]]()
        if self.task == "regression":
            found = [float(row) for row in logits]
            scores = metrics.evaluate_regression(gold, found)
        elif self.task == "tagging":
            found = as_iob2(tags_by_sentence(logits, items, len(examples), labels), labels)
            scores = metrics.evaluate_tagging(gold, found)
        elif self.task == "multilabel":
            found = [decision.applying(row[0].sigmoid().tolist(), labels) for row in logits]
            scores = metrics.evaluate_multilabel(gold, found, labels)
        else:
            answers = [decision.answer(row[0], labels) for row in logits]
            found, probabilities = [said for said, *_ in answers], [p for *_, p in answers]
            scores = metrics.evaluate_classification(gold, found, labels, self.positive)
            if decision.abstain_below:
                right = [said == label for (said, sure, _), label in zip(answers, gold) if sure]
                scores["coverage"] = len(right) / len(gold)
                scores["accuracy_of_answered"] = sum(right) / len(right) if right else None
                left = f"the {len(gold) - len(right)} left unanswered"
                scores["scores_are_of"] = f"all {len(gold)} texts, as if {left} were answered"
        return Evaluation(scores, loss, found, self.notes(items), probabilities)

    def notes(self, items: Iterable[Item]) -> list[str]:
        """Say how many of the items are texts that were cut."""
        return cut_notes([item.cut for item in items], self.tokenizer.max_length)

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return one tag per word in IOB2, sentence by sentence (taggers only)."""
        examples = [TaggedExample(str(n), as_words(words)) for n, words in enumerate(sentences, 1)]
        items = self.items(examples)
        logits = predict_logits(self.model, items, make_batch=self.make_batch)
        tags = tags_by_sentence(logits, items, len(sentences), self.labels)
        return as_iob2(tags, self.labels)


def not_finite(model: Classifier) -> str | None:
    """Return the name of a tensor that holds nan or an infinity, if there is one."""
    return next((name for name, t in model.state_dict().items() if not t.isfinite().all()), None)


def build(
    dataset: Dataset,
    encoder: str | Path,
    seeds: Seeds | int,
    device: torch.device | str = "cpu",
    head: Head | None = None,
    precision: Precision = "float32",
    new_head: bool = False,
) -> FineTuned:
    """Load a pretrained encoder with a head for the data set.

    Args:
        seeds: `head` draws the head's weights.
        head: "linear"; for texts also "mean" or "cnn" (see minift/methods/); None: see `head_of`.
        new_head: draw the head also where the encoder is a run folder with a trained one that
            fits; by default that one is kept.
    """
    generator = torch.Generator().manual_seed(Seeds.all(seeds).head)
    model, report = load_model(
        head_class(dataset, head or head_of(encoder, dataset)),
        encoder,
        labels=REGRESSION_LABEL if dataset.task == "regression" else dataset.labels,
        problem_type=PROBLEM_TYPES.get(dataset.task),
        generator=generator,
    )
    own = [name for name, _ in model.named_parameters() if name.startswith("classifier.")]
    kept = not set(own) & set(report.initialised)
    if kept and new_head:
        initialise(model, model.config.initializer_range, generator, only=own)
    compute_in(model.to(device), precision)
    found = FineTuned(model, load_tokenizer(encoder), dataset.task, dataset.labels)
    pairs, positive = pairs_of(dataset.train), dataset.positive
    return replace(found, kept_head=kept and not new_head, pairs=pairs, positive=positive)


def head_of(encoder: str | Path, dataset: Dataset, method: Recipe | None = None) -> Head:
    """Return the head that reads what an encoder was trained to give.

    That is a run folder's own, or "mean" where the makers state it (see modules.py). For pairs that
    is worth it only where a method solves the head: from random weights, the four parts that it
    reads are hardly learned (STS-B, MiniLM, 300 labels: correlation .24, solved first .91, joined
    texts at [CLS] .84).
    """
    if dataset.task == "tagging":
        return "linear"
    if (own := class_of(resolve(encoder), tuple(HEADS))) is not None:
        return HEADS[own]
    if has_pairs(dataset) and not (method and method.solve):
        return "linear"
    return "mean" if pooling_of(encoder) == "mean" else "linear"


def head_class(dataset: Dataset, head: Head) -> type[Classifier]:
    """Return the class of model that answers for a data set with a head of this name."""
    require_known("head", head, get_args(Head))
    if dataset.task == "tagging":
        if head != "linear":
            raise MiniftError(f"the {head} head answers per text, tagging per word: take linear")
        return TokenClassifier
    if head == "mean":
        return PairClassifier if has_pairs(dataset) else MeanClassifier
    return ConvClassifier if head == "cnn" else SequenceClassifier
