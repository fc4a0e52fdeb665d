"""The one training loop, with a slot for each question a method can answer.

Claim    Fine-tuning is this loop; a method changes what is handed to a slot and nothing else.

    trainable   which parameters learn?           model -> names
    gradients   what happens to the gradient?     an object with before_step and after_step
    schedule    how fast, and until when?         an object with factor and after_epoch;
                                                  `scales` multiplies it per parameter
    objective   what is the loss?                 (model, batch) -> one loss a target

Source   AdamW: Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101, decoupled decay on
         matrices and not on biases and LayerNorm; bias correction on, as Mosbach et al. (2021),
         https://arxiv.org/abs/2006.04884, show it must be for few labels.
Differs  - The loss of a step is the mean over its labelled targets, also when it is accumulated
           over several smaller batches (a mean of batch means would weigh them unequally).
         - Four random streams (see `Seeds`), so that methods can be compared on the same draws.
         - With several processes (processes.py) each takes its share of a step's examples.
Proof    tests/training/test_loop.py
Tutorial tutorials/03_few_labels_and_variance
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from minift.bert.dropout import set_dropout_generator
from minift.bert.encoder import set_precision
from minift.errors import MiniftError
from minift.runs.processes import my_share, own_seed, require_enough, sum_gradients, total
from minift.runs.resume import Checkpoints, Place, RunState
from minift.speed.precision import Precision
from minift.speed.prefix import PrefixCache, prefix_cache, quiet, quiet_prefix
from minift.training.batches import Batch, Item, OtherPieces, make_batch, shuffled
from minift.training.schedules import Linear, Schedule


class Diverged(MiniftError):
    """The loss is not finite any more: the learning rate is too high, or the data are off."""


Trainable = Callable[[nn.Module], Iterable[str]]
Objective = Callable[[nn.Module, Batch], Tensor]


class GradientRule(Protocol):
    """What the loop asks of the `gradients` slot. Keys are parameter names.

    `generator` is the stream that it draws from at each step, if it does; a resumed run goes on
    with it.
    """

    @property
    def generator(self) -> torch.Generator | None:
        """The stream, None if nothing is drawn during training."""
        ...

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Change `.grad` in place, after clipping and before the optimizer reads it."""
        ...

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Change the weights in place after the optimizer's step, if that must be."""
        ...

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """Return how many elements of a parameter can ever change under this rule.

        If it is all of the word table, the rule may be given a table of the rows in use only.
        """
        ...


@dataclass(frozen=True)
class Seeds:
    """One seed for each stream of random numbers, so that one can change while others stay.

    Args:
        subset: which examples are drawn.
        head: weights of a new head.
        order: order of the training examples.
        dropout: dropout masks.
        masks: gradient masks of a method.
    """

    subset: int
    head: int
    order: int
    dropout: int
    masks: int

    @classmethod
    def all(cls, seed: int) -> Seeds:
        """Use one number for all streams; each stream still has a generator of its own."""
        return cls(seed, seed, seed, seed, seed)


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train.

    Args:
        epochs: passes over the training examples.
        batch_size: examples of one optimizer step.
        accumulate: smaller batches that a step is split into, to save memory.
        learning_rate: the rate that `schedule` multiplies.
        weight_decay: decoupled decay of matrices; biases and LayerNorm do not decay.
        betas, epsilon: of Adam.
        clip: largest norm of the whole gradient; 0 switches clipping off.
        min_steps: epochs are added until there are at least so many optimizer steps.
        prefix_dropout: keep dropout on below the lowest parameter that learns. Off by default:
            the frozen prefix is then computed once, not in every epoch (see prefix.py).
        keep: "last" weights, or the "best" epoch's by the validation score. "best" selects on
            the validation split, so report on another one.
        other_pieces: of tagging: the pieces of a word behind its first have no loss ("ignore"),
            or learn to continue its tag ("continue"); see `make_items`.
        used_rows: of the word table train only the rows that the training texts read, which comes
            to the same and is faster (see minift.speed.rows); heeded by `minift.runs.train.train`
            and the rounds of active learning.
        precision: of the encoder's matrix products, in training and in what the model answers
            afterwards: "float32" (the weights' own), or "bf16" (see minift.speed.precision).
    """

    epochs: int = 8
    batch_size: int = 16
    accumulate: int = 1
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip: float = 1.0
    min_steps: int = 0
    prefix_dropout: bool = False
    keep: Literal["last", "best"] = "last"
    other_pieces: OtherPieces = "ignore"
    used_rows: bool = True
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise MiniftError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise MiniftError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.keep not in ("last", "best"):
            raise MiniftError(f'keep must be "last" or "best", got {self.keep!r}')


def everything(model: nn.Module) -> list[str]:
    """The `trainable` slot of full fine-tuning: all parameters."""
    return [name for name, _ in model.named_parameters()]


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The usual objective: -log p(target), one a labelled target."""
    logits = model(batch.packed, batch.wanted)
    return F.cross_entropy(logits[batch.labelled], batch.targets[batch.labelled], reduction="none")


def squared_error(model: nn.Module, batch: Batch) -> Tensor:
    """The objective of regression: (prediction - target)^2, one a labelled target."""
    predicted: Tensor = model(batch.packed, batch.wanted).squeeze(-1)
    return (predicted[batch.labelled] - batch.targets[batch.labelled].to(predicted.dtype)).square()


MakeRule = Callable[[nn.Module, Sequence[Item], Seeds], GradientRule]


@dataclass(frozen=True)
class Recipe:
    """A method: what fills the slots.

    Args:
        name: as written on the command line.
        trainable: which parameters learn.
        gradients: makes the gradient rule from the model, its training inputs and the seeds,
            just before training starts; None leaves gradients alone.
        schedule: makes a fresh schedule; a schedule has a state, so runs do not share one.
        scales: factor on the rate of each parameter, made from the model; None means 1.
        settings: defaults of the run; the user's own choices replace them.
    """

    name: str
    trainable: Trainable = everything
    gradients: MakeRule | None = None
    schedule: Callable[[], Schedule] = Linear
    scales: Callable[[nn.Module], Mapping[str, float]] | None = None
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Epoch:
    """One line of history.jsonl.

    Args:
        epoch: 1 for the first.
        step: optimizer steps so far.
        train_loss: mean over the epoch's targets, dropout on.
        learning_rate: at the epoch's last step.
        seconds: since the start of training, evaluation included.
        dev_loss, dev: loss and headline score on the validation split, if there is one.
    """

    epoch: int
    step: int
    train_loss: float
    learning_rate: float
    seconds: float
    dev_loss: float | None = None
    dev: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


@dataclass
class History:
    """What happened in a run.

    Args:
        epochs: one record an epoch.
        stopped: a sentence that says why training ended.
        examples_per_second: training examples, evaluation not counted.
        kept_epoch: the epoch whose weights the model now has.
        best_epoch: the epoch with the highest validation score; 0 without a validation split.
        weights: the trained parameters after the "last" and, with a validation split, the
            "best" epoch, whichever of them the model now has.
        trained: names of the parameters that learned.
    """

    epochs: list[Epoch] = field(default_factory=list)
    stopped: str = ""
    examples_per_second: float = 0.0
    kept_epoch: int = 0
    best_epoch: int = 0
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict, repr=False)
    trained: tuple[str, ...] = ()


def adamw(
    parameters: dict[str, nn.Parameter],
    settings: Settings,
    scales: Mapping[str, float] | None = None,
) -> torch.optim.AdamW:
    """Build AdamW over exactly `parameters`; only matrices decay.

    Args:
        parameters: what learns, by name.
        settings: rates and decay.
        scales: factor on the rate of each parameter; None means 1 for all.

    Returns:
        An optimizer whose groups also hold their `scale`, largest first.
    """
    scale_of = {name: 1.0 if scales is None else scales[name] for name in parameters}
    groups = []
    for scale in sorted(set(scale_of.values()), reverse=True):
        for decays in (True, False):
            chosen = [
                parameter
                for name, parameter in parameters.items()
                if scale_of[name] == scale and _decays(name) == decays
            ]
            if chosen:
                decay = settings.weight_decay if decays else 0.0
                rate = settings.learning_rate * scale
                groups.append({"params": chosen, "weight_decay": decay, "lr": rate, "scale": scale})
    return torch.optim.AdamW(groups, betas=settings.betas, eps=settings.epsilon, fused=True)


def _decays(name: str) -> bool:
    return not name.endswith(("bias", "norm.weight"))


def fine_tune(
    model: nn.Module,
    items: Sequence[Item],
    settings: Settings,
    seeds: Seeds,
    *,
    trainable: Trainable = everything,
    gradients: GradientRule | None = None,
    schedule: Schedule | None = None,
    scales: Callable[[nn.Module], Mapping[str, float]] | None = None,
    objective: Objective = cross_entropy,
    validate: Callable[[nn.Module], tuple[float, float]] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoints: Checkpoints | None = None,
    cache: PrefixCache | None = None,
    progress: bool = False,
) -> History:
    """Train `model` in place.

    Args:
        model: an encoder with a head, on its device.
        items: training inputs.
        settings: length, batch size, rates.
        seeds: the random streams; this function uses `order` and `dropout`.
        trainable, gradients, schedule, objective: the slots (see the module's docstring);
            by default full fine-tuning with linear warm-up and decay.
        scales: factor on the rate of each parameter, by name, for discriminative rates.
        validate: returns (loss, headline score) on the validation split; called after each
            epoch, with the model in evaluation mode.
        on_epoch: hears each epoch's record as soon as it is known; in a run that goes on, first
            those of the epochs before.
        checkpoints: where a killed run is taken up, to the same bits, and written meanwhile.
        cache: output of the frozen prefix for `items`, if somebody has it; it is computed here
            otherwise.
        progress: show a bar on standard error.

    Returns:
        What happened. The model is left in evaluation mode.

    Raises:
        MiniftError: if nothing trains, a name is unknown, `cache` reaches above the frozen prefix,
            or the loss is not finite.
    """
    if not items:
        raise MiniftError("there are no training examples")
    if settings.keep == "best" and validate is None:
        raise MiniftError('keep="best" needs a validation split to choose the epoch by')
    require_enough(min(len(items), settings.batch_size))
    schedule = schedule or Linear()
    if schedule.needs_dev_loss and validate is None:
        raise MiniftError(
            "this schedule decides by the validation loss, but the run has no validation split; "
            "give one, or choose a schedule of fixed length"
        )
    set_precision(model, settings.precision)
    parameters = select(model, trainable)
    optimizer = adamw(parameters, settings, scales(model) if scales else None)
    prefix = [] if settings.prefix_dropout else quiet_prefix(model, parameters)
    if cache is not None and cache.layers >= len(prefix):
        raise MiniftError(
            f"the states of {cache.layers} layers were computed beforehand, but only "
            f"{max(0, len(prefix) - 1)} layers are frozen and without dropout"
        )
    if cache is None and prefix:
        cache = prefix_cache(model, parameters, items)
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seeds.order)
    dropout = torch.Generator(device).manual_seed(own_seed(seeds.dropout))
    set_dropout_generator(model, dropout)

    steps_per_epoch = -(-len(items) // settings.batch_size)
    epochs = max(settings.epochs, -(-settings.min_steps // steps_per_epoch))
    schedule.begin(steps_per_epoch, epochs)
    history, place = History(trained=tuple(parameters)), Place()
    masks = None if checkpoints is None or gradients is None else gradients.generator
    run = RunState(parameters, optimizer, schedule, order, dropout, masks, history)
    if checkpoints is not None and (state := checkpoints.load()) is not None:
        place = run.restore(state)
        if on_epoch is not None:
            for record in history.epochs:
                on_epoch(record)
    started = time.perf_counter() - place.seconds
    bar = tqdm(
        total=steps_per_epoch * epochs, initial=place.step, unit="step",
        disable=None if progress else True,
    )  # fmt: skip
    for epoch in range(place.epoch, epochs + 1):
        model.train()
        quiet(prefix)
        epoch_order, began = order.get_state(), time.perf_counter()
        for group in shuffled(items, settings.batch_size, order)[place.done :]:
            place.rate = settings.learning_rate * schedule.factor(place.step)
            for parameter_group in optimizer.param_groups:
                parameter_group["lr"] = place.rate * parameter_group["scale"]
            loss, count = backward(model, group, settings.accumulate, objective, cache)
            if not loss < float("inf"):
                raise Diverged(
                    f"the loss became {loss} at step {place.step} (epoch {epoch}); "
                    "lower the learning rate or check the training data"
                )
            if settings.clip:
                nn.utils.clip_grad_norm_(parameters.values(), settings.clip)
            if gradients is not None:
                gradients.before_step(parameters)
            optimizer.step()
            if gradients is not None:
                gradients.after_step(parameters)
            optimizer.zero_grad()
            bar.update()
            place.add(loss, count, time.perf_counter() - began)
            began = time.perf_counter()
            if checkpoints is not None and checkpoints.due:
                place.seconds = time.perf_counter() - started
                checkpoints.save(place.step, run.state(place, epoch_order))

        model.eval()
        dev_loss, dev = validate(model) if validate else (None, None)
        seconds = time.perf_counter() - started
        train_loss = place.loss / max(1, place.count)
        record = Epoch(epoch, place.step, train_loss, place.rate, seconds, dev_loss, dev)
        history.epochs.append(record)
        shown = f"loss {record.train_loss:.3f}" + ("" if dev is None else f", dev {dev:.3f}")
        bar.set_postfix_str(shown)
        if on_epoch:
            on_epoch(record)
        if dev is not None and dev > place.best_score:
            place.best_score, history.best_epoch = dev, epoch
            history.weights["best"] = copy_of(parameters)
        place.begin_epoch(epoch + 1)
        if reason := schedule.after_epoch(dev_loss):
            history.stopped = reason
            break
    bar.close()
    last = history.epochs[-1].epoch
    history.kept_epoch = last if settings.keep == "last" else history.best_epoch
    history.weights["last"] = copy_of(parameters)
    with torch.no_grad():
        for name, weights in history.weights[settings.keep].items():
            parameters[name].copy_(weights)
    history.stopped = history.stopped or f"all {epochs} epochs done"
    history.examples_per_second = len(items) * len(history.epochs) / place.training_seconds
    return history


def copy_of(parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return the values of `parameters` as they are now."""
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def select(model: nn.Module, trainable: Trainable) -> dict[str, nn.Parameter]:
    """Let exactly the parameters that `trainable` names learn, and return them by name.

    Raises:
        MiniftError: if it names none, or one that the model does not have.
    """
    everything_by_name = dict(model.named_parameters())
    names = list(trainable(model))
    if unknown := [name for name in names if name not in everything_by_name]:
        raise MiniftError(f"no such parameter: {', '.join(unknown)}")
    if not names:
        raise MiniftError("nothing would train: the method selects no parameter")
    chosen = set(names)
    for name, parameter in everything_by_name.items():
        parameter.requires_grad_(name in chosen)
        parameter.grad = None
    return {name: p for name, p in everything_by_name.items() if name in chosen}


def backward(
    model: nn.Module,
    items: Sequence[Item],
    accumulate: int,
    objective: Objective,
    cache: PrefixCache | None = None,
) -> tuple[float, int]:
    """Add to `.grad` the gradient of the mean loss over all labelled targets of `items`.

    Args:
        model: in training mode.
        items: the examples of one optimizer step, which several processes share.
        accumulate: number of smaller batches to split a share into; the result is the same.
        objective: one loss a labelled target.
        cache: output of a frozen prefix, computed beforehand.

    Returns:
        Sum of the losses, and the number of targets.
    """
    device = next(model.parameters()).device
    share = my_share(items)
    size = -(-len(share) // accumulate)
    parts = [share[at : at + size] for at in range(0, len(share), size or 1)]
    batches = [make_batch(part) for part in parts]
    if cache is not None:
        batches = [cache.add_to(batch, part) for batch, part in zip(batches, parts)]
    count = int(total(sum(int(batch.labelled.sum()) for batch in batches)))
    if count == 0:
        return 0.0, 0
    summed = 0.0
    for batch in batches:
        loss = objective(model, batch.to(device)).sum()
        (loss / count).backward()
        summed += float(loss.detach())
    sum_gradients(model)
    return total(summed), count
