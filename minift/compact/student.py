"""A student that answers: words in, tags out, with nothing else loaded.

Claim    Tagger, vocabulary and labels are all there is to a student; its answer for a sentence
         does not depend on which sentences share its batch.
Proof    tests/compact/test_student.py
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from minift.bert.packing import Layout, to_device
from minift.compact.tagger import Head, Tagger, TaggerConfig, rectangles
from minift.compact.vocabulary import Vocabulary, Words
from minift.data.examples import Example, TaggedExample, Task, as_sentences, gold_tags
from minift.data.metrics import evaluate_tagging
from minift.data.words import as_words
from minift.errors import MiniftError, require_known
from minift.runs.evaluate import Evaluation
from minift.training.batches import UNLABELLED

WORDS_PER_BATCH = 2048


@dataclass(frozen=True)
class Student:
    """A compact tagger."""

    model: Tagger  # the network
    vocabulary: Vocabulary  # the words and characters it knows
    labels: tuple[str, ...]  # IOB2 tags in the order of the logits
    task: Task = "tagging"

    def tag(self, sentences: Sequence[Words]) -> list[list[str]]:
        """Return one tag per word, sentence by sentence, in evaluation mode."""
        return self._answers([as_words(words) for words in sentences], None)[0]

    def evaluate(self, examples: Sequence[Example], progress: bool = False) -> Evaluation:
        """Score labelled sentences: entity scores, and -log p(tags) per word; there is no bar.

        A MiniftError says if one is a text, a tag is not among the student's labels, or missing.
        """
        sentences = as_sentences(examples)
        targets = [label_indices(sentence, self.labels) for sentence in sentences]
        if any(UNLABELLED in tags for tags in targets):
            raise MiniftError("a sentence without tags cannot be scored; give labelled ones")
        tags, loss = self._answers([sentence.words for sentence in sentences], targets)
        return Evaluation(evaluate_tagging(gold_tags(sentences), tags), loss, tags)

    def _answers(
        self, sentences: Sequence[Words], targets: Sequence[Sequence[int]] | None
    ) -> tuple[list[list[str]], float]:
        """Return the tags, and the mean loss if there are targets."""
        device = next(self.model.parameters()).device
        was_training = self.model.training
        self.model.eval()
        tags: list[list[str]] = [[] for _ in sentences]
        total = 0.0
        try:
            with torch.inference_mode():
                for group in _by_length([len(words) for words in sentences]):
                    batch = to_device(self.vocabulary.encode([sentences[i] for i in group]), device)
                    logits = self.model(batch)
                    best = self.model.best_tags(logits, batch.layout).split(batch.layout.lengths)
                    for i, numbers in zip(group, best):
                        tags[i] = [self.labels[k] for k in numbers.tolist()]
                    if targets is not None:
                        gold = torch.tensor([t for i in group for t in targets[i]], device=device)
                        total += float(label_losses(self.model, logits, gold, batch.layout).sum())
        finally:
            self.model.train(was_training)
        return tags, total / max(1, sum(map(len, sentences)))


def label_losses(model: Tagger, logits: Tensor, targets: Tensor, layout: Layout) -> Tensor:
    """Return -log p(target): one per word with softmax, one per sentence with a CRF.

    Logits are (words, labels), targets (words,); a word that is `UNLABELLED` costs nothing.
    """
    if model.crf is None:
        return F.cross_entropy(logits, targets, reduction="none", ignore_index=UNLABELLED)
    emissions, mask = rectangles(logits, layout)
    return model.crf.negative_log_likelihood(emissions, layout.pad(targets), mask)


def label_indices(example: TaggedExample, labels: Sequence[str]) -> list[int]:
    """Return the label of each word, `UNLABELLED` without tags; a MiniftError if one is unknown."""
    if example.tags is None:
        return [UNLABELLED] * len(example.words)
    for tag in example.tags:
        require_known(f"tag in sentence {example.id}:", tag, labels)
    return [labels.index(tag) for tag in example.tags]


def new_student(
    vocabulary: Vocabulary,
    labels: Sequence[str],
    generator: torch.Generator | None = None,
    head: Head = "softmax",
    word_dropout: float = TaggerConfig.word_dropout,
) -> Student:
    """Build an untrained student of the usual sizes; `labels` are IOB2 tags."""
    sizes = vocabulary.word_rows, vocabulary.character_rows, len(labels)
    config = TaggerConfig(*sizes, word_dropout=word_dropout, head=head)
    return Student(Tagger(config, generator).eval(), vocabulary, tuple(labels))


def _by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group sentences of similar length, the longest first, in rectangles of limited size."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        size = max(1, WORDS_PER_BATCH // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]
