"""The bag of words is the textbook's.

claim                                                        oracle
two classes: weights, bias and accuracy                      scikit-learn, on the embedded reviews
three classes, a text without a known word, pairs of texts   scikit-learn
labels that say nothing teach nothing                        shuffled labels
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from minift.compare.bag_of_words import fit_bag_of_words
from minift.data.examples import TextExample
from minift.data.named import load_dataset
from minift.errors import MiniftError
from minift.runs.train import subset


@pytest.fixture(scope="module")
def reviews():
    return load_dataset("reviews")


def reference(train, test):
    """Return scikit-learn's vectorizer, model and accuracy."""
    words = CountVectorizer(ngram_range=(1, 2))
    model = LogisticRegression(max_iter=10_000, tol=1e-8)
    model.fit(words.fit_transform([e.text for e in train]), [e.label for e in train])
    return (
        words,
        model,
        model.score(words.transform([e.text for e in test]), [e.label for e in test]),
    )


@pytest.mark.parametrize("count", [100, 300])
def test_two_classes_give_scikit_learns_weights_and_accuracy(reviews, count):
    train = subset(reviews.train, count, 3)
    own = fit_bag_of_words(train, reviews.labels)
    words, model, accuracy = reference(train, reviews.test)
    assert set(own.vocabulary) == set(words.vocabulary_)
    places = [own.vocabulary[word] for word in words.get_feature_names_out()]
    weights, bias = own.weights[1] - own.weights[0], own.bias[1] - own.bias[0]
    np.testing.assert_allclose(weights[places].numpy(), model.coef_[0], atol=1e-5)
    np.testing.assert_allclose(bias.numpy(), model.intercept_[0], atol=1e-5)
    assert own.accuracy(reviews.test) == accuracy


def test_three_classes_give_scikit_learns_answers():
    source = random.Random(0)
    letters = "alpha beta gamma delta epsilon zeta eta theta".split()  # noqa: SIM905

    def draw(number):
        label = source.choice("xyz")
        words = [*source.choices(letters, k=6), letters["xyz".index(label)]]
        return TextExample(str(number), " ".join(words), label)

    train, test = [draw(n) for n in range(90)], [draw(n) for n in range(60)]
    test.append(TextExample("unknown", "nothing known here", "x"))
    own = fit_bag_of_words(train, ("x", "y", "z"))
    assert own.accuracy(test) == reference(train, test)[2]


def test_the_second_text_of_a_pair_is_read():
    pairs = [TextExample(str(n), "same words", "ab"[n % 2], ("no", "yes")[n % 2]) for n in range(8)]
    assert fit_bag_of_words(pairs, ("a", "b")).accuracy(pairs) == 1.0
    alone = [replace(pair, text_b=None) for pair in pairs]
    assert fit_bag_of_words(alone, ("a", "b")).accuracy(alone) == 0.5


def test_shuffled_labels_teach_nothing(reviews):
    train = subset(reviews.train, 300, 0)
    labels = [example.label for example in train]
    random.Random(1).shuffle(labels)
    shuffled = [replace(example, label=label) for example, label in zip(train, labels)]
    assert fit_bag_of_words(shuffled, reviews.labels).accuracy(reviews.test) == pytest.approx(
        0.5, abs=0.06
    )


def test_texts_without_a_word_are_refused():
    with pytest.raises(MiniftError, match="no text has a word of two letters"):
        fit_bag_of_words([TextExample("1", "?", "a"), TextExample("2", "a !", "b")], ("a", "b"))
