"""What a Python user hands in first: plain texts, names, numbers, rows; it works or says why not.

claim                                                        oracle
a text is answered as its example is                         the answer to the example
whatever is no text and no example is refused in a sentence  rows as pandas and csv give them
a text is never taken for a list of words                    the message; the answer to its words
the name of a method is the method                           the weights
a number, numpy's too, is the seeds derived from it          the weights
labels may be numbers                                        the weights with their names
"""

from __future__ import annotations

import collections
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import minift
from minift import MiniftError, Seeds, TaggedExample, TextExample
from minift.active.loop import Learner
from minift.compare.grid import compare
from minift.methods.recipes import recipe
from tests.tiny import checkpoint, news, reviews


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def tuned(encoder):
    return train(encoder, reviews(32))


def train(encoder, dataset, method="head", seeds=0):
    return minift.train(dataset, encoder, method, seeds=seeds)[0]


def weights(tuned) -> dict[str, torch.Tensor]:
    return dict(tuned.model.state_dict())


def equal(one, other) -> bool:
    return all(torch.equal(a, weights(other)[name]) for name, a in weights(one).items())


def test_columns_are_no_texts_and_a_name_is_no_model(tuned):
    with pytest.raises(MiniftError, match=r"expected a list of texts, got columns: \{'text'"):
        list(minift.predict(tuned, {"text": ["a"], "label": ["x"]}))
    with pytest.raises(
        MiniftError, match=r"expected a model, as minift.load_run returns it, got 'r"
    ):
        list(minift.predict("runs/a", ["a"]))


def test_weights_that_are_not_finite_answer_nothing(tuned, encoder, tmp_path):
    folder = tmp_path / "run"
    spoilt = minift.train(reviews(32), encoder, "head", seeds=0, out=folder)[0]
    minift.load_run(folder)
    with torch.no_grad():
        spoilt.model.classifier.weight[0, 0] = math.nan
    minift.save_pretrained(spoilt.model, spoilt.tokenizer, folder)
    with pytest.raises(MiniftError, match=r"classifier\.weight holds numbers that are not finite"):
        minift.load_run(folder)
    with pytest.raises(MiniftError, match="became"):
        minift.train(
            reviews(32), encoder, "full", seeds=0,
            settings=minift.Settings(learning_rate=1e38, epochs=1),
        )  # fmt: skip


def test_a_plain_text_is_answered_as_its_example_is(tuned, encoder):
    examples = [TextExample("1", "good film"), TextExample("2", "bad")]
    plain = minift.predict(tuned, ["good film", "bad"])
    assert list(plain) == list(minift.predict(tuned, examples))
    tagger = train(encoder, news(32))
    (answer,) = minift.predict(tagger, ["Ada saw Oslo."])
    assert answer["words"] == ["Ada", "saw", "Oslo", "."]
    assert tagger.tag([["Ada", "saw", "Oslo", "."]]) == [answer["tags"]]


def test_a_text_is_never_a_list_of_words_nor_its_letters_texts(tuned, encoder):
    tagger = train(encoder, news(32))
    for wrong in (["Ada lives"], "Ada lives"):
        with pytest.raises(MiniftError, match=r"got the text 'A.*'; expected a list of words"):
            tagger.tag(wrong)
    with pytest.raises(MiniftError, match="expected a list of words"):
        TaggedExample("1", "Ada lives")
    assert TaggedExample("1", ["Ada"], ("O",)) == TaggedExample("1", ("Ada",), ("O",))
    with pytest.raises(MiniftError, match="expected a list of texts, got the text 'Ada lives'"):
        list(minift.predict(tuned, "Ada lives"))


Row = collections.namedtuple("Pandas", "Index text label")  # what DataFrame.itertuples() yields


class Series(dict):
    """What DataFrame.iterrows() yields beside an index."""


@pytest.mark.parametrize(
    "row",
    [Row(0, "good", 1), (0, Series(text="good")), {"text": "good"}, ("a", "b"), 3, math.nan, b"x"],
    ids=repr,
)
def test_what_is_no_text_and_no_example_is_refused_in_a_sentence(tuned, row):
    for use in (
        lambda: list(minift.predict(tuned, [row])),
        lambda: replace(reviews(32), train=[row]),
        lambda: tuned.evaluate([row]),
    ):
        with pytest.raises(MiniftError, match=r"expected a TextExample\(id,") as found:
            use()
        assert "\n" not in str(found.value)
    with pytest.raises(MiniftError, match="example 1 has the texts nan and None; expected strings"):
        TextExample("1", math.nan)


def test_the_name_of_a_method_is_the_method(encoder):
    dataset = reviews(32)
    assert equal(train(encoder, dataset, "head"), train(encoder, dataset, recipe("head", encoder)))
    assert not equal(train(encoder, dataset, "head"), train(encoder, dataset, "full"))
    assert Learner(dataset, encoder, "bitfit").recipe.name == "bitfit"
    for wrong in (3, None, ["head"]):
        with pytest.raises(MiniftError, match="the method must be a Recipe, or a name such as"):
            train(encoder, dataset, wrong)
    with pytest.raises(MiniftError, match="the method must be a Recipe, e"):
        minift.fine_tune(None, [], "bitfit", 0)


def test_a_number_is_the_seeds_that_are_derived_from_it(encoder, tmp_path):
    dataset = reviews(32)
    one = train(encoder, dataset, seeds=Seeds.all(3))
    for number in (3, np.int64(3), np.uint8(3), torch.tensor(3)):
        assert Seeds.all(number) == Seeds.all(3)
        assert json.dumps(vars(Seeds.all(number)))  # Python's own numbers
    assert equal(one, train(encoder, dataset, seeds=np.int64(3)))
    assert not equal(one, train(encoder, dataset, seeds=4))
    for wrong in (True, 1.0, "3", None, np.bool_(True), -1, np.int64(-1)):
        with pytest.raises(MiniftError, match="seed must be an integer in"):
            Seeds.all(wrong)
    found = compare(dataset, encoder, "head", np.int64(16), np.arange(2), tmp_path / "out")
    assert [run.seed for run in found.runs] == [0, 1]
    with pytest.raises(MiniftError, match="seeds must be from 1 to 10000"):
        compare(dataset, encoder, "head", seeds=np.int64(0), out=tmp_path / "none")


def test_labels_may_be_numbers(encoder):
    dataset, number = reviews(32), {"negative": 0, "positive": 1}
    told = {
        split: [replace(e, label=number[e.label]) for e in getattr(dataset, split)]
        for split in ("train", "dev", "test")
    }
    plain = train(encoder, dataset)
    for kind in (int, np.int64):
        told["train"] = [replace(e, label=kind(e.label)) for e in told["train"]]
        tuned = train(encoder, replace(dataset, labels=(0, 1), **told))
        assert tuned.labels == ("0", "1") and equal(plain, tuned)
