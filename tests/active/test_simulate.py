"""A simulation keeps its books, pairs its curves, and survives being killed.

claim                                                        oracle
the protocol of the paper: 10, 110, ..., 910 labels          arithmetic
no text is asked twice; labelled and pool make up the whole  sets of ids, round by round
a small pool ends with a smaller round                       arithmetic
strategies of a seed share first set, first model, score     equality of records
what each round says of itself is true                       counted again from the ids
cut at any place of its log it resumes to the same curves    records of an unbroken run
killed at any moment likewise                                a process that was killed
frozen layers see each text once in a whole simulation,      counting tokens; a simulation that
which then asks for the same texts                           computes them anew each time
another setup, or one of an older minift, is refused         error words, bytes
a report is there at the end and after an interrupt          the files; the rounds that were done
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from minift.active import loop
from minift.active.loop import Learner, class_counts
from minift.active.simulate import Plan, simulate
from minift.checkpoints.weights import load_tokenizer
from minift.errors import MiniftError
from minift.journal import encode, parse
from minift.methods.recipes import recipe
from minift.runs import fit
from minift.runs.train import subset
from minift.training.loop import Settings
from tests.tiny import checkpoint, news, reviews, similarity, tokens_seen

FAST = Settings(epochs=1, batch_size=16, learning_rate=1e-3)
SMALL = Plan(("random", "bald"), (0, 1), rounds=2, query=6, initial=4, passes=3, steps=2)


def learner(encoder, data, method="full", settings=FAST, head="linear"):
    return Learner(data, encoder, replace(recipe(method), settings=settings), head)


def run(encoder, out, plan=SMALL, data=None, method="full", settings=FAST, head="linear"):
    return simulate(learner(encoder, data or reviews(80), method, settings, head), plan, out)


@pytest.fixture(scope="module")
def unbroken(encoder, tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    return out, run(encoder, out)


def timeless(records):
    """All but the seconds, which no two runs share."""
    return [{k: v for k, v in r.items() if "seconds" not in k} for r in records]


def sort(records):
    return sorted(timeless(records), key=lambda r: (r["strategy"], r["seed"], r["round"]))


def test_the_protocol_of_the_paper_gives_10_to_910_labels_and_asks_no_text_twice(encoder, tmp_path):
    data = replace(reviews(1900), test=reviews(1900).test[:40])
    plan = Plan(("random", "bald"), (0,), passes=2, layers="head", steps=1)
    # a head that is trained, for one step: one that is solved takes ten times as long
    records = run(encoder, tmp_path, plan, data, "head", head="cnn")
    whole = {e.id for e in data.train}
    for strategy in plan.strategies:
        mine = [r for r in records if r["strategy"] == strategy]
        assert [r["labelled"] for r in mine] == [10 + 100 * i for i in range(10)]
        labelled = [e.id for e in subset(data.train, 10, 0)]
        for record in mine:
            pool = whole - set(labelled)
            assert len(labelled) == len(set(labelled)) == record["labelled"]
            assert set(record["query"]) <= pool
            assert len(pool) + len(labelled) == len(whole)
            labelled += record["query"]
        assert mine[-1]["query"] == []
    assert len(records) == 20


def test_a_pool_that_runs_out_ends_with_a_smaller_round(encoder, tmp_path):
    plan = replace(SMALL, rounds=9, query=15, initial=4, seeds=(0,))
    data = reviews(80)
    assert len(data.train) == 40
    for strategy in plan.strategies:
        mine = [r for r in run(encoder, tmp_path, plan, data) if r["strategy"] == strategy]
        assert [r["labelled"] for r in mine] == [4, 19, 34, 40]
        assert [len(r["query"]) for r in mine] == [15, 15, 6, 0]


def test_strategies_of_a_seed_start_from_the_same_texts_and_model_and_then_part(unbroken):
    _, records = unbroken
    first = {}
    for record in timeless(records):
        if record["round"] == 0:
            asked = {k: record.pop(k) for k in ("query", "scores", "strategy")}
            first.setdefault(record["seed"], []).append((record, asked["query"]))
    for (a, asked_a), (b, asked_b) in first.values():
        assert a == b  # the score on the test split, too
        assert asked_a != asked_b
    assert first[0][0][0] != first[1][0][0]


def test_what_a_round_says_of_itself_is_true(unbroken):
    _, records = unbroken
    data = reviews(80)
    by_id = {e.id: e for e in data.train}
    for strategy in SMALL.strategies:
        for seed in SMALL.seeds:
            ids = [e.id for e in subset(data.train, 4, seed)]
            for r in (r for r in records if (r["strategy"], r["seed"]) == (strategy, seed)):
                examples = [by_id[id] for id in ids]
                counts = class_counts(examples, data.labels)
                assert r["imbalance"] == max(counts.values()) - min(counts.values())
                assert 0 <= r["test"] <= 1
                assert len(r["scores"]) == len(r["query"])
                ids += r["query"]
    assert {r["imbalance"] for r in records} != {0}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 0.77, 0.999, 1.0])
def test_cut_at_any_place_of_its_log_it_resumes_to_the_same_curves(
    encoder, unbroken, tmp_path, share
):
    out, expected = unbroken
    content = (out / "simulation.jsonl").read_bytes()
    (tmp_path / "simulation.jsonl").write_bytes(content[: int(share * len(content))])
    assert timeless(run(encoder, tmp_path)) == timeless(expected)


def test_more_seeds_and_strategies_are_added_to_what_is_there(encoder, unbroken, tmp_path):
    _, expected = unbroken
    run(encoder, tmp_path, replace(SMALL, strategies=("bald",), seeds=(1,)))
    assert sort(run(encoder, tmp_path)) == sort(expected)


SCRIPT = """
import sys
from pathlib import Path
from tests.active.test_simulate import run
run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_curves(encoder, unbroken, tmp_path):
    log = tmp_path / "out" / "simulation.jsonl"
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for lines in (1, 4, 9):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(encoder), str(tmp_path / "out")], env=environment
        )
        while process.poll() is None and (
            not log.exists() or log.read_bytes().count(b"\n") < lines
        ):
            time.sleep(0.005)
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()
        process.wait()
    assert timeless(run(encoder, tmp_path / "out")) == timeless(unbroken[1])


def test_another_setup_is_refused_and_what_is_there_stays(encoder, tmp_path):
    plan = replace(SMALL, strategies=("random",), seeds=(0,), rounds=1)
    run(encoder, tmp_path, plan)
    before = (tmp_path / "simulation.jsonl").read_bytes()
    for changes, words in (
        ({"plan": replace(plan, query=5)}, "query was 6 and is now 5"),
        ({"data": reviews(81)}, "data_digest was"),
        ({"method": "head"}, "method was full and is now head"),
        ({"settings": replace(FAST, batch_size=4)}, "settings was"),
    ):
        with pytest.raises(MiniftError, match=words):
            run(encoder, tmp_path, **{"plan": plan, **changes})
    other = checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(MiniftError, match="encoder_digest was"):
        run(other, tmp_path, plan)
    assert (tmp_path / "simulation.jsonl").read_bytes() == before


def test_a_report_is_there_at_the_end_and_after_an_interrupt(
    encoder, unbroken, tmp_path, monkeypatch
):
    text = (unbroken[0] / "report.html").read_text(encoding="utf-8")
    assert "Does asking pay on tiny-reviews?" in text and "not finished yet" not in text
    done = iter(range(4))

    def fit(*arguments):
        if next(done, None) is None:
            raise KeyboardInterrupt
        return real(*arguments)

    real = Learner.fit
    monkeypatch.setattr(Learner, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        run(encoder, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "Curves that are not finished yet: 1 of 2" in text
    monkeypatch.setattr(Learner, "fit", real)
    assert timeless(run(encoder, tmp_path)) == timeless(unbroken[1])


def test_the_cnn_head_can_be_simulated_and_is_part_of_the_setup(encoder, tmp_path):
    plan = replace(SMALL, seeds=(0,), rounds=1, layers="head")
    cnn = run(encoder, tmp_path, plan, method="head", head="cnn")
    linear = run(encoder, tmp_path / "linear", plan, method="head")
    assert [r["test"] for r in cnn] != [r["test"] for r in linear]
    with pytest.raises(MiniftError, match=r"(head|encoder_digest) was"):
        run(encoder, tmp_path, plan, method="head")


def test_a_folder_of_an_older_minift_is_refused_in_a_sentence_that_names_the_version(
    encoder, unbroken, tmp_path
):
    (setup, *rest), _ = parse((unbroken[0] / "simulation.jsonl").read_bytes())
    old = setup | {"minift_version": "0.0.9"}
    before = b"".join(encode(event) for event in (old, *rest))
    (tmp_path / "simulation.jsonl").write_bytes(before)
    with pytest.raises(MiniftError, match=r"minift_version was 0\.0\.9 .* Choose another folder"):
        run(encoder, tmp_path)
    assert (tmp_path / "simulation.jsonl").read_bytes() == before


def test_sentences_can_be_simulated(encoder, tmp_path):
    plan = Plan(("random", "bald"), (0,), 1, query=5, initial=3, passes=2, steps=2)
    records = run(encoder, tmp_path, plan, news())
    for first, second in zip(records[::2], records[1::2], strict=True):  # random, bald
        assert len({*(e.id for e in subset(news().train, 3, 0)), *first["query"]}) == 8
        assert (first["labelled"], second["labelled"], second["query"]) == (3, 8, [])
        assert 0 <= first["test"] <= 1


@pytest.mark.parametrize(
    "data,plan,words",
    [
        (similarity(), SMALL, "this data set has numbers"),
        (news(), replace(SMALL, strategies=("batch_bald",)), "one label per text"),
        (replace(reviews(), test=()), SMALL, "needs a test split with all its labels"),
        (reviews(), replace(SMALL, initial=99), "initial must be 1 to 32"),
        (reviews(), replace(SMALL, layers=3), "top layers that sample, 1 to 2; got 3"),
        (replace(reviews(), train=reviews().train[:2] * 2), SMALL, "the same id"),
    ],
)
def test_what_cannot_be_simulated_is_refused_before_anything_is_written(
    encoder, tmp_path, data, plan, words
):
    with pytest.raises(MiniftError, match=words):
        run(encoder, tmp_path / "out", plan, data)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes,words",
    [
        ({"rounds": -1}, "rounds must be at least 0, got -1"),
        ({"query": 0}, "query must be at least 1, got 0"),
        ({"initial": 0}, "initial must be at least 1, got 0"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"strategies": ("bold",)}, 'did you mean "bald"'),
        ({"strategies": ()}, r"strategies must be one or more, all different, got \(\)"),
        ({"seeds": (1, 2, 1)}, r"seeds must be one or more, all different, got \(1, 2, 1\)"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_when_it_is_made(changes, words):
    with pytest.raises(MiniftError, match=words):
        replace(SMALL, **changes)


@pytest.mark.parametrize(("method", "layers"), [("head", "head"), ("freeze:1", "head")])
def test_frozen_layers_see_each_text_once_and_the_same_is_asked(
    method, layers, encoder, tmp_path, monkeypatch
):
    data = reviews(80)
    plan = replace(SMALL, strategies=("random", "bald", "entropy"), rounds=1, layers=layers)
    kept, seen = tokens_seen(monkeypatch, fit), tokens_seen(monkeypatch, loop)
    once = run(encoder, tmp_path / "once", plan, data, method)
    tokenizer = load_tokenizer(encoder)
    texts = sorted({example.text for example in (*data.train, *data.test)})
    assert sum(kept + seen) == sum(len(one.input_ids) for one in tokenizer.encode(texts))
    seen.clear()
    monkeypatch.setattr(Learner, "states", lambda *_: None)
    anew = run(encoder, tmp_path / "anew", plan, data, method)
    assert sum(seen) > 0
    assert [r["query"] for r in once] == [r["query"] for r in anew]
    assert [r["test"] for r in once] == [r["test"] for r in anew]
    for ours, theirs in zip(once, anew):
        assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-5)


def test_where_dropout_samples_below_what_is_kept_the_masks_still_act(encoder, tmp_path):
    plan = replace(SMALL, strategies=("bald",), layers="all")
    records = run(encoder, tmp_path, plan, method="head")
    assert all(score > 0 for record in records for score in record["scores"])


@pytest.mark.parametrize("method", ["full", "bitfit", "freeze:-1"])
def test_nothing_is_kept_where_the_embeddings_learn(method, encoder):
    assert learner(encoder, reviews(40), method).states() is None
