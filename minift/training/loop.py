"""The one training loop, with a slot for each question that a method can answer.

Claim    Fine-tuning is this loop; a method is a `Recipe` that fills its slots, and nothing else.
         (Distillation and pretraining have no epochs, hence a loop of their own: runs/steps.py.)

    trainable   which parameters learn?           (model, epoch) -> names
    gradients   what happens to the gradient?     makes an object with before_step and after_step
    schedule    how fast, and until when?         makes an object with factor and after_epoch;
                                                  `scales` multiplies the rate of each parameter
    objective   what is the loss?                 (model, batch, step, steps) -> loss per target

Source   AdamW: Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101, decoupled decay on
         matrices only; bias correction on, as few labels need it (Mosbach et al. 2021,
         https://arxiv.org/abs/2006.04884).
Differs  - The loss of a step is the mean over its labelled targets, also when it is accumulated
           over smaller batches (a mean of batch means would weigh them unequally).
         - Where the lowest layers are frozen their dropout is off: it would only add noise to
           features that cannot adapt to it (`Settings.prefix_dropout` switches it on).
         - Separate random streams (see `Seeds`), so that methods are compared on the same draws.
Proof    tests/training/test_loop.py
Tutorial tutorials/03_few_labels_and_variance
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.dropout import set_dropout_generator
from minift.bert.encoder import frozen_prefix
from minift.bert.packing import to_device
from minift.errors import MiniftError, require
from minift.training.batches import Batch, Item, labelled, make_batch, shuffled
from minift.training.schedules import Linear, Schedule

Precision = Literal["float32", "bf16"]  # of the encoder's matrix products (speed/precision.py)
EPOCHS = 8  # where nobody says how many
ADVERSARY = "adversary"  # module of a model whose gradient is not clipped (methods/debias.py)


class Diverged(MiniftError):
    """The loss is not finite any more: the learning rate is too high, or the data are wrong."""


class GradientRule(Protocol):
    """What the loop asks of the `gradients` slot. Keys are parameter names."""

    @property
    def generator(self) -> torch.Generator | None:
        """The stream drawn from during training, which a resumed run continues."""

    def before_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Change `.grad` in place, after clipping and before the optimizer reads it."""

    def after_step(self, parameters: dict[str, nn.Parameter]) -> None:
        """Change the weights in place after the optimizer's step."""

    def learning(self, name: str, parameter: nn.Parameter) -> int:
        """Return how many elements of a parameter can ever change."""


@dataclass(frozen=True)
class Seeds:
    """One seed per stream of random numbers, so that one can change while the others stay."""

    subset: int  # which examples are drawn
    head: int  # weights of a new head
    order: int  # of the training examples
    dropout: int  # dropout masks
    masks: int  # gradient masks of a method

    @classmethod
    def all(cls, seed: int | Seeds) -> Seeds:
        """Derive five seeds, no two alike, from one, which is `subset`; a `Seeds` is returned."""
        if isinstance(seed, Seeds):
            return seed
        good = hasattr(seed, "__index__") and not isinstance(seed, bool) and 0 <= seed < 2**32
        require(good, "seed", seed, "an integer in [0, 2**32)")
        digests = (hashlib.sha256(f"{stream} {seed}".encode()).digest() for stream in range(4))
        return cls(int(seed), *(int.from_bytes(digest[:6], "big") for digest in digests))


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train."""

    epochs: int | None = None  # so many passes over the training examples; else
    steps: int | None = None  # as many as give so many optimizer steps; else
    min_steps: int = 0  # `EPOCHS`, and more until there are so many steps
    batch_size: int = 16  # examples per step
    accumulate: int = 1  # smaller batches that a step is split into, to save memory
    learning_rate: float = 5e-5  # which the schedule multiplies
    weight_decay: float = 0.01  # decoupled, of matrices only
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip: float = 1.0  # largest norm of the whole gradient; 0 for no clipping
    prefix_dropout: bool = False  # keep dropout on below the lowest parameter that learns
    keep: Literal["last", "best"] = "last"  # weights; the best epoch's by the validation score
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "min_steps", "batch_size", "accumulate"):
            value, least = getattr(self, name), 0 if name == "min_steps" else 1
            good = type(value) is int and value >= least
            good = good or (value is None and name in ("epochs", "steps"))
            require(good, name, value, f"a whole number from {least} up")
        for name in ("learning_rate", "epsilon", "weight_decay", "clip"):
            value, zero = getattr(self, name), name in ("weight_decay", "clip")
            good = isinstance(value, int | float) and (0 < value < math.inf or (zero and not value))
            require(good, name, value, "a number from 0 up" if zero else "a positive number")
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        require(good, "betas", self.betas, "two numbers in [0, 1)")
        for name, known in {"keep": ("last", "best"), "precision": get_args(Precision)}.items():
            value = getattr(self, name)
            require(value in known, name, value, " or ".join(f'"{word}"' for word in known))

    def epochs_for(self, items: int) -> int:
        """Return how many passes over so many training items are asked for."""
        steps = -(-items // self.batch_size)  # of an epoch
        if self.epochs or self.steps:
            return self.epochs or -(-(self.steps or 1) // steps)
        return max(EPOCHS, -(-self.min_steps // steps))


class Team(NamedTuple):
    """How several processes share a step; by default there is one, which takes all of it."""

    share: Callable[[Sequence[Item]], Sequence[Item]] = lambda items: items
    add_up: Callable[[nn.Module, float], float] = lambda model, loss: loss  # and the gradients
    sum_tensors: Callable[[Iterable[Tensor]], None] = lambda tensors: None  # in place


Trainable = Callable[[nn.Module, int], Iterable[str]]
Scales = Mapping[str, float]
MakeRule = Callable[[nn.Module, Sequence[Item], Seeds, Team], GradientRule]
Objective = Callable[[nn.Module, Batch, int, int], Tensor]
Validate = Callable[[nn.Module], tuple[float, float]]
MakeBatch = Callable[[Sequence[Item]], Batch]


def everything(model: nn.Module, epoch: int = 1) -> list[str]:
    """The `trainable` slot of full fine-tuning: all parameters."""
    return [name for name, _ in model.named_parameters()]


def cross_entropy(model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
    """The usual objective: -log p(target), one per labelled target, or per text and label."""
    logits, known = model(batch.packed, batch.wanted), labelled(batch.targets)
    if batch.targets.is_floating_point():  # any number of labels per text: 1 if it has one, else 0
        gold = batch.targets.to(logits.dtype)[known]
        return F.binary_cross_entropy_with_logits(logits[known], gold, reduction="none")
    return F.cross_entropy(logits[known], batch.targets[known], reduction="none")


def squared_error(model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
    """The objective of regression: (prediction - target)^2, one per labelled target."""
    predicted, known = model(batch.packed, batch.wanted).squeeze(-1), labelled(batch.targets)
    return (predicted[known] - batch.targets[known].to(predicted.dtype)).square()


def usual_objective(model: nn.Module) -> Objective:
    """Return `squared_error` for a model of regression and `cross_entropy` for any other."""
    task = getattr(getattr(model, "config", None), "problem_type", None)
    return squared_error if task == "regression" else cross_entropy


@dataclass(frozen=True)
class Recipe:
    """A method: what fills the slots. It travels whole, so that no path can forget a slot."""

    name: str = "full"  # as written on the command line
    trainable: Trainable = everything  # which parameters learn, in epoch 1, 2, ...
    gradients: MakeRule | None = None  # makes the rule just before training starts
    schedule: Callable[[], Schedule] = Linear  # makes a fresh one: a schedule has a state
    scales: Callable[[nn.Module], Scales] | None = None  # factor on the rate, by name; None: 1
    objective: Objective | None = None  # None: `usual_objective`
    solve: Literal["", "before", "after"] = ""  # the last layer (methods/solved_head.py)
    settings: Settings = field(default_factory=Settings)  # the user's own choices replace them


@dataclass(frozen=True)
class Epoch:
    """One line of history.jsonl, written after an epoch."""

    epoch: int  # 1 is the first
    step: int  # optimizer steps so far
    train_loss: float  # mean over the epoch's targets, dropout on
    learning_rate: float  # of the epoch's last step
    seconds: float  # since the start, validation included
    dev_loss: float | None = None  # on the development split, if the epoch was validated
    dev: float | None = None  # headline score there


@dataclass
class History:
    """What happened in a run."""

    epochs: list[Epoch] = field(default_factory=list)
    stopped: str = ""  # a sentence that says why training ended
    examples_per_second: float = 0.0  # validation not counted
    kept_epoch: int = 0  # whose weights the model has now
    best_epoch: int = 0  # with the highest score; 0 without validation
    # What learned, after the "last" and, if validated, the "best" epoch.
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict, repr=False)
    trained: tuple[str, ...] = ()  # names of the parameters that learned
    quiet: int = 0  # so many of embeddings, layer 0, layer 1, ... had no dropout


def adamw(
    parameters: dict[str, nn.Parameter], settings: Settings, scales: Scales | None = None
) -> torch.optim.AdamW:
    """Build AdamW over exactly `parameters`; only matrices decay. Each group holds its `scale`."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        decays = not name.endswith(("bias", "norm.weight"))
        groups.setdefault((scales[name] if scales else 1.0, decays), []).append(parameter)
    rate, decay = settings.learning_rate, settings.weight_decay
    options = [
        {"params": chosen, "lr": rate * scale, "weight_decay": decay * decays, "scale": scale}
        for (scale, decays), chosen in sorted(groups.items(), key=lambda group: group[0])
    ]
    return torch.optim.AdamW(options, betas=settings.betas, eps=settings.epsilon, fused=True)


def select(model: nn.Module, trainable: Trainable, epochs: int = 1) -> dict[str, nn.Parameter]:
    """Let exactly the parameters learn that `trainable` names in any epoch; return them by name."""
    parameters = dict(model.named_parameters())
    by_epoch = [set(trainable(model, epoch)) for epoch in range(1, epochs + 1)]
    if unknown := sorted((names := set[str]().union(*by_epoch)) - parameters.keys()):
        raise MiniftError(f"no such parameter: {', '.join(unknown)}")
    if set() in by_epoch:
        raise MiniftError("nothing would train: in some epoch the method selects no parameter")
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in names)
        parameter.grad = None
    return {name: parameter for name, parameter in parameters.items() if name in names}


class Training:
    """A run under way, made as `fine_tune` does. Iterating over it trains: it gives None after each
    step, and a record after each epoch, so that a caller may write `state()`, its checkpoint."""

    _place = ("epoch", "done", "step", "rate", "loss", "targets", "best", "seconds", "trained_for")

    def __init__(
        self,
        model: nn.Module,
        items: Sequence[Item],
        recipe: Recipe,
        seeds: Seeds,
        validate: Validate | None = None,
        make_batch: MakeBatch = make_batch,
        team: Team = Team(),
    ):
        settings, self.schedule = recipe.settings, recipe.schedule()
        if not items:
            raise MiniftError("there are no training examples")
        if validate is None and (settings.keep == "best" or self.schedule.needs_dev_loss):
            what = 'keep="best"' if settings.keep == "best" else "this schedule"
            why = f"{what} decides by the development split, and there is none; give one, or take"
            raise MiniftError(f"{why} the last weights and a schedule of fixed length")
        self.model, self.items, self.recipe, self.settings = model, items, recipe, settings
        self.validate, self.make_batch, self.team = validate, make_batch, team
        steps = -(-len(items) // settings.batch_size)  # of an epoch
        self.epochs = settings.epochs_for(len(items))
        self.steps = steps * self.epochs
        self.schedule.begin(steps, self.epochs)
        self.parameters = select(model, recipe.trainable, self.epochs)
        self.rule = recipe.gradients(model, items, seeds, team) if recipe.gradients else None
        scales = recipe.scales(model) if recipe.scales else None
        self.optimizer = adamw(self.parameters, settings, scales)
        self.objective = recipe.objective or usual_objective(model)
        self.order = torch.Generator().manual_seed(seeds.order)
        self.dropout = torch.Generator(next(model.parameters()).device).manual_seed(seeds.dropout)
        set_dropout_generator(model, self.dropout)
        quiet = 0 if settings.prefix_dropout else len(frozen_prefix(model))  # in all epochs
        self.history = History(trained=tuple(self.parameters), quiet=quiet)
        self.epoch, self.done, self.step, self.rate = 1, 0, 0, 0.0  # `done` steps of this epoch
        self.loss, self.targets, self.best = 0.0, 0, -math.inf  # sums of this epoch; best score
        self.seconds = self.trained_for = 0.0  # with and without validation

    def __iter__(self) -> Iterator[Epoch | None]:
        while not self.history.stopped:
            self.begin_epoch()
            batches = shuffled(self.items, self.settings.batch_size, self.order)
            for group in batches[self.done :]:
                self.take_step(group)
                yield None
            yield self.end_epoch()

    def begin_epoch(self) -> None:
        """Let learn what learns in this epoch, with dropout above the frozen prefix."""
        learning = set(self.recipe.trainable(self.model, self.epoch))
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in learning)
        self.model.train()
        for module in [] if self.settings.prefix_dropout else frozen_prefix(self.model):
            module.eval()
        self.epoch_order = self.order.get_state()

    def backward(self, group: Sequence[Item]) -> tuple[float, int]:
        """Add to `.grad` the gradient of the mean loss over all labelled targets of `group`;
        return the sum of their losses, and their number."""
        targets = int(labelled(torch.tensor([t for item in group for t in item.targets])).sum())
        if targets == 0:
            return 0.0, 0
        summed, share = 0.0, self.team.share(group)
        size = max(1, -(-len(share) // self.settings.accumulate))
        for at in range(0, len(share), size):
            batch = to_device(self.make_batch(share[at : at + size]), self.dropout.device)
            loss = self.objective(self.model, batch, self.step, self.steps).sum()
            (loss / targets).backward()
            summed += float(loss.detach())
        return self.team.add_up(self.model, summed), targets

    def take_step(self, group: Sequence[Item]) -> None:
        """Take one optimizer step on the items `group`."""
        began = time.perf_counter()
        self.rate = self.settings.learning_rate * self.schedule.factor(self.step)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self.rate * parameters["scale"]
        loss, targets = self.backward(group)
        if not loss < math.inf:
            where = f"at step {self.step} (epoch {self.epoch})"
            raise Diverged(f"the loss became {loss} {where}; lower the rate, or check the data")
        if self.settings.clip:
            clipped = [p for n, p in self.parameters.items() if not n.startswith(ADVERSARY)]
            nn.utils.clip_grad_norm_(clipped, self.settings.clip)
        if self.rule:
            self.rule.before_step(self.parameters)
        self.optimizer.step()
        if self.rule:
            self.rule.after_step(self.parameters)
        self.optimizer.zero_grad()
        self.done, self.step = self.done + 1, self.step + 1
        self.loss, self.targets = self.loss + loss, self.targets + targets
        took = time.perf_counter() - began
        self.seconds, self.trained_for = self.seconds + took, self.trained_for + took

    def end_epoch(self) -> Epoch:
        """Validate, and let the schedule decide whether this was the last epoch."""
        began = time.perf_counter()
        self.model.eval()
        dev_loss, dev = self.validate(self.model) if self.validate else (None, None)
        self.seconds += time.perf_counter() - began
        loss = self.loss / max(1, self.targets)
        record = Epoch(self.epoch, self.step, loss, self.rate, self.seconds, dev_loss, dev)
        self.history.epochs.append(record)
        if dev is not None and dev > self.best:
            self.best, self.history.best_epoch = dev, self.epoch
            self.history.weights["best"] = copy_of(self.parameters)
        self.epoch, self.done, self.loss, self.targets = self.epoch + 1, 0, 0.0, 0
        done = f"epoch {self.epochs} of {self.epochs} done" if self.epoch > self.epochs else ""
        self.history.stopped = self.schedule.after_epoch(dev_loss) or done
        return record

    def finish(self) -> History:
        """Give the model the weights to be kept."""
        history = self.history
        history.weights["last"] = copy_of(self.parameters)
        history.kept_epoch, keep = history.epochs[-1].epoch, "last"
        if self.settings.keep == "best" and history.best_epoch:
            history.kept_epoch, keep = history.best_epoch, "best"
        elif self.settings.keep == "best":
            history.stopped += "; no epoch's score was a number, so the last weights are kept"
        with torch.no_grad():
            for name, weights in history.weights[keep].items():
                self.parameters[name].copy_(weights)
        history.examples_per_second = len(self.items) * len(history.epochs) / self.trained_for
        return history

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on: a checkpoint, between two steps."""
        masks = self.rule.generator if self.rule else None
        return {
            "place": {name: getattr(self, name) for name in self._place},
            "weights": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "order": self.epoch_order,
            "dropout": self.dropout.get_state(),
            "masks": masks.get_state() if masks else None,
            "epochs": [asdict(record) for record in self.history.epochs],
            "best_epoch": self.history.best_epoch,
            "best": self.history.weights.get("best", {}),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a `state()` of the same run, to the same bits."""
        vars(self).update(state["place"])
        with torch.no_grad():
            for name, weights in state["weights"].items():
                self.parameters[name].copy_(weights)
        self.optimizer.load_state_dict(state["optimizer"])
        self.order.set_state(state["order"])
        self.dropout.set_state(state["dropout"])
        if state["masks"] is not None and self.rule and self.rule.generator:
            self.rule.generator.set_state(state["masks"])
        self.history.epochs = [Epoch(**record) for record in state["epochs"]]
        self.history.best_epoch = state["best_epoch"]
        if best := {n: t.to(self.dropout.device) for n, t in state["best"].items()}:
            self.history.weights["best"] = best
        for record in self.history.epochs:  # a schedule is a function of the validation losses
            self.schedule.after_epoch(record.dev_loss)


def copy_of(parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return the values of `parameters` as they are now."""
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def fine_tune(
    model: nn.Module,
    items: Sequence[Item],
    recipe: Recipe,
    seeds: Seeds | int,
    *,
    validate: Validate | None = None,
    make_batch: MakeBatch = make_batch,
    team: Team = Team(),
    watch: Callable[[Training], Iterable[object]] = iter,
) -> History:
    """Train `model`, an encoder with a head on its device, in place; leave it ready to answer.

    Args:
        seeds: `order` and `dropout` are used here, `masks` by gradient rules.
        validate: returns (loss, headline score) on the development split; called after each epoch.
        make_batch: packs items; a cache adds what frozen layers make of them (speed/prefix.py).
        team: how several processes share a step (runs/processes.py).
        watch: iterates over the `Training`; what shows or resumes a run wraps this.

    A MiniftError says if nothing would train, a split is missing, or the loss is not finite.
    """
    require(isinstance(recipe, Recipe), "the method", recipe, 'a Recipe, e.g. recipe("bitfit")')
    training = Training(model, items, recipe, Seeds.all(seeds), validate, make_batch, team)
    for _ in watch(training):
        pass
    return training.finish()
