"""BitFit's controls, random elements that learn, proven.

claim                                                         oracle
random scalars: exactly k, uniform, small tensors included    chi-square, hypergeometric counts
only the drawn scalars learn, as if they were the parameters  functional_call on those scalars
drawn scalars of matrices decay, BitFit's biases do not       (1 - rate * decay) by hand
random rows and columns are rows and columns                  set arithmetic
"""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from minift.bert.config import BertConfig
from minift.bert.heads import SequenceClassifier
from minift.errors import MiniftError
from minift.methods.bitfit import bitfit
from minift.methods.child_tuning import FixedMask
from minift.methods.freezing import freeze
from minift.methods.random_masks import random_rows_columns, random_scalars
from minift.training.batches import make_batch
from minift.training.loop import Settings, adamw, everything, select
from minift.training.schedules import Linear
from tests.methods.test_bitfit import CLASSIFIER, classifier, moved, sentences, snapshot
from tests.methods.tuning import SEEDS, tune


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def encoder_sizes(model) -> dict[str, int]:
    return {n: p.numel() for n, p in model.named_parameters() if n.startswith("bert.")}


def count(masks) -> int:
    return sum(int(mask.sum()) for mask in masks.values())


def places(mask: torch.Tensor) -> torch.Tensor:
    return mask.flatten().nonzero().flatten()


# Single scalars


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_random_scalars_are_exactly_k_of_the_encoder_without_the_head(share):
    model = classifier()
    sizes = encoder_sizes(model)
    wanted = int(share * sum(sizes.values()))
    drawn = random_scalars(model, wanted, stream())
    assert count(drawn) == wanted
    assert {name: mask.numel() for name, mask in drawn.items()} == sizes
    again, other = (random_scalars(model, wanted, stream(seed)) for seed in (0, 1))
    assert all(torch.equal(again[name], drawn[name]) for name in drawn)
    assert share == 1 or not all(torch.equal(other[name], drawn[name]) for name in drawn)


def test_random_scalars_are_uniform_over_tensors_small_ones_included():
    model, wanted, draws = classifier(), 200, 300
    sizes = encoder_sizes(model)
    total, found = sum(sizes.values()), dict.fromkeys(sizes, 0)
    within = torch.zeros(61 * 24)
    generator = stream()
    for _ in range(draws):
        drawn = random_scalars(model, wanted, generator)
        for name, mask in drawn.items():
            found[name] += int(mask.sum())
        within += drawn["bert.embeddings.word.weight"].flatten()
    expected = [draws * wanted * size / total for size in sizes.values()]
    assert stats.chisquare(list(found.values()), expected).pvalue > 1e-3
    assert stats.chisquare(within.numpy()).pvalue > 1e-3
    # The rounded-down share of the authors' code gives every bias of 24 nothing, ever.
    assert int(24 * wanted / total) == 0 < found["bert.layers.0.attention.key.bias"]
    wrong = [draws * int(size * wanted / total) for size in sizes.values()]  # negative control
    scaled = [e * sum(wrong) / sum(expected) for e in expected]
    assert stats.chisquare(wrong, scaled).pvalue < 1e-9


def test_the_number_of_scalars_a_tensor_gets_has_the_spread_of_drawing_without_replacement():
    model, wanted = classifier(), 8_000
    sizes = encoder_sizes(model)
    name = "bert.embeddings.word.weight"
    generator = stream(1)
    got = [int(random_scalars(model, wanted, generator)[name].sum()) for _ in range(100)]
    exact = stats.hypergeom(sum(sizes.values()), sizes[name], wanted)
    assert abs(sum(got) / 100 - exact.mean()) < 4 * exact.std() / 100**0.5
    ratio = torch.tensor(got).double().std().item() / exact.std()
    assert 0.75 < ratio < 1.25
    assert stats.binom(wanted, sizes[name] / sum(sizes.values())).std() / exact.std() > 1.25


def test_only_the_drawn_scalars_learn_as_if_they_were_the_only_parameters():
    settings = Settings(4, batch_size=4, learning_rate=1e-2, weight_decay=0.5, epsilon=1e-6, clip=0)
    items = sentences(16)
    own, reference = classifier(), classifier()
    before = snapshot(own)
    masks = random_scalars(own, 500, stream())
    drawn = {name: places(mask) for name, mask in masks.items() if mask.any()}
    tune(own, items, settings, rule=FixedMask(masks))
    for name, parameter in own.named_parameters():  # what must not change keeps its bits
        if name not in CLASSIFIER:
            assert not ((parameter != before[name]) & ~masks[name]).any(), name

    # Specification: leaves that hold the drawn scalars and nothing else, written into the tensors.
    leaves = {n: before[n].flatten()[i].requires_grad_() for n, i in drawn.items()}
    leaves |= {n: before[n].clone().requires_grad_() for n in CLASSIFIER}
    optimizer = adamw(leaves, settings)
    schedule = Linear()
    schedule.begin(4, 4)
    generator = stream(SEEDS.order)
    for step in range(16):
        if step % 4 == 0:
            order = torch.randperm(16, generator=generator).tolist()
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule.factor(step)
        tensors = dict(before)
        for name, leaf in leaves.items():
            if name in CLASSIFIER:
                tensors[name] = leaf
            else:
                flat = before[name].flatten().index_put((drawn[name],), leaf)
                tensors[name] = flat.view(before[name].shape)
        batch = make_batch([items[i] for i in order[step % 4 * 4 : step % 4 * 4 + 4]])
        logits = torch.func.functional_call(reference, tensors, (batch.packed, batch.wanted))
        optimizer.zero_grad()
        F.cross_entropy(logits, batch.targets).backward()
        optimizer.step()
    for name, leaf in leaves.items():
        actual = dict(own.named_parameters())[name]
        actual = actual if name in CLASSIFIER else actual.flatten()[drawn[name]]
        torch.testing.assert_close(actual, leaf, rtol=0, atol=1e-9)
    assert set(drawn) & moved(before, own) > {"bert.embeddings.word.weight"}


def test_without_the_rule_weight_decay_would_move_every_scalar_of_the_chosen_tensors():
    model = classifier()
    before = snapshot(model)
    tune(model, sentences(8), Settings(1, batch_size=4, learning_rate=1e-2, weight_decay=0.5))
    weight = "bert.layers.0.intermediate.weight"
    assert (dict(model.named_parameters())[weight] != before[weight]).all()


def one_step_without_gradient(trainable, masks) -> SequenceClassifier:
    model = classifier()
    parameters, rule = select(model, trainable), FixedMask(masks)
    optimizer = adamw(parameters, Settings(learning_rate=0.1, weight_decay=0.5))
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    rule.before_step(parameters)
    optimizer.step()
    rule.after_step(parameters)
    return model


def test_drawn_scalars_of_matrices_decay_and_the_biases_of_bitfit_do_not():
    before, masks = snapshot(classifier()), random_scalars(classifier(), 900, stream())
    after = snapshot(one_step_without_gradient(everything, masks))
    for name, mask in masks.items():
        factor = 1 - 0.1 * 0.5 if before[name].dim() == 2 else 1.0
        expected = torch.where(mask, factor * before[name], before[name])
        torch.testing.assert_close(after[name], expected, rtol=0, atol=1e-15)
    tuned = one_step_without_gradient(bitfit(), {})
    assert moved(before, tuned) == {"classifier.weight"}


def test_the_controls_mask_after_clipping_so_the_norm_is_that_of_the_whole_gradient():
    model = classifier()
    drawn, norms = FixedMask(random_scalars(model, 500, stream())), []

    class Spy:
        def before_step(self, parameters):
            for rule in (lambda _: None, drawn.before_step):
                rule(parameters)
                norms.append(torch.stack([p.grad.norm() for p in parameters.values()]).norm())

        def after_step(self, parameters):
            drawn.after_step(parameters)

    tune(model, sentences(4), Settings(1, batch_size=4, clip=0.01), rule=Spy())
    assert norms[0] == pytest.approx(0.01, rel=1e-3)
    assert norms[1] < 0.009


def test_under_freezing_the_scalars_are_drawn_from_what_learns():
    model = classifier()
    learning = select(model, freeze(2))
    for masks in (random_scalars(model, 500, stream()), random_rows_columns(model, stream())):
        assert set(masks) == set(learning) - CLASSIFIER
    assert count(random_scalars(model, 500, stream())) == 500


@pytest.mark.parametrize("wanted", [0, 10**9])
def test_a_count_beyond_the_encoder_is_refused(wanted):
    with pytest.raises(MiniftError, match=rf"in 1 to \d+ .* got {wanted}"):
        random_scalars(classifier(), wanted, torch.Generator())


# Rows and columns


def test_rows_and_columns_take_whole_ones_all_gains_and_nothing_of_embeddings_and_biases():
    model = classifier(intermediate_size=96)
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters()}
    forms, seen = {"square": set(), "tall": set(), "wide": set()}, set()
    for seed in range(40):
        masks = random_rows_columns(model, stream(seed))
        expected = {n for n in shapes if n.startswith("bert.layers") and n.endswith("weight")} | {
            "bert.pooler.dense.weight"
        }
        assert set(masks) == set(encoder_sizes(model))
        assert {name for name, mask in masks.items() if mask.any()} == expected
        for name in expected:
            chosen = set(places(masks[name]).tolist())
            assert len(chosen) == shapes[name][0]  # as long as its bias
            if len(shapes[name]) == 1:
                continue
            rows, columns = shapes[name]
            in_rows = {i // columns for i in chosen}
            in_columns = {i % columns for i in chosen}
            if rows == columns:
                seen.add(min(in_rows) if len(in_rows) == 1 else -1 - min(in_columns))
            assert len(in_rows) * len(in_columns) == rows  # a full block ...
            assert len(in_columns) in (1, columns)  # ... of one column or of whole rows
            form = "square" if rows == columns else "tall" if rows > columns else "wide"
            forms[form].add((len(in_rows), len(in_columns)))
    assert forms == {
        "square": {(24, 1), (1, 24)},
        "tall": {(96, 1), (4, 24)},
        "wide": {(24, 1)},
    }
    assert seen == {*range(24), *range(-24, 0)}  # any row and any column can be drawn


def test_rows_and_columns_of_bert_base_are_as_many_as_the_biases_of_layers_and_pooler():
    with torch.device("meta"):
        model = SequenceClassifier(BertConfig(labels=("a", "b")))
    assert count(random_rows_columns(model, stream())) == 101_376 + 768
