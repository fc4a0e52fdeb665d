"""A run folder is a Hugging Face checkpoint that also remembers how it was made.

claim                                                        oracle
transformers loads the folder and gives the same logits      transformers' Auto classes
the folder, loaded again, predicts the same                  the model in memory
a smaller draw of a seed is part of a larger one             set inclusion
the same seed gives the same bytes                           a second run
nothing is written over a finished run                       the old bytes
a run that predicts one class only says so                   labels that cannot be learned
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import transformers

from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs.folder import load_run
from minift.runs.train import subset, train
from minift.training.batches import make_batch
from minift.training.items import make_items
from minift.training.loop import Seeds, Settings
from tests.tiny import checkpoint, news, reviews, similarity

FAST = Settings(epochs=2, batch_size=8, learning_rate=1e-3)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def run(dataset, encoder, out=None, method="full", seed=0, settings=FAST, labels=None):
    return train(
        dataset, encoder, recipe(method), labels=labels, seeds=Seeds.all(seed),
        settings=settings, out=out,
    )  # fmt: skip


def test_transformers_loads_a_classification_run_and_gives_the_same_logits(encoder, tmp_path):
    dataset = reviews()
    tuned, _ = run(dataset, encoder, tmp_path / "run")
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    assert reference.config.id2label == {0: "negative", 1: "positive"}
    texts = [example.text for example in dataset.test]
    expected = reference.eval()(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    batch = make_batch(make_items(dataset.test, tuned.tokenizer, "classification", tuned.labels))
    torch.testing.assert_close(tuned.model(batch.packed), expected, rtol=0, atol=1e-5)


def test_transformers_loads_a_tagging_run_and_gives_the_same_logits(encoder, tmp_path):
    dataset = news()
    tuned, _ = run(dataset, encoder, tmp_path / "run")
    reference = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "run")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    assert list(reference.config.id2label.values()) == list(dataset.labels)
    words = [list(example.words) for example in dataset.test]
    inputs = tokenizer(words, is_split_into_words=True, padding=True, return_tensors="pt")
    logits = reference.eval()(**inputs).logits
    batch = make_batch(make_items(dataset.test, tuned.tokenizer, "tagging", tuned.labels))
    real = inputs["attention_mask"].bool()
    expected = logits[real][batch.wanted.indices]
    torch.testing.assert_close(tuned.model(batch.packed, batch.wanted), expected, rtol=0, atol=1e-5)


def test_transformers_loads_a_regression_run_and_gives_the_same_numbers(encoder, tmp_path):
    dataset = similarity()
    tuned, result = run(dataset, encoder, tmp_path / "run")
    assert result["metric"] == "pearson_spearman"
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    assert reference.config.problem_type == "regression"
    pairs = [[example.text, example.text_b] for example in dataset.test]
    expected = reference.eval()(**tokenizer(pairs, padding=True, return_tensors="pt")).logits
    assert expected.shape == (len(pairs), 1)
    batch = make_batch(make_items(dataset.test, tuned.tokenizer, "regression", ()))
    torch.testing.assert_close(tuned.model(batch.packed), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dataset", [reviews(), news(), similarity()], ids=lambda d: d.name)
def test_a_folder_loaded_again_scores_the_same(dataset, encoder, tmp_path):
    tuned, result = run(dataset, encoder, tmp_path / "run")
    again = load_run(tmp_path / "run")
    assert (again.task, again.labels) == (dataset.task, dataset.labels)
    assert again.evaluate(dataset.test).scores == result["test_scores"]
    assert again.evaluate(dataset.test).predicted == tuned.evaluate(dataset.test).predicted


def test_result_json_says_what_a_reader_needs(encoder, tmp_path):
    _, result = run(reviews(), encoder, tmp_path / "run", method="bitfit", labels=21, seed=3)
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert written == result
    assert written["method"] == "bitfit"
    assert written["seed"] == 3
    assert written["labels"] == 21
    assert written["metric"] == "accuracy"
    assert written["encoder"] == str(encoder)
    # 2 layers: 7 biases of 32 and one of 64; embeddings.norm, pooler, head 32 * 2 + 2
    assert written["trainable_parameters"] == 2 * (7 * 32 + 64) + 32 + 32 + 66
    assert 0 <= written["test"] <= 1
    drawn = [e.label for e in subset(reviews().train, 21, seed=3)]  # no tie
    guess = max(drawn, key=drawn.count)  # the majority of what was trained on, not of the test
    assert written["test_majority"] == sum(e.label == guess for e in reviews().test) / 16
    for name in ("dev", "seconds", "examples_per_second", "torch_threads", "minift_version"):
        assert name in written
    spec = json.loads((tmp_path / "run" / "run.json").read_text())
    assert spec["settings"]["epochs"] == 2
    history = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [1, 2]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(encoder, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(reviews(), encoder, tmp_path / name, seed=seed)
    weights = {n: (tmp_path / n / "model.safetensors").read_bytes() for n in "abc"}
    assert weights["a"] == weights["b"]
    assert weights["a"] != weights["c"]


def test_a_smaller_draw_of_a_seed_is_part_of_a_larger_one():
    train_split = reviews().train
    small, large = subset(train_split, 5, seed=4), subset(train_split, 20, seed=4)
    assert large[:5] == small
    assert len({e.id for e in large}) == 20
    assert subset(train_split, 20, seed=5) != large
    assert subset(train_split, None, seed=4) == train_split
    with pytest.raises(MiniftError, match="--labels 99: the training split has 32 examples"):
        subset(train_split, 99, seed=0)


def test_a_finished_run_is_not_written_over(encoder, tmp_path):
    run(reviews(), encoder, tmp_path / "run")
    before = {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()}
    with pytest.raises(MiniftError, match="already holds a finished run"):
        run(reviews(), encoder, tmp_path / "run", seed=1)
    assert {f.name: f.read_bytes() for f in (tmp_path / "run").iterdir()} == before


def test_a_run_that_predicts_one_class_only_says_so(encoder):
    dataset = reviews()
    # 15 of 16 training labels are one class, and the rate is too small to learn anything.
    one_sided = tuple(e for e in dataset.train if e.label == "positive")[:15]
    other = next(e for e in dataset.train if e.label == "negative")
    settings = replace(FAST, epochs=15, learning_rate=1e-3)
    _, result = run(replace(dataset, train=(*one_sided, other)), encoder, settings=settings)
    assert result["collapsed"]
    assert 'every test example is predicted "positive"' in " ".join(result["notes"])


def test_one_class_in_the_draw_is_refused_before_training(encoder):
    dataset = reviews()
    positive = tuple(e for e in dataset.train if e.label == "positive")
    with pytest.raises(MiniftError, match="training examples have the label 'positive'"):
        run(replace(dataset, train=positive), encoder)


def test_an_unlabelled_test_split_is_not_scored(encoder):
    dataset = reviews()
    bare = tuple(replace(e, label=None) for e in dataset.test)
    _, result = run(replace(dataset, test=bare), encoder)
    assert result["test"] is None
    assert result["dev"] is not None


def test_a_folder_without_a_classifier_is_refused(encoder, tmp_path):
    with pytest.raises(MiniftError, match=r"is not a run folder: it has no config\.json"):
        load_run(tmp_path)
    with pytest.raises(MiniftError, match=r"\['BertForMaskedLM'\]; expected one of"):
        load_run(encoder)


def test_full_tuning_learns_what_biases_alone_cannot_get_from_a_random_encoder(encoder):
    settings = Settings(epochs=12, batch_size=8, learning_rate=3e-3)
    full, biases = (
        run(reviews(160), encoder, method=method, settings=settings)[1]
        for method in ("full", "bitfit")
    )
    assert full["test"] > 0.9 > full["test_majority"]
    # Negative control: BitFit adapts what pretraining has put there, and here is nothing.
    assert biases["test"] < 0.75
