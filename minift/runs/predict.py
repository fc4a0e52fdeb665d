"""Predictions as a person reads them: labels with probabilities, entities with offsets.

Claim    One answer per text, in the order of the input, however long the input: texts are read,
         answered and written a chunk at a time.
Proof    tests/runs/test_predict.py
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from minift.data.examples import Example, TaggedExample, TextExample, as_texts
from minift.data.notes import cut_notes, refuse_unlike
from minift.data.tags import located, spans_conlleval, word_places
from minift.data.words import split_words
from minift.errors import MiniftError
from minift.runs.evaluate import predict_logits
from minift.runs.tuned import FineTuned
from minift.training.batches import Item

CHUNK = 1024  # texts held in memory at a time


class CanTag(Protocol):
    """What tagging asks of a model: a `FineTuned` has it, and a compact `Student`."""

    def tag(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:  # one per word
        ...


def predict(
    tuned: FineTuned | CanTag,
    examples: Iterable[Example | str],
    notes: list[str] | None = None,
    ready: Callable[[], bool] = lambda: True,
) -> Iterator[dict[str, Any]]:
    """Answer each example.

    Args:
        examples: texts, `TextExample`s, or for tagging `TaggedExample`s, whose text is then their
            words joined by blanks. Labels are ignored.
        notes: a list that gets what a user should know, once all are answered.
        ready: whether the next example is there; if not, those before it are answered first.

    Yields:
        {"id", "text"} of the example, "text_b" of a pair, and for classification "label", None if
        the run leaves it open, and "scores": {label: probability}; for several labels the same,
        "label" being a list of those that apply; for regression "label": number; for tagging
        "tags", "words", "entities": [{"start", "end", "type", "text", "start_word", "end_word"}]
        with offsets in characters of "text" and in "words", from 0, the end not included.

    MiniftError: a pair for a model that was trained on single texts, or the other way round.
    """
    if not hasattr(tuned, "tag"):
        raise MiniftError(f"expected a model, as minift.load_run returns it, got {tuned!r:.50}")
    cut, unsure = bytearray(), bytearray()  # a byte per text
    for chunk in _chunks(examples, ready):
        if isinstance(tuned, FineTuned) and tuned.task != "tagging":
            texts = [replace(e, label=None) for e in as_texts(chunk)]
            items = tuned.items(texts)
            cut += bytes(item.cut for item in items)
            for answer in _labelled(tuned, texts, items):
                unsure.append(answer["label"] is None)
                yield answer
        else:
            refuse_unlike(False, chunk)
            yield from _tagged(tuned, chunk)
    if notes is not None and isinstance(tuned, FineTuned):
        notes += cut_notes(cut, tuned.tokenizer.max_length)
        if any(unsure):
            what = f"{sum(unsure)} of {len(unsure)} texts are left unanswered, without a label"
            notes.append(f"{what}: the probability is below {tuned.decision.abstain_below:g}")


def _chunks(
    examples: Iterable[Example | str], ready: Callable[[], bool]
) -> Iterator[list[Example]]:
    if isinstance(examples, str) or hasattr(examples, "keys"):  # of a table's columns
        what = "the text" if isinstance(examples, str) else "columns:"
        raise MiniftError(f"expected a list of texts, got {what} {examples!r:.50}")
    chunk: list[Example] = []
    for number, example in enumerate(examples, 1):
        chunk.append(TextExample(str(number), example) if isinstance(example, str) else example)
        if len(chunk) == CHUNK or not ready():
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _labelled(
    tuned: FineTuned, examples: Sequence[TextExample], items: Sequence[Item]
) -> Iterator[dict[str, Any]]:
    for example, row in zip(examples, predict_logits(tuned.model, items)):
        answer: dict[str, Any] = {"id": example.id, "text": example.text}
        if example.text_b is not None:
            answer["text_b"] = example.text_b
        if tuned.task == "regression":
            answer["label"] = float(row)
        elif tuned.task == "multilabel":
            scores = row[0].sigmoid().tolist()
            answer["label"] = [*tuned.decision.applying(scores, tuned.labels)]
            answer["scores"] = dict(zip(tuned.labels, scores))
        else:
            label, sure, scores = tuned.decision.answer(row[0], tuned.labels)
            answer["label"] = label if sure else None
            answer["scores"] = dict(zip(tuned.labels, scores))
        yield answer


def _tagged(tuned: CanTag, examples: Sequence[Example]) -> Iterator[dict[str, Any]]:
    sentences = [_words(example) for example in examples]
    all_tags = tuned.tag([words for _, words, _ in sentences])
    for example, (text, words, places), tags in zip(examples, sentences, all_tags):
        entities = [located(span, text, places) for span in spans_conlleval(tags)]
        answer = {"id": example.id, "text": text, "entities": entities}
        yield {**answer, "words": list(words), "tags": tags}


def _words(example: Example) -> tuple[str, Sequence[str], Sequence[tuple[int, int]]]:
    """Return a text, its words and where they stand; a text of blanks is one word, itself."""
    if isinstance(example, TaggedExample):
        return " ".join(example.words), example.words, word_places(example.words)
    (example,) = as_texts([example])
    cut = split_words(example.text) or [(example.text, 0, len(example.text))]
    return example.text, [word for word, *_ in cut], [(start, end) for _, start, end in cut]
