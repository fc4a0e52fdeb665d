"""The model card of a run folder says what the run was, in what the hub reads.

claim                                                       oracle
its head is read by the hub's own program                   huggingface_hub.ModelCard
every figure is one of run.json and result.json             these files
Wilson's interval, and that of F1 from counts               scipy's binomtest; by hand
intervals cover the truth 95 times of 100                   binomial sums, simulated pairs
it names no folder of this machine                          the text
sentence-transformers and predict still load the folder     both
"""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
import scipy.stats
from huggingface_hub import ModelCard

import minift
from minift.data.examples import Dataset
from minift.runs.card import card, interval
from minift.runs.decide import Decision
from tests.tiny import checkpoint, news, reviews, similarity


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("here") / "my-encoder")


def trained(encoder, dataset, folder, method="head", **options):
    minift.train(dataset, encoder, method, seeds=3, out=folder, **options)
    made, result = (json.loads((folder / name).read_text()) for name in ("run.json", "result.json"))
    return (folder / "README.md").read_text(), made, result


def test_the_card_of_a_classifier_is_what_its_run_says(encoder, tmp_path):
    text, made, result = trained(encoder, reviews(80), tmp_path / "run", labels=30)
    assert ModelCard(text).data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["minift"],
    }
    low, high = scipy.stats.binomtest(round(result["test"] * 20), 20).proportion_ci(method="wilson")
    score = f"- test, 20 examples: accuracy {result['test']:.3f} (95% interval"
    assert f"{score} {low:.3f} to {high:.3f})\n" in text
    always = "- test, 20 examples: accuracy of always the most frequent label"
    assert f"{always} {result['test_majority']:.3f}\n" in text
    for line in (
        "# head on tiny-reviews", "- task: classification", "- labels: negative, positive",
        "- data: 30 training examples of tiny-reviews", "- encoder: my-encoder",
        f"- method: head, linear head; {result['stopped']}",
        f"- seeds: {', '.join(f'{name} {seed}' for name, seed in made['seeds'].items())}",
        f"- made with: minift {minift.__version__}",
        *(f"- {note}" for note in result["notes"]),
    ):  # fmt: skip
        assert line + "\n" in text
    assert str(encoder.parent) not in text and str(tmp_path) not in text
    shown = {float(number) for number in re.findall(r"\d\.\d{3}\b", text.split("## Scores")[1])}
    of_run = [result[f"{s}{more}"] for s in ("dev", "test") for more in ("", "_majority")]
    ends = [end for s in ("dev", "test") for end in interval("accuracy", result[s], 20)]
    assert shown == {round(number, 3) for number in [*of_run, *ends]}
    answer, *_ = minift.predict(minift.load_run(tmp_path / "run"), ["good film"])
    assert answer["label"] in ("negative", "positive")


def test_taggers_amounts_and_other_heads_have_their_own_figures(encoder, tmp_path):
    text, _, result = trained(encoder, news(60), tmp_path / "tagger")
    assert ModelCard(text).data.pipeline_tag == "token-classification"
    counts = result["test_entities"]["conlleval"]["micro"]
    union = counts["support"] + counts["predicted"] - counts["correct"]
    share = scipy.stats.binomtest(counts["correct"], union).proportion_ci(method="wilson")
    low, high = (2 * end / (1 + end) for end in share)
    assert f"entity_f1 {result['test']:.3f} (95% interval {low:.3f} to {high:.3f})" in text
    assert low < result["test"] < high and "accuracy" not in text
    text, _, result = trained(encoder, similarity(60), tmp_path / "amounts")
    assert f"- test, 15 examples: pearson_spearman {result['test']:.3f} (95% interval " in text
    assert "- labels" not in text and "always" not in text
    text, *_ = trained(encoder, reviews(60), tmp_path / "cnn", head="cnn")
    assert ModelCard(text).data.library_name == "minift"


def test_a_headline_without_an_interval_stands_beside_accuracy_which_has_one(encoder, tmp_path):
    text, _, result = trained(
        encoder, Dataset(**{**vars(reviews(60)), "metric": "macro_f1"}), tmp_path / "run"
    )
    accuracy = result["test_scores"]["accuracy"]
    assert f"- test, 15 examples: macro_f1 {result['test']:.3f}\n" in text
    assert f"- test, 15 examples: accuracy {accuracy:.3f} (95% interval " in text


def test_without_held_out_examples_nothing_is_claimed_and_a_choice_on_dev_is_told(
    encoder, tmp_path
):
    alone = Dataset(**{**vars(reviews(60)), "dev": (), "test": ()})
    text, *_ = trained(encoder, alone, tmp_path / "alone")
    assert "No labelled examples were held out: its quality is not known" in text
    assert not re.search(r"\d\.\d{3}\b", text)
    settings = minift.Settings(epochs=1, keep="best")
    text, *_ = trained(encoder, reviews(60), tmp_path / "best", "full", settings=settings)
    assert "- Its weights were chosen on dev, which flatters the score there\n" in text
    assert "; best weights (epoch 1)\n" in text


def test_the_encoder_is_named_as_the_hub_names_it_and_folds_are_told():
    run = {
        "encoder": "minilm", "settings": {"keep": "last"}, "task": "classification",
        "head": "mean", "seeds": {"subset": 0}, "minift_version": "1",
    }  # fmt: skip
    result = {
        "method": "full", "data": 'mine: "é" 😀', "labels": 4, "stopped": "a", "kept": "b",
        "epochs": 1, "notes": [], "dev": None, "test": None, "metric": "accuracy",
    }  # fmt: skip
    found = ModelCard(card(run, result, ["a", "b"]))
    assert found.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert found.data.library_name == "sentence-transformers" and result["data"] in found.text
    folds = {"folds": 5, "metric": "accuracy", "mean": 0.75, "interval": [0.625, 0.875]}
    text = card(run, {**result, "estimate": folds}, ["a", "b"])
    told = "- 5 folds of the training examples: accuracy 0.750 (95% interval 0.625 to 0.875)\n"
    assert told in text and "not known" not in text
    chosen = Decision(thresholds={"b": 0.25}, on_folds={"at .5": 0.5, "chosen": 0.75})
    known = {"estimate": folds, "decision": asdict(chosen)}  # as the run answers, with what it had
    text = card({**run, "task": "multilabel"}, {**result, **known}, ["a", "b"])
    assert "- 5 folds of the training examples, answering labels from .5 on: accuracy 0.750" in text
    assert "- on folds: micro F1 0.750 with thresholds of 1 labels, chosen as the best" in text
    for encoder, base in (("org/bert", "org/bert"), ("mini", None)):
        assert ModelCard(card({**run, "encoder": encoder}, result, ["a"])).data.base_model == base


def test_a_folder_with_its_card_is_one_of_sentence_transformers(encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    text, *_ = trained(encoder, reviews(60), tmp_path / "run", head="mean")
    assert ModelCard(text).data.library_name == "sentence-transformers"
    logits = SentenceTransformer(str(tmp_path / "run"), device="cpu").encode(["good film"])
    tuned = minift.load_run(tmp_path / "run")
    (answer,) = minift.predict(tuned, ["good film"])
    assert tuned.labels[int(logits[0].argmax())] == answer["label"]


@pytest.mark.parametrize("hits,n", [(0, 5), (5, 5), (3, 7), (90, 100), (999, 1000)])
def test_the_interval_of_a_share_is_wilsons(hits, n):
    expected = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert interval("accuracy", hits / n, n) == pytest.approx(expected, abs=1e-6)
    assert interval("matthews", 0.5, n) is None


def f1_interval(correct, n):
    counts = {"support": n, "predicted": correct, "correct": correct}
    return interval("entity_f1", 0.0, 0, {"conlleval": {"micro": counts}})


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("n", [20, 60, 400])
def test_intervals_of_shares_cover_the_truth_as_often_as_they_say(share, n, record_property):
    hits = np.arange(n + 1)
    weights = scipy.stats.binom.pmf(hits, n, share)  # so this is exact
    for truth, ends in (
        (share, [interval("accuracy", h / n, n) for h in hits.tolist()]),
        (2 * share / (1 + share), [f1_interval(h, n) for h in hits.tolist()]),
    ):
        inside = [low <= truth <= high for low, high in ends]
        assert 0.925 <= weights @ inside <= 0.98
    record_property("measured", f"95 % interval, {n} examples, {share:.0%}: {weights @ inside:.1%}")


def test_the_interval_of_a_correlation_covers_the_truth_as_often_as_it_says():
    source, covered, n, rho = np.random.default_rng(0), 0, 40, 0.8
    truth = (rho + 6 / np.pi * np.arcsin(rho / 2)) / 2  # Pearson and Spearman of normal pairs
    for _ in range(1000):
        x, y = source.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=n).T
        score = (np.corrcoef(x, y)[0, 1] + scipy.stats.spearmanr(x, y)[0]) / 2
        low, high = interval("pearson_spearman", score, n)
        covered += low <= truth <= high
    assert 0.93 <= covered / 1000 <= 0.98
