"""The head alone is solved, and contrastive training ends with the solution for its encoder.

claim                                                        oracle
`head` gives the optimum for classes, pairs, numbers, tags   scikit-learn on the model's vectors
no seed of head, order or dropout changes it                 other seeds, the same bits
nothing else of the model changes                            the weights before
contrastive ends with the optimum for its encoder            scikit-learn on its vectors
its development score is that of a solved head               solved again at each look
start:probe is training that starts from the optimum         the loop, from a solved head
frozen layers under it are computed once, to no effect       the loop without a cache
MC dropout of a solved head samples in the head alone        passes; plain predictions
what cannot be solved or contrasted is refused               one sentence
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from minift.active.streaming import mc_predict, where_trained
from minift.cli.main import main
from minift.data.examples import Dataset
from minift.errors import MiniftError
from minift.methods.contrastive import Contrastive
from minift.methods.freezing import freeze
from minift.methods.recipes import recipe
from minift.methods.solved_head import last_linear, solve
from minift.runs.evaluate import predict_logits
from minift.runs.fit import fit
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build
from minift.training.loop import Recipe, Seeds, Settings, fine_tune
from tests.tiny import checkpoint, news, reviews, similarity
from tests.training.test_loop import weights


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def pairs() -> Dataset:
    """Similarity with three classes in place of numbers."""
    data = similarity(96)

    def named(examples):
        kind = lambda e: "low" if e.label < 3 else "middle" if e.label < 5 else "high"  # noqa: E731
        return tuple(replace(e, label=kind(e)) for e in examples)

    parts = (named(data.train), named(data.dev), named(data.test))
    return Dataset("pairs", "classification", ("low", "middle", "high"), *parts)


def double(data, encoder, head=None, seeds=None) -> FineTuned:
    tuned = build(data, encoder, seeds or Seeds.all(0), head=head)
    tuned.model.double()
    return tuned


def rows_of(tuned: FineTuned, examples) -> tuple[torch.Tensor, torch.Tensor]:
    """What the last layer reads, and what is asked of it."""
    items = tuned.items(examples)
    found = torch.cat(predict_logits(tuned.model, items, vectors=True)).double()
    return found, torch.tensor([target for item in items for target in item.targets])


def strength_of(history) -> float:
    return float(history.stopped.split("C = ")[1].split()[0])


def as_scikit_learn(tuned: FineTuned, examples, strength: float) -> torch.Tensor:
    """Its probabilities (or numbers) for the examples it was fitted to."""
    vectors, targets = (part.numpy() for part in rows_of(tuned, examples))
    if tuned.task == "regression":
        ridge = Ridge(alpha=1 / strength, solver="svd").fit(vectors, targets)
        return torch.tensor(ridge.predict(vectors))
    fitted = LogisticRegression(C=strength, tol=1e-10, max_iter=10**5).fit(vectors, targets)
    found = torch.zeros(len(vectors), len(tuned.labels), dtype=torch.float64)
    found[:, fitted.classes_] = torch.tensor(fitted.predict_proba(vectors))
    return found


def answers(tuned: FineTuned, examples) -> torch.Tensor:
    vectors, _ = rows_of(tuned, examples)
    logits = last_linear(tuned.model)(vectors).detach()
    return logits[:, 0] if tuned.task == "regression" else logits.softmax(1)


CASES = {
    "classes": (reviews, "linear"), "mean": (reviews, "mean"), "pairs": (pairs, "mean"),
    "numbers": (similarity, "mean"), "tags": (news, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_head_is_the_optimum(case, encoder):
    make, head = CASES[case]
    data = make()
    tuned = double(data, encoder, head)
    before = weights(tuned.model)
    found = fit(tuned, tuned.items(data.train), recipe("head"), Seeds.all(0))
    strength = 10 ** (round(2 * math.log10(strength_of(found.history))) / 2)  # printed in 3 digits
    expected = as_scikit_learn(found.tuned, data.train, strength)
    torch.testing.assert_close(answers(found.tuned, data.train), expected, rtol=0, atol=1e-6)
    assert expected.std() > 0.01
    moved = {name for name, value in weights(tuned.model).items() if not value.equal(before[name])}
    assert moved == {name for name in before if name.startswith("classifier.")}
    assert found.learned == sum(before[name].numel() for name in moved)
    assert found.history.epochs == [] and "5-fold cross-validation" in found.history.stopped


def test_no_seed_changes_it_but_other_labels_do(encoder):
    data, found = reviews(), []
    for seeds, examples in ((Seeds(0, 1, 2, 3, 4), data.train), (Seeds(9, 8, 7, 6, 5), data.train),
                            (Seeds(0, 1, 2, 3, 4), data.train[:20])):  # fmt: skip
        tuned = double(data, encoder, "mean", seeds)
        fit(tuned, tuned.items(examples), recipe("head"), seeds)
        found.append(tuned.model.classifier.linear.weight)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_the_summary_of_a_solved_head_speaks_of_no_epoch(encoder, tmp_path, capsys):
    file = tmp_path / "train.jsonl"
    rows = [json.dumps({"text": e.text, "label": e.label}) for e in reviews().train]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["train", "--train", file, "--test", file, "--encoder", encoder, "--method", "head"]
    assert main([str(word) for word in [*words, "--out", tmp_path / "run"]]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert re.search(r"learned, head solved with C = .* \(the best in 5-fold .*\), \d+ s$", said)
    assert (tmp_path / "run" / "history.jsonl").read_text() == ""


def test_fewer_labels_than_folds_are_said(encoder):
    data = reviews()
    both = [next(e for e in data.train if e.label == label) for label in data.labels]
    tuned = double(data, encoder, "mean")
    found = fit(tuned, tuned.items(both), recipe("head"), Seeds.all(0))
    assert "C = 1 (too few labels to choose it)" in found.history.stopped


@pytest.mark.parametrize("head", ["linear", "mean"])
def test_contrastive_ends_with_the_optimum_for_its_encoder(encoder, head):
    data = reviews()
    tuned = double(data, encoder, head)
    before = weights(tuned.model)
    chosen = replace(recipe("contrastive"), settings=Settings(epochs=2, learning_rate=1e-3))
    found = fit(tuned, tuned.items(data.train), chosen, Seeds.all(0))
    assert not torch.equal(before["bert.layers.0.output.weight"],
                           tuned.model.bert.layers[0].output.weight)  # fmt: skip
    strength = 10 ** (round(2 * math.log10(strength_of(found.history))) / 2)
    expected = as_scikit_learn(found.tuned, data.train, strength)
    torch.testing.assert_close(answers(found.tuned, data.train), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["full", "bitfit", "freeze:1"])
def test_start_probe_is_training_from_the_optimum(encoder, name):
    data, settings = reviews(), Settings(epochs=2, batch_size=8, learning_rate=1e-3)
    ours, plain = double(data, encoder, "mean"), double(data, encoder, "mean")
    items = ours.items(data.train)
    chosen = replace(recipe(f"{name}+start:probe"), settings=settings)
    found = fit(ours, items, chosen, Seeds.all(0))
    assert "epoch 2 of 2 done; head solved with C" in found.history.stopped
    best = solve(*rows_of(plain, data.train), 2)
    layer = last_linear(plain.model)
    layer.weight.data.copy_(best.weight), layer.bias.data.copy_(best.bias)
    fine_tune(plain.model, items, replace(recipe(name), settings=settings), Seeds.all(0))
    for key, value in weights(ours.model).items():
        torch.testing.assert_close(value, weights(plain.model)[key], rtol=0, atol=1e-6)


def test_its_development_scores_are_those_of_a_solved_head(encoder):
    """In training the last layer has learned nothing, so its own score would be a coin's."""
    data, seen = reviews(160), []

    def validate(tuned: FineTuned) -> tuple[float, float]:
        vectors, targets = rows_of(tuned, data.train)
        best = solve(vectors, targets, 2)
        layer = last_linear(tuned.model)
        torch.testing.assert_close(layer.weight.double(), best.weight, rtol=1e-4, atol=1e-4)
        result = tuned.evaluate(data.dev)
        seen.append(result.scores["accuracy"])
        return result.loss, seen[-1]

    tuned = double(data, encoder, "mean")
    settings = Settings(epochs=3, learning_rate=1e-3, keep="best")
    chosen = replace(recipe("contrastive"), settings=settings)
    found = fit(tuned, tuned.items(data.train), chosen, Seeds.all(0), validate=validate)
    assert len(seen) == 3 and found.tuned.evaluate(data.dev).scores["accuracy"] == max(seen)


def test_frozen_layers_under_it_are_computed_once_to_no_effect(encoder):
    data = reviews()
    ours, plain = double(data, encoder, "mean"), double(data, encoder, "mean")
    settings = Settings(epochs=2, batch_size=8, learning_rate=1e-3)
    chosen = replace(recipe("freeze:1+contrastive"), settings=settings)
    items = ours.items(data.train)
    found = fit(ours, items, chosen, Seeds.all(0))
    assert found.tuned.cache is not None and found.tuned.cache.layers == 1
    alone = Recipe(trainable=freeze(1), objective=Contrastive(), settings=settings)
    fine_tune(plain.model, items, alone, Seeds.all(0))
    for name, value in weights(ours.model).items():
        if not name.startswith("classifier."):
            torch.testing.assert_close(value, weights(plain.model)[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("head", ["linear", "mean"])
def test_mc_dropout_of_a_solved_head_samples_in_the_head_alone(encoder, head):
    data = reviews()
    tuned, _ = train(data, encoder, recipe("head"), seeds=Seeds.all(0), head=head)
    assert where_trained(tuned) == "head"
    passes = mc_predict(tuned, data.test, 8)
    plain = mc_predict(tuned, data.test, 1, layers="none")
    assert passes.std(0).max() > 1e-3  # elements of what the last layer reads are dropped
    torch.testing.assert_close(plain, mc_predict(tuned, data.test, 1, seed=5, layers="none"))


@pytest.mark.parametrize(
    "name,data,head,said",
    [
        ("head+adaptive", reviews(), "mean", "solved, not trained in steps"),
        ("head+child-f:0.5", reviews(), "mean", "solved, not trained in steps"),
        ("contrastive", news(), None, "needs one class per text.* a tag per word"),
        ("contrastive", similarity(), "mean", "needs one class per text.* numbers"),
        ("contrastive", pairs(), "mean", "needs one class per text.* those of pairs"),
    ],
)
def test_what_cannot_be_solved_or_contrasted_is_refused(name, data, head, said, encoder, tmp_path):
    with pytest.raises(MiniftError, match=said):
        train(data, encoder, recipe(name), seeds=Seeds.all(0), head=head, out=tmp_path / "run")


def test_one_example_of_a_class_has_no_pair(encoder):
    data = reviews()
    negative = [e for e in data.train if e.label == "negative"]
    one = next(e for e in data.train if e.label == "positive")
    few = replace(data, train=(*negative[:5], one))
    with pytest.raises(MiniftError, match='there is one of "positive"; draw more labels'):
        train(few, encoder, recipe("contrastive"), seeds=Seeds.all(0))


def test_two_words_that_solve_the_head_and_unknown_arguments_are_refused():
    for name in ("head+contrastive", "head+start:probe", "contrastive+start:probe"):
        with pytest.raises(MiniftError, match="both say what becomes of the head; choose one"):
            recipe(name)
    with pytest.raises(MiniftError, match="unknown start"):
        recipe("start:prob")
    with pytest.raises(MiniftError, match="did you mean"):
        recipe("contrastive:supervise")


def test_the_cnn_head_has_more_than_a_linear_layer_and_is_trained_in_steps(encoder):
    data = reviews()
    settings = Settings(epochs=1, learning_rate=1e-2)
    _, result = train(data, encoder, recipe("head"), seeds=Seeds.all(0), settings=settings,
                      head="cnn")  # fmt: skip
    assert result["epochs"] == 1 and "solved" not in result["stopped"]
