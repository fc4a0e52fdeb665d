"""From examples to items, and from items to batches of similar length, for prediction.

Claim    Every task has one shape: some tokens of an item are asked, and each has one target.
         Classification and regression ask [CLS]; tagging asks the first piece of each word.
Differs  - A sentence longer than the model becomes several overlapping windows; each word is
           asked in exactly one of them, so no word is dropped from loss or score.
         - The other pieces of a word have no label and no loss, as in BERT's own tagger.
Proof    tests/training/test_items.py
"""

import math
from collections.abc import Iterator, Sequence

from minift.checkpoints.tokenizer import Tokenizer
from minift.data.examples import Example, TaggedExample, Task, as_sentences, as_texts
from minift.errors import require_known
from minift.training.batches import UNLABELLED, Item


def make_items(
    examples: Sequence[Example],
    tokenizer: Tokenizer,
    task: Task,
    labels: Sequence[str],
    apart: bool = False,
) -> list[Item]:
    """Turn examples into model inputs; MiniftError: a label is not among `labels`.

    Args:
        tokenizer: knows how many pieces its encoder reads: longer texts are cut, longer tagged
            sentences become several items.
        apart: give each text of a pair its own [CLS] and its own full length, as
            `PairClassifier` reads them; the second is segment 1, empty where there is none.
    """
    index = {label: number for number, label in enumerate(labels)}
    if task == "tagging":
        return _word_items(as_sentences(examples), tokenizer, index)
    items = []
    texts = as_texts(examples)
    seconds = [e.text_b for e in texts]
    encodings = tokenizer.encode([e.text for e in texts], None if apart else seconds)
    others = tokenizer.encode([text or "" for text in seconds]) if apart else []
    target: float | list[float]  # class index, or number, or for each label 1 or 0
    for number, (example, encoding) in enumerate(zip(texts, encodings)):
        label, where = example.label, f"example {example.id}"
        names = label if isinstance(label, tuple) else (label if label is None else str(label),)
        if task == "regression":
            target = math.nan if isinstance(label, tuple | None) else float(label)
        elif task == "multilabel":
            given = {_index_of(name, index, where) for name in names}
            target = [math.nan if label is None else float(n in given) for n in index.values()]
        else:
            target = _index_of(None if label is None else str(label), index, where)
        input_ids, segments, cut = encoding.input_ids, encoding.segment_ids, encoding.cut
        if apart:
            cut = cut or others[number].cut
            input_ids = input_ids + others[number].input_ids
            segments = segments + [1] * len(others[number].input_ids)
        items.append(Item(number, input_ids, segments, [0], [target], cut))
    return items


def _word_items(
    examples: Sequence[TaggedExample], tokenizer: Tokenizer, index: dict[str, int]
) -> list[Item]:
    items = []
    for number, example in enumerate(examples):
        tags = example.tags or [None] * len(example.words)
        targets = [_index_of(tag, index, f"sentence {example.id}") for tag in tags]
        for window in tokenizer.encode_words(example.words):
            if not window.words:  # a window may own no word
                continue
            positions, segments = list(window.word_positions), [0] * len(window.input_ids)
            asked = [targets[word] for word in window.words]
            items.append(Item(number, window.input_ids, segments, positions, asked))
    return items


def _index_of(label: str | None, index: dict[str, int], where: str) -> int:
    if label is None:
        return UNLABELLED
    require_known(f"label in {where}:", label, index)
    return index[label]


def by_length(items: Sequence[Item], tokens: int) -> Iterator[list[int]]:
    """Group item indices so that neighbours in length share a batch.

    `tokens` is the largest rectangle (sequences x longest) of a batch; an item longer than that is
    a batch of its own. The longest batch comes first, so that a machine that runs out of memory
    does so at once.
    """
    order = sorted(range(len(items)), key=lambda i: -len(items[i].input_ids))
    at = 0
    while at < len(order):
        size = max(1, tokens // len(items[order[at]].input_ids))
        yield order[at : at + size]
        at += size
