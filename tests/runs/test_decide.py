"""What is chosen on folds is what a run folder answers by.

claim                                                        oracle
a folder without decision.json answers as ever               softmax and argmax, bit for bit
temperature, threshold and abstention are applied in         NumPy on the logits; all three commands
  predict, evaluate and training alike                         agree
what decision.json says of the folds is true                 scikit-learn on the folds' own logits
repeats of the folds are not counted as more texts           the first repeat alone
it is read strictly                                          words
more than 80 % of one class: macro F1 is the headline, said  counting; a metric that was asked for
what cannot be chosen is refused before anything is trained  words; nothing is written
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, precision_score, recall_score

from minift.cli.main import main
from minift.data.examples import Dataset, TextExample
from minift.errors import MiniftError
from minift.journal import read_log
from minift.runs.decide import PLAIN, Decision, decide, read_decision, told
from minift.runs.evaluate import predict_logits
from minift.runs.folder import load_run
from minift.runs.predict import predict
from minift.runs.train import train
from minift.training.loop import Settings
from tests.tiny import checkpoint, news, reviews, similarity

LABELS = ("negative", "positive")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def noisy(count=120) -> Dataset:
    """Reviews, of which one in five has the wrong label, and few are positive."""
    data = reviews(count)
    flip = {"negative": "positive", "positive": "negative"}

    def some(examples):
        kept = [e for i, e in enumerate(examples) if e.label == "negative" or i % 2]
        return tuple(
            replace(e, label=flip[e.label]) if i % 5 == 0 else e for i, e in enumerate(kept)
        )

    return replace(data, train=some(data.train), dev=some(data.dev), test=some(data.test))


def table(path, examples):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((e.text, e.label) for e in examples)])
    return path


@pytest.fixture(scope="module")
def world(encoder, tmp_path_factory):
    """A file of labelled texts, one to be answered, and a run that chose on folds."""
    folder = tmp_path_factory.mktemp("world")
    table(folder / "train.csv", noisy().train)
    table(folder / "test.csv", noisy().test)
    words = ["train", "--train", folder / "train.csv", "--encoder", encoder, "--method", "head"]
    words += ["--threshold-for", "recall=.8", "--abstain-below", ".6", "--out", folder / "run"]
    assert main([str(word) for word in words]) == 0
    return folder


def logits_of(tuned, examples) -> np.ndarray:
    return torch.cat(predict_logits(tuned.model, tuned.items(examples))).double().numpy()


def by_hand(logits, decision):
    """Answer two classes in NumPy: labels, probabilities of them, and all probabilities."""
    z = logits / decision.temperature
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    best = z.argmax(1)
    if "positive" in decision.thresholds:
        best = (p[:, 1] >= decision.thresholds["positive"] - 1e-7).astype(int)
    return best, p[np.arange(len(p)), best], p


def test_a_folder_without_a_decision_answers_as_ever_bit_for_bit(encoder, tmp_path):
    data = noisy()
    train(data, encoder, "full", seeds=0, settings=Settings(epochs=1), out=tmp_path / "run")
    assert not (tmp_path / "run" / "decision.json").exists()
    tuned = load_run(tmp_path / "run")
    assert tuned.decision == PLAIN
    rows = predict_logits(tuned.model, tuned.items(data.test))
    for answer, row in zip(predict(tuned, data.test), rows):
        assert list(answer["scores"].values()) == row[0].softmax(-1).tolist()
        assert answer["label"] == LABELS[int(row.argmax())]
    found = tuned.evaluate(data.test)
    targets = torch.tensor([LABELS.index(e.label) for e in data.test])
    loss = torch.nn.functional.cross_entropy(torch.cat(rows).double(), targets)
    assert found.loss == float(loss) and "coverage" not in found.scores


def test_predict_and_evaluate_answer_by_the_decision_of_the_folder(world, capsys):
    tuned, test = load_run(world / "run"), noisy().test
    best, sure, p = by_hand(logits_of(tuned, test), tuned.decision)
    answered = sure >= 0.6
    assert 0 < answered.sum() < len(test) and tuned.decision.temperature != 1
    capsys.readouterr()
    assert main(["predict", str(world / "run"), str(world / "test.csv")]) == 0
    out, said = capsys.readouterr()
    answers = [json.loads(line) for line in out.splitlines()]
    expected = [LABELS[k] if ok else None for k, ok in zip(best, answered)]
    assert [answer["label"] for answer in answers] == expected
    np.testing.assert_allclose([list(a["scores"].values()) for a in answers], p, atol=1e-5)
    assert f"{(~answered).sum()} of {len(test)} texts are left unanswered" in said
    out = world / "answers.csv"
    assert main(["predict", str(world / "run"), str(world / "test.csv"), "--out", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        assert [row["label"] or None for row in csv.DictReader(file)] == expected

    capsys.readouterr()
    assert main(["evaluate", str(world / "run"), "--data", str(world / "test.csv")]) == 0
    out, said = capsys.readouterr()
    scores, gold = json.loads(out), np.array([LABELS.index(e.label) for e in test])
    assert scores["f1"] == pytest.approx(f1_score(gold, best))
    assert scores["coverage"] == pytest.approx(answered.mean())
    assert scores["accuracy_of_answered"] == pytest.approx((gold == best)[answered].mean())
    loss = -np.log(p[np.arange(len(gold)), gold]).mean()
    assert scores["loss"] == pytest.approx(loss, abs=1e-5)
    assert scores["classes"]["positive"]["recall"][0] == pytest.approx(recall_score(gold, best))
    assert "all texts, 95 % intervals; answers" in said and "calibration error" in said
    left = f"the {(~answered).sum()} left unanswered"
    assert scores["scores_are_of"] == f"all {len(test)} texts, as if {left} were answered"


def test_a_text_is_judged_by_the_class_that_a_threshold_answers():
    logits = torch.tensor([0.7, 0.3]).log()
    for least, expected in ((0.0, ("positive", True)), (0.6, ("positive", False))):
        assert Decision(1.0, {"positive": 0.2}, least).answer(logits, LABELS)[:2] == expected
    assert Decision(1.0, {"positive": 0.4}, 0.6).answer(logits, LABELS)[:2] == ("negative", True)
    # Raised to the power 1/2 and made to sum to 1, .7 and .3 are .604 and .396.
    *_, scores = Decision(2.0).answer(logits, LABELS)
    assert scores == pytest.approx([0.6044, 0.3956], abs=1e-4)


def test_what_a_decision_had_on_the_folds_is_true(world):
    data = noisy()
    records = [*read_log(world / "run" / "folds.jsonl")]
    rows = [(i, row) for record in records for i, row in record["logits"]]
    decision = read_decision(world / "run", LABELS)
    gold = np.array([LABELS.index(e.label) for e in data.train])
    every = {i for i, _ in rows}
    assert len(every) == len(data.train) == decision.on_folds["texts"]
    assert len(rows) % len(every) == 0
    first = rows[: len(every)]  # each text once
    order = [i for i, _ in first]
    best, sure, _ = by_hand(np.array([row[0] for _, row in first]), decision)
    truth, answered = gold[order], sure >= 0.6
    had = decision.on_folds
    assert had["coverage"] == pytest.approx(answered.mean())
    assert had["accuracy"][0] == pytest.approx((truth == best)[answered].mean())
    scores = had["positive"]
    assert scores["precision"][0] == pytest.approx(precision_score(truth, best))
    assert scores["recall"][0] == pytest.approx(recall_score(truth, best))
    everywhere, _, _ = by_hand(np.array([row[0] for _, row in rows]), decision)
    assert recall_score(gold[[i for i, _ in rows]], everywhere) >= 0.8
    result = json.loads((world / "run" / "result.json").read_text())
    assert result["decision"] == json.loads((world / "run" / "decision.json").read_text())
    assert result["folds_classes"]["classes"]["positive"] == scores


def test_repeats_are_not_counted_as_more_texts():
    source = torch.Generator().manual_seed(0)
    once = [(i, torch.randn(1, 2, generator=source)) for i in range(40)]
    gold = [LABELS[i % 2] for i in range(40)]
    one, report = decide(once, gold, LABELS, threshold_for="f1", abstain_below=0.6)
    three, again = decide(3 * once, gold, LABELS, threshold_for="f1", abstain_below=0.6)
    where = "on the folds of the first repeat"
    assert ({**one.on_folds, "where": where}, report) == (three.on_folds, again)
    assert told(one).splitlines()[1].startswith('on folds: "positive" from ')
    assert told(one).splitlines()[1].endswith(" (as if no text were left unanswered)")
    assert all(line.startswith(where) for line in told(three).splitlines())
    assert three.temperature == pytest.approx(one.temperature) and report["classes"]


def test_labels_that_say_nothing_give_no_confidence():
    """The control: logits that are sure of themselves, and classes drawn without them."""
    source = torch.Generator().manual_seed(0)
    rows = [(i, 8 * torch.randn(1, 2, generator=source)) for i in range(300)]
    coins = torch.randint(2, (300,), generator=source).tolist()
    found, _ = decide(rows, [LABELS[k] for k in coins], LABELS, abstain_below=0.8)
    assert found.on_folds["calibration_error_without"][1] > 0.25
    assert found.on_folds["calibration_error"][1] == 0 and found.on_folds["coverage"] < 0.02
    wrong = [(i, row) for i, row in rows if int(row.argmax()) != coins[i]]
    none, _ = decide(
        [(n, row) for n, (_, row) in enumerate(wrong)], [LABELS[coins[i]] for i, _ in wrong],
        LABELS, abstain_below=0.9,
    )  # fmt: skip
    assert none.on_folds["coverage"] == 0 and none.on_folds["accuracy"] is None


def test_scores_are_of_all_texts_in_training_too(encoder, world, tmp_path, capsys):
    words = ["train", "--train", world / "train.csv", "--test", world / "test.csv", "--method"]
    words += ["head", "--encoder", encoder, "--abstain-below", ".6", "--out", tmp_path / "run"]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    of, n = result["test_scores"]["scores_are_of"], result["test_examples"]
    left = round(n * (1 - result["test_scores"]["coverage"]))
    assert of == f"all {n} texts, as if the {left} left unanswered were answered" and left
    assert sum(sum(row.values()) for row in result["test_classes"]["confusion"].values()) == n
    assert re.search(rf"^test accuracy .*, of {of}$", said, re.M)
    assert "right; all other scores are of all texts" in said
    assert f"- test, {of}: accuracy " in (tmp_path / "run" / "README.md").read_text()
    page = (tmp_path / "run" / "reliability.html").read_text()
    assert page.count("<svg") == 2 and "folds: share that is right" in page


@pytest.mark.parametrize(
    ("scale", "wrong", "words"),
    [
        (5.0, 0, r"at temperature 1, else .* \(no answer is wrong\)$"),
        (1e-4, 1, r"at temperature 0\.05, else .* \(lowest tried: hardly an answer is wrong\)$"),
        (5.0, 20, r"at temperature 1000, else .* \(highest tried: right answers do not look surer"),
    ],
)
def test_a_temperature_at_a_bound_is_told(scale, wrong, words):
    sign = [1.0 if i < 20 else -1.0 for i in range(40)]
    rows = [(i, scale * torch.tensor([[0.0, s]])) for i, s in enumerate(sign)]
    gold = [LABELS[(s > 0) != (i % 20 < wrong)] for i, s in enumerate(sign)]
    assert re.search(words, told(decide(rows, gold, LABELS)[0]))


def test_a_temperature_that_raises_the_calibration_error_is_told():
    # Of 10 texts at .75, 8 are right, and of 10 at .99, 8 are: T is the best for both together.
    rows = [(i, torch.tensor([[0.0, 1.1 if i < 10 else 4.6]])) for i in range(20)]
    gold = [LABELS[i % 10 < 8] for i in range(20)]
    found, _ = decide(rows, gold, LABELS)
    both = [found.on_folds[n][0] for n in ("calibration_error", "calibration_error_without")]
    better, worse = {**found.on_folds}, {**found.on_folds}
    better["calibration_error"], worse["calibration_error"] = [
        [x + both[1]] * 3 for x in (-0.01, 0.01)
    ]
    said = "it lowers the log-loss, which it was chosen by, but not this error"
    assert told(replace(found, on_folds=worse)).endswith(said)
    assert said not in told(replace(found, on_folds=better))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"temprature": 2}, 'unknown key "temprature".*did you mean "temperature"'),
        ({"temperature": 0}, "temperature must be a positive number, got 0"),
        ({"temperature": float("nan")}, "temperature must be a positive number, got nan"),
        ({"temperature": True}, "temperature must be a positive number"),
        ({"temperature": "2"}, "temperature must be a positive number"),
        ({"abstain_below": 1.5}, "abstain_below must be a probability"),
        ({"abstain_below": None}, "abstain_below must be a probability"),
        ({"thresholds": {"positive": -1}}, "positive must be a probability"),
        ({"thresholds": {"positiv": 0.5}}, 'unknown label "positiv".*did you mean "positive"'),
        ({"thresholds": [0.5]}, "thresholds and on_folds must be"),
        ([], "expected a JSON object"),
    ],
)
def test_a_faulty_decision_is_one_sentence_that_names_the_file(values, words, tmp_path):
    (tmp_path / "decision.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(MiniftError, match=f"decision.json: {words}") as caught:
        read_decision(tmp_path, LABELS)
    assert "\n" not in str(caught.value)


def test_a_decision_comes_back_as_it_was_written(tmp_path):
    decision = Decision(1.5, {"positive": 0.25}, 0.75, {"texts": 3})
    (tmp_path / "decision.json").write_text(json.dumps(asdict(decision)), encoding="utf-8")
    assert read_decision(tmp_path, LABELS) == decision


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (noisy(), ["--threshold-for", "f2"], '--threshold-for "f2": expected f1, or recall'),
        (noisy(), ["--abstain-below", "2"], "--abstain-below must be a probability"),
        (
            noisy(),
            ["--abstain-below", ".5", "--folds", "0"],
            "chosen on folds, by one process: --folds 2",
        ),
        (news(), ["--abstain-below", ".5"], "--abstain-below is for classes; here it is tagging"),
        (
            similarity(),
            ["--threshold-for", "f1"],
            "--threshold-for is for two classes; here it is regression",
        ),
    ],
)
def test_what_cannot_be_chosen_is_refused_at_once(data, options, words, encoder, tmp_path, capsys):
    if data.task == "tagging":
        file = tmp_path / "train.conll"
        rows = ("\n".join(map(" ".join, zip(e.words, e.tags))) for e in data.train)
        file.write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    else:
        file = table(tmp_path / "train.csv", data.train)
        options = [*options, *(["--task", "regression"] if data.task == "regression" else [])]
    words_ = ["train", "--train", file, "--encoder", encoder, "--out", tmp_path / "run", *options]
    assert main([str(word) for word in words_]) == 1

    assert re.search(words, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def of_classes(counts, **more) -> Dataset:
    texts = [name for name, n in counts.items() for _ in range(n)]
    examples = tuple(TextExample(str(i), f"text {i}", label) for i, label in enumerate(texts))
    return Dataset("set", "classification", tuple(counts), examples, **more)


def test_macro_f1_is_the_headline_where_one_class_has_more_than_80_percent():
    many = of_classes({"ham": 81, "spam": 19})
    assert many.metric == "macro_f1"
    note = '81 of 100 training examples are "ham": accuracy says little, macro F1 more'
    assert many.notes == (note,)
    assert of_classes({"ham": 80, "spam": 20}).metric == "accuracy"
    assert of_classes({"ham": 80, "spam": 20}).notes == ()
    # What is asked for stays, and a smaller draw of the same data keeps the score of the whole.
    assert of_classes({"ham": 81, "spam": 19}, metric="matthews").metric == "matthews"
    drawn = replace(many, train=many.train[70:])
    assert (drawn.metric, drawn.notes) == ("macro_f1", many.notes)
    positive = replace(many, positive="spam")
    assert (positive.metric, positive.notes) == ("f1", (note,))
    assert of_classes({"ham": 0, "spam": 0}).metric == "accuracy"


def test_a_run_says_that_macro_f1_is_its_score(encoder):
    data = of_classes({"ham": 30, "spam": 4})
    data = replace(data, test=data.train, metric="", notes=())
    _, result = train(data, encoder, "head", seeds=0)
    assert result["metric"] == "macro_f1" and result["test"] == result["test_scores"]["macro_f1"]
    assert result["test_majority"] == pytest.approx(30 / 32 / 2)  # where accuracy would be .88
    assert any("macro F1" in note for note in result["notes"])
