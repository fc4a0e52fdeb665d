"""Every task has one shape: some tokens are asked, each has one target.

claim                                                        oracle
[CLS] is asked for texts, first pieces for words             the tokenizer's own word pieces
a long sentence is asked about every word exactly once,      counting, over windows; 5,000 words
batches of similar length cover each item once               sorting by hand
an unknown label is named with the nearest known one         the error's words
"""

from __future__ import annotations

import math

import pytest
import torch

from minift.checkpoints.tokenizer import Tokenizer
from minift.data.examples import TaggedExample, TextExample
from minift.errors import MiniftError
from minift.training.batches import UNLABELLED, Item, labelled, make_batch, shuffled
from minift.training.items import by_length, make_items

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##x", "##y"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.from_vocabulary(VOCABULARY, lowercase=True)


def test_a_text_asks_cls_and_its_target_is_the_index_of_its_label(tokenizer):
    examples = [
        TextExample("1", "a b", "no"),
        TextExample("2", "ax", "yes", "c"),
        TextExample("3", "b"),
    ]
    items = make_items(examples, tokenizer, "classification", ("no", "yes"))
    assert [item.positions for item in items] == [[0], [0], [0]]
    assert [item.targets for item in items] == [[0], [1], [UNLABELLED]]
    assert items[1].input_ids == [2, 5, 8, 3, 7, 3]  # [CLS] a ##x [SEP] c [SEP]
    assert items[1].segment_ids == [0, 0, 0, 0, 1, 1]


def test_a_regression_target_is_a_number_and_nan_where_there_is_none(tokenizer):
    examples = [TextExample("1", "a", 2.5), TextExample("2", "b")]
    items = make_items(examples, tokenizer, "regression", ())
    assert items[0].targets == [2.5]
    assert math.isnan(items[1].targets[0])
    assert labelled(make_batch(items).targets).tolist() == [True, False]


def test_words_are_asked_at_their_first_pieces(tokenizer):
    sentence = TaggedExample("1", ("axy", "b", "cy"), ("B-T", "I-T", "O"))
    (item,) = make_items([sentence], tokenizer, "tagging", ("O", "B-T", "I-T"))
    assert item.input_ids == [2, 5, 8, 9, 6, 7, 9, 3]
    assert item.positions == [1, 4, 5]
    assert item.targets == [1, 2, 0]


def test_a_sentence_longer_than_the_model_asks_each_word_once_over_its_windows():
    tokenizer = Tokenizer.from_vocabulary(VOCABULARY, lowercase=True, max_length=128)
    words = tuple("abc"[i % 3] + "x" * (i % 2) for i in range(300))
    tags = tuple("B-T" if i % 7 == 0 else "O" for i in range(300))
    items = make_items([TaggedExample("1", words, tags)], tokenizer, "tagging", ("O", "B-T"))
    assert len(items) > 3
    assert max(len(item.input_ids) for item in items) <= 128
    targets = [target for item in items for target in item.targets]
    assert targets == [1 if i % 7 == 0 else 0 for i in range(300)]
    pieces = [item.input_ids[place] for item in items for place in item.positions]
    assert pieces == [5 + i % 3 for i in range(300)]


def test_5000_words_are_asked_once_each_by_their_first_pieces():
    tokenizer = Tokenizer.from_vocabulary(VOCABULARY, lowercase=True, max_length=64)
    words = tuple("abc"[i % 3] + "xy" * (i % 4) for i in range(5000))
    tags = tuple(("O", "B-T", "I-T", "B-U", "O")[i % 5] for i in range(5000))
    labels = ("O", "B-T", "I-T", "B-U", "I-U")
    items = make_items([TaggedExample("1", words, tags)], tokenizer, "tagging", labels)
    expected = [(word[0], tag) for word, tag in zip(words, tags)]
    asked = [
        (VOCABULARY[item.input_ids[place]], labels[target])
        for item in items
        for place, target in zip(item.positions, item.targets)
    ]
    assert asked == expected
    assert max(len(item.input_ids) for item in items) <= 64


def test_a_word_without_pieces_is_asked_about_too(tokenizer):
    words = ("a", "\u200b", "\x01", "b")  # the last two leave nothing after cleaning
    tags = ("B-T", "I-T", "O", "B-T")
    (item,) = make_items(
        [TaggedExample("1", words, tags)], tokenizer, "tagging", ("O", "B-T", "I-T")
    )
    assert item.input_ids == [2, 5, 1, 1, 6, 3]  # [UNK] stands for them
    assert item.targets == [1, 2, 0, 1]


def test_a_batch_asks_the_tokens_its_items_ask():
    items = [
        Item(0, [2, 5, 3], [0, 0, 0], [1], [1]),
        Item(1, [2, 6, 7, 3], [0] * 4, [1, 2], [0, 1]),
    ]
    batch = make_batch(items)
    assert batch.packed.input_ids.tolist() == [2, 5, 3, 2, 6, 7, 3]
    assert batch.packed.input_ids[batch.wanted.indices].tolist() == [5, 6, 7]
    assert batch.targets.tolist() == [1, 0, 1]
    assert batch.wanted.layout.lengths == (1, 2)


def test_an_epoch_visits_each_item_once_in_an_order_of_its_own():
    items = [Item(n, [2], [0], [0], [0]) for n in range(50)]
    generator = torch.Generator().manual_seed(0)
    first, second = (
        [item.example for group in shuffled(items, 16, generator) for item in group]
        for _ in range(2)
    )
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert [len(group) for group in shuffled(items, 16, generator)] == [16, 16, 16, 2]


def test_batches_by_length_cover_each_item_once_and_stay_within_their_size():
    lengths = [3, 50, 7, 7, 120, 1, 64, 9, 33]
    items = [Item(n, [5] * length, [0] * length, [0], [0]) for n, length in enumerate(lengths)]
    groups = list(by_length(items, tokens=100))
    assert sorted(i for group in groups for i in group) == list(range(9))
    for group in groups:
        assert max(lengths[i] for i in group) * len(group) <= 100 or len(group) == 1
    assert groups[0] == [4]  # longer than a batch may be: alone, and first
    assert len(groups) < 9


def test_an_unknown_label_is_named_with_the_nearest_known_one(tokenizer):
    with pytest.raises(
        MiniftError, match=r'label in example 7: "positiv".*did you mean "positive"'
    ):
        make_items(
            [TextExample("7", "a", "positiv")],
            tokenizer,
            "classification",
            ("negative", "positive"),
        )
    with pytest.raises(MiniftError, match='label in sentence 3: "I-TX"; known: O, I-T'):
        make_items([TaggedExample("3", ("a",), ("I-TX",))], tokenizer, "tagging", ("O", "I-T"))
