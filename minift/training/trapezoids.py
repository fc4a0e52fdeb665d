"""Schedules whose curve is known before the run: up, along, down.

Claim    One trapezoid, rise, stay and fall over whole epochs, is the paper's "original", "stable"
         and "hybrid", and with no rise or no fall a constant or a linear rate.
Paper    `Trapezoid`: Stollenwerk (2022), https://arxiv.org/abs/2202.02617, and its code, version
         0.0.12; "stable" is after Mosbach et al. (2021), https://arxiv.org/abs/2006.04884.
         `SlantedTriangular`: Howard & Ruder (2018), https://arxiv.org/abs/1801.06146, section 3.2.
Differs  - A trapezoid in a run of another length falls to 0 at the end of that run.
         - The formula of the slanted triangle as printed falls below 0 where the number of steps
           is not a multiple of 1 / cut_fraction; here the fall takes just the steps that are left.
Proof    tests/training/test_trapezoids.py
"""

import math
from dataclasses import dataclass

from minift.errors import MiniftError, require
from minift.training.schedules import Schedule


def rise(step: int, steps: int) -> float:
    """From 0 at step 0 to 1 at `steps`, and 1 from then on."""
    return min(1.0, step / steps)


def fall(step: int, steps: int) -> float:
    """From 1 at step 0 to 0 at `steps`, and 0 from then on."""
    return max(0.0, (steps - step) / steps)


@dataclass
class Constant(Schedule):
    """The full rate at every step."""


@dataclass
class Trapezoid(Schedule):
    """Rise, stay, fall to 0, over a number of epochs known beforehand.

    The paper's "original" is `Trapezoid(5)`, its "stable" `Trapezoid(20)`, and its "hybrid",
    the curve of "adaptive" over a fixed number of epochs, `Trapezoid(epochs, cooldown_epochs=7)`.
    """

    epochs: int  # if the loop runs another number (see `min_steps`), the fall ends with the last
    warmup_epochs: int = 2  # of the rise; may be 0
    cooldown_epochs: int | None = None  # of the fall; 0: the rate stays; None: all after the rise

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            good = type(value) is int and value >= 0
            good = good or (value is None and name == "cooldown_epochs")
            require(good, name, value, "a whole number from 0 up")
        self.begin(1, self.epochs)

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Set where the fall begins; MiniftError: no epoch is left to fall in, or before it."""
        falling = self.cooldown_epochs
        if falling is None:
            falling, least = epochs - self.warmup_epochs, 1 + self.warmup_epochs
        else:
            least = 1 + falling
        if epochs < least:
            raise MiniftError(f"this schedule needs at least {least} epochs, got {epochs}")
        self.rising, self.falling = self.warmup_epochs * steps_per_epoch, falling * steps_per_epoch
        self.top = epochs * steps_per_epoch - self.falling  # the fall's first step

    def factor(self, step: int) -> float:
        """The fall goes first: it starts at the full rate even if the rise is not over."""
        if self.falling and step >= self.top:
            return fall(step - self.top, self.falling)
        return rise(step, self.rising) if self.rising else 1.0


@dataclass
class SlantedTriangular(Schedule):
    """ULMFiT's schedule: a short steep rise, a long fall, never quite 0.

    Of a run of T steps, step 0 has the lowest rate and step `cut` the highest. The fall would be
    back at the lowest rate at step T, which is the first after the run; the last, T - 1, is still
    one part of the fall above it.
    """

    cut_fraction: float = 0.1  # share of all steps that the rise takes, in (0, 1)
    ratio: float = 32.0  # the highest rate over the lowest

    def __post_init__(self) -> None:
        cut, ratio = self.cut_fraction, self.ratio
        require(0 < cut < 1, "cut_fraction", cut, "between 0 and 1")
        require(1 <= ratio < math.inf, "ratio", ratio, "a number from 1 up")

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Set T, the number of steps, and the step of the peak."""
        self.total = steps_per_epoch * epochs
        # 0.29 * 100 is 28.999... in floating point and means 29.
        self.cut = max(1, math.floor(self.cut_fraction * self.total + 1e-9))

    def factor(self, step: int) -> float:
        """(1 + p (ratio - 1)) / ratio, where p rises to 1 at `cut` and falls to 0 at T."""
        if step < self.cut:
            height = rise(step, self.cut)
        else:
            height = fall(step - self.cut, max(1, self.total - self.cut))
        return (1 + height * (self.ratio - 1)) / self.ratio
