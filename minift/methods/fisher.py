"""Diagonal empirical Fisher information: which weights the labels pull at.

Claim    The score of a weight is the mean over the examples of the squared gradient of its
         log p(y|x): exact, whatever the batch size and the order, for about the price of one
         training epoch on the same examples.

    score_i = 1/N * sum over examples e of (d log p(y_e | x_e) / d w_i)^2

         A linear layer that read the rows X_e (tokens of example e) and whose output has the
         gradient G_e has the gradient G_e^T X_e. One backward pass of the *sum* of the losses
         gives all G_e at once, because no example's loss depends on another's rows. So hooks
         keep X on the way up, and on the way down split X and G at the sequences' ends.
Paper    Xu et al. (2021), "Raise a Child in Large Language Model", section 2.2.2,
         https://arxiv.org/abs/2109.05687: true labels, at the pretrained weights.
Differs  - Their code squares the clipped gradient of each *batch*'s mean loss, with dropout on;
           that is `batch_fisher`. The mean of a batch hides what its examples disagree about.
         - Several processes share the examples and sum; the masks are the same in all of them.
         - An example is one model input: each window of a long tagged sentence counts.
           Inputs without a label are left out.
         - A new head is part of the model: the scores depend on how it was drawn.
         - Always in the weights' own precision: squares of bf16 gradients would be coarse.
Proof    tests/methods/test_fisher.py
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.dropout import Dropout, set_dropout_generator
from minift.bert.heads import MaskedLM
from minift.bert.packing import to_device
from minift.errors import MiniftError, nearest
from minift.runs.processes import my_share, sum_over_ranks
from minift.speed.precision import full_precision
from minift.training.batches import Batch, Item, labelled, make_batch
from minift.training.loop import cross_entropy

Lengths = tuple[int, ...]  # rows of each example
Scores = dict[str, Tensor]
Objective = Callable[[nn.Module, Batch], Tensor]


def fisher(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective = cross_entropy,
    *,
    names: Iterable[str] | None = None,
    batch_size: int = 16,
) -> dict[str, Tensor]:
    """Score weights by the mean squared gradient of single examples, dropout off.

    Args:
        model: an encoder with a head; it is left exactly as found.
        items: the training inputs.
        objective: -log p of each labelled target; it must read the model once a call. An
            example's loss is the sum over its targets. For regression take `squared_error`.
        names: parameters to score; None means all.
        batch_size: examples of one pass; it changes time and memory, not the scores.

    Returns:
        For each name a tensor of the parameter's shape, dtype and device.

    Raises:
        MiniftError: if no item has a label, a name is unknown, or the gradients of a batch
            cannot be told apart.
    """
    items = _labelled(items)
    parameters = _named(model, names)
    scores = {name: torch.zeros_like(p, requires_grad=False) for name, p in parameters.items()}
    modules = _splittable(model, scores)
    with _as_found(model, learning=()):
        for batch in _batches(model, my_share(items), batch_size):
            _add_batch(model, batch, objective, modules, scores)
    covered = {name for own in modules.values() for name in own.values()}
    if rest := {name: p for name, p in parameters.items() if name not in covered}:
        with _as_found(model, learning=rest):
            for batch in _batches(model, my_share(items), 1):
                _add_squares(objective(model, batch).sum(), rest, scores)
    sum_over_ranks(scores.values())
    for score in scores.values():
        score /= len(items)
    return scores


def batch_fisher(
    model: nn.Module,
    items: Sequence[Item],
    objective: Objective = cross_entropy,
    *,
    names: Iterable[str] | None = None,
    batch_size: int = 16,
    clip: float = 1.0,
    dropout: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Score weights as the authors' code does: by squared gradients of batches.

    The gradient of each batch's mean loss is clipped tensor by tensor, squared, and averaged
    over the batches. The result depends on the batch size and on the order of `items` (the
    authors shuffle them).

    Args:
        model, items, objective, names: as for `fisher`.
        batch_size: examples of one gradient; a smaller last batch weighs as much as the others.
        clip: largest norm of each tensor's gradient; 0 switches clipping off.
        dropout: source of dropout masks (the authors leave dropout on); None means no dropout.

    Returns, Raises: as `fisher`.
    """
    items = _labelled(items)
    parameters = _named(model, names)
    scores = {name: torch.zeros_like(p, requires_grad=False) for name, p in parameters.items()}
    with _as_found(model, learning=scores, dropout=dropout):
        for batch in _batches(model, items, batch_size):
            _add_squares(objective(model, batch).mean(), parameters, scores, clip)
    for score in scores.values():
        score /= -(-len(items) // batch_size)
    return scores


def _add_batch(
    model: nn.Module,
    batch: Batch,
    objective: Objective,
    modules: dict[nn.Module, dict[str, str]],
    scores: dict[str, Tensor],
) -> None:
    """Add to `scores` the squared gradient of each example of `batch`, from one backward."""
    seen = set()

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        own = {local: scores[name] for local, name in modules[module].items()}
        label = next(iter(modules[module].values()))
        if module in seen:
            raise MiniftError(
                f"Fisher: the objective runs the module of {label} twice; it must read the "
                "model once a call (take cross_entropy or squared_error)"
            )
        seen.add(module)
        rows = inputs[0].detach()
        lengths = _rows_of_examples(len(rows), batch, label)
        if not output.requires_grad:  # nothing below is scored: the backward pass ends here
            output = output.detach().requires_grad_()
        add = _SQUARES[type(module)]
        output.register_hook(lambda gradient: add(module, rows, gradient, lengths, own))
        return output

    hooks = [module.register_forward_hook(keep) for module in modules]
    try:
        loss = objective(model, batch).sum()
        if loss.requires_grad:  # else no scored module was read
            loss.backward()
    finally:
        for hook in hooks:
            hook.remove()


def _rows_of_examples(rows: int, batch: Batch, label: str) -> Lengths:
    """Say how many of a module's rows belong to each example."""
    tokens, asked = batch.packed.lengths, batch.wanted.layout.lengths
    if len(tokens) == 1:
        return (rows,)
    for lengths in (tokens, asked):
        if sum(lengths) == rows:
            return lengths
    raise MiniftError(
        f"Fisher: the module of {label} read {rows} rows, which are neither the batch's "
        f"{sum(tokens)} tokens nor the {sum(asked)} that are asked; take batch_size=1"
    )


def _add_linear(
    module: nn.Linear, rows: Tensor, gradient: Tensor, lengths: Lengths, scores: Scores
) -> None:
    """(rows, in), (rows, out): the gradient of example e is G_e^T X_e, (out, in)."""
    if "bias" in scores:
        scores["bias"] += _per_example(gradient, lengths).square_().sum(0)
    if "weight" not in scores:
        return
    if max(lengths) == 1:  # (g x^T)^2 = g^2 (x^2)^T: all examples in one product
        scores["weight"].addmm_(gradient.square().T, rows.square())
        return
    for g, x in zip(gradient.split(lengths), rows.split(lengths)):
        product = g.T @ x
        scores["weight"].addcmul_(product, product)


def _add_norm(
    module: nn.LayerNorm, rows: Tensor, gradient: Tensor, lengths: Lengths, scores: Scores
) -> None:
    """The gain multiplies the normalised rows; the bias is added to them."""
    if "bias" in scores:
        scores["bias"] += _per_example(gradient, lengths).square_().sum(0)
    if "weight" in scores:
        normalised = F.layer_norm(rows, module.normalized_shape, eps=module.eps)
        scores["weight"] += _per_example(gradient * normalised, lengths).square_().sum(0)


def _add_embedding(
    module: nn.Embedding, ids: Tensor, gradient: Tensor, lengths: Lengths, scores: Scores
) -> None:
    """A row of the table gets the sum over the places where the example reads it."""
    size = module.num_embeddings
    pairs = _owner_of_rows(lengths, ids.device) * size + ids  # (example, row) as one number
    pairs, inverse = pairs.unique(return_inverse=True)
    sums = gradient.new_zeros(len(pairs), gradient.shape[1]).index_add_(0, inverse, gradient)
    scores["weight"].index_add_(0, pairs % size, sums.square_())


_SQUARES: dict[type[nn.Module], Callable[..., None]] = {
    nn.Linear: _add_linear,
    nn.LayerNorm: _add_norm,
    nn.Embedding: _add_embedding,
}


def _per_example(rows: Tensor, lengths: tuple[int, ...]) -> Tensor:
    """(rows, features) -> (examples, features), summed over the rows of each example."""
    owner = _owner_of_rows(lengths, rows.device)
    return rows.new_zeros(len(lengths), rows.shape[1]).index_add_(0, owner, rows)


def _owner_of_rows(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)).to(device)


def _splittable(model: nn.Module, names: Container[str]) -> dict[nn.Module, dict[str, str]]:
    """Map each module whose rows give its gradients to {"weight": name, "bias": name}.

    Only parameters among `names` are listed, and only modules that have one.
    """
    modules: dict[nn.Module, dict[str, str]] = {}
    for prefix, module in model.named_modules():
        if type(module) in _SQUARES and not (
            isinstance(model, MaskedLM) and prefix == "bert.embeddings.word"  # the decoder's too
        ):
            for name, _ in module.named_parameters(prefix):
                if name in names:
                    modules.setdefault(module, {})[name.rpartition(".")[2]] = name
    return modules


def _add_squares(
    loss: Tensor, parameters: Mapping[str, Tensor], scores: Scores, clip: float = 0.0
) -> None:
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients):
        if gradient is not None:
            if clip:
                gradient = gradient * (clip / (gradient.norm() + 1e-6)).clamp(max=1.0)
            scores[name].addcmul_(gradient, gradient)


def _labelled(items: Sequence[Item]) -> list[Item]:
    kept = [item for item in items if labelled(make_batch([item]).targets).any()]
    if not kept:
        raise MiniftError(f"Fisher needs labelled examples; none of {len(items)} has a label")
    return kept


def _named(model: nn.Module, names: Iterable[str] | None) -> dict[str, nn.Parameter]:
    parameters = dict(model.named_parameters())
    chosen = list(parameters) if names is None else list(names)
    for name in chosen:
        if name not in parameters:
            raise MiniftError(f"the model has no parameter {name}{nearest(name, parameters)}")
    return {name: parameters[name] for name in chosen}


def _batches(model: nn.Module, items: Sequence[Item], size: int) -> Iterator[Batch]:
    device = next(model.parameters()).device
    for at in range(0, len(items), size):
        yield to_device(make_batch(items[at : at + size]), device)


@contextmanager
def _as_found(
    model: nn.Module, learning: Iterable[str], dropout: torch.Generator | None = None
) -> Iterator[None]:
    """Let only `learning` require gradients, set the mode, and put everything back after."""
    modes = [(module, module.training) for module in model.modules()]
    learned = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    streams = [(m, m.generator) for m in model.modules() if isinstance(m, Dropout)]
    chosen = set(learning)
    try:
        model.train(dropout is not None)
        if dropout is not None:
            set_dropout_generator(model, dropout)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        with full_precision(model):
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in learned:
            parameter.requires_grad_(requires_grad)
        for module, generator in streams:
            module.generator = generator
