"""Every method is the same method on every path that trains.

claim                                                        oracle
each word of the table, through `fit`, `train`, a round of   the same weights, bit for bit
active learning, a simulation, a project and a comparison
no word is dropped on the way                                the weights of another word
what decides by the development split is refused without     error words; nothing is built
one, in one sentence
epochs in which less learns, and objectives that read other   the loop by itself, in float64
tokens: `fit` comes to what the loop comes to
states for all rounds are of what never learns               training without them
how many learn is what can change                            counted from the weights
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minift.active.loop import Learner, fixed_steps
from minift.active.simulate import Plan, simulate
from minift.bert.heads import SequenceClassifier
from minift.cli.main import main
from minift.compare import workers
from minift.compare.workers import Job, run_once
from minift.errors import MiniftError
from minift.label.ledger import open_ledger
from minift.label.project import load_project, start
from minift.label.rounds import train as train_project
from minift.methods.recipes import WORDS, recipe
from minift.runs.fit import fit
from minift.runs.folder import load_run
from minift.runs.train import train
from minift.runs.tuned import FineTuned, build
from minift.speed.rows import UsedRows
from minift.training.loop import (
    Recipe,
    Seeds,
    Settings,
    cross_entropy,
    everything,
    fine_tune,
)
from tests.bert.reference import own_config, randomise
from tests.tiny import checkpoint, reviews
from tests.training.test_loop import gradual, in_turn, make_items, weights

FILES = Path(__file__).with_name("files")  # of the texts of `reviews`: words, and attributes
ARGUMENTS = {
    "full-sqrt": "0.3",
    "freeze": "1",
    "child-f": "0.3",
    "child-d": "0.3",
    "layerwise": "0.1",
    "hybrid": "9",
    "early-stopping": "1",
    "start": "probe",
    "occlusion": f"{FILES / 'words.txt'},1",
    "adversary": f"{FILES / 'attributes.csv'},1",
}
NAMES = [f"{word}:{ARGUMENTS[word]}" if word in ARGUMENTS else word for word in WORDS]
NAMES += ["bitfit:query,intermediate+child-f:0.5+layerwise:0.5+slanted"]
DECIDING = {"adaptive", "early-stopping:1"}  # by the development split
TWINS = {"original", "stable"}  # which differ in nothing but their numbers of epochs
DATA, SEED, STEPS = reviews(48), 3, 20  # 24 texts to learn from: ten epochs of two steps
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def settings_of(name: str) -> Settings:
    settings = fixed_steps(recipe(name).settings, STEPS)
    # At this rate the validation loss soon rises, so that there is something to decide.
    return replace(settings, learning_rate=3e-3) if name in DECIDING else settings


def by_fit(name: str, encoder: Path, scratch: Path, data=DATA) -> Weights:
    def validate(tuned: FineTuned) -> tuple[float, float]:
        found = tuned.evaluate(data.dev)
        return found.loss, found.scores["accuracy"]

    tuned = build(data, encoder, Seeds.all(SEED))
    chosen = replace(recipe(name), settings=settings_of(name))
    fit(
        tuned, tuned.items(data.train), chosen, Seeds.all(SEED),
        validate=validate if data.dev and name in DECIDING else None,
    )  # fmt: skip
    return weights(tuned.model)


def by_train(name: str, encoder: Path, scratch: Path, data=DATA) -> Weights:
    chosen = {"seeds": Seeds.all(SEED), "settings": settings_of(name)}
    tuned, _ = train(data, encoder, recipe(name), **chosen)
    return weights(tuned.model)


def by_a_round(name: str, encoder: Path, scratch: Path, data=DATA) -> Weights:
    learner = Learner(data, encoder, replace(recipe(name), settings=settings_of(name)))
    return weights(learner.fit(data.train, Seeds.all(SEED)).model)


def by_simulation(name: str, encoder: Path, scratch: Path, data=DATA) -> Weights:
    found: list[FineTuned] = []
    real = Learner.fit

    def watched(*args, **options) -> FineTuned:
        found.append(real(*args, **options))
        return found[-1]

    plan = Plan(("random",), (SEED,), rounds=0, initial=len(data.train), steps=STEPS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "fit", watched)
        simulate(Learner(data, encoder, recipe(name)), plan, scratch / "simulation")
    (tuned,) = found
    return weights(tuned.model)


def by_project(name: str, encoder: Path, scratch: Path, data=DATA) -> Weights:
    pool, out = scratch / "pool.txt", scratch / "project"
    pool.write_text("\n".join(e.text for e in data.train) + "\n", encoding="utf-8")
    method = recipe(name, encoder)
    method = replace(method, settings=fixed_steps(method.settings, STEPS))
    start(pool, data.labels, encoder, out, method=method, seed=SEED)
    project = load_project(out)
    with open_ledger(project.ledger, project.ids, project.labels) as ledger:
        ledger.query(project.ids, [0.0] * len(project.ids), "random", 0, 1)
        for id, example in zip(project.ids, data.train, strict=True):
            ledger.label(id, example.label, "test")
    folder, _ = train_project(out)
    return weights(load_run(folder).model)


def by_comparison(name: str, encoder: Path, scratch: Path, data=DATA) -> Weights:
    plan = workers.Plan(
        data=data, encoder=encoder, settings={name: settings_of(name)},
        choosing=frozenset({name} & DECIDING), selection=None, trained={name: 0},
        device="cpu", weights=scratch / "weights",
    )  # fmt: skip
    run_once(plan, Job(name, len(data.train), SEED))
    (folder,) = (scratch / "weights").iterdir()
    return weights(load_run(folder).model)


PATHS: dict[str, Callable[..., Weights]] = {
    "fit": by_fit, "train": by_train, "a round": by_a_round, "simulate": by_simulation,
    "project": by_project, "compare": by_comparison,
}  # fmt: skip
WITHOUT = {"a round", "simulate", "project"}  # paths that have no development split


@pytest.fixture(scope="module")
def trained(encoder, tmp_path_factory) -> Callable[[str, str], Weights]:
    """What gives the weights of a method on a path."""
    folder = tmp_path_factory.mktemp
    return functools.cache(lambda name, path: PATHS[path](name, encoder, folder("made")))


def can_run(path: str, name: str) -> bool:
    return name not in DECIDING or path not in WITHOUT


def same(one: Weights, other: Weights) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_every_word_of_the_table_has_its_place_here():
    assert [name.split(":")[0] for name in NAMES[: len(WORDS)]] == list(WORDS)
    assert {n for n in NAMES if recipe(n).schedule().needs_dev_loss} == DECIDING


@pytest.mark.parametrize("name", NAMES)
def test_a_method_gives_the_same_weights_on_every_path(name, trained):
    paths = [path for path in PATHS if can_run(path, name)]
    assert len(paths) == (3 if name in DECIDING else 6)
    for path in paths[1:]:
        assert same(trained(name, path), trained(name, "fit")), f"{name} by {path}"


@pytest.mark.parametrize("path", PATHS)
def test_no_path_drops_a_word_of_a_method(path, trained):
    """Once `layerwise:0.1` was trained as `full` in all of `minift active`."""
    names = [name for name in NAMES if can_run(path, name)]
    for name in names:
        alike = {other for other in names if same(trained(other, path), trained(name, path))}
        assert alike == (TWINS if name in TWINS else {name})


@pytest.mark.parametrize("name", sorted(DECIDING))
@pytest.mark.parametrize("path", PATHS)
def test_what_decides_by_the_development_split_is_refused_without_one(
    name, path, encoder, tmp_path
):
    bare = replace(DATA, dev=())
    with pytest.raises(MiniftError, match="decides by the development split") as refused:
        PATHS[path](name, encoder, tmp_path, bare)
    assert "\n" not in str(refused.value)
    assert not [*tmp_path.glob("simulation*/*")]  # where another method may be simulated next


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--method", "adaptive"],
        ["compare", "--methods", "full,adaptive"],
        ["active", "simulate", "--method", "adaptive", "--rounds", "1"],
    ],
)
def test_the_commands_refuse_it_too(command, encoder, tmp_path, capsys):
    file = tmp_path / "train.jsonl"
    rows = [json.dumps({"text": e.text, "label": e.label}) for e in DATA.train]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    splits = ["--train", str(file), "--test", str(file), "--encoder", str(encoder)]
    assert main([*command, *splits, "--out", str(tmp_path / "out")]) == 1
    assert "development split" in capsys.readouterr().err


# --- what fit applies, where what learns depends on the epoch ---------------------------------


@pytest.mark.parametrize("trainable", [gradual, in_turn])
@pytest.mark.parametrize("rule", [None, "child-d:0.5"])
def test_epochs_in_which_less_learns_come_to_what_the_loop_comes_to(trainable, rule):
    config = own_config(vocab_size=400, hidden_dropout_prob=0.1)  # of which 60 words are read
    ours, plain = (randomise(SequenceClassifier(config), 0, std=0.2).double() for _ in range(2))
    settings = Settings(epochs=5, batch_size=4, learning_rate=1e-2, weight_decay=0.1)
    gradients = recipe(rule).gradients if rule else None
    chosen = Recipe(trainable=trainable, gradients=gradients, settings=settings)
    items, before, applied = make_items(14), weights(plain), []

    def watch(training):
        applied.append(type(ours.bert.embeddings.word))
        return iter(training)

    tuned = FineTuned(ours, None, "classification", ("a", "b", "c"))
    found = fit(tuned, items, chosen, Seeds.all(0), watch=watch)
    history = fine_tune(plain, items, chosen, Seeds.all(0))
    assert applied == [UsedRows if trainable is gradual else torch.nn.Embedding]
    assert (found.tuned.cache is None) == (trainable is gradual)  # else the lowest layer rests
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(plain)[name], rtol=0, atol=1e-12)
    assert not same(weights(plain), before)
    assert found.history.trained == history.trained and found.tuned.quiet == history.quiet


@pytest.mark.parametrize("trainable", [everything, in_turn])
def test_an_objective_may_read_other_tokens_than_the_items_hold(trainable):
    """Rows of the word table were once left untrained, and states of the item's own tokens read."""
    config = own_config(vocab_size=400, hidden_dropout_prob=0.1)  # of which 60 words are read
    ours, plain = (randomise(SequenceClassifier(config), 0, std=0.2).double() for _ in range(2))

    def replaced(model, batch, step, steps):
        drawn = torch.Generator().manual_seed(step)
        ids = torch.randint(400, batch.packed.input_ids.shape, generator=drawn)
        packed = replace(batch.packed, input_ids=ids)
        return cross_entropy(model, replace(batch, packed=packed)) + cross_entropy(model, batch)

    settings = Settings(epochs=2, batch_size=4, learning_rate=1e-2, weight_decay=0.1)
    chosen = Recipe(trainable=trainable, objective=replaced, settings=settings)
    items, asked = make_items(14), make_items(20)
    tuned = FineTuned(ours, None, "classification", ("a", "b", "c"))
    found = fit(tuned, items, chosen, Seeds.all(0), asked=asked)
    fine_tune(plain, items, chosen, Seeds.all(0))
    for name, value in weights(ours).items():
        torch.testing.assert_close(value, weights(plain)[name], rtol=0, atol=1e-12)
    if trainable is in_turn:  # what is known of the others serves the answers
        assert found.tuned.make_batch(asked[:2]).packed.computed is not None


def test_states_for_all_rounds_stop_below_what_learns_in_any_epoch(encoder):
    """However few the texts, and so however many the epochs."""

    def late(model, epoch=1):
        layer = "bert.layers.1." if epoch < 9 else "bert.layers.0."  # round 1 has nine epochs
        return [n for n, _ in model.named_parameters() if n.startswith(("classifier.", layer))]

    learner = Learner(DATA, encoder, Recipe(trainable=late, settings=Settings(steps=9)))
    states = learner.states()
    assert states is not None and states.layers == 0
    for texts in (DATA.train[:16], DATA.train):  # 9 epochs, and 5
        tuned = learner.fit(texts, Seeds.all(SEED), cache=states)
        alone = learner.fit(texts, Seeds.all(SEED))
        assert tuned.cache is states
        for name, value in weights(tuned.model).items():
            torch.testing.assert_close(value, weights(alone.model)[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in DECIDING])
def test_as_many_elements_are_said_to_learn_as_can_change(name, encoder):
    """Nothing else changes, and of those that learn only what no text reads may stay."""
    tuned = build(DATA, encoder, Seeds.all(SEED))
    before = weights(tuned.model)
    settings = replace(settings_of(name), learning_rate=1e-2, weight_decay=0.5)
    items, chosen = tuned.items(DATA.train), replace(recipe(name), settings=settings)
    found = fit(tuned, items, chosen, Seeds.all(SEED))
    after = weights(tuned.model)
    moved = {n: int((value != before[n]).sum()) for n, value in after.items()}
    assert {n for n, count in moved.items() if count} <= set(found.history.trained)
    assert 0.9 * found.learned < sum(moved.values()) <= found.learned
