"""Predictions come back in the order of the input, whatever batches they were computed in.

claim                                                        oracle
logits are in input order and those of the item alone        one item at a time
the mean loss weighs each target the same                    cross-entropy written as a loop
windows of a sentence join to one tag a word                 a sentence that fits in one window
the model's mode is left as found                            both modes
"""

from __future__ import annotations

import math

import pytest
import torch

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.checkpoints.tokenizer import Tokenizer
from minift.data.examples import TextExample
from minift.runs.evaluate import mean_loss, predict_logits, tags_by_sentence
from minift.runs.tuned import FineTuned
from minift.training.batches import Item
from tests.bert.reference import own_config, randomise


def ragged(count: int) -> list[Item]:
    generator = torch.Generator().manual_seed(0)
    items = []
    for number in range(count):
        length = int(torch.randint(1, 15, (1,), generator=generator))
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        items.append(Item(number, ids, [0] * length, [0], [number % 3]))
    return items


@pytest.mark.parametrize("tokens", [1, 40, 10_000])
def test_logits_are_in_input_order_and_do_not_depend_on_the_batch(tokens):
    own = randomise(SequenceClassifier(own_config()), 0, std=0.2).double().eval()
    items = ragged(37)
    together = predict_logits(own, items, tokens=tokens)
    for item, rows in zip(items, together):
        (alone,) = predict_logits(own, [item])
        torch.testing.assert_close(rows, alone, rtol=0, atol=1e-6)
    assert len({round(float(rows[0, 0]), 5) for rows in together}) > 30  # they do differ


@pytest.mark.parametrize("training", [True, False])
def test_prediction_leaves_the_mode_as_found_and_uses_no_dropout(training):
    own = randomise(SequenceClassifier(own_config(hidden_dropout_prob=0.5)), 0)
    own.train(training)
    first, second = (torch.cat(predict_logits(own, ragged(5))) for _ in range(2))
    assert torch.equal(first, second)
    assert own.training is training


def test_mean_loss_weighs_each_target_the_same():
    logits = [torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0], [0.0, 0.0]])]
    items = [Item(0, [1], [0], [0], [0]), Item(1, [1] * 3, [0] * 3, [0, 1, 2], [1, -100, 0])]

    def negative_log(row, target):
        return math.log(sum(math.exp(x) for x in row)) - row[target]

    rows = [([2.0, 0.0], 0), ([0.0, 1.0], 1), ([0.0, 0.0], 0)]
    expected = sum(negative_log(*row) for row in rows) / 3
    assert mean_loss(logits, items) == pytest.approx(expected, abs=1e-12)
    # Negative control: a mean of the two items' means is another number.
    means = [negative_log(*rows[0]), (negative_log(*rows[1]) + negative_log(*rows[2])) / 2]
    assert abs(sum(means) / 2 - expected) > 0.01


def test_tags_of_the_windows_of_a_sentence_join_in_the_order_of_its_words():
    items = [
        Item(1, [1, 2], [0, 0], [0, 1], [0, 0]),
        Item(0, [1], [0], [0], [0]),
        Item(1, [3], [0], [0], [0]),
    ]
    logits = [torch.eye(3)[[0, 2]], torch.eye(3)[[1]], torch.eye(3)[[1]]]
    assert tags_by_sentence(logits, items, 2, ["x", "y", "z"]) == [["y"], ["x", "z", "y"]]


def test_evaluation_scores_what_the_model_predicts(monkeypatch):
    own = randomise(SequenceClassifier(own_config()), 0).eval()
    items = ragged(40)
    labels = ("L0", "L1", "L2")
    examples = [TextExample(str(i.example), "", labels[i.targets[0]]) for i in items]
    monkeypatch.setattr(FineTuned, "items", lambda *_: items)
    tokenizer = Tokenizer.from_vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], True, 64)
    found = FineTuned(own, tokenizer, "classification", labels).evaluate(examples)
    best = [int(rows.argmax()) for rows in predict_logits(own, items)]
    assert found.predicted == [labels[b] for b in best]
    hits = sum(b == i.targets[0] for b, i in zip(best, items))
    assert found.scores["accuracy"] == pytest.approx(hits / 40)


def test_a_tagger_answers_once_a_word():
    own = randomise(TokenClassifier(own_config()), 0).eval()
    item = Item(0, [4, 5, 6, 7], [0] * 4, [1, 2], [0, 1])
    (rows,) = predict_logits(own, [item])
    assert rows.shape == (2, 3)
