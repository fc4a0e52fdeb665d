"""Class weights do what scikit-learn's and torch's do.

claim                                                        oracle
balanced weights, of classes and of tags                     compute_class_weight
a solved head with weights, at a given strength, balanced    LogisticRegression(class_weight=...)
  and from a file, classes without a row too
the strength is chosen by the weighted loss                  scikit-learn in a loop over folds
the loss over all of training, and its gradient              torch's CrossEntropyLoss(weight=...)
a step divides by its targets, however they are split up     the loop with accumulate
twice the weights change no bit; equal ones no loss          bit equality
the words head, start:probe and weighted combine             scikit-learn on the model's vectors
rare classes are answered more often                         labels that say nothing, both ways
a file is read, or refused in one sentence                   words
another file does not resume a run                           words
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from minift.cli.main import main
from minift.data.examples import Dataset
from minift.errors import MiniftError
from minift.methods.class_weights import Weighted, weighted
from minift.methods.recipes import recipe
from minift.methods.solved_head import FOLDS, STRENGTHS, last_linear, solve
from minift.runs.fit import fit
from minift.runs.train import train
from minift.runs.tuned import build
from minift.training.batches import make_batch
from minift.training.loop import Recipe, Seeds, Settings, Training, cross_entropy
from tests.methods.test_solved_head import logits, problem
from tests.runs.test_solve import rows_of
from tests.tiny import checkpoint, news, reviews, similarity

pytestmark = pytest.mark.filterwarnings("ignore:.*[Ll]ine [Ss]earch")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def skewed(rows, width, classes, seed=0):
    """A problem whose first class has most rows."""
    vectors, targets = problem(4 * rows, width, classes, seed)
    keep = (targets == 0) | (torch.arange(len(targets)) % 5 == 0)
    return vectors[keep], targets[keep]


def rare(count=80) -> Dataset:
    """Reviews of which few are positive."""
    data = reviews(count)
    keep = [e for i, e in enumerate(data.train) if e.label == "negative" or i % 4 == 0]
    return replace(data, train=tuple(keep))


def several() -> Dataset:
    """Texts that have one label, or both, or none."""
    data, every = reviews(), (("a",), ("a", "b"), ("b",), ())
    texts = tuple(replace(e, label=every[i % 4]) for i, e in enumerate(data.train))
    return Dataset("several", "multilabel", ("a", "b"), texts)


def prepared(tuned, examples, objective=None):
    return (objective or Weighted()).ready(tuned.model, tuned.items(examples), tuned.labels)


@pytest.mark.parametrize("data", [rare(), news()], ids=lambda d: d.name)
def test_balanced_weights_are_scikit_learns(data, encoder):
    tuned = build(data, encoder, 0)
    targets = np.array([t for item in tuned.items(data.train) for t in item.targets])
    there = np.unique(targets)
    expected = compute_class_weight("balanced", classes=there, y=targets)
    ours = prepared(tuned, data.train).of_class
    # Scaled to a mean of 1 over the targets, which scikit-learn's have of themselves.
    np.testing.assert_allclose(np.array(ours)[there], expected, rtol=1e-12)
    assert np.array(ours)[targets].mean() == pytest.approx(1, abs=1e-12)
    assert len(set(ours)) > 1


@pytest.mark.parametrize(("rows", "width", "classes"), [(60, 10, 2), (20, 40, 2), (60, 12, 4)])
@pytest.mark.parametrize("strength", [0.03, 1.0, 300.0])
@pytest.mark.parametrize("given", ["balanced", "by hand"])
def test_a_solved_head_is_logistic_regression_with_the_same_weights(
    rows, width, classes, strength, given
):
    vectors, targets = skewed(rows, width, classes)
    counts = targets.bincount(minlength=classes + 1).double()  # the last class has no row
    weights = len(targets) / (classes * counts.clamp(min=1))
    if given == "by hand":
        weights = 0.3 + torch.arange(classes + 1, dtype=torch.float64) ** 2
    by_class = {k: float(weights[k]) for k in range(classes)}
    reference = LogisticRegression(
        C=strength, solver="newton-cg", tol=1e-11, max_iter=10_000,
        class_weight="balanced" if given == "balanced" else by_class,
    ).fit(vectors.numpy(), targets.numpy())  # fmt: skip
    head = solve(vectors, targets, classes + 1, strength=strength, weights=weights)
    ours = logits(head, vectors).softmax(1)[:, :classes]
    torch.testing.assert_close(
        ours, torch.tensor(reference.predict_proba(vectors.numpy())), rtol=0, atol=1e-6
    )
    plain = logits(solve(vectors, targets, classes + 1, strength=strength), vectors).softmax(1)
    # Where the classes can be told apart and nothing holds back, little is left to weigh.
    assert (plain[:, :classes] - ours).abs().max() > (1e-5 if strength > 100 else 0.01)


def test_weights_of_one_change_no_bit_of_a_solved_head():
    vectors, targets = skewed(60, 10, 3)
    one = solve(vectors, targets, 3, weights=torch.ones(3))
    none = solve(vectors, targets, 3)
    torch.testing.assert_close(one.weight, none.weight, rtol=0, atol=1e-9)
    assert one.strength == none.strength and one.folds == FOLDS


@pytest.mark.parametrize("seed", range(4))
def test_the_strength_is_the_one_of_the_weighted_held_out_loss(seed):
    vectors, targets = skewed(40, 20, 2, seed)
    weights = torch.tensor([0.2, 3.0], dtype=torch.float64)
    order = targets.argsort(stable=True).argsort()
    table = np.zeros((len(STRENGTHS), len(targets)))
    for losses, strength in zip(table, STRENGTHS):
        for fold in range(FOLDS):
            held = (order % FOLDS == fold).numpy()
            model = LogisticRegression(
                C=strength, solver="newton-cg", tol=1e-10, max_iter=10_000,
                class_weight={0: 0.2, 1: 3.0},
            ).fit(vectors[~held], targets[~held])  # fmt: skip
            proba = model.predict_proba(vectors[held])
            gold = targets[held].numpy()
            likely = np.maximum(proba[np.arange(len(gold)), gold], 1e-300)  # no infinity
            losses[held] = -np.log(likely) * weights[gold].numpy()
    more = table - table[table.sum(1).argmin()]
    near = more.sum(1) <= more.std(1, ddof=1) * len(targets) ** 0.5
    best = min((s for s, good in zip(STRENGTHS, near) if good), key=lambda s: abs(math.log(s)))
    assert solve(vectors, targets, 2, weights=weights).strength == best


def test_the_loss_and_its_gradient_over_all_of_training_are_torchs(encoder):
    data = rare()
    tuned = build(data, encoder, 0)
    tuned.model.double().eval()
    by_hand = {"positive": 7.0, "negative": 0.5}
    objective = prepared(tuned, data.train, Weighted(by_hand))
    batch = make_batch(tuned.items(data.train))
    ours = objective(tuned.model, batch).mean()
    ours.backward()
    gradients = [p.grad.clone() for p in tuned.model.parameters() if p.grad is not None]
    tuned.model.zero_grad()
    weight = torch.tensor([0.5, 7.0], dtype=torch.float64)
    theirs = F.cross_entropy(tuned.model(batch.packed, batch.wanted), batch.targets, weight)
    theirs.backward()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    for one, p in zip(gradients, (p for p in tuned.model.parameters() if p.grad is not None)):
        torch.testing.assert_close(one, p.grad, rtol=0, atol=1e-10)
    assert abs(ours - cross_entropy(tuned.model, batch).mean()) > 0.01


def test_a_step_is_the_same_however_it_is_split_up(encoder):
    data, found = rare(), []
    for accumulate in (1, 3):
        tuned = build(data, encoder, 0)
        tuned.model.double()
        items = tuned.items(data.train)
        chosen = Recipe(
            objective=prepared(tuned, data.train), settings=Settings(accumulate=accumulate)
        )
        training = Training(tuned.model.eval(), items, chosen, Seeds.all(0))
        training.backward(items[:7])  # of which none or one is rare: the sum of weights differs
        found.append(tuned.model.classifier.weight.grad.clone())
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)


def test_only_the_ratio_of_weights_matters(encoder):
    data = rare()
    tuned = build(data, encoder, 0)
    small = prepared(tuned, data.train, Weighted({"positive": 8.0, "negative": 1.0})).of_class
    large = prepared(tuned, data.train, Weighted({"positive": 16.0, "negative": 2.0})).of_class
    same = prepared(tuned, data.train, Weighted({"positive": 3.0, "negative": 3.0})).of_class
    assert small == large and same == (1.0, 1.0)


@pytest.mark.parametrize("name", ["head+weighted:balanced", "start:probe+weighted:balanced"])
def test_a_head_that_is_solved_has_the_weights_of_the_method(name, encoder):
    data = rare()
    tuned = build(data, encoder, 0)
    tuned.model.double()
    chosen = recipe(name)
    if "start" in name:  # a rate at which nothing moves from where it starts
        chosen = replace(chosen, settings=Settings(epochs=1, learning_rate=1e-30, weight_decay=0))
    found = fit(tuned, tuned.items(data.train), chosen, Seeds.all(0))
    strength = float(found.history.stopped.split("C = ")[1].split()[0])
    strength = 10 ** (round(2 * math.log10(strength)) / 2)
    vectors, targets = rows_of(found.tuned, data.train)
    reference = LogisticRegression(
        C=strength, class_weight="balanced", tol=1e-10, max_iter=10**5
    ).fit(vectors, targets)
    ours = last_linear(found.tuned.model)(vectors).detach().softmax(1)
    torch.testing.assert_close(
        ours, torch.tensor(reference.predict_proba(vectors)), rtol=0, atol=1e-6
    )


def test_rare_classes_are_answered_more_often_with_weights(encoder):
    data, answered = rare(), {}
    # One text in four is positive whatever it says, so that the prior alone decides.
    texts = [
        replace(e, label=("negative", "positive")[i % 4 == 0]) for i, e in enumerate(data.train)
    ]
    data = replace(data, train=tuple(texts))
    for name in ("head", "head+weighted:balanced"):
        tuned, result = train(data, encoder, name, seeds=0)
        assert result["method"] == name
        answered[name] = tuned.evaluate(data.train).predicted.count("positive")
    assert answered["head"] == 0 and answered["head+weighted:balanced"] > len(texts) / 4


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("weighted:balanced", similarity(), "class weights are for classes"),
        ("head+weighted:balanced", several(), "class weights are for classes"),
        ("contrastive+weighted", reviews(), 'both fill the slot "objective"'),
        ("weighted:balance", reviews(), 'class weights "balance": expected balanced, or a .csv'),
    ],
)
def test_what_has_no_class_or_no_such_word_is_refused(name, data, words, encoder):
    with pytest.raises(MiniftError, match=words):
        train(data, encoder, name, seeds=0)


def written(tmp_path, content, suffix=".csv"):
    path = tmp_path / f"weights{suffix}"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ("class,weight\npositive,8\nnegative,.5\n", ".csv"),
        ("\ufeffweight;class\n8;positive\n0.5;negative\n", ".csv"),
        ("class\tweight\r\npositive\t8\r\nnegative\t5e-1\r\n", ".tsv"),
        ("class;weight\npositive;8,0\nnegative;0,5\n", ".csv"),
        ('class,weight\npositive,8\nnegative,",5"\n', ".csv"),
    ],
)
def test_a_file_of_weights_is_read(content, suffix, tmp_path):
    assert weighted(str(written(tmp_path, content, suffix))).weights == {
        "positive": 8.0, "negative": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "suffix", "words"),
    [
        ("positive,8\nnegative,1\n", ".csv", 'in the columns "class" and "weight"'),
        ("class,weight\n", ".csv", 'weights.csv: no weight for the class "negative"'),
        ("class,weight\na,1,2\n", ".csv", "line 2: 3 columns, expected 2"),
        ("class,weight\npositive,-1\nnegative,1\n", ".csv", 'class "positive" has the weight'),
        ("class,weight\npositive,inf\nnegative,1\n", ".csv", "expected one positive number"),
        ("class,weight\npositive,0\nnegative,1\n", ".csv", "expected one positive number"),
        ("class,weight\npositive,much\nnegative,1\n", ".csv", "'much'"),
        ("class,weight\npositive,1\npositive,2\n", ".csv", "expected one positive number per"),
        ("class,weight\npositive,1\n", ".csv", 'weights.csv: no weight for the class "negative"'),
        (
            "class,weight\nnegativ,1\npositive,1\n",
            ".csv",
            'line 2: the class "negativ" is not one of negative, positive; did you mean "negative"',
        ),
        ("class,weight\npositive,much\nnegative,0\n", ".csv", 'line 3: the class "negative" has'),
        ('class,weight\npositive,"1,234"\nnegative,1\n', ".csv", "'1,234'"),
        ('{"positive": 8, "negative": 1}', ".json", "expected balanced, or a .csv file"),
    ],
)
def test_a_faulty_file_of_weights_is_one_sentence(content, suffix, words, tmp_path, encoder):
    path = written(tmp_path, content, suffix)
    with pytest.raises(MiniftError) as caught:
        train(reviews(), encoder, f"head+weighted:{path}", seeds=0)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_the_command_takes_them_and_keeps_them(encoder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "train.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((e.text, e.label) for e in rare().train)])
    weights = written(tmp_path, "class,weight\npositive,8\nnegative,1\n")
    command = ["train", "--train", "train.csv", "--encoder", str(encoder), "--method", "head"]
    command += ["--test", "train.csv", "--class-weights"]
    assert main([*command, "balanced"]) == main([*command, str(weights)]) == 0
    made = sorted((tmp_path / "runs").iterdir())
    assert len(made) == 2 and made[1].name.startswith("train-head+weightedbalanced")
    spec = json.loads((made[0] / "run.json").read_text())
    assert spec["class_weights"] == [["positive", 8.0], ["negative", 1.0]]
    assert main([*command, "a+b.csv", "--out", "other"]) == 1
    assert '--class-weights must be a name without "+"' in capsys.readouterr().err


def test_a_run_with_other_weights_is_not_resumed(encoder, tmp_path):
    path = written(tmp_path, "class,weight\npositive,8\nnegative,1\n")
    name, out = f"full+weighted:{path}", tmp_path / "run"
    settings = Settings(epochs=1)
    train(reviews(), encoder, name, seeds=0, settings=settings, out=out)
    (out / "result.json").unlink()  # as if it had been killed
    (out / "checkpoints").mkdir()
    path.write_text("class,weight\npositive,9\nnegative,1\n", encoding="utf-8")
    with pytest.raises(MiniftError, match="another class weights"):
        train(reviews(), encoder, name, seeds=0, settings=settings, out=out)
