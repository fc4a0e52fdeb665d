"""The `schedule` slot: how fast, and until when.

Claim    A schedule is a factor on the learning rate, a function of the optimizer step, and a
         decision after each epoch whether to continue. The loop knows nothing else of it.
Source   Linear: Devlin et al. (2019), https://arxiv.org/abs/1810.04805, appendix A.2; the numbers
         of transformers' `get_linear_schedule_with_warmup` (whose very first step has rate 0).
Proof    tests/training/test_schedules.py
"""

from dataclasses import dataclass
from typing import Protocol

from minift.errors import require


class Schedule(Protocol):
    """What the loop asks of a schedule."""

    needs_dev_loss: bool = False  # whether `after_epoch` decides by the validation loss

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Learn the length of the run; called once before the first step."""

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied by at optimizer step 0, 1, ..."""
        return 1.0

    def after_epoch(self, dev_loss: float | None) -> str | None:
        """Take the validation loss; return a sentence that says why to stop, or None."""
        return None


@dataclass
class Linear(Schedule):
    """Rise to the full rate over the first steps, then fall linearly to 0 at the end."""

    warmup: float = 0.1  # share of all steps that the rise takes
    total: int = 0

    def __post_init__(self) -> None:
        require(0 <= self.warmup < 1, "warm-up", self.warmup, "a share of all steps in [0, 1)")

    def begin(self, steps_per_epoch: int, epochs: int) -> None:
        """Set the number of steps to steps_per_epoch * epochs."""
        self.total = steps_per_epoch * epochs

    def factor(self, step: int) -> float:
        """step / warm-up steps while rising, then remaining steps / falling steps."""
        rising = int(self.warmup * self.total)
        if step < rising:
            return step / max(1, rising)
        return max(0.0, (self.total - step) / max(1, self.total - rising))
