"""A run folder is a Hugging Face checkpoint that also remembers how it was made.

claim                                                        oracle
transformers loads the folder and gives the same logits      transformers' Auto classes
the folder, loaded again, predicts the same                  the model in memory
a smaller draw of a seed is part of a larger one             set inclusion
the same seed gives the same bytes, and so do all labels     a second run
that are asked for by their number
the development split is scored once, or after each epoch    the examples of each evaluation; a run
where somebody looks, which changes no weight                that looks
what history.jsonl says of losses is true                    cross-entropy and squares in a loop
a head that came with the encoder is kept, and the run says  the file; `new_head`
so
nothing is written over a finished run                       the old bytes
a run that predicts one class only says so                   labels that cannot be learned
"""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
import transformers

from minift.errors import MiniftError
from minift.methods.recipes import recipe
from minift.runs import train as runs
from minift.runs.folder import load_run
from minift.runs.train import subset, train
from minift.runs.tuned import FineTuned, build
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


def test_all_labels_asked_for_by_their_number_train_the_same_bytes(encoder, tmp_path):
    for name, labels in (("none", None), ("all", len(reviews().train))):
        run(reviews(), encoder, tmp_path / name, labels=labels)
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("none", "all")]
    assert weights[0] == weights[1]


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """The splits that are scored, one after the other."""
    found, evaluate = [], FineTuned.evaluate
    names = {getattr(reviews(), split): split for split in ("train", "dev", "test")}

    def watched(tuned, examples, *args):
        found.append(names[tuple(examples)])
        return evaluate(tuned, examples, *args)

    monkeypatch.setattr(FineTuned, "evaluate", watched)
    return found


@pytest.mark.parametrize(
    ("method", "options", "keep", "looks"),
    [
        ("full", {}, "last", 0),
        ("freeze:1", {}, "last", 0),
        ("full", {"validate_each_epoch": True}, "last", 2),
        ("full", {}, "best", 2),
        ("early-stopping:5", {}, "last", 2),
        ("adaptive", {}, "last", 2),
    ],
)
def test_the_development_split_is_scored_once_unless_somebody_looks_at_it(
    method, options, keep, looks, encoder, tmp_path, scored
):
    settings = replace(FAST, keep=keep)
    options = {"seeds": Seeds.all(0), "settings": settings, "out": tmp_path / "run", **options}
    _, result = train(reviews(), encoder, recipe(method), **options)
    assert scored == ["dev"] * looks + ["dev", "test"]
    history = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in history]
    assert len(rows) == 2
    for row in rows:
        assert (row["dev"] is not None) == (row["dev_loss"] is not None) == (looks > 0)
    if looks and keep == "last":
        assert rows[-1]["dev"] == result["dev"]  # it is scored again, and comes out the same
    assert result["dev"] is not None


@pytest.mark.parametrize("method", ["full", "freeze:1", "bitfit+child-f:0.5"])
def test_a_look_at_the_development_split_changes_no_weight(method, encoder, tmp_path):
    for name, looks in (("blind", False), ("looking", True)):
        train(
            reviews(), encoder, recipe(method), seeds=Seeds.all(0), settings=FAST,
            out=tmp_path / name, validate_each_epoch=looks,
        )  # fmt: skip
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("blind", "looking")]
    assert weights[0] == weights[1]
    results = [json.loads((tmp_path / n / "result.json").read_text()) for n in ("blind", "looking")]
    assert results[0]["dev_scores"] == results[1]["dev_scores"]


@pytest.mark.parametrize("dataset", [reviews(), news(), similarity()], ids=lambda d: d.name)
def test_losses_of_history_are_means_over_targets(dataset, tmp_path):
    """In steps that are too small to change a loss, without dropout: the losses of the start."""
    encoder = checkpoint(tmp_path / "encoder")
    config = json.loads((encoder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(config))
    train(
        dataset, encoder, recipe("full"), seeds=Seeds.all(0), out=tmp_path / "run",
        settings=Settings(epochs=1, batch_size=7, learning_rate=1e-30),
        validate_each_epoch=True,
    )  # fmt: skip
    start = build(dataset, encoder, Seeds.all(0))
    expected = {}
    for split in ("train", "dev"):
        losses = []
        for item in start.items(getattr(dataset, split)):
            batch = make_batch([item])
            logits = start.model.eval()(batch.packed, batch.wanted).double().tolist()
            for row, target in zip(logits, item.targets, strict=True):
                if dataset.task == "regression":
                    losses.append((row[0] - target) ** 2)
                else:
                    losses.append(math.log(sum(map(math.exp, row))) - row[target])
        expected[split] = sum(losses) / len(losses)
    (row,) = map(json.loads, (tmp_path / "run" / "history.jsonl").read_text().splitlines())
    assert expected["train"] > 0.1 and expected["dev"] > 0.1
    assert row["train_loss"] == pytest.approx(expected["train"], abs=1e-5)
    assert row["dev_loss"] == pytest.approx(expected["dev"], abs=1e-5)


def test_a_best_epoch_of_scores_that_are_not_numbers_is_the_last(encoder, tmp_path, monkeypatch):
    _, last = run(reviews(), encoder, tmp_path / "last")
    monkeypatch.setattr(runs, "headline", lambda metric, scores: math.nan)
    settings = replace(FAST, keep="best")
    _, result = run(reviews(), encoder, tmp_path / "best", settings=settings)
    weights = [(tmp_path / n / "model.safetensors").read_bytes() for n in ("last", "best")]
    assert weights[0] == weights[1]
    sentence = "epoch 2 of 2 done; no epoch's score was a number, so the last weights are kept"
    assert (last["stopped"], result["stopped"]) == ("epoch 2 of 2 done", sentence)


def test_a_run_folder_as_encoder_keeps_its_head_and_the_run_says_so(encoder, tmp_path):
    run(reviews(), encoder, tmp_path / "first")
    first = load_run(tmp_path / "first").model
    still = replace(FAST, learning_rate=1e-30)  # the second run is to leave the head as it is
    options = {"seeds": Seeds.all(1), "settings": still}
    kept, told = train(reviews(), tmp_path / "first", recipe("full"), **options)
    assert torch.equal(kept.model.classifier.weight, first.classifier.weight)
    assert any("the head that came with the encoder was kept" in note for note in told["notes"])
    redrawn, told = train(reviews(), tmp_path / "first", recipe("full"), new_head=True, **options)
    weights = redrawn.model.classifier.weight
    assert not torch.equal(weights, first.classifier.weight)
    assert redrawn.model.classifier.bias.abs().max() < 1e-20  # as a new one is drawn
    layers = redrawn.model.bert.layers, first.bert.layers
    assert torch.equal(*(layer[1].output.weight for layer in layers))
    assert not any("head" in note for note in told["notes"])
    # An encoder without a head has none to keep, and one of other labels does not fit.
    assert not any("head" in note for note in run(reviews(), encoder)[1]["notes"])
    others = replace(
        reviews(),
        labels=("no", "yes"),
        **{
            split: tuple(
                replace(e, label="yes" if e.label == "positive" else "no")
                for e in getattr(reviews(), split)
            )
            for split in ("train", "dev", "test")
        },
    )
    changed, told = train(others, tmp_path / "first", recipe("full"), **options)
    assert torch.equal(changed.model.classifier.weight, weights)  # by the seed alone
    assert not any("head" in note for note in told["notes"])


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
    with pytest.raises(MiniftError, match=r"training example .* has the label 'positive'"):
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
    with pytest.raises(MiniftError, match=r"\['BertForMaskedLM'\], so this is an encoder"):
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
