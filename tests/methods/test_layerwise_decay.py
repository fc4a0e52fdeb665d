"""Layer-wise learning-rate decay, proven.

claim                                                     oracle
every trainable parameter is in exactly one group         the model's own parameter list
neighbouring layers differ by exactly the decay factor    arithmetic by hand, a name list
biases and LayerNorm do not decay in any layer            a rule on shapes, not names
the loop follows the groups for 40 steps                  torch.optim.AdamW, groups built here
ratios between layers do not change with the schedule     the same, under a slanted triangle
decay 1 is ordinary fine-tuning, to the bit               the loop without it
a frozen parameter is in no group and never moves         bit equality after steps with decay
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from minift.bert.heads import SequenceClassifier
from minift.bert.masked_lm import MaskedLM
from minift.errors import MiniftError
from minift.methods.layerwise_decay import layerwise_scales
from minift.training.batches import Item, make_batch
from minift.training.loop import Settings, adamw, everything
from minift.training.trapezoids import Constant
from tests.bert.reference import own_config, randomise
from tests.methods.tuning import SEEDS, tune

LOOP = Settings(10, batch_size=4, learning_rate=2e-3, weight_decay=0.1, clip=0.0)


def small_model(seed: int = 0, head=SequenceClassifier) -> nn.Module:
    config = own_config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12
    )
    return randomise(head(config), seed, std=0.3).double()


def small_items() -> list[Item]:
    generator = torch.Generator().manual_seed(1)
    items = []
    for number in range(16):
        length = 2 + number % 4
        ids = torch.randint(1, 61, (length,), generator=generator).tolist()
        items.append(Item(number, ids, [0] * length, [0], [number % 3]))
    return items


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def groups_of(model: nn.Module, decay: float) -> list[dict]:
    """The groups that the loop makes."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return adamw(parameters, LOOP, layerwise_scales(model, decay)).param_groups


def groups_by_hand(model: nn.Module, decay: float) -> list[dict]:
    """One group a parameter, its rate and its weight decay written down."""
    places = ["classifier", "bert.pooler", "bert.layers.1", "bert.layers.0", "bert.embeddings"]
    depths = dict(zip(places, [0, 0, 1, 2, 3]))
    groups = []
    for name, parameter in model.named_parameters():
        (place,) = [place for place in depths if name.startswith(place)]
        weight_decay = 0.1 if parameter.ndim == 2 else 0.0
        rate = 2e-3 * decay ** depths[place]
        groups.append({"params": [parameter], "lr": rate, "weight_decay": weight_decay})
    return groups


class Triangle(Constant):
    """Up over ten steps, then down: what the loop multiplies every rate by."""

    def factor(self, step: int) -> float:
        return min((step + 1) / 10, (41 - step) / 31)


def by_groups(model: nn.Module, items: list[Item], groups: list[dict], factor) -> None:
    """Ten epochs of torch's AdamW over `groups`, each at its own `lr` times `factor`."""
    optimizer = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in optimizer.param_groups]
    order, step = torch.Generator().manual_seed(SEEDS.order), 0
    for _ in range(10):
        shuffled = torch.randperm(len(items), generator=order).tolist()
        for at in range(0, len(items), 4):
            for group, rate in zip(optimizer.param_groups, rates):
                group["lr"] = rate * factor(step)
            batch = make_batch([items[i] for i in shuffled[at : at + 4]])
            optimizer.zero_grad()
            F.cross_entropy(model(batch.packed), batch.targets).backward()
            optimizer.step()
            step += 1


def test_every_trainable_parameter_is_in_exactly_one_group():
    model = small_model()
    grouped = [id(p) for group in groups_of(model, 0.5) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize("decay", [0.5, 1 / 2.6])
def test_neighbouring_layers_differ_by_the_factor_head_on_top_embeddings_below_layer_0(decay):
    model = small_model()
    names = {id(p): name for name, p in model.named_parameters()}
    expected = {"classifier": 0, "bert.pooler": 0, "bert.layers.1": 1, "bert.layers.0": 2}
    expected["bert.embeddings"] = 3
    seen = set()
    for group in groups_of(model, decay):
        for parameter in group["params"]:
            (place,) = [place for place in expected if names[id(parameter)].startswith(place)]
            assert group["scale"] == pytest.approx(decay ** expected[place], rel=1e-15)
            assert group["lr"] == pytest.approx(2e-3 * group["scale"], rel=1e-15)
            seen.add(place)
    assert seen == set(expected)


def test_the_rates_come_from_the_whole_model_also_when_only_the_lowest_layer_trains():
    model = small_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("bert.layers.0."))
    assert {group["scale"] for group in groups_of(model, 0.5)} == {0.25}


def test_the_masked_language_models_own_layers_count_as_head_and_its_tied_decoder_as_embedding():
    scales = layerwise_scales(small_model(head=MaskedLM), 0.5)
    assert {scales[name] for name in ("transform.weight", "norm.bias", "bias")} == {1.0}
    assert scales["bert.embeddings.word.weight"] == 0.125


def test_biases_and_layer_norm_do_not_decay_and_matrices_do_at_every_depth():
    groups = groups_of(small_model(), 0.5)
    for group in groups:
        assert {p.ndim for p in group["params"]} == ({2} if group["weight_decay"] else {1})
        assert group["weight_decay"] in (0.0, 0.1)
    scales = sorted(group["scale"] for group in groups)
    assert scales == [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 1, 1]


@pytest.mark.parametrize("schedule", [Constant(), Triangle()], ids=["constant", "triangle"])
def test_forty_steps_of_the_loop_follow_torch_adamw_with_the_groups(schedule):
    own, reference = small_model(), small_model()
    scales = partial(layerwise_scales, decay=1 / 2.6)
    tune(own, small_items(), LOOP, scales=scales, schedule=schedule)
    reference.train()
    by_groups(reference, small_items(), groups_by_hand(reference, 1 / 2.6), schedule.factor)
    expected = weights(reference)
    for name, value in weights(own).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-11)

    plain = small_model()  # negative control: without the rule, the layers end up elsewhere
    tune(plain, small_items(), LOOP, schedule=schedule)
    lowest = "bert.layers.0.output.weight"
    assert (weights(plain)[lowest] - expected[lowest]).abs().max() > 1e-3


def test_lower_layers_end_up_closer_to_where_they_started():
    model = small_model()
    before = weights(model)
    scales = partial(layerwise_scales, decay=0.5)
    tune(model, small_items(), LOOP, scales=scales, schedule=Constant())

    def moved(name: str) -> float:
        return float((weights(model)[name] - before[name]).abs().max())

    top, bottom = (moved(f"bert.layers.{layer}.intermediate.weight") for layer in (1, 0))
    assert moved("classifier.weight") > top > bottom > moved("bert.embeddings.position.weight") > 0


def test_decay_of_one_is_ordinary_fine_tuning_to_the_bit():
    plain, own = small_model(), small_model()
    tune(plain, small_items(), LOOP)
    tune(own, small_items(), LOOP, scales=partial(layerwise_scales, decay=1))
    for name, value in weights(plain).items():
        assert torch.equal(weights(own)[name], value), name


def test_a_frozen_embedding_is_in_no_group_and_does_not_move_under_weight_decay():
    model = small_model()
    before = weights(model)
    scales = partial(layerwise_scales, decay=0.9)

    def upper(model: nn.Module, epoch: int) -> list[str]:
        return [name for name in everything(model) if "embeddings" not in name]

    tune(model, small_items(), LOOP, scales=scales, trainable=upper)
    for name, value in weights(model).items():
        assert torch.equal(value, before[name]) == ("embeddings" in name), name
    grouped = {id(p) for group in groups_of(model, 0.9) for p in group["params"]}
    assert grouped == {id(p) for name, p in model.named_parameters() if "embeddings" not in name}


@pytest.mark.parametrize("decay", [0.0, -1.0, 1.5, float("nan")])
def test_a_decay_outside_its_range_is_refused_with_the_value_named(decay):
    with pytest.raises(MiniftError, match=f"got {decay}"):
        layerwise_scales(small_model(), decay)
