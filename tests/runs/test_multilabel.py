"""Any number of labels per text, from the file to the answer and back from people.

claim                                                        oracle
the loss is transformers' own, so are its gradients, and     transformers, float64
  texts without labels known count for nothing
a folder of either side gives the other the same logits,     transformers' Auto classes
  and its loss says which task it is
micro, macro and per-label F1 and exact match                scikit-learn
each label of a solved head is a logistic regression, at     scikit-learn's OneVsRestClassifier
  one strength; labels that all have or none are sure
cells, lists, `__label__` and every tool's export say the    the labels written by hand
  same labels; none, "none" and "a|a" are what they mean
what holds several labels without the task is told; what     error and note words
  no label can be is refused with its line
each head learns; file, folder and answer agree              the model in memory; the run again
thresholds of decision.json decide what applies               by hand
the threshold of each label has the best F1 on the folds     brute force over all cuts
what cannot be learned or asked is refused in a sentence     error words
a text's score is the mean over its labels, each yes or no   sigmoid and entropy in a loop
what people answer, in each way, is what is learned          the answers; the ledger
"""

from __future__ import annotations

import io
import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier
from torch.nn import functional as F

from minift.active.loop import Asking, choose, score_chunks, take_look
from minift.active.streaming import mc_stream
from minift.bert.heads import SequenceClassifier
from minift.cli.main import main
from minift.cli.predict import joined as joined_answer
from minift.compare.grid import Terms, compare
from minift.data.examples import Dataset, TextExample, gold_labels
from minift.data.files.readers import read_dataset
from minift.data.metrics import evaluate_multilabel
from minift.errors import MiniftError
from minift.label.answers import import_answers
from minift.label.formats.rows import Question
from minift.label.project import read_state, start
from minift.label.rounds import ask
from minift.label.rounds import train as train_project
from minift.label.terminal import label
from minift.methods.recipes import recipe
from minift.methods.solved_head import solve
from minift.runs.decide import FEWEST, FILE, PLAIN, decide_labels, told
from minift.runs.evaluate import constant_score, predict_logits
from minift.runs.folder import load_run
from minift.runs.folds import cross_validate, part
from minift.runs.predict import predict
from minift.runs.train import train
from minift.training.batches import Batch, labelled
from minift.training.loop import Settings, cross_entropy, usual_objective
from tests.bert.reference import copy_weights, gradients, hf_config, inputs, own_config, randomise
from tests.data.test_exports import TOOLS
from tests.label.exports import write_questions
from tests.tiny import checkpoint

KIND = "multi_label_classification"
FAST = Settings(epochs=2, batch_size=8, learning_rate=1e-3)
pytestmark = pytest.mark.filterwarnings("ignore:.*[Ll]ine [Ss]earch", "ignore:Label .*")


def films(count=48, seed=0):
    """Each of "good", "bad" and "plot" in a text is a label of it."""
    source = random.Random(seed)

    def draw(number):
        names = [name for name in ("bad", "good", "plot") if source.random() < 0.45]
        words = [*source.choices(["the", "was", "film", "book"], k=3), *names]
        return TextExample(str(number), " ".join(words), tuple(names))

    examples = tuple(draw(number) for number in range(count))
    parts = examples[count // 2 :], examples[: count // 4], examples[count // 4 : count // 2]
    return Dataset("films", "multilabel", ("bad", "good", "plot"), *parts)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


# --- the loss, and both directions of a checkpoint -----------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_loss_and_gradients_are_those_of_transformers(seed):
    config = hf_config(4, problem_type=KIND)
    reference = randomise(transformers.BertForSequenceClassification(config), seed).double()
    own = copy_weights(reference, SequenceClassifier(own_config(4, problem_type=KIND)))
    packed, padded = inputs(seed)
    generator = torch.Generator().manual_seed(seed)
    gold = torch.randint(0, 2, (5, 4), generator=generator).double()
    expected = reference(**padded, labels=gold).loss
    batch = Batch(packed, packed.first_tokens(), gold.float())
    assert usual_objective(own) is cross_entropy
    loss = cross_entropy(own, batch)
    assert len(loss) == 20  # one per text and label, so that the loop's mean is transformers'
    torch.testing.assert_close(loss.mean(), expected, rtol=0, atol=1e-9)
    expected.backward()
    loss.mean().backward()
    theirs, ours = gradients(reference, False), gradients(own, True)
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=0, atol=1e-9)
    gold[1] = torch.nan  # not known: no loss
    batch = Batch(packed, packed.first_tokens(), gold.float())
    rest = F.binary_cross_entropy_with_logits(
        own(packed)[[0, 2, 3, 4]], gold[[0, 2, 3, 4]], reduction="none"
    )
    torch.testing.assert_close(cross_entropy(own, batch), rest.flatten(), rtol=0, atol=1e-9)
    assert int(labelled(batch.targets).sum()) == 16


def test_a_run_loads_in_transformers_which_knows_its_task_and_the_reverse(encoder, tmp_path):
    data = films()
    tuned, _ = train(data, encoder, "full", seeds=0, settings=FAST, out=tmp_path / "run")
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "run")
    assert reference.config.problem_type == KIND
    texts = tokenizer([e.text for e in data.test], padding=True, return_tensors="pt")
    gold = torch.tensor([[float(n in e.label) for n in data.labels] for e in data.test])
    theirs = reference.eval()(**texts, labels=gold)
    ours = torch.cat(predict_logits(tuned.model, tuned.items(data.test)))
    torch.testing.assert_close(ours, theirs.logits, rtol=0, atol=1e-5)
    assert tuned.evaluate(data.test).loss == pytest.approx(float(theirs.loss), abs=1e-5)
    reference.config.problem_type = KIND
    reference.save_pretrained(tmp_path / "theirs")
    tokenizer.save_pretrained(tmp_path / "theirs")
    again = load_run(tmp_path / "theirs")
    assert (again.task, again.labels) == ("multilabel", data.labels)
    torch.testing.assert_close(
        torch.cat(predict_logits(again.model, again.items(data.test))), theirs.logits,
        rtol=0, atol=1e-5,
    )  # fmt: skip
    # Control: as classes, the same logits are another answer.
    values = json.loads((tmp_path / "theirs" / "config.json").read_text())
    values["problem_type"] = None
    (tmp_path / "theirs" / "config.json").write_text(json.dumps(values))
    assert load_run(tmp_path / "theirs").task == "classification"


# --- scores ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed):
    source, labels = np.random.default_rng(seed), ["a", "b", "c", "d", "never"]
    gold, predicted = (source.random((30, 5)) < [0.5, 0.2, 0.05, 0.9, 0] for _ in range(2))

    def names(table):
        return [tuple(n for n, yes in zip(labels, row) if yes) for row in table]

    found = evaluate_multilabel(names(gold), names(predicted), labels)
    assert found["micro_f1"] == pytest.approx(f1_score(gold, predicted, average="micro"))
    macro = f1_score(gold, predicted, average="macro", zero_division=np.nan)
    assert found["macro_f1"] == pytest.approx(macro)
    assert found["exact_match"] == pytest.approx(accuracy_score(gold, predicted))
    each = f1_score(gold, predicted, average=None, zero_division=np.nan)
    assert found["label_f1"] == {
        name: None if np.isnan(score) else pytest.approx(score) for name, score in zip(labels, each)
    }


def test_scores_of_nothing_are_zero_and_strange_labels_are_refused():
    assert evaluate_multilabel([(), ()], [(), ()], ["a"])["micro_f1"] == 0.0
    with pytest.raises(MiniftError, match='unknown label "b"; known: a'):
        evaluate_multilabel([("a",)], [("b",)], ["a"])
    with pytest.raises(MiniftError, match="1 gold and 2 predicted"):
        evaluate_multilabel([("a",)], [("a",), ()], ["a"])


def test_the_constant_answer_is_the_most_frequent_label():
    texts = [TextExample(str(n), "x", names) for n, names in enumerate([("a", "b"), ("b",), ()])]
    data = Dataset("", "multilabel", ("a", "b"), tuple(texts), (), tuple(texts))
    assert constant_score(data, data.train, data.test) == pytest.approx(2 * 2 / (3 + 3))


# --- the solved head ------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.1, 1.0, 30.0])
def test_each_label_is_the_logistic_regression_of_one_against_the_rest(strength):
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(60, 8, generator=generator, dtype=torch.float64) + 2
    blur = torch.randn(60, 5, generator=generator, dtype=torch.float64)
    gold = (vectors[:, :5] - 2 + blur > 0.4).double()
    head = solve(vectors, gold, 5, strength=strength)
    model = LogisticRegression(C=strength, tol=1e-10, max_iter=10000)
    reference = OneVsRestClassifier(model).fit(vectors.numpy(), gold.numpy())
    ours = (vectors @ head.weight.T + head.bias).sigmoid()
    np.testing.assert_allclose(ours, reference.predict_proba(vectors.numpy()), atol=1e-6)
    # Two labels are no two classes: no weight is shared, none is centred.
    two = solve(vectors, gold[:, :2], 2, strength=strength)
    torch.testing.assert_close(two.weight, head.weight[:2], rtol=0, atol=1e-6)


def test_labels_that_all_rows_have_or_none_are_sure_and_change_nothing_else():
    generator = torch.Generator().manual_seed(2)
    vectors = torch.randn(40, 6, generator=generator)
    gold = (vectors[:, :2] + torch.randn(40, 2, generator=generator) > 0).float()
    sure = torch.tensor([[1.0, 0.0]]).expand(40, 2)
    head = solve(vectors, torch.cat([sure, gold], dim=1), 4)
    alone = solve(vectors, gold, 2)
    assert head.strength == alone.strength and alone.folds == 5
    torch.testing.assert_close(head.weight[2:], alone.weight, rtol=0, atol=1e-9)
    assert head.bias[:2].tolist() == [30, -30] and not head.weight[:2].any()
    assert solve(vectors, sure, 2).bias.tolist() == [30, -30]
    unknown = torch.full((3, 2), torch.nan)
    more = solve(torch.cat([vectors, 9 * vectors[:3]]), torch.cat([gold, unknown]), 2)
    assert torch.equal(more.weight, alone.weight)


# --- files ----------------------------------------------------------------------------------

LABELS = [("bill", "now"), (), ("now",), ("bill",), ()]
TEXTS = ["pay it asap", "hello you", "hurry", "the invoice", "thanks"]
CELLS = ["bill|now", "", " now | now ", "bill", "none"]


def test_cells_lists_and_fasttext_say_the_same(tmp_path):
    rows = "".join(f"{text},{cell}\n" for text, cell in zip(TEXTS, CELLS))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}")
    lists = [["now", "bill"], [], ["now", "now"], "bill", None]
    lines = [json.dumps({"text": t, "labels": given}) for t, given in zip(TEXTS, lists)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found = [" ".join(f"__label__{name}" for name in names) for names in LABELS]
    fast = [f"{names} {text}".strip() for names, text in zip(found, TEXTS)]
    (tmp_path / "a.ft").write_text("\n".join(fast))
    for name in ("a.csv", "a.jsonl", "a.ft"):
        data = read_dataset(tmp_path / name, task="multilabel")
        assert [e.label for e in data.train] == LABELS and data.labels == ("bill", "now")
        assert f"{name}: texts with none of the labels: 2 of 5" in data.notes
    assert gold_labels([TextExample("1", "x", "one"), TextExample("2", "x", ["b", "a"])]) == [
        ("one",), ("a", "b")
    ]  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tools_several_labels_are_those_that_people_gave(tool, tmp_path):
    texts = {"1": "pay it", "2": "asap", "3": "hello", "4": "not yet", "5": "?"}
    answers = {"1": "bill|now", "2": "now", "3": "none", "5": None}
    suffix, export = TOOLS[tool]
    questions = [Question(TextExample(id, text)) for id, text in texts.items()]
    write_questions(tmp_path / "batch", tool.split("_")[0], questions, "multilabel")
    content = export((tmp_path / "batch").read_text(), answers)
    several = {  # as the tools write them
        "labelstudio_min": ('"bill|now"', '{"choices": ["bill", "now"]}'),
        "labelstudio_csv": ("bill|now", '"{""choices"":[""bill"",""now""]}"'),
        "doccano_csv": ("bill|now", "bill#now"),
    }
    if tool.startswith("argilla"):
        content = re.sub('"(bill.now|now|none)"', lambda m: json.dumps(m[1].split("|")), content)
    old, new = several.get(tool, ('"bill|now"', '"bill", "now"'))
    path = tmp_path / f"export.{suffix}"
    path.write_text(content.replace(old, new))
    data = read_dataset(path, task="multilabel")
    expected = [("1", ("bill", "now")), ("2", ("now",)), ("3", ())]
    assert [(e.id, e.label) for e in data.train] == expected
    if tool != "labelstudio_csv":  # whose reader says so in other words
        with pytest.raises(MiniftError, match=r'several classes.*unless task="multilabel"'):
            read_dataset(path)


@pytest.mark.parametrize("cells", [["a;b", "a", "b"], ["a|c", "b", "a"], ["b", "a, b", "a"]])
def test_labels_that_look_as_if_they_held_several_are_told(cells, tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f'text {n},"{cell}"\n' for n, cell in enumerate(2 * cells))
    path.write_text(f"text,label\n{rows}")
    (note,) = [n for n in read_dataset(path).notes if "look as if they held several" in n]
    assert "the task is multilabel" in note and any(f'"{c}"' in note for c in cells if len(c) > 1)
    several = read_dataset(path, task="multilabel")
    told = any("look as if they held several" in note for note in several.notes)
    assert told == (cells[0] != "a|c")  # which then are two labels


def test_a_comma_in_the_name_of_a_class_is_no_list(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\nx,"Films, series"\ny,Sci/Tech\nz,"Films, series"\nu,a:b\n')
    assert not any("several" in note for note in read_dataset(path).notes)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            ['{"text": "x", "label": ["a|b"]}'],
            "line 1: the labels must be names in a list",
        ),
        (['{"text": "x", "label": [["a"]]}'], "line 1: the labels must be names"),
        (['{"text": "x", "label": {"a": 1}}'], "line 1: the labels must be names"),
        (['{"text": "x", "label": "a||b"}'], "line 1: the labels must be names.*none empty"),
        (['{"text": "x", "label": []}', '{"text": "y", "label": "none"}'], "no text in it has a"),
    ],
)
def test_what_cannot_be_labels_is_refused_with_its_line(rows, words, tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    with pytest.raises(MiniftError, match=words):
        read_dataset(tmp_path / "a.jsonl", task="multilabel")


def test_a_label_that_training_lacks_is_refused_with_line_and_the_nearest(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\nx,bill|now\ny,\n")
    (tmp_path / "dev.csv").write_text("text,label\nu,now\nv,now|bil\n")
    with pytest.raises(MiniftError, match=r'dev.csv: line 3: the label "bil".*did you mean "bill"'):
        read_dataset(tmp_path / "train.csv", tmp_path / "dev.csv", task="multilabel")
    (tmp_path / "test.csv").write_text("text,label\nu,\nv,\n")  # a test file without labels
    data = read_dataset(tmp_path / "train.csv", test=tmp_path / "test.csv", task="multilabel")
    assert [e.label for e in data.test] == [None, None]
    with pytest.raises(MiniftError, match=r'label "a\|b": "\|" stands between labels'):
        Dataset("", "multilabel", ("a|b",), ())


# --- runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["linear", "mean", "cnn"])
@pytest.mark.parametrize("method", ["full", "head", "full+start:probe", "child-d:0.3"])
def test_each_head_learns_and_its_folder_gives_the_same_answers(encoder, head, method, tmp_path):
    if (head, method) == ("cnn", "head"):
        method = "freeze:1"
    data = films()
    tuned, result = train(
        data, encoder, method, seeds=0, settings=replace(FAST, epochs=4), head=head,
        out=tmp_path / "run",
    )  # fmt: skip
    again = load_run(tmp_path / "run")
    assert again.task == "multilabel" and again.decision == PLAIN
    found = [[*predict(model, data.test)] for model in (tuned, again)]
    assert found[0] == found[1]
    logits = torch.cat(predict_logits(tuned.model, tuned.items(data.test)))
    for answer, row, example in zip(found[0], logits.sigmoid().tolist(), data.test):
        assert answer["scores"] == pytest.approx(dict(zip(data.labels, row)), abs=1e-6)
        assert answer["text"] == example.text
        assert answer["label"] == [n for n, p in zip(data.labels, row) if p >= 0.5]
    scores = again.evaluate(data.test).scores
    labels = [answer["label"] for answer in found[0]]
    assert scores == evaluate_multilabel(gold_labels(data.test), labels, data.labels)
    assert result["test"] == scores["micro_f1"] and result["metric"] == "micro_f1"
    if head == "mean" and method in ("head", "full+start:probe"):
        assert scores["micro_f1"] > 0.95 > result["test_majority"]  # words that are there


def test_thresholds_of_the_folder_decide_what_applies(encoder, tmp_path):
    data = films()
    train(data, encoder, "head", seeds=0, out=tmp_path)
    thresholds = {"good": 1.0, "bad": 0.0}
    (tmp_path / FILE).write_text(json.dumps({"thresholds": thresholds}))
    tuned = load_run(tmp_path)
    for answer in predict(tuned, data.test):
        assert "bad" in answer["label"] and "good" not in answer["label"]
        assert ("plot" in answer["label"]) == (answer["scores"]["plot"] >= 0.5)
    each = tuned.evaluate(data.test).scores["label_f1"]
    gold = [label for example in data.test for label in example.label]
    assert each["good"] == 0.0
    share = gold.count("bad")
    assert each["bad"] == pytest.approx(2 * share / (share + len(data.test)))


def test_the_threshold_of_each_label_is_chosen_on_folds():
    draw = torch.Generator().manual_seed(0)
    labels, gold = ("often", "rare"), [("often",) * (i % 3 == 0) for i in range(90)]
    gold = [(*given, "rare") if i < FEWEST - 1 else given for i, given in enumerate(gold)]
    rows = [torch.randn(1, 2, generator=draw) + 2.0 * ("often" in given) for given in gold]
    found = decide_labels([*enumerate(rows)], gold, labels, "f1")
    p = torch.cat(rows).double().sigmoid()[:, 0]
    hits = torch.tensor(["often" in given for given in gold])

    def f1(cut):
        return 2.0 * (hits & (p >= cut)).sum() / (hits.sum() + (p >= cut).sum())

    assert list(found.thresholds) == ["often"]  # the other has too few texts
    assert f1(found.thresholds["often"]) == max(f1(cut) for cut in p)
    assert found.on_folds["chosen"] >= found.on_folds["at .5"]
    assert "micro F1" in told(found) and "thresholds of 1 labels" in told(found)


def test_what_cannot_be_learned_is_refused_in_a_sentence(encoder):
    data = films()
    with pytest.raises(MiniftError, match=r"contrastive needs one class per text.*any number"):
        train(data, encoder, "contrastive", seeds=0)
    same = tuple(replace(e, label=("bad", "good")) for e in data.train)
    with pytest.raises(MiniftError, match=r"example .* has the label 'bad\|good'"):
        train(replace(data, train=same), encoder, "full", seeds=0)


def test_a_model_that_gives_no_label_to_any_text_is_told(encoder):
    few = tuple(replace(e, label=("plot",) if n == 0 else ()) for n, e in enumerate(films().train))
    _, result = train(replace(films(), train=few), encoder, "full", seeds=0, settings=FAST)
    assert result["collapsed"] and result["test"] == 0.0
    assert any('every test example is predicted "none"' in note for note in result["notes"])


def test_commands_train_predict_and_evaluate_with_files_that_fit(encoder, tmp_path, capsys):
    data = films()
    for split in ("train", "test"):
        rows = "".join(f"{e.text},{'|'.join(e.label)}\n" for e in getattr(data, split))
        (tmp_path / f"{split}.csv").write_text(f"text,label\n{rows}")
    out, files = str(tmp_path / "run"), [str(tmp_path / f"{n}.csv") for n in ("train", "test")]
    how = ["--task", "multilabel", "--encoder", str(encoder), "--method", "head", "--head", "mean"]
    assert main(["train", "--train", files[0], "--test", files[1], *how, "--out", out]) == 0
    assert "test micro_f1" in capsys.readouterr().out
    answers = tmp_path / "answers.csv"
    assert main(["predict", out, files[1], "--out", str(answers)]) == 0
    assert main(["evaluate", out, "--data", str(answers)]) == 0  # its own answers: all right
    told = json.loads(capsys.readouterr().out)
    assert told["micro_f1"] == told["exact_match"] == 1.0
    assert main(["info", out]) == 0 and "any number of these labels" in capsys.readouterr().out
    flat = joined_answer({"id": "1", "label": ["a", "b"], "scores": {"a": 0.9, "b": 0.6}}, {}, True)
    assert flat == {"id": "1", "label": "a|b", "score_a": 0.9, "score_b": 0.6}


def test_methods_are_compared_on_several_labels(encoder, tmp_path):
    terms = Terms(epochs=1)
    found = compare(films(), encoder, "head,full", None, 1, tmp_path / "out", terms)
    assert {run.method for run in found.runs} == {"head", "full"} and found.metric == "micro_f1"
    constant = constant_score(films(), films().train, films().test)
    assert {run.constant for run in found.runs} == {constant}


def test_folds_have_their_share_of_each_label(encoder):
    data = films(160)
    held = [part(data, 4, number).test for number in range(4)]
    assert sorted(e.id for fold in held for e in fold) == sorted(e.id for e in data.train)
    for name in data.labels:
        counts = [sum(name in e.label for e in fold) for fold in held]
        assert max(counts) - min(counts) <= 2
    estimate, answers = cross_validate(data, encoder, "head", folds=3, repeats=1)
    assert estimate.metric == "micro_f1" and len(answers) == len(data.train)


# --- asking ---------------------------------------------------------------------------------


def test_a_texts_score_is_the_mean_over_its_labels_each_yes_or_no(encoder):
    data = films()
    tuned, _ = train(data, encoder, "full", seeds=0, settings=FAST)
    logits = torch.cat(predict_logits(tuned.model, tuned.items(data.test))).double()
    ((chunk, scores),) = score_chunks(Asking("entropy"), tuned, data.test, 0)
    for row, score in zip(logits.sigmoid().tolist(), scores.tolist()):
        each = [-p * np.log(p) - (1 - p) * np.log(1 - p) for p in row]
        assert score == pytest.approx(sum(each) / 3, abs=1e-6)
    assert len(chunk) == len(data.test)
    ((_, rows),) = mc_stream(tuned, data.test, passes=4)
    assert {tuple(row.shape) for row in rows} == {(4, 3, 2)}
    ((_, scores),) = score_chunks(Asking("bald", passes=4), tuned, data.test, 0)
    for row, score in zip(rows, scores.tolist()):
        plain = -(row * row.log()).sum(-1)  # (passes, labels)
        mean = row.mean(0)
        gain = -(mean * mean.log()).sum(-1) - plain.mean(0)
        assert score == pytest.approx(float(gain.mean()), abs=1e-9)
    assert len(take_look(tuned, data.test, 1).predictions) == 3 * len(data.test)
    with pytest.raises(MiniftError, match="for multilabel take bald"):
        choose(Asking("batch_bald"), tuned, data.test, 2, 0)


def test_what_people_answer_is_what_is_learned(encoder, tmp_path):
    data = films()
    pool = tmp_path / "pool.csv"
    pool.write_text("id,text\n" + "".join(f"{e.id},{e.text} {e.id}\n" for e in data.train))
    names = ("bad", "good", "plot")
    how = {"task": "multilabel", "method": recipe("head")}
    project, _ = start(pool, names, encoder, tmp_path / "p", **how)
    gold = {e.id: e.label for e in data.train}
    asked = ask(project.folder, len(gold) - 4)
    lines = asked.path.read_text(encoding="utf-8-sig").split("\n")
    typed = dict(zip(asked.ids, ("|".join(gold[id]) or "none" for id in asked.ids)))
    wrong = {asked.ids[0]: "bad|bax", asked.ids[1]: "none|bad", asked.ids[2]: "skip"}
    filled = [line.rstrip("\r") for line in lines[:1]]
    filled += [line.rstrip("\r") + (typed | wrong)[line.split(",")[0]] for line in lines[1:-1]]
    asked.path.write_text("\n".join(filled))
    done = import_answers(project.folder, asked.path, by="ada")
    assert (done.labelled, done.skipped) == (len(asked.ids) - 3, 1)
    told = " ".join(done.problems)
    assert "'bax' is not a label; labels are bad, good, plot, none" in told
    assert '"none" says that no other label applies' in told
    keys = "1 bax\n1, 3\nnone bad\ngood|BAD\n"
    label(project.folder, "bo", stdin=io.StringIO(keys), stdout=io.StringIO())
    state, _, _ = read_state(project)
    waited = asked.ids[:2]
    assert [state.labelled[id] for id in waited] == [["bad", "plot"], ["bad", "good"]]
    assert state.labelled[asked.ids[3]] == ([*gold[asked.ids[3]]] or ["none"])
    learned = {e.id: e.label for e in project.labelled(state)}
    expected = {id: gold[id] for id in asked.ids[3:]}
    assert learned == expected | dict(zip(waited, [("bad", "plot"), ("bad", "good")]))
    more = ask(project.folder, 2, Asking("bald", passes=2), format="argilla")
    for record in json.loads(more.path.read_text()):
        value, score = (record["suggestions"]["label"][k] for k in ("value", "score"))
        assert {*value} <= {*names} or value == ["none"]
        assert len(score) == len(value)
    assert "rg.MultiLabelQuestion" in more.how and "'none'" in more.how
    more = ask(project.folder, 2, format="labelstudio", more=True)
    assert 'choice="multiple"' in (more.path.parent / "labelstudio.xml").read_text()
    folder, result = train_project(project.folder)
    assert load_run(folder).task == result["task"] == "multilabel"
    with pytest.raises(MiniftError, match="batch_bald needs one label per text"):
        ask(project.folder, 1, Asking("batch_bald"), more=True)


@pytest.mark.parametrize(("names", "words"), [
    (("a", "None"), '"None".*none applies'), (("a|b", "c"), r'"a\|b"'), ((), "at least 1 classes"),
])  # fmt: skip
def test_names_that_answers_could_not_hold_are_refused(names, words, encoder, tmp_path):
    (tmp_path / "pool.txt").write_text("x\ny\n")
    with pytest.raises(MiniftError, match=words):
        start(tmp_path / "pool.txt", names, encoder, tmp_path / "p", task="multilabel")
    assert not (tmp_path / "p").exists()
