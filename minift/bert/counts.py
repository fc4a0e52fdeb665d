"""How many parameters learn, of how many, in any division of a model.

Claim    A table over any division adds up to the model.
Proof    tests/bert/test_names.py
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import nn

from minift.bert.names import encoder_suffix, part_of

_ALL = "all"


@dataclass(frozen=True)
class Row:
    """One row of the table of `what_learns`: how many tensors and elements learn, of how many."""

    part: str
    tensors_learning: int = 0
    tensors: int = 0
    learning: int = 0
    elements: int = 0

    def __str__(self) -> str:
        share = self.learning / self.elements if self.elements else 0.0
        return (
            f"{self.part:<14}{self.tensors_learning:>4} of {self.tensors:>3} tensors"
            f"{self.learning:>13,} of {self.elements:>13,}  {share:>9.4%}"
        )


def by_part(name: str, parameter: nn.Parameter) -> str:
    """The division into embeddings, layer 0, layer 1, ..., pooler and head."""
    part = part_of(name)
    return f"layer {part}" if isinstance(part, int) else part


def by_kind(name: str, parameter: nn.Parameter) -> str:
    """The division into biases, embeddings (the tables), other weights, and the head."""
    suffix = encoder_suffix(name)
    if suffix is None:
        return "head"
    if suffix.endswith("bias"):
        return "biases"
    table = suffix.startswith("embeddings.") and parameter.dim() == 2
    return "embeddings" if table else "other weights"


def what_learns(
    model: nn.Module,
    names: Collection[str],
    learning: Callable[[str, nn.Parameter], int] | None = None,
    division: Callable[[str, nn.Parameter], str] = by_part,
) -> dict[str, Row]:
    """Count what learns and what is frozen.

    Args:
        model: only shapes are read, so it may be on the meta device.
        names: parameters that learn.
        learning: how many elements of one of them can change, where a gradient rule holds some
            fixed (`GradientRule.learning`); None means all.
        division: the name of the row that a parameter belongs to.

    Returns:
        Row by name, in the order of the model, and last "all". `print(*rows.values(), sep="\\n")`
        prints the table.
    """
    names = set(names)
    rows: dict[str, Row] = {}
    for name, parameter in model.named_parameters():
        learns = name in names
        moving = 0 if not learns else learning(name, parameter) if learning else parameter.numel()
        for key in (division(name, parameter), _ALL):
            old = rows.pop(key) if key == _ALL and key in rows else rows.get(key, Row(key))
            rows[key] = Row(
                key, old.tensors_learning + learns, old.tensors + 1,
                old.learning + moving, old.elements + parameter.numel(),
            )  # fmt: skip
    return rows


def number_of_layers(model: nn.Module) -> int:
    """Return how many layers the names of a model's parameters tell of."""
    parts = {part_of(name) for name, _ in model.named_parameters()}
    return sum(isinstance(part, int) for part in parts)
