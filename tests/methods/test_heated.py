"""The heated-up softmax, proven.

claim                                                     oracle
the loss and its gradient alpha * (p - y)                 sums of exponentials, finite differences
what a large and a small alpha teach by                   numbers of three texts, worked by hand
alpha 1 is the plain loss                                 bit equality after training with dropout
each phase has its alpha, from the right epoch on, and    torch.optim.AdamW, written out; the same
  moments are kept from phase to phase                      with moments that are forgotten
the likeliest class is the same for every alpha           argmax of the logits, and what is answered
"normalised": the scale of the last layer plays no part,  the last layer times 7; finite numbers
  the gradient is at right angles to the logits, and
  logits of 0 are no trouble
words without a label have no loss; a step can be split   the loss by hand; the whole step
states of frozen layers are read as they are              the loop by itself
what has no softmax is refused, and so are bad alphas     the words

Resuming is proven in tests/runs/test_resume.py, every path that trains in tests/runs/test_fit.py.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from minift.bert.heads import SequenceClassifier, TokenClassifier
from minift.compare.lineup import rehearse_all, split_methods
from minift.errors import MiniftError
from minift.methods.freezing import freeze
from minift.methods.heated import Heated
from minift.methods.recipes import recipe
from minift.runs.fit import fit
from minift.runs.train import train
from minift.runs.tuned import FineTuned
from minift.training.batches import UNLABELLED, Item, make_batch
from minift.training.loop import Recipe, Seeds, Settings, Training, fine_tune
from minift.training.trapezoids import Constant
from tests.bert.reference import own_config, randomise
from tests.runs.test_multilabel import films
from tests.tiny import checkpoint, reviews, similarity
from tests.training.test_loop import make_items, model, weights

SEEDS = Seeds.all(0)
SETTINGS = Settings(epochs=6, batch_size=4, learning_rate=5e-3, weight_decay=0.1, clip=0.0)


class Said(nn.Module):
    """A model whose logits are given, so that a loss can be checked by hand."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float64))

    def forward(self, packed, wanted):
        return self.logits


def losses(logits, targets, objective, step: int = 0, steps: int = 1):
    """The losses of texts with these logits, and the gradient of their sum."""
    said = Said(*logits)
    batch = make_batch([Item(n, [1], [0], [0], [t]) for n, t in enumerate(targets)])
    found = objective(said, batch, step, steps)
    found.sum().backward()
    return found.detach(), said.logits.grad


EASY, BORDER, HARD = (2.0, 0.0, 0.0), (0.6, 0.5, 0.4), (0.0, 2.0, 0.0)  # of class 0, all three


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 4.0, 16.0])
@pytest.mark.parametrize("logits", [EASY, BORDER, HARD, (-3.0, 0.2, 1.1)])
def test_the_loss_and_its_gradient_are_those_of_sums_of_exponentials(alpha, logits):
    found, gradient = losses([logits], [0], Heated((alpha,)))

    def by_hand(z) -> float:
        return math.log(sum(math.exp(alpha * x) for x in z)) - alpha * z[0]

    assert float(found) == pytest.approx(by_hand(logits), abs=1e-12)
    total = sum(math.exp(alpha * x) for x in logits)
    for k in range(3):
        p = math.exp(alpha * logits[k]) / total
        assert float(gradient[0, k]) == pytest.approx(alpha * (p - (k == 0)), abs=1e-12)
        up, down = ([x + h * (n == k) for n, x in enumerate(logits)] for h in (1e-6, -1e-6))
        assert float(gradient[0, k]) == pytest.approx(
            (by_hand(up) - by_hand(down)) / 2e-6, abs=1e-7
        )


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.1, (0.76, 0.81, 0.85)),
        (0.5, (0.52, 0.80, 1.00)),
        (1.0, (0.26, 0.78, 1.20)),
        (4.0, (0.001, 0.65, 1.41)),
        (16.0, (0.0, 0.26, 1.41)),
    ],
)
def test_a_large_alpha_teaches_by_border_and_error_and_a_small_one_by_all_alike(alpha, expected):
    _, gradient = losses([EASY, BORDER, HARD], [0, 0, 0], Heated((alpha,)))
    assert (gradient.norm(dim=1) / alpha).tolist() == pytest.approx(expected, abs=6e-3)


# --- in training ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("encoder"))


def test_alpha_1_is_the_plain_loss_bit_for_bit(encoder):
    made = {}
    for name in ("full", "heated:1", "heated:1,1,1", "heated:1,2"):
        settings = replace(recipe(name).settings, epochs=3)
        tuned, _ = train(reviews(), encoder, name, seeds=0, settings=settings)
        made[name] = weights(tuned.model)
    for name, value in made["full"].items():
        assert torch.equal(made["heated:1"][name], value), name
        assert torch.equal(made["heated:1,1,1"][name], value), name
    assert not all(torch.equal(made["heated:1,2"][n], v) for n, v in made["full"].items())


def by_hand(alphas: list[float], forget_after: int = 0):
    """Six epochs of three steps with torch's AdamW; `alphas` has one per epoch."""
    own, items = model(), make_items(12)
    own.train()
    order = torch.Generator().manual_seed(SEEDS.order)
    groups = [
        {"params": [p for p in own.parameters() if (p.ndim == 2) is decays], "weight_decay": decay}
        for decays, decay in ((True, 0.1), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=5e-3)
    for epoch, alpha in enumerate(alphas):
        if forget_after and epoch == forget_after:
            optimizer = torch.optim.AdamW(groups, lr=5e-3)
        shuffled = torch.randperm(len(items), generator=order).tolist()
        for at in range(0, len(items), 4):
            batch = make_batch([items[i] for i in shuffled[at : at + 4]])
            optimizer.zero_grad()
            F.nll_loss((own(batch.packed) * alpha).log_softmax(1), batch.targets).backward()
            optimizer.step()
    return weights(own)


def apart(one, other) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


def test_alpha_changes_at_the_right_epoch_and_the_moments_are_kept():
    own = model()
    chosen = replace(recipe("heated:4,1,0.5"), schedule=Constant, settings=SETTINGS)
    fine_tune(own, make_items(12), chosen, SEEDS)
    assert apart(weights(own), by_hand([4, 4, 1, 1, 0.5, 0.5])) < 1e-11
    for control in (
        [4, 1, 1, 1, 0.5, 0.5],
        [4, 4, 4, 1, 0.5, 0.5],
        [0.5, 0.5, 1, 1, 4, 4],
        [1] * 6,
    ):
        assert apart(weights(own), by_hand(control)) > 1e-3
    assert apart(weights(own), by_hand([4, 4, 1, 1, 0.5, 0.5], forget_after=2)) > 1e-3


@pytest.mark.parametrize(("steps", "begins"), [(12, [0, 4, 8]), (7, [0, 3, 5]), (2, [0, 1])])
def test_phases_are_equal_parts_of_the_steps_in_their_order(steps, begins):
    found = [float(losses([EASY], [0], Heated(), step, steps)[0]) for step in range(steps)]
    alone = [float(losses([EASY], [0], Heated((alpha,)))[0]) for alpha in (4.0, 1.0, 0.5)]
    changes = [n for n in range(steps) if n == 0 or found[n] != found[n - 1]]
    assert changes == begins and found == sorted(found) and set(found) <= set(alone)


def test_words_without_a_label_have_no_loss_and_a_step_can_be_split_up():
    own = randomise(TokenClassifier(own_config()), 0, std=0.2).double().eval()
    targets = [[2, UNLABELLED, 1], [UNLABELLED, 0, 0]]
    items = [Item(n, [3, 4, 5], [0] * 3, [0, 1, 2], t) for n, t in enumerate(targets)]
    batch = make_batch(items)
    found = Heated((3.0,))(own, batch)
    shares = (3 * own(batch.packed, batch.wanted)).softmax(1)
    expected = [-shares[row, k].log() for row, k in enumerate(targets[0] + targets[1]) if k >= 0]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)
    gradients = []
    for parts in (1, 2):
        chosen = Recipe(objective=Heated((3.0,)), settings=Settings(accumulate=parts))
        training = Training(own, items, chosen, SEEDS)
        assert training.backward(items)[1] == 4
        gradients.append(own.classifier.weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_states_of_frozen_layers_are_read_as_they_are():
    config = own_config(hidden_dropout_prob=0.1)
    ours, plain = (randomise(SequenceClassifier(config), 0, std=0.2).double() for _ in range(2))
    chosen = replace(recipe("freeze:2+heated:4,1,0.5"), settings=replace(SETTINGS, epochs=3))
    tuned = FineTuned(ours, None, "classification", ("a", "b", "c"))
    found = fit(tuned, make_items(12), chosen, SEEDS)
    assert found.tuned.cache is not None and found.tuned.cache.layers == 2
    alone = Recipe(trainable=freeze(2), objective=Heated(), settings=chosen.settings)
    fine_tune(plain, make_items(12), alone, SEEDS)
    assert apart(weights(ours), weights(plain)) < 1e-11


# --- what is answered -------------------------------------------------------------------------


def test_the_likeliest_class_is_the_same_for_every_alpha_and_is_what_is_answered(encoder):
    logits = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    for alpha in (0.1, 0.5, 4.0, 16.0):
        assert torch.equal((alpha * logits).softmax(1).argmax(1), logits.argmax(1))
        assert torch.equal((alpha * F.normalize(logits, dim=1)).argmax(1), logits.argmax(1))
    settings = replace(recipe("full").settings, epochs=4, learning_rate=1e-3)
    tuned, _ = train(reviews(), encoder, "heated:4,0.5", seeds=0, settings=settings)
    items = tuned.items(reviews().test)
    batch = make_batch(items)
    best = tuned.model(batch.packed, batch.wanted).argmax(1).tolist()
    assert tuned.evaluate(reviews().test).predicted == [tuned.labels[k] for k in best]


@pytest.mark.parametrize("factor", [7.0, 0.01])
def test_normalised_the_scale_of_the_last_layer_plays_no_part(factor):
    own = randomise(SequenceClassifier(own_config()), 0, std=0.2).double().eval()
    batch = make_batch(make_items(6))
    before = Heated((4.0,), normalised=True)(own, batch)
    plain = Heated((4.0,))(own, batch)
    with torch.no_grad():
        for parameter in own.classifier.parameters():
            parameter.mul_(factor)
    after = Heated((4.0,), normalised=True)(own, batch)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)
    assert (Heated((4.0,))(own, batch) - plain).abs().max() > 0.1  # without it, it does


def test_normalised_the_gradient_is_at_right_angles_to_the_logits_and_zeros_are_no_trouble():
    logits = [EASY, BORDER, HARD, (-1.0, 2.0, 0.5), (0.0, 0.0, 0.0)]
    found, gradient = losses(logits, [0, 1, 2, 0, 1], Heated((16.0,), normalised=True))
    along = (gradient * gradient.new_tensor(logits)).sum(1)
    assert along.abs().max() < 1e-12 and gradient[:4].abs().max() > 0.1
    assert found.isfinite().all() and gradient.isfinite().all()
    assert float(found[4]) == pytest.approx(math.log(3))
    _, without = losses(logits, [0, 1, 2, 0, 1], Heated((16.0,)))
    assert (without * without.new_tensor(logits)).sum(1).abs().max() > 1


# --- words ------------------------------------------------------------------------------------


def test_the_word_says_phases_and_normalisation_also_in_a_list_of_methods():
    assert recipe("heated").objective == Heated((4.0, 1.0, 0.5), False)
    assert recipe("heated:16,4,normalised").objective == Heated((16.0, 4.0), True)
    listed = "full,heated:4,1,0.5,heated:16,4,normalised,fgm:0.5,bitfit:query,intermediate"
    assert split_methods(listed) == [
        "full", "heated:4,1,0.5", "heated:16,4,normalised", "fgm:0.5", "bitfit:query,intermediate",
    ]  # fmt: skip
    assert split_methods("heated:4,-1,full") == ["heated:4,-1", "full"]  # to be refused as one


@pytest.mark.parametrize(
    "bad",
    ["0", "-1", "4,-1", "4,,1", "nan", "inf", "x", "normalised", "4,normalised,1", "4,normal"],
)
def test_a_bad_alpha_is_one_sentence_with_the_right_form(bad):
    with pytest.raises(MiniftError) as caught:
        recipe(f"heated:{bad}")
    assert f'"heated:{bad}": expected a positive number per phase' in str(caught.value)
    assert "e.g. heated:4,1,0.5" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(MiniftError, match="alphas must be positive numbers"):
        Heated(())


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("heated", similarity(), "for one class per text or word"),
        ("heated", films(), "for one class per text or word"),
        ("head+heated:4,1", reviews(), "solved, not trained in steps, so it has no .* or loss"),
        ("heated+weighted", reviews(), 'both fill the slot "objective"'),
        ("heated+fgm", reviews(), 'both fill the slot "objective"'),
    ],
)
def test_what_has_no_softmax_or_no_steps_is_refused(name, data, said, encoder):
    with pytest.raises(MiniftError, match=said) as caught:
        train(data, encoder, name, seeds=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [similarity(), films()], ids=lambda data: data.task)
def test_a_comparison_refuses_it_before_anything_runs(data, encoder):
    methods = {"full": recipe("full"), "heated": recipe("heated")}
    with pytest.raises(MiniftError, match=r'^method "heated": heated has a softmax'):
        rehearse_all(data, encoder, methods, {(8, 0): data.train[:8]})
