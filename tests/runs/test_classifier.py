"""`Classifier` is an estimator of scikit-learn, and learns what `minift.train` learns.

claim                                                       oracle
it learns and answers as train and predict do               `minift.train`, `minift.predict`
clone, cross-validation, pipelines, grids, voting work      scikit-learn itself, and loops by hand
labels come back as they were given                         numpy's types, scikit-learn's metrics
a pickle, also of another process, gives the same           bytes of the probabilities
it needs no scikit-learn                                    a process in which it cannot be imported
what is wrong is said in a sentence                         the message
"""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

import minift
from minift import Classifier, MiniftError
from minift.data.examples import Dataset, TextExample
from tests.tiny import checkpoint, reviews

DATA = reviews(64)
TEXTS, LABELS = ([getattr(e, name) for e in DATA.train] for name in ("text", "label"))
UNSEEN = [e.text for e in DATA.test]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return str(checkpoint(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def fitted(encoder):
    return Classifier("head", encoder).fit(TEXTS, LABELS)


def test_it_learns_what_train_learns_and_answers_what_predict_answers(encoder):
    examples = tuple(TextExample(str(n), t, y) for n, (t, y) in enumerate(zip(TEXTS, LABELS), 1))
    dataset = Dataset("texts", "classification", ("negative", "positive"), examples)
    settings = minift.recipe("full", encoder).settings
    settings = minift.Settings(**{**vars(settings), "epochs": 2, "learning_rate": 1e-3})
    tuned, _ = minift.train(dataset, encoder, "full", seeds=3, settings=settings, head="mean")
    own = Classifier("full", encoder, head="mean", epochs=2, learning_rate=1e-3, seed=3)
    answers = list(minift.predict(tuned, UNSEEN))
    found = own.fit(TEXTS, LABELS).predict_proba(UNSEEN)
    assert found.tolist() == [[a["scores"][name] for name in own.classes_] for a in answers]
    assert own.predict(UNSEEN).tolist() == [a["label"] for a in answers]
    assert own.score(UNSEEN, own.predict(UNSEEN)) == 1 and own.predict_proba([]).shape == (0, 2)
    other = Classifier("full", encoder, head="mean", epochs=2, learning_rate=1e-3, seed=4)
    assert (other.fit(TEXTS, LABELS).predict_proba(UNSEEN) != found).any()  # the seed counts
    assert own.result_["labels"] == len(TEXTS) and own.result_["method"] == "full"


def test_scikit_learn_takes_it_for_a_classifier(fitted, encoder):
    assert is_classifier(fitted) and "Classifier" in estimator_html_repr(fitted)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params() and not hasattr(copy, "model_")
    assert repr(copy) == repr(fitted)
    check_is_fitted(fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    assert copy.set_params(seed=7, method="full") is copy
    assert (copy.seed, copy.method, copy.encoder) == (7, "full", encoder)
    with pytest.raises(MiniftError, match=r'unknown parameter "sed"; known: method, .*"seed"'):
        copy.set_params(sed=1)


def test_cross_validation_equals_a_loop_over_the_folds(encoder):
    model, folds = Classifier("head", encoder), StratifiedKFold(3)
    by_hand, losses, answers = [], [], np.empty(len(TEXTS), dtype=object)
    for train, test in folds.split(TEXTS, LABELS):
        pick = lambda values, rows: [values[i] for i in rows]  # noqa: E731
        alone = Classifier("head", encoder).fit(pick(TEXTS, train), pick(LABELS, train))
        answers[test] = alone.predict(pick(TEXTS, test))
        by_hand.append(np.mean(answers[test] == np.array(pick(LABELS, test))))
        proba = alone.predict_proba(pick(TEXTS, test))
        losses.append(-log_loss(pick(LABELS, test), proba, labels=alone.classes_))
    assert cross_val_score(model, TEXTS, LABELS, cv=3).tolist() == by_hand
    arrays = np.array(TEXTS), np.array(LABELS)
    found = cross_val_score(model, *arrays, cv=3, scoring="neg_log_loss")
    assert found == pytest.approx(losses, abs=1e-6)
    assert cross_val_predict(model, *arrays, cv=3).tolist() == answers.tolist()
    assert len({*by_hand}) > 1 or by_hand[0] < 1  # it can be wrong


def lowered(texts):
    return [text.lower() for text in texts]


@pytest.mark.filterwarnings("error")
def test_pipelines_grids_and_votes_work(encoder):
    model = Classifier("full", encoder, epochs=4, learning_rate=1e-6)
    pipe = make_pipeline(FunctionTransformer(lowered), model)
    shouted = [text.upper() for text in TEXTS]
    alone = clone(model).fit(lowered(TEXTS), LABELS)
    found = pipe.fit(shouted, LABELS).predict_proba(shouted)
    assert found.tolist() == alone.predict_proba(lowered(TEXTS)).tolist()
    grid = GridSearchCV(
        pipe, {"classifier__learning_rate": [1e-6, 1e-3]}, cv=2, scoring="neg_log_loss"
    )
    grid.fit(TEXTS, LABELS)
    assert grid.best_params_ == {"classifier__learning_rate": 1e-3}
    assert grid.predict(UNSEEN).tolist() == (
        clone(pipe)
        .set_params(classifier__learning_rate=1e-3)
        .fit(TEXTS, LABELS)
        .predict(UNSEEN)
        .tolist()
    )
    votes = VotingClassifier([(f"s{seed}", clone(model).set_params(seed=seed)) for seed in (0, 1)])
    votes.set_params(voting="soft").fit(np.array(TEXTS), np.array(LABELS))
    mean = np.mean([one.predict_proba(UNSEEN) for one in votes.estimators_], axis=0)
    assert votes.predict_proba(UNSEEN) == pytest.approx(mean)


@pytest.mark.parametrize("head", ["linear", "mean", "cnn"])
def test_a_pickle_gives_the_same_probabilities(encoder, head, tmp_path):
    model = Classifier("full", encoder, head=head, epochs=1).fit(TEXTS, LABELS)
    expected = model.predict_proba(UNSEEN)
    again = pickle.loads(pickle.dumps(model))
    assert again.predict_proba(UNSEEN).tobytes() == expected.tobytes()
    assert again.fit(TEXTS, LABELS).predict_proba(UNSEEN).tobytes() == expected.tobytes()
    (tmp_path / "model").write_bytes(pickle.dumps((model, UNSEEN)))
    code = (  # scikit-learn cannot be imported there
        "import pickle, sys; sys.modules['sklearn'] = None; "
        "model, texts = pickle.load(open(sys.argv[1], 'rb')); "
        "sys.stdout.write(model.predict_proba(texts).tobytes().hex())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model"], capture_output=True, text=True
    )
    assert ran.stdout == expected.tobytes().hex(), ran.stderr


@pytest.mark.parametrize(
    "labels",
    [
        [3, 20, 100],
        [0.0, 1.0, 2.0],
        [True, False, True],
        ["b", "a", "c"],
        np.array(["x", "y", "z"]),
    ],
    ids=str,
)
def test_labels_come_back_as_they_were_given(encoder, labels):
    y = [labels[n % 3] for n in range(12)]
    model = Classifier("head", encoder, epochs=1).fit(TEXTS[:12], y)
    assert model.classes_.tolist() == np.unique(y).tolist()
    assert model.classes_.dtype == np.asarray(y).dtype and set(model.predict(UNSEEN)) <= {*y}
    assert model.result_["labels"] == 12 and 0 <= model.score(TEXTS[:12], y) <= 1


def test_numbers_in_quotes_have_their_columns_in_order(encoder):
    y = [{"negative": "9", "positive": "10"}[label] for label in LABELS]  # sorted: "10", "9"
    model = Classifier("head", encoder).fit(TEXTS, y)
    assert model.classes_.tolist() == ["10", "9"] and model.model_.labels == ("9", "10")
    assert log_loss(y, model.predict_proba(TEXTS)) < 0.5 < model.score(TEXTS, y)


ONE = [[text] for text in TEXTS]


@pytest.mark.parametrize(
    "texts,labels,message",
    [
        (TEXTS, LABELS[1:], "got 32 texts and 31 labels; expected one label for each text"),
        (TEXTS, np.array([["a", "b"]] * 32), "32 labels; expected one label for each"),
        (["a", "b"], [["x"], ["x", "y"]], "expected one label for each text"),
        (TEXTS, ["a"] * 32, "texts and labels: every label is 'a'; expected two or more"),
        ([], [], "texts and labels: there are no examples in it"),
        (["a", None], [0, 1], 'texts and labels: row 2: "text" is missing'),
        (["a", 3], [0, 1], 'texts and labels: row 2: "text" must be a string, got 3'),
        (["a", " "], [0, 1], 'texts and labels: row 2: "text" is empty'),
        (ONE, LABELS, 'row 1: "text" must be a string, got ['),
        (np.array(ONE), LABELS, "expected a list of strings, or one column, got ndarray"),
        ("good", LABELS, "expected a list of strings, or one column, got str"),
        ({"text": TEXTS}, LABELS, "got dict"),
        (["a", "b"], [0.5, 1], "labels such as 0.5 may be amounts: give strings if each number is"),
        (["a", "b"], np.array([1, 2.75]), "labels such as 2.75 may be amounts: give strings"),
        (["a", "b"], ["x", float("nan")], "row 2: the label is empty"),
        (["a", "b"], np.array(["x", np.nan], dtype=object), "row 2: the label is empty"),
        (["a", "b"], ["x", None], "row 2: the label is empty"),
        (["a", "b"], ["x", " "], "row 2: the label is empty"),
    ],
    ids=range(18),
)
def test_what_cannot_be_learned_is_said_in_a_sentence(encoder, texts, labels, message):
    with pytest.raises(MiniftError) as found:
        Classifier("head", encoder).fit(texts, labels)
    assert message in str(found.value) and "\n" not in str(found.value)
    assert "train.rows" not in str(found.value) and "task=" not in str(found.value)


def test_numbers_are_classes_if_they_are_whole_or_strings(encoder):
    for one, other in ((1.0, 2.0), ("1.5", "2.75")):
        labels = [{"negative": one, "positive": other}[label] for label in LABELS]
        found = Classifier("head", encoder).fit(TEXTS, labels)
        assert found.classes_.tolist() == [one, other]
        assert {*found.predict(UNSEEN).tolist()} <= {one, other}


def test_what_cannot_be_answered_is_said_in_a_sentence(fitted, encoder):
    for use in (lambda m: m.predict(["a"]), lambda m: m.score(["a"], ["b"])):
        with pytest.raises(
            MiniftError, match=r"has learned nothing yet; call fit\(texts, labels\)"
        ):
            use(Classifier("head", encoder))
    with pytest.raises(MiniftError, match="expected a TextExample"):
        fitted.predict([3])
    with pytest.raises(MiniftError, match="got str"):
        fitted.predict_proba("good film")
    with pytest.raises(MiniftError, match='unknown method "fulll"'):
        Classifier("fulll", encoder).fit(TEXTS, LABELS)
    with pytest.raises(MiniftError, match="development"):
        Classifier("full+adaptive", encoder).fit(TEXTS, LABELS)
    with pytest.raises(MiniftError, match="epochs must be"):
        Classifier("head", encoder, epochs=0).fit(TEXTS, LABELS)
