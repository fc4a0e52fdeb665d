"""Training the rows that are read comes to the same as training the whole word table.

claim                                                        oracle
the same weights to 1e-12, whatever the slots hold           `fine_tune` without the block
the same history, validation on other words included         the same
rows that nothing reads are multiplied by every factor       the product, by hand
a row that was read goes on moving by its moments            the same as the whole table; a copy
the optimizer holds moments of the rows that are read        its state
runs, killed and resumed too, and rounds come to the same    `fit` without it; the run nobody killed
the whole table is back after an error                       the module and its rows
nothing is done where it would be wrong or bring nothing     the module in the block
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minift.active.loop import Learner
from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.bert.masked_lm import MaskedLM
from minift.checkpoints.tokenizer import Tokenizer
from minift.checkpoints.weights import load_tokenizer, random_model, save_pretrained
from minift.methods.cnn_head import ConvClassifier
from minift.methods.recipes import recipe
from minift.runs import fit as runs_fit
from minift.runs.evaluate import mean_loss, predict_logits
from minift.runs.train import train
from minift.speed.rows import WORD_TABLE, UsedRows, used_rows
from minift.training.batches import Item
from minift.training.loop import Recipe, Seeds, Settings, adamw, everything, fine_tune
from minift.training.trapezoids import Constant
from tests.bert.reference import own_config, randomise
from tests.runs.test_resume import Killed, kill_after, outcome
from tests.tiny import checkpoint, reviews
from tests.training.test_loop import make_items, weights

VOCABULARY = 400  # of which `make_items` reads the first 60
SETTINGS = Settings(epochs=4, batch_size=4, learning_rate=1e-2, weight_decay=0.1)


def model(head=SequenceClassifier) -> torch.nn.Module:
    config = own_config(vocab_size=VOCABULARY, hidden_dropout_prob=0.1)
    return randomise(head(config), 0, std=0.2).double()


def items_of(head, count: int = 14) -> list[Item]:
    items = make_items(count)
    if head is not TokenClassifier:
        return items
    places = [list(range(0, len(item.input_ids), 2)) for item in items]
    return [replace(i, positions=p, targets=[x % 3 for x in p]) for i, p in zip(items, places)]


def other_words(count: int = 6) -> list[Item]:
    """Texts of which half of the words are in no training text."""
    items = make_items(count, seed=1)
    return [
        replace(item, input_ids=[id + 300 * (n % 2) for n, id in enumerate(item.input_ids)])
        for item in items
    ]


def run(small: bool, head=SequenceClassifier, settings: Settings = SETTINGS, method: str = "full"):
    own, items, found = model(head), items_of(head), []
    chosen = recipe(method)
    validation = other_words()

    def validate(model) -> tuple[float, float]:
        loss = mean_loss(predict_logits(model, validation), validation)
        found.append(loss)
        return loss, -loss

    with used_rows(own, items if small else [], everything(own) if small else ()):
        assert isinstance(own.bert.embeddings.word, UsedRows) == small
        history = fine_tune(
            own,
            items,
            replace(chosen, settings=settings),
            Seeds.all(0),
            validate=None if head is TokenClassifier else validate,
        )
    return own, history, found


@pytest.mark.parametrize(
    ("method", "changes", "head"),
    [
        ("full", {}, SequenceClassifier),
        ("full", {}, ConvClassifier),
        ("full", {}, TokenClassifier),
        ("full", {"keep": "best", "learning_rate": 0.1}, SequenceClassifier),
        ("full", {"clip": 0.0, "weight_decay": 0.5}, SequenceClassifier),
        ("full", {"accumulate": 3}, SequenceClassifier),
        ("adaptive", {}, SequenceClassifier),
        ("layerwise:0.5", {}, ConvClassifier),
    ],
)
def test_weights_and_history_are_those_of_training_the_whole_table(method, changes, head):
    settings = replace(SETTINGS, **changes)
    whole, expected, losses = run(False, head, settings, method)
    small, history, ours = run(True, head, settings, method)
    assert weights(small).keys() == weights(whole).keys()
    for name, value in weights(small).items():
        torch.testing.assert_close(value, weights(whole)[name], rtol=0, atol=1e-12)
    torch.testing.assert_close(ours, losses, rtol=0, atol=1e-12)
    assert [e.step for e in history.epochs] == [e.step for e in expected.epochs]
    assert history.kept_epoch == expected.kept_epoch
    start = weights(model(head))[WORD_TABLE]
    moved = (weights(small)[WORD_TABLE] - start).abs()
    assert moved[:61].max() > 1e-3 and moved[61:].max() > 1e-5  # learned, and decayed


def test_rows_that_nothing_reads_are_multiplied_by_every_factor():
    before = weights(model())[WORD_TABLE]
    own, history, _ = run(True)
    schedule = recipe("full").schedule()
    schedule.begin(4, 4)  # steps an epoch, epochs
    factor = 1.0
    for step in range(16):
        factor *= 1 - SETTINGS.learning_rate * schedule.factor(step) * SETTINGS.weight_decay
    assert history.epochs[-1].step == 16 and 0.98 < factor < 0.999
    torch.testing.assert_close(
        weights(own)[WORD_TABLE][100:], before[100:] * factor, rtol=1e-12, atol=0
    )


def test_a_row_goes_on_moving_by_its_moments_in_steps_that_do_not_read_it(monkeypatch):
    first, second = make_items(2)
    second = replace(second, input_ids=[id + 60 for id in second.input_ids])
    settings = replace(SETTINGS, epochs=1, batch_size=1, weight_decay=0.0)
    own, seen, step = model(), [], torch.optim.AdamW.step
    with used_rows(own, [first, second], everything(own)):
        table = own.bert.embeddings.word

        def watched(self):
            step(self)
            seen.append(table.weight.detach().clone())

        monkeypatch.setattr(torch.optim.AdamW, "step", watched)
        fine_tune(
            own,
            [first, second],
            Recipe(schedule=lambda *_: Constant(), settings=settings),
            Seeds.all(0),
        )
        places = [table.place[torch.tensor(item.input_ids)] for item in (first, second)]
    assert len(seen) == 2
    moved = [(seen[1] - seen[0])[rows].abs().min() for rows in places]
    assert min(moved) > 1e-3  # those of the text that the second step did not read, too


def test_the_optimizer_holds_moments_of_the_rows_that_are_read():
    own, items = model(), make_items(14)
    used = len({id for item in items for id in item.input_ids})
    with used_rows(own, items, everything(own)):
        optimizer = adamw(dict(own.named_parameters()), SETTINGS)
        sizes = {p.shape for group in optimizer.param_groups for p in group["params"]}
        assert dict(own.named_parameters())[WORD_TABLE].shape == (used + 1, 24)
    assert (VOCABULARY, 24) not in sizes
    assert own.get_parameter(WORD_TABLE).shape == (VOCABULARY, 24)


def test_the_whole_table_is_back_after_an_error():
    own, items = model(), make_items(14)
    table, before = own.bert.embeddings.word, weights(own)[WORD_TABLE]
    own.requires_grad_(False)
    with pytest.raises(KeyError), used_rows(own, items, everything(own)):
        raise KeyError
    assert own.bert.embeddings.word is table
    assert torch.equal(table.weight, before) and table.weight.requires_grad


@pytest.mark.parametrize("reason", ["frozen", "most is read", "predicts words", "no encoder"])
def test_nothing_is_done_where_it_would_be_wrong_or_bring_nothing(reason):
    own, items = (
        model(MaskedLM if reason == "predicts words" else SequenceClassifier),
        make_items(9),
    )
    learning = [n for n in everything(own) if reason != "frozen" or n != WORD_TABLE]
    if reason == "most is read":
        items = [replace(items[0], input_ids=list(range(VOCABULARY // 2 + 1)))]
    held = own.bert.pooler if reason == "no encoder" else own
    with used_rows(held, items, learning):
        assert isinstance(own.bert.embeddings.word, torch.nn.Embedding)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """The small checkpoint with a table in which most words are rare ones."""
    folder = checkpoint(tmp_path_factory.mktemp("small"))
    known = [piece for _, piece in load_tokenizer(folder).vocabulary()]
    tokenizer = Tokenizer.from_vocabulary([*known, *(f"rare{n}" for n in range(300))], False)
    config = own_config(
        vocab_size=len(known) + 300, hidden_dropout_prob=0.1, max_position_embeddings=64
    )
    whole = random_model(MaskedLM, config, torch.Generator().manual_seed(0))
    save_pretrained(whole, tokenizer, rare := tmp_path_factory.mktemp("rare"))
    return rare


def settings_of(method: str) -> Settings:
    return replace(recipe(method).settings, epochs=3, batch_size=8, weight_decay=0.1)


def trained(encoder: Path, out: Path | None = None, method: str = "full", **more):
    return train(
        reviews(), encoder, recipe(method), labels=24, seeds=Seeds.all(0), out=out,
        settings=settings_of(method), **more,
    )  # fmt: skip


def whole_table(monkeypatch) -> None:
    """Let `fit` train the whole table from now on."""
    monkeypatch.setattr(runs_fit, "used_rows", lambda *_: nullcontext())


@pytest.fixture
def entered(monkeypatch) -> list[int]:
    """Numbers of rows that small tables were made of."""
    rows: list[int] = []
    make = UsedRows.__init__

    def counted(self, whole, used):
        rows.append(len(used))
        make(self, whole, used)

    monkeypatch.setattr(UsedRows, "__init__", counted)
    return rows


@pytest.mark.parametrize(
    ("method", "times"), [("full", 1), ("bitfit", 0), ("child-d:0.5", 1), ("random-scalars", 0)]
)
def test_a_run_comes_to_the_same_and_uses_it_where_it_may(
    method, times, encoder, entered, monkeypatch
):
    small, result = trained(encoder, method=method)
    assert len(entered) == times and all(rows < 100 for rows in entered)
    whole_table(monkeypatch)
    whole, expected = trained(encoder, method=method)
    assert len(entered) == times
    for name, value in weights(small.model).items():
        torch.testing.assert_close(value, weights(whole.model)[name], rtol=0, atol=1e-5)
    assert result["trainable_parameters"] == expected["trainable_parameters"]
    assert result["test_scores"].keys() == expected["test_scores"].keys()


def test_a_round_of_active_learning_comes_to_the_same(encoder, entered, monkeypatch):
    data, found = reviews(), []
    for change in (lambda _: None, whole_table):
        change(monkeypatch)
        learner = Learner(data, encoder, replace(recipe("full"), settings=settings_of("full")))
        found.append(learner.fit(data.train[:24], Seeds.all(0)))
    assert len(entered) == 1
    for name, value in weights(found[0].model).items():
        torch.testing.assert_close(value, weights(found[1].model)[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("step", [1, 4, 9])
def test_a_killed_run_is_resumed_to_the_same_bytes(step, encoder, tmp_path, monkeypatch, entered):
    trained(encoder, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, step)
        trained(encoder, tmp_path / "killed", save_every=0)
    trained(encoder, tmp_path / "killed", save_every=0)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")
    assert len(entered) == 3
