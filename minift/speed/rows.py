"""Of the word table only the rows that the training texts read are trained; the others decay.

Claim    A few hundred texts read a few thousand rows of a table of 30,522. AdamW does one thing to
         all others: gradient and moments stay zero, so each step multiplies them by
         1 - rate * decay. In the block the model holds a small table: the rows that are read, and
         one row of ones that nothing reads. In the end those ones are the product of all the
         factors, whatever the schedule did, and the rest of the table is multiplied by it. The
         weights are those of training the whole table, to rounding.
Source   Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101, algorithm 2: decay is
         decoupled from the gradient.
Differs  Sparse versions of Adam leave a row alone in steps that do not read it. Here, as in AdamW,
         a row that was read once keeps moving by its moments. A rule that draws a number per
         element (child-f) draws for the small table, so its masks differ from the whole one's.
Proof    tests/speed/test_rows.py
"""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minift.bert.encoder import Bert
from minift.bert.masked_lm import MaskedLM
from minift.training.batches import Item
from minift.training.loop import GradientRule

WORD_TABLE = "bert.embeddings.word.weight"


class UsedRows(nn.Module):
    """Stands for a table (vocabulary, hidden) of which only the rows `used`, (ids,), learn."""

    def __init__(self, whole: Tensor, used: Tensor):
        super().__init__()
        self.whole = whole.detach()
        self.weight = nn.Parameter(F.pad(self.whole[used], (0, 0, 0, 1), value=1.0))
        self.place = torch.full((len(whole),), len(used), device=whole.device)  # that of the ones
        self.place[used] = torch.arange(len(used), device=whole.device)

    def forward(self, ids: Tensor) -> Tensor:
        """(tokens,) -> (tokens, hidden); rows that do not learn are decayed as they are read."""
        places = self.place[ids]
        rows = F.embedding(places, self.weight)
        other = places == len(self.weight) - 1
        if other.any():  # in validation
            rows = torch.where(other.unsqueeze(1), self.whole[ids] * self.weight[-1], rows)
        return rows


@contextmanager
def used_rows(
    model: nn.Module,
    items: Sequence[Item],
    learning: Container[str],
    rule: GradientRule | None = None,
) -> Iterator[None]:
    """Let the block train `model` on `items` by a table of the rows that they read.

    Nothing is done where the table does not learn or most of it is read, where the model predicts
    words by it, or where a gradient rule chooses among its elements.

    Args:
        model: after the block it has its whole table again.
        items: all that is trained on in the block; anything may be predicted.
        rule: it sees the gradients of the small table.
    """
    encoder = getattr(model, "bert", None)
    used = torch.tensor(sorted({id for item in items for id in item.input_ids}), dtype=torch.long)
    if (
        WORD_TABLE not in learning
        or not isinstance(encoder, Bert)
        or isinstance(model, MaskedLM)
        or 2 * len(used) > encoder.config.vocab_size
        or (rule is not None and not _learns_whole(rule, model.get_parameter(WORD_TABLE)))
    ):
        yield
        return
    table = encoder.embeddings.word
    used = used.to(table.weight.device)
    small = UsedRows(table.weight, used)
    encoder.embeddings.word = small  # type: ignore[assignment]
    try:
        yield
    finally:
        encoder.embeddings.word = table
        with torch.no_grad():
            table.weight.mul_(small.weight[-1])
            table.weight[used] = small.weight[:-1]
        table.weight.requires_grad_(small.weight.requires_grad)


def _learns_whole(rule: GradientRule, table: nn.Parameter) -> bool:
    return rule.learning(WORD_TABLE, table) == table.numel()
