"""What happened in a run: a record an epoch, why it ended, and which weights it kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor


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
