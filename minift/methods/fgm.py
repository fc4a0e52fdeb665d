"""FGM, adversarial training: a text must keep its label when its word vectors move a little.

Claim    The loss is the mean of the clean loss and that at x + r: x are the vectors of a text's
         words, g the gradient of its clean loss in them, and r = size * g / |g| the step of that
         length that raises the loss most, to first order.
Paper    Miyato, Dai & Goodfellow (2017), https://arxiv.org/abs/1605.07725, section 3; for BERT
         Chen et al. (2021), https://arxiv.org/abs/2101.05509.
Differs  - The mean, not the sum: with size 0 the gradient is the plain one, not twice that.
         - The norm is over the tokens of a text (or window, or both texts of a pair), so r does not
           depend on the batch. The code in circulation moves rows of the word table, by a norm
           over the batch, and puts them back; here what the table gives is moved, and no weight.
           There is no padding that could move. Where g is 0, r is 0.
           Miyato et al. normalise the word vectors first; here `size` is in BERT's own units.
         - Both passes have the same dropout masks, so r is the worst step for the network that is
           trained, and a step draws as many as without.
         - The word vectors are moved also where they do not learn (freeze:3, bitfit). Frozen layers
           are then computed twice per step, and gradients go through them down to the words.
Proof    tests/methods/test_fgm.py
Tutorial tutorials/13_neighbours
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from minift.bert.dropout import Dropout
from minift.bert.encoder import encoder_of
from minift.bert.packing import Layout
from minift.errors import require
from minift.training.batches import Batch
from minift.training.loop import usual_objective


def perturbation(gradient: Tensor, layout: Layout, size: float) -> Tensor:
    """Return size * g / |g| of each text, (tokens, hidden); 0 for a text whose g is 0.

    With g = (3, 0) and (0, 4) of two tokens |g| is 5: by size 0.5 they move (0.3, 0) and (0, 0.4).
    """
    texts = layout.pad(gradient)  # (texts, longest, hidden)
    peaks = texts.abs().amax((1, 2), keepdim=True)
    rows = (texts / peaks.masked_fill(peaks == 0, 1)).flatten(1)  # each norm is 1 or more, or 0
    return layout.unpad(size * nn.functional.normalize(rows).view_as(texts))


@dataclass(frozen=True)
class Fgm:
    """Fill the `objective` slot with the usual loss of the model, half of it at x + r."""

    size: float = 0.5  # the norm of r per text; 0 trains without it, at the same cost
    reads_items: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(0 <= self.size < math.inf, "size", self.size, "a number from 0 up")

    def __call__(self, model: nn.Module, batch: Batch, step: int = 0, steps: int = 1) -> Tensor:
        """Return the mean of both losses of each labelled target."""
        loss, words = usual_objective(model), encoder_of(model).embeddings.word
        batch = replace(batch, packed=replace(batch.packed, computed=None))  # from the words on
        sites = (m.generator for m in model.modules() if isinstance(m, Dropout))
        stream = next(sites, None) or torch.default_generator
        masks, found = stream.get_state(), list[Tensor]()
        with words.register_forward_hook(lambda _, ids, x: found.append(x.requires_grad_())):
            clean = loss(model, batch, step, steps)
        (gradient,) = torch.autograd.grad(clean.sum(), found, retain_graph=True)
        moved = perturbation(gradient, batch.packed.layout, self.size)
        stream.set_state(masks)
        with words.register_forward_hook(lambda _, ids, x: x + moved):
            return (clean + loss(model, batch, step, steps)) / 2
