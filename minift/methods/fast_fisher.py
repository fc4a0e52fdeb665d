"""The scores of fisher.py from one pass per batch.

Claim    Exactly the mean squared gradient of single examples, whatever the batch size and the
         order, for about the price of one training epoch on the same examples.

         A linear layer that read the rows X_e (tokens of example e) and whose output has the
         gradient G_e has the gradient G_e^T X_e. One backward pass of the *sum* of the losses
         gives all G_e at once, because no example's loss depends on another's rows. So hooks
         keep X on the way up, and on the way down split X and G at the sequences' ends.
         Parameters of other modules are scored by the definition.
Differs  Several processes share the examples and sum; the scores are the same in all of them.
Proof    tests/methods/test_fisher.py
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.masked_lm import MaskedLM
from minift.errors import MiniftError
from minift.methods.fisher import as_found, chosen, fisher, labelled, losses
from minift.training.batches import Item
from minift.training.loop import Objective, Team, cross_entropy

Lengths = tuple[int, ...]  # rows of each example
Scores = dict[str, Tensor]


def fast_fisher(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective = cross_entropy,
    *,
    names: Iterable[str] | None = None,
    batch_size: int = 16,
    team: Team = Team(),
) -> dict[str, Tensor]:
    """Score weights as `fisher` does.

    Args:
        objective: it must read the model once per call.
        batch_size: examples of one pass; it changes time and memory, not the scores.
        team: the processes that share the examples.

    MiniftError: as `fisher`; and if the gradients of a batch cannot be told apart.
    """
    items, weights = labelled(items), chosen(model, names)
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    modules, share = _splittable(model, scores), team.share(items)
    with as_found(model):
        for at in range(0, len(share), batch_size):
            _add_batch(model, share[at : at + batch_size], objective, modules, scores)
    covered = {name for own in modules.values() for name in own.values()}
    if share and (rest := [name for name in scores if name not in covered]):
        for name, mean in fisher(model, share, objective, names=rest).items():
            scores[name] = mean * len(share)
    team.sum_tensors(scores.values())
    for score in scores.values():
        score /= len(items)
    return scores


def _add_batch(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective,
    modules: dict[nn.Module, dict[str, str]],
    scores: Scores,
) -> None:
    """Add to `scores` the squared gradient of each item, from one backward pass."""
    seen = set()

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        own = {local: scores[name] for local, name in modules[module].items()}
        label = next(iter(modules[module].values()))
        if module in seen:
            raise MiniftError(
                f"Fisher: the objective runs the module of {label} twice; once per call is allowed"
            )
        seen.add(module)
        rows = inputs[0].detach()
        lengths = _rows_of_examples(len(rows), items, label)
        if not output.requires_grad:  # nothing below is scored: the backward pass ends here
            output = output.detach().requires_grad_()
        output.register_hook(lambda gradient: _add_squares(module, rows, gradient, lengths, own))
        return output

    hooks = [module.register_forward_hook(keep) for module in modules]
    try:
        loss = losses(model, items, objective).sum()
        if loss.requires_grad:  # else no scored module was read
            loss.backward()
    finally:
        for hook in hooks:
            hook.remove()


def _rows_of_examples(rows: int, items: Sequence[Item], label: str) -> Lengths:
    """Say how many of a module's rows belong to each example."""
    if len(items) == 1:
        return (rows,)
    tokens = tuple(len(item.input_ids) for item in items)
    asked = tuple(len(item.positions) for item in items)
    for lengths in (tokens, asked):
        if sum(lengths) == rows:
            return lengths
    raise MiniftError(
        f"Fisher: the module of {label} read {rows} rows, which are neither the batch's "
        f"{sum(tokens)} tokens nor the {sum(asked)} that are asked; take batch_size=1"
    )


def _add_squares(
    module: nn.Module, rows: Tensor, gradient: Tensor, lengths: Lengths, scores: Scores
) -> None:
    """Add to the scores of one module, from what it read and the gradient of its output."""
    owner = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)).to(rows.device)

    def summed(values: Tensor) -> Tensor:
        """(rows, features) -> (examples, features)"""
        return values.new_zeros(len(lengths), values.shape[1]).index_add_(0, owner, values)

    if "bias" in scores:
        scores["bias"] += summed(gradient).square_().sum(0)
    if "weight" not in scores:
        return
    weight = scores["weight"]
    if isinstance(module, nn.LayerNorm):  # the gain multiplies the normalised rows
        normalised = F.layer_norm(rows, module.normalized_shape, eps=module.eps)
        weight += summed(gradient * normalised).square_().sum(0)
    elif isinstance(module, nn.Embedding):  # the sum over the places where the example reads it
        size = module.num_embeddings
        pairs, place = (owner * size + rows).unique(return_inverse=True)  # (example, row)
        sums = gradient.new_zeros(len(pairs), gradient.shape[1]).index_add_(0, place, gradient)
        weight.index_add_(0, pairs % size, sums.square_())
    elif max(lengths) == 1:  # (g x^T)^2 = g^2 (x^2)^T: all examples in one product
        weight.addmm_(gradient.square().T, rows.square())
    else:  # of example e: G_e^T X_e, (out, in)
        for g, x in zip(gradient.split(lengths), rows.split(lengths)):
            product = g.T @ x
            weight.addcmul_(product, product)


def _splittable(model: nn.Module, names: Container[str]) -> dict[nn.Module, dict[str, str]]:
    """Map each module whose rows give its gradients to {"weight": name, "bias": name}."""
    modules: dict[nn.Module, dict[str, str]] = {}
    for prefix, module in model.named_modules():
        if type(module) in (nn.Linear, nn.LayerNorm, nn.Embedding) and not (
            isinstance(model, MaskedLM) and prefix == "bert.embeddings.word"  # the decoder's too
        ):
            for name, _ in module.named_parameters(prefix):
                if name in names:
                    modules.setdefault(module, {})[name.rpartition(".")[2]] = name
    return modules
